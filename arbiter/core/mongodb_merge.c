/* SPDX-License-Identifier: Apache-2.0 */
/* One view of a replica set from the opinions of all its members (sections 2.3 and 6.2 of the
 * reference). A member's state comes from its own agent first; what others say of it fills the
 * gaps. Of two that claim to be primary the higher term is the real one.
 */
#include "arbiter/core/mongodb_rules.h"

#include "base/name.h"

#include <string.h>

bool mdb_is_fresh(const struct mdb_opinion *o)
{
    if (o->report == NULL || o->heard_ms > MDB_EVIDENCE_MS) {
        return false;
    }
    return o->report->hello_age_ms <= MDB_EVIDENCE_MS - o->heard_ms;
}

static bool is_status_fresh(const struct mdb_opinion *o)
{
    return mdb_is_fresh(o) && o->report->status_age_ms <= MDB_EVIDENCE_MS - o->heard_ms;
}

/* It says that no process of it runs; that needs no hello. */
static bool says_down(const struct mdb_opinion *o)
{
    return o->report != NULL && o->heard_ms <= MDB_EVIDENCE_MS &&
           (o->report->state == MSG_MONGODB_DOWN || o->report->state == MSG_MONGODB_HELD);
}

bool mdb_says_running(const struct mdb_opinion *o)
{
    bool is_starting = o->report != NULL && o->heard_ms <= MDB_EVIDENCE_MS &&
                       o->report->state == MSG_MONGODB_STARTING;
    return is_starting || (mdb_is_fresh(o) && !says_down(o));
}

static bool is_running(enum msg_mongodb_state s)
{
    return s != MSG_MONGODB_UNKNOWN && s != MSG_MONGODB_ABSENT && s != MSG_MONGODB_DOWN &&
           s != MSG_MONGODB_STARTING && s != MSG_MONGODB_HELD && s != MSG_MONGODB_HUNG;
}

static bool is_in_set(const struct mdb_opinion *o)
{
    return mdb_is_fresh(o) && is_running(o->report->state) && !o->report->is_set_name_wrong;
}

/* MongoDB's number as another member sees it. */
static enum msg_mongodb_state state_of(const struct msg_mongodb_peer *p)
{
    static const uint8_t states[UINT8_MAX + 1] = {
        [0] = MSG_MONGODB_STARTING,   [1] = MSG_MONGODB_DRAINING, [2] = MSG_MONGODB_SECONDARY,
        [3] = MSG_MONGODB_RECOVERING, [5] = MSG_MONGODB_SYNCING,  [6] = MSG_MONGODB_UNKNOWN,
        [7] = MSG_MONGODB_ARBITER,    [8] = MSG_MONGODB_DOWN,     [9] = MSG_MONGODB_ROLLING_BACK,
        [10] = MSG_MONGODB_ABSENT,
    };
    return p->is_healthy ? (enum msg_mongodb_state)states[p->state] : MSG_MONGODB_DOWN;
}

static uint8_t own_opinion(const struct mdb_opinion *opinions, uint8_t count,
                           const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < count; i++) {
        if (opinions[i].report != NULL && mdb_host_equal(&opinions[i].host, host)) {
            return i;
        }
    }
    return MDB_NOBODY;
}

static const struct msg_mongodb_peer *peer_in(const struct msg_mongodb_report *r,
                                              const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < r->peers_count; i++) {
        if (mdb_host_equal(&r->peers[i].host, host)) {
            return &r->peers[i];
        }
    }
    return NULL;
}

/* Newest configuration that a running member of the set has; nobody's else. */
static void take_config(const struct mdb_opinion *opinions, uint8_t count, struct mdb_set *set)
{
    set->reference = MDB_NOBODY;
    for (uint8_t i = 0; i < count; i++) {
        if (!is_in_set(&opinions[i]) || !opinions[i].report->is_config_known ||
            opinions[i].report->peers_count == 0) {
            continue;
        }
        if (set->reference == MDB_NOBODY ||
            mdb_version_compare(&opinions[i].report->config,
                                &opinions[set->reference].report->config) > 0) {
            set->reference = i;
        }
    }
    if (set->reference == MDB_NOBODY) {
        return;
    }
    const struct msg_mongodb_report *r = opinions[set->reference].report;
    set->has_config = true;
    set->config = r->config;
    set->layout = mdb_layout_of(r->peers, r->peers_count);
    set->majority = mdb_majority(set->layout.voters);
    set->peers_count = r->peers_count;
    for (uint8_t i = 0; i < r->peers_count; i++) {
        set->peers[i] = (struct mdb_peer){.peer = r->peers[i],
                                          .at = own_opinion(opinions, count, &r->peers[i].host),
                                          .lag_ms = UINT32_MAX,
                                          .dead_ms = 0};
    }
}

