/* SPDX-License-Identifier: Apache-2.0 */
/* The store port, in memory, over LMDB and over log files: operations, order of completions,
 * failures, crashes. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

/* --- operations: all stores answer alike --- */

struct rows_hash {
    uint64_t sum;
    size_t count;
    size_t stop_after;
};

static int hash_visit(void *ctx, struct slice key, struct slice value)
{
    struct rows_hash *hash = ctx;
    for (size_t i = 0; i < key.len; i++) {
        hash->sum = hash->sum * 31 + key.data[i];
    }
    for (size_t i = 0; i < value.len; i++) {
        hash->sum = hash->sum * 37 + value.data[i];
    }
    hash->sum = hash->sum * 41 + key.len * 43 + value.len;
    hash->count++;
    return hash->count == hash->stop_after;
}

struct script {
    struct base_rand rand;
    uint64_t digest;
    bool is_log; /* only what a log store takes: two tables, and indexes as keys of one */
};

static uint64_t below(struct script *script, uint64_t bound)
{
    return base_rand_between(&script->rand, 0, bound - 1);
}

static struct slice script_key(struct script *script, uint8_t *memory)
{
    size_t len = below(script, 20) == 0 ? STORE_KEY_MAX + below(script, 2) : below(script, 4);
    memset(memory, 'x', STORE_KEY_MAX + 1);
    for (size_t i = 0; i < len && i < 3; i++) {
        memory[i] = (uint8_t)below(script, 3);
    }
    return slice_from(memory, len);
}

static void mix(struct script *script, uint64_t value)
{
    script->digest = script->digest * UINT64_C(6364136223846793005) + value;
}

/* A bound of a scan or a range; for a log also one that is no index. */
static struct slice script_bound(struct script *script, enum store_table table, uint8_t *memory)
{
    if (!script->is_log || table != STORE_LOG) {
        struct slice key = script_key(script, memory);
        return key.len > STORE_KEY_MAX ? slice_from(memory, STORE_KEY_MAX) : key;
    }
    memset(memory, 0, 9);
    memory[7] = (uint8_t)below(script, 50);
    memory[6] = below(script, 10) == 0;
    return slice_from(memory, below(script, 3) == 0 ? below(script, 10) : 8);
}

static struct slice script_row_key(struct script *script, enum store_table table, uint8_t *memory)
{
    if (!script->is_log || table != STORE_LOG) {
        return script_key(script, memory);
    }
    memset(memory, 0, 8);
    memory[7] = (uint8_t)(1 + below(script, 40));
    return slice_from(memory, 8);
}

static void script_range(struct script *script, struct store_txn *txn, enum store_table table)
{
    uint8_t memory[2][STORE_KEY_MAX + 1];
    struct slice from = script_bound(script, table, memory[0]);
    struct slice before = script_bound(script, table, memory[1]);
    uint64_t rows = 0;
    assert_int_equal(store_del_range(txn, table, from, before, below(script, 4), &rows), 0);
    mix(script, rows);
}

static void script_scan(struct script *script, struct store_txn *txn, enum store_table table)
{
    uint8_t memory[STORE_KEY_MAX + 1];
    struct rows_hash hash = {.stop_after = below(script, 2) == 0 ? 0 : 1 + below(script, 5)};
    struct slice at = script_bound(script, table, memory);
    int rc = below(script, 2) == 0 ? store_scan(txn, table, at, hash_visit, &hash)
                                   : store_scan_back(txn, table, at, hash_visit, &hash);
    assert_int_equal(rc, 0);
    mix(script, hash.sum + hash.count);
}

