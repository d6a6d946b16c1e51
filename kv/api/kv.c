/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.KV: a table, since each method is one request to kv/service. */
#include "kv/api/methods.h"

static const struct rpc_method methods[] = {
    {.path = "/etcdserverpb.KV/Range",
     .access = RPC_READ,
     .is_for_learner = true, /* serializable ones; rpc.c looks */
     .kv_kind = KV_KIND_RANGE,
     .gateway = "/v3/kv/range"},
    {.path = "/etcdserverpb.KV/Put",
     .access = RPC_WRITE,
     .kv_kind = KV_KIND_PUT,
     .gateway = "/v3/kv/put"},
    {.path = "/etcdserverpb.KV/DeleteRange",
     .access = RPC_WRITE,
     .kv_kind = KV_KIND_DELETE,
     .gateway = "/v3/kv/deleterange"},
    {.path = "/etcdserverpb.KV/Txn",
     .access = RPC_WRITE,
     .kv_kind = KV_KIND_TXN,
     .gateway = "/v3/kv/txn"},
    {.path = "/etcdserverpb.KV/Compact",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_COMPACT,
     .gateway = "/v3/kv/compaction"},
};

int api_kv_register(struct rpc_registry *registry)
{
    return rpc_register(registry, methods, BASE_COUNT_OF(methods), NULL);
}
