/* SPDX-License-Identifier: Apache-2.0 */
/* Entry of the core: setting up, the step, and what every message has in common (terms). */
#include "raft/core/core.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"
#include "raft/core/members.h"

#define RAND_STREAM_RAFT 1

static bool is_config_sound(const struct raft_core_config *config)
{
    const struct raft_configuration *members = config->configuration;
    bool is_joining = members->count == 0;
    return (is_joining ||
            (raft_members_are_sound(members) && raft_members_find(members, config->id) != NULL)) &&
           config->id != 0 && config->cluster_id != 0 && config->heartbeat_us > 0 &&
           config->election_min_us >= 3 * config->heartbeat_us &&
           config->election_max_us >= config->election_min_us;
}

int raft_core_init(struct raft_core *core, const struct raft_core_config *config)
{
    if (!is_config_sound(config)) {
        return BASE_E_INVALID;
    }
    memset(core, 0, sizeof(*core));
    core->config = *config;
    core->config.configuration = NULL;
    core->rand = base_rand_make(config->seed, RAND_STREAM_RAFT);
    raft_log_init(&core->log, 0, 0);
    raft_members_set(core, config->configuration, true);
    return 0;
}

int raft_core_start(struct raft_core *core, const struct raft_core_restored *restored,
                    struct base_mono now)
{
    uint64_t log_term = raft_log_last_term(&core->log);
    if (restored->applied > core->log.last_index || restored->applied + 1 < core->log.first_index) {
        return BASE_E_CORRUPT;
    }
    core->now_us = now.us;
    core->term = restored->term > log_term ? restored->term : log_term;
    core->vote = restored->term == core->term ? restored->vote : 0;
    core->saving_term = core->saved_term = restored->term;
    core->saving_vote = core->saved_vote = restored->vote;
    core->commit = restored->applied;
    core->persisted = core->log.last_index;
    core->unwritten_from = core->log.last_index + 1;
    core->log.memory_from = core->log.last_index + 1;
    core->next_write_id = 1;
    core->forward_id = base_rand_next(&core->rand) >> 2;
    core->leader_heard_us = BASE_MONO_LONG_AGO.us;
    core->told_term = core->term;
    raft_reset_election(core, core->config.election_max_us);
    if (core->voter_count == 1 && raft_core_is_voter(core)) {
        core->election_at_us = core->now_us; /* nobody else to wait for */
    }
    return 0;
}

struct raft_effect *raft_effect_add(struct raft_effects *effects, enum raft_effect_type type)
{
    BASE_ASSERT(effects->count < RAFT_EFFECTS_MAX);
    struct raft_effect *effect = &effects->list[effects->count++];
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

struct msg_raft *raft_send(const struct raft_core *core, struct raft_effects *effects, uint64_t to,
                           enum msg_raft_type type)
{
    BASE_ASSERT(to != core->config.id);
    struct msg_raft *message = &raft_effect_add(effects, RAFT_EFFECT_SEND)->message;
    message->type = type;
    message->cluster = core->config.cluster_id;
    message->from = core->config.id;
    message->to = to;
    message->term = core->term;
    return message;
}

void raft_halt(struct raft_core *core, struct raft_effects *effects, int status)
{
    core->is_halted = true;
    core->role = RAFT_FOLLOWER;
    core->leader = 0;
    raft_effect_add(effects, RAFT_EFFECT_HALT)->status = status;
}

struct raft_peer *raft_peer_of(struct raft_core *core, uint64_t id)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (core->peers[i].id == id) {
            return &core->peers[i];
        }
    }
    return NULL;
}

/* Somebody of an older term: tell a leader or candidate of it that time has moved on. */
static void answer_old_term(struct raft_core *core, struct raft_effects *effects,
                            const struct msg_raft *m)
{
    if (m->type == MSG_RAFT_APPEND || m->type == MSG_RAFT_HEARTBEAT ||
        m->type == MSG_RAFT_SNAPSHOT) {
        (void)raft_send(core, effects, m->from, MSG_RAFT_HEARTBEAT_REPLY);
    } else if (m->type == MSG_RAFT_VOTE) {
        raft_send(core, effects, m->from, MSG_RAFT_VOTE_REPLY)->is_rejected = true;
    }
}

