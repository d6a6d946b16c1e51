/* SPDX-License-Identifier: Apache-2.0 */
/* Failsafe rounds: the holder's side, the member's side, and the two messages. */
#include "agents/core/failsafe.h"

#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/crc32c.h"
#include "base/lease_math.h"
#include "base/mark.h"

#define ASK_MAGIC SLICE_LIT("QFA1")
#define ANSWER_MAGIC SLICE_LIT("QFB1")

/* --- the holder --------------------------------------------------------------------------------
 */

static void names_add(struct msg_names *names, const struct base_name *name)
{
    uint8_t at = 0;
    while (at < names->count && base_name_compare(&names->names[at], name) < 0) {
        at++;
    }
    if (names->count == MSG_MEMBERS_MAX || agt_names_has(names, name)) {
        return;
    }
    memmove(&names->names[at + 1], &names->names[at],
            sizeof(names->names[0]) * (size_t)(names->count - at));
    names->names[at] = *name;
    names->count++;
}

static void names_remove(struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            memmove(&names->names[i], &names->names[i + 1],
                    sizeof(names->names[0]) * (size_t)(names->count - i - 1));
            names->count--;
            memset(&names->names[names->count], 0, sizeof(names->names[0]));
            return;
        }
    }
}

static void add_all(const struct agt *a, struct msg_names *names, const struct msg_names *more)
{
    for (uint8_t i = 0; i < more->count; i++) {
        if (!base_name_equal(&more->names[i], &a->config.member)) {
            names_add(names, &more->names[i]);
        }
    }
}

static void peer_learn(struct agt_failsafe *f, const struct msg_member *m)
{
    uint8_t i = 0;
    while (i < f->peers_count && !base_name_equal(&f->peers[i].member, &m->member)) {
        i++;
    }
    if (i == MSG_MEMBERS_MAX) {
        return;
    }
    f->peers[i] = (struct agt_failsafe_peer){m->member, m->host, m->http_port};
    f->peers_count = i == f->peers_count ? (uint8_t)(i + 1) : f->peers_count;
}

/* Whom a round asks: every member of the order and of the record. One that is asked no more must
 * have left both: as long as the record names it, it may be a candidate. */
void agt_failsafe_order(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_failsafe *f = &a->failsafe;
    const struct msg_record *r = &a->order.record;
    if (!r->is_failsafe) {
        memset(&f->members, 0, sizeof(f->members));
        return;
    }
    struct msg_names present = {0};
    add_all(a, &present, &r->failsafe_members); /* first: for them there must be room */
    add_all(a, &present, &r->voters);
    for (uint8_t i = 0; i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        if (!base_name_equal(&m->member, &a->config.member)) {
            names_add(&present, &m->member);
            peer_learn(f, m);
        }
    }
    f->members = present;
    if (r->ttl_ms > a->want.failsafe_ttl_ms) {
        a->want.failsafe_ttl_ms = r->ttl_ms; /* on disk before it is granted to anybody */
    }
}

/* The record must name those who are asked: with none in it the choice of a candidate is not
 * restricted yet. */
static bool may_ask(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    return a->has_order && r->is_failsafe && r->failsafe_members.count > 0 && agt_is_holder(a) &&
           agt_holds(a) && a->guard.is_armed && a->guard.epoch == r->epoch &&
           (r->fencing_epoch != r->epoch || /* it is over: granted no more by anybody */
            CANARY(FAILSAFE_WHILE_FENCED)) &&
           a->failsafe.members.count > 0 && !a->want.is_paused && !a->is_handback_wanted &&
           !a->stop.is_asked && !a->is_shutdown && a->order.goal != MSG_GOAL_HAND_OVER;
}

/* Only when the quorum has been silent for half of the ttl; once a heartbeat from then on. */
void agt_failsafe_step(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_failsafe *f = &a->failsafe;
    f->is_bound = base_mono_before(run->now, f->bound_until);
    if (f->is_bound) {
        agt_wake_at(run, f->bound_until);
    }
    if (!may_ask(a)) {
        return;
    }
    struct base_mono since = base_mono_add_us(a->guard.deadline, -(agt_ttl_us(a) / 2));
    struct base_mono due = base_mono_max(since, base_mono_add_us(f->asked_at, agt_heartbeat_us(a)));
    if (base_mono_before(run->now, due)) {
        agt_wake_at(run, due);
        return;
    }
    MARK(AGENT_ASKS_MEMBERS);
    f->asked_at = run->now;
    agt_fx_add(run, AGT_FX_FAILSAFE_ASK);
    agt_wake_at(run, base_mono_add_us(run->now, agt_heartbeat_us(a)));
}

