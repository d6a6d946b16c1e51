/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Auth between a transport, a service, a worker and a copy of users that are all of
 * paper: the steps of logging in and of changes of passwords, what is done anew when users change
 * meanwhile, clients that go away at each step, and that clear text never leaves. */
#include <string.h>

#include "kv/api/auth.h"
#include "kv/api/password.h"
#include "proto/wire/kv.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_paper.h"

#define NO_PASSWORD_TEXT "auth: authentication failed, password was given for no password user"

/* --- what is known of users --- */

static struct {
    bool is_unknown; /* being read again */
    struct kv_auth_waiter *waiter;
    uint64_t revision; /* 0: not enabled */
    bool is_no_password;
    bool has_token;
    enum kv_error decision;
    struct slice common_name; /* of who asked last */
} users;

int kv_auth_known_revision(const struct kv_auth *auth, uint64_t *ret)
{
    (void)auth;
    *ret = users.revision;
    return users.is_unknown ? BASE_E_BUSY : 0;
}

struct slice kv_auth_hash(const struct kv_auth *auth, struct slice user, bool *ret_is_no_password)
{
    (void)auth;
    *ret_is_no_password = users.is_no_password;
    return slice_equal(user, SLICE_LIT("ann")) ? SLICE_LIT("hash of secret") : SLICE_EMPTY;
}

bool kv_auth_is_ahead(struct kv_auth *auth, struct slice token)
{
    (void)auth;
    (void)token;
    return false;
}

bool kv_auth_has_token(struct kv_auth *auth, struct slice token)
{
    (void)auth;
    (void)token;
    return users.has_token;
}

bool kv_auth_wait(struct kv_auth *auth, struct kv_auth_waiter *waiter)
{
    (void)auth;
    if (users.is_unknown) {
        assert_null(users.waiter);
        users.waiter = waiter;
        waiter->is_waiting = true;
    }
    return !users.is_unknown;
}

void kv_auth_unwait(struct kv_auth *auth, struct kv_auth_waiter *waiter)
{
    (void)auth;
    assert_ptr_equal(users.waiter, waiter);
    users.waiter = NULL;
    waiter->is_waiting = false;
}

enum kv_error kv_auth_decide(struct kv_auth *auth, const struct kv_auth_who *who,
                             const struct kv_request *request, uint8_t *memory,
                             struct kv_asker *ret)
{
    (void)auth;
    (void)request;
    users.common_name = who->common_name;
    memcpy(memory, "boss", 4);
    *ret = (struct kv_asker){.user = slice_from(memory, 4), .auth_revision = users.revision};
    return users.decision;
}

static void users_are_known(void)
{
    struct kv_auth_waiter *waiter = users.waiter;
    users.is_unknown = false;
    users.waiter = NULL;
    if (waiter != NULL) {
        waiter->is_waiting = false;
        waiter->again(waiter);
    }
}

/* --- the worker --- */

static struct io_work *work;

int io_workers_new(struct io_loop *loop, unsigned threads, struct io_workers **ret)
{
    (void)loop;
    (void)threads;
    *ret = NULL;
    return 0;
}

struct io_workers *io_workers_free(struct io_workers *workers, bool calls_done)
{
    (void)workers;
    (void)calls_done;
    return NULL;
}

void io_work_submit(struct io_workers *workers, struct io_work *one)
{
    (void)workers;
    assert_null(work);
    work = one;
}

int password_hash(struct slice clear, uint8_t ret[PASSWORD_HASH_BYTES])
{
    if (clear.len > PASSWORD_MAX) {
        return BASE_E_INVALID;
    }
    memset(ret, 'h', PASSWORD_HASH_BYTES);
    return 0;
}

bool password_fits(struct slice clear, struct slice hash)
{
    return slice_equal(clear, SLICE_LIT("secret")) &&
           slice_equal(hash, SLICE_LIT("hash of secret"));
}

static void work_ends(void)
{
    struct io_work *one = work;
    assert_non_null(one);
    work = NULL;
    one->run(one);
    one->done(one);
}

/* --- the stage --- */

static struct rpc_registry *registry;
static struct api_auth *api;

