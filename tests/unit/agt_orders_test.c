/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of what the agent orders of its database and its guard: how long that may take, and
 * what the end of it counts for. Each ends with the world's own checks.
 */
#include "agents/core/internal.h"
#include "tests/unit/agt_scene.h"

static void test_how_long_an_order_may_take(void **state)
{
    (void)state;
    static const int64_t seconds[DB_ORDER_MONGODB_SHUTDOWN + 1] = {
        [DB_ORDER_CLONE] = 86400,     [DB_ORDER_REWIND] = 86400,  [DB_ORDER_GALERA_RECOVER] = 86400,
        [DB_ORDER_INIT] = 300,        [DB_ORDER_PROMOTE] = 60,    [DB_ORDER_CHECKPOINT] = 60,
        [DB_ORDER_MONGODB_WIPE] = 60, [DB_ORDER_CLIENTS_OUT] = 1, [DB_ORDER_GALERA_FENCE] = 1};
    fresh();
    world_agent_start(&w);
    for (int kind = 0; kind <= DB_ORDER_MONGODB_SHUTDOWN; kind++) {
        struct db_order order = agt_order_make(world_agent(&w), (enum db_order_kind)kind);
        int64_t expected = seconds[kind] == 0 ? 10 : seconds[kind];
        assert_int_equal(order.timeout_us, expected * BASE_US_PER_S);
    }
    good();
}

/* Its receiver was taken out, the server ended meanwhile, and the next one may receive. */
static void test_what_was_done_to_the_former_root_says_nothing_of_the_next(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 3};
    while (w.orders[DB_ORDER_DETACH] == 0) {
        world_hold_ms(&w, MSG_GOAL_VOTE, false, 1);
    }
    struct guard_status next = w.guard.status;
    next.starts++;
    agt_driver_guard_status(&w.driver, &next);
    world_run_ms(&w, 10);
    assert_int_equal(w.orders[DB_ORDER_DETACH], 2);
    assert_true(world_agent(&w)->is_detached);
    good();
}

/* What its holder refused before is not what it has now. */
static void test_standby_that_was_cloned_in_the_first_epoch_follows(void **state)
{
    (void)state;
    standby();
    w.db.is_receiving = false;
    w.follow_status = BASE_E_COMPACTED;
    while (w.orders[DB_ORDER_CLONE] == 0) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 100);
    }
    w.follow_status = 0;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    good();
}

/* It remembers nothing of what it asked the guard for; the guard does. */
static void test_a_restarted_agent_arms_no_epoch_that_was_handed_back(void **state)
{
    (void)state;
    primary();
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 100);
    assert_int_equal(w.report.epoch_handed_back, 2);
    world_agent_start(&w);
    uint32_t arms = w.arms;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.arms, arms);
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_long_an_order_may_take),
        cmocka_unit_test(test_what_was_done_to_the_former_root_says_nothing_of_the_next),
        cmocka_unit_test(test_standby_that_was_cloned_in_the_first_epoch_follows),
        cmocka_unit_test(test_a_restarted_agent_arms_no_epoch_that_was_handed_back),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
