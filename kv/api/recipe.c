/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, waits and ends of recipes; see recipe.h. */
#include "kv/api/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/canary.h"
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"

#define RETRIES_MAX 8u
#define ANSWER_ARENA_BYTES 4096u
#define EVENTS_ARENA_BYTES 16384u

struct recipes {
    struct recipes_options options;
    struct io_wake *wake;
    struct recipe *woken;
    uint32_t count;
};

static void ask_now(struct recipe *recipe);
static void wait_next(struct recipe *recipe, const struct kv_response *response);

/* --- life --- */

struct rpc_registry *recipes_registry(const struct recipes *recipes)
{
    return recipes->options.registry;
}

uint32_t recipes_count(const struct recipes *recipes)
{
    return recipes->count;
}

static struct rpc_call *call_of(const struct recipe *recipe)
{
    return recipe->call_id == 0 ? NULL : rpc_find(recipe->owner->options.registry, recipe->call_id);
}

static void permissions_known(struct kv_auth_waiter *waiter)
{
    ask_now(waiter->user);
}

static struct recipe *recipe_new(struct recipes *recipes, struct rpc_call *call,
                                 struct slice message)
{
    struct recipe *recipe =
        recipes->count >= RECIPES_MAX ? NULL : calloc(1, sizeof(struct recipe) + message.len);
    if (recipe == NULL) {
        return NULL;
    }
    recipes->count++;
    recipe->owner = recipes;
    recipe->call_id = call->id;
    recipe->waiter = (struct kv_auth_waiter){.user = recipe, .again = permissions_known};
    recipe->message_len = message.len;
    if (message.len > 0) {
        memcpy(recipe->message, message.data, message.len);
    }
    call->user = recipe;
    return recipe;
}

struct recipe *recipe_begin(struct recipes *recipes, struct rpc_call *call, struct slice message,
                            const struct wire_pb_message *table, void *ret_object)
{
    struct base_arena none = {0};
    struct recipe *recipe = recipe_new(recipes, call, message);
    if (recipe == NULL) {
        if (call->method->kind == RPC_STREAM) {
            rpc_finish(call, KV_E_TOO_MANY_REQUESTS);
        } else {
            rpc_reply_error(call, KV_E_TOO_MANY_REQUESTS);
        }
        return NULL;
    }
    if (wire_pb_decode(table, slice_from(recipe->message, message.len), &none, ret_object) != 0) {
        recipe_fail(recipe, KV_E_MALFORMED);
        return NULL;
    }
    return recipe;
}

static void watch_close(struct recipe *recipe)
{
    if (recipe->stream != NULL) {
        kv_watch_stream_close(recipe->stream);
        recipe->stream = NULL;
    }
    if (recipe->is_woken) {
        struct recipe **link = &recipe->owner->woken;
        while (*link != recipe) {
            link = &(*link)->next_woken;
        }
        *link = recipe->next_woken;
        recipe->is_woken = false;
    }
}

static void recipe_free(struct recipe *recipe)
{
    watch_close(recipe);
    BASE_ASSERT(!recipe->is_busy && !recipe->waiter.is_waiting);
    recipe->owner->count--;
    free(recipe->pending);
    free(recipe);
}

static void undone(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct recipe *recipe = (struct recipe *)kv; /* its first member */
    (void)error;                                 /* when it fails, the lease takes the key along */
    (void)response;
    recipe->is_busy = false;
    recipe_free(recipe);
}

/* The end of a call: takes back the key that it has put, when it is to go, and frees. The node's
 * own request, as the caller was allowed to put the key and nobody else's is removed. */
static void end(struct recipe *recipe)
{
    recipe->call_id = 0;
    watch_close(recipe);
    if (!recipe->has_key) {
        recipe_free(recipe);
        return;
    }
    recipe->has_key = false;
    recipe_compare_created(recipe, recipe->my_revision);
    recipe->then_ops[0] = (struct kv_op){.kind = KV_OP_DELETE, .delete_range.key = recipe->key};
    recipe->request.txn.then_ops = (struct kv_ops){recipe->then_ops, 1};
    recipe->kv = (struct kv_call){
        .request = &recipe->request,
        .deadline = base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US),
        .asker.auth_revision = KV_ASKER_INTERNAL,
        .done = undone,
    };
    recipe->is_busy = true;
    if (kv_service_submit(recipe->owner->options.service, &recipe->kv) != KV_OK) {
        recipe->is_busy = false;
        recipe_free(recipe);
    }
}

