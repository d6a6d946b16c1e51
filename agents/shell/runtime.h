/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an agent: everything around agents/driver.c that does not depend on the engine.
 *
 * main reads the configuration, fills the options and calls agent_run. SIGTERM and SIGINT hand the
 * role over in order, stop the database and end; SIGUSR1 ends the agent alone, under a running
 * database and its guard (an upgrade; kill -9 does the same). Loop thread only.
 */
#ifndef QUORATE_AGENTS_SHELL_RUNTIME_H
#define QUORATE_AGENTS_SHELL_RUNTIME_H

#include "agents/port_db.h"
#include "agents/shell/agent_config.h"
#include "agents/shell/guard_link.h"

/* What an engine brings. */
struct agent_engine {
    void *ctx;
    /* Starts the port; `runtime` is the context of the three callbacks below. */
    int (*open)(void *ctx, struct io_loop *loop, struct guard_port guard, void *runtime,
                struct db_port *ret, struct io_why *why);
    void (*guard_changed)(void *ctx, const struct guard_status *status);
    void (*set_interval)(void *ctx, int64_t interval_us);
    void (*close)(void *ctx);
};
/* What a database port calls. done, view: loop thread; a standing warning of a view is logged when
 * it changes. log: any thread, a line for people. */
void agent_runtime_done(void *runtime, const struct db_done *done);
void agent_runtime_view(void *runtime, const struct db_view *view);
void agent_runtime_log(void *runtime, const char *text);

struct agent_options {
    const char *program; /* for error lines */
    const struct agent_settings *settings;
    struct guard_spawn guard;
    struct agent_engine engine;
};

/* Runs until a signal; the exit status. Errors are one line on stderr. */
int agent_run(const struct agent_options *options);

#endif
