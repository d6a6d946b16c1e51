/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 connections of a server: one request at a time, answered by the handler now or later.
 *
 * `in` holds the request being worked on from its first byte; the request's slices point into it
 * (or into `body` when it came in chunks), so nothing is added to it until the answer: what comes
 * meanwhile waits in `rest`. A request that breaks the rules is answered with its status and the
 * connection is closed.
 */
#include "proto/io/http1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/io/http1_parse.h"
#include "proto/io/server_internal.h"

enum http1_state { HTTP1_IDLE, HTTP1_HEAD, HTTP1_BODY, HTTP1_ANSWER, HTTP1_CLOSED };

struct http1 {
    struct conn *conn;
    enum http1_state state;
    struct io_bytes in, rest, body;
    struct http1_head head;
    size_t head_at;        /* of `in`: where the head begins */
    size_t head_len, used; /* of `in`: up to the end of the head, and of the whole request */
    size_t chunk_at;       /* behind the head: whole chunks taken */
    struct io_http_exchange exchange;
    bool closes; /* after this answer */
    bool is_stopping;
    bool is_looping;
    bool is_continue_sent;
};

static const struct exchange_ops ops;

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *io_http_reason(int status)
{
    for (size_t i = 0; i < BASE_COUNT_OF(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}

/* --- answering --- */

static void process(struct http1 *http1);

static void close_now(struct http1 *http1)
{
    http1->state = HTTP1_CLOSED;
    io_timer_stop(&http1->conn->timer);
    io_stream_close(http1->conn->stream);
}

static void put_head_line(struct io_bytes *out, const char *name, struct slice value)
{
    (void)!io_bytes_append(out, slice_from_text(name));
    (void)!io_bytes_append(out, SLICE_LIT(": "));
    (void)!io_bytes_append(out, value);
    (void)!io_bytes_append(out, SLICE_LIT("\r\n"));
}

/* RFC 9110, section 6.6.1: a server with a clock says what it shows. */
static void put_date(struct io_bytes *out)
{
    char text[40];
    struct tm tm;
    time_t now = time(NULL);
    if (gmtime_r(&now, &tm) != NULL &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0) {
        put_head_line(out, "Date", slice_from_text(text));
    }
}

/* Status line and headers; length is the body's, or -1: chunked. */
static void put_head(struct http1 *http1, int status, const char *type, int64_t length,
                     struct io_bytes *out)
{
    char text[80];
    struct slice name;
    struct slice value;
    (void)snprintf(text, sizeof(text), "HTTP/1.1 %d %s\r\n", status, io_http_reason(status));
    (void)!io_bytes_append(out, slice_from_text(text));
    put_date(out);
    for (size_t at = 0; io_headers_next(&http1->exchange.extra, &at, &name, &value);) {
        (void)!io_bytes_append(out, name);
        put_head_line(out, "", value);
    }
    if (type != NULL) {
        put_head_line(out, "Content-Type", slice_from_text(type));
    }
    if (length >= 0) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)length);
        put_head_line(out, "Content-Length", slice_from_text(text));
    } else if (!http1->head.is_http_10) {
        put_head_line(out, "Transfer-Encoding", SLICE_LIT("chunked"));
    }
    if (http1->closes) {
        put_head_line(out, "Connection", SLICE_LIT("close"));
    } else if (http1->head.is_http_10) {
        put_head_line(out, "Connection", SLICE_LIT("keep-alive"));
    }
    (void)!io_bytes_append(out, SLICE_LIT("\r\n"));
}

/* The answer is out: make room for the next request. */
static void finish(struct http1 *http1)
{
    struct io_bytes *in = &http1->in;
    io_headers_free(&http1->exchange.extra);
    io_bytes_free(&http1->body);
    http1->exchange.user = NULL;
    if (http1->closes || http1->is_stopping) {
        close_now(http1);
        return;
    }
    size_t left = in->len - http1->used;
    if (left > 0) {
        memmove(in->data, in->data + http1->used, left);
    }
    in->len = left;
    if (io_bytes_append(in, slice_from(http1->rest.data, http1->rest.len)) != 0) {
        close_now(http1);
        return;
    }
    io_bytes_free(&http1->rest);
    if (in->len == 0) {
        io_bytes_free(in);
    }
    http1->state = HTTP1_IDLE;
    io_timer_start_in_us(&http1->conn->timer, IO_HTTP_IDLE_US);
    io_stream_resume(http1->conn->stream);
    if (!http1->is_looping) {
        process(http1);
    }
}

