/* SPDX-License-Identifier: Apache-2.0 */
/* Small spaces, whole: the planner of the synchronous set over five members, quorums of all pairs
 * of configurations over five nodes, the lease's arithmetic over a grid.
 *
 * Members are interchangeable, so a case of the planner is told by how many of them lie in which of
 * the sets: each is in V or not, in S or not, in the target T or not. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "arbiter/core/syncset.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "raft/core/members.h"
#include "raft/core/quorum.h"

#define MEMBERS 5
#define PARTS 8 /* bit 0: in V, 1: in S, 2: in T */
#define PLAN_STEPS_MAX 5

/* --- the planner --- */

static struct arb_set set_of(const unsigned parts[MEMBERS], unsigned bit, unsigned count)
{
    struct arb_set set = {.count = (uint8_t)count};
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct base_name name = {{(char)('a' + (int)i)}};
        if ((parts[i] >> bit & 1) != 0) {
            assert_int_equal(arb_names_add(&set.names, &name), 0);
        }
    }
    return set;
}

/* A7 at this moment, and whatever of the two databases is in force: a crash may come here. */
static void assert_safe(const struct arb_sync_state *s, const struct arb_set *other)
{
    assert_true(arb_sync_is_safe(&s->record, &s->database));
    assert_true(arb_sync_is_safe(&s->record, other));
}

/* Follows the plan to its end. */
static void follow(struct arb_sync_state s, const struct arb_set *target)
{
    bool has_waited = s.is_barrier_passed;
    for (unsigned n = 0; n <= PLAN_STEPS_MAX; n++) {
        struct arb_sync_step step = arb_sync_plan(&s, target);
        struct arb_set before = s.database;
        switch (step.kind) {
        case ARB_SYNC_DONE:
            assert_true(arb_set_equal(&s.record, target) && arb_set_equal(&s.database, target));
            return;
        case ARB_SYNC_WIDEN:
            assert_true(arb_names_within(&s.record.names, &step.set.names));
            assert_true(step.set.count <= s.record.count);
            s.record = step.set;
            break;
        case ARB_SYNC_DATABASE:
            /* Not known which is in force, until the holder says so: nothing is narrowed. */
            s.is_database_known = false;
            assert_safe(&s, &step.set);
            assert_int_not_equal(arb_sync_plan(&s, target).kind, ARB_SYNC_NARROW);
            s.is_database_known = true;
            s.database = step.set;
            s.is_barrier_passed = has_waited = false;
            break;
        case ARB_SYNC_WAIT:
            s.is_barrier_passed = has_waited = true;
            break;
        case ARB_SYNC_NARROW:
            assert_true(has_waited || target->count == 0);
            assert_true(arb_set_equal(&s.database, target));
            s.record = step.set;
            break;
        case ARB_SYNC_STUCK:
            fail_msg("stuck");
        }
        assert_safe(&s, &before);
    }
    fail_msg("the target is not reached in %d steps", PLAN_STEPS_MAX);
}

static unsigned plans;

static void try_counts(const unsigned parts[MEMBERS])
{
    for (unsigned counts = 0; counts < 6 * 6 * 6 * 2; counts++) {
        struct arb_set target = set_of(parts, 2, counts / 36 % 6);
        struct arb_sync_state s = {.record = set_of(parts, 0, counts % 6),
                                   .is_database_known = true,
                                   .database = set_of(parts, 1, counts / 6 % 6),
                                   .is_barrier_passed = counts / 216 == 1};
        bool is_real = s.record.count <= s.record.names.count &&
                       s.database.count <= s.database.names.count &&
                       target.count <= target.names.count;
        if (is_real && arb_sync_is_safe(&s.record, &s.database)) {
            follow(s, &target);
            s.is_database_known = false;
            assert_int_not_equal(arb_sync_plan(&s, &target).kind, ARB_SYNC_NARROW);
            assert_int_not_equal(arb_sync_plan(&s, &target).kind, ARB_SYNC_DONE);
            plans++;
        }
    }
}

/* The next one in order, each part not below the one before it; false: that was the last. */
static bool next_parts(unsigned parts[MEMBERS])
{
    for (unsigned i = MEMBERS; i-- > 0;) {
        if (parts[i] + 1 < PARTS) {
            unsigned value = parts[i] + 1;
            for (; i < MEMBERS; i++) {
                parts[i] = value;
            }
            return true;
        }
    }
    return false;
}

