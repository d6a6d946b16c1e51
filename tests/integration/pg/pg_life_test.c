/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a database on a real server, in one story: made with users and a command of the
 * user's, cloned by methods that fail and one that works, cloned from a standby, killed in a clone,
 * archived through failovers without a gap, promoted against readers, rewound with WAL from the
 * archive, tablespaces, and a database in Debian's layout that was there before. The cases share
 * four members and run in order. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/adopt.h"
#include "agents/postgresql/conf.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/layout.h"
#include "agents/shell/child.h"
#include "base/name.h"
#include "tests/integration/pg/steps.h"
#include "tests/support/cm.h"

#define BIN "/usr/lib/postgresql/15/bin/"

static char base[] = "/tmp/quorate-pg-life-XXXXXX";
static struct member pg1, pg2, pg3, old;

/* A shell command with `base` in BASE; what it prints last comes back. */
static const char *shell(const char *text)
{
    static char output[512];
    char command[2048];
    (void)snprintf(command, sizeof(command), "BASE=%s; %s", base, text);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[0] = '\0';
    while (fgets(output, sizeof(output), pipe) != NULL) {
    }
    if (pclose(pipe) != 0) {
        fail_msg("failed: %s: %s", text, output);
    }
    output[strcspn(output, "\n")] = '\0';
    return output;
}

static void set(struct member *m, const char *name, const char *format)
{
    char value[256];
    (void)snprintf(value, sizeof(value), "%s", format);
    assert_int_equal(pg_settings_add_parameter(&m->settings, name, value), 0);
}

static void method(struct member *m, const char *name, const char *command)
{
    struct pg_clone *c = &m->settings.clone;
    (void)snprintf(c->names[c->methods_count].text, sizeof(c->names[0].text), "%s", name);
    (void)snprintf(c->methods[c->methods_count].text, sizeof(c->methods[0].text), "%s", command);
    c->methods_count++;
}

/* Until the statement gives that; the members go on meanwhile. */
static void wait_sql(struct member *m, const char *text, const char *wanted)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), 15 * BASE_US_PER_S);
    while (strcmp(member_sql(m, text), wanted) != 0) {
        if (base_mono_before(deadline, pg_now())) {
            fail_msg("%s: %s gave %s, wanted %s", m->settings.member.text, text,
                     member_sql(m, text), wanted);
        }
        wait_views(m, m->views + 1);
    }
}

static void wait_shell(struct member *m, const char *text, const char *wanted)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), 15 * BASE_US_PER_S);
    while (strcmp(shell(text), wanted) != 0) {
        if (base_mono_before(deadline, pg_now())) {
            fail_msg("%s gave %s, wanted %s", text, shell(text), wanted);
        }
        wait_views(m, m->views + 1);
    }
}

/* All that is finished; what stands in the way is named. */
static void wait_archived(struct member *m)
{
    wait_sql(m,
             "SELECT coalesce((SELECT last_failed_wal FROM pg_stat_archiver), 'nothing failed')"
             " FROM pg_ls_archive_statusdir() WHERE name ~ 'ready$' LIMIT 1",
             "");
}

/* All that `from` has written is on `m`, received and replayed. */
static void wait_caught_up(struct member *m, struct member *from)
{
    char wanted[64];
    char text[128];
    (void)snprintf(wanted, sizeof(wanted), "%s", member_sql(from, "SELECT pg_current_wal_lsn()"));
    (void)snprintf(text, sizeof(text), "SELECT pg_last_wal_replay_lsn() >= '%s'", wanted);
    wait_sql(m, text, "t");
}

/* --- made --- */

