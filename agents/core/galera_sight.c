/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera member: what guard, view and completions say, taken in.
 *
 * A gap between two steps means that this agent has stood still, and perhaps its host and server
 * with it: what was read before proves nothing any more (a server that was paused answers plain
 * reads from an old snapshot, reporting itself healthy).
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"

static void root_forget(struct agt *a)
{
    struct agt_galera *g = &a->galera;
    g->is_fenced = false;
    g->is_fence_failed = false;
    g->is_demote_failed = false;
    g->fence_since = BASE_MONO_NEVER;
    g->stop_wanted = BASE_MONO_NEVER;
    g->fenced_at = BASE_MONO_LONG_AGO;
    g->demoted_epoch = 0;
    g->promoted_epoch = 0;
    g->writable_views = 0;
    g->conf_id = 0;
    g->has_view = false;
    memset(g->gcomm, 0, sizeof(g->gcomm));
    a->view.galera.causal_at = BASE_MONO_LONG_AGO;
    a->view.galera.asked_at = BASE_MONO_LONG_AGO;
}

void agt_galera_root_started(struct agt_run *run)
{
    root_forget(run->a);
    run->a->galera.damages = 0;
    run->a->galera.root_seen_at = run->now;
    run->a->galera.is_out_seen = false;
}

/* What ran as the writer goes on somewhere else: others are there, and it comes back by a transfer.
 */
void agt_galera_root_gone(struct agt_run *run)
{
    struct agt *a = run->a;
    root_forget(a);
    if (agt_holds(a)) {
        a->is_handback_wanted = true;
        if (!a->stop.is_asked) {
            agt_fx_log(run, "the writer's server has ended: hands the role on", NULL);
        }
    }
}

/* It has left its last view in order, and the others may count without it: also where nobody asked
 * us for that stop (systemctl, an operator), and also when it is started again and ends before it
 * is in another one. Without a component there was nothing to leave. */
static void view_of_stopped(struct agt *a)
{
    if (a->guard.tree == GUARD_TREE_GONE && !a->view.is_process && a->view.has_directory &&
        a->view.galera.saved.seqno >= 0 && !a->galera.is_out_seen) {
        a->want.galera.is_left = true;
    }
}

static void view_remember(struct agt *a)
{
    const struct msg_galera_view *view = &a->view.galera.view;
    if (a->view.galera.is_primary && view->conf_id != 0 && view->count > 0) {
        a->want.galera.view = *view;
        a->want.galera.is_left = a->want.galera.is_left && a->stop.is_asked;
        a->galera.has_view = true;
    }
}

/* Two looks are half a second apart: between them it may have been out of the component and come
 * back. Whoever was named meanwhile relies on it that this one never serves in its epoch again. */
static void membership_watch(struct agt_run *run)
{
    struct agt *a = run->a;
    static const uint8_t none[16];
    const struct db_galera_view *v = &a->view.galera;
    struct agt_galera *g = &a->galera;
    bool is_skipped = g->conf_id != 0 && v->conf_id != g->conf_id && v->conf_id != g->conf_id + 1;
    bool is_other = memcmp(g->gcomm, none, sizeof(none)) != 0 &&
                    memcmp(v->gcomm, none, sizeof(none)) != 0 &&
                    memcmp(g->gcomm, v->gcomm, sizeof(none)) != 0;
    if (agt_holds(a) && (is_skipped || is_other) && !a->is_handback_wanted) {
        agt_fx_log(run, "was out of the component under its epoch: hands the role on", NULL);
        a->is_handback_wanted = true;
    }
    g->conf_id = v->conf_id;
    memcpy(g->gcomm, v->gcomm, sizeof(g->gcomm));
}

/* What was on its way to the server may have come into force behind the promotion (read_only of a
 * fence, of a handover that was called off), and a hand may have set it: the writer's server is
 * writable as long as the right lasts, and who wants it otherwise pauses the cluster first. */
