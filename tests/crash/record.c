/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h. System calls are made directly, so that no other stand-in comes in between. */
#include "tests/crash/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"

#define DESCRIPTORS 4096
#define NOT_OURS (-1)
#define DIRECTORY_BASE 1000000 /* + number of the directory */

struct name {
    char text[RECORD_NAME];
    int file;
};

static struct {
    char top[PATH_MAX];
    size_t top_len;
    int files; /* numbers given out */
    struct name names[RECORD_FILES];
    size_t name_count;
    int of[DESCRIPTORS]; /* file number + 1; 0: not ours; DIRECTORY_BASE + number */
    bool is_dsync[DESCRIPTORS];
    struct record *list;
    size_t count;
    uint64_t writes, syncs;
    struct record_failure failure;
    char created[RECORD_NAME]; /* the last one */
} rec;
static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_lock(void)
{
    pthread_mutexattr_t how;
    (void)pthread_mutexattr_init(&how);
    (void)pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&lock, &how);
}

void record_lock(void)
{
    (void)pthread_once(&once, make_lock);
    (void)pthread_mutex_lock(&lock);
}

void record_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* --- notes --- */

static struct record *add(enum record_type type, int file)
{
    BASE_ASSERT(rec.count < RECORD_MAX);
    struct record *r = &rec.list[rec.count++];
    memset(r, 0, sizeof(*r));
    r->type = type;
    r->file = file;
    return r;
}

static void put_name(char to[RECORD_NAME], const char *name)
{
    int len = snprintf(to, RECORD_NAME, "%s", name);
    BASE_ASSERT(len >= 0 && (size_t)len < RECORD_NAME);
}

static int directory_of(const char *name)
{
    return strchr(name, '/') != NULL;
}

static struct record *add_name(enum record_type type, int file, const char *name)
{
    struct record *r = add(type, file);
    put_name(r->name, name);
    r->directory = directory_of(name);
    return r;
}

void record_start(const char *directory)
{
    record_lock();
    for (size_t i = 0; i < rec.count; i++) {
        free(rec.list[i].bytes);
    }
    struct record *list = rec.list;
    memset(&rec, 0, sizeof(rec));
    rec.list = list != NULL ? list : calloc(RECORD_MAX, sizeof(*list));
    BASE_ASSERT(rec.list != NULL);
    if (directory != NULL) {
        char *real = realpath(directory, rec.top);
        BASE_ASSERT(real != NULL);
        rec.top_len = strlen(rec.top);
    }
    record_unlock();
}

void record_stop(void)
{
    record_lock();
    rec.top_len = 0;
    record_unlock();
}

void record_mark(uint64_t number)
{
    record_lock();
    add(RECORD_MARK, 0)->offset = number;
    record_unlock();
}

const struct record *record_at(size_t n)
{
    return &rec.list[n];
}

size_t record_count(void)
{
    return rec.count;
}

void record_fail(const struct record_failure *failure)
{
    record_lock();
    rec.failure = *failure;
    record_unlock();
}

struct record_failure record_failed(void)
{
    return rec.failure;
}

uint64_t record_writes(void)
{
    return rec.writes;
}

uint64_t record_syncs(void)
{
    return rec.syncs;
}

/* Counts one operation; true: it has to fail, errno is set. */
static bool must_fail(bool is_sync, int fd)
{
    struct record_failure *f = &rec.failure;
    uint64_t count = is_sync ? ++rec.syncs : ++rec.writes;
    if (f->is_sync != is_sync || f->n != count) {
        return false;
    }
    f->has_begun = true;
    put_name(f->name, rec.created); /* of a directory */
    for (size_t i = 0; i < rec.name_count; i++) {
        if (rec.names[i].file + 1 == rec.of[fd]) {
            put_name(f->name, rec.names[i].text);
        }
    }
    errno = f->error;
    return true;
}

/* --- which files are ours --- */

