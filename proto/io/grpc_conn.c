/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking gRPC client's connections: endpoints, sockets and TLS under one absolute deadline.
 */
#include "proto/io/grpc_client_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

#define DEFAULT_PORT 2379
#define CONNECT_SHARE_US \
    (2 * BASE_US_PER_S) /* at most so long for one endpoint while others are left */

/* --- making clients --- */

static int parse_endpoint(struct slice text, bool has_ca, struct grpc_endpoint *ret,
                          struct io_why *why)
{
    int status = io_address_parse(text, DEFAULT_PORT, &ret->address, why);
    if (status != 0) {
        return status;
    }
    if (ret->address.host[0] == '\0') {
        memcpy(ret->address.host, "127.0.0.1", 10);
    }
    ret->is_tls =
        ret->address.scheme == IO_SCHEME_HTTPS || (ret->address.scheme == IO_SCHEME_NONE && has_ca);
    (void)io_address_text(&ret->address, ret->text, sizeof(ret->text));
    return 0;
}

static int parse_endpoints(struct io_grpc_client *client, const char *text, bool has_ca,
                           struct io_why *why)
{
    struct slice rest = slice_from_text(text);
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        struct slice part = rest;
        part.len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        rest = slice_skip(rest, part.len + 1);
        if (client->endpoints_count == IO_GRPC_ENDPOINTS_MAX) {
            io_why_set(why, "more than %d endpoints", IO_GRPC_ENDPOINTS_MAX);
            return BASE_E_INVALID;
        }
        int status = parse_endpoint(part, has_ca, &client->endpoints[client->endpoints_count], why);
        if (status != 0) {
            return status;
        }
        client->endpoints_count++;
    }
    if (client->endpoints_count == 0) {
        io_why_set(why, "no endpoints given");
        return BASE_E_INVALID;
    }
    return 0;
}

static int make_tls(struct io_grpc_client *client, const struct io_grpc_client_options *options,
                    struct io_why *why)
{
    bool needs_tls = false;
    for (size_t i = 0; i < client->endpoints_count; i++) {
        needs_tls = needs_tls || client->endpoints[i].is_tls;
    }
    if (!needs_tls) {
        return 0;
    }
    const struct io_tls_options tls = {.cert_file = options->cert_file,
                                       .key_file = options->key_file,
                                       .ca_file = options->ca_file,
                                       .verify = IO_TLS_VERIFY_REQUIRED,
                                       .has_http2 = true};
    return io_tls_new(&tls, &client->tls, why);
}

int io_grpc_client_new(const struct io_grpc_client_options *options, struct io_grpc_client **ret,
                       struct io_why *why)
{
    bool has_ca = options->ca_file != NULL && options->ca_file[0] != '\0';
    struct io_grpc_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return BASE_E_NOMEM;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a lost connection is an error code, not the end */
    client->fd = -1;
    client->pinned = SIZE_MAX;
    if (options->token != NULL) {
        client->token = strdup(options->token);
    }
    int status = parse_endpoints(client, options->endpoints, has_ca, why);
    if (status == 0) {
        status = make_tls(client, options, why);
    }
    if (status != 0) {
        (void)io_grpc_client_free(client);
        return status;
    }
    *ret = client;
    return 0;
}

void grpc_disconnect(struct io_grpc_client *client)
{
    nghttp2_session_del(client->session);
    client->session = NULL;
    SSL_free(client->ssl);
    client->ssl = NULL;
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
}

struct io_grpc_client *io_grpc_client_free(struct io_grpc_client *client)
{
    if (client != NULL) {
        grpc_disconnect(client);
        (void)io_tls_free(client->tls);
        free(client->token);
        io_bytes_free(&client->answer.message);
        io_bytes_free(&client->answer.body);
        io_bytes_free(&client->out);
        free(client);
    }
    return NULL;
}

size_t io_grpc_client_endpoints(const struct io_grpc_client *client)
{
    return client->endpoints_count;
}

void io_grpc_client_pin(struct io_grpc_client *client, size_t n)
{
    BASE_ASSERT(n == SIZE_MAX || n < client->endpoints_count);
    client->pinned = n;
    grpc_disconnect(client);
}

const char *io_grpc_client_endpoint(const struct io_grpc_client *client, size_t n)
{
    BASE_ASSERT(n < client->endpoints_count);
    return client->endpoints[n].text;
}

/* --- bytes under a deadline --- */

static int wait_for(int fd, short events, struct base_mono deadline)
{
    for (;;) {
        int64_t left_us = base_mono_diff_us(deadline, io_now());
        if (left_us <= 0) {
            return BASE_E_TIMEOUT;
        }
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int64_t left_ms = left_us / BASE_US_PER_MS + 1;
        int got = poll(&poll_fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (got > 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            return BASE_E_IO;
        }
    }
}

static int lost(struct io_grpc_client *client, struct io_why *why)
{
    io_why_set(why, "connection with %s lost: %s", client->endpoints[client->current].text,
               errno != 0 ? strerror(errno) : "closed by the other side");
    return BASE_E_CLOSED;
}

/* What an SSL call wants before it can go on; an error when it has failed for good. */
static int wait_tls(struct io_grpc_client *client, int result, struct io_why *why)
{
    int error = SSL_get_error(client->ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
        return wait_for(client->fd, POLLIN, client->deadline);
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        return wait_for(client->fd, POLLOUT, client->deadline);
    }
    if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)) {
        return lost(client, why);
    }
    io_tls_why(client->ssl, why);
    return BASE_E_TLS;
}

