/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the state on their way between nodes. */
#include "raft/node_internal.h"

void node_snapshot_wanted(struct raft_node *node, uint64_t peer)
{
    node->snapshot.peer = peer;
}

void node_snapshot_chunk(struct raft_node *node, const struct msg_raft *message)
{
    (void)node;
    (void)message;
}

void node_snapshot_install(struct raft_node *node, uint64_t index, uint64_t term)
{
    (void)node;
    (void)index;
    (void)term;
}

void node_snapshot_discard(struct raft_node *node)
{
    (void)node;
}

void node_snapshot_role_changed(struct raft_node *node)
{
    node->snapshot.peer = 0;
}

void node_snapshot_end(struct raft_node *node)
{
    node->snapshot.peer = 0;
}

void node_snapshot_installed(struct raft_node *node, uint64_t index, int status)
{
    (void)node;
    (void)index;
    (void)status;
}

void node_snapshot_reply(struct raft_node *node, const struct msg_raft *message)
{
    (void)node;
    (void)message;
}

uint64_t node_snapshot_keeps(const struct raft_node *node)
{
    (void)node;
    return UINT64_MAX;
}
