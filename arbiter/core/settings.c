/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's configuration document against the record: what differs is taken over by one swap,
 * in states in which each of its effects is safe.
 *
 * A longer ttl counts in the leader's arithmetic from the entry on; after a shorter one leases of
 * the longer may still run, which the record says until they cannot any more, also to a leader that
 * has not seen the entry in its log. To asynchronous mode r goes to 0 in the same entry; every
 * other change of the synchronous set is the planner's, step by step. While no holder has its
 * right, only what an operator may need to end the outage is taken over: the choice that is under
 * way goes by the rules under which commits were acknowledged.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

static uint32_t longer(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void take(const struct msg_record *from, struct msg_record *to)
{
    to->ttl_ms = from->ttl_ms;
    to->heartbeat_ms = from->heartbeat_ms;
    to->freeze_max_ms = from->freeze_max_ms;
    to->sync_mode = from->sync_mode;
    to->sync_count = from->sync_count;
    to->is_sync_strict = from->is_sync_strict;
    to->maximum_lag_bytes = from->maximum_lag_bytes;
    to->on_crash = from->on_crash;
    to->start_timeout_ms = from->start_timeout_ms;
    to->failover_interval_ms = from->failover_interval_ms;
    to->is_failsafe = from->is_failsafe;
    to->fence_mode = from->fence_mode;
    to->is_fence_trusted = from->is_fence_trusted;
    to->is_standby_cluster = from->is_standby_cluster;
    to->config_revision = from->config_revision;
    if (to->engine == MSG_ENGINE_GALERA) {
        to->sync_mode = MSG_SYNC_ASYNC;
        to->galera.arbitrator = from->galera.arbitrator;
        to->galera.weights = from->galera.weights;
        to->galera.is_fast_takeover = from->galera.is_fast_takeover;
        to->galera.recovery_wait_us = from->galera.recovery_wait_us;
        to->galera.is_reader_kept = from->galera.is_reader_kept;
    } else if (to->engine == MSG_ENGINE_MONGODB) {
        to->sync_mode = MSG_SYNC_ASYNC;
        to->fence_mode = MSG_FENCE_OFF; /* nobody holds a right that a fence could end */
        to->is_standby_cluster = false;
        to->mongodb.policy = from->mongodb.policy;
    }
}

/* A document is of one engine. */
static bool are_lawful(const struct msg_record *settings, const struct msg_record *record)
{
    return settings->engine == record->engine && arb_settings_are_lawful(settings);
}

void arb_settings_begin(const struct arb_cluster *c, struct msg_record *next)
{
    if (c->has_settings && c->settings.config_revision != 0 && are_lawful(&c->settings, next) &&
        arb_settings_crowded(c, &c->settings, next->ttl_ms) == NULL) {
        take(&c->settings, next);
    }
}

const struct arb_view *arb_settings_crowded(const struct arb_cluster *c,
                                            const struct msg_record *settings, uint32_t ttl_ms)
{
    for (uint8_t i = 0; i < c->views_count && !CANARY(TTL_WITHOUT_ROOM); i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report && settings->ttl_ms < view->report.ttl_least_ms &&
            settings->ttl_ms < ttl_ms) {
            return view;
        }
    }
    return NULL;
}

static void refuse(struct arb_turn *t, const struct arb_view *crowded)
{
    struct arb_cluster *c = t->c;
    if (c->refused_revision == c->settings.config_revision) {
        return;
    }
    c->refused_revision = c->settings.config_revision;
    struct arb_note *note =
        arb_say(t, crowded != NULL ? ARB_NOTE_SETTINGS_NO_ROOM : ARB_NOTE_SETTINGS_REFUSED);
    note->a = c->settings.config_revision;
    if (crowded != NULL) {
        note->member = crowded->member;
        note->b = crowded->report.ttl_least_ms;
    }
}

/* There is a document that the record does not have yet, and it is lawful and does not stop us. */
static bool is_wanted(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct msg_record *s = &c->settings;
    if (!c->has_settings || s->config_revision == 0 ||
        s->config_revision == c->record.config_revision) {
        return false;
    }
    const struct arb_view *crowded = arb_settings_crowded(c, s, c->record.ttl_ms);
    if (are_lawful(s, &c->record) && crowded == NULL) {
        return true;
    }
    refuse(t, crowded);
    return false;
}

/* Timelines of the primary elsewhere that may still come in before the promotion has begun. */
#define ELSEWHERE_FAILOVERS 8

/* The same holder in a new epoch: with a timeline reserved above all that came from elsewhere, and
 * no floor where the data are to become another cluster's. Its guard is one and the same process,
 * so that nobody else can be serving; leases of the epoch before count as long as they may run. */
