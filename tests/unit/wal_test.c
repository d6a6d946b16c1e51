/* SPDX-License-Identifier: Apache-2.0 */
/* The log store's files: power failures and errors at every operation, damage, missing files; on a
 * disk in memory (wal_disk.h). After each of them everything acknowledged is there, or the store
 * refuses to open and says why. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/canary.h"
#include "base/rand.h"
#include "raft/wal_format.h"
#include "raft/wal_log.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"
#include "tests/unit/wal_disk.h"

#define SEGMENT_BYTES (16u << 10)
#define BATCHES 120u

/* --- a load whose state after each batch is known --- */

struct load {
    struct disk *disk;
    struct wal_log *log;
    struct base_rand rand;
    uint64_t sums[BATCHES + 1]; /* of the state after so many batches */
    uint32_t acked;
    uint64_t first, last; /* of the log; last < first: empty */
    char text[WAL_LOG_TEXT_MAX];
};

static struct slice index_key(uint64_t index, uint8_t memory[8])
{
    struct buf b = buf_over(memory, 8);
    buf_put_u64_be(&b, index);
    return buf_slice(&b);
}

static uint64_t state_sum(struct wal_log *log)
{
    struct test_rows sum = {0};
    assert_int_equal(store_scan(wal_log_txn(log), STORE_META, SLICE_EMPTY, test_rows_add, &sum), 0);
    assert_int_equal(store_scan(wal_log_txn(log), STORE_LOG, SLICE_EMPTY, test_rows_add, &sum), 0);
    return sum.sum;
}

static int load_open(struct load *load)
{
    struct wal_log_options options = {
        .io = disk_io(load->disk), .segment_bytes = SEGMENT_BYTES, .fresh_id = 4711};
    load->text[0] = 0;
    return wal_log_open(&options, &load->log, load->text);
}

static void load_close(struct load *load)
{
    load->log = wal_log_free(load->log);
}

static int put_entries(struct load *load, uint64_t count)
{
    static uint8_t value[3000];
    uint8_t memory[8];
    int rc = 0;
    for (uint64_t i = 0; i < count && rc == 0; i++) {
        size_t len = (size_t)base_rand_between(&load->rand, 0, 20) == 0 ? 3000 : 150;
        len = (size_t)base_rand_between(&load->rand, 0, len);
        memset(value, (int)base_rand_between(&load->rand, 0, 255), sizeof(value));
        load->last++;
        rc = store_put(wal_log_txn(load->log), STORE_LOG, index_key(load->last, memory),
                       slice_from(value, len));
    }
    return rc;
}

static int put_number(struct load *load, uint32_t number)
{
    uint8_t memory[8];
    return store_put(wal_log_txn(load->log), STORE_META, SLICE_LIT("number"),
                     index_key(number, memory));
}

static int drop_entries(struct load *load, uint64_t from, uint64_t end)
{
    uint8_t memory[2][8];
    uint64_t rows = 0;
    int rc = store_del_range(wal_log_txn(load->log), STORE_LOG, index_key(from, memory[0]),
                             index_key(end, memory[1]), 0, &rows);
    assert_true(rc != 0 || rows == end - from);
    return rc;
}

/* One batch: entries at the end; sometimes a tail is replaced, sometimes the head goes. */
static int load_batch(struct load *load, uint32_t number)
{
    uint64_t what = base_rand_between(&load->rand, 0, 9);
    uint64_t count = load->last + 1 - load->first;
    int rc = 0;
    if (what == 0 && count > 4) {
        rc = drop_entries(load, load->last - 2, load->last + 1);
        load->last -= 3;
    } else if (what < 4 && count > 40) {
        rc = drop_entries(load, load->first, load->first + count / 2);
        load->first += count / 2;
    } else if (what == 4 && number % 5 == 0) {
        rc = drop_entries(load, load->first, load->last + 1);
        load->last += 1000; /* an image was installed */
        load->first = load->last + 1;
    }
    if (rc == 0) {
        rc = put_entries(load, base_rand_between(&load->rand, 0, 12));
    }
    if (rc == 0) {
        rc = put_number(load, number);
    }
    wal_log_job_end(load->log);
    if (rc == 0) {
        load->sums[number] = state_sum(load->log);
        rc = wal_log_commit(load->log);
    }
    return rc;
}

