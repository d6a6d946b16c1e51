/* SPDX-License-Identifier: Apache-2.0 */
/* Lock and Election on three quorum nodes, by calls as a transport would make them; and what users
 * and their permissions change about it. */
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "kv/api/recipe.h"
#include "kv/auth.h"
#include "proto/wire/kv_tables.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_world.h"

#define LOCK "/v3lockpb.Lock/Lock"
#define UNLOCK "/v3lockpb.Lock/Unlock"
#define CAMPAIGN "/v3electionpb.Election/Campaign"
#define PROCLAIM "/v3electionpb.Election/Proclaim"
#define LEADER "/v3electionpb.Election/Leader"
#define RESIGN "/v3electionpb.Election/Resign"
#define OBSERVE "/v3electionpb.Election/Observe"

/* What a node has for its clients. */
struct side {
    struct host *host;
    struct rpc_registry *registry;
    struct kv_watch_hub *hub;
    struct kv_auth *auth;
    struct recipes *recipes;
    int64_t told;
    int allowed; /* decisions of the walker in somebody's favour */
};

struct stage {
    struct world *world;
    struct side sides[NODES];
};

/* A client's call. */
struct client {
    struct rpc_call *call; /* NULL: answered */
    struct slice token;
    bool is_answered;
    bool takes_nothing;
    int status;
    char text[128];
    size_t len;
    uint8_t bytes[4096];
    int told; /* messages of a stream */
    char last[32];
    char all[256];
};

static struct slice sl(const char *text)
{
    return slice_from_text(text);
}

/* --- transport --- */

static void reply(struct rpc_call *call, enum io_grpc_status status, const char *text,
                  struct slice message)
{
    struct client *client = call->transport_call;
    assert_false(client->is_answered);
    client->is_answered = true;
    client->call = NULL;
    client->status = (int)status;
    (void)snprintf(client->text, sizeof(client->text), "%s", text == NULL ? "" : text);
    assert_true(message.len <= sizeof(client->bytes));
    client->len = message.len;
    if (message.len > 0) {
        memcpy(client->bytes, message.data, message.len);
    }
}

static int send_one(struct rpc_call *call, struct slice message)
{
    struct client *client = call->transport_call;
    struct kv_leader_response answer;
    struct base_arena none = {0};
    if (client->takes_nothing) {
        return BASE_E_BUSY;
    }
    assert_int_equal(wire_pb_decode(&wire_kv_leader_response_table, message, &none, &answer), 0);
    client->told++;
    (void)snprintf(client->last, sizeof(client->last), "%.*s", (int)answer.kv.value.len,
                   (const char *)answer.kv.value.data);
    size_t used = strlen(client->all);
    (void)snprintf(client->all + used, sizeof(client->all) - used, "%s ", client->last);
    return 0;
}

static size_t queued(const struct rpc_call *call)
{
    (void)call;
    return 0;
}

static void finish(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    reply(call, status, text, SLICE_EMPTY);
}

static void bind_call(struct rpc_call *call)
{
    struct client *client = call->transport_call;
    client->call = call;
}

static const struct rpc_transport transport = {reply, send_one, queued, finish, bind_call};

/* --- the stage --- */

static enum kv_error walk(void *ctx, struct rpc_call *call, const struct kv_request *request)
{
    struct side *side = ctx;
    const struct kv_auth_who who = {.token = call->token,
                                    .may_wait = call->method->kind == RPC_UNARY};
    if (request == NULL) {
        return KV_OK;
    }
    enum kv_error error =
        kv_auth_decide(side->auth, &who, request, call->asker_memory, &call->asker);
    side->allowed += error == KV_OK;
    return error;
}

static void known(void *ctx)
{
    const struct side *side = ctx;
    rpc_walk_again(side->registry);
}

static bool is_ahead(void *ctx, struct rpc_call *call)
{
    const struct side *side = ctx;
    return kv_auth_is_ahead(side->auth, call->token);
}

static uint64_t applied(void *ctx)
{
    const struct side *side = ctx;
    return kv_service_applied_index(side->host->service);
}

static void header(void *ctx, struct kv_header *ret)
{
    const struct side *side = ctx;
    kv_service_header(side->host->service, ret);
}

static void auth_changed(void *ctx, const struct kv_auth_event *event)
{
    const struct side *side = ctx;
    kv_auth_changed(side->auth, event);
}

