/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-galera: reads the configuration, drops root, and runs the agent. --print-sql prints
 * the accounts that it needs, ready to paste; --dry-run what would be started. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/galera/adopt.h"
#include "agents/galera/arbitrator.h"
#include "agents/galera/conf.h"
#include "agents/galera/dir.h"
#include "agents/galera/engine.h"
#include "agents/shell/start.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

#define PROGRAM "quorate-agent-galera"
#define SQL_BYTES 8192
#define ALL_KEYS(X) AGENT_KEYS(X) GAL_KEYS(X)

static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == GAL_KEY_COUNT, "numbers and rows of keys must agree");

static const struct io_config_spec spec = {
    .program = PROGRAM,
    .summary = "Agent of one MariaDB Galera member: reports health and carries out orders\n"
               "  --print-sql  print the accounts that it needs, as SQL\n"
               "  --dry-run    print what would be started\n"
               "  --arbitrator keep a Galera arbitrator (garbd) running; has keys of its own",
    .keys = keys,
    .keys_count = GAL_KEY_COUNT,
};

static int fail(const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", PROGRAM, why->text);
    return -1;
}

struct paths {
    char guard[AGENT_PATH_BYTES];
    char socket[AGENT_PATH_BYTES];
    char defaults[AGENT_PATH_BYTES];
    char log[AGENT_PATH_BYTES];
    char guard_log[AGENT_PATH_BYTES];
    char *command[3];
    int32_t adoptee; /* a node that runs and is taken over; 0: none */
};

static int fill_paths(struct paths *p, const struct io_config *config,
                      const struct agent_settings *common, struct gal_settings *settings)
{
    struct io_why why = {""};
    if (agent_find_guard(config, GAL_KEY_GUARD, p->guard, &why) != 0 ||
        agent_guard_socket(common, p->socket, &why) != 0) {
        return fail(&why);
    }
    (void)snprintf(p->defaults, sizeof(p->defaults), "--defaults-file=%s", settings->conf.text);
    (void)snprintf(p->log, sizeof(p->log), "%s/mariadb.log", common->state_dir);
    (void)snprintf(p->guard_log, sizeof(p->guard_log), "%s/guard.log", common->state_dir);
    char *const words[] = {settings->server.text, p->defaults, NULL};
    memcpy(p->command, words, sizeof(words));
    return 0;
}

static const char *not_found_text(int status)
{
    switch (status) {
    case BASE_E_DENIED:
        return "it runs as another user than 'user'";
    case BASE_E_UNSUPPORTED:
        return "it is not the program of galera.server, started in its data directory";
    default:
        return base_error_text(status);
    }
}

/* A node that runs without a guard of ours: taken over where that is asked for, and nobody has ever
 * led this member; else refused. */
static int check_foreign(const struct agent_settings *common, const struct gal_settings *s,
                         struct paths *p)
{
    struct io_why why = {""};
    struct base_text text = {{0}};
    int32_t pid = 0;
    int status = gal_adopt_find(s, &pid);
    if (status == 0 && agent_is_guards_root(common->state_dir, pid)) {
        return 0; /* its guard is gone: the next one ends it before anything else */
    }
    bool was_led = agent_was_led(common->state_dir);
    if (!common->core.is_adopted_running || was_led) {
        io_why_set(&why,
                   "a server that Quorate did not start runs in %s; stop it first (its service "
                   "must be disabled, too: systemctl disable --now mariadb)%s",
                   s->data_dir.text,
                   common->core.is_adopted_running
                       ? ": this member was led before, and 'cluster.adopt: running' is for the "
                         "first time"
                       : ", or have it taken over as it runs: 'cluster.adopt: running'");
        return fail(&why);
    }
    status = status != 0 ? status : gal_adopt_check(s, gal_mysql_ask, &text);
    if (status != 0) {
        io_why_set(&why, "cannot take over the node that runs in %s: %s", s->data_dir.text,
                   text.text[0] != '\0' ? text.text : not_found_text(status));
        return fail(&why);
    }
    p->adoptee = pid;
    return 0;
}

/* Everything that is refused before the guard is asked: a server that is not ours in the directory,
 * data that nobody has said may be taken over. */
static int check_data(const struct agent_settings *common, const struct gal_settings *s,
                      struct paths *p)
{
    struct io_why why = {""};
    struct gal_look look;
    bool has_guard = agent_has_guard(p->socket);
    gal_dir_look(s, false, &look);
    if (!has_guard && look.is_locked) {
        return check_foreign(common, s, p);
    }
    bool is_ours = agent_has_state(common->state_dir);
    bool is_running_meant = common->core.is_adopted_running;
    if (!is_ours && !gal_dir_is_empty(s) && (!s->may_adopt || is_running_meant)) {
        io_why_set(&why,
                   is_running_meant
                       ? "no server runs in %s, and 'cluster.adopt: running' takes over one that "
                         "does: start it under its former management, or say 'yes' for stopped "
                         "data; an empty directory is filled by a state transfer"
                       : "%s holds data that Quorate did not make; 'cluster.adopt: yes' takes them "
                         "over, an empty directory is filled by a state transfer",
                   s->data_dir.text);
        return fail(&why);
    }
    return 0;
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct agent_settings common;
    static struct gal_settings settings;
    int rc = agent_settings_read(config, &common, why);
    return rc != 0 ? rc : gal_engine_settings(config, &common, &settings, why);
}

