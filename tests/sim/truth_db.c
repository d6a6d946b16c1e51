/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the databases: one writer at a time, epochs that grow and wait for the old holder,
 * the best candidate, the sync set, and above all: what was acknowledged is there.
 */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "kv/core/apply.h"
#include "proto/wire/agent.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

int truth_holder(const struct world *w)
{
    struct world *world = (struct world *)(uintptr_t)w;
    return w->truth->record.epoch != 0 ? member_by_name(world, &w->truth->record.holder) : -1;
}

static uint32_t set_of(struct world *w, const struct msg_names *names)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < names->count; i++) {
        int member = member_by_name(w, &names->names[i]);
        set |= member >= 0 ? 1u << member : 0;
    }
    return set;
}

static bool has_record(const struct pg *pg, const struct truth_acked *a)
{
    return pg->dir.count >= a->position && pg->dir.records[a->position - 1] == a->record;
}

/* --- A2, A3, A6: a new epoch --- */

static void old_holder_is_over(struct world *w, const struct msg_record *old, uint64_t epoch)
{
    int holder = member_by_name(w, &old->holder);
    if (holder < 0) {
        return;
    }
    struct member *m = member_of(w, (unsigned)holder);
    const struct guard_status *s = &m->guard.status;
    if (m->clock.stood_us != 0 || m->clock.standing_since != 0) {
        return; /* a clock that stood still is outside of the lease's bounds */
    }
    if (!m->guard_process.is_up || s->instance != old->holder_instance) {
        return; /* that guard is no more, and its tree with it */
    }
    if (m->pg.is_writable && m->pg.epoch == old->epoch) {
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

static int position_compare(const struct msg_position *a, const struct msg_position *b)
{
    if (a->lineage != b->lineage) {
        return a->lineage < b->lineage ? -1 : 1;
    }
    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

/* Enough of those that had to be asked have voted with no more than the winner has. */
static void candidate_is_best(struct world *w, const struct msg_record *old,
                              const struct msg_record *new)
{
    unsigned needed = old->voters.count + 1u - old->votes_needed_r, have = 0;
    bool is_same = base_name_equal(&old->holder, &new->holder);
    if (old->sync_mode != MSG_SYNC_ON || w->truth->is_handback_clean || is_same) {
        return;
    }
    if (old->votes_needed_r == 0) {
        world_fail(w, INVARIANT_BEST_CANDIDATE, "epoch %lu has another holder though r was 0",
                   (unsigned long)new->epoch);
    }
    uint32_t voters = set_of(w, &old->voters);
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct truth_vote *v = &w->truth->vote_of[i];
        have += (voters >> i & 1) != 0 && v->is_given &&
                position_compare(&v->position, &new->floor) <= 0;
    }
    if (have < needed) {
        world_fail(
            w, INVARIANT_BEST_CANDIDATE,
            "epoch %lu begins at lineage %lu lsn %lu, and only %u of the %u votes needed are "
            "not beyond that",
            (unsigned long)new->epoch, (unsigned long)new->floor.lineage,
            (unsigned long)new->floor.lsn, have, needed);
    }
}

static void epoch_begins(struct world *w, const struct msg_record *new, bool is_confirmed)
{
    struct truth *t = w->truth;
    bool is_first = t->record.epoch == 0;
    bool is_bootstrap = is_first || t->record.state == MSG_RECORD_BOOTSTRAP;
    trace(w, TRACE_EPOCH, new->epoch, (uint64_t)member_by_name(w, &new->holder), new->revision,
          set_of(w, &new->voters));
    if (!is_first) {
        old_holder_is_over(w, &t->record, new->epoch);
        if (!is_bootstrap && !is_confirmed) {
            candidate_is_best(w, &t->record, new);
        }
        if (w->setup.is_calm) {
            world_fail(w, INVARIANT_CALM, "epoch %lu begins though nothing was wrong",
                       (unsigned long)new->epoch);
        }
        bool is_same = base_name_equal(&t->record.holder, &new->holder);
        w->tally.failovers += !is_same && !t->is_handback_clean;
        w->tally.handovers += !is_same && t->is_handback_clean;
        w->tally.reopened += is_same;
    }
    memset(t->vote_of, 0, sizeof(t->vote_of));
    t->is_handback_clean = false;
    t->epochs = must_grow(t->epochs, &t->epochs_cap, t->epochs_count + 1, sizeof(*t->epochs));
    t->epochs[t->epochs_count++] =
        (struct truth_epoch){new->epoch, member_by_name(w, &new->holder), *new};
}

/* --- A7 and the barrier: what the record says and what is in force --- */

static unsigned bits(uint32_t set)
{
    return (unsigned)__builtin_popcount(set);
}

static void sender_agrees(struct world *w, const struct pg *pg, uint32_t names, unsigned count)
{
    const struct msg_record *r = &w->truth->record;
    uint32_t voters = set_of(w, &r->voters), real = names & ~PG_NOBODY;
    int slack = (int)count - (int)r->votes_needed_r;
    if ((int)bits(real & ~voters) > slack) {
        world_fail(w, INVARIANT_SYNC_SET,
                   "member %u waits for %u of %x while the record says %u of %x", pg->member, count,
                   real, r->votes_needed_r, voters);
    }
}

void truth_settings(struct world *w, const struct pg *pg)
{
    const struct msg_record *r = &w->truth->record;
    if (r->votes_needed_r == 0 || !pg_is_serving(pg) || pg->phase != PG_PRIMARY ||
        pg->epoch != r->epoch) {
        return;
    }
    if (pg->is_sync_off) {
        world_fail(w, INVARIANT_SYNC_SET, "member %u waits for nobody while the record says r = %u",
                   pg->member, r->votes_needed_r);
    }
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct pg_sender *s = &pg->senders[i];
        bool is_named = s->is_connected && (s->names >> i & 1) != 0;
        if (is_named && s->count > 0 && bits(s->names & ~PG_NOBODY) >= s->count) {
            sender_agrees(w, pg, s->names, s->count);
        }
    }
}

/* The last commit acknowledged in this epoch is on r of V; all before it are then, too. */
static void acked_is_on_voters(struct world *w)
{
    struct truth *t = w->truth;
    const struct msg_record *r = &t->record;
    if (r->votes_needed_r == 0 || t->acked_count == 0 ||
        t->acked[t->acked_count - 1].epoch != r->epoch) {
        return;
    }
    uint32_t voters = set_of(w, &r->voters);
    const struct truth_acked *last = &t->acked[t->acked_count - 1];
    unsigned have = 0;
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *pg = pg_of(w, i);
        have += (voters >> i & 1) != 0 && has_record(pg, last) && pg->dir.flushed >= last->position;
    }
    if (have < r->votes_needed_r) {
        world_fail(w, INVARIANT_SYNC_SET,
                   "the record says r = %u of %x, but an acknowledged commit is on %u of them",
                   r->votes_needed_r, voters, have);
    }
}

