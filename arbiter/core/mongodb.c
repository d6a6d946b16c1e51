/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB replica set: what is observed, and in which order things are decided.
 *
 * MongoDB elects its primary. There is no holder, no lease and no fence; the epoch is the right to
 * give orders and rises with each of them. Primary, term and configuration stand in the record as
 * observations. The loss of the quorum, or of all agents, does nothing to the set. Sections 5 and 6
 * of the reference; the rules themselves are mongodb_rules.h.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* --- hooks --- */

static bool is_no_id(const uint8_t id[static 12])
{
    static const uint8_t none[12];
    return memcmp(id, none, sizeof(none)) == 0;
}

bool arb_mongodb_has_data(const struct msg_report *report)
{
    return report->mongodb.has_data || !is_no_id(report->mongodb.set_id);
}

bool arb_mongodb_is_other(const struct msg_record *record, const struct msg_report *report)
{
    const struct msg_mongodb_report *m = &report->mongodb;
    const struct msg_mongodb_record *r = &record->mongodb;
    if (record->epoch == 0) {
        return report->engine != MSG_ENGINE_MONGODB;
    }
    bool is_other_name = !base_name_is_empty(&r->set_name) && !base_name_is_empty(&m->set_name) &&
                         !base_name_equal(&r->set_name, &m->set_name);
    bool is_other_id = !is_no_id(r->set_id) && !is_no_id(m->set_id) &&
                       memcmp(r->set_id, m->set_id, sizeof(r->set_id)) != 0;
    return report->engine != MSG_ENGINE_MONGODB || is_other_name || is_other_id;
}

/* Nobody has a right that a later process of the host could give back. */
bool arb_mongodb_is_same_host(const struct msg_record *record, const struct msg_report *report)
{
    (void)record;
    (void)report;
    return false;
}

bool arb_mongodb_is_old_gone(const struct msg_report *report)
{
    return report->is_tree_gone;
}

bool arb_mongodb_is_serving(const struct msg_report *report)
{
    return report->mongodb.is_writable;
}

void arb_mongodb_taken_in(struct arb_cluster *c, struct arb_view *view,
                          const struct msg_report *before)
{
    const struct msg_mongodb_report *m = &view->report.mongodb;
    bool is_well = m->state == MSG_MONGODB_SECONDARY && m->lag_ms < MDB_CAUGHT_UP_LAG_MS;
    bool is_down = m->state == MSG_MONGODB_DOWN || m->state == MSG_MONGODB_HELD;
    (void)c;
    (void)before;
    if (is_well && !view->is_well) {
        view->well_since = view->heard;
    }
    if (is_down && !view->is_down) {
        view->down_since = view->heard;
    }
    view->is_well = is_well;
    view->is_down = is_down;
}

enum arb_refusal arb_mongodb_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                          struct base_mono now)
{
    struct arb_sight s;
    arb_mongodb_look(c, now, &s);
    uint8_t at = arb_mongodb_peer(c, &s, &view->member);
    if (view->refused != ARB_REFUSE_NONE) {
        return view->refused;
    }
    if (!arb_view_is_live(c, view, now)) {
        return ARB_REFUSE_SILENT;
    }
    if (at == MDB_NOBODY) {
        return ARB_REFUSE_NO_CONFIG;
    }
    if (arb_names_has(&c->record.drained, &view->member)) {
        return ARB_REFUSE_DRAINED;
    }
    return mdb_target_check(&s.set, at, UINT32_MAX);
}

/* --- what is observed --- */

static void take_place(struct msg_mongodb_record *r, const struct base_name *member,
                       const struct msg_mongodb_host *host)
{
    uint8_t i = 0;
    while (i < r->places_count && base_name_compare(&r->places[i].member, member) < 0) {
        i++;
    }
    if (i < r->places_count && base_name_equal(&r->places[i].member, member)) {
        r->places[i].host = *host;
        return;
    }
    if (r->places_count == MSG_MEMBERS_MAX) {
        return;
    }
    for (uint8_t k = r->places_count; k > i; k--) {
        r->places[k] = r->places[k - 1];
    }
    r->places[i] = (struct msg_mongodb_place){*member, *host};
    r->places_count++;
}

