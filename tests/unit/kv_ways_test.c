/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of requests that are neither a plain put nor a plain read, on three nodes: compaction,
 * checksums, alarms and room, asking the leader, what is never sent twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "kv/core/alarm.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_world.h"

static struct kv_request compact_of(int64_t revision, bool is_physical)
{
    return (struct kv_request){.kind = KV_KIND_COMPACT, .compact = {revision, is_physical}};
}

static struct kv_request alarm_of(int32_t action, uint64_t member, int32_t alarm)
{
    return (struct kv_request){.kind = KV_KIND_ALARM, .alarm = {action, member, alarm}};
}

static struct kv_request get_at(const char *key, int64_t revision)
{
    struct kv_request request = get_of(key);
    request.range.revision = revision;
    return request;
}

static void pass_ms(struct world *world, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        step(world);
    }
}

static struct kv_service_stats stats_of(const struct host *host)
{
    struct kv_service_stats stats;
    kv_service_stats(host->service, &stats);
    return stats;
}

/* Puts one key so often; the revision afterwards. */
static int64_t put_often(struct host *host, const char *key, int count)
{
    struct ask ask;
    for (int i = 0; i < count; i++) {
        assert_int_equal(ask_now(host, &ask, put_of(key, "v")), KV_OK);
    }
    return ask.response.put.header.revision;
}

/* --- compaction --- */

static void compaction_through_any_node(void **state)
{
    struct world *world = *state;
    struct ask ask;
    (void)wait_leader(world);
    for (size_t i = 0; i < NODES; i++) {
        struct host *host = &world->hosts[i];
        int64_t newest = put_often(host, "k", 30);
        assert_int_equal(ask_now(host, &ask, compact_of(newest - 5, i > 0)), KV_OK);
        assert_int_equal(ask.response.header_only.header.revision, newest);
        if (i > 0) { /* physical: the rows of this node are gone */
            assert_int_equal(stats_of(host).compact_finished, newest - 5);
        }
        assert_int_equal(ask_now(host, &ask, compact_of(newest - 5, false)), KV_E_COMPACTED);
        assert_int_equal(ask_now(host, &ask, compact_of(newest + 1, false)), KV_E_FUTURE_REVISION);
        assert_int_equal(ask_now(host, &ask, get_at("k", newest - 6)), KV_E_COMPACTED);
        assert_int_equal(ask_now(host, &ask, get_at("k", newest - 5)), KV_OK);
        assert_int_equal(ask.response.range.kvs.items[0].mod_revision, newest - 5);
        pass_ms(world, 500);
        for (size_t j = 0; j < NODES; j++) {
            assert_int_equal(world->hosts[j].compacted, newest - 5);
            assert_int_equal(stats_of(&world->hosts[j]).compact_finished, newest - 5);
            assert_int_equal(kv_service_compact_revision(world->hosts[j].service), newest - 5);
        }
    }
    assert_equal_states(world);
}

static void removal_goes_on_after_a_crash(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    int64_t newest = put_often(leader, "k", 600);
    struct host *other = follower_of(world);
    assert_int_equal(ask_now(leader, &ask, compact_of(newest, false)), KV_OK);
    for (int i = 0; i < 2000 && other->compacted != newest; i++) {
        step(world);
    }
    crash(other);
    boot(other);
    pass_ms(world, 3000);
    assert_int_equal(stats_of(other).compact_finished, newest);
    assert_int_equal(kv_service_compact_revision(other->service), newest);
    assert_equal_states(world);
}

static void leader_compacts_by_count(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].compaction_revisions = 50;
        boot(&world->hosts[i]);
    }
    struct host *leader = wait_leader(world);
    int64_t newest = put_often(leader, "k", 120);
    pass_ms(world, 25000);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(world->hosts[i].compacted, newest - 50);
    }
    assert_equal_states(world);
}

static void leader_compacts_by_time(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].compaction_period_us = 20 * BASE_US_PER_S;
        boot(&world->hosts[i]);
    }
    struct host *leader = wait_leader(world);
    int64_t before = put_often(leader, "k", 10);
    pass_ms(world, 10000);
    (void)put_often(leader, "k", 10);
    assert_int_equal(leader->compacted, 0);
    pass_ms(world, 14000); /* what is younger than the period is there */
    assert_int_equal(leader->compacted, before);
    assert_equal_states(world);
}

