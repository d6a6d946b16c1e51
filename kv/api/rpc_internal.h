/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of kv/api/rpc: the registry and its calls (rpc.c), and how calls run (rpc_run.c).
 * Nobody else includes it. */
#ifndef QUORATE_KV_API_RPC_INTERNAL_H
#define QUORATE_KV_API_RPC_INTERNAL_H

#include "base/arena.h"
#include "kv/api/hold.h"
#include "kv/api/rpc_paths.h"

#define RPC_CALL_BUCKETS 1024u

struct rpc_registry {
    struct rpc_registry_options options;
    struct rpc_route routes[RPC_METHODS_MAX];
    size_t routes_count;
    struct rpc_paths methods;
    struct rpc_paths gateway;
    rpc_walk_fn *walk;
    void *walk_ctx;
    rpc_ahead_fn *is_ahead;
    uint64_t last_id;
    uint32_t streams_count;
    struct rpc_block *waiting;
    size_t waiting_count;
    size_t held_count;
    struct base_mono leader_seen;
    struct rpc_call *calls[RPC_CALL_BUCKETS];
};

/* A call and, for requests to the service, what the service needs. */
struct rpc_block {
    struct rpc_call call;
    bool is_open;    /* the transport waits for an answer */
    bool is_busy;    /* the service has it */
    bool is_waiting; /* for rpc_walk_again */
    bool is_held;    /* and has not begun: its token is not known here yet */
    struct hold hold;
    struct base_mono held_until;
    int decode_status;
    unsigned retries;
    struct rpc_block *waiting_next;
    struct kv_call kv;
    struct kv_request request;
    size_t parts;
    struct slice message;
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[];
};

static inline struct rpc_block *rpc_block_of(struct rpc_call *call)
{
    return (struct rpc_block *)(void *)call; /* its first member */
}

/* NULL without memory. */
struct rpc_block *rpc_block_new(struct rpc_registry *registry, struct rpc_route *route,
                                const struct rpc_open *open, size_t memory);
void rpc_block_open(struct rpc_block *block);
/* The transport is done with the call; frees it unless the service still has it. */
void rpc_block_close(struct rpc_block *block, enum io_grpc_status status);
/* Requests that wait for rpc_walk_again, in order. */
void rpc_wait(struct rpc_block *block);
void rpc_wait_end(struct rpc_block *block);
/* What every call must pass, whatever it asks. */
enum kv_error rpc_admit(struct rpc_call *call);
bool rpc_has_leader(const struct rpc_registry *registry);

#endif