/* Batches until the end or the first error, with the work in between that a thread would do. */
static int load_run(struct load *load)
{
    int rc = 0;
    while (rc == 0 && load->acked < BATCHES) {
        rc = load_batch(load, load->acked + 1);
        load->acked += rc == 0;
        bool has_more = rc == 0;
        while (rc == 0 && has_more) {
            bool is_busy = base_rand_between(&load->rand, 0, 2) == 0;
            rc = wal_log_prepare(load->log, is_busy, &has_more);
        }
        if (rc == 0 && base_rand_between(&load->rand, 0, 3) == 0) {
            rc = wal_log_seal(load->log);
        }
    }
    return rc;
}

static struct load *load_new(uint64_t seed)
{
    struct load *load = calloc(1, sizeof(*load));
    assert_non_null(load);
    load->disk = disk_new();
    assert_non_null(load->disk);
    load->rand = base_rand_make(seed, 0);
    load->first = 1;
    return load;
}

static void load_free(struct load *load)
{
    load_close(load);
    disk_free(load->disk);
    free(load);
}

/* The number of the batch whose state the store has; checks that it is that state exactly. */
static uint32_t check_state(struct load *load)
{
    struct slice value = SLICE_EMPTY;
    uint64_t number = 0;
    int rc = store_get(wal_log_txn(load->log), STORE_META, SLICE_LIT("number"), &value);
    if (rc == 0) {
        assert_int_equal(slice_take_u64_be(&value, &number), 0);
        assert_true(number <= BATCHES);
        assert_true(state_sum(load->log) == load->sums[number]);
    } else {
        assert_int_equal(rc, BASE_E_NOTFOUND);
        assert_true(state_sum(load->log) == 0);
    }
    wal_log_job_end(load->log);
    return (uint32_t)number;
}

/* Everything acknowledged is there, and at most the batch under way besides. */
static void check_recovered(struct load *load)
{
    int rc = load_open(load);
    if (rc != 0) {
        print_message("%s\n", load->text);
    }
    assert_int_equal(rc, 0);
    uint32_t number = check_state(load);
    assert_in_range(number, load->acked, load->acked + 1);
    load->acked = number;
}

/* The load's own idea of the log goes back to what is there. */
static void resume(struct load *load)
{
    uint8_t memory[8];
    uint64_t index = load->last + 4;
    struct slice value;
    load->first = 1;
    while (index > 0 &&
           store_get(wal_log_txn(load->log), STORE_LOG, index_key(index, memory), &value) != 0) {
        index--;
    }
    load->last = index;
    while (load->first <= index && store_get(wal_log_txn(load->log), STORE_LOG,
                                             index_key(load->first, memory), &value) != 0) {
        load->first++;
    }
    wal_log_job_end(load->log);
}

static uint64_t operations_of(uint64_t seed)
{
    struct load *load = load_new(seed);
    assert_int_equal(load_open(load), 0);
    assert_int_equal(load_run(load), 0);
    uint64_t operations = load->disk->operations;
    assert_true(load->disk->renames > 0); /* old files serve again */
    assert_true(wal_log_stats(load->log).segments < 6);
    load_close(load);
    check_recovered(load);
    assert_int_equal(load->acked, BATCHES);
    load_free(load);
    return operations;
}

static void power_failure_at(uint64_t seed, uint64_t operation)
{
    struct load *load = load_new(seed);
    struct base_rand rand = base_rand_make(seed * 1000 + operation, 1);
    load->disk->fail_at = operation;
    load->disk->failure = DISK_CUT;
    if (load_open(load) == 0) {
        assert_int_not_equal(load_run(load), 0);
    }
    load_close(load);
    disk_crash(load->disk, &rand);
    check_recovered(load);
    resume(load);
    /* it goes on, through a second failure */
    load->disk->fail_at = base_rand_between(&rand, 1, 60);
    (void)load_run(load);
    load_close(load);
    disk_crash(load->disk, &rand);
    check_recovered(load);
    load_free(load);
}

