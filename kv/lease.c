/* SPDX-License-Identifier: Apache-2.0 */
/* When leases end: the table of deadlines, and who is revoked; see lease.h. Renewals are in
 * lease_renew.c. */
#include "kv/lease.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "kv/core/lease.h"
#include "kv/lease_internal.h"

#define LOAD_ROWS 2048u
#define STALL_US INT64_C(2000000)  /* a tick so late: whatever came meanwhile goes first */
#define RETRY_US INT64_C(1000000)  /* a revoke that came to nothing */
#define REVOKE_US INT64_C(5000000) /* its deadline */
#define SPREAD_ABOVE 1000u         /* leases of a new leader, whose ends are spread then */
#define SPREAD_US 1000             /* from one to the next */
#define TOKENS_MAX 500

/* --- roles --- */

static void clear(struct kv_leases *leases)
{
    table_clear(&leases->table);
    leases->is_ready = false;
    leases->confirmed_until = BASE_MONO_LONG_AGO;
}

static int64_t election_us(const struct kv_leases *leases)
{
    uint32_t ms = leases->service->options.election_max_ms;
    return (ms == 0 ? 1000 : (int64_t)ms) * 1000;
}

static void load_next(struct kv_leases *leases)
{
    leases->load.is_busy = true;
    leases->load.count = 0;
    leases->service->options.store.submit(leases->service->options.store.ctx, &leases->load.job);
}

static void load_begin(struct kv_leases *leases)
{
    clear(leases);
    leases->load.from = 0;
    leases->load.term = leases->term;
    if (leases->load.rows == NULL) {
        leases->load.rows = calloc(LOAD_ROWS, sizeof(*leases->load.rows));
    }
    if (leases->load.rows == NULL || leases->load.is_busy) {
        leases->load.is_wanted =
            true; /* the job under way ends first; without memory a later tick */
        return;
    }
    leases->load.is_wanted = false;
    load_next(leases);
}

static int load_row(void *ctx, const struct kv_lease_row *row)
{
    struct load_job *load = ctx;
    load->rows[load->count++] = *row;
    return load->count == LOAD_ROWS;
}

static int load_run(struct store_job *job, struct store_txn *txn)
{
    struct load_job *load = (struct load_job *)job; /* its first member */
    return kv_lease_each(txn, load->from, load_row, load);
}

static void load_end(struct kv_leases *leases)
{
    leases->is_ready = true;
    leases->checkpoint_at = base_mono_add_us(clock_of(leases->service), leases->checkpoint_us);
    free(leases->load.rows);
    leases->load.rows = NULL;
    renewals_pump(leases);
    ttls_release(leases);
}

/* Full time, or what was left at the last checkpoint, and time for the clients to find the new
 * leader; where many would end at once, one after the other. */
static void load_take(struct kv_leases *leases)
{
    const struct load_job *load = &leases->load;
    struct base_mono now = clock_of(leases->service);
    for (size_t i = 0; i < load->count; i++) {
        const struct kv_lease_row *row = &load->rows[i];
        int64_t spread = leases->table.count > SPREAD_ABOVE
                             ? (int64_t)(leases->table.count - SPREAD_ABOVE) * SPREAD_US
                             : 0;
        int64_t left = row->remaining > 0 ? row->remaining : row->ttl;
        if (row->remaining > 0) {
            MARK(LEASE_FROM_CHECKPOINT);
        }
        left = CANARY(LEASE_SHORTENED) ? left / 2 : left;
        struct base_mono deadline =
            base_mono_add_us(now, left * BASE_US_PER_S + election_us(leases) + spread);
        struct lease *lease = table_find(&leases->table, row->id);
        if (lease == NULL) {
            lease = table_add(&leases->table, row->id, row->ttl, deadline);
        }
        if (lease != NULL) {
            lease->is_checkpointed = row->remaining > 0;
        }
    }
}

