/* SPDX-License-Identifier: Apache-2.0 */
/* Writing effects, and the one database order that may be under way. */
#include <string.h>

#include "agents/core/internal.h"

struct agt_effect *agt_fx_add(struct agt_run *run, enum agt_effect_kind kind)
{
    BASE_ASSERT(run->fx->count < AGT_EFFECTS_MAX);
    struct agt_effect *fx = &run->fx->list[run->fx->count++];
    *fx = (struct agt_effect){.kind = kind};
    return fx;
}

void agt_fx_log(struct agt_run *run, const char *text, const char *detail)
{
    if (run->fx->logs_count == AGT_LOGS_MAX) {
        return;
    }
    struct base_text *line = &run->fx->logs[run->fx->logs_count];
    struct buf b = buf_over(line->text, BASE_TEXT_MAX);
    memset(line, 0, sizeof(*line));
    buf_put_text(&b, text);
    if (detail != NULL && detail[0] != '\0') {
        buf_put_text(&b, ": ");
        buf_put_text(&b, detail);
    }
    agt_fx_add(run, AGT_FX_LOG)->number = run->fx->logs_count++;
}

void agt_wake_at(struct agt_run *run, struct base_mono at)
{
    run->fx->wake = base_mono_min(run->fx->wake, at);
}

void agt_kill(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->guard.tree == GUARD_TREE_GONE || a->guard.tree == GUARD_TREE_KILLING ||
        a->guard.tree == GUARD_TREE_ROOT_EXITED) {
        return;
    }
    a->stop.is_asked = true;
    a->stop.is_killed = true;
    agt_fx_add(run, AGT_FX_GUARD_KILL);
}

void agt_hand_back(struct agt_run *run, uint64_t epoch)
{
    struct agt *a = run->a;
    BASE_ASSERT(a->guard.tree == GUARD_TREE_GONE);
    BASE_ASSERT(epoch > a->guard.epoch_handed_back);
    struct base_mono due = base_mono_add_us(a->handback_asked_at, AGT_REPEAT_US);
    if (a->is_start_asked) { /* it may run by now: wait for the guard's word */
        due = base_mono_max(due, base_mono_add_us(a->start_asked_at, AGT_START_WORD_US));
    }
    if (base_mono_before(run->now, due)) {
        agt_wake_at(run, due);
        return;
    }
    a->handback_asked_at = run->now;
    a->handback_asked = epoch > a->handback_asked ? epoch : a->handback_asked;
    agt_fx_add(run, AGT_FX_GUARD_HAND_BACK)->epoch = epoch;
    agt_wake_at(run, base_mono_add_us(run->now, AGT_REPEAT_US));
}

void agt_release(struct agt_run *run, uint64_t epoch)
{
    struct agt *a = run->a;
    BASE_ASSERT(a->config.engine == MSG_ENGINE_GALERA);
    struct base_mono due = base_mono_add_us(a->handback_asked_at, AGT_REPEAT_US);
    if (base_mono_before(run->now, due)) {
        agt_wake_at(run, due);
        return;
    }
    a->handback_asked_at = run->now;
    a->handback_asked = epoch > a->handback_asked ? epoch : a->handback_asked;
    agt_fx_add(run, AGT_FX_GUARD_RELEASE)->epoch = epoch;
    agt_wake_at(run, base_mono_add_us(run->now, AGT_REPEAT_US));
}

static void task_cancel(struct agt_run *run)
{
    struct agt_task *task = &run->a->task;
    if (task->is_canceled) {
        return;
    }
    task->is_canceled = true;
    run->fx->db_cancel = (struct db_order){.id = task->id, .kind = DB_ORDER_CANCEL};
    agt_fx_add(run, AGT_FX_DB_CANCEL);
}

void agt_start(struct agt_run *run)
{
    struct agt *a = run->a;
    BASE_ASSERT(a->guard.tree == GUARD_TREE_GONE);
    struct base_mono due = base_mono_add_us(a->start_asked_at, AGT_START_WORD_US);
    if (a->is_start_asked && base_mono_before(run->now, due)) {
        agt_wake_at(run, due);
        return;
    }
    if (a->task.id != 0) { /* something still works on the stopped directory */
        task_cancel(run);
        return;
    }
    if (a->disk.is_clone_needed || (a->is_saving && a->saving.is_clone_needed)) {
        return; /* that the directory is a good one again is saved first: what runs is never cloned
                 */
    }
    if (a->want.made_system != 0) {
        a->want.made_system = 0;
        a->is_first_start = true;
    }
    if (a->disk.made_system != 0 || (a->is_saving && a->saving.made_system != 0)) {
        return; /* from here on it may hold what counts: the same */
    }
    /* An armed guard whose deadline is past would freeze the standby at birth. */
    if (a->guard.is_armed && !agt_holds(a)) {
        agt_fx_add(run, AGT_FX_GUARD_DISARM);
    }
    a->is_start_asked = true;
    a->start_asked_at = run->now;
    a->stopped_end_lsn = a->view.is_process ? 0 : a->view.lsn;
    agt_fx_add(run, AGT_FX_GUARD_START);
    agt_wake_at(run, base_mono_add_us(run->now, AGT_START_WORD_US));
}

