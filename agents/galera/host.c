/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold on this host before the agent starts: programs, directories, passwords,
 * certificates. See engine.h. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/galera/engine.h"
#include "agents/shell/start.h"
#include "base/name.h"

#define PASSWORD_MIN 8
#define PASSWORD_FILE_MAX 4096

static int check_program(const struct io_config *config, size_t key, const char *path,
                         const char *package, struct io_why *why)
{
    if (access(path, X_OK) == 0) {
        return 0;
    }
    io_config_why(config, key, why, "no program at %s; install %s or name another place", path,
                  package);
    return BASE_E_NOTFOUND;
}

static bool is_in_path(const char *name)
{
    static const char *const places[] = {"/usr/bin", "/bin", "/usr/sbin", "/sbin",
                                         "/usr/local/bin"};
    char path[64];
    for (size_t i = 0; i < BASE_COUNT_OF(places); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", places[i], name);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* A transfer that cannot begin is found out when it is needed: better now. */
static int check_transfer(const struct io_config *config, const struct gal_settings *s,
                          struct io_why *why)
{
    bool is_backup = s->sst == GAL_SST_MARIABACKUP;
    const char *const needed[] = {is_backup ? "mariadb-backup" : "rsync", is_backup ? "socat" : "",
                                  !is_backup && s->is_tls ? "stunnel" : ""};
    for (size_t i = 0; i < BASE_COUNT_OF(needed); i++) {
        if (needed[i][0] != '\0' && !is_in_path(needed[i])) {
            io_config_why(config, GAL_KEY_SST_METHOD, why,
                          "state transfers need the program %s: install %s", needed[i],
                          strcmp(needed[i], "stunnel") == 0 ? "stunnel4" : needed[i]);
            return BASE_E_NOTFOUND;
        }
    }
    return 0;
}

static int check_programs(const struct io_config *config, const struct gal_settings *s,
                          struct io_why *why)
{
    struct pg_path make;
    int rc = check_program(config, GAL_KEY_SERVER, s->server.text, "mariadb-server", why);
    rc = rc != 0 ? rc : pg_path_join(s->tools_dir.text, "mariadb-install-db", &make);
    rc = rc != 0 ? rc : check_program(config, GAL_KEY_TOOLS_DIR, make.text, "mariadb-server", why);
    if (rc == 0 && access(s->provider.text, R_OK) != 0) {
        io_config_why(config, GAL_KEY_PROVIDER, why, "no library at %s; install galera-4",
                      s->provider.text);
        rc = BASE_E_NOTFOUND;
    }
    return rc != 0 ? rc : check_transfer(config, s, why);
}

static int check_tls_files(const struct gal_settings *s, struct io_why *why)
{
    const char *const files[] = {s->tls_ca.text, s->tls_cert.text, s->tls_key.text};
    for (size_t i = 0; i < BASE_COUNT_OF(files) && s->is_tls; i++) {
        if (access(files[i], R_OK) != 0) {
            io_why_set(why, "cannot read %s as user %s: %s", files[i], s->os_user, strerror(errno));
            return BASE_E_NOTFOUND;
        }
    }
    return 0;
}

static int find_user(struct gal_settings *s, struct io_why *why)
{
    const struct passwd *user = getpwuid(geteuid());
    if (user == NULL || user->pw_uid == 0) {
        io_why_set(why, "%s",
                   user == NULL ? "this user has no name"
                                : "MariaDB does not run as root; set 'user'");
        return BASE_E_DENIED;
    }
    (void)snprintf(s->os_user, sizeof(s->os_user), "%s", user->pw_name);
    return 0;
}

/* --- passwords --- */

static char *password_of(struct gal_settings *s, const char *role)
{
    if (strcmp(role, "check") == 0) {
        return s->check_password;
    }
    if (strcmp(role, "agent") == 0) {
        return s->agent_password;
    }
    return strcmp(role, "sst") == 0 ? s->sst_password : NULL;
}

/* What stands in an option file and in SQL needs no quoting. */
static int password_line(struct gal_settings *s, char *line)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.+=/@%^*!~";
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    char *colon = strchr(line, ':');
    if (colon == NULL) {
        return BASE_E_INVALID;
    }
    *colon = '\0';
    char *memory = password_of(s, line);
    size_t len = strlen(colon + 1);
    if (memory == NULL || len < PASSWORD_MIN || len >= GAL_PASSWORD_MAX ||
        strspn(colon + 1, fine) != len) {
        return BASE_E_INVALID;
    }
    memcpy(memory, colon + 1, len + 1);
    return 0;
}

static int password_lines(struct gal_settings *s, char *text)
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
    bool is_whole = s->check_password[0] != '\0' && s->agent_password[0] != '\0' &&
                    (s->sst == GAL_SST_RSYNC || s->sst_password[0] != '\0');
    return rc != 0 ? rc : is_whole ? 0 : BASE_E_INVALID;
}

int gal_engine_passwords(const struct io_config *config, struct gal_settings *s, struct io_why *why)
{
    struct stat st;
    char text[PASSWORD_FILE_MAX];
    size_t len = 0;
    const char *path = io_config_text(config, GAL_KEY_PASSWORDS);
    if (stat(path, &st) != 0) {
        io_config_why(config, GAL_KEY_PASSWORDS, why, "cannot read %s: %s", path, strerror(errno));
        return BASE_E_NOTFOUND;
    }
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid()) {
        io_config_why(config, GAL_KEY_PASSWORDS, why,
                      "%s must belong to the server's user and have mode 0600", path);
        return BASE_E_DENIED;
    }
    int rc = pg_file_read(path, text, sizeof(text), &len);
    rc = rc != 0 ? rc : password_lines(s, text);
    explicit_bzero(text, sizeof(text));
    if (rc != 0) {
        io_config_why(config, GAL_KEY_PASSWORDS, why,
                      "%s needs lines check:PASSWORD, agent:PASSWORD and, with mariabackup, "
                      "sst:PASSWORD (8 to 127 letters, digits and -_.+=/@%%^*!~)",
                      path);
    }
    return rc;
}

int gal_engine_check_host(const struct io_config *config, const struct agent_settings *common,
                          struct gal_settings *s, struct io_why *why)
{
    int rc = find_user(s, why);
    rc = rc != 0 ? rc : check_programs(config, s, why);
    rc = rc != 0 ? rc : agent_check_directory(common->state_dir, why);
    rc = rc != 0 ? rc : agent_check_directory(common->run_dir, why);
    rc = rc != 0 ? rc : agent_check_directory(s->data_dir.text, why);
    rc = rc != 0 ? rc : check_tls_files(s, why);
    return rc != 0 ? rc : gal_engine_passwords(config, s, why);
}
