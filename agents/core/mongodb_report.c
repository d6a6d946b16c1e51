/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member's part of the report. Claims are made only when they hold now. */
#include <string.h>

#include "agents/core/mongodb_internal.h"
#include "base/crc32c.h"

#define NUMBER_REMOVED 10

static enum msg_mongodb_state state_said(enum agt_mongodb_state state, bool is_kept)
{
    static const enum msg_mongodb_state states[AGT_MONGODB_STATE_COUNT] = {
        [AGT_MONGODB_BLIND] = MSG_MONGODB_UNKNOWN,
        [AGT_MONGODB_FOREIGN] = MSG_MONGODB_UNKNOWN,
        [AGT_MONGODB_ENDING] = MSG_MONGODB_DOWN,
        [AGT_MONGODB_EMPTY] = MSG_MONGODB_DOWN,
        [AGT_MONGODB_DOWN] = MSG_MONGODB_DOWN,
        [AGT_MONGODB_STARTING] = MSG_MONGODB_STARTING,
        [AGT_MONGODB_ABSENT] = MSG_MONGODB_ABSENT,
        [AGT_MONGODB_SYNCING] = MSG_MONGODB_SYNCING,
        [AGT_MONGODB_SECONDARY] = MSG_MONGODB_SECONDARY,
        [AGT_MONGODB_LAGGING] = MSG_MONGODB_LAGGING,
        [AGT_MONGODB_STALE] = MSG_MONGODB_STALE,
        [AGT_MONGODB_RECOVERING] = MSG_MONGODB_RECOVERING,
        [AGT_MONGODB_ROLLING_BACK] = MSG_MONGODB_ROLLING_BACK,
        [AGT_MONGODB_DRAINING] = MSG_MONGODB_DRAINING,
        [AGT_MONGODB_PRIMARY] = MSG_MONGODB_PRIMARY,
        [AGT_MONGODB_GRAY] = MSG_MONGODB_GRAY,
        [AGT_MONGODB_ARBITER] = MSG_MONGODB_ARBITER,
        [AGT_MONGODB_MAINTENANCE] = MSG_MONGODB_MAINTENANCE,
        [AGT_MONGODB_HUNG] = MSG_MONGODB_HUNG,
    };
    bool is_stopped = state == AGT_MONGODB_DOWN || state == AGT_MONGODB_EMPTY;
    return is_stopped && is_kept ? MSG_MONGODB_HELD : states[state];
}

static enum msg_db_state db_state_of(const struct agt *a, struct base_mono now)
{
    if (a->stop.is_asked && a->guard.tree == GUARD_TREE_RUNNING) {
        return MSG_DB_STOPPING;
    }
    switch (agt_mongodb_state_of(a, now)) {
    case AGT_MONGODB_BLIND:
    case AGT_MONGODB_FOREIGN:
    case AGT_MONGODB_STATE_COUNT:
        return MSG_DB_UNKNOWN;
    case AGT_MONGODB_ENDING:
        return MSG_DB_STOPPING;
    case AGT_MONGODB_EMPTY:
        return MSG_DB_EMPTY;
    case AGT_MONGODB_DOWN:
        return MSG_DB_STOPPED;
    case AGT_MONGODB_STARTING:
    case AGT_MONGODB_ABSENT:
        return MSG_DB_STARTING;
    case AGT_MONGODB_SYNCING:
        return MSG_DB_CREATING;
    case AGT_MONGODB_SECONDARY:
    case AGT_MONGODB_LAGGING:
    case AGT_MONGODB_RECOVERING:
    case AGT_MONGODB_ROLLING_BACK:
    case AGT_MONGODB_ARBITER:
    case AGT_MONGODB_MAINTENANCE:
        return MSG_DB_STANDBY;
    case AGT_MONGODB_DRAINING:
        return MSG_DB_PROMOTING;
    case AGT_MONGODB_PRIMARY:
    case AGT_MONGODB_GRAY:
        return MSG_DB_PRIMARY;
    case AGT_MONGODB_STALE:
    case AGT_MONGODB_HUNG:
        return MSG_DB_FAILED;
    }
    BASE_UNREACHABLE();
}

