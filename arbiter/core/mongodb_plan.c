/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts of replica sets: which are lawful, and the one next change that leads to the wanted one
 * (section 6.6 of the reference). One voting member at a time; a data member comes in without a
 * vote, gets its vote when it has caught up, and its priority after that; a member loses its vote
 * before it leaves. A change that would alter the implicit default write concern is preceded by an
 * explicit one.
 */
#include "arbiter/core/mongodb_rules.h"

#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* --- is it lawful? --- */

static size_t machine_length(const struct msg_mongodb_host *host)
{
    size_t len = strlen(host->text);
    for (size_t i = len; i > 0; i--) {
        if (host->text[i - 1] == ':') {
            return i - 1;
        }
    }
    return len;
}

static bool is_loopback(const struct msg_mongodb_host *host)
{
    return strncmp(host->text, "127.", 4) == 0 || strncmp(host->text, "localhost", 9) == 0 ||
           strncmp(host->text, "[::1]", 5) == 0;
}

static bool is_same_machine(const struct msg_mongodb_host *a, const struct msg_mongodb_host *b)
{
    size_t len = machine_length(a);
    return len == machine_length(b) && memcmp(a->text, b->text, len) == 0 && !is_loopback(a);
}

static bool has_data_on(const struct mdb_want *wants, uint8_t count,
                        const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < count; i++) {
        if (!wants[i].is_arbiter && !wants[i].is_leaving && is_same_machine(&wants[i].host, host)) {
            return true;
        }
    }
    return false;
}

enum arb_refusal mdb_layout_check(const struct mdb_want *wants, uint8_t count, uint8_t *ret_at)
{
    uint8_t data = 0;
    uint8_t arbiters = 0;
    bool is_any_electable = false;
    *ret_at = MDB_NOBODY;
    for (uint8_t i = 0; i < count; i++) {
        if (wants[i].is_leaving) {
            continue;
        }
        data = (uint8_t)(data + !wants[i].is_arbiter);
        is_any_electable = is_any_electable || (!wants[i].is_arbiter && wants[i].priority_x10 > 0);
        if (!wants[i].is_arbiter) {
            continue;
        }
        *ret_at = i;
        if (++arbiters > 1) {
            return ARB_REFUSE_LAYOUT_ARBITERS;
        }
        if (has_data_on(wants, count, &wants[i].host)) {
            return ARB_REFUSE_LAYOUT_SAME_HOST;
        }
    }
    if (arbiters == 1 && data == 3) {
        return ARB_REFUSE_LAYOUT_THREE_ONE;
    }
    *ret_at = MDB_NOBODY;
    if (data > 0 && !is_any_electable) {
        return ARB_REFUSE_LAYOUT_NO_PRIMARY;
    }
    if (data + arbiters > MDB_VOTERS_MAX) {
        return ARB_REFUSE_LAYOUT_VOTERS;
    }
    return (data + arbiters) % 2 == 0 ? ARB_REFUSE_LAYOUT_EVEN : ARB_REFUSE_NONE;
}

bool mdb_is_one_zone(const struct mdb_want *wants, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++) {
        if (base_name_is_empty(&wants[i].zone) ||
            !base_name_equal(&wants[i].zone, &wants[0].zone)) {
            return false;
        }
    }
    return count > 1;
}

/* --- the next step --- */

struct planner {
    const struct mdb_set *set;
    enum msg_mongodb_default_concern concern;
    uint16_t wire_version;
    const struct mdb_want *wants;
    uint8_t count;
    uint8_t intended;
    struct mdb_step *step;
};

bool mdb_needs_concern(enum msg_mongodb_default_concern concern, uint16_t wire_version,
                       const struct mdb_layout *before, const struct mdb_layout *after)
{
    bool is_implicit = concern == MSG_MONGODB_CONCERN_IMPLICIT_ONE ||
                       concern == MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY;
    return is_implicit && wire_version >= MDB_WIRE_5_0 &&
           mdb_is_implicit_one(before) != mdb_is_implicit_one(after);
}

/* Takes the step, or the explicit write concern that has to come before it. */
static void take(struct planner *p, enum msg_mongodb_order_kind kind, uint8_t want,
                 struct mdb_layout after)
{
    struct mdb_step *s = p->step;
    bool is_first = mdb_needs_concern(p->concern, p->wire_version, &p->set->layout, &after);
    s->kind = is_first ? MSG_MONGODB_ORDER_CONCERN : kind;
    s->want = is_first ? MDB_NOBODY : want;
    s->why = ARB_REFUSE_NONE;
}