static void test_init_that_its_command_spoils(void **state)
{
    (void)state;
    struct pg_bootstrap *b = &pg1.settings.bootstrap;
    (void)snprintf(b->post_init.text, sizeof(b->post_init.text), "echo error: no luck; exit 3");
    struct db_done done = member_order(&pg1, DB_ORDER_INIT, NULL);
    assert_int_equal(done.status, BASE_E_STATE);
    assert_non_null(strstr(done.text.text, "no luck"));
    assert_false(pg1.view.has_directory);
    (void)snprintf(b->post_init.text, sizeof(b->post_init.text), "sleep 60");
    b->post_init_limit_us = 300 * BASE_US_PER_MS;
    done = member_order(&pg1, DB_ORDER_INIT, NULL);
    assert_int_equal(done.status, BASE_E_TIMEOUT);
    assert_false(pg1.view.has_directory);
    assert_string_equal(shell("ls $BASE/pg1 | grep -c making"
                              " || true"),
                        "0");
}

static void test_init(void **state)
{
    (void)state;
    struct pg_bootstrap *b = &pg1.settings.bootstrap;
    struct db_order none = order_sync(NULL, NULL, 0);
    (void)snprintf(b->post_init.text, sizeof(b->post_init.text),
                   BIN
                   "psql -qc 'CREATE TABLE made (v text)' && " BIN
                   "psql -qc \"INSERT INTO made VALUES ('$QUORATE_CLUSTER')\" \"$QUORATE_DSN\"");
    b->post_init_limit_us = 0;
    (void)snprintf(b->users[0].text, sizeof(b->users[0].text), "app");
    (void)snprintf(b->user_options[0].text, sizeof(b->user_options[0].text), "createdb");
    b->users_count = 1;
    b->has_no_checksums = true;
    (void)snprintf(b->locale, sizeof(b->locale), "C");
    (void)shell("printf 'replication:x\\napp:it'\"'\"'s-secret\\n' >$BASE/passwords");
    (void)snprintf(b->password_file.text, sizeof(b->password_file.text), "%s/passwords", base);
    order_ok(&pg1, DB_ORDER_INIT, NULL);
    order_ok(&pg1, DB_ORDER_PREPARE_PRIMARY, &none);
    start_primary(&pg1);
    assert_string_equal(member_sql(&pg1, "SELECT v FROM made"), "test");
    assert_string_equal(member_sql(&pg1, "SELECT rolcreatedb AND rolcanlogin AND NOT rolsuper"
                                         " FROM pg_roles WHERE rolname = 'app'"),
                        "t");
    assert_string_equal(member_sql(&pg1, "SELECT left(rolpassword, 13) FROM pg_authid"
                                         " WHERE rolname = 'app'"),
                        "SCRAM-SHA-256");
    assert_string_equal(member_sql(&pg1, "SHOW listen_addresses"), "127.0.0.1");
    assert_string_equal(member_sql(&pg1, "SHOW data_checksums"), "off");
    assert_string_equal(member_sql(&pg1, "SHOW lc_collate"), "C");
    assert_string_equal(shell("grep -c s-secret $BASE/pg1/data/* $BASE/pg1/state/post-init.log"
                              " 2>/dev/null | grep -vc ':0$' || true"),
                        "0");
    (void)member_sql(&pg1, "CREATE TABLE t (v int)");
}

/* --- cloned --- */

static void test_clone_by_a_method(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg1);
    method(&pg2, "none", "exit 1");
    method(&pg2, "lies", "mkdir global && echo rubbish >global/pg_control");
    method(&pg2, "copy",
           BIN
           "pg_basebackup -d \"$QUORATE_CONNINFO\" -D \"$QUORATE_DATA_DIR\" -X stream -c fast &&"
           " cp -R . ../../backup"); /* which the samples restore later */
    struct db_done done = member_order(&pg2, DB_ORDER_CLONE, &order);
    assert_int_equal(done.status, 0);
    assert_string_equal(done.text.text, "cloned by copy");
    start_standby(&pg2);
    wait_following(&pg2, "pg1");
}

