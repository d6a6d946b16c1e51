/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the key-value messages for the codec in pb.h; the schema is
 * proto/schema/{mvccpb,kv,health, command}.proto, and tests compare both. One row per field,
 * ascending numbers. */
#include "proto/wire/kv.h"

#include "proto/wire/kv_tables.h"

/* --- mvccpb and the common header --- */

static const struct wire_pb_field pair_fields[] = {
    FIELD(1, BYTES, kv_pair, key),          FIELD(2, INT64, kv_pair, create_revision),
    FIELD(3, INT64, kv_pair, mod_revision), FIELD(4, INT64, kv_pair, version),
    FIELD(5, BYTES, kv_pair, value),        FIELD(6, INT64, kv_pair, lease),
};
const struct wire_pb_message wire_kv_pair_table = TABLE(kv_pair, pair_fields);

static const struct wire_pb_field header_fields[] = {
    FIELD(1, INT64, kv_header, cluster_id),
    FIELD(2, INT64, kv_header, member_id),
    FIELD(3, INT64, kv_header, revision),
    FIELD(4, INT64, kv_header, raft_term),
};
const struct wire_pb_message wire_kv_header_table = TABLE(kv_header, header_fields);

/* --- KV --- */

static const struct wire_pb_field range_fields[] = {
    FIELD(1, BYTES, kv_range, key),
    FIELD(2, BYTES, kv_range, range_end),
    FIELD(3, INT64, kv_range, limit),
    FIELD(4, INT64, kv_range, revision),
    FIELD(5, INT32, kv_range, sort_order),
    FIELD(6, INT32, kv_range, sort_target),
    FIELD(7, BOOL, kv_range, is_serializable),
    FIELD(8, BOOL, kv_range, is_keys_only),
    FIELD(9, BOOL, kv_range, is_count_only),
    FIELD(10, INT64, kv_range, min_mod_revision),
    FIELD(11, INT64, kv_range, max_mod_revision),
    FIELD(12, INT64, kv_range, min_create_revision),
    FIELD(13, INT64, kv_range, max_create_revision),
};
const struct wire_pb_message wire_kv_range_table = TABLE(kv_range, range_fields);

static const struct wire_pb_field range_response_fields[] = {
    NESTED(1, kv_range_response, header, has_header, &wire_kv_header_table),
    LIST(2, kv_range_response, kvs, &wire_kv_pair_table),
    FIELD(3, BOOL, kv_range_response, has_more),
    FIELD(4, INT64, kv_range_response, count),
};
const struct wire_pb_message wire_kv_range_response_table =
    TABLE(kv_range_response, range_response_fields);

static const struct wire_pb_field put_fields[] = {
    FIELD(1, BYTES, kv_put, key),
    FIELD(2, BYTES, kv_put, value),
    FIELD(3, INT64, kv_put, lease),
    FIELD(4, BOOL, kv_put, is_prev_kv),
    FIELD(5, BOOL, kv_put, is_ignore_value),
    FIELD(6, BOOL, kv_put, is_ignore_lease),
};
const struct wire_pb_message wire_kv_put_table = TABLE(kv_put, put_fields);

static const struct wire_pb_field put_response_fields[] = {
    NESTED(1, kv_put_response, header, has_header, &wire_kv_header_table),
    NESTED(2, kv_put_response, prev_kv, has_prev_kv, &wire_kv_pair_table),
};
const struct wire_pb_message wire_kv_put_response_table =
    TABLE(kv_put_response, put_response_fields);

static const struct wire_pb_field delete_fields[] = {
    FIELD(1, BYTES, kv_delete, key),
    FIELD(2, BYTES, kv_delete, range_end),
    FIELD(3, BOOL, kv_delete, is_prev_kv),
};
const struct wire_pb_message wire_kv_delete_table = TABLE(kv_delete, delete_fields);

static const struct wire_pb_field delete_response_fields[] = {
    NESTED(1, kv_delete_response, header, has_header, &wire_kv_header_table),
    FIELD(2, INT64, kv_delete_response, deleted),
    LIST(3, kv_delete_response, prev_kvs, &wire_kv_pair_table),
};
const struct wire_pb_message wire_kv_delete_response_table =
    TABLE(kv_delete_response, delete_response_fields);

