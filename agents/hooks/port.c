/* SPDX-License-Identifier: Apache-2.0 */
/* See port.h: the queue of hooks that follow, and the gate around two orders. */
#include "agents/hooks/port.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"
#include "proto/io/log.h"

#define THREADS 2 /* one for those that follow, one for the gate; started when first needed */

/* --- what is told --- */

static bool holds_since_open(const struct agt *a, const struct hooks *h)
{
    return h->watch.role == HOOKS_ROLE_PRIMARY && a->has_guard &&
           a->guard.epoch > a->guard.epoch_handed_back;
}

/* A frozen primary may be thawed, and one that crashed started again in place: it stays one until
 * its epoch is handed back. */
static enum hooks_role role_of(const struct hooks *h, const struct agt *a, struct base_mono now)
{
    if (agt_is_open(a, now) || holds_since_open(a, h)) {
        return HOOKS_ROLE_PRIMARY;
    }
    if (a->guard.tree == GUARD_TREE_GONE) {
        return h->watch.role == HOOKS_ROLE_UNKNOWN ? HOOKS_ROLE_UNKNOWN : HOOKS_ROLE_REPLICA;
    }
    if (!a->has_answered || !a->was_in_recovery) {
        return HOOKS_ROLE_UNKNOWN;
    }
    bool is_leading = a->has_order && a->order.record.is_standby_cluster &&
                      base_name_equal(&a->order.record.holder, &a->config.member) &&
                      agt_has_right(a, now);
    return is_leading ? HOOKS_ROLE_STANDBY_LEADER : HOOKS_ROLE_REPLICA;
}

/* This member knows of itself first; of others it hears by the next order. */
static void primary_fill(const struct agt *a, struct base_mono now, struct hooks_facts *f)
{
    if (agt_is_open(a, now)) {
        f->primary = a->config.member;
        f->primary_host = a->config.host;
        f->primary_port = a->config.db_port;
        f->epoch = a->guard.epoch;
        return;
    }
    for (uint8_t i = 0; a->has_order && i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        if (m->is_open && m->is_heard && base_name_equal(&m->member, &a->order.record.holder) &&
            !base_name_equal(&m->member, &a->config.member)) {
            f->primary = m->member;
            f->primary_host = m->host;
            f->primary_port = m->db_port;
        }
    }
}

static struct hooks_facts facts_of(const struct hooks *h, const struct agt *a, struct base_mono now)
{
    struct hooks_facts f = {.is_known = a->has_guard && a->has_view};
    if (!f.is_known) {
        return f;
    }
    f.is_gone = a->guard.tree == GUARD_TREE_GONE;
    f.is_answering = a->guard.tree == GUARD_TREE_RUNNING && a->has_answered && a->view.is_answering;
    f.starts = a->guard.starts;
    f.role = role_of(h, a, now);
    f.epoch = a->has_order ? a->order.record.epoch : 0;
    primary_fill(a, now, &f);
    return f;
}

static struct hook_words words_of(const struct hooks *h, const struct agt *a)
{
    return (struct hook_words){.cluster = a->config.cluster,
                               .member = a->config.member,
                               .role = h->watch.role,
                               .epoch = a->has_order ? a->order.record.epoch : 0,
                               .host = a->config.host,
                               .port = a->config.db_port,
                               .primary = h->watch.primary,
                               .primary_host = h->watch.primary_host,
                               .primary_port = h->watch.primary_port};
}

/* --- hooks that follow: one after the other; a later one of the same kind replaces the earlier ---
 */

static void follow_next(struct hooks *h)
{
    if (h->follower.is_running || h->queue_count == 0) {
        return;
    }
    struct hook_due due = h->queue[0];
    h->queue_count--;
    memmove(&h->queue[0], &h->queue[1], h->queue_count * sizeof(h->queue[0]));
    hook_run_start(&h->follower, h->settings, due.kind, &due.words);
}

static void follow_drop(struct hooks *h, uint8_t i)
{
    h->queue_count--;
    memmove(&h->queue[i], &h->queue[i + 1], (size_t)(h->queue_count - i) * sizeof(h->queue[0]));
}

static void follow_add(struct hooks *h, enum hook_kind kind, const struct agt *a)
{
    if (!hooks_has(h->settings, kind)) {
        return;
    }
    if (h->follower.is_running && h->follower.kind == kind) {
        hook_run_cancel(&h->follower); /* what it says is no more true */
    }
    for (uint8_t i = 0; i < h->queue_count; i++) {
        if (h->queue[i].kind == kind) {
            follow_drop(h, i);
            break;
        }
    }
    BASE_ASSERT(h->queue_count < HOOKS_QUEUE_MAX); /* each kind once at most */
    h->queue[h->queue_count++] = (struct hook_due){.kind = kind, .words = words_of(h, a)};
    follow_next(h);
}

static void follower_done(void *ctx, enum hook_kind kind, int status,
                          const struct base_text *reason)
{
    struct hooks *h = ctx;
    (void)kind;
    (void)status;
    (void)reason;
    if (!h->is_closing) {
        follow_next(h);
    }
}