static int script_run(void *ctx, struct store_txn *txn)
{
    static uint8_t value[9000];
    struct script *script = ctx;
    uint8_t memory[STORE_KEY_MAX + 1];
    for (int i = 0; i < 300; i++) {
        enum store_table table =
            (enum store_table)below(script, script->is_log ? 2 : STORE_TABLE_COUNT);
        struct slice key = script_row_key(script, table, memory);
        struct slice found = SLICE_EMPTY;
        int rc = 0;
        switch (below(script, 6)) {
        case 0:
        case 1:
            memset(value, (int)below(script, 200), sizeof(value));
            rc = store_put(txn, table, key,
                           slice_from(value, below(script, 10) == 0 ? below(script, sizeof(value))
                                                                    : below(script, 30)));
            assert_true(rc == (key.len == 0 || key.len > STORE_KEY_MAX ? BASE_E_TOOBIG : 0));
            break;
        case 2:
            rc = store_del(txn, table, key);
            break;
        case 3:
            rc = store_get(txn, table, key, &found);
            break;
        case 4:
            script_range(script, txn, table);
            break;
        default:
            script_scan(script, txn, table);
            break;
        }
        assert_true(rc == 0 || rc == BASE_E_NOTFOUND || rc == BASE_E_TOOBIG);
        mix(script, (uint64_t)(int64_t)rc + found.len * 3 + (found.len > 0 ? found.data[0] : 0));
    }
    return 0;
}

static uint64_t script_digest(enum test_store_kind kind, uint64_t seed, bool is_log)
{
    struct test_store store;
    struct script script = {.rand = base_rand_make(seed, 0), .is_log = is_log};
    test_store_open(&store, kind, 0);
    for (int batch = 0; batch < 12; batch++) {
        assert_int_equal(test_store_run(&store, script_run, &script, false), 0);
    }
    test_store_close(&store);
    return script.digest;
}

static void all_stores_answer_alike(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_true(script_digest(TEST_STORE_MEM, seed, false) ==
                    script_digest(TEST_STORE_LMDB, seed, false));
        uint64_t digest = script_digest(TEST_STORE_MEM, seed, true);
        assert_true(digest == script_digest(TEST_STORE_LMDB, seed, true));
        assert_true(digest == script_digest(TEST_STORE_WAL, seed, true));
    }
}

/* --- jobs --- */

#define JOBS 2000u

struct numbered {
    struct store_job job;
    struct numbered_log *log;
    uint32_t number;
    int fail_with;
    int status; /* 1: not done yet */
};

struct numbered_log {
    uint32_t last[2]; /* newest completion per class of wants_durable */
    uint32_t done;
    uint32_t failed;
    bool is_out_of_order;
};

static void number_key(uint32_t number, uint8_t *bytes)
{
    struct buf out = buf_over(bytes, 8);
    buf_put_u64_be(&out, number + UINT64_C(1));
}

/* Writes its own row after having seen the row of the job before it. */
static int numbered_run(struct store_job *job, struct store_txn *txn)
{
    struct numbered *self = (struct numbered *)job;
    uint8_t key[8];
    struct slice found;
    if (self->fail_with != 0) {
        return self->fail_with;
    }
    if (self->number > 0) {
        number_key(self->number - 1, key);
        int rc = store_get(txn, STORE_LOG, slice_from(key, 8), &found);
        if (rc != 0) {
            return rc;
        }
    }
    number_key(self->number, key);
    return store_put(txn, STORE_LOG, slice_from(key, 8), SLICE_LIT("row"));
}

static void numbered_done(struct store_job *job, int status)
{
    struct numbered *self = (struct numbered *)job;
    struct numbered_log *log = self->log;
    uint32_t *last = &log->last[self->job.wants_durable];
    log->is_out_of_order |= self->number + 1 <= *last;
    *last = self->number + 1;
    self->status = status;
    log->done++;
    log->failed += status != 0;
}

static void numbered_submit(struct test_store *store, struct numbered *jobs, uint32_t count,
                            struct numbered_log *log)
{
    struct store_port port = test_store_port(store);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].log = log;
        jobs[i].number = i;
        jobs[i].status = 1;
        jobs[i].job = (struct store_job){
            .run = numbered_run, .done = numbered_done, .wants_durable = i % 3 != 0};
        port.submit(port.ctx, &jobs[i].job);
    }
}