static bool is_from_leader(enum msg_raft_type type)
{
    return type == MSG_RAFT_APPEND || type == MSG_RAFT_HEARTBEAT || type == MSG_RAFT_COMMIT ||
           type == MSG_RAFT_SNAPSHOT || type == MSG_RAFT_TIMEOUT_NOW;
}

/* What a node that we do not know as a member may say: it may lead by, or stand in, a later
 * configuration than ours (T 4.2.2). */
static bool may_stranger_say(enum msg_raft_type type)
{
    return is_from_leader(type) || type == MSG_RAFT_VOTE || type == MSG_RAFT_PREVOTE;
}

/* Planted bugs: answers to what was asked in a term that is over. */
static bool is_old_counted(enum msg_raft_type type)
{
    return (CANARY(OLD_APPEND_REPLY_COUNTED) && type == MSG_RAFT_APPEND_REPLY) ||
           (CANARY(OLD_VOTE_COUNTED) && type == MSG_RAFT_VOTE_REPLY);
}

/* Brings our term and role into line with the sender's (T 3.3). False: the message means nothing to
 * us. */
static bool settle_term(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m)
{
    if (m->type == MSG_RAFT_PREVOTE) {
        return true; /* asks only; its term moves nobody (T 9.6) */
    }
    if (CANARY(READ_INDEX_OVER_LEADER_CHANGE) && m->type == MSG_RAFT_READ_REPLY) {
        return m->term <= core->term;
    }
    if (m->type == MSG_RAFT_PREVOTE_REPLY && m->term < core->term) {
        return true; /* what counts is the term that was asked for; a voter may be behind ours */
    }
    if (m->term < core->term && !is_old_counted(m->type)) {
        answer_old_term(core, effects, m);
        return false;
    }
    if (m->type == MSG_RAFT_VOTE && m->term > core->term && raft_has_live_leader(core) &&
        !m->is_transfer) {
        MARK(RAFT_VOTE_DENIED_BY_LEASE);
        return false; /* T 4.2.3: a healthy group is not disturbed */
    }
    if (is_from_leader(m->type)) {
        if (m->term == core->term && core->role == RAFT_LEADER) {
            return false; /* impossible among sound nodes; the checkers see it */
        }
        raft_become_follower(core, effects, m->term, m->from);
        return true;
    }
    if (m->term > core->term) {
        raft_become_follower(core, effects, m->term, 0);
        if (m->type == MSG_RAFT_PREVOTE_REPLY) {
            raft_reset_election(core, core->config.heartbeat_us); /* ask again, in this term */
        }
    }
    return true;
}

static void on_leader_message(struct raft_core *core, struct raft_effects *effects,
                              const struct msg_raft *m)
{
    core->leader_heard_us = core->now_us;
    raft_reset_election(core, core->config.election_max_us);
    if (m->type == MSG_RAFT_HEARTBEAT) {
        raft_on_heartbeat(core, effects, m);
    } else if (core->is_installing) {
        return; /* the log is about to begin anew */
    } else if (m->type == MSG_RAFT_APPEND) {
        raft_on_append(core, effects, m);
    } else if (m->type == MSG_RAFT_COMMIT) {
        raft_on_commit(core, effects, m);
    } else if (m->type == MSG_RAFT_SNAPSHOT) {
        (void)raft_effect_add(effects, RAFT_EFFECT_CHUNK);
    } else {
        raft_on_timeout_now(core, effects);
    }
}

