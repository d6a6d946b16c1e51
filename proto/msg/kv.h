/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, responses and log entries of the key-value store, as plain structs.
 *
 * Bytes are slices: they point into the message they were decoded from, or into memory of whoever
 * built the struct, and live as long as that. Lists point into an arena. The meaning of each field
 * is that of etcd v3's field of the same name; proto/wire/kv.h turns the structs into bytes and
 * back. Revisions and leases are signed 64 bit, as on the wire.
 */
#ifndef QUORATE_PROTO_MSG_KV_H
#define QUORATE_PROTO_MSG_KV_H

#include "base/slice.h"
#include "base/types.h"
#include "proto/msg/etcd.h"
#include "proto/msg/kv_errors.h"
#include "proto/msg/kv_pair.h"

/* Limits of the key-value API, all of them; kv/README.md repeats them. Requests of clients beyond a
 * limit are refused with the error named and leave no trace. */
#define KV_REQUEST_MAX 1572864u    /* bytes of one encoded write, 1.5 MiB: REQUEST_TOO_LARGE */
#define KV_RESPONSE_MAX (8u << 20) /* bytes of one encoded response: RESPONSE_TOO_LARGE */
#define KV_KEY_MAX 480u            /* bytes of a key: REQUEST_TOO_LARGE */
#define KV_TXN_OPS_MAX 128u    /* compares, then and else operations, down one way: TOO_MANY_OPS */
#define KV_TXN_TOTAL_MAX 1024u /* operations of all levels and branches; compares likewise */
#define KV_TXN_DEPTH_MAX 8u    /* transactions inside each other: TOO_MANY_OPS */
#define KV_CALLS_MAX 4096u     /* requests of a node accepted and not answered: TOO_MANY_REQUESTS */
#define KV_ASKS_MAX 1024u      /* those that other nodes ask of a leader: TOO_MANY_REQUESTS */
#define KV_ASK_MAX 65536u      /* bytes of one request that is asked of the leader */
#define KV_BEHIND_MAX 5000u    /* committed and not applied, above: TOO_MANY_REQUESTS */
#define KV_LEASES_MAX 1000000u /* leases at a time: TOO_MANY_REQUESTS */
#define KV_LEASE_TTL_MAX INT64_C(9000000000) /* seconds: TTL_TOO_LARGE */
#define KV_LEASE_TTL_MIN INT64_C(2)          /* seconds; less is raised to it */
#define KV_AUTH_NAME_MAX 256u          /* bytes of a user's or role's name: REQUEST_TOO_LARGE */
#define KV_AUTH_HASH_MAX 128u          /* bytes of the hash of a password */
#define KV_AUTH_ROLES_MAX 64u          /* of one user: REQUEST_TOO_LARGE */
#define KV_AUTH_GRANTS_MAX 1024u       /* permissions of one role: REQUEST_TOO_LARGE */
#define KV_RESERVED_PREFIX "/quorate/" /* written by the arbiter alone, readable by all */

enum kv_sort_order { KV_SORT_NONE = 0, KV_SORT_ASCEND = 1, KV_SORT_DESCEND = 2 };
enum kv_sort_target {
    KV_SORT_KEY = 0,
    KV_SORT_VERSION = 1,
    KV_SORT_CREATE = 2,
    KV_SORT_MOD = 3,
    KV_SORT_VALUE = 4,
};

struct kv_range {
    struct slice key;
    struct slice range_end; /* empty: one key; "\0": every key >= key; else [key, range_end) */
    int64_t limit;          /* 0 or less: none */
    int64_t revision;       /* 0 or less: current */
    int32_t sort_order;     /* enum kv_sort_order; any number may come from outside */
    int32_t sort_target;
    bool is_serializable;
    bool is_keys_only;
    bool is_count_only;
    int64_t min_mod_revision; /* 0: no bound, here and below */
    int64_t max_mod_revision;
    int64_t min_create_revision;
    int64_t max_create_revision;
};

struct kv_range_response {
    bool has_header;
    struct kv_header header;
    struct kv_pairs kvs;
    bool has_more;
    int64_t count;
};

struct kv_put {
    struct slice key;
    struct slice value;
    int64_t lease;
    bool is_prev_kv;
    bool is_ignore_value;
    bool is_ignore_lease;
};

