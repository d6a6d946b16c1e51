/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be the next holder among those who are far enough: tags, zone, drained members, failsafe,
 * and fetching what a candidate lacks (sections 4.5, 8 and 9 of the safety rules).
 *
 * Positions go first; what stands here never makes a member that has less come before one that has
 * more. Where everybody who has most is barred, one that is not fetches from them first.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

#define CATCH_UP_TTLS 2 /* that long without an end, and it has failed */

/* --- tags --- */

bool arb_is_confirmed_for_failsafe(const struct arb_cluster *c, const struct base_name *member)
{
    bool is_dead = c->dead_epoch == c->record.epoch ||
                   (c->fence == ARB_FENCE_OK && c->record.is_fence_trusted);
    return c->record.failsafe_members.count == 0 || is_dead ||
           arb_names_has(&c->record.failsafe_members, member) || CANARY(FAILSAFE_ANY_CANDIDATE);
}

/* What an operator's force passes over: it is meant for the one that is left. */
static enum arb_refusal check_wishes(const struct arb_cluster *c, const struct arb_view *view)
{
    if (arb_names_has(&c->record.drained, &view->member) && !CANARY(DRAINED_CANDIDATE)) {
        return ARB_REFUSE_DRAINED;
    }
    if (view->report.is_write_failing) {
        return ARB_REFUSE_WRITE_FAILING;
    }
    return view->report.is_nofailover ? ARB_REFUSE_NOFAILOVER : ARB_REFUSE_NONE;
}

enum arb_refusal arb_candidate_check(const struct arb_cluster *c, const struct arb_view *view,
                                     struct base_mono now)
{
    if (!arb_view_is_live(c, view, now)) {
        return ARB_REFUSE_SILENT;
    }
    if (view->report.instance == 0) {
        return ARB_REFUSE_NO_GUARD;
    }
    if (view->report.is_paused) {
        return ARB_REFUSE_GUARD_PAUSED;
    }
    return c->is_forced ? ARB_REFUSE_NONE : check_wishes(c, view);
}

/* Where the holder was heard from: clients and other services are there. */
static bool is_in_zone(const struct arb_cluster *c, const struct arb_view *view)
{
    uint8_t holder = arb_view_find(c, &c->record.holder);
    return holder != ARB_NOBODY && c->views[holder].has_report &&
           !base_name_is_empty(&c->views[holder].report.zone) &&
           base_name_equal(&c->views[holder].report.zone, &view->report.zone);
}

/* Who is not barred, who was asked for, priority, zone, name. */
bool arb_candidate_is_better(const struct arb_cluster *c, const struct arb_view *a,
                             const struct arb_view *b)
{
    bool is_target_a = base_name_equal(&a->member, &c->record.target);
    bool is_target_b = base_name_equal(&b->member, &c->record.target);
    if (a->report.is_nofailover != b->report.is_nofailover) {
        return b->report.is_nofailover;
    }
    if (is_target_a != is_target_b) {
        return is_target_a;
    }
    if (a->report.priority != b->report.priority) {
        return a->report.priority > b->report.priority;
    }
    if (is_in_zone(c, a) != is_in_zone(c, b)) {
        return is_in_zone(c, a);
    }
    return base_name_compare(&a->member, &b->member) < 0;
}

/* --- after an orderly stop --- */

/* The shutdown checkpoint is the floor: who has it, has everything. */
static bool has_everything(const struct arb_cluster *c, const struct arb_view *view)
{
    uint8_t holder = arb_view_find(c, &c->record.holder);
    if (holder == ARB_NOBODY || view->refused != ARB_REFUSE_NONE || !arb_has_database(view)) {
        return false;
    }
    const struct msg_position *stopped = &c->views[holder].report.position;
    return view->report.position.lineage == stopped->lineage &&
           arb_position_has_floor(&c->record, stopped) &&
           (view->report.position.lsn >= c->handback_lsn || CANARY(HANDOVER_WITHOUT_CHECKPOINT));
}

uint8_t arb_handover_choose(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    BASE_ASSERT(c->handed == ARB_OVER_CLEAN && c->handback_lsn != 0);
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!view->has_report || base_name_equal(&view->member, &c->record.holder) ||
            !has_everything(c, view) || arb_candidate_check(c, view, now) != ARB_REFUSE_NONE) {
            continue;
        }
        if (best == ARB_NOBODY || arb_candidate_is_better(c, view, &c->views[best])) {
            best = i;
        }
    }
    return best;
}

/* --- switchover --- */

