/* SPDX-License-Identifier: Apache-2.0 */
/* Port: sessions to the local server. One statement at a time in each, with a deadline; the answer
 * comes back in the loop thread. The product's implementation is mysql.c, on libmariadb's
 * non-blocking calls over the Unix socket; tests bring a scripted one.
 */
#ifndef QUORATE_AGENTS_GALERA_SESSION_H
#define QUORATE_AGENTS_GALERA_SESSION_H

#include "base/error.h"
#include "base/types.h"

/* Each is a connection of its own, so that what hangs in one holds up nothing in another. */
enum gal_session {
    GAL_SESSION_POLL,   /* quorate_check: state */
    GAL_SESSION_CAUSAL, /* quorate_check: a read with wsrep_sync_wait */
    GAL_SESSION_ACT,    /* quorate_agent: orders */
    GAL_SESSION_BACK,   /* quorate_agent: read_only behind a fence, however late */
    GAL_SESSION_CANARY, /* quorate_agent: the writer's heartbeat */
    GAL_SESSION_SETUP,  /* the OS user itself: accounts, of a database that we made */
    GAL_SESSION_COUNT
};

#define GAL_REPLY_ROWS 64
#define GAL_REPLY_COLUMNS 6

/* Texts live during the callback; "" for NULL. */
struct gal_reply {
    int status;       /* 0; TIMEOUT: cut; CLOSED: connection lost or not to be had; DENIED: login
                         refused; STATE: the server's error `number` */
    unsigned number;  /* MariaDB's error number; 0 none */
    const char *text; /* its text */
    unsigned rows;    /* at most GAL_REPLY_ROWS; the rest is dropped */
    unsigned columns;
    const char *values[GAL_REPLY_ROWS][GAL_REPLY_COLUMNS];
};

typedef void gal_reply_fn(void *ctx, const struct gal_reply *reply);

struct gal_session_port {
    void *ctx;
    /* Opens the session when it is closed. The callback comes once, never from inside of the call.
     * Only when the session is idle. `statement` is copied. */
    void (*run)(void *ctx, enum gal_session session, const char *statement, int64_t timeout_us,
                gal_reply_fn *done, void *done_ctx);
    bool (*is_busy)(void *ctx, enum gal_session session);
    /* Cuts the connection; what runs is called back with CANCELED, later. */
    void (*cut)(void *ctx, enum gal_session session);
};

#endif
