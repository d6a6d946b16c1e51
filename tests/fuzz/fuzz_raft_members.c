/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a configuration: what is read is sound and written again the same. */
#include "raft/core/members.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct raft_configuration configuration;
    static uint8_t memory[RAFT_MEMBERS_BYTES_MAX];
    struct buf out = buf_over(memory, sizeof(memory));
    if (raft_members_decode(slice_from(data, size), &configuration) == 0) {
        int rc = raft_members_encode(&configuration, &out);
        BASE_ASSERT(raft_members_are_sound(&configuration));
        BASE_ASSERT(rc == 0 && slice_equal(buf_slice(&out), slice_from(data, size)));
    }
    return 0;
}
