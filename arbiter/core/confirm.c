/* SPDX-License-Identifier: Apache-2.0 */
/* Section 1 after a restore: a record that the quorum has from an image may be older than what the
 * agents have seen. Until an operator confirms it nothing is granted, elected or changed for it;
 * whoever still has a lease of the quorum that was lost keeps it until it runs out.
 *
 * A confirmation is one swap to an epoch above every one in the record and in the reports, with a
 * holder that has everything: the member that held the highest epoch reported, or the one that the
 * operator names. V is empty and r is 0 in it, with which no number of votes suffices, until the
 * holder has proven a synchronous set of its own (section 5). The same serves for a record that a
 * member is ahead of.
 *
 * A cluster of which there is no record may have been made after the image was taken. Where members
 * hold its database, a confirmation makes the record out of what they report; where none does, no
 * database is made before an operator has said that there is none.
 *
 * A database that no arbiter ever led becomes the cluster's in the same way: by an operator's word,
 * or where its one member was told to offer it and no member that is heard has ever seen an epoch.
 * One that runs meanwhile is not promoted: its record names the timeline on which it serves.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

/* The quorum that was lost may have given epochs to a member that nobody hears now: none of them is
 * ever given again. */
#define EPOCHS_PASSED_OVER 1000

bool arb_is_unconfirmed(const struct arb_cluster *c)
{
    return c->record.epoch != 0 && c->record.restore_id != c->restore_id &&
           !CANARY(RESTORED_RECORD_TRUSTED);
}

bool arb_is_unknown(const struct arb_cluster *c)
{
    bool is_image_older = c->restore_id != 0 && !c->may_found;
    return c->record.epoch == 0 && c->views_count > 0 &&
           (is_image_older || arb_view_with_data(c) != NULL);
}

bool arb_is_blocked(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *ahead = arb_view_ahead(c);
    if (arb_is_unconfirmed(c)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_UNCONFIRMED, .member = c->name});
        return true;
    }
    if (ahead != NULL) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_BLOCKED,
                                              .member = ahead->member,
                                              .a = ahead->report.epoch_seen,
                                              .b = c->record.epoch});
        return true;
    }
    return false;
}

bool arb_record_confirms(const struct msg_record *old, const struct msg_record *next)
{
    return arb_record_check(next) && next->revision == old->revision + 1 &&
           base_name_equal(&old->cluster, &next->cluster) && next->epoch > old->epoch &&
           next->state == MSG_RECORD_RUNNING && !next->is_opened && next->voters.count == 0 &&
           next->votes_needed_r == 0 &&
           BASE_IMPLIES(next->engine != MSG_ENGINE_MONGODB,
                        next->timeline > old->timeline_highest &&
                            next->timeline_highest == next->timeline &&
                            next->floor_epoch == next->epoch) &&
           BASE_IMPLIES(old->system_id != 0, next->system_id == old->system_id);
}

static uint64_t highest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Highest epoch that the member is known to have held. */
static uint64_t held(const struct msg_report *r)
{
    return highest(r->epoch_held, r->epoch_handed_back);
}

uint64_t arb_epoch_highest(const struct arb_cluster *c)
{
    uint64_t epoch = c->record.epoch;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct msg_report *r = &c->views[i].report;
        if (c->views[i].has_report) {
            epoch = highest(highest(epoch, r->epoch_seen), highest(held(r), r->position.lineage));
        }
    }
    return epoch;
}

static bool is_live(const struct arb_turn *t, const struct base_name *member)
{
    uint8_t i = arb_view_find(t->c, member);
    return i != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[i], t->event->now);
}

/* A member of the record, or one that was heard before, that is silent: its epoch might be higher.
 */
static const struct base_name *silent_member(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    if (!base_name_is_empty(&c->record.holder) && !is_live(t, &c->record.holder)) {
        return &c->record.holder;
    }
    for (uint8_t i = 0; i < c->record.voters.count; i++) {
        if (!is_live(t, &c->record.voters.names[i])) {
            return &c->record.voters.names[i];
        }
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (!is_live(t, &c->views[i].member)) {
            return &c->views[i].member;
        }
    }
    return NULL;
}

/* A member whose database may still serve under a lease of the quorum that was lost. */
static const struct arb_view *serving_member(const struct arb_turn *t)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *view = &t->c->views[i];
        const struct msg_report *r = &view->report;
        if (view->has_report && r->epoch_held > r->epoch_handed_back && !r->is_tree_gone) {
            return view;
        }
    }
    return NULL;
}

