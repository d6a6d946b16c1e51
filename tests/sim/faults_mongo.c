/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong with MongoDB sets, their hosts and their operators. */
#include "tests/sim/faults_mongo.h"

#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/mongo_operator.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/truth_ops.h"

#define LADDER_US (80 * SECOND) /* all its steps, and more */
#define PARTED_US (60 * SECOND) /* four times what an election and an agent's look take */
#define QUIET_LOOKS 10          /* a second each: it is founded, and nothing is left to be done */

static unsigned any_member(struct world *w, struct strike *s)
{
    return (unsigned)draw(&s->rand, mongo_first(w), (int64_t)mongo_end(w) - 1);
}

/* Rather the primary. */
static unsigned strike_member(struct world *w, struct strike *s)
{
    uint64_t term;
    bool is_primary = chance(&s->rand, 500000);
    unsigned member = any_member(w, s);
    int primary = mset_primary(w->mongo->set, &term);
    return is_primary && primary >= 0 ? mongo_first(w) + (unsigned)primary : member;
}

/* Some are longer than an election takes. */
static int64_t strike_for(struct strike *s)
{
    return chance(&s->rand, 500000) ? draw(&s->rand, 6 * SECOND, 40 * SECOND)
                                    : draw(&s->rand, 100 * MS, 6 * SECOND);
}

/* --- processes and hosts --- */

static bool kill_server(struct world *w, unsigned member)
{
    struct member *m = member_of(w, member);
    if (!m->tree.is_up) {
        return false;
    }
    mongo_gone(&m->mongo);
    guard_root_exited(m, 9);
    return true;
}

void strike_mongodb_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    if (kill_server(w, member)) {
        fault_bit(w, s->kind, member, 0, 0);
    }
}

void strike_mongodb_outage(struct world *w, struct strike *s)
{
    fault_bit(w, s->kind, mongo_first(w), 0, 0);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        (void)kill_server(w, i);
    }
}

static void goes_on(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    (void)bytes;
    if (m->guard_process.stopped == 0) { /* else a later pause of the same host ends later */
        process_thaw(w, &m->tree, STOPPED_BY_FAULT);
        mongo_turn(w);
    }
}

static void freeze_server(struct world *w, unsigned member, int64_t for_us)
{
    struct member *m = member_of(w, member);
    if (m->tree.is_up) {
        process_freeze(&m->tree, STOPPED_BY_FAULT);
        mongo_turn(w);
        world_at_with(w, w->now_us + for_us, NULL, goes_on, w, member, SLICE_EMPTY);
    }
}

void strike_mongodb_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    freeze_server(w, member, for_us);
}

void strike_mongodb_host_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    struct member *m = member_of(w, member);
    fault_bit(w, s->kind, member, 0, for_us);
    process_pause(w, &m->agent_process, for_us);
    process_pause(w, &m->guard_process, for_us);
    freeze_server(w, member, for_us + draw(&s->rand, 0, 60 * MS));
}

void strike_mongodb_host_power(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_power_fails(w, s, member, for_us);
}

/* Long enough for votes to be taken away. */
void strike_mongodb_long_off(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    if (member_of(w, member)->has_power && !mongo_is_arbiter(w, member)) {
        int64_t for_us = draw(&s->rand, 125 * SECOND, 180 * SECOND);
        fault_bit(w, s->kind, member, 0, for_us);
        member_power_off(w, member, for_us);
    }
}

void strike_mongodb_agent_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_agent_crashes(w, s, member, for_us);
}

void strike_mongodb_agent_pause(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    host_agent_pauses(w, s, member, for_us);
}

void strike_mongodb_guard_crash(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    host_guard_crashes(w, s, member);
}

/* --- links --- */

static void cut_servers(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_one_way)
{
    host_servers_are_cut(w, a, b, for_us, is_one_way);
    mongo_turn(w);
}

static void link_is_cut(struct world *w, struct strike *s, bool is_one_way)
{
    unsigned a = strike_member(w, s), b = any_member(w, s);
    int64_t for_us = strike_for(s);
    if (a != b) {
        fault_bit(w, s->kind, a, b, for_us);
        cut_servers(w, a, b, for_us, is_one_way);
    }
}

