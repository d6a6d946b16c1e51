/* SPDX-License-Identifier: Apache-2.0 */
/* The store port in memory: for unit tests, and as the simulated disk of a quorum node.
 *
 * Nothing happens by itself: jobs run when told, are committed when told, and completions are
 * delivered when told, so that a simulator can let a crash, a hang or a failure fall between any
 * two steps. A crash drops everything that was not committed, the queue and all completions; what
 * was committed stays and serves the next life. One thread.
 */
#ifndef QUORATE_RAFT_STORE_MEM_H
#define QUORATE_RAFT_STORE_MEM_H

#include "raft/port_snapshot.h"
#include "raft/port_store.h"

struct store_mem;

/* Empty store; NULL without memory. Destroy takes NULL, calls nothing, and returns NULL. */
struct store_mem *store_mem_create(void);
struct store_mem *store_mem_destroy(struct store_mem *mem);

/* The port to hand to raft/node.c and kv/service.c; valid as long as the store, also across
 * crashes. */
struct store_port store_mem_port(struct store_mem *mem);

/* Images of the store, in memory. Nothing happens by itself here either: each call waits until
 * store_mem_snapshot_step; its `done` comes with the next store_mem_complete. A crash forgets
 * images being made or received, and an installation that was not finished. */
struct snapshot_port store_mem_snapshot_port(struct store_mem *mem);
/* One step of the oldest call: an installation takes two, with the change of the store in the
 * second, and waits until all jobs submitted before it have run. False when there was none. */
bool store_mem_snapshot_step(struct store_mem *mem);
/* Calls not yet finished. */
size_t store_mem_snapshot_pending(const struct store_mem *mem);

/* Called once, from store_mem_complete, when the store has failed. */
void store_mem_on_fatal(struct store_mem *mem, void (*fatal)(void *ctx, int status), void *ctx);

/* Jobs submitted and not yet run; jobs run and not yet committed (readers apart); completions not
 * yet delivered. */
size_t store_mem_queued(const struct store_mem *mem);
size_t store_mem_uncommitted(const struct store_mem *mem);
size_t store_mem_ready(const struct store_mem *mem);

/* Runs the oldest queued job in the open transaction. Its completion is ready at once, or with the
 * next commit when it wants to be durable. False when there was none. */
bool store_mem_run_one(struct store_mem *mem);
/* Makes everything run so far durable; the completions waiting for it are ready. */
void store_mem_commit(struct store_mem *mem);
/* Delivers the completions that are ready at this moment, in order; returns how many. */
size_t store_mem_complete(struct store_mem *mem);
/* Runs, commits and completes until nothing is left to do, also what completions submit. For unit
 * tests. */
void store_mem_step(struct store_mem *mem);

/* Power loss: back to the last commit; no completion of this life will come. A failure is
 * forgotten. */
void store_mem_crash(struct store_mem *mem);

/* The n-th change of a row or commit from now on (1: the next) fails with `error` (BASE_E_NOSPACE,
 * BASE_E_IO ...): the open transaction is rolled back and all jobs in it and after it fail. 0 takes
 * it back. */
void store_mem_fail_at(struct store_mem *mem, uint64_t n, int error);

/* Looks at the store as the open transaction sees it; for checkers and tests. Writing through it
 * belongs to no job, and becomes durable with the next commit. */
struct store_txn *store_mem_txn(struct store_mem *mem);

#endif