static void side_open(struct side *side, struct host *host)
{
    const struct rpc_registry_options registry = {.service = host->service, .is_insecure = true};
    const struct kv_watch_options watch = {
        .store = store_mem_port(host->store), .ctx = side, .header = header, .seed = 7};
    const struct kv_auth_options auth = {
        .store = store_mem_port(host->store), .ctx = side, .known = known, .applied = applied};
    side->host = host;
    assert_int_equal(rpc_registry_new(&registry, &side->registry), 0);
    assert_int_equal(kv_watch_open(&watch, &side->hub), 0);
    assert_int_equal(kv_auth_open(&auth, &side->auth), 0);
    const struct recipes_options recipes = {side->registry, host->service, side->hub, side->auth,
                                            NULL};
    assert_int_equal(recipes_new(&recipes, &side->recipes), 0);
    rpc_set_walker(side->registry, walk, side);
    rpc_set_ahead(side->registry, is_ahead);
    host->auth_changed = auth_changed;
    host->auth_ctx = side;
    kv_watch_restored(side->hub);
    kv_auth_restored(side->auth);
}

static int stage_setup(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    void *world = NULL;
    assert_int_equal(setup(&world), 0);
    stage->world = world;
    (void)wait_leader(stage->world);
    for (size_t i = 0; i < NODES; i++) {
        side_open(&stage->sides[i], &stage->world->hosts[i]);
    }
    *state = stage;
    return 0;
}

static int stage_teardown(void **state)
{
    struct stage *stage = *state;
    void *world = stage->world;
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(recipes_count(stage->sides[i].recipes), 0);
        crash(&stage->world->hosts[i]);
        stage->sides[i].recipes = recipes_free(stage->sides[i].recipes);
        kv_watch_close(stage->sides[i].hub);
        kv_auth_close(stage->sides[i].auth);
        stage->sides[i].registry = rpc_registry_free(stage->sides[i].registry);
    }
    free(stage);
    return teardown(&world);
}

static void stage_step(struct stage *stage)
{
    step(stage->world);
    for (size_t i = 0; i < NODES; i++) {
        struct side *side = &stage->sides[i];
        if (side->host->revised > side->told) {
            side->told = side->host->revised;
            kv_watch_revised(side->hub, side->told);
        }
        kv_watch_tick(side->hub, now_of(stage->world));
        kv_auth_tick(side->auth, now_of(stage->world));
        recipes_pump(side->recipes);
    }
}

static void run_for(struct stage *stage, int steps)
{
    for (int i = 0; i < steps; i++) {
        stage_step(stage);
    }
}

static void call_as(struct side *side, struct client *client, const char *path, const char *token,
                    const struct wire_pb_message *table, const void *object)
{
    uint8_t bytes[1024];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct rpc_route *route = rpc_find_method(side->registry, sl(path));
    memset(client, 0, sizeof(*client));
    client->token = token == NULL ? SLICE_EMPTY : sl(token);
    assert_non_null(route);
    assert_int_equal(wire_pb_encode(table, object, &out), 0);
    const struct rpc_open open = {.transport = &transport,
                                  .transport_call = client,
                                  .token = client->token,
                                  .deadline = BASE_MONO_NEVER};
    if (route->method->kind == RPC_UNARY) {
        rpc_unary(side->registry, route, &open, buf_slice(&out));
        return;
    }
    rpc_stream(side->registry, route, &open);
    rpc_message(client->call, buf_slice(&out));
}

static void call_on(struct side *side, struct client *client, const char *path,
                    const struct wire_pb_message *table, const void *object)
{
    call_as(side, client, path, NULL, table, object);
}

static void wait_answer(struct stage *stage, const struct client *client)
{
    for (int i = 0; i < 5000 && !client->is_answered; i++) {
        stage_step(stage);
    }
    assert_true(client->is_answered);
}

static void lock_on(struct side *side, struct client *client, const char *name, int64_t lease)
{
    const struct kv_lock request = {.name = sl(name), .lease = lease};
    call_on(side, client, LOCK, &wire_kv_lock_table, &request);
}

static struct slice lock_key(const struct client *client)
{
    struct kv_lock_response response;
    struct base_arena none = {0};
    assert_int_equal(client->status, 0);
    assert_int_equal(wire_pb_decode(&wire_kv_lock_response_table,
                                    slice_from(client->bytes, client->len), &none, &response),
                     0);
    return response.key;
}

