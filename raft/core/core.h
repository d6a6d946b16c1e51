/* SPDX-License-Identifier: Apache-2.0 */
/* The Raft core: one pure step from (state, event) to (state, effects).
 *
 * No I/O, clock, random source or allocation: time and what was written come as events, random
 * numbers from a seeded generator in the state. raft/node.c is the only caller outside of tests.
 * References "T" are to sections of Ongaro's thesis, "Consensus: Bridging Theory and Practice".
 *
 * Ordering contract. The caller carries out the effects of one step in the order of the list,
 * before it hands in the next event. What must be durable before what is sent is settled inside: a
 * message that promises something durable is only put into the list by the step that handles the
 * event "it is durable". So the caller may send every SEND at once, and need not wait between
 * effects. It must keep these:
 *   1. WRITEs become durable in the order in which they were given out, none without all those
 * before it; SAVE_STATEs likewise, but that a newer one may take the place of one that has not
 * begun. A WRITE may overtake a SAVE_STATE: what is acknowledged waits for both.
 *   2. ENTRY and ENTRIES come before the WRITE and the SENDs that carry these entries; the caller
 * keeps the bodies in memory at least until the WRITE that contains them is done, and replaces
 * whatever stood at these indexes and above.
 *   3. WRITE {from, to} replaces everything in the stored log from `from` on. PERSISTED is reported
 * once per WRITE, in order, after it is durable.
 *   4. COMMIT: entries up to the index may be applied, in order, when they are durable here
 * (raft_core_persisted).
 *   5. INSTALL: nothing is applied until INSTALLED; that is reported after all WRITEs given out
 * before it, when the image is durable as the state and the stored log is empty behind it.
 *   6. HALT: nothing more is carried out or handed in.
 */
#ifndef QUORATE_RAFT_CORE_CORE_H
#define QUORATE_RAFT_CORE_CORE_H

#include "base/rand.h"
#include "proto/msg/raft.h"
#include "raft/core/log.h"
#include "raft/core/types.h"

#define RAFT_WINDOW_MESSAGES 16u        /* appends in flight to one peer */
#define RAFT_WINDOW_BYTES (1u << 20)    /* and their bytes, unless a single one is larger */
#define RAFT_MESSAGE_BYTES (256u << 10) /* bodies in one append, unless a single one is larger */
#define RAFT_SENDS_PER_STEP 4u          /* appends to one peer in one step */
#define RAFT_WRITES_MAX 4u /* WRITEs in flight; further entries wait for the next one */
#define RAFT_ROUNDS_MAX 4u /* read rounds in flight; further reads share the next one */
#define RAFT_EFFECTS_MAX 96u
#define RAFT_SELF_NONE SIZE_MAX

enum raft_peer_state {
    RAFT_PEER_PROBE,     /* one append in flight; where the logs agree is not known */
    RAFT_PEER_REPLICATE, /* pipelined */
    RAFT_PEER_SNAPSHOT,  /* lacks entries that the log no longer has: an image is on its way */
};

enum raft_peer_vote { RAFT_VOTE_NONE, RAFT_VOTE_GRANTED, RAFT_VOTE_REFUSED };

struct raft_inflight {
    uint64_t last_index;
    uint32_t bytes;
};

/* A leader's view of one member of the configuration in force. The node itself has one too, if it
 * belongs to it; of that only the names are used. */
struct raft_peer {
    uint64_t id;
    bool is_learner;
    bool is_probe_sent;
    bool has_read; /* asks for read_id when read_round is confirmed */
    enum raft_peer_state state;
    enum raft_peer_vote vote;
    uint64_t match; /* durable there, in agreement with this log */
    uint64_t next;  /* next index to send */
    uint64_t round_acked;
    uint64_t read_id;
    uint64_t read_round;
    int64_t heard_us;    /* last message of this term from it */
    int64_t progress_us; /* last append sent while idle, or acknowledged */
    uint32_t inflight_begin;
    uint32_t inflight_count;
    uint32_t inflight_bytes;
    struct raft_inflight inflight[RAFT_WINDOW_MESSAGES];
};

