/* SPDX-License-Identifier: Apache-2.0 */
/* Revision rules, range options, limits and swaps, one by one, on the store in memory. Transactions
 * are in kv_core_txn_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/core/check.h"
#include "tests/unit/kv_core_rig.h"

/* --- revisions --- */

static void fresh_store_is_at_one(void **state)
{
    (void)state;
    struct kv_outcome outcome = read_it(range_request("a", NULL));
    assert_int_equal(outcome.revision, 1);
    assert_int_equal(outcome.response.range.header.revision, 1);
    assert_int_equal(outcome.response.range.count, 0);
    assert_int_equal(put("a", "1"), 2);
}

static void put_counts_versions_and_bumps_always(void **state)
{
    (void)state;
    put("a", "1");
    assert_int_equal(put("a", "1"), 3);
    struct kv_outcome outcome = read_it(range_request("a", NULL));
    assert_pair(&outcome.response.range.kvs.items[0], "1", 2, 3, 2);
}

static void delete_resets_the_incarnation(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    struct kv_outcome outcome = apply(delete_request("a", NULL));
    assert_int_equal(outcome.response.delete_range.deleted, 1);
    assert_int_equal(outcome.response.delete_range.header.revision, 4);
    put("a", "3");
    outcome = read_it(range_request("a", NULL));
    assert_pair(&outcome.response.range.kvs.items[0], "3", 5, 5, 1);
}

static void delete_of_nothing_does_not_bump(void **state)
{
    (void)state;
    put("b", "1");
    struct kv_outcome outcome = apply(delete_request("a", NULL));
    assert_int_equal(outcome.response.delete_range.deleted, 0);
    assert_int_equal(outcome.response.delete_range.header.revision, 2);
    assert_false(outcome.is_changed);
    assert_int_equal(put("b", "2"), 3);
}

static void one_request_is_one_revision(void **state)
{
    (void)state;
    char key[16];
    for (int i = 0; i < 40; i++) { /* more than one step of the deletion */
        (void)snprintf(key, sizeof(key), "k%02d", i);
        put(key, "v");
    }
    struct kv_request request = delete_request("k", "l");
    request.delete_range.is_prev_kv = true;
    struct kv_outcome outcome = apply(request);
    assert_int_equal(outcome.response.delete_range.deleted, 40);
    assert_int_equal(outcome.response.delete_range.header.revision, 42);
    assert_int_equal(outcome.response.delete_range.prev_kvs.count, 40);
    assert_slice(outcome.response.delete_range.prev_kvs.items[39].key, "k39");
    assert_int_equal(outcome.response.delete_range.prev_kvs.items[39].mod_revision, 41);
}

static void previous_pair_is_shown(void **state)
{
    (void)state;
    struct kv_request request = put_request("a", "1");
    request.put.is_prev_kv = true;
    assert_false(apply(request).response.put.has_prev_kv);
    struct kv_outcome outcome = apply(request);
    assert_true(outcome.response.put.has_prev_kv);
    assert_slice(outcome.response.put.prev_kv.key, "a");
    assert_pair(&outcome.response.put.prev_kv, "1", 2, 2, 1);
}

static void flags_keep_what_is_there(void **state)
{
    (void)state;
    struct kv_request request = put_request("a", "");
    request.put.is_ignore_value = true;
    assert_int_equal(apply(request).error, KV_E_KEY_NOT_FOUND);
    put("a", "old");
    request.put.is_ignore_lease = true;
    assert_int_equal(apply(request).error, KV_OK);
    struct kv_outcome outcome = read_it(range_request("a", NULL));
    assert_pair(&outcome.response.range.kvs.items[0], "old", 2, 3, 2);
    request.put.value = sl("x");
    assert_int_equal(apply(request).error, KV_E_VALUE_PROVIDED);
    request.put.value = SLICE_EMPTY;
    request.put.lease = 5;
    assert_int_equal(apply(request).error, KV_E_LEASE_PROVIDED);
    request.put.is_ignore_lease = false;
    assert_int_equal(apply(request).error, KV_E_LEASE_NOT_FOUND);
}

/* --- ranges --- */

