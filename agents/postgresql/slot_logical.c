/* SPDX-License-Identifier: Apache-2.0 */
/* Permanent logical slots across failovers, as far as versions before 17 let anybody do it.
 *
 * A logical slot cannot be made on a standby of these versions, but one that is there when the
 * server starts is kept and can be moved along. So before a standby starts its slots are copied
 * from the upstream (the state file, checked by its own sum), and from then on moved to where the
 * consumer upstream has confirmed. hot_standby_feedback keeps the rows of the catalogue that they
 * need. After a failover the consumer goes on from what it had confirmed at the last round; it may
 * see some changes twice, and misses none.
 *
 * A slot that was there once and is not on a new primary is never made anew: its consumer would
 * miss changes and not know. That is told, until the slot leaves the document. What was ever there
 * stands in state_dir/logical-slots. Worker thread. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "base/crc32c.h"
#include "base/name.h"

#define UPSTREAM_US (1 * BASE_US_PER_S)
#define STATE_MAX 1024u        /* of a state file: some 200 bytes */
#define STATE_MAGIC 0x1051CA1u /* of slot.c in the server */
#define STATE_SUMMED_FROM 8u   /* magic and sum come before */
#define SEEN_FILE "logical-slots"
#define SEEN_MAX (ARB_PG_SLOTS_MAX * 65u)

/* --- what was there once --- */

struct seen {
    char text[SEEN_MAX + 1]; /* names, each with a newline */
};

static bool is_seen(const struct seen *seen, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = seen->text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        if (strncmp(at, name, len) == 0 && at[len] == '\n') {
            return true;
        }
    }
    return false;
}

static void seen_read(const struct pg_settings *settings, struct seen *ret)
{
    struct pg_path path;
    size_t len = 0;
    memset(ret, 0, sizeof(*ret));
    if (pg_path_join(settings->state_dir.text, SEEN_FILE, &path) != 0 ||
        pg_file_read(path.text, ret->text, sizeof(ret->text), &len) != 0 ||
        (len > 0 && ret->text[len - 1] != '\n')) {
        memset(ret, 0, sizeof(*ret));
    }
}

/* Those of the document that were there before or are there now. */
static void seen_update(const struct pg_settings *settings, const struct seen *before,
                        const struct seen *now)
{
    const struct arb_settings_pg *d = settings->config->document;
    struct seen next;
    struct pg_path path;
    struct buf b = buf_over(next.text, SEEN_MAX);
    for (uint32_t i = 0; i < d->slots_count; i++) {
        const char *name = d->slots[i].name;
        if (d->slots[i].is_logical && (is_seen(before, name) || is_seen(now, name))) {
            buf_put_text(&b, name);
            buf_put_text(&b, "\n");
        }
    }
    next.text[b.len] = '\0';
    if (strcmp(next.text, before->text) != 0 &&
        pg_path_join(settings->state_dir.text, SEEN_FILE, &path) == 0) {
        (void)!pg_file_write(path.text, buf_slice(&b), 0600);
    }
}

/* --- a copy of the state file --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *hex, uint8_t *memory, size_t cap, size_t *ret_len)
{
    size_t len = strlen(hex);
    if (len % 2 != 0 || len / 2 > cap) {
        return false;
    }
    for (size_t i = 0; i < len / 2; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        memory[i] = (uint8_t)(high * 16 + low);
    }
    *ret_len = len / 2;
    return true;
}

/* A file whose sum is wrong would keep the server from starting. */
static bool is_whole(const uint8_t *state, size_t len)
{
    uint32_t head[2];
    if (len < STATE_SUMMED_FROM + 64) {
        return false;
    }
    memcpy(head, state, sizeof(head));
    struct slice summed = slice_from(state + STATE_SUMMED_FROM, len - STATE_SUMMED_FROM);
    return head[0] == STATE_MAGIC && head[1] == base_crc32c(0, summed);
}

