/* SPDX-License-Identifier: Apache-2.0 */
/* v3electionpb.Election: the key that was created first under NAME/ is the leader's, its value what
 * the leader proclaims.
 *
 * A candidate puts NAME/LEASE and waits like one who wants a lock (lock.c). Proclaim and Resign
 * hold only while the leader's key is the one that was created then. Observe tells every
 * proclamation of every leader, in order; a slow observer is waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/recipe.h"
#include "proto/wire/kv_tables.h"

#define NO_LEADER_TEXT "election: no leader"
#define NOT_LEADER_TEXT "election: not leader"
#define NO_FIELD_TEXT "\"leader\" field must be provided"
#define PAIR_ROOM 128u /* bytes of an answer around a key and a value */

static void observe_look(struct recipe *recipe);

/* --- Campaign --- */

static void campaign_reply(struct recipe *recipe)
{
    const struct kv_campaign_response response = {.has_header = true,
                                                  .header = recipe->header,
                                                  .has_leader = true,
                                                  .leader = {.name = recipe->name,
                                                             .key = recipe->key,
                                                             .rev = recipe->my_revision,
                                                             .lease = recipe->lease}};
    recipe_reply(recipe, &wire_kv_campaign_response_table, &response, 0);
}

static void campaign_read(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_range_response *range = &response->range;
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED);
    } else if (range->kvs.count == 0 ||
               range->kvs.items[0].create_revision != recipe->my_revision) {
        recipe->has_key = false; /* the lease has run out while waiting */
        recipe_fail_text(recipe, NOT_LEADER_TEXT);
    } else {
        campaign_reply(recipe);
    }
}

static void campaign_alone(struct recipe *recipe, const struct kv_response *response)
{
    (void)response;
    recipe->request = (struct kv_request){.kind = KV_KIND_RANGE,
                                          .range = {.key = recipe->key, .is_keys_only = true}};
    recipe_ask(recipe, campaign_read);
}

static void campaign_wait(struct recipe *recipe)
{
    recipe_wait_deletes(recipe, recipe->my_revision - 1, campaign_alone);
}

static void campaign_proclaimed(struct recipe *recipe, const struct kv_response *response)
{
    if (!response->txn.is_succeeded) {
        recipe->has_key = false;
        recipe_fail_text(recipe, NOT_LEADER_TEXT);
        return;
    }
    campaign_wait(recipe);
}

static void put_if_created(struct recipe *recipe, int64_t revision, recipe_step_fn *step)
{
    recipe_compare_created(recipe, revision);
    recipe->then_ops[0] =
        (struct kv_op){.kind = KV_OP_PUT,
                       .put = {.key = recipe->key, .value = recipe->value, .lease = recipe->lease}};
    recipe->else_ops[0] = (struct kv_op){.kind = KV_OP_RANGE, .range.key = recipe->key};
    recipe->request.txn.then_ops = (struct kv_ops){recipe->then_ops, 1};
    /* only who creates the key wants to see the one that is there */
    recipe->request.txn.else_ops = (struct kv_ops){recipe->else_ops, revision == 0};
    recipe_ask(recipe, step);
}

static void campaign_entered(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_txn_response *txn = &response->txn;
    recipe->header = txn->header;
    recipe->my_revision = txn->header.revision;
    recipe->has_key = true;
    if (txn->is_succeeded) {
        campaign_wait(recipe);
        return;
    }
    const struct kv_pair *mine = &txn->responses.items[0].range.kvs.items[0];
    recipe->my_revision = mine->create_revision;
    if (slice_equal(mine->value, recipe->value)) {
        campaign_wait(recipe);
    } else {
        put_if_created(recipe, recipe->my_revision, campaign_proclaimed);
    }
}

static void campaign_leased(struct recipe *recipe, const struct kv_response *response)
{
    if (response != NULL) {
        recipe->lease = response->lease_grant.id;
    }
    recipe_set_key(recipe);
    put_if_created(recipe, 0, campaign_entered);
}

static void campaign(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_campaign request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_campaign_table, &request);
    if (recipe != NULL && recipe_set_prefix(recipe, request.name)) {
        recipe->name = request.name;
        recipe->value = request.value;
        recipe->lease = request.lease;
        recipe_need_lease(recipe, campaign_leased);
    }
}

/* --- Proclaim, Resign --- */

