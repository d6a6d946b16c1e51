/* SPDX-License-Identifier: Apache-2.0 */
/* Connections; see conn.h. Level-triggered: what is not dealt with in one turn is told again, so
 * that nobody can keep the others waiting. A side that nothing is wanted of is taken out of the
 * set, since its hang-up would be told without end. */
#include "agents/proxy/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"

#define EVENTS 256
#define KEEPALIVE_PROBES 3
#define SIDE_BIT ((uint64_t)1)

/* watched[]: nothing, or some of these. */
#define WATCH_IN 1u
#define WATCH_OUT 2u
#define WATCH_LEAVE 4u /* a client that waits and may go away */

struct conns {
    struct conns_options options;
    int epoll_fd;
    uv_poll_t *poll;
    struct flow_pool pool;
    uint32_t count;
    struct conn *dead; /* freed when the round of events is over */
    bool is_in_round;
};

/* --- sockets --- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static int clamp_s(int64_t us)
{
    int64_t s = us / BASE_US_PER_S;
    return s < 1 ? 1 : (int)s;
}

static void set_options(const struct conns *conns, int fd)
{
    int idle_s = clamp_s(conns->options.keepalive_us);
    int every_s = idle_s > KEEPALIVE_PROBES ? idle_s / KEEPALIVE_PROBES : 1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, every_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 2000 * idle_s);
}

static void close_side(struct conn *conn, enum conn_side side, bool is_reset)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (conn->fd[side] < 0) {
        return;
    }
    if (is_reset) {
        (void)setsockopt(conn->fd[side], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    (void)close(conn->fd[side]); /* leaves the epoll set by itself */
    conn->fd[side] = -1;
    conn->watched[side] = 0;
}

