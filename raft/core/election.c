/* SPDX-License-Identifier: Apache-2.0 */
/* Elections: pre-vote (T 9.6), votes (T 3.4, 3.6.1), and the peace of a healthy group (T 4.2.3). A
 * vote is told to nobody, not even counted by ourselves, before it is durable. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"

/* Next election: after a random time in [min, max], or within `longest_us` if that is shorter than
 * min. */
void raft_reset_election(struct raft_core *core, int64_t longest_us)
{
    int64_t shortest_us = core->config.election_min_us;
    if (longest_us < shortest_us) {
        shortest_us = 0;
    }
    core->election_at_us =
        core->now_us +
        (int64_t)base_rand_between(&core->rand, (uint64_t)shortest_us, (uint64_t)longest_us);
}

bool raft_has_live_leader(const struct raft_core *core)
{
    if (core->role == RAFT_LEADER) {
        return true;
    }
    return core->leader != 0 && core->now_us - core->leader_heard_us < core->config.election_min_us;
}

static void set_term(struct raft_core *core, uint64_t term, uint64_t vote)
{
    BASE_ASSERT(term >= core->term);
    if (term > core->term) {
        core->leader_match = 0;
        core->leader_acked = 0;
        core->is_taken_due = false;
        core->vote_reply_to = 0;
    }
    core->term = term;
    core->vote = vote;
}

void raft_become_follower(struct raft_core *core, struct raft_effects *effects, uint64_t term,
                          uint64_t leader)
{
    bool is_same = core->role == RAFT_FOLLOWER && term == core->term && leader == core->leader;
    if (is_same) {
        return;
    }
    raft_read_reset(core, effects);
    if (core->role == RAFT_LEADER) {
        raft_reset_election(core, core->config.election_max_us);
    }
    set_term(core, term, term > core->term ? 0 : core->vote);
    core->role = RAFT_FOLLOWER;
    core->leader = leader;
}

static void clear_votes(struct raft_core *core)
{
    core->own_vote = RAFT_VOTE_NONE;
    for (size_t i = 0; i < core->peer_count; i++) {
        core->peers[i].vote = RAFT_VOTE_NONE;
    }
}

static bool has_won(const struct raft_core *core)
{
    size_t granted = core->own_vote == RAFT_VOTE_GRANTED && raft_core_is_voter(core);
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct raft_peer *peer = &core->peers[i];
        granted += i != core->self && peer->vote == RAFT_VOTE_GRANTED && !peer->is_learner;
    }
    return granted >= raft_majority(core);
}

static void ask_for_votes(struct raft_core *core, struct raft_effects *effects,
                          enum msg_raft_type type)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (i == core->self || core->peers[i].is_learner) {
            continue;
        }
        struct msg_raft *message = raft_send(core, effects, core->peers[i].id, type);
        message->is_transfer = type == MSG_RAFT_VOTE && core->is_transfer_vote;
        message->index = core->log.last_index;
        message->log_term = raft_log_last_term(&core->log);
        message->proposed_term = type == MSG_RAFT_PREVOTE ? core->term + 1 : 0;
    }
}

/* Takes the next term and our own vote in it; the others are asked when both are durable. */
static void become_candidate(struct raft_core *core, struct raft_effects *effects)
{
    raft_read_reset(core, effects);
    clear_votes(core);
    set_term(core, core->term + 1, core->config.id);
    core->role = RAFT_CANDIDATE;
    core->leader = 0;
    core->is_transfer_vote = false;
    raft_reset_election(core, core->config.election_max_us);
    if (CANARY(VOTE_NOT_PERSISTED)) {
        raft_on_vote_saved(core, effects);
    }
}

void raft_stand(struct raft_core *core, struct raft_effects *effects)
{
    become_candidate(core, effects);
    core->is_transfer_vote = true;
}

static void become_pre_candidate(struct raft_core *core, struct raft_effects *effects)
{
    raft_read_reset(core, effects);
    clear_votes(core);
    core->role = RAFT_PRE_CANDIDATE;
    core->leader = 0;
    core->own_vote = RAFT_VOTE_GRANTED;
    raft_reset_election(core, core->config.election_max_us);
    if (has_won(core)) {
        become_candidate(core, effects);
        return;
    }
    ask_for_votes(core, effects, MSG_RAFT_PREVOTE);
}

