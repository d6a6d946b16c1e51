/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as Prometheus reads them (text format 0.0.4): heads, names with labels, numbers. Every
 * program keeps its metrics in a table X(TYPE, NAME, ..., "HELP") and writes them with these; the
 * documentation is made from the same tables. Appends to a buf, whose is_full the caller looks at
 * once at the end. Pure; any thread. */
#ifndef QUORATE_BASE_METRIC_H
#define QUORATE_BASE_METRIC_H

#include "base/slice.h"

/* A row of a table as the documentation sees it. */
struct base_metric_row {
    const char *type;   /* gauge, counter, histogram */
    const char *name;   /* without labels */
    const char *labels; /* "cluster, member"; "" for none */
    const char *help;   /* one line */
};

/* A label and its value; lists end with a NULL name. */
struct base_metric_label {
    const char *name;
    const char *value; /* text; escaped */
};

/* # HELP and # TYPE, once per name, before its first value. */
void base_metric_head(struct buf *b, const char *type, const char *name, const char *help);
/* NAME SUFFIX {labels} and the blank behind them; labels may be NULL. */
void base_metric_name(struct buf *b, const char *name, const char *suffix,
                      const struct base_metric_label *labels);
/* The number and the end of the line. */
void base_metric_u64(struct buf *b, uint64_t value);
/* Microseconds, written as seconds with six digits. */
void base_metric_seconds(struct buf *b, uint64_t us);

#endif
