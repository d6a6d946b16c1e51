/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service on real Raft nodes: three of them in one process, over stores in memory and
 * a net that loses nothing but what a test cuts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "kv/core/apply.h"
#include "kv/service.h"
#include "proto/wire/kv.h"
#include "raft/node.h"
#include "raft/store_mem.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_world.h"

static void put_and_get_through_any_node(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    for (size_t i = 0; i < NODES; i++) {
        struct host *host = &world->hosts[i];
        (void)snprintf(ask.value, sizeof(ask.value), "from %zu", i);
        assert_int_equal(ask_now(host, &ask, put_of("k", ask.value)), KV_OK);
        assert_int_equal(ask.response.put.header.revision, (int64_t)i + 2);
        assert_int_equal(ask.response.put.header.member_id, host->id);
        assert_int_equal(ask.response.put.header.cluster_id, 77);
        assert_int_equal(ask.response.put.header.raft_term, 1);
        for (size_t reader = 0; reader < NODES; reader++) {
            struct ask read;
            assert_int_equal(ask_now(&world->hosts[reader], &read, get_of("k")), KV_OK);
            const struct kv_pair *pair = &read.response.range.kvs.items[0];
            assert_true(slice_equal(pair->value, slice_from_text(ask.value)));
            assert_int_equal(pair->version, (int64_t)i + 1);
            assert_int_equal(read.response.range.header.raft_term, 1);
        }
    }
    assert_int_equal(kv_service_open_calls(leader->service), 0);
    assert_equal_states(world);
    assert_int_equal(world->hosts[0].revised, 4);
    assert_int_equal(kv_service_revision(world->hosts[2].service), 4);
}

static void refused_at_the_door(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_send(leader, &ask, put_of("", "")), KV_E_KEY_NOT_PROVIDED);
    assert_int_equal(ask_send(leader, &ask, put_of("/quorate/x", "")), KV_E_PERMISSION_DENIED);
    static uint8_t large[KV_REQUEST_MAX];
    struct kv_request request = put_of("k", "");
    request.put.value = slice_from(large, sizeof(large));
    assert_int_equal(ask_send(leader, &ask, request), KV_E_REQUEST_TOO_LARGE);
    request.put.value.len -= 100;
    assert_int_equal(ask_now(leader, &ask, request), KV_OK);
    assert_int_equal(ask_now(follower_of(world), &ask, request), KV_OK);
    request = get_of("k");
    request.range.revision = 99;
    assert_int_equal(ask_now(leader, &ask, request), KV_E_FUTURE_REVISION);
    request = put_of("none", "");
    request.put.is_ignore_value = true;
    assert_int_equal(ask_now(follower_of(world), &ask, request), KV_E_KEY_NOT_FOUND);
    request = (struct kv_request){.kind = KV_KIND_NONE};
    assert_int_equal(ask_send(leader, &ask, request), KV_E_MALFORMED);
}

static void status_and_members(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, put_of("k", "v")), KV_OK);
    assert_int_equal(ask_now(leader, &ask, (struct kv_request){.kind = KV_KIND_STATUS}), KV_OK);
    const struct kv_status_response *status = &ask.response.status;
    assert_int_equal(status->leader, leader->id);
    assert_int_equal(status->raft_term, 1);
    assert_int_equal(status->raft_index, status->raft_applied_index);
    assert_int_equal(status->header.revision, 2);
    assert_true(status->db_size > 0);
    assert_true(slice_equal(status->version, SLICE_LIT("3.4.23")));
    for (int linearizable = 0; linearizable < 2; linearizable++) {
        struct kv_request request = {.kind = KV_KIND_MEMBER_LIST,
                                     .member_list = {linearizable == 1}};
        assert_int_equal(ask_now(follower_of(world), &ask, request), KV_OK);
        assert_int_equal(ask.response.member_list.members.count, NODES);
        assert_true(slice_equal(ask.response.member_list.members.items[2].name, SLICE_LIT("n3")));
        assert_int_equal(ask.response.member_list.header.revision, 0);
    }
}

/* --- swaps --- */

