/* SPDX-License-Identifier: Apache-2.0 */
/* The watch hub over a store in memory: one conversation in full and each rule of etcd's watches;
 * what clients hear is judged by jepsen/check/watch.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/unit/kv_watch_rig.h"

static struct rig rig;
static char log_memory[65536];

static struct kv_watch_create on(const char *key, const char *end, int64_t start)
{
    return (struct kv_watch_create){
        .key = sl(key),
        .range_end = end != NULL && strcmp(end, "*") == 0 ? slice_from("", 1) : sl(end),
        .start_revision = start};
}

static struct rig_client *client(unsigned index)
{
    return &rig.clients[index];
}

static void expect_last(unsigned index, const char *text)
{
    assert_string_equal(client(index)->last, text);
}

/* --- the conversation --- */

static void start_log(void)
{
    rig.log = buf_over(log_memory, sizeof(log_memory) - 1);
    rig.is_logging = true;
}

static void expect_log(const char *text)
{
    log_memory[rig.log.len] = '\0';
    assert_string_equal(log_memory, text);
    buf_reset(&rig.log);
}

/* Keys of the conversation are "a" (0) and "b" (2). */
static void put_both(const char *a, const char *b)
{
    struct kv_op ops[2] = {
        {.kind = KV_OP_PUT, .put = {.key = sl("a"), .value = sl(a)}},
        {.kind = KV_OP_PUT, .put = {.key = sl("b"), .value = sl(b)}},
    };
    struct kv_outcome outcome;
    struct kv_command command = {.request = {.kind = KV_KIND_TXN, .txn = {.then_ops = {ops, 2}}}};
    assert_int_equal(
        kv_core_apply(store_mem_txn(rig.store.mem), test_scratch(), &command, 1, &outcome), 0);
    rig.revision++;
    assert_int_equal(outcome.revision, rig.revision);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            chk_changes_add(&rig.changes, rig.revision, false, ops[i].put.key, ops[i].put.value),
            0);
    }
    kv_watch_revised(rig.hub, rig.revision);
    rig_settle(&rig);
}

static void test_conversation(void **state)
{
    struct kv_watch_create create = on("a", "", 0);
    (void)state;
    rig_open(&rig, 0);
    start_log();
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_settle(&rig);
    expect_log("id 0 rev 1 created\n");
    rig_put(&rig, 0, "1", false);
    rig_settle(&rig);
    expect_log("id 0 rev 2 PUT a=1@2,2,1\n");
    put_both("2", "1");
    expect_log("id 0 rev 3 PUT a=2@2,3,2\n");
    rig.is_alive[0] = true;
    rig_delete(&rig, 0, 1, false);
    rig_settle(&rig);
    expect_log("id 0 rev 4 DELETE a=@0,4,0\n");

    create = on("a", "", 2);
    create.watch_id = 7;
    create.is_prev_kv = true;
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_settle(&rig);
    expect_log(
        "id 7 rev 4 created\n"
        "id 7 rev 4 PUT a=1@2,2,1 PUT a=2@2,3,2 was a=1@2,2,1 DELETE a=@0,4,0 was a=2@2,3,2\n");

    rig_compact(&rig, 4);
    create = on("a", "", 2);
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_settle(&rig);
    expect_log("id 1 rev 4 created\nid 1 rev 0 canceled compact 4\n");
    rig_progress(&rig, 0);
    rig_settle(&rig);
    expect_log("id -1 rev 4\n");
    rig_cancel(&rig, 0, 7);
    expect_log("id 7 rev 4 canceled\n");
    create = on("b", "a", 0);
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_log("id -1 rev 4 created canceled 'mvcc: watcher range is empty'\n");
    rig_check_end(&rig);
    rig_close(&rig);
}

/* --- creating --- */

