/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the plan of a run: lines "AT_MS KIND RULE FOR_MS", as the runner takes them.
 *
 *   jepsen-schedule TABLE RUN SEED [SECONDS]
 *
 * SECONDS takes the place of the length that the table names. Exit 2 with one line on standard
 * error when there is no such run or its faults do not fit into the time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "jepsen/run/schedule.h"

#define TABLE_BYTES 65536u
#define ENTRIES_MAX 4096u

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "jepsen-schedule: %s: %s\n", what, why);
    return 2;
}

static struct slice read_all(const char *path)
{
    static char memory[TABLE_BYTES];
    FILE *file = fopen(path, "re");
    size_t len = file == NULL ? 0 : fread(memory, 1, sizeof(memory), file);
    if (file != NULL) {
        (void)fclose(file);
    }
    return slice_from(memory, len);
}

int main(int argc, char **argv)
{
    static struct schedule_entry entries[ENTRIES_MAX];
    static struct schedule_menu menu;
    char where[64];
    size_t line = 0, count = 0;
    if (argc < 4 || argc > 5) {
        (void)fputs("usage: jepsen-schedule TABLE RUN SEED [SECONDS]\n", stderr);
        return 2;
    }
    struct slice table = read_all(argv[1]);
    if (table.len == 0 || table.len == TABLE_BYTES) {
        return fail(argv[1], "not there, empty or too large");
    }
    int rc = schedule_read(table, argv[2], &menu, &line);
    if (rc != 0) {
        (void)snprintf(where, sizeof(where), "line %zu is not understood", line);
        return fail(argv[1], rc == BASE_E_NOTFOUND ? "no faults for this run" : where);
    }
    if (argc == 5) {
        menu.length_ms = (uint32_t)strtoul(argv[4], NULL, 10) * 1000;
    }
    rc = schedule_plan(&menu, strtoull(argv[3], NULL, 10), entries, ENTRIES_MAX, &count);
    if (rc != 0) {
        return fail(argv[2], rc == BASE_E_INVALID ? "too short for each fault of its menu"
                                                  : "too many faults");
    }
    for (size_t i = 0; i < count; i++) {
        const struct schedule_fault *fault = &menu.faults[entries[i].fault];
        (void)printf("%u %s %s %u\n", entries[i].at_ms, fault->kind, fault->rule,
                     entries[i].for_ms);
    }
    return 0;
}
