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
    bool is_learner; /* receives entries, does not count */
    struct base_name name; /* empty until the member has started for the first time */
    struct base_text peer_url;
    uint8_t client_url_count;
    struct base_text client_urls[RAFT_CLIENT_URLS_MAX];
};

/* Who belongs to the quorum, from log index `index` on (0: given at the first start). In force as
 * soon as the entry stands in the log, committed or not (T 4.1). Ids are unique. */
struct raft_configuration {
    uint64_t index;
    uint32_t count; /* 1 to RAFT_MEMBERS_MAX, one voter at least */
    struct raft_member members[RAFT_MEMBERS_MAX];
};

#endif
