/* SPDX-License-Identifier: Apache-2.0 */
/* A store of either kind for unit tests, driven one job at a time, and short ways to build
 * requests. */
#ifndef QUORATE_TESTS_UNIT_KV_SUPPORT_H
#define QUORATE_TESTS_UNIT_KV_SUPPORT_H

#include <pthread.h>

#include "kv/core/apply.h"
#include "raft/env_lmdb.h"
#include "raft/store_mem.h"
#include "raft/wal_store.h"

enum test_store_kind { TEST_STORE_MEM, TEST_STORE_LMDB, TEST_STORE_WAL };

struct test_store {
    enum test_store_kind kind;
    struct store_mem *mem;
    struct env_lmdb *env;
    struct wal_store *wal;
    char directory[128];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_notified;
    int fatal_calls;
    int fatal_status;
    char fatal_text[WAL_STORE_ERROR_MAX];
};

/* Opens an empty store; the directory of one on disk is made and belongs to the test.
 * `map_bytes` is the size of a file for TEST_STORE_WAL. */
void test_store_open(struct test_store *store, enum test_store_kind kind, uint64_t map_bytes);
/* Opens an LMDB store in a directory that is there. Returns what env_lmdb_open returned. */
int test_store_open_at(struct test_store *store, const char *directory, uint64_t map_bytes);
/* Opens a log store in a directory that is there. Returns what wal_store_open returned. */
int test_store_open_wal(struct test_store *store, const char *directory, uint64_t segment_bytes);
/* The same, over files of the test's own. */
int test_store_open_wal_io(struct test_store *store, const char *directory, uint64_t segment_bytes,
                           const struct wal_io *io);
/* Closes and removes what test_store_open has made. */
void test_store_close(struct test_store *store);
struct store_port test_store_port(struct test_store *store);
/* Waits until something was completed (at most ten seconds, then the test fails). */
void test_store_wait(struct test_store *store);
/* Runs one function as a job and waits for it to be durable; returns the job's status. */
typedef int test_store_fn(void *ctx, struct store_txn *txn);
int test_store_run(struct test_store *store, test_store_fn *fn, void *ctx, bool is_read_only);

/* What the rows of a scan add up to: keys, values and their order. */
struct test_rows {
    uint64_t sum;
    uint64_t rows;
    uint64_t stop_after; /* that many; 0: at the end */
};
/* Visitor of scans; ctx is a struct test_rows. */
int test_rows_add(void *ctx, struct slice key, struct slice value);

/* A new directory, removed at exit at the latest. */
void test_make_directory(char *ret, size_t size);
void test_remove_directory(const char *directory);

/* Memory for kv/core. */
struct kv_scratch *test_scratch(void);
void test_scratch_free(void);

/* Applies or reads through a job. */
int test_apply(struct test_store *store, const struct kv_request *request, uint64_t term,
               struct kv_outcome *ret);
int test_read(struct test_store *store, const struct kv_request *request, struct kv_outcome *ret);

struct slice sl(const char *text);
struct kv_request put_request(const char *key, const char *value);
struct kv_request range_request(const char *key, const char *end);
struct kv_request delete_request(const char *key, const char *end);

#endif
