/* SPDX-License-Identifier: Apache-2.0 */
/* See mongo_operator.h. */
#include "tests/sim/mongo_operator.h"

#include <stdio.h>

#include "agents/driver.h"
#include "base/name.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/truth_ops.h"

#define ORDER_CUT_US (6 * SECOND)

static int ask(struct world *w, const struct arb_request *request)
{
    bool is_plan = request->kind == ARB_REQUEST_FORCE_RECONFIGURE && request->token == 0;
    int rc = nodes_request(w, w->setup.clusters, request);
    w->tally.mongodb_asked += rc == 0;
    if (rc == 0 && is_plan) {
        truth_mongo_planned(w, &request->destroyed);
    }
    return rc;
}

static struct base_name name_of(struct world *w, unsigned member)
{
    return w->members->list[member].name;
}

static struct base_name draw_name(struct world *w, struct base_rand *r)
{
    return name_of(w, (unsigned)draw(r, mongo_first(w), (int64_t)mongo_end(w) - 1));
}

/* --- administrators --- */

static void drain_or_not(struct world *w, struct base_rand *r, const struct msg_record *record)
{
    struct arb_request request = {.kind = ARB_REQUEST_DRAIN, .candidate = draw_name(w, r)};
    if (record->drained.count > 0) {
        request.kind = ARB_REQUEST_UNDRAIN;
        request.candidate = record->drained.names[0];
    }
    (void)ask(w, &request);
}

static void order_a_task(struct world *w, struct base_rand *r)
{
    struct arb_request request = {.kind = ARB_REQUEST_TASK};
    request.task.kind = chance(r, 700000) ? MSG_TASK_RESTART : MSG_TASK_REINIT;
    request.task.member = draw_name(w, r);
    (void)ask(w, &request);
}

static void act(struct world *w, struct base_rand *r, const struct msg_record *record)
{
    int64_t what = draw(r, 0, 99);
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER};
    if (record->is_paused || what < 15) {
        request.kind = record->is_paused ? ARB_REQUEST_RESUME : ARB_REQUEST_PAUSE;
        (void)ask(w, &request);
    } else if (what < 30) {
        drain_or_not(w, r, record);
    } else if (what < 55) {
        order_a_task(w, r);
    } else if (what < 60) {
        request.kind = ARB_REQUEST_CANCEL;
        if (ask(w, &request) == 0) {
            truth_ops_cancelled(w, w->setup.clusters);
        }
    } else {
        if (chance(r, 500000)) {
            request.candidate = draw_name(w, r);
        }
        (void)ask(w, &request);
    }
}

/* What still waits after a while is taken back. */
static bool is_time_to_cancel(const struct world *w)
{
    int64_t over_us = w->now_us - w->setup.faults_end_us;
    return over_us >= 60 * SECOND && over_us < 62 * SECOND;
}

static void tidy(struct world *w, const struct msg_record *record)
{
    if (record->tasks_count > 0 && is_time_to_cancel(w) &&
        ask(w, &(struct arb_request){.kind = ARB_REQUEST_CANCEL}) == 0) {
        truth_ops_cancelled(w, w->setup.clusters);
    }
    if (record->is_paused) {
        (void)ask(w, &(struct arb_request){.kind = ARB_REQUEST_RESUME});
    } else if (record->drained.count > 0) {
        (void)ask(w, &(struct arb_request){.kind = ARB_REQUEST_UNDRAIN,
                                           .candidate = record->drained.names[0]});
    }
}

static void admin(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct base_rand r = world_stream(w, STREAM_MONGODB, 200 + number);
    struct msg_record record;
    (void)bytes;
    bool is_over = w->now_us >= w->setup.faults_end_us;
    int64_t next_us = is_over ? 2 * SECOND : draw(&r, SECOND, 15 * SECOND);
    world_at_with(w, w->now_us + next_us, NULL, admin, w, number + 1, SLICE_EMPTY);
    if (!truth_ops_record(w, w->setup.clusters, &record)) {
        return;
    }
    if (is_over) {
        tidy(w, &record);
    } else {
        act(w, &r, &record);
    }
}

/* --- settings --- */

/* number: seconds of the election timeout; 0: as it is. */
static void configure(void *ctx, uint64_t number, struct slice bytes)
{
    static const char *const cut_off[] = {"report", "stepdown", "kill", "kill"};
    static const char *const gray[] = {"report", "stepdown", "kill", "kill"};
    struct world *w = ctx;
    unsigned p = w->setup.mongodb_policy;
    char text[256], timeout[48] = "";
    (void)bytes;
    if (number > 0) {
        (void)snprintf(timeout, sizeof(timeout), ",\"election_timeout\":\"%us\"", (unsigned)number);
    }
    (void)snprintf(text, sizeof(text),
                   "{\"mongodb\":{\"cut_off\":\"%s\",\"gray\":\"%s\",\"degrade\":\"%s\","
                   "\"resync\":\"%s\",\"steering\":\"%s\"%s}}",
                   cut_off[p & 3], gray[p >> 2 & 3], (p >> 4 & 1) != 0 ? "auto" : "alarm",
                   (p >> 5 & 1) != 0 ? "auto" : "off", (p >> 6 & 1) != 0 ? "on" : "off", timeout);
    if (nodes_configure(w, w->setup.clusters, slice_from_text(text)) != 0) {
        world_at_with(w, w->now_us + SECOND, NULL, configure, w, number, SLICE_EMPTY);
    }
}

