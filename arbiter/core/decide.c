/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be done now: bootstrap, failover, return, handover, switchover, housekeeping.
 *
 * Called after every event that could change an answer, on a leader whose first entry is applied
 * and which has no swap of its own in the log. At most one proposal comes out of a call: decision
 * and proposal are one step (section 4.1).
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

#define HAND_OVER_LOOK_US (INT64_C(200) * BASE_US_PER_MS)

/* --- the first record --- */

void arb_take_seed(const struct msg_report *seed, struct msg_record *record)
{
    bool is_ttl_good =
        seed->seed_ttl_ms >= LEASE_TTL_MIN_MS && seed->seed_ttl_ms <= LEASE_TTL_MAX_MS;
    record->ttl_ms = is_ttl_good ? seed->seed_ttl_ms : LEASE_TTL_DEFAULT_MS;
    uint32_t heartbeat_max = record->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
    bool is_beat_good = seed->seed_heartbeat_ms > 0 && seed->seed_heartbeat_ms <= heartbeat_max;
    uint32_t beat =
        LEASE_HEARTBEAT_DEFAULT_MS < heartbeat_max ? LEASE_HEARTBEAT_DEFAULT_MS : heartbeat_max;
    record->heartbeat_ms = is_beat_good ? seed->seed_heartbeat_ms : beat;
    record->freeze_max_ms =
        seed->seed_freeze_max_ms != 0 ? seed->seed_freeze_max_ms : LEASE_FREEZE_MAX_DEFAULT_MS;
    record->sync_mode = seed->seed_sync_mode;
    bool is_count_good = seed->seed_sync_count > 0 && seed->seed_sync_count < MSG_MEMBERS_MAX;
    record->sync_count = is_count_good ? seed->seed_sync_count : 1;
    record->is_sync_strict = seed->seed_sync_strict;
    record->maximum_lag_bytes = ARB_MAXIMUM_LAG_DEFAULT;
}

/* Smallest name among live members with an empty directory. */
static uint8_t choose_founder(const struct arb_cluster *c, struct base_mono now, bool needs_seed)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_old = c->record.epoch != 0 && base_name_equal(&view->member, &c->record.holder);
        if (!arb_view_is_live(c, view, now) || view->report.instance == 0 ||
            view->refused != ARB_REFUSE_NONE || (needs_seed && !view->report.has_seed) ||
            (view->report.db_state != MSG_DB_EMPTY && !is_old)) {
            continue;
        }
        if (best == ARB_NOBODY || base_name_compare(&view->member, &c->views[best].member) < 0) {
            best = i;
        }
    }
    return best;
}

static void propose_founder(struct arb_turn *t, uint8_t i, struct msg_record *next)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[i];
    next->epoch = c->record.epoch + 1;
    next->state = MSG_RECORD_BOOTSTRAP;
    next->holder = view->member;
    next->holder_instance = view->report.instance;
    next->timeline = next->timeline_highest = 1;
    next->floor = (struct msg_position){0, 0, 0};
    next->floor_epoch = next->epoch;
    next->since_wall_us = t->event->wall.us;
    struct arb_note *note = arb_say(t, ARB_NOTE_BOOTSTRAP);
    note->member = view->member;
    note->a = next->epoch;
    arb_decision_begin(t, ARB_DECIDE_BOOTSTRAP, &view->member);
    arb_propose(t, ARB_DECIDE_BOOTSTRAP, next);
}

/* A database without a record: the quorum has lost it, or the member comes from elsewhere. Never
 * overwritten. */
const struct arb_view *arb_view_with_data(const struct arb_cluster *c)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report && (view->report.system_id != 0 || view->report.epoch_seen != 0)) {
            return view;
        }
    }
    return NULL;
}

