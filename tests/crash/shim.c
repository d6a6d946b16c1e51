/* SPDX-License-Identifier: Apache-2.0 */
/* A library that is loaded in front of the C library into a real quorated (LD_PRELOAD). It counts
 * what the process does to the files below one directory, and at one of these operations kills the
 * process or fails the call; see shim.h.
 *
 * Until a file is flushed the shim keeps what its bytes were before: so it can take them back. That
 * is what a disk does that loses power, or reports an error from a flush (the kernel drops the
 * pages then). One lock is held around each operation: it and its note are one step.
 */
#include "tests/crash/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512u

struct piece { /* bytes of a file before they were written over */
    struct piece *older;
    dev_t device;
    ino_t inode;
    int fd; /* one of our own, onto the same file */
    uint64_t offset;
    uint64_t file_len;
    size_t len; /* of what was there before */
    uint8_t bytes[];
};

static struct shim_page *page;
static struct piece *pieces; /* newest first */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv(SHIM_ENVIRONMENT);
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page = at == MAP_FAILED ? NULL : at;
    (void)syscall(SYS_close, fd);
}

/* --- which files count --- */

/* Whether the path is below the top and no lock; `ret_name` is what stands behind the top. */
static bool counts(const char *path, const char **ret_name)
{
    size_t top = page == NULL ? 0 : strlen(page->top);
    size_t len = strlen(path);
    if (top == 0 || len <= top || memcmp(path, page->top, top) != 0 || path[top] != '/' ||
        strcmp(path + len - 4, "lock") == 0) {
        return false;
    }
    *ret_name = path + top + 1;
    return true;
}

static bool path_of(int fd, char *ret, size_t cap)
{
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, ret, cap - 1);
    ret[len > 0 ? len : 0] = 0;
    return len > 0;
}

static bool path_at(int at, const char *name, char *ret, size_t cap)
{
    char directory[512];
    if (name[0] == '/' || at == AT_FDCWD) {
        (void)snprintf(ret, cap, "%s", name);
        return name[0] == '/';
    }
    return path_of(at, directory, sizeof(directory)) &&
           snprintf(ret, cap, "%s/%s", directory, name) < (int)cap;
}

/* --- taking back --- */

static void keep(int fd, uint64_t offset, size_t len)
{
    char path[64];
    struct stat is;
    bool is_durable = (syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC) != 0; /* LMDB's meta page */
    struct piece *p = is_durable ? NULL : malloc(sizeof(*p) + len);
    if (p == NULL || fstat(fd, &is) != 0) {
        free(p);
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *p = (struct piece){.older = pieces,
                        .device = is.st_dev,
                        .inode = is.st_ino,
                        .offset = offset,
                        .file_len = (uint64_t)is.st_size};
    p->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    ssize_t got = p->fd < 0 ? -1 : syscall(SYS_pread64, p->fd, p->bytes, len, offset);
    p->len = got > 0 ? (size_t)got : 0;
    pieces = p;
}

/* Drops, or puts back, the pieces of one file; of all files without one. */
static void settle(const struct stat *file, bool is_back)
{
    for (struct piece **at = &pieces; *at != NULL;) {
        struct piece *p = *at;
        if (file != NULL && (p->inode != file->st_ino || p->device != file->st_dev)) {
            at = &p->older;
            continue;
        }
        if (is_back) {
            (void)!syscall(SYS_pwrite64, p->fd, p->bytes, p->len, p->offset);
            (void)!syscall(SYS_ftruncate, p->fd, p->file_len);
            page->undone++;
        }
        *at = p->older;
        (void)syscall(SYS_close, p->fd);
        free(p);
    }
}

static void die(bool is_power_lost)
{
    if (is_power_lost) {
        settle(NULL, true);
    }
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) {
        (void)pause();
    }
}

/* --- one operation --- */

/* Counts it. 0: it goes ahead; else the errno with which it fails. `ret_is_torn`: half of it, then
 * the end. */
static int strike(enum shim_class operation, const char *name, bool *ret_is_torn)
{
    bool is_it = ++page->counts[operation] == page->at && page->operation == operation;
    if (!is_it) {
        bool is_full = page->was_hit && page->action == SHIM_FULL && operation == SHIM_WRITE;
        return is_full ? ENOSPC : 0;
    }
    page->was_hit = true;
    (void)snprintf(page->name, sizeof(page->name), "%s", name);
    switch ((enum shim_action)page->action) {
    case SHIM_TORN:
        *ret_is_torn = operation == SHIM_WRITE;
        if (!*ret_is_torn) {
            die(false);
        }
        return 0;
    case SHIM_KILL:
    case SHIM_LOSE:
        die(page->action == SHIM_LOSE);
        return EIO;
    case SHIM_ERROR:
        return page->error;
    case SHIM_FULL:
        return ENOSPC;
    case SHIM_NOTHING:
    default:
        return 0;
    }
}

static bool enter(int fd, char *path, size_t cap, const char **ret_name)
{
    (void)pthread_mutex_lock(&lock);
    if (page != NULL && path_of(fd, path, cap) && counts(path, ret_name)) {
        return true;
    }
    (void)pthread_mutex_unlock(&lock);
    return false;
}