static struct name *find(const char *text)
{
    for (size_t i = 0; i < rec.name_count; i++) {
        if (strcmp(rec.names[i].text, text) == 0) {
            return &rec.names[i];
        }
    }
    return NULL;
}

static void forget(struct name *name)
{
    *name = rec.names[--rec.name_count];
}

/* Path below the top that a descriptor stands for; false: another place, or a lock file. */
static bool below_top(int fd, char ret[RECORD_NAME])
{
    char link[64];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = rec.top_len == 0 ? -1 : readlink(link, path, sizeof(path) - 1);
    if (len < (ssize_t)rec.top_len) {
        return false;
    }
    path[len] = 0;
    if (memcmp(path, rec.top, rec.top_len) != 0 ||
        (path[rec.top_len] != '/' && path[rec.top_len] != 0)) {
        return false;
    }
    const char *name = path[rec.top_len] == '/' ? path + rec.top_len + 1 : "";
    size_t name_len = strlen(name);
    if (name_len >= 4 && strcmp(name + name_len - 4, "lock") == 0) {
        return false;
    }
    put_name(ret, name);
    return true;
}

static void opened(int fd, int flags)
{
    char name[RECORD_NAME];
    struct stat info;
    record_lock();
    BASE_ASSERT(fd < DESCRIPTORS);
    rec.of[fd] = 0;
    if (below_top(fd, name) && fstat(fd, &info) == 0) {
        rec.is_dsync[fd] = (flags & O_DSYNC) != 0;
        struct name *known = find(name);
        if (S_ISDIR(info.st_mode)) {
            rec.of[fd] = DIRECTORY_BASE + (name[0] != 0);
        } else if (known != NULL) {
            rec.of[fd] = known->file + 1;
            if ((flags & O_TRUNC) != 0) {
                add(RECORD_TRUNCATE, known->file);
            }
        } else {
            BASE_ASSERT(rec.name_count < RECORD_FILES && rec.files < RECORD_FILES);
            known = &rec.names[rec.name_count++];
            put_name(known->text, name);
            known->file = rec.files++;
            rec.of[fd] = known->file + 1;
            (void)add_name(RECORD_CREATE, known->file, name);
            put_name(rec.created, name);
        }
    }
    record_unlock();
}

/* Number of the file behind a descriptor, or NOT_OURS. The lock is held. */
static int file_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && rec.of[fd] > 0 && rec.of[fd] < DIRECTORY_BASE
               ? rec.of[fd] - 1
               : NOT_OURS;
}

/* --- the stand-ins --- */

static int open_it(int at, const char *path, int flags, unsigned mode)
{
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0) {
        opened(fd, flags);
    }
    return fd;
}

