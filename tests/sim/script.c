/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts: read, written and judged. */
#include "tests/sim/script.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/sim/attempt.h"
#include "tests/sim/faults.h"

static bool read_fault(struct plan *p, const char *number, const char *second, const char *name)
{
    enum fault_kind kind;
    if (p->faults_count == PLAN_FAULTS_MAX || !fault_find(name, &kind) ||
        (int)kind >= FAULT_DRAWN_COUNT) {
        return false;
    }
    p->faults[p->faults_count++] = (struct planned_fault){
        (unsigned)strtoul(number, NULL, 10), (int64_t)(strtod(second, NULL) * SECOND + 0.5), kind};
    return true;
}

static bool read_line(char *line, struct script *s)
{
    char word[4][SCRIPT_NAME_MAX] = {"", "", "", ""};
    line[strcspn(line, "#\n")] = '\0';
    int words = sscanf(line, "%63s %63s %63s %63s", word[0], word[1], word[2], word[3]);
    if (words <= 0) {
        return true;
    }
    if (strcmp(word[0], "seed") == 0 && words == 2) {
        s->plan.seed = strtoull(word[1], NULL, 10);
    } else if (strcmp(word[0], "canary") == 0 && words == 2) {
        memcpy(s->canary, word[1], sizeof(s->canary));
    } else if (strcmp(word[0], "breaks") == 0 && words == 2) {
        memcpy(s->invariant, word[1], sizeof(s->invariant));
    } else if (strcmp(word[0], "set") == 0 && words == 3) {
        return setup_set(&s->plan.setup, word[1], strtoll(word[2], NULL, 10));
    } else if (strcmp(word[0], "fault") == 0 && words == 4) {
        return read_fault(&s->plan, word[1], word[2], word[3]);
    } else {
        return false;
    }
    return true;
}

bool script_read(const char *path, struct script *ret)
{
    char line[256];
    int number = 0;
    FILE *in = fopen(path, "r");
    memset(ret, 0, sizeof(*ret));
    if (in == NULL) {
        perror(path);
        return false;
    }
    bool is_good = true;
    while (is_good && fgets(line, sizeof(line), in) != NULL) {
        number++;
        is_good = read_line(line, ret);
    }
    (void)fclose(in);
    if (!is_good) {
        (void)fprintf(stderr, "%s:%d: not understood; tests/sim/script.h has the form of a line\n",
                      path, number);
    }
    return is_good;
}

static void write_fault(const struct planned_fault *f, const struct world *w, FILE *out)
{
    char text[256] = "no effect";
    for (size_t i = 0; i < w->bites_count; i++) {
        if (w->bite_numbers[i] == f->number) {
            trace_fault_text(&w->bites[i], text, sizeof(text));
            break;
        }
    }
    (void)fprintf(out, "fault %u %" PRId64 ".%06" PRId64 " %-24s # %s\n", f->number,
                  f->at_us / SECOND, f->at_us % SECOND, fault_name(f->kind),
                  strstr(text, ": ") != NULL ? strstr(text, ": ") + 2 : text);
}

void script_write(const struct script *s, const struct world *w, FILE *out)
{
    (void)fprintf(out, "seed %" PRIu64 "\n", s->plan.seed);
    if (s->canary[0] != '\0') {
        (void)fprintf(out, "canary %s\nbreaks %s\n", s->canary, s->invariant);
    }
    setup_write(&s->plan.setup, out);
    for (size_t i = 0; i < s->plan.faults_count; i++) {
        write_fault(&s->plan.faults[i], w, out);
    }
}

static int is_as_expected(const struct script *s, const char *path, const char *canary,
                          const char *invariant)
{
    struct attempt a;
    if (canary[0] != '\0' && !base_canary_select(canary)) {
        printf("FAILED script: %s needs the planted bug %s, which this build does not have "
               "(make VARIANT=canary)\n",
               path, canary);
        return 1;
    }
    attempt(&s->plan, canary, &a);
    if (strcmp(a.invariant, invariant) == 0) {
        return 0;
    }
    printf("FAILED script: %s %s%s: expected %s, seen %s %s\n", path,
           canary[0] != '\0' ? "with " : "without a planted bug", canary,
           invariant[0] != '\0' ? invariant : "no failure",
           a.invariant[0] != '\0' ? a.invariant : "no failure", a.text);
    return 1;
}

int script_run(const struct script *s, const char *path)
{
    int rc = 0;
    if (s->canary[0] != '\0') {
        rc = is_as_expected(s, path, s->canary, s->invariant);
    }
    return rc | is_as_expected(s, path, "", "");
}
