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
#include "proto/msg/kv_errors.h"

#define KV_REQUEST_MAX 1572864u /* bytes of one encoded write, 1.5 MiB; larger is refused */
#define KV_TXN_OPS_MAX \
    128u                    /* compares, then and else operations each, nested ones counted with \
                             */
#define KV_TXN_DEPTH_MAX 8u /* transactions inside each other */
#define KV_KEY_MAX 480u     /* bytes; longer keys are refused with REQUEST_TOO_LARGE */
#define KV_RESERVED_PREFIX "/quorate/" /* written by the arbiter alone, readable by all */

/* mvccpb.KeyValue */
struct kv_pair {
    struct slice key;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
    struct slice value;
    int64_t lease;
};

struct kv_pairs {
    struct kv_pair *items;
    size_t count;
};

/* etcdserverpb.ResponseHeader */
struct kv_header {
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t revision;
    uint64_t raft_term;
};

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

struct kv_texts {
    struct slice *items;
    size_t count;
};

/* etcdserverpb.Member */
struct kv_member {
    uint64_t id;
    struct slice name;
    struct kv_texts peer_urls;
    struct kv_texts client_urls;
    bool is_learner;
};

struct kv_members {
    struct kv_member *items;
    size_t count;
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

/* One pair of the arbiter, under KV_RESERVED_PREFIX; an empty value with is_delete removes the key.
 */
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
 * entry's own term is `term`. All puts of a swap share one main revision. */
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
#define KV_SWAP_BLOB_MAX 65536u
#define KV_SWAP_PUTS_MAX 64u

/* Kinds of requests; the values are the numbers of the union in the log entry
 * (proto/schema/command.proto). */
enum kv_kind {
    KV_KIND_NONE = 0,
    KV_KIND_RANGE = 1,
    KV_KIND_PUT = 2,
    KV_KIND_DELETE = 3,
    KV_KIND_TXN = 4,
    KV_KIND_SWAP = 5,
    KV_KIND_STATUS = 16, /* never in the log, here and below */
    KV_KIND_MEMBER_LIST = 17,
};

struct kv_request {
    uint32_t kind; /* enum kv_kind; STATUS has no fields */
    union {
        struct kv_range range;
        struct kv_put put;
        struct kv_delete delete_range;
        struct kv_txn txn;
        struct kv_swap swap;
        struct kv_member_list member_list;
    };
};

struct kv_response {
    uint32_t kind; /* enum kv_kind */
    union {
        struct kv_range_response range;
        struct kv_put_response put;
        struct kv_delete_response delete_range;
        struct kv_txn_response txn;
        struct kv_status_response status;
        struct kv_member_list_response member_list;
    };
};

/* Body of a log entry: who asked (to be answered by that node in that life alone) and what for. */
struct kv_command {
    uint64_t origin_node;
    uint64_t origin_life;      /* random per start of a node, never 0 */
    uint64_t request_id;       /* unique within (node, life) */
    struct kv_request request; /* PUT, DELETE, TXN or SWAP */
};

#endif
