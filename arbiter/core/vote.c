/* SPDX-License-Identifier: Apache-2.0 */
/* Who may take over (section 4 of the safety rules): positions, floor, counting of votes, choice of
 * candidate.
 *
 * A vote is a promise that is durable at the voter, so it counts also when the voter has gone
 * silent since; a candidate must be alive. Pure predicates on the cluster's state; nothing is
 * changed here.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

int arb_position_compare(const struct msg_position *a, const struct msg_position *b)
{
    if (a->lineage != b->lineage && !CANARY(POSITION_ONLY)) {
        return a->lineage < b->lineage ? -1 : 1;
    }
    if (a->lsn != b->lsn) {
        return a->lsn < b->lsn ? -1 : 1;
    }
    return 0;
}

/* An opening in floor_epoch or later came from the floor, by a line of holders of which each had
 * all of its predecessor. The floor's own lineage is one history, so that there the LSN tells. Any
 * other lineage in between was opened by somebody who lost. */
bool arb_position_has_floor(const struct msg_record *record, const struct msg_position *p)
{
    if (p->lineage == 0 || p->lineage > record->epoch) {
        return false;
    }
    if (p->lineage >= record->floor_epoch) {
        MARK(FLOOR_BY_LINEAGE);
        return true;
    }
    return p->lineage == record->floor.lineage && p->lsn >= record->floor.lsn;
}

bool arb_is_loss_known(const struct arb_cluster *c)
{
    int64_t ttl_us = (int64_t)c->ttl_longest_ms * BASE_US_PER_MS;
    bool is_of_now = !base_mono_before(base_mono_add_us(c->told_at, ttl_us), c->elected) ||
                     CANARY(OLD_POSITION_BOUNDS);
    return c->known.lineage != 0 && c->is_holder_known && is_of_now;
}

uint64_t arb_loss_bound(const struct arb_cluster *c, const struct msg_position *p)
{
    const struct msg_position *known = &c->known;
    uint64_t has = p->lsn;
    if (known->lineage == 0 || arb_position_compare(p, known) >= 0) {
        return 0;
    }
    if (p->lineage != known->lineage) { /* beyond the floor it may be on another history */
        has = p->lsn < c->record.floor.lsn ? p->lsn : c->record.floor.lsn;
    }
    return known->lsn > has ? known->lsn - has : 0;
}

bool arb_is_async(const struct msg_record *record)
{
    return record->sync_mode == MSG_SYNC_ASYNC || record->is_standby_cluster;
}

static bool is_async(const struct arb_cluster *c)
{
    return arb_is_async(&c->record) && !c->is_forced;
}

static enum arb_refusal check_vote_sync(const struct arb_cluster *c, const struct arb_view *view)
{
    if (c->is_forced || is_async(c)) {
        return ARB_REFUSE_NONE;
    }
    return arb_names_has(&c->record.voters, &view->member) ? ARB_REFUSE_NONE : ARB_REFUSE_NOT_VOTER;
}

enum arb_refusal arb_vote_check(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_report *report = &view->report;
    if (base_name_equal(&view->member, &c->record.holder)) {
        return ARB_REFUSE_HOLDER;
    }
    if (check_vote_sync(c, view) != ARB_REFUSE_NONE) {
        return ARB_REFUSE_NOT_VOTER;
    }
    if (!view->has_report) {
        return ARB_REFUSE_SILENT;
    }
    if (view->refused != ARB_REFUSE_NONE) {
        return view->refused;
    }
    if (!arb_has_database(view)) {
        return ARB_REFUSE_NOT_USABLE;
    }
    if (!arb_is_confirmed_for_failsafe(c, &view->member)) {
        return ARB_REFUSE_NOT_CONFIRMED;
    }
    bool is_of_attempt =
        report->promised.term == c->attempt.term && report->promised.number == c->attempt.number;
    if (!c->is_attempt || !report->is_vote_valid || (!is_of_attempt && !CANARY(VOTES_SURVIVE))) {
        return ARB_REFUSE_NO_VOTE;
    }
    bool has_floor = arb_position_has_floor(&c->record, &report->position);
    if (!has_floor && !c->is_forced && !CANARY(NO_FLOOR)) {
        MARK(VOTE_LACKS_FLOOR);
        return ARB_REFUSE_LACKS_FLOOR;
    }
    if (report->position.lineage > c->record.epoch) {
        return ARB_REFUSE_EPOCH_AHEAD;
    }
    if (is_async(c) && arb_loss_bound(c, &report->position) > c->record.maximum_lag_bytes &&
        !CANARY(LAG_LIMIT_IGNORED)) {
        return ARB_REFUSE_LAG;
    }
    return ARB_REFUSE_NONE;
}

uint8_t arb_vote_count(const struct arb_cluster *c)
{
    uint8_t n = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        n = (uint8_t)(n + (arb_vote_check(c, &c->views[i]) == ARB_REFUSE_NONE));
    }
    return n;
}

/* In asynchronous mode a barred one that nobody could fetch from stands in nobody's way for ever:
 * the limit bounds what that costs. */
