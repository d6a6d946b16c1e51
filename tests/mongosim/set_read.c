/* SPDX-License-Identifier: Apache-2.0 */
/* What clients read: hello, status, configuration, serverStatus, oplog; and the releases. */
#include <string.h>

#include "tests/mongosim/set_inner.h"

/*  release, wire, hello, topologyVersion, config term, newlyAdded, gate, majority, written */
static const struct mset_profile profiles[] = {
    {42, 8, false, false, false, false, false, false, false},
    {44, 9, true, true, true, false, false, false, false},
    {50, 13, true, true, true, true, true, true, false},
    {60, 17, true, true, true, true, true, true, false},
    {70, 21, true, true, true, true, true, true, false},
    {80, 25, true, true, true, true, true, true, true},
};

const struct mset_profile *mset_profile_of(unsigned release)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (profiles[i].release == release) {
            return &profiles[i];
        }
    }
    return NULL;
}

enum mset_reach mset_reach(const struct mset *s, unsigned node)
{
    const struct mset_node *n = &s->nodes[node];
    if (!n->is_up) {
        return MSET_REFUSES;
    }
    return n->is_paused || n->is_hello_hung ? MSET_HANGS : MSET_ANSWERS;
}

bool mset_is_login_refused(const struct mset *s, unsigned node)
{
    return s->nodes[node].is_login_refused;
}

static int64_t wall_of(const struct mset *s, uint32_t entry)
{
    return s->entries[entry].wall_us;
}

static void process_id(const struct mset *s, const struct mset_node *n, uint8_t *ret)
{
    memset(ret, 0, 12);
    ret[0] = (uint8_t)(mset_number(s, n) + 1);
    for (unsigned i = 0; i < 8; i++) {
        ret[4 + i] = (uint8_t)(n->life >> (8 * (7 - i)));
    }
}

void mset_hello(struct mset *s, unsigned node, struct mset_hello *ret)
{
    struct mset_node *n = mset_node_of(s, node);
    const struct mset_member *me = mset_member_of(s, n, node);
    memset(ret, 0, sizeof(*ret));
    ret->is_initiated = mset_is_configured(n);
    ret->is_removed = ret->is_initiated && me == NULL;
    ret->set_name = n->is_name_wrong ? (struct mset_host){"another"} : s->options.name;
    ret->wire_version = s->profile->wire_version;
    ret->wall_us = mset_wall(s);
    if (s->profile->has_topology_version) {
        process_id(s, n, ret->process_id);
        ret->counter = n->counter;
    }
    if (me == NULL) {
        return;
    }
    ret->config = n->disk.config;
    ret->me = n->host;
    ret->is_writable = n->state == MSET_PRIMARY && n->is_writable;
    ret->is_secondary = n->state == MSET_SECONDARY;
    ret->is_arbiter = n->state == MSET_ARBITER;
    ret->is_hidden = me->is_hidden;
    ret->is_passive = !me->is_arbiter && me->priority_x10 == 0;
    if (n->primary >= 0) {
        ret->primary = s->nodes[n->primary].host;
    }
    ret->election_term = ret->is_writable ? n->elected_term : 0;
    ret->last = mset_optime_of(s, n->head);
    ret->majority = mset_optime_of(s, n->committed);
    ret->last_wall_us = wall_of(s, n->head);
    ret->majority_wall_us = wall_of(s, n->committed);
}

/* --- replSetGetStatus --- */

static const char *text_of(const struct mset_node *n)
{
    return n->is_stale ? "could not find member to sync from: we are too stale to catch up"
           : n->state == MSET_STARTUP2 && n->source < 0 ? "could not find member to sync from"
                                                        : "";
}

static void self_status(struct mset *s, const struct mset_node *n, struct mset_member_status *ret)
{
    ret->is_self = ret->is_healthy = true;
    ret->state = n->state;
    ret->heard_us = ret->heard_recv = MSET_NEVER;
    ret->uptime_us = s->now_us - n->started_us;
    ret->applied = mset_optime_of(s, n->head);
    ret->durable = mset_optime_of(s, n->disk.head);
    ret->applied_wall_us = wall_of(s, n->head);
    ret->durable_wall_us = wall_of(s, n->disk.head);
    ret->version = n->disk.config.version;
    ret->sync_source = n->source;
    ret->elected_wall_us = n->state == MSET_PRIMARY ? n->elected_wall_us : 0;
    ret->text = text_of(n);
}

static void peer_status(struct mset *s, const struct mset_peer *p, struct mset_member_status *ret)
{
    ret->is_healthy = p->is_up;
    ret->state = p->state;
    ret->heard_us = p->answered_us < 0 ? MSET_NEVER : p->answered_us;
    ret->heard_recv = p->asked_us < 0 ? MSET_NEVER : p->asked_us;
    ret->ping_ms = p->ping_us / 1000;
    ret->uptime_us = p->is_up ? s->now_us - p->seen_since_us : 0;
    ret->applied = mset_optime_of(s, p->applied);
    ret->durable = mset_optime_of(s, p->durable);
    ret->applied_wall_us = wall_of(s, p->applied);
    ret->durable_wall_us = wall_of(s, p->durable);
    ret->version = p->version;
    ret->sync_source = p->sync_source;
    ret->text = p->text;
}

