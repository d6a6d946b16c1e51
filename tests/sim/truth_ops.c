/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of what people ask for; see the header. */
#include "tests/sim/truth_ops.h"

#include "agents/core/failsafe.h"
#include "agents/driver.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_lease.h"

#define CANCEL_US (10 * SECOND) /* an accepted order to cancel is in the log by then */

bool truth_ops_record(const struct world *w, unsigned cluster, struct msg_record *ret)
{
    *ret = w->truth->db[cluster].record;
    return ret->epoch != 0;
}

void truth_ops_dead(struct world *w, unsigned cluster)
{
    w->truth->db[cluster].ended_epoch = w->truth->db[cluster].record.epoch;
}

void truth_ops_cancelled(struct world *w, unsigned cluster)
{
    w->truth->db[cluster].cancel_until_us = w->now_us + CANCEL_US;
}

bool truth_ops_is_ended(const struct truth_db *t)
{
    return t->record.epoch != 0 && t->ended_epoch == t->record.epoch;
}

void truth_ops_forced(struct world *w, unsigned cluster)
{
    w->truth->db[cluster].is_forced = true;
    w->tally.forced++;
}

/* --- fences --- */

void truth_ops_fence(struct world *w, unsigned cluster, uint64_t epoch)
{
    const struct msg_record *r = &w->truth->db[cluster].record;
    if (r->epoch == epoch && r->fencing_epoch != epoch) {
        world_fail(w, INVARIANT_FENCED_EPOCH,
                   "the holder of epoch %lu is being fenced, and no entry says so",
                   (unsigned long)epoch);
    }
}

void truth_ops_fenced(struct world *w, unsigned cluster, uint64_t epoch, bool is_said)
{
    struct truth_db *t = &w->truth->db[cluster];
    if (is_said && epoch > t->ended_epoch) {
        t->ended_epoch = epoch;
    }
}

void truth_ops_swapped(struct world *w, unsigned node, unsigned cluster,
                       const struct msg_record *new)
{
    w->truth->fencing[node][cluster] = new->fencing_epoch;
}

/* Not by a node that has applied the entry. */
void truth_ops_grants(struct world *w, unsigned node, unsigned cluster, uint64_t epoch)
{
    if (epoch == w->truth->fencing[node][cluster]) {
        world_fail(w, INVARIANT_FENCED_EPOCH, "q%u grants epoch %lu, which is being fenced",
                   node + 1, (unsigned long)epoch);
    }
}

static void fence_was_there(struct world *w, const struct truth_db *t, int holder)
{
    const struct msg_record *old = &t->record;
    const struct member *m = member_of(w, (unsigned)holder);
    const struct guard_status *s = &m->guard.status;
    bool is_that_guard = m->guard_process.is_up && s->instance == old->holder_instance;
    if (old->fence_mode == MSG_FENCE_REQUIRE && is_that_guard && !truth_ops_is_ended(t) &&
        s->epoch_handed_back < old->epoch) {
        world_fail(w, INVARIANT_FENCE_REQUIRED,
                   "epoch %lu is over, and the host of %s, which must be, was not fenced",
                   (unsigned long)old->epoch, old->holder.text);
    }
}

/* --- pauses --- */

bool truth_ops_is_unarmed(struct world *w, const struct member *m)
{
    const struct msg_record *r = &truth_db_of(w, m->index)->record;
    return r->is_unarmed && base_name_equal(&r->holder, &m->name) &&
           m->guard.status.epoch == r->epoch && !m->guard.status.is_armed;
}

/* Whoever is disarmed can still write; only a handback, a fence or an operator's word end that. */
static void paused_right_is_over(struct world *w, const struct truth_db *t, int holder)
{
    const struct msg_record *old = &t->record;
    const struct member *m = member_of(w, (unsigned)holder);
    const struct guard_status *s = &m->guard.status;
    bool is_that_guard = m->guard_process.is_up && s->instance == old->holder_instance;
    if (is_that_guard && m->tree.is_up && m->pg.epoch == old->epoch && m->pg.phase == PG_PRIMARY &&
        !s->is_armed && s->epoch_handed_back < old->epoch) {
        world_fail(w, INVARIANT_PAUSED_RIGHT,
                   "epoch %lu is over while its holder %s runs and no deadline will stop it",
                   (unsigned long)old->epoch, m->name.text);
    }
}