static void header_reply(struct recipe *recipe, const struct kv_header *header)
{
    const struct kv_header_response answer = {.has_header = true, .header = *header};
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED);
    } else {
        recipe_reply(recipe, &wire_kv_header_response_table, &answer, 0);
    }
}

static void proclaimed(struct recipe *recipe, const struct kv_response *response)
{
    if (!response->txn.is_succeeded) {
        recipe_fail_text(recipe, NOT_LEADER_TEXT);
    } else {
        header_reply(recipe, &response->txn.header);
    }
}

static void proclaim_leased(struct recipe *recipe, const struct kv_response *response)
{
    if (response != NULL) {
        recipe->lease = response->lease_grant.id;
    }
    recipe_compare_created(recipe, recipe->my_revision);
    recipe->then_ops[0] =
        (struct kv_op){.kind = KV_OP_PUT,
                       .put = {.key = recipe->key, .value = recipe->value, .lease = recipe->lease}};
    recipe->request.txn.then_ops = (struct kv_ops){recipe->then_ops, 1};
    recipe_ask(recipe, proclaimed);
}

/* False: no leader was given, and the call has been told so. */
static bool take_leader(struct recipe *recipe, bool is_given, const struct kv_leader_key *leader)
{
    if (!is_given) {
        recipe_fail_text(recipe, NO_FIELD_TEXT);
        return false;
    }
    recipe->key = leader->key;
    return true;
}

static void proclaim(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_proclaim request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_proclaim_table, &request);
    if (recipe == NULL) {
        return;
    }
    if (!take_leader(recipe, request.has_leader, &request.leader)) {
        return;
    }
    recipe->my_revision = request.leader.rev;
    recipe->lease = request.leader.lease;
    recipe->value = request.value;
    recipe_need_lease(recipe, proclaim_leased);
}

static void resigned(struct recipe *recipe, const struct kv_response *response)
{
    header_reply(recipe, &response->txn.header);
}

static void resign(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_resign request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_resign_table, &request);
    if (recipe == NULL) {
        return;
    }
    if (!take_leader(recipe, request.has_leader, &request.leader)) {
        return;
    }
    recipe_compare_created(recipe, request.leader.rev);
    recipe->then_ops[0] = (struct kv_op){.kind = KV_OP_DELETE, .delete_range.key = recipe->key};
    recipe->request.txn.then_ops = (struct kv_ops){recipe->then_ops, 1};
    recipe_ask(recipe, resigned);
}

/* --- Leader --- */

static void leader_found(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_range_response *range = &response->range;
    if (range->kvs.count == 0 || recipe->call_id == 0) {
        recipe_fail_text(recipe, NO_LEADER_TEXT);
        return;
    }
    const struct kv_leader_response answer = {
        .has_header = true, .header = range->header, .has_kv = true, .kv = range->kvs.items[0]};
    recipe_reply(recipe, &wire_kv_leader_response_table, &answer, answer.kv.value.len + PAIR_ROOM);
}

static void leader(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_leader request;
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_leader_table, &request);
    if (recipe != NULL && recipe_set_prefix(recipe, request.name)) {
        recipe->request = (struct kv_request){.kind = KV_KIND_RANGE, .range = recipe_first(recipe)};
        recipe_ask(recipe, leader_found);
    }
}

/* --- Observe --- */

/* Sends one proclamation; BASE_E_BUSY: the client takes nothing now. */
static int observe_send(struct recipe *recipe, const struct kv_header *header,
                        const struct kv_pair *pair)
{
    struct rpc_call *call = rpc_find(recipes_registry(recipe->owner), recipe->call_id);
    const struct kv_leader_response response = {
        .has_header = true, .header = *header, .has_kv = true, .kv = *pair};
    size_t cap = pair->key.len + pair->value.len + PAIR_ROOM;
    uint8_t *memory = malloc(cap);
    struct buf out = buf_over(memory, memory == NULL ? 0 : cap);
    int rc = memory == NULL ? BASE_E_NOMEM : 0;
    rc = rc != 0 ? rc : wire_pb_encode(&wire_kv_leader_response_table, &response, &out);
    rc = rc != 0 ? rc : rpc_send(call, buf_slice(&out));
    if (rc == BASE_E_BUSY && recipe->stream == NULL) { /* nobody would offer it again */
        recipe->pending = memory;
        recipe->pending_len = out.len;
        return rc;
    }
    free(memory);
    return rc;
}

