/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: the one open order of a replica set: given, brought from phase to phase, ended.
 *
 * Each order is an entry of the log that raises the epoch; the phases of a switchover raise the
 * revision alone. It is done when what was ordered is read in the members' reports, never by the
 * agent's word; it has failed when the agent says so or when its time is over. A new leader knows
 * no moment at which it was given and waits a whole limit anew.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* Milliseconds; of a switchover one for each phase. */
static const uint32_t limits_ms[MSG_MONGODB_ORDER_COUNT] = {
    [MSG_MONGODB_ORDER_INITIATE] = 60000,  [MSG_MONGODB_ORDER_ADD] = 40000,
    [MSG_MONGODB_ORDER_VOTE] = 40000,      [MSG_MONGODB_ORDER_PRIORITY] = 40000,
    [MSG_MONGODB_ORDER_UNVOTE] = 40000,    [MSG_MONGODB_ORDER_REMOVE] = 40000,
    [MSG_MONGODB_ORDER_STEP_DOWN] = 30000, [MSG_MONGODB_ORDER_KILL] = 20000,
    [MSG_MONGODB_ORDER_RESYNC] = 120000,   [MSG_MONGODB_ORDER_RESTART] = 180000,
    [MSG_MONGODB_ORDER_CONCERN] = 30000,   [MSG_MONGODB_ORDER_ABORT_CATCHUP] = 20000,
    [MSG_MONGODB_ORDER_FORCE] = 60000,     [MSG_MONGODB_ORDER_TIMEOUTS] = 40000,
};
static const uint32_t phase_limits_ms[] = {
    [MSG_MONGODB_PHASE_FREEZE] = 10000,
    [MSG_MONGODB_PHASE_STEP_DOWN] = 25000,
    [MSG_MONGODB_PHASE_STEP_UP] = 15000,
    [MSG_MONGODB_PHASE_UNFREEZE] = 10000,
};

static uint32_t limit_of(const struct msg_mongodb_order *o)
{
    return o->kind == MSG_MONGODB_ORDER_SWITCHOVER ? phase_limits_ms[o->phase] : limits_ms[o->kind];
}

bool arb_mongodb_is_open(const struct msg_record *record)
{
    return record->mongodb.order.state == MSG_MONGODB_ORDER_OPEN;
}

static struct arb_note *say_order(struct arb_turn *t, enum arb_note_kind kind,
                                  const struct msg_mongodb_order *o)
{
    struct arb_note *note = arb_say(t, kind);
    note->member = o->member;
    note->other = o->subject;
    note->a = o->epoch;
    note->c = o->kind;
    return note;
}

/* Who is primary once it is done; empty: nobody that is known. */
static struct base_name primary_after(const struct arb_cluster *c,
                                      const struct msg_mongodb_order *o)
{
    const struct base_name nobody = {{0}};
    if (o->kind == MSG_MONGODB_ORDER_SWITCHOVER) {
        return o->subject;
    }
    if (o->kind == MSG_MONGODB_ORDER_INITIATE || o->kind == MSG_MONGODB_ORDER_FORCE) {
        return o->member;
    }
    bool is_given_up = o->kind == MSG_MONGODB_ORDER_STEP_DOWN || o->kind == MSG_MONGODB_ORDER_KILL;
    return is_given_up ? nobody : c->record.mongodb.primary;
}

static void tell_history(struct arb_turn *t, const struct msg_mongodb_order *o,
                         enum arb_mongodb_cause cause)
{
    struct base_name to = primary_after(t->c, o);
    struct arb_decision *d = &t->c->decision;
    arb_decision_begin(t, ARB_DECIDE_MONGODB_ORDER, &to);
    d->from = t->c->record.mongodb.primary;
    d->order = o->kind;
    d->order_member = o->member;
    d->order_subject = o->subject;
    d->cause = cause;
}

