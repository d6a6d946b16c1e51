/* SPDX-License-Identifier: Apache-2.0 */
/* What stands below the recipes of kv/api in a simulated node: calls of clients on that node,
 * without HTTP, admission or users. It is the registry of kv/api/rpc.h as far as recipes use it. */
#ifndef QUORATE_TESTS_SIM_RPC_STUB_H
#define QUORATE_TESTS_SIM_RPC_STUB_H

#include "kv/api/rpc.h"
#include "tests/sim/world.h"

#define STUB_METHODS_MAX 16

struct rpc_registry {
    struct {
        const struct rpc_method *method;
        void *ctx;
    } methods[STUB_METHODS_MAX];
    size_t methods_count;
    struct rpc_call *calls;
    void *user;
    /* A call has its answer; is_ok: `message` is it. The call is gone then. */
    void (*answered)(void *user, struct rpc_call *call, bool is_ok, struct slice message);
};

/* A client's call; `call` stays where it is until it is answered or cancelled, which may be at
 * once. `id` is not 0 and not used again. */
void stub_begin(struct rpc_registry *registry, struct rpc_call *call, uint64_t id, const char *path,
                struct slice message);
/* The client goes away, or the node does. */
void stub_cancel(struct rpc_call *call);
/* The clock that io_now reads: of the process whose event is handled, or else this one. */
void stub_clock(const struct world *w, const struct host_clock *clock);

#endif
