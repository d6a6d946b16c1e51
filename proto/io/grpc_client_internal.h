/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the blocking gRPC client: grpc_conn.c (endpoints, sockets, TLS),
 * grpc_client.c (HTTP/2, unary calls) and grpc_stream.c. Nobody else includes this. */
#ifndef QUORATE_PROTO_IO_GRPC_CLIENT_INTERNAL_H
#define QUORATE_PROTO_IO_GRPC_CLIENT_INTERNAL_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "proto/io/bytes.h"
#include "proto/io/grpc_client.h"

#define GRPC_ANSWER_MAX ((size_t)64 << 20)

/* A client's HTTP/2 session with its settings sent, for the channel of daemons (grpc_channel.c) as
 * well; nghttp2's callbacks get `ctx`. BASE_E_NOMEM. */
struct grpc_session_calls {
    nghttp2_on_header_callback header;
    nghttp2_on_data_chunk_recv_callback data;
    nghttp2_on_stream_close_callback closed;
};
MUST_CHECK int grpc_session_new(const struct grpc_session_calls *calls, void *ctx, int32_t window,
                                nghttp2_session **ret);

struct grpc_endpoint {
    struct io_address address;
    bool is_tls;
    char text[IO_ADDRESS_TEXT_MAX];
};

/* What has come of the call under way. */
struct grpc_partial {
    int32_t stream_id;
    int http_status;
    int grpc_status; /* -1: none yet */
    bool is_closed;
    uint32_t error_code;
    struct io_bytes message, body;
};

struct io_grpc_client {
    struct grpc_endpoint endpoints[IO_GRPC_ENDPOINTS_MAX];
    size_t endpoints_count;
    size_t pinned;  /* SIZE_MAX: all */
    size_t current; /* connected to */
    struct io_tls *tls;
    char *token;
    int fd; /* -1: not connected */
    SSL *ssl;
    nghttp2_session *session;
    struct slice request; /* framed; what is left to send */
    bool is_stream;       /* messages go on until half-closed */
    bool is_half_closed;
    struct io_bytes out; /* STREAM: framed messages, from `request` on not yet sent */
    struct grpc_partial answer;
    struct base_mono deadline;
};

/* --- grpc_conn.c --- */
void grpc_disconnect(struct io_grpc_client *client);
/* Tries the endpoints in order; why is the last one's. A TLS failure outlives "refused" of others.
 */
MUST_CHECK int grpc_connect(struct io_grpc_client *client, struct base_mono deadline,
                            struct io_why *why);
/* A kept connection may have been closed by the server meanwhile. */
bool grpc_is_alive(struct io_grpc_client *client);
/* All bytes, or an error; under client->deadline. */
MUST_CHECK int grpc_send_bytes(struct io_grpc_client *client, const uint8_t *data, size_t len,
                               struct io_why *why);
/* At least one byte. */
MUST_CHECK int grpc_receive_bytes(struct io_grpc_client *client, uint8_t *data, size_t cap,
                                  size_t *ret_len, struct io_why *why);

/* --- grpc_client.c --- */
MUST_CHECK int grpc_session_open(struct io_grpc_client *client);
/* Begins a request; timeout_ms 0: without one. */
MUST_CHECK int grpc_submit(struct io_grpc_client *client, const char *path, uint32_t timeout_ms);
MUST_CHECK int grpc_flush(struct io_grpc_client *client, struct io_why *why);
/* Sends what is queued and takes in what comes, once. */
MUST_CHECK int grpc_pump(struct io_grpc_client *client, struct io_why *why);
void grpc_partial_reset(struct io_grpc_client *client);
/* Status and message of a call that is over, without the body. */
MUST_CHECK int grpc_status(const struct io_grpc_client *client, struct io_grpc_answer *ret,
                           struct io_why *why);

#endif
