/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles in the state machine: rules, errors and their order as etcd 3.4 has them, what
 * moves the auth revision, what is still admitted, and rows that are damaged. */
#include <string.h>

#include "base/crc32c.h"
#include "kv/core/auth.h"
#include "kv/core/auth_rows.h"
#include "kv/core/auth_walk.h"
#include "tests/unit/kv_one_store.h"

/* --- one request in one job --- */

struct attempt {
    struct kv_request request;
    struct kv_asker asker;
    struct kv_outcome outcome;
    enum kv_error admitted;
    bool is_read;
    char text[512]; /* names or permissions of the answer */
};

static void put_permission(struct buf *out, const struct kv_permission *permission)
{
    buf_put_int(out, permission->type);
    buf_put_text(out, ":");
    buf_put(out, permission->key);
    buf_put_text(out, "-");
    buf_put(out, permission->range_end);
    buf_put_text(out, " ");
}

static void describe(struct attempt *attempt)
{
    struct buf out = buf_over(attempt->text, sizeof(attempt->text) - 1);
    const struct kv_response *response = &attempt->outcome.response;
    if (response->kind == KV_KIND_ROLE_GET) {
        for (size_t i = 0; i < response->role_get.permissions.count; i++) {
            put_permission(&out, &response->role_get.permissions.items[i]);
        }
    } else if (response->kind == KV_KIND_USER_GET || response->kind == KV_KIND_USER_LIST ||
               response->kind == KV_KIND_ROLE_LIST) {
        for (size_t i = 0; i < response->names.names.count; i++) {
            buf_put(&out, response->names.names.items[i]);
            buf_put_text(&out, " ");
        }
    }
    assert_true(buf_terminate(&out));
}

static int attempt_run(void *ctx, struct store_txn *txn)
{
    struct attempt *attempt = ctx;
    struct kv_scratch *scratch = test_scratch();
    base_arena_reset(&scratch->arena);
    int rc = attempt->is_read ? kv_auth_read(txn, scratch, &attempt->request, &attempt->outcome)
                              : kv_auth_apply(txn, scratch, &attempt->request, &attempt->outcome);
    if (rc == 0) {
        describe(attempt);
    }
    return rc;
}

static enum kv_error apply(struct kv_request request)
{
    struct attempt attempt = {.request = request};
    assert_int_equal(test_store_run(&store, attempt_run, &attempt, false), 0);
    assert_false(attempt.outcome.is_changed); /* the main revision never moves */
    return attempt.outcome.error;
}

static enum kv_error read_text(struct kv_request request, char ret[512])
{
    struct attempt attempt = {.request = request, .is_read = true};
    assert_int_equal(test_store_run(&store, attempt_run, &attempt, true), 0);
    memcpy(ret, attempt.text, sizeof(attempt.text));
    return attempt.outcome.error;
}

static int status_run(void *ctx, struct store_txn *txn)
{
    return kv_auth_config_read(txn, ctx);
}

static struct kv_auth_config config(void)
{
    struct kv_auth_config ret;
    assert_int_equal(test_store_run(&store, status_run, &ret, true), 0);
    return ret;
}

static int admit_run(void *ctx, struct store_txn *txn)
{
    struct attempt *attempt = ctx;
    return kv_auth_admit(txn, test_scratch(), &attempt->asker, &attempt->request,
                         &attempt->admitted);
}

static enum kv_error admit(const char *user, uint64_t revision, struct kv_request request)
{
    struct attempt attempt = {.request = request, .asker = {sl(user), revision}};
    assert_int_equal(test_store_run(&store, admit_run, &attempt, true), 0);
    return attempt.admitted;
}

static struct kv_request empty(enum kv_kind kind)
{
    return (struct kv_request){.kind = kind};
}

static struct kv_request named(enum kv_kind kind, const char *name)
{
    return (struct kv_request){.kind = kind, .name.name = sl(name)};
}

static struct kv_request user_add(const char *name, const char *hash)
{
    return (struct kv_request){.kind = KV_KIND_USER_ADD,
                               .user_add = {.name = sl(name), .hashed_password = sl(hash)}};
}

static struct kv_request pair(enum kv_kind kind, const char *user, const char *role)
{
    return (struct kv_request){.kind = kind, .user_role = {sl(user), sl(role)}};
}

