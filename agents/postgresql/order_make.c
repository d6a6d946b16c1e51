/* SPDX-License-Identifier: Apache-2.0 */
/* What the orders that make a data directory share: upstream, place, standby configuration.
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

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define PG_PORT_DEFAULT 5432
#define PG_REMOTE_NAME "remote"

/* --- upstream --- */

struct pg_conf pg_run_conf(const struct pg_run *run)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    conf.upstream = run->order.upstream_member;
    conf.upstream_host = run->order.upstream_host;
    conf.upstream_port = run->order.upstream_port;
    conf.is_remote = run->order.is_remote;
    conf.remote_slot = run->remote_slot;
    return conf;
}

int pg_run_resolve_remote(struct pg_run *run)
{
    if (!run->order.is_remote) {
        return 0;
    }
    const struct arb_settings_pg *document = pg_config_expected(run);
    if (document == NULL || document->standby_host == NULL || document->standby_host[0] == '\0') {
        return pg_run_fail(run, BASE_E_STATE,
                           "the configuration names no primary to follow (standby_cluster)");
    }
    run->remote_slot = base_text_from(slice_from_text(document->standby_slot));
    run->order.upstream_host = base_text_from(slice_from_text(document->standby_host));
    run->order.upstream_port =
        document->standby_port == 0 ? PG_PORT_DEFAULT : document->standby_port;
    return base_name_from_text(PG_REMOTE_NAME, &run->order.upstream_member);
}

int pg_run_upstream_conninfo(struct pg_run *run, const char *role, bool is_replication,
                             char *memory, size_t cap)
{
    struct pg_conf conf = pg_run_conf(run);
    struct buf b = buf_over(memory, cap);
    if (conf.is_remote && run->settings->remote_user[0] != '\0') {
        role = run->settings->remote_user; /* ours are not there */
    }
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
        /* At another cluster's primary only the slot that its operators made is used. */
        status = run->order.is_remote ? 0 : create_slot(run, &sql, deadline, &why);
        ret->has_slot = status == 0 && !run->order.is_remote;
    }
    pg_sql_close(&sql);
    return status != 0 ? pg_run_upstream_failed(run, status, &why) : 0;
}

/* --- where a directory is made --- */

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
static bool holds_foreign_files(struct pg_run *run, const struct pg_place *place)
{
    struct pg_path version;
    return !pg_dir_is_empty(run->data_dir) &&
           pg_path_join(run->data_dir, "PG_VERSION", &version) == 0 &&
           !pg_file_exists(version.text) && !pg_file_exists(place->making.text);
}

int pg_place_open(struct pg_run *run, struct pg_place *place)
{
    memset(place, 0, sizeof(*place));
    place->is_in_place = must_be_in_place(run->data_dir);
    int status =
        pg_path_suffix(run->data_dir, place->is_in_place ? "" : PG_MAKING_SUFFIX, &place->path);
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

int pg_place_commit(struct pg_run *run, const struct pg_place *place)
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

int pg_place_clear(struct pg_run *run, const struct pg_place *place)
{
    int status = pg_dir_remove(place->path.text, place->is_in_place);
    return status == 0 ? 0
                       : pg_run_fail(run, status, "cannot empty %s: %s", place->path.text,
                                     base_error_text(status));
}

void pg_place_drop(const struct pg_place *place)
{
    if (pg_dir_remove(place->path.text, place->is_in_place) == 0 && place->is_in_place) {
        (void)!pg_file_remove(place->making.text);
    }
}

/* --- standby configuration, shared --- */

int pg_run_configure_standby(struct pg_run *run, const char *dir, const struct pg_conf *conf)
{
    struct pg_path slots;
    pg_config_prepare(run, dir, false);
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
    pg_slot_logical_prepare(run, dir);
    pg_slot_following(run->db, conf);
    return 0;
}
