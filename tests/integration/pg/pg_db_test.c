/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL port on a real server, in one story: make, clone, put a sync set in force, take
 * the receivers away, lose the primary, promote on a reserved timeline, follow, rewind, switch
 * over, and what must be refused. The cases share three members and run in order; run by
 * tests/integration/pg/run.sh as an unprivileged user. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/conf.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/process.h"
#include "agents/shell/child.h"
#include "base/name.h"
#include "tests/integration/pg/steps.h"
#include "tests/support/cm.h"

static char base[] = "/tmp/quorate-pg-XXXXXX";
static struct member pg1, pg2, pg3, other;

/* --- the story --- */

static void test_init(void **state)
{
    (void)state;
    order_ok(&pg1, DB_ORDER_INIT, NULL);
    assert_true(members_run(is_stopped_seen, &pg1, 5 * BASE_US_PER_S));
    assert_true(pg1.view.is_shut_down_clean);
    assert_true(pg1.view.shutdown_lsn > 0 && pg1.view.lsn == pg1.view.shutdown_lsn);
    assert_int_equal(pg1.view.timeline, 1);
    assert_int_equal(member_order(&pg1, DB_ORDER_INIT, NULL).status, BASE_E_EXISTS);
    struct db_order none = order_sync(NULL, NULL, 0);
    order_ok(&pg1, DB_ORDER_PREPARE_PRIMARY, &none);
    start_primary(&pg1);
    assert_int_equal(pg1.view.timeline, 1);
    assert_string_equal(member_sql(&pg1, "SHOW synchronous_standby_names"), "");
    assert_string_equal(member_sql(&pg1, "SHOW restart_after_crash"), "off");
    assert_string_equal(member_sql(&pg1, "SHOW data_checksums"), "on");
    (void)member_sql(&pg1, "CREATE TABLE t (v int)");
}

static void test_clone(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg1);
    order.is_source_standby = true; /* as if pg1 were none, and somebody had opened it by hand */
    assert_int_equal(member_order(&pg2, DB_ORDER_CLONE, &order).status, BASE_E_DENIED);
    order.is_source_standby = false;
    order_ok(&pg2, DB_ORDER_CLONE, &order);
    order_ok(&pg3, DB_ORDER_CLONE, &order);
    assert_true(pg2.view.has_directory && !pg2.view.is_directory_bad);
    assert_true(pg2.view.system_id == pg1.view.system_id);
    start_standby(&pg2);
    start_standby(&pg3);
    wait_following(&pg2, "pg1");
    wait_following(&pg3, "pg1");
    assert_true(members_run(has_two_streaming, &pg1, 5 * BASE_US_PER_S));
    assert_string_equal(member_sql(&pg1, "SELECT count(*) FROM pg_replication_slots WHERE active"),
                        "2");
    assert_string_equal(member_sql(&pg2, "SHOW synchronous_standby_names"),
                        "ANY 1 (\"quorate_nobody\")");
}

static void test_set_sync(void **state)
{
    (void)state;
    struct db_order order = order_sync("pg2", "pg3", 1);
    assert_false(pg1.view.is_sync_known);
    order_ok(&pg1, DB_ORDER_SET_SYNC, &order);
    assert_true(pg1.view.is_sync_known);
    assert_int_equal(pg1.view.sync_count, 1);
    assert_int_equal(pg1.view.sync_names.count, 2);
    order_ok(&pg1, DB_ORDER_BARRIER, &order);
    (void)member_sql(&pg1, "SET synchronous_commit = on; INSERT INTO t VALUES (1)");
    order_ok(&pg1, DB_ORDER_CHECKPOINT, NULL);
}

static void test_reopen_and_cancel(void **state)
{
    (void)state;
    struct db_order order = order_sync("pg2", "nobody-there", 2);
    member_reopen(&pg1); /* as a restarted agent */
    assert_true(members_run(is_primary, &pg1, 5 * BASE_US_PER_S));
    member_send(&pg1, DB_ORDER_BARRIER, &order);
    uint64_t views = pg1.views;
    wait_views(&pg1, views + 3);
    assert_false(pg1.has_done);
    assert_false(pg1.view.is_sync_known);
    member_send(&pg1, DB_ORDER_CANCEL, NULL);
    assert_true(member_wait_done(&pg1, 5 * BASE_US_PER_S));
    assert_int_equal(pg1.done.status, BASE_E_CANCELED);
    order.timeout_us = 100 * BASE_US_PER_MS;
    assert_int_equal(member_order(&pg1, DB_ORDER_BARRIER, &order).status, BASE_E_TIMEOUT);
    order = order_sync("pg2", "pg3", 1);
    order_ok(&pg1, DB_ORDER_SET_SYNC, &order);
}