static void completions_come_in_order(enum test_store_kind kind)
{
    static struct numbered jobs[JOBS];
    struct numbered_log log = {0};
    struct test_store store;
    memset(jobs, 0, sizeof(jobs));
    test_store_open(&store, kind, 0);
    numbered_submit(&store, jobs, JOBS, &log);
    while (log.done < JOBS) {
        test_store_wait(&store);
    }
    assert_false(log.is_out_of_order);
    assert_int_equal(log.failed, 0);
    if (kind == TEST_STORE_LMDB) {
        struct env_lmdb_stats stats;
        env_lmdb_stats(store.env, &stats);
        assert_in_range(stats.commits, 1, JOBS / 100); /* many jobs share a flush */
    }
    if (kind == TEST_STORE_WAL) {
        struct wal_store_stats stats;
        wal_store_stats(store.wal, &stats);
        assert_in_range(stats.batches, 1, JOBS / 100);
        assert_int_equal(stats.jobs, JOBS);
    }
    test_store_close(&store);
}

static void completions_in_memory(void **state)
{
    (void)state;
    completions_come_in_order(TEST_STORE_MEM);
}

static void completions_of_lmdb(void **state)
{
    (void)state;
    completions_come_in_order(TEST_STORE_LMDB);
}

static void completions_of_wal(void **state)
{
    (void)state;
    completions_come_in_order(TEST_STORE_WAL);
}

static void failed_job_fails_all_that_follow(enum test_store_kind kind)
{
    static struct numbered jobs[200];
    struct numbered_log log = {0};
    struct test_store store;
    memset(jobs, 0, sizeof(jobs));
    test_store_open(&store, kind, 0);
    jobs[120].fail_with = BASE_E_CORRUPT;
    numbered_submit(&store, jobs, 200, &log);
    while (log.done < 200) {
        test_store_wait(&store);
    }
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(jobs[i].status == 0 || jobs[i].status == BASE_E_CORRUPT);
        assert_true(i < 120 || jobs[i].status == BASE_E_CORRUPT);
    }
    assert_int_equal(store.fatal_calls, 1);
    assert_int_equal(store.fatal_status, BASE_E_CORRUPT);
    jobs[0].fail_with = 0;
    numbered_submit(&store, jobs, 1, &log);
    while (jobs[0].status == 1) {
        test_store_wait(&store);
    }
    assert_int_equal(jobs[0].status, BASE_E_CORRUPT);
    assert_int_equal(store.fatal_calls, 1);
    test_store_close(&store);
}

static void failed_job_in_memory(void **state)
{
    (void)state;
    failed_job_fails_all_that_follow(TEST_STORE_MEM);
}

static void failed_job_of_lmdb(void **state)
{
    (void)state;
    failed_job_fails_all_that_follow(TEST_STORE_LMDB);
}

static void failed_job_of_wal(void **state)
{
    (void)state;
    failed_job_fails_all_that_follow(TEST_STORE_WAL);
}

/* --- LMDB alone --- */

static int put_megabyte(void *ctx, struct store_txn *txn)
{
    static uint8_t value[1 << 20];
    uint8_t key[8];
    uint32_t *number = ctx;
    number_key((*number)++, key);
    return store_put(txn, STORE_KV_REVS, slice_from(key, 8), slice_from(value, sizeof(value)));
}

static int count_rows(void *ctx, struct store_txn *txn)
{
    struct rows_hash hash = {0};
    size_t *count = ctx;
    int rc = store_scan(txn, STORE_KV_REVS, SLICE_EMPTY, hash_visit, &hash);
    *count = hash.count;
    return rc;
}

static void full_map_is_fatal_and_keeps_what_was_committed(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store again;
    uint32_t number = 0;
    size_t count = 0;
    int rc = 0;
    test_store_open(&store, TEST_STORE_LMDB, UINT64_C(8) << 20);
    for (int i = 0; i < 20 && rc == 0; i++) {
        rc = test_store_run(&store, put_megabyte, &number, false);
    }
    assert_int_equal(rc, BASE_E_NOSPACE);
    assert_int_equal(store.fatal_calls, 1);
    assert_int_equal(store.fatal_status, BASE_E_NOSPACE);
    assert_non_null(strstr(store.fatal_text, "MDB_MAP_FULL"));
    assert_int_equal(test_store_run(&store, count_rows, &count, true), BASE_E_NOSPACE);
    store.env = env_lmdb_close(store.env);
    assert_int_equal(test_store_open_at(&again, store.directory, UINT64_C(32) << 20), 0);
    assert_int_equal(test_store_run(&again, count_rows, &count, true), 0);
    assert_int_equal(count, number - 1);
    assert_int_equal(test_store_run(&again, put_megabyte, &number, false), 0);
    test_store_close(&again);
    test_store_close(&store);
}

