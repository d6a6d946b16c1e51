/* SPDX-License-Identifier: Apache-2.0 */
/* Port: one blocking connection to mongod. The product's implementation, conn.c, is the one file
 * that knows libmongoc; tests bring a scripted one. Each connection is used by one thread at a
 * time.
 *
 * https://mongoc.org/libmongoc/1.23.1/
 */
#ifndef QUORATE_AGENTS_MONGODB_CONN_H
#define QUORATE_AGENTS_MONGODB_CONN_H

#include "agents/mongodb/session.h"
#include "agents/mongodb/settings.h"

struct mdb_conn_port {
    void *ctx;
    /* A client for that session; no network yet. NOMEM, INVALID (settings that libmongoc does not
     * take). */
    int (*open)(void *ctx, enum mdb_session session, void **ret);
    /* Connects and logs in when it is not yet, runs one command. The reply lives until the next
     * call with that connection. */
    void (*run)(void *ctx, void *conn, const char *db, struct slice command, struct mdb_reply *ret);
    void (*close)(void *ctx, void *conn);
};

/* libmongoc: once in the process, before any thread. `settings` outlives it. */
struct mdb_conn_port mdb_mongoc_port(const struct mdb_settings *settings);
/* At the end of the process, when no thread of ours is left in it. */
void mdb_mongoc_cleanup(void);

#endif
