/* SPDX-License-Identifier: Apache-2.0 */
/* The bootstrap rule of arbiter/core/galera_rules.h against an independent model of Galera's views.
 *
 * All that can happen to small groups is walked through, event by event: components split along any
 * line, nodes crash, leave in order (and some of the others hear of it), come back, join, and a
 * last view whose members have met again forms anew. In every state that is reached, for everything
 * that an arbiter may know of it (each node silent, destroyed, verified, stopped), for every
 * candidate: if the rule says that it is alone, then nobody else is Primary, and nobody else can
 * become it. The model knows nothing of sums over evidence; the rule knows nothing of what
 * happened.
 */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/core/galera_rules.h"
#include "base/canary.h"

#define NODES_MAX 5
#define VIEWS_MAX 8
#define STATES_MAX (1u << 21)

enum run { IN_PRIMARY, OUT, DOWN };

struct node {
    uint8_t run;
    uint8_t last;     /* the last Primary view that it was in; 0: none in this life */
    uint8_t left;     /* of that view: who has left in order, as it was told */
    uint8_t seen;     /* the same as last, but its agent remembers it over restarts ... */
    uint8_t has_left; /* ... and that it has left it in order */
};

struct state {
    struct node nodes[NODES_MAX];
    uint8_t views[VIEWS_MAX]; /* members, as bits; from 1 on */
    uint8_t views_count;
};

static struct {
    unsigned count, all;
    uint8_t weight[NODES_MAX];
    struct state *found; /* every state that was reached, in order */
    uint32_t *slots;     /* hash table: number in found + 1 */
    uint32_t found_count;
    uint64_t granted, refused, refused_though_alone;
} o;

static unsigned weigh(unsigned set)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < o.count; i++) {
        sum += (set >> i & 1) != 0 ? o.weight[i] : 0;
    }
    return sum;
}

/* --- states --- */

static void reach(const struct state *s)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    const uint8_t *bytes = (const uint8_t *)s;
    for (size_t i = 0; i < sizeof(*s); i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    for (uint32_t at = (uint32_t)(hash >> 20);; at++) {
        uint32_t *slot = &o.slots[at % STATES_MAX];
        if (*slot == 0) {
            assert_true(o.found_count < STATES_MAX / 2);
            o.found[o.found_count++] = *s;
            *slot = o.found_count;
            return;
        }
        if (memcmp(&o.found[*slot - 1], s, sizeof(*s)) == 0) {
            return;
        }
    }
}

/* Who runs in that view still. */
static unsigned holders(const struct state *s, unsigned view)
{
    unsigned set = 0;
    for (unsigned i = 0; i < o.count; i++) {
        set |= s->nodes[i].run == IN_PRIMARY && s->nodes[i].last == view ? 1u << i : 0;
    }
    return set;
}

static unsigned who(const struct state *s, enum run run)
{
    unsigned set = 0;
    for (unsigned i = 0; i < o.count; i++) {
        set |= s->nodes[i].run == run ? 1u << i : 0;
    }
    return set;
}

/* What those of the set know together of who has left their view. */
static unsigned left_as_known(const struct state *s, unsigned set)
{
    unsigned left = 0;
    for (unsigned i = 0; i < o.count; i++) {
        left |= (set >> i & 1) != 0 ? s->nodes[i].left : 0u;
    }
    return left;
}

static bool has_majority(const struct state *s, unsigned view, unsigned set)
{
    return 2 * weigh(set) > weigh(s->views[view] & ~left_as_known(s, set));
}

static void enter(struct state *s, unsigned set)
{
    uint8_t view = ++s->views_count;
    s->views[view] = (uint8_t)set;
    for (unsigned i = 0; i < o.count; i++) {
        if ((set >> i & 1) != 0) {
            s->nodes[i] = (struct node){IN_PRIMARY, view, 0, view, 0};
        }
    }
}

/* --- events --- */

/* These lose all others: a new view, with whoever is outside and meets them, or none. */
static void split(const struct state *s, unsigned view, unsigned set)
{
    struct state next = *s;
    if (!has_majority(s, view, set)) {
        for (unsigned i = 0; i < o.count; i++) {
            next.nodes[i].run = (set >> i & 1) != 0 ? OUT : next.nodes[i].run;
        }
        reach(&next);
        return;
    }
    unsigned out = who(s, OUT);
    for (unsigned joined = out;; joined = (joined - 1) & out) {
        if (s->views_count + 1 < VIEWS_MAX && (joined | set) != s->views[view]) {
            next = *s;
            enter(&next, set | joined);
            reach(&next);
        }
        if (joined == 0) {
            return;
        }
    }
}

