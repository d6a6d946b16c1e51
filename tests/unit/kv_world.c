/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_world.h. */
#include "tests/unit/kv_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire/kv.h"
#include "tests/support/cm.h"

/* --- ports --- */

struct base_mono now_of(const struct world *world)
{
    return (struct base_mono){(world->now_ms + 1000) * BASE_US_PER_MS};
}

static struct base_mono clock_now(void *ctx)
{
    const struct host *host = ctx;
    return now_of(host->world);
}

static struct base_wall clock_wall(void *ctx)
{
    (void)ctx;
    return (struct base_wall){0};
}

static bool net_send(void *ctx, uint64_t link, struct slice payload)
{
    const struct host *host = ctx;
    struct world *world = host->world;
    size_t to = link - 1;
    if (to >= NODES || host->is_cut || world->hosts[to].is_cut ||
        world->packet_count == PACKETS_MAX) {
        return false;
    }
    struct packet *packet = &world->packets[world->packet_count++];
    *packet = (struct packet){host->id - 1, to, payload.len, malloc(payload.len)};
    assert_non_null(packet->data);
    memcpy(packet->data, payload.data, payload.len);
    return true;
}

/* --- what the service tells --- */

static void on_swapped(void *user, const struct kv_swapped *swapped)
{
    struct host *host = user;
    host->swaps_won += swapped->is_won && !swapped->is_loaded;
    host->swaps_void += !swapped->is_won;
    host->loaded += swapped->is_loaded;
    host->last_swap = *swapped;
    assert_true(swapped->blob.len <= sizeof(host->blob));
    if (swapped->blob.len > 0) {
        memcpy(host->blob, swapped->blob.data, swapped->blob.len);
    }
}

static void on_revised(void *user, int64_t revision)
{
    struct host *host = user;
    assert_true(revision > host->revised);
    host->revised = revision;
}

static void on_compacted(void *user, int64_t revision)
{
    struct host *host = user;
    assert_true(revision > host->compacted);
    host->compacted = revision;
}

static void on_restored(void *user, int64_t revision)
{
    struct host *host = user;
    assert_true(revision > 0);
    host->restored++;
}

static void on_auth_changed(void *user, const struct kv_auth_event *event)
{
    struct host *host = user;
    if (host->auth_changed != NULL) {
        host->auth_changed(host->auth_ctx, event);
    }
}

static void on_halted(void *user, int status)
{
    struct host *host = user;
    host->halted = status;
}

void on_loaded(void *user, int status)
{
    struct host *host = user;
    host->load_status = status;
}

/* --- the world --- */

void boot(struct host *host)
{
    struct raft_member raft_members[NODES];
    struct raft_machine machine;
    memset(raft_members, 0, sizeof(raft_members));
    for (size_t i = 0; i < NODES; i++) {
        raft_members[i].id = i + 1;
        (void)snprintf(raft_members[i].name.text, sizeof(raft_members[i].name.text), "n%zu", i + 1);
    }
    host->life++;
    host->revised = 0;
    host->compacted = 0;
    struct kv_service_options options = {
        .store = store_mem_port(host->store),
        .net = {.ctx = host, .send = net_send},
        .cluster_id = 77,
        .member_id = host->id,
        .life = host->life * 100 + host->id,
        .quota_bytes = host->quota_bytes,
        .request_bytes_max = host->request_bytes_max,
        .version = SLICE_LIT("3.4.23"),
        .clock = {.ctx = host, .now = clock_now, .wall = clock_wall},
        .user = host,
        .swapped = on_swapped,
        .halted = on_halted,
        .revised = on_revised,
        .compacted = on_compacted,
        .restored = on_restored,
        .auth_changed = on_auth_changed,
        .compaction_period_us = host->compaction_period_us,
        .compaction_revisions = host->compaction_revisions,
        .election_max_ms = 500};
    struct raft_node_config config = {.cluster_id = 77,
                                      .id = host->id,
                                      .members = raft_members,
                                      .member_count = NODES,
                                      .log_keep_entries = host->log_keep_entries,
                                      .seed = host->id * 1000 + host->life};
    struct raft_node_ports ports = {.log = store_mem_port(host->log),
                                    .store = store_mem_port(host->store),
                                    .snapshot = store_mem_snapshot_port(host->store),
                                    .net = {.ctx = host, .send = net_send},
                                    .clock = {.ctx = host, .now = clock_now, .wall = clock_wall}};
    assert_int_equal(kv_service_open(&options, &host->service), 0);
    kv_service_machine(host->service, &machine);
    assert_int_equal(raft_node_create(&config, &ports, &machine, &host->node), 0);
    kv_service_set_node(host->service, host->node);
    raft_node_start(host->node);
}

