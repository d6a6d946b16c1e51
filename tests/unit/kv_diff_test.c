/* SPDX-License-Identifier: Apache-2.0 */
/* Differential test: the same random requests to kv/core on a store and to the reference model give
 * the same bytes. Both stores run the same requests and end with the same checksum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/core/check.h"
#include "kv/core/compact.h"
#include "proto/wire/kv.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_model.h"
#include "tests/unit/kv_random.h"
#include "tests/unit/kv_support.h"

#define ARENA_BYTES ((size_t)4 << 20)

static uint8_t memory[ARENA_BYTES];
static uint8_t got_bytes[ARENA_BYTES];
static uint8_t want_bytes[ARENA_BYTES];

/* Encodes inside of the job, as slices of a read do not outlive it. */
struct step {
    const struct kv_request *request;
    struct kv_outcome outcome;
    struct buf got;
};

static int step_run(void *ctx, struct store_txn *txn)
{
    struct step *step = ctx;
    bool is_read = kv_check_request(step->request) == KV_OK && kv_request_is_read(step->request);
    int rc =
        is_read ? kv_core_read(txn, test_scratch(), step->request, &step->outcome)
                : kv_core_apply(txn, test_scratch(),
                                &(struct kv_command){.request = *step->request}, 1, &step->outcome);
    /* a malformed range is a read as well, but apply refuses it for another reason */
    if (rc == 0 && !is_read && step->request->kind == KV_KIND_RANGE) {
        rc = kv_core_read(txn, test_scratch(), step->request, &step->outcome);
    }
    if (rc == 0 && step->outcome.error == KV_OK) {
        assert_false(step->outcome.is_cut);
        rc = kv_wire_encode_response(&step->outcome.response, &step->got);
    }
    return rc;
}

static int hash_run(void *ctx, struct store_txn *txn)
{
    return kv_core_hash(txn, ctx);
}

static int compact_run(void *ctx, struct store_txn *txn)
{
    return kv_compact_step(txn, 8, ctx);
}

static uint32_t run(enum test_store_kind kind, uint64_t seed, int rounds)
{
    struct test_store store;
    struct kv_model *model = kv_model_create();
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct random_source source = {
        .rand = base_rand_make(seed, 7), .arena = &arena, .has_leases = true};
    size_t refused = 0;
    uint32_t hash = 0;
    test_store_open(&store, kind, 0);
    for (int i = 0; i < rounds; i++) {
        struct kv_response wanted = {0};
        struct buf want = buf_over(want_bytes, sizeof(want_bytes));
        base_arena_reset(&arena);
        source.revision = kv_model_revision(model);
        struct kv_request request = random_request(&source);
        struct step step = {.request = &request, .got = buf_over(got_bytes, sizeof(got_bytes))};
        enum kv_error error = kv_model_do(model, &request, &arena, &wanted);
        assert_int_equal(test_store_run(&store, step_run, &step, false), 0);
        if (step.outcome.error != error || step.outcome.revision != kv_model_revision(model)) {
            print_error("seed %llu round %d kind %u\n", (unsigned long long)seed, i, request.kind);
        }
        if (random_below(&source, 8) == 0) { /* removal goes on at any pace */
            struct kv_compact_progress progress;
            assert_int_equal(test_store_run(&store, compact_run, &progress, false), 0);
        }
        assert_string_equal(kv_error_text(step.outcome.error), kv_error_text(error));
        assert_int_equal(step.outcome.revision, kv_model_revision(model));
        refused += error != KV_OK;
        if (error == KV_OK) {
            assert_int_equal(kv_wire_encode_response(&wanted, &want), 0);
            assert_int_equal(step.got.len, want.len);
            assert_memory_equal(step.got.data, want.data, want.len);
        }
    }
    assert_in_range(refused, 1, (size_t)rounds / 2);
    assert_int_equal(test_store_run(&store, hash_run, &hash, true), 0);
    test_store_close(&store);
    kv_model_destroy(model);
    return hash;
}

static void memory_equals_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        (void)run(TEST_STORE_MEM, seed, 600);
    }
    test_scratch_free();
}

static void lmdb_equals_the_model_and_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 102; seed++) {
        assert_int_equal(run(TEST_STORE_LMDB, seed, 500), run(TEST_STORE_MEM, seed, 500));
    }
    test_scratch_free();
}

/* Each change that a request makes fails once: the failure comes out, and the store is as it was
 * before. */
static void store_failures_come_out(void **state)
{
    (void)state;
    struct test_store store;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct random_source source = {
        .rand = base_rand_make(5, 5), .arena = &arena, .has_leases = true};
    uint32_t before = 0;
    uint32_t after = 0;
    size_t failures = 0;
    test_store_open(&store, TEST_STORE_MEM, 0);
    for (int i = 0; i < 300; i++) {
        int rc = BASE_E_IO;
        base_arena_reset(&arena);
        source.revision = i;
        struct kv_request request = random_request(&source);
        for (uint64_t n = 1; rc != 0; n++) {
            struct step step = {.request = &request, .got = buf_over(got_bytes, sizeof(got_bytes))};
            assert_int_equal(kv_core_hash(store_mem_txn(store.mem), &before), 0);
            store_mem_fail_at(store.mem, n, BASE_E_IO);
            rc = test_store_run(&store, step_run, &step, false);
            if (rc != 0) {
                assert_int_equal(rc, BASE_E_IO);
                store_mem_crash(store.mem);
                assert_int_equal(kv_core_hash(store_mem_txn(store.mem), &after), 0);
                assert_int_equal(before, after);
                failures++;
            }
        }
        store_mem_fail_at(store.mem, 0, 0);
    }
    assert_true(failures > 500);
    test_store_close(&store);
    test_scratch_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_failures_come_out),
        cmocka_unit_test(memory_equals_the_model),
        cmocka_unit_test(lmdb_equals_the_model_and_memory),
    };
    return cmocka_run_group_tests_name("kv_diff", tests, NULL, NULL);
}
