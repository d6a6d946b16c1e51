/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member: what guard, view and completions say, taken in.
 *
 * A gap between two steps means that this agent has stood still, and perhaps its host and server
 * with it: what was asked for before proves nothing any more. The same with a new root process.
 */
#include <string.h>

#include "agents/core/mongodb_internal.h"

#define START_WAIT_MAX_US (INT64_C(60) * BASE_US_PER_S)
#define START_SHORT_US (INT64_C(60) * BASE_US_PER_S) /* who ends sooner has not really run */
#define NUMBER_ROLLBACK 9

void agt_mongodb_init(struct agt *a, struct base_mono now)
{
    struct agt_mongodb *m = &a->mongodb;
    struct db_mongodb_view *v = &a->view.mongodb;
    m->tick_at = BASE_MONO_LONG_AGO;
    m->void_before = now;
    m->root_seen_at = now;
    m->told_at = BASE_MONO_LONG_AGO;
    m->taken_at = BASE_MONO_LONG_AGO;
    m->frozen_until = BASE_MONO_LONG_AGO;
    m->shutdown_at = BASE_MONO_LONG_AGO;
    m->start_at = BASE_MONO_LONG_AGO;
    m->ladder.killed_at = BASE_MONO_LONG_AGO;
    m->ladder.cut_at = BASE_MONO_LONG_AGO;
    v->hello.at = BASE_MONO_LONG_AGO;
    v->status.at = BASE_MONO_LONG_AGO;
    v->config.at = BASE_MONO_LONG_AGO;
    v->canary_at = BASE_MONO_LONG_AGO;
    v->concern_at = BASE_MONO_LONG_AGO;
    v->canary_since = BASE_MONO_NEVER;
}

static void evidence_void(struct agt *a, struct base_mono now)
{
    struct agt_mongodb *m = &a->mongodb;
    m->void_before = now;
    m->ladder.cut_samples = 0;
}

static void root_forget(struct agt *a, struct base_mono now)
{
    struct agt_mongodb *m = &a->mongodb;
    struct base_mono killed_at = m->ladder.killed_at;
    evidence_void(a, now);
    m->term_seen = 0;
    m->shutdown_at = BASE_MONO_LONG_AGO;
    m->shutdown_id = 0;
    m->is_shutdown_failed = false;
    m->frozen_until = BASE_MONO_LONG_AGO;
    m->state_seen = 0;
    memset(&m->ladder, 0, sizeof(m->ladder));
    m->ladder.cut_at = BASE_MONO_LONG_AGO;
    m->ladder.killed_at = killed_at;
}

void agt_mongodb_root_started(struct agt_run *run)
{
    root_forget(run->a, run->now);
    run->a->mongodb.root_seen_at = run->now;
}

/* What ends right after its start is not started in a loop. */
void agt_mongodb_root_gone(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    int64_t ran_us = base_mono_diff_us(run->now, m->root_seen_at);
    bool is_asked = a->stop.is_asked || m->shutdown_at.us != BASE_MONO_LONG_AGO.us;
    bool is_short = !is_asked && (!a->has_answered || ran_us < START_SHORT_US);
    m->failed_starts = is_short ? m->failed_starts + 1 : 0;
    int64_t wait_us = BASE_US_PER_S << (m->failed_starts < 6 ? m->failed_starts : 6);
    wait_us = wait_us < START_WAIT_MAX_US ? wait_us : START_WAIT_MAX_US;
    m->start_at = is_short ? base_mono_add_us(run->now, wait_us) : run->now;
    if (!is_asked) {
        agt_fx_log(run, "mongod has ended by itself", is_short ? "starts it later" : NULL);
    }
    root_forget(a, run->now);
}

void agt_mongodb_tick(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    bool is_first = m->tick_at.us == BASE_MONO_LONG_AGO.us;
    if (!is_first && base_mono_diff_us(run->now, m->tick_at) > AGT_MONGODB_GAP_US) {
        evidence_void(a, run->now);
        if (a->has_answered) {
            agt_fx_log(run, "stood still for more than a second: looks anew", NULL);
        }
    }
    m->tick_at = run->now;
}

/* --- views --- */

/* A rollback is a loss of data, with files for people: told once each, whether its state was seen
 * or only what it left behind. */
