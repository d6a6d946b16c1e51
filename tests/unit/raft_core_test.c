/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core, rule by rule: one test for each section of the thesis that the code names. Events
 * go in by hand, effects are looked at; no net, no disk. This file: logs, votes, reads; replication
 * is in raft_replication_test.c. */
#include "tests/unit/raft_rig.h"

#include "raft/core/quorum.h"

/* --- leaf modules --- */

static void test_quorum_of_all_small_groups(void **state)
{
    (void)state;
    for (size_t n = 1; n <= RAFT_MEMBERS_MAX; n++) {
        for (unsigned code = 0; code < 1u << (2 * n); code++) {
            uint64_t values[RAFT_MEMBERS_MAX];
            for (size_t i = 0; i < n; i++) {
                values[i] = code >> (2 * i) & 3u;
            }
            uint64_t q = raft_quorum_reached(values, n);
            size_t at_least = 0, above = 0;
            for (size_t i = 0; i < n; i++) {
                at_least += values[i] >= q;
                above += values[i] > q;
            }
            assert_true(at_least >= raft_quorum_size(n));
            assert_true(above < raft_quorum_size(n));
        }
    }
}

static void test_log_runs(void **state)
{
    (void)state;
    static struct raft_log log;
    static const uint64_t terms[] = {1, 1, 2, 5, 5, 5, 7};
    uint64_t term = 99;
    raft_log_init(&log, 0, 0);
    assert_true(raft_log_term(&log, 0, &term) && term == 0);
    for (size_t i = 0; i < BASE_COUNT_OF(terms); i++) {
        assert_int_equal(raft_log_append(&log, terms[i], i, 0), 0);
    }
    assert_int_equal(log.run_count, 4);
    for (size_t i = 0; i < BASE_COUNT_OF(terms); i++) {
        assert_true(raft_log_term(&log, i + 1, &term) && term == terms[i]);
        assert_int_equal(raft_log_bytes(&log, i + 1), i);
    }
    assert_false(raft_log_term(&log, 8, &term));
    assert_int_equal(raft_log_seek(&log, 7, 6), 6);
    assert_int_equal(raft_log_seek(&log, 7, 4), 3);
    assert_int_equal(raft_log_seek(&log, 100, 7), 7);
    assert_int_equal(raft_log_seek(&log, 2, 0), 0);
    raft_log_truncate(&log, 5);
    assert_int_equal(log.last_index, 4);
    assert_int_equal(raft_log_last_term(&log), 5);
    raft_log_truncate(&log, 1);
    assert_int_equal(log.last_index, 0);
    assert_null(raft_log_check(&log));
}

static void test_log_forgets_oldest_terms_when_full(void **state)
{
    (void)state;
    static struct raft_log log;
    uint64_t term = 0;
    raft_log_init(&log, 0, 0);
    for (uint64_t i = 1; i <= RAFT_RUNS_MAX; i++) {
        assert_int_equal(raft_log_append(&log, i, 1, 0), 0);
    }
    assert_int_equal(raft_log_append(&log, RAFT_RUNS_MAX + 1, 1, 0), BASE_E_NOSPACE);
    assert_int_equal(raft_log_append(&log, RAFT_RUNS_MAX + 1, 1, 4000), 0);
    assert_int_equal(log.first_index, RAFT_RUNS_MAX / 4 + 1);
    assert_true(raft_log_term(&log, log.first_index - 1, &term) && term == log.first_index - 1);
    assert_false(raft_log_term(&log, log.first_index - 2, &term));
    assert_null(raft_log_check(&log));
}

static void test_log_forgets_nothing_while_there_is_room(void **state)
{
    (void)state;
    static struct raft_log log;
    raft_log_init(&log, 0, 0);
    for (uint64_t i = 1; i < RAFT_RUNS_MAX; i++) {
        assert_int_equal(raft_log_append(&log, i, 1, 0), 0);
    }
    assert_true(raft_log_make_room(&log, 1, 4000));
    assert_int_equal(log.first_index, 1);
    assert_false(raft_log_make_room(&log, 2, 0));
    assert_true(raft_log_make_room(&log, 2, 4000));
    assert_int_equal(log.first_index, RAFT_RUNS_MAX / 4 + 1);
}

/* --- elections --- */

