/* SPDX-License-Identifier: Apache-2.0 */
/* Majority arithmetic. */
#include "raft/core/quorum.h"

#include "base/assert.h"

size_t raft_quorum_size(size_t voters)
{
    BASE_ASSERT(voters >= 1);
    return voters / 2 + 1;
}

uint64_t raft_quorum_reached_by(const uint64_t *values, size_t count, size_t needed)
{
    BASE_ASSERT(count <= RAFT_MEMBERS_MAX);
    uint64_t best = 0;
    for (size_t i = 0; i < count; i++) {
        size_t reached_by = 0;
        for (size_t j = 0; j < count; j++) {
            reached_by += values[j] >= values[i];
        }
        if (reached_by >= needed && values[i] > best) {
            best = values[i];
        }
    }
    return best;
}

uint64_t raft_quorum_reached(const uint64_t *values, size_t count)
{
    BASE_ASSERT(count >= 1);
    return raft_quorum_reached_by(values, count, raft_quorum_size(count));
}