static void unlock(struct stage *stage, struct side *side, struct slice key)
{
    struct client client;
    const struct kv_unlock request = {.key = key};
    call_on(side, &client, UNLOCK, &wire_kv_unlock_table, &request);
    wait_answer(stage, &client);
    assert_int_equal(client.status, 0);
}

static void assert_refused(const struct client *client, const char *text)
{
    assert_true(client->is_answered);
    assert_int_equal(client->status, IO_GRPC_UNKNOWN);
    assert_string_equal(client->text, text);
}

static void leased(struct stage *stage, int64_t id)
{
    struct ask ask;
    struct kv_request grant = {.kind = KV_KIND_LEASE_GRANT, .lease_grant = {.ttl = 500, .id = id}};
    assert_int_equal(ask_now(leader_of(stage->world), &ask, grant), KV_OK);
}

static size_t keys_under(struct stage *stage, const char *key, const char *end)
{
    struct ask ask;
    struct kv_request range = {.kind = KV_KIND_RANGE,
                               .range = {.key = sl(key), .range_end = sl(end)}};
    assert_int_equal(ask_now(leader_of(stage->world), &ask, range), KV_OK);
    return ask.response.range.kvs.count;
}

/* --- locks --- */

static void the_first_has_it_and_the_others_follow_in_order(void **state)
{
    struct stage *stage = *state;
    struct client clients[NODES];
    for (int64_t id = 1; id <= (int64_t)NODES; id++) {
        leased(stage, id);
    }
    for (size_t i = 0; i < NODES; i++) { /* on another node each */
        lock_on(&stage->sides[i], &clients[i], "L", (int64_t)i + 1);
        run_for(stage, 100);
    }
    for (size_t i = 0; i < NODES; i++) {
        wait_answer(stage, &clients[i]);
        run_for(stage, 200);
        for (size_t later = i + 1; later < NODES; later++) {
            assert_false(clients[later].is_answered);
        }
        struct slice key = lock_key(&clients[i]);
        assert_int_equal(key.len, 3);
        assert_int_equal(key.data[2], '1' + (int)i);
        unlock(stage, &stage->sides[(i + 1) % NODES], key);
    }
    assert_int_equal(keys_under(stage, "L/", "L0"), 0);
}

static void whose_lease_ended_while_waiting_has_nothing(void **state)
{
    struct stage *stage = *state;
    struct client first;
    struct client second;
    struct ask ask;
    leased(stage, 1);
    leased(stage, 2);
    lock_on(&stage->sides[0], &first, "L", 1);
    wait_answer(stage, &first);
    lock_on(&stage->sides[1], &second, "L", 2);
    run_for(stage, 100);
    struct kv_request end = {.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = 2};
    assert_int_equal(ask_now(leader_of(stage->world), &ask, end), KV_OK);
    run_for(stage, 100);
    assert_false(second.is_answered);
    unlock(stage, &stage->sides[0], lock_key(&first));
    wait_answer(stage, &second);
    assert_refused(&second, "mutex: session is expired");
}

static void who_goes_away_leaves_no_key(void **state)
{
    struct stage *stage = *state;
    struct client first;
    struct client gone;
    struct client third;
    lock_on(&stage->sides[0], &first, "L", 0);
    wait_answer(stage, &first);
    lock_on(&stage->sides[1], &gone, "L", 0);
    run_for(stage, 100);
    assert_int_equal(keys_under(stage, "L/", "L0"), 2);
    lock_on(&stage->sides[2], &third, "L", 0);
    run_for(stage, 100);
    rpc_gone(gone.call, IO_GRPC_CANCELLED);
    run_for(stage, 100);
    assert_int_equal(keys_under(stage, "L/", "L0"), 2); /* the first and the third */
    unlock(stage, &stage->sides[0], lock_key(&first));
    wait_answer(stage, &third);
    unlock(stage, &stage->sides[2], lock_key(&third));
}

/* At every moment of a call: nothing is left over, whatever was under way. */
static void who_goes_away_at_any_moment_leaves_no_key(void **state)
{
    struct stage *stage = *state;
    struct client first;
    lock_on(&stage->sides[0], &first, "L", 0);
    wait_answer(stage, &first);
    for (int moment = 0; moment < 40; moment++) {
        struct client gone;
        lock_on(&stage->sides[moment % (int)NODES], &gone, "L", 0);
        run_for(stage, moment);
        rpc_gone(gone.call, IO_GRPC_CANCELLED);
        run_for(stage, 60);
        assert_int_equal(keys_under(stage, "L/", "L0"), 1);
    }
    unlock(stage, &stage->sides[0], lock_key(&first));
}

