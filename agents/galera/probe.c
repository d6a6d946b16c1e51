/* SPDX-License-Identifier: Apache-2.0 */
/* What a running server is asked, over and over: see db.h. */
#include <stdio.h>
#include <string.h>

#include "agents/galera/db_internal.h"
#include "base/name.h"

/* --- state --- */

static void status_came(void *ctx, const struct gal_reply *reply);

static void ask_status(struct gal_db *db)
{
    db->probe.asked_at = io_now();
    gal_status_reset(&db->probe.status);
    db->sql.run(db->sql.ctx, GAL_SESSION_POLL, GAL_STATUS_SQL, GAL_POLL_LIMIT_US, status_came, db);
}

static void note_transfer(struct gal_db *db)
{
    if (db->was_transfer && db->seen.view.local == DB_GALERA_LOCAL_SYNCED) {
        db->was_transfer = false;
        db->is_sst_failed = false;
    }
}

static void probe_ended(struct gal_db *db, bool is_answering)
{
    struct base_mono now = io_now();
    db->probe.is_running = false;
    if (!gal_is_running(db)) {
        return;
    }
    db->is_answering = is_answering;
    if (is_answering) {
        db->has_answered = true;
        db->is_login_refused = false;
        db->seen = db->probe.status;
        db->seen_at = db->probe.asked_at;
        if (!db->seen.is_flow_active) {
            db->flow_since = BASE_MONO_NEVER;
        } else if (db->flow_since.us == BASE_MONO_NEVER.us) {
            db->flow_since = now;
        }
        note_transfer(db);
        gal_members_start(db);
        gal_read_only_behind(db);
        gal_advice_start(db);
    } else {
        gal_look_start(db); /* a transfer may be under way */
    }
    gal_view_soon(db);
}

static void variables_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    struct slice values[GAL_REPLY_COLUMNS] = {{0}};
    bool is_good = reply->status == 0 && reply->rows == 1;
    for (unsigned i = 0; is_good && i < reply->columns; i++) {
        values[i] = slice_from_text(reply->values[0][i]);
    }
    is_good = is_good && gal_status_variables(&db->probe.status, values, reply->columns) == 0;
    probe_ended(db, is_good);
}

static void status_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    if (reply->status == BASE_E_CLOSED && !db->probe.is_retried && db->is_answering) {
        db->probe.is_retried = true; /* whoever rejects all cuts this session, too */
        ask_status(db);
        return;
    }
    if (reply->status == BASE_E_DENIED) {
        db->is_login_refused = true;
        gal_setup_start(db);
    }
    if (reply->status != 0) {
        probe_ended(db, false);
        return;
    }
    for (unsigned i = 0; i < reply->rows && reply->columns >= 2; i++) {
        gal_status_take(&db->probe.status, slice_from_text(reply->values[i][0]),
                        slice_from_text(reply->values[i][1]));
    }
    db->sql.run(db->sql.ctx, GAL_SESSION_POLL, GAL_VARIABLES_SQL, GAL_POLL_LIMIT_US, variables_came,
                db);
}

void gal_probe_start(struct gal_db *db)
{
    if (db->probe.is_running || db->sql.is_busy(db->sql.ctx, GAL_SESSION_POLL)) {
        return;
    }
    db->probe.is_running = true;
    db->probe.is_retried = false;
    db->probe.orders_done = db->last_done_id;
    ask_status(db);
}

/* --- causal reads --- */

static void causal_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    if (reply->status == 0 && gal_is_running(db)) {
        db->causal.proven_at = base_mono_max(db->causal.proven_at, db->causal.sent_at);
        gal_view_soon(db);
    }
}

void gal_causal_start(struct gal_db *db)
{
    bool is_due = db->is_answering && db->seen.view.is_primary && db->seen.view.is_ready;
    if (is_due && !db->sql.is_busy(db->sql.ctx, GAL_SESSION_CAUSAL)) {
        db->causal.sent_at = io_now();
        db->sql.run(db->sql.ctx, GAL_SESSION_CAUSAL, "SELECT 1", GAL_CAUSAL_LIMIT_US, causal_came,
                    db);
    }
}

/* --- the writer's own write --- */

static void canary_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    db->canary.is_out = false; /* refused or done: it came through */
    if (reply->status == BASE_E_STATE && db->settings->is_socket_login &&
        (reply->number == 1049 || reply->number == 1146)) { /* no such database, no such table */
        gal_setup_start(db); /* who need not log in anew is not refused before they are made */
    }
}

void gal_canary_start(struct gal_db *db)
{
    char sql[128];
    struct base_mono now = io_now();
    if (!db->settings->has_canary || !db->is_promoted || !db->is_answering ||
        db->seen.view.is_read_only || base_mono_before(now, db->canary.next_at) ||
        db->sql.is_busy(db->sql.ctx, GAL_SESSION_CANARY)) {
        return;
    }
    (void)snprintf(sql, sizeof(sql), "REPLACE INTO quorate.heartbeat VALUES (1, %llu, %llu)",
                   (unsigned long long)db->guard.epoch, (unsigned long long)++db->canary.number);
    db->canary.sent_at = now;
    db->canary.next_at = base_mono_add_us(now, GAL_CANARY_US);
    db->canary.is_out = true;
    db->sql.run(db->sql.ctx, GAL_SESSION_CANARY, sql, GAL_CANARY_LIMIT_US, canary_came, db);
}

uint32_t gal_canary_stuck_ms(const struct gal_db *db)
{
    int64_t us = db->canary.is_out ? base_mono_diff_us(io_now(), db->canary.sent_at) : 0;
    return us > BASE_US_PER_S ? (uint32_t)(us / BASE_US_PER_MS) : 0;
}

/* --- who is in the component --- */

static void options_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    if (reply->status == 0 && reply->rows == 1 && reply->columns == 1) {
        db->weight = gal_options_weight(slice_from_text(reply->values[0][0]));
        db->is_weight_known = true;
        gal_view_soon(db);
    }
}

/* Its size must be the one that the status tells: the table follows a moment later. */
static void members_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    struct msg_galera_view view = {0};
    if (reply->status != 0 || reply->columns != 1 || reply->rows != db->seen.view.size) {
        return;
    }
    for (unsigned i = 0; i < reply->rows; i++) {
        gal_view_add(&view, slice_from_text(reply->values[i][0]));
    }
    view.conf_id = db->seen.conf_id;
    db->members = view;
    db->members_conf_id = view.conf_id;
    gal_view_soon(db);
}

void gal_members_start(struct gal_db *db)
{
    bool is_in = db->seen.view.is_primary && db->seen.conf_id != 0;
    if (!is_in || db->sql.is_busy(db->sql.ctx, GAL_SESSION_BACK)) {
        return;
    }
    if (!db->is_weight_known) {
        db->sql.run(db->sql.ctx, GAL_SESSION_BACK, GAL_OPTIONS_SQL, GAL_POLL_LIMIT_US, options_came,
                    db);
    } else if (db->members_conf_id != db->seen.conf_id) {
        db->sql.run(db->sql.ctx, GAL_SESSION_BACK, GAL_MEMBERS_SQL, GAL_POLL_LIMIT_US, members_came,
                    db);
    }
}
