/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in the node: proposals for their apply, reads for a round and an index, confirmations
 * for a round; and the callbacks that end them. */
#include "base/assert.h"
#include "base/canary.h"
#include "raft/node_internal.h"

void node_proposal_add(struct raft_node *node, uint64_t index, uint64_t cookie, size_t bytes)
{
    BASE_ASSERT(node->proposals.count < node->proposals.cap);
    uint32_t at = node_fifo_at(&node->proposals, node->proposals.count++);
    node->proposal_list[at] = (struct node_proposal){
        .index = index, .term = node->core.term, .cookie = cookie, .bytes = bytes};
    node->proposal_bytes += bytes;
}

static void pop_proposal(struct raft_node *node)
{
    node->proposal_bytes -= node->proposal_list[node->proposals.begin].bytes;
    node_fifo_pop(&node->proposals);
}

uint64_t node_proposal_take(struct raft_node *node, uint64_t index, uint64_t term)
{
    if (node->are_proposals_lost || node->proposals.count == 0) {
        return 0;
    }
    const struct node_proposal *first = &node->proposal_list[node->proposals.begin];
    if (first->index != index || first->term != term) {
        return 0;
    }
    pop_proposal(node);
    return first->cookie;
}

void node_reads_ready(struct raft_node *node, uint64_t ticket, uint64_t index)
{
    for (uint32_t i = 0; i < node->reads.count; i++) {
        struct node_read *read = &node->read_list[node_fifo_at(&node->reads, i)];
        if (read->state == NODE_READ_ASKED && read->ticket <= ticket) {
            read->state = NODE_READ_READY;
            read->index = index;
        }
    }
}

/* Lists of confirmations are short: one per database cluster and heartbeat at most. */
static void append_confirms(struct raft_confirm **list, struct raft_confirm *more)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = more;
}

void node_confirm_add(struct raft_node *node, struct raft_confirm *confirm)
{
    confirm->next = NULL;
    append_confirms(&node->confirms, confirm);
}

void node_confirms_ready(struct raft_node *node, uint64_t ticket)
{
    while (node->confirms != NULL && node->confirms->ticket <= ticket) {
        struct raft_confirm *confirm = node->confirms;
        node->confirms = confirm->next;
        confirm->next = NULL;
        append_confirms(&node->confirms_ready, confirm);
    }
}

void node_reads_lost(struct raft_node *node)
{
    for (uint32_t i = 0; i < node->reads.count; i++) {
        struct node_read *read = &node->read_list[node_fifo_at(&node->reads, i)];
        if (read->state == NODE_READ_ASKED) {
            read->state = NODE_READ_LOST;
        }
    }
    append_confirms(&node->confirms_lost, node->confirms);
    node->confirms = NULL;
}

static bool drain_read(struct raft_node *node)
{
    if (node->reads.count == 0) {
        return false;
    }
    struct node_read read = node->read_list[node->reads.begin];
    bool is_lost = read.state == NODE_READ_LOST || node->core.is_halted;
    bool is_ready =
        read.state == NODE_READ_READY && (node->applied >= read.index || CANARY(READ_BEFORE_APPLY));
    if (!is_lost && !is_ready) {
        return false;
    }
    node_fifo_pop(&node->reads);
    node->machine.read_ready(node->machine.ctx, read.cookie, is_ready ? 0 : BASE_E_NOTLEADER);
    return true;
}

static bool drain_confirms(struct raft_confirm **list, int status)
{
    struct raft_confirm *confirm = *list;
    if (confirm == NULL) {
        return false;
    }
    *list = confirm->next;
    confirm->next = NULL;
    confirm->done(confirm, status);
    return true;
}

static bool drain_dropped(struct raft_node *node)
{
    if (!node->are_proposals_lost) {
        return false;
    }
    if (node->proposals.count == 0) {
        node->are_proposals_lost = false;
        return false;
    }
    uint64_t cookie = node->proposal_list[node->proposals.begin].cookie;
    pop_proposal(node);
    node->machine.dropped(node->machine.ctx, cookie, BASE_E_CANCELED);
    return true;
}

void node_change_end(struct node_change *change, int status)
{
    if (change->cookie != 0 && !change->is_due) {
        change->is_due = true;
        change->status = status;
    }
}

static bool drain_change(struct raft_node *node, struct node_change *change)
{
    struct node_change ended = *change;
    if (!ended.is_due) {
        return false;
    }
    *change = (struct node_change){0};
    if (node->machine.changed != NULL) {
        node->machine.changed(node->machine.ctx, ended.cookie, ended.status);
    }
    return true;
}

static bool drain_state_flags(struct raft_node *node)
{
    const struct raft_machine *machine = &node->machine;
    if (node->is_restored_due) {
        node->is_restored_due = false;
        if (machine->restored != NULL) {
            machine->restored(machine->ctx, node->applied);
        }
        return true;
    }
    if (node->are_members_due && node->is_started && !node->is_started_due) {
        node->are_members_due = false;
        if (machine->members_changed != NULL) {
            machine->members_changed(machine->ctx);
        }
        return true;
    }
    return false;
}

static bool drain_flags(struct raft_node *node)
{
    const struct raft_machine *machine = &node->machine;
    if (node->is_started_due) {
        node->is_started_due = false;
        if (machine->started != NULL) {
            machine->started(machine->ctx, node->status);
        }
        return true;
    }
    if (node->is_role_due) {
        node->is_role_due = false;
        if (machine->role_changed != NULL) {
            machine->role_changed(machine->ctx);
        }
        return true;
    }
    if (node->is_halted_due) {
        node->is_halted_due = false;
        if (machine->halted != NULL) {
            machine->halted(machine->ctx, node->status);
        }
        return true;
    }
    return false;
}

void node_drain(struct raft_node *node)
{
    if (node->is_draining) {
        return;
    }
    node->is_draining = true;
    while (drain_dropped(node) || drain_state_flags(node) || drain_flags(node) ||
           drain_change(node, &node->change) || drain_change(node, &node->transfer) ||
           drain_confirms(&node->confirms_ready, 0) ||
           drain_confirms(&node->confirms_lost, BASE_E_NOTLEADER) || drain_read(node)) {
    }
    node->is_draining = false;
}

static bool is_anything_due(const struct raft_node *node)
{
    const struct node_read *read = &node->read_list[node->reads.begin];
    return node->is_restored_due || node->are_members_due || node->change.is_due ||
           node->transfer.is_due || node->is_role_due || node->is_halted_due ||
           node->are_proposals_lost || node->confirms_lost != NULL ||
           node->confirms_ready != NULL ||
           (node->reads.count > 0 && read->state != NODE_READ_ASKED);
}

void node_drain_later(struct raft_node *node)
{
    if (!node->is_draining && is_anything_due(node)) {
        node_submit_poke(node);
    }
}
