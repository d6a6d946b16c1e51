/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for a restart: parameters whose value in the files is not the one the server runs
 * with, each with old and new value.
 *
 * The server's own flag says it for all but the five ordered ones: these are compared with what is
 * wanted, since a start may have bounded them (see config.h). A standby that only waits until the
 * primary runs with a lower value is not pending itself: restarting it would change nothing. Worker
 * thread; a session that was opened after the reload, since an older one may not have read the
 * files yet. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define LOOK_US (2 * BASE_US_PER_S)

#define ORDERED_NAMES \
    "('max_connections', 'max_locks_per_transaction', 'max_prepared_transactions', " \
    "'max_wal_senders', 'max_worker_processes')"

/* The last word of the files, as the server reads them. Its flag does not know of what a command
 * line hides: that of a server which somebody else has started goes before the files until then. */
static const char statement[] =
    "SELECT name, running, wanted FROM (SELECT s.name, s.pending_restart, s.source = 'command line'"
    " AND s.context = 'postmaster' AS is_hidden, current_setting(s.name) AS running,"
    " (SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name ORDER BY f.seqno DESC"
    " LIMIT 1) AS wanted FROM pg_settings s WHERE (s.pending_restart OR s.source = 'command line')"
    " AND s.name NOT IN " ORDERED_NAMES ") x WHERE pending_restart OR (is_hidden AND"
    " wanted <> running) ORDER BY 1;"
    "SELECT name, setting, pg_is_in_recovery() FROM pg_settings WHERE name IN " ORDERED_NAMES
    " ORDER BY name COLLATE \"C\"";

struct found {
    struct buf b;
    bool is_pending;
};

static void put(struct found *found, const char *name, const char *from, const char *to)
{
    buf_put_text(&found->b, found->b.len > 0 ? ", " : "");
    buf_put_text(&found->b, name);
    buf_put_text(&found->b, " ");
    buf_put_text(&found->b, from);
    buf_put_text(&found->b, " -> ");
    buf_put_text(&found->b, to);
}

static void put_flagged(const PGresult *r, struct found *found)
{
    for (int row = 0; row < PQntuples(r); row++) {
        const char *to = pg_sql_text(r, row, 2);
        put(found, pg_sql_text(r, row, 0), pg_sql_text(r, row, 1), to[0] == '\0' ? "default" : to);
        found->is_pending = true;
    }
}

/* Rows come in the order of the table: both are sorted by name. */
static bool has_lower_wish(struct pg_run *run, const PGresult *r)
{
    for (int row = 0; row < PQntuples(r) && row < ARB_PG_ORDERED_COUNT; row++) {
        int64_t wanted = pg_config_wanted(run->settings, (unsigned)row);
        if (wanted > 0 && wanted < (int64_t)pg_sql_u64(r, row, 1)) {
            return true;
        }
    }
    return false;
}

static void put_ordered(struct pg_run *run, const PGresult *r, struct found *found)
{
    struct pg_control control;
    bool is_standby = PQntuples(r) > 0 && pg_sql_bool(r, 0, 2);
    struct base_mono deadline = base_mono_min(run->deadline, base_mono_add_us(pg_now(), LOOK_US));
    memset(&control, 0, sizeof(control));
    if (is_standby && has_lower_wish(run, r) &&
        pg_control_read(run->settings, run->data_dir, deadline, run->db->cancel_fd, &control) !=
            0) {
        return; /* looked up again soon */
    }
    for (int row = 0; row < PQntuples(r) && row < ARB_PG_ORDERED_COUNT; row++) {
        const char *name = pg_sql_text(r, row, 0);
        int64_t wanted = pg_config_wanted(run->settings, (unsigned)row);
        int64_t running = (int64_t)pg_sql_u64(r, row, 1);
        bool is_waiting = is_standby && wanted < running && control.ordered[row] > wanted;
        char to[64];
        if (wanted == 0 || wanted == running || strcmp(name, arb_pg_ordered((unsigned)row)->name)) {
            continue;
        }
        (void)snprintf(to, sizeof(to), "%" PRId64 "%s", wanted,
                       is_waiting ? " (after the primary)" : "");
        put(found, name, pg_sql_text(r, row, 1), to);
        found->is_pending = found->is_pending || !is_waiting;
    }
}

void pg_pending_look(struct pg_run *run, struct pg_sql *superuser)
{
    char memory[BASE_TEXT_MAX + 1];
    struct found found = {.b = buf_over(memory, sizeof(memory)), .is_pending = false};
    struct pg_sql_rows rows;
    struct base_text why;
    struct base_mono deadline = base_mono_min(run->deadline, base_mono_add_us(pg_now(), LOOK_US));
    if (run->settings->config == NULL ||
        pg_sql_run(superuser, statement, deadline, &rows, &why) != 0) {
        return;
    }
    if (rows.count == 2) {
        put_flagged(rows.results[0], &found);
        put_ordered(run, rows.results[1], &found);
    }
    pg_sql_free(&rows);
    pthread_mutex_lock(&run->db->lock);
    run->db->watch.is_restart_pending = found.is_pending;
    run->db->watch.pending = base_text_from(buf_slice(&found.b));
    pthread_mutex_unlock(&run->db->lock);
}
