/* SPDX-License-Identifier: Apache-2.0 */
/* The world around one agent: queue of pending events, modelled ports, and the checks after every
 * event. */
#include "tests/unit/agt_world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/lease_math.h"
#include "base/name.h"

#define MS BASE_US_PER_MS

static void broken(struct world *w, const char *what)
{
    if (w->broken == NULL) {
        w->broken = what;
    }
}

struct base_name world_name(const char *text)
{
    struct base_name name = {{0}};
    int rc = base_name_from_text(text, &name);
    BASE_ASSERT(rc == 0);
    return name;
}

bool world_is_writable(const struct world *w)
{
    return w->db.is_running && w->db.is_ready && !w->db.is_in_recovery && !w->db.is_gated &&
           w->guard.status.tree == GUARD_TREE_RUNNING;
}

const struct agt *world_agent(const struct world *w)
{
    return agt_driver_agent(&w->driver);
}

static struct world_pending *later(struct world *w, enum world_kind kind, int64_t us)
{
    BASE_ASSERT(w->pending_count < WORLD_PENDING_MAX);
    struct world_pending *p = &w->pending[w->pending_count++];
    *p = (struct world_pending){.at = base_mono_add_us(w->now, us), .kind = kind};
    return p;
}

static void drop(struct world *w, enum world_kind kind)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < w->pending_count; i++) {
        if (w->pending[i].kind != kind) {
            w->pending[kept++] = w->pending[i];
        }
    }
    w->pending_count = kept;
}

static bool is_pending(const struct world *w, enum world_kind kind)
{
    for (uint16_t i = 0; i < w->pending_count; i++) {
        if (w->pending[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* --- guard -------------------------------------------------------------------------------------
 */

static void db_dies(struct world *w)
{
    w->db.is_running = false;
    w->db.is_ready = false;
    w->db.is_receiving = false;
    w->db.is_gated = false;
    w->db.standbys_count = 0;
}

static void guard_do(struct world *w, const struct guard_event *event)
{
    struct guard_effects fx;
    (void)guard_core_step(&w->guard, event, &fx);
    for (uint8_t i = 0; i < fx.count; i++) {
        switch (fx.list[i].kind) {
        case GUARD_FX_START:
            w->starts++;
            w->db.is_running = true;
            w->db.is_ready = false;
            w->db.is_clean = false;
            w->db.is_in_recovery = w->db.is_standby_configured;
            later(w, WORLD_GUARD_EVENT, 1 * MS)->number = GUARD_EV_STARTED;
            later(w, WORLD_DB_READY, 20 * MS)->starts = w->starts;
            break;
        case GUARD_FX_FREEZE:
            later(w, WORLD_GUARD_EVENT, 1 * MS)->number = GUARD_EV_TREE_STOPPED;
            break;
        case GUARD_FX_THAW:
            break;
        case GUARD_FX_KILL:
            db_dies(w);
            w->kills++;
            later(w, WORLD_GUARD_EVENT, w->kill_us)->number = GUARD_EV_TREE_EMPTY;
            break;
        case GUARD_FX_SIGNAL:
            w->signals[fx.list[i].number]++;
            if (fx.list[i].number == AGT_SIGNAL_FAST && !w->is_stop_slow) {
                struct world_pending *p = later(w, WORLD_DB_EXIT, 30 * MS);
                p->number = 1;
                p->starts = w->starts;
            } else if (fx.list[i].number == AGT_SIGNAL_IMMEDIATE && !w->is_stop_slow) {
                later(w, WORLD_DB_EXIT, 10 * MS)->starts = w->starts;
            }
            break;
        case GUARD_FX_STATUS:
            later(w, WORLD_GUARD_STATUS, 200);
            if (w->guard.status.tree == GUARD_TREE_GONE) {
                later(w, WORLD_VIEW, 2 * MS)->number = 1;
            }
            break;
        case GUARD_FX_EXIT:
            break;
        }
    }
}

static void port_start(void *ctx)
{
    struct world *w = ctx;
    if (!w->db.has_directory) {
        broken(w, "started without a data directory");
    }
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_START, .now = w->now});
}

static void port_arm(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t freeze_max_us)
{
    struct world *w = ctx;
    w->arms++;
    if (epoch != w->epoch_allowed || base_mono_before(w->deadline_allowed, deadline)) {
        broken(w, "armed beyond what was granted");
    }
    if (epoch <= w->guard.status.epoch_handed_back) {
        broken(w, "armed an epoch that was handed back");
    }
    if (w->durable.epoch_seen < epoch) {
        broken(w, "armed an epoch that is not on disk");
    }
    w->armed_highest = epoch > w->armed_highest ? epoch : w->armed_highest;
    w->armed_deadline = deadline;
    if (w->is_guard_silent) {
        return;
    }
    if (w->is_arm_refused) {
        later(w, WORLD_GUARD_STATUS, 200);
        return;
    }
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_ARM,
                                      .now = w->now,
                                      .epoch = epoch,
                                      .deadline = deadline,
                                      .freeze_max_us = freeze_max_us});
}

