/* SPDX-License-Identifier: Apache-2.0 */
/* Who may make which request: one row per rule, and each hole that was found in etcd's own checks
 * as a row of its own. */
#include <string.h>

#include "kv/core/auth_walk.h"
#include "tests/support/cm.h"

static uint8_t memory[1 << 20];

static struct slice sl(const char *text)
{
    return slice_from_text(text);
}

#define NUL ((struct slice){(const uint8_t *)"\0", 1})

/* Reads k; reads and writes m to n; writes w to x; reads everything from y on. */
static struct kv_permission given[] = {
    {.type = 0, .key = {(const uint8_t *)"k", 1}},
    {.type = 2, .key = {(const uint8_t *)"m", 1}, .range_end = {(const uint8_t *)"n", 1}},
    {.type = 1, .key = {(const uint8_t *)"w", 1}, .range_end = {(const uint8_t *)"x", 1}},
    {.type = 0, .key = {(const uint8_t *)"y", 1}, .range_end = {(const uint8_t *)"\0", 1}},
};
static struct slice role_names[] = {{(const uint8_t *)"some", 4}};

static struct kv_grants grants_of(struct kv_permission *permissions, size_t count)
{
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_role role = {{permissions, count}};
    struct kv_grants grants = {.user = sl("ann"), .roles = {role_names, 1}};
    assert_int_equal(kv_grants_build(&arena, &role, 1, &grants), 0);
    return grants;
}

static struct kv_grants ann(void)
{
    return grants_of(given, BASE_COUNT_OF(given));
}

static const struct kv_grants root = {.user = {(const uint8_t *)"root", 4}, .is_root = true};

static enum kv_error ask(struct kv_request request)
{
    struct kv_grants grants = ann();
    return kv_auth_walk(&grants, &request);
}

static enum kv_error ask_ops(struct kv_op *ops, size_t count, bool is_else)
{
    struct kv_request request = {.kind = KV_KIND_TXN};
    struct kv_ops list = {ops, count};
    if (is_else) {
        request.txn.else_ops = list;
    } else {
        request.txn.then_ops = list;
    }
    return ask(request);
}

static struct kv_op range_op(const char *key)
{
    return (struct kv_op){.kind = KV_OP_RANGE, .range.key = sl(key)};
}

static struct kv_op put_op(const char *key, bool is_prev_kv)
{
    return (struct kv_op){.kind = KV_OP_PUT, .put = {.key = sl(key), .is_prev_kv = is_prev_kv}};
}

static struct kv_op delete_op(const char *key, const char *end, bool is_prev_kv)
{
    return (struct kv_op){.kind = KV_OP_DELETE,
                          .delete_range = {sl(key), sl(end), .is_prev_kv = is_prev_kv}};
}

/* --- single requests --- */

static void ranges_need_all_of_their_keys(void **state)
{
    (void)state;
#define RANGE(key_, end_) \
    ask((struct kv_request){.kind = KV_KIND_RANGE, .range = {.key = key_, .range_end = end_}})
    assert_int_equal(RANGE(sl("k"), SLICE_EMPTY), KV_OK);
    assert_int_equal(RANGE(sl("k"), sl("l")), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("k"), slice_from("k\0", 2)), KV_OK); /* that is one key */
    assert_int_equal(RANGE(sl("k"), NUL), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("j"), SLICE_EMPTY), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("m"), sl("n")), KV_OK);
    assert_int_equal(RANGE(sl("m5"), sl("m7")), KV_OK);
    assert_int_equal(RANGE(sl("m"), slice_from("n\0", 2)), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("n"), SLICE_EMPTY), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("w"), SLICE_EMPTY), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(sl("y"), NUL), KV_OK);
    assert_int_equal(RANGE(sl("zz"), NUL), KV_OK);
    assert_int_equal(RANGE(sl("x"), NUL), KV_E_PERMISSION_DENIED);
    assert_int_equal(RANGE(NUL, NUL), KV_E_PERMISSION_DENIED);
}

static void puts_and_deletes_with_previous_values_need_both(void **state)
{
    (void)state;
    struct kv_request put = {.kind = KV_KIND_PUT, .put.key = sl("w1")};
    assert_int_equal(ask(put), KV_OK);
    put.put.is_prev_kv = true;
    assert_int_equal(ask(put), KV_E_PERMISSION_DENIED);
    put.put.key = sl("m1");
    assert_int_equal(ask(put), KV_OK);
    put.put.key = sl("k");
    assert_int_equal(ask(put), KV_E_PERMISSION_DENIED);
    struct kv_request gone = {.kind = KV_KIND_DELETE,
                              .delete_range = {sl("w"), sl("x"), .is_prev_kv = false}};
    assert_int_equal(ask(gone), KV_OK);
    gone.delete_range.is_prev_kv = true;
    assert_int_equal(ask(gone), KV_E_PERMISSION_DENIED);
    gone.delete_range = (struct kv_delete){.key = sl("w"), .range_end = NUL};
    assert_int_equal(ask(gone), KV_E_PERMISSION_DENIED);
}