static bool is_passed_over(const struct arb_cluster *c, const struct arb_view *view,
                           struct base_mono now)
{
    return is_async(c) && c->has_catch_up_failed &&
           arb_candidate_check(c, view, now) != ARB_REFUSE_NONE;
}

/* Most advanced of the counted voters, whoever it is. */
static uint8_t most_advanced(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_vote_check(c, view) != ARB_REFUSE_NONE || is_passed_over(c, view, now)) {
            continue;
        }
        if (best == ARB_NOBODY ||
            arb_position_compare(&view->report.position, &c->views[best].report.position) > 0) {
            best = i;
        }
    }
    return best;
}

static uint8_t choose_by_name(const struct arb_cluster *c)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (arb_vote_check(c, &c->views[i]) == ARB_REFUSE_NONE &&
            c->views[i].report.instance != 0 &&
            (best == ARB_NOBODY ||
             base_name_compare(&c->views[i].member, &c->views[best].member) < 0)) {
            best = i;
        }
    }
    return best;
}

static uint8_t choose_forced(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t i = arb_view_find(c, &c->forced_candidate);
    bool is_fit = i != ARB_NOBODY && arb_vote_check(c, &c->views[i]) == ARB_REFUSE_NONE &&
                  arb_candidate_check(c, &c->views[i], now) == ARB_REFUSE_NONE;
    return is_fit ? i : ARB_NOBODY;
}

/* The most advanced; tags choose among equals only. */
uint8_t arb_vote_choose(const struct arb_cluster *c, struct base_mono now,
                        struct arb_note *ret_note)
{
    uint8_t first = most_advanced(c, now);
    uint8_t best = ARB_NOBODY;
    if (first == ARB_NOBODY) {
        return ARB_NOBODY;
    }
    if (CANARY(CANDIDATE_BY_NAME)) {
        return choose_by_name(c);
    }
    if (c->is_forced && !base_name_is_empty(&c->forced_candidate)) {
        return choose_forced(c, now);
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_vote_check(c, view) != ARB_REFUSE_NONE ||
            (arb_position_compare(&view->report.position, &c->views[first].report.position) != 0 &&
             !CANARY(TAG_BEFORE_POSITION)) ||
            arb_candidate_check(c, view, now) != ARB_REFUSE_NONE) {
            continue;
        }
        if (best == ARB_NOBODY || arb_candidate_is_better(c, view, &c->views[best])) {
            best = i;
        }
    }
    if (best == ARB_NOBODY) {
        *ret_note = (struct arb_note){.kind = ARB_NOTE_WAITS_CANDIDATE,
                                      .member = c->views[first].member,
                                      .why = arb_candidate_check(c, &c->views[first], now)};
    }
    return best;
}

/* A database that was there before, and has not been promoted under any epoch yet: it has what it
 * was taken over with, and nobody was let in since. */
static bool is_as_taken_over(const struct msg_record *record, const struct arb_view *view)
{
    const struct msg_position *p = &view->report.position;
    return !record->is_opened && view->report.db_state == MSG_DB_STOPPED && p->lineage == 0 &&
           record->floor.lineage == 0 && record->floor.lsn != 0 && p->lsn >= record->floor.lsn;
}

/* Section 1: without a vote if its directory is the one it had, its tree is gone, and nobody that
 * can be reached is ahead of it. Ahead is who has more of what this epoch wrote: the tail of a
 * fenced former holder, or of a voter without part in the choice, was acknowledged to nobody and
 * must not keep the holder out. */
enum arb_refusal arb_return_check(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t at = arb_view_find(c, &c->record.holder);
    if (at == ARB_NOBODY || !arb_view_is_live(c, &c->views[at], now)) {
        return ARB_REFUSE_SILENT;
    }
    const struct arb_view *view = &c->views[at];
    const struct msg_position *own = &view->report.position;
    if (view->refused != ARB_REFUSE_NONE) {
        return view->refused;
    }
    if (view->report.instance == 0) {
        return ARB_REFUSE_NO_GUARD;
    }
    if (!view->report.is_tree_gone) {
        return ARB_REFUSE_TREE_ALIVE;
    }
    bool is_unled = is_as_taken_over(&c->record, view);
    if ((!arb_has_database(view) && !is_unled) || view->report.system_id != c->record.system_id) {
        return ARB_REFUSE_NOT_USABLE;
    }
    bool has_floor = is_unled || arb_position_has_floor(&c->record, own);
    if (!has_floor || (c->record.is_opened && own->lineage != c->record.epoch)) {
        return ARB_REFUSE_OTHER_HISTORY;
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *other = &c->views[i];
        if (i != at && arb_view_is_live(c, other, now) && other->refused == ARB_REFUSE_NONE &&
            other->report.position.lineage == c->record.epoch && arb_has_database(other) &&
            arb_position_compare(&other->report.position, own) > 0) {
            return ARB_REFUSE_BEHIND;
        }
    }
    return ARB_REFUSE_NONE;
}

enum arb_refusal arb_target_refusal(const struct arb_cluster *c, uint8_t index,
                                    struct base_mono now)
{
    bool is_holder = base_name_equal(&c->views[index].member, &c->record.holder);
    return is_holder ? ARB_REFUSE_HOLDER : arb_target_check(c, &c->views[index], now);
}
