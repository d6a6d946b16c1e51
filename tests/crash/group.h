/* SPDX-License-Identifier: Apache-2.0 */
/* A group of three quorum nodes in one process: node 1 with the daemon's own two stores on disk,
 * under the recorder; nodes 2 and 3 in memory. Time and network are simulated, so that node 1 is
 * cut off and overtaken (its log is truncated, or an image installed), leads, follows, compacts,
 * changes members and is started anew, in the order that the seed draws.
 *
 * What node 1 promises to others is noted in order with its writes.
 */
#ifndef QUORATE_TESTS_CRASH_GROUP_H
#define QUORATE_TESTS_CRASH_GROUP_H

#include "base/types.h"
#include "raft/node.h"

#define GROUP_ENTRIES_MAX 20000u
#define GROUP_PROMISES_MAX 100000u
#define GROUP_CLUSTER UINT64_C(77)
#define GROUP_TEXT_MAX 800u

/* What node 1 has told others, or its clients, and must know ever after. */
struct promise {
    uint64_t term;      /* it was in this term */
    uint64_t vote_term; /* and gave its vote in this one */
    uint64_t vote;      /* to this node */
    uint64_t index;     /* it has this entry, */
    uint64_t index_term;
    uint64_t applied; /* and all up to this one are committed */
};

struct story {
    /* Of the committed entry at an index: its term, the checksum of its bytes, and the state after
     * it. */
    uint64_t term[GROUP_ENTRIES_MAX];
    uint32_t crc[GROUP_ENTRIES_MAX];
    uint32_t hash[GROUP_ENTRIES_MAX];
    bool is_hashed[GROUP_ENTRIES_MAX];
    uint64_t committed;
    struct promise promises[GROUP_PROMISES_MAX];
    size_t promise_count;
    /* what happened */
    uint64_t acked, truncations, taken_back, images, restarts, changes, leads;
    uint64_t writes, syncs; /* of the stores */
    int halted;             /* status with which node 1 stopped; 0: it did not */
    char fatal[GROUP_TEXT_MAX];
    char broken[GROUP_TEXT_MAX]; /* a rule that broke while it ran; "" */
};

struct group_options {
    uint64_t seed;
    int64_t ms;            /* of simulated time */
    const char *directory; /* with a directory "wal" in it */
};

/* Runs; ends early when node 1 halts. */
void group_run(const struct group_options *options, struct story *ret);

/* Machine of one store: applies an entry; shared with the inspection of images. */
int group_apply(struct store_txn *txn, uint64_t term, struct slice data);
void group_config(struct raft_node_config *config, struct raft_member members[3], uint64_t id,
                  uint64_t seed);
#define GROUP_MAP_BYTES (UINT64_C(16) << 20)
#define GROUP_SEGMENT_BYTES (UINT64_C(64) << 10)

#endif