static unsigned mode_of(int flags, va_list list)
{
    return (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_it(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_it(at, path, flags, mode);
}

int close(int fd)
{
    record_lock();
    if (fd >= 0 && fd < DESCRIPTORS) {
        rec.of[fd] = 0;
    }
    int rc = (int)syscall(SYS_close, fd);
    record_unlock();
    return rc;
}

static void note_write(int fd, int file, const void *bytes, size_t len, uint64_t offset)
{
    struct record *r = add(RECORD_WRITE, file);
    r->is_durable = rec.is_dsync[fd];
    r->offset = offset;
    r->len = len;
    r->bytes = malloc(len + 1);
    BASE_ASSERT(r->bytes != NULL);
    memcpy(r->bytes, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    record_lock();
    int file = file_of(fd);
    ssize_t put = -1;
    if (file == NOT_OURS || !must_fail(false, fd)) {
        put = syscall(SYS_pwrite64, fd, bytes, len, offset);
    }
    if (file != NOT_OURS && put > 0) {
        note_write(fd, file, bytes, (size_t)put, (uint64_t)offset);
    }
    record_unlock();
    return put;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    record_lock();
    int file = file_of(fd);
    off_t at = file == NOT_OURS ? 0 : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t put = -1;
    if (file == NOT_OURS || !must_fail(false, fd)) {
        put = syscall(SYS_write, fd, bytes, len);
    }
    if (file != NOT_OURS && put > 0) {
        note_write(fd, file, bytes, (size_t)put, (uint64_t)at);
    }
    record_unlock();
    return put;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    record_lock();
    int file = file_of(fd);
    off_t at = file == NOT_OURS ? 0 : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t put = -1;
    if (file == NOT_OURS || !must_fail(false, fd)) {
        put = syscall(SYS_writev, fd, pieces, count);
    }
    size_t left = file != NOT_OURS && put > 0 ? (size_t)put : 0;
    for (int i = 0; left > 0; i++) {
        size_t len = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        note_write(fd, file, pieces[i].iov_base, len, (uint64_t)at);
        at += (off_t)len;
        left -= len;
    }
    record_unlock();
    return put;
}

static int sync_it(int fd, long number)
{
    record_lock();
    int file = file_of(fd);
    bool is_directory = fd >= 0 && fd < DESCRIPTORS && rec.of[fd] >= DIRECTORY_BASE;
    bool is_ours = file != NOT_OURS || is_directory;
    int rc = -1;
    if (is_ours && must_fail(true, fd)) {
        if (!is_directory) {
            (void)add(RECORD_SYNC_FAILED, file);
        }
    } else {
        rc = (int)syscall(number, fd);
    }
    if (rc == 0 && is_directory) {
        add(RECORD_SYNC_DIRECTORY, 0)->directory = rec.of[fd] - DIRECTORY_BASE;
    } else if (rc == 0 && is_ours) {
        (void)add(RECORD_SYNC, file);
    }
    record_unlock();
    return rc;
}

int fdatasync(int fd)
{
    return sync_it(fd, SYS_fdatasync);
}

int fsync(int fd)
{
    return sync_it(fd, SYS_fsync);
}

int ftruncate(int fd, off_t len)
{
    record_lock();
    int file = file_of(fd);
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    if (file != NOT_OURS && rc == 0) {
        add(RECORD_TRUNCATE, file)->offset = (uint64_t)len;
    }
    record_unlock();
    return rc;
}

/* Names are relative to a directory that is open here, or absolute. */
static bool name_below(int at, const char *path, char ret[RECORD_NAME])
{
    int prefix = at >= 0 && at < DESCRIPTORS ? rec.of[at] - DIRECTORY_BASE : -1;
    if (path[0] == '/') {
        bool is_ours =
            rec.top_len > 0 && strncmp(path, rec.top, rec.top_len) == 0 && path[rec.top_len] == '/';
        if (is_ours) {
            put_name(ret, path + rec.top_len + 1);
        }
        return is_ours;
    }
    if (prefix < 0) {
        return false;
    }
    int len = snprintf(ret, RECORD_NAME, "%s%s", prefix == 1 ? "wal/" : "", path);
    return len > 0 && (size_t)len < RECORD_NAME;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    char old_name[RECORD_NAME];
    char new_name[RECORD_NAME];
    record_lock();
    bool is_ours = name_below(from_at, from, old_name) && name_below(to_at, to, new_name);
    int rc = (int)syscall(SYS_renameat, from_at, from, to_at, to);
    struct name *replaced = rc == 0 && is_ours ? find(new_name) : NULL;
    if (replaced != NULL) {
        forget(replaced);
    }
    struct name *known = rc == 0 && is_ours ? find(old_name) : NULL;
    if (known != NULL) {
        struct record *r = add_name(RECORD_RENAME, known->file, old_name);
        put_name(r->to, new_name);
        put_name(known->text, new_name);
    }
    record_unlock();
    return rc;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int at, const char *path, int flags)
{
    char name[RECORD_NAME];
    record_lock();
    bool is_ours = name_below(at, path, name);
    int rc = (int)syscall(SYS_unlinkat, at, path, flags);
    struct name *known = rc == 0 && is_ours ? find(name) : NULL;
    if (known != NULL) {
        (void)add_name(RECORD_UNLINK, known->file, name);
        forget(known);
    }
    record_unlock();
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
