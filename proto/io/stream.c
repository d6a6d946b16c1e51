/* SPDX-License-Identifier: Apache-2.0 */
/* Data path of TCP streams: reading, TLS over a BIO that has no memory of its own, gathered writes,
 * closing.
 *
 * What is written during one round of the loop gathers in `pending` and goes to the kernel just
 * before the loop polls, in one call. With TLS the BIO reads from the slice that was just received
 * and writes to `pending`, so an idle stream holds no buffers. Only stream_fail and the close
 * callback end a stream.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/stream_internal.h"

#define QUEUE_DEFAULT ((size_t)1 << 20)
#define USER_TIMEOUT_DEFAULT_MS 10000
#define CONNECT_DEFAULT_MS 5000
#define LINGER_US (5 * BASE_US_PER_S)
#define FLUSH_AT \
    ((size_t)256 << 10) /* gathered bytes that are not kept until the end of the round */

/* --- life cycle --- */

struct io_stream *stream_new(struct io_loop *loop, const struct io_stream_options *options)
{
    struct io_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    uint32_t timeout_ms = options->connect_timeout_ms;
    stream->magic = STREAM_MAGIC;
    stream->loop = loop;
    stream->events = options->events;
    stream->ctx = options->ctx;
    stream->queue_max = options->write_queue_max != 0 ? options->write_queue_max : QUEUE_DEFAULT;
    stream->drained_level = stream->queue_max / 2;
    stream->user_timeout_ms =
        options->user_timeout_ms != 0 ? options->user_timeout_ms : USER_TIMEOUT_DEFAULT_MS;
    stream->deadline = base_mono_add_us(
        io_now(), (timeout_ms != 0 ? timeout_ms : CONNECT_DEFAULT_MS) * BASE_US_PER_MS);
    stream->next = loop->streams;
    if (loop->streams != NULL) {
        loop->streams->prev = stream;
    }
    loop->streams = stream;
    return stream;
}

void stream_release(struct io_stream *stream)
{
    BASE_ASSERT(stream->magic == STREAM_MAGIC && !stream->has_tcp);
    io_timer_stop(&stream->timer);
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        stream->loop->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    SSL_free(stream->ssl);
    io_bytes_free(&stream->pending);
    io_bytes_free(&stream->inflight);
    stream->magic = 0;
    io_loop_trim_later(stream->loop);
    free(stream);
}

void stream_tcp_closed(uv_handle_t *handle)
{
    struct io_stream *stream = handle->data;
    stream->has_tcp = false;
    if (stream->events != NULL && stream->events->closed != NULL) {
        stream->events->closed(stream->ctx, stream, stream->status, stream->why.text);
    }
    stream_release(stream);
}

static void unlist_flush(struct io_stream *stream)
{
    struct io_stream **link = &stream->loop->flush_list;
    while (stream->is_flush_due && *link != NULL) {
        if (*link == stream) {
            *link = stream->flush_next;
            break;
        }
        link = &(*link)->flush_next;
    }
    stream->is_flush_due = false;
}

static void begin_close(struct io_stream *stream)
{
    stream_connect_stop(stream);
    unlist_flush(stream);
    io_timer_stop(&stream->timer);
    stream->state = STREAM_CLOSING;
    if (!stream->has_tcp) { /* never connected: `closed` must still come from the loop */
        (void)uv_tcp_init(&stream->loop->uv, &stream->tcp);
        stream->tcp.data = stream;
        stream->has_tcp = true;
    }
    if (!uv_is_closing((uv_handle_t *)&stream->tcp)) {
        uv_close((uv_handle_t *)&stream->tcp, stream_tcp_closed);
    }
}

