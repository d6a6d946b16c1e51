/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's document on real servers, and what is watched beside orders: parameters come into
 * force or wait for a restart, the ordered ones are raised and lowered on three members in every
 * order without a standby that stops, bad documents leave the old one in force, pg_hba.conf of the
 * document, connections and writes that do not come through, foreign WAL senders, slots for a
 * takeover. The cases share three members and run in order; run by tests/integration/pg/run.sh. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/postgresql/conf.h"
#include "agents/shell/child.h"
#include "base/name.h"
#include "tests/integration/pg/steps.h"
#include "tests/support/cm.h"

static char base[] = "/tmp/quorate-pg-watch-XXXXXX";
static struct member pg1, pg2, pg3;
static struct member *const all[] = {&pg1, &pg2, &pg3};

/* --- steps --- */

static void offer(struct member *m, uint64_t revision, const char *document)
{
    struct db_port port = pg_db_port(m->db);
    port.configure(port.ctx, revision, slice_from_text(document));
}

static struct db_done configure(struct member *m, uint64_t revision, const char *document)
{
    struct db_order order = {.config_revision = revision};
    offer(m, revision, document);
    return member_order(m, DB_ORDER_CONFIGURE, &order);
}

static void configure_all(uint64_t revision, const char *document)
{
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
        struct db_done done = configure(all[i], revision, document);
        if (done.status != 0) {
            fail_msg("%s: %s", all[i]->settings.member.text, done.text.text);
        }
        assert_true(all[i]->view.config_revision == revision);
    }
}

static void restart_standby(struct member *m, struct member *upstream)
{
    struct db_order order = order_upstream(upstream);
    member_stop(m, SIGINT);
    order_ok(m, DB_ORDER_PREPARE_STANDBY, &order);
    start_standby(m);
    wait_following(m, upstream->settings.member.text);
}

static void restart_primary(struct member *m, bool is_raise_held)
{
    struct db_order order = order_sync(NULL, NULL, 0);
    order.is_raise_held = is_raise_held;
    member_stop(m, SIGINT);
    order_ok(m, DB_ORDER_PREPARE_PRIMARY, &order);
    start_primary(m);
}

static void shows(struct member *m, const char *name, const char *value)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "SHOW %s", name);
    const char *shown = member_sql(m, text);
    if (strcmp(shown, value) != 0) {
        fail_msg("%s: %s is %s, not %s", m->settings.member.text, name, shown, value);
    }
}

static const char *wanted_pending;

static bool has_pending(const struct member *m)
{
    return strcmp(m->view.pending_restart.text, wanted_pending) == 0;
}

static void wait_pending(struct member *m, const char *text, bool is_pending)
{
    wanted_pending = text;
    if (!members_run(has_pending, m, 30 * BASE_US_PER_S)) {
        fail_msg("%s: pending is '%s', not '%s'", m->settings.member.text,
                 m->view.pending_restart.text, text);
    }
    assert_int_equal(m->view.is_restart_pending, is_pending);
}

/* --- the story --- */

static void test_make(void **state)
{
    (void)state;
    struct db_order none = order_sync(NULL, NULL, 0);
    struct db_order order = order_upstream(&pg1);
    order_ok(&pg1, DB_ORDER_INIT, NULL);
    order_ok(&pg1, DB_ORDER_PREPARE_PRIMARY, &none);
    start_primary(&pg1);
    for (size_t i = 1; i < BASE_COUNT_OF(all); i++) {
        order_ok(all[i], DB_ORDER_CLONE, &order);
        start_standby(all[i]);
        wait_following(all[i], "pg1");
    }
    assert_int_equal(pg1.view.version / 10000, 15);
    assert_int_equal(pg1.view.connections_max, 40);
    assert_true(pg1.view.connections > 0 && pg1.view.disk_free_bytes > 0);
    assert_true(pg1.view.config_revision == 0);
}

static void test_some_at_once_some_after_a_restart(void **state)
{
    (void)state;
    configure_all(1, "{\"postgresql\": {\"parameters\": {\"work_mem\": \"7MB\", "
                     "\"max_connections\": 60, \"shared_buffers\": \"20MB\"}}}");
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
        shows(all[i], "work_mem", "7MB");
        shows(all[i], "max_connections", "40");
        /* shared_buffers stands in the member's own file: that one counts */
        wait_pending(all[i], "max_connections 40 -> 60", true);
    }
}

