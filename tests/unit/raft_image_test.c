/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core, rule by rule: what of the log is forgotten, peers that need an image, and what an
 * image does to the log, the configuration and the role of who receives it. */
#include "tests/unit/raft_members_rig.h"

/* --- what is forgotten --- */

static void test_compaction_of_runs(void **state)
{
    (void)state;
    static struct raft_log log;
    static const uint64_t terms[] = {1, 1, 2, 5, 5, 5, 7};
    for (uint64_t upto = 1; upto <= BASE_COUNT_OF(terms); upto++) {
        uint64_t term = 0;
        raft_log_init(&log, 0, 0);
        for (size_t i = 0; i < BASE_COUNT_OF(terms); i++) {
            assert_int_equal(raft_log_append(&log, terms[i], i, 0), 0);
        }
        raft_log_compact(&log, upto);
        assert_null(raft_log_check(&log));
        assert_int_equal(log.first_index, upto + 1);
        for (uint64_t i = upto; i <= BASE_COUNT_OF(terms); i++) {
            assert_true(raft_log_term(&log, i, &term) && term == terms[i - 1]);
        }
        assert_false(raft_log_term(&log, upto - 1, &term));
    }
}

static void compact(uint64_t index)
{
    do_step((struct raft_event){.type = RAFT_EVENT_COMPACT, .index = index});
}

/* Leader of three with ten entries, all committed; node 3 has only the first. */
static void lead_with_one_behind(void)
{
    lead_calmly();
    for (int i = 0; i < 9; i++) {
        assert_int_equal(propose(1), 0);
    }
    while (rig.core.write_count > 0) {
        persisted();
    }
    hear_taken(2, 10);
    assert_int_equal(rig.core.commit, 10);
}

static void test_only_what_is_settled_is_forgotten(void **state)
{
    (void)state;
    lead_with_one_behind();
    compact(0);
    assert_int_equal(effects_of(RAFT_EFFECT_TRIM), 0);
    compact(4);
    assert_int_equal(effects_of(RAFT_EFFECT_TRIM), 1);
    assert_int_equal(rig.core.log.first_index, 5);
    compact(4);
    assert_int_equal(effects_of(RAFT_EFFECT_TRIM), 0);
    assert_int_equal(propose(1), 0);
    compact(99);
    assert_int_equal(rig.core.log.first_index, 11);
    assert_int_equal(rig.fx.list[0].index, 10);
}

static void hear_rejected(uint64_t from, uint64_t index, uint64_t hint, uint64_t hint_term)
{
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, from, rig.core.term);
    m.is_rejected = true;
    m.index = index;
    m.hint_index = hint;
    m.hint_term = hint_term;
    hear(m);
}

static void ask_for_image(void)
{
    lead_with_one_behind();
    compact(8);
    do_step((struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = 3});
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 0);
    rig.now_us += 120 * MS;
    hear_beat_reply(3, 0);
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 1);
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_SNAPSHOT);
}

static void test_a_peer_behind_the_log_gets_one_image(void **state)
{
    (void)state;
    ask_for_image();
    for (int i = 0; i < 4; i++) { /* asked once, and nothing else is sent meanwhile */
        rig.now_us += 120 * MS;
        hear_beat_reply(3, 0);
        assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 0);
        assert_false(is_sent(MSG_RAFT_APPEND, 3));
    }
    do_step((struct raft_event){.type = RAFT_EVENT_SNAPSHOT_ENDED, .peer = 3, .index = 9});
    assert_int_equal(sent(MSG_RAFT_APPEND, 3)->index, 9);
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_PROBE);
    hear_taken(3, 10);
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_REPLICATE);
}

static void test_a_failed_image_is_asked_for_again_later(void **state)
{
    (void)state;
    ask_for_image();
    do_step((struct raft_event){
        .type = RAFT_EVENT_SNAPSHOT_ENDED, .peer = 3, .status = BASE_E_TIMEOUT});
    assert_int_equal(rig.fx.count, 0);
    rig.now_us += 120 * MS;
    hear_beat_reply(3, 0);
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 1);
}

