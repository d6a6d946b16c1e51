/* SPDX-License-Identifier: Apache-2.0 */
/* Majority arithmetic. Pure; the only place that knows how many make a quorum. */
#ifndef QUORATE_RAFT_CORE_QUORUM_H
#define QUORATE_RAFT_CORE_QUORUM_H

#include "raft/core/types.h"

/* Smallest number of `voters` any two groups of which have a member in common. voters >= 1. */
size_t raft_quorum_size(size_t voters);
/* Highest value that `needed` of `count` have reached; 0 when they are fewer. */
uint64_t raft_quorum_reached_by(const uint64_t *values, size_t count, size_t needed);
/* Highest value that a majority of the voters has reached. count in [1, RAFT_MEMBERS_MAX]. */
uint64_t raft_quorum_reached(const uint64_t *values, size_t count);

#endif
