/* SPDX-License-Identifier: Apache-2.0 */
/* The guard against real process trees (safety.md section 3): every test once by signals and once
 * by cgroup where this host lets us. A fixture kills only what it started: processes whose command
 * line names its own temporary directory. */
#include "tests/support/cm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agents/guard/client.h"
#include "tests/integration/guard/counters.h"

#define MARGIN_US INT64_C(400000)
#define WAIT_MS 5000

static const char *guard_program;
static const char *tree_program;
static const char *cgroup_where; /* of the tests that run now */

struct fixture {
    char directory[32];
    char socket[96];
    char state[96];
    char data[96];
    char file[96];
    struct counters *counters;
    char *command[8];
    struct guard_client client;
    struct guard_answer last;
    pid_t guard;
    pid_t twin;
    const char *watchdog; /* mode; NULL: none */
    char device[96];
};

/* --- time, processes --- */

static int64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void nap_ms(int ms)
{
    (void)usleep((useconds_t)ms * 1000);
}

static bool text_read(const char *path, char *text, size_t cap, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, cap - 1);
    (void)close(fd);
    *ret_len = got > 0 ? (size_t)got : 0;
    text[*ret_len] = '\0';
    return got > 0;
}

static char state_of(pid_t pid, pid_t *ret_parent)
{
    char path[64], text[512];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!text_read(path, text, sizeof(text), &len) || strrchr(text, ')') == NULL) {
        return 0;
    }
    const char *rest = strrchr(text, ')') + 2;
    if (ret_parent != NULL) {
        *ret_parent = (pid_t)strtol(rest + 2, NULL, 10);
    }
    return rest[0];
}

static bool is_alive(pid_t pid)
{
    char s = state_of(pid, NULL);
    return s != 0 && s != 'Z' && s != 'X';
}

/* Living processes of the fixture that run the tree program (guard and twin name the directory as
 * well). */
