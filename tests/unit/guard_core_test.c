/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the guard's decisions: one test a rule of safety.md section 3, and a random walk
 * against a small model that knows only what must never be. */
#include "base/canary.h"
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "agents/guard/core.h"
#include "agents/guard/frame.h"
#include "agents/guard/watchdog_rule.h"
#include "base/rand.h"

#define MS(n) ((struct base_mono){(int64_t)(n)*1000})
#define MARGIN_US INT64_C(40000)

struct world {
    struct guard_core core;
    struct guard_effects fx;
};

static int step(struct world *w, enum guard_event_kind kind, int at_ms, int32_t number)
{
    struct guard_event ev = {.kind = kind, .now = MS(at_ms), .number = number};
    return guard_core_step(&w->core, &ev, &w->fx);
}

static int step_epoch(struct world *w, enum guard_event_kind kind, int at_ms, uint64_t epoch)
{
    struct guard_event ev = {.kind = kind, .now = MS(at_ms), .epoch = epoch};
    return guard_core_step(&w->core, &ev, &w->fx);
}

static int arm(struct world *w, int at_ms, uint64_t epoch, int deadline_ms)
{
    struct guard_event ev = {.kind = GUARD_EV_ARM,
                             .now = MS(at_ms),
                             .epoch = epoch,
                             .deadline = MS(deadline_ms),
                             .freeze_max_us = 3000000};
    return guard_core_step(&w->core, &ev, &w->fx);
}

