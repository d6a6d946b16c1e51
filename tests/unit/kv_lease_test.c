/* SPDX-License-Identifier: Apache-2.0 */
/* Leases on three nodes with a clock of their own: who ends them, when, and what renewals get.
 * Names of bugs are those of ../../kv/README.md's list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_world.h"

static struct kv_request grant_of(int64_t id, int64_t ttl)
{
    return (struct kv_request){.kind = KV_KIND_LEASE_GRANT, .lease_grant = {.id = id, .ttl = ttl}};
}

static struct kv_request revoke_of(int64_t id)
{
    return (struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = id};
}

static struct kv_request renew_of(int64_t id)
{
    return (struct kv_request){.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id.id = id};
}

static struct kv_request ttl_of(int64_t id)
{
    return (struct kv_request){.kind = KV_KIND_LEASE_TTL,
                               .lease_ttl = {.id = id, .wants_keys = true}};
}

static struct kv_request put_leased(const char *key, int64_t lease)
{
    struct kv_request request = put_of(key, "v");
    request.put.lease = lease;
    return request;
}

static void pass_ms(struct world *world, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        step(world);
    }
}

static int64_t count_of(struct host *host, const char *key)
{
    struct ask ask;
    assert_int_equal(ask_now(host, &ask, get_of(key)), KV_OK);
    return ask.response.range.count;
}

/* Seconds that a renewal gets. */
static int64_t renew(struct host *host, int64_t id)
{
    struct ask ask;
    assert_int_equal(ask_now(host, &ask, renew_of(id)), KV_OK);
    assert_int_equal(ask.response.keep_alive.id, id);
    return ask.response.keep_alive.ttl;
}

static int64_t ttl(struct host *host, int64_t id)
{
    struct ask ask;
    assert_int_equal(ask_now(host, &ask, ttl_of(id)), KV_OK);
    return ask.response.lease_ttl.ttl;
}

/* --- what the reference's second conversation says, through every node --- */

static void conversation_through(struct host *host)
{
    struct ask ask;
    struct world *world = host->world;
    assert_int_equal(ask_now(host, &ask, grant_of(0, 1)), KV_OK);
    int64_t id = ask.response.lease_grant.id;
    int64_t revision = ask.response.lease_grant.header.revision;
    assert_true(id > 0);
    assert_int_equal(ask.response.lease_grant.ttl, 2);
    assert_int_equal(ask_now(host, &ask, put_leased("k", id)), KV_OK);
    assert_int_equal(ask_now(host, &ask, ttl_of(id)), KV_OK);
    const struct kv_lease_ttl_response *left = &ask.response.lease_ttl;
    assert_true(left->ttl <= 2 && left->ttl >= 1);
    assert_int_equal(left->granted_ttl, 2);
    assert_int_equal(left->keys.count, 1);
    assert_true(slice_equal(left->keys.items[0], SLICE_LIT("k")));
    assert_int_equal(renew(host, id), 2);
    assert_int_equal(renew(host, id + 1), 0);
    assert_int_equal(ask_now(host, &ask, put_of("k", "without")), KV_OK);
    assert_int_equal(ask_now(host, &ask, put_leased("k", id)), KV_OK);
    assert_int_equal(ask.response.put.header.revision, revision + 3);
    assert_int_equal(renew(host, id), 2);
    pass_ms(world, 1500);
    assert_int_equal(count_of(host, "k"), 1); /* never before its time */
    pass_ms(world, 1500);
    assert_int_equal(count_of(host, "k"), 0);
    assert_int_equal(kv_service_revision(host->service), revision + 4);
    assert_int_equal(renew(host, id), 0);
    assert_int_equal(ttl(host, id), -1);
    assert_int_equal(ask_now(host, &ask, revoke_of(id)), KV_E_LEASE_NOT_FOUND);
    assert_int_equal(ask_now(host, &ask, put_leased("k", id)), KV_E_LEASE_NOT_FOUND);
}

static void conversation(void **state)
{
    struct world *world = *state;
    (void)wait_leader(world);
    for (size_t i = 0; i < NODES; i++) {
        conversation_through(&world->hosts[i]);
    }
    assert_equal_states(world);
}

static void ends_without_keys_do_not_count(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, grant_of(5, 2)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, grant_of(5, 2)), KV_E_LEASE_EXISTS);
    pass_ms(world, 3000);
    assert_int_equal(ttl(leader, 5), -1);
    assert_int_equal(kv_service_revision(leader->service), 1);
}

