/* SPDX-License-Identifier: Apache-2.0 */
/* The one forced reconfiguration (section 5.4 of the reference): what it would be, and whether a
 * token may be used for it.
 *
 * It never happens by itself. Survivors are all members of the configuration that are alive by
 * their own agents; everybody else must be fenced: its own agent says that no mongod runs, or a
 * person says that it is destroyed. So two sets of survivors of one split are never both given: who
 * is not among the survivors is fenced, and barred from the entry on, and the barred survive
 * nothing.
 */
#include "arbiter/core/mongodb_rules.h"

#include "arbiter/core/names.h"
#include "base/canary.h"
#include "base/name.h"

const struct base_name *mdb_name_of(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                    const struct msg_mongodb_record *record, uint8_t at)
{
    const struct mdb_peer *p = &set->peers[at];
    if (p->at != MDB_NOBODY) {
        return opinions[p->at].member;
    }
    for (uint8_t i = 0; i < record->places_count; i++) {
        if (mdb_host_equal(&record->places[i].host, &p->peer.host)) {
            return &record->places[i].member;
        }
    }
    return NULL;
}

bool mdb_hosts_has(const struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < hosts->count; i++) {
        if (mdb_host_equal(&hosts->list[i], host)) {
            return true;
        }
    }
    return false;
}

int mdb_hosts_add(struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host)
{
    if (mdb_hosts_has(hosts, host)) {
        return 0;
    }
    if (hosts->count == MSG_MONGODB_PEERS_MAX) {
        return BASE_E_TOOBIG;
    }
    hosts->list[hosts->count++] = *host;
    return 0;
}

void mdb_hosts_remove(struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < hosts->count; i++) {
        if (mdb_host_equal(&hosts->list[i], host)) {
            hosts->list[i] = hosts->list[--hosts->count];
            hosts->list[hosts->count] = (struct msg_mongodb_host){{0}};
            return;
        }
    }
}

static bool is_survivor(const struct mdb_peer *p)
{
    return p->is_own && p->is_alive;
}

/* Has a copy that can go on by itself. */
static bool has_copy(const struct mdb_peer *p)
{
    return is_survivor(p) && !p->peer.is_arbiter && p->state != MSG_MONGODB_SYNCING &&
           p->state != MSG_MONGODB_ROLLING_BACK;
}

/* By its own agent's word that no mongod runs, or by a person's. One that does not answer, or is
 * starting, runs. */
static bool is_fenced(const struct mdb_peer *p, bool is_named)
{
    bool is_down = p->is_own && (p->state == MSG_MONGODB_DOWN || p->state == MSG_MONGODB_HELD);
    return is_down || is_named || (p->is_own && CANARY(MONGODB_HUNG_IS_FENCED));
}

/* A host that no agent has: dead to all who are heard, and a person's word that it stays so. */
static enum arb_refusal leave_out_host(const struct mdb_peer *p,
                                       const struct mdb_destroyed *destroyed,
                                       struct mdb_force_plan *ret)
{
    bool is_named =
        mdb_hosts_has(&destroyed->hosts, &p->peer.host) || CANARY(MONGODB_HOST_LEFT_OUT);
    if (p->is_alive || !is_named) {
        return ARB_REFUSE_NOT_FENCED;
    }
    return mdb_hosts_add(&ret->force.strangers, &p->peer.host) == 0 ? ARB_REFUSE_NONE
                                                                    : ARB_REFUSE_NO_ROOM;
}

