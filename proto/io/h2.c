/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 sessions of a server, over nghttp2: streams in, answers out, windows, shutdown.
 *
 * nghttp2's message checks are off, because clients of etcd send odd :authority values; what
 * matters is checked in grpc.c. Windows are opened by hand as bytes are used. nghttp2 is never
 * entered again from inside one of its callbacks: h2_flush waits then until the outer call is over.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/io/h2_internal.h"

#define GATHER ((size_t)16 << 10)
#define STARVED_US \
    (100 * BASE_US_PER_MS)             /* until a call without room for its answers tries again */
#define QUEUE_TAKE ((size_t)256 << 10) /* no more is taken from nghttp2 when so much is queued */

nghttp2_nv h2_field(struct slice name, struct slice value)
{
    /* nghttp2 copies both and changes neither; its type has no const */
    union {
        const uint8_t *in;
        uint8_t *out;
    } n = {.in = name.data}, v = {.in = value.data};
    return (nghttp2_nv){n.out, v.out, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

/* --- calls --- */

static struct io_grpc_call *call_new(struct h2 *h2, int32_t stream_id)
{
    struct io_server *server = h2->conn->server;
    struct io_grpc_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return NULL;
    }
    call->magic = CALL_MAGIC;
    call->h2 = h2;
    call->stream_id = stream_id;
    call->deadline = BASE_MONO_NEVER;
    call->id = ++server->last_call_id;
    call->next = h2->calls;
    if (h2->calls != NULL) {
        h2->calls->prev = call;
    }
    h2->calls = call;
    struct io_grpc_call **bucket = &server->buckets[call->id % SERVER_CALL_BUCKETS];
    call->bucket_next = *bucket;
    *bucket = call;
    return call;
}

/* Bytes have left the call's `out`. */
static void count_answer(const struct io_grpc_call *call, size_t bytes)
{
    call->h2->answer_bytes -= bytes;
    call->h2->conn->server->answer_bytes -= bytes;
}

void h2_call_free(struct io_grpc_call *call)
{
    struct h2 *h2 = call->h2;
    struct io_grpc_call **link = &h2->conn->server->buckets[call->id % SERVER_CALL_BUCKETS];
    while (*link != call) {
        link = &(*link)->bucket_next;
    }
    *link = call->bucket_next;
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        h2->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    io_timer_stop(&call->timer);
    count_answer(call, call->out.len - call->out_at);
    grpc_message_free(call);
    io_headers_free(&call->headers);
    io_headers_free(&call->exchange.extra);
    io_bytes_free(&call->out);
    io_bytes_free(&call->status_text);
    call->magic = 0;
    free(call);
}

static struct io_grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

int h2_append(struct io_grpc_call *call, const struct slice *pieces, size_t count)
{
    struct h2 *h2 = call->h2;
    struct io_server *server = h2->conn->server;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].len;
    }
    if (h2->answer_bytes + total > IO_CONNECTION_ANSWERS ||
        server->answer_bytes + total > IO_SERVER_ANSWERS ||
        io_bytes_reserve(&call->out, total) != 0) {
        call->was_over_half = true; /* told writable by what it has queued, or by `ask` */
        h2->is_starved = true;
        io_timer_start_in_us(&h2->conn->timer, STARVED_US);
        return BASE_E_BUSY;
    }
    for (size_t i = 0; i < count; i++) {
        (void)!io_bytes_append(&call->out, pieces[i]);
    }
    h2->answer_bytes += total;
    server->answer_bytes += total;
    return 0;
}

/* --- sending --- */

static ssize_t read_out(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct io_grpc_call *call = source->ptr;
    size_t left = call->out.len - call->out_at;
    size_t taken = left < len ? left : len;
    (void)user;
    if (taken > 0) {
        memcpy(data, call->out.data + call->out_at, taken);
        call->out_at += taken;
        left -= taken;
        count_answer(call, taken);
    }
    if (left == 0) {
        io_bytes_free(&call->out);
        call->out_at = 0;
    }
    if (call->was_over_half && left < IO_STREAM_QUEUE / 2) {
        call->h2->has_writable = true;
    }
    if (left == 0 && call->is_done) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (call->kind != CALL_HTTP) {
            nghttp2_nv fields[2];
            size_t count = grpc_trailers(call, fields);
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            (void)nghttp2_submit_trailer(session, stream_id, fields, count);
        }
        return (ssize_t)taken;
    }
    if (taken == 0) {
        call->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)taken;
}

void h2_submit(struct io_grpc_call *call, const nghttp2_nv *fields, size_t count, bool has_body)
{
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_out};
    call->is_begun = true;
    (void)nghttp2_submit_response(call->h2->session, call->stream_id, fields, count,
                                  has_body ? &provider : NULL);
    h2_flush(call->h2);
}

