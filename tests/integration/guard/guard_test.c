/* SPDX-License-Identifier: Apache-2.0 */
/* The guard against real process trees (safety.md section 3): every test once by signals and once
 * by cgroup where this host lets us. */
#include "tests/integration/guard/fixture.h"

static void test_exit_is_seen(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("exit");
    assert_int_equal(ask_plain(f, GUARD_FRAME_START), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(WEXITSTATUS(f->last.status.exit_status), 7);
    assert_int_equal(f->last.status.starts, 1);
    assert_int_equal(ask_plain(f, GUARD_FRAME_START), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(f->last.status.starts, 2);
}

static void test_freeze_and_thaw(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    pid_t root = f->last.status.root_pid;
    int before = tree_each(f, 0);
    for (uint64_t epoch = 5; epoch < 8; epoch++) {
        assert_int_equal(ask_arm(f, epoch, 50, 3000), 0);
        assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
        assert_true(nobody_counts(f));
        print_message("frozen %lld us after the deadline\n", (long long)f->last.status.freeze_us);
        assert_true(f->last.status.freeze_us < MARGIN_US / 4);
        assert_int_equal(ask_arm(f, epoch - 1, 1000, 3000), BASE_E_CONFLICT);
        assert_int_equal(ask_plain(f, GUARD_FRAME_DISARM), BASE_E_STATE);
        assert_int_equal(f->last.status.tree, GUARD_TREE_FROZEN);
        assert_int_equal(ask_arm(f, epoch, 1000, 3000), 0);
        assert_int_equal(f->last.status.tree, GUARD_TREE_RUNNING);
        assert_true(everybody_counts(f, 6));
    }
    assert_int_equal(f->last.status.root_pid, root);
    assert_int_equal(tree_each(f, 0), before);
}

static void test_freeze_max_over_kills(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 50, 300), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
    assert_true(WIFSIGNALED(f->last.status.exit_status));
    /* gone, so it may be handed back, and that is final; the next start is not born frozen */
    assert_int_equal(ask(f, (struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = 5}), 0);
    assert_int_equal(ask_arm(f, 5, 1000, 300), BASE_E_CONFLICT);
    assert_false(f->last.status.is_armed);
    root_begin(f);
    assert_int_equal(ask_arm(f, 6, 1000, 300), 0);
}

static void test_higher_epoch_kills_frozen(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 30, 3000), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_int_equal(ask(f, (struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = 5}),
                     BASE_E_STATE);
    assert_int_equal(ask(f, (struct guard_command){.type = GUARD_FRAME_EPOCH_SEEN, .epoch = 6}), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_storm(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("storm");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 50, 3000), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    print_message("storm frozen %lld us after the deadline\n", (long long)f->last.status.freeze_us);
    assert_true(nobody_counts(f));
    assert_int_equal(ask_arm(f, 5, 10000, 3000), 0);
    uint64_t storm = atomic_load(&f->counters->slots[COUNTER_STORM]);
    assert_true(everybody_counts(f, 6));
    for (int i = 0; i < WAIT_MS && atomic_load(&f->counters->slots[COUNTER_STORM]) < storm + 10;
         i++) {
        nap_ms(1);
    }
    assert_true(atomic_load(&f->counters->slots[COUNTER_STORM]) >= storm + 10);
    int64_t begin = now_us();
    assert_int_equal(ask_plain(f, GUARD_FRAME_KILL), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    print_message("storm gone after %lld us\n", (long long)(now_us() - begin));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_threads_without_leader(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("threads");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 30, 3000), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_true(nobody_counts(f));
    assert_int_equal(ask_plain(f, GUARD_FRAME_KILL), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_root_dies_rest_is_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(kill(f->last.status.root_pid, SIGKILL), 0);
    assert_true(tree_becomes(f, GUARD_TREE_ROOT_EXITED, WAIT_MS));
    assert_true(tree_becomes(f, GUARD_TREE_GONE, 1000));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_signals(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(
        ask(f, (struct guard_command){.type = GUARD_FRAME_SIGNAL, .signal_number = SIGUSR1}), 0);
    for (int i = 0; i < 1000 && atomic_load(&f->counters->slots[COUNTER_USR1]) == 0; i++) {
        nap_ms(2);
    }
    assert_true(atomic_load(&f->counters->slots[COUNTER_USR1]) >= 1);
    assert_int_equal(
        ask(f, (struct guard_command){.type = GUARD_FRAME_SIGNAL, .signal_number = SIGSTOP}),
        BASE_E_RANGE);
    assert_int_equal(
        ask(f, (struct guard_command){.type = GUARD_FRAME_SIGNAL, .signal_number = SIGINT}), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(WEXITSTATUS(f->last.status.exit_status), 3);
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_guard_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 60000, 3000), 0);
    int64_t begin = now_us();
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(tree_is_gone_within(f, 1000));
    print_message("gone %lld us after kill -9 of the guard\n", (long long)(now_us() - begin));
    assert_true(ends_within(f->twin, 1000));
    guard_begin(f, 0); /* the way is free for the next one: stale socket and lock do no harm */
    root_begin(f);
}

static void test_twin_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 60000, 3000), 0);
    int64_t begin = now_us();
    assert_int_equal(kill(f->twin, SIGKILL), 0);
    assert_true(tree_is_gone_within(f, 1000));
    print_message("gone %lld us after kill -9 of the twin\n", (long long)(now_us() - begin));
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_true(ends_within(f->guard, 1000));
}

