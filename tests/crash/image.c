/* SPDX-License-Identifier: Apache-2.0 */
/* See image.h. */
#include "tests/crash/image.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

#define NAMES_MAX 256
#define CHANGES_MAX 512

struct pending {
    const struct record *what;
    bool is_lost; /* its flush failed: no later one makes it durable */
};

struct file {
    uint8_t *bytes; /* durable */
    uint64_t size;
    uint64_t cap;
    struct pending *list;
    size_t count;
    size_t list_cap;
};

struct names {
    char text[NAMES_MAX][RECORD_NAME];
    int file[NAMES_MAX];
    size_t count;
};

struct image_disk {
    struct file files[RECORD_FILES];
    struct names names; /* durable */
    const struct record *changes[2][CHANGES_MAX];
    size_t change_count[2];
    struct file scratch;
};

/* --- files --- */

static void reserve(struct file *f, uint64_t size)
{
    if (size > f->cap) {
        uint64_t cap = size * 2;
        uint8_t *bytes = calloc(1, cap);
        BASE_ASSERT(bytes != NULL);
        if (f->size > 0) {
            memcpy(bytes, f->bytes, f->size);
        }
        free(f->bytes);
        f->bytes = bytes;
        f->cap = cap;
    }
}

static void resize(struct file *f, uint64_t size)
{
    reserve(f, size);
    if (size > f->size) {
        memset(f->bytes + f->size, 0, size - f->size);
    }
    f->size = size;
}

static void put(struct file *f, const uint8_t *bytes, uint64_t len, uint64_t offset)
{
    if (offset + len > f->size) {
        resize(f, offset + len);
    }
    memcpy(f->bytes + offset, bytes, len);
}

static void apply(struct file *f, const struct record *r)
{
    if (r->type == RECORD_TRUNCATE) {
        resize(f, r->offset);
    } else {
        put(f, r->bytes, r->len, r->offset);
    }
}

static void pend(struct file *f, const struct record *r)
{
    if (f->count == f->list_cap) {
        f->list_cap = f->list_cap * 2 + 16;
        struct pending *list = calloc(f->list_cap, sizeof(*list));
        BASE_ASSERT(list != NULL);
        if (f->count > 0) {
            memcpy(list, f->list, f->count * sizeof(*list));
        }
        free(f->list);
        f->list = list;
    }
    f->list[f->count++] = (struct pending){.what = r};
}

static void flush(struct file *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->list[i].is_lost) {
            f->list[kept++] = f->list[i];
        } else {
            apply(f, f->list[i].what);
        }
    }
    f->count = kept;
}

/* Durable by itself; what waits for the same place is older. */
static void put_durable(struct file *f, const struct record *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct record *old = f->list[i].what;
        bool is_covered = old->type == RECORD_WRITE && old->offset >= r->offset &&
                          old->offset + old->len <= r->offset + r->len;
        if (!is_covered) {
            f->list[kept++] = f->list[i];
        }
    }
    f->count = kept;
    apply(f, r);
}

/* --- names --- */

static size_t find(const struct names *names, const char *text)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->text[i], text) != 0) {
        i++;
    }
    return i;
}

static void take_out(struct names *names, const char *text)
{
    size_t at = find(names, text);
    if (at < names->count) {
        names->count--;
        memcpy(names->text[at], names->text[names->count], RECORD_NAME);
        names->file[at] = names->file[names->count];
    }
}

static void put_in(struct names *names, const char *text, int file)
{
    take_out(names, text);
    BASE_ASSERT(names->count < NAMES_MAX);
    memcpy(names->text[names->count], text, RECORD_NAME);
    names->file[names->count++] = file;
}

static void change(struct names *names, const struct record *r)
{
    if (r->type == RECORD_CREATE) {
        put_in(names, r->name, r->file);
    } else {
        take_out(names, r->name);
    }
    if (r->type == RECORD_RENAME) {
        put_in(names, r->to, r->file);
    }
}

/* --- the record --- */

void image_disk_apply(struct image_disk *disk, const struct record *r)
{
    struct file *f = &disk->files[r->file];
    switch (r->type) {
    case RECORD_CREATE:
    case RECORD_RENAME:
    case RECORD_UNLINK:
        BASE_ASSERT(disk->change_count[r->directory] < CHANGES_MAX);
        disk->changes[r->directory][disk->change_count[r->directory]++] = r;
        break;
    case RECORD_WRITE:
        if (r->is_durable) {
            put_durable(f, r);
            break;
        }
        pend(f, r);
        break;
    case RECORD_TRUNCATE:
        pend(f, r);
        break;
    case RECORD_SYNC:
        flush(f);
        break;
    case RECORD_SYNC_FAILED:
        for (size_t i = 0; i < f->count; i++) {
            f->list[i].is_lost = true;
        }
        break;
    case RECORD_SYNC_DIRECTORY:
        for (size_t i = 0; i < disk->change_count[r->directory]; i++) {
            change(&disk->names, disk->changes[r->directory][i]);
        }
        disk->change_count[r->directory] = 0;
        break;
    case RECORD_MARK:
    default:
        break;
    }
}