static void rollback_watch(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    struct agt_mongodb_disk *d = &a->want.mongodb;
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_begun = agt_mongodb_is_valid(a, v->status.at) && v->status.state == NUMBER_ROLLBACK &&
                    m->state_seen != NUMBER_ROLLBACK;
    bool has_more = d->is_rollback_known && v->rollback_files > d->rollback_files;
    m->state_seen = agt_mongodb_is_valid(a, v->status.at) ? v->status.state : m->state_seen;
    d->rollback_files = v->rollback_files;
    d->is_rollback_known = true;
    if (is_begun || (has_more && !m->is_rollback_counted)) {
        d->rollbacks++;
        agt_fx_log(run,
                   "ROLLBACK: writes that only this member had are taken back; they are kept "
                   "as files in the rollback directory of its data",
                   NULL);
    }
    m->is_rollback_counted = is_begun || (m->is_rollback_counted && !has_more);
}

/* The watched server has no root that a guard would tell of. */
static void watched_root(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    const uint8_t *id = a->view.mongodb.hello.process_id;
    bool is_other = a->view.is_answering && agt_mongodb_is_set_id_known(id) &&
                    memcmp(m->process_id, id, sizeof(m->process_id)) != 0;
    if (is_other && agt_mongodb_is_set_id_known(m->process_id)) {
        m->term_seen = 0;
        m->state_seen = 0;
        m->ladder.cut_samples = 0;
    }
    if (is_other) {
        memcpy(m->process_id, id, sizeof(m->process_id));
    }
    if (!a->view.is_process) {
        a->has_answered = false;
    }
}

static void view_answered(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    if (base_mono_before(a->view.mongodb.hello.at, m->void_before)) {
        return; /* of the server before, or of before we stood still */
    }
    a->silent_views = 0;
    a->has_answered = true;
    a->answered_at = run->now;
    if (base_mono_diff_us(run->now, m->root_seen_at) >= START_SHORT_US) {
        m->failed_starts = 0;
    }
    uint64_t term = agt_mongodb_term(a);
    m->term_seen = term > m->term_seen ? term : m->term_seen;
}

/* The bar is over when what it barred is gone. */
static void bar_lift(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_seen = a->guard.tree == GUARD_TREE_GONE && a->is_gone_seen && !a->view.has_directory;
    if (is_seen && a->want.mongodb.barred_epoch != 0) {
        agt_fx_log(run, "its data directory is empty: no longer barred", NULL);
        a->want.mongodb.barred_epoch = 0;
    }
}

void agt_mongodb_view(struct agt_run *run)
{
    struct agt *a = run->a;
    struct db_mongodb_view *v = &a->view.mongodb;
    v->status.peers_count = v->status.peers_count < MSG_MONGODB_PEERS_MAX ? v->status.peers_count
                                                                          : MSG_MONGODB_PEERS_MAX;
    v->config.peers_count = v->config.peers_count < MSG_MONGODB_PEERS_MAX ? v->config.peers_count
                                                                          : MSG_MONGODB_PEERS_MAX;
    if (a->config.mongodb.is_watched) {
        watched_root(run);
    }
    bool is_there = agt_mongodb_is_running(a) && a->view.is_process;
    if (is_there && a->view.is_answering) {
        view_answered(run);
    } else {
        a->silent_views++;
    }
    bar_lift(run);
    rollback_watch(run);
    agt_mongodb_sample(run);
}

/* --- completions --- */

static void work_done(struct agt_run *run, const struct db_order *order, const struct db_done *done)
{
    struct agt *a = run->a;
    struct agt_mongodb_work *w = &a->mongodb.work;
    if (w->issued_id != order->id || order->id == 0) {
        return;
    }
    w->is_replied = done->status != BASE_E_CANCELED;
    w->reply_status = done->status;
    w->reply_code = done->code;
    w->replied_at = run->now;
    w->issued_id = w->is_replied ? w->issued_id : 0;
}

void agt_mongodb_order_done(struct agt_run *run, const struct db_order *order,
                            const struct db_done *done)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    work_done(run, order, done);
    if (order->kind == DB_ORDER_MONGODB_WIPE && done->status == 0) {
        a->want.mongodb.is_wiped = true;
    } else if (order->kind == DB_ORDER_MONGODB_SHUTDOWN && done->status != 0) {
        m->is_shutdown_failed = done->status != BASE_E_CANCELED;
        m->shutdown_code = done->code;
        m->shutdown_id = m->is_shutdown_failed ? m->shutdown_id : 0;
    } else if (order->kind == DB_ORDER_MONGODB_FREEZE && done->status == 0) {
        m->frozen_until =
            base_mono_add_us(run->now, (int64_t)order->mongodb.seconds * BASE_US_PER_S);
    }
}
