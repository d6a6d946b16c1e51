/* SPDX-License-Identifier: Apache-2.0 */
/* Tablespaces at clones. They lie outside of the data directory, perhaps beside those of another
 * server of the same host, so only what is known to be an earlier copy of ours is ever emptied:
 * what our own directory links to, or what a clone of ours has been sent to before
 * (state_dir/tablespaces remembers that). Everything else is refused with the way out. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/layout.h"
#include "base/name.h"

#define LIST_BYTES_MAX 16384u
#define ASK_LIMIT_US (10 * BASE_US_PER_S)
#define VERSION_PREFIX "PG_" /* of the one directory that a server makes in a tablespace */

static int list_path(const struct pg_run *run, struct pg_path *ret)
{
    return pg_path_join(run->settings->state_dir.text, "tablespaces", ret);
}

static bool is_linked(const char *data_dir, const char *target)
{
    struct pg_path links;
    DIR *dir = pg_path_join(data_dir, "pg_tblspc", &links) == 0 ? opendir(links.text) : NULL;
    bool is_found = false;
    if (dir == NULL) {
        return false;
    }
    for (struct dirent *e = readdir(dir); e != NULL && !is_found; e = readdir(dir)) {
        char text[PG_PATH_MAX];
        ssize_t len = readlinkat(dirfd(dir), e->d_name, text, sizeof(text) - 1);
        text[len > 0 ? len : 0] = '\0';
        is_found = len > 0 && strcmp(text, target) == 0;
    }
    closedir(dir);
    return is_found;
}

static bool is_remembered(const struct pg_run *run, const char *target)
{
    struct pg_path path;
    size_t len = 0;
    size_t target_len = strlen(target);
    char *memory = malloc(LIST_BYTES_MAX);
    bool is_found = false;
    if (memory != NULL && list_path(run, &path) == 0 &&
        pg_file_read(path.text, memory, LIST_BYTES_MAX, &len) == 0) {
        for (const char *line = memory; *line != '\0' && !is_found;) {
            const char *end = strchrnul(line, '\n');
            is_found = (size_t)(end - line) == target_len && strncmp(line, target, target_len) == 0;
            line = *end == '\0' ? end : end + 1;
        }
    }
    free(memory);
    return is_found;
}

/* A source on this very host whose tablespace would be our own target. */
static bool is_source_itself(const struct pg_run *run, const struct pg_spaces *s, uint32_t i)
{
    const char *host = run->order.upstream_host.text;
    bool is_here =
        strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
    return is_here && strcmp(s->from[i].text, s->to[i].text) == 0;
}

static int clear_one(struct pg_run *run, const struct pg_spaces *s, uint32_t i)
{
    const char *target = s->to[i].text;
    if (pg_dir_is_empty(target)) {
        return 0;
    }
    bool is_ours = is_linked(run->data_dir, target) || is_remembered(run, target);
    int status = !is_ours || is_source_itself(run, s, i)
                     ? BASE_E_DENIED
                     : pg_dir_remove_prefixed(target, VERSION_PREFIX);
    if (status == 0 && pg_dir_is_empty(target)) {
        return 0;
    }
    return pg_run_fail(run, BASE_E_DENIED,
                       "tablespace directory %.150s holds files that are not this member's: empty "
                       "it, or map it with postgresql.tablespaces",
                       target);
}

int pg_spaces_clear(struct pg_run *run, const struct pg_spaces *spaces)
{
    int status = 0;
    for (uint32_t i = 0; i < spaces->count && status == 0; i++) {
        status = clear_one(run, spaces, i);
    }
    return status;
}

/* Before the first byte is copied, so that a half copy is known as ours by whoever comes next. */
static int remember(struct pg_run *run, const struct pg_spaces *spaces)
{
    struct pg_path path;
    char *memory = malloc(LIST_BYTES_MAX);
    int status = memory == NULL ? BASE_E_NOMEM : list_path(run, &path);
    if (status == 0) {
        struct buf b = buf_over(memory, LIST_BYTES_MAX);
        for (uint32_t i = 0; i < spaces->count; i++) {
            buf_put_text(&b, spaces->to[i].text);
            buf_put_text(&b, "\n");
        }
        status = b.is_full ? BASE_E_TOOBIG : pg_file_write(path.text, buf_slice(&b), 0600);
    }
    free(memory);
    return status == 0 ? 0
                       : pg_run_fail(run, status, "cannot write the list of tablespaces: %s",
                                     base_error_text(status));
}

static int take_rows(struct pg_run *run, const PGresult *r, struct pg_spaces *ret)
{
    for (int row = 0; row < PQntuples(r); row++) {
        const char *location = pg_sql_text(r, row, 0);
        if (location[0] != '/') {
            continue; /* inside of the data directory */
        }
        if (ret->count == PG_TABLESPACES_MAX ||
            pg_path_suffix(location, "", &ret->from[ret->count]) != 0 ||
            pg_layout_tablespace(run->settings, location, &ret->to[ret->count]) != 0) {
            return pg_run_fail(run, BASE_E_TOOBIG, "too many tablespaces, or their paths too long");
        }
        ret->count++;
    }
    return 0;
}

static int ask(struct pg_run *run, struct pg_spaces *ret)
{
    static const char text[] = "SELECT pg_tablespace_location(oid) FROM pg_tablespace"
                               " WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid";
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    struct base_mono deadline =
        base_mono_min(run->deadline, base_mono_add_us(pg_now(), ASK_LIMIT_US));
    int status = pg_run_upstream_conninfo(run, PG_ROLE_REWIND, false, conninfo, sizeof(conninfo));
    if (status != 0) {
        return status;
    }
    status = pg_sql_open(&sql, conninfo, deadline, &why);
    status = status != 0 ? status : pg_sql_run(&sql, text, deadline, &rows, &why);
    if (status != 0) {
        pg_sql_close(&sql);
        return pg_run_upstream_failed(run, status, &why);
    }
    status = rows.count > 0 ? take_rows(run, rows.results[0], ret) : 0;
    pg_sql_free(&rows);
    pg_sql_close(&sql);
    return status;
}

int pg_spaces_prepare(struct pg_run *run, struct pg_spaces *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (run->order.is_remote) {
        return 0; /* our roles are not there: the base backup itself refuses what is not empty */
    }
    int status = ask(run, ret);
    status = status != 0 ? status : pg_spaces_clear(run, ret);
    return status != 0 || ret->count == 0 ? status : remember(run, ret);
}