bool image_disk_is_dirty(const struct image_disk *disk)
{
    bool is_dirty = disk->change_count[0] + disk->change_count[1] > 0;
    for (int i = 0; i < RECORD_FILES && !is_dirty; i++) {
        is_dirty = disk->files[i].count > 0;
    }
    return is_dirty;
}

/* --- images --- */

struct choice {
    enum image_mood mood;
    uint64_t piece_bytes;
    struct base_rand *rand;
    size_t prefix; /* IMAGE_PREFIX: so many of the file's operations are whole */
    uint64_t left_out;
};

static bool is_kept(struct choice *c, size_t n)
{
    static const uint32_t ppm[IMAGE_MOODS] = {1000000, 0, 500000, 125000, 875000, 0};
    bool is = c->mood == IMAGE_PREFIX ? n < c->prefix : base_rand_chance_ppm(c->rand, ppm[c->mood]);
    c->left_out += !is;
    return is;
}

static void put_pieces(struct file *f, const struct record *r, struct choice *c, size_t n)
{
    uint64_t at = r->offset;
    while (at < r->offset + r->len) {
        uint64_t end = (at / c->piece_bytes + 1) * c->piece_bytes;
        end = end < r->offset + r->len ? end : r->offset + r->len;
        if (is_kept(c, n)) {
            put(f, r->bytes + (at - r->offset), end - at, at);
        }
        at = end;
    }
}

static void write_file(const char *directory, const char *name, const struct file *f)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", directory, name);
    BASE_ASSERT(len > 0 && (size_t)len < sizeof(path));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BASE_ASSERT(fd >= 0);
    uint64_t done = 0;
    while (done < f->size) {
        ssize_t put_len = write(fd, f->bytes + done, f->size - done);
        BASE_ASSERT(put_len > 0);
        done += (uint64_t)put_len;
    }
    (void)close(fd);
}

static void make_file(struct image_disk *disk, const char *directory, const char *name, int file,
                      struct choice *c)
{
    const struct file *from = &disk->files[file];
    struct file *f = &disk->scratch;
    f->size = 0;
    resize(f, from->size);
    if (from->size > 0) {
        memcpy(f->bytes, from->bytes, from->size);
    }
    c->prefix = (size_t)base_rand_between(c->rand, 0, from->count);
    for (size_t i = 0; i < from->count; i++) {
        const struct record *r = from->list[i].what;
        if (r->type == RECORD_WRITE) {
            put_pieces(f, r, c, i);
        } else if (is_kept(c, i)) {
            resize(f, r->offset);
        }
    }
    write_file(directory, name, f);
}

uint64_t image_disk_write(struct image_disk *disk, const char *directory, enum image_mood mood,
                          uint64_t piece_bytes, struct base_rand *rand)
{
    struct choice c = {.mood = mood, .piece_bytes = piece_bytes, .rand = rand};
    struct names names = disk->names;
    for (int d = 0; d < 2; d++) {
        size_t kept = disk->change_count[d];
        if (mood == IMAGE_NONE) {
            kept = 0;
        } else if (mood != IMAGE_ALL) {
            kept = (size_t)base_rand_between(rand, 0, kept);
        }
        c.left_out += disk->change_count[d] - kept;
        for (size_t i = 0; i < kept; i++) {
            change(&names, disk->changes[d][i]);
        }
    }
    for (size_t i = 0; i < names.count; i++) {
        make_file(disk, directory, names.text[i], names.file[i], &c);
    }
    return c.left_out;
}

struct image_disk *image_disk_new(void)
{
    struct image_disk *disk = calloc(1, sizeof(*disk));
    BASE_ASSERT(disk != NULL);
    return disk;
}

static void free_file(struct file *f)
{
    free(f->bytes);
    free(f->list);
}

void image_disk_free(struct image_disk *disk)
{
    for (int i = 0; i < RECORD_FILES; i++) {
        free_file(&disk->files[i]);
    }
    free_file(&disk->scratch);
    free(disk);
}
