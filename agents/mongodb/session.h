/* SPDX-License-Identifier: Apache-2.0 */
/* Port: sessions to the local mongod. One command at a time in each, with a limit; the answer comes
 * back in the loop thread. The product's implementation is threads.c, a thread for each session;
 * tests bring a scripted one.
 */
#ifndef QUORATE_AGENTS_MONGODB_SESSION_H
#define QUORATE_AGENTS_MONGODB_SESSION_H

#include "base/slice.h"
#include "base/types.h"

/* Each is a connection and a thread of its own, so that what hangs in one holds up nothing in
 * another. */
enum mdb_session {
    MDB_SESSION_HELLO,  /* nobody: hello, which is answered when something changes */
    MDB_SESSION_WATCH,  /* ha_read: status, configuration, counters */
    MDB_SESSION_CANARY, /* ha_read: the primary's own write */
    MDB_SESSION_ACT,    /* ha_act: orders; closed behind each */
    MDB_SESSION_LOCAL,  /* nobody, from 127.0.0.1: what is allowed while there are no users */
    MDB_SESSION_COUNT
};

#define MDB_COMMAND_BYTES 24576 /* a configuration of 16 members, and more */
#define MDB_REPLY_BYTES (256 * 1024)
#define MDB_HUNG_US \
    (10 * BASE_US_PER_S)   /* after that a thread is given up, and another started \
                            */
#define MDB_GIVEN_UP_MAX 3 /* threads of one session that may hang at a time */

struct mdb_command {
    const char *db;
    struct slice bson;  /* one document */
    int64_t timeout_us; /* after that it is called back with TIMEOUT */
};

/* Lives during the callback, as long as no further command is run in that session. */
struct mdb_reply {
    /* 0: `bson` is the answer. TIMEOUT, CLOSED, UNREACHABLE, TLS; DENIED: login refused; PROTO: no
     * answer that could be read; CANCELED: by reset; STATE: the server's error `code`. */
    int status;
    int32_t code;      /* MongoDB's; 0: none */
    const char *text;  /* what went wrong, one line; "" */
    struct slice bson; /* also of some errors */
};

typedef void mdb_reply_fn(void *ctx, const struct mdb_reply *reply);

struct mdb_session_port {
    void *ctx;
    /* Opens the session when it is closed. The callback comes once, never from inside of the call.
     * Only when the session is idle. The command is copied; one that is longer than
     * MDB_COMMAND_BYTES is called back with TOOBIG. */
    void (*run)(void *ctx, enum mdb_session session, const struct mdb_command *command,
                mdb_reply_fn *done, void *done_ctx);
    /* A command is under way, also one that was called back with TIMEOUT already. */
    bool (*is_busy)(void *ctx, enum mdb_session session);
    /* The connection is closed, before the next command at the latest; what runs is called back
     * with CANCELED, later. */
    void (*reset)(void *ctx, enum mdb_session session);
    /* Since when the session hangs beyond MDB_HUNG_US; NEVER: it does not. */
    struct base_mono (*hung_since)(void *ctx, enum mdb_session session);
};

#endif
