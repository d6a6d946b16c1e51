/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's driver over the real Raft node, key-value service and a store in memory: one quorum
 * node, three members played by the test. Bootstrap, failover and switchover as they stand in the
 * log and in the keys that people read; restart from the store; frames that must be refused.
 */
#include "arbiter/json_put.h"
#include "tests/unit/arb_driver_rig.h"

static void test_bootstrap_reaches_the_keys_that_people_read(void **state)
{
    (void)state;
    build();
    const char *record = read_key("/quorate/v1/clusters/main/record");
    assert_non_null(strstr(record, "\"holder\":\"pg1\""));
    assert_non_null(strstr(record, "\"system_id\":\"7100000000000000001\""));
    assert_non_null(strstr(record, "\"voters\":[\"pg2\",\"pg3\"]"));
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/1"), "\"kind\":\"bootstrap\""));
    assert_non_null(strstr(read_key("/quorate/v1/clusters/main/members/pg1"),
                           "\"host\":\"127.0.0.\\\"1\\\"\""));
}

static void fail_over_to_pg3(void)
{
    struct msg_report back = report_of(1);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 1;
    back.is_tree_gone = true;
    send(back);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_VOTE);
    unsigned granted = w.granted[3];
    for (unsigned id = 2; id <= 3; id++) {
        struct msg_report vote = report_of(id);
        vote.promised = w.orders[id].attempt;
        vote.is_vote_valid = true;
        vote.position.lsn = 5000 + id;
        send(vote);
    }
    assert_int_equal(w.orders[3].goal, MSG_GOAL_HOLD);
    assert_int_equal(w.granted[3], granted + 1); /* with the commit, without another report */
    assert_int_equal(w.orders[2].goal, MSG_GOAL_FOLLOW);
}

static void test_failover_by_handback_and_votes(void **state)
{
    (void)state;
    build();
    fail_over_to_pg3();
    send(primary_of(3));
    assert_true(cluster()->record.is_opened);
    const char *history = read_key("/quorate/v1/clusters/main/history/2");
    assert_non_null(strstr(history, "\"kind\":\"failover\",\"from\":\"pg1\",\"to\":\"pg3\""));
    assert_non_null(strstr(history, "\"reason\":\"handed back\""));
    assert_non_null(strstr(history, "\"verdict\":\"fit\""));
    assert_null(strstr(history, "\"open\":-1"));
}

static void test_switchover_by_request(void **state)
{
    (void)state;
    struct arb_request ask = {.kind = ARB_REQUEST_SWITCHOVER};
    struct base_name name = name_of("main");
    struct base_text text;
    build();
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), 0);
    settle();
    assert_int_equal(w.orders[1].goal, MSG_GOAL_HAND_OVER);
    struct msg_report back = report_of(1);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 1;
    back.is_tree_gone = back.is_handback_clean = true;
    back.handback_lsn = back.position.lsn = 5100;
    send(back);
    struct msg_report t = report_of(2);
    t.position.lsn = 5100;
    send(t);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_HOLD);
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/2"), "\"kind\":\"switchover\""));
}

/* The record comes back from the store, and the new life waits for the lease that may be running.
 */
static void test_restart_follows_the_record_and_waits(void **state)
{
    (void)state;
    build();
    fail_over_to_pg3();
    uint64_t revision = cluster()->record.revision;
    node_down();
    node_up();
    assert_int_equal(cluster()->record.epoch, 2);
    assert_true(cluster()->record.revision == revision);
    wait_ms(300);
    struct msg_report r = primary_of(3);
    send(r);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_true(w.orders[3].is_granted);
    wait_ms(1900);
    assert_false(cluster()->is_attempt);
    wait_ms(300);
    assert_true(cluster()->is_attempt);
}

/* An image took the place of the store, and this node leads before it has read the records anew:
 * the one it remembers may have passed. */
static void test_records_that_may_be_old_grant_nothing(void **state)
{
    (void)state;
    build();
    unsigned granted = w.granted[1];
    arb_driver_records_stale(w.driver);
    assert_false(arb_driver_is_leader(w.driver));
    for (int i = 0; i < 5; i++) {
        send(primary_of(1));
        wait_ms(100);
    }
    assert_int_equal(w.granted[1], granted);
    assert_int_equal(kv_service_load_records(w.service, on_loaded), 0);
    settle();
    assert_true(arb_driver_is_leader(w.driver));
    send(primary_of(1));
    assert_true(w.granted[1] > granted);
}

