/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: what to order next, when no order is open and the primary is seen by a majority.
 *
 * First what repairs (a vote taken away or given back), then what operators asked for (drain, who
 * leaves, restart, new sync), then the layout, at last the steering of the primary. One at a time;
 * after a failure it waits, longer each time.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/name.h"

#include <string.h>

static struct msg_mongodb_order at_primary(const struct arb_turn *t, const struct arb_sight *s,
                                           enum msg_mongodb_order_kind kind)
{
    return (struct msg_mongodb_order){.kind = kind,
                                      .member = arb_mongodb_name(t->c, s, s->set.primary)};
}

struct msg_mongodb_order arb_mongodb_about(const struct arb_turn *t, const struct arb_sight *s,
                                           enum msg_mongodb_order_kind kind, uint8_t at)
{
    struct msg_mongodb_order o = at_primary(t, s, kind);
    o.subject = arb_mongodb_name(t->c, s, at);
    o.subject_host = s->set.peers[at].peer.host;
    return o;
}

static void say(struct arb_turn *t, enum arb_note_kind kind, const struct base_name *member,
                enum arb_refusal why)
{
    arb_say_waiting(
        t, &(struct arb_note){.kind = kind, .member = *member, .other = t->c->name, .why = why});
}

/* --- a vote taken away, and given back --- */

static bool give_back(struct arb_turn *t, const struct arb_sight *s, const struct base_name *name)
{
    uint8_t at = arb_mongodb_peer(t->c, s, name);
    uint8_t i = arb_view_find(t->c, name);
    struct msg_record next = t->c->record;
    if (at == MDB_NOBODY || i == ARB_NOBODY || !t->c->views[i].has_report) {
        return false;
    }
    const struct arb_view *view = &t->c->views[i];
    uint32_t back_ms = view->is_well ? arb_mongodb_since_ms(t->event->now, view->well_since) : 0;
    uint16_t priority = (uint16_t)(view->report.mongodb.priority * MDB_PRIORITY_UNIT);
    if (mdb_is_restored(&s->set, at, priority)) {
        arb_names_remove(&next.mongodb.degraded, name);
        arb_say(t, ARB_NOTE_MONGODB_RESTORED)->member = *name;
        arb_propose(t, ARB_DECIDE_MONGODB_SEEN, &next);
        return true;
    }
    enum msg_mongodb_order_kind kind = mdb_restore_step(&s->set, at, back_ms);
    if (kind == MSG_MONGODB_ORDER_NONE) {
        return false;
    }
    struct msg_mongodb_order o = arb_mongodb_about(t, s, kind, at);
    o.votes = 1;
    o.priority_x10 = kind == MSG_MONGODB_ORDER_PRIORITY ? priority : 0;
    arb_say(t, ARB_NOTE_MONGODB_RESTORES)->member = *name;
    arb_mongodb_begin(t, s, &next, &o, ARB_CAUSE_BACK);
    return true;
}

static bool take_away(struct arb_turn *t, const struct arb_sight *s, uint8_t at)
{
    struct base_name name = arb_mongodb_name(t->c, s, at);
    uint32_t silent_ms = arb_mongodb_silent_ms(t->c, &name, t->event->now);
    struct msg_record next = t->c->record;
    if (base_name_is_empty(&name) || mdb_degrade_check(&s->set, at, silent_ms) != ARB_REFUSE_NONE ||
        arb_names_add(&next.mongodb.degraded, &name) != 0) {
        return false;
    }
    struct msg_mongodb_order o = arb_mongodb_about(t, s, MSG_MONGODB_ORDER_UNVOTE, at);
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_DEGRADES);
    note->member = name;
    note->a = s->set.peers[at].dead_ms / 1000;
    arb_mongodb_begin(t, s, &next, &o, ARB_CAUSE_DEAD);
    return true;
}

static bool mend_votes(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_mongodb_record *r = &t->c->record.mongodb;
    for (uint8_t i = 0; i < r->degraded.count; i++) {
        if (give_back(t, s, &r->degraded.names[i])) {
            return true;
        }
    }
    for (uint8_t i = 0; r->policy.is_degrade_auto && i < s->set.peers_count; i++) {
        if (take_away(t, s, i)) {
            return true;
        }
    }
    return false;
}

/* --- a primary that does not write --- */