static int setup(void **state)
{
    const struct rpc_registry_options options = {.is_insecure = true};
    (void)state;
    memset(&paper, 0, sizeof(paper));
    memset(&users, 0, sizeof(users));
    work = NULL;
    users.revision = 5;
    assert_int_equal(rpc_registry_new(&options, &registry), 0);
    const struct api_auth_options auth = {.registry = registry};
    assert_int_equal(api_auth_new(&auth, &api), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(paper.count, 0);
    assert_null(work);
    api = api_auth_free(api);
    registry = rpc_registry_free(registry);
    return 0;
}

static void call(enum kv_kind kind, const char *method, struct kv_request request)
{
    uint8_t bytes[2048];
    struct buf out = buf_over(bytes, sizeof(bytes));
    const struct rpc_open open = open_as(NET_ROLE_NONE);
    request.kind = kind;
    assert_int_equal(kv_wire_encode_request(&request, &out), 0);
    struct rpc_route *route = rpc_find_method(registry, slice_from_text(method));
    assert_non_null(route);
    rpc_unary(registry, route, &open, buf_slice(&out));
}

static void login(const char *name, const char *password)
{
    call(KV_KIND_AUTHENTICATE, "/etcdserverpb.Auth/Authenticate",
         (struct kv_request){.authenticate = {.name = slice_from_text(name),
                                              .password = slice_from_text(password)}});
}

static void user_add(const char *password, bool is_no_password)
{
    call(KV_KIND_USER_ADD, "/etcdserverpb.Auth/UserAdd",
         (struct kv_request){.user_add = {.name = SLICE_LIT("bob"),
                                          .password = slice_from_text(password),
                                          .hashed_password = SLICE_LIT("smuggled"),
                                          .has_options = is_no_password,
                                          .options.is_no_password = is_no_password}});
}

static const struct kv_request *request_at_hand(void)
{
    assert_int_equal(paper.count, 1);
    return paper.calls[0]->request;
}

/* --- logging in --- */

static void log_in(void **state)
{
    (void)state;
    login("ann", "secret");
    assert_int_equal(request_at_hand()->kind, KV_KIND_AUTH_STATUS); /* all before is applied then */
    assert_true(paper.calls[0]->asker.auth_revision == KV_ASKER_INTERNAL);
    assert_null(work);
    answer(KV_OK, SLICE_EMPTY);
    work_ends();
    const struct kv_request *request = request_at_hand();
    assert_int_equal(request->kind, KV_KIND_AUTHENTICATE);
    assert_int_equal(request->authenticate.password.len, 0);
    assert_int_equal(request->authenticate.token.len, 32);
    assert_int_equal(paper.calls[0]->asker.auth_revision, 5);
    answer(KV_OK, SLICE_LIT("token"));
    assert_int_equal(client.status, IO_GRPC_OK);
    assert_int_equal(client.message_len, 5);
}

static void wrong_names_take_as_long_as_wrong_passwords(void **state)
{
    (void)state;
    login("ann", "Secret");
    answer(KV_OK, SLICE_EMPTY);
    work_ends();
    expect_error(KV_E_AUTH_FAILED);
    login("nobody", "secret");
    answer(KV_OK, SLICE_EMPTY);
    work_ends(); /* a comparison was made all the same */
    expect_error(KV_E_AUTH_FAILED);
}

static void without_authentication_nobody_logs_in(void **state)
{
    (void)state;
    users.revision = 0;
    login("ann", "secret");
    answer(KV_OK, SLICE_EMPTY);
    expect_error(KV_E_AUTH_NOT_ENABLED);
}

static void users_without_a_password_do_not_log_in(void **state)
{
    (void)state;
    users.is_no_password = true;
    login("ann", "secret");
    answer(KV_OK, SLICE_EMPTY);
    work_ends();
    assert_int_equal(client.status, IO_GRPC_UNKNOWN);
    assert_string_equal(client.text, NO_PASSWORD_TEXT);
}

/* The password may be another one by now: compared anew, with what is known then. */
static void users_change_while_one_logs_in(void **state)
{
    (void)state;
    login("ann", "secret");
    answer(KV_OK, SLICE_EMPTY);
    work_ends();
    users.is_unknown = true;
    answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    assert_false(client.is_ended);
    assert_int_equal(paper.count, 0);
    users.revision = 6;
    users_are_known();
    assert_int_equal(request_at_hand()->kind, KV_KIND_AUTH_STATUS);
    answer(KV_OK, SLICE_EMPTY);
    work_ends();
    assert_int_equal(paper.calls[0]->asker.auth_revision, 6);
    answer(KV_OK, SLICE_LIT("token"));
    assert_int_equal(client.status, IO_GRPC_OK);
}

static void not_for_ever(void **state)
{
    (void)state;
    login("ann", "secret");
    for (int i = 0; i < 20 && !client.is_ended; i++) {
        answer(KV_OK, SLICE_EMPTY);
        work_ends();
        answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    }
    expect_error(KV_E_AUTH_OLD_REVISION);
}

/* --- passwords of users --- */

static void a_password_goes_into_the_log_as_a_hash(void **state)
{
    (void)state;
    user_add("clear", false);
    assert_int_equal(paper.count, 0);
    work_ends();
    const struct kv_user_add *add = &request_at_hand()->user_add;
    assert_int_equal(add->password.len, 0);
    assert_int_equal(add->hashed_password.len, PASSWORD_HASH_BYTES);
    assert_true(slice_equal(paper.calls[0]->asker.user, SLICE_LIT("boss")));
    answer(KV_OK, SLICE_LIT("ok"));
    assert_int_equal(client.status, IO_GRPC_OK);
}

static void no_hash_comes_from_a_client(void **state)
{
    (void)state;
    user_add("", true);
    assert_null(work);
    const struct kv_user_add *add = &request_at_hand()->user_add;
    assert_int_equal(add->hashed_password.len, 0);
    answer(KV_OK, SLICE_EMPTY);
    assert_int_equal(client.status, IO_GRPC_OK);
}

static void who_may_not_gets_nothing_hashed(void **state)
{
    (void)state;
    users.decision = KV_E_PERMISSION_DENIED;
    user_add("clear", false);
    assert_null(work);
    expect_error(KV_E_PERMISSION_DENIED);
}

/* Allowed when the call came, no longer when the hash is made. */
static void permission_is_asked_again_behind_the_worker(void **state)
{
    (void)state;
    user_add("clear", false);
    users.decision = KV_E_PERMISSION_DENIED;
    work_ends();
    assert_int_equal(paper.count, 0);
    expect_error(KV_E_PERMISSION_DENIED);
}

static void a_hash_is_not_made_twice(void **state)
{
    (void)state;
    user_add("clear", false);
    work_ends();
    answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    assert_null(work);
    assert_int_equal(request_at_hand()->user_add.hashed_password.len, PASSWORD_HASH_BYTES);
    answer(KV_OK, SLICE_EMPTY);
    assert_int_equal(client.status, IO_GRPC_OK);
}

static void unfit_passwords(void **state)
{
    static char text[PASSWORD_MAX + 2];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    user_add(text, false);
    work_ends();
    expect_error(KV_E_MALFORMED);
}

/* --- bounds, and clients that go --- */

static void gone_at_each_step(void **state)
{
    (void)state;
    login("ann", "secret"); /* while it is asked what was applied */
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    answer(KV_OK, SLICE_EMPTY);
    assert_null(work);
    login("ann", "secret"); /* while the worker compares */
    answer(KV_OK, SLICE_EMPTY);
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    work_ends();
    assert_int_equal(paper.count, 0);
    users.is_unknown = true; /* while users are being read */
    login("ann", "secret");
    answer(KV_OK, SLICE_EMPTY);
    assert_non_null(users.waiter);
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    assert_null(users.waiter);
    users_are_known();
    user_add("clear", false); /* while the entry is on its way */
    work_ends();
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    answer(KV_OK, SLICE_LIT("late"));
    assert_false(client.is_ended);
}

static void so_many_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < API_AUTH_PENDING_MAX; i++) {
        login("ann", "secret");
        assert_false(client.is_ended);
    }
    login("ann", "secret");
    expect_error(KV_E_TOO_MANY_REQUESTS);
    while (paper.count > 0) {
        client.is_ended = false;
        answer(KV_E_NO_LEADER, SLICE_EMPTY);
        expect_error(KV_E_NO_LEADER);
    }
    login("ann", "secret"); /* all of them are over */
    assert_false(client.is_ended);
    answer(KV_E_NO_LEADER, SLICE_EMPTY);
}