void truth_swapped(struct world *w, unsigned node, const struct kv_swapped *swapped)
{
    struct truth *t = w->truth;
    struct msg_record new;
    if (!swapped->is_won || wire_record_decode(swapped->blob, &new) != 0) {
        return;
    }
    bool is_confirmed = t->restored == RESTORED_CONFIRMING;
    if (t->restored == RESTORED_UNCONFIRMED) {
        world_fail(w, INVARIANT_UNCONFIRMED,
                   "node %u applies epoch %lu, revision %lu, of a restored quorum, and nobody has "
                   "confirmed the record",
                   node, (unsigned long)new.epoch, (unsigned long)new.revision);
    }
    if (is_confirmed && new.epoch <= t->epoch_reported) {
        world_fail(w, INVARIANT_EPOCHS_GROW, "epoch %lu is confirmed, and epoch %lu was seen",
                   (unsigned long)new.epoch, (unsigned long)t->epoch_reported);
    }
    t->restored = RESTORED_NOT;
    bool is_begun = is_confirmed || new.epoch > t->record.epoch;
    bool is_newer = is_begun || (new.epoch == t->record.epoch &&new.revision > t->record.revision);
    if (!is_newer) {
        return; /* another node applies what one has applied before */
    }
    if (!is_confirmed && new.revision != t->record.revision + 1 && t->record.epoch != 0) {
        world_fail(w, INVARIANT_EPOCHS_GROW, "revision %lu follows %lu",
                   (unsigned long)new.revision, (unsigned long)t->record.revision);
    }
    if (is_begun) {
        epoch_begins(w, &new, is_confirmed);
    } else {
        trace(w, TRACE_RECORD, new.epoch, new.revision, set_of(w, &new.voters), new.votes_needed_r);
    }
    t->record = new;
    acked_is_on_voters(w);
    for (unsigned i = 0; i < w->setup.members; i++) {
        truth_settings(w, pg_of(w, i));
    }
}

/* --- a restored quorum --- */

