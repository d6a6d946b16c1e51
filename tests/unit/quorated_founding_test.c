/* SPDX-License-Identifier: Apache-2.0 */
/* A founder with an empty directory: the quorum is new, or it is late, or its disk is gone. Every
 * doubt is a refusal.
 */
#include "tests/support/cm.h"

#include "arbiter/quorated/founding.h"

static struct founding founders(size_t count)
{
    struct founding f = {.count = count, .self = 1};
    for (size_t i = 0; i < count; i++) {
        f.ids[i] = i + 1;
    }
    return f;
}

/* What `from` of `count` founders says; unheard is a list that ends with 0. */
static void say(struct founding *f, uint64_t from, bool has_log, const uint64_t *unheard)
{
    struct member_frame frame = {.kind = MEMBER_HERE, .has_log = has_log};
    frame.configuration.count = (uint8_t)f->count;
    for (size_t i = 0; i < f->count; i++) {
        frame.configuration.members[i].id = f->ids[i];
    }
    while (unheard[frame.unheard_count] != 0) {
        frame.unheard[frame.unheard_count] = unheard[frame.unheard_count];
        frame.unheard_count++;
    }
    founding_answer(f, from, &frame);
}

#define LIST(...) ((const uint64_t[]){__VA_ARGS__ 0})

static void a_new_quorum_is_new(void **state)
{
    (void)state;
    struct founding f = founders(3);
    assert_int_equal(founding_verdict(&f), FOUNDING_NEW);
    say(&f, 2, false, LIST());
    say(&f, 3, false, LIST(1, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_NEW);
}

static void the_third_of_three_is_late(void **state)
{
    (void)state;
    struct founding f = founders(3);
    say(&f, 2, true, LIST(1, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_WAIT); /* 3 may have heard of it */
    say(&f, 3, false, LIST(1, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_LATE);
}

static void who_was_heard_is_refused(void **state)
{
    (void)state;
    struct founding f = founders(3);
    say(&f, 2, true, LIST(1, ));
    say(&f, 3, true, LIST()); /* has heard of it, or was started again since */
    assert_int_equal(founding_verdict(&f), FOUNDING_REFUSED);
}

static void two_of_five_are_late(void **state)
{
    (void)state;
    struct founding f = founders(5);
    say(&f, 3, true, LIST(1, 2, ));
    say(&f, 4, true, LIST(1, 2, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_WAIT); /* two are no majority */
    say(&f, 5, true, LIST(1, 2, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_LATE);
}

static void a_silent_one_that_was_heard_leaves_a_doubt(void **state)
{
    (void)state;
    struct founding f = founders(5);
    say(&f, 3, true, LIST(1, 2, ));
    say(&f, 4, true, LIST(1, )); /* 2 may have led, and counted an answer of 1 */
    say(&f, 5, true, LIST(1, 2, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_WAIT);
    say(&f, 2, true, LIST(1, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_LATE);
}

static void after_a_change_of_members_it_is_refused(void **state)
{
    (void)state;
    for (uint64_t other = 0; other < 2; other++) {
        struct founding f = founders(3);
        struct member_frame frame = {.kind = MEMBER_HERE, .has_log = true};
        frame.unheard_count = 1;
        frame.unheard[0] = 1;
        frame.configuration.count = (uint8_t)(other + 2); /* one less, or another one */
        for (size_t i = 0; i < frame.configuration.count; i++) {
            frame.configuration.members[i].id = i == 2 ? 9 : i + 1;
        }
        founding_answer(&f, 2, &frame);
        founding_answer(&f, 3, &frame);
        assert_int_equal(founding_verdict(&f), FOUNDING_REFUSED);
    }
}

static void strangers_do_not_count(void **state)
{
    (void)state;
    struct founding f = founders(3);
    say(&f, 2, true, LIST(1, ));
    say(&f, 9, true, LIST(1, ));
    say(&f, 1, true, LIST(1, ));
    assert_int_equal(founding_verdict(&f), FOUNDING_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_quorum_is_new),
        cmocka_unit_test(the_third_of_three_is_late),
        cmocka_unit_test(who_was_heard_is_refused),
        cmocka_unit_test(two_of_five_are_late),
        cmocka_unit_test(a_silent_one_that_was_heard_leaves_a_doubt),
        cmocka_unit_test(after_a_change_of_members_it_is_refused),
        cmocka_unit_test(strangers_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