void arb_mongodb_begin(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                       const struct msg_mongodb_order *o, enum arb_mongodb_cause cause)
{
    struct arb_cluster *c = t->c;
    struct msg_mongodb_order *order = &next->mongodb.order;
    BASE_ASSERT(!arb_mongodb_is_open(&c->record) && !base_name_is_empty(&o->member));
    next->epoch = c->record.epoch + 1;
    if (CANARY(MONGODB_ORDER_WITHOUT_EPOCH) && c->record.epoch > 0) {
        next->epoch = c->record.epoch;
    }
    next->since_wall_us = t->event->wall.us;
    *order = *o;
    order->epoch = next->epoch;
    order->state = MSG_MONGODB_ORDER_OPEN;
    order->limit_ms = limit_of(order);
    if (base_name_is_empty(&order->subject)) {
        order->subject = order->member;
    }
    bool is_outside = o->kind == MSG_MONGODB_ORDER_RESYNC && o->subject_host.text[0] == '\0';
    if (o->kind != MSG_MONGODB_ORDER_INITIATE && o->kind != MSG_MONGODB_ORDER_FORCE &&
        !is_outside) {
        order->expected_term = s->set.term;
        order->expected_config = s->set.config;
    }
    (void)say_order(t, ARB_NOTE_MONGODB_ORDER, order);
    tell_history(t, order, cause);
    c->mongodb.order_of = 0;
    arb_propose(t, ARB_DECIDE_MONGODB_ORDER, next);
}

/* --- is it done? --- */

static const struct mdb_opinion *opinion_of(const struct arb_cluster *c, const struct arb_sight *s,
                                            const struct base_name *member)
{
    uint8_t at = arb_view_find(c, member);
    bool is_fresh = at != ARB_NOBODY && s->opinions[at].report != NULL &&
                    s->opinions[at].heard_ms <= MDB_EVIDENCE_MS;
    return is_fresh ? &s->opinions[at] : NULL;
}

/* The part that the member had in the order's phase. 1: done, -1: failed, 0: not ended. */
static int said_by(const struct msg_mongodb_order *o, const struct mdb_opinion *opinion)
{
    if (opinion == NULL || opinion->report->order_epoch != o->epoch ||
        opinion->report->order_phase != o->phase || !opinion->report->is_order_done) {
        return 0;
    }
    return opinion->report->order_status == 0 ? 1 : -1;
}

/* A newer configuration than the one expected is on a majority. */
static bool is_config_moved(const struct arb_sight *s, const struct msg_mongodb_order *o)
{
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    return primary != NULL && primary->is_config_committed &&
           mdb_version_compare(&s->set.config, &o->expected_config) > 0 &&
           mdb_version_compare(&s->set.config, &primary->config) == 0;
}

static bool is_contents_seen(const struct arb_sight *s, const struct msg_mongodb_order *o)
{
    uint8_t at = mdb_find(&s->set, &o->subject_host);
    const struct msg_mongodb_peer *peer = at == MDB_NOBODY ? NULL : &s->set.peers[at].peer;
    if (o->kind == MSG_MONGODB_ORDER_REMOVE) {
        return peer == NULL;
    }
    if (peer == NULL) {
        return false;
    }
    if (o->kind == MSG_MONGODB_ORDER_PRIORITY) {
        return peer->priority_x10 == o->priority_x10;
    }
    bool is_vote_seen = peer->votes == (o->kind == MSG_MONGODB_ORDER_VOTE);
    return o->kind == MSG_MONGODB_ORDER_ADD || is_vote_seen;
}

static bool is_writable(const struct mdb_opinion *o)
{
    return mdb_is_fresh(o) && o->report->is_writable;
}

static bool is_initiate_seen(const struct mdb_opinion *member)
{
    return is_writable(member) && member->report->is_config_known &&
           member->report->self.text[0] != '\0';
}

/* The configuration is that of the survivors, all of them and nobody else. */
static bool is_force_seen(const struct arb_turn *t, const struct arb_sight *s,
                          const struct msg_mongodb_order *o, const struct mdb_opinion *member)
{
    const struct msg_mongodb_force *f = &t->c->record.mongodb.force;
    if (!mdb_is_fresh(member) || !member->report->is_config_known ||
        mdb_version_compare(&member->report->config, &o->expected_config) <= 0) {
        return false;
    }
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        struct base_name name = arb_mongodb_name(t->c, s, i);
        if (!arb_names_has(&f->survivors, &name)) {
            return false;
        }
    }
    return mdb_version_compare(&s->set.config, &member->report->config) == 0 &&
           s->set.peers_count == f->survivors.count;
}