static bool is_told_of_pause(const struct world *w)
{
    return w->driver.agent.has_order && w->driver.agent.order.record.is_paused;
}

void world_disarm(struct world *w)
{
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_DISARM, .now = w->now});
}

static void port_disarm(void *ctx)
{
    struct world *w = ctx;
    bool is_held = w->guard.status.epoch > w->guard.status.epoch_handed_back;
    if (is_held && !(w->durable.is_paused && is_told_of_pause(w))) {
        broken(w, "disarmed while an epoch is held, and the pause is not on disk");
    }
    if (!w->is_disarm_held) {
        world_disarm(w);
    }
}

static void port_signal(void *ctx, int number)
{
    struct world *w = ctx;
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_SIGNAL, .now = w->now, .number = number});
}

static void port_kill(void *ctx)
{
    struct world *w = ctx;
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_KILL, .now = w->now});
}

static void port_hand_back(void *ctx, uint64_t epoch)
{
    struct world *w = ctx;
    if (w->guard.status.tree != GUARD_TREE_GONE || w->db.is_running) {
        broken(w, "handed back before the tree was gone");
    }
    if (w->is_guard_silent) {
        return;
    }
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_HAND_BACK, .now = w->now, .epoch = epoch});
}

/* --- database ----------------------------------------------------------------------------------
 */

static bool is_long(const struct world *w, enum db_order_kind kind)
{
    return (kind == DB_ORDER_BARRIER && w->is_barrier_held) ||
           (kind == DB_ORDER_DETACH && w->is_detach_held);
}

static void port_order(void *ctx, const struct db_order *order)
{
    struct world *w = ctx;
    w->orders[order->kind]++;
    if (w->is_loud) {
        (void)printf("%10lld  order %d\n", (long long)w->now.us, (int)order->kind);
    }
    if (order->kind == DB_ORDER_CANCEL) {
        if (w->db.running.id == order->id) {
            drop(w, WORLD_DB_DONE);
            struct world_pending *p = later(w, WORLD_DB_DONE, 1 * MS);
            p->id = order->id;
            p->number = BASE_E_CANCELED;
        }
        return;
    }
    if (w->db.running.id != 0) {
        broken(w, "two orders at a time");
        return;
    }
    if (w->durable.is_paused && is_told_of_pause(w) && order->kind != DB_ORDER_CONFIGURE &&
        order->kind != DB_ORDER_SET_SYNC && order->kind != DB_ORDER_BARRIER) {
        broken(w, "an order in a pause");
    }
    w->db.running = *order;
    if (!is_long(w, order->kind)) {
        later(w, WORLD_DB_DONE, 3 * MS)->id = order->id;
    }
}

static bool is_armed_ahead(const struct world *w)
{
    return w->guard.status.is_armed && base_mono_before(w->now, w->guard.status.deadline);
}

