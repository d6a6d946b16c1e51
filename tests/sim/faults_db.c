/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of database hosts. */
#include "tests/sim/faults_db.h"

#include <string.h>

#include "agents/driver.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"

#define LOOK_AGAIN_US (5 * SECOND) /* after the last fault */

/* A database host, rather one that holds an epoch. */
static unsigned strike_member(struct world *w, struct strike *s)
{
    bool is_holder = chance(&s->rand, 600000);
    unsigned member = (unsigned)draw(&s->rand, 0, w->setup.members - 1);
    int holder = members_holder(w, cluster_of(w, member));
    return is_holder && holder >= 0 ? (unsigned)holder : member;
}

static int64_t strike_for(struct strike *s)
{
    return chance(&s->rand, 300000) ? draw(&s->rand, 2 * SECOND, 15 * SECOND)
                                    : draw(&s->rand, 50 * MS, 4 * SECOND);
}

/* Guard, agent and database stop at once. The guard gets its turn first when they go on: what
 * happens in the moment before a guard runs again is outside of the contract. */
static void host_goes_on(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    uint64_t pause = 0;
    memcpy(&pause, bytes.data, sizeof(pause));
    if (m->guard_process.stopped != 0 || m->tree.pause_number != pause) {
        return; /* a later pause of the same host ends later */
    }
    process_thaw(w, &m->tree, STOPPED_BY_FAULT);
    pg_note(&m->pg);
}

/* The deadline is long over when the host goes on, and the guard's twin has its turn first. */
static void twin_comes_first(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = member_of(ctx, (unsigned)number);
    const struct guard_status *s = &m->guard.status;
    int64_t late_us = base_mono_diff_us(clock_now(&m->clock), s->deadline);
    (void)bytes;
    if (m->tree.is_up && m->pg.is_root_alive && m->guard_process.is_up && s->is_armed &&
        s->tree == GUARD_TREE_RUNNING && m->guard_process.stopped != 0 && late_us > 200 * MS) {
        m->is_twin_first = true;
        pg_root_killed(&m->pg);
        m->is_twin_first = false;
    }
}

static void pause_host(struct world *w, unsigned member, int64_t for_us, bool is_twin_first)
{
    struct member *m = member_of(w, member);
    if (m->clock.standing_since != 0) {
        return;
    }
    fault_bit(w, FAULT_HOST_PAUSE, member, 0, for_us);
    if (is_twin_first) {
        world_at_with(w, w->now_us + for_us - 1, NULL, twin_comes_first, w, member, SLICE_EMPTY);
    }
    process_pause(w, &m->agent_process, for_us);
    process_pause(w, &m->guard_process, for_us);
    if (m->tree.is_up) {
        process_freeze(&m->tree, STOPPED_BY_FAULT);
        pg_note(&m->pg);
        uint64_t pause = ++m->tree.pause_number;
        world_at_with(w, w->now_us + for_us + 60 * MS, NULL, host_goes_on, w, member,
                      slice_from(&pause, sizeof(pause)));
    }
}

static void pause_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    int holder = members_holder(w, cluster_of(w, (unsigned)number));
    (void)bytes;
    if (holder >= 0 && w->now_us < w->setup.faults_end_us - 8 * SECOND) {
        pause_host(w, (unsigned)holder, 6 * SECOND, true);
    }
}

/* Now and then the holder's host, whoever that is by then, stands still several times in a minute.
 */
void strike_host_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    bool is_twin_first = chance(&s->rand, 300000);
    pause_host(w, member, for_us, is_twin_first);
    for (unsigned i = 1; i < 4 && is_twin_first; i++) {
        world_at_with(w, w->now_us + i * 13 * SECOND, NULL, pause_again, w, member, SLICE_EMPTY);
    }
}

/* The hypervisor stops the host and its clock with it. */
static void standstill_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    (void)bytes;
    if (m->clock.standing_since != 0) {
        clock_go_on(&m->clock);
        process_thaw(w, &m->agent_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->guard_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->tree, STOPPED_BY_FAULT);
        pg_note(&m->pg);
    }
}

void strike_standstill(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    struct member *m = member_of(w, member);
    bool is_stopped = m->guard_process.stopped != 0 || m->agent_process.stopped != 0;
    if (!w->setup.is_standstill || is_stopped || !m->has_power) {
        return;
    }
    fault_bit(w, s->kind, member, 0, for_us);
    clock_stop(&m->clock);
    process_freeze(&m->agent_process, STOPPED_BY_FAULT);
    process_freeze(&m->guard_process, STOPPED_BY_FAULT);
    process_freeze(&m->tree, STOPPED_BY_FAULT);
    pg_note(&m->pg);
    world_at_with(w, w->now_us + for_us, NULL, standstill_ends, w, member, SLICE_EMPTY);
}

void strike_guard_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    host_guard_crashes(w, s, member);
}

static void guard_hangs(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    struct base_rand r = world_stream(w, STREAM_STRIKE, 500000 + w->event_number % 400000);
    (void)bytes;
    if (m->guard_process.is_up && m->guard_process.stopped == 0 && m->has_power) {
        int64_t for_us = draw(&r, 100 * MS, 4 * SECOND);
        fault_bit(w, FAULT_GUARD_HANG, m->index, 0, for_us);
        process_pause(w, &m->guard_process, for_us);
    }
}