static bool climb_ladder(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_mongodb_record *r = &t->c->record.mongodb;
    const struct mdb_peer *p = &s->set.peers[s->set.primary];
    const struct msg_mongodb_report *report = s->opinions[p->at].report;
    if (p->state != MSG_MONGODB_GRAY) {
        return false;
    }
    struct msg_record next = t->c->record;
    struct msg_mongodb_order o = at_primary(t, s, MSG_MONGODB_ORDER_STEP_DOWN);
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_GRAY,
                                          .member = o.member,
                                          .a = report->canary_ms / 1000});
    if (r->policy.gray == MSG_MONGODB_GRAY_REPORT || report->canary_ms < MONGODB_GRAY_MS ||
        !mdb_is_majority_elsewhere(&s->set, s->opinions, s->set.primary)) {
        return false;
    }
    /* By the record: whoever leads next has not seen it fail. */
    bool is_tried = r->order.kind == MSG_MONGODB_ORDER_STEP_DOWN &&
                    r->order.state == MSG_MONGODB_ORDER_FAILED &&
                    r->order.expected_term == report->term &&
                    base_name_equal(&r->order.member, &o.member);
    if (is_tried &&
        mdb_kill_check(&s->set, s->opinions, s->set.primary, &r->policy) == ARB_REFUSE_NONE) {
        o.kind = MSG_MONGODB_ORDER_KILL;
    }
    arb_mongodb_begin(t, s, &next, &o, ARB_CAUSE_GRAY);
    return true;
}

/* --- moving the primary --- */

static uint32_t healthy_ms(const struct arb_turn *t, const struct base_name *name)
{
    uint8_t i = arb_view_find(t->c, name);
    bool is_well = i != ARB_NOBODY && t->c->views[i].is_well;
    return is_well ? arb_mongodb_since_ms(t->event->now, t->c->views[i].well_since) : 0;
}

static enum arb_refusal check_target(const struct arb_turn *t, const struct arb_sight *s,
                                     uint8_t at, bool is_asked)
{
    struct base_name name = arb_mongodb_name(t->c, s, at);
    if (arb_names_has(&t->c->record.drained, &name)) {
        return ARB_REFUSE_DRAINED;
    }
    if (arb_names_has(&t->c->record.mongodb.barred, &name)) {
        return ARB_REFUSE_BARRED;
    }
    return mdb_target_check(&s->set, at, is_asked ? UINT32_MAX : healthy_ms(t, &name));
}

static const struct base_name *zone_of(const struct arb_turn *t, const struct base_name *member)
{
    static const struct base_name none = {{0}};
    uint8_t i = arb_view_find(t->c, member);
    return i == ARB_NOBODY ? &none : &t->c->views[i].report.zone;
}

/* Zone, then priority, then lag, then name. */
static bool is_better(const struct arb_turn *t, const struct arb_sight *s, uint8_t a, uint8_t b)
{
    const struct base_name *zone = &t->c->record.mongodb.policy.zone;
    struct base_name name_a = arb_mongodb_name(t->c, s, a);
    struct base_name name_b = arb_mongodb_name(t->c, s, b);
    bool is_in_a = !base_name_is_empty(zone) && base_name_equal(zone_of(t, &name_a), zone);
    bool is_in_b = !base_name_is_empty(zone) && base_name_equal(zone_of(t, &name_b), zone);
    const struct mdb_peer *pa = &s->set.peers[a];
    const struct mdb_peer *pb = &s->set.peers[b];
    if (is_in_a != is_in_b) {
        return is_in_a;
    }
    if (pa->peer.priority_x10 != pb->peer.priority_x10) {
        return pa->peer.priority_x10 > pb->peer.priority_x10;
    }
    return pa->lag_ms != pb->lag_ms ? pa->lag_ms < pb->lag_ms
                                    : base_name_compare(&name_a, &name_b) < 0;
}

uint8_t arb_mongodb_target(const struct arb_turn *t, const struct arb_sight *s,
                           const struct base_name *wanted, bool is_asked, enum arb_refusal *ret_why,
                           struct base_name *ret_who)
{
    uint8_t best = MDB_NOBODY;
    uint8_t refused = MDB_NOBODY;
    *ret_why = mdb_may_order(&s->set, s->opinions, &refused);
    *ret_who = *ret_why == ARB_REFUSE_NONE ? *wanted : t->c->record.mongodb.primary;
    if (*ret_why != ARB_REFUSE_NONE) {
        return MDB_NOBODY;
    }
    *ret_why = ARB_REFUSE_NOBODY_FIT;
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        struct base_name name = arb_mongodb_name(t->c, s, i);
        if (base_name_is_empty(&name) ||
            (!base_name_is_empty(wanted) && !base_name_equal(wanted, &name))) {
            continue;
        }
        enum arb_refusal why = check_target(t, s, i, is_asked);
        if (why == ARB_REFUSE_NONE && (best == MDB_NOBODY || is_better(t, s, i, best))) {
            best = i;
        } else if (why != ARB_REFUSE_NONE && why != ARB_REFUSE_IS_ARBITER &&
                   (why != ARB_REFUSE_IS_HOLDER || !base_name_is_empty(wanted))) {
            *ret_why = why;
            *ret_who = name;
        }
    }
    if (best == MDB_NOBODY && base_name_is_empty(ret_who)) {
        *ret_who = arb_mongodb_name(t->c, s, s->set.primary);
    }
    if (best != MDB_NOBODY) {
        *ret_why = ARB_REFUSE_NONE;
    }
    return best;
}