/* A node that comes back when the log that it lacks is gone gets an image, and derives everything
 * from it anew: revision, compact revision, alarms, leases when it leads. */
static void an_image_replaces_what_was_derived(void **state)
{
    struct world *world = *state;
    struct ask ask;
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].log_keep_entries = 20;
        boot(&world->hosts[i]);
    }
    struct host *leader = wait_leader(world);
    struct host *late = follower_of(world);
    late->is_cut = true;
    int64_t newest = put_often(leader, "k", 300);
    struct kv_request grant = {.kind = KV_KIND_LEASE_GRANT, .lease_grant = {.id = 7, .ttl = 900}};
    assert_int_equal(ask_now(leader, &ask, grant), KV_OK);
    assert_int_equal(ask_now(leader, &ask, compact_of(newest - 2, true)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, alarm_of(KV_ALARM_ACTIVATE, 1, KV_ALARM_NOSPACE)),
                     KV_OK);
    pass_ms(world, 500);
    late->is_cut = false;
    for (int i = 0; i < 20000 && late->restored == 0; i++) {
        step(world);
    }
    assert_true(late->restored > 0);
    pass_ms(world, 3000); /* what was written while the image was on its way */
    assert_int_equal(kv_service_revision(late->service), newest);
    assert_int_equal(late->compacted, newest - 2);
    assert_true(stats_of(late).has_no_space);
    pass_ms(world, 3000);
    assert_equal_states(world);
    for (size_t i = 0; i < NODES; i++) { /* until the late one leads */
        leader = wait_leader(world);
        if (leader != late) {
            struct kv_request move = {.kind = KV_KIND_MOVE_LEADER,
                                      .move_leader.target_id = late->id};
            assert_int_equal(ask_now(leader, &ask, move), KV_OK);
        }
    }
    struct kv_request renew = {.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id.id = 7};
    assert_int_equal(ask_now(late, &ask, renew), KV_OK);
    assert_int_equal(ask.response.keep_alive.ttl, 900);
    assert_int_equal(stats_of(late).leases, 1);
}

/* --- checksums --- */

static uint32_t hash_kv(struct host *host, int64_t revision, enum kv_error want)
{
    struct ask ask;
    struct kv_request request = {.kind = KV_KIND_HASH_KV, .hash_kv.revision = revision};
    assert_int_equal(ask_now(host, &ask, request), want);
    return ask.response.hash_kv.hash;
}

static void checksums_agree(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    int64_t newest = put_often(leader, "k", 900);
    for (int round = 0; round < 2; round++) {
        pass_ms(world, 300);
        uint32_t first = hash_kv(&world->hosts[0], 0, KV_OK);
        uint32_t older = hash_kv(&world->hosts[0], newest - 3, KV_OK);
        assert_true(first != older);
        for (size_t i = 1; i < NODES; i++) {
            assert_int_equal(hash_kv(&world->hosts[i], 0, KV_OK), first);
            assert_int_equal(hash_kv(&world->hosts[i], newest - 3, KV_OK), older);
        }
        assert_int_equal(ask_now(leader, &ask, compact_of(newest - 100 + round, false)), KV_OK);
    }
    (void)hash_kv(leader, 5, KV_E_COMPACTED);
    (void)hash_kv(leader, newest + 9, KV_E_FUTURE_REVISION);
    struct kv_request whole = {.kind = KV_KIND_HASH};
    assert_int_equal(ask_now(leader, &ask, whole), KV_OK);
    struct kv_request defragment = {.kind = KV_KIND_DEFRAGMENT};
    assert_int_equal(ask_now(leader, &ask, defragment), KV_OK);
}

/* --- alarms and room --- */

