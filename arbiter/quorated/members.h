/* SPDX-License-Identifier: Apache-2.0 */
/* Who belongs to the quorum, as a running node sees it: links follow the configuration, the own
 * name and client URLs are published into it, nodes that are no members are told so, and a node
 * that was removed ends. Loop thread. */
#ifndef QUORATE_ARBITER_QUORATED_MEMBERS_H
#define QUORATE_ARBITER_QUORATED_MEMBERS_H

#include "arbiter/quorated/member_frame.h"
#include "arbiter/quorated/settings.h"
#include "raft/node.h"

struct quorated_members {
    struct io_links *links;
    struct raft_node *node;
    uint64_t cluster_id;
    struct raft_member self; /* id, name and client URLs as they shall stand */
    uint64_t linked[IO_LINK_NODES_MAX];
    size_t linked_count;
    uint64_t last_cookie;
    struct base_mono publish_at; /* not again before */
    bool was_member;             /* of a configuration seen in this life, the newest of them at: */
    uint64_t member_at;
    bool is_ended;
    /* Set by the owner: this life began with an empty directory, and knows all whom it heard. */
    bool is_first_life;
    uint64_t heard[2 * RAFT_MEMBERS_MAX];
    size_t heard_count;
    /* This node is no member any more; `text` says so and what to do. Once. */
    void (*removed)(void *ctx, const char *text);
    void *ctx;
};

/* A node that has just joined: whom it may hear of the rest. */
void quorated_members_learned(struct quorated_members *m, const struct raft_configuration *others);
/* The configuration may have changed, or the node has started. */
void quorated_members_changed(struct quorated_members *m);
/* Every 50 ms or so. */
void quorated_members_tick(struct quorated_members *m);
/* A frame NET_FRAME_MEMBER from a node; `up` of a node's link. */
void quorated_members_receive(struct quorated_members *m, uint64_t link,
                              const struct net_identity *from, struct slice payload);
void quorated_members_up(struct quorated_members *m, uint64_t link, const struct net_identity *who);

#endif
