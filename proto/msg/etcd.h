/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the etcd v3 API beyond KV, as plain structs; the same rules as proto/msg/kv.h, which
 * includes this file: bytes are borrowed, lists point into an arena, field meanings are etcd's.
 * proto/wire/etcd.c turns them into bytes and back.
 */
#ifndef QUORATE_PROTO_MSG_ETCD_H
#define QUORATE_PROTO_MSG_ETCD_H

#include "base/slice.h"
#include "proto/msg/kv_pair.h"

/* --- Watch --- */

/* mvccpb.Event. type 0 is a put, 1 a delete (key and mod_revision alone). */
struct kv_event {
    int32_t type;
    bool has_kv;
    struct kv_pair kv;
    bool has_prev_kv;
    struct kv_pair prev_kv;
};

struct kv_events {
    struct kv_event *items;
    size_t count;
};

/* etcdserverpb.WatchCreateRequest */
struct kv_watch_create {
    struct slice key;
    struct slice range_end;
    int64_t start_revision;
    bool is_progress_notify;
    struct slice filters; /* one byte each: 0 no puts, 1 no deletes */
    bool is_prev_kv;
    int64_t watch_id;
    bool is_fragment;
};

/* etcdserverpb.WatchCancelRequest */
struct kv_watch_cancel {
    int64_t watch_id;
};

/* etcdserverpb.WatchRequest. which: field number of what is asked, 0 none; 3 is a progress request.
 */
struct kv_watch_request {
    uint32_t which;
    struct kv_watch_create create;
    struct kv_watch_cancel cancel;
};

/* etcdserverpb.WatchResponse */
struct kv_watch_response {
    bool has_header;
    struct kv_header header;
    int64_t watch_id;
    bool is_created;
    bool is_canceled;
    int64_t compact_revision;
    struct slice cancel_reason;
    bool is_fragment;
    struct kv_events events;
};

/* --- Lease --- */

/* etcdserverpb.LeaseGrantRequest */
struct kv_lease_grant {
    int64_t ttl;
    int64_t id;
};

/* etcdserverpb.LeaseGrantResponse */
struct kv_lease_grant_response {
    bool has_header;
    struct kv_header header;
    int64_t id;
    int64_t ttl;
    struct slice error;
};

/* LeaseRevokeRequest, LeaseKeepAliveRequest. Also one row of LeaseLeases. */
struct kv_lease_id {
    int64_t id;
};

struct kv_lease_ids {
    struct kv_lease_id *items;
    size_t count;
};

/* etcdserverpb.LeaseKeepAliveResponse */
struct kv_lease_keep_alive_response {
    bool has_header;
    struct kv_header header;
    int64_t id;
    int64_t ttl;
};

/* etcdserverpb.LeaseTimeToLiveRequest */
struct kv_lease_ttl {
    int64_t id;
    bool wants_keys;
};

/* etcdserverpb.LeaseTimeToLiveResponse */
struct kv_lease_ttl_response {
    bool has_header;
    struct kv_header header;
    int64_t id;
    int64_t ttl;
    int64_t granted_ttl;
    struct kv_texts keys;
};

/* etcdserverpb.LeaseLeasesResponse */
struct kv_lease_leases_response {
    bool has_header;
    struct kv_header header;
    struct kv_lease_ids leases;
};

/* etcdserverpb.LeaseCheckpoint */
struct kv_lease_checkpoint {
    int64_t id;
    int64_t remaining_ttl;
};

struct kv_lease_checkpoint_list {
    struct kv_lease_checkpoint *items;
    size_t count;
};

/* etcdserverpb.LeaseCheckpointRequest. Log only. */
struct kv_lease_checkpoints {
    struct kv_lease_checkpoint_list checkpoints;
};

/* --- KV: compaction; answers that hold a header alone --- */

/* etcdserverpb.CompactionRequest */
struct kv_compact {
    int64_t revision;
    bool is_physical;
};

/* etcdserverpb.CompactionResponse. And every other response that is a header alone. */
struct kv_header_response {
    bool has_header;
    struct kv_header header;
};

/* --- Cluster --- */

/* etcdserverpb.MemberAddRequest */
struct kv_member_add {
    struct kv_texts peer_urls;
    bool is_learner;
};

/* etcdserverpb.MemberAddResponse */
struct kv_member_add_response {
    bool has_header;
    struct kv_header header;
    bool has_member;
    struct kv_member member;
    struct kv_members members;
};

/* MemberRemoveRequest, MemberPromoteRequest */
struct kv_member_id {
    uint64_t id;
};

/* etcdserverpb.MemberUpdateRequest */
struct kv_member_update {
    uint64_t id;
    struct kv_texts peer_urls;
};

/* --- Maintenance --- */

/* etcdserverpb.AlarmRequest */
struct kv_alarm {
    int32_t action;
    uint64_t member_id;
    int32_t alarm;
};

