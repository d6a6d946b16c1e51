/* SPDX-License-Identifier: Apache-2.0 */
/* The node's state and what its files call of each other; nobody else includes it.
 *
 * node.c        making, starting, the public calls
 * node_effects.c  carries out the core's effects, sends frames
 * node_load.c     start: ids, state and log from the two stores
 * node_jobs.c     jobs of the log's store: hard state, writes, entries for a peer far behind
 * node_apply.c    jobs of the state store: apply, and what of it is durable; forgetting the log
 * node_image.c    the node's part in installing an image
 * node_queue.c    proposals, reads and confirmations that wait, and the callbacks of their ends
 * node_snapshot.c images: sending them to a peer, taking one in
 */
#ifndef QUORATE_RAFT_NODE_INTERNAL_H
#define QUORATE_RAFT_NODE_INTERNAL_H

#include "proto/wire/raft.h"
#include "raft/core/core.h"
#include "raft/core/members.h"
#include "raft/entry_ring.h"
#include "raft/log_store.h"
#include "raft/node.h"
#include "raft/node_snapshot.h"

#define NODE_MAGIC 0x71726e31u
#define NODE_BATCH_MAX MSG_RAFT_ENTRIES_MAX /* entries in one write, apply or message */

#define NODE_FETCHES 3u /* peers far behind that are served at a time */
#define NODE_MARKS 8u   /* see struct node_mark_job */

/* Three jobs in turn: ids and hard state (log's store), what is applied (state store), the log. */
struct node_load_job {
    struct store_job job;
    struct raft_node *node;
    bool is_log_new; /* no ids in the log's store */
    bool is_reset;   /* an image was installed and the log not yet reset */
    uint64_t term, vote;
    uint64_t image_index, image_term; /* announced last */
    uint64_t reset_index, reset_term; /* behind which the log began anew last */
    struct log_store_state state;     /* of it, what is applied */
    struct raft_configuration base;
    uint64_t rows;
};

struct node_state_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
    bool is_wanted; /* a newer one shall follow */
    uint64_t term, vote;
    uint64_t wanted_term, wanted_vote;
};

struct node_write_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
    uint64_t id;
    uint64_t from;
    uint64_t to;
    uint64_t remove_to; /* stored entries behind `to` up to here are replaced by nothing */
    struct ring_record *records[NODE_BATCH_MAX];
};

struct node_result {
    enum msg_raft_entry_type type;
    uint64_t term;
    size_t offset;
    size_t len;
};

struct node_stored_entry {
    uint64_t term;
    enum msg_raft_entry_type type;
    size_t offset;
    size_t len;
};

/* Entries from memory, pinned; or those that memory no longer holds, read by a job of the log's
 * store before. */
struct node_apply_job {
    struct store_job job;   /* of the state store */
    struct store_job fetch; /* of the log's store */
    struct raft_node *node;
    bool is_busy;
    bool is_fetched;
    uint64_t from;
    uint64_t to; /* run may end earlier and lower it */
    uint64_t pinned_to;
    struct ring_record *records[NODE_BATCH_MAX];
    struct buf bodies;
    struct node_stored_entry stored[NODE_BATCH_MAX];
    struct buf results;
    struct node_result list[NODE_BATCH_MAX];
    struct raft_configuration configuration; /* run's */
};

/* The state store commits when it likes; this job waits for it, and then the log may forget. */
struct node_mark {
    uint64_t index;
    uint64_t bytes; /* applied in this life up to it */
};
struct node_mark_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
    struct node_mark asked;
    uint64_t durable; /* applied and durable */
    uint32_t count;   /* of done; ring */
    struct node_mark done[NODE_MARKS];
};

struct node_trim_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
    uint64_t index;
    uint64_t wanted;
};

/* First the intent, then (after the port has installed the image) the new beginning of the log. */
struct node_image_job {
    struct store_job job;
    struct raft_node *node;
    bool is_wanted; /* when nothing is being applied */
    bool is_installed;
    uint64_t index;
    uint64_t term;
    struct raft_configuration configuration;
};

/* Entries for one peer that is behind what memory holds. */
struct node_fetch_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
    struct msg_raft message; /* without entries */
    uint32_t count;
    struct buf bodies;
    struct node_stored_entry list[NODE_BATCH_MAX];
};