static void a_lease_is_made_for_who_brings_none(void **state)
{
    struct stage *stage = *state;
    struct client client;
    struct ask ask;
    lock_on(&stage->sides[0], &client, "L", 0);
    wait_answer(stage, &client);
    assert_int_equal(
        ask_now(leader_of(stage->world), &ask,
                (struct kv_request){.kind = KV_KIND_RANGE, .range.key = lock_key(&client)}),
        KV_OK);
    struct kv_request ttl = {.kind = KV_KIND_LEASE_TTL,
                             .lease_ttl.id = ask.response.range.kvs.items[0].lease};
    assert_true(ttl.lease_ttl.id != 0);
    assert_int_equal(ask_now(leader_of(stage->world), &ask, ttl), KV_OK);
    assert_int_equal(ask.response.lease_ttl.granted_ttl, RECIPE_LEASE_TTL_S);
    lock_on(&stage->sides[1], &client, "M", 55);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: requested lease not found");
}

static void names_have_a_limit(void **state)
{
    struct stage *stage = *state;
    struct client client;
    char name[KV_KEY_MAX];
    memset(name, 'n', sizeof(name));
    name[KV_KEY_MAX - 17] = 0;
    lock_on(&stage->sides[0], &client, name, 0);
    wait_answer(stage, &client);
    assert_int_equal(client.status, 0);
    name[KV_KEY_MAX - 17] = 'n';
    name[KV_KEY_MAX - 16] = 0;
    lock_on(&stage->sides[0], &client, name, 0);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: request is too large");
}

/* --- elections --- */

static void campaign_on(struct side *side, struct client *client, const char *value, int64_t lease)
{
    const struct kv_campaign request = {.name = sl("E"), .lease = lease, .value = sl(value)};
    call_on(side, client, CAMPAIGN, &wire_kv_campaign_table, &request);
}

static struct kv_leader_key leader_key(const struct client *client)
{
    struct kv_campaign_response response;
    struct base_arena none = {0};
    assert_int_equal(client->status, 0);
    assert_int_equal(wire_pb_decode(&wire_kv_campaign_response_table,
                                    slice_from(client->bytes, client->len), &none, &response),
                     0);
    return response.leader;
}

static int proclaim(struct stage *stage, struct client *client, struct kv_leader_key key,
                    const char *value)
{
    const struct kv_proclaim request = {.has_leader = true, .leader = key, .value = sl(value)};
    call_on(&stage->sides[2], client, PROCLAIM, &wire_kv_proclaim_table, &request);
    wait_answer(stage, client);
    return client->status;
}

static int resign(struct stage *stage, struct client *client, struct kv_leader_key key)
{
    const struct kv_resign request = {.has_leader = true, .leader = key};
    call_on(&stage->sides[0], client, RESIGN, &wire_kv_resign_table, &request);
    wait_answer(stage, client);
    return client->status;
}

static void leaders_follow_each_other_and_are_observed(void **state)
{
    struct stage *stage = *state;
    struct client first;
    struct client second;
    struct client other;
    struct client observer;
    struct kv_leader name = {.name = sl("E")};
    call_on(&stage->sides[1], &observer, OBSERVE, &wire_kv_leader_table, &name);
    run_for(stage, 100);
    leased(stage, 1);
    leased(stage, 2);
    campaign_on(&stage->sides[0], &first, "one", 1);
    wait_answer(stage, &first);
    campaign_on(&stage->sides[1], &second, "two", 2);
    run_for(stage, 200);
    assert_false(second.is_answered);
    struct kv_leader_key key = leader_key(&first);
    assert_int_equal(proclaim(stage, &other, key, "uno"), 0);
    run_for(stage, 100);
    assert_int_equal(resign(stage, &other, key), 0);
    wait_answer(stage, &second);
    run_for(stage, 100);
    assert_string_equal(observer.all, "one uno two ");
    assert_int_equal(proclaim(stage, &other, key, "again"), IO_GRPC_UNKNOWN);
    assert_refused(&other, "election: not leader");
    assert_int_equal(resign(stage, &other, key), 0); /* nothing to do is done */
    call_on(&stage->sides[2], &other, LEADER, &wire_kv_leader_table, &name);
    wait_answer(stage, &other);
    assert_int_equal(other.status, 0);
    assert_int_equal(resign(stage, &other, leader_key(&second)), 0);
    call_on(&stage->sides[2], &other, LEADER, &wire_kv_leader_table, &name);
    wait_answer(stage, &other);
    assert_refused(&other, "election: no leader");
    rpc_gone(observer.call, IO_GRPC_CANCELLED);
}