static void test_clone_by_another_system(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg1);
    method(&pg3, "foreign", BIN "initdb -D . -U postgres >/dev/null");
    method(&pg3, "hangs", "sleep 60");
    pg3.settings.clone.method_limit_us = 2 * BASE_US_PER_S;
    struct db_done done = member_order(&pg3, DB_ORDER_CLONE, &order);
    assert_int_equal(done.status, 0);
    assert_string_equal(done.text.text, "cloned from pg1"); /* by the base backup at last */
    pg3.settings.clone.methods_count = 0;
}

static bool is_half_way(const struct member *m)
{
    return m->view.work_total_bytes > 0 && m->view.work_done_bytes > 0;
}

static bool has_ended(const struct member *m)
{
    return m->has_done || is_half_way(m);
}

static bool is_seen_empty_or_bad(const struct member *m)
{
    return m->views > 0 && (!m->view.has_directory || m->view.is_directory_bad);
}

/* Progress shows, and an agent that goes away leaves nothing that could be started. */
static void test_clone_cut_short(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg1);
    pg3.settings.clone.rate_kb = 4096;
    member_send(&pg3, DB_ORDER_CLONE, &order);
    assert_true(members_run(has_ended, &pg3, 20 * BASE_US_PER_S));
    assert_false(pg3.has_done);
    assert_true(pg3.view.work_total_bytes > (10u << 20));
    member_reopen(&pg3);
    pg3.views = 0;
    assert_true(members_run(is_seen_empty_or_bad, &pg3, 5 * BASE_US_PER_S));
    assert_int_not_equal(member_order(&pg3, DB_ORDER_PREPARE_STANDBY, &order).status, 0);
}

/* In place, where the directory cannot be made beside: the mark stands for it. */
static void test_clone_in_place_cut_short(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg1);
    (void)shell("mkdir -p -m 700 $BASE/pg3/data && chmod 500 $BASE/pg3");
    member_send(&pg3, DB_ORDER_CLONE, &order);
    assert_true(members_run(has_ended, &pg3, 20 * BASE_US_PER_S));
    member_reopen(&pg3);
    pg3.views = 0;
    assert_true(members_run(is_seen_empty_or_bad, &pg3, 5 * BASE_US_PER_S));
    pg3.settings.clone.rate_kb = 0;
    order_ok(&pg3, DB_ORDER_CLONE, &order);
    (void)shell("chmod 700 $BASE/pg3");
    assert_false(pg3.view.is_directory_bad);
}

/* From a standby, and following it: a cascade. */
static void test_cascade(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&pg2);
    order_ok(&pg3, DB_ORDER_CLONE, &order);
    start_standby(&pg3);
    wait_following(&pg3, "pg2");
    assert_string_equal(
        member_sql(&pg2,
                   "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'quorate_pg3'"),
        "1");
    (void)member_sql(&pg1, "INSERT INTO t VALUES (1)");
    wait_caught_up(&pg3, &pg1);
    assert_string_equal(member_sql(&pg3, "SELECT count(*) FROM t"), "1");
    order = order_upstream(&pg1);
    order_ok(&pg3, DB_ORDER_FOLLOW, &order);
    wait_following(&pg3, "pg1");
}

/* --- archived --- */

static uint64_t archived_to; /* segment number: before it there is no gap */

/* From there on: segments of timeline `from` up to where it was left, then of `to`: no gap. */
static void check_archive(uint64_t fork, uint32_t from, uint32_t to, uint64_t end)
{
    for (; archived_to < end >> 20; archived_to++) {
        char path[128];
        bool is_before = (archived_to + 1) << 20 <= fork;
        (void)snprintf(path, sizeof(path), "%s/archive/%08X%08X%08X", base, is_before ? from : to,
                       (unsigned)(archived_to / 4096), (unsigned)(archived_to % 4096));
        if (!pg_file_exists(path)) {
            fail_msg("%s is missing (fork at %llx)", path, (unsigned long long)fork);
        }
    }
}

