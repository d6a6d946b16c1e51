/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC client for daemons: one HTTP/2 connection to one endpoint, any number of calls and streams
 * at a time, on the loop, never blocking.
 *
 * The channel connects when it is opened and ends when its connection does; who wants another one
 * opens another one. Calls have no deadline of their own: their owner cancels them, or closes the
 * channel, when an answer is late. Loop thread only. No callback runs inside a call of this header;
 * a callback may cancel any call and close the channel.
 */
#ifndef QUORATE_PROTO_IO_GRPC_CHANNEL_H
#define QUORATE_PROTO_IO_GRPC_CHANNEL_H

#include "proto/io/grpc.h"

struct io_grpc_channel;
struct io_grpc_sent; /* a call under way */

struct io_grpc_channel_events {
    void (*up)(void *ctx, struct io_grpc_channel *channel);
    /* The connection failed or was lost. All its calls are gone, without a word of their own. The
     * last call; the channel is freed when it returns. */
    void (*down)(void *ctx, struct io_grpc_channel *channel, const char *why);
};

struct io_grpc_channel_options {
    struct io_address address;
    struct io_tls *tls;          /* NULL: plain */
    const char *token;           /* metadata `token` of every call; NULL: none; lives as long */
    uint32_t connect_timeout_ms; /* resolving, connecting and TLS together; 0: 5 s */
    uint32_t user_timeout_ms;    /* TCP_USER_TIMEOUT; 0: 10 s */
    const struct io_grpc_channel_events *events; /* static */
    void *ctx;
};

struct io_grpc_sent_events {
    /* One whole message; valid during the call. */
    void (*message)(void *ctx, struct io_grpc_sent *sent, struct slice message);
    /* The server has ended the call; it is gone when this returns. */
    void (*ended)(void *ctx, struct io_grpc_sent *sent, enum io_grpc_status status,
                  const char *text);
};

/* NOMEM. */
MUST_CHECK int io_grpc_channel_open(struct io_loop *loop,
                                    const struct io_grpc_channel_options *options,
                                    struct io_grpc_channel **ret);
/* Drops the connection and every call; no callback afterwards. NULL is fine. Returns NULL. */
struct io_grpc_channel *io_grpc_channel_close(struct io_grpc_channel *channel);

/* Begins a call with a first message; is_stream: more may follow, else that was all. Only after
 * `up`. NOMEM, CLOSED (the server takes no more: open another channel). */
MUST_CHECK int io_grpc_channel_call(struct io_grpc_channel *channel, const char *path,
                                    struct slice message, bool is_stream,
                                    const struct io_grpc_sent_events *events, void *ctx,
                                    struct io_grpc_sent **ret);
/* A further message of a stream. NOMEM. */
MUST_CHECK int io_grpc_sent_message(struct io_grpc_sent *sent, struct slice message);
/* Gives it up; no callback of it afterwards, the pointer is dead. */
void io_grpc_sent_cancel(struct io_grpc_sent *sent);

#endif