/* It answers, whatever it has to catch up; one that was barred is in no configuration yet. */
static bool is_running_again(const struct mdb_opinion *member)
{
    enum msg_mongodb_state s = member->report->state;
    bool is_emptied = s == MSG_MONGODB_ABSENT && !member->report->has_data;
    return is_emptied || (mdb_is_fresh(member) && s != MSG_MONGODB_DOWN && s != MSG_MONGODB_HELD &&
                          s != MSG_MONGODB_STARTING && s != MSG_MONGODB_UNKNOWN &&
                          s != MSG_MONGODB_ABSENT && s != MSG_MONGODB_HUNG);
}

/* What was ordered is read. */
static bool is_seen(const struct arb_turn *t, const struct arb_sight *s,
                    const struct msg_mongodb_order *o)
{
    const struct mdb_opinion *member = opinion_of(t->c, s, &o->member);
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    if (member == NULL) {
        return false;
    }
    switch (o->kind) {
    case MSG_MONGODB_ORDER_SWITCHOVER: /* by its phases */
    case MSG_MONGODB_ORDER_NONE:
    case MSG_MONGODB_ORDER_COUNT:
        BASE_UNREACHABLE();
    case MSG_MONGODB_ORDER_INITIATE:
        return is_initiate_seen(member);
    case MSG_MONGODB_ORDER_ADD:
    case MSG_MONGODB_ORDER_VOTE:
    case MSG_MONGODB_ORDER_PRIORITY:
    case MSG_MONGODB_ORDER_UNVOTE:
    case MSG_MONGODB_ORDER_REMOVE:
        return is_config_moved(s, o) && is_contents_seen(s, o);
    case MSG_MONGODB_ORDER_TIMEOUTS:
        return primary != NULL && primary->election_timeout_ms == o->election_timeout_ms;
    case MSG_MONGODB_ORDER_CONCERN:
        return primary != NULL && primary->concern >= MSG_MONGODB_CONCERN_SET_ONE;
    case MSG_MONGODB_ORDER_STEP_DOWN:
        return mdb_is_fresh(member) && !member->report->is_writable && said_by(o, member) > 0;
    case MSG_MONGODB_ORDER_KILL:
        return member->report->state == MSG_MONGODB_HELD ||
               member->report->state == MSG_MONGODB_DOWN;
    case MSG_MONGODB_ORDER_RESYNC:
    case MSG_MONGODB_ORDER_RESTART:
        return said_by(o, member) > 0 && is_running_again(member);
    case MSG_MONGODB_ORDER_ABORT_CATCHUP:
        return is_writable(member);
    case MSG_MONGODB_ORDER_FORCE:
        return is_force_seen(t, s, o, member);
    }
    BASE_UNREACHABLE();
}

/* --- its end --- */

int64_t arb_mongodb_back_off_us(uint8_t failures)
{
    int64_t us = MONGODB_BACK_OFF_US;
    for (uint8_t i = 0; i < failures && us < MONGODB_BACK_OFF_MAX_US; i++) {
        us *= 2;
    }
    return us < MONGODB_BACK_OFF_MAX_US ? us : MONGODB_BACK_OFF_MAX_US;
}

/* What was asked of one member waits by itself; all else together. */
static void back_off(struct arb_turn *t)
{
    struct arb_mongodb *m = &t->c->mongodb;
    if (arb_mongodb_put_off(t)) {
        return;
    }
    m->not_before = base_mono_add_us(t->event->now, arb_mongodb_back_off_us(m->failures));
    m->failures = (uint8_t)(m->failures < 100 ? m->failures + 1 : 100);
}

