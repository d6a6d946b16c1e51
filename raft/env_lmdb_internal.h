/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by env_lmdb.c (environment and thread), env_lmdb_txn.c (operations) and env_lmdb_image.c
 * (images). Nobody else includes it. */
#ifndef QUORATE_RAFT_ENV_LMDB_INTERNAL_H
#define QUORATE_RAFT_ENV_LMDB_INTERNAL_H

#include <lmdb.h>

#include "raft/env_lmdb.h"
#include "raft/store_thread.h"

#define ENV_LMDB_FILE "store.mdb"
#define ENV_LMDB_FILE_NEW "store.new"

/* Guess at what the open transaction has changed in one table. */
struct env_lmdb_touched {
    uint64_t leaves; /* the table's before its first change; 0: not known */
    uint64_t bytes;
    uint64_t pages;
};

/* Where the file is mapped, and what was looked at there. */
struct env_lmdb_map {
    uintptr_t at;
    size_t bytes;        /* 0: not known, nothing is let go of */
    size_t resident_max; /* bytes */
    size_t others;       /* bytes of other files that are mapped in */
    size_t looked;       /* bytes, roughly, since the last count */
};

struct env_lmdb_images;

struct env_lmdb {
    struct store_txn txn; /* first: the operations are handed a pointer to it */
    MDB_env *env;         /* the storage thread's, but that the image worker reads; swapped by it */
    MDB_txn *open;        /* the batch's; NULL between batches */
    MDB_dbi tables[STORE_TABLE_COUNT];
    int directory_fd;
    int lock_fd;
    size_t batch_bytes;
    uint64_t batch_pages;
    struct env_lmdb_touched touched[STORE_TABLE_COUNT];
    struct env_lmdb_map map; /* of `env` */
    bool is_batch_written;
    int native; /* LMDB's or errno's number behind the failure */
    const char *failed_at;
    struct store_thread *thread;
    struct env_lmdb_images *images; /* NULL until the first one */
    bool is_fatal_told;             /* loop thread */
    struct env_lmdb_options options;
};

extern const struct store_txn_ops env_lmdb_ops;
extern const char *const env_lmdb_table_names[STORE_TABLE_COUNT];

/* The code of LMDB's or errno's number. */
int env_lmdb_code(int native);
/* The same, and notes where the first error came from, for the text of `fatal`. */
int env_lmdb_failure(struct env_lmdb *env, const char *where, int native);
/* Opens DIRECTORY/name and its tables; `flags` besides the usual ones. Returns LMDB's number. */
int env_lmdb_open_file(const struct env_lmdb *env, const char *name, unsigned flags, MDB_env **ret,
                       MDB_dbi ret_tables[STORE_TABLE_COUNT]);
/* Storage thread, inside a job: ends the batch; closes the environment, puts store.new in its place
 * and goes on with that. */
int env_lmdb_swap(struct env_lmdb *env);

/* env_lmdb_map.c: where this environment's file is mapped. */
void env_lmdb_map_find(MDB_env *env, size_t resident_max, struct env_lmdb_map *ret);
#define ENV_LMDB_LOOK 4096u /* a look anywhere costs its page */
/* So many bytes were looked at in the map: every so often counts what is mapped in, and
 * lets go of it when that is too much. On the thread that owns `map`; pointers stay good. */
void env_lmdb_map_looked(struct env_lmdb_map *map, size_t bytes);
/* Lets go of all of it. */
void env_lmdb_map_drop(struct env_lmdb_map *map);

/* env_lmdb_image.c: completions of images; how many. */
size_t env_lmdb_images_complete(struct env_lmdb *env);
/* Ends the worker; calls under way end with BASE_E_CANCELED. */
void env_lmdb_images_stop(struct env_lmdb *env);
void env_lmdb_images_free(struct env_lmdb *env);
/* Removes what a crash has left. */
void env_lmdb_images_clean(struct env_lmdb *env);

#endif