static void test_ids_and_refusals(void **state)
{
    struct kv_watch_create create = on("a", "", 0);
    struct kv_watch_request denied = {.which = 1, .create = create};
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    create.watch_id = 1;
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id 1 rev 1 created\n");
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id -1 rev 1 created canceled "
                   "'mvcc: duplicate watch ID provided on the WatchStream'\n");
    create.watch_id = 0;
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id 0 rev 1 created\n");
    assert_non_null(rig_watch(&rig, 0, &create)); /* 1 is taken */
    expect_last(0, "id 2 rev 1 created\n");
    create = on("b", "b", 0);
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id -1 rev 1 created canceled 'mvcc: watcher range is empty'\n");
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    client(1)->watches[0].is_used = true;
    kv_watch_stream_request(client(1)->stream, &denied, KV_E_PERMISSION_DENIED);
    expect_last(1, "id -1 rev 1 created canceled 'rpc error: code = PermissionDenied desc = "
                   "etcdserver: permission denied'\n");
    client(1)->responses = 0;
    rig_cancel(&rig, 1, 99); /* unknown: nothing is said */
    denied.which = 0;
    kv_watch_stream_request(client(1)->stream, &denied, KV_OK);
    assert_int_equal(client(1)->responses, 0);
    rig_close(&rig);
}

static void test_key_bounds(void **state)
{
    static char key[KV_WATCH_KEY_MAX + 1];
    struct kv_watch_create create = on("a", "", 0);
    (void)state;
    memset(key, 'k', sizeof(key));
    rig_open(&rig, 0);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    create.key = slice_from(key, KV_WATCH_KEY_MAX);
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id 0 rev 1 created\n");
    create.key = slice_from(key, KV_WATCH_KEY_MAX + 1);
    assert_non_null(rig_watch(&rig, 0, &create));
    expect_last(0, "id -1 rev 1 created canceled "
                   "'quorate: key or range_end is too long to be watched'\n");
    create = on("", "*", 0); /* everything */
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_put(&rig, 3, "v", false);
    rig_settle(&rig);
    expect_last(0, "id 1 rev 2 PUT b1=v@2,2,1\n");
    rig_close(&rig);
}

static void test_start_revisions(void **state)
{
    struct kv_watch_create create = on("a", "*", 4);
    (void)state;
    rig_open(&rig, 0);
    rig_put(&rig, 0, "1", false); /* 2 */
    rig_put(&rig, 1, "2", false); /* 3 */
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    struct rig_watch *next = rig_watch(&rig, 0, &create);
    create.start_revision = 6;
    struct rig_watch *future = rig_watch(&rig, 0, &create);
    create.start_revision = -5;
    struct rig_watch *negative = rig_watch(&rig, 0, &create);
    assert_non_null(next);
    assert_non_null(future);
    assert_non_null(negative);
    rig_settle(&rig);
    expect_last(0, "id 2 rev 0 canceled compact 1\n");
    for (unsigned i = 0; i < 4; i++) {
        rig_put(&rig, 2, "x", false); /* 4 to 7 */
        rig_settle(&rig);
    }
    assert_int_equal(next->judge.events, 4);
    assert_int_equal(future->judge.events, 2);
    assert_true(negative->judge.is_canceled);
    rig_check_end(&rig);
    rig_close(&rig);
}

static void test_filters(void **state)
{
    struct kv_watch_create create = on("a", "*", 2);
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    create.filters = slice_from("", 1); /* no puts */
    struct rig_watch *no_puts = rig_watch(&rig, 0, &create);
    create.filters = slice_from("\1", 1);
    struct rig_watch *no_deletes = rig_watch(&rig, 0, &create);
    create.filters = slice_from("\0\1", 2);
    struct rig_watch *nothing = rig_watch(&rig, 0, &create);
    assert_non_null(no_puts);
    assert_non_null(no_deletes);
    assert_non_null(nothing);
    rig_settle(&rig);
    rig_txn(&rig, 0, 3, false);
    rig_delete(&rig, 0, 2, false);
    rig_settle(&rig);
    assert_int_equal(no_puts->judge.events, 2);
    assert_int_equal(no_deletes->judge.events, 3);
    assert_int_equal(nothing->judge.events, 0);
    assert_int_equal(client(0)->responses, 5); /* three times created, once each */
    rig_check_end(&rig);
    rig_close(&rig);
}

/* --- slow clients --- */