/* What others say of it: healthy to one of them is alive. */
static void take_others(const struct mdb_opinion *opinions, uint8_t count, struct mdb_peer *p)
{
    for (uint8_t i = 0; i < count; i++) {
        const struct msg_mongodb_peer *said =
            i != p->at && is_in_set(&opinions[i]) && is_status_fresh(&opinions[i])
                ? peer_in(opinions[i].report, &p->peer.host)
                : NULL;
        if (said == NULL) {
            continue;
        }
        enum msg_mongodb_state state = state_of(said);
        bool is_better = p->state == MSG_MONGODB_UNKNOWN || p->state == MSG_MONGODB_DOWN;
        if (is_better) {
            p->state = state;
        }
        p->is_alive = p->is_alive || (said->is_healthy && is_running(state));
    }
}

static void take_state(const struct mdb_opinion *opinions, uint8_t count, struct mdb_peer *p)
{
    const struct mdb_opinion *own = p->at == MDB_NOBODY ? NULL : &opinions[p->at];
    if (own != NULL && (mdb_is_fresh(own) || says_down(own))) {
        p->is_own = true;
        p->state = own->report->state;
        p->lag_ms = own->report->lag_ms;
        p->is_alive = is_running(p->state) && !own->report->is_set_name_wrong;
        return;
    }
    take_others(opinions, count, p);
}

static void claim(struct mdb_set *set, const struct mdb_opinion *opinions, uint8_t at)
{
    uint64_t term = opinions[set->peers[at].at].report->term;
    uint8_t best = set->primary;
    if (best == MDB_NOBODY) {
        set->primary = at;
    } else if (term > opinions[set->peers[best].at].report->term) {
        set->rival = best;
        set->primary = at;
    } else {
        set->rival = at;
    }
}

static void take_primary(const struct mdb_opinion *opinions, struct mdb_set *set)
{
    for (uint8_t i = 0; i < set->peers_count; i++) {
        const struct mdb_peer *p = &set->peers[i];
        if (p->is_own && p->is_alive && opinions[p->at].report->is_writable) {
            claim(set, opinions, i);
        }
    }
    set->is_rival_heard =
        set->rival != MDB_NOBODY && opinions[set->peers[set->rival].at].heard_ms <= MDB_CLAIM_MS;
}

static void take_primary_word(const struct mdb_opinion *opinions, uint8_t count,
                              struct mdb_set *set)
{
    if (set->primary == MDB_NOBODY) {
        return;
    }
    const struct mdb_peer *primary = &set->peers[set->primary];
    for (uint8_t i = 0; i < count; i++) {
        bool is_other = i != primary->at && is_in_set(&opinions[i]);
        set->seconded =
            (uint8_t)(set->seconded + (is_other && mdb_host_equal(&opinions[i].report->primary,
                                                                  &primary->peer.host)));
    }
    for (uint8_t i = 0; i < set->peers_count && is_status_fresh(&opinions[primary->at]); i++) {
        const struct msg_mongodb_peer *said =
            peer_in(opinions[primary->at].report, &set->peers[i].peer.host);
        set->peers[i].is_dead_to_primary = said != NULL && !said->is_self && !said->is_healthy;
        set->peers[i].dead_ms = said != NULL ? said->heard_ms : 0;
    }
}

static bool is_well(enum msg_mongodb_state s)
{
    return s == MSG_MONGODB_PRIMARY || s == MSG_MONGODB_SECONDARY || s == MSG_MONGODB_DRAINING ||
           s == MSG_MONGODB_ARBITER;
}