static int print_sql(const struct gal_settings *settings)
{
    static char text[SQL_BYTES];
    struct buf b = buf_over(text, sizeof(text) - 1);
    gal_accounts_put(settings, false, &b);
    (void)buf_terminate(&b);
    (void)printf("-- On one member, as its administrator. PASSWORD: as in the password file.\n%s",
                 text);
    return 0;
}

/* --dry-run: what would be started, and what is there. */
static int print_plan(const struct paths *p, const struct gal_settings *s)
{
    struct gal_look look;
    gal_dir_look(s, true, &look);
    (void)printf("guard: %s --socket %s\nserver: %s %s\n", p->guard, p->socket, p->command[0],
                 p->command[1]);
    if (p->adoptee != 0) {
        (void)printf("running node: pid %d, taken over as it runs (cluster.adopt)\n", p->adoptee);
    }
    if (!look.has_directory) {
        (void)printf("data directory: empty: made by the founder, filled by a state transfer on "
                     "others\n");
    } else {
        (void)printf("data directory: %llu MB, seqno %lld%s%s\n",
                     (unsigned long long)(look.data_bytes >> 20), (long long)look.saved.seqno,
                     look.saved.seqno < 0 ? " (to be recovered)" : "",
                     look.is_transfer_broken ? ", a state transfer was cut off" : "");
    }
    return 0;
}

static int run(const struct io_config *config, struct agent_settings *common,
               struct gal_settings *settings, bool is_dry_run)
{
    static struct paths paths;
    struct gal_engine engine = {.settings = settings};
    if (fill_paths(&paths, config, common, settings) != 0 ||
        check_data(common, settings, &paths) != 0) {
        return 1;
    }
    if (is_dry_run) {
        return print_plan(&paths, settings);
    }
    if (paths.adoptee != 0) {
        IO_LOG_NOTICE("database", "adopts_running", io_i64("pid", paths.adoptee),
                      io_text("dir", settings->data_dir.text));
    }
    common->core.db_port = settings->advertise_port;
    const struct agent_options options = {
        .program = PROGRAM,
        .settings = common,
        .guard = {.program = paths.guard,
                  .socket = paths.socket,
                  .state_dir = common->state_dir,
                  .data_dir = settings->data_dir.text,
                  .cgroup = io_config_text(config, GAL_KEY_CGROUP),
                  .log = paths.log,
                  .guard_log = paths.guard_log,
                  .adopt = paths.adoptee,
                  .command = paths.command},
        .engine = gal_engine_port(&engine),
    };
    return agent_run(&options);
}

/* Exit status: 2 for what the configuration or this host does not allow. */
static int start(const struct io_config *config, bool is_dry_run, struct agent_settings *common,
                 struct gal_settings *settings)
{
    struct io_why why = {""};
    int rc = agent_settings_read(config, common, &why);
    rc = rc != 0 ? rc : gal_engine_settings(config, common, settings, &why);
    const char *data_dir = io_config_text(config, GAL_KEY_DATA_DIR);
    if (rc == 0 && agent_become_user(config, GAL_KEY_USER, common, data_dir, &why) != 0) {
        (void)fail(&why);
        return 1;
    }
    rc = rc == 0 && common->vip.count > 0 ? vip_capabilities_settle(&why) : rc;
    rc = rc != 0 ? rc : gal_engine_check_host(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    io_log_set_level(common->log_level);
    io_log_set_node(common->core.member.text);
    return run(config, common, settings, is_dry_run);
}

static int print_only(const struct io_config *config, struct agent_settings *common,
                      struct gal_settings *settings)
{
    struct io_why why = {""};
    int rc = agent_settings_read(config, common, &why);
    rc = rc != 0 ? rc : gal_engine_settings(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    return print_sql(settings);
}

int main(int argc, char **argv)
{
    static struct gal_settings settings;
    struct agent_settings common;
    struct io_config *config = NULL;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    (void)umask(0077);
    if (agent_take_word(&argc, argv, "--arbitrator")) {
        return gal_arbitrator_main(argc, argv);
    }
    bool is_dry_run = agent_take_word(&argc, argv, "--dry-run");
    bool is_sql = agent_take_word(&argc, argv, "--print-sql");
    int rc = io_config_main(&spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    rc = is_sql ? print_only(config, &common, &settings)
                : start(config, is_dry_run, &common, &settings);
    explicit_bzero(&settings, sizeof(settings));
    config = io_config_free(config);
    return rc;
}