static void send_all(struct http1 *http1, struct io_bytes *out, struct slice body)
{
    const struct slice pieces[2] = {slice_from(out->data, out->len), body};
    if (io_stream_writev(http1->conn->stream, pieces, 2) != 0) {
        http1->closes = true; /* too large for the queue, or gone: cut off */
        io_stream_abort(http1->conn->stream, "answer does not fit");
    }
    io_bytes_free(out);
}

static void http1_reply(struct io_http_exchange *exchange, int status, const char *type,
                        struct slice body)
{
    struct http1 *http1 = exchange->owner;
    struct io_bytes out = {0};
    if (http1->state != HTTP1_ANSWER) {
        return;
    }
    put_head(http1, status, type, (int64_t)body.len, &out);
    send_all(http1, &out, exchange->request.is_head || status == 204 ? SLICE_EMPTY : body);
    finish(http1);
}

static void http1_begin(struct io_http_exchange *exchange, int status, const char *type)
{
    struct http1 *http1 = exchange->owner;
    struct io_bytes out = {0};
    http1->closes = http1->closes || http1->head.is_http_10;
    put_head(http1, status, type, -1, &out);
    send_all(http1, &out, SLICE_EMPTY);
}

static int http1_chunk(struct io_http_exchange *exchange, struct slice chunk)
{
    struct http1 *http1 = exchange->owner;
    char size[24];
    if (chunk.len == 0 || exchange->request.is_head) {
        return 0;
    }
    size_t queued = io_stream_queued(http1->conn->stream);
    if (queued > 0 && queued + chunk.len > IO_STREAM_QUEUE) {
        io_stream_tell_drained(http1->conn->stream, IO_STREAM_QUEUE / 2);
        return BASE_E_BUSY;
    }
    (void)snprintf(size, sizeof(size), "%zx\r\n", chunk.len);
    const struct slice pieces[3] = {slice_from_text(size), chunk, SLICE_LIT("\r\n")};
    if (http1->head.is_http_10) {
        return io_stream_write(http1->conn->stream, chunk);
    }
    return io_stream_writev(http1->conn->stream, pieces, 3);
}

static void http1_end(struct io_http_exchange *exchange)
{
    struct http1 *http1 = exchange->owner;
    if (!http1->head.is_http_10 && !exchange->request.is_head) {
        (void)!io_stream_write(http1->conn->stream, SLICE_LIT("0\r\n\r\n"));
    }
    finish(http1);
}

static struct slice http1_header(const struct io_http_exchange *exchange, struct slice name)
{
    const struct http1 *http1 = exchange->owner;
    return http1_field(http1->head.fields, name);
}

static size_t http1_queued(const struct io_http_exchange *exchange)
{
    const struct http1 *http1 = exchange->owner;
    return io_stream_queued(http1->conn->stream);
}

static const struct exchange_ops ops = {http1_header, http1_reply, http1_begin,
                                        http1_chunk,  http1_end,   http1_queued};

static void refuse(struct http1 *http1, int status)
{
    http1->closes = true;
    http1->state = HTTP1_ANSWER;
    http1->exchange.request.is_head = false;
    http1_reply(&http1->exchange, status, "text/plain", slice_from_text(io_http_reason(status)));
}

/* --- what handlers call --- */

struct slice io_http_header(const struct io_http_exchange *exchange, const char *name)
{
    return exchange->ops->header(exchange, slice_from_text(name));
}

