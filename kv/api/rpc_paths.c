/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing; there is always room (checked below). See rpc_paths.h. */
#include "kv/api/rpc_paths.h"

#include <string.h>

#include "base/assert.h"

static size_t path_hash(struct slice path)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < path.len; i++) {
        hash = (hash ^ path.data[i]) * 16777619u;
    }
    return hash % RPC_PATHS;
}

struct rpc_route *rpc_paths_find(const struct rpc_paths *paths, struct slice path)
{
    size_t at = path_hash(path);
    while (paths->rows[at].path != NULL) {
        if (slice_equal(path, slice_from_text(paths->rows[at].path))) {
            return paths->rows[at].route;
        }
        at = (at + 1) % RPC_PATHS;
    }
    return NULL;
}

void rpc_paths_add(struct rpc_paths *paths, const char *path, struct rpc_route *route)
{
    _Static_assert(RPC_PATHS > 2 * RPC_METHODS_MAX, "aliases fit too");
    if (path == NULL) {
        return;
    }
    size_t at = path_hash(slice_from_text(path));
    while (paths->rows[at].path != NULL) {
        BASE_ASSERT(strcmp(paths->rows[at].path, path) != 0);
        at = (at + 1) % RPC_PATHS;
    }
    paths->rows[at].path = path;
    paths->rows[at].route = route;
}