static void test_both_killed(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    pid_t root = f->last.status.root_pid;
    assert_int_equal(kill(f->guard, SIGSTOP), 0); /* neither can act on the other's death */
    assert_int_equal(kill(f->twin, SIGKILL), 0);
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(ends_within(root, 1000));
    assert_true(tree_each(f, 0) > 0);
    struct guard_spawn spawn = spawn_of(f);
    assert_int_equal(guard_client_kill_leftovers(&spawn), 0);
    assert_int_equal(tree_each(f, 0), 0);
    f->guard = 0;
}

static void test_next_guard_kills_leftovers(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(kill(f->guard, SIGSTOP), 0);
    assert_int_equal(kill(f->twin, SIGKILL), 0);
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(ends_within(f->guard, 1000));
    guard_begin(f, 0);
    assert_int_equal(tree_each(f, 0), 0); /* before anything else */
    assert_int_equal(f->last.status.tree, GUARD_TREE_GONE);
    root_begin(f);
}

static void test_guard_stopped_twin_kills(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    int64_t deadline = now_us() + 200000;
    assert_int_equal(ask_arm(f, 5, 200, 3000), 0);
    assert_int_equal(kill(f->guard, SIGSTOP), 0);
    assert_true(tree_is_gone_within(f, 3000));
    int64_t late = now_us() - deadline;
    print_message("gone %lld us after the deadline, margin %lld\n", (long long)late,
                  (long long)MARGIN_US);
    assert_true(late > MARGIN_US / 2);
    assert_true(late < MARGIN_US / 2 + 1000000);
    assert_int_equal(kill(f->guard, SIGCONT), 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_int_equal(ask(f, (struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = 5}), 0);
}

static void test_agent_comes_and_goes(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    struct guard_status before = f->last.status;
    assert_int_equal(ask_arm(f, 5, 5000, 3000), 0);
    guard_client_close(&f->client);
    nap_ms(50);
    client_connect(f);
    assert_int_equal(f->last.status.root_pid, before.root_pid);
    assert_int_equal(f->last.status.instance, before.instance);
    assert_int_equal(f->last.status.epoch, 5);
    assert_true(f->last.status.is_armed);
    assert_true(everybody_counts(f, 6));
    /* one that watches sees all and commands nothing; a newer commander takes over */
    struct fixture other = *f;
    guard_client_init(&other.client);
    assert_int_equal(guard_client_connect(&other.client, f->socket, true), 0);
    assert_true(answer_next(&other, WAIT_MS));
    assert_int_equal(other.last.status.root_pid, before.root_pid);
    assert_int_equal(ask_plain(&other, GUARD_FRAME_KILL), BASE_E_DENIED);
    assert_int_equal(ask_arm(f, 5, 6000, 3000), 0);
    assert_int_equal(
        guard_client_send(&other.client, &(struct guard_command){.type = GUARD_FRAME_HELLO}, NULL),
        0);
    assert_int_equal(ask_plain(&other, GUARD_FRAME_DISARM), 0);
    assert_int_equal(ask_arm(f, 5, 7000, 3000), BASE_E_DENIED);
    guard_client_close(&other.client);
}

static void test_bad_frames_close(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    uint8_t junk[GUARD_FRAME_BYTES];
    memset(junk, 'x', sizeof(junk));
    assert_int_equal(send(f->client.fd, junk, sizeof(junk), MSG_NOSIGNAL), sizeof(junk));
    while (answer_next(f, WAIT_MS)) {
    }
    assert_int_equal(f->client.fd, -1);
    client_connect(f);
    assert_int_equal(f->last.status.tree, GUARD_TREE_RUNNING);
    struct guard_client extra[12]; /* more than it has room for: the oldest watchers go */
    for (size_t i = 0; i < 12; i++) {
        int rc = BASE_E_UNREACHABLE;
        guard_client_init(&extra[i]);
        for (int tries = 0; rc == BASE_E_UNREACHABLE && tries < WAIT_MS; tries++) {
            rc = guard_client_connect(&extra[i], f->socket, true);
            nap_ms(1);
        }
        assert_int_equal(rc, 0);
    }
    for (size_t i = 0; i < 12; i++) {
        guard_client_close(&extra[i]);
    }
    assert_int_equal(ask_arm(f, 5, 5000, 3000), 0);
}

static void test_second_guard_refuses(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    struct guard_spawn spawn = spawn_of(f);
    assert_int_equal(guard_client_spawn(&spawn, WAIT_MS), BASE_E_STATE);
    assert_int_equal(guard_client_kill_leftovers(&spawn),
                     BASE_E_CONFLICT); /* nothing is left over */
    assert_true(everybody_counts(f, 6));
}

static void test_foreign_server_is_left_alone(void **state)
{
    (void)state;
    struct fixture *f = the_fixture = fixture_make("busy");
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)execv(tree_program, f->command);
        _exit(127);
    }
    assert_true(everybody_counts(f, 6));
    struct guard_spawn spawn = spawn_of(f);
    assert_int_equal(guard_client_spawn(&spawn, WAIT_MS), BASE_E_STATE);
    assert_int_equal(guard_client_kill_leftovers(&spawn), BASE_E_CONFLICT);
    assert_true(everybody_counts(f, 6));
}

