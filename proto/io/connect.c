/* SPDX-License-Identifier: Apache-2.0 */
/* Making connections: resolve the name on a worker, then try its addresses one after the other.
 *
 * Numeric addresses need no worker. Each attempt has an equal share of what is left of the connect
 * timeout, so that one silent address does not use up the time of the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/stream_internal.h"

#define ATTEMPT_MIN_US (200 * BASE_US_PER_MS)

struct stream_resolve {
    struct io_work work;      /* first: the worker hands it back */
    struct io_stream *stream; /* NULL: closed meanwhile */
    struct io_address address;
    bool is_numeric; /* no worker */
    struct addrinfo *result;
    int status;
};

static void try_next(struct io_stream *stream);

static void look_up(struct io_address *address, int flags, struct addrinfo **ret, int *ret_status)
{
    char port[8];
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    (void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    *ret_status = getaddrinfo(address->host, port, &hints, ret);
}

static void resolve_run(struct io_work *work)
{
    struct stream_resolve *resolve = (struct stream_resolve *)work;
    look_up(&resolve->address, AI_ADDRCONFIG, &resolve->result, &resolve->status);
}

static void resolved(struct io_stream *stream, struct addrinfo *result, int status)
{
    if (status != 0) {
        stream_fail(stream, BASE_E_UNREACHABLE, "cannot resolve %s: %s", stream->target,
                    gai_strerror(status));
        return;
    }
    stream->addresses = result;
    stream->address_next = result;
    int count = 0;
    for (const struct addrinfo *a = result; a != NULL; a = a->ai_next) {
        count++;
    }
    int64_t left_us = base_mono_diff_us(stream->deadline, io_now());
    stream->attempt_us = left_us / (count > 0 ? count : 1);
    if (stream->attempt_us < ATTEMPT_MIN_US) {
        stream->attempt_us = ATTEMPT_MIN_US;
    }
    io_why_set(&stream->why, "no address");
    try_next(stream);
}

static void resolve_done(struct io_work *work)
{
    struct stream_resolve *resolve = (struct stream_resolve *)work;
    struct io_stream *stream = resolve->stream;
    if (stream != NULL) {
        stream->resolve = NULL;
        struct addrinfo *result = resolve->result;
        resolve->result = NULL;
        resolved(stream, result, resolve->status);
    }
    if (resolve->result != NULL) {
        freeaddrinfo(resolve->result);
    }
    free(resolve);
}

static void connect_late(void *ctx);

/* The handle of a failed attempt is gone; the next address needs a new one. */
static void attempt_closed(uv_handle_t *handle)
{
    struct io_stream *stream = handle->data;
    if (stream->state == STREAM_CLOSING) {
        stream_tcp_closed(handle);
        return;
    }
    stream->has_tcp = false;
    try_next(stream);
}

static void attempt_failed(struct io_stream *stream, const char *reason)
{
    io_why_set(&stream->why, "cannot connect to %s: %s", stream->target, reason);
    io_timer_stop(&stream->timer);
    if (!uv_is_closing((uv_handle_t *)&stream->tcp)) {
        uv_close((uv_handle_t *)&stream->tcp, attempt_closed);
    }
}

static void connect_late(void *ctx)
{
    attempt_failed(ctx, "no answer in time");
}

static void connected(uv_connect_t *connect, int status)
{
    struct io_stream *stream = connect->data;
    if (stream->state != STREAM_CONNECTING || uv_is_closing((uv_handle_t *)&stream->tcp)) {
        return;
    }
    if (status != 0) {
        attempt_failed(stream, uv_strerror(status));
        return;
    }
    io_timer_stop(&stream->timer);
    stream_connect_stop(stream);
    stream->why.text[0] = '\0';
    stream_established(stream);
}

static void try_next(struct io_stream *stream)
{
    struct addrinfo *address = stream->address_next;
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    if (address == NULL) {
        struct io_why last = stream->why;
        stream_fail(stream, BASE_E_UNREACHABLE, "%s", last.text);
        return;
    }
    (void)uv_tcp_init(&stream->loop->uv, &stream->tcp); /* makes no socket yet, cannot fail */
    stream->address_next = address->ai_next;
    stream->has_tcp = true;
    stream->tcp.data = stream;
    stream->connect.data = stream;
    stream->state = STREAM_CONNECTING;
    io_timer_init(&stream->timer, stream->loop, connect_late, stream);
    io_timer_start_in_us(&stream->timer, stream->attempt_us);
    int status = uv_tcp_connect(&stream->connect, &stream->tcp, address->ai_addr, connected);
    if (status != 0) {
        attempt_failed(stream, uv_strerror(status));
    }
}

void stream_connect_stop(struct io_stream *stream)
{
    if (stream->resolve != NULL && stream->resolve->is_numeric) {
        free(stream->resolve);
    } else if (stream->resolve != NULL) {
        stream->resolve->stream = NULL; /* a worker has it */
    }
    stream->resolve = NULL;
    if (stream->addresses != NULL) {
        freeaddrinfo(stream->addresses);
    }
    stream->addresses = stream->address_next = NULL;
}

static void numeric_ready(void *ctx)
{
    struct io_stream *stream = ctx;
    struct stream_resolve *resolve = stream->resolve;
    struct addrinfo *result = NULL;
    int status = 0;
    look_up(&resolve->address, AI_NUMERICHOST, &result, &status);
    stream->resolve = NULL;
    free(resolve);
    resolved(stream, result, status);
}

static int start_resolve(struct io_stream *stream, const struct io_address *address)
{
    struct stream_resolve *resolve = calloc(1, sizeof(*resolve));
    if (resolve == NULL) {
        return BASE_E_NOMEM;
    }
    resolve->stream = stream;
    resolve->address = *address;
    resolve->work = (struct io_work){.run = resolve_run, .done = resolve_done};
    stream->resolve = resolve;
    io_timer_init(&stream->timer, stream->loop, numeric_ready, stream);
    resolve->is_numeric = io_address_is_numeric(address);
    if (resolve->is_numeric) {
        io_timer_start(&stream->timer, io_now());
        return 0;
    }
    struct io_workers *workers = io_loop_resolver(stream->loop);
    if (workers == NULL) {
        stream->resolve = NULL;
        free(resolve);
        return BASE_E_NOMEM;
    }
    io_work_submit(workers, &resolve->work);
    return 0;
}

int io_stream_connect(struct io_loop *loop, const struct io_address *address,
                      const struct io_stream_options *options, struct io_stream **ret)
{
    struct io_stream *stream = stream_new(loop, options);
    if (stream == NULL) {
        return BASE_E_NOMEM;
    }
    stream->state = STREAM_RESOLVING;
    (void)io_address_text(address, stream->target, sizeof(stream->target));
    if (options->tls != NULL) {
        stream->ssl = io_tls_connect_ssl(options->tls, options->verify_host, options->wants_http2);
    }
    if ((options->tls != NULL && stream->ssl == NULL) || start_resolve(stream, address) != 0) {
        stream_release(stream);
        return BASE_E_NOMEM;
    }
    *ret = stream;
    return 0;
}