static void dispatch(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m)
{
    switch (m->type) {
    case MSG_RAFT_PREVOTE:
        raft_on_prevote(core, effects, m);
        break;
    case MSG_RAFT_VOTE:
        raft_on_vote(core, effects, m);
        break;
    case MSG_RAFT_PREVOTE_REPLY:
    case MSG_RAFT_VOTE_REPLY:
        raft_on_vote_reply(core, effects, m);
        break;
    case MSG_RAFT_APPEND:
    case MSG_RAFT_HEARTBEAT:
    case MSG_RAFT_COMMIT:
    case MSG_RAFT_SNAPSHOT:
    case MSG_RAFT_TIMEOUT_NOW:
        on_leader_message(core, effects, m);
        break;
    case MSG_RAFT_APPEND_REPLY:
        raft_on_append_reply(core, effects, m);
        break;
    case MSG_RAFT_HEARTBEAT_REPLY:
        raft_on_heartbeat_reply(core, effects, m);
        break;
    case MSG_RAFT_READ:
        raft_on_read(core, effects, m);
        break;
    case MSG_RAFT_READ_REPLY:
        raft_on_read_reply(core, effects, m);
        break;
    case MSG_RAFT_SNAPSHOT_REPLY: /* the caller's, who sends images */
    case MSG_RAFT_NONE:
    case MSG_RAFT_TYPE_COUNT:
        break;
    }
}

static int on_message(struct raft_core *core, struct raft_effects *effects,
                      const struct msg_raft *m)
{
    struct raft_peer *peer = raft_peer_of(core, m->from);
    if (m->from == core->config.id || m->to != core->config.id ||
        m->cluster != core->config.cluster_id) {
        return BASE_E_DENIED;
    }
    if (peer == NULL && !may_stranger_say(m->type)) {
        MARK(RAFT_STRANGER);
        return 0; /* of one that was a member a moment ago */
    }
    if (settle_term(core, effects, m)) {
        /* A peer that asks for votes does not hear us: only answers count for check-quorum. */
        if (m->type == MSG_RAFT_APPEND_REPLY || m->type == MSG_RAFT_HEARTBEAT_REPLY ||
            m->type == MSG_RAFT_SNAPSHOT_REPLY) {
            peer->heard_us = core->now_us;
        }
        dispatch(core, effects, m);
    }
    return 0;
}

static void on_tick(struct raft_core *core, struct raft_effects *effects, int64_t late_us)
{
    /* We did not run for a while: what came in meanwhile has not been read yet. Not twice in a row,
     * so that a machine which is always late can still elect. */
    bool was_stalled = late_us > 2 * core->config.heartbeat_us && !core->has_grace;
    core->has_grace = was_stalled;
    if (was_stalled) {
        MARK(RAFT_STALLED);
    }
    if (core->role == RAFT_LEADER) {
        if (was_stalled) {
            core->quorum_check_from_us =
                core->now_us + core->config.election_min_us / 2 - core->config.election_max_us;
        }
        raft_leader_tick(core, effects);
        return;
    }
    if (was_stalled && core->voter_count > 1) {
        core->election_at_us =
            core->now_us + 2 * core->config.heartbeat_us +
            (int64_t)base_rand_between(&core->rand, 0, (uint64_t)core->config.heartbeat_us);
    }
    raft_election_tick(core, effects);
    raft_read_tick(core, effects);
}

static void on_state_saved(struct raft_core *core, struct raft_effects *effects, uint64_t term,
                           uint64_t vote)
{
    core->saved_term = term;
    core->saved_vote = vote;
    if (term == core->term && vote == core->vote && vote != 0) {
        raft_on_vote_saved(core, effects);
    }
    raft_on_term_saved(core, effects);
}

void raft_save_state(struct raft_core *core, struct raft_effects *effects)
{
    if (core->term != core->saving_term || core->vote != core->saving_vote) {
        struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_SAVE_STATE);
        effect->term = core->saving_term = core->term;
        effect->vote = core->saving_vote = core->vote;
    }
}

