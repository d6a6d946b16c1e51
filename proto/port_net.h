/* SPDX-License-Identifier: Apache-2.0 */
/* Port: sending frames to the other end of a link.
 *
 * A link is an authenticated, ordered but unreliable way to one other process: frames may be lost
 * when the connection breaks, never torn or altered. A quorum node reaches its peers by their node
 * id; agents are reached by the link number that their connection was given when it was accepted,
 * and agents reach quorum nodes by node id. What arrives is handed to the glue's receive function
 * with the identity that the TLS certificate proved (or, with --insecure on loopback, claimed).
 */
#ifndef QUORATE_PROTO_PORT_NET_H
#define QUORATE_PROTO_PORT_NET_H

#include "base/slice.h"
#include "base/types.h"

#define NET_FRAME_MAX (4u << 20) /* bytes of payload in one frame */

/* First byte of each frame's payload. Numbers are never reused. */
enum net_frame {
    NET_FRAME_RAFT = 1,   /* proto/msg/raft.h, peer to peer */
    NET_FRAME_REPORT = 2, /* proto/msg/agent.h struct msg_report, agent to quorum node */
    NET_FRAME_ORDER = 3,  /* proto/msg/agent.h struct msg_order, quorum node to agent */
    NET_FRAME_KV = 4,     /* kv/service.c, peer to peer: a write passed on to the leader */
    NET_FRAME_MEMBER =
        5, /* arbiter/quorated/member_frame.h: joining, and what a member is called */
    NET_FRAME_CONFIG = 6, /* proto/msg/agent.h struct msg_config, quorum node to agent */
};

enum net_role {
    NET_ROLE_NONE,
    NET_ROLE_NODE,
    NET_ROLE_AGENT,
    NET_ROLE_ADMIN,
    NET_ROLE_VIEWER,
    NET_ROLE_MEMBER
};

/* Who is at the other end. */
struct net_identity {
    enum net_role role;
    uint64_t node_id;         /* NODE */
    struct base_name cluster; /* AGENT */
    struct base_name member;  /* AGENT */
};

struct net_port {
    void *ctx;
    /* Copies and queues one frame (payload with its type byte first). False when the link is down
     * or its queue is full: the frame is dropped, the sender's own retries bring it again. Never
     * blocks. */
    bool (*send)(void *ctx, uint64_t link, struct slice payload);
};

#endif
