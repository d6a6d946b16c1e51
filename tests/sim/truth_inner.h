/* SPDX-License-Identifier: Apache-2.0 */
/* What the invariants remember; for truth_*.c alone. */
#ifndef QUORATE_TESTS_SIM_TRUTH_INNER_H
#define QUORATE_TESTS_SIM_TRUTH_INNER_H

#include "proto/msg/agent.h"
#include "proto/wire/arena.h"
#include "raft/core/types.h"
#include "tests/sim/world.h"

/* A commit that some client was told is safe. */
struct truth_acked {
    uint32_t record;
    uint32_t position; /* it is the last of that many records */
    uint64_t epoch;
};

/* The last valid vote that a member has sent in the present epoch. */
struct truth_vote {
    bool is_given;
    struct msg_attempt attempt;
    struct msg_attempt
        ended; /* attempts up to this one are over: what is still said of them is late */
    struct msg_position position;
    bool has_fetched; /* since then, from another voter: it votes anew with more */
    bool is_by_hand;  /* since then it was run by hand: what it has more was received from nobody */
};

/* One epoch of the database cluster, as the log has it. */
struct truth_epoch {
    uint64_t epoch;
    int holder;
    struct msg_record record;
};

#define TRUTH_IDS_MAX 200     /* of quorum nodes, over a whole run */
#define TRUTH_STATE_EVERY 256 /* entries between two looks at the whole state */

/* A node as it was when its last frame left, in this life. */
struct truth_lead {
    uint64_t last_term, last_commit, last_persisted, last_persisted_term, last_first;
    uint64_t term; /* in which it leads; 0: it does not. The rest is of that: */
    uint64_t commit, round, members;
};

/* What somebody has answered to a leader in its term: the newest round of heartbeats, and how far
 * its log is durable. */
struct truth_round {
    uint64_t term, round, match;
};

enum truth_restored {
    RESTORED_NOT,
    RESTORED_UNCONFIRMED,
    RESTORED_CONFIRMING, /* an operator's order was accepted; its swap is on its way */
};

#define TRUTH_GRANTED_MAX 64

/* One database cluster. */
struct truth_db {
    unsigned cluster;
    enum truth_restored restored;
    uint64_t epoch_reported; /* the highest that an agent has seen */
    /* What granted reports of this epoch told, the last ones; those before, their highest. */
    struct truth_granted {
        int64_t at_us;
        uint64_t lsn;
    } granted[TRUTH_GRANTED_MAX];
    size_t granted_count;
    uint64_t granted_before;
    struct truth_epoch *epochs;
    size_t epochs_count, epochs_cap;
    struct msg_record record; /* the newest applied anywhere; epoch 0: none */
    bool is_handback_clean; /* the holder of the present epoch has handed back after an orderly stop
                             */
    bool is_forced;         /* an operator has forced the next epoch, whatever it costs */
    uint64_t ended_epoch;   /* its holder was fenced, as a node was told, or confirmed to be dead */
    int64_t cancel_until_us; /* an operator has cancelled something */
    struct truth_acked *acked;
    size_t acked_count, acked_cap;
    uint64_t ack_epoch;
    int64_t last_ack_us;
    int64_t paused_us; /* when the present pause, or the last one, began */
};

#define TRUTH_TASKS_TOLD 16
#define TRUTH_FAILSAFE_ROUNDS 32

/* A failsafe round of a holder, and who has granted it. */
struct truth_failsafe {
    uint64_t session, round, epoch;
    uint32_t ttl_ms;
    uint32_t granted;
    struct base_mono sent;
};

/* One member of any of them. */
struct truth_member {
    uint64_t epoch_seen; /* as it last said */
    struct truth_vote vote;
    int64_t crashes_us[3]; /* when its tree ended under a lease, the last ones; 0: never */
    bool is_retired;
    uint64_t paused_epoch;                 /* it says that it has taken a pause in; 0: not ... */
    int64_t paused_us;                     /* ... and since when */
    uint64_t tasks_told[TRUTH_TASKS_TOLD]; /* whose end it has told */
    unsigned tasks_count;
    struct truth_failsafe failsafe[TRUTH_FAILSAFE_ROUNDS];
    uint64_t failsafe_epoch;         /* the last one that it granted in such a round ... */
    struct base_mono failsafe_until; /* ... and until when, by its own clock */
};

