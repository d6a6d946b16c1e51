/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes; see flow.h. splice(2): a pipe takes references to the pages of the socket it reads
 * from and hands them to the socket it writes to. */
#include "agents/proxy/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

#define ROUNDS 8      /* of one turn */
#define SPARE_MAX 64u /* pipes kept */
#define SPLICE_BYTES ((size_t)64 << 10)

int flow_pool_open(struct flow_pool *pool)
{
    *pool = (struct flow_pool){.buffer = malloc(FLOW_BUFFER)};
    return pool->buffer == NULL ? BASE_E_NOMEM : 0;
}

static void pipe_free(struct flow_pool *pool, struct flow_pipe *p)
{
    (void)close(p->fd[0]);
    (void)close(p->fd[1]);
    free(p);
    pool->pipes_count--;
}

void flow_pool_close(struct flow_pool *pool)
{
    while (pool->spare != NULL) {
        struct flow_pipe *p = pool->spare;
        pool->spare = p->next;
        pipe_free(pool, p);
    }
    free(pool->buffer);
    *pool = (struct flow_pool){0};
}

static struct flow_pipe *pipe_take(struct flow_pool *pool)
{
    struct flow_pipe *p = pool->spare;
    if (p != NULL) {
        pool->spare = p->next;
        pool->spare_count--;
        return p;
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL || pipe2(p->fd, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(p); /* no more files: the bytes are copied */
        return NULL;
    }
    pool->pipes_count++;
    return p;
}

/* An empty pipe is lent again; one that still holds bytes of a broken connection is not. */
static void pipe_give(struct flow_pool *pool, struct flow_pipe *p)
{
    if (p->held > 0 || pool->spare_count >= SPARE_MAX) {
        pipe_free(pool, p);
        return;
    }
    p->next = pool->spare;
    pool->spare = p;
    pool->spare_count++;
}

void flow_reset(struct flow_pool *pool, struct flow *flow)
{
    if (flow->pipe != NULL) {
        pipe_give(pool, flow->pipe);
    }
    pool->kept_bytes -= flow->rest == NULL ? 0 : FLOW_BUFFER;
    free(flow->rest);
    *flow = (struct flow){0};
}

static bool is_later(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* --- out --- */

static int push_rest(struct flow_pool *pool, struct flow *flow, int to)
{
    ssize_t sent = send(to, flow->rest + flow->rest_at, flow->rest_len, MSG_NOSIGNAL);
    if (sent < 0) {
        return is_later(errno) ? 0 : -errno;
    }
    flow->rest_at += (uint32_t)sent;
    flow->rest_len -= (uint32_t)sent;
    if (flow->rest_len == 0) {
        free(flow->rest);
        flow->rest = NULL;
        pool->kept_bytes -= FLOW_BUFFER;
    }
    return 0;
}

static int push_pipe(struct flow_pool *pool, struct flow *flow, int to)
{
    struct flow_pipe *p = flow->pipe;
    ssize_t sent = splice(p->fd[0], NULL, to, NULL, p->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent < 0) {
        return is_later(errno) ? 0 : -errno;
    }
    p->held -= (size_t)sent;
    if (p->held == 0 && !flow->is_bulk) {
        pipe_give(pool, p);
        flow->pipe = NULL;
    }
    return 0;
}

static int push(struct flow_pool *pool, struct flow *flow, int to)
{
    return flow->rest_len > 0 ? push_rest(pool, flow, to) : push_pipe(pool, flow, to);
}

/* --- in --- */

/* Keeps what the receiver did not take. */
static int keep(struct flow_pool *pool, struct flow *flow, const uint8_t *data, size_t len)
{
    flow->rest = malloc(FLOW_BUFFER);
    if (flow->rest == NULL) {
        return -ENOMEM;
    }
    memcpy(flow->rest, data, len);
    flow->rest_at = 0;
    flow->rest_len = (uint32_t)len;
    pool->kept_bytes += FLOW_BUFFER;
    return 0;
}

/* Receives once and sends it on. *ret_more: there may be more at once. */
static int copy(struct flow_pool *pool, struct flow *flow, int from, int to, bool *ret_more)
{
    ssize_t got = recv(from, pool->buffer, FLOW_BUFFER, 0);
    if (got < 0) {
        return is_later(errno) ? 0 : -errno;
    }
    if (got == 0) {
        flow->is_ended = true;
        return 0;
    }
    size_t len = (size_t)got;
    flow->is_bulk = len == FLOW_BUFFER;
    *ret_more = flow->is_bulk;
    pool->copied_bytes += len;
    ssize_t sent = send(to, pool->buffer, len, MSG_NOSIGNAL);
    if (sent < 0 && !is_later(errno)) {
        return -errno;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    return done == len ? 0 : keep(pool, flow, pool->buffer + done, len - done);
}

/* The same through a pipe. The end of bulk is when little comes. */
static int splice_in(struct flow_pool *pool, struct flow *flow, int from, bool *ret_more)
{
    struct flow_pipe *p = flow->pipe;
    ssize_t got =
        splice(from, NULL, p->fd[1], NULL, SPLICE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got < 0 && !is_later(errno)) {
        return -errno;
    }
    if (got == 0) {
        flow->is_ended = true;
    }
    if (got > 0) {
        p->held += (size_t)got;
        pool->spliced_bytes += (uint64_t)got;
    }
    flow->is_bulk = got >= (ssize_t)FLOW_BUFFER / 4;
    *ret_more = got > 0;
    if (p->held == 0) {
        pipe_give(pool, p);
        flow->pipe = NULL;
    }
    return 0;
}

static int pull(struct flow_pool *pool, struct flow *flow, int from, int to, bool *ret_more)
{
    *ret_more = false;
    if (flow->is_bulk && flow->pipe == NULL) {
        flow->pipe = pipe_take(pool);
    }
    return flow->pipe != NULL ? splice_in(pool, flow, from, ret_more)
                              : copy(pool, flow, from, to, ret_more);
}

/* The sender's end is passed on when all before it has gone out. */
static int tell_end(struct flow *flow, int to)
{
    flow->is_told = true;
    return shutdown(to, SHUT_WR) != 0 && errno != ENOTCONN ? -errno : 0;
}

int flow_move(struct flow_pool *pool, struct flow *flow, int from, int to)
{
    bool has_more = true;
    int rc = 0;
    for (int i = 0; i < ROUNDS && rc == 0; i++) {
        if (flow_is_blocked(flow)) {
            rc = push(pool, flow, to);
            if (rc != 0 || flow_is_blocked(flow)) {
                return rc;
            }
        }
        if (flow->is_ended) {
            return flow->is_told ? 0 : tell_end(flow, to);
        }
        if (!has_more) {
            return 0;
        }
        rc = pull(pool, flow, from, to, &has_more);
    }
    return rc;
}