struct raft_write {
    uint64_t id;
    uint64_t from;
    uint64_t to;
};

struct raft_core_config {
    uint64_t cluster_id;
    uint64_t id;
    /* At the first start (copied by raft_core_init, NULL afterwards): sound and with our own id in
     * it, or with count 0: we join, and wait for a leader. */
    const struct raft_configuration *configuration;
    int64_t heartbeat_us;
    int64_t election_min_us;
    int64_t election_max_us;
    uint64_t seed;
};

/* What the store held at start. */
struct raft_core_restored {
    uint64_t term;
    uint64_t vote; /* in `term`; 0 none */
    uint64_t applied;
};

struct raft_core {
    struct raft_core_config config;
    size_t self; /* position in peers; RAFT_SELF_NONE: not a member */
    size_t peer_count;
    size_t voter_count;
    /* In force, and the one before it, which comes back when the entry is cut off. No log holds two
     * that may be cut off: a leader proposes one only when an entry of its own term, and with it
     * all before, is committed. */
    struct raft_configuration configuration;
    struct raft_configuration previous;
    bool has_previous;
    struct base_rand rand;
    int64_t now_us; /* of the last event */
    bool is_halted;
    bool has_grace;     /* the last tick came so late that it decided nothing */
    bool is_installing; /* an image takes the place of state and log; no entries meanwhile */

    enum raft_role role;
    uint64_t term;
    uint64_t vote;
    uint64_t leader; /* 0 unknown */
    /* What SAVE_STATE last named, and what of it is known to be durable. */
    uint64_t saving_term, saving_vote;
    uint64_t saved_term, saved_vote;
    uint64_t vote_reply_to; /* a grant of `vote` in `term` that waits for its own write; 0 none */

    struct raft_log log;
    uint64_t persisted; /* the log up to here is durable here */
    uint64_t commit;
    uint64_t
        unwritten_from; /* entries from here on are in no WRITE yet; last_index + 1 or more: none */
    uint64_t next_write_id;
    uint32_t write_count;
    struct raft_write writes[RAFT_WRITES_MAX]; /* in flight, oldest first */

    enum raft_peer_vote own_vote; /* Candidate: counts if we are a voter, once it is durable */
    bool is_transfer_vote;        /* Candidate: our leader asked us to stand */

    /* Follower: */
    uint64_t leader_match; /* the log agrees with the leader of this term up to here */
    uint64_t leader_acked; /* what was last told it */
    bool is_taken_due;     /* it is told when the term is durable */
    int64_t leader_heard_us;
    int64_t election_at_us; /* also of candidates */
    bool is_forward_sent;   /* a read question is on its way to the leader */
    bool is_forward_wanted; /* and another one shall follow it */
    uint64_t forward_id;
    int64_t forward_sent_us;

    /* Leader: */
    uint64_t term_start; /* index of the first entry of this term */
    int64_t heartbeat_at_us;
    int64_t quorum_check_from_us;
    uint64_t round_started;
    uint64_t round_confirmed;
    uint64_t round_released; /* reads up to here were told READ_READY */
    bool is_round_wanted;

    /* Leader, and whoever was it until the other one leads: */
    uint64_t transfer_to; /* 0: none */
    int64_t transfer_until_us;

    struct raft_peer peers[RAFT_MEMBERS_MAX];

    /* What the last ROLE effect told. */
    enum raft_role told_role;
    uint64_t told_term;
    uint64_t told_leader;
};