void stream_fail(struct io_stream *stream, int status, const char *format, ...)
{
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    char text[IO_WHY_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    stream->status = stream->state == STREAM_LINGERING ? 0 : status;
    io_why_set(&stream->why, "%s", text);
    begin_close(stream);
}

void io_stream_abort(struct io_stream *stream, const char *why)
{
    stream_fail(stream, 0, "%s", why);
}

static void linger_over(void *ctx)
{
    stream_fail(ctx, 0, "closed");
}

/* Everything is with the kernel: send our end, then wait for the other side's. */
static void shut_down(struct io_stream *stream)
{
    if (!stream->is_shut && stream->pending.len == 0 && !stream->is_writing) {
        stream->is_shut = true;
        if (uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, NULL) != 0) {
            stream_fail(stream, 0, "closed");
        }
    }
}

void io_stream_close(struct io_stream *stream)
{
    BASE_ASSERT(stream->magic == STREAM_MAGIC);
    if (stream->state == STREAM_LINGERING) {
        return;
    }
    if (stream->state != STREAM_OPEN) {
        stream_fail(stream, 0, "closed");
        return;
    }
    if (stream->ssl != NULL) {
        (void)SSL_shutdown(stream->ssl);
    }
    stream->state = STREAM_LINGERING;
    io_timer_init(&stream->timer, stream->loop, linger_over, stream);
    io_timer_start_in_us(&stream->timer, LINGER_US);
    io_stream_resume(stream);
    stream_flush(stream);
    if (stream->state == STREAM_LINGERING) {
        shut_down(stream);
    }
}

void io_streams_close_all(struct io_loop *loop)
{
    for (struct io_stream *stream = loop->streams; stream != NULL; stream = stream->next) {
        if (stream->state != STREAM_CLOSING) { /* those that their owners closed still tell them */
            stream->events = NULL;
            stream_fail(stream, 0, "loop ends");
        }
    }
}

/* --- writing --- */

static void write_done(uv_write_t *write, int status)
{
    struct io_stream *stream = write->data;
    stream->is_writing = false;
    io_bytes_free(&stream->inflight);
    if (status != 0) {
        stream_fail(stream, BASE_E_CLOSED, "cannot send to %s: %s", stream->peer,
                    uv_strerror(status));
        return;
    }
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    stream_flush(stream);
    if (stream->state == STREAM_LINGERING) {
        shut_down(stream);
        return;
    }
    if (stream->was_over_half && io_stream_queued(stream) < stream->drained_level) {
        stream->was_over_half = false;
        stream->drained_level = stream->queue_max / 2;
        if (stream->state == STREAM_OPEN && stream->events->drained != NULL) {
            stream->events->drained(stream->ctx, stream);
        }
    }
}

/* Hands `pending` to the kernel, the rest of it to libuv. */
void stream_flush(struct io_stream *stream)
{
    if (stream->pending.len == 0 || stream->is_writing || stream->state == STREAM_CLOSING) {
        return;
    }
    uv_stream_t *tcp = (uv_stream_t *)&stream->tcp;
    uv_buf_t piece = uv_buf_init((char *)stream->pending.data, (unsigned)stream->pending.len);
    int sent = uv_try_write(tcp, &piece, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        stream_fail(stream, BASE_E_CLOSED, "cannot send to %s: %s", stream->peer,
                    uv_strerror(sent));
        return;
    }
    if (sent == (int)stream->pending.len) {
        io_bytes_free(&stream->pending);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    stream->inflight = stream->pending;
    stream->pending = (struct io_bytes){0};
    piece =
        uv_buf_init((char *)stream->inflight.data + done, (unsigned)(stream->inflight.len - done));
    stream->write.data = stream;
    int status = uv_write(&stream->write, tcp, &piece, 1, write_done);
    if (status != 0) {
        stream_fail(stream, BASE_E_CLOSED, "cannot send to %s: %s", stream->peer,
                    uv_strerror(status));
        return;
    }
    stream->is_writing = true;
}

void io_streams_flush(struct io_loop *loop)
{
    while (loop->flush_list != NULL) {
        struct io_stream *stream = loop->flush_list;
        loop->flush_list = stream->flush_next;
        stream->is_flush_due = false;
        stream_flush(stream);
    }
}

/* Something was added to `pending`. */
void stream_flush_later(struct io_stream *stream)
{
    if (stream->pending.len >= FLUSH_AT) {
        stream_flush(stream);
    } else if (!stream->is_flush_due && stream->pending.len > 0) {
        stream->is_flush_due = true;
        stream->flush_next = stream->loop->flush_list;
        stream->loop->flush_list = stream;
    }
}

size_t io_stream_queued(const struct io_stream *stream)
{
    size_t inflight =
        stream->is_writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp) : 0;
    return stream->pending.len + inflight;
}

