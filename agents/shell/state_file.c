/* SPDX-License-Identifier: Apache-2.0 */
/* Durable state in a file; see state_file.h. */
#include "agents/shell/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define PATH_BYTES 1024

struct state_file {
    struct io_workers *workers;
    void (*saved)(void *ctx, int status);
    void *ctx;
    char directory[PATH_BYTES];
    char path[PATH_BYTES + 16];
    char temporary[PATH_BYTES + 24];
    int lock_fd; /* held as long as this agent lives */
    bool is_saving;
    struct save_work {
        struct io_work work;
        struct state_file *file;
        int status;
        size_t len;
        uint8_t bytes[AGT_DISK_BYTES_MAX];
    } save;
};

static int status_of_errno(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
        return BASE_E_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return BASE_E_DENIED;
    default:
        return BASE_E_IO;
    }
}

static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return status_of_errno();
    }
    int rc = fsync(fd) == 0 ? 0 : status_of_errno();
    (void)close(fd);
    return rc;
}

static int write_temporary(const struct state_file *file, const struct save_work *save)
{
    int fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return status_of_errno();
    }
    int rc = 0;
    ssize_t put = write(fd, save->bytes, save->len);
    if (put != (ssize_t)save->len) {
        rc = put < 0 ? status_of_errno() : BASE_E_NOSPACE;
    } else if (fsync(fd) != 0) {
        rc = status_of_errno();
    }
    if (close(fd) != 0 && rc == 0) {
        rc = status_of_errno();
    }
    return rc;
}

static void save_run(struct io_work *work)
{
    struct save_work *save = (struct save_work *)(void *)work;
    const struct state_file *file = save->file;
    save->status = write_temporary(file, save);
    if (save->status == 0 && rename(file->temporary, file->path) != 0) {
        save->status = status_of_errno();
    }
    if (save->status == 0) {
        save->status = sync_directory(file->directory);
    }
}

static void save_done(struct io_work *work)
{
    const struct save_work *save = (const struct save_work *)(const void *)work;
    struct state_file *file = save->file;
    file->is_saving = false;
    file->saved(file->ctx, save->status);
}

static void port_save(void *ctx, struct slice bytes)
{
    struct state_file *file = ctx;
    BASE_ASSERT(!file->is_saving);
    BASE_ASSERT(bytes.len <= sizeof(file->save.bytes));
    file->is_saving = true;
    file->save.work = (struct io_work){.run = save_run, .done = save_done};
    file->save.file = file;
    file->save.len = bytes.len;
    memcpy(file->save.bytes, bytes.data, bytes.len);
    io_work_submit(file->workers, &file->save.work);
}

static int load(const struct state_file *file, struct agt_disk *ret_disk, struct io_why *why)
{
    uint8_t bytes[AGT_DISK_BYTES_MAX + 1];
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        *ret_disk = (struct agt_disk){0};
        return 0;
    }
    ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (got < 0) {
        io_why_set(why, "cannot read %s: %s", file->path, strerror(error));
        return BASE_E_IO;
    }
    if (agt_disk_decode(slice_from(bytes, (size_t)got), ret_disk) != 0) {
        io_why_set(
            why,
            "%s is damaged, so this member's promises are unknown: move it away and the data "
            "directory with it, then the member comes back as a new one",
            file->path);
        return BASE_E_CORRUPT;
    }
    return 0;
}

/* Two agents on one directory would break each other's promises, and share one guard. */
static int lock_directory(struct state_file *file, struct io_why *why)
{
    char path[PATH_BYTES + 16];
    (void)snprintf(path, sizeof(path), "%s/agent.lock", file->directory);
    file->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->lock_fd < 0) {
        io_why_set(why, "cannot open %s: %s", path, strerror(errno));
        return status_of_errno();
    }
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        io_why_set(why,
                   "another agent runs with state_dir %s; stop it, or give each its own "
                   "directories",
                   file->directory);
        (void)close(file->lock_fd);
        return BASE_E_BUSY;
    }
    return 0;
}

static int make_directory(const char *directory, struct io_why *why)
{
    if (strlen(directory) >= PATH_BYTES) {
        io_why_set(why, "state directory '%s': path is too long", directory);
        return BASE_E_INVALID;
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        io_why_set(why, "cannot make state directory %s: %s", directory, strerror(errno));
        return BASE_E_IO;
    }
    return 0;
}

int state_file_open(struct io_loop *loop, const char *directory,
                    void (*saved)(void *ctx, int status), void *ctx, struct state_file **ret,
                    struct agt_disk *ret_disk, struct io_why *why)
{
    struct state_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return BASE_E_NOMEM;
    }
    file->saved = saved;
    file->ctx = ctx;
    int rc = make_directory(directory, why);
    if (rc == 0) {
        (void)snprintf(file->directory, sizeof(file->directory), "%s", directory);
        (void)snprintf(file->path, sizeof(file->path), "%s/agent.state", file->directory);
        (void)snprintf(file->temporary, sizeof(file->temporary), "%s/agent.state.new",
                       file->directory);
        rc = lock_directory(file, why);
    }
    if (rc != 0) {
        free(file);
        return rc;
    }
    rc = load(file, ret_disk, why);
    rc = rc != 0 ? rc : io_workers_new(loop, 1, &file->workers);
    if (rc != 0) {
        (void)close(file->lock_fd);
        free(file);
        return rc;
    }
    *ret = file;
    return 0;
}

struct state_port state_file_port(struct state_file *file)
{
    return (struct state_port){.ctx = file, .save = port_save};
}

struct state_file *state_file_close(struct state_file *file)
{
    if (file != NULL) {
        file->workers = io_workers_free(file->workers, false);
        (void)close(file->lock_fd);
        free(file);
    }
    return NULL;
}
