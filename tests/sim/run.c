/* SPDX-License-Identifier: Apache-2.0 */
/* Opens every part of a world, lets it run, and asks the invariants at its end. */
#include "tests/sim/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/admins.h"
#include "tests/sim/chores.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/faults.h"
#include "tests/sim/faults_mongo.h"
#include "tests/sim/gal_load.h"
#include "tests/sim/gal_operator.h"
#include "tests/sim/kv_load.h"
#include "tests/sim/lockers.h"
#include "tests/sim/luck.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo_load.h"
#include "tests/sim/mongo_operator.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/operator.h"
#include "tests/sim/people.h"
#include "tests/sim/readers.h"
#include "tests/sim/rescue.h"
#include "tests/sim/restore.h"
#include "tests/sim/sql_load.h"
#include "tests/sim/story.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_gal.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/watchers.h"

#define CHECK_EVERY_US (500 * MS)
#define KV_OK_MIN 200 /* in one run */

static struct world *current; /* for base_panic */

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    if (current == NULL) {
        (void)fprintf(stderr, "assertion failed at %s:%d: %s\n", file, line, expression);
        exit(1);
    }
    world_fail(current, INVARIANT_NO_CRASH, "%s:%d: %s", file, line, expression);
}

/* What nobody asks for and no fault touches is idle, and not counted as time simulated. */
static uint64_t doings(const struct world *w)
{
    const struct tally *t = &w->tally;
    uint64_t sum = t->kv_ok + t->kv_fail + t->kv_unknown + t->sql_acked + t->sql_fail +
                   t->sql_unknown + t->elections + t->galera_acked + t->galera_refused +
                   t->mongodb_acked + t->mongodb_one + t->mongodb_refused;
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        sum += t->bit[i];
    }
    return sum;
}

static void check_now_and_then(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    truth_logs(w);
    uint64_t now = doings(w);
    w->tally.busy_us += now != number ? CHECK_EVERY_US : 0;
    world_at_with(w, w->now_us + CHECK_EVERY_US, NULL, check_now_and_then, w, now, SLICE_EMPTY);
}

static void check_end(struct world *w)
{
    bool is_cut_down = w->setup.is_cut_down;
    truth_logs(w);
    if (!is_cut_down && kv_load_last_ok_us(w) < w->setup.end_us - 5 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS, "no key-value operation succeeded in the last 5 s");
    }
    kv_load_check(w);
    if (is_cut_down) {
        return; /* the others count on a whole run */
    }
    truth_leases_end(w);
    watchers_check(w);
    if (w->setup.has_databases) {
        truth_db_end(w);
    }
    if (wsrep_exists(w)) {
        truth_gal_end(w);
    }
    if (mongo_exists(w)) {
        truth_mongo_end(w);
    }
    if (w->tally.kv_ok < KV_OK_MIN) {
        world_fail(w, INVARIANT_ENOUGH, "only %" PRIu64 " operations succeeded", w->tally.kv_ok);
    }
}

static void run_open(struct world *w, const struct plan *plan)
{
    w->setup = plan->setup;
    trace(w, TRACE_START, w->setup.nodes, w->setup.members, w->setup.clusters,
          (uint64_t)(w->setup.end_us / SECOND));
    trace_galera_from(wsrep_exists(w) ? wsrep_first(w) : MEMBERS_MAX);
    trace_mongodb_from(mongo_exists(w) ? mongo_first(w) : MEMBERS_MAX);
    luck_open(w);
    net_open(w);
    truth_open(w);
    truth_gal_open(w);
    truth_mongo_open(w);
    lockers_open(w);
    nodes_open(w);
    wsrep_open(w);
    mongo_open(w);
    members_open(w);
    kv_load_open(w);
    sql_load_open(w);
    wsrep_load_open(w);
    gal_operator_open(w);
    mongo_load_open(w);
    mongo_operator_open(w);
    faults_mongo_open(w);
    faults_open(w, plan);
    operator_open(w);
    chores_open(w);
    watchers_open(w);
    restore_open(w);
    readers_open(w);
    people_open(w);
    admins_open(w);
    rescue_open(w);
    elsewhere_open(w);
    world_at(w, SECOND, NULL, check_now_and_then, w);
}

void run_close(struct world *w)
{
    sql_load_close(w);
    wsrep_load_close(w);
    mongo_load_close(w);
    kv_load_close(w);
    nodes_close(w);
    lockers_close(w);
    members_close(w);
    wsrep_close(w);
    mongo_close(w);
    operator_close(w);
    chores_close(w);
    watchers_close(w);
    restore_close(w);
    readers_close(w);
    people_close(w);
    admins_close(w);
    rescue_close(w);
    elsewhere_close(w);
    truth_gal_close(w);
    truth_mongo_close(w);
    truth_close(w);
    net_close(w);
    luck_close(w);
    world_free_events(w);
}

int run_plan(struct world *w, const struct plan *plan, bool is_tracing)
{
    memset(w, 0, sizeof(*w));
    w->seed = plan->seed;
    w->hash_until_us = plan->hash_until_us;
    w->is_tracing = is_tracing;
    current = w;
    volatile int rc = 0;
    if (setjmp(w->failed) == 0) {
        run_open(w, plan);
        world_run(w);
        check_end(w);
    } else {
        rc = 1;
    }
    current = NULL;
    w->tally.events = w->event_number;
    w->tally.simulated_us = (uint64_t)w->now_us;
    return rc;
}

void run_print_failure(const struct world *w)
{
    story_print(w);
    printf("FAILED %s: seed %" PRIu64 ", event %" PRIu64 " at %.3f s: %s\n", w->failure_name,
           w->seed, w->event_number, (double)w->now_us / 1e6, w->failure_text);
}
