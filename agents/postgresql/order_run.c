/* SPDX-License-Identifier: Apache-2.0 */
/* Orders that prepare a stopped directory for its role, and those that turn a running standby:
 * point it elsewhere, take its receiver away, promote it.
 *
 * A file is on disk before the server is told of it, so that a restart at any moment keeps what was
 * promised. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/layout.h"
#include "agents/postgresql/process.h"
#include "base/name.h"

#define POLL_US 1500
#define RESIGNAL_US (250 * BASE_US_PER_MS)
#define BEGUN_LIMIT_US (5 * BASE_US_PER_S)
#define UPSTREAM_LIMIT_US (1 * BASE_US_PER_S)
#define CONFLICT_LIMIT_US (500 * BASE_US_PER_MS)

static bool has_upstream(const struct pg_run *run)
{
    return !base_name_is_empty(&run->order.upstream_member);
}

static int check_has_directory(struct pg_run *run)
{
    struct pg_path control;
    struct pg_path making;
    if (pg_path_join(run->data_dir, "global/pg_control", &control) != 0 ||
        !pg_file_exists(control.text)) {
        return pg_run_fail(run, BASE_E_NOTFOUND, "%s holds no database", run->data_dir);
    }
    if (pg_conf_is_unusable(run->data_dir) ||
        (pg_making_path(run->settings, &making) == 0 && pg_file_exists(making.text))) {
        return pg_run_fail(run, BASE_E_CORRUPT,
                           "%s is half rewound or half cloned: only a clone helps", run->data_dir);
    }
    return 0;
}

static int check_port(struct pg_run *run)
{
    struct base_text address;
    int status = pg_port_check(run->settings->listen.text, run->settings->port, &address);
    if (status == 0) {
        return 0;
    }
    const char *what =
        status == BASE_E_EXISTS ? "is in use by another program" : "cannot be listened on";
    return pg_run_fail(run, BASE_E_STATE, "port %u on %.80s %s", run->settings->port, address.text,
                       what);
}

static int check_startable(struct pg_run *run)
{
    int status = pg_run_check_stopped(run);
    if (status == 0) {
        status = check_has_directory(run);
    }
    if (status == 0) {
        status = check_port(run);
    }
    if (status == 0) {
        status = pg_history_clear_reserved(run->data_dir);
    }
    if (status == 0) {
        status = pg_settings_write_pgpass(run->settings);
    }
    return status;
}

static int write_conf(struct pg_run *run, const struct pg_conf *conf)
{
    int status = pg_conf_write(run->settings, run->data_dir, conf);
    if (status == 0) {
        pg_slot_following(run->db, conf);
    }
    return status == 0 ? 0
                       : pg_run_fail(run, status, "cannot write quorate.conf in %s: %s",
                                     run->data_dir, base_error_text(status));
}

int pg_order_prepare_standby(struct pg_run *run)
{
    int status = check_startable(run);
    status = status != 0 ? status : pg_run_resolve_remote(run);
    if (status != 0) {
        return status;
    }
    struct pg_conf conf = pg_run_conf(run);
    (void)pg_slot_recognise(run, &conf);
    return pg_run_configure_standby(run, run->data_dir, &conf);
}

int pg_order_prepare_primary(struct pg_run *run)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    conf.has_sync = true;
    conf.sync_names = run->order.sync_names;
    conf.sync_count = run->order.sync_count;
    int status = check_startable(run);
    if (status == 0) {
        pg_config_prepare(run, run->data_dir, true);
        status = pg_conf_install(run->settings, run->data_dir, run->order.is_gated);
    }
    if (status == 0) {
        status = write_conf(run, &conf);
    }
    if (status == 0) {
        status = pg_conf_set_standby(run->data_dir, false);
    }
    if (status != 0 && run->text.text[0] == '\0') {
        return pg_run_fail(run, status, "cannot configure %s as the primary: %s", run->data_dir,
                           base_error_text(status));
    }
    return status;
}

/* The first segment of WAL that we still need, by its number; 0 when that is not known: all on disk
 * has not been replayed yet. That a receiver is there says nothing: where the WAL is gone it is
 * refused and comes again all the time. */
static uint64_t next_segment(struct pg_run *run)
{
    static const char text[] =
        "SELECT CASE WHEN EXISTS (SELECT FROM pg_stat_get_activity(NULL) WHERE backend_type ="
        " 'startup' AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream'))"
        " THEN div(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0',"
        " pg_size_bytes(current_setting('wal_segment_size'))) ELSE 0 END";
    struct pg_sql_rows rows;
    if (pg_run_query(run, text, &rows) != 0) {
        return 0;
    }
    uint64_t segment = rows.count > 0 ? pg_sql_u64(rows.results[0], 0, 0) : 0;
    pg_sql_free(&rows);
    return segment;
}

