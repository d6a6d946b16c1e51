/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to a MongoDB member, one row each: who carries it out, what its server must be, what is
 * asked of it, and by what it is known to be done. An order is done when that was seen, asked for
 * after it was given; the server's reply alone is believed where there is nothing to be read. */
#include <string.h>

#include "agents/core/mongodb_internal.h"

#define SECONDS(n) (INT64_C(n) * BASE_US_PER_S)
#define FREEZE_S 30u
#define STEP_DOWN_S 60u
#define CATCH_UP_S 10u

typedef struct msg_mongodb_order order_of;
typedef struct db_mongodb_order words_of;

/* --- known to be done by --- */

static const struct db_mongodb_hello *hello_of(const struct agt *a)
{
    return &a->view.mongodb.hello;
}

/* The configuration was read since, and is in force for good. */
static bool is_settled(const struct agt *a, const order_of *o)
{
    const struct db_mongodb_config *c = &a->view.mongodb.config;
    bool is_as_it_was = agt_mongodb_version_equal(&c->version, &o->expected_config);
    return agt_mongodb_has_config(a) && (c->is_committed || is_as_it_was);
}

static const struct msg_mongodb_peer *subject_of(const struct agt *a, const order_of *o)
{
    return is_settled(a, o) ? agt_mongodb_peer(a, &o->subject_host) : NULL;
}

static bool is_initiated(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    (void)now;
    return hello_of(a)->is_in_set && !hello_of(a)->is_set_name_wrong;
}

static bool is_added(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    const struct msg_mongodb_peer *p = subject_of(a, o);
    return p != NULL && p->is_arbiter == o->is_arbiter;
}

static bool has_vote(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    const struct msg_mongodb_peer *p = subject_of(a, o);
    return p != NULL && p->votes == 1;
}

static bool has_priority(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    const struct msg_mongodb_peer *p = subject_of(a, o);
    return p != NULL && p->priority_x10 == o->priority_x10;
}

static bool has_no_vote(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    const struct msg_mongodb_peer *p = subject_of(a, o);
    return p != NULL && p->votes == 0 && p->priority_x10 == 0;
}

static bool is_removed(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    return is_settled(a, o) && agt_mongodb_peer(a, &o->subject_host) == NULL;
}

static bool has_timeouts(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    return is_settled(a, o) && a->view.mongodb.config.election_timeout_ms == o->election_timeout_ms;
}

static bool is_not_writable(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    (void)now;
    return hello_of(a)->is_in_set && !hello_of(a)->is_writable;
}

static bool is_writable_later(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    uint64_t term = hello_of(a)->term; /* a claim and its term come from one answer */
    return hello_of(a)->is_writable && (term != 0 ? term : agt_mongodb_term(a)) > o->expected_term;
}

static bool is_writable(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    (void)now;
    return hello_of(a)->is_writable;
}

static bool has_concern(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    (void)now;
    return a->view.mongodb.concern >= MSG_MONGODB_CONCERN_SET_ONE &&
           !base_mono_before(a->view.mongodb.concern_at, a->mongodb.work.seen_at);
}

/* Another root than the one that was to end, and it answers as one that is started does. */
static bool is_restarted(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    enum agt_mongodb_state state = agt_mongodb_state_of(a, now);
    return !agt_mongodb_is_former_root(a) && state >= AGT_MONGODB_ABSENT &&
           state != AGT_MONGODB_HUNG;
}

/* Its data are gone, and what runs fills the directory again, or waits to be taken in again (who
 * was left out by force): the end of that is watched by its state, not by the order. */
static bool is_syncing(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    enum agt_mongodb_state state = agt_mongodb_state_of(a, now);
    bool is_there = state == AGT_MONGODB_ABSENT || state == AGT_MONGODB_SYNCING ||
                    state == AGT_MONGODB_SECONDARY || state == AGT_MONGODB_LAGGING ||
                    state == AGT_MONGODB_ARBITER;
    return a->disk.mongodb.is_wiped && is_there;
}

static bool is_killed(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)o;
    (void)now;
    return a->guard.tree == GUARD_TREE_GONE && a->is_gone_seen && !a->view.is_process;
}

