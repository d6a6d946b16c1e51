/* SPDX-License-Identifier: Apache-2.0 */
/* The order REWIND: a former primary's directory is made to follow the new one. It works in place
 * under a mark in the directory, on a directory of the same database system alone, and never while
 * a server runs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/layout.h"
#include "base/name.h"

#define HISTORY_BYTES_MAX 8192u

struct source {
    struct pg_sql sql;
    char conninfo[PG_RUN_CONNINFO_MAX];
    uint64_t system_id;
    uint32_t timeline;
    char history[HISTORY_BYTES_MAX]; /* of that timeline */
    size_t history_len;
};

/* pg_rewind of 15 reads the source's timeline from its last checkpoint: only when that one is on
 * the timeline the source writes on can its word be taken. */
static const char source_statement[] =
    "SELECT s.system_identifier, c.timeline_id, pg_is_in_recovery(), encode(pg_read_binary_file("
    "'pg_wal/' || lpad(upper(to_hex(c.timeline_id)), 8, '0') || '.history',"
    " 0, 8191, true), 'escape'),"
    " CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END"
    " FROM pg_control_system() AS s, pg_control_checkpoint() AS c";

static int source_take(struct pg_run *run, struct source *source, const PGresult *r)
{
    char walfile[12];
    source->system_id = pg_sql_u64(r, 0, 0);
    source->timeline = (uint32_t)pg_sql_u64(r, 0, 1);
    (void)snprintf(source->history, sizeof(source->history), "%s", pg_sql_text(r, 0, 3));
    source->history_len = strlen(source->history);
    (void)snprintf(walfile, sizeof(walfile), "%08X", source->timeline);
    if (pg_sql_bool(r, 0, 2) || strncmp(pg_sql_text(r, 0, 4), walfile, 8) != 0) {
        return pg_run_fail(run, BASE_E_UNREACHABLE,
                           "%s is not a primary with a checkpoint on its timeline",
                           run->order.upstream_member.text);
    }
    return 0;
}

static int source_open(struct pg_run *run, struct source *source)
{
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    int status = pg_run_upstream_conninfo(run, PG_ROLE_REWIND, false, source->conninfo,
                                          sizeof(source->conninfo));
    if (status != 0) {
        return status;
    }
    pg_run_note(run, "checkpoint on the source of the rewind");
    status = pg_sql_open(&source->sql, source->conninfo, run->deadline, &why);
    if (status == 0 && pg_layout_version(run->settings) >= 15) {
        /* Before, only a superuser may: then the checkpoint after a promotion is waited for. */
        status = pg_sql_do(&source->sql, "CHECKPOINT", run->deadline, &why);
    }
    if (status == 0) {
        status = pg_sql_run(&source->sql, source_statement, run->deadline, &rows, &why);
    }
    if (status != 0) {
        return pg_run_upstream_failed(run, status, &why);
    }
    status = rows.count == 1 && PQntuples(rows.results[0]) == 1
                 ? source_take(run, source, rows.results[0])
                 : pg_run_fail(run, BASE_E_PROTO, "no answer of the source");
    pg_sql_free(&rows);
    return status;
}

/* True when pg_rewind had begun to change the directory, or failed for a reason that stays. Before
 * that it has at most let the server's own crash recovery run. */