static void test_sigterm_to_the_guard(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(kill(f->guard, SIGTERM), 0);
    assert_true(ends_within(f->guard, 1000));
    assert_int_equal(tree_each(f, 0), 0);
    assert_true(ends_within(f->twin, 1000));
    assert_int_equal(access(f->socket, F_OK), -1);
}

static void test_sigterm_to_the_twin(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(kill(f->twin, SIGTERM), 0);
    assert_true(ends_within(f->guard, 1000));
    assert_int_equal(tree_each(f, 0), 0);
}

static void test_upgrade(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 3000, 3000), 0);
    struct guard_status before = f->last.status;
    for (uint32_t i = 1; i <= 2; i++) {
        assert_int_equal(guard_client_send(&f->client,
                                           &(struct guard_command){.type = GUARD_FRAME_UPGRADE},
                                           NULL),
                         0);
        while (answer_next(f, WAIT_MS)) {
        }
        client_connect(f);
        assert_int_equal(f->last.upgrades, i);
        assert_int_equal(f->last.status.instance, before.instance);
        assert_int_equal(f->last.status.root_pid, before.root_pid);
        assert_int_equal(f->last.status.deadline.us, before.deadline.us);
    }
    assert_true(everybody_counts(f, 6));
    assert_int_equal(ask_arm(f, 4, 9000, 3000), BASE_E_CONFLICT);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_true(nobody_counts(f));
    assert_int_equal(ask_arm(f, 5, 5000, 3000), 0);
    assert_true(everybody_counts(f, 6));
    assert_int_equal(kill(f->guard, SIGKILL), 0);
    assert_true(tree_is_gone_within(f, 1000));
}

