/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: what operators ask for, where it goes another way than with other engines: switchover,
 * removal of a member, cancel, the two calls of a forced reconfiguration.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

const char *arb_mongodb_refuses(const struct arb_request *request)
{
    if (request->kind == ARB_REQUEST_FAILOVER) {
        return "MongoDB elects its primary by itself; kv db switchover moves it, and where no "
               "majority is left kv db force-reconfigure shows what going on costs";
    }
    if (request->kind == ARB_REQUEST_CONFIRM_DEAD) {
        return "nothing waits for a dead member of a replica set; kv db remove takes it out, kv db "
               "force-reconfigure --destroyed names it where the majority is lost";
    }
    if (request->kind == ARB_REQUEST_TASK && request->task.kind == MSG_TASK_RELOAD) {
        return "mongod reads its file at a start alone: kv db restart";
    }
    return NULL;
}

static bool is_busy(struct arb_turn *t)
{
    if (!arb_mongodb_is_open(&t->c->record)) {
        return false;
    }
    arb_answer(t, BASE_E_BUSY,
               "another order to the replica set is under way: kv db show tells which; wait for "
               "its end, or kv db cancel");
    return true;
}

/* --- switchover --- */

static void schedule(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    next.switchover_at_wall_us = t->event->request->at_wall_us;
    next.switchover_to = t->event->request->candidate;
    arb_say(t, ARB_NOTE_SCHEDULED);
    arb_propose(t, ARB_DECIDE_SCHEDULE, &next);
    arb_answer(t, 0, "the switchover is planned; kv db cancel --planned takes it back");
}

static void request_switchover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_request *request = t->event->request;
    struct arb_sight s;
    struct base_name who;
    enum arb_refusal why;
    if (request->at_wall_us > t->event->wall.us) {
        schedule(t);
        return;
    }
    if (is_busy(t)) {
        return;
    }
    arb_mongodb_look(c, t->event->now, &s);
    uint8_t target = arb_mongodb_target(t, &s, &request->candidate, true, &why, &who);
    if (target == MDB_NOBODY) {
        arb_answer_member(t, BASE_E_STATE, &who, arb_refusal_text(why));
        return;
    }
    struct msg_record next = c->record;
    arb_mongodb_switch(t, &s, &next, target, ARB_CAUSE_ASKED);
    struct base_name to = arb_mongodb_name(c, &s, target);
    arb_answer_member(t, 0, &to, "is to be primary: the others stand back, then it is handed over");
}

/* --- removal --- */

static bool may_leave(struct arb_turn *t, const struct arb_sight *s, uint8_t at)
{
    const struct base_name *member = &t->event->request->candidate;
    const struct mdb_peer *p = &s->set.peers[at];
    uint8_t v = arb_view_find(t->c, member);
    bool is_voter = p->peer.votes > 0 && !p->peer.is_newly_added;
    if (at == s->set.primary) {
        arb_answer_member(t, BASE_E_STATE, member, "is the primary; kv db switchover comes first");
    } else if (v != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[v], t->event->now)) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "is heard; stop its agent first, or it would be taken in again");
    } else if (is_voter && s->set.layout.voters <= 3 && !t->event->request->is_forced) {
        arb_answer_member(t, BASE_E_STATE, member, arb_refusal_text(ARB_REFUSE_LAYOUT_TOO_FEW));
    } else {
        return true;
    }
    return false;
}

