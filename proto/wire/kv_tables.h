/* SPDX-License-Identifier: Apache-2.0 */
/* Codec tables shared by proto/wire/kv.c and proto/wire/etcd.c, and the macros that their rows are
 * made of. With a table and wire_pb_encode or wire_pb_decode anybody can read or write one message.
 */
#ifndef QUORATE_PROTO_WIRE_KV_TABLES_H
#define QUORATE_PROTO_WIRE_KV_TABLES_H

#include "proto/msg/kv.h"
#include "proto/wire/pb.h"

#define FIELD(number, kind, type, member) \
    { \
        number, WIRE_PB_##kind, WIRE_PB_IMPLICIT, offsetof(struct type, member), 0, NULL \
    }
#define ONEOF(number, kind, type, member, which) \
    { \
        number, WIRE_PB_##kind, WIRE_PB_ONEOF, offsetof(struct type, member), \
            offsetof(struct type, which), NULL \
    }
#define NESTED(number, type, member, has, table) \
    { \
        number, WIRE_PB_MESSAGE, WIRE_PB_HAS, offsetof(struct type, member), \
            offsetof(struct type, has), table \
    }
#define CHOICE(number, type, member, which, table) \
    { \
        number, WIRE_PB_MESSAGE, WIRE_PB_ONEOF, offsetof(struct type, member), \
            offsetof(struct type, which), table \
    }
#define LIST(number, type, member, table) \
    { \
        number, WIRE_PB_MESSAGE_LIST, WIRE_PB_IMPLICIT, offsetof(struct type, member), 0, table \
    }
#define TABLE(type, fields) \
    { \
        sizeof(struct type), fields, BASE_COUNT_OF(fields) \
    }

extern const struct wire_pb_message wire_kv_empty_table;
extern const struct wire_pb_message wire_kv_range_table;
extern const struct wire_pb_message wire_kv_range_response_table;
extern const struct wire_pb_message wire_kv_put_table;
extern const struct wire_pb_message wire_kv_put_response_table;
extern const struct wire_pb_message wire_kv_delete_table;
extern const struct wire_pb_message wire_kv_delete_response_table;
extern const struct wire_pb_message wire_kv_txn_table;
extern const struct wire_pb_message wire_kv_txn_response_table;
extern const struct wire_pb_message wire_kv_member_list_table;
extern const struct wire_pb_message wire_kv_member_list_response_table;
extern const struct wire_pb_message wire_kv_status_response_table;
extern const struct wire_pb_message wire_kv_swap_table;
extern const struct wire_pb_message wire_kv_pair_table;
extern const struct wire_pb_message wire_kv_header_table;
extern const struct wire_pb_message wire_kv_member_table;
extern const struct wire_pb_message wire_kv_alarm_member_table;
extern const struct wire_pb_message wire_kv_alarm_response_table;
extern const struct wire_pb_message wire_kv_alarm_table;
extern const struct wire_pb_message wire_kv_auth_name_table;
extern const struct wire_pb_message wire_kv_auth_status_response_table;
extern const struct wire_pb_message wire_kv_authenticate_response_table;
extern const struct wire_pb_message wire_kv_authenticate_table;
extern const struct wire_pb_message wire_kv_campaign_response_table;
extern const struct wire_pb_message wire_kv_campaign_table;
extern const struct wire_pb_message wire_kv_compact_table;
extern const struct wire_pb_message wire_kv_event_table;
extern const struct wire_pb_message wire_kv_hash_kv_response_table;
extern const struct wire_pb_message wire_kv_hash_kv_table;
extern const struct wire_pb_message wire_kv_hash_response_table;
extern const struct wire_pb_message wire_kv_header_response_table;
extern const struct wire_pb_message wire_kv_leader_key_table;
extern const struct wire_pb_message wire_kv_leader_response_table;
extern const struct wire_pb_message wire_kv_leader_table;
extern const struct wire_pb_message wire_kv_lease_checkpoint_table;
extern const struct wire_pb_message wire_kv_lease_checkpoints_table;
extern const struct wire_pb_message wire_kv_lease_grant_response_table;
extern const struct wire_pb_message wire_kv_lease_grant_table;
extern const struct wire_pb_message wire_kv_lease_id_table;
extern const struct wire_pb_message wire_kv_lease_keep_alive_response_table;
extern const struct wire_pb_message wire_kv_lease_leases_response_table;
extern const struct wire_pb_message wire_kv_lease_ttl_response_table;
extern const struct wire_pb_message wire_kv_lease_ttl_table;
extern const struct wire_pb_message wire_kv_lock_response_table;
extern const struct wire_pb_message wire_kv_lock_table;
extern const struct wire_pb_message wire_kv_member_add_response_table;
extern const struct wire_pb_message wire_kv_member_add_table;
extern const struct wire_pb_message wire_kv_member_id_table;
extern const struct wire_pb_message wire_kv_member_update_table;
extern const struct wire_pb_message wire_kv_move_leader_table;
extern const struct wire_pb_message wire_kv_names_response_table;
extern const struct wire_pb_message wire_kv_permission_table;
extern const struct wire_pb_message wire_kv_proclaim_table;
extern const struct wire_pb_message wire_kv_resign_table;
extern const struct wire_pb_message wire_kv_role_get_response_table;
extern const struct wire_pb_message wire_kv_role_grant_table;
extern const struct wire_pb_message wire_kv_role_revoke_table;
extern const struct wire_pb_message wire_kv_snapshot_response_table;
extern const struct wire_pb_message wire_kv_unlock_table;
extern const struct wire_pb_message wire_kv_user_add_table;
extern const struct wire_pb_message wire_kv_user_options_table;
extern const struct wire_pb_message wire_kv_user_password_table;
extern const struct wire_pb_message wire_kv_user_role_table;
extern const struct wire_pb_message wire_kv_watch_cancel_table;
extern const struct wire_pb_message wire_kv_watch_create_table;
extern const struct wire_pb_message wire_kv_watch_request_table;
extern const struct wire_pb_message wire_kv_watch_response_table;

#endif
