/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of links in any chunks, raw or with a right header, and the hello. */
#include "proto/io/link_frame.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    uint64_t sum;
    uint64_t frames;
};

static bool frame(void *ctx, struct slice payload)
{
    struct seen *seen = ctx;
    struct link_hello hello, second;
    uint8_t memory[LINK_HELLO_MAX];
    struct buf again = buf_over(memory, sizeof(memory));
    for (size_t i = 0; i < payload.len; i++) {
        seen->sum = seen->sum * 31 + payload.data[i];
    }
    seen->frames++;
    if (link_hello_read(payload, &hello) == 0) {
        link_hello_put(&hello, &again); /* without what a newer version has added */
        int rc = link_hello_read(buf_slice(&again), &second);
        BASE_ASSERT(rc == 0 && memcmp(&hello.token, &second.token, sizeof(hello.token)) == 0);
        BASE_ASSERT(hello.node_id == second.node_id && hello.role == second.role);
        BASE_ASSERT(hello.version == second.version && hello.oldest == second.oldest);
    }
    return true;
}

static int feed(struct slice bytes, size_t chunk, struct seen *ret)
{
    struct link_reader reader = {.frame_max = NET_FRAME_MAX};
    struct io_why why;
    int rc = 0;
    while (rc == 0 && bytes.len > 0) {
        rc = link_reader_feed(&reader, fuzz_bytes(&bytes, chunk), frame, ret, &why);
    }
    link_reader_free(&reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    struct seen whole = {0};
    struct seen pieces = {0};
    size_t len = (how & 1) != 0 ? in.len + LINK_HEADER : in.len;
    uint8_t *bytes = malloc(len + 1);
    BASE_ASSERT(bytes != NULL);
    if ((how & 1) != 0) {
        link_frame_header(in, bytes);
    }
    if (in.len > 0) {
        memcpy(bytes + (len - in.len), in.data, in.len);
    }
    int a = feed(slice_from(bytes, len), len + 1, &whole);
    int b = feed(slice_from(bytes, len), (how >> 1) % 16 + 1u, &pieces);
    BASE_ASSERT(a == b && whole.sum == pieces.sum && whole.frames == pieces.frames);
    BASE_ASSERT((how & 1) == 0 || len == LINK_HEADER || whole.frames == 1);
    free(bytes);
    return 0;
}
