/* SPDX-License-Identifier: Apache-2.0 */
/* The order CLONE: the user's own methods in their order, and at last a base backup. Whatever a
 * method says, its result is believed only when the control file is of the right system and the WAL
 * that it needs next can be had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/process.h"
#include "base/name.h"

#define LEFTOVER_US (5 * BASE_US_PER_S)
#define HISTORY_BYTES_MAX 8192u
#define LABEL_BYTES_MAX 4096u
#define SEGMENT_NAME_LEN 24u

/* --- what is there may be thrown away only when it is of the same system, or of none --- */

static int check_same_system(struct pg_run *run, uint64_t system_id)
{
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    int status =
        pg_control_read(run->settings, run->data_dir, deadline, run->db->cancel_fd, &control);
    if (status == 0 && control.system_id != system_id) {
        return pg_run_fail(
            run, BASE_E_DENIED,
            "%s belongs to another database system (%llu, not %llu): remove it by hand",
            run->data_dir, (unsigned long long)control.system_id, (unsigned long long)system_id);
    }
    return 0;
}

/* --- what waits for the archiver in a directory that is given up --- */

static size_t ask_history(struct pg_run *run, uint32_t timeline, char *memory, size_t cap)
{
    char conninfo[PG_RUN_CONNINFO_MAX];
    char text[64];
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_SLOT_LIMIT_US);
    memory[0] = '\0';
    (void)snprintf(text, sizeof(text), "TIMELINE_HISTORY %u", timeline);
    int status =
        pg_run_upstream_conninfo(run, PG_ROLE_REPLICATION, true, conninfo, sizeof(conninfo));
    status = status != 0 ? status : pg_sql_open(&sql, conninfo, deadline, &why);
    status = status != 0 ? status : pg_sql_run(&sql, text, deadline, &rows, &why);
    if (status == 0) {
        const char *content = rows.count > 0 ? pg_sql_text(rows.results[0], 0, 1) : "";
        (void)snprintf(memory, cap, "%s", content);
        pg_sql_free(&rows);
    }
    pg_sql_close(&sql);
    return strlen(memory);
}

static void save_archive(struct pg_run *run, const struct pg_upstream *upstream)
{
    struct base_text text = run->text;
    char *history = malloc(HISTORY_BYTES_MAX);
    if (history != NULL && pg_archive_is_waiting(run->settings)) {
        size_t len = upstream->timeline > 1
                         ? ask_history(run, upstream->timeline, history, HISTORY_BYTES_MAX)
                         : 0;
        pg_archive_before_loss(run, slice_from(history, len));
    }
    free(history);
    run->text = text;
}

/* --- the user's methods --- */

/* False when there is none. */
static bool read_label(const char *dir, char *text, size_t size)
{
    struct pg_path path;
    size_t len = 0;
    return pg_path_join(dir, "backup_label", &path) == 0 &&
           pg_file_read(path.text, text, size, &len) == 0;
}

/* Number of the first segment that a restored directory needs: of its backup label, else of its
 * checkpoint. */
static uint64_t first_needed(const char *dir, const struct pg_control *control)
{
    char text[LABEL_BYTES_MAX];
    uint64_t high = 0;
    uint64_t low = 0;
    uint64_t per_id = (UINT64_C(1) << 32) / control->segment_bytes;
    if (read_label(dir, text, sizeof(text))) {
        const char *at = strstr(text, "(file ");
        at = at == NULL ? NULL : at + 6;
        if (at != NULL && strspn(at, "0123456789ABCDEF") == SEGMENT_NAME_LEN) {
            char numbers[2][12];
            (void)snprintf(numbers[0], sizeof(numbers[0]), "0/%.8s", at + 8);
            (void)snprintf(numbers[1], sizeof(numbers[1]), "0/%.8s", at + 16);
            if (pg_lsn_parse(slice_from_text(numbers[0]), &high) == 0 &&
                pg_lsn_parse(slice_from_text(numbers[1]), &low) == 0) {
                return high * per_id + low;
            }
        }
    }
    return control->checkpoint_lsn / control->segment_bytes;
}

/* A backup is of some age: without an archive the source must still have what follows it. */
static int check_wal(struct pg_run *run, const char *dir, const struct pg_control *control)
{
    char restore[64];
    uint64_t needed = first_needed(dir, control);
    uint64_t oldest = pg_run_oldest_segment(run);
    if (oldest == 0 || needed >= oldest ||
        (pg_run_setting(run, dir, "restore_command", restore, sizeof(restore)) == 0 &&
         restore[0] != '\0')) {
        return 0;
    }
    return pg_run_fail(run, BASE_E_COMPACTED,
                       "%s no longer has the WAL after that backup, and no restore_command is set",
                       run->order.upstream_member.text);
}

