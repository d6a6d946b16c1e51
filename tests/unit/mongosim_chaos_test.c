/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a MongoDB replica set is safe, whatever goes wrong: one winner a term, and what was
 * acknowledged with the majority is never lost while nobody forces anything or forgets a vote. */
#include "tests/unit/mongosim_rig.h"

struct watched {
    struct rig *rig;
    uint64_t lost;
};

static void heard(void *ctx, unsigned node, enum mset_event_kind kind, uint64_t a, uint64_t b)
{
    struct watched *w = ctx;
    (void)a;
    (void)b;
    if (kind == MSET_EV_WRITABLE) {
        w->lost += mset_judge(w->rig->set, node);
    }
}

static void strike(struct rig *r, struct base_rand *rand, unsigned nodes)
{
    unsigned a = (unsigned)base_rand_between(rand, 0, nodes - 1);
    unsigned b = (unsigned)base_rand_between(rand, 0, nodes - 1);
    struct mset_link link = {.is_cut = base_rand_chance_ppm(rand, 500000), .drop_ppm = 50000};
    switch (base_rand_between(rand, 0, 7)) {
    case 0:
        mset_crash(r->set, a);
        break;
    case 1:
        mset_pause(r->set, a, !mset_is_paused(r->set, a));
        break;
    case 2:
        mset_link_set(r->set, a, b, &link);
        break;
    case 3:
        mset_disk_stuck(r->set, a, true);
        break;
    case 4:
        mset_applier_blocked(r->set, a, true);
        break;
    case 5: {
        struct mset_command c = {.kind = base_rand_chance_ppm(rand, 500000) ? MSET_STEP_UP
                                                                            : MSET_STEP_DOWN,
                                 .is_forced = true,
                                 .seconds = 20,
                                 .max_time_ms = 2000};
        (void)mset_command(r->set, a, &c);
        break;
    }
    default:
        for (unsigned i = 0; i < nodes; i++) {
            mset_start(r->set, i);
        }
        mset_heal(r->set);
        break;
    }
}

static void chaos(uint64_t seed, unsigned data, unsigned arbiters, unsigned release)
{
    struct rig r;
    struct watched w = {.rig = &r};
    struct mset_truth truth;
    struct base_rand rand = base_rand_make(seed, 77);
    found(&r, seed, release, data, arbiters);
    mset_listen(r.set, heard, &w);
    for (int i = 0; i < 400; i++) {
        for (unsigned n = 0; n < data; n++) {
            struct mset_command c = {.kind = MSET_WRITE,
                                     .tag = 1000000 + ++r.tag,
                                     .value = ++r.value,
                                     .w = MSET_W_MAJORITY,
                                     .max_time_ms = 2000};
            (void)mset_command(r.set, n, &c);
        }
        if (i < 300 && i % 3 == 0) {
            strike(&r, &rand, data + arbiters);
        } else if (i == 300) {
            for (unsigned n = 0; n < data + arbiters; n++) {
                mset_start(r.set, n);
            }
            mset_heal(r.set);
        }
        run(&r, (int64_t)base_rand_between(&rand, 100 * 1000, 1500 * 1000));
        while (mset_take_reply(r.set, &r.reply)) {
        }
    }
    mset_truth(r.set, &truth);
    assert_int_equal(truth.twice_won, 0);
    assert_int_equal(truth.committed_rolled_back, 0);
    assert_int_equal(w.lost, 0);
    assert_true(truth.majority_acked > 50);
    assert_int_equal(mset_judge(r.set, primary_of(&r)), 0);
    assert_int_equal(write_w(&r, primary_of(&r), MSET_W_MAJORITY, 20000), MSET_OK);
    rig_close(&r);
}

static void test_chaos(void **state)
{
    static const unsigned releases[] = {42, 44, 50, 60, 70, 80};
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        chaos(seed, seed % 3 == 0 ? 2 : seed % 3 == 1 ? 3 : 5, seed % 3 == 0, releases[seed % 6]);
    }
}

/* A directory that forgot its vote can give it twice: the model says so, and knows who is to blame.
 */
static void test_forgotten_vote(void **state)
{
    struct rig r;
    struct mset_truth truth;
    (void)state;
    found(&r, 16, 70, 3, 0);
    unsigned p = primary_of(&r), s = other_data(p);
    mset_image(r.set, s);
    assert_int_equal(write_w(&r, p, MSET_W_MAJORITY, 0), MSET_OK);
    mset_crash(r.set, s);
    mset_restore(r.set, s);
    mset_truth(r.set, &truth);
    assert_true(truth.is_vote_forgotten);
    mset_start(r.set, s);
    run(&r, 10 * SECOND);
    assert_int_equal(mset_judge(r.set, s), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chaos),
        cmocka_unit_test(test_forgotten_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
