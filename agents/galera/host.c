/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold on this host before the agent starts: programs, passwords, certificates. See
 * engine.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/galera/engine.h"
#include "agents/shell/start.h"
#include "base/name.h"

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

int gal_engine_passwords(const struct io_config *config, struct gal_settings *s, struct io_why *why)
{
    struct base_text text;
    const struct agent_password roles[] = {
        {"check", s->check_password, true},
        {"agent", s->agent_password, true},
        {"sst", s->sst_password, s->sst == GAL_SST_MARIABACKUP},
    };
    const struct agent_passwords file = {
        .path = io_config_text(config, GAL_KEY_PASSWORDS),
        .roles = roles,
        .count = BASE_COUNT_OF(roles),
        /* what stands in an option file and in SQL without quotes */
        .letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=/@%^*!~",
        .needs = "lines check:PASSWORD, agent:PASSWORD and, with mariabackup, sst:PASSWORD (8 to "
                 "127 letters, digits and -_.+=/@%^*!~)",
    };
    if (s->is_socket_login) {
        return 0;
    }
    int rc = agent_passwords_read(&file, &text);
    if (rc != 0) {
        io_config_why(config, GAL_KEY_PASSWORDS, why, "%s", text.text);
    }
    return rc;
}

int gal_engine_check_host(const struct io_config *config, const struct agent_settings *common,
                          struct gal_settings *s, struct io_why *why)
{
    const char *const files[] = {s->tls_ca.text, s->tls_cert.text, s->tls_key.text};
    (void)snprintf(s->os_user, sizeof(s->os_user), "%s", common->os_user);
    int rc = check_programs(config, s, why);
    rc = rc != 0 ? rc : agent_check_files(common, files, BASE_COUNT_OF(files), why);
    return rc != 0 ? rc : gal_engine_passwords(config, s, why);
}
