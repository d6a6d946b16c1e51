/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of one agent: what a leader and other members say to it; see agt_world.h. */
#include "tests/unit/agt_world.h"

#include <string.h>

#include "base/assert.h"
#include "base/name.h"

void world_record(struct world *w, uint64_t epoch, const char *holder)
{
    struct msg_record *r = &w->record;
    bool is_higher = epoch != r->epoch;
    r->cluster = world_name("c");
    r->epoch = epoch;
    r->revision++;
    r->state = MSG_RECORD_RUNNING;
    r->system_id = WORLD_SYSTEM_ID;
    r->holder = world_name(holder);
    r->holder_instance = strcmp(holder, "a") == 0 ? w->guard.status.instance : 999;
    if (is_higher) {
        r->floor = (struct msg_position){epoch - 1, r->timeline, 2000};
        r->floor_epoch = epoch;
        r->timeline = (uint32_t)epoch;
    }
    r->timeline_highest = r->timeline;
    r->voters.count = 2;
    r->voters.names[0] = world_name("b");
    r->voters.names[1] = world_name("d");
    r->votes_needed_r = 1;
    r->is_opened = strcmp(holder, "a") != 0;
    r->ttl_ms = 2000;
    r->heartbeat_ms = 250;
    r->freeze_max_ms = 3000;
    r->sync_count = 1;
}

static void add_member(const struct world *w, struct msg_order *o, const char *name)
{
    struct msg_member m = strcmp(name, "b") == 0   ? w->peers[0]
                          : strcmp(name, "d") == 0 ? w->peers[1]
                                                   : (struct msg_member){0};
    m.member = world_name(name);
    m.host = base_text_from(SLICE_LIT("127.0.0.2"));
    m.db_port = 5432;
    m.http_port = 8008;
    m.db_state = MSG_DB_STANDBY;
    m.is_heard = true;
    m.is_open = w->is_upstream_open && strcmp(name, "a") != 0 &&
                base_name_equal(&w->record.holder, &(struct base_name){{name[0]}});
    o->members[o->members_count++] = m;
}

void world_order_for(struct world *w, uint64_t number, enum msg_goal goal, bool is_granted)
{
    static struct msg_order o;
    static uint8_t bytes[1 + WIRE_AGENT_BYTES_MAX];
    memset(&o, 0, sizeof(o));
    o.session = w->options.config.session;
    o.number = number;
    o.term = w->term;
    o.record = w->record;
    o.goal = w->last_goal = goal;
    o.attempt = w->attempt;
    o.ended = w->ended;
    o.catch_up_from = w->catch_up_from;
    o.has_sync = w->has_sync;
    o.sync_names = w->sync_names;
    o.sync_count = w->sync_count;
    add_member(w, &o, "a");
    add_member(w, &o, "b");
    add_member(w, &o, "d");
    if (is_granted) {
        o.is_granted = true;
        o.granted_epoch = w->record.epoch;
        o.ttl_us = WORLD_TTL_US;
        struct base_mono deadline =
            base_mono_add_us(w->sent[number], WORLD_TTL_US - WORLD_MARGIN_US);
        bool is_same = w->epoch_allowed == w->record.epoch;
        w->deadline_allowed = is_same ? base_mono_max(w->deadline_allowed, deadline) : deadline;
        w->epoch_allowed = w->record.epoch;
    }
    struct buf b = buf_over(bytes, sizeof(bytes));
    buf_put_u8(&b, NET_FRAME_ORDER);
    int rc = wire_order_encode(&o, &b);
    BASE_ASSERT(rc == 0);
    if (w->has_agent) {
        agt_driver_receive(&w->driver, &(struct net_identity){.role = NET_ROLE_NODE, .node_id = 1},
                           buf_slice(&b));
    }
    world_check(w);
}

void world_order(struct world *w, enum msg_goal goal, bool is_granted)
{
    if (w->report.number > 0 && w->report.session == w->options.config.session) {
        world_order_for(w, w->report.number, goal, is_granted);
    }
}