struct kv_put_response {
    bool has_header;
    struct kv_header header;
    bool has_prev_kv;
    struct kv_pair prev_kv;
};

struct kv_delete {
    struct slice key;
    struct slice range_end;
    bool is_prev_kv;
};

struct kv_delete_response {
    bool has_header;
    struct kv_header header;
    int64_t deleted;
    struct kv_pairs prev_kvs;
};

enum kv_compare_result { KV_EQUAL = 0, KV_GREATER = 1, KV_LESS = 2, KV_NOT_EQUAL = 3 };
enum kv_compare_target {
    KV_TARGET_VERSION = 0,
    KV_TARGET_CREATE = 1,
    KV_TARGET_MOD = 2,
    KV_TARGET_VALUE = 3,
    KV_TARGET_LEASE = 4,
};

struct kv_compare {
    int32_t result; /* enum kv_compare_result; any number may come from outside */
    int32_t target;
    struct slice key;
    struct slice range_end;
    /* The number of the union member that was given (field number on the wire, 0 none) and its
     * value. A member that does not fit the target counts as zero, as with etcd. */
    uint32_t which;
    int64_t number;
    struct slice value;
};
#define KV_COMPARE_VERSION 4u
#define KV_COMPARE_CREATE 5u
#define KV_COMPARE_MOD 6u
#define KV_COMPARE_VALUE 7u
#define KV_COMPARE_LEASE 8u

struct kv_compares {
    struct kv_compare *items;
    size_t count;
};

struct kv_op; /* below */
struct kv_ops {
    struct kv_op *items;
    size_t count;
};

struct kv_txn {
    struct kv_compares compares;
    struct kv_ops then_ops;
    struct kv_ops else_ops;
};

/* Values are the field numbers of etcdserverpb.RequestOp and ResponseOp. */
enum kv_op_kind { KV_OP_NONE = 0, KV_OP_RANGE = 1, KV_OP_PUT = 2, KV_OP_DELETE = 3, KV_OP_TXN = 4 };

struct kv_op {
    uint32_t kind; /* enum kv_op_kind */
    union {
        struct kv_range range;
        struct kv_put put;
        struct kv_delete delete_range;
        struct kv_txn txn;
    };
};

struct kv_op_response; /* below */
struct kv_op_responses {
    struct kv_op_response *items;
    size_t count;
};

struct kv_txn_response {
    bool has_header;
    struct kv_header header;
    bool is_succeeded;
    struct kv_op_responses responses;
};

struct kv_op_response {
    uint32_t kind; /* enum kv_op_kind */
    union {
        struct kv_range_response range;
        struct kv_put_response put;
        struct kv_delete_response delete_range;
        struct kv_txn_response txn;
    };
};

struct kv_member_list {
    bool is_linearizable;
};

struct kv_member_list_response {
    bool has_header;
    struct kv_header header; /* no revision */
    struct kv_members members;
};

struct kv_status_response {
    bool has_header;
    struct kv_header header;
    struct slice version;
    int64_t db_size;
    uint64_t leader;
    uint64_t raft_index;
    uint64_t raft_term;
    uint64_t raft_applied_index;
    struct kv_texts errors;
    int64_t db_size_in_use;
    bool is_learner;
};

/* grpc.health.v1 */
enum kv_health { KV_HEALTH_UNKNOWN = 0, KV_HEALTH_SERVING = 1, KV_HEALTH_NOT_SERVING = 2 };
struct kv_health_request {
    struct slice service;
};
struct kv_health_response {
    int32_t status; /* enum kv_health */
};

/* One pair of the arbiter, under KV_RESERVED_PREFIX. is_delete removes the key; with a value all
 * keys from `key` to below `value`. */
struct kv_swap_put {
    struct slice key;
    struct slice value;
    bool is_delete;
};

struct kv_swap_puts {
    struct kv_swap_put *items;
    size_t count;
};

/* The arbiter's guarded change of one database cluster's record. Void at apply unless table
 * STORE_ARBITER holds exactly (expect_epoch, expect_revision) under `name` (0, 0: no row) and the
 * entry's own term is `term`. new_epoch, new_revision 0 without a blob removes the row. All puts of
 * a swap share one main revision. */