/* The log is kept while an image is under way: not for one that is down. */
static void test_who_is_silent_gets_no_image_until_it_answers(void **state)
{
    (void)state;
    lead_with_one_behind();
    compact(8);
    do_step((struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = 3});
    rig.core.peers[2].is_probe_sent = false;
    rig.now_us += 10000 * MS;
    assert_int_equal(propose(1), 0);
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 0);
    assert_false(is_sent(MSG_RAFT_APPEND, 3));
    assert_int_not_equal(rig.core.peers[2].state, RAFT_PEER_SNAPSHOT);
    hear_beat_reply(3, 0);
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 1);
}

/* Whatever image it was: what counts is that its log meets ours again. */
static void test_any_image_that_reconnects_will_do(void **state)
{
    (void)state;
    ask_for_image();
    hear_taken(3, 5);
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_SNAPSHOT);
    hear_taken(3, 8);
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_REPLICATE);
    assert_int_equal(sent(MSG_RAFT_APPEND, 3)->index, 8);
    do_step((struct raft_event){.type = RAFT_EVENT_SNAPSHOT_ENDED, .peer = 3, .index = 8});
    assert_int_equal(rig.core.peers[2].state, RAFT_PEER_REPLICATE);
}

static void test_an_empty_follower_is_not_probed_for_ever(void **state)
{
    (void)state;
    lead_with_one_behind();
    assert_int_equal(change("1234", ""), 0);
    uint64_t asked = sent(MSG_RAFT_APPEND, 4)->index;
    compact(8);
    hear_rejected(4, asked, 0, 0);
    assert_int_equal(effects_of(RAFT_EFFECT_SNAPSHOT), 1);
}

static void received(uint64_t index, uint64_t term)
{
    do_step(
        (struct raft_event){.type = RAFT_EVENT_SNAPSHOT_RECEIVED, .index = index, .term = term});
}

static void installed(uint64_t index, uint64_t term, const char *voters)
{
    struct raft_configuration *members = members_of(voters, "");
    members->index = 1;
    do_step((struct raft_event){
        .type = RAFT_EVENT_INSTALLED, .index = index, .term = term, .configuration = members});
}

static void hear_chunk(uint64_t from, uint64_t term, uint64_t index, uint64_t log_term)
{
    struct msg_raft m = msg(MSG_RAFT_SNAPSHOT, from, term);
    m.index = index;
    m.log_term = log_term;
    hear(m);
}

/* Bug 20, second part: the image of a deposed leader. */
static void test_chunks_only_of_the_leader_of_this_term(void **state)
{
    (void)state;
    set_up(3, 3, NULL, 0);
    hear_chunk(2, 2, 50, 2);
    assert_int_equal(effects_of(RAFT_EFFECT_CHUNK), 0);
    assert_int_equal(sent(MSG_RAFT_HEARTBEAT_REPLY, 2)->term, 3);
    hear_chunk(2, 3, 50, 2);
    assert_int_equal(effects_of(RAFT_EFFECT_CHUNK), 1);
    assert_int_equal(rig.core.leader, 2);
}

static void test_an_image_takes_the_place_of_the_log(void **state)
{
    (void)state;
    set_up(3, 3, NULL, 0);
    hear_append(2, 3, 0, 0, 5, 1); /* terms of another branch: node 2 led by term 1 */
    hear_chunk(3, 4, 50, 4);
    received(50, 4);
    assert_int_equal(effects_of(RAFT_EFFECT_INSTALL), 1);
    hear_append(3, 4, 50, 4, 1, 4); /* too early */
    assert_int_equal(rig.core.log.last_index, 5);
    hear(msg(MSG_RAFT_HEARTBEAT, 3, 4));
    assert_true(is_sent(MSG_RAFT_HEARTBEAT_REPLY, 3));
    rig.now_us += 5000 * MS;
    do_step((struct raft_event){.type = RAFT_EVENT_TICK});
    assert_int_equal(rig.core.role, RAFT_FOLLOWER); /* it has no log to stand with */
    persisted();
    saved();
    installed(50, 4, "134");
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 3)->index, 50);
    assert_true(rig.core.commit == 50 && rig.core.persisted == 50);
    assert_true(rig.core.log.first_index == 51 && rig.core.log.last_index == 50);
    assert_int_equal(raft_core_log_term(&rig.core, 50), 4);
    assert_int_equal(rig.core.peer_count, 3);
    hear_append(3, 4, 50, 4, 1, 4);
    assert_int_equal(rig.core.log.last_index, 51);
}

