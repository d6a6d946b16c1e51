/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera node that ran before its agent came (cluster.adopt: running): left as it is until the
 * first record, then the writer or read-only. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/unit/agt_galera_scene.h"

/* A node that ran before we came: guard and agent stand beside it, nobody has led it. */
static void begin_taken_over(void)
{
    begin_down();
    w.guard.is_adopted = true;
    w.order.galera_goal = MSG_GALERA_GOAL_KEEP;
    memset(&w.order.record.galera, 0, sizeof(w.order.record.galera));
    root_runs();
    be_synced();
    w.view.galera.is_read_only = false;
}

static void test_taken_over_it_is_left_as_it_is(void **state)
{
    (void)state;
    begin_taken_over();
    for (int i = 0; i < 5; i++) {
        pass(500 * MS);
        causal_look();
        order_comes();
        assert_int_equal(w.asked, DB_ORDER_NONE);
    }
    w.view.galera.is_primary = false; /* nor where it is in trouble */
    for (int i = 0; i < 50; i++) {
        pass(500 * MS);
        look();
    }
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.terms + w.kills, 0);
    feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_int_equal(w.terms, 0);
    assert_true(agt_is_finished(&w.a, w.now));
}

static void first_record(const char *holder)
{
    w.order.record.epoch = 1;
    w.order.record.revision = 1;
    w.order.record.holder = name_of(holder);
    w.order.record.holder_instance = 77;
    w.order.record.galera.generation = 1;
    memcpy(w.order.record.galera.uuid, uuid, sizeof(uuid));
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    for (int i = 0; i < 5 && w.asked == DB_ORDER_NONE; i++) {
        pass(500 * MS);
        causal_look();
    }
}

static void test_taken_over_the_others_become_read_only(void **state)
{
    (void)state;
    begin_taken_over();
    causal_look();
    first_record("g2");
    assert_int_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
    assert_int_equal(w.a.disk.galera.generation, 1);
}

static void test_taken_over_the_writer_writes_on(void **state)
{
    (void)state;
    begin_taken_over();
    causal_look();
    first_record("g1");
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_false(agt_galera_is_writer(&w.a, w.now)); /* no lease yet */
    grant(1);
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
}

/* Its name is known from the order, and counts from when it is on disk. */
static void test_taken_over_the_writer_writes_on_while_its_name_is_saved(void **state)
{
    (void)state;
    begin_taken_over();
    for (int i = 0; i < 3; i++) {
        pass(500 * MS);
        causal_look();
    }
    w.is_disk_slow = true;
    first_record("g1");
    assert_int_equal(w.asked, DB_ORDER_NONE);
    w.is_disk_slow = false;
    feed((struct agt_event){.kind = AGT_EVENT_SAVED});
    assert_int_equal(w.asked, DB_ORDER_NONE);
    grant(1);
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
}

/* The guard has its epoch; what was seen of the server is older than a pause of the host. */
static void test_taken_over_the_writer_with_a_right_is_not_made_read_only(void **state)
{
    (void)state;
    begin_taken_over();
    causal_look();
    first_record("g1");
    grant(1);
    w.a.galera.writable_views = 5; /* counted before */
    w.a.view.galera.causal_at = base_mono_add_us(w.a.galera.paused_at, -1);
    guard_says();
    assert_int_not_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
}

static void test_taken_over_a_node_of_another_cluster_is_left(void **state)
{
    (void)state;
    begin_taken_over();
    w.view.galera.uuid[0] ^= 1;
    causal_look();
    first_record("g2");
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.terms + w.kills, 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_over_it_is_left_as_it_is),
        cmocka_unit_test(test_taken_over_the_others_become_read_only),
        cmocka_unit_test(test_taken_over_the_writer_writes_on),
        cmocka_unit_test(test_taken_over_the_writer_writes_on_while_its_name_is_saved),
        cmocka_unit_test(test_taken_over_the_writer_with_a_right_is_not_made_read_only),
        cmocka_unit_test(test_taken_over_a_node_of_another_cluster_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
