/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's core against a made-up past: a cluster whose record moves on, quorum nodes that tell
 * it late, twice or not at all, reads that are answered late. Whatever the order, a connection is
 * only ever sent to somebody who was the opened holder at a moment within the last lease, and who
 * was cut once stays cut off until the record has made him holder again. */
#include <stdlib.h>
#include <string.h>

#include "agents/proxy/core/core.h"
#include "base/canary.h"
#include "base/name.h"
#include "base/rand.h"
#include "tests/support/cm.h"

#define RUNS 300
#define STEPS 400
#define PAST_MAX 512
#define LATE_MAX 32
#define TTL_MS 2000

/* The truth: records and when each began to stand. */
static struct {
    struct proxy_record records[PAST_MAX];
    struct base_mono since[PAST_MAX];
    size_t count;
} past;

/* What is under way to the proxy. */
struct late {
    bool is_used, is_proof;
    size_t record; /* index into the past */
    struct base_mono asked_at, arrives;
};

static struct {
    struct base_rand rand;
    struct base_mono now;
    struct proxy_core core;
    struct late late[LATE_MAX];
} world;

static uint64_t draw(uint64_t below)
{
    return base_rand_between(&world.rand, 0, below - 1);
}

static void name_member(uint64_t i, struct base_name *ret)
{
    char text[] = "pg0";
    text[2] = (char)('0' + i);
    assert_int_equal(base_name_from_text(text, ret), 0);
}

/* --- the cluster --- */

static void record_add(struct proxy_record record)
{
    if (past.count < PAST_MAX) {
        past.records[past.count] = record;
        past.since[past.count++] = world.now;
    }
}

static void cluster_moves(void)
{
    struct proxy_record next = past.records[past.count - 1];
    next.revision++;
    switch (draw(4)) {
    case 0:
        next.epoch++;
        next.is_opened = false;
        next.state = MSG_RECORD_RUNNING;
        name_member(draw(3), &next.holder);
        break;
    case 1:
        next.is_opened = true;
        break;
    case 2:
        next.state = next.state == MSG_RECORD_RUNNING ? MSG_RECORD_SWITCHOVER : MSG_RECORD_RUNNING;
        break;
    default: /* something that does not concern us */
        break;
    }
    record_add(next);
}

/* --- the network --- */

static void send_late(bool is_proof, size_t record, struct base_mono asked_at)
{
    for (size_t i = 0; i < LATE_MAX; i++) {
        if (!world.late[i].is_used) {
            int64_t delay_us = (int64_t)draw(draw(8) == 0 ? 5000000 : 20000);
            world.late[i] = (struct late){.is_used = true,
                                          .is_proof = is_proof,
                                          .record = record,
                                          .asked_at = asked_at,
                                          .arrives = base_mono_add_us(world.now, delay_us)};
            return;
        }
    }
}

static void tell(const struct late *l)
{
    struct proxy_effects fx;
    struct proxy_event event = {.kind = l->is_proof ? PROXY_EVENT_PROOF : PROXY_EVENT_RECORD,
                                .now = world.now,
                                .asked_at = l->asked_at,
                                .record = &past.records[l->record]};
    struct proxy_record before = world.core.record;
    bool had_record = world.core.has_record;
    uint8_t holder = proxy_holder(&world.core);
    proxy_step(&world.core, &event, &fx);
    if (had_record && world.core.record.epoch != before.epoch) {
        assert_true(world.core.record.epoch > before.epoch);
        assert_true((fx.cut >> holder & 1) != 0);
    } else {
        assert_int_equal(fx.cut, 0);
    }
    assert_false(world.core.is_restored); /* this quorum never goes back */
}

static void deliver(void)
{
    for (size_t i = 0; i < LATE_MAX; i++) {
        if (world.late[i].is_used && !base_mono_before(world.now, world.late[i].arrives)) {
            world.late[i].is_used = false;
            tell(&world.late[i]);
        }
    }
}

/* A linearizable read sees what stands at some moment between its sending and its answer: here the
 * moment is now, and it was sent a while ago. */
static void read_is_served(void)
{
    int64_t ago_us = (int64_t)draw(draw(8) == 0 ? 3000000 : 5000);
    struct base_mono asked_at = base_mono_add_us(world.now, -ago_us);
    send_late(true, past.count - 1, asked_at);
}

static void change_is_pushed(void)
{
    size_t back = draw(4) == 0 ? draw(past.count) : 0; /* a node that is behind */
    send_late(false, past.count - 1 - back, world.now);
}

/* --- the rule --- */

static bool was_true_lately(const struct base_name *holder)
{
    for (size_t i = past.count; i-- > 0;) {
        struct base_mono end = i + 1 < past.count ? past.since[i + 1] : world.now;
        if (base_mono_diff_us(world.now, end) > TTL_MS * BASE_US_PER_MS) {
            return false;
        }
        if (past.records[i].is_opened && base_name_equal(&past.records[i].holder, holder)) {
            return true;
        }
    }
    return false;
}

static void client_comes(void)
{
    struct proxy_choice choice;
    proxy_choose(&world.core, PROXY_PRIMARY, (int64_t)draw(8000000), world.now, &choice);
    if (choice.member != PROXY_NOBODY) {
        assert_true(was_true_lately(&world.core.members[choice.member].seen.name));
    }
}

static void world_make(uint64_t seed)
{
    static const struct proxy_options options = {.switchover_hold_us = 5 * BASE_US_PER_S};
    memset(&world, 0, sizeof(world));
    past.count = 0;
    world.rand = base_rand_make(seed, 0);
    world.now = (struct base_mono){1000 * BASE_US_PER_S};
    proxy_core_init(&world.core, &options);
    for (uint64_t i = 0; i < 3; i++) {
        struct proxy_seen seen;
        struct proxy_effects fx;
        memset(&seen, 0, sizeof(seen));
        name_member(i, &seen.name);
        seen.db_port = 5432;
        proxy_step(
            &world.core,
            &(struct proxy_event){.kind = PROXY_EVENT_MEMBER, .now = world.now, .seen = &seen},
            &fx);
    }
    struct proxy_record first = {.epoch = 1,
                                 .revision = 1,
                                 .state = MSG_RECORD_RUNNING,
                                 .is_opened = true,
                                 .ttl_ms = TTL_MS};
    name_member(0, &first.holder);
    record_add(first);
}

static void test_nobody_is_sent_by_an_old_answer(void **state)
{
    unsigned long routed = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        world_make(seed);
        for (int i = 0; i < STEPS; i++) {
            world.now = base_mono_add_us(world.now, (int64_t)draw(draw(20) == 0 ? 3000000 : 20000));
            if (draw(8) == 0) {
                cluster_moves();
            }
            if (draw(2) == 0) {
                change_is_pushed();
            }
            if (draw(2) == 0) {
                read_is_served();
            }
            deliver();
            struct proxy_choice choice;
            proxy_choose(&world.core, PROXY_PRIMARY, 0, world.now, &choice);
            routed += choice.member != PROXY_NOBODY;
            client_comes();
        }
    }
    assert_true(routed > RUNS * STEPS / 10); /* or it would prove nothing */
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nobody_is_sent_by_an_old_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