static void readers_do_not_commit(void **state)
{
    (void)state;
    struct test_store store;
    struct env_lmdb_stats stats;
    size_t count = 0;
    test_store_open(&store, TEST_STORE_LMDB, 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(test_store_run(&store, count_rows, &count, true), 0);
    }
    env_lmdb_stats(store.env, &stats);
    assert_int_equal(stats.commits, 0);
    assert_int_equal(stats.jobs, 20);
    test_store_close(&store);
}

static void opening_what_cannot_be_opened(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store second;
    test_store_open(&store, TEST_STORE_LMDB, 0);
    assert_int_equal(test_store_open_at(&second, store.directory, 0), BASE_E_BUSY);
    assert_non_null(strstr(second.fatal_text, "another process"));
    assert_int_equal(test_store_open_at(&second, "/var/tmp/quorate-test-none", 0), BASE_E_NOTFOUND);
    store.env = env_lmdb_close(store.env);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store.mdb", store.directory);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    for (int i = 0; i < 8192; i++) {
        assert_int_equal(fputc('x', file), 'x');
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(test_store_open_at(&second, store.directory, 0), BASE_E_CORRUPT);
    test_store_close(&store);
}

static void closing_delivers_what_was_submitted(void **state)
{
    (void)state;
    static struct numbered jobs[300];
    struct numbered_log log = {0};
    struct test_store store;
    memset(jobs, 0, sizeof(jobs));
    test_store_open(&store, TEST_STORE_LMDB, 0);
    numbered_submit(&store, jobs, 300, &log);
    store.env = env_lmdb_close(store.env);
    assert_int_equal(log.done, 300);
    assert_int_equal(log.failed, 0);
    test_store_close(&store);
}

/* --- commits that nobody waits for --- */

struct sequence {
    uint32_t next;
    bool has_gap;
};

static int sequence_visit(void *ctx, struct slice key, struct slice value)
{
    struct sequence *sequence = ctx;
    uint64_t number = 0;
    (void)value;
    sequence->next++;
    sequence->has_gap |= slice_take_u64_be(&key, &number) != 0 || number != sequence->next;
    return 0;
}

static int sequence_run(void *ctx, struct store_txn *txn)
{
    return store_scan(txn, STORE_LOG, SLICE_EMPTY, sequence_visit, ctx);
}

struct lazy_options {
    uint32_t lazy_ms;
    uint32_t pages;
    uint64_t bytes;
};

static void ignore_notify(void *ctx)
{
    (void)ctx;
}

static struct env_lmdb *open_lazy(const char *directory, struct lazy_options lazy)
{
    struct env_lmdb *env = NULL;
    char text[ENV_LMDB_ERROR_MAX];
    struct env_lmdb_options options = {.directory = directory,
                                       .commit_lazy_ms = lazy.lazy_ms,
                                       .commit_pages = lazy.pages,
                                       .commit_bytes = lazy.bytes,
                                       .notify = ignore_notify};
    assert_int_equal(env_lmdb_open(&options, &env, text), 0);
    return env;
}

/* Submits `count` jobs from number `first` on and waits until all of them are done. */
static void lazy_jobs(struct env_lmdb *env, struct numbered *jobs, uint32_t first, uint32_t count,
                      bool wants_durable)
{
    struct numbered_log log = {0};
    struct store_port port = env_lmdb_port(env);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = (struct numbered){.log = &log, .number = first + i, .status = 1};
        jobs[i].job = (struct store_job){
            .run = numbered_run, .done = numbered_done, .wants_durable = wants_durable};
        port.submit(port.ctx, &jobs[i].job);
    }
    for (int i = 0; log.done < count && i < 100000; i++) {
        (void)env_lmdb_complete(env);
        (void)usleep(100);
    }
    assert_int_equal(log.done, count);
    assert_int_equal(log.failed, 0);
}

static uint64_t commits_of(struct env_lmdb *env)
{
    struct env_lmdb_stats stats;
    env_lmdb_stats(env, &stats);
    return stats.commits;
}

