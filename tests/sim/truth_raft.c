/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of Raft: R1 one leader a term, R2 one vote a term (also across restarts), R3 log
 * matching, R5 every node applies the same entries in the same order.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "proto/port_net.h"
#include "proto/wire/raft.h"
#include "raft/core/core.h"
#include "raft/core/members.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_lease.h"
#include "tests/sim/truth_mongo.h"

void truth_open(struct world *w)
{
    struct truth *t = w->truth = must_alloc(1, sizeof(*t));
    t->arena = (struct wire_arena){0};
    wire_arena_init(&t->arena, t->arena_bytes, sizeof(t->arena_bytes));
    t->lease = truth_lease_new();
    truth_kv_open(w);
}

void truth_close(struct world *w)
{
    truth_kv_close(w);
    free(w->truth->leaders);
    free(w->truth->votes);
    free(w->truth->entries);
    free(w->truth->states);
    truth_db_close(w);
    free(w->truth);
    w->truth = NULL;
}

/* --- R1 --- */

void truth_role(struct world *w, unsigned node, const struct raft_node_status *status)
{
    struct truth *t = w->truth;
    trace(w, TRACE_ROLE, node, status->role, status->term, status->commit_index);
    truth_members(w, node);
    truth_leads(w, node);
    if (status->role != RAFT_LEADER) {
        return;
    }
    size_t count = (size_t)status->term + 1;
    size_t had = t->leaders_cap;
    t->leaders = must_grow(t->leaders, &t->leaders_cap, count, sizeof(*t->leaders));
    memset(t->leaders + had, 0, (t->leaders_cap - had) * sizeof(*t->leaders));
    uint8_t *leader = &t->leaders[status->term];
    if (*leader == 0) {
        w->tally.elections++;
        truth_elected(w, node);
        truth_mongo_elected(w);
        *leader = (uint8_t)(node + 1);
        t->elected = status->term > t->elected ? status->term : t->elected;
    } else if (*leader != node + 1) {
        world_fail(w, INVARIANT_ONE_LEADER, "nodes %u and %u both lead term %lu", *leader - 1u,
                   node, (unsigned long)status->term);
    }
}

/* --- R2 --- */

/* Small numbers for ids, from 1 on: those of members that were added are random. */
uint8_t truth_number(struct world *w, uint64_t id)
{
    struct truth *t = w->truth;
    for (size_t i = 0; i < t->ids_count; i++) {
        if (t->ids[i] == id) {
            return (uint8_t)(i + 1);
        }
    }
    BASE_ASSERT(t->ids_count < TRUTH_IDS_MAX);
    t->ids[t->ids_count++] = id;
    return (uint8_t)t->ids_count;
}

static void vote_given(struct world *w, uint64_t voter_id, uint64_t term, uint64_t candidate_id)
{
    struct truth *t = w->truth;
    uint8_t voter = truth_number(w, voter_id), candidate = truth_number(w, candidate_id);
    size_t index = (size_t)term * (TRUTH_IDS_MAX + 1) + voter;
    size_t had = t->votes_cap;
    t->votes = must_grow(t->votes, &t->votes_cap, index + 1, sizeof(*t->votes));
    memset(t->votes + had, 0, (t->votes_cap - had) * sizeof(*t->votes));
    if (t->votes[index] == 0) {
        trace(w, TRACE_VOTE, node_of(w, voter_id), node_of(w, candidate_id), term, 0);
        t->votes[index] = candidate;
    } else if (t->votes[index] != candidate) {
        world_fail(w, INVARIANT_ONE_VOTE, "node %lx voted for %lx and for %lx in term %lu",
                   (unsigned long)voter_id, (unsigned long)t->ids[t->votes[index] - 1],
                   (unsigned long)candidate_id, (unsigned long)term);
    }
}

uint64_t truth_vote_of(struct world *w, uint64_t voter_id, uint64_t term)
{
    const struct truth *t = w->truth;
    size_t index = (size_t)term * (TRUTH_IDS_MAX + 1) + truth_number(w, voter_id);
    return index >= t->votes_cap || t->votes[index] == 0 ? 0 : t->ids[t->votes[index] - 1];
}

