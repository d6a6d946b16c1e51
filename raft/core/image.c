/* SPDX-License-Identifier: Apache-2.0 */
/* The log behind images of the state: forgetting what is applied, peers that lack what is
 * forgotten, and a follower whose log begins anew behind an image (T 5). */
#include "base/assert.h"
#include "base/mark.h"
#include "raft/core/internal.h"

int raft_compact(struct raft_core *core, struct raft_effects *effects, uint64_t index)
{
    index = index < raft_settled(core) ? index : raft_settled(core);
    if (index < core->log.first_index || core->is_installing) {
        return 0;
    }
    raft_log_compact(&core->log, index);
    raft_effect_add(effects, RAFT_EFFECT_TRIM)->index = index;
    return 0;
}

void raft_on_snapshot_ended(struct raft_core *core, struct raft_effects *effects,
                            const struct raft_event *event)
{
    struct raft_peer *peer = raft_peer_of(core, event->peer);
    if (core->role != RAFT_LEADER || peer == NULL || peer->state != RAFT_PEER_SNAPSHOT) {
        return; /* of an older term, or it has caught up by itself */
    }
    raft_peer_probe(peer);
    peer->progress_us = core->now_us;
    peer->next = peer->match + 1;
    if (event->status != 0) {
        MARK(RAFT_IMAGE_FAILED);
        peer->is_probe_sent = true; /* again when it has answered a few heartbeats */
        return;
    }
    if (event->index > peer->match) {
        MARK(RAFT_REPLICATE_BEHIND_IMAGE);
        peer->next = event->index + 1;
    }
    if (peer->next > core->log.last_index + 1) {
        peer->next = core->log.last_index + 1;
    }
    raft_peer_send(core, effects, peer);
}

void raft_on_snapshot_received(struct raft_core *core, struct raft_effects *effects,
                               const struct raft_event *event)
{
    uint64_t term = 0;
    if (core->is_installing) {
        return;
    }
    bool is_held = raft_log_term(&core->log, event->index, &term) && term == event->term;
    if (core->role == RAFT_FOLLOWER && event->index > core->commit && !is_held) {
        MARK(RAFT_IMAGE_TAKEN);
        core->is_installing = true;
        struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_INSTALL);
        effect->index = event->index;
        effect->term = event->term;
        return;
    }
    (void)raft_effect_add(effects, RAFT_EFFECT_DISCARD);
    if (core->role == RAFT_FOLLOWER && core->leader != 0) {
        /* What is in an image is committed, and every later leader has it (T 3.6.3). */
        raft_set_commit(core, effects, is_held ? event->index : core->commit);
        if (core->leader_match < core->commit) {
            core->leader_match = core->commit;
        }
        raft_send_taken(core, effects);
    }
}

void raft_on_installed(struct raft_core *core, struct raft_effects *effects,
                       const struct raft_event *event)
{
    if (!core->is_installing) {
        return;
    }
    core->is_installing = false;
    if (event->status != 0) {
        (void)raft_effect_add(effects, RAFT_EFFECT_DISCARD);
        raft_start_writes(core, effects);
        return;
    }
    BASE_ASSERT(core->write_count == 0);
    BASE_ASSERT(event->index > core->commit);
    raft_log_init(&core->log, event->index, event->term);
    core->persisted = event->index;
    core->unwritten_from = event->index + 1;
    core->commit = event->index;
    raft_members_set(core, event->configuration, true);
    (void)raft_effect_add(effects, RAFT_EFFECT_MEMBERS);
    core->leader_match = event->index;
    core->leader_acked = 0;
    if (core->role == RAFT_FOLLOWER && core->leader != 0) {
        raft_send_taken(core, effects);
    }
}
