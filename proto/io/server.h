/* SPDX-License-Identifier: Apache-2.0 */
/* One listening port that speaks HTTP/1.1 and, when a gRPC handler is given, HTTP/2 with gRPC.
 *
 * Plain: the first bytes decide (HTTP/2 preface or an HTTP/1 method). TLS: ALPN decides, and
 * without ALPN the first bytes. Used by quorated for 2379 and 2381 and by agents for 8008. Loop
 * thread only.
 */
#ifndef QUORATE_PROTO_IO_SERVER_H
#define QUORATE_PROTO_IO_SERVER_H

#include "proto/io/grpc.h"
#include "proto/io/http1.h"

struct io_server_options {
    struct io_address address;
    struct io_tls *tls;                 /* NULL: plain */
    bool is_plain_too;                  /* TLS and plain on one port: see io_stream_options */
    const struct io_http_handler *http; /* NULL: every HTTP/1.1 request is answered 404 */
    const struct io_grpc_handler *grpc; /* NULL: HTTP/1.1 only */
    size_t body_max;                    /* bytes of an HTTP/1.1 body; 0: IO_HTTP_BODY */
    uint32_t connections_max;           /* 0: IO_CONNECTIONS_MAX; above, new ones are closed */
};

/* Listens. Handlers are copied. Errors and why as io_listen. */
MUST_CHECK int io_server_new(struct io_loop *loop, const struct io_server_options *options,
                             struct io_server **ret, struct io_why *why);
uint16_t io_server_port(const struct io_server *server);
uint32_t io_server_connections(const struct io_server *server);
/* Stops listening, sends GOAWAY, lets running unary calls finish, ends streams with UNAVAILABLE
 * ("server stopped"); `done` is called when the last connection is closed, after 5 s at the latest.
 */
void io_server_shutdown(struct io_server *server, void (*done)(void *ctx), void *ctx);
/* Closes everything at once; calls get `canceled`. Not from inside a handler. NULL is fine. Returns
 * NULL. */
struct io_server *io_server_free(struct io_server *server);

#endif
