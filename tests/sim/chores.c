/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and compaction, drawn at random; see chores.h. */
#include "tests/sim/chores.h"

#include <stdlib.h>

#include "tests/sim/nodes.h"

#define LEASES 16 /* ids 1 to so many: granted again and again */

struct chores {
    struct world *world;
    struct base_rand rand;
    struct kv_call call;
    struct kv_request request;
    bool is_waiting;
    char key[8];
};

static void done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct chores *c = call->user;
    (void)response;
    c->is_waiting = false;
    c->world->tally.chores += error == KV_OK;
    trace(c->world, TRACE_MARK, 30, c->request.kind, error, 0);
}

static void draw_request(struct chores *c, int leader)
{
    int64_t what = draw(&c->rand, 0, 99);
    int64_t lease = draw(&c->rand, 1, LEASES);
    c->request = (struct kv_request){0};
    if (what < 40) {
        c->request.kind = KV_KIND_LEASE_GRANT;
        c->request.lease_grant = (struct kv_lease_grant){.ttl = draw(&c->rand, 1, 60), .id = lease};
    } else if (what < 80) {
        c->key[0] = '~'; /* no key of the checked clients */
        c->key[1] = (char)('a' + lease);
        c->request.kind = KV_KIND_PUT;
        c->request.put = (struct kv_put){
            .key = slice_from(c->key, 2), .value = slice_from(c->key, 2), .lease = lease};
    } else if (what < 88) {
        c->request.kind = KV_KIND_LEASE_REVOKE;
        c->request.lease_id.id = lease;
    } else {
        c->request.kind = KV_KIND_COMPACT;
        c->request.compact.revision =
            node_revision(c->world, (unsigned)leader) - draw(&c->rand, 0, 300);
    }
}

static void chores_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct chores *c = w->chores;
    int leader = nodes_leader(w);
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&c->rand, 100 * MS, 900 * MS), NULL, chores_tick, w);
    if (c->is_waiting || leader < 0 || node_process(w, (unsigned)leader)->stopped != 0) {
        return;
    }
    draw_request(c, leader);
    c->call = (struct kv_call){.request = &c->request, .user = c, .done = done};
    c->is_waiting = true;
    if (node_ask(w, (unsigned)leader, &c->call) != KV_OK) {
        c->is_waiting = false;
    }
}

void chores_open(struct world *w)
{
    struct chores *c = w->chores = must_alloc(1, sizeof(*c));
    c->world = w;
    c->rand = world_stream(w, STREAM_CHORES, 0);
    world_at(w, w->now_us + 2 * SECOND, NULL, chores_tick, w);
}

void chores_close(struct world *w)
{
    free(w->chores);
    w->chores = NULL;
}
