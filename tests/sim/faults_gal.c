/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong with MariaDB Galera, its hosts and its operators. */
#include "tests/sim/faults_gal.h"

#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_gal.h"

static unsigned any_member(struct world *w, struct strike *s)
{
    return (unsigned)draw(&s->rand, wsrep_first(w), (int64_t)wsrep_end(w) - 1);
}

/* Rather the writer. */
static unsigned strike_member(struct world *w, struct strike *s)
{
    bool is_writer = chance(&s->rand, 500000);
    unsigned member = any_member(w, s);
    for (unsigned i = wsrep_first(w); i < wsrep_end(w) && is_writer; i++) {
        member = wsrep_of(w, i)->writable_epoch != 0 ? i : member;
    }
    return member;
}

/* Half of them are longer than an eviction takes. */
static int64_t strike_for(struct strike *s)
{
    return chance(&s->rand, 500000) ? draw(&s->rand, 4 * SECOND, 25 * SECOND)
                                    : draw(&s->rand, 100 * MS, 4 * SECOND);
}

/* --- processes and hosts --- */

bool galera_kill_server(struct world *w, unsigned member)
{
    struct member *m = member_of(w, member);
    if (!m->tree.is_up || m->gal.phase == WSREP_DOWN) {
        return false;
    }
    wsrep_gone(&m->gal, false);
    guard_root_exited(m, 9);
    return true;
}

void strike_galera_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    if (galera_kill_server(w, member)) {
        fault_bit(w, s->kind, member, 0, 0);
    }
}

void strike_galera_rolling(struct world *w, struct strike *s)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if (chance(&s->rand, 700000) && galera_kill_server(w, i)) {
            fault_bit(w, s->kind, i, 0, 0);
        }
    }
}

static void goes_on(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    (void)bytes;
    if (m->guard_process.stopped != 0) {
        return; /* a later pause of the same host ends later */
    }
    process_thaw(w, &m->tree, STOPPED_BY_FAULT);
    truth_gal_note(w, &m->gal);
}

void strike_galera_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    struct member *m = member_of(w, member);
    if (m->tree.is_up) {
        fault_bit(w, s->kind, member, 0, for_us);
        process_freeze(&m->tree, STOPPED_BY_FAULT);
        truth_gal_note(w, &m->gal);
        world_at_with(w, w->now_us + for_us, NULL, goes_on, w, member, SLICE_EMPTY);
    }
}

void strike_galera_host_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    struct member *m = member_of(w, member);
    fault_bit(w, s->kind, member, 0, for_us);
    process_pause(w, &m->agent_process, for_us);
    process_pause(w, &m->guard_process, for_us);
    if (m->tree.is_up) {
        process_freeze(&m->tree, STOPPED_BY_FAULT);
        truth_gal_note(w, &m->gal);
        /* The guard gets its turn first, as safety.md assumes. */
        world_at_with(w, w->now_us + for_us + 60 * MS, NULL, goes_on, w, member, SLICE_EMPTY);
    }
}

void strike_galera_host_power(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_power_fails(w, s, member, for_us);
}

void strike_galera_agent_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_agent_crashes(w, s, member, for_us);
}

void strike_galera_agent_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_agent_pauses(w, s, member, for_us);
}

void strike_galera_guard_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    host_guard_crashes(w, s, member);
}

/* An administrator stops it, past its agent; or all of them, as a shutdown of all hosts does. */
void strike_galera_stopped(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    bool is_all = chance(&s->rand, 400000);
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        struct member *m = member_of(w, i);
        if ((is_all || i == member) && m->tree.is_up && m->tree.stopped == 0) {
            fault_bit(w, s->kind, i, is_all, 0);
            wsrep_signal(&m->gal, 15);
        }
    }
}

/* --- all at once --- */

/* Mean: one of them lags behind, and writes go on for a moment. */
static void outage_now(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        (void)galera_kill_server(w, i);
    }
}

void strike_galera_outage(struct world *w, struct strike *s)
{
    fault_bit(w, s->kind, wsrep_first(w), 0, 0);
    outage_now(w, 0, SLICE_EMPTY);
}

void strike_galera_lagging(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    struct wsrep *g = wsrep_of(w, member);
    if (wsrep_is_awake(g) && wsrep_is_primary(g)) {
        fault_bit(w, s->kind, member, 0, 0);
        g->is_applier_blocked = true;
        world_at(w, w->now_us + draw(&s->rand, SECOND, 4 * SECOND), NULL, outage_now, w);
    }
}

/* The power of all hosts goes, and comes back one after the other. */
void strike_galera_blackout(struct world *w, struct strike *s)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        int64_t for_us = draw(&s->rand, SECOND, 20 * SECOND);
        host_power_fails(w, s, i, for_us);
    }
}

/* --- links --- */

static void link(struct world *w, struct strike *s, bool is_one_way)
{
    unsigned a = strike_member(w, s), b = any_member(w, s);
    int64_t for_us = strike_for(s);
    if (a != b) {
        fault_bit(w, s->kind, a, b, for_us);
        host_servers_are_cut(w, a, b, for_us, is_one_way);
    }
}

void strike_galera_link(struct world *w, struct strike *s)
{
    link(w, s, false);
}