enum arb_refusal arb_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                  struct base_mono now)
{
    const struct arb_engine *engine = arb_engine_of(c);
    if (engine->target_check != NULL) {
        return engine->target_check(c, view, now);
    }
    uint8_t at = arb_view_find(c, &c->record.holder);
    enum arb_refusal why = arb_candidate_check(c, view, now);
    if (base_name_equal(&view->member, &c->record.holder)) {
        return ARB_REFUSE_HOLDER;
    }
    if (view->refused != ARB_REFUSE_NONE || why != ARB_REFUSE_NONE) {
        return view->refused != ARB_REFUSE_NONE ? view->refused : why;
    }
    if (view->report.db_state == MSG_DB_UNKNOWN) {
        return ARB_REFUSE_NO_POSITION;
    }
    if (!arb_has_database(view)) {
        return ARB_REFUSE_NOT_USABLE;
    }
    if (view->report.db_state != MSG_DB_STANDBY || !view->report.is_receiving) {
        return ARB_REFUSE_NOT_STREAMING;
    }
    const struct msg_position *p = &view->report.position;
    const struct msg_position *holder = at == ARB_NOBODY ? p : &c->views[at].report.position;
    if (p->lineage != holder->lineage) {
        return ARB_REFUSE_OTHER_HISTORY;
    }
    bool is_far = holder->lsn > p->lsn && holder->lsn - p->lsn > ARB_SWITCHOVER_LAG_MAX;
    return is_far ? ARB_REFUSE_LAG : ARB_REFUSE_NONE;
}

/* First by position, then by what is wished for. */
static bool goes_before(const struct arb_cluster *c, const struct arb_view *view,
                        const struct arb_view *best)
{
    int order = arb_position_compare(&view->report.position, &best->report.position);
    return order > 0 || (order == 0 && arb_candidate_is_better(c, view, best));
}

uint8_t arb_target_choose(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    if (arb_engine_of(c)->target_choose != NULL) {
        return arb_engine_of(c)->target_choose(c, now);
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_target_check(c, view, now) != ARB_REFUSE_NONE) {
            continue;
        }
        if (best == ARB_NOBODY || goes_before(c, view, &c->views[best])) {
            best = i;
        }
    }
    return best;
}

/* --- fetching what is lacked --- */

bool arb_is_catching_up(const struct arb_cluster *c, const struct arb_view *view)
{
    return c->is_attempt && !base_name_is_empty(&c->catch_up_from) &&
           base_name_equal(&c->catch_up, &view->member);
}

void arb_catch_up_end(struct arb_cluster *c)
{
    c->catch_up = c->catch_up_from = (struct base_name){{0}};
}

/* Best of the counted voters that are not barred. */
static uint8_t choose_fetcher(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_vote_check(c, view) != ARB_REFUSE_NONE ||
            arb_candidate_check(c, view, now) != ARB_REFUSE_NONE) {
            continue;
        }
        if (best == ARB_NOBODY || goes_before(c, view, &c->views[best])) {
            best = i;
        }
    }
    return best;
}

bool arb_catch_up_begin(struct arb_turn *t, const struct base_name *best)
{
    struct arb_cluster *c = t->c;
    uint8_t fetcher = choose_fetcher(c, t->event->now);
    uint8_t source = arb_view_find(c, best);
    uint8_t before = arb_view_find(c, &c->catch_up);
    bool is_asked = before != ARB_NOBODY && arb_view_is_live(c, &c->views[before], t->event->now) &&
                    arb_vote_check(c, &c->views[before]) == ARB_REFUSE_NO_VOTE;
    if (is_asked) {
        return true;
    }
    if (fetcher == ARB_NOBODY || source == ARB_NOBODY ||
        !arb_view_is_live(c, &c->views[source], t->event->now) ||
        c->views[source].report.db_state != MSG_DB_STANDBY) {
        return false;
    }
    c->catch_up = c->views[fetcher].member;
    c->catch_up_from = *best;
    c->catch_up_began = t->event->now;
    t->fx->orders |= (uint16_t)(1u << fetcher);
    struct arb_note note = {.kind = ARB_NOTE_CATCH_UP,
                            .member = *best,
                            .other = c->catch_up,
                            .why = arb_candidate_check(c, &c->views[source], t->event->now)};
    arb_say_waiting(t, &note);
    return true;
}

void arb_catch_up_watch(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t fetcher = arb_view_find(c, &c->catch_up);
    uint8_t source = arb_view_find(c, &c->catch_up_from);
    if (base_name_is_empty(&c->catch_up_from)) {
        return;
    }
    bool is_gone = fetcher == ARB_NOBODY || source == ARB_NOBODY ||
                   !arb_view_is_live(c, &c->views[fetcher], t->event->now) ||
                   !arb_view_is_live(c, &c->views[source], t->event->now);
    bool has_all = !is_gone && arb_position_compare(&c->views[fetcher].report.position,
                                                    &c->views[source].report.position) >= 0;
    bool is_late =
        base_mono_diff_us(t->event->now, c->catch_up_began) > CATCH_UP_TTLS * arb_ttl_us(c);
    if (has_all) {
        c->catch_up_from = (struct base_name){{0}}; /* now it votes with what it has */
        t->fx->orders |= (uint16_t)(1u << fetcher);
    } else if (is_gone || (is_late && arb_is_async(&c->record))) {
        c->has_catch_up_failed = true;
        arb_catch_up_end(c);
    }
}