static void intervals(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "1");
    put("ba", "1");
    put("c", "1");
    struct kv_outcome outcome = read_it(range_request("b", NULL));
    assert_string_equal(keys_of(&outcome.response.range), "b");
    outcome = read_it(range_request("b", "c"));
    assert_string_equal(keys_of(&outcome.response.range), "b,ba");
    outcome = read_it(range_request("b", "*"));
    assert_string_equal(keys_of(&outcome.response.range), "b,ba,c");
    struct kv_request all = range_request("a", "*");
    all.range.key = slice_from("", 1);
    outcome = read_it(all);
    assert_string_equal(keys_of(&outcome.response.range), "a,b,ba,c");
    outcome = read_it(range_request("c", "a"));
    assert_int_equal(outcome.response.range.count, 0);
}

static void older_revisions(void **state)
{
    (void)state;
    put("a", "1");         /* 2 */
    put("b", "1");         /* 3 */
    put("a", "2");         /* 4 */
    delete_key("b", NULL); /* 5 */
    put("b", "3");         /* 6 */
    static const char *const keys[] = {"", "", "a", "a,b", "a,b", "a", "a,b"};
    for (int revision = 1; revision <= 6; revision++) {
        struct kv_request request = range_request("a", "*");
        request.range.revision = revision;
        struct kv_outcome outcome = read_it(request);
        assert_int_equal(outcome.error, KV_OK);
        assert_string_equal(keys_of(&outcome.response.range), keys[revision]);
        assert_int_equal(outcome.response.range.header.revision, 6);
        request = range_request("b", NULL);
        request.range.revision = revision;
        outcome = read_it(request);
        assert_int_equal(outcome.response.range.count, strchr(keys[revision], 'b') != NULL);
    }
    struct kv_request request = range_request("a", NULL);
    request.range.revision = 3;
    struct kv_outcome outcome = read_it(request);
    assert_pair(&outcome.response.range.kvs.items[0], "1", 2, 2, 1);
    request.range.revision = 7;
    assert_int_equal(read_it(request).error, KV_E_FUTURE_REVISION);
    request.range.revision = -1;
    assert_pair(&read_it(request).response.range.kvs.items[0], "2", 2, 4, 2);
}

static void history_sorts_keys_before_revisions(void **state)
{
    (void)state;
    struct kv_request request = put_request("a", "1");
    request.put.key = slice_from("a\0b", 3);
    assert_int_equal(apply(request).error, KV_OK); /* 2 */
    put("a", "1");
    put("aa", "1");
    request.put.key = slice_from("a\0", 2);
    assert_int_equal(apply(request).error, KV_OK);
    put("a", "2");
    struct kv_request range = range_request("a", "*");
    range.range.revision = 5;
    struct kv_outcome outcome = read_it(range);
    assert_int_equal(outcome.response.range.count, 4);
    assert_true(slice_equal(outcome.response.range.kvs.items[0].key, sl("a")));
    assert_true(slice_equal(outcome.response.range.kvs.items[1].key, slice_from("a\0", 2)));
    assert_true(slice_equal(outcome.response.range.kvs.items[2].key, slice_from("a\0b", 3)));
    assert_slice(outcome.response.range.kvs.items[3].key, "aa");
    range = range_request("a", NULL);
    range.range.revision = 5;
    outcome = read_it(range);
    assert_int_equal(outcome.response.range.count, 1);
    assert_slice(outcome.response.range.kvs.items[0].value, "1");
}

static void limit_count_and_more(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "1");
    put("c", "1");
    struct kv_request request = range_request("a", "*");
    for (int64_t limit = 0; limit <= 4; limit++) {
        request.range.limit = limit;
        struct kv_outcome outcome = read_it(request);
        int64_t want = limit == 0 || limit > 3 ? 3 : limit;
        assert_int_equal(outcome.response.range.kvs.count, want);
        assert_int_equal(outcome.response.range.has_more, want < 3);
        assert_int_equal(outcome.response.range.count, 3);
    }
    request.range.limit = 2;
    request.range.is_count_only = true;
    struct kv_outcome outcome = read_it(request);
    assert_int_equal(outcome.response.range.kvs.count, 0);
    assert_int_equal(outcome.response.range.count, 3);
    assert_false(outcome.response.range.has_more);
    request.range.is_count_only = false;
    request.range.is_keys_only = true;
    outcome = read_it(request);
    assert_int_equal(outcome.response.range.kvs.items[1].value.len, 0);
    assert_int_equal(outcome.response.range.kvs.items[1].mod_revision, 3);
}