/* True: answered; else it is no member of the set, and goes like any other. */
static bool request_remove(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name *member = &t->event->request->candidate;
    struct arb_sight s;
    if (base_name_is_empty(member)) {
        return false;
    }
    arb_mongodb_look(c, t->event->now, &s);
    uint8_t at = arb_mongodb_peer(c, &s, member);
    if (at == MDB_NOBODY && s.set.has_config) {
        return false;
    }
    if (!s.set.has_config) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "may be in the replica set, whose configuration nobody who is heard "
                          "knows; try again when there is a primary");
        return true;
    }
    if (!may_leave(t, &s, at)) {
        return true;
    }
    struct msg_record next = c->record;
    if (arb_names_has(&next.mongodb.leaving, member)) {
        arb_answer_member(t, 0, member, "leaves already; kv db show tells how far it is");
    } else if (arb_names_add(&next.mongodb.leaving, member) != 0) {
        arb_answer(t, BASE_E_TOOBIG, "too many members leave");
    } else {
        c->mongodb.is_thin_allowed = c->mongodb.is_thin_allowed || t->event->request->is_forced;
        arb_say(t, ARB_NOTE_REMOVED)->member = *member;
        arb_propose(t, ARB_DECIDE_MEMBERS, &next);
        arb_answer_member(t, 0, member, "loses its vote, then leaves the replica set");
    }
    return true;
}

/* --- force --- */

/* Different for every plan, and known to nobody who was not told: each step below keeps what is
 * random in it. What it is bound to is looked up in the record (mdb_token_check). */
static uint64_t make_token(const struct arb_turn *t, const struct msg_mongodb_force *f)
{
    uint64_t x = CANARY(MONGODB_TOKEN_DERIVED) ? t->c->restore_id : t->event->request->random;
    const uint64_t parts[] = {t->c->term,     t->c->record.epoch, t->c->record.revision,
                              f->config.term, f->config.version,  f->survivors.count,
                              f->lost.count};
    for (size_t i = 0; i < BASE_COUNT_OF(parts); i++) {
        x = (x ^ parts[i]) * UINT64_C(0x9E3779B97F4A7C15);
        x ^= x >> 29;
    }
    for (uint8_t i = 0; i < f->survivors.count; i++) {
        for (const char *at = f->survivors.names[i].text; *at != '\0'; at++) {
            x = (x ^ (uint8_t)*at) * UINT64_C(0x100000001B3);
        }
    }
    x = (x ^ x >> 32) & INT64_MAX;
    return x == 0 ? 1 : x;
}

static void put_names(struct buf *out, const struct msg_names *names)
{
    for (uint8_t i = 0; i < names->count; i++) {
        buf_put_text(out, i == 0 ? " " : ", ");
        buf_put(out, base_name_slice(&names->names[i]));
    }
}

static void put_lost(struct buf *out, const struct msg_mongodb_force *f)
{
    const struct msg_mongodb_hosts *hosts = &f->strangers;
    put_names(out, &f->lost);
    for (uint8_t i = 0; i < hosts->count; i++) {
        buf_put_text(out, i == 0 && f->lost.count == 0 ? " " : ", ");
        buf_put_text(out, hosts->list[i].text);
    }
}

/* What may be lost: committed by majority, as far as anybody has said, and not on the freshest. */
static void put_loss(struct buf *out, const struct mdb_force_plan *plan)
{
    uint64_t has_s = plan->has.ts >> 32;
    uint64_t known_s = plan->known.ts >> 32;
    if (plan->known.ts == 0) {
        buf_put_text(out, "; how much is lost is not known");
    } else if (mdb_optime_compare(&plan->known, &plan->has) <= 0) {
        buf_put_text(out, "; it has all that is known as committed, later commits are lost");
    } else {
        buf_put_text(out, "; it lacks committed writes of the last ");
        buf_put_dec(out, known_s > has_s ? known_s - has_s : 1);
        buf_put_text(out, " s known, and all later ones");
    }
}

static void put_survivors(struct buf *out, const struct msg_mongodb_force *force)
{
    struct msg_names others = force->survivors;
    arb_names_remove(&others, &force->freshest);
    buf_put_text(out, others.count == 0 ? " goes on alone" : " goes on with");
    put_names(out, &others);
}

