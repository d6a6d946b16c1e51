/* SPDX-License-Identifier: Apache-2.0 */
/* Locks and elections, drawn at random; see lockers.h. A campaign is a lock with a value: its
 * Proclaim and Resign are not asked for. */
#include "tests/sim/lockers.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/recipe.h"
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"
#include "tests/sim/chores.h"
#include "tests/sim/nodes.h"
#include "tests/sim/rpc_stub.h"
#include "tests/sim/truth.h"

#define LOCKERS 5
#define NAMES 2 /* "@0", a lock, and "@1", an election */
#define ALIVE_MAX 64
#define KEY_MAX 40

static const char *const names[NAMES] = {"the lock", "the election"};

enum stage {
    STAGE_NONE,  /* has no lease */
    STAGE_READY, /* has one, and wants the lock */
    STAGE_WAITS,
    STAGE_HOLDS,
    STAGE_LEAVES, /* revokes the lease */
};

struct locker {
    struct world *world;
    unsigned index;
    struct base_rand rand;
    enum stage stage;
    bool is_forgetful; /* does not renew any more */
    struct kv_call ask;
    struct kv_request request;
    bool is_asking;
    int64_t asked_us;
    int64_t lease, ttl, safe_until_us, next_renewal_us, leave_us;
    struct rpc_call call;
    bool is_calling;
    unsigned name; /* which one it wants */
    uint8_t key[KEY_MAX];
    size_t key_len;
};

struct lock_node {
    struct rpc_registry registry;
    struct recipes *recipes; /* NULL: down */
    const struct host_clock *clock;
};

struct alive {
    struct slice key;
    int64_t created;
};

struct lockers {
    struct locker list[LOCKERS];
    struct lock_node nodes[NODES_MAX];
    uint64_t last_call;
    size_t followed; /* changes of the truth */
    struct alive alive[ALIVE_MAX];
    size_t alive_count;
};

/* --- the truth: which keys of locks are there --- */

static void follow(struct lockers *l, const struct chk_changes *changes)
{
    for (; l->followed < changes->count; l->followed++) {
        const struct chk_change *c = &changes->items[l->followed];
        size_t at = 0;
        if (c->key.len == 0 || c->key.data[0] != LOCKER_KEYS) {
            continue;
        }
        while (at < l->alive_count && !slice_equal(l->alive[at].key, c->key)) {
            at++;
        }
        if (c->is_delete && at < l->alive_count) {
            l->alive[at] = l->alive[--l->alive_count];
        } else if (!c->is_delete && at == l->alive_count) {
            BASE_ASSERT(at < ALIVE_MAX);
            l->alive[l->alive_count++] = (struct alive){c->key, c->revision};
        }
    }
}

static bool was_there(const struct chk_changes *changes, struct slice key, int64_t revision)
{
    for (size_t i = changes->count; i > 0; i--) {
        const struct chk_change *c = &changes->items[i - 1];
        if (c->revision <= revision && slice_equal(c->key, key)) {
            return !c->is_delete;
        }
    }
    return false;
}

/* revision: that of the answer; 0: of an election, which tells an older one. */
static void is_first(struct locker *k, int64_t revision)
{
    struct world *w = k->world;
    struct lockers *l = w->lockers;
    struct slice key = slice_from(k->key, k->key_len);
    const struct alive *mine = NULL;
    follow(l, truth_changes(w));
    for (size_t i = 0; i < l->alive_count; i++) {
        mine = slice_equal(l->alive[i].key, key) ? &l->alive[i] : mine;
    }
    if (revision != 0 && !was_there(truth_changes(w), key, revision)) {
        world_fail(w, INVARIANT_LOCK_TURN,
                   "locker %u is told at revision %ld that %s is his, and his key was not there "
                   "then",
                   k->index, (long)revision, names[k->name]);
    }
    for (size_t i = 0; mine != NULL && i < l->alive_count; i++) {
        const struct alive *other = &l->alive[i];
        if (other->key.data[1] == key.data[1] && other->created < mine->created) {
            world_fail(w, INVARIANT_LOCK_TURN,
                       "locker %u is told that %s is his, in line since revision %ld, and "
                       "somebody is there since %ld",
                       k->index, names[k->name], (long)mine->created, (long)other->created);
        }
    }
}