/* All of the newest view that any of them was in are among them. */
static void meet(const struct state *s, unsigned set)
{
    unsigned newest = 0, members = 0;
    struct state next = *s;
    for (unsigned i = 0; i < o.count; i++) {
        bool is_asked = (set >> i & 1) != 0 && s->nodes[i].last > newest;
        newest = is_asked ? s->nodes[i].last : newest;
    }
    for (unsigned i = 0; i < o.count; i++) {
        members |= (set >> i & 1) != 0 && s->nodes[i].last == newest ? 1u << i : 0;
    }
    unsigned wanted = s->views[newest] & ~left_as_known(s, members);
    if (newest != 0 && (wanted & ~members) == 0 && s->views_count + 1 < VIEWS_MAX) {
        enter(&next, set);
        reach(&next);
    }
}

static void leave(const struct state *s, unsigned node)
{
    unsigned others =
        s->nodes[node].run == IN_PRIMARY ? holders(s, s->nodes[node].last) & ~(1u << node) : 0;
    for (unsigned told = others;; told = (told - 1) & others) {
        struct state next = *s;
        next.nodes[node].run = DOWN;
        next.nodes[node].has_left |= s->nodes[node].run == IN_PRIMARY;
        for (unsigned i = 0; i < o.count; i++) {
            next.nodes[i].left =
                (uint8_t)(next.nodes[i].left | ((told >> i & 1) != 0 ? 1u << node : 0));
        }
        reach(&next);
        if (told == 0) {
            return;
        }
    }
}

static void happen(const struct state *s)
{
    unsigned out = who(s, OUT);
    for (unsigned view = 1; view <= s->views_count; view++) {
        unsigned in = holders(s, view);
        for (unsigned set = in; set != 0; set = (set - 1) & in) {
            split(s, view, set);
        }
    }
    for (unsigned set = out; set != 0; set = (set - 1) & out) {
        meet(s, set);
    }
    for (unsigned i = 0; i < o.count; i++) {
        struct state next = *s;
        if (s->nodes[i].run == IN_PRIMARY || s->nodes[i].run == OUT) {
            leave(s, i);
            next.nodes[i].run = DOWN;
        } else { /* started again: without a view, gvwstate.dat is moved aside */
            next.nodes[i] = (struct node){OUT, 0, 0, s->nodes[i].seen, s->nodes[i].has_left};
        }
        reach(&next);
    }
}

/* --- what is true --- */

/* Without the candidate and those that stay down: is anybody Primary, or can anybody become it? */
static bool is_anybody_else(const struct state *s, unsigned candidate)
{
    unsigned others = (who(s, IN_PRIMARY) | who(s, OUT)) & ~(1u << candidate);
    for (unsigned view = 1; view <= s->views_count; view++) {
        unsigned in = holders(s, view) & others, known = 0;
        if (in != 0 && has_majority(s, view, in)) {
            return true;
        }
        for (unsigned i = 0; i < o.count; i++) {
            known |= (others >> i & 1) != 0 && s->nodes[i].last == view ? 1u << i : 0;
        }
        /* They meet: those who still believe in it as well, once they find out. */
        if (known != 0 && (s->views[view] & ~left_as_known(s, known) & ~known) == 0) {
            return true;
        }
    }
    return false;
}

/* --- what may be known --- */

static bool can_be(const struct node *node, enum gal_evidence evidence)
{
    switch (evidence) {
    case GAL_SILENT:
        return true;
    case GAL_DEAD:
        return node->run == DOWN;
    case GAL_LIVE: /* who was started and is in no component yet has its SQL closed, and says so */
        return node->run == OUT && node->last != 0;
    case GAL_STOPPED: /* who has left its last view in order is known to have */
        return node->run == DOWN && node->has_left == 0;
    case GAL_LEFT: /* or to have been about to */
        return node->run == DOWN;
    }
    return false;
}

static bool is_heard(enum gal_evidence evidence)
{
    return evidence != GAL_SILENT && evidence != GAL_DEAD;
}

static void tell(const struct state *s, const enum gal_evidence *known, unsigned view,
                 unsigned candidate)
{
    (void)printf("weights");
    for (unsigned i = 0; i < o.count; i++) {
        (void)printf(" %u", o.weight[i]);
    }
    (void)printf("; candidate %u; last view known %u of", candidate, view);
    for (unsigned v = 1; v <= s->views_count; v++) {
        (void)printf(" %x", s->views[v]);
    }
    (void)printf("; nodes (run, last, left, evidence):");
    for (unsigned i = 0; i < o.count; i++) {
        (void)printf(" (%u %u %x %d)", s->nodes[i].run, s->nodes[i].last, s->nodes[i].left,
                     (int)known[i]);
    }
    (void)printf("\n");
}

/* The rule is asked about the nodes of one view: the newest that anybody who is heard was in, or
 * one that the record knows and that is newer. */
