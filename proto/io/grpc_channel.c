/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC client of daemons; see grpc_channel.h.
 *
 * nghttp2 moves frames through memory; a stream of ours moves the bytes. What came is gathered per
 * call while nghttp2 works, and handed on when it has returned, so that callbacks may do anything.
 */
#include "proto/io/grpc_channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "proto/io/grpc_client_internal.h"
#include "proto/io/h2_internal.h"

#define MAGIC 0x43484e4cu
#define WINDOW (4 << 20)
#define MESSAGE_MAX ((size_t)4 << 20) /* bytes of one message that comes */
#define WRITE_QUEUE ((size_t)1 << 20)

struct io_grpc_sent {
    struct io_grpc_channel *channel;
    struct io_grpc_sent *next;
    int32_t stream_id;
    bool is_stream;
    bool is_closed;      /* by the server */
    bool is_canceled;    /* by its owner: freed when nghttp2 has let go */
    struct io_bytes out; /* framed messages not yet taken by nghttp2 */
    struct io_bytes in;
    struct io_bytes text; /* grpc-message */
    int http_status;
    int status; /* -1: none came */
    const struct io_grpc_sent_events *events;
    void *ctx;
};

struct io_grpc_channel {
    uint32_t magic;
    struct io_loop *loop;
    struct io_stream *stream; /* NULL: closed */
    nghttp2_session *session;
    bool is_up, is_closed; /* is_closed: by the owner */
    bool is_working;       /* inside nghttp2, or handing on */
    bool is_tls;
    const char *token;
    char authority[IO_ADDRESS_TEXT_MAX];
    struct io_grpc_sent *calls;
    const struct io_grpc_channel_events *events;
    void *ctx;
};

/* --- nghttp2's callbacks: they only gather --- */

static struct io_grpc_sent *find(const struct io_grpc_channel *channel, int32_t stream_id)
{
    for (struct io_grpc_sent *s = channel->calls; s != NULL; s = s->next) {
        if (s->stream_id == stream_id) {
            return s;
        }
    }
    return NULL;
}

static int number_of(struct slice value)
{
    uint64_t number = 0;
    return slice_to_u64(value, &number) == 0 && number < 1000 ? (int)number : -1;
}

