/* SPDX-License-Identifier: Apache-2.0 */
/* A lease kept alive by a thread of its own while `kv lock` or `kv elect` waits or a command runs.
 *
 * The thread takes SIGINT, SIGTERM and SIGHUP (they are blocked everywhere else): it passes them
 * on to the command when one runs; else it revokes the lease, which frees what hangs on it, and
 * ends the process with 128 + signal. When the lease is lost it says so, sends SIGTERM to the
 * command and is_lost is set. */
#ifndef QUORATE_KV_CLI_KEEPER_H
#define QUORATE_KV_CLI_KEEPER_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "kv/cli/cli.h"

struct cli_keeper {
    struct cli *cli;
    struct io_grpc_client *client;
    int64_t lease;
    int64_t ttl_s;
    pthread_t thread;
    sigset_t signals;
    sigset_t signals_before;
    atomic_bool is_stopping;
    atomic_bool is_lost;
    atomic_int child; /* pid of the command; 0 none */
};

/* Grants a lease and starts the thread. An exit code, printed; 0 else. */
int cli_keeper_start(struct cli_keeper *keeper, struct cli *cli, int64_t ttl_s);
/* Stops the thread and revokes the lease. */
void cli_keeper_stop(struct cli_keeper *keeper);
/* Runs a command and returns its exit code, 128 + signal when one ended it, or IO_EXIT_UNAVAILABLE
 * when the lease was lost meanwhile. */
int cli_keeper_run(struct cli_keeper *keeper, char **command);
/* Until a signal ends the process, or the lease is lost: IO_EXIT_UNAVAILABLE. */
int cli_keeper_wait(struct cli_keeper *keeper);

#endif