/* etcdserverpb.AlarmMember */
struct kv_alarm_member {
    uint64_t member_id;
    int32_t alarm;
};

struct kv_alarm_members {
    struct kv_alarm_member *items;
    size_t count;
};

/* etcdserverpb.AlarmResponse */
struct kv_alarm_response {
    bool has_header;
    struct kv_header header;
    struct kv_alarm_members alarms;
};

/* etcdserverpb.HashResponse */
struct kv_hash_response {
    bool has_header;
    struct kv_header header;
    uint32_t hash;
};

/* etcdserverpb.HashKVRequest */
struct kv_hash_kv {
    int64_t revision;
};

/* etcdserverpb.HashKVResponse */
struct kv_hash_kv_response {
    bool has_header;
    struct kv_header header;
    uint32_t hash;
    int64_t compact_revision;
};

/* etcdserverpb.SnapshotResponse */
struct kv_snapshot_response {
    bool has_header;
    struct kv_header header;
    uint64_t remaining_bytes;
    struct slice blob;
};

/* MoveLeaderRequest */
struct kv_move_leader {
    uint64_t target_id;
};

/* --- Auth --- */

/* etcdserverpb.AuthStatusResponse */
struct kv_auth_status_response {
    bool has_header;
    struct kv_header header;
    bool is_enabled;
    uint64_t auth_revision;
};

/* etcdserverpb.AuthenticateRequest. In the log `password` is empty and `token` (field 15, ours)
 * holds the simple token that the proposing node made. */
struct kv_authenticate {
    struct slice name;
    struct slice password;
    struct slice token;
};

/* etcdserverpb.AuthenticateResponse */
struct kv_authenticate_response {
    bool has_header;
    struct kv_header header;
    struct slice token;
};

/* authpb.UserAddOptions */
struct kv_user_options {
    bool is_no_password;
};

/* etcdserverpb.AuthUserAddRequest. In the log `password` is empty and `hashed_password` is set. */
struct kv_user_add {
    struct slice name;
    struct slice password;
    bool has_options;
    struct kv_user_options options;
    struct slice hashed_password;
};

/* etcdserverpb.AuthUserChangePasswordRequest. As kv_user_add. */
struct kv_user_password {
    struct slice name;
    struct slice password;
    struct slice hashed_password;
};

/* AuthUserGetRequest, AuthUserDeleteRequest, AuthRoleAddRequest, AuthRoleGetRequest,
 * AuthRoleDeleteRequest */
struct kv_auth_name {
    struct slice name;
};

/* AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest */
struct kv_user_role {
    struct slice user;
    struct slice role;
};

/* AuthUserGetResponse (roles), AuthUserListResponse, AuthRoleListResponse */
struct kv_names_response {
    bool has_header;
    struct kv_header header;
    struct kv_texts names;
};

/* authpb.Permission. type: 0 read, 1 write, 2 both. */
struct kv_permission {
    int32_t type;
    struct slice key;
    struct slice range_end;
};

struct kv_permissions {
    struct kv_permission *items;
    size_t count;
};

/* etcdserverpb.AuthRoleGetResponse */
struct kv_role_get_response {
    bool has_header;
    struct kv_header header;
    struct kv_permissions permissions;
};

/* etcdserverpb.AuthRoleGrantPermissionRequest */
struct kv_role_grant {
    struct slice name;
    bool has_permission;
    struct kv_permission permission;
};

/* etcdserverpb.AuthRoleRevokePermissionRequest */
struct kv_role_revoke {
    struct slice role;
    struct slice key;
    struct slice range_end;
};

/* --- v3lockpb and v3electionpb --- */

/* LockRequest */
struct kv_lock {
    struct slice name;
    int64_t lease;
};

/* LockResponse */
struct kv_lock_response {
    bool has_header;
    struct kv_header header;
    struct slice key;
};

/* UnlockRequest */
struct kv_unlock {
    struct slice key;
};

/* LeaderKey */
struct kv_leader_key {
    struct slice name;
    struct slice key;
    int64_t rev;
    int64_t lease;
};

/* CampaignRequest */
struct kv_campaign {
    struct slice name;
    int64_t lease;
    struct slice value;
};

/* CampaignResponse */
struct kv_campaign_response {
    bool has_header;
    struct kv_header header;
    bool has_leader;
    struct kv_leader_key leader;
};

/* LeaderRequest */
struct kv_leader {
    struct slice name;
};

/* LeaderResponse */
struct kv_leader_response {
    bool has_header;
    struct kv_header header;
    bool has_kv;
    struct kv_pair kv;
};

/* ResignRequest */
struct kv_resign {
    bool has_leader;
    struct kv_leader_key leader;
};

/* ProclaimRequest */
struct kv_proclaim {
    bool has_leader;
    struct kv_leader_key leader;
    struct slice value;
};

#endif