void agt_failsafe_make(struct agt *a, struct base_mono t_send, struct agt_failsafe_ask *ret)
{
    struct agt_failsafe *f = &a->failsafe;
    uint64_t number = ++f->round;
    f->rounds[number % AGT_FAILSAFE_ROUNDS] =
        (struct agt_failsafe_round){.number = number,
                                    .sent = t_send,
                                    .epoch = a->guard.epoch,
                                    .ttl_ms = a->order.record.ttl_ms,
                                    .missing = f->members};
    *ret = (struct agt_failsafe_ask){
        .cluster = a->config.cluster,
        .holder = a->config.member,
        .session = a->lease.session,
        .round = number,
        .epoch = a->guard.epoch,
        .ttl_ms = a->order.record.ttl_ms,
        .position = {agt_disk_lineage(&a->want, a->view.timeline), a->view.timeline, a->view.lsn},
    };
}

/* All of the round's members have granted it: as good as a grant of the quorum for a report that
 * was sent when the round was. */
static void round_won(struct agt_run *run, const struct agt_failsafe_round *round)
{
    struct agt *a = run->a;
    struct base_mono sent = CANARY(FAILSAFE_FROM_RECEIPT) ? run->now : round->sent;
    struct base_mono deadline = lease_deadline(sent, (int64_t)round->ttl_ms * BASE_US_PER_MS);
    if (a->has_grant && a->grant_epoch == round->epoch) {
        deadline = base_mono_max(deadline, a->grant_deadline);
    }
    if (!a->failsafe.is_in_force) {
        agt_fx_log(run, "no quorum: goes on while every member grants it", NULL);
    }
    a->failsafe.is_in_force = true;
    a->has_grant = true;
    a->grant_epoch = round->epoch;
    a->grant_deadline = deadline;
}

void agt_failsafe_answered(struct agt_run *run, const struct agt_failsafe_answer *answer)
{
    struct agt *a = run->a;
    struct agt_failsafe_round *round = &a->failsafe.rounds[answer->round % AGT_FAILSAFE_ROUNDS];
    if (answer->session != a->lease.session || answer->round == 0 ||
        answer->round != round->number || !answer->is_granted ||
        !agt_names_has(&round->missing, &answer->member)) {
        return;
    }
    names_remove(&round->missing, &answer->member);
    bool is_won = round->missing.count == 0 || CANARY(FAILSAFE_BY_SOME);
    if (is_won && round->epoch == a->guard.epoch && may_ask(a)) {
        round_won(run, round);
    }
}

/* --- the member --------------------------------------------------------------------------------
 */

void agt_failsafe_start(struct agt *a, struct base_mono now)
{
    int64_t ttl_us = (int64_t)a->disk.failsafe_ttl_ms * BASE_US_PER_MS;
    a->failsafe.bound_until = BASE_MONO_LONG_AGO;
    a->failsafe.asked_at = BASE_MONO_LONG_AGO;
    if (ttl_us > 0 && !CANARY(FAILSAFE_FORGOTTEN)) {
        a->failsafe.bound_until = base_mono_add_us(now, lease_wait_us(ttl_us));
    }
}

void agt_failsafe_close(struct agt *a, uint64_t epoch)
{
    if (epoch > a->failsafe.closed_epoch) {
        a->failsafe.closed_epoch = epoch;
    }
}

/* Never against what this member has promised, knows better, or is about to do. */
static bool may_grant(const struct agt *a, const struct agt_failsafe_ask *ask)
{
    bool is_closed = (ask->epoch <= a->failsafe.closed_epoch || agt_promise_is_kept(a)) &&
                     !CANARY(FAILSAFE_AFTER_VOTE);
    bool is_off = agt_order_is_in_force(a) && !a->order.record.is_failsafe;
    bool is_mine = base_name_equal(&ask->holder, &a->config.member) || agt_holds(a);
    bool is_known = ask->epoch == a->disk.epoch_seen && ask->epoch == a->want.epoch_seen;
    if (CANARY(FAILSAFE_OLD_EPOCH)) {
        is_known = true;
    }
    return base_name_equal(&ask->cluster, &a->config.cluster) && is_known && !is_closed &&
           !is_off && !is_mine && ask->ttl_ms > 0 && ask->ttl_ms <= LEASE_TTL_MAX_MS &&
           ask->ttl_ms <= a->disk.failsafe_ttl_ms;
}

/* The highest of an epoch: a round is also asked for while the server does not answer, and an
 * earlier one may arrive late. */
static void take_position(struct agt_failsafe *f, const struct agt_failsafe_ask *ask)
{
    const struct msg_position *p = &ask->position;
    bool is_higher = p->lineage > f->position.lineage ||
                     (p->lineage == f->position.lineage && p->lsn > f->position.lsn);
    if (f->position_epoch != ask->epoch || (p->lsn != 0 && is_higher)) {
        f->position_epoch = ask->epoch;
        f->position = *p;
    }
}