static int write_restore_id(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    return kv_core_restore_id_set(txn, UINT64_C(0xabcdef));
}

static void written(struct store_job *job, int status)
{
    (void)job;
    assert_int_equal(status, 0);
}

/* What a restore tool leaves: the records of the image, and a restore id that they do not have. */
static void restore(void)
{
    static struct store_job job = {.run = write_restore_id, .done = written, .wants_durable = true};
    node_down();
    store_mem_port(w.store).submit(store_mem_port(w.store).ctx, &job);
    step_disks();
    node_up();
}

static void test_a_restored_record_waits_for_an_operator(void **state)
{
    struct arb_request ask = {.kind = ARB_REQUEST_CONFIRM};
    struct base_name name = name_of("main");
    struct base_text text;
    (void)state;
    build();
    fail_over_to_pg3();
    restore();
    unsigned granted = w.granted[3];
    for (int i = 0; i < 20; i++) {
        wait_ms(250);
        send(primary_of(3));
        send(report_of(2));
        send(report_of(1));
    }
    assert_true(arb_is_unconfirmed(cluster()));
    assert_int_equal(w.granted[3], granted);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_NONE);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), BASE_E_STATE);
    assert_non_null(strstr(text.text, "pg3 still has a database process"));
    struct msg_report back = report_of(3);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 2;
    back.is_tree_gone = true;
    back.position = (struct msg_position){2, 2, 6000};
    send(back);
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), 0);
    settle();
    assert_false(arb_is_unconfirmed(cluster()));
    assert_int_equal(cluster()->record.epoch, 1002); /* far above any that nobody told of */
    assert_int_equal(w.granted[3], granted + 1);
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/1002"), "\"kind\":\"confirmed\""));
    node_down();
    node_up();
    assert_false(arb_is_unconfirmed(cluster()));
}

static void test_frames_that_are_refused(void **state)
{
    (void)state;
    struct msg_report r = report_of(1);
    struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = r.cluster, .member = name_of("pg2")};
    assert_int_equal(send_as(&r, &from, 1), BASE_E_DENIED); /* speaks for somebody else */
    from.member = r.member;
    from.role = NET_ROLE_VIEWER;
    assert_int_equal(send_as(&r, &from, 1), BASE_E_DENIED);
    from.role = NET_ROLE_AGENT;
    assert_int_equal(arb_driver_receive(w.driver, 1, &from, SLICE_LIT("\x02\xff\xff\xff")),
                     BASE_E_PROTO);
    assert_int_equal(arb_driver_receive(w.driver, 1, &from, SLICE_EMPTY), BASE_E_PROTO);
    assert_int_equal(send_as(&r, &from, 1), 0);
    r.cluster = from.cluster = name_of("second");
    assert_int_equal(send_as(&r, &from, 1), 0);
    r.cluster = from.cluster = name_of("third");
    assert_int_equal(send_as(&r, &from, 1), BASE_E_TOOBIG);
    struct base_text text;
    struct arb_request ask = {.kind = ARB_REQUEST_SWITCHOVER};
    assert_int_equal(arb_driver_request(w.driver, &from.cluster, &ask, &text), BASE_E_NOTFOUND);
}

static void test_json_is_escaped(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct buf b = buf_over(memory, sizeof(memory));
    arb_json_text(&b, SLICE_LIT("a\"b\\c\n\xc3\x7f"));
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("\"a\\\"b\\\\c\\u000a\\u00c3\\u007f\"")));
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_bootstrap_reaches_the_keys_that_people_read),
        TEST(test_failover_by_handback_and_votes),
        TEST(test_switchover_by_request),
        TEST(test_restart_follows_the_record_and_waits),
        TEST(test_records_that_may_be_old_grant_nothing),
        TEST(test_a_restored_record_waits_for_an_operator),
        TEST(test_frames_that_are_refused),
        cmocka_unit_test(test_json_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