static const struct wire_pb_field compare_fields[] = {
    FIELD(1, INT32, kv_compare, result),        FIELD(2, INT32, kv_compare, target),
    FIELD(3, BYTES, kv_compare, key),           ONEOF(4, INT64, kv_compare, number, which),
    ONEOF(5, INT64, kv_compare, number, which), ONEOF(6, INT64, kv_compare, number, which),
    ONEOF(7, BYTES, kv_compare, value, which),  ONEOF(8, INT64, kv_compare, number, which),
    FIELD(64, BYTES, kv_compare, range_end),
};
static const struct wire_pb_message compare_table = TABLE(kv_compare, compare_fields);

static const struct wire_pb_message op_table;
static const struct wire_pb_field txn_fields[] = {
    LIST(1, kv_txn, compares, &compare_table),
    LIST(2, kv_txn, then_ops, &op_table),
    LIST(3, kv_txn, else_ops, &op_table),
};
const struct wire_pb_message wire_kv_txn_table = TABLE(kv_txn, txn_fields);

static const struct wire_pb_field op_fields[] = {
    CHOICE(KV_OP_RANGE, kv_op, range, kind, &wire_kv_range_table),
    CHOICE(KV_OP_PUT, kv_op, put, kind, &wire_kv_put_table),
    CHOICE(KV_OP_DELETE, kv_op, delete_range, kind, &wire_kv_delete_table),
    CHOICE(KV_OP_TXN, kv_op, txn, kind, &wire_kv_txn_table),
};
static const struct wire_pb_message op_table = TABLE(kv_op, op_fields);

static const struct wire_pb_message op_response_table;
static const struct wire_pb_field txn_response_fields[] = {
    NESTED(1, kv_txn_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BOOL, kv_txn_response, is_succeeded),
    LIST(3, kv_txn_response, responses, &op_response_table),
};
const struct wire_pb_message wire_kv_txn_response_table =
    TABLE(kv_txn_response, txn_response_fields);

static const struct wire_pb_field op_response_fields[] = {
    CHOICE(KV_OP_RANGE, kv_op_response, range, kind, &wire_kv_range_response_table),
    CHOICE(KV_OP_PUT, kv_op_response, put, kind, &wire_kv_put_response_table),
    CHOICE(KV_OP_DELETE, kv_op_response, delete_range, kind, &wire_kv_delete_response_table),
    CHOICE(KV_OP_TXN, kv_op_response, txn, kind, &wire_kv_txn_response_table),
};
static const struct wire_pb_message op_response_table = TABLE(kv_op_response, op_response_fields);

/* --- Cluster and Maintenance --- */

static const struct wire_pb_field member_fields[] = {
    FIELD(1, INT64, kv_member, id),
    FIELD(2, BYTES, kv_member, name),
    FIELD(3, BYTES_LIST, kv_member, peer_urls),
    FIELD(4, BYTES_LIST, kv_member, client_urls),
    FIELD(5, BOOL, kv_member, is_learner),
};
const struct wire_pb_message wire_kv_member_table = TABLE(kv_member, member_fields);

static const struct wire_pb_field member_list_fields[] = {
    FIELD(1, BOOL, kv_member_list, is_linearizable),
};
const struct wire_pb_message wire_kv_member_list_table = TABLE(kv_member_list, member_list_fields);

static const struct wire_pb_field member_list_response_fields[] = {
    NESTED(1, kv_member_list_response, header, has_header, &wire_kv_header_table),
    LIST(2, kv_member_list_response, members, &wire_kv_member_table),
};
const struct wire_pb_message wire_kv_member_list_response_table =
    TABLE(kv_member_list_response, member_list_response_fields);

static const struct wire_pb_field status_response_fields[] = {
    NESTED(1, kv_status_response, header, has_header, &wire_kv_header_table),
    FIELD(2, BYTES, kv_status_response, version),
    FIELD(3, INT64, kv_status_response, db_size),
    FIELD(4, INT64, kv_status_response, leader),
    FIELD(5, INT64, kv_status_response, raft_index),
    FIELD(6, INT64, kv_status_response, raft_term),
    FIELD(7, INT64, kv_status_response, raft_applied_index),
    FIELD(8, BYTES_LIST, kv_status_response, errors),
    FIELD(9, INT64, kv_status_response, db_size_in_use),
    FIELD(10, BOOL, kv_status_response, is_learner),
};
const struct wire_pb_message wire_kv_status_response_table =
    TABLE(kv_status_response, status_response_fields);

/* --- grpc.health.v1 --- */

static const struct wire_pb_field health_request_fields[] = {
    FIELD(1, BYTES, kv_health_request, service),
};
static const struct wire_pb_message health_request_table =
    TABLE(kv_health_request, health_request_fields);
