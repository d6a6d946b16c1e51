/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a data directory: read whole, write atomically and durably, remove durably.
 *
 * What we promise on disk (receiver taken out, directory unusable, standby signal) must survive a
 * power loss, so every write is: temporary file, fsync, rename, fsync of the directory. Any thread;
 * all calls may block on the disk and so never belong in the loop thread.
 */
#ifndef QUORATE_AGENTS_SHELL_FILES_H
#define QUORATE_AGENTS_SHELL_FILES_H

#include "base/error.h"
#include "base/slice.h"

#define PG_PATH_MAX 512

struct pg_path {
    char text[PG_PATH_MAX];
};

/* "dir/name", or "dirname" when name starts with '.' and is a suffix. BASE_E_TOOBIG when it does
 * not fit. */
MUST_CHECK int pg_path_join(const char *dir, const char *name, struct pg_path *ret);
MUST_CHECK int pg_path_suffix(const char *path, const char *suffix, struct pg_path *ret);

/* errno as BASE_E_*. */
int pg_errno_code(int number);

bool pg_file_exists(const char *path);
/* Whole file as NUL-terminated text into `memory`. NOTFOUND, DENIED, TOOBIG, IO. */
MUST_CHECK int pg_file_read(const char *path, char *memory, size_t cap, size_t *ret_len);
/* Replaces the file atomically and durably. */
MUST_CHECK int pg_file_write(const char *path, struct slice content, unsigned mode);
/* Copies a file durably, by the same way. */
MUST_CHECK int pg_file_copy(const char *from, const char *to, unsigned mode);
/* Removes a file durably; one that is not there is no error. */
MUST_CHECK int pg_file_remove(const char *path);
/* Renames durably within one directory tree. */
MUST_CHECK int pg_file_rename(const char *from, const char *to);

/* True for a directory that is missing or has no entry (lost+found aside). */
bool pg_dir_is_empty(const char *path);
struct stat;

/* Calls `each` for the regular files below a directory, `depth` directories deep; what begins with
 * '.' and links are passed over. *left is how many entries are looked at still. */
void pg_tree_walk(const char *path, unsigned depth, uint32_t *left,
                  void (*each)(void *ctx, const char *name, const struct stat *st), void *ctx);
/* Removes a tree, without following links. With keep_root the (then empty) directory itself stays.
 */
MUST_CHECK int pg_dir_remove(const char *path, bool keep_root);
/* Removes those entries of a directory whose names start with `prefix`, trees included. */
MUST_CHECK int pg_dir_remove_prefixed(const char *path, const char *prefix);
MUST_CHECK int pg_dir_sync(const char *path);
/* All of a data directory is on disk after this, with pg_wal and tablespaces that lie elsewhere:
 * one call per file system, where a tool that syncs file by file takes seconds for a thousand
 * files. */
MUST_CHECK int pg_data_sync(const char *data_dir);

#endif
