/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-postgresql: what its start has of its own; see agents/shell/agent_main.h. */
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/adopt.h"
#include "agents/postgresql/config.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/engine.h"
#include "agents/postgresql/process.h"
#include "agents/shell/agent_main.h"

static struct pg_settings settings;
static struct pg_adoptee adoptee; /* a server that runs and is to be taken over; pid 0: none */

static int read_keys(const struct io_config *config, struct agent_settings *common,
                     struct io_why *why)
{
    return pg_engine_settings(config, common, &settings, why);
}

static int check_host(const struct io_config *config, const struct agent_settings *common,
                      struct io_why *why)
{
    return pg_engine_check_host(config, common, &settings, why);
}

/* What no file and no ALTER SYSTEM may change stands here; the rest is in quorate.conf, which is
 * written anew before each start. */
static void command(struct agent_start *start)
{
    static char postgres[AGENT_PATH_BYTES];
    static char mark[AGENT_PATH_BYTES];
    static char directory_flag[] = "-D";
    static char setting_flag[] = "-c";
    static char no_restart[] = "restart_after_crash=off";
    static char hot_standby[] = "hot_standby=on";
    (void)snprintf(postgres, sizeof(postgres), "%s/postgres", settings.bin_dir.text);
    (void)snprintf(mark, sizeof(mark), "quorate.member=%s", settings.member.text);
    char *const words[] = {postgres,     directory_flag, settings.data_dir.text, setting_flag, mark,
                           setting_flag, no_restart,     setting_flag,           hot_standby};
    _Static_assert(BASE_COUNT_OF(words) < AGENT_COMMAND_WORDS, "and a NULL behind them");
    memcpy(start->command, words, sizeof(words));
}

/* --- a database that was there before us --- */

static int check_foreign(struct agent_start *start, int32_t postmaster, struct io_why *why)
{
    if (agent_is_guards_root(start->common->state_dir, postmaster)) {
        return 0; /* its guard is gone: the next one ends it before anything else */
    }
    if (!agent_is_takeover(start)) {
        return agent_refuse_running(start, why);
    }
    int status = pg_adopt_find(&settings, &adoptee);
    if (status != 0) {
        io_why_set(why, "cannot take over the server in %s (pid %d): %s", settings.data_dir.text,
                   postmaster,
                   status == BASE_E_DENIED ? "it runs as another user than 'user'"
                                           : base_error_text(status));
        return status;
    }
    start->adoptee = adoptee.pid;
    return 0;
}

static int check_data(struct agent_start *start, struct io_why *why)
{
    struct base_text address;
    struct pg_processes found = {0};
    if (start->has_guard) {
        return 0; /* the database, if it runs, is that guard's */
    }
    if (pg_processes_find(settings.data_dir.text, &found) == 0 && found.postmaster != 0 &&
        !found.is_ours) {
        return check_foreign(start, found.postmaster, why);
    }
    if (found.postmaster == 0 && found.count == 0 &&
        pg_port_check(settings.listen.text, settings.port, &address) != 0) {
        io_config_why(start->config, PG_KEY_PORT, why,
                      "port %u on %s is in use by another program, or the address is not this "
                      "host's",
                      settings.port, address.text);
        return BASE_E_EXISTS;
    }
    return 0;
}

static int adopt(const struct agent_start *start, struct io_why *why)
{
    struct base_text text = {{0}};
    int rc = 0;
    if (start->adoptee != 0) {
        rc = pg_adopt_running(&settings, &adoptee, &text);
    } else if (pg_adopt_is_wanted(&settings)) {
        rc = agent_check_adopts_data(start, why);
        if (rc != 0) {
            return rc;
        }
        IO_LOG_NOTICE("database", "adopts_directory", io_text("dir", settings.data_dir.text));
        rc = pg_adopt_stopped(&settings, &text);
    }
    if (rc != 0) {
        io_why_set(why, "cannot take over the database in %s: %s", settings.data_dir.text,
                   text.text);
    }
    return rc;
}

/* --- what is printed --- */

static void plan(const struct agent_start *start)
{
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    int rc = pg_control_read(&settings, settings.data_dir.text, deadline, -1, &control);
    agent_print_start(start);
    if (rc != 0) {
        (void)printf("data directory: %s\n", rc == BASE_E_NOTFOUND
                                                 ? "empty: the first member makes the database, "
                                                   "others clone it"
                                                 : base_error_text(rc));
        return;
    }
    (void)printf("data directory: system %llu, timeline %u, checkpoint %s%s\n",
                 (unsigned long long)control.system_id, control.timeline,
                 pg_lsn_format(control.checkpoint_lsn).text,
                 control.state == PG_STATE_SHUT_DOWN ? ", shut down in order" : "");
    if (pg_adopt_is_wanted(&settings)) {
        (void)printf("data directory: not made by Quorate, %s\n",
                     settings.may_adopt ? "taken over at the first start (cluster.adopt)"
                                        : "refused without cluster.adopt");
    }
}

#define ALL_KEYS(X) AGENT_KEYS(X, "postgres") PG_KEYS(X)
static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == PG_KEY_COUNT, "numbers and rows of keys must agree");

static const struct agent_program program = {
    .spec = {.program = "quorate-agent-postgresql",
             .summary = "Agent of one PostgreSQL member: reports health and carries out orders",
             .words = "  --dry-run         print what would be started\n",
             .keys = keys,
             .keys_count = PG_KEY_COUNT},
    .server = "a PostgreSQL",
    .unit = "postgresql",
    .filler = "a clone",
    .yes = "on the one member whose stopped database counts",
    .log = "postgresql.log",
    .read = read_keys,
    .check_host = check_host,
    .command = command,
    .check_data = check_data,
    .plan = plan,
    .adopt = adopt,
};

int main(int argc, char **argv)
{
    struct pg_engine engine = {.settings = &settings};
    int rc = agent_main(&program, pg_engine_port(&engine), argc, argv);
    pg_config_close(&settings);
    explicit_bzero(&settings, sizeof(settings));
    return rc;
}
