/* SPDX-License-Identifier: Apache-2.0 */
/* A node with an empty directory asks the others who it is, before anything else of it runs.
 *
 * With quorum.state: existing it waits for a committed configuration with a member of its peer URL
 * that has not started yet: that member's id is its own. With quorum.state: new it asks for a
 * moment only, to find out whether this quorum is at work already: then it must not begin with an
 * empty disk under an id that may have voted. Loop thread. */
#ifndef QUORATE_ARBITER_QUORATED_JOIN_H
#define QUORATE_ARBITER_QUORATED_JOIN_H

#include "arbiter/quorated/member_frame.h"
#include "arbiter/quorated/settings.h"

struct quorated_join;

struct quorated_joined {
    int status; /* 0: go on with these ids; those of the settings when the quorum is new */
    uint64_t cluster_id;
    uint64_t node_id;
    struct raft_configuration others; /* count 0: not asked for */
    char text[640];                   /* why this node must not start */
};

struct quorated_join_options {
    const struct quorated_settings *settings;
    struct io_tls *tls;
    uint64_t node_id; /* not 0: it has joined before, and knows its id but not the others */
    void *ctx;
    /* Once, from the loop. */
    void (*done)(void *ctx, const struct quorated_joined *joined);
};

MUST_CHECK int quorated_join_start(struct io_loop *loop,
                                   const struct quorated_join_options *options,
                                   struct quorated_join **ret, struct io_why *why);
/* NULL is fine; also from inside done. Returns NULL. */
struct quorated_join *quorated_join_free(struct quorated_join *join);

#endif