/* One whose own promise is over by the time he hears knows that it may be somebody else's by now.
 */
static void is_only_one(const struct locker *k)
{
    struct world *w = k->world;
    for (unsigned i = 0; i < LOCKERS && w->now_us < k->safe_until_us; i++) {
        const struct locker *other = &w->lockers->list[i];
        if (other != k && other->stage == STAGE_HOLDS && other->name == k->name &&
            w->now_us < other->safe_until_us) {
            world_fail(w, INVARIANT_LOCK_ONE,
                       "locker %u is told that %s is his, and it is locker %u's, whose "
                       "lease is promised for %ld us more",
                       k->index, names[k->name], i, (long)(other->safe_until_us - w->now_us));
        }
    }
}

/* --- locks --- */

static void told(struct locker *k, struct slice message)
{
    static _Alignas(16) uint8_t memory[4096];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_lock_response lock = {0};
    struct kv_campaign_response won = {0};
    bool is_lock = k->name == 0;
    int rc = is_lock ? wire_pb_decode(&wire_kv_lock_response_table, message, &arena, &lock)
                     : wire_pb_decode(&wire_kv_campaign_response_table, message, &arena, &won);
    struct slice key = is_lock ? lock.key : won.leader.key;
    BASE_ASSERT(rc == 0 && key.len <= KEY_MAX);
    memcpy(k->key, key.data, key.len);
    k->key_len = key.len;
    is_first(k, is_lock ? lock.header.revision : 0);
    is_only_one(k);
    k->world->tally.locks++;
    k->stage = STAGE_HOLDS;
    k->leave_us = k->world->now_us + draw(&k->rand, 50 * MS, 3 * SECOND);
}

static void answered(void *user, struct rpc_call *call, bool is_ok, struct slice message)
{
    struct world *w = user;
    for (unsigned i = 0; i < LOCKERS; i++) {
        struct locker *k = &w->lockers->list[i];
        if (call == &k->call) {
            k->is_calling = false;
            unsigned what = !is_ok ? 2 : k->stage == STAGE_LEAVES ? 5 : 1;
            trace(w, TRACE_LOCK, i, k->name, what, (uint64_t)k->lease);
            if (k->stage == STAGE_WAITS) {
                k->stage = STAGE_LEAVES; /* what was put for him may be taken back late */
                if (is_ok) {
                    told(k, message);
                }
            }
        }
    }
}

/* A node that takes requests; -1: none just now. */
static int draw_node(struct locker *k)
{
    struct world *w = k->world;
    unsigned node = (unsigned)draw(&k->rand, 0, w->setup.slots - 1);
    bool is_there = node_raft(w, node) != NULL && node_process(w, node)->stopped == 0;
    return is_there ? (int)node : -1;
}

static void call(struct locker *k, unsigned node, const char *path, struct slice message)
{
    struct lockers *l = k->world->lockers;
    k->is_calling = true;
    stub_clock(k->world, l->nodes[node].clock);
    stub_begin(&l->nodes[node].registry, &k->call, ++l->last_call, path, message);
}