static void nothing_acknowledged_is_lost_by_power_failures(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint64_t operations = operations_of(seed);
        assert_true(operations > 250);
        for (uint64_t operation = 1; operation <= operations; operation += 1 + operation % 3) {
            power_failure_at(seed, operation);
        }
    }
}

/* --- errors --- */

static void error_at(uint64_t seed, uint64_t operation, int error)
{
    struct load *load = load_new(seed);
    struct base_rand rand = base_rand_make(seed * 1000 + operation, 2);
    load->disk->fail_at = operation;
    load->disk->failure = DISK_FAIL;
    load->disk->error = error;
    int rc = load_open(load);
    if (rc == 0) {
        rc = load_run(load);
        if (CANARY(CONTINUE_AFTER_FAILED_SYNC) && rc == 0) {
            load_close(load);
            check_recovered(load); /* finds what is missing */
        }
        bool has_more = false;
        assert_string_not_equal(wal_log_text(load->log), "");
        assert_non_null(strstr(wal_log_text(load->log), strerror(-error)));
        /* never tried again */
        (void)put_number(load, 9);
        assert_int_equal(wal_log_commit(load->log), rc);
        assert_int_equal(wal_log_prepare(load->log, false, &has_more), rc);
        assert_int_equal(load->disk->after_failure, 0);
    } else {
        assert_non_null(strstr(load->text, strerror(-error)));
    }
    assert_int_equal(rc, error == -ENOSPC ? BASE_E_NOSPACE : BASE_E_IO);
    load_close(load);
    disk_crash(load->disk, &rand);
    check_recovered(load);
    load_free(load);
}

static void the_first_error_is_the_last(void **state)
{
    (void)state;
    uint64_t operations = operations_of(4);
    for (uint64_t operation = 1; operation <= operations; operation += 1 + operation % 4) {
        error_at(4, operation, operation % 2 == 0 ? -EIO : -ENOSPC);
    }
}

static void out_of_descriptors(void **state)
{
    (void)state;
    struct load *load = load_new(1);
    load->disk->fail_at = 1;
    load->disk->failure = DISK_FAIL;
    load->disk->error = -EMFILE;
    assert_int_equal(load_open(load), BASE_E_IO);
    assert_non_null(strstr(load->text, "limit of open files"));
    load_free(load);
}

/* --- damage --- */

/* A store of a few files that was closed well. */
static struct load *closed_store(uint64_t seed)
{
    struct load *load = load_new(seed);
    assert_int_equal(load_open(load), 0);
    while (load->acked < 40) {
        bool has_more = true;
        load->acked++;
        assert_int_equal(put_entries(load, 20), 0);
        assert_int_equal(put_number(load, load->acked), 0);
        wal_log_job_end(load->log);
        load->sums[load->acked] = state_sum(load->log);
        assert_int_equal(wal_log_commit(load->log), 0);
        while (has_more) {
            assert_int_equal(wal_log_prepare(load->log, false, &has_more), 0);
        }
    }
    assert_in_range(wal_log_stats(load->log).segments, 3, 12);
    load_close(load);
    return load;
}

/* Offsets of the batches in a file; how many. */
static size_t batches_in(const struct disk_file *file, uint64_t ret_at[64])
{
    size_t count = 0;
    struct wal_header header;
    uint64_t at = 0;
    while (at + WAL_HEADER <= file->size && count < 64 &&
           wal_header_read(slice_from(file->now + at, WAL_HEADER), &header)) {
        ret_at[count++] = at;
        at += wal_align(WAL_HEADER + (uint64_t)header.body_len);
    }
    return count;
}

