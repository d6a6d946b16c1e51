/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-galera: what its start has of its own (agents/shell/agent_main.h), and
 * --print-sql, the accounts that it needs, ready to paste. */
#include <stdio.h>
#include <string.h>

#include "agents/galera/adopt.h"
#include "agents/galera/arbitrator.h"
#include "agents/galera/conf.h"
#include "agents/galera/dir.h"
#include "agents/galera/engine.h"
#include "agents/shell/agent_main.h"

static struct gal_settings settings;

static int read_keys(const struct io_config *config, struct agent_settings *common,
                     struct io_why *why)
{
    return gal_engine_settings(config, common, &settings, why);
}

static int check_host(const struct io_config *config, const struct agent_settings *common,
                      struct io_why *why)
{
    return gal_engine_check_host(config, common, &settings, why);
}

static void command(struct agent_start *start)
{
    static char defaults[AGENT_PATH_BYTES];
    (void)snprintf(defaults, sizeof(defaults), "--defaults-file=%s", settings.conf.text);
    start->command[0] = settings.server.text;
    start->command[1] = defaults;
}

/* --- data that were there before us --- */

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

static int check_foreign(struct agent_start *start, struct io_why *why)
{
    struct base_text text = {{0}};
    int32_t pid = 0;
    int status = gal_adopt_find(&settings, &pid);
    if (status == 0 && agent_is_guards_root(start->common->state_dir, pid)) {
        return 0; /* its guard is gone: the next one ends it before anything else */
    }
    if (!agent_is_takeover(start)) {
        return agent_refuse_running(start, why);
    }
    status = status != 0 ? status : gal_adopt_check(&settings, gal_mysql_ask, &text);
    if (status != 0) {
        io_why_set(why, "cannot take over the node that runs in %s: %s", settings.data_dir.text,
                   text.text[0] != '\0' ? text.text : not_found_text(status));
        return status;
    }
    start->adoptee = pid;
    return 0;
}

static int check_data(struct agent_start *start, struct io_why *why)
{
    struct gal_look look;
    gal_dir_look(&settings, false, &look);
    if (!start->has_guard && look.is_locked) {
        return check_foreign(start, why);
    }
    bool is_ours = agent_has_state(start->common->state_dir) || gal_dir_is_empty(&settings);
    return is_ours ? 0 : agent_check_adopts_data(start, why);
}

/* --- what is printed --- */

static void plan(const struct agent_start *start)
{
    struct gal_look look;
    agent_print_start(start);
    gal_dir_look(&settings, true, &look);
    if (!look.has_directory) {
        (void)printf("data directory: empty: made by the founder, filled by a state transfer on "
                     "others\n");
    } else {
        (void)printf("data directory: %llu MB, seqno %lld%s%s\n",
                     (unsigned long long)(look.data_bytes >> 20), (long long)look.saved.seqno,
                     look.saved.seqno < 0 ? " (to be recovered)" : "",
                     look.is_transfer_broken ? ", a state transfer was cut off" : "");
    }
}

static void put_sql(const struct agent_settings *common, struct buf *out)
{
    (void)common;
    buf_put_text(out, settings.is_socket_login
                          ? "-- On one member, as its administrator. No passwords: who runs as "
                            "that OS user is let in.\n"
                          : "-- On one member, as its administrator. PASSWORD: as in the password "
                            "file.\n");
    gal_accounts_put(&settings, false, out);
}

#define ALL_KEYS(X) AGENT_KEYS(X, "mysql") GAL_KEYS(X)
static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == GAL_KEY_COUNT, "numbers and rows of keys must agree");

static const struct agent_program program = {
    .spec =
        {.program = "quorate-agent-galera",
         .summary = "Agent of one MariaDB Galera member: reports health and carries out orders",
         .words =
             "  --dry-run         print what would be started\n"
             "  --print-sql       print the accounts that it needs, as SQL\n"
             "  --arbitrator      keep a Galera arbitrator (garbd) running; has keys of its own\n",
         .keys = keys,
         .keys_count = GAL_KEY_COUNT},
    .server = "a server",
    .unit = "mariadb",
    .filler = "a state transfer",
    .yes = "for stopped data",
    .log = "mariadb.log",
    .makes_data_dir = true,
    .prints = {{"--print-sql", put_sql}},
    .read = read_keys,
    .check_host = check_host,
    .command = command,
    .check_data = check_data,
    .plan = plan,
};

int main(int argc, char **argv)
{
    struct gal_engine engine = {.settings = &settings};
    if (agent_take_word(&argc, argv, "--arbitrator")) {
        return gal_arbitrator_main(argc, argv);
    }
    int rc = agent_main(&program, gal_engine_port(&engine), argc, argv);
    explicit_bzero(&settings, sizeof(settings));
    return rc;
}
