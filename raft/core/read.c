/* SPDX-License-Identifier: Apache-2.0 */
/* Linearizable reads without the log (T 6.4): rounds of heartbeats. A round is confirmed by a
 * majority that answered heartbeats sent after it began; all reads that asked before it began share
 * it. A follower asks its leader, one question at a time, and everything that came meanwhile shares
 * the next one. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"
#include "raft/core/quorum.h"

static void start_round(struct raft_core *core, struct raft_effects *effects)
{
    core->round_started++;
    raft_broadcast_heartbeat(core, effects);
}

/* The round that will count for somebody who asks now. */
static uint64_t want_round(struct raft_core *core, struct raft_effects *effects)
{
    if (core->round_started - core->round_confirmed < RAFT_ROUNDS_MAX) {
        start_round(core, effects);
        return core->round_started;
    }
    MARK(RAFT_ROUNDS_FULL);
    core->is_round_wanted = true;
    return core->round_started + 1;
}

static void send_question(struct raft_core *core, struct raft_effects *effects)
{
    core->is_forward_sent = true;
    core->forward_sent_us = core->now_us;
    raft_send(core, effects, core->leader, MSG_RAFT_READ)->round = core->forward_id;
}

static uint64_t forward(struct raft_core *core, struct raft_effects *effects)
{
    if (core->is_forward_sent) {
        core->is_forward_wanted = true;
        return core->forward_id + 1;
    }
    core->forward_id++;
    send_question(core, effects);
    return core->forward_id;
}

static void release_ready(struct raft_core *core, struct raft_effects *effects)
{
    if (!raft_core_has_committed_own_term(core) && !CANARY(READ_BEFORE_OWN_TERM)) {
        MARK(RAFT_READ_WAITS_FOR_TERM);
        return; /* the commit index may be older than what the last leader acknowledged */
    }
    if (core->round_confirmed > core->round_released) {
        core->round_released = core->round_confirmed;
        struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_READ_READY);
        effect->id = core->round_released;
        effect->index = core->commit;
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        struct raft_peer *peer = &core->peers[i];
        if (peer->has_read && peer->read_round <= core->round_confirmed) {
            peer->has_read = false;
            struct msg_raft *reply = raft_send(core, effects, peer->id, MSG_RAFT_READ_REPLY);
            reply->round = peer->read_id;
            reply->index = core->commit;
        }
    }
}

void raft_rounds_advance(struct raft_core *core, struct raft_effects *effects)
{
    uint64_t acked[RAFT_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < core->peer_count; i++) {
        if (!core->peers[i].is_learner) {
            acked[count++] = i == core->self ? core->round_started : core->peers[i].round_acked;
        }
    }
    uint64_t confirmed = raft_quorum_reached_by(acked, count, raft_majority(core));
    BASE_ASSERT(confirmed <= core->round_started);
    if (confirmed > core->round_confirmed) {
        core->round_confirmed = confirmed;
        raft_effect_add(effects, RAFT_EFFECT_CONFIRMED)->id = confirmed;
        if (core->is_round_wanted) {
            core->is_round_wanted = false;
            start_round(core, effects);
        }
    }
    release_ready(core, effects);
}

/* Planted bug: no round at all. */
static void pretend_confirmed(struct raft_core *core, struct raft_effects *effects)
{
    core->round_started++;
    core->round_confirmed = core->round_started;
    core->round_released = core->round_started;
    raft_effect_add(effects, RAFT_EFFECT_CONFIRMED)->id = core->round_started;
    struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_READ_READY);
    effect->id = core->round_started;
    effect->index = core->commit;
}

int raft_read(struct raft_core *core, struct raft_effects *effects)
{
    if (core->role == RAFT_LEADER && CANARY(READ_WITHOUT_CONFIRMATION)) {
        pretend_confirmed(core, effects);
        effects->ticket = core->round_started;
        return 0;
    }
    if (core->role == RAFT_LEADER) {
        effects->ticket = want_round(core, effects);
        raft_rounds_advance(core, effects); /* a group of one has its majority already */
        return 0;
    }
    if (core->role != RAFT_FOLLOWER || core->leader == 0) {
        return BASE_E_NOTLEADER;
    }
    effects->ticket = forward(core, effects);
    return 0;
}

void raft_read_reset(struct raft_core *core, struct raft_effects *effects)
{
    if (core->is_forward_sent) {
        MARK(RAFT_READ_DROPPED);
    }
    core->is_forward_sent = false;
    core->is_forward_wanted = false;
    core->is_round_wanted = false;
    (void)raft_effect_add(effects, RAFT_EFFECT_READ_LOST);
}

void raft_read_tick(struct raft_core *core, struct raft_effects *effects)
{
    if (core->is_forward_sent && core->role == RAFT_FOLLOWER &&
        core->now_us - core->forward_sent_us >= 2 * core->config.heartbeat_us) {
        MARK(RAFT_READ_ASKED_AGAIN);
        send_question(core, effects);
    }
}

void raft_on_read(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    struct raft_peer *peer = raft_peer_of(core, m->from);
    if (core->role != RAFT_LEADER) {
        return;
    }
    peer->has_read = true;
    peer->read_id = m->round;
    peer->read_round = want_round(core, effects);
    if (CANARY(READ_WITHOUT_CONFIRMATION)) {
        peer->read_round = 0;
        release_ready(core, effects);
    }
}

void raft_on_read_reply(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m)
{
    bool is_answer = m->from == core->leader && m->round == core->forward_id;
    if (CANARY(READ_INDEX_OVER_LEADER_CHANGE)) {
        is_answer = true;
    }
    if (core->role != RAFT_FOLLOWER || !core->is_forward_sent || !is_answer) {
        return;
    }
    raft_set_commit(core, effects, m->index < core->leader_match ? m->index : core->leader_match);
    core->is_forward_sent = false;
    struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_READ_READY);
    effect->id = core->forward_id;
    effect->index = m->index;
    if (core->is_forward_wanted) {
        core->is_forward_wanted = false;
        core->forward_id++;
        send_question(core, effects);
    }
}
