/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core, rule by rule: entries on their way to followers and disks, and the commit rule. */
#include "base/canary.h"
#include "tests/unit/raft_rig.h"

#include <stdlib.h>

static void test_leader_sends_before_its_own_flush(void **state)
{
    (void)state;
    set_up(3, 0, NULL, 0);
    elect();
    assert_int_equal(count_sent(MSG_RAFT_APPEND, 0), 2);
    assert_int_equal(effects_of(RAFT_EFFECT_WRITE), 1);
    assert_int_equal(rig.core.persisted, 0);
    hear_taken(2, 1); /* one other is not a majority while our own disk is slow */
    assert_int_equal(rig.core.commit, 0);
    hear_taken(3, 1); /* both others are: a hanging disk of ours does not stop the group */
    assert_int_equal(rig.core.commit, 1);
    set_up(3, 0, NULL, 0);
    elect();
    persisted();
    assert_int_equal(rig.core.commit, 0);
    hear_taken(3, 1);
    assert_int_equal(rig.core.commit, 1);
}

static void test_entries_of_older_terms_are_not_counted(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 2};
    set_up(5, 3, terms, 2); /* T 3.6.2, figure 3.7 */
    elect();
    hear_taken(2, 2);
    hear_taken(3, 2);
    hear_taken(4, 2);
    assert_int_equal(rig.core.commit, 0);
    persisted();
    hear_taken(2, 3);
    assert_int_equal(rig.core.commit, 0);
    hear_taken(3, 3);
    assert_int_equal(rig.core.commit, 3);
}

static void test_follower_acknowledges_only_what_is_durable(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 3, 1);
    assert_false(is_sent(MSG_RAFT_APPEND_REPLY, 0));
    hear_append(2, 1, 3, 1, 0, 1); /* asked: nothing durable, three received */
    const struct msg_raft *reply = sent(MSG_RAFT_APPEND_REPLY, 2);
    assert_true(reply->index == 0 && reply->received == 3);
    persisted();
    reply = sent(MSG_RAFT_APPEND_REPLY, 2);
    assert_true(reply->index == 3 && reply->received == 3);
}

/* The leader of term 2 may not count on what the disk would give to that of term 1 after a crash:
 * neither what was durable before, nor entries whose write overtook that of the term. */
static void test_nothing_is_acknowledged_in_a_term_that_is_not_durable(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 3, 1); /* its write is under way when the new leader comes */
    hear_append(3, 2, 3, 1, 0, 2);
    assert_false(is_sent(MSG_RAFT_APPEND_REPLY, 0));
    persisted();
    assert_false(is_sent(MSG_RAFT_APPEND_REPLY, 0));
    saved();
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 3)->index, 3);
    hear_append(2, 3, 3, 1, 1, 3);
    persisted();
    assert_false(is_sent(MSG_RAFT_APPEND_REPLY, 0));
    saved();
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 2)->index, 4);
}

static void test_the_term_is_written_before_its_entries(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 2, 0, 0, 1, 2);
    assert_int_equal(effects_of(RAFT_EFFECT_SAVE_STATE), 1);
    for (uint32_t i = 0; rig.fx.list[i].type != RAFT_EFFECT_SAVE_STATE; i++) {
        assert_int_not_equal(rig.fx.list[i].type, RAFT_EFFECT_WRITE);
    }
}

static void test_heartbeats_are_answered_without_the_disk(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    struct msg_raft beat = msg(MSG_RAFT_HEARTBEAT, 2, 2); /* even of a term not yet durable here */
    beat.round = 17;
    hear(beat);
    assert_int_equal(sent(MSG_RAFT_HEARTBEAT_REPLY, 2)->round, 17);
}

static void test_conflicting_tail_is_replaced_while_its_write_is_under_way(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 3, 1); /* write 1: 1..3 of term 1 */
    hear_append(3, 2, 1, 1, 2, 2); /* write 2: 2..3 of term 2 */
    assert_int_equal(effects_of(RAFT_EFFECT_ENTRIES), 1);
    saved();
    assert_int_equal(rig.core.log.last_index, 3);
    assert_int_equal(raft_core_log_term(&rig.core, 2), 2);
    persisted(); /* of write 1: on disk are now two entries that are no longer ours */
    assert_int_equal(rig.core.persisted, 1);
    const struct msg_raft *reply = sent(MSG_RAFT_APPEND_REPLY, 3);
    assert_true(reply->index <= 1);
    persisted();
    assert_int_equal(rig.core.persisted, 3);
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 3)->index, 3);
}