static void load_done(struct store_job *job, int status)
{
    struct load_job *load = (struct load_job *)job;
    struct kv_leases *leases = load->leases;
    load->is_busy = false;
    if (status != 0 || leases->service->is_halted || !leases->is_leader) {
        return;
    }
    if (load->is_wanted || load->term != leases->term) {
        load_begin(leases);
        return;
    }
    load_take(leases);
    bool is_end = load->count < LOAD_ROWS;
    if (!is_end) {
        uint64_t last = (uint64_t)load->rows[load->count - 1].id;
        is_end = last == UINT64_MAX;
        load->from = last + 1;
    }
    if (is_end) {
        load_end(leases);
    } else {
        load_next(leases);
    }
}

void kv_leases_role_changed(struct kv_leases *leases)
{
    struct raft_node_status status = status_of(leases->service);
    bool is_leader = status.role == RAFT_LEADER && status.has_applied_own_term;
    bool was_same = leases->is_leader && leases->term == status.term;
    leases->term = status.term;
    leases->is_leader = is_leader;
    if (!is_leader) {
        leases->is_leader = false;
        if (!CANARY(EXPIRE_ON_WAKING)) {
            clear(leases);
        }
        renewals_park(leases);
    } else if (!was_same) {
        leases->last_tick = clock_of(leases->service);
        load_begin(leases);
    }
}

void kv_leases_restored(struct kv_leases *leases)
{
    if (leases->is_leader) {
        load_begin(leases);
    }
}

/* --- what entries do --- */

void kv_leases_granted(struct kv_leases *leases, int64_t id, int64_t ttl)
{
    if (!leases->is_leader) {
        return;
    }
    struct base_mono deadline = base_mono_add_us(clock_of(leases->service), ttl * BASE_US_PER_S);
    struct lease *lease = table_find(&leases->table, id);
    if (lease == NULL) {
        (void)table_add(&leases->table, id, ttl, deadline); /* without memory: until a new leader */
    } else {
        lease->ttl = ttl;
        table_move(&leases->table, lease, deadline);
    }
}

void kv_leases_revoked(struct kv_leases *leases, int64_t id)
{
    struct lease *lease = table_find(&leases->table, id);
    if (lease != NULL) {
        table_remove(&leases->table, lease);
    }
    renewals_gone(leases, id);
}

/* --- expiry --- */

static struct revoke *revoke_free(struct kv_leases *leases)
{
    for (size_t i = 0; i < KV_LEASE_REVOKES_MAX; i++) {
        if (!leases->revokes[i].own.is_busy) {
            return &leases->revokes[i];
        }
    }
    return NULL;
}

/* Proposes the end of one lease. False: not now. */
static bool revoke_send(struct kv_leases *leases, struct lease *lease, struct base_mono now)
{
    struct revoke *revoke = revoke_free(leases);
    if (revoke == NULL) {
        return false;
    }
    uint64_t guard = CANARY(EXPIRE_ON_WAKING) ? 0 : leases->term;
    revoke->id = lease->id;
    revoke->own.request =
        (struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = lease->id};
    if (own_submit(&revoke->own, guard, base_mono_add_us(now, REVOKE_US)) != KV_OK) {
        return false;
    }
    lease->is_ending = true;
    /* out of the way until its outcome is known */
    table_move(&leases->table, lease, base_mono_add_us(now, REVOKE_US + RETRY_US));
    return true;
}

static void revokes_send(struct kv_leases *leases, struct base_mono now)
{
    struct lease *lease = table_first(&leases->table);
    while (lease != NULL && leases->tokens > 0 &&
           !base_mono_before(leases->confirmed_until, lease->deadline)) {
        if (!revoke_send(leases, lease, now)) {
            return;
        }
        leases->tokens--;
        lease = table_first(&leases->table);
    }
}

