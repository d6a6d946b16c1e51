/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the arbiter's part: the record, epochs, leases, votes and handbacks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "base/crc32c.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "kv/core/apply.h"
#include "proto/wire/agent.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_gal.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_lease.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/truth_ops.h"

struct truth_db *truth_db_of(struct world *w, unsigned member)
{
    return &w->truth->db[cluster_of(w, member)];
}

/* By the name of the cluster. */
static struct truth_db *db_named(struct world *w, const struct base_name *name)
{
    for (unsigned i = 0; i < databases_count(w); i++) {
        if (base_name_equal(cluster_name(i), name)) {
            w->truth->db[i].cluster = i;
            return &w->truth->db[i];
        }
    }
    return NULL;
}

const struct db_setup *truth_database(const struct world *w, const struct truth_db *t)
{
    return &w->setup.databases[t->cluster];
}

int truth_holder(struct world *w, unsigned cluster)
{
    const struct msg_record *r = &w->truth->db[cluster].record;
    return r->epoch != 0 ? member_by_name(w, &r->holder) : -1;
}

void truth_db_close(struct world *w)
{
    free(w->truth->lease);
    for (unsigned i = 0; i < DB_CLUSTERS_MAX; i++) {
        free(w->truth->db[i].epochs);
        free(w->truth->db[i].acked);
    }
}

uint32_t truth_set(struct world *w, const struct msg_names *names)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < names->count; i++) {
        int member = member_by_name(w, &names->names[i]);
        set |= member >= 0 ? 1u << member : 0;
    }
    return set;
}

unsigned truth_bits(uint32_t set)
{
    return (unsigned)__builtin_popcount(set);
}

/* --- A2: the old holder's right is over --- */

/* A holder that goes on by failsafe rounds may be given a new epoch: it is the same host, and its
 * guard kills the former tree before it is armed for the new one. */
static bool is_return_in_failsafe(const struct msg_record *old, const struct msg_record *new)
{
    return old->failsafe_members.count > 0 && base_name_equal(&old->holder, &new->holder) &&
           old->holder_instance == new->holder_instance;
}

static bool is_writable_in(const struct member *m, uint64_t epoch)
{
    return m->is_galera ? wsrep_is_writable(&m->gal) && m->gal.writable_epoch == epoch
                        : m->pg.is_writable && m->pg.epoch == epoch;
}

/* The same guard of the same host: what it has armed and runs it ends or carries over by itself. */
bool truth_is_change_of_role(const struct msg_record *old, const struct msg_record *new)
{
    return old->is_standby_cluster !=
               new->is_standby_cluster &&base_name_equal(&old->holder, &new->holder) &&
           old->holder_instance == new->holder_instance;
}

static void old_holder_is_over(struct world *w, const struct msg_record *old, uint64_t epoch)
{
    int holder = member_by_name(w, &old->holder);
    if (holder < 0) {
        return;
    }
    struct member *m = member_of(w, (unsigned)holder);
    const struct guard_status *s = &m->guard.status;
    bool is_wild = w->setup.drift_ppm > 10000; /* beyond the declared bound */
    if (is_wild || m->clock.stood_us != 0 || m->clock.standing_since != 0) {
        return; /* outside of the lease's bounds */
    }
    if (!m->guard_process.is_up || s->instance != old->holder_instance) {
        return; /* that guard is no more, and its tree with it */
    }
    if (old->engine == MSG_ENGINE_GALERA && old->galera.is_fast_takeover) {
        return; /* who was evicted cannot commit, lease or not */
    }
    if (is_writable_in(m, old->epoch)) {
        world_fail(w, INVARIANT_EPOCH_AFTER_LEASE,
                   "epoch %lu begins while %s still acknowledges in epoch %lu",
                   (unsigned long)epoch, m->name.text, (unsigned long)old->epoch);
    }
    bool is_armed = s->is_armed && s->epoch == old->epoch && s->epoch_handed_back < old->epoch;
    int64_t left_us = base_mono_diff_us(s->deadline, clock_now(&m->clock));
    if (is_armed && left_us > 0) {
        world_fail(w, INVARIANT_EPOCH_AFTER_LEASE,
                   "epoch %lu begins %ld us before the lease of %s for epoch %lu ends",
                   (unsigned long)epoch, (long)left_us, m->name.text, (unsigned long)old->epoch);
    }
}

