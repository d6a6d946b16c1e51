/* SPDX-License-Identifier: Apache-2.0 */
/* Replica sets: arithmetic, what may be ordered, who may become primary, repairs, records. The
 * merge of opinions is mongodb_merge.c, layouts are mongodb_plan.c, force is mongodb_force.c.
 */
#include "arbiter/core/mongodb_rules.h"

#include "arbiter/core/names.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* --- arithmetic --- */

struct mdb_layout mdb_layout_of(const struct msg_mongodb_peer *peers, uint8_t count)
{
    struct mdb_layout l = {.voters = 0};
    for (uint8_t i = 0; i < count; i++) {
        const struct msg_mongodb_peer *p = &peers[i];
        if (p->votes == 0 || p->is_newly_added) {
            continue;
        }
        l.voters++;
        l.arbiters = (uint8_t)(l.arbiters + p->is_arbiter);
        l.data = (uint8_t)(l.data + !p->is_arbiter);
    }
    return l;
}

uint8_t mdb_majority(uint8_t voters)
{
    return (uint8_t)(voters / 2 + 1);
}

uint8_t mdb_write_majority(const struct mdb_layout *layout)
{
    uint8_t majority = mdb_majority(layout->voters);
    return majority < layout->data ? majority : layout->data;
}

bool mdb_is_implicit_one(const struct mdb_layout *layout)
{
    return layout->arbiters > 0 && layout->data <= mdb_majority(layout->voters);
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int mdb_version_compare(const struct msg_mongodb_version *a, const struct msg_mongodb_version *b)
{
    bool is_by_term = a->term != 0 && b->term != 0 && a->term != b->term;
    return is_by_term ? compare(a->term, b->term) : compare(a->version, b->version);
}

int mdb_optime_compare(const struct msg_mongodb_optime *a, const struct msg_mongodb_optime *b)
{
    return a->term != b->term ? compare(a->term, b->term) : compare(a->ts, b->ts);
}

bool mdb_host_equal(const struct msg_mongodb_host *a, const struct msg_mongodb_host *b)
{
    return strcmp(a->text, b->text) == 0;
}

/* --- may anything be ordered --- */

enum arb_refusal mdb_may_order(const struct mdb_set *set, const struct mdb_opinion *opinions,
                               uint8_t *ret_at)
{
    *ret_at = set->primary;
    if (!set->has_config) {
        return ARB_REFUSE_NO_CONFIG;
    }
    if (set->primary == MDB_NOBODY || set->rival != MDB_NOBODY) {
        return ARB_REFUSE_NO_SET_PRIMARY;
    }
    const struct mdb_peer *primary = &set->peers[set->primary];
    if (!primary->is_own || primary->at == MDB_NOBODY) {
        return ARB_REFUSE_OLD_EVIDENCE;
    }
    if (CANARY(MONGODB_ACT_IN_MINORITY)) {
        return ARB_REFUSE_NONE;
    }
    const struct msg_mongodb_report *said = opinions[primary->at].report;
    if (set->alive < set->majority || said->live_voters < set->majority) {
        return ARB_REFUSE_NO_SET_PRIMARY;
    }
    return set->layout.voters > 1 && set->seconded == 0 ? ARB_REFUSE_ONE_OPINION : ARB_REFUSE_NONE;
}

/* --- moving the primary --- */

enum arb_refusal mdb_target_check(const struct mdb_set *set, uint8_t at, uint32_t healthy_ms)
{
    const struct mdb_peer *p = &set->peers[at];
    if (p->peer.is_arbiter) {
        return ARB_REFUSE_IS_ARBITER;
    }
    if (at == set->primary) {
        return ARB_REFUSE_IS_HOLDER;
    }
    if (p->peer.votes == 0 || p->peer.priority_x10 == 0 || p->peer.is_hidden ||
        p->peer.is_newly_added) {
        return ARB_REFUSE_NO_VOTES;
    }
    if (!p->is_own || p->state != MSG_MONGODB_SECONDARY) {
        return ARB_REFUSE_NOT_SECONDARY;
    }
    if (p->lag_ms > MDB_SWITCHOVER_LAG_MS) {
        return ARB_REFUSE_LAGGING;
    }
    if (set->alive < set->layout.voters && set->alive <= set->majority) {
        return ARB_REFUSE_THIN;
    }
    bool is_asked = healthy_ms == UINT32_MAX;
    if (!is_asked && set->alive < set->layout.voters) {
        return ARB_REFUSE_THIN;
    }
    for (uint8_t i = 0; !is_asked && i < set->peers_count; i++) {
        if (set->peers[i].state == MSG_MONGODB_SYNCING) {
            return ARB_REFUSE_JOINING; /* it reads from somebody: nothing moves without need */
        }
    }
    return healthy_ms < 300000u ? ARB_REFUSE_TOO_YOUNG : ARB_REFUSE_NONE;
}

/* --- two data members and an arbiter --- */

enum arb_refusal mdb_degrade_check(const struct mdb_set *set, uint8_t at, uint32_t silent_ms)
{
    const struct mdb_peer *p = &set->peers[at];
    bool is_psa = set->layout.voters == 3 && set->layout.arbiters == 1 && set->layout.data == 2;
    if (!is_psa || p->peer.is_arbiter || p->peer.votes == 0 || at == set->primary) {
        return ARB_REFUSE_STILL_NEEDED;
    }
    if (!p->is_dead_to_primary || p->dead_ms < MDB_DEAD_MS) {
        return ARB_REFUSE_ONE_OPINION;
    }
    if (!CANARY(MONGODB_DEGRADE_ON_ONE_OPINION) && (p->is_alive || silent_ms < MDB_DEAD_MS)) {
        return ARB_REFUSE_ONE_OPINION;
    }
    return ARB_REFUSE_NONE;
}

bool mdb_is_restored(const struct mdb_set *set, uint8_t at, uint16_t priority_x10)
{
    const struct msg_mongodb_peer *p = &set->peers[at].peer;
    return p->votes == 1 && p->priority_x10 == priority_x10;
}

enum msg_mongodb_order_kind mdb_restore_step(const struct mdb_set *set, uint8_t at,
                                             uint32_t back_ms)
{
    const struct mdb_peer *p = &set->peers[at];
    bool is_back =
        p->is_own && p->state == MSG_MONGODB_SECONDARY && p->lag_ms < MDB_CAUGHT_UP_LAG_MS;
    if (!is_back) {
        return MSG_MONGODB_ORDER_NONE;
    }
    if (p->peer.votes == 0) {
        return back_ms >= MDB_BACK_MS ? MSG_MONGODB_ORDER_VOTE : MSG_MONGODB_ORDER_NONE;
    }
    return MSG_MONGODB_ORDER_PRIORITY;
}

/* --- repairs --- */

static bool has_good_copy(const struct mdb_peer *p)
{
    bool is_up = p->state == MSG_MONGODB_SECONDARY || p->state == MSG_MONGODB_PRIMARY;
    return p->is_own && !p->peer.is_arbiter && is_up;
}

uint32_t mdb_sync_expected_s(uint64_t data_bytes)
{
    uint64_t seconds = (data_bytes >> 30) * MDB_SYNC_GIB_S + 30;
    if (data_bytes == 0) {
        return MDB_SYNC_EXPECTED_S;
    }
    seconds = seconds < MDB_SYNC_LEAST_S ? MDB_SYNC_LEAST_S : seconds;
    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

enum arb_refusal mdb_resync_check(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                  uint8_t at, bool is_asked)
{
    const struct mdb_peer *p = &set->peers[at];
    bool has_source = false;
    if (p->peer.is_arbiter) {
        return ARB_REFUSE_IS_ARBITER;
    }
    if (at == set->primary || p->state == MSG_MONGODB_DRAINING) {
        return ARB_REFUSE_IS_HOLDER;
    }
    if (!is_asked && p->state != MSG_MONGODB_STALE) {
        return ARB_REFUSE_NOTHING_PENDING;
    }
    for (uint8_t i = 0; i < set->peers_count; i++) {
        const struct mdb_peer *other = &set->peers[i];
        if (i != at && has_good_copy(other)) {
            uint32_t window_s = opinions[other->at].report->oplog_s;
            uint64_t bytes = opinions[other->at].report->data_bytes;
            bool is_long = window_s / 3 >= mdb_sync_expected_s(bytes);
            has_source = has_source || is_long || is_asked;
        }
        if (i != at && other->state == MSG_MONGODB_SYNCING) {
            return ARB_REFUSE_JOINING; /* one at a time */
        }
    }
    if (!has_source) {
        return ARB_REFUSE_NO_OTHER_COPY;
    }
    /* One that is too stale is needed for its vote alone, and nothing else brings it back: a person
     * may say that the set waits for an election. */
    bool counts = p->peer.votes == 1 && p->is_alive && !p->peer.is_newly_added;
    bool is_given_up = is_asked && p->state == MSG_MONGODB_STALE;
    return counts && set->alive <= set->majority && !is_given_up ? ARB_REFUSE_STILL_NEEDED
                                                                 : ARB_REFUSE_NONE;
}

static bool is_well(const struct mdb_peer *p)
{
    return p->state == MSG_MONGODB_SECONDARY || p->state == MSG_MONGODB_PRIMARY ||
           p->state == MSG_MONGODB_ARBITER;
}

enum arb_refusal mdb_restart_check(const struct mdb_set *set, uint8_t at, uint8_t *ret_at)
{
    *ret_at = at;
    if (at == set->primary) {
        return ARB_REFUSE_IS_HOLDER;
    }
    for (uint8_t i = 0; i < set->peers_count; i++) {
        if (i != at && set->peers[i].peer.votes > 0 && !is_well(&set->peers[i])) {
            *ret_at = i;
            return ARB_REFUSE_NOT_SECONDARY;
        }
    }
    bool counts = set->peers[at].peer.votes == 1 && set->peers[at].is_alive;
    return counts && set->alive <= set->majority ? ARB_REFUSE_STILL_NEEDED : ARB_REFUSE_NONE;
}

bool mdb_is_majority_elsewhere(const struct mdb_set *set, const struct mdb_opinion *opinions,
                               uint8_t at)
{
    uint8_t well = 0;
    bool is_any_electable = false;
    for (uint8_t i = 0; i < set->peers_count; i++) {
        const struct mdb_peer *p = &set->peers[i];
        bool is_counted = p->peer.votes == 1 && !p->peer.is_newly_added;
        if (i == at || !is_counted || !p->is_own) {
            continue;
        }
        bool is_copy = p->state == MSG_MONGODB_SECONDARY && p->lag_ms < MDB_CAUGHT_UP_LAG_MS;
        bool is_healthy = is_copy || p->state == MSG_MONGODB_ARBITER;
        /* An arbiter keeps no users: where its agent cannot log in, it counts by its hello. */
        const struct msg_mongodb_report *r = opinions[p->at].report;
        bool is_connected = r->live_voters >= set->majority || p->peer.is_arbiter;
        well = (uint8_t)(well + (is_healthy && is_connected));
        is_any_electable =
            is_any_electable || (is_copy && is_connected && p->peer.priority_x10 > 0);
    }
    return set->has_config && well >= set->majority && is_any_electable;
}

enum arb_refusal mdb_kill_check(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                uint8_t at, const struct msg_mongodb_policy *policy)
{
    if (policy->gray != MSG_MONGODB_GRAY_KILL && !CANARY(MONGODB_KILL_WITHOUT_OPT_IN)) {
        return ARB_REFUSE_NO_OPT_IN;
    }
    if (!set->peers[at].is_own || opinions[set->peers[at].at].report->is_adopted) {
        return ARB_REFUSE_WATCHED;
    }
    return mdb_is_majority_elsewhere(set, opinions, at) ? ARB_REFUSE_NONE
                                                        : ARB_REFUSE_NO_OTHER_COPY;
}

/* --- records --- */

static bool is_order_good(const struct msg_mongodb_order *o, uint64_t epoch)
{
    if (o->state == MSG_MONGODB_ORDER_IDLE) {
        return o->kind == MSG_MONGODB_ORDER_NONE;
    }
    return o->kind != MSG_MONGODB_ORDER_NONE && o->kind < MSG_MONGODB_ORDER_COUNT &&
           o->epoch <= epoch && o->epoch > 0 && o->phase <= MSG_MONGODB_PHASE_UNFREEZE &&
           !base_name_is_empty(&o->member) &&
           BASE_IMPLIES(o->state == MSG_MONGODB_ORDER_OPEN, o->epoch == epoch) &&
           BASE_IMPLIES(o->phase != MSG_MONGODB_PHASE_ONLY,
                        o->kind == MSG_MONGODB_ORDER_SWITCHOVER);
}

bool mdb_record_check(const struct msg_mongodb_record *r, uint64_t epoch)
{
    bool is_sorted = r->places_count <= MSG_MEMBERS_MAX;
    for (uint8_t i = 1; is_sorted && i < r->places_count; i++) {
        is_sorted = base_name_compare(&r->places[i - 1].member, &r->places[i].member) < 0;
    }
    return is_sorted && is_order_good(&r->order, epoch) && arb_names_check(&r->degraded) &&
           arb_names_check(&r->barred) && arb_names_check(&r->leaving) &&
           arb_names_check(&r->force.survivors) && arb_names_check(&r->force.lost) &&
           r->force.given_epoch <= epoch && r->force.done_epoch <= epoch &&
           r->force.strangers.count <= MSG_MONGODB_PEERS_MAX &&
           r->barred_hosts.count <= MSG_MONGODB_PEERS_MAX &&
           BASE_IMPLIES(r->barred.count + r->barred_hosts.count > 0,
                        r->barred_epoch > 0 && r->barred_epoch <= epoch);
}

static bool is_new_order(const struct msg_mongodb_order *old, const struct msg_mongodb_order *next)
{
    return next->state == MSG_MONGODB_ORDER_OPEN &&
           (old->epoch != next->epoch || old->state != MSG_MONGODB_ORDER_OPEN);
}

/* Only by its token, which is spent with it. */
static bool is_force_lawful(const struct msg_mongodb_record *old, uint64_t old_epoch,
                            const struct msg_mongodb_record *next)
{
    const struct msg_mongodb_force *f = &old->force;
    return (f->token != 0 && f->given_epoch == old_epoch && next->force.token == 0 &&
            next->force.done_epoch == next->order.epoch &&
            mdb_version_compare(&f->config, &next->order.expected_config) == 0) ||
           CANARY(MONGODB_FORCED_TWICE);
}

bool mdb_record_follows(const struct msg_mongodb_record *old, uint64_t old_epoch,
                        const struct msg_mongodb_record *next, uint64_t epoch)
{
    const struct msg_mongodb_order *order = &next->order;
    bool is_new = is_new_order(&old->order, order);
    if (BASE_IMPLIES(old->is_initiated, next->is_initiated) == false ||
        (old->is_initiated && memcmp(old->set_id, (uint8_t[12]){0}, 12) != 0 &&
         memcmp(old->set_id, next->set_id, 12) != 0)) {
        return false;
    }
    if (!is_new) { /* an epoch is an order's */
        bool is_same = order->epoch == old->order.epoch && order->kind == old->order.kind;
        return is_same && next->force.done_epoch == old->force.done_epoch &&
               (epoch == old_epoch || old_epoch == 0);
    }
    if (old->order.state == MSG_MONGODB_ORDER_OPEN || order->epoch != epoch ||
        (epoch == old_epoch && !CANARY(MONGODB_ORDER_WITHOUT_EPOCH))) {
        return false;
    }
    if (order->kind == MSG_MONGODB_ORDER_INITIATE && old->is_initiated &&
        !CANARY(MONGODB_INITIATE_AGAIN)) {
        return false;
    }
    return order->kind == MSG_MONGODB_ORDER_FORCE ? is_force_lawful(old, old_epoch, next)
                                                  : next->force.done_epoch == old->force.done_epoch;
}
