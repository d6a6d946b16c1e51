/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory for the log store: counts operations, fails one of them, and after a cut shows
 * what a power failure may have left: of everything not flushed any sectors, of names not flushed
 * the first few changes. */
#ifndef QUORATE_TESTS_UNIT_WAL_DISK_H
#define QUORATE_TESTS_UNIT_WAL_DISK_H

#include "base/rand.h"
#include "raft/wal_io.h"

#define DISK_FILES 64u
#define DISK_FILE_BYTES (128u << 10)
#define DISK_NAME 32u
#define DISK_CHANGES 64u

struct disk_file {
    uint8_t *now;
    uint8_t *flushed;
    uint64_t size;
    uint64_t flushed_size;
};

struct disk_names {
    char names[DISK_FILES][DISK_NAME]; /* "": not in use */
    int files[DISK_FILES];
};

enum disk_failure {
    DISK_NONE,
    DISK_CUT,  /* this operation and all later ones are not done */
    DISK_FAIL, /* this one fails, later ones work; a failed flush drops what was to be flushed */
};

struct disk {
    struct disk_file files[DISK_FILES];
    int file_count;
    struct disk_names names;
    struct disk_names history[DISK_CHANGES]; /* after each change since names were flushed */
    uint32_t changes;
    struct disk_names flushed_names;
    uint64_t operations; /* changing ones */
    uint64_t fail_at;    /* 0: never */
    enum disk_failure failure;
    int error; /* negative errno of DISK_FAIL */
    bool is_cut;
    bool has_failed;
    uint64_t after_failure; /* changing operations since */
    uint64_t renames;
    uint64_t flushes;
};

struct disk *disk_new(void);
void disk_free(struct disk *disk);
struct wal_io disk_io(struct disk *disk);
/* Power failure: what is there from now on; counters and failures are reset. */
void disk_crash(struct disk *disk, struct base_rand *rand);
/* A file by name; NULL: none. */
struct disk_file *disk_find(struct disk *disk, const char *name);
void disk_remove(struct disk *disk, const char *name);

#endif
