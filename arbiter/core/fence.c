/* SPDX-License-Identifier: Apache-2.0 */
/* External fence (section 3 of the safety rules): a command that cuts the old holder's host off.
 *
 * First an entry that the present epoch is being fenced: from then on it is granted no more. Then
 * the command, on the leader's node; a new leader runs it again. It begins when the lease has run
 * out, or when the holder is silent for a whole ttl where a fence may end the right (trusted, or a
 * lease without an end). `require` is waited for, unless the holder has handed back: its guard has
 * seen the whole tree gone. It never stands in for the lease but where the operator trusts it.
 */
#include "arbiter/core/internal.h"
#include "base/canary.h"
#include "base/name.h"

bool arb_fence_is_entered(const struct arb_cluster *c)
{
    return c->record.epoch != 0 && c->record.fencing_epoch == c->record.epoch;
}

bool arb_fence_is_missing(const struct arb_cluster *c)
{
    return c->record.fence_mode == MSG_FENCE_REQUIRE && c->record.state != MSG_RECORD_BOOTSTRAP &&
           !arb_is_known_dead(c) && !arb_is_guard_replaced(c) && !CANARY(FENCE_NOT_REQUIRED);
}

/* Silent for a whole ttl of this leadership, or of this epoch. */
static bool is_silent(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    uint8_t holder = arb_view_find(c, &c->record.holder);
    struct base_mono since = base_mono_max(c->began, c->elected);
    if (holder != ARB_NOBODY && c->views[holder].has_report) {
        since = base_mono_max(since, c->views[holder].heard);
    }
    return base_mono_diff_us(t->event->now, since) >= arb_ttl_us(c);
}

/* A host that says that nothing of the database is left will hand back. */
static bool is_harmless(const struct arb_turn *t)
{
    uint8_t i = arb_view_find(t->c, &t->c->record.holder);
    return i != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[i], t->event->now) &&
           t->c->views[i].report.is_tree_gone;
}

static bool is_due(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    bool may_end_right = c->record.is_fence_trusted || c->record.is_unarmed;
    return (arb_lease_has_run_out(c, t->event->now) || (may_end_right && is_silent(t))) &&
           !is_harmless(t);
}

static void run_command(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    bool is_again = c->fence == ARB_FENCE_FAILED &&
                    base_mono_diff_us(t->event->now, c->fence_at) >= ARB_FENCE_RETRY_US;
    if (c->fence != ARB_FENCE_NONE && !is_again) {
        return;
    }
    c->fence = ARB_FENCE_RUNNING;
    c->fence_at = t->event->now;
    t->fx->has_fence = true;
    t->fx->fence_epoch = c->record.epoch;
    t->fx->fence_member = c->record.holder;
}

static bool enter(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    next.fencing_epoch = next.epoch;
    struct arb_note *note = arb_say(t, ARB_NOTE_FENCING);
    note->member = next.holder;
    note->a = next.epoch;
    arb_propose(t, ARB_DECIDE_FENCE, &next);
    return true;
}

bool arb_fence(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (c->record.fence_mode == MSG_FENCE_OFF || c->handed != ARB_OVER_NO ||
        c->record.state == MSG_RECORD_BOOTSTRAP || arb_is_known_dead(c)) {
        return false;
    }
    if (arb_fence_is_entered(c)) {
        run_command(t);
        return false;
    }
    if (!is_due(t)) {
        return false;
    }
    if (CANARY(FENCE_BEFORE_ENTRY)) {
        run_command(t);
    }
    return enter(t);
}

void arb_fence_ended(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_leader || c->fence != ARB_FENCE_RUNNING ||
        t->event->fenced_epoch != c->record.epoch) {
        return;
    }
    c->fence = t->event->is_fenced ? ARB_FENCE_OK : ARB_FENCE_FAILED;
    struct arb_note *note =
        arb_say(t, t->event->is_fenced ? ARB_NOTE_FENCED : ARB_NOTE_FENCE_FAILED);
    note->member = c->record.holder;
    note->a = ARB_FENCE_RETRY_US / BASE_US_PER_S;
    arb_decide(t);
}