size_t io_stream_queue_free(const struct io_stream *stream)
{
    size_t queued = io_stream_queued(stream);
    return queued < stream->queue_max ? stream->queue_max - queued : 0;
}

void io_stream_tell_drained(struct io_stream *stream, size_t level)
{
    stream->was_over_half = true;
    stream->drained_level = level;
}

static int put(struct io_stream *stream, struct slice piece)
{
    if (stream->ssl == NULL) {
        return io_bytes_append(&stream->pending, piece);
    }
    if (piece.len == 0) {
        return 0;
    }
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(stream->ssl, piece.data, piece.len, &written) != 1 || written != piece.len) {
        struct io_why why;
        io_tls_why(stream->ssl, &why);
        stream_fail(stream, BASE_E_TLS, "%s", why.text);
        return BASE_E_CLOSED;
    }
    return 0;
}

int io_stream_writev(struct io_stream *stream, const struct slice *pieces, size_t count)
{
    BASE_ASSERT(stream->magic == STREAM_MAGIC);
    size_t total = 0;
    int status = 0;
    if (stream->state != STREAM_OPEN || !stream_tls_may_go_on(stream)) {
        return BASE_E_CLOSED;
    }
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].len;
    }
    if (total > io_stream_queue_free(stream)) {
        stream->was_over_half = true;
        return BASE_E_BUSY;
    }
    if (stream->ssl == NULL && io_bytes_reserve(&stream->pending, total) != 0) {
        return BASE_E_BUSY;
    }
    for (size_t i = 0; i < count && status == 0; i++) {
        status = put(stream, pieces[i]);
    }
    if (status == 0) {
        stream_flush_later(stream);
        if (io_stream_queued(stream) >= stream->queue_max / 2) {
            stream->was_over_half = true;
        }
    }
    return status == 0 ? 0 : BASE_E_CLOSED;
}

int io_stream_write(struct io_stream *stream, struct slice bytes)
{
    return io_stream_writev(stream, &bytes, 1);
}

/* --- reading --- */

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct io_stream *stream = handle->data;
    struct io_loop *loop = stream->loop;
    (void)suggested;
    if (loop->read_buffer == NULL) {
        loop->read_buffer = malloc(IO_READ_BUFFER);
    }
    if (loop->plain_buffer == NULL) {
        loop->plain_buffer = malloc(IO_PLAIN_BUFFER);
    }
    bool has_memory = loop->read_buffer != NULL && loop->plain_buffer != NULL;
    *ret = uv_buf_init((char *)loop->read_buffer, has_memory ? (unsigned)IO_READ_BUFFER : 0);
}

/* RFC 8446 5.1: a TLS connection begins with a handshake record, whose type is 22. */
static void decide(struct io_stream *stream, struct slice bytes)
{
    stream->is_undecided = false;
    if (bytes.data[0] != 22) {
        SSL_free(stream->ssl);
        stream->ssl = NULL;
        stream_opened(stream);
    }
}

static void received(uv_stream_t *tcp, ssize_t count, const uv_buf_t *buffer)
{
    struct io_stream *stream = tcp->data;
    if (count == 0 || stream->state == STREAM_CLOSING) {
        return;
    }
    if (count == UV_EOF) {
        stream_flush(stream); /* the other side may have closed its half only, after asking */
        stream_fail(stream, BASE_E_CLOSED, "closed by %s", stream->peer);
        return;
    }
    if (count < 0) {
        stream_fail(stream, BASE_E_CLOSED, "connection with %s lost: %s", stream->peer,
                    uv_strerror((int)count));
        return;
    }
    struct slice bytes = slice_from(buffer->base, (size_t)count);
    if (stream->is_undecided) {
        decide(stream, bytes);
    }
    if (stream->ssl != NULL) {
        stream_tls_received(stream, bytes);
    } else if (stream->state == STREAM_OPEN) {
        stream->events->data(stream->ctx, stream, bytes);
    }
}

