/* SPDX-License-Identifier: Apache-2.0 */
/* What a power failure may leave: the record replayed up to some point, and then, of everything
 * that was not flushed by then, any pieces, and of the names that were not flushed the first few
 * changes of each directory. */
#ifndef QUORATE_TESTS_CRASH_IMAGE_H
#define QUORATE_TESTS_CRASH_IMAGE_H

#include "base/rand.h"
#include "tests/crash/record.h"

struct image_disk;

struct image_disk *image_disk_new(void);
void image_disk_free(struct image_disk *disk);
/* The next operation of the record has been done. */
void image_disk_apply(struct image_disk *disk, const struct record *r);
/* Whether anything is not flushed. */
bool image_disk_is_dirty(const struct image_disk *disk);

/* Which of the pieces that were not flushed are there. */
enum image_mood { IMAGE_ALL, IMAGE_NONE, IMAGE_HALF, IMAGE_FEW, IMAGE_MOST, IMAGE_PREFIX };
#define IMAGE_MOODS 6u

/* Writes the files into `directory` (which has a directory "wal" in it), with pieces of
 * `piece_bytes`. Returns how many pieces were left out. */
uint64_t image_disk_write(struct image_disk *disk, const char *directory, enum image_mood mood,
                          uint64_t piece_bytes, struct base_rand *rand);

#endif
