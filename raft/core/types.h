/* SPDX-License-Identifier: Apache-2.0 */
/* Words that the Raft core shares with everyone above it: roles, limits, members. */
#ifndef QUORATE_RAFT_CORE_TYPES_H
#define QUORATE_RAFT_CORE_TYPES_H

#include "base/types.h"

/* Voters and learners of one configuration; 3 to 5 voters are usual, the rest is room for a change.
 */
#define RAFT_MEMBERS_MAX 7
#define RAFT_CLIENT_URLS_MAX 4

enum raft_role {
    RAFT_FOLLOWER = 0,
    RAFT_PRE_CANDIDATE = 1, /* asks whether an election could be won; its term is unchanged */
    RAFT_CANDIDATE = 2,
    RAFT_LEADER = 3,
};

/* One quorum node as everybody knows it. */
struct raft_member {
    uint64_t id;     /* never 0; below 2^63, so that tools which print it as signed are right */
    bool is_learner; /* receives entries, does not count; always false for now */
    struct base_name name;
    struct base_text peer_url;
    uint8_t client_url_count;
    struct base_text client_urls[RAFT_CLIENT_URLS_MAX];
};

#endif