void arb_mongodb_switch(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                        uint8_t target, enum arb_mongodb_cause cause)
{
    struct msg_mongodb_order o = arb_mongodb_about(t, s, MSG_MONGODB_ORDER_SWITCHOVER, target);
    o.phase = MSG_MONGODB_PHASE_FREEZE;
    arb_mongodb_begin(t, s, next, &o, cause);
}

bool arb_mongodb_move_away(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                           enum arb_mongodb_cause cause)
{
    const struct base_name anybody = {{0}};
    struct base_name who;
    enum arb_refusal why;
    uint8_t target = arb_mongodb_target(t, s, &anybody, true, &why, &who);
    if (target == MDB_NOBODY) {
        arb_say_waiting(
            t, &(struct arb_note){.kind = ARB_NOTE_DRAIN_WAITS, .member = who, .why = why});
        return false;
    }
    arb_mongodb_switch(t, s, next, target, cause);
    return true;
}

static bool empty_drained(struct arb_turn *t, const struct arb_sight *s)
{
    struct base_name primary = arb_mongodb_name(t->c, s, s->set.primary);
    struct msg_record next = t->c->record;
    if (!arb_names_has(&next.drained, &primary) ||
        arb_mongodb_is_put_off(t, ARB_MONGODB_OF_DRAIN, &primary, ARB_NOTE_MONGODB_DRAIN_OFF) ||
        !arb_mongodb_move_away(t, s, &next, ARB_CAUSE_DRAINED)) {
        return false;
    }
    t->c->mongodb.order_of = ARB_MONGODB_OF_DRAIN;
    return true;
}

static bool steer(struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_cluster *c = t->c;
    const struct msg_mongodb_policy *policy = &c->record.mongodb.policy;
    struct base_name primary = arb_mongodb_name(c, s, s->set.primary);
    const struct base_name anybody = {{0}};
    struct base_name who;
    enum arb_refusal why;
    if (!policy->is_steered || base_name_is_empty(&policy->zone) ||
        base_name_equal(zone_of(t, &primary), &policy->zone)) {
        return false;
    }
    uint8_t target = arb_mongodb_target(t, s, &anybody, false, &why, &who);
    struct base_name name = arb_mongodb_name(c, s, target);
    if (target == MDB_NOBODY) {
        arb_say_waiting(
            t, &(struct arb_note){
                   .kind = ARB_NOTE_MONGODB_STEER_WAITS, .member = who, .other = who, .why = why});
        return false;
    }
    if (!base_name_equal(zone_of(t, &name), &policy->zone)) {
        return false;
    }
    if (c->mongodb.has_moved &&
        base_mono_diff_us(t->event->now, c->mongodb.moved) < MONGODB_STEER_US) {
        say(t, ARB_NOTE_MONGODB_STEER_WAITS, &name, ARB_REFUSE_MOVED_LATELY);
        return false;
    }
    struct msg_record next = c->record;
    next.mongodb.moved_wall_us =
        t->event->wall.us != next.mongodb.moved_wall_us ? t->event->wall.us : t->event->wall.us + 1;
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_STEERED);
    note->member = primary;
    note->other = name;
    arb_mongodb_switch(t, s, &next, target, ARB_CAUSE_STEERED);
    return true;
}

/* --- the layout --- */

/* Corrections of what somebody else changes are limited: fighting helps nobody. */
static bool may_correct(struct arb_turn *t, const struct base_name *member)
{
    struct arb_mongodb *m = &t->c->mongodb;
    int64_t since_us =
        m->corrections > 0 ? base_mono_diff_us(t->event->now, m->corrected) : INT64_MAX;
    if (!base_name_equal(&m->corrected_member, member) || since_us > MONGODB_CORRECT_FORGET_US) {
        m->corrections = 0;
    }
    say(t, ARB_NOTE_MONGODB_DRIFT, member, ARB_REFUSE_NONE);
    if (m->corrections > 0 && since_us < MONGODB_CORRECT_US) {
        return false;
    }
    m->corrected_member = *member;
    m->corrected = t->event->now;
    m->corrections++;
    return true;
}

