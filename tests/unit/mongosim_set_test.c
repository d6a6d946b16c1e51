/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a MongoDB replica set: what it does, and each error code. */
#include "tests/unit/mongosim_rig.h"

/* --- formulas --- */

static void test_formulas(void **state)
{
    static const struct {
        unsigned data, arbiters;
        struct mset_majorities want;
    } rows[] = {
        {3, 0, {3, 3, 2, 2, MSET_W_MAJORITY}},
        {2, 1, {3, 2, 2, 2, 1}},
        {3, 1, {4, 3, 3, 3, 1}},
        {5, 0, {5, 5, 3, 3, MSET_W_MAJORITY}},
        {4, 1, {5, 4, 3, 3, MSET_W_MAJORITY}},
        {1, 0, {1, 1, 1, 1, MSET_W_MAJORITY}},
    };
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct mset_config c = config_of(rows[i].data, rows[i].arbiters);
        struct mset_majorities m;
        mset_majorities(&c, &m);
        assert_memory_equal(&m, &rows[i].want, sizeof(m));
    }
    struct mset_version a = {3, 9}, b = {4, 1}, forced = {0, 50000};
    assert_true(mset_version_order(&a, &b) < 0);
    assert_true(mset_version_order(&b, &forced) < 0);
    assert_true(mset_version_order(&forced, &a) > 0);
    assert_int_equal(mset_version_order(&a, &a), 0);
}

/* --- founding --- */

static void test_initiate(void **state)
{
    struct rig r;
    struct mset_status status;
    struct mset_hello hello;
    (void)state;
    rig_open(&r, 1, 70, 3, 0);
    struct mset_config c = config_of(3, 0), bad = c;
    mset_status(r.set, 0, &status);
    assert_int_equal(status.code, MSET_E_NOT_INITIALIZED);
    assert_int_equal(mset_config_get(r.set, 0, &bad, NULL), MSET_E_NOT_INITIALIZED);
    assert_int_equal(ask(&r, 0, (struct mset_command){.kind = MSET_FREEZE, .seconds = 5}, SECOND),
                     MSET_E_NOT_INITIALIZED);
    bad = c;
    bad.version.version = 2;
    assert_int_equal(initiate(&r, 0, &bad), MSET_E_INVALID_CONFIG);
    mset_crash(r.set, 2);
    assert_int_equal(initiate(&r, 0, &c), MSET_E_NODE_NOT_FOUND);
    mset_start(r.set, 2);
    assert_int_equal(initiate(&r, 0, &c), MSET_OK);
    assert_int_equal(initiate(&r, 0, &c), MSET_E_ALREADY_INITIALIZED);
    run(&r, 5 * SECOND);
    assert_int_equal(initiate(&r, 1, &c), MSET_E_ALREADY_INITIALIZED);
    unsigned p = primary_of(&r);
    run(&r, 10 * SECOND);
    mset_hello(r.set, p, &hello);
    assert_true(hello.is_writable && hello.election_term == mset_term_of(r.set, p));
    assert_int_equal(hello.config.count, 3);
    mset_status(r.set, p, &status);
    assert_int_equal(status.code, 0);
    assert_int_equal(status.majority, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(status.members[i].is_healthy);
        assert_int_equal(status.members[i].state, i == p ? MSET_PRIMARY : MSET_SECONDARY);
    }
    rig_close(&r);
}

static void test_writes(void **state)
{
    struct rig r;
    (void)state;
    found(&r, 2, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    assert_int_equal(write_w(&r, p, 1, 0), MSET_OK);
    assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 0), MSET_OK);
    assert_int_equal(write_w(&r, p, 0, 0), MSET_OK);
    assert_int_equal(write_w(&r, p, 3, 5000), MSET_OK);
    assert_int_equal(write_w(&r, p, 4, 0), MSET_E_UNSATISFIABLE_CONCERN);
    assert_int_equal(write_w(&r, s, 1, 0), MSET_E_NOT_PRIMARY);
    mset_disk_full(r.set, p, true);
    assert_int_equal(write_w(&r, p, 1, 0), MSET_E_OUT_OF_SPACE);
    mset_disk_full(r.set, p, false);
    run(&r, SECOND);
    assert_int_equal(mset_judge(r.set, s), 0);
    struct mset_oplog oplog;
    mset_oplog(r.set, s, &oplog);
    assert_true(oplog.count > 4 && mset_optime_order(&oplog.first, &oplog.last) < 0);
    rig_close(&r);
}