static void lazy_changes_are_committed_when_somebody_asks(void **state)
{
    (void)state;
    static struct numbered jobs[100];
    char directory[64];
    test_make_directory(directory, sizeof(directory));
    struct env_lmdb *env = open_lazy(directory, (struct lazy_options){.lazy_ms = 3600000});
    lazy_jobs(env, jobs, 0, 100, false);
    assert_int_equal(commits_of(env), 0); /* done, seen by later jobs, and not committed */
    lazy_jobs(env, jobs, 100, 1, true);
    assert_int_equal(commits_of(env), 1);
    lazy_jobs(env, jobs, 101, 10, false);
    assert_int_equal(commits_of(env), 1);
    assert_null(env_lmdb_close(env)); /* the end commits, too */
    struct test_store store;
    struct sequence sequence = {0};
    assert_int_equal(test_store_open_at(&store, directory, 0), 0);
    assert_int_equal(test_store_run(&store, sequence_run, &sequence, true), 0);
    assert_int_equal(sequence.next, 111);
    test_store_close(&store);
    test_remove_directory(directory);
}

static void lazy_changes_are_committed_after_a_while_and_then_it_sleeps(void **state)
{
    (void)state;
    static struct numbered jobs[10];
    char directory[64];
    test_make_directory(directory, sizeof(directory));
    struct env_lmdb *env = open_lazy(directory, (struct lazy_options){.lazy_ms = 5});
    lazy_jobs(env, jobs, 0, 10, false);
    for (int i = 0; commits_of(env) == 0 && i < 100000; i++) {
        (void)usleep(100);
    }
    uint64_t commits = commits_of(env);
    assert_in_range(commits, 1, 10);
    (void)usleep(50000); /* many times lazy_ms: nothing has changed, so nothing is written */
    assert_int_equal(commits_of(env), commits);
    (void)env_lmdb_close(env);
    test_remove_directory(directory);
}

/* Two jobs that hand each other on, from the storage thread: the queue is never empty. */
struct busy {
    struct store_job job;
    struct busy *other;
    struct store_port port;
    atomic_bool *is_over;
    atomic_uint *ended;
};

static int busy_run(struct store_job *job, struct store_txn *txn)
{
    struct busy *self = (struct busy *)(void *)job;
    if (!atomic_load(self->is_over) && self->other != NULL) {
        self->port.submit(self->port.ctx, &self->other->job);
    }
    return store_put(txn, STORE_META, SLICE_LIT("busy"), SLICE_LIT("row"));
}

static void busy_done(struct store_job *job, int status)
{
    const struct busy *self = (struct busy *)(void *)job;
    assert_int_equal(status, 0);
    (void)atomic_fetch_add(self->ended, 1);
}

static void lazy_changes_are_committed_though_the_queue_never_runs_empty(void **state)
{
    (void)state;
    static struct busy jobs[100000];
    static struct store_port port;
    atomic_bool is_over = false;
    atomic_uint ended = 0;
    char directory[64];
    test_make_directory(directory, sizeof(directory));
    struct env_lmdb *env = open_lazy(directory, (struct lazy_options){.lazy_ms = 5});
    port = env_lmdb_port(env);
    for (size_t i = 0; i < BASE_COUNT_OF(jobs); i++) {
        jobs[i] = (struct busy){.job = {.run = busy_run, .done = busy_done},
                                .other = i + 1 < BASE_COUNT_OF(jobs) ? &jobs[i + 1] : NULL,
                                .port = port,
                                .is_over = &is_over,
                                .ended = &ended};
    }
    port.submit(port.ctx, &jobs[0].job);
    for (int i = 0; commits_of(env) < 3 && i < 100000; i++) {
        (void)env_lmdb_complete(env);
        (void)usleep(50);
    }
    assert_true(commits_of(env) >= 3);
    atomic_store(&is_over, true);
    (void)env_lmdb_close(env);
    test_remove_directory(directory);
}

static void lazy_changes_are_bounded(void **state)
{
    (void)state;
    static struct numbered jobs[2000];
    static const struct lazy_options bounds[] = {{3600000, 4, 0}, {3600000, 0, 2000}};
    for (size_t i = 0; i < BASE_COUNT_OF(bounds); i++) {
        char directory[64];
        test_make_directory(directory, sizeof(directory));
        struct env_lmdb *env = open_lazy(directory, bounds[i]);
        lazy_jobs(env, jobs, 0, 2000, false);
        assert_in_range(commits_of(env), 2, 1000);
        (void)env_lmdb_close(env);
        test_remove_directory(directory);
    }
}