/* --- A6: votes --- */

/* How many votes of one attempt are not beyond the winner's position. */
static unsigned votes_behind(struct world *w, const struct truth_db *t,
                             const struct msg_record *new, struct msg_attempt attempt)
{
    const struct db_setup *d = truth_database(w, t);
    uint32_t voters = truth_set(w, &t->record.voters);
    unsigned have = 0;
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        const struct truth_vote *v = &w->truth->members[i].vote;
        bool is_same = v->attempt.term == attempt.term && v->attempt.number == attempt.number;
        have += (voters >> i & 1) != 0 && v->is_given && is_same &&
                truth_position_compare(&v->position, &new->floor) <= 0;
    }
    return have;
}

/* --- A12 --- */

/* The next holder has all that the former one wrote until its orderly stop. */
static bool has_all(struct world *w, const struct truth_db *t, const struct msg_record *new)
{
    int from = member_by_name(w, &t->record.holder), to = member_by_name(w, &new->holder);
    if (from < 0 || to < 0 || from == to) {
        return true;
    }
    const struct pg_directory *a = &pg_of(w, (unsigned)from)->dir;
    return !a->is_clean || pg_same(a, &pg_of(w, (unsigned)to)->dir) >= a->clean_position;
}

/* After an orderly stop, unless votes chose, because nobody within reach has all. */
static void nothing_is_left_behind(struct world *w, const struct truth_db *t,
                                   const struct msg_record *new)
{
    int to = member_by_name(w, &new->holder);
    bool has_voted = to >= 0 && w->truth->members[to].vote.is_given;
    if (t->is_handback_clean && !has_voted && !has_all(w, t, new)) {
        world_fail(w, INVARIANT_HAND_OVER, "epoch %lu: pg%d takes over without all that %s wrote",
                   (unsigned long)new->epoch, to + 1, t->record.holder.text);
    }
}

/* Enough of those that had to be asked have voted, in the winner's own attempt, with no more than
 * the winner has; and the winner is one of them. */
static void candidate_is_best(struct world *w, const struct truth_db *t,
                              const struct msg_record *new)
{
    const struct msg_record *old = &t->record;
    unsigned needed = old->voters.count + 1u - old->votes_needed_r;
    int winner = member_by_name(w, &new->holder);
    bool has_voted = winner >= 0 && w->truth->members[winner].vote.is_given;
    if (old->sync_mode == MSG_SYNC_ASYNC || old->is_standby_cluster ||
        (t->is_handback_clean && (!has_voted || has_all(w, t, new))) ||
        base_name_equal(&old->holder, &new->holder)) {
        return;
    }
    if (old->votes_needed_r == 0) {
        world_fail(w, INVARIANT_BEST_CANDIDATE, "epoch %lu has another holder though r was 0",
                   (unsigned long)new->epoch);
    }
    if (winner < 0 || (truth_set(w, &old->voters) >> winner & 1) == 0 ||
        !w->truth->members[winner].vote.is_given) {
        world_fail(w, INVARIANT_BEST_CANDIDATE,
                   "the holder of epoch %lu is no voter, or its vote does not stand",
                   (unsigned long)new->epoch);
    }
    unsigned have = votes_behind(w, t, new, w->truth->members[winner].vote.attempt);
    if (have < (needed > 0 ? needed : 1)) {
        world_fail(
            w, INVARIANT_BEST_CANDIDATE,
            "epoch %lu begins at lineage %lu lsn %lu, and only %u of the %u votes needed are "
            "not beyond that",
            (unsigned long)new->epoch, (unsigned long)new->floor.lineage,
            (unsigned long)new->floor.lsn, have, needed);
    }
}

/* --- a new epoch --- */