struct node_poke_job {
    struct store_job job;
    struct raft_node *node;
    bool is_busy;
};

struct node_proposal {
    uint64_t index;
    uint64_t term;
    uint64_t cookie;
    size_t bytes;
};

/* A change of members or a transfer under way. */
struct node_change {
    uint64_t cookie; /* 0: none */
    uint64_t index;
    uint64_t term;
    bool is_due;
    int status;
};

enum node_read_state { NODE_READ_ASKED, NODE_READ_READY, NODE_READ_LOST };

struct node_read {
    uint64_t cookie;
    uint64_t ticket;
    uint64_t index;
    enum node_read_state state;
};

/* First in, first out, over an array made at start. */
struct node_fifo {
    uint32_t begin;
    uint32_t count;
    uint32_t cap;
};

struct raft_node {
    uint32_t magic;
    struct raft_node_config config;    /* with defaults filled in; members points into `initial` */
    struct raft_configuration initial; /* at the very first start */
    struct raft_node_ports ports;
    struct raft_machine machine;
    bool is_start_asked;
    bool is_started;
    bool is_draining;

    struct raft_core core;
    struct raft_effects effects;
    const struct msg_raft *message; /* in hand during a step */
    struct slice proposal;          /* in hand during a step */
    uint32_t unreachable;           /* bit per peer of the core: a send failed in this step */
    uint64_t last_before;           /* last index before this step */
    int failure;                    /* to be reported to the core after this step */

    struct entry_ring ring;
    uint64_t stored_last; /* last index of the stored log, after all writes handed in */
    uint64_t applied;
    uint64_t applied_term;
    uint64_t applied_bytes;
    size_t proposal_bytes; /* proposed here and not yet applied */
    struct base_mono elected_at;

    struct node_load_job load;
    struct node_state_job state;
    struct node_write_job writes[RAFT_WRITES_MAX];
    struct node_apply_job apply;
    struct node_mark_job mark;
    struct node_trim_job trim;
    struct node_image_job image;
    struct node_fetch_job fetches[NODE_FETCHES];
    struct node_poke_job poke;
    struct node_snapshot snapshot;

    struct node_fifo proposals;
    struct node_proposal *proposal_list;
    struct node_fifo reads;
    struct node_read *read_list;
    struct raft_confirm *confirms;       /* asked, oldest first */
    struct raft_confirm *confirms_ready; /* to be told */
    struct raft_confirm *confirms_lost;

    struct node_change change;
    struct node_change transfer;

    /* Callbacks that are due. */
    bool is_restored_due;
    bool are_members_due;
    bool is_role_due;
    bool is_started_due;
    bool is_halted_due;
    bool was_own_term_applied;
    bool are_proposals_lost;
    int status; /* of started or halted */

    struct wire_arena arena;
    struct buf frame;
    struct msg_raft_entry entries[NODE_BATCH_MAX];
    uint8_t members_bytes[RAFT_MEMBERS_BYTES_MAX];
    void *allocations[24];
    size_t allocation_count;
};

/* node.c */
struct base_mono node_now(const struct raft_node *node);
bool node_is_running(const struct raft_node *node);

/* node_effects.c: one step, its effects carried out. The callbacks that follow from it are left for
 * node_drain. */
MUST_CHECK int node_step(struct raft_node *node, const struct raft_event *event);
/* The same for events that a running node cannot refuse. */
void node_step_sure(struct raft_node *node, const struct raft_event *event);
/* The store has failed: halts. Not from inside a step. */
void node_fail(struct raft_node *node, int status);
/* Encodes and sends; false: it could not be sent. entries: message->entry_count of them. */
bool node_send(struct raft_node *node, struct msg_raft *message,
               const struct msg_raft_entry *entries);

/* node_load.c */
void node_submit_load(struct raft_node *node);

/* node_jobs.c */
void node_jobs_init(struct raft_node *node);
void node_submit_log(struct raft_node *node, struct store_job *job);
void node_submit_store(struct raft_node *node, struct store_job *job);
/* Common end of a job: a failed store stops the node. True: go on. */
bool node_is_done_well(struct raft_node *node, int status);
/* Reads entries from `from` on out of the log, at most `count` and about RAFT_MESSAGE_BYTES. */
MUST_CHECK int node_read_entries(struct store_txn *txn, uint64_t from, uint32_t count,
                                 struct node_stored_entry *list, struct buf *bodies,
                                 uint32_t *ret_count);