/* --- elections --- */

static void test_failover_and_rollback(void **state)
{
    struct rig r;
    struct mset_truth truth;
    struct mset_server_status status;
    (void)state;
    found(&r, 3, 60, 3, 0);
    unsigned p = primary_of(&r);
    for (unsigned i = 0; i < 3; i++) {
        if (i != p) {
            cut(&r, p, i, true);
        }
    }
    assert_int_equal(write_w(&r, p, 1, 0), MSET_OK); /* will be rolled back */
    assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 500), MSET_E_WRITE_CONCERN_FAILED);
    run(&r, 25 * SECOND);
    assert_false(mset_is_writable(r.set, p));
    unsigned next = primary_of(&r);
    assert_int_not_equal(next, p);
    assert_int_equal(write_w(&r, next, MSET_W_MAJORITY, 0), MSET_OK);
    mset_heal(r.set);
    run(&r, 20 * SECOND);
    mset_server_status(r.set, p, &status);
    assert_int_equal(status.rollbacks, 1);
    assert_true(status.rolled_back >= 2);
    mset_truth(r.set, &truth);
    assert_int_equal(truth.committed_rolled_back, 0);
    assert_int_equal(mset_judge(r.set, p), 0);
    rig_close(&r);
}

static void test_step_down(void **state)
{
    struct rig r;
    struct mset_truth before, after;
    struct mset_command c = {.kind = MSET_STEP_DOWN, .seconds = 60, .catch_up_seconds = 2};
    (void)state;
    found(&r, 4, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    assert_int_equal(ask(&r, s, c, SECOND), MSET_E_NOT_PRIMARY);
    struct mset_command bad = c;
    bad.catch_up_seconds = 61;
    assert_int_equal(ask(&r, p, bad, SECOND), MSET_E_BAD_VALUE);
    for (unsigned i = 0; i < 3; i++) {
        mset_applier_blocked(r.set, i, i != p);
    }
    assert_int_equal(write_w(&r, p, 1, 0), MSET_OK);
    assert_int_equal(ask(&r, p, c, 10 * SECOND), MSET_E_EXCEEDED_TIME);
    mset_heal(r.set);
    run(&r, 5 * SECOND);
    mset_truth(r.set, &before);
    assert_int_equal(ask(&r, p, c, 10 * SECOND), MSET_OK);
    run(&r, 3 * SECOND);
    unsigned next = primary_of(&r);
    assert_int_not_equal(next, p);
    mset_truth(r.set, &after);
    assert_int_equal(after.hand_offs, before.hand_offs + 1);
    assert_int_equal(
        ask(&r, next, (struct mset_command){.kind = MSET_FREEZE, .seconds = 9}, SECOND),
        MSET_E_NOT_SECONDARY);
    c.is_forced = true;
    c.catch_up_seconds = 0;
    mset_crash(r.set, p);
    mset_crash(r.set, 3 - p - next);
    assert_int_equal(ask(&r, next, c, 10 * SECOND), MSET_OK);
    assert_false(mset_is_writable(r.set, next));
    rig_close(&r);
}

static void test_step_up_and_freeze(void **state)
{
    struct rig r;
    (void)state;
    found(&r, 5, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    struct mset_command freeze = {.kind = MSET_FREEZE, .seconds = 30};
    struct mset_command up = {.kind = MSET_STEP_UP};
    assert_int_equal(ask(&r, s, freeze, SECOND), MSET_OK);
    assert_int_equal(ask(&r, s, up, 5 * SECOND), MSET_E_COMMAND_FAILED);
    freeze.seconds = 0;
    assert_int_equal(ask(&r, s, freeze, SECOND), MSET_OK);
    assert_int_equal(ask(&r, s, up, 5 * SECOND), MSET_OK);
    run(&r, SECOND);
    assert_int_equal(primary_of(&r), s);
    assert_int_equal(ask(&r, s, (struct mset_command){.kind = MSET_ABORT_CATCH_UP}, SECOND),
                     MSET_E_ILLEGAL_OPERATION);
    assert_int_equal(
        ask(&r, p, (struct mset_command){.kind = MSET_MAINTENANCE, .is_on = false}, SECOND),
        MSET_E_OPERATION_FAILED);
    assert_int_equal(
        ask(&r, p, (struct mset_command){.kind = MSET_MAINTENANCE, .is_on = true}, SECOND),
        MSET_OK);
    assert_int_equal(mset_state_of(r.set, p), MSET_RECOVERING);
    assert_int_equal(
        ask(&r, p, (struct mset_command){.kind = MSET_MAINTENANCE, .is_on = false}, SECOND),
        MSET_OK);
    assert_int_equal(
        ask(&r, s, (struct mset_command){.kind = MSET_MAINTENANCE, .is_on = true}, SECOND),
        MSET_E_NOT_SECONDARY);
    rig_close(&r);
}

static void test_priority_takes_over(void **state)
{
    struct rig r;
    (void)state;
    found(&r, 6, 60, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    struct mset_config c = read_config(&r, p);
    c.members[s].priority_x10 = 50;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_OK);
    run(&r, 30 * SECOND);
    assert_int_equal(primary_of(&r), s);
    struct mset_truth truth;
    mset_truth(r.set, &truth);
    assert_true(truth.takeovers >= 1);
    rig_close(&r);
}

static void test_arbiter_vetoes(void **state)
{
    struct rig r;
    (void)state;
    found(&r, 7, 50, 2, 1);
    unsigned p = primary_of(&r), s = other_data(p);
    cut(&r, p, s, true);
    assert_int_equal(ask(&r, s, (struct mset_command){.kind = MSET_STEP_UP}, 15 * SECOND),
                     MSET_E_COMMAND_FAILED);
    run(&r, 40 * SECOND);
    assert_int_equal(primary_of(&r), p); /* by the arbiter's vote */
    rig_close(&r);
}

static void test_stalls_and_relief(void **state)
{
    struct rig r;
    struct mset_server_status status;
    (void)state;
    found(&r, 8, 60, 2, 1);
    unsigned p = primary_of(&r), s = other_data(p);
    mset_server_status(r.set, p, &status);
    assert_int_equal(status.concern_in_force, 1);
    struct mset_command concern = {.kind = MSET_SET_CONCERN, .w = MSET_W_MAJORITY};
    assert_int_equal(ask(&r, p, concern, 5 * SECOND), MSET_OK);
    concern.w = 0;
    assert_int_equal(ask(&r, p, concern, 5 * SECOND), MSET_E_ILLEGAL_OPERATION);
    mset_crash(r.set, s);
    run(&r, 30 * SECOND);
    assert_true(mset_is_writable(r.set, p));
    assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 3000), MSET_E_WRITE_CONCERN_FAILED);
    struct mset_config c = read_config(&r, p);
    c.members[s].votes = 0;
    c.members[s].priority_x10 = 0;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_OK);
    assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 3000), MSET_OK);
    mset_start(r.set, s);
    run(&r, 10 * SECOND);
    c = read_config(&r, p);
    c.members[s].votes = 1;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_OK);
    assert_int_equal(mset_judge(r.set, s), 0);
    rig_close(&r);
}