void recipe_fail_text(struct recipe *recipe, const char *text)
{
    struct rpc_call *call = call_of(recipe);
    if (call != NULL && call->method->kind == RPC_STREAM) {
        rpc_finish_status(call, IO_GRPC_UNKNOWN, text);
    } else if (call != NULL) {
        rpc_reply_status(call, IO_GRPC_UNKNOWN, text);
    }
    end(recipe);
}

void recipe_fail(struct recipe *recipe, enum kv_error error)
{
    recipe_fail_text(recipe, kv_error_text(error));
}

void recipe_reply(struct recipe *recipe, const struct wire_pb_message *table, const void *object,
                  size_t extra)
{
    struct rpc_call *call = call_of(recipe);
    size_t cap = 4 * KV_KEY_MAX + 512 + extra;
    uint8_t *memory = malloc(cap);
    struct buf out = buf_over(memory, memory == NULL ? 0 : cap);
    recipe->has_key = false; /* it is the caller's now */
    if (memory == NULL || wire_pb_encode(table, object, &out) != 0) {
        rpc_reply_error(call, KV_E_RESPONSE_TOO_LARGE);
    } else {
        rpc_reply(call, buf_slice(&out));
    }
    free(memory);
    end(recipe);
}

void recipe_canceled(void *ctx, struct rpc_call *call)
{
    struct recipe *recipe = call->user;
    (void)ctx;
    if (recipe == NULL) {
        return;
    }
    recipe->call_id = 0;
    if (recipe->waiter.is_waiting) {
        kv_auth_unwait(recipe->owner->options.auth, &recipe->waiter);
    }
    if (!recipe->is_busy) { /* else the answer of the service ends it */
        end(recipe);
    }
}

/* --- names --- */

bool recipe_set_prefix(struct recipe *recipe, struct slice name)
{
    struct buf out = buf_over(recipe->bytes, sizeof(recipe->bytes));
    if (name.len + 1 + 16 > KV_KEY_MAX) {
        recipe_fail(recipe, KV_E_REQUEST_TOO_LARGE);
        return false;
    }
    buf_put(&out, name);
    buf_put_u8(&out, '/');
    recipe->prefix = buf_slice(&out);
    buf_put(&out, name);
    buf_put_u8(&out, '/' + 1);
    recipe->prefix_end = slice_skip(buf_slice(&out), recipe->prefix.len);
    BASE_ASSERT(!out.is_full);
    return true;
}

void recipe_set_key(struct recipe *recipe)
{
    size_t used = recipe->prefix.len + recipe->prefix_end.len;
    struct buf out = buf_over(recipe->bytes + used, sizeof(recipe->bytes) - used);
    buf_put(&out, recipe->prefix);
    buf_put_hex(&out, (uint64_t)recipe->lease, 1);
    BASE_ASSERT(!out.is_full);
    recipe->key = buf_slice(&out);
}

/* --- requests --- */

static void answered(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct recipe *recipe = (struct recipe *)kv;
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[ANSWER_ARENA_BYTES];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response decoded = {0};
    recipe->is_busy = false;
    if (error == KV_E_AUTH_OLD_REVISION && recipe->retries++ < RETRIES_MAX &&
        recipe->call_id != 0) {
        ask_now(recipe); /* nothing was done; permissions have changed */
        return;
    }
    if (error == KV_OK &&
        kv_wire_decode_response(recipe->request.kind, response, &arena, &decoded) != 0) {
        error = KV_E_RESPONSE_TOO_LARGE;
    }
    if (error != KV_OK) {
        recipe_fail(recipe, error);
        return;
    }
    recipe->retries = 0;
    recipe->step(recipe, &decoded);
}

