/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines, an argument a line: of quorated, of quorate-guard, and the options and numbers of
 * kv. Nothing is started and nobody is called. */
#include <getopt.h>
#include <stdio.h>

#include "agents/guard/options.h"
#include "arbiter/quorated/settings.c" /* the table of keys is private to it */
#include "kv/cli/cli.h"
#include "tests/fuzz/fuzz.h"

#define ARGUMENTS_MAX 24

static int split(char *text, size_t len, char **argv)
{
    int argc = 1;
    for (size_t at = 0; at < len && argc < ARGUMENTS_MAX - 1;) {
        size_t end = at;
        while (end < len && text[end] != '\n') {
            end++;
        }
        text[end] = 0;
        argv[argc++] = text + at;
        at = end + 1;
    }
    argv[argc] = NULL;
    return argc;
}

/* Files named by the input may be anything, also endless. */
static bool names_file(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(argv[i], "conf") != NULL) {
            return true;
        }
    }
    return false;
}

static void of_quorated(int argc, char **argv)
{
    struct io_config *config = NULL;
    struct io_why why = {0};
    if (!names_file(argc, argv) && io_config_read(&quorated_spec, argc, argv, &config, &why) == 0) {
        (void)check(config, &why);
        (void)io_config_free(config);
    }
}

static void of_guard(int argc, char **argv)
{
    struct guard_options options;
    optind = 0;
    if (guard_options_parse(argc, argv, &options) == 0) {
        BASE_ASSERT(options.socket != NULL && options.command != NULL &&
                    options.groups_count <= GUARD_GROUPS_MAX);
    }
}

static void of_kv(int argc, char **argv)
{
    struct cli cli = {0};
    struct cli_option options[] = {
        {"prefix", false, NULL}, {"limit", true, NULL}, {"to", true, NULL}};
    int64_t number = 0;
    uint64_t id = 0;
    if (names_file(argc, argv) || cli_open(&cli, &argc, argv) != -1) {
        return;
    }
    if (cli_options(&argc, argv, options, 3) == 0) {
        for (int i = 1; i < argc; i++) {
            (void)cli_number("it", argv[i], &number);
            (void)cli_hex_id("it", argv[i], &id);
        }
    }
    cli_close(&cli);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[4096];
    static char program[] = "program";
    char *argv[ARGUMENTS_MAX] = {program};
    if (size < 2 || size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    int argc = split(text, size - 1, argv);
    switch (data[0] % 3) {
    case 0:
        of_quorated(argc, argv);
        break;
    case 1:
        of_guard(argc, argv);
        break;
    default:
        of_kv(argc, argv);
        break;
    }
    return 0;
}