void strike_galera_link_one_way(struct world *w, struct strike *s)
{
    link(w, s, true);
}

static void isolate(struct world *w, unsigned member, int64_t for_us)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if (i != member) {
            host_servers_are_cut(w, member, i, for_us, false);
            fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_AGENT + i, for_us, false);
        }
    }
    fault_cut_both(w, ADDRESS_DB + member, ADDRESS_NODE, for_us, false); /* the arbitrator's */
}

void strike_galera_isolate(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    isolate(w, member, for_us);
}

void strike_galera_agent_cut(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    host_agent_is_cut(w, member, for_us);
}

void strike_galera_host_isolate(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    isolate(w, member, for_us);
    host_agent_is_cut(w, member, for_us);
}

/* --- servers and operators --- */

static void applier_goes_on(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)number;
    (void)bytes;
    g->is_applier_blocked = false;
}

/* Somebody holds a lock on a table there. */
void strike_galera_applier(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    int64_t for_us = strike_for(s);
    struct wsrep *g = wsrep_of(w, member);
    if (wsrep_is_awake(g)) {
        fault_bit(w, s->kind, member, 0, for_us);
        g->is_applier_blocked = true;
        world_at(w, w->now_us + for_us, NULL, applier_goes_on, g);
    }
}

/* Some faults need a moment that may come later: it is looked for as long as faults may strike. */
#define LOOK_US (100 * MS)
#define MEMBER_BITS 8

static void look_again(struct world *w, event_fn *fn, uint64_t number)
{
    if (w->now_us + LOOK_US < w->setup.faults_end_us) {
        world_at_with(w, w->now_us + LOOK_US, NULL, fn, w, number, SLICE_EMPTY);
    }
}

static void kill_joiner(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (wsrep_of(w, (unsigned)number)->dir.is_sst_in_progress &&
        galera_kill_server(w, (unsigned)number)) {
        fault_bit(w, FAULT_GALERA_JOINER, (unsigned)number, 0, 0);
    }
}

/* Above the member's number: so many ms after the transfer's beginning; above that, whether all go.
 */
static void await_joiner(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    unsigned member = number & ((1u << MEMBER_BITS) - 1);
    int64_t at_us = w->now_us + (int64_t)(number >> MEMBER_BITS & 0xffff) * MS;
    (void)bytes;
    if (!wsrep_of(w, member)->dir.is_sst_in_progress) {
        look_again(w, await_joiner, number);
        return;
    }
    world_at_with(w, at_us, NULL, kill_joiner, w, member, SLICE_EMPTY);
    if (number >> (MEMBER_BITS + 16) != 0) {
        world_at(w, at_us + 100 * MS, NULL, outage_now, w);
    }
}

/* What it has is somewhere else, too. */
static bool is_spare(struct world *w, unsigned member)
{
    const struct wsrep *g = wsrep_of(w, member);
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct wsrep *other = wsrep_of(w, i);
        bool is_other = i != member && other->state == WSREP_SYNCED && wsrep_is_awake(other);
        if (is_other && wsrep_is_primary(other) && other->peer.view.id == g->peer.view.id) {
            return true;
        }
    }
    return false;
}

/* A member has to take everything, and dies while it does; sometimes all the others do, too. */
void strike_galera_joiner(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    struct member *m = member_of(w, member);
    uint64_t after_ms = (uint64_t)draw(&s->rand, 0, 1500);
    uint64_t is_outage = chance(&s->rand, 300000);
    if (m->gal.writable_epoch != 0 || !is_spare(w, member) || !galera_kill_server(w, member)) {
        return;
    }
    m->gal.dir.is_grastate_empty = true;
    look_again(w, await_joiner, member | after_ms << MEMBER_BITS | is_outage << (MEMBER_BITS + 16));
}

void strike_galera_switchover(struct world *w, struct strike *s)
{
    if (nodes_switchover(w, w->setup.clusters) == 0) {
        fault_bit(w, s->kind, 0, 0, 0);
    }
}

/* Somebody loses patience, and says pc.bootstrap where there is no component. */
static void bootstrap_by_hand(void *ctx, uint64_t member, struct slice bytes)
{
    struct world *w = ctx;
    unsigned count = wsrep_end(w) - wsrep_first(w);
    (void)bytes;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = wsrep_first(w) + ((unsigned)member - wsrep_first(w) + i) % count;
        if (wsrep_pc_bootstrap(wsrep_of(w, at), true)) {
            fault_bit(w, FAULT_GALERA_BY_HAND, at, 0, 0);
            return;
        }
    }
    look_again(w, bootstrap_by_hand, member);
}

void strike_galera_by_hand(struct world *w, struct strike *s)
{
    bootstrap_by_hand(w, any_member(w, s), SLICE_EMPTY);
}

void faults_gal_heal(struct world *w)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        struct member *m = member_of(w, i);
        process_thaw(w, &m->agent_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->guard_process, STOPPED_BY_FAULT);
        world_at_with(w, w->now_us + 60 * MS, NULL, goes_on, w, i, SLICE_EMPTY); /* guards first */
        m->gal.is_applier_blocked = false;
        member_heal(m);
    }
}