static struct kv_request grant(const char *role, int32_t type, const char *key, const char *end)
{
    return (struct kv_request){
        .kind = KV_KIND_ROLE_GRANT,
        .role_grant = {sl(role), true, {.type = type, .key = sl(key), .range_end = sl(end)}}};
}

static struct kv_request revoke(const char *role, const char *key, const char *end)
{
    return (struct kv_request){.kind = KV_KIND_ROLE_REVOKE,
                               .role_revoke = {sl(role), sl(key), sl(end)}};
}

static void enable(void)
{
    assert_int_equal(apply(user_add("root", "h")), KV_OK);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "root", "root")), KV_OK);
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_OK);
}

/* --- tests --- */

static void enabling_needs_root_with_role_root(void **state)
{
    (void)state;
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_E_ROOT_USER_MISSING);
    assert_int_equal(apply(user_add("root", "h")), KV_OK);
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_E_ROOT_ROLE_MISSING);
    assert_false(config().is_enabled);
    /* the role root need not be made to be granted */
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "root", "root")), KV_OK);
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_OK);
    assert_true(config().is_enabled);
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_OK);
}

static void root_cannot_be_taken_away_while_enabled(void **state)
{
    (void)state;
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "root")), KV_OK);
    enable();
    assert_int_equal(apply(named(KV_KIND_USER_DELETE, "root")), KV_E_INVALID_AUTH_MANAGEMENT);
    assert_int_equal(apply(named(KV_KIND_ROLE_DELETE, "root")), KV_E_INVALID_AUTH_MANAGEMENT);
    assert_int_equal(apply(pair(KV_KIND_USER_REVOKE, "root", "root")),
                     KV_E_INVALID_AUTH_MANAGEMENT);
    assert_int_equal(apply(empty(KV_KIND_AUTH_DISABLE)), KV_OK);
    assert_int_equal(apply(named(KV_KIND_ROLE_DELETE, "root")), KV_OK);
    assert_int_equal(apply(named(KV_KIND_USER_DELETE, "root")), KV_OK);
}

static void users_have_etcds_errors(void **state)
{
    char text[512];
    (void)state;
    assert_int_equal(apply(user_add("", "h")), KV_E_USER_EMPTY);
    assert_int_equal(apply(user_add("ann", "h")), KV_OK);
    assert_int_equal(apply(user_add("ann", "h")), KV_E_USER_EXISTS);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "bob", "nope")), KV_E_USER_NOT_FOUND);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "ann", "nope")), KV_E_ROLE_NOT_FOUND);
    assert_int_equal(apply(pair(KV_KIND_USER_REVOKE, "bob", "nope")), KV_E_USER_NOT_FOUND);
    assert_int_equal(apply(pair(KV_KIND_USER_REVOKE, "ann", "nope")), KV_E_ROLE_NOT_GRANTED);
    assert_int_equal(apply(named(KV_KIND_USER_DELETE, "bob")), KV_E_USER_NOT_FOUND);
    assert_int_equal(read_text(named(KV_KIND_USER_GET, "bob"), text), KV_E_USER_NOT_FOUND);
    assert_int_equal(
        apply((struct kv_request){.kind = KV_KIND_USER_PASSWORD, .user_password.name = sl("bob")}),
        KV_E_USER_NOT_FOUND);
    for (const char *role = "cab"; *role != 0; role++) {
        char name[2] = {*role, 0};
        assert_int_equal(apply(named(KV_KIND_ROLE_ADD, name)), KV_OK);
        assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "ann", name)), KV_OK);
    }
    assert_int_equal(read_text(named(KV_KIND_USER_GET, "ann"), text), KV_OK);
    assert_string_equal(text, "a b c ");
    assert_int_equal(apply(named(KV_KIND_ROLE_DELETE, "b")), KV_OK);
    assert_int_equal(read_text(named(KV_KIND_USER_GET, "ann"), text), KV_OK);
    assert_string_equal(text, "a c ");
    assert_int_equal(read_text(empty(KV_KIND_ROLE_LIST), text), KV_OK);
    assert_string_equal(text, "a c ");
    assert_int_equal(read_text(empty(KV_KIND_USER_LIST), text), KV_OK);
    assert_string_equal(text, "ann ");
}

