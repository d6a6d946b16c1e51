/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections, plain or TLS, and listeners.
 *
 * A stream is an ordered byte pipe with a bounded write queue. Loop thread only. Writes never block
 * and never fail half way: they are queued whole or refused. Nagle is off, dead peers are found by
 * TCP_USER_TIMEOUT and keepalive. Read memory is one buffer per loop; a stream that is idle owns
 * none. Callbacks may close their stream; nothing is called after `closed`.
 */
#ifndef QUORATE_PROTO_IO_STREAM_H
#define QUORATE_PROTO_IO_STREAM_H

#include "base/slice.h"
#include "proto/io/tls.h"

struct io_stream;
struct io_listener;

struct io_stream_events {
    void (*opened)(void *ctx, struct io_stream *stream); /* connected, and TLS is up */
    /* Bytes that came, valid during the call; all of them are the callee's to keep or use. */
    void (*data)(void *ctx, struct io_stream *stream, struct slice bytes);
    /* The queue was over half its bound and is below it again. May be NULL. */
    void (*drained)(void *ctx, struct io_stream *stream);
    /* The last call; the stream is freed when it returns. status BASE_E_CLOSED: the other side
     * closed in order; 0: closed by us. why is one line. Also called when connecting failed. */
    void (*closed)(void *ctx, struct io_stream *stream, int status, const char *why);
};

struct io_stream_options {
    struct io_tls *tls;      /* NULL: plain */
    const char *verify_host; /* connect with TLS: see io_tls_connect_ssl */
    bool wants_http2;        /* connect with TLS: offer ALPN h2 */
    bool is_plain_too; /* listen with TLS: a first byte that begins no TLS record means plain */
    size_t write_queue_max;      /* bytes; 0: 1 MiB */
    uint32_t user_timeout_ms;    /* TCP_USER_TIMEOUT; 0: 10 s */
    uint32_t connect_timeout_ms; /* resolving, connecting and TLS together; 0: 5 s. Accepted: TLS
                                    alone */
    const struct io_stream_events *events; /* static */
    void *ctx;
};

/* Starts to connect; names are resolved on a worker, all their addresses are tried in order.
 * `closed` tells of failure, never from inside this call. NOMEM. */
MUST_CHECK int io_stream_connect(struct io_loop *loop, const struct io_address *address,
                                 const struct io_stream_options *options, struct io_stream **ret);

/* A connection has come (TLS not yet done): set events and ctx (io_stream_set) or close it. */
typedef void io_accept_fn(void *ctx, struct io_stream *stream);
/* Listens; port 0 takes a free one (io_listener_port). Names are resolved at once, blocking: at
 * start only. On failure why says "port 2379 on 127.0.0.1 is in use by another program; ..."
 * (BASE_E_EXISTS) and such. */
MUST_CHECK int io_listen(struct io_loop *loop, const struct io_address *address,
                         const struct io_stream_options *options, io_accept_fn *accept, void *ctx,
                         struct io_listener **ret, struct io_why *why);
uint16_t io_listener_port(const struct io_listener *listener);
/* Stops listening; accepted streams live on. NULL is fine. Returns NULL. */
struct io_listener *io_listener_free(struct io_listener *listener);

void io_stream_set(struct io_stream *stream, const struct io_stream_events *events, void *ctx);
/* Copies and queues all of bytes. BASE_E_BUSY: over the bound, nothing queued. BASE_E_CLOSED. */
MUST_CHECK int io_stream_write(struct io_stream *stream, struct slice bytes);
/* Several pieces as one write (header and body). */
MUST_CHECK int io_stream_writev(struct io_stream *stream, const struct slice *pieces, size_t count);
/* Bytes queued and not yet taken by the kernel. */
size_t io_stream_queued(const struct io_stream *stream);
size_t io_stream_queue_free(const struct io_stream *stream);
/* `drained` is to come, once, when fewer than `level` bytes are queued. */
void io_stream_tell_drained(struct io_stream *stream, size_t level);
/* Back-pressure: no `data` until resumed, but for what was read already (at most 64 KiB). */
void io_stream_pause(struct io_stream *stream);
void io_stream_resume(struct io_stream *stream);
/* Closes after what is queued was sent (at most 5 s), or at once. `closed` follows from the loop,
 * not from inside this call. */
void io_stream_close(struct io_stream *stream);
void io_stream_abort(struct io_stream *stream, const char *why);
/* After `opened`. Role NONE without TLS or certificate. */
const struct io_identity *io_stream_identity(const struct io_stream *stream);
bool io_stream_is_tls(const struct io_stream *stream);
bool io_stream_is_loopback(const struct io_stream *stream); /* the other side's address */
/* "127.0.0.1:1234"; valid as long as the stream. */
const char *io_stream_peer(const struct io_stream *stream);
/* TLS: ALPN chose "h2". */
bool io_stream_is_http2(const struct io_stream *stream);

#endif