void world_hold_ms(struct world *w, enum msg_goal goal, bool is_granted, int64_t ms)
{
    uint64_t answered = 0;
    for (int64_t i = 0; i < ms; i++) {
        if (w->report.number != answered || i == 0) {
            answered = w->report.number;
            world_order(w, goal, is_granted);
        }
        world_run_ms(w, 1);
    }
}

void world_failsafe_answer(struct world *w, const char *member, bool is_granted)
{
    uint8_t bytes[AGT_FAILSAFE_BYTES_MAX];
    struct buf b = buf_over(bytes, sizeof(bytes));
    struct base_name name = world_name(member);
    const struct agt_failsafe_answer answer = {.member = name,
                                               .session = w->asked.session,
                                               .round = w->asked.round,
                                               .is_granted = is_granted};
    int rc = agt_failsafe_answer_encode(&answer, &b);
    BASE_ASSERT(rc == 0);
    for (uint8_t i = 0; i < w->failsafe_missing.count && is_granted; i++) {
        if (base_name_equal(&w->failsafe_missing.names[i], &name)) {
            w->failsafe_missing.names[i] = w->failsafe_missing.names[--w->failsafe_missing.count];
        }
    }
    if (w->failsafe_missing.count == 0 && w->asked.epoch == w->epoch_allowed) {
        w->deadline_allowed = base_mono_max(
            w->deadline_allowed, base_mono_add_us(w->asked_at, WORLD_TTL_US - WORLD_MARGIN_US));
    }
    agt_driver_failsafe_answer(&w->driver, &name, buf_slice(&b));
    world_check(w);
}

bool world_failsafe_ask(struct world *w, const char *holder, uint64_t epoch)
{
    return world_failsafe_ask_at(w, holder, epoch, 4242);
}

bool world_failsafe_ask_at(struct world *w, const char *holder, uint64_t epoch, uint64_t lsn)
{
    uint8_t bytes[2][AGT_FAILSAFE_BYTES_MAX];
    struct buf request = buf_over(bytes[0], sizeof(bytes[0]));
    struct buf reply = buf_over(bytes[1], sizeof(bytes[1]));
    struct agt_failsafe_answer answer;
    const struct agt_failsafe_ask ask = {.cluster = world_name("c"),
                                         .holder = world_name(holder),
                                         .session = 5,
                                         .round = 1,
                                         .epoch = epoch,
                                         .ttl_ms = 2000,
                                         .position = {epoch, 1, lsn}};
    const struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = world_name("c"), .member = world_name(holder)};
    int rc = agt_failsafe_ask_encode(&ask, &request);
    BASE_ASSERT(rc == 0);
    rc = agt_driver_failsafe(&w->driver, &from, buf_slice(&request), &reply);
    BASE_ASSERT(rc == 0);
    rc = agt_failsafe_answer_decode(buf_slice(&reply), &answer);
    BASE_ASSERT(rc == 0 && answer.session == 5 && answer.round == 1);
    return answer.is_granted;
}

void world_config(struct world *w, uint64_t revision)
{
    static uint8_t bytes[1 + WIRE_AGENT_BYTES_MAX];
    struct buf b = buf_over(bytes, sizeof(bytes));
    const struct msg_config config = {
        .cluster = world_name("c"), .term = w->term, .revision = revision, .text = SLICE_LIT("{}")};
    buf_put_u8(&b, NET_FRAME_CONFIG);
    int rc = wire_config_encode(&config, &b);
    BASE_ASSERT(rc == 0);
    agt_driver_receive(&w->driver, &(struct net_identity){.role = NET_ROLE_NODE, .node_id = 1},
                       buf_slice(&b));
    world_check(w);
}

void world_task(struct world *w, enum msg_task_kind kind, uint64_t id)
{
    w->record.revision++;
    w->record.tasks[w->record.tasks_count++] =
        (struct msg_task){.id = id, .kind = kind, .member = world_name("a")};
}
