/* SPDX-License-Identifier: Apache-2.0 */
/* Images: raw bytes, and images that our writer made of a script, with some bytes changed or cut.
 * A damaged one is never taken for a whole one; any chunks give the same. */
#include "raft/snapshot_format.h"
#include "tests/fuzz/fuzz.h"

#define IMAGE_MAX ((size_t)64 << 10)

static uint8_t writer_memory[SNAPSHOT_BLOCK_MAX];
static uint8_t reader_memory[SNAPSHOT_BLOCK_MAX];
static uint8_t image[IMAGE_MAX], damaged[IMAGE_MAX];

struct seen {
    uint64_t sum, rows;
};

static int see_row(void *ctx, enum store_table table, struct slice key, struct slice value)
{
    struct seen *seen = ctx;
    BASE_ASSERT(table < STORE_TABLE_COUNT && key.len > 0 && key.len <= STORE_KEY_MAX);
    seen->sum = seen->sum * 31 + (uint64_t)table + key.len * 7 + value.len;
    for (size_t i = 0; i < value.len; i++) {
        seen->sum = seen->sum * 37 + value.data[i];
    }
    seen->rows++;
    return 0;
}

static int read_all(struct slice bytes, size_t chunk, struct seen *ret)
{
    struct snapshot_visitor visitor = {.ctx = ret, .row = see_row};
    struct snapshot_reader reader = snapshot_reader_over(reader_memory, visitor);
    int rc = 0;
    while (rc == 0 && bytes.len > 0) {
        rc = snapshot_reader_take(&reader, fuzz_bytes(&bytes, chunk));
    }
    return rc != 0 ? rc : snapshot_reader_end(&reader);
}

static size_t add(size_t len, struct slice bytes)
{
    BASE_ASSERT(len + bytes.len <= IMAGE_MAX);
    if (bytes.len > 0) {
        memcpy(image + len, bytes.data, bytes.len);
    }
    return len + bytes.len;
}

static size_t make(struct slice *in, uint64_t *ret_rows)
{
    struct snapshot_writer writer = snapshot_writer_over(writer_memory);
    struct snapshot_head head = {.cluster_id = 1, .index = fuzz_u16(in), .term = 2};
    size_t len = add(0, snapshot_writer_head(&writer, &head));
    uint64_t count = fuzz_u8(in) % 64u;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[4];
        struct buf k = buf_over(key, sizeof(key));
        struct slice out = SLICE_EMPTY;
        buf_put_u32_be(&k, i + 1);
        int rc = snapshot_writer_row(&writer, i < count / 2 ? STORE_KV_REVS : STORE_AUTH,
                                     buf_slice(&k), fuzz_bytes(in, fuzz_u8(in)), &out);
        BASE_ASSERT(rc == 0);
        len = add(len, out);
    }
    *ret_rows = count;
    len = add(len, snapshot_writer_flush(&writer));
    return add(len, snapshot_writer_end(&writer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    struct seen whole = {0}, pieces = {0};
    if (how < 64) {
        int a = read_all(in, in.len + 1, &whole);
        int b = read_all(in, how % 16u + 1u, &pieces);
        BASE_ASSERT(a == b && whole.sum == pieces.sum);
        return 0;
    }
    uint64_t rows = 0;
    size_t len = make(&in, &rows);
    int rc = read_all(slice_from(image, len), how, &whole);
    BASE_ASSERT(rc == 0 && whole.rows == rows);
    memcpy(damaged, image, len);
    for (int i = 0; i < how % 8; i++) {
        damaged[fuzz_u16(&in) % len] ^= fuzz_u8(&in);
    }
    size_t cut = how % 3u == 0 ? fuzz_u16(&in) % (len + 1) : len;
    bool is_same = cut == len && memcmp(damaged, image, len) == 0;
    rc = read_all(slice_from(damaged, cut), how, &pieces);
    BASE_ASSERT((rc == 0) == is_same);
    return 0;
}
