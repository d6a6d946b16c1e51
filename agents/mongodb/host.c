/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold on this host before the agent starts: programs, passwords, certificates. See
 * engine.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "agents/mongodb/dir.h"
#include "agents/mongodb/engine.h"
#include "agents/shell/start.h"
#include "base/name.h"

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

static int read_passwords(const struct io_config *config, struct mdb_settings *s,
                          struct io_why *why)
{
    struct base_text text;
    const struct agent_password roles[] = {{MDB_USER_READ, s->read_password, true},
                                           {MDB_USER_ACT, s->act_password, true}};
    const struct agent_passwords file = {
        .path = io_config_text(config, MDB_KEY_PASSWORDS),
        .roles = roles,
        .count = BASE_COUNT_OF(roles),
        .needs =
            "lines " MDB_USER_READ ":PASSWORD and " MDB_USER_ACT ":PASSWORD (8 to 127 bytes each)",
    };
    int rc = s->login == MDB_LOGIN_SCRAM ? agent_passwords_read(&file, &text) : 0;
    if (rc != 0) {
        io_config_why(config, MDB_KEY_PASSWORDS, why, "%s", text.text);
    }
    return rc;
}

int mdb_engine_check_host(const struct io_config *config, const struct agent_settings *common,
                          struct mdb_settings *s, struct io_why *why)
{
    struct base_text text = {""};
    const char *const files[] = {s->tls_ca.text,     s->tls_cert.text,  s->tls_key.text,
                                 s->login_cert.text, s->login_key.text, s->key_file.text};
    int rc = check_program(config, s, why);
    rc = rc != 0 ? rc : agent_check_files(common, files, BASE_COUNT_OF(files), why);
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