/* Members that the files of those who are in the set name; who leaves does not count. */
static uint8_t intended(const struct arb_turn *t)
{
    uint8_t most = 0;
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *view = &t->c->views[i];
        uint8_t said = view->has_report ? view->report.mongodb.seed_members : 0;
        bool is_in = view->report.mongodb.self.text[0] != '\0';
        most = is_in && said > most ? said : most;
    }
    return most;
}

static enum arb_mongodb_cause cause_of(const struct mdb_step *step, const struct mdb_want *want)
{
    if (step->kind == MSG_MONGODB_ORDER_CONCERN) {
        return ARB_CAUSE_CONCERN;
    }
    if (step->is_drift) {
        return ARB_CAUSE_DRIFT;
    }
    return want != NULL && want->is_leaving ? ARB_CAUSE_LEAVES : ARB_CAUSE_LAYOUT;
}

static bool follow_plan(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    struct mdb_step step;
    mdb_next_step(&s->set, primary->concern, primary->wire_version, s->wants, s->wants_count,
                  intended(t), t->c->mongodb.is_thin_allowed, &step);
    const struct mdb_want *w = step.want == MDB_NOBODY ? NULL : &s->wants[step.want];
    struct msg_mongodb_order o = at_primary(t, s, step.kind);
    if (w != NULL) {
        o.subject = w->member == NULL ? o.subject : *w->member;
        o.subject_host = w->host;
        o.is_arbiter = w->is_arbiter;
    }
    if (step.kind == MSG_MONGODB_ORDER_NONE) {
        if (step.why != ARB_REFUSE_NONE) {
            say(t, ARB_NOTE_MONGODB_LAYOUT, &o.subject, step.why);
        }
        return false;
    }
    if (step.is_drift && !may_correct(t, &o.subject)) {
        return false;
    }
    o.votes = step.votes;
    o.priority_x10 = step.priority_x10;
    struct msg_record next = t->c->record;
    arb_mongodb_begin(t, s, &next, &o, cause_of(&step, w));
    return true;
}

static bool set_timeouts(struct arb_turn *t, const struct arb_sight *s)
{
    uint32_t wanted = t->c->record.mongodb.policy.election_timeout_ms;
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    if (wanted == 0 || primary->election_timeout_ms == 0 ||
        primary->election_timeout_ms == wanted) {
        return false;
    }
    struct msg_mongodb_order o = at_primary(t, s, MSG_MONGODB_ORDER_TIMEOUTS);
    struct msg_record next = t->c->record;
    o.election_timeout_ms = wanted;
    arb_mongodb_begin(t, s, &next, &o, ARB_CAUSE_SETTINGS);
    return true;
}

/* A planned switchover whose time has come. */
static bool keep_date(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_record *r = &t->c->record;
    int64_t at = r->switchover_at_wall_us;
    if (at == 0 || t->event->wall.us < at) {
        return false;
    }
    struct msg_record next = *r;
    struct base_name who;
    enum arb_refusal why;
    uint8_t target = arb_mongodb_target(t, s, &r->switchover_to, true, &why, &who);
    next.switchover_at_wall_us = 0;
    next.switchover_to = (struct base_name){{0}};
    if (target != MDB_NOBODY && t->event->wall.us - at <= ARB_SCHEDULE_LATE_US) {
        arb_mongodb_switch(t, s, &next, target, ARB_CAUSE_PLANNED);
        return true;
    }
    struct arb_note *note = arb_say(t, ARB_NOTE_SCHEDULE_DROPPED);
    note->other = target != MDB_NOBODY ? r->mongodb.primary : who;
    note->why = target != MDB_NOBODY ? ARB_REFUSE_LATE : why;
    arb_propose(t, ARB_DECIDE_SCHEDULE, &next);
    return true;
}

void arb_mongodb_next(struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_mongodb *m = &t->c->mongodb;
    uint8_t at = MDB_NOBODY;
    enum arb_refusal why = mdb_may_order(&s->set, s->opinions, &at);
    if (why != ARB_REFUSE_NONE) {
        struct base_name who = arb_mongodb_name(t->c, s, at);
        say(t, ARB_NOTE_MONGODB_WAITS,
            base_name_is_empty(&who) ? &t->c->record.mongodb.primary : &who, why);
        return;
    }
    if (m->failures > 0 && base_mono_before(t->event->now, m->not_before)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_BACK_OFF,
                                              .a = MONGODB_BACK_OFF_MAX_US / BASE_US_PER_S,
                                              .b = t->c->record.mongodb.order.epoch});
        return;
    }
    (void)(climb_ladder(t, s) || mend_votes(t, s) || keep_date(t, s) || empty_drained(t, s) ||
           arb_mongodb_tasks(t, s) || follow_plan(t, s) || arb_mongodb_mend_stale(t, s) ||
           set_timeouts(t, s) || steer(t, s));
}
