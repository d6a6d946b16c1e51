/* SPDX-License-Identifier: Apache-2.0 */
/* A new epoch: the attempt, the votes, who takes over, the holder's own return (sections 1 and 4 of
 * the safety rules), and when it is better that a holder goes on in place.
 *
 * Called when the right of the holder is over. At most one proposal comes out of a call.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

#define HAND_OVER_LOOK_US (INT64_C(200) * BASE_US_PER_MS)

static void say_takeover(struct arb_turn *t, enum arb_note_kind kind, const struct msg_record *next)
{
    struct arb_note *note = arb_say(t, kind);
    note->member = t->c->record.holder;
    note->other = next->holder;
    note->a = next->epoch;
    note->b = t->c->decision.loss_bound_bytes;
    note->c = next->floor.lsn;
}

/* What an asynchronous failover may cost is said with it. */
static enum arb_note_kind note_of_failover(const struct arb_cluster *c)
{
    return c->decision.is_loss_possible ? ARB_NOTE_FAILOVER_LOSS : ARB_NOTE_FAILOVER;
}

static void fail_over(struct arb_turn *t, uint8_t i, enum arb_decision_kind kind)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[i];
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    enum arb_note_kind said;
    next.floor = view->report.position;
    if (!CANARY(FLOOR_EPOCH_KEPT)) {
        next.floor_epoch = next.epoch;
    }
    arb_decision_begin(t, kind, &view->member);
    c->decision.is_loss_possible =
        kind == ARB_DECIDE_FORCED || (kind == ARB_DECIDE_FAILOVER && c->record.votes_needed_r == 0);
    said = note_of_failover(c);
    if (kind == ARB_DECIDE_HANDOVER) {
        next.floor.lsn = c->handback_lsn; /* the shutdown checkpoint */
        said = ARB_NOTE_HANDOVER;
    } else if (kind == ARB_DECIDE_FORCED) {
        said = ARB_NOTE_FORCED;
    }
    c->decision.floor = next.floor;
    say_takeover(t, said, &next);
    arb_propose(t, kind, &next);
}

/* The same directory with a new guard: nothing is lost, so V, r and the floor stay what they were.
 */
static void come_back(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    MARK(HOLDER_RETURNS);
    const struct arb_view *view = arb_view_holder(c);
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    next.floor = view->report.position;
    if (CANARY(FLOOR_EPOCH_RAISED_BY_RETURN)) {
        next.floor_epoch = next.epoch;
    }
    arb_decision_begin(t, ARB_DECIDE_RETURN, &view->member);
    say_takeover(t, ARB_NOTE_RETURN, &next);
    arb_propose(t, ARB_DECIDE_RETURN, &next);
}

void arb_attempt_end(struct arb_cluster *c)
{
    c->is_attempt = false;
    c->has_catch_up_failed = false;
    arb_catch_up_end(c);
}

void arb_attempt_begin(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_set voters = {c->record.voters, c->record.votes_needed_r};
    c->is_attempt = true;
    c->attempt = (struct msg_attempt){c->term, c->attempt.number + 1};
    c->attempt_began = t->event->now;
    c->has_catch_up_failed = false;
    arb_catch_up_end(c);
    t->fx->orders =
        (uint16_t)((1u << c->views_count) - 1); /* every 50 ms counts: tell all at once */
    struct arb_note *note = arb_say(t, ARB_NOTE_ATTEMPT);
    note->a = c->attempt.term;
    note->b = c->attempt.number;
    note->c = arb_votes_needed(&voters);
}

/* Members that could still vote: counted ones, and live ones with a usable directory. */
static uint8_t voters_within_reach(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t n = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        enum arb_refusal why = arb_vote_check(c, view);
        bool may_come = why == ARB_REFUSE_NO_VOTE && arb_view_is_live(c, view, now);
        n = (uint8_t)(n + (why == ARB_REFUSE_NONE || may_come));
    }
    return n;
}

static bool is_for_ever(enum arb_refusal why)
{
    return why == ARB_REFUSE_NOT_USABLE || why == ARB_REFUSE_OTHER_HISTORY ||
           why == ARB_REFUSE_OTHER_SYSTEM;
}

