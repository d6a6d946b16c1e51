/* SPDX-License-Identifier: Apache-2.0 */
/* Which route a path names: a hash table of static texts, filled once at the start. */
#ifndef QUORATE_KV_API_RPC_PATHS_H
#define QUORATE_KV_API_RPC_PATHS_H

#include "kv/api/rpc.h"

#define RPC_PATHS 256u /* a power of two, well above 3 times RPC_METHODS_MAX / 2 */

/* All zero: empty. */
struct rpc_paths {
    struct {
        const char *path;
        struct rpc_route *route;
    } rows[RPC_PATHS];
};

/* NULL: no such path. */
struct rpc_route *rpc_paths_find(const struct rpc_paths *paths, struct slice path);
/* The path stays; it must not be there yet. NULL adds nothing. */
void rpc_paths_add(struct rpc_paths *paths, const char *path, struct rpc_route *route);

#endif
