/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: a replica set without a record. Where no member has data, one initiates it with itself
 * alone when all that the files name are heard and their layout is lawful; the others are added one
 * by one. A set that runs is taken in as it is. A set that was ever seen initiated is never
 * initiated again, whoever is empty; and only the member that was told to initiate is told again,
 * since it may have done it without a word.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* --- nobody has data --- */

static bool is_blank(const struct arb_view *view, struct base_mono now)
{
    return arb_view_is_fresh(view, now, MDB_EVIDENCE_MS * BASE_US_PER_MS) &&
           view->refused == ARB_REFUSE_NONE && !arb_mongodb_has_data(&view->report) &&
           !view->report.mongodb.is_adopted && !view->report.mongodb.is_set_name_wrong;
}

static bool is_up(const struct arb_view *view)
{
    return view->report.mongodb.state == MSG_MONGODB_ABSENT;
}

static bool founds_before(const struct arb_view *a, const struct arb_view *b)
{
    uint16_t pa = a->report.mongodb.priority;
    uint16_t pb = b->report.mongodb.priority;
    return pa != pb ? pa > pb : base_name_compare(&a->member, &b->member) < 0;
}

/* How many are heard and wait, and how many the files name. */
struct seats {
    uint8_t heard, wanted;
};

static struct seats count(const struct arb_cluster *c, struct base_mono now)
{
    struct seats seats = {.wanted = 1};
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        uint8_t said = view->has_report ? view->report.mongodb.seed_members : 0;
        seats.wanted = said > seats.wanted ? said : seats.wanted;
        seats.heard = (uint8_t)(seats.heard + (is_blank(view, now) && is_up(view)));
    }
    return seats;
}

static uint8_t choose_founder(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (is_blank(view, now) && is_up(view) && !view->report.mongodb.is_arbiter &&
            view->report.mongodb.priority > 0 &&
            (best == ARB_NOBODY || founds_before(view, &c->views[best]))) {
            best = i;
        }
    }
    return best;
}

/* The layout that the files ask for; says what is wrong with it. */
static bool is_layout_good(struct arb_turn *t, const struct arb_sight *s)
{
    uint8_t at = MDB_NOBODY;
    enum arb_refusal why = mdb_layout_check(s->wants, s->wants_count, &at);
    if (why == ARB_REFUSE_NONE) {
        return true;
    }
    at = at == MDB_NOBODY && s->wants_count > 0 ? (uint8_t)(s->wants_count - 1) : at;
    struct arb_note note = {.kind = ARB_NOTE_MONGODB_LAYOUT, .member = t->c->name, .why = why};
    if (at != MDB_NOBODY && s->wants[at].member != NULL) {
        note.member = *s->wants[at].member;
    }
    arb_say_waiting(t, &note);
    return false;
}

static void initiate_at(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                        uint8_t founder)
{
    const struct arb_view *view = &t->c->views[founder];
    struct msg_mongodb_order o = {.kind = MSG_MONGODB_ORDER_INITIATE,
                                  .member = view->member,
                                  .subject = view->member,
                                  .votes = 1};
    for (uint8_t i = 0; i < s->wants_count; i++) {
        if (s->wants[i].member == &view->member) {
            o.subject_host = s->wants[i].host;
            o.priority_x10 = s->wants[i].priority_x10;
        }
    }
    o.election_timeout_ms = next->mongodb.policy.election_timeout_ms;
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_FOUNDS);
    note->member = view->member;
    note->a = t->c->record.epoch + 1;
    arb_mongodb_begin(t, s, next, &o, ARB_CAUSE_FOUNDED);
}

static void say_found_waits(struct arb_turn *t, struct seats seats)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *view = &t->c->views[i];
        if (view->has_report && view->report.mongodb.is_login_refused) {
            arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_LOGIN_WAITS,
                                                  .member = view->member});
            return;
        }
    }
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_FOUND_WAITS,
                                          .a = seats.wanted,
                                          .b = seats.heard});
}

static bool has_waited(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->has_boot_began) {
        c->has_boot_began = true;
        c->boot_began = t->event->now;
    }
    return base_mono_diff_us(t->event->now, c->boot_began) >= ARB_BOOTSTRAP_WAIT_US;
}