/* --- configurations --- */

static void test_reconfig_codes(void **state)
{
    struct rig r;
    (void)state;
    found(&r, 9, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    struct mset_config good = read_config(&r, p), c = good;
    assert_int_equal(reconfig(&r, s, &c, false), MSET_E_NOT_PRIMARY);
    c.version.version -= 1;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_CONFIG_INCOMPATIBLE);
    c = good;
    c.members[p].priority_x10 = 0;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_NOT_ELECTABLE);
    c = good;
    c.members[s].is_arbiter = true;
    c.members[s].priority_x10 = 0;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_CONFIG_INCOMPATIBLE);
    c = good;
    for (unsigned i = 0; i < 3; i++) {
        c.members[i].votes = i == p;
        c.members[i].priority_x10 = i == p ? 10 : 0;
    }
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_CONFIG_INCOMPATIBLE); /* two voters */
    c = good;
    c.members[s].votes = 0;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_INVALID_CONFIG);
    struct mset_command first = {.kind = MSET_RECONFIG, .tag = 777, .config = good};
    assert_true(mset_command(r.set, p, &first));
    assert_int_equal(reconfig(&r, p, &good, false), MSET_E_CONFIG_IN_PROGRESS);
    run(&r, 5 * SECOND);
    good = read_config(&r, p);
    for (unsigned i = 0; i < 3; i++) {
        if (i != p) {
            mset_crash(r.set, i);
        }
    }
    assert_int_equal(reconfig(&r, p, &good, false), MSET_E_NODE_NOT_FOUND);
    rig_close(&r);
}

