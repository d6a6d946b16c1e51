/* SPDX-License-Identifier: Apache-2.0 */
/* A root that runs already, adopted: always by signals. */
#include "tests/integration/guard/fixture.h"

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

#define ADOPT_TEST(name) cmocka_unit_test_teardown(name, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ADOPT_TEST(test_adopted),
        ADOPT_TEST(test_adopted_by_command),
        ADOPT_TEST(test_adopted_exit),
        ADOPT_TEST(test_adopted_root_outlives_both),
    };
    programs_find();
    cgroup_where = "none";
    return cmocka_run_group_tests_name("guard adopts", tests, NULL, NULL);
}