static int tree_each(const struct fixture *f, int signal_number)
{
    int count = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *e = NULL; dir != NULL && (e = readdir(dir)) != NULL;) {
        char path[300], text[512];
        size_t len = 0;
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        if (pid <= 1 || !text_read(path, text, sizeof(text), &len) ||
            strcmp(text, tree_program) != 0 ||
            memmem(text, len, f->file, strlen(f->file)) == NULL) {
            continue;
        }
        if (is_alive(pid)) {
            count++;
            if (signal_number > 0) {
                (void)kill(pid, signal_number);
            }
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

static bool tree_is_gone_within(const struct fixture *f, int ms)
{
    int64_t limit = now_us() + ms * 1000;
    while (tree_each(f, 0) > 0) {
        if (now_us() > limit) {
            return false;
        }
        nap_ms(5);
    }
    return true;
}

static bool ends_within(pid_t pid, int ms)
{
    int64_t limit = now_us() + ms * 1000;
    while (is_alive(pid)) {
        if (now_us() > limit) {
            return false;
        }
        nap_ms(2);
    }
    return true;
}

static uint64_t count_sum(const struct fixture *f)
{
    uint64_t sum = 0;
    for (int i = 0; i < COUNTERS_MAX; i++) {
        sum += atomic_load(&f->counters->slots[i]);
    }
    return sum;
}

static bool nobody_counts(const struct fixture *f)
{
    uint64_t before = count_sum(f);
    nap_ms(60);
    return count_sum(f) == before;
}

/* Each of `processes` slots has moved since `before`. */
static bool everybody_counts(const struct fixture *f, int processes)
{
    uint64_t before[COUNTERS_MAX];
    for (int i = 0; i < COUNTERS_MAX; i++) {
        before[i] = atomic_load(&f->counters->slots[i]);
    }
    for (int64_t limit = now_us() + WAIT_MS * 1000; now_us() < limit; nap_ms(5)) {
        int moved = 0;
        for (int i = COUNTERS_FIRST; i < COUNTERS_MAX; i++) {
            moved += atomic_load(&f->counters->slots[i]) != before[i];
        }
        if (moved >= processes) {
            return true;
        }
    }
    return false;
}

/* --- talking to the guard --- */

/* Reads until an answer came or ms passed. */
static bool answer_next(struct fixture *f, int ms)
{
    int64_t limit = now_us() + ms * 1000;
    for (;;) {
        int rc = guard_client_read(&f->client, &f->last);
        if (rc == 0) {
            return true;
        }
        int64_t left_ms = (limit - now_us()) / 1000;
        if (rc != BASE_E_BUSY || left_ms <= 0) {
            return false;
        }
        struct pollfd p = {.fd = f->client.fd, .events = POLLIN};
        (void)poll(&p, 1, (int)left_ms);
    }
}

/* Sends and waits for the answer to this very command; returns the guard's result. */
static int ask(struct fixture *f, struct guard_command command)
{
    uint64_t cookie = 0;
    assert_int_equal(guard_client_send(&f->client, &command, &cookie), 0);
    do {
        assert_true(answer_next(f, WAIT_MS));
    } while (f->last.cookie != cookie);
    return f->last.result;
}

static int ask_arm(struct fixture *f, uint64_t epoch, int ahead_ms, int freeze_max_ms)
{
    return ask(f, (struct guard_command){.type = GUARD_FRAME_ARM,
                                         .epoch = epoch,
                                         .deadline = {now_us() + ahead_ms * 1000},
                                         .freeze_max_us = freeze_max_ms * 1000});
}

static int ask_plain(struct fixture *f, enum guard_frame_type type)
{
    return ask(f, (struct guard_command){.type = type});
}

static bool tree_becomes(struct fixture *f, enum guard_tree tree, int ms)
{
    int64_t limit = now_us() + ms * 1000;
    while (f->last.status.tree != tree) {
        int64_t left = (limit - now_us()) / 1000;
        if (left <= 0 || !answer_next(f, (int)left)) {
            return f->last.status.tree == tree;
        }
    }
    return true;
}

static void client_connect(struct fixture *f)
{
    assert_int_equal(guard_client_connect(&f->client, f->socket, false), 0);
    do {
        assert_true(answer_next(f, WAIT_MS));
    } while (!f->last.may_command);
}

static struct guard_spawn spawn_of(struct fixture *f)
{
    return (struct guard_spawn){.program = guard_program,
                                .socket = f->socket,
                                .state_dir = f->state,
                                .data_dir = f->data,
                                .cgroup = cgroup_where,
                                .margin_us = MARGIN_US,
                                .watchdog = f->watchdog,
                                .watchdog_device = f->device,
                                .watchdog_timeout_us = f->watchdog != NULL ? 1000000 : 0,
                                .command = f->command,
                                .log = "/dev/null",
                                .guard_log = getenv("GUARD_TEST_LOG") ? getenv("GUARD_TEST_LOG")
                                                                      : "/dev/null"};
}

static void guard_begin(struct fixture *f, int32_t adopt)
{
    struct guard_spawn spawn = spawn_of(f);
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    spawn.adopt = adopt;
    assert_int_equal(guard_client_spawn(&spawn, WAIT_MS), 0);
    client_connect(f);
    assert_int_equal(getsockopt(f->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
    f->guard = peer.pid;
    (void)state_of(f->guard, &f->twin);
}

static void root_begin(struct fixture *f)
{
    assert_int_equal(ask_plain(f, GUARD_FRAME_START), 0);
    assert_int_equal(f->last.status.tree, GUARD_TREE_RUNNING);
    assert_true(f->last.status.root_pid > 1);
    assert_true(everybody_counts(f, 6));
}

/* --- fixture --- */

static struct fixture *fixture_make(const char *mode)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.directory, sizeof(f.directory), "/tmp/quorate-guard.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.socket, sizeof(f.socket), "%s/s%.7s", f.directory,
                   strrchr(f.directory, (int)'.'));
    (void)snprintf(f.state, sizeof(f.state), "%s/state", f.directory);
    (void)snprintf(f.data, sizeof(f.data), "%s/data", f.directory);
    (void)snprintf(f.file, sizeof(f.file), "%s/counters", f.directory);
    (void)snprintf(f.device, sizeof(f.device), "%s/watchdog", f.directory);
    assert_int_equal(mkdir(f.data, 0700), 0);
    int fd = open(f.file, O_RDWR | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, sizeof(struct counters)), 0);
    f.counters = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    assert_ptr_not_equal(f.counters, MAP_FAILED);
    atomic_store(&f.counters->claimed, COUNTERS_FIRST);
    static char mode_text[16];
    (void)snprintf(mode_text, sizeof(mode_text), "%s", mode);
    char *command[] = {(char *)(uintptr_t)tree_program, f.file, mode_text, f.data, NULL};
    memcpy(f.command, command, sizeof(command));
    guard_client_init(&f.client);
    return &f;
}

static struct fixture *the_fixture;

static struct fixture *fixture_run(const char *mode)
{
    the_fixture = fixture_make(mode);
    guard_begin(the_fixture, 0);
    return the_fixture;
}

/* Runs after every test, also one that failed half way. */
static int fixture_end(void **state)
{
    (void)state;
    struct fixture *f = the_fixture;
    if (f == NULL) {
        return 0;
    }
    guard_client_close(&f->client);
    if (f->guard > 1) {
        (void)kill(f->guard, SIGCONT);
        (void)kill(f->guard, SIGTERM);
        (void)ends_within(f->guard, 2000);
        (void)ends_within(f->twin, 2000);
        (void)kill(f->twin, SIGKILL);
        (void)kill(f->guard, SIGKILL);
    }
    for (int i = 0; i < 100 && tree_each(f, SIGKILL) > 0; i++) {
        nap_ms(10);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    char line[128];
    (void)munmap(f->counters, sizeof(*f->counters));
    (void)snprintf(line, sizeof(line), "rm -rf %s", f->directory);
    the_fixture = NULL;
    return system(line) == 0 ? 0 : -1;
}

/* --- tests --- */

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

/* A root whose parent is this test, as a service manager would be. */
static pid_t outsider_start(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)execv(tree_program, f->command);
        _exit(127);
    }
    assert_true(everybody_counts(f, 6));
    return pid;
}