static void refuse(struct planner *p, uint8_t want, enum arb_refusal why)
{
    if (p->step->why == ARB_REFUSE_NONE) {
        p->step->why = why;
        p->step->want = want;
    }
}

/* Somebody is to leave. */
static void plan_leaving(struct planner *p, bool is_thin_allowed)
{
    for (uint8_t i = 0; i < p->count && p->step->kind == MSG_MONGODB_ORDER_NONE; i++) {
        uint8_t at = mdb_find(p->set, &p->wants[i].host);
        if (!p->wants[i].is_leaving || at == MDB_NOBODY) {
            continue;
        }
        const struct msg_mongodb_peer *peer = &p->set->peers[at].peer;
        struct mdb_layout after = p->set->layout;
        bool is_voter = peer->votes > 0 && !peer->is_newly_added;
        if (is_voter) {
            after.voters--;
            after.arbiters = (uint8_t)(after.arbiters - peer->is_arbiter);
            after.data = (uint8_t)(after.data - !peer->is_arbiter);
        }
        if (at == p->set->primary) {
            refuse(p, i, ARB_REFUSE_IS_HOLDER);
        } else if (is_voter && after.voters < 3 && !is_thin_allowed) {
            refuse(p, i, ARB_REFUSE_LAYOUT_TOO_FEW);
        } else {
            bool is_direct = peer->votes == 0 || peer->is_arbiter; /* an arbiter always votes */
            take(p, is_direct ? MSG_MONGODB_ORDER_REMOVE : MSG_MONGODB_ORDER_UNVOTE, i, after);
        }
    }
}

/* How many voters there may be: an even number of wanted ones leaves one out; those who are still
 * to come count as wanted. */
static uint8_t voters_allowed(const struct planner *p)
{
    uint8_t wanted = 0;
    for (uint8_t i = 0; i < p->count; i++) {
        bool is_in = p->wants[i].is_ready || mdb_find(p->set, &p->wants[i].host) != MDB_NOBODY;
        wanted = (uint8_t)(wanted + (is_in && !p->wants[i].is_leaving));
    }
    wanted = p->intended > wanted ? p->intended : wanted;
    wanted = wanted > MDB_VOTERS_MAX ? MDB_VOTERS_MAX : wanted;
    return wanted % 2 == 0 && wanted > 0 ? (uint8_t)(wanted - 1) : wanted;
}

static bool is_caught_up(const struct mdb_peer *peer)
{
    return peer->is_own && peer->state == MSG_MONGODB_SECONDARY &&
           peer->lag_ms < MDB_CAUGHT_UP_LAG_MS;
}

/* A data member of ours in the configuration whose vote is still to come. */
static bool lacks_vote(const struct planner *p, uint8_t i, uint8_t at)
{
    const struct mdb_want *w = &p->wants[i];
    return at != MDB_NOBODY && w->is_ours && !w->is_leaving && !w->is_degraded && !w->is_arbiter &&
           !p->set->peers[at].peer.is_hidden && p->set->peers[at].peer.votes == 0;
}

/* True: somebody is on the way to its vote, others wait. */
static bool plan_votes(struct planner *p)
{
    bool is_any = false;
    bool is_full = p->set->layout.voters >= voters_allowed(p);
    for (uint8_t i = 0; i < p->count && p->step->kind == MSG_MONGODB_ORDER_NONE; i++) {
        uint8_t at = mdb_find(p->set, &p->wants[i].host);
        if (!lacks_vote(p, i, at)) {
            continue;
        }
        if (is_full) {
            refuse(p, i, ARB_REFUSE_LAYOUT_EVEN);
            return is_any;
        }
        is_any = true;
        if (!is_caught_up(&p->set->peers[at])) {
            continue;
        }
        struct mdb_layout after = p->set->layout;
        after.voters++;
        after.data++;
        take(p, MSG_MONGODB_ORDER_VOTE, i, after);
        p->step->votes = 1;
        p->step->priority_x10 =
            CANARY(MONGODB_VOTE_AND_PRIORITY_AT_ONCE) ? p->wants[i].priority_x10 : 0;
    }
    return is_any;
}