static void write_segments(struct member *m, int count)
{
    for (int i = 0; i < count; i++) {
        (void)member_sql(m, "INSERT INTO t VALUES (0)");
        (void)member_sql(m, "SELECT pg_switch_wal()");
    }
}

static void failover(struct member *from, struct member *to, uint32_t timeline)
{
    struct db_order promote = {.timeline = timeline};
    member_stop(from, SIGKILL);
    assert_true(members_run(is_stopped_seen, from, 5 * BASE_US_PER_S));
    order_ok(to, DB_ORDER_PROMOTE, &promote);
    struct db_order none = order_sync(NULL, NULL, 0);
    order_ok(to, DB_ORDER_SET_SYNC, &none);
}

static void rejoin(struct member *m, struct member *holder)
{
    struct db_order order = order_upstream(holder);
    order_ok(m, DB_ORDER_REWIND, &order);
    start_standby(m);
    wait_following(m, holder->settings.member.text);
}

/* The old primary had not archived its last segments; nobody else does. */
static void test_archive_through_a_failover(void **state)
{
    (void)state;
    (void)shell("touch $BASE/hold");
    write_segments(&pg1, 3);
    wait_caught_up(&pg2, &pg1);
    failover(&pg1, &pg2, 4); /* passes over 2 and 3 */
    (void)shell("rm $BASE/hold");
    rejoin(&pg1, &pg2);
    uint64_t fork = pg2.view.fork_lsn;
    write_segments(&pg2, 2);
    archived_to = strtoull(shell("ls $BASE/archive | grep -E '^0{7}1[0-9A-F]{16}$' | cut -c17- |"
                                 " sort | head -n 1"),
                           NULL, 16);
    assert_true(archived_to > 0 && (archived_to + 3) << 20 <= fork);
    wait_archived(&pg2);
    check_archive(fork, 1, 4, pg2.view.lsn & ~(uint64_t)0xfffff);
    assert_string_equal(shell("cd $BASE/archive && ls *.history | tr '\\n' ' '"),
                        "00000002.history 00000003.history 00000004.history ");
}

/* While the archive is out of order at the rewind: kept, and archived when it works again. */
static void test_archive_out_of_order(void **state)
{
    (void)state;
    (void)shell("touch $BASE/hold");
    write_segments(&pg2, 2);
    wait_caught_up(&pg1, &pg2);
    failover(&pg2, &pg1, 5);
    rejoin(&pg2, &pg1);
    assert_string_not_equal(shell("ls $BASE/pg2/state/unarchived | wc -l"), "0");
    (void)shell("rm $BASE/hold");
    uint64_t fork = pg1.view.fork_lsn;
    write_segments(&pg1, 2);
    wait_archived(&pg1);
    member_reopen(&pg2); /* a new agent does not wait for the next try */
    wait_shell(&pg2, "ls $BASE/pg2/state/unarchived | wc -l", "0");
    check_archive(fork, 4, 5, pg1.view.lsn & ~(uint64_t)0xfffff);
}

/* --- restored from a backup that is three timelines old --- */

/* Stands for a program of the backup tools, on a path of its own. */
static void pretend(const char *name, const char *text)
{
    char command[1024];
    (void)snprintf(command, sizeof(command),
                   "mkdir -p $BASE/bin && cat >$BASE/bin/%s <<'END'\n#!/bin/sh\n%s\nEND\n"
                   "chmod 755 $BASE/bin/%s",
                   name, text, name);
    (void)shell(command);
}

static void sample(struct member *m, const char *name, const char *arguments)
{
    char self[256];
    char command[1024];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(command, sizeof(command), "PATH=%s/bin:$PATH BASE=%s %s/samples/clone/%s.sh %s",
                   base, base, self, name, arguments);
    m->settings.clone.methods_count = 0;
    method(m, name, command);
}