/* --- kill -9 in the middle of batches --- */

/* Child: writes numbered rows, several jobs at a time, and reports each that became durable. */
static int open_kind(struct test_store *store, enum test_store_kind kind, const char *directory)
{
    return kind == TEST_STORE_WAL ? test_store_open_wal(store, directory, UINT64_C(64) << 10)
                                  : test_store_open_at(store, directory, 0);
}

_Noreturn static void child_main(const char *directory, enum test_store_kind kind, uint32_t first,
                                 int report_fd)
{
    static struct numbered jobs[64];
    struct test_store store;
    struct numbered_log log = {0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || open_kind(&store, kind, directory) != 0) {
        _exit(3);
    }
    struct store_port port = test_store_port(&store);
    for (;;) {
        for (uint32_t i = 0; i < BASE_COUNT_OF(jobs); i++) {
            jobs[i] = (struct numbered){.log = &log, .number = first + i, .status = 1};
            jobs[i].job = (struct store_job){
                .run = numbered_run, .done = numbered_done, .wants_durable = true};
            port.submit(port.ctx, &jobs[i].job);
        }
        for (uint32_t told = 0; told < BASE_COUNT_OF(jobs);) {
            test_store_wait(&store);
            for (; told < BASE_COUNT_OF(jobs) && jobs[told].status <= 0; told++) {
                uint32_t number = first + told;
                if (jobs[told].status != 0 ||
                    write(report_fd, &number, sizeof(number)) != sizeof(number)) {
                    _exit(4);
                }
            }
        }
        first += BASE_COUNT_OF(jobs);
    }
}

/* One life: kills the child after about `reports` reports; returns the number after the last one
 * that was told. */
static uint32_t kill_round(const char *directory, enum test_store_kind kind, uint32_t first,
                           uint32_t reports)
{
    int fds[2];
    uint32_t told = first;
    uint32_t number = 0;
    int status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        child_main(directory, kind, first, fds[1]);
    }
    (void)close(fds[1]);
    for (uint32_t i = 0; i < reports; i++) {
        if (read(fds[0], &number, sizeof(number)) != sizeof(number)) {
            break;
        }
        told = number + 1;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(fds[0], &number, sizeof(number)) == sizeof(number)) {
        told = number + 1; /* told before it died */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(fds[0]);
    return told;
}

static void killed_processes_lose_nothing_durable(enum test_store_kind kind)
{
    struct base_rand rand = base_rand_make(77, 0);
    char directory[64];
    uint32_t next = 0;
    test_make_directory(directory, sizeof(directory));
    for (int round = 0; round < 15; round++) {
        struct test_store store;
        struct sequence sequence = {0};
        uint32_t told =
            kill_round(directory, kind, next, (uint32_t)base_rand_between(&rand, 1, 500));
        assert_int_equal(open_kind(&store, kind, directory), 0);
        assert_int_equal(test_store_run(&store, sequence_run, &sequence, true), 0);
        assert_false(sequence.has_gap);
        assert_true(sequence.next >= told);
        next = sequence.next;
        test_store_close(&store);
    }
    test_remove_directory(directory);
}

static void killed_lmdb_loses_nothing_durable(void **state)
{
    (void)state;
    killed_processes_lose_nothing_durable(TEST_STORE_LMDB);
}

static void killed_wal_loses_nothing_durable(void **state)
{
    (void)state;
    killed_processes_lose_nothing_durable(TEST_STORE_WAL);
}

/* --- both stores of a node together --- */

#define PAIR_ROWS 64u

/* Child: each row into the log store, durably; then, and only then, into the state store, which
 * commits when it likes. */
