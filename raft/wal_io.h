/* SPDX-License-Identifier: Apache-2.0 */
/* The file operations that the log store uses, as a table, so that tests can put a disk of their
 * own under it: one that tears writes, fails flushes, and is cut off between any two of them.
 *
 * Functions return 0 (or what they are asked for) or a negative errno number. Names are relative to
 * the directory that the table stands for.
 */
#ifndef QUORATE_RAFT_WAL_IO_H
#define QUORATE_RAFT_WAL_IO_H

#include "base/types.h"

struct wal_io {
    void *ctx;
    /* Opens for reading and writing; `create`: makes it, and fails with -EEXIST when it is there.
     */
    int (*open)(void *ctx, const char *name, bool create);
    void (*close)(void *ctx, int file);
    int64_t (*size)(void *ctx, int file);
    /* All `len` bytes or an error; a read beyond the end is -EIO, a short write -ENOSPC. */
    int (*pread)(void *ctx, int file, void *bytes, size_t len, uint64_t offset);
    int (*pwrite)(void *ctx, int file, const void *bytes, size_t len, uint64_t offset);
    int (*fdatasync)(void *ctx, int file);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *name);
    /* Makes the names durable. */
    int (*sync_directory)(void *ctx);
    /* Calls `visit` for each name; its error ends the walk and is returned. */
    int (*list)(void *ctx, int (*visit)(void *visit_ctx, const char *name), void *visit_ctx);
};

/* The operating system's files in the directory open as directory_fd, which must stay open. */
struct wal_io wal_io_system(const int *directory_fd);

#endif
