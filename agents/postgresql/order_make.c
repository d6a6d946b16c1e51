/* SPDX-License-Identifier: Apache-2.0 */
/* Orders that make a data directory: initdb, base backup. Rewind is in order_rewind.c.
 *
 * A directory is made beside its place and renamed, so that a crash leaves either nothing or all of
 * it. Where that cannot be (a mount point, a parent that is not ours) it is made in place under the
 * mark state_dir/making. No order here touches the directory of another database system, and none
 * runs while a server does. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define SQL_BYTES_MAX 4096

/* --- upstream --- */

struct pg_conf pg_run_conf(const struct pg_run *run)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    conf.upstream = run->order.upstream_member;
    conf.upstream_host = run->order.upstream_host;
    conf.upstream_port = run->order.upstream_port;
    return conf;
}

int pg_run_upstream_conninfo(struct pg_run *run, const char *role, bool is_replication,
                             char *memory, size_t cap)
{
    struct pg_conf conf = pg_run_conf(run);
    struct buf b = buf_over(memory, cap);
    int status = pg_conninfo(run->settings, &conf, role, false, &b);
    if (status == 0 && is_replication) {
        buf_put_text(&b, " replication=true");
    }
    if (status != 0 || !buf_terminate(&b) || b.is_full) {
        return pg_run_fail(run, BASE_E_TOOBIG, "the connection string of %s is too long",
                           conf.upstream.text);
    }
    return 0;
}

int pg_run_upstream_failed(struct pg_run *run, int status, const struct base_text *why)
{
    return pg_run_fail(run, status, "%s (%.60s:%u): %.120s", run->order.upstream_member.text,
                       run->order.upstream_host.text, run->order.upstream_port, why->text);
}

/* CREATE_REPLICATION_SLOT keeps the WAL that a clone or a standby will need. One that is there is
 * as good. */
static int create_slot(struct pg_run *run, struct pg_sql *sql, struct base_mono deadline,
                       struct base_text *why)
{
    char text[160];
    struct pg_sql_rows rows;
    struct base_text slot = pg_slot_name(&run->settings->member);
    (void)snprintf(text, sizeof(text), "CREATE_REPLICATION_SLOT %.63s PHYSICAL RESERVE_WAL",
                   slot.text);
    int status = pg_sql_run(sql, text, deadline, &rows, why);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    return status == BASE_E_STATE && strcmp(rows.sqlstate, "42710") == 0 ? 0 : status;
}

int pg_run_make_slot(struct pg_run *run, int64_t limit_us, struct pg_upstream *ret)
{
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    struct base_mono deadline = base_mono_min(run->deadline, base_mono_add_us(pg_now(), limit_us));
    int status =
        pg_run_upstream_conninfo(run, PG_ROLE_REPLICATION, true, conninfo, sizeof(conninfo));
    if (status != 0) {
        return status;
    }
    memset(ret, 0, sizeof(*ret));
    status = pg_sql_open(&sql, conninfo, deadline, &why);
    if (status == 0) {
        status = pg_sql_run(&sql, "IDENTIFY_SYSTEM", deadline, &rows, &why);
    }
    if (status == 0) {
        ret->system_id = rows.count > 0 ? pg_sql_u64(rows.results[0], 0, 0) : 0;
        ret->timeline = rows.count > 0 ? (uint32_t)pg_sql_u64(rows.results[0], 0, 1) : 0;
        pg_sql_free(&rows);
        status = create_slot(run, &sql, deadline, &why);
        ret->has_slot = status == 0;
    }
    pg_sql_close(&sql);
    return status != 0 ? pg_run_upstream_failed(run, status, &why) : 0;
}

/* --- where a directory is made --- */

struct place {
    struct pg_path path; /* where the helper program writes */
    bool is_in_place;
    struct pg_path making; /* mark of an in-place make */
};

static bool must_be_in_place(const char *dir)
{
    struct pg_path copy;
    struct stat own;
    struct stat parent;
    if (pg_path_suffix(dir, "", &copy) != 0) {
        return true;
    }
    const char *above = dirname(copy.text);
    if (access(above, W_OK) != 0 || stat(above, &parent) != 0) {
        return true;
    }
    return stat(dir, &own) == 0 && own.st_dev != parent.st_dev;
}

/* True when the directory holds files but no database: somebody else's, or half made by us in
 * place. */
static bool holds_foreign_files(struct pg_run *run, const struct place *place)
{
    struct pg_path version;
    return !pg_dir_is_empty(run->data_dir) &&
           pg_path_join(run->data_dir, "PG_VERSION", &version) == 0 &&
           !pg_file_exists(version.text) && !pg_file_exists(place->making.text);
}