/* A standby that does not answer any more must not hold the change up for long. */
static void test_set_sync_with_a_stopped_receiver(void **state)
{
    (void)state;
    struct db_order order = order_sync("pg2", NULL, 1);
    int receiver = (int)strtol(
        member_sql(&pg3, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'"),
        NULL, 10);
    assert_true(receiver > 0);
    assert_int_equal(kill(receiver, SIGSTOP), 0);
    struct base_mono began = pg_now();
    order_ok(&pg1, DB_ORDER_SET_SYNC, &order);
    assert_true(base_mono_diff_us(pg_now(), began) < 3 * BASE_US_PER_S);
    assert_int_equal(kill(receiver, SIGCONT), 0);
    wait_following(&pg3, "pg1");
    order = order_sync("pg2", "pg3", 1);
    order_ok(&pg1, DB_ORDER_SET_SYNC, &order);
}

/* Whether commits wait is the checkpointer's word: until it has read the setting they do not. */
static void test_set_sync_waits_for_the_checkpointer(void **state)
{
    (void)state;
    struct db_order none = order_sync(NULL, NULL, 0);
    struct db_order order = order_sync("pg2", "pg3", 1);
    order_ok(&pg1, DB_ORDER_SET_SYNC, &none);
    int checkpointer = (int)strtol(
        member_sql(&pg1, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"),
        NULL, 10);
    assert_true(checkpointer > 0);
    assert_int_equal(kill(checkpointer, SIGSTOP), 0);
    member_send(&pg1, DB_ORDER_SET_SYNC, &order);
    wait_views(&pg1, pg1.views + 5);
    bool is_early = pg1.has_done;
    assert_int_equal(kill(checkpointer, SIGCONT), 0);
    assert_false(is_early);
    assert_true(member_wait_done(&pg1, 10 * BASE_US_PER_S));
    assert_int_equal(pg1.done.status, 0);
}

/* No receiver at this moment is no proof: a server that was not told starts the next one. */
static void test_detach_waits_until_the_server_knows(void **state)
{
    (void)state;
    struct db_order nowhere = order_upstream(&other); /* nobody listens there */
    struct db_order order = order_upstream(&pg1);
    order_ok(&pg2, DB_ORDER_FOLLOW, &nowhere);
    assert_true(members_run(has_lost_its_receiver, &pg2, 10 * BASE_US_PER_S));
    pg2.loses_signals = true;
    member_send(&pg2, DB_ORDER_DETACH, NULL);
    wait_views(&pg2, pg2.views + 5);
    bool is_early = pg2.has_done;
    pg2.loses_signals = false;
    assert_false(is_early);
    assert_true(member_wait_done(&pg2, 10 * BASE_US_PER_S));
    assert_int_equal(pg2.done.status, 0);
    order_ok(&pg2, DB_ORDER_FOLLOW, &order);
    wait_following(&pg2, "pg1");
}

static void test_detach(void **state)
{
    (void)state;
    order_ok(&pg2, DB_ORDER_DETACH, NULL);
    order_ok(&pg3, DB_ORDER_DETACH, NULL);
    assert_false(pg2.view.has_receiver || pg3.view.has_receiver);
    uint64_t lsn = pg3.view.lsn;
    (void)member_sql(&pg1, "INSERT INTO t VALUES (666)"); /* local: the divergence */
    /* A restart keeps the promise, and the end of WAL is known before and after. */
    member_stop(&pg3, SIGKILL);
    assert_true(members_run(is_stopped_seen, &pg3, 5 * BASE_US_PER_S));
    assert_true(pg3.view.lsn == lsn);
    assert_false(pg3.view.is_shut_down_clean);
    order_ok(&pg3, DB_ORDER_PREPARE_STANDBY, NULL);
    start_standby(&pg3);
    order_ok(&pg3, DB_ORDER_DETACH, NULL);
    assert_false(pg3.view.has_receiver);
    assert_true(pg3.view.lsn == lsn && pg3.view.replay_lsn == lsn);
}

static void test_promote_on_reserved_timeline(void **state)
{
    (void)state;
    struct db_order order = {.timeline = 5};
    member_stop(&pg1, SIGKILL);
    assert_true(members_run(is_stopped_seen, &pg1, 5 * BASE_US_PER_S));
    assert_false(pg1.view.is_shut_down_clean);
    uint64_t lsn = pg2.view.lsn;
    order_ok(&pg2, DB_ORDER_PROMOTE, &order);
    assert_true(is_primary(&pg2));
    assert_int_equal(pg2.view.timeline, 5);
    assert_int_equal(pg2.view.timeline_highest, 5);
    assert_true(pg2.view.fork_lsn > 0 && pg2.view.fork_lsn <= lsn);
    assert_true(pg1.view.lsn > pg2.view.fork_lsn); /* its divergence shows */
    assert_string_equal(member_sql(&pg2, "SHOW synchronous_standby_names"),
                        "ANY 1 (\"quorate_nobody\")");
    order_ok(&pg2, DB_ORDER_PROMOTE, &order); /* again: it is so already */
    order.timeline = 6;
    assert_int_equal(member_order(&pg2, DB_ORDER_PROMOTE, &order).status, BASE_E_CONFLICT);
}

static bool has_slot(struct member *m, const char *slot)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), 15 * BASE_US_PER_S);
    static const char text[] = "SELECT slot_name FROM pg_replication_slots WHERE active";
    while (strcmp(member_sql(m, text), slot) != 0) {
        if (base_mono_before(deadline, pg_now())) {
            return false;
        }
        wait_views(m, m->views + 1);
    }
    return true;
}