static int64_t timeout_of(enum db_order_kind kind)
{
    switch (kind) {
    case DB_ORDER_CLONE:
    case DB_ORDER_REWIND:
    case DB_ORDER_GALERA_RECOVER: /* the port knows the size of the data */
        return INT64_C(24) * 3600 * BASE_US_PER_S;
    case DB_ORDER_INIT:
        return INT64_C(300) * BASE_US_PER_S;
    case DB_ORDER_PROMOTE:
    case DB_ORDER_CHECKPOINT:
    case DB_ORDER_MONGODB_WIPE:
        return INT64_C(60) * BASE_US_PER_S;
    case DB_ORDER_CLIENTS_OUT:
    case DB_ORDER_GALERA_FENCE:
        return INT64_C(1) * BASE_US_PER_S;
    case DB_ORDER_NONE:
    case DB_ORDER_PREPARE_STANDBY:
    case DB_ORDER_PREPARE_PRIMARY:
    case DB_ORDER_FOLLOW:
    case DB_ORDER_DETACH:
    case DB_ORDER_SET_SYNC:
    case DB_ORDER_BARRIER:
    case DB_ORDER_CONFIGURE:
    case DB_ORDER_CANCEL:
    case DB_ORDER_GALERA_PREPARE:
    case DB_ORDER_GALERA_CLEAR:
    case DB_ORDER_GALERA_UNFENCE:
    case DB_ORDER_GALERA_DEMOTE:
    case DB_ORDER_GALERA_BOOTSTRAP:
    case DB_ORDER_GALERA_WEIGHT:
    case DB_ORDER_MONGODB_INITIATE:
    case DB_ORDER_MONGODB_RECONFIG:
    case DB_ORDER_MONGODB_CONCERN:
    case DB_ORDER_MONGODB_STEP_DOWN:
    case DB_ORDER_MONGODB_STEP_UP:
    case DB_ORDER_MONGODB_FREEZE:
    case DB_ORDER_MONGODB_ABORT_CATCHUP:
    case DB_ORDER_MONGODB_SHUTDOWN:
        return INT64_C(10) * BASE_US_PER_S;
    }
    BASE_UNREACHABLE();
}

struct db_order agt_order_make(const struct agt *a, enum db_order_kind kind)
{
    return (struct db_order){
        .kind = kind, .epoch = a->order.record.epoch, .timeout_us = timeout_of(kind)};
}

static bool mongodb_equal(const struct db_mongodb_order *a, const struct db_mongodb_order *b)
{
    return a->expected_term == b->expected_term &&
           memcmp(&a->expected_config, &b->expected_config, sizeof(a->expected_config)) == 0 &&
           a->change == b->change && memcmp(&a->host, &b->host, sizeof(a->host)) == 0 &&
           a->votes == b->votes && a->priority_x10 == b->priority_x10 &&
           a->is_arbiter == b->is_arbiter && a->is_forced == b->is_forced &&
           a->election_timeout_ms == b->election_timeout_ms && a->seconds == b->seconds &&
           a->catch_up_s == b->catch_up_s && a->is_majority == b->is_majority &&
           a->hosts_count == b->hosts_count && memcmp(a->hosts, b->hosts, sizeof(a->hosts)) == 0;
}

bool agt_order_equal(const struct db_order *a, const struct db_order *b)
{
    return a->kind == b->kind && mongodb_equal(&a->mongodb, &b->mongodb) &&
           base_name_equal(&a->upstream_member, &b->upstream_member) &&
           memcmp(&a->upstream_host, &b->upstream_host, sizeof(a->upstream_host)) == 0 &&
           a->upstream_port == b->upstream_port && a->timeline == b->timeline &&
           a->epoch == b->epoch && a->sync_count == b->sync_count && a->is_gated == b->is_gated &&
           a->is_remote == b->is_remote && a->is_upstream_only == b->is_upstream_only &&
           a->is_source_standby == b->is_source_standby && a->galera.mode == b->galera.mode &&
           a->galera.weight == b->galera.weight &&
           memcmp(&a->galera.position, &b->galera.position, sizeof(a->galera.position)) == 0 &&
           a->is_raise_held == b->is_raise_held && a->config_revision == b->config_revision &&
           agt_names_equal(&a->sync_names, &b->sync_names);
}

