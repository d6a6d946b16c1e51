/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of calls with a transport and a key-value service made of paper: who may call what,
 * learners, leaders, the permission walker, late answers, keep-alive streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/api/methods.h"
#include "proto/wire/kv.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_paper.h"

/* --- the rest of the world --- */

static struct rpc_registry *registry;
static struct api_lease *lease;
static bool has_leader, is_learner;
static enum kv_error walks[8]; /* answers of the walker, in order; the last one stays */
static unsigned walks_count, walked;

static bool healthy(void *ctx)
{
    (void)ctx;
    return has_leader;
}

static bool learner(void *ctx)
{
    (void)ctx;
    return is_learner;
}

static enum kv_error walk(void *ctx, struct rpc_call *call, const struct kv_request *request)
{
    (void)ctx;
    (void)request;
    enum kv_error error = walks[walked < walks_count ? walked : walks_count - 1];
    walked++;
    call->asker.auth_revision = walked;
    return error;
}

static void set_walks(unsigned count, const enum kv_error *errors)
{
    memcpy(walks, errors, count * sizeof(errors[0]));
    walks_count = count;
    walked = 0;
    rpc_set_walker(registry, walk, NULL);
}

static void begin(bool is_insecure)
{
    const struct rpc_registry_options options = {
        .is_insecure = is_insecure, .is_healthy = healthy, .is_learner = learner};
    memset(&paper, 0, sizeof(paper));
    has_leader = true;
    is_learner = false;
    assert_int_equal(rpc_registry_new(&options, &registry), 0);
    assert_int_equal(api_kv_register(registry), 0);
    assert_int_equal(api_cluster_register(registry), 0);
    assert_int_equal(api_lease_new(registry, NULL, &lease), 0);
}

static int end(void **state)
{
    (void)state;
    registry = rpc_registry_free(registry);
    lease = api_lease_free(lease);
    return 0;
}

static void call(const char *path, enum net_role role, struct slice message)
{
    const struct rpc_open open = open_as(role);
    struct rpc_route *route = rpc_find_method(registry, slice_from_text(path));
    assert_non_null(route);
    rpc_unary(registry, route, &open, message);
}

static const char range[] = "/etcdserverpb.KV/Range";
static const char put[] = "/etcdserverpb.KV/Put";
static const char txn[] = "/etcdserverpb.KV/Txn";

/* --- the tests --- */

static void roles_bind(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum net_role role;
        bool may;
    } rows[] = {
        {range, NET_ROLE_ADMIN, true},
        {range, NET_ROLE_VIEWER, true},
        {range, NET_ROLE_NONE, false},
        {range, NET_ROLE_AGENT, false},
        {range, NET_ROLE_MEMBER, false},
        {range, NET_ROLE_NODE, false},
        {put, NET_ROLE_ADMIN, true},
        {put, NET_ROLE_VIEWER, false},
        {"/etcdserverpb.Cluster/MemberAdd", NET_ROLE_VIEWER, false},
        {"/etcdserverpb.Cluster/MemberAdd", NET_ROLE_ADMIN, true},
        {"/etcdserverpb.Lease/LeaseTimeToLive", NET_ROLE_VIEWER, true},
        {"/etcdserverpb.Lease/LeaseGrant", NET_ROLE_VIEWER, false},
    };
    begin(false);
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        call(rows[i].path, rows[i].role, SLICE_EMPTY);
        if (rows[i].may) {
            assert_false(client.is_ended);
            answer(KV_OK, SLICE_LIT("yes"));
            assert_int_equal(client.message_len, 3);
        } else {
            expect_error(KV_E_PERMISSION_DENIED);
        }
        assert_int_equal(paper.count, 0);
    }
}

static void learners_serve_little(void **state)
{
    (void)state;
    begin(true);
    is_learner = true;
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    expect_error(KV_E_LEARNER_UNSUPPORTED);
    call(range, NET_ROLE_NONE, SLICE_EMPTY);
    expect_error(KV_E_LEARNER_UNSUPPORTED);
    call(range, NET_ROLE_NONE, SLICE_LIT("\x38\x01")); /* serializable */
    assert_int_equal(paper.count, 1);
    answer(KV_OK, SLICE_EMPTY);
    assert_int_equal(client.status, IO_GRPC_OK);
}

static void leaders_are_wanted(void **state)
{
    (void)state;
    begin(true);
    has_leader = false;
    struct rpc_open open = open_as(NET_ROLE_NONE);
    open.wants_leader = true;
    rpc_unary(registry, rpc_find_method(registry, slice_from_text(range)), &open, SLICE_EMPTY);
    expect_error(KV_E_NO_LEADER);
    has_leader = true;
    rpc_tick(registry, paper.now);
    open = open_as(NET_ROLE_NONE);
    open.wants_leader = true;
    rpc_stream(registry, rpc_find_method(registry, SLICE_LIT("/etcdserverpb.Lease/LeaseKeepAlive")),
               &open);
    assert_int_equal(rpc_streams(registry), 1);
    has_leader = false;
    rpc_tick(registry, base_mono_add_us(paper.now, KV_NO_LEADER_AFTER_US - 1));
    assert_false(client.is_ended);
    rpc_tick(registry, base_mono_add_us(paper.now, KV_NO_LEADER_AFTER_US));
    expect_error(KV_E_NO_LEADER);
    assert_int_equal(rpc_streams(registry), 0);
}