/* --- transactions: CVE-2026-33343 and its relatives --- */

static void transactions_are_walked_through(void **state)
{
    (void)state;
    struct kv_op ops[2] = {put_op("w1", false), put_op("k", false)};
    for (int is_else = 0; is_else < 2; is_else++) {
        assert_int_equal(ask_ops(ops, 1, is_else), KV_OK);
        assert_int_equal(ask_ops(ops, 2, is_else), KV_E_PERMISSION_DENIED);
    }
    struct kv_op one = range_op("w");
    assert_int_equal(ask_ops(&one, 1, false), KV_E_PERMISSION_DENIED);
    one = put_op("w", true);
    assert_int_equal(ask_ops(&one, 1, false), KV_E_PERMISSION_DENIED);
    one = put_op("m", true);
    assert_int_equal(ask_ops(&one, 1, false), KV_OK);
    one = delete_op("w", "x", true);
    assert_int_equal(ask_ops(&one, 1, true), KV_E_PERMISSION_DENIED);
    one = delete_op("w", "x", false);
    assert_int_equal(ask_ops(&one, 1, true), KV_OK);
    one = (struct kv_op){.kind = KV_OP_NONE};
    assert_int_equal(ask_ops(&one, 1, false), KV_E_PERMISSION_DENIED);
}

static void compares_need_reading(void **state)
{
    (void)state;
    struct kv_compare compare = {.key = sl("w1")};
    struct kv_request txn = {.kind = KV_KIND_TXN, .txn.compares = {&compare, 1}};
    assert_int_equal(ask(txn), KV_E_PERMISSION_DENIED);
    compare.key = sl("k");
    assert_int_equal(ask(txn), KV_OK);
    compare.range_end = NUL;
    assert_int_equal(ask(txn), KV_E_PERMISSION_DENIED);
    struct kv_op nested = {.kind = KV_OP_TXN, .txn = txn.txn};
    assert_int_equal(ask_ops(&nested, 1, false), KV_E_PERMISSION_DENIED);
    compare.range_end = SLICE_EMPTY;
    assert_int_equal(ask_ops(&nested, 1, false), KV_OK);
}

static void nested_operations_are_found_at_every_depth(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth < KV_TXN_DEPTH_MAX; depth++) {
        struct kv_op bad = put_op("zz", false);
        struct kv_op good = put_op("m", false);
        struct kv_op chain[KV_TXN_DEPTH_MAX];
        for (unsigned i = 0; i < depth; i++) {
            struct kv_op *inner = i == 0 ? &bad : &chain[i - 1];
            chain[i] = (struct kv_op){.kind = KV_OP_TXN};
            if (i % 2 == 0) {
                chain[i].txn.then_ops = (struct kv_ops){inner, 1};
            } else {
                chain[i].txn.else_ops = (struct kv_ops){inner, 1};
            }
        }
        assert_int_equal(ask_ops(&chain[depth - 1], 1, false), KV_E_PERMISSION_DENIED);
        bad = good;
        assert_int_equal(ask_ops(&chain[depth - 1], 1, false), KV_OK);
    }
}

static void what_is_nested_too_deep_is_refused(void **state)
{
    (void)state;
    struct kv_op chain[KV_TXN_DEPTH_MAX + 1] = {{.kind = KV_OP_TXN}};
    for (unsigned i = 1; i <= KV_TXN_DEPTH_MAX; i++) {
        chain[i] = (struct kv_op){.kind = KV_OP_TXN, .txn.then_ops = {&chain[i - 1], 1}};
    }
    assert_int_equal(ask_ops(&chain[KV_TXN_DEPTH_MAX], 1, false), KV_E_PERMISSION_DENIED);
}

/* --- watches: GHSA-xg4h-6gfc-h4m8 --- */

static void a_key_does_not_open_a_watch_of_all(void **state)
{
    (void)state;
    struct kv_grants grants = ann();
    struct kv_watch_create create = {.key = sl("k")};
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_OK);
    create.range_end = NUL;
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_E_PERMISSION_DENIED);
    create.key = SLICE_EMPTY;
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_E_PERMISSION_DENIED);
    create.range_end = SLICE_EMPTY;
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_E_PERMISSION_DENIED);
    create = (struct kv_watch_create){.key = sl("y"), .range_end = NUL};
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_OK);
    assert_int_equal(kv_auth_walk_watch(NULL, &create), KV_E_USER_EMPTY);
    assert_int_equal(kv_auth_walk_watch(&root, &create), KV_OK);
    struct kv_permission all = {.type = 0, .key = NUL, .range_end = NUL};
    grants = grants_of(&all, 1);
    create = (struct kv_watch_create){.range_end = NUL};
    assert_int_equal(kv_auth_walk_watch(&grants, &create), KV_OK);
}

