/* SPDX-License-Identifier: Apache-2.0 */
/* Files into memory, and histories over them. How many records a file can hold at most is seen from
 * its characters, so every table is taken once, in the right size. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jepsen/check/json.h"
#include "jepsen/check/scan.h"
#include "jepsen/tools/judge.h"

struct sizes {
    size_t lines, lists, numbers, texts;
};

static void count_sizes(struct slice text, struct sizes *sizes)
{
    for (size_t i = 0; i < text.len; i++) {
        sizes->lines += text.data[i] == '\n';
        sizes->lists += text.data[i] == '[';
        sizes->numbers += text.data[i] == ',' || text.data[i] == '[';
        sizes->texts += text.data[i] == '"';
    }
    sizes->lines++;
}

static int read_file(struct judge_input *input, const char *path, struct slice *ret, char *why,
                     size_t why_bytes)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t len = 0, cap = (size_t)1 << 16;
    char *text = malloc(cap);
    while (file != NULL && text != NULL) {
        size_t got = fread(text + len, 1, cap - len, file);
        len += got;
        if (got == 0) {
            break;
        }
        char *grown = len == cap ? realloc(text, cap * 2) : text;
        cap = len == cap ? cap * 2 : cap;
        if (grown == NULL) {
            free(text);
        }
        text = grown;
    }
    bool is_read = file != NULL && text != NULL && ferror(file) == 0;
    if (!is_read) {
        (void)snprintf(why, why_bytes, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (file != NULL && file != stdin) {
        (void)fclose(file);
    }
    if (!is_read) {
        free(text);
        return BASE_E_IO;
    }
    *ret = slice_from(text, len);
    input->contents[input->texts_count] = *ret;
    input->texts[input->texts_count++] = text;
    return 0;
}

static void *table(size_t count, size_t size, bool *is_taken)
{
    void *memory = calloc(count + 1, size);
    *is_taken = *is_taken && memory != NULL;
    return memory;
}

static bool take_tables(struct judge_input *input, const struct sizes *sizes)
{
    bool is_taken = true;
    size_t names = sizes->texts / 2 + sizes->numbers + 8;
    struct chk_op *ops = table(sizes->lines, sizeof(*ops), &is_taken);
    struct chk_key *keys = table(sizes->lists + 8, sizeof(*keys), &is_taken);
    input->history = chk_history_over(ops, sizes->lines, keys, keys == NULL ? 0 : sizes->lists + 8);
    struct chk_log *log = &input->log;
    log->txs_cap = log->probes_cap = log->faults_cap = log->marks_cap = sizes->lines;
    log->steps_cap = sizes->lists;
    log->values_cap = sizes->numbers;
    log->names_cap = names > sizes->lines * 8 ? sizes->lines * 8 : names;
    log->txs = table(log->txs_cap, sizeof(*log->txs), &is_taken);
    log->steps = table(log->steps_cap, sizeof(*log->steps), &is_taken);
    log->values = table(log->values_cap, sizeof(*log->values), &is_taken);
    log->names = table(log->names_cap, sizeof(*log->names), &is_taken);
    log->probes = table(log->probes_cap, sizeof(*log->probes), &is_taken);
    log->faults = table(log->faults_cap, sizeof(*log->faults), &is_taken);
    log->marks = table(log->marks_cap, sizeof(*log->marks), &is_taken);
    return is_taken;
}

/* Key-value operations have parts; the first line tells. */
static bool is_history(struct slice text)
{
    struct slice line = SLICE_EMPTY;
    while (line.len == 0 && chk_scan_line(&text, &line)) {
    }
    for (size_t i = 0; i < line.len; i++) {
        if (slice_has_prefix(slice_skip(line, i), SLICE_LIT("\"parts\""))) {
            return true;
        }
    }
    return false;
}

static int parse(struct judge_input *input, struct slice text, const char *path, char *why,
                 size_t why_bytes)
{
    size_t line = 0;
    const char *what = "";
    int rc = is_history(text) ? chk_json_read(&input->history, text, &line, &what)
                              : chk_log_read(&input->log, text, &line, &what);
    if (rc != 0) {
        (void)snprintf(why, why_bytes, "%s:%zu: %s", path, line, what);
    }
    return rc;
}

int judge_load(const struct judge_options *options, struct judge_input *input, char *why,
               size_t why_bytes)
{
    const char *paths[JUDGE_FILES_MAX + 2];
    struct slice texts[JUDGE_FILES_MAX + 2];
    size_t count = 0;
    for (size_t i = 0; i < options->files_count; i++) {
        paths[count++] = options->files[i];
    }
    for (size_t i = 0; i < 2; i++) {
        const char *path = i == 0 ? options->faults : options->events;
        paths[count] = path;
        count += path != NULL;
    }
    struct sizes sizes = {0};
    for (size_t i = 0; i < count; i++) {
        int rc = read_file(input, paths[i], &texts[i], why, why_bytes);
        if (rc != 0) {
            return rc;
        }
        count_sizes(texts[i], &sizes);
    }
    input->memory_bytes = options->memory_bytes;
    input->memory = malloc(options->memory_bytes);
    if (!take_tables(input, &sizes) || input->memory == NULL) {
        (void)snprintf(why, why_bytes, "no memory for these files; try a smaller --memory-mb");
        return BASE_E_NOMEM;
    }
    bool is_raw = judge_kind_named(options->kind)->is_raw;
    for (size_t i = is_raw ? options->files_count : 0; i < count; i++) {
        int rc = parse(input, texts[i], paths[i], why, why_bytes);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

void judge_free(struct judge_input *input)
{
    for (size_t i = 0; i < input->texts_count; i++) {
        free(input->texts[i]);
    }
    free(input->history.ops);
    free(input->history.keys);
    free(input->log.txs);
    free(input->log.steps);
    free(input->log.values);
    free(input->log.names);
    free(input->log.probes);
    free(input->log.faults);
    free(input->log.marks);
    free(input->memory);
    *input = (struct judge_input){0};
}