static void writable_watch(struct agt_run *run)
{
    struct agt_galera *g = &run->a->galera;
    const struct db_galera_view *v = &run->a->view.galera;
    if (g->promoted_epoch != 0 && v->is_read_only &&
        base_mono_before(g->promoted_at, v->asked_at) && !CANARY(GALERA_WRITER_STAYS_CLOSED)) {
        agt_fx_log(run, "the writer's server has become read-only: opens it again", NULL);
        g->promoted_epoch = 0;
    }
}

void agt_galera_view(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct db_galera_view *g = &a->view.galera;
    if (a->guard.tree != GUARD_TREE_RUNNING || !a->view.is_process || !a->view.is_answering) {
        a->silent_views++;
        if (!a->has_answered && a->view.galera.is_transfer_broken) {
            a->galera.root_seen_at = run->now; /* SQL opens behind the transfer */
        }
        view_of_stopped(a);
        return;
    }
    a->silent_views = 0;
    a->has_answered = true;
    a->answered_at = run->now;
    a->was_in_recovery = true; /* what is said of a server of ours that runs without a right */
    a->galera.writable_views = g->is_read_only || agt_holds(a) ? 0 : a->galera.writable_views + 1;
    if (!g->is_rejecting && base_mono_before(a->galera.fenced_at, g->asked_at)) {
        a->galera.is_fenced = false; /* somebody has lifted it */
    }
    membership_watch(run);
    writable_watch(run);
    a->galera.is_out_seen = !g->is_primary;
    view_remember(a);
}

void agt_galera_order_done(struct agt_run *run, const struct db_order *order, int status)
{
    struct agt *a = run->a;
    struct agt_galera *g = &a->galera;
    bool is_good = status == 0;
    if (status == BASE_E_CANCELED) {
        return;
    }
    if (order->kind == DB_ORDER_GALERA_WEIGHT || order->kind == DB_ORDER_GALERA_UNFENCE ||
        order->kind == DB_ORDER_GALERA_DEMOTE) {
        g->settled_order = order->id;
    }
    if (order->kind == DB_ORDER_GALERA_RECOVER || order->kind == DB_ORDER_GALERA_CLEAR) {
        g->damages = status == BASE_E_CORRUPT ? g->damages + 1 : 0;
        g->damaged_at = run->now;
    }
    if (order->kind == DB_ORDER_GALERA_FENCE) {
        g->is_fenced = is_good;
        g->is_fence_failed = !is_good;
        g->promoted_epoch = 0; /* read_only comes into force behind it */
        g->fenced_at = run->now;
    } else if (order->kind == DB_ORDER_GALERA_UNFENCE && is_good) {
        g->is_fenced = false;
    } else if (order->kind == DB_ORDER_GALERA_DEMOTE) {
        g->demoted_epoch = is_good ? order->epoch : g->demoted_epoch;
        g->is_demote_failed = !is_good;
    } else if (order->kind == DB_ORDER_PROMOTE && is_good) {
        g->promoted_epoch = order->epoch;
        g->promoted_at = run->now;
        g->demoted_epoch = 0;
        g->is_fenced = false;
    } else if (order->kind == DB_ORDER_PROMOTE && status == BASE_E_DENIED) {
        agt_fx_log(run, "the promotion was refused here: hands back", NULL);
        a->barred_until = base_mono_add_us(run->now, AGT_BARRED_US);
        a->is_handback_wanted = true;
    } else if (order->kind == DB_ORDER_GALERA_BOOTSTRAP) {
        g->live_done = g->live_grant;
        if (!is_good) {
            a->want.galera.grant_done = g->live_grant;
            a->want.galera.grant_status = status;
        }
    }
}

void agt_galera_tick(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_galera *g = &a->galera;
    bool is_first = g->tick_at.us == BASE_MONO_LONG_AGO.us;
    if (!is_first && base_mono_diff_us(run->now, g->tick_at) > AGT_GALERA_GAP_US &&
        !CANARY(READER_AFTER_PAUSE)) {
        g->paused_at = run->now;
        if (a->guard.tree == GUARD_TREE_RUNNING && a->has_answered) {
            agt_fx_log(run,
                       "stood still for more than a second: rejects queries until a causal "
                       "read has come through",
                       NULL);
        }
    }
    g->tick_at = run->now;
}