/* A forced configuration, above the one that it was made from, and nobody else in it. */
static bool is_forced(const struct agt *a, const order_of *o, struct base_mono now)
{
    (void)now;
    const struct db_mongodb_config *c = &a->view.mongodb.config;
    words_of words = {0};
    const struct agt_mongodb_rule *rule = agt_mongodb_rule(MSG_MONGODB_ORDER_FORCE, 0);
    if (!agt_mongodb_has_config(a) || c->version.version <= o->expected_config.version ||
        !rule->fill(a, o, &words) || words.hosts_count != c->peers_count) {
        return false;
    }
    for (uint8_t i = 0; i < words.hosts_count; i++) {
        if (agt_mongodb_peer(a, &words.hosts[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* --- in words --- */

static bool fill_nothing(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    (void)o;
    (void)ret;
    return true;
}

static bool fill_initiate(const struct agt *a, const order_of *o, words_of *ret)
{
    ret->election_timeout_ms = o->election_timeout_ms;
    if (ret->host.text[0] != '\0') {
        return true;
    }
    struct buf b = buf_over(ret->host.text, MSG_MONGODB_HOST_MAX);
    buf_put_text(&b, a->config.host.text);
    buf_put_u8(&b, ':');
    buf_put_int(&b, a->config.db_port);
    return !b.is_full && a->config.host.text[0] != '\0';
}

static bool fill_add(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    ret->change = DB_MONGODB_ADD;
    ret->is_arbiter = o->is_arbiter;
    ret->votes = o->is_arbiter ? 1 : 0;
    return ret->host.text[0] != '\0';
}

/* Nothing is said of what is not known: its vote or priority stays what was read. */
static bool fill_member(const struct agt *a, const order_of *o, words_of *ret)
{
    const struct msg_mongodb_peer *p = agt_mongodb_peer(a, &o->subject_host);
    ret->change = DB_MONGODB_MEMBER;
    if (p == NULL) {
        return false;
    }
    bool is_priority = o->kind == MSG_MONGODB_ORDER_PRIORITY;
    ret->votes = is_priority ? p->votes : o->kind == MSG_MONGODB_ORDER_VOTE;
    ret->priority_x10 = is_priority ? o->priority_x10 : 0;
    return true;
}

static bool fill_remove(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    (void)o;
    ret->change = DB_MONGODB_REMOVE;
    return ret->host.text[0] != '\0';
}

static bool fill_timeouts(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    ret->change = DB_MONGODB_TIMEOUTS;
    ret->election_timeout_ms = o->election_timeout_ms;
    return o->election_timeout_ms != 0;
}

/* What is in force implicitly is said aloud; where that is not known, the stronger one. */
static bool fill_concern(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)o;
    ret->is_majority = a->view.mongodb.concern != MSG_MONGODB_CONCERN_IMPLICIT_ONE;
    return true;
}

static bool fill_step_down(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    (void)o;
    ret->seconds = STEP_DOWN_S;
    ret->catch_up_s = CATCH_UP_S;
    return true;
}

static bool fill_freeze(const struct agt *a, const order_of *o, words_of *ret)
{
    (void)a;
    ret->seconds = o->phase == MSG_MONGODB_PHASE_FREEZE ? FREEZE_S : 0;
    return true;
}

static const struct msg_mongodb_host *place_of(const struct agt *a, const struct base_name *member)
{
    const struct msg_mongodb_record *r = &a->order.record.mongodb;
    for (uint8_t i = 0; i < r->places_count && i < MSG_MEMBERS_MAX; i++) {
        if (base_name_equal(&r->places[i].member, member)) {
            return &r->places[i].host;
        }
    }
    return NULL;
}

/* A token was spent for it, for exactly this configuration, these survivors, and this member to do
 * it. */
static bool fill_force(const struct agt *a, const order_of *o, words_of *ret)
{
    const struct msg_mongodb_force *f = &a->order.record.mongodb.force;
    bool is_meant = f->done_epoch == o->epoch && f->given_epoch < o->epoch &&
                    base_name_equal(&f->freshest, &a->config.member) &&
                    agt_names_has(&f->survivors, &a->config.member) &&
                    memcmp(&f->config, &o->expected_config, sizeof(f->config)) == 0;
    const struct msg_mongodb_host *own = place_of(a, &a->config.member);
    ret->change = DB_MONGODB_SURVIVORS;
    ret->is_forced = true;
    ret->host = own != NULL ? *own : ret->host;
    ret->votes = o->votes;
    ret->priority_x10 = o->priority_x10;
    for (uint8_t i = 0; is_meant && i < f->survivors.count; i++) {
        const struct msg_mongodb_host *host = place_of(a, &f->survivors.names[i]);
        if (host == NULL || ret->hosts_count == MSG_MONGODB_PEERS_MAX) {
            return false;
        }
        ret->hosts[ret->hosts_count++] = *host;
    }
    return is_meant && ret->hosts_count > 0;
}

/* --- the rows --- */

#define WHO(name) .who = AGT_MONGODB_WHO_##name
#define NEED(name) .need = AGT_MONGODB_NEED_##name
#define ASK(name) .ask = DB_ORDER_MONGODB_##name
#define CHANGE(name, there, words) \
    { \
        .kind = MSG_MONGODB_ORDER_##name, NEED(PRIMARY), ASK(RECONFIG), .limit_us = SECONDS(10), \
        .is_config = true, .is_there = (there), .fill = (words) \
    }
#define PHASE(name) .kind = MSG_MONGODB_ORDER_SWITCHOVER, .phase = MSG_MONGODB_PHASE_##name
#define FREEZING .limit_us = SECONDS(3), .is_reply_enough = true, .fill = fill_freeze
#define STEPPING_DOWN \
    NEED(PRIMARY), ASK(STEP_DOWN), .limit_us = SECONDS(15), .is_failure_final = true, \
                                   .is_there = is_not_writable, .fill = fill_step_down

/* clang-format off */
static const struct agt_mongodb_rule rules[] = {
    {.kind = MSG_MONGODB_ORDER_INITIATE, NEED(ABSENT), ASK(INITIATE), .limit_us = SECONDS(10),
     .is_there = is_initiated, .fill = fill_initiate},
    CHANGE(ADD, is_added, fill_add),
    CHANGE(VOTE, has_vote, fill_member),
    CHANGE(PRIORITY, has_priority, fill_member),
    CHANGE(UNVOTE, has_no_vote, fill_member),
    CHANGE(REMOVE, is_removed, fill_remove),
    CHANGE(TIMEOUTS, has_timeouts, fill_timeouts),
    {PHASE(FREEZE), WHO(OTHERS), NEED(SECONDARY), ASK(FREEZE), FREEZING},
    {PHASE(STEP_DOWN), STEPPING_DOWN},
    {PHASE(STEP_UP), WHO(SUBJECT), NEED(SECONDARY), ASK(STEP_UP), .limit_us = SECONDS(5),
     .is_term_own = true,
     .is_there = is_writable_later, .fill = fill_nothing},
    {PHASE(UNFREEZE), WHO(OTHERS), NEED(ANSWER), ASK(FREEZE), .is_any_term = true, FREEZING},
    {.kind = MSG_MONGODB_ORDER_STEP_DOWN, STEPPING_DOWN},
    {.kind = MSG_MONGODB_ORDER_KILL, NEED(OURS), .is_there = is_killed, .fill = fill_nothing},
    {.kind = MSG_MONGODB_ORDER_RESYNC, NEED(OURS), .is_there = is_syncing, .fill = fill_nothing},
    {.kind = MSG_MONGODB_ORDER_RESTART, NEED(OURS), .is_there = is_restarted,
     .fill = fill_nothing},
    {.kind = MSG_MONGODB_ORDER_CONCERN, NEED(PRIMARY), ASK(CONCERN), .limit_us = SECONDS(10),
     .is_there = has_concern, .fill = fill_concern},
    {.kind = MSG_MONGODB_ORDER_ABORT_CATCHUP, NEED(ANSWER), ASK(ABORT_CATCHUP),
     .limit_us = SECONDS(5), .is_there = is_writable, .fill = fill_nothing},
    {.kind = MSG_MONGODB_ORDER_FORCE, NEED(ANSWER), ASK(RECONFIG), .limit_us = SECONDS(10),
     .is_config = true, .is_once = true, .is_failure_final = true, .is_there = is_forced,
     .fill = fill_force},
};
/* clang-format on */

const char *agt_mongodb_order_text(enum msg_mongodb_order_kind kind)
{
    static const char *const texts[MSG_MONGODB_ORDER_COUNT] = {
        [MSG_MONGODB_ORDER_NONE] = "none",
        [MSG_MONGODB_ORDER_INITIATE] = "initiate the set",
        [MSG_MONGODB_ORDER_ADD] = "add a member",
        [MSG_MONGODB_ORDER_VOTE] = "give a member its vote",
        [MSG_MONGODB_ORDER_PRIORITY] = "set a member's priority",
        [MSG_MONGODB_ORDER_UNVOTE] = "take a member's vote away",
        [MSG_MONGODB_ORDER_REMOVE] = "remove a member",
        [MSG_MONGODB_ORDER_SWITCHOVER] = "switchover",
        [MSG_MONGODB_ORDER_STEP_DOWN] = "step down",
        [MSG_MONGODB_ORDER_KILL] = "end a primary that does not write",
        [MSG_MONGODB_ORDER_RESYNC] = "sync anew",
        [MSG_MONGODB_ORDER_RESTART] = "restart",
        [MSG_MONGODB_ORDER_CONCERN] = "set the default write concern",
        [MSG_MONGODB_ORDER_ABORT_CATCHUP] = "end the primary's catching up",
        [MSG_MONGODB_ORDER_FORCE] = "forced reconfiguration",
        [MSG_MONGODB_ORDER_TIMEOUTS] = "set the election timeout",
    };
    return (int)kind >= 0 && kind < MSG_MONGODB_ORDER_COUNT ? texts[kind] : "?";
}

const struct agt_mongodb_rule *agt_mongodb_rule(enum msg_mongodb_order_kind kind, uint8_t phase)
{
    for (size_t i = 0; i < BASE_COUNT_OF(rules); i++) {
        if (rules[i].kind == kind && (uint8_t)rules[i].phase == phase) {
            return &rules[i];
        }
    }
    return NULL;
}

bool agt_mongodb_is_asked(const struct agt *a, const struct agt_mongodb_rule *rule,
                          const struct msg_mongodb_order *o)
{
    const struct base_name *me = &a->config.member;
    bool is_member = base_name_equal(&o->member, me);
    bool is_subject = base_name_equal(&o->subject, me);
    switch (rule->who) {
    case AGT_MONGODB_WHO_MEMBER:
        return is_member;
    case AGT_MONGODB_WHO_SUBJECT:
        return is_subject;
    case AGT_MONGODB_WHO_OTHERS:
        return !is_member && !is_subject;
    }
    BASE_UNREACHABLE();
}