void strike_mongodb_link(struct world *w, struct strike *s)
{
    link_is_cut(w, s, false);
}

void strike_mongodb_link_one_way(struct world *w, struct strike *s)
{
    link_is_cut(w, s, true);
}

static void isolate(struct world *w, unsigned member, int64_t for_us)
{
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        if (i != member) {
            cut_servers(w, member, i, for_us, false);
        }
    }
}

void strike_mongodb_isolate(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    isolate(w, member, for_us);
}

/* One of them, or the control plane as a whole. */
void strike_mongodb_agent_cut(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    bool is_all = chance(&s->rand, 400000);
    int64_t for_us = strike_for(s);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        if (is_all || i == member) {
            fault_bit(w, s->kind, i, 0, for_us);
            host_agent_is_cut(w, i, for_us);
        }
    }
}

void strike_mongodb_host_isolate(struct world *w, struct strike *s)
{
    unsigned member = strike_member(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, member, 0, for_us);
    isolate(w, member, for_us);
    host_agent_is_cut(w, member, for_us);
}

/* --- servers --- */

typedef void flag_fn(struct mset *s, unsigned node, bool is_on);

static flag_fn *const flags[] = {mset_disk_stuck, mset_disk_full, mset_hello_hung,
                                 mset_login_refused, mset_applier_blocked};

struct flag {
    unsigned member;
    size_t which;
};

static void flag_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    flags[number / MEMBERS_MAX](w->mongo->set, mongo_node(w, (unsigned)(number % MEMBERS_MAX)),
                                false);
    mongo_turn(w);
}

static void flag_on(struct world *w, size_t which, unsigned member, int64_t for_us)
{
    mongo_turn(w);
    flags[which](w->mongo->set, mongo_node(w, member), true);
    mongo_turn(w);
    world_at_with(w, w->now_us + for_us, NULL, flag_ends, w, which * MEMBERS_MAX + member,
                  SLICE_EMPTY);
}

static void flag_for(struct world *w, struct strike *s, size_t which, int64_t most_us)
{
    unsigned member = strike_member(w, s);
    int64_t for_us =
        chance(&s->rand, 600000) ? draw(&s->rand, most_us / 4, most_us) : strike_for(s);
    if (member_of(w, member)->tree.is_up) {
        fault_bit(w, s->kind, member, 0, for_us);
        flag_on(w, which, member, for_us);
    }
}

enum ladder { LADDER_ALONE, LADDER_CUT_OFF, LADDER_IN_MINORITY };

/* Long enough for all steps of the ladder. Cut off as well, nobody but its agent can end it; cut
 * off from the other servers alone, while there are few voters yet, it stays the one primary that
 * the arbiter hears of, in a minority. number: enum ladder. */
static void hang_primary(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct base_rand r = world_stream(w, STREAM_MONGODB, 102);
    uint64_t term;
    int primary = mset_primary(w->mongo->set, &term);
    int64_t for_us = draw(&r, LADDER_US / 2, LADDER_US);
    (void)bytes;
    if (primary < 0) {
        world_at_with(w, w->now_us + SECOND, NULL, hang_primary, w, number, SLICE_EMPTY);
        return;
    }
    unsigned member = mongo_first(w) + (unsigned)primary;
    fault_bit(w, FAULT_MONGODB_DISK_STUCK, member, 0, for_us);
    flag_on(w, 0, member, for_us);
    if (number != LADDER_ALONE) {
        isolate(w, member, for_us);
    }
    if (number == LADDER_CUT_OFF) {
        host_agent_is_cut(w, member, for_us);
    }
}

/* Nobody hears anybody, and the primary, whose disk hangs, does not stand back: its agent and all
 * others are heard by the arbiter, of whom people want something meanwhile. number: since how many
 * looks no order was open. */
