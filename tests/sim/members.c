/* SPDX-License-Identifier: Apache-2.0 */
/* Database hosts as a whole: made, powered off and on, their agents killed. */
#include "tests/sim/members.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/name.h"
#include "tests/sim/adopted.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_gal.h"

struct member *member_of(struct world *w, unsigned member)
{
    return &w->members->list[member];
}

int member_by_name(struct world *w, const struct base_name *name)
{
    for (unsigned i = 0; i < members_count(w); i++) {
        if (base_name_equal(&w->members->list[i].name, name)) {
            return (int)i;
        }
    }
    return -1;
}

static void net_to_agent(void *ctx, unsigned from, struct slice payload)
{
    agent_arrive(ctx, from, payload);
}

unsigned members_count(const struct world *w)
{
    return (w->setup.has_databases ? w->setup.members : 0) + w->setup.galera_members +
           w->setup.mongodb_members;
}

/* --- of either engine --- */

void tree_start(struct member *m)
{
    process_start(&m->tree);
    if (m->is_galera) {
        wsrep_start(&m->gal);
    } else if (m->is_mongodb) {
        mongo_start(&m->mongo);
    } else {
        pg_start(&m->pg);
    }
}

void tree_gone(struct member *m, bool is_power_loss)
{
    if (m->is_galera) {
        wsrep_gone(&m->gal, is_power_loss);
    } else if (m->is_mongodb) {
        mongo_gone(&m->mongo);
    } else {
        pg_gone(&m->pg, is_power_loss);
    }
}

void tree_note(struct member *m)
{
    if (m->is_galera) {
        truth_gal_note(m->world, &m->gal);
    } else if (m->is_mongodb) {
        mongo_turn(m->world);
    } else {
        pg_note(&m->pg);
    }
}

static void database_open(struct world *w, struct member *m)
{
    m->is_galera = is_galera(w, cluster_of(w, m->index));
    m->is_mongodb = is_mongodb(w, cluster_of(w, m->index));
    if (m->is_galera) {
        wsrep_init(w, &m->gal, m->index, &m->tree);
        net_listen(w, ADDRESS_DB + m->index, &m->tree, wsrep_arrive, &m->gal);
    } else if (m->is_mongodb) {
        mongo_init(w, &m->mongo, m->index, &m->tree);
    } else {
        pg_init(w, &m->pg, m->index, &m->tree);
        net_listen(w, ADDRESS_DB + m->index, &m->tree, pg_arrive, &m->pg);
    }
}

void members_open(struct world *w)
{
    w->members = must_alloc(1, sizeof(*w->members));
    w->members->next_value = 1;
    for (unsigned i = 0; i < members_count(w); i++) {
        struct member *m = member_of(w, i);
        bool is_pg = i<w->setup.members, is_mg = w->setup.mongodb_members> 0;
        char name[4] = {is_pg ? 'p' : 'm', is_pg || is_mg ? 'g' : 'd', (char)('1' + i), 0};
        m->world = w;
        m->index = i;
        BASE_ASSERT(base_name_from_text(name, &m->name) == 0);
        m->rand = world_stream(w, STREAM_AGENT, i);
        m->clock =
            (struct host_clock){w,
                                draw(&m->rand, 0, 1000000 * SECOND),
                                draw(&m->rand, -(int64_t)w->setup.drift_ppm, w->setup.drift_ppm),
                                0,
                                0,
                                0};
        m->agent_process.clock = m->guard_process.clock = m->tree.clock = &m->clock;
        m->has_power = true;
        net_listen(w, ADDRESS_AGENT + i, &m->agent_process, net_to_agent, m);
        database_open(w, m);
    }
    adopted_open(w);
    for (unsigned i = 0; i < members_count(w); i++) {
        if (!adopted_is_waiting(member_of(w, i))) {
            guard_boot(member_of(w, i));
            agent_start(member_of(w, i));
        }
    }
}

void members_close(struct world *w)
{
    for (unsigned i = 0; i < members_count(w); i++) {
        free(member_of(w, i)->agent);
        pg_free(&member_of(w, i)->pg);
        wsrep_free(&member_of(w, i)->gal);
    }
    free(w->members->records);
    free(w->members);
    w->members = NULL;
}

static void agent_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    if (m->clock.standing_since != 0) {
        world_at(m->world, m->world->now_us + 50 * MS, NULL, agent_again, m);
    } else if (adopted_comes(m)) {
        return;
    } else if (m->has_power && !m->agent_process.is_up) {
        agent_start(m);
    }
}

void member_crash_agent(struct world *w, unsigned member, int64_t for_us)
{
    struct member *m = member_of(w, member);
    agent_stop(m, 1);
    world_at(w, w->now_us + for_us, NULL, agent_again, m);
}

static void power_on(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    if (!m->has_power) {
        m->has_power = true;
        if (adopted_is_waiting(m)) {
            return; /* its service manager starts the server */
        }
        if (!m->guard_process.is_up) {
            guard_boot(m);
        }
        agent_start(m);
    }
}

static void twin_kills(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    if (m->clock.standing_since != 0) {
        world_at(m->world, m->world->now_us + 50 * MS, NULL, twin_kills, m);
    } else if (m->tree.is_up && !m->guard_process.is_up) {
        tree_gone(m, false);
    }
    if (!m->guard_process.is_up) {
        watchdog_off(m); /* the twin has opened it anew, and closed it in order */
    }
}

static void guard_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    if (adopted_is_waiting(m)) {
        return;
    }
    bool is_time = m->agent_process.is_up && m->agent_process.stopped == 0 && !m->tree.is_up;
    if (m->has_power && !m->guard_process.is_up && is_time) {
        guard_boot(m);
        agent_guard_status(m);
    } else if (m->has_power && !m->guard_process.is_up) {
        world_at(m->world, m->world->now_us + 100 * MS, NULL, guard_again, m);
    }
}

void member_crash_guard(struct world *w, unsigned member)
{
    struct member *m = member_of(w, member);
    if (!m->guard_process.is_up || m->guard_process.stopped != 0) {
        return;
    }
    process_stop(&m->guard_process);
    world_at(w, w->now_us + draw(&m->rand, 200, 8 * MS), NULL, twin_kills, m);
    world_at(w, w->now_us + draw(&m->rand, 50 * MS, 600 * MS), NULL, guard_again, m);
}

void member_heal(struct member *m)
{
    power_on(m, 0, SLICE_EMPTY);
    agent_again(m, 0, SLICE_EMPTY);
}

void member_power_off(struct world *w, unsigned member, int64_t for_us)
{
    struct member *m = member_of(w, member);
    if (!m->has_power) {
        return;
    }
    m->has_power = false;
    if (m->clock.standing_since != 0) {
        clock_go_on(&m->clock);
    }
    agent_stop(m, 2);
    if (m->tree.is_up) {
        tree_gone(m, true);
    }
    process_stop(&m->guard_process);
    watchdog_off(m);
    world_at(w, w->now_us + for_us, NULL, power_on, m);
}

int members_holder(struct world *w, unsigned cluster)
{
    const struct db_setup *d = &w->setup.databases[cluster];
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        const struct member *m = member_of(w, i);
        if (m->is_galera ? wsrep_is_writable(&m->gal) : m->pg.is_writable) {
            return (int)i;
        }
    }
    return truth_holder(w, cluster);
}
