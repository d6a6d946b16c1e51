/* SPDX-License-Identifier: Apache-2.0 */
/* What one client, one connection and one server may cost. Whoever goes beyond is refused or cut
 * off, and nobody else notices; tests/unit/io_{http,grpc}_test.c go to each limit and one beyond.
 */
#ifndef QUORATE_PROTO_IO_LIMITS_H
#define QUORATE_PROTO_IO_LIMITS_H

#include "base/types.h"

/* --- connections of a server --- */
#define IO_CONNECTIONS_MAX 4096u               /* more are closed at once */
#define IO_HANDSHAKE_MS 10000u                 /* TLS */
#define IO_SNIFF_US (10 * BASE_US_PER_S)       /* to the first bytes */
#define IO_STOP_US (5 * BASE_US_PER_S)         /* running calls, when the server stops */
#define IO_USER_TIMEOUT_MS 30000u              /* bytes sent and not acknowledged (TCP) */
#define IO_CONNECTION_QUEUE ((size_t)16 << 20) /* bytes waiting for one connection */
/* bytes of requests that are not complete, of one connection and of all */
#define IO_CONNECTION_PARTIAL ((size_t)8 << 20)
#define IO_SERVER_PARTIAL ((size_t)64 << 20)
/* bytes of answers over HTTP/2 that wait for their clients, of one connection and of all */
#define IO_CONNECTION_ANSWERS ((size_t)32 << 20)
#define IO_SERVER_ANSWERS ((size_t)256 << 20)

/* --- HTTP/1.1 --- */
#define IO_HTTP_HEAD ((size_t)16 << 10)  /* bytes of a request's head: 431 */
#define IO_HTTP_BODY ((size_t)3 << 20)   /* bytes of a body, unless the server says less: 413 */
#define IO_HTTP_AHEAD ((size_t)64 << 10) /* bytes read while a request is being answered */
#define IO_HTTP_HEAD_US (10 * BASE_US_PER_S)
#define IO_HTTP_BODY_US (30 * BASE_US_PER_S)
#define IO_HTTP_IDLE_US (60 * BASE_US_PER_S)

/* --- HTTP/2 and gRPC --- */
#define IO_GRPC_MESSAGE_MAX (2u << 20) /* bytes of one message in: RESOURCE_EXHAUSTED */
#define IO_H2_STREAMS 1024u            /* open at a time in one connection: REFUSED_STREAM */
#define IO_H2_STREAM_WINDOW (1 << 20)
#define IO_H2_SESSION_WINDOW (8 << 20)
#define IO_STREAM_QUEUE ((size_t)1 << 20) /* bytes waiting for one stream or streamed answer */
/* frames that cost their sender nothing (PING, SETTINGS, PRIORITY), in a second */
#define IO_H2_IDLE_FRAMES 1000u
/* streams that the client takes back: at once, and per second in the long run */
#define IO_H2_RESETS 1000u
#define IO_H2_RESETS_PER_S 200u
/* Silence after which a connection is asked with PING, and until it is taken for dead. */
#define IO_H2_ASK_US (30 * BASE_US_PER_S)
#define IO_H2_DEAD_US (50 * BASE_US_PER_S)

#endif
