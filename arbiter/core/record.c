/* SPDX-License-Identifier: Apache-2.0 */
/* Records: what is lawful, what follows what, and how a change is proposed.
 *
 * Every proposal passes arb_propose, which checks it against the record it replaces; from then
 * until the swap is known to have won, to be void or to have never been in the log, no other one is
 * made.
 */
#include "arbiter/core/galera_internal.h"
#include "arbiter/core/internal.h"
#include "arbiter/core/mongodb_internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#define TIMELINE_STEP_MAX 1000000u
#define TIMELINE_MAX (UINT32_MAX - 2 * TIMELINE_STEP_MAX)

bool arb_settings_are_lawful(const struct msg_record *r)
{
    return r->sync_mode <= MSG_SYNC_FIRST && r->on_crash <= MSG_ON_CRASH_RESTART &&
           r->fence_mode <= MSG_FENCE_REQUIRE && r->sync_count < MSG_MEMBERS_MAX &&
           r->ttl_ms >=
               (r->engine == MSG_ENGINE_GALERA ? ARB_GALERA_TTL_MIN_MS : LEASE_TTL_MIN_MS) &&
           r->ttl_ms <= LEASE_TTL_MAX_MS && r->heartbeat_ms > 0 &&
           r->heartbeat_ms <= r->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
}

/* Who has the role, and where its history goes on; with MongoDB nobody has one by us. */
static bool is_holder_good(const struct msg_record *r)
{
    if (r->engine == MSG_ENGINE_MONGODB) {
        return base_name_is_empty(&r->holder) && r->holder_instance == 0 && r->timeline == 0 &&
               r->timeline_highest == 0 && r->state == MSG_RECORD_RUNNING && r->voters.count == 0 &&
               r->fencing_epoch == 0 && !r->is_standby_cluster &&
               mdb_record_check(&r->mongodb, r->epoch);
    }
    return !base_name_is_empty(&r->holder) && r->holder_instance != 0 && r->timeline > 0;
}

bool arb_record_check(const struct msg_record *r)
{
    return r->epoch > 0 && r->revision > 0 && r->state != MSG_RECORD_NONE &&
           !base_name_is_empty(&r->cluster) && is_holder_good(r) && arb_names_check(&r->voters) &&
           !arb_names_has(&r->voters, &r->holder) && r->floor_epoch <= r->epoch &&
           r->floor.lineage < r->epoch && r->timeline <= r->timeline_highest &&
           r->timeline_highest <= TIMELINE_MAX && arb_settings_are_lawful(r) &&
           BASE_IMPLIES(r->state == MSG_RECORD_BOOTSTRAP,
                        !r->is_opened && r->votes_needed_r == 0) &&
           BASE_IMPLIES(!base_name_is_empty(&r->target), r->state == MSG_RECORD_SWITCHOVER) &&
           BASE_IMPLIES(r->is_paused, r->is_unarmed) && r->fencing_epoch <= r->epoch &&
           r->tasks_count <= MSG_TASKS_MAX && arb_names_check(&r->drained) &&
           arb_names_check(&r->failsafe_members) &&
           BASE_IMPLIES(r->engine == MSG_ENGINE_GALERA, gal_record_check(&r->galera));
}

bool arb_record_follows(const struct msg_record *old, const struct msg_record *next)
{
    if (!arb_record_check(next) || next->revision != old->revision + 1 ||
        !base_name_equal(&old->cluster, &next->cluster)) {
        return false;
    }
    if (old->epoch != 0 && (next->restore_id != old->restore_id || next->engine != old->engine)) {
        return false; /* only an operator's confirmation changes it; the engine never does */
    }
    if (next->epoch == old->epoch) {
        return base_name_equal(&old->holder, &next->holder) && next->timeline == old->timeline &&
               old->holder_instance == next->holder_instance &&
               old->timeline_highest == next->timeline_highest &&
               BASE_IMPLIES(old->is_opened, next->is_opened) &&
               next->fencing_epoch >= old->fencing_epoch &&
               old->is_standby_cluster == next->is_standby_cluster &&
               old->role_epoch == next->role_epoch &&
               BASE_IMPLIES(old->system_id != 0, next->system_id == old->system_id);
    }
    return next->epoch == old->epoch + 1 && !next->is_opened &&
           BASE_IMPLIES(old->is_paused, CANARY(PAUSE_IGNORED)) && !next->is_unarmed &&
           next->timeline_highest >= old->timeline_highest &&
           BASE_IMPLIES(next->state != MSG_RECORD_BOOTSTRAP && next->engine != MSG_ENGINE_MONGODB,
                        next->timeline > old->timeline_highest);
}

