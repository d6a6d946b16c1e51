/* SPDX-License-Identifier: Apache-2.0 */
/* The leader: its term's first entry, proposals, heartbeats, check-quorum, and the commit rule. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"
#include "raft/core/quorum.h"

static bool is_other(const struct raft_core *core, size_t i)
{
    return i != core->self;
}

void raft_send_to_all(struct raft_core *core, struct raft_effects *effects)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (is_other(core, i)) {
            raft_peer_send(core, effects, &core->peers[i]);
        }
    }
}

int raft_append_own(struct raft_core *core, struct raft_effects *effects,
                    enum msg_raft_entry_type type, size_t bytes)
{
    int rc = raft_log_append(&core->log, core->term, bytes, raft_settled(core));
    if (rc != 0) {
        return rc;
    }
    struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_ENTRY);
    effect->index = core->log.last_index;
    effect->term = core->term;
    effect->entry_type = type;
    raft_start_writes(core, effects);
    raft_send_to_all(core, effects); /* T 10.2.1: not after our own flush, beside it */
    return 0;
}

void raft_lead(struct raft_core *core, struct raft_effects *effects)
{
    BASE_ASSERT(core->vote == core->config.id);
    if (!raft_log_make_room(&core->log, 1, raft_settled(core))) {
        raft_become_follower(core, effects, core->term, 0); /* thousands of terms, none committed */
        return;
    }
    core->role = RAFT_LEADER;
    core->leader = core->config.id;
    core->term_start = core->log.last_index + 1;
    core->round_started = 0;
    core->round_confirmed = 0;
    core->round_released = 0;
    core->is_round_wanted = false;
    core->heartbeat_at_us = core->now_us + core->config.heartbeat_us;
    core->quorum_check_from_us = core->now_us;
    for (size_t i = 0; i < core->peer_count; i++) {
        raft_peer_reset(core, &core->peers[i]);
    }
    int rc =
        raft_append_own(core, effects, MSG_RAFT_ENTRY_NOOP, 0); /* T 6.4: so that it can commit */
    if (rc != 0) {
        raft_halt(core, effects, rc);
    }
}

int raft_propose(struct raft_core *core, struct raft_effects *effects, size_t bytes)
{
    if (core->role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    if (core->transfer_to != 0) {
        return BASE_E_BUSY; /* T 3.10 */
    }
    return raft_append_own(core, effects, MSG_RAFT_ENTRY_DATA, bytes);
}

void raft_broadcast_heartbeat(struct raft_core *core, struct raft_effects *effects)
{
    core->heartbeat_at_us = core->now_us + core->config.heartbeat_us;
    for (size_t i = 0; i < core->peer_count; i++) {
        if (!is_other(core, i)) {
            continue;
        }
        const struct raft_peer *peer = &core->peers[i];
        struct msg_raft *message = raft_send(core, effects, peer->id, MSG_RAFT_HEARTBEAT);
        bool is_held = core->commit < peer->match || CANARY(COMMIT_BEYOND_MATCH);
        message->commit = is_held ? core->commit : peer->match;
        message->round = core->round_started;
    }
}

/* Check-quorum (T 6.2): a leader that a majority has not answered for an election timeout stops
 * being one. */
static bool has_quorum(const struct raft_core *core)
{
    size_t heard = 0;
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct raft_peer *peer = &core->peers[i];
        bool is_heard =
            !is_other(core, i) || core->now_us - peer->heard_us <= core->config.election_max_us;
        heard += is_heard && !peer->is_learner;
    }
    return heard >= raft_majority(core);
}

void raft_leader_tick(struct raft_core *core, struct raft_effects *effects)
{
    if (core->now_us - core->quorum_check_from_us > core->config.election_max_us &&
        !has_quorum(core)) {
        MARK(RAFT_CHECK_QUORUM);
        raft_become_follower(core, effects, core->term, 0);
        return;
    }
    if (core->now_us >= core->heartbeat_at_us) {
        raft_broadcast_heartbeat(core, effects);
        raft_transfer_advance(core, effects);
    }
}

/* Followers that get no entry soon hear of the new commit index at once; never more than they hold
 * durably. */
