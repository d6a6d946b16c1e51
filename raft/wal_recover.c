/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: reads all files in order, checks every batch, and tells a torn tail from damage. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "raft/wal_internal.h"

#define FILES_MAX 65536u

struct file_list {
    uint64_t *numbers;
    size_t count;
    size_t cap;
};

/* One file in memory while it is looked at. */
struct image {
    uint8_t *bytes;
    size_t len;
};

struct recovery {
    struct wal_log *log;
    struct file_list files;
    bool has_batch;     /* one was found */
    bool is_tail_found; /* no good batch may follow */
    uint64_t tail_file; /* where the log ends */
    uint64_t tail_at;
};

/* --- names --- */

static bool number_of(const char *name, uint64_t *ret)
{
    uint64_t number = 0;
    char again[WAL_NAME_MAX];
    if (strlen(name) != 24 || strncmp(name, "wal-", 4) != 0) {
        return false;
    }
    for (size_t i = 4; i < 20; i++) {
        char c = name[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) {
            return false;
        }
        number = number << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    wal_name(number, again);
    *ret = number;
    return number != 0 && number < UINT64_MAX / 2 && strcmp(again, name) == 0;
}

static int list_visit(void *ctx, const char *name)
{
    struct file_list *files = ctx;
    uint64_t number = 0;
    if (!number_of(name, &number)) {
        return 0;
    }
    if (files->count == files->cap) {
        size_t cap = files->cap == 0 ? 16 : files->cap * 2;
        uint64_t *numbers = realloc(files->numbers, cap * sizeof(*numbers));
        if (numbers == NULL || cap > FILES_MAX) {
            files->numbers = numbers == NULL ? files->numbers : numbers;
            return -ENOMEM;
        }
        files->numbers = numbers;
        files->cap = cap;
    }
    files->numbers[files->count++] = number;
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int list_files(struct recovery *recovery)
{
    struct wal_log *log = recovery->log;
    struct file_list *files = &recovery->files;
    const struct wal_io *io = &log->options.io;
    int native = io->list(io->ctx, list_visit, files);
    if (native != 0) {
        log->failed = wal_code_of(native);
        (void)snprintf(log->text, sizeof(log->text), "cannot list the files of the log: %s",
                       strerror(-native));
        return log->failed;
    }
    if (files->count > 1) {
        qsort(files->numbers, files->count, sizeof(files->numbers[0]), compare_numbers);
    }
    for (size_t i = 1; i < files->count; i++) {
        if (files->numbers[i] != files->numbers[i - 1] + 1) {
            return wal_damaged(log, "a missing file", files->numbers[i - 1] + 1, 0);
        }
    }
    return 0;
}

/* --- one batch --- */

/* Whether a good batch of this file of this store begins at `at`. */
static bool batch_at(const struct recovery *recovery, const struct image *image, uint64_t number,
                     uint64_t at, struct wal_header *ret)
{
    struct wal_header header;
    if (at + WAL_HEADER > image->len ||
        !wal_header_read(slice_from(image->bytes + at, WAL_HEADER), &header) ||
        header.segment != number || header.body_len > image->len - at - WAL_HEADER ||
        (recovery->has_batch && header.store_id != recovery->log->store_id) ||
        !wal_batch_is_whole(&header, image->bytes + at)) {
        return false;
    }
    *ret = header;
    return true;
}

/* Whether it is the one that comes next. */
static bool is_next(const struct recovery *recovery, const struct wal_header *header, uint64_t at)
{
    const struct wal_log *log = recovery->log;
    bool is_first = (header->flags & WAL_FLAG_FIRST) != 0;
    if (is_first != (at == 0)) {
        return false;
    }
    if (!recovery->has_batch) {
        return header->segment == recovery->files.numbers[0];
    }
    return header->sequence == log->sequence + 1 && header->crc_before == log->crc;
}

/* Rows that lie in files older than the oldest one: they must be gone by the end. */
static int note_range(struct wal_log *log, const struct wal_op *op, bool is_oldest)
{
    struct wal_place lost = {.segment = WAL_LOST};
    struct wal_place before;
    if (!is_oldest) {
        uint64_t end = log->rows.count == 0 ? 0 : log->rows.first + log->rows.count - 1;
        bool is_alike = op->last == end && (end == 0 || op->first == log->rows.first);
        return is_alike ? 0 : BASE_E_PROTO;
    }
    int rc = op->last - op->first >= WAL_SPAN_MAX ? BASE_E_PROTO : 0;
    for (uint64_t index = op->first; op->last != 0 && index <= op->last && rc == 0; index++) {
        rc = wal_rows_put(&log->rows, index, lost, &before);
    }
    return rc;
}

static int replay(struct recovery *recovery, const struct image *image, uint64_t number,
                  uint64_t at, const struct wal_header *header)
{
    struct wal_log *log = recovery->log;
    struct slice body = slice_from(image->bytes + at + WAL_HEADER, header->body_len);
    bool is_oldest = !recovery->has_batch;
    int rc = header->format == WAL_FORMAT ? 0 : BASE_E_UNSUPPORTED;
    while (rc == 0 && body.len > 0) {
        struct wal_op op;
        rc = wal_op_take(&body, &op);
        if (rc == 0 && op.type == WAL_OP_LOG_RANGE) {
            rc = note_range(log, &op, is_oldest);
        } else if (rc == 0) {
            struct wal_place place = {
                .segment = number,
                .offset = (uint32_t)(at + WAL_HEADER + header->body_len - body.len - op.value.len),
                .len = (uint32_t)op.value.len};
            rc = wal_take_effect(log, &op, place);
        }
    }
    if (rc == BASE_E_UNSUPPORTED) {
        log->failed = rc;
        (void)snprintf(log->text, sizeof(log->text),
                       "the log has format %" PRIu32 ", this program knows %u: run a newer one",
                       header->format, WAL_FORMAT);
        return rc;
    }
    if (rc != 0) {
        return rc == BASE_E_NOMEM ? rc : wal_damaged(log, "a batch without sense", number, at);
    }
    recovery->has_batch = true;
    log->store_id = header->store_id;
    log->sequence = header->sequence;
    log->crc = header->crc;
    log->is_sealed = header->body_len == 0;
    return 0;
}

/* --- one file --- */

/* A good batch after the point where the log ends means that something before it is damaged. */
static int check_rest(struct recovery *recovery, const struct image *image, uint64_t number,
                      uint64_t from)
{
    struct wal_log *log = recovery->log;
    for (uint64_t at = from; at + WAL_HEADER <= image->len; at += WAL_ALIGN) {
        struct wal_header header;
        if (batch_at(recovery, image, number, at, &header) &&
            (!recovery->has_batch || header.sequence > log->sequence)) {
            /* in a later file: its own beginning is bad, or the end of the one before */
            bool is_own = recovery->tail_file == number || at > 0;
            return wal_damaged(log, "a bad batch, with good ones behind it,",
                               is_own ? number : recovery->tail_file,
                               is_own ? from : recovery->tail_at);
        }
    }
    return 0;
}

static bool is_torn(const struct image *image, uint64_t number, uint64_t at)
{
    struct wal_header header;
    return at + WAL_HEADER <= image->len &&
           wal_header_read(slice_from(image->bytes + at, WAL_HEADER), &header) &&
           header.segment == number;
}

static int read_batches(struct recovery *recovery, const struct image *image, uint64_t number)
{
    struct wal_log *log = recovery->log;
    struct wal_header header;
    uint64_t at = 0;
    int rc = 0;
    while (rc == 0 && batch_at(recovery, image, number, at, &header) &&
           is_next(recovery, &header, at)) {
        rc = replay(recovery, image, number, at, &header);
        at += wal_align(WAL_HEADER + (uint64_t)header.body_len);
        recovery->is_tail_found = false;
    }
    if (rc == 0 && (at > 0 || !recovery->is_tail_found)) {
        /* the log ends here, unless the next file goes on */
        recovery->is_tail_found = true;
        recovery->tail_file = number;
        recovery->tail_at = at;
        log->append_at = at > 0 || !recovery->has_batch ? at : log->append_at;
        log->stats.torn = is_torn(image, number, at);
    }
    return rc != 0 ? rc : check_rest(recovery, image, number, at);
}

static int load(struct wal_log *log, const struct wal_segment *segment, struct image *ret)
{
    const struct wal_io *io = &log->options.io;
    struct image image = {.len = (size_t)segment->size};
    if (image.len > 0) {
        /* not from the heap, which would keep it */
        image.bytes =
            mmap(NULL, image.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (image.bytes == MAP_FAILED) {
            return BASE_E_NOMEM;
        }
        int native = io->pread(io->ctx, segment->file, image.bytes, image.len, 0);
        if (native != 0) {
            (void)munmap(image.bytes, image.len);
            return wal_fail(log, "read", segment->number, 0, native);
        }
    }
    *ret = image;
    return 0;
}

static int read_file(struct recovery *recovery, uint64_t number)
{
    struct wal_log *log = recovery->log;
    const struct wal_io *io = &log->options.io;
    struct wal_segment segment = {.number = number};
    struct image image;
    char name[WAL_NAME_MAX];
    wal_name(number, name);
    segment.file = io->open(io->ctx, name, false);
    if (segment.file < 0) {
        return wal_fail(log, "open", number, UINT64_MAX, segment.file);
    }
    int64_t size = io->size(io->ctx, segment.file);
    int rc = size < 0 ? wal_fail(log, "open", number, UINT64_MAX, (int)size) : 0;
    segment.size = size < 0 ? 0 : (uint64_t)size;
    if (rc == 0 && segment.size > UINT32_MAX) {
        rc = wal_damaged(log, "an impossible length", number, segment.size);
    }
    rc = rc != 0 ? rc : wal_segment_add(log, segment);
    if (rc != 0) {
        io->close(io->ctx, segment.file);
        return rc;
    }
    rc = load(log, &segment, &image);
    if (rc == 0) {
        rc = read_batches(recovery, &image, number);
        if (image.len > 0) {
            (void)munmap(image.bytes, image.len);
        }
    }
    return rc;
}

/* --- the whole --- */

static int make_first(struct wal_log *log)
{
    int rc = wal_make_spare(log, 1);
    struct wal_segment spare = log->spare;
    if (rc == 0) {
        rc = wal_fill_spare(log, log->options.segment_bytes);
        spare.size = log->spare.size;
    }
    if (rc == 0) {
        rc = wal_segment_add(log, spare);
    }
    if (rc == 0) {
        log->spare = (struct wal_segment){0};
    }
    return rc;
}

/* Files behind the end of the log: the first is the one made ready, others are not needed. */
static int keep_spare(struct recovery *recovery)
{
    struct wal_log *log = recovery->log;
    const struct wal_io *io = &log->options.io;
    int native = 0;
    while (native == 0 && wal_current(log)->number > recovery->tail_file) {
        struct wal_segment last = log->segments[--log->segment_count];
        char name[WAL_NAME_MAX];
        bool is_fit = last.size < log->options.segment_bytes || wal_is_usable(log, last.size);
        if (last.number == recovery->tail_file + 1 && is_fit) {
            log->spare = last;
            log->is_spare_flushed = false; /* who knows */
            continue;
        }
        wal_name(last.number, name);
        io->close(io->ctx, last.file);
        native = io->unlink(io->ctx, name);
        if (native != 0) {
            return wal_fail(log, "remove", last.number, UINT64_MAX, native);
        }
    }
    return 0;
}

/* What was read counts from now on, so it has to outlive a power failure too. */
static int make_durable(struct wal_log *log)
{
    const struct wal_io *io = &log->options.io;
    const struct wal_segment *current = wal_current(log);
    int native = io->fdatasync(io->ctx, current->file);
    if (native != 0) {
        return wal_fail(log, "flush", current->number, UINT64_MAX, native);
    }
    native = io->sync_directory(io->ctx);
    return native == 0
               ? 0
               : wal_fail(log, "make durable the name of", current->number, UINT64_MAX, native);
}

static int finish(struct recovery *recovery)
{
    struct wal_log *log = recovery->log;
    int rc = 0;
    if (!recovery->has_batch && recovery->files.numbers[0] != 1) {
        return wal_damaged(log, "no good batch", recovery->files.numbers[0], 0);
    }
    if (log->rows.lost > 0) {
        return wal_damaged(log, "a missing file, or more,", recovery->files.numbers[0] - 1, 0);
    }
    rc = keep_spare(recovery);
    return rc != 0 ? rc : make_durable(log);
}

int wal_recover(struct wal_log *log)
{
    struct recovery recovery = {.log = log};
    int rc = list_files(&recovery);
    for (size_t i = 0; i < recovery.files.count && rc == 0; i++) {
        rc = read_file(&recovery, recovery.files.numbers[i]);
    }
    if (rc == 0) {
        rc = recovery.files.count == 0 ? make_first(log) : finish(&recovery);
    }
    if (rc == 0 && recovery.files.count == 0) {
        rc = make_durable(log);
    }
    free(recovery.files.numbers);
    return rc;
}