int grpc_send_bytes(struct io_grpc_client *client, const uint8_t *data, size_t len,
                    struct io_why *why)
{
    int status = 0;
    while (len > 0 && status == 0) {
        ssize_t sent;
        errno = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            sent = SSL_write(client->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
            status = sent > 0 ? 0 : wait_tls(client, (int)sent, why);
        } else {
            sent = send(client->fd, data, len, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                status = wait_for(client->fd, POLLOUT, client->deadline);
            } else if (sent < 0 && errno != EINTR) {
                return lost(client, why);
            }
        }
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
    return status;
}

int grpc_receive_bytes(struct io_grpc_client *client, uint8_t *data, size_t cap, size_t *ret_len,
                       struct io_why *why)
{
    int status = 0;
    while (status == 0) {
        ssize_t got;
        errno = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            got = SSL_read(client->ssl, data, (int)cap);
            status = got > 0 ? 0 : wait_tls(client, (int)got, why);
        } else {
            got = recv(client->fd, data, cap, 0);
            if (got < 0 && errno == EAGAIN) {
                status = wait_for(client->fd, POLLIN, client->deadline);
            } else if (got == 0 || (got < 0 && errno != EINTR)) {
                return lost(client, why);
            }
        }
        if (got > 0) {
            *ret_len = (size_t)got;
            return 0;
        }
    }
    return status;
}

/* --- connecting --- */

static int connect_address(const struct addrinfo *address, struct base_mono deadline, int *ret_fd)
{
    int one = 1;
    int error = 0;
    socklen_t len = sizeof(error);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (wait_for(fd, POLLOUT, deadline) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
                error = errno;
            }
        }
    }
    if (error != 0) {
        (void)close(fd);
        return -error;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *ret_fd = fd;
    return 0;
}

static int open_socket(struct io_grpc_client *client, const struct grpc_endpoint *endpoint,
                       struct base_mono deadline, struct io_why *why)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    (void)snprintf(port, sizeof(port), "%u", (unsigned)endpoint->address.port);
    int status = getaddrinfo(endpoint->address.host, port, &hints, &list);
    if (status != 0) {
        io_why_set(why, "cannot resolve %s: %s", endpoint->address.host, gai_strerror(status));
        return BASE_E_UNREACHABLE;
    }
    status = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a != NULL && status != 0; a = a->ai_next) {
        status = connect_address(a, deadline, &client->fd);
    }
    freeaddrinfo(list);
    if (status != 0) {
        io_why_set(why, "cannot connect to %s: %s", endpoint->text, strerror(-status));
        return BASE_E_UNREACHABLE;
    }
    return 0;
}

static int open_tls(struct io_grpc_client *client, const struct grpc_endpoint *endpoint,
                    struct io_why *why)
{
    int status = 0;
    int result = 0;
    client->ssl = io_tls_connect_ssl(client->tls, endpoint->address.host, true);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    while (status == 0 && result != 1) {
        ERR_clear_error();
        errno = 0;
        result = SSL_do_handshake(client->ssl);
        status = result == 1 ? 0 : wait_tls(client, result, why);
    }
    if (status == BASE_E_TIMEOUT) {
        io_why_set(why, "no TLS handshake from %s in time", endpoint->text);
    }
    return status;
}

static int connect_endpoint(struct io_grpc_client *client, size_t n, struct base_mono deadline,
                            struct io_why *why)
{
    const struct grpc_endpoint *endpoint = &client->endpoints[n];
    grpc_disconnect(client);
    client->current = n;
    client->deadline = deadline;
    int status = open_socket(client, endpoint, deadline, why);
    if (status == 0 && endpoint->is_tls) {
        status = open_tls(client, endpoint, why);
    }
    if (status == 0) {
        status = grpc_session_open(client);
    }
    if (status != 0) {
        grpc_disconnect(client);
    }
    return status;
}

int grpc_connect(struct io_grpc_client *client, struct base_mono deadline, struct io_why *why)
{
    int worst = BASE_E_UNREACHABLE;
    for (size_t i = 0; i < client->endpoints_count; i++) {
        size_t n = client->pinned != SIZE_MAX ? client->pinned : i;
        bool is_last = client->pinned != SIZE_MAX || i + 1 == client->endpoints_count;
        struct base_mono share = base_mono_add_us(io_now(), CONNECT_SHARE_US);
        struct io_why now_why = {""};
        int status = connect_endpoint(
            client, n, is_last ? deadline : base_mono_min(share, deadline), &now_why);
        client->deadline = deadline;
        if (status == 0) {
            return 0;
        }
        if (worst != BASE_E_TLS || status == BASE_E_TLS) {
            worst = status == BASE_E_TLS ? BASE_E_TLS : BASE_E_UNREACHABLE;
            io_why_set(why, "%s", now_why.text);
        }
        if (is_last) {
            break;
        }
    }
    return worst;
}

bool grpc_is_alive(struct io_grpc_client *client)
{
    uint8_t byte;
    if (client->fd < 0 || nghttp2_session_check_request_allowed(client->session) == 0) {
        return false;
    }
    if (client->ssl != NULL && SSL_pending(client->ssl) > 0) {
        return true;
    }
    ssize_t got = recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && errno == EAGAIN);
}