static void test_follow(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg2);
    order_ok(&pg3, DB_ORDER_FOLLOW, &order);
    wait_following(&pg3, "pg2");
    struct db_order sync = order_sync("pg3", NULL, 1);
    order_ok(&pg2, DB_ORDER_SET_SYNC, &sync);
    (void)member_sql(&pg2, "SET synchronous_commit = on; INSERT INTO t VALUES (2)");
    order_ok(&pg2, DB_ORDER_BARRIER, &sync);
    wait_views(&pg3, pg3.views + 2); /* the last one may be of before */
    wait_following(&pg3, "pg2");
    assert_int_equal(pg3.view.timeline, 5);
    assert_true(has_slot(&pg2, "quorate_pg3")); /* made when all was calm, and used */
    wait_following(&pg3, "pg2");
}

static bool has_done_or_bad(const struct member *m)
{
    return m->has_done || m->view.is_directory_bad;
}

static void test_rewind(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg2);
    member_send(&pg1, DB_ORDER_REWIND, &order);
    assert_false(members_run(has_done_or_bad, &pg1, 20 * BASE_US_PER_MS) &&
                 pg1.view.is_directory_bad);
    member_send(&pg1, DB_ORDER_CANCEL, NULL); /* in its recovery: nothing is spoilt by that */
    assert_true(member_wait_done(&pg1, 10 * BASE_US_PER_S));
    assert_int_equal(pg1.done.status, BASE_E_CANCELED);
    member_send(&pg1, DB_ORDER_REWIND, &order);
    assert_true(members_run(has_done_or_bad, &pg1, 60 * BASE_US_PER_S));
    assert_true(pg1.has_done && pg1.done.status == 0);
    assert_false(pg1.view.is_directory_bad);
    start_standby(&pg1);
    wait_following(&pg1, "pg2");
    struct db_order sync = order_sync("pg1", "pg3", 2);
    order_ok(&pg2, DB_ORDER_SET_SYNC, &sync);
    order_ok(&pg2, DB_ORDER_BARRIER, &sync);
    assert_string_equal(member_sql(&pg1, "SELECT string_agg(v::text, ',' ORDER BY v) FROM t"),
                        "1,2");
    assert_int_equal(pg1.view.timeline, 5);
}

static void test_switchover(void **state)
{
    (void)state;
    struct db_order promote = {.timeline = 6};
    order_ok(&pg2, DB_ORDER_CHECKPOINT, NULL);
    member_stop(&pg2, SIGINT);
    assert_true(members_run(is_stopped_seen, &pg2, 5 * BASE_US_PER_S));
    assert_true(pg2.view.is_shut_down_clean);
    assert_true(members_run(has_lost_its_receiver, &pg3, 5 * BASE_US_PER_S));
    assert_true(members_run(has_lost_its_receiver, &pg1, 5 * BASE_US_PER_S));
    assert_true(pg3.view.lsn == pg2.view.shutdown_lsn);
    assert_true(pg1.view.lsn == pg2.view.shutdown_lsn);
    order_ok(&pg3, DB_ORDER_PROMOTE, &promote);
    assert_int_equal(pg3.view.timeline, 6);
    assert_true(pg3.view.fork_lsn == pg2.view.shutdown_lsn);
    struct db_order order = order_upstream(&pg3);
    order_ok(&pg1, DB_ORDER_FOLLOW, &order);
    order_ok(&pg2, DB_ORDER_PREPARE_STANDBY, &order);
    start_standby(&pg2);
    wait_following(&pg1, "pg3");
    wait_following(&pg2, "pg3");
    assert_string_equal(member_sql(&pg2, "SELECT count(*) FROM pg_replication_slots"), "0");
}