static void part_all(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    uint64_t term;
    int primary = mset_primary(w->mongo->set, &term);
    bool is_quiet = primary >= 0 && truth_ops_record(w, w->setup.clusters, &record) &&
                    record.mongodb.order.state != MSG_MONGODB_ORDER_OPEN;
    (void)bytes;
    if (!is_quiet || number < QUIET_LOOKS) {
        world_at_with(w, w->now_us + SECOND, NULL, part_all, w, is_quiet ? number + 1 : 0,
                      SLICE_EMPTY);
        return;
    }
    unsigned member = mongo_first(w) + (unsigned)primary;
    fault_bit(w, FAULT_MONGODB_DISK_STUCK, member, 0, PARTED_US);
    flag_on(w, 0, member, PARTED_US);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        fault_bit(w, FAULT_MONGODB_ISOLATE, i, 0, PARTED_US);
        isolate(w, i, PARTED_US);
    }
    mongo_operator_wants(w, w->now_us + PARTED_US / 2);
}

void faults_mongo_open(struct world *w)
{
    if (mongo_exists(w) && w->setup.has_mongodb_parted) {
        world_at_with(w, 20 * SECOND, NULL, part_all, w, 0, SLICE_EMPTY);
    }
    if (mongo_exists(w) && w->setup.has_mongodb_ladder) {
        struct base_rand r = world_stream(w, STREAM_MONGODB, 103);
        uint64_t ladder = (uint64_t)draw(&r, LADDER_ALONE, LADDER_IN_MINORITY);
        int64_t at_us = ladder == LADDER_IN_MINORITY ? draw(&r, 8 * SECOND, 20 * SECOND)
                                                     : draw(&r, 26 * SECOND, 30 * SECOND);
        world_at_with(w, at_us, NULL, hang_primary, w, ladder, SLICE_EMPTY);
    }
}

void strike_mongodb_disk_stuck(struct world *w, struct strike *s)
{
    flag_for(w, s, 0, LADDER_US);
}

void strike_mongodb_disk_full(struct world *w, struct strike *s)
{
    flag_for(w, s, 1, LADDER_US);
}

void strike_mongodb_hello_hung(struct world *w, struct strike *s)
{
    flag_for(w, s, 2, 20 * SECOND);
}

void strike_mongodb_login(struct world *w, struct strike *s)
{
    flag_for(w, s, 3, 40 * SECOND);
}

void strike_mongodb_applier(struct world *w, struct strike *s)
{
    flag_for(w, s, 4, 40 * SECOND);
}

/* --- people --- */

static void nobody_waits(void *ctx, const struct mset_reply *reply)
{
    (void)ctx;
    (void)reply;
}

/* Somebody works on the set past us: a step-down, a step-up, a freeze, a maintenance. */
void strike_mongodb_by_hand(struct world *w, struct strike *s)
{
    static const enum mset_command_kind kinds[] = {MSET_STEP_DOWN, MSET_STEP_UP, MSET_FREEZE};
    unsigned member = strike_member(w, s);
    struct mset_command c = {.kind = kinds[draw(&s->rand, 0, 2)],
                             .seconds = (uint32_t)draw(&s->rand, 5, 30),
                             .max_time_ms = 5000};
    fault_bit(w, s->kind, member, 0, 0);
    (void)mongo_ask(w, member, &c, nobody_waits, w);
}

void strike_mongodb_switchover(struct world *w, struct strike *s)
{
    if (nodes_switchover(w, w->setup.clusters) == 0) {
        fault_bit(w, s->kind, mongo_first(w), 0, 0);
    }
}

/* A host comes back with an older image of its directory, or with an empty one. */
void strike_mongodb_restored(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s);
    int64_t for_us = strike_for(s);
    if (member_of(w, member)->has_power) {
        fault_bit(w, s->kind, member, 0, for_us);
        bool is_emptied = chance(&s->rand, 500000);
        mset_image(w->mongo->set, mongo_node(w, any_member(w, s)));
        member_power_off(w, member, for_us);
        (is_emptied ? mset_wipe : mset_restore)(w->mongo->set, mongo_node(w, member));
        truth_mongo_spoiled(w);
    }
}

void faults_mongo_heal(struct world *w)
{
    if (!mongo_exists(w)) {
        return;
    }
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        struct member *m = member_of(w, i);
        process_thaw(w, &m->agent_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->guard_process, STOPPED_BY_FAULT);
        process_thaw(w, &m->tree, STOPPED_BY_FAULT);
        member_heal(m);
    }
    mset_heal(w->mongo->set);
    mongo_turn(w);
}