static void test_all_outcomes_of_a_vote_among_three(void **state)
{
    (void)state;
    /* Each of the two others: silent, grants, refuses, grants twice; in both orders. */
    for (unsigned code = 0; code < 32; code++) {
        unsigned answer[2] = {code & 3u, code >> 2 & 3u};
        bool is_swapped = (code & 16u) != 0;
        set_up(3, 4, NULL, 0);
        tick_due();
        struct msg_raft pre = msg(MSG_RAFT_PREVOTE_REPLY, 3, 4);
        pre.proposed_term = 5;
        hear(pre);
        saved();
        bool is_leader = false;
        for (unsigned i = 0; i < 2; i++) {
            unsigned who = is_swapped ? 1 - i : i;
            struct msg_raft m = msg(MSG_RAFT_VOTE_REPLY, who + 2, 5);
            m.is_rejected = answer[who] == 2;
            if (answer[who] != 0) {
                hear(m);
            }
            if (answer[who] == 3) {
                hear(m);
            }
            is_leader = is_leader || answer[who] == 1 || answer[who] == 3;
            assert_int_equal(rig.core.role, is_leader ? RAFT_LEADER : RAFT_CANDIDATE);
        }
    }
}

static void test_one_refusal_and_double_grants_among_five(void **state)
{
    (void)state;
    set_up(5, 0, NULL, 0);
    tick_due();
    struct msg_raft pre = msg(MSG_RAFT_PREVOTE_REPLY, 2, 0);
    pre.proposed_term = 1;
    hear(pre);
    hear(pre); /* the same voter twice is one voter */
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    pre.from = 3;
    hear(pre);
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    saved();
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, 1));
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, 1));
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    hear(msg(MSG_RAFT_VOTE_REPLY, 5, 1));
    assert_int_equal(rig.core.role, RAFT_LEADER);
}

static void test_who_gets_a_vote(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 2, 2};
    /* Candidate's term 3 or older; its last entry against ours (index 3, term 2); our vote: none,
     * for it, for another. */
    for (unsigned code = 0; code < 2 * 3 * 3 * 3; code++) {
        bool is_old = code % 2 == 1;
        uint64_t log_term = 1 + code / 2 % 3;
        uint64_t index = 2 + code / 6 % 3;
        unsigned voted = code / 18;
        set_up(3, 3, terms, 3);
        if (voted > 0) {
            struct msg_raft first = msg(MSG_RAFT_VOTE, voted == 1 ? 2 : 3, 3);
            first.log_term = 2;
            first.index = 3;
            hear(first);
            saved();
        }
        struct msg_raft m = msg(MSG_RAFT_VOTE, 2, is_old ? 2 : 3);
        m.log_term = log_term;
        m.index = index;
        hear(m);
        bool is_up_to_date = log_term > 2 || (log_term == 2 && index >= 3);
        bool expected = !is_old && voted != 2 && is_up_to_date;
        if (expected && voted == 0) {
            assert_false(is_sent(MSG_RAFT_VOTE_REPLY, 2)); /* not before it is durable */
            assert_int_equal(effects_of(RAFT_EFFECT_SAVE_STATE), 1);
            saved();
        }
        const struct msg_raft *reply = sent(MSG_RAFT_VOTE_REPLY, 2);
        assert_true(reply != &nothing);
        assert_int_equal(reply->is_rejected, !expected);
    }
}

static void test_a_vote_of_an_earlier_term_that_becomes_durable_late_is_not_told(void **state)
{
    (void)state;
    set_up(3, 3, NULL, 0);
    hear(msg(MSG_RAFT_VOTE, 2, 4));
    struct raft_event late = {.type = RAFT_EVENT_STATE_SAVED, .term = 4, .vote = 2};
    hear(msg(MSG_RAFT_VOTE, 3, 5));
    do_step(late);
    assert_false(is_sent(MSG_RAFT_VOTE_REPLY, 0));
    saved();
    assert_true(is_sent(MSG_RAFT_VOTE_REPLY, 3));
    assert_false(is_sent(MSG_RAFT_VOTE_REPLY, 2));
}

static void test_candidate_asks_and_counts_itself_only_when_durable(void **state)
{
    (void)state;
    set_up(3, 0, NULL, 0);
    tick_due();
    struct msg_raft pre = msg(MSG_RAFT_PREVOTE_REPLY, 2, 0);
    pre.proposed_term = 1;
    hear(pre);
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    assert_false(is_sent(MSG_RAFT_VOTE, 0));
    uint64_t term = rig.core.term;
    for (int i = 0; i < 5; i++) {
        tick_due(); /* its disk hangs: it does not run away with the term */
        assert_int_equal(rig.core.term, term);
    }
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, term)); /* answers to what was never asked */
    hear(msg(MSG_RAFT_VOTE_REPLY, 3, term));
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    saved();
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    assert_int_equal(count_sent(MSG_RAFT_VOTE, 0), 2);
}

