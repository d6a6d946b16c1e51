/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of MongoDB replica sets, as pure functions of small structs: what the members' opinions
 * add up to, what may be ordered, which layouts are lawful and which single step leads to one, when
 * a forced reconfiguration may be given.
 *
 * MongoDB elects its primary. What is decided here is whether an order may be given, never who is
 * primary. Nothing is concluded from silence, from evidence older than MDB_EVIDENCE_MS, or from one
 * opinion; a majority of the voters must be seen for every order but INITIATE and FORCE.
 *
 * Used by arbiter/core/mongodb*.c; no state, no I/O. Tests: mongodb_rules_test (exhaustive where
 * that is small).
 */
#ifndef QUORATE_ARBITER_CORE_MONGODB_RULES_H
#define QUORATE_ARBITER_CORE_MONGODB_RULES_H

#include "arbiter/core/note.h"
#include "proto/msg/agent.h"

#define MDB_NOBODY UINT8_MAX
#define MDB_EVIDENCE_MS 5000u /* older than that proves nothing */
#define MDB_CLAIM_MS 2500u    /* a claim to be primary of that age is told of as a second one */
#define MDB_DEAD_MS 120000u   /* a member's vote is taken away not before that */
#define MDB_BACK_MS 60000u    /* it gets it back after that long as SECONDARY */
#define MDB_STALL_MS 15000u   /* age of the majority point */
#define MDB_SWITCHOVER_LAG_MS 1000u /* op times have whole seconds: one behind is none */
#define MDB_CAUGHT_UP_LAG_MS 10000u
#define MDB_SYNC_EXPECTED_S 3600u /* a new sync of a size that is not known */
#define MDB_SYNC_LEAST_S 600u
#define MDB_SYNC_GIB_S 60u /* of a GiB, and half a minute beside: what operators allow for it */
#define MDB_VOTERS_MAX 7
#define MDB_PRIORITY_UNIT 10 /* priority_x10 of priority 1 */
#define MDB_WIRE_5_0 13

/* --- arithmetic (section 2.7 of the reference) --- */

struct mdb_layout {
    uint8_t voters;   /* with the arbiters; who was newly added does not count yet */
    uint8_t data;     /* voters with data */
    uint8_t arbiters; /* with a vote */
};

struct mdb_layout mdb_layout_of(const struct msg_mongodb_peer *peers, uint8_t count);
/* Votes that elect. */
uint8_t mdb_majority(uint8_t voters);
/* Copies that a majority write needs. */
uint8_t mdb_write_majority(const struct mdb_layout *layout);
/* The implicit default write concern of 5.0 and later is w:1, not majority. */
bool mdb_is_implicit_one(const struct mdb_layout *layout);
/* Order of configurations: by version where one of them was forced (term 0), else by term first.
 * Below, at or above 0 as memcmp. */
int mdb_version_compare(const struct msg_mongodb_version *a, const struct msg_mongodb_version *b);
int mdb_optime_compare(const struct msg_mongodb_optime *a, const struct msg_mongodb_optime *b);
bool mdb_host_equal(const struct msg_mongodb_host *a, const struct msg_mongodb_host *b);

/* --- one view of all opinions --- */

/* What one agent said last. */
struct mdb_opinion {
    const struct base_name *member;
    const struct msg_mongodb_report *report; /* NULL: never heard */
    struct msg_mongodb_host host; /* its member's, as it says, or as is known; empty: not known */
    uint32_t heard_ms;            /* ago, by the leader's clock */
};

/* A member of the configuration. */
struct mdb_peer {
    struct msg_mongodb_peer peer; /* as the reference configuration has it */
    uint8_t at;                   /* index of the opinion that is its own; MDB_NOBODY: none */
    enum msg_mongodb_state state; /* its own agent's word first, then the others' */
    bool is_own;                  /* by its own agent, fresh */
    bool is_alive;                /* up and counted by MongoDB, as its own agent or a fresh
                                     opinion of another member says */
    bool is_dead_to_primary;      /* the primary's fresh opinion */
    uint32_t dead_ms;             /* ... for how long it has not heard it; UINT32_MAX: never did */
    uint32_t lag_ms;              /* UINT32_MAX: not known */
};

