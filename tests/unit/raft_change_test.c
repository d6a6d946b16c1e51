/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core, rule by rule: configurations and their bytes, changes of members, learners,
 * removed and unknown nodes, handing over leadership. The log behind images: raft_image_test.c. */
#include "tests/unit/raft_members_rig.h"

#include "base/rand.h"
#include "raft/core/quorum.h"

/* --- configurations as values and bytes --- */

static void fill_text(char *text, size_t size, char c)
{
    memset(text, c, size - 1);
}

static void test_bytes_of_configurations(void **state)
{
    (void)state;
    static uint8_t memory[RAFT_MEMBERS_BYTES_MAX];
    static struct raft_configuration full, back;
    full.count = RAFT_MEMBERS_MAX;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct raft_member *m = &full.members[i];
        *m = (struct raft_member){
            .id = i + 1, .is_learner = i % 2 == 1, .client_url_count = RAFT_CLIENT_URLS_MAX};
        fill_text(m->name.text, sizeof(m->name.text), 'n');
        fill_text(m->peer_url.text, sizeof(m->peer_url.text), 'p');
        for (size_t u = 0; u < RAFT_CLIENT_URLS_MAX; u++) {
            fill_text(m->client_urls[u].text, sizeof(m->client_urls[u].text), 'c');
        }
    }
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(raft_members_encode(&full, &b), 0); /* the largest one fits */
    assert_int_equal(raft_members_decode(buf_slice(&b), &back), 0);
    assert_memory_equal(&full, &back, sizeof(full));
    for (size_t len = 0; len < b.len; len += 7) {
        assert_int_equal(raft_members_decode(slice_from(memory, len), &back), BASE_E_PROTO);
    }
    memory[0] = RAFT_MEMBERS_VERSION + 1;
    assert_int_equal(raft_members_decode(buf_slice(&b), &back), BASE_E_UNSUPPORTED);
    struct buf small = buf_over(memory, 20);
    assert_int_equal(raft_members_encode(&full, &small), BASE_E_TOOBIG);
}

static void test_garbage_is_no_configuration(void **state)
{
    (void)state;
    static uint8_t memory[256];
    static struct raft_configuration back;
    struct base_rand r = base_rand_make(7, 1);
    size_t good = 0;
    for (int i = 0; i < 20000; i++) {
        struct buf b = buf_over(memory, sizeof(memory));
        assert_int_equal(raft_members_encode(members_of("123", "4"), &b), 0);
        for (uint64_t n = base_rand_between(&r, 1, 3); n > 0; n--) {
            memory[base_rand_between(&r, 0, b.len - 1)] = (uint8_t)base_rand_between(&r, 0, 255);
        }
        int rc = raft_members_decode(buf_slice(&b), &back);
        assert_true(rc == 0 || rc == BASE_E_PROTO || rc == BASE_E_UNSUPPORTED);
        if (rc == 0) {
            assert_true(raft_members_are_sound(&back));
            good++;
        }
    }
    assert_true(good > 0);
}

static void test_unsound_configurations(void **state)
{
    (void)state;
    uint8_t memory[256];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_false(raft_members_are_sound(members_of("", "")));
    assert_false(raft_members_are_sound(members_of("", "12")));  /* nobody counts */
    assert_false(raft_members_are_sound(members_of("121", ""))); /* twice */
    assert_false(raft_members_are_sound(members_of("10", "")));  /* id 0 */
    assert_int_equal(raft_members_encode(&made, &b), BASE_E_INVALID);
    assert_true(raft_members_are_sound(members_of("1", "")));
    made.members[0].id = INT64_MAX;
    assert_true(raft_members_are_sound(&made));
    made.members[0].id++;
    assert_false(raft_members_are_sound(&made));
}

/* Over all pairs of configurations of five nodes: what counts as one step never allows two
 * majorities without a common member. */
