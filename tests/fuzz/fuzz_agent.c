/* SPDX-License-Identifier: Apache-2.0 */
/* Reports and orders of agents, and the arbiter's record: what is read can be written, and read
 * again as the same. */
#include "proto/wire/agent.h"
#include "tests/fuzz/fuzz.h"

#define ROUND_TRIP(what) \
    static void try_##what(struct slice in) \
    { \
        static struct msg_##what first, second; \
        static uint8_t bytes[2][WIRE_AGENT_BYTES_MAX]; \
        struct buf out = buf_over(bytes[0], sizeof(bytes[0])); \
        struct buf again = buf_over(bytes[1], sizeof(bytes[1])); \
        if (wire_##what##_decode(in, &first) != 0 || wire_##what##_encode(&first, &out) != 0) { \
            return; \
        } \
        int rc = wire_##what##_decode(buf_slice(&out), &second); \
        BASE_ASSERT(rc == 0); \
        rc = wire_##what##_encode(&second, &again); \
        BASE_ASSERT(rc == 0 && slice_equal(buf_slice(&out), buf_slice(&again))); \
    }
ROUND_TRIP(report)
ROUND_TRIP(order)
ROUND_TRIP(record)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    switch (fuzz_u8(&in) % 3) {
    case 0:
        try_report(in);
        break;
    case 1:
        try_order(in);
        break;
    default:
        try_record(in);
        break;
    }
    return 0;
}