static void deleting_a_role_takes_it_from_every_user(void **state)
{
    char text[512];
    (void)state;
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "r")), KV_OK);
    for (char user = 'a'; user <= 'e'; user++) {
        char name[2] = {user, 0};
        assert_int_equal(apply(user_add(name, "h")), KV_OK);
        assert_int_equal(apply(pair(KV_KIND_USER_GRANT, name, "r")), KV_OK);
    }
    assert_int_equal(apply(named(KV_KIND_ROLE_DELETE, "r")), KV_OK);
    for (char user = 'a'; user <= 'e'; user++) {
        char name[2] = {user, 0};
        assert_int_equal(read_text(named(KV_KIND_USER_GET, name), text), KV_OK);
        assert_string_equal(text, "");
    }
}

static void roles_have_etcds_errors_and_order(void **state)
{
    char text[512];
    (void)state;
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "")), KV_E_ROLE_EMPTY);
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "r")), KV_OK);
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "r")), KV_E_ROLE_EXISTS);
    assert_int_equal(apply(named(KV_KIND_ROLE_DELETE, "q")), KV_E_ROLE_NOT_FOUND);
    struct kv_request nothing = {.kind = KV_KIND_ROLE_GRANT, .role_grant.name = sl("q")};
    assert_int_equal(apply(nothing), KV_E_ROLE_NOT_FOUND);
    nothing.role_grant.name = sl("r");
    assert_int_equal(apply(nothing), KV_E_PERMISSION_NOT_GIVEN);
    assert_int_equal(apply(grant("q", 0, "a", "")), KV_E_ROLE_NOT_FOUND);
    assert_int_equal(apply(grant("r", 1, "b", "c")), KV_OK);
    assert_int_equal(apply(grant("r", 0, "b", "d")), KV_OK);
    assert_int_equal(apply(grant("r", 0, "b", "")), KV_OK);
    assert_int_equal(apply(grant("r", 2, "a", "")), KV_OK);
    assert_int_equal(apply(grant("r", 2, "b", "d")), KV_OK); /* another type, the same place */
    assert_int_equal(read_text(named(KV_KIND_ROLE_GET, "r"), text), KV_OK);
    assert_string_equal(text, "2:a- 1:b-c 2:b-d 0:b- ");
    assert_int_equal(apply(revoke("q", "b", "")), KV_E_ROLE_NOT_FOUND);
    assert_int_equal(apply(revoke("r", "b", "e")), KV_E_PERMISSION_NOT_GRANTED);
    assert_int_equal(apply(revoke("r", "b", "d")), KV_OK);
    assert_int_equal(read_text(named(KV_KIND_ROLE_GET, "r"), text), KV_OK);
    assert_string_equal(text, "2:a- 1:b-c 0:b- ");
    assert_int_equal(read_text(named(KV_KIND_ROLE_GET, "q"), text), KV_E_ROLE_NOT_FOUND);
}

static void revision_counts_changes_as_etcd_does(void **state)
{
    (void)state;
    assert_int_equal(config().revision, 1);
    assert_int_equal(apply(user_add("root", "h")), KV_OK);
    assert_int_equal(apply(user_add("root", "h")), KV_E_USER_EXISTS);
    assert_int_equal(config().revision, 2);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "root", "root")), KV_OK);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "root", "root")), KV_OK); /* nothing new */
    assert_int_equal(config().revision, 3);
    uint64_t generation = config().generation;
    assert_int_equal(apply(empty(KV_KIND_AUTH_ENABLE)), KV_OK);
    assert_int_equal(config().revision,
                     3); /* not counted, but what was allowed before is not now */
    assert_true(config().generation > generation);
    assert_int_equal(apply(empty(KV_KIND_AUTH_DISABLE)), KV_OK);
    assert_int_equal(config().revision, 4);
}

static void logging_in_is_for_users_with_a_password(void **state)
{
    (void)state;
    struct kv_request login = {.kind = KV_KIND_AUTHENTICATE,
                               .authenticate = {.name = sl("np"), .token = sl("t")}};
    struct kv_request add = {
        .kind = KV_KIND_USER_ADD,
        .user_add = {.name = sl("np"), .has_options = true, .options.is_no_password = true}};
    assert_int_equal(apply(add), KV_OK);
    assert_int_equal(apply(login), KV_E_AUTH_NOT_ENABLED);
    enable();
    assert_int_equal(apply(login), KV_E_AUTH_FAILED);
    login.authenticate.name = sl("nobody");
    assert_int_equal(apply(login), KV_E_AUTH_FAILED);
    login.authenticate.name = sl("root");
    uint64_t generation = config().generation;
    assert_int_equal(apply(login), KV_OK);
    assert_int_equal(config().generation, generation);
}