static void alarms_forbid_until_taken_back(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    struct host *host = follower_of(world);
    struct kv_request grant = {.kind = KV_KIND_LEASE_GRANT, .lease_grant.ttl = 60};
    struct kv_request gone = {.kind = KV_KIND_DELETE, .delete_range.key = SLICE_LIT("k")};
    struct kv_request status = {.kind = KV_KIND_STATUS};
    int64_t newest = put_often(leader, "k", 2);
    assert_int_equal(ask_now(host, &ask, alarm_of(KV_ALARM_ACTIVATE, 2, KV_ALARM_NOSPACE)), KV_OK);
    pass_ms(world, 200);
    assert_int_equal(ask_send(leader, &ask, put_of("k", "v")), KV_E_NO_SPACE);
    assert_int_equal(ask_send(host, &ask, grant), KV_E_NO_SPACE);
    assert_int_equal(ask_now(host, &ask, gone), KV_OK);
    assert_int_equal(ask_now(host, &ask, compact_of(newest, false)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, status), KV_OK);
    assert_int_equal(ask.response.status.errors.count, 1);
    assert_true(
        slice_equal(ask.response.status.errors.items[0], SLICE_LIT("memberID:2 alarm:NOSPACE ")));
    crash(host); /* it is remembered */
    boot(host);
    pass_ms(world, 3000);
    assert_int_equal(ask_send(host, &ask, put_of("k", "v")), KV_E_NO_SPACE);
    assert_int_equal(ask_now(leader, &ask, alarm_of(KV_ALARM_GET, 0, KV_ALARM_NONE)), KV_OK);
    assert_int_equal(ask.response.alarm.alarms.count, 1);
    assert_int_equal(ask_now(leader, &ask, alarm_of(KV_ALARM_DEACTIVATE, 2, KV_ALARM_NOSPACE)),
                     KV_OK);
    assert_int_equal(ask_now(leader, &ask, put_of("k", "v")), KV_OK);
    assert_int_equal(ask_now(leader, &ask, alarm_of(KV_ALARM_ACTIVATE, 2, KV_ALARM_CORRUPT)),
                     KV_OK);
    assert_int_equal(ask_send(leader, &ask, get_of("k")), KV_E_CORRUPT_CLUSTER);
    assert_int_equal(ask_send(leader, &ask, gone), KV_E_CORRUPT_CLUSTER);
    assert_int_equal(ask_now(leader, &ask, status), KV_OK);
}

static void a_full_store_raises_the_alarm_everywhere(void **state)
{
    struct world *world = *state;
    struct ask ask;
    static uint8_t large[100000];
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].quota_bytes = i == 0 ? 1 << 20 : 64 << 20; /* one node alone is full */
        boot(&world->hosts[i]);
    }
    struct host *leader = wait_leader(world);
    struct kv_request put = put_of("k", "");
    put.put.value = slice_from(large, sizeof(large));
    for (int i = 0; i < 15; i++) {
        assert_int_equal(ask_now(leader, &ask, put), leader->id == 1 && i > 10 ? ask.error : KV_OK);
        if (ask.error != KV_OK) {
            break;
        }
    }
    pass_ms(world, 2000); /* the size is looked at */
    assert_int_equal(ask_send(&world->hosts[0], &ask, put), KV_E_NO_SPACE);
    pass_ms(world, 500);
    for (size_t i = 0; i < NODES; i++) {
        assert_true(stats_of(&world->hosts[i]).has_no_space);
        assert_int_equal(ask_send(&world->hosts[i], &ask, put), KV_E_NO_SPACE);
    }
}

/* --- asking the leader --- */

static void lost_questions_end_with_their_deadline(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct kv_request renew = {.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id.id = 1};
    struct host *leader = wait_leader(world);
    struct host *host = follower_of(world);
    leader->is_deaf_to_kv = true;
    assert_int_equal(ask_now(host, &ask, renew), KV_E_TIMEOUT);
    leader->is_deaf_to_kv = false;
    host->is_deaf_to_kv = true; /* the answer is lost */
    assert_int_equal(ask_now(host, &ask, renew), KV_E_TIMEOUT);
    host->is_deaf_to_kv = false;
    assert_int_equal(ask_now(host, &ask, renew), KV_OK);
    assert_int_equal(ask.response.keep_alive.ttl, 0);
    assert_int_equal(kv_service_open_calls(host->service), 0);
    assert_int_equal(kv_service_open_calls(leader->service), 0);
}

