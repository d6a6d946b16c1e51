/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Rounds and elections are remembered by node, reports and handbacks by member. */
#include "tests/sim/truth_lease.h"

#include "base/crc32c.h"
#include "base/name.h"
#include "proto/wire/agent.h"
#include "raft/core/core.h"
#include "tests/sim/members.h"
#include "tests/sim/nodes.h"
#include "tests/sim/nodes_internal.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_ops.h"

#define SAID_MAX 256 /* reports of a member, the last ones */
#define ROUNDS_MAX 256

struct said {
    uint64_t session, number;
    uint32_t crc;          /* of its bytes: they are known again without being decoded */
    struct base_mono sent; /* by the host's clock */
    uint64_t lsn;
    int64_t heard_us[NODES_MAX];    /* 0: not */
    uint64_t heard_life[NODES_MAX]; /* of the node that heard it */
};

struct told {
    struct said said[SAID_MAX];
    uint64_t said_count;
    uint64_t granted_epoch; /* the deadline is the latest that a grant of it allows */
    struct base_mono deadline;
    uint64_t handed_back; /* the highest that it has reported */
    uint64_t guard_instance, guard_handed_back;
};

struct leader {
    uint64_t term; /* in which it leads; 0: it does not */
    struct base_mono elected;
    uint64_t round;
    int64_t began_us[ROUNDS_MAX]; /* by round */
    uint64_t granted_epoch[DB_CLUSTERS_MAX];
    struct base_mono granted[DB_CLUSTERS_MAX];
};

struct truth_lease {
    struct told members[MEMBERS_MAX];
    struct leader nodes[NODES_MAX];
    int64_t began_us[DB_CLUSTERS_MAX]; /* the present epoch, by true time */
};

struct truth_lease *truth_lease_new(void)
{
    return must_alloc(1, sizeof(struct truth_lease));
}

/* --- what is sent and heard --- */

static struct said *said_find(struct told *told, uint64_t session, uint64_t number)
{
    for (uint64_t i = told->said_count; i > 0 && told->said_count - i < SAID_MAX; i--) {
        struct said *s = &told->said[(i - 1) % SAID_MAX];
        if (s->session == session && s->number == number) {
            return s;
        }
    }
    return NULL;
}

void truth_lease_report(struct world *w, const struct member *m, const struct msg_report *report,
                        uint32_t crc)
{
    struct told *told = &w->truth->lease->members[m->index];
    if (report->epoch_handed_back > told->handed_back) {
        told->handed_back = report->epoch_handed_back;
    }
    if (said_find(told, report->session, report->number) == NULL) {
        told->said[told->said_count++ % SAID_MAX] = (struct said){.session = report->session,
                                                                  .number = report->number,
                                                                  .crc = crc,
                                                                  .lsn = report->position.lsn,
                                                                  .sent = clock_now(&m->clock)};
    }
}

/* A doubled or late frame has the bytes of one that was sent; NULL: none of the last ones. */
static struct said *said_of(struct told *told, uint32_t crc)
{
    for (uint64_t i = told->said_count; i > 0 && told->said_count - i < SAID_MAX; i--) {
        struct said *s = &told->said[(i - 1) % SAID_MAX];
        if (s->crc == crc) {
            return s;
        }
    }
    return NULL;
}

void truth_lease_heard(struct world *w, unsigned node, unsigned member, struct slice payload)
{
    struct said *s = said_of(&w->truth->lease->members[member], base_crc32c(0, payload));
    uint64_t life = node_process(w, node)->life;
    if (s != NULL && (s->heard_us[node] == 0 || s->heard_life[node] != life)) {
        s->heard_us[node] = w->now_us;
        s->heard_life[node] = life;
    }
}

/* --- leaders --- */

void truth_lease_role(struct world *w, unsigned node, struct base_mono now)
{
    struct leader *l = &w->truth->lease->nodes[node];
    const struct raft_node *raft = node_raft(w, node);
    const struct raft_core *core = raft != NULL ? raft_node_core(raft) : NULL;
    bool leads = core != NULL && core->role == RAFT_LEADER && !core->is_halted;
    if (!leads) {
        l->term = 0;
    } else if (l->term != core->term) {
        *l = (struct leader){.term = core->term, .elected = now};
    }
}

void truth_lease_round(struct world *w, unsigned node)
{
    struct leader *l = &w->truth->lease->nodes[node];
    const struct raft_node *raft = node_raft(w, node);
    if (raft == NULL || l->term == 0 || raft_node_core(raft)->term != l->term) {
        return;
    }
    for (; l->round < raft_node_core(raft)->round_started; l->round++) {
        l->began_us[(l->round + 1) % ROUNDS_MAX] = w->now_us;
    }
}

