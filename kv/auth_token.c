/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of those who have logged in; see auth.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rand.h"
#include "kv/auth_internal.h"

uint64_t auth_token_index(struct slice token)
{
    uint64_t index = 0;
    size_t at = token.len;
    while (at > 0 && token.data[at - 1] != '.') {
        at--;
    }
    return at > 0 && slice_to_u64(slice_skip(token, at), &index) == 0 ? index : 0;
}

static struct slice token_of(const struct auth_token *token)
{
    return slice_from(token->token, token->token_len);
}

static struct auth_token **bucket_of(struct auth_tokens *tokens, struct slice token)
{
    uint64_t hash = tokens->key;
    for (size_t i = 0; i < token.len; i++) {
        hash = (hash ^ token.data[i]) * UINT64_C(1099511628211);
    }
    return &tokens->buckets[(hash ^ (hash >> 32)) % TOKEN_BUCKETS];
}

static void order_remove(struct auth_tokens *tokens, struct auth_token *token)
{
    *(token->older == NULL ? &tokens->oldest : &token->older->newer) = token->newer;
    *(token->newer == NULL ? &tokens->newest : &token->newer->older) = token->older;
}

static void order_append(struct auth_tokens *tokens, struct auth_token *token)
{
    token->newer = NULL;
    token->older = tokens->newest;
    *(tokens->newest == NULL ? &tokens->oldest : &tokens->newest->newer) = token;
    tokens->newest = token;
}

static void drop(struct auth_tokens *tokens, struct auth_token *token)
{
    struct auth_token **link = bucket_of(tokens, token_of(token));
    while (*link != token) {
        link = &(*link)->next;
    }
    *link = token->next;
    order_remove(tokens, token);
    tokens->count--;
    explicit_bzero(token->token, sizeof(token->token));
    free(token);
}

static struct auth_token *find(struct auth_tokens *tokens, struct slice token)
{
    struct auth_token *at = *bucket_of(tokens, token);
    while (at != NULL && !slice_equal(token_of(at), token)) {
        at = at->next;
    }
    return at;
}

void auth_tokens_add(struct auth_tokens *tokens, struct slice token, struct slice user,
                     struct base_mono now)
{
    struct auth_token *known = find(tokens, token);
    if (known != NULL) {
        drop(tokens, known);
    }
    if (tokens->count >= KV_AUTH_TOKENS_MAX) {
        drop(tokens, tokens->oldest);
    }
    struct auth_token *added = NULL;
    if (token.len > 0 && token.len <= KV_AUTH_TOKEN_MAX && user.len > 0 &&
        user.len <= KV_AUTH_NAME_MAX) {
        added = calloc(1, sizeof(*added) + user.len);
    }
    if (added == NULL) {
        return;
    }
    memcpy(added->token, token.data, token.len);
    memcpy(added->user, user.data, user.len);
    added->token_len = (uint16_t)token.len;
    added->user_len = (uint16_t)user.len;
    added->used = now;
    struct auth_token **bucket = bucket_of(tokens, token);
    added->next = *bucket;
    *bucket = added;
    order_append(tokens, added);
    tokens->count++;
}

struct slice auth_tokens_use(struct auth_tokens *tokens, struct slice token, struct base_mono now)
{
    struct auth_token *found = find(tokens, token);
    if (found == NULL) {
        return SLICE_EMPTY;
    }
    if (base_mono_diff_us(now, found->used) > KV_AUTH_TOKEN_US) {
        drop(tokens, found);
        return SLICE_EMPTY;
    }
    found->used = now;
    order_remove(tokens, found);
    order_append(tokens, found);
    return slice_from(found->user, found->user_len);
}

void auth_tokens_drop_user(struct auth_tokens *tokens, struct slice user)
{
    struct auth_token *next = NULL;
    for (struct auth_token *at = tokens->oldest; at != NULL; at = next) {
        next = at->newer;
        if (slice_equal(slice_from(at->user, at->user_len), user)) {
            drop(tokens, at);
        }
    }
}

void auth_tokens_drop_all(struct auth_tokens *tokens)
{
    while (tokens->oldest != NULL) {
        drop(tokens, tokens->oldest);
    }
}

void auth_tokens_expire(struct auth_tokens *tokens, struct base_mono now)
{
    while (tokens->oldest != NULL &&
           base_mono_diff_us(now, tokens->oldest->used) > KV_AUTH_TOKEN_US) {
        drop(tokens, tokens->oldest);
    }
}
