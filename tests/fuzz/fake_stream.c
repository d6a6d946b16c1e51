/* SPDX-License-Identifier: Apache-2.0 */
/* See fake_stream.h. */
#include "tests/fuzz/fake_stream.h"

int io_stream_write(struct io_stream *stream, struct slice bytes)
{
    if (stream->is_closed) {
        return BASE_E_CLOSED;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        stream->sum = stream->sum * 31 + bytes.data[i];
    }
    stream->bytes += bytes.len;
    return 0;
}

int io_stream_writev(struct io_stream *stream, const struct slice *pieces, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = io_stream_write(stream, pieces[i]);
    }
    return rc;
}

void io_stream_close(struct io_stream *stream)
{
    stream->is_closed = true;
}

void io_stream_abort(struct io_stream *stream, const char *why)
{
    (void)why;
    stream->is_closed = true;
}

const struct io_identity *io_stream_identity(const struct io_stream *stream)
{
    static const struct io_identity nobody;
    (void)stream;
    return &nobody;
}

bool io_stream_is_tls(const struct io_stream *stream)
{
    (void)stream;
    return false;
}

bool io_stream_is_loopback(const struct io_stream *stream)
{
    (void)stream;
    return true;
}

bool io_stream_is_http2(const struct io_stream *stream)
{
    (void)stream;
    return false;
}

const char *io_stream_peer(const struct io_stream *stream)
{
    (void)stream;
    return "peer";
}

size_t io_stream_queued(const struct io_stream *stream)
{
    (void)stream;
    return 0;
}

size_t io_stream_queue_free(const struct io_stream *stream)
{
    (void)stream;
    return 1u << 20;
}

void io_stream_pause(struct io_stream *stream)
{
    (void)stream;
}

void io_stream_resume(struct io_stream *stream)
{
    (void)stream;
}

void io_stream_tell_drained(struct io_stream *stream, size_t level)
{
    (void)stream;
    (void)level;
}

void io_stream_set(struct io_stream *stream, const struct io_stream_events *events, void *ctx)
{
    (void)stream;
    (void)events;
    (void)ctx;
}

int io_listen(struct io_loop *loop, const struct io_address *address,
              const struct io_stream_options *options, io_accept_fn *accept, void *ctx,
              struct io_listener **ret, struct io_why *why)
{
    (void)loop;
    (void)address;
    (void)options;
    (void)accept;
    (void)ctx;
    (void)ret;
    (void)why;
    return BASE_E_UNSUPPORTED;
}

uint16_t io_listener_port(const struct io_listener *listener)
{
    (void)listener;
    return 0;
}

struct io_listener *io_listener_free(struct io_listener *listener)
{
    (void)listener;
    return NULL;
}