/* The newest round of this leadership that a majority has answered. */
static uint64_t answered_round(struct world *w, unsigned node, const struct raft_core *core)
{
    const struct raft_configuration *c = &core->configuration;
    for (uint64_t round = core->round_started; round > 0; round--) {
        size_t voters = 0, have = 0;
        for (size_t i = 0; i < c->count; i++) {
            uint64_t id = c->members[i].id;
            const struct truth_round *seen = &w->truth->rounds[node][truth_number(w, id)];
            bool has = id == core->config.id || seen->term > core->term ||
                       (seen->term == core->term && seen->round >= round);
            voters += !c->members[i].is_learner;
            have += !c->members[i].is_learner && has;
        }
        if (have >= voters / 2 + 1) {
            return round;
        }
    }
    return 0;
}

/* The commit of the leader's own entry is a round, too: for what it had heard when it proposed. */
static void grant_has_round(struct world *w, unsigned node, unsigned member,
                            const struct msg_order *order)
{
    const struct leader *l = &w->truth->lease->nodes[node];
    const struct raft_core *core = raft_node_core(node_raft(w, node));
    const struct said *s =
        said_find(&w->truth->lease->members[member], order->session, order->number);
    uint64_t round = answered_round(w, node, core);
    if (s == NULL || s->heard_us[node] == 0 || l->term != core->term) {
        return;
    }
    bool is_winner = w->truth->lease->began_us[cluster_of(w, member)] >= s->heard_us[node];
    bool is_old = round + ROUNDS_MAX <= l->round;
    if (!is_winner &&
        (round == 0 || is_old || l->began_us[round % ROUNDS_MAX] < s->heard_us[node])) {
        world_fail(w, INVARIANT_GRANT_ROUND,
                   "q%u grants epoch %lu to pg%u for report %lu, and the newest round that a "
                   "majority has answered, %lu, began before that report came",
                   node + 1, (unsigned long)order->granted_epoch, member + 1,
                   (unsigned long)order->number, (unsigned long)round);
    }
}

static void grant_has_own_term(struct world *w, unsigned node, const struct msg_order *order)
{
    const struct raft_core *core = raft_node_core(node_raft(w, node));
    struct raft_node_status status;
    raft_node_status(node_raft(w, node), &status);
    uint64_t applied = status.applied_index;
    if (applied < core->log.first_index || applied > core->log.last_index) {
        return;
    }
    uint64_t term = raft_core_log_term(core, applied);
    if (core->term == order->term && term != order->term) {
        world_fail(w, INVARIANT_GRANT_READY,
                   "q%u grants epoch %lu in term %lu, and the last entry that it has applied is of "
                   "term %lu",
                   node + 1, (unsigned long)order->granted_epoch, (unsigned long)order->term,
                   (unsigned long)term);
    }
}

static struct base_mono deadline_of(const struct said *s, int64_t ttl_us)
{
    return base_mono_add_us(s->sent, ttl_us - ttl_us / 10);
}

static void grant_allows(struct world *w, unsigned member, const struct msg_order *order)
{
    struct told *told = &w->truth->lease->members[member];
    const struct said *s = said_find(told, order->session, order->number);
    if (s == NULL || order->granted_epoch < told->granted_epoch) {
        return; /* of a leader that is none any more: nobody arms a lower epoch */
    }
    struct base_mono deadline = deadline_of(s, order->ttl_us);
    bool is_same = told->granted_epoch == order->granted_epoch;
    told->deadline = is_same ? base_mono_max(told->deadline, deadline) : deadline;
    told->granted_epoch = order->granted_epoch;
    struct truth_db *t = truth_db_of(w, member);
    if (order->granted_epoch == t->record.epoch) {
        truth_granted(t, w->now_us, s->lsn);
    }
}

void truth_lease_extend(struct world *w, unsigned member, uint64_t epoch, struct base_mono until)
{
    struct told *told = &w->truth->lease->members[member];
    if (told->granted_epoch == epoch) {
        told->deadline = base_mono_max(told->deadline, until);
    }
}

void truth_lease_order(struct world *w, unsigned node, const struct msg_order *order,
                       struct base_mono now)
{
    int member = member_by_name(w, &order->record.holder);
    if (!order->is_granted || member < 0 || node_raft(w, node) == NULL) {
        return;
    }
    struct leader *l = &w->truth->lease->nodes[node];
    unsigned cluster = cluster_of(w, (unsigned)member);
    l->granted_epoch[cluster] = order->granted_epoch;
    l->granted[cluster] = now;
    truth_lease_round(w, node); /* one voter alone begins and ends it without a frame */
    grant_has_own_term(w, node, order);
    grant_has_round(w, node, (unsigned)member, order);
    grant_allows(w, (unsigned)member, order);
}

