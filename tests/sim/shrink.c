/* SPDX-License-Identifier: Apache-2.0 */
/* Delta debugging, of the faults first, then of everything in the setup. */
#include "tests/sim/shrink.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/attempt.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

#define ROUNDS_MAX 10
#define QUIET_US (3 * SECOND) /* before the first fault: everything has to start */

struct shrinking {
    struct script *script; /* the smallest so far that fails */
    struct plan candidate;
    struct attempt last;
    unsigned tries, kept;
};

/* Takes the candidate when the same invariant fails. */
static bool is_taken(struct shrinking *x)
{
    x->tries++;
    attempt(&x->candidate, x->script->canary, &x->last);
    if (strcmp(x->last.invariant, x->script->invariant) != 0) {
        return false;
    }
    x->script->plan = x->candidate;
    x->kept++;
    return true;
}

static struct plan *begin(struct shrinking *x)
{
    x->candidate = x->script->plan;
    return &x->candidate;
}

/* A rule that asks for something by a certain time is broken by every world that ends too soon or
 * has nobody to do it. */
static bool is_of_time(const struct shrinking *x)
{
    return strcmp(x->script->invariant, INVARIANT_LIVENESS) == 0 ||
           strcmp(x->script->invariant, INVARIANT_ENOUGH) == 0 ||
           strcmp(x->script->invariant, INVARIANT_LEASE_END) == 0;
}

/* --- the end --- */

/* Nothing behind the failure matters. */
static void drop_the_rest(struct shrinking *x)
{
    if (is_of_time(x)) {
        return;
    }
    struct plan *p = begin(x);
    int64_t at_us = x->last.at_us;
    size_t kept = 0;
    for (size_t i = 0; i < p->faults_count; i++) {
        if (p->faults[i].at_us <= at_us) {
            p->faults[kept++] = p->faults[i];
        }
    }
    p->faults_count = kept;
    (void)is_taken(x);
    p = begin(x);
    p->setup.is_cut_down = true;
    p->setup.end_us = at_us + MS < p->setup.end_us ? at_us + MS : p->setup.end_us;
    (void)is_taken(x);
}

/* What is judged at the end may be judged sooner. */
static void end_sooner(struct shrinking *x)
{
    for (int64_t step_us = x->script->plan.setup.end_us / 2; step_us > SECOND && !is_of_time(x);
         step_us /= 2) {
        struct plan *p = begin(x);
        p->setup.end_us -= step_us;
        if (p->setup.end_us > 0) {
            (void)is_taken(x);
        }
    }
}

/* All faults sooner, by the same time. */
static void begin_sooner(struct shrinking *x)
{
    const struct plan *smallest = &x->script->plan;
    for (int64_t by_us = INT64_MAX; smallest->faults_count > 0 && by_us > SECOND; by_us /= 2) {
        int64_t most_us = smallest->faults[0].at_us - QUIET_US;
        by_us = by_us < most_us ? by_us : most_us;
        struct plan *p = begin(x);
        for (size_t i = 0; i < p->faults_count; i++) {
            p->faults[i].at_us -= by_us;
        }
        if (by_us > SECOND && is_taken(x)) {
            drop_the_rest(x);
        }
    }
}

/* --- faults --- */

static bool is_without(struct shrinking *x, size_t from, size_t count)
{
    struct plan *p = begin(x);
    size_t behind = p->faults_count - from - count;
    memmove(&p->faults[from], &p->faults[from + count], behind * sizeof(p->faults[0]));
    p->faults_count -= count;
    return is_taken(x);
}

static void drop_faults(struct shrinking *x)
{
    for (size_t size = (x->script->plan.faults_count + 1) / 2; size > 0; size /= 2) {
        size_t from = 0;
        while (from < x->script->plan.faults_count) {
            size_t left = x->script->plan.faults_count - from;
            size_t count = size < left ? size : left;
            from += is_without(x, from, count) ? 0 : count;
        }
    }
}

/* --- the setup --- */

/* Times and limits are no sizes: a world without them is another world, not a smaller one. */
static bool is_reducible(const char *name)
{
    size_t len = strlen(name);
    bool is_time =
        len > 3 && (strcmp(name + len - 3, "_us") == 0 || strcmp(name + len - 3, "_ms") == 0);
    bool is_of_hosts = strcmp(name, "clusters") == 0 || strcmp(name, "members") == 0;
    return !is_time && !is_of_hosts && strcmp(name, "is_cut_down") != 0 &&
           strcmp(name, "is_calm") != 0 && strstr(name, "_off") == NULL &&
           strcmp(name, "kv_ops_max") != 0;
}