void node_submit_state(struct raft_node *node, uint64_t term, uint64_t vote);
void node_submit_write(struct raft_node *node, const struct raft_effect *effect);
void node_submit_fetch(struct raft_node *node, const struct msg_raft *message);
void node_submit_poke(struct raft_node *node);

/* node_apply.c */
void node_apply_init(struct raft_node *node);
void node_submit_apply(struct raft_node *node);
void node_submit_trim(struct raft_node *node, uint64_t index);
/* What is applied is durable up to here, at the start or after an image. */
void node_mark_reset(struct raft_node *node, uint64_t index);

/* node_image.c */
void node_image_init(struct raft_node *node);
/* The core's INSTALL: when nothing is being applied any more. */
void node_image_wanted(struct raft_node *node, uint64_t index, uint64_t term);
void node_image_continue(struct raft_node *node);

/* node_snapshot.c. The first six are called from inside a step: they may begin jobs of the port and
 * send (node_send), but must not call node_step, which is for the ends of those jobs.
 *
 * Leader: `peer` lacks entries that the log no longer has (asked once until SNAPSHOT_ENDED). */
void node_snapshot_wanted(struct raft_node *node, uint64_t peer);
/* Follower: a SNAPSHOT message of this term's leader. message->data is valid until node_send. When
 * the whole image is here: RAFT_EVENT_SNAPSHOT_RECEIVED. */
void node_snapshot_chunk(struct raft_node *node, const struct msg_raft *message);
/* Follower: install what was received (import_install), then call node_installed. Nothing is
 * applied meanwhile. */
void node_snapshot_install(struct raft_node *node, uint64_t index, uint64_t term);
/* Follower: what was received, or is being received, is not wanted. */
void node_snapshot_discard(struct raft_node *node);
/* Role, term, leader or configuration changed: transfers of another term, to members that are gone,
 * or from another leader end. */
void node_snapshot_role_changed(struct raft_node *node);
/* The node has halted, or is freed: nothing will be told it any more. */
void node_snapshot_end(struct raft_node *node);
/* Follower, after node_installed: the log begins behind the image now (0), or why not. Time for the
 * answer to the leader. From inside no step. */
void node_snapshot_installed(struct raft_node *node, uint64_t index, int status);
/* Leader: a SNAPSHOT_REPLY of this term from a member. From inside no step. */
void node_snapshot_reply(struct raft_node *node, const struct msg_raft *message);
/* The log keeps what comes behind this index for a transfer under way; UINT64_MAX: none. */
uint64_t node_snapshot_keeps(const struct raft_node *node);
/* Retries, timeouts and throttle: from inside no step; and when that is wanted. */
void node_snapshot_tick(struct raft_node *node);
struct base_mono node_snapshot_deadline(const struct raft_node *node);
/* node_image.c, called by node_snapshot.c: the end of import_install. With 0 `info` tells what the
 * state store holds now; the log is reset to it, durably, and the core told. */
void node_installed(struct raft_node *node, const struct snapshot_info *info, int status);

/* node_queue.c */
void node_proposal_add(struct raft_node *node, uint64_t index, uint64_t cookie, size_t bytes);
/* The end of a change of members or a transfer; told by node_drain. */
void node_change_end(struct node_change *change, int status);
/* The cookie of the proposal that has become entry (index, term), 0 if it was not ours. */
uint64_t node_proposal_take(struct raft_node *node, uint64_t index, uint64_t term);
void node_reads_ready(struct raft_node *node, uint64_t ticket, uint64_t index);
void node_reads_lost(struct raft_node *node);
void node_confirm_add(struct raft_node *node, struct raft_confirm *confirm);
void node_confirms_ready(struct raft_node *node, uint64_t ticket);
/* Calls back for everything that is due. */
void node_drain(struct raft_node *node);
/* From calls that must not call back: makes sure that node_drain runs soon. */
void node_drain_later(struct raft_node *node);

static inline uint32_t node_fifo_at(const struct node_fifo *fifo, uint32_t i)
{
    return (fifo->begin + i) % fifo->cap;
}
static inline void node_fifo_pop(struct node_fifo *fifo)
{
    fifo->begin = (fifo->begin + 1) % fifo->cap;
    fifo->count--;
}

#endif