static void test_prevote_moves_no_term(void **state)
{
    (void)state;
    lead_calmly();
    /* A healed node with an old log asks the leader. */
    struct msg_raft ask = msg(MSG_RAFT_PREVOTE, 3, 1);
    ask.proposed_term = 2;
    ask.index = 100;
    ask.log_term = 1;
    hear(ask);
    assert_int_equal(rig.core.term, 1);
    assert_int_equal(rig.core.role, RAFT_LEADER);
    assert_true(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
    /* An isolated node asks for ever and stays in its term. */
    set_up(3, 7, NULL, 0);
    for (int i = 0; i < 20; i++) {
        tick_due();
        assert_int_equal(rig.core.term, 7);
        assert_int_equal(effects_of(RAFT_EFFECT_SAVE_STATE), 0);
    }
}

static void test_followers_of_a_live_leader_refuse(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear(msg(MSG_RAFT_HEARTBEAT, 2, 1));
    struct msg_raft ask = msg(MSG_RAFT_PREVOTE, 3, 1);
    ask.proposed_term = 2;
    rig.now_us += 200 * MS;
    hear(ask);
    assert_true(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
    hear(msg(MSG_RAFT_VOTE, 3, 2));
    assert_int_equal(rig.core.term, 1); /* T 4.2.3 */
    rig.now_us += 60 * MS;
    hear(ask);
    assert_false(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
    assert_int_equal(rig.core.term, 1);
}

/* A term may have its leader already: nobody stands in it twice. */
static void test_a_prevote_is_for_a_later_term_than_ours(void **state)
{
    (void)state;
    set_up(3, 3, NULL, 0);
    struct msg_raft ask = msg(MSG_RAFT_PREVOTE, 3, 2);
    ask.proposed_term = 3;
    hear(ask);
    assert_true(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
    ask.proposed_term = 4;
    hear(ask);
    assert_false(sent(MSG_RAFT_PREVOTE_REPLY, 3)->is_rejected);
}

/* Also where the longest time is the same: a leader that is heard in time is never stood against.
 */
static void test_nobody_stands_before_the_shortest_time(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct raft_core_config config = config_of(3);
        struct raft_core_restored restored = {.term = 0};
        config.election_max_us = config.election_min_us;
        config.seed = seed;
        assert_int_equal(raft_core_init(&rig.core, &config), 0);
        assert_int_equal(raft_core_start(&rig.core, &restored, (struct base_mono){0}), 0);
        assert_int_equal(raft_core_deadline(&rig.core).us, config.election_min_us);
    }
}

static void test_prober_of_an_older_term_catches_up(void **state)
{
    (void)state;
    set_up(3, 5, NULL, 0);
    struct msg_raft ask = msg(MSG_RAFT_PREVOTE, 3, 2);
    ask.proposed_term = 3;
    hear(ask);
    const struct msg_raft *reply = sent(MSG_RAFT_PREVOTE_REPLY, 3);
    assert_true(reply->is_rejected && reply->term == 5);
    set_up(3, 2, NULL, 0);
    tick_due();
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 5);
    m.proposed_term = 3;
    m.is_rejected = true;
    hear(m);
    assert_int_equal(rig.core.term, 5);
    assert_true(raft_core_deadline(&rig.core).us <= rig.now_us + 50 * MS);
}

/* Bug 3: the only other voter never stands, and its term is older than ours. */
static void test_a_voter_of_an_older_term_completes_a_prevote(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 4};
    set_up(3, 4, terms, 2);
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, 1);
    m.proposed_term = 4; /* an old answer */
    hear(m);
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    m.proposed_term = 5;
    hear(m);
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
}

static void test_check_quorum(void **state)
{
    (void)state;
    lead_calmly();
    for (int i = 0; i < 30; i++) { /* one of two others answers: enough */
        tick_due();
        hear_beat_reply(2, 0);
        assert_int_equal(rig.core.role, RAFT_LEADER);
    }
    int64_t since = rig.now_us;
    while (rig.core.role == RAFT_LEADER) {
        tick_due();
        struct msg_raft ask = msg(MSG_RAFT_PREVOTE, 2, 1); /* it does not hear us */
        ask.proposed_term = 2;
        hear(ask);
        assert_true(rig.now_us - since < 700 * MS);
    }
    assert_int_equal(rig.core.term, 1);
    assert_int_equal(propose(1), BASE_E_NOTLEADER);
}