static void test_every_change_of_the_synchronous_set_is_safe_at_each_step(void **state)
{
    unsigned parts[MEMBERS] = {0};
    (void)state;
    do {
        try_counts(parts);
    } while (next_parts(parts));
    assert_true(plans > 10000);
}

/* Any r of V and any votes_needed of V have a member in common; with one vote fewer they need not.
 */
static void test_votes_needed_meet_every_set_of_holders_of_a_commit(void **state)
{
    (void)state;
    for (unsigned v = 1; v <= MSG_MEMBERS_MAX; v++) {
        for (unsigned r = 1; r <= v; r++) {
            struct arb_set set = {.names = {.count = (uint8_t)v}, .count = (uint8_t)r};
            unsigned needed = arb_votes_needed(&set);
            assert_true(needed >= 1 && needed + r > v);
            assert_true(needed == 1 || needed - 1 + r <= v);
        }
    }
}

/* --- configurations --- */

/* Each node is absent, a voter or a learner. */
static void configuration_of(unsigned code, struct raft_configuration *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < MEMBERS; i++, code /= 3) {
        if (code % 3 != 0) {
            ret->members[ret->count++] =
                (struct raft_member){.id = i + 1, .is_learner = code % 3 == 2};
        }
    }
}

static unsigned voters_of(unsigned code)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < MEMBERS; i++, code /= 3) {
        voters |= (code % 3 == 1 ? 1u : 0u) << i;
    }
    return voters;
}

static unsigned size_of(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

static bool is_majority(unsigned set, unsigned voters)
{
    return (set & ~voters) == 0 && size_of(set) >= raft_quorum_size(size_of(voters));
}

static bool do_quorums_meet(unsigned one, unsigned other)
{
    for (unsigned a = 0; a < 1u << MEMBERS; a++) {
        for (unsigned b = 0; is_majority(a, one) && b < 1u << MEMBERS; b++) {
            if (is_majority(b, other) && (a & b) == 0) {
                return false;
            }
        }
    }
    return true;
}

static unsigned differences(unsigned one, unsigned other)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MEMBERS; i++, one /= 3, other /= 3) {
        count += one % 3 != other % 3;
    }
    return count;
}

static void test_quorums_of_consecutive_configurations_intersect(void **state)
{
    static struct raft_configuration from, to;
    unsigned steps = 0;
    (void)state;
    for (unsigned one = 0; one < 243; one++) {
        configuration_of(one, &from);
        for (unsigned other = 0; voters_of(one) != 0 && other < 243; other++) {
            if (voters_of(other) == 0) {
                continue;
            }
            configuration_of(other, &to);
            bool is_step = raft_members_is_step(&from, &to);
            bool may_be =
                differences(one, other) <= 1 && do_quorums_meet(voters_of(one), voters_of(other));
            assert_true(is_step == may_be);
            steps += is_step;
        }
    }
    assert_true(steps > 1000);
}

/* --- the lease --- */

/* For every whole ttl: with any clock wrong by the bound either way, the last instant at which the
 * holder's tree runs (a freeze that takes three quarters of the margin) lies before the first one
 * at which the leader holds the lease to be over. In units of true time times 99 * 101. */
static void test_the_leader_outlasts_the_holder_for_every_ttl(void **state)
{
    (void)state;
    for (int64_t ttl_ms = LEASE_TTL_MIN_MS; ttl_ms <= LEASE_TTL_MAX_MS; ttl_ms++) {
        int64_t ttl_us = ttl_ms * BASE_US_PER_MS;
        struct base_mono sent = {ttl_ms};
        int64_t holder_us = base_mono_diff_us(lease_deadline(sent, ttl_us), sent);
        int64_t margin_us = lease_margin_us(ttl_us);
        int64_t wait_us = lease_wait_us(ttl_us);
        int64_t frozen = holder_us * 100 * 101 + margin_us * 3 / 4 * 99 * 101;
        int64_t over = wait_us * 100 * 99;
        assert_int_equal(holder_us + margin_us, ttl_us);
        assert_true(lease_freeze_limit_us(ttl_us) * 3 <= margin_us * 3 / 4);
        assert_true(frozen <= over);
    }
}

static int choose_canary(void **state)
{
    (void)state;
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_change_of_the_synchronous_set_is_safe_at_each_step),
        cmocka_unit_test(test_votes_needed_meet_every_set_of_holders_of_a_commit),
        cmocka_unit_test(test_quorums_of_consecutive_configurations_intersect),
        cmocka_unit_test(test_the_leader_outlasts_the_holder_for_every_ttl),
    };
    return cmocka_run_group_tests(tests, choose_canary, NULL);
}
