/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of kv/lease.h, shared by lease.c (ends), lease_renew.c (renewals) and lease_table.c
 * (the table). Nobody else includes it. */
#ifndef QUORATE_KV_LEASE_INTERNAL_H
#define QUORATE_KV_LEASE_INTERNAL_H

#include "kv/lease.h"
#include "kv/service_internal.h"

#define CHECKPOINTS_MAX 512u /* leases in one entry */

/* --- the table: leases by id and by deadline --- */

struct lease {
    int64_t id;
    int64_t ttl; /* seconds */
    struct base_mono deadline;
    uint32_t heap_at;
    bool is_ending;       /* a revoke was proposed: no renewal before its outcome */
    bool is_checkpointed; /* the store says that less than the TTL is left, or may soon */
};

struct table {
    struct lease *items;
    uint32_t *heap;  /* places in items, the first deadline first */
    uint32_t *slots; /* place in items + 1 by id, 0: free; a power of two, at least twice as many */
    uint32_t count;
    uint32_t cap;
};

/* NULL: unknown. Pointers hold until the next table_add or table_remove. */
struct lease *table_find(const struct table *table, int64_t id);
/* NULL: no memory, or KV_LEASES_MAX. The id is not in it. */
struct lease *table_add(struct table *table, int64_t id, int64_t ttl, struct base_mono deadline);
void table_move(struct table *table, struct lease *lease, struct base_mono deadline);
void table_remove(struct table *table, struct lease *lease);
struct lease *table_first(const struct table *table);
/* Frees its memory. */
void table_clear(struct table *table);

/* --- the rest --- */

struct load_job {
    struct store_job job;
    struct kv_leases *leases;
    bool is_busy;
    bool is_wanted; /* begin anew */
    uint64_t term;
    uint64_t from;
    size_t count;
    struct kv_lease_row *rows;
};

struct confirming {
    struct raft_confirm confirm;
    struct kv_leases *leases;
    bool is_busy;
    struct base_mono at;
};

struct revoke {
    struct own_call own;
    struct kv_leases *leases;
    int64_t id;
};

struct checkpoint {
    struct own_call own;
    struct kv_leases *leases;
    size_t count;
    struct kv_lease_checkpoint items[CHECKPOINTS_MAX];
};

struct renewal_round {
    struct kv_barrier barrier;
    struct kv_leases *leases;
    bool is_busy;
    struct call_list calls;
};

struct kv_leases {
    struct kv_service *service;
    bool is_leader; /* and its first entry is applied */
    bool is_ready;  /* all leases have a deadline */
    uint64_t term;
    struct table table;
    struct load_job load;

    struct confirming confirming;
    struct base_mono confirmed_until; /* deadlines up to here may be acted on in this term */
    struct base_mono not_before;
    struct base_mono last_tick;
    int64_t tokens;
    struct revoke revokes[KV_LEASE_REVOKES_MAX];

    int64_t checkpoint_us;
    struct base_mono checkpoint_at;
    uint32_t checkpoint_next;
    struct checkpoint checkpoint;

    struct call_list waiting; /* for the deadlines to be known, or for a round */
    struct renewal_round round;
    struct call_list confirmed; /* may be renewed, and wait for a checkpoint to be taken back */
    struct call_list ending;    /* wait for the outcome of a revoke */
    struct call_list ttls;

    uint64_t expired;
    uint64_t renewed;
};

void renewals_open(struct kv_leases *leases);
void renewals_pump(struct kv_leases *leases);
void renewals_park(struct kv_leases *leases);
void renewals_gone(struct kv_leases *leases, int64_t id);
void renewals_tick(struct kv_leases *leases);
void ttls_release(struct kv_leases *leases);
/* Proposes checkpoint.items; false: not now. */
bool checkpoint_send(struct kv_leases *leases);

#endif
