/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of a quorum that changes: R7 what is applied stands on a majority of the configuration
 * in force, R11 a leader changes one member at a time and only when the last change is committed,
 * R12 the state is the same everywhere at the same index, also behind an image.
 */
#include <string.h>

#include "kv/core/apply.h"
#include "raft/core/core.h"
#include "raft/core/members.h"
#include "raft/log_store.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

/* --- R7 --- */

/* Whether the node in this place has the entry for good: durable in its log, or in its state. */
bool truth_has_entry(struct world *w, uint64_t id, uint64_t index, uint64_t term)
{
    struct msg_raft_entry entry;
    struct log_store_state state;
    unsigned node = node_of(w, id);
    if (node == NODES_MAX) {
        return truth_is_lost(w, id); /* it may have had it: nobody can see any more */
    }
    const struct raft_node *raft = node_raft(w, node);
    if (raft != NULL) {
        const struct raft_core *core = raft_node_core(raft);
        bool is_known = index + 1 >= raft_core_first_index(core);
        return raft_core_persisted(core) >= index &&
               (!is_known || raft_core_log_term(core, index) == term);
    }
    if (log_store_load_state(disk_txn(node_state(w, node)), &state) == 0 &&
        state.applied_index >= index) {
        return true;
    }
    return log_store_get(disk_txn(node_log(w, node)), index, &entry) == 0 && entry.term == term;
}

bool truth_has_majority(struct world *w, const struct raft_configuration *c, uint64_t index,
                        uint64_t term)
{
    size_t voters = 0;
    size_t have = 0;
    for (size_t i = 0; i < c->count; i++) {
        voters += !c->members[i].is_learner;
        have += !c->members[i].is_learner && truth_has_entry(w, c->members[i].id, index, term);
    }
    return have >= voters / 2 + 1;
}

/* A leader counts by its newest configuration, which who applies may not have yet. */
static bool has_majority_of_leader(struct world *w, const struct raft_applied *entry)
{
    bool is_enough = false;
    for (unsigned node = 0; node < w->setup.slots && !is_enough; node++) {
        struct raft_node_status status;
        if (node_raft(w, node) != NULL) {
            raft_node_status(node_raft(w, node), &status);
            is_enough = status.role == RAFT_LEADER &&
                        truth_has_majority(w, raft_node_configuration(node_raft(w, node)),
                                           entry->index, entry->term);
        }
    }
    return is_enough;
}

/* What is applied for the first time. A node that is starting knows more than can be seen of it. */
static void check_quorum(struct world *w, unsigned node, const struct raft_applied *entry)
{
    const struct raft_node *raft = node_raft(w, node);
    if (raft == NULL || entry->index <= w->truth->committed) {
        return;
    }
    w->truth->committed = entry->index;
    const struct raft_configuration *c = raft_node_configuration(raft);
    if (c->index > entry->index) {
        return; /* it may have been committed under the one before */
    }
    if (!truth_has_majority(w, c, entry->index, entry->term) && !has_majority_of_leader(w, entry)) {
        world_fail(w, INVARIANT_QUORUM,
                   "entry %lu is applied by node %u and stands on no majority of configuration %lu",
                   (unsigned long)entry->index, node, (unsigned long)c->index);
    }
}

/* --- R12 --- */

static uint64_t state_hash(struct world *w, unsigned node)
{
    uint32_t hash = 0;
    if (kv_core_hash(disk_txn(node_state(w, node)), &hash) != 0) {
        world_fail(w, INVARIANT_NO_CRASH, "the state of node %u cannot be read", node);
    }
    return (uint64_t)hash | UINT64_C(1) << 32;
}

/* The state before entry `index` is applied. Only states before data entries are looked at, and
 * they are the same however many empty ones came in between. */
static void check_state(struct world *w, unsigned node, uint64_t index)
{
    struct truth *t = w->truth;
    size_t at = (size_t)(index / TRUTH_STATE_EVERY);
    size_t had = t->states_cap;
    if (index % TRUTH_STATE_EVERY != 0) {
        return;
    }
    t->states = must_grow(t->states, &t->states_cap, at + 1, sizeof(*t->states));
    memset(t->states + had, 0, (t->states_cap - had) * sizeof(*t->states));
    uint64_t hash = state_hash(w, node);
    if (t->states[at] == 0) {
        t->states[at] = hash;
    } else {
        w->tally.judged_states++;
    }
    if (t->states[at] != hash) {
        world_fail(w, INVARIANT_IMAGE,
                   "node %u has another state before entry %lu than a node before "
                   "it",
                   node, (unsigned long)index);
    }
}

void truth_committed(struct world *w, unsigned node, const struct raft_applied *entry)
{
    check_quorum(w, node, entry);
    check_state(w, node, entry->index);
}

/* Another node that stands at the same index must have the same state. */
void truth_image(struct world *w, unsigned node, uint64_t index)
{
    uint64_t hash = state_hash(w, node);
    for (unsigned other = 0; other < w->setup.slots; other++) {
        struct log_store_state state;
        if (other != node && node_id(w, other) != 0 &&
            log_store_load_state(disk_txn(node_state(w, other)), &state) == 0 &&
            state.applied_index == index && state_hash(w, other) != hash) {
            world_fail(w, INVARIANT_IMAGE, "the image at %lu of node %u is not what node %u has",
                       (unsigned long)index, node, other);
        }
    }
}

/* --- R11 --- */

void truth_members(struct world *w, unsigned node)
{
    struct truth *t = w->truth;
    const struct raft_node *raft = node_raft(w, node);
    if (raft == NULL) {
        return;
    }
    struct raft_node_status status;
    raft_node_status(raft, &status);
    const struct raft_configuration *c = raft_node_configuration(raft);
    struct raft_configuration *last = &t->led[node];
    if (status.role != RAFT_LEADER) {
        last->count = 0;
        return;
    }
    bool is_same_term = last->count > 0 && t->led_term[node] == status.term;
    if (is_same_term && c->index != last->index) {
        trace(w, TRACE_CHANGE, node, c->index, c->count, raft_members_voters(c));
        w->tally.changes++;
        if (c->index < last->index || !raft_members_is_step(last, c)) {
            world_fail(w, INVARIANT_ONE_CHANGE,
                       "leader %u goes from configuration %lu to %lu, which "
                       "is more than one step",
                       node, (unsigned long)last->index, (unsigned long)c->index);
        }
        if (status.commit_index < last->index) {
            world_fail(w, INVARIANT_ONE_CHANGE,
                       "leader %u begins configuration %lu before %lu is "
                       "committed",
                       node, (unsigned long)c->index, (unsigned long)last->index);
        }
        if (!raft_core_has_committed_own_term(raft_node_core(raft))) {
            world_fail(w, INVARIANT_ONE_CHANGE,
                       "leader %u begins configuration %lu and has committed nothing of its term "
                       "%lu",
                       node, (unsigned long)c->index, (unsigned long)status.term);
        }
    }
    *last = *c;
    t->led_term[node] = status.term;
}
