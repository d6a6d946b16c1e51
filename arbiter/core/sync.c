/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the synchronous set, one safe step at a time (section 5 of the safety rules).
 *
 * The wish is what the holder was last told to put in force. What it reports counts as (S, k) only
 * when the report was made after the order with the present wish was taken in: else an older wish
 * could still come into force after the record was narrowed.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

static bool is_in_set(const struct arb_cluster *c, const struct base_name *member)
{
    return arb_names_has(&c->record.voters, member) ||
           (c->has_wish && arb_names_has(&c->wish.names, member));
}

/* A member enters when it streams with its catch-up confirmed, and leaves when it was silent or
 * without its receiver for two ttl. */
static bool belongs(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    if (base_name_equal(&view->member, &c->record.holder) || view->refused != ARB_REFUSE_NONE ||
        (view->has_report && view->report.is_nosync) ||
        arb_names_has(&c->record.drained, &view->member) ||
        arb_names_has(&c->leaving, &view->member)) {
        return false;
    }
    if (!is_in_set(c, &view->member)) {
        return view->has_sync_ok && arb_view_is_live(c, view, now) &&
               base_mono_diff_us(now, view->sync_ok) <= 2 * arb_heartbeat_us(c);
    }
    struct base_mono last = base_mono_max(c->began, c->elected);
    if (view->has_sync_ok) {
        last = base_mono_max(last, view->sync_ok);
    }
    return base_mono_diff_us(now, last) <= 2 * arb_ttl_us(c);
}

/* `first k`: priority, then name. One of the set that this leader has not heard yet keeps its place
 * until it has been silent for too long. */
static bool comes_first(const struct arb_cluster *c, const struct base_name *a,
                        const struct base_name *b)
{
    const struct arb_view *view_a = &c->views[arb_view_find(c, a)];
    const struct arb_view *view_b = &c->views[arb_view_find(c, b)];
    if (view_a->has_report != view_b->has_report) {
        return !view_a->has_report;
    }
    if (view_a->report.priority != view_b->report.priority) {
        return view_a->report.priority > view_b->report.priority;
    }
    return base_name_compare(a, b) < 0;
}

static void keep_best(const struct arb_cluster *c, struct msg_names *names, uint8_t count)
{
    while (names->count > count) {
        struct base_name last = names->names[0];
        for (uint8_t i = 1; i < names->count; i++) {
            if (comes_first(c, &last, &names->names[i])) {
                last = names->names[i];
            }
        }
        arb_names_remove(names, &last);
    }
}

struct arb_set arb_sync_target(const struct arb_cluster *c, struct base_mono now)
{
    struct arb_set target = {.names = {0}};
    uint8_t wanted = c->record.sync_count > 0 ? c->record.sync_count : 1;
    if (arb_is_async(&c->record)) {
        return target;
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (belongs(c, &c->views[i], now)) {
            int rc = arb_names_add(&target.names, &c->views[i].member);
            BASE_ASSERT(rc == 0); /* no more views than names */
        }
    }
    target.count = wanted;
    if (c->record.sync_mode == MSG_SYNC_FIRST) {
        keep_best(c, &target.names, wanted);
    }
    if (target.names.count >= wanted) {
        return target;
    }
    if (!c->record.is_sync_strict) {
        MARK(GOES_ON_ALONE);
        target.count = target.names.count;
        return target;
    }
    MARK(STRICT_WAITS);
    if (arb_names_unite(&target.names, &c->record.voters) !=
        0) { /* strict: commits wait for these */
        target.names = c->record.voters;
    }
    return target;
}

/* The holder has taken in an order that carries the present wish, and whatever carried an older one
 * answers an older report: it would be dropped. */
static bool is_wish_taken(const struct arb_cluster *c, const struct msg_report *report)
{
    return c->has_wish && (CANARY(NARROW_WITHOUT_ECHO) ||
                           (report->session == c->wish_session && report->order_term == c->term &&
                            report->order_number >= c->wish_number));
}

static void change_record(struct arb_turn *t, const struct arb_sync_step *step)
{
    struct msg_record next = t->c->record;
    bool is_widening = step->kind == ARB_SYNC_WIDEN;
    next.voters = step->set.names;
    next.votes_needed_r = step->set.count;
    struct arb_note *note = arb_say(t, is_widening ? ARB_NOTE_SYNC_WIDEN : ARB_NOTE_SYNC_NARROW);
    note->a = next.voters.count;
    note->b = next.votes_needed_r;
    arb_propose(t, is_widening ? ARB_DECIDE_WIDEN : ARB_DECIDE_NARROW, &next);
}

/* A planted bug in the order of steps comes as far as the database. */
static bool is_safe(const struct arb_cluster *c, const struct arb_set *set)
{
    const struct arb_set record = {c->record.voters, c->record.votes_needed_r};
    return arb_sync_is_safe(&record, set) || CANARY(SYNC_SET_NO_WIDENING) ||
           CANARY(SYNC_ADD_DATABASE_FIRST) || CANARY(SYNC_LOWER_DATABASE_FIRST);
}

static void change_wish(struct arb_turn *t, const struct arb_view *holder,
                        const struct arb_set *set)
{
    struct arb_cluster *c = t->c;
    bool is_same = c->has_wish && arb_set_equal(&c->wish, set);
    if (is_same && c->wish_session == holder->report.session) {
        return;
    }
    BASE_ASSERT(is_safe(c, set));
    c->has_wish = true;
    c->wish = *set;
    c->wish_session = holder->report.session;
    c->wish_number = holder->report.number + 1; /* orders up to here may carry an older wish */
    if (!is_same) {
        struct arb_note *note = arb_say(t, ARB_NOTE_SYNC_DATABASE);
        note->member = holder->member;
        note->a = set->names.count;
        note->b = set->count;
    }
}

void arb_sync(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    if (holder == NULL || !arb_view_is_holder(c, holder) || c->record.state != MSG_RECORD_RUNNING ||
        !arb_view_is_live(c, holder, t->event->now) || c->handed != ARB_OVER_NO ||
        holder->report.epoch_held != c->record.epoch || holder->report.db_state != MSG_DB_PRIMARY) {
        return;
    }
    arb_tasks_leaving(t, &c->leaving);
    struct arb_set target = arb_sync_target(c, t->event->now);
    const struct msg_report *report = &holder->report;
    struct arb_sync_state state = {
        .record = {c->record.voters, c->record.votes_needed_r},
        .is_database_known =
            report->is_sync_known && is_wish_taken(c, report) && arb_set_equal(&c->wish, &target),
        .database = {report->sync_names, report->sync_count},
        .is_barrier_passed = report->is_sync_barrier_passed,
    };
    struct arb_sync_step step = arb_sync_plan(&state, &target);
    switch (step.kind) {
    case ARB_SYNC_WIDEN:
    case ARB_SYNC_NARROW:
        change_record(t, &step);
        return;
    case ARB_SYNC_DATABASE:
    case ARB_SYNC_WAIT:
    case ARB_SYNC_DONE:
        if (is_safe(c, &target)) {
            change_wish(t, holder, &target);
        }
        return;
    case ARB_SYNC_STUCK:
        return;
    }
    BASE_UNREACHABLE();
}