/* It decides by a record that another leader has changed: it is deposed, and its swap, which names
 * the record that it knows, goes nowhere. */
static bool is_behind(struct world *w, unsigned node, const struct base_name *cluster,
                      const struct msg_record *record)
{
    const struct arb_cluster *c = arb_driver_find(nodes_get(w, node)->driver, cluster);
    return c == NULL || c->record.epoch != record->epoch || c->record.revision != record->revision;
}

/* Section 2: ttl and drift after the later of election and last grant, unless it was handed back.
 */
void truth_lease_decided(struct world *w, unsigned node, const struct base_name *cluster,
                         uint64_t epoch, struct base_mono now)
{
    const struct leader *l = &w->truth->lease->nodes[node];
    for (unsigned i = 0; i < databases_count(w); i++) {
        const struct msg_record *r = &w->truth->db[i].record;
        uint32_t ttl_ms = r->ttl_longest_ms > r->ttl_ms ? r->ttl_longest_ms : r->ttl_ms;
        int64_t ttl_us = ttl_ms * MS;
        int holder = r->epoch != 0 ? member_by_name(w, &r->holder) : -1;
        if (!base_name_equal(cluster_name(i), cluster) || holder < 0 ||
            truth_ops_is_ended(&w->truth->db[i]) || r->galera.is_fast_takeover ||
            w->truth->lease->members[holder].handed_back >= r->epoch || l->term == 0 ||
            epoch != r->epoch + 1 || is_behind(w, node, cluster, r)) {
            continue;
        }
        struct base_mono from = l->elected;
        if (l->granted_epoch[i] == r->epoch) {
            from = base_mono_max(from, l->granted[i]);
        }
        int64_t waited_us = base_mono_diff_us(now, from);
        if (waited_us < ttl_us + ttl_us / 100) {
            world_fail(w, INVARIANT_WAITS,
                       "q%u ends epoch %lu %ld us after its election or last grant, of a lease of "
                       "%ld us that was not handed back",
                       node + 1, (unsigned long)r->epoch, (long)waited_us, (long)ttl_us);
        }
    }
}

/* --- guards --- */

static void handback_is_final(struct world *w, const struct member *m, struct told *told)
{
    const struct guard_status *s = &m->guard.status;
    if (told->guard_instance != s->instance) {
        told->guard_instance = s->instance;
        told->guard_handed_back = 0;
    }
    if (s->epoch_handed_back > told->guard_handed_back) {
        told->guard_handed_back = s->epoch_handed_back;
    }
    if (s->is_armed && s->epoch <= told->guard_handed_back) {
        world_fail(w, INVARIANT_HANDBACK_FINAL,
                   "the guard of pg%u is armed for epoch %lu, and has handed epoch %lu back",
                   m->index + 1, (unsigned long)s->epoch, (unsigned long)told->guard_handed_back);
    }
}

void truth_lease_guard(struct world *w, const struct member *m)
{
    struct told *told = &w->truth->lease->members[m->index];
    const struct guard_status *s = &m->guard.status;
    handback_is_final(w, m, told);
    int64_t beyond_us = base_mono_diff_us(s->deadline, told->deadline);
    if (s->is_armed && s->epoch == told->granted_epoch && beyond_us > 0) {
        world_fail(w, INVARIANT_DEADLINE,
                   "the guard of pg%u is armed for epoch %lu until %ld us after the latest end "
                   "that a report and its grant allow",
                   m->index + 1, (unsigned long)s->epoch, (long)beyond_us);
    }
}

void truth_lease_thaw(struct world *w, const struct member *m)
{
    int64_t late_us = base_mono_diff_us(clock_now(&m->clock), m->guard.status.deadline);
    if (late_us >= 0) {
        world_fail(w, INVARIANT_FENCED,
                   "the tree of pg%u goes on %ld us after its lease has run out", m->index + 1,
                   (long)late_us);
    }
}

/* --- records --- */

/* Another holder: its floor is of its own epoch. The same one again: the floor's epoch stays. */
void truth_lease_epoch(struct world *w, const struct msg_record *old, const struct msg_record *new)
{
    int member = member_by_name(w, &new->holder);
    if (member >= 0) {
        w->truth->lease->began_us[cluster_of(w, (unsigned)member)] = w->now_us;
    }
    if (old == NULL) {
        return;
    }
    bool is_return = base_name_equal(&old->holder, &new->holder);
    uint64_t wanted = is_return ? old->floor_epoch : new->epoch;
    if (new->floor_epoch != wanted) {
        world_fail(w, INVARIANT_FLOOR_EPOCH,
                   "epoch %lu has a floor of epoch %lu; that of its choice is %lu",
                   (unsigned long)new->epoch, (unsigned long)new->floor_epoch,
                   (unsigned long)wanted);
    }
}
