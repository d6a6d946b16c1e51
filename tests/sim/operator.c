/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator wants, one small step at a time; see operator.h. */
#include "tests/sim/operator.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"
#include "proto/wire/kv.h"
#include "raft/core/members.h"
#include "tests/sim/nodes.h"

#define STEP_US (150 * MS)
#define PUBLISH_COOKIE 7

enum step {
    STEP_NONE,
    STEP_REMOVE,  /* a member that shall go */
    STEP_ADD,     /* `place` gets a new id */
    STEP_NAME,    /* it has started: what it is called */
    STEP_PROMOTE, /* it is a learner yet */
    STEP_MOVE,    /* leadership to `id` */
};

struct oper {
    struct world *world;
    struct base_rand rand, hurry;
    enum step step;
    bool is_add_next; /* after the removal */
    bool is_learner;
    unsigned tries; /* of this step */
    unsigned place;
    uint64_t id;
    int64_t next_us; /* nothing new before */
    struct kv_call call;
    struct kv_request request;
    struct slice url;
    bool is_waiting;
};

static const struct raft_configuration *configuration(struct world *w, int leader)
{
    return raft_node_configuration(node_raft(w, (unsigned)leader));
}

static bool is_committed(struct world *w, int leader)
{
    struct raft_node_status status;
    raft_node_status(node_raft(w, (unsigned)leader), &status);
    return status.commit_index >= configuration(w, leader)->index;
}

static void end(struct oper *o)
{
    o->step = STEP_NONE;
    o->next_us = o->world->now_us + draw(&o->rand, SECOND, 8 * SECOND);
}

static void go(struct oper *o, enum step step)
{
    o->step = step;
    o->tries = 0;
}

/* --- what has become of it --- */

/* The member is gone for good: its process ends, and its disks with it. */
static void removed(struct oper *o)
{
    struct world *w = o->world;
    unsigned place = node_of(w, o->id);
    if (place < NODES_MAX) {
        node_crash(w, place, 4);
        node_replace(w, place, 0);
    }
    if (o->is_add_next) {
        go(o, STEP_ADD);
    } else {
        end(o);
    }
}

static void added(struct oper *o, uint64_t id)
{
    struct world *w = o->world;
    o->id = id;
    node_crash(w, o->place, 4);
    node_replace(w, o->place, id);
    node_start(w, o->place);
    go(o, STEP_NAME);
}

static const struct raft_member *find_url(const struct raft_configuration *c, unsigned place)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->members[i].peer_url.text, node_url(place)) == 0) {
            return &c->members[i];
        }
    }
    return NULL;
}

static uint64_t added_id(struct slice response)
{
    _Alignas(16) uint8_t memory[8192];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response decoded;
    BASE_ASSERT(kv_wire_decode_response(KV_KIND_MEMBER_ADD, response, &arena, &decoded) == 0);
    return decoded.member_add.has_member ? decoded.member_add.member.id : 0;
}

static void call_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct oper *o = call->user;
    o->is_waiting = false;
    trace(o->world, TRACE_MARK, 20, o->step, error, o->id);
    if (error != KV_OK) {
        return; /* what has become of it is seen in the configuration */
    }
    if (o->step == STEP_ADD) {
        uint64_t id = added_id(response);
        if (id != 0) {
            o->id = id; /* started by the next step, once it is seen to be committed */
        }
    } else if (o->step == STEP_MOVE) {
        o->world->tally.transfers++;
        end(o);
    }
}

static void ask(struct oper *o, int leader, const struct kv_request *request)
{
    o->request = *request;
    o->call = (struct kv_call){.request = &o->request, .user = o, .done = call_done};
    o->is_waiting = true;
    enum kv_error error = node_ask(o->world, (unsigned)leader, &o->call);
    if (error != KV_OK) {
        o->is_waiting = false;
        trace(o->world, TRACE_MARK, 21, o->step, error, o->id);
    }
}

/* --- steps: each looks whether what it wants is there, and asks for it when not --- */

static void step_remove(struct oper *o, int leader)
{
    if (raft_members_find(configuration(o->world, leader), o->id) == NULL) {
        if (is_committed(o->world, leader)) {
            removed(o);
        }
        return;
    }
    struct kv_request request = {.kind = KV_KIND_MEMBER_REMOVE, .member_id.id = o->id};
    ask(o, leader, &request);
}

static void step_add(struct oper *o, int leader)
{
    const struct raft_member *member = find_url(configuration(o->world, leader), o->place);
    if (member != NULL) {
        if (is_committed(o->world, leader)) {
            added(o, member->id);
        }
        return;
    }
    o->url = slice_from_text(node_url(o->place));
    struct kv_request request = {
        .kind = KV_KIND_MEMBER_ADD,
        .member_add = {.peer_urls = {&o->url, 1}, .is_learner = o->is_learner}};
    ask(o, leader, &request);
}

static void step_name(struct oper *o, int leader)
{
    struct raft_configuration next = *configuration(o->world, leader);
    char name[2] = {(char)('a' + o->place), 0};
    const struct raft_member *member = raft_members_find(&next, o->id);
    if (member == NULL) {
        return; /* a leader that does not know of it yet, or any more */
    }
    if (!base_name_is_empty(&member->name)) {
        go(o, STEP_PROMOTE);
        return;
    }
    for (size_t i = 0; i < next.count; i++) {
        if (next.members[i].id == o->id) {
            BASE_ASSERT(base_name_from_text(name, &next.members[i].name) == 0);
        }
    }
    /* When it is a bad moment, the next step asks again. */
    int rc = raft_node_change_members(node_raft(o->world, (unsigned)leader), &next, PUBLISH_COOKIE);
    trace(o->world, TRACE_MARK, 22, (uint64_t)rc, o->id, 0);
}

