/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be done now: bootstrap, what goes on while the holder holds, pause; takeovers are in
 * takeover.c.
 *
 * Called after every event that could change an answer, on a leader whose first entry is applied
 * and which has no swap of its own in the log. At most one proposal comes out of a call: decision
 * and proposal are one step (section 4.1).
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

/* --- the first record --- */

/* The engine's own replication is the only one. */
static void want_no_sync(struct msg_record *record)
{
    record->sync_mode = MSG_SYNC_ASYNC;
    record->sync_count = 1;
}

static void take_galera_seed(const struct msg_report *seed, struct msg_record *record)
{
    uint32_t ttl_ms = seed->seed_ttl_ms;
    bool is_ttl_good = ttl_ms >= ARB_GALERA_TTL_MIN_MS && ttl_ms <= LEASE_TTL_MAX_MS;
    record->ttl_ms = is_ttl_good ? ttl_ms : ARB_GALERA_TTL_DEFAULT_MS;
    bool is_beat_good = seed->seed_heartbeat_ms > 0 &&
                        seed->seed_heartbeat_ms <= record->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
    record->heartbeat_ms = is_beat_good ? seed->seed_heartbeat_ms : ARB_GALERA_HEARTBEAT_DEFAULT_MS;
    record->freeze_max_ms = LEASE_FREEZE_MAX_DEFAULT_MS;
    want_no_sync(record);
    record->engine = MSG_ENGINE_GALERA;
    record->galera.high_water = -1;
    record->galera.recovery_wait_us = -1;
}

static void take_mongodb_seed(const struct msg_report *seed, struct msg_record *record)
{
    uint32_t ttl_ms = seed->seed_ttl_ms;
    bool is_ttl_good = ttl_ms >= LEASE_TTL_MIN_MS && ttl_ms <= LEASE_TTL_MAX_MS;
    record->ttl_ms = is_ttl_good ? ttl_ms : ARB_MONGODB_TTL_DEFAULT_MS;
    bool is_beat_good = seed->seed_heartbeat_ms > 0 &&
                        seed->seed_heartbeat_ms <= record->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
    uint32_t most = record->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
    uint32_t usual =
        most < ARB_MONGODB_HEARTBEAT_DEFAULT_MS ? most : ARB_MONGODB_HEARTBEAT_DEFAULT_MS;
    record->heartbeat_ms = is_beat_good ? seed->seed_heartbeat_ms : usual;
    record->freeze_max_ms = LEASE_FREEZE_MAX_DEFAULT_MS;
    want_no_sync(record);
    record->engine = MSG_ENGINE_MONGODB;
    record->mongodb.set_name = seed->mongodb.set_name;
}

void arb_take_seed(const struct msg_report *seed, struct msg_record *record)
{
    if (seed->engine == MSG_ENGINE_MONGODB) {
        take_mongodb_seed(seed, record);
        return;
    }
    if (seed->engine == MSG_ENGINE_GALERA) {
        take_galera_seed(seed, record);
        return;
    }
    bool is_ttl_good =
        seed->seed_ttl_ms >= LEASE_TTL_MIN_MS && seed->seed_ttl_ms <= LEASE_TTL_MAX_MS;
    record->ttl_ms = is_ttl_good ? seed->seed_ttl_ms : LEASE_TTL_DEFAULT_MS;
    uint32_t heartbeat_max = record->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
    bool is_beat_good = seed->seed_heartbeat_ms > 0 && seed->seed_heartbeat_ms <= heartbeat_max;
    uint32_t beat =
        LEASE_HEARTBEAT_DEFAULT_MS < heartbeat_max ? LEASE_HEARTBEAT_DEFAULT_MS : heartbeat_max;
    record->heartbeat_ms = is_beat_good ? seed->seed_heartbeat_ms : beat;
    record->freeze_max_ms =
        seed->seed_freeze_max_ms != 0 ? seed->seed_freeze_max_ms : LEASE_FREEZE_MAX_DEFAULT_MS;
    record->sync_mode = seed->seed_sync_mode;
    bool is_count_good = seed->seed_sync_count > 0 && seed->seed_sync_count < MSG_MEMBERS_MAX;
    record->sync_count = is_count_good ? seed->seed_sync_count : 1;
    record->is_sync_strict = seed->seed_sync_strict;
    record->maximum_lag_bytes = ARB_MAXIMUM_LAG_DEFAULT;
    uint32_t interval_ms = seed->seed_failover_interval_ms;
    record->failover_interval_ms = interval_ms == 0 ? ARB_FAILOVER_INTERVAL_DEFAULT_MS
                                                    : (interval_ms == UINT32_MAX ? 0 : interval_ms);
}

