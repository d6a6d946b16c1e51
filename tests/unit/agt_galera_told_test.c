/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent of a Galera member tells of it, and what it keeps on disk. What it does:
 * agt_galera_test.c. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/unit/agt_galera_scene.h"

static void test_who_is_stalled_says_for_how_long(void **state)
{
    (void)state;
    struct msg_report r;
    begin_synced();
    pass(3 * SECOND); /* no look: what was seen may be over */
    agt_report_make(&w.a, w.now, &r);
    assert_int_equal(r.galera.state, MSG_GALERA_STALLED);
    assert_int_equal(r.galera.stalled_ms, 1); /* not known, and not nothing */
    w.a.view.galera.stuck_ms = 700;
    agt_report_make(&w.a, w.now, &r);
    assert_int_equal(r.galera.stalled_ms, 700);
}

static uint64_t generation_told(const uint8_t of[static 16])
{
    struct msg_report r;
    memcpy(w.view.galera.position.uuid, of, 16);
    look();
    agt_report_make(&w.a, w.now, &r);
    return r.galera.generation;
}

static void test_a_stamp_counts_for_its_own_data_alone(void **state)
{
    static const uint8_t other[16] = {1}, unknown[16];
    (void)state;
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    assert_int_equal(generation_told(uuid), 1);
    assert_int_equal(generation_told(unknown), 1); /* it may be there */
    assert_int_equal(generation_told(other), 0);
}

/* systemctl, an operator: an orderly leave that nobody asked us for counts as one. */
static void test_a_leave_by_hand_is_told(void **state)
{
    (void)state;
    struct msg_report report;
    begin_synced();
    root_ends();
    w.view.galera.saved.seqno = 130;
    memcpy(w.view.galera.saved.uuid, uuid, sizeof(uuid));
    look();
    agt_report_peek(&w.a, w.now, &report);
    assert_int_equal(report.galera.state, MSG_GALERA_DOWN);
    assert_true(report.galera.is_left);
    begin_synced();
    root_ends();
    w.view.galera.saved.seqno = -1; /* a crash */
    look();
    agt_report_peek(&w.a, w.now, &report);
    assert_false(report.galera.is_left);
}

/* Nothing was ever written: a proven position all the same. */
static void test_a_leave_before_the_first_transaction_is_told(void **state)
{
    (void)state;
    struct msg_report report;
    begin_synced();
    root_ends();
    w.view.galera.saved.seqno = 0;
    look();
    agt_report_peek(&w.a, w.now, &report);
    assert_true(report.galera.is_left);
}

/* Whoever waits for the writer's fence hears it of a server that is gone, too. */
static void test_what_is_down_is_fenced_unless_something_else_runs_there(void **state)
{
    (void)state;
    struct msg_report report;
    begin_down();
    agt_report_peek(&w.a, w.now, &report);
    assert_true(report.galera.is_fenced);
    w.view.is_process = true;
    look();
    agt_report_peek(&w.a, w.now, &report);
    assert_false(report.galera.is_fenced);
}

static void test_a_refusal_is_told_with_its_reason(void **state)
{
    (void)state;
    struct msg_report report;
    begin_synced();
    agt_report_peek(&w.a, w.now, &report);
    assert_non_null(strstr(report.note.text, agt_galera_state_text(AGT_GALERA_SYNCED)));
    w.order.goal = MSG_GOAL_REFUSED;
    w.order.reason = base_text_from(SLICE_LIT("another one reports as g1"));
    w.order.record.revision++;
    order_comes();
    agt_report_peek(&w.a, w.now, &report);
    assert_string_equal(report.note.text, "another one reports as g1");
}

static bool is_told_at_once(void)
{
    unsigned before = w.reports;
    pass(20 * MS); /* of a heartbeat of 500 */
    look();
    return w.reports > before;
}

static void test_what_changes_is_told_at_once(void **state)
{
    struct db_galera_view *g = &w.view.galera;
    (void)state;
    begin_synced();
    (void)is_told_at_once(); /* what it began with */
    assert_false(is_told_at_once());
    g->size = 2;
    assert_true(is_told_at_once());
    g->is_rejecting = true;
    assert_true(is_told_at_once());
    g->is_read_only = false;
    assert_true(is_told_at_once());
    assert_false(is_told_at_once());
}

/* Weights change without a new view. */
static void test_a_weight_that_changes_is_kept(void **state)
{
    (void)state;
    begin_synced();
    assert_int_equal(w.a.disk.galera.view.nodes[0].weight, 1);
    w.view.galera.view.nodes[0].weight = 2;
    look();
    assert_int_equal(w.a.disk.galera.view.nodes[0].weight, 2);
}

static void test_disk_keeps_it(void **state)
{
    (void)state;
    uint8_t bytes[AGT_DISK_BYTES_MAX];
    struct agt_disk disk = {.epoch_seen = 4};
    struct agt_disk back;
    disk.galera.generation = 3;
    disk.galera.inhibit = 4;
    disk.galera.grant_begun = 3;
    disk.galera.grant_status = BASE_E_STATE;
    memcpy(disk.galera.uuid, uuid, sizeof(uuid));
    disk.galera.view.conf_id = 12;
    disk.galera.view.count = MSG_GALERA_NODES_MAX;
    for (uint8_t i = 0; i < MSG_GALERA_NODES_MAX; i++) {
        memset(disk.galera.view.nodes[i].node.text, 'a' + i, BASE_NAME_MAX);
        disk.galera.view.nodes[i].weight = i;
    }
    disk.openings_count = AGT_OPENINGS_MAX;
    for (uint8_t i = 0; i < AGT_OPENINGS_MAX; i++) {
        disk.openings[i].epoch = i + 1u;
    }
    struct buf b = buf_over(bytes, sizeof(bytes));
    assert_int_equal(agt_disk_encode(&disk, &b), 0);
    assert_int_equal(agt_disk_decode(buf_slice(&b), &back), 0);
    assert_true(agt_disk_equal(&disk, &back));
    for (size_t cut = 1; cut < b.len; cut++) {
        assert_int_equal(agt_disk_decode(slice_from(bytes, b.len - cut), &back), BASE_E_CORRUPT);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_stalled_says_for_how_long),
        cmocka_unit_test(test_a_stamp_counts_for_its_own_data_alone),
        cmocka_unit_test(test_a_leave_by_hand_is_told),
        cmocka_unit_test(test_a_leave_before_the_first_transaction_is_told),
        cmocka_unit_test(test_what_is_down_is_fenced_unless_something_else_runs_there),
        cmocka_unit_test(test_a_refusal_is_told_with_its_reason),
        cmocka_unit_test(test_what_changes_is_told_at_once),
        cmocka_unit_test(test_a_weight_that_changes_is_kept),
        cmocka_unit_test(test_disk_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
