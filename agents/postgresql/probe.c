/* SPDX-License-Identifier: Apache-2.0 */
/* The prober: one statement string per heartbeat over the Unix socket, or, when no server runs, a
 * look at the directory. It only looks; it never changes anything and never decides. A probe that
 * is not answered in time gives a view that says so, and a frozen server is not asked at all. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/process.h"
#include "agents/postgresql/standbys.h"
#include "base/name.h"

#define LIMIT_US_MIN (500 * BASE_US_PER_MS)
#define RETRY_US (20 * BASE_US_PER_MS) /* while a started server does not answer yet */
#define CONTROL_US (10 * BASE_US_PER_S)
#define END_OF_WAL_US (60 * BASE_US_PER_S)        /* of a standby's WAL */
#define END_OF_WAL_CRASHED_US (2 * BASE_US_PER_S) /* of a primary that may restart in place */
#define HISTORY_BYTES_MAX 8192u
#define SETTLED_S 2

/* What is remembered between probes; everything in it can be found again. */
struct probe {
    struct pg_db *db;
    const struct pg_settings *settings;
    struct pg_sql session;
    int32_t session_root;
    uint64_t session_system_id;
    /* of the stopped directory, valid while the stamp is the same */
    struct timespec control_stamp;
    ino_t control_inode;
    struct db_view stopped;
    bool has_stopped;
    /* of pg_wal */
    struct timespec wal_stamp;
    struct pg_wal_seen wal;
    /* of the history file last read */
    uint32_t fork_timeline;
    uint64_t fork_lsn;
    uint64_t flushed_lsn; /* of the look before, where WAL then lay unwritten; else 0 */
    bool is_wal_waiting;  /* as of the last look */
    struct pg_standby_words words;
    int64_t quiet_us;    /* how long the present root has not answered */
    struct db_view calm; /* last one while no directory was being made */
};

/* Columns of the first statement, in order. */
enum column {
    COL_IN_RECOVERY,
    COL_LSN,
    COL_REPLAY,
    COL_WALFILE,
    COL_SYNC,
    COL_RECEIVER_STATUS,
    COL_RECEIVER_TIMELINE,
    COL_RECEIVER_CONNINFO,
    COL_RECEIVERS,
    COL_CHECKPOINT_TIMELINE,
    COL_MIN_TIMELINE,
    COL_WAL_END,
    COL_INSERT_LSN,
    COL_VERSION,
    COL_CLIENTS,
    COL_CLIENTS_MAX,
    COL_STATUS_S,
    COL_RECEIVER_PID,
};

/* Processes are counted before positions are read: where no receiver is left, the position is the
 * last one. */
static const char statement[] =
    "SELECT r, CASE WHEN r THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    " ELSE pg_current_wal_flush_lsn() END,"
    " CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END,"
    " CASE WHEN r THEN NULL ELSE pg_walfile_name(pg_current_wal_flush_lsn()) END,"
    " current_setting('synchronous_standby_names'), w.status, w.received_tli, w.conninfo,"
    " a.receivers, c.timeline_id, m.min_recovery_end_timeline,"
    " pg_last_wal_receive_lsn() IS NOT NULL OR a.waiting > 0,"
    " CASE WHEN r THEN NULL ELSE pg_current_wal_insert_lsn() END,"
    " current_setting('server_version_num'), a.clients, current_setting('max_connections'),"
    " extract(epoch FROM current_setting('wal_receiver_status_interval')::interval)::int, w.pid"
    " FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) AS r0 CROSS JOIN pg_control_checkpoint() AS c"
    " CROSS JOIN pg_control_recovery() AS m CROSS JOIN (SELECT"
    " count(*) FILTER (WHERE backend_type = 'walreceiver') AS receivers,"
    " count(*) FILTER (WHERE backend_type = 'client backend') AS clients,"
    " count(*) FILTER (WHERE backend_type = 'startup' AND wait_event IN"
    " ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream')) AS waiting"
    " FROM pg_stat_get_activity(NULL)) AS a LEFT JOIN pg_stat_wal_receiver AS w ON true;"
    "SELECT " PG_STANDBYS_COLUMNS " FROM pg_stat_replication"
    " WHERE usename = '" PG_ROLE_REPLICATION
    "' AND application_name NOT IN ('quorate_agent', 'pg_basebackup')"
    " AND state <> 'backup' ORDER BY application_name, flush_lsn DESC NULLS LAST";

