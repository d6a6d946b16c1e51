/* SPDX-License-Identifier: Apache-2.0 */
/* Revision rules, range options, transactions and swaps, one by one, on the store in memory.
 * Slices of a read's outcome are looked at right away: nothing is written in between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/core/check.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

static struct test_store store;

static int setup(void **state)
{
    (void)state;
    test_store_open(&store, TEST_STORE_MEM, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_store_close(&store);
    test_scratch_free();
    return 0;
}

static struct kv_outcome apply_at(struct kv_request request, uint64_t term)
{
    struct kv_outcome outcome;
    assert_int_equal(test_apply(&store, &request, term, &outcome), 0);
    return outcome;
}

static struct kv_outcome apply(struct kv_request request)
{
    return apply_at(request, 1);
}

static struct kv_outcome read_it(struct kv_request request)
{
    struct kv_outcome outcome;
    assert_int_equal(test_read(&store, &request, &outcome), 0);
    return outcome;
}

static int64_t put(const char *key, const char *value)
{
    struct kv_outcome outcome = apply(put_request(key, value));
    assert_int_equal(outcome.error, KV_OK);
    return outcome.response.put.header.revision;
}

static int64_t delete_key(const char *key, const char *end)
{
    struct kv_outcome outcome = apply(delete_request(key, end));
    assert_int_equal(outcome.error, KV_OK);
    return outcome.response.delete_range.deleted;
}

static void assert_slice(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

/* Keys of a range as "a,b,c". */
static const char *keys_of(const struct kv_range_response *response)
{
    static char text[1024];
    struct buf out = buf_over(text, sizeof(text));
    for (size_t i = 0; i < response->kvs.count; i++) {
        buf_put_text(&out, i == 0 ? "" : ",");
        buf_put(&out, response->kvs.items[i].key);
    }
    assert_true(buf_terminate(&out));
    return text;
}

static const char *keys_read(struct kv_request request)
{
    struct kv_outcome outcome = read_it(request);
    return keys_of(&outcome.response.range);
}

static void assert_pair(const struct kv_pair *pair, const char *value, int64_t create, int64_t mod,
                        int64_t version)
{
    assert_slice(pair->value, value);
    assert_int_equal(pair->create_revision, create);
    assert_int_equal(pair->mod_revision, mod);
    assert_int_equal(pair->version, version);
}

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

/* --- transactions --- */

static struct kv_op op_put(const char *key, const char *value)
{
    return (struct kv_op){.kind = KV_OP_PUT, .put = {.key = sl(key), .value = sl(value)}};
}

static struct kv_op op_delete(const char *key, const char *end)
{
    return (struct kv_op){.kind = KV_OP_DELETE,
                          .delete_range = delete_request(key, end).delete_range};
}

static struct kv_op op_range(const char *key, const char *end)
{
    return (struct kv_op){.kind = KV_OP_RANGE, .range = range_request(key, end).range};
}

#define OPS(...) \
    ((struct kv_ops){(struct kv_op[]){__VA_ARGS__}, \
                     sizeof((struct kv_op[]){__VA_ARGS__}) / sizeof(struct kv_op)})
#define COMPARES(...) \
    ((struct kv_compares){(struct kv_compare[]){__VA_ARGS__}, \
                          sizeof((struct kv_compare[]){__VA_ARGS__}) / sizeof(struct kv_compare)})
#define NO_OPS ((struct kv_ops){NULL, 0})
#define NO_COMPARES ((struct kv_compares){NULL, 0})

static struct kv_request txn(struct kv_compares compares, struct kv_ops then_ops,
                             struct kv_ops else_ops)
{
    return (struct kv_request){.kind = KV_KIND_TXN, .txn = {compares, then_ops, else_ops}};
}

static struct kv_op op_txn(struct kv_compares compares, struct kv_ops then_ops,
                           struct kv_ops else_ops)
{
    return (struct kv_op){.kind = KV_OP_TXN, .txn = {compares, then_ops, else_ops}};
}