static const char *sorted(int32_t target, int32_t order, int64_t limit)
{
    struct kv_request request = range_request("a", "*");
    request.range.sort_target = target;
    request.range.sort_order = order;
    request.range.limit = limit;
    struct kv_outcome outcome = read_it(request);
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.response.range.has_more, limit > 0);
    return keys_of(&outcome.response.range);
}

static void sorting(void **state)
{
    (void)state;
    put("b", "z"); /* create 2 */
    put("c", "y"); /* create 3 */
    put("a", "x"); /* create 4 */
    put("c", "w"); /* mod 5, version 2 */
    assert_string_equal(sorted(KV_SORT_KEY, KV_SORT_NONE, 0), "a,b,c");
    assert_string_equal(sorted(KV_SORT_KEY, KV_SORT_DESCEND, 0), "c,b,a");
    assert_string_equal(sorted(KV_SORT_VERSION, KV_SORT_NONE, 0), "a,b,c");
    assert_string_equal(sorted(KV_SORT_VERSION, KV_SORT_DESCEND, 2), "c,a");
    assert_string_equal(sorted(KV_SORT_CREATE, KV_SORT_ASCEND, 0), "b,c,a");
    assert_string_equal(sorted(KV_SORT_MOD, KV_SORT_DESCEND, 2), "c,a");
    assert_string_equal(sorted(KV_SORT_VALUE, KV_SORT_ASCEND, 2), "c,a");
    struct kv_request request = range_request("a", NULL);
    assert_string_equal(sorted(KV_SORT_VALUE, 7, 2), "a,b"); /* an unknown order sorts nothing */
    assert_string_equal(sorted(KV_SORT_VALUE, KV_SORT_NONE, 1), "a"); /* of the first two by key */
    request.range.sort_target = 5;
    assert_int_equal(read_it(request).error, KV_E_INVALID_SORT);
    assert_int_equal(read_it(range_request("", NULL)).error, KV_E_KEY_NOT_PROVIDED);
}

static void filters_come_before_the_limit(void **state)
{
    (void)state;
    put("a", "1"); /* 2 */
    put("b", "1"); /* 3 */
    put("c", "1"); /* 4 */
    put("a", "2"); /* create 2 mod 5 */
    struct kv_request request = range_request("a", "*");
    request.range.min_mod_revision = 4;
    request.range.limit = 1;
    struct kv_outcome outcome = read_it(request);
    assert_string_equal(keys_of(&outcome.response.range), "a");
    assert_true(outcome.response.range.has_more);
    assert_int_equal(outcome.response.range.count, 3);
    request.range.max_mod_revision = 4;
    outcome = read_it(request);
    assert_string_equal(keys_of(&outcome.response.range), "c");
    assert_false(outcome.response.range.has_more);
    request = range_request("a", "*");
    request.range.max_create_revision = 3;
    outcome = read_it(request);
    assert_string_equal(keys_of(&outcome.response.range), "a,b");
    request.range.min_create_revision = 3;
    outcome = read_it(request);
    assert_string_equal(keys_of(&outcome.response.range), "b");
}

/* --- limits and the reserved prefix --- */

static void long_keys(void **state)
{
    (void)state;
    static uint8_t bytes[2000];
    memset(bytes, 'x', sizeof(bytes));
    struct kv_request request = put_request("", "v");
    request.put.key = slice_from(bytes, KV_KEY_MAX);
    assert_int_equal(apply(request).error, KV_OK);
    request.put.key = slice_from(bytes, KV_KEY_MAX + 1);
    assert_int_equal(apply(request).error, KV_E_REQUEST_TOO_LARGE);
    struct kv_request range = range_request("", NULL);
    range.range.key = slice_from(bytes, sizeof(bytes));
    assert_int_equal(read_it(range).response.range.count, 0);
    range.range.revision = 1;
    assert_int_equal(read_it(range).response.range.count, 0);
    range.range.revision = 0;
    range.range.key = sl("x");
    range.range.range_end = slice_from(bytes, sizeof(bytes));
    assert_int_equal(read_it(range).response.range.count, 1);
    put("y", "");
    range.range.revision = 2;
    assert_int_equal(read_it(range).response.range.count, 1);
    range.range.key = slice_from(bytes, KV_KEY_MAX);
    range.range.range_end = SLICE_EMPTY;
    assert_int_equal(read_it(range).response.range.count, 1);
    for (size_t i = 0; i < KV_KEY_MAX; i++) { /* escaped, it would not fit into an index row */
        bytes[i] = i % 2 == 0 ? 0 : 'x';
    }
    request.put.key = slice_from(bytes, KV_KEY_MAX);
    assert_int_equal(apply(request).error, KV_E_REQUEST_TOO_LARGE);
    request.put.key = slice_from(bytes, 330);
    assert_int_equal(apply(request).error, KV_OK);
    memset(bytes, 0, KV_KEY_MAX); /* runs of zeros are short, as in the keys of `check perf` */
    request.put.key = slice_from(bytes, KV_KEY_MAX);
    assert_int_equal(apply(request).error, KV_OK);
}