struct truth {
    struct truth_db db[DB_CLUSTERS_MAX];
    struct truth_member members[MEMBERS_MAX];
    uint64_t fencing[NODES_MAX][DB_CLUSTERS_MAX]; /* as a node has applied it */
    int64_t elected_us;                           /* the last election */
    struct truth_kv *kv;
    struct truth_lease *lease;                                /* truth_lease.c */
    uint64_t pre_votes[TRUTH_IDS_MAX + 1][TRUTH_IDS_MAX + 1]; /* by candidate, voter: the term that
                                                                 was granted last */
    struct truth_lead lead[NODES_MAX];
    struct truth_round rounds[NODES_MAX]
                             [TRUTH_IDS_MAX + 1]; /* by place of the leader, who answers */
    uint64_t ids[TRUTH_IDS_MAX];
    size_t ids_count;
    bool is_lost[TRUTH_IDS_MAX + 1];          /* by number: its disks were taken away */
    struct raft_configuration led[NODES_MAX]; /* the last one that this node had as a leader; index
                                                 and count 0: it did not lead */
    uint64_t led_term[NODES_MAX];
    uint64_t
        *states; /* by index / TRUTH_STATE_EVERY: hash of the state before that entry, 0 none */
    size_t states_cap;
    uint64_t committed; /* highest entry whose quorum was looked at */
    uint64_t elected;   /* the highest term that has had a leader */
    uint8_t *leaders;   /* by term: node + 1 */
    size_t leaders_cap;
    uint8_t *votes; /* by (term, voter): candidate */
    size_t votes_cap;
    uint64_t *entries; /* by index: hash of the data entry applied there, 0 none seen */
    size_t entries_cap;
    uint64_t applied[NODES_MAX];
    uint64_t matched[NODES_MAX][NODES_MAX];
    struct wire_arena arena;
    _Alignas(16) uint8_t arena_bytes[1 << 20];
};

/* truth_db.c, truth_arbiter.c, truth_sync.c among themselves. */
struct db_order;
struct member;
struct pg;
struct truth_db *truth_db_of(struct world *w, unsigned member);
void truth_db_close(struct world *w);
void truth_db_begin_anew(struct world *w);
/* Members of a list, as bits. */
uint32_t truth_set(struct world *w, const struct msg_names *names);
bool truth_has(const struct pg *pg, const struct truth_acked *a);
unsigned truth_bits(uint32_t set);
/* A cluster becomes another's standby, or its own again, under the same guard. */
bool truth_is_change_of_role(const struct msg_record *old, const struct msg_record *new);
void truth_retires(struct world *w, const struct member *m, bool is_retired);
void truth_follows(struct world *w, const struct member *m, const struct db_order *order);
void truth_loss_is_bounded(struct world *w, const struct truth_db *t, const struct msg_record *new);
/* Where commits waited for nobody, what the next holder lacks is given up. */
void truth_loss_is_lawful(struct world *w, struct truth_db *t, const struct msg_record *new);
/* The same where an operator has forced it. */
void truth_loss_is_forced(struct world *w, struct truth_db *t, const struct msg_record *new);
void truth_voters_have_it(struct world *w, const struct truth_db *t, const struct msg_record *old);

/* truth_votes.c: a valid vote is told; a report of one who may have promised; attempts up to that
 * one are over. */
int truth_position_compare(const struct msg_position *a, const struct msg_position *b);
void truth_take_vote(struct world *w, const struct truth_db *t, const struct member *m,
                     const struct msg_report *r);
void truth_promise_is_remembered(struct world *w, const struct member *m,
                                 const struct msg_report *r);
void truth_attempts_end(struct world *w, const struct truth_db *t, struct msg_attempt until);
/* NULL: the log has no such epoch. */
const struct truth_epoch *truth_epoch_of(const struct truth_db *t, uint64_t epoch);
const struct db_setup *truth_database(const struct world *w, const struct truth_db *t);

/* truth_members.c, called by truth_raft.c. */
struct raft_applied;
struct msg_raft;
void truth_committed(struct world *w, unsigned node, const struct raft_applied *entry);
bool truth_is_lost(struct world *w, uint64_t id);
void truth_image(struct world *w, unsigned node, uint64_t index);
/* Durable in its log, or in its state. */
bool truth_has_entry(struct world *w, uint64_t id, uint64_t index, uint64_t term);
bool truth_has_majority(struct world *w, const struct raft_configuration *c, uint64_t index,
                        uint64_t term);
/* truth_raft.c: a small number for an id, from 1 on; whom it has voted for, 0 nobody. */
uint8_t truth_number(struct world *w, uint64_t id);
uint64_t truth_vote_of(struct world *w, uint64_t voter_id, uint64_t term);
/* truth_lead.c: a new life; frames seen; it has just been elected. */
void truth_lead_forget(struct world *w, unsigned node);
void truth_answered(struct world *w, const struct msg_raft *m);
void truth_handed_over(struct world *w, uint64_t from, uint64_t to);
void truth_elected(struct world *w, unsigned node);
/* A grant answers a report that told this position. */
void truth_granted(struct truth_db *t, int64_t at_us, uint64_t lsn);
/* truth_auth.c: this command changes this key. */
struct store_txn;
struct kv_command;
void truth_permitted(struct world *w, struct store_txn *txn, const struct kv_command *command,
                     struct slice key);
void truth_kv_open(struct world *w); /* truth_kv.c */
void truth_kv_close(struct world *w);
void truth_kv_begin_anew(struct world *w, uint64_t index, int64_t revision);

#endif
