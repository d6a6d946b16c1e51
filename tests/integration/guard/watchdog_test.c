/* SPDX-License-Identifier: Apache-2.0 */
/* The guard with a watchdog, by every way in which it can stop: a FIFO in the place of the device,
 * and this test in the place of its driver. */
#include "tests/integration/guard/fixture.h"

#define WATCHDOG_US INT64_C(1000000)

struct device {
    int fd;
    bool is_counting; /* a byte came, and no 'V' since */
    bool has_closed;  /* the last writer has gone */
    int64_t fed;      /* when the last byte came */
    int64_t longest;  /* between two bytes while counting */
    uint32_t bytes;
    uint32_t closes; /* 'V' */
};

static struct device the_device;

static struct fixture *fixture_watched(const char *mode, bool has_device)
{
    struct fixture *f = the_fixture = fixture_make("busy");
    the_device = (struct device){.fd = -1};
    f->watchdog = mode;
    if (has_device) {
        assert_int_equal(mkfifo(f->device, 0600), 0);
        the_device.fd = open(f->device, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(the_device.fd >= 0);
    }
    guard_begin(f, 0);
    return f;
}

static int device_end(void **state)
{
    if (the_device.fd >= 0) {
        (void)close(the_device.fd);
    }
    the_device.fd = -1;
    return fixture_end(state);
}

/* Takes what has come. */
static void device_read(void)
{
    struct device *d = &the_device;
    char bytes[64];
    ssize_t got = 0;
    while ((got = read(d->fd, bytes, sizeof(bytes))) > 0) {
        int64_t now = now_us();
        d->has_closed = false;
        for (ssize_t i = 0; i < got; i++) {
            int64_t gap = d->is_counting ? now - d->fed : 0;
            d->longest = gap > d->longest ? gap : d->longest;
            d->is_counting = bytes[i] != 'V';
            d->closes += bytes[i] == 'V';
            d->bytes += bytes[i] != 'V';
            d->fed = now;
        }
    }
    d->has_closed = got == 0;
}

/* The host would have been reset. */
static bool device_fires(void)
{
    device_read();
    return the_device.longest > WATCHDOG_US ||
           (the_device.is_counting && now_us() - the_device.fed > WATCHDOG_US);
}

static bool device_fires_within(int ms)
{
    for (int64_t limit = now_us() + ms * 1000; now_us() < limit; nap_ms(2)) {
        if (device_fires()) {
            return true;
        }
    }
    return false;
}

static bool device_is_stopped_within(int ms)
{
    for (int64_t limit = now_us() + ms * 1000; now_us() < limit; nap_ms(2)) {
        device_read();
        if (!the_device.is_counting && the_device.closes > 0 && the_device.has_closed) {
            return the_device.longest <= WATCHDOG_US;
        }
    }
    return false;
}

static bool device_is_fed(void)
{
    uint32_t before = the_device.bytes;
    for (int64_t limit = now_us() + WATCHDOG_US; now_us() < limit; nap_ms(2)) {
        device_read();
        if (the_device.bytes > before + 2) {
            return true;
        }
    }
    return false;
}

static struct fixture *fixture_fed(const char *mode)
{
    struct fixture *f = fixture_watched(mode, true);
    root_begin(f);
    assert_int_equal(f->last.status.watchdog, GUARD_WATCHDOG_IDLE);
    assert_int_equal(ask_arm(f, 5, 20000, 100), 0);
    assert_int_equal(f->last.status.watchdog, GUARD_WATCHDOG_FED);
    assert_true(device_is_fed());
    return f;
}

static void test_watchdog_modes_without_a_device(void **state)
{
    (void)state;
    struct fixture *f = fixture_watched("try", false);
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 5000, 100), 0);
    assert_true(f->last.status.is_armed);
    assert_int_equal(f->last.status.watchdog, GUARD_WATCHDOG_UNAVAILABLE);
    (void)device_end(state);
    f = fixture_watched("require", false);
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 5000, 100), BASE_E_UNSUPPORTED);
    assert_false(f->last.status.is_armed);
    (void)device_end(state);
    f = fixture_watched("require", true);
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 1100, 100), BASE_E_RANGE); /* it could never be fed */
    assert_false(f->last.status.is_armed);
    device_read();
    assert_int_equal(the_device.bytes, 0);
}

