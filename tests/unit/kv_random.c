/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_random.h. */
#include "tests/unit/kv_random.h"

#include "tests/support/cm.h"

#define KEY(text) \
    { \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
const struct slice random_keys[RANDOM_KEYS] = {
    KEY("\0"), KEY("\0\0"), KEY("\0\xff"), KEY("a"),  KEY("a\0"),   KEY("a\0b"), KEY("a\1"),
    KEY("aa"), KEY("ab"),   KEY("b"),      KEY("ba"), KEY("b\xff"), KEY("\xff"), KEY("\xff\xff"),
};

uint64_t random_below(struct random_source *source, uint64_t bound)
{
    return base_rand_between(&source->rand, 0, bound - 1);
}

static bool one_in(struct random_source *source, uint64_t n)
{
    return random_below(source, n) == 0;
}

static void *take(struct random_source *source, size_t count, size_t size)
{
    void *taken = base_arena_take(source->arena, count, size);
    assert_non_null(taken);
    return taken;
}

static struct slice pick_key(struct random_source *source)
{
    return one_in(source, 60) ? SLICE_EMPTY : random_keys[random_below(source, RANDOM_KEYS)];
}

/* Mostly none, else anything from everything to nothing. */
static struct slice pick_end(struct random_source *source)
{
    if (!one_in(source, 2)) {
        return SLICE_EMPTY;
    }
    return one_in(source, 4) ? random_keys[0] : random_keys[random_below(source, RANDOM_KEYS)];
}

struct slice random_value(struct random_source *source)
{
    size_t len = random_below(source, one_in(source, 40) ? 6000 : 6);
    if (len == 0) {
        return SLICE_EMPTY;
    }
    uint8_t *bytes = take(source, len, 1);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)('a' + random_below(source, 4));
    }
    return slice_from(bytes, len);
}

static int64_t pick_bound(struct random_source *source)
{
    return one_in(source, 8) ? (int64_t)random_below(source, (uint64_t)source->revision + 2) : 0;
}

static struct kv_range pick_range(struct random_source *source)
{
    struct kv_range range = {.key = pick_key(source), .range_end = pick_end(source)};
    if (one_in(source, 3)) {
        range.revision = (int64_t)random_below(source, (uint64_t)source->revision + 2);
    }
    if (one_in(source, 3)) {
        range.limit = (int64_t)random_below(source, 6);
    }
    if (one_in(source, 3)) {
        range.sort_order = (int32_t)random_below(source, one_in(source, 20) ? 5 : 3);
        range.sort_target = (int32_t)random_below(source, one_in(source, 20) ? 7 : 5);
    }
    range.is_keys_only = one_in(source, 8);
    range.is_count_only = one_in(source, 8);
    range.is_serializable = one_in(source, 8);
    range.min_mod_revision = pick_bound(source);
    range.max_mod_revision = pick_bound(source);
    range.min_create_revision = pick_bound(source);
    range.max_create_revision = pick_bound(source);
    return range;
}

static struct kv_put pick_put(struct random_source *source)
{
    struct kv_put put = {.key = pick_key(source),
                         .value = random_value(source),
                         .is_prev_kv = one_in(source, 3),
                         .is_ignore_value = one_in(source, 10),
                         .is_ignore_lease = one_in(source, 10),
                         .lease = one_in(source, 40) ? 7 : 0};
    if (source->has_leases && one_in(source, 2)) {
        put.lease = (int64_t)random_below(source, RANDOM_LEASES) + 1;
    }
    if (put.is_ignore_lease && !one_in(source, 8)) {
        put.lease = 0;
    }
    if (put.is_ignore_value && !one_in(source, 8)) {
        put.value = SLICE_EMPTY;
    }
    return put;
}

static struct kv_delete pick_delete(struct random_source *source)
{
    return (struct kv_delete){.key = pick_key(source),
                              .range_end = one_in(source, 2) ? SLICE_EMPTY : pick_end(source),
                              .is_prev_kv = one_in(source, 3)};
}