static void epoch_is_lawful(struct world *w, struct truth_db *t, const struct msg_record *new,
                            bool is_confirmed)
{
    if (!is_return_in_failsafe(&t->record, new) && !truth_is_change_of_role(&t->record, new)) {
        old_holder_is_over(w, &t->record, new->epoch);
    }
    bool is_other = !base_name_equal(&t->record.holder, &new->holder);
    if (new->engine != MSG_ENGINE_POSTGRESQL) {
        return; /* no votes, no floor; a calm world founds and elects, too */
    }
    if (t->is_forced && is_other && !is_confirmed) {
        truth_loss_is_forced(w, t, new);
    } else if (t->record.state != MSG_RECORD_BOOTSTRAP && !is_confirmed) {
        candidate_is_best(w, t, new);
        nothing_is_left_behind(w, t, new);
        truth_loss_is_bounded(w, t, new);
        truth_loss_is_lawful(w, t, new);
    }
    if (w->setup.is_calm) {
        world_fail(w, INVARIANT_CALM, "epoch %lu begins though nothing was wrong",
                   (unsigned long)new->epoch);
    }
}

static void epoch_begins(struct world *w, struct truth_db *t, const struct msg_record *new,
                         bool is_confirmed)
{
    const struct db_setup *d = truth_database(w, t);
    bool is_chosen =
        t->record.epoch != 0 && t->record.state != MSG_RECORD_BOOTSTRAP && !is_confirmed;
    trace(w, TRACE_EPOCH, new->epoch, (uint64_t)member_by_name(w, &new->holder), new->revision,
          truth_set(w, &new->voters));
    if (t->record.epoch != 0) {
        epoch_is_lawful(w, t, new, is_confirmed);
        bool is_same = base_name_equal(&t->record.holder, &new->holder);
        w->tally.galera_writers += !is_same && is_galera(w, t->cluster);
        w->tally.failovers += !is_same && !t->is_handback_clean;
        w->tally.handovers += !is_same && t->is_handback_clean;
        w->tally.reopened += is_same;
    }
    is_chosen = is_chosen && new->engine == MSG_ENGINE_POSTGRESQL; /* the others have no floor */
    is_chosen = is_chosen && !truth_is_change_of_role(&t->record, new);
    truth_lease_epoch(w, is_chosen ? &t->record : NULL, new);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        w->truth->members[i].vote.is_given = false;
    }
    t->is_handback_clean = t->is_forced = false;
    t->granted_count = 0;
    t->granted_before = 0;
    t->epochs = must_grow(t->epochs, &t->epochs_cap, t->epochs_count + 1, sizeof(*t->epochs));
    t->epochs[t->epochs_count++] =
        (struct truth_epoch){new->epoch, member_by_name(w, &new->holder), *new};
}

/* A3: epochs and revisions grow in steps of one. True when this store is the first that has it. */
static bool record_grows(struct world *w, const struct truth_db *t, const struct msg_record *new,
                         bool is_confirmed)
{
    if (is_confirmed && new->epoch <= t->epoch_reported) {
        world_fail(w, INVARIANT_EPOCHS_GROW, "epoch %lu is confirmed, and epoch %lu was seen",
                   (unsigned long)new->epoch, (unsigned long)t->epoch_reported);
    }
    bool is_newer = is_confirmed || new->epoch > t->record.epoch ||
                    (new->epoch == t->record.epoch &&new->revision > t->record.revision);
    if (is_newer && !is_confirmed && new->revision != t->record.revision + 1 &&
        t->record.epoch != 0) {
        world_fail(w, INVARIANT_EPOCHS_GROW, "revision %lu follows %lu",
                   (unsigned long)new->revision, (unsigned long)t->record.revision);
    }
    return is_newer;
}

