/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker looks after when it has no order: parameters that wait for a restart, what stands
 * in the way of the promise (sessions below synchronous_commit = on, a foreign WAL sender under a
 * member's name), a standby whose replay stands still because its parameters are too low, new
 * certificates, slots. An order that comes in between ends it. */
#include "agents/postgresql/watch.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/layout.h"
#include "base/name.h"

#define CALM_US (2 * BASE_US_PER_S) /* after a start: there is more urgent work */
#define APART_US (5 * BASE_US_PER_S)
#define LIMIT_US (2 * BASE_US_PER_S)
#define HEARTBEAT_US_MIN \
    (50 * BASE_US_PER_MS)                   /* looks are more frequent during a hand-over only \
                                             */
#define STUCK_US_MIN (500 * BASE_US_PER_MS) /* a connection may take this long */
#define FAILING_US (2 * BASE_US_PER_S)
#define FULL_BYTES (UINT64_C(1) << 20)

/* --- views --- */

void pg_watch_fill(const struct pg_db *db, struct db_view *view)
{
    const struct pg_watch *w = &db->watch;
    int64_t stuck_us = w->troubled_from.us == 0 ? 0 : base_mono_diff_us(pg_now(), w->troubled_from);
    bool is_full = view->disk_free_bytes > 0 && view->disk_free_bytes < FULL_BYTES;
    bool is_stuck = stuck_us >= FAILING_US;
    view->config_revision = w->config_revision;
    view->is_restart_pending = w->is_restart_pending;
    view->pending_restart = w->pending;
    view->warning = w->refused.text[0] != '\0'   ? w->refused
                    : w->warning.text[0] != '\0' ? w->warning
                                                 : w->slot_warning;
    view->write_stuck_ms = stuck_us < STUCK_US_MIN ? 0 : (uint32_t)(stuck_us / BASE_US_PER_MS);
    view->is_write_failing = w->is_primary && view->is_process && (is_stuck || is_full);
    if (view->is_write_failing && view->note.text[0] == '\0') {
        view->note =
            is_stuck && w->trouble.text[0] != '\0'
                ? w->trouble
                : base_text_from(slice_from_text(
                      is_stuck ? "connections or writes do not come through" : "the disk is full"));
    }
}

/* --- certificates --- */

static bool look_at_files(const struct pg_settings *s, struct pg_watch_file *ret)
{
    const char *const names[PG_WATCH_FILES] = {s->tls_ca.text, s->tls_cert.text, s->tls_key.text};
    for (size_t i = 0; i < PG_WATCH_FILES; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0) {
            return false; /* between two renames: looked at again */
        }
        ret[i].changed = st.st_mtim;
        ret[i].size = (int64_t)st.st_size;
    }
    return true;
}

static bool are_same(const struct pg_watch_file *a, const struct pg_watch_file *b)
{
    for (size_t i = 0; i < PG_WATCH_FILES; i++) {
        if (a[i].size != b[i].size || a[i].changed.tv_sec != b[i].changed.tv_sec ||
            a[i].changed.tv_nsec != b[i].changed.tv_nsec) {
            return false;
        }
    }
    return true;
}

/* The server reads them again at a reload; all of them are there when nothing has moved between two
 * looks. New connections, and those of the other members, then use the new ones. */
static void keep_certificates(struct pg_run *run)
{
    struct pg_watch *w = &run->db->watch;
    struct pg_watch_file now[PG_WATCH_FILES];
    if (!run->settings->is_tls || !look_at_files(run->settings, now)) {
        return;
    }
    bool is_same = w->has_files && are_same(now, w->files);
    if (is_same && w->is_file_news) {
        pg_run_signal(run, SIGHUP);
    }
    w->is_file_news = w->has_files && !is_same;
    w->has_files = true;
    memcpy(w->files, now, sizeof(now));
}

/* --- warnings --- */

