/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the databases themselves: one writer at a time, under its lease, and above all:
 * what was acknowledged is there.
 */
#include <string.h>

#include "base/lease_math.h"
#include "base/name.h"
#include "tests/sim/adopted.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/members.h"
#include "tests/sim/rescue.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_ops.h"

bool truth_has(const struct pg *pg, const struct truth_acked *a)
{
    return pg->dir.count >= a->position && pg->dir.records[a->position - 1] == a->record;
}

/* --- A4, A5: what was acknowledged is there --- */

static void has_all_acked(struct world *w, const struct pg *pg, const char *why)
{
    const struct truth_db *t = truth_db_of(w, pg->member);
    for (size_t i = 0; i < t->acked_count; i++) {
        if (!truth_has(pg, &t->acked[i])) {
            world_fail(w, INVARIANT_NO_LOST_COMMIT,
                       "pg%u %s in epoch %lu without value %lu, acknowledged in %lu",
                       pg->member + 1, why, (unsigned long)pg->epoch,
                       (unsigned long)pg_record_of(w, t->acked[i].record)->value,
                       (unsigned long)t->acked[i].epoch);
        }
    }
}

void truth_granted(struct truth_db *t, int64_t at_us, uint64_t lsn)
{
    struct truth_granted *last = &t->granted[TRUTH_GRANTED_MAX - 1];
    if (t->granted_count == TRUTH_GRANTED_MAX) {
        t->granted_before =
            t->granted->lsn > t->granted_before ? t->granted->lsn : t->granted_before;
        memmove(t->granted, t->granted + 1, (TRUTH_GRANTED_MAX - 1) * sizeof(*t->granted));
    } else {
        last = &t->granted[t->granted_count++];
    }
    *last = (struct truth_granted){at_us, lsn};
}

/* What the leader of now could know: its own grants, and those that were a ttl old when it was
 * elected. What others were told within that ttl it may have missed. */
static uint64_t granted_as_known(const struct world *w, const struct truth_db *t)
{
    uint64_t known = t->granted_before;
    int64_t since_us = w->truth->elected_us;
    int64_t ttl_us = (int64_t)t->record.ttl_ms * MS;
    for (size_t i = 0; i < t->granted_count; i++) {
        const struct truth_granted *g = &t->granted[i];
        bool is_counted = g->at_us >= since_us || g->at_us < since_us - ttl_us - ttl_us / 4;
        known = is_counted && g->lsn > known ? g->lsn : known;
    }
    return known;
}

/* Asynchronous: of what a granted report of this epoch told a leader, no more is lost than the
 * record's limit. What was written after that report is beyond every bound that could be shown. */
void truth_loss_is_bounded(struct world *w, const struct truth_db *t, const struct msg_record *new)
{
    int winner = member_by_name(w, &new->holder);
    if (t->record.sync_mode != MSG_SYNC_ASYNC || winner < 0) {
        return;
    }
    const struct pg *pg = pg_of(w, (unsigned)winner);
    uint64_t known = granted_as_known(w, t);
    for (size_t i = 0; i < t->acked_count; i++) {
        const struct truth_acked *a = &t->acked[i];
        uint64_t lsn = PG_LSN(a->position);
        if (a->epoch != t->record.epoch || truth_has(pg, a) || lsn > known) {
            continue;
        }
        w->tally.judged_losses++;
        if (known - lsn >= t->record.maximum_lag_bytes) {
            world_fail(w, INVARIANT_LOSS,
                       "epoch %lu begins without a commit at %lu, and %lu was known with a limit "
                       "of %lu bytes",
                       (unsigned long)new->epoch, (unsigned long)lsn, (unsigned long)known,
                       (unsigned long)t->record.maximum_lag_bytes);
        }
    }
}

/* Of what was acknowledged, what the next holder has is missed for ever if it is not there. */
void truth_loss_is_forced(struct world *w, struct truth_db *t, const struct msg_record *new)
{
    int winner = member_by_name(w, &new->holder);
    size_t kept = 0;
    for (size_t i = 0; winner >= 0 && i < t->acked_count; i++) {
        if (truth_has(pg_of(w, (unsigned)winner), &t->acked[i])) {
            t->acked[kept++] = t->acked[i];
        }
    }
    t->acked_count = winner >= 0 ? kept : t->acked_count;
}