static void revoke_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct revoke *revoke = (struct revoke *)call; /* its first member, and that one's */
    struct kv_leases *leases = revoke->leases;
    (void)response;
    revoke->own.is_busy = false;
    struct lease *lease = table_find(&leases->table, revoke->id);
    if (error == KV_OK) {
        leases->expired++; /* kv_leases_revoked has seen to the rest */
    } else if (error == KV_E_LEASE_NOT_FOUND) {
        kv_leases_revoked(leases, revoke->id); /* somebody else was first */
    } else if (lease != NULL) {
        MARK(LEASE_REVOKE_UNKNOWN);
        /* Unknown or refused: it may still be applied, so no renewal gets through. Again later. */
        table_move(&leases->table, lease, base_mono_add_us(clock_of(leases->service), RETRY_US));
        return;
    }
    if (leases->is_ready && leases->is_leader) {
        revokes_send(leases, clock_of(leases->service)); /* the next of those confirmed */
    }
}

static void confirm_done(struct raft_confirm *confirm, int status)
{
    struct confirming *confirming = (struct confirming *)confirm; /* its first member */
    struct kv_leases *leases = confirming->leases;
    confirming->is_busy = false;
    if (status != 0 || !leases->is_leader || confirm->term != leases->term) {
        MARK(LEASE_CONFIRM_LOST);
        return; /* somebody else decides now */
    }
    leases->confirmed_until = confirming->at;
    revokes_send(leases, clock_of(leases->service));
}

/* This node is due to end something: first it finds out whether it still leads. */
static void confirm_begin(struct kv_leases *leases, struct base_mono now)
{
    struct confirming *confirming = &leases->confirming;
    if (CANARY(EXPIRE_ON_WAKING)) {
        leases->confirmed_until = now;
        revokes_send(leases, now);
        return;
    }
    if (confirming->is_busy) {
        return;
    }
    confirming->at = now;
    confirming->is_busy =
        raft_node_confirm(leases->service->options.node, &confirming->confirm) == 0;
}

static void tokens_fill(struct kv_leases *leases, struct base_mono now)
{
    int64_t passed = base_mono_diff_us(now, leases->last_tick);
    int64_t more = passed * KV_LEASE_REVOKES_PER_S / BASE_US_PER_S;
    leases->tokens = more > TOKENS_MAX - leases->tokens ? TOKENS_MAX : leases->tokens + more;
}

static void expire(struct kv_leases *leases, struct base_mono now)
{
    const struct lease *first = table_first(&leases->table);
    if (base_mono_before(now, leases->not_before) || first == NULL ||
        base_mono_before(now, first->deadline)) {
        return;
    }
    revokes_send(leases, now); /* what was confirmed and had no room */
    first = table_first(&leases->table);
    if (first != NULL && !base_mono_before(now, first->deadline)) {
        confirm_begin(leases, now);
    }
}

/* --- checkpoints --- */

static void checkpoint_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct checkpoint *checkpoint = (struct checkpoint *)call;
    struct kv_leases *leases = checkpoint->leases;
    (void)response;
    checkpoint->own.is_busy = false;
    for (size_t i = 0; i < checkpoint->count && error == KV_OK; i++) {
        struct lease *lease = table_find(&leases->table, checkpoint->items[i].id);
        if (lease != NULL) {
            lease->is_checkpointed = checkpoint->items[i].remaining_ttl > 0;
        }
    }
    renewals_pump(leases);
}

bool checkpoint_send(struct kv_leases *leases)
{
    struct checkpoint *checkpoint = &leases->checkpoint;
    struct base_mono deadline = base_mono_add_us(clock_of(leases->service), REVOKE_US);
    checkpoint->own.request = (struct kv_request){.kind = KV_KIND_LEASE_CHECKPOINT};
    checkpoint->own.request.checkpoints.checkpoints =
        (struct kv_lease_checkpoint_list){checkpoint->items, checkpoint->count};
    return checkpoint->count > 0 && own_submit(&checkpoint->own, leases->term, deadline) == KV_OK;
}

