/* SPDX-License-Identifier: Apache-2.0 */
/* Durable file work for the PostgreSQL shell: see files.h for the promise. Blocking; worker threads
 * and start only. Never follows a symbolic link while it deletes. */
#include "agents/shell/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 32 /* of a tree that is removed; PGDATA has 4 levels */

int pg_errno_code(int number)
{
    switch (number) {
    case 0:
        return 0;
    case ENOENT:
    case ENOTDIR:
        return BASE_E_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return BASE_E_DENIED;
    case EEXIST:
    case ENOTEMPTY:
        return BASE_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return BASE_E_NOSPACE;
    case ENOMEM:
        return BASE_E_NOMEM;
    case EAGAIN:
    case EBUSY:
        return BASE_E_BUSY;
    case ETIMEDOUT:
        return BASE_E_TIMEOUT;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return BASE_E_UNREACHABLE;
    case ENAMETOOLONG:
    case EFBIG:
        return BASE_E_TOOBIG;
    default:
        return BASE_E_IO;
    }
}

static int path_put(const char *a, const char *between, const char *b, struct pg_path *ret)
{
    struct pg_path path;
    int len = snprintf(path.text, sizeof(path.text), "%s%s%s", a, between, b);
    if (len < 0 || (size_t)len >= sizeof(path.text)) {
        return BASE_E_TOOBIG;
    }
    *ret = path;
    return 0;
}

int pg_path_join(const char *dir, const char *name, struct pg_path *ret)
{
    return path_put(dir, "/", name, ret);
}

int pg_path_suffix(const char *path, const char *suffix, struct pg_path *ret)
{
    return path_put(path, "", suffix, ret);
}

bool pg_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

int pg_file_read(const char *path, char *memory, size_t cap, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pg_errno_code(errno);
    }
    size_t len = 0;
    int status = 0;
    while (status == 0) {
        if (len + 1 >= cap) {
            status = BASE_E_TOOBIG;
            break;
        }
        ssize_t got = read(fd, memory + len, cap - 1 - len);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            len += (size_t)got;
        } else if (errno != EINTR) {
            status = pg_errno_code(errno);
        }
    }
    close(fd);
    if (status == 0) {
        memory[len] = '\0';
        *ret_len = len;
    }
    return status;
}

int pg_dir_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return pg_errno_code(errno);
    }
    int status = fsync(fd) == 0 ? 0 : pg_errno_code(errno);
    close(fd);
    return status;
}

static int sync_file_system(const char *dir, const char *name)
{
    struct pg_path path;
    int status = pg_path_join(dir, name, &path);
    int fd = status == 0 ? open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return status != 0 ? status : pg_errno_code(errno);
    }
    status = syncfs(fd) == 0 ? 0 : pg_errno_code(errno);
    close(fd);
    return status;
}

int pg_data_sync(const char *data_dir)
{
    struct pg_path spaces;
    int status = sync_file_system(data_dir, ".");
    status = status != 0 ? status : sync_file_system(data_dir, "pg_wal");
    status = status != 0 ? status : pg_path_join(data_dir, "pg_tblspc", &spaces);
    DIR *dir = status == 0 ? opendir(spaces.text) : NULL;
    if (dir == NULL) {
        return status != 0 ? status : pg_errno_code(errno);
    }
    for (struct dirent *e = readdir(dir); e != NULL && status == 0; e = readdir(dir)) {
        status = e->d_name[0] == '.' ? 0 : sync_file_system(spaces.text, e->d_name);
    }
    closedir(dir);
    return status;
}

static int sync_parent(const char *path)
{
    struct pg_path copy;
    int status = path_put(path, "", "", &copy);
    return status != 0 ? status : pg_dir_sync(dirname(copy.text));
}

static int write_all(int fd, struct slice content)
{
    while (content.len > 0) {
        ssize_t put = write(fd, content.data, content.len);
        if (put < 0 && errno != EINTR) {
            return pg_errno_code(errno);
        }
        content = slice_skip(content, put > 0 ? (size_t)put : 0);
    }
    return fsync(fd) == 0 ? 0 : pg_errno_code(errno);
}

int pg_file_write(const char *path, struct slice content, unsigned mode)
{
    struct pg_path temporary;
    int status = pg_path_suffix(path, ".quorate-new", &temporary);
    if (status != 0) {
        return status;
    }
    int fd = open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return pg_errno_code(errno);
    }
    status = fchmod(fd, mode) == 0 ? write_all(fd, content) : pg_errno_code(errno);
    if (close(fd) != 0 && status == 0) {
        status = pg_errno_code(errno);
    }
    if (status == 0 && rename(temporary.text, path) != 0) {
        status = pg_errno_code(errno);
    }
    if (status != 0) {
        (void)unlink(temporary.text);
        return status;
    }
    return sync_parent(path);
}

static int copy_bytes(int from, int to)
{
    char bytes[65536];
    for (;;) {
        ssize_t got = read(from, bytes, sizeof(bytes));
        if (got == 0) {
            return fsync(to) == 0 ? 0 : pg_errno_code(errno);
        }
        for (ssize_t at = 0; at < got;) {
            ssize_t put = write(to, bytes + at, (size_t)(got - at));
            if (put < 0 && errno != EINTR) {
                return pg_errno_code(errno);
            }
            at += put > 0 ? put : 0;
        }
        if (got < 0 && errno != EINTR) {
            return pg_errno_code(errno);
        }
    }
}

