/* SPDX-License-Identifier: Apache-2.0 */
/* Orders about synchronous replication on a running primary: put a set in force, and the position
 * barrier.
 *
 * "In force" is what section 5 of the safety rules asks for: a session that was opened after the
 * reload shows the setting, and each WAL sender that is older has handled two replies since (one
 * reply may have been read before the sender came round to its configuration), or is gone. Replies
 * that had piled up are read in one go, so the sender must also have been seen to send twice: it
 * comes by its configuration in between. A sender whose standby does not answer is ended: it can
 * acknowledge nothing for a dead standby, and a living one comes back with the new setting.
 *
 * Whether commits wait at all is kept in shared memory by the checkpointer, which reads the setting
 * when it gets round to it: after a time without synchronous standbys a checkpoint that was asked
 * for after the reload is the proof that it has. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/db_internal.h"
#include "base/canary.h"
#include "base/name.h"

#define POLL_US 1500
#define RESIGNAL_US (200 * BASE_US_PER_MS)
#define SILENT_US (500 * BASE_US_PER_MS)
#define SENDERS_MAX 32
#define SYNC_BYTES_MAX 2048
#define ROUNDS_NEEDED 2

struct sender {
    uint64_t pid;
    uint64_t start_us; /* a pid may be used again */
    uint64_t reply_us; /* the standby's clock: only whether it changed counts */
    uint64_t sent_lsn;
    unsigned replies;
    unsigned sends;
    bool is_present;
};

struct senders {
    unsigned count;
    struct sender list[SENDERS_MAX];
};

static const char senders_statement[] =
    "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint,"
    " coalesce((extract(epoch FROM reply_time) * 1000000)::bigint, 0), sent_lsn"
    " FROM pg_stat_replication WHERE state <> 'backup'";

int pg_run_new_session_value(struct pg_run *run, const char *text, char *memory, size_t cap)
{
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    int status = pg_sql_open_local(&sql, run->settings, PG_ROLE_MONITOR, "quorate_agent",
                                   run->deadline, &run->text);
    if (status == 0) {
        status = pg_sql_run(&sql, text, run->deadline, &rows, &run->text);
    }
    if (status == 0) {
        (void)snprintf(memory, cap, "%s", pg_sql_text(rows.results[0], 0, 0));
        pg_sql_free(&rows);
    }
    pg_sql_close(&sql);
    return status;
}

static int new_session_shows(struct pg_run *run, const char *wanted, bool *ret_shows)
{
    char shown[SYNC_BYTES_MAX];
    int status = pg_run_new_session_value(
        run, "SELECT current_setting('synchronous_standby_names')", shown, sizeof(shown));
    *ret_shows = status == 0 && strcmp(shown, wanted) == 0;
    return status;
}

static int wait_shown(struct pg_run *run, const char *wanted)
{
    struct base_mono resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
    bool shows = false;
    for (;;) {
        int status = new_session_shows(run, wanted, &shows);
        if (status != 0 || shows) {
            return status;
        }
        if (base_mono_before(resignal, pg_now())) {
            pg_run_signal(run, SIGHUP);
            resignal = base_mono_add_us(pg_now(), RESIGNAL_US);
        }
        status = pg_run_sleep_us(run, POLL_US);
        if (status == BASE_E_TIMEOUT) {
            return pg_run_fail(
                run, status,
                "sessions do not show synchronous_standby_names = '%.150s': is it set elsewhere?",
                wanted);
        }
        if (status != 0) {
            return status;
        }
    }
}

static int list_senders(struct pg_run *run, struct senders *ret)
{
    struct pg_sql_rows rows;
    int status = pg_run_query(run, senders_statement, &rows);
    if (status != 0) {
        return status;
    }
    const PGresult *r = rows.results[0];
    ret->count = 0;
    for (int row = 0; row < PQntuples(r) && ret->count < SENDERS_MAX; row++) {
        ret->list[ret->count++] = (struct sender){.pid = pg_sql_u64(r, row, 0),
                                                  .start_us = pg_sql_u64(r, row, 1),
                                                  .reply_us = pg_sql_u64(r, row, 2),
                                                  .sent_lsn = pg_sql_lsn(r, row, 3),
                                                  .is_present = true};
    }
    bool is_cut = PQntuples(rows.results[0]) > SENDERS_MAX;
    pg_sql_free(&rows);
    return is_cut ? pg_run_fail(run, BASE_E_TOOBIG, "more than %d WAL senders", SENDERS_MAX) : 0;
}

/* The same session as it is now; NULL when it is gone. */
static const struct sender *find_same(const struct senders *list, const struct sender *one)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (list->list[i].pid == one->pid && list->list[i].start_us == one->start_us) {
            return &list->list[i];
        }
    }
    return NULL;
}