static void wait_permissions(struct recipe *recipe)
{
    struct kv_auth *auth = recipe->owner->options.auth;
    if (auth == NULL || recipe->retries++ >= RETRIES_MAX) {
        recipe_fail(recipe, KV_E_AUTH_OLD_REVISION);
    } else if (kv_auth_wait(auth, &recipe->waiter)) {
        ask_now(recipe);
    }
}

static void ask_now(struct recipe *recipe)
{
    struct rpc_call *call = call_of(recipe);
    BASE_ASSERT(call != NULL);
    enum kv_error error = rpc_allow(call, &recipe->request);
    if (error == KV_E_AUTH_OLD_REVISION) {
        wait_permissions(recipe);
        return;
    }
    struct slice user = call->asker.user;
    if (error == KV_OK && user.len > 0) { /* the call may go before the entry is encoded */
        BASE_ASSERT(user.len <= sizeof(recipe->asker_name));
        memcpy(recipe->asker_name, user.data, user.len);
    }
    recipe->kv = (struct kv_call){
        .request = &recipe->request,
        .deadline = base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US),
        .asker = {slice_from(recipe->asker_name, user.len), call->asker.auth_revision},
        .done = answered,
    };
    if (error == KV_OK) {
        error = kv_service_submit(recipe->owner->options.service, &recipe->kv);
    }
    recipe->is_busy = error == KV_OK;
    if (error != KV_OK) {
        recipe_fail(recipe, error);
    }
}

void recipe_ask(struct recipe *recipe, recipe_step_fn *step)
{
    recipe->step = step;
    if (recipe->call_id == 0) { /* gone while the last request was under way */
        end(recipe);
        return;
    }
    ask_now(recipe);
}

void recipe_need_lease(struct recipe *recipe, recipe_step_fn *step)
{
    if (recipe->lease != 0) {
        step(recipe, NULL);
        return;
    }
    recipe->request =
        (struct kv_request){.kind = KV_KIND_LEASE_GRANT, .lease_grant.ttl = RECIPE_LEASE_TTL_S};
    recipe_ask(recipe, step);
}

void recipe_compare_created(struct recipe *recipe, int64_t revision)
{
    recipe->compare = (struct kv_compare){.result = KV_EQUAL,
                                          .target = KV_TARGET_CREATE,
                                          .key = recipe->key,
                                          .which = KV_COMPARE_CREATE,
                                          .number = revision};
    recipe->request =
        (struct kv_request){.kind = KV_KIND_TXN, .txn.compares = {&recipe->compare, 1}};
}

struct kv_range recipe_first(const struct recipe *recipe)
{
    return (struct kv_range){.key = recipe->prefix,
                             .range_end = recipe->prefix_end,
                             .limit = 1,
                             .sort_order = KV_SORT_ASCEND,
                             .sort_target = KV_SORT_CREATE};
}

/* --- watches --- */

static void wake(struct recipe *recipe)
{
    struct recipes *recipes = recipe->owner;
    if (!recipe->is_woken) {
        recipe->is_woken = true;
        recipe->next_woken = recipes->woken;
        recipes->woken = recipe;
    }
    if (recipes->wake != NULL) {
        io_wake_send(recipes->wake);
    }
}

/* From the hub, which must not be called from here. */
static int watch_send(void *ctx, struct slice message)
{
    struct recipe *recipe = ctx;
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[EVENTS_ARENA_BYTES];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_watch_response response;
    if (recipe->is_woken) {
        return 0;
    }
    int rc = wire_pb_decode(&wire_kv_watch_response_table, message, &arena, &response);
    if (rc != 0 || response.is_canceled) { /* many events, or compacted: look at the keys again */
        recipe->watch_error = rc == 0 && response.is_created ? KV_E_TOO_MANY_REQUESTS : KV_OK;
        wake(recipe);
        return 0;
    }
    for (size_t i = 0; i < response.events.count; i++) {
        rc = recipe->event(recipe, &response.events.items[i], &response.header);
        if (rc == BASE_E_BUSY) {
            return rc;
        }
        if (rc != 0) {
            recipe->watch_error = rc < 0 ? KV_E_TOO_MANY_REQUESTS : KV_OK;
            wake(recipe);
            return 0;
        }
    }
    return 0;
}

