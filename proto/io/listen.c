/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets and the streams that come from them. Errors are told at once, with what to do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/stream_internal.h"

#define BACKLOG 512

struct io_listener {
    uv_tcp_t tcp;
    struct io_loop *loop;
    struct io_stream_options options;
    io_accept_fn *accept;
    void *ctx;
    bool is_closed;
};

static void came(uv_stream_t *server, int status)
{
    struct io_listener *listener = server->data;
    if (status != 0 || listener->is_closed) {
        return;
    }
    struct io_stream *stream = stream_new(listener->loop, &listener->options);
    if (stream == NULL) {
        return;
    }
    (void)uv_tcp_init(&listener->loop->uv, &stream->tcp);
    stream->tcp.data = stream;
    stream->has_tcp = true;
    stream->state = STREAM_CONNECTING;
    if (uv_accept(server, (uv_stream_t *)&stream->tcp) != 0) {
        stream->events = NULL;
        stream_fail(stream, BASE_E_CLOSED, "gone before it was accepted");
        return;
    }
    if (listener->options.tls != NULL) {
        stream->ssl = io_tls_accept_ssl(listener->options.tls);
        stream->is_undecided = listener->options.is_plain_too;
    }
    listener->accept(listener->ctx, stream);
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    BASE_ASSERT(stream->events != NULL);
    if (listener->options.tls != NULL && stream->ssl == NULL) {
        stream_fail(stream, BASE_E_NOMEM, "out of memory");
        return;
    }
    stream_established(stream);
}

static int pick_address(const struct io_address *address, struct sockaddr_storage *ret,
                        struct io_why *why)
{
    char port[8];
    struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    (void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    int status = getaddrinfo(address->host[0] != '\0' ? address->host : NULL, port, &hints, &list);
    if (status != 0 || list == NULL) {
        io_why_set(why, "cannot resolve listen address %s: %s", address->host,
                   gai_strerror(status));
        return BASE_E_INVALID;
    }
    /* A name: its IPv4 address first. Every address: the IPv6 one, which takes IPv4 as well. */
    int wanted = address->host[0] != '\0' ? AF_INET : AF_INET6;
    const struct addrinfo *best = list;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (a->ai_family == wanted) {
            best = a;
            break;
        }
    }
    memcpy(ret, best->ai_addr, best->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

static int explain(const struct io_address *address, int status, struct io_why *why)
{
    char text[IO_ADDRESS_TEXT_MAX];
    const char *host = address->host[0] != '\0' ? address->host : "every address";
    if (status == UV_EADDRINUSE) {
        io_why_set(
            why,
            "port %u on %s is in use by another program; stop it (ss -ltnp shows it) or choose "
            "another port",
            (unsigned)address->port, host);
        return BASE_E_EXISTS;
    }
    if (status == UV_EADDRNOTAVAIL) {
        io_why_set(why, "%s is not an address of this machine; listen on one that ip addr shows",
                   host);
        return BASE_E_INVALID;
    }
    io_why_set(why, "cannot listen on %s: %s", io_address_text(address, text, sizeof(text)),
               uv_strerror(status));
    return status == UV_EACCES ? BASE_E_DENIED : BASE_E_IO;
}

static void listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct io_listener *io_listener_free(struct io_listener *listener)
{
    if (listener != NULL && !listener->is_closed) {
        listener->is_closed = true;
        uv_close((uv_handle_t *)&listener->tcp, listener_closed);
    }
    return NULL;
}

/* "Every address" on a machine without IPv6. */
static int bind_any_four(struct io_listener *listener, uint16_t port)
{
    struct sockaddr_in four;
    (void)uv_ip4_addr("0.0.0.0", port, &four);
    return uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&four, 0);
}

int io_listen(struct io_loop *loop, const struct io_address *address,
              const struct io_stream_options *options, io_accept_fn *accept, void *ctx,
              struct io_listener **ret, struct io_why *why)
{
    struct sockaddr_storage where = {0};
    int status = pick_address(address, &where, why);
    if (status != 0) {
        return status;
    }
    struct io_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return BASE_E_NOMEM;
    }
    listener->loop = loop;
    listener->options = *options;
    listener->accept = accept;
    listener->ctx = ctx;
    (void)uv_tcp_init(&loop->uv, &listener->tcp);
    listener->tcp.data = listener;
    status = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&where, 0);
    if (status == UV_EAFNOSUPPORT && address->host[0] == '\0') {
        status = bind_any_four(listener, address->port);
    }
    if (status == 0) {
        status = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, came);
    }
    if (status != 0) {
        (void)io_listener_free(listener);
        return explain(address, status, why);
    }
    *ret = listener;
    return 0;
}

uint16_t io_listener_port(const struct io_listener *listener)
{
    struct sockaddr_storage storage = {0};
    int len = (int)sizeof(storage);
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&storage, &len) != 0) {
        return 0;
    }
    if (storage.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)&storage)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)&storage)->sin_port);
}