static void test_behind_is_served_from_history(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, 3); /* created, and two more */
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    struct rig_watch *slow = rig_watch(&rig, 0, &create);
    struct rig_watch *fast = rig_watch(&rig, 1, &create);
    assert_non_null(slow);
    assert_non_null(fast);
    for (unsigned i = 0; i < 3000; i++) {
        rig_put(&rig, i % RIG_KEYS, "x", false);
        rig_settle(&rig);
    }
    assert_int_equal(fast->judge.events, 3000);
    assert_int_equal(slow->judge.events, 2);
    assert_int_equal(kv_watch_stats(rig.hub).behind, 1);
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    assert_int_equal(slow->judge.events, 3000);
    assert_int_equal(kv_watch_stats(rig.hub).behind, 0);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* Both a watcher that stood still and one that asks for old revisions are told, and one at the
 * compact revision itself is served. */
static void test_compacted(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, 1);
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    struct rig_watch *still = rig_watch(&rig, 0, &create);
    for (unsigned i = 0; i < 10; i++) {
        rig_put(&rig, i, "x", false); /* 2 to 11 */
    }
    rig_delete(&rig, 3, 4, false); /* 12 */
    rig_put(&rig, 5, "y", false);  /* 13 */
    rig_settle(&rig);
    rig_compact(&rig, 12);
    create.start_revision = 12;
    create.is_prev_kv = true;
    struct rig_watch *at = rig_watch(&rig, 1, &create);
    create.start_revision = 11;
    struct rig_watch *below = rig_watch(&rig, 1, &create);
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    expect_last(0, "id 0 rev 0 canceled compact 12\n");
    assert_non_null(still);
    assert_non_null(below);
    assert_non_null(at);
    assert_true(still->judge.is_canceled);
    assert_true(below->judge.is_canceled);
    assert_false(at->judge.is_canceled);
    assert_int_equal(at->judge.events, 2);
    assert_int_equal(kv_watch_stats(rig.hub).canceled_compacted, 2);
    assert_int_equal(kv_watch_stats(rig.hub).watchers, 1);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* A client that takes one message at a time gets the events of all its watchers in turn. */
static void test_watchers_take_turns(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    struct rig_watch *watches[3];
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, BASE_COUNT_OF(watches));
    for (size_t i = 0; i < BASE_COUNT_OF(watches); i++) {
        watches[i] = rig_watch(&rig, 0, &create);
        assert_non_null(watches[i]);
    }
    for (unsigned i = 0; i < 30; i++) {
        rig_put(&rig, 0, "x", false);
        rig_settle(&rig);
        rig_credit(&rig, 0, 1);
        rig_settle(&rig);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(watches); i++) {
        assert_in_range(watches[i]->judge.events, 20, 30);
    }
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* A client that sends requests and takes no answers ends, and nobody else does. */
static void test_answers_are_bounded(void **state)
{
    struct kv_watch_request request = {.which = 1, .create = on("a", "", 0)};
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, 0);
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    unsigned count = 0;
    for (; !client(0)->is_ended && count < KV_WATCHERS_MAX; count++) {
        kv_watch_stream_request(client(0)->stream, &request, KV_OK);
    }
    assert_true(client(0)->is_ended);
    assert_int_equal(client(0)->end_error, KV_E_TOO_MANY_REQUESTS);
    assert_true(count > 5000);
    assert_false(client(1)->is_ended);
    rig_disconnect(&rig, 0);
    assert_int_equal(kv_watch_stats(rig.hub).watchers, 0);
    assert_int_equal(kv_watch_stats(rig.hub).streams, 1);
    rig_close(&rig);
}

/* Answers that were kept come in order, before events. */
static void test_answers_wait(void **state)
{
    struct kv_watch_create create = on("a", "*", 2);
    (void)state;
    rig_open(&rig, 0);
    rig_put(&rig, 0, "1", false);
    rig_connect(&rig, 0, 0);
    start_log();
    assert_non_null(rig_watch(&rig, 0, &create));
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_settle(&rig);
    rig_progress(&rig, 0);
    rig_settle(&rig);
    expect_log("");
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    expect_log("id 0 rev 2 created\nid 1 rev 2 created\nid 1 rev 2 PUT a=1@2,2,1\n"
               "id 0 rev 2 PUT a=1@2,2,1\nid -1 rev 2\n");
    rig_close(&rig);
}