void hooks_look(struct hooks *hooks, const struct agt *agent, struct base_mono now)
{
    enum hook_kind due[HOOKS_EVENTS_MAX];
    if (hooks->workers == NULL) {
        return;
    }
    hooks->agent = agent;
    const struct hooks_facts facts = facts_of(hooks, agent, now);
    size_t count = hooks_watch_step(&hooks->watch, &facts, due);
    for (size_t i = 0; i < count; i++) {
        follow_add(hooks, due[i], agent);
    }
}

/* --- the gate --- */

static void gate_start(struct hooks *h, enum hook_kind kind)
{
    struct hook_words words = h->agent != NULL ? words_of(h, h->agent) : (struct hook_words){0};
    h->is_gated = true;
    h->is_canceled = false;
    hook_run_start(&h->gate, h->settings, kind, &words);
}

static void promote_ended(struct hooks *h, int status, const struct base_text *reason)
{
    struct db_done done = {.id = h->order.id, .kind = h->order.kind, .status = BASE_E_DENIED};
    bool has_right = h->may_promote(h->ctx, h->order.epoch);
    bool is_agreed = status == 0 || CANARY(HOOK_REFUSAL_IGNORED);
    if (!h->is_canceled && is_agreed && has_right) {
        h->engine.order(h->engine.ctx, &h->order);
        return;
    }
    if (h->is_canceled || status == 0) {
        done.status = BASE_E_CANCELED;
    } else {
        struct buf b = buf_over(done.text.text, BASE_TEXT_MAX);
        buf_put_text(&b, "pre_promote refused: ");
        buf_put(&b, base_text_slice(reason));
    }
    h->done(h->ctx, &done);
}

static void gate_done(void *ctx, enum hook_kind kind, int status, const struct base_text *reason)
{
    struct hooks *h = ctx;
    h->is_gated = false;
    if (h->is_closing) {
        return;
    }
    if (kind == HOOK_PRE_PROMOTE) {
        promote_ended(h, status, reason);
        return;
    }
    if (h->is_canceled) {
        h->held.status = BASE_E_CANCELED;
        if (h->agent != NULL) { /* who was told of the stop is told that the role stays */
            follow_add(h, HOOK_ROLE_CHANGE, h->agent);
            follow_add(h, HOOK_PRIMARY_CHANGE, h->agent);
        }
    }
    h->done(h->ctx, &h->held);
}

static void order(void *ctx, const struct db_order *asked)
{
    struct hooks *h = ctx;
    if (asked->kind == DB_ORDER_CANCEL && h->is_gated) {
        h->is_canceled = true;
        hook_run_cancel(&h->gate);
        return;
    }
    h->order = *asked;
    if (asked->kind == DB_ORDER_PROMOTE && hooks_has(h->settings, HOOK_PRE_PROMOTE)) {
        gate_start(h, HOOK_PRE_PROMOTE);
        return;
    }
    h->engine.order(h->engine.ctx, asked);
}

static void configure(void *ctx, uint64_t revision, struct slice text)
{
    const struct hooks *h = ctx;
    h->engine.configure(h->engine.ctx, revision, text);
}

bool hooks_take_done(struct hooks *hooks, const struct db_done *done)
{
    if (hooks->workers == NULL || hooks->agent == NULL) {
        return false;
    }
    if (done->kind == DB_ORDER_CONFIGURE && done->status == 0) {
        follow_add(hooks, HOOK_RELOAD, hooks->agent);
    }
    bool is_hand_over = done->kind == DB_ORDER_CHECKPOINT && done->id == hooks->order.id &&
                        done->status != BASE_E_CANCELED;
    if (!is_hand_over || !hooks_has(hooks->settings, HOOK_BEFORE_STOP)) {
        return false;
    }
    hooks->held = *done;
    gate_start(hooks, HOOK_BEFORE_STOP);
    return true;
}

int hooks_open(struct hooks *hooks, struct io_loop *loop, const struct hooks_settings *settings)
{
    hooks->settings = settings;
    hooks->follower.cancel_fd = hooks->gate.cancel_fd = -1;
    if (!hooks_has_any(settings)) {
        return 0;
    }
    int rc = io_workers_new(loop, THREADS, &hooks->workers);
    if (rc == 0) {
        rc = hook_run_open(&hooks->follower, hooks->workers);
    }
    if (rc == 0) {
        rc = hook_run_open(&hooks->gate, hooks->workers);
    }
    hooks->follower.ctx = hooks->gate.ctx = hooks;
    hooks->follower.done = follower_done;
    hooks->gate.done = gate_done;
    return rc;
}

struct db_port hooks_port(struct hooks *hooks, struct db_port engine)
{
    if (hooks->workers == NULL) {
        return engine;
    }
    hooks->engine = engine;
    return (struct db_port){
        .ctx = hooks, .order = order, .configure = engine.configure != NULL ? configure : NULL};
}

void hooks_close(struct hooks *hooks)
{
    hook_run_cancel(&hooks->follower);
    hook_run_cancel(&hooks->gate);
    hooks->is_closing = true;
    hooks->workers = io_workers_free(hooks->workers, false);
    hook_run_close(&hooks->follower);
    hook_run_close(&hooks->gate);
}
