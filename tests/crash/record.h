/* SPDX-License-Identifier: Apache-2.0 */
/* The write recorder: this program's own open, pwrite, fdatasync, rename... stand in front of the C
 * library's, for its own code and for liblmdb alike. They do the work, and note what changed in the
 * files below one directory, in order. One of them can be made to fail.
 *
 * While a thread holds the lock no other thread changes a file: what the holder notes in between
 * stands before whatever it caused.
 */
#ifndef QUORATE_TESTS_CRASH_RECORD_H
#define QUORATE_TESTS_CRASH_RECORD_H

#include "base/types.h"

#define RECORD_NAME 80u
#define RECORD_FILES 4096
#define RECORD_MAX 400000u

enum record_type {
    RECORD_CREATE,
    RECORD_WRITE,
    RECORD_TRUNCATE,
    RECORD_SYNC,
    RECORD_SYNC_FAILED, /* what was to be flushed stays readable and never becomes durable */
    RECORD_SYNC_DIRECTORY,
    RECORD_RENAME,
    RECORD_UNLINK,
    RECORD_MARK,
};

struct record {
    enum record_type type;
    bool is_durable; /* WRITE through a descriptor opened with O_DSYNC */
    int file;        /* number; a new file has a new one, whatever its name */
    int directory;   /* of names: 0 the top, 1 one further down */
    uint64_t offset; /* WRITE; the length for TRUNCATE; the caller's number for MARK */
    uint64_t len;
    uint8_t *bytes;
    char name[RECORD_NAME]; /* below the top */
    char to[RECORD_NAME];
};

/* Forgets everything and listens to `directory` (an absolute path); NULL: to nothing. */
void record_start(const char *directory);
void record_stop(void);
void record_lock(void);
void record_unlock(void);
/* A note of the caller's, in order with what happens to the files. */
void record_mark(uint64_t number);
const struct record *record_at(size_t n);
size_t record_count(void);

struct record_failure {
    bool is_sync;           /* the n-th flush (of a file or a directory); else the n-th write */
    uint64_t n;             /* 0: none */
    int error;              /* errno */
    bool has_begun;         /* out */
    char name[RECORD_NAME]; /* out: of the file; for a directory: the file made last */
};
void record_fail(const struct record_failure *failure);
struct record_failure record_failed(void);
uint64_t record_writes(void);
uint64_t record_syncs(void);

#endif
