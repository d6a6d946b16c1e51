/* SPDX-License-Identifier: Apache-2.0 */
/* One hook at a time as a child of the agent: /bin/sh with the command of the configuration, in a
 * process group of its own, killed as a whole when its time is over, with what it is told in its
 * arguments (ACTION ROLE CLUSTER, as Patroni's callbacks have it) and in QUORATE_* of its
 * environment; its output goes line by line to the agent's log, bounded. Loop thread. */
#ifndef QUORATE_AGENTS_HOOKS_RUN_H
#define QUORATE_AGENTS_HOOKS_RUN_H

#include "agents/hooks/hooks.h"
#include "agents/shell/child.h"
#include "proto/io/loop.h"

#define HOOK_ENVIRONMENT_MAX 12
#define HOOK_WORD_MAX 320

/* What a hook is told; texts are copied. */
struct hook_words {
    struct base_name cluster;
    struct base_name member;
    enum hooks_role role;
    uint64_t epoch;
    struct base_text host; /* this member's, for clients */
    uint16_t port;
    struct base_name primary; /* empty: nobody is known to be open */
    struct base_text primary_host;
    uint16_t primary_port;
};

struct hook_run {
    struct io_work work; /* first: what comes back is this */
    struct io_workers *workers;
    void *ctx;
    /* 0; STATE: another exit status; TIMEOUT, CANCELED: killed; else it could not be started. */
    void (*done)(void *ctx, enum hook_kind kind, int status, const struct base_text *reason);
    bool is_running;
    int cancel_fd; /* eventfd; -1 none */
    enum hook_kind kind;
    int status;
    char command[HOOK_COMMAND_MAX + 8]; /* with the arguments handed on */
    char role[24];
    char cluster[BASE_NAME_MAX + 1];
    char environment[HOOK_ENVIRONMENT_MAX][HOOK_WORD_MAX];
    struct base_mono deadline;
    struct pg_child_result result;
};

/* NOMEM, IO. */
MUST_CHECK int hook_run_open(struct hook_run *run, struct io_workers *workers);
/* Starts; not while one is running. `done` is called from the loop, never from inside. */
void hook_run_start(struct hook_run *run, const struct hooks_settings *settings,
                    enum hook_kind kind, const struct hook_words *words);
/* Kills it; `done` comes with CANCELED, or with its own end when that was first. */
void hook_run_cancel(struct hook_run *run);
/* After the workers are freed. */
void hook_run_close(struct hook_run *run);

#endif
