/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the messages in proto/msg/etcd.h for the codec in pb.h; the schema is
 * proto/schema/{kv,lock,election}.proto, and tests compare both. */
#include "proto/wire/kv_tables.h"

const struct wire_pb_message wire_kv_empty_table = {0, NULL, 0};

/* --- Watch --- */

static const struct wire_pb_field event_fields[] = {
    FIELD(1, INT32, kv_event, type),
    NESTED(2, kv_event, kv, has_kv, &wire_kv_pair_table),
    NESTED(3, kv_event, prev_kv, has_prev_kv, &wire_kv_pair_table),
};
const struct wire_pb_message wire_kv_event_table = TABLE(kv_event, event_fields);

static const struct wire_pb_field watch_create_fields[] = {
    FIELD(1, BYTES, kv_watch_create, key),
    FIELD(2, BYTES, kv_watch_create, range_end),
    FIELD(3, INT64, kv_watch_create, start_revision),
    FIELD(4, BOOL, kv_watch_create, is_progress_notify),
    FIELD(5, ENUM_LIST, kv_watch_create, filters),
    FIELD(6, BOOL, kv_watch_create, is_prev_kv),
    FIELD(7, INT64, kv_watch_create, watch_id),
    FIELD(8, BOOL, kv_watch_create, is_fragment),
};
const struct wire_pb_message wire_kv_watch_create_table =
    TABLE(kv_watch_create, watch_create_fields);

static const struct wire_pb_field watch_cancel_fields[] = {
    FIELD(1, INT64, kv_watch_cancel, watch_id),
};
const struct wire_pb_message wire_kv_watch_cancel_table =
    TABLE(kv_watch_cancel, watch_cancel_fields);

static const struct wire_pb_field watch_request_fields[] = {
    CHOICE(1, kv_watch_request, create, which, &wire_kv_watch_create_table),
    CHOICE(2, kv_watch_request, cancel, which, &wire_kv_watch_cancel_table),
    CHOICE(3, kv_watch_request, which, which, &wire_kv_empty_table),
};
const struct wire_pb_message wire_kv_watch_request_table =
    TABLE(kv_watch_request, watch_request_fields);

static const struct wire_pb_field watch_response_fields[] = {
    NESTED(1, kv_watch_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_watch_response, watch_id),
    FIELD(3, BOOL, kv_watch_response, is_created),
    FIELD(4, BOOL, kv_watch_response, is_canceled),
    FIELD(5, INT64, kv_watch_response, compact_revision),
    FIELD(6, BYTES, kv_watch_response, cancel_reason),
    FIELD(7, BOOL, kv_watch_response, is_fragment),
    LIST(11, kv_watch_response, events, &wire_kv_event_table),
};
const struct wire_pb_message wire_kv_watch_response_table =
    TABLE(kv_watch_response, watch_response_fields);

/* --- Lease --- */

static const struct wire_pb_field lease_grant_fields[] = {
    FIELD(1, INT64, kv_lease_grant, ttl),
    FIELD(2, INT64, kv_lease_grant, id),
};
const struct wire_pb_message wire_kv_lease_grant_table = TABLE(kv_lease_grant, lease_grant_fields);

static const struct wire_pb_field lease_grant_response_fields[] = {
    NESTED(1, kv_lease_grant_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_lease_grant_response, id),
    FIELD(3, INT64, kv_lease_grant_response, ttl),
    FIELD(4, BYTES, kv_lease_grant_response, error),
};
const struct wire_pb_message wire_kv_lease_grant_response_table =
    TABLE(kv_lease_grant_response, lease_grant_response_fields);

static const struct wire_pb_field lease_id_fields[] = {
    FIELD(1, INT64, kv_lease_id, id),
};
const struct wire_pb_message wire_kv_lease_id_table = TABLE(kv_lease_id, lease_id_fields);

static const struct wire_pb_field lease_keep_alive_response_fields[] = {
    NESTED(1, kv_lease_keep_alive_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_lease_keep_alive_response, id),
    FIELD(3, INT64, kv_lease_keep_alive_response, ttl),
};
const struct wire_pb_message wire_kv_lease_keep_alive_response_table =
    TABLE(kv_lease_keep_alive_response, lease_keep_alive_response_fields);

static const struct wire_pb_field lease_ttl_fields[] = {
    FIELD(1, INT64, kv_lease_ttl, id),
    FIELD(2, BOOL, kv_lease_ttl, wants_keys),
};
const struct wire_pb_message wire_kv_lease_ttl_table = TABLE(kv_lease_ttl, lease_ttl_fields);

