/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: what operators asked of single members (restart, new sync), and members that are too
 * stale. One at a time, a primary last. What has failed is put off for longer each time, and keeps
 * nothing else waiting: neither other tasks nor the way back to the layout.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/name.h"

static void wait_for(struct arb_turn *t, enum arb_note_kind kind, const struct base_name *member,
                     enum arb_refusal why)
{
    arb_say_waiting(
        t, &(struct arb_note){.kind = kind, .member = *member, .other = t->c->name, .why = why});
}

/* --- what is tried again later --- */

static struct arb_mongodb_wait *wait_find(struct arb_mongodb *m, uint64_t of)
{
    for (size_t i = 0; i < BASE_COUNT_OF(m->waits); i++) {
        if (m->waits[i].of == of) {
            return &m->waits[i];
        }
    }
    return NULL;
}

/* Of a task that is gone, or one of whose turn is next. */
static struct arb_mongodb_wait *wait_make(struct arb_cluster *c, uint64_t of)
{
    struct arb_mongodb_wait *free_one = &c->mongodb.waits[0];
    for (size_t i = 0; i < BASE_COUNT_OF(c->mongodb.waits); i++) {
        struct arb_mongodb_wait *w = &c->mongodb.waits[i];
        bool is_used = w->of == ARB_MONGODB_OF_DRAIN;
        for (uint8_t k = 0; k < c->record.tasks_count; k++) {
            is_used = is_used || w->of == c->record.tasks[k].id;
        }
        free_one = w->of == 0 || !is_used ? w : free_one;
    }
    *free_one = (struct arb_mongodb_wait){.of = of};
    return free_one;
}

/* What a new leader, which has not given it, knows of the order. */
static uint64_t task_of(const struct msg_record *r)
{
    const struct msg_mongodb_order *o = &r->mongodb.order;
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        const struct msg_task *task = &r->tasks[i];
        bool is_restart = o->kind == MSG_MONGODB_ORDER_RESTART && task->kind == MSG_TASK_RESTART;
        bool is_resync = o->kind == MSG_MONGODB_ORDER_RESYNC && task->kind == MSG_TASK_REINIT;
        if ((is_restart || is_resync) && base_name_equal(&task->member, &o->member)) {
            return task->id;
        }
    }
    return 0;
}

void arb_mongodb_try_again(struct arb_turn *t)
{
    struct arb_mongodb_wait *w = wait_find(&t->c->mongodb, t->c->mongodb.order_of);
    if (w != NULL) { /* of nothing: a free one */
        *w = (struct arb_mongodb_wait){.of = 0};
    }
}

bool arb_mongodb_put_off(struct arb_turn *t)
{
    struct arb_mongodb *m = &t->c->mongodb;
    uint64_t of = m->order_of != 0 ? m->order_of : task_of(&t->c->record);
    if (of == 0) {
        return false;
    }
    struct arb_mongodb_wait *w = wait_find(m, of);
    w = w == NULL ? wait_make(t->c, of) : w;
    w->not_before = base_mono_add_us(t->event->now, arb_mongodb_back_off_us(w->failures));
    w->failures = (uint8_t)(w->failures < 100 ? w->failures + 1 : 100);
    return true;
}

bool arb_mongodb_is_put_off(struct arb_turn *t, uint64_t of, const struct base_name *member,
                            enum arb_note_kind kind)
{
    const struct arb_mongodb_wait *w = wait_find(&t->c->mongodb, of);
    if (w == NULL || !base_mono_before(t->event->now, w->not_before)) {
        return false;
    }
    arb_say_waiting(
        t, &(struct arb_note){.kind = kind,
                              .member = *member,
                              .a = w->failures,
                              .b = (uint64_t)(arb_mongodb_back_off_us((uint8_t)(w->failures - 1)) /
                                              BASE_US_PER_S)});
    return true;
}

/* --- restart, new sync --- */

static bool resync(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                   const struct base_name *name, enum arb_mongodb_cause cause)
{
    uint8_t at = arb_mongodb_peer(t->c, s, name);
    bool is_left_out = at == MDB_NOBODY && arb_names_has(&t->c->record.mongodb.barred, name);
    enum arb_refusal why = ARB_REFUSE_NONE;
    if (!is_left_out) {
        why = at == MDB_NOBODY
                  ? ARB_REFUSE_NO_CONFIG
                  : mdb_resync_check(&s->set, s->opinions, at, cause == ARB_CAUSE_ASKED);
    }
    if (why != ARB_REFUSE_NONE) {
        wait_for(t, ARB_NOTE_MONGODB_WAITS, name, why);
        return false;
    }
    struct msg_mongodb_order o = {.kind = MSG_MONGODB_ORDER_RESYNC, .subject = *name};
    if (!is_left_out) {
        o = arb_mongodb_about(t, s, MSG_MONGODB_ORDER_RESYNC, at);
    }
    o.member = *name;
    arb_say(t, ARB_NOTE_MONGODB_RESYNC)->member = *name;
    arb_mongodb_begin(t, s, next, &o, cause);
    return true;
}

