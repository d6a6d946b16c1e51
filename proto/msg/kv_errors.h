/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of the key-value API can be told, one table: our name, gRPC status code, text.
 *
 * The texts are those of etcd v3 (clients look them up byte for byte); rows of our own begin with
 * "quorate: ". A row's number goes only into results that never leave a process, so rows may be
 * reordered. TIMEOUT, TIMEOUT_LEADER and LEADER_CHANGED mean that a write may or may not have taken
 * effect.
 */
#ifndef QUORATE_PROTO_MSG_KV_ERRORS_H
#define QUORATE_PROTO_MSG_KV_ERRORS_H

/*   name                  gRPC  text */
#define KV_ERRORS(X) \
    /* etcd does not translate what it refuses to who defragments or hashes. */ \
    X(MAINTENANCE_DENIED, 2, "auth: permission denied") \
    X(MAINTENANCE_NO_USER, 2, "auth: user name is empty") \
    X(KEY_NOT_PROVIDED, 3, "etcdserver: key is not provided") \
    X(KEY_NOT_FOUND, 3, "etcdserver: key not found") \
    X(VALUE_PROVIDED, 3, "etcdserver: value is provided") \
    X(LEASE_PROVIDED, 3, "etcdserver: lease is provided") \
    X(TOO_MANY_OPS, 3, "etcdserver: too many operations in txn request") \
    X(DUPLICATE_KEY, 3, "etcdserver: duplicate key given in txn request") \
    X(INVALID_SORT, 3, "etcdserver: invalid sort option") \
    X(REQUEST_TOO_LARGE, 3, "etcdserver: request is too large") \
    X(MALFORMED, 3, "quorate: malformed request") \
    X(BAD_MEMBER_URLS, 3, "etcdserver: given member URLs are invalid") \
    X(USER_EMPTY, 3, "etcdserver: user name is empty") \
    X(ROLE_EMPTY, 3, "etcdserver: role name is empty") \
    X(AUTH_FAILED, 3, "etcdserver: authentication failed, invalid user ID or password") \
    X(PERMISSION_NOT_GIVEN, 3, "etcdserver: permission not given") \
    X(INVALID_AUTH_MANAGEMENT, 3, "etcdserver: invalid auth management") \
    X(AUTH_OLD_REVISION, 3, "etcdserver: revision of auth store is old") \
    X(NEGATIVE_REVISION, 3, "quorate: revision is negative") \
    X(LEASE_NOT_FOUND, 5, "etcdserver: requested lease not found") \
    X(MEMBER_NOT_FOUND, 5, "etcdserver: member not found") \
    X(PERMISSION_DENIED, 7, "etcdserver: permission denied") \
    X(NO_SPACE, 8, "etcdserver: mvcc: database space exceeded") \
    X(TOO_MANY_REQUESTS, 8, "etcdserver: too many requests") \
    /* For a write, the write itself has taken effect; only its answer cannot be shown. */ \
    X(RESPONSE_TOO_LARGE, 8, "quorate: response is too large, ask for less with a limit") \
    X(SWAP_VOID, 9, "quorate: the record has moved on, the swap is void") \
    X(LEASE_EXISTS, 9, "etcdserver: lease already exists") \
    X(PEER_URL_EXISTS, 9, "etcdserver: Peer URLs already exists") \
    X(UNSAFE_RECONFIGURATION, 9, \
      "etcdserver: re-configuration failed due to not enough started members") \
    X(NOT_LEARNER, 9, "etcdserver: can only promote a learner member") \
    X(LEARNER_NOT_READY, 9, \
      "etcdserver: can only promote a learner member which is in sync with leader") \
    X(TOO_MANY_LEARNERS, 9, "etcdserver: too many learner members in cluster") \
    X(ROOT_USER_MISSING, 9, "etcdserver: root user does not exist") \
    X(ROOT_ROLE_MISSING, 9, "etcdserver: root user does not have root role") \
    X(USER_EXISTS, 9, "etcdserver: user name already exists") \
    X(USER_NOT_FOUND, 9, "etcdserver: user name not found") \
    X(ROLE_EXISTS, 9, "etcdserver: role name already exists") \
    X(ROLE_NOT_FOUND, 9, "etcdserver: role name not found") \
    X(ROLE_NOT_GRANTED, 9, "etcdserver: role is not granted to the user") \
    X(PERMISSION_NOT_GRANTED, 9, "etcdserver: permission is not granted to the role") \
    X(AUTH_NOT_ENABLED, 9, "etcdserver: authentication is not enabled") \
    X(LEARNER_UNSUPPORTED, 9, "etcdserver: rpc not supported for learner") \
    X(BAD_TRANSFEREE, 9, "etcdserver: bad leader transferee") \
    X(NOT_LEADER, 9, "etcdserver: not leader") \
    X(COMPACTED, 11, "etcdserver: mvcc: required revision has been compacted") \
    X(FUTURE_REVISION, 11, "etcdserver: mvcc: required revision is a future revision") \
    X(TTL_TOO_LARGE, 11, "etcdserver: too large lease TTL") \
    X(UNIMPLEMENTED, 12, "quorate: not implemented") \
    X(NO_LEADER, 14, "etcdserver: no leader") \
    X(LEADER_CHANGED, 14, "etcdserver: leader changed") \
    X(STOPPED, 14, "etcdserver: server stopped") \
    X(TIMEOUT, 14, "etcdserver: request timed out") \
    X(TIMEOUT_LEADER, 14, \
      "etcdserver: request timed out, possibly due to previous leader failure") \
    X(UNHEALTHY, 14, "etcdserver: unhealthy cluster") \
    X(CORRUPT_CLUSTER, 15, "etcdserver: corrupt cluster") \
    X(INVALID_TOKEN, 16, "etcdserver: invalid auth token")

enum kv_error {
    KV_OK = 0,
#define KV_ERROR_ENUM(name, grpc, text) KV_E_##name,
    KV_ERRORS(KV_ERROR_ENUM)
#undef KV_ERROR_ENUM
        KV_E_COUNT
};

/* Text for the client; "" for KV_OK and for a number outside of the table. Static. */
const char *kv_error_text(enum kv_error error);
/* gRPC status code: 0 for KV_OK, 2 (unknown) for a number outside of the table. */
int kv_error_grpc(enum kv_error error);

#endif