static const struct wire_pb_field lease_ttl_response_fields[] = {
    NESTED(1, kv_lease_ttl_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_lease_ttl_response, id),
    FIELD(3, INT64, kv_lease_ttl_response, ttl),
    FIELD(4, INT64, kv_lease_ttl_response, granted_ttl),
    FIELD(5, BYTES_LIST, kv_lease_ttl_response, keys),
};
const struct wire_pb_message wire_kv_lease_ttl_response_table =
    TABLE(kv_lease_ttl_response, lease_ttl_response_fields);

static const struct wire_pb_field lease_leases_response_fields[] = {
    NESTED(1, kv_lease_leases_response, header, has_header, &wire_kv_header_table),
    LIST(2, kv_lease_leases_response, leases, &wire_kv_lease_id_table),
};
const struct wire_pb_message wire_kv_lease_leases_response_table =
    TABLE(kv_lease_leases_response, lease_leases_response_fields);

static const struct wire_pb_field lease_checkpoint_fields[] = {
    FIELD(1, INT64, kv_lease_checkpoint, id),
    FIELD(2, INT64, kv_lease_checkpoint, remaining_ttl),
};
const struct wire_pb_message wire_kv_lease_checkpoint_table =
    TABLE(kv_lease_checkpoint, lease_checkpoint_fields);

static const struct wire_pb_field lease_checkpoints_fields[] = {
    LIST(1, kv_lease_checkpoints, checkpoints, &wire_kv_lease_checkpoint_table),
};
const struct wire_pb_message wire_kv_lease_checkpoints_table =
    TABLE(kv_lease_checkpoints, lease_checkpoints_fields);

/* --- KV: compaction; answers that hold a header alone --- */

static const struct wire_pb_field compact_fields[] = {
    FIELD(1, INT64, kv_compact, revision),
    FIELD(2, BOOL, kv_compact, is_physical),
};
const struct wire_pb_message wire_kv_compact_table = TABLE(kv_compact, compact_fields);

static const struct wire_pb_field header_response_fields[] = {
    NESTED(1, kv_header_response, header, has_header, &wire_kv_header_table),
};
const struct wire_pb_message wire_kv_header_response_table =
    TABLE(kv_header_response, header_response_fields);

/* --- Cluster --- */

static const struct wire_pb_field member_add_fields[] = {
    FIELD(1, BYTES_LIST, kv_member_add, peer_urls),
    FIELD(2, BOOL, kv_member_add, is_learner),
};
const struct wire_pb_message wire_kv_member_add_table = TABLE(kv_member_add, member_add_fields);

static const struct wire_pb_field member_add_response_fields[] = {
    NESTED(1, kv_member_add_response, header, has_header, &wire_kv_header_table),
    NESTED(2, kv_member_add_response, member, has_member, &wire_kv_member_table),
    LIST(3, kv_member_add_response, members, &wire_kv_member_table),
};
const struct wire_pb_message wire_kv_member_add_response_table =
    TABLE(kv_member_add_response, member_add_response_fields);

static const struct wire_pb_field member_id_fields[] = {
    FIELD(1, INT64, kv_member_id, id),
};
const struct wire_pb_message wire_kv_member_id_table = TABLE(kv_member_id, member_id_fields);

static const struct wire_pb_field member_update_fields[] = {
    FIELD(1, INT64, kv_member_update, id),
    FIELD(2, BYTES_LIST, kv_member_update, peer_urls),
};
const struct wire_pb_message wire_kv_member_update_table =
    TABLE(kv_member_update, member_update_fields);

/* --- Maintenance --- */

static const struct wire_pb_field alarm_fields[] = {
    FIELD(1, INT32, kv_alarm, action),
    FIELD(2, INT64, kv_alarm, member_id),
    FIELD(3, INT32, kv_alarm, alarm),
};
const struct wire_pb_message wire_kv_alarm_table = TABLE(kv_alarm, alarm_fields);

static const struct wire_pb_field alarm_member_fields[] = {
    FIELD(1, INT64, kv_alarm_member, member_id),
    FIELD(2, INT32, kv_alarm_member, alarm),
};
const struct wire_pb_message wire_kv_alarm_member_table =
    TABLE(kv_alarm_member, alarm_member_fields);

static const struct wire_pb_field alarm_response_fields[] = {
    NESTED(1, kv_alarm_response, header, has_header, &wire_kv_header_table),
    LIST(2, kv_alarm_response, alarms, &wire_kv_alarm_member_table),
};
const struct wire_pb_message wire_kv_alarm_response_table =
    TABLE(kv_alarm_response, alarm_response_fields);