static void long_names_and_damaged_requests(void **state)
{
    static char name[KV_AUTH_NAME_MAX + 2];
    const struct rpc_open open = open_as(NET_ROLE_NONE);
    (void)state;
    rpc_unary(registry, rpc_find_method(registry, SLICE_LIT("/etcdserverpb.Auth/Authenticate")),
              &open, SLICE_LIT("\x0a"));
    expect_error(KV_E_MALFORMED);
    memset(name, 'n', sizeof(name) - 1);
    login(name, "secret");
    expect_error(KV_E_REQUEST_TOO_LARGE);
    assert_int_equal(paper.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(log_in),
        CASE(wrong_names_take_as_long_as_wrong_passwords),
        CASE(without_authentication_nobody_logs_in),
        CASE(users_without_a_password_do_not_log_in),
        CASE(users_change_while_one_logs_in),
        CASE(not_for_ever),
        CASE(a_password_goes_into_the_log_as_a_hash),
        CASE(no_hash_comes_from_a_client),
        CASE(who_may_not_gets_nothing_hashed),
        CASE(permission_is_asked_again_behind_the_worker),
        CASE(a_hash_is_not_made_twice),
        CASE(unfit_passwords),
        CASE(gone_at_each_step),
        CASE(so_many_at_a_time),
        CASE(long_names_and_damaged_requests),
    };
    return cmocka_run_group_tests_name("kv_api_auth", tests, NULL, NULL);
}