void arb_propose(struct arb_turn *t, enum arb_decision_kind kind, struct msg_record *next)
{
    struct arb_cluster *c = t->c;
    BASE_ASSERT(c->is_leader && c->is_ready && !c->is_swapping && !t->fx->has_swap);
    next->revision = c->record.revision + 1;
    BASE_ASSERT(next->restore_id == c->restore_id || CANARY(RESTORED_RECORD_TRUSTED));
    BASE_ASSERT(kind == ARB_DECIDE_CONFIRMED ? arb_record_confirms(&c->record, next)
                                             : arb_record_follows(&c->record, next));
    /* Another bootstrap is granted by these entries alone, where the rules find the last revoked.
     */
    bool may_grant_again = kind == ARB_DECIDE_GALERA_GRANT || kind == ARB_DECIDE_BOOTSTRAP;
    BASE_ASSERT(next->engine != MSG_ENGINE_GALERA || kind == ARB_DECIDE_CONFIRMED ||
                gal_record_follows(&c->record.galera, &next->galera, may_grant_again));
    BASE_ASSERT(
        next->engine != MSG_ENGINE_MONGODB || kind == ARB_DECIDE_CONFIRMED ||
        mdb_record_follows(&c->record.mongodb, c->record.epoch, &next->mongodb, next->epoch));
    c->is_swapping = true;
    c->is_swap_epoch = next->epoch != c->record.epoch || kind == ARB_DECIDE_FENCE;
    c->swap_record = *next;
    c->swap_at = t->event->now;
    c->winner_session = 0;
    uint8_t winner = arb_view_find(c, &next->holder);
    if (next->epoch != c->record.epoch && winner != ARB_NOBODY) {
        c->winner_session = c->views[winner].report.session;
        c->winner_number = c->views[winner].report.number;
    }
    t->fx->has_swap = true;
    t->fx->swap_kind = kind;
    t->fx->expect_epoch = c->record.epoch;
    t->fx->expect_revision = c->record.revision;
    t->fx->term = c->term;
    t->fx->record = *next;
}

/* A number above every one used, reserved or seen (section 1). A report beyond all reason is not
 * followed: its sender would find itself on another number than the reserved one, and not open. */
static uint32_t next_timeline(const struct arb_cluster *c)
{
    const uint32_t reason = c->record.timeline_highest + TIMELINE_STEP_MAX;
    uint32_t highest = c->record.timeline_highest;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct msg_report *report = &c->views[i].report;
        if (!c->views[i].has_report || c->views[i].refused != ARB_REFUSE_NONE) {
            continue;
        }
        uint32_t seen = report->timeline_highest > report->position.timeline
                            ? report->timeline_highest
                            : report->position.timeline;
        highest = seen > highest && seen <= reason ? seen : highest;
    }
    return highest + 1;
}

struct msg_record arb_record_next(const struct arb_cluster *c, const struct arb_view *view,
                                  struct base_wall wall)
{
    struct msg_record next = c->record;
    next.epoch = c->record.epoch + 1;
    next.state = MSG_RECORD_RUNNING;
    next.holder = view->member;
    next.holder_instance = view->report.instance;
    next.timeline = next_timeline(c);
    next.timeline_highest = next.timeline;
    next.since_wall_us = wall.us;
    next.is_opened = false;
    next.target = (struct base_name){{0}};
    next.ttl_longest_ms = 0;
    next.is_paused = next.is_unarmed = false;
    next.failsafe_members = (struct msg_names){0}; /* the new holder has confirmed none yet */
    arb_names_remove(&next.voters, &view->member);
    return next;
}

