/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold on this host before the agent starts: programs, directories, passwords,
 * certificates. See engine.h. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/mongodb/dir.h"
#include "agents/mongodb/engine.h"
#include "agents/shell/start.h"
#include "base/name.h"

#define PASSWORD_MIN 8
#define PASSWORD_FILE_MAX 4096

static int check_program(const struct io_config *config, const struct mdb_settings *s,
                         struct io_why *why)
{
    if (s->is_watched || access(s->mongod.text, X_OK) == 0) {
        return 0;
    }
    io_config_why(config, MDB_KEY_MONGOD, why,
                  "no program at %s; install MongoDB's package mongodb-org-server, or name another "
                  "place",
                  s->mongod.text);
    return BASE_E_NOTFOUND;
}

static int check_user(struct io_why *why)
{
    if (geteuid() == 0) {
        io_why_set(why, "MongoDB does not run as root; set 'user'");
        return BASE_E_DENIED;
    }
    return 0;
}

static int check_files(const struct mdb_settings *s, struct io_why *why)
{
    const char *const files[] = {s->tls_ca.text,     s->tls_cert.text,  s->tls_key.text,
                                 s->login_cert.text, s->login_key.text, s->key_file.text};
    for (size_t i = 0; i < BASE_COUNT_OF(files); i++) {
        if (files[i][0] != '\0' && access(files[i], R_OK) != 0) {
            io_why_set(why, "cannot read %s as this user (uid %u): %s", files[i], geteuid(),
                       strerror(errno));
            return BASE_E_NOTFOUND;
        }
    }
    return 0;
}

/* mongod itself refuses one that others may read. */
static int check_key_file(const struct io_config *config, const struct mdb_settings *s,
                          struct io_why *why)
{
    struct stat st;
    if (s->key_file.text[0] == '\0' || stat(s->key_file.text, &st) != 0 ||
        (st.st_mode & 077) == 0) {
        return 0;
    }
    io_config_why(config, MDB_KEY_KEY_FILE, why, "%s must have mode 0600 or 0400",
                  s->key_file.text);
    return BASE_E_DENIED;
}

static int check_directories(const struct agent_settings *common, const struct mdb_settings *s,
                             struct io_why *why)
{
    int rc = agent_check_directory(common->state_dir, why);
    rc = rc != 0 ? rc : agent_check_directory(common->run_dir, why);
    bool is_ours = !s->is_watched && s->data_dir.text[0] != '\0';
    return rc != 0 || !is_ours ? rc : agent_check_directory(s->data_dir.text, why);
}

/* --- passwords --- */

static int password_line(struct mdb_settings *s, char *line)
{
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    char *colon = strchr(line, ':');
    if (colon == NULL) {
        return BASE_E_INVALID;
    }
    *colon = '\0';
    char *memory = strcmp(line, MDB_USER_READ) == 0  ? s->read_password
                   : strcmp(line, MDB_USER_ACT) == 0 ? s->act_password
                                                     : NULL;
    size_t len = strlen(colon + 1);
    if (memory == NULL || len < PASSWORD_MIN || len >= MDB_PASSWORD_MAX) {
        return BASE_E_INVALID;
    }
    memcpy(memory, colon + 1, len + 1);
    return 0;
}

static int password_lines(struct mdb_settings *s, char *text)
{
    int rc = 0;
    while (text != NULL && rc == 0) {
        char *end = strchr(text, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        rc = password_line(s, text);
        text = end == NULL ? NULL : end + 1;
    }
    bool is_whole = s->read_password[0] != '\0' && s->act_password[0] != '\0';
    return rc != 0 ? rc : is_whole ? 0 : BASE_E_INVALID;
}

static int read_passwords(const struct io_config *config, struct mdb_settings *s,
                          struct io_why *why)
{
    struct stat st;
    char text[PASSWORD_FILE_MAX];
    size_t len = 0;
    const char *path = io_config_text(config, MDB_KEY_PASSWORDS);
    if (s->login != MDB_LOGIN_SCRAM) {
        return 0;
    }
    if (stat(path, &st) != 0) {
        io_config_why(config, MDB_KEY_PASSWORDS, why, "cannot read %s: %s", path, strerror(errno));
        return BASE_E_NOTFOUND;
    }
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid()) {
        io_config_why(config, MDB_KEY_PASSWORDS, why,
                      "%s must belong to the server's user and have mode 0600", path);
        return BASE_E_DENIED;
    }
    int rc = pg_file_read(path, text, sizeof(text), &len);
    rc = rc != 0 ? rc : password_lines(s, text);
    explicit_bzero(text, sizeof(text));
    if (rc != 0) {
        io_config_why(config, MDB_KEY_PASSWORDS, why,
                      "%s needs lines " MDB_USER_READ ":PASSWORD and " MDB_USER_ACT
                      ":PASSWORD (8 to 127 bytes each)",
                      path);
    }
    return rc;
}

int mdb_engine_check_host(const struct io_config *config, const struct agent_settings *common,
                          struct mdb_settings *s, struct io_why *why)
{
    struct base_text text = {""};
    int rc = check_user(why);
    rc = rc != 0 ? rc : check_program(config, s, why);
    rc = rc != 0 ? rc : check_directories(common, s, why);
    rc = rc != 0 ? rc : check_files(s, why);
    rc = rc != 0 ? rc : check_key_file(config, s, why);
    rc = rc != 0 ? rc : read_passwords(config, s, why);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_dir_prepare(s, &text);
    if (rc != 0) {
        io_why_set(why, "%s", text.text);
    }
    return rc;
}