struct mdb_set {
    bool has_config; /* `peers` are of it */
    struct msg_mongodb_version config;
    uint8_t reference;   /* whose opinion it is */
    uint8_t fresh;       /* opinions that are fresh, with a running mongod of this set */
    uint8_t primary;     /* peer: writable claim with the highest term; MDB_NOBODY: none */
    uint8_t rival;       /* another fresh claim; MDB_NOBODY: none */
    bool is_rival_heard; /* ... by who is heard still: else it is the last word of one that is gone
                          */
    uint64_t term;       /* highest seen */
    struct mdb_layout layout;
    uint8_t majority;
    uint8_t alive;     /* voters */
    bool is_unwell;    /* ... one of them is no good copy now: stale, lagging, gray ... */
    uint8_t seconded;  /* fresh opinions beside the primary's own that take it for primary */
    uint8_t reporters; /* fresh members that know how many voters live */
    uint8_t reporters_in_doubt; /* ... and see less than a majority */
    uint8_t peers_count;
    struct mdb_peer peers[MSG_MONGODB_PEERS_MAX];
};

/* Opinion is fresh: heard, and looked at, within MDB_EVIDENCE_MS. */
bool mdb_is_fresh(const struct mdb_opinion *opinion);
/* Its own agent says that a process of it is there, also one that starts or does not answer. */
bool mdb_says_running(const struct mdb_opinion *opinion);
void mdb_merge(const struct mdb_opinion *opinions, uint8_t count, struct mdb_set *ret);
/* Peer with that host; MDB_NOBODY: none. */
uint8_t mdb_find(const struct mdb_set *set, const struct msg_mongodb_host *host);
/* Peer whose own opinion is that one. */
uint8_t mdb_peer_of(const struct mdb_set *set, uint8_t opinion);

/* State of the whole set (section 6.2), from the merged view and from what only the record and the
 * clock know. */
struct mdb_context {
    bool is_paused, is_initiated, is_initiating, is_degraded, is_drifting;
    bool is_any_heard;      /* an agent of the cluster is heard */
    uint32_t no_primary_ms; /* since a primary was seen last; 0: there is one */
    uint32_t commit_age_ms; /* of the primary */
    uint32_t election_timeout_ms;
};
enum msg_mongodb_set_state mdb_set_state(const struct mdb_set *set,
                                         const struct mdb_context *context);

/* --- may anything be ordered --- */

/* One writable primary, fresh, seen by a majority of the voters and by a second member. NONE, or
 * why not, with whom it is about in *ret_at (peer, or MDB_NOBODY). */
enum arb_refusal mdb_may_order(const struct mdb_set *set, const struct mdb_opinion *opinions,
                               uint8_t *ret_at);

/* --- layouts (section 6.6) --- */

/* A member that shall be in the set, or is. */
struct mdb_want {
    const struct base_name *member; /* NULL: a host without an agent, kept as it is */
    struct msg_mongodb_host host;
    struct base_name zone; /* empty: not told */
    bool is_arbiter;
    bool is_ready;     /* not in the configuration: its mongod runs, and may be taken in */
    bool is_ours;      /* started by its agent: votes and priority are what its file says */
    bool is_leaving;   /* an operator removes it */
    bool is_degraded;  /* we took its vote away: it comes back by mdb_restore_step */
    bool is_held_back; /* its priority is not corrected any more */
    uint16_t priority_x10;
};

/* NONE, or which rule the layout of all these breaks and by whom (index; MDB_NOBODY: by nobody in
 * particular). A fourth data member is lawful as one without a vote: that is LAYOUT_EVEN, too. */
enum arb_refusal mdb_layout_check(const struct mdb_want *wants, uint8_t count, uint8_t *ret_at);
/* All voters have one zone, and there is more than one: a warning. */
bool mdb_is_one_zone(const struct mdb_want *wants, uint8_t count);

/* One order that leads from where the set is to where it shall be. */
struct mdb_step {
    enum msg_mongodb_order_kind kind; /* NONE: nothing to do, or `why` */
    uint8_t want;                     /* whom it is about; MDB_NOBODY: the set */
    uint8_t votes;
    uint16_t priority_x10;
    bool is_drift;        /* somebody has changed what was right before */
    enum arb_refusal why; /* NONE, or a step is wanted and refused */
};
/* The change would alter the implicit default write concern: CONCERN comes first (5.0 and later).
 */
bool mdb_needs_concern(enum msg_mongodb_default_concern concern, uint16_t wire_version,
                       const struct mdb_layout *before, const struct mdb_layout *after);
/* `is_thin_allowed`: an operator accepts fewer than three voters. The wants' peers are found by
 * host. `intended`: how many members the files name: on the way to them there may be two voters. */