static void step_promote(struct oper *o, int leader)
{
    const struct raft_member *member = raft_members_find(configuration(o->world, leader), o->id);
    if (member == NULL || !member->is_learner) {
        end(o);
        return;
    }
    struct kv_request request = {.kind = KV_KIND_MEMBER_PROMOTE, .member_id.id = o->id};
    ask(o, leader, &request);
}

static void step_move(struct oper *o, int leader)
{
    struct kv_request request = {.kind = KV_KIND_MOVE_LEADER, .move_leader.target_id = o->id};
    if (o->tries > 1 || node_id(o->world, (unsigned)leader) == o->id) {
        end(o);
        return;
    }
    ask(o, leader, &request);
}

/* --- what next --- */

static uint64_t draw_member(struct oper *o, int leader)
{
    const struct raft_configuration *c = configuration(o->world, leader);
    uint64_t id = c->members[draw(&o->rand, 0, c->count - 1)].id;
    return chance(&o->rand, 300000) ? node_id(o->world, (unsigned)leader) : id;
}

static int free_place(struct oper *o)
{
    for (unsigned i = 0; i < o->world->setup.slots; i++) {
        if (node_id(o->world, i) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* An id in the configuration that no place has any more. */
static uint64_t dead_member(struct oper *o, int leader)
{
    const struct raft_configuration *c = configuration(o->world, leader);
    for (size_t i = 0; i < c->count; i++) {
        if (node_of(o->world, c->members[i].id) == NODES_MAX) {
            return c->members[i].id;
        }
    }
    return 0;
}

static void begin_add(struct oper *o, unsigned place)
{
    o->place = place;
    o->is_learner = chance(&o->rand, 700000);
    o->is_add_next = false;
    go(o, STEP_ADD);
}

/* The disks are gone first, as an operator finds it. */
static void begin_replace(struct oper *o, uint64_t id)
{
    o->id = id;
    o->place = node_of(o->world, id);
    o->is_learner = chance(&o->rand, 700000);
    o->is_add_next = true;
    node_crash(o->world, o->place, 4);
    node_replace(o->world, o->place, 0);
    go(o, STEP_REMOVE);
}

static void begin(struct oper *o, int leader)
{
    const struct raft_configuration *c = configuration(o->world, leader);
    size_t voters = raft_members_voters(c);
    uint64_t dead = dead_member(o, leader);
    int64_t what = draw(&o->rand, 0, 99);
    int place = free_place(o);
    o->is_add_next = false;
    if (!is_committed(o->world, leader)) {
        return;
    }
    if (dead != 0) {
        o->id = dead;
        go(o, STEP_REMOVE);
    } else if (what < 35 || voters < 3) {
        if (place >= 0) {
            begin_add(o, (unsigned)place);
        }
    } else if (what < 55) {
        o->id = draw_member(o, leader);
        go(o, voters > o->world->setup.nodes ? STEP_REMOVE : STEP_NONE);
    } else if (what < 80) {
        begin_replace(o, draw_member(o, leader));
    } else {
        o->id = draw_member(o, leader);
        go(o, STEP_MOVE);
    }
}

static void act(struct oper *o, int leader)
{
    switch (o->step) {
    case STEP_NONE:
        if (o->world->now_us >= o->next_us && o->world->now_us < o->world->setup.faults_end_us) {
            begin(o, leader);
        }
        break;
    case STEP_REMOVE:
        step_remove(o, leader);
        break;
    case STEP_ADD:
        step_add(o, leader);
        break;
    case STEP_NAME:
        step_name(o, leader);
        break;
    case STEP_PROMOTE:
        step_promote(o, leader);
        break;
    case STEP_MOVE:
        step_move(o, leader);
        break;
    }
}

/* A member that has started once more says who it is, whatever is under way: the same members once
 * more, which is refused at a bad moment. */
static void publish_again(struct world *w, int leader)
{
    struct raft_configuration next = *configuration(w, leader);
    int rc = raft_node_change_members(node_raft(w, (unsigned)leader), &next, PUBLISH_COOKIE);
    trace(w, TRACE_MARK, 23, (uint64_t)rc, 0, 0);
}

static void operator_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct oper *o = w->oper;
    int leader = nodes_leader(w);
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + STEP_US, NULL, operator_tick, w);
    if (leader >= 0 && chance(&o->hurry, 40000)) {
        publish_again(w, leader);
    }
    if (o->is_waiting || leader < 0 || node_process(w, (unsigned)leader)->stopped != 0) {
        return;
    }
    o->tries++;
    act(o, leader);
}

void operator_open(struct world *w)
{
    struct oper *o = w->oper = must_alloc(1, sizeof(*o));
    o->world = w;
    o->rand = world_stream(w, STREAM_OPERATOR, 0);
    o->hurry = world_stream(w, STREAM_OPERATOR, 1);
    if (w->setup.is_changing) {
        world_at(w, w->now_us + 3 * SECOND, NULL, operator_tick, w);
    }
}

void operator_close(struct world *w)
{
    free(w->oper);
    w->oper = NULL;
}