static int write_state(const char *dir, const char *name, const uint8_t *state, size_t len)
{
    char relative[96];
    struct pg_path slot;
    struct pg_path file;
    (void)snprintf(relative, sizeof(relative), "pg_replslot/%.63s", name);
    int status = pg_path_join(dir, relative, &slot);
    status = status != 0 ? status : pg_dir_remove(slot.text, false);
    if (status == 0 && len > 0 && mkdir(slot.text, 0700) != 0) {
        status = pg_errno_code(errno);
    }
    if (status != 0 || len == 0) {
        return status;
    }
    status = pg_path_join(slot.text, "state", &file);
    return status != 0 ? status : pg_file_write(file.text, slice_from(state, len), 0600);
}

/* Is WAL here from `segment` on? Timelines aside: the number of a segment is the same on all. */
static bool has_segment(const char *dir, const char *segment)
{
    struct pg_path path;
    DIR *list = pg_path_join(dir, "pg_wal", &path) == 0 ? opendir(path.text) : NULL;
    bool is_there = false;
    for (const struct dirent *e = list == NULL ? NULL : readdir(list); e != NULL && !is_there;
         e = readdir(list)) {
        is_there = strlen(e->d_name) == 24 && strcmp(e->d_name + 8, segment) == 0;
    }
    if (list != NULL) {
        closedir(list);
    }
    return is_there;
}

static const char copy_statement[] =
    "SELECT slot_name, encode(pg_read_binary_file('pg_replslot/' || slot_name || '/state', 0, 4096,"
    " true), 'hex'), right(pg_walfile_name(restart_lsn), 16) FROM pg_replication_slots"
    " WHERE slot_type = 'logical' AND NOT temporary AND restart_lsn IS NOT NULL"
    " AND NOT pg_is_in_recovery()";

static void copy_one(const char *dir, const char *name, const char *hex, const char *segment)
{
    uint8_t state[STATE_MAX];
    size_t len = 0;
    bool is_good = decode(hex, state, sizeof(state), &len) && is_whole(state, len) &&
                   has_segment(dir, segment);
    (void)!write_state(dir, name, state, is_good ? len : 0);
}

static bool has_logical(const struct arb_settings_pg *d)
{
    for (uint32_t i = 0; i < d->slots_count; i++) {
        if (d->slots[i].is_logical) {
            return true;
        }
    }
    return false;
}

void pg_slot_logical_prepare(struct pg_run *run, const char *dir)
{
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct pg_sql upstream = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why;
    const struct arb_settings_pg *d =
        run->settings->config == NULL ? NULL : run->settings->config->document;
    if (d == NULL || !has_logical(d) || run->order.is_remote ||
        base_name_is_empty(&run->order.upstream_member)) {
        return;
    }
    struct base_mono limit = base_mono_min(run->deadline, base_mono_add_us(pg_now(), UPSTREAM_US));
    if (pg_run_upstream_conninfo(run, PG_ROLE_REWIND, false, conninfo, sizeof(conninfo)) == 0 &&
        pg_sql_open(&upstream, conninfo, limit, &why) == 0 &&
        pg_sql_run(&upstream, copy_statement, limit, &rows, &why) == 0) {
        const PGresult *r = rows.results[0];
        for (uint32_t i = 0; i < d->slots_count; i++) {
            int row = 0;
            while (row < PQntuples(r) && strcmp(pg_sql_text(r, row, 0), d->slots[i].name) != 0) {
                row++;
            }
            if (d->slots[i].is_logical && row < PQntuples(r)) {
                copy_one(dir, d->slots[i].name, pg_sql_text(r, row, 1), pg_sql_text(r, row, 2));
            } else if (d->slots[i].is_logical) { /* of the time as a primary: stale */
                (void)!write_state(dir, d->slots[i].name, NULL, 0);
            }
        }
        pg_sql_free(&rows);
    }
    pg_sql_close(&upstream);
    memset(&run->text, 0, sizeof(run->text)); /* a standby without them is better than none */
}

/* --- the round --- */

static const char list_statement[] =
    "SELECT slot_name, confirmed_flush_lsn, active FROM pg_replication_slots WHERE slot_type ="
    " 'logical' AND NOT temporary";

static int find(const PGresult *list, const char *name)
{
    for (int row = 0; row < PQntuples(list); row++) {
        if (strcmp(pg_sql_text(list, row, 0), name) == 0) {
            return row;
        }
    }
    return -1;
}