static void members_status(struct mset *s, const struct mset_node *n, struct mset_status *ret)
{
    const struct mset_config *c = &n->disk.config;
    ret->count = c->count;
    for (unsigned i = 0; i < c->count; i++) {
        struct mset_member_status *m = &ret->members[i];
        int node = mset_node_by_member(s, &c->members[i]);
        m->member = c->members[i];
        m->sync_source = -1;
        m->heard_us = m->heard_recv = MSET_NEVER;
        m->state = MSET_DOWN;
        m->text = "no such host";
        if (node == (int)mset_number(s, n)) {
            self_status(s, n, m);
        } else if (node >= 0) {
            peer_status(s, &n->peers[node], m);
        }
    }
}

void mset_status(struct mset *s, unsigned node, struct mset_status *ret)
{
    static const char *const reasons[] = {[MSET_WHY_TIMEOUT] = "electionTimeout",
                                          [MSET_WHY_PRIORITY] = "priorityTakeover",
                                          [MSET_WHY_STEP_UP] = "stepUpRequest",
                                          [MSET_WHY_HAND_OFF] = "stepUpRequestSkipDryRun",
                                          [MSET_WHY_SINGLE] = "singleNodePromptElection"};
    struct mset_node *n = mset_node_of(s, node);
    struct mset_majorities of;
    memset(ret, 0, sizeof(*ret));
    ret->election_reason = "";
    ret->set_name = s->options.name;
    ret->sync_source = n->source;
    ret->state = n->state;
    if (!mset_is_configured(n) || n->me < 0) {
        ret->code = mset_is_configured(n) ? MSET_E_INVALID_CONFIG : MSET_E_NOT_INITIALIZED;
        return;
    }
    mset_majorities(&n->disk.config, &of);
    ret->term = n->term;
    ret->heartbeat_ms = n->disk.config.heartbeat_ms;
    ret->election_timeout_ms = n->disk.config.election_timeout_ms;
    ret->majority = of.vote;
    ret->write_majority = of.write;
    ret->voters = of.voters;
    ret->writable_voters = of.writable_voters;
    ret->committed = mset_optime_of(s, n->committed);
    ret->applied = mset_optime_of(s, n->head);
    ret->durable = mset_optime_of(s, n->disk.head);
    ret->committed_wall_us = wall_of(s, n->committed);
    if (n->state == MSET_STARTUP2 && n->sync_end_us != MSET_NEVER) {
        int64_t all = n->sync_end_us - n->sync_begun_us;
        int64_t part = (s->now_us - n->sync_begun_us) * 1000 / (all > 0 ? all : 1);
        ret->sync_permille = (uint16_t)(part > 999 ? 999 : part);
    }
    members_status(s, n, ret);
    if (n->state == MSET_PRIMARY) {
        ret->election_reason = reasons[n->why];
        ret->election_wall_us = n->elected_wall_us;
        ret->writable_wall_us = n->writable_wall_us;
    }
}

int mset_config_get(struct mset *s, unsigned node, struct mset_config *ret, bool *ret_committed)
{
    const struct mset_node *n = &s->nodes[node];
    if (!mset_is_configured(n)) {
        return MSET_E_NOT_INITIALIZED;
    }
    if (ret_committed != NULL) {
        if (n->state != MSET_PRIMARY) {
            return MSET_E_NOT_PRIMARY;
        }
        *ret_committed = mset_is_config_committed(s, n) && n->first_of_term != MSET_NONE &&
                         mset_is_under(s, n->committed, n->first_of_term);
    }
    *ret = n->disk.config;
    return MSET_OK;
}

void mset_server_status(struct mset *s, unsigned node, struct mset_server_status *ret)
{
    const struct mset_node *n = &s->nodes[node];
    struct mset_majorities of;
    memset(ret, 0, sizeof(*ret));
    mset_majorities(&n->disk.config, &of);
    ret->uptime_us = s->now_us - n->started_us;
    int64_t stalled = wall_of(s, n->head) - wall_of(s, n->committed);
    int64_t dirty = 10 + (n->state == MSET_PRIMARY ? stalled / MSET_SECOND : 0);
    ret->cache_dirty_permille = (uint16_t)(dirty > 950 ? 950 : dirty);
    ret->rollbacks = n->disk.rollbacks;
    ret->rolled_back = n->disk.rolled_back;
    if (n->not_before_us > s->now_us) {
        ret->frozen_s = (uint32_t)((n->not_before_us - s->now_us) / MSET_SECOND) + 1;
    }
    ret->is_in_catch_up = n->state == MSET_PRIMARY && n->is_catching_up;
    ret->is_draining = n->state == MSET_PRIMARY && !n->is_catching_up && !n->is_writable;
    ret->concern = n->concern;
    ret->concern_in_force = n->concern != 0                    ? n->concern
                            : s->profile->is_majority_implicit ? of.implicit
                                                               : 1;
}

void mset_oplog(struct mset *s, unsigned node, struct mset_oplog *ret)
{
    const struct mset_node *n = &s->nodes[node];
    memset(ret, 0, sizeof(*ret));
    if (n->head == MSET_NONE) {
        return;
    }
    uint32_t first = mset_ancestor(s, n->head, n->disk.first_depth);
    ret->count = s->entries[n->head].depth - s->entries[first].depth + 1;
    ret->first = mset_optime_of(s, first);
    ret->last = mset_optime_of(s, n->head);
    ret->first_wall_us = wall_of(s, first);
    ret->last_wall_us = wall_of(s, n->head);
}