void mdb_next_step(const struct mdb_set *set, enum msg_mongodb_default_concern concern,
                   uint16_t wire_version, const struct mdb_want *wants, uint8_t count,
                   uint8_t intended, bool is_thin_allowed, struct mdb_step *ret);

/* --- moving the primary (section 5.2) --- */

/* Whether peers[at] may be made primary by order; healthy_ms: for how long its own agent has said
 * SECONDARY (UINT32_MAX: a person asks, any time). */
enum arb_refusal mdb_target_check(const struct mdb_set *set, uint8_t at, uint32_t healthy_ms);

/* --- two data members and an arbiter (section 6.7) --- */

/* silent_ms: for how long the member's agent has been silent, or has said that mongod is down. */
enum arb_refusal mdb_degrade_check(const struct mdb_set *set, uint8_t at, uint32_t silent_ms);
/* Vote and priority are as they should be: nothing is left to be given back. */
bool mdb_is_restored(const struct mdb_set *set, uint8_t at, uint16_t priority_x10);
/* Of one that is not restored; back_ms: SECONDARY with a small lag for so long. VOTE, then
 * PRIORITY; NONE: not yet. */
enum msg_mongodb_order_kind mdb_restore_step(const struct mdb_set *set, uint8_t at,
                                             uint32_t back_ms);

/* --- repairs --- */

/* How long a new sync of so much takes, rather too long than too short; the source's oplog must
 * hold three times that. */
uint32_t mdb_sync_expected_s(uint64_t data_bytes);
/* Whether peers[at] may be emptied. is_asked: by a person; else only one that is STALE. */
enum arb_refusal mdb_resync_check(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                  uint8_t at, bool is_asked);
/* Whether peers[at] may be stopped for a moment. *ret_at: who is in the way. */
enum arb_refusal mdb_restart_check(const struct mdb_set *set, uint8_t at, uint8_t *ret_at);
/* The other voters are healthy, connected and caught up, by their own agents. */
bool mdb_is_majority_elsewhere(const struct mdb_set *set, const struct mdb_opinion *opinions,
                               uint8_t at);
/* Last step of the ladder. */
enum arb_refusal mdb_kill_check(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                uint8_t at, const struct msg_mongodb_policy *policy);

/* --- forced reconfiguration (section 5.4) --- */

struct mdb_force_plan {
    struct msg_mongodb_force force;       /* without token and epochs */
    struct base_name who;                 /* whom a refusal is about; empty: nobody */
    struct msg_mongodb_host where;        /* ... or which host that has no agent */
    struct msg_mongodb_optime has, known; /* the freshest survivor; newest known as committed */
};
bool mdb_hosts_has(const struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host);
/* Not twice. BASE_E_TOOBIG. */
MUST_CHECK int mdb_hosts_add(struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host);
void mdb_hosts_remove(struct msg_mongodb_hosts *hosts, const struct msg_mongodb_host *host);
/* Members that a person says are destroyed: by name, or by their host in the configuration. */
struct mdb_destroyed {
    struct msg_names names;
    struct msg_mongodb_hosts hosts;
};
/* What could be forced now: the survivors are all members that are alive, the lost all others; each
 * lost one is fenced by its own agent's word (mongod is down) or by a person's (`destroyed`). A
 * host without an agent is never a survivor, since nobody says how fresh it is. */
enum arb_refusal mdb_force_plan(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                uint8_t count, const struct msg_mongodb_record *record,
                                const struct mdb_destroyed *destroyed, struct mdb_force_plan *ret);
/* Whether `token` may be used in `epoch` for what is planned now. */
enum arb_refusal mdb_token_check(const struct msg_mongodb_force *given, uint64_t token,
                                 uint64_t epoch, const struct msg_mongodb_force *now);
/* Name of the member at that host, from the record or from an opinion; NULL: nobody's. */
const struct base_name *mdb_name_of(const struct mdb_set *set, const struct mdb_opinion *opinions,
                                    const struct msg_mongodb_record *record, uint8_t at);

/* --- records --- */

bool mdb_record_check(const struct msg_mongodb_record *record, uint64_t epoch);
/* Is `next` (of `epoch`) a lawful successor of `old` (of `old_epoch`)? One open order at most, each
 * of an epoch of its own, no second initiation, one force for each token. */
bool mdb_record_follows(const struct msg_mongodb_record *old, uint64_t old_epoch,
                        const struct msg_mongodb_record *next, uint64_t epoch);

#endif
