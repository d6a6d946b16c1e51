/* SPDX-License-Identifier: Apache-2.0 */
/* Checks on what the configuration file says about PostgreSQL: see settings.h. Start only. */
#include "agents/postgresql/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"

/* Set by us: safety or our own finding of the server depends on each. */
static const char *const reserved[] = {
    "cluster_name",
    "data_directory",
    "external_pid_file",
    "fsync",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "listen_addresses",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restart_after_crash",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_key_file",
    "synchronous_standby_names",
    "unix_socket_directories",
    "wal_log_hints",
    "wal_receiver_create_temp_slot",
};

bool pg_settings_is_reserved(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(reserved); i++) {
        if (strcasecmp(reserved[i], name) == 0) {
            return true;
        }
    }
    return strncasecmp(name, "quorate.", 8) == 0;
}

static bool is_parameter_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') {
            return false;
        }
    }
    return true;
}

int pg_settings_add_parameter(struct pg_settings *settings, const char *name, const char *value)
{
    if (!is_parameter_name(name) || strpbrk(value, "\n\r") != NULL) {
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
    bool is_rewind = strcmp(role, "rewind") == 0 || strcmp(role, PG_ROLE_REWIND) == 0;
    return is_rewind ? settings->password_rewind : NULL;
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
    if (memory == NULL || len < 8 || len >= PG_PASSWORD_MAX) {
        return BASE_E_INVALID;
    }
    for (const char *c = colon + 1; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return BASE_E_INVALID;
        }
    }
    memcpy(memory, colon + 1, len + 1);
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
    pgpass_line(&b, PG_ROLE_REPLICATION, settings->password_replication);
    pgpass_line(&b, PG_ROLE_REWIND, settings->password_rewind);
    int status = pg_settings_pgpass_path(settings, &path);
    if (status == 0) {
        status = b.is_full ? BASE_E_TOOBIG : pg_file_write(path.text, buf_slice(&b), 0600);
    }
    explicit_bzero(text, sizeof(text));
    return status;
}