static uint32_t events_of(unsigned watched)
{
    return ((watched & WATCH_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
           ((watched & WATCH_OUT) != 0 ? (uint32_t)EPOLLOUT : 0) |
           ((watched & WATCH_LEAVE) != 0 ? (uint32_t)EPOLLRDHUP : 0);
}

/* False: the kernel has no memory for it. */
static bool watch(struct conn *conn, enum conn_side side, unsigned wanted)
{
    const struct conns *conns = conn->table;
    unsigned had = conn->watched[side];
    struct epoll_event event = {.events = events_of(wanted)};
    if (had == wanted) {
        return true;
    }
    int what = had == 0 ? EPOLL_CTL_ADD : (wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD);
    event.data.u64 = (uint64_t)(uintptr_t)conn | (side == CONN_DATABASE ? SIDE_BIT : 0);
    conn->watched[side] = (uint8_t)wanted;
    return epoll_ctl(conns->epoll_fd, what, conn->fd[side], &event) == 0;
}

/* --- ends --- */

/* Both sides are closed; the memory goes when no event of this round can name it any more. */
static void bury(struct conn *conn)
{
    struct conns *conns = conn->table;
    BASE_ASSERT(conn->state != CONN_GONE && conn->fd[0] < 0 && conn->fd[1] < 0);
    flow_reset(&conns->pool, &conn->flow[0]);
    flow_reset(&conns->pool, &conn->flow[1]);
    conn->state = CONN_GONE;
    conns->count--;
    conn->next = conns->dead;
    conns->dead = conn;
}

static void empty_graves(struct conns *conns)
{
    while (conns->dead != NULL) {
        struct conn *conn = conns->dead;
        conns->dead = conn->next;
        free(conn);
        io_loop_trim_later(conns->options.loop);
    }
}

/* An open one is over, or the client of a waiting one left. */
static void ended(struct conn *conn, bool is_server_first)
{
    struct conns *conns = conn->table;
    conns->options.events->ended(conns->options.ctx, conn, is_server_first);
    close_side(conn, CONN_CLIENT, false);
    close_side(conn, CONN_DATABASE, false);
    bury(conn);
}

void conn_end(struct conn *conn, struct slice last)
{
    if (conn->state == CONN_OPEN && flow_is_blocked(&conn->flow[CONN_DATABASE])) {
        struct flow *flow = &conn->flow[CONN_DATABASE];
        flow->is_ended = true;
        if (flow_move(&conn->table->pool, flow, conn->fd[CONN_DATABASE], conn->fd[CONN_CLIENT]) !=
            0) {
            last = SLICE_EMPTY; /* broken: nothing more reaches it */
        }
    }
    close_side(conn, CONN_DATABASE, true);
    if (last.len > 0) {
        uint8_t unread[4096]; /* bytes left unread would turn the end into a reset */
        (void)recv(conn->fd[CONN_CLIENT], unread, sizeof(unread), MSG_DONTWAIT);
        (void)send(conn->fd[CONN_CLIENT], last.data, last.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)shutdown(conn->fd[CONN_CLIENT], SHUT_WR);
    }
    close_side(conn, CONN_CLIENT, false);
    bury(conn);
    if (!conn->table->is_in_round) {
        empty_graves(conn->table);
    }
}

/* --- open connections --- */

/* What each side is looked at for: room for what is blocked, bytes where nothing is. */
static bool watch_both(struct conn *conn)
{
    bool is_good = true;
    for (int side = 0; side < 2; side++) {
        const struct flow *out = &conn->flow[side];
        const struct flow *in = &conn->flow[!side];
        unsigned wanted = (!out->is_ended && !flow_is_blocked(out) ? WATCH_IN : 0) |
                          (flow_is_blocked(in) ? WATCH_OUT : 0);
        is_good = watch(conn, (enum conn_side)side, wanted) && is_good;
    }
    return is_good;
}

static int move(struct conn *conn, enum conn_side from)
{
    return flow_move(&conn->table->pool, &conn->flow[from], conn->fd[from], conn->fd[!from]);
}

static void open_event(struct conn *conn, enum conn_side side, uint32_t events)
{
    int rc = 0;
    bool is_client_up = !conn->flow[CONN_CLIENT].is_ended;
    if ((events & EPOLLOUT) != 0) {
        rc = move(conn, (enum conn_side) !side);
    }
    if (rc == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        rc = move(conn, side);
    }
    bool is_over = conn->flow[0].is_told && conn->flow[1].is_told;
    bool is_broken = rc != 0 || (events & EPOLLERR) != 0 || (!is_over && !watch_both(conn));
    bool is_servers_end =
        conn->flow[CONN_DATABASE].is_ended || (is_broken && side == CONN_DATABASE);
    conn->is_server_first = conn->is_server_first || (is_client_up && is_servers_end);
    if (is_over || is_broken) {
        ended(conn, conn->is_server_first);
    }
}

/* --- connecting --- */

static struct proxy_ends ends_of(const struct conn *conn)
{
    struct proxy_ends ends = {.family = 0};
    struct sockaddr_storage at[2];
    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof(at[i]);
        struct sockaddr *address = (struct sockaddr *)&at[i];
        int rc = i == 0 ? getpeername(conn->fd[CONN_CLIENT], address, &len)
                        : getsockname(conn->fd[CONN_CLIENT], address, &len);
        uint8_t *to = i == 0 ? ends.from : ends.to;
        uint16_t *port = i == 0 ? &ends.from_port : &ends.to_port;
        if (rc != 0) {
            return (struct proxy_ends){.family = 0};
        }
        if (at[i].ss_family == AF_INET) {
            const struct sockaddr_in *four = (const struct sockaddr_in *)&at[i];
            ends.family = 4;
            memcpy(to, &four->sin_addr, 4);
            *port = ntohs(four->sin_port);
        } else {
            const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&at[i];
            ends.family = 6;
            memcpy(to, &six->sin6_addr, 16);
            *port = ntohs(six->sin6_port);
        }
    }
    return ends;
}

/* A new socket has room for it. */
static int send_header(const struct conn *conn)
{
    uint8_t memory[PROXY_HEADER_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    const struct proxy_ends ends = ends_of(conn);
    proxy_header_put(&ends, &b);
    ssize_t sent = send(conn->fd[CONN_DATABASE], b.data, b.len, MSG_NOSIGNAL);
    return sent == (ssize_t)b.len ? 0 : -EPIPE;
}

static void connect_failed(struct conn *conn, int error)
{
    struct conns *conns = conn->table;
    close_side(conn, CONN_DATABASE, false);
    conn->state = CONN_HELD;
    conns->options.events->failed(conns->options.ctx, conn, error);
}

/* An event of an earlier attempt of this round may stand for the present one: then it is not over.
 */
static bool is_under_way(const struct conn *conn)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    return getpeername(conn->fd[CONN_DATABASE], (struct sockaddr *)&peer, &len) != 0 &&
           errno == ENOTCONN;
}

static void connect_event(struct conn *conn)
{
    struct conns *conns = conn->table;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(conn->fd[CONN_DATABASE], SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error == 0 && is_under_way(conn)) {
        return;
    }
    if (error == 0 && conns->options.sends_header) {
        error = -send_header(conn);
    }
    if (error != 0) {
        connect_failed(conn, error);
        return;
    }
    conn->state = CONN_OPEN;
    conns->options.events->connected(conns->options.ctx, conn);
    if (conn->state != CONN_OPEN) {
        return;
    }
    if (!watch_both(conn)) {
        ended(conn, false);
        return;
    }
    open_event(conn, CONN_CLIENT, EPOLLIN); /* what the client has said meanwhile goes at once */
}

int conn_connect(struct conn *conn, const struct sockaddr *address, socklen_t len)
{
    BASE_ASSERT(conn->state == CONN_HELD && conn->fd[CONN_DATABASE] < 0);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    set_options(conn->table, fd);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    conn->fd[CONN_DATABASE] = fd;
    conn->begun = io_now();
    if (!watch(conn, CONN_DATABASE, WATCH_OUT)) {
        close_side(conn, CONN_DATABASE, false);
        return -ENOMEM;
    }
    conn->state = CONN_CONNECTING;
    return 0;
}

void conn_hold(struct conn *conn)
{
    BASE_ASSERT(conn->state == CONN_CONNECTING);
    close_side(conn, CONN_DATABASE, true);
    conn->state = CONN_HELD;
}

struct conn *conn_add(struct conns *conns, int fd, void *owner, enum proxy_port port)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        (void)close(fd);
        return NULL;
    }
    conn->table = conns;
    conn->owner = owner;
    conn->since = io_now();
    conn->fd[CONN_CLIENT] = fd;
    conn->fd[CONN_DATABASE] = -1;
    conn->state = CONN_HELD;
    conn->port = (uint8_t)port;
    conn->member = PROXY_NOBODY;
    set_options(conns, fd);
    if (!watch(conn, CONN_CLIENT, WATCH_LEAVE)) {
        (void)close(fd);
        free(conn);
        return NULL;
    }
    conns->count++;
    return conn;
}