static struct kv_request swap_of(struct host *leader, uint64_t epoch)
{
    static struct kv_swap_put puts[] = {{.key = SLICE_LIT("/quorate/v1/clusters/pg/record")}};
    struct raft_node_status status;
    raft_node_status(leader->node, &status);
    puts[0].value = SLICE_LIT("{\"epoch\":1}");
    return (struct kv_request){.kind = KV_KIND_SWAP,
                               .swap = {.name = SLICE_LIT("pg"),
                                        .expect_epoch = epoch - 1,
                                        .expect_revision = epoch - 1,
                                        .term = status.term,
                                        .new_epoch = epoch,
                                        .new_revision = epoch,
                                        .blob = SLICE_LIT("the record"),
                                        .puts = {puts, 1}}};
}

static void swaps_reach_every_node(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_send(follower_of(world), &ask, swap_of(leader, 1)), KV_E_NOT_LEADER);
    assert_int_equal(ask_now(leader, &ask, swap_of(leader, 1)), KV_OK);
    assert_int_equal(ask_now(leader, &ask, swap_of(leader, 1)), KV_E_SWAP_VOID);
    struct kv_request stale = swap_of(leader, 2);
    stale.swap.term--;
    assert_int_equal(ask_send(leader, &ask, stale),
                     stale.swap.term == 0 ? KV_E_MALFORMED : KV_E_NOT_LEADER);
    assert_int_equal(ask_now(leader, &ask, swap_of(leader, 2)), KV_OK);
    for (int i = 0; i < 200; i++) {
        step(world);
    }
    for (size_t i = 0; i < NODES; i++) {
        const struct host *host = &world->hosts[i];
        assert_int_equal(host->swaps_won, 2);
        assert_int_equal(host->swaps_void, 1);
        assert_int_equal(host->last_swap.epoch, 2);
        assert_int_equal(host->last_swap.expect_epoch, 1);
        assert_int_equal(host->last_swap.kv_revision, 3);
        assert_memory_equal(host->blob, "the record", 10);
    }
    struct kv_request client = swap_of(leader, 3);
    ask.request = client;
    ask.call.request = &ask.request;
    assert_int_equal(kv_service_submit(leader->service, &ask.call), KV_E_PERMISSION_DENIED);
    assert_int_equal(ask_now(leader, &ask, get_of("/quorate/v1/clusters/pg/record")), KV_OK);
    assert_int_equal(ask.response.range.kvs.items[0].version, 2);
}

static void records_are_loaded_after_a_restart(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    assert_int_equal(ask_now(leader, &ask, swap_of(leader, 1)), KV_OK);
    for (int i = 0; i < 200; i++) {
        step(world);
    }
    struct host *host = follower_of(world);
    crash(host);
    boot(host);
    host->load_status = 1;
    assert_int_equal(kv_service_load_records(host->service, on_loaded), 0);
    assert_int_equal(kv_service_load_records(host->service, on_loaded), BASE_E_BUSY);
    for (int i = 0; i < 100; i++) {
        step(world);
    }
    assert_int_equal(host->load_status, 0);
    assert_int_equal(host->loaded, 1);
    assert_int_equal(host->last_swap.epoch, 1);
    assert_int_equal(kv_service_revision(host->service), 2);
}

/* --- leaders that come and go --- */

struct proof {
    struct kv_barrier barrier;
    int status;
};

static void proof_done(struct kv_barrier *barrier, int status)
{
    struct proof *proof = barrier->user;
    assert_int_equal(proof->status, 1);
    proof->status = status;
}

static void proofs_of_leadership(void **state)
{
    struct world *world = *state;
    struct proof proofs[10];
    struct host *leader = wait_leader(world);
    for (size_t i = 0; i < BASE_COUNT_OF(proofs); i++) {
        proofs[i] = (struct proof){{.user = &proofs[i], .done = proof_done}, 1};
        assert_int_equal(kv_service_barrier(leader->service, &proofs[i].barrier), 0);
    }
    assert_int_equal(kv_service_barrier(follower_of(world)->service, &proofs[0].barrier),
                     BASE_E_NOTLEADER);
    for (int i = 0; i < 100; i++) {
        step(world);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(proofs); i++) {
        assert_int_equal(proofs[i].status, 0);
        proofs[i].status = 1;
    }
    leader->is_cut = true;
    assert_int_equal(kv_service_barrier(leader->service, &proofs[0].barrier), 0);
    for (int i = 0; i < 3000; i++) {
        step(world);
    }
    assert_true(proofs[0].status < 0);
}