static const char *name_of(uint64_t number, char memory[WAL_NAME_MAX])
{
    (void)snprintf(memory, WAL_NAME_MAX, "wal-%016llx.seg", (unsigned long long)number);
    return memory;
}

/* The last file that has batches. */
static uint64_t last_number(struct load *load, uint64_t ret_at[64], size_t *ret_count)
{
    char memory[WAL_NAME_MAX];
    uint64_t number = 1;
    while (disk_find(load->disk, name_of(number + 1, memory)) != NULL &&
           batches_in(disk_find(load->disk, memory), ret_at) > 0) {
        number++;
    }
    *ret_count = batches_in(disk_find(load->disk, name_of(number, memory)), ret_at);
    return number;
}

static void damaged_middle_refuses_and_says_how_to_go_on(void **state)
{
    (void)state;
    uint64_t at[64];
    for (uint64_t number = 1; number <= 3; number++) {
        char name[WAL_NAME_MAX];
        struct load *load = closed_store(5);
        struct disk_file *file = disk_find(load->disk, name_of(number, name));
        size_t count = batches_in(file, at);
        for (size_t i = 0; i + (number == 3) < count; i++) {
            uint64_t where = at[i] + (i % 2 == 0 ? 30 : WAL_HEADER + 11);
            file->now[where] ^= 4;
            assert_int_equal(load_open(load), BASE_E_CORRUPT);
            assert_non_null(strstr(load->text, name));
            assert_non_null(strstr(load->text, "kv member remove"));
            assert_non_null(strstr(load->text, "empty data directory"));
            file->now[where] ^= 4;
        }
        check_recovered(load);
        load_free(load);
    }
}

static void torn_tail_is_cut_and_written_over(void **state)
{
    (void)state;
    uint64_t at[64];
    for (int kind = 0; kind < 4; kind++) {
        char name[WAL_NAME_MAX];
        size_t count = 0;
        struct load *load = closed_store(6);
        uint64_t number = last_number(load, at, &count);
        struct disk_file *file = disk_find(load->disk, name_of(number, name));
        uint64_t last = at[count - 1];
        assert_true(count > 1);
        if (kind == 0) {
            file->now[last + 100] ^= 1;
        } else if (kind == 1) {
            memset(file->now + last, 0, file->size - last);
        } else if (kind == 2) {
            file->size = last + 513; /* shorter than the batch */
        } else {
            memset(file->now + last + 512, 0, 512);
        }
        assert_int_equal(load_open(load), 0);
        assert_int_equal(check_state(load), load->acked - 1);
        load->acked--;
        resume(load);
        assert_int_equal(load_batch(load, load->acked + 1), 0);
        load->acked++;
        load_close(load);
        check_recovered(load);
        load_free(load);
    }
}

/* Once the log was quiet, a bit that rots in the last batch is damage, no crash; and nothing is
 * written for a log that is quiet already. */
static void a_rotten_last_batch_behind_which_it_was_quiet_is_found(void **state)
{
    (void)state;
    uint64_t at[64];
    char name[WAL_NAME_MAX];
    size_t count = 0;
    struct load *load = closed_store(15);
    assert_int_equal(load_open(load), 0);
    uint64_t before = wal_log_stats(load->log).flushes;
    assert_int_equal(wal_log_seal(load->log), 0);
    assert_int_equal(wal_log_seal(load->log), 0);
    assert_int_equal(wal_log_stats(load->log).flushes, before + 1);
    load_close(load);
    assert_int_equal(load_open(load), 0);
    assert_int_equal(wal_log_seal(load->log), 0);
    assert_int_equal(wal_log_stats(load->log).batches, 0);
    load_close(load);
    uint64_t number = last_number(load, at, &count);
    struct disk_file *file = disk_find(load->disk, name_of(number, name));
    assert_true(count > 2);
    for (uint64_t where = at[count - 2]; where < at[count - 2] + 1500; where += 7) {
        file->now[where] ^= 1;
        assert_int_equal(load_open(load), BASE_E_CORRUPT);
        file->now[where] ^= 1;
    }
    file->now[at[count - 1] + 9] ^= 1; /* the empty one: nothing is lost with it */
    check_recovered(load);
    load_free(load);
}

