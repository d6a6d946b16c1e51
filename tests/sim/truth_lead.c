/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of a leader, at every frame that leaves a node: it was elected by a majority of the
 * configuration (R1), commits nothing that a majority lacks (R4, R7) and nothing of an older term
 * by counting (R8), confirms its reads by what others sent since (R9), and hands over to who has it
 * all. Terms and commit indexes go one way, and what is committed is not cut off (R6, R13).
 */
#include "base/canary.h"
#include "raft/core/core.h"
#include "raft/core/members.h"
#include "raft/log_store.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

void truth_lead_forget(struct world *w, unsigned node)
{
    w->truth->lead[node] = (struct truth_lead){0};
}

/* --- R6, R13 --- */

/* A log that has just begun anew behind an image. */
static void check_image(struct world *w, unsigned node, const struct raft_core *core)
{
    const struct truth_lead *seen = &w->truth->lead[node];
    uint64_t index = core->log.last_index;
    bool is_empty = core->log.first_index == index + 1;
    if (is_empty && index < seen->last_persisted &&
        raft_core_log_term(core, index) == seen->last_persisted_term) {
        world_fail(w, INVARIANT_IMAGE_FORWARD,
                   "node %u takes an image at %lu; it held the log up to %lu, of the same term",
                   node, (unsigned long)index, (unsigned long)seen->last_persisted);
    }
}

static void check_forward(struct world *w, unsigned node, const struct raft_core *core)
{
    struct truth_lead *seen = &w->truth->lead[node];
    if (core->term < seen->last_term || core->commit < seen->last_commit) {
        world_fail(w, INVARIANT_FORWARD,
                   "node %u goes back from term %lu, commit %lu to term %lu, commit %lu", node,
                   (unsigned long)seen->last_term, (unsigned long)seen->last_commit,
                   (unsigned long)core->term, (unsigned long)core->commit);
    }
    if (core->log.last_index < core->commit) {
        world_fail(w, INVARIANT_NO_CUT, "the log of node %u ends at %lu, before its commit %lu",
                   node, (unsigned long)core->log.last_index, (unsigned long)core->commit);
    }
    check_image(w, node, core);
    seen->last_term = core->term;
    seen->last_commit = core->commit;
    seen->last_persisted = core->persisted;
    seen->last_persisted_term =
        core->persisted >= core->log.first_index ? raft_core_log_term(core, core->persisted) : 0;
}

/* --- R7, R8 --- */

static void check_commit(struct world *w, unsigned node, const struct raft_core *core)
{
    uint64_t commit = core->commit;
    if (CANARY(INVARIANT_ASLEEP)) {
        return;
    }
    w->tally.judged_commits++;
    uint64_t term = raft_core_log_term(core, commit);
    if (term != core->term) {
        world_fail(w, INVARIANT_OWN_TERM,
                   "leader %u of term %lu commits %lu, which is of term %lu, by counting", node,
                   (unsigned long)core->term, (unsigned long)commit, (unsigned long)term);
    }
    if (!truth_has_majority(w, &core->configuration, commit, term)) {
        world_fail(w, INVARIANT_QUORUM,
                   "leader %u commits entry %lu, which stands on no majority of its configuration "
                   "%lu",
                   node, (unsigned long)commit, (unsigned long)core->configuration.index);
    }
}

/* --- what others have said, and what is on its own disk --- */

static void check_heard(struct world *w, unsigned node, const struct raft_core *core)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct raft_peer *peer = &core->peers[i];
        const struct truth_round *told = &w->truth->rounds[node][truth_number(w, peer->id)];
        uint64_t match = told->term == core->term ? told->match : 0;
        bool is_vote = core->role == RAFT_CANDIDATE && peer->vote == RAFT_VOTE_GRANTED;
        bool is_known = told->term <= core->term; /* it has not heard of its end yet */
        if (core->role == RAFT_LEADER && i != core->self && is_known && peer->match > match) {
            world_fail(w, INVARIANT_HEARD,
                       "leader %u of term %lu counts on node %lx up to %lu, which has acknowledged "
                       "%lu in this term",
                       node, (unsigned long)core->term, (unsigned long)peer->id,
                       (unsigned long)peer->match, (unsigned long)match);
        }
        if (is_vote && i != core->self &&
            truth_vote_of(w, peer->id, core->term) != core->config.id) {
            world_fail(w, INVARIANT_HEARD, "node %u counts a vote of node %lx for term %lu", node,
                       (unsigned long)peer->id, (unsigned long)core->term);
        }
    }
}

/* The image is the state already, and the log has begun anew behind it; the node is told of that a
 * little later. Older beginnings lie below its commit. */
static bool is_beginning_anew(struct store_txn *log, const struct raft_core *core)
{
    uint64_t index = 0, term = 0;
    return core->is_installing && log_store_load_reset(log, &index, &term) == 0 &&
           index > core->commit;
}

/* What counts as durable is what the disk would bring back. */
static void check_durable(struct world *w, unsigned node, const struct raft_core *core)
{
    struct msg_raft_entry entry;
    uint64_t index = core->persisted;
    struct store_txn *log = disk_txn(node_log(w, node));
    if (index == w->truth->lead[node].last_persisted || index < core->log.first_index ||
        is_beginning_anew(log, core)) {
        return;
    }
    int rc = log_store_get(log, index, &entry);
    uint64_t term = raft_core_log_term(core, index);
    if (rc != 0 || entry.term != term) {
        world_fail(w, INVARIANT_DURABLE,
                   "node %u takes entry %lu of term %lu for durable, and its disk has term %lu",
                   node, (unsigned long)index, (unsigned long)term,
                   (unsigned long)(rc == 0 ? entry.term : 0));
    }
}