static bool same_stamp(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* --- files: history, marks --- */

/* A change right after our look may carry the same time: a directory changed just now is looked at
 * again. A timeline that was missed would rank a vote too low. */
static bool is_settled(struct timespec changed)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - changed.tv_sec > SETTLED_S;
}

static void look_at_wal(struct probe *p)
{
    struct pg_path path;
    struct stat st;
    if (pg_path_join(p->settings->data_dir.text, "pg_wal", &path) != 0 ||
        stat(path.text, &st) != 0) {
        memset(&p->wal, 0, sizeof(p->wal));
        memset(&p->wal_stamp, 0, sizeof(p->wal_stamp));
        return;
    }
    if (!same_stamp(st.st_mtim, p->wal_stamp) &&
        pg_wal_list(p->settings->data_dir.text, &p->wal) == 0) {
        p->wal_stamp = is_settled(st.st_mtim) ? st.st_mtim : (struct timespec){0};
        p->fork_timeline = 0;
    }
}

static uint64_t fork_of(struct probe *p, uint32_t timeline)
{
    char memory[HISTORY_BYTES_MAX];
    size_t len = 0;
    uint64_t lsn = 0;
    if (timeline <= 1) {
        return 0;
    }
    if (p->fork_timeline != timeline) {
        if (pg_history_read(p->settings->data_dir.text, timeline, memory, sizeof(memory), &len) !=
                0 ||
            pg_history_fork(slice_from(memory, len), &lsn) != 0) {
            return 0;
        }
        p->fork_timeline = timeline;
        p->fork_lsn = lsn;
    }
    return p->fork_lsn;
}

static void fill_timelines(struct probe *p, struct db_view *view)
{
    view->timeline_highest = larger(view->timeline, p->wal.history_highest);
    view->fork_lsn = fork_of(p, view->timeline);
}

static bool is_bad(const struct pg_settings *settings)
{
    struct pg_path making;
    return pg_conf_is_unusable(settings->data_dir.text) ||
           (pg_making_path(settings, &making) == 0 && pg_file_exists(making.text));
}

/* --- no server: the directory --- */

/* "error in WAL record at 0/3000148: invalid record length at 0/3000180: wanted 24, got 0": the
 * record named first is the last good one, whatever is wrong behind it. */
static bool last_record_of(const char *complaint, uint64_t *ret_lsn)
{
    static const char key[] = "in WAL record at ";
    const char *at = strstr(complaint, key);
    if (at == NULL) {
        return false;
    }
    at += sizeof(key) - 1;
    return pg_lsn_parse(slice_from(at, strspn(at, "0123456789ABCDEFabcdef/")), ret_lsn) == 0;
}

/* "WAL statistics between 0/2000060 and 0/3000000:": all was good up to the end asked for, and the
 * last record ends at the second. */
static bool end_of_statistics(const char *output, uint64_t *ret_lsn)
{
    static const char key[] = " and ";
    const char *line = strstr(output, "WAL statistics between ");
    const char *at = line == NULL ? NULL : strstr(line, key);
    if (at == NULL) {
        return false;
    }
    at += sizeof(key) - 1;
    return pg_lsn_parse(slice_from(at, strspn(at, "0123456789ABCDEFabcdef/")), ret_lsn) == 0;
}

