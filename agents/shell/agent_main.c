/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to the running agent; see agent_main.h. */
#include "agents/shell/agent_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/canary.h"
#include "proto/io/daemon.h"

#define PRINT_BYTES 16384

static const struct agent_program *this_program; /* io_config_main() gives its check no context */

static int fail(int exit_status, const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", this_program->spec.program, why->text);
    return exit_status;
}

static int read_all(const struct io_config *config, struct agent_settings *ret, struct io_why *why)
{
    int rc = agent_settings_read(config, ret, why);
    return rc != 0 ? rc : this_program->read(config, ret, why);
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct agent_settings common;
    return read_all(config, &common, why);
}

/* --- a server that was there before us --- */

bool agent_is_takeover(const struct agent_start *start)
{
    return start->common->core.is_adopted_running && !agent_was_led(start->common->state_dir);
}

int agent_refuse_running(const struct agent_start *start, struct io_why *why)
{
    const struct agent_program *p = start->program;
    const char *instead =
        p->instead != NULL ? p->instead
        : start->common->core.is_adopted_running
            ? ": this member was led before, and 'cluster.adopt: running' is for the first time"
            : ", or have it taken over as it runs: 'cluster.adopt: running'";
    io_why_set(why,
               "%s that Quorate did not start runs in %s; stop it first (its service must be "
               "disabled, too: systemctl disable --now %s)%s",
               p->server, start->common->data_dir, p->unit, instead);
    return BASE_E_DENIED;
}

int agent_check_adopts_data(const struct agent_start *start, struct io_why *why)
{
    const struct agent_program *p = start->program;
    const struct agent_settings *common = start->common;
    if (common->core.is_adopted_running && p->instead == NULL) {
        io_why_set(why,
                   "no server runs in %s, and 'cluster.adopt: running' takes over one that does: "
                   "start it under its former management, or say 'yes' %s; an empty directory is "
                   "filled by %s",
                   common->data_dir, p->yes, p->filler);
        return BASE_E_DENIED;
    }
    if (!common->core.seed_adopt) {
        io_why_set(why,
                   "%s holds data that Quorate did not make; 'cluster.adopt: yes' takes them over, "
                   "an empty directory is filled by %s",
                   common->data_dir, p->filler);
        return BASE_E_DENIED;
    }
    return 0;
}

/* --- what is printed --- */

static int print(const struct agent_print *asked, const struct io_config *config)
{
    static char text[PRINT_BYTES];
    struct agent_settings common;
    struct io_why why = {""};
    if (read_all(config, &common, &why) != 0) {
        return fail(2, &why);
    }
    struct buf b = buf_over(text, sizeof(text) - 1);
    asked->put(&common, &b);
    (void)buf_terminate(&b);
    (void)fputs(text, stdout);
    return 0;
}

void agent_print_start(const struct agent_start *start)
{
    (void)printf("guard: %s --socket %s\nserver:", start->guard, start->socket);
    for (size_t i = 0; start->command[i] != NULL; i++) {
        (void)printf(" %s", start->command[i]);
    }
    (void)printf("\n");
    if (start->adoptee != 0) {
        (void)printf("running server: pid %d, taken over as it runs (cluster.adopt)\n",
                     start->adoptee);
    }
}

/* --- start --- */

/* The exit status. */
static int prepare(const struct io_config *config, struct agent_settings *common)
{
    struct io_why why = {""};
    int rc = read_all(config, common, &why);
    const char *made = this_program->makes_data_dir ? common->data_dir : NULL;
    if (rc == 0 && agent_become_user(config, common, made, &why) != 0) {
        return fail(1, &why);
    }
    rc = rc == 0 && common->vip.count > 0 ? vip_capabilities_settle(&why) : rc;
    rc = rc != 0 ? rc : agent_find_user(common, &why);
    rc = rc != 0 ? rc : agent_check_directory(common->state_dir, &why);
    rc = rc != 0 ? rc : agent_check_directory(common->run_dir, &why);
    rc = rc != 0 ? rc : agent_check_directory(common->data_dir, &why);
    rc = rc != 0 ? rc : this_program->check_host(config, common, &why);
    if (rc != 0) {
        return fail(2, &why);
    }
    io_log_set_level(common->log_level);
    io_log_set_node(common->core.member.text);
    return 0;
}

/* Everything that is refused before the guard is asked. */
static int look(struct agent_start *start, struct io_why *why)
{
    const struct agent_settings *common = start->common;
    int rc = agent_find_guard(start->config, start->guard, why);
    rc = rc != 0 ? rc : agent_guard_socket(common, start->socket, why);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(start->log, sizeof(start->log), "%s/%s", common->state_dir, this_program->log);
    (void)snprintf(start->guard_log, sizeof(start->guard_log), "%s/guard.log", common->state_dir);
    this_program->command(start);
    start->has_guard = agent_has_guard(start->socket);
    return this_program->check_data(start, why);
}

static int adopt(const struct agent_start *start, struct io_why *why)
{
    if (start->adoptee != 0) {
        IO_LOG_NOTICE("database", "adopts_running", io_i64("pid", start->adoptee),
                      io_text("dir", start->common->data_dir));
    }
    return this_program->adopt == NULL ? 0 : this_program->adopt(start, why);
}

static int run(struct agent_start *start, struct agent_engine engine, bool is_dry_run)
{
    struct io_why why = {""};
    if (look(start, &why) != 0) {
        return fail(1, &why);
    }
    if (is_dry_run) {
        this_program->plan(start);
        return 0;
    }
    if (adopt(start, &why) != 0) {
        return fail(1, &why);
    }
    const struct agent_options options = {
        .program = this_program->spec.program,
        .settings = start->common,
        .guard = {.program = start->guard,
                  .socket = start->socket,
                  .state_dir = start->common->state_dir,
                  .data_dir = start->common->data_dir,
                  .cgroup = io_config_text(start->config, AGENT_KEY_CGROUP),
                  .log = start->log,
                  .guard_log = start->guard_log,
                  .adopt = start->adoptee,
                  .command = start->command},
        .engine = engine,
    };
    return agent_run(&options);
}

int agent_main(const struct agent_program *program, struct agent_engine engine, int argc,
               char **argv)
{
    static struct agent_start start;
    struct agent_settings common;
    struct io_config *config = NULL;
    const struct agent_print *asked = NULL;
    this_program = program;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what jepsen must catch */
    (void)umask(0077);
    bool is_dry_run = agent_take_word(&argc, argv, "--dry-run");
    for (size_t i = 0; i < BASE_COUNT_OF(program->prints); i++) {
        const struct agent_print *print = &program->prints[i];
        asked = print->word != NULL && agent_take_word(&argc, argv, print->word) ? print : asked;
    }
    int rc = io_config_main(&program->spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    start = (struct agent_start){.program = program, .config = config, .common = &common};
    rc = asked != NULL ? print(asked, config) : prepare(config, &common);
    if (asked == NULL && rc == 0) {
        rc = run(&start, engine, is_dry_run);
    }
    config = io_config_free(config);
    return rc;
}
