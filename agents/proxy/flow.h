/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from one socket to another, one direction.
 *
 * Small messages go through one buffer that all connections share, a receive and a send each; a
 * direction that fills the buffer is bulk, and its bytes are spliced through a pipe: the kernel
 * moves pages, nothing is copied here. What the other end does not take at once is kept (at most
 * FLOW_BUFFER bytes, or what the pipe holds), and nothing more is read until it is gone: that is
 * the back-pressure. Pipes are lent by a pool while they hold something. Loop thread only.
 */
#ifndef QUORATE_AGENTS_PROXY_FLOW_H
#define QUORATE_AGENTS_PROXY_FLOW_H

#include "base/error.h"
#include "base/slice.h"

#define FLOW_BUFFER ((size_t)16 << 10)

struct flow_pipe {
    struct flow_pipe *next;
    int fd[2]; /* read here, write here */
    size_t held;
};

/* What all directions of a process share. */
struct flow_pool {
    uint8_t *buffer;         /* FLOW_BUFFER bytes */
    struct flow_pipe *spare; /* empty ones */
    uint32_t spare_count, pipes_count;
    uint64_t copied_bytes, spliced_bytes;
    size_t kept_bytes; /* in all flows' rests */
};

struct flow {
    uint8_t *rest; /* copied, not yet sent */
    uint32_t rest_at, rest_len;
    struct flow_pipe *pipe;
    bool is_bulk;
    bool is_ended; /* the sender has said that nothing follows */
    bool is_told;  /* and the receiver has been told */
};

/* NOMEM. */
MUST_CHECK int flow_pool_open(struct flow_pool *pool);
void flow_pool_close(struct flow_pool *pool);

/* Moves what can be moved, up to a bound that leaves others their turn. 0, or a negative errno of
 * either socket: the connection is broken. Sockets do not block. */
MUST_CHECK int flow_move(struct flow_pool *pool, struct flow *flow, int from, int to);
/* Something waits for the receiver. */
static inline bool flow_is_blocked(const struct flow *flow)
{
    return flow->rest_len > 0 || (flow->pipe != NULL && flow->pipe->held > 0);
}
/* Gives back what it holds. */
void flow_reset(struct flow_pool *pool, struct flow *flow);

#endif
