/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-mongodb: reads the configuration, drops root, and runs the agent. --print-roles
 * prints the roles and users that it needs, ready to paste; --print-conf what mongod is started
 * with;
 * --dry-run what would be started. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/mongodb/conf.h"
#include "agents/mongodb/dir.h"
#include "agents/mongodb/engine.h"
#include "agents/mongodb/roles.h"
#include "agents/shell/start.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

#define PROGRAM "quorate-agent-mongodb"
#define TEXT_BYTES 16384
#define ALL_KEYS(X) AGENT_KEYS(X) MDB_KEYS(X)

static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == MDB_KEY_COUNT, "numbers and rows of keys must agree");

static const struct io_config_spec spec = {
    .program = PROGRAM,
    .summary = "Agent of one MongoDB member: reports health and carries out orders\n"
               "  --print-roles  print the roles and users that it needs, for mongosh\n"
               "  --print-conf   print the configuration file that mongod is started with\n"
               "  --dry-run      print what would be started",
    .keys = keys,
    .keys_count = MDB_KEY_COUNT,
};

static int fail(const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", PROGRAM, why->text);
    return -1;
}

struct paths {
    char guard[AGENT_PATH_BYTES];
    char socket[AGENT_PATH_BYTES];
    char log[AGENT_PATH_BYTES];
    char guard_log[AGENT_PATH_BYTES];
    char option[16];
    char *command[4];
};

static int fill_paths(struct paths *p, const struct io_config *config,
                      const struct agent_settings *common, struct mdb_settings *s)
{
    struct io_why why = {""};
    if (agent_find_guard(config, MDB_KEY_GUARD, p->guard, &why) != 0 ||
        agent_guard_socket(common, p->socket, &why) != 0) {
        return fail(&why);
    }
    (void)snprintf(p->option, sizeof(p->option), "--config");
    (void)snprintf(p->log, sizeof(p->log), "%s/mongod.log", common->state_dir);
    (void)snprintf(p->guard_log, sizeof(p->guard_log), "%s/guard.log", common->state_dir);
    char *const words[] = {s->mongod.text, p->option, s->conf.text, NULL};
    memcpy(p->command, words, sizeof(words));
    return 0;
}

/* Everything that is refused before the guard is asked: a mongod that is not ours in the directory,
 * data that nobody has said may be taken over. */
static int check_data(const struct agent_settings *common, const struct mdb_settings *s,
                      const struct paths *p)
{
    struct io_why why = {""};
    struct mdb_look look;
    if (s->is_watched) {
        return 0;
    }
    bool has_guard = agent_has_guard(p->socket);
    mdb_dir_look(s, &look);
    if (!has_guard && look.is_held) {
        io_why_set(&why,
                   "a mongod that Quorate did not start runs in %s; stop it first (its service "
                   "must be disabled, too: systemctl disable --now mongod), or say "
                   "'mongodb.adopt: watch'",
                   s->data_dir.text);
        return fail(&why);
    }
    bool is_ours = agent_has_state(common->state_dir);
    if (!is_ours && !mdb_dir_is_empty(s) && !s->may_adopt) {
        io_why_set(&why,
                   "%s holds data that Quorate did not make; 'cluster.adopt: yes' takes them over, "
                   "an empty directory is filled by an initial sync",
                   s->data_dir.text);
        return fail(&why);
    }
    return 0;
}

static int read_settings(const struct io_config *config, struct agent_settings *common,
                         struct mdb_settings *settings, struct io_why *why)
{
    int rc = agent_settings_read(config, common, why);
    return rc != 0 ? rc : mdb_engine_settings(config, common, settings, why);
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct agent_settings common;
    static struct mdb_settings settings;
    return read_settings(config, &common, &settings, why);
}

