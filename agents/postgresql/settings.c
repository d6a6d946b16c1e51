/* SPDX-License-Identifier: Apache-2.0 */
/* Checks on what the configuration file says about PostgreSQL: see settings.h. Start only. */
#include "agents/postgresql/settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter/pg_parameters.h"
#include "base/name.h"

bool pg_settings_is_reserved(const char *name)
{
    const struct arb_pg_parameter *p = arb_pg_parameter_find(slice_from_text(name));
    return (p != NULL && p->kind == ARB_PG_OURS) || strncasecmp(name, "quorate.", 8) == 0;
}

int pg_settings_add_parameter(struct pg_settings *settings, const char *name, const char *value)
{
    if (!arb_pg_is_name(slice_from_text(name)) || strpbrk(value, "\n\r") != NULL) {
        return BASE_E_INVALID;
    }
    if (pg_settings_is_reserved(name)) {
        return BASE_E_DENIED;
    }
    struct pg_line line;
    struct buf b = buf_over(line.text, sizeof(line.text));
    buf_put_text(&b, name);
    buf_put_text(&b, " = '");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\') {
            buf_put_u8(&b, (uint8_t)*c);
        }
        buf_put_u8(&b, (uint8_t)*c);
    }
    buf_put_text(&b, "'");
    if (!buf_terminate(&b) || b.is_full || settings->parameters_count == PG_PARAMETERS_MAX) {
        return BASE_E_TOOBIG;
    }
    settings->parameters[settings->parameters_count++] = line;
    return 0;
}

int pg_settings_add_hba(struct pg_settings *settings, const char *text)
{
    struct pg_line line;
    struct buf b = buf_over(line.text, sizeof(line.text));
    buf_put_text(&b, text);
    if (strpbrk(text, "\n\r") != NULL) {
        return BASE_E_INVALID;
    }
    if (!buf_terminate(&b) || b.is_full || settings->hba_count == PG_HBA_MAX) {
        return BASE_E_TOOBIG;
    }
    settings->hba[settings->hba_count++] = line;
    return 0;
}

static void why_format(struct base_text *ret, const char *path, const char *text)
{
    char line[BASE_TEXT_MAX];
    (void)snprintf(line, sizeof(line), "password file %.150s %s", path, text);
    *ret = base_text_from(slice_from_text(line));
}

static char *password_of(struct pg_settings *settings, const char *role)
{
    if (strcmp(role, "superuser") == 0 || strcmp(role, PG_ROLE_SUPERUSER) == 0) {
        return settings->password_superuser;
    }
    if (strcmp(role, "replication") == 0 || strcmp(role, PG_ROLE_REPLICATION) == 0) {
        return settings->password_replication;
    }
    if (strcmp(role, "remote") == 0) {
        return settings->password_remote;
    }
    bool is_rewind = strcmp(role, "rewind") == 0 || strcmp(role, PG_ROLE_REWIND) == 0;
    return is_rewind ? settings->password_rewind : NULL;
}

/* Of a user of the bootstrap: read again when a database is made, and not kept. */
static bool is_user_name(const char *name)
{
    return name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static int password_line(struct pg_settings *settings, char *line)
{
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    char *colon = strchr(line, ':');
    if (colon == NULL) {
        return BASE_E_INVALID;
    }
    *colon = '\0';
    char *memory = password_of(settings, line);
    size_t len = strlen(colon + 1);
    if ((memory == NULL && !is_user_name(line)) || len < 8 || len >= PG_PASSWORD_MAX) {
        return BASE_E_INVALID;
    }
    for (const char *c = colon + 1; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return BASE_E_INVALID;
        }
    }
    if (memory != NULL) {
        memcpy(memory, colon + 1, len + 1);
    }
    return 0;
}

static int password_lines(struct pg_settings *settings, char *text)
{
    char *rest = text;
    int status = 0;
    for (char *line = strsep(&rest, "\n"); line != NULL && status == 0;
         line = strsep(&rest, "\n")) {
        status = password_line(settings, line);
    }
    bool is_complete =
        settings->password_replication[0] != '\0' && settings->password_rewind[0] != '\0';
    return status == 0 && !is_complete ? BASE_E_INVALID : status;
}

int pg_settings_read_passwords(struct pg_settings *settings, const char *path,
                               struct base_text *ret_why)
{
    struct stat st;
    char text[4096];
    size_t len = 0;
    if (stat(path, &st) != 0) {
        why_format(ret_why, path, "cannot be read: it does not exist or is not ours");
        return BASE_E_NOTFOUND;
    }
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid()) {
        why_format(ret_why, path, "must belong to the database's user and have mode 0600");
        return BASE_E_DENIED;
    }
    int status = pg_file_read(path, text, sizeof(text), &len);
    if (status == 0) {
        status = password_lines(settings, text);
    }
    explicit_bzero(text, sizeof(text));
    if (status != 0) {
        why_format(
            ret_why, path,
            "needs lines ROLE:PASSWORD (8 to 127 visible bytes) for the roles replication and "
            "rewind");
    }
    return status;
}

int pg_settings_pgpass_path(const struct pg_settings *settings, struct pg_path *ret)
{
    return pg_path_join(settings->state_dir.text, "pgpass", ret);
}

static void pgpass_line(struct buf *b, const char *role, const char *password)
{
    buf_put_text(b, "*:*:*:");
    buf_put_text(b, role);
    buf_put_text(b, ":");
    for (const char *c = password; *c != '\0'; c++) {
        if (*c == ':' || *c == '\\') {
            buf_put_u8(b, '\\');
        }
        buf_put_u8(b, (uint8_t)*c);
    }
    buf_put_text(b, "\n");
}

int pg_settings_write_pgpass(const struct pg_settings *settings)
{
    char text[1024];
    struct pg_path path;
    struct buf b = buf_over(text, sizeof(text));
    if (settings->remote_user[0] != '\0') {
        pgpass_line(&b, settings->remote_user, settings->password_remote);
    }
    pgpass_line(&b, PG_ROLE_REPLICATION, settings->password_replication);
    pgpass_line(&b, PG_ROLE_REWIND, settings->password_rewind);
    int status = pg_settings_pgpass_path(settings, &path);
    if (status == 0) {
        status = b.is_full ? BASE_E_TOOBIG : pg_file_write(path.text, buf_slice(&b), 0600);
    }
    explicit_bzero(text, sizeof(text));
    return status;
}