void raft_election_tick(struct raft_core *core, struct raft_effects *effects)
{
    if (core->now_us < core->election_at_us) {
        return;
    }
    if (!raft_core_may_stand(core) || core->is_installing) {
        raft_reset_election(core, core->config.election_max_us);
        return;
    }
    if (core->role == RAFT_CANDIDATE && core->own_vote == RAFT_VOTE_NONE) {
        MARK(RAFT_OWN_VOTE_SLOW);
        /* Our disk has not taken our own vote yet: another term would not make it faster. */
        raft_reset_election(core, core->config.election_max_us);
        return;
    }
    if (CANARY(NO_PRE_VOTE)) {
        become_candidate(core, effects);
        return;
    }
    become_pre_candidate(core, effects);
}

/* T 3.6.1: the candidate's log is at least as new as ours. */
static bool is_up_to_date(const struct raft_core *core, const struct msg_raft *m)
{
    uint64_t last_term = raft_log_last_term(&core->log);
    if (CANARY(VOTE_WITHOUT_COMPARISON)) {
        return true;
    }
    return m->log_term > last_term ||
           (m->log_term == last_term && m->index >= core->log.last_index);
}

void raft_on_prevote(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    bool is_granted =
        m->proposed_term > core->term && !raft_has_live_leader(core) && is_up_to_date(core, m);
    struct msg_raft *reply = raft_send(core, effects, m->from, MSG_RAFT_PREVOTE_REPLY);
    reply->proposed_term = m->proposed_term;
    reply->is_rejected = !is_granted;
}

void raft_on_vote(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    BASE_ASSERT(m->term == core->term);
    bool may_vote =
        core->vote == m->from || (core->vote == 0 && core->leader == 0) || CANARY(TWO_VOTES_A_TERM);
    if (!may_vote || core->role == RAFT_LEADER || !is_up_to_date(core, m)) {
        if (may_vote && core->role != RAFT_LEADER) {
            MARK(RAFT_VOTE_OLD_LOG);
        }
        raft_send(core, effects, m->from, MSG_RAFT_VOTE_REPLY)->is_rejected = true;
        return;
    }
    bool is_saved = core->saved_term == core->term && core->saved_vote == m->from;
    core->role = RAFT_FOLLOWER;
    core->vote = m->from;
    raft_reset_election(core, core->config.election_max_us);
    if (is_saved || CANARY(VOTE_NOT_PERSISTED)) {
        (void)raft_send(core, effects, m->from, MSG_RAFT_VOTE_REPLY);
        return;
    }
    core->vote_reply_to = m->from; /* T 3.8: on stable storage before we answer */
}

void raft_on_vote_saved(struct raft_core *core, struct raft_effects *effects)
{
    if (core->vote_reply_to != 0) {
        BASE_ASSERT(core->vote_reply_to == core->vote);
        (void)raft_send(core, effects, core->vote_reply_to, MSG_RAFT_VOTE_REPLY);
        core->vote_reply_to = 0;
        return;
    }
    if (core->role != RAFT_CANDIDATE || core->own_vote != RAFT_VOTE_NONE) {
        return;
    }
    BASE_ASSERT(core->vote == core->config.id);
    core->own_vote = RAFT_VOTE_GRANTED;
    raft_reset_election(core,
                        core->config.election_max_us); /* the disk's time is not the others' */
    if (has_won(core)) {
        raft_lead(core, effects);
        return;
    }
    ask_for_votes(core, effects, MSG_RAFT_VOTE);
}

void raft_on_vote_reply(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m)
{
    bool is_pre = m->type == MSG_RAFT_PREVOTE_REPLY;
    if (core->role != (is_pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE) ||
        (is_pre && m->proposed_term != core->term + 1)) {
        return;
    }
    if (core->own_vote == RAFT_VOTE_NONE) {
        return; /* own vote is not durable: nobody was asked in this term */
    }
    struct raft_peer *peer = raft_peer_of(core, m->from);
    peer->vote = m->is_rejected ? RAFT_VOTE_REFUSED : RAFT_VOTE_GRANTED;
    if (!has_won(core)) {
        return;
    }
    if (is_pre) {
        become_candidate(core, effects);
    } else {
        raft_lead(core, effects);
    }
}
