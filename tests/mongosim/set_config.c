/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: their order, the formulas of the manual, what may be changed, and installing. */
#include <string.h>

#include "tests/mongosim/set_inner.h"

/* --- order and formulas --- */

/* A forced one, and those before 4.4, have no term: then versions alone count. */
int mset_version_order(const struct mset_version *a, const struct mset_version *b)
{
    if (a->term != 0 && b->term != 0 && a->term != b->term) {
        return a->term < b->term ? -1 : 1;
    }
    return a->version < b->version ? -1 : a->version > b->version;
}

unsigned mset_votes(const struct mset_member *m)
{
    return m->is_newly_added ? 0 : m->votes;
}

unsigned mset_priority_x10(const struct mset_member *m)
{
    return m->is_newly_added || m->is_arbiter ? 0 : m->priority_x10;
}

bool mset_is_data(const struct mset_member *m)
{
    return !m->is_arbiter;
}

void mset_majorities(const struct mset_config *config, struct mset_majorities *ret)
{
    bool has_arbiter = false;
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < config->count; i++) {
        const struct mset_member *m = &config->members[i];
        ret->voters = (uint8_t)(ret->voters + mset_votes(m));
        ret->writable_voters =
            (uint8_t)(ret->writable_voters + (mset_is_data(m) ? mset_votes(m) : 0));
        has_arbiter |= m->is_arbiter;
    }
    ret->vote = (uint8_t)(ret->voters / 2 + 1);
    ret->write = ret->vote < ret->writable_voters ? ret->vote : ret->writable_voters;
    ret->implicit = has_arbiter && ret->writable_voters <= ret->vote ? 1 : MSET_W_MAJORITY;
}

/* --- who is who --- */

bool mset_is_configured(const struct mset_node *n)
{
    return n->disk.config.version.version != 0;
}

const struct mset_member *mset_member_of(const struct mset *s, const struct mset_node *n,
                                         unsigned node)
{
    (void)s;
    return n->places[node] < 0 ? NULL : &n->disk.config.members[n->places[node]];
}

void mset_places_find(const struct mset *s, struct mset_node *n)
{
    const struct mset_config *c = &n->disk.config;
    memset(n->places, -1, sizeof(n->places));
    for (unsigned i = 0; i < c->count; i++) {
        int node = mset_by_host(s, c->members[i].host.text);
        if (node >= 0) {
            n->places[node] = (int8_t)i;
        }
    }
}

int mset_node_by_member(const struct mset *s, const struct mset_member *m)
{
    return mset_by_host(s, m->host.text);
}

/* --- installing --- */

static void peers_renew(struct mset *s, struct mset_node *n, const int8_t *before)
{
    for (unsigned i = 0; i < s->options.nodes; i++) {
        bool is_new = n->places[i] >= 0 && before[i] < 0;
        if (is_new) {
            n->peers[i].alive_us = n->peers[i].due_us = s->now_us;
        }
    }
}

static void take_place(struct mset *s, struct mset_node *n, const struct mset_member *me)
{
    bool is_new = n->state == MSET_STARTUP || n->state == MSET_REMOVED;
    if (is_new) {
        bool is_empty = n->disk.head == MSET_NONE && !me->is_arbiter;
        n->disk.is_sync_needed |= is_empty;
        n->ready_us = s->now_us + (me->is_arbiter ? 0 : mset_draw(s, 100 * MSET_MS, 400 * MSET_MS));
    } else if (n->state == MSET_PRIMARY && mset_priority_x10(me) == 0) {
        mset_step_down(s, n, MSET_WHY_FORCED_CONFIG);
    } else if (n->state == MSET_SECONDARY) {
        mset_election_reset(s, n);
    }
}

void mset_config_install(struct mset *s, struct mset_node *n, const struct mset_config *config)
{
    int8_t before[MSET_NODES_MAX];
    memcpy(before, n->places, sizeof(before));
    n->committed_before = n->state == MSET_PRIMARY ? n->committed : MSET_NONE;
    n->disk.config = *config;
    mset_places_find(s, n);
    n->takeover_us = MSET_NEVER;
    n->counter++;
    mset_tell(s, n, MSET_EV_CONFIG, config->version.term, config->version.version);
    peers_renew(s, n, before);
    const struct mset_member *me = mset_member_of(s, n, mset_number(s, n));
    n->me = me == NULL ? -1 : (int)(me - n->disk.config.members);
    if (me != NULL) {
        take_place(s, n, me);
        return;
    }
    if (n->state == MSET_PRIMARY) {
        mset_step_down(s, n, MSET_WHY_FORCED_CONFIG);
    }
    n->ready_us = n->election_us = MSET_NEVER;
    n->primary = n->source = -1;
    mset_state_set(s, n, MSET_REMOVED);
}