static void bootstrap(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *data = arb_view_with_data(c);
    uint8_t founder = choose_founder(c, t->event->now, true);
    if (data != NULL) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_BOOTSTRAP_WAITS,
                                              .member = data->member,
                                              .a = data->report.system_id});
        return;
    }
    if (arb_is_unknown(c)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_FOUND_WAITS, .member = c->name});
        return;
    }
    if (founder == ARB_NOBODY) {
        c->has_boot_began = false;
        return;
    }
    if (!c->has_boot_began) {
        c->has_boot_began = true;
        c->boot_began = t->event->now;
    }
    if (base_mono_diff_us(t->event->now, c->boot_began) < ARB_BOOTSTRAP_WAIT_US) {
        return;
    }
    struct msg_record next = {.cluster = c->name, .restore_id = c->restore_id};
    arb_take_seed(&c->views[founder].report, &next);
    propose_founder(t, founder, &next);
}

/* --- a new epoch --- */

static void say_takeover(struct arb_turn *t, enum arb_note_kind kind, const struct msg_record *next)
{
    struct arb_note *note = arb_say(t, kind);
    note->member = t->c->record.holder;
    note->other = next->holder;
    note->a = next->epoch;
    note->b = t->c->decision.loss_bound_bytes;
    note->c = next->floor.lsn;
}

static void fail_over(struct arb_turn *t, uint8_t i, enum arb_decision_kind kind)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[i];
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    enum arb_note_kind said = ARB_NOTE_FAILOVER;
    next.floor = view->report.position;
    if (!CANARY(FLOOR_EPOCH_KEPT)) {
        next.floor_epoch = next.epoch;
    }
    arb_decision_begin(t, kind, &view->member);
    c->decision.is_loss_possible =
        kind == ARB_DECIDE_FORCED || (kind == ARB_DECIDE_FAILOVER && c->record.votes_needed_r == 0);
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
}