/* The primary comes last, and hands over first. One that is down is started. */
static bool restart(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                    const struct base_name *name)
{
    uint8_t at = arb_mongodb_peer(t->c, s, name);
    uint8_t other = MDB_NOBODY;
    enum arb_refusal why =
        at == MDB_NOBODY ? ARB_REFUSE_NO_CONFIG : mdb_restart_check(&s->set, at, &other);
    if (why == ARB_REFUSE_IS_HOLDER && s->set.layout.data > 1) {
        return arb_mongodb_move_away(t, s, next, ARB_CAUSE_RESTARTED);
    }
    if (why != ARB_REFUSE_NONE && why != ARB_REFUSE_IS_HOLDER) {
        struct base_name who = arb_mongodb_name(t->c, s, other);
        wait_for(t, ARB_NOTE_MONGODB_WAITS, &who, why);
        return false;
    }
    struct msg_mongodb_order o = arb_mongodb_about(t, s, MSG_MONGODB_ORDER_RESTART, at);
    o.member = *name;
    arb_mongodb_begin(t, s, next, &o, ARB_CAUSE_ASKED);
    return true;
}

/* When the last of what is asked for at once was first seen by this leadership. */
static void watch_asking(struct arb_turn *t)
{
    struct arb_mongodb *m = &t->c->mongodb;
    for (uint8_t i = 0; i < t->c->record.tasks_count; i++) {
        const struct msg_task *task = &t->c->record.tasks[i];
        if (task->at_wall_us == MSG_TASK_AT_ONCE && task->id > m->asked_last) {
            m->asked_last = task->id;
            m->asked = t->event->now;
        }
    }
}

/* What is asked of the primary waits for what is asked of the others in the same breath. */
static bool is_due(const struct arb_turn *t, const struct msg_task *task, bool is_of_primary)
{
    int64_t wait_us = is_of_primary ? MONGODB_TASK_WAIT_US : 0;
    if (task->at_wall_us == MSG_TASK_AT_ONCE) {
        return base_mono_diff_us(t->event->now, t->c->mongodb.asked) >= wait_us;
    }
    return task->at_wall_us == 0 || task->at_wall_us <= t->event->wall.us - wait_us;
}

/* Nobody but its own agent can do it: an order to one that is silent would keep the whole set
 * waiting until its limit is over. */
static bool is_heard(struct arb_turn *t, const struct base_name *member)
{
    uint8_t at = arb_view_find(t->c, member);
    if (at != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[at], t->event->now)) {
        return true;
    }
    wait_for(t, ARB_NOTE_MONGODB_WAITS, member, ARB_REFUSE_SILENT);
    return false;
}

/* Whether it may be tried now, in the round of the others or of the primary. */
static bool is_its_turn(struct arb_turn *t, const struct msg_task *task,
                        const struct base_name *primary, bool is_of_primary)
{
    bool is_kept_down =
        task->kind != MSG_TASK_REINIT && arb_names_has(&t->c->record.mongodb.barred, &task->member);
    return base_name_equal(&task->member, primary) == is_of_primary && !is_kept_down &&
           is_due(t, task, is_of_primary) && is_heard(t, &task->member) &&
           !arb_mongodb_is_put_off(t, task->id, &task->member, ARB_NOTE_MONGODB_TASK_OFF);
}

static bool carry_out(struct arb_turn *t, const struct arb_sight *s, uint8_t i)
{
    struct msg_record next = t->c->record;
    const struct msg_task task = next.tasks[i];
    next.tasks[i].at_wall_us = 0;
    if (task.kind == MSG_TASK_RESTART) {
        return restart(t, s, &next, &task.member);
    }
    if (task.kind == MSG_TASK_REINIT) {
        return resync(t, s, &next, &task.member, ARB_CAUSE_ASKED);
    }
    if (task.at_wall_us == 0) {
        return false; /* its end is waited for */
    }
    arb_propose(t, ARB_DECIDE_TASK, &next);
    return true;
}

static bool do_task(struct arb_turn *t, const struct arb_sight *s, uint8_t i)
{
    uint64_t id = t->c->record.tasks[i].id;
    if (!carry_out(t, s, i)) {
        return false;
    }
    t->c->mongodb.order_of = id;
    return true;
}

bool arb_mongodb_tasks(struct arb_turn *t, const struct arb_sight *s)
{
    const struct msg_record *r = &t->c->record;
    struct base_name primary = arb_mongodb_name(t->c, s, s->set.primary);
    watch_asking(t);
    for (unsigned round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < r->tasks_count; i++) {
            if (is_its_turn(t, &r->tasks[i], &primary, round == 1) && do_task(t, s, i)) {
                return true;
            }
        }
    }
    return false;
}

bool arb_mongodb_mend_stale(struct arb_turn *t, const struct arb_sight *s)
{
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        struct base_name name = arb_mongodb_name(t->c, s, i);
        struct msg_record next = t->c->record;
        if (s->set.peers[i].state != MSG_MONGODB_STALE || base_name_is_empty(&name)) {
            continue;
        }
        wait_for(t, ARB_NOTE_MONGODB_STALE, &name, ARB_REFUSE_NONE);
        if (next.mongodb.policy.is_resync_auto && resync(t, s, &next, &name, ARB_CAUSE_STALE)) {
            return true;
        }
    }
    return false;
}