static void what_was_allowed_under_another_revision_is_refused(void **state)
{
    (void)state;
    assert_int_equal(admit("", 0, put_request("k", "v")), KV_OK);
    enable();
    uint64_t revision = config().generation;
    assert_int_equal(admit("", 0, put_request("k", "v")), KV_E_AUTH_OLD_REVISION);
    assert_int_equal(admit("root", revision, put_request("k", "v")), KV_OK);
    assert_int_equal(apply(user_add("ann", "h")), KV_OK);
    assert_int_equal(admit("root", revision, put_request("k", "v")), KV_E_AUTH_OLD_REVISION);
    assert_int_equal(admit("", KV_ASKER_INTERNAL, put_request("k", "v")), KV_OK);
    assert_int_equal(admit("", 0, empty(KV_KIND_SWAP)), KV_OK);
    assert_int_equal(apply(empty(KV_KIND_AUTH_DISABLE)), KV_OK);
    assert_int_equal(admit("root", revision + 1, put_request("k", "v")), KV_E_AUTH_OLD_REVISION);
    assert_int_equal(admit("", 0, put_request("k", "v")), KV_OK);
}

static int attach_run(void *ctx, struct store_txn *txn)
{
    uint8_t bytes[64];
    struct buf row = buf_over(bytes, sizeof(bytes));
    buf_put_u64_be(&row, 7);
    buf_put_text(&row, ctx);
    return store_put(txn, STORE_KV_LEASE_KEYS, buf_slice(&row), SLICE_EMPTY);
}

static struct kv_request put_leased(const char *key, int64_t lease)
{
    struct kv_request request = put_request(key, "v");
    request.put.lease = lease;
    return request;
}

static void leases_are_as_guarded_as_what_hangs_on_them(void **state)
{
    (void)state;
    char mine[] = "m1";
    char other[] = "x1";
    struct kv_request end = {.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = 7};
    struct kv_request keys = {.kind = KV_KIND_LEASE_TTL, .lease_ttl = {7, true}};
    struct kv_request time = {.kind = KV_KIND_LEASE_TTL, .lease_ttl = {7, false}};
    struct kv_op deep = {.kind = KV_OP_PUT, .put = {.key = sl("m2"), .lease = 7}};
    struct kv_op nested = {.kind = KV_OP_TXN, .txn.else_ops = {&deep, 1}};
    struct kv_request txn = {.kind = KV_KIND_TXN, .txn.then_ops = {&nested, 1}};
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, "mine")), KV_OK);
    assert_int_equal(apply(grant("mine", 2, "m", "n")), KV_OK);
    assert_int_equal(apply(user_add("ann", "h")), KV_OK);
    assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "ann", "mine")), KV_OK);
    enable();
    uint64_t revision = config().generation;
    assert_int_equal(test_store_run(&store, attach_run, mine, false), 0);
    assert_int_equal(admit("ann", revision, put_leased("m1", 7)), KV_OK);
    assert_int_equal(admit("ann", revision, end), KV_OK);
    assert_int_equal(admit("ann", revision, keys), KV_OK);
    assert_int_equal(admit("ann", revision, txn), KV_OK);
    assert_int_equal(test_store_run(&store, attach_run, other, false), 0);
    assert_int_equal(admit("ann", revision, put_leased("m1", 7)), KV_E_PERMISSION_DENIED);
    assert_int_equal(admit("ann", revision, put_leased("m1", 8)), KV_OK);
    assert_int_equal(admit("ann", revision, end), KV_E_PERMISSION_DENIED);
    assert_int_equal(admit("ann", revision, keys), KV_E_PERMISSION_DENIED);
    assert_int_equal(admit("ann", revision, time), KV_OK);
    assert_int_equal(admit("ann", revision, txn), KV_E_PERMISSION_DENIED);
    assert_int_equal(admit("root", revision, end), KV_OK);
    assert_int_equal(admit("gone", revision, end), KV_E_PERMISSION_DENIED);
}

