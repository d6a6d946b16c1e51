/* SPDX-License-Identifier: Apache-2.0 */
/* sim --seed N --count M [--trace] [--quiet] [--history] [--calm] [--kv-only] [--restore]: runs
 * whole systems, one seed after the other, until an invariant fails. Exit code 0: all held and
 * enough happened; 1: one failed, with its name, seed, event and last steps; 2: usage. Everything
 * that a run does follows from its seed and the flags.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "tests/sim/chores.h"
#include "tests/sim/faults.h"
#include "tests/sim/kv_load.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/operator.h"
#include "tests/sim/restore.h"
#include "tests/sim/sql_load.h"
#include "tests/sim/truth.h"
#include "tests/sim/watchers.h"

struct options {
    uint64_t seed, count;
    bool is_tracing, is_quiet, is_history, is_calm, is_kv_only, is_twice, is_check, is_canaries,
        is_restoring;
};

static struct world *current; /* for base_panic */

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    if (current == NULL) {
        (void)fprintf(stderr, "assertion failed at %s:%d: %s\n", file, line, expression);
        exit(1);
    }
    world_fail(current, INVARIANT_NO_CRASH, "%s:%d: %s", file, line, expression);
}

/* --- one seed --- */

#define RESTORE_US (90 * SECOND) /* leases of a lost quorum are waited for */

static void draw_setup(struct world *w, const struct options *o)
{
    struct base_rand r = world_stream(w, STREAM_SETUP, 0);
    struct setup *s = &w->setup;
    static const unsigned nodes[] = {1, 3, 3, 3, 3, 3, 5, 5};
    s->nodes = nodes[draw(&r, 0, 7)];
    s->members = (unsigned)draw(&r, 2, 5);
    s->kv_clients = (unsigned)draw(&r, 3, KV_CLIENTS_MAX);
    s->sql_clients = (unsigned)draw(&r, 1, SQL_CLIENTS_MAX);
    s->is_calm = o->is_calm || chance(&r, 60000);
    int64_t faults_us = draw(&r, 40 * SECOND, 160 * SECOND);
    s->faults_end_us = faults_us;
    s->end_us = faults_us + 25 * SECOND;
    s->is_ordered = chance(&r, 500000);
    static const uint32_t rates[] = {0, 0, 1000, 10000, 50000};
    s->loss_ppm = s->is_calm ? 0 : rates[draw(&r, 0, 4)];
    s->double_ppm = s->is_calm ? 0 : rates[draw(&r, 0, 4)];
    s->late_ppm = s->is_calm ? 0 : rates[draw(&r, 0, 3)];
    s->delay_min_us = 100;
    s->delay_max_us = draw(&r, 300, chance(&r, 300000) ? 25 * MS : 3 * MS);
    s->sync_min_us = 200;
    s->sync_max_us = draw(&r, 500, !s->is_calm && chance(&r, 300000) ? 40 * MS : 6 * MS);
    s->has_databases = !o->is_kv_only;
    static const uint32_t ttls[] = {600, 1000, 2000, 2000, 3000};
    s->ttl_ms = ttls[draw(&r, 0, 4)];
    s->heartbeat_ms = s->ttl_ms / 8 < 100 ? 100 : s->ttl_ms / 8;
    s->freeze_max_ms = (uint32_t)draw(&r, 1, 3) * 1000;
    s->is_async = chance(&r, 150000);
    s->is_strict = chance(&r, 300000);
    s->election_min_ms = 250;
    s->election_max_ms = !s->is_calm && chance(&r, 300000) ? 265 : 500; /* narrow: split votes */
    s->is_vote_crash = !s->is_calm && chance(&r, 300000);
    s->is_standstill = !s->is_async && chance(&r, 150000);
    s->is_changing = !s->is_calm && s->nodes > 1 && chance(&r, 500000);
    s->slots = s->is_changing ? s->nodes + 2 : s->nodes;
    r = world_stream(w, STREAM_SETUP, 1);
    s->is_restoring = s->has_databases && !s->is_calm && !s->is_changing && !s->is_standstill &&
                      (chance(&r, 300000) || o->is_restoring);
    s->end_us += s->is_restoring ? RESTORE_US : 0;
}

static void check_logs(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    truth_logs(w);
    world_at(w, w->now_us + 500 * MS, NULL, check_logs, w);
}