static void test_majorities_of_one_step_overlap(void **state)
{
    (void)state;
    static struct raft_configuration a, b;
    size_t steps = 0;
    for (unsigned x = 1; x < 32; x++) {
        for (unsigned y = 1; y < 32; y++) {
            a.count = b.count = 0;
            for (unsigned i = 0; i < 5; i++) {
                if ((x >> i & 1u) != 0) {
                    a.members[a.count++] = (struct raft_member){.id = i + 1};
                }
                if ((y >> i & 1u) != 0) {
                    b.members[b.count++] = (struct raft_member){.id = i + 1};
                }
            }
            bool is_step = raft_members_is_step(&a, &b);
            assert_int_equal(is_step, (x ^ y) == 0 || ((x ^ y) & ((x ^ y) - 1)) == 0);
            for (unsigned q = 0; is_step && q < 32; q++) {
                for (unsigned p = 0; p < 32; p++) {
                    bool both = (q & x) == q && (p & y) == p &&
                                (size_t)__builtin_popcount(q) >= raft_quorum_size(a.count) &&
                                (size_t)__builtin_popcount(p) >= raft_quorum_size(b.count);
                    assert_true(!both || (q & p) != 0);
                }
            }
            steps += is_step;
        }
    }
    assert_int_equal(steps, 31 + 31 * 5 - 5);
    a = *members_of("123", "");
    assert_true(raft_members_is_step(&a, members_of("123", "4")));
    assert_false(raft_members_is_step(&a, members_of("123", "45")));
    assert_false(raft_members_is_step(&a, members_of("124", "")));
    a = *members_of("123", "4");
    assert_true(raft_members_is_step(&a, members_of("1234", "")));
    assert_false(raft_members_is_step(&a, members_of("234", "1")));
}

/* --- one change after the other --- */

static void test_no_change_before_the_term_has_committed(void **state)
{
    (void)state;
    set_up(3, 0, NULL, 0);
    elect();
    assert_int_equal(change("1234", ""), BASE_E_STATE); /* the erratum of 2015 */
    persisted();
    hear_taken(2, 1);
    assert_int_equal(change("1234", ""), 0);
}

static void test_one_change_at_a_time(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("12345", ""), BASE_E_INVALID);
    assert_int_equal(change("1", ""), BASE_E_INVALID);
    assert_int_equal(change("1234", ""), 0);
    assert_int_equal(change("12345", ""), BASE_E_BUSY);
    persisted();
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 1);
    hear_taken(3, 2);
    assert_int_equal(rig.core.commit, 2);
    assert_int_equal(change("12345", ""), 0);
    set_up(3, 1, NULL, 0);
    assert_int_equal(change("1234", ""), BASE_E_NOTLEADER);
}

/* The members of an image, or of where the store begins, were committed. */
static void test_members_without_any_before_them_are_never_cut_off(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 1, 1};
    static struct raft_configuration base;
    set_up(3, 1, terms, 3);
    base = rig.core.configuration;
    base.index = 2;
    raft_core_load_members(&rig.core, &base, true);
    struct msg_raft_entry entry = {.term = 2, .type = MSG_RAFT_ENTRY_DATA};
    struct msg_raft m = msg(MSG_RAFT_APPEND, 2, 2);
    m.index = m.log_term = m.entry_count = 1;
    m.entries = &entry;
    hear(m);
    assert_int_equal(effects_of(RAFT_EFFECT_HALT), 1);
    assert_int_equal(rig.core.configuration.index, 2);
}

/* Bug 2 of the list: a majority of the old configuration must not be enough. */
static void test_a_configuration_counts_as_soon_as_it_stands_in_the_log(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("1234", ""), 0);
    assert_int_equal(effects_of(RAFT_EFFECT_MEMBERS), 1);
    assert_int_equal(rig.core.configuration.index, 2);
    assert_true(is_sent(MSG_RAFT_APPEND, 4));
    persisted();
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 1); /* two of four */
    hear_taken(4, 2);
    assert_int_equal(rig.core.commit, 2);
    /* A follower that has only stored it needs three votes of four from now on. */
    set_up(3, 1, NULL, 0);
    hear_members(2, 1, 0, 0, 1, members_of("1234", ""));
    assert_int_equal(effects_of(RAFT_EFFECT_MEMBERS), 1);
    assert_int_equal(rig.core.commit, 0);
    persisted();
    tick_due();
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 1);
    m.proposed_term = 2;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    m.from = 4;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
}

static void test_a_leader_alone_adds_a_second_one(void **state)
{
    (void)state;
    set_up(1, 0, NULL, 0);
    tick_due();
    saved();
    persisted();
    assert_int_equal(rig.core.commit, 1);
    assert_int_equal(change("12", ""), 0);
    persisted();
    assert_int_equal(rig.core.commit, 1); /* not alone any more */
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 2);
}

