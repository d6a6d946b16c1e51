/* SPDX-License-Identifier: Apache-2.0 */
/* The operating system's files; see wal_io.h. */
#include "raft/wal_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int directory_of(void *ctx)
{
    return *(const int *)ctx;
}

static int system_open(void *ctx, const char *name, bool create)
{
    int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0);
    int file = openat(directory_of(ctx), name, flags, 0600);
    return file < 0 ? -errno : file;
}

static void system_close(void *ctx, int file)
{
    (void)ctx;
    (void)close(file);
}

static int64_t system_size(void *ctx, int file)
{
    struct stat info;
    (void)ctx;
    return fstat(file, &info) != 0 ? -errno : info.st_size;
}

static int system_pread(void *ctx, int file, void *bytes, size_t len, uint64_t offset)
{
    uint8_t *at = bytes;
    (void)ctx;
    while (len > 0) {
        ssize_t got = pread(file, at, len, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -EIO;
        }
        at += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

static int system_pwrite(void *ctx, int file, const void *bytes, size_t len, uint64_t offset)
{
    const uint8_t *at = bytes;
    (void)ctx;
    while (len > 0) {
        ssize_t put = pwrite(file, at, len, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? -errno : -ENOSPC;
        }
        at += put;
        len -= (size_t)put;
        offset += (uint64_t)put;
    }
    return 0;
}

static int system_fdatasync(void *ctx, int file)
{
    (void)ctx;
    return fdatasync(file) != 0 ? -errno : 0;
}

static int system_rename(void *ctx, const char *from, const char *to)
{
    int directory = directory_of(ctx);
    return renameat(directory, from, directory, to) != 0 ? -errno : 0;
}

static int system_unlink(void *ctx, const char *name)
{
    return unlinkat(directory_of(ctx), name, 0) != 0 ? -errno : 0;
}

static int system_sync_directory(void *ctx)
{
    return fsync(directory_of(ctx)) != 0 ? -errno : 0;
}

static int system_list(void *ctx, int (*visit)(void *visit_ctx, const char *name), void *visit_ctx)
{
    int file = openat(directory_of(ctx), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = file < 0 ? NULL : fdopendir(file);
    int rc = 0;
    if (directory == NULL) {
        rc = -errno;
        if (file >= 0) {
            (void)close(file);
        }
        return rc;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            rc = -errno;
            break;
        }
        rc = visit(visit_ctx, entry->d_name);
        if (rc != 0) {
            break;
        }
    }
    (void)closedir(directory);
    return rc;
}

struct wal_io wal_io_system(const int *directory_fd)
{
    union {
        const int *constant;
        void *plain;
    } ctx = {.constant = directory_fd};
    return (struct wal_io){
        .ctx = ctx.plain,
        .open = system_open,
        .close = system_close,
        .size = system_size,
        .pread = system_pread,
        .pwrite = system_pwrite,
        .fdatasync = system_fdatasync,
        .rename = system_rename,
        .unlink = system_unlink,
        .sync_directory = system_sync_directory,
        .list = system_list,
    };
}
