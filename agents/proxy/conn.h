/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections and the connections made for them.
 *
 * A connection is held (the client waits), connecting, or open (bytes flow both ways). All sockets
 * stand in one epoll set of their own, which the loop watches as one handle, so that an idle
 * connection costs its struct and two sockets and nothing else. The owner decides where to; this
 * file moves bytes and notices ends: an end of one side is passed on to the other when all before
 * it has gone out, a broken side closes both. Loop thread only. Callbacks may do anything with any
 * connection; its memory stays until the present round of events is over.
 */
#ifndef QUORATE_AGENTS_PROXY_CONN_H
#define QUORATE_AGENTS_PROXY_CONN_H

#include <sys/socket.h>

#include "agents/proxy/core/core.h"
#include "agents/proxy/flow.h"
#include "proto/io/loop.h"

enum conn_state { CONN_HELD, CONN_CONNECTING, CONN_OPEN, CONN_GONE };
enum conn_side { CONN_CLIENT = 0, CONN_DATABASE = 1 };

struct conn {
    struct conn *next, *prev; /* in the owner's list; NULL-ended */
    struct conns *table;
    void *owner;
    struct base_mono since; /* accepted */
    struct base_mono begun; /* CONNECTING */
    int fd[2];
    struct flow flow[2];  /* [side]: from it to the other one */
    uint8_t watched[2];   /* what epoll looks for; see conn.c */
    uint8_t state;        /* enum conn_state */
    uint8_t port;         /* enum proxy_port */
    uint8_t member;       /* CONNECTING, OPEN */
    uint8_t address;      /* number of the member's address that is tried */
    uint8_t reason;       /* HELD: enum proxy_reason */
    bool is_server_first; /* the database's end came before the client's */
};

struct conns_events {
    void (*connected)(void *ctx, struct conn *conn);
    /* The connection waits again (HELD), with the database's socket closed. */
    void (*failed)(void *ctx, struct conn *conn, int error);
    /* The client left while it was held or connecting (state says which), or an open one has
     * ended; is_server_first: the database's end came first. Gone after the call. */
    void (*ended)(void *ctx, struct conn *conn, bool is_server_first);
};

struct conns_options {
    struct io_loop *loop;
    int64_t keepalive_us;
    bool sends_header;
    const struct conns_events *events; /* static */
    void *ctx;
};

struct conns_stats {
    uint32_t count; /* of connections, held ones included */
    uint64_t copied_bytes, spliced_bytes;
    uint32_t pipes;
    size_t kept_bytes;
};

struct conns;
/* NOMEM, IO. */
MUST_CHECK int conns_open(const struct conns_options *options, struct conns **ret);
void conns_set(struct conns *conns, int64_t keepalive_us, bool sends_header);
void conns_stats(const struct conns *conns, struct conns_stats *ret);
/* Connections that are left are dropped without a word. NULL is fine. Returns NULL. */
struct conns *conns_close(struct conns *conns);

/* Takes over an accepted socket; HELD. NULL: no memory, the socket is closed. */
struct conn *conn_add(struct conns *conns, int fd, void *owner, enum proxy_port port);
/* HELD -> CONNECTING, `connected` or `failed` follow later; or a negative errno at once, HELD. */
MUST_CHECK int conn_connect(struct conn *conn, const struct sockaddr *address, socklen_t len);
/* CONNECTING -> HELD: the attempt is given up. */
void conn_hold(struct conn *conn);
/* The client is told `last` (may be empty) and closed; the database's side, if any, is reset. What
 * the database had said already still goes to the client. The owner is not called. */
void conn_end(struct conn *conn, struct slice last);

#endif