uint64_t pg_run_oldest_segment(struct pg_run *run)
{
    static const char text[] =
        "SELECT min(('x' || substr(f, 9, 8))::bit(32)::bigint * div(4294967296, s)"
        " + ('x' || substr(f, 17, 8))::bit(32)::bigint) FROM pg_ls_dir('pg_wal', true, false) f,"
        " pg_size_bytes(current_setting('wal_segment_size')) s WHERE f ~ '^[0-9A-F]{24}$'";
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    struct base_mono deadline = base_mono_add_us(pg_now(), UPSTREAM_LIMIT_US);
    uint64_t segment = 0;
    int status = pg_run_upstream_conninfo(run, PG_ROLE_REWIND, false, conninfo, sizeof(conninfo));
    status = status != 0 ? status : pg_sql_open(&sql, conninfo, deadline, &why);
    status = status != 0 ? status : pg_sql_run(&sql, text, deadline, &rows, &why);
    if (status == 0) {
        segment = rows.count > 0 ? pg_sql_u64(rows.results[0], 0, 0) : 0;
        pg_sql_free(&rows);
    }
    pg_sql_close(&sql);
    return segment;
}

/* Asked again to follow whom we follow already: nothing streams. Perhaps because the WAL that we
 * need next is gone there, and then it never will. */
static int check_wal_upstream(struct pg_run *run)
{
    uint64_t next = next_segment(run);
    uint64_t oldest = next > 0 ? pg_run_oldest_segment(run) : 0;
    if (oldest <= next) {
        return 0;
    }
    return pg_run_fail(run, BASE_E_COMPACTED,
                       "%.60s no longer has the WAL that is needed next (%" PRIu64
                       " segments of it): only a clone helps",
                       run->order.upstream_member.text, oldest - next);
}

int pg_order_follow(struct pg_run *run)
{
    int status = check_has_directory(run);
    status = status != 0 ? status : pg_run_resolve_remote(run);
    if (status != 0 || !has_upstream(run)) {
        return status != 0 ? status : pg_run_fail(run, BASE_E_INVALID, "no upstream to follow");
    }
    struct pg_conf conf = pg_run_conf(run);
    bool is_again = pg_slot_recognise(run, &conf);
    if (is_again) {
        pg_slot_following(run->db, &conf);
    } else {
        status = write_conf(run, &conf);
    }
    if (status == 0) {
        pg_run_signal(run, SIGHUP);
    }
    return status == 0 && is_again ? check_wal_upstream(run) : status;
}

/* The startup process hears of it with everybody else. A session that is open already would read
 * the file by itself, and prove nothing. */
static int look_whether_told(struct pg_run *run, bool *ret_is_told)
{
    char value[16];
    int status = pg_run_new_session_value(
        run, "SELECT left(current_setting('primary_conninfo'), 9)", value, sizeof(value));
    *ret_is_told = status == 0 && value[0] == '\0';
    return status;
}

/* Until the server has read that there is no upstream, no receiver is left, and replay waits for
 * WAL that is not there: the position is then final. Without the first a receiver that is just
 * between two connections would pass for one that is gone. */
static int wait_detached(struct pg_run *run)
{
    static const char text[] =
        "SELECT count(*) FILTER (WHERE backend_type = 'walreceiver') = 0,"
        " count(*) FILTER (WHERE backend_type ="
        " 'startup' AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream')) = 1,"
        " NOT pg_is_in_recovery(), pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(),"
        " pg_last_wal_receive_lsn() IS NOT NULL FROM pg_stat_get_activity(NULL)";
    struct base_mono resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
    bool is_told = false;
    for (;;) {
        struct pg_sql_rows rows;
        int status = is_told ? 0 : look_whether_told(run, &is_told);
        if (status == 0 && is_told) {
            status = pg_run_query(run, text, &rows);
        }
        if (status == 0 && is_told) {
            const PGresult *r = rows.results[0];
            bool is_gone = pg_sql_bool(r, 0, 0);
            /* What was received in this life counts without being replayed; after a restart it must
             * be. */
            bool is_final = pg_sql_bool(r, 0, 1) || pg_sql_bool(r, 0, 2) || pg_sql_bool(r, 0, 4);
            pg_sql_free(&rows);
            if (is_gone && is_final) {
                return 0;
            }
        } else if (status == BASE_E_CANCELED) {
            return status;
        }
        if (base_mono_before(resignal, pg_now())) {
            pg_run_signal(run, SIGHUP);
            resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
        }
        status = pg_run_sleep_us(run, POLL_US);
        if (status != 0) {
            return status;
        }
    }
}

int pg_order_detach(struct pg_run *run)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    int status = check_has_directory(run);
    if (status == 0) {
        status = write_conf(run, &conf);
    }
    if (status != 0) {
        return status;
    }
    if (pg_run_guard(run).tree == GUARD_TREE_GONE) {
        return 0;
    }
    pg_run_signal(run, SIGHUP);
    return wait_detached(run);
}