/* After a vote; and where somebody has changed it. */
static void plan_priorities(struct planner *p)
{
    for (uint8_t i = 0; i < p->count && p->step->kind == MSG_MONGODB_ORDER_NONE; i++) {
        const struct mdb_want *w = &p->wants[i];
        uint8_t at = mdb_find(p->set, &w->host);
        if (at == MDB_NOBODY || !w->is_ours || w->is_leaving || w->is_degraded || w->is_arbiter) {
            continue;
        }
        const struct mdb_peer *peer = &p->set->peers[at];
        bool is_new = peer->peer.priority_x10 == 0;
        bool is_up = is_caught_up(peer) || at == p->set->primary;
        bool is_wrong = peer->peer.votes == 1 && !peer->peer.is_hidden &&
                        peer->peer.priority_x10 != w->priority_x10;
        bool is_self_made = at == p->set->primary && w->priority_x10 == 0;
        if (!is_wrong || !is_up || is_self_made || (!is_new && w->is_held_back)) {
            continue;
        }
        take(p, MSG_MONGODB_ORDER_PRIORITY, i, p->set->layout);
        p->step->votes = 1;
        p->step->priority_x10 = w->priority_x10;
        p->step->is_drift = !is_new;
    }
}

/* Wanted data members have their votes: then the arbiter comes, with its own. */
static bool are_data_voting(const struct planner *p)
{
    for (uint8_t i = 0; i < p->count; i++) {
        const struct mdb_want *w = &p->wants[i];
        uint8_t at = mdb_find(p->set, &w->host);
        bool is_counted = !w->is_arbiter && !w->is_leaving && (w->is_ready || at != MDB_NOBODY);
        if (is_counted && (at == MDB_NOBODY || p->set->peers[at].peer.votes == 0)) {
            return false;
        }
    }
    return true;
}

static void plan_newcomers(struct planner *p)
{
    uint8_t culprit = MDB_NOBODY;
    enum arb_refusal layout = mdb_layout_check(p->wants, p->count, &culprit);
    for (uint8_t i = 0; i < p->count && p->step->kind == MSG_MONGODB_ORDER_NONE; i++) {
        const struct mdb_want *w = &p->wants[i];
        if (!w->is_ready || w->is_leaving || mdb_find(p->set, &w->host) != MDB_NOBODY) {
            continue;
        }
        if (p->set->peers_count >= MSG_MONGODB_PEERS_MAX) {
            refuse(p, i, ARB_REFUSE_NO_ROOM);
        } else if (!w->is_arbiter) {
            take(p, MSG_MONGODB_ORDER_ADD, i, p->set->layout);
        } else if (layout != ARB_REFUSE_NONE) {
            refuse(p, i, layout);
        } else if (are_data_voting(p)) { /* the write concern is explicit by then: plan_concern */
            take(p, MSG_MONGODB_ORDER_ADD, i, p->set->layout);
            p->step->votes = 1;
        }
    }
}

/* With an arbiter, what is left after a forced reconfiguration may change the implicit default, and
 * without a primary nobody could set another one: it is made explicit while there is one. */
static void plan_concern(struct planner *p)
{
    bool is_implicit = p->concern == MSG_MONGODB_CONCERN_IMPLICIT_ONE ||
                       p->concern == MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY;
    for (uint8_t i = 0; is_implicit && p->wire_version >= MDB_WIRE_5_0 && i < p->count; i++) {
        const struct mdb_want *w = &p->wants[i];
        if (w->is_arbiter && w->is_ours && !w->is_leaving) {
            p->step->kind = MSG_MONGODB_ORDER_CONCERN;
            p->step->want = MDB_NOBODY;
            return;
        }
    }
}

void mdb_next_step(const struct mdb_set *set, enum msg_mongodb_default_concern concern,
                   uint16_t wire_version, const struct mdb_want *wants, uint8_t count,
                   uint8_t intended, bool is_thin_allowed, struct mdb_step *ret)
{
    struct planner p = {.set = set,
                        .concern = concern,
                        .wire_version = wire_version,
                        .wants = wants,
                        .count = count,
                        .intended = intended,
                        .step = ret};
    *ret = (struct mdb_step){.want = MDB_NOBODY};
    plan_concern(&p);
    if (ret->kind == MSG_MONGODB_ORDER_NONE) {
        plan_leaving(&p, is_thin_allowed);
    }
    bool is_one_coming = ret->kind == MSG_MONGODB_ORDER_NONE && plan_votes(&p);
    if (ret->kind == MSG_MONGODB_ORDER_NONE) {
        plan_priorities(&p);
    }
    if (ret->kind == MSG_MONGODB_ORDER_NONE && !is_one_coming) {
        plan_newcomers(&p);
    }
}
