/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the members: taking reports in, telling processes of one name apart, freshness.
 *
 * A late or doubled frame never overwrites a newer one. A process with another guard takes a name
 * only when the one that has it is silent for four heartbeats: two hosts with one name must never
 * speak in turn.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

#define RIVAL_HEARTBEATS 4
#define LIVE_HEARTBEATS 3
#define LIVE_MIN_US (BASE_US_PER_S / 2)

int64_t arb_heartbeat_us(const struct arb_cluster *c)
{
    uint32_t ms = c->record.heartbeat_ms != 0 ? c->record.heartbeat_ms : LEASE_HEARTBEAT_DEFAULT_MS;
    return ms * BASE_US_PER_MS;
}

int64_t arb_ttl_us(const struct arb_cluster *c)
{
    uint32_t ms = c->record.ttl_ms != 0 ? c->record.ttl_ms : LEASE_TTL_DEFAULT_MS;
    return ms * BASE_US_PER_MS;
}

uint8_t arb_view_find(const struct arb_cluster *c, const struct base_name *member)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (base_name_equal(&c->views[i].member, member)) {
            return i;
        }
    }
    return ARB_NOBODY;
}

struct arb_view *arb_view_holder(struct arb_cluster *c)
{
    uint8_t i = arb_view_find(c, &c->record.holder);
    return i == ARB_NOBODY || !c->views[i].has_report ? NULL : &c->views[i];
}

bool arb_view_is_fresh(const struct arb_view *view, struct base_mono now, int64_t us)
{
    return view->has_report && base_mono_diff_us(now, view->heard) <= us;
}

bool arb_view_is_live(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now)
{
    int64_t us = LIVE_HEARTBEATS * arb_heartbeat_us(c);
    return arb_view_is_fresh(view, now, us > LIVE_MIN_US ? us : LIVE_MIN_US);
}

bool arb_view_is_holder(const struct arb_cluster *c, const struct arb_view *view)
{
    return c->record.epoch != 0 && view->has_report && view->refused == ARB_REFUSE_NONE &&
           base_name_equal(&view->member, &c->record.holder) && view->report.instance != 0 &&
           (view->report.instance == c->record.holder_instance || CANARY(INSTANCE_IGNORED));
}

const struct arb_view *arb_view_ahead(const struct arb_cluster *c)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report && view->refused == ARB_REFUSE_NONE &&
            view->report.epoch_seen > c->record.epoch) {
            return view;
        }
    }
    return NULL;
}

bool arb_has_database(const struct arb_view *view)
{
    enum msg_db_state s = view->report.db_state;
    return s != MSG_DB_UNKNOWN && s != MSG_DB_EMPTY && s != MSG_DB_CREATING && s != MSG_DB_FAILED &&
           view->report.position.lineage != 0;
}

/* An order that only refuses, for a process without a view. */
static void refuse(struct arb_turn *t, enum arb_refusal why, enum msg_goal goal)
{
    struct msg_order *order = &t->fx->refusal;
    if (!t->c->is_leader || !t->c->is_ready) {
        return;
    }
    t->fx->has_refusal = true;
    t->fx->refusal_link = t->event->link;
    *order = (struct msg_order){.session = t->event->report->session,
                                .number = t->event->report->number,
                                .term = t->c->term,
                                .record = t->c->record,
                                .goal = goal,
                                .reason = base_text_from(slice_from_text(arb_refusal_text(why)))};
}

/* Another guard speaks with this view's name. True: it may have the name now. */
static bool rival_may_enter(struct arb_turn *t, struct arb_view *view)
{
    const struct msg_report *report = t->event->report;
    int64_t silent_us = base_mono_diff_us(t->event->now, view->heard);
    if (silent_us > RIVAL_HEARTBEATS * arb_heartbeat_us(t->c)) {
        return true;
    }
    bool is_known = view->rival_session == report->session;
    bool are_both_alive = is_known && base_mono_before(view->rival_heard, view->heard);
    if (!is_known) {
        view->rival_session = report->session;
        view->rival_heard = t->event->now;
    }
    if (!are_both_alive) {
        MARK(ANOTHER_GUARD_SPEAKS);
        refuse(t, ARB_REFUSE_DOUBLED, MSG_GOAL_NONE);
        return false;
    }
    struct arb_note *note = arb_say(t, ARB_NOTE_MEMBER_REFUSED);
    note->member = view->member;
    note->why = ARB_REFUSE_DOUBLED;
    refuse(t, ARB_REFUSE_DOUBLED, MSG_GOAL_REFUSED);
    return false;
}

/* Decides whether the report may be taken in; false: dropped or refused. */
static bool session_may_speak(struct arb_turn *t, struct arb_view *view)
{
    const struct msg_report *report = t->event->report;
    if (!view->has_report) {
        return true;
    }
    if (report->session == view->report.session) {
        return report->number > view->report.number;
    }
    if (report->session == view->session_before) {
        /* Late, but where it goes on and its successor is silent: then that was an older one. */
        int64_t silent_us = base_mono_diff_us(t->event->now, view->heard);
        return report->number > view->number_before &&
               silent_us > RIVAL_HEARTBEATS * arb_heartbeat_us(t->c);
    }
    return report->instance == view->report.instance || rival_may_enter(t, view);
}

static struct arb_view *view_for(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t i = arb_view_find(c, &t->event->report->member);
    if (i != ARB_NOBODY) {
        return &c->views[i];
    }
    if (c->views_count >= MSG_MEMBERS_MAX) {
        refuse(t, ARB_REFUSE_NO_ROOM, MSG_GOAL_REFUSED);
        return NULL;
    }
    struct arb_view *view = &c->views[c->views_count++];
    *view = (struct arb_view){.member = t->event->report->member};
    arb_say(t, ARB_NOTE_MEMBER_NEW)->member = view->member;
    return view;
}