static void test_a_stalled_leader_reads_its_mail_first(void **state)
{
    (void)state;
    lead_calmly();
    tick_at(rig.now_us + 10000 * MS);
    assert_int_equal(rig.core.role, RAFT_LEADER);
    hear_beat_reply(2, 0);
    for (int i = 0; i < 5; i++) {
        tick_due();
        hear_beat_reply(2, 0);
    }
    assert_int_equal(rig.core.role, RAFT_LEADER);
}

/* --- reads --- */

static void ask_read(void)
{
    do_step((struct raft_event){.type = RAFT_EVENT_READ});
}

static void test_reads_wait_for_the_first_commit_of_the_term(void **state)
{
    (void)state;
    set_up(3, 0, NULL, 0);
    elect();
    ask_read();
    uint64_t ticket = rig.fx.ticket;
    hear_beat_reply(2, ticket);
    assert_int_equal(effects_of(RAFT_EFFECT_CONFIRMED), 1);  /* it leads, */
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 0); /* but knows no commit index yet */
    persisted();
    hear_taken(2, 1);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 1);
}

static void test_a_round_counts_only_what_was_sent_after_it_began(void **state)
{
    (void)state;
    lead_calmly();
    tick_due(); /* heartbeat of round 0 */
    ask_read();
    assert_int_equal(rig.fx.ticket, 1);
    hear_beat_reply(2, 0); /* the answer to the older heartbeat */
    hear_beat_reply(3, 0);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 0);
    hear_beat_reply(3, 1);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 1);
    hear_beat_reply(2, 999); /* not one of ours */
    assert_int_equal(rig.core.round_confirmed, 1);
}

static void test_reads_share_rounds(void **state)
{
    (void)state;
    lead_calmly();
    uint64_t first = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        ask_read();
        first = i == 1 ? rig.fx.ticket : first;
        assert_int_equal(rig.fx.ticket, i <= RAFT_ROUNDS_MAX ? i : RAFT_ROUNDS_MAX + 1);
    }
    hear_beat_reply(2, first);
    assert_int_equal(rig.core.round_started, RAFT_ROUNDS_MAX + 1); /* now the shared one begins */
    hear_beat_reply(2, RAFT_ROUNDS_MAX + 1);
    assert_int_equal(rig.core.round_released, RAFT_ROUNDS_MAX + 1);
}

static void test_lost_heartbeats_of_a_round_are_repeated(void **state)
{
    (void)state;
    lead_calmly();
    ask_read();
    tick_due();
    assert_int_equal(sent(MSG_RAFT_HEARTBEAT, 2)->round, rig.core.round_started);
}

static void test_a_deposed_leader_serves_no_read(void **state)
{
    (void)state;
    lead_calmly();
    ask_read();
    hear(msg(MSG_RAFT_HEARTBEAT_REPLY, 2, 2));
    assert_int_equal(rig.core.role, RAFT_FOLLOWER);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_LOST), 1);
    hear_beat_reply(3, 1);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_READ}), BASE_E_NOTLEADER);
}

static void test_followers_ask_their_leader(void **state)
{
    (void)state;
    set_up(3, 1, NULL, 0);
    hear(msg(MSG_RAFT_HEARTBEAT, 2, 1));
    ask_read();
    uint64_t first = rig.fx.ticket;
    assert_int_equal(sent(MSG_RAFT_READ, 2)->round, first);
    ask_read(); /* not covered by the question under way */
    assert_int_equal(rig.fx.ticket, first + 1);
    assert_false(is_sent(MSG_RAFT_READ, 2));
    struct msg_raft reply = msg(MSG_RAFT_READ_REPLY, 2, 1);
    reply.round = first - 1; /* of a former life */
    hear(reply);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 0);
    reply.round = first;
    reply.index = 5;
    hear(reply);
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 1);
    assert_int_equal(sent(MSG_RAFT_READ, 2)->round, first + 1);
    /* The leader's side. */
    lead_calmly();
    struct msg_raft question = msg(MSG_RAFT_READ, 3, 1);
    question.round = 1234;
    hear(question);
    assert_false(is_sent(MSG_RAFT_READ_REPLY, 3));
    hear_beat_reply(2, rig.core.round_started);
    assert_int_equal(sent(MSG_RAFT_READ_REPLY, 3)->round, 1234);
    assert_int_equal(sent(MSG_RAFT_READ_REPLY, 3)->index, 1);
}

