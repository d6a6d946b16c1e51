/* SPDX-License-Identifier: Apache-2.0 */
/* Port: images of the state store, made and installed beside the running node.
 *
 * An image is the whole content of the state store at one applied index, as bytes in the format of
 * raft/snapshot_format.h: a head (cluster, index, term, configuration), rows in order of table and
 * key, checksums. What belongs to one node alone (STORE_META "raft.ids") is not in it. Images are
 * made from the last state that is durable, without holding up jobs of the store, and installed
 * atomically: after a crash the state store is either the old or the new one.
 *
 * One image is made and one received at a time; the implementation refuses a second (BASE_E_BUSY).
 * All functions are for the loop thread; `done` comes later in the loop thread, never from inside
 * the call. The caller owns the job struct until done. Implementations: raft/env_lmdb_image.c (a
 * worker thread and temporary files), raft/store_mem_image.c (memory).
 */
#ifndef QUORATE_RAFT_PORT_SNAPSHOT_H
#define QUORATE_RAFT_PORT_SNAPSHOT_H

#include "raft/core/types.h"
#include "raft/port_store.h"

#define SNAPSHOT_CHUNK_MAX (256u << 10) /* bytes of one read or write */

struct snapshot_info {
    uint64_t cluster_id;
    uint64_t index;                          /* applied index of the state */
    uint64_t term;                           /* of the entry at `index` */
    uint64_t bytes;                          /* length of the image */
    struct raft_configuration configuration; /* committed, at `index` */
};

struct snapshot_job {
    void *user;
    /* 0, or why not; after an error of write or install the image being received is discarded. */
    void (*done)(struct snapshot_job *job, int status);
    struct snapshot_info info; /* out: export_begin, install */
    struct slice data;         /* out: export_read, valid until the next call; in: import_write */
    struct snapshot_job *next; /* the port's, all below */
    uint64_t offset;
    int status;
    int what;
};

struct snapshot_port {
    void *ctx;
    /* Makes an image of what is applied and durable (the store commits first). It stays readable
     * until export_end. */
    int (*export_begin)(void *ctx, struct snapshot_job *job);
    /* At most SNAPSHOT_CHUNK_MAX bytes from `offset` on; empty at the end. */
    int (*export_read)(void *ctx, struct snapshot_job *job, uint64_t offset);
    void (*export_end)(void *ctx);
    /* Receives an image: begin discards what was there of another one; writes follow in order
     * (`data` is copied before the call returns). */
    int (*import_begin)(void *ctx, struct snapshot_job *job);
    int (*import_write)(void *ctx, struct snapshot_job *job, struct slice data);
    /* Checks the whole image (BASE_E_CORRUPT, BASE_E_CONFLICT: another cluster's), then makes it
     * the state store, durably; jobs of the store submitted later see the new state. info tells
     * what it holds. After an error the state is what it was, or every later job fails. */
    int (*import_install)(void *ctx, struct snapshot_job *job);
    void (*import_discard)(void *ctx);
};

#endif
