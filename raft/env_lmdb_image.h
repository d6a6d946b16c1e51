/* SPDX-License-Identifier: Apache-2.0 */
/* The work on images, done by the image worker's thread; env_lmdb_image.c gives it out. */
#ifndef QUORATE_RAFT_ENV_LMDB_IMAGE_H
#define QUORATE_RAFT_ENV_LMDB_IMAGE_H

#include <stdatomic.h>

#include "raft/env_lmdb_internal.h"

struct image_work {
    struct env_lmdb *env;
    atomic_bool is_canceled; /* set by the loop thread: end the export soon */
    atomic_bool is_stopping; /* the same for everything */
    int out_fd;              /* -1: no image to read from */
    uint64_t out_bytes;
    uint8_t *out_chunk; /* SNAPSHOT_CHUNK_MAX bytes, while there is one */
    int in_fd;          /* -1: none is being received */
    uint64_t in_bytes;
};

/* Writes an image of what is committed into a file without a name; tells what it holds. */
MUST_CHECK int image_export(struct image_work *work, struct snapshot_info *ret);
MUST_CHECK int image_read(struct image_work *work, uint64_t offset, struct slice *ret);
void image_export_end(struct image_work *work);
MUST_CHECK int image_import_begin(struct image_work *work);
MUST_CHECK int image_import_write(struct image_work *work, struct slice data);
void image_import_end(struct image_work *work);
/* Makes store.new out of the image received. */
MUST_CHECK int image_build(struct image_work *work, struct snapshot_info *ret);

#endif