static const struct wire_pb_field hash_response_fields[] = {
    NESTED(1, kv_hash_response, header, has_header, &wire_kv_header_table),
    FIELD(2, UINT32, kv_hash_response, hash),
};
const struct wire_pb_message wire_kv_hash_response_table =
    TABLE(kv_hash_response, hash_response_fields);

static const struct wire_pb_field hash_kv_fields[] = {
    FIELD(1, INT64, kv_hash_kv, revision),
};
const struct wire_pb_message wire_kv_hash_kv_table = TABLE(kv_hash_kv, hash_kv_fields);

static const struct wire_pb_field hash_kv_response_fields[] = {
    NESTED(1, kv_hash_kv_response, header, has_header, &wire_kv_header_table),
    FIELD(2, UINT32, kv_hash_kv_response, hash),
    FIELD(3, INT64, kv_hash_kv_response, compact_revision),
};
const struct wire_pb_message wire_kv_hash_kv_response_table =
    TABLE(kv_hash_kv_response, hash_kv_response_fields);

static const struct wire_pb_field snapshot_response_fields[] = {
    NESTED(1, kv_snapshot_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_snapshot_response, remaining_bytes),
    FIELD(3, BYTES, kv_snapshot_response, blob),
};
const struct wire_pb_message wire_kv_snapshot_response_table =
    TABLE(kv_snapshot_response, snapshot_response_fields);

static const struct wire_pb_field move_leader_fields[] = {
    FIELD(1, INT64, kv_move_leader, target_id),
};
const struct wire_pb_message wire_kv_move_leader_table = TABLE(kv_move_leader, move_leader_fields);

/* --- Auth --- */

static const struct wire_pb_field auth_status_response_fields[] = {
    NESTED(1, kv_auth_status_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BOOL, kv_auth_status_response, is_enabled),
    FIELD(3, INT64, kv_auth_status_response, auth_revision),
};
const struct wire_pb_message wire_kv_auth_status_response_table =
    TABLE(kv_auth_status_response, auth_status_response_fields);

static const struct wire_pb_field authenticate_fields[] = {
    FIELD(1, BYTES, kv_authenticate, name),
    FIELD(2, BYTES, kv_authenticate, password),
    FIELD(15, BYTES, kv_authenticate, token),
};
const struct wire_pb_message wire_kv_authenticate_table =
    TABLE(kv_authenticate, authenticate_fields);

static const struct wire_pb_field authenticate_response_fields[] = {
    NESTED(1, kv_authenticate_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BYTES, kv_authenticate_response, token),
};
const struct wire_pb_message wire_kv_authenticate_response_table =
    TABLE(kv_authenticate_response, authenticate_response_fields);

static const struct wire_pb_field user_options_fields[] = {
    FIELD(1, BOOL, kv_user_options, is_no_password),
};
const struct wire_pb_message wire_kv_user_options_table =
    TABLE(kv_user_options, user_options_fields);

static const struct wire_pb_field user_add_fields[] = {
    FIELD(1, BYTES, kv_user_add, name),
    FIELD(2, BYTES, kv_user_add, password),
    NESTED(3, kv_user_add, options, has_options, &wire_kv_user_options_table),
    FIELD(4, BYTES, kv_user_add, hashed_password),
};
const struct wire_pb_message wire_kv_user_add_table = TABLE(kv_user_add, user_add_fields);

static const struct wire_pb_field user_password_fields[] = {
    FIELD(1, BYTES, kv_user_password, name),
    FIELD(2, BYTES, kv_user_password, password),
    FIELD(3, BYTES, kv_user_password, hashed_password),
};
const struct wire_pb_message wire_kv_user_password_table =
    TABLE(kv_user_password, user_password_fields);

static const struct wire_pb_field auth_name_fields[] = {
    FIELD(1, BYTES, kv_auth_name, name),
};
const struct wire_pb_message wire_kv_auth_name_table = TABLE(kv_auth_name, auth_name_fields);

static const struct wire_pb_field user_role_fields[] = {
    FIELD(1, BYTES, kv_user_role, user),
    FIELD(2, BYTES, kv_user_role, role),
};
const struct wire_pb_message wire_kv_user_role_table = TABLE(kv_user_role, user_role_fields);

static const struct wire_pb_field names_response_fields[] = {
    NESTED(1, kv_names_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BYTES_LIST, kv_names_response, names),
};
const struct wire_pb_message wire_kv_names_response_table =
    TABLE(kv_names_response, names_response_fields);

