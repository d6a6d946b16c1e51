/* SPDX-License-Identifier: Apache-2.0 */
/* The store port, in memory, over LMDB and over log files: operations, order of completions,
 * failures, crashes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "tests/unit/store_rig.h"

/* --- operations: all stores answer alike --- */

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
    struct test_rows hash = {.stop_after = below(script, 2) == 0 ? 0 : 1 + below(script, 5)};
    struct slice at = script_bound(script, table, memory);
    int rc = below(script, 2) == 0 ? store_scan(txn, table, at, test_rows_add, &hash)
                                   : store_scan_back(txn, table, at, test_rows_add, &hash);
    assert_int_equal(rc, 0);
    mix(script, hash.sum + hash.rows);
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

static void completions_come_in_order(void **state)
{
    const enum test_store_kind kind = *(const enum test_store_kind *)*state;
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

static void failed_job_fails_all_that_follow(void **state)
{
    const enum test_store_kind kind = *(const enum test_store_kind *)*state;
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
    struct test_rows hash = {0};
    size_t *count = ctx;
    int rc = store_scan(txn, STORE_KV_REVS, SLICE_EMPTY, test_rows_add, &hash);
    *count = hash.rows;
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

/* What is mapped in of the file counts as memory of the process: it stays small. */
#define MAP_ROWS 3000u
#define MAP_ROW_BYTES 3000u /* one to a page */

struct map_job {
    struct store_job job;
    bool is_done;
    int status;
    uint32_t rows;
    size_t most; /* bytes of files mapped in while the rows were visited */
};

static size_t files_mapped_in(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    unsigned long shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu %lu", &size, &resident, &shared), 3);
    assert_int_equal(fclose(file), 0);
    return (size_t)shared * 4096;
}

static int map_fill(struct store_job *job, struct store_txn *txn)
{
    static uint8_t row[MAP_ROW_BYTES];
    int rc = 0;
    (void)job;
    for (uint32_t i = 0; i < MAP_ROWS && rc == 0; i++) {
        uint8_t key[8];
        number_key(i, key);
        row[0] = (uint8_t)i;
        rc = store_put(txn, STORE_KV_REVS, slice_from(key, 8), slice_from(row, sizeof(row)));
    }
    return rc;
}

static int map_visit(void *ctx, struct slice key, struct slice value)
{
    struct map_job *map = ctx;
    size_t mapped = files_mapped_in();
    (void)key;
    map->most = mapped > map->most ? mapped : map->most;
    return value.len == MAP_ROW_BYTES && value.data[0] == (uint8_t)map->rows++ ? 0 : -1;
}

static int map_scan(struct store_job *job, struct store_txn *txn)
{
    return store_scan(txn, STORE_KV_REVS, SLICE_EMPTY, map_visit, job);
}

static void map_done(struct store_job *job, int status)
{
    struct map_job *map = (struct map_job *)(void *)job;
    map->is_done = true;
    map->status = status;
}

static void map_run(struct env_lmdb *env, struct map_job *map)
{
    struct store_port port = env_lmdb_port(env);
    map->job.done = map_done;
    port.submit(port.ctx, &map->job);
    for (int i = 0; !map->is_done && i < 100000; i++) {
        (void)env_lmdb_complete(env);
        (void)usleep(100);
    }
    assert_true(map->is_done);
    assert_int_equal(map->status, 0);
}

static struct env_lmdb *map_open(const char *directory, size_t most)
{
    char text[ENV_LMDB_ERROR_MAX];
    struct env_lmdb *env = NULL;
    const struct env_lmdb_options options = {
        .directory = directory, .resident_bytes = most, .notify = ignore_notify};
    assert_int_equal(env_lmdb_open(&options, &env, text), 0);
    return env;
}

/* A while after the last change nothing of it stays mapped in. */
static void map_of_lmdb_goes_when_all_is_quiet(void **state)
{
    (void)state;
    char directory[64];
    struct map_job fill = {.job = {.run = map_fill, .wants_durable = true}};
    struct map_job scan = {.job = {.run = map_scan, .is_read_only = true}};
    struct map_job last = fill;
    test_make_directory(directory, sizeof(directory));
    struct env_lmdb *env = map_open(directory, (size_t)1 << 30);
    size_t before = files_mapped_in();
    map_run(env, &fill);
    map_run(env, &scan);
    map_run(env, &last); /* quiet counts from here on, however long the others took */
    size_t most = scan.most;
    assert_true(most > before + ((size_t)4 << 20)); /* of 12 MB */
    for (int i = 0; files_mapped_in() > most - ((size_t)4 << 20) && i < 600; i++) {
        (void)usleep(100000);
    }
    assert_true(files_mapped_in() <= most - ((size_t)4 << 20));
    assert_null(env_lmdb_close(env));
    test_remove_directory(directory);
}

static void map_of_lmdb_stays_small(void **state)
{
    (void)state;
    char directory[64];
    struct map_job fill = {.job = {.run = map_fill, .wants_durable = true}};
    struct map_job scan = {.job = {.run = map_scan, .is_read_only = true}};
    const size_t most = (size_t)1 << 20;
    test_make_directory(directory, sizeof(directory));
    struct env_lmdb *env = map_open(directory, most);
    map_run(env, &fill);
    size_t before = files_mapped_in();
    map_run(env, &scan);
    assert_int_equal(scan.rows, MAP_ROWS);
    assert_true(scan.most < before + 4 * most); /* of 12 MB */
    assert_null(env_lmdb_close(env));
    test_remove_directory(directory);
}

int main(void)
{
    static enum test_store_kind memory = TEST_STORE_MEM;
    static enum test_store_kind lmdb = TEST_STORE_LMDB;
    static enum test_store_kind wal = TEST_STORE_WAL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_stores_answer_alike),
        cmocka_unit_test_prestate(completions_come_in_order, &memory),
        cmocka_unit_test_prestate(completions_come_in_order, &lmdb),
        cmocka_unit_test_prestate(completions_come_in_order, &wal),
        cmocka_unit_test_prestate(failed_job_fails_all_that_follow, &memory),
        cmocka_unit_test_prestate(failed_job_fails_all_that_follow, &lmdb),
        cmocka_unit_test_prestate(failed_job_fails_all_that_follow, &wal),
        cmocka_unit_test(full_map_is_fatal_and_keeps_what_was_committed),
        cmocka_unit_test(readers_do_not_commit),
        cmocka_unit_test(opening_what_cannot_be_opened),
        cmocka_unit_test(closing_delivers_what_was_submitted),
        cmocka_unit_test(map_of_lmdb_stays_small),
        cmocka_unit_test(map_of_lmdb_goes_when_all_is_quiet),
        cmocka_unit_test(crash_drops_what_was_not_committed),
        cmocka_unit_test(every_failure_rolls_back),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