static bool is_same_version(const struct mset_version *a, const struct mset_version *b)
{
    return a->term == b->term && a->version == b->version;
}

/* A majority of the voters has it, and of those who carry data a majority what was committed under
 * the one before it: a change that is not forced waits for both, so that whoever wins by the next
 * one has them. */
bool mset_is_config_committed(const struct mset *s, const struct mset_node *n)
{
    struct mset_majorities of;
    unsigned have = 0;
    mset_majorities(&n->disk.config, &of);
    bool are_writes_kept =
        n->committed_before == MSET_NONE || mset_have(s, n, n->committed_before) >= of.write;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        bool has = m != NULL && (i == mset_number(s, n) ||
                                 is_same_version(&n->peers[i].version, &n->disk.config.version));
        have += has ? mset_votes(m) : 0;
    }
    return !s->profile->has_config_term || (have >= of.vote && are_writes_kept);
}

/* A member that has caught up counts from now on: a change of its own. */
void mset_newly_added_look(struct mset *s, struct mset_node *n)
{
    if (!n->is_writable || n->is_stuck || n->is_full || n->is_reconfig_busy ||
        !mset_is_config_committed(s, n)) {
        return;
    }
    for (unsigned i = 0; i < n->disk.config.count; i++) {
        int node = mset_node_by_member(s, &n->disk.config.members[i]);
        bool is_ready = n->disk.config.members[i].is_newly_added && node >= 0 &&
                        n->peers[node].is_up && n->peers[node].state == MSET_SECONDARY;
        if (is_ready) {
            struct mset_config next = n->disk.config;
            next.members[i].is_newly_added = false;
            next.version.version++;
            next.version.term = n->term;
            mset_config_install(s, n, &next);
            mset_beat_all(s, n);
            return;
        }
    }
}

void mset_config_bump_term(struct mset *s, struct mset_node *n)
{
    if (s->profile->has_config_term && n->disk.config.version.term != n->term) {
        if (n->disk.config.version.term == 0) {
            n->disk.config.version
                .version++; /* else those who have it would not see that it moved */
        }
        n->disk.config.version.term = n->term;
        n->counter++;
        mset_tell(s, n, MSET_EV_CONFIG, n->term, n->disk.config.version.version);
        mset_beat_all(s, n);
    }
}

/* --- what may be changed --- */

struct verdict {
    int code;
    const char *text;
};
#define FINE ((struct verdict){MSET_OK, ""})

static struct verdict is_member_valid(const struct mset_member *m)
{
    if (m->votes > 1 || m->priority_x10 > 10000) {
        return (struct verdict){MSET_E_INVALID_CONFIG, "votes must be 0 or 1, priority 0 to 1000"};
    }
    if (m->votes == 0 && m->priority_x10 > 0) {
        return (struct verdict){MSET_E_INVALID_CONFIG,
                                "priority must be 0 when non-voting (votes:0)"};
    }
    if (m->is_arbiter && (m->votes == 0 || m->priority_x10 > 10)) {
        return (struct verdict){MSET_E_INVALID_CONFIG,
                                "Arbiter must vote and cannot have priority"};
    }
    return FINE;
}

static struct verdict check_alone(const struct mset *s, const struct mset_config *c)
{
    bool has_electable = false;
    if (c->count == 0 || c->count > MSET_MEMBERS_MAX) {
        return (struct verdict){MSET_E_INVALID_CONFIG, "between 1 and 7 voting members"};
    }
    for (unsigned i = 0; i < c->count; i++) {
        struct verdict v = is_member_valid(&c->members[i]);
        if (v.code != 0) {
            return v;
        }
        has_electable |= c->members[i].priority_x10 > 0 && !c->members[i].is_arbiter;
        for (unsigned j = 0; j < i; j++) {
            if (c->members[i].id == c->members[j].id ||
                strcmp(c->members[i].host.text, c->members[j].host.text) == 0) {
                return (struct verdict){MSET_E_INVALID_CONFIG, "two members with one _id or host"};
            }
        }
    }
    if (strcmp(c->set_name.text, s->options.name.text) != 0) {
        return (struct verdict){MSET_E_INVALID_CONFIG, "another replica set name"};
    }
    return has_electable ? FINE
                         : (struct verdict){MSET_E_INVALID_CONFIG, "at least one electable member"};
}

static const struct mset_member *by_id(const struct mset_config *c, uint32_t id)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->members[i].id == id) {
            return &c->members[i];
        }
    }
    return NULL;
}

