/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's step function: one event in, bounded effects out. */
#include <stddef.h>
#include <string.h>

#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

#define CLUSTER_MAGIC 0x61726263u

struct arb_note *arb_say(struct arb_turn *t, enum arb_note_kind kind)
{
    struct arb_effects *fx = t->fx;
    uint8_t at = fx->notes_count < ARB_NOTES_MAX ? fx->notes_count++ : ARB_NOTES_MAX - 1;
    fx->notes[at] = (struct arb_note){.kind = kind, .at = t->event->now};
    return &fx->notes[at];
}

void arb_say_waiting(struct arb_turn *t, const struct arb_note *note)
{
    struct arb_cluster *c = t->c;
    const struct arb_note *last = &c->waiting;
    if (arb_engine_of(c)->says_first && c->is_waiting_said) {
        return;
    }
    bool is_same = c->is_waiting && last->kind == note->kind && last->why == note->why &&
                   last->a == note->a && last->b == note->b &&
                   base_name_equal(&last->member, &note->member);
    c->is_waiting = c->is_waiting_said = true;
    c->waiting = *note;
    if (!is_same) {
        struct arb_note *said = arb_say(t, note->kind);
        struct base_mono at = said->at;
        *said = *note;
        said->at = at;
    }
}

void arb_cluster_init(struct arb_cluster *cluster, const struct base_name *name)
{
    *cluster = (struct arb_cluster){.magic = CLUSTER_MAGIC, .name = *name};
    for (size_t i = 0; i < ARB_FAILOVERS_MAX; i++) {
        cluster->failovers[i] = BASE_MONO_LONG_AGO;
    }
    cluster->record.cluster = *name;
    arb_lease_reset(cluster);
    cluster->elected = BASE_MONO_LONG_AGO;
}

static void leadership_reset(struct arb_cluster *c)
{
    arb_lease_reset(c);
    arb_attempt_end(c);
    c->attempt = (struct msg_attempt){c->term, 0};
    c->is_end_unsaid = false;
    c->is_forced = false;
    c->is_waiting = false;
    c->is_swapping = false;
    c->has_wish = false;
    c->has_boot_began = false;
    c->may_found = false;
    c->fence = ARB_FENCE_NONE;
    c->dead_epoch = 0;
    c->resume_session = 0;
    c->has_ttl_lowered = false;
    c->refused_revision = 0;
    c->galera = (struct arb_galera){.high_water = c->galera.high_water,
                                    .high_water_of = c->galera.high_water_of};
    c->mongodb = (struct arb_mongodb){.has_moved = c->mongodb.has_moved, .moved = c->mongodb.moved};
    c->decision = (struct arb_decision){.kind = ARB_DECIDE_NONE};
}

static void push_orders(struct arb_turn *t)
{
    if (t->c->is_leader && t->c->is_ready) {
        t->fx->orders = (uint16_t)((1u << t->c->views_count) - 1);
    }
}

static void on_leader(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    c->is_leader = true;
    c->is_ready = false;
    c->term = t->event->term;
    c->elected = t->event->elected;
    leadership_reset(c);
}

static void on_ready(struct arb_turn *t)
{
    BASE_ASSERT(t->c->is_leader);
    t->c->is_ready = true;
    arb_say(t, ARB_NOTE_LEADS)->a = t->c->term;
    arb_decide(t);
    push_orders(t);
}

static void on_lost(struct arb_turn *t)
{
    t->c->is_leader = t->c->is_ready = false;
    leadership_reset(t->c);
}

static void say_vote(struct arb_turn *t, const struct arb_view *view, bool was_voted)
{
    if (was_voted || arb_vote_check(t->c, view) != ARB_REFUSE_NONE) {
        return;
    }
    struct arb_note *note = arb_say(t, ARB_NOTE_VOTE);
    note->member = view->member;
    note->b = view->report.position.lineage;
    note->c = view->report.position.lsn;
}

/* Every report that was taken in is answered: the holder's with the confirmation, all others at
 * once. */
static void on_report(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct msg_report *report = t->event->report;
    uint8_t before = arb_view_find(c, &report->member);
    bool was_voted = before != ARB_NOBODY && c->views[before].has_report &&
                     arb_vote_check(c, &c->views[before]) == ARB_REFUSE_NONE;
    arb_view_report(t);
    uint8_t at = arb_view_find(c, &report->member);
    if (at == ARB_NOBODY || !c->views[at].has_report ||
        c->views[at].report.session != report->session ||
        c->views[at].report.number != report->number) {
        return;
    }
    struct arb_view *view = &c->views[at];
    arb_lease_handback(t, view);
    if (!c->is_leader || (!c->is_ready && !CANARY(GRANT_BEFORE_NOOP))) {
        return;
    }
    say_vote(t, view, was_voted);
    arb_decide(t);
    if (arb_lease_may_grant(c, view)) {
        arb_lease_ask(t, view);
    } else {
        t->fx->orders |= (uint16_t)(1u << at);
    }
}