/* An empty place to make a directory in; what was in the old one is gone then. */
static int place_open(struct pg_run *run, struct place *place)
{
    memset(place, 0, sizeof(*place));
    place->is_in_place = must_be_in_place(run->data_dir);
    int status =
        pg_path_suffix(run->data_dir, place->is_in_place ? "" : ".quorate-making", &place->path);
    if (status == 0) {
        status = pg_making_path(run->settings, &place->making);
    }
    if (status == 0 && holds_foreign_files(run, place)) {
        return pg_run_fail(run, BASE_E_DENIED, "%s holds files but no database: empty it by hand",
                           run->data_dir);
    }
    if (status == 0 && place->is_in_place) {
        status = pg_file_write(place->making.text, slice_from_text(run->data_dir), 0600);
    }
    if (status == 0) {
        status = pg_dir_remove(place->path.text, place->is_in_place);
    }
    if (status == 0 && !place->is_in_place) {
        /* The old one goes first: there may be no room for two. */
        status = pg_dir_remove(run->data_dir, true);
    }
    return status != 0 ? pg_run_fail(run, status, "cannot empty %s: %s", run->data_dir,
                                     base_error_text(status))
                       : 0;
}

/* The tools are told not to sync: this does, before anything says that the directory is whole. */
int pg_run_sync_data(struct pg_run *run, const char *dir)
{
    int status = pg_data_sync(dir);
    return status == 0
               ? 0
               : pg_run_fail(run, status, "cannot sync %s: %s", dir, base_error_text(status));
}

/* The finished directory takes its place. */
static int place_commit(struct pg_run *run, const struct place *place)
{
    int status = pg_run_sync_data(run, place->path.text);
    if (status != 0) {
        return status;
    }
    status = place->is_in_place ? pg_file_remove(place->making.text)
                                : pg_file_rename(place->path.text, run->data_dir);
    if (status != 0) {
        return pg_run_fail(run, status, "cannot put the new directory in place at %s: %s",
                           run->data_dir, base_error_text(status));
    }
    return 0;
}

static void place_drop(const struct place *place)
{
    if (pg_dir_remove(place->path.text, place->is_in_place) == 0 && place->is_in_place) {
        (void)!pg_file_remove(place->making.text);
    }
}

/* --- INIT --- */

static void put_quoted(struct buf *b, const char *text)
{
    buf_put_text(b, "'");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'') {
            buf_put_text(b, "'");
        }
        buf_put_u8(b, (uint8_t)*c);
    }
    buf_put_text(b, "'");
}

/* Roles with no more rights than they need: pg_rewind's are those of its manual page. One line a
 * statement, as the single-user server reads them. */
static void put_roles(const struct pg_settings *settings, struct buf *b)
{
    buf_put_text(b, "SET password_encryption = 'scram-sha-256'\n");
    if (settings->password_superuser[0] != '\0') {
        buf_put_text(b, "ALTER ROLE " PG_ROLE_SUPERUSER " PASSWORD ");
        put_quoted(b, settings->password_superuser);
        buf_put_text(b, "\n");
    }
    buf_put_text(b, "CREATE ROLE " PG_ROLE_REPLICATION " REPLICATION LOGIN PASSWORD ");
    put_quoted(b, settings->password_replication);
    buf_put_text(b, "\nCREATE ROLE " PG_ROLE_REWIND " LOGIN PASSWORD ");
    put_quoted(b, settings->password_rewind);
    buf_put_text(
        b, "\nGRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean),"
           " pg_catalog.pg_stat_file(text, boolean), pg_catalog.pg_read_binary_file(text),"
           " pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO " PG_ROLE_REWIND "\n"
           "GRANT pg_checkpoint TO " PG_ROLE_REWIND "\n"
           "CREATE ROLE " PG_ROLE_MONITOR " LOGIN CONNECTION LIMIT 8\n"
           "GRANT pg_monitor, pg_checkpoint, pg_signal_backend TO " PG_ROLE_MONITOR "\n");
}

static int make_roles(struct pg_run *run, const char *dir)
{
    char text[SQL_BYTES_MAX];
    struct pg_child_result result;
    struct buf b = buf_over(text, sizeof(text));
    put_roles(run->settings, &b);
    const char *argv[] = {"postgres", "--single",
                          "-D",       dir,
                          "-c",       "log_statement=none",
                          "-c",       "log_min_error_statement=panic",
                          "postgres", NULL};
    int status = b.is_full ? BASE_E_TOOBIG : pg_run_helper(run, argv, buf_slice(&b), &result);
    explicit_bzero(text, sizeof(text));
    /* It goes on after an error and exits with 0. */
    if (status == 0 && result.error_line[0] != '\0') {
        status = pg_run_fail(run, BASE_E_STATE, "making roles: %.200s", result.error_line);
    }
    explicit_bzero(&result, sizeof(result));
    return status;
}