/* The service is handed over to another site: what that has not got is given up. */
static void leave_to_elsewhere(struct world *w, struct truth_db *t)
{
    const struct pg_directory *site = elsewhere_dir(w, t->cluster);
    size_t kept = 0;
    for (size_t i = 0; site != NULL && i < t->acked_count; i++) {
        const struct truth_acked *a = &t->acked[i];
        if (site->count >= a->position && site->records[a->position - 1] == a->record) {
            t->acked[kept++] = *a;
        }
    }
    t->acked_count = kept;
}

void truth_loss_is_lawful(struct world *w, struct truth_db *t, const struct msg_record *new)
{
    if (new->is_standby_cluster && !t->record.is_standby_cluster) {
        w->tally.demotions++;
        leave_to_elsewhere(w, t);
    } else if (t->record.sync_mode == MSG_SYNC_ASYNC || t->record.is_standby_cluster) {
        truth_loss_is_forced(w, t, new);
    }
}

/* --- A1: one writer, under its own lease --- */

static bool is_one_service(struct world *w, const struct pg *a, const struct pg *b)
{
    return a != b && cluster_of(w, a->member) == cluster_of(w, b->member);
}

/* A9: by its own clock nobody writes longer than the margin past its deadline. */
static void is_fenced_in_time(struct world *w, const struct pg *pg, const char *does)
{
    const struct member *m = member_of(w, pg->member);
    int64_t margin_us = lease_margin_us(database_of(w, pg->member)->ttl_ms * MS);
    int64_t late_us = base_mono_diff_us(clock_now(&m->clock), m->guard.status.deadline);
    if (adopted_is_unled(w, pg)) {
        return; /* nobody's lease, and nobody's breach */
    }
    if (m->guard_process.is_up && late_us > margin_us && !truth_ops_is_unarmed(w, m)) {
        world_fail(w, INVARIANT_FENCED, "pg%u %s in epoch %lu, %ld ms after its lease has run out",
                   pg->member + 1, does, (unsigned long)pg->epoch, (long)(late_us / MS));
    }
}

const struct truth_epoch *truth_epoch_of(const struct truth_db *t, uint64_t epoch)
{
    for (size_t i = t->epochs_count; i > 0; i--) {
        if (t->epochs[i - 1].epoch == epoch) {
            return &t->epochs[i - 1];
        }
    }
    return NULL;
}

/* What is another cluster's is written there alone. */
static void cluster_may_open(struct world *w, const struct pg *pg)
{
    const struct truth_epoch *e = truth_epoch_of(truth_db_of(w, pg->member), pg->epoch);
    if (e != NULL && e->record.is_standby_cluster) {
        world_fail(w, INVARIANT_STANDBY_CLUSTER,
                   "pg%u opens in epoch %lu, which belongs to a standby cluster", pg->member + 1,
                   (unsigned long)pg->epoch);
    }
}

bool truth_is_standby_cluster(struct world *w, unsigned member)
{
    return truth_db_of(w, member)->record.is_standby_cluster;
}

static void timeline_is_the_reserved_one(struct world *w, const struct pg *pg)
{
    const struct truth_epoch *e = truth_epoch_of(truth_db_of(w, pg->member), pg->epoch);
    if (e != NULL && e->record.state != MSG_RECORD_BOOTSTRAP &&
        e->record.timeline != pg_timeline(&pg->dir)) {
        world_fail(w, INVARIANT_TIMELINE,
                   "pg%u opens in epoch %lu on timeline %u, and %u was reserved", pg->member + 1,
                   (unsigned long)pg->epoch, pg_timeline(&pg->dir), e->record.timeline);
    }
}

