/* SPDX-License-Identifier: Apache-2.0 */
/* One store in memory, new for each test, for tests of kv/core that ask it one request at a time.
 * Included by those tests only. */
#ifndef QUORATE_TESTS_UNIT_KV_ONE_STORE_H
#define QUORATE_TESTS_UNIT_KV_ONE_STORE_H

#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

static struct test_store store;

static inline int setup(void **state)
{
    (void)state;
    test_store_open(&store, TEST_STORE_MEM, 0);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    test_store_close(&store);
    test_scratch_free();
    return 0;
}

/* As an entry of that term. What is refused has changed nothing. */
static inline struct kv_outcome apply_at(struct kv_request request, uint64_t term)
{
    struct kv_outcome outcome;
    assert_int_equal(test_apply(&store, &request, term, &outcome), 0);
    assert_true(outcome.error == KV_OK || !outcome.is_changed);
    return outcome;
}

static inline struct kv_outcome read_it(struct kv_request request)
{
    struct kv_outcome outcome;
    assert_int_equal(test_read(&store, &request, &outcome), 0);
    return outcome;
}

#endif