static bool change_role(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    if (c->record.state != MSG_RECORD_RUNNING || c->record.is_unarmed || holder == NULL ||
        !arb_view_is_holder(c, holder) || !arb_view_is_live(c, holder, t->event->now) ||
        holder->report.position.lineage > c->record.epoch || !arb_has_database(holder)) {
        return false; /* one that is being copied has nothing to open with, nor to rewind */
    }
    struct msg_record next = arb_record_next(c, holder, t->event->wall);
    take(&c->settings, &next);
    next.ttl_longest_ms = longer(c->ttl_longest_ms, next.ttl_ms);
    next.voters = (struct msg_names){0};
    next.votes_needed_r = 0;
    next.floor = (struct msg_position){0};
    next.floor_epoch = 0;
    next.role_epoch = next.epoch;
    if (!next.is_standby_cluster) {
        next.floor = holder->report.position;
        next.floor_epoch = next.epoch;
        next.timeline = next.timeline_highest = next.timeline + ELSEWHERE_FAILOVERS;
    }
    arb_decision_begin(t, ARB_DECIDE_CLUSTER_ROLE, &holder->member);
    struct arb_note *note =
        arb_say(t, next.is_standby_cluster ? ARB_NOTE_FOLLOWS_ELSEWHERE : ARB_NOTE_FOLLOWS_NOBODY);
    note->member = holder->member;
    note->a = next.epoch;
    arb_propose(t, ARB_DECIDE_CLUSTER_ROLE, &next);
    return true;
}

static bool is_helped_already(const struct msg_record *record, const struct msg_record *next)
{
    return next->fence_mode == record->fence_mode &&
           next->is_fence_trusted == record->is_fence_trusted &&
           next->failover_interval_ms == record->failover_interval_ms &&
           next->ttl_ms == record->ttl_ms && next->heartbeat_ms == record->heartbeat_ms &&
           next->freeze_max_ms == record->freeze_max_ms;
}

/* Of a document that cannot be in force as a whole yet, what may help to get there: the fence, and
 * while the holder has its right the lease's times, which a guard's watchdog may have no room for.
 * When the right is over a longer ttl would be waited for anew. */
static bool take_what_helps(struct arb_turn *t, bool is_held)
{
    struct arb_cluster *c = t->c;
    const struct msg_record *s = &c->settings;
    struct msg_record next = c->record;
    next.fence_mode = s->fence_mode;
    next.is_fence_trusted = s->is_fence_trusted;
    next.failover_interval_ms = s->failover_interval_ms;
    if (is_held) {
        next.ttl_ms = s->ttl_ms;
        next.heartbeat_ms = s->heartbeat_ms;
        next.freeze_max_ms = s->freeze_max_ms;
        next.ttl_longest_ms = longer(c->ttl_longest_ms, next.ttl_ms);
    }
    if (is_helped_already(&c->record, &next)) {
        return false;
    }
    struct arb_note *note = arb_say(t, is_held ? ARB_NOTE_SETTINGS_TIMES : ARB_NOTE_SETTINGS_WAIT);
    note->a = s->config_revision;
    note->other = c->name;
    arb_propose(t, ARB_DECIDE_SETTINGS, &next);
    return true;
}

bool arb_settings(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!is_wanted(t)) {
        return false;
    }
    if (c->settings.is_standby_cluster != c->record.is_standby_cluster) {
        return change_role(t) || take_what_helps(t, true);
    }
    struct msg_record next = c->record;
    take(&c->settings, &next);
    next.ttl_longest_ms = longer(c->ttl_longest_ms, next.ttl_ms);
    if (next.sync_mode == MSG_SYNC_ASYNC) {
        next.votes_needed_r = 0;
    }
    arb_say(t, ARB_NOTE_SETTINGS)->a = next.config_revision;
    arb_propose(t, ARB_DECIDE_SETTINGS, &next);
    return true;
}

bool arb_settings_in_outage(struct arb_turn *t)
{
    return is_wanted(t) && take_what_helps(t, false);
}

/* --- the longest ttl of the epoch --- */

void arb_ttl_note(struct arb_cluster *c, const struct msg_record *record, bool is_new_epoch)
{
    uint32_t said = longer(record->ttl_longest_ms, record->ttl_ms);
    bool is_told = is_new_epoch || record->ttl_longest_ms != 0;
    c->ttl_longest_ms = is_told ? said : longer(c->ttl_longest_ms, said);
}

/* Whatever is granted from the moment on at which this leader knows the shorter ttl is of that one.
 */
bool arb_ttl_settle(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (c->ttl_longest_ms <= c->record.ttl_ms) {
        return false;
    }
    if (!c->has_ttl_lowered) {
        c->has_ttl_lowered = true;
        c->ttl_lowered = t->event->now;
    }
    int64_t run_out_us = arb_lease_wait_us(c, c->ttl_longest_ms * BASE_US_PER_MS);
    if (base_mono_diff_us(t->event->now, c->ttl_lowered) < run_out_us) {
        return false;
    }
    struct msg_record next = c->record;
    next.ttl_longest_ms = next.ttl_ms;
    arb_say(t, ARB_NOTE_TTL_SETTLED)->a = next.ttl_ms;
    arb_propose(t, ARB_DECIDE_TTL_SETTLED, &next);
    return true;
}