void truth_open_writes(struct world *w, struct pg *pg)
{
    const struct member *m = member_of(w, pg->member);
    const struct guard_status *s = &m->guard.status;
    bool is_unled = adopted_is_unled(w, pg);
    bool may_write = s->is_armed || truth_ops_is_unarmed(w, m) || is_unled;
    if (pg->epoch == 0 && s->is_armed && pg->dir.is_by_hand) {
        pg->epoch = s->epoch; /* promoted by hand before its guard was armed: the winner itself */
    }
    trace(w, TRACE_OPEN, pg->member, pg->epoch, pg->dir.count, pg_timeline(&pg->dir));
    if (w->setup.is_standstill) {
        return; /* may open, must not acknowledge */
    }
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *other = pg_of(w, i);
        if (is_one_service(w, pg, other) && other->is_writable) {
            world_fail(w, INVARIANT_ONE_WRITER,
                       "pg%u can acknowledge in epoch %lu while pg%u can in epoch %lu",
                       pg->member + 1, (unsigned long)pg->epoch, i + 1,
                       (unsigned long)other->epoch);
        }
    }
    if (!may_write || s->epoch != pg->epoch || (s->epoch_handed_back >= pg->epoch && !is_unled)) {
        world_fail(w, INVARIANT_ONE_WRITER,
                   "pg%u can acknowledge in epoch %lu without a lease for it", pg->member + 1,
                   (unsigned long)pg->epoch);
    }
    is_fenced_in_time(w, pg, "opens");
    timeline_is_the_reserved_one(w, pg);
    cluster_may_open(w, pg);
    if (pg->epoch < truth_db_of(w, pg->member)->ack_epoch) {
        world_fail(w, INVARIANT_EPOCHS_GROW,
                   "pg%u can acknowledge in epoch %lu after epoch %lu did", pg->member + 1,
                   (unsigned long)pg->epoch, (unsigned long)truth_db_of(w, pg->member)->ack_epoch);
    }
    has_all_acked(w, pg, "opens");
}

/* A host whose clock stood still may tell a client late of a commit that whoever has the newest
 * one has, too. The newest holder may have died meanwhile. */
static bool is_late_and_kept(struct world *w, const struct pg *pg, const struct truth_acked *late)
{
    const struct truth_db *t = truth_db_of(w, pg->member);
    if (!w->setup.is_standstill || pg->epoch >= t->ack_epoch || t->acked_count == 0) {
        return false;
    }
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *newer = pg_of(w, i);
        if (is_one_service(w, pg, newer) && truth_has(newer, &t->acked[t->acked_count - 1]) &&
            truth_has(newer, late)) {
            return true;
        }
    }
    return false;
}

/* Keeps the order by epoch: a late one goes in front of the newest. */
static void remember_acked(struct truth_db *t, struct truth_acked acked, bool is_late)
{
    t->acked = must_grow(t->acked, &t->acked_cap, t->acked_count + 1, sizeof(*t->acked));
    t->acked[t->acked_count++] = acked;
    if (is_late) {
        t->acked[t->acked_count - 1] = t->acked[t->acked_count - 2];
        t->acked[t->acked_count - 2] = acked;
    }
}

static void acknowledges_alone(struct world *w, const struct pg *pg)
{
    for (unsigned i = 0; i < w->setup.members && !w->setup.is_standstill; i++) {
        if (is_one_service(w, pg, pg_of(w, i)) && pg_of(w, i)->is_writable) {
            world_fail(w, INVARIANT_ONE_WRITER,
                       "pg%u acknowledges in epoch %lu while pg%u can, too", pg->member + 1,
                       (unsigned long)pg->epoch, i);
        }
    }
    is_fenced_in_time(w, pg, "acknowledges");
}

/* Under a lease that went on beside the word that the cluster follows another one from now on. */
static bool is_given_up(const struct truth_db *t, const struct pg *pg)
{
    return t->record.is_standby_cluster && pg->epoch < t->record.epoch;
}

void truth_ack(struct world *w, struct pg *pg, uint32_t record, uint32_t position)
{
    struct truth_db *t = truth_db_of(w, pg->member);
    trace(w, TRACE_ACK, pg->member, pg->epoch, pg_record_of(w, record)->value, position);
    struct truth_acked acked = {record, position, pg->epoch};
    if (is_late_and_kept(w, pg, &acked)) {
        remember_acked(t, acked, true);
        return;
    }
    if (pg->epoch < t->ack_epoch) {
        world_fail(w, INVARIANT_ONE_WRITER, "pg%u acknowledges in epoch %lu after epoch %lu did",
                   pg->member + 1, (unsigned long)pg->epoch, (unsigned long)t->ack_epoch);
    }
    acknowledges_alone(w, pg);
    if (t->acked_count > 0 && !truth_has(pg, &t->acked[t->acked_count - 1])) {
        has_all_acked(w, pg, "acknowledges");
    }
    t->ack_epoch = pg->epoch;
    t->last_ack_us = w->now_us;
    if (!is_given_up(t, pg)) {
        remember_acked(t, acked, false);
    }
}