static void calls_without_a_leader_are_told_so(void **state)
{
    struct stage *stage = *state;
    struct client client;
    const struct kv_proclaim nothing = {0};
    const struct kv_resign none = {0};
    call_on(&stage->sides[0], &client, PROCLAIM, &wire_kv_proclaim_table, &nothing);
    assert_refused(&client, "\"leader\" field must be provided");
    call_on(&stage->sides[0], &client, RESIGN, &wire_kv_resign_table, &none);
    assert_refused(&client, "\"leader\" field must be provided");
}

/* Standing again with the same lease proclaims and waits in the same place. */
static void who_stands_twice_proclaims(void **state)
{
    struct stage *stage = *state;
    struct client client;
    leased(stage, 1);
    campaign_on(&stage->sides[0], &client, "one", 1);
    wait_answer(stage, &client);
    int64_t revision = leader_key(&client).rev;
    campaign_on(&stage->sides[1], &client, "other", 1);
    wait_answer(stage, &client);
    assert_int_equal(leader_key(&client).rev, revision);
    assert_int_equal(keys_under(stage, "E/", "E0"), 1);
}

static void a_slow_observer_is_waited_for(void **state)
{
    struct stage *stage = *state;
    struct client first;
    struct client other;
    struct client observer;
    struct kv_leader name = {.name = sl("E")};
    leased(stage, 1);
    campaign_on(&stage->sides[0], &first, "one", 1);
    wait_answer(stage, &first);
    call_on(&stage->sides[1], &observer, OBSERVE, &wire_kv_leader_table, &name);
    observer.takes_nothing = true;
    run_for(stage, 100);
    assert_int_equal(observer.told, 0);
    assert_int_equal(proclaim(stage, &other, leader_key(&first), "two"), 0);
    observer.takes_nothing = false;
    rpc_writable(observer.call);
    run_for(stage, 100);
    assert_string_equal(observer.all, "one two ");
    observer.takes_nothing = true;
    assert_int_equal(proclaim(stage, &other, leader_key(&first), "three"), 0);
    assert_int_equal(proclaim(stage, &other, leader_key(&first), "four"), 0);
    run_for(stage, 100);
    observer.takes_nothing = false;
    rpc_writable(observer.call);
    run_for(stage, 100);
    assert_string_equal(observer.all, "one two three four ");
    rpc_gone(observer.call, IO_GRPC_CANCELLED);
}

/* --- with users --- */

static void as_root(struct stage *stage, struct kv_request request)
{
    struct ask ask;
    struct host *host = leader_of(stage->world);
    ask.request = request;
    ask.is_done = false;
    assert_int_equal(ask_send(host, &ask, request), KV_OK);
    /* the node's own: told before it is carried out */
    ask_wait(stage->world, &ask);
    assert_int_equal(ask.error, KV_OK);
    run_for(stage, 50);
}

static struct kv_request pair_of(enum kv_kind kind, const char *user, const char *role)
{
    return (struct kv_request){.kind = kind, .user_role = {sl(user), sl(role)}};
}

static struct kv_request add_user(const char *name)
{
    return (struct kv_request){.kind = KV_KIND_USER_ADD,
                               .user_add = {.name = sl(name), .hashed_password = sl("h")}};
}