static enum arb_refusal sort_out(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                 const struct msg_mongodb_record *record,
                                 const struct mdb_destroyed *destroyed, struct mdb_force_plan *ret)
{
    for (uint8_t i = 0; i < set->peers_count; i++) {
        const struct mdb_peer *p = &set->peers[i];
        const struct base_name *name = mdb_name_of(set, opinions, record, i);
        ret->where = p->peer.host;
        ret->who = name == NULL ? (struct base_name){{0}} : *name;
        if (name == NULL) {
            enum arb_refusal why = leave_out_host(p, destroyed, ret);
            if (why != ARB_REFUSE_NONE) {
                return why;
            }
            continue;
        }
        bool is_named = arb_names_has(&destroyed->names, name) ||
                        mdb_hosts_has(&destroyed->hosts, &p->peer.host);
        if (is_survivor(p) && arb_names_has(&record->barred, name)) {
            return ARB_REFUSE_BARRED;
        }
        /* Alive by others' word alone, or by its own though a person says otherwise. */
        if (p->is_alive ? (!p->is_own || is_named) : !is_fenced(p, is_named)) {
            return ARB_REFUSE_NOT_FENCED;
        }
        if (arb_names_add(is_survivor(p) ? &ret->force.survivors : &ret->force.lost, name) != 0) {
            return ARB_REFUSE_NO_ROOM;
        }
    }
    return ARB_REFUSE_NONE;
}

static enum arb_refusal choose_freshest(const struct mdb_set *set,
                                        const struct mdb_opinion *opinions, uint8_t count,
                                        struct mdb_force_plan *ret)
{
    for (uint8_t i = 0; i < set->peers_count; i++) {
        const struct mdb_peer *p = &set->peers[i];
        if (!has_copy(p)) {
            continue;
        }
        const struct mdb_opinion *o = &opinions[p->at];
        ret->who = *o->member;
        if (o->report->applied.ts == 0) {
            return ARB_REFUSE_NO_POSITION;
        }
        int order = mdb_optime_compare(&o->report->applied, &ret->has);
        bool is_first = base_name_is_empty(&ret->force.freshest);
        if (is_first || order > 0 ||
            (order == 0 && base_name_compare(o->member, &ret->force.freshest) < 0)) {
            ret->has = o->report->applied;
            ret->force.freshest = *o->member;
        }
    }
    for (uint8_t i = 0; i < count; i++) { /* also what the lost ones said last */
        if (opinions[i].report != NULL &&
            mdb_optime_compare(&opinions[i].report->committed, &ret->known) > 0) {
            ret->known = opinions[i].report->committed;
        }
    }
    return base_name_is_empty(&ret->force.freshest) ? ARB_REFUSE_NO_OTHER_COPY : ARB_REFUSE_NONE;
}

enum arb_refusal mdb_force_plan(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                uint8_t count, const struct msg_mongodb_record *record,
                                const struct mdb_destroyed *destroyed, struct mdb_force_plan *ret)
{
    *ret = (struct mdb_force_plan){.force = {.config = set->config}};
    if (!set->has_config) {
        return ARB_REFUSE_NO_CONFIG;
    }
    if (set->alive >= set->majority || set->primary != MDB_NOBODY) {
        return ARB_REFUSE_HAS_MAJORITY;
    }
    enum arb_refusal why = sort_out(set, opinions, record, destroyed, ret);
    return why != ARB_REFUSE_NONE ? why : choose_freshest(set, opinions, count, ret);
}

static bool is_same_hosts(const struct msg_mongodb_hosts *a, const struct msg_mongodb_hosts *b)
{
    bool is_same = a->count == b->count;
    for (uint8_t i = 0; is_same && i < a->count; i++) {
        is_same = mdb_hosts_has(b, &a->list[i]);
    }
    return is_same;
}

enum arb_refusal mdb_token_check(const struct msg_mongodb_force *given, uint64_t token,
                                 uint64_t epoch, const struct msg_mongodb_force *now)
{
    if (CANARY(MONGODB_FORCED_TWICE) && token != 0 && given->token == token) {
        return ARB_REFUSE_NONE;
    }
    bool is_good = token != 0 && given->token == token && given->given_epoch == epoch &&
                   given->config.term == now->config.term &&
                   given->config.version == now->config.version &&
                   arb_names_equal(&given->survivors, &now->survivors) &&
                   arb_names_equal(&given->lost, &now->lost) &&
                   is_same_hosts(&given->strangers, &now->strangers) &&
                   base_name_equal(&given->freshest, &now->freshest);
    return is_good ? ARB_REFUSE_NONE : ARB_REFUSE_TOKEN_VOID;
}
