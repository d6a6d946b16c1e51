/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: accepting, deciding between HTTP/1.1 and HTTP/2, stopping. See server.h.
 *
 * After io_server_free a connection's `server` is NULL and its stream closes by and by without
 * anybody being told anything more.
 */
#include "proto/io/server.h"

#include <stdlib.h>
#include <string.h>

#include "proto/io/server_internal.h"

static const char preface[] = "PRI"; /* no HTTP/1 method begins so (RFC 9113 3.4) */

static void speak_http1(struct conn *conn)
{
    conn->http1 = http1_new(conn);
    if (conn->http1 == NULL) {
        io_stream_abort(conn->stream, "out of memory");
    }
}

static void speak_http2(struct conn *conn)
{
    io_timer_stop(&conn->timer);
    conn->h2 = h2_new(conn);
    if (conn->h2 == NULL) {
        io_stream_abort(conn->stream, "out of memory");
    }
}

static void opened(void *ctx, struct io_stream *stream)
{
    struct conn *conn = ctx;
    if (conn->server == NULL) {
        return;
    }
    if (io_stream_is_http2(stream)) {
        speak_http2(conn);
    } else if (!conn->server->has_grpc) {
        speak_http1(conn);
    }
}

/* Decides by the first bytes; *bytes is what has not been handed on. False: not yet decided. */
static bool sniff(struct conn *conn, struct slice *bytes)
{
    while (bytes->len > 0 && conn->sniffed_len < sizeof(preface) - 1) {
        uint8_t byte = bytes->data[0];
        conn->sniffed[conn->sniffed_len++] = byte;
        *bytes = slice_skip(*bytes, 1);
        if (byte != (uint8_t)preface[conn->sniffed_len - 1]) {
            speak_http1(conn);
            return true;
        }
    }
    if (conn->sniffed_len == sizeof(preface) - 1) {
        speak_http2(conn);
        return true;
    }
    return false;
}

static void feed(struct conn *conn, struct slice bytes)
{
    if (conn->http1 != NULL) {
        http1_data(conn->http1, bytes);
    } else if (conn->h2 != NULL) {
        h2_data(conn->h2, bytes);
    }
}

static void data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct conn *conn = ctx;
    (void)stream;
    if (conn->server == NULL) {
        return;
    }
    if (conn->http1 == NULL && conn->h2 == NULL) {
        if (!sniff(conn, &bytes)) {
            return;
        }
        feed(conn, slice_from(conn->sniffed, conn->sniffed_len));
    }
    if (bytes.len > 0) {
        feed(conn, bytes);
    }
}

static void drained(void *ctx, struct io_stream *stream)
{
    struct conn *conn = ctx;
    (void)stream;
    if (conn->server != NULL && conn->http1 != NULL) {
        http1_drained(conn->http1);
    } else if (conn->server != NULL && conn->h2 != NULL) {
        h2_drained(conn->h2);
    }
}

static void release(struct conn *conn)
{
    io_timer_stop(&conn->timer);
    free(conn);
}

static void unlist(struct conn *conn)
{
    struct io_server *server = conn->server;
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    server->conns_count--;
}

static void check_stopped(struct io_server *server)
{
    if (server->is_stopping && server->conns == NULL && server->stopped != NULL) {
        void (*stopped)(void *) = server->stopped;
        server->stopped = NULL;
        io_timer_stop(&server->stop_timer);
        stopped(server->stopped_ctx);
    }
}

static void closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct conn *conn = ctx;
    struct io_server *server = conn->server;
    (void)stream;
    (void)status;
    (void)why;
    if (server != NULL) {
        conn->http1 = http1_free(conn->http1, true);
        conn->h2 = h2_free(conn->h2, true);
        unlist(conn);
        release(conn);
        check_stopped(server);
        return;
    }
    release(conn);
}

static const struct io_stream_events events = {opened, data, drained, closed};