static void restored_by(const char *name)
{
    char wanted[64];
    struct db_order order = order_upstream(&pg1);
    struct db_done done = member_order(&pg3, DB_ORDER_CLONE, &order);
    (void)snprintf(wanted, sizeof(wanted), "cloned by %s", name);
    assert_string_equal(done.text.text, wanted);
    start_standby(&pg3);
    wait_following(&pg3, "pg1");
    wait_caught_up(&pg3, &pg1);
    assert_int_equal(pg3.view.timeline, 5);
    member_stop(&pg3, SIGKILL);
}

static void test_samples_of_clone_methods(void **state)
{
    (void)state;
    static const char restore[] = "cp -R $BASE/backup/. $1 && echo \"restore_command = 'cp "
                                  "$BASE/archive/%f %p'\" >>$1/postgresql.auto.conf";
    member_stop(&pg3, SIGKILL);
    pretend("restore", restore);
    pretend("pgbackrest", "for a; do case $a in --pg1-path=*) dir=${a#*=};; --stanza=main) s=1;; "
                          "restore) r=1;; esac; done; [ $s$r = 11 ] && restore $dir");
    pretend("ssh", "[ \"$3\" = barman@backup ] && shift 3 && eval \"$*\"");
    pretend("barman", "[ \"$1 $6 $7\" = 'recover pg-main latest' ] && restore \"$8\"");
    sample(&pg3, "pgbackrest", "main");
    restored_by("pgbackrest");
    sample(&pg3, "barman", "barman@backup pg-main postgres@here");
    restored_by("barman");
    pg3.settings.clone.methods_count = 0;
}

/* --- promoted --- */

static void test_promote_paused_replay(void **state)
{
    (void)state;
    (void)member_sql(&pg2, "SELECT pg_wal_replay_pause()");
    wait_sql(&pg2, "SELECT pg_get_wal_replay_pause_state()", "paused");
    (void)member_sql(&pg1, "INSERT INTO t VALUES (77)");
    char text[128];
    (void)snprintf(text, sizeof(text), "SELECT pg_last_wal_receive_lsn() >= '%s'",
                   member_sql(&pg1, "SELECT pg_current_wal_flush_lsn()"));
    wait_sql(&pg2, text, "t");
    failover(&pg1, &pg2, 6);
    assert_string_equal(member_sql(&pg2, "SELECT count(*) FROM t WHERE v = 77"), "1");
    rejoin(&pg1, &pg2);
}

/* A reader's snapshot holds replay up; the promotion does not wait for it half a minute. */
static void test_promote_against_readers(void **state)
{
    (void)state;
    struct pg_sql reader = {.cancel_fd = -1};
    struct pg_sql_rows rows;
    struct base_text why;
    struct base_mono deadline = base_mono_add_us(pg_now(), 10 * BASE_US_PER_S);
    wait_caught_up(&pg1, &pg2);
    assert_int_equal(
        pg_sql_open_local(&reader, &pg1.settings, PG_ROLE_SUPERUSER, "reader", deadline, &why), 0);
    assert_int_equal(pg_sql_run(&reader,
                                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t",
                                deadline, &rows, &why),
                     0);
    pg_sql_free(&rows);
    (void)member_sql(&pg2, "DELETE FROM t WHERE v = 0");
    (void)member_sql(&pg2, "VACUUM t");
    (void)member_sql(&pg2, "INSERT INTO t VALUES (78)");
    char text[128];
    (void)snprintf(text, sizeof(text), "SELECT pg_last_wal_receive_lsn() >= '%s'",
                   member_sql(&pg2, "SELECT pg_current_wal_flush_lsn()"));
    wait_sql(&pg1, text, "t");
    assert_string_equal(member_sql(&pg1, "SELECT count(*) FROM t WHERE v = 78"), "0");
    struct base_mono began = pg_now();
    failover(&pg2, &pg1, 7);
    assert_true(base_mono_diff_us(pg_now(), began) < 15 * BASE_US_PER_S);
    assert_string_equal(member_sql(&pg1, "SELECT count(*) FROM t WHERE v = 78"), "1");
    pg_sql_close(&reader);
    rejoin(&pg2, &pg1);
}

