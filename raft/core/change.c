/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration in force: whole ones as entries, valid as soon as they stand in the log
 * (T 4.1), one step at a time and not before the leader has committed an entry of its own term (the
 * erratum of 2015, without which two majorities might have no member in common). */
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"
#include "raft/core/members.h"
#include "raft/core/quorum.h"

bool raft_core_is_voter(const struct raft_core *core)
{
    return core->self != RAFT_SELF_NONE && !core->peers[core->self].is_learner;
}

bool raft_core_may_stand(const struct raft_core *core)
{
    if (raft_core_is_voter(core)) {
        return true;
    }
    if (!core->has_previous || core->configuration.index <= core->commit) {
        return false;
    }
    const struct raft_member *before = raft_members_find(&core->previous, core->config.id);
    return before != NULL && !before->is_learner;
}

size_t raft_majority(const struct raft_core *core)
{
    if (CANARY(QUORUM_OF_OLD_CONFIGURATION) && core->has_previous && core->previous.count > 0) {
        return raft_quorum_size(raft_members_voters(&core->previous));
    }
    return raft_quorum_size(core->voter_count);
}

/* The table of peers follows the configuration; who stays keeps his progress. */
static void rebuild_peers(struct raft_core *core)
{
    struct raft_peer old[RAFT_MEMBERS_MAX];
    size_t old_count = core->peer_count;
    memcpy(old, core->peers, sizeof(old));
    memset(core->peers, 0, sizeof(core->peers));
    core->peer_count = core->configuration.count;
    core->voter_count = raft_members_voters(&core->configuration);
    core->self = RAFT_SELF_NONE;
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct raft_member *member = &core->configuration.members[i];
        struct raft_peer *peer = &core->peers[i];
        raft_peer_reset(core, peer);
        for (size_t j = 0; j < old_count; j++) {
            if (old[j].id == member->id) {
                *peer = old[j];
            }
        }
        peer->id = member->id;
        peer->is_learner = member->is_learner;
        if (member->id == core->config.id) {
            core->self = i;
        }
    }
}

void raft_members_set(struct raft_core *core, const struct raft_configuration *configuration,
                      bool is_first)
{
    core->has_previous = !is_first;
    if (!is_first) {
        core->previous = core->configuration;
    }
    core->configuration = *configuration;
    rebuild_peers(core);
}

void raft_core_load_members(struct raft_core *core, const struct raft_configuration *configuration,
                            bool is_base)
{
    if (is_base || configuration->index > core->configuration.index) {
        raft_members_set(core, configuration, is_base);
    }
}

int raft_members_truncate(struct raft_core *core, uint64_t from)
{
    if (core->configuration.index < from) {
        return 0;
    }
    if (!core->has_previous || core->previous.index >= from) {
        return BASE_E_CORRUPT; /* it was committed, see core.h */
    }
    MARK(RAFT_MEMBERS_TRUNCATED);
    core->configuration = core->previous;
    core->has_previous = false;
    rebuild_peers(core);
    return 0;
}

int raft_change_members(struct raft_core *core, struct raft_effects *effects,
                        const struct raft_configuration *next, size_t bytes)
{
    if (core->role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    if (!raft_members_are_sound(next) || !raft_members_is_step(&core->configuration, next)) {
        return BASE_E_INVALID;
    }
    if (!raft_core_has_committed_own_term(core) && !CANARY(CHANGE_BEFORE_OWN_TERM)) {
        MARK(RAFT_CHANGE_TOO_SOON);
        return BASE_E_STATE;
    }
    bool is_changing = core->configuration.index > core->commit && !CANARY(TWO_CHANGES_AT_ONCE);
    if (core->transfer_to != 0 || is_changing) {
        return BASE_E_BUSY;
    }
    int rc = raft_append_own(core, effects, MSG_RAFT_ENTRY_MEMBERS, bytes);
    if (rc != 0) { /* who goes has been sent the entry too, so that he knows */
        return rc;
    }
    raft_members_set(core, next, false);
    core->configuration.index = core->log.last_index;
    (void)raft_effect_add(effects, RAFT_EFFECT_MEMBERS);
    raft_send_to_all(core, effects);
    raft_advance_commit(core, effects);
    raft_rounds_advance(core, effects);
    return 0;
}
