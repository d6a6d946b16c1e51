/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: a cluster without a record. Where no member has data the first one bootstraps, by a grant
 * that stands in the very entry that makes the record; a cluster that runs already is taken in with
 * its uuid. Data without a record and without a Primary component wait for an operator.
 */
#include "arbiter/core/galera_internal.h"
#include "base/name.h"

#include <string.h>

/* --- nobody has data --- */

static bool is_blank(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    const struct msg_galera_report *r = &view->report.galera;
    bool is_down = r->state == MSG_GALERA_DOWN || r->state == MSG_GALERA_NEEDS_SST;
    return arb_view_is_live(c, view, now) && view->refused == ARB_REFUSE_NONE && is_down &&
           view->report.instance != 0 && !arb_galera_has_data(&view->report);
}

/* Once a founder has failed, it has a stamp and is blank all the same. */
static bool may_found(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now)
{
    struct arb_view copy = *view;
    bool is_again = c->record.epoch != 0 && copy.report.galera.position.seqno < 0;
    copy.report.galera.generation = is_again ? 0 : copy.report.galera.generation;
    return is_blank(c, &copy, now);
}

static bool founds_before(const struct arb_view *a, const struct arb_view *b)
{
    return a->report.priority != b->report.priority ? a->report.priority > b->report.priority
                                                    : base_name_compare(&a->member, &b->member) < 0;
}

uint8_t arb_galera_founder(const struct arb_cluster *c, struct base_mono now, uint8_t *ret_heard,
                           uint8_t *ret_wanted)
{
    uint8_t best = ARB_NOBODY;
    uint8_t heard = 0;
    uint8_t wanted = 1;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        uint8_t said = view->report.galera.seed_members;
        wanted = view->has_report && said > wanted ? said : wanted;
        if (!may_found(c, view, now)) {
            continue;
        }
        heard++;
        if (best == ARB_NOBODY || founds_before(view, &c->views[best])) {
            best = i;
        }
    }
    *ret_heard = heard;
    *ret_wanted = wanted;
    return heard >= wanted ? best : ARB_NOBODY;
}

void arb_galera_found_at(struct arb_turn *t, uint8_t founder, struct msg_record *next)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[founder];
    uint64_t generation = next->galera.grant.generation;
    next->epoch = c->record.epoch + 1;
    next->state = MSG_RECORD_BOOTSTRAP;
    next->holder = view->member;
    next->holder_instance = view->report.instance;
    next->timeline = next->timeline_highest = c->record.timeline_highest + 1;
    next->floor_epoch = 0;
    next->is_opened = false;
    next->since_wall_us = t->event->wall.us;
    next->galera.grant = (struct msg_galera_grant){.generation = generation,
                                                   .node = view->member,
                                                   .base = {.seqno = -1},
                                                   .state = MSG_GALERA_GRANT_GIVEN};
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_FOUNDS);
    note->member = view->member;
    note->a = next->epoch;
    note->b = generation;
    arb_decision_begin(t, ARB_DECIDE_BOOTSTRAP, &view->member);
    arb_propose(t, ARB_DECIDE_BOOTSTRAP, next);
}

/* --- it runs already --- */

static bool is_running(const struct arb_cluster *c, const struct arb_view *view,
                       struct base_mono now)
{
    static const uint8_t none[16];
    const struct msg_galera_report *r = &view->report.galera;
    return arb_view_is_live(c, view, now) && r->is_primary && r->view.conf_id != 0 &&
           memcmp(r->position.uuid, none, sizeof(none)) != 0;
}

/* Who is open for writes now goes on; else priority and name. */
static bool leads_before(const struct arb_view *a, const struct arb_view *b)
{
    bool is_open_a = !a->report.galera.is_read_only;
    bool is_open_b = !b->report.galera.is_read_only;
    return is_open_a != is_open_b ? is_open_a : founds_before(a, b);
}

/* The first writer of a cluster that runs: all who are in it are in one view with one uuid, and
 * nobody has ever been led. ARB_NOBODY: there is none, or an operator has to look. */
static uint8_t running_leader(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        const struct msg_galera_report *r = &view->report.galera;
        if (view->has_report && (view->report.epoch_seen != 0 || r->generation != 0)) {
            return ARB_NOBODY;
        }
        if (!is_running(c, view, now) || view->report.instance == 0) {
            continue;
        }
        const struct arb_view *other = best == ARB_NOBODY ? view : &c->views[best];
        if (!gal_view_is_same(&r->view, &other->report.galera.view) ||
            memcmp(r->position.uuid, other->report.galera.position.uuid, 16) != 0) {
            return ARB_NOBODY;
        }
        if (best == ARB_NOBODY || leads_before(view, other)) {
            best = i;
        }
    }
    return best;
}

static void take_in(struct arb_turn *t, uint8_t leader)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[leader];
    const struct msg_galera_report *r = &view->report.galera;
    struct msg_record next = {.cluster = c->name, .restore_id = c->restore_id};
    arb_take_seed(&view->report, &next);
    arb_settings_begin(c, &next);
    next.epoch = 1;
    next.state = MSG_RECORD_RUNNING;
    next.holder = view->member;
    next.holder_instance = view->report.instance;
    next.timeline = next.timeline_highest = 1;
    next.since_wall_us = t->event->wall.us;
    memcpy(next.galera.uuid, r->position.uuid, sizeof(next.galera.uuid));
    next.galera.generation = 1;
    next.galera.high_water = r->position.seqno;
    next.galera.view = r->view;
    next.galera.grant = (struct msg_galera_grant){.generation = 1,
                                                  .node = view->member,
                                                  .is_kept = true,
                                                  .is_live = true,
                                                  .base = r->position,
                                                  .conf_id = r->view.conf_id,
                                                  .state = MSG_GALERA_GRANT_DONE};
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_TAKEN_IN);
    note->member = view->member;
    note->a = next.epoch;
    note->b = r->view.count;
    arb_decision_begin(t, ARB_DECIDE_BOOTSTRAP, &view->member);
    arb_propose(t, ARB_DECIDE_BOOTSTRAP, &next);
}

/* --- which of them --- */

static bool has_waited(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->has_boot_began) {
        c->has_boot_began = true;
        c->boot_began = t->event->now;
    }
    return base_mono_diff_us(t->event->now, c->boot_began) >= ARB_BOOTSTRAP_WAIT_US;
}

static void found_blank(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t heard;
    uint8_t wanted;
    uint8_t founder = arb_galera_founder(c, t->event->now, &heard, &wanted);
    if (founder == ARB_NOBODY) {
        c->has_boot_began = false;
        arb_say_waiting(
            t, &(struct arb_note){.kind = ARB_NOTE_GALERA_FOUND_WAITS, .a = wanted, .b = heard});
        return;
    }
    if (!has_waited(t)) {
        return;
    }
    struct msg_record next = {.cluster = c->name, .restore_id = c->restore_id};
    arb_take_seed(&c->views[founder].report, &next);
    arb_settings_begin(c, &next);
    next.galera.grant.generation = next.galera.inhibit = 1;
    arb_galera_found_at(t, founder, &next);
}

void arb_galera_found(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *data = arb_view_with_data(c);
    uint8_t leader = running_leader(c, t->event->now);
    if (c->restore_id == 0 && leader != ARB_NOBODY) {
        if (has_waited(t)) {
            take_in(t, leader);
        }
    } else if (data != NULL) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_DATA_WAITS,
                                              .member = data->member,
                                              .other = c->name});
    } else if (arb_is_unknown(c)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_FOUND_WAITS, .member = c->name});
    } else {
        found_blank(t);
    }
}
