/* SPDX-License-Identifier: Apache-2.0 */
/* The MongoDB implementation of agents/port_db.h, in the loop thread.
 *
 * hello is asked without end, on a session of its own (where the server offers it, it answers as
 * soon as something changes, and after a second at the latest); status every 2 s, the configuration
 * when it changed, counters once a minute, a canary write every 2 s on a primary. What hangs in one
 * session holds up no other. Orders go over a session that is opened for each. The shell never
 * starts or kills a server, and reads back what an order has done.
 */
#ifndef QUORATE_AGENTS_MONGODB_DB_H
#define QUORATE_AGENTS_MONGODB_DB_H

#include "agents/mongodb/session.h"
#include "agents/mongodb/settings.h"
#include "agents/port_db.h"
#include "proto/io/loop.h"

struct mdb_db;

struct mdb_db_options {
    const struct mdb_settings *settings; /* outlives the port */
    struct io_loop *loop;
    struct mdb_session_port sessions;
    int64_t interval_us; /* of views */
    int64_t canary_us;   /* between two, and when one is late; 0: 2 s; tests are less patient */
    struct db_events events;
};

/* NOMEM, IO. */
MUST_CHECK int mdb_db_open(const struct mdb_db_options *options, struct mdb_db **ret);
/* Waits for the worker. NULL is fine. Returns NULL. */
struct mdb_db *mdb_db_close(struct mdb_db *db);
struct db_port mdb_db_port(struct mdb_db *db);

#endif