/* Smallest name among live members with an empty directory. */
static uint8_t choose_founder(const struct arb_cluster *c, struct base_mono now, bool needs_seed)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_old = c->record.epoch != 0 && base_name_equal(&view->member, &c->record.holder);
        if (!arb_view_is_live(c, view, now) || view->report.instance == 0 ||
            view->refused != ARB_REFUSE_NONE || (needs_seed && !view->report.has_seed) ||
            (view->report.db_state != MSG_DB_EMPTY && !is_old)) {
            continue;
        }
        if (best == ARB_NOBODY || base_name_compare(&view->member, &c->views[best].member) < 0) {
            best = i;
        }
    }
    return best;
}

static void propose_founder(struct arb_turn *t, uint8_t i, struct msg_record *next)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[i];
    next->epoch = c->record.epoch + 1;
    next->state = MSG_RECORD_BOOTSTRAP;
    next->holder = view->member;
    next->holder_instance = view->report.instance;
    next->timeline = next->timeline_highest = 1;
    next->floor = (struct msg_position){0, 0, 0};
    next->floor_epoch = next->epoch;
    next->since_wall_us = t->event->wall.us;
    struct arb_note *note = arb_say(t, ARB_NOTE_BOOTSTRAP);
    note->member = view->member;
    note->a = next->epoch;
    arb_decision_begin(t, ARB_DECIDE_BOOTSTRAP, &view->member);
    arb_propose(t, ARB_DECIDE_BOOTSTRAP, next);
}

/* A database without a record: the quorum has lost it, or the member comes from elsewhere. Never
 * overwritten. */
const struct arb_view *arb_view_with_data(const struct arb_cluster *c)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report &&
            (arb_engine_of(c)->has_data(&view->report) || view->report.epoch_seen != 0)) {
            return view;
        }
    }
    return NULL;
}

static void bootstrap(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *data = arb_view_with_data(c);
    uint8_t founder = choose_founder(c, t->event->now, true);
    if (data != NULL && arb_adopt_offered(t)) {
        return;
    }
    if (data != NULL) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_BOOTSTRAP_WAITS,
                                              .member = data->member,
                                              .a = data->report.system_id});
        return;
    }
    if (arb_is_unknown(c)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_FOUND_WAITS, .member = c->name});
        return;
    }
    if (founder == ARB_NOBODY) {
        c->has_boot_began = false;
        return;
    }
    if (!c->has_boot_began) {
        c->has_boot_began = true;
        c->boot_began = t->event->now;
    }
    if (base_mono_diff_us(t->event->now, c->boot_began) < ARB_BOOTSTRAP_WAIT_US) {
        return;
    }
    struct msg_record next = {.cluster = c->name, .restore_id = c->restore_id};
    arb_take_seed(&c->views[founder].report, &next);
    arb_settings_begin(c, &next);
    propose_founder(t, founder, &next);
}

void arb_found_again(struct arb_turn *t)
{
    uint8_t founder = choose_founder(t->c, t->event->now, false);
    struct msg_record next = t->c->record;
    if (founder != ARB_NOBODY) {
        propose_founder(t, founder, &next);
    }
}

/* --- while the holder holds --- */

static void created(struct arb_turn *t, const struct arb_view *holder)
{
    struct msg_record next = t->c->record;
    next.state = MSG_RECORD_RUNNING;
    next.system_id = holder->report.system_id;
    struct arb_note *note = arb_say(t, ARB_NOTE_CREATED);
    note->member = holder->member;
    note->a = next.system_id;
    arb_propose(t, ARB_DECIDE_CREATED, &next);
}

static void opened(struct arb_turn *t, const struct arb_view *holder)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    int64_t since_us = 0;
    next.is_opened = true;
    if (holder->report.is_open && c->decision.epoch == c->record.epoch &&
        c->began.us != BASE_MONO_LONG_AGO.us) {
        since_us = base_mono_diff_us(t->event->now, c->began);
        c->decision.open_us = since_us;
        t->fx->has_history = true;
    }
    if (holder->report.is_open) {
        struct arb_note *note = arb_say(t, ARB_NOTE_OPENED);
        note->member = holder->member;
        note->a = c->record.epoch;
        note->b = (uint64_t)(since_us / BASE_US_PER_MS);
    }
    arb_propose(t, ARB_DECIDE_OPENED, &next);
}