static void record_changes(struct world *w, struct truth_db *t, const struct msg_record *new,
                           bool is_confirmed)
{
    struct msg_record old = t->record;
    bool is_begun = is_confirmed || new->epoch > t->record.epoch;
    if (!is_confirmed) {
        truth_ops_changes(w, t, new);
    }
    if (is_begun) {
        epoch_begins(w, t, new, is_confirmed);
    } else {
        trace(w, TRACE_RECORD, new->epoch, new->revision, truth_set(w, &new->voters),
              new->votes_needed_r);
    }
    t->record = *new;
    if (is_galera(w, t->cluster)) {
        truth_gal_record(w, &old, new);
        return;
    }
    if (is_mongodb(w, t->cluster)) {
        truth_mongo_record(w, &old, new);
        return;
    }
    truth_voters_have_it(w, t, is_begun ? NULL : &old);
    for (unsigned i = 0; i < w->setup.members; i++) {
        truth_settings(w, pg_of(w, i));
    }
}

/* A record that was applied by a node which ended before it could tell: it is the next one. */
static bool is_untold(const struct truth_db *t, const struct msg_record *loaded)
{
    return t->restored == RESTORED_NOT && t->record.epoch != 0 &&
           loaded->revision == t->record.revision + 1 &&
           (loaded->epoch == t->record.epoch || loaded->epoch == t->record.epoch + 1);
}

void truth_swapped(struct world *w, unsigned node, const struct kv_swapped *swapped)
{
    struct msg_record new;
    if ((!swapped->is_won && !swapped->is_loaded) || wire_record_decode(swapped->blob, &new) != 0) {
        return;
    }
    struct truth_db *t = db_named(w, &new.cluster);
    if (swapped->is_loaded && (t == NULL || !is_untold(t, &new))) {
        return;
    }
    if (t == NULL) {
        world_fail(w, INVARIANT_NO_CRASH, "a record of an unknown cluster");
    }
    bool is_confirmed = t->restored == RESTORED_CONFIRMING;
    if (t->restored == RESTORED_UNCONFIRMED) {
        world_fail(w, INVARIANT_UNCONFIRMED,
                   "node %u applies epoch %lu, revision %lu, of a restored quorum, and nobody has "
                   "confirmed the record",
                   node, (unsigned long)new.epoch, (unsigned long)new.revision);
    }
    t->restored = RESTORED_NOT;
    truth_ops_swapped(w, node, t->cluster, &new);
    if (record_grows(w, t, &new, is_confirmed)) {
        record_changes(w, t, &new, is_confirmed);
    }
}

/* --- a restored quorum: it has one database cluster --- */

void truth_db_begin_anew(struct world *w)
{
    w->truth->db[0].restored = RESTORED_UNCONFIRMED;
}

bool truth_record(const struct world *w, struct msg_record *ret)
{
    *ret = w->truth->db[0].record;
    return ret->epoch != 0;
}

struct newest {
    uint64_t epoch;
    bool is_there;
};

static int look_at_record(void *ctx, struct slice name, const struct kv_record *record)
{
    struct newest *newest = ctx;
    (void)name;
    newest->is_there = newest->is_there || record->epoch == newest->epoch;
    return 0;
}

bool truth_is_newest(struct world *w, struct store_txn *txn, uint64_t epoch)
{
    struct newest newest = {.epoch = epoch};
    int64_t revision = 0;
    int rc = kv_core_records(txn, look_at_record, &newest);
    rc = rc != 0 ? rc : kv_core_revision(txn, &revision);
    return rc == 0 && newest.is_there && revision == truth_revision(w);
}

void truth_confirming(struct world *w)
{
    w->truth->db[0].restored = RESTORED_CONFIRMING;
}

bool truth_is_unconfirmed(const struct world *w)
{
    return w->truth->db[0].restored != RESTORED_NOT;
}

/* --- orders --- */

void truth_order(struct world *w, unsigned node, struct base_mono now, struct slice payload)
{
    static struct msg_order order;
    if (wire_order_decode(slice_skip(payload, 1), &order) != 0 || order.record.epoch == 0) {
        return;
    }
    struct truth_db *t = db_named(w, &order.record.cluster);
    if (t == NULL) {
        return;
    }
    if (order.is_granted && t->restored != RESTORED_NOT) {
        world_fail(w, INVARIANT_UNCONFIRMED,
                   "node %u of a restored quorum grants epoch %lu, and nobody has confirmed it",
                   node, (unsigned long)order.granted_epoch);
    }
    if (order.is_granted) {
        truth_ops_grants(w, node, t->cluster, order.granted_epoch);
    }
    if (order.record.epoch == t->record.epoch) {
        truth_attempts_end(w, t, order.ended);
    }
    truth_lease_order(w, node, &order, now);
}