static void found_blank(struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_cluster *c = t->c;
    struct seats seats = count(c, t->event->now);
    uint8_t founder = choose_founder(c, t->event->now);
    if (seats.heard < seats.wanted || founder == ARB_NOBODY) {
        c->has_boot_began = false;
        say_found_waits(t, seats);
        return;
    }
    if (!is_layout_good(t, s) || !has_waited(t)) {
        return;
    }
    struct msg_record next = {
        .cluster = c->name, .restore_id = c->restore_id, .state = MSG_RECORD_RUNNING};
    arb_take_seed(&c->views[founder].report, &next);
    arb_settings_begin(c, &next);
    initiate_at(t, s, &next, founder);
}

void arb_mongodb_found_again(struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_cluster *c = t->c;
    const struct msg_mongodb_order *last = &c->record.mongodb.order;
    struct seats seats = count(c, t->event->now);
    uint8_t founder = CANARY(MONGODB_INITIATE_AGAIN) ? choose_founder(c, t->event->now)
                                                     : arb_view_find(c, &last->member);
    bool is_there = founder != ARB_NOBODY && is_blank(&c->views[founder], t->event->now) &&
                    is_up(&c->views[founder]);
    if (s->set.has_config || seats.heard < seats.wanted || !is_there) {
        if (!c->record.mongodb.is_initiated) {
            say_found_waits(t, seats);
        }
        return;
    }
    if (c->mongodb.failures > 0 && base_mono_before(t->event->now, c->mongodb.not_before)) {
        return;
    }
    struct msg_record next = c->record;
    initiate_at(t, s, &next, founder);
}

/* --- it runs already --- */

/* By a record that is lost: of an image, or as a member says. */
static bool was_led(const struct arb_cluster *c)
{
    if (c->restore_id != 0) {
        return true;
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (c->views[i].has_report && c->views[i].report.epoch_seen != 0) {
            return true;
        }
    }
    return false;
}

/* Whose word counts: the primary's, of whoever knows the configuration, of whoever has data. */
static const struct arb_view *teller_of(const struct arb_cluster *c, const struct arb_sight *s)
{
    struct base_name name = arb_mongodb_name(c, s, s->set.primary);
    uint8_t primary = arb_view_find(c, &name);
    if (primary != ARB_NOBODY) {
        return &c->views[primary];
    }
    return s->set.has_config ? &c->views[s->set.reference] : arb_view_with_data(c);
}

/* Members keep to a bar of a record that is lost; from now on it stands in this one, too. */
static void take_bars(const struct arb_cluster *c, uint64_t epoch, struct msg_mongodb_record *r)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report && view->report.mongodb.barred_epoch != 0 &&
            arb_names_add(&r->barred, &view->member) == 0) {
            r->barred_epoch = epoch;
        }
    }
}

/* The record of what is seen, without an order. */
static void take_in(struct arb_turn *t, const struct arb_sight *s, uint64_t epoch,
                    enum arb_decision_kind kind)
{
    struct arb_cluster *c = t->c;
    struct base_name name = arb_mongodb_name(c, s, s->set.primary);
    struct msg_record next = c->record;
    const struct arb_view *view = teller_of(c, s);
    if (c->record.epoch == 0) {
        next = (struct msg_record){.cluster = c->name, .state = MSG_RECORD_RUNNING};
        arb_take_seed(&view->report, &next);
        arb_settings_begin(c, &next);
    }
    next.restore_id = c->restore_id;
    next.epoch = epoch;
    next.tasks_count = 0; /* of a time that is gone */
    next.switchover_at_wall_us = 0;
    next.is_paused = next.is_unarmed = false;
    next.since_wall_us = t->event->wall.us;
    next.mongodb.is_initiated = true;
    next.mongodb.order = (struct msg_mongodb_order){.kind = MSG_MONGODB_ORDER_NONE};
    next.mongodb.force = (struct msg_mongodb_force){.token = 0};
    memcpy(next.mongodb.set_id, view->report.mongodb.set_id, sizeof(next.mongodb.set_id));
    take_bars(c, epoch, &next.mongodb);
    if (arb_mongodb_primary(s) != NULL) {
        next.mongodb.primary = name;
        next.mongodb.primary_term = arb_mongodb_primary(s)->term;
    }
    next.mongodb.config = s->set.has_config ? s->set.config : next.mongodb.config;
    arb_decision_begin(t, kind, &view->member);
    c->decision.epoch = epoch;
    struct arb_note *note =
        arb_say(t, s->set.has_config ? ARB_NOTE_MONGODB_TAKEN_IN : ARB_NOTE_MONGODB_STARTED);
    note->member = view->member;
    note->a = epoch;
    note->b = s->set.peers_count;
    arb_propose(t, kind, &next);
}