/* --- rewound --- */

/* The primary goes on alone for a while and forgets the WAL since the last checkpoint that both
 * have. */
static void diverge(struct member *from, struct member *to, uint32_t timeline)
{
    order_ok(to, DB_ORDER_DETACH, NULL);
    write_segments(from, 3);
    wait_archived(from);
    order_ok(from, DB_ORDER_CHECKPOINT, NULL);
    (void)member_sql(from, "INSERT INTO t VALUES (79)");
    failover(from, to, timeline);
    char text[256];
    struct pg_control control;
    assert_int_equal(pg_control_read(&from->settings, from->settings.data_dir.text,
                                     base_mono_add_us(pg_now(), 10 * BASE_US_PER_S), -1, &control),
                     0);
    /* What a long time, or a small max_wal_size, would have recycled. */
    (void)snprintf(text, sizeof(text),
                   "cd $BASE/%s/data/pg_wal && for f in $(ls | grep -E '^[0-9A-F]{24}$'); do"
                   " [ $((0x$(echo $f | cut -c17-))) -ge %llu ] || rm $f; done",
                   from->settings.member.text,
                   (unsigned long long)(control.checkpoint_lsn >> 20) - 1);
    (void)shell(text);
}

static void test_rewind_with_wal_of_the_archive(void **state)
{
    (void)state;
    char command[256];
    (void)snprintf(command, sizeof(command), "cp %s/archive/%%f \"%%p\"", base);
    set(&pg1, "restore_command", command);
    diverge(&pg1, &pg2, 8);
    rejoin(&pg1, &pg2);
    wait_caught_up(&pg1, &pg2);
    assert_string_equal(member_sql(&pg1, "SELECT count(*) FROM t WHERE v = 79"), "0");
}

static void test_rewind_without_its_wal(void **state)
{
    (void)state;
    diverge(&pg2, &pg1, 9);
    struct db_order order = order_upstream(&pg1);
    assert_int_not_equal(member_order(&pg2, DB_ORDER_REWIND, &order).status, 0);
    assert_true(pg2.view.is_directory_bad);
    order_ok(&pg2, DB_ORDER_CLONE, &order);
    start_standby(&pg2);
    wait_following(&pg2, "pg1");
}

/* --- tablespaces --- */

static void map_tablespace(struct member *m)
{
    struct pg_tablespaces *t = &m->settings.tablespaces;
    (void)snprintf(t->from[0].text, sizeof(t->from[0].text), "%s/spaces/there", base);
    (void)snprintf(t->to[0].text, sizeof(t->to[0].text), "%s/spaces/here", base);
    t->count = 1;
}

static void test_tablespaces(void **state)
{
    (void)state;
    char text[256];
    struct db_order order = order_upstream(&pg1);
    member_stop(&pg2, SIGKILL);
    member_stop(&pg3, SIGKILL);
    (void)shell("mkdir -p -m 700 $BASE/spaces/there $BASE/spaces/here");
    (void)snprintf(text, sizeof(text), "CREATE TABLESPACE far LOCATION '%s/spaces/there'", base);
    (void)member_sql(&pg1, text);
    (void)member_sql(&pg1, "CREATE TABLE far (v int) TABLESPACE far");
    (void)member_sql(&pg1, "INSERT INTO far VALUES (5)");
    struct db_done done = member_order(&pg3, DB_ORDER_CLONE, &order);
    assert_int_equal(done.status, BASE_E_DENIED); /* the source's own, on this very host */
    assert_non_null(strstr(done.text.text, "postgresql.tablespaces"));
    assert_string_equal(member_sql(&pg1, "SELECT v FROM far"), "5");
    map_tablespace(&pg3);
    order_ok(&pg3, DB_ORDER_CLONE, &order);
    order_ok(&pg3, DB_ORDER_CLONE, &order); /* once more: what is ours may go */
    start_standby(&pg3);
    wait_following(&pg3, "pg1");
    assert_string_equal(member_sql(&pg3, "SELECT v FROM far"), "5");
    member_stop(&pg3, SIGINT);
    (void)shell("rm -r $BASE/pg3/data $BASE/pg3/state/tablespaces");
    done = member_order(&pg3, DB_ORDER_CLONE, &order);
    assert_int_equal(done.status, BASE_E_DENIED); /* whose that is nobody knows any more */
    (void)shell("rm -r $BASE/spaces/here/*");
    order_ok(&pg3, DB_ORDER_CLONE, &order);
}