static void damaged_and_large_requests(void **state)
{
    (void)state;
    uint8_t ops[2 * 2000];
    begin(true);
    call(put, NET_ROLE_NONE, SLICE_LIT("\x0a"));
    assert_int_equal(client.status, IO_GRPC_INTERNAL);
    for (size_t i = 0; i < sizeof(ops); i += 2) { /* empty operations */
        ops[i] = 0x12;
        ops[i + 1] = 0;
    }
    call(txn, NET_ROLE_NONE, slice_from(ops, 2 * 300)); /* more than the first guess */
    assert_int_equal(paper.count, 1);
    assert_int_equal(paper.calls[0]->request->txn.then_ops.count, 300);
    answer(KV_OK, SLICE_EMPTY);
    call(txn, NET_ROLE_NONE, slice_from(ops, sizeof(ops)));
    expect_error(KV_E_TOO_MANY_OPS);
    paper.refuse = KV_E_TOO_MANY_REQUESTS;
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    expect_error(KV_E_TOO_MANY_REQUESTS);
}

/* The client goes away, then the service answers; also the other way round when all is freed. */
static void late_answers(void **state)
{
    (void)state;
    begin(true);
    call(put, NET_ROLE_NONE, SLICE_LIT("\x0a\x01k"));
    uint64_t id = client.call->id;
    assert_ptr_equal(rpc_find(registry, id), client.call);
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    assert_null(rpc_find(registry, id));
    assert_true(slice_equal(paper.calls[0]->request->put.key, SLICE_LIT("k")));
    answer(KV_OK, SLICE_LIT("late"));
    assert_false(client.is_ended);
    const struct rpc_route *route = rpc_find_method(registry, slice_from_text(put));
    assert_int_equal(route->started, 1);
    assert_int_equal(route->handled[IO_GRPC_CANCELLED], 1);
}

static void walker_refuses(void **state)
{
    (void)state;
    begin(true);
    set_walks(1, (const enum kv_error[]){KV_E_PERMISSION_DENIED});
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    expect_error(KV_E_PERMISSION_DENIED);
    assert_int_equal(paper.count, 0);
}

/* Permissions change while a request is on its way: it is decided anew, unseen by the client. */
static void permissions_change_under_way(void **state)
{
    (void)state;
    begin(true);
    set_walks(1, (const enum kv_error[]){KV_OK});
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    assert_int_equal(paper.calls[0]->asker.auth_revision, 1);
    answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    assert_false(client.is_ended);
    assert_int_equal(paper.calls[0]->asker.auth_revision, 2);
    answer(KV_OK, SLICE_LIT("done"));
    assert_int_equal(client.message_len, 4);

    set_walks(2, (const enum kv_error[]){KV_OK, KV_E_PERMISSION_DENIED});
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    expect_error(KV_E_PERMISSION_DENIED);

    set_walks(1, (const enum kv_error[]){KV_OK}); /* not for ever */
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    for (int i = 0; i < 20 && !client.is_ended; i++) {
        answer(KV_E_AUTH_OLD_REVISION, SLICE_EMPTY);
    }
    expect_error(KV_E_AUTH_OLD_REVISION);
}

static void permissions_are_being_read(void **state)
{
    (void)state;
    begin(true);
    set_walks(3, (const enum kv_error[]){KV_E_AUTH_OLD_REVISION, KV_E_AUTH_OLD_REVISION, KV_OK});
    call(put, NET_ROLE_NONE, SLICE_EMPTY);
    assert_false(client.is_ended);
    rpc_walk_again(registry);
    assert_false(client.is_ended);
    assert_int_equal(paper.count, 0);
    rpc_walk_again(registry);
    assert_int_equal(paper.count, 1);
    answer(KV_OK, SLICE_EMPTY);
    assert_true(client.is_ended);

    set_walks(1, (const enum kv_error[]){KV_E_AUTH_OLD_REVISION});
    call(put, NET_ROLE_NONE, SLICE_EMPTY); /* and the client goes away meanwhile */
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    rpc_walk_again(registry);
    assert_int_equal(paper.count, 0);
}

/* --- keep-alive streams --- */

static void keep_alive(void)
{
    const struct rpc_open open = open_as(NET_ROLE_NONE);
    rpc_stream(registry, rpc_find_method(registry, SLICE_LIT("/etcdserverpb.Lease/LeaseKeepAlive")),
               &open);
    assert_false(client.is_ended);
}