static void sniff_late(void *ctx)
{
    struct conn *conn = ctx;
    io_stream_abort(conn->stream, "no request in time");
}

static void accepted(void *ctx, struct io_stream *stream)
{
    static const struct io_stream_events nothing = {NULL, NULL, NULL, NULL};
    struct io_server *server = ctx;
    struct conn *conn = NULL;
    if (server->conns_count < server->options.connections_max) {
        conn = calloc(1, sizeof(*conn));
    }
    if (conn == NULL) {
        io_stream_set(stream, &nothing, NULL);
        io_stream_abort(stream, "too many connections");
        return;
    }
    conn->server = server;
    conn->stream = stream;
    conn->next = server->conns;
    if (server->conns != NULL) {
        server->conns->prev = conn;
    }
    server->conns = conn;
    server->conns_count++;
    io_timer_init(&conn->timer, server->loop, sniff_late, conn);
    io_timer_start_in_us(&conn->timer, IO_SNIFF_US);
    io_stream_set(stream, &events, conn);
}

int io_server_new(struct io_loop *loop, const struct io_server_options *options,
                  struct io_server **ret, struct io_why *why)
{
    struct io_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    server->loop = loop;
    server->options = *options;
    server->has_http = options->http != NULL;
    server->has_grpc = options->grpc != NULL;
    if (server->has_http) {
        server->http = *options->http;
    }
    if (server->has_grpc) {
        server->grpc = *options->grpc;
    }
    if (server->options.body_max == 0) {
        server->options.body_max = IO_HTTP_BODY;
    }
    if (server->options.connections_max == 0) {
        server->options.connections_max = IO_CONNECTIONS_MAX;
    }
    const struct io_stream_options stream_options = {
        .tls = options->tls,
        .is_plain_too = options->is_plain_too,
        .write_queue_max = IO_CONNECTION_QUEUE,
        .user_timeout_ms = IO_USER_TIMEOUT_MS,
        .connect_timeout_ms = IO_HANDSHAKE_MS,
    };
    int status = io_listen(loop, &options->address, &stream_options, accepted, server,
                           &server->listener, why);
    if (status != 0) {
        free(server);
        return status;
    }
    *ret = server;
    return 0;
}

uint16_t io_server_port(const struct io_server *server)
{
    return server->listener != NULL ? io_listener_port(server->listener) : 0;
}

uint32_t io_server_connections(const struct io_server *server)
{
    return server->conns_count;
}

static void stop_late(void *ctx)
{
    struct io_server *server = ctx;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        io_stream_abort(conn->stream, "server stopped");
    }
}

void io_server_shutdown(struct io_server *server, void (*done)(void *ctx), void *ctx)
{
    server->is_stopping = true;
    server->stopped = done;
    server->stopped_ctx = ctx;
    server->listener = io_listener_free(server->listener);
    io_timer_init(&server->stop_timer, server->loop, stop_late, server);
    io_timer_start_in_us(&server->stop_timer, IO_STOP_US);
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        if (conn->http1 != NULL) {
            http1_stop(conn->http1);
        } else if (conn->h2 != NULL) {
            h2_stop(conn->h2);
        } else {
            io_stream_abort(conn->stream, "server stopped");
        }
    }
    check_stopped(server);
}

struct io_server *io_server_free(struct io_server *server)
{
    if (server == NULL) {
        return NULL;
    }
    server->listener = io_listener_free(server->listener);
    if (server->stop_timer.loop != NULL) {
        io_timer_stop(&server->stop_timer);
    }
    while (server->conns != NULL) {
        struct conn *conn = server->conns;
        conn->http1 = http1_free(conn->http1, true);
        conn->h2 = h2_free(conn->h2, true);
        io_timer_stop(&conn->timer);
        unlist(conn);
        conn->server = NULL;
        io_stream_abort(conn->stream, "server stopped");
    }
    free(server);
    return NULL;
}
