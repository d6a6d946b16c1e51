/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs whole systems, one seed after the other or several at a time, until an invariant fails.
 * Exit code 0: all held and enough happened; 1: one failed, with its name, seed, event and last
 * steps; 2: usage. Everything that a run does follows from its seed and the options; `sim --help`
 * lists them.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/canary.h"
#include "tests/sim/kv_load.h"
#include "tests/sim/options.h"
#include "tests/sim/run.h"
#include "tests/sim/script.h"
#include "tests/sim/shrink.h"
#include "tests/sim/sums.h"

#define PROGRESS_EVERY 25
#define JOBS_MAX 64
#define LARGE_BYTES (1 << 20)

static struct world world;
static struct plan plan;

static uint64_t real_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool make_plan(const struct options *o, uint64_t seed)
{
    plan_draw(seed, &o->wish, &plan);
    if (o->faults == NULL) {
        return true;
    }
    if (strncmp(o->faults, "only=", 5) == 0) {
        return plan_keep_only(&plan, o->faults + 5);
    }
    return strncmp(o->faults, "without=", 8) == 0 && plan_keep_others(&plan, o->faults + 8);
}

/* Runs the plan again, and tells the trace's hash before the plan's moment; false: it fails. */
static bool run_again(uint64_t *ret_hash, uint64_t *ret_before)
{
    int rc = run_plan(&world, &plan, false);
    *ret_hash = world.trace_hash; /* before closing: calls that are ended by it tell, too */
    *ret_before = world.hash_before;
    run_close(&world);
    return rc == 0;
}

/* The same seed must give the same trace; without one of its faults, the same up to that fault. */
static bool is_repeated(uint64_t hash)
{
    uint64_t again = 0, before = 0, without = 0;
    size_t middle = plan.faults_count / 2;
    char number[16];
    plan.hash_until_us = plan.faults_count > 0 ? plan.faults[middle].at_us : 0;
    bool is_same = run_again(&again, &before) && again == hash;
    if (is_same && plan.faults_count > 0) {
        (void)snprintf(number, sizeof(number), "%u", plan.faults[middle].number);
        is_same =
            plan_keep_others(&plan, number) && run_again(&again, &without) && without == before;
    }
    if (!is_same) {
        printf("FAILED determinism: seed %" PRIu64 " gave another trace the second time\n",
               plan.seed);
    }
    return is_same;
}

/* 0, or 1 when an invariant failed. What a failed world holds is given back by the exit. */
static int run_seed(const struct options *o, uint64_t seed, struct sums *s)
{
    (void)make_plan(o, seed);
    int rc = run_plan(&world, &plan, o->is_tracing);
    if (rc != 0) {
        run_print_failure(&world);
    }
    if (o->is_history) {
        kv_load_print(&world);
    }
    uint64_t hash = world.trace_hash;
    sums_add(s, &world);
    if (!o->is_quiet || rc != 0) {
        printf("seed %" PRIu64 ": %s, trace %016" PRIx64 ", %" PRIu64 " events, %" PRIu64 " ok\n",
               seed, rc == 0 ? "ok" : "FAILED", hash, world.event_number, world.tally.kv_ok);
    }
    if (rc == 0) {
        run_close(&world);
        rc = o->is_twice && !is_repeated(hash) ? 1 : 0;
    }
    (void)fflush(stdout);
    return rc;
}

static void progress(const struct options *o, const struct sums *s)
{
    if (o->is_check && s->seeds % PROGRESS_EVERY == 0) {
        printf("  %" PRIu64 " seeds, %" PRIu64 " failovers, %" PRIu64 " commits acknowledged\n",
               s->seeds, s->tally.failovers, s->tally.sql_acked);
        (void)fflush(stdout);
    }
}

/* One job's share: every jobs-th seed from its own on. */
static int run_share(const struct options *o, uint64_t job, struct sums *s)
{
    int rc = 0;
    uint64_t start_us = real_us();
    for (uint64_t i = job; i < o->count && (rc == 0 || o->is_going_on); i += o->jobs) {
        rc |= run_seed(o, o->seed + i, s);
        progress(o, s);
    }
    s->real_us = real_us() - start_us;
    for (int mark = 0; mark < BASE_MARK_COUNT; mark++) {
        s->marks[mark] = base_mark_count((enum base_mark)mark);
    }
    return rc;
}

