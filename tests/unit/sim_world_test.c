/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own ground: order of events, stopped processes, clocks, disks that forget, links
 * that keep order. What these do wrong would be blamed on the product.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "base/assert.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

static struct world world;
static struct process process;
static char story[64];
static size_t told;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&process, 0, sizeof(process));
    memset(story, 0, sizeof(story));
    told = 0;
    world.seed = 7;
    world.setup.end_us = 100 * SECOND;
    world.setup.delay_min_us = 100;
    world.setup.delay_max_us = 9000;
    world.setup.sync_min_us = world.setup.sync_max_us = 1000;
    process_start(&process);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free_events(&world);
    return 0;
}

static void say(void *ctx, uint64_t number, struct slice bytes)
{
    (void)ctx;
    (void)bytes;
    story[told++] = (char)number;
}

static void events_come_in_order(void **state)
{
    (void)state;
    world_at_with(&world, 20, NULL, say, NULL, 'c', SLICE_EMPTY);
    world_at_with(&world, 10, NULL, say, NULL, 'a', SLICE_EMPTY);
    world_at_with(&world, 10, NULL, say, NULL, 'b', SLICE_EMPTY);
    world_run(&world);
    assert_string_equal(story, "abc");
}

static void go_on(void *ctx, uint64_t number, struct slice bytes)
{
    (void)ctx;
    (void)number;
    (void)bytes;
    process_thaw(&world, &process, STOPPED_BY_FAULT);
}

static void stopped_process_waits_and_a_dead_one_forgets(void **state)
{
    (void)state;
    world_at_with(&world, 10, &process, say, NULL, 'b', SLICE_EMPTY);
    world_at_with(&world, 20, &process, say, NULL, 'c', SLICE_EMPTY);
    world_at_with(&world, 30, NULL, say, NULL, 'a', SLICE_EMPTY);
    process_freeze(&process, STOPPED_BY_FAULT);
    world_at(&world, 40, NULL, go_on, NULL);
    world_run(&world);
    assert_string_equal(story, "abc");
    world_at_with(&world, 50, &process, say, NULL, 'x', SLICE_EMPTY);
    process_stop(&process);
    process_start(&process);
    world_run(&world);
    assert_string_equal(story, "abc");
}

static void clocks_drift_and_come_back(void **state)
{
    (void)state;
    static const int64_t rates[] = {-9900, -1, 0, 3, 9900};
    for (size_t i = 0; i < BASE_COUNT_OF(rates); i++) {
        struct host_clock c = {.world = &world, .offset_us = 12345678, .rate_ppm = rates[i]};
        world.now_us = 5 * SECOND;
        struct base_mono later = base_mono_add_us(clock_now(&c), 777777);
        world.now_us = clock_true_us(&c, later);
        assert_true(clock_now(&c).us >= later.us && clock_now(&c).us <= later.us + 2);
        clock_stop(&c);
        struct base_mono before = clock_now(&c);
        world.now_us += 3 * SECOND;
        assert_true(clock_now(&c).us == before.us);
        assert_true(clock_true_us(&c, base_mono_add_us(before, SECOND)) > world.now_us);
        clock_go_on(&c);
        assert_true(clock_now(&c).us == before.us);
        world.now_us = clock_true_us(&c, base_mono_add_us(before, SECOND));
        assert_true(clock_now(&c).us >= before.us + SECOND);
    }
}

/* --- disk --- */

struct put_job {
    struct store_job job; /* first */
    struct slice key;
    int status; /* 1: not told yet */
};

static int put_run(struct store_job *job, struct store_txn *txn)
{
    return store_put(txn, STORE_META, ((struct put_job *)(void *)job)->key, SLICE_LIT("v"));
}

static void put_done(struct store_job *job, int status)
{
    ((struct put_job *)(void *)job)->status = status;
}

static int has_run(struct store_job *job, struct store_txn *txn)
{
    struct slice value;
    return store_get(txn, STORE_META, ((struct put_job *)(void *)job)->key, &value) == 0 ? 0 : 1;
}

static bool has_found;