enum raft_event_type {
    RAFT_EVENT_TICK,
    RAFT_EVENT_MESSAGE, /* message: decoded and from the member it names */
    RAFT_EVENT_PROPOSE, /* bytes */
    RAFT_EVENT_READ,
    RAFT_EVENT_STATE_SAVED,  /* term, vote: this SAVE_STATE is durable */
    RAFT_EVENT_PERSISTED,    /* id: this WRITE is durable */
    RAFT_EVENT_UNREACHABLE,  /* peer: a message to it could not be sent */
    RAFT_EVENT_STORE_FAILED, /* status */
    /* peer: hand leadership to this voter (T 3.10). Ends with TRANSFER_ENDED. BASE_E_NOTLEADER,
     * BASE_E_INVALID (no voter, or ourselves), BASE_E_BUSY (another transfer is under way). */
    RAFT_EVENT_TRANSFER,
    /* configuration, bytes: propose it as a MEMBERS entry. BASE_E_NOTLEADER; BASE_E_STATE: no entry
     * of the own term is committed yet (the erratum of T 4.1); BASE_E_BUSY: the last change is not
     * committed yet, or a transfer is under way; BASE_E_INVALID: more than one step away, no voter
     * left. */
    RAFT_EVENT_CHANGE_MEMBERS,
    /* index: everything up to it is applied, durably so in the state store, and the log may forget
     * it. Answered by TRIM (not when there is nothing to forget). */
    RAFT_EVENT_COMPACT,
    RAFT_EVENT_SNAPSHOT_ENDED,    /* peer, index, status: the transfer that SNAPSHOT asked for */
    RAFT_EVENT_SNAPSHOT_RECEIVED, /* index, term: a whole image from this term's leader is here */
    RAFT_EVENT_INSTALLED, /* index, term, configuration: durable in both stores; or status */
};

struct raft_event {
    enum raft_event_type type;
    struct base_mono now;
    const struct msg_raft *message;
    const struct raft_configuration *configuration;
    size_t bytes;
    uint64_t term;
    uint64_t vote;
    uint64_t id;
    uint64_t index;
    uint64_t peer;
    int status;
};

enum raft_effect_type {
    RAFT_EFFECT_SAVE_STATE, /* term, vote */
    /* index, term, entry_type: a new entry of this leader; its body is the proposal's, or empty */
    RAFT_EFFECT_ENTRY,
    /* index, skip: entries [skip..] of the message in hand stand at index.. */
    RAFT_EFFECT_ENTRIES,
    RAFT_EFFECT_WRITE, /* id, from, to */
    /* message, is_from_store; its entries are NULL, entry_count of them from message.index + 1 on.
     * With is_from_store they are not in memory, and the caller may send fewer of them, later */
    RAFT_EFFECT_SEND,
    RAFT_EFFECT_COMMIT,     /* index */
    RAFT_EFFECT_CONFIRMED,  /* id: rounds up to this ticket have confirmed this leader */
    RAFT_EFFECT_READ_READY, /* id: reads up to this ticket may be served at `index` */
    RAFT_EFFECT_READ_LOST,  /* all reads and confirmations not yet answered */
    RAFT_EFFECT_ROLE,       /* role, term or leader changed */
    RAFT_EFFECT_MEMBERS,    /* core->configuration changed: by an entry, its removal, or an image */
    RAFT_EFFECT_TRIM,       /* index: stored entries up to it may be removed */
    RAFT_EFFECT_TRANSFER_ENDED, /* status: 0, the peer leads; else it did not come about */
    /* id: this peer lacks entries that the log no longer has: send it an image. Asked once; the
     * caller serves one peer after the other and reports SNAPSHOT_ENDED for each. */
    RAFT_EFFECT_SNAPSHOT,
    RAFT_EFFECT_CHUNK,   /* the SNAPSHOT message in hand is of this term's leader: take it in */
    RAFT_EFFECT_INSTALL, /* index, term: install the image, then report INSTALLED */
    RAFT_EFFECT_DISCARD, /* the image is not wanted (any more) */
    RAFT_EFFECT_HALT,    /* status */
};