static void ask(const struct state *s, const enum gal_evidence *known, unsigned view,
                unsigned candidate)
{
    struct gal_node nodes[NODES_MAX];
    uint8_t count = 0, at = GAL_NOBODY;
    for (unsigned i = 0; i < o.count; i++) {
        if ((s->views[view] >> i & 1) != 0) {
            at = i == candidate ? count : at;
            nodes[count++] = (struct gal_node){o.weight[i], known[i], false};
        }
    }
    bool is_other = is_anybody_else(s, candidate);
    if (!gal_is_alone(nodes, count, at)) {
        o.refused++;
        o.refused_though_alone += !is_other;
        return;
    }
    o.granted++;
    if (is_other) {
        tell(s, known, view, candidate);
        fail_msg("%s", "a bootstrap is granted where another component is Primary, or can be");
    }
}

static void judge(const struct state *s)
{
    unsigned ways = 1;
    for (unsigned i = 0; i < o.count; i++) {
        ways *= 5;
    }
    for (unsigned way = 0; way < ways; way++) {
        enum gal_evidence known[NODES_MAX];
        unsigned newest = 0, rest = way;
        bool is_possible = true;
        for (unsigned i = 0; i < o.count; i++, rest /= 5) {
            known[i] = (enum gal_evidence)(rest % 5);
            is_possible = is_possible && can_be(&s->nodes[i], known[i]);
            bool is_newer = is_heard(known[i]) && s->nodes[i].seen > newest;
            newest = is_newer ? s->nodes[i].seen : newest;
        }
        for (unsigned i = 0; is_possible && i < o.count; i++) {
            for (unsigned view = newest; is_heard(known[i]) && view <= s->views_count; view++) {
                if (view > 0) {
                    ask(s, known, view, i);
                }
            }
        }
    }
}

/* --- walks --- */

/* Events one after the other, as many as `depth`; every state is judged once. */
static void walk(unsigned count, const uint8_t *weight, unsigned depth)
{
    struct state first;
    memset(&first, 0, sizeof(first));
    o.count = count;
    o.all = (1u << count) - 1;
    memcpy(o.weight, weight, count);
    memset(o.slots, 0, STATES_MAX * sizeof(*o.slots));
    o.found_count = 0;
    enter(&first, o.all);
    reach(&first);
    uint32_t from = 0;
    for (unsigned i = 0; i < depth; i++) {
        uint32_t until = o.found_count;
        for (; from < until; from++) {
            struct state s = o.found[from];
            happen(&s);
        }
    }
    for (uint32_t i = 0; i < o.found_count; i++) {
        judge(&o.found[i]);
    }
}

static void walk_all_weights(unsigned count, unsigned depth)
{
    for (unsigned set = 0; set < 1u << count; set++) {
        uint8_t weight[NODES_MAX];
        for (unsigned i = 0; i < count; i++) {
            weight[i] = (set >> i & 1) != 0 ? 2 : 1;
        }
        walk(count, weight, depth);
    }
}

static void test_a_grant_leaves_nobody_else_who_is_primary_or_can_be(void **state)
{
    static const uint8_t ones[NODES_MAX] = {1, 1, 1, 1, 1};
    (void)state;
    o.found = calloc(STATES_MAX / 2, sizeof(*o.found));
    o.slots = calloc(STATES_MAX, sizeof(*o.slots));
    assert_non_null(o.found);
    assert_non_null(o.slots);
    walk_all_weights(1, 4);
    walk_all_weights(2, 6);
    walk_all_weights(3, 4);
    walk(4, ones, 4);
    walk_all_weights(4, 3);
    walk(5, ones, 3);
    free(o.found);
    free(o.slots);
    (void)printf("%llu grants judged, %llu refusals, %llu of them though nobody else was there\n",
                 (unsigned long long)o.granted, (unsigned long long)o.refused,
                 (unsigned long long)o.refused_though_alone);
    assert_true(o.granted > 100000);
    assert_true(o.refused > 100000);
}

/* --- what an operator counts on --- */

static bool is_alone(const char *evidence, uint8_t candidate)
{
    struct gal_node nodes[NODES_MAX];
    uint8_t count = 0;
    for (; evidence[count] != '\0'; count++) {
        const char *at = strchr("sdrcl", evidence[count]); /* silent dead runs crashed left */
        nodes[count] = (struct gal_node){1, (enum gal_evidence)(at - "sdrcl"), false};
    }
    return gal_is_alone(nodes, count, candidate);
}

static void test_the_layouts_of_the_manual(void **state)
{
    (void)state;
    assert_true(is_alone("rs", 0)); /* two nodes, either one lost */
    assert_true(is_alone("cs", 0));
    assert_false(is_alone("ls", 0)); /* it left first: the other one may be Primary alone */
    assert_false(is_alone("rss", 0));
    assert_false(is_alone("css", 0));
    assert_true(is_alone("ccc", 0)); /* all are back after an outage */
    assert_true(is_alone("lll", 0));
    assert_true(is_alone("rcc", 0));
    assert_true(is_alone("ddc", 2) ==
                is_alone("dc", 1)); /* the silent ones alone stand against it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grant_leaves_nobody_else_who_is_primary_or_can_be),
        cmocka_unit_test(test_the_layouts_of_the_manual),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
