/* SPDX-License-Identifier: Apache-2.0 */
/* The follower: taking entries (T 3.5), rejecting with a hint that skips whole terms, acknowledging
 * what is durable. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"
#include "raft/core/members.h"

static uint64_t acknowledgeable(const struct raft_core *core)
{
    uint64_t durable = CANARY(ACK_BEFORE_FLUSH) ? core->log.last_index : core->persisted;
    return core->leader_match < durable ? core->leader_match : durable;
}

/* T 3.8: nothing is acknowledged in a term that is not durable. After a crash we would be in an
 * older one, and its leader might replace what this one counts on. */
void raft_send_taken(struct raft_core *core, struct raft_effects *effects)
{
    core->is_taken_due = core->saved_term != core->term && !CANARY(ACK_IN_VOLATILE_TERM);
    if (core->is_taken_due) {
        return; /* raft_on_term_saved */
    }
    core->leader_acked = acknowledgeable(core);
    struct msg_raft *reply = raft_send(core, effects, core->leader, MSG_RAFT_APPEND_REPLY);
    reply->index = core->leader_acked;
    reply->received = core->leader_match;
}

void raft_acknowledge(struct raft_core *core, struct raft_effects *effects)
{
    if (core->role == RAFT_FOLLOWER && core->leader != 0 &&
        acknowledgeable(core) > core->leader_acked) {
        raft_send_taken(core, effects);
    }
}

void raft_on_term_saved(struct raft_core *core, struct raft_effects *effects)
{
    bool is_due = core->is_taken_due && core->saved_term == core->term;
    if (is_due && core->role == RAFT_FOLLOWER && core->leader != 0) {
        raft_send_taken(core, effects);
    }
}

static void reject(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    uint64_t before = m->index - 1;
    uint64_t hint = raft_log_seek(&core->log, before, m->log_term);
    uint64_t hint_term = 0;
    (void)raft_log_term(&core->log, hint, &hint_term);
    struct msg_raft *reply = raft_send(core, effects, m->from, MSG_RAFT_APPEND_REPLY);
    reply->is_rejected = true;
    reply->index = m->index;
    reply->hint_index = hint;
    reply->hint_term = hint_term;
}

static int take_members(struct raft_core *core, const struct msg_raft_entry *entry)
{
    struct raft_configuration configuration;
    if (raft_members_decode(entry->body, &configuration) != 0) {
        return BASE_E_CORRUPT; /* the caller has looked at it before */
    }
    configuration.index = core->log.last_index;
    raft_members_set(core, &configuration, false);
    return 0;
}

/* Puts entries [skip..] behind the log, cutting off what contradicts them. */
static int take_entries(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m, uint32_t skip)
{
    uint64_t index = m->index + 1 + skip;
    if (index <= core->commit || index < core->log.first_index) {
        return BASE_E_CORRUPT; /* a leader that contradicts what is committed: somebody lost his
                                  disk */
    }
    uint64_t members_index = core->configuration.index;
    if (index <= core->log.last_index) {
        MARK(RAFT_TRUNCATE);
        if (index == core->commit + 1) {
            MARK(RAFT_TRUNCATE_AT_COMMIT);
        }
        if (core->persisted >= index) {
            MARK(RAFT_TRUNCATE_DURABLE);
        }
    }
    int rc = raft_members_truncate(core, index);
    raft_log_truncate(&core->log, index);
    core->persisted = core->persisted < index ? core->persisted : index - 1;
    core->unwritten_from = core->unwritten_from < index ? core->unwritten_from : index;
    for (uint32_t i = skip; i < m->entry_count && rc == 0; i++) {
        const struct msg_raft_entry *entry = &m->entries[i];
        rc = raft_log_append(&core->log, entry->term, entry->body.len, raft_settled(core));
        if (rc == 0 && entry->type == MSG_RAFT_ENTRY_MEMBERS) {
            rc = take_members(core, entry);
        }
    }
    if (rc != 0) {
        return rc;
    }
    if (members_index != core->configuration.index) {
        (void)raft_effect_add(effects, RAFT_EFFECT_MEMBERS);
    }
    struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_ENTRIES);
    effect->index = index;
    effect->skip = skip;
    raft_start_writes(core, effects);
    return 0;
}

/* Terms that begin in entries [skip..]. */
static uint32_t count_terms(const struct msg_raft *m, uint32_t skip)
{
    uint32_t terms = 1;
    for (uint32_t i = skip + 1; i < m->entry_count; i++) {
        terms += m->entries[i].term != m->entries[i - 1].term;
    }
    return terms;
}

/* How many of the message's entries we hold already. */
static uint32_t count_held(const struct raft_core *core, const struct msg_raft *m)
{
    uint32_t held = 0;
    while (held < m->entry_count) {
        uint64_t index = m->index + 1 + held;
        uint64_t term = 0;
        bool is_known = raft_log_term(&core->log, index, &term);
        /* What is so old that only the applied state has it is the same everywhere. */
        if (is_known ? term != m->entries[held].term : index > core->commit) {
            break;
        }
        held++;
    }
    return held;
}

void raft_on_append(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    BASE_ASSERT(core->leader == m->from);
    uint64_t prev_term = 0;
    bool is_known = raft_log_term(&core->log, m->index, &prev_term);
    if (is_known && prev_term != m->log_term && m->index <= core->commit) {
        raft_halt(core, effects, BASE_E_CORRUPT); /* it contradicts what is committed */
        return;
    }
    /* What the log no longer holds is committed, and the same everywhere. */
    bool is_matching = is_known ? prev_term == m->log_term : m->index < core->log.first_index;
    if (CANARY(SKIP_LOG_MATCHING) && is_known && prev_term < m->log_term) {
        is_matching = true;
    }
    if (!is_matching) {
        reject(core, effects, m);
        return;
    }
    uint32_t held = count_held(core, m);
    uint64_t upto = m->index + m->entry_count;
    if (held < m->entry_count &&
        !raft_log_make_room(&core->log, count_terms(m, held), raft_settled(core))) {
        return; /* when more is committed */
    }
    if (held < m->entry_count) {
        int rc = take_entries(core, effects, m, held);
        if (rc != 0) {
            raft_halt(core, effects, rc);
            return;
        }
    }
    if (upto > core->leader_match) {
        core->leader_match = upto;
    }
    raft_set_commit(core, effects, m->commit < core->leader_match ? m->commit : core->leader_match);
    if (m->entry_count == 0 || acknowledgeable(core) >= upto) {
        raft_send_taken(core, effects); /* else when it is durable */
    }
}

void raft_on_heartbeat(struct raft_core *core, struct raft_effects *effects,
                       const struct msg_raft *m)
{
    raft_set_commit(core, effects, m->commit);
    raft_send(core, effects, m->from, MSG_RAFT_HEARTBEAT_REPLY)->round = m->round;
}

void raft_on_commit(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    raft_set_commit(core, effects, m->commit);
}