/* Only the holder has all. Where it is heard and can never go on with what it has (its directory
 * ran read-write by hand, say), waiting ends nothing: an operator has to choose, and is told so. */
static void say_holder_needed(struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    enum arb_refusal why = arb_return_check(c, t->event->now);
    bool is_unfit = is_for_ever(why);
    arb_say_waiting(
        t, &(struct arb_note){.kind = is_unfit ? ARB_NOTE_WAITS_UNFIT : ARB_NOTE_WAITS_NO_SYNC,
                              .member = c->record.holder,
                              .other = c->name,
                              .why = is_unfit ? why : ARB_REFUSE_NONE});
}

/* The holder was chosen with more than any voter has that has not voted: it alone can open, and
 * never will. */
static bool is_beyond_the_voters(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    for (uint8_t i = 0; i < c->views_count; i++) {
        enum arb_refusal why = arb_vote_check(c, &c->views[i]);
        if (arb_names_has(&c->record.voters, &c->views[i].member) && why != ARB_REFUSE_NONE &&
            why != ARB_REFUSE_LACKS_FLOOR) {
            return false;
        }
    }
    return is_for_ever(arb_return_check(c, t->event->now));
}

/* The first voter that is missing, for the sentence. */
static void say_missing(struct arb_turn *t, uint8_t counted, uint8_t needed)
{
    struct arb_cluster *c = t->c;
    if (needed == 0 || c->record.voters.count == 0 || is_beyond_the_voters(t)) {
        say_holder_needed(t);
        return;
    }
    struct arb_note note =
        (struct arb_note){.kind = ARB_NOTE_WAITS_FOR_VOTES, .a = counted, .b = needed};
    for (uint8_t i = 0; i < c->views_count; i++) {
        enum arb_refusal why = arb_vote_check(c, &c->views[i]);
        if (arb_names_has(&c->record.voters, &c->views[i].member) && why != ARB_REFUSE_NONE) {
            bool is_gone =
                why == ARB_REFUSE_NO_VOTE && !arb_view_is_live(c, &c->views[i], t->event->now);
            note.member = c->views[i].member;
            note.why = is_gone ? ARB_REFUSE_SILENT : why;
            break;
        }
    }
    arb_say_waiting(t, &note);
}

static bool is_attempt_older_than(const struct arb_turn *t, int64_t us)
{
    return base_mono_diff_us(t->event->now, t->c->attempt_began) > us;
}

/* Tries to name a winner from the votes; true when proposed. */
static bool elect(struct arb_turn *t, enum arb_decision_kind kind)
{
    struct arb_note why = {.kind = ARB_NOTE_COUNT};
    uint8_t winner = arb_vote_choose(t->c, t->event->now, &why);
    if (winner == ARB_NOBODY) {
        bool is_barred = why.kind == ARB_NOTE_WAITS_CANDIDATE;
        if (is_barred && !arb_catch_up_begin(t, &why.member)) {
            arb_say_waiting(t, &why);
        }
        return false;
    }
    fail_over(t, winner, kind);
    return true;
}

static bool may_return(const struct arb_turn *t)
{
    return arb_return_check(t->c, t->event->now) == ARB_REFUSE_NONE;
}

static void decide_sync(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_set voters = {c->record.voters, c->record.votes_needed_r};
    uint8_t needed = arb_votes_needed(&voters);
    uint8_t counted = arb_vote_count(c);
    if (needed != 0 && counted >= needed && elect(t, ARB_DECIDE_FAILOVER)) {
        return;
    }
    bool is_patient = voters_within_reach(c, t->event->now) >= needed
                          ? !is_attempt_older_than(t, arb_ttl_us(c))
                          : !is_attempt_older_than(t, 2 * arb_heartbeat_us(c));
    bool is_hopeless = needed == 0 || !is_patient;
    if (is_hopeless && may_return(t)) {
        come_back(t);
        return;
    }
    if (needed == 0 || counted < needed) {
        MARK(FAILOVER_WAITS_FOR_VOTES);
        say_missing(t, counted, needed);
    }
}