static void answer_plan(struct arb_turn *t, const struct mdb_force_plan *plan, uint64_t token)
{
    uint8_t memory[2 * BASE_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    buf_put_text(&text, "token ");
    buf_put_dec(&text, token);
    buf_put_text(&text, ": ");
    buf_put(&text, base_name_slice(&plan->force.freshest));
    put_survivors(&text, &plan->force);
    buf_put_text(&text, "; barred until wiped:");
    put_lost(&text, &plan->force);
    put_loss(&text, plan);
    arb_answer(t, 0, "");
    t->fx->answer_text = base_text_from(buf_slice(&text));
}

static void answer_refusal(struct arb_turn *t, const struct mdb_force_plan *plan,
                           enum arb_refusal why)
{
    uint8_t memory[2 * BASE_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    if (base_name_is_empty(&plan->who)) {
        buf_put_text(&text, plan->where.text[0] != '\0' ? plan->where.text : t->c->name.text);
    } else {
        buf_put(&text, base_name_slice(&plan->who));
    }
    buf_put_u8(&text, ' ');
    buf_put_text(&text, arb_refusal_text(why));
    arb_answer(t, BASE_E_STATE, "");
    t->fx->answer_text = base_text_from(buf_slice(&text));
}

static void give_token(struct arb_turn *t, const struct mdb_force_plan *plan)
{
    struct msg_record next = t->c->record;
    uint64_t done_epoch = next.mongodb.force.done_epoch;
    next.mongodb.force = plan->force;
    next.mongodb.force.token = make_token(t, &plan->force);
    next.mongodb.force.given_epoch = next.epoch;
    next.mongodb.force.done_epoch = done_epoch;
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_TOKEN);
    note->member = plan->force.freshest;
    note->a = plan->force.survivors.count;
    note->b = plan->force.lost.count + plan->force.strangers.count;
    answer_plan(t, plan, next.mongodb.force.token);
    arb_propose(t, ARB_DECIDE_MONGODB_TOKEN, &next);
}

/* The token is spent with the entry that gives the order; the lost are barred from it on. */
static void use_token(struct arb_turn *t, const struct arb_sight *s,
                      const struct mdb_force_plan *plan)
{
    struct msg_record next = t->c->record;
    struct msg_mongodb_order o = {.kind = MSG_MONGODB_ORDER_FORCE,
                                  .member = plan->force.freshest,
                                  .subject = plan->force.freshest,
                                  .expected_config = plan->force.config,
                                  .votes = 1};
    uint8_t at = arb_view_find(t->c, &plan->force.freshest);
    uint32_t priority =
        at == ARB_NOBODY ? 0 : t->c->views[at].report.mongodb.priority * MDB_PRIORITY_UNIT;
    o.priority_x10 = priority == 0           ? MDB_PRIORITY_UNIT /* it must be able to lead */
                     : priority > UINT16_MAX ? UINT16_MAX
                                             : (uint16_t)priority;
    int rc = arb_names_unite(&next.mongodb.barred, &plan->force.lost);
    for (uint8_t i = 0; rc == 0 && i < plan->force.strangers.count; i++) {
        rc = mdb_hosts_add(&next.mongodb.barred_hosts, &plan->force.strangers.list[i]);
    }
    if (rc != 0) {
        arb_answer(t, BASE_E_TOOBIG, "too many members are barred: wipe some of them first");
        return;
    }
    next.mongodb.barred_epoch = next.epoch + 1;
    next.mongodb.force.done_epoch = next.epoch + 1;
    if (!CANARY(MONGODB_FORCED_TWICE)) {
        next.mongodb.force.token = 0;
    }
    struct arb_note *note = arb_say(t, ARB_NOTE_MONGODB_FORCED);
    note->member = plan->force.freshest;
    note->a = plan->force.survivors.count;
    note->b = plan->force.lost.count + plan->force.strangers.count;
    note->c = next.epoch + 1;
    arb_mongodb_begin(t, s, &next, &o, ARB_CAUSE_FORCED);
    arb_answer_member(t, 0, &plan->force.freshest,
                      "forces the configuration of the survivors; kv db show tells how it ends");
}

/* What was said when the token was given stands for who is silent; who is heard speaks for itself:
 * its mongod was down then, and may have been started since. */
static int take_given(struct arb_turn *t, const struct arb_sight *s, struct mdb_destroyed *ret)
{
    const struct msg_mongodb_force *given = &t->c->record.mongodb.force;
    int rc = 0;
    for (uint8_t i = 0; rc == 0 && i < given->lost.count; i++) {
        const struct base_name *name = &given->lost.names[i];
        uint8_t at = arb_view_find(t->c, name);
        if (at == ARB_NOBODY || !mdb_says_running(&s->opinions[at])) {
            rc = arb_names_add(&ret->names, name);
        }
    }
    for (uint8_t i = 0; rc == 0 && i < given->strangers.count; i++) {
        rc = mdb_hosts_add(&ret->hosts, &given->strangers.list[i]);
    }
    return rc;
}

/* Everybody who is said to be destroyed, now or when the token was given; false: answered. */
static bool take_destroyed(struct arb_turn *t, const struct arb_sight *s, bool is_known,
                           struct mdb_destroyed *ret)
{
    const struct arb_request *request = t->event->request;
    ret->names = request->destroyed;
    ret->hosts = request->destroyed_hosts;
    for (uint8_t i = 0; i < ret->hosts.count; i++) {
        if (s->set.has_config && mdb_find(&s->set, &ret->hosts.list[i]) == MDB_NOBODY) {
            arb_answer(t, BASE_E_NOTFOUND,
                       "a host that --destroyed names is not in the replica set's configuration: "
                       "write it as kv db show has it, HOST:PORT");
            return false;
        }
    }
    int rc = is_known ? take_given(t, s, ret) : 0;
    if (rc != 0) {
        arb_answer(t, BASE_E_TOOBIG, "too many members are named");
    }
    return rc == 0;
}

static void request_force(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_request *request = t->event->request;
    const struct msg_mongodb_force *given = &c->record.mongodb.force;
    struct mdb_destroyed destroyed;
    struct mdb_force_plan plan;
    struct arb_sight s;
    if (is_busy(t)) {
        return;
    }
    arb_mongodb_look(c, t->event->now, &s);
    bool is_known = request->token != 0 && request->token == given->token;
    if (!take_destroyed(t, &s, is_known, &destroyed)) {
        return;
    }
    enum arb_refusal why =
        mdb_force_plan(&s.set, s.opinions, s.count, &c->record.mongodb, &destroyed, &plan);
    if (why == ARB_REFUSE_NONE && request->token != 0) {
        why = mdb_token_check(given, request->token, c->record.epoch, &plan.force);
        plan.who = c->name;
    }
    if (why != ARB_REFUSE_NONE) {
        answer_refusal(t, &plan, why);
    } else if (request->token == 0 && request->random == 0) {
        arb_answer(t, BASE_E_INVALID, "no random number came with the request: ask again");
    } else if (request->token == 0) {
        give_token(t, &plan);
    } else {
        use_token(t, &s, &plan);
    }
}

/* --- the rest --- */

static void void_token(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    next.mongodb.force.token = 0;
    arb_say(t, ARB_NOTE_MONGODB_TOKEN_OVER);
    arb_propose(t, ARB_DECIDE_MONGODB_SEEN, &next);
    arb_answer(t, 0, "the plan of a forced reconfiguration is void");
}

/* Elected by a majority, and not writable yet: it fetches what others may have beyond it. What a
 * majority has, it has; so only writes are given up that no majority holds. */
static uint8_t catching_up(const struct arb_sight *s)
{
    for (uint8_t i = 0; i < s->set.peers_count; i++) {
        const struct mdb_peer *p = &s->set.peers[i];
        bool is_one = p->is_own && p->state == MSG_MONGODB_DRAINING;
        if (is_one && s->opinions[p->at].report->term == s->set.term &&
            s->opinions[p->at].report->live_voters >= s->set.majority) {
            return i;
        }
    }
    return MDB_NOBODY;
}

static void give_up_catching_up(struct arb_turn *t)
{
    struct arb_sight s;
    if (is_busy(t)) {
        return;
    }
    arb_mongodb_look(t->c, t->event->now, &s);
    uint8_t at = s.set.primary == MDB_NOBODY ? catching_up(&s) : MDB_NOBODY;
    if (at == MDB_NOBODY) {
        arb_answer(t, BASE_E_STATE,
                   "no member that was elected is catching up: kv db show tells who is what");
        return;
    }
    struct msg_record next = t->c->record;
    struct msg_mongodb_order o = {.kind = MSG_MONGODB_ORDER_ABORT_CATCHUP};
    o.member = arb_mongodb_name(t->c, &s, at);
    arb_mongodb_begin(t, &s, &next, &o, ARB_CAUSE_ASKED);
    arb_answer_member(t, 0, &o.member,
                      "takes writes without waiting any longer: writes of the former primary that "
                      "no majority has are given up");
}

static bool request_cancel(struct arb_turn *t)
{
    const struct arb_request *request = t->event->request;
    if (request->is_catch_up) {
        give_up_catching_up(t);
        return true;
    }
    if (request->is_planned || !base_name_is_empty(&request->candidate)) {
        return false;
    }
    if (!arb_mongodb_is_open(&t->c->record)) {
        bool is_out = t->c->record.mongodb.force.token != 0;
        if (is_out) {
            void_token(t);
        }
        return is_out;
    }
    if (t->c->record.mongodb.order.kind == MSG_MONGODB_ORDER_FORCE) {
        arb_answer(t, BASE_E_STATE, "a forced reconfiguration is under way: it takes its way");
        return true;
    }
    arb_mongodb_cancel(t);
    arb_answer(t, 0, "canceled; nothing else is ordered for a minute");
    return true;
}

/* A barred member may be emptied; anything else waits until it is. */
static bool request_task(struct arb_turn *t)
{
    const struct base_name *member = &t->event->request->task.member;
    uint8_t at = arb_view_find(t->c, member);
    if (at != ARB_NOBODY && t->c->views[at].has_report &&
        t->c->views[at].report.mongodb.is_adopted) {
        arb_answer_member(t, BASE_E_STATE, member, arb_refusal_text(ARB_REFUSE_WATCHED));
        return true;
    }
    bool is_barred = arb_names_has(&t->c->record.mongodb.barred, member);
    bool is_reinit = t->event->request->task.kind == MSG_TASK_REINIT;
    if (is_reinit && !is_barred && base_name_equal(member, &t->c->record.mongodb.primary)) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "is the primary: its data are the set's; kv db switchover comes first");
        return true;
    }
    if (is_reinit || !is_barred) {
        return false;
    }
    arb_answer_member(t, BASE_E_STATE, member, arb_refusal_text(ARB_REFUSE_BARRED));
    return true;
}

bool arb_mongodb_request(struct arb_turn *t)
{
    switch (t->event->request->kind) {
    case ARB_REQUEST_SWITCHOVER:
        request_switchover(t);
        return true;
    case ARB_REQUEST_REMOVE:
        return request_remove(t);
    case ARB_REQUEST_CANCEL:
        return request_cancel(t);
    case ARB_REQUEST_PAUSE:
        return is_busy(t);
    case ARB_REQUEST_FORCE_RECONFIGURE:
        request_force(t);
        return true;
    case ARB_REQUEST_FAILOVER:
    case ARB_REQUEST_CONFIRM:
    case ARB_REQUEST_CONFIRM_DEAD:
    case ARB_REQUEST_RESUME:
    case ARB_REQUEST_DRAIN:
    case ARB_REQUEST_UNDRAIN:
        return false;
    case ARB_REQUEST_TASK:
        return request_task(t);
    }
    BASE_UNREACHABLE();
}