static void test_not_committed_yet(void **state)
{
    struct rig r;
    bool is_committed = true;
    (void)state;
    found(&r, 10, 70, 5, 0);
    unsigned p = primary_of(&r);
    struct mset_config c = read_config(&r, p), now;
    for (unsigned i = 0; i < 5; i++) { /* reached, but nothing comes back but votes of silence */
        if (i != p) {
            mset_disk_stuck(r.set, i, true);
        }
    }
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_MAX_TIME);
    assert_int_equal(mset_config_get(r.set, p, &now, &is_committed), MSET_OK);
    assert_false(is_committed);
    c = read_config(&r, p);
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_CONFIG_NOT_COMMITTED);
    rig_close(&r);
}

static void test_newly_added_and_gate(void **state)
{
    struct rig r;
    (void)state;
    struct mset_config c = config_of(2, 0);
    rig_open(&r, 11, 50, 4, 0);
    assert_int_equal(initiate(&r, 0, &c), MSET_OK);
    unsigned p = primary_of(&r);
    run(&r, 10 * SECOND);
    c = read_config(&r, p);
    struct mset_member *m = &c.members[c.count++];
    *m = (struct mset_member){.id = 7, .votes = 1, .is_arbiter = true};
    name_of(3, &m->host);
    assert_int_equal(reconfig(&r, p, &c, false), MSET_E_CONFIG_INCOMPATIBLE); /* the gate */
    assert_int_equal(reconfig(&r, p, &c, true), MSET_E_CONFIG_INCOMPATIBLE);
    *m = (struct mset_member){.id = 7, .votes = 1, .priority_x10 = 10};
    name_of(2, &m->host);
    assert_int_equal(reconfig(&r, p, &c, false), MSET_OK);
    c = read_config(&r, p);
    assert_true(c.members[2].is_newly_added);
    run(&r, 15 * SECOND);
    assert_int_equal(mset_state_of(r.set, 2), MSET_SECONDARY);
    c = read_config(&r, p);
    assert_false(c.members[2].is_newly_added);
    c.count--;
    assert_int_equal(reconfig(&r, p, &c, false), MSET_OK);
    run(&r, 10 * SECOND);
    assert_int_equal(mset_state_of(r.set, 2), MSET_REMOVED);
    struct mset_status status;
    mset_status(r.set, 2, &status);
    assert_int_equal(status.code, MSET_E_INVALID_CONFIG);
    rig_close(&r);
}

static void test_force(void **state)
{
    struct rig r;
    struct mset_truth truth;
    (void)state;
    found(&r, 12, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p), o = 3 - p - s;
    mset_crash(r.set, p);
    mset_crash(r.set, o);
    run(&r, 20 * SECOND);
    struct mset_config c = read_config(&r, s), before = c;
    struct mset_config left = c;
    left.count = 1;
    left.members[0] = c.members[s];
    assert_int_equal(reconfig(&r, s, &left, true), MSET_OK);
    c = read_config(&r, s);
    assert_true(c.version.version >= before.version.version + 10000);
    assert_int_equal(primary_of(&r), s);
    mset_truth(r.set, &truth);
    assert_int_equal(truth.forced, 1);
    assert_int_equal(write_w(&r, s, MSET_W_MAJORITY, 1000), MSET_OK);
    rig_close(&r);
}