static struct verdict check_members(const struct mset_config *from, const struct mset_config *to,
                                    unsigned *ret_changes)
{
    *ret_changes = 0;
    for (unsigned i = 0; i < to->count; i++) {
        const struct mset_member *m = &to->members[i], *was = by_id(from, m->id);
        for (unsigned j = 0; j < from->count; j++) {
            const struct mset_member *o = &from->members[j];
            if (strcmp(o->host.text, m->host.text) == 0 && o->id != m->id) {
                return (struct verdict){MSET_E_CONFIG_INCOMPATIBLE, "a host with another _id"};
            }
        }
        if (was != NULL && was->is_arbiter != m->is_arbiter) {
            return (struct verdict){MSET_E_CONFIG_INCOMPATIBLE, "arbiterOnly cannot change"};
        }
        *ret_changes += (was != NULL && was->votes != 0) != (m->votes != 0);
    }
    for (unsigned i = 0; i < from->count; i++) {
        const struct mset_member *m = &from->members[i];
        *ret_changes += m->votes != 0 && by_id(to, m->id) == NULL;
    }
    return FINE;
}

static struct verdict check_gate(const struct mset *s, const struct mset_node *n,
                                 const struct mset_config *to)
{
    struct mset_majorities before, after;
    mset_majorities(&n->disk.config, &before);
    mset_majorities(to, &after);
    bool is_refused =
        s->profile->has_concern_gate && n->concern == 0 && before.implicit != after.implicit;
    return is_refused ? (struct verdict){MSET_E_CONFIG_INCOMPATIBLE,
                                         "would change the implicit default write concern; set a "
                                         "cluster-wide write concern with setDefaultRWConcern"}
                      : FINE;
}

static struct verdict check_safe(const struct mset *s, const struct mset_node *n,
                                 const struct mset_command *c, const struct mset_member *me,
                                 unsigned changes)
{
    if (c->config.version.version <= n->disk.config.version.version) {
        return (struct verdict){MSET_E_CONFIG_INCOMPATIBLE,
                                "version must be greater than the current one's"};
    }
    if (me->priority_x10 == 0 || me->is_arbiter) {
        return (struct verdict){MSET_E_NOT_ELECTABLE, "this node is not electable in it"};
    }
    if (!s->profile->has_config_term) {
        return FINE;
    }
    if (changes > 1) {
        return (struct verdict){MSET_E_CONFIG_INCOMPATIBLE,
                                "adds and removes at most one voting member at a time"};
    }
    bool is_committed = mset_is_config_committed(s, n) && n->first_of_term != MSET_NONE &&
                        mset_is_under(s, n->committed, n->first_of_term);
    return is_committed ? FINE
                        : (struct verdict){MSET_E_CONFIG_NOT_COMMITTED,
                                           "the current configuration is not committed yet"};
}

static const struct mset_member *self_of(const struct mset_node *n, const struct mset_config *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (strcmp(c->members[i].host.text, n->host.text) == 0) {
            return &c->members[i];
        }
    }
    return NULL;
}

static struct verdict check_change(const struct mset *s, const struct mset_node *n,
                                   const struct mset_command *c)
{
    unsigned changes = 0;
    if (!mset_is_configured(n)) {
        return (struct verdict){MSET_E_NOT_INITIALIZED, "no replica set config has been received"};
    }
    if (!c->is_forced && !n->is_writable) {
        return (struct verdict){MSET_E_NOT_PRIMARY,
                                "replSetReconfig should only be run on primary"};
    }
    if (n->is_reconfig_busy) {
        return (struct verdict){MSET_E_CONFIG_IN_PROGRESS, "another reconfiguration is under way"};
    }
    struct verdict v = check_alone(s, &c->config);
    const struct mset_member *me = self_of(n, &c->config);
    if (v.code == 0 && me == NULL) {
        v = (struct verdict){MSET_E_NODE_NOT_FOUND, "no host of it is this node"};
    }
    if (v.code == 0) {
        v = check_members(&n->disk.config, &c->config, &changes);
    }
    if (v.code == 0) {
        v = check_gate(s, n, &c->config);
    }
    return v.code != 0 || c->is_forced ? v : check_safe(s, n, c, me, changes);
}

/* --- commands --- */

static bool can_reach(const struct mset *s, const struct mset_node *n, const struct mset_member *m)
{
    int node = mset_node_by_member(s, m);
    unsigned self = mset_number(s, n);
    return node >= 0 && mset_runs(&s->nodes[node]) && mset_is_linked(s, self, (unsigned)node) &&
           mset_is_linked(s, (unsigned)node, self) && !s->nodes[node].is_name_wrong;
}

static unsigned reachable_votes(const struct mset *s, const struct mset_node *n,
                                const struct mset_config *c)
{
    unsigned votes = 0;
    for (unsigned i = 0; i < c->count; i++) {
        votes += can_reach(s, n, &c->members[i]) ? c->members[i].votes : 0;
    }
    return votes;
}