/* --- A8: histories --- */

void truth_promoted(struct world *w, const struct pg *pg)
{
    if (pg->epoch == 0) {
        world_fail(w, INVARIANT_ONE_WRITER, "pg%u is promoted and its guard was never armed",
                   pg->member + 1);
    }
}

/* Who was a primary, and holds what the open primary does not, is rewound or cloned before it is
 * told to follow; a server refuses most of such, but not all. */
void truth_follows(struct world *w, const struct member *m, const struct db_order *order)
{
    int to = member_by_name(w, &order->upstream_member);
    const struct pg_directory *own = &m->pg.dir;
    if (to < 0 || to == (int)m->index || !pg_of(w, (unsigned)to)->is_writable || !own->exists ||
        own->is_bad || own->count == 0 || own->count > own->flushed) {
        return;
    }
    uint32_t same = pg_same(own, &pg_of(w, (unsigned)to)->dir);
    const struct pg_record *last = pg_record_of(w, own->records[own->count - 1]);
    bool is_held = last->writer == (int)m->index && last->epoch != 0; /* not by hand */
    if (same < own->count && is_held) {
        world_fail(w, INVARIANT_REWIND,
                   "pg%u is told to follow pg%d with %u records that only it has written, of %u",
                   m->index + 1, to + 1, own->count - same, own->count);
    }
}

/* A voter that has promised streams no more, until its attempt is over; but a candidate may fetch
 * what it lacks from another voter of the same attempt, to whom nothing comes either. */
static void promise_is_kept(struct world *w, const struct pg *standby, const struct pg *upstream)
{
    struct truth_vote *v = &w->truth->members[standby->member].vote;
    const struct truth_vote *from = &w->truth->members[upstream->member].vote;
    bool is_catch_up = from->is_given && from->attempt.term == v->attempt.term &&
                       from->attempt.number == v->attempt.number;
    v->has_fetched = v->is_given && is_catch_up;
    if (v->is_given && !is_catch_up) {
        world_fail(w, INVARIANT_PROMISE,
                   "pg%u streams again, and its vote in attempt %lu of term %lu stands",
                   standby->member + 1, (unsigned long)v->attempt.number,
                   (unsigned long)v->attempt.term);
    }
}

void truth_streams(struct world *w, const struct pg *standby, const struct pg *upstream)
{
    promise_is_kept(w, standby, upstream);
    uint32_t same = pg_same(&standby->dir, &upstream->dir);
    if (same < standby->dir.count && upstream->dir.count >= standby->dir.count) {
        world_fail(w, INVARIANT_REWIND,
                   "pg%u streams from pg%u, and their WAL differs from record %u of %u on",
                   standby->member + 1, upstream->member + 1, same, standby->dir.count);
    }
}

void truth_streams_elsewhere(struct world *w, const struct pg *standby,
                             const struct pg_directory *site)
{
    const struct pg_directory *d = &standby->dir;
    uint32_t same = pg_same(d, site);
    if (same < d->count && site->count >= d->count) {
        world_fail(w, INVARIANT_REWIND,
                   "pg%u streams from elsewhere, and their WAL differs from record %u of %u on",
                   standby->member + 1, same, d->count);
    }
}

/* --- section 7: crashes are counted, and nothing else --- */

void truth_ends(struct world *w, const struct pg *pg)
{
    const struct member *m = member_of(w, pg->member);
    const struct guard_status *s = &m->guard.status;
    bool is_under_lease = base_mono_before(clock_now(&m->clock), s->deadline);
    bool is_stuck = pg->is_write_stuck || pg->is_hung; /* killed for that, and late to end */
    if (m->guard_process.is_up && (!s->is_armed || is_under_lease || is_stuck)) {
        truth_fails(w, pg);
    }
}