static bool is_failure_lasting(const struct pg_run *run, int status,
                               const struct pg_child_result *result)
{
    static const char *const passing[] = {"could not connect",      "connection to server",
                                          "terminating connection", "server closed the connection",
                                          "could not send",         "shutting down"};
    if (run->is_watched_seen) {
        return true;
    }
    if (status == BASE_E_CANCELED || status == BASE_E_TIMEOUT) {
        return false;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(passing); i++) {
        if (strstr(result->error_line, passing[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static int run_rewind(struct pg_run *run, const struct source *source, bool *ret_is_lasting)
{
    struct pg_child_result result;
    char restore[16];
    const char *argv[] = {
        "pg_rewind", "-D", run->data_dir, "--source-server", source->conninfo, "--progress",
        "--no-sync", NULL, NULL};
    /* WAL that the directory no longer has comes from the archive. */
    int asked = pg_run_setting(run, run->data_dir, "restore_command", restore, sizeof(restore));
    if (asked == BASE_E_TOOBIG || (asked == 0 && restore[0] != '\0')) {
        argv[7] = "--restore-target-wal";
    }
    pg_run_note(run, "pg_rewind");
    run->watched = "need to copy"; /* said right before the first change */
    int status = pg_run_helper(run, argv, SLICE_EMPTY, &result);
    *ret_is_lasting = status != 0 && is_failure_lasting(run, status, &result);
    return status;
}

/* Our own look, whatever the tool said: the directory must now lead onto the source's timeline. */
static int verify_rewound(struct pg_run *run, const struct source *source)
{
    struct pg_control control;
    uint64_t left_at = 0;
    uint64_t end = 0;
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    int status =
        pg_control_read(run->settings, run->data_dir, deadline, run->db->cancel_fd, &control);
    if (status != 0 || control.system_id != source->system_id) {
        return pg_run_fail(run, BASE_E_CORRUPT,
                           "the control file after the rewind is not the source's");
    }
    if (control.min_recovery_timeline == source->timeline &&
        control.state == PG_STATE_IN_RECOVERY) {
        return 0;
    }
    /* "no rewind required": right only when it ended in order at or before the point where the
     * source left its timeline. */
    bool is_prefix = control.state == PG_STATE_SHUT_DOWN &&
                     pg_control_checkpoint_end(run->data_dir, &control, &end) == 0 &&
                     pg_history_switch_of(slice_from(source->history, source->history_len),
                                          control.timeline, &left_at) == 0 &&
                     end <= left_at;
    if (!is_prefix) {
        return pg_run_fail(run, BASE_E_CORRUPT,
                           "pg_rewind said it was done, but timeline %u is not where %s came from",
                           control.timeline, run->order.upstream_member.text);
    }
    return 0;
}

/* A directory on the source's own timeline number was promoted apart: the tool would see nothing to
 * do. */
static int check_rewindable(struct pg_run *run, const struct source *source)
{
    struct pg_control control;
    struct pg_wal_seen seen = {.segment_timeline_highest = 0};
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    int status =
        pg_control_read(run->settings, run->data_dir, deadline, run->db->cancel_fd, &control);
    if (status != 0) {
        return pg_run_fail(run, status, "the control file of %s cannot be read", run->data_dir);
    }
    if (control.system_id != source->system_id) {
        return pg_run_fail(run, BASE_E_DENIED, "%s belongs to another database system (%llu)",
                           run->data_dir, (unsigned long long)control.system_id);
    }
    (void)!pg_wal_list(run->data_dir, &seen);
    bool is_same =
        control.timeline == source->timeline || seen.segment_timeline_highest == source->timeline;
    /* pg_rewind of 15 takes the target's timeline from its last checkpoint: a standby that has gone
     * on to another since then would be compared with the wrong history. */
    bool is_ahead =
        control.min_recovery_timeline > control.timeline && control.state != PG_STATE_IN_PRODUCTION;
    if (is_same || is_ahead || control.timeline > source->timeline || !control.may_rewind) {
        return pg_run_fail(
            run, BASE_E_UNSUPPORTED,
            "timeline %u of this directory cannot be rewound to timeline %u: clone it",
            control.timeline, source->timeline);
    }
    return 0;
}

static int rewind_marked(struct pg_run *run, const struct source *source)
{
    struct pg_conf conf = pg_run_conf(run);
    struct pg_upstream upstream;
    struct pg_path mark;
    bool is_lasting = false;
    int status = run_rewind(run, source, &is_lasting);
    if (status != 0 && !is_lasting) {
        (void)!pg_conf_set_unusable(run->data_dir, NULL);
        return status;
    }
    if (status == 0) {
        status = verify_rewound(run, source);
    }
    if (status != 0) {
        return status; /* the mark stays */
    }
    pg_archive_forget(run->data_dir);
    conf.has_slot = pg_run_make_slot(run, PG_RUN_SLOT_LIMIT_US, &upstream) == 0;
    status = pg_run_configure_standby(run, run->data_dir, &conf);
    status = status != 0 ? status : pg_run_sync_data(run, run->data_dir);
    if (status == 0 && pg_path_join(run->data_dir, PG_UNUSABLE_FILE, &mark) == 0) {
        status = pg_conf_set_unusable(run->data_dir, NULL);
    }
    return status != 0 ? status
                       : pg_run_fail(run, 0, "rewound to %s, timeline %u", conf.upstream.text,
                                     source->timeline);
}

/* Configuration under which the tool's own single-user recovery runs: no signal files, no receiver.
 */
static int calm_configuration(struct pg_run *run)
{
    struct pg_conf conf = {.has_slot = false};
    int status = pg_conf_set_standby(run->data_dir, false);
    if (status == 0) {
        status = pg_history_clear_reserved(run->data_dir);
    }
    return status != 0 ? status : pg_conf_write(run->settings, run->data_dir, &conf);
}

int pg_order_rewind(struct pg_run *run)
{
    struct source source = {.sql = {.cancel_fd = run->db->cancel_fd}};
    int status = pg_run_check_stopped(run);
    if (status == 0 && pg_conf_is_unusable(run->data_dir)) {
        return pg_run_fail(run, BASE_E_CORRUPT, "%s is half rewound: clone it", run->data_dir);
    }
    if (status == 0 && run->order.is_remote && run->settings->remote_user[0] != '\0') {
        return pg_run_fail(run, BASE_E_UNSUPPORTED,
                           "no role for a rewind is known at the primary elsewhere: clone it");
    }
    status = status != 0 ? status : pg_run_resolve_remote(run);
    if (status == 0) {
        status = source_open(run, &source);
    }
    if (status == 0) {
        status = check_rewindable(run, &source);
        if (status == BASE_E_UNSUPPORTED) {
            (void)!pg_conf_set_unusable(run->data_dir, run->text.text);
        }
    }
    pg_sql_close(&source.sql);
    if (status != 0) {
        return status;
    }
    if (pg_archive_is_waiting(run->settings)) {
        pg_archive_before_loss(run, slice_from(source.history, source.history_len));
    }
    status = pg_conf_set_unusable(run->data_dir, "half rewound");
    if (status == 0) {
        status = calm_configuration(run);
    }
    return status != 0 ? pg_run_fail(run, status, "cannot mark %s: %s", run->data_dir,
                                     base_error_text(status))
                       : rewind_marked(run, &source);
}