/* After initdb; its lineage is known only once it has opened. */
static bool is_made(const struct msg_report *report)
{
    return report->system_id != 0 && report->db_state != MSG_DB_UNKNOWN &&
           report->db_state != MSG_DB_EMPTY && report->db_state != MSG_DB_CREATING &&
           report->db_state != MSG_DB_FAILED;
}

/* What goes on beside the database's role. */
static bool keep_house(struct arb_turn *t)
{
    return arb_settings(t) || arb_ttl_settle(t) || arb_failsafe(t) || arb_tasks(t);
}

bool arb_watch_holder(struct arb_turn *t, const struct arb_view *holder)
{
    struct arb_cluster *c = t->c;
    const struct msg_report *report = &holder->report;
    /* Also while a crash restart keeps clients out: its gate may wait for a standby, and a standby
     * for the word that there is something to be taken from. */
    bool is_on_its_line = report->is_open || report->opened_lsn != 0;
    if (is_on_its_line && report->epoch_held == c->record.epoch && !c->record.is_opened &&
        !c->record.is_standby_cluster) {
        opened(t, holder);
        return true;
    }
    if (c->record.state == MSG_RECORD_SWITCHOVER && arb_switchover_abandon(t, holder)) {
        return true;
    }
    return arb_armed(t) || arb_switchover_due(t) || arb_drain_holder(t);
}

static void holder_holds(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    bool is_there = holder != NULL && arb_view_is_holder(c, holder);
    if (c->record.state == MSG_RECORD_BOOTSTRAP) {
        if (is_there && is_made(&holder->report)) {
            created(t, holder);
        } else {
            (void)arb_settings(t);
        }
        return;
    }
    if (is_there && arb_watch_holder(t, holder)) {
        return;
    }
    if (!arb_fence(t) && !keep_house(t) && is_there) {
        arb_sync(t);
    }
}

/* The right has run out but for the fence that is required: votes are gathered meanwhile. */
static void wait_for_fence(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_attempt) {
        arb_attempt_begin(t);
    }
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_WAITS_FENCE,
                                          .member = c->record.holder,
                                          .other = c->name});
    if (!arb_settings_in_outage(t)) {
        (void)arb_fence(t);
    }
}

/* Section 10: nobody acts. What an operator has written down, and whom commits wait for, goes on.
 */
static void rest(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_PAUSED, .member = c->name});
    if (!arb_settings(t) && arb_engine_of(c)->decide == NULL) {
        arb_sync(t);
    }
}

/* Why nobody would be chosen now, though the holder has its right. */
static void say_why_not(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t holder = arb_view_find(c, &c->record.holder);
    bool is_silent = holder == ARB_NOBODY || !arb_view_is_live(c, &c->views[holder], t->event->now);
    if (c->record.is_unarmed && is_silent && !arb_lease_has_run_out(c, t->event->now)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_WAITS_ARMED,
                                              .member = c->record.holder,
                                              .other = c->name});
    }
}

void arb_decide(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_leader || !c->is_ready || c->is_swapping) {
        return;
    }
    const struct arb_engine *engine = arb_engine_of(c);
    c->is_waiting_said = c->is_waiting_said && !engine->says_first;
    if (c->record.epoch == 0) {
        (engine->found != NULL ? engine->found : bootstrap)(t);
        return;
    }
    if (arb_is_blocked(t)) {
        return;
    }
    if (c->record.is_paused && !CANARY(PAUSE_IGNORED)) {
        rest(t);
        return;
    }
    if (engine->decide != NULL) {
        engine->decide(t);
        return;
    }
    enum arb_over over = arb_lease_over(c, t->event->now);
    if (over != ARB_OVER_NO) {
        arb_right_is_over(t, over);
    } else if (arb_lease_has_run_out(c, t->event->now)) {
        wait_for_fence(t);
    } else {
        c->is_waiting_said = false;
        say_why_not(t);
        holder_holds(t);
        c->is_waiting = c->is_waiting_said;
    }
}