static void drop_place(struct msg_mongodb_record *r, const struct base_name *member)
{
    for (uint8_t i = 0; i < r->places_count; i++) {
        if (!base_name_equal(&r->places[i].member, member)) {
            continue;
        }
        for (uint8_t k = i; k + 1 < r->places_count; k++) {
            r->places[k] = r->places[k + 1];
        }
        r->places[--r->places_count] = (struct msg_mongodb_place){.member = {{0}}};
        return;
    }
}

/* Who is in the configuration under which name; who has left it for an operator. */
static void take_places(const struct arb_cluster *c, const struct arb_sight *s,
                        struct msg_mongodb_record *r)
{
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        uint8_t at = s->set.peers[i].at;
        if (at != MDB_NOBODY) {
            take_place(r, &c->views[at].member, &s->set.peers[i].peer.host);
        }
    }
    struct msg_names leaving = r->leaving;
    for (uint8_t i = 0; i < leaving.count; i++) {
        if (arb_mongodb_peer(c, s, &leaving.names[i]) == MDB_NOBODY) {
            arb_names_remove(&r->leaving, &leaving.names[i]);
            arb_names_remove(&r->degraded, &leaving.names[i]);
            drop_place(r, &leaving.names[i]);
        }
    }
}

static void take_primary(struct arb_turn *t, const struct arb_sight *s,
                         struct msg_mongodb_record *r)
{
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    struct base_name name = arb_mongodb_name(t->c, s, s->set.primary);
    if (primary == NULL || primary->term < r->primary_term ||
        (primary->term == r->primary_term && base_name_equal(&name, &r->primary))) {
        return;
    }
    r->primary = name;
    r->primary_term = primary->term;
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_PRIMARY);
    note->member = name;
    note->a = primary->term;
}

static void take_config(struct arb_turn *t, const struct arb_sight *s, struct msg_mongodb_record *r)
{
    const struct msg_mongodb_report *said =
        s->set.reference == MDB_NOBODY ? NULL : s->opinions[s->set.reference].report;
    if (said == NULL) {
        return;
    }
    r->is_initiated = true; /* somebody is in a configuration: never initiated again */
    if (is_no_id(r->set_id)) {
        memcpy(r->set_id, said->set_id, sizeof(r->set_id));
    }
    if (mdb_version_compare(&said->config, &r->config) > 0) {
        r->config = said->config;
        struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_CONFIG);
        note->a = r->config.term;
        note->b = r->config.version;
        note->c = s->set.layout.voters;
    }
    take_places(t->c, s, r);
}

/* It knows of the bar, has looked at its directory since, and that is empty. */
static bool is_wiped(const struct arb_turn *t, const struct mdb_opinion *o,
                     const struct msg_report *report)
{
    const struct msg_mongodb_report *m = &report->mongodb;
    bool has_looked = m->state == MSG_MONGODB_DOWN || m->state == MSG_MONGODB_HELD ||
                      m->state == MSG_MONGODB_ABSENT;
    return o->report != NULL && o->heard_ms <= MDB_EVIDENCE_MS && has_looked && !m->has_data &&
           m->barred_epoch == 0 && is_no_id(m->set_id) && report->order_term == t->c->term &&
           report->epoch_seen >= t->c->record.mongodb.barred_epoch;
}

/* Emptied members are barred no more: their agents have forgotten it, too. */
static void take_wiped(struct arb_turn *t, const struct arb_sight *s, struct msg_mongodb_record *r)
{
    struct msg_names barred = r->barred;
    for (uint8_t i = 0; i < barred.count; i++) {
        uint8_t at = arb_view_find(t->c, &barred.names[i]);
        if (at != ARB_NOBODY && is_wiped(t, &s->opinions[at], &t->c->views[at].report)) {
            arb_names_remove(&r->barred, &barred.names[i]);
            arb_say(t, ARB_NOTE_MONGODB_UNBARRED)->member = barred.names[i];
        }
    }
}