/* Section 9: as long as its grant runs, the holder may be writing. */
static void failsafe_is_over(struct world *w, const struct member *m, const char *does)
{
    const struct truth_member *known = &w->truth->members[m->index];
    int64_t left_us = base_mono_diff_us(known->failsafe_until, clock_now(&m->clock));
    if (known->failsafe_epoch != 0 && left_us > 0) {
        world_fail(w, INVARIANT_FAILSAFE_GRANT,
                   "%s %s, and what it granted for epoch %lu in a failsafe round runs for %ld us",
                   m->name.text, does, (unsigned long)known->failsafe_epoch, (long)left_us);
    }
}

/* The present pause, not one before it whose end it has not heard of yet. */
static bool has_taken_pause_in(const struct world *w, const struct truth_db *t, unsigned member)
{
    const struct truth_member *m = &w->truth->members[member];
    return t->record.is_paused && m->paused_epoch == t->record.epoch &&
           m->paused_us >= t->paused_us;
}

/* What a member that has taken the pause in does to its database. */
void truth_ops_ordered(struct world *w, const struct member *m, const struct db_order *order)
{
    const struct truth_db *t = truth_db_of(w, m->index);
    bool is_act = order->kind == DB_ORDER_INIT || order->kind == DB_ORDER_CLONE ||
                  order->kind == DB_ORDER_REWIND || order->kind == DB_ORDER_PROMOTE;
    if (order->kind == DB_ORDER_PROMOTE) {
        failsafe_is_over(w, m, "is promoted");
    }
    if (is_act && has_taken_pause_in(w, t, m->index)) {
        world_fail(w, INVARIANT_PAUSE, "%s is paused, and its database gets order %u", m->name.text,
                   order->kind);
    }
}

void truth_ops_starts(struct world *w, const struct member *m)
{
    if (has_taken_pause_in(w, truth_db_of(w, m->index), m->index)) {
        world_fail(w, INVARIANT_PAUSE, "%s is paused, and its database is started", m->name.text);
    }
}

/* --- orders to members --- */

static bool has_told(const struct truth_member *m, uint64_t id)
{
    for (unsigned i = 0; i < TRUTH_TASKS_TOLD; i++) {
        if (m->tasks_told[i] == id) {
            return true;
        }
    }
    return false;
}

void truth_ops_report(struct world *w, const struct member *m, const struct msg_report *report)
{
    struct truth_member *known = &w->truth->members[m->index];
    const struct agt *a = agt_driver_agent(m->agent);
    bool has_taken_in = a->disk.is_paused && a->want.is_paused; /* whatever it says */
    known->paused_us = has_taken_in && known->paused_epoch == 0 ? w->now_us : known->paused_us;
    known->paused_epoch = has_taken_in ? report->epoch_seen : 0;
    if (report->task_id != 0 && !has_told(known, report->task_id)) {
        known->tasks_told[known->tasks_count++ % TRUTH_TASKS_TOLD] = report->task_id;
    }
}