static void outsider_reap(pid_t pid)
{
    assert_true(ends_within(pid, WAIT_MS));
    (void)waitpid(pid, NULL, 0);
}

/* Field 22 of proc(5). */
static uint64_t start_of(pid_t pid)
{
    char path[64], text[512];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    assert_true(text_read(path, text, sizeof(text), &len));
    const char *p = strrchr(text, ')');
    for (int field = 2; field < 22; field++) {
        p = strchr(p + 1, ' ');
        assert_non_null(p);
    }
    return strtoull(p, NULL, 10);
}

static int ask_adopt(struct fixture *f, pid_t pid, uint64_t start)
{
    return ask(
        f, (struct guard_command){.type = GUARD_FRAME_ADOPT, .pid = (int32_t)pid, .start = start});
}

static void test_adopted(void **state)
{
    (void)state;
    struct fixture *f = the_fixture = fixture_make("busy");
    pid_t pid = outsider_start(f);
    guard_begin(f, pid);
    assert_true(f->last.status.is_adopted);
    assert_int_equal(f->last.status.root_pid, pid);
    assert_int_equal(ask_arm(f, 5, 30, 3000), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_int_equal(ask_arm(f, 5, 5000, 3000), 0);
    assert_true(everybody_counts(f, 5));
    assert_int_equal(kill(f->guard, SIGKILL), 0); /* the twin knows it as well */
    outsider_reap(pid);
    assert_true(ends_within(f->twin, 2000));
}

static pid_t other_start(const char *directory, uid_t uid)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(directory) == 0 && (uid == 0 || setuid(uid) == 0)) {
            (void)execlp("sleep", "sleep", "60", (char *)NULL);
        }
        _exit(127);
    }
    char path[64], name[64];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    while (is_alive(pid) && text_read(path, name, sizeof(name), &len) &&
           strcmp(name, "sleep\n") != 0) {
        nap_ms(1);
    }
    return pid;
}

static void other_refused(struct fixture *f, uid_t uid, int expected)
{
    pid_t pid = other_start(f->data, uid);
    int rc = ask_adopt(f, pid, 0);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_int_equal(rc, expected);
    assert_int_equal(f->last.status.tree, GUARD_TREE_GONE);
}

/* Adopted by the socket: only the very process that was named; frozen, upgraded over and killed as
 * any other. */
static void test_adopted_by_command(void **state)
{
    (void)state;
    struct fixture *f = fixture_run("busy");
    other_refused(f, 0, BASE_E_CONFLICT); /* the directory, but another program */
    if (geteuid() == 0) {
        assert_int_equal(chmod(f->directory, 0755) + chmod(f->data, 0755), 0);
        other_refused(f, 65534, BASE_E_DENIED);
    }
    assert_int_equal(ask_adopt(f, 1, 0), BASE_E_NOTFOUND);
    pid_t pid = outsider_start(f);
    uint64_t start = start_of(pid);
    assert_int_equal(ask_adopt(f, pid, start - 1), BASE_E_NOTFOUND);
    assert_int_equal(ask_adopt(f, pid, start), 0);
    assert_true(f->last.status.is_adopted && !f->last.status.is_cgroup);
    assert_int_equal(ask_adopt(f, pid, start), BASE_E_STATE);
    assert_int_equal(
        guard_client_send(&f->client, &(struct guard_command){.type = GUARD_FRAME_UPGRADE}, NULL),
        0);
    while (answer_next(f, WAIT_MS)) {
    }
    client_connect(f);
    assert_true(f->last.status.is_adopted && f->last.upgrades == 1);
    assert_int_equal(ask_arm(f, 5, 30, 100), 0);
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
    assert_true(tree_becomes(f, GUARD_TREE_KILLING, WAIT_MS));
    outsider_reap(pid);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
}