static void leases_are_listed_everywhere(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    for (int64_t id = 1; id <= 3; id++) {
        assert_int_equal(ask_now(leader, &ask, grant_of(id, 100)), KV_OK);
    }
    pass_ms(world, 200);
    for (size_t i = 0; i < NODES; i++) {
        struct kv_request list = {.kind = KV_KIND_LEASE_LEASES};
        assert_int_equal(ask_now(&world->hosts[i], &ask, list), KV_OK);
        assert_int_equal(ask.response.leases.leases.count, 3);
        assert_int_equal(ask.response.leases.leases.items[2].id, 3);
    }
}

/* --- leaders come and go --- */

static void new_leader_gives_full_time(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *old = wait_leader(world);
    assert_int_equal(ask_now(old, &ask, grant_of(7, 4)), KV_OK);
    assert_int_equal(ask_now(old, &ask, put_leased("k", 7)), KV_OK);
    pass_ms(world, 3000);
    old->is_cut = true;
    struct host *leader = wait_leader(world);
    assert_true(leader != old);
    pass_ms(world, 3000); /* past the time that the old leader would have given */
    assert_int_equal(count_of(leader, "k"), 1);
    old->is_cut = false;
    pass_ms(world, 3000);
    assert_int_equal(count_of(leader, "k"), 0);
    assert_equal_states(world);
}

static void renewals_find_the_next_leader(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct ask waiting;
    struct host *old = wait_leader(world);
    assert_int_equal(ask_now(old, &ask, grant_of(7, 5)), KV_OK);
    struct host *follower = follower_of(world);
    old->is_cut = true;
    assert_int_equal(ask_send(follower, &waiting, renew_of(7)), KV_OK);
    (void)wait_leader(world);
    ask_wait(world, &waiting);
    assert_int_equal(waiting.error, KV_OK);
    assert_int_equal(waiting.response.keep_alive.ttl, 5);
}

/* Bug 12528: a leader that stood still wakes up and ends what another leader has renewed since. */
static void bug_12528_waking_leader_ends_nothing(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *old = wait_leader(world);
    assert_int_equal(ask_now(old, &ask, grant_of(7, 3)), KV_OK);
    assert_int_equal(ask_now(old, &ask, put_leased("k", 7)), KV_OK);
    old->is_paused = true;
    struct host *leader = follower_of(world);
    for (int i = 0; i < 6; i++) {
        pass_ms(world, 1000);
        assert_int_equal(renew(leader, 7), 3);
    }
    old->is_paused = false;
    pass_ms(world, 1500);
    assert_int_equal(renew(leader, 7), 3);
    pass_ms(world, 500);
    assert_int_equal(count_of(leader, "k"), 1);
    assert_equal_states(world);
}

/* An expiry that was decided in one term and stands in the log behind another one's. */
static void decided_in_another_term_is_void(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, grant_of(7, 100)), KV_OK);
    struct kv_command command = {.origin_node = 9,
                                 .origin_life = 9,
                                 .request_id = 1,
                                 .asker.auth_revision = KV_ASKER_INTERNAL,
                                 .guard_term = 99,
                                 .request = revoke_of(7)};
    assert_int_equal(propose_command(leader, &command), 0);
    pass_ms(world, 300);
    assert_true(ttl(leader, 7) > 0);
    struct raft_node_status status;
    raft_node_status(leader->node, &status);
    command.guard_term = status.term;
    assert_int_equal(propose_command(leader, &command), 0);
    pass_ms(world, 300);
    assert_int_equal(ttl(leader, 7), -1);
}

/* Bug 15247 and changelog 20615: told "renewed" while the revoke was under way. */
static void bug_20615_renewal_waits_for_the_revoke(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct ask late;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, grant_of(7, 2)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, put_leased("k", 7)), KV_OK);
    for (size_t i = 0; i < NODES; i++) { /* nothing can be committed: the revoke hangs */
        world->hosts[i].is_disk_hanging = &world->hosts[i] != leader;
    }
    pass_ms(world, 2600);
    assert_int_equal(ask_send(leader, &late, renew_of(7)), KV_OK);
    pass_ms(world, 300);
    assert_false(late.is_done);
    for (size_t i = 0; i < NODES; i++) {
        world->hosts[i].is_disk_hanging = false;
    }
    ask_wait(world, &late);
    assert_int_equal(late.error, KV_OK);
    assert_int_equal(late.response.keep_alive.ttl, 0);
    assert_int_equal(count_of(leader, "k"), 0);
}