static struct kv_compare compare_number(const char *key, int32_t target, int32_t result,
                                        int64_t number)
{
    static const uint32_t which[] = {KV_COMPARE_VERSION, KV_COMPARE_CREATE, KV_COMPARE_MOD, 0,
                                     KV_COMPARE_LEASE};
    return (struct kv_compare){.result = result,
                               .target = target,
                               .key = sl(key),
                               .which = which[target],
                               .number = number};
}

static struct kv_compare compare_value(const char *key, int32_t result, const char *value)
{
    return (struct kv_compare){.result = result,
                               .target = KV_TARGET_VALUE,
                               .key = sl(key),
                               .which = KV_COMPARE_VALUE,
                               .value = sl(value)};
}

static bool holds(struct kv_compare compare)
{
    struct kv_outcome outcome = read_it(txn(COMPARES(compare), NO_OPS, NO_OPS));
    assert_int_equal(outcome.error, KV_OK);
    return outcome.response.txn.is_succeeded;
}

static void compares_of_a_key(void **state)
{
    (void)state;
    put("a", "m");
    put("a", "n"); /* create 2, mod 3, version 2 */
    static const int64_t numbers[] = {2, 2, 3, 0, 0};
    static const int32_t targets[] = {KV_TARGET_VERSION, KV_TARGET_CREATE, KV_TARGET_MOD,
                                      KV_TARGET_LEASE};
    for (size_t i = 0; i < BASE_COUNT_OF(targets); i++) {
        int64_t is = numbers[targets[i]];
        for (int64_t given = is - 1; given <= is + 1; given++) {
            assert_int_equal(holds(compare_number("a", targets[i], KV_EQUAL, given)), given == is);
            assert_int_equal(holds(compare_number("a", targets[i], KV_NOT_EQUAL, given)),
                             given != is);
            assert_int_equal(holds(compare_number("a", targets[i], KV_GREATER, given)), is > given);
            assert_int_equal(holds(compare_number("a", targets[i], KV_LESS, given)), is < given);
        }
    }
    assert_true(holds(compare_value("a", KV_EQUAL, "n")));
    assert_false(holds(compare_value("a", KV_EQUAL, "m")));
    assert_true(holds(compare_value("a", KV_GREATER, "m")));
    assert_true(holds(compare_value("a", KV_LESS, "o")));
    assert_true(holds(compare_value("a", KV_NOT_EQUAL, "")));
}

static void compares_of_a_missing_key(void **state)
{
    (void)state;
    assert_true(holds(compare_number("x", KV_TARGET_VERSION, KV_EQUAL, 0)));
    assert_true(holds(compare_number("x", KV_TARGET_CREATE, KV_EQUAL, 0)));
    assert_false(holds(compare_number("x", KV_TARGET_MOD, KV_GREATER, 0)));
    assert_true(holds(compare_number("x", KV_TARGET_MOD, KV_LESS, 1)));
    assert_false(holds(compare_value("x", KV_EQUAL, "")));
    assert_false(holds(compare_value("x", KV_NOT_EQUAL, "a")));
    struct kv_compare odd = compare_number("x", KV_TARGET_MOD, KV_EQUAL, 7);
    odd.which = KV_COMPARE_VERSION; /* another member than the target wants counts as zero */
    assert_true(holds(odd));
    odd.result = 4; /* unknown results and targets hold, as with etcd */
    assert_true(holds(odd));
    odd.target = 9;
    odd.result = KV_EQUAL;
    assert_true(holds(odd));
    odd.result = KV_LESS;
    assert_false(holds(odd));
}