static void check_end(struct world *w)
{
    truth_logs(w);
    if (kv_load_last_ok_us(w) < w->setup.end_us - 5 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS, "no key-value operation succeeded in the last 5 s");
    }
    kv_load_check(w);
    truth_leases_end(w);
    watchers_check(w);
    if (w->setup.has_databases) {
        truth_db_end(w);
    }
    if (w->tally.kv_ok < 200) {
        world_fail(w, INVARIANT_ENOUGH, "only %" PRIu64 " operations succeeded", w->tally.kv_ok);
    }
}

static void world_open(struct world *w, const struct options *o)
{
    draw_setup(w, o);
    trace(w, TRACE_START, w->setup.nodes, w->setup.members, w->setup.ttl_ms,
          (uint64_t)(w->setup.end_us / SECOND));
    net_open(w);
    truth_open(w);
    nodes_open(w);
    members_open(w);
    kv_load_open(w);
    sql_load_open(w);
    faults_open(w);
    operator_open(w);
    chores_open(w);
    watchers_open(w);
    restore_open(w);
    world_at(w, SECOND, NULL, check_logs, w);
}

static void world_close(struct world *w)
{
    sql_load_close(w);
    kv_load_close(w);
    nodes_close(w);
    members_close(w);
    faults_close(w);
    operator_close(w);
    chores_close(w);
    watchers_close(w);
    restore_close(w);
    truth_close(w);
    net_close(w);
    world_free_events(w);
}

static void print_failure(const struct world *w)
{
    printf("last steps:\n");
    trace_legend();
    trace_print_last(w, 60);
    printf("FAILED %s: seed %" PRIu64 ", event %" PRIu64 " at %.3f s: %s\n", w->failure_name,
           w->seed, w->event_number, (double)w->now_us / 1e6, w->failure_text);
}

/* 0, or 1 when an invariant failed; the world's sums stay readable. */
static int run_seed(struct world *w, uint64_t seed, const struct options *o)
{
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->is_tracing = o->is_tracing;
    current = w;
    volatile int rc = 0;
    if (setjmp(w->failed) == 0) {
        world_open(w, o);
        world_run(w);
        check_end(w);
    } else {
        rc = 1;
        print_failure(w);
    }
    current = NULL;
    if (o->is_history) {
        kv_load_print(w);
    }
    return rc;
}

/* --- all seeds --- */

struct sums {
    struct tally tally;
    uint64_t bit[FAULT_KIND_COUNT];
    uint64_t seeds, violated;
};

static void add(struct sums *s, const struct world *w)
{
    uint64_t *into = (uint64_t *)(void *)&s->tally;
    const uint64_t *from = (const uint64_t *)(const void *)&w->tally;
    for (size_t i = 0; i < sizeof(s->tally) / sizeof(uint64_t); i++) {
        into[i] += from[i];
    }
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        s->bit[i] += w->faults->bit[i];
    }
    s->tally.simulated_us += (uint64_t)w->now_us;
    s->seeds++;
}

static void print_sums(const struct sums *s)
{
    const struct tally *t = &s->tally;
    printf("%" PRIu64 " seeds, %.0f simulated seconds, %" PRIu64 " events, %" PRIu64
           " frames, %" PRIu64 " elections\n",
           s->seeds, (double)t->simulated_us / 1e6, t->events, t->frames, t->elections);
    printf("key-value operations: %" PRIu64 " ok, %" PRIu64 " failed, %" PRIu64 " unknown\n",
           t->kv_ok, t->kv_fail, t->kv_unknown);
    printf("database writes: %" PRIu64 " acknowledged, %" PRIu64 " refused, %" PRIu64
           " unknown; %" PRIu64 " failovers, %" PRIu64 " hand-overs, %" PRIu64 " returns\n",
           t->sql_acked, t->sql_fail, t->sql_unknown, t->failovers, t->handovers, t->reopened);
    printf("quorum: %" PRIu64 " changes of members, %" PRIu64 " images installed, %" PRIu64
           " hand-overs of leadership, %" PRIu64 " chores\n",
           t->changes, t->images, t->transfers, t->chores);
    printf("leases: %" PRIu64 " renewals, %" PRIu64 " ran out; watches: %" PRIu64 ", %" PRIu64
           " resumed, %" PRIu64 " ended by compaction, %" PRIu64 " events\n",
           t->renewals, t->expiries, t->watches, t->watch_resumes, t->watch_compacted,
           t->watch_events);
    printf("faults that bit:");
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        if (s->bit[i] > 0) {
            printf(" %s %" PRIu64, fault_name((enum fault_kind)i), s->bit[i]);
        }
    }
    printf("\n");
}