/* A standby holds more than its control file says, and so does a primary that crashed: reads on to
 * the last good record. 0: not known, for want of time; a position that is too low must never be
 * told, since a vote would be taken before all of it is replayed. */
static uint64_t end_of_wal(struct probe *p, const struct pg_control *control, uint32_t timeline,
                           uint64_t fork, int64_t limit_us)
{
    const char *dir = p->settings->data_dir.text;
    struct pg_path program;
    struct pg_path wal;
    char timeline_text[16];
    uint64_t from = timeline == control->timeline ? control->checkpoint_lsn : fork;
    uint64_t known = control->min_recovery_lsn > from ? control->min_recovery_lsn : from;
    uint64_t last = 0;
    uint64_t end = 0;
    if (pg_path_join(p->settings->bin_dir.text, "pg_waldump", &program) != 0 ||
        pg_path_join(dir, "pg_wal", &wal) != 0) {
        return 0;
    }
    (void)snprintf(timeline_text, sizeof(timeline_text), "%u", timeline);
    struct pg_lsn_text from_text = pg_lsn_format(from);
    /* The tool waits 5 s for a segment that is not there: it is not sent beyond the last one. */
    struct pg_lsn_text to_text =
        pg_lsn_format(pg_wal_missing_from(dir, timeline, from, control->segment_bytes));
    const char *argv[] = {program.text, "-z",           "-p", wal.text,     "-t", timeline_text,
                          "-s",         from_text.text, "-e", to_text.text, NULL};
    struct pg_child child = {.argv = argv,
                             .deadline = base_mono_add_us(pg_now(), limit_us),
                             .cancel_fd = -1,
                             .lock_fd = -1};
    struct pg_child_result result;
    int status = pg_child_run(&child, &result);
    if (status == 0 && end_of_statistics(result.head, &end)) {
        return end > known ? end : known;
    }
    if (status != BASE_E_STATE || !last_record_of(result.error_line, &last) ||
        pg_record_end_read(dir, timeline, last, control->segment_bytes, &end) != 0) {
        return 0;
    }
    return end > known ? end : known;
}

static bool is_standby_directory(const char *dir)
{
    struct pg_path path;
    return pg_path_join(dir, "standby.signal", &path) == 0 && pg_file_exists(path.text);
}

static void read_directory(struct probe *p, struct db_view *view)
{
    const char *dir = p->settings->data_dir.text;
    struct pg_control control;
    int status =
        pg_control_read(p->settings, dir, base_mono_add_us(pg_now(), CONTROL_US), -1, &control);
    if (status != 0) {
        view->is_directory_bad = status == BASE_E_CORRUPT;
        view->note = base_text_from(slice_from_text("the control file cannot be read"));
        return;
    }
    view->system_id = control.system_id;
    view->timeline = control.timeline;
    view->was_primary =
        control.state == PG_STATE_SHUT_DOWN || control.state == PG_STATE_IN_PRODUCTION;
    if (control.state == PG_STATE_SHUT_DOWN) {
        view->is_shut_down_clean =
            pg_control_checkpoint_end(dir, &control, &view->shutdown_lsn) == 0;
        view->lsn = view->is_shut_down_clean ? view->shutdown_lsn : control.checkpoint_lsn;
    } else {
        view->timeline = larger(larger(view->timeline, control.min_recovery_timeline),
                                p->wal.segment_timeline_highest);
        fill_timelines(p, view);
        view->lsn = end_of_wal(p, &control, view->timeline, view->fork_lsn,
                               is_standby_directory(dir) ? END_OF_WAL_US : END_OF_WAL_CRASHED_US);
    }
    view->replay_lsn = view->lsn;
}