static void compares_of_an_interval(void **state)
{
    (void)state;
    put("a1", "1");
    put("a2", "1");
    struct kv_compare compare = compare_number("a", KV_TARGET_VERSION, KV_EQUAL, 1);
    compare.range_end = sl("b");
    assert_true(holds(compare));
    put("a2", "1");
    assert_false(holds(compare));
    compare = compare_number("x", KV_TARGET_VERSION, KV_EQUAL, 0);
    compare.range_end = sl("y");
    assert_true(holds(compare));
    compare = compare_value("x", KV_EQUAL, "");
    compare.range_end = sl("y");
    assert_false(holds(compare));
}

static void txn_is_one_revision_and_sees_itself(void **state)
{
    (void)state;
    put("d", "1"); /* 2 */
    struct kv_outcome outcome =
        apply(txn(NO_COMPARES,
                  OPS(op_range("a", "*"), op_put("a", "1"), op_put("b", "1"), op_range("a", "*"),
                      op_delete("d", NULL), op_range("a", "*")),
                  NO_OPS));
    assert_int_equal(outcome.error, KV_OK);
    const struct kv_txn_response *response = &outcome.response.txn;
    assert_true(response->is_succeeded);
    assert_int_equal(response->header.revision, 3);
    assert_int_equal(response->responses.count, 6);
    const struct kv_op_response *items = response->responses.items;
    assert_string_equal(keys_of(&items[0].range), "d");
    assert_int_equal(items[0].range.header.revision, 2);
    assert_int_equal(items[1].put.header.revision, 3);
    assert_string_equal(keys_of(&items[3].range), "a,b,d");
    assert_int_equal(items[3].range.header.revision, 3);
    assert_int_equal(items[3].range.kvs.items[0].mod_revision, 3);
    assert_int_equal(items[4].delete_range.deleted, 1);
    assert_string_equal(keys_of(&items[5].range), "a,b");
    struct kv_request old = range_request("a", "*");
    old.range.revision = 2;
    assert_string_equal(keys_read(old), "d");
}

static void txn_reads_the_past_while_it_writes(void **state)
{
    (void)state;
    put("a", "1"); /* 2 */
    struct kv_op past = op_range("a", "*");
    past.range.revision = 2;
    struct kv_outcome outcome =
        apply(txn(NO_COMPARES, OPS(op_put("a", "2"), op_put("b", "2"), past), NO_OPS));
    const struct kv_range_response *range = &outcome.response.txn.responses.items[2].range;
    assert_string_equal(keys_of(range), "a");
    assert_slice(range->kvs.items[0].value, "1");
    assert_int_equal(range->header.revision, 3);
}

static void txn_without_effect_does_not_bump(void **state)
{
    (void)state;
    struct kv_outcome outcome = apply(txn(NO_COMPARES, OPS(op_delete("a", "*")), NO_OPS));
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.response.txn.header.revision, 1);
    assert_false(outcome.is_changed);
}

static void refused_txn_changes_nothing(void **state)
{
    (void)state;
    struct kv_op future = op_range("a", NULL);
    future.range.revision = 2; /* also not the revision that the transaction itself makes */
    struct kv_outcome outcome = apply(txn(NO_COMPARES, OPS(op_put("a", "1"), future), NO_OPS));
    assert_int_equal(outcome.error, KV_E_FUTURE_REVISION);
    struct kv_op keep = op_put("b", "");
    keep.put.is_ignore_value = true;
    outcome = apply(txn(NO_COMPARES, OPS(op_put("a", "1"), keep), NO_OPS));
    assert_int_equal(outcome.error, KV_E_KEY_NOT_FOUND);
    struct kv_op leased = op_put("b", "1");
    leased.put.lease = 7;
    outcome = apply(txn(NO_COMPARES, OPS(op_put("a", "1"), leased), NO_OPS));
    assert_int_equal(outcome.error, KV_E_LEASE_NOT_FOUND);
    assert_int_equal(outcome.revision, 1);
    assert_int_equal(read_it(range_request("a", "*")).response.range.count, 0);
    /* what is wrong in the branch not taken does not matter */
    outcome = apply(txn(NO_COMPARES, OPS(op_put("a", "1")), OPS(leased)));
    assert_int_equal(outcome.error, KV_OK);
}