static const char warning_statement[] =
    "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE coalesce("
    " (SELECT format('WAL sender %s of user %s calls itself %s and counts as that member: end it',"
    "  pid, usename, application_name) FROM pg_stat_replication WHERE usename <> '" //
    PG_ROLE_REPLICATION "' AND position('\"' || lower(application_name) || '\"' in"
    "  current_setting('synchronous_standby_names')) > 0 LIMIT 1),"
    " (SELECT format('synchronous_commit is below on for %s: its commits are outside the promise',"
    "  concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname))"
    "  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole"
    "  LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE EXISTS (SELECT FROM"
    "  unnest(s.setconfig) c WHERE c ~ '^synchronous_commit=(off|local|remote_write|false|no|0)$')"
    "  ORDER BY 1 LIMIT 1),"
    " (SELECT format('synchronous_commit = %s in the files: commits are outside the promise',"
    "  f.setting) FROM (SELECT setting FROM pg_file_settings WHERE name = 'synchronous_commit'"
    "  ORDER BY seqno DESC LIMIT 1) f WHERE f.setting NOT IN ('on', 'remote_apply'))) END";

static void look_for_warnings(struct pg_run *run, struct pg_sql *sql)
{
    struct pg_sql_rows rows;
    struct base_text why;
    if (pg_sql_run(sql, warning_statement, run->deadline, &rows, &why) != 0) {
        return;
    }
    const char *text = rows.count > 0 ? pg_sql_text(rows.results[0], 0, 0) : "";
    pthread_mutex_lock(&run->db->lock);
    run->db->watch.warning = base_text_from(slice_from_text(text));
    pthread_mutex_unlock(&run->db->lock);
    pg_sql_free(&rows);
}

/* --- a standby that cannot go on --- */

/* Version 14 and later pause the replay when the primary runs with more than this standby; ended in
 * order, it comes back with as much. */
static void end_short_standby(struct pg_run *run, struct pg_sql *sql)
{
    static const char text[] = "SELECT pg_is_in_recovery() AND pg_get_wal_replay_pause_state() = "
                               "'paused'";
    static const char values[] =
        "SELECT setting FROM pg_settings WHERE name IN ('max_connections',"
        " 'max_locks_per_transaction', 'max_prepared_transactions', 'max_wal_senders',"
        " 'max_worker_processes') ORDER BY name COLLATE \"C\"";
    struct pg_sql_rows rows;
    struct pg_control control;
    struct base_text why;
    if (pg_layout_version(run->settings) < 14 ||
        pg_sql_run(sql, text, run->deadline, &rows, &why) != 0) {
        return;
    }
    bool is_paused = rows.count > 0 && pg_sql_bool(rows.results[0], 0, 0);
    pg_sql_free(&rows);
    if (!is_paused ||
        pg_control_read(run->settings, run->data_dir, run->deadline, run->db->cancel_fd,
                        &control) != 0 ||
        pg_sql_run(sql, values, run->deadline, &rows, &why) != 0) {
        return;
    }
    bool is_short = false;
    for (int i = 0; i < PQntuples(rows.results[0]) && i < ARB_PG_ORDERED_COUNT; i++) {
        is_short = is_short || (int64_t)pg_sql_u64(rows.results[0], i, 0) < control.ordered[i];
    }
    pg_sql_free(&rows);
    if (is_short) {
        pg_run_note(run, "stopped to start again with the primary's parameters");
        pg_run_signal(run, SIGINT);
    }
}

/* --- whom do we follow? --- */

/* What an agent before us has written: host, port and name of the upstream out of the receiver's
 * connection string. */
static void take_following(struct pg_conf *conf, const PQconninfoOption *options)
{
    static const char key[] = "quorate.upstream=";
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        uint64_t port = 0;
        const char *at = o->val == NULL ? NULL : strstr(o->val, key);
        if (o->val == NULL) {
            continue;
        }
        if (strcmp(o->keyword, "host") == 0) {
            conf->upstream_host = base_text_from(slice_from_text(o->val));
        } else if (strcmp(o->keyword, "port") == 0 &&
                   slice_to_u64(slice_from_text(o->val), &port) == 0) {
            conf->upstream_port = (uint16_t)port;
        } else if (strcmp(o->keyword, "options") == 0 && at != NULL) {
            (void)!base_name_from_text(at + sizeof(key) - 1, &conf->upstream);
        }
    }
}

