/* SPDX-License-Identifier: Apache-2.0 */
/* What has been told to the world about each database cluster, against what its record says: the
 * difference is the events that are still to be told.
 *
 * The list of what was told is one row of guarded swaps (TOLD_ROW), so that every node has it and
 * goes on where the last leader was: an event is told at least once, whoever leads. Events have ids
 * that are the same on every node. Pure but for memory of its own; loop thread. */
#ifndef QUORATE_ARBITER_NOTIFY_TOLD_H
#define QUORATE_ARBITER_NOTIFY_TOLD_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"
#include "proto/msg/agent.h"

#define TOLD_ROW "/told" /* no cluster can have this name */
#define TOLD_CLUSTERS_MAX 64
#define TOLD_QUEUE_MAX 64
#define TOLD_ID_MAX 128
#define TOLD_TEXT_MAX 512
#define TOLD_BYTES_MAX 16384u /* of the row */

/* Facts of a record that somebody wants to hear of when they change. */
struct told_facts {
    struct base_name cluster;
    uint64_t epoch, revision;
    struct base_name holder;
    bool is_sync_lost, is_paused, is_unconfirmed;
    bool is_elected_elsewhere; /* MongoDB: epochs are those of orders, not of primaries */
};

/*   id, stable name, the sentence's beginning */
#define TOLD_EVENTS(X) \
    X(FAILOVER, "failover", "another primary, or the same one in a new epoch") \
    X(SYNC_LOST, "sync-lost", "only the primary has everything: nobody could take over") \
    X(SYNC_BACK, "sync-back", "a standby has everything again") \
    X(PAUSED, "paused", "an operator paused the cluster") \
    X(RESUMED, "resumed", "an operator resumed the cluster") \
    X(UNCONFIRMED, "unconfirmed", "nothing is granted before kv db confirm") \
    X(CONFIRMED, "confirmed", "an operator confirmed the cluster") \
    X(REFUSED, "refused", \
      "a member or a fence was refused, or a failover waits for five seconds; the reason") \
    X(QUORUM_LOST, "quorum-lost", "a node has known no leader for ten seconds; told by that node") \
    X(QUORUM_BACK, "quorum-back", "that node knows a leader again") \
    X(CERTIFICATE_ENDS, "certificate-ends", "a node's certificate ends within two weeks")

enum told_kind {
#define TOLD_ENUM(id, name, text) TOLD_##id,
    TOLD_EVENTS(TOLD_ENUM)
#undef TOLD_ENUM
};

struct told_event {
    enum told_kind kind;
    bool is_own;             /* of this node, told without leading */
    bool is_last;            /* of one change of a record: with it the row goes on */
    struct told_facts facts; /* what is told when this event is; epoch 0: not of a record */
    int64_t wall_us;
    char id[TOLD_ID_MAX];
    char text[TOLD_TEXT_MAX];
};

struct told {
    uint64_t revision; /* of the row; 0: there is none yet */
    size_t count;      /* told, by cluster */
    struct told_facts list[TOLD_CLUSTERS_MAX];
    size_t seen_count; /* records as they are on this node */
    struct told_facts seen[TOLD_CLUSTERS_MAX];
    size_t queue_count; /* the oldest first */
    struct told_event queue[TOLD_QUEUE_MAX];
    uint64_t added, dropped;
};

const char *told_kind_name(enum told_kind kind);
/* A record was applied, or read at a start (is_loaded); epoch 0: the cluster is gone. */
void told_record(struct told *told, const struct told_facts *facts, bool is_loaded,
                 int64_t wall_us);
/* All records and the row have been read: what changed while nobody looked becomes events. */
void told_loaded(struct told *told, int64_t wall_us);
/* The row: what it says was told leaves the queue. BASE_E_PROTO. */
MUST_CHECK int told_row(struct told *told, uint64_t revision, struct slice blob);
/* Adds an event that is not of a record. When the queue is full the oldest goes. */
void told_add(struct told *told, const struct told_event *event);
/* The first event that may be told; NULL: none. */
const struct told_event *told_next(const struct told *told, bool is_leader);
/* The row's next content, as if this event had been told; only for events of a record. */
void told_row_after(const struct told *told, const struct told_event *event, struct buf *out);
/* Takes an event out, by its id. */
void told_remove(struct told *told, const char *id);
/* Events of the leader that are not of a record: a new leader says them again. */
void told_forget_spoken(struct told *told);

#endif