static void nested_compares_see_the_state_before(void **state)
{
    (void)state;
    struct kv_compare missing = compare_number("a", KV_TARGET_CREATE, KV_EQUAL, 0);
    struct kv_outcome outcome =
        apply(txn(COMPARES(missing),
                  OPS(op_put("a", "1"),
                      op_txn(COMPARES(missing), OPS(op_put("b", "then"), op_range("a", "*")),
                             OPS(op_put("b", "else")))),
                  NO_OPS));
    assert_int_equal(outcome.error, KV_OK);
    const struct kv_op_response *items = outcome.response.txn.responses.items;
    assert_int_equal(items[1].kind, KV_OP_TXN);
    assert_true(items[1].txn.is_succeeded);
    assert_int_equal(items[1].txn.header.revision, 0); /* nested ones are empty, as with etcd */
    assert_string_equal(keys_of(&items[1].txn.responses.items[1].range), "a,b");
    outcome =
        apply(txn(COMPARES(missing), NO_OPS,
                  OPS(op_txn(COMPARES(missing), OPS(op_put("c", "1")), OPS(op_put("d", "1"))))));
    assert_false(outcome.response.txn.is_succeeded);
    assert_false(outcome.response.txn.responses.items[0].txn.is_succeeded);
    assert_string_equal(keys_read(range_request("a", "*")), "a,b,d");
}

static enum kv_error checked(struct kv_ops then_ops, struct kv_ops else_ops)
{
    struct kv_request request = txn(NO_COMPARES, then_ops, else_ops);
    return kv_check_request(&request);
}

static void overlaps(void **state)
{
    (void)state;
    const enum kv_error bad = KV_E_DUPLICATE_KEY;
    assert_int_equal(checked(OPS(op_put("a", ""), op_put("a", "")), NO_OPS), bad);
    assert_int_equal(checked(OPS(op_put("a", "")), OPS(op_put("a", ""))), KV_OK);
    assert_int_equal(checked(NO_OPS, OPS(op_put("a", ""), op_put("a", ""))), bad);
    assert_int_equal(checked(OPS(op_put("b", ""), op_delete("a", "c")), NO_OPS), bad);
    assert_int_equal(checked(OPS(op_delete("a", "c"), op_put("b", "")), NO_OPS), bad);
    assert_int_equal(checked(OPS(op_delete("a", "c"), op_put("c", "")), NO_OPS), KV_OK);
    assert_int_equal(checked(OPS(op_delete("a", "c"), op_delete("b", "*")), NO_OPS), KV_OK);
    assert_int_equal(checked(OPS(op_range("a", NULL), op_put("a", "")), NO_OPS), KV_OK);
    struct kv_op put_a = op_txn(NO_COMPARES, OPS(op_put("a", "")), NO_OPS);
    struct kv_op put_both = op_txn(NO_COMPARES, OPS(op_put("a", "")), OPS(op_put("a", "")));
    struct kv_op delete_a = op_txn(NO_COMPARES, OPS(op_delete("a", NULL)), NO_OPS);
    assert_int_equal(checked(OPS(put_both), NO_OPS), KV_OK);
    assert_int_equal(checked(OPS(put_a, op_put("a", "")), NO_OPS), bad);
    assert_int_equal(checked(OPS(put_a, put_a), NO_OPS), bad);
    assert_int_equal(checked(OPS(put_a), OPS(put_a)), KV_OK);
    assert_int_equal(checked(OPS(put_a, op_delete("a", NULL)), NO_OPS), bad);
    assert_int_equal(checked(OPS(delete_a, op_put("a", "")), NO_OPS), bad);
    assert_int_equal(checked(OPS(delete_a, put_a), NO_OPS), bad);
    assert_int_equal(checked(OPS(put_a, delete_a), NO_OPS), KV_OK);
    struct kv_op deep = op_txn(NO_COMPARES, OPS(put_a), NO_OPS);
    assert_int_equal(checked(OPS(deep, op_put("a", "")), NO_OPS), bad);
    assert_int_equal(checked(OPS(op_txn(NO_COMPARES, OPS(put_a), OPS(put_a))), NO_OPS), KV_OK);
}