/* --- large revisions --- */

static struct slice large_value(size_t len)
{
    static uint8_t value[KV_REQUEST_MAX];
    memset(value, 'L', sizeof(value));
    return slice_from(value, len);
}

/* All living keys go at once; with their previous values that is more than one response holds. */
static void delete_all_large(void)
{
    for (unsigned i = 0; i < RIG_KEYS; i++) {
        rig_put_bytes(&rig, i, large_value(1u << 20), false);
    }
    rig_settle(&rig);
    rig_delete(&rig, 0, RIG_KEYS, false);
    rig_settle(&rig);
}

static void test_fragments(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    create.is_prev_kv = true;
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    struct rig_watch *whole = rig_watch(&rig, 1, &create);
    create.is_fragment = true;
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    struct rig_watch *parts = rig_watch(&rig, 0, &create);
    assert_non_null(whole);
    assert_non_null(parts);
    delete_all_large();
    assert_int_equal(whole->judge.events, 2 * RIG_KEYS);
    assert_int_equal(parts->judge.events, 2 * RIG_KEYS);
    assert_int_equal(client(1)->fragments, 0);
    assert_int_equal(client(0)->fragments, RIG_KEYS - 1); /* one event each, the last one closes */
    rig_check_end(&rig);
    rig_close(&rig);
}

