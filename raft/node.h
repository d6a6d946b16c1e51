/* SPDX-License-Identifier: Apache-2.0 */
/* One Raft node: the glue between the pure core and the ports (store, net, clock).
 *
 * The owner makes a node from configuration, ports and a state machine, starts it, hands in frames
 * and ticks, and hears through the callbacks of struct raft_machine what happened. All functions
 * belong to the loop thread. Callbacks marked so run on the storage thread, all others on the loop
 * thread, and never from inside raft_node_propose, _read or _confirm: they come from _receive,
 * _tick or a store completion. A callback may call propose, read, confirm and status, but not
 * receive, tick or destroy.
 *
 * Two stores: `log` is written and flushed before anything is acknowledged; an entry is applied to
 * `store` only after it is durable in `log` here. Applied state that is not durable at a crash is
 * applied again from the log.
 *
 * It allocates at creation only. It never logs; what a person should hear comes as a status.
 */
#ifndef QUORATE_RAFT_NODE_H
#define QUORATE_RAFT_NODE_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"
#include "proto/port_clock.h"
#include "proto/port_net.h"
#include "raft/core/types.h"
#include "raft/port_snapshot.h"
#include "raft/port_store.h"

struct raft_node;

/* A committed entry that carries data of the state machine. */
struct raft_applied {
    uint64_t index;
    uint64_t term;
    struct slice data; /* valid during the call */
};

/* What the node drives. ctx is handed to each function. */
struct raft_machine {
    void *ctx;
    /* Storage thread, in the batch's transaction, in log order, exactly once in the durable history
     * (the applied index is written in the same transaction). `result` has room for at least
     * result_bytes_max bytes; what is put there reaches `applied`. Deterministic. Nonzero: the
     * store has failed, the node stops. */
    int (*apply)(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                 struct buf *result);
    /* Loop thread, in order, once for each entry given to apply. cookie: what raft_node_propose was
     * given when the entry was proposed by this node, in this life and under leadership not lost
     * since; else 0. The result is valid during the call. */
    void (*applied)(void *ctx, uint64_t index, uint64_t term, uint64_t cookie, struct slice result);
    /* A proposal whose outcome this node will not tell: leadership was lost (BASE_E_CANCELED) or
     * the node halted. It may still be committed by another leader; `applied` then has cookie 0. */
    void (*dropped)(void *ctx, uint64_t cookie, int status);
    /* The end of raft_node_read: 0, or BASE_E_NOTLEADER when leadership or leader changed on the
     * way (ask again). */
    void (*read_ready)(void *ctx, uint64_t cookie, int status);
    /* Role, term, leader or "own term's first entry is applied" changed: look at raft_node_status.
     * May be NULL. */
    void (*role_changed)(void *ctx);
    /* The end of raft_node_start: 0, or why the node refuses: BASE_E_CORRUPT (damaged entry),
     * BASE_E_CONFLICT (the store belongs to another node or cluster), or the store's error. May be
     * NULL. */
    void (*started)(void *ctx, int status);
    /* Who belongs to the quorum has changed (raft_node_configuration). May be NULL. */
    void (*members_changed)(void *ctx);
    /* The state store holds another state than apply made: an image was installed (or, before
     * `started`, loaded). Everything that was derived from it must be read again. `applied` goes on
     * from the index after it. May be NULL. */
    void (*restored)(void *ctx, uint64_t index);
    /* The end of raft_node_transfer and raft_node_change_members: 0 when the other node leads, or
     * the configuration is committed. May be NULL when neither is used. */
    void (*changed)(void *ctx, uint64_t cookie, int status);
    /* The store has failed; the node neither votes, nor acknowledges, nor leads any more. The
     * process should stop with a clear word. Called once. May be NULL. */
    void (*halted)(void *ctx, int status);
};

/* 0 in any limit takes the default named. */
struct raft_node_config {
    uint64_t cluster_id; /* same on all nodes, not 0; another cluster's frames are ignored */
    uint64_t id;         /* own id; one of members, unless there are none */
    /* Members at the very first start (copied); later the store knows better. 0 of them: a node
     * that joins: it waits for entries or an image from a leader, and never stands for election
     * before it knows a configuration that has it as a voter. */
    const struct raft_member *members;
    size_t member_count;
    uint64_t log_keep_entries; /* 5000: kept behind what is durably applied, for slow peers */
    uint64_t log_keep_bytes;   /* 16 MiB: and never more than this */
    uint32_t heartbeat_ms;     /* 50 */
    uint32_t election_min_ms;  /* 250; at least 3 heartbeats */
    uint32_t election_max_ms;  /* 500 */
    uint64_t seed;             /* random numbers of this life: another one after each restart */
    size_t entry_bytes_max;    /* 1.5 MiB + 64 KiB: one proposal */
    size_t memory_bytes_max;   /* 8 MiB: entries held in memory, proposals included; at least 4
                                  entries' worth */
    size_t memory_bytes_usual; /* 512 KiB: what is kept of old entries for peers that are a little
                                  behind */
    size_t result_bytes_max;   /* 2 MiB: one result of apply */
    uint32_t proposals_max;    /* 4096: not yet applied */
    uint32_t reads_max;        /* 4096: raft_node_read not yet answered */
    uint32_t snapshot_chunk_bytes; /* 256 KiB, and at most that: of an image, in one message */
    uint64_t snapshot_bytes_per_s; /* 32 MiB: how fast images are sent, all together */
};

struct raft_node_ports {
    struct store_port log;         /* STORE_META (ids, hard state) and STORE_LOG */
    struct store_port store;       /* the state: everything else */
    struct snapshot_port snapshot; /* of the state store */
    struct net_port net;           /* links are node ids */
    struct clock_port clock;
};