/* --- reports and guards: the handback --- */

static void handback_is_true(struct world *w, const struct member *m, uint64_t epoch)
{
    if (m->is_galera && wsrep_is_writable(&m->gal) && m->gal.writable_epoch <= epoch) {
        world_fail(w, INVARIANT_HANDBACK, "%s hands epoch %lu back while it accepts writes",
                   m->name.text, (unsigned long)epoch);
    }
    if (!m->is_galera && m->tree.is_up && m->pg.epoch != 0 && m->pg.epoch <= epoch) {
        world_fail(w, INVARIANT_HANDBACK, "%s hands epoch %lu back while a tree of epoch %lu lives",
                   m->name.text, (unsigned long)epoch, (unsigned long)m->pg.epoch);
    }
}

/* For people: what a report says that the trace's numbers do not. */
static void trace_report(struct world *w, const struct member *m, const struct msg_report *r)
{
    char text[256];
    uint32_t confirmed = 0;
    struct member *told = member_of(w, m->index);
    if (r->is_vote_valid && told->ballot_told != r->promised.number) {
        told->ballot_told = r->promised.number;
        trace(w, TRACE_BALLOT, m->index, r->position.lineage, r->position.lsn, r->promised.number);
    }
    trace(w, TRACE_REPORT, m->index, r->number, r->epoch_held, r->db_state);
    if (!w->is_tracing) {
        return;
    }
    for (unsigned i = 0; i < r->standbys_count; i++) {
        int member = member_by_name(w, &r->standbys[i].member);
        confirmed |= r->standbys[i].is_confirmed && member >= 0 ? 1u << member : 0;
    }
    (void)snprintf(text, sizeof(text),
                   "reports lineage %lu lsn %lu open %d opened %lu vote %d S %s %x k %u barrier %d "
                   "confirmed %x",
                   (unsigned long)r->position.lineage, (unsigned long)r->position.lsn, r->is_open,
                   (unsigned long)r->opened_lsn, r->is_vote_valid, r->is_sync_known ? "=" : "?",
                   truth_set(w, &r->sync_names), r->sync_count, r->is_sync_barrier_passed,
                   confirmed);
    trace_text(w, ADDRESS_AGENT + m->index, text);
}

/* A3: an agent never goes back to a lower epoch. */
static void agent_remembers(struct world *w, const struct member *m, const struct msg_report *r)
{
    uint64_t *seen = &w->truth->members[m->index].epoch_seen;
    if (r->epoch_seen < *seen) {
        world_fail(w, INVARIANT_EPOCHS_GROW, "%s says that it has seen epoch %lu, after %lu",
                   m->name.text, (unsigned long)r->epoch_seen, (unsigned long)*seen);
    }
    *seen = r->epoch_seen;
}

/* A report goes to every node in turn: the same bytes are decoded once. */
static const struct msg_report *decode(struct world *w, const struct member *m,
                                       struct slice payload)
{
    static struct msg_report report;
    static struct {
        const struct world *world;
        unsigned member;
        size_t len;
        uint8_t bytes[1 + WIRE_AGENT_BYTES_MAX];
    } last;
    if (last.world == w && last.member == m->index && last.len == payload.len &&
        memcmp(last.bytes, payload.data, payload.len) == 0) {
        return &report;
    }
    last.world = NULL;
    if (payload.len > sizeof(last.bytes) ||
        wire_report_decode(slice_skip(payload, 1), &report) != 0) {
        world_fail(w, INVARIANT_NO_CRASH, "%s sends a malformed report", m->name.text);
    }
    last.world = w;
    last.member = m->index;
    last.len = payload.len;
    memcpy(last.bytes, payload.data, payload.len);
    return &report;
}