static bool is_of_directory(enum db_order_kind kind)
{
    return kind == DB_ORDER_INIT || kind == DB_ORDER_CLONE || kind == DB_ORDER_REWIND ||
           kind == DB_ORDER_GALERA_RECOVER || kind == DB_ORDER_GALERA_CLEAR ||
           kind == DB_ORDER_MONGODB_WIPE;
}

static bool is_of_stopped(enum db_order_kind kind)
{
    return is_of_directory(kind) || kind == DB_ORDER_PREPARE_STANDBY ||
           kind == DB_ORDER_PREPARE_PRIMARY || kind == DB_ORDER_GALERA_PREPARE;
}

void agt_want_order(struct agt_run *run, const struct db_order *order)
{
    struct agt *a = run->a;
    struct base_mono word_at = base_mono_add_us(a->start_asked_at, AGT_START_WORD_US);
    if (is_of_stopped(order->kind) && a->is_start_asked && base_mono_before(run->now, word_at)) {
        agt_wake_at(run, word_at); /* it may run by now: wait for the guard's word */
        return;
    }
    if (a->task.id != 0) {
        if (!agt_order_equal(&a->task.order, order)) {
            task_cancel(run);
        }
        return;
    }
    if (a->failure.kind == order->kind && base_mono_before(run->now, a->failure.retry_at)) {
        agt_wake_at(run, a->failure.retry_at);
        return;
    }
    a->task = (struct agt_task){.id = ++a->ids, .order = *order, .starts = a->guard.starts};
    a->task.order.id = a->task.id;
    if (is_of_stopped(order->kind)) {
        memset(&a->prepared, 0, sizeof(a->prepared)); /* until it is done */
    }
    if (order->kind == DB_ORDER_CLIENTS_OUT) {
        a->are_clients_out = true; /* even a canceled one may have done its work */
    }
    if (order->kind == DB_ORDER_SET_SYNC) {
        a->is_sync_in_force = false; /* from here on the old one is not, and the new one not yet */
    }
    run->fx->db_order = a->task.order;
    agt_fx_add(run, AGT_FX_DB_ORDER);
}

static void failure_note(struct agt_run *run, const struct db_done *done)
{
    struct agt *a = run->a;
    struct agt_failure *f = &a->failure;
    if (f->kind != done->kind) {
        *f = (struct agt_failure){.kind = done->kind};
    }
    int64_t wait = AGT_RETRY_MIN_US << (f->times < 6 ? f->times : 6);
    f->times++;
    f->status = done->status;
    f->retry_at = base_mono_add_us(run->now, wait < AGT_RETRY_MAX_US ? wait : AGT_RETRY_MAX_US);
    a->note = done->text;
    agt_fx_log(run, "database order failed", done->text.text);
}

/* Only what is known to have happened counts; each kind leaves its mark. */
static void done_well(struct agt *a, struct base_mono now, const struct db_order *o)
{
    switch (o->kind) {
    case DB_ORDER_CLONE:
        a->want.is_clone_needed = false;
        a->want.made_system = 0;
        a->is_promotion_wrong = false;
        a->rewound_epoch = o->epoch;
        agt_disk_forget(&a->want, a->order.record.role_epoch);
        break;
    case DB_ORDER_REWIND:
        a->rewound_epoch = o->epoch;
        if (a->order.record.is_standby_cluster) { /* what was opened here is none of its line */
            agt_disk_forget(&a->want, a->order.record.role_epoch);
        }
        break;
    case DB_ORDER_INIT:
        a->is_made = true;
        break;
    case DB_ORDER_PREPARE_STANDBY:
    case DB_ORDER_PREPARE_PRIMARY:
    case DB_ORDER_GALERA_PREPARE:
        a->prepared = *o;
        break;
    case DB_ORDER_FOLLOW:
        a->followed = o->upstream_member;
        a->followed_host = o->upstream_host;
        a->followed_port = o->upstream_port;
        a->received_at = now;
        a->was_taken_out = a->was_taken_out && a->is_detached;
        a->is_detached = false;
        a->is_remote_followed = o->is_remote;
        break;
    case DB_ORDER_DETACH:
        a->is_detached = a->was_taken_out = true;
        a->detach_id = o->id;
        a->detach_views = 0;
        memset(&a->followed, 0, sizeof(a->followed));
        break;
    case DB_ORDER_PROMOTE:
        a->promoted_epoch = o->epoch;
        break;
    case DB_ORDER_SET_SYNC:
        a->is_sync_in_force = true;
        a->sync_names = o->sync_names;
        a->sync_count = o->sync_count;
        a->is_barrier_passed = false;
        a->are_clients_out = false;
        break;
    case DB_ORDER_BARRIER:
        a->is_barrier_passed = true;
        a->is_gated = false;
        break;
    case DB_ORDER_CONFIGURE:
        a->view.config_revision = o->config_revision; /* until the next look */
        break;
    case DB_ORDER_CLIENTS_OUT:
    case DB_ORDER_NONE:
    case DB_ORDER_CHECKPOINT:
    case DB_ORDER_CANCEL:
    case DB_ORDER_GALERA_RECOVER: /* the rest is agt_galera_order_done's */
    case DB_ORDER_GALERA_CLEAR:
    case DB_ORDER_GALERA_FENCE:
    case DB_ORDER_GALERA_UNFENCE:
    case DB_ORDER_GALERA_DEMOTE:
    case DB_ORDER_GALERA_BOOTSTRAP:
    case DB_ORDER_GALERA_WEIGHT:
    DB_CASES_OF_MONGODB:
        break;
    }
}