/* Bug 20: a newer configuration that was never committed does not outlive the image. */
static void test_an_image_ends_an_uncommitted_configuration(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 8, 1);
    persisted();
    hear_members(2, 1, 8, 1, 1, members_of("12", ""));
    persisted();
    assert_int_equal(rig.core.configuration.index, 9);
    hear_chunk(3, 2, 5, 2);
    received(5, 2); /* index 5 is another entry there */
    assert_int_equal(effects_of(RAFT_EFFECT_INSTALL), 1);
    installed(5, 2, "123");
    assert_int_equal(rig.core.configuration.index, 1);
    assert_int_equal(rig.core.voter_count, 3);
    assert_false(rig.core.has_previous);
}

static void test_an_image_that_brings_nothing_is_not_installed(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 8, 1);
    persisted();
    hear_chunk(2, 1, 6, 1);
    received(6, 1); /* we have that entry: what is in an image is committed */
    assert_int_equal(effects_of(RAFT_EFFECT_DISCARD), 1);
    assert_int_equal(rig.core.commit, 6);
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 2)->index, 8);
    received(3, 1);
    assert_int_equal(effects_of(RAFT_EFFECT_DISCARD), 1);
    assert_int_equal(rig.core.log.first_index, 1);
}

static void test_an_image_that_cannot_be_installed_changes_nothing(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 2, 1);
    received(50, 1);
    do_step((struct raft_event){.type = RAFT_EVENT_INSTALLED, .status = BASE_E_CORRUPT});
    assert_int_equal(effects_of(RAFT_EFFECT_DISCARD), 1);
    assert_int_equal(rig.core.log.last_index, 2);
    hear_append(2, 1, 2, 1, 1, 1);
    assert_int_equal(rig.core.log.last_index, 3);
}

/* Thousands of terms without a commit: no entry more, but nobody stops for good. */
static void test_too_many_terms_do_not_stop_a_node(void **state)
{
    (void)state;
    static uint64_t terms[RAFT_RUNS_MAX];
    for (size_t i = 0; i < RAFT_RUNS_MAX; i++) {
        terms[i] = i + 1;
    }
    set_up(3, RAFT_RUNS_MAX, terms, RAFT_RUNS_MAX);
    hear_append(2, RAFT_RUNS_MAX + 1, RAFT_RUNS_MAX, RAFT_RUNS_MAX, 1, RAFT_RUNS_MAX + 1);
    assert_int_equal(rig.core.log.last_index, RAFT_RUNS_MAX);
    assert_false(rig.core.is_halted);
    struct msg_raft m = msg(MSG_RAFT_APPEND, 2, RAFT_RUNS_MAX + 1);
    m.index = 2000;
    m.log_term = 2000;
    m.commit = 2000;
    hear(m);
    assert_int_equal(rig.core.commit, 2000);
    hear_append(2, RAFT_RUNS_MAX + 1, RAFT_RUNS_MAX, RAFT_RUNS_MAX, 1, RAFT_RUNS_MAX + 1);
    assert_int_equal(rig.core.log.last_index, RAFT_RUNS_MAX + 1);
    assert_true(rig.core.log.first_index > 1 && rig.core.log.first_index <= 2001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compaction_of_runs),
        cmocka_unit_test(test_only_what_is_settled_is_forgotten),
        cmocka_unit_test(test_a_peer_behind_the_log_gets_one_image),
        cmocka_unit_test(test_a_failed_image_is_asked_for_again_later),
        cmocka_unit_test(test_who_is_silent_gets_no_image_until_it_answers),
        cmocka_unit_test(test_any_image_that_reconnects_will_do),
        cmocka_unit_test(test_an_empty_follower_is_not_probed_for_ever),
        cmocka_unit_test(test_chunks_only_of_the_leader_of_this_term),
        cmocka_unit_test(test_an_image_takes_the_place_of_the_log),
        cmocka_unit_test(test_an_image_ends_an_uncommitted_configuration),
        cmocka_unit_test(test_an_image_that_brings_nothing_is_not_installed),
        cmocka_unit_test(test_an_image_that_cannot_be_installed_changes_nothing),
        cmocka_unit_test(test_too_many_terms_do_not_stop_a_node),
    };
    return cmocka_run_group_tests_name("raft_image", tests, NULL, NULL);
}