static ssize_t leave(ssize_t rc, int error)
{
    (void)pthread_mutex_unlock(&lock);
    errno = error;
    return rc;
}

static ssize_t write_all(int fd, const struct iovec *list, int count, off_t at, bool is_placed)
{
    return is_placed ? syscall(SYS_pwritev, fd, list, (long)count, at, 0)
                     : syscall(SYS_writev, fd, list, (long)count);
}

static ssize_t write_it(int fd, const struct iovec *list, int count, off_t at, bool is_placed)
{
    char path[512];
    const char *name = NULL;
    bool is_torn = false;
    size_t len = 0;
    if (!enter(fd, path, sizeof(path), &name)) {
        return write_all(fd, list, count, at, is_placed);
    }
    for (int i = 0; i < count; i++) {
        len += list[i].iov_len;
    }
    int error = strike(SHIM_WRITE, name, &is_torn);
    if (error != 0) {
        return leave(-1, error);
    }
    off_t from = is_placed ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    keep(fd, (uint64_t)from, len);
    if (is_torn) {
        size_t half = list[0].iov_len / 2 / SECTOR * SECTOR;
        (void)!syscall(SYS_pwrite64, fd, list[0].iov_base, half, from);
        die(false);
    }
    ssize_t put = write_all(fd, list, count, at, is_placed);
    return leave(put, errno);
}

/* --- the stand-ins --- */

ssize_t write(int fd, const void *bytes, size_t len)
{
    struct iovec one = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return write_it(fd, &one, 1, 0, false);
}

ssize_t writev(int fd, const struct iovec *list, int count)
{
    return write_it(fd, list, count, 0, false);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    struct iovec one = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return write_it(fd, &one, 1, at, true);
}

ssize_t pwritev(int fd, const struct iovec *list, int count, off_t at)
{
    return write_it(fd, list, count, at, true);
}

int ftruncate(int fd, off_t len)
{
    char path[512];
    const char *name = NULL;
    bool is_torn = false;
    struct stat is = {0};
    if (!enter(fd, path, sizeof(path), &name)) {
        return (int)syscall(SYS_ftruncate, fd, len);
    }
    int error = strike(SHIM_WRITE, name, &is_torn);
    if (error != 0) {
        return (int)leave(-1, error);
    }
    if (is_torn) {
        die(false);
    }
    (void)fstat(fd, &is);
    uint64_t cut = is.st_size > len ? (uint64_t)(is.st_size - len) : 0;
    keep(fd, (uint64_t)len, (size_t)cut);
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    return (int)leave(rc, errno);
}

static int sync_it(int fd, long number)
{
    char path[512];
    const char *name = NULL;
    bool is_torn = false;
    struct stat is = {0};
    (void)fstat(fd, &is);
    if (!enter(fd, path, sizeof(path), &name)) {
        return (int)syscall(number, fd);
    }
    int error = strike(SHIM_SYNC, name, &is_torn);
    settle(&is, error != 0);
    if (error != 0) {
        return (int)leave(-1, error);
    }
    int rc = (int)syscall(number, fd);
    return (int)leave(rc, errno);
}

int fsync(int fd)
{
    return sync_it(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_it(fd, SYS_fdatasync);
}

/* 0: go ahead; else the errno. */
static int name_changes(int at, const char *name)
{
    char path[1024];
    const char *below = NULL;
    bool is_torn = false;
    int error = 0;
    (void)pthread_mutex_lock(&lock);
    if (page != NULL && path_at(at, name, path, sizeof(path)) && counts(path, &below)) {
        error = strike(SHIM_NAME, below, &is_torn);
    }
    (void)pthread_mutex_unlock(&lock);
    return error;
}

static int fails(int error)
{
    errno = error;
    return -1;
}

static int open_it(int at, const char *path, int flags, unsigned mode)
{
    bool is_new = (flags & O_CREAT) != 0 && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int error = is_new ? name_changes(at, path) : 0;
    return error != 0 ? fails(error) : (int)syscall(SYS_openat, at, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    return open_it(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    return open_it(at, path, flags, mode);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    int error = name_changes(to_at, to);
    return error != 0 ? fails(error) : (int)syscall(SYS_renameat, from_at, from, to_at, to);
}

int unlinkat(int at, const char *path, int flags)
{
    int error = name_changes(at, path);
    return error != 0 ? fails(error) : (int)syscall(SYS_unlinkat, at, path, flags);
}

int rename(const char *from, const char *to)
{
    int error = name_changes(AT_FDCWD, to);
    return error != 0 ? fails(error) : (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    int error = name_changes(AT_FDCWD, path);
    return error != 0 ? fails(error) : (int)syscall(SYS_unlink, path);
}

int mkdir(const char *path, mode_t mode)
{
    int error = name_changes(AT_FDCWD, path);
    return error != 0 ? fails(error) : (int)syscall(SYS_mkdir, path, mode);
}