/* --- PROMOTE --- */

struct standby {
    bool is_in_recovery;
    bool has_target; /* a leftover recovery target would stop replay short of what was acknowledged
                      */
    bool is_archiving;
    uint32_t timeline;
};

static int look_at_standby(struct pg_run *run, struct standby *ret)
{
    static const char text[] =
        "SELECT pg_is_in_recovery(), concat(current_setting('recovery_target'), "
        " current_setting('recovery_target_lsn'),"
        " current_setting('recovery_target_name'), current_setting('recovery_target_time'),"
        " current_setting('recovery_target_xid')) <> '',"
        " CASE WHEN pg_is_in_recovery() THEN NULL ELSE"
        " pg_walfile_name(pg_current_wal_flush_lsn()) END,"
        " current_setting('archive_mode') <> 'off'";
    struct pg_sql_rows rows;
    char name[12];
    uint64_t timeline = 0;
    int status = pg_run_query(run, text, &rows);
    if (status != 0) {
        return status;
    }
    ret->is_in_recovery = pg_sql_bool(rows.results[0], 0, 0);
    ret->has_target = pg_sql_bool(rows.results[0], 0, 1);
    (void)snprintf(name, sizeof(name), "0/%.8s", pg_sql_text(rows.results[0], 0, 2));
    ret->is_archiving = pg_sql_bool(rows.results[0], 0, 3);
    ret->timeline = pg_lsn_parse(slice_from_text(name), &timeline) == 0 ? (uint32_t)timeline : 0;
    pg_sql_free(&rows);
    return 0;
}

/* The server takes the first number above its own that has no history file: each one below the
 * reserved number gets an empty file, and the reserved one must have none. */
static int reserve_timeline(struct pg_run *run, uint32_t *ret_first)
{
    struct pg_wal_seen seen;
    struct pg_path path;
    uint32_t wanted = run->order.timeline;
    int status = pg_wal_list(run->data_dir, &seen);
    if (status != 0) {
        return pg_run_fail(run, status, "cannot list pg_wal: %s", base_error_text(status));
    }
    if (wanted < 2 || seen.history_highest >= wanted || wanted - seen.history_highest > 100000) {
        return pg_run_fail(run, BASE_E_CONFLICT,
                           "timeline %u cannot be taken: history files up to %u are there", wanted,
                           seen.history_highest);
    }
    *ret_first = seen.history_highest + 1;
    for (uint32_t t = 2; t < wanted && status == 0; t++) {
        status = pg_history_path(run->data_dir, t, &path);
        if (status == 0 && !pg_file_exists(path.text)) {
            status = pg_file_write(path.text, SLICE_EMPTY, 0600);
        }
    }
    return status != 0 ? pg_run_fail(run, status, "cannot reserve timeline %u: %s", wanted,
                                     base_error_text(status))
                       : 0;
}

static int check_timeline(struct pg_run *run, uint32_t timeline)
{
    if (timeline != run->order.timeline) {
        return pg_run_fail(run, BASE_E_CONFLICT, "opened on timeline %u, not on the reserved %u",
                           timeline, run->order.timeline);
    }
    return pg_run_fail(run, 0, "promoted on timeline %u", timeline);
}

/* What was received is replayed before the server opens, and a query of a reader may hold that up
 * for max_standby_streaming_delay. Once replay is seen to wait for readers, those with an open
 * transaction are ended: they would have been, only later. */
