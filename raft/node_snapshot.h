/* SPDX-License-Identifier: Apache-2.0 */
/* State of the image transfers of one node; part of struct raft_node. What is called of it stands
 * in raft/node_internal.h.
 *
 * Sender (leader): one image at a time, for one peer after the other; a fresh one serves several.
 * Chunks go out in a window, and again from where the receiver stands when nothing moves.
 * Receiver (follower): one image at a time; a newer transfer takes the place of an older one.
 */
#ifndef QUORATE_RAFT_NODE_SNAPSHOT_H
#define QUORATE_RAFT_NODE_SNAPSHOT_H

#include "raft/core/types.h"
#include "raft/port_snapshot.h"

struct raft_node;

#define SNAPSHOT_WINDOW 4u /* chunks in flight */

enum snapshot_export_state {
    SNAPSHOT_NONE,
    SNAPSHOT_MAKING,
    SNAPSHOT_READY, /* begun: export_end is due some time */
};

struct snapshot_sender {
    enum snapshot_export_state state;
    struct snapshot_job make;
    struct snapshot_job read;
    uint64_t reading;       /* transfer whose chunk is being read; 0: none */
    uint64_t reading_at;    /* its offset */
    bool is_release_wanted; /* as soon as nothing is under way */
    uint64_t making_from;   /* while it is made: it will not be older than this index */
    struct snapshot_info info;
    uint64_t waiting[RAFT_MEMBERS_MAX]; /* ids of peers, first in, first out */
    size_t waiting_count;
    uint64_t peer;        /* being served; 0: none */
    uint64_t transfer;    /* id of the transfer, never used twice by this node in this life */
    uint64_t sent;        /* bytes handed to the network */
    uint64_t acked;       /* bytes that the receiver has */
    int64_t moved_us;     /* acked grew, or the transfer began or was sent again */
    int64_t heard_us;     /* last reply, or begin */
    int64_t idle_us;      /* since when nobody is served */
    int64_t try_us;       /* what was refused is not tried again before */
    uint64_t credit;      /* bytes that may be sent now */
    int64_t credit_at_us; /* when it was counted */
};

/* One chunk being written. */
struct snapshot_piece {
    struct snapshot_job job;
    struct raft_node *node;
    bool is_busy;
    bool is_last;
    uint64_t life; /* of the receiver, when it was given to the port */
    uint64_t end;  /* offset behind it */
};

struct snapshot_receiver {
    struct snapshot_job begin;
    struct snapshot_job install;
    bool is_beginning;
    struct snapshot_piece pieces[SNAPSHOT_WINDOW];
    bool is_known;      /* a transfer is under way, the fields below describe it */
    bool is_installing; /* the core has said so; nothing stops it any more */
    bool is_end_taken;  /* the last chunk has been handed to the port */
    uint64_t life;      /* one more each time that a transfer begins, be it the same once more */
    uint64_t from;
    uint64_t transfer;
    uint64_t index;
    uint64_t term;    /* of the entry at `index` */
    uint64_t taken;   /* bytes handed to the port */
    uint64_t written; /* bytes that it has written */
    int64_t heard_us; /* last chunk of this transfer */
};

struct node_snapshot {
    struct snapshot_sender out;
    struct snapshot_receiver in;
};

#endif