void truth_report(struct world *w, const struct member *m, struct slice payload)
{
    struct truth_db *t = truth_db_of(w, m->index);
    const struct msg_report *report = decode(w, m, payload);
    trace_report(w, m, report);
    truth_retires(w, m, agt_driver_agent(m->agent)->is_retired);
    agent_remembers(w, m, report);
    truth_promise_is_remembered(w, m, report);
    truth_lease_report(w, m, report, base_crc32c(0, payload));
    truth_ops_report(w, m, report);
    if (m->is_galera) {
        truth_gal_report(w, m, report);
    }
    if (m->is_mongodb) {
        truth_mongo_report(w, m, report);
    }
    t->epoch_reported =
        report->epoch_seen > t->epoch_reported ? report->epoch_seen : t->epoch_reported;
    if (report->epoch_handed_back > 0) {
        handback_is_true(w, m, report->epoch_handed_back);
    }
    if (report->epoch_handed_back == t->record.epoch && t->record.epoch != 0 &&
        report->is_handback_clean && report->instance == t->record.holder_instance) {
        t->is_handback_clean = true;
    }
    if (report->is_vote_valid) {
        truth_take_vote(w, t, m, report);
    }
}

/* Section 1: an epoch is used by one guard of one member. */
static void guard_is_the_one(struct world *w, const struct member *m)
{
    const struct guard_status *s = &m->guard.status;
    const struct truth_epoch *e = truth_epoch_of(truth_db_of(w, m->index), s->epoch);
    if (s->is_armed && e != NULL &&
        (e->holder != (int)m->index || e->record.holder_instance != s->instance)) {
        world_fail(w, INVARIANT_ONE_GUARD,
                   "the guard of %s is armed for epoch %lu, which another guard was given",
                   m->name.text, (unsigned long)s->epoch);
    }
}

void truth_guard(struct world *w, const struct member *m)
{
    guard_is_the_one(w, m);
    truth_lease_guard(w, m);
    if (m->guard.status.epoch_handed_back > 0) {
        handback_is_true(w, m, m->guard.status.epoch_handed_back);
    }
}

/* Its vote counts with what it has acknowledged, which another standby may lack. Who has heard of
 * no later epoch copies the holder that it knows: since then it has acknowledged to nobody else,
 * and the floor refuses a vote that has too little. */
static void voter_copies_the_holder(struct world *w, const struct member *m,
                                    const struct db_order *order)
{
    const struct truth_db *t = truth_db_of(w, m->index);
    const struct truth_epoch *e = truth_epoch_of(t, order->epoch);
    bool is_voter = (truth_set(w, &t->record.voters) >> m->index & 1) != 0;
    w->tally.clones++;
    if (is_voter && !order->is_remote &&
        (e == NULL || !base_name_equal(&order->upstream_member, &e->record.holder))) {
        world_fail(w, INVARIANT_COPY, "%s, a voter of epoch %lu, copies %s, and the holder is %s",
                   m->name.text, (unsigned long)t->record.epoch, order->upstream_member.text,
                   t->record.holder.text);
    }
}

/* A10: nothing that makes a writer is ordered without a lease; what a stopped agent wanted before
 * counts no more. */
void truth_ordered(struct world *w, const struct member *m, const struct db_order *order)
{
    const struct guard_status *s = &m->guard.status;
    struct base_mono until =
        base_mono_add_us(s->deadline, lease_margin_us(database_of(w, m->index)->ttl_ms * MS));
    truth_ops_ordered(w, m, order);
    if (order->kind == DB_ORDER_FOLLOW || order->kind == DB_ORDER_PREPARE_STANDBY) {
        truth_follows(w, m, order);
    }
    if (order->kind == DB_ORDER_CLONE && m->index < w->setup.members) {
        voter_copies_the_holder(w, m, order);
    }
    if (order->kind != DB_ORDER_PROMOTE) {
        return;
    }
    if (!s->is_armed || s->epoch != order->epoch ||
        !base_mono_before(clock_now(&m->clock), until)) {
        world_fail(w, INVARIANT_UNDER_LEASE,
                   "%s has its database promoted for epoch %lu without a lease for it",
                   m->name.text, (unsigned long)order->epoch);
    }
}
