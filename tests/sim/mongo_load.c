/* SPDX-License-Identifier: Apache-2.0 */
/* See mongo_load.h. */
#include "tests/sim/mongo_load.h"

#include <stdlib.h>

#include "agents/driver.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/truth_mongo.h"

#define CLIENTS 2
#define CHECK_US (200 * MS)
#define TIMEOUT_US (5 * SECOND)

struct client {
    struct world *world;
    unsigned index;
    struct base_rand rand;
    int primary; /* whom /primary named last; -1 */
    unsigned member;
    uint64_t tag; /* 0: it waits for nothing */
    uint64_t number;
    uint8_t concern;
};

struct mongo_load {
    struct client clients[CLIENTS];
};

/* The agent answers over its own host's clock, also at the moment after a pause. */
static bool says_primary(struct world *w, unsigned member)
{
    struct member *m = member_of(w, member);
    return m->agent_process.is_up && m->agent_process.stopped == 0 && m->agent != NULL &&
           agt_mongodb_is_primary(agt_driver_agent(m->agent), clock_now(&m->clock));
}

static void check(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    (void)number;
    (void)bytes;
    c->primary = -1;
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        if (says_primary(w, i)) {
            w->tally.mongodb_primary_checks++;
            truth_mongo_primary_said(w, i);
            c->primary = (int)i;
        }
    }
    world_at(w, w->now_us + CHECK_US, NULL, check, c);
}

static void next(void *ctx, uint64_t number, struct slice bytes);

static void finish(struct client *c, enum mongo_outcome outcome)
{
    struct world *w = c->world;
    bool is_majority = c->concern == MSET_W_MAJORITY;
    w->tally.mongodb_acked += outcome == MONGO_ACKED && is_majority;
    w->tally.mongodb_one += outcome == MONGO_ACKED && !is_majority;
    w->tally.mongodb_refused += outcome == MONGO_REFUSED;
    w->tally.mongodb_unknown += outcome == MONGO_UNKNOWN;
    if (outcome == MONGO_ACKED && is_majority) {
        truth_mongo_acked(w, c->member);
    }
    c->tag = 0;
    c->number++;
    world_at(w, w->now_us + draw(&c->rand, 50 * MS, 600 * MS), NULL, next, c);
}

static void replied(void *ctx, const struct mset_reply *reply)
{
    struct client *c = ctx;
    if (c->tag != reply->tag) {
        return;
    }
    bool is_begun = reply->entry != MSET_NONE || reply->code == MSET_E_CONNECTION;
    finish(c, reply->code == MSET_OK ? MONGO_ACKED : is_begun ? MONGO_UNKNOWN : MONGO_REFUSED);
}

static void give_up(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    (void)bytes;
    if (c->number == number && c->tag != 0) {
        mongo_forget(c->world, c->tag);
        finish(c, MONGO_UNKNOWN);
    }
}

static void next(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    (void)number;
    (void)bytes;
    bool is_anywhere = c->primary < 0 || chance(&c->rand, 50000);
    c->member = is_anywhere ? (unsigned)draw(&c->rand, mongo_first(w), (int64_t)mongo_end(w) - 1)
                            : (unsigned)c->primary;
    c->concern = chance(&c->rand, 700000) ? MSET_W_MAJORITY : 1;
    struct mset_command write = {.kind = MSET_WRITE,
                                 .w = c->concern,
                                 .value = w->mongo->next_value++,
                                 .max_time_ms = (uint32_t)(TIMEOUT_US / MS)};
    c->tag = mongo_ask(w, c->member, &write, replied, c);
    if (c->tag == 0) {
        finish(c, MONGO_REFUSED);
        return;
    }
    world_at_with(w, w->now_us + TIMEOUT_US + SECOND, NULL, give_up, c, c->number, SLICE_EMPTY);
}

void mongo_load_open(struct world *w)
{
    w->mongo_load = must_alloc(1, sizeof(*w->mongo_load));
    for (unsigned i = 0; mongo_exists(w) && i < CLIENTS; i++) {
        struct client *c = &w->mongo_load->clients[i];
        c->world = w;
        c->index = i;
        c->rand = world_stream(w, STREAM_MONGODB, MEMBERS_MAX + i);
        c->primary = -1;
        world_at(w, w->now_us + SECOND, NULL, next, c);
        world_at(w, w->now_us + SECOND + draw(&c->rand, 0, CHECK_US), NULL, check, c);
    }
}

void mongo_load_close(struct world *w)
{
    free(w->mongo_load);
    w->mongo_load = NULL;
}