/* Busy between two fragments: what follows is the next one, and nothing comes in between. */
static void test_fragments_go_on(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    create.is_prev_kv = true;
    create.is_fragment = true;
    rig_connect(&rig, 0, 2 + RIG_KEYS + 3);
    struct rig_watch *parts = rig_watch(&rig, 0, &create);
    create.is_prev_kv = false;
    struct rig_watch *other = rig_watch(&rig, 0, &create);
    assert_non_null(parts);
    assert_non_null(other);
    delete_all_large();
    for (unsigned i = 0; i < 100; i++) {
        rig_credit(&rig, 0, 1);
        rig_settle(&rig);
        if (i == 5) {
            rig_progress(&rig, 0);
            create.start_revision = 2;
            assert_non_null(rig_watch(&rig, 0, &create));
        }
    }
    assert_int_equal(parts->judge.events, 2 * RIG_KEYS);
    assert_int_equal(other->judge.events, 2 * RIG_KEYS);
    assert_int_equal(client(0)->progress, 1);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* The client gives up in the middle, and the others on its stream go on. */
static void test_fragments_canceled(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    create.is_prev_kv = true;
    create.is_fragment = true;
    rig_connect(&rig, 0, 2 + 2 * RIG_KEYS + 3);
    struct rig_watch *parts = rig_watch(&rig, 0, &create);
    struct rig_watch *other = rig_watch(&rig, 0, &create);
    assert_non_null(parts);
    assert_non_null(other);
    delete_all_large();
    struct rig_watch *begun = parts->judge.is_in_fragment ? parts : other;
    assert_true(begun->judge.is_in_fragment);
    rig_cancel(&rig, 0, begun->id);
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    assert_true(begun->judge.is_canceled);
    assert_int_equal((begun == parts ? other : parts)->judge.events, 2 * RIG_KEYS);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* A revision beyond what is kept for a watcher ends that watcher, not the others. */
static void test_revision_too_large(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    for (unsigned i = 0; i < RIG_KEYS; i++) {
        rig_put_bytes(&rig, i, large_value(KV_REQUEST_MAX - 1024), false);
    }
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    rig_connect(&rig, 1, RIG_CREDITS_ALL);
    struct rig_watch *plain = rig_watch(&rig, 1, &create);
    create.is_prev_kv = true;
    struct rig_watch *all = rig_watch(&rig, 0, &create);
    create = on("b", "d", 0); /* 15 MB of previous values */
    create.is_prev_kv = true;
    struct rig_watch *some = rig_watch(&rig, 1, &create);
    rig_settle(&rig);
    rig_delete(&rig, 0, RIG_KEYS, false);
    rig_settle(&rig);
    assert_non_null(all);
    assert_non_null(plain);
    assert_non_null(some);
    assert_true(all->judge.is_canceled);
    assert_non_null(strstr(client(0)->last, "'quorate: a revision is too large to be watched"));
    assert_int_equal(plain->judge.events, RIG_KEYS);
    assert_int_equal(some->judge.events, 7);
    rig_put(&rig, 3, "on", false);
    rig_settle(&rig);
    assert_int_equal(plain->judge.events, RIG_KEYS + 1);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* --- progress --- */

static void test_progress(void **state)
{
    struct kv_watch_create create = on("a", "", 0);
    struct base_mono now = {.us = 1000};
    (void)state;
    rig_open(&rig, 1000000);
    kv_watch_tick(rig.hub, now);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    create.is_progress_notify = true;
    struct rig_watch *watch = rig_watch(&rig, 0, &create);
    assert_non_null(watch);
    now.us += 900000;
    kv_watch_tick(rig.hub, now);
    assert_int_equal(client(0)->progress, 0);
    rig_put(&rig, 5, "other", false);
    rig_settle(&rig);
    now.us += 250000;
    kv_watch_tick(rig.hub, now);
    expect_last(0, "id 0 rev 2\n");
    assert_int_equal(client(0)->progress, 1);
    rig_put(&rig, 0, "x", false);
    rig_settle(&rig);
    now.us += 1200000; /* an event was sent meanwhile: no notification */
    kv_watch_tick(rig.hub, now);
    assert_int_equal(client(0)->progress, 1);
    now.us += 1200000;
    kv_watch_tick(rig.hub, now);
    assert_int_equal(client(0)->progress, 2);
    rig_close(&rig);
}

/* Asked for by the client: not before everything was sent. */
static void test_progress_on_request(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, 2);
    rig_progress(&rig, 0); /* nobody is owed anything */
    assert_int_equal(client(0)->progress, 1);
    assert_non_null(rig_watch(&rig, 0, &create));
    for (unsigned i = 0; i < 5; i++) {
        rig_put(&rig, i, "x", false);
        rig_settle(&rig);
    }
    rig_progress(&rig, 0);
    rig_settle(&rig);
    assert_int_equal(client(0)->progress, 1);
    rig_credit(&rig, 0, RIG_CREDITS_ALL);
    rig_settle(&rig);
    assert_int_equal(client(0)->progress, 2);
    assert_int_equal(client(0)->progress_revision, 6);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* --- images --- */

static void test_image(void **state)
{
    struct kv_watch_create create = on("a", "*", 0);
    (void)state;
    rig_open(&rig, 0);
    rig_put(&rig, 0, "1", false);
    rig_settle(&rig);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    struct rig_watch *watch = rig_watch(&rig, 0, &create);
    create.start_revision = 20;
    struct rig_watch *future = rig_watch(&rig, 0, &create);
    assert_non_null(watch);
    assert_non_null(future);
    for (unsigned i = 0; i < 10; i++) {
        rig_put(&rig, i, "2", true); /* 3 to 12 */
    }
    kv_watch_restored(rig.hub);
    rig_settle(&rig);
    assert_int_equal(watch->judge.events, 10);
    for (unsigned i = 0; i < 10; i++) {
        rig_put(&rig, i, "3", true); /* 13 to 22 */
    }
    rig_compact(&rig, 18);
    kv_watch_restored(rig.hub);
    rig_settle(&rig);
    assert_true(watch->judge.is_canceled); /* 13 to 17 are gone */
    assert_false(future->judge.is_canceled);
    assert_int_equal(future->judge.events, 3);
    rig_check_end(&rig);
    rig_close(&rig);
}

/* --- many --- */

static void test_many_watchers(void **state)
{
    const unsigned count = 10000;
    (void)state;
    rig_open(&rig, 0);
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    struct kv_watch_request request = {.which = 1};
    char key[32];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "many/%u", i);
        request.create = on(key, i % 4 == 3 ? "many0" : "", 0);
        client(0)->watches[0] = (struct rig_watch){.is_used = true};
        kv_watch_stream_request(client(0)->stream, &request, KV_OK);
    }
    client(0)->watches[0] = (struct rig_watch){0};
    struct kv_watch_create create = on("c/", "c0", 0);
    struct rig_watch *watch = rig_watch(&rig, 0, &create);
    for (unsigned i = 0; i < 200; i++) {
        rig_txn(&rig, 4, 5, false);
    }
    rig_settle(&rig);
    assert_int_equal(watch->judge.events, 600);
    assert_int_equal(client(0)->responses, count + 2);
    rig_disconnect(&rig, 0);
    assert_int_equal(kv_watch_stats(rig.hub).watchers, 0);
    rig_close(&rig);
}

/* Many events for many watchers are no long turn of the loop: the rest is read again. */
static void test_turns_are_bounded(void **state)
{
    struct kv_watch_create create = on("a", "", 0);
    (void)state;
    rig_sends_max = 3;
    rig_open(&rig, 0);
    rig_sends_max = 0;
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    assert_non_null(rig_watch(&rig, 0, &create));
    assert_non_null(rig_watch(&rig, 0, &create));
    rig_settle(&rig);
    start_log();
    rig_put(&rig, 0, "1", true);
    rig_put(&rig, 0, "2", true);
    rig_put(&rig, 0, "3", false);
    rig_settle(&rig);
    expect_log("id 1 rev 3 PUT a=1@2,2,1 PUT a=2@2,3,2\nid 0 rev 3 PUT a=1@2,2,1 PUT a=2@2,3,2\n"
               "id 1 rev 4 PUT a=3@2,4,3\nid 0 rev 4 PUT a=3@2,4,3\n");
    rig_check_end(&rig);
    rig_close(&rig);
}

static void test_limits(void **state)
{
    struct kv_watch_request request = {.which = 1, .create = on("a", "", 0)};
    struct kv_watch_stream **streams =
        calloc(KV_WATCH_STREAMS_MAX, sizeof(struct kv_watch_stream *));
    struct kv_watch_stream *more = NULL;
    struct kv_watch_sink sink = {0};
    (void)state;
    assert_non_null(streams);
    rig_open(&rig, 0);
    for (unsigned i = 0; i < KV_WATCH_STREAMS_MAX; i++) {
        assert_int_equal(kv_watch_stream_open(rig.hub, &sink, &streams[i]), 0);
    }
    assert_int_equal(kv_watch_stream_open(rig.hub, &sink, &more), BASE_E_BUSY);
    for (unsigned i = 0; i < KV_WATCH_STREAMS_MAX; i++) {
        kv_watch_stream_close(streams[i]);
    }
    rig_connect(&rig, 0, RIG_CREDITS_ALL);
    for (unsigned i = 0; i < KV_WATCHERS_MAX; i++) {
        client(0)->watches[0] = (struct rig_watch){.is_used = true};
        kv_watch_stream_request(client(0)->stream, &request, KV_OK);
    }
    expect_last(0, "id 65535 rev 1 created\n");
    client(0)->watches[0] = (struct rig_watch){.is_used = true};
    kv_watch_stream_request(client(0)->stream, &request, KV_OK);
    expect_last(0, "id -1 rev 1 created canceled 'etcdserver: too many requests'\n");
    assert_int_equal(kv_watch_stats(rig.hub).watchers, KV_WATCHERS_MAX);
    client(0)->watches[0] = (struct rig_watch){0};
    rig_disconnect(&rig, 0);
    free(streams);
    rig_close(&rig);
}

static int teardown(void **state)
{
    (void)state;
    test_scratch_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_ids_and_refusals),
        cmocka_unit_test(test_key_bounds),
        cmocka_unit_test(test_start_revisions),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_behind_is_served_from_history),
        cmocka_unit_test(test_compacted),
        cmocka_unit_test(test_watchers_take_turns),
        cmocka_unit_test(test_answers_are_bounded),
        cmocka_unit_test(test_answers_wait),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_fragments_go_on),
        cmocka_unit_test(test_fragments_canceled),
        cmocka_unit_test(test_revision_too_large),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_on_request),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_many_watchers),
        cmocka_unit_test(test_turns_are_bounded),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
