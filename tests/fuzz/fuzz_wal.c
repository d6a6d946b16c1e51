/* SPDX-License-Identifier: Apache-2.0 */
/* The log's files: raw bytes as a file, or files that our store wrote by a script, with bytes
 * changed. Opening never crashes; what it reads was written, and what is missing is missing at the
 * end only, or said. */
#include <stdio.h>

#include "raft/wal_format.h"
#include "raft/wal_log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wal_disk.h"

#define SEGMENT_BYTES (4u << 10)
#define BATCHES 24u

struct state {
    uint64_t sums[BATCHES + 1]; /* of the state after so many batches */
    uint32_t count;
};

static int sum_row(void *ctx, struct slice key, struct slice value)
{
    uint64_t *sum = ctx;
    for (size_t i = 0; i < key.len; i++) {
        *sum = *sum * 31 + key.data[i];
    }
    for (size_t i = 0; i < value.len; i++) {
        *sum = *sum * 37 + value.data[i];
    }
    *sum = *sum * 41 + value.len + 1;
    return 0;
}

static int state_sum(struct wal_log *log, uint64_t *ret)
{
    *ret = 0;
    int rc = store_scan(wal_log_txn(log), STORE_META, SLICE_EMPTY, sum_row, ret);
    rc = rc != 0 ? rc : store_scan(wal_log_txn(log), STORE_LOG, SLICE_EMPTY, sum_row, ret);
    wal_log_job_end(log);
    return rc;
}

static struct wal_log *open_log(struct disk *disk)
{
    struct wal_log_options options = {
        .io = disk_io(disk), .segment_bytes = SEGMENT_BYTES, .fresh_id = 4711};
    struct wal_log *log = NULL;
    char text[WAL_LOG_TEXT_MAX] = "";
    int rc = wal_log_open(&options, &log, text);
    BASE_ASSERT(rc == 0 || text[0] != 0);
    return rc == 0 ? log : NULL;
}

static int put_number(struct wal_log *log, enum store_table table, uint64_t number,
                      struct slice value)
{
    uint8_t key[8];
    struct buf k = buf_over(key, sizeof(key));
    buf_put_u64_be(&k, number);
    return store_put(wal_log_txn(log), table, buf_slice(&k), value);
}

static void write_batches(struct wal_log *log, struct slice *in, struct state *state)
{
    uint64_t last = 0;
    uint64_t count = fuzz_u8(in) % BATCHES;
    int rc = state_sum(log, &state->sums[0]);
    for (uint32_t i = 1; i <= count && rc == 0; i++) {
        uint8_t how = fuzz_u8(in);
        rc = put_number(log, STORE_META, 1, slice_from(&i, sizeof(i)));
        for (unsigned n = how % 8u; n > 0 && rc == 0; n--) {
            rc = put_number(log, STORE_LOG, ++last, fuzz_bytes(in, fuzz_u8(in)));
        }
        wal_log_job_end(log);
        rc = rc != 0 ? rc : state_sum(log, &state->sums[i]);
        rc = rc != 0 ? rc : wal_log_commit(log);
        bool has_more = true;
        while (rc == 0 && has_more) {
            rc = wal_log_prepare(log, false, &has_more);
        }
        state->count = i;
    }
    BASE_ASSERT(rc == 0);
}

static void damage(struct disk *disk, struct slice *in)
{
    for (unsigned n = fuzz_u8(in) % 8u; n > 0; n--) {
        struct disk_file *file = &disk->files[fuzz_u8(in) % (unsigned)disk->file_count];
        uint32_t at = fuzz_u16(in);
        uint8_t with = fuzz_u8(in);
        if (file->size > 0) {
            file->now[at % file->size] ^= with;
        }
        if (with == 7) {
            file->size = at % (file->size + 1);
        }
    }
}

static void raw(struct disk *disk, struct slice in)
{
    struct wal_io io = disk_io(disk);
    int file = io.open(io.ctx, "wal-0000000000000001.seg", true);
    size_t len = in.len < DISK_FILE_BYTES ? in.len : DISK_FILE_BYTES;
    if (file >= 0 && len > 0) {
        int rc = io.pwrite(io.ctx, file, in.data, len, 0);
        BASE_ASSERT(rc == 0);
    }
    (void)wal_log_free(open_log(disk));
}

static void scripted(struct disk *disk, struct slice in)
{
    static struct state state;
    memset(&state, 0, sizeof(state));
    struct wal_log *log = open_log(disk);
    BASE_ASSERT(log != NULL);
    write_batches(log, &in, &state);
    (void)wal_log_free(log);
    damage(disk, &in);
    log = open_log(disk);
    if (log != NULL) {
        uint64_t sum = 0;
        bool is_known = false;
        if (state_sum(log, &sum) == 0) {
            for (uint32_t i = 0; i <= state.count; i++) {
                is_known = is_known || state.sums[i] == sum;
            }
            BASE_ASSERT(is_known);
        }
        (void)wal_log_free(log);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    struct disk *disk = disk_new();
    BASE_ASSERT(disk != NULL);
    if (fuzz_u8(&in) < 64) {
        raw(disk, in);
    } else {
        scripted(disk, in);
    }
    disk_free(disk);
    return 0;
}