/* All keys of a few zeros and ones, and some with long runs: their escaped forms sort as they do,
 * with any revision behind, and as bounds of intervals. */
static void escaped_keys_sort_as_keys(void **state)
{
    (void)state;
    static uint8_t keys[600][300];
    static struct slice all[600];
    size_t count = 0;
    for (size_t len = 1; len <= 6; len++) {
        for (unsigned bits = 0; bits < 1u << len; bits++, count++) {
            for (size_t i = 0; i < len; i++) {
                keys[count][i] = (uint8_t)(bits >> i & 1);
            }
            all[count] = slice_from(keys[count], len);
        }
    }
    for (size_t run = 120; run < 136; run++) {
        for (unsigned tail = 0; tail < 4; tail++, count++) {
            keys[count][run] = (uint8_t)(tail == 3 ? 255 : tail);
            all[count] = slice_from(keys[count], run + (tail > 0));
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            struct kv_bytes bound;
            struct kv_bytes row;
            struct kv_bytes other;
            int order = slice_compare(all[i], all[k]);
            kv_index_encode(all[i], (struct kv_rev){INT64_MAX, UINT32_MAX}, &row);
            kv_index_encode(all[k], (struct kv_rev){0, 0}, &other);
            if (order < 0) {
                assert_true(slice_compare(kv_bytes_slice(&row), kv_bytes_slice(&other)) < 0);
            }
            kv_key_escape(all[k], &bound);
            assert_int_equal(slice_compare(kv_bytes_slice(&row), kv_bytes_slice(&bound)) < 0,
                             order < 0);
        }
    }
}

static void large_values(void **state)
{
    (void)state;
    static uint8_t bytes[KV_REQUEST_MAX];
    memset(bytes, 'v', sizeof(bytes));
    struct kv_request request = put_request("a", "");
    request.put.value = slice_from(bytes, sizeof(bytes));
    assert_int_equal(apply(request).error, KV_OK);
    struct kv_outcome outcome = read_it(range_request("a", NULL));
    assert_int_equal(outcome.response.range.kvs.items[0].value.len, sizeof(bytes));
    request.put.value = sl("small");
    request.put.is_prev_kv = true;
    outcome = apply(request);
    assert_int_equal(outcome.response.put.prev_kv.value.len, sizeof(bytes));
}

static void reserved_keys_are_refused(void **state)
{
    (void)state;
    assert_int_equal(apply(put_request("/quorate/x", "1")).error, KV_E_PERMISSION_DENIED);
    assert_int_equal(apply(put_request("/quorate", "1")).error, KV_OK);
    assert_int_equal(apply(put_request("/quorate0", "1")).error, KV_OK);
    assert_int_equal(apply(delete_request("/quorate/x", NULL)).error, KV_E_PERMISSION_DENIED);
    assert_int_equal(apply(delete_request("a", "*")).error, KV_OK);
    assert_int_equal(apply(delete_request("/", "a")).error, KV_E_PERMISSION_DENIED);
    assert_int_equal(apply(delete_request("/quorate", "/quorate/")).error, KV_OK);
    assert_int_equal(apply(delete_request("/quorate0", "*")).error, KV_OK);
    assert_int_equal(apply(txn(NO_COMPARES, NO_OPS, OPS(op_put("/quorate/x", "")))).error,
                     KV_E_PERMISSION_DENIED);
    assert_int_equal(read_it(range_request("/quorate/", "*")).error, KV_OK);
}

