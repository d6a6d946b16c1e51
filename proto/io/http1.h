/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 server side: health checks, metrics, the JSON gateway.
 *
 * GET, HEAD, OPTIONS, POST (PUT, DELETE, PATCH are handed on too; the handler answers 405).
 * Keep-alive and pipelining, one request at a time per connection. Heads up to 16 KiB, bodies up to
 * the server's limit, slow senders are cut off (10 s for a head, 30 s for a body, 60 s idle). Loop
 * thread only. A handler answers each exchange exactly once, at once or later; after `gone` it must
 * not touch it any more.
 */
#ifndef QUORATE_PROTO_IO_HTTP1_H
#define QUORATE_PROTO_IO_HTTP1_H

#include "proto/io/stream.h"

struct io_http_exchange;

struct io_http_request {
    struct slice method; /* "GET" */
    struct slice path;   /* as sent, without query */
    struct slice query;  /* behind '?', without it; empty when none */
    struct slice body;
    const struct io_identity *identity;
    bool is_tls;
    bool is_loopback; /* the client is on this host */
    bool is_head;     /* bodies of answers are left away by the server */
};

struct io_http_handler {
    void *ctx;
    /* Request and slices are valid until the answer. */
    void (*request)(void *ctx, struct io_http_exchange *exchange,
                    const struct io_http_request *request);
    /* The client went away before the answer was complete; the exchange is gone. May be NULL. */
    void (*gone)(void *ctx, struct io_http_exchange *exchange);
    /* A streamed answer may go on. May be NULL. */
    void (*writable)(void *ctx, struct io_http_exchange *exchange);
};

/* Value of a request header (name in lower case); empty slice when there is none. */
struct slice io_http_header(const struct io_http_exchange *exchange, const char *name);
/* Raw value of a query parameter ("lag" in "lag=10MB&x=1"), not percent-decoded; false when
 * missing. */
bool io_http_query_get(struct slice query, const char *name, struct slice *ret);
/* Percent-decodes ('+' too when is_query) into b; BASE_E_INVALID, TOOBIG. */
MUST_CHECK int io_http_decode(struct slice text, bool is_query, struct buf *b);

/* Adds a header to the coming answer; name and value are copied. Bad bytes drop it. */
void io_http_add_header(struct io_http_exchange *exchange, const char *name, const char *value);
/* The whole answer; body is copied. content_type NULL: none. */
void io_http_reply(struct io_http_exchange *exchange, int status, const char *content_type,
                   struct slice body);
/* A streamed (chunked) answer: begin, any number of chunks, end. Chunk: BASE_E_BUSY when the client
 * reads too slowly (wait for `writable`). */
void io_http_reply_begin(struct io_http_exchange *exchange, int status, const char *content_type);
MUST_CHECK int io_http_reply_chunk(struct io_http_exchange *exchange, struct slice chunk);
void io_http_reply_end(struct io_http_exchange *exchange);
/* Bytes of answers that wait for the client. */
size_t io_http_queued(const struct io_http_exchange *exchange);
/* A pointer of the handler's. */
void io_http_set_user(struct io_http_exchange *exchange, void *user);
void *io_http_user(const struct io_http_exchange *exchange);
const char *io_http_reason(int status);

#endif