static int check_copy(struct pg_run *run, const char *dir, const struct pg_conf *conf,
                      uint64_t system_id)
{
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    (void)!pg_processes_kill(dir, LEFTOVER_US); /* what a method may have started and left */
    int status = pg_control_read(run->settings, dir, deadline, run->db->cancel_fd, &control);
    if (status != 0) {
        return pg_run_fail(run, BASE_E_CORRUPT, "it left no database in QUORATE_DATA_DIR");
    }
    if (control.system_id != system_id) {
        return pg_run_fail(run, BASE_E_DENIED, "it left another database system (%llu)",
                           (unsigned long long)control.system_id);
    }
    status = pg_run_configure_standby(run, dir, conf);
    return status != 0 ? status : check_wal(run, dir, &control);
}

static int run_method(struct pg_run *run, const char *dir, uint32_t i)
{
    const struct pg_clone *clone = &run->settings->clone;
    char conninfo[PG_RUN_CONNINFO_MAX + 32] = "QUORATE_CONNINFO=";
    char host[BASE_TEXT_MAX + 32];
    char port[32];
    char passfile[PG_PATH_MAX + 32];
    char what[PG_LINE_MAX + 32];
    struct pg_path pgpass;
    size_t at = strlen(conninfo);
    int status = pg_run_upstream_conninfo(run, PG_ROLE_REPLICATION, false, conninfo + at,
                                          sizeof(conninfo) - at);
    status = status != 0 ? status : pg_settings_pgpass_path(run->settings, &pgpass);
    if (status != 0) {
        return status;
    }
    (void)snprintf(host, sizeof(host), "QUORATE_UPSTREAM_HOST=%s", run->order.upstream_host.text);
    (void)snprintf(port, sizeof(port), "QUORATE_UPSTREAM_PORT=%u", run->order.upstream_port);
    (void)snprintf(passfile, sizeof(passfile), "PGPASSFILE=%s", pgpass.text);
    (void)snprintf(what, sizeof(what), "clone method %.200s", clone->names[i].text);
    const char *const env[] = {conninfo, host, port, passfile, NULL};
    const struct pg_run_command command = {.what = what,
                                           .text = clone->methods[i].text,
                                           .limit_us = clone->method_limit_us,
                                           .environment = env,
                                           .directory = dir};
    return pg_run_command(run, &command);
}

/* 0: one of them did it. CANCELED: give up. Anything else: none did, and the place is empty again.
 */
static int clone_by_methods(struct pg_run *run, const struct pg_place *place,
                            const struct pg_spaces *spaces, const struct pg_conf *conf,
                            uint64_t system_id)
{
    const struct pg_clone *clone = &run->settings->clone;
    int status = BASE_E_NOTFOUND;
    for (uint32_t i = 0; i < clone->methods_count && status != 0; i++) {
        (void)mkdir(place->path.text, 0700);
        status = run_method(run, place->path.text, i);
        status = status != 0 ? status : check_copy(run, place->path.text, conf, system_id);
        if (status == 0) {
            return pg_run_fail(run, 0, "cloned by %.120s", clone->names[i].text);
        }
        pg_run_log(run, "clone method %.60s did not work, goes on with the next: %.120s",
                   clone->names[i].text, run->text.text);
        (void)!pg_processes_kill(place->path.text, LEFTOVER_US);
        int cleared = pg_place_clear(run, place);
        cleared = cleared != 0 ? cleared : pg_spaces_clear(run, spaces);
        if (status == BASE_E_CANCELED || cleared != 0) {
            return BASE_E_CANCELED;
        }
    }
    return status;
}

/* --- the base backup --- */

struct basebackup {
    char conninfo[PG_RUN_CONNINFO_MAX];
    char rate[32];
    char mappings[PG_TABLESPACES_MAX][2 * PG_PATH_MAX + 2];
    const char *argv[32 + 2 * PG_TABLESPACES_MAX];
};

