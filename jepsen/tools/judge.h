/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of jepsen-check: reading files into histories, running one kind of checker, printing.
 *
 * The checkers of jepsen/check are pure; memory and files are here. Everything of a run is taken
 * once and given back at the end.
 */
#ifndef QUORATE_JEPSEN_TOOLS_JUDGE_H
#define QUORATE_JEPSEN_TOOLS_JUDGE_H

#include "jepsen/check/report.h"

#define JUDGE_FILES_MAX 256
#define JUDGE_TEXT_BYTES ((size_t)1 << 20)

struct judge_options {
    const char *kind;
    const char *files[JUDGE_FILES_MAX];
    size_t files_count;
    const char *faults; /* file, or NULL; so with the next ones */
    const char *events;
    const char *svg;
    const char *picture; /* the same as text */
    size_t memory_bytes; /* of a checker */
    int64_t total;       /* bank: -1 takes the first reading */
    int64_t bound_us;    /* lease: 0 not asked for */
    int64_t gap_us;      /* prober, rto */
    int64_t silence_us;  /* prober */
    const char *allow;   /* names of anomalies that do not count, with commas */
    bool no_tokens;      /* lock: the old way, by time */
};

struct judge_input {
    struct chk_history history;
    struct chk_log log;
    void *texts[JUDGE_FILES_MAX + 2]; /* contents of the files */
    struct slice contents[JUDGE_FILES_MAX + 2];
    size_t texts_count;
    void *memory; /* of the checker */
    size_t memory_bytes;
};

/* Reads the files the kind asks for. On failure the text in `why` names file and line. */
MUST_CHECK int judge_load(const struct judge_options *options, struct judge_input *input, char *why,
                          size_t why_bytes);
void judge_free(struct judge_input *input);

/* Writes what `svg` and `picture` of the options ask for; complains on standard error. */
MUST_CHECK int judge_picture(const struct judge_options *options, const struct judge_input *input,
                             const struct chk_report *report);

/* "put a = 5 @17": an operation for people. */
void judge_put_operation(struct buf *out, const struct chk_history *h, const struct chk_op *op);

/* One kind of checker; NULL name ends the table. `run` fails only on bad input, which it has
 * complained about on standard error. */
struct judge_kind {
    const char *name;
    const char *help;
    bool is_raw; /* reads the one file itself */
    int (*run)(const struct judge_options *options, struct judge_input *input,
               struct chk_report *report);
};
extern const struct judge_kind judge_kinds[];
const struct judge_kind *judge_kind_named(const char *name);

#endif