/* Bug 14: cut off with its entry, it gives way to the one before. */
static void test_a_configuration_that_is_cut_off_is_taken_back(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 1, 1);
    hear_members(2, 1, 1, 1, 1, members_of("1234", ""));
    assert_int_equal(rig.core.peer_count, 4);
    hear_append(3, 2, 1, 1, 1, 2);
    assert_int_equal(effects_of(RAFT_EFFECT_MEMBERS), 1);
    assert_int_equal(rig.core.peer_count, 3);
    assert_int_equal(rig.core.configuration.index, 0);
    hear_members(3, 2, 2, 2, 2, members_of("123", "5"));
    assert_int_equal(rig.core.configuration.index, 3);
    assert_int_equal(rig.core.peer_count, 4);
    assert_int_equal(rig.core.voter_count, 3);
}

/* Bug 7: a change is judged by what is in the log, so a refused one leaves nothing behind. */
static void test_a_refused_change_leaves_the_next_one_free(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(change("12345", ""), BASE_E_INVALID);
        assert_int_equal(rig.core.log.last_index, 1);
    }
    assert_int_equal(change("12", ""), 0);
    persisted();
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 2);
    assert_int_equal(change("123", ""), 0);
}

/* Bug 4: what a deposed leader left half done is finished by the next one, and blocks nothing. */
static void test_a_change_of_a_deposed_leader_is_finished(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_members(2, 1, 0, 0, 1, members_of("1234", ""));
    persisted();
    tick_due();
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 1);
    m.proposed_term = 2;
    hear(m);
    m.from = 3;
    hear(m);
    saved();
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, 2));
    assert_int_equal(rig.core.role, RAFT_CANDIDATE); /* two of four */
    hear(msg(MSG_RAFT_VOTE_REPLY, 3, 2));
    assert_int_equal(rig.core.role, RAFT_LEADER);
    assert_int_equal(change("123", ""), BASE_E_STATE);
    persisted();
    hear_taken(2, 2);
    assert_int_equal(change("123", ""), BASE_E_STATE);
    hear_taken(4, 2);
    assert_int_equal(rig.core.commit, 2);
    assert_int_equal(change("123", ""), 0);
}

/* --- learners --- */

static void test_learners_receive_and_do_not_count(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("123", "4"), 0);
    assert_int_equal(rig.core.voter_count, 3);
    assert_true(is_sent(MSG_RAFT_APPEND, 4));
    persisted();
    hear_taken(4, 2);
    assert_int_equal(rig.core.commit, 1);
    do_step((struct raft_event){.type = RAFT_EVENT_READ});
    uint64_t round = rig.core.round_started;
    hear_beat_reply(4, round);
    assert_int_equal(rig.core.round_confirmed, round - 1);
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 2);
    for (int i = 0; i < 20 && rig.core.role == RAFT_LEADER; i++) {
        tick_due();
        hear_beat_reply(4, 0); /* a learner alone does not keep a leader */
    }
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
}

static void test_a_learner_votes_when_asked_and_never_stands(void **state)
{
    (void)state;
    set_up(0, 1, NULL, 0);
    hear_members(2, 1, 0, 0, 1, members_of("234", "1"));
    persisted();
    for (int i = 0; i < 5; i++) {
        tick_due();
        assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    }
    struct msg_raft m = msg(MSG_RAFT_VOTE, 3, 2); /* it may count already, without knowing */
    m.index = 1;
    m.log_term = 1;
    hear(m);
    saved();
    assert_true(is_sent(MSG_RAFT_VOTE_REPLY, 3));
    assert_false(sent(MSG_RAFT_VOTE_REPLY, 3)->is_rejected);
    hear(msg(MSG_RAFT_TIMEOUT_NOW, 3, 2));
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
}

static void test_votes_of_learners_do_not_count(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_members(2, 1, 0, 0, 1, members_of("123", "4"));
    persisted();
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    assert_false(is_sent(MSG_RAFT_PREVOTE, 4));
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 4, 1);
    m.proposed_term = 2;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
}

/* --- who goes, and who is not known --- */

/* Bug 8. */
static void test_a_removed_leader_leads_until_that_is_committed(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("23", ""), 0);
    assert_int_equal(rig.core.role, RAFT_LEADER);
    persisted();
    hear_taken(2, 2);
    assert_int_equal(rig.core.commit, 1); /* it does not count itself: one of two */
    assert_int_equal(rig.core.role, RAFT_LEADER);
    hear_taken(3, 2);
    assert_int_equal(rig.core.commit, 2);
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    assert_true(is_sent(MSG_RAFT_COMMIT, 2));
    assert_int_equal(count_sent(MSG_RAFT_TIMEOUT_NOW, 0), 1); /* somebody else, at once */
    for (int i = 0; i < 5; i++) {
        tick_due();
        assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    }
    assert_int_equal(propose(1), BASE_E_NOTLEADER);
}