static int promote(struct world *w, const struct db_order *o)
{
    struct world_db *db = &w->db;
    if (!db->is_running || w->guard.status.tree != GUARD_TREE_RUNNING || !db->is_in_recovery) {
        return BASE_E_STATE;
    }
    if (w->promote_refused) {
        return BASE_E_DENIED;
    }
    if (!is_armed_ahead(w) || w->guard.status.epoch != o->epoch) {
        broken(w, "promoted without an armed grant");
    }
    db->is_in_recovery = false;
    db->is_standby_configured = false;
    db->timeline = o->timeline + w->promote_offset + (w->promote_status == 0 ? 0 : 1);
    db->lsn += 100;
    return w->promote_status;
}

static void copy_upstream(struct world *w, const struct db_order *o)
{
    struct world_db *db = &w->db;
    db->has_directory = true;
    db->is_bad = false;
    db->system_id = w->record.system_id;
    db->timeline = w->upstream_timeline;
    db->lsn = w->upstream_lsn;
    db->is_standby_configured = true;
    db->upstream = o->upstream_member;
    db->is_clean = false;
}

static bool is_of_stopped(enum db_order_kind kind)
{
    return kind == DB_ORDER_INIT || kind == DB_ORDER_CLONE || kind == DB_ORDER_REWIND ||
           kind == DB_ORDER_PREPARE_STANDBY || kind == DB_ORDER_PREPARE_PRIMARY;
}

static int configure(struct world *w, const struct db_order *o)
{
    if (o->config_revision != w->config_at_hand) {
        broken(w, "another document than the one handed over");
    }
    if (w->configure_status == 0) {
        w->db.config_revision = o->config_revision;
    }
    return w->configure_status;
}

static int follow(struct world *w, const struct db_order *o)
{
    struct world_db *db = &w->db;
    if (w->follow_status != 0) {
        return w->follow_status;
    }
    db->upstream = o->upstream_member;
    db->is_remote = o->is_remote;
    db->is_receiving = db->is_running;
    return db->is_running ? 0 : BASE_E_STATE;
}

static int db_do(struct world *w, const struct db_order *o)
{
    struct world_db *db = &w->db;
    if (is_of_stopped(o->kind) && db->is_running) {
        return BASE_E_STATE;
    }
    switch (o->kind) {
    case DB_ORDER_INIT:
        db->has_directory = true;
        db->is_bad = false;
        db->system_id = WORLD_SYSTEM_ID;
        db->timeline = 1;
        db->lsn = 1000;
        return 0;
    case DB_ORDER_CLONE:
        if (w->clone_status != 0) {
            return w->clone_status;
        }
        copy_upstream(w, o);
        db->is_remote = o->is_remote;
        return 0;
    case DB_ORDER_REWIND:
        if (w->rewind_status == 0) {
            copy_upstream(w, o);
        }
        return w->rewind_status;
    case DB_ORDER_PREPARE_STANDBY:
        db->is_standby_configured = true;
        db->upstream = o->upstream_member;
        db->is_remote = o->is_remote;
        return 0;
    case DB_ORDER_PREPARE_PRIMARY:
        db->is_standby_configured = false;
        db->is_gated = o->is_gated;
        db->is_raise_held = o->is_raise_held;
        return 0;
    case DB_ORDER_FOLLOW:
        return follow(w, o);
    case DB_ORDER_DETACH:
        memset(&db->upstream, 0, sizeof(db->upstream));
        db->is_receiving = false;
        return 0;
    case DB_ORDER_PROMOTE:
        return promote(w, o);
    case DB_ORDER_BARRIER:
        if (w->barrier_status != 0) {
            return w->barrier_status;
        }
        db->is_gated = false;
        return db->is_running ? 0 : BASE_E_STATE;
    case DB_ORDER_SET_SYNC:
    case DB_ORDER_CHECKPOINT:
    case DB_ORDER_CLIENTS_OUT:
        return db->is_running ? 0 : BASE_E_STATE;
    case DB_ORDER_CONFIGURE:
        return configure(w, o);
    case DB_ORDER_NONE:
    case DB_ORDER_CANCEL:
    case DB_ORDER_GALERA_RECOVER:
    case DB_ORDER_GALERA_PREPARE:
    case DB_ORDER_GALERA_CLEAR:
    case DB_ORDER_GALERA_FENCE:
    case DB_ORDER_GALERA_UNFENCE:
    case DB_ORDER_GALERA_DEMOTE:
    case DB_ORDER_GALERA_BOOTSTRAP:
    case DB_ORDER_GALERA_WEIGHT:
    DB_CASES_OF_MONGODB:
        break;
    }
    return BASE_E_INVALID;
}