_Noreturn static void pair_main(const char *directory, uint32_t first, int report_fd)
{
    static struct numbered rows[2][PAIR_ROWS];
    struct test_store log;
    struct numbered_log seen = {0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        test_store_open_wal(&log, directory, UINT64_C(64) << 10) != 0) {
        _exit(3);
    }
    struct env_lmdb *env = open_lazy(directory, (struct lazy_options){.lazy_ms = 3});
    struct store_port ports[2] = {wal_store_port(log.wal), env_lmdb_port(env)};
    for (;; first += PAIR_ROWS) {
        for (uint32_t kind = 0; kind < 2; kind++) {
            for (uint32_t i = 0; i < PAIR_ROWS; i++) {
                struct numbered *row = &rows[kind][i];
                *row = (struct numbered){.log = &seen, .number = first + i, .status = 1};
                row->job = (struct store_job){
                    .run = numbered_run, .done = numbered_done, .wants_durable = kind == 0};
                ports[kind].submit(ports[kind].ctx, &row->job);
            }
            while (rows[kind][PAIR_ROWS - 1].status == 1) {
                (void)wal_store_complete(log.wal);
                (void)env_lmdb_complete(env);
            }
        }
        uint32_t number = first + PAIR_ROWS;
        if (seen.failed != 0 || write(report_fd, &number, sizeof(number)) != sizeof(number)) {
            _exit(4);
        }
    }
}

/* One life; returns how many rows were told to be in the log. */
static uint32_t pair_round(const char *directory, uint32_t first, uint32_t reports)
{
    int fds[2];
    uint32_t told = first;
    int status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        pair_main(directory, first, fds[1]);
    }
    (void)close(fds[1]);
    for (uint32_t i = 0; i < reports && read(fds[0], &told, sizeof(told)) == sizeof(told); i++) {
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(fds[0], &told, sizeof(told)) == sizeof(told)) {
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(fds[0]);
    return told;
}

static uint32_t rows_of(struct test_store *store)
{
    struct sequence sequence = {0};
    assert_int_equal(test_store_run(store, sequence_run, &sequence, true), 0);
    assert_false(sequence.has_gap);
    return sequence.next;
}

struct copy {
    uint32_t from;
    uint32_t before;
};

/* What a node does at its start: applies again what the state store has lost. */
static int apply_again(void *ctx, struct store_txn *txn)
{
    const struct copy *copy = ctx;
    int rc = 0;
    for (uint32_t i = copy->from; i < copy->before && rc == 0; i++) {
        uint8_t key[8];
        number_key(i, key);
        rc = store_put(txn, STORE_LOG, slice_from(key, 8), SLICE_LIT("row"));
    }
    return rc;
}

static void killed_state_never_runs_ahead_of_the_log(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(78, 0);
    char directory[64];
    uint32_t next = 0;
    test_make_directory(directory, sizeof(directory));
    for (int round = 0; round < 10; round++) {
        struct test_store log;
        struct test_store kept;
        uint32_t told = pair_round(directory, next, (uint32_t)base_rand_between(&rand, 1, 30));
        assert_int_equal(test_store_open_wal(&log, directory, UINT64_C(64) << 10), 0);
        assert_int_equal(test_store_open_at(&kept, directory, 0), 0);
        struct copy copy = {.from = rows_of(&kept), .before = rows_of(&log)};
        assert_true(copy.before >= told);
        assert_true(copy.from <= copy.before);
        assert_int_equal(test_store_run(&kept, apply_again, &copy, false), 0);
        next = copy.before;
        test_store_close(&log);
        test_store_close(&kept);
    }
    test_remove_directory(directory);
}

/* --- memory alone: crashes and failures where they are wanted --- */

static uint32_t rows_in(struct store_mem *mem)
{
    struct sequence sequence = {0};
    assert_int_equal(sequence_run(&sequence, store_mem_txn(mem)), 0);
    assert_false(sequence.has_gap);
    return sequence.next;
}