static void missing_files_are_found(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 2; number++) {
        char name[WAL_NAME_MAX];
        struct load *load = closed_store(7);
        disk_remove(load->disk, name_of(number, name));
        assert_int_equal(load_open(load), BASE_E_CORRUPT);
        assert_non_null(strstr(load->text, name));
        assert_non_null(strstr(load->text, "missing file"));
        load_free(load);
    }
}

static void shortened_middle_file_is_found(void **state)
{
    (void)state;
    char name[WAL_NAME_MAX];
    struct load *load = closed_store(8);
    struct disk_file *file = disk_find(load->disk, name_of(2, name));
    file->size = file->size / 2;
    assert_int_equal(load_open(load), BASE_E_CORRUPT);
    assert_non_null(strstr(load->text, name));
    load_free(load);
}

/* The file of another store, put in place of one of ours. */
static void foreign_file_is_found(void **state)
{
    (void)state;
    char name[WAL_NAME_MAX];
    struct load *load = closed_store(9);
    struct load *other = load_new(10);
    struct wal_log_options options = {
        .io = disk_io(other->disk), .segment_bytes = SEGMENT_BYTES, .fresh_id = 4712};
    assert_int_equal(wal_log_open(&options, &other->log, other->text), 0);
    assert_int_equal(load_run(other), 0);
    load_close(other);
    other->acked = 0;
    struct load *same = closed_store(9);
    struct disk_file *ours = disk_find(load->disk, name_of(2, name));
    struct disk_file *theirs = disk_find(same->disk, name_of(3, name));
    memcpy(ours->now, theirs->now, DISK_FILE_BYTES);
    assert_int_equal(load_open(load), BASE_E_CORRUPT);
    load_free(load);
    load_free(other);
    load_free(same);
}

static void newer_format_is_refused(void **state)
{
    (void)state;
    char name[WAL_NAME_MAX];
    uint64_t at[64];
    struct load *load = closed_store(11);
    struct disk_file *file = disk_find(load->disk, name_of(1, name));
    struct wal_header header;
    assert_true(batches_in(file, at) > 0);
    assert_true(wal_header_read(slice_from(file->now, WAL_HEADER), &header));
    header.format = 2;
    wal_header_seal(&header, file->now);
    assert_int_equal(load_open(load), BASE_E_UNSUPPORTED);
    assert_non_null(strstr(load->text, "newer"));
    load_free(load);
}

/* --- what is put and asked --- */

static void limits_of_keys_and_tables(void **state)
{
    (void)state;
    static const uint8_t key[STORE_KEY_MAX + 1];
    struct load *load = load_new(12);
    struct slice value;
    assert_int_equal(load_open(load), 0);
    struct store_txn *txn = wal_log_txn(load->log);
    assert_int_equal(store_put(txn, STORE_META, slice_from(key, STORE_KEY_MAX), SLICE_EMPTY), 0);
    assert_int_equal(store_put(txn, STORE_META, slice_from(key, STORE_KEY_MAX + 1), SLICE_EMPTY),
                     BASE_E_TOOBIG);
    assert_int_equal(store_put(txn, STORE_LOG, slice_from(key, 7), SLICE_EMPTY), BASE_E_INVALID);
    assert_int_equal(store_put(txn, STORE_LOG, slice_from(key, 8), SLICE_EMPTY), BASE_E_INVALID);
    assert_int_equal(store_put(txn, STORE_AUTH, slice_from(key, 8), SLICE_EMPTY),
                     BASE_E_UNSUPPORTED);
    assert_int_equal(store_get(txn, STORE_AUTH, slice_from(key, 8), &value), BASE_E_UNSUPPORTED);
    load_free(load);
}

