/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out what the core wants, in the order of the list (the contract stands in
 * raft/core/core.h). */
#include "base/assert.h"
#include "base/canary.h"
#include "base/failpoint.h"
#include "raft/node_internal.h"

bool node_send(struct raft_node *node, struct msg_raft *message,
               const struct msg_raft_entry *entries)
{
    message->entries = entries;
    buf_reset(&node->frame);
    buf_put_u8(&node->frame, NET_FRAME_RAFT);
    if (wire_raft_encode(message, &node->arena, &node->frame) != 0) {
        return false;
    }
    return FAILPOINT(SEND) == 0 &&
           node->ports.net.send(node->ports.net.ctx, message->to, buf_slice(&node->frame));
}

static bool are_in_ring(const struct raft_node *node, const struct msg_raft *message)
{
    for (uint32_t i = 0; i < message->entry_count; i++) {
        if (entry_ring_find(&node->ring, message->index + 1 + i) == NULL) {
            return false;
        }
    }
    return true;
}

static void mark_unreachable(struct raft_node *node, uint64_t id)
{
    for (size_t i = 0; i < node->core.peer_count; i++) {
        if (node->core.peers[i].id == id) {
            node->unreachable |= 1u << i;
        }
    }
}

static void carry_send(struct raft_node *node, struct raft_effect *effect)
{
    struct msg_raft *message = &effect->message;
    if (!are_in_ring(node, message)) {
        node_submit_fetch(node, message);
        return;
    }
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct ring_record *record = entry_ring_find(&node->ring, message->index + 1 + i);
        node->entries[i] = (struct msg_raft_entry){.term = record->term,
                                                   .type = (enum msg_raft_entry_type)record->type,
                                                   .body = entry_ring_body(record)};
    }
    if (!node_send(node, message, node->entries)) {
        mark_unreachable(node, message->to);
    }
}

static void carry_entry(struct raft_node *node, const struct raft_effect *effect)
{
    struct msg_raft_entry entry = {.term = effect->term, .type = effect->entry_type};
    size_t size = entry_ring_size_of(0);
    if (effect->entry_type != MSG_RAFT_ENTRY_NOOP) {
        entry.body = node->proposal; /* raft_node_propose or _change_members has made room */
    } else if (!entry_ring_make_room(&node->ring, size, size)) {
        node->failure = BASE_E_NOSPACE;
        return;
    }
    (void)entry_ring_put(&node->ring, effect->index, &entry);
}

/* raft_node_receive has made room for all of them. */
static void carry_entries(struct raft_node *node, const struct raft_effect *effect)
{
    const struct msg_raft *message = node->message;
    entry_ring_truncate(&node->ring, effect->index, node->last_before);
    for (uint32_t i = effect->skip; i < message->entry_count; i++) {
        (void)entry_ring_put(&node->ring, message->index + 1 + i, &message->entries[i]);
    }
}

static void carry_role(struct raft_node *node)
{
    node->is_role_due = true;
    node->was_own_term_applied = false;
    bool is_asking = node->core.role == RAFT_CANDIDATE;
    if (CANARY(CANDIDACY_CLOCK) ? is_asking : node->core.role == RAFT_LEADER) {
        node->elected_at = node->ports.clock.now(node->ports.clock.ctx);
    }
    if (node->proposals.count > 0) {
        node->are_proposals_lost = true; /* its leadership, or that of its term, is over */
    }
    if (node->change.cookie != 0) {
        bool is_committed = node->core.commit >= node->change.index &&
                            raft_core_log_term(&node->core, node->change.index) ==
                                node->change.term; /* it has removed itself */
        node_change_end(&node->change, is_committed ? 0 : BASE_E_CANCELED);
    }
    node_snapshot_role_changed(node);
}

static void carry_members(struct raft_node *node)
{
    node->are_members_due = true;
    node_snapshot_role_changed(node);
}

static void carry_halt(struct raft_node *node, int status)
{
    node->status = status;
    node->is_halted_due = true;
    node->is_role_due = true;
    node->are_proposals_lost = node->proposals.count > 0;
    node_reads_lost(node);
    node_change_end(&node->change, BASE_E_CANCELED);
    node_change_end(&node->transfer, BASE_E_CANCELED);
    node_snapshot_end(node);
}