static bool has_effect(const struct world *w, enum guard_effect_kind kind)
{
    for (int i = 0; i < w->fx.count; i++) {
        if (w->fx.list[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static struct world world_make(void)
{
    struct world w;
    memset(&w, 0, sizeof(w));
    guard_core_init(&w.core, 77, MARGIN_US, MS(0));
    return w;
}

/* A running tree armed for epoch 5 until 1000 ms. */
static struct world world_armed(void)
{
    struct world w = world_make();
    assert_int_equal(step(&w, GUARD_EV_START, 1, 0), 0);
    assert_true(has_effect(&w, GUARD_FX_START));
    assert_int_equal(step(&w, GUARD_EV_STARTED, 1, 4242), 0);
    assert_int_equal(arm(&w, 2, 5, 1000), 0);
    return w;
}

static struct world world_frozen(void)
{
    struct world w = world_armed();
    assert_int_equal(step(&w, GUARD_EV_TIME, 1000, 0), 0);
    assert_int_equal(step(&w, GUARD_EV_TREE_STOPPED, 1003, 0), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    return w;
}

static void test_freezes_at_deadline(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(guard_core_wake(&w.core).us, MS(1000).us);
    step(&w, GUARD_EV_TIME, 999, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    step(&w, GUARD_EV_TIME, 1000, 0);
    assert_true(has_effect(&w, GUARD_FX_FREEZE));
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    step(&w, GUARD_EV_TREE_STOPPED, 1003, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(w.core.status.freeze_us, 3000);
    assert_int_equal(guard_core_wake(&w.core).us, MS(4000).us);
}

static void test_unarmed_is_never_frozen(void **state)
{
    (void)state;
    struct world w = world_make();
    step(&w, GUARD_EV_START, 1, 0);
    step(&w, GUARD_EV_TIME, 1000000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    assert_int_equal(guard_core_wake(&w.core).us, INT64_MAX);
    assert_int_equal(guard_core_due(&w.core).us, INT64_MAX);
}

static void test_not_stopped_in_a_quarter_is_killed(void **state)
{
    (void)state;
    struct world w = world_armed();
    step(&w, GUARD_EV_TIME, 1000, 0);
    step(&w, GUARD_EV_TIME, 1009, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    step(&w, GUARD_EV_TREE_STOPPED, 1010, 0);
    assert_true(has_effect(&w, GUARD_FX_KILL));
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_without_a_margin_the_default_counts(void **state)
{
    (void)state;
    struct world w = world_make();
    guard_core_init(&w.core, 77, 0, MS(0));
    step(&w, GUARD_EV_START, 1, 0);
    step(&w, GUARD_EV_STARTED, 1, 4242);
    arm(&w, 2, 5, 1000);
    step(&w, GUARD_EV_TIME, 1000, 0);
    step(&w, GUARD_EV_TIME, 1049, 0); /* a quarter of 200 ms */
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    step(&w, GUARD_EV_TIME, 1050, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_deadline_never_earlier(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(arm(&w, 3, 5, 900), 0);
    assert_int_equal(w.core.status.deadline.us, MS(1000).us);
    assert_int_equal(arm(&w, 3, 5, 1100), 0);
    assert_int_equal(w.core.status.deadline.us, MS(1100).us);
    step(&w, GUARD_EV_DISARM, 4, 0);
    assert_int_equal(arm(&w, 5, 5, 700), 0);
    assert_true(w.core.status.is_armed);
    assert_int_equal(w.core.status.deadline.us, MS(1100).us);
    assert_int_equal(arm(&w, 6, 6, 700), 0); /* a new epoch has its own */
    assert_int_equal(w.core.status.deadline.us, MS(700).us);
}

static void test_lower_epoch_refused(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(arm(&w, 3, 4, 2000), BASE_E_CONFLICT);
    assert_int_equal(arm(&w, 3, 0, 2000), BASE_E_CONFLICT);
    assert_int_equal(w.core.status.epoch, 5);
    assert_int_equal(w.core.status.deadline.us, MS(1000).us);
    step_epoch(&w, GUARD_EV_EPOCH_SEEN, 4, 6);
    assert_int_equal(arm(&w, 5, 5, 2000), BASE_E_CONFLICT);
    assert_int_equal(arm(&w, 5, 6, 2000), 0);
}

static void test_absurd_deadline_refused(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(arm(&w, 3, 5, 3 + 121 * 1000), BASE_E_RANGE);
    assert_int_equal(w.core.status.deadline.us, MS(1000).us);
}

static void test_thaw_only_by_same_epoch_ahead(void **state)
{
    (void)state;
    struct world w = world_frozen();
    assert_int_equal(arm(&w, 1500, 5, 1400), 0); /* later than the old one, yet over */
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(arm(&w, 1500, 5, 1500), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(arm(&w, 1500, 5, 2000), 0);
    assert_true(has_effect(&w, GUARD_FX_THAW));
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    step(&w, GUARD_EV_TIME, 2000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
}

static void test_thaw_while_freezing(void **state)
{
    (void)state;
    struct world w = world_armed();
    step(&w, GUARD_EV_TIME, 1000, 0);
    assert_int_equal(arm(&w, 1002, 5, 2000), 0);
    assert_true(has_effect(&w, GUARD_FX_THAW));
    step(&w, GUARD_EV_TREE_STOPPED, 1003, 0); /* came too late to matter */
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
}

static void test_freeze_max_over_kills(void **state)
{
    (void)state;
    struct world w = world_frozen();
    step(&w, GUARD_EV_TIME, 3999, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(arm(&w, 4000, 5, 9000), 0); /* the time comes first */
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
    assert_false(has_effect(&w, GUARD_FX_THAW));
}

static void test_higher_epoch_kills_frozen(void **state)
{
    (void)state;
    struct world w = world_frozen();
    assert_int_equal(arm(&w, 1100, 6, 9000), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
    w = world_frozen();
    step_epoch(&w, GUARD_EV_EPOCH_SEEN, 1100, 5);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    step_epoch(&w, GUARD_EV_EPOCH_SEEN, 1100, 6);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_disarm_and_signal_not_while_frozen(void **state)
{
    (void)state;
    struct world w = world_frozen();
    assert_int_equal(step(&w, GUARD_EV_DISARM, 1100, 0), BASE_E_STATE);
    assert_int_equal(step(&w, GUARD_EV_SIGNAL, 1100, 2), BASE_E_STATE);
    assert_true(w.core.status.is_armed);
}

static void test_disarm_ends_the_deadline(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(step(&w, GUARD_EV_DISARM, 3, 0), 0);
    step(&w, GUARD_EV_TIME, 5000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    w = world_armed();
    assert_int_equal(step(&w, GUARD_EV_DISARM, 1000, 0), BASE_E_STATE); /* too late: frozen first */
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
}

static void test_signals_allowed(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(step(&w, GUARD_EV_SIGNAL, 3, 1), 0);
    assert_true(has_effect(&w, GUARD_FX_SIGNAL));
    assert_int_equal(step(&w, GUARD_EV_SIGNAL, 3, 9), BASE_E_RANGE);
    assert_int_equal(step(&w, GUARD_EV_SIGNAL, 3, 18), BASE_E_RANGE);
    assert_int_equal(step(&w, GUARD_EV_SIGNAL, 3, 19), BASE_E_RANGE);
}

static void test_hand_back_only_when_gone_and_final(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(step_epoch(&w, GUARD_EV_HAND_BACK, 3, 5), BASE_E_STATE);
    step(&w, GUARD_EV_ROOT_EXIT, 4, 0x100);
    assert_int_equal(w.core.status.tree, GUARD_TREE_ROOT_EXITED);
    assert_true(has_effect(&w, GUARD_FX_KILL));
    assert_int_equal(step_epoch(&w, GUARD_EV_HAND_BACK, 5, 5), BASE_E_STATE);
    step(&w, GUARD_EV_TREE_EMPTY, 6, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_GONE);
    assert_int_equal(w.core.status.exit_status, 0x100);
    assert_true(w.core.status.is_armed);
    assert_int_equal(step_epoch(&w, GUARD_EV_HAND_BACK, 7, 5), 0);
    assert_false(w.core.status.is_armed);
    assert_int_equal(arm(&w, 8, 5, 2000), BASE_E_CONFLICT);
    assert_int_equal(arm(&w, 8, 4, 2000), BASE_E_CONFLICT);
    assert_int_equal(arm(&w, 8, 6, 2000), 0);
    assert_int_equal(step_epoch(&w, GUARD_EV_HAND_BACK, 9, 5), 0); /* a doubled one does no harm */
    assert_true(w.core.status.is_armed);
}

static void test_restart_in_place_needs_lease_ahead(void **state)
{
    (void)state;
    struct world w = world_armed();
    step(&w, GUARD_EV_ROOT_EXIT, 4, 0x100);
    step(&w, GUARD_EV_TREE_EMPTY, 5, 0);
    struct world late = w;
    assert_int_equal(step(&w, GUARD_EV_START, 6, 0), 0);
    assert_int_equal(w.core.status.starts, 2);
    step(&w, GUARD_EV_TIME, 1000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    assert_int_equal(step(&late, GUARD_EV_START, 1000, 0), BASE_E_STATE);
    assert_int_equal(step_epoch(&late, GUARD_EV_HAND_BACK, 1001, 5), 0);
    assert_int_equal(step(&late, GUARD_EV_START, 1002, 0), 0);
}

static void test_start_only_when_gone(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(step(&w, GUARD_EV_START, 3, 0), BASE_E_STATE);
    assert_int_equal(step(&w, GUARD_EV_KILL, 4, 0), 0);
    assert_int_equal(step(&w, GUARD_EV_START, 5, 0), BASE_E_STATE);
    step(&w, GUARD_EV_ROOT_EXIT, 6, 9);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
    assert_int_equal(guard_core_due(&w.core).us, MS(4).us);
    step(&w, GUARD_EV_TREE_EMPTY, 7, 0);
    assert_int_equal(step(&w, GUARD_EV_START, 8, 0), 0);
    step(&w, GUARD_EV_START_FAILED, 9, 127 << 8);
    assert_int_equal(w.core.status.tree, GUARD_TREE_GONE);
}

static void test_twin_lost_kills_and_ends(void **state)
{
    (void)state;
    struct world w = world_armed();
    w.core.status.has_twin = true;
    step(&w, GUARD_EV_TWIN_LOST, 3, 0);
    assert_false(w.core.status.has_twin);
    assert_true(has_effect(&w, GUARD_FX_KILL));
    assert_false(has_effect(&w, GUARD_FX_EXIT));
    step(&w, GUARD_EV_TREE_EMPTY, 5, 0);
    assert_true(has_effect(&w, GUARD_FX_EXIT));
    w = world_make();
    w.core.status.has_twin = true;
    step(&w, GUARD_EV_TERMINATE, 3, 0);
    assert_true(w.core.status.has_twin); /* it lives until the guard has ended */
    assert_true(has_effect(&w, GUARD_FX_EXIT));
    assert_int_equal(step(&w, GUARD_EV_START, 4, 0), BASE_E_STATE);
}

static void test_freeze_command(void **state)
{
    (void)state;
    struct world w = world_make();
    assert_int_equal(step(&w, GUARD_EV_FREEZE, 1, 0), BASE_E_STATE);
    step(&w, GUARD_EV_START, 1, 0);
    assert_int_equal(step(&w, GUARD_EV_FREEZE, 2, 0), 0);
    step(&w, GUARD_EV_TREE_STOPPED, 3, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FROZEN);
    step(&w, GUARD_EV_TIME, 3002, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_adopted(void **state)
{
    (void)state;
    struct world w = world_make();
    assert_int_equal(step(&w, GUARD_EV_ADOPTED, 1, 99), 0);
    assert_true(w.core.status.is_adopted);
    arm(&w, 2, 1, 50);
    step(&w, GUARD_EV_TIME, 50, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    step(&w, GUARD_EV_ROOT_EXIT, 51, 0);
    step(&w, GUARD_EV_TREE_EMPTY, 52, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_GONE);
    assert_false(w.core.status.is_adopted);
}

/* The way back of an adoption: unarmed, and never what the guard has started. */
static void test_released(void **state)
{
    (void)state;
    struct world w = world_make();
    assert_int_equal(step(&w, GUARD_EV_RELEASE, 1, 0), BASE_E_STATE);
    step(&w, GUARD_EV_START, 1, 0);
    assert_int_equal(step(&w, GUARD_EV_RELEASE, 2, 0), BASE_E_STATE);
    w = world_make();
    step(&w, GUARD_EV_ADOPTED, 1, 99);
    arm(&w, 2, 1, 5000);
    assert_int_equal(step(&w, GUARD_EV_RELEASE, 3, 0), BASE_E_STATE);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    step(&w, GUARD_EV_DISARM, 4, 0);
    assert_int_equal(step(&w, GUARD_EV_RELEASE, 5, 0), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_GONE);
    assert_true(w.core.is_ending);
}

/* What must never be, over random events: the model holds only promises, not the machine's states.
 */
static void random_walk(uint64_t seed)
{
    struct base_rand r = base_rand_make(seed, 1);
    struct world w = world_make();
    uint64_t epoch_highest = 0, handed_back = 0;
    bool is_empty = true;
    int now = 10;
    for (int i = 0; i < 400; i++) {
        now += (int)base_rand_between(&r, 0, 30);
        enum guard_tree was = w.core.status.tree;
        struct base_mono deadline_was = w.core.status.deadline;
        uint64_t epoch_was = w.core.status.epoch;
        struct guard_event ev = {.kind =
                                     (enum guard_event_kind)base_rand_between(&r, 1, GUARD_EV_TIME),
                                 .now = MS(now),
                                 .epoch = base_rand_between(&r, 1, 6 + (uint64_t)i / 40),
                                 .deadline = MS(now - 20 + (int)base_rand_between(&r, 0, 200)),
                                 .freeze_max_us = 100000,
                                 .number = 1};
        bool tree_empties = ev.kind == GUARD_EV_TREE_EMPTY || ev.kind == GUARD_EV_START_FAILED;
        if (ev.kind == GUARD_EV_TWIN_LOST || ev.kind == GUARD_EV_TERMINATE ||
            ev.kind == GUARD_EV_RELEASE || /* it ends, too, with a tree that it leaves */
            (ev.kind == GUARD_EV_STARTED && was != GUARD_TREE_RUNNING) ||
            (ev.kind == GUARD_EV_START_FAILED && was != GUARD_TREE_RUNNING) ||
            (ev.kind == GUARD_EV_ROOT_EXIT && was == GUARD_TREE_GONE)) {
            continue;
        }
        int rc = guard_core_step(&w.core, &ev, &w.fx);
        const struct guard_status *st = &w.core.status;
        is_empty = (is_empty && !has_effect(&w, GUARD_FX_START) && st->tree == GUARD_TREE_GONE) ||
                   (tree_empties && st->tree == GUARD_TREE_GONE);
        /* gone is said only of an empty tree, handed back only then, and for ever */
        assert_true(st->tree != GUARD_TREE_GONE || is_empty);
        if (ev.kind == GUARD_EV_HAND_BACK && rc == 0) {
            assert_int_equal(was, GUARD_TREE_GONE);
            handed_back = ev.epoch > handed_back ? ev.epoch : handed_back;
        }
        assert_true(!st->is_armed || st->epoch > handed_back);
        assert_int_equal(st->epoch_handed_back, handed_back);
        /* epochs only grow, deadlines of one epoch too */
        assert_true(st->epoch >= epoch_highest);
        assert_true(st->epoch != epoch_was || st->deadline.us >= deadline_was.us);
        epoch_highest = st->epoch;
        /* nobody runs armed beyond the deadline, and a kill is never taken back */
        assert_true(st->tree != GUARD_TREE_RUNNING || !st->is_armed ||
                    MS(now).us < st->deadline.us);
        if (was == GUARD_TREE_KILLING || was == GUARD_TREE_ROOT_EXITED) {
            assert_true(st->tree == was || st->tree == GUARD_TREE_GONE);
        }
        if (has_effect(&w, GUARD_FX_THAW)) {
            assert_int_equal(ev.kind, GUARD_EV_ARM);
            assert_int_equal(ev.epoch, epoch_was);
            assert_true(ev.deadline.us > ev.now.us);
        }
        assert_true(guard_core_check(&w.core));
    }
}

static void test_random_walks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        random_walk(seed);
    }
}

static void test_frames_round_trip(void **state)
{
    (void)state;
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_command in = {.type = GUARD_FRAME_ARM,
                               .cookie = 9,
                               .epoch = 1ull << 40,
                               .deadline = {-5},
                               .freeze_max_us = 3,
                               .margin_us = 4,
                               .signal_number = 15};
    struct guard_command out;
    guard_command_encode(&in, frame);
    assert_int_equal(guard_command_decode(frame, &out), 0);
    assert_int_equal(out.epoch, in.epoch);
    assert_int_equal(out.deadline.us, -5);
    assert_int_equal(out.signal_number, 15);
    for (size_t i = 0; i < sizeof(frame); i++) {
        frame[i] ^= 0x10;
        assert_int_equal(guard_command_decode(frame, &out), BASE_E_PROTO);
        frame[i] ^= 0x10;
    }
    struct guard_answer answer = {.status = world_frozen().core.status,
                                  .cookie = 3,
                                  .result = BASE_E_STATE,
                                  .upgrades = 2,
                                  .may_command = true};
    struct guard_answer back;
    guard_answer_encode(&answer, frame);
    assert_int_equal(guard_command_decode(frame, &out), BASE_E_PROTO);
    assert_int_equal(guard_answer_decode(frame, &back), 0);
    assert_int_equal(back.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(back.status.root_pid, 4242);
    assert_int_equal(back.status.deadline.us, MS(1000).us);
    assert_int_equal(back.result, BASE_E_STATE);
    assert_true(back.may_command && back.status.is_armed && !back.status.is_adopted);
}

/* A new image of the same guard goes on with the same duty; it takes over nothing half done. */
static void test_a_resumed_guard_freezes_at_the_same_deadline(void **state)
{
    struct world w = world_make(), next = world_make();
    (void)state;
    assert_int_equal(step(&w, GUARD_EV_START, 1, 0), 0);
    assert_int_equal(step(&w, GUARD_EV_STARTED, 2, 100), 0);
    assert_int_equal(arm(&w, 3, 7, 1000), 0);
    assert_int_equal(guard_core_resume(&next.core, &w.core.status, 3000000, 7), 0);
    assert_int_equal(guard_core_wake(&next.core).us, guard_core_wake(&w.core).us);
    assert_int_equal(arm(&next, 4, 6, 2000), BASE_E_CONFLICT);
    assert_int_equal(step(&next, GUARD_EV_TIME, 1000, 0), 0);
    assert_true(has_effect(&next, GUARD_FX_FREEZE));
    struct guard_core before = next.core;
    assert_int_equal(guard_core_resume(&next.core, &next.core.status, 3000000, 7), BASE_E_INVALID);
    assert_memory_equal(&before, &next.core, sizeof(before));
}

static bool is_resumed(struct guard_status status, int64_t freeze_max_us, uint64_t epoch_seen)
{
    struct guard_core core;
    return guard_core_resume(&core, &status, freeze_max_us, epoch_seen) == 0;
}

static void test_a_state_that_contradicts_itself_is_not_resumed(void **state)
{
    (void)state;
    struct world w = world_make();
    assert_int_equal(step(&w, GUARD_EV_START, 1, 0), 0);
    assert_int_equal(step(&w, GUARD_EV_STARTED, 2, 100), 0);
    assert_int_equal(arm(&w, 3, 7, 1000), 0);
    struct guard_status bad[4];
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        bad[i] = w.core.status;
    }
    bad[0].margin_us = 0;
    bad[1].soft_us = -1;
    bad[2].epoch_handed_back = 7;
    bad[3].tree = GUARD_TREE_GONE; /* and there is a process */
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_false(is_resumed(bad[i], 0, 7));
    }
    assert_false(is_resumed(w.core.status, -1, 7));
    assert_false(is_resumed(w.core.status, 0, 6));
    assert_true(is_resumed(w.core.status, 0, 7));
}

/* A watchdog that counts to 1 s: fed only as long as it would fire by the deadline at the latest,
 * or when the tree stands still. */
static void test_watchdog_rule(void **state)
{
    const int64_t second = BASE_US_PER_S;
    (void)state;
    struct world w = world_make();
    assert_false(guard_watchdog_is_wanted(&w.core.status, MS(0)));
    assert_int_equal(arm(&w, 1, 5, 3000), 0);
    assert_true(guard_watchdog_is_wanted(&w.core.status, MS(2999)));
    assert_false(guard_watchdog_is_wanted(&w.core.status, MS(3000))); /* nothing there, and over */
    step(&w, GUARD_EV_START, 2, 0);
    step(&w, GUARD_EV_STARTED, 3, 100);
    assert_true(guard_watchdog_is_wanted(&w.core.status, MS(3000)));
    assert_true(guard_watchdog_may_feed(&w.core.status, MS(2000), second));
    assert_false(guard_watchdog_may_feed(&w.core.status, MS(2001), second));
    step(&w, GUARD_EV_TIME, 3000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    assert_false(guard_watchdog_may_feed(&w.core.status, MS(3001), second));
    step(&w, GUARD_EV_TREE_STOPPED, 3002, 0);
    assert_true(guard_watchdog_may_feed(&w.core.status, MS(3002), second));
    step(&w, GUARD_EV_KILL, 3003, 0);
    assert_false(guard_watchdog_may_feed(&w.core.status, MS(3003), second));
    step(&w, GUARD_EV_TREE_EMPTY, 3004, 0);
    assert_true(guard_watchdog_may_feed(&w.core.status, MS(3004), second));
    assert_false(guard_watchdog_is_wanted(&w.core.status, MS(3004)));
}

/* With a watchdog the tree must stand still before the device could fire. */
static void test_a_lead_freezes_early(void **state)
{
    (void)state;
    struct world w = world_make();
    int64_t lead = guard_watchdog_lead_us(&w.core.status, BASE_US_PER_S);
    assert_int_equal(lead, guard_watchdog_period_us(BASE_US_PER_S) + w.core.status.margin_us / 2);
    guard_core_lead_set(&w.core, 200 * BASE_US_PER_MS);
    step(&w, GUARD_EV_START, 1, 0);
    step(&w, GUARD_EV_STARTED, 2, 100);
    assert_int_equal(arm(&w, 3, 5, 1000), 0);
    assert_int_equal(guard_core_wake(&w.core).us, MS(800).us);
    assert_int_equal(guard_core_due(&w.core).us, MS(800).us);
    step(&w, GUARD_EV_TIME, 799, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    step(&w, GUARD_EV_TIME, 800, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    assert_int_equal(arm(&w, 801, 5, 1001), 0); /* newer, but over by the lead */
    assert_int_equal(w.core.status.tree, GUARD_TREE_FREEZING);
    assert_int_equal(arm(&w, 802, 5, 2000), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
}

static int arm_soft(struct world *w, int at_ms, uint64_t epoch, int deadline_ms)
{
    struct guard_event ev = {.kind = GUARD_EV_ARM,
                             .now = MS(at_ms),
                             .epoch = epoch,
                             .deadline = MS(deadline_ms),
                             .soft_us = BASE_US_PER_S};
    return guard_core_step(&w->core, &ev, &w->fx);
}

static int release(struct world *w, int at_ms, uint64_t epoch)
{
    struct guard_event ev = {
        .kind = GUARD_EV_HAND_BACK, .now = MS(at_ms), .epoch = epoch, .soft_us = 1};
    return guard_core_step(&w->core, &ev, &w->fx);
}

static struct world world_soft(void)
{
    struct world w = world_make();
    step(&w, GUARD_EV_START, 1, 0);
    step(&w, GUARD_EV_STARTED, 1, 4242);
    assert_int_equal(arm_soft(&w, 2, 5, 1000), 0);
    return w;
}

/* An engine that fences itself: never frozen, killed when its word has not come in time. */
static void test_soft_is_killed_after_its_second(void **state)
{
    (void)state;
    struct world w = world_soft();
    assert_int_equal(guard_core_wake(&w.core).us, MS(2000).us);
    assert_int_equal(guard_core_due(&w.core).us, MS(2000).us);
    step(&w, GUARD_EV_TIME, 1999, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    assert_false(has_effect(&w, GUARD_FX_FREEZE));
    step(&w, GUARD_EV_TIME, 2000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
    assert_true(has_effect(&w, GUARD_FX_KILL));
    assert_false(has_effect(&w, GUARD_FX_FREEZE));
}

/* However short it is, and whether or not any engine can be as quick. */
static void test_soft_of_an_instant_is_killed_as_well(void **state)
{
    (void)state;
    struct world w = world_make();
    struct guard_event ev = {
        .kind = GUARD_EV_ARM, .now = MS(2), .epoch = 5, .deadline = MS(1000), .soft_us = 1};
    step(&w, GUARD_EV_START, 1, 0);
    step(&w, GUARD_EV_STARTED, 1, 4242);
    assert_int_equal(guard_core_step(&w.core, &ev, &w.fx), 0);
    step(&w, GUARD_EV_TIME, 1001, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_soft_goes_on_with_a_later_grant(void **state)
{
    (void)state;
    struct world w = world_soft();
    assert_int_equal(arm_soft(&w, 1500, 5, 3000), 0);
    step(&w, GUARD_EV_TIME, 3999, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    step(&w, GUARD_EV_TIME, 4000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_KILLING);
}

static void test_soft_is_released_while_it_runs(void **state)
{
    (void)state;
    struct world w = world_soft();
    assert_int_equal(step_epoch(&w, GUARD_EV_HAND_BACK, 1100, 5), BASE_E_STATE);
    assert_int_equal(release(&w, 1100, 5), 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    assert_int_equal(w.core.status.epoch_handed_back, 5);
    assert_false(w.core.status.is_armed);
    step(&w, GUARD_EV_TIME, 1000000, 0);
    assert_int_equal(w.core.status.tree, GUARD_TREE_RUNNING);
    assert_int_equal(arm_soft(&w, 1000001, 5, 1002000), BASE_E_CONFLICT);
    assert_int_equal(arm_soft(&w, 1000001, 6, 1002000), 0);
}

/* A tree that is frozen at its deadline is handed back when it is gone, whatever the agent says. */
static void test_a_frozen_kind_is_never_released(void **state)
{
    (void)state;
    struct world w = world_armed();
    assert_int_equal(release(&w, 500, 5), BASE_E_STATE);
    assert_int_equal(w.core.status.epoch_handed_back, 0);
    struct world was = world_soft();
    assert_int_equal(arm(&was, 3, 5, 1500), 0); /* from now on it is of that kind */
    assert_int_equal(release(&was, 500, 5), BASE_E_STATE);
    struct guard_event ev = {.kind = GUARD_EV_ARM,
                             .now = MS(700),
                             .epoch = 6,
                             .deadline = MS(2000),
                             .soft_us = GUARD_SOFT_MAX_US + 1};
    assert_int_equal(guard_core_step(&w.core, &ev, &w.fx), BASE_E_RANGE);
}

static void test_a_watchdog_waits_for_the_soft_end(void **state)
{
    (void)state;
    struct world w = world_soft();
    assert_true(guard_watchdog_may_feed(&w.core.status, MS(1000), BASE_US_PER_S));
    assert_false(guard_watchdog_may_feed(&w.core.status, MS(1001), BASE_US_PER_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soft_is_killed_after_its_second),
        cmocka_unit_test(test_soft_of_an_instant_is_killed_as_well),
        cmocka_unit_test(test_soft_goes_on_with_a_later_grant),
        cmocka_unit_test(test_soft_is_released_while_it_runs),
        cmocka_unit_test(test_a_frozen_kind_is_never_released),
        cmocka_unit_test(test_a_watchdog_waits_for_the_soft_end),
        cmocka_unit_test(test_freezes_at_deadline),
        cmocka_unit_test(test_unarmed_is_never_frozen),
        cmocka_unit_test(test_not_stopped_in_a_quarter_is_killed),
        cmocka_unit_test(test_without_a_margin_the_default_counts),
        cmocka_unit_test(test_deadline_never_earlier),
        cmocka_unit_test(test_lower_epoch_refused),
        cmocka_unit_test(test_absurd_deadline_refused),
        cmocka_unit_test(test_thaw_only_by_same_epoch_ahead),
        cmocka_unit_test(test_thaw_while_freezing),
        cmocka_unit_test(test_freeze_max_over_kills),
        cmocka_unit_test(test_higher_epoch_kills_frozen),
        cmocka_unit_test(test_disarm_and_signal_not_while_frozen),
        cmocka_unit_test(test_disarm_ends_the_deadline),
        cmocka_unit_test(test_signals_allowed),
        cmocka_unit_test(test_hand_back_only_when_gone_and_final),
        cmocka_unit_test(test_restart_in_place_needs_lease_ahead),
        cmocka_unit_test(test_start_only_when_gone),
        cmocka_unit_test(test_twin_lost_kills_and_ends),
        cmocka_unit_test(test_freeze_command),
        cmocka_unit_test(test_adopted),
        cmocka_unit_test(test_released),
        cmocka_unit_test(test_a_resumed_guard_freezes_at_the_same_deadline),
        cmocka_unit_test(test_a_state_that_contradicts_itself_is_not_resumed),
        cmocka_unit_test(test_watchdog_rule),
        cmocka_unit_test(test_a_lead_freezes_early),
        cmocka_unit_test(test_random_walks),
        cmocka_unit_test(test_frames_round_trip),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