/* Two promoted apart to the same number: pg_rewind would see nothing to do. */
static void test_same_timeline_needs_a_clone(void **state)
{
    (void)state;
    struct db_order promote = {.timeline = 7};
    order_ok(&pg1, DB_ORDER_DETACH, NULL);
    order_ok(&pg2, DB_ORDER_DETACH, NULL);
    order_ok(&pg1, DB_ORDER_PROMOTE, &promote);
    order_ok(&pg2, DB_ORDER_PROMOTE, &promote);
    (void)member_sql(&pg1, "INSERT INTO t VALUES (777)");
    member_stop(&pg1, SIGKILL);
    struct db_order order = order_upstream(&pg2);
    assert_int_equal(member_order(&pg1, DB_ORDER_REWIND, &order).status, BASE_E_UNSUPPORTED);
    assert_true(pg1.view.is_directory_bad);
    assert_int_equal(member_order(&pg1, DB_ORDER_PREPARE_STANDBY, &order).status, BASE_E_CORRUPT);
    order_ok(&pg1, DB_ORDER_CLONE, &order);
    assert_false(pg1.view.is_directory_bad);
    start_standby(&pg1);
    wait_following(&pg1, "pg2");
    assert_int_equal(pg1.view.timeline, 7);
    assert_string_equal(member_sql(&pg1, "SELECT count(*) FROM t WHERE v > 3"), "0");
}

static void test_crash_restart_gated(void **state)
{
    (void)state;
    struct db_order order = order_sync("pg1", NULL, 1);
    order.is_gated = true;
    (void)member_sql(&pg2, "CREATE ROLE app LOGIN");
    member_stop(&pg2, SIGKILL);
    order_ok(&pg2, DB_ORDER_PREPARE_PRIMARY, &order);
    start_primary(&pg2);
    struct pg_sql sql = {.cancel_fd = -1};
    struct base_text why = {{0}};
    struct base_mono deadline = base_mono_add_us(pg_now(), 5 * BASE_US_PER_S);
    assert_int_equal(pg_sql_open_local(&sql, &pg2.settings, "app", "test", deadline, &why),
                     BASE_E_DENIED);
    assert_non_null(strstr(why.text, "rejects"));
    wait_following(&pg1, "pg2");
    pg2.loses_signals = true;
    member_send(&pg2, DB_ORDER_BARRIER, &order);
    wait_views(&pg2, pg2.views + 3);
    bool is_early = pg2.has_done;
    pg2.loses_signals = false;
    assert_false(is_early); /* the server has not heard that it may open */
    assert_true(member_wait_done(&pg2, 10 * BASE_US_PER_S));
    assert_int_equal(pg2.done.status, 0);
    deadline = base_mono_add_us(pg_now(), 5 * BASE_US_PER_S);
    do { /* peer authentication refuses it still, but no rule does */
        assert_int_equal(pg_sql_open_local(&sql, &pg2.settings, "app", "test", deadline, &why),
                         BASE_E_DENIED);
    } while (strstr(why.text, "rejects") != NULL && base_mono_before(pg_now(), deadline));
    assert_null(strstr(why.text, "rejects"));
}

/* The look at a tree that was just ending must not pass for one at the stopped directory. */
static void test_view_of_before_is_dropped(void **state)
{
    (void)state;
    member_stop(&pg1, SIGINT);
    assert_true(members_run(is_stopped_seen, &pg1, 5 * BASE_US_PER_S));
    pg1.guard.tree = GUARD_TREE_ROOT_EXITED;
    pg_db_port(pg1.db).guard_changed(pg1.db, &pg1.guard);
    usleep(300000); /* a view of it is ready and not handed out yet */
    uint64_t views = pg1.views;
    pg1.guard.tree = GUARD_TREE_GONE;
    pg_db_port(pg1.db).guard_changed(pg1.db, &pg1.guard);
    pg_db_poll(pg1.db);
    assert_true(pg1.views == views || pg1.view.timeline != 0);
    assert_true(members_run(is_stopped_seen, &pg1, 5 * BASE_US_PER_S));
    struct db_order order = order_upstream(&pg2);
    order_ok(&pg1, DB_ORDER_PREPARE_STANDBY, &order);
    start_standby(&pg1);
    wait_following(&pg1, "pg2");
}