/* Votes may still come from members that are alive; they get two heartbeats. */
static bool is_worth_waiting(const struct arb_turn *t)
{
    return voters_within_reach(t->c, t->event->now) > arb_vote_count(t->c) &&
           !is_attempt_older_than(t, 2 * arb_heartbeat_us(t->c));
}

/* Nobody is within the limit, or nobody has voted: says how far the best one is behind, or whom it
 * waits for. */
static void say_missing_async(struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    struct arb_note note = {.kind = ARB_NOTE_WAITS_NO_SYNC, .member = c->record.holder};
    const struct msg_position *best = NULL;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        enum arb_refusal why = arb_vote_check(c, view);
        bool is_lagging = why == ARB_REFUSE_LAG;
        if (is_lagging &&
            (best == NULL || arb_position_compare(&view->report.position, best) > 0)) {
            best = &view->report.position;
            note = (struct arb_note){.kind = ARB_NOTE_WAITS_LAG,
                                     .member = view->member,
                                     .a = arb_loss_bound(c, best),
                                     .b = c->record.maximum_lag_bytes};
        } else if (!is_lagging && why != ARB_REFUSE_HOLDER && note.kind == ARB_NOTE_WAITS_NO_SYNC) {
            note = (struct arb_note){
                .kind = ARB_NOTE_WAITS_FOR_VOTES, .member = view->member, .b = 1, .why = why};
        }
    }
    arb_say_waiting(t, &note);
}

/* By force the most advanced of all who can still be asked, unless one was named: what it costs was
 * shown for that one. */
static void decide_forced(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    bool is_named = !base_name_is_empty(&c->forced_candidate);
    bool may_come = voters_within_reach(c, t->event->now) > arb_vote_count(c) &&
                    !is_attempt_older_than(t, arb_ttl_us(c));
    if ((is_named || !may_come) && elect(t, ARB_DECIDE_FORCED)) {
        return;
    }
    /* Nobody can be forced: the former holder, when it is there after all, loses nothing. */
    if (voters_within_reach(c, t->event->now) == 0 && may_return(t)) {
        come_back(t);
    }
}

static void decide_async(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_note why;
    /* A standby tells how far it is, not how far the holder was. */
    if (!arb_is_loss_known(c)) {
        if (may_return(t)) {
            come_back(t);
            return;
        }
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_WAITS_POSITION});
        return;
    }
    if (is_worth_waiting(t)) {
        return;
    }
    uint8_t best = arb_vote_choose(c, t->event->now, &why);
    bool is_lossless =
        best != ARB_NOBODY && arb_loss_bound(c, &c->views[best].report.position) == 0;
    if (!is_lossless && may_return(t)) {
        come_back(t);
        return;
    }
    if (!elect(t, ARB_DECIDE_FAILOVER) && arb_vote_count(c) == 0) {
        say_missing_async(t);
    }
}

/* The former holder's tree is gone: what a member without a receiver lacks by now never comes. Its
 * report may tell of a look that was a little earlier. */
static bool may_still_arrive(const struct arb_cluster *c, const struct arb_view *view,
                             struct base_mono now)
{
    bool is_news = base_mono_diff_us(view->heard, c->handed_at) > HAND_OVER_LOOK_US;
    return arb_view_is_live(c, view, now) && !base_name_equal(&view->member, &c->record.holder) &&
           (view->report.is_receiving || !is_news);
}

static bool may_arrive_anywhere(const struct arb_cluster *c, struct base_mono now)
{
    bool may = false;
    for (uint8_t i = 0; i < c->views_count; i++) {
        may = may || may_still_arrive(c, &c->views[i], now);
    }
    return may && voters_within_reach(c, now) > 0;
}