static void crash_drops_what_was_not_committed(void **state)
{
    (void)state;
    static struct numbered jobs[10];
    struct numbered_log log = {0};
    struct test_store store;
    memset(jobs, 0, sizeof(jobs));
    test_store_open(&store, TEST_STORE_MEM, 0);
    numbered_submit(&store, jobs, 10, &log);
    for (int i = 0; i < 4; i++) {
        assert_true(store_mem_run_one(store.mem));
    }
    assert_int_equal(store_mem_ready(store.mem), 2); /* 0 and 3 do not wait for the commit */
    store_mem_commit(store.mem);
    assert_int_equal(store_mem_complete(store.mem), 4);
    assert_int_equal(log.done, 4);
    for (int i = 0; i < 3; i++) {
        assert_true(store_mem_run_one(store.mem));
    }
    assert_int_equal(store_mem_uncommitted(store.mem), 3);
    assert_int_equal(store_mem_queued(store.mem), 3);
    assert_int_equal(rows_in(store.mem), 7);
    store_mem_crash(store.mem);
    assert_int_equal(rows_in(store.mem), 4);
    assert_int_equal(store_mem_queued(store.mem), 0);
    assert_int_equal(store_mem_complete(store.mem), 0);
    assert_int_equal(log.done, 4);
    test_store_close(&store);
}

struct commits {
    uint32_t number;
};

static int many_changes(void *ctx, struct store_txn *txn)
{
    struct commits *commits = ctx;
    uint8_t key[8];
    int rc = 0;
    for (uint32_t i = 0; i < 5 && rc == 0; i++) {
        number_key(i, key);
        uint8_t value = (uint8_t)commits->number;
        rc = store_put(txn, STORE_LOG, slice_from(key, 8), slice_from(&value, 1));
    }
    number_key(100, key);
    if (rc == 0) {
        rc = commits->number % 2 == 0
                 ? store_put(txn, STORE_META, slice_from(key, 8), SLICE_LIT("x"))
                 : store_del(txn, STORE_META, slice_from(key, 8));
    }
    return rc;
}

/* Every change and every commit fails once; the store is then as it was after the last commit. */
static void every_failure_rolls_back(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 14; n++) {
        struct test_store store;
        struct commits commits = {0};
        int rc = 0;
        test_store_open(&store, TEST_STORE_MEM, 0);
        store_mem_fail_at(store.mem, n, BASE_E_IO);
        while (rc == 0) {
            rc = test_store_run(&store, many_changes, &commits, false);
            commits.number++;
        }
        assert_int_equal(rc, BASE_E_IO);
        assert_int_equal(store.fatal_calls, 1);
        store_mem_crash(store.mem);
        struct slice value = SLICE_EMPTY;
        uint8_t key[8];
        uint32_t kept = commits.number - 1; /* runs that were committed */
        assert_int_equal(rows_in(store.mem), kept == 0 ? 0 : 5);
        number_key(4, key);
        if (kept > 0) {
            assert_int_equal(
                store_get(store_mem_txn(store.mem), STORE_LOG, slice_from(key, 8), &value), 0);
            assert_int_equal(value.data[0], kept - 1);
        }
        number_key(100, key);
        assert_int_equal(
            store_get(store_mem_txn(store.mem), STORE_META, slice_from(key, 8), &value),
            kept % 2 == 1 ? 0 : BASE_E_NOTFOUND);
        test_store_close(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_stores_answer_alike),
        cmocka_unit_test(completions_in_memory),
        cmocka_unit_test(completions_of_lmdb),
        cmocka_unit_test(completions_of_wal),
        cmocka_unit_test(failed_job_in_memory),
        cmocka_unit_test(failed_job_of_lmdb),
        cmocka_unit_test(failed_job_of_wal),
        cmocka_unit_test(full_map_is_fatal_and_keeps_what_was_committed),
        cmocka_unit_test(readers_do_not_commit),
        cmocka_unit_test(opening_what_cannot_be_opened),
        cmocka_unit_test(closing_delivers_what_was_submitted),
        cmocka_unit_test(lazy_changes_are_committed_when_somebody_asks),
        cmocka_unit_test(lazy_changes_are_committed_after_a_while_and_then_it_sleeps),
        cmocka_unit_test(lazy_changes_are_committed_though_the_queue_never_runs_empty),
        cmocka_unit_test(lazy_changes_are_bounded),
        cmocka_unit_test(killed_lmdb_loses_nothing_durable),
        cmocka_unit_test(killed_wal_loses_nothing_durable),
        cmocka_unit_test(killed_state_never_runs_ahead_of_the_log),
        cmocka_unit_test(crash_drops_what_was_not_committed),
        cmocka_unit_test(every_failure_rolls_back),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
