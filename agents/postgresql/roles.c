/* SPDX-License-Identifier: Apache-2.0 */
/* Roles of a new or adopted database: see roles.h. */
#include "agents/postgresql/roles.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agents/postgresql/layout.h"
#include "agents/shell/child.h"
#include "base/name.h"

static void put_quoted(struct buf *b, const char *text, size_t len)
{
    buf_put_text(b, "'");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            buf_put_text(b, "'");
        }
        buf_put_u8(b, (uint8_t)text[i]);
    }
    buf_put_text(b, "'");
}

/* One line: the single-user server ends a statement with it. Names hold nothing to be quoted. */
static void put_role(struct buf *b, const char *name, const char *options, const char *password,
                     size_t password_len)
{
    buf_put_text(b, "DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '");
    buf_put_text(b, name);
    buf_put_text(b, "') THEN CREATE ROLE \"");
    buf_put_text(b, name);
    buf_put_text(b, "\"; END IF; END$$\nALTER ROLE \"");
    buf_put_text(b, name);
    buf_put_text(b, "\" ");
    buf_put_text(b, options);
    if (password_len > 0) {
        buf_put_text(b, " PASSWORD ");
        put_quoted(b, password, password_len);
    }
    buf_put_text(b, "\n");
}

/* Password of `name` in lines "name:password"; its length, 0: none. */
static size_t password_of(const char *text, const char *name, const char **ret)
{
    size_t len = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            *ret = line + len + 1;
            return (size_t)(end - *ret);
        }
        line = *end == '\0' ? NULL : end + 1;
    }
    return 0;
}

static void put_users(const struct pg_bootstrap *boot, const char *passwords, struct buf *b)
{
    for (uint32_t i = 0; i < boot->users_count; i++) {
        char options[PG_LINE_MAX + 16];
        const char *password = NULL;
        size_t len = password_of(passwords, boot->users[i].text, &password);
        (void)snprintf(options, sizeof(options), "LOGIN %s", boot->user_options[i].text);
        put_role(b, boot->users[i].text, options, password, len);
    }
}

/* No more rights than they need: pg_rewind's are those of its manual page. */
void pg_roles_put(const struct pg_settings *settings, bool has_users, const char *passwords,
                  struct buf *b)
{
    bool has_checkpoint_role = pg_layout_version(settings) >= 15;
    buf_put_text(b, "SET password_encryption = 'scram-sha-256'\n");
    if (settings->password_superuser[0] != '\0') {
        put_role(b, PG_ROLE_SUPERUSER, "LOGIN", settings->password_superuser,
                 strlen(settings->password_superuser));
    }
    put_role(b, PG_ROLE_REPLICATION, "REPLICATION LOGIN", settings->password_replication,
             strlen(settings->password_replication));
    put_role(b, PG_ROLE_REWIND, "LOGIN", settings->password_rewind,
             strlen(settings->password_rewind));
    put_role(b, PG_ROLE_MONITOR, "LOGIN CONNECTION LIMIT 8", NULL, 0);
    buf_put_text(
        b, "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean),"
           " pg_catalog.pg_stat_file(text, boolean), pg_catalog.pg_read_binary_file(text),"
           " pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO " PG_ROLE_REWIND "\n"
           "GRANT pg_monitor, pg_signal_backend TO " PG_ROLE_MONITOR "\n");
    if (has_checkpoint_role) {
        buf_put_text(b, "GRANT pg_checkpoint TO " PG_ROLE_REWIND "\n"
                        "GRANT pg_checkpoint TO " PG_ROLE_MONITOR "\n");
    }
    if (has_users) {
        put_users(&settings->bootstrap, passwords, b);
    }
}

bool pg_roles_is_option(const char *word)
{
    static const char *const known[] = {"superuser",  "createdb",    "createrole", "replication",
                                        "bypassrls",  "inherit",     "noinherit",  "nologin",
                                        "nocreatedb", "nocreaterole"};
    for (size_t i = 0; i < BASE_COUNT_OF(known); i++) {
        if (strcasecmp(word, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int run_single_user(const struct pg_roles_run *run, struct slice input,
                           struct base_text *ret_why)
{
    struct pg_path program;
    char config[PG_PATH_MAX + 16];
    struct pg_child_result result;
    const char *argv[20] = {NULL, "--single", "-D", run->dir};
    const char *const settings[] = {"log_statement=none", "log_min_error_statement=panic",
                                    "synchronous_standby_names=", "wal_level=replica",
                                    "archive_mode=off"};
    size_t count = 4;
    for (size_t i = 0; i < BASE_COUNT_OF(settings); i++) {
        argv[count++] = "-c";
        argv[count++] = settings[i];
    }
    if (run->config_file != NULL) {
        (void)snprintf(config, sizeof(config), "config_file=%s", run->config_file);
        argv[count++] = "-c";
        argv[count++] = config;
    }
    argv[count++] = "postgres";
    argv[count] = NULL;
    int status = pg_path_join(run->settings->bin_dir.text, "postgres", &program);
    argv[0] = program.text;
    const struct pg_child child = {.argv = argv,
                                   .input = input,
                                   .deadline = run->deadline,
                                   .cancel_fd = run->cancel_fd,
                                   .lock_fd = run->lock_fd};
    status = status != 0 ? status : pg_child_run(&child, &result);
    if (status == 0 && result.error_line[0] != '\0') {
        status = BASE_E_STATE; /* it goes on after an error and exits with 0 */
    }
    if (status == BASE_E_STATE) {
        pg_child_reason(&result, ret_why);
    } else if (status != 0) {
        *ret_why = base_text_from(slice_from_text(base_error_text(status)));
    }
    explicit_bzero(&result, sizeof(result));
    return status;
}

int pg_roles_make(const struct pg_roles_run *run, struct base_text *ret_why)
{
    static const char unread[] = "the password file cannot be read";
    char text[PG_ROLES_BYTES_MAX];
    char passwords[4096] = "";
    size_t len = 0;
    const char *file = run->settings->bootstrap.password_file.text;
    struct buf b = buf_over(text, sizeof(text));
    int status = 0;
    if (run->has_users && run->settings->bootstrap.users_count > 0 && file[0] != '\0') {
        status = pg_file_read(file, passwords, sizeof(passwords), &len);
    }
    if (status != 0) {
        *ret_why = base_text_from(slice_from_text(unread));
    } else {
        pg_roles_put(run->settings, run->has_users, passwords, &b);
        status = b.is_full ? BASE_E_TOOBIG : run_single_user(run, buf_slice(&b), ret_why);
    }
    explicit_bzero(text, sizeof(text));
    explicit_bzero(passwords, sizeof(passwords));
    return status;
}
