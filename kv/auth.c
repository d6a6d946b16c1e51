/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding, and keeping up with the store; see auth.h.
 *
 * Two caches: one is read by the loop thread, the other is filled by a job, then they change
 * places. At most one job is under way; a change that comes meanwhile asks for another one.
 */
#include "kv/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "kv/auth_internal.h"
#include "kv/core/check.h"

#define MEMORY_FIRST 4096u

struct kv_auth {
    struct store_job job; /* first */
    struct kv_auth_options options;
    struct auth_cache cache;  /* in force */
    struct auth_cache filled; /* the job's */
    bool is_known;            /* cache has been filled at least once */
    bool is_stale;            /* and is not what the store holds by now */
    bool is_reading;
    bool is_again; /* something changed after the job was sent off */
    int read_status;
    struct base_mono now;
    uint64_t applied;      /* every login up to there is known */
    bool is_token_awaited; /* somebody has shown a newer one */
    struct kv_auth_waiter *waiters;
    struct auth_tokens tokens;
};

/* --- keeping up --- */

static int job_run(struct store_job *job, struct store_txn *txn)
{
    struct kv_auth *auth = (struct kv_auth *)job; /* its first member */
    auth->read_status = auth_cache_read(txn, &auth->filled);
    return auth->read_status == BASE_E_TOOBIG ? 0 : auth->read_status;
}

/* Makes room for the job. Beyond the limit nobody is known: no user, no permission. */
static bool filled_grow(struct kv_auth *auth)
{
    size_t cap = auth->filled.cap == 0 ? MEMORY_FIRST : auth->filled.cap * 2;
    uint8_t *memory = cap > KV_AUTH_MEMORY_MAX ? NULL : malloc(cap);
    if (memory == NULL) {
        auth->filled.users_count = 0;
        auth->filled.roles_count = 0;
        return false;
    }
    if (auth->filled.memory != NULL) {
        explicit_bzero(auth->filled.memory, auth->filled.cap);
        free(auth->filled.memory);
    }
    auth->filled.memory = memory;
    auth->filled.cap = cap;
    return true;
}

static void read_start(struct kv_auth *auth)
{
    if (auth->is_reading) {
        auth->is_again = true;
        return;
    }
    auth->is_reading = true;
    auth->is_again = false;
    auth->options.store.submit(auth->options.store.ctx, &auth->job);
}

/* Whoever is woken may wait again, or take others out, or cause a change: then the rest stays. */
static void waiters_wake(struct kv_auth *auth)
{
    while (auth->waiters != NULL && !auth->is_stale) {
        struct kv_auth_waiter *waiter = auth->waiters;
        auth->waiters = waiter->next;
        waiter->is_waiting = false;
        waiter->again(waiter);
    }
}

static void job_done(struct store_job *job, int status)
{
    struct kv_auth *auth = (struct kv_auth *)job;
    auth->is_reading = false;
    if (status != 0) {
        return; /* the store has failed and the node stops: nobody is let in any more */
    }
    if (auth->is_again || (auth->read_status == BASE_E_TOOBIG && filled_grow(auth))) {
        read_start(auth);
        return;
    }
    struct auth_cache held = auth->cache;
    auth->cache = auth->filled;
    auth->filled = held;
    auth->is_known = true;
    auth->is_stale = false;
    if (auth->cache.revision == 0) {
        auth_tokens_drop_all(&auth->tokens);
    }
    if (auth->options.known != NULL) {
        auth->options.known(auth->options.ctx);
    }
    waiters_wake(auth);
}

static void stale(struct kv_auth *auth)
{
    auth->is_stale = true;
    read_start(auth);
}

/* Logins up to there are known now. */
static void applied_up_to(struct kv_auth *auth, uint64_t index)
{
    if (index <= auth->applied) {
        return;
    }
    auth->applied = index;
    if (auth->is_token_awaited) {
        auth->is_token_awaited = false;
        if (auth->options.known != NULL) {
            auth->options.known(auth->options.ctx);
        }
    }
}

static void applied_ask(struct kv_auth *auth)
{
    if (auth->options.applied != NULL) {
        applied_up_to(auth, auth->options.applied(auth->options.ctx));
    }
}

void kv_auth_restored(struct kv_auth *auth)
{
    auth_tokens_drop_all(&auth->tokens); /* their users may be others now */
    stale(auth);
    applied_ask(auth);
}

void kv_auth_changed(struct kv_auth *auth, const struct kv_auth_event *event)
{
    switch (event->kind) {
    case KV_KIND_AUTHENTICATE:
        auth_tokens_add(&auth->tokens, event->token, event->name, auth->now);
        applied_up_to(auth, event->index);
        return;
    case KV_KIND_USER_DELETE:
    case KV_KIND_USER_PASSWORD:
        auth_tokens_drop_user(&auth->tokens, event->name);
        break;
    case KV_KIND_AUTH_DISABLE:
        auth_tokens_drop_all(&auth->tokens);
        break;
    default:
        break;
    }
    stale(auth);
}

void kv_auth_tick(struct kv_auth *auth, struct base_mono now)
{
    auth->now = now;
    auth_tokens_expire(&auth->tokens, now);
    applied_ask(auth);
}

bool kv_auth_wait(struct kv_auth *auth, struct kv_auth_waiter *waiter)
{
    if (auth->is_known && !auth->is_stale) {
        return true;
    }
    BASE_ASSERT(!waiter->is_waiting);
    waiter->is_waiting = true;
    waiter->next = NULL;
    struct kv_auth_waiter **link = &auth->waiters;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = waiter;
    return false;
}

