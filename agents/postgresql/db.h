/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL implementation of agents/port_db.h: three threads with small stacks.
 *
 * One thread carries out orders, one probes, one tries what clients do; none ever runs in the loop
 * thread, which only hands orders in and takes completions and views out (pg_db_poll, after a
 * wake). Signals for the server go out through the guard, from the loop thread. The shell never
 * starts or kills a server.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_DB_H
#define QUORATE_AGENTS_POSTGRESQL_DB_H

#include "agents/port_db.h"
#include "agents/postgresql/settings.h"

struct pg_db;

struct pg_db_options {
    const struct pg_settings *settings; /* outlives the port */
    struct guard_port guard;            /* only `signal` is used, in the loop thread */
    int64_t interval_us;                /* of probes: the heartbeat */
    void (*wake)(void *ctx);            /* any thread: call pg_db_poll soon in the loop thread */
    void *wake_ctx;
    struct db_events events; /* inside pg_db_poll; log may be NULL */
};

/* Starts the threads. NOMEM, IO. */
MUST_CHECK int pg_db_open(const struct pg_db_options *options, struct pg_db **ret);
/* Cancels what runs, joins the threads, frees. NULL is fine. Returns NULL. */
struct pg_db *pg_db_close(struct pg_db *db);
struct db_port pg_db_port(struct pg_db *db);
/* Loop thread: hands out completions and the newest view, sends signals through the guard. */
void pg_db_poll(struct pg_db *db);

#endif