/* Ends a step: asks for what must be stored, and tells of a changed role. */
static void finish(struct raft_core *core, struct raft_effects *effects)
{
    if (core->is_halted) {
        return;
    }
    raft_save_state(core, effects);
    raft_transfer_settle(core, effects);
    if (core->told_role != core->role || core->told_term != core->term ||
        core->told_leader != core->leader) {
        core->told_role = core->role;
        core->told_term = core->term;
        core->told_leader = core->leader;
        (void)raft_effect_add(effects, RAFT_EFFECT_ROLE);
    }
    BASE_ASSERT_SLOW(raft_core_check(core) == NULL);
}

static int step_by_type(struct raft_core *core, const struct raft_event *event,
                        struct raft_effects *effects, int64_t late_us)
{
    switch (event->type) {
    case RAFT_EVENT_TICK:
        on_tick(core, effects, late_us);
        return 0;
    case RAFT_EVENT_MESSAGE:
        return on_message(core, effects, event->message);
    case RAFT_EVENT_PROPOSE:
        return raft_propose(core, effects, event->bytes);
    case RAFT_EVENT_READ:
        return raft_read(core, effects);
    case RAFT_EVENT_STATE_SAVED:
        on_state_saved(core, effects, event->term, event->vote);
        return 0;
    case RAFT_EVENT_PERSISTED:
        raft_on_persisted(core, effects, event->id);
        return 0;
    case RAFT_EVENT_UNREACHABLE:
        raft_on_unreachable(core, event->peer);
        return 0;
    case RAFT_EVENT_STORE_FAILED:
        raft_halt(core, effects, event->status);
        return 0;
    case RAFT_EVENT_TRANSFER:
        return raft_transfer(core, effects, event->peer);
    case RAFT_EVENT_CHANGE_MEMBERS:
        return raft_change_members(core, effects, event->configuration, event->bytes);
    case RAFT_EVENT_COMPACT:
        return raft_compact(core, effects, event->index);
    case RAFT_EVENT_SNAPSHOT_ENDED:
        raft_on_snapshot_ended(core, effects, event);
        return 0;
    case RAFT_EVENT_SNAPSHOT_RECEIVED:
        raft_on_snapshot_received(core, effects, event);
        return 0;
    case RAFT_EVENT_INSTALLED:
        raft_on_installed(core, effects, event);
        return 0;
    }
    return BASE_E_INVALID;
}

int raft_core_step(struct raft_core *core, const struct raft_event *event,
                   struct raft_effects *effects)
{
    effects->count = 0;
    effects->ticket = 0;
    if (core->is_halted) {
        return BASE_E_STATE;
    }
    int64_t late_us = event->now.us - raft_core_deadline(core).us;
    if (event->now.us > core->now_us) {
        core->now_us = event->now.us;
    }
    int rc = step_by_type(core, event, effects, late_us);
    if (rc == 0) {
        finish(core, effects);
    }
    return rc;
}

struct base_mono raft_core_deadline(const struct raft_core *core)
{
    if (core->is_halted) {
        return BASE_MONO_NEVER;
    }
    int64_t at_us = core->role == RAFT_LEADER ? core->heartbeat_at_us : core->election_at_us;
    int64_t resend_us = core->forward_sent_us + 2 * core->config.heartbeat_us;
    if (core->role != RAFT_LEADER && core->is_forward_sent && resend_us < at_us) {
        at_us = resend_us;
    }
    if (core->transfer_to != 0 && core->transfer_until_us < at_us) {
        at_us = core->transfer_until_us;
    }
    return (struct base_mono){at_us};
}

void raft_core_forget_memory(struct raft_core *core, uint64_t index)
{
    if (index > core->log.last_index + 1) {
        index = core->log.last_index + 1;
    }
    if (index > core->log.memory_from) {
        core->log.memory_from = index;
    }
}

bool raft_core_has_committed_own_term(const struct raft_core *core)
{
    return core->role == RAFT_LEADER && core->commit >= core->term_start;
}
