/* SPDX-License-Identifier: Apache-2.0 */
/* The restore id in the store: absent, written, damaged. */
#include "kv/core/restore.h"
#include "raft/store_mem.h"
#include "tests/support/cm.h"

struct work {
    struct store_job job;
    int (*run)(struct store_txn *txn, struct work *work);
    uint64_t id;
    int rc;
    struct slice bytes;
};

static int run(struct store_job *job, struct store_txn *txn)
{
    struct work *work = (struct work *)job; /* its first member */
    work->rc = work->run(txn, work);
    return 0;
}

static void done(struct store_job *job, int status)
{
    (void)job;
    assert_int_equal(status, 0);
}

static int read_id(struct store_txn *txn, struct work *work)
{
    return kv_core_restore_id(txn, &work->id);
}

static int write_id(struct store_txn *txn, struct work *work)
{
    return kv_core_restore_id_set(txn, work->id);
}

static int write_bytes(struct store_txn *txn, struct work *work)
{
    return store_put(txn, STORE_META, SLICE_LIT(KV_META_RESTORE), work->bytes);
}

static void carry_out(struct store_mem *store, struct work *work)
{
    struct store_port port = store_mem_port(store);
    work->job = (struct store_job){.run = run, .done = done, .wants_durable = true};
    port.submit(port.ctx, &work->job);
    store_mem_step(store);
}

static void test_written_and_read(void **state)
{
    struct store_mem *store = store_mem_create();
    struct work reading = {.run = read_id, .id = 5};
    struct work writing = {.run = write_id, .id = UINT64_C(0xfedcba9876543210)};
    (void)state;
    assert_non_null(store);
    carry_out(store, &reading);
    assert_int_equal(reading.rc, 0);
    assert_true(reading.id == 0); /* never restored */
    carry_out(store, &writing);
    assert_int_equal(writing.rc, 0);
    carry_out(store, &reading);
    assert_int_equal(reading.rc, 0);
    assert_true(reading.id == writing.id);
    writing.id = 7; /* restored once more */
    carry_out(store, &writing);
    carry_out(store, &reading);
    assert_true(reading.id == 7);
    (void)store_mem_destroy(store);
}

/* A damaged id must not read as "never restored". */
static void test_damage_is_told(void **state)
{
    static const char *const rows[] = {"", "short", "twelve bytes", "more than twelve bytes"};
    struct store_mem *store = store_mem_create();
    (void)state;
    assert_non_null(store);
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct work damage = {.run = write_bytes, .bytes = slice_from_text(rows[i])};
        struct work reading = {.run = read_id, .id = 5};
        carry_out(store, &damage);
        assert_int_equal(damage.rc, 0);
        carry_out(store, &reading);
        assert_int_equal(reading.rc, BASE_E_CORRUPT);
        assert_true(reading.id == 5);
    }
    (void)store_mem_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
