/* SPDX-License-Identifier: Apache-2.0 */
/* Members that are drained or removed, and whom a holder would ask in a failsafe round.
 *
 * A drained member takes no role and no commit waits for it; a drained holder hands over as soon as
 * somebody can take over. A removed one is forgotten, so that nothing waits for it any more; it is
 * never one that is heard, that holds the role, or that recorded commits may rest on.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/name.h"

static bool is_live(const struct arb_turn *t, const struct base_name *member)
{
    uint8_t at = arb_view_find(t->c, member);
    return at != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[at], t->event->now);
}

/* --- drain --- */

static bool may_be_drained(struct arb_turn *t, const struct msg_record *next)
{
    struct arb_cluster *c = t->c;
    const struct base_name *member = &t->event->request->candidate;
    if (arb_view_find(c, member) == ARB_NOBODY) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no such member");
        return false;
    }
    if (arb_names_has(&next->drained, member)) {
        arb_answer_member(t, 0, member, "is drained already");
        return false;
    }
    if (base_name_equal(member, &next->holder) && !t->event->request->is_forced &&
        arb_target_choose(c, t->event->now) == ARB_NOBODY) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "is the primary, and no other member could take over now; --force drains "
                          "it as soon as one can");
        return false;
    }
    return true;
}

void arb_request_drain(struct arb_turn *t, bool is_on)
{
    struct msg_record next = t->c->record;
    const struct base_name *member = &t->event->request->candidate;
    if (base_name_is_empty(member)) {
        arb_answer(t, BASE_E_INVALID, "name a member");
        return;
    }
    if (is_on && !may_be_drained(t, &next)) {
        return;
    }
    if (!is_on && !arb_names_has(&next.drained, member)) {
        arb_answer_member(t, BASE_E_STATE, member, "is not drained");
        return;
    }
    if (!is_on) {
        arb_names_remove(&next.drained, member);
    } else if (arb_names_add(&next.drained, member) != 0) {
        arb_answer(t, BASE_E_TOOBIG, "no more members can be drained");
        return;
    }
    arb_say(t, is_on ? ARB_NOTE_DRAINED : ARB_NOTE_UNDRAINED)->member = *member;
    arb_propose(t, ARB_DECIDE_MEMBERS, &next);
    arb_answer_member(t, 0, member, is_on ? "is drained" : "is drained no more");
}

/* --- remove --- */

/* The whole cluster: the driver takes record and keys away when nobody is in the way. */
static void answer_removal(struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    bool is_forced = t->event->request->is_forced;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_view_is_live(c, view, t->event->now) && (!is_forced || view->report.is_open)) {
            arb_answer_member(t, BASE_E_STATE, &view->member,
                              view->report.is_open ? "is open for writes; stop its agent first"
                                                   : "is heard; stop the agents first, or --force");
            return;
        }
    }
    bool may_serve = c->record.epoch != 0 && c->handed == ARB_OVER_NO &&
                     !arb_lease_has_run_out(c, t->event->now);
    if (may_serve && !is_forced) {
        arb_answer(t, BASE_E_BUSY, "the last lease may still run; try again when it has ended");
        return;
    }
    arb_answer(t, 0, "the cluster is removed; the members' data directories stay");
}

static bool may_be_removed(struct arb_turn *t, const struct base_name *member)
{
    const struct msg_record *record = &t->c->record;
    if (is_live(t, member)) {
        arb_answer_member(t, BASE_E_STATE, member, "is heard; stop its agent first");
    } else if (base_name_equal(member, &record->holder)) {
        arb_answer_member(
            t, BASE_E_STATE, member,
            "has the role of the primary in the record; another member must take over "
            "first");
    } else if (gal_view_has(&record->galera.view, member)) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "is in the last Primary view: a recovery may need it; it leaves when the "
                          "others go on without it, or kv db confirm --dead says that it is gone");
    } else if (arb_names_has(&record->voters, member)) {
        arb_answer_member(
            t, BASE_E_STATE, member,
            "may be the only one that has the last commits: it leaves the synchronous "
            "set when the primary goes on without it; try again then");
    } else {
        return true;
    }
    return false;
}

void arb_request_remove(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    const struct base_name *member = &t->event->request->candidate;
    if (base_name_is_empty(member)) {
        answer_removal(t);
        return;
    }
    if (!may_be_removed(t, member)) {
        return;
    }
    bool is_in_record =
        arb_names_has(&next.drained, member) || arb_names_has(&next.failsafe_members, member);
    arb_names_remove(&next.drained, member);
    if (next.failsafe_members.count > 1 || CANARY(FAILSAFE_LIST_EMPTIED)) {
        arb_names_remove(&next.failsafe_members, member);
    } /* else it stays in: an empty list bars nobody, and the holder may still ask it */
    uint8_t tasks = arb_tasks_drop(&next, member);
    if (base_name_equal(&next.switchover_to, member)) {
        next.switchover_to = (struct base_name){{0}};
        next.switchover_at_wall_us = 0;
        is_in_record = true;
    }
    arb_say(t, ARB_NOTE_REMOVED)->member = *member;
    if (is_in_record || tasks > 0) {
        arb_propose(t, ARB_DECIDE_MEMBERS, &next);
    }
    arb_answer_member(t, 0, member, "is removed");
}

/* Views behind it move up: what people see of all of them is told anew. */
void arb_forget(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t at = arb_view_find(c, t->event->member);
    if (at == ARB_NOBODY || is_live(t, t->event->member) ||
        base_name_equal(t->event->member, &c->record.holder) ||
        arb_names_has(&c->record.voters, t->event->member)) {
        return;
    }
    for (uint8_t i = at; i + 1 < c->views_count; i++) {
        c->views[i] = c->views[i + 1];
    }
    c->views_count--;
    c->views[c->views_count] = (struct arb_view){.has_report = false};
    t->fx->changed = (uint16_t)((1u << c->views_count) - 1);
}

/* --- failsafe --- */

/* The list comes from a report that was made after an order of this leader was taken in: what it
 * asks from then on is never less. A member that was removed is not taken in again. */
bool arb_failsafe(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    struct msg_names list = {0};
    if (holder == NULL || !arb_view_is_holder(c, holder) ||
        holder->report.epoch_held != c->record.epoch || holder->report.order_term != c->term) {
        return false;
    }
    for (uint8_t i = 0; i < holder->report.failsafe_members.count; i++) {
        const struct base_name *name = &holder->report.failsafe_members.names[i];
        bool is_member =
            arb_view_find(c, name) != ARB_NOBODY && !base_name_equal(name, &c->record.holder);
        if (is_member && arb_names_add(&list, name) != 0) {
            return false;
        }
    }
    /* Nobody is asked where failsafe is off; where it is on again, that is a word of before. */
    bool is_off = holder->report.failsafe_members.count == 0 && !c->record.is_failsafe;
    bool is_emptied = list.count == 0 && !is_off;
    if (arb_names_equal(&list, &c->record.failsafe_members) ||
        (is_emptied && !CANARY(FAILSAFE_LIST_EMPTIED))) {
        return false; /* it may still ask somebody, and an empty list bars nobody */
    }
    struct msg_record next = c->record;
    next.failsafe_members = list;
    struct arb_note *note = arb_say(t, ARB_NOTE_FAILSAFE);
    note->member = holder->member;
    note->a = list.count;
    arb_propose(t, ARB_DECIDE_FAILSAFE, &next);
    return true;
}
