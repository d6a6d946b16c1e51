/* SPDX-License-Identifier: Apache-2.0 */
/* The watch hub at random: slow clients, compactions, resumes and images, judged by
 * jepsen/check/watch.h, the same bytes for the same calls; and the index of intervals against a
 * search from end to end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "base/rand.h"
#include "kv/watch_internal.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_watch_rig.h"

static struct rig rig;

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

static struct slice large_value(size_t len)
{
    static uint8_t value[KV_REQUEST_MAX];
    memset(value, 'L', sizeof(value));
    return slice_from(value, len);
}

/* --- who wants a key --- */

#define GROUPS 3000u
#define GROUP_KEY 4u

struct found_groups {
    struct group *groups[GROUPS];
    size_t count;
};

static int found_group(struct kv_watch_hub *hub, struct group *group, void *ctx)
{
    struct found_groups *found = ctx;
    (void)hub;
    found->groups[found->count++] = group;
    return 0;
}

static struct slice random_key(struct base_rand *rand, uint8_t memory[GROUP_KEY])
{
    size_t len = 1 + base_rand_between(rand, 0, GROUP_KEY - 1);
    for (size_t i = 0; i < len; i++) {
        memory[i] = (uint8_t)('a' + base_rand_between(rand, 0, 3));
    }
    return slice_from(memory, len);
}

/* One watcher is enough to keep a group; it is never looked into. */
static size_t join_groups(struct kv_watch_hub *hub, struct base_rand *rand, struct group **groups)
{
    static struct watcher watcher;
    uint8_t key[GROUP_KEY];
    uint8_t end[GROUP_KEY];
    size_t count = 0;
    for (unsigned tries = 0; tries < 2 * GROUPS && count < GROUPS; tries++) {
        struct kv_interval keys = {random_key(rand, key), SLICE_EMPTY};
        uint64_t kind = base_rand_between(rand, 0, 9);
        if (kind == 0) {
            keys.end = slice_from("", 1);
        } else if (kind < 8) {
            keys.end = random_key(rand, end);
        }
        struct group *group = index_join(hub, keys);
        assert_non_null(group);
        if (group->first == NULL) {
            group->first = &watcher;
            groups[count++] = group;
        }
    }
    return count;
}

static void compare_found(struct kv_watch_hub *hub, struct base_rand *rand, struct group **groups,
                          size_t count)
{
    static struct found_groups found;
    uint8_t memory[GROUP_KEY];
    struct slice key = random_key(rand, memory);
    size_t expected = 0;
    found.count = 0;
    assert_int_equal(index_each(hub, key, found_group, &found), 0);
    for (size_t i = 0; i < count; i++) {
        if (kv_interval_has(group_keys(groups[i]), key)) {
            size_t at = 0;
            while (at < found.count && found.groups[at] != groups[i]) {
                at++;
            }
            assert_true(at < found.count);
            expected++;
        }
    }
    assert_int_equal(found.count, expected);
}

static void test_index(void **state)
{
    static struct group *groups[GROUPS];
    struct base_rand rand = base_rand_make(5, 5);
    (void)state;
    rig_open(&rig, 0);
    size_t count = join_groups(rig.hub, &rand, groups);
    assert_true(count > 500);
    while (count > 0) {
        for (unsigned i = 0; i < 20; i++) {
            compare_found(rig.hub, &rand, groups, count);
        }
        for (unsigned i = 0; i < 50 && count > 0; i++) {
            size_t at = base_rand_between(&rand, 0, count - 1);
            groups[at]->first = NULL;
            index_leave(rig.hub, groups[at]);
            groups[at] = groups[--count];
        }
    }
    rig_close(&rig);
}

/* --- at random --- */

static uint64_t below(struct base_rand *rand, uint64_t bound)
{
    return base_rand_between(rand, 0, bound - 1);
}

static struct kv_watch_create random_create(struct base_rand *rand)
{
    static const char *const ends[] = {"", "*", "c0", "d", "f", "zz"};
    static const char *const filters[] = {"", "\1"};
    unsigned key = (unsigned)below(rand, RIG_KEYS);
    struct kv_watch_create create = on(rig_keys[key], ends[below(rand, BASE_COUNT_OF(ends))], 0);
    uint64_t start = below(rand, 4);
    if (start == 1) {
        create.start_revision = 1 + (int64_t)below(rand, (uint64_t)rig.revision);
    } else if (start == 2) {
        create.start_revision = rig.revision + (int64_t)below(rand, 30);
    }
    create.is_prev_kv = below(rand, 2) == 0;
    create.is_fragment = below(rand, 2) == 0;
    create.is_progress_notify = below(rand, 3) == 0;
    if (below(rand, 4) == 0) {
        create.filters = slice_from(filters[below(rand, 2)], 1);
    }
    create.watch_id = below(rand, 3) == 0 ? (int64_t)below(rand, 5) : 0;
    return create;
}

/* The client comes back and goes on where it was. */
static void random_resume(unsigned index)
{
    struct rig_client old = *client(index);
    rig_disconnect(&rig, index);
    rig_connect(&rig, index, old.credits);
    for (size_t i = 0; i < RIG_WATCHES; i++) {
        const struct rig_watch *watch = &old.watches[i];
        int64_t from = chk_watch_resume(&watch->judge);
        if (watch->is_used && watch->is_answered && !watch->judge.is_canceled && from > 0) {
            struct kv_watch_create create = {.key = watch->judge.key,
                                             .range_end = watch->judge.range_end,
                                             .start_revision = from,
                                             .is_prev_kv = watch->judge.is_prev_kv};
            assert_non_null(rig_watch(&rig, index, &create));
        }
    }
}