/* Down with data, and not started by itself: it was led before, by a record that is lost. */
static const struct arb_view *kept_down(const struct arb_cluster *c)
{
    bool is_kept = was_led(c);
    for (uint8_t i = 0; is_kept && i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_down = view->has_report && view->report.mongodb.state == MSG_MONGODB_DOWN;
        if (is_down && arb_mongodb_has_data(&view->report)) {
            return view;
        }
    }
    return NULL;
}

/* A mongod that was just started has files, and has not said yet whether they are anybody's. */
static bool is_data_known(const struct arb_cluster *c)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        enum msg_mongodb_state s = view->report.mongodb.state;
        bool is_settled = s != MSG_MONGODB_UNKNOWN && s != MSG_MONGODB_STARTING;
        if (view->has_report && is_settled && arb_mongodb_has_data(&view->report)) {
            return true;
        }
    }
    return was_led(c);
}

/* What to type, as soon as it is known. */
static void say_data_waits(struct arb_turn *t, const struct arb_sight *s,
                           const struct arb_view *data)
{
    const struct arb_view *down = s->set.has_config ? NULL : kept_down(t->c);
    struct arb_note note = {
        .kind = ARB_NOTE_MONGODB_DATA_WAITS, .member = data->member, .other = t->c->name};
    if (down != NULL) {
        note.kind = ARB_NOTE_MONGODB_DOWN_WAITS;
        note.member = down->member;
    }
    arb_say_waiting(t, &note);
}

void arb_mongodb_found(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_sight s;
    uint8_t at = MDB_NOBODY;
    arb_mongodb_look(c, t->event->now, &s);
    const struct arb_view *data = arb_view_with_data(c);
    bool is_running = mdb_may_order(&s.set, s.opinions, &at) == ARB_REFUSE_NONE;
    if (is_running && !was_led(c)) {
        if (has_waited(t)) {
            take_in(t, &s, 1, ARB_DECIDE_BOOTSTRAP);
        }
    } else if (data != NULL && is_data_known(c)) {
        say_data_waits(t, &s, data);
    } else if (data != NULL) {
        say_found_waits(t, count(c, t->event->now));
    } else if (arb_is_unknown(c)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_FOUND_WAITS, .member = c->name});
    } else {
        found_blank(t, &s);
    }
}

/* --- an operator's word --- */

/* After a restore of the quorum, or for a set that it has no record of: what the members report is
 * taken; orders of before are void, and their epochs are never met again. */
void arb_mongodb_confirm(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_sight s;
    bool is_anew = c->record.epoch == 0 || arb_is_unconfirmed(c) || arb_view_ahead(c) != NULL;
    arb_mongodb_look(c, t->event->now, &s);
    if (!is_anew) {
        arb_answer(t, BASE_E_STATE, "nothing is to be confirmed: the record is in force");
    } else if (!s.set.has_config && c->record.epoch == 0 && t->event->request->is_forced) {
        take_in(t, &s, arb_epoch_confirmed(c), ARB_DECIDE_CONFIRMED);
        arb_answer(t, 0,
                   "confirmed: the set goes on as its members have it, and those that are down are "
                   "started; who was left out by force stays down");
    } else if (!s.set.has_config && c->record.epoch == 0) {
        arb_answer(t, BASE_E_STATE,
                   "no member that is heard runs and knows the configuration: --force starts those "
                   "that are down");
    } else if (!s.set.has_config) {
        /* The record is kept as it is, above all epochs that were ever given. */
        struct msg_record next = c->record;
        next.restore_id = c->restore_id;
        next.epoch = arb_epoch_confirmed(c);
        next.mongodb.order = (struct msg_mongodb_order){.kind = MSG_MONGODB_ORDER_NONE};
        next.mongodb.force = (struct msg_mongodb_force){.token = 0};
        next.is_paused = next.is_unarmed = false;
        arb_decision_begin(t, ARB_DECIDE_CONFIRMED, &next.mongodb.primary);
        c->decision.epoch = next.epoch;
        arb_propose(t, ARB_DECIDE_CONFIRMED, &next);
        arb_answer(t, 0, "confirmed: the record is in force again");
    } else {
        take_in(t, &s, arb_epoch_confirmed(c), ARB_DECIDE_CONFIRMED);
        arb_answer(t, 0, "confirmed: the record is made from what the members report");
    }
}