static void test_raised_on_standbys_first(void **state)
{
    (void)state;
    restart_standby(&pg2, &pg1);
    shows(&pg2, "max_connections", "60");
    restart_primary(&pg1, true); /* the other one does not have it yet */
    shows(&pg1, "max_connections", "40");
    wait_pending(&pg1, "max_connections 40 -> 60", true);
    restart_standby(&pg3, &pg1);
    restart_primary(&pg1, false);
    shows(&pg1, "max_connections", "60");
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
        wait_pending(all[i], "", false);
    }
    wait_following(&pg2, "pg1");
    wait_following(&pg3, "pg1");
}

static void test_lowered_on_the_primary_first(void **state)
{
    (void)state;
    configure_all(2, "{\"postgresql\": {\"parameters\": {\"max_connections\": 30}}}");
    restart_standby(&pg2, &pg1); /* too early: it starts with what it must have */
    shows(&pg2, "max_connections", "60");
    wait_pending(&pg2, "max_connections 60 -> 30 (after the primary)", false);
    restart_primary(&pg1, true);
    shows(&pg1, "max_connections", "30");
    wait_following(&pg2, "pg1");
    wait_following(&pg3, "pg1");
    wait_pending(&pg2, "max_connections 60 -> 30", true);
    restart_standby(&pg2, &pg1);
    restart_standby(&pg3, &pg1);
    shows(&pg2, "max_connections", "30");
    shows(&pg3, "max_connections", "30");
}

static bool is_gone(const struct member *m)
{
    return m->pid == 0;
}

/* The order that must not be: the standbys cannot go on, are stopped, and come back with enough. */
static void test_raised_on_the_primary_first_heals(void **state)
{
    (void)state;
    configure_all(3, "{\"postgresql\": {\"parameters\": {\"max_connections\": 80}}}");
    restart_primary(&pg1, false);
    shows(&pg1, "max_connections", "80");
    (void)member_sql(&pg1, "CREATE TABLE t AS SELECT 1 AS v");
    member_reopen(&pg2); /* a new agent looks soon */
    member_reopen(&pg3);
    for (size_t i = 1; i < BASE_COUNT_OF(all); i++) {
        struct db_order order = order_upstream(&pg1);
        assert_true(members_run(is_gone, all[i], 40 * BASE_US_PER_S));
        order_ok(all[i], DB_ORDER_PREPARE_STANDBY, &order);
        start_standby(all[i]);
        wait_following(all[i], "pg1");
        shows(all[i], "max_connections", "80");
        assert_string_equal(member_sql(all[i], "SELECT pg_get_wal_replay_pause_state()"),
                            "not paused");
    }
}

static void refused(uint64_t revision, const char *document, const char *words)
{
    struct db_done done = configure(&pg1, revision, document);
    assert_int_equal(done.status, BASE_E_INVALID);
    if (strstr(done.text.text, words) == NULL) {
        fail_msg("wanted '%s' in: %s", words, done.text.text);
    }
    assert_true(pg1.view.config_revision == 3);
    assert_non_null(strstr(pg1.view.warning.text, words));
    shows(&pg1, "max_connections", "80");
}