/* A group that stood still as a whole gives its clients time to come first. */
static void all_stood_still(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct ask renewal;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, grant_of(7, 3)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, put_leased("k", 7)), KV_OK);
    for (size_t i = 0; i < NODES; i++) {
        world->hosts[i].is_paused = true;
    }
    pass_ms(world, 20000);
    for (size_t i = 0; i < NODES; i++) {
        world->hosts[i].is_paused = false;
    }
    pass_ms(world, 50);
    assert_int_equal(ask_send(leader, &renewal, renew_of(7)), KV_OK);
    ask_wait(world, &renewal);
    assert_int_equal(renewal.error, KV_OK);
    assert_int_equal(renewal.response.keep_alive.ttl, 3);
    assert_int_equal(count_of(leader, "k"), 1);
}

static void checkpoints_shorten_the_next_leaders_time(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *old = wait_leader(world);
    assert_int_equal(ask_now(old, &ask, grant_of(7, 1000)), KV_OK);
    assert_int_equal(ask_now(old, &ask, grant_of(8, 1000)), KV_OK);
    pass_ms(world, 310000);                /* past a checkpoint */
    assert_int_equal(renew(old, 8), 1000); /* which this takes back */
    old->is_cut = true;
    struct host *leader = wait_leader(world);
    pass_ms(world, 100);
    int64_t left = ttl(leader, 7);
    assert_true(left > 600 && left < 720);
    assert_true(ttl(leader, 8) > 990);
    assert_int_equal(renew(leader, 7), 1000);
    old->is_cut = false;
    assert_equal_states(world);
}

/* A renewal while the entry that says how little was left is on its way: whoever got his full time
 * has it with the next leader too. */
static void a_renewal_overtakes_no_checkpoint(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct raft_node_status status;
    struct host *old = wait_leader(world);
    assert_int_equal(ask_now(old, &ask, grant_of(7, 1000)), KV_OK);
    pass_ms(world, 1000);
    raft_node_status(old->node, &status);
    uint64_t last = status.last_index;
    for (int i = 0; i < 310000 && status.last_index == last; i++) {
        step(world);
        raft_node_status(old->node, &status);
    }
    assert_true(status.last_index > last && status.applied_index == last);
    assert_int_equal(renew(old, 7), 1000);
    pass_ms(world, 1000);
    old->is_cut = true;
    struct host *leader = wait_leader(world);
    pass_ms(world, 100);
    assert_true(ttl(leader, 7) > 990);
    old->is_cut = false;
    assert_equal_states(world);
}

/* --- many --- */

static void many_leases_end(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct kv_service_stats stats;
    struct host *leader = wait_leader(world);
    for (int64_t id = 1; id <= 1500; id++) {
        assert_int_equal(ask_now(leader, &ask, grant_of(id * 7919, id % 2 == 0 ? 15 : 60)), KV_OK);
    }
    kv_service_stats(leader->service, &stats);
    assert_int_equal(stats.leases, 1500);
    pass_ms(world, 25000);
    kv_service_stats(leader->service, &stats);
    assert_int_equal(stats.leases, 750);
    assert_int_equal(stats.leases_expired, 750);
    assert_int_equal(renew(leader, 7919), 60);
    assert_int_equal(renew(leader, 2 * 7919), 0);
    assert_equal_states(world);
}

static void survive_a_restart_of_all(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    for (int64_t id = 1; id <= 50; id++) {
        assert_int_equal(ask_now(leader, &ask, grant_of(id, 30)), KV_OK);
    }
    assert_int_equal(ask_now(leader, &ask, put_leased("k", 50)), KV_OK);
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
    }
    for (size_t i = 0; i < NODES; i++) {
        boot(&world->hosts[i]);
    }
    leader = wait_leader(world);
    assert_true(ttl(leader, 50) >= 28);
    assert_int_equal(renew(leader, 1), 30);
    pass_ms(world, 35000);
    assert_int_equal(count_of(leader, "k"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(conversation),
        CASE(ends_without_keys_do_not_count),
        CASE(leases_are_listed_everywhere),
        CASE(new_leader_gives_full_time),
        CASE(renewals_find_the_next_leader),
        CASE(bug_12528_waking_leader_ends_nothing),
        CASE(decided_in_another_term_is_void),
        CASE(bug_20615_renewal_waits_for_the_revoke),
        CASE(all_stood_still),
        CASE(checkpoints_shorten_the_next_leaders_time),
        CASE(a_renewal_overtakes_no_checkpoint),
        CASE(many_leases_end),
        CASE(survive_a_restart_of_all),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