/* A run in which too little happened proves nothing. */
static int check_sums(const struct sums *s)
{
    const struct tally *t = &s->tally;
    uint64_t unknown_percent = t->kv_unknown * 100 / (t->kv_ok + t->kv_fail + t->kv_unknown + 1);
    bool is_enough = t->kv_ok >= 500 * s->seeds && t->sql_acked >= 200 * s->seeds &&
                     t->failovers >= s->seeds && unknown_percent < 2;
    is_enough = is_enough && t->changes >= s->seeds && t->images >= s->seeds / 2 &&
                t->transfers >= s->seeds / 10 && t->chores >= 20 * s->seeds;
    is_enough = is_enough && t->renewals >= 50 * s->seeds && t->expiries >= 5 * s->seeds &&
                t->watch_resumes >= 20 * s->seeds && t->watch_compacted >= s->seeds &&
                t->watch_events >= 1000 * s->seeds;
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        is_enough = is_enough && s->bit[i] >= s->seeds / 20;
    }
    if (!is_enough) {
        printf("FAILED enough-happened: too few operations, failovers or faults of some kind, or "
               "too many unknown\n");
    }
    return is_enough ? 0 : 1;
}

static int run_all(const struct options *o)
{
    static struct world w;
    struct sums sums = {0};
    for (uint64_t i = 0; i < o->count; i++) {
        uint64_t seed = o->seed + i;
        int rc = run_seed(&w, seed, o);
        w.tally.events = w.event_number;
        uint64_t hash = w.trace_hash;
        add(&sums, &w);
        if (o->is_check && (i + 1) % 25 == 0) {
            printf("  %" PRIu64 " seeds, %" PRIu64 " failovers, %" PRIu64 " commits acknowledged\n",
                   i + 1, sums.tally.failovers, sums.tally.sql_acked);
            (void)fflush(stdout);
        }
        if (!o->is_quiet || rc != 0) {
            printf("seed %" PRIu64 ": %s, trace %016" PRIx64 ", %" PRIu64 " events, %" PRIu64
                   " ok\n",
                   seed, rc == 0 ? "ok" : "FAILED", hash, w.event_number, w.tally.kv_ok);
        }
        if (rc != 0) {
            return 1; /* what the world holds is given back by the exit */
        }
        world_close(&w);
        if (o->is_twice) {
            struct options quiet = *o;
            quiet.is_tracing = false;
            rc = run_seed(&w, seed, &quiet);
            bool is_same = w.trace_hash == hash; /* calls that are ended by closing tell, too */
            world_close(&w);
            if (rc != 0 || !is_same) {
                printf("FAILED determinism: seed %" PRIu64 " gave another trace the second time\n",
                       seed);
                return 1;
            }
        }
    }
    print_sums(&sums);
    return o->is_check ? check_sums(&sums) : 0;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.seed = 1, .count = 1};
    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--seed") == 0    ? &o->seed
                           : strcmp(argv[i], "--count") == 0 ? &o->count
                                                             : NULL;
        if (number != NULL) {
            if (i + 1 == argc || slice_to_u64(slice_from_text(argv[++i]), number) != 0) {
                return false;
            }
            continue;
        }
        struct {
            const char *name;
            bool *flag;
        } flags[] = {{"--trace", &o->is_tracing},    {"--quiet", &o->is_quiet},
                     {"--history", &o->is_history},  {"--calm", &o->is_calm},
                     {"--kv-only", &o->is_kv_only},  {"--twice", &o->is_twice},
                     {"--check", &o->is_check},      {"--restore", &o->is_restoring},
                     {"--canaries", &o->is_canaries}};
        bool is_known = false;
        for (size_t j = 0; j < sizeof(flags) / sizeof(flags[0]); j++) {
            if (strcmp(argv[i], flags[j].name) == 0) {
                *flags[j].flag = is_known = true;
            }
        }
        if (!is_known) {
            return false;
        }
    }
    return o->count > 0;
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
    if (!parse(argc, argv, &o)) {
        (void)fprintf(
            stderr,
            "usage: sim --seed N --count M [--trace] [--quiet] [--history] [--calm] [--kv-only] "
            "[--twice] [--check] [--restore] | --canaries\n");
        return 2;
    }
    if (!base_canary_select(getenv("QUORATE_CANARY"))) {
        (void)fprintf(stderr, "sim: QUORATE_CANARY names no planted bug of this build\n");
        return 2;
    }
    return o.is_canaries ? print_canaries() : run_all(&o);
}