/* It has the entry that removes it, and nobody else may be elected without it. */
static void test_one_that_goes_stands_until_that_is_committed(void **state)
{
    (void)state;
    set_up(2, 1, NULL, 0);
    hear_append(2, 1, 0, 0, 1, 1);
    hear_members(2, 1, 1, 1, 1, members_of("2", ""));
    persisted();
    persisted();
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    assert_int_equal(rig.core.self, RAFT_SELF_NONE);
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 1);
    m.proposed_term = 2;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    saved();
    assert_int_equal(rig.core.role, RAFT_CANDIDATE); /* its own vote does not count */
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, 2));
    assert_int_equal(rig.core.role, RAFT_LEADER);
    hear_taken(2, 3);
    assert_int_equal(rig.core.commit, 3);
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    persisted();
    tick_due();
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
}

static void test_who_goes_hears_of_it(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("12", ""), 0);
    assert_true(is_sent(MSG_RAFT_APPEND, 3));
    assert_int_equal(propose(1), 0);
    assert_false(is_sent(MSG_RAFT_APPEND, 3));
    hear_taken(3, 2); /* its answer is passed over */
    struct msg_raft m = msg(MSG_RAFT_HEARTBEAT_REPLY, 3, 99);
    hear(m);
    assert_int_equal(rig.core.term, 1);
    assert_int_equal(rig.core.role, RAFT_LEADER);
}

static void test_removed_nodes_do_not_disturb(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(change("12", ""), 0);
    persisted();
    hear_taken(2, 2);
    struct msg_raft m = msg(MSG_RAFT_PREVOTE, 3, 1);
    m.proposed_term = 2;
    m.index = 1;
    m.log_term = 1;
    hear(m);
    assert_true(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
    m.type = MSG_RAFT_VOTE;
    m.term = 7;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_LEADER);
    assert_int_equal(rig.core.term, 1);
}

static void test_a_leader_and_a_candidate_may_be_unknown(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear_append(7, 2, 0, 0, 1, 2); /* it leads by a configuration that we do not have yet */
    assert_int_equal(rig.core.leader, 7);
    saved();
    persisted();
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 7)->index, 1);
    rig.now_us += 3000 * MS;
    struct msg_raft m = msg(MSG_RAFT_VOTE, 8, 3);
    m.index = 1;
    m.log_term = 2;
    hear(m);
    saved();
    assert_false(sent(MSG_RAFT_VOTE_REPLY, 8)->is_rejected);
    assert_true(is_sent(MSG_RAFT_VOTE_REPLY, 8));
}

static void test_a_joining_node_waits_for_a_leader(void **state)
{
    (void)state;
    set_up(0, 0, NULL, 0);
    for (int i = 0; i < 10; i++) {
        tick_due();
        assert_int_equal(rig.core.role, RAFT_FOLLOWER);
        assert_int_equal(rig.core.term, 0);
    }
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_READ}), BASE_E_NOTLEADER);
    hear_append(2, 3, 0, 0, 1, 3);
    saved();
    hear_members(2, 3, 1, 3, 3, members_of("23", "1"));
    assert_int_equal(rig.core.configuration.count, 3);
    persisted();
    persisted();
    assert_int_equal(sent(MSG_RAFT_APPEND_REPLY, 2)->index, 2);
    hear_members(2, 3, 2, 3, 3, members_of("123", ""));
    persisted();
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
}

/* --- handing over --- */

static void test_transfer_brings_the_other_up_and_tells_it_to_stand(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(propose(1), 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 2}), 0);
    assert_false(is_sent(MSG_RAFT_TIMEOUT_NOW, 2));
    assert_int_equal(propose(1), BASE_E_BUSY);
    assert_int_equal(change("12", ""), BASE_E_BUSY);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 3}),
                     BASE_E_BUSY);
    hear_taken(2, 2);
    assert_true(is_sent(MSG_RAFT_TIMEOUT_NOW, 2));
    struct msg_raft m = msg(MSG_RAFT_VOTE, 2, 2);
    m.index = 2;
    m.log_term = 1;
    m.is_transfer = true;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    assert_int_equal(effects_of(RAFT_EFFECT_TRANSFER_ENDED), 0);
    saved();
    assert_false(sent(MSG_RAFT_VOTE_REPLY, 2)->is_rejected);
    hear(msg(MSG_RAFT_HEARTBEAT, 2, 2));
    assert_int_equal(effects_of(RAFT_EFFECT_TRANSFER_ENDED), 1);
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        assert_int_equal(rig.fx.list[i].status, 0);
    }
}