bool truth_record(const struct world *w, struct msg_record *ret)
{
    *ret = w->truth->record;
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
    w->truth->restored = RESTORED_CONFIRMING;
}

bool truth_is_unconfirmed(const struct world *w)
{
    return w->truth->restored != RESTORED_NOT;
}

void truth_order(struct world *w, unsigned node, struct slice payload)
{
    static struct msg_order order;
    if (w->truth->restored == RESTORED_NOT) {
        return;
    }
    if (wire_order_decode(slice_skip(payload, 1), &order) == 0 && order.is_granted) {
        world_fail(w, INVARIANT_UNCONFIRMED,
                   "node %u of a restored quorum grants epoch %lu, and nobody has confirmed it",
                   node, (unsigned long)order.granted_epoch);
    }
}

/* --- reports and guards: the handback --- */

static void handback_is_true(struct world *w, const struct member *m, uint64_t epoch)
{
    if (m->tree.is_up && m->pg.epoch != 0 && m->pg.epoch <= epoch) {
        world_fail(w, INVARIANT_HANDBACK, "%s hands epoch %lu back while a tree of epoch %lu lives",
                   m->name.text, (unsigned long)epoch, (unsigned long)m->pg.epoch);
    }
}

/* For people: what a report says that the trace's numbers do not. */
static void trace_report(struct world *w, const struct member *m, const struct msg_report *r)
{
    char text[256];
    uint32_t confirmed = 0;
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
                   set_of(w, &r->sync_names), r->sync_count, r->is_sync_barrier_passed, confirmed);
    trace_text(w, ADDRESS_AGENT + m->index, text);
}

void truth_report(struct world *w, const struct member *m, struct slice payload)
{
    static struct msg_report report;
    struct truth *t = w->truth;
    if (wire_report_decode(slice_skip(payload, 1), &report) != 0) {
        world_fail(w, INVARIANT_NO_CRASH, "%s sends a malformed report", m->name.text);
    }
    trace_report(w, m, &report);
    t->epoch_reported =
        report.epoch_seen > t->epoch_reported ? report.epoch_seen : t->epoch_reported;
    if (report.epoch_handed_back > 0) {
        handback_is_true(w, m, report.epoch_handed_back);
    }
    if (report.epoch_handed_back == t->record.epoch && t->record.epoch != 0 &&
        report.is_handback_clean && report.instance == t->record.holder_instance) {
        t->is_handback_clean = true;
    }
    if (report.is_vote_valid && report.epoch_seen == t->record.epoch) {
        t->vote_of[m->index] = (struct truth_vote){true, report.promised, report.position};
    }
}

void truth_guard(struct world *w, const struct member *m)
{
    if (m->guard.status.epoch_handed_back > 0) {
        handback_is_true(w, m, m->guard.status.epoch_handed_back);
    }
}

void truth_host_off(struct world *w, const struct member *m)
{
    (void)w;
    (void)m;
}

/* --- A1, A4: opening and acknowledging --- */

static void has_all_acked(struct world *w, const struct pg *pg, const char *why)
{
    const struct truth *t = w->truth;
    if (w->setup.is_async) {
        return;
    }
    for (size_t i = 0; i < t->acked_count; i++) {
        if (!has_record(pg, &t->acked[i])) {
            world_fail(w, INVARIANT_NO_LOST_COMMIT,
                       "member %u %s in epoch %lu without value %lu, acknowledged in %lu",
                       pg->member, why, (unsigned long)pg->epoch,
                       (unsigned long)pg_record_of(w, t->acked[i].record)->value,
                       (unsigned long)t->acked[i].epoch);
        }
    }
}

void truth_open_writes(struct world *w, struct pg *pg)
{
    const struct guard_status *s = &member_of(w, pg->member)->guard.status;
    trace(w, TRACE_OPEN, pg->member, pg->epoch, pg->dir.count, pg_timeline(&pg->dir));
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *other = pg_of(w, i);
        if (other != pg && other->is_writable && !w->setup.is_standstill) {
            world_fail(w, INVARIANT_ONE_WRITER,
                       "member %u can acknowledge in epoch %lu while %u can in epoch %lu",
                       pg->member, (unsigned long)pg->epoch, i, (unsigned long)other->epoch);
        }
    }
    if (w->setup.is_standstill) {
        return; /* may open, must not acknowledge */
    }
    if (!s->is_armed || s->epoch != pg->epoch || s->epoch_handed_back >= pg->epoch) {
        world_fail(w, INVARIANT_ONE_WRITER,
                   "member %u can acknowledge in epoch %lu without a lease for it", pg->member,
                   (unsigned long)pg->epoch);
    }
    if (pg->epoch < w->truth->ack_epoch) {
        world_fail(w, INVARIANT_EPOCHS_GROW,
                   "member %u can acknowledge in epoch %lu after epoch %lu did", pg->member,
                   (unsigned long)pg->epoch, (unsigned long)w->truth->ack_epoch);
    }
    has_all_acked(w, pg, "opens");
}

