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

/* Of a user of the bootstrap: read again when a database is made, and not kept. */
static bool is_user_name(const char *name)
{
    return name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

int pg_settings_read_passwords(struct pg_settings *settings, const char *path,
                               struct base_text *ret_why)
{
    struct pg_settings *s = settings;
    const struct agent_password roles[] = {
        {"superuser", s->password_superuser, false},
        {PG_ROLE_SUPERUSER, s->password_superuser, false},
        {"replication", s->password_replication, true},
        {PG_ROLE_REPLICATION, s->password_replication, true},
        {"rewind", s->password_rewind, true},
        {PG_ROLE_REWIND, s->password_rewind, true},
        {"remote", s->password_remote, false},
    };
    const struct agent_passwords file = {
        .path = path,
        .roles = roles,
        .count = BASE_COUNT_OF(roles),
        .is_other = is_user_name,
        .letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                   "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        .needs = "lines ROLE:PASSWORD (8 to 127 visible bytes) for the roles replication and "
                 "rewind",
    };
    return agent_passwords_read(&file, ret_why);
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