/* --dry-run: what would be started, and what is there. */
static int print_plan(const struct paths *p, const struct mdb_settings *s)
{
    struct mdb_look look;
    mdb_dir_look(s, &look);
    if (s->is_watched) {
        (void)printf("mongod: watched at port %u, %s\n", s->port,
                     look.is_held ? "runs" : "not found by its files");
        return 0;
    }
    (void)printf("guard: %s --socket %s\nserver: %s %s %s\n", p->guard, p->socket, p->command[0],
                 p->command[1], p->command[2]);
    (void)printf("data directory: %s\n",
                 look.has_data ? "holds data" : "empty: filled by an initial sync");
    return 0;
}

static int run(const struct io_config *config, struct agent_settings *common,
               struct mdb_settings *settings, bool is_dry_run)
{
    static struct paths paths;
    struct mdb_engine engine = {.settings = settings};
    if (fill_paths(&paths, config, common, settings) != 0 ||
        check_data(common, settings, &paths) != 0) {
        return 1;
    }
    if (is_dry_run) {
        return print_plan(&paths, settings);
    }
    const struct agent_options options = {
        .program = PROGRAM,
        .settings = common,
        .guard = {.program = paths.guard,
                  .socket = paths.socket,
                  .state_dir = common->state_dir,
                  .data_dir = settings->is_watched ? common->state_dir : settings->data_dir.text,
                  .cgroup = io_config_text(config, MDB_KEY_CGROUP),
                  .log = paths.log,
                  .guard_log = paths.guard_log,
                  .command = paths.command},
        .engine = mdb_engine_port(&engine),
    };
    return agent_run(&options);
}

/* Exit status: 2 for what the configuration or this host does not allow. */
static int start(const struct io_config *config, bool is_dry_run, struct agent_settings *common,
                 struct mdb_settings *settings)
{
    struct io_why why = {""};
    int rc = read_settings(config, common, settings, &why);
    const char *data_dir =
        settings->is_watched || settings->data_dir.text[0] == '\0' ? NULL : settings->data_dir.text;
    if (rc == 0 && agent_become_user(config, MDB_KEY_USER, common, data_dir, &why) != 0) {
        (void)fail(&why);
        return 1;
    }
    rc = rc == 0 && common->vip.count > 0 ? vip_capabilities_settle(&why) : rc;
    rc = rc != 0 ? rc : mdb_engine_check_host(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    io_log_set_level(common->log_level);
    io_log_set_node(common->core.member.text);
    return run(config, common, settings, is_dry_run);
}

/* As MongoDB writes it: the last part first (RFC 2253). "": there is no certificate to look at. */
static void read_subject(const char *path, char *ret, size_t cap)
{
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    X509 *cert = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    BIO *out = cert == NULL ? NULL : BIO_new(BIO_s_mem());
    int len = 0;
    if (out != NULL &&
        X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_read(out, ret, (int)cap - 1);
    }
    ret[len > 0 ? len : 0] = '\0';
    (void)BIO_free(out);
    X509_free(cert);
    if (file != NULL) {
        (void)fclose(file);
    }
}

static int print_only(const struct io_config *config, struct agent_settings *common,
                      struct mdb_settings *settings, bool is_roles)
{
    static char text[TEXT_BYTES];
    struct io_why why = {""};
    if (read_settings(config, common, settings, &why) != 0) {
        (void)fail(&why);
        return 2;
    }
    struct buf b = buf_over(text, sizeof(text) - 1);
    if (is_roles) {
        char subject[256];
        read_subject(common->cert_file, subject, sizeof(subject));
        mdb_roles_put(settings, subject, &b);
    } else {
        mdb_conf_put(settings, &b);
    }
    (void)buf_terminate(&b);
    (void)fputs(text, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct mdb_settings settings;
    struct agent_settings common;
    struct io_config *config = NULL;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    (void)umask(0077);
    bool is_dry_run = agent_take_word(&argc, argv, "--dry-run");
    bool is_roles = agent_take_word(&argc, argv, "--print-roles");
    bool is_conf = agent_take_word(&argc, argv, "--print-conf");
    int rc = io_config_main(&spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    rc = is_roles || is_conf ? print_only(config, &common, &settings, is_roles)
                             : start(config, is_dry_run, &common, &settings);
    explicit_bzero(&settings, sizeof(settings));
    config = io_config_free(config);
    return rc;
}
