/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: statements one after the other on a session of their own, or a job of the worker.
 *
 * ALL_KILL comes through in milliseconds also where a commit is stuck; read_only queues behind it
 * until the views have changed, so a fence does not wait for it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/galera/db_internal.h"
#include "base/assert.h"
#include "base/name.h"

#define STEPS_MAX 6

struct step {
    const char *sql; /* %u: the order's weight */
    int64_t limit_us;
};

#define S(n) ((n)*BASE_US_PER_S)
static const struct script {
    enum db_order_kind kind;
    struct step steps[STEPS_MAX];
} scripts[] = {
    {DB_ORDER_PROMOTE,
     {{"SET SESSION wsrep_sync_wait = 1", S(1)},
      {"SELECT 1", S(4)},
      {"SET SESSION wsrep_sync_wait = 0", S(1)},
      {"SET GLOBAL wsrep_reject_queries = NONE", S(1)},
      {"SET GLOBAL read_only = 0", S(4)}}},
    {DB_ORDER_GALERA_FENCE, {{"SET GLOBAL wsrep_reject_queries = ALL_KILL", S(1)}}},
    {DB_ORDER_GALERA_UNFENCE,
     {{"SET GLOBAL read_only = 1", S(4)}, {"SET GLOBAL wsrep_reject_queries = NONE", S(1)}}},
    {DB_ORDER_GALERA_DEMOTE,
     {{"SET GLOBAL read_only = 1", S(5)},
      {"SET GLOBAL wsrep_reject_queries = ALL_KILL", S(1)},
      {"SET GLOBAL wsrep_reject_queries = NONE", S(1)}}},
    {DB_ORDER_GALERA_BOOTSTRAP, {{"SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'", S(5)}}},
    {DB_ORDER_GALERA_WEIGHT, {{"SET GLOBAL wsrep_provider_options = 'pc.weight=%u'", S(5)}}},
};

static const struct script *script_of(enum db_order_kind kind)
{
    for (size_t i = 0; i < BASE_COUNT_OF(scripts); i++) {
        if (scripts[i].kind == kind) {
            return &scripts[i];
        }
    }
    return NULL;
}

/* --- the end of an order --- */

static void push_done(struct gal_db *db, const struct db_done *done)
{
    BASE_ASSERT(db->done_count < BASE_COUNT_OF(db->done));
    db->done[db->done_count++] = *done;
    io_timer_start_in_us(&db->notify, 0);
}

static void note_well(struct gal_db *db)
{
    enum db_order_kind kind = db->order.kind;
    if (kind == DB_ORDER_PROMOTE || kind == DB_ORDER_GALERA_FENCE ||
        kind == DB_ORDER_GALERA_DEMOTE || kind == DB_ORDER_GALERA_UNFENCE) {
        db->is_promoted = kind == DB_ORDER_PROMOTE;
        db->wants_read_only = kind == DB_ORDER_GALERA_FENCE;
    } else if (kind == DB_ORDER_GALERA_WEIGHT) {
        db->is_weight_known = false;
    }
}

static void finish(struct gal_db *db, int status, const char *text)
{
    struct db_done done = {.id = db->order.id,
                           .kind = db->order.kind,
                           .status = db->is_canceled ? BASE_E_CANCELED : status};
    uint64_t ignored = 0;
    done.text = base_text_from(slice_from_text(done.status == BASE_E_CANCELED ? "canceled" : text));
    db->has_order = false;
    db->last_done_id = done.id;
    if (done.status == 0) {
        note_well(db);
    }
    (void)!read(db->cancel_fd, &ignored, sizeof(ignored)); /* non-blocking */
    push_done(db, &done);
    db->is_canceled = false;
    /* What a probe under way has seen may be older than this: another one follows. */
    if (gal_is_running(db)) {
        gal_probe_start(db);
    } else {
        gal_look_start(db);
    }
    gal_read_only_behind(db);
}

/* --- statements --- */

