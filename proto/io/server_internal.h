/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of servers, for server.c, http1.c, h2.c and grpc.c only.
 *
 * A struct conn is one accepted connection. It speaks HTTP/1.1 (struct http1) or HTTP/2 (struct
 * h2), which is decided by ALPN or the first bytes, and dies with its stream's `closed`. An
 * exchange or a call lives inside its connection; when the connection goes, they are told.
 */
#ifndef QUORATE_PROTO_IO_SERVER_INTERNAL_H
#define QUORATE_PROTO_IO_SERVER_INTERNAL_H

#include "base/assert.h"
#include "proto/io/headers.h"
#include "proto/io/limits.h"
#include "proto/io/server.h"

#define SERVER_CALL_BUCKETS 1024

struct http1;
struct h2;

struct conn {
    struct io_server *server; /* NULL: the server is gone */
    struct io_stream *stream;
    struct conn *next, *prev;
    struct http1 *http1;
    struct h2 *h2;
    uint8_t sniffed[4];
    uint8_t sniffed_len;
    struct io_timer timer; /* sniffing, then http1's */
};

struct io_server {
    struct io_loop *loop;
    struct io_server_options options;
    struct io_http_handler http;
    struct io_grpc_handler grpc;
    bool has_http, has_grpc;
    bool is_stopping;
    struct io_listener *listener;
    struct conn *conns;
    uint32_t conns_count;
    uint64_t last_call_id;
    size_t partial_bytes; /* see IO_SERVER_PARTIAL */
    size_t answer_bytes;  /* see IO_SERVER_ANSWERS */
    struct io_grpc_call *buckets[SERVER_CALL_BUCKETS];
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct io_timer stop_timer;
};

/* How an exchange answers, over HTTP/1.1 or HTTP/2. */
struct exchange_ops {
    struct slice (*header)(const struct io_http_exchange *exchange, struct slice name);
    void (*reply)(struct io_http_exchange *exchange, int status, const char *type,
                  struct slice body);
    void (*begin)(struct io_http_exchange *exchange, int status, const char *type);
    int (*chunk)(struct io_http_exchange *exchange, struct slice chunk);
    void (*end)(struct io_http_exchange *exchange);
    size_t (*queued)(const struct io_http_exchange *exchange);
};

struct io_http_exchange {
    const struct exchange_ops *ops;
    void *owner; /* struct http1 or struct io_grpc_call */
    struct io_http_request request;
    struct io_headers extra; /* to send */
    void *user;
    bool is_begun;
};

/* http1.c. Create: NULL on no memory. */
struct http1 *http1_new(struct conn *conn);
void http1_data(struct http1 *http1, struct slice bytes);
void http1_drained(struct http1 *http1);
/* The connection is gone: tells the handler of a pending exchange (is_told), frees. */
struct http1 *http1_free(struct http1 *http1, bool is_told);
/* Closes when idle; else after the present answer. */
void http1_stop(struct http1 *http1);
/* Hands a request to the server's handler, or answers 404 without one. */
void http1_dispatch(struct io_server *server, struct io_http_exchange *exchange);

/* h2.c: the HTTP/2 session. */
struct h2 *h2_new(struct conn *conn);
void h2_data(struct h2 *h2, struct slice bytes);
void h2_drained(struct h2 *h2);
struct h2 *h2_free(struct h2 *h2, bool is_told);
void h2_stop(struct h2 *h2);

#endif
