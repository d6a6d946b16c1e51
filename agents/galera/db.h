/* SPDX-License-Identifier: Apache-2.0 */
/* The Galera implementation of agents/port_db.h, in the loop thread.
 *
 * A probe every interval: state by two statements with a deadline of 1 s, a read with
 * wsrep_sync_wait beside it, on the writer a write that shows a stall before the state does. What
 * hangs in one session holds up no other. Work on the stopped directory is done by one worker. The
 * shell never starts or kills a server.
 */
#ifndef QUORATE_AGENTS_GALERA_DB_H
#define QUORATE_AGENTS_GALERA_DB_H

#include "agents/galera/session.h"
#include "agents/galera/settings.h"
#include "agents/port_db.h"
#include "proto/io/loop.h"

struct gal_db;

struct gal_db_options {
    const struct gal_settings *settings; /* outlives the port */
    struct io_loop *loop;
    struct gal_session_port sessions;
    int64_t interval_us; /* of probes */
    struct db_events events;
};

/* NOMEM, IO. */
MUST_CHECK int gal_db_open(const struct gal_db_options *options, struct gal_db **ret);
/* Cancels what runs, waits for the worker. NULL is fine. Returns NULL. */
struct gal_db *gal_db_close(struct gal_db *db);
struct db_port gal_db_port(struct gal_db *db);

#endif
