/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and compaction, drawn at random; see chores.h. */
#include "tests/sim/chores.h"

#include <stdlib.h>

#include "base/assert.h"
#include "proto/port_net.h"
#include "proto/wire/kv.h"
#include "proto/wire/raft.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"

#define KEEPERS 4
#define KEYS 12
#define SMALL_FRAME 256u

/* A client that has one lease after the other, puts keys under it, and lets it run out or revokes
 * it; the last one compacts. */
struct keeper {
    struct world *world;
    struct base_rand rand;
    struct kv_call call;
    struct kv_request request;
    bool is_waiting;
    bool is_keeping; /* has a lease */
    int64_t lease;
    int64_t ttl;
    int64_t sent_us;
    uint64_t sent_term; /* the highest that had a leader then */
    int64_t leave_us;   /* it is not renewed any more from then on */
    char key[2];
};

struct chores {
    struct keeper keepers[KEEPERS + 1];
    struct keeper late; /* asks for another renewal when the end is on its way already */
    int64_t next_lease;
};

static bool is_compacting(const struct keeper *k)
{
    return k == &k->world->chores->keepers[KEEPERS];
}

/* --- answers --- */

/* Of a grant or a renewal: ttl and who has given it. */
static int64_t told_ttl(const struct keeper *k, enum kv_kind kind, struct slice response)
{
    static _Alignas(16) uint8_t memory[8192];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response decoded;
    BASE_ASSERT(kv_wire_decode_response(kind, response, &arena, &decoded) == 0);
    if (kind == KV_KIND_LEASE_GRANT) {
        return decoded.lease_grant.ttl;
    }
    truth_lease_renewer(k->world, k->lease, decoded.keep_alive.header.raft_term, k->sent_term);
    return decoded.keep_alive.ttl;
}

static void done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct keeper *k = call->user;
    enum kv_kind kind = (enum kv_kind)k->request.kind;
    k->is_waiting = false;
    k->world->tally.chores += error == KV_OK;
    trace(k->world, TRACE_MARK, 30, kind, error, (uint64_t)k->lease);
    if (kind == KV_KIND_LEASE_REVOKE && (error == KV_OK || error == KV_E_LEASE_NOT_FOUND)) {
        k->is_keeping = false;
    }
    if (error != KV_OK || (kind != KV_KIND_LEASE_GRANT && kind != KV_KIND_LEASE_KEEP_ALIVE)) {
        return;
    }
    int64_t ttl = told_ttl(k, kind, response);
    truth_lease_told(k->world, k->lease, k->sent_us, ttl);
    k->is_keeping = ttl > 0;
    k->ttl = ttl;
}

/* --- what is asked for --- */

static void draw_grant(struct keeper *k)
{
    k->lease = ++k->world->chores->next_lease;
    k->leave_us = k->world->now_us + draw(&k->rand, SECOND, 30 * SECOND);
    k->request.kind = KV_KIND_LEASE_GRANT;
    k->request.lease_grant = (struct kv_lease_grant){.ttl = draw(&k->rand, 1, 8), .id = k->lease};
}

static void draw_put(struct keeper *k)
{
    k->key[0] = '~'; /* no key of the checked clients */
    k->key[1] = (char)('a' + draw(&k->rand, 0, KEYS - 1));
    k->request.kind = KV_KIND_PUT;
    k->request.put = (struct kv_put){
        .key = slice_from(k->key, 2), .value = slice_from(k->key, 2), .lease = k->lease};
}

/* Where a delete is the last of the kept revisions, what is kept of it matters most. */
static int64_t draw_compaction(struct keeper *k)
{
    const struct chk_changes *changes = truth_changes(k->world);
    size_t at = changes->count;
    if (at > 0 && chance(&k->rand, 500000)) {
        at = (size_t)draw(&k->rand, (int64_t)(at > 150 ? at - 150 : 0), (int64_t)at - 1);
        while (at > 0 && !changes->items[at].is_delete) {
            at--;
        }
        return changes->items[at].revision;
    }
    return truth_revision(k->world) - draw(&k->rand, 0, 300);
}

/* False: nothing to do just now. */
static bool draw_request(struct keeper *k)
{
    int64_t what = draw(&k->rand, 0, 99);
    k->request = (struct kv_request){0};
    if (is_compacting(k)) {
        k->request.kind = KV_KIND_COMPACT;
        k->request.compact.revision = draw_compaction(k);
        return true;
    }
    if (!k->is_keeping) {
        draw_grant(k);
    } else if (what < 40) {
        draw_put(k);
    } else if (k->world->now_us > k->leave_us) {
        k->is_keeping = what < 80; /* else it is left to its end */
        k->request.kind = KV_KIND_LEASE_REVOKE;
        k->request.lease_id.id = k->lease;
        return what >= 70 && k->is_keeping;
    } else {
        k->request.kind = KV_KIND_LEASE_KEEP_ALIVE;
        k->request.lease_id.id = k->lease;
    }
    return true;
}