static void attempt_begin(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_set voters = {c->record.voters, c->record.votes_needed_r};
    c->is_attempt = true;
    c->attempt = (struct msg_attempt){c->term, c->attempt.number + 1};
    c->attempt_began = t->event->now;
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

/* The first voter that is missing, for the sentence. */
static void say_missing(struct arb_turn *t, uint8_t counted, uint8_t needed)
{
    struct arb_cluster *c = t->c;
    struct arb_note note = {.kind = ARB_NOTE_WAITS_NO_SYNC, .member = c->record.holder};
    if (needed == 0 || c->record.voters.count == 0) { /* only the holder has all */
        arb_say_waiting(t, &note);
        return;
    }
    note = (struct arb_note){.kind = ARB_NOTE_WAITS_FOR_VOTES, .a = counted, .b = needed};
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
        if (why.kind != ARB_NOTE_COUNT) {
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
    const struct arb_cluster *c = t->c;
    bool is_named = !base_name_is_empty(&c->forced_candidate);
    bool may_come = voters_within_reach(c, t->event->now) > arb_vote_count(c) &&
                    !is_attempt_older_than(t, arb_ttl_us(c));
    if (is_named || !may_come) {
        (void)elect(t, ARB_DECIDE_FORCED);
    }
}

static void decide_async(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_note why;
    if (c->known.lineage == 0) {
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

static void found_again(struct arb_turn *t)
{
    uint8_t founder = choose_founder(t->c, t->event->now, false);
    struct msg_record next = t->c->record;
    if (founder != ARB_NOBODY) {
        propose_founder(t, founder, &next);
    }
}

static void right_is_over(struct arb_turn *t, enum arb_over over)
{
    struct arb_cluster *c = t->c;
    if (c->over_at.us == BASE_MONO_NEVER.us) {
        c->over_at = over == ARB_OVER_EXPIRED ? t->event->now : c->handed_at;
        if (over == ARB_OVER_EXPIRED) {
            struct arb_note *note = arb_say(t, ARB_NOTE_LEASE_OVER);
            note->member = c->record.holder;
            note->a = c->record.epoch;
            int64_t ago = c->has_holder_good ? base_mono_diff_us(t->event->now, c->holder_good) : 0;
            note->b = (uint64_t)(ago / BASE_US_PER_MS);
        }
    }
    if (c->record.state == MSG_RECORD_BOOTSTRAP) {
        found_again(t);
        return;
    }
    if (over == ARB_OVER_CLEAN && decide_handover(t)) {
        return;
    }
    if (!c->is_attempt) {
        attempt_begin(t);
    }
    if (c->is_forced) {
        decide_forced(t);
    } else if (c->record.sync_mode == MSG_SYNC_ASYNC) {
        decide_async(t);
    } else {
        decide_sync(t);
    }
}

/* --- while the holder holds --- */

static void created(struct arb_turn *t, const struct arb_view *holder)
{
    struct msg_record next = t->c->record;
    next.state = MSG_RECORD_RUNNING;
    next.system_id = holder->report.system_id;
    struct arb_note *note = arb_say(t, ARB_NOTE_CREATED);
    note->member = holder->member;
    note->a = next.system_id;
    arb_propose(t, ARB_DECIDE_CREATED, &next);
}

static void opened(struct arb_turn *t, const struct arb_view *holder)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    int64_t since_us = 0;
    next.is_opened = true;
    if (holder->report.is_open && c->decision.epoch == c->record.epoch &&
        c->began.us != BASE_MONO_LONG_AGO.us) {
        since_us = base_mono_diff_us(t->event->now, c->began);
        c->decision.open_us = since_us;
        t->fx->has_history = true;
    }
    if (holder->report.is_open) {
        struct arb_note *note = arb_say(t, ARB_NOTE_OPENED);
        note->member = holder->member;
        note->a = c->record.epoch;
        note->b = (uint64_t)(since_us / BASE_US_PER_MS);
    }
    arb_propose(t, ARB_DECIDE_OPENED, &next);
}

/* The target has gone before the holder stopped: the holder goes on. */
static bool abandon(struct arb_turn *t, const struct arb_view *holder)
{
    struct arb_cluster *c = t->c;
    uint8_t target = arb_view_find(c, &c->record.target);
    enum arb_refusal why = ARB_REFUSE_SILENT;
    if (target != ARB_NOBODY &&
        arb_view_is_fresh(&c->views[target], t->event->now, arb_ttl_us(c))) {
        why = c->views[target].refused;
        if (why == ARB_REFUSE_NONE && !arb_has_database(&c->views[target])) {
            why = ARB_REFUSE_NOT_USABLE;
        }
    }
    if (why == ARB_REFUSE_NONE || holder->report.db_state != MSG_DB_PRIMARY) {
        return false;
    }
    struct msg_record next = c->record;
    struct arb_note *note = arb_say(t, ARB_NOTE_SWITCHOVER_ENDED);
    note->member = holder->member;
    note->other = c->record.target;
    note->why = why;
    next.state = MSG_RECORD_RUNNING;
    next.target = (struct base_name){{0}};
    arb_propose(t, ARB_DECIDE_ABANDON, &next);
    return true;
}

/* After initdb; its lineage is known only once it has opened. */
static bool is_made(const struct msg_report *report)
{
    return report->system_id != 0 && report->db_state != MSG_DB_UNKNOWN &&
           report->db_state != MSG_DB_EMPTY && report->db_state != MSG_DB_CREATING &&
           report->db_state != MSG_DB_FAILED;
}

static void holder_holds(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    if (holder == NULL || !arb_view_is_holder(c, holder)) {
        return;
    }
    const struct msg_report *report = &holder->report;
    if (c->record.state == MSG_RECORD_BOOTSTRAP) {
        if (is_made(report)) {
            created(t, holder);
        }
        return;
    }
    /* Also while a crash restart keeps clients out: its gate may wait for a standby, and a standby
     * for the word that there is something to be taken from. */
    bool is_on_its_line = report->is_open || report->opened_lsn != 0;
    if (is_on_its_line && report->epoch_held == c->record.epoch && !c->record.is_opened) {
        opened(t, holder);
        return;
    }
    if (c->record.state == MSG_RECORD_SWITCHOVER && abandon(t, holder)) {
        return;
    }
    arb_sync(t);
}

void arb_decide(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_leader || !c->is_ready || c->is_swapping) {
        return;
    }
    if (c->record.epoch == 0) {
        bootstrap(t);
        return;
    }
    if (arb_is_blocked(t)) {
        return;
    }
    enum arb_over over = arb_lease_over(c, t->event->now);
    if (over == ARB_OVER_NO) {
        c->is_waiting = false;
        holder_holds(t);
    } else {
        right_is_over(t, over);
    }
}
