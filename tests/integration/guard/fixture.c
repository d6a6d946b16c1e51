/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture of the guard's tests. */
#include "tests/integration/guard/fixture.h"

const char *guard_program;
const char *tree_program;
const char *cgroup_where;

/* --- time, processes --- */

int64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void nap_ms(int ms)
{
    (void)usleep((useconds_t)ms * 1000);
}

bool text_read(const char *path, char *text, size_t cap, size_t *ret_len)
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

char state_of(pid_t pid, pid_t *ret_parent)
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

bool is_alive(pid_t pid)
{
    char s = state_of(pid, NULL);
    return s != 0 && s != 'Z' && s != 'X';
}

/* Living processes of the fixture that run the tree program (guard and twin name the directory as
 * well). */
int tree_each(const struct fixture *f, int signal_number)
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

bool tree_is_gone_within(const struct fixture *f, int ms)
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

bool ends_within(pid_t pid, int ms)
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

uint64_t count_sum(const struct fixture *f)
{
    uint64_t sum = 0;
    for (int i = 0; i < COUNTERS_MAX; i++) {
        sum += atomic_load(&f->counters->slots[i]);
    }
    return sum;
}

bool nobody_counts(const struct fixture *f)
{
    uint64_t before = count_sum(f);
    nap_ms(60);
    return count_sum(f) == before;
}

/* Each of `processes` slots has moved since `before`. */
bool everybody_counts(const struct fixture *f, int processes)
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
bool answer_next(struct fixture *f, int ms)
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
int ask(struct fixture *f, struct guard_command command)
{
    uint64_t cookie = 0;
    assert_int_equal(guard_client_send(&f->client, &command, &cookie), 0);
    do {
        assert_true(answer_next(f, WAIT_MS));
    } while (f->last.cookie != cookie);
    return f->last.result;
}

int ask_arm(struct fixture *f, uint64_t epoch, int ahead_ms, int freeze_max_ms)
{
    return ask(f, (struct guard_command){.type = GUARD_FRAME_ARM,
                                         .epoch = epoch,
                                         .deadline = {now_us() + ahead_ms * 1000},
                                         .freeze_max_us = freeze_max_ms * 1000});
}

int ask_plain(struct fixture *f, enum guard_frame_type type)
{
    return ask(f, (struct guard_command){.type = type});
}

bool tree_becomes(struct fixture *f, enum guard_tree tree, int ms)
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

void client_connect(struct fixture *f)
{
    assert_int_equal(guard_client_connect(&f->client, f->socket, false), 0);
    do {
        assert_true(answer_next(f, WAIT_MS));
    } while (!f->last.may_command);
}

struct guard_spawn spawn_of(struct fixture *f)
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

void guard_begin(struct fixture *f, int32_t adopt)
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

void root_begin(struct fixture *f)
{
    assert_int_equal(ask_plain(f, GUARD_FRAME_START), 0);
    assert_int_equal(f->last.status.tree, GUARD_TREE_RUNNING);
    assert_true(f->last.status.root_pid > 1);
    assert_true(everybody_counts(f, 6));
}

/* --- fixture --- */

struct fixture *fixture_make(const char *mode)
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

struct fixture *the_fixture;

struct fixture *fixture_run(const char *mode)
{
    the_fixture = fixture_make(mode);
    guard_begin(the_fixture, 0);
    return the_fixture;
}

/* Runs after every test, also one that failed half way. */
int fixture_end(void **state)
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

void programs_find(void)
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