static bool is_seen_change(const struct msg_report *a, const struct msg_report *b)
{
    return a->db_state != b->db_state || a->is_open != b->is_open ||
           a->is_receiving != b->is_receiving || a->is_rejoin_needed != b->is_rejoin_needed ||
           a->position.timeline != b->position.timeline || a->db_port != b->db_port ||
           a->http_port != b->http_port || a->galera.state != b->galera.state ||
           a->mongodb.state != b->mongodb.state || a->epoch_held != b->epoch_held ||
           !slice_equal(base_text_slice(&a->host), base_text_slice(&b->host)) ||
           !slice_equal(base_text_slice(&a->note), base_text_slice(&b->note));
}

static void check_identity(struct arb_turn *t, struct arb_view *view)
{
    const struct msg_record *record = &t->c->record;
    enum arb_refusal before = view->refused;
    bool is_other = arb_engine_of(t->c)->is_other(record, &view->report);
    view->refused = is_other ? ARB_REFUSE_OTHER_SYSTEM : ARB_REFUSE_NONE;
    if (is_other && before != view->refused) {
        struct arb_note *note = arb_say(t, ARB_NOTE_MEMBER_REFUSED);
        note->member = view->member;
        note->why = view->refused;
    }
}

/* What the holder says about its standbys: who may stand in the synchronous set. */
static void mark_standbys(struct arb_cluster *c, const struct arb_view *holder,
                          struct base_mono now)
{
    for (uint8_t i = 0; i < holder->report.standbys_count; i++) {
        const struct msg_standby *standby = &holder->report.standbys[i];
        uint8_t at = arb_view_find(c, &standby->member);
        if (at == ARB_NOBODY || !standby->is_streaming ||
            (!standby->is_confirmed && !CANARY(SYNC_BEFORE_CONFIRMED))) {
            continue;
        }
        struct arb_view *view = &c->views[at];
        if (view->refused == ARB_REFUSE_NONE && arb_view_is_fresh(view, now, 2 * arb_ttl_us(c))) {
            view->sync_ok = now;
            view->has_sync_ok = true;
        }
    }
}

/* A server that does not answer, or a log whose end could not be read, tells nothing: LSN 0. */
static bool tells_position(const struct arb_cluster *c, const struct msg_position *p)
{
    bool is_told = p->lsn != 0 || CANARY(UNKNOWN_POSITION_TELLS);
    return is_told && arb_position_has_floor(&c->record, p);
}

static void take_position(struct arb_cluster *c, const struct msg_position *p)
{
    c->known = arb_position_compare(p, &c->known) > 0 ? *p : c->known;
}

static void take_holders(struct arb_cluster *c, const struct msg_position *p, struct base_mono now)
{
    c->is_holder_known = true;
    c->told_at = now;
    take_position(c, p);
}

static void mark_position(struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    const struct msg_position *p = &view->report.position;
    bool is_own = arb_view_is_holder(c, view) && view->report.epoch_held == c->record.epoch;
    bool is_told = (is_own || p->lineage == c->record.epoch) && tells_position(c, p);
    bool is_holders = base_name_equal(&view->member, &c->record.holder);
    if (is_told && (is_holders || CANARY(STANDBY_TELLS_OF_HOLDER))) {
        take_holders(c, p, now);
    } else if (is_told) {
        take_position(c, p);
    }
    /* What the holder told it in a failsafe round of this epoch. */
    p = &view->report.failsafe_position;
    bool is_news = !c->is_holder_known || arb_position_compare(p, &c->known) > 0;
    if (p->lineage == c->record.epoch && view->report.epoch_seen == c->record.epoch &&
        tells_position(c, p) && is_news) {
        take_holders(c, p, now);
    }
}

static void take_in(struct arb_turn *t, struct arb_view *view)
{
    const struct msg_report *report = t->event->report;
    struct arb_cluster *c = t->c;
    bool is_changed = !view->has_report || is_seen_change(&view->report, report);
    if (view->has_report && view->report.session != report->session) {
        view->session_before = view->report.session;
        view->number_before = view->report.number;
        view->rival_session = 0;
        arb_say(t, ARB_NOTE_MEMBER_BACK)->member = view->member;
    }
    const struct arb_engine *engine = arb_engine_of(c);
    const struct msg_report before = view->report;
    view->has_report = true;
    view->report = *report;
    view->heard = t->event->now;
    view->link = t->event->link;
    check_identity(t, view);
    if (is_changed) {
        t->fx->changed |= (uint16_t)(1u << (unsigned)(view - c->views));
    }
    if (view->refused != ARB_REFUSE_NONE || c->record.epoch == 0) {
        return;
    }
    mark_position(c, view, t->event->now);
    if (engine->taken_in != NULL) {
        engine->taken_in(c, view, &before);
    }
    if (arb_view_is_holder(c, view) && report->epoch_held == c->record.epoch) {
        mark_standbys(c, view, t->event->now);
        if (engine->is_serving(report) && c->handed == ARB_OVER_NO) {
            c->holder_good = t->event->now;
            c->has_holder_good = true;
        }
    }
}

void arb_view_report(struct arb_turn *t)
{
    struct arb_view *view = view_for(t);
    if (view == NULL || !session_may_speak(t, view)) {
        return;
    }
    take_in(t, view);
}