static void want(struct locker *k, unsigned node)
{
    uint8_t room[128];
    struct buf out = buf_over(room, sizeof(room));
    struct slice name = slice_from_text(k->name == 0 ? "@0" : "@1");
    const struct kv_lock lock = {.name = name, .lease = k->lease};
    const struct kv_campaign campaign = {.name = name, .lease = k->lease, .value = name};
    BASE_ASSERT((k->name == 0 ? wire_pb_encode(&wire_kv_lock_table, &lock, &out)
                              : wire_pb_encode(&wire_kv_campaign_table, &campaign, &out)) == 0);
    trace(k->world, TRACE_LOCK, k->index, k->name, 0, (uint64_t)k->lease);
    k->stage = STAGE_WAITS;
    k->leave_us = k->world->now_us + draw(&k->rand, SECOND, 12 * SECOND);
    call(k, node, k->name == 0 ? "/v3lockpb.Lock/Lock" : "/v3electionpb.Election/Campaign",
         buf_slice(&out));
}

static void give_up(struct locker *k)
{
    trace(k->world, TRACE_LOCK, k->index, k->name, 3, (uint64_t)k->lease);
    k->is_calling = false;
    stub_cancel(&k->call);
    k->stage = STAGE_LEAVES;
}

/* Whether it is heard or not, the lock may go to somebody else from now on. */
static void unlock(struct locker *k, unsigned node)
{
    uint8_t room[128];
    struct buf out = buf_over(room, sizeof(room));
    const struct kv_unlock request = {.key = slice_from(k->key, k->key_len)};
    k->stage = STAGE_LEAVES;
    trace(k->world, TRACE_LOCK, k->index, k->name, 4, (uint64_t)k->lease);
    if (!chance(&k->rand, 600000)) {
        return; /* the lease goes, and the lock with it */
    }
    BASE_ASSERT(wire_pb_encode(&wire_kv_unlock_table, &request, &out) == 0);
    call(k, node, "/v3lockpb.Lock/Unlock", buf_slice(&out));
}

/* --- leases --- */

static void lease_answered(struct kv_call *kv, enum kv_error error, struct slice response)
{
    static _Alignas(16) uint8_t memory[8192];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct locker *k = kv->user;
    enum kv_kind kind = (enum kv_kind)k->request.kind;
    struct kv_response decoded;
    k->is_asking = false;
    if (kind == KV_KIND_LEASE_REVOKE) {
        k->stage = error == KV_OK || error == KV_E_LEASE_NOT_FOUND ? STAGE_NONE : k->stage;
        return;
    }
    if (error != KV_OK) {
        return;
    }
    BASE_ASSERT(kv_wire_decode_response(kind, response, &arena, &decoded) == 0);
    int64_t ttl = kind == KV_KIND_LEASE_GRANT ? decoded.lease_grant.ttl : decoded.keep_alive.ttl;
    int64_t safe = truth_lease_told(k->world, k->lease, k->asked_us, ttl);
    if (ttl <= 0) { /* it has run out; who waits in line will be told so */
        k->stage = k->stage == STAGE_WAITS ? k->stage : STAGE_NONE;
        return;
    }
    k->safe_until_us = safe;
    k->ttl = ttl;
    k->next_renewal_us = k->world->now_us + ttl * SECOND / 4;
    if (kind == KV_KIND_LEASE_GRANT) {
        k->stage = STAGE_READY;
        k->is_forgetful = chance(&k->rand, 300000);
        k->name = (unsigned)draw(&k->rand, 0, NAMES - 1);
    }
}

static void ask(struct locker *k, unsigned node, enum kv_kind kind)
{
    struct world *w = k->world;
    k->request = (struct kv_request){.kind = (uint32_t)kind, .lease_id.id = k->lease};
    if (kind == KV_KIND_LEASE_GRANT) {
        k->lease = chores_new_lease(w);
        k->safe_until_us = 0;
        k->request = (struct kv_request){.kind = (uint32_t)kind};
        k->request.lease_grant =
            (struct kv_lease_grant){.ttl = draw(&k->rand, 2, 6), .id = k->lease};
    }
    k->ask = (struct kv_call){.request = &k->request, .user = k, .done = lease_answered};
    k->asked_us = w->now_us;
    k->is_asking = true;
    if (node_ask(w, node, &k->ask) != KV_OK) {
        k->is_asking = false;
    } else if (kind == KV_KIND_LEASE_REVOKE) {
        truth_lease_asked(w, k->lease, true);
    }
}