static void random_write(struct base_rand *rand, bool is_silent)
{
    char value[32];
    unsigned key = (unsigned)below(rand, RIG_KEYS);
    unsigned count = 1 + (unsigned)below(rand, RIG_KEYS - key);
    uint64_t what = below(rand, 240);
    if (what < 40) {
        rig_delete(&rig, key, key + count, is_silent);
    } else if (what < 80) {
        rig_txn(&rig, key, count, is_silent);
    } else if (what == 80) {
        rig_put_bytes(&rig, key, large_value(900000), is_silent);
    } else {
        (void)snprintf(value, sizeof(value), "v%u", (unsigned)++rig.values);
        rig_put(&rig, key, value, is_silent);
    }
}

static void random_client_step(struct base_rand *rand, struct base_mono *now)
{
    unsigned index = (unsigned)below(rand, RIG_CLIENTS);
    uint64_t what = below(rand, 100);
    struct rig_client *c = client(index);
    if (what < 25) {
        struct kv_watch_create create = random_create(rand);
        (void)rig_watch(&rig, index, &create);
    } else if (what < 30) {
        const struct rig_watch *watch = &c->watches[below(rand, RIG_WATCHES)];
        if (watch->is_used && watch->is_answered && !watch->judge.is_canceled) {
            rig_cancel(&rig, index, watch->id);
        }
    } else if (what < 60) {
        rig_credit(&rig, index, (uint32_t)below(rand, 6));
    } else if (what < 65) {
        rig_credit(&rig, index, RIG_CREDITS_ALL);
    } else if (what < 75) {
        rig_progress(&rig, index);
    } else if (what < 80) {
        random_resume(index);
    } else {
        now->us += (int64_t)below(rand, 400000);
        kv_watch_tick(rig.hub, *now);
    }
}

static void random_step(struct base_rand *rand, struct base_mono *now)
{
    uint64_t what = below(rand, 100);
    if (what < 35) {
        random_write(rand, false);
    } else if (what < 70) {
        random_client_step(rand, now);
    } else if (what < 80) {
        (void)store_mem_run_one(rig.store.mem);
    } else if (what < 96) {
        (void)store_mem_complete(rig.store.mem);
    } else if (what < 98) {
        if (rig.revision > rig.compact + 1) {
            rig_compact(&rig, rig.compact + 1 +
                                  (int64_t)below(rand, (uint64_t)(rig.revision - rig.compact)));
        }
    } else if (below(rand, 4) == 0) {
        for (uint64_t i = below(rand, 50); i > 0; i--) {
            random_write(rand, true);
        }
        kv_watch_restored(rig.hub);
    } else {
        rig_settle(&rig);
    }
}

static void random_begin(uint64_t seed)
{
    struct base_rand rand = base_rand_make(seed, 1);
    rig_sends_max = seed % 2 == 0 ? 3 : 0;
    rig_open(&rig, 300000);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        rig_connect(&rig, i, (uint32_t)below(&rand, 20));
    }
}

static void random_finish(void)
{
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        rig_credit(&rig, i, RIG_CREDITS_ALL);
    }
    rig_settle(&rig);
    rig_check_end(&rig);
}

/* The same calls in the same order send the same bytes. */
static void test_deterministic(void **state)
{
    uint32_t sums[2];
    (void)state;
    for (size_t run = 0; run < 2; run++) {
        struct base_rand rand = base_rand_make(77, 2);
        struct base_mono now = {.us = 1};
        random_begin(77);
        for (unsigned i = 0; i < 2000; i++) {
            random_step(&rand, &now);
        }
        random_finish();
        sums[run] = rig.sum;
        rig_close(&rig);
    }
    assert_int_equal(sums[0], sums[1]);
    assert_int_not_equal(sums[0], 0);
}

static void test_random(void **state)
{
    uint64_t events = 0;
    uint64_t compacted = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct base_rand rand = base_rand_make(seed, 2);
        struct base_mono now = {.us = 1};
        random_begin(seed);
        for (unsigned i = 0; i < 3000; i++) {
            random_step(&rand, &now);
        }
        random_finish();
        events += kv_watch_stats(rig.hub).events;
        compacted += kv_watch_stats(rig.hub).canceled_compacted;
        for (unsigned i = 0; i < RIG_CLIENTS; i++) {
            assert_false(client(i)->is_ended);
        }
        rig_close(&rig);
    }
    print_message("%u events, %u watches canceled by compaction\n", (unsigned)events,
                  (unsigned)compacted);
    assert_true(events > 20000);
    assert_true(compacted > 100);
}

#ifdef QUORATE_CANARIES
static void test_canary(void **state)
{
    bool is_caught = false;
    (void)state;
    assert_true(base_canary_select("watch-skips-revision"));
    for (uint64_t seed = 1; seed <= 5 && !is_caught; seed++) {
        struct base_rand rand = base_rand_make(seed, 2);
        struct base_mono now = {.us = 1};
        random_begin(seed);
        rig.may_break = true;
        for (unsigned i = 0; i < 3000 && rig.broken == NULL; i++) {
            random_step(&rand, &now);
        }
        is_caught = rig.broken != NULL &&
                    (strcmp(rig.broken, "reliable") == 0 || strcmp(rig.broken, "resumable") == 0 ||
                     strcmp(rig.broken, "bookmarkable") == 0);
        rig_close(&rig);
    }
    assert_true(base_canary_select(NULL));
    assert_true(is_caught);
}
#endif

static int teardown(void **state)
{
    (void)state;
    test_scratch_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_random),
#ifdef QUORATE_CANARIES
        cmocka_unit_test(test_canary),
#endif
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, teardown);
}