void crash(struct host *host)
{
    store_mem_crash(host->log);
    store_mem_crash(host->store);
    kv_service_close(host->service);
    host->service = NULL;
    host->node = raft_node_destroy(host->node);
}

static void deliver(struct world *world)
{
    size_t count = world->packet_count; /* what is sent meanwhile comes a millisecond later */
    for (size_t i = 0; i < count; i++) {
        struct packet packet = world->packets[i];
        struct host *host = &world->hosts[packet.to];
        struct slice payload = slice_from(packet.data, packet.len);
        if (host->is_paused && world->packet_count < PACKETS_MAX) {
            world->packets[world->packet_count++] = packet; /* in its sockets */
            continue;
        }
        bool is_lost = host->is_deaf_to_kv && packet.data[0] == NET_FRAME_KV;
        if (!is_lost && host->node != NULL && !host->is_cut && !world->hosts[packet.from].is_cut) {
            if (packet.data[0] == NET_FRAME_KV) {
                kv_service_receive(host->service, packet.from + 1, payload);
            } else {
                assert_int_equal(raft_node_receive(host->node, packet.from + 1, payload), 0);
            }
        }
        free(packet.data);
    }
    memmove(world->packets, world->packets + count,
            (world->packet_count - count) * sizeof(world->packets[0]));
    world->packet_count -= count;
}

static void disk_step(const struct world *world, struct store_mem *store)
{
    while (store_mem_run_one(store)) {
    }
    if (world->now_ms % 2 == 0) {
        store_mem_commit(store);
    }
    (void)store_mem_complete(store);
}

void step(struct world *world)
{
    world->now_ms++;
    deliver(world);
    for (size_t i = 0; i < NODES; i++) {
        struct host *host = &world->hosts[i];
        if (host->node == NULL || host->is_paused) {
            continue;
        }
        if (!host->is_disk_hanging) {
            disk_step(world, host->log);
        }
        if (!host->is_disk_hanging && !host->is_store_hanging) {
            (void)store_mem_snapshot_step(host->store);
            disk_step(world, host->store);
        }
        if (raft_node_deadline(host->node).us <= now_of(world).us) {
            raft_node_tick(host->node);
        }
        if (world->now_ms % 20 == 0) {
            kv_service_tick(host->service, now_of(world));
        }
    }
}

struct host *leader_of(struct world *world)
{
    for (size_t i = 0; i < NODES; i++) {
        struct raft_node_status status;
        struct host *host = &world->hosts[i];
        if (host->node != NULL && !host->is_cut) {
            raft_node_status(host->node, &status);
            if (status.role == RAFT_LEADER && status.has_applied_own_term) {
                return host;
            }
        }
    }
    return NULL;
}

struct host *wait_leader(struct world *world)
{
    for (int i = 0; i < 10000 && leader_of(world) == NULL; i++) {
        step(world);
    }
    assert_non_null(leader_of(world));
    for (int i = 0; i < 100; i++) { /* the others hear of it */
        step(world);
    }
    return leader_of(world);
}

struct host *follower_of(struct world *world)
{
    const struct host *leader = leader_of(world);
    for (size_t i = 0; i < NODES; i++) {
        if (&world->hosts[i] != leader && world->hosts[i].node != NULL) {
            return &world->hosts[i];
        }
    }
    fail_msg("no other node is up");
    abort();
}