static void test_bad_documents_leave_the_old_one(void **state)
{
    struct db_order unknown = {.config_revision = 99};
    (void)state;
    refused(4, "{\"postgresql\": {\"parameters\": {\"work_mem\": \"abc\"}}}",
            "invalid value for parameter \"work_mem\": \"abc\"");
    refused(5, "{\"postgresql\": {\"parameters\": {\"max_connectoins\": 5}}}",
            "unrecognized configuration parameter \"max_connectoins\"");
    refused(6, "{\"postgresql\": {\"pg_hba\": [\"host all all all ldap\"]}}", "ldap");
    refused(7, "{\"postgresql\": {\"parameters\": {\"port\": 1}}}", "belongs to the member");
    assert_string_equal(
        member_sql(&pg1, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'ldap'"), "0");
    assert_int_equal(member_order(&pg1, DB_ORDER_CONFIGURE, &unknown).status, BASE_E_NOTFOUND);
}

static void test_hba_and_reload(void **state)
{
    struct db_order reload = {.config_revision = 0};
    (void)state;
    configure_all(8, "{\"postgresql\": {\"parameters\": {\"max_connections\": 80},"
                     "\"slots\": {\"keeper\": {\"type\": \"physical\"}},"
                     "\"pg_hba\": [\"host app all 10.0.0.0/8 scram-sha-256\"]}}");
    assert_string_equal(pg1.view.warning.text, "");
    assert_string_equal(
        member_sql(&pg2, "SELECT count(*) FROM pg_hba_file_rules WHERE database = '{app}'"), "1");
    (void)member_sql(&pg1, "ALTER SYSTEM SET max_connections = 25");
    (void)member_sql(&pg1, "ALTER SYSTEM SET work_mem = '9MB'");
    order_ok(&pg1, DB_ORDER_CONFIGURE, &reload);
    shows(&pg1, "work_mem", "9MB"); /* its own affair */
    assert_string_equal(member_sql(&pg1, "SELECT string_agg(name, ',') FROM pg_file_settings WHERE "
                                         "sourcefile LIKE '%auto.conf'"),
                        "work_mem");
    member_reopen(&pg1); /* as a restarted agent */
    assert_true(members_run(is_primary, &pg1, 10 * BASE_US_PER_S));
    assert_true(pg1.view.config_revision == 8);
}

/* Handed over while the server was down. */
static void test_a_start_takes_the_newest(void **state)
{
    struct db_order order = order_upstream(&pg1);
    (void)state;
    member_stop(&pg3, SIGINT);
    offer(&pg3, 9,
          "{\"postgresql\": {\"parameters\": {\"temp_buffers\": \"3MB\","
          "\"max_connections\": 80}}}");
    order_ok(&pg3, DB_ORDER_PREPARE_STANDBY, &order);
    start_standby(&pg3);
    shows(&pg3, "temp_buffers", "3MB");
    assert_true(pg3.view.config_revision == 9);
    wait_following(&pg3, "pg1");
}

static const char *wanted_slots;

static bool has_slots(const struct member *m)
{
    static const char text[] = "SELECT string_agg(slot_name, ',' ORDER BY slot_name) FROM "
                               "pg_replication_slots WHERE restart_lsn IS NOT NULL";
    return strcmp(member_sql((struct member *)(uintptr_t)m, text), wanted_slots) == 0;
}

static void test_slots_for_a_takeover(void **state)
{
    (void)state;
    member_reopen(&pg1);
    member_reopen(&pg2);
    wanted_slots = "keeper,quorate_pg2,quorate_pg3";
    assert_true(members_run(has_slots, &pg1, 40 * BASE_US_PER_S));
    wanted_slots = "keeper,quorate_pg1,quorate_pg3";
    assert_true(members_run(has_slots, &pg2, 40 * BASE_US_PER_S));
}

static bool is_warned(const struct member *m)
{
    return strstr(m->view.warning.text, "synchronous_commit is below on for role careless") != NULL;
}

static void test_careless_roles_are_told(void **state)
{
    (void)state;
    (void)member_sql(&pg1, "CREATE ROLE careless");
    (void)member_sql(&pg1, "ALTER ROLE careless SET synchronous_commit = off");
    member_reopen(&pg1); /* a new agent looks soon */
    assert_true(members_run(is_warned, &pg1, 30 * BASE_US_PER_S));
    (void)member_sql(&pg1, "DROP ROLE careless");
}

/* Whoever calls itself as a member would be counted by the server. */
static void test_a_foreign_sender_is_refused(void **state)
{
    char conninfo[PG_PATH_MAX + 160];
    struct db_order order = order_sync("pg2", NULL, 1);
    struct db_order none = order_sync(NULL, NULL, 0);
    (void)state;
    (void)snprintf(conninfo, sizeof(conninfo),
                   "host='%s' port=%u user=postgres dbname=postgres replication=database "
                   "application_name=Pg2",
                   pg1.settings.socket_dir.text, pg1.settings.port);
    PGconn *spy = PQconnectdb(conninfo);
    if (PQstatus(spy) != CONNECTION_OK) {
        fail_msg("%s", PQerrorMessage(spy));
    }
    struct db_done done = member_order(&pg1, DB_ORDER_SET_SYNC, &order);
    PQfinish(spy);
    assert_int_equal(done.status, BASE_E_STATE);
    assert_non_null(strstr(done.text.text, "calls itself Pg2"));
    struct base_mono deadline = base_mono_add_us(pg_now(), 10 * BASE_US_PER_S);
    do { /* its process takes its time to go */
        done = member_order(&pg1, DB_ORDER_SET_SYNC, &order);
    } while (done.status == BASE_E_STATE && base_mono_before(pg_now(), deadline));
    assert_int_equal(done.status, 0);
    order_ok(&pg1, DB_ORDER_SET_SYNC, &none);
}

static const char next_transaction[] = "SELECT pg_snapshot_xmax(pg_current_snapshot())";

/* A try that needs no write does not make one. */
static void test_an_idle_database_is_not_written_to(void **state)
{
    char before[64];
    (void)state;
    wait_views(&pg1, pg1.views + 2);
    (void)snprintf(before, sizeof(before), "%s", member_sql(&pg1, next_transaction));
    wait_views(&pg1, pg1.views + 50); /* some tries long */
    assert_string_equal(member_sql(&pg1, next_transaction), before);
    assert_true(pg1.view.write_stuck_ms == 0 && !pg1.view.is_write_failing);
}

static bool is_failing(const struct member *m)
{
    return m->view.is_write_failing && m->view.write_stuck_ms > 0;
}

static bool is_well(const struct member *m)
{
    return m->view.is_answering && !m->view.is_write_failing && m->view.write_stuck_ms == 0;
}

/* The session of the heartbeat goes on, new clients do not get in. */
static void test_a_stopped_postmaster_is_seen(void **state)
{
    (void)state;
    assert_true(pg1.pid > 0);
    assert_int_equal(kill(pg1.pid, SIGSTOP), 0);
    bool is_seen = members_run(is_failing, &pg1, 30 * BASE_US_PER_S);
    bool is_answering = pg1.view.is_answering;
    assert_int_equal(kill(pg1.pid, SIGCONT), 0);
    assert_true(is_seen && is_answering);
    assert_true(members_run(is_well, &pg1, 30 * BASE_US_PER_S));
}

/* A server that refuses for want of room answers. */
static void test_used_up_connections_are_no_trouble(void **state)
{
    PGconn *taken[100] = {NULL};
    char conninfo[PG_PATH_MAX + 96];
    (void)state;
    (void)member_sql(&pg1, "ALTER ROLE quorate_monitor CONNECTION LIMIT 2");
    (void)snprintf(conninfo, sizeof(conninfo), "host='%s' port=%u user=postgres dbname=postgres",
                   pg1.settings.socket_dir.text, pg1.settings.port);
    for (size_t i = 0; i < BASE_COUNT_OF(taken); i++) {
        taken[i] = PQconnectdb(conninfo);
    }
    wait_views(&pg1, pg1.views + 60);
    bool is_fine = !pg1.view.is_write_failing && pg1.view.write_stuck_ms == 0;
    uint32_t used = pg1.view.connections;
    for (size_t i = 0; i < BASE_COUNT_OF(taken); i++) {
        PQfinish(taken[i]);
    }
    assert_true(is_fine);
    assert_true(used >= pg1.view.connections_max - 5);
    (void)member_sql(&pg1, "ALTER ROLE quorate_monitor CONNECTION LIMIT 8");
}

static bool has_pg2_streaming(const struct member *m)
{
    for (uint8_t i = 0; i < m->view.standbys_count; i++) {
        if (strcmp(m->view.standbys[i].member.text, "pg2") == 0) {
            return m->view.standbys[i].is_streaming;
        }
    }
    return false;
}

static bool has_pg2_silent(const struct member *m)
{
    return m->view.is_answering && !has_pg2_streaming(m);
}

/* The server believes in it for much longer. */
static void test_a_silent_standby_does_not_stream(void **state)
{
    (void)state;
    (void)member_sql(&pg1, "ALTER SYSTEM SET wal_sender_timeout = '90s'");
    (void)member_sql(&pg1, "SELECT pg_reload_conf()");
    assert_true(members_run(has_pg2_streaming, &pg1, 20 * BASE_US_PER_S));
    int receiver = (int)strtol(
        member_sql(&pg2, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'"),
        NULL, 10);
    assert_true(receiver > 0);
    assert_int_equal(kill(receiver, SIGSTOP), 0);
    bool is_seen = members_run(has_pg2_silent, &pg1, 30 * BASE_US_PER_S);
    const char *state_of =
        member_sql(&pg1, "SELECT state FROM pg_stat_replication WHERE application_name = 'pg2'");
    bool is_believed = strcmp(state_of, "streaming") == 0;
    assert_int_equal(kill(receiver, SIGCONT), 0);
    assert_true(is_seen && is_believed);
    assert_true(members_run(has_pg2_streaming, &pg1, 30 * BASE_US_PER_S));
}

/* --- a logical consumer goes on after a takeover --- */

static bool has_no_slot_yet(const struct member *m)
{
    return strstr(m->view.warning.text, "logical slot cdc is not on this standby yet") != NULL;
}

static char confirmed[64];

static bool is_moved_along(const struct member *m)
{
    static const char text[] =
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'cdc'";
    return strcmp(member_sql((struct member *)(uintptr_t)m, text), confirmed) == 0;
}

static void test_a_logical_consumer_misses_nothing(void **state)
{
    static const char take[] =
        "SELECT string_agg(data, ' ') FROM pg_logical_slot_get_changes('cdc', NULL, NULL)";
    struct db_order promote = {.timeline = 4};
    (void)state;
    configure_all(10, "{\"postgresql\": {\"parameters\": {\"max_connections\": 80, "
                      "\"wal_level\": \"logical\"}, \"slots\": {\"cdc\": {\"type\":"
                      "\"logical\", \"database\": \"postgres\", \"plugin\":"
                      "\"test_decoding\"}}}}");
    restart_primary(&pg1, false);
    restart_standby(&pg2, &pg1);
    wanted_slots = "cdc,keeper,quorate_pg2,quorate_pg3"; /* keeper left the document: kept */
    assert_true(members_run(has_slots, &pg1, 40 * BASE_US_PER_S));
    assert_true(members_run(has_no_slot_yet, &pg2, 40 * BASE_US_PER_S));
    restart_standby(&pg2, &pg1);
    (void)member_sql(&pg1, "CREATE TABLE heard (v int)");
    (void)member_sql(&pg1, "INSERT INTO heard VALUES (1)");
    assert_non_null(strstr(member_sql(&pg1, take), "INSERT: v[integer]:1"));
    (void)snprintf(confirmed, sizeof(confirmed), "%s",
                   member_sql(&pg1, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE "
                                    "slot_name = 'cdc'"));
    (void)member_sql(&pg1, "INSERT INTO heard VALUES (2)");
    assert_true(members_run(is_moved_along, &pg2, 40 * BASE_US_PER_S));
    wait_following(&pg2, "pg1");
    order_ok(&pg2, DB_ORDER_DETACH, NULL);
    member_stop(&pg1, SIGKILL);
    order_ok(&pg2, DB_ORDER_PROMOTE, &promote);
    const char *heard = member_sql(&pg2, take);
    assert_non_null(strstr(heard, "INSERT: v[integer]:2"));
    assert_null(strstr(heard, "v[integer]:1"));
}

/* --- frame --- */

static int open_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(base));
    member_open(&pg1, base, "pg1");
    member_open(&pg2, base, "pg2");
    member_open(&pg3, base, "pg3");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
        member_close(all[i]);
    }
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
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_some_at_once_some_after_a_restart),
        cmocka_unit_test(test_raised_on_standbys_first),
        cmocka_unit_test(test_lowered_on_the_primary_first),
        cmocka_unit_test(test_raised_on_the_primary_first_heals),
        cmocka_unit_test(test_bad_documents_leave_the_old_one),
        cmocka_unit_test(test_hba_and_reload),
        cmocka_unit_test(test_a_start_takes_the_newest),
        cmocka_unit_test(test_slots_for_a_takeover),
        cmocka_unit_test(test_careless_roles_are_told),
        cmocka_unit_test(test_a_foreign_sender_is_refused),
        cmocka_unit_test(test_an_idle_database_is_not_written_to),
        cmocka_unit_test(test_a_stopped_postmaster_is_seen),
        cmocka_unit_test(test_used_up_connections_are_no_trouble),
        cmocka_unit_test(test_a_silent_standby_does_not_stream),
        cmocka_unit_test(test_a_logical_consumer_misses_nothing),
    };
    return cmocka_run_group_tests_name("pg_watch", tests, open_all, close_all);
}