static void writes_survive_a_change_of_leader(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct ask lost;
    struct host *old = wait_leader(world);
    old->is_cut = true;
    assert_int_equal(ask_send(old, &lost, put_of("k", "lost")), KV_OK);
    struct host *other = &world->hosts[old->id % NODES];
    assert_int_equal(ask_send(other, &ask, put_of("k", "kept")), KV_OK);
    ask_wait(world, &ask);
    /* it was passed on to the old leader in vain, or found the new one */
    assert_true(ask.error == KV_OK || ask.error == KV_E_TIMEOUT_LEADER ||
                ask.error == KV_E_NO_LEADER);
    struct host *leader = wait_leader(world);
    assert_ptr_not_equal(leader, old);
    assert_int_equal(ask_now(leader, &ask, put_of("k", "new")), KV_OK);
    ask_wait(world, &lost);
    assert_int_equal(lost.error, KV_E_LEADER_CHANGED);
    old->is_cut = false;
    for (int i = 0; i < 1000; i++) {
        step(world);
    }
    assert_int_equal(ask_now(old, &ask, get_of("k")), KV_OK);
    assert_true(slice_equal(ask.response.range.kvs.items[0].value, SLICE_LIT("new")));
    assert_equal_states(world);
}

static void without_a_leader(void **state)
{
    struct world *world = *state;
    struct ask write;
    struct ask read;
    struct ask local;
    (void)wait_leader(world);
    assert_int_equal(ask_now(&world->hosts[0], &write, put_of("k", "v")), KV_OK);
    assert_equal_states(world);
    world->hosts[1].is_cut = true;
    world->hosts[2].is_cut = true;
    for (int i = 0; i < 1000; i++) {
        step(world);
    }
    int64_t start = world->now_ms;
    assert_int_equal(ask_send(&world->hosts[0], &write, put_of("k", "v")), KV_OK);
    assert_int_equal(ask_send(&world->hosts[0], &read, get_of("k")), KV_OK);
    struct kv_request request = get_of("k");
    request.range.is_serializable = true;
    assert_int_equal(ask_now(&world->hosts[0], &local, request), KV_OK);
    assert_int_equal(local.response.range.count, 1);
    ask_wait(world, &write);
    ask_wait(world, &read);
    assert_int_equal(write.error, KV_E_NO_LEADER);
    assert_int_equal(read.error, KV_E_NO_LEADER);
    assert_in_range(world->now_ms - start, 0, 2000);
    assert_int_equal(ask_send(&world->hosts[0], &write, put_of("k", "v")), KV_E_NO_LEADER);
    world->hosts[1].is_cut = false;
    (void)wait_leader(world);
    assert_int_equal(ask_now(&world->hosts[0], &write, put_of("k", "v")), KV_OK);
}

static void parked_writes_go_to_the_next_leader(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *old = wait_leader(world);
    struct host *other = follower_of(world);
    struct raft_node_status status;
    crash(old);
    do { /* until it has noticed */
        step(world);
        raft_node_status(other->node, &status);
    } while (status.leader_id == old->id);
    int64_t start = world->now_ms;
    assert_int_equal(ask_now(other, &ask, put_of("k", "v")), KV_OK);
    assert_in_range(world->now_ms - start, 0, 1400);
    boot(old);
    (void)wait_leader(world);
    assert_equal_states(world);
}

/* --- bounds --- */