static const struct wire_pb_field health_response_fields[] = {
    FIELD(1, INT32, kv_health_response, status),
};
static const struct wire_pb_message health_response_table =
    TABLE(kv_health_response, health_response_fields);

/* --- the log --- */

static const struct wire_pb_field swap_put_fields[] = {
    FIELD(1, BYTES, kv_swap_put, key),
    FIELD(2, BYTES, kv_swap_put, value),
    FIELD(3, BOOL, kv_swap_put, is_delete),
};
static const struct wire_pb_message swap_put_table = TABLE(kv_swap_put, swap_put_fields);

static const struct wire_pb_field swap_fields[] = {
    FIELD(1, BYTES, kv_swap, name),
    FIELD(2, INT64, kv_swap, expect_epoch),
    FIELD(3, INT64, kv_swap, expect_revision),
    FIELD(4, INT64, kv_swap, term),
    FIELD(5, INT64, kv_swap, new_epoch),
    FIELD(6, INT64, kv_swap, new_revision),
    FIELD(7, BYTES, kv_swap, blob),
    LIST(8, kv_swap, puts, &swap_put_table),
};
const struct wire_pb_message wire_kv_swap_table = TABLE(kv_swap, swap_fields);

static const struct wire_pb_field command_fields[] = {
    CHOICE(KV_KIND_PUT, kv_command, request.put, request.kind, &wire_kv_put_table),
    CHOICE(KV_KIND_DELETE, kv_command, request.delete_range, request.kind, &wire_kv_delete_table),
    CHOICE(KV_KIND_TXN, kv_command, request.txn, request.kind, &wire_kv_txn_table),
    CHOICE(KV_KIND_SWAP, kv_command, request.swap, request.kind, &wire_kv_swap_table),
    CHOICE(KV_KIND_COMPACT, kv_command, request.compact, request.kind, &wire_kv_compact_table),
    CHOICE(KV_KIND_LEASE_GRANT, kv_command, request.lease_grant, request.kind,
           &wire_kv_lease_grant_table),
    CHOICE(KV_KIND_LEASE_REVOKE, kv_command, request.lease_id, request.kind,
           &wire_kv_lease_id_table),
    CHOICE(KV_KIND_LEASE_CHECKPOINT, kv_command, request.checkpoints, request.kind,
           &wire_kv_lease_checkpoints_table),
    CHOICE(KV_KIND_ALARM, kv_command, request.alarm, request.kind, &wire_kv_alarm_table),
    CHOICE(KV_KIND_AUTH_ENABLE, kv_command, request.empty, request.kind, &wire_kv_empty_table),
    CHOICE(KV_KIND_AUTH_DISABLE, kv_command, request.empty, request.kind, &wire_kv_empty_table),
    CHOICE(KV_KIND_AUTHENTICATE, kv_command, request.authenticate, request.kind,
           &wire_kv_authenticate_table),
    CHOICE(KV_KIND_USER_ADD, kv_command, request.user_add, request.kind, &wire_kv_user_add_table),
    CHOICE(KV_KIND_USER_DELETE, kv_command, request.name, request.kind, &wire_kv_auth_name_table),
    CHOICE(KV_KIND_USER_PASSWORD, kv_command, request.user_password, request.kind,
           &wire_kv_user_password_table),
    CHOICE(KV_KIND_USER_GRANT, kv_command, request.user_role, request.kind,
           &wire_kv_user_role_table),
    CHOICE(KV_KIND_USER_REVOKE, kv_command, request.user_role, request.kind,
           &wire_kv_user_role_table),
    CHOICE(KV_KIND_ROLE_ADD, kv_command, request.name, request.kind, &wire_kv_auth_name_table),
    FIELD(20, INT64, kv_command, origin_node),
    FIELD(21, INT64, kv_command, origin_life),
    FIELD(22, INT64, kv_command, request_id),
    CHOICE(KV_KIND_ROLE_DELETE, kv_command, request.name, request.kind, &wire_kv_auth_name_table),
    CHOICE(KV_KIND_ROLE_GRANT, kv_command, request.role_grant, request.kind,
           &wire_kv_role_grant_table),
    CHOICE(KV_KIND_ROLE_REVOKE, kv_command, request.role_revoke, request.kind,
           &wire_kv_role_revoke_table),
    FIELD(27, BYTES, kv_command, asker.user),
    FIELD(28, INT64, kv_command, asker.auth_revision),
    FIELD(29, INT64, kv_command, guard_term),
    FIELD(30, INT64, kv_command, chosen_id),
};
static const struct wire_pb_message command_table = TABLE(kv_command, command_fields);