/* A shorter election timeout: nothing but the primary's word is needed for that. */
void mongo_operator_wants(struct world *w, int64_t at_us)
{
    world_at_with(w, at_us, NULL, configure, w, 8, SLICE_EMPTY);
}

/* --- the majority is lost --- */

static struct msg_names lost_names(struct world *w)
{
    struct msg_names names = {0};
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        if (!member_of(w, i)->has_power) {
            names.names[names.count++] = name_of(w, i);
        }
    }
    return names;
}

/* Nobody says of a mongod that runs that it is destroyed. */
static struct msg_names not_running(struct world *w, const struct msg_names *of)
{
    struct msg_names names = {0};
    for (uint8_t i = 0; i < of->count; i++) {
        int member = member_by_name(w, &of->names[i]);
        if (member < 0 || !member_of(w, (unsigned)member)->tree.is_up) {
            names.names[names.count++] = of->names[i];
        }
    }
    return names;
}

/* Somebody is impatient, or mad, and says it over and over. */
static void say_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct arb_request request = {
        .kind = ARB_REQUEST_FORCE_RECONFIGURE, .token = number, .random = (uint64_t)w->now_us | 1};
    (void)bytes;
    request.destroyed = lost_names(w);
    (void)nodes_request(w, w->setup.clusters, &request);
    if (w->now_us < w->setup.faults_end_us) {
        world_at_with(w, w->now_us + SECOND, NULL, say_again, w, number, SLICE_EMPTY);
    }
}

/* Who has to carry the order out is cut off for as long as it is open, and never hears of it. */
static void lose_order(void *ctx, uint64_t member, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    (void)bytes;
    bool is_open = !truth_ops_record(w, w->setup.clusters, &record) ||
                   record.mongodb.order.state == MSG_MONGODB_ORDER_OPEN;
    if (is_open && w->now_us < w->setup.faults_end_us) {
        fault_bit(w, FAULT_MONGODB_AGENT_CUT, (unsigned)member, 0, ORDER_CUT_US);
        host_agent_is_cut(w, (unsigned)member, ORDER_CUT_US);
        world_at_with(w, w->now_us + ORDER_CUT_US - SECOND, NULL, lose_order, w, member,
                      SLICE_EMPTY);
    }
}

/* It is to be spent in vain, and then said over and over. */
static void token_is_spent(struct world *w, const struct base_name *freshest, uint64_t token)
{
    int member = member_by_name(w, freshest);
    if (w->setup.has_mongodb_token && member >= 0) {
        host_agent_is_cut(w, (unsigned)member, ORDER_CUT_US);
        world_at_with(w, w->now_us + ORDER_CUT_US / 2, NULL, lose_order, w, (uint64_t)member,
                      SLICE_EMPTY);
    }
    world_at_with(w, w->now_us + SECOND, NULL, say_again, w, token, SLICE_EMPTY);
}

/* number: how often it was tried. */
static void say_force(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    struct arb_request request = {.kind = ARB_REQUEST_FORCE_RECONFIGURE,
                                  .random = (uint64_t)w->now_us | 1};
    (void)bytes;
    request.destroyed = lost_names(w);
    bool is_planned =
        truth_ops_record(w, w->setup.clusters, &record) && record.mongodb.force.token != 0;
    if (is_planned) { /* who has begun goes on, also when the hosts come back */
        request.token = record.mongodb.force.token;
        request.destroyed = not_running(w, &record.mongodb.force.lost);
    } else if (number >= 30 || request.destroyed.count * 2u <= w->setup.mongodb_members) {
        return;
    }
    int rc = ask(w, &request);
    if (rc == 0 && request.token != 0) {
        token_is_spent(w, &record.mongodb.force.freshest, request.token);
        return;
    }
    if (rc != 0 && request.token != 0) { /* void by now: planned anew, and again */
        request.token = 0;
        (void)ask(w, &request);
    }
    world_at_with(w, w->now_us + SECOND, NULL, say_force, w, number + 1, SLICE_EMPTY);
}

static void lose_majority(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct base_rand r = world_stream(w, STREAM_MONGODB, 100);
    unsigned count = w->setup.mongodb_members / 2 + 1, at = (unsigned)draw(&r, 0, 8);
    int64_t for_us = draw(&r, 20 * SECOND, 80 * SECOND);
    int64_t left_us = w->setup.faults_end_us - w->now_us;
    (void)number;
    (void)bytes;
    for_us = w->setup.has_mongodb_token ? left_us : for_us;
    for (unsigned i = 0; i < count; i++) {
        unsigned member = mongo_first(w) + (at + i) % w->setup.mongodb_members;
        fault_bit(w, FAULT_MONGODB_LONG_OFF, member, 0, 0);
        member_power_off(w, member, for_us < left_us ? for_us : left_us);
    }
    world_at_with(w, w->now_us + draw(&r, 3 * SECOND, 15 * SECOND), NULL, say_force, w, 0,
                  SLICE_EMPTY);
}