static void view_make(const struct world *w, struct db_view *v)
{
    const struct world_db *db = &w->db;
    memset(v, 0, sizeof(*v));
    v->orders_done = db->orders_done;
    v->has_directory = db->has_directory;
    v->is_directory_bad = db->is_bad;
    v->system_id = db->has_directory ? db->system_id : 0;
    v->is_process = db->is_running;
    v->is_answering = db->is_running && db->is_ready && !db->is_hanging &&
                      w->guard.status.tree == GUARD_TREE_RUNNING;
    v->is_in_recovery = db->is_in_recovery;
    v->is_shut_down_clean = !db->is_running && db->is_clean;
    v->was_primary = !db->is_running && db->was_primary;
    v->shutdown_lsn = v->is_shut_down_clean ? db->lsn : 0;
    v->timeline = db->timeline;
    v->timeline_highest = db->timeline;
    v->lsn = db->is_running && db->is_reading ? db->lsn / 2 : db->lsn;
    v->replay_lsn = v->lsn;
    v->is_receiving = db->is_receiving && !db->is_refused;
    v->has_receiver = db->is_receiving;
    v->receiver_pid = db->receiver_pid;
    v->is_wal_end_reached = db->is_ready && !db->is_reading;
    v->receiving_from = db->upstream;
    v->config_revision = db->config_revision;
    v->is_restart_pending = db->is_restart_pending;
    v->is_write_failing = db->is_write_failing && db->is_running;
    if (v->is_answering && !db->is_in_recovery) {
        v->standbys_count = db->standbys_count;
        memcpy(v->standbys, db->standbys, sizeof(v->standbys));
    }
}

static void db_done(struct world *w, uint64_t id, int status)
{
    if (w->db.running.id != id) {
        return;
    }
    struct db_order o = w->db.running;
    memset(&w->db.running, 0, sizeof(w->db.running));
    struct db_done done = {.id = id, .kind = o.kind, .status = status};
    if (status == 0) {
        done.status = db_do(w, &o);
    }
    w->db.orders_done = id;
    later(w, WORLD_VIEW, 500)->number = 1;
    if (w->has_agent) {
        agt_driver_db_done(&w->driver, &done);
    }
}

static void db_ready(struct world *w, uint32_t starts)
{
    if (!w->db.is_running || starts != w->starts) {
        return;
    }
    w->db.is_ready = true;
    w->db.is_receiving =
        w->db.is_in_recovery && (w->db.is_remote || !base_name_is_empty(&w->db.upstream));
    w->db.is_restart_pending = false;
    later(w, WORLD_VIEW, 500)->number = 1;
}

static void db_exit(struct world *w, uint32_t starts, bool is_clean)
{
    if (!w->db.is_running || starts != w->starts || w->guard.status.tree == GUARD_TREE_FROZEN) {
        return;
    }
    w->db.is_clean = is_clean && !w->db.is_in_recovery;
    w->db.lsn += w->db.is_clean ? 50 : 0;
    db_dies(w);
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_ROOT_EXIT, .now = w->now});
}

/* --- the other ports ---------------------------------------------------------------------------
 */