void h2_resume(struct io_grpc_call *call)
{
    if (call->is_deferred) {
        call->is_deferred = false;
        (void)nghttp2_session_resume_data(call->h2->session, call->stream_id);
    }
    h2_flush(call->h2);
}

void h2_reset(struct io_grpc_call *call, uint32_t error_code)
{
    (void)nghttp2_submit_rst_stream(call->h2->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                    error_code);
    h2_flush(call->h2);
}

static void tell_writable(struct h2 *h2)
{
    h2->has_writable = false;
    for (struct io_grpc_call *call = h2->calls; call != NULL;) {
        struct io_grpc_call *next = call->next;
        if (call->was_over_half && call->out.len - call->out_at < IO_STREAM_QUEUE / 2) {
            call->was_over_half = false;
            grpc_writable(call);
        }
        call = next;
    }
}

/* Pieces on their way into the stream. TLS makes a record of each write, so there they are
 * gathered; plain streams gather by themselves. */
struct gather {
    struct io_stream *stream;
    struct buf buf; /* cap 0: write at once */
};

/* What cannot be written is lost only when the stream is closing. */
static void gather_flush(struct gather *g)
{
    if (g->buf.len > 0) {
        (void)!io_stream_write(g->stream, buf_slice(&g->buf));
        buf_reset(&g->buf);
    }
}

static void gather_put(struct gather *g, struct slice piece)
{
    if (piece.len > g->buf.cap - g->buf.len) {
        gather_flush(g);
    }
    if (piece.len > g->buf.cap) {
        (void)!io_stream_write(g->stream, piece);
    } else {
        buf_put(&g->buf, piece);
    }
}

/* Moves what nghttp2 wants to send into the stream. */
static void send_pieces(struct h2 *h2, struct gather *g)
{
    const uint8_t *data = NULL;
    ssize_t len = 1;
    while (len > 0 && io_stream_queued(g->stream) + g->buf.len < QUEUE_TAKE) {
        len = nghttp2_session_mem_send(h2->session, &data);
        if (len > 0) {
            gather_put(g, slice_from(data, (size_t)len));
        }
    }
    gather_flush(g);
    if (len > 0) {
        io_stream_tell_drained(g->stream, QUEUE_TAKE / 2);
    }
    if (len < 0) {
        io_stream_abort(g->stream, nghttp2_strerror((int)len));
    }
}

static void send_all_tls(struct h2 *h2)
{
    uint8_t memory[GATHER];
    struct gather g = {h2->conn->stream, buf_over(memory, sizeof(memory))};
    send_pieces(h2, &g);
}

static void send_all(struct h2 *h2)
{
    struct gather g = {.stream = h2->conn->stream};
    if (io_stream_is_tls(g.stream)) {
        send_all_tls(h2);
    } else {
        send_pieces(h2, &g);
    }
}

void h2_flush(struct h2 *h2)
{
    if (h2->is_receiving || h2->is_sending) {
        return;
    }
    for (;;) {
        h2->is_sending = true;
        send_all(h2);
        h2->is_sending = false;
        if (!h2->has_writable) {
            break;
        }
        h2->is_receiving = true; /* handlers' answers wait for the next round */
        tell_writable(h2);
        h2->is_receiving = false;
    }
    if (nghttp2_session_want_read(h2->session) == 0 &&
        nghttp2_session_want_write(h2->session) == 0) {
        io_stream_close(h2->conn->stream);
    }
}

/* --- receiving: nghttp2's callbacks --- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct io_grpc_call *call = call_new(h2, frame->hd.stream_id);
    if (call == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
}

static bool is_forbidden(const struct io_grpc_call *call, struct slice name)
{
    bool is_again =
        name.len > 0 && name.data[0] == ':' && io_headers_get(&call->headers, name).data != NULL;
    return is_again || slice_equal(name, SLICE_LIT("connection"));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct io_grpc_call *call = call_of(session, frame->hd.stream_id);
    struct slice key = slice_from(name, name_len);
    (void)flags;
    (void)user;
    if (call == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers of a client say nothing to us */
    }
    if (is_forbidden(call, key)) {
        call->is_malformed = true;
    } else if (io_headers_add(&call->headers, key, slice_from(value, value_len)) != 0) {
        call->is_headers_too_big = true;
    }
    return 0;
}