static void large_answers_take_turns(void **state)
{
    struct world *world = *state;
    static struct ask asks[CALLS];
    static uint8_t megabyte[1 << 20];
    struct host *leader = wait_leader(world);
    char key[16];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        struct kv_request request = put_of(key, "");
        request.put.value = slice_from(megabyte, sizeof(megabyte));
        assert_int_equal(ask_now(leader, &asks[0], request), KV_OK);
    }
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(ask_send(leader, &asks[i], get_of("k3")), KV_OK);
    }
    for (size_t i = 0; i < CALLS; i++) {
        ask_wait(world, &asks[i]);
        assert_int_equal(asks[i].error, KV_OK);
        assert_true(asks[i].len > sizeof(megabyte));
    }
    struct kv_request all = get_of("k");
    all.range.range_end = SLICE_LIT("l");
    assert_int_equal(ask_now(leader, &asks[0], all), KV_E_RESPONSE_TOO_LARGE);
    all.range.limit = 7;
    assert_int_equal(ask_now(leader, &asks[0], all), KV_OK);
    /* of a write only the answer is lost */
    struct kv_request gone = {
        .kind = KV_KIND_DELETE,
        .delete_range = {.key = SLICE_LIT("k"), .range_end = SLICE_LIT("l"), .is_prev_kv = true}};
    assert_int_equal(ask_now(leader, &asks[0], gone), KV_E_RESPONSE_TOO_LARGE);
    all.range.is_count_only = true;
    assert_int_equal(ask_now(leader, &asks[0], all), KV_OK);
    assert_int_equal(asks[0].response.range.count, 0);
    assert_equal_states(world);
}

/* Reads that nobody waits for any more are left out; those of others and writes are served. */
static void what_is_given_up_is_not_read(void **state)
{
    struct world *world = *state;
    static struct ask asks[CALLS];
    static uint8_t megabyte[1 << 20];
    struct host *leader = wait_leader(world);
    struct kv_request request = put_of("k", "");
    request.put.value = slice_from(megabyte, sizeof(megabyte));
    assert_int_equal(ask_now(leader, &asks[0], request), KV_OK);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(ask_send(leader, &asks[i], get_of("k")), KV_OK);
        asks[i].call.is_given_up = i % 4 != 0;
    }
    unsigned left_out = 0;
    for (size_t i = 0; i < CALLS; i++) {
        ask_wait(world, &asks[i]);
        assert_int_equal(asks[i].error, i % 4 == 0 ? KV_OK : KV_E_TIMEOUT);
        left_out += asks[i].error == KV_E_TIMEOUT;
    }
    assert_int_equal(left_out, CALLS - CALLS / 4);
}

static void full_store_takes_no_more_puts(void **state)
{
    struct world *world = *state;
    static uint8_t megabyte[1 << 20];
    struct ask ask;
    struct host *leader = wait_leader(world);
    struct kv_request request = put_of("k", "");
    request.put.value = slice_from(megabyte, sizeof(megabyte));
    enum kv_error error = KV_OK;
    for (int i = 0; i < 100 && error == KV_OK; i++) {
        error = ask_now(leader, &ask, request);
        for (int j = 0; j < 30; j++) {
            step(world);
        }
    }
    assert_int_equal(error, KV_E_NO_SPACE);
    assert_int_equal(ask_now(leader, &ask, get_of("k")), KV_OK);
    struct kv_request gone = {.kind = KV_KIND_DELETE, .delete_range = {.key = SLICE_LIT("k")}};
    assert_int_equal(ask_now(leader, &ask, gone), KV_OK);
    assert_int_equal(ask_now(leader, &ask, swap_of(leader, 1)), KV_OK);
}

static void too_many_calls_are_refused(void **state)
{
    struct world *world = *state;
    static struct ask asks[KV_CALLS_MAX + 1];
    struct host *leader = wait_leader(world);
    size_t refused = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(asks); i++) {
        enum kv_error error =
            ask_send(leader, &asks[i], i % 2 == 0 ? put_of("k", "v") : get_of("k"));
        assert_true(error == KV_OK || error == KV_E_TOO_MANY_REQUESTS);
        asks[i].is_done = error != KV_OK;
        asks[i].error = error;
        refused += error != KV_OK;
    }
    assert_int_equal(refused, 1);
    for (size_t i = 0; i < BASE_COUNT_OF(asks); i++) {
        ask_wait(world, &asks[i]);
        assert_int_equal(asks[i].error, i < KV_CALLS_MAX ? KV_OK : KV_E_TOO_MANY_REQUESTS);
    }
    assert_int_equal(kv_service_open_calls(leader->service), 0);
}

