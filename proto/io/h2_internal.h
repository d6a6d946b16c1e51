/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of HTTP/2 sessions and calls, for h2.c and grpc.c only.
 *
 * A call is one HTTP/2 stream from its first header to on_stream_close. gRPC calls and plain HTTP
 * requests (curl, browsers) use the same struct: `kind` tells. grpc.c decides what is answered;
 * h2.c moves bytes.
 */
#ifndef QUORATE_PROTO_IO_H2_INTERNAL_H
#define QUORATE_PROTO_IO_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "proto/io/server_internal.h"

enum call_kind { CALL_NEW, CALL_REFUSED, CALL_UNARY, CALL_STREAM, CALL_HTTP };

#define CALL_MAGIC 0x43414c4cu
#define GRPC_PREFIX 5

struct io_grpc_call {
    uint32_t magic;
    enum call_kind kind;
    struct h2 *h2;
    int32_t stream_id;
    uint64_t id;
    struct io_grpc_call *next, *prev; /* h2->calls */
    struct io_grpc_call *bucket_next; /* server->buckets */
    struct io_headers headers;        /* pseudo headers too */
    bool is_malformed, is_headers_too_big;
    bool is_remote_closed; /* the client has sent everything */
    bool is_told;          /* the handler knows this call and has not answered it */
    bool is_done;          /* answered: what follows `out` is the end */
    bool is_begun;         /* response headers submitted */
    bool is_deferred;      /* nghttp2 waits for more of `out` */
    bool was_over_half;
    /* receiving */
    uint8_t prefix[GRPC_PREFIX];
    uint8_t prefix_len;
    unsigned messages_count;
    struct io_bytes message; /* the message (or HTTP body) being received, or being answered */
    /* sending */
    struct io_bytes out;
    size_t out_at;
    enum io_grpc_status status;
    struct io_bytes status_text; /* percent-encoded */
    struct base_mono deadline;
    struct io_timer timer;
    void *user;
    struct io_http_exchange exchange; /* HTTP */
};

struct h2 {
    struct conn *conn;
    nghttp2_session *session;
    struct io_grpc_call *calls;
    bool is_receiving, is_sending;
    bool is_stopping;
    bool has_writable; /* some call's queue has fallen below half */
    bool is_hostile;   /* to be closed */
    bool is_starved;   /* some call waits for room that others take */
    struct base_mono heard;
    int64_t idle_second; /* idle_frames came in this one */
    uint32_t idle_frames;
    size_t answer_bytes;  /* of all calls' `out`; see IO_CONNECTION_ANSWERS */
    size_t partial_bytes; /* see IO_CONNECTION_PARTIAL */
};

/* h2.c */
/* Sends what the session has to say; from any place but inside nghttp2's callbacks, where it waits.
 */
void h2_flush(struct h2 *h2);
/* These four may end and free the call (its last bytes went out): the caller does not touch it
 * afterwards, unless it is inside one of nghttp2's callbacks. */
/* Response headers; with a body (`out`, then the end) or as the whole answer. */
void h2_submit(struct io_grpc_call *call, const nghttp2_nv *fields, size_t count, bool has_body);
/* More was added to `out`, or is_done was set. */
void h2_resume(struct io_grpc_call *call);
void h2_reset(struct io_grpc_call *call, uint32_t error_code);
void h2_call_free(struct io_grpc_call *call);
/* Adds to `out`, all or nothing. BASE_E_BUSY: above the bounds of connection or server. */
MUST_CHECK int h2_append(struct io_grpc_call *call, const struct slice *pieces, size_t count);
nghttp2_nv h2_field(struct slice name, struct slice value);

/* grpc.c: what came. */
void grpc_headers_done(struct io_grpc_call *call);
void grpc_data(struct io_grpc_call *call, struct slice bytes);
void grpc_remote_closed(struct io_grpc_call *call);
/* The stream is gone; tells the handler when it is still waiting. */
void grpc_gone(struct io_grpc_call *call, enum io_grpc_status status);
/* Ends a stream because the server stops. */
void grpc_stop(struct io_grpc_call *call);
void grpc_writable(struct io_grpc_call *call);
/* Fields of the trailers: at most 2. */
size_t grpc_trailers(const struct io_grpc_call *call, nghttp2_nv fields[2]);
void grpc_message_free(struct io_grpc_call *call);

/* h2_http.c: plain HTTP requests. */
void h2_http_request(struct io_grpc_call *call);
void h2_http_gone(struct io_grpc_call *call);

#endif
