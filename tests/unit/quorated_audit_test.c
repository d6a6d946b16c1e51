/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the audit: what is written of a request and what never is, who is logged, and the
 * limit of orders of one certificate. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "arbiter/quorated/audit.h"
#include "base/name.h"
#include "databases.pb-c.h"
#include "kv.pb-c.h"
#include "proto/io/log.h"

static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

static void expect_request(const char *path, const ProtobufCMessage *message, const char *wanted)
{
    uint8_t bytes[1024];
    uint8_t memory[AUDIT_REQUEST_MAX];
    struct buf out = buf_over(memory, sizeof(memory) - 1);
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(bytes));
    size_t len = protobuf_c_message_pack(message, bytes);
    quorated_audit_request(path, slice_from(bytes, len), &out);
    memory[out.len] = '\0';
    assert_string_equal((const char *)memory, wanted);
}

static void test_requests(void **state)
{
    Quorate__V1__DatabaseFailoverRequest failover;
    Quorate__V1__DatabaseConfigureRequest configure;
    Etcdserverpb__AuthUserAddRequest user;
    (void)state;
    quorate__v1__database_failover_request__init(&failover);
    failover.cluster = text_of("main");
    failover.to = text_of("pg2");
    failover.force = true;
    expect_request("/quorate.v1.Databases/Failover", &failover.base, "cluster=main to=pg2 force=1");
    quorate__v1__database_configure_request__init(&configure);
    configure.cluster = text_of("main");
    configure.expect = 7;
    configure.json = text_of("{\"postgresql\":{\"parameters\":{\"secret\":\"x\"}}}");
    expect_request("/quorate.v1.Databases/Configure", &configure.base, "cluster=main expect=7");
    etcdserverpb__auth_user_add_request__init(&user);
    user.name = text_of("me");
    user.password = text_of("hunter2");
    expect_request("/etcdserverpb.Auth/UserAdd", &user.base, "name=me");
    expect_request("/etcdserverpb.Nothing/Else", &user.base, "");
}

static char line[IO_LOG_LINE_MAX];
static unsigned lines;

static void sink(void *ctx, struct slice text)
{
    (void)ctx;
    size_t len = text.len < sizeof(line) - 1 ? text.len : sizeof(line) - 1;
    memcpy(line, text.data, len);
    line[len] = '\0';
    lines++;
}

static void test_lines(void **state)
{
    static const struct rpc_method order = {
        .path = "/quorate.v1.Databases/Pause", .access = RPC_ADMIN, .is_by_role = true};
    static const struct rpc_method question = {
        .path = "/quorate.v1.Databases/List", .access = RPC_READ, .is_by_role = true};
    struct io_identity who = {.net.role = NET_ROLE_ADMIN};
    struct rpc_call call = {.method = &order, .who = &who};
    (void)state;
    assert_int_equal(base_name_from_text("me", &who.name), 0);
    io_log_set_sink(sink, NULL);
    lines = 0;
    for (unsigned i = 0; i < 50; i++) { /* no line of an order is left out */
        quorated_audit_ended(&call, SLICE_EMPTY, IO_GRPC_OK);
    }
    assert_int_equal(lines, 50);
    assert_non_null(strstr(line, "mod=audit ev=control"));
    assert_non_null(strstr(line, "who=\"admin me\" method=/quorate.v1.Databases/Pause"));
    assert_non_null(strstr(line, "answer=OK"));
    call.method = &question;
    quorated_audit_ended(&call, SLICE_EMPTY, IO_GRPC_OK);
    assert_int_equal(lines, 50); /* questions are no orders */
    quorated_audit_ended(&call, SLICE_EMPTY, IO_GRPC_PERMISSION_DENIED);
    assert_int_equal(lines, 51);
    assert_non_null(strstr(line, "answer=PermissionDenied"));
    io_log_set_sink(NULL, NULL);
}

static void test_limit(void **state)
{
    static const struct rpc_method order = {.access = RPC_ADMIN, .is_by_role = true};
    static const struct rpc_method etcd = {.access = RPC_ADMIN};
    static struct quorated_audit audit;
    struct io_identity who = {.net.role = NET_ROLE_ADMIN};
    struct io_identity other = {.net.role = NET_ROLE_ADMIN};
    struct rpc_call call = {.method = &order, .who = &who};
    struct base_mono now = {1000 * BASE_US_PER_S};
    (void)state;
    assert_int_equal(base_name_from_text("me", &who.name), 0);
    assert_int_equal(base_name_from_text("you", &other.name), 0);
    for (unsigned i = 0; i < AUDIT_BURST; i++) {
        assert_true(quorated_audit_may(&audit, &call, now));
    }
    assert_false(quorated_audit_may(&audit, &call, now));
    call.who = &other; /* one that does too much stops nobody else */
    assert_true(quorated_audit_may(&audit, &call, now));
    call.who = &who;
    now.us += BASE_US_PER_S;
    for (unsigned i = 0; i < AUDIT_RATE_PER_S; i++) {
        assert_true(quorated_audit_may(&audit, &call, now));
    }
    assert_false(quorated_audit_may(&audit, &call, now));
    call.method = &etcd; /* etcd's own calls are not limited here */
    assert_true(quorated_audit_may(&audit, &call, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests),
                                       cmocka_unit_test(test_lines), cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