static void test_more_entries_than_writes_share_the_next_write(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(propose(1), 0);
    }
    assert_int_equal(rig.core.write_count, RAFT_WRITES_MAX);
    persisted();
    assert_int_equal(effects_of(RAFT_EFFECT_WRITE), 1);
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        if (rig.fx.list[i].type == RAFT_EFFECT_WRITE) {
            assert_int_equal(rig.fx.list[i].from, 6);
            assert_int_equal(rig.fx.list[i].to, 11);
        }
    }
}

static void test_old_and_doubled_appends_change_nothing(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 4, 1);
    persisted();
    hear_append(2, 1, 0, 0, 2, 1); /* an old one, late: must not cut off what came after */
    assert_int_equal(rig.core.log.last_index, 4);
    assert_int_equal(effects_of(RAFT_EFFECT_ENTRIES), 0);
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 2)->index, 4);
    hear_append(3, 0, 0, 0, 2, 0); /* a deposed leader hears of the new term */
    assert_int_equal(sent(MSG_RAFT_HEARTBEAT_REPLY, 3)->term, 1);
}

static void test_committed_entries_are_never_cut(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 1, 1};
    set_up(3, 1, terms, 3);
    struct msg_raft commit = msg(MSG_RAFT_COMMIT, 2, 1);
    commit.commit = 3;
    hear(commit);
    hear_append(3, 2, 1, 1, 1, 2); /* no sound leader says this */
    assert_true(rig.core.is_halted);
    assert_int_equal(effects_of(RAFT_EFFECT_HALT), 1);
}

static void test_reject_hints_skip_whole_terms(void **state)
{
    (void)state;
    /* Follower: 1 1 4 4 4 4, leader's entry before: (6, 5). */
    static const uint64_t follower[] = {1, 1, 4, 4, 4, 4};
    set_up(3, 4, follower, 6);
    hear_append(2, 5, 9, 5, 0, 5);
    const struct msg_raft *reply = sent(MSG_RAFT_APPEND_REPLY, 2);
    assert_true(reply->is_rejected && reply->index == 9);
    assert_true(reply->hint_index == 6 && reply->hint_term == 4);
    hear_append(2, 5, 5, 3, 0, 3);
    reply = sent(MSG_RAFT_APPEND_REPLY, 2);
    assert_true(reply->is_rejected && reply->hint_index == 2 && reply->hint_term == 1);
    /* Leader: 1 1 2 2 2 3 3 and the hint (6, 2): it goes back to 5 at once. */
    static const uint64_t leader[] = {1, 1, 2, 2, 2, 3, 3};
    set_up(3, 3, leader, 7);
    elect();
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 4);
    m.is_rejected = true;
    m.index = 7;
    m.hint_index = 6;
    m.hint_term = 2;
    hear(m);
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->index, 5);
    hear(m); /* doubled: stale */
    assert_false(is_sent(MSG_RAFT_APPEND, 2));
    hear_taken(2, 8);
    hear(m); /* even later: never behind match */
    assert_int_equal(rig.core.peers[1].match, 8);
    assert_true(rig.core.peers[1].next > 8);
}

/* A hint that is not before what was refused would have the same asked again for ever. */
static void test_a_hint_that_leads_nowhere_goes_back_by_one(void **state)
{
    (void)state;
    static const uint64_t leader[] = {1, 1, 2, 2, 2, 3, 3};
    set_up(3, 3, leader, 7);
    elect();
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 4);
    m.is_rejected = true;
    m.hint_term = 3;
    for (m.index = 7; m.index > 5; m.index--) {
        m.hint_index = m.index + m.index % 2;
        hear(m);
        assert_int_equal(sent(MSG_RAFT_APPEND, 2)->index, m.index - 1);
    }
}

static void test_window_in_messages(void **state)
{
    (void)state;
    lead_calmly();
    size_t appends = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(propose(10), 0);
        appends += count_sent(MSG_RAFT_APPEND, 2);
    }
    assert_int_equal(appends, RAFT_WINDOW_MESSAGES);
    hear_taken(2, 2); /* one acknowledged: one more, with all that came meanwhile */
    assert_int_equal(count_sent(MSG_RAFT_APPEND, 2), 1);
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->entry_count, 100 - RAFT_WINDOW_MESSAGES);
}

static void test_window_in_bytes(void **state)
{
    (void)state;
    lead_calmly();
    size_t appends = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(propose(300 << 10), 0);
        appends += count_sent(MSG_RAFT_APPEND, 3);
    }
    assert_int_equal(appends, 4); /* the one that crosses the limit is the last */
    assert_int_equal(propose(3 << 20), 0);
    hear_taken(3, 5);
    assert_true(count_sent(MSG_RAFT_APPEND, 3) >= 1);
    assert_int_equal(sent(MSG_RAFT_APPEND, 3)->entry_count, 1);
}