struct kv_swap {
    struct slice name;
    uint64_t expect_epoch;
    uint64_t expect_revision;
    uint64_t term; /* in which the leader that decided this was elected */
    uint64_t new_epoch;
    uint64_t new_revision;
    struct slice blob; /* the record in binary, at most KV_SWAP_BLOB_MAX */
    struct kv_swap_puts puts;
};
#define KV_SWAP_NAME_MAX (BASE_NAME_MAX + 16u) /* "CLUSTER", "CLUSTER/config" */
#define KV_SWAP_BLOB_MAX 65536u
#define KV_SWAP_PUTS_MAX 64u

/* Kinds of requests, one table: name, number, member and struct in struct kv_request, member and
 * struct in struct kv_response. Numbers below 64 are those of the union in the log entry
 * (proto/schema/command.proto; 20 to 22, 27 to 31 are other fields there) and never reused; kinds
 * from 64 on never stand in the log. */
#define KV_KINDS(X) \
    X(RANGE, 1, range, kv_range, range, kv_range_response) \
    X(PUT, 2, put, kv_put, put, kv_put_response) \
    X(DELETE, 3, delete_range, kv_delete, delete_range, kv_delete_response) \
    X(TXN, 4, txn, kv_txn, txn, kv_txn_response) \
    X(SWAP, 5, swap, kv_swap, header_only, kv_header_response) \
    X(COMPACT, 6, compact, kv_compact, header_only, kv_header_response) \
    X(LEASE_GRANT, 7, lease_grant, kv_lease_grant, lease_grant, kv_lease_grant_response) \
    X(LEASE_REVOKE, 8, lease_id, kv_lease_id, header_only, kv_header_response) \
    X(LEASE_CHECKPOINT, 9, checkpoints, kv_lease_checkpoints, header_only, kv_header_response) \
    X(ALARM, 10, alarm, kv_alarm, alarm, kv_alarm_response) \
    X(AUTH_ENABLE, 11, empty, kv_empty, header_only, kv_header_response) \
    X(AUTH_DISABLE, 12, empty, kv_empty, header_only, kv_header_response) \
    X(AUTHENTICATE, 13, authenticate, kv_authenticate, authenticate, kv_authenticate_response) \
    X(USER_ADD, 14, user_add, kv_user_add, header_only, kv_header_response) \
    X(USER_DELETE, 15, name, kv_auth_name, header_only, kv_header_response) \
    X(USER_PASSWORD, 16, user_password, kv_user_password, header_only, kv_header_response) \
    X(USER_GRANT, 17, user_role, kv_user_role, header_only, kv_header_response) \
    X(USER_REVOKE, 18, user_role, kv_user_role, header_only, kv_header_response) \
    X(ROLE_ADD, 19, name, kv_auth_name, header_only, kv_header_response) \
    X(ROLE_DELETE, 23, name, kv_auth_name, header_only, kv_header_response) \
    X(ROLE_GRANT, 24, role_grant, kv_role_grant, header_only, kv_header_response) \
    X(ROLE_REVOKE, 25, role_revoke, kv_role_revoke, header_only, kv_header_response) \
    X(STATUS, 64, empty, kv_empty, status, kv_status_response) \
    X(MEMBER_LIST, 65, member_list, kv_member_list, member_list, kv_member_list_response) \
    X(LEASE_KEEP_ALIVE, 66, lease_id, kv_lease_id, keep_alive, kv_lease_keep_alive_response) \
    X(LEASE_TTL, 67, lease_ttl, kv_lease_ttl, lease_ttl, kv_lease_ttl_response) \
    X(LEASE_LEASES, 68, empty, kv_empty, leases, kv_lease_leases_response) \
    X(HASH, 69, empty, kv_empty, hash, kv_hash_response) \
    X(HASH_KV, 70, hash_kv, kv_hash_kv, hash_kv, kv_hash_kv_response) \
    X(DEFRAGMENT, 71, empty, kv_empty, header_only, kv_header_response) \
    X(MOVE_LEADER, 72, move_leader, kv_move_leader, header_only, kv_header_response) \
    X(MEMBER_ADD, 73, member_add, kv_member_add, member_add, kv_member_add_response) \
    X(MEMBER_REMOVE, 74, member_id, kv_member_id, member_list, kv_member_list_response) \
    X(MEMBER_UPDATE, 75, member_update, kv_member_update, member_list, kv_member_list_response) \
    X(MEMBER_PROMOTE, 76, member_id, kv_member_id, member_list, kv_member_list_response) \
    X(AUTH_STATUS, 77, empty, kv_empty, auth_status, kv_auth_status_response) \
    X(USER_GET, 78, name, kv_auth_name, names, kv_names_response) \
    X(USER_LIST, 79, empty, kv_empty, names, kv_names_response) \
    X(ROLE_GET, 80, name, kv_auth_name, role_get, kv_role_get_response) \
    X(ROLE_LIST, 81, empty, kv_empty, names, kv_names_response)

