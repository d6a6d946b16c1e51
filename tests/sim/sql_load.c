/* SPDX-License-Identifier: Apache-2.0 */
/* SQL clients of the modelled databases. */
#include "tests/sim/sql_load.h"

#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"

#define TIMEOUT_US (1200 * MS)

struct sql_client {
    struct world *world;
    unsigned index;
    struct process process;
    struct host_clock clock;
    struct base_rand rand;
    unsigned member;
    bool is_waiting;
    uint64_t request;
    uint64_t value;
};

struct sql_load {
    struct sql_client clients[SQL_CLIENTS_MAX];
    uint64_t next_request;
};

/* Whose agent answers 200 on /primary; anybody now and then, and when there is none. */
static unsigned choose(struct sql_client *c)
{
    struct world *w = c->world;
    unsigned any = (unsigned)draw(&c->rand, 0, w->setup.members - 1);
    const struct db_setup *d = database_of(w, any);
    if (chance(&c->rand, 100000)) {
        return any;
    }
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        struct member *m = member_of(w, i);
        if (m->agent != NULL && agt_is_open(agt_driver_agent(m->agent), clock_now(&m->clock))) {
            return i;
        }
    }
    return any;
}

static void next(void *ctx, uint64_t number, struct slice bytes);

static void finish(struct sql_client *c, enum sql_outcome outcome)
{
    struct tally *t = &c->world->tally;
    t->sql_acked += outcome == SQL_ACKNOWLEDGED;
    t->sql_fail += outcome == SQL_REFUSED;
    t->sql_unknown += outcome == SQL_UNKNOWN;
    trace(c->world, TRACE_SQL_END, c->index, c->member, c->value, outcome);
    c->is_waiting = false;
    int64_t us = draw(&c->rand, 10 * MS, 250 * MS);
    world_at(c->world, c->world->now_us + us, &c->process, next, c);
}

static void give_up(void *ctx, uint64_t number, struct slice bytes)
{
    struct sql_client *c = ctx;
    (void)bytes;
    if (c->is_waiting && c->request == number) {
        finish(c, SQL_UNKNOWN);
    }
}

static void next(void *ctx, uint64_t number, struct slice bytes)
{
    struct sql_client *c = ctx;
    struct world *w = c->world;
    struct sql_frame f;
    (void)number;
    (void)bytes;
    if ((w->setup.sql_off >> c->index & 1) != 0) {
        return;
    }
    memset(&f, 0, sizeof(f));
    c->member = choose(c);
    c->request = f.request = ++w->sql_load->next_request;
    c->value = f.value = (uint64_t)w->members->next_value++;
    c->is_waiting = true;
    f.type = SQL_FRAME_WRITE;
    trace(w, TRACE_SQL_CALL, c->index, c->member, c->value, 0);
    if (!net_send(w, ADDRESS_SQL_CLIENT + c->index, ADDRESS_DB + c->member,
                  slice_from(&f, sizeof(f)))) {
        finish(c, SQL_REFUSED);
        return;
    }
    world_at_with(w, w->now_us + TIMEOUT_US, &c->process, give_up, c, c->request, SLICE_EMPTY);
}

static void arrive(void *ctx, unsigned from, struct slice payload)
{
    struct sql_client *c = ctx;
    struct sql_frame f;
    (void)from;
    memcpy(&f, payload.data, sizeof(f));
    if (c->is_waiting && c->request == f.request) {
        finish(c, (enum sql_outcome)f.outcome);
    }
}

void sql_answer(struct world *w, unsigned member, unsigned client, uint64_t request,
                enum sql_outcome outcome)
{
    struct sql_frame f;
    memset(&f, 0, sizeof(f));
    f.type = SQL_FRAME_ANSWER;
    f.outcome = (uint8_t)outcome;
    f.request = request;
    (void)net_send(w, ADDRESS_DB + member, client, slice_from(&f, sizeof(f)));
}

void sql_arrive(struct pg *pg, unsigned from, struct slice payload)
{
    struct sql_frame f;
    memcpy(&f, payload.data, sizeof(f));
    bool is_open = pg->phase == PG_PRIMARY && !pg->dir.is_gated && !pg->is_client_barred;
    if (pg->is_hung) {
        return;
    }
    if (!is_open || pg->waits_count == PG_WAITS_MAX) {
        sql_answer(pg->world, pg->member, from, f.request, SQL_REFUSED);
        return;
    }
    if (pg->is_gate_due) {
        pg->is_gate_due = false;
        truth_lets_in(pg->world, pg);
    }
    struct pg_record record = {.kind = PG_COMMIT,
                               .timeline = pg_timeline(&pg->dir),
                               .epoch = pg->epoch,
                               .value = f.value,
                               .writer = (int)pg->member};
    pg_insert(pg, &record, from, f.request);
}

void sql_load_open(struct world *w)
{
    struct sql_load *load = w->sql_load = must_alloc(1, sizeof(*load));
    for (unsigned i = 0; w->setup.has_databases && i < w->setup.sql_clients; i++) {
        struct sql_client *c = &load->clients[i];
        c->world = w;
        c->index = i;
        c->rand = world_stream(w, STREAM_SQL_CLIENT, i);
        c->clock.world = w;
        c->process.clock = &c->clock;
        process_start(&c->process);
        net_listen(w, ADDRESS_SQL_CLIENT + i, &c->process, arrive, c);
        world_at(w, w->now_us + SECOND, &c->process, next, c);
    }
}

void sql_load_close(struct world *w)
{
    free(w->sql_load);
    w->sql_load = NULL;
}
