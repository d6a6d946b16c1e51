/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc with plain system calls: see proc(5) for the formats. */
#include "agents/guard/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

#define PATH_BYTES 96

struct base_mono proc_now(void)
{
    struct timespec ts;
    BASE_ASSERT(clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
    return (struct base_mono){(int64_t)ts.tv_sec * BASE_US_PER_S + ts.tv_nsec / 1000};
}

int proc_file_read(int dir_fd, const char *path, char *text, size_t cap)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return BASE_E_NOTFOUND;
    }
    size_t len = 0;
    ssize_t got = 1;
    while (len + 1 < cap && got > 0) {
        got = read(fd, text + len, cap - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    text[len] = '\0';
    return got < 0 ? BASE_E_NOTFOUND : 0; /* ESRCH: went while we read */
}

int proc_file_write(int dir_fd, const char *path, const char *text)
{
    int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return BASE_E_DENIED;
    }
    ssize_t put = write(fd, text, strlen(text));
    (void)close(fd);
    return put == (ssize_t)strlen(text) ? 0 : BASE_E_IO;
}

/* Fields after the command name, which may hold blanks and parentheses of its own. */
static int stat_parse(const char *text, struct proc_stat *ret)
{
    const char *p = strrchr(text, ')');
    if (p == NULL || p[1] != ' ' || p[2] == '\0') {
        return BASE_E_NOTFOUND;
    }
    *ret = (struct proc_stat){.state = p[2]};
    p += 3;
    for (int field = 4; field <= 22; field++) {
        char *end = NULL;
        long long value = strtoll(p, &end, 10);
        if (end == p) {
            return BASE_E_NOTFOUND;
        }
        p = end;
        if (field == 4) {
            ret->parent = (int32_t)value;
        } else if (field == 20) {
            ret->threads = (int32_t)value;
        } else if (field == 22) {
            ret->start = (uint64_t)value;
        }
    }
    return 0;
}

static int stat_read_path(const char *path, struct proc_stat *ret)
{
    char text[1024];
    int rc = proc_file_read(AT_FDCWD, path, text, sizeof(text));
    return rc != 0 ? rc : stat_parse(text, ret);
}

int proc_stat_read(int32_t pid, struct proc_stat *ret)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    return stat_read_path(path, ret);
}

/* Calls fn with every number among the names of a directory. False when it cannot be read. */
static bool numbers_each(const char *path, proc_child_fn fn, void *ctx)
{
    _Alignas(8) char names[2048];
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    long got = 0;
    while ((got = syscall(SYS_getdents64, fd, names, sizeof(names))) > 0) {
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(names + at);
            at += entry->d_reclen;
            char *end = NULL;
            long number = strtol(entry->d_name, &end, 10);
            if (number > 0 && *end == '\0') {
                fn(ctx, (int32_t)number);
            }
        }
    }
    (void)close(fd);
    return got == 0;
}

void proc_each(proc_child_fn fn, void *ctx)
{
    (void)numbers_each("/proc", fn, ctx);
}

/* One list may be longer than any buffer: read in pieces, a number may be cut between two. */
static bool children_each(int32_t pid, int32_t tid, proc_child_fn fn, void *ctx)
{
    char path[PATH_BYTES], piece[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    int32_t number = 0;
    ssize_t got = 0;
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (piece[i] >= '0' && piece[i] <= '9') {
                number = number * 10 + (piece[i] - '0');
            } else if (number > 0) {
                fn(ctx, number);
                number = 0;
            }
        }
    }
    (void)close(fd);
    if (number > 0) {
        fn(ctx, number);
    }
    return got == 0;
}

struct tasks_walk {
    int32_t pid;
    bool is_stopped;
    bool is_dead;
    bool is_complete;
    proc_child_fn on_child;
    void *ctx;
};

static void task_state(void *ctx, int32_t tid)
{
    struct tasks_walk *walk = ctx;
    char path[PATH_BYTES];
    struct proc_stat stat = {0};
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)walk->pid, (int)tid);
    if (stat_read_path(path, &stat) != 0) {
        walk->is_stopped = false; /* a thread of a stopped process does not vanish */
        return;
    }
    bool is_dead = stat.state == 'Z' || stat.state == 'X';
    walk->is_dead = walk->is_dead && is_dead;
    walk->is_stopped = walk->is_stopped && (is_dead || stat.state == 'T');
}

static void task_children(void *ctx, int32_t tid)
{
    struct tasks_walk *walk = ctx;
    walk->is_complete =
        children_each(walk->pid, tid, walk->on_child, walk->ctx) && walk->is_complete;
}

static void tasks_each(struct tasks_walk *walk, bool is_single, proc_child_fn fn)
{
    char path[PATH_BYTES];
    if (is_single) {
        fn(walk, walk->pid);
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)walk->pid);
    walk->is_complete = numbers_each(path, fn, walk) && walk->is_complete;
}

int proc_look_at(int32_t pid, proc_child_fn on_child, void *ctx, struct proc_look *ret)
{
    struct tasks_walk walk = {.pid = pid,
                              .is_stopped = true,
                              .is_dead = true,
                              .is_complete = true,
                              .on_child = on_child,
                              .ctx = ctx};
    struct proc_stat stat = {0};
    int rc = proc_stat_read(pid, &stat);
    if (rc != 0) {
        return rc;
    }
    bool is_single = stat.threads <= 1;
    tasks_each(&walk, is_single, task_state);
    if (on_child != NULL && !walk.is_dead) {
        tasks_each(&walk, is_single, task_children);
    }
    if (!walk.is_complete) {
        walk.is_stopped = false;
    }
    *ret = (struct proc_look){.stat = stat, .is_stopped = walk.is_stopped, .is_dead = walk.is_dead};
    return 0;
}

bool proc_has_children_lists(void)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    return access(path, R_OK) == 0;
}

uint32_t proc_private_kb(void)
{
    char text[1536];
    long sum = 0;
    if (proc_file_read(AT_FDCWD, "/proc/self/smaps_rollup", text, sizeof(text)) != 0) {
        return 0;
    }
    static const char *const names[] = {"Private_Clean:", "Private_Dirty:"};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        const char *at = strstr(text, names[i]);
        sum += at != NULL ? strtol(at + strlen(names[i]), NULL, 10) : 0;
    }
    return (uint32_t)sum;
}