/* Leases that others than the members heard may hold have run out: the quorum that was lost had
 * granted its last one before this leader was elected. How long they were is known from the record
 * where every member agrees that it is of the last epoch; else the longest that can be set counts.
 */
static bool is_waited(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    if ((c->restore_id == 0 && arb_epoch_highest(c) == 0) || arb_engine_of(c)->is_leaseless) {
        return true; /* nothing was ever granted */
    }
    bool is_last = c->record.epoch != 0 && arb_epoch_highest(c) == c->record.epoch &&
                   !t->event->request->is_forced;
    int64_t ttl_us = (int64_t)LEASE_TTL_MAX_MS * BASE_US_PER_MS;
    if (is_last) {
        ttl_us = (int64_t)c->ttl_longest_ms * BASE_US_PER_MS;
    }
    return base_mono_diff_us(t->event->now, c->elected) >= arb_lease_wait_us(c, ttl_us);
}

static bool is_usable(const struct arb_turn *t, const struct arb_view *view)
{
    return arb_view_is_live(t->c, view, t->event->now) && view->refused == ARB_REFUSE_NONE &&
           view->report.instance != 0 && view->report.system_id != 0 && arb_has_database(view);
}

/* What cannot run now is not lost with it: a database that crashed too often stays down until its
 * agent is restarted, and may be the only one that has everything. A directory that cannot be used
 * is of no lineage. */
static bool has_history(const struct arb_turn *t, const struct arb_view *view)
{
    return arb_view_is_live(t->c, view, t->event->now) && view->refused == ARB_REFUSE_NONE &&
           (arb_has_database(view) ||
            (view->report.db_state == MSG_DB_FAILED && view->report.position.lineage != 0));
}

/* Has a live member more than `view`? */
static const struct arb_view *better_member(const struct arb_turn *t, const struct arb_view *view)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *other = &t->c->views[i];
        if (other != view && has_history(t, other) &&
            other->report.system_id == view->report.system_id &&
            arb_position_compare(&other->report.position, &view->report.position) > 0) {
            return other;
        }
    }
    return NULL;
}

/* A live member of which nobody can say whether it has more than `view`: its agent has not looked
 * yet, its last look is older than the end of what ran, or the end of its log was not read yet. */
static const struct arb_view *untold_member(const struct arb_turn *t, const struct arb_view *view)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *other = &t->c->views[i];
        const struct msg_report *r = &other->report;
        bool may_be_ours = r->system_id == 0 || r->system_id == view->report.system_id;
        bool is_unseen = r->db_state == MSG_DB_UNKNOWN && may_be_ours &&
                         arb_view_is_live(t->c, other, t->event->now) &&
                         other->refused == ARB_REFUSE_NONE;
        bool is_unread = has_history(t, other) && may_be_ours &&
                         (r->position.lsn == 0 || r->is_end_unread) &&
                         r->position.lineage >= view->report.position.lineage;
        if (other != view && (is_unseen || is_unread) && !CANARY(UNTOLD_HAS_NOTHING)) {
            return other;
        }
    }
    return NULL;
}

/* A deadline ends that by itself; a guard that is disarmed, as in a pause, has none. */
static void answer_serving(struct arb_turn *t, const struct arb_view *serving)
{
    bool is_endless = serving->report.is_paused || serving->report.lease_left_us == 0;
    arb_answer_member(t, BASE_E_STATE, &serving->member,
                      is_endless ? "runs its database under a lease that has no end (pause): stop "
                                   "that database by hand on its host, then try again"
                                 : "still has a database process under its old lease; try again "
                                   "when that has run out");
}

/* The one member that held the highest epoch of all, when the reports show it; else NULL. */
static const struct arb_view *last_primary(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    uint64_t epoch = arb_epoch_highest(c);
    const struct arb_view *found = NULL;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!view->has_report || held(&view->report) != epoch) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = view;
    }
    bool is_fit = found != NULL && is_usable(t, found) && better_member(t, found) == NULL &&
                  untold_member(t, found) == NULL;
    return is_fit ? found : NULL;
}

/* The primary of a cluster that is taken over while it runs. */
static bool serves_unled(const struct arb_view *view)
{
    const struct msg_report *r = &view->report;
    return r->is_adopted && r->db_state == MSG_DB_PRIMARY && r->epoch_seen == 0 && held(r) == 0;
}