/* Hosts that had no agent: one that comes from there empty, or whom somebody has taken in again. */
static void take_hosts(struct arb_turn *t, const struct arb_sight *s, struct msg_mongodb_record *r)
{
    struct msg_mongodb_hosts hosts = r->barred_hosts;
    bool is_forcing =
        arb_mongodb_is_open(&t->c->record) && r->order.kind == MSG_MONGODB_ORDER_FORCE;
    for (uint8_t i = 0; i < t->c->views_count && hosts.count > 0; i++) {
        const struct arb_view *view = &t->c->views[i];
        struct msg_mongodb_host host = arb_mongodb_host(t->c, view);
        if (is_wiped(t, &s->opinions[i], &view->report)) {
            mdb_hosts_remove(&r->barred_hosts, &host);
        }
    }
    for (uint8_t i = 0; i < hosts.count && !is_forcing && arb_mongodb_primary(s) != NULL; i++) {
        if (mdb_find(&s->set, &hosts.list[i]) != MDB_NOBODY) {
            mdb_hosts_remove(&r->barred_hosts, &hosts.list[i]);
        }
    }
}

/* Who would be left out is kept as it is while a plan is out: not for ever. */
static void take_token(struct arb_turn *t, struct msg_mongodb_record *r)
{
    struct arb_mongodb *m = &t->c->mongodb;
    if (!m->has_token) {
        m->token_since = t->event->now;
    }
    m->has_token = r->force.token != 0;
    if (m->has_token && base_mono_diff_us(t->event->now, m->token_since) > MONGODB_TOKEN_US) {
        r->force.token = 0;
        arb_say(t, ARB_NOTE_MONGODB_TOKEN_OVER);
    }
}

static bool observe(struct arb_turn *t, const struct arb_sight *s)
{
    struct msg_record next = t->c->record;
    take_config(t, s, &next.mongodb);
    take_primary(t, s, &next.mongodb);
    take_wiped(t, s, &next.mongodb);
    take_hosts(t, s, &next.mongodb);
    take_token(t, &next.mongodb);
    if (memcmp(&next.mongodb, &t->c->record.mongodb, sizeof(next.mongodb)) == 0) {
        return false;
    }
    arb_propose(t, ARB_DECIDE_MONGODB_SEEN, &next);
    return true;
}

/* --- what people should hear --- */

static void say_rollbacks(struct arb_turn *t)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        struct arb_view *view = &t->c->views[i];
        const struct msg_mongodb_report *m = &view->report.mongodb;
        if (!view->has_report) {
            continue;
        }
        if ((view->has_rollbacks && m->rollbacks > view->rollbacks)) {
            arb_say(t, ARB_NOTE_MONGODB_ROLLBACK)->member = view->member;
        }
        view->has_rollbacks = true;
        view->rollbacks = m->rollbacks;
    }
}

static void say_weak(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    bool is_weak = primary != NULL && (primary->concern == MSG_MONGODB_CONCERN_IMPLICIT_ONE ||
                                       primary->concern == MSG_MONGODB_CONCERN_SET_ONE);
    if (is_weak && !t->c->mongodb.is_weak_said) {
        arb_say(t, ARB_NOTE_MONGODB_WEAK);
    }
    t->c->mongodb.is_weak_said = is_weak || (primary == NULL && t->c->mongodb.is_weak_said);
}

/* A majority is seen: it elects, or the one that is elected catches up. */
static struct arb_note no_primary(const struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_note note = {.kind = ARB_NOTE_MONGODB_NO_PRIMARY,
                            .member = t->c->name,
                            .a = s->set.alive,
                            .b = s->set.layout.voters};
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        if (s->set.peers[i].is_own && s->set.peers[i].state == MSG_MONGODB_DRAINING) {
            note.kind = ARB_NOTE_MONGODB_CATCHES_UP;
            note.member = arb_mongodb_name(t->c, s, i);
            note.other = t->c->name;
        }
    }
    return note;
}

