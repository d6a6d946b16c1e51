/* SPDX-License-Identifier: Apache-2.0 */
/* Handing over leadership (T 3.10): no proposals meanwhile, the other one is brought up to the end
 * of the log and told to stand at once; after an election timeout things go on as before. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"

int raft_transfer(struct raft_core *core, struct raft_effects *effects, uint64_t to)
{
    if (core->role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    const struct raft_peer *peer = raft_peer_of(core, to);
    if (peer == NULL || peer->is_learner || to == core->config.id) {
        return BASE_E_INVALID;
    }
    if (core->transfer_to != 0) {
        return BASE_E_BUSY;
    }
    core->transfer_to = to;
    core->transfer_until_us = core->now_us + core->config.election_max_us;
    raft_transfer_advance(core, effects);
    return 0;
}

void raft_transfer_advance(struct raft_core *core, struct raft_effects *effects)
{
    struct raft_peer *peer = raft_peer_of(core, core->transfer_to);
    if (core->role != RAFT_LEADER || peer == NULL) {
        return;
    }
    if (peer->match == core->log.last_index || CANARY(TRANSFER_TO_STALE_LOG)) {
        (void)raft_send(core, effects, peer->id, MSG_RAFT_TIMEOUT_NOW);
    } else {
        MARK(RAFT_TRANSFER_WAITS);
        raft_peer_send(core, effects, peer);
    }
}

static void end_transfer(struct raft_core *core, struct raft_effects *effects, int status)
{
    core->transfer_to = 0;
    raft_effect_add(effects, RAFT_EFFECT_TRANSFER_ENDED)->status = status;
}

void raft_transfer_settle(struct raft_core *core, struct raft_effects *effects)
{
    if (core->transfer_to == 0) {
        return;
    }
    if (core->role != RAFT_LEADER && core->leader != 0) {
        end_transfer(core, effects, core->leader == core->transfer_to ? 0 : BASE_E_CANCELED);
    } else if (core->now_us >= core->transfer_until_us) {
        MARK(RAFT_TRANSFER_TIMEOUT);
        end_transfer(core, effects, BASE_E_TIMEOUT);
    } else if (core->role == RAFT_LEADER && raft_peer_of(core, core->transfer_to) == NULL) {
        end_transfer(core, effects, BASE_E_CANCELED);
    }
}

void raft_on_timeout_now(struct raft_core *core, struct raft_effects *effects)
{
    if (core->role == RAFT_FOLLOWER && raft_core_may_stand(core) && !core->is_installing) {
        raft_stand(core, effects);
    }
}

void raft_resign(struct raft_core *core, struct raft_effects *effects)
{
    BASE_ASSERT(core->role == RAFT_LEADER);
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct raft_peer *peer = &core->peers[i];
        if (i != core->self && !peer->is_learner && peer->match == core->log.last_index) {
            (void)raft_send(core, effects, peer->id, MSG_RAFT_TIMEOUT_NOW);
            break;
        }
    }
    raft_become_follower(core, effects, core->term, 0);
}