/* What the set is from now on, with the end of the order that made it so. */
static void take_result(const struct arb_turn *t, const struct arb_sight *s,
                        struct msg_mongodb_record *next)
{
    const struct mdb_opinion *member = opinion_of(t->c, s, &next->order.member);
    if (next->order.kind == MSG_MONGODB_ORDER_INITIATE && member != NULL) {
        next->is_initiated = true;
        memcpy(next->set_id, member->report->set_id, sizeof(next->set_id));
    }
}

static void end(struct arb_turn *t, const struct arb_sight *s, int32_t status, int32_t code)
{
    struct msg_record next = t->c->record;
    struct msg_mongodb_order *o = &next.mongodb.order;
    o->state = status == 0 ? MSG_MONGODB_ORDER_DONE : MSG_MONGODB_ORDER_FAILED;
    o->status = status;
    o->code = code;
    enum arb_note_kind kind =
        status == 0 ? ARB_NOTE_MONGODB_ORDER_DONE : ARB_NOTE_MONGODB_ORDER_FAILED;
    say_order(t, kind, o)->b = status < 0 && status > INT32_MIN ? (uint64_t)-status : 0;
    if (status == 0) {
        t->c->mongodb.failures = 0;
        arb_mongodb_try_again(t);
        take_result(t, s, &next.mongodb);
    } else if (o->epoch != t->c->mongodb.failed_order || CANARY(MONGODB_FAILURE_COUNTED_AGAIN)) {
        t->c->mongodb.failed_order = o->epoch; /* said again where this came too late */
        back_off(t);
    }
    arb_propose(t, ARB_DECIDE_MONGODB_ENDED, &next);
}

static void go_on(struct arb_turn *t, enum msg_mongodb_phase phase, int32_t status, int32_t code)
{
    struct msg_record next = t->c->record;
    struct msg_mongodb_order *o = &next.mongodb.order;
    o->phase = (uint8_t)phase;
    o->limit_ms = limit_of(o);
    o->status =
        status != 0 ? status : o->status; /* kept until the end: others are unfrozen first */
    o->code = code != 0 ? code : o->code;
    say_order(t, ARB_NOTE_MONGODB_PHASE, o)->b = phase;
    arb_propose(t, ARB_DECIDE_MONGODB_PHASE, &next);
}

void arb_mongodb_cancel(struct arb_turn *t)
{
    struct arb_sight s;
    const struct msg_mongodb_order *o = &t->c->record.mongodb.order;
    arb_mongodb_look(t->c, t->event->now, &s);
    if (o->kind == MSG_MONGODB_ORDER_SWITCHOVER && o->phase != MSG_MONGODB_PHASE_UNFREEZE) {
        go_on(t, MSG_MONGODB_PHASE_UNFREEZE, BASE_E_CANCELED, 0);
    } else {
        end(t, &s, BASE_E_CANCELED, 0);
    }
    struct arb_mongodb *m = &t->c->mongodb;
    m->failures = m->failures > 0 ? m->failures : 1; /* what was canceled holds all else up, too */
    m->not_before = base_mono_add_us(t->event->now, MONGODB_CANCELED_US);
}

/* --- phases of a switchover --- */

/* Everybody with data but the two: their part of the phase. 1: all have done it, -1: one has not.
 */
static int others_said(const struct arb_turn *t, const struct arb_sight *s,
                       const struct msg_mongodb_order *o)
{
    int all = 1;
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        const struct mdb_peer *p = &s->set.peers[i];
        struct base_name name = arb_mongodb_name(t->c, s, i);
        bool is_other = !base_name_equal(&name, &o->member) &&
                        !base_name_equal(&name, &o->subject) && !p->peer.is_arbiter;
        if (!is_other || !p->is_alive || !p->is_own) {
            continue;
        }
        int said = said_by(o, &s->opinions[p->at]);
        all = said < all ? said : all;
    }
    return all;
}

/* The target takes writes in a later term: whatever phase it is. */
static bool has_moved(const struct arb_turn *t, const struct arb_sight *s,
                      const struct msg_mongodb_order *o)
{
    const struct mdb_opinion *subject = opinion_of(t->c, s, &o->subject);
    return subject != NULL && is_writable(subject) && subject->report->term > o->expected_term;
}