static bool is_up_to_date(const struct sender *s)
{
    return s->replies >= ROUNDS_NEEDED && s->sends >= ROUNDS_NEEDED;
}

/* Counts replies and sends of the marked senders; returns how many are still to be waited for. */
static unsigned count_rounds(struct senders *marked, const struct senders *now)
{
    unsigned waiting = 0;
    for (unsigned i = 0; i < marked->count; i++) {
        struct sender *s = &marked->list[i];
        const struct sender *same = find_same(now, s);
        s->is_present = same != NULL;
        if (same == NULL) {
            continue;
        }
        s->replies += same->reply_us != s->reply_us ? 1 : 0;
        s->sends += same->sent_lsn != s->sent_lsn ? 1 : 0;
        s->reply_us = same->reply_us;
        s->sent_lsn = same->sent_lsn;
        waiting += is_up_to_date(s) ? 0 : 1;
    }
    return waiting;
}

/* The server counts any WAL sender by its name, whoever it is, in letters of any case. One that is
 * no member of ours would acknowledge what no member has: its name must be unique among all
 * connections. */
static int check_names(struct pg_run *run, const char *wanted)
{
    char text[SYNC_BYTES_MAX + 256];
    struct pg_sql_rows rows;
    (void)snprintf(text, sizeof(text),
                   "SELECT pid, usename, application_name FROM pg_stat_replication WHERE usename"
                   " <> '" PG_ROLE_REPLICATION
                   "' AND position('\"' || lower(application_name) || '\"' in"
                   " '%s') > 0 LIMIT 1",
                   wanted);
    int status = pg_run_query(run, text, &rows);
    if (status != 0) {
        return status;
    }
    const PGresult *r = rows.results[0];
    if (PQntuples(r) > 0) {
        status = pg_run_fail(run, BASE_E_STATE,
                             "WAL sender %s of user %s calls itself %s, as a member does: end it",
                             pg_sql_text(r, 0, 0), pg_sql_text(r, 0, 1), pg_sql_text(r, 0, 2));
    }
    pg_sql_free(&rows);
    return status;
}

/* A little WAL makes every living standby answer; it goes out without waiting for anybody. */
static int provoke_replies(struct pg_run *run)
{
    struct pg_sql_rows rows;
    int status = pg_run_query(run, "SELECT pg_logical_emit_message(true, 'quorate', '')", &rows);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    return status;
}

static int end_silent(struct pg_run *run, const struct senders *marked)
{
    for (unsigned i = 0; i < marked->count; i++) {
        const struct sender *s = &marked->list[i];
        char text[96];
        struct pg_sql_rows rows;
        if (!s->is_present || is_up_to_date(s)) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "SELECT pg_terminate_backend(%llu)",
                       (unsigned long long)s->pid);
        int status = pg_run_query(run, text, &rows);
        if (status != 0) {
            return status;
        }
        pg_sql_free(&rows);
    }
    return 0;
}

static int wait_senders(struct pg_run *run)
{
    struct senders marked;
    struct senders now;
    struct base_mono silent = base_mono_add_us(pg_now(), SILENT_US);
    int status = list_senders(run, &marked);
    while (status == 0) {
        status = provoke_replies(run);
        if (status == 0) {
            status = list_senders(run, &now);
        }
        if (status == 0 && count_rounds(&marked, &now) == 0) {
            return 0;
        }
        if (status == 0 && base_mono_before(silent, pg_now())) {
            status = end_silent(run, &marked);
            silent = base_mono_add_us(pg_now(), SILENT_US);
        }
        if (status == 0) {
            status = pg_run_sleep_us(run, POLL_US);
        }
    }
    return status;
}

static void set_known(struct pg_run *run, bool is_known)
{
    struct pg_db *db = run->db;
    pthread_mutex_lock(&db->lock);
    db->is_sync_known = is_known;
    db->sync_root_pid = db->guard.root_pid;
    db->sync_names = run->order.sync_names;
    db->sync_count = run->order.sync_count;
    pthread_mutex_unlock(&db->lock);
}

/* Only when they may have been off under this root: a checkpoint costs. */
static int make_commits_wait(struct pg_run *run)
{
    int32_t root_pid = pg_run_guard(run).root_pid;
    if (run->order.sync_count == 0 || run->db->waits_root_pid == root_pid ||
        CANARY(SYNC_WITHOUT_CHECKPOINT)) {
        return 0;
    }
    int status = pg_order_checkpoint(run);
    if (status == 0) {
        run->db->waits_root_pid = root_pid;
    }
    return status;
}