static const struct wire_pb_field permission_fields[] = {
    FIELD(1, INT32, kv_permission, type),
    FIELD(2, BYTES, kv_permission, key),
    FIELD(3, BYTES, kv_permission, range_end),
};
const struct wire_pb_message wire_kv_permission_table = TABLE(kv_permission, permission_fields);

static const struct wire_pb_field role_get_response_fields[] = {
    NESTED(1, kv_role_get_response, header, has_header, &wire_kv_header_table),
    LIST(2, kv_role_get_response, permissions, &wire_kv_permission_table),
};
const struct wire_pb_message wire_kv_role_get_response_table =
    TABLE(kv_role_get_response, role_get_response_fields);

static const struct wire_pb_field role_grant_fields[] = {
    FIELD(1, BYTES, kv_role_grant, name),
    NESTED(2, kv_role_grant, permission, has_permission, &wire_kv_permission_table),
};
const struct wire_pb_message wire_kv_role_grant_table = TABLE(kv_role_grant, role_grant_fields);

static const struct wire_pb_field role_revoke_fields[] = {
    FIELD(1, BYTES, kv_role_revoke, role),
    FIELD(2, BYTES, kv_role_revoke, key),
    FIELD(3, BYTES, kv_role_revoke, range_end),
};
const struct wire_pb_message wire_kv_role_revoke_table = TABLE(kv_role_revoke, role_revoke_fields);

/* --- v3lockpb and v3electionpb --- */

static const struct wire_pb_field lock_fields[] = {
    FIELD(1, BYTES, kv_lock, name),
    FIELD(2, INT64, kv_lock, lease),
};
const struct wire_pb_message wire_kv_lock_table = TABLE(kv_lock, lock_fields);

static const struct wire_pb_field lock_response_fields[] = {
    NESTED(1, kv_lock_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BYTES, kv_lock_response, key),
};
const struct wire_pb_message wire_kv_lock_response_table =
    TABLE(kv_lock_response, lock_response_fields);

static const struct wire_pb_field unlock_fields[] = {
    FIELD(1, BYTES, kv_unlock, key),
};
const struct wire_pb_message wire_kv_unlock_table = TABLE(kv_unlock, unlock_fields);

static const struct wire_pb_field leader_key_fields[] = {
    FIELD(1, BYTES, kv_leader_key, name),
    FIELD(2, BYTES, kv_leader_key, key),
    FIELD(3, INT64, kv_leader_key, rev),
    FIELD(4, INT64, kv_leader_key, lease),
};
const struct wire_pb_message wire_kv_leader_key_table = TABLE(kv_leader_key, leader_key_fields);

static const struct wire_pb_field campaign_fields[] = {
    FIELD(1, BYTES, kv_campaign, name),
    FIELD(2, INT64, kv_campaign, lease),
    FIELD(3, BYTES, kv_campaign, value),
};
const struct wire_pb_message wire_kv_campaign_table = TABLE(kv_campaign, campaign_fields);

static const struct wire_pb_field campaign_response_fields[] = {
    NESTED(1, kv_campaign_response, header, has_header, &wire_kv_header_table),
    NESTED(2, kv_campaign_response, leader, has_leader, &wire_kv_leader_key_table),
};
const struct wire_pb_message wire_kv_campaign_response_table =
    TABLE(kv_campaign_response, campaign_response_fields);

static const struct wire_pb_field leader_fields[] = {
    FIELD(1, BYTES, kv_leader, name),
};
const struct wire_pb_message wire_kv_leader_table = TABLE(kv_leader, leader_fields);

static const struct wire_pb_field leader_response_fields[] = {
    NESTED(1, kv_leader_response, header, has_header, &wire_kv_header_table),
    NESTED(2, kv_leader_response, kv, has_kv, &wire_kv_pair_table),
};
const struct wire_pb_message wire_kv_leader_response_table =
    TABLE(kv_leader_response, leader_response_fields);

static const struct wire_pb_field resign_fields[] = {
    NESTED(1, kv_resign, leader, has_leader, &wire_kv_leader_key_table),
};
const struct wire_pb_message wire_kv_resign_table = TABLE(kv_resign, resign_fields);

static const struct wire_pb_field proclaim_fields[] = {
    NESTED(1, kv_proclaim, leader, has_leader, &wire_kv_leader_key_table),
    FIELD(2, BYTES, kv_proclaim, value),
};
const struct wire_pb_message wire_kv_proclaim_table = TABLE(kv_proclaim, proclaim_fields);