static void look_stopped(struct probe *p, struct db_view *view)
{
    struct pg_path path;
    struct stat st;
    if (pg_path_join(p->settings->data_dir.text, "global/pg_control", &path) != 0 ||
        stat(path.text, &st) != 0) {
        p->has_stopped = false;
        return;
    }
    if (!p->has_stopped || !same_stamp(p->control_stamp, st.st_mtim) ||
        p->control_inode != st.st_ino) {
        memset(&p->stopped, 0, sizeof(p->stopped));
        p->stopped.has_directory = true;
        read_directory(p, &p->stopped);
        p->control_stamp = st.st_mtim;
        p->control_inode = st.st_ino;
        p->has_stopped = true;
    }
    *view = p->stopped;
    fill_timelines(p, view);
}

/* A server that is not the guard's. */
static void note_foreign(struct probe *p, struct db_view *view)
{
    struct pg_path path;
    struct pg_processes found;
    char text[BASE_TEXT_MAX];
    if (pg_path_join(p->settings->data_dir.text, "postmaster.pid", &path) != 0 ||
        !pg_file_exists(path.text) || pg_processes_find(p->settings->data_dir.text, &found) != 0 ||
        found.postmaster == 0) {
        return;
    }
    view->is_process = true;
    (void)snprintf(text, sizeof(text), "PostgreSQL (pid %d) was not started by quorate: stop it",
                   found.postmaster);
    view->note = base_text_from(slice_from_text(text));
}

/* --- a server: ask it --- */