/* --- life --- */

static void act(struct locker *k, unsigned node)
{
    int64_t now_us = k->world->now_us;
    bool is_due = now_us >= k->next_renewal_us && !k->is_forgetful;
    if (k->stage == STAGE_NONE && !k->is_asking) {
        ask(k, node, KV_KIND_LEASE_GRANT);
    } else if (k->stage == STAGE_LEAVES && !k->is_asking && !k->is_calling) {
        ask(k, node, KV_KIND_LEASE_REVOKE);
    } else if (k->stage == STAGE_WAITS && now_us > k->leave_us) {
        give_up(k);
    } else if (k->stage == STAGE_HOLDS && now_us > k->leave_us && !k->is_calling) {
        unlock(k, node);
    } else if (k->stage != STAGE_LEAVES && is_due && !k->is_asking) {
        ask(k, node, KV_KIND_LEASE_KEEP_ALIVE);
    } else if (k->stage == STAGE_READY && !k->is_calling) {
        want(k, node);
    }
}

static void locker_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct locker *k = ctx;
    (void)number;
    (void)bytes;
    world_at(k->world, k->world->now_us + draw(&k->rand, 20 * MS, 200 * MS), NULL, locker_tick, k);
    int node = draw_node(k);
    if (node >= 0) {
        act(k, (unsigned)node);
    }
}

void lockers_node_up(struct world *w, unsigned node, struct kv_service *service,
                     struct kv_watch_hub *hub, const struct host_clock *clock)
{
    struct lock_node *n = &w->lockers->nodes[node];
    struct recipes_options options = {.registry = &n->registry, .service = service, .hub = hub};
    if (w->setup.has_locks) {
        n->registry = (struct rpc_registry){.user = w, .answered = answered};
        n->clock = clock;
        BASE_ASSERT(recipes_new(&options, &n->recipes) == 0);
    }
}

/* Nobody hears anything of it any more, and nothing is taken back. */
void lockers_node_falls(struct world *w, unsigned node)
{
    struct lock_node *n = &w->lockers->nodes[node];
    while (n->recipes != NULL && n->registry.calls != NULL) {
        struct rpc_call *gone = n->registry.calls;
        struct recipe *recipe = gone->user;
        recipe->has_key = false;
        stub_clock(w, n->clock);
        stub_cancel(gone);
        for (unsigned i = 0; i < LOCKERS; i++) {
            struct locker *k = &w->lockers->list[i];
            if (gone == &k->call) {
                k->is_calling = false;
                k->stage = k->stage == STAGE_WAITS ? STAGE_READY : k->stage;
            }
        }
    }
}

void lockers_node_down(struct world *w, unsigned node)
{
    struct lock_node *n = &w->lockers->nodes[node];
    BASE_ASSERT(n->recipes == NULL || recipes_count(n->recipes) == 0);
    n->recipes = recipes_free(n->recipes);
}

void lockers_pump(struct world *w, unsigned node)
{
    if (w->lockers->nodes[node].recipes != NULL) {
        stub_clock(w, w->lockers->nodes[node].clock);
        recipes_pump(w->lockers->nodes[node].recipes);
    }
}

void lockers_open(struct world *w)
{
    struct lockers *l = w->lockers = must_alloc(1, sizeof(*l));
    for (unsigned i = 0; i < LOCKERS && w->setup.has_locks; i++) {
        struct locker *k = &l->list[i];
        k->world = w;
        k->index = i;
        k->rand = world_stream(w, STREAM_LOCKS, i);
        world_at(w, w->now_us + 2 * SECOND, NULL, locker_tick, k);
    }
}

void lockers_close(struct world *w)
{
    free(w->lockers);
    w->lockers = NULL;
}