/* --- the rest --- */

static void test_group_of_one(void **state)
{
    (void)state;
    set_up(1, 0, NULL, 0);
    tick_due();
    saved();
    assert_int_equal(rig.core.role, RAFT_LEADER);
    persisted();
    assert_int_equal(rig.core.commit, 1);
    ask_read();
    assert_int_equal(effects_of(RAFT_EFFECT_READ_READY), 1);
}

static void test_store_failure_stops_the_node(void **state)
{
    (void)state;
    lead_calmly();
    do_step((struct raft_event){.type = RAFT_EVENT_STORE_FAILED, .status = BASE_E_NOSPACE});
    assert_int_equal(effects_of(RAFT_EFFECT_HALT), 1);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TICK}), BASE_E_STATE);
    assert_int_equal(propose(1), BASE_E_STATE);
}

static void test_refusals(void **state)
{
    (void)state;
    struct raft_core_config config = config_of(3);
    rig_members.members[2].id = 1;
    assert_int_equal(raft_core_init(&rig.core, &config), BASE_E_INVALID);
    set_up(3, 0, NULL, 0);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_TRANSFER}), BASE_E_NOTLEADER);
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_CHANGE_MEMBERS}),
                     BASE_E_NOTLEADER);
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, 4, 9);
    hear(m); /* a stranger's answer moves nothing */
    assert_int_equal(rig.core.term, 0);
    m.from = 2;
    m.cluster = 10;
    assert_int_equal(step((struct raft_event){.type = RAFT_EVENT_MESSAGE, .message = &m}),
                     BASE_E_DENIED);
    assert_int_equal(rig.core.term, 0);
    struct raft_core_restored restored = {.term = 1, .applied = 3};
    assert_int_equal(raft_core_start(&rig.core, &restored, (struct base_mono){0}), BASE_E_CORRUPT);
}

static void random_change(struct base_rand *r, struct raft_event *event)
{
    static struct raft_configuration next;
    event->type = RAFT_EVENT_TRANSFER;
    event->peer = base_rand_between(r, 1, 4);
    if (base_rand_chance_ppm(r, 300000)) {
        return;
    }
    next = rig.core.configuration;
    event->type = RAFT_EVENT_CHANGE_MEMBERS;
    event->configuration = &next;
    event->bytes = 60;
    for (uint32_t i = 0; i < next.count; i++) {
        if (next.members[i].id == event->peer) {
            next.members[i] = next.members[--next.count];
            return;
        }
    }
    next.members[next.count++] =
        (struct raft_member){.id = event->peer, .is_learner = base_rand_chance_ppm(r, 500000)};
}

static void random_image(struct base_rand *r, struct raft_event *event)
{
    static struct raft_configuration of_image;
    event->index = base_rand_between(r, 1, rig.core.log.last_index + 3);
    event->term = rig.core.term;
    event->peer = base_rand_between(r, 2, 4);
    event->status = base_rand_chance_ppm(r, 500000) ? BASE_E_TIMEOUT : 0;
    event->type =
        base_rand_chance_ppm(r, 300000) ? RAFT_EVENT_SNAPSHOT_RECEIVED : RAFT_EVENT_SNAPSHOT_ENDED;
    if (rig.core.is_installing && rig.core.write_count == 0) {
        event->type = RAFT_EVENT_INSTALLED;
        event->index = rig.core.commit + base_rand_between(r, 1, 5);
        of_image = rig.core.configuration;
        of_image.index = 0;
        event->configuration = &of_image;
    }
}

/* Any events in any order: no assertion fails and the invariants hold. Messages are those a decoder
 * lets through. */