static int look_run(struct store_job *job, struct store_txn *txn)
{
    has_found = has_run(job, txn) == 0;
    return 0;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static int failure;
static unsigned failures_told;

static void note_failure(void *ctx, int status)
{
    (void)ctx;
    failure = status;
    failures_told++;
}

static bool is_on_disk(struct disk *d, struct slice key)
{
    struct put_job look = {{.run = look_run, .done = put_done, .is_read_only = true}, key, 1};
    disk_port(d).submit(disk_port(d).ctx, &look.job);
    world.setup.end_us = world.now_us + SECOND;
    world_run(&world);
    assert_int_equal(look.status, 0);
    return has_found;
}

static void disk_keeps_what_is_durable_and_forgets_the_rest(void **state)
{
    (void)state;
    struct disk *d = disk_open(&world, 0, &process, nothing, note_failure, NULL, false);
    struct put_job kept = {
        {.run = put_run, .done = put_done, .wants_durable = true}, SLICE_LIT("kept"), 1};
    struct put_job lost = {
        {.run = put_run, .done = put_done, .wants_durable = true}, SLICE_LIT("lost"), 1};
    disk_port(d).submit(disk_port(d).ctx, &kept.job);
    world_run(&world);
    assert_int_equal(kept.status, 0);
    assert_true(disk_is_idle(d));
    disk_port(d).submit(disk_port(d).ctx, &lost.job);
    process_stop(&process);
    disk_crash(d);
    process_start(&process);
    assert_true(is_on_disk(d, SLICE_LIT("kept")));
    assert_false(is_on_disk(d, SLICE_LIT("lost")));
    assert_int_equal(lost.status, 1);
    disk_close(d);
}

static void failed_sync_voids_and_stays_failed(void **state)
{
    (void)state;
    struct disk *d = disk_open(&world, 0, &process, nothing, note_failure, NULL, false);
    struct put_job first = {
        {.run = put_run, .done = put_done, .wants_durable = true}, SLICE_LIT("a"), 1};
    struct put_job second = first;
    disk_fail_next_sync(d);
    disk_port(d).submit(disk_port(d).ctx, &first.job);
    world_run(&world);
    assert_int_equal(first.status, BASE_E_IO);
    world.setup.end_us += SECOND;
    disk_port(d).submit(disk_port(d).ctx, &second.job);
    world_run(&world);
    assert_int_equal(second.status, BASE_E_IO);
    process_stop(&process);
    disk_crash(d);
    process_start(&process);
    assert_false(is_on_disk(d, SLICE_LIT("a")));
    disk_close(d);
}

/* As the daemon's stores do: a node that waits for nothing would go on with a store that takes
 * nothing. */
static void failed_flush_is_told_though_nobody_waits(void **state)
{
    (void)state;
    struct disk *d = disk_open(&world, 0, &process, nothing, note_failure, NULL, true);
    struct put_job job = {{.run = put_run, .done = put_done}, SLICE_LIT("a"), 1};
    failures_told = 0;
    disk_fail_next_sync(d);
    disk_port(d).submit(disk_port(d).ctx, &job.job);
    world.setup.end_us = world.now_us + SECOND;
    world_run(&world);
    assert_int_equal(job.status, 0);
    assert_int_equal(failures_told, 1);
    assert_int_equal(failure, BASE_E_IO);
    disk_close(d);
}

/* --- net --- */

static void hear(void *ctx, unsigned from, struct slice payload)
{
    (void)ctx;
    (void)from;
    story[told++] = (char)payload.data[0];
}

static void links_keep_order_and_cuts_hold_or_drop(void **state)
{
    (void)state;
    net_open(&world);
    net_listen(&world, 1, &process, hear, NULL);
    assert_true(net_send(&world, 0, 1, SLICE_LIT("a")));
    assert_true(net_send(&world, 0, 1, SLICE_LIT("b")));
    net_cut(&world, 0, 1, world.now_us + SECOND, true);
    assert_true(net_send(&world, 0, 1, SLICE_LIT("c")));
    assert_true(net_is_cut(&world, 0, 1));
    assert_false(net_is_cut(&world, 1, 0));
    net_cut(&world, 0, 1, world.now_us + SECOND, false);
    assert_true(net_send(&world, 0, 1, SLICE_LIT("x")));
    net_heal_all(&world);
    assert_true(net_send(&world, 0, 1, SLICE_LIT("d")));
    world_run(&world);
    assert_string_equal(story, "abcd");
    net_send(&world, 0, 1, SLICE_LIT("y"));
    net_reset(&world, 0, 1);
    world.setup.end_us += SECOND;
    world_run(&world);
    assert_string_equal(story, "abcd");
    process_stop(&process);
    assert_false(net_send(&world, 0, 1, SLICE_LIT("z")));
    net_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_process_waits_and_a_dead_one_forgets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(clocks_drift_and_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_keeps_what_is_durable_and_forgets_the_rest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(failed_sync_voids_and_stays_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_flush_is_told_though_nobody_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(links_keep_order_and_cuts_hold_or_drop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