/* Each job is a process that hands its sums back through a pipe. */
static int start_job(const struct options *o, uint64_t job)
{
    int ends[2];
    if (pipe(ends) != 0) {
        perror("sim: pipe");
        exit(2);
    }
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("sim: fork");
        exit(2);
    }
    if (pid == 0) {
        struct sums s = {0};
        (void)close(ends[0]);
        int rc = run_share(o, job, &s);
        (void)fflush(stdout);
        _exit(write(ends[1], &s, sizeof(s)) == (ssize_t)sizeof(s) ? rc : 2);
    }
    (void)close(ends[1]);
    return ends[0];
}

static int run_jobs(const struct options *o, struct sums *s)
{
    int from[JOBS_MAX], rc = 0;
    for (uint64_t job = 0; job < o->jobs; job++) {
        from[job] = start_job(o, job);
    }
    for (uint64_t job = 0; job < o->jobs; job++) {
        struct sums part = {0};
        int status = 0;
        if (read(from[job], &part, sizeof(part)) == (ssize_t)sizeof(part)) {
            sums_merge(s, &part);
        }
        (void)close(from[job]);
        (void)wait(&status);
        rc |= WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
    }
    return rc;
}

static int write_json(const struct options *o, const struct sums *s)
{
    FILE *out = fopen(o->json, "w");
    if (out == NULL) {
        perror(o->json);
        return 2;
    }
    sums_json(s, out);
    return fclose(out) == 0 ? 0 : 2;
}

static int run_all(const struct options *o)
{
    struct sums s = {0};
    int rc = o->jobs > 1 ? run_jobs(o, &s) : run_share(o, 0, &s);
    if (rc == 0 || o->is_going_on) {
        sums_print(&s);
    }
    if (o->json != NULL && write_json(o, &s) != 0) {
        return 2;
    }
#ifdef QUORATE_CANARIES
    bool with_marks = true;
#else
    bool with_marks = false;
#endif
    return rc == 0 && o->is_check ? sums_check(&s, with_marks, &o->wish) : rc;
}

/* --- scripts --- */

static struct script script;

static int run_script(const struct options *o)
{
    if (!script_read(o->script, &script)) {
        return 2;
    }
    if (o->is_tracing) {
        (void)base_canary_select(script.canary);
        int rc = run_plan(&world, &script.plan, true);
        if (rc != 0) {
            run_print_failure(&world);
        }
        return rc;
    }
    int rc = script_run(&script, o->script);
    if (rc == 0 && !o->is_quiet) {
        printf("%s: as expected\n", o->script);
    }
    return rc;
}

static void begin_script(const char *canary)
{
    (void)snprintf(script.canary, sizeof(script.canary), "%s", canary != NULL ? canary : "");
    script.plan = plan;
}

static int print_plan(const char *canary)
{
    begin_script(canary);
    script_write(&script, NULL, stdout);
    return 0;
}

static int shrink_seed(const struct options *o, const char *canary)
{
    begin_script(canary);
    if (!shrink(&script)) {
        return 1;
    }
    (void)base_canary_select(script.canary);
    (void)run_plan(&world, &script.plan, false);
    run_print_failure(&world);
    FILE *out = fopen(o->shrink, "w");
    if (out == NULL) {
        perror(o->shrink);
        return 2;
    }
    (void)fprintf(out, "# Breaks %s: %s\n", world.failure_name, world.failure_text);
    script_write(&script, &world, out);
    printf("written to %s\n", o->shrink);
    return fclose(out) == 0 ? 0 : 2;
}

/* Names of all planted bugs, one a line. */
static int print_canaries(void)
{
    for (int id = 1; id < BASE_CANARY_COUNT; id++) {
        printf("%s\n", base_canary_name((enum base_canary)id));
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o;
    /* Each start of a node takes some large, hardly used blocks: from the kernel they cost less
     * than clearing them, also when such blocks have been given back before. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    if (!options_parse(argc, argv, &o) || !make_plan(&o, o.seed)) {
        options_usage(stderr);
        return 2;
    }
    if (!base_canary_select(getenv("QUORATE_CANARY"))) {
        (void)fprintf(stderr, "sim: QUORATE_CANARY names no planted bug of this build\n");
        return 2;
    }
    if (o.is_canaries) {
        return print_canaries();
    }
    if (o.script != NULL) {
        return run_script(&o);
    }
    if (o.is_plan) {
        return print_plan(getenv("QUORATE_CANARY"));
    }
    return o.shrink != NULL ? shrink_seed(&o, getenv("QUORATE_CANARY")) : run_all(&o);
}
