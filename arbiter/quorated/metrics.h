/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /metrics: Prometheus' format, etcd's names where the meaning is the same. Everything
 * is a table of figures that are read when asked for; nothing is counted here. Loop thread only. */
#ifndef QUORATE_ARBITER_QUORATED_METRICS_H
#define QUORATE_ARBITER_QUORATED_METRICS_H

#include "arbiter/quorated/pages.h"
#include "base/slice.h"

#define METRICS_MAX_BYTES \
    (256u << 10) /* of the text; with each method in each state it is less \
                  */

/* Appends the text; b->is_full when it did not fit. */
void quorated_metrics_put(const struct quorated_pages *pages, struct buf *b);

#endif