/* Why this one does not take over, the winner's NONE. */
static enum arb_refusal why_not(struct arb_turn *t, const struct arb_decision *d,
                                const struct arb_view *view, enum arb_refusal vote)
{
    uint8_t winner = arb_view_find(t->c, &d->to);
    if (base_name_equal(&view->member, &d->to)) {
        return ARB_REFUSE_NONE;
    }
    if (vote != ARB_REFUSE_NONE) {
        return vote;
    }
    enum arb_refusal why = arb_candidate_check(t->c, view, t->event->now);
    bool is_behind =
        winner != ARB_NOBODY &&
        arb_position_compare(&view->report.position, &t->c->views[winner].report.position) < 0;
    if (why != ARB_REFUSE_NONE || !is_behind) {
        return why != ARB_REFUSE_NONE ? why : ARB_REFUSE_NOT_PREFERRED;
    }
    return ARB_REFUSE_BEHIND;
}

static void add_input(struct arb_turn *t, struct arb_decision *d, const struct arb_view *view)
{
    const struct arb_cluster *c = t->c;
    struct arb_input *input = &d->inputs[d->inputs_count++];
    bool is_galera = d->engine == MSG_ENGINE_GALERA;
    bool is_mongodb = d->engine == MSG_ENGINE_MONGODB;
    enum arb_refusal vote = is_galera    ? arb_galera_fitness(c, view, t->event->now)
                            : is_mongodb ? arb_mongodb_target_check(c, view, t->event->now)
                                         : arb_vote_check(c, view);
    *input = (struct arb_input){.member = view->member,
                                .position = view->report.position,
                                .heard_ago_us = -1,
                                .is_voter = arb_names_has(&c->record.voters, &view->member),
                                .why = why_not(t, d, view, vote)};
    if (is_galera) {
        const struct msg_galera_report *r = &view->report.galera;
        uint64_t seqno = r->position.seqno > 0 ? (uint64_t)r->position.seqno : 0;
        input->position = (struct msg_position){r->generation, 0, seqno};
    } else if (is_mongodb) {
        const struct msg_mongodb_optime *applied = &view->report.mongodb.applied;
        input->position = (struct msg_position){applied->term, 0, applied->ts};
        input->why = vote; /* nobody is chosen: how each was found */
    }
    if (view->has_report) {
        input->heard_ago_us = base_mono_diff_us(t->event->now, view->heard);
        input->is_vote =
            vote == ARB_REFUSE_NONE || vote == ARB_REFUSE_LACKS_FLOOR || vote == ARB_REFUSE_LAG;
    }
}

/* Detection ends when the handback came or two heartbeats were missed; the rest until the right
 * ended is the wait for the lease. */
static void add_times(struct arb_turn *t, struct arb_decision *d)
{
    const struct arb_cluster *c = t->c;
    int64_t late_us = 2 * arb_heartbeat_us(c);
    d->detection_us = d->lease_us = d->vote_us = d->commit_us = d->open_us = -1;
    if (d->over == ARB_OVER_NO || c->over_at.us == BASE_MONO_NEVER.us) {
        return;
    }
    d->vote_us = base_mono_diff_us(t->event->now, c->over_at);
    if (!c->has_holder_good) {
        return;
    }
    int64_t silent_us = base_mono_diff_us(c->over_at, c->holder_good);
    bool is_waited = d->over == ARB_OVER_EXPIRED && silent_us > late_us;
    d->detection_us = is_waited ? late_us : silent_us;
    d->lease_us = is_waited ? silent_us - late_us : 0;
}

void arb_decision_begin(struct arb_turn *t, enum arb_decision_kind kind, const struct base_name *to)
{
    struct arb_cluster *c = t->c;
    struct arb_decision *d = &c->decision;
    struct arb_set voters = {c->record.voters, c->record.votes_needed_r};
    *d = (struct arb_decision){.kind = kind,
                               .epoch = c->record.epoch + 1,
                               .from = c->record.holder,
                               .to = *to,
                               .engine = arb_engine_of(c)->id,
                               .votes_needed = arb_votes_needed(&voters),
                               .votes_counted = arb_vote_count(c)};
    d->over = c->record.epoch == 0 ? ARB_OVER_NO : arb_lease_over(c, t->event->now);
    d->attempt = c->is_attempt ? c->attempt : (struct msg_attempt){0, 0};
    add_times(t, d);
    for (uint8_t i = 0; i < c->views_count; i++) {
        add_input(t, d, &c->views[i]);
    }
    uint8_t winner = arb_view_find(c, to);
    if (winner != ARB_NOBODY) {
        d->floor = c->views[winner].report.position;
        d->loss_bound_bytes = arb_loss_bound(c, &d->floor);
    }
    t->fx->has_history = true;
}