/* R14: who asks for votes was told before that a majority would give them. */
static void check_pre_votes(struct world *w, const struct msg_raft *m)
{
    unsigned node = node_of(w, m->from);
    uint8_t candidate = truth_number(w, m->from);
    size_t granted = 0;
    if (m->is_transfer || node == NODES_MAX || node_raft(w, node) == NULL) {
        return;
    }
    for (size_t voter = 1; voter <= w->truth->ids_count; voter++) {
        granted += w->truth->pre_votes[candidate][voter] == m->term;
    }
    size_t needed = raft_members_voters(raft_node_configuration(node_raft(w, node))) / 2;
    if (granted < needed) {
        world_fail(w, INVARIANT_PRE_VOTE,
                   "node %lx asks for votes in term %lu, and %zu of %zu have said before that they "
                   "would give theirs",
                   (unsigned long)m->from, (unsigned long)m->term, granted, needed);
    }
}

bool truth_raft_frame(struct world *w, unsigned from, struct slice payload)
{
    struct msg_raft msg;
    (void)from;
    if (payload.len == 0 || payload.data[0] != NET_FRAME_RAFT ||
        wire_raft_decode(slice_skip(payload, 1), &w->truth->arena, &msg) != 0) {
        return false;
    }
    if (msg.type == MSG_RAFT_VOTE_REPLY && !msg.is_rejected) {
        vote_given(w, msg.from, msg.term, msg.to);
    }
    if (msg.type == MSG_RAFT_PREVOTE_REPLY && !msg.is_rejected) {
        /* The highest: a question that comes late, of a lower term, takes back nothing. */
        uint64_t *said = &w->truth->pre_votes[truth_number(w, msg.to)][truth_number(w, msg.from)];
        *said = msg.proposed_term > *said ? msg.proposed_term : *said;
    }
    if (msg.type == MSG_RAFT_VOTE) { /* asking others, a candidate has voted for itself */
        check_pre_votes(w, &msg);
        vote_given(w, msg.from, msg.term, msg.from);
    }
    if (msg.type == MSG_RAFT_HEARTBEAT_REPLY || msg.type == MSG_RAFT_APPEND_REPLY) {
        truth_answered(w, &msg);
    }
    if (msg.type == MSG_RAFT_TIMEOUT_NOW) {
        truth_handed_over(w, msg.from, msg.to);
    }
    return msg.type == MSG_RAFT_VOTE_REPLY && !msg.is_rejected;
}

/* --- R3 --- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is compacted away on one side cannot be compared any more; it was before. */
static void logs_match(struct world *w, unsigned a, unsigned b)
{
    const struct raft_core *one = raft_node_core(node_raft(w, a)),
                           *two = raft_node_core(node_raft(w, b));
    uint64_t last = least(raft_core_last_index(one), raft_core_last_index(two));
    uint64_t first = raft_core_first_index(one) > raft_core_first_index(two)
                         ? raft_core_first_index(one)
                         : raft_core_first_index(two);
    uint64_t *seen = &w->truth->matched[a][b];
    if (last < *seen) {
        *seen = 0;
    }
    while (last >= first && raft_core_log_term(one, last) != raft_core_log_term(two, last)) {
        last--;
    }
    for (uint64_t i = last; i > *seen && i >= first; i--) {
        if (raft_core_log_term(one, i) != raft_core_log_term(two, i)) {
            world_fail(w, INVARIANT_LOG_MATCHING,
                       "logs of nodes %u and %u agree at %lu and differ at %lu", a, b,
                       (unsigned long)last, (unsigned long)i);
        }
    }
    uint64_t safe = least(raft_core_commit(one), raft_core_commit(two));
    safe = least(safe, least(raft_core_last_index(one), raft_core_last_index(two)));
    if (last < safe && safe >= first) {
        world_fail(w, INVARIANT_LOG_MATCHING,
                   "nodes %u and %u have both committed %lu and differ at %lu", a, b,
                   (unsigned long)safe, (unsigned long)last + 1);
    }
    *seen = safe;
}

void truth_logs(struct world *w)
{
    for (unsigned a = 0; a < w->setup.slots; a++) {
        for (unsigned b = 0; b < a; b++) {
            if (node_raft(w, a) != NULL && node_raft(w, b) != NULL) {
                logs_match(w, a, b);
            }
        }
    }
}