static void tell_commit(struct raft_core *core, struct raft_effects *effects,
                        const struct raft_peer *peer, uint64_t known)
{
    uint64_t commit = core->commit < peer->match ? core->commit : peer->match;
    if (peer->state == RAFT_PEER_REPLICATE && peer->next > core->log.last_index && commit > known) {
        raft_send(core, effects, peer->id, MSG_RAFT_COMMIT)->commit = commit;
    }
}

void raft_advance_commit(struct raft_core *core, struct raft_effects *effects)
{
    uint64_t reached[RAFT_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < core->peer_count; i++) {
        if (!core->peers[i].is_learner || CANARY(LEARNER_COUNTED)) {
            reached[count++] = is_other(core, i) ? core->peers[i].match : core->persisted;
        }
    }
    if (CANARY(REMOVED_LEADER_COUNTED) && core->self == RAFT_SELF_NONE) {
        reached[count++] = core->persisted;
    }
    uint64_t index = raft_quorum_reached_by(reached, count, raft_majority(core));
    uint64_t before = core->commit;
    uint64_t term = 0;
    /* T 3.6.2: only entries of the leader's own term are committed by counting. */
    if (index <= before || !raft_log_term(&core->log, index, &term)) {
        return;
    }
    if (term != core->term && !CANARY(COMMIT_OLDER_TERM)) {
        MARK(RAFT_OLD_TERM_NOT_COUNTED);
        return;
    }
    raft_set_commit(core, effects, index);
    for (size_t i = 0; i < core->peer_count; i++) {
        if (is_other(core, i)) {
            tell_commit(core, effects, &core->peers[i], before);
        }
    }
    if (before < core->term_start) {
        raft_rounds_advance(core, effects);
    }
    if (!raft_core_is_voter(core) && core->configuration.index <= core->commit) {
        MARK(RAFT_REMOVED_LEADER_RESIGNS);
        raft_resign(core, effects); /* T 4.2.2: it led until its removal was committed */
    }
}

void raft_on_append_reply(struct raft_core *core, struct raft_effects *effects,
                          const struct msg_raft *m)
{
    struct raft_peer *peer = raft_peer_of(core, m->from);
    if (core->role != RAFT_LEADER) {
        return;
    }
    if (m->is_rejected) {
        if (raft_peer_rejected(core, peer, m)) {
            raft_peer_send(core, effects, peer);
        }
        return;
    }
    uint64_t known = peer->match;
    uint64_t commit = core->commit;
    raft_peer_taken(core, peer, m->index, m->received);
    raft_advance_commit(core, effects);
    if (core->role != RAFT_LEADER) {
        return;
    }
    raft_peer_send(core, effects, peer);
    if (peer->id == core->transfer_to && peer->match == core->log.last_index) {
        raft_transfer_advance(core, effects);
    }
    if (commit == core->commit) {
        tell_commit(core, effects, peer, known);
    }
}

void raft_on_heartbeat_reply(struct raft_core *core, struct raft_effects *effects,
                             const struct msg_raft *m)
{
    struct raft_peer *peer = raft_peer_of(core, m->from);
    if (core->role != RAFT_LEADER) {
        return;
    }
    if (m->round <= core->round_started && m->round > peer->round_acked) {
        peer->round_acked = CANARY(STALE_READ_ROUND) ? core->round_started : m->round;
        raft_rounds_advance(core, effects);
    }
    bool is_waiting = peer->match + 1 < peer->next || peer->is_probe_sent;
    if (is_waiting && core->now_us - peer->progress_us > 2 * core->config.heartbeat_us) {
        raft_peer_ask(core, effects, peer); /* is it slow, or was something lost? */
        return;
    }
    raft_peer_send(core, effects, peer);
}

void raft_on_unreachable(struct raft_core *core, uint64_t id)
{
    struct raft_peer *peer = raft_peer_of(core, id);
    if (core->role != RAFT_LEADER || peer == NULL || id == core->config.id ||
        peer->state != RAFT_PEER_REPLICATE) {
        return;
    }
    MARK(RAFT_UNREACHABLE);
    raft_peer_probe(peer);
    peer->is_probe_sent = true; /* not before its next heartbeat reply */
    peer->next = peer->match + 1;
}
