/* SPDX-License-Identifier: Apache-2.0 */
/* The main() of every agent: configuration, the database's user, the guard, what lies and runs on
 * this host already; then runtime.h. An engine's program is one row, struct agent_program, whose
 * functions are called in the order in which they stand there. Main thread, before any loop. */
#ifndef QUORATE_AGENTS_SHELL_AGENT_MAIN_H
#define QUORATE_AGENTS_SHELL_AGENT_MAIN_H

#include "agents/shell/runtime.h"
#include "agents/shell/start.h"
#include "base/slice.h"

#define AGENT_COMMAND_WORDS 10

struct agent_program;

/* What is known before anything is started. */
struct agent_start {
    const struct agent_program *program;
    const struct io_config *config;
    struct agent_settings *common;
    bool has_guard;  /* of ours is there: what runs in the data directory is its own */
    int32_t adoptee; /* a server that runs and is taken over as it runs; 0: none */
    char guard[AGENT_PATH_BYTES];
    char socket[AGENT_PATH_BYTES];
    char log[AGENT_PATH_BYTES]; /* of the server's output */
    char guard_log[AGENT_PATH_BYTES];
    char *command[AGENT_COMMAND_WORDS]; /* the server's, NULL-terminated */
};

/* A word of the command line that prints something, from the configuration alone. */
struct agent_print {
    const char *word; /* "--print-sql" */
    void (*put)(const struct agent_settings *common, struct buf *out);
};

struct agent_program {
    struct io_config_spec spec;
    const char *server;  /* as people say it: "a mongod" */
    const char *unit;    /* Debian's service of it */
    const char *filler;  /* what fills an empty directory: "a clone" */
    const char *yes;     /* where stopped data are taken over: "on the one member that counts" */
    const char *instead; /* ", or ...": of a running server's takeover; NULL: cluster.adopt does */
    const char *log;     /* name of the file of the server's output */
    bool makes_data_dir; /* as root, for the user */
    struct agent_print prints[2];
    /* All that answer int: 0, or BASE_E_* with why. */
    /* Reads the engine's keys, and sets in `common` what it alone knows: data_dir, core.db_port,
     * seeds of its own. Looks at nothing but the configuration; may be called again. */
    int (*read)(const struct io_config *config, struct agent_settings *common, struct io_why *why);
    /* What must hold on this host, beside user and directories; as the database's user. */
    int (*check_host)(const struct io_config *config, const struct agent_settings *common,
                      struct io_why *why);
    /* Fills in the command, whose words outlive the start. */
    void (*command)(struct agent_start *start);
    /* Refuses what others have left in, or run on, the data directory; finds the adoptee. */
    int (*check_data)(struct agent_start *start, struct io_why *why);
    /* --dry-run: prints what would be started, and what lies in the data directory. */
    void (*plan)(const struct agent_start *start);
    /* Takes over what was there. NULL: nothing is to be done. */
    int (*adopt)(const struct agent_start *start, struct io_why *why);
};

/* The exit status: 2 for what the configuration or this host does not allow. */
int agent_main(const struct agent_program *program, struct agent_engine engine, int argc,
               char **argv);

/* For check_data and adopt. */

/* A server that runs is to be taken over: that is asked for, and nobody has ever led this member.
 */
bool agent_is_takeover(const struct agent_start *start);
/* DENIED: a server runs that Quorate did not start. */
MUST_CHECK int agent_refuse_running(const struct agent_start *start, struct io_why *why);
/* 0 where the data that lie there, stopped, may be taken over; else DENIED. */
MUST_CHECK int agent_check_adopts_data(const struct agent_start *start, struct io_why *why);

/* For plan: guard, server and adoptee. */
void agent_print_start(const struct agent_start *start);

#endif
