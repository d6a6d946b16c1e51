/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of a data directory, found by their working directory under /proc.
 *
 * For the start of the agent (what is left of a dead guard's database) and before orders that need
 * a stopped server (one that somebody started by hand beside us). A postmaster that was started by
 * us carries the setting quorate.member on its command line.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_PROCESS_H
#define QUORATE_AGENTS_POSTGRESQL_PROCESS_H

#include "base/error.h"
#include "base/types.h"

#define PG_PROCESSES_MAX 1024

struct pg_processes {
    uint32_t count;
    int32_t pids[PG_PROCESSES_MAX];
    int32_t postmaster; /* as in postmaster.pid, when it lives; 0 none */
    bool is_ours;       /* the postmaster carries our mark */
};

/* Lists every living process whose working directory is `data_dir` (zombies are not there). */
MUST_CHECK int pg_processes_find(const char *data_dir, struct pg_processes *ret);
/* kill -9 of all of them until none is left. TIMEOUT after limit_us. */
MUST_CHECK int pg_processes_kill(const char *data_dir, int64_t limit_us);
/* 0 when `port` can be bound on every address of a listen_addresses text; EXISTS: in use, DENIED,
 * NOTFOUND (no such address here). The one at fault comes back. */
MUST_CHECK int pg_port_check(const char *listen, uint16_t port, struct base_text *ret_address);

#endif