static bool has_task(const struct msg_record *r, uint64_t id)
{
    for (unsigned i = 0; i < r->tasks_count; i++) {
        if (r->tasks[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Of a MongoDB member it is an order of the log, which ends when its end was read. */
static bool has_order_ended(const struct msg_record *new, const struct msg_task *task)
{
    const struct msg_mongodb_order *o = &new->mongodb.order;
    bool is_ended = o->state == MSG_MONGODB_ORDER_DONE || o->state == MSG_MONGODB_ORDER_FAILED;
    bool is_its_own = base_name_equal(&o->member, &task->member);
    return is_ended && is_its_own && new->engine == MSG_ENGINE_MONGODB;
}

static void task_has_ended(struct world *w, const struct truth_db *t, const struct msg_task *task)
{
    int member = member_by_name(w, &task->member);
    bool is_of_holder =
        task->kind == MSG_TASK_REINIT && base_name_equal(&task->member, &t->record.holder);
    if (member < 0 || is_of_holder || task->is_pending_only || w->now_us < t->cancel_until_us) {
        return;
    }
    if (!has_told(&w->truth->members[member], task->id)) {
        world_fail(w, INVARIANT_TASK, "order %lu to %s is gone, and nobody has ended it",
                   (unsigned long)task->id, task->member.text);
    }
    w->tally.tasks_done++;
}

/* Section 5: commits may rest on a member of V, so that its copy stays until it is in V no more. */
static void reinit_is_behind(struct world *w, const struct msg_record *old,
                             const struct msg_record *new)
{
    for (unsigned i = 0; i < new->tasks_count; i++) {
        const struct msg_task *task = &new->tasks[i];
        int member = member_by_name(w, &task->member);
        bool was_begun = false;
        for (unsigned k = 0; k < old->tasks_count; k++) {
            was_begun =
                was_begun || (old->tasks[k].id == task->id && old->tasks[k].at_wall_us == 0);
        }
        if (task->kind != MSG_TASK_REINIT || task->at_wall_us != 0 || was_begun || member < 0) {
            continue;
        }
        w->tally.reinits++;
        if ((truth_set(w, &new->voters) >> member & 1) != 0) {
            world_fail(w, INVARIANT_REINIT,
                       "the copy of %s is to be thrown away, and it is one of %u voters",
                       task->member.text, new->voters.count);
        }
    }
}

/* --- records --- */

/* Without us the holder goes on as long as all that it asks grant it: so one of them must be the
 * next, or their grants would bar nobody. */
static void candidate_was_asked(struct world *w, const struct truth_db *t,
                                const struct msg_record *new, int holder)
{
    const struct msg_record *old = &t->record;
    const struct guard_status *s = &member_of(w, (unsigned)holder)->guard.status;
    bool has_handed_back =
        s->instance == old->holder_instance && s->epoch_handed_back >= old->epoch;
    uint32_t winner = truth_set(w, &(struct msg_names){1, {new->holder}});
    if (old->failsafe_members.count > 0 && !has_handed_back && !truth_ops_is_ended(t) &&
        (truth_set(w, &old->failsafe_members) & winner) == 0) {
        world_fail(w, INVARIANT_FAILSAFE,
                   "%s holds epoch %lu, and the holder before would not have asked it",
                   new->holder.text, (unsigned long)new->epoch);
    }
}

static void next_is_lawful(struct world *w, const struct truth_db *t, const struct msg_record *new)
{
    const struct msg_record *old = &t->record;
    bool is_other = !base_name_equal(&old->holder, &new->holder);
    int holder = member_by_name(w, &old->holder);
    if (old->is_paused && !truth_ops_is_ended(t)) {
        world_fail(w, INVARIANT_PAUSE, "epoch %lu begins in a pause", (unsigned long)new->epoch);
    }
    if (is_other && !t->is_forced && /* force is meant for the one that is left */
        (truth_set(w, &old->drained) & truth_set(w, &(struct msg_names){1, {new->holder}})) != 0) {
        world_fail(w, INVARIANT_DRAINED, "%s holds epoch %lu, and was drained", new->holder.text,
                   (unsigned long)new->epoch);
    }
    if (holder >= 0 && !truth_is_change_of_role(old, new)) {
        paused_right_is_over(w, t, holder);
        fence_was_there(w, t, holder);
    }
    if (is_other && holder >= 0) {
        candidate_was_asked(w, t, new, holder);
    }
}

void truth_ops_changes(struct world *w, struct truth_db *t, const struct msg_record *new)
{
    const struct msg_record *old = &t->record;
    for (unsigned i = 0; i < old->tasks_count; i++) {
        if (!has_task(new, old->tasks[i].id) && !has_order_ended(new, &old->tasks[i])) {
            task_has_ended(w, t, &old->tasks[i]);
        }
    }
    reinit_is_behind(w, old, new);
    if (new->is_paused && !old->is_paused) {
        w->tally.pauses++;
        t->paused_us = w->now_us;
    }
    w->tally.fencings += new->fencing_epoch > old->fencing_epoch;
    if (new->epoch > old->epoch && old->epoch != 0 && old->state != MSG_RECORD_BOOTSTRAP) {
        next_is_lawful(w, t, new);
    }
}

/* --- failsafe rounds --- */

static struct truth_failsafe *round_of(struct truth_member *known, uint64_t session, uint64_t round)
{
    struct truth_failsafe *f = &known->failsafe[round % TRUTH_FAILSAFE_ROUNDS];
    return f->session == session && f->round == round ? f : NULL;
}

void truth_ops_asked(struct world *w, const struct member *m, struct slice bytes)
{
    struct truth_member *known = &w->truth->members[m->index];
    struct agt_failsafe_ask ask;
    if (agt_failsafe_ask_decode(bytes, &ask) != 0) {
        world_fail(w, INVARIANT_NO_CRASH, "%s asks with malformed bytes", m->name.text);
    }
    if (round_of(known, ask.session, ask.round) == NULL) {
        known->failsafe[ask.round % TRUTH_FAILSAFE_ROUNDS] =
            (struct truth_failsafe){.session = ask.session,
                                    .round = ask.round,
                                    .epoch = ask.epoch,
                                    .ttl_ms = ask.ttl_ms,
                                    .sent = clock_now(&m->clock)};
    }
}

/* A round that all members of the record have granted moves the deadline, counted from its sending.
 */
void truth_ops_answered(struct world *w, const struct member *m, unsigned by, struct slice bytes)
{
    const struct msg_record *r = &truth_db_of(w, m->index)->record;
    struct agt_failsafe_answer answer;
    if (agt_failsafe_answer_decode(bytes, &answer) != 0 || !answer.is_granted) {
        return;
    }
    struct truth_failsafe *f = round_of(&w->truth->members[m->index], answer.session, answer.round);
    if (f == NULL) {
        return;
    }
    f->granted |= 1u << by;
    uint32_t wanted = truth_set(w, &r->failsafe_members);
    if (r->epoch == f->epoch && wanted != 0 && (wanted & ~f->granted) == 0) {
        int64_t ttl_us = (int64_t)f->ttl_ms * MS;
        w->tally.failsafe_rounds++;
        truth_lease_extend(w, m->index, f->epoch, base_mono_add_us(f->sent, ttl_us - ttl_us / 10));
    }
}

/* A grant binds its member by its own clock, over restarts of its agent; it is never given for an
 * epoch that the member knows to be over, nor against its own vote. */
void truth_ops_granted(struct world *w, const struct member *m, struct slice bytes,
                       struct slice answered)
{
    struct truth_member *known = &w->truth->members[m->index];
    struct agt_failsafe_ask ask;
    struct agt_failsafe_answer answer;
    if (agt_failsafe_ask_decode(bytes, &ask) != 0 ||
        agt_failsafe_answer_decode(answered, &answer) != 0 || !answer.is_granted) {
        return;
    }
    bool has_voted = known->vote.is_given && truth_db_of(w, m->index)->record.epoch == ask.epoch;
    if (ask.epoch < known->epoch_seen || has_voted) {
        world_fail(w, INVARIANT_FAILSAFE_GRANT,
                   "%s grants epoch %lu in a failsafe round, and has %s", m->name.text,
                   (unsigned long)ask.epoch, has_voted ? "voted" : "seen a higher one");
    }
    int64_t us = lease_wait_us((int64_t)ask.ttl_ms * MS);
    struct base_mono until = base_mono_add_us(clock_now(&m->clock), us);
    known->failsafe_until =
        known->failsafe_epoch == 0 ? until : base_mono_max(known->failsafe_until, until);
    known->failsafe_epoch = ask.epoch;
}

void truth_ops_votes(struct world *w, const struct member *m, const struct msg_report *report)
{
    if (report->epoch_seen == w->truth->members[m->index].failsafe_epoch) {
        failsafe_is_over(w, m, "votes");
    }
}
