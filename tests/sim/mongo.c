/* SPDX-License-Identifier: Apache-2.0 */
/* Life and time of a modelled replica set. */
#include "tests/sim/mongo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth_mongo.h"

#define WALL_US (INT64_C(1700000000) * SECOND)

bool mongo_exists(const struct world *w)
{
    return w->setup.mongodb_members > 0;
}

unsigned mongo_first(const struct world *w)
{
    return w->setup.members + w->setup.galera_members;
}

unsigned mongo_end(const struct world *w)
{
    return mongo_first(w) + w->setup.mongodb_members;
}

struct mongo *mongo_of(struct world *w, unsigned member)
{
    return &w->members->list[member].mongo;
}

unsigned mongo_node(const struct world *w, unsigned member)
{
    return member - mongo_first(w);
}

/* The last one. */
bool mongo_is_arbiter(const struct world *w, unsigned member)
{
    return w->setup.has_mongodb_arbiter && member + 1 == mongo_end(w);
}

void mongo_host(unsigned member, struct mset_host *ret)
{
    (void)snprintf(ret->text, sizeof(ret->text), "mg%u:%u", member + 1, 5432 + member);
}

static void heard(void *ctx, unsigned node, enum mset_event_kind kind, uint64_t a, uint64_t b)
{
    struct world *w = ctx;
    trace(w, TRACE_MONGODB, mongo_first(w) + node, kind, a, b);
    truth_mongo_event(w, mongo_first(w) + node, kind, a, b);
}

void mongo_open(struct world *w)
{
    if (!mongo_exists(w)) {
        return;
    }
    struct mset_options options = {.seed = w->seed,
                                   .release = w->setup.mongodb_release,
                                   .nodes = w->setup.mongodb_members,
                                   .wall_us = WALL_US,
                                   .name = {"rs"},
                                   .window_entries = w->setup.mongodb_window};
    w->mongo = must_alloc(1, sizeof(*w->mongo));
    w->mongo->entries = must_alloc(MONGO_ENTRIES_MAX, mset_entry_size());
    w->mongo->set =
        mset_init(must_alloc(1, mset_size()), w->mongo->entries, MONGO_ENTRIES_MAX, &options);
    w->mongo->turn_us = INT64_MAX;
    w->mongo->next_value = 1;
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        struct mset_host host;
        mongo_host(i, &host);
        mset_name(w->mongo->set, mongo_node(w, i), host.text);
    }
    mset_listen(w->mongo->set, heard, w);
}

void mongo_close(struct world *w)
{
    if (w->mongo != NULL) {
        free(w->mongo->set);
        free(w->mongo->entries);
        free(w->mongo);
        w->mongo = NULL;
    }
}

void mongo_init(struct world *w, struct mongo *g, unsigned member, struct process *process)
{
    g->world = w;
    g->member = member;
    g->rand = world_stream(w, STREAM_MONGODB, member);
    g->process = process;
    mongo_view_clear(g);
}

/* --- turns --- */

static void sync_links(struct world *w)
{
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        const struct process *p = &w->members->list[i].tree;
        mset_pause(w->mongo->set, mongo_node(w, i), p->is_up && p->stopped != 0);
        for (unsigned j = mongo_first(w); j < mongo_end(w); j++) {
            struct mset_link link = {.is_cut = net_is_cut(w, ADDRESS_DB + i, ADDRESS_DB + j),
                                     .delay_us = (uint32_t)w->setup.delay_max_us / 2,
                                     .drop_ppm = w->setup.loss_ppm};
            mset_link_set(w->mongo->set, mongo_node(w, i), mongo_node(w, j), &link);
        }
    }
}

static void take_replies(struct world *w)
{
    struct mset_reply reply;
    while (mset_take_reply(w->mongo->set, &reply)) {
        for (unsigned i = 0; i < MONGO_CALLS_MAX; i++) {
            struct mongo_call call = w->mongo->calls[i];
            if (call.tag == reply.tag && call.tag != 0) {
                w->mongo->calls[i].tag = 0;
                call.fn(call.ctx, &reply);
                break;
            }
        }
    }
}

static void take_exits(struct world *w)
{
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        struct member *m = member_of(w, i);
        int status = 0;
        if (mset_take_exit(w->mongo->set, mongo_node(w, i), &status) && m->tree.is_up) {
            process_stop(&m->tree);
            mongo_view_clear(&m->mongo);
            guard_root_exited(m, status);
        }
    }
}

static void turn(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (number == w->mongo->turn_number) {
        w->mongo->turn_us = INT64_MAX;
        mongo_turn(w);
    }
}

void mongo_turn(struct world *w)
{
    struct mongo_world *g = w->mongo;
    if (g->is_turning) {
        return; /* what it asks for in between is done by the turn under way */
    }
    g->is_turning = true;
    sync_links(w);
    mset_advance(g->set, w->now_us);
    take_replies(w);
    take_exits(w);
    truth_mongo_look(w);
    g->is_turning = false;
    int64_t next = mset_next(g->set);
    next = next <= w->now_us ? w->now_us + 1 : next;
    /* Links are looked at now and then, for those that are cut or joined meanwhile. */
    next = next > w->now_us + 100 * MS ? w->now_us + 100 * MS : next;
    if (next < g->turn_us) {
        g->turn_us = next;
        world_at_with(w, next, NULL, turn, w, ++g->turn_number, SLICE_EMPTY);
    }
}

static void turn_soon(void *ctx, uint64_t number, struct slice bytes)
{
    (void)number;
    (void)bytes;
    mongo_turn(ctx);
}

uint64_t mongo_ask(struct world *w, unsigned member, struct mset_command *command,
                   mongo_reply_fn *fn, void *ctx)
{
    mongo_turn(w);
    for (unsigned i = 0; i < MONGO_CALLS_MAX; i++) {
        struct mongo_call *call = &w->mongo->calls[i];
        if (call->tag == 0) {
            command->tag = ++w->mongo->tags;
            if (!mset_command(w->mongo->set, mongo_node(w, member), command)) {
                return 0;
            }
            *call = (struct mongo_call){command->tag, fn, ctx};
            world_at(w, w->now_us, NULL, turn_soon, w);
            return command->tag;
        }
    }
    return 0;
}

void mongo_forget(struct world *w, uint64_t tag)
{
    mset_forget(w->mongo->set, tag);
    for (unsigned i = 0; i < MONGO_CALLS_MAX; i++) {
        if (w->mongo->calls[i].tag == tag) {
            w->mongo->calls[i].tag = 0;
        }
    }
}

/* --- life --- */

void mongo_start(struct mongo *g)
{
    g->is_wiped = false;
    mongo_view_clear(g);
    truth_mongo_starts(g->world, g->member);
    mset_start(g->world->mongo->set, mongo_node(g->world, g->member));
    mongo_turn(g->world);
}

/* Killed, or without power. */
void mongo_gone(struct mongo *g)
{
    if (g->process->is_up) {
        process_stop(g->process);
        mset_crash(g->world->mongo->set, mongo_node(g->world, g->member));
        mongo_view_clear(g);
        mongo_turn(g->world);
    }
}

void mongo_signal(struct mongo *g, int signal_number)
{
    (void)signal_number;
    mset_terminate(g->world->mongo->set, mongo_node(g->world, g->member));
    mongo_turn(g->world);
}