void truth_fails(struct world *w, const struct pg *pg)
{
    int64_t *crashes = w->truth->members[pg->member].crashes_us;
    crashes[2] = crashes[1];
    crashes[1] = crashes[0];
    crashes[0] = w->now_us;
}

/* A member stays down until a person looks: that takes three crashes in a minute. */
void truth_retires(struct world *w, const struct member *m, bool is_retired)
{
    struct truth_member *known = &w->truth->members[m->index];
    /* The last one may be a server that serves no more, and has not ended yet. */
    bool is_silent = m->pg.is_hung || m->pg.is_write_stuck ||
                     (m->pg.process != NULL && m->pg.process->stopped != 0);
    int64_t third_us = known->crashes_us[is_silent ? 1 : 2];
    bool has_crashed = third_us != 0 && w->now_us - third_us < 64 * SECOND;
    if (is_retired && !known->is_retired && !has_crashed && !w->setup.is_standstill) {
        world_fail(w, INVARIANT_RETIRES,
                   "%s stays down as after three crashes in a minute, and its database has not "
                   "ended three times under a lease",
                   m->name.text);
    }
    known->is_retired = is_retired;
}

/* --- A15: the end --- */

/* From the holder, or from one that does. */
static bool streams_from(struct world *w, unsigned member, int holder)
{
    for (unsigned steps = 0; steps < MEMBERS_MAX; steps++) {
        const struct pg *pg = pg_of(w, member);
        if (pg->phase != PG_STANDBY || !pg->is_receiving || pg->dir.upstream < 0) {
            return false;
        }
        if (pg->dir.upstream == holder) {
            return true;
        }
        member = (unsigned)pg->dir.upstream;
    }
    return false;
}

static void all_stream(struct world *w, const struct db_setup *d, int holder)
{
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if ((int)i != holder && !streams_from(w, i, holder)) {
            world_fail(w, INVARIANT_LIVENESS,
                       "pg%u does not stream from pg%d %ld s after the last fault", i + 1,
                       holder + 1, (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
        }
    }
}

/* A holder is not restarted before standbys that have a restart to come: somebody must ask for it.
 */
static bool waits_for_restarts(struct world *w, const struct truth_db *t,
                               const struct msg_task *task)
{
    const struct db_setup *d = truth_database(w, t);
    bool is_any = false;
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        const struct pg *pg = pg_of(w, i);
        is_any = is_any || (pg->run_connections != pg->dir.connections &&
                            !base_name_equal(&member_of(w, i)->name, &task->member));
    }
    return is_any && task->at_wall_us != 0 && task->kind == MSG_TASK_RESTART &&
           base_name_equal(&task->member, &t->record.holder);
}

/* What administrators asked for at once is done, or has failed. */
static void orders_have_ended(struct world *w, const struct truth_db *t)
{
    for (unsigned i = 0; i < t->record.tasks_count; i++) {
        const struct msg_task *task = &t->record.tasks[i];
        if (task->at_wall_us <= MSG_TASK_AT_ONCE && !waits_for_restarts(w, t, task)) {
            world_fail(w, INVARIANT_LIVENESS,
                       "order %lu of %s has not %s %ld s after the last fault",
                       (unsigned long)task->id, task->member.text,
                       task->at_wall_us == 0 ? "ended" : "begun",
                       (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
        }
    }
}

void truth_db_end(struct world *w)
{
    for (unsigned c = 0; c < w->setup.clusters; c++) {
        const struct db_setup *d = &w->setup.databases[c];
        int holder = -1;
        if (rescue_is_hopeless(w, c)) {
            continue;
        }
        for (unsigned i = d->first; i < d->first + d->members; i++) {
            holder = pg_of(w, i)->is_writable ? (int)i : holder;
        }
        if (holder < 0 || w->truth->db[c].last_ack_us < w->setup.end_us - 5 * SECOND) {
            world_fail(w, INVARIANT_LIVENESS,
                       "the databases of %s are not writable %ld s after the last fault",
                       cluster_name(c)->text,
                       (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
        }
        has_all_acked(w, pg_of(w, (unsigned)holder), "is left");
        all_stream(w, d, holder);
        orders_have_ended(w, &w->truth->db[c]);
    }
}
