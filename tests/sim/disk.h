/* SPDX-License-Identifier: Apache-2.0 */
/* The disk of one quorum node: ordered tables behind the store port, one simulated storage thread.
 *
 * Jobs run in order; a batch becomes durable when its sync ends. What was not durable at a crash is
 * gone, except that a batch whose sync was under way may have made it, as drawn. A failed sync
 * voids the batch and everything after it, for good: the process has to stop. A hung disk syncs
 * late. A lost disk comes back empty.
 */
#ifndef QUORATE_TESTS_SIM_DISK_H
#define QUORATE_TESTS_SIM_DISK_H

#include "raft/port_store.h"
#include "tests/sim/world.h"

struct disk;

/* `process` is the node whose loop hears the completions; `after` is called when some were told. */
struct disk *disk_open(struct world *w, unsigned node, const struct process *process,
                       void (*after)(void *ctx), void *ctx);
void disk_close(struct disk *d);
struct store_port disk_port(struct disk *d);
/* The process is gone: rolls back to what is durable and forgets the jobs. */
void disk_crash(struct disk *d);
/* All submitted jobs are done and durable. */
bool disk_is_idle(const struct disk *d);
void disk_hang_until(struct disk *d, int64_t until_us);
void disk_fail_next_sync(struct disk *d);

#endif