struct raft_node_status {
    bool is_started;
    bool is_halted;
    enum raft_role role;
    uint64_t term;
    uint64_t leader_id;   /* 0: unknown */
    uint64_t first_index; /* of the log */
    uint64_t last_index;
    uint64_t persisted_index; /* durable here */
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t applied_term;
    bool has_applied_own_term;   /* leader only: the first entry of its term is applied */
    struct base_mono elected_at; /* leader only: clock read when the winning vote was counted */
};

/* Makes a node. Copies config and members; ports and machine are copied, what they point to must
 * outlive the node. BASE_E_INVALID for a bad configuration, BASE_E_NOMEM. */
MUST_CHECK int raft_node_create(const struct raft_node_config *config,
                                const struct raft_node_ports *ports,
                                const struct raft_machine *machine, struct raft_node **ret);
/* Frees it. The store must hold none of its jobs any more (stopped, or all done). NULL is fine.
 * Returns NULL. */
struct raft_node *raft_node_destroy(struct raft_node *node);

/* Loads hard state, log and applied index; answers through machine->started. Until then frames are
 * ignored and every request is refused with BASE_E_STATE. Call once. */
void raft_node_start(struct raft_node *node);

/* Moment at which raft_node_tick wants to be called next. Changes with every call into the node. */
struct base_mono raft_node_deadline(const struct raft_node *node);
/* Lets time pass: elections, heartbeats, retries. Calling too early or too often does no harm. */
void raft_node_tick(struct raft_node *node);
/* One frame (type byte NET_FRAME_RAFT first) from the node that the link proved to be `from`.
 * BASE_E_PROTO: malformed, the caller should cut the link; BASE_E_DENIED: not a member, another
 * cluster, or not the sender it claims. */
MUST_CHECK int raft_node_receive(struct raft_node *node, uint64_t from, struct slice payload);

/* Proposes an entry (copied). cookie is not 0. 0: `applied` or `dropped` will follow.
 * BASE_E_NOTLEADER, BASE_E_BUSY (memory or count of proposals full), BASE_E_TOOBIG, BASE_E_INVALID
 * (empty), BASE_E_STATE (not started, halted). Never forwarded to another node. ret_index and
 * ret_term (either may be NULL): where the entry stands in the log of this leader. */
MUST_CHECK int raft_node_propose(struct raft_node *node, struct slice data, uint64_t cookie,
                                 uint64_t *ret_index, uint64_t *ret_term);

/* Read barrier (Raft thesis 6.4). machine->read_ready follows when a quorum round that began after
 * this call has confirmed the leader, and every entry committed before the call has been applied
 * here (a store job submitted from the callback sees them). On a follower the round is asked of the
 * leader. A new leader waits for its first commit. BASE_E_NOTLEADER: no leader known, BASE_E_BUSY,
 * BASE_E_STATE. */
MUST_CHECK int raft_node_read(struct raft_node *node, uint64_t cookie);

/* Confirmation that this node leads, without waiting for anything to be applied: it needs no disk
 * anywhere, so that a leader whose own disk hangs keeps confirming. The caller owns the struct and
 * keeps it until done was called. */
struct raft_confirm {
    /* 0: a quorum round that began after raft_node_confirm was called has confirmed this node as
     * leader of `term`. BASE_E_NOTLEADER otherwise. */
    void (*done)(struct raft_confirm *confirm, int status);
    uint64_t term;             /* set by raft_node_confirm: the leader's term at the call */
    uint64_t ticket;           /* the node's */
    struct raft_confirm *next; /* the node's */
};
/* BASE_E_NOTLEADER, BASE_E_STATE: done will not be called. */
MUST_CHECK int raft_node_confirm(struct raft_node *node, struct raft_confirm *confirm);

/* Before the node is started everything but is_started and is_halted is empty. */
void raft_node_status(const struct raft_node *node, struct raft_node_status *ret);
/* Present configuration: the newest in the log. Valid until the next call into the node. */
const struct raft_configuration *raft_node_configuration(const struct raft_node *node);
/* What the leader knows of one member. False when this node does not lead or does not know it. */
struct raft_member_status {
    uint64_t match_index;      /* durable there */
    struct base_mono heard_at; /* last message from it; now for ourselves */
    bool is_snapshot_under_way;
};
bool raft_node_member_status(const struct raft_node *node, uint64_t id,
                             struct raft_member_status *ret);
uint64_t raft_node_cluster_id(const struct raft_node *node);

/* Hands leadership to a voter; machine->changed follows with the cookie: 0 when that one leads,
 * BASE_E_CANCELED when another one does, BASE_E_TIMEOUT when nobody took over within an election
 * timeout (this node may lead on). Proposals are refused with BASE_E_BUSY meanwhile. Errors of
 * RAFT_EVENT_TRANSFER, BASE_E_STATE. */
MUST_CHECK int raft_node_transfer(struct raft_node *node, uint64_t to_id, uint64_t cookie);
/* Proposes a configuration one step away from the present one (one member added, removed, promoted,
 * or with other addresses; next->index is not looked at); machine->changed follows: 0 when it is
 * committed (and applied here, unless it removes this node), BASE_E_CANCELED when leadership was
 * lost before that was known. cookie is not 0. Errors of RAFT_EVENT_CHANGE_MEMBERS, BASE_E_TOOBIG
 * (longer than an entry may be), BASE_E_STATE. Whether
 * the step is wise (who is up, who has caught up) is the caller's to check. */
MUST_CHECK int raft_node_change_members(struct raft_node *node,
                                        const struct raft_configuration *next, uint64_t cookie);

/* For the simulator and for tests: the core behind it (raft/core/core.h), read only, once the node
 * is started. */
struct raft_core;
const struct raft_core *raft_node_core(const struct raft_node *node);

#endif