static void ask(struct keeper *k, unsigned node)
{
    struct world *w = k->world;
    bool is_revoke = k->request.kind == KV_KIND_LEASE_REVOKE;
    k->call = (struct kv_call){.request = &k->request, .user = k, .done = done};
    k->sent_us = w->now_us;
    k->sent_term = truth_term(w);
    k->is_waiting = true;
    if (node_ask(w, node, &k->call) != KV_OK) {
        k->is_waiting = false;
    } else if (is_revoke) {
        truth_lease_asked(w, k->lease, true);
    }
}

static void late_asks(void *ctx, uint64_t number, struct slice bytes)
{
    struct keeper *k = ctx;
    (void)bytes;
    if (!k->is_waiting && node_raft(k->world, (unsigned)number) != NULL) {
        ask(k, (unsigned)number);
    }
}

/* One that does not know yet that another one leads: whoever asks there is told the most. */
static int deposed_leader(struct world *w, int leader)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        struct raft_node_status status;
        if (node_raft(w, i) == NULL || (int)i == leader) {
            continue;
        }
        raft_node_status(node_raft(w, i), &status);
        if (status.role == RAFT_LEADER) {
            return (int)i;
        }
    }
    return -1;
}

/* Any node, often the leader. */
static int draw_node(struct keeper *k)
{
    struct world *w = k->world;
    int leader = nodes_leader(w);
    unsigned node = (unsigned)draw(&k->rand, 0, w->setup.slots - 1);
    bool is_leader = chance(&k->rand, 500000) || is_compacting(k);
    node = is_leader && leader >= 0 ? (unsigned)leader : node;
    int deposed = deposed_leader(w, leader);
    node = deposed >= 0 && !is_compacting(k) ? (unsigned)deposed : node;
    bool is_there = node_raft(w, node) != NULL && node_process(w, node)->stopped == 0;
    return is_there ? (int)node : -1;
}

static void keeper_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct keeper *k = ctx;
    struct world *w = k->world;
    (void)number;
    (void)bytes;
    int64_t slow = is_compacting(k) ? 4 : 1;
    world_at(w, w->now_us + slow * draw(&k->rand, 100 * MS, 900 * MS), NULL, keeper_tick, k);
    int node = draw_node(k);
    if (k->is_waiting || node < 0 || !draw_request(k)) {
        return;
    }
    ask(k, (unsigned)node);
}

/* The lease that such an entry ends because its time is over; 0: none. */
static int64_t expiry_of(struct slice data)
{
    static _Alignas(16) uint8_t memory[8192];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_command command;
    bool is_expiry = data.len > 0 && data.len < SMALL_FRAME &&
                     kv_wire_decode_command(data, &arena, &command) == 0 &&
                     command.request.kind == KV_KIND_LEASE_REVOKE && command.guard_term != 0;
    return is_expiry ? command.request.lease_id.id : 0;
}

static void renew_late(struct world *w, unsigned node, int64_t lease)
{
    struct keeper *k = &w->chores->late;
    k->lease = lease;
    k->request = (struct kv_request){.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id.id = lease};
    world_at_with(w, w->now_us + draw(&k->rand, 0, 2 * MS), node_process(w, node), late_asks, k,
                  node, SLICE_EMPTY);
}

void chores_overhear(struct world *w, unsigned node, struct slice payload)
{
    static _Alignas(16) uint8_t memory[8192];
    struct wire_arena arena;
    struct msg_raft m;
    wire_arena_init(&arena, memory, sizeof(memory));
    if (w->chores->late.is_waiting || payload.len > SMALL_FRAME ||
        payload.data[0] != NET_FRAME_RAFT ||
        wire_raft_decode(slice_skip(payload, 1), &arena, &m) != 0 || m.type != MSG_RAFT_APPEND) {
        return;
    }
    for (size_t i = 0; i < m.entry_count; i++) {
        int64_t lease = m.entries[i].term == m.term ? expiry_of(m.entries[i].body) : 0;
        if (lease > 0 && chance(&w->chores->late.rand, 300000)) {
            renew_late(w, node, lease);
            return;
        }
    }
}

void chores_open(struct world *w)
{
    struct chores *c = w->chores = must_alloc(1, sizeof(*c));
    c->late.world = w;
    c->late.rand = world_stream(w, STREAM_CHORES, KEEPERS + 1);
    for (unsigned i = 0; i <= KEEPERS; i++) {
        struct keeper *k = &c->keepers[i];
        k->world = w;
        k->rand = world_stream(w, STREAM_CHORES, i);
        world_at(w, w->now_us + 2 * SECOND, NULL, keeper_tick, k);
    }
}

void chores_restart(struct world *w)
{
    for (unsigned i = 0; i <= KEEPERS; i++) {
        BASE_ASSERT(!w->chores->keepers[i].is_waiting);
        w->chores->keepers[i].is_keeping = false;
    }
}

int64_t chores_new_lease(struct world *w)
{
    return ++w->chores->next_lease;
}

void chores_close(struct world *w)
{
    free(w->chores);
    w->chores = NULL;
}