static void names_have_a_limit(void **state)
{
    char name[KV_AUTH_NAME_MAX + 2];
    (void)state;
    memset(name, 'n', sizeof(name));
    name[KV_AUTH_NAME_MAX] = 0;
    assert_int_equal(apply(user_add(name, "h")), KV_OK);
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, name)), KV_OK);
    name[KV_AUTH_NAME_MAX] = 'n';
    name[KV_AUTH_NAME_MAX + 1] = 0;
    assert_int_equal(apply(user_add(name, "h")), KV_E_REQUEST_TOO_LARGE);
    assert_int_equal(apply(named(KV_KIND_ROLE_ADD, name)), KV_E_REQUEST_TOO_LARGE);
}

static void roles_of_a_user_have_a_limit(void **state)
{
    (void)state;
    char name[8] = "r00";
    assert_int_equal(apply(user_add("ann", "h")), KV_OK);
    for (unsigned i = 0; i <= KV_AUTH_ROLES_MAX; i++) {
        name[1] = (char)('a' + i / 10);
        name[2] = (char)('0' + i % 10);
        assert_int_equal(apply(named(KV_KIND_ROLE_ADD, name)), KV_OK);
        assert_int_equal(apply(pair(KV_KIND_USER_GRANT, "ann", name)),
                         i < KV_AUTH_ROLES_MAX ? KV_OK : KV_E_REQUEST_TOO_LARGE);
    }
}

/* --- damaged rows --- */

static void damaged_rows_are_found(void **state)
{
    (void)state;
    uint8_t bytes[64];
    uint8_t memory[1024];
    struct kv_user user;
    struct kv_role role;
    for (size_t len = 0; len < sizeof(bytes); len++) {
        for (unsigned fill = 0; fill < 256; fill += 17) {
            memset(bytes, (int)fill, sizeof(bytes));
            if (len >= 4) { /* a right checksum over nonsense: lengths must still be looked at */
                uint32_t crc = base_crc32c(0, slice_from(bytes + 4, len - 4));
                struct buf head = buf_over(bytes, 4);
                buf_put_u32_be(&head, crc);
            }
            struct base_arena arena = base_arena_over(memory, sizeof(memory));
            int rc = kv_user_decode(slice_from(bytes, len), &arena, &user);
            assert_true(rc == 0 || rc == BASE_E_CORRUPT || rc == BASE_E_TOOBIG);
            rc = kv_role_decode(slice_from(bytes, len), &arena, &role);
            assert_true(rc == 0 || rc == BASE_E_CORRUPT || rc == BASE_E_TOOBIG);
        }
    }
    memset(bytes, 1, sizeof(bytes));
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    assert_int_equal(kv_user_decode(slice_from(bytes, 20), &arena, &user), BASE_E_CORRUPT);
}

static int damage_run(void *ctx, struct store_txn *txn)
{
    (void)ctx;
    return store_put(txn, STORE_AUTH, sl("c"), sl("nonsense"));
}

static void damaged_settings_stop_the_node(void **state)
{
    (void)state;
    struct attempt attempt = {.request = empty(KV_KIND_AUTH_STATUS), .is_read = true};
    assert_int_equal(test_store_run(&store, damage_run, NULL, false), 0);
    assert_int_equal(test_store_run(&store, attempt_run, &attempt, true), BASE_E_CORRUPT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(enabling_needs_root_with_role_root),
        TEST(root_cannot_be_taken_away_while_enabled),
        TEST(users_have_etcds_errors),
        TEST(deleting_a_role_takes_it_from_every_user),
        TEST(roles_have_etcds_errors_and_order),
        TEST(revision_counts_changes_as_etcd_does),
        TEST(logging_in_is_for_users_with_a_password),
        TEST(what_was_allowed_under_another_revision_is_refused),
        TEST(leases_are_as_guarded_as_what_hangs_on_them),
        TEST(names_have_a_limit),
        TEST(roles_of_a_user_have_a_limit),
        TEST(damaged_rows_are_found),
        TEST(damaged_settings_stop_the_node),
    };
    return cmocka_run_group_tests_name("kv_auth_core", tests, NULL, NULL);
}