static struct base_mono port_now(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void check_report(struct world *w)
{
    const struct msg_report *r = &w->report;
    const struct guard_status *st = &w->guard.status;
    bool is_endless = !st->is_armed && w->durable.is_paused;
    bool is_right = st->tree == GUARD_TREE_RUNNING && st->epoch == r->epoch_held &&
                    (is_endless || (st->is_armed && base_mono_before(w->now, st->deadline)));
    /* What the guard has not told yet the agent cannot know; the deadline it knows by itself. */
    bool is_told = !is_pending(w, WORLD_GUARD_STATUS);
    if (r->is_open && is_told && (!is_right || w->db.is_in_recovery || !w->db.is_running)) {
        broken(w, "said to be open without a right");
    }
    if (r->is_open && !is_endless && !base_mono_before(w->now, st->deadline)) {
        broken(w, "said to be open past the deadline");
    }
    bool is_final = w->db.is_running && w->db.is_in_recovery && !w->db.is_receiving &&
                    base_name_is_empty(&w->db.upstream) && r->position.lsn == w->db.lsn;
    if (r->is_vote_valid && !is_final) {
        broken(w, "a vote that is not final");
    }
    if (r->promised.term != w->durable.promised.term ||
        r->promised.number != w->durable.promised.number) {
        broken(w, "a promise that is not on disk");
    }
    if (r->epoch_seen != w->durable.epoch_seen) {
        broken(w, "an epoch said to be seen that is not on disk");
    }
}

static bool port_send(void *ctx, uint64_t link, struct slice payload)
{
    struct world *w = ctx;
    uint8_t kind = 0;
    BASE_ASSERT(slice_take_u8(&payload, &kind) == 0 && kind == NET_FRAME_REPORT);
    if (link != 1) {
        return true;
    }
    int rc = wire_report_decode(payload, &w->report);
    BASE_ASSERT(rc == 0);
    BASE_ASSERT(w->report.number < WORLD_SENT_MAX);
    w->sent[w->report.number] = w->now;
    w->reports++;
    check_report(w);
    return true;
}

static void port_save(void *ctx, struct slice bytes)
{
    struct world *w = ctx;
    BASE_ASSERT(bytes.len <= sizeof(w->saving));
    memcpy(w->saving, bytes.data, bytes.len);
    w->saving_len = bytes.len;
    later(w, WORLD_SAVED, w->save_us);
}

static void port_wake(void *ctx, struct base_mono at)
{
    ((struct world *)ctx)->wake = at;
}

static void port_log(void *ctx, const char *text)
{
    struct world *w = ctx;
    BASE_ASSERT(text[0] != '\0');
    if (w->is_loud) {
        (void)printf("%10lld  %s\n", (long long)w->now.us, text);
    }
    w->logs++;
}

static void saved(struct world *w)
{
    if (w->save_status == 0) {
        memcpy(w->disk, w->saving, w->saving_len);
        w->disk_len = w->saving_len;
        int rc = agt_disk_decode(slice_from(w->disk, w->disk_len), &w->durable);
        BASE_ASSERT(rc == 0);
    }
    if (w->has_agent) {
        agt_driver_saved(&w->driver, w->save_status);
    }
}

static void port_configure(void *ctx, uint64_t revision, struct slice text)
{
    struct world *w = ctx;
    BASE_ASSERT(text.len > 0);
    w->config_at_hand = revision;
}

static void port_ask(void *ctx, const struct agt_failsafe_peer *peers, uint8_t count,
                     struct slice request)
{
    struct world *w = ctx;
    BASE_ASSERT(count == 2 && peers[0].http_port == 8008);
    int rc = agt_failsafe_ask_decode(request, &w->asked);
    BASE_ASSERT(rc == 0);
    w->asked_at = w->now;
    memset(&w->failsafe_missing, 0, sizeof(w->failsafe_missing));
    w->failsafe_missing.count = 2;
    w->failsafe_missing.names[0] = world_name("b");
    w->failsafe_missing.names[1] = world_name("d");
}

/* --- time --------------------------------------------------------------------------------------
 */

void world_check(struct world *w)
{
    const struct guard_status *st = &w->guard.status;
    bool is_paused = w->durable.is_paused || w->is_pause_lost;
    bool is_endless = !st->is_armed && is_paused && st->epoch == w->epoch_allowed &&
                      st->epoch > st->epoch_handed_back;
    /* Section 3: what is adopted was there before any right, until the first one is given. */
    bool is_left = st->is_adopted && st->epoch == 0;
    if (!world_is_writable(w) || is_endless || is_left) {
        return;
    }
    if (!st->is_armed || st->epoch <= st->epoch_handed_back || st->epoch != w->epoch_allowed) {
        broken(w, "writable without an armed grant");
    }
    if (base_mono_before(base_mono_add_us(w->deadline_allowed, 1), w->now)) {
        broken(w, "writable past the deadline");
    }
}

static void handle(struct world *w, const struct world_pending *p)
{
    struct db_view view;
    switch (p->kind) {
    case WORLD_GUARD_STATUS:
        if (w->is_guard_silent) {
            break;
        }
        if (w->has_agent) {
            agt_driver_guard_status(&w->driver, &w->guard.status);
        }
        return;
    case WORLD_GUARD_EVENT:
        guard_do(w, &(struct guard_event){.kind = (enum guard_event_kind)p->number,
                                          .now = w->now,
                                          .number = (int32_t)(100 + w->starts)});
        return;
    case WORLD_DB_DONE:
        db_done(w, p->id, p->number);
        return;
    case WORLD_DB_READY:
        db_ready(w, p->starts);
        return;
    case WORLD_DB_EXIT:
        db_exit(w, p->starts, p->number == 1);
        return;
    case WORLD_VIEW:
        if (p->number == 0) {
            later(w, WORLD_VIEW, 100 * MS);
        }
        w->db.receiver_pid += w->db.is_receiver_flapping;
        if (w->has_agent && !w->are_views_silent) {
            view_make(w, &view);
            agt_driver_db_view(&w->driver, &view);
        }
        return;
    case WORLD_SAVED:
        saved(w);
        return;
    }
}

/* The earliest pending event, in the order of its making among equals. */
static int earliest(const struct world *w)
{
    int best = -1;
    for (uint16_t i = 0; i < w->pending_count; i++) {
        if (best < 0 || base_mono_before(w->pending[i].at, w->pending[best].at)) {
            best = i;
        }
    }
    return best;
}

static void run_until(struct world *w, struct base_mono end, bool is_agent_stalled)
{
    for (;;) {
        int i = earliest(w);
        struct base_mono at = i >= 0 ? w->pending[i].at : BASE_MONO_NEVER;
        struct base_mono guard_at = guard_core_wake(&w->guard);
        struct base_mono agent_at = w->has_agent && !is_agent_stalled ? w->wake : BASE_MONO_NEVER;
        struct base_mono next = base_mono_min(at, base_mono_min(guard_at, agent_at));
        if (base_mono_before(end, next)) {
            break;
        }
        w->now = base_mono_max(w->now, next);
        if (guard_at.us == next.us) {
            guard_do(w, &(struct guard_event){.kind = GUARD_EV_TIME, .now = w->now});
        } else if (at.us == next.us) {
            struct world_pending p = w->pending[i];
            w->pending_count--;
            memmove(&w->pending[i], &w->pending[i + 1], sizeof(p) * (size_t)(w->pending_count - i));
            bool is_agents =
                p.kind != WORLD_GUARD_EVENT && p.kind != WORLD_DB_READY && p.kind != WORLD_DB_EXIT;
            if (is_agent_stalled && is_agents) {
                struct world_pending *again = later(w, p.kind, 0);
                p.at = base_mono_add_us(end, 1);
                *again = p;
            } else {
                handle(w, &p);
            }
        } else {
            agt_driver_timer(&w->driver);
        }
        world_check(w);
    }
    w->now = end;
}

void world_run_ms(struct world *w, int64_t ms)
{
    run_until(w, base_mono_add_us(w->now, ms * MS), false);
}

void world_stall_ms(struct world *w, int64_t ms)
{
    run_until(w, base_mono_add_us(w->now, ms * MS), true);
}

/* --- making ------------------------------------------------------------------------------------
 */

static void options_make(struct world *w)
{
    w->options = (struct agt_driver_options){
        .config = {.cluster = world_name("c"),
                   .member = world_name("a"),
                   .host = base_text_from(SLICE_LIT("127.0.0.1")),
                   .db_port = 5432,
                   .http_port = 8008,
                   .has_seed = true,
                   .seed_ttl_ms = 2000,
                   .seed_heartbeat_ms = 250},
        .ports = {.net = {w, port_send},
                  .clock = {w, port_now, NULL},
                  .guard = {.ctx = w,
                            .start = port_start,
                            .arm = port_arm,
                            .disarm = port_disarm,
                            .signal = port_signal,
                            .kill = port_kill,
                            .hand_back = port_hand_back},
                  .db = {.ctx = w, .order = port_order, .configure = port_configure},
                  .failsafe = {w, port_ask},
                  .state = {w, port_save},
                  .ctx = w,
                  .wake = port_wake,
                  .log = port_log},
        .nodes = {1, 2, 3},
        .nodes_count = 3,
    };
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->now = (struct base_mono){BASE_US_PER_S};
    w->term = 1;
    w->save_us = 2 * MS;
    w->kill_us = 10 * MS;
    w->upstream_timeline = 1;
    w->upstream_lsn = 5000;
    w->is_upstream_open = true;
    guard_core_init(&w->guard, 4711, 50 * MS, w->now);
    options_make(w);
    later(w, WORLD_VIEW, 10 * MS);
}

void world_agent_start(struct world *w)
{
    w->options.config.session++;
    w->options.disk = (struct agt_disk){0};
    if (w->disk_len > 0) {
        int rc = agt_disk_decode(slice_from(w->disk, w->disk_len), &w->options.disk);
        BASE_ASSERT(rc == 0);
    }
    w->durable = w->options.disk;
    drop(w, WORLD_DB_DONE); /* its workers have died with it */
    drop(w, WORLD_SAVED);
    memset(&w->db.running, 0, sizeof(w->db.running));
    w->db.orders_done = 0;
    int rc = agt_driver_init(&w->driver, &w->options);
    BASE_ASSERT(rc == 0);
    w->has_agent = true;
    w->wake = w->now;
    agt_driver_start(&w->driver);
    later(w, WORLD_GUARD_STATUS, 1 * MS);
    later(w, WORLD_VIEW, 2 * MS)->number = 1;
}

void world_crash(struct world *w)
{
    db_exit(w, w->starts, false);
}

void world_directory(struct world *w, uint64_t epoch, uint32_t timeline, uint64_t lsn)
{
    w->db.has_directory = true;
    w->db.system_id = WORLD_SYSTEM_ID;
    w->db.timeline = timeline;
    w->db.lsn = lsn;
    w->durable.epoch_seen = epoch;
    struct agt_opening opening = {.epoch = epoch,
                                  .timeline = timeline,
                                  .parent = epoch - 1,
                                  .floor_lsn = 0,
                                  .floor_epoch = epoch};
    (void)agt_disk_remember(&w->durable, &opening);
    struct buf b = buf_over(w->disk, sizeof(w->disk));
    int rc = agt_disk_encode(&w->durable, &b);
    BASE_ASSERT(rc == 0);
    w->disk_len = b.len;
    w->record.epoch = epoch;
    w->record.timeline = timeline;
}

void world_adopt(struct world *w, uint32_t timeline, bool is_standby)
{
    w->db.has_directory = true;
    w->db.system_id = WORLD_SYSTEM_ID;
    w->db.timeline = timeline;
    w->db.lsn = 7000;
    w->db.is_running = w->db.is_ready = true;
    w->db.is_in_recovery = w->db.is_standby_configured = w->db.is_receiving = is_standby;
    guard_do(w, &(struct guard_event){.kind = GUARD_EV_ADOPTED, .now = w->now, .number = 4242});
}
