/* SPDX-License-Identifier: Apache-2.0 */
/* The two stores of a quorum node on disk: the log (DATA/wal) and the state (DATA/store.mdb). Loop
 * thread; both have a storage thread of their own. */
#ifndef QUORATE_ARBITER_QUORATED_STORES_H
#define QUORATE_ARBITER_QUORATED_STORES_H

#include <semaphore.h>
#include <stdatomic.h>

#include "arbiter/quorated/settings.h"
#include "proto/io/loop.h"
#include "raft/port_snapshot.h"

struct wal_store;
struct env_lmdb;

struct quorated_stores {
    struct wal_store *log;
    struct env_lmdb *state;
    struct io_loop *loop;
    struct io_wake *log_wake;
    struct io_wake *state_wake;
    sem_t told; /* while the start waits for a job */
    atomic_bool is_waiting;
    bool is_open;
    bool is_closing; /* what is submitted now is dropped: one store may be gone already */
    struct store_port log_port, state_port;
    struct snapshot_port images;
    /* A store has failed: already logged; the process has to stop. */
    void (*failed)(void *ctx);
    void *ctx;
};

/* Whose store this is. */
struct quorated_ids {
    bool are_known;   /* false: an empty directory */
    bool has_members; /* the state says who belongs to the quorum */
    uint64_t cluster_id;
    uint64_t node_id;
};

/* Makes the directories, opens both stores, reads the ids; blocks. Refuses a directory whose log
 * lies inside of the state store. A BASE_E_* with why; call quorated_stores_close all the same. */
MUST_CHECK int quorated_stores_open(struct quorated_stores *stores, struct io_loop *loop,
                                    const struct quorated_settings *settings,
                                    struct quorated_ids *ret, struct io_why *why);
struct store_port quorated_stores_log(struct quorated_stores *stores);
struct store_port quorated_stores_state(struct quorated_stores *stores);
struct snapshot_port quorated_stores_snapshot(struct quorated_stores *stores);
/* Ends both storage threads after what was submitted, delivers the completions. */
void quorated_stores_close(struct quorated_stores *stores);
/* After the loop's last user is gone. */
void quorated_stores_free_wakes(struct quorated_stores *stores);

#endif