static void later_nested_delete_takes_an_earlier_put_away(void **state)
{
    (void)state;
    struct kv_outcome outcome =
        apply(txn(NO_COMPARES,
                  OPS(op_txn(NO_COMPARES, OPS(op_put("a", "")), NO_OPS),
                      op_txn(NO_COMPARES, OPS(op_delete("a", NULL)), NO_OPS)),
                  NO_OPS));
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.revision, 2);
    assert_int_equal(read_it(range_request("a", "*")).response.range.count, 0);
    assert_int_equal(put("a", "1"), 3);
}

static void budgets(void **state)
{
    (void)state;
    static struct kv_op ops[KV_TXN_OPS_MAX + 1];
    for (size_t i = 0; i < BASE_COUNT_OF(ops); i++) {
        ops[i] = op_range("a", NULL);
    }
    struct kv_ops all = {ops, KV_TXN_OPS_MAX};
    assert_int_equal(checked(all, all), KV_OK);
    all.count++;
    assert_int_equal(checked(all, NO_OPS), KV_E_TOO_MANY_OPS);
    assert_int_equal(checked(NO_OPS, all), KV_E_TOO_MANY_OPS);
    all.count = KV_TXN_OPS_MAX; /* the outer level takes one from the budget */
    assert_int_equal(checked(OPS(op_txn(NO_COMPARES, all, NO_OPS)), NO_OPS), KV_E_TOO_MANY_OPS);
    all.count--;
    assert_int_equal(checked(OPS(op_txn(NO_COMPARES, all, NO_OPS)), NO_OPS), KV_OK);
    struct kv_op nest[KV_TXN_DEPTH_MAX];
    nest[0] = op_put("a", "");
    for (size_t i = 1; i < BASE_COUNT_OF(nest); i++) {
        nest[i] = op_txn(NO_COMPARES, (struct kv_ops){&nest[i - 1], 1}, NO_OPS);
    }
    struct kv_ops deepest = {&nest[KV_TXN_DEPTH_MAX - 1], 1};
    assert_int_equal(checked(deepest, NO_OPS), KV_OK);
    assert_int_equal(apply(txn(NO_COMPARES, deepest, NO_OPS)).error, KV_OK);
    struct kv_op one_more = op_txn(NO_COMPARES, deepest, NO_OPS);
    assert_int_equal(checked(OPS(one_more), NO_OPS), KV_E_TOO_MANY_OPS);
    struct kv_op empty = {.kind = KV_OP_NONE};
    assert_int_equal(checked(OPS(empty), NO_OPS), KV_E_KEY_NOT_FOUND);
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
        CASE(compares_of_a_key),
        CASE(compares_of_a_missing_key),
        CASE(compares_of_an_interval),
        CASE(txn_is_one_revision_and_sees_itself),
        CASE(txn_reads_the_past_while_it_writes),
        CASE(txn_without_effect_does_not_bump),
        CASE(refused_txn_changes_nothing),
        CASE(nested_compares_see_the_state_before),
        CASE(overlaps),
        CASE(later_nested_delete_takes_an_earlier_put_away),
        CASE(budgets),
        CASE(escaped_keys_sort_as_keys),
        CASE(long_keys),
        CASE(large_values),
        CASE(reserved_keys_are_refused),
        CASE(too_little_memory_cuts_the_answer_only),
        CASE(swap_wins_once),
        CASE(malformed_swaps_are_void),
        CASE(records_and_hash),
        CASE(damage_is_seen),
    };
    return cmocka_run_group_tests_name("kv_core", tests, NULL, NULL);
}