static void take_text(struct io_grpc_sent *sent, struct slice value)
{
    sent->text.len = 0;
    if (io_bytes_reserve(&sent->text, value.len + 1) == 0) {
        struct buf b = buf_over(sent->text.data, sent->text.cap - 1);
        if (io_http_decode(value, false, &b) != 0) {
            buf_reset(&b);
        }
        sent->text.len = b.len;
        sent->text.data[b.len] = '\0';
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct io_grpc_sent *sent = find(user, frame->hd.stream_id);
    struct slice key = slice_from(name, name_len);
    struct slice text = slice_from(value, value_len);
    (void)session;
    (void)flags;
    if (sent == NULL) {
        return 0;
    }
    if (slice_equal(key, SLICE_LIT(":status"))) {
        sent->http_status = number_of(text);
    } else if (slice_equal(key, SLICE_LIT("grpc-status"))) {
        sent->status = number_of(text);
    } else if (slice_equal(key, SLICE_LIT("grpc-message"))) {
        take_text(sent, text);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    struct io_grpc_sent *sent = find(user, stream_id);
    (void)session;
    (void)flags;
    if (sent == NULL || sent->is_canceled) {
        return 0;
    }
    if (sent->in.len + len > MESSAGE_MAX + GRPC_PREFIX) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return io_bytes_append(&sent->in, slice_from(data, len)) == 0 ? 0
                                                                  : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
    struct io_grpc_sent *sent = find(user, stream_id);
    (void)session;
    (void)error_code;
    if (sent != NULL) {
        sent->is_closed = true;
    }
    return 0;
}

static ssize_t read_out(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct io_grpc_sent *sent = source->ptr;
    size_t taken = sent->out.len < len ? sent->out.len : len;
    (void)session;
    (void)stream_id;
    (void)user;
    if (taken == 0 && sent->is_stream) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (taken > 0) {
        memcpy(data, sent->out.data, taken);
        sent->out.len -= taken;
        memmove(sent->out.data, sent->out.data + taken, sent->out.len);
    }
    if (sent->out.len == 0) {
        io_bytes_free(&sent->out);
        *flags |= sent->is_stream ? 0 : NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)taken;
}

static int session_new(struct io_grpc_channel *channel)
{
    static const struct grpc_session_calls calls = {on_header, on_data, on_close};
    return grpc_session_new(&calls, channel, WINDOW, &channel->session);
}

/* --- bytes out --- */

static void flush(struct io_grpc_channel *channel)
{
    const uint8_t *data = NULL;
    ssize_t len = 0;
    if (channel->is_working || channel->stream == NULL || channel->session == NULL) {
        return;
    }
    do {
        len = nghttp2_session_mem_send(channel->session, &data);
        if (len > 0 && io_stream_write(channel->stream, slice_from(data, (size_t)len)) != 0) {
            len = -1;
        }
    } while (len > 0);
    if (len < 0) {
        io_stream_abort(channel->stream, "the server takes nothing more");
    }
}

/* --- what has come, to its owners --- */

static void sent_free(struct io_grpc_sent *sent)
{
    io_bytes_free(&sent->out);
    io_bytes_free(&sent->in);
    io_bytes_free(&sent->text);
    free(sent);
}

static void unlink_sent(struct io_grpc_sent *sent)
{
    struct io_grpc_sent **link = &sent->channel->calls;
    while (*link != sent) {
        link = &(*link)->next;
    }
    *link = sent->next;
}

/* A whole message at the front of what came? */
static bool has_message(const struct io_grpc_sent *sent, struct slice *ret)
{
    struct slice bytes = slice_from(sent->in.data, sent->in.len);
    uint8_t flag = 0;
    uint32_t len = 0;
    if (slice_take_u8(&bytes, &flag) != 0 || slice_take_u32_be(&bytes, &len) != 0 ||
        bytes.len < len) {
        return false;
    }
    bytes.len = len;
    *ret = bytes;
    return true;
}

static void hand_message(struct io_grpc_sent *sent, struct slice message)
{
    struct io_bytes whole = sent->in; /* the callback may cancel the call */
    size_t used = GRPC_PREFIX + message.len;
    struct slice rest = slice_from(whole.data + used, whole.len - used);
    sent->in = (struct io_bytes){0};
    if (rest.len > 0 && io_bytes_append(&sent->in, rest) != 0) {
        io_bytes_free(&whole);
        return; /* no memory: what follows will not fit together, and ends the call */
    }
    sent->events->message(sent->ctx, sent, message);
    io_bytes_free(&whole);
}

static enum io_grpc_status status_of(const struct io_grpc_sent *sent)
{
    if (sent->status >= 0 && sent->status <= IO_GRPC_UNAUTHENTICATED) {
        return (enum io_grpc_status)sent->status;
    }
    bool is_refused = sent->http_status == 401 || sent->http_status == 403;
    return is_refused ? IO_GRPC_PERMISSION_DENIED : IO_GRPC_UNAVAILABLE;
}

static void hand_end(struct io_grpc_sent *sent)
{
    const char *text = sent->text.len > 0 ? (const char *)sent->text.data : "";
    unlink_sent(sent);
    if (!sent->is_canceled) {
        sent->events->ended(sent->ctx, sent, status_of(sent), text);
    }
    sent_free(sent);
}

/* One thing at a time, from the front: owners may change the list meanwhile. */
static bool hand_one(struct io_grpc_channel *channel)
{
    for (struct io_grpc_sent *s = channel->calls; s != NULL; s = s->next) {
        struct slice message;
        if (!s->is_canceled && has_message(s, &message)) {
            hand_message(s, message);
            return true;
        }
        if (s->is_closed) {
            hand_end(s);
            return true;
        }
    }
    return false;
}

static void free_channel(struct io_grpc_channel *channel)
{
    while (channel->calls != NULL) {
        struct io_grpc_sent *sent = channel->calls;
        channel->calls = sent->next;
        sent_free(sent);
    }
    nghttp2_session_del(channel->session);
    channel->magic = 0;
    free(channel);
}

/* --- the connection --- */

static void stream_opened(void *ctx, struct io_stream *stream)
{
    struct io_grpc_channel *channel = ctx;
    (void)stream;
    if (channel->is_closed) {
        return;
    }
    if (session_new(channel) != 0) {
        io_stream_abort(stream, "out of memory");
        return;
    }
    channel->is_up = true;
    channel->events->up(channel->ctx, channel);
    flush(channel);
}

static void stream_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct io_grpc_channel *channel = ctx;
    if (channel->is_closed || channel->session == NULL) {
        return;
    }
    channel->is_working = true;
    ssize_t used = nghttp2_session_mem_recv(channel->session, bytes.data, bytes.len);
    while (used >= 0 && !channel->is_closed && hand_one(channel)) {
    }
    channel->is_working = false;
    if (channel->is_closed) {
        return;
    }
    if (used < 0) {
        io_stream_abort(stream, "the server does not speak HTTP/2 as it should");
        return;
    }
    flush(channel);
}

static void stream_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct io_grpc_channel *channel = ctx;
    (void)stream;
    (void)status;
    channel->stream = NULL;
    if (!channel->is_closed) {
        channel->is_closed = true;
        channel->events->down(channel->ctx, channel, why);
    }
    free_channel(channel);
}

static const struct io_stream_events stream_events = {
    .opened = stream_opened, .data = stream_data, .closed = stream_closed};