static void propose_anew(struct arb_turn *t, const struct arb_view *view, uint64_t epoch)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    if (c->record.epoch == 0) {
        arb_take_seed(&view->report, &next);
    }
    if (c->record.epoch == 0) {
        arb_settings_begin(c, &next);
    }
    /* One that serves is not promoted: it goes on where it is. */
    if (serves_unled(view) && !CANARY(ADOPTED_PROMOTED)) {
        next.timeline = next.timeline_highest = view->report.position.timeline;
    }
    next.tasks_count = 0; /* of a time that is gone */
    next.switchover_at_wall_us = 0;
    next.epoch = epoch;
    next.system_id = view->report.system_id;
    next.floor = view->report.position;
    next.floor_epoch = epoch;
    next.voters = (struct msg_names){0};
    next.votes_needed_r = 0;
    next.restore_id = c->restore_id;
    arb_decision_begin(t, ARB_DECIDE_CONFIRMED, &view->member);
    c->decision.epoch = epoch;
    struct arb_note *note =
        arb_say(t, c->record.epoch == 0 ? ARB_NOTE_ADOPTED : ARB_NOTE_CONFIRMED);
    note->member = c->record.holder;
    note->other = view->member;
    note->a = epoch;
    note->b = c->record.epoch;
    note->c = next.floor.lsn;
    arb_propose(t, ARB_DECIDE_CONFIRMED, &next);
}

uint64_t arb_epoch_confirmed(const struct arb_cluster *c)
{
    uint64_t seen = arb_epoch_highest(c);
    uint64_t passed_over = CANARY(EPOCH_MET_AGAIN) ? 1 : EPOCHS_PASSED_OVER;
    return seen == 0 ? 1 : seen + passed_over;
}

static void propose_confirmed(struct arb_turn *t, const struct arb_view *view)
{
    propose_anew(t, view, arb_epoch_confirmed(t->c));
    t->c->decision.is_loss_possible = t->event->request->is_forced;
    arb_answer(t, 0, "confirmed: the primary's right begins anew in a higher epoch");
}

/* --- a database that no arbiter ever led: it is of no lineage yet --- */

static bool is_unled(const struct arb_turn *t, const struct arb_view *view)
{
    enum msg_db_state s = view->report.db_state;
    return arb_view_is_live(t->c, view, t->event->now) && view->refused == ARB_REFUSE_NONE &&
           view->report.instance != 0 && view->report.system_id != 0 && s != MSG_DB_UNKNOWN &&
           s != MSG_DB_EMPTY && s != MSG_DB_CREATING && s != MSG_DB_FAILED;
}

/* Another copy of the same database that goes further. */
static const struct arb_view *better_unled(const struct arb_turn *t, const struct arb_view *view)
{
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *other = &t->c->views[i];
        /* What receives from a primary that serves has nothing of its own, however old the
         * primary's word is. */
        bool is_fed = serves_unled(view) && other->report.is_receiving;
        if (other != view && other->has_report &&
            other->report.system_id == view->report.system_id &&
            (other->report.position.timeline > view->report.position.timeline ||
             (other->report.position.lsn > view->report.position.lsn && !is_fed))) {
            return other;
        }
    }
    return NULL;
}

static void confirm_unled(struct arb_turn *t)
{
    const struct arb_request *request = t->event->request;
    uint8_t i = arb_view_find(t->c, &request->candidate);
    if (i == ARB_NOBODY || !is_unled(t, &t->c->views[i])) {
        arb_answer_member(t, BASE_E_STATE, &request->candidate,
                          "is not heard, or has no database to go on with");
        return;
    }
    const struct arb_view *better = better_unled(t, &t->c->views[i]);
    if (better != NULL && !request->is_forced) {
        arb_answer_member(
            t, BASE_E_STATE, &better->member,
            "has a higher position than the member named, which would be lost; --force "
            "accepts that");
        return;
    }
    propose_confirmed(t, &t->c->views[i]);
}

/* The only member that offers its database; NULL for none, or when others would have to be asked.
 */
static const struct arb_view *offered(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    const struct arb_view *found = NULL;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!view->has_report || !view->report.seed_adopt || view->report.system_id == 0) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = view;
    }
    bool is_fit = found != NULL && is_unled(t, found) && better_unled(t, found) == NULL;
    return is_fit ? found : NULL;
}

bool arb_adopt_offered(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = offered(t);
    bool was_led = arb_epoch_highest(c) > 0 && !CANARY(ADOPTED_AFTER_EPOCHS);
    if (view == NULL || was_led || c->restore_id != 0) {
        c->has_boot_began = false;
        return false;
    }
    /* The others are given the time to say what they have. */
    if (!c->has_boot_began) {
        c->has_boot_began = true;
        c->boot_began = t->event->now;
    }
    if (base_mono_diff_us(t->event->now, c->boot_began) >= ARB_BOOTSTRAP_WAIT_US) {
        propose_anew(t, view, arb_epoch_highest(c) + 1);
    }
    return true;
}