static void end_conflicts(struct pg_run *run)
{
    static const char text[] =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND xact_start IS NOT NULL AND EXISTS (SELECT FROM pg_stat_get_activity(NULL)"
        " WHERE backend_type = 'startup' AND (wait_event LIKE 'RecoveryConflict%'"
        " OR wait_event_type IN ('Lock', 'BufferPin')))";
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why;
    struct base_mono deadline = base_mono_add_us(pg_now(), CONFLICT_LIMIT_US);
    /* As the superuser: a reader may be one. */
    int status = pg_sql_open_local(&sql, run->settings, PG_ROLE_SUPERUSER, "quorate_agent",
                                   base_mono_min(deadline, run->deadline), &why);
    if (status == 0 && pg_sql_run(&sql, text, deadline, &rows, &why) == 0) {
        uint64_t ended = rows.count > 0 ? pg_sql_u64(rows.results[0], 0, 0) : 0;
        pg_sql_free(&rows);
        if (ended > 0) {
            pg_run_log(run, "ended %" PRIu64 " readers whose queries held the promotion up", ended);
        }
    }
    pg_sql_close(&sql);
}

static int wait_promoted(struct pg_run *run)
{
    struct base_mono resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
    for (;;) {
        struct standby now;
        int status = look_at_standby(run, &now);
        if (status == 0 && !now.is_in_recovery) {
            return check_timeline(run, now.timeline);
        }
        if (status == BASE_E_CANCELED || status == BASE_E_TIMEOUT) {
            return status;
        }
        if (base_mono_before(resignal, pg_now())) {
            pg_run_signal(run, SIGUSR1); /* harmless again: the file is taken away at the first */
            end_conflicts(run);
            resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
        }
        status = pg_run_sleep_us(run, POLL_US);
        if (status != 0) {
            return status;
        }
    }
}

/* A promotion that an earlier order began and did not see the end of, under the same root. */
static bool is_under_way(struct pg_run *run)
{
    pthread_mutex_lock(&run->db->lock);
    bool is_same = run->db->promote_timeline == run->order.timeline &&
                   run->db->promote_root_pid == run->db->guard.root_pid &&
                   run->db->promote_root_pid != 0;
    pthread_mutex_unlock(&run->db->lock);
    return is_same;
}

/* An agent that is no more asked for it: the server writes the history before it leaves recovery.
 */
static bool has_begun(const struct pg_run *run)
{
    struct pg_wal_seen seen;
    return pg_wal_list(run->data_dir, &seen) == 0 &&
           seen.history_highest_real == run->order.timeline;
}

/* The number may be another's all the same: then recovery just goes on. */
static int wait_begun(struct pg_run *run)
{
    run->deadline = base_mono_min(run->deadline, base_mono_add_us(pg_now(), BEGUN_LIMIT_US));
    int status = wait_promoted(run);
    return status != BASE_E_TIMEOUT
               ? status
               : pg_run_fail(run, BASE_E_CONFLICT,
                             "timeline %u cannot be taken: its history file is there",
                             run->order.timeline);
}

static void set_under_way(struct pg_run *run)
{
    pthread_mutex_lock(&run->db->lock);
    run->db->promote_timeline = run->order.timeline;
    run->db->promote_root_pid = run->db->guard.root_pid;
    pthread_mutex_unlock(&run->db->lock);
}

/* A standby that still tries to reach its upstream finishes its present wait for WAL (up to
 * wal_retrieve_retry_interval) before it looks at the request; one without does not. It also must
 * not connect to the old primary again should the promotion be cut short. */
static int let_go(struct pg_run *run)
{
    struct pg_conf conf;
    if (run->db->is_conf_detached) {
        return 0;
    }
    memset(&conf, 0, sizeof(conf));
    int status = write_conf(run, &conf);
    if (status == 0) {
        pg_run_signal(run, SIGHUP);
    }
    return status;
}

int pg_order_promote(struct pg_run *run)
{
    struct standby before;
    struct pg_path file;
    uint32_t first_passed_over = 0;
    int status = look_at_standby(run, &before);
    if (status != 0) {
        return status;
    }
    if (!before.is_in_recovery) {
        return check_timeline(run, before.timeline);
    }
    if (is_under_way(run)) {
        return wait_promoted(run);
    }
    run->db->waits_root_pid = pg_run_guard(run).root_pid; /* as every standby does */
    if (has_begun(run)) {
        return wait_begun(run);
    }
    if (before.has_target) {
        return pg_run_fail(
            run, BASE_E_STATE,
            "a recovery target is set: promotion would stop short of what was acknowledged");
    }
    status = reserve_timeline(run, &first_passed_over);
    if (status == 0) {
        status = let_go(run);
    }
    if (status == 0) {
        status = pg_path_join(run->data_dir, "promote", &file);
    }
    if (status == 0) {
        status = pg_file_write(file.text, SLICE_EMPTY, 0600);
    }
    if (status != 0) {
        return status;
    }
    set_under_way(run);
    pg_run_signal(run, SIGUSR1);
    status = wait_promoted(run);
    if (status == 0 && before.is_archiving) {
        pg_archive_passed_over(run->data_dir, first_passed_over, run->order.timeline);
    }
    return status;
}

int pg_order_checkpoint(struct pg_run *run)
{
    if (pg_layout_version(run->settings) < 15) { /* only a superuser may */
        struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
        int rc = pg_sql_open_local(&sql, run->settings, PG_ROLE_SUPERUSER, "quorate_agent",
                                   run->deadline, &run->text);
        rc = rc != 0 ? rc : pg_sql_do(&sql, "CHECKPOINT", run->deadline, &run->text);
        pg_sql_close(&sql);
        return rc;
    }
    int status = pg_sql_is_open(run->session)
                     ? 0
                     : pg_sql_open_local(run->session, run->settings, PG_ROLE_MONITOR,
                                         "quorate_agent", run->deadline, &run->text);
    return status != 0 ? status : pg_sql_do(run->session, "CHECKPOINT", run->deadline, &run->text);
}
