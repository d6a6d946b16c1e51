/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking gRPC client, for unary calls and streams: the `kv` command line and tests.
 *
 * Not for daemons: it blocks its thread up to the timeout. Endpoints are tried in order until one
 * takes the connection; the connection is kept for the next call. A client is used by one thread at
 * a time.
 */
#ifndef QUORATE_PROTO_IO_GRPC_CLIENT_H
#define QUORATE_PROTO_IO_GRPC_CLIENT_H

#include "proto/io/grpc.h"

#define IO_GRPC_ENDPOINTS_MAX 16

struct io_grpc_client_options {
    const char *endpoints; /* "host:port,https://host:port"; http:// is plain, https:// TLS, none:
                              TLS when ca_file */
    const char *cert_file, *key_file; /* may be NULL */
    const char *ca_file;              /* may be NULL when all endpoints are plain */
    const char *token;                /* metadata `token` of every call, may be NULL */
};

struct io_grpc_client;

struct io_grpc_answer {
    enum io_grpc_status status;
    struct io_why message; /* grpc-message, decoded */
    uint8_t *data;         /* response, malloc'ed; NULL when empty */
    size_t len;
    char endpoint[IO_ADDRESS_TEXT_MAX]; /* who answered */
};

/* INVALID, TLS, IO with why. Does not connect. */
MUST_CHECK int io_grpc_client_new(const struct io_grpc_client_options *options,
                                  struct io_grpc_client **ret, struct io_why *why);
struct io_grpc_client *io_grpc_client_free(struct io_grpc_client *client);
size_t io_grpc_client_endpoints(const struct io_grpc_client *client);
/* From now on only endpoint number n (for `status` of each); SIZE_MAX: all again. Drops the
 * connection. */
void io_grpc_client_pin(struct io_grpc_client *client, size_t n);
const char *io_grpc_client_endpoint(const struct io_grpc_client *client, size_t n);

/* 0: a status came (look at ret->status) and *ret must be freed with io_grpc_answer_free.
 * UNREACHABLE (nobody could be reached), TIMEOUT (outcome unknown), TLS, CLOSED (connection lost
 * while waiting: outcome unknown), PROTO; *ret untouched and why written. */
MUST_CHECK int io_grpc_call(struct io_grpc_client *client, const char *path, struct slice request,
                            uint32_t timeout_ms, struct io_grpc_answer *ret, struct io_why *why);
void io_grpc_answer_free(struct io_grpc_answer *answer);

/* --- streams: one at a time, and no call while it is open --- */

/* Connects (within connect_ms) and begins a stream without a deadline. Errors and why as
 * io_grpc_call. */
MUST_CHECK int io_grpc_stream_open(struct io_grpc_client *client, const char *path,
                                   uint32_t connect_ms, struct io_why *why);
/* Sends one message, blocking up to timeout_ms. TIMEOUT, CLOSED, NOMEM: the stream is lost. */
MUST_CHECK int io_grpc_stream_send(struct io_grpc_client *client, struct slice message,
                                   uint32_t timeout_ms, struct io_why *why);
/* No more messages from here; the server goes on. */
MUST_CHECK int io_grpc_stream_half_close(struct io_grpc_client *client, uint32_t timeout_ms,
                                         struct io_why *why);
/* The next message: 0 with ret->data (free it with io_grpc_answer_free). *ret_is_end: the server
 * ended the stream and *ret has its status and no data. TIMEOUT: nothing came; the stream stands.
 * Other errors: it is lost. */
MUST_CHECK int io_grpc_stream_next(struct io_grpc_client *client, uint32_t timeout_ms,
                                   struct io_grpc_answer *ret, bool *ret_is_end,
                                   struct io_why *why);
/* Drops the connection; harmless when no stream is open. */
void io_grpc_stream_close(struct io_grpc_client *client);

#endif
