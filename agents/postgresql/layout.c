/* SPDX-License-Identifier: Apache-2.0 */
/* Debian's split layout, versions of the server, places of tablespaces: see layout.h. */
#include "agents/postgresql/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_DEFAULT 15u
#define INCLUDE_MARK "# the user's own, by quorate"

uint32_t pg_layout_version(const struct pg_settings *settings)
{
    return settings->version_major == 0 ? VERSION_DEFAULT : settings->version_major;
}

int pg_layout_version_parse(const char *output, uint32_t *ret_major)
{
    static const char key[] = "(PostgreSQL) ";
    const char *at = strstr(output, key);
    uint64_t major = 0;
    if (at == NULL) {
        return BASE_E_INVALID;
    }
    at += sizeof(key) - 1;
    if (slice_to_u64(slice_from(at, strspn(at, "0123456789")), &major) != 0 || major > 1000) {
        return BASE_E_INVALID;
    }
    *ret_major = (uint32_t)major;
    return major < PG_VERSION_MIN || major > PG_VERSION_MAX ? BASE_E_UNSUPPORTED : 0;
}

static bool is_split(const struct pg_settings *settings)
{
    return settings->config_dir.text[0] != '\0';
}

/* In the quotes of postgresql.conf. */
static void put_path(struct buf *b, const char *name, const char *dir, const char *file)
{
    const char *const parts[] = {dir, file};
    buf_put_text(b, name);
    buf_put_text(b, "'");
    for (size_t i = 0; i < BASE_COUNT_OF(parts); i++) {
        for (const char *c = parts[i]; *c != '\0'; c++) {
            if (*c == '\'' || *c == '\\') {
                buf_put_u8(b, (uint8_t)*c);
            }
            buf_put_u8(b, (uint8_t)*c);
        }
    }
    buf_put_text(b, "'");
}

void pg_layout_put(const struct pg_settings *settings, struct buf *b)
{
    const char *data = settings->data_dir.text;
    if (is_split(settings)) {
        put_path(b, "data_directory = ", data, "");
        put_path(b, "\nhba_file = ", data, "/pg_hba.conf");
        put_path(b, "\nident_file = ", data, "/pg_ident.conf");
        put_path(b, "\nexternal_pid_file = ", settings->state_dir.text, "/postgresql.pid");
        buf_put_text(b, "\n");
        if (pg_layout_version(settings) < 15) {
            /* Debian's names a directory that its own start script makes. */
            buf_put_text(b, "stats_temp_directory = 'pg_stat_tmp'\n");
        }
    }
    if (pg_layout_version(settings) < 16) {
        buf_put_text(b, "promote_trigger_file = ''\n");
    }
}

int pg_layout_include(const struct pg_settings *settings, char *memory, size_t cap)
{
    struct buf b = buf_over(memory, cap);
    if (is_split(settings)) {
        put_path(&b, "include ", settings->config_dir.text, "/postgresql.conf");
        buf_put_text(&b, " " INCLUDE_MARK "\n");
    }
    return !buf_terminate(&b) || b.is_full ? BASE_E_TOOBIG : 0;
}

bool pg_layout_is_include(struct slice line)
{
    static const char mark[] = INCLUDE_MARK;
    return slice_has_prefix(line, SLICE_LIT("include '")) && line.len >= sizeof(mark) - 1 &&
           memcmp(line.data + line.len - (sizeof(mark) - 1), mark, sizeof(mark) - 1) == 0;
}

int pg_layout_user_file(const struct pg_settings *settings, const char *name, struct pg_path *ret)
{
    struct pg_path path;
    if (!is_split(settings)) {
        return BASE_E_NOTFOUND;
    }
    int status = pg_path_join(settings->config_dir.text, name, &path);
    if (status == 0 && !pg_file_exists(path.text)) {
        return BASE_E_NOTFOUND;
    }
    if (status == 0) {
        *ret = path;
    }
    return status;
}

int pg_layout_tablespace(const struct pg_settings *settings, const char *location,
                         struct pg_path *ret)
{
    const struct pg_tablespaces *t = &settings->tablespaces;
    for (uint32_t i = 0; i < t->count; i++) {
        size_t len = strlen(t->from[i].text);
        if (strncmp(location, t->from[i].text, len) == 0 &&
            (location[len] == '\0' || location[len] == '/')) {
            return pg_path_suffix(t->to[i].text, location + len, ret);
        }
    }
    return pg_path_suffix(location, "", ret);
}
