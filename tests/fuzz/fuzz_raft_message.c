/* SPDX-License-Identifier: Apache-2.0 */
/* Raft messages: what is read can be written, and read again as the same. */
#include "proto/wire/raft.h"
#include "tests/fuzz/fuzz.h"

static uint8_t memory[3][1u << 20];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_arena arena[2];
    struct wire_arena scratch;
    struct msg_raft first;
    struct msg_raft second;
    static uint8_t bytes[2][1u << 19];
    struct buf out = buf_over(bytes[0], sizeof(bytes[0]));
    struct buf again = buf_over(bytes[1], sizeof(bytes[1]));
    wire_arena_init(&arena[0], memory[0], sizeof(memory[0]));
    wire_arena_init(&arena[1], memory[1], sizeof(memory[1]));
    wire_arena_init(&scratch, memory[2], sizeof(memory[2]));
    if (wire_raft_decode(slice_from(data, size), &arena[0], &first) != 0 ||
        wire_raft_encode(&first, &scratch, &out) != 0) {
        return 0;
    }
    int rc = wire_raft_decode(buf_slice(&out), &arena[1], &second);
    BASE_ASSERT(rc == 0);
    rc = wire_raft_encode(&second, &scratch, &again);
    BASE_ASSERT(rc == 0 && slice_equal(buf_slice(&out), buf_slice(&again)));
    return 0;
}
