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
    struct msg_position position;
};

/* One epoch of the database cluster, as the log has it. */
struct truth_epoch {
    uint64_t epoch;
    int holder;
    struct msg_record record;
};

#define TRUTH_IDS_MAX 200     /* of quorum nodes, over a whole run */
#define TRUTH_STATE_EVERY 256 /* entries between two looks at the whole state */

enum truth_restored {
    RESTORED_NOT,
    RESTORED_UNCONFIRMED,
    RESTORED_CONFIRMING, /* an operator's order was accepted; its swap is on its way */
};

struct truth {
    enum truth_restored restored;
    uint64_t epoch_reported; /* the highest that an agent has seen */
    struct truth_kv *kv;
    uint64_t pre_votes[TRUTH_IDS_MAX + 1][TRUTH_IDS_MAX + 1]; /* by candidate, voter: the term that
                                                                 was granted last */
    uint64_t commit_term[NODES_MAX]; /* in which it leads; 0: it does not */
    uint64_t commit_seen[NODES_MAX];
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
    uint8_t *leaders;   /* by term: node + 1 */
    size_t leaders_cap;
    uint8_t *votes; /* by (term, voter): candidate */
    size_t votes_cap;
    uint64_t *entries; /* by index: hash of the data entry applied there, 0 none seen */
    size_t entries_cap;
    uint64_t applied[NODES_MAX];
    uint64_t matched[NODES_MAX][NODES_MAX];
    struct truth_epoch *epochs;
    size_t epochs_count, epochs_cap;
    struct msg_record record; /* the newest applied anywhere; epoch 0: none */
    bool is_handback_clean; /* the holder of the present epoch has handed back after an orderly stop
                             */
    struct truth_vote vote_of[MEMBERS_MAX];
    struct truth_acked *acked;
    size_t acked_count, acked_cap;
    uint64_t ack_epoch;
    int64_t last_ack_us;
    struct wire_arena arena;
    _Alignas(16) uint8_t arena_bytes[1 << 20];
};

/* truth_members.c, called by truth_raft.c. */
struct raft_applied;
void truth_committed(struct world *w, unsigned node, const struct raft_applied *entry);
bool truth_is_lost(struct world *w, uint64_t id);
void truth_image(struct world *w, unsigned node, uint64_t index);
void truth_kv_open(struct world *w); /* truth_kv.c */
void truth_kv_close(struct world *w);
void truth_kv_begin_anew(struct world *w, uint64_t index, int64_t revision);

#endif