/* --- R5 --- */

static uint64_t entry_hash(const struct raft_applied *entry)
{
    uint64_t crc = base_crc32c(0, entry->data);
    return (entry->term * UINT64_C(0x9e3779b97f4a7c15) ^ crc << 8 ^ entry->data.len) | 1;
}

void truth_started(struct world *w, unsigned node, uint64_t applied_index)
{
    w->truth->applied[node] = applied_index;
    w->truth->matched[node][0] = 0;
    truth_lead_forget(w, node);
    for (unsigned other = 0; other < NODES_MAX; other++) {
        w->truth->matched[node][other] = w->truth->matched[other][node] = 0;
    }
}

void truth_restored(struct world *w, unsigned node, uint64_t applied_index)
{
    truth_started(w, node, applied_index);
    truth_image(w, node, applied_index);
    truth_kv_image(w, node, disk_txn(node_state(w, node)), applied_index);
}

void truth_wiped(struct world *w, unsigned node, uint64_t id)
{
    truth_started(w, node, 0);
    if (id != 0) {
        w->truth->is_lost[truth_number(w, id)] = true;
    }
}

bool truth_is_lost(struct world *w, uint64_t id)
{
    return w->truth->is_lost[truth_number(w, id)];
}

void truth_begin_anew(struct world *w, uint64_t index, int64_t revision)
{
    struct truth *t = w->truth;
    memset(t->leaders, 0, t->leaders_cap * sizeof(*t->leaders));
    memset(t->votes, 0, t->votes_cap * sizeof(*t->votes));
    memset(t->pre_votes, 0, sizeof(t->pre_votes));
    memset(t->led, 0, sizeof(t->led));
    memset(t->lead, 0, sizeof(t->lead));
    memset(t->rounds, 0, sizeof(t->rounds));
    for (size_t i = (size_t)index + 1; i < t->entries_cap; i++) {
        t->entries[i] = 0;
    }
    for (size_t i = (size_t)(index / TRUTH_STATE_EVERY) + 1; i < t->states_cap; i++) {
        t->states[i] = 0;
    }
    for (unsigned node = 0; node < w->setup.slots; node++) {
        truth_started(w, node, index);
    }
    t->committed = index;
    t->elected = 0;
    truth_db_begin_anew(w);
    truth_kv_begin_anew(w, index, revision);
}

void truth_apply(struct world *w, unsigned node, const struct raft_applied *entry)
{
    struct truth *t = w->truth;
    size_t had = t->entries_cap;
    t->entries =
        must_grow(t->entries, &t->entries_cap, (size_t)entry->index + 1, sizeof(*t->entries));
    memset(t->entries + had, 0, (t->entries_cap - had) * sizeof(*t->entries));
    uint64_t hash = entry_hash(entry);
    trace(w, TRACE_APPLY, node, entry->index, entry->term, hash);
    const struct raft_node *raft = node_raft(w, node);
    if (raft != NULL && raft_core_persisted(raft_node_core(raft)) < entry->index) {
        world_fail(w, INVARIANT_DURABLE, "node %u applies entry %lu, and %lu is durable in its log",
                   node, (unsigned long)entry->index,
                   (unsigned long)raft_core_persisted(raft_node_core(raft)));
    }
    if (entry->index <= t->applied[node]) {
        world_fail(w, INVARIANT_STATE_MACHINE, "node %u applies %lu after %lu", node,
                   (unsigned long)entry->index, (unsigned long)t->applied[node]);
    }
    for (uint64_t i = t->applied[node] + 1; i < entry->index; i++) {
        if (t->entries[i] != 0) {
            world_fail(w, INVARIANT_STATE_MACHINE, "node %u skips entry %lu", node,
                       (unsigned long)i);
        }
    }
    if (t->entries[entry->index] == 0) {
        t->entries[entry->index] = hash;
    } else if (t->entries[entry->index] != hash) {
        world_fail(w, INVARIANT_STATE_MACHINE,
                   "node %u applies another entry at %lu than a node before it", node,
                   (unsigned long)entry->index);
    }
    t->applied[node] = entry->index;
    truth_committed(w, node, entry);
}