/* Answers whose position stands against the member named, if anybody's does. */
static bool would_lose(struct arb_turn *t, const struct arb_view *named)
{
    const struct arb_view *other = better_member(t, named);
    const char *why = "has a higher position than the member named, which would be lost; --force "
                      "accepts that";
    if (other == NULL) {
        other = untold_member(t, named);
        why = "does not say yet how far it is, and may have more than the member named; try again "
              "in a moment, --force accepts that what it has may be lost";
    }
    if (other != NULL) {
        arb_answer_member(t, BASE_E_STATE, &other->member, why);
    }
    return other != NULL;
}

/* The operator's choice, or the last primary; NULL after an answer. */
static const struct arb_view *choose(struct arb_turn *t)
{
    const struct arb_request *request = t->event->request;
    const struct arb_view *view = NULL;
    if (base_name_is_empty(&request->candidate)) {
        view = last_primary(t);
        if (view == NULL) {
            arb_answer(t, BASE_E_STATE,
                       "the reports do not show who was the last primary; name the member with "
                       "the highest position with --primary");
        }
        return view;
    }
    uint8_t i = arb_view_find(t->c, &request->candidate);
    if (i == ARB_NOBODY || !is_usable(t, &t->c->views[i])) {
        arb_answer_member(t, BASE_E_STATE, &request->candidate,
                          "is not heard, or has no database to go on with");
        return NULL;
    }
    if (!request->is_forced && would_lose(t, &t->c->views[i])) {
        return NULL;
    }
    return &t->c->views[i];
}

/* Without a record nobody knows which members there are beside those that are heard. */
static void confirm_unknown(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *data = arb_view_with_data(c);
    if (data == NULL && !t->event->request->is_forced) {
        arb_answer(t, BASE_E_STATE,
                   "the quorum has no record of this cluster, and no member that is heard has a "
                   "database; if there is none anywhere, --force lets a new one be made");
    } else if (data == NULL) {
        c->may_found = true;
        arb_say(t, ARB_NOTE_FOUNDING);
        arb_answer(t, 0, "confirmed: a new database is made");
        arb_decide(t);
    } else if (arb_epoch_highest(c) == 0 && base_name_is_empty(&t->event->request->candidate)) {
        arb_answer_member(
            t, BASE_E_STATE, &data->member,
            "holds a database that no arbiter ever led; name the member whose database becomes the "
            "cluster's with --primary, or move that directory away");
    } else if (arb_epoch_highest(c) == 0) {
        confirm_unled(t);
    } else if (!t->event->request->is_forced) {
        arb_answer_member(
            t, BASE_E_STATE, &data->member,
            "holds a database, and the quorum has no record of the cluster; when every "
            "member that has one is heard, --force lets the last primary go on");
    } else {
        const struct arb_view *view = choose(t);
        if (view != NULL) {
            propose_confirmed(t, view);
        }
    }
}

static bool is_anything_to_confirm(const struct arb_cluster *c)
{
    return c->record.epoch == 0 ? arb_is_unknown(c)
                                : arb_is_unconfirmed(c) || arb_view_ahead(c) != NULL;
}

void arb_confirm(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name *silent = silent_member(t);
    const struct arb_view *serving = serving_member(t);
    const struct arb_engine *engine = arb_engine_of(c);
    BASE_ASSERT(c->is_leader && c->is_ready && !c->is_swapping);
    if (!is_anything_to_confirm(c) && engine->confirm != NULL && c->record.epoch != 0) {
        engine->confirm(t); /* it may wait for a word of its own */
    } else if (!is_anything_to_confirm(c)) {
        arb_answer(t, BASE_E_STATE,
                   c->record.epoch != 0 ? "nothing is to be confirmed: the record is in force"
                                        : "nothing is to be confirmed: the database is being made");
    } else if (silent != NULL && !t->event->request->is_forced) {
        arb_answer_member(
            t, BASE_E_STATE, silent,
            "is not heard and may have seen a higher epoch; start its agent, or leave "
            "it out with --force if it can never come back");
    } else if (serving != NULL) {
        answer_serving(t, serving);
    } else if (!is_waited(t)) {
        arb_answer(t, BASE_E_BUSY,
                   "leases of the former quorum may still run; they are over a minute after this "
                   "leader's election, try again then");
    } else if (engine->confirm != NULL && arb_view_with_data(c) != NULL) {
        engine->confirm(t);
    } else if (c->record.epoch == 0) {
        confirm_unknown(t);
    } else {
        const struct arb_view *view = choose(t);
        if (view != NULL) {
            propose_confirmed(t, view);
        }
    }
}