static bool is_clean(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

void io_http_add_header(struct io_http_exchange *exchange, const char *name, const char *value)
{
    if (is_clean(name) && is_clean(value)) {
        (void)!io_headers_add(&exchange->extra, slice_from_text(name), slice_from_text(value));
    }
}

void io_http_reply(struct io_http_exchange *exchange, int status, const char *content_type,
                   struct slice body)
{
    BASE_ASSERT(!exchange->is_begun);
    exchange->ops->reply(exchange, status, content_type, body);
}

void io_http_reply_begin(struct io_http_exchange *exchange, int status, const char *content_type)
{
    BASE_ASSERT(!exchange->is_begun);
    exchange->is_begun = true;
    exchange->ops->begin(exchange, status, content_type);
}

int io_http_reply_chunk(struct io_http_exchange *exchange, struct slice chunk)
{
    BASE_ASSERT(exchange->is_begun);
    return exchange->ops->chunk(exchange, chunk);
}

void io_http_reply_end(struct io_http_exchange *exchange)
{
    BASE_ASSERT(exchange->is_begun);
    exchange->is_begun = false;
    exchange->ops->end(exchange);
}

size_t io_http_queued(const struct io_http_exchange *exchange)
{
    return exchange->ops->queued(exchange);
}

void io_http_set_user(struct io_http_exchange *exchange, void *user)
{
    exchange->user = user;
}

void *io_http_user(const struct io_http_exchange *exchange)
{
    return exchange->user;
}

/* --- receiving --- */

void http1_dispatch(struct io_server *server, struct io_http_exchange *exchange)
{
    if (!server->has_http) {
        io_http_reply(exchange, 404, "text/plain", SLICE_LIT("not found\n"));
        return;
    }
    server->http.request(server->http.ctx, exchange, &exchange->request);
}

static void dispatch(struct http1 *http1, struct slice body)
{
    struct io_stream *stream = http1->conn->stream;
    struct slice text =
        slice_from(http1->in.data + http1->head_at, http1->head_len - http1->head_at);
    int status = http1_head_parse(text, &http1->head); /* `in` may have moved since */
    BASE_ASSERT(status == 0);
    http1->exchange.request = (struct io_http_request){
        .method = http1->head.method,
        .path = http1->head.path,
        .query = http1->head.query,
        .body = body,
        .identity = io_stream_identity(stream),
        .is_tls = io_stream_is_tls(stream),
        .is_loopback = io_stream_is_loopback(stream),
        .is_head = slice_equal(http1->head.method, SLICE_LIT("HEAD")),
    };
    http1->exchange.is_begun = false;
    http1->closes = !http1->head.keeps_alive;
    http1->state = HTTP1_ANSWER;
    io_timer_stop(&http1->conn->timer);
    http1_dispatch(http1->conn->server, &http1->exchange);
}

/* A whole head in `in`? False: wait for more. */
static bool read_head(struct http1 *http1)
{
    size_t skip = 0;
    while (skip + 2 <= http1->in.len && memcmp(http1->in.data + skip, "\r\n", 2) == 0) {
        skip += 2; /* empty lines before a request (section 2.2) */
    }
    struct slice text = slice_from(http1->in.data + skip, http1->in.len - skip);
    size_t len = http1_head_end(text);
    if (len == 0 || len > IO_HTTP_HEAD) {
        if (text.len > IO_HTTP_HEAD) {
            refuse(http1, 431);
        }
        return false;
    }
    text.len = len;
    int status = http1_head_parse(text, &http1->head);
    if (status != 0) {
        refuse(http1, status);
        return false;
    }
    if (http1->head.content_length > http1->conn->server->options.body_max) {
        refuse(http1, 413);
        return false;
    }
    http1->head_at = skip;
    http1->head_len = skip + len;
    http1->chunk_at = 0;
    http1->is_continue_sent = false;
    http1->state = HTTP1_BODY;
    io_timer_start_in_us(&http1->conn->timer, IO_HTTP_BODY_US);
    return true;
}

static bool read_chunked(struct http1 *http1, struct slice text)
{
    size_t body_max = http1->conn->server->options.body_max;
    if (io_bytes_reserve(&http1->body, text.len - http1->chunk_at + 1) != 0) {
        refuse(http1, 503);
        return false;
    }
    struct buf body = {.data = http1->body.data, .len = http1->body.len, .cap = http1->body.cap};
    int status = http1_chunked(text, &http1->chunk_at, &body);
    http1->body.len = body.len;
    size_t taken = status == 1 ? http1->chunk_at : text.len; /* behind it: the next requests */
    if (body.len > body_max || (status >= 0 && taken > 2 * body_max + IO_HTTP_HEAD)) {
        refuse(http1, 413);
        return false;
    }
    if (status < 0) {
        refuse(http1, 400);
        return false;
    }
    if (status == 0) {
        return false;
    }
    http1->used = http1->head_len + http1->chunk_at;
    dispatch(http1, buf_slice(&body));
    return true;
}

static bool read_body(struct http1 *http1)
{
    struct slice text =
        slice_from(http1->in.data + http1->head_len, http1->in.len - http1->head_len);
    bool has_body = http1->head.is_chunked || http1->head.content_length > 0;
    if (has_body && http1->head.wants_continue && !http1->is_continue_sent) {
        http1->is_continue_sent = true;
        (void)!io_stream_write(http1->conn->stream, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (http1->head.is_chunked) {
        return read_chunked(http1, text);
    }
    if (text.len < http1->head.content_length) {
        return false;
    }
    text.len = (size_t)http1->head.content_length;
    http1->used = http1->head_len + text.len;
    dispatch(http1, text);
    return true;
}

/* Goes on with `in` until more bytes or an answer are needed. */
static void process(struct http1 *http1)
{
    bool goes_on = true;
    http1->is_looping = true;
    while (goes_on && http1->state != HTTP1_CLOSED && http1->state != HTTP1_ANSWER) {
        if (http1->state == HTTP1_IDLE && http1->in.len > 0) {
            http1->state = HTTP1_HEAD;
            io_timer_start_in_us(&http1->conn->timer, IO_HTTP_HEAD_US);
        }
        if (http1->state == HTTP1_HEAD) {
            goes_on = read_head(http1);
        } else if (http1->state == HTTP1_BODY) {
            goes_on = read_body(http1);
        } else {
            goes_on = false;
        }
    }
    http1->is_looping = false;
}

void http1_data(struct http1 *http1, struct slice bytes)
{
    struct io_bytes *to = http1->state == HTTP1_ANSWER ? &http1->rest : &http1->in;
    if (http1->state == HTTP1_CLOSED) {
        return;
    }
    if (io_bytes_append(to, bytes) != 0) {
        close_now(http1);
        return;
    }
    if (http1->state == HTTP1_ANSWER) {
        if (http1->rest.len > IO_HTTP_AHEAD) {
            io_stream_pause(http1->conn->stream);
        }
        return;
    }
    process(http1);
}

static void late(void *ctx)
{
    struct http1 *http1 = ctx;
    if (http1->state == HTTP1_HEAD || http1->state == HTTP1_BODY) {
        refuse(http1, 408);
    } else {
        close_now(http1);
    }
}

void http1_drained(struct http1 *http1)
{
    const struct io_server *server = http1->conn->server;
    if (http1->state == HTTP1_ANSWER && http1->exchange.is_begun && server->http.writable != NULL) {
        server->http.writable(server->http.ctx, &http1->exchange);
    }
}

struct http1 *http1_new(struct conn *conn)
{
    struct http1 *http1 = calloc(1, sizeof(*http1));
    if (http1 != NULL) {
        http1->conn = conn;
        http1->exchange.ops = &ops;
        http1->exchange.owner = http1;
        io_timer_stop(&conn->timer);
        io_timer_init(&conn->timer, conn->server->loop, late, http1);
        io_timer_start_in_us(&conn->timer, IO_HTTP_HEAD_US);
    }
    return http1;
}

struct http1 *http1_free(struct http1 *http1, bool is_told)
{
    if (http1 == NULL) {
        return NULL;
    }
    const struct io_server *server = http1->conn->server;
    if (is_told && http1->state == HTTP1_ANSWER && server->has_http && server->http.gone != NULL) {
        server->http.gone(server->http.ctx, &http1->exchange);
    }
    io_headers_free(&http1->exchange.extra);
    io_bytes_free(&http1->in);
    io_bytes_free(&http1->rest);
    io_bytes_free(&http1->body);
    free(http1);
    return NULL;
}

void http1_stop(struct http1 *http1)
{
    http1->is_stopping = true;
    if (http1->state == HTTP1_IDLE || http1->state == HTTP1_HEAD) {
        close_now(http1);
    }
}