/* A host whose clock stood still may tell a client late of a commit that the new holder has, too.
 */
static bool is_late_and_kept(struct world *w, const struct pg *pg, const struct truth_acked *late)
{
    if (!w->setup.is_standstill || pg->epoch >= w->truth->ack_epoch) {
        return false;
    }
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *newer = pg_of(w, i);
        if (newer->epoch == w->truth->ack_epoch && has_record(newer, late)) {
            return true;
        }
    }
    return false;
}

/* Keeps the order by epoch: a late one goes in front of the newest. */
static void remember_acked(struct truth *t, struct truth_acked acked, bool is_late)
{
    t->acked = must_grow(t->acked, &t->acked_cap, t->acked_count + 1, sizeof(*t->acked));
    t->acked[t->acked_count++] = acked;
    if (is_late) {
        t->acked[t->acked_count - 1] = t->acked[t->acked_count - 2];
        t->acked[t->acked_count - 2] = acked;
    }
}

void truth_ack(struct world *w, struct pg *pg, uint32_t record, uint32_t position)
{
    struct truth *t = w->truth;
    trace(w, TRACE_ACK, pg->member, pg->epoch, pg_record_of(w, record)->value, position);
    struct truth_acked acked = {record, position, pg->epoch};
    if (is_late_and_kept(w, pg, &acked)) {
        remember_acked(t, acked, true);
        return;
    }
    if (pg->epoch < t->ack_epoch) {
        world_fail(w, INVARIANT_ONE_WRITER,
                   "member %u acknowledges in epoch %lu after epoch %lu did", pg->member,
                   (unsigned long)pg->epoch, (unsigned long)t->ack_epoch);
    }
    for (unsigned i = 0; i < w->setup.members && !w->setup.is_standstill; i++) {
        if (i != pg->member && pg_of(w, i)->is_writable) {
            world_fail(w, INVARIANT_ONE_WRITER,
                       "member %u acknowledges in epoch %lu while %u can, too", pg->member,
                       (unsigned long)pg->epoch, i);
        }
    }
    if (t->acked_count > 0 && !w->setup.is_async &&
        !has_record(pg, &t->acked[t->acked_count - 1])) {
        has_all_acked(w, pg, "acknowledges");
    }
    t->ack_epoch = pg->epoch;
    t->last_ack_us = w->now_us;
    remember_acked(t, acked, false);
}

/* --- A8 and the reserved timeline --- */

void truth_promoted(struct world *w, const struct pg *pg)
{
    if (pg->epoch == 0) {
        world_fail(w, INVARIANT_ONE_WRITER, "member %u is promoted and its guard was never armed",
                   pg->member);
    }
}

void truth_streams(struct world *w, const struct pg *standby, const struct pg *upstream)
{
    uint32_t same = pg_same(&standby->dir, &upstream->dir);
    if (same < standby->dir.count && upstream->dir.count >= standby->dir.count) {
        world_fail(w, INVARIANT_REWIND,
                   "member %u streams from %u, and their WAL differs from record %u of %u on",
                   standby->member, upstream->member, same, standby->dir.count);
    }
}

/* --- the end --- */

void truth_db_end(struct world *w)
{
    const struct truth *t = w->truth;
    int holder = -1;
    for (unsigned i = 0; i < w->setup.members; i++) {
        holder = pg_of(w, i)->is_writable ? (int)i : holder;
    }
    if (holder < 0 || t->last_ack_us < w->setup.end_us - 5 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS,
                   "the databases are not writable %ld s after the last fault",
                   (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
    }
    has_all_acked(w, pg_of(w, (unsigned)holder), "is left");
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *pg = pg_of(w, i);
        bool is_standby = pg->phase == PG_STANDBY && pg->is_receiving && pg->dir.upstream == holder;
        if ((int)i != holder && !is_standby) {
            world_fail(w, INVARIANT_LIVENESS,
                       "member %u does not stream from %d %ld s after the last fault", i, holder,
                       (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
        }
    }
}