/* Counts frames that their sender gets for nothing; false: too many. */
static bool count_frame(struct h2 *h2, const nghttp2_frame *frame)
{
    if (frame->hd.type != NGHTTP2_PING && frame->hd.type != NGHTTP2_SETTINGS &&
        frame->hd.type != NGHTTP2_PRIORITY) {
        return true;
    }
    int64_t second = h2->heard.us / BASE_US_PER_S;
    if (h2->idle_second != second) {
        h2->idle_second = second;
        h2->idle_frames = 0;
    }
    return ++h2->idle_frames <= IO_H2_IDLE_FRAMES;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    if (!count_frame(h2, frame)) {
        (void)nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
        h2->is_hostile = true;
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct io_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        grpc_headers_done(call);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        call->is_remote_closed = true;
        grpc_remote_closed(call);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    struct io_grpc_call *call = call_of(session, stream_id);
    (void)flags;
    (void)user;
    (void)nghttp2_session_consume(session, stream_id, len);
    if (call != NULL) {
        grpc_data(call, slice_from(data, len));
    }
    return 0;
}

/* Our answer is complete but the client still sends: free the stream (reference: section 2.3 of
 * gRPC's use). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                  (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
    const struct io_grpc_call *call = is_end ? call_of(session, frame->hd.stream_id) : NULL;
    if (call != NULL && !call->is_remote_closed) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
    struct io_grpc_call *call = call_of(session, stream_id);
    (void)error_code;
    (void)user;
    if (call != NULL) {
        (void)nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        grpc_gone(call, IO_GRPC_CANCELLED);
        h2_call_free(call);
    }
    return 0;
}

/* --- the session --- */

static nghttp2_session *session_new(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_option_new(&option) == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_http_messaging(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_stream_reset_rate_limit(option, IO_H2_RESETS, IO_H2_RESETS_PER_S);
        if (nghttp2_session_server_new2(&session, callbacks, h2, option) != 0) {
            session = NULL;
        }
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

/* A silent client is asked whether it is there, and dropped when it does not answer. */
static void ask(void *ctx)
{
    struct h2 *h2 = ctx;
    struct base_mono now = io_now();
    struct base_mono dead = base_mono_add_us(h2->heard, IO_H2_DEAD_US);
    struct base_mono quiet = base_mono_add_us(h2->heard, IO_H2_ASK_US);
    h2->has_writable = h2->has_writable || h2->is_starved;
    h2->is_starved = false;
    if (!base_mono_before(now, dead)) {
        io_stream_abort(h2->conn->stream, "no answer to pings");
        return;
    }
    if (base_mono_before(now, quiet)) {
        io_timer_start(&h2->conn->timer, quiet);
        h2_flush(h2);
        return;
    }
    (void)nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
    io_timer_start(&h2->conn->timer, dead);
    h2_flush(h2);
}

struct h2 *h2_new(struct conn *conn)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, IO_H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, IO_H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)IO_HEADERS_MAX},
    };
    struct h2 *h2 = calloc(1, sizeof(*h2));
    if (h2 == NULL) {
        return NULL;
    }
    h2->conn = conn;
    h2->session = session_new(h2);
    if (h2->session == NULL) {
        free(h2);
        return NULL;
    }
    (void)nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                  BASE_COUNT_OF(settings));
    h2->heard = io_now();
    io_timer_init(&conn->timer, conn->server->loop, ask, h2);
    io_timer_start_in_us(&conn->timer, IO_H2_ASK_US);
    (void)nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                IO_H2_SESSION_WINDOW);
    h2_flush(h2);
    return h2;
}

void h2_data(struct h2 *h2, struct slice bytes)
{
    struct io_stream *stream = h2->conn->stream;
    h2->heard = io_now();
    h2->is_receiving = true;
    ssize_t used = nghttp2_session_mem_recv(h2->session, bytes.data, bytes.len);
    h2->is_receiving = false;
    if (used < 0) {
        io_stream_abort(stream, nghttp2_strerror((int)used));
        return;
    }
    h2_flush(h2);
    if (h2->is_hostile) {
        io_stream_close(stream); /* behind the GOAWAY that says why */
        return;
    }
    if (io_stream_queued(stream) >= QUEUE_TAKE) {
        io_stream_tell_drained(stream, QUEUE_TAKE / 2);
        io_stream_pause(stream); /* a client that asks but does not read the answers */
    }
}

void h2_drained(struct h2 *h2)
{
    h2_flush(h2);
    io_stream_resume(h2->conn->stream);
}

struct h2 *h2_free(struct h2 *h2, bool is_told)
{
    if (h2 == NULL) {
        return NULL;
    }
    h2->is_receiving = true; /* nothing is sent any more */
    io_timer_stop(&h2->conn->timer);
    while (h2->calls != NULL) {
        struct io_grpc_call *call = h2->calls;
        if (is_told) {
            grpc_gone(call, IO_GRPC_CANCELLED);
        }
        h2_call_free(call);
    }
    nghttp2_session_del(h2->session);
    free(h2);
    return NULL;
}

void h2_stop(struct h2 *h2)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    h2->is_stopping = true;
    h2->is_receiving = true;
    (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR,
                                (const uint8_t *)"server stopped", 14);
    for (struct io_grpc_call *call = h2->calls; call != NULL;) {
        struct io_grpc_call *next = call->next;
        grpc_stop(call);
        call = next;
    }
    h2->is_receiving = false;
    h2_flush(h2);
}
