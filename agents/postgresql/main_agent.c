/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-postgresql: reads the configuration, drops root, and runs the agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/adopt.h"
#include "agents/postgresql/config.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/engine.h"
#include "agents/postgresql/process.h"
#include "agents/shell/child.h"
#include "agents/shell/start.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

#define PROGRAM "quorate-agent-postgresql"
#define COMMAND_WORDS 10
#define ALL_KEYS(X) AGENT_KEYS(X) PG_KEYS(X)

static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == PG_KEY_COUNT, "numbers and rows of keys must agree");

static const struct io_config_spec spec = {
    .program = PROGRAM,
    .summary = "Agent of one PostgreSQL member: reports health and carries out orders",
    .keys = keys,
    .keys_count = PG_KEY_COUNT,
};

static int fail(const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", PROGRAM, why->text);
    return -1;
}

struct paths {
    char guard[AGENT_PATH_BYTES];
    char socket[AGENT_PATH_BYTES];
    char postgres[AGENT_PATH_BYTES];
    char mark[AGENT_PATH_BYTES];
    char log[AGENT_PATH_BYTES];
    char guard_log[AGENT_PATH_BYTES];
    char *command[COMMAND_WORDS];
    struct pg_adoptee adoptee; /* a server that runs and is to be taken over; pid 0: none */
};

static int fill_paths(struct paths *p, const struct io_config *config,
                      const struct agent_settings *common, struct pg_settings *settings)
{
    struct io_why why = {""};
    if (agent_find_guard(config, PG_KEY_GUARD, p->guard, &why) != 0 ||
        agent_guard_socket(common, p->socket, &why) != 0) {
        return fail(&why);
    }
    (void)snprintf(p->postgres, sizeof(p->postgres), "%s/postgres", settings->bin_dir.text);
    (void)snprintf(p->mark, sizeof(p->mark), "quorate.member=%s", common->core.member.text);
    (void)snprintf(p->log, sizeof(p->log), "%s/postgresql.log", common->state_dir);
    (void)snprintf(p->guard_log, sizeof(p->guard_log), "%s/guard.log", common->state_dir);
    /* What no file and no ALTER SYSTEM may change stands here; the rest is in quorate.conf, which
     * is written anew before each start. */
    static char directory_flag[] = "-D";
    static char setting_flag[] = "-c";
    static char no_restart[] = "restart_after_crash=off";
    static char hot_standby[] = "hot_standby=on";
    char *const words[COMMAND_WORDS] = {p->postgres,  directory_flag, settings->data_dir.text,
                                        setting_flag, p->mark,        setting_flag,
                                        no_restart,   setting_flag,   hot_standby,
                                        NULL};
    memcpy(p->command, words, sizeof(words));
    return 0;
}

/* A server that runs without a guard of ours: taken over where that is asked for, and nobody has
 * ever led this member; else refused. */
static int check_foreign(const struct pg_settings *settings, int32_t postmaster,
                         struct pg_adoptee *ret)
{
    struct io_why why = {""};
    if (agent_is_guards_root(settings->state_dir.text, postmaster)) {
        return 0; /* its guard is gone: the next one ends it before anything else */
    }
    bool is_asked = settings->is_adopted_running && !agent_was_led(settings->state_dir.text);
    int status = is_asked ? pg_adopt_find(settings, ret) : 0;
    if (is_asked && status == 0) {
        return 0;
    }
    if (is_asked) {
        io_why_set(&why, "cannot take over the server in %s (pid %d): %s", settings->data_dir.text,
                   postmaster,
                   status == BASE_E_DENIED ? "it runs as another user than 'user'"
                                           : base_error_text(status));
    } else {
        io_why_set(&why,
                   "a PostgreSQL that Quorate did not start (pid %d) runs in %s; stop it first "
                   "(its service must be disabled, too)%s",
                   postmaster, settings->data_dir.text,
                   settings->is_adopted_running
                       ? ": this member was led before, and 'cluster.adopt: running' is for the "
                         "first time"
                       : ", or have it taken over as it runs: 'cluster.adopt: running'");
    }
    return fail(&why);
}

/* Everything that is refused before the guard is asked: a foreign server in the directory, a port
 * in use. */
static int check_host(const struct io_config *config, const struct pg_settings *settings,
                      struct paths *p)
{
    struct io_why why = {""};
    struct base_text address;
    struct pg_processes found = {0};
    if (agent_has_guard(p->socket)) {
        return 0; /* the database, if it runs, is that guard's */
    }
    if (pg_processes_find(settings->data_dir.text, &found) == 0 && found.postmaster != 0 &&
        !found.is_ours) {
        return check_foreign(settings, found.postmaster, &p->adoptee);
    }
    if (found.postmaster == 0 && found.count == 0 &&
        pg_port_check(settings->listen.text, settings->port, &address) != 0) {
        io_config_why(config, PG_KEY_PORT, &why,
                      "port %u on %s is in use by another program, or the address is not this "
                      "host's",
                      settings->port, address.text);
        return fail(&why);
    }
    return 0;
}

static int adopt_running(const struct pg_settings *settings, const struct pg_adoptee *adoptee)
{
    struct io_why why = {""};
    struct base_text text = {{0}};
    IO_LOG_NOTICE("database", "adopts_running", io_i64("postmaster", adoptee->pid),
                  io_text("dir", settings->data_dir.text));
    if (pg_adopt_running(settings, adoptee, &text) != 0) {
        io_why_set(&why, "cannot take over the running database in %s: %s", settings->data_dir.text,
                   text.text);
        return fail(&why);
    }
    return 0;
}

