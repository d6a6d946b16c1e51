/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct io_stream, for stream.c, stream_tls.c, connect.c and listen.c only. */
#ifndef QUORATE_PROTO_IO_STREAM_INTERNAL_H
#define QUORATE_PROTO_IO_STREAM_INTERNAL_H

#include <netdb.h>
#include <openssl/ssl.h>

#include "proto/io/bytes.h"
#include "proto/io/loop_internal.h"
#include "proto/io/stream.h"

enum stream_state {
    STREAM_RESOLVING,
    STREAM_CONNECTING,
    STREAM_HANDSHAKE,
    STREAM_OPEN,
    STREAM_LINGERING, /* close asked for: the queue is sent, then the other side's end is awaited */
    STREAM_CLOSING,   /* uv_close is under way */
};

struct stream_resolve;

#define STREAM_MAGIC 0x5354524du
struct io_stream {
    uint32_t magic;
    enum stream_state state;
    struct io_loop *loop;
    struct io_stream *next, *prev; /* loop->streams */
    uv_tcp_t tcp;
    bool has_tcp; /* tcp was initialised and is not closed yet */
    bool is_paused;
    bool is_reading;
    bool is_writing; /* `write` is with libuv */
    bool was_over_half;
    bool is_shut; /* uv_shutdown was asked for */
    bool is_flush_due;
    const struct io_stream_events *events;
    void *ctx;
    /* TLS */
    SSL *ssl;
    bool is_undecided; /* the first byte tells whether it is TLS at all */
    struct slice in;   /* encrypted bytes not yet read by ssl, during a read callback only */
    struct io_identity identity;
    uint64_t revoked_seen; /* generation of the list that the other side was looked up in */
    /* writing: pending gathers, inflight is with libuv */
    struct io_bytes pending;
    struct io_bytes inflight;
    uv_write_t write;
    uv_shutdown_t shutdown;
    size_t queue_max;
    size_t drained_level; /* `drained` is told below this many bytes, when was_over_half */
    struct io_stream *flush_next;
    /* connecting */
    uv_connect_t connect;
    struct stream_resolve *resolve;
    struct addrinfo *addresses, *address_next;
    int64_t attempt_us;
    uint32_t user_timeout_ms;
    char target[IO_ADDRESS_TEXT_MAX];
    struct io_timer timer; /* connect, handshake or linger */
    struct base_mono deadline;
    char peer[IO_ADDRESS_TEXT_MAX];
    bool is_loopback;
    int status; /* for closed */
    struct io_why why;
};

/* stream.c */
struct io_stream *stream_new(struct io_loop *loop, const struct io_stream_options *options);
void stream_release(struct io_stream *stream); /* unlink and free; the tcp handle is closed */
/* Close callback of the tcp handle when the stream ends: tells the owner, frees. */
void stream_tcp_closed(uv_handle_t *handle);
/* tcp is connected: socket options, TLS or open. */
void stream_established(struct io_stream *stream);
/* Ends with a status and a text: closed follows. Does nothing when closing already. */
void stream_fail(struct io_stream *stream, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* TCP, and TLS if any, are up: the owner hears of it. */
void stream_opened(struct io_stream *stream);
/* What is pending goes to the kernel now, or at the end of this round of the loop. */
void stream_flush(struct io_stream *stream);
void stream_flush_later(struct io_stream *stream);
/* stream_tls.c. False: out of memory. */
bool stream_tls_attach(struct io_stream *stream);
void stream_tls_handshake(struct io_stream *stream);
/* False: the other side's certificate has been revoked since; the stream is failed. Asked before
 * anything is taken from it or given to it. */
bool stream_tls_may_go_on(struct io_stream *stream);
/* Encrypted bytes have come: handshake, then plain bytes to the owner, until all are used. */
void stream_tls_received(struct io_stream *stream, struct slice bytes);
/* connect.c: stop what is under way there. */
void stream_connect_stop(struct io_stream *stream);

#endif