/* What the log has forgotten would be there after a crash. */
static void check_kept(struct world *w, unsigned node, const struct raft_core *core)
{
    uint64_t first = core->log.first_index;
    uint64_t durable = disk_durable_applied(node_state(w, node));
    if (first == w->truth->lead[node].last_first || core->is_installing) {
        return;
    }
    w->truth->lead[node].last_first = first;
    if (first > durable + 1) {
        world_fail(w, INVARIANT_KEPT,
                   "the log of node %u begins at %lu, and a crash leaves its state at %lu", node,
                   (unsigned long)first, (unsigned long)durable);
    }
}

/* --- R9 --- */

void truth_answered(struct world *w, const struct msg_raft *m)
{
    unsigned leader = node_of(w, m->to);
    if (leader == NODES_MAX) {
        return;
    }
    struct truth_round *seen = &w->truth->rounds[leader][truth_number(w, m->from)];
    if (m->type == MSG_RAFT_HEARTBEAT_REPLY && m->round == 0) {
        return; /* to who is behind: of a term that its sender may not find again after a crash */
    }
    if (seen->term != m->term) {
        *seen = (struct truth_round){.term = m->term};
    }
    if (m->type == MSG_RAFT_HEARTBEAT_REPLY && m->round > seen->round) {
        seen->round = m->round;
    }
    if (m->type == MSG_RAFT_APPEND_REPLY && !m->is_rejected && m->index > seen->match) {
        seen->match = m->index;
    }
}

static void check_round(struct world *w, unsigned node, const struct raft_core *core)
{
    const struct raft_configuration *c = &core->configuration;
    size_t answered = 0;
    w->tally.judged_rounds++;
    for (size_t i = 0; i < c->count; i++) {
        uint64_t id = c->members[i].id;
        const struct truth_round *seen = &w->truth->rounds[node][truth_number(w, id)];
        bool is_in_time = seen->term > core->term ||
                          (seen->term == core->term && seen->round >= core->round_confirmed);
        answered += !c->members[i].is_learner && (id == core->config.id || is_in_time);
    }
    size_t needed = raft_members_voters(c) / 2 + 1;
    if (answered < needed) {
        world_fail(w, INVARIANT_ROUND,
                   "leader %u takes round %lu of term %lu for confirmed, and %zu of %zu have "
                   "answered it",
                   node, (unsigned long)core->round_confirmed, (unsigned long)core->term, answered,
                   needed);
    }
}

void truth_leads(struct world *w, unsigned node)
{
    const struct raft_node *raft = node_raft(w, node);
    struct truth_lead *seen = &w->truth->lead[node];
    if (raft == NULL || raft_node_core(raft)->is_halted) {
        truth_lead_forget(w, node);
        return;
    }
    const struct raft_core *core = raft_node_core(raft);
    check_durable(w, node, core);
    check_kept(w, node, core);
    check_forward(w, node, core);
    check_heard(w, node, core);
    if (seen->term == core->term && core->commit > seen->commit &&
        core->commit >= core->log.first_index) {
        check_commit(w, node, core); /* also when that was the last that it did as a leader */
    }
    if (core->role != RAFT_LEADER || seen->term != core->term) {
        seen->term = core->role == RAFT_LEADER ? core->term : 0;
        seen->commit = core->commit;
        seen->round = core->round_confirmed;
        seen->members = core->configuration.index;
        return;
    }
    if (core->round_confirmed > seen->round && core->configuration.index == seen->members) {
        check_round(w, node, core);
    }
    seen->commit = core->commit;
    seen->round = core->round_confirmed;
    seen->members = core->configuration.index;
}

/* --- how it came to lead, and how it ends --- */

void truth_elected(struct world *w, unsigned node)
{
    const struct raft_core *core = raft_node_core(node_raft(w, node));
    const struct raft_configuration *c = &core->configuration;
    size_t granted = 0;
    w->tally.judged_elections++;
    w->truth->elected_us = w->now_us;
    for (size_t i = 0; i < c->count; i++) {
        uint64_t id = c->members[i].id;
        bool has_voted = truth_vote_of(w, id, core->term) == core->config.id;
        granted += !c->members[i].is_learner && (id == core->config.id || has_voted);
    }
    if (granted < raft_members_voters(c) / 2 + 1) {
        world_fail(w, INVARIANT_ELECTED, "node %u leads term %lu by %zu votes of %zu voters", node,
                   (unsigned long)core->term, granted, raft_members_voters(c));
    }
}

void truth_handed_over(struct world *w, uint64_t from, uint64_t to)
{
    unsigned node = node_of(w, from);
    if (node == NODES_MAX || node_raft(w, node) == NULL) {
        return;
    }
    const struct raft_core *core = raft_node_core(node_raft(w, node));
    uint64_t last = core->log.last_index;
    unsigned other = node_of(w, to);
    bool is_past = other != NODES_MAX && node_raft(w, other) != NULL &&
                   raft_node_core(node_raft(w, other))->term > core->term;
    if (is_past) { /* a leader that does not know yet of the next one, which has cut it off there */
        return;
    }
    if (!truth_has_entry(w, to, last, raft_core_log_term(core, last))) {
        world_fail(w, INVARIANT_HANDED_OVER,
                   "node %u hands over to node %lx, which lacks entry %lu, its last", node,
                   (unsigned long)to, (unsigned long)last);
    }
}
