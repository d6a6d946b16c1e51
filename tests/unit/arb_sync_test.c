/* SPDX-License-Identifier: Apache-2.0 */
/* The planner of the synchronous set, exhaustively: three members with positions, every target at
 * every moment, a failover with every smallest vote set in every state. A crash between two steps
 * is every state in which the next step has not happened yet.
 */
#include "tests/support/cm.h"

#include "arbiter/core/syncset.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdlib.h>
#include <string.h>

#define N 3
#define SETS (1 << N)
#define W 2 /* positions 0 to W */

static struct msg_names names_of[SETS];

static void make_names(void)
{
    for (unsigned set = 0; set < SETS; set++) {
        names_of[set] = (struct msg_names){0};
        for (unsigned m = 0; m < N; m++) {
            struct base_name name = {{(char)('a' + (int)m)}};
            if ((set >> m & 1) != 0) {
                assert_int_equal(arb_names_add(&names_of[set], &name), 0);
            }
        }
    }
}

static unsigned set_of(const struct msg_names *names)
{
    unsigned set = 0;
    for (uint8_t i = 0; i < names->count; i++) {
        set |= 1u << (names->names[i].text[0] - 'a');
    }
    return set;
}

static unsigned size_of(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

static struct arb_set arb_set_of(unsigned set, unsigned count)
{
    return (struct arb_set){names_of[set], (uint8_t)count};
}

struct state {
    unsigned pos[N], w, acked, v, r, s, k, b; /* b: barrier position + 1, 0 none */
};

static unsigned state_code(const struct state *x)
{
    unsigned code = 0;
    for (unsigned m = 0; m < N; m++) {
        code = code * (W + 1) + x->pos[m];
    }
    code = code * (W + 1) + x->w;
    code = code * (W + 1) + x->acked;
    code = (code * SETS + x->v) * (N + 1) + x->r;
    code = (code * SETS + x->s) * (N + 1) + x->k;
    return code * (W + 2) + x->b;
}
#define CODES (27u * 3 * 3 * SETS * (N + 1) * SETS * (N + 1) * (W + 2))

static void acknowledge(struct state *x)
{
    for (unsigned upto = x->acked + 1; upto <= x->w; upto++) {
        unsigned have = 0;
        for (unsigned m = 0; m < N; m++) {
            have += (x->s >> m & 1) != 0 && x->pos[m] >= upto;
        }
        if (have >= x->k) {
            x->acked = upto;
        }
    }
}

/* Some smallest vote set has nobody with all that was acknowledged. */
static bool can_lose(const struct state *x)
{
    struct arb_set record = arb_set_of(x->v, x->r);
    unsigned needed = arb_votes_needed(&record);
    if (needed == 0 || x->acked == 0) {
        return false;
    }
    for (unsigned votes = 0; votes < SETS; votes++) {
        unsigned best = 0;
        if ((votes & ~x->v) != 0 || size_of(votes) != needed) {
            continue;
        }
        for (unsigned m = 0; m < N; m++) {
            best = (votes >> m & 1) != 0 && x->pos[m] > best ? x->pos[m] : best;
        }
        if (best < x->acked) {
            return true;
        }
    }
    return false;
}

struct search {
    uint8_t *seen;
    struct state *todo;
    size_t todo_count, states;
    bool is_lost;
};

static void visit(struct search *q, struct state x)
{
    acknowledge(&x);
    unsigned code = state_code(&x);
    assert_true(code < CODES);
    if ((q->seen[code / 8] >> (code % 8) & 1) != 0) {
        return;
    }
    q->seen[code / 8] |= (uint8_t)(1u << (code % 8));
    q->todo[q->todo_count++] = x;
    q->states++;
    q->is_lost = q->is_lost || can_lose(&x);
}

static void writes(struct search *q, const struct state *x)
{
    struct state y = *x;
    if (x->w < W) {
        y.w++;
        visit(q, y);
    }
    for (unsigned m = 0; m < N; m++) {
        y = *x;
        if (x->pos[m] < x->w) {
            y.pos[m]++;
            visit(q, y);
        }
    }
    y = *x;
    y.b = 0; /* a restarted agent takes a new barrier */
    visit(q, y);
}

static bool is_barrier_met(const struct state *x, unsigned set, unsigned count)
{
    unsigned have = 0;
    for (unsigned m = 0; m < N; m++) {
        have += (set >> m & 1) != 0 && x->b > 0 && x->pos[m] >= x->b - 1;
    }
    return x->s == set && x->k == count && x->b > 0 && have >= count;
}

static void plan(struct search *q, const struct state *x, unsigned set, unsigned count)
{
    struct arb_sync_state in = {.record = arb_set_of(x->v, x->r),
                                .is_database_known = true,
                                .database = arb_set_of(x->s, x->k),
                                .is_barrier_passed = is_barrier_met(x, set, count)};
    struct arb_set target = arb_set_of(set, count);
    struct arb_sync_step step = arb_sync_plan(&in, &target);
    struct state y = *x;
    assert_true(step.kind != ARB_SYNC_STUCK);
    switch (step.kind) {
    case ARB_SYNC_WIDEN:
    case ARB_SYNC_NARROW:
        y.v = set_of(&step.set.names);
        y.r = step.set.count;
        break;
    case ARB_SYNC_DATABASE:
        y.s = set_of(&step.set.names);
        y.k = step.set.count;
        y.b = 0;
        break;
    case ARB_SYNC_WAIT:
        y.b = y.b == 0 ? y.w + 1 : y.b;
        break;
    case ARB_SYNC_DONE:
    case ARB_SYNC_STUCK:
        return;
    }
    visit(q, y);
}

static struct search explore(void)
{
    struct search q = {.seen = calloc(1, CODES / 8 + 1),
                       .todo = calloc(CODES, sizeof(struct state))};
    assert_non_null(q.seen);
    assert_non_null(q.todo);
    for (unsigned set = 0; set < SETS; set++) {
        for (unsigned count = set == 0 ? 0 : 1; count <= size_of(set); count++) {
            visit(&q, (struct state){.v = set, .r = count, .s = set, .k = count});
        }
    }
    while (q.todo_count > 0 && !q.is_lost) {
        struct state x = q.todo[--q.todo_count];
        writes(&q, &x);
        for (unsigned set = 0; set < SETS; set++) {
            for (unsigned count = set == 0 ? 0 : 1; count <= size_of(set); count++) {
                plan(&q, &x, set, count);
            }
        }
    }
    free(q.seen);
    free(q.todo);
    return q;
}

static void test_no_acknowledged_commit_is_lost_in_any_state(void **state)
{
    (void)state;
    struct search q = explore();
    assert_false(q.is_lost);
    assert_true(q.states > 10000);
}

#ifdef QUORATE_CANARIES
static void test_canary_without_the_barrier_a_commit_is_lost(void **state)
{
    (void)state;
    assert_true(base_canary_select("sync-set-no-barrier"));
    struct search q = explore();
    assert_true(base_canary_select(NULL));
    assert_true(q.is_lost);
}
#endif

/* |S \ V| <= k - r against brute force over all pairs of sets. */
static void test_the_counting_rule_is_exact(void **state)
{
    (void)state;
    for (unsigned v = 0; v < SETS; v++) {
        for (unsigned s = 0; s < SETS; s++) {
            for (unsigned k = 1; k <= size_of(s); k++) {
                for (unsigned r = 1; r <= size_of(v); r++) {
                    struct arb_set record = arb_set_of(v, r);
                    struct arb_set database = arb_set_of(s, k);
                    unsigned needed = arb_votes_needed(&record);
                    bool is_safe = true;
                    for (unsigned a = 0; a < SETS; a++) {
                        for (unsigned b = 0; b < SETS; b++) {
                            bool is_ack = (a & ~s) == 0 && size_of(a) == k;
                            bool is_vote = (b & ~v) == 0 && size_of(b) == needed;
                            is_safe = is_safe && !(is_ack && is_vote && (a & b) == 0);
                        }
                    }
                    assert_int_equal(arb_sync_is_safe(&record, &database), is_safe);
                }
            }
        }
    }
}

static void test_votes_needed(void **state)
{
    (void)state;
    for (unsigned set = 0; set < SETS; set++) {
        struct arb_set none = arb_set_of(set, 0);
        assert_int_equal(arb_votes_needed(&none), 0); /* no number suffices */
        for (unsigned r = 1; r <= N + 1; r++) {
            struct arb_set record = arb_set_of(set, r);
            int plain = (int)size_of(set) - (int)r + 1;
            assert_int_equal(arb_votes_needed(&record), plain > 1 ? plain : 1);
        }
    }
}

/* The last standby goes: the record says r = 0 first, then the primary goes on alone, then V is
 * emptied. */
static void test_the_order_when_the_last_standby_goes(void **state)
{
    (void)state;
    struct arb_set alone = arb_set_of(0, 0);
    struct arb_sync_state x = {arb_set_of(1, 1), true, arb_set_of(1, 1), true};
    struct arb_sync_step step = arb_sync_plan(&x, &alone);
    assert_int_equal(step.kind, ARB_SYNC_WIDEN);
    assert_int_equal(step.set.count, 0);
    assert_int_equal(step.set.names.count, 1);
    x.record = step.set;
    step = arb_sync_plan(&x, &alone);
    assert_int_equal(step.kind, ARB_SYNC_DATABASE);
    x.database = step.set;
    x.is_barrier_passed = false; /* none have to have it */
    step = arb_sync_plan(&x, &alone);
    assert_int_equal(step.kind, ARB_SYNC_NARROW);
    x.record = step.set;
    assert_int_equal(arb_sync_plan(&x, &alone).kind, ARB_SYNC_DONE);
}

static void test_an_unknown_database_never_narrows(void **state)
{
    (void)state;
    for (unsigned v = 0; v < SETS; v++) {
        for (unsigned r = 0; r <= size_of(v); r++) {
            for (unsigned t = 0; t < SETS; t++) {
                for (unsigned count = t == 0 ? 0 : 1; count <= size_of(t); count++) {
                    struct arb_sync_state x = {arb_set_of(v, r), false, arb_set_of(t, count), true};
                    struct arb_set target = arb_set_of(t, count);
                    struct arb_sync_step step = arb_sync_plan(&x, &target);
                    assert_true(step.kind == ARB_SYNC_WIDEN || step.kind == ARB_SYNC_DATABASE);
                    if (step.kind == ARB_SYNC_WIDEN) {
                        assert_true(arb_names_within(&x.record.names, &step.set.names));
                        assert_true(step.set.count <= r);
                    }
                }
            }
        }
    }
}

static void test_sets_of_names(void **state)
{
    (void)state;
    struct msg_names set = {0};
    for (int i = 0; i < MSG_MEMBERS_MAX; i++) {
        struct base_name name = {{(char)('a' + (i * 7) % MSG_MEMBERS_MAX)}};
        assert_int_equal(arb_names_add(&set, &name), 0);
        assert_int_equal(arb_names_add(&set, &name), 0);
        assert_true(arb_names_check(&set));
    }
    struct base_name more = {{'z'}};
    assert_int_equal(arb_names_add(&set, &more), BASE_E_TOOBIG);
    arb_names_remove(&set, &more);
    assert_int_equal(set.count, MSG_MEMBERS_MAX);
    struct base_name first = {{'a'}};
    arb_names_remove(&set, &first);
    assert_false(arb_names_has(&set, &first));
    assert_true(arb_names_check(&set));
    assert_int_equal(set.count, MSG_MEMBERS_MAX - 1);
    set.names[1] = set.names[0];
    assert_false(arb_names_check(&set));
}

static int setup(void **state)
{
    (void)state;
    make_names();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_of_names),
        cmocka_unit_test(test_votes_needed),
        cmocka_unit_test(test_the_counting_rule_is_exact),
        cmocka_unit_test(test_the_order_when_the_last_standby_goes),
        cmocka_unit_test(test_an_unknown_database_never_narrows),
        cmocka_unit_test(test_no_acknowledged_commit_is_lost_in_any_state),
#ifdef QUORATE_CANARIES
        cmocka_unit_test(test_canary_without_the_barrier_a_commit_is_lost),
#endif
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, setup, NULL);
}