static void put_seen(const PGresult *list, struct seen *ret)
{
    struct buf b = buf_over(ret->text, SEEN_MAX);
    for (int row = 0; row < PQntuples(list); row++) {
        buf_put_text(&b, pg_sql_text(list, row, 0));
        buf_put_text(&b, "\n");
    }
    ret->text[b.len] = '\0';
}

static void warn(struct base_text *warning, const char *name, const char *words)
{
    char text[BASE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "logical slot %.63s %s", name, words);
    *warning = base_text_from(slice_from_text(text));
}

/* In the slot's own database, as the server wants it. */
static int run_in_database(struct pg_run *run, const char *database, const char *text)
{
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why;
    int status = pg_sql_open_database(&sql, run->settings, database, run->deadline, &why);
    status = status != 0 ? status : pg_sql_run(&sql, text, run->deadline, &rows, &why);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    pg_sql_close(&sql);
    return status;
}

static void make(struct pg_run *run, const struct arb_pg_slot *slot, struct base_text *warning)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "SELECT pg_create_logical_replication_slot('%.63s', '%.63s')", slot->name,
                   slot->plugin);
    if (run_in_database(run, slot->database, text) != 0) {
        warn(warning, slot->name,
             "cannot be made: is wal_level logical, are database and plugin there?");
    }
}

static void move(struct pg_run *run, const struct arb_pg_slot *slot, const char *lsn)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "SELECT pg_replication_slot_advance('%.63s', least('%.20s'::pg_lsn, "
                   "pg_last_wal_replay_lsn()))",
                   slot->name, lsn);
    (void)!run_in_database(run, slot->database, text);
}

/* `there` is NULL on the primary. */
static void tend(struct pg_run *run, const struct arb_pg_slot *slot, const PGresult *here,
                 const PGresult *there, struct base_text *warning)
{
    int row = find(here, slot->name);
    int up = there == NULL ? -1 : find(there, slot->name);
    if (there == NULL && row < 0) {
        make(run, slot, warning);
    } else if (up >= 0 && row < 0) {
        warn(warning, slot->name, "is not on this standby yet: a restart brings it");
    } else if (up >= 0 && !pg_sql_bool(here, row, 2) &&
               pg_sql_lsn(there, up, 1) > pg_sql_lsn(here, row, 1)) {
        move(run, slot, pg_sql_text(there, up, 1));
    }
}

static void tend_all(struct pg_run *run, const PGresult *here, const PGresult *there)
{
    const struct arb_settings_pg *d = run->settings->config->document;
    struct base_text warning = {{0}};
    struct seen before;
    struct seen now;
    seen_read(run->settings, &before);
    for (uint32_t i = 0; i < d->slots_count; i++) {
        const struct arb_pg_slot *slot = &d->slots[i];
        bool is_left_behind =
            there == NULL && find(here, slot->name) < 0 && is_seen(&before, slot->name);
        if (slot->is_logical && is_left_behind) {
            warn(&warning, slot->name,
                 "was not here when this member took over: its consumer must start anew; take the "
                 "slot out of the configuration and put it back");
        } else if (slot->is_logical) {
            tend(run, slot, here, there, &warning);
        }
    }
    put_seen(there == NULL ? here : there, &now);
    seen_update(run->settings, &before, &now);
    pthread_mutex_lock(&run->db->lock);
    run->db->watch.slot_warning = warning;
    pthread_mutex_unlock(&run->db->lock);
}

void pg_slot_logical_round(struct pg_run *run, struct pg_sql *superuser, struct pg_sql *upstream)
{
    struct pg_sql_rows here;
    struct pg_sql_rows there = {.count = 0};
    struct seen seen;
    struct base_text why;
    seen_read(run->settings, &seen);
    if ((!has_logical(run->settings->config->document) && seen.text[0] == '\0') ||
        pg_sql_run(superuser, list_statement, run->deadline, &here, &why) != 0) {
        return;
    }
    if (upstream == NULL) {
        tend_all(run, here.results[0], NULL);
    } else if (pg_sql_run(upstream, list_statement, run->deadline, &there, &why) == 0) {
        tend_all(run, here.results[0], there.results[0]);
        pg_sql_free(&there);
    }
    pg_sql_free(&here);
}