int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->rand = base_rand_make(9, 9);
    for (size_t i = 0; i < NODES; i++) {
        struct host *host = &world->hosts[i];
        *host = (struct host){.world = world,
                              .id = i + 1,
                              .log = store_mem_create(),
                              .store = store_mem_create(),
                              .quota_bytes = 64u << 20};
        assert_non_null(host->log);
        assert_non_null(host->store);
        boot(host);
    }
    *state = world;
    return 0;
}

int teardown(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < NODES; i++) {
        if (world->hosts[i].node != NULL) {
            crash(&world->hosts[i]);
        }
        world->hosts[i].log = store_mem_destroy(world->hosts[i].log);
        world->hosts[i].store = store_mem_destroy(world->hosts[i].store);
    }
    for (size_t i = 0; i < world->packet_count; i++) {
        free(world->packets[i].data);
    }
    free(world);
    return 0;
}

/* --- calls --- */

static void ask_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct ask *ask = call->user;
    assert_false(ask->is_done);
    ask->is_done = true;
    ask->error = error;
    ask->len = response.len;
    if (error == KV_OK && response.len > 0 && response.len <= sizeof(ask->bytes)) {
        memcpy(ask->bytes, response.data, response.len);
        ask->arena = base_arena_over(ask->memory, sizeof(ask->memory));
        assert_int_equal(kv_wire_decode_response((enum kv_kind)ask->request.kind,
                                                 slice_from(ask->bytes, response.len), &ask->arena,
                                                 &ask->response),
                         0);
    }
}

enum kv_error ask_send(struct host *host, struct ask *ask, struct kv_request request)
{
    return ask_send_as(host, ask, request, SLICE_EMPTY, 0);
}

enum kv_error ask_send_as(struct host *host, struct ask *ask, struct kv_request request,
                          struct slice user, uint64_t auth_revision)
{
    ask->request = request;
    ask->is_done = false;
    ask->call =
        (struct kv_call){.request = &ask->request,
                         .deadline = base_mono_add_us(now_of(host->world), KV_TIMEOUT_DEFAULT_US),
                         .asker = {user, auth_revision},
                         .user = ask,
                         .done = ask_done};
    return request.kind == KV_KIND_SWAP ? kv_service_swap(host->service, &ask->call)
                                        : kv_service_submit(host->service, &ask->call);
}

void ask_wait(struct world *world, struct ask *ask)
{
    for (int i = 0; i < 10000 && !ask->is_done; i++) {
        step(world);
    }
    assert_true(ask->is_done);
}

enum kv_error ask_now(struct host *host, struct ask *ask, struct kv_request request)
{
    enum kv_error error = ask_send(host, ask, request);
    if (error == KV_OK) {
        ask_wait(host->world, ask);
        error = ask->error;
    }
    return error;
}

struct kv_request put_of(const char *key, const char *value)
{
    return (struct kv_request){
        .kind = KV_KIND_PUT, .put = {.key = slice_from_text(key), .value = slice_from_text(value)}};
}

struct kv_request get_of(const char *key)
{
    return (struct kv_request){.kind = KV_KIND_RANGE, .range = {.key = slice_from_text(key)}};
}

void assert_equal_states(struct world *world)
{
    uint32_t first = 0;
    for (int i = 0; i < 500; i++) {
        step(world);
    }
    for (size_t i = 0; i < NODES; i++) {
        uint32_t hash = 0;
        assert_int_equal(kv_core_hash(store_mem_txn(world->hosts[i].store), &hash), 0);
        first = i == 0 ? hash : first;
        assert_int_equal(hash, first);
    }
}

int propose_command(struct host *host, const struct kv_command *command)
{
    uint8_t bytes[4096];
    struct buf out = buf_over(bytes, sizeof(bytes));
    assert_int_equal(kv_wire_encode_command(command, &out), 0);
    return raft_node_propose(host->node, buf_slice(&out), 1, NULL, NULL);
}
