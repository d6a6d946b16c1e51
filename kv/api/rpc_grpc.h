/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of an rpc_registry over gRPC. Paths that it does not know go to the next handler, or
 * are UNIMPLEMENTED. Loop thread only. */
#ifndef QUORATE_KV_API_RPC_GRPC_H
#define QUORATE_KV_API_RPC_GRPC_H

#include "kv/api/rpc.h"

struct rpc_grpc {
    struct rpc_registry *registry;
    struct io_grpc_handler next; /* for other paths; lookup NULL: none */
};

/* The handler for io_server_new; `grpc` must outlive the server. */
struct io_grpc_handler rpc_grpc_handler(struct rpc_grpc *grpc);

#endif
