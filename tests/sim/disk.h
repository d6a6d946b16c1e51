/* SPDX-License-Identifier: Apache-2.0 */
/* One store of a quorum node: ordered tables behind the store port, one simulated storage thread. A
 * node has two: its log, and its state, which is lazy.
 *
 * Jobs run in order; a batch becomes durable when its sync ends. What was not durable at a crash is
 * gone, except that a batch that had been run, and the first of what waited for it, may have made
 * it, as drawn. A failed sync voids the batch and everything after it, for good: the process has to
 * stop. A hung disk syncs late. A lost disk comes back empty. A lazy store syncs for a change only
 * when a job waits for it, and otherwise some time later, all at once.
 */
#ifndef QUORATE_TESTS_SIM_DISK_H
#define QUORATE_TESTS_SIM_DISK_H

#include "raft/port_snapshot.h"
#include "raft/port_store.h"
#include "tests/sim/world.h"

struct disk;

/* `process` is the node whose loop hears the completions; `after` is called when some were told,
 * `failed` when the store has failed, also where no job waits: once, until a crash. */
struct disk *disk_open(struct world *w, unsigned node, const struct process *process,
                       void (*after)(void *ctx), void (*failed)(void *ctx, int status), void *ctx,
                       bool is_lazy);
void disk_close(struct disk *d);
struct store_port disk_port(struct disk *d);
/* Images of it: made, read and installed with some delay; a crash in the middle leaves the old
 * store or the new one. */
struct snapshot_port disk_snapshot_port(struct disk *d);
/* The process is gone: rolls back to what is durable and forgets the jobs. */
void disk_crash(struct disk *d);
/* Everything on it is lost. The process must be gone. */
void disk_wipe(struct disk *d);
/* The store as its open transaction sees it; for checkers and for images. */
struct store_txn *disk_txn(struct disk *d);
/* Of a state: the index of the last entry whose effect a crash would leave. */
uint64_t disk_durable_applied(const struct disk *d);
/* All submitted jobs are done and durable. */
bool disk_is_idle(const struct disk *d);
/* What was written through disk_txn becomes durable. The process must be gone. */
void disk_settle(struct disk *d);
void disk_hang_until(struct disk *d, int64_t until_us);
void disk_fail_next_sync(struct disk *d);
/* The n-th change from now on fails with an I/O error. */
void disk_fail_write(struct disk *d, uint64_t n);
/* Every change until then fails for want of room. */
void disk_full_until(struct disk *d, int64_t until_us);
/* All faults are over. */
void disk_heal(struct disk *d);

#endif
