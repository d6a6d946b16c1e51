/* SPDX-License-Identifier: Apache-2.0 */
/* See methods.h. */
#include "tests/differential/methods.h"

#include <string.h>

#include "election.pb-c.h"
#include "kv.pb-c.h"
#include "lock.pb-c.h"

#define ETCD(service, name, gateway, request, response, is_stream, is_generated) \
    { \
        "/v3/" gateway, "/etcdserverpb." service "/" name, &etcdserverpb__##request##__descriptor, \
            &etcdserverpb__##response##__descriptor, is_stream, is_generated \
    }
#define LOCK(name, gateway, request, response, is_generated) \
    { \
        "/v3/" gateway, "/v3lockpb.Lock/" name, &v3lockpb__##request##__descriptor, \
            &v3lockpb__##response##__descriptor, false, is_generated \
    }
#define ELECTION(name, gateway, request, response, is_stream, is_generated) \
    { \
        "/v3/" gateway, "/v3electionpb.Election/" name, &v3electionpb__##request##__descriptor, \
            &v3electionpb__##response##__descriptor, is_stream, is_generated \
    }

static const struct diff_method methods[] = {
    ETCD("KV", "Range", "kv/range", range_request, range_response, false, true),
    ETCD("KV", "Put", "kv/put", put_request, put_response, false, true),
    ETCD("KV", "DeleteRange", "kv/deleterange", delete_range_request, delete_range_response, false,
         true),
    ETCD("KV", "Txn", "kv/txn", txn_request, txn_response, false, true),
    ETCD("KV", "Compact", "kv/compaction", compaction_request, compaction_response, false, true),
    ETCD("Watch", "Watch", "watch", watch_request, watch_response, true, false),
    ETCD("Lease", "LeaseGrant", "lease/grant", lease_grant_request, lease_grant_response, false,
         false),
    ETCD("Lease", "LeaseRevoke", "lease/revoke", lease_revoke_request, lease_revoke_response, false,
         true),
    ETCD("Lease", "LeaseKeepAlive", "lease/keepalive", lease_keep_alive_request,
         lease_keep_alive_response, true, false),
    ETCD("Lease", "LeaseTimeToLive", "lease/timetolive", lease_time_to_live_request,
         lease_time_to_live_response, false, true),
    ETCD("Lease", "LeaseLeases", "lease/leases", lease_leases_request, lease_leases_response, false,
         false),
    ETCD("Cluster", "MemberAdd", "cluster/member/add", member_add_request, member_add_response,
         false, false),
    ETCD("Cluster", "MemberRemove", "cluster/member/remove", member_remove_request,
         member_remove_response, false, true),
    ETCD("Cluster", "MemberUpdate", "cluster/member/update", member_update_request,
         member_update_response, false, true),
    ETCD("Cluster", "MemberList", "cluster/member/list", member_list_request, member_list_response,
         false, false),
    ETCD("Cluster", "MemberPromote", "cluster/member/promote", member_promote_request,
         member_promote_response, false, true),
    ETCD("Maintenance", "Alarm", "maintenance/alarm", alarm_request, alarm_response, false, false),
    ETCD("Maintenance", "Status", "maintenance/status", status_request, status_response, false,
         false),
    ETCD("Maintenance", "Defragment", "maintenance/defragment", defragment_request,
         defragment_response, false, false),
    ETCD("Maintenance", "HashKV", "maintenance/hash", hash_kvrequest, hash_kvresponse, false,
         false),
    ETCD("Maintenance", "MoveLeader", "maintenance/transfer-leadership", move_leader_request,
         move_leader_response, false, true),
    ETCD("Auth", "AuthEnable", "auth/enable", auth_enable_request, auth_enable_response, false,
         false),
    ETCD("Auth", "AuthDisable", "auth/disable", auth_disable_request, auth_disable_response, false,
         false),
    ETCD("Auth", "Authenticate", "auth/authenticate", authenticate_request, authenticate_response,
         false, true),
    ETCD("Auth", "UserAdd", "auth/user/add", auth_user_add_request, auth_user_add_response, false,
         true),
    ETCD("Auth", "UserGet", "auth/user/get", auth_user_get_request, auth_user_get_response, false,
         true),
    ETCD("Auth", "UserList", "auth/user/list", auth_user_list_request, auth_user_list_response,
         false, true),
    ETCD("Auth", "UserDelete", "auth/user/delete", auth_user_delete_request,
         auth_user_delete_response, false, true),
    ETCD("Auth", "UserChangePassword", "auth/user/changepw", auth_user_change_password_request,
         auth_user_change_password_response, false, true),
    ETCD("Auth", "UserGrantRole", "auth/user/grant", auth_user_grant_role_request,
         auth_user_grant_role_response, false, true),
    ETCD("Auth", "UserRevokeRole", "auth/user/revoke", auth_user_revoke_role_request,
         auth_user_revoke_role_response, false, true),
    ETCD("Auth", "RoleAdd", "auth/role/add", auth_role_add_request, auth_role_add_response, false,
         true),
    ETCD("Auth", "RoleGet", "auth/role/get", auth_role_get_request, auth_role_get_response, false,
         true),
    ETCD("Auth", "RoleList", "auth/role/list", auth_role_list_request, auth_role_list_response,
         false, true),
    ETCD("Auth", "RoleDelete", "auth/role/delete", auth_role_delete_request,
         auth_role_delete_response, false, true),
    ETCD("Auth", "RoleGrantPermission", "auth/role/grant", auth_role_grant_permission_request,
         auth_role_grant_permission_response, false, true),
    ETCD("Auth", "RoleRevokePermission", "auth/role/revoke", auth_role_revoke_permission_request,
         auth_role_revoke_permission_response, false, true),
    LOCK("Lock", "lock/lock", lock_request, lock_response, false),
    LOCK("Unlock", "lock/unlock", unlock_request, unlock_response, true),
    ELECTION("Campaign", "election/campaign", campaign_request, campaign_response, false, false),
    ELECTION("Proclaim", "election/proclaim", proclaim_request, proclaim_response, false, true),
    ELECTION("Leader", "election/leader", leader_request, leader_response, false, true),
    ELECTION("Observe", "election/observe", leader_request, leader_response, true, false),
    ELECTION("Resign", "election/resign", resign_request, resign_response, false, true),
};

const struct diff_method *diff_methods(unsigned *ret_count)
{
    *ret_count = (unsigned)(sizeof(methods) / sizeof(methods[0]));
    return methods;
}

const struct diff_method *diff_method_find(const char *gateway)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].gateway, gateway) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}