static bool watch_switchover(struct arb_turn *t, const struct arb_sight *s, bool is_late)
{
    const struct msg_mongodb_order *o = &t->c->record.mongodb.order;
    const struct mdb_opinion *from = opinion_of(t->c, s, &o->member);
    const struct mdb_opinion *to = opinion_of(t->c, s, &o->subject);
    int32_t late = is_late ? BASE_E_TIMEOUT : 0;
    int said = 0;
    if (o->phase == MSG_MONGODB_PHASE_UNFREEZE) {
        if (is_late || others_said(t, s, o) != 0) {
            end(t, s, o->status, o->code); /* what is still frozen thaws by itself in 30 s */
            return true;
        }
        return false;
    }
    if (has_moved(t, s, o)) {
        go_on(t, MSG_MONGODB_PHASE_UNFREEZE, 0, 0);
        return true;
    }
    switch ((enum msg_mongodb_phase)o->phase) {
    case MSG_MONGODB_PHASE_FREEZE:
        said = others_said(t, s, o);
        break;
    case MSG_MONGODB_PHASE_STEP_DOWN:
        said = said_by(o, from);
        said = said > 0 && is_writable(from) ? 0 : said;
        break;
    case MSG_MONGODB_PHASE_STEP_UP:
        said = said_by(o, to) < 0 ? -1 : 0; /* done is what is read */
        break;
    case MSG_MONGODB_PHASE_ONLY:
    case MSG_MONGODB_PHASE_UNFREEZE:
        BASE_UNREACHABLE();
    }
    if (said > 0) {
        go_on(t, (enum msg_mongodb_phase)(o->phase + 1), 0, 0);
        return true;
    }
    if (said < 0 || is_late) {
        const struct mdb_opinion *who = o->phase == MSG_MONGODB_PHASE_STEP_DOWN ? from : to;
        bool is_told = said_by(o, who) < 0;
        int32_t status = is_told ? who->report->order_status : BASE_E_TIMEOUT;
        go_on(t, MSG_MONGODB_PHASE_UNFREEZE, late != 0 ? late : status,
              is_told ? who->report->order_code : 0);
        return true;
    }
    return false;
}

/* --- the open order --- */

static bool is_late(struct arb_turn *t)
{
    struct arb_mongodb *m = &t->c->mongodb;
    const struct msg_mongodb_order *o = &t->c->record.mongodb.order;
    if (!m->has_order || m->order_epoch != o->epoch || m->order_phase != o->phase) {
        m->has_order = true;
        m->order_epoch = o->epoch;
        m->order_phase = o->phase;
        m->order_since = t->event->now;
    }
    return base_mono_diff_us(t->event->now, m->order_since) > o->limit_ms * BASE_US_PER_MS;
}

/* Somebody else has founded the set meanwhile: there is never a second one. */
static bool is_founded_elsewhere(const struct arb_sight *s, const struct msg_mongodb_order *o,
                                 const struct mdb_opinion *member)
{
    bool is_in = member != NULL && member->report != NULL && member->report->is_config_known;
    return o->kind == MSG_MONGODB_ORDER_INITIATE && s->set.has_config && !is_in;
}

bool arb_mongodb_watch(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_mongodb_order *o = &t->c->record.mongodb.order;
    if (!arb_mongodb_is_open(&t->c->record)) {
        return false;
    }
    bool is_over = is_late(t);
    if (o->kind == MSG_MONGODB_ORDER_SWITCHOVER) {
        return watch_switchover(t, s, is_over);
    }
    const struct mdb_opinion *member = opinion_of(t->c, s, &o->member);
    if (is_seen(t, s, o)) {
        end(t, s, 0, 0);
        return true;
    }
    if (is_founded_elsewhere(s, o, member)) {
        end(t, s, BASE_E_CONFLICT, 0);
        return true;
    }
    if (said_by(o, member) < 0) {
        end(t, s, member->report->order_status, member->report->order_code);
        return true;
    }
    if (is_over) {
        end(t, s, BASE_E_TIMEOUT, 0);
        return true;
    }
    return false;
}
