/* SPDX-License-Identifier: Apache-2.0 */
/* Balancers and the clients behind them. */
#include "tests/sim/gal_load.h"

#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth_gal.h"

#define CLIENTS 2
#define FIRST_ADDRESS (ADDRESS_SQL_CLIENT + SQL_CLIENTS_MAX - CLIENTS)
#define TIMEOUT_US (5 * SECOND) /* a stalled commit comes through, mostly */
#define CHECK_US (500 * MS)

struct client {
    struct world *world;
    unsigned index;
    struct process process;
    struct host_clock clock;
    struct base_rand rand;
    bool is_waiting;
    int writer; /* as the last check said; -1 none */
    uint64_t request, value;
    unsigned member;
};

struct wsrep_load {
    struct client clients[CLIENTS];
    uint64_t next_request;
};

/* Its agent runs and answers. */
static const struct agt *asked(struct world *w, unsigned member)
{
    const struct member *m = member_of(w, member);
    bool is_there = m->agent != NULL && m->agent_process.is_up && m->agent_process.stopped == 0;
    return is_there && m->has_power ? agt_driver_agent(m->agent) : NULL;
}

/* The balancer's checks; what is said counts at once. */
static void check(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    (void)number;
    (void)bytes;
    c->writer = -1;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct agt *agent = asked(w, i);
        struct base_mono now = clock_now(&member_of(w, i)->clock);
        if (agent != NULL && agt_galera_is_writer(agent, now)) {
            truth_gal_writer_said(w, i);
            c->writer = (int)i;
        }
        if (agent != NULL && agt_galera_is_reader(agent, now, false)) {
            truth_gal_reader_said(w, i);
        }
    }
    world_at(w, w->now_us + CHECK_US, &c->process, check, c);
}

static void next(void *ctx, uint64_t number, struct slice bytes);

static void finish(struct client *c, enum sql_outcome outcome)
{
    struct tally *t = &c->world->tally;
    t->galera_acked += outcome == SQL_ACKNOWLEDGED;
    t->galera_refused += outcome == SQL_REFUSED;
    t->galera_unknown += outcome == SQL_UNKNOWN;
    trace(c->world, TRACE_SQL_END, c->index, c->member, c->value, outcome);
    c->is_waiting = false;
    int64_t us = draw(&c->rand, 20 * MS, 400 * MS);
    world_at(c->world, c->world->now_us + us, &c->process, next, c);
}

static void give_up(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    (void)bytes;
    if (c->is_waiting && c->request == number) {
        finish(c, SQL_UNKNOWN);
    }
}

static void next(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    struct sql_frame f;
    (void)number;
    (void)bytes;
    memset(&f, 0, sizeof(f));
    bool is_anywhere = c->writer < 0 || chance(&c->rand, 100000);
    c->member = is_anywhere ? (unsigned)draw(&c->rand, wsrep_first(w), (int64_t)wsrep_end(w) - 1)
                            : (unsigned)c->writer;
    c->request = f.request = ++w->wsrep_load->next_request;
    c->value = f.value = (uint64_t)w->galera->next_value++;
    c->is_waiting = true;
    f.type = SQL_FRAME_WRITE;
    trace(w, TRACE_SQL_CALL, c->index, c->member, c->value, 0);
    if (!net_send(w, FIRST_ADDRESS + c->index, ADDRESS_DB + c->member, slice_from(&f, sizeof(f)))) {
        finish(c, SQL_REFUSED);
        return;
    }
    world_at_with(w, w->now_us + TIMEOUT_US, &c->process, give_up, c, c->request, SLICE_EMPTY);
}

static void answered(void *ctx, unsigned from, struct slice payload)
{
    struct client *c = ctx;
    struct sql_frame f;
    (void)from;
    memcpy(&f, payload.data, sizeof(f));
    if (c->is_waiting && c->request == f.request) {
        finish(c, (enum sql_outcome)f.outcome);
    }
}

void wsrep_load_open(struct world *w)
{
    w->wsrep_load = must_alloc(1, sizeof(*w->wsrep_load));
    for (unsigned i = 0; wsrep_exists(w) && i < CLIENTS; i++) {
        struct client *c = &w->wsrep_load->clients[i];
        c->world = w;
        c->index = i;
        c->rand = world_stream(w, STREAM_GALERA, MEMBERS_MAX + i);
        c->clock.world = w;
        c->process.clock = &c->clock;
        c->writer = -1;
        process_start(&c->process);
        net_listen(w, FIRST_ADDRESS + i, &c->process, answered, c);
        world_at(w, w->now_us + SECOND, &c->process, next, c);
        world_at(w, w->now_us + SECOND + draw(&c->rand, 0, CHECK_US), &c->process, check, c);
    }
}

void wsrep_load_close(struct world *w)
{
    free(w->wsrep_load);
    w->wsrep_load = NULL;
}