static void random_event(struct base_rand *r)
{
    struct msg_raft m = msg((enum msg_raft_type)base_rand_between(r, 1, MSG_RAFT_TYPE_COUNT - 1),
                            base_rand_between(r, 2, 3), 0);
    uint64_t near = rig.core.log.last_index + 3;
    m.term = base_rand_between(r, rig.core.term > 2 ? rig.core.term - 2 : 0,
                               rig.core.term + (base_rand_chance_ppm(r, 50000) ? 1 : 0));
    m.proposed_term = m.term + base_rand_between(r, 0, 1);
    m.is_rejected = base_rand_chance_ppm(r, 300000);
    m.index = base_rand_between(r, 0, near);
    m.log_term = base_rand_between(r, 0, m.term);
    if (base_rand_chance_ppm(r, 700000)) {
        m.log_term = raft_core_log_term(&rig.core, m.index);
        m.log_term = m.log_term > m.term ? m.term : m.log_term;
    }
    m.commit = base_rand_between(r, 0, near);
    m.round = base_rand_between(r, 0, rig.core.round_started + 1);
    m.received = base_rand_between(r, 0, near);
    m.hint_index = base_rand_between(r, 0, near);
    m.hint_term = base_rand_between(r, 0, m.term);
    if (m.type == MSG_RAFT_APPEND && m.term > 0) {
        m.entry_count = (uint32_t)base_rand_between(r, 0, 4);
        m.entries = rig.entries;
        for (uint32_t i = 0; i < m.entry_count; i++) {
            uint64_t low = i == 0 ? m.log_term : rig.entries[i - 1].term;
            rig.entries[i].term = base_rand_between(r, low == 0 ? 1 : low, m.term);
        }
    }
    struct raft_event event = {.type = RAFT_EVENT_MESSAGE, .message = &m};
    switch (base_rand_between(r, 0, 14)) {
    case 0:
        event.type = RAFT_EVENT_TICK;
        rig.now_us += (int64_t)base_rand_between(r, 0, 400) * MS;
        break;
    case 1:
        event.type = RAFT_EVENT_PROPOSE;
        event.bytes = base_rand_between(r, 1, 200000);
        break;
    case 2:
        event.type = RAFT_EVENT_READ;
        break;
    case 3:
        event.type = RAFT_EVENT_STATE_SAVED;
        event.term = rig.core.saving_term;
        event.vote = rig.core.saving_vote;
        break;
    case 4:
        event.type = rig.core.write_count > 0 ? RAFT_EVENT_PERSISTED : RAFT_EVENT_TICK;
        event.id = rig.core.writes[0].id;
        break;
    case 5:
        event.type = RAFT_EVENT_UNREACHABLE;
        event.peer = base_rand_between(r, 2, 3);
        break;
    case 6:
        random_change(r, &event);
        break;
    case 7:
        event.type = RAFT_EVENT_COMPACT;
        event.index = base_rand_between(r, 0, near);
        break;
    case 8:
        random_image(r, &event);
        break;
    default:
        break;
    }
    (void)!step(event);
}

static void test_random_events_break_no_invariant(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct base_rand r = base_rand_make(seed, 3);
        set_up(3, 1, NULL, 0);
        for (int i = 0; i < 400 && !rig.core.is_halted; i++) {
            random_event(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum_of_all_small_groups),
        cmocka_unit_test(test_log_runs),
        cmocka_unit_test(test_log_forgets_oldest_terms_when_full),
        cmocka_unit_test(test_log_forgets_nothing_while_there_is_room),
        cmocka_unit_test(test_all_outcomes_of_a_vote_among_three),
        cmocka_unit_test(test_one_refusal_and_double_grants_among_five),
        cmocka_unit_test(test_who_gets_a_vote),
        cmocka_unit_test(test_a_vote_of_an_earlier_term_that_becomes_durable_late_is_not_told),
        cmocka_unit_test(test_candidate_asks_and_counts_itself_only_when_durable),
        cmocka_unit_test(test_prevote_moves_no_term),
        cmocka_unit_test(test_followers_of_a_live_leader_refuse),
        cmocka_unit_test(test_a_prevote_is_for_a_later_term_than_ours),
        cmocka_unit_test(test_nobody_stands_before_the_shortest_time),
        cmocka_unit_test(test_prober_of_an_older_term_catches_up),
        cmocka_unit_test(test_a_voter_of_an_older_term_completes_a_prevote),
        cmocka_unit_test(test_check_quorum),
        cmocka_unit_test(test_a_stalled_leader_reads_its_mail_first),
        cmocka_unit_test(test_reads_wait_for_the_first_commit_of_the_term),
        cmocka_unit_test(test_a_round_counts_only_what_was_sent_after_it_began),
        cmocka_unit_test(test_reads_share_rounds),
        cmocka_unit_test(test_lost_heartbeats_of_a_round_are_repeated),
        cmocka_unit_test(test_a_deposed_leader_serves_no_read),
        cmocka_unit_test(test_followers_ask_their_leader),
        cmocka_unit_test(test_group_of_one),
        cmocka_unit_test(test_store_failure_stops_the_node),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_random_events_break_no_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