static void start_reading(struct io_stream *stream)
{
    if (!stream->is_reading && stream->state != STREAM_CLOSING) {
        stream->is_reading = uv_read_start((uv_stream_t *)&stream->tcp, allocate, received) == 0;
    }
}

void io_stream_pause(struct io_stream *stream)
{
    stream->is_paused = true;
    if (stream->is_reading && stream->state != STREAM_CLOSING) {
        (void)uv_read_stop((uv_stream_t *)&stream->tcp);
        stream->is_reading = false;
    }
}

void io_stream_resume(struct io_stream *stream)
{
    stream->is_paused = false;
    start_reading(stream);
}

/* --- established --- */

static void set_options(struct io_stream *stream)
{
    int fd = -1;
    unsigned timeout_ms = stream->user_timeout_ms;
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    (void)uv_tcp_keepalive(&stream->tcp, 1, 10);
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    }
}

static void read_peer(struct io_stream *stream)
{
    struct sockaddr_storage storage;
    int len = (int)sizeof(storage);
    struct io_address address = {.port = 0};
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&storage, &len) != 0) {
        return;
    }
    if (storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&storage;
        (void)uv_ip6_name(six, address.host, sizeof(address.host));
        address.port = ntohs(six->sin6_port);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&storage;
        (void)uv_ip4_name(four, address.host, sizeof(address.host));
        address.port = ntohs(four->sin_port);
    }
    stream->is_loopback = io_address_is_loopback(&address);
    (void)io_address_text(&address, stream->peer, sizeof(stream->peer));
}

static void handshake_late(void *ctx)
{
    struct io_stream *stream = ctx;
    stream_fail(stream, BASE_E_TIMEOUT, "no TLS handshake from %s in time", stream->peer);
}

void stream_opened(struct io_stream *stream)
{
    io_timer_stop(&stream->timer);
    stream->state = STREAM_OPEN;
    if (stream->events != NULL && stream->events->opened != NULL) {
        stream->events->opened(stream->ctx, stream);
    }
}

void stream_established(struct io_stream *stream)
{
    set_options(stream);
    read_peer(stream);
    start_reading(stream);
    if (stream->ssl == NULL) {
        stream_opened(stream);
        return;
    }
    if (!stream_tls_attach(stream)) {
        stream_fail(stream, BASE_E_NOMEM, "out of memory");
        return;
    }
    stream->state = STREAM_HANDSHAKE;
    io_timer_init(&stream->timer, stream->loop, handshake_late, stream);
    io_timer_start(&stream->timer, stream->deadline);
    stream_tls_handshake(stream);
}

/* --- what owners ask --- */

void io_stream_set(struct io_stream *stream, const struct io_stream_events *events, void *ctx)
{
    stream->events = events;
    stream->ctx = ctx;
}

const struct io_identity *io_stream_identity(const struct io_stream *stream)
{
    return &stream->identity;
}

bool io_stream_is_tls(const struct io_stream *stream)
{
    return stream->ssl != NULL;
}

bool io_stream_is_loopback(const struct io_stream *stream)
{
    return stream->is_loopback;
}

const char *io_stream_peer(const struct io_stream *stream)
{
    return stream->peer[0] != '\0' ? stream->peer : stream->target;
}

bool io_stream_is_http2(const struct io_stream *stream)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (stream->ssl != NULL) {
        SSL_get0_alpn_selected(stream->ssl, &name, &len);
    }
    return len == 2 && memcmp(name, "h2", 2) == 0;
}
