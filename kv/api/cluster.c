/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Cluster: a table, since each method is one request to kv/service. */
#include "kv/api/methods.h"

static const struct rpc_method methods[] = {
    {.path = "/etcdserverpb.Cluster/MemberAdd",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_MEMBER_ADD,
     .gateway = "/v3/cluster/member/add"},
    {.path = "/etcdserverpb.Cluster/MemberRemove",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_MEMBER_REMOVE,
     .gateway = "/v3/cluster/member/remove"},
    {.path = "/etcdserverpb.Cluster/MemberUpdate",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_MEMBER_UPDATE,
     .gateway = "/v3/cluster/member/update"},
    {.path = "/etcdserverpb.Cluster/MemberList",
     .access = RPC_READ,
     .kv_kind = KV_KIND_MEMBER_LIST,
     .gateway = "/v3/cluster/member/list"},
    {.path = "/etcdserverpb.Cluster/MemberPromote",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_MEMBER_PROMOTE,
     .gateway = "/v3/cluster/member/promote"},
};

int api_cluster_register(struct rpc_registry *registry)
{
    return rpc_register(registry, methods, BASE_COUNT_OF(methods), NULL);
}