static void failed_store_stops_the_node(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    store_mem_fail_at(leader->store, 1, BASE_E_NOSPACE);
    assert_int_equal(ask_send(leader, &ask, put_of("k", "v")), KV_OK);
    ask_wait(world, &ask);
    assert_int_equal(leader->halted, BASE_E_NOSPACE);
    /* it may have reached the others: either answer leaves that open */
    assert_true(ask.error == KV_E_STOPPED || ask.error == KV_E_LEADER_CHANGED);
    assert_int_equal(ask_send(leader, &ask, get_of("k")), KV_E_STOPPED);
    assert_int_equal(kv_service_open_calls(leader->service), 0);
}

static void hanging_disk_does_not_hold_answers_back(void **state)
{
    struct world *world = *state;
    struct ask ask;
    struct host *leader = wait_leader(world);
    struct host *follower = follower_of(world);
    follower->is_disk_hanging = true;
    assert_int_equal(ask_now(leader, &ask, put_of("k", "v")), KV_OK);
    assert_int_equal(ask_send(follower, &ask, get_of("k")), KV_OK);
    for (int i = 0; i < 300; i++) {
        step(world);
    }
    follower->is_disk_hanging = false;
    ask_wait(world, &ask);
    assert_int_equal(ask.error, KV_OK);
    assert_int_equal(ask.response.range.count, 1);
}

/* --- the limit of the settings --- */

static enum kv_error put_of_size(struct host *host, size_t len)
{
    static uint8_t value[1024];
    struct ask ask;
    struct kv_request request = put_of("k", "");
    request.put.value = slice_from(value, len);
    return ask_now(host, &ask, request);
}

static void larger_writes_than_the_settings_allow_are_refused(void **state)
{
    struct world *world = *state;
    (void)wait_leader(world);
    for (size_t i = 0; i < NODES; i++) {
        crash(&world->hosts[i]);
        world->hosts[i].request_bytes_max = 512;
        boot(&world->hosts[i]);
    }
    struct host *leader = wait_leader(world);
    assert_int_equal(put_of_size(leader, 400), KV_OK);
    assert_int_equal(put_of_size(leader, 512), KV_E_REQUEST_TOO_LARGE);
    assert_int_equal(put_of_size(follower_of(world), 400), KV_OK);
    assert_int_equal(put_of_size(follower_of(world), 512), KV_E_REQUEST_TOO_LARGE);
    struct host *other = follower_of(world); /* what it passes on under its own limit is taken */
    crash(other);
    other->request_bytes_max = 0;
    boot(other);
    (void)wait_leader(world);
    for (int i = 0; i < 500; i++) {
        step(world);
    }
    assert_int_equal(put_of_size(other, 1000), KV_OK);
    assert_equal_states(world);
}

/* --- frames from outside --- */

static void damaged_frames_do_no_harm(void **state)
{
    struct world *world = *state;
    struct ask ask;
    uint8_t bytes[256];
    struct host *leader = wait_leader(world);
    struct kv_command command = {
        .origin_node = 2, .origin_life = 1, .request_id = 5000, .request = put_of("key", "value")};
    for (int i = 0; i < 3000; i++) {
        struct buf out = buf_over(bytes, sizeof(bytes));
        buf_put_u8(&out, NET_FRAME_KV);
        buf_put_u8(&out, (uint8_t)base_rand_between(&world->rand, 0, 3));
        assert_int_equal(kv_wire_encode_command(&command, &out), 0);
        bytes[base_rand_between(&world->rand, 1, out.len - 1)] =
            (uint8_t)base_rand_between(&world->rand, 0, 255);
        size_t len = base_rand_between(&world->rand, 0, out.len);
        kv_service_receive(leader->service, 2, slice_from(bytes, len));
        if (i % 20 == 0) {
            step(world);
        }
    }
    assert_int_equal(ask_now(leader, &ask, put_of("k", "v")), KV_OK);
    /* a swap or a write of another node's name is not passed on */
    struct buf out = buf_over(bytes, sizeof(bytes));
    int64_t before = kv_service_revision(leader->service);
    buf_put_u8(&out, NET_FRAME_KV);
    buf_put_u8(&out, 1);
    command.request = swap_of(leader, 1);
    assert_int_equal(kv_wire_encode_command(&command, &out), 0);
    kv_service_receive(leader->service, 2, buf_slice(&out));
    kv_service_receive(leader->service, 3, buf_slice(&out));
    for (int i = 0; i < 200; i++) {
        step(world);
    }
    assert_int_equal(kv_service_revision(leader->service), before);
    assert_int_equal(leader->swaps_won + leader->swaps_void, 0);
    assert_equal_states(world);
}