static int run_initdb(struct pg_run *run, const char *dir)
{
    char segment[32];
    struct pg_child_result result;
    (void)snprintf(segment, sizeof(segment), "--wal-segsize=%u",
                   run->settings->segment_mb == 0 ? 16 : run->settings->segment_mb);
    const char *argv[] = {"initdb",
                          "-D",
                          dir,
                          "-U",
                          PG_ROLE_SUPERUSER,
                          "--encoding=UTF8",
                          "--locale=C.UTF-8",
                          "--data-checksums",
                          "--no-sync",
                          "--auth-local=peer",
                          "--auth-host=scram-sha-256",
                          segment,
                          NULL};
    return pg_run_helper(run, argv, SLICE_EMPTY, &result);
}

/* initdb derives them from the size of a segment: they stay what they are with 16 MB. */
static int put_wal_sizes(struct pg_run *run, const char *dir)
{
    static const char text[] = "max_wal_size = '1GB'\nmin_wal_size = '80MB'\n";
    struct pg_path path;
    int status = pg_path_join(dir, "postgresql.conf", &path);
    int fd = status == 0 ? open(path.text, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0 || write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1) {
        status = pg_run_fail(run, BASE_E_IO, "cannot write to postgresql.conf in %s", dir);
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

int pg_order_init(struct pg_run *run)
{
    struct place place;
    struct pg_conf conf = {.has_slot = false};
    int status = pg_run_check_stopped(run);
    if (status == 0 && !pg_dir_is_empty(run->data_dir)) {
        struct pg_path making;
        if (pg_making_path(run->settings, &making) != 0 || !pg_file_exists(making.text)) {
            return pg_run_fail(run, BASE_E_EXISTS, "%s is not empty", run->data_dir);
        }
    }
    if (status == 0) {
        status = place_open(run, &place);
    }
    if (status != 0) {
        return status;
    }
    status = run_initdb(run, place.path.text);
    if (status == 0) {
        status = put_wal_sizes(run, place.path.text);
    }
    if (status == 0) {
        status = make_roles(run, place.path.text);
    }
    if (status == 0) {
        status = pg_conf_install(run->settings, place.path.text, false);
    }
    if (status == 0) {
        status = pg_conf_write(run->settings, place.path.text, &conf);
    }
    if (status == 0) {
        status = place_commit(run, &place);
    }
    if (status != 0) {
        place_drop(&place);
        return status;
    }
    return pg_run_fail(run, 0, "made a new database in %s", run->data_dir);
}

/* --- standby configuration, shared --- */

int pg_run_configure_standby(struct pg_run *run, const char *dir, const struct pg_conf *conf)
{
    struct pg_path slots;
    int status = pg_conf_install(run->settings, dir, false);
    if (status == 0) {
        status = pg_conf_write(run->settings, dir, conf);
    }
    if (status == 0) {
        status = pg_conf_set_standby(dir, true);
    }
    /* Slots of the time as a primary, or copied from one, would keep WAL for ever. */
    if (status == 0) {
        status = pg_path_join(dir, "pg_replslot", &slots);
    }
    if (status == 0) {
        status = pg_dir_remove_prefixed(slots.text, "quorate_");
    }
    if (status != 0) {
        return pg_run_fail(run, status, "cannot configure %s as a standby: %s", dir,
                           base_error_text(status));
    }
    pg_slot_following(run->db, conf);
    return 0;
}

/* --- CLONE --- */

/* What is there may be thrown away only when it is of the same system, or of none. */
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

static int run_basebackup(struct pg_run *run, const char *dir)
{
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct pg_child_result result;
    struct base_text slot = pg_slot_name(&run->settings->member);
    int status =
        pg_run_upstream_conninfo(run, PG_ROLE_REPLICATION, false, conninfo, sizeof(conninfo));
    if (status != 0) {
        return status;
    }
    const char *argv[] = {"pg_basebackup", "-d",        conninfo, "-D", dir,       "-X",
                          "stream",        "-c",        "fast",   "-S", slot.text, "--no-password",
                          "--progress",    "--no-sync", NULL};
    return pg_run_helper(run, argv, SLICE_EMPTY, &result);
}

int pg_order_clone(struct pg_run *run)
{
    struct place place;
    struct pg_upstream upstream;
    struct pg_conf conf = pg_run_conf(run);
    int status = pg_run_check_stopped(run);
    if (status == 0) {
        status = pg_run_make_slot(run, PG_RUN_SLOT_LIMIT_US, &upstream);
    }
    if (status == 0) {
        status = check_same_system(run, upstream.system_id);
    }
    if (status == 0) {
        status = place_open(run, &place);
    }
    if (status != 0) {
        return status;
    }
    conf.has_slot = upstream.has_slot;
    status = run_basebackup(run, place.path.text);
    if (status == 0) {
        status = pg_run_configure_standby(run, place.path.text, &conf);
    }
    if (status == 0) {
        status = pg_conf_set_unusable(place.path.text, NULL);
    }
    if (status == 0) {
        status = place_commit(run, &place);
    }
    if (status != 0) {
        place_drop(&place);
        return status;
    }
    return pg_run_fail(run, 0, "cloned from %s", conf.upstream.text);
}