struct raft_effect {
    enum raft_effect_type type;
    enum msg_raft_entry_type entry_type;
    bool is_from_store;
    int status;
    uint32_t skip;
    uint64_t id;
    uint64_t term;
    uint64_t vote;
    uint64_t index;
    uint64_t from;
    uint64_t to;
    struct msg_raft message;
};

struct raft_effects {
    uint32_t count;
    uint64_t ticket; /* after RAFT_EVENT_READ: what READ_READY and CONFIRMED will name */
    struct raft_effect list[RAFT_EFFECTS_MAX];
};

/* BASE_E_INVALID for an impossible configuration. The log is empty afterwards; the caller puts what
 * the store holds into core->log with raft_log_init and raft_log_append, configurations with
 * raft_core_load_members, and then calls raft_core_start. */
MUST_CHECK int raft_core_init(struct raft_core *core, const struct raft_core_config *config);
/* Before the start: the stored configuration of the applied state (is_base), then those of MEMBERS
 * entries, in order of their index; those not newer than the present one are passed over. */
void raft_core_load_members(struct raft_core *core, const struct raft_configuration *configuration,
                            bool is_base);
/* Begins as follower. BASE_E_CORRUPT when what was restored contradicts itself. */
MUST_CHECK int raft_core_start(struct raft_core *core, const struct raft_core_restored *restored,
                               struct base_mono now);

/* One step. `effects` is overwritten. 0; BASE_E_NOTLEADER (PROPOSE; READ without a known leader),
 * BASE_E_BUSY (PROPOSE while leadership is being handed over), BASE_E_STATE (halted), BASE_E_DENIED
 * (message of another cluster, or to somebody else), and what stands at the event: effects is then
 * empty and nothing has changed but the time. Answers of nodes that are not members are passed
 * over; their questions are answered, and a leader of this cluster is heard whoever it is, since it
 * may know a later configuration than we do (T 4.2.2). */
MUST_CHECK int raft_core_step(struct raft_core *core, const struct raft_event *event,
                              struct raft_effects *effects);

/* When the next TICK is wanted. */
struct base_mono raft_core_deadline(const struct raft_core *core);
/* Tells that bodies below `index` are no longer in the caller's memory. */
void raft_core_forget_memory(struct raft_core *core, uint64_t index);

/* Invariants that hold after every step: NULL, or the one that is broken. */
const char *raft_core_check(const struct raft_core *core);
/* Counts: a member of the configuration in force, and no learner. */
bool raft_core_is_voter(const struct raft_core *core);
/* Stands for election: a voter; or one that the newest configuration, not known to be committed, no
 * longer counts: without it perhaps nobody could be elected who has that entry (T 4.2.2). */
bool raft_core_may_stand(const struct raft_core *core);
/* Leader: an entry of its own term is committed, so that its commit index is the newest (T 6.4). */
bool raft_core_has_committed_own_term(const struct raft_core *core);

static inline uint64_t raft_core_term(const struct raft_core *core)
{
    return core->term;
}
static inline uint64_t raft_core_vote(const struct raft_core *core)
{
    return core->vote;
}
static inline enum raft_role raft_core_role(const struct raft_core *core)
{
    return core->role;
}
static inline uint64_t raft_core_leader(const struct raft_core *core)
{
    return core->leader;
}
static inline uint64_t raft_core_commit(const struct raft_core *core)
{
    return core->commit;
}
static inline uint64_t raft_core_persisted(const struct raft_core *core)
{
    return core->persisted;
}
static inline uint64_t raft_core_first_index(const struct raft_core *core)
{
    return core->log.first_index;
}
static inline uint64_t raft_core_last_index(const struct raft_core *core)
{
    return core->log.last_index;
}
/* Term of an entry, 0 when the log does not know it. */
static inline uint64_t raft_core_log_term(const struct raft_core *core, uint64_t index)
{
    uint64_t term = 0;
    return raft_log_term(&core->log, index, &term) ? term : 0;
}

#endif