static void fill_receiver(const PGresult *r, struct db_view *view)
{
    const char *conninfo = pg_sql_text(r, 0, COL_RECEIVER_CONNINFO);
    static const char key[] = "quorate.upstream=";
    const char *at = strstr(conninfo, key);
    view->has_receiver = pg_sql_u64(r, 0, COL_RECEIVERS) > 0;
    view->is_receiving = strcmp(pg_sql_text(r, 0, COL_RECEIVER_STATUS), "streaming") == 0;
    view->receiver_pid = (int32_t)pg_sql_u64(r, 0, COL_RECEIVER_PID);
    if (at != NULL && view->has_receiver) {
        at += sizeof(key) - 1;
        (void)!base_name_from(slice_from(at, strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_-")),
                              &view->receiving_from);
    }
}

static uint32_t walfile_timeline(const char *name)
{
    char text[12];
    uint64_t value = 0;
    (void)snprintf(text, sizeof(text), "0/%.8s", name); /* the digits as the low half of an LSN */
    return pg_lsn_parse(slice_from_text(text), &value) == 0 ? (uint32_t)value : 0;
}

static void fill_server(struct probe *p, const PGresult *r, struct db_view *view)
{
    view->has_directory = true;
    view->system_id = p->session_system_id;
    view->is_answering = true;
    view->is_in_recovery = pg_sql_bool(r, 0, COL_IN_RECOVERY);
    view->lsn = pg_sql_lsn(r, 0, COL_LSN);
    view->replay_lsn = pg_sql_lsn(r, 0, COL_REPLAY);
    fill_receiver(r, view);
    if (view->is_in_recovery) {
        uint32_t receiving = (uint32_t)pg_sql_u64(r, 0, COL_RECEIVER_TIMELINE);
        uint32_t on_disk = larger((uint32_t)pg_sql_u64(r, 0, COL_CHECKPOINT_TIMELINE),
                                  (uint32_t)pg_sql_u64(r, 0, COL_MIN_TIMELINE));
        on_disk = larger(on_disk, p->wal.segment_timeline_highest);
        view->timeline = view->is_receiving && receiving > 0 ? receiving : on_disk;
        view->is_wal_end_reached = pg_sql_bool(r, 0, COL_WAL_END);
    } else {
        view->timeline = walfile_timeline(pg_sql_text(r, 0, COL_WALFILE));
    }
    fill_timelines(p, view);
}

/* WAL that nobody writes between two looks: a commit hangs, or an asynchronous one was just made.
 */
static void look_at_writing(struct probe *p, const PGresult *r, const struct db_view *view)
{
    uint64_t inserted = pg_sql_lsn(r, 0, COL_INSERT_LSN);
    bool is_behind = !view->is_in_recovery && inserted > view->lsn;
    p->is_wal_waiting = is_behind && p->flushed_lsn == view->lsn;
    p->flushed_lsn = is_behind ? view->lsn : 0;
}

static void fill_use(const PGresult *r, struct db_view *view)
{
    view->version = (uint32_t)pg_sql_u64(r, 0, COL_VERSION);
    view->connections = (uint32_t)pg_sql_u64(r, 0, COL_CLIENTS);
    view->connections_max = (uint32_t)pg_sql_u64(r, 0, COL_CLIENTS_MAX);
}

/* Known when we put it in force under this very root, and a session still shows the same. */
static void fill_sync(struct probe *p, const PGresult *r, struct db_view *view)
{
    struct pg_db *db = p->db;
    struct slice text = slice_from_text(pg_sql_text(r, 0, COL_SYNC));
    if (pg_sync_parse(text, &view->sync_names, &view->sync_count) != 0 || view->is_in_recovery) {
        return;
    }
    pthread_mutex_lock(&db->lock);
    view->is_sync_known = db->is_sync_known && db->sync_root_pid == db->guard.root_pid &&
                          db->sync_count == view->sync_count &&
                          memcmp(&db->sync_names, &view->sync_names, sizeof(db->sync_names)) == 0;
    pthread_mutex_unlock(&db->lock);
}

static int64_t limit_us(struct probe *p, int64_t interval)
{
    (void)p;
    return 2 * interval > LIMIT_US_MIN ? 2 * interval : LIMIT_US_MIN;
}

static int ensure_session(struct probe *p, int32_t root_pid, struct base_mono deadline,
                          struct base_text *why)
{
    struct pg_sql_rows rows;
    if (pg_sql_is_open(&p->session) && p->session_root == root_pid) {
        return 0;
    }
    int status = pg_sql_open_local(&p->session, p->settings, PG_ROLE_MONITOR, "quorate_probe",
                                   deadline, why);
    if (status == 0) {
        status = pg_sql_run(&p->session, "SELECT system_identifier FROM pg_control_system()",
                            deadline, &rows, why);
    }
    if (status == 0) {
        p->session_root = root_pid;
        p->session_system_id = rows.count > 0 && PQntuples(rows.results[0]) > 0
                                   ? pg_sql_u64(rows.results[0], 0, 0)
                                   : 0;
        pg_sql_free(&rows);
    }
    return status;
}

static void ask(struct probe *p, int32_t root_pid, int64_t interval, struct db_view *view)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), limit_us(p, interval));
    struct pg_sql_rows rows;
    struct base_text why;
    int status = ensure_session(p, root_pid, deadline, &why);
    if (status == 0) {
        status = pg_sql_run(&p->session, statement, deadline, &rows, &why);
    }
    if (status != 0) {
        view->note = why;
        return;
    }
    if (rows.count == 2 && PQntuples(rows.results[0]) == 1) {
        fill_server(p, rows.results[0], view);
        fill_use(rows.results[0], view);
        look_at_writing(p, rows.results[0], view);
        fill_sync(p, rows.results[0], view);
        pg_standbys_fill(&p->words, rows.results[1],
                         (int64_t)pg_sql_u64(rows.results[0], 0, COL_STATUS_S), view);
    }
    pg_sql_free(&rows);
}

/* --- the thread --- */

struct moment {
    struct guard_status guard;
    struct base_text note;
    uint64_t last_done_id;
    int64_t interval;
    bool is_making; /* an order works in the directory */
};