/* --- kinds: CVE-2026-33413 --- */

static const struct {
    enum kv_kind kind;
    enum kv_error nobody;
    enum kv_error user;
    enum kv_error root;
} kinds[] = {
#define ROOT_ONLY(name) \
    { \
        KV_KIND_##name, KV_E_USER_EMPTY, KV_E_PERMISSION_DENIED, KV_OK \
    }
#define USERS(name) \
    { \
        KV_KIND_##name, KV_E_USER_EMPTY, KV_OK, KV_OK \
    }
#define ALL(name) \
    { \
        KV_KIND_##name, KV_OK, KV_OK, KV_OK \
    }
#define NOBODY(name) \
    { \
        KV_KIND_##name, KV_E_USER_EMPTY, KV_E_PERMISSION_DENIED, KV_E_PERMISSION_DENIED \
    }
    ROOT_ONLY(COMPACT),
    ROOT_ONLY(ALARM),
    ROOT_ONLY(AUTH_ENABLE),
    ROOT_ONLY(AUTH_DISABLE),
    ROOT_ONLY(AUTH_STATUS),
    ROOT_ONLY(USER_ADD),
    ROOT_ONLY(USER_DELETE),
    ROOT_ONLY(USER_PASSWORD),
    ROOT_ONLY(USER_GRANT),
    ROOT_ONLY(USER_REVOKE),
    ROOT_ONLY(USER_LIST),
    ROOT_ONLY(ROLE_ADD),
    ROOT_ONLY(ROLE_DELETE),
    ROOT_ONLY(ROLE_GRANT),
    ROOT_ONLY(ROLE_REVOKE),
    ROOT_ONLY(ROLE_LIST),
    ROOT_ONLY(USER_GET),
    ROOT_ONLY(ROLE_GET),
    ROOT_ONLY(HASH_KV),
    ROOT_ONLY(MOVE_LEADER),
    ROOT_ONLY(MEMBER_ADD),
    ROOT_ONLY(MEMBER_REMOVE),
    ROOT_ONLY(MEMBER_UPDATE),
    ROOT_ONLY(MEMBER_PROMOTE),
    {KV_KIND_HASH, KV_E_MAINTENANCE_NO_USER, KV_E_MAINTENANCE_DENIED, KV_OK},
    {KV_KIND_DEFRAGMENT, KV_E_MAINTENANCE_NO_USER, KV_E_MAINTENANCE_DENIED, KV_OK},
    USERS(LEASE_GRANT),
    USERS(LEASE_REVOKE),
    USERS(LEASE_KEEP_ALIVE),
    USERS(LEASE_TTL),
    USERS(LEASE_LEASES),
    ALL(STATUS),
    ALL(MEMBER_LIST),
    ALL(AUTHENTICATE),
    NOBODY(SWAP),
    NOBODY(LEASE_CHECKPOINT),
    {KV_KIND_RANGE, KV_E_USER_EMPTY, KV_E_PERMISSION_DENIED, KV_OK},
    {KV_KIND_PUT, KV_E_USER_EMPTY, KV_E_PERMISSION_DENIED, KV_OK},
    {KV_KIND_DELETE, KV_E_USER_EMPTY, KV_E_PERMISSION_DENIED, KV_OK},
    {KV_KIND_TXN, KV_E_USER_EMPTY, KV_OK, KV_OK},
};

static void every_kind_has_its_rule(void **state)
{
    (void)state;
    size_t count = 0;
#define KIND_COUNT(...) count++;
    KV_KINDS(KIND_COUNT)
#undef KIND_COUNT
    assert_int_equal(count, BASE_COUNT_OF(kinds)); /* a new kind needs a row here too */
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        struct kv_request request = {.kind = kinds[i].kind};
        assert_int_equal(kv_auth_walk(NULL, &request), kinds[i].nobody);
        assert_int_equal(ask(request), kinds[i].user);
        assert_int_equal(kv_auth_walk(&root, &request), kinds[i].root);
    }
    struct kv_request unknown = {.kind = 63};
    assert_int_equal(kv_auth_walk(&root, &unknown), KV_E_PERMISSION_DENIED);
}

