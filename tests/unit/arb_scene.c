/* SPDX-License-Identifier: Apache-2.0 */
/* The scene of arb_scene.h. */
#include "tests/unit/arb_scene.h"

#include <stdlib.h>
#include <string.h>

struct arb_scene w;

struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

uint64_t id_of(const char *member)
{
    return (uint64_t)(member[2] - '0');
}

/* Does the effects as the driver would: orders with a fresh clock; the commit of a swap comes
 * later. */
static void carry_out(void)
{
    struct arb_effects fx = w.fx;
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        if ((fx.orders >> i & 1) != 0) {
            uint64_t id = id_of(w.c.views[i].member.text);
            arb_order_make(&w.c, i, w.now, &w.order[id]);
            w.has_order[id] = true;
        }
    }
    if (w.told != NULL) {
        w.told();
    }
    if (fx.has_swap && !w.holds_swap) {
        run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &fx.record, .is_own = true});
    }
}

void run(struct arb_event event)
{
    event.now = w.now;
    event.wall = (struct base_wall){w.now.us + w.wall_ahead_us};
    if (!event.is_own) { /* not the end of a swap that this very event has led to */
        memset(w.said, 0, sizeof(w.said));
        w.swap_kind = ARB_DECIDE_NONE;
        w.answer = 0;
    }
    arb_step(&w.c, &event, &w.fx);
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        w.said[w.fx.notes[i].kind] = true;
        w.note[w.fx.notes[i].kind] = w.fx.notes[i];
    }
    w.swap_kind = w.fx.has_swap ? w.fx.swap_kind : w.swap_kind;
    w.answer = w.fx.has_answer ? w.fx.answer : w.answer;
    carry_out();
}

void wait_us(int64_t us)
{
    w.now.us += us;
}

void tick(void)
{
    run((struct arb_event){.kind = ARB_EVENT_TICK});
}

struct msg_report report_of(const char *member)
{
    struct msg_report r = {.cluster = w.c.name, .member = name_of(member)};
    r.instance = 100 + id_of(member);
    r.session = 1000 + id_of(member);
    r.number = ++w.number[id_of(member)];
    r.system_id = SYSTEM;
    r.epoch_seen = w.c.record.epoch;
    r.db_state = MSG_DB_STANDBY;
    r.is_receiving = true;
    r.position = (struct msg_position){3, 3, 5000};
    r.timeline_highest = 3;
    r.order_term = w.has_order[id_of(member)] ? w.order[id_of(member)].term : 0;
    r.order_number = w.has_order[id_of(member)] ? w.order[id_of(member)].number : 0;
    return r;
}

struct msg_report primary_of(const char *member)
{
    struct msg_report r = report_of(member);
    r.db_state = MSG_DB_PRIMARY;
    r.is_receiving = false;
    r.is_open = true;
    r.epoch_held = w.c.record.epoch;
    r.lease_left_us = S;
    r.position.lineage = w.c.record.epoch;
    r.opened_lsn = 4000;
    r.is_sync_known = true;
    r.sync_names = w.c.record.voters;
    r.sync_count = w.c.record.votes_needed_r;
    r.is_sync_barrier_passed = true;
    for (uint8_t i = 0; i < w.c.record.voters.count; i++) {
        r.standbys[r.standbys_count++] =
            (struct msg_standby){w.c.record.voters.names[i], 5000, true, true};
    }
    return r;
}

void send(struct msg_report r)
{
    w.has_order[id_of(r.member.text)] = false;
    run((struct arb_event){.kind = ARB_EVENT_REPORT, .report = &r, .link = id_of(r.member.text)});
}

void confirm(void)
{
    run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = w.c.ticket});
}

struct msg_names names(const char *a, const char *b)
{
    struct msg_names set = {0};
    struct base_name name;
    if (a != NULL) {
        name = name_of(a);
        assert_int_equal(arb_names_add(&set, &name), 0);
    }
    if (b != NULL) {
        name = name_of(b);
        assert_int_equal(arb_names_add(&set, &name), 0);
    }
    return set;
}

struct msg_record base_record(void)
{
    return (struct msg_record){.cluster = name_of("main"),
                               .epoch = 3,
                               .revision = 9,
                               .system_id = SYSTEM,
                               .state = MSG_RECORD_RUNNING,
                               .holder = name_of("pg1"),
                               .holder_instance = 101,
                               .floor = {2, 2, 4000},
                               .floor_epoch = 3,
                               .timeline = 3,
                               .timeline_highest = 3,
                               .voters = names("pg2", "pg3"),
                               .votes_needed_r = 1,
                               .is_opened = true,
                               .ttl_ms = 2000,
                               .heartbeat_ms = 250,
                               .freeze_max_ms = 3000,
                               .sync_count = 1,
                               .maximum_lag_bytes = 1000};
}

void load(struct msg_record record)
{
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &record});
}

void lead(uint64_t term)
{
    run((struct arb_event){.kind = ARB_EVENT_LEADER, .term = term, .elected = w.now});
    run((struct arb_event){.kind = ARB_EVENT_READY});
}

int setup(void **state)
{
    struct base_name name = name_of("main");
    (void)state;
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    memset(&w, 0, sizeof(w));
    w.now.us = 1000 * S;
    arb_cluster_init(&w.c, &name);
    load(base_record());
    lead(5);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    assert_true(base_canary_select(NULL));
    return 0;
}

/* All three speak, the holder is granted. */
void all_speak(void)
{
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(primary_of("pg1"));
    confirm();
}

struct msg_report handback_of(const char *member)
{
    struct msg_report r = report_of(member);
    r.epoch_handed_back = w.c.record.epoch;
    r.is_tree_gone = true;
    r.db_state = MSG_DB_STOPPED;
    r.is_receiving = false;
    r.position.lineage = w.c.record.epoch;
    return r;
}

struct msg_report vote_of(const char *member, uint64_t lineage, uint64_t lsn)
{
    struct msg_report r = report_of(member);
    r.promised = w.c.attempt;
    r.is_vote_valid = true;
    r.is_receiving = false;
    r.position.lineage = lineage;
    r.position.lsn = lsn;
    return r;
}

bool is_holder(const char *member)
{
    struct base_name name = name_of(member);
    return base_name_equal(&w.c.record.holder, &name);
}

bool was_said(enum arb_note_kind kind)
{
    return w.said[kind];
}
