/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions, one rule after the other, on the store in memory: compares, what a transaction sees
 * of itself, what is refused as a whole, and budgets. */
#include <stdio.h>
#include <stdlib.h>

#include "kv/core/check.h"
#include "tests/unit/kv_core_rig.h"

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests_name("kv_core_txn", tests, NULL, NULL);
}