static void questions_without_an_answer_are_bounded(void **state)
{
    struct world *world = *state;
    static struct ask asks[KV_ASKS_MAX + 1];
    struct kv_request renew = {.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id.id = 1};
    struct host *leader = wait_leader(world);
    struct host *host = follower_of(world);
    size_t refused = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(asks); i++) {
        assert_int_equal(ask_send(host, &asks[i], renew), KV_OK);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(asks); i++) {
        ask_wait(world, &asks[i]);
        refused += asks[i].error == KV_E_TOO_MANY_REQUESTS;
        assert_true(asks[i].error == KV_OK || asks[i].error == KV_E_TOO_MANY_REQUESTS);
    }
    assert_int_equal(refused, 1);
    assert_int_equal(kv_service_open_calls(leader->service), 0);
}

static void questions_have_a_size(void **state)
{
    struct world *world = *state;
    struct ask ask;
    static uint8_t bytes[KV_ASK_MAX];
    memset(bytes, 'x', sizeof(bytes));
    struct slice url = slice_from(bytes, KV_ASK_MAX);
    struct kv_request add = {.kind = KV_KIND_MEMBER_ADD, .member_add.peer_urls = {&url, 1}};
    (void)wait_leader(world);
    assert_int_equal(ask_send(follower_of(world), &ask, add), KV_E_REQUEST_TOO_LARGE);
    url.len -= 100; /* the frame around it */
    assert_int_equal(ask_now(follower_of(world), &ask, add), KV_E_BAD_MEMBER_URLS);
}

/* The largest write that goes through, and one byte more. */
static void writes_have_a_size(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].quota_bytes = UINT64_C(1) << 30; /* each of them stays as a version */
        boot(&world->hosts[i]);
    }
    struct ask ask;
    static uint8_t bytes[KV_REQUEST_MAX];
    struct host *leader = wait_leader(world);
    struct kv_request put = put_of("k", "");
    size_t fits = sizeof(bytes) - 60;
    for (size_t len = fits; len <= sizeof(bytes); len++) {
        put.put.value = slice_from(bytes, len);
        enum kv_error error = ask_now(leader, &ask, put);
        if (error != KV_OK) {
            assert_int_equal(error, KV_E_REQUEST_TOO_LARGE);
            break;
        }
        fits = len;
    }
    assert_in_range(fits, sizeof(bytes) - 59, sizeof(bytes) - 10);
    struct ask read;
    assert_int_equal(ask_now(leader, &read, get_of("k")), KV_OK);
    assert_equal_states(world);
}

/* A node that applies too slowly takes no more writes. */
static void far_behind_takes_no_writes(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct raft_node_status status;
    struct host *leader = wait_leader(world);
    struct host *slow = follower_of(world);
    slow->is_store_hanging = true;
    raft_node_status(slow->node, &status);
    uint64_t applied = status.applied_index;
    for (int i = 0; i < 8000 && status.commit_index < applied + KV_BEHIND_MAX; i++) {
        assert_int_equal(ask_now(leader, &ask, put_of("k", "v")), KV_OK);
        pass_ms(world, 2);
        raft_node_status(slow->node, &status);
    }
    pass_ms(world, 100);
    raft_node_status(slow->node, &status);
    assert_int_equal(status.commit_index, applied + KV_BEHIND_MAX);
    static struct ask late;
    assert_int_equal(ask_send(slow, &late, put_of("k", "v")), KV_OK);
    pass_ms(world, 200);
    assert_int_equal(ask_send(slow, &ask, put_of("k", "v")), KV_E_TOO_MANY_REQUESTS);
    slow->is_store_hanging = false;
    ask_wait(world, &late);
    assert_int_equal(late.error, KV_OK);
    assert_int_equal(ask_now(slow, &ask, put_of("k", "v")), KV_OK);
    assert_equal_states(world);
}

static void members_are_changed_by_the_leader(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct slice url = SLICE_LIT("http://127.0.0.9:2380");
    struct kv_request add = {.kind = KV_KIND_MEMBER_ADD,
                             .member_add = {.peer_urls = {&url, 1}, .is_learner = true}};
    (void)wait_leader(world);
    assert_int_equal(ask_now(follower_of(world), &ask, add), KV_OK);
    assert_int_equal(ask.response.member_add.members.count, NODES + 1);
    uint64_t id = ask.response.member_add.member.id;
    struct kv_request again = add;
    assert_int_equal(ask_now(follower_of(world), &ask, again), KV_E_PEER_URL_EXISTS);
    struct kv_request gone = {.kind = KV_KIND_MEMBER_REMOVE, .member_id.id = id};
    assert_int_equal(ask_now(follower_of(world), &ask, gone), KV_OK);
    struct kv_request move = {.kind = KV_KIND_MOVE_LEADER, .move_leader.target_id = id};
    assert_int_equal(ask_send(follower_of(world), &ask, move), KV_E_NOT_LEADER);
}

