/* SPDX-License-Identifier: Apache-2.0 */
/* State of the image transfers of one node; part of struct raft_node. What is called of it stands
 * in raft/node_internal.h. */
#ifndef QUORATE_RAFT_NODE_SNAPSHOT_H
#define QUORATE_RAFT_NODE_SNAPSHOT_H

#include "raft/port_snapshot.h"

struct node_snapshot {
    uint64_t peer; /* to which an image is being sent; 0: none */
};

#endif
