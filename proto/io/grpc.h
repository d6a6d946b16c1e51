/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC over HTTP/2, server side (nghttp2): what etcd's clients speak.
 *
 * The handler sees paths, metadata and whole messages; framing, trailers, deadlines, flow control
 * and limits are done here. Loop thread only. A call is answered exactly once: io_grpc_reply for
 * unary calls, io_grpc_send* and io_grpc_finish for streams. After `canceled` (client reset,
 * connection lost, deadline passed) or after reply/finish the pointer is dead; who answers later
 * keeps io_grpc_call_id and asks io_grpc_find.
 */
#ifndef QUORATE_PROTO_IO_GRPC_H
#define QUORATE_PROTO_IO_GRPC_H

#include "proto/io/limits.h"
#include "proto/io/stream.h"

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum io_grpc_status {
    IO_GRPC_OK = 0,
    IO_GRPC_CANCELLED = 1,
    IO_GRPC_UNKNOWN = 2,
    IO_GRPC_INVALID_ARGUMENT = 3,
    IO_GRPC_DEADLINE_EXCEEDED = 4,
    IO_GRPC_NOT_FOUND = 5,
    IO_GRPC_ALREADY_EXISTS = 6,
    IO_GRPC_PERMISSION_DENIED = 7,
    IO_GRPC_RESOURCE_EXHAUSTED = 8,
    IO_GRPC_FAILED_PRECONDITION = 9,
    IO_GRPC_ABORTED = 10,
    IO_GRPC_OUT_OF_RANGE = 11,
    IO_GRPC_UNIMPLEMENTED = 12,
    IO_GRPC_INTERNAL = 13,
    IO_GRPC_UNAVAILABLE = 14,
    IO_GRPC_DATA_LOSS = 15,
    IO_GRPC_UNAUTHENTICATED = 16,
};

enum io_grpc_kind {
    IO_GRPC_NONE,   /* unknown path: UNIMPLEMENTED */
    IO_GRPC_UNARY,  /* `unary` once, with the one message */
    IO_GRPC_STREAM, /* `opened`, `message` for each, `half_closed` */
};

struct io_grpc_call;
struct io_server;

struct io_grpc_handler {
    void *ctx;
    /* What "/etcdserverpb.KV/Range" is. */
    enum io_grpc_kind (*lookup)(void *ctx, struct slice path);
    /* Is this the name of a service with other methods? Only for the words of UNIMPLEMENTED. May be
     * NULL. */
    bool (*has_service)(void *ctx, struct slice service);
    /* message is valid until the call is answered (unary), or during the call (streams). */
    void (*unary)(void *ctx, struct io_grpc_call *call, struct slice message);
    /* Streams; may be NULL when lookup never answers STREAM. The response headers are out already.
     */
    void (*opened)(void *ctx, struct io_grpc_call *call);
    void (*message)(void *ctx, struct io_grpc_call *call, struct slice message);
    void (*half_closed)(void *ctx, struct io_grpc_call *call);
    void (*writable)(void *ctx,
                     struct io_grpc_call *call); /* queue is below half its bound again */
    /* The call is gone: status 1 (client went away), 4 (deadline) or 14 (server stops); the client
     * has been told. */
    void (*canceled)(void *ctx, struct io_grpc_call *call, enum io_grpc_status status);
};

/* Path and metadata, valid as long as the call. Name in lower case; empty slice when there is none.
 */
struct slice io_grpc_path(const struct io_grpc_call *call);
struct slice io_grpc_metadata(const struct io_grpc_call *call, const char *name);
const struct io_identity *io_grpc_identity(const struct io_grpc_call *call);
/* From grpc-timeout; BASE_MONO_NEVER when the client set none. */
struct base_mono io_grpc_deadline(const struct io_grpc_call *call);
/* A pointer of the handler's. */
void io_grpc_set_user(struct io_grpc_call *call, void *user);
void *io_grpc_user(const struct io_grpc_call *call);
/* Number that is never used again in this process, and the call that has it (NULL: gone or
 * answered). */
uint64_t io_grpc_call_id(const struct io_grpc_call *call);
struct io_grpc_call *io_grpc_find(struct io_server *server, uint64_t call_id);

/* Unary: status with message (UTF-8, percent-encoded here; NULL for none) and, when OK, the
 * response. Copied. */
void io_grpc_reply(struct io_grpc_call *call, enum io_grpc_status status, const char *message,
                   struct slice response);
/* Streams. BASE_E_BUSY: more than queue_max bytes wait for the client; nothing was queued. */
MUST_CHECK int io_grpc_send(struct io_grpc_call *call, struct slice message);
size_t io_grpc_queued(const struct io_grpc_call *call);
/* Ends the call with trailers after what is queued. */
void io_grpc_finish(struct io_grpc_call *call, enum io_grpc_status status, const char *message);

#endif