/* Users root, ann (may read and write a to b) and bob (nothing), all logged in everywhere. */
static void with_users(struct stage *stage)
{
    as_root(stage, add_user("root"));
    as_root(stage, add_user("ann"));
    as_root(stage, add_user("bob"));
    as_root(stage, (struct kv_request){.kind = KV_KIND_ROLE_ADD, .name.name = sl("r")});
    as_root(stage,
            (struct kv_request){
                .kind = KV_KIND_ROLE_GRANT,
                .role_grant = {sl("r"), true, {.type = 2, .key = sl("a"), .range_end = sl("b")}}});
    as_root(stage, pair_of(KV_KIND_USER_GRANT, "ann", "r"));
    as_root(stage, pair_of(KV_KIND_USER_GRANT, "root", "root"));
    as_root(stage, (struct kv_request){.kind = KV_KIND_AUTH_ENABLE});
    for (size_t i = 0; i < NODES; i++) {
        for (const char *name = "root\0ann\0bob\0"; *name != 0; name += strlen(name) + 1) {
            kv_auth_changed(stage->sides[i].auth,
                            &(struct kv_auth_event){KV_KIND_AUTHENTICATE, sl(name), sl(name), 0});
        }
    }
}

static void locks_need_permission(void **state)
{
    struct stage *stage = *state;
    struct client client;
    struct kv_lock request = {.name = sl("a1")};
    with_users(stage);
    call_as(&stage->sides[0], &client, LOCK, NULL, &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: user name is empty");
    call_as(&stage->sides[0], &client, LOCK, "nonsense", &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: invalid auth token");
    call_as(&stage->sides[1], &client, LOCK, "bob", &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: permission denied");
    call_as(&stage->sides[2], &client, LOCK, "ann", &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_int_equal(client.status, 0);
    request.name = sl("b");
    call_as(&stage->sides[2], &client, LOCK, "ann", &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_refused(&client, "etcdserver: permission denied");
    call_as(&stage->sides[2], &client, LOCK, "root", &wire_kv_lock_table, &request);
    wait_answer(stage, &client);
    assert_int_equal(client.status, 0);
}

static void added(struct kv_call *call, enum kv_error error, struct slice response)
{
    int *done = call->user;
    (void)response;
    assert_int_equal(error, KV_OK);
    *done = 1;
}

/* Permissions change between the decision and the entry: it is decided anew, and nobody sees it. */
static void changes_under_way_are_not_seen_by_clients(void **state)
{
    struct stage *stage = *state;
    struct client client;
    struct kv_unlock request = {.key = sl("a1")};
    struct side *behind = NULL;
    int is_added = 0;
    with_users(stage);
    for (size_t i = 0; i < NODES; i++) {
        bool leads = stage->sides[i].host == leader_of(stage->world);
        behind = leads ? behind : &stage->sides[i];
    }
    /* A new role on the leader; the other node has not heard of it when it decides. */
    struct kv_request add = {.kind = KV_KIND_ROLE_ADD, .name.name = sl("more")};
    struct kv_call call = {.request = &add,
                           .deadline = BASE_MONO_NEVER,
                           .user = &is_added,
                           .asker.auth_revision = KV_ASKER_INTERNAL,
                           .done = added};
    assert_int_equal(kv_service_submit(leader_of(stage->world)->service, &call), KV_OK);
    behind->allowed = 0;
    call_as(behind, &client, UNLOCK, "ann", &wire_kv_unlock_table, &request);
    assert_int_equal(behind->allowed, 1);
    wait_answer(stage, &client);
    assert_int_equal(client.status, 0);
    assert_int_equal(behind->allowed, 2); /* the first decision was refused by the log */
    assert_int_equal(is_added, 1);
}

/* What only the leader knows is asked of it in the caller's name, from every node. */
static void keys_of_a_lease_are_shown_to_who_may_read_them(void **state)
{
    struct stage *stage = *state;
    struct ask ask;
    struct kv_request put = {.kind = KV_KIND_PUT, .put = {.key = sl("z"), .lease = 9}};
    struct kv_request keys = {.kind = KV_KIND_LEASE_TTL, .lease_ttl = {9, true}};
    leased(stage, 9);
    assert_int_equal(ask_now(leader_of(stage->world), &ask, put), KV_OK);
    with_users(stage);
    uint64_t revision = 0;
    assert_int_equal(kv_auth_known_revision(stage->sides[0].auth, &revision), 0);
    for (size_t i = 0; i < NODES; i++) {
        static const struct {
            const char *user;
            enum kv_error error;
        } rows[] = {{"ann", KV_E_PERMISSION_DENIED}, {"root", KV_OK}};
        for (size_t j = 0; j < BASE_COUNT_OF(rows); j++) {
            assert_int_equal(
                ask_send_as(stage->sides[i].host, &ask, keys, sl(rows[j].user), revision), KV_OK);
            ask_wait(stage->world, &ask);
            assert_int_equal(ask.error, rows[j].error);
        }
    }
}

static void a_token_ends_with_its_user_and_with_time(void **state)
{
    struct stage *stage = *state;
    struct kv_auth *auth = stage->sides[0].auth;
    with_users(stage);
    assert_true(kv_auth_has_token(auth, sl("bob")));
    kv_auth_changed(auth,
                    &(struct kv_auth_event){KV_KIND_USER_PASSWORD, sl("bob"), SLICE_EMPTY, 0});
    assert_false(kv_auth_has_token(auth, sl("bob")));
    assert_true(kv_auth_has_token(auth, sl("ann")));
    kv_auth_changed(auth, &(struct kv_auth_event){KV_KIND_USER_DELETE, sl("ann"), SLICE_EMPTY, 0});
    assert_false(kv_auth_has_token(auth, sl("ann")));
    kv_auth_tick(auth, base_mono_add_us(now_of(stage->world), KV_AUTH_TOKEN_US - 1));
    assert_true(kv_auth_has_token(auth, sl("root"))); /* and used */
    kv_auth_tick(auth, base_mono_add_us(now_of(stage->world), 2 * KV_AUTH_TOKEN_US));
    assert_false(kv_auth_has_token(auth, sl("root")));
    assert_int_equal(kv_auth_tokens(auth), 0);
    for (unsigned i = 0; i <= KV_AUTH_TOKENS_MAX; i++) {
        char token[16];
        (void)snprintf(token, sizeof(token), "t%u", i);
        kv_auth_changed(auth, &(struct kv_auth_event){KV_KIND_AUTHENTICATE, sl("u"), sl(token), 0});
    }
    assert_int_equal(kv_auth_tokens(auth), KV_AUTH_TOKENS_MAX);
    assert_false(kv_auth_has_token(auth, sl("t0")));
    assert_true(kv_auth_has_token(auth, sl("t1")));
    kv_auth_restored(auth);
    assert_int_equal(kv_auth_tokens(auth), 0);
    run_for(stage, 20);
}

/* Logs in on the leader, while another node applies nothing. */
static struct side *logged_in_behind(struct stage *stage, char *token, size_t cap)
{
    struct ask ask;
    struct side *behind = NULL;
    uint64_t revision = 0;
    struct kv_request login = {.kind = KV_KIND_AUTHENTICATE,
                               .authenticate = {.name = sl("ann"), .token = sl("new")}};
    with_users(stage);
    run_for(stage, 100);
    for (size_t i = 0; i < NODES; i++) {
        bool leads = stage->sides[i].host == leader_of(stage->world);
        behind = leads ? behind : &stage->sides[i];
    }
    behind->host->is_store_hanging = true;
    assert_int_equal(kv_auth_known_revision(behind->auth, &revision), 0);
    struct host *leader = leader_of(stage->world);
    assert_int_equal(ask_send_as(leader, &ask, login, SLICE_EMPTY, revision), KV_OK);
    ask_wait(stage->world, &ask);
    assert_int_equal(ask.error, KV_OK);
    struct slice told = ask.response.authenticate.token;
    assert_true(slice_has_prefix(told, SLICE_LIT("new.")));
    assert_true(told.len < cap);
    memcpy(token, told.data, told.len);
    token[told.len] = 0;
    return behind;
}

static void a_token_that_is_not_known_yet_is_waited_for(void **state)
{
    struct stage *stage = *state;
    struct client lock, observer;
    char token[KV_AUTH_TOKEN_MAX];
    struct kv_lock request = {.name = sl("a1")};
    struct kv_leader observe = {.name = sl("a2")};
    struct side *behind = logged_in_behind(stage, token, sizeof(token));
    call_as(behind, &lock, LOCK, token, &wire_kv_lock_table, &request);
    call_as(behind, &observer, OBSERVE, token, &wire_kv_leader_table, &observe);
    run_for(stage, 100);
    assert_false(lock.is_answered);
    assert_false(observer.is_answered);
    behind->host->is_store_hanging = false;
    wait_answer(stage, &lock);
    assert_int_equal(lock.status, 0);
    run_for(stage, 200);
    assert_false(observer.is_answered); /* it goes on */
    rpc_gone(observer.call, IO_GRPC_CANCELLED);
    run_for(stage, 100);
}

/* Also one that somebody has made up. What is older is refused at once. */
static void a_token_that_never_comes_times_out(void **state)
{
    struct stage *stage = *state;
    struct client lock, observer, gone;
    struct kv_lock request = {.name = sl("a1")};
    struct kv_leader observe = {.name = sl("a2")};
    struct side *side = &stage->sides[0];
    with_users(stage);
    call_as(side, &lock, LOCK, "old.1", &wire_kv_lock_table, &request);
    wait_answer(stage, &lock);
    assert_refused(&lock, "etcdserver: invalid auth token");
    call_as(side, &lock, LOCK, "new.999999999", &wire_kv_lock_table, &request);
    call_as(side, &gone, LOCK, "new.999999999", &wire_kv_lock_table, &request);
    call_as(side, &observer, OBSERVE, "new.999999999", &wire_kv_leader_table, &observe);
    rpc_tick(side->registry, io_now());
    assert_false(lock.is_answered);
    rpc_gone(gone.call, IO_GRPC_CANCELLED);
    rpc_half_closed(observer.call);
    rpc_tick(side->registry, base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US));
    assert_true(lock.is_answered && observer.is_answered);
    assert_string_equal(lock.text, "etcdserver: request timed out");
    assert_string_equal(observer.text, "etcdserver: request timed out");
    call_as(side, &gone, OBSERVE, "new.999999999", &wire_kv_leader_table, &observe);
    for (int i = 0; i < 20000 && gone.call != NULL; i++) { /* what it says meanwhile has a bound */
        rpc_message(gone.call, SLICE_LIT("x"));
    }
    assert_true(gone.is_answered);
    assert_string_equal(gone.text, "etcdserver: too many requests");
}

/* A name in a certificate counts for who shows no token; one that is no user may nothing. */
static void certificates_name_users(void **state)
{
    struct stage *stage = *state;
    struct kv_auth *auth = stage->sides[0].auth;
    uint8_t memory[KV_AUTH_NAME_MAX];
    struct kv_asker asker;
    struct kv_request range = {.kind = KV_KIND_RANGE, .range.key = sl("a1")};
    struct kv_request none = {.kind = KV_KIND_RANGE};
    struct kv_request status = {.kind = KV_KIND_STATUS};
    with_users(stage);
    struct kv_auth_who who = {.common_name = sl("ann"), .may_wait = true};
    assert_int_equal(kv_auth_decide(auth, &who, &range, memory, &asker), KV_OK);
    assert_true(slice_equal(asker.user, sl("ann")));
    assert_true(asker.auth_revision != 0);
    who.token = sl("bob"); /* the token counts more */
    assert_int_equal(kv_auth_decide(auth, &who, &range, memory, &asker), KV_E_PERMISSION_DENIED);
    who = (struct kv_auth_who){.common_name = sl("stranger"), .may_wait = true};
    assert_int_equal(kv_auth_decide(auth, &who, &range, memory, &asker), KV_E_PERMISSION_DENIED);
    assert_int_equal(kv_auth_decide(auth, &who, &status, memory, &asker), KV_OK);
    who = (struct kv_auth_who){.may_wait = true};
    assert_int_equal(kv_auth_decide(auth, &who, &none, memory, &asker), KV_E_KEY_NOT_PROVIDED);
    assert_int_equal(kv_auth_decide(auth, &who, NULL, memory, &asker), KV_E_USER_EMPTY);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_has_it_and_the_others_follow_in_order),
        TEST(whose_lease_ended_while_waiting_has_nothing),
        TEST(who_goes_away_leaves_no_key),
        TEST(who_goes_away_at_any_moment_leaves_no_key),
        TEST(a_lease_is_made_for_who_brings_none),
        TEST(names_have_a_limit),
        TEST(leaders_follow_each_other_and_are_observed),
        TEST(calls_without_a_leader_are_told_so),
        TEST(who_stands_twice_proclaims),
        TEST(a_slow_observer_is_waited_for),
        TEST(locks_need_permission),
        TEST(changes_under_way_are_not_seen_by_clients),
        TEST(keys_of_a_lease_are_shown_to_who_may_read_them),
        TEST(a_token_ends_with_its_user_and_with_time),
        TEST(a_token_that_is_not_known_yet_is_waited_for),
        TEST(a_token_that_never_comes_times_out),
        TEST(certificates_name_users),
    };
    return cmocka_run_group_tests_name("kv_lock", tests, NULL, NULL);
}