void agt_failsafe_asked(struct agt_run *run, const struct agt_failsafe_ask *ask)
{
    struct agt *a = run->a;
    struct agt_failsafe *f = &a->failsafe;
    bool is_granted = may_grant(a, ask);
    if (ask->epoch == a->want.epoch_seen && ask->ttl_ms <= LEASE_TTL_MAX_MS &&
        ask->ttl_ms > a->want.failsafe_ttl_ms) {
        a->want.failsafe_ttl_ms = ask->ttl_ms; /* the next round may be granted */
    }
    if (is_granted) {
        struct base_mono until =
            base_mono_add_us(run->now, lease_wait_us((int64_t)ask->ttl_ms * BASE_US_PER_MS));
        f->bound_until = base_mono_max(f->bound_until, until);
        take_position(f, ask);
    }
    run->fx->failsafe_answer = (struct agt_failsafe_answer){.member = a->config.member,
                                                            .session = ask->session,
                                                            .round = ask->round,
                                                            .is_granted = is_granted};
}

bool agt_failsafe_is_bound(const struct agt *a)
{
    return a->failsafe.is_bound && !CANARY(FAILSAFE_VOTES_EARLY);
}

/* --- messages ----------------------------------------------------------------------------------
 */

static void put_name(struct buf *b, const struct base_name *name)
{
    struct slice text = base_name_slice(name);
    buf_put_u8(b, (uint8_t)text.len);
    buf_put(b, text);
}

static int take_name(struct slice *s, struct base_name *ret)
{
    uint8_t len = 0;
    struct slice text;
    if (slice_take_u8(s, &len) != 0 || slice_take_bytes(s, len, &text) != 0 ||
        base_name_from(text, ret) != 0) {
        return BASE_E_PROTO;
    }
    return 0;
}

static int finish(struct buf *out, size_t start)
{
    buf_put_u32_be(out, base_crc32c(0, slice_from(out->data + start, out->len - start)));
    return out->is_full ? BASE_E_TOOBIG : 0;
}

/* Magic and checksum; *bytes is what lies between. */
static int open_message(struct slice *bytes, struct slice magic)
{
    uint32_t crc = 0;
    if (bytes->len < magic.len + 4 || bytes->len > AGT_FAILSAFE_BYTES_MAX ||
        !slice_has_prefix(*bytes, magic)) {
        return BASE_E_PROTO;
    }
    struct slice body = {bytes->data, bytes->len - 4};
    struct slice tail = slice_skip(*bytes, body.len);
    if (slice_take_u32_be(&tail, &crc) != 0 || crc != base_crc32c(0, body)) {
        return BASE_E_PROTO;
    }
    *bytes = slice_skip(body, magic.len);
    return 0;
}

int agt_failsafe_ask_encode(const struct agt_failsafe_ask *ask, struct buf *out)
{
    size_t start = out->len;
    buf_put(out, ASK_MAGIC);
    put_name(out, &ask->cluster);
    put_name(out, &ask->holder);
    buf_put_u64_be(out, ask->session);
    buf_put_u64_be(out, ask->round);
    buf_put_u64_be(out, ask->epoch);
    buf_put_u32_be(out, ask->ttl_ms);
    buf_put_u64_be(out, ask->position.lineage);
    buf_put_u32_be(out, ask->position.timeline);
    buf_put_u64_be(out, ask->position.lsn);
    return finish(out, start);
}

int agt_failsafe_ask_decode(struct slice bytes, struct agt_failsafe_ask *ret)
{
    struct agt_failsafe_ask ask = {0};
    int rc = open_message(&bytes, ASK_MAGIC);
    rc = rc == 0 ? take_name(&bytes, &ask.cluster) : rc;
    rc = rc == 0 ? take_name(&bytes, &ask.holder) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &ask.session) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &ask.round) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &ask.epoch) : rc;
    rc = rc == 0 ? slice_take_u32_be(&bytes, &ask.ttl_ms) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &ask.position.lineage) : rc;
    rc = rc == 0 ? slice_take_u32_be(&bytes, &ask.position.timeline) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &ask.position.lsn) : rc;
    if (rc != 0 || bytes.len != 0) {
        return BASE_E_PROTO;
    }
    *ret = ask;
    return 0;
}

int agt_failsafe_answer_encode(const struct agt_failsafe_answer *answer, struct buf *out)
{
    size_t start = out->len;
    buf_put(out, ANSWER_MAGIC);
    put_name(out, &answer->member);
    buf_put_u64_be(out, answer->session);
    buf_put_u64_be(out, answer->round);
    buf_put_u8(out, answer->is_granted ? 1 : 0);
    return finish(out, start);
}

int agt_failsafe_answer_decode(struct slice bytes, struct agt_failsafe_answer *ret)
{
    struct agt_failsafe_answer answer = {0};
    uint8_t granted = 0;
    int rc = open_message(&bytes, ANSWER_MAGIC);
    rc = rc == 0 ? take_name(&bytes, &answer.member) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &answer.session) : rc;
    rc = rc == 0 ? slice_take_u64_be(&bytes, &answer.round) : rc;
    rc = rc == 0 ? slice_take_u8(&bytes, &granted) : rc;
    if (rc != 0 || bytes.len != 0 || granted > 1) {
        return BASE_E_PROTO;
    }
    answer.is_granted = granted == 1;
    *ret = answer;
    return 0;
}