static long private_kb(pid_t pid)
{
    char path[64], text[2048];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if (!text_read(path, text, sizeof(text), &len)) {
        return -1;
    }
    const char *clean = strstr(text, "Private_Clean:"), *dirty = strstr(text, "Private_Dirty:");
    return clean == NULL || dirty == NULL
               ? -1
               : strtol(clean + 14, NULL, 10) + strtol(dirty + 14, NULL, 10);
}

static void test_memory(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 50, 3000), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    nap_ms(1100);
    assert_int_equal(ask_arm(f, 5, 10000, 3000), 0);
    long guard = (long)f->last.status.private_kb, twin = private_kb(f->twin);
    print_message("private memory: guard %ld kB, twin %ld kB; cgroup %d, real-time %d, locked %d\n",
                  guard, twin, f->last.status.is_cgroup, f->last.status.is_realtime,
                  f->last.status.is_memory_locked);
    if (strcmp(QUORATE_VARIANT, "asan") == 0) {
        return;
    }
    assert_in_range(guard, 1, 512);
    assert_true(twin <= 512); /* -1: not readable by a user */
}

/* A pause of the guard itself is told with what was left of the lease. */
static void test_pauses_are_measured(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    root_begin(f);
    assert_int_equal(ask_arm(f, 5, 20000, 3000), 0);
    nap_ms(150);
    assert_int_equal(kill(f->guard, SIGSTOP), 0);
    nap_ms(400);
    assert_int_equal(kill(f->guard, SIGCONT), 0);
    assert_int_equal(ask_arm(f, 5, 20001, 3000), 0);
    assert_true(f->last.status.pause_worst_us >= 250000);
    assert_in_range(f->last.status.pause_left_us, 1, 19600000);
}

#define GUARD_TEST(name) cmocka_unit_test_teardown(name, fixture_end)

static bool cgroup_is_permitted(void)
{
    struct fixture *f = fixture_run("exit");
    void *none = NULL;
    bool is_permitted = f->last.status.is_cgroup;
    (void)fixture_end(&none);
    return is_permitted;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(test_exit_is_seen),
        GUARD_TEST(test_freeze_and_thaw),
        GUARD_TEST(test_freeze_max_over_kills),
        GUARD_TEST(test_higher_epoch_kills_frozen),
        GUARD_TEST(test_storm),
        GUARD_TEST(test_threads_without_leader),
        GUARD_TEST(test_root_dies_rest_is_killed),
        GUARD_TEST(test_signals),
        GUARD_TEST(test_guard_killed),
        GUARD_TEST(test_twin_killed),
        GUARD_TEST(test_both_killed),
        GUARD_TEST(test_next_guard_kills_leftovers),
        GUARD_TEST(test_guard_stopped_twin_kills),
        GUARD_TEST(test_agent_comes_and_goes),
        GUARD_TEST(test_bad_frames_close),
        GUARD_TEST(test_second_guard_refuses),
        GUARD_TEST(test_foreign_server_is_left_alone),
        GUARD_TEST(test_sigterm_to_the_guard),
        GUARD_TEST(test_sigterm_to_the_twin),
        GUARD_TEST(test_upgrade),
        GUARD_TEST(test_pauses_are_measured),
        GUARD_TEST(test_memory),
    };
    programs_find();
    cgroup_where = "none";
    int failed = cmocka_run_group_tests_name("guard by signals", tests, NULL, NULL);
    failed += watchdog_tests();
    cgroup_where = "auto";
    if (!cgroup_is_permitted()) {
        (void)printf("SKIP  guard by cgroup: no cgroup v2 directory may be made here\n");
        return failed;
    }
    return failed + cmocka_run_group_tests_name("guard by cgroup", tests, NULL, NULL);
}
