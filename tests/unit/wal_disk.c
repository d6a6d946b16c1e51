/* SPDX-License-Identifier: Apache-2.0 */
/* See wal_disk.h. */
#include "tests/unit/wal_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define SECTOR 512u

/* Counts a changing operation; not 0: it must not be done. */
static int change(struct disk *disk)
{
    disk->after_failure += disk->has_failed;
    if (disk->is_cut) {
        return -EIO;
    }
    disk->operations++;
    if (disk->fail_at == 0 || disk->operations != disk->fail_at) {
        return 0;
    }
    disk->is_cut = disk->failure == DISK_CUT;
    disk->has_failed = true;
    return disk->is_cut ? -EIO : disk->error;
}

static int find_name(const struct disk_names *names, const char *name)
{
    for (unsigned i = 0; i < DISK_FILES; i++) {
        if (strcmp(names->names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void set_name(struct disk_names *names, int at, const char *name, int file)
{
    size_t len = strlen(name);
    BASE_ASSERT(len < DISK_NAME);
    memset(names->names[at], 0, DISK_NAME);
    memcpy(names->names[at], name, len);
    names->files[at] = file;
}

static void names_changed(struct disk *disk)
{
    BASE_ASSERT(disk->changes < DISK_CHANGES);
    disk->history[disk->changes++] = disk->names;
}

static int disk_open(void *ctx, const char *name, bool create)
{
    struct disk *disk = ctx;
    int at = find_name(&disk->names, name);
    if (!create) {
        return at < 0 ? -ENOENT : disk->names.files[at];
    }
    int rc = at >= 0 ? -EEXIST : change(disk);
    if (rc != 0) {
        return rc;
    }
    BASE_ASSERT((unsigned)disk->file_count < DISK_FILES);
    struct disk_file *file = &disk->files[disk->file_count];
    file->now = calloc(1, DISK_FILE_BYTES);
    file->flushed = calloc(1, DISK_FILE_BYTES);
    BASE_ASSERT(file->now != NULL && file->flushed != NULL);
    set_name(&disk->names, find_name(&disk->names, ""), name, disk->file_count);
    names_changed(disk);
    return disk->file_count++;
}

static void disk_close(void *ctx, int file)
{
    (void)ctx;
    (void)file;
}

static int64_t disk_size(void *ctx, int file)
{
    const struct disk *disk = ctx;
    return (int64_t)disk->files[file].size;
}

static int disk_pread(void *ctx, int file, void *bytes, size_t len, uint64_t offset)
{
    const struct disk *disk = ctx;
    if (offset + len > disk->files[file].size) {
        return -EIO;
    }
    memcpy(bytes, disk->files[file].now + offset, len);
    return 0;
}

static int disk_pwrite(void *ctx, int file, const void *bytes, size_t len, uint64_t offset)
{
    struct disk *disk = ctx;
    struct disk_file *f = &disk->files[file];
    bool was_cut = disk->is_cut;
    int rc = change(disk);
    if (rc != 0 && (was_cut || !disk->is_cut)) {
        return rc;
    }
    /* the write during which the power fails may have reached any sector too */
    BASE_ASSERT(offset + len <= DISK_FILE_BYTES);
    memcpy(f->now + offset, bytes, len);
    f->size = offset + len > f->size ? offset + len : f->size;
    return rc;
}

static int disk_fdatasync(void *ctx, int file)
{
    struct disk *disk = ctx;
    struct disk_file *f = &disk->files[file];
    int rc = change(disk);
    disk->flushes++;
    if (rc == 0) {
        memcpy(f->flushed, f->now, DISK_FILE_BYTES);
        f->flushed_size = f->size;
    } else if (!disk->is_cut) {
        memcpy(f->now, f->flushed, DISK_FILE_BYTES);
    }
    return rc;
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    struct disk *disk = ctx;
    int at = find_name(&disk->names, from);
    int rc = at < 0 ? -ENOENT : change(disk);
    if (rc == 0) {
        set_name(&disk->names, at, to, disk->names.files[at]);
        names_changed(disk);
        disk->renames++;
    }
    return rc;
}

static int disk_unlink(void *ctx, const char *name)
{
    struct disk *disk = ctx;
    int at = find_name(&disk->names, name);
    int rc = at < 0 ? -ENOENT : change(disk);
    if (rc == 0) {
        set_name(&disk->names, at, "", 0);
        names_changed(disk);
    }
    return rc;
}

static int disk_sync_directory(void *ctx)
{
    struct disk *disk = ctx;
    int rc = change(disk);
    if (rc == 0) {
        disk->flushed_names = disk->names;
        disk->changes = 0;
    }
    return rc;
}

static int disk_list(void *ctx, int (*visit)(void *visit_ctx, const char *name), void *visit_ctx)
{
    const struct disk *disk = ctx;
    int rc = 0;
    for (unsigned i = 0; i < DISK_FILES && rc == 0; i++) {
        rc = disk->names.names[i][0] == 0 ? 0 : visit(visit_ctx, disk->names.names[i]);
    }
    return rc;
}

struct wal_io disk_io(struct disk *disk)
{
    return (struct wal_io){.ctx = disk,
                           .open = disk_open,
                           .close = disk_close,
                           .size = disk_size,
                           .pread = disk_pread,
                           .pwrite = disk_pwrite,
                           .fdatasync = disk_fdatasync,
                           .rename = disk_rename,
                           .unlink = disk_unlink,
                           .sync_directory = disk_sync_directory,
                           .list = disk_list};
}

static void crash_file(struct disk_file *file, struct base_rand *rand)
{
    uint64_t mood = base_rand_between(rand, 0, 3); /* all, none, or some of what was not flushed */
    for (uint64_t at = 0; at < DISK_FILE_BYTES; at += SECTOR) {
        bool is_kept = mood == 0 || (mood > 1 && base_rand_between(rand, 0, 1) == 0);
        if (is_kept) {
            memcpy(file->flushed + at, file->now + at, SECTOR);
        }
    }
    if (mood != 1) {
        file->flushed_size = base_rand_between(rand, 0, 1) == 0 ? file->size : file->flushed_size;
    }
    /* what lies beyond the length is gone */
    memset(file->flushed + file->flushed_size, 0, DISK_FILE_BYTES - file->flushed_size);
    memcpy(file->now, file->flushed, DISK_FILE_BYTES);
    file->size = file->flushed_size;
}

void disk_crash(struct disk *disk, struct base_rand *rand)
{
    uint64_t kept = base_rand_between(rand, 0, disk->changes);
    disk->names = kept == 0 ? disk->flushed_names : disk->history[kept - 1];
    disk->flushed_names = disk->names;
    disk->changes = 0;
    for (int i = 0; i < disk->file_count; i++) {
        crash_file(&disk->files[i], rand);
    }
    disk->operations = 0;
    disk->fail_at = 0;
    disk->is_cut = false;
    disk->has_failed = false;
    disk->after_failure = 0;
}

struct disk_file *disk_find(struct disk *disk, const char *name)
{
    int at = find_name(&disk->names, name);
    return at < 0 ? NULL : &disk->files[disk->names.files[at]];
}

void disk_remove(struct disk *disk, const char *name)
{
    int at = find_name(&disk->names, name);
    if (at >= 0) {
        set_name(&disk->names, at, "", 0);
        disk->flushed_names = disk->names;
    }
}

struct disk *disk_new(void)
{
    return calloc(1, sizeof(struct disk));
}

void disk_free(struct disk *disk)
{
    for (int i = 0; i < disk->file_count; i++) {
        free(disk->files[i].now);
        free(disk->files[i].flushed);
    }
    free(disk);
}
