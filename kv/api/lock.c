/* SPDX-License-Identifier: Apache-2.0 */
/* v3lockpb.Lock: the key that was created first under NAME/ owns the lock.
 *
 * Lock puts NAME/LEASE, waits until everything created before it is gone, and then reads its own
 * key once more: a lease that ran out in the queue must not be told that it owns anything. As with
 * etcd the lock says who comes next, not that nobody else still acts: what is guarded must compare
 * revisions.
 */
#include "base/assert.h"
#include "base/canary.h"
#include "kv/api/recipe.h"
#include "proto/wire/kv_tables.h"

#define EXPIRED_TEXT "mutex: session is expired"

static void reply(struct recipe *recipe, const struct kv_header *header)
{
    const struct kv_lock_response response = {
        .has_header = true, .header = *header, .key = recipe->key};
    recipe_reply(recipe, &wire_kv_lock_response_table, &response, 0);
}

static void read_again(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_range_response *range = &response->range;
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED);
    } else if (range->kvs.count == 0 ||
               range->kvs.items[0].create_revision != recipe->my_revision) {
        recipe->has_key = false;
        recipe_fail_text(recipe, EXPIRED_TEXT);
    } else {
        reply(recipe, &range->header);
    }
}

static void alone(struct recipe *recipe, const struct kv_response *response)
{
    if (CANARY(LOCK_WITHOUT_SECOND_LOOK) && recipe->call_id != 0) {
        reply(recipe, &response->range.header);
        return;
    }
    recipe->request = (struct kv_request){.kind = KV_KIND_RANGE, .range.key = recipe->key};
    recipe_ask(recipe, read_again);
}

static void acquired(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_txn_response *txn = &response->txn;
    const struct kv_range_response *owner = &txn->responses.items[1].range;
    recipe->my_revision = txn->header.revision;
    if (!txn->is_succeeded) {
        recipe->my_revision = txn->responses.items[0].range.kvs.items[0].create_revision;
    }
    recipe->has_key = true;
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED); /* takes the key back */
    } else if (owner->kvs.count == 0 ||
               owner->kvs.items[0].create_revision == recipe->my_revision) {
        reply(recipe, &txn->header);
    } else {
        recipe_wait_deletes(recipe, recipe->my_revision - 1, alone);
    }
}

static void leased(struct recipe *recipe, const struct kv_response *response)
{
    if (response != NULL) {
        recipe->lease = response->lease_grant.id;
    }
    recipe_set_key(recipe);
    recipe_compare_created(recipe, 0);
    recipe->then_ops[0] =
        (struct kv_op){.kind = KV_OP_PUT, .put = {.key = recipe->key, .lease = recipe->lease}};
    recipe->then_ops[1] = (struct kv_op){.kind = KV_OP_RANGE, .range = recipe_first(recipe)};
    recipe->else_ops[0] = (struct kv_op){.kind = KV_OP_RANGE, .range.key = recipe->key};
    recipe->else_ops[1] = recipe->then_ops[1];
    recipe->request.txn.then_ops = (struct kv_ops){recipe->then_ops, 2};
    recipe->request.txn.else_ops = (struct kv_ops){recipe->else_ops, 2};
    recipe_ask(recipe, acquired);
}

static void lock(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_lock request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_lock_table, &request);
    if (recipe != NULL && recipe_set_prefix(recipe, request.name)) {
        recipe->lease = request.lease;
        recipe_need_lease(recipe, leased);
    }
}

static void unlocked(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_header_response answer = {.has_header = true,
                                              .header = response->delete_range.header};
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED);
    } else {
        recipe_reply(recipe, &wire_kv_header_response_table, &answer, 0);
    }
}

static void unlock(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_unlock request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_unlock_table, &request);
    if (recipe == NULL) {
        return;
    }
    recipe->request = (struct kv_request){.kind = KV_KIND_DELETE, .delete_range.key = request.key};
    recipe_ask(recipe, unlocked);
}

static const struct rpc_method methods[] = {
    {.path = "/v3lockpb.Lock/Lock",
     .access = RPC_WRITE,
     .gateway = "/v3/lock/lock",
     .unary = lock,
     .canceled = recipe_canceled},
    {.path = "/v3lockpb.Lock/Unlock",
     .access = RPC_WRITE,
     .gateway = "/v3/lock/unlock",
     .unary = unlock,
     .canceled = recipe_canceled},
};

int lock_register(struct recipes *recipes)
{
    return rpc_register(recipes_registry(recipes), methods, BASE_COUNT_OF(methods), recipes);
}
