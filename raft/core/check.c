/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of one node, true after every step. What spans several nodes is checked by the
 * simulator. */
#include "base/canary.h"
#include "raft/core/internal.h"

static const char *check_peer(const struct raft_core *core, const struct raft_peer *peer)
{
    if (peer->match >= peer->next) {
        return "next is not behind match";
    }
    if (peer->next > core->log.last_index + 1) {
        return "next lies beyond the log";
    }
    if (peer->round_acked > core->round_started) {
        return "a round is acknowledged that has not begun";
    }
    return peer->inflight_count > RAFT_WINDOW_MESSAGES ? "the window is overfull" : NULL;
}

static const char *check_leader(const struct raft_core *core)
{
    if (core->leader != core->config.id || core->vote != core->config.id) {
        return "a leader without its own vote";
    }
    if (!CANARY(VOTE_NOT_PERSISTED) &&
        (core->saved_term != core->term || core->saved_vote != core->config.id)) {
        return "a leader whose own vote is not durable";
    }
    if (raft_log_last_term(&core->log) != core->term || core->term_start > core->log.last_index) {
        return "a leader without an entry of its term";
    }
    if (core->round_released > core->round_confirmed ||
        core->round_confirmed > core->round_started) {
        return "rounds out of order";
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        const char *broken = i == core->self ? NULL : check_peer(core, &core->peers[i]);
        if (broken != NULL) {
            return broken;
        }
    }
    return NULL;
}

static const char *check_writes(const struct raft_core *core)
{
    for (uint32_t i = 0; i < core->write_count; i++) {
        if (core->writes[i].from > core->writes[i].to ||
            (i > 0 && core->writes[i].from > core->writes[i - 1].to + 1)) {
            return "writes leave a gap";
        }
    }
    if (core->unwritten_from > core->log.last_index + 1) {
        return "an entry is left out of the writes";
    }
    if (core->persisted > core->log.last_index || core->persisted >= core->unwritten_from) {
        return "something is durable that was never written";
    }
    return NULL;
}

static const char *check_members(const struct raft_core *core)
{
    if (core->peer_count != core->configuration.count) {
        return "the peers are not those of the configuration";
    }
    if (core->configuration.index > core->log.last_index) {
        return "the configuration in force is not in the log";
    }
    if (core->has_previous && core->previous.index >= core->configuration.index) {
        return "configurations are out of order";
    }
    if (core->role == RAFT_CANDIDATE && !raft_core_may_stand(core)) {
        return "a candidate that must not stand";
    }
    return NULL;
}

const char *raft_core_check(const struct raft_core *core)
{
    const char *broken = raft_log_check(&core->log);
    if (broken != NULL || core->is_halted) {
        return broken;
    }
    if (core->commit > core->log.last_index) {
        return "the commit index lies beyond the log";
    }
    if (raft_log_last_term(&core->log) > core->term) {
        return "an entry of a later term than ours";
    }
    if (core->saved_term > core->term) {
        return "a later term is durable than ours";
    }
    if (core->leader_acked > 0 && core->saved_term != core->term) {
        return "something is acknowledged in a term that is not durable";
    }
    if (core->role == RAFT_CANDIDATE && core->vote != core->config.id) {
        return "a candidate that did not vote for itself";
    }
    if (core->vote_reply_to != 0 && core->vote_reply_to != core->vote) {
        return "an answer waits for a vote that was not given";
    }
    broken = check_writes(core);
    if (broken == NULL) {
        broken = check_members(core);
    }
    if (broken == NULL && core->role == RAFT_LEADER) {
        broken = check_leader(core);
    }
    return broken;
}
