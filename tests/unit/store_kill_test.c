/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that are killed (kill -9) while they write to the stores: what was told to be durable
 * is there in the next life, and the state store never runs ahead of the log. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "tests/unit/store_rig.h"

/* --- one life of a process --- */

typedef void child_main(const char *directory, enum test_store_kind kind, uint32_t first,
                        int report_fd);

/* Kills the child after about `reports` reports; returns the last number that it has told, `first`
 * when it told none. */
static uint32_t one_life(child_main *run, const char *directory, enum test_store_kind kind,
                         uint32_t first, uint32_t reports)
{
    int fds[2];
    uint32_t told = first;
    int status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        run(directory, kind, first, fds[1]);
    }
    (void)close(fds[1]);
    for (uint32_t i = 0; i < reports && read(fds[0], &told, sizeof(told)) == sizeof(told); i++) {
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(fds[0], &told, sizeof(told)) == sizeof(told)) { /* told before it died */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(fds[0]);
    return told;
}

/* --- kill -9 in the middle of batches --- */

static int open_kind(struct test_store *store, enum test_store_kind kind, const char *directory)
{
    return kind == TEST_STORE_WAL ? test_store_open_wal(store, directory, UINT64_C(64) << 10)
                                  : test_store_open_at(store, directory, 0);
}

/* Child: writes numbered rows, several jobs at a time, and reports how many became durable. */
_Noreturn static void batches_main(const char *directory, enum test_store_kind kind, uint32_t first,
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
                uint32_t number = first + told + 1;
                if (jobs[told].status != 0 ||
                    write(report_fd, &number, sizeof(number)) != sizeof(number)) {
                    _exit(4);
                }
            }
        }
        first += BASE_COUNT_OF(jobs);
    }
}

static void killed_processes_lose_nothing_durable(void **state)
{
    const enum test_store_kind kind = *(const enum test_store_kind *)*state;
    struct base_rand rand = base_rand_make(77, 0);
    char directory[64];
    uint32_t next = 0;
    test_make_directory(directory, sizeof(directory));
    for (int round = 0; round < 15; round++) {
        struct test_store store;
        struct sequence sequence = {0};
        uint32_t told = one_life(batches_main, directory, kind, next,
                                 (uint32_t)base_rand_between(&rand, 1, 500));
        assert_int_equal(open_kind(&store, kind, directory), 0);
        assert_int_equal(test_store_run(&store, sequence_run, &sequence, true), 0);
        assert_false(sequence.has_gap);
        assert_true(sequence.next >= told);
        next = sequence.next;
        test_store_close(&store);
    }
    test_remove_directory(directory);
}

/* --- both stores of a node together --- */

#define PAIR_ROWS 64u

/* Child: each row into the log store, durably; then, and only then, into the state store, which
 * commits when it likes. */
_Noreturn static void pair_main(const char *directory, enum test_store_kind unused, uint32_t first,
                                int report_fd)
{
    static struct numbered rows[2][PAIR_ROWS];
    struct test_store log;
    struct numbered_log seen = {0};
    (void)unused;
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
        uint32_t told = one_life(pair_main, directory, TEST_STORE_WAL, next,
                                 (uint32_t)base_rand_between(&rand, 1, 30));
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

int main(void)
{
    static enum test_store_kind lmdb = TEST_STORE_LMDB;
    static enum test_store_kind wal = TEST_STORE_WAL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(killed_processes_lose_nothing_durable, &lmdb),
        cmocka_unit_test_prestate(killed_processes_lose_nothing_durable, &wal),
        cmocka_unit_test(killed_state_never_runs_ahead_of_the_log),
    };
    return cmocka_run_group_tests_name("store_kill", tests, NULL, NULL);
}