int io_grpc_channel_open(struct io_loop *loop, const struct io_grpc_channel_options *options,
                         struct io_grpc_channel **ret)
{
    struct io_grpc_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return BASE_E_NOMEM;
    }
    channel->magic = MAGIC;
    channel->loop = loop;
    channel->is_tls = options->tls != NULL;
    channel->token = options->token;
    channel->events = options->events;
    channel->ctx = options->ctx;
    (void)io_address_text(&options->address, channel->authority, sizeof(channel->authority));
    const struct io_stream_options stream = {.tls = options->tls,
                                             .verify_host = options->address.host,
                                             .write_queue_max = WRITE_QUEUE,
                                             .user_timeout_ms = options->user_timeout_ms,
                                             .connect_timeout_ms = options->connect_timeout_ms,
                                             .wants_http2 = true,
                                             .events = &stream_events,
                                             .ctx = channel};
    int rc = io_stream_connect(loop, &options->address, &stream, &channel->stream);
    if (rc != 0) {
        free(channel);
        return rc;
    }
    *ret = channel;
    return 0;
}

struct io_grpc_channel *io_grpc_channel_close(struct io_grpc_channel *channel)
{
    if (channel != NULL && !channel->is_closed) {
        BASE_ASSERT(channel->magic == MAGIC);
        channel->is_closed = true; /* freed when the stream is gone */
        io_stream_abort(channel->stream, "closed");
    }
    return NULL;
}

/* --- calls --- */

static int add_message(struct io_grpc_sent *sent, struct slice message)
{
    uint8_t prefix[GRPC_PREFIX];
    struct buf b = buf_over(prefix, sizeof(prefix));
    buf_put_u8(&b, 0);
    buf_put_u32_be(&b, (uint32_t)message.len);
    if (io_bytes_reserve(&sent->out, b.len + message.len) != 0) {
        return BASE_E_NOMEM;
    }
    int rc = io_bytes_append(&sent->out, buf_slice(&b));
    return rc != 0 ? rc : io_bytes_append(&sent->out, message);
}

static int32_t submit(struct io_grpc_channel *channel, const char *path, struct io_grpc_sent *sent)
{
    nghttp2_nv fields[8];
    size_t count = 0;
    nghttp2_data_provider provider = {.source = {.ptr = sent}, .read_callback = read_out};
    fields[count++] = h2_field(SLICE_LIT(":method"), SLICE_LIT("POST"));
    fields[count++] =
        h2_field(SLICE_LIT(":scheme"), channel->is_tls ? SLICE_LIT("https") : SLICE_LIT("http"));
    fields[count++] = h2_field(SLICE_LIT(":path"), slice_from_text(path));
    fields[count++] = h2_field(SLICE_LIT(":authority"), slice_from_text(channel->authority));
    fields[count++] = h2_field(SLICE_LIT("te"), SLICE_LIT("trailers"));
    fields[count++] = h2_field(SLICE_LIT("content-type"), SLICE_LIT("application/grpc"));
    fields[count++] = h2_field(SLICE_LIT("user-agent"), SLICE_LIT("quorate/" QUORATE_VERSION));
    if (channel->token != NULL) {
        fields[count++] = h2_field(SLICE_LIT("token"), slice_from_text(channel->token));
    }
    return nghttp2_submit_request(channel->session, NULL, fields, count, &provider, NULL);
}

int io_grpc_channel_call(struct io_grpc_channel *channel, const char *path, struct slice message,
                         bool is_stream, const struct io_grpc_sent_events *events, void *ctx,
                         struct io_grpc_sent **ret)
{
    BASE_ASSERT(channel->magic == MAGIC);
    if (!channel->is_up || channel->is_closed) {
        return BASE_E_CLOSED;
    }
    struct io_grpc_sent *sent = calloc(1, sizeof(*sent));
    if (sent == NULL) {
        return BASE_E_NOMEM;
    }
    *sent = (struct io_grpc_sent){
        .channel = channel, .is_stream = is_stream, .status = -1, .events = events, .ctx = ctx};
    int rc = add_message(sent, message);
    sent->stream_id = rc == 0 ? submit(channel, path, sent) : -1;
    if (sent->stream_id < 0) {
        sent_free(sent);
        return rc != 0 ? rc : BASE_E_CLOSED;
    }
    sent->next = channel->calls;
    channel->calls = sent;
    flush(channel);
    *ret = sent;
    return 0;
}

int io_grpc_sent_message(struct io_grpc_sent *sent, struct slice message)
{
    int rc = add_message(sent, message);
    if (rc == 0) {
        (void)nghttp2_session_resume_data(sent->channel->session, sent->stream_id);
        flush(sent->channel);
    }
    return rc;
}

void io_grpc_sent_cancel(struct io_grpc_sent *sent)
{
    if (!sent->is_canceled) {
        sent->is_canceled = true; /* freed when nghttp2 has closed the stream */
        (void)nghttp2_submit_rst_stream(sent->channel->session, NGHTTP2_FLAG_NONE, sent->stream_id,
                                        NGHTTP2_CANCEL);
        flush(sent->channel);
    }
}