/* --- events --- */

static void dispatch(const struct epoll_event *event)
{
    struct conn *conn = (struct conn *)(uintptr_t)(event->data.u64 & ~SIDE_BIT);
    enum conn_side side = (event->data.u64 & SIDE_BIT) != 0 ? CONN_DATABASE : CONN_CLIENT;
    if (conn->fd[side] < 0) {
        return; /* ended, or given up, in this round */
    }
    if (conn->state == CONN_OPEN) {
        open_event(conn, side, event->events);
    } else if (side == CONN_CLIENT) { /* the client has left */
        ended(conn, false);
    } else if (conn->state == CONN_CONNECTING) {
        connect_event(conn);
    }
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct conns *conns = poll->data;
    struct epoll_event list[EVENTS];
    (void)status;
    (void)events;
    int count = epoll_wait(conns->epoll_fd, list, EVENTS, 0);
    conns->is_in_round = true;
    for (int i = 0; i < count; i++) {
        dispatch(&list[i]);
    }
    conns->is_in_round = false;
    empty_graves(conns);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

int conns_open(const struct conns_options *options, struct conns **ret)
{
    struct conns *conns = calloc(1, sizeof(*conns));
    uv_poll_t *poll = calloc(1, sizeof(*poll));
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (conns == NULL || poll == NULL || fd < 0 || flow_pool_open(&conns->pool) != 0 ||
        uv_poll_init(io_loop_uv(options->loop), poll, fd) != 0) {
        free(conns);
        free(poll);
        return fd < 0 ? BASE_E_IO : BASE_E_NOMEM;
    }
    conns->options = *options;
    conns->epoll_fd = fd;
    conns->poll = poll;
    poll->data = conns;
    (void)uv_poll_start(poll, UV_READABLE, ready);
    *ret = conns;
    return 0;
}

void conns_set(struct conns *conns, int64_t keepalive_us, bool sends_header)
{
    conns->options.keepalive_us = keepalive_us;
    conns->options.sends_header = sends_header;
}

void conns_stats(const struct conns *conns, struct conns_stats *ret)
{
    *ret = (struct conns_stats){.count = conns->count,
                                .copied_bytes = conns->pool.copied_bytes,
                                .spliced_bytes = conns->pool.spliced_bytes,
                                .pipes = conns->pool.pipes_count,
                                .kept_bytes = conns->pool.kept_bytes};
}

struct conns *conns_close(struct conns *conns)
{
    if (conns != NULL) {
        (void)uv_poll_stop(conns->poll);
        uv_close((uv_handle_t *)conns->poll, free_poll);
        (void)close(conns->epoll_fd);
        flow_pool_close(&conns->pool);
        free(conns);
    }
    return NULL;
}