void mdb_merge(const struct mdb_opinion *opinions, uint8_t count, struct mdb_set *ret)
{
    *ret = (struct mdb_set){.primary = MDB_NOBODY, .rival = MDB_NOBODY};
    take_config(opinions, count, ret);
    for (uint8_t i = 0; i < count; i++) {
        if (is_in_set(&opinions[i])) {
            const struct msg_mongodb_report *r = opinions[i].report;
            ret->fresh++;
            ret->term = r->term > ret->term ? r->term : ret->term;
            bool is_reporter = is_status_fresh(&opinions[i]) && r->majority > 0;
            bool is_doubt = is_reporter && r->live_voters < r->majority;
            ret->reporters = (uint8_t)(ret->reporters + is_reporter);
            ret->reporters_in_doubt = (uint8_t)(ret->reporters_in_doubt + is_doubt);
        }
    }
    for (uint8_t i = 0; i < ret->peers_count; i++) {
        struct mdb_peer *p = &ret->peers[i];
        take_state(opinions, count, p);
        bool is_voter = p->peer.votes > 0 && !p->peer.is_newly_added;
        ret->alive = (uint8_t)(ret->alive + (is_voter && p->is_alive));
        ret->is_unwell = ret->is_unwell || (is_voter && p->is_alive && !is_well(p->state));
    }
    take_primary(opinions, ret);
    take_primary_word(opinions, count, ret);
}

uint8_t mdb_find(const struct mdb_set *set, const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; host->text[0] != '\0' && i < set->peers_count; i++) {
        if (mdb_host_equal(&set->peers[i].peer.host, host)) {
            return i;
        }
    }
    return MDB_NOBODY;
}

uint8_t mdb_peer_of(const struct mdb_set *set, uint8_t opinion)
{
    for (uint8_t i = 0; opinion != MDB_NOBODY && i < set->peers_count; i++) {
        if (set->peers[i].at == opinion) {
            return i;
        }
    }
    return MDB_NOBODY;
}

/* --- the whole set --- */

static enum msg_mongodb_set_state state_without_primary(const struct mdb_set *set,
                                                        const struct mdb_context *x)
{
    /* Every one that is heard must say so; whom nobody hears says nothing. */
    if (set->reporters > 0 && set->alive < set->majority &&
        set->reporters_in_doubt == set->reporters) {
        return MSG_MONGODB_SET_NO_QUORUM;
    }
    if (!set->has_config || set->alive < set->majority) {
        return MSG_MONGODB_SET_UNKNOWN;
    }
    uint32_t timeout_ms = x->election_timeout_ms != 0 ? x->election_timeout_ms : 10000u;
    return x->no_primary_ms > timeout_ms + timeout_ms / 2 ? MSG_MONGODB_SET_NO_PRIMARY
                                                          : MSG_MONGODB_SET_DEGRADED;
}

static enum msg_mongodb_set_state state_with_primary(const struct mdb_set *set,
                                                     const struct mdb_context *x)
{
    if (x->commit_age_ms > MDB_STALL_MS) {
        return MSG_MONGODB_SET_COMMIT_STALLED;
    }
    if (x->is_degraded) {
        return MSG_MONGODB_SET_PSA_DEGRADED;
    }
    if (set->alive < set->layout.voters) {
        return set->alive <= set->majority ? MSG_MONGODB_SET_THIN : MSG_MONGODB_SET_DEGRADED;
    }
    if (set->is_unwell) {
        return MSG_MONGODB_SET_DEGRADED;
    }
    return x->is_drifting ? MSG_MONGODB_SET_DRIFT : MSG_MONGODB_SET_HEALTHY;
}

enum msg_mongodb_set_state mdb_set_state(const struct mdb_set *set, const struct mdb_context *x)
{
    if (x->is_paused) {
        return MSG_MONGODB_SET_HOLD;
    }
    if (!x->is_any_heard) {
        return MSG_MONGODB_SET_UNKNOWN;
    }
    if (!x->is_initiated) {
        return x->is_initiating ? MSG_MONGODB_SET_INITIATING : MSG_MONGODB_SET_UNINITIATED;
    }
    if (set->is_rival_heard) {
        return MSG_MONGODB_SET_DUAL_CLAIM;
    }
    return set->primary == MDB_NOBODY ? state_without_primary(set, x) : state_with_primary(set, x);
}