static void test_another_system(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg2);
    order_ok(&other, DB_ORDER_INIT, NULL);
    assert_true(other.view.system_id != pg2.view.system_id);
    struct db_done done = member_order(&other, DB_ORDER_CLONE, &order);
    assert_int_equal(done.status, BASE_E_DENIED);
    assert_non_null(strstr(done.text.text, "another database system"));
    assert_true(other.view.has_directory);
    done = member_order(&other, DB_ORDER_REWIND, &order);
    assert_int_equal(done.status, BASE_E_DENIED);
    assert_false(other.view.is_directory_bad);
}

static void test_port_in_use(void **state)
{
    (void)state;
    uint16_t port = other.settings.port;
    other.settings.port = pg2.settings.port;
    struct db_done done = member_order(&other, DB_ORDER_PREPARE_STANDBY, NULL);
    other.settings.port = port;
    assert_int_equal(done.status, BASE_E_STATE);
    assert_non_null(strstr(done.text.text, "is in use by another program"));
}

static bool is_foreign_seen(const struct member *m)
{
    return strstr(m->view.note.text, "was not started by quorate") != NULL;
}

static void test_started_by_hand(void **state)
{
    (void)state;
    struct guard_status gone = {.tree = GUARD_TREE_GONE};
    struct db_order none = order_sync(NULL, NULL, 0);
    order_ok(&other, DB_ORDER_PREPARE_PRIMARY, &none);
    start_primary(&other);
    struct guard_status running = other.guard;
    pg_db_port(other.db).guard_changed(other.db, &gone); /* as if our guard had none */
    assert_true(members_run(is_foreign_seen, &other, 5 * BASE_US_PER_S));
    assert_true(other.view.is_process);
    struct db_done done = member_order(&other, DB_ORDER_PREPARE_STANDBY, NULL);
    assert_int_equal(done.status, BASE_E_STATE);
    assert_non_null(strstr(done.text.text, "stop it first"));
    pg_db_port(other.db).guard_changed(other.db, &running);
}

static void test_no_upstream(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg2);
    order.upstream_port = 1;
    order_ok(&pg1, DB_ORDER_FOLLOW, &order); /* it goes on trying */
    member_stop(&pg1, SIGINT);
    assert_int_equal(member_order(&pg1, DB_ORDER_CLONE, &order).status, BASE_E_UNREACHABLE);
    assert_true(pg1.view.has_directory && !pg1.view.is_directory_bad);
}

static void test_frozen_server_is_not_asked(void **state)
{
    (void)state;
    struct guard_status frozen = pg2.guard;
    frozen.tree = GUARD_TREE_FROZEN;
    uint64_t views = pg2.views;
    pg_db_port(pg2.db).guard_changed(pg2.db, &frozen);
    wait_views(&pg2, views + 4);
    assert_true(pg2.view.is_process && !pg2.view.is_answering);
    pg_db_port(pg2.db).guard_changed(pg2.db, &pg2.guard);
    assert_true(members_run(is_primary, &pg2, 5 * BASE_US_PER_S));
}

/* --- frame --- */

static int open_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(base));
    member_open(&pg1, base, "pg1");
    member_open(&pg2, base, "pg2");
    member_open(&pg3, base, "pg3");
    member_open(&other, base, "other");
    return 0;
}

static void close_all(void)
{
    member_close(&pg1);
    member_close(&pg2);
    member_close(&pg3);
    member_close(&other);
}

static int close_group(void **state)
{
    (void)state;
    close_all();
    if (getenv("KEEP") == NULL) {
        (void)!pg_dir_remove(base, false);
    }
    return 0;
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_set_sync),
        cmocka_unit_test(test_reopen_and_cancel),
        cmocka_unit_test(test_set_sync_with_a_stopped_receiver),
        cmocka_unit_test(test_set_sync_waits_for_the_checkpointer),
        cmocka_unit_test(test_detach_waits_until_the_server_knows),
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_promote_on_reserved_timeline),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_switchover),
        cmocka_unit_test(test_same_timeline_needs_a_clone),
        cmocka_unit_test(test_crash_restart_gated),
        cmocka_unit_test(test_view_of_before_is_dropped),
        cmocka_unit_test(test_another_system),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_started_by_hand),
        cmocka_unit_test(test_no_upstream),
        cmocka_unit_test(test_frozen_server_is_not_asked),
    };
    return cmocka_run_group_tests_name("pg_db", tests, open_all, close_group);
}