static void watch_end(void *ctx, enum kv_error error)
{
    struct recipe *recipe = ctx;
    recipe->watch_error = error == KV_OK ? KV_E_TOO_MANY_REQUESTS : error;
    wake(recipe);
}

void recipe_watch(struct recipe *recipe, struct slice key, struct slice range_end, int64_t revision)
{
    const struct kv_watch_sink sink = {.ctx = recipe, .send = watch_send, .end = watch_end};
    const struct kv_watch_request request = {
        .which = 1, .create = {.key = key, .range_end = range_end, .start_revision = revision}};
    recipe->watch_error = KV_OK;
    BASE_ASSERT(recipe->stream == NULL);
    if (kv_watch_stream_open(recipe->owner->options.hub, &sink, &recipe->stream) != 0) {
        recipe->stream = NULL;
        recipe_fail(recipe, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    /* What it sees is within what the range before it has read, with the caller's permission. */
    kv_watch_stream_request(recipe->stream, &request, KV_OK);
}

void recipes_pump(struct recipes *recipes)
{
    while (recipes->woken != NULL) {
        struct recipe *recipe = recipes->woken;
        watch_close(recipe); /* takes it out of the list */
        if (recipe->watch_error != KV_OK) {
            recipe_fail(recipe, recipe->watch_error);
        } else {
            recipe->fired(recipe);
        }
    }
}

/* --- waiting for older keys to go --- */

static int delete_seen(struct recipe *recipe, const struct kv_event *event,
                       const struct kv_header *header)
{
    (void)recipe;
    (void)header;
    return event->type == 1;
}

static void wait_look(struct recipe *recipe)
{
    struct kv_range range = recipe_first(recipe);
    range.sort_order = KV_SORT_DESCEND;
    range.is_keys_only = true;
    range.max_create_revision = recipe->my_revision - 1;
    recipe->request = (struct kv_request){.kind = KV_KIND_RANGE, .range = range};
    recipe_ask(recipe, wait_next);
}

static void wait_next(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_range_response *range = &response->range;
    bool is_seen = recipe->watched.len > 0 && CANARY(LOCK_SKIPS_QUEUE);
    if (range->kvs.count == 0 || is_seen) {
        recipe->after_wait(recipe, response);
        return;
    }
    if (recipe->call_id == 0) {
        end(recipe);
        return;
    }
    struct slice key = range->kvs.items[0].key;
    BASE_ASSERT(key.len <= sizeof(recipe->watched_bytes));
    memcpy(recipe->watched_bytes, key.data, key.len);
    recipe->watched = slice_from(recipe->watched_bytes, key.len);
    recipe->event = delete_seen;
    recipe->fired = wait_look;
    recipe_watch(recipe, recipe->watched, SLICE_EMPTY, range->header.revision + 1);
}

void recipe_wait_deletes(struct recipe *recipe, int64_t revision, recipe_step_fn *after)
{
    BASE_ASSERT(revision == recipe->my_revision - 1);
    recipe->after_wait = after;
    wait_look(recipe);
}

/* --- opening and closing --- */

static void woken(void *ctx)
{
    recipes_pump(ctx);
}

int recipes_new(const struct recipes_options *options, struct recipes **ret)
{
    struct recipes *recipes = calloc(1, sizeof(*recipes));
    if (recipes == NULL) {
        return BASE_E_NOMEM;
    }
    recipes->options = *options;
    int rc = options->loop == NULL ? 0 : io_wake_new(options->loop, woken, recipes, &recipes->wake);
    rc = rc != 0 ? rc : lock_register(recipes);
    rc = rc != 0 ? rc : election_register(recipes);
    if (rc != 0) {
        (void)recipes_free(recipes);
        return rc;
    }
    *ret = recipes;
    return 0;
}

struct recipes *recipes_free(struct recipes *recipes)
{
    if (recipes != NULL) {
        recipes->wake = io_wake_free(recipes->wake);
        free(recipes);
    }
    return NULL;
}