static struct arb_note trouble_of(const struct arb_turn *t, const struct arb_sight *s,
                                  enum msg_mongodb_set_state state)
{
    const struct msg_mongodb_report *primary = arb_mongodb_primary(s);
    struct arb_note note = {.member = t->c->name, .a = s->set.alive, .b = s->set.layout.voters};
    switch (state) {
    case MSG_MONGODB_SET_NO_PRIMARY:
        note = no_primary(t, s);
        break;
    case MSG_MONGODB_SET_NO_QUORUM:
        note.kind = ARB_NOTE_MONGODB_NO_QUORUM;
        note.c = s->set.majority;
        break;
    case MSG_MONGODB_SET_DUAL_CLAIM:
        note.kind = ARB_NOTE_MONGODB_DUAL_CLAIM;
        note.member = arb_mongodb_name(t->c, s, s->set.primary);
        note.other = arb_mongodb_name(t->c, s, s->set.rival);
        note.a = s->set.term;
        break;
    case MSG_MONGODB_SET_COMMIT_STALLED:
        note.kind = ARB_NOTE_MONGODB_STALLED;
        note.member = arb_mongodb_name(t->c, s, s->set.primary);
        note.a = primary->commit_age_ms / 15000 * 15; /* said anew now and then */
        break;
    case MSG_MONGODB_SET_PSA_DEGRADED:
        note.kind = ARB_NOTE_MONGODB_DEGRADED;
        note.member = t->c->record.mongodb.degraded.names[0];
        break;
    case MSG_MONGODB_SET_THIN:
        note.kind = ARB_NOTE_MONGODB_THIN;
        break;
    case MSG_MONGODB_SET_UNKNOWN:
        note.kind = ARB_NOTE_MONGODB_UNKNOWN;
        note.why = ARB_REFUSE_SILENT;
        break;
    case MSG_MONGODB_SET_UNINITIATED:
    case MSG_MONGODB_SET_INITIATING:
    case MSG_MONGODB_SET_HEALTHY:
    case MSG_MONGODB_SET_DEGRADED:
    case MSG_MONGODB_SET_DRIFT:
    case MSG_MONGODB_SET_HOLD:
    case MSG_MONGODB_SET_STATE_COUNT:
        note.kind = ARB_NOTE_LEADS; /* nothing to be said */
        break;
    }
    return note;
}

/* A member that was in the set and is empty now; the primary takes it in by itself. */
static void say_emptied(struct arb_turn *t, const struct arb_sight *s)
{
    bool is_all = s->is_any_heard && !s->set.has_config && t->c->record.mongodb.is_initiated;
    for (uint8_t i = 0; is_all && i < s->count; i++) {
        if (s->opinions[i].report != NULL && !s->opinions[i].report->has_data &&
            s->opinions[i].heard_ms <= MDB_EVIDENCE_MS) {
            arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_LOST_DATA,
                                                  .member = t->c->views[i].member});
        }
    }
}

static void say_state(struct arb_turn *t, const struct arb_sight *s)
{
    struct arb_mongodb *m = &t->c->mongodb;
    bool has_primary = s->set.primary != MDB_NOBODY;
    if (!has_primary && !m->has_no_primary) {
        m->no_primary_since = t->event->now;
    }
    m->has_no_primary = !has_primary;
    m->state = arb_mongodb_state_of(t->c, s, t->event->now);
    struct arb_note note = trouble_of(t, s, m->state);
    if (note.kind != ARB_NOTE_LEADS) {
        arb_say_waiting(t, &note);
    }
    say_emptied(t, s);
    say_rollbacks(t);
    say_weak(t, s);
}

/* --- what is decided --- */

static void say_open(struct arb_turn *t)
{
    const struct msg_mongodb_order *o = &t->c->record.mongodb.order;
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_ORDER_WAITS,
                                          .member = o->member,
                                          .a = o->epoch,
                                          .c = o->kind});
}

/* Layouts that were there before us are only talked about. */
static void say_zones(struct arb_turn *t, const struct arb_sight *s)
{
    if (mdb_is_one_zone(s->wants, s->wants_count) && s->wants[0].member != NULL) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_MONGODB_LAYOUT,
                                              .member = *s->wants[0].member,
                                              .why = ARB_REFUSE_LAYOUT_ONE_ZONE});
    }
}

static void go_on(struct arb_turn *t, const struct arb_sight *s)
{
    if (CANARY(MONGODB_INITIATE_AGAIN)) {
        arb_mongodb_found_again(t, s);
    }
    if (!t->fx->has_swap) {
        arb_mongodb_next(t, s);
        say_zones(t, s);
    }
}

void arb_mongodb_decide(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_sight s;
    arb_mongodb_look(c, t->event->now, &s);
    say_state(t, &s);
    bool is_done = arb_mongodb_watch(t, &s) || observe(t, &s) || arb_settings(t) ||
                   arb_ttl_settle(t) || arb_tasks_ended(t);
    if (!is_done && arb_mongodb_is_open(&c->record)) {
        say_open(t);
    } else if (!is_done && !c->record.mongodb.is_initiated) {
        arb_mongodb_found_again(t, &s);
    } else if (!is_done) {
        go_on(t, &s);
    }
    c->is_waiting = c->is_waiting_said;
}