static void look(struct probe *p, const struct moment *m, struct db_view *view)
{
    memset(view, 0, sizeof(*view));
    look_at_wal(p);
    if (m->is_making) {
        /* Its marks are its own affair until it has ended: a half rewound directory is no news. */
        *view = p->calm;
    } else if (m->guard.tree == GUARD_TREE_GONE) {
        pg_sql_close(&p->session);
        look_stopped(p, view);
        note_foreign(p, view);
    } else {
        struct pg_path path;
        p->has_stopped = false;
        view->has_directory =
            pg_path_join(p->settings->data_dir.text, "global/pg_control", &path) == 0 &&
            pg_file_exists(path.text);
        view->system_id = p->session_system_id;
        view->is_process = m->guard.tree != GUARD_TREE_ROOT_EXITED;
        if (m->guard.tree == GUARD_TREE_RUNNING) {
            ask(p, m->guard.root_pid, m->interval, view);
        }
    }
    if (!m->is_making) {
        view->is_directory_bad = view->is_directory_bad || is_bad(p->settings);
        p->calm = *view;
    }
    view->disk_free_bytes = pg_disk_free(p->settings->data_dir.text);
    view->orders_done = m->last_done_id;
    if (m->note.text[0] != '\0') {
        view->note = m->note;
    }
}

/* Lock held. */
static bool is_making(const struct pg_db *db)
{
    enum db_order_kind kind = db->order.kind;
    return db->has_order && db->guard.tree == GUARD_TREE_GONE &&
           (kind == DB_ORDER_INIT || kind == DB_ORDER_CLONE || kind == DB_ORDER_REWIND);
}

/* Lock held. A view that began before such an order and saw its marks is not published either.
 * A view of a root that has gone meanwhile is not published: the next one is due at
 * once. */
static bool publish(struct probe *p, const struct moment *m, const struct db_view *view)
{
    struct pg_db *db = p->db;
    if (db->guard.root_pid != m->guard.root_pid || db->guard.tree != m->guard.tree ||
        (is_making(db) && !m->is_making)) {
        return false;
    }
    db->view = *view;
    db->view.work_done_bytes = db->work_done_bytes;
    db->view.work_total_bytes = db->work_total_bytes;
    db->has_view = true;
    db->is_answering = view->is_answering;
    db->is_standby = view->is_answering && view->is_in_recovery;
    db->is_receiving = view->is_receiving;
    if (view->is_answering) {
        db->watch.answered_root = m->guard.root_pid;
        db->watch.is_primary = !view->is_in_recovery;
    }
    db->watch.is_wal_waiting = p->is_wal_waiting;
    pg_watch_fill(db, &db->view);
    db->options.wake(db->options.wake_ctx);
    return true;
}

static int64_t pause_us(struct probe *p, const struct moment *m, const struct db_view *view)
{
    bool is_starting = m->guard.tree == GUARD_TREE_RUNNING && !view->is_answering;
    p->quiet_us = is_starting ? p->quiet_us + RETRY_US : 0;
    bool is_quick = is_starting && p->quiet_us < 2 * BASE_US_PER_S && m->interval > RETRY_US;
    return is_quick ? RETRY_US : m->interval;
}

void *pg_probe_thread(void *ctx)
{
    struct pg_db *db = ctx;
    struct probe p = {.db = db, .settings = db->settings, .session = {.cancel_fd = -1}};
    pthread_mutex_lock(&db->lock);
    while (!db->is_stopping) {
        struct moment m = {db->guard, db->note, db->last_done_id, db->interval_us, is_making(db)};
        struct base_mono began = pg_now();
        struct db_view view;
        db->wants_probe = false;
        pthread_mutex_unlock(&db->lock);
        look(&p, &m, &view);
        pthread_mutex_lock(&db->lock);
        if (!publish(&p, &m, &view)) {
            continue;
        }
        struct base_mono next = base_mono_add_us(began, pause_us(&p, &m, &view));
        while (!db->is_stopping && !db->wants_probe && base_mono_before(pg_now(), next)) {
            pg_db_wait(db, &db->probe_changed, next);
        }
    }
    pthread_mutex_unlock(&db->lock);
    pg_sql_close(&p.session);
    return NULL;
}