/* --- adopted --- */

/* As Debian's pg_createcluster leaves it, crashed. */
static void make_debian_cluster(void)
{
    char text[1024];
    (void)snprintf(
        text, sizeof(text),
        "set -e; d=$BASE/old/data; e=$BASE/old/etc; mkdir -m 700 $e; " BIN
        "initdb -D $d -U postgres --auth=trust >/dev/null; for f in postgresql pg_hba pg_ident; do"
        " mv $d/$f.conf $e/; done; printf \"data_directory = '$d'\\nhba_file = '$e/pg_hba.conf'\\n"
        "ident_file = '$e/pg_ident.conf'\\nexternal_pid_file = '$BASE/old/pid'\\nport = %u\\n"
        "recovery_target_name = nowhere\\nwork_mem = 7MB\\n"
        "wal_level = minimal\\nmax_wal_senders = 0\\nunix_socket_directories ="
        " '$BASE'\\n\" >>$e/postgresql.conf;"
        " echo 'host all reader 192.0.2.0/24 md5' >>$e/pg_hba.conf;"
        " sha256sum $e/* >$BASE/sums; " BIN
        "pg_ctl -s -w -l $BASE/old/log -D $d -o \"-c config_file=$e/postgresql.conf\" start;"
        " " BIN
        "psql -qh $BASE -p %u -U postgres -c 'CREATE TABLE mine AS SELECT 4 AS v' postgres; " BIN
        "pg_ctl -s -D $d -m immediate stop",
        old.settings.port, old.settings.port);
    (void)shell(text);
    (void)snprintf(old.settings.config_dir.text, sizeof(old.settings.config_dir.text), "%s/old/etc",
                   base);
}

static void test_adopt_debian_layout(void **state)
{
    (void)state;
    struct base_text why = {{0}};
    struct db_order promote = {.timeline = 3};
    make_debian_cluster();
    assert_true(pg_adopt_is_wanted(&old.settings));
    if (pg_adopt_stopped(&old.settings, &why) != 0) {
        fail_msg("not adopted: %s", why.text);
    }
    assert_false(pg_adopt_is_wanted(&old.settings));
    assert_true(members_run(is_stopped_seen, &old, 5 * BASE_US_PER_S));
    order_ok(&old, DB_ORDER_PREPARE_STANDBY, NULL);
    start_standby(&old);
    order_ok(&old, DB_ORDER_PROMOTE, &promote);
    struct db_order none = order_sync(NULL, NULL, 0);
    order_ok(&old, DB_ORDER_SET_SYNC, &none);
    assert_string_equal(member_sql(&old, "SELECT v FROM mine"), "4");
    assert_string_equal(member_sql(&old, "SHOW work_mem"), "7MB");
    assert_string_equal(member_sql(&old, "SHOW wal_level"), "replica");
    assert_string_equal(member_sql(&old, "SHOW recovery_target_name"), ""); /* or no promotion */
    assert_string_equal(member_sql(&old, "SELECT count(*) FROM pg_hba_file_rules"
                                         " WHERE user_name = '{reader}'"),
                        "1");
    (void)shell("cd / && sha256sum --quiet -c $BASE/sums"); /* the user's files are untouched */
}

