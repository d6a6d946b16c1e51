/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of kv/auth: the copy of users and roles (auth_cache.c) and the tokens (auth_token.c).
 * Nobody else includes it. */
#ifndef QUORATE_KV_AUTH_INTERNAL_H
#define QUORATE_KV_AUTH_INTERNAL_H

#include "kv/auth.h"
#include "kv/core/auth_walk.h"

struct cached_user {
    struct slice name;
    struct kv_user user;
    struct kv_grants grants;
};

struct cached_role {
    struct slice name;
    struct kv_role role;
};

/* All users and roles as they stood in one store job. Everything lies in `memory`. */
struct auth_cache {
    uint8_t *memory;
    size_t cap;
    uint64_t revision; /* 0: not enabled, and then there are no users here */
    struct cached_user *users;
    size_t users_count;
    struct cached_role *roles;
    size_t roles_count;
};

/* Storage thread: fills the cache from the store. BASE_E_TOOBIG: cap is too small. */
MUST_CHECK int auth_cache_read(struct store_txn *txn, struct auth_cache *cache);
/* NULL: no such user. */
const struct cached_user *auth_cache_find(const struct auth_cache *cache, struct slice name);

/* A token and whose it is; in a bucket and in the order of use. */
struct auth_token {
    struct auth_token *next; /* of the bucket */
    struct auth_token *older;
    struct auth_token *newer;
    struct base_mono used;
    uint8_t token[KV_AUTH_TOKEN_MAX];
    uint16_t token_len;
    uint16_t user_len;
    uint8_t user[];
};

#define TOKEN_BUCKETS 1024u

struct auth_tokens {
    uint64_t key; /* of the hash: nobody outside chooses who shares a bucket */
    uint32_t count;
    struct auth_token *oldest;
    struct auth_token *newest;
    struct auth_token *buckets[TOKEN_BUCKETS];
};

/* Without memory the token is not kept: its holder logs in again. */
void auth_tokens_add(struct auth_tokens *tokens, struct slice token, struct slice user,
                     struct base_mono now);
/* The user's name, valid until the next change; empty: no such token. Counts as use. */
struct slice auth_tokens_use(struct auth_tokens *tokens, struct slice token, struct base_mono now);
/* The index at its end; 0: it has none. */
uint64_t auth_token_index(struct slice token);
void auth_tokens_drop_user(struct auth_tokens *tokens, struct slice user);
void auth_tokens_drop_all(struct auth_tokens *tokens);
void auth_tokens_expire(struct auth_tokens *tokens, struct base_mono now);

#endif