void kv_auth_unwait(struct kv_auth *auth, struct kv_auth_waiter *waiter)
{
    struct kv_auth_waiter **link = &auth->waiters;
    while (*link != NULL && *link != waiter) {
        link = &(*link)->next;
    }
    if (*link == waiter) {
        *link = waiter->next;
    }
    waiter->is_waiting = false;
}

/* --- deciding --- */

/* Who it is: KV_OK and the user (NULL: nobody in particular), or why he is not believed. */
static enum kv_error identify(struct kv_auth *auth, const struct kv_auth_who *who,
                              struct slice *ret_name)
{
    if (who->token.len == 0) {
        *ret_name = who->common_name;
        return KV_OK;
    }
    *ret_name = auth_tokens_use(&auth->tokens, who->token, auth->now);
    return ret_name->len == 0 ? KV_E_INVALID_TOKEN : KV_OK;
}

static enum kv_error walk(const struct kv_grants *grants, const struct kv_request *request)
{
    if (request == NULL) {
        return kv_auth_walk_admin(grants);
    }
    if (request->kind == KV_KIND_RANGE && request->range.key.len == 0) {
        struct kv_watch_create all = {.range_end = request->range.range_end};
        return kv_auth_walk_watch(grants, &all);
    }
    return kv_auth_walk(grants, request);
}

/* What nobody may do who is not known by name, a bad token or a missing user included; and for whom
 * nothing but the request's own faults is told first, as etcd does. */
static enum kv_error decide(struct kv_auth *auth, const struct kv_auth_who *who,
                            const struct kv_request *request, struct slice *ret_name)
{
    enum kv_error known = identify(auth, who, ret_name);
    if (known != KV_OK) {
        *ret_name = SLICE_EMPTY;
        enum kv_error open = walk(NULL, request);
        return open == KV_OK ? KV_OK : known;
    }
    if (ret_name->len == 0) {
        return walk(NULL, request);
    }
    const struct cached_user *user = auth_cache_find(&auth->cache, *ret_name);
    if (user == NULL) { /* a certificate's name that is no user, or one just removed */
        enum kv_error open = walk(NULL, request);
        return open == KV_OK ? KV_OK : KV_E_PERMISSION_DENIED;
    }
    return walk(&user->grants, request);
}

enum kv_error kv_auth_decide(struct kv_auth *auth, const struct kv_auth_who *who,
                             const struct kv_request *request, uint8_t *memory,
                             struct kv_asker *ret)
{
    struct slice name = SLICE_EMPTY;
    if (!auth->is_known || (auth->is_stale && who->may_wait)) {
        return KV_E_AUTH_OLD_REVISION;
    }
    if (auth->cache.revision == 0) {
        *ret = (struct kv_asker){0};
        return KV_OK;
    }
    enum kv_error error = decide(auth, who, request, &name);
    if (error != KV_OK) {
        bool is_watch = request != NULL && request->kind == KV_KIND_RANGE &&
                        request->range.key.len == 0 && !who->may_wait;
        enum kv_error form = request == NULL || is_watch ? KV_OK : kv_check_request(request);
        return form != KV_OK ? form : error;
    }
    BASE_ASSERT(name.len <= KV_AUTH_NAME_MAX);
    if (name.len > 0) {
        memcpy(memory, name.data, name.len);
    }
    *ret = (struct kv_asker){slice_from(memory, name.len), auth->cache.revision};
    return KV_OK;
}

/* --- for those who log in --- */

int kv_auth_known_revision(const struct kv_auth *auth, uint64_t *ret)
{
    if (!auth->is_known || auth->is_stale) {
        return BASE_E_BUSY;
    }
    *ret = auth->cache.revision;
    return 0;
}

struct slice kv_auth_hash(const struct kv_auth *auth, struct slice user, bool *ret_is_no_password)
{
    const struct cached_user *found = auth_cache_find(&auth->cache, user);
    *ret_is_no_password = found != NULL && found->user.is_no_password;
    return found == NULL ? SLICE_EMPTY : found->user.hash;
}

bool kv_auth_is_ahead(struct kv_auth *auth, struct slice token)
{
    if (auth->options.applied == NULL || auth_token_index(token) <= auth->applied ||
        CANARY(TOKEN_NOT_AWAITED)) {
        return false;
    }
    MARK(KV_TOKEN_AHEAD);
    auth->is_token_awaited = true;
    return true;
}

bool kv_auth_has_token(struct kv_auth *auth, struct slice token)
{
    return auth_tokens_use(&auth->tokens, token, auth->now).len > 0;
}

uint32_t kv_auth_tokens(const struct kv_auth *auth)
{
    return auth->tokens.count;
}

/* --- opening and closing --- */

int kv_auth_open(const struct kv_auth_options *options, struct kv_auth **ret)
{
    struct kv_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL) {
        return BASE_E_NOMEM;
    }
    auth->job = (struct store_job){.run = job_run, .done = job_done, .is_read_only = true};
    auth->options = *options;
    auth->is_stale = true;
    auth->tokens.key = UINT64_C(14695981039346656037) ^ (uint64_t)(uintptr_t)auth;
    *ret = auth;
    return 0;
}

static void cache_free(struct auth_cache *cache)
{
    if (cache->memory != NULL) {
        explicit_bzero(cache->memory, cache->cap);
        free(cache->memory);
    }
}

void kv_auth_close(struct kv_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    auth_tokens_drop_all(&auth->tokens);
    cache_free(&auth->cache);
    cache_free(&auth->filled);
    free(auth);
}