static void test_watchdog_stops_in_order(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("require");
    assert_int_equal(ask_plain(f, GUARD_FRAME_DISARM), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(f->last.status.tree, GUARD_TREE_RUNNING);
    assert_int_equal(ask_arm(f, 5, 20000, 100), 0);
    assert_true(device_is_fed());
    assert_int_equal(ask_plain(f, GUARD_FRAME_KILL), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_true(device_is_fed()); /* gone, and the lease goes on: a start may follow */
    assert_int_equal(ask(f, (struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = 5}), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(the_device.closes, 2);
    root_begin(f);
    assert_int_equal(ask_arm(f, 6, 20000, 100), 0);
    assert_true(device_is_fed());
    assert_int_equal(ask_plain(f, GUARD_FRAME_END), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

/* A lease that runs out on a host that works: frozen, killed, no reset. */
static void test_watchdog_is_fed_when_the_tree_is_seen_stopped(void **state)
{
    (void)state;
    struct fixture *f = fixture_watched("require", true);
    root_begin(f);
    int64_t deadline = now_us() + 2000000;
    assert_int_equal(ask_arm(f, 5, 2000, 1200), 0);
    while (f->last.status.tree != GUARD_TREE_FROZEN && now_us() < deadline + 1000000) {
        (void)answer_next(f, 1);
        assert_false(device_fires());
    }
    assert_true(f->last.status.changed.us < deadline); /* before the device would have fired */
    while (f->last.status.tree != GUARD_TREE_GONE && now_us() < deadline + 3000000) {
        (void)answer_next(f, 1);
        assert_false(device_fires());
    }
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_true(now_us() > deadline);
}

/* A ttl made shorter than the device's timeout must not reset the host. */
static void test_watchdog_without_room(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("require");
    assert_int_equal(ask_arm(f, 6, 1100, 100), BASE_E_RANGE);
    assert_int_equal(f->last.status.epoch, 5);
    assert_true(device_is_fed());
    (void)device_end(state);
    f = fixture_fed("try");
    assert_int_equal(ask_arm(f, 6, 1100, 3000), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(f->last.status.watchdog, GUARD_WATCHDOG_IDLE);
    assert_int_equal(ask_arm(f, 6, 20000, 3000), 0);
    assert_true(device_is_fed());
}

static void test_watchdog_sigterm(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("try");
    assert_int_equal(kill(f->guard, SIGTERM), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

/* Nobody feeds any more; the twin stops it when it has seen the tree gone. */
static void test_watchdog_guard_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("try");
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_watchdog_twin_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("try");
    assert_int_equal(kill(f->twin, SIGKILL), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_watchdog_fires_when_nobody_guards(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("try");
    assert_int_equal(kill(f->guard, SIGSTOP), 0);
    assert_int_equal(kill(f->twin, SIGKILL), 0);
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(device_fires_within(3000));
    struct guard_spawn spawn = spawn_of(f);
    assert_int_equal(guard_client_kill_leftovers(&spawn), 0);
    f->guard = 0;
}

static void test_watchdog_fires_when_the_guard_hangs(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("try");
    assert_int_equal(kill(f->guard, SIGSTOP), 0);
    assert_true(device_fires_within(3000));
    assert_int_equal(kill(f->guard, SIGCONT), 0);
}

static void test_watchdog_upgrade(void **state)
{
    (void)state;
    struct fixture *f = fixture_fed("require");
    assert_int_equal(
        guard_client_send(&f->client, &(struct guard_command){.type = GUARD_FRAME_UPGRADE}, NULL),
        0);
    while (answer_next(f, WAIT_MS)) {
    }
    client_connect(f);
    assert_int_equal(f->last.status.watchdog, GUARD_WATCHDOG_FED);
    assert_true(device_is_fed());
    assert_false(device_fires());
    assert_int_equal(ask_plain(f, GUARD_FRAME_DISARM), 0);
    assert_true(device_is_stopped_within(WAIT_MS));
}

#define WATCHDOG_TEST(name) cmocka_unit_test_teardown(name, device_end)

int watchdog_tests(void)
{
    const struct CMUnitTest watched[] = {
        WATCHDOG_TEST(test_watchdog_modes_without_a_device),
        WATCHDOG_TEST(test_watchdog_stops_in_order),
        WATCHDOG_TEST(test_watchdog_is_fed_when_the_tree_is_seen_stopped),
        WATCHDOG_TEST(test_watchdog_without_room),
        WATCHDOG_TEST(test_watchdog_sigterm),
        WATCHDOG_TEST(test_watchdog_guard_killed),
        WATCHDOG_TEST(test_watchdog_twin_killed),
        WATCHDOG_TEST(test_watchdog_fires_when_nobody_guards),
        WATCHDOG_TEST(test_watchdog_fires_when_the_guard_hangs),
        WATCHDOG_TEST(test_watchdog_upgrade),
    };
    return cmocka_run_group_tests_name("guard with a watchdog", watched, NULL, NULL);
}