/* Writes down what is left of leases that have long to go, some at a time. */
static void checkpoint_tick(struct kv_leases *leases, struct base_mono now)
{
    struct checkpoint *checkpoint = &leases->checkpoint;
    struct table *table = &leases->table;
    if (checkpoint->own.is_busy || base_mono_before(now, leases->checkpoint_at)) {
        return;
    }
    checkpoint->count = 0;
    while (leases->checkpoint_next < table->count && checkpoint->count < CHECKPOINTS_MAX) {
        struct lease *lease = &table->items[leases->checkpoint_next++];
        int64_t left = base_mono_diff_us(lease->deadline, now);
        int64_t seconds = (left + BASE_US_PER_S - 1) / BASE_US_PER_S;
        if (!lease->is_ending && left > leases->checkpoint_us && seconds < lease->ttl) {
            checkpoint->items[checkpoint->count++] =
                (struct kv_lease_checkpoint){lease->id, seconds};
            lease->is_checkpointed = true; /* from now on, as it may stand in the log for all that
                                              becomes of this call */
        }
    }
    (void)checkpoint_send(leases); /* one that cannot be sent is due again next time */
    if (leases->checkpoint_next >= table->count) {
        leases->checkpoint_next = 0;
        leases->checkpoint_at = base_mono_add_us(now, leases->checkpoint_us);
    }
}

/* --- time, opening, figures --- */

void kv_leases_tick(struct kv_leases *leases)
{
    struct base_mono now = clock_of(leases->service);
    renewals_tick(leases);
    if (!leases->is_ready) {
        if (leases->is_leader && leases->load.is_wanted && !leases->load.is_busy) {
            load_begin(leases);
        }
        leases->last_tick = now;
        return;
    }
    if (base_mono_diff_us(now, leases->last_tick) > STALL_US && !CANARY(EXPIRE_ON_WAKING)) {
        MARK(LEASE_STOOD_STILL);
        /* It stood still: renewals that came meanwhile are still to be read. */
        leases->not_before = base_mono_add_us(now, election_us(leases));
    }
    tokens_fill(leases, now);
    leases->last_tick = now;
    expire(leases, now);
    if (leases->is_leader) {
        checkpoint_tick(leases, now);
    }
}

int kv_leases_open(struct kv_service *service, struct kv_leases **ret)
{
    struct kv_leases *leases = calloc(1, sizeof(*leases));
    if (leases == NULL) {
        return BASE_E_NOMEM;
    }
    int64_t wanted_us = service->options.lease_checkpoint_us;
    leases->service = service;
    leases->checkpoint_us = wanted_us > 0 ? wanted_us : KV_LEASE_CHECKPOINT_US;
    leases->load.leases = leases;
    leases->load.job = (struct store_job){.run = load_run, .done = load_done, .is_read_only = true};
    leases->confirming.leases = leases;
    leases->confirming.confirm.done = confirm_done;
    leases->checkpoint.leases = leases;
    leases->checkpoint.own.service = service;
    leases->checkpoint.own.call.done = checkpoint_done;
    for (size_t i = 0; i < KV_LEASE_REVOKES_MAX; i++) {
        leases->revokes[i].leases = leases;
        leases->revokes[i].own.service = service;
        leases->revokes[i].own.call.done = revoke_done;
    }
    leases->not_before = BASE_MONO_LONG_AGO;
    renewals_open(leases);
    clear(leases);
    *ret = leases;
    return 0;
}

void kv_leases_close(struct kv_leases *leases)
{
    table_clear(&leases->table);
    free(leases->load.rows);
    free(leases);
}

int64_t kv_leases_remaining(const struct kv_leases *leases, int64_t id)
{
    const struct lease *lease = table_find(&leases->table, id);
    if (!leases->is_ready || !leases->is_leader) {
        return KV_LEASE_NOT_KEPT;
    }
    if (lease == NULL) {
        return -1;
    }
    int64_t left = base_mono_diff_us(lease->deadline, clock_of(leases->service));
    return left < 0 || lease->is_ending ? 0 : left / BASE_US_PER_S;
}

struct kv_leases_stats kv_leases_stats(const struct kv_leases *leases)
{
    return (struct kv_leases_stats){
        .count = leases->table.count, .expired = leases->expired, .renewed = leases->renewed};
}