static void add_recorded_view(struct arb_cluster *c, const struct base_name *name)
{
    if (!base_name_is_empty(name) && arb_view_find(c, name) == ARB_NOBODY &&
        c->views_count < MSG_MEMBERS_MAX) {
        c->views[c->views_count++] = (struct arb_view){.member = *name};
    }
}

static void check_identities(struct arb_cluster *c)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        struct arb_view *view = &c->views[i];
        bool is_other = view->has_report && arb_engine_of(c)->is_other(&c->record, &view->report);
        view->refused = is_other ? ARB_REFUSE_OTHER_SYSTEM : ARB_REFUSE_NONE;
    }
}

/* The commit of our own entry is a quorum round that began after the winner's last report: it
 * confirms it. */
static void confirm_winner(struct arb_cluster *c)
{
    uint8_t winner = arb_view_find(c, &c->record.holder);
    if (winner == ARB_NOBODY || c->winner_session == 0 ||
        c->views[winner].report.session != c->winner_session) {
        return;
    }
    c->is_confirmed = true;
    c->confirmed_session = c->winner_session;
    c->confirmed_number = c->winner_number;
}

static void epoch_begins(struct arb_turn *t, bool is_own)
{
    struct arb_cluster *c = t->c;
    arb_lease_reset(c);
    arb_attempt_end(c);
    c->handed = ARB_OVER_NO;
    c->handback_lsn = 0;
    c->has_wish = false;
    c->is_forced = false;
    c->is_waiting = false;
    c->has_holder_good = false;
    c->known = (struct msg_position){0, 0, 0};
    c->is_holder_known = false;
    c->fence = ARB_FENCE_NONE;
    c->dead_epoch = 0;
    c->resume_session = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        c->views[i].has_sync_ok = false;
    }
    if (c->is_leader) {
        c->began = t->event->now;
    }
    if (is_own) {
        c->decision.commit_us = base_mono_diff_us(t->event->now, c->swap_at);
        confirm_winner(c);
    }
}

static void on_record(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct msg_record *record = t->event->record;
    bool is_new_epoch = record->epoch != c->record.epoch;
    bool is_own = t->event->is_own && c->is_swapping;
    bool is_failover = c->record.epoch != 0 && is_new_epoch &&
                       c->record.state == MSG_RECORD_RUNNING &&
                       !base_name_equal(&c->record.holder, &record->holder);
    c->has_ttl_lowered = c->has_ttl_lowered && !is_new_epoch && record->ttl_ms == c->record.ttl_ms;
    if (record->mongodb.moved_wall_us != c->record.mongodb.moved_wall_us) {
        c->mongodb.has_moved = true;
        c->mongodb.moved = t->event->now;
    }
    c->record = *record;
    if (is_own) {
        c->is_swapping = false;
    }
    if (is_new_epoch) {
        epoch_begins(t, is_own);
    }
    if (is_failover) {
        arb_note_failover(c, t->event->now);
    }
    if (record->is_paused) { /* its holder hears of the resume after it was applied */
        c->resume_session = 0;
        arb_attempt_end(c);
        c->is_forced = false;
    }
    arb_ttl_note(c, record, is_new_epoch);
    add_recorded_view(c, &record->holder);
    for (uint8_t i = 0; i < record->voters.count; i++) {
        add_recorded_view(c, &record->voters.names[i]);
    }
    if (!base_name_is_empty(&record->galera.sst_joiner)) {
        add_recorded_view(c, &record->galera.sst_joiner);
    }
    for (uint8_t i = 0; i < record->galera.view.count; i++) {
        if (!base_name_equal(&record->galera.view.nodes[i].node, &record->galera.arbitrator)) {
            add_recorded_view(c, &record->galera.view.nodes[i].node);
        }
    }
    for (uint8_t i = 0; i < record->mongodb.places_count; i++) {
        add_recorded_view(c, &record->mongodb.places[i].member);
    }
    check_identities(c);
    arb_decide(t);
    push_orders(t);
}

static void on_swap_ended(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    MARK(SWAP_VOID);
    c->is_swapping = false;
    struct arb_note *note = arb_say(t, ARB_NOTE_SWAP_VOID);
    note->a = c->record.epoch;
    note->b = c->record.revision;
}

/* An image with another id brings its own records: what was known of a right ends here. */
static void on_restore(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (c->restore_id != t->event->restore_id) {
        c->restore_id = t->event->restore_id;
        arb_lease_reset(c);
        arb_attempt_end(c);
        arb_decide(t);
    }
}

static void on_settings(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    c->has_settings = t->event->settings != NULL;
    if (c->has_settings) {
        c->settings = *t->event->settings;
        arb_decide(t);
    }
}