/* A restarted agent does not know it. */
static void recall_following(struct pg_run *run, struct pg_sql *sql)
{
    static const char text[] = "SELECT current_setting('primary_conninfo'),"
                               " current_setting('primary_slot_name') WHERE pg_is_in_recovery()";
    struct pg_db *db = run->db;
    struct pg_conf conf;
    struct pg_sql_rows rows;
    struct base_text why;
    if (!base_name_is_empty(&db->following.upstream) || db->is_conf_detached ||
        pg_sql_run(sql, text, run->deadline, &rows, &why) != 0) {
        return;
    }
    memset(&conf, 0, sizeof(conf));
    if (PQntuples(rows.results[0]) == 1) {
        PQconninfoOption *options = PQconninfoParse(pg_sql_text(rows.results[0], 0, 0), NULL);
        if (options != NULL) {
            take_following(&conf, options);
            PQconninfoFree(options);
        }
        conf.has_slot = pg_sql_text(rows.results[0], 0, 1)[0] != '\0';
        /* The primary of another cluster is the affair of the orders. */
        const struct pg_config *config = run->settings->config;
        bool is_elsewhere = config != NULL && config->document->standby_host[0] != '\0';
        if (!base_name_is_empty(&conf.upstream) && !is_elsewhere) {
            pg_slot_following(db, &conf);
        }
    }
    pg_sql_free(&rows);
}

/* --- the round --- */

static void look_around(struct pg_run *run, bool is_primary)
{
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct base_text why;
    if (pg_sql_open_local(&sql, run->settings, PG_ROLE_SUPERUSER, "quorate_agent", run->deadline,
                          &why) != 0) {
        return;
    }
    pg_pending_look(run, &sql);
    look_for_warnings(run, &sql);
    end_short_standby(run, &sql);
    recall_following(run, &sql);
    pg_slot_mirror(run, &sql, is_primary);
    pg_sql_close(&sql);
}

static void look_once(struct pg_run *run)
{
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct base_text why;
    if (pg_sql_open_local(&sql, run->settings, PG_ROLE_SUPERUSER, "quorate_agent", run->deadline,
                          &why) == 0) {
        pg_pending_look(run, &sql);
    }
    pg_sql_close(&sql);
}

/* Whether there is a server in calm, and of which root. */
static bool is_calm(struct pg_db *db, int32_t *ret_root, bool *ret_is_primary)
{
    pthread_mutex_lock(&db->lock);
    bool is_calm = db->guard.tree == GUARD_TREE_RUNNING && db->is_answering &&
                   db->interval_us >= HEARTBEAT_US_MIN;
    *ret_root = db->guard.root_pid;
    *ret_is_primary = db->watch.is_primary;
    pthread_mutex_unlock(&db->lock);
    return is_calm;
}

void pg_watch_keep(struct pg_db *db)
{
    struct pg_watch *w = &db->watch;
    struct pg_run run = {
        .db = db, .settings = db->settings, .data_dir = db->settings->data_dir.text};
    int32_t root = 0;
    bool is_primary = false;
    if (!is_calm(db, &root, &is_primary)) {
        return;
    }
    run.deadline = base_mono_add_us(pg_now(), LIMIT_US);
    keep_certificates(&run);
    if (w->settled_root != root) {
        w->settled_root = root;
        w->due_at = base_mono_add_us(pg_now(), CALM_US);
        look_once(&run); /* others wait for it: a restart has brought what was pending, or not */
    }
    if (base_mono_before(pg_now(), w->due_at)) {
        return;
    }
    w->due_at = base_mono_add_us(pg_now(), APART_US);
    look_around(&run, is_primary);
}