/* Whom nothing but a copy helps: left out by force, or too far behind. */
static bool is_for_copy(struct world *w, const struct msg_record *record, struct base_name *ret)
{
    if (record->mongodb.barred.count > 0) {
        *ret = record->mongodb.barred.names[0];
        return true;
    }
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        if (mset_is_stale(w->mongo->set, mongo_node(w, i))) {
            *ret = name_of(w, i);
            return true;
        }
    }
    return false;
}

/* The forced order was lost with who had to carry it out: what was left out still counts, and a new
 * plan is asked for. number: since when there is no primary; 0: there is one. */
static void plan_anew(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    uint64_t term;
    struct arb_request request = {.kind = ARB_REQUEST_FORCE_RECONFIGURE,
                                  .random = (uint64_t)w->now_us | 1};
    (void)bytes;
    uint64_t since = mset_primary(w->mongo->set, &term) >= 0 ? 0
                     : number != 0                           ? number
                                                             : (uint64_t)w->now_us;
    bool is_time = since != 0 && w->now_us - (int64_t)since > 30 * SECOND;
    if (is_time && truth_ops_record(w, w->setup.clusters, &record) &&
        record.mongodb.barred.count > 0) {
        request.destroyed = record.mongodb.barred;
        request.token = record.mongodb.force.token;
        if (ask(w, &request) != 0 && request.token != 0) { /* void by now */
            request.token = 0;
            (void)ask(w, &request);
        }
    }
    world_at_with(w, w->now_us + 2 * SECOND, NULL, plan_anew, w, since, SLICE_EMPTY);
}

/* Where an order is refused: of a member that is kept down. */
static void wipe_by_hand(struct world *w, const struct base_name *name)
{
    int member = member_by_name(w, name);
    if (member >= 0 && !member_of(w, (unsigned)member)->tree.is_up) {
        truth_mongo_wiped(w, (unsigned)member);
        mset_wipe(w->mongo->set, mongo_node(w, (unsigned)member));
    }
}

/* Killed by its agent or by an order, and down until somebody has looked at its disk. */
static bool is_kept_down(struct world *w, struct base_name *ret)
{
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        const struct member *m = member_of(w, i);
        bool is_agent = m->agent != NULL && m->agent_process.is_up;
        if (is_agent && !m->tree.is_up && agt_driver_agent(m->agent)->disk.mongodb.is_held) {
            *ret = name_of(w, i);
            return true;
        }
    }
    return false;
}

static void make_one_anew(struct world *w, const struct msg_record *record)
{
    struct arb_request request = {.kind = ARB_REQUEST_TASK};
    request.task.kind = MSG_TASK_REINIT;
    if (is_for_copy(w, record, &request.task.member)) {
        if (ask(w, &request) != 0) {
            wipe_by_hand(w, &request.task.member);
        }
    } else if (is_kept_down(w, &request.task.member)) {
        request.task.kind = MSG_TASK_RESTART;
        (void)ask(w, &request);
    }
}

/* They are made anew, or started again, when everything has calmed down. First what was ordered
 * before is canceled: it may wait for ever (the only good copy was to be made anew), and stands in
 * the way of the next order to its member. are_old_gone: that was done. */
static void make_anew(void *ctx, uint64_t are_old_gone, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    (void)bytes;
    bool is_known = truth_ops_record(w, w->setup.clusters, &record);
    if (is_known && record.tasks_count == 0) {
        are_old_gone = true;
        make_one_anew(w, &record);
    } else if (is_known && !are_old_gone) {
        are_old_gone = ask(w, &(struct arb_request){.kind = ARB_REQUEST_CANCEL}) == 0;
        truth_ops_cancelled(w, w->setup.clusters);
    }
    world_at_with(w, w->now_us + 5 * SECOND, NULL, make_anew, w, are_old_gone, SLICE_EMPTY);
}

void mongo_operator_open(struct world *w)
{
    if (!mongo_exists(w)) {
        return;
    }
    struct base_rand r = world_stream(w, STREAM_MONGODB, 101);
    if (w->setup.mongodb_policy != 0) {
        world_at(w, w->now_us + 6 * SECOND, NULL, configure, w);
    }
    if (w->setup.has_mongodb_admins) {
        world_at_with(w, w->now_us + 20 * SECOND, NULL, admin, w, 0, SLICE_EMPTY);
    }
    world_at(w, w->setup.faults_end_us + 10 * SECOND, NULL, make_anew, w);
    if (w->setup.has_mongodb_force) {
        int64_t from = w->setup.faults_end_us / 2, to = w->setup.faults_end_us - 5 * SECOND;
        if (w->setup.has_mongodb_token) { /* there is time for the order to fail */
            from = MONGODB_LOST_US - 20 * SECOND;
            to = MONGODB_LOST_US;
        }
        world_at(w, draw(&r, from, to), NULL, lose_majority, w);
        world_at(w, w->setup.faults_end_us, NULL, plan_anew, w);
    }
}
