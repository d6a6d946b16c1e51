/* SPDX-License-Identifier: Apache-2.0 */
/* Short ways to ask one store and to look at its answers; for kv_core_test and kv_core_txn_test.
 * Slices of a read's outcome are looked at right away: nothing is written in between. */
#ifndef QUORATE_TESTS_UNIT_KV_CORE_RIG_H
#define QUORATE_TESTS_UNIT_KV_CORE_RIG_H

#include <string.h>

#include "tests/unit/kv_one_store.h"

static inline struct kv_outcome apply(struct kv_request request)
{
    return apply_at(request, 1);
}

static inline int64_t put(const char *key, const char *value)
{
    struct kv_outcome outcome = apply(put_request(key, value));
    assert_int_equal(outcome.error, KV_OK);
    return outcome.response.put.header.revision;
}

static inline int64_t delete_key(const char *key, const char *end)
{
    struct kv_outcome outcome = apply(delete_request(key, end));
    assert_int_equal(outcome.error, KV_OK);
    return outcome.response.delete_range.deleted;
}

static inline void assert_slice(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

/* Keys of a range as "a,b,c". */
static inline const char *keys_of(const struct kv_range_response *response)
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

static inline const char *keys_read(struct kv_request request)
{
    struct kv_outcome outcome = read_it(request);
    return keys_of(&outcome.response.range);
}

static inline void assert_pair(const struct kv_pair *pair, const char *value, int64_t create,
                               int64_t mod, int64_t version)
{
    assert_slice(pair->value, value);
    assert_int_equal(pair->create_revision, create);
    assert_int_equal(pair->mod_revision, mod);
    assert_int_equal(pair->version, version);
}

/* --- parts of transactions --- */

static inline struct kv_op op_put(const char *key, const char *value)
{
    return (struct kv_op){.kind = KV_OP_PUT, .put = {.key = sl(key), .value = sl(value)}};
}

static inline struct kv_op op_delete(const char *key, const char *end)
{
    return (struct kv_op){.kind = KV_OP_DELETE,
                          .delete_range = delete_request(key, end).delete_range};
}

static inline struct kv_op op_range(const char *key, const char *end)
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

static inline struct kv_request txn(struct kv_compares compares, struct kv_ops then_ops,
                                    struct kv_ops else_ops)
{
    return (struct kv_request){.kind = KV_KIND_TXN, .txn = {compares, then_ops, else_ops}};
}

static inline struct kv_op op_txn(struct kv_compares compares, struct kv_ops then_ops,
                                  struct kv_ops else_ops)
{
    return (struct kv_op){.kind = KV_OP_TXN, .txn = {compares, then_ops, else_ops}};
}

static inline struct kv_compare compare_number(const char *key, int32_t target, int32_t result,
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

static inline struct kv_compare compare_value(const char *key, int32_t result, const char *value)
{
    return (struct kv_compare){.result = result,
                               .target = KV_TARGET_VALUE,
                               .key = sl(key),
                               .which = KV_COMPARE_VALUE,
                               .value = sl(value)};
}

#endif