/* Done by or for a running root: says nothing about the next one. */
static bool is_of_root(enum db_order_kind kind)
{
    return kind == DB_ORDER_FOLLOW || kind == DB_ORDER_DETACH || kind == DB_ORDER_PROMOTE ||
           kind == DB_ORDER_SET_SYNC || kind == DB_ORDER_BARRIER || kind == DB_ORDER_CLIENTS_OUT;
}

static bool is_final_failure(int status)
{
    return status != 0 && base_error_class_of(status) != BASE_CLASS_retry;
}

/* A hook of this host says no: the role goes to somebody else, and does not come back at once. */
static void promotion_refused(struct agt_run *run)
{
    struct agt *a = run->a;
    agt_fx_log(run, "the promotion was refused here: hands back", NULL);
    a->barred_until = base_mono_add_us(run->now, AGT_BARRED_US);
    a->is_handback_wanted = true;
    agt_kill(run);
}

static void done_badly(struct agt_run *run, const struct db_order *o, const struct db_done *done)
{
    struct agt *a = run->a;
    if (agt_engine(a) != NULL) {
        if (done->status != BASE_E_CANCELED) {
            failure_note(run, done);
        }
        return;
    }
    if (o->kind == DB_ORDER_PROMOTE && done->status == BASE_E_CONFLICT) {
        a->is_promotion_wrong = true;
        a->want.is_clone_needed = true;
    }
    /* A source that cannot be reached is no reason to throw the directory away. */
    if ((o->kind == DB_ORDER_REWIND && is_final_failure(done->status)) ||
        (o->kind == DB_ORDER_FOLLOW && done->status == BASE_E_COMPACTED)) {
        a->want.is_clone_needed = true;
    }
    /* What was in force before may be gone, and the new one is not known to be. */
    if (o->kind == DB_ORDER_SET_SYNC) {
        a->is_sync_in_force = false;
    }
    /* A barrier waits by itself for those who are to catch up; it just goes on. */
    bool is_wait = o->kind == DB_ORDER_BARRIER && done->status == BASE_E_TIMEOUT;
    if (o->kind == DB_ORDER_CONFIGURE && is_final_failure(done->status)) {
        a->config_refused = o->config_revision; /* not again by itself; the old one stays */
    }
    if (o->kind == DB_ORDER_PROMOTE && done->status == BASE_E_DENIED) {
        promotion_refused(run);
    }
    if (done->status != BASE_E_CANCELED && !is_wait) {
        failure_note(run, done);
    }
}

void agt_order_done(struct agt_run *run, const struct db_done *done)
{
    struct agt *a = run->a;
    if (a->task.id == 0 || done->id != a->task.id) {
        return;
    }
    struct db_order order = a->task.order;
    uint32_t starts = a->task.starts;
    memset(&a->task, 0, sizeof(a->task));
    /* The directory is another one now, or half of one: look again first. */
    if (is_of_directory(order.kind)) {
        a->is_gone_seen = false;
        a->directory_order = order.id;
    }
    /* Hand-over goes on without its checkpoint: the stop makes one, only later. */
    if (order.kind == DB_ORDER_CHECKPOINT && done->status != BASE_E_CANCELED) {
        a->checkpoint_epoch = order.epoch;
    }
    agt_reload_done(run, done);
    if (agt_engine(a) != NULL && starts == a->guard.starts) {
        agt_engine(a)->order_done(run, &order, done);
    }
    if (done->status == 0) {
        if (a->failure.kind == order.kind) {
            memset(&a->failure, 0, sizeof(a->failure));
        }
        if (!is_of_root(order.kind) || starts == a->guard.starts) {
            done_well(a, run->now, &order);
        }
    } else {
        done_badly(run, &order, done);
    }
}
