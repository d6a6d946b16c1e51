/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /metrics: Prometheus' format, etcd's names where the meaning is the same. Everything
 * is a table of figures that are read when asked for; nothing is counted here. Loop thread only. */
#ifndef QUORATE_ARBITER_QUORATED_METRICS_H
#define QUORATE_ARBITER_QUORATED_METRICS_H

#include "arbiter/api/show.h"
#include "arbiter/quorated/pages.h"
#include "base/slice.h"

/* Room for the text; only what is used becomes memory. With 64 clusters of 16 members less. */
#define METRICS_MAX_BYTES (4u << 20)

/* Appends the text; b->is_full when it did not fit. */
void quorated_metrics_put(const struct quorated_pages *pages, struct buf *b);
/* metrics_databases.c: the part about database clusters; nothing where this node does not lead. */
void quorated_metrics_put_databases(const struct arb_driver *driver, struct buf *b);
/* metrics_mongodb.c: of those, what replica sets have beside. */
void quorated_metrics_put_mongodb(const struct arb_show *shows, size_t count, struct buf *b);

#endif