/* True when proposed, or when it is worth waiting for somebody to get the shutdown checkpoint. */
static bool decide_handover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    bool is_early = base_mono_diff_us(t->event->now, c->handed_at) < arb_ttl_us(c);
    uint8_t best = arb_handover_choose(c, t->event->now);
    uint8_t target = arb_view_find(c, &c->record.target);
    bool is_other = target != ARB_NOBODY && best != target &&
                    may_still_arrive(c, &c->views[target], t->event->now);
    if (best != ARB_NOBODY && !(is_other && is_early)) {
        fail_over(t, best, ARB_DECIDE_HANDOVER);
        return true;
    }
    return is_early && !c->is_attempt && may_arrive_anywhere(c, t->event->now);
}

/* --- at most one failover in the interval, three in an hour --- */

void arb_note_failover(struct arb_cluster *c, struct base_mono now)
{
    for (size_t i = ARB_FAILOVERS_MAX - 1; i > 0; i--) {
        c->failovers[i] = c->failovers[i - 1];
    }
    c->failovers[0] = now;
}

/* A holder that has served in its epoch and can go on at once does so, when the last failover was a
 * short while ago: a role that goes from one to the other and back serves nobody. Whoever is
 * silent, cannot write, or has not opened in this epoch, is not held off for: an outage never lasts
 * longer than it must. The moments are those at which this node applied the epochs, on its own
 * clock. */
static bool is_held_off(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    uint8_t holder = arb_view_find(c, &c->record.holder);
    int64_t interval_us = c->record.failover_interval_ms * BASE_US_PER_MS;
    int64_t last_us = base_mono_diff_us(t->event->now, c->failovers[0]);
    int64_t third_us = base_mono_diff_us(t->event->now, c->failovers[ARB_FAILOVERS_MAX - 1]);
    bool is_soon = last_us < interval_us || third_us < ARB_FAILOVERS_WINDOW_US;
    return interval_us != 0 && is_soon && !c->is_forced && c->record.is_opened &&
           holder != ARB_NOBODY && !c->views[holder].report.is_write_failing &&
           !arb_names_has(&c->record.drained, &c->record.holder) && !CANARY(HOLD_OFF_FORGOTTEN);
}

static bool hold_off(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!is_held_off(t) || !may_return(t)) {
        return false;
    }
    MARK(FAILOVER_HELD_OFF);
    struct arb_note *note = arb_say(t, ARB_NOTE_HELD_OFF);
    note->member = c->record.holder;
    note->a = (uint64_t)(base_mono_diff_us(t->event->now, c->failovers[0]) / BASE_US_PER_S);
    note->b = c->record.failover_interval_ms / 1000;
    come_back(t);
    return true;
}

void arb_note_over(struct arb_turn *t, enum arb_over over)
{
    struct arb_cluster *c = t->c;
    if (c->over_at.us != BASE_MONO_NEVER.us) {
        return;
    }
    c->over_at = over == ARB_OVER_EXPIRED ? t->event->now : c->handed_at;
    if (over == ARB_OVER_EXPIRED) {
        struct arb_note *note = arb_say(t, ARB_NOTE_LEASE_OVER);
        note->member = c->record.holder;
        note->a = c->record.epoch;
        int64_t ago = c->has_holder_good ? base_mono_diff_us(t->event->now, c->holder_good) : 0;
        note->b = (uint64_t)(ago / BASE_US_PER_MS);
    }
}

void arb_right_is_over(struct arb_turn *t, enum arb_over over)
{
    struct arb_cluster *c = t->c;
    arb_note_over(t, over);
    if (c->record.state == MSG_RECORD_BOOTSTRAP) {
        arb_found_again(t);
        return;
    }
    if (arb_settings_in_outage(t) || (over != ARB_OVER_CLEAN && hold_off(t))) {
        return;
    }
    if (over == ARB_OVER_CLEAN && decide_handover(t)) {
        return;
    }
    if (!c->is_attempt) {
        arb_attempt_begin(t);
    }
    if (arb_fence(t)) {
        return; /* the votes come meanwhile */
    }
    arb_catch_up_watch(t);
    if (c->is_forced) {
        decide_forced(t);
    } else if (arb_is_async(&c->record)) {
        decide_async(t);
    } else {
        decide_sync(t);
    }
}