int pg_order_set_sync(struct pg_run *run)
{
    char memory[SYNC_BYTES_MAX];
    struct buf wanted = buf_over(memory, sizeof(memory));
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    conf.has_sync = true;
    conf.sync_names = run->order.sync_names;
    conf.sync_count = run->order.sync_count;
    pg_sync_format(&conf.sync_names, conf.sync_count, &wanted);
    if (!buf_terminate(&wanted) || wanted.is_full) {
        return BASE_E_TOOBIG;
    }
    set_known(run, false);
    int status = check_names(run, memory);
    if (status != 0) {
        return status;
    }
    if (conf.sync_count == 0) {
        run->db->waits_root_pid = 0;
    }
    status = pg_conf_write(run->settings, run->data_dir, &conf);
    if (status != 0) {
        return pg_run_fail(run, status, "cannot write quorate.conf in %s: %s", run->data_dir,
                           base_error_text(status));
    }
    pg_slot_following(run->db, &conf);
    pg_run_signal(run, SIGHUP);
    status = wait_shown(run, memory);
    if (status == 0) {
        status = make_commits_wait(run);
    }
    if (status == 0) {
        status = wait_senders(run);
    }
    if (status != 0) {
        return status;
    }
    set_known(run, true);
    return pg_run_fail(run, 0, "synchronous_standby_names = '%.200s' is in force", memory);
}

/* --- BARRIER --- */

static int take_position(struct pg_run *run, uint64_t *ret_lsn)
{
    struct pg_sql_rows rows;
    int status = pg_run_query(run, "SELECT pg_current_wal_flush_lsn()", &rows);
    if (status == 0) {
        *ret_lsn = pg_sql_lsn(rows.results[0], 0, 0);
        pg_sql_free(&rows);
    }
    return status;
}

static bool is_named(const struct msg_names *names, const char *text)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i].text, text) == 0) {
            return true;
        }
    }
    return false;
}

static int count_flushed(struct pg_run *run, uint64_t lsn, unsigned *ret_count)
{
    struct pg_sql_rows rows;
    static const char text[] = "SELECT application_name, max(flush_lsn) FROM pg_stat_replication"
                               " WHERE usename = '" PG_ROLE_REPLICATION "' GROUP BY 1";
    unsigned count = 0;
    int status = pg_run_query(run, text, &rows);
    if (status != 0) {
        return status;
    }
    for (int row = 0; row < PQntuples(rows.results[0]); row++) {
        bool is_one = is_named(&run->order.sync_names, pg_sql_text(rows.results[0], row, 0));
        count += is_one && pg_sql_lsn(rows.results[0], row, 1) >= lsn ? 1 : 0;
    }
    pg_sql_free(&rows);
    *ret_count = count;
    return 0;
}

static int load_time(struct pg_run *run, char *memory, size_t cap)
{
    return pg_run_new_session_value(run, "SELECT extract(epoch FROM pg_conf_load_time())", memory,
                                    cap);
}

/* A signal may get lost on its way: until the server has read its files again. */
int pg_run_reload(struct pg_run *run)
{
    char before[64];
    char now[64];
    struct base_mono signal_at = pg_now();
    int status = load_time(run, before, sizeof(before));
    while (status == 0) {
        if (!base_mono_before(pg_now(), signal_at)) {
            pg_run_signal(run, SIGHUP);
            signal_at = base_mono_add_us(pg_now(), RESIGNAL_US);
        }
        status = pg_run_sleep_us(run, POLL_US);
        if (status == 0) {
            status = load_time(run, now, sizeof(now));
        }
        if (status == 0 && strcmp(now, before) != 0) {
            return 0;
        }
    }
    return status;
}

/* What a crash made visible is safe now: clients may come. */
static int lift_gate(struct pg_run *run)
{
    bool is_changed = false;
    int32_t root_pid = pg_run_guard(run).root_pid;
    int status = pg_conf_set_gate(run->settings, run->data_dir, false, &is_changed);
    if (status != 0) {
        return pg_run_fail(run, status, "cannot write pg_hba.conf: %s", base_error_text(status));
    }
    if (!is_changed && run->db->gate_root_pid != root_pid) {
        return 0;
    }
    run->db->gate_root_pid = root_pid;
    status = pg_run_reload(run);
    run->db->gate_root_pid = status == 0 ? 0 : root_pid;
    return status;
}

int pg_order_barrier(struct pg_run *run)
{
    uint64_t lsn = 0;
    unsigned count = 0;
    int status = take_position(run, &lsn);
    while (status == 0) {
        status = count_flushed(run, lsn, &count);
        if (status == 0 && count >= run->order.sync_count) {
            return lift_gate(run);
        }
        if (status == 0) {
            status = pg_run_sleep_us(run, POLL_US);
        }
    }
    if (status == BASE_E_TIMEOUT) {
        return pg_run_fail(run, status, "%u of %u standbys have %s on disk", count,
                           run->order.sync_count, pg_lsn_format(lsn).text);
    }
    return status;
}