static void rows_far_apart_are_refused(void **state)
{
    (void)state;
    uint8_t memory[8];
    struct load *load = load_new(13);
    assert_int_equal(load_open(load), 0);
    struct store_txn *txn = wal_log_txn(load->log);
    assert_int_equal(store_put(txn, STORE_LOG, index_key(5, memory), SLICE_LIT("x")), 0);
    assert_int_equal(
        store_put(txn, STORE_LOG, index_key(UINT64_C(1) << 40, memory), SLICE_LIT("x")),
        BASE_E_INVALID);
    assert_int_equal(store_del_range(txn, STORE_LOG, SLICE_EMPTY, SLICE_EMPTY, 0, NULL), 0);
    assert_int_equal(
        store_put(txn, STORE_LOG, index_key(UINT64_C(1) << 40, memory), SLICE_LIT("x")), 0);
    load_free(load);
}

/* Two values read one after the other are both there, until something is written. */
static void values_live_until_the_next_write(void **state)
{
    (void)state;
    uint8_t memory[8];
    struct slice one;
    struct slice two;
    struct load *load = load_new(14);
    assert_int_equal(load_open(load), 0);
    struct store_txn *txn = wal_log_txn(load->log);
    assert_int_equal(store_put(txn, STORE_LOG, index_key(1, memory), SLICE_LIT("one")), 0);
    assert_int_equal(store_put(txn, STORE_LOG, index_key(2, memory), SLICE_LIT("two")), 0);
    assert_int_equal(wal_log_commit(load->log), 0);
    assert_int_equal(store_get(txn, STORE_LOG, index_key(1, memory), &one), 0);
    assert_int_equal(store_get(txn, STORE_LOG, index_key(2, memory), &two), 0);
    assert_true(slice_equal(one, SLICE_LIT("one")) && slice_equal(two, SLICE_LIT("two")));
    assert_int_equal(store_put(txn, STORE_LOG, index_key(3, memory), one), 0);
    assert_int_equal(wal_log_commit(load->log), 0);
    assert_int_equal(store_get(txn, STORE_LOG, index_key(3, memory), &two), 0);
    assert_true(slice_equal(two, SLICE_LIT("one")));
    wal_log_job_end(load->log);
    load_free(load);
}

/* An entry larger than a file. */
static void batch_larger_than_a_file(void **state)
{
    (void)state;
    static uint8_t value[SEGMENT_BYTES * 3];
    uint8_t memory[8];
    struct load *load = load_new(15);
    struct slice found;
    assert_int_equal(load_open(load), 0);
    memset(value, 'v', sizeof(value));
    for (uint64_t index = 1; index <= 4; index++) {
        bool has_more = true;
        assert_int_equal(store_put(wal_log_txn(load->log), STORE_LOG, index_key(index, memory),
                                   slice_from(value, sizeof(value))),
                         0);
        assert_int_equal(wal_log_commit(load->log), 0);
        while (has_more) {
            assert_int_equal(wal_log_prepare(load->log, false, &has_more), 0);
        }
    }
    load_close(load);
    assert_int_equal(load_open(load), 0);
    assert_int_equal(store_get(wal_log_txn(load->log), STORE_LOG, index_key(4, memory), &found), 0);
    assert_true(slice_equal(found, slice_from(value, sizeof(value))));
    wal_log_job_end(load->log);
    load_free(load);
}

/* --- the port: opening --- */

static void opening_what_cannot_be_opened(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store second;
    test_store_open(&store, TEST_STORE_WAL, 0);
    assert_int_equal(test_store_open_wal(&second, store.directory, 0), BASE_E_BUSY);
    assert_non_null(strstr(second.fatal_text, "another process"));
    assert_int_equal(test_store_open_wal(&second, "/var/tmp/quorate-test-none", 0),
                     BASE_E_NOTFOUND);
    assert_non_null(strstr(second.fatal_text, "quorate-test-none"));
    test_store_close(&store);
}