static uint32_t age_ms(const struct agt *a, struct base_mono asked_at, struct base_mono now)
{
    if (!agt_mongodb_is_valid(a, asked_at)) {
        return UINT32_MAX;
    }
    int64_t ms = base_mono_diff_us(now, asked_at) / BASE_US_PER_MS;
    return ms < 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

/* A server that was only started once holds nothing that could be lost. */
static bool has_data(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_absent =
        agt_mongodb_is_running(a) && agt_mongodb_is_valid(a, v->hello.at) && !v->hello.is_in_set;
    bool is_removed = agt_mongodb_is_valid(a, v->status.at) && v->status.state == NUMBER_REMOVED;
    if (is_absent) {
        return v->has_databases || is_removed || v->hello.is_set_name_wrong || v->is_login_refused;
    }
    return a->view.has_directory;
}

static void fill_orders(const struct agt *a, struct base_mono now, struct msg_mongodb_report *r)
{
    const struct agt_mongodb_disk *d = &a->disk.mongodb;
    bool is_done = agt_mongodb_place_compare(d->order_epoch, d->order_phase, d->done_epoch,
                                             d->done_phase) <= 0;
    r->order_epoch = is_done ? d->done_epoch : d->order_epoch;
    r->order_phase = is_done ? d->done_phase : d->order_phase;
    r->is_order_done = is_done && d->done_epoch != 0;
    r->order_status = r->is_order_done ? d->done_status : 0;
    r->order_code = r->is_order_done ? d->done_code : 0;
    r->is_frozen = base_mono_before(now, a->mongodb.frozen_until);
    r->barred_epoch = d->barred_epoch;
    r->rollbacks = d->rollbacks;
}

static void fill_hello(const struct agt *a, struct base_mono now, struct msg_mongodb_report *r)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    r->hello_age_ms = age_ms(a, v->hello.at, now);
    if (r->hello_age_ms == UINT32_MAX) {
        return;
    }
    bool is_new = agt_mongodb_is_fresh(a, now);
    r->is_writable = v->hello.is_writable && is_new;
    r->is_secondary = v->hello.is_secondary && is_new;
    r->is_set_name_wrong = v->hello.is_set_name_wrong;
    r->is_arbiter = r->is_arbiter || v->hello.is_arbiter;
    r->term = r->is_writable && v->hello.term != 0 ? v->hello.term : agt_mongodb_term(a);
    r->self = v->hello.self;
    r->primary = v->hello.primary;
    memcpy(r->process_id, v->hello.process_id, sizeof(r->process_id));
    r->wire_version = v->hello.wire_version;
    r->applied = agt_mongodb_applied(a);
    r->committed = agt_mongodb_later(v->status.committed, v->hello.committed);
    int64_t behind_ms = v->hello.applied_ms - v->hello.committed_ms;
    bool is_dated = v->hello.applied_ms > 0 && v->hello.committed_ms > 0 && behind_ms > 0;
    r->commit_age_ms =
        is_dated && r->is_writable && behind_ms < UINT32_MAX ? (uint32_t)behind_ms : 0;
    r->canary_ms = (uint32_t)(agt_mongodb_canary_us(a, now) / BASE_US_PER_MS);
    r->lag_ms = agt_mongodb_lag_ms(a, now);
}

static void fill_opinion(struct msg_mongodb_peer *peer, const struct db_mongodb_status *s,
                         uint32_t age_ms)
{
    peer->heard_ms = UINT32_MAX;
    for (uint8_t i = 0; i < s->peers_count; i++) {
        const struct msg_mongodb_peer *o = &s->peers[i];
        if (!agt_mongodb_host_equal(&o->host, &peer->host)) {
            continue;
        }
        bool is_heard = o->heard_ms < UINT32_MAX - age_ms;
        peer->is_self = o->is_self;
        peer->is_healthy = o->is_healthy;
        peer->state = o->state;
        peer->heard_ms = is_heard ? o->heard_ms + age_ms : UINT32_MAX;
        peer->ping_ms = o->ping_ms;
        peer->optime = o->optime;
    }
}

static void fill_config(const struct agt *a, struct base_mono now, struct msg_mongodb_report *r)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    r->status_age_ms = age_ms(a, v->status.at, now);
    if (v->config.at.us == BASE_MONO_LONG_AGO.us || !agt_mongodb_is_running(a)) {
        return;
    }
    memcpy(r->set_id, v->config.set_id, sizeof(r->set_id));
    r->config = v->config.version;
    r->is_config_known = agt_mongodb_has_config(a);
    r->is_config_committed = v->config.is_committed && r->is_writable;
    r->election_timeout_ms = v->config.election_timeout_ms;
    r->heartbeat_ms = v->config.heartbeat_ms;
    r->majority = agt_mongodb_majority(a);
    r->peers_count = v->config.peers_count;
    for (uint8_t i = 0; i < r->peers_count; i++) {
        r->peers[i] = v->config.peers[i];
        r->peers[i].heard_ms = UINT32_MAX;
        if (r->status_age_ms != UINT32_MAX) {
            fill_opinion(&r->peers[i], &v->status, r->status_age_ms);
        }
    }
    r->live_voters = agt_mongodb_has_status(a, now) ? agt_mongodb_live_voters(a, now) : 0;
}