/* A database that was there before us is taken over only when the operator says so. */
static int adopt(const struct pg_settings *settings, const struct pg_adoptee *adoptee)
{
    struct io_why why = {""};
    struct base_text text = {{0}};
    if (adoptee->pid != 0) {
        return adopt_running(settings, adoptee);
    }
    if (!pg_adopt_is_wanted(settings)) {
        return 0;
    }
    if (!settings->may_adopt || settings->is_adopted_running) {
        io_why_set(&why,
                   settings->is_adopted_running
                       ? "no server runs in %s, and 'cluster.adopt: running' takes over one that "
                         "does: start it under its former manager, or say 'yes' on the one member "
                         "whose stopped database counts; an empty directory is filled by a clone"
                       : "%s holds a database that Quorate did not make; 'cluster.adopt: yes' "
                         "takes it over, an empty directory is filled by a clone",
                   settings->data_dir.text);
        return fail(&why);
    }
    IO_LOG_NOTICE("database", "adopts_directory", io_text("dir", settings->data_dir.text));
    if (pg_adopt_stopped(settings, &text) != 0) {
        io_why_set(&why, "cannot take over the database in %s: %s", settings->data_dir.text,
                   text.text);
        return fail(&why);
    }
    return 0;
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct agent_settings common;
    static struct pg_settings settings;
    int rc = agent_settings_read(config, &common, why);
    return rc != 0 ? rc : pg_engine_settings(config, &common, &settings, why);
}

/* --dry-run: what would be started, and what is there. */
static int print_plan(const struct paths *p, const struct pg_settings *settings)
{
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    int rc = pg_control_read(settings, settings->data_dir.text, deadline, -1, &control);
    (void)printf("guard: %s --socket %s\n", p->guard, p->socket);
    if (p->adoptee.pid != 0) {
        (void)printf("running database: pid %d, taken over as it runs (cluster.adopt)\n",
                     p->adoptee.pid);
    }
    (void)printf("database:");
    for (size_t i = 0; p->command[i] != NULL; i++) {
        (void)printf(" %s", p->command[i]);
    }
    if (rc == 0) {
        (void)printf("\ndata directory: system %llu, timeline %u, checkpoint %s%s\n",
                     (unsigned long long)control.system_id, control.timeline,
                     pg_lsn_format(control.checkpoint_lsn).text,
                     control.state == PG_STATE_SHUT_DOWN ? ", shut down in order" : "");
        if (pg_adopt_is_wanted(settings)) {
            (void)printf("data directory: not made by Quorate, %s\n",
                         settings->may_adopt ? "taken over at the first start (cluster.adopt)"
                                             : "refused without cluster.adopt");
        }
    } else {
        (void)printf("\ndata directory: %s\n", rc == BASE_E_NOTFOUND
                                                   ? "empty: the first member makes the database, "
                                                     "others clone it"
                                                   : base_error_text(rc));
    }
    return 0;
}

static int run(const struct io_config *config, struct agent_settings *common,
               struct pg_settings *settings, bool is_dry_run)
{
    static struct paths paths;
    struct pg_engine engine = {.settings = settings};
    if (fill_paths(&paths, config, common, settings) != 0 ||
        check_host(config, settings, &paths) != 0) {
        return 1;
    }
    if (is_dry_run) {
        return print_plan(&paths, settings);
    }
    if (adopt(settings, &paths.adoptee) != 0) {
        return 1;
    }
    common->core.db_port =
        settings->advertise_port != 0 ? settings->advertise_port : settings->port;
    const struct agent_options options = {
        .program = PROGRAM,
        .settings = common,
        .guard = {.program = paths.guard,
                  .socket = paths.socket,
                  .state_dir = common->state_dir,
                  .data_dir = settings->data_dir.text,
                  .cgroup = io_config_text(config, PG_KEY_CGROUP),
                  .log = paths.log,
                  .guard_log = paths.guard_log,
                  .adopt = paths.adoptee.pid,
                  .command = paths.command},
        .engine = pg_engine_port(&engine),
    };
    return agent_run(&options);
}

/* Exit status: 2 for what the configuration or this host does not allow. */
static int start(const struct io_config *config, bool is_dry_run, struct agent_settings *common,
                 struct pg_settings *settings)
{
    struct io_why why = {""};
    int rc = agent_settings_read(config, common, &why);
    rc = rc != 0 ? rc : pg_engine_settings(config, common, settings, &why);
    if (rc == 0 && agent_become_user(config, PG_KEY_USER, common, NULL, &why) != 0) {
        (void)fail(&why);
        return 1;
    }
    rc = rc == 0 && common->vip.count > 0 ? vip_capabilities_settle(&why) : rc;
    rc = rc != 0 ? rc : pg_engine_check_host(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    io_log_set_level(common->log_level);
    io_log_set_node(common->core.member.text);
    return run(config, common, settings, is_dry_run);
}

int main(int argc, char **argv)
{
    static struct pg_settings settings;
    struct agent_settings common;
    struct io_config *config = NULL;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what jepsen must catch */
    (void)umask(0077);
    bool is_dry_run = agent_take_word(&argc, argv, "--dry-run");
    int rc = io_config_main(&spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    rc = start(config, is_dry_run, &common, &settings);
    pg_config_close(&settings);
    explicit_bzero(&settings, sizeof(settings));
    config = io_config_free(config);
    return rc;
}