static void too_little_memory_cuts_the_answer_only(void **state)
{
    (void)state;
    char key[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "k%02d", i);
        put(key, "a value that takes some room in the answer");
    }
    struct kv_request request = delete_request("k", "l");
    request.delete_range.is_prev_kv = true;
    for (size_t cap = 0; cap < 20000; cap += 1999) {
        struct kv_scratch *scratch = test_scratch();
        size_t whole = scratch->arena.cap;
        struct kv_outcome outcome;
        struct kv_request range = range_request("k", "l");
        scratch->arena.cap = cap;
        assert_int_equal(kv_core_read(store_mem_txn(store.mem), scratch, &range, &outcome), 0);
        assert_int_equal(outcome.is_cut, cap < 100 * sizeof(struct kv_pair));
        base_arena_reset(&scratch->arena);
        assert_int_equal(kv_core_apply(store_mem_txn(store.mem), scratch,
                                       &(struct kv_command){.request = request}, 1, &outcome),
                         0);
        assert_int_equal(outcome.error, KV_OK);
        assert_int_equal(outcome.response.delete_range.deleted, 100);
        scratch->arena.cap = whole;
        store_mem_crash(store.mem); /* takes the deletion back */
    }
}

/* --- swaps --- */

static struct kv_request swap_request(uint64_t expect_epoch, uint64_t expect_revision,
                                      uint64_t epoch, uint64_t revision)
{
    static struct kv_swap_put puts[] = {{.is_delete = false}, {.is_delete = true}};
    puts[0].key = sl("/quorate/v1/clusters/pg/record");
    puts[0].value = sl("{}");
    puts[1].key = sl("/quorate/v1/clusters/pg/old");
    return (struct kv_request){.kind = KV_KIND_SWAP,
                               .swap = {.name = sl("pg"),
                                        .expect_epoch = expect_epoch,
                                        .expect_revision = expect_revision,
                                        .term = 3,
                                        .new_epoch = epoch,
                                        .new_revision = revision,
                                        .blob = sl("blob"),
                                        .puts = {puts, 2}}};
}

static void swap_wins_once(void **state)
{
    (void)state;
    struct kv_outcome outcome = apply_at(swap_request(0, 0, 1, 1), 3);
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.revision, 2);
    assert_int_equal(outcome.record.epoch, 1);
    outcome = apply_at(swap_request(0, 0, 1, 1), 3);
    assert_int_equal(outcome.error, KV_E_SWAP_VOID);
    assert_false(outcome.is_changed);
    assert_int_equal(outcome.record.epoch, 1);
    assert_int_equal(outcome.record.revision, 1);
    assert_slice(outcome.record.blob, "blob");
    assert_int_equal(apply_at(swap_request(1, 1, 1, 2), 4).error, KV_E_SWAP_VOID); /* term */
    assert_int_equal(apply_at(swap_request(1, 1, 1, 2), 3).error, KV_OK);
    assert_int_equal(apply_at(swap_request(1, 1, 2, 3), 3).error, KV_E_SWAP_VOID);
    assert_int_equal(apply_at(swap_request(1, 2, 2, 3), 3).error, KV_OK);
    outcome = read_it(range_request("/quorate/", "*"));
    assert_string_equal(keys_of(&outcome.response.range), "/quorate/v1/clusters/pg/record");
    assert_pair(&outcome.response.range.kvs.items[0], "{}", 2, 4, 3);
}

static void malformed_swaps_are_void(void **state)
{
    (void)state;
    struct kv_request request = swap_request(0, 0, 1, 1);
    request.swap.puts.items[0].key = sl("elsewhere");
    assert_int_equal(kv_check_swap(&request.swap), KV_E_MALFORMED);
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID);
    request = swap_request(0, 0, 0, 1);
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID);
    request = swap_request(0, 0, 1, 1);
    request.swap.name = SLICE_EMPTY;
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID);
    static uint8_t large[KV_SWAP_BLOB_MAX + 1];
    request = swap_request(0, 0, 1, 1);
    request.swap.blob = slice_from(large, sizeof(large));
    assert_int_equal(kv_check_swap(&request.swap), KV_E_REQUEST_TOO_LARGE);
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID);
    assert_int_equal(apply_at(swap_request(0, 0, 5, 9), 3).error, KV_OK);
    assert_int_equal(apply_at(swap_request(5, 9, 4, 10), 3).error, KV_E_SWAP_VOID);
    assert_int_equal(apply_at(swap_request(5, 9, 5, 9), 3).error, KV_E_SWAP_VOID);
}