/* Both stores live in one directory. */
static void both_stores_in_one_directory(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store second;
    char directory[128];
    test_store_open(&store, TEST_STORE_WAL, 0);
    memcpy(directory, store.directory, sizeof(directory));
    assert_int_equal(test_store_open_at(&second, directory, 0), 0);
    test_store_close(&second);
    test_store_close(&store);
}

static int put_vote(void *ctx, struct store_txn *txn)
{
    (void)ctx;
    return store_put(txn, STORE_META, SLICE_LIT("raft.state"), SLICE_LIT("a vote"));
}

/* While nobody runs it, the last batch has another one behind it. */
static void a_closed_store_is_sealed(void **state)
{
    (void)state;
    struct test_store store;
    char directory[64];
    char path[128];
    uint8_t byte = 0;
    test_make_directory(directory, sizeof(directory));
    assert_int_equal(test_store_open_wal(&store, directory, 0), 0);
    assert_int_equal(test_store_run(&store, put_vote, NULL, false), 0);
    test_store_close(&store);
    (void)snprintf(path, sizeof(path), "%s/wal-0000000000000001.seg", directory);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &byte, 1, WAL_HEADER + 30), 1);
    byte ^= 1;
    assert_int_equal(pwrite(file, &byte, 1, WAL_HEADER + 30), 1);
    assert_int_equal(close(file), 0);
    assert_int_equal(test_store_open_wal(&store, directory, 0), BASE_E_CORRUPT);
    test_remove_directory(directory);
}

/* A disk whose flushes can be made to fail. */
struct failing_disk {
    struct disk *disk;
    struct wal_io under;
    bool is_failing;
};
static struct failing_disk failing;

static int failing_sync(void *ctx, int file)
{
    return failing.is_failing ? -EIO : failing.under.fdatasync(ctx, file);
}

static int put_one(void *ctx, struct store_txn *txn)
{
    uint8_t memory[8];
    uint64_t *index = ctx;
    ++*index;
    return store_put(txn, STORE_LOG, index_key(*index, memory), SLICE_LIT("value"));
}

static void failed_flush_is_fatal_once(void **state)
{
    (void)state;
    struct test_store store;
    uint64_t index = 0;
    char directory[64];
    test_make_directory(directory, sizeof(directory));
    failing = (struct failing_disk){.disk = disk_new()};
    failing.under = disk_io(failing.disk);
    struct wal_io io = failing.under;
    io.fdatasync = failing_sync;
    assert_int_equal(test_store_open_wal_io(&store, directory, 64u << 10, &io), 0);
    assert_int_equal(test_store_run(&store, put_one, &index, false), 0);
    failing.is_failing = true;
    assert_int_equal(test_store_run(&store, put_one, &index, false), BASE_E_IO);
    failing.is_failing = false;
    assert_int_equal(test_store_run(&store, put_one, &index, false), BASE_E_IO);
    assert_int_equal(store.fatal_calls, 1);
    assert_non_null(strstr(store.fatal_text, "flush"));
    test_store_close(&store);
    disk_free(failing.disk);
    test_remove_directory(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_by_power_failures),
        cmocka_unit_test(the_first_error_is_the_last),
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(damaged_middle_refuses_and_says_how_to_go_on),
        cmocka_unit_test(torn_tail_is_cut_and_written_over),
        cmocka_unit_test(a_rotten_last_batch_behind_which_it_was_quiet_is_found),
        cmocka_unit_test(missing_files_are_found),
        cmocka_unit_test(shortened_middle_file_is_found),
        cmocka_unit_test(foreign_file_is_found),
        cmocka_unit_test(newer_format_is_refused),
        cmocka_unit_test(limits_of_keys_and_tables),
        cmocka_unit_test(rows_far_apart_are_refused),
        cmocka_unit_test(values_live_until_the_next_write),
        cmocka_unit_test(batch_larger_than_a_file),
        cmocka_unit_test(opening_what_cannot_be_opened),
        cmocka_unit_test(both_stores_in_one_directory),
        cmocka_unit_test(a_closed_store_is_sealed),
        cmocka_unit_test(failed_flush_is_fatal_once),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
