/* SPDX-License-Identifier: Apache-2.0 */
/* Commits of the state store that nobody waits for: when they come, that nothing happens while
 * nothing changes, and what bounds them. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/store_rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lazy_changes_are_committed_when_somebody_asks),
        cmocka_unit_test(lazy_changes_are_committed_after_a_while_and_then_it_sleeps),
        cmocka_unit_test(lazy_changes_are_committed_though_the_queue_never_runs_empty),
        cmocka_unit_test(lazy_changes_are_bounded),
    };
    return cmocka_run_group_tests_name("store_lazy", tests, NULL, NULL);
}