static struct kv_compare pick_compare(struct random_source *source)
{
    struct kv_compare compare = {.result = (int32_t)random_below(source, 4),
                                 .target = (int32_t)random_below(source, 5),
                                 .key = pick_key(source),
                                 .range_end = one_in(source, 3) ? pick_end(source) : SLICE_EMPTY,
                                 .which = (uint32_t)random_below(source, 6) + 3};
    if (!one_in(source, 10)) {
        static const uint32_t fitting[] = {KV_COMPARE_VERSION, KV_COMPARE_CREATE, KV_COMPARE_MOD,
                                           KV_COMPARE_VALUE, KV_COMPARE_LEASE};
        compare.which = fitting[compare.target];
    }
    compare.which = compare.which == 3 ? 0 : compare.which;
    if (compare.which == KV_COMPARE_VALUE) {
        compare.value = random_value(source);
    } else if (compare.which != 0) {
        compare.number = one_in(source, 2)
                             ? (int64_t)random_below(source, 3)
                             : (int64_t)random_below(source, (uint64_t)source->revision + 1);
    }
    return compare;
}

static struct kv_txn pick_txn(struct random_source *source, unsigned depth);

static struct kv_ops pick_ops(struct random_source *source, unsigned depth)
{
    struct kv_ops ops = {NULL, random_below(source, 4)};
    if (ops.count > 0) {
        ops.items = take(source, ops.count, sizeof(*ops.items));
    }
    for (size_t i = 0; i < ops.count; i++) {
        struct kv_op *op = &ops.items[i];
        op->kind = (uint32_t)random_below(source, depth > 0 ? 4 : 3) + 1;
        if (op->kind == KV_OP_RANGE) {
            op->range = pick_range(source);
        } else if (op->kind == KV_OP_PUT) {
            op->put = pick_put(source);
        } else if (op->kind == KV_OP_DELETE) {
            op->delete_range = pick_delete(source);
        } else {
            op->txn = pick_txn(source, depth - 1);
        }
    }
    return ops;
}

static struct kv_txn pick_txn(struct random_source *source, unsigned depth)
{
    struct kv_txn txn = {.compares = {NULL, random_below(source, 3)}};
    if (txn.compares.count > 0) {
        txn.compares.items = take(source, txn.compares.count, sizeof(*txn.compares.items));
    }
    for (size_t i = 0; i < txn.compares.count; i++) {
        txn.compares.items[i] = pick_compare(source);
    }
    txn.then_ops = pick_ops(source, depth);
    txn.else_ops = pick_ops(source, depth);
    return txn;
}

static struct kv_request pick_upkeep(struct random_source *source)
{
    int64_t lease = (int64_t)random_below(source, RANDOM_LEASES) + 1;
    uint64_t newest = (uint64_t)source->revision;
    switch (random_below(source, 8)) {
    case 0:
        return (struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = lease};
    case 1: /* mostly refused: what was compacted stays so */
        return (struct kv_request){.kind = KV_KIND_COMPACT,
                                   .compact.revision = (int64_t)random_below(source, newest + 2)};
    default:
        return (struct kv_request){
            .kind = KV_KIND_LEASE_GRANT,
            .lease_grant = {.id = lease, .ttl = (int64_t)random_below(source, 9)}};
    }
}

struct kv_request random_request(struct random_source *source)
{
    if (source->has_leases && one_in(source, 8)) {
        return pick_upkeep(source);
    }
    struct kv_request request = {.kind = (uint32_t)random_below(source, 4) + 1};
    if (request.kind == KV_KIND_RANGE) {
        request.range = pick_range(source);
    } else if (request.kind == KV_KIND_PUT) {
        request.put = pick_put(source);
    } else if (request.kind == KV_KIND_DELETE) {
        request.delete_range = pick_delete(source);
    } else {
        request.txn = pick_txn(source, 3);
    }
    return request;
}
