/* SPDX-License-Identifier: Apache-2.0 */
/* jepsen-check: judges histories of a run. One JSON object on standard output; exit status 0 ok, 1
 * violated, 3 no verdict, 2 bad input or usage. jepsen/check/README.md describes the files. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/tools/judge.h"

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "jepsen-check: assertion failed at %s:%d: %s\n", file, line, expression);
    abort();
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: jepsen-check KIND FILE... [--faults FILE] [--events FILE] [--svg FILE] "
                  "[--picture FILE]\n"
                  "  [--memory-mb N] [--total N] [--bound-ms N] [--gap-ms N] [--allow NAME,...] "
                  "[--no-tokens]\n");
    for (const struct judge_kind *kind = judge_kinds; kind->name != NULL; kind++) {
        (void)fprintf(stderr, "  %-9s %s\n", kind->name, kind->help);
    }
    return 2;
}

static void print_text(const char *text, size_t len)
{
    (void)putchar('"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            (void)printf("\\%c", c);
        } else if (c == '\n') {
            (void)fputs("\\n", stdout);
        } else if (c < 0x20) {
            (void)printf("\\u%04x", c);
        } else {
            (void)putchar(c);
        }
    }
    (void)putchar('"');
}

static int print_report(const char *kind, const struct chk_report *report)
{
    static const char *const verdicts[] = {"ok", "violated", "unknown"};
    static const int statuses[] = {0, 1, 3};
    (void)printf("{\"kind\":\"%s\",\"verdict\":\"%s\",\"rule\":", kind, verdicts[report->verdict]);
    print_text(report->rule, strlen(report->rule));
    for (size_t i = 0; i < report->counts_count; i++) {
        (void)printf(",\"%s\":%lld", report->counts[i].name, (long long)report->counts[i].value);
    }
    (void)printf("%.*s,\"text\":", (int)report->json.len, (const char *)report->json.data);
    print_text((const char *)report->text.data, report->text.len);
    (void)printf("}\n");
    return statuses[report->verdict];
}

static bool number_of(const char *text, int64_t scale, int64_t *ret)
{
    uint64_t value = 0;
    if (slice_to_u64(slice_from_text(text), &value) != 0 || value > INT64_MAX / 1000000) {
        (void)fprintf(stderr, "jepsen-check: not a number: %s\n", text);
        return false;
    }
    *ret = (int64_t)value * scale;
    return true;
}

static bool take_option(struct judge_options *options, int c)
{
    int64_t number = 0;
    switch (c) {
    case 'f':
        options->faults = optarg;
        return true;
    case 'e':
        options->events = optarg;
        return true;
    case 's':
        options->svg = optarg;
        return true;
    case 'p':
        options->picture = optarg;
        return true;
    case 'a':
        options->allow = optarg;
        return true;
    case 'n':
        options->no_tokens = true;
        return true;
    case 't':
        return number_of(optarg, 1, &options->total);
    case 'b':
        return number_of(optarg, 1000, &options->bound_us);
    case 'g':
        return number_of(optarg, 1000, &options->gap_us);
    case 'q':
        return number_of(optarg, 1000, &options->silence_us);
    case 'm':
        if (!number_of(optarg, 1, &number) || number == 0) {
            return false;
        }
        options->memory_bytes = (size_t)number << 20;
        return true;
    default:
        return false;
    }
}

static bool take_options(int argc, char **argv, struct judge_options *options)
{
    static const struct option names[] = {
        {"faults", required_argument, NULL, 'f'},     {"events", required_argument, NULL, 'e'},
        {"svg", required_argument, NULL, 's'},        {"picture", required_argument, NULL, 'p'},
        {"allow", required_argument, NULL, 'a'},      {"no-tokens", no_argument, NULL, 'n'},
        {"total", required_argument, NULL, 't'},      {"bound-ms", required_argument, NULL, 'b'},
        {"gap-ms", required_argument, NULL, 'g'},     {"memory-mb", required_argument, NULL, 'm'},
        {"silence-ms", required_argument, NULL, 'q'}, {NULL, 0, NULL, 0}};
    for (int c = 0; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (!take_option(options, c)) {
            return false;
        }
    }
    if (argc - optind < 2 || argc - optind - 1 > JUDGE_FILES_MAX) {
        return false;
    }
    options->kind = argv[optind];
    for (int i = optind + 1; i < argc; i++) {
        options->files[options->files_count++] = argv[i];
    }
    return judge_kind_named(options->kind) != NULL;
}

int main(int argc, char **argv)
{
    static struct judge_options options = {
        .memory_bytes = (size_t)1 << 30, .total = -1, .gap_us = 500000, .silence_us = 5000000};
    static struct judge_input input;
    static char text[JUDGE_TEXT_BYTES];
    char why[512];
    if (!take_options(argc, argv, &options)) {
        return usage();
    }
    int status = 2;
    if (judge_load(&options, &input, why, sizeof(why)) == 0) {
        struct chk_report report = chk_report_over(text, sizeof(text));
        bool wants_picture = options.svg != NULL || options.picture != NULL;
        if (judge_kind_named(options.kind)->run(&options, &input, &report) == 0) {
            status = print_report(options.kind, &report);
            if (wants_picture && judge_picture(&options, &input, &report) != 0) {
                status = 2;
            }
        }
    } else {
        (void)fprintf(stderr, "jepsen-check: %s\n", why);
    }
    judge_free(&input);
    return status;
}