/* What the server makes of what it was given. */
static void complete_config(struct mset *s, const struct mset_node *n, const struct mset_command *c,
                            struct mset_config *to)
{
    *to = c->config;
    memcpy(to->set_id, n->disk.config.set_id, sizeof(to->set_id));
    for (unsigned i = 0; i < to->count; i++) {
        struct mset_member *m = &to->members[i];
        const struct mset_member *was = by_id(&n->disk.config, m->id);
        m->priority_x10 = m->is_arbiter ? 0 : m->priority_x10;
        m->is_newly_added = was != NULL ? was->is_newly_added && m->votes != 0
                                        : s->profile->has_newly_added && !c->is_forced &&
                                              !m->is_arbiter && m->votes != 0;
    }
    to->version.term = c->is_forced || !s->profile->has_config_term ? 0 : n->term;
    if (c->is_forced) {
        uint64_t least = n->disk.config.version.version + 1;
        to->version.version = (to->version.version > least ? to->version.version : least) + 10000 +
                              (uint64_t)mset_draw(s, 0, 99999);
    }
}

static void change(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    struct mset_majorities of;
    struct mset_config to;
    complete_config(s, n, &w->command, &to);
    mset_majorities(&w->command.config, &of);
    n->is_reconfig_busy = false;
    if (!w->command.is_forced && reachable_votes(s, n, &to) < of.vote) {
        mset_wait_done(s, w, MSET_E_NODE_NOT_FOUND,
                       "quorum check failed: not enough voting nodes responded");
        return;
    }
    s->truth.reconfigs++;
    s->truth.forced += w->command.is_forced;
    s->truth.is_forced |= w->command.is_forced;
    w->version = to.version;
    w->due_us = MSET_NEVER;
    mset_config_install(s, n, &to);
    mset_beat_all(s, n);
    if (w->is_used && (w->command.is_forced || !s->profile->has_config_term)) {
        mset_wait_done(s, w, MSET_OK, "");
    }
}

void mset_wait_reconfig(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (!w->is_begun) {
        struct verdict v = check_change(s, n, &w->command);
        if (v.code != 0) {
            mset_wait_done(s, w, v.code, v.text);
            return;
        }
        w->is_begun = n->is_reconfig_busy = true;
        w->due_us = s->now_us + mset_draw(s, 2 * MSET_MS, 8 * MSET_MS);
    } else if (w->version.version == 0) {
        if (w->due_us <= s->now_us && !n->is_stuck && !n->is_full) {
            change(s, w);
        }
    } else if (mset_is_config_committed(s, n) && n->state == MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_OK, "");
    }
}

static struct verdict check_initiate(const struct mset *s, const struct mset_node *n,
                                     const struct mset_config *c)
{
    if (mset_is_configured(n) || n->disk.head != MSET_NONE) {
        return (struct verdict){MSET_E_ALREADY_INITIALIZED, "already initialized"};
    }
    struct verdict v = check_alone(s, c);
    const struct mset_member *me = self_of(n, c);
    if (v.code != 0) {
        return v;
    }
    if (c->version.version != 1 || me == NULL) {
        return (struct verdict){MSET_E_INVALID_CONFIG,
                                "version must be 1, and this node a member of it"};
    }
    if (me->is_arbiter || me->priority_x10 == 0) {
        return (struct verdict){MSET_E_NOT_ELECTABLE, "this node is not electable in it"};
    }
    for (unsigned i = 0; i < c->count; i++) {
        int node = mset_node_by_member(s, &c->members[i]);
        if (!can_reach(s, n, &c->members[i])) {
            return (struct verdict){MSET_E_NODE_NOT_FOUND, "replSetInitiate quorum check failed"};
        }
        if (node != (int)mset_number(s, n) &&
            (mset_is_configured(&s->nodes[node]) || s->nodes[node].disk.head != MSET_NONE)) {
            return (struct verdict){MSET_E_HAS_DATA, "a member has data already"};
        }
    }
    return FINE;
}

void mset_wait_initiate(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    struct verdict v = check_initiate(s, n, &w->command.config);
    if (v.code != 0 || n->is_stuck) {
        if (v.code != 0) {
            mset_wait_done(s, w, v.code, v.text);
        }
        return;
    }
    struct mset_config c = w->command.config;
    for (unsigned i = 0; i < sizeof(c.set_id); i++) {
        c.set_id[i] = (uint8_t)mset_draw(s, 1, 255);
    }
    for (unsigned i = 0; i < c.count; i++) {
        c.members[i].priority_x10 = c.members[i].is_arbiter ? 0 : c.members[i].priority_x10;
    }
    c.version.term = s->profile->has_config_term ? 1 : 0;
    s->truth.initiations++;
    uint32_t entry = mset_append(s, n, 0, 0);
    n->disk.head = n->head = entry;
    n->disk.first_depth = 1;
    mset_config_install(s, n, &c);
    n->ready_us = s->now_us;
    mset_wait_done(s, w, MSET_OK, "");
}