static void step_came(void *ctx, const struct gal_reply *reply);

static void step_run(struct gal_db *db)
{
    const struct script *script = script_of(db->order.kind);
    BASE_ASSERT(script != NULL);
    const struct step *step = &script->steps[db->step];
    /* The table's texts alone are formats. */
    if (strstr(step->sql, "%u") != NULL) {
        (void)snprintf(db->statement, sizeof(db->statement),
                       "SET GLOBAL wsrep_provider_options = 'pc.weight=%u'",
                       (unsigned)db->order.galera.weight);
    } else {
        (void)snprintf(db->statement, sizeof(db->statement), "%s", step->sql);
    }
    db->sql.run(db->sql.ctx, GAL_SESSION_ACT, db->statement, step->limit_us, step_came, db);
}

static void step_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    char text[BASE_TEXT_MAX + 1];
    const struct script *script = script_of(db->order.kind);
    if (!db->has_order || script == NULL) {
        return;
    }
    if (reply->status != 0) {
        (void)snprintf(text, sizeof(text), "%.120s: %.120s", db->statement,
                       reply->text[0] != '\0' ? reply->text : base_error_text(reply->status));
        finish(db, reply->status, text);
        return;
    }
    db->step++;
    if (db->is_canceled || db->step == STEPS_MAX || script->steps[db->step].sql == NULL) {
        finish(db, 0, "");
        return;
    }
    step_run(db);
}

/* Another attempt with each probe, until it is in force or nobody wants it any more. */
static void read_only_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    if (reply->status == 0) {
        db->wants_read_only = false;
        gal_probe_start(db);
    }
}

void gal_read_only_behind(struct gal_db *db)
{
    if (db->wants_read_only && gal_is_running(db) &&
        !db->sql.is_busy(db->sql.ctx, GAL_SESSION_BACK)) {
        db->sql.run(db->sql.ctx, GAL_SESSION_BACK, "SET GLOBAL read_only = 1", GAL_BACK_LIMIT_US,
                    read_only_came, db);
    }
}

/* --- the worker's jobs --- */

void gal_order_job_done(struct gal_db *db)
{
    const struct gal_job *job = &db->job.job;
    db->is_job_running = false;
    if (job->status == 0 && job->order.kind == DB_ORDER_GALERA_RECOVER) {
        db->is_recovered = true;
        db->recovered = job->position;
    }
    if (job->order.kind == DB_ORDER_INIT || job->order.kind == DB_ORDER_GALERA_CLEAR) {
        db->is_recovered = false;
    }
    finish(db, job->status, job->text.text);
}

/* The order itself completes, with CANCELED; one that has ended has told so already. */
static void cancel(struct gal_db *db)
{
    uint64_t one = 1;
    db->is_canceled = db->has_order;
    if (db->is_job_running) {
        (void)!write(db->cancel_fd, &one, sizeof(one));
    } else if (db->has_order) {
        db->sql.cut(db->sql.ctx, GAL_SESSION_ACT);
    }
}

void gal_order_take(struct gal_db *db, const struct db_order *order)
{
    if (order->kind == DB_ORDER_CANCEL) {
        cancel(db);
        return;
    }
    BASE_ASSERT(!db->has_order);
    db->has_order = true;
    db->order = *order;
    db->step = 0;
    db->is_canceled = false;
    if (script_of(order->kind) != NULL) {
        step_run(db);
        return;
    }
    if (order->kind == DB_ORDER_CHECKPOINT || order->kind == DB_ORDER_CONFIGURE ||
        order->kind == DB_ORDER_CLIENTS_OUT) {
        finish(db, 0, "");
        return;
    }
    db->is_job_running = true;
    db->job.job = (struct gal_job){.settings = db->settings,
                                   .order = *order,
                                   .cancel_fd = db->cancel_fd,
                                   .lock_fd = db->lock_fd};
    io_work_submit(db->workers, &db->job.work);
}