/* A message and where it stands in struct kv_request or kv_response. */
struct kind_row {
    enum kv_kind kind;
    const struct wire_pb_message *request;
    size_t request_offset;
    const struct wire_pb_message *response;
    size_t response_offset;
};

#define KIND_ROW(name, number, member, type, response_member, response_type) \
    {KV_KIND_##name, &wire_##type##_table, offsetof(struct kv_request, member), \
     &wire_##response_type##_table, offsetof(struct kv_response, response_member)},
static const struct kind_row kind_rows[] = {KV_KINDS(KIND_ROW)};
#undef KIND_ROW

static const struct kind_row *kind_find(uint32_t kind)
{
    for (size_t i = 0; i < BASE_COUNT_OF(kind_rows); i++) {
        if ((uint32_t)kind_rows[i].kind == kind) {
            return &kind_rows[i];
        }
    }
    return NULL;
}

int kv_wire_decode_request(enum kv_kind kind, struct slice bytes, struct base_arena *arena,
                           struct kv_request *ret)
{
    const struct kind_row *row = kind_find((uint32_t)kind);
    struct kv_request request = {.kind = (uint32_t)kind};
    if (row == NULL) {
        return BASE_E_UNSUPPORTED;
    }
    int rc = wire_pb_decode(row->request, bytes, arena, (uint8_t *)&request + row->request_offset);
    if (rc == 0) {
        *ret = request;
    }
    return rc;
}

int kv_wire_decode_response(enum kv_kind kind, struct slice bytes, struct base_arena *arena,
                            struct kv_response *ret)
{
    const struct kind_row *row = kind_find((uint32_t)kind);
    struct kv_response response = {.kind = (uint32_t)kind};
    if (row == NULL) {
        return BASE_E_UNSUPPORTED;
    }
    int rc =
        wire_pb_decode(row->response, bytes, arena, (uint8_t *)&response + row->response_offset);
    if (rc == 0) {
        *ret = response;
    }
    return rc;
}

int kv_wire_encode_request(const struct kv_request *request, struct buf *out)
{
    const struct kind_row *row = kind_find(request->kind);
    if (row == NULL) {
        return BASE_E_UNSUPPORTED;
    }
    return wire_pb_encode(row->request, (const uint8_t *)request + row->request_offset, out);
}

int kv_wire_encode_response(const struct kv_response *response, struct buf *out)
{
    const struct kind_row *row = kind_find(response->kind);
    if (row == NULL) {
        return BASE_E_UNSUPPORTED;
    }
    return wire_pb_encode(row->response, (const uint8_t *)response + row->response_offset, out);
}

int kv_wire_decode_command(struct slice bytes, struct base_arena *arena, struct kv_command *ret)
{
    struct kv_command command;
    int rc = wire_pb_decode(&command_table, bytes, arena, &command);
    if (rc == 0 && command.request.kind == KV_KIND_NONE) {
        rc = BASE_E_PROTO;
    }
    if (rc == 0) {
        *ret = command;
    }
    return rc;
}

int kv_wire_encode_command(const struct kv_command *command, struct buf *out)
{
    if (command->request.kind < KV_KIND_PUT || command->request.kind >= KV_KIND_FIRST_UNLOGGED) {
        return BASE_E_UNSUPPORTED;
    }
    return wire_pb_encode(&command_table, command, out);
}

/* The health messages have no lists, so they need no arena. */
static int decode_flat(const struct wire_pb_message *table, struct slice bytes, void *ret)
{
    struct base_arena none = {0};
    return wire_pb_decode(table, bytes, &none, ret);
}

int kv_wire_decode_health_request(struct slice bytes, struct kv_health_request *ret)
{
    return decode_flat(&health_request_table, bytes, ret);
}

int kv_wire_encode_health_request(const struct kv_health_request *request, struct buf *out)
{
    return wire_pb_encode(&health_request_table, request, out);
}

int kv_wire_decode_health_response(struct slice bytes, struct kv_health_response *ret)
{
    return decode_flat(&health_response_table, bytes, ret);
}

int kv_wire_encode_health_response(const struct kv_health_response *response, struct buf *out)
{
    return wire_pb_encode(&health_response_table, response, out);
}