static void one_may_see_oneself(void **state)
{
    (void)state;
    struct kv_request get = {.kind = KV_KIND_USER_GET, .name.name = sl("ann")};
    assert_int_equal(ask(get), KV_OK);
    get.name.name = sl("root");
    assert_int_equal(ask(get), KV_E_PERMISSION_DENIED);
    get = (struct kv_request){.kind = KV_KIND_ROLE_GET, .name.name = sl("some")};
    assert_int_equal(ask(get), KV_OK);
    get.name.name = sl("root");
    assert_int_equal(ask(get), KV_E_PERMISSION_DENIED);
}

static void administration_needs_root(void **state)
{
    (void)state;
    struct kv_grants grants = ann();
    assert_int_equal(kv_auth_walk_admin(NULL), KV_E_USER_EMPTY);
    assert_int_equal(kv_auth_walk_admin(&grants), KV_E_PERMISSION_DENIED);
    assert_int_equal(kv_auth_walk_admin(&root), KV_OK);
}

/* --- intervals --- */

static void intervals_are_merged(void **state)
{
    (void)state;
    struct kv_permission many[] = {
        {.type = 0, .key = sl("d"), .range_end = sl("f")},
        {.type = 0, .key = sl("a"), .range_end = sl("c")},
        {.type = 0, .key = sl("b"), .range_end = sl("d")},
        {.type = 0, .key = sl("h"), .range_end = sl("g")}, /* nothing at all */
        {.type = 0, .key = sl("h"), .range_end = sl("h")},
        {.type = 5, .key = sl("x"), .range_end = sl("z")}, /* no such type */
        {.type = 0, .key = sl("p")},
        {.type = 0, .key = slice_from("p\0", 2), .range_end = sl("q")},
    };
    struct kv_grants grants = grants_of(many, BASE_COUNT_OF(many));
    assert_int_equal(grants.reads.count, 2); /* a to f, p to q */
    assert_int_equal(grants.writes.count, 0);
    assert_true(kv_spans_have(&grants.reads, (struct kv_interval){sl("a"), sl("f")}));
    assert_true(kv_spans_have(&grants.reads, (struct kv_interval){sl("p"), sl("q")}));
    assert_false(kv_spans_have(&grants.reads, (struct kv_interval){sl("a"), sl("p")}));
    assert_false(kv_spans_have(&grants.reads, (struct kv_interval){sl("h"), SLICE_EMPTY}));
    assert_false(kv_spans_have(&grants.reads, (struct kv_interval){sl("x"), SLICE_EMPTY}));
    assert_false(kv_spans_have(&grants.reads, (struct kv_interval){sl("f"), SLICE_EMPTY}));
}

/* Against the definition: a key is granted when some permission has it. */
static void intervals_agree_with_their_permissions(void **state)
{
    (void)state;
    static const char letters[] = "abcdefgh";
    unsigned seed = 1;
    for (unsigned round = 0; round < 2000; round++) {
        struct kv_permission some[6];
        for (size_t i = 0; i < BASE_COUNT_OF(some); i++) {
            seed = seed * 1103515245u + 12345u;
            some[i] =
                (struct kv_permission){.type = 0,
                                       .key = slice_from(&letters[(seed >> 16) % 8], 1),
                                       .range_end = slice_from(&letters[(seed >> 20) % 8], 1)};
            unsigned form = (seed >> 24) % 8;
            some[i].range_end = form == 0 ? SLICE_EMPTY : form == 1 ? NUL : some[i].range_end;
        }
        struct kv_grants grants = grants_of(some, BASE_COUNT_OF(some));
        for (size_t at = 0; at < 8; at++) {
            struct slice key = slice_from(&letters[at], 1);
            bool expected = false;
            for (size_t i = 0; i < BASE_COUNT_OF(some); i++) {
                expected |=
                    kv_interval_has((struct kv_interval){some[i].key, some[i].range_end}, key);
            }
            struct kv_interval single = {key, SLICE_EMPTY};
            assert_int_equal(kv_spans_have(&grants.reads, single), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_need_all_of_their_keys),
        cmocka_unit_test(puts_and_deletes_with_previous_values_need_both),
        cmocka_unit_test(transactions_are_walked_through),
        cmocka_unit_test(compares_need_reading),
        cmocka_unit_test(nested_operations_are_found_at_every_depth),
        cmocka_unit_test(what_is_nested_too_deep_is_refused),
        cmocka_unit_test(a_key_does_not_open_a_watch_of_all),
        cmocka_unit_test(every_kind_has_its_rule),
        cmocka_unit_test(one_may_see_oneself),
        cmocka_unit_test(administration_needs_root),
        cmocka_unit_test(intervals_are_merged),
        cmocka_unit_test(intervals_agree_with_their_permissions),
    };
    return cmocka_run_group_tests_name("kv_auth_walk", tests, NULL, NULL);
}