/* An event of the leader's key. */
static int observe_event(struct recipe *recipe, const struct kv_event *event,
                         const struct kv_header *header)
{
    if (event->kv.mod_revision <= recipe->seen) {
        return 0; /* offered once more after the client was busy */
    }
    if (event->type == 1) {
        return 1;
    }
    int rc = observe_send(recipe, header, &event->kv);
    recipe->seen = rc == 0 ? event->kv.mod_revision : recipe->seen;
    return rc;
}

static int observe_any(struct recipe *recipe, const struct kv_event *event,
                       const struct kv_header *header)
{
    (void)recipe;
    (void)header;
    return event->type == 0;
}

static void observe_follow(struct recipe *recipe)
{
    recipe->event = observe_event;
    recipe->fired = observe_look;
    recipe_watch(recipe, recipe->watched, SLICE_EMPTY, recipe->seen + 1);
}

static void observe_found(struct recipe *recipe, const struct kv_response *response)
{
    const struct kv_range_response *range = &response->range;
    if (recipe->call_id == 0) {
        recipe_fail(recipe, KV_E_STOPPED);
        return;
    }
    recipe->seen = range->header.revision;
    if (range->kvs.count == 0) { /* until somebody comes */
        recipe->event = observe_any;
        recipe->fired = observe_look;
        recipe_watch(recipe, recipe->prefix, recipe->prefix_end, recipe->seen + 1);
        return;
    }
    const struct kv_pair *pair = &range->kvs.items[0];
    memcpy(recipe->watched_bytes, pair->key.data, pair->key.len);
    recipe->watched = slice_from(recipe->watched_bytes, pair->key.len);
    int rc = observe_send(recipe, &range->header, pair);
    if (rc == 0) {
        observe_follow(recipe);
    } else if (rc != BASE_E_BUSY) {
        recipe_fail(recipe, KV_E_TOO_MANY_REQUESTS);
    } /* else `writable` goes on */
}

static void observe_look(struct recipe *recipe)
{
    recipe->request = (struct kv_request){.kind = KV_KIND_RANGE, .range = recipe_first(recipe)};
    recipe_ask(recipe, observe_found);
}

static void observe_message(void *ctx, struct rpc_call *call, struct slice message)
{
    struct kv_leader request;
    if (call->user != NULL) {
        return; /* one request a call */
    }
    struct recipe *recipe = recipe_begin(ctx, call, message, &wire_kv_leader_table, &request);
    if (recipe != NULL && recipe_set_prefix(recipe, request.name)) {
        observe_look(recipe);
    }
}

static void observe_writable(void *ctx, struct rpc_call *call)
{
    struct recipe *recipe = call->user;
    (void)ctx;
    if (recipe == NULL) {
        return;
    }
    if (recipe->pending != NULL) {
        if (rpc_send(call, slice_from(recipe->pending, recipe->pending_len)) == 0) {
            free(recipe->pending);
            recipe->pending = NULL;
            observe_follow(recipe);
        }
    } else if (recipe->stream != NULL) {
        kv_watch_writable(recipe->stream);
    }
}

static const struct rpc_method methods[] = {
    {.path = "/v3electionpb.Election/Campaign",
     .access = RPC_WRITE,
     .gateway = "/v3/election/campaign",
     .unary = campaign,
     .canceled = recipe_canceled},
    {.path = "/v3electionpb.Election/Proclaim",
     .access = RPC_WRITE,
     .gateway = "/v3/election/proclaim",
     .unary = proclaim,
     .canceled = recipe_canceled},
    {.path = "/v3electionpb.Election/Leader",
     .access = RPC_READ,
     .gateway = "/v3/election/leader",
     .unary = leader,
     .canceled = recipe_canceled},
    {.path = "/v3electionpb.Election/Observe",
     .kind = RPC_STREAM,
     .access = RPC_READ,
     .gateway = "/v3/election/observe",
     .message = observe_message,
     .writable = observe_writable,
     .canceled = recipe_canceled},
    {.path = "/v3electionpb.Election/Resign",
     .access = RPC_WRITE,
     .gateway = "/v3/election/resign",
     .unary = resign,
     .canceled = recipe_canceled},
};

int election_register(struct recipes *recipes)
{
    return rpc_register(recipes_registry(recipes), methods, BASE_COUNT_OF(methods), recipes);
}