/* --- faults --- */

static void test_stuck_disk(void **state)
{
    struct rig r;
    struct mset_command c = {
        .kind = MSET_STEP_DOWN, .seconds = 30, .catch_up_seconds = 0, .is_forced = true};
    (void)state;
    found(&r, 13, 70, 3, 0);
    unsigned p = primary_of(&r);
    mset_disk_stuck(r.set, p, true);
    assert_int_equal(ask(&r, p, c, 5 * SECOND), -99);
    assert_int_equal(write_w(&r, p, 1, 2000), MSET_E_MAX_TIME);
    run(&r, 60 * SECOND);
    assert_true(mset_is_writable(r.set, p)); /* it keeps its seat for ever */
    mset_disk_stuck(r.set, p, false);
    run(&r, SECOND);
    assert_false(mset_is_writable(r.set, p)); /* the order was still waiting */
    mset_hello_hung(r.set, p, true);
    assert_int_equal(mset_reach(r.set, p), MSET_HANGS);
    mset_pause(r.set, p, true);
    mset_crash(r.set, p);
    assert_int_equal(mset_reach(r.set, p), MSET_REFUSES);
    rig_close(&r);
}

static void test_stale_and_wiped(void **state)
{
    struct rig r;
    struct mset_config c = config_of(3, 0);
    (void)state;
    rig_open(&r, 14, 70, 3, 50);
    assert_int_equal(initiate(&r, 0, &c), MSET_OK);
    unsigned p = primary_of(&r), s = other_data(p);
    run(&r, 15 * SECOND);
    mset_crash(r.set, s);
    for (int i = 0; i < 80; i++) {
        assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 0), MSET_OK);
    }
    mset_start(r.set, s);
    run(&r, 20 * SECOND);
    assert_int_equal(mset_state_of(r.set, s), MSET_RECOVERING);
    mset_crash(r.set, s);
    mset_wipe(r.set, s);
    assert_false(mset_has_directory(r.set, s));
    mset_start(r.set, s);
    run(&r, 20 * SECOND);
    assert_int_equal(mset_state_of(r.set, s), MSET_SECONDARY);
    assert_int_equal(mset_judge(r.set, s), 0);
    rig_close(&r);
}

static void test_shutdown(void **state)
{
    struct rig r;
    int status = -1;
    (void)state;
    found(&r, 15, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p), o = 3 - p - s;
    mset_crash(r.set, o);
    mset_applier_blocked(r.set, s, true);
    assert_int_equal(write_w(&r, p, 1, 0), MSET_OK);
    struct mset_command c = {.kind = MSET_SHUTDOWN, .catch_up_seconds = 2};
    assert_int_equal(ask(&r, p, c, 10 * SECOND), MSET_E_EXCEEDED_TIME);
    mset_applier_blocked(r.set, s, false);
    run(&r, 5 * SECOND);
    assert_int_equal(ask(&r, p, c, 10 * SECOND), MSET_E_CONNECTION);
    assert_true(mset_take_exit(r.set, p, &status));
    assert_int_equal(status, 0);
    assert_false(mset_is_up(r.set, p));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_initiate),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_failover_and_rollback),
        cmocka_unit_test(test_step_down),
        cmocka_unit_test(test_step_up_and_freeze),
        cmocka_unit_test(test_priority_takes_over),
        cmocka_unit_test(test_arbiter_vetoes),
        cmocka_unit_test(test_stalls_and_relief),
        cmocka_unit_test(test_reconfig_codes),
        cmocka_unit_test(test_not_committed_yet),
        cmocka_unit_test(test_newly_added_and_gate),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_stuck_disk),
        cmocka_unit_test(test_stale_and_wiped),
        cmocka_unit_test(test_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