/* --- many writes while leaders crash: nothing acknowledged is lost --- */

static void crashes_lose_no_acknowledged_put(void **state)
{
    struct world *world = *state;
    static struct ask asks[CALLS];
    static char newest[CALLS][32]; /* acknowledged value per key */
    char keys[CALLS][32];
    int acknowledged = 0;
    for (size_t i = 0; i < CALLS; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        asks[i].is_done = true;
        asks[i].error = KV_E_STOPPED;
        newest[i][0] = 0;
    }
    for (int round = 0; round < 6000; round++) {
        size_t i = base_rand_between(&world->rand, 0, CALLS - 1);
        struct host *host = &world->hosts[base_rand_between(&world->rand, 0, NODES - 1)];
        if (asks[i].is_done && newest[i][0] == 0 && host->node != NULL) {
            (void)snprintf(asks[i].value, sizeof(asks[i].value), "v%d", round);
            asks[i].error = ask_send(host, &asks[i], put_of(keys[i], asks[i].value));
            asks[i].is_done = asks[i].error != KV_OK;
        }
        for (size_t k = 0; k < CALLS; k++) {
            if (asks[k].is_done && asks[k].error == KV_OK && newest[k][0] == 0) {
                memcpy(newest[k], asks[k].value, sizeof(newest[k]));
                acknowledged++;
            }
        }
        if (round % 500 == 250) {
            struct host *victim = leader_of(world);
            if (victim != NULL) {
                crash(victim);
            }
        } else if (round % 500 == 400) {
            for (size_t n = 0; n < NODES; n++) {
                if (world->hosts[n].node == NULL) {
                    boot(&world->hosts[n]);
                }
            }
        }
        step(world);
    }
    struct host *leader = wait_leader(world);
    assert_in_range(acknowledged, CALLS / 2, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        struct ask read;
        if (newest[i][0] != 0) {
            assert_int_equal(ask_now(leader, &read, get_of(keys[i])), KV_OK);
            assert_int_equal(read.response.range.count, 1);
            assert_true(
                slice_equal(read.response.range.kvs.items[0].value, slice_from_text(newest[i])));
        }
    }
    for (size_t i = 0; i < CALLS; i++) {
        ask_wait(world, &asks[i]);
    }
    assert_equal_states(world);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(put_and_get_through_any_node),
        CASE(refused_at_the_door),
        CASE(status_and_members),
        CASE(swaps_reach_every_node),
        CASE(records_are_loaded_after_a_restart),
        CASE(proofs_of_leadership),
        CASE(writes_survive_a_change_of_leader),
        CASE(without_a_leader),
        CASE(parked_writes_go_to_the_next_leader),
        CASE(large_answers_take_turns),
        CASE(what_is_given_up_is_not_read),
        CASE(full_store_takes_no_more_puts),
        CASE(too_many_calls_are_refused),
        CASE(failed_store_stops_the_node),
        CASE(hanging_disk_does_not_hold_answers_back),
        CASE(larger_writes_than_the_settings_allow_are_refused),
        CASE(damaged_frames_do_no_harm),
        CASE(crashes_lose_no_acknowledged_put),
    };
    return cmocka_run_group_tests_name("kv_service", tests, NULL, NULL);
}