/* The guard alone stands still, now and then when no grant comes any more and its time is short:
 * the watchdog ends what it cannot. */
void strike_guard_hang(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t ttl_us = database_of(w, member)->ttl_ms * MS, after_us = 0;
    if (chance(&s->rand, 600000)) {
        after_us = draw(&s->rand, ttl_us / 4, ttl_us);
        for (unsigned i = 0; i < w->setup.slots; i++) {
            fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, 2 * ttl_us, false);
        }
    }
    world_at_with(w, w->now_us + after_us, NULL, guard_hangs, w, member, SLICE_EMPTY);
}

void strike_switchover(struct world *w, struct strike *s)
{
    if (nodes_switchover(w, (unsigned)draw(&s->rand, 0, w->setup.clusters - 1)) == 0) {
        fault_bit(w, s->kind, 0, 0, 0);
    }
}

static void hang_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    pg->is_hung = false;
}

void strike_database_hang(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    struct pg *pg = pg_of(w, member);
    if (pg->process->is_up) {
        fault_bit(w, s->kind, member, 0, for_us);
        truth_fails(w, pg);
        pg->is_hung = true;
        world_at(w, w->now_us + for_us, NULL, hang_ends, pg);
    }
}

void strike_database_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    struct pg *pg = pg_of(w, member);
    if (pg->process->is_up && pg->is_root_alive) {
        fault_bit(w, s->kind, member, 0, 0);
        pg_root_killed(pg);
    }
}

static void cut_agent(struct world *w, struct strike *s, bool is_one_way)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    bool is_out = chance(&s->rand, 500000), is_all = chance(&s->rand, 700000);
    bool is_held = chance(&s->rand, 500000);
    fault_bit(w, s->kind, member, is_out, for_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (!is_all && chance(&s->rand, 500000)) {
            continue;
        }
        if (!is_one_way || is_out) {
            net_cut(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, w->now_us + for_us, is_held);
        }
        if (!is_one_way || !is_out) {
            net_cut(w, ADDRESS_NODE + i, ADDRESS_AGENT + member, w->now_us + for_us, is_held);
        }
    }
}

static void cut_replication(struct world *w, unsigned member, int64_t for_us, bool is_held)
{
    for (unsigned i = 0; i < w->setup.members; i++) {
        if (i != member) {
            fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_AGENT + i, for_us, is_held);
            fault_cut_both(w, ADDRESS_DB + member, ADDRESS_DB + i, for_us, is_held);
        }
    }
}

void strike_host_isolate(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    cut_replication(w, member, for_us, false);
    host_agent_is_cut(w, member, for_us);
}

/* One quorum node and one host are together, and away from all others. */
void strike_split(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    unsigned node = strike_place(w, s);
    int leader = nodes_leader(w);
    node = leader >= 0 && chance(&s->rand, 700000) ? (unsigned)leader : node;
    fault_bit(w, s->kind, member, node, for_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != node) {
            fault_cut_both(w, ADDRESS_NODE + node, ADDRESS_NODE + i, for_us, false);
            fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, for_us, false);
        }
    }
    for (unsigned i = 0; i < w->setup.members; i++) {
        if (i != member) {
            fault_cut_both(w, ADDRESS_NODE + node, ADDRESS_AGENT + i, for_us, false);
        }
    }
    if (chance(&s->rand, 500000)) {
        cut_replication(w, member, for_us, false);
    }
}

void strike_host_power(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_power_fails(w, s, member, for_us);
}

void strike_agent_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    if (member_of(w, member)->clock.standing_since == 0) {
        host_agent_pauses(w, s, member, for_us);
    }
}

void strike_agent_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_agent_crashes(w, s, member, for_us);
}

void strike_agent_cut(struct world *w, struct strike *s)
{
    cut_agent(w, s, false);
}

void strike_agent_cut_one_way(struct world *w, struct strike *s)
{
    cut_agent(w, s, true);
}

void strike_replication_cut(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    cut_replication(w, member, for_us, chance(&s->rand, 500000));
}

/* It crashed too often, and stays down: an operator starts it again. */
static void start_retired(struct member *m)
{
    if (m->agent != NULL && agt_driver_agent(m->agent)->is_retired) {
        agent_stop(m, 3);
        member_heal(m);
    }
}

/* A crash counts when its tree is gone, which a disk that hangs keeps until the faults are over:
 * the operator looks once more. Never later, so that no other outage is hidden. */
static void look_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    for (unsigned i = 0; i < w->setup.members; i++) {
        start_retired(member_of(w, i));
    }
}

void faults_db_heal(struct world *w)
{
    if (w->setup.has_databases) {
        world_at(w, w->now_us + LOOK_AGAIN_US, NULL, look_again, w);
    }
    for (unsigned i = 0; w->setup.has_databases && i < w->setup.members; i++) {
        struct member *m = member_of(w, i);
        standstill_ends(w, i, SLICE_EMPTY);
        process_thaw(w, &m->agent_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->guard_process, STOPPED_BY_FAULT);
        m->pg.is_hung = false;
        faults_pg_heal(&m->pg);
        start_retired(m);
        member_heal(m);
    }
}
