/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of the proxy: plain file descriptors, since accepted ones go to the epoll set
 * of conn.c rather than to the loop. When the process has no file left for a client, nobody is
 * accepted for a moment: they wait in the kernel's queue. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/proxy/proxy_internal.h"

#define BACKLOG 4096
#define ACCEPTS 64 /* of one turn */
#define NO_FILES_US (100 * BASE_US_PER_MS)

struct listening {
    struct proxy_cluster *cluster;
    enum proxy_port port;
    int fd;
    uv_poll_t poll;
    struct io_timer again;
    bool is_closed;
};

static void ready(uv_poll_t *poll, int status, int events);

static void watch_again(void *ctx)
{
    struct listening *l = ctx;
    (void)uv_poll_start(&l->poll, UV_READABLE, ready);
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct listening *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS && !l->is_closed; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            proxy_accepted(l->cluster, l->port, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            IO_LOG_ERROR("proxy", "no_file_left", io_text("why", strerror(errno)),
                         io_text("next", "clients wait; raise LimitNOFILE or lower "
                                         "connections.max"));
            (void)uv_poll_stop(&l->poll);
            io_timer_start_in_us(&l->again, NO_FILES_US);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void explain(const struct io_address *address, int error, struct io_why *why)
{
    char text[IO_ADDRESS_TEXT_MAX];
    const char *hint = "";
    if (error == EADDRINUSE) {
        hint = "; stop the program that uses it (ss -ltnp shows it) or choose another port";
    } else if (error == EADDRNOTAVAIL) {
        hint = "; listen on an address that ip addr shows";
    }
    io_why_set(why, "cannot listen on %s: %s%s", io_address_text(address, text, sizeof(text)),
               strerror(error), hint);
}

static int bind_to(const struct addrinfo *a, int *ret_fd)
{
    int one = 1;
    int zero = 0;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    }
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* The first address that takes it; every address means the IPv6 one, which takes IPv4 as well. */
static int bind_any(const struct io_address *address, int *ret_fd, struct io_why *why)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    (void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    const char *host = address->host[0] != '\0' ? address->host : NULL;
    int status = getaddrinfo(host != NULL ? host : "::", port, &hints, &list);
    if (status != 0 && host == NULL) {
        status = getaddrinfo("0.0.0.0", port, &hints, &list);
    }
    if (status != 0) {
        io_why_set(why, "cannot resolve listen address %s: %s", address->host,
                   gai_strerror(status));
        return BASE_E_INVALID;
    }
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *a = list; a != NULL && error != 0; a = a->ai_next) {
        error = bind_to(a, ret_fd);
    }
    freeaddrinfo(list);
    if (error != 0) {
        explain(address, error, why);
        return BASE_E_IO;
    }
    return 0;
}

int listening_open(struct proxy_cluster *cluster, enum proxy_port port,
                   const struct io_address *address, struct listening **ret, struct io_why *why)
{
    struct listening *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return BASE_E_NOMEM;
    }
    l->cluster = cluster;
    l->port = port;
    int rc = bind_any(address, &l->fd, why);
    if (rc != 0) {
        free(l);
        return rc;
    }
    l->poll.data = l;
    io_timer_init(&l->again, cluster->proxy->loop, watch_again, l);
    (void)uv_poll_init(io_loop_uv(cluster->proxy->loop), &l->poll, l->fd);
    (void)uv_poll_start(&l->poll, UV_READABLE, ready);
    *ret = l;
    return 0;
}

static void closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct listening *listening_close(struct listening *listening)
{
    if (listening != NULL) {
        listening->is_closed = true;
        io_timer_stop(&listening->again);
        (void)uv_poll_stop(&listening->poll);
        uv_close((uv_handle_t *)&listening->poll, closed);
        (void)close(listening->fd);
    }
    return NULL;
}