/* The row goes, with all keys of a range; the next one begins at (0, 0) again. */
static void a_removal_takes_the_row_away(void **state)
{
    (void)state;
    assert_int_equal(apply_at(swap_request(0, 0, 5, 9), 3).error, KV_OK);
    struct kv_request request = swap_request(5, 9, 0, 0);
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID); /* a blob is left */
    request.swap.blob = SLICE_EMPTY;
    request.swap.puts.count = 1;
    request.swap.puts.items[0].is_delete = true;
    request.swap.puts.items[0].key = sl("/quorate/v1/clusters/pg/");
    request.swap.puts.items[0].value = sl("/quorate0"); /* more than is the arbiter's */
    assert_int_equal(kv_check_swap(&request.swap), KV_E_MALFORMED);
    request.swap.puts.items[0].value = sl("/quorate/v1/clusters/pg0");
    request.swap.expect_revision = 8;
    assert_int_equal(apply_at(request, 3).error, KV_E_SWAP_VOID);
    request.swap.expect_revision = 9;
    struct kv_outcome outcome = apply_at(request, 3);
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.record.epoch, 0);
    outcome = read_it(range_request("/quorate/", "*"));
    request.swap.puts.items[0].is_delete = false;
    assert_int_equal(outcome.response.range.kvs.count, 0);
    assert_int_equal(apply_at(swap_request(0, 0, 1, 1), 3).error, KV_OK);
}

static int count_record(void *ctx, struct slice name, const struct kv_record *record)
{
    int *count = ctx;
    assert_slice(name, "pg");
    assert_int_equal(record->epoch, 5);
    assert_slice(record->blob, "blob");
    (*count)++;
    return 0;
}

static void records_and_hash(void **state)
{
    (void)state;
    uint32_t before = 0;
    uint32_t after = 0;
    int count = 0;
    struct store_txn *txn_of_store = store_mem_txn(store.mem);
    assert_int_equal(kv_core_hash(txn_of_store, &before), 0);
    assert_int_equal(apply_at(swap_request(0, 0, 5, 1), 3).error, KV_OK);
    assert_int_equal(kv_core_records(txn_of_store, count_record, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(kv_core_hash(txn_of_store, &after), 0);
    assert_int_not_equal(before, after);
}

static void damage_is_seen(void **state)
{
    (void)state;
    put("a", "value");
    struct store_txn *txn_of_store = store_mem_txn(store.mem);
    struct kv_bytes at;
    struct slice row;
    uint8_t copy[256];
    kv_rev_encode((struct kv_rev){2, 0}, &at);
    assert_int_equal(store_get(txn_of_store, STORE_KV_REVS, kv_bytes_slice(&at), &row), 0);
    size_t len = row.len;
    memcpy(copy, row.data, len);
    for (size_t i = 0; i < len; i++) {
        struct kv_outcome outcome;
        struct kv_request request = range_request("a", NULL);
        copy[i] ^= 0x10;
        assert_int_equal(
            store_put(txn_of_store, STORE_KV_REVS, kv_bytes_slice(&at), slice_from(copy, len)), 0);
        assert_int_equal(kv_core_read(txn_of_store, test_scratch(), &request, &outcome),
                         BASE_E_CORRUPT);
        copy[i] ^= 0x10;
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(fresh_store_is_at_one),
        CASE(put_counts_versions_and_bumps_always),
        CASE(delete_resets_the_incarnation),
        CASE(delete_of_nothing_does_not_bump),
        CASE(one_request_is_one_revision),
        CASE(previous_pair_is_shown),
        CASE(flags_keep_what_is_there),
        CASE(intervals),
        CASE(older_revisions),
        CASE(history_sorts_keys_before_revisions),
        CASE(limit_count_and_more),
        CASE(sorting),
        CASE(filters_come_before_the_limit),
        CASE(escaped_keys_sort_as_keys),
        CASE(long_keys),
        CASE(large_values),
        CASE(reserved_keys_are_refused),
        CASE(too_little_memory_cuts_the_answer_only),
        CASE(swap_wins_once),
        CASE(malformed_swaps_are_void),
        CASE(a_removal_takes_the_row_away),
        CASE(records_and_hash),
        CASE(damage_is_seen),
    };
    return cmocka_run_group_tests_name("kv_core", tests, NULL, NULL);
}