static void put_more(struct buf *b, struct slice text)
{
    if (text.len > 0) {
        buf_put_text(b, "; ");
        buf_put(b, text);
    }
}

static void fill_note(const struct agt *a, enum agt_mongodb_state state, struct msg_report *r)
{
    struct buf b = buf_over(r->note.text, BASE_TEXT_MAX);
    enum agt_mongodb_goal goal = agt_mongodb_goal_of(a);
    memset(&r->note, 0, sizeof(r->note));
    if (goal == AGT_MONGODB_GOAL_REFUSED) {
        buf_put(&b, base_text_slice(&a->order.reason));
    } else if (a->has_guard && a->has_view) {
        buf_put_text(&b, agt_mongodb_state_text(state));
        buf_put_text(&b, ": ");
        buf_put_text(&b, agt_mongodb_doing(a, state, goal));
    } else {
        buf_put_text(&b, "waits for the first word of guard and database");
    }
    if (goal == AGT_MONGODB_GOAL_BAR && agt_mongodb_is_watched(a)) {
        put_more(&b, SLICE_LIT("it is run by somebody else: stop it there, and empty its data "
                               "directory"));
    }
    if (a->view.mongodb.is_login_refused) {
        put_more(&b, SLICE_LIT("its login is refused: only hello is known"));
    }
    if (a->failure.kind != DB_ORDER_NONE) {
        put_more(&b, base_text_slice(&a->note));
    }
    if (a->has_view) {
        put_more(&b, base_text_slice(&a->view.note));
        put_more(&b, base_text_slice(&a->view.warning));
    }
}

static void fill_seed(const struct agt *a, struct msg_mongodb_report *r)
{
    r->set_name = a->config.mongodb.set_name;
    r->seed_members = a->config.seed_members;
    r->priority = a->config.mongodb.priority;
    r->is_arbiter = a->config.mongodb.is_arbiter;
    r->is_adopted = agt_mongodb_is_watched(a);
    r->hello_age_ms = UINT32_MAX;
    r->status_age_ms = UINT32_MAX;
    r->lag_ms = UINT32_MAX;
}

void agt_mongodb_report(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    struct msg_mongodb_report *m = &r->mongodb;
    const struct db_mongodb_view *v = &a->view.mongodb;
    enum agt_mongodb_state state = agt_mongodb_state_of(a, now);
    enum agt_mongodb_goal goal = agt_mongodb_goal_of(a);
    bool is_kept = a->disk.mongodb.barred_epoch != 0 || goal == AGT_MONGODB_GOAL_HELD;
    r->engine = MSG_ENGINE_MONGODB;
    fill_seed(a, m);
    fill_orders(a, now, m);
    fill_note(a, state, r);
    if (!a->has_guard || !a->has_view) {
        return;
    }
    m->state = state_said(state, is_kept);
    m->has_data = has_data(a);
    m->is_login_refused = v->is_login_refused;
    r->db_state = db_state_of(a, now);
    if (!agt_mongodb_is_running(a)) {
        return;
    }
    fill_hello(a, now, m);
    fill_config(a, now, m);
    m->oplog_s = v->oplog_s;
    m->data_bytes = v->data_bytes;
    m->sync_permille = state == AGT_MONGODB_SYNCING ? v->status.sync_permille : 0;
    m->cache_dirty_permille = v->cache_dirty_permille;
    m->concern = v->concern;
}

static uint32_t mix(uint32_t crc, uint64_t value)
{
    return base_crc32c(crc, slice_from(&value, sizeof(value)));
}

/* What is told at once when it changes. */
uint32_t agt_mongodb_digest(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    const struct agt_mongodb_disk *d = &a->disk.mongodb;
    uint32_t crc = mix(0, (uint64_t)agt_mongodb_state_of(a, now));
    crc = mix(crc, d->order_epoch);
    crc = mix(crc, d->order_phase);
    crc = mix(crc, d->done_epoch);
    crc = mix(crc, d->done_phase);
    crc = mix(crc, d->barred_epoch);
    crc = mix(crc, d->is_held);
    crc = mix(crc, d->rollbacks);
    if (!a->has_guard || !a->has_view) {
        return crc;
    }
    crc = mix(crc, v->hello.is_writable);
    crc = mix(crc, agt_mongodb_term(a));
    crc = mix(crc, v->config.version.version);
    crc = mix(crc, v->config.is_committed);
    crc = mix(crc, a->view.has_directory);
    return mix(crc, (uint64_t)v->concern);
}