#define KV_KIND_FIRST_UNLOGGED 64u

enum kv_kind {
    KV_KIND_NONE = 0,
#define KV_KIND_ENUM(name, number, m, s, rm, rs) KV_KIND_##name = number,
    KV_KINDS(KV_KIND_ENUM)
#undef KV_KIND_ENUM
};

struct kv_request {
    uint32_t kind; /* enum kv_kind */
    union {
        struct kv_empty empty;
        struct kv_range range;
        struct kv_put put;
        struct kv_delete delete_range;
        struct kv_txn txn;
        struct kv_swap swap;
        struct kv_compact compact;
        struct kv_lease_grant lease_grant;
        struct kv_lease_id lease_id;
        struct kv_lease_ttl lease_ttl;
        struct kv_lease_checkpoints checkpoints;
        struct kv_alarm alarm;
        struct kv_authenticate authenticate;
        struct kv_user_add user_add;
        struct kv_user_password user_password;
        struct kv_user_role user_role;
        struct kv_auth_name name;
        struct kv_role_grant role_grant;
        struct kv_role_revoke role_revoke;
        struct kv_hash_kv hash_kv;
        struct kv_move_leader move_leader;
        struct kv_member_list member_list;
        struct kv_member_add member_add;
        struct kv_member_id member_id;
        struct kv_member_update member_update;
    };
};

struct kv_response {
    uint32_t kind; /* enum kv_kind, of the request */
    union {
        struct kv_range_response range;
        struct kv_put_response put;
        struct kv_delete_response delete_range;
        struct kv_txn_response txn;
        struct kv_header_response header_only;
        struct kv_lease_grant_response lease_grant;
        struct kv_lease_keep_alive_response keep_alive;
        struct kv_lease_ttl_response lease_ttl;
        struct kv_lease_leases_response leases;
        struct kv_alarm_response alarm;
        struct kv_hash_response hash;
        struct kv_hash_kv_response hash_kv;
        struct kv_authenticate_response authenticate;
        struct kv_auth_status_response auth_status;
        struct kv_names_response names;
        struct kv_role_get_response role_get;
        struct kv_status_response status;
        struct kv_member_list_response member_list;
        struct kv_member_add_response member_add;
    };
};

/* Who asks, for etcd's own authentication; all zero when it is not enabled or the certificate's
 * role alone decides. The walker has allowed the request against `auth_revision`: if that is not
 * the store's any more the request is refused with AUTH_OLD_REVISION and decided anew. */
struct kv_asker {
    struct slice user; /* name, empty: none */
    uint64_t auth_revision;
};
#define KV_ASKER_INTERNAL UINT64_MAX /* auth_revision of the node's own requests: never refused */

/* Body of a log entry: who asked (to be answered by that node in that life alone) and what for. */
struct kv_command {
    uint64_t origin_node;
    uint64_t origin_life; /* random per start of a node, never 0 */
    uint64_t request_id;  /* unique within (node, life) */
    struct kv_asker asker;
    /* 0, or the entry is void (answer LEADER_CHANGED, no effect) unless its own term is this one:
     * what a leader decided by time or by leadership (an expiry, a checkpoint, a compaction). */
    uint64_t guard_term;
    /* Set by the node that proposes a grant of a lease: the id to use when the request left it
     * open. */
    uint64_t chosen_id;
    struct kv_request request; /* of a kind below KV_KIND_FIRST_UNLOGGED, not RANGE */
};

#endif