/* --- never twice --- */

static int64_t version_of(struct host *host, const char *key)
{
    struct ask ask;
    assert_int_equal(ask_now(host, &ask, get_of(key)), KV_OK);
    return ask.response.range.count == 0 ? 0 : ask.response.range.kvs.items[0].version;
}

/* A write that reached the leader, whose answer the asking node never hears: it is told that the
 * outcome is unknown, and the write counts once. */
static void writes_of_unknown_outcome_are_applied_once(void **state)
{
    struct world *world = *state;
    struct ask ask;
    for (int round = 0; round < 5; round++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%d", round);
        struct host *old = wait_leader(world);
        struct host *host = follower_of(world);
        assert_int_equal(ask_send(host, &ask, put_of(key, "v")), KV_OK);
        pass_ms(world, 4 + round); /* on its way to the leader, or in the logs */
        old->is_cut = true;
        (void)wait_leader(world);
        ask_wait(world, &ask);
        old->is_cut = false;
        struct host *leader = wait_leader(world);
        pass_ms(world, 500);
        int64_t version = version_of(leader, key);
        assert_true(ask.error == KV_OK || ask.error == KV_E_TIMEOUT_LEADER ||
                    ask.error == KV_E_LEADER_CHANGED);
        assert_true(version <= 1);
        assert_true(ask.error != KV_OK || version == 1);
    }
    assert_equal_states(world);
}

/* Two transactions that both found the key missing when they came: one of them wins. */
static void compares_are_decided_at_apply(void **state)
{
    struct world *world = *state;
    static struct ask asks[NODES];
    (void)wait_leader(world);
    size_t won = 0;
    for (size_t i = 0; i < NODES; i++) {
        static struct kv_compare compare = {
            .target = KV_TARGET_VERSION, .key = SLICE_LIT("lock"), .which = KV_COMPARE_VERSION};
        static struct kv_op op = {.kind = KV_OP_PUT,
                                  .put = {.key = SLICE_LIT("lock"), .value = SLICE_LIT("me")}};
        struct kv_request txn = {.kind = KV_KIND_TXN,
                                 .txn = {.compares = {&compare, 1}, .then_ops = {&op, 1}}};
        assert_int_equal(ask_send(&world->hosts[i], &asks[i], txn), KV_OK);
    }
    for (size_t i = 0; i < NODES; i++) {
        ask_wait(world, &asks[i]);
        assert_int_equal(asks[i].error, KV_OK);
        won += asks[i].response.txn.is_succeeded;
    }
    assert_int_equal(won, 1);
}

/* What a follower may not have the leader propose. */
static void decisions_of_leaders_are_not_passed_on(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    struct kv_lease_checkpoint item = {1, 5};
    struct kv_request checkpoint = {.kind = KV_KIND_LEASE_CHECKPOINT,
                                    .checkpoints.checkpoints = {&item, 1}};
    assert_int_equal(ask_send(leader, &ask, checkpoint), KV_E_MALFORMED);
    struct kv_request range = {.kind = KV_KIND_NONE};
    assert_int_equal(ask_send(leader, &ask, range), KV_E_MALFORMED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(compaction_through_any_node),
        CASE(removal_goes_on_after_a_crash),
        CASE(leader_compacts_by_count),
        CASE(leader_compacts_by_time),
        CASE(an_image_replaces_what_was_derived),
        CASE(checksums_agree),
        CASE(alarms_forbid_until_taken_back),
        CASE(a_full_store_raises_the_alarm_everywhere),
        CASE(lost_questions_end_with_their_deadline),
        CASE(questions_without_an_answer_are_bounded),
        CASE(questions_have_a_size),
        CASE(writes_have_a_size),
        CASE(far_behind_takes_no_writes),
        CASE(members_are_changed_by_the_leader),
        CASE(writes_of_unknown_outcome_are_applied_once),
        CASE(compares_are_decided_at_apply),
        CASE(decisions_of_leaders_are_not_passed_on),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
