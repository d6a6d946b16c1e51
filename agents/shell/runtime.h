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

/* What the port of an engine is opened with. */
struct agent_site {
    struct io_loop *loop;
    struct guard_port guard;
    int64_t interval_us; /* of views, until the record says another */
    struct db_events events;
};

/* What an engine brings: its database port. */
struct agent_engine {
    void *ctx;
    int (*open)(void *ctx, const struct agent_site *site, struct db_port *ret, struct io_why *why);
    void (*close)(void *ctx);
};

struct agent_options {
    const char *program; /* for error lines */
    const struct agent_settings *settings;
    struct guard_spawn guard;
    struct agent_engine engine;
};

/* Runs until a signal; the exit status. Errors are one line on stderr. */
int agent_run(const struct agent_options *options);

#endif
