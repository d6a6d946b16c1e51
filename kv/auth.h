/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and whether he may: etcd's users on one quorum node. Glue.
 *
 * Users and roles are read from the state store by a store job whenever an applied entry, or an
 * installed image, has changed them; between change and reading, requests wait. A decision names
 * the auth revision that it was made for, and kv/core/auth.h refuses the request where another one
 * is in force (AUTH_OLD_REVISION, to be decided anew), so an old copy here can never let through
 * what the log has forbidden.
 *
 * Tokens are made by the node where somebody logs in and come to every node with the log; they live
 * in memory, five minutes from their last use on that node, and end with their user, his password,
 * an installed image or with authentication itself. Loop thread only.
 */
#ifndef QUORATE_KV_AUTH_H
#define QUORATE_KV_AUTH_H

#include "kv/core/auth.h"
#include "raft/port_store.h"

#define KV_AUTH_TOKEN_MAX 64u               /* bytes of a token */
#define KV_AUTH_TOKENS_MAX 16384u           /* at a time; the longest unused one makes room */
#define KV_AUTH_TOKEN_US INT64_C(300000000) /* from the last use */
#define KV_AUTH_MEMORY_MAX (64u << 20)      /* of all users and roles; beyond, nobody is known */

struct kv_auth;

struct kv_auth_options {
    struct store_port store;
    void *ctx;
    /* Users and roles are known again, or newer tokens: ask anew for whatever was answered
     * AUTH_OLD_REVISION. Called before those who wait by kv_auth_wait. May be NULL. */
    void (*known)(void *ctx);
    /* The last entry that this node has applied, never asked while entries are being told; NULL: no
     * token is waited for. */
    uint64_t (*applied)(void *ctx);
};

MUST_CHECK int kv_auth_open(const struct kv_auth_options *options, struct kv_auth **ret);
/* The store must hold no job of it. NULL is fine. */
void kv_auth_close(struct kv_auth *auth);

/* The store can be read: once at the start, and from kv_service_options.restored. */
void kv_auth_restored(struct kv_auth *auth);
/* From kv_service_options.auth_changed. */
void kv_auth_changed(struct kv_auth *auth, const struct kv_auth_event *event);
/* Time passes: tokens end. About once a second. */
void kv_auth_tick(struct kv_auth *auth, struct base_mono now);

/* What is known of somebody who asks. */
struct kv_auth_who {
    struct slice token;       /* empty: none */
    struct slice common_name; /* of a verified certificate, for those who show no token; never of
                                 the gateway's traffic; empty: none */
    bool may_wait;            /* else decide by what is known, even if it is about to change */
};

/* KV_OK and the asker for kv_call.asker, his name in `memory` (KV_AUTH_NAME_MAX bytes). Or why not:
 * USER_EMPTY, INVALID_TOKEN, PERMISSION_DENIED, what is wrong with the request in the first place
 * (kv/core/check.h), or AUTH_OLD_REVISION: not known at present, `known` will be called. request
 * NULL: something that needs the role root. A RANGE without a key is a watch of all keys. */
enum kv_error kv_auth_decide(struct kv_auth *auth, const struct kv_auth_who *who,
                             const struct kv_request *request, uint8_t *memory,
                             struct kv_asker *ret);

/* Somebody who waits for `known`; owned by the caller until `again` or kv_auth_unwait. */
struct kv_auth_waiter {
    void *user;
    void (*again)(struct kv_auth_waiter *waiter);
    struct kv_auth_waiter *next;
    bool is_waiting;
};
/* True when it is all known already: nothing is kept and `again` is not called. */
bool kv_auth_wait(struct kv_auth *auth, struct kv_auth_waiter *waiter);
void kv_auth_unwait(struct kv_auth *auth, struct kv_auth_waiter *waiter);

/* The state in force as far as known; 0: authentication is not enabled. BASE_E_BUSY: see
 * kv_auth_wait. */
MUST_CHECK int kv_auth_known_revision(const struct kv_auth *auth, uint64_t *ret);
/* Hash of the user's password, empty when no password fits or there is no such user; valid until
 * the next call from the loop. *ret_is_no_password: a user who may not log in by password. */
struct slice kv_auth_hash(const struct kv_auth *auth, struct slice user, bool *ret_is_no_password);
/* Whether the token was made by an entry that this node has not applied yet: `known` will be
 * called. A token ends with the index of its entry ("RANDOM.INDEX"). */
bool kv_auth_is_ahead(struct kv_auth *auth, struct slice token);
/* Whether the token is known and alive; uses it. */
bool kv_auth_has_token(struct kv_auth *auth, struct slice token);
uint32_t kv_auth_tokens(const struct kv_auth *auth);

#endif