/* To nothing, to half, to one less. */
static void reduce_field(struct shrinking *x, const char *name, int64_t value)
{
    const int64_t smaller[] = {0, value / 2, value - 1};
    int64_t least =
        strcmp(name, "nodes") == 0 || strcmp(name, "slots") == 0 || (is_of_time(x) && value > 1);
    for (size_t i = 0; i < 3 && value > 0; i++) {
        struct plan *p = begin(x);
        if (smaller[i] < value && smaller[i] >= least && setup_set(&p->setup, name, smaller[i]) &&
            is_taken(x)) {
            return;
        }
    }
}

static void reduce_setup(struct shrinking *x)
{
#define SHRINK_REDUCE(type, name, text) \
    if (is_reducible(#name)) { \
        reduce_field(x, #name, (int64_t)x->script->plan.setup.name); \
    }
    SETUP_FIELDS(SHRINK_REDUCE)
#undef SHRINK_REDUCE
}

/* Hosts stand one cluster behind the other. */
static void number_hosts(struct setup *s)
{
    s->members = 0;
    for (unsigned i = 0; i < s->clusters; i++) {
        s->databases[i].first = s->members;
        s->members += s->databases[i].members;
    }
}

static bool is_without_cluster(struct shrinking *x, unsigned cluster)
{
    struct setup *s = &begin(x)->setup;
    for (unsigned i = cluster; i + 1 < s->clusters; i++) {
        s->databases[i] = s->databases[i + 1];
    }
    s->databases[--s->clusters] = (struct db_setup){0};
    number_hosts(s);
    return is_taken(x);
}

static bool is_with_host_less(struct shrinking *x, unsigned cluster)
{
    struct setup *s = &begin(x)->setup;
    if (s->databases[cluster].members < 2) {
        return false;
    }
    s->databases[cluster].members--;
    number_hosts(s);
    return is_taken(x);
}

static void drop_hosts(struct shrinking *x)
{
    const struct setup *s = &x->script->plan.setup;
    for (unsigned i = 0; i < s->clusters && s->clusters > 1;) {
        i += is_without_cluster(x, i) ? 0 : 1;
    }
    for (unsigned i = 0; i < s->clusters;) {
        i += is_with_host_less(x, i) ? 0 : 1;
    }
}

/* --- clients --- */

static void silence_clients(struct shrinking *x)
{
    if (is_of_time(x)) {
        return;
    }
    for (unsigned i = 0; i < x->script->plan.setup.kv_clients; i++) {
        struct plan *p = begin(x);
        p->setup.kv_off |= 1u << i;
        (void)is_taken(x);
    }
    for (unsigned i = 0; i < x->script->plan.setup.sql_clients; i++) {
        struct plan *p = begin(x);
        p->setup.sql_off |= 1u << i;
        (void)is_taken(x);
    }
}

static void drop_operations(struct shrinking *x)
{
    if (is_of_time(x)) {
        return;
    }
    uint32_t most = x->script->plan.setup.kv_ops_max;
    most = most != 0 ? most : 4096;
    for (uint32_t step = most / 2; step > 0; step /= 2) {
        struct plan *p = begin(x);
        if (most > step) {
            p->setup.kv_ops_max = most - step;
            most -= is_taken(x) ? step : 0;
        }
    }
}

bool shrink(struct script *s)
{
    struct shrinking x = {.script = s};
    attempt(&s->plan, s->canary, &x.last);
    if (x.last.invariant[0] == '\0') {
        printf("seed %lu does not fail: nothing to shrink\n", (unsigned long)s->plan.seed);
        return false;
    }
    memcpy(s->invariant, x.last.invariant, sizeof(s->invariant));
    printf("%s fails at %.3f s with %zu faults\n", s->invariant, (double)x.last.at_us / 1e6,
           s->plan.faults_count);
    drop_the_rest(&x);
    unsigned before = 0;
    for (unsigned round = 0; round < ROUNDS_MAX && (round == 0 || x.kept != before); round++) {
        before = x.kept;
        drop_faults(&x);
        begin_sooner(&x);
        drop_hosts(&x);
        reduce_setup(&x);
        silence_clients(&x);
        drop_operations(&x);
        end_sooner(&x);
        printf("  round %u: %zu faults, %u quorum nodes, %u hosts, %u tries\n", round + 1,
               s->plan.faults_count, s->plan.setup.nodes, s->plan.setup.members, x.tries);
        (void)fflush(stdout);
    }
    return true;
}