static void keep_alive_ends_with_its_last_answer(void **state)
{
    (void)state;
    begin(true);
    keep_alive();
    rpc_message(client.call, SLICE_LIT("\x08\x05"));
    rpc_message(client.call, SLICE_LIT("\x08\x06"));
    rpc_half_closed(client.call);
    answer(KV_OK, SLICE_LIT("5"));
    assert_false(client.is_ended);
    answer(KV_E_LEASE_NOT_FOUND, SLICE_EMPTY); /* answered with no time, not with an error */
    assert_int_equal(client.sent, 2);
    assert_true(client.is_ended);
    assert_int_equal(client.status, IO_GRPC_OK);
    keep_alive();
    rpc_half_closed(client.call);
    assert_true(client.is_ended);
}

static void keep_alive_fails_and_goes(void **state)
{
    (void)state;
    begin(true);
    keep_alive();
    rpc_message(client.call, SLICE_LIT("\x08\x05"));
    rpc_message(client.call, SLICE_LIT("\x08\x06"));
    answer(KV_E_NO_LEADER, SLICE_EMPTY);
    expect_error(KV_E_NO_LEADER);
    answer(KV_OK, SLICE_LIT("6")); /* to nobody */
    assert_int_equal(client.sent, 0);

    keep_alive();
    rpc_message(client.call, SLICE_LIT("\x08\x05"));
    client.is_full = true;
    answer(KV_OK, SLICE_LIT("5"));
    expect_error(KV_E_TOO_MANY_REQUESTS);

    keep_alive();
    rpc_message(client.call, SLICE_LIT("\x08\x05"));
    rpc_gone(client.call, IO_GRPC_CANCELLED);
    answer(KV_OK, SLICE_LIT("5"));
    assert_int_equal(client.sent, 0);

    keep_alive();
    rpc_message(client.call, SLICE_LIT("\x08"));
    expect_error(KV_E_MALFORMED);
}

/* --- images --- */

static struct {
    struct snapshot_job *job;
    unsigned ended;
} image;

static int image_begin(void *ctx, struct snapshot_job *job)
{
    (void)ctx;
    image.job = job;
    return 0;
}

static int image_read(void *ctx, struct snapshot_job *job, uint64_t offset)
{
    (void)ctx;
    (void)offset;
    image.job = job;
    return 0;
}

static void image_end(void *ctx)
{
    (void)ctx;
    image.ended++;
}

/* There is one image at a time: one who does not read his must not keep it from a node. */
static void an_image_is_not_held_by_one_who_reads_nothing(void **state)
{
    (void)state;
    static const uint8_t bytes[600];
    struct api_maintenance *maintenance = NULL;
    const struct api_maintenance_options options = {.snapshot = {.export_begin = image_begin,
                                                                 .export_read = image_read,
                                                                 .export_end = image_end}};
    const struct rpc_open open = open_as(NET_ROLE_ADMIN);
    memset(&image, 0, sizeof(image));
    begin(true);
    assert_int_equal(api_maintenance_new(registry, &options, &maintenance), 0);
    paper.now.us = 1000 * BASE_US_PER_S;
    rpc_stream(registry, rpc_find_method(registry, SLICE_LIT("/etcdserverpb.Maintenance/Snapshot")),
               &open);
    rpc_message(client.call, SLICE_EMPTY);
    assert_non_null(image.job);
    image.job->info.bytes = sizeof(bytes);
    image.job->done(image.job, 0);
    client.is_full = true;
    image.job->data = slice_from(bytes, sizeof(bytes));
    image.job->done(image.job, 0);
    paper.now.us += 20 * BASE_US_PER_S;
    api_maintenance_tick(maintenance, paper.now);
    assert_false(client.is_ended);
    paper.now.us++;
    api_maintenance_tick(maintenance, paper.now);
    assert_true(client.is_ended);
    assert_int_equal(client.status, IO_GRPC_UNAVAILABLE);
    assert_int_equal(image.ended, 1);
    client.is_full = false;
    registry = rpc_registry_free(registry);
    (void)api_maintenance_free(maintenance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(roles_bind, end),
        cmocka_unit_test_teardown(learners_serve_little, end),
        cmocka_unit_test_teardown(leaders_are_wanted, end),
        cmocka_unit_test_teardown(damaged_and_large_requests, end),
        cmocka_unit_test_teardown(late_answers, end),
        cmocka_unit_test_teardown(walker_refuses, end),
        cmocka_unit_test_teardown(permissions_change_under_way, end),
        cmocka_unit_test_teardown(permissions_are_being_read, end),
        cmocka_unit_test_teardown(keep_alive_ends_with_its_last_answer, end),
        cmocka_unit_test_teardown(keep_alive_fails_and_goes, end),
        cmocka_unit_test_teardown(an_image_is_not_held_by_one_who_reads_nothing, end),
    };
    return cmocka_run_group_tests_name("kv_rpc", tests, NULL, NULL);
}