static void test_lost_appends_are_noticed(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(propose(10), 0);
    }
    for (int i = 0; i < 2; i++) {
        tick_due();
        hear_beat_reply(2, 0);
        assert_false(is_sent(MSG_RAFT_APPEND, 2)); /* not yet: it may just be slow */
    }
    tick_due();
    hear_beat_reply(2, 0);
    const struct msg_raft *ask = sent(MSG_RAFT_APPEND, 2);
    assert_true(ask->entry_count == 0 && ask->index == 4);
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 1);
    m.is_rejected = true;
    m.index = 4;
    m.hint_index = 1;
    m.hint_term = 1;
    hear(m);
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->index, 1);
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->entry_count, 3);
}

/* A follower had received entries, told so, and forgot them in a crash: it is asked again although
 * nothing is in flight. */
static void test_entries_forgotten_by_a_crash_are_noticed(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(propose(10), 0);
    do_step((struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = 2});
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 1);
    m.index = 1;
    m.received = 2;
    hear(m);
    assert_int_equal(rig.core.peers[1].next, 3);
    assert_int_equal(rig.core.peers[1].inflight_count, 0);
    for (int i = 0; i < 3; i++) {
        tick_due();
        hear_beat_reply(2, 0);
    }
    assert_true(is_sent(MSG_RAFT_APPEND, 2));
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->index, 2);
}

static void test_what_memory_lost_comes_from_the_store_one_by_one(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 9; i++) {
        assert_int_equal(propose(10), 0);
    }
    while (rig.core.write_count > 0) {
        persisted();
    }
    hear_taken(3, 10);
    raft_core_forget_memory(&rig.core, 8);
    do_step((struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = 2});
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 1);
    m.index = m.received = 1;
    hear(m);
    const struct msg_raft *append = sent(MSG_RAFT_APPEND, 2);
    assert_true(append->index == 1 && append->entry_count == 6);
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        assert_int_equal(rig.fx.list[i].is_from_store,
                         rig.fx.list[i].type == RAFT_EFFECT_SEND &&
                             rig.fx.list[i].message.type == MSG_RAFT_APPEND);
    }
    hear_taken(2, 7);
    assert_int_equal(sent(MSG_RAFT_APPEND, 2)->entry_count, 3);
}

/* Bug 6. */
static void test_a_stale_rejection_never_moves_next_behind_match(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(propose(1), 0);
    }
    hear_taken(2, 4);
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 2, 1);
    m.is_rejected = true;
    for (m.index = 1; m.index <= 8; m.index++) { /* of a time when it had less, or made up */
        hear(m);
        assert_true(rig.core.peers[1].next > rig.core.peers[1].match);
        assert_int_equal(rig.core.peers[1].match, 4);
    }
    hear_taken(2, 6);
    assert_int_equal(rig.core.peers[1].match, 6);
    assert_int_equal(rig.core.peers[1].state, RAFT_PEER_REPLICATE);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader_sends_before_its_own_flush),
        cmocka_unit_test(test_entries_of_older_terms_are_not_counted),
        cmocka_unit_test(test_follower_acknowledges_only_what_is_durable),
        cmocka_unit_test(test_nothing_is_acknowledged_in_a_term_that_is_not_durable),
        cmocka_unit_test(test_the_term_is_written_before_its_entries),
        cmocka_unit_test(test_heartbeats_are_answered_without_the_disk),
        cmocka_unit_test(test_conflicting_tail_is_replaced_while_its_write_is_under_way),
        cmocka_unit_test(test_more_entries_than_writes_share_the_next_write),
        cmocka_unit_test(test_old_and_doubled_appends_change_nothing),
        cmocka_unit_test(test_committed_entries_are_never_cut),
        cmocka_unit_test(test_reject_hints_skip_whole_terms),
        cmocka_unit_test(test_a_hint_that_leads_nowhere_goes_back_by_one),
        cmocka_unit_test(test_window_in_messages),
        cmocka_unit_test(test_window_in_bytes),
        cmocka_unit_test(test_lost_appends_are_noticed),
        cmocka_unit_test(test_entries_forgotten_by_a_crash_are_noticed),
        cmocka_unit_test(test_a_stale_rejection_never_moves_next_behind_match),
        cmocka_unit_test(test_what_memory_lost_comes_from_the_store_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