int pg_file_copy(const char *from, const char *to, unsigned mode)
{
    struct pg_path temporary;
    int status = pg_path_suffix(to, ".quorate-new", &temporary);
    int in = status == 0 ? open(from, O_RDONLY | O_CLOEXEC) : -1;
    int out =
        in < 0 ? -1
               : open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (status == 0) {
        status = out < 0 ? pg_errno_code(errno) : copy_bytes(in, out);
    }
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
    }
    if (status == 0 && rename(temporary.text, to) != 0) {
        status = pg_errno_code(errno);
    }
    if (status != 0) {
        (void)unlink(temporary.text);
        return status;
    }
    return sync_parent(to);
}

int pg_file_remove(const char *path)
{
    if (unlink(path) != 0) {
        return errno == ENOENT ? 0 : pg_errno_code(errno);
    }
    return sync_parent(path);
}

int pg_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        return pg_errno_code(errno);
    }
    return sync_parent(to);
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

bool pg_dir_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT;
    }
    bool is_empty = true;
    for (struct dirent *entry = readdir(dir); entry != NULL && is_empty; entry = readdir(dir)) {
        is_empty = is_dot(entry->d_name) || strcmp(entry->d_name, "lost+found") == 0;
    }
    closedir(dir);
    return is_empty;
}

/* Opens the first subdirectory that cannot be unlinked, or unlinks everything. Trees are walked
 * with an explicit stack of directory descriptors. */
static int remove_entry(int dir_fd, const char *name, int *ret_child_fd)
{
    *ret_child_fd = -1;
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return pg_errno_code(errno);
    }
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0) {
        return 0;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) {
        return pg_errno_code(errno);
    }
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return pg_errno_code(errno);
    }
    *ret_child_fd = fd;
    return 0;
}

static void tree_walk(int at, const char *path, unsigned depth, uint32_t *left,
                      void (*each)(void *ctx, const char *name, const struct stat *st), void *ctx)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0) {
        (void)close(fd);
    }
    const struct dirent *e = NULL;
    while (dir != NULL && *left > 0 && (e = readdir(dir)) != NULL) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        --*left;
        if (S_ISREG(st.st_mode)) {
            each(ctx, e->d_name, &st);
        } else if (S_ISDIR(st.st_mode) && depth > 0) {
            tree_walk(fd, e->d_name, depth - 1, left, each, ctx);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

void pg_tree_walk(const char *path, unsigned depth, uint32_t *left,
                  void (*each)(void *ctx, const char *name, const struct stat *st), void *ctx)
{
    tree_walk(AT_FDCWD, path, depth, left, each, ctx);
}

struct walk {
    DIR *dirs[DEPTH_MAX];
    char names[DEPTH_MAX][256];
    unsigned depth; /* of the directory that is being emptied */
};

/* Empties the top directory of the walk by one step: goes down into a full subdirectory, or up when
 * done. */
static int walk_step(struct walk *w, const char *prefix)
{
    DIR *dir = w->dirs[w->depth];
    struct dirent *entry = readdir(dir);
    if (entry == NULL) {
        closedir(dir);
        if (w->depth == 0) {
            return 1;
        }
        w->depth--;
        int above = dirfd(w->dirs[w->depth]);
        return unlinkat(above, w->names[w->depth + 1], AT_REMOVEDIR) == 0 ? 0
                                                                          : pg_errno_code(errno);
    }
    bool is_wanted = w->depth > 0 || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (is_dot(entry->d_name) || !is_wanted) {
        return 0;
    }
    int child = -1;
    int status = remove_entry(dirfd(dir), entry->d_name, &child);
    if (status != 0 || child < 0) {
        return status;
    }
    DIR *opened = w->depth + 1 < DEPTH_MAX ? fdopendir(child) : NULL;
    if (opened == NULL) {
        close(child);
        return BASE_E_TOOBIG;
    }
    w->depth++;
    w->dirs[w->depth] = opened;
    (void)snprintf(w->names[w->depth], sizeof(w->names[0]), "%s", entry->d_name);
    return 0;
}

int pg_dir_remove_prefixed(const char *path, const char *prefix)
{
    struct walk w;
    w.depth = 0;
    w.dirs[0] = opendir(path);
    if (w.dirs[0] == NULL) {
        return errno == ENOENT ? 0 : pg_errno_code(errno);
    }
    int status = 0;
    while (status == 0) {
        status = walk_step(&w, prefix);
    }
    if (status == 1) {
        return pg_dir_sync(path);
    }
    for (unsigned i = 0; i <= w.depth; i++) {
        closedir(w.dirs[i]);
    }
    return status;
}

int pg_dir_remove(const char *path, bool keep_root)
{
    int status = pg_dir_remove_prefixed(path, "");
    if (status != 0 || keep_root || !pg_file_exists(path)) {
        return status;
    }
    if (rmdir(path) != 0) {
        return pg_errno_code(errno);
    }
    return sync_parent(path);
}