static void put_options(struct pg_run *run, struct basebackup *b, const char *dir, const char *slot,
                        const struct pg_spaces *spaces)
{
    const struct pg_clone *clone = &run->settings->clone;
    const char *const first[] = {"pg_basebackup",
                                 "-d",
                                 b->conninfo,
                                 "-D",
                                 dir,
                                 "-X",
                                 "stream",
                                 "--no-password",
                                 "--progress",
                                 "--no-sync",
                                 "-c",
                                 clone->is_spread ? "spread" : "fast"};
    size_t count = BASE_COUNT_OF(first);
    memcpy(b->argv, first, sizeof(first));
    if (slot[0] != '\0') {
        b->argv[count++] = "-S";
        b->argv[count++] = slot;
    }
    if (clone->rate_kb > 0) {
        (void)snprintf(b->rate, sizeof(b->rate), "--max-rate=%uk", clone->rate_kb);
        b->argv[count++] = b->rate;
    }
    for (uint32_t i = 0; i < spaces->count; i++) {
        if (strcmp(spaces->from[i].text, spaces->to[i].text) == 0) {
            continue;
        }
        (void)snprintf(b->mappings[i], sizeof(b->mappings[i]), "%s=%s", spaces->from[i].text,
                       spaces->to[i].text);
        b->argv[count++] = "-T";
        b->argv[count++] = b->mappings[i];
    }
    b->argv[count] = NULL;
}

static int run_basebackup(struct pg_run *run, const char *dir, bool has_slot,
                          const struct pg_spaces *spaces)
{
    struct pg_child_result result;
    struct base_text slot = {{0}};
    struct basebackup *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        return BASE_E_NOMEM;
    }
    if (has_slot) {
        slot = pg_slot_name(&run->settings->member);
    }
    int status =
        pg_run_upstream_conninfo(run, PG_ROLE_REPLICATION, false, b->conninfo, sizeof(b->conninfo));
    if (status == 0) {
        put_options(run, b, dir, slot.text, spaces);
        pg_run_note(run, "pg_basebackup");
        status = pg_run_helper(run, b->argv, SLICE_EMPTY, &result);
    }
    free(b);
    return status;
}

/* The backup label says what its server was when the copy began; one that is promoted meanwhile
 * fails by itself. Of one that is no holder, or that of a standby cluster, only a standby is
 * copied: what somebody has written there by hand stands on the holder's timeline number, or on one
 * that the primary elsewhere takes, and nothing would tell it from theirs. */
static int check_source(struct pg_run *run, const char *dir)
{
    char text[LABEL_BYTES_MAX];
    if (!run->order.is_source_standby ||
        (read_label(dir, text, sizeof(text)) && strstr(text, "BACKUP FROM: standby") != NULL)) {
        return 0;
    }
    return pg_run_fail(
        run, BASE_E_DENIED,
        "%s is open for writes and is not the primary: somebody has opened it by hand",
        run->order.upstream_member.text);
}

/* --- the order --- */

static int clone_into(struct pg_run *run, const struct pg_place *place,
                      const struct pg_upstream *upstream, const struct pg_spaces *spaces)
{
    struct pg_conf conf = pg_run_conf(run);
    conf.has_slot = upstream->has_slot;
    int status = run->order.is_upstream_only
                     ? BASE_E_NOTFOUND
                     : clone_by_methods(run, place, spaces, &conf, upstream->system_id);
    if (status == BASE_E_CANCELED) {
        return status;
    }
    if (status != 0) {
        status = run_basebackup(run, place->path.text, conf.has_slot, spaces);
        status = status != 0 ? status : check_source(run, place->path.text);
        if (status == 0) {
            status = pg_run_configure_standby(run, place->path.text, &conf);
        }
        if (status == 0) {
            (void)pg_run_fail(run, 0, "cloned from %s", conf.upstream.text);
        }
    }
    if (status == 0) {
        status = pg_conf_set_unusable(place->path.text, NULL);
    }
    return status;
}

static int prepare(struct pg_run *run, struct pg_upstream *upstream, struct pg_spaces *spaces,
                   struct pg_place *place)
{
    int status = pg_run_check_stopped(run);
    status = status != 0 ? status : pg_run_resolve_remote(run);
    status = status != 0 ? status : pg_run_make_slot(run, PG_RUN_SLOT_LIMIT_US, upstream);
    status = status != 0 ? status : check_same_system(run, upstream->system_id);
    status = status != 0 ? status : pg_spaces_prepare(run, spaces);
    if (status != 0) {
        return status;
    }
    save_archive(run, upstream);
    return pg_place_open(run, place);
}

int pg_order_clone(struct pg_run *run)
{
    struct pg_place place;
    struct pg_upstream upstream;
    struct pg_spaces *spaces = calloc(1, sizeof(*spaces));
    int status = spaces == NULL ? BASE_E_NOMEM : prepare(run, &upstream, spaces, &place);
    if (status == 0) {
        status = clone_into(run, &place, &upstream, spaces);
        struct base_text text = run->text;
        if (status == 0) {
            status = pg_place_commit(run, &place);
        }
        if (status == 0) {
            run->text = text;
        } else {
            pg_place_drop(&place);
        }
    }
    free(spaces);
    return status;
}
