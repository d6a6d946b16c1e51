/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core, rule by rule: configurations and their bytes, changes of members, learners,
 * removed and unknown nodes, handing over leadership, the log behind images. */
#include "tests/unit/raft_rig.h"

#include "base/rand.h"
#include "raft/core/members.h"
#include "raft/core/quorum.h"

static struct raft_configuration made; /* large */

static struct raft_configuration *members_of(const char *voters, const char *learners)
{
    memset(&made, 0, sizeof(made));
    for (const char *c = voters; *c != 0; c++) {
        made.members[made.count++].id = (uint64_t)(*c - '0');
    }
    for (const char *c = learners; *c != 0; c++) {
        made.members[made.count].is_learner = true;
        made.members[made.count++].id = (uint64_t)(*c - '0');
    }
    return &made;
}

static int change(const char *voters, const char *learners)
{
    return step((struct raft_event){.type = RAFT_EVENT_CHANGE_MEMBERS,
                                    .configuration = members_of(voters, learners),
                                    .bytes = 50});
}

/* An append with one MEMBERS entry behind (index, log_term). */
static void hear_members(uint64_t from, uint64_t term, uint64_t index, uint64_t log_term,
                         uint64_t entry_term, const struct raft_configuration *members)
{
    static uint8_t memory[RAFT_MEMBERS_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(raft_members_encode(members, &b), 0);
    struct msg_raft_entry entry = {
        .term = entry_term, .type = MSG_RAFT_ENTRY_MEMBERS, .body = buf_slice(&b)};
    struct msg_raft m = msg(MSG_RAFT_APPEND, from, term);
    m.index = index;
    m.log_term = log_term;
    m.entry_count = 1;
    m.entries = &entry;
    hear(m);
}

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
    made.members[0].id = UINT64_C(1) << 63;
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

/* --- the log behind images --- */

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
        cmocka_unit_test(test_bytes_of_configurations),
        cmocka_unit_test(test_garbage_is_no_configuration),
        cmocka_unit_test(test_unsound_configurations),
        cmocka_unit_test(test_majorities_of_one_step_overlap),
        cmocka_unit_test(test_no_change_before_the_term_has_committed),
        cmocka_unit_test(test_one_change_at_a_time),
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
        cmocka_unit_test(test_compaction_of_runs),
        cmocka_unit_test(test_only_what_is_settled_is_forgotten),
        cmocka_unit_test(test_a_peer_behind_the_log_gets_one_image),
        cmocka_unit_test(test_a_failed_image_is_asked_for_again_later),
        cmocka_unit_test(test_any_image_that_reconnects_will_do),
        cmocka_unit_test(test_an_empty_follower_is_not_probed_for_ever),
        cmocka_unit_test(test_chunks_only_of_the_leader_of_this_term),
        cmocka_unit_test(test_an_image_takes_the_place_of_the_log),
        cmocka_unit_test(test_an_image_ends_an_uncommitted_configuration),
        cmocka_unit_test(test_an_image_that_brings_nothing_is_not_installed),
        cmocka_unit_test(test_an_image_that_cannot_be_installed_changes_nothing),
        cmocka_unit_test(test_too_many_terms_do_not_stop_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