static void test_transfer_gives_up_after_an_election_timeout(void **state)
{
    (void)state;
    lead_calmly();
    assert_int_equal(propose(1), 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 2}), 0);
    size_t ended = 0;
    for (int i = 0; i < 20 && ended == 0; i++) {
        tick_due();
        ended = effects_of(RAFT_EFFECT_TRANSFER_ENDED);
        hear_beat_reply(3, rig.core.round_started);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(rig.core.role, RAFT_LEADER);
    assert_int_equal(propose(1), 0);
}

static void test_transfer_only_to_another_voter(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 2}),
                     BASE_E_NOTLEADER);
    lead_calmly();
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 1}),
                     BASE_E_INVALID);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 9}),
                     BASE_E_INVALID);
    assert_int_equal(change("123", "4"), 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = 4}),
                     BASE_E_INVALID);
}

static void test_told_to_stand_it_stands_at_once(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear(msg(MSG_RAFT_HEARTBEAT, 2, 1));
    hear(msg(MSG_RAFT_TIMEOUT_NOW, 2, 1));
    assert_int_equal(rig.core.role, RAFT_CANDIDATE); /* no pre-vote, it would be refused */
    assert_false(is_sent(MSG_RAFT_VOTE, 0));
    saved();
    assert_true(sent(MSG_RAFT_VOTE, 3)->is_transfer);
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE); /* the second time as everybody does */
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 2);
    m.proposed_term = 3;
    hear(m);
    saved();
    assert_false(sent(MSG_RAFT_VOTE, 3)->is_transfer);
}

static void test_only_a_vote_of_a_transfer_passes_a_live_leader(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear(msg(MSG_RAFT_HEARTBEAT, 2, 1));
    struct msg_raft m = msg(MSG_RAFT_VOTE, 3, 2);
    hear(m);
    assert_int_equal(rig.core.term, 1);
    m.is_transfer = true;
    hear(m);
    assert_int_equal(rig.core.term, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_configurations),
        cmocka_unit_test(test_garbage_is_no_configuration),
        cmocka_unit_test(test_unsound_configurations),
        cmocka_unit_test(test_majorities_of_one_step_overlap),
        cmocka_unit_test(test_no_change_before_the_term_has_committed),
        cmocka_unit_test(test_one_change_at_a_time),
        cmocka_unit_test(test_members_without_any_before_them_are_never_cut_off),
        cmocka_unit_test(test_a_configuration_counts_as_soon_as_it_stands_in_the_log),
        cmocka_unit_test(test_a_leader_alone_adds_a_second_one),
        cmocka_unit_test(test_a_configuration_that_is_cut_off_is_taken_back),
        cmocka_unit_test(test_a_refused_change_leaves_the_next_one_free),
        cmocka_unit_test(test_a_change_of_a_deposed_leader_is_finished),
        cmocka_unit_test(test_learners_receive_and_do_not_count),
        cmocka_unit_test(test_a_learner_votes_when_asked_and_never_stands),
        cmocka_unit_test(test_votes_of_learners_do_not_count),
        cmocka_unit_test(test_a_removed_leader_leads_until_that_is_committed),
        cmocka_unit_test(test_one_that_goes_stands_until_that_is_committed),
        cmocka_unit_test(test_who_goes_hears_of_it),
        cmocka_unit_test(test_removed_nodes_do_not_disturb),
        cmocka_unit_test(test_a_leader_and_a_candidate_may_be_unknown),
        cmocka_unit_test(test_a_joining_node_waits_for_a_leader),
        cmocka_unit_test(test_transfer_brings_the_other_up_and_tells_it_to_stand),
        cmocka_unit_test(test_transfer_gives_up_after_an_election_timeout),
        cmocka_unit_test(test_transfer_only_to_another_voter),
        cmocka_unit_test(test_told_to_stand_it_stands_at_once),
        cmocka_unit_test(test_only_a_vote_of_a_transfer_passes_a_live_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