static void test_adopted_exit(void **state)
{
    (void)state;
    struct fixture *f = the_fixture = fixture_make("busy");
    pid_t pid = outsider_start(f);
    guard_begin(f, pid);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_true(tree_becomes(f, GUARD_TREE_GONE, WAIT_MS));
    assert_true(tree_each(f, 0) <=
                1); /* one left its directory before: nobody can tell whose it was */
    root_begin(f);
    assert_false(f->last.status.is_adopted);
    assert_int_equal(ask_arm(f, 5, 30, 3000), 0); /* the next tree is a usual one again */
    assert_true(tree_becomes(f, GUARD_TREE_FROZEN, WAIT_MS));
}

static pid_t reap_pid;

static void on_child(int number)
{
    (void)number;
    (void)waitpid(reap_pid, NULL, WNOHANG);
}

/* No parent-death signal covers an adopted root; the next guard does. */
static void test_adopted_root_outlives_both(void **state)
{
    (void)state;
    struct fixture *f = the_fixture = fixture_make("busy");
    pid_t pid = outsider_start(f);
    guard_begin(f, pid);
    (void)kill(f->twin, SIGSTOP);
    (void)kill(f->guard, SIGKILL);
    (void)kill(f->twin, SIGKILL);
    assert_true(ends_within(f->twin, WAIT_MS));
    assert_true(is_alive(pid));
    guard_client_close(&f->client);
    struct guard_spawn spawn = spawn_of(f);
    reap_pid = pid;
    (void)signal(SIGCHLD, on_child); /* reaped at once, as an init does it */
    int rc = guard_client_spawn(&spawn, WAIT_MS);
    (void)signal(SIGCHLD, SIG_DFL);
    assert_int_equal(rc, 0);
    assert_false(is_alive(pid));
    client_connect(f);
    (void)ask_plain(f, GUARD_FRAME_END);
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

/* --- watchdog: a FIFO in the place of the device, and this test in the place of its driver --- */

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

#define WATCHDOG_TEST(name) cmocka_unit_test_teardown(name, device_end)
#define GUARD_TEST(name) cmocka_unit_test_teardown(name, fixture_end)

static bool cgroup_is_permitted(void)
{
    struct fixture *f = fixture_run("exit");
    void *none = NULL;
    bool is_permitted = f->last.status.is_cgroup;
    (void)fixture_end(&none);
    return is_permitted;
}

/* As the environment says, else those of the build that this test lies in. */
static void programs_find(void)
{
    static char guard[512], tree[512];
    char self[400];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(tree, sizeof(tree), "%s/guard-tree", self);
    *strrchr(self, '/') = '\0';
    (void)snprintf(guard, sizeof(guard), "%s/bin/quorate-guard", self);
    guard_program = getenv("QUORATE_GUARD") != NULL ? getenv("QUORATE_GUARD") : guard;
    tree_program =
        getenv("QUORATE_GUARD_TREE_PROGRAM") != NULL ? getenv("QUORATE_GUARD_TREE_PROGRAM") : tree;
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
        GUARD_TEST(test_adopted),
        GUARD_TEST(test_adopted_by_command),
        GUARD_TEST(test_adopted_exit),
        GUARD_TEST(test_adopted_root_outlives_both),
        GUARD_TEST(test_upgrade),
        GUARD_TEST(test_pauses_are_measured),
        GUARD_TEST(test_memory),
    };
    const struct CMUnitTest watched[] = {
        WATCHDOG_TEST(test_watchdog_modes_without_a_device),
        WATCHDOG_TEST(test_watchdog_stops_in_order),
        WATCHDOG_TEST(test_watchdog_is_fed_when_the_tree_is_seen_stopped),
        WATCHDOG_TEST(test_watchdog_sigterm),
        WATCHDOG_TEST(test_watchdog_guard_killed),
        WATCHDOG_TEST(test_watchdog_twin_killed),
        WATCHDOG_TEST(test_watchdog_fires_when_nobody_guards),
        WATCHDOG_TEST(test_watchdog_fires_when_the_guard_hangs),
        WATCHDOG_TEST(test_watchdog_upgrade),
    };
    programs_find();
    cgroup_where = "none";
    int failed = cmocka_run_group_tests_name("guard by signals", tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("guard with a watchdog", watched, NULL, NULL);
    cgroup_where = "auto";
    if (!cgroup_is_permitted()) {
        (void)printf("SKIP  guard by cgroup: no cgroup v2 directory may be made here\n");
        return failed;
    }
    return failed + cmocka_run_group_tests_name("guard by cgroup", tests, NULL, NULL);
}