/* A clone of it keeps the configuration of its own host, and so does a rewind. */
static void test_debian_layout_follows(void **state)
{
    (void)state;
    struct db_order order = order_upstream(&old);
    member_stop(&pg3, SIGKILL);
    (void)shell("rm -rf $BASE/pg3/data; mkdir -m 700 $BASE/pg3/etc;"
                " echo 'work_mem = 8MB' >$BASE/pg3/etc/postgresql.conf");
    (void)snprintf(pg3.settings.config_dir.text, sizeof(pg3.settings.config_dir.text), "%s/pg3/etc",
                   base);
    order_ok(&pg3, DB_ORDER_CLONE, &order);
    start_standby(&pg3);
    wait_following(&pg3, "old");
    assert_string_equal(member_sql(&pg3, "SHOW work_mem"), "8MB");
    wait_caught_up(&pg3, &old);
    failover(&old, &pg3, 4);
    rejoin(&old, &pg3);
    assert_string_equal(member_sql(&old, "SHOW work_mem"), "7MB");
    assert_string_equal(member_sql(&old, "SELECT v FROM mine"), "4");
}

static void test_find_a_server_that_runs(void **state)
{
    (void)state;
    struct pg_adoptee found;
    assert_int_equal(pg_adopt_find(&pg3.settings, &found), 0);
    assert_true(found.is_ours && found.is_ready);
    assert_int_equal(found.pid, pg3.pid);
    assert_int_equal(found.port, pg3.settings.port);
    member_stop(&pg3, SIGINT);
    assert_int_equal(pg_adopt_find(&pg3.settings, &found), BASE_E_NOTFOUND);
}

/* --- frame --- */

/* A file appears in the archive whole: servers and agents are killed while they copy, and what is
 * there and differs is never written over. */
static void archive_on(struct member *m)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "test ! -e %s/hold && A=%s/archive/%%f && { test ! -e $A || cmp -s %%p $A; } &&"
                   " N=$(mktemp %s/copying-XXXXXX) && cp %%p $N && mv $N $A",
                   base, base, base);
    set(m, "archive_mode", "on");
    set(m, "archive_command", text);
}

static int open_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(base));
    (void)shell("mkdir $BASE/archive");
    member_open(&pg1, base, "pg1");
    member_open(&pg2, base, "pg2");
    member_open(&pg3, base, "pg3");
    member_open(&old, base, "old");
    archive_on(&pg1);
    archive_on(&pg2);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    member_close(&pg1);
    member_close(&pg2);
    member_close(&pg3);
    member_close(&old);
    if (getenv("KEEP") == NULL) {
        (void)!chmod(base, 0700);
        (void)!pg_dir_remove(base, false);
    }
    return 0;
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_that_its_command_spoils),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_clone_by_a_method),
        cmocka_unit_test(test_clone_by_another_system),
        cmocka_unit_test(test_clone_cut_short),
        cmocka_unit_test(test_clone_in_place_cut_short),
        cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_archive_through_a_failover),
        cmocka_unit_test(test_archive_out_of_order),
        cmocka_unit_test(test_samples_of_clone_methods),
        cmocka_unit_test(test_promote_paused_replay),
        cmocka_unit_test(test_promote_against_readers),
        cmocka_unit_test(test_rewind_with_wal_of_the_archive),
        cmocka_unit_test(test_rewind_without_its_wal),
        cmocka_unit_test(test_tablespaces),
        cmocka_unit_test(test_adopt_debian_layout),
        cmocka_unit_test(test_debian_layout_follows),
        cmocka_unit_test(test_find_a_server_that_runs),
    };
    return cmocka_run_group_tests_name("pg_life", tests, open_all, close_all);
}