static void dispatch(struct arb_turn *t)
{
    switch (t->event->kind) {
    case ARB_EVENT_LEADER:
        on_leader(t);
        return;
    case ARB_EVENT_READY:
        on_ready(t);
        return;
    case ARB_EVENT_LOST:
        on_lost(t);
        return;
    case ARB_EVENT_REPORT:
        on_report(t);
        return;
    case ARB_EVENT_CONFIRMED:
        if (t->c->is_leader && t->c->is_ready) {
            arb_lease_confirmed(t, t->event->ticket);
        }
        return;
    case ARB_EVENT_TICK:
        arb_decide(t);
        return;
    case ARB_EVENT_RECORD:
        on_record(t);
        return;
    case ARB_EVENT_SWAP_ENDED:
        on_swap_ended(t);
        return;
    case ARB_EVENT_REQUEST:
        arb_request(t);
        return;
    case ARB_EVENT_RESTORE:
        on_restore(t);
        return;
    case ARB_EVENT_SETTINGS:
        on_settings(t);
        return;
    case ARB_EVENT_FENCED:
        arb_fence_ended(t);
        return;
    case ARB_EVENT_FORGET:
        arb_forget(t);
        return;
    }
    BASE_UNREACHABLE();
}

static struct base_mono next_wake(const struct arb_cluster *c, struct base_mono now)
{
    if (!c->is_leader || !c->is_ready || c->views_count == 0) {
        return BASE_MONO_NEVER;
    }
    struct base_mono beat = base_mono_add_us(now, arb_heartbeat_us(c));
    if (c->record.epoch == 0 || c->handed != ARB_OVER_NO || arb_engine_of(c)->is_leaseless) {
        return beat;
    }
    struct base_mono end = arb_lease_end(c);
    return base_mono_before(now, end) ? base_mono_min(beat, end) : beat;
}

/* Orders go only to members that have reported. */
static void drop_deaf(struct arb_turn *t)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        if (!t->c->views[i].has_report) {
            t->fx->orders &= (uint16_t) ~(1u << i);
        }
    }
}

static void say_ended(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_end_unsaid) {
        return;
    }
    c->is_end_unsaid = false;
    struct arb_note *note = arb_say(t, ARB_NOTE_ATTEMPT_ENDED);
    note->member = c->record.holder;
    note->a = c->record.epoch;
    note->b = c->attempt.number;
}

/* What a flag says to be there is written as a whole when the flag is set: it is left as it was. It
 * is large, and most steps have none of it. */
static void effects_reset(struct arb_effects *fx)
{
    memset(fx, 0, offsetof(struct arb_effects, record));
    memset(&fx->has_history, 0,
           offsetof(struct arb_effects, refusal) - offsetof(struct arb_effects, has_history));
    memset(&fx->has_fence, 0,
           offsetof(struct arb_effects, notes) - offsetof(struct arb_effects, has_fence));
}

void arb_step(struct arb_cluster *cluster, const struct arb_event *event, struct arb_effects *fx)
{
    BASE_ASSERT(cluster->magic == CLUSTER_MAGIC);
    struct arb_turn t = {cluster, event, fx};
    effects_reset(fx);
    say_ended(&t);
    dispatch(&t);
    drop_deaf(&t);
    fx->wake = next_wake(cluster, event->now);
#ifdef QUORATE_SLOW_CHECKS
    arb_cluster_check(cluster);
#endif
}

void arb_cluster_check(const struct arb_cluster *c)
{
    BASE_ASSERT(c->magic == CLUSTER_MAGIC);
    BASE_ASSERT(c->views_count <= MSG_MEMBERS_MAX && c->tickets_count <= ARB_TICKETS_MAX);
    BASE_ASSERT(BASE_IMPLIES(c->is_ready, c->is_leader));
    BASE_ASSERT(BASE_IMPLIES(c->is_swapping || c->is_attempt || c->has_granted, c->is_leader));
    BASE_ASSERT(BASE_IMPLIES(c->has_granted, c->record.epoch != 0));
    BASE_ASSERT(BASE_IMPLIES(c->is_attempt, c->attempt.term == c->term && c->attempt.number > 0));
    BASE_ASSERT(BASE_IMPLIES(c->handed == ARB_OVER_CLEAN, c->handback_lsn != 0));
    BASE_ASSERT(BASE_IMPLIES(c->has_wish, arb_names_check(&c->wish.names)));
    for (uint8_t i = 0; i < c->views_count; i++) {
        BASE_ASSERT(arb_view_find(c, &c->views[i].member) == i); /* no name twice */
        BASE_ASSERT(BASE_IMPLIES(c->views[i].has_report,
                                 base_name_equal(&c->views[i].member, &c->views[i].report.member)));
    }
}