/* Images, and the log behind them. */
static void carry_out_image(struct raft_node *node, const struct raft_effect *effect)
{
    if (effect->type == RAFT_EFFECT_TRIM) {
        node_submit_trim(node, effect->index);
    } else if (effect->type == RAFT_EFFECT_SNAPSHOT) {
        node_snapshot_wanted(node, effect->id);
    } else if (effect->type == RAFT_EFFECT_CHUNK) {
        node_snapshot_chunk(node, node->message);
    } else if (effect->type == RAFT_EFFECT_INSTALL) {
        node_image_wanted(node, effect->index, effect->term);
    } else {
        node_snapshot_discard(node);
    }
}

static void carry_out(struct raft_node *node, struct raft_effect *effect)
{
    switch (effect->type) {
    case RAFT_EFFECT_SAVE_STATE:
        node_submit_state(node, effect->term, effect->vote);
        break;
    case RAFT_EFFECT_ENTRY:
        carry_entry(node, effect);
        break;
    case RAFT_EFFECT_ENTRIES:
        carry_entries(node, effect);
        break;
    case RAFT_EFFECT_WRITE:
        node_submit_write(node, effect);
        break;
    case RAFT_EFFECT_SEND:
        carry_send(node, effect);
        break;
    case RAFT_EFFECT_COMMIT:
        break; /* node_submit_apply below looks at the index itself */
    case RAFT_EFFECT_CONFIRMED:
        node_confirms_ready(node, effect->id);
        break;
    case RAFT_EFFECT_READ_READY:
        node_reads_ready(node, effect->id, effect->index);
        break;
    case RAFT_EFFECT_READ_LOST:
        node_reads_lost(node);
        break;
    case RAFT_EFFECT_ROLE:
        carry_role(node);
        break;
    case RAFT_EFFECT_HALT:
        carry_halt(node, effect->status);
        break;
    case RAFT_EFFECT_MEMBERS:
        carry_members(node);
        break;
    case RAFT_EFFECT_TRANSFER_ENDED:
        node_change_end(&node->transfer, effect->status);
        break;
    case RAFT_EFFECT_TRIM:
    case RAFT_EFFECT_SNAPSHOT:
    case RAFT_EFFECT_CHUNK:
    case RAFT_EFFECT_INSTALL:
    case RAFT_EFFECT_DISCARD:
        carry_out_image(node, effect);
        break;
    }
}

static void tell_unreachable(struct raft_node *node)
{
    for (size_t i = 0; i < node->core.peer_count && node->unreachable != 0; i++) {
        if ((node->unreachable & 1u << i) != 0) {
            struct raft_event event = {.type = RAFT_EVENT_UNREACHABLE,
                                       .now = {node->core.now_us},
                                       .peer = node->core.peers[i].id};
            int rc = raft_core_step(&node->core, &event, &node->effects);
            BASE_ASSERT(rc == 0 || rc == BASE_E_STATE);
            BASE_ASSERT(node->effects.count == 0);
        }
    }
    node->unreachable = 0;
}

static void carry_out_all(struct raft_node *node)
{
    for (uint32_t i = 0; i < node->effects.count && node->failure == 0; i++) {
        struct raft_effect *effect = &node->effects.list[i];
        if (!node->core.is_halted || effect->type == RAFT_EFFECT_HALT) {
            carry_out(node, effect);
        }
    }
}

void node_fail(struct raft_node *node, int status)
{
    struct raft_event event = {
        .type = RAFT_EVENT_STORE_FAILED, .now = {node->core.now_us}, .status = status};
    if (raft_core_step(&node->core, &event, &node->effects) == 0) {
        carry_out_all(node);
    }
}

int node_step(struct raft_node *node, const struct raft_event *event)
{
    node->last_before = node->core.log.last_index;
    raft_core_forget_memory(&node->core, node->ring.first_live);
    int rc = raft_core_step(&node->core, event, &node->effects);
    if (rc != 0) {
        return rc;
    }
    uint64_t ticket = node->effects.ticket;
    node->ring.durable = node->core.persisted;
    carry_out_all(node);
    tell_unreachable(node);
    if (node->failure != 0) {
        int failure = node->failure;
        node->failure = 0;
        node_fail(node, failure);
        return 0;
    }
    node->effects.ticket = ticket;
    node_submit_apply(node);
    return 0;
}

void node_step_sure(struct raft_node *node, const struct raft_event *event)
{
    int rc = node_step(node, event);
    BASE_ASSERT(rc == 0 || rc == BASE_E_STATE);
}
