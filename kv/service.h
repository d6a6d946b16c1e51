/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service of a quorum node: glue between its users (kv/api, arbiter/driver), the Raft
 * node and the store.
 *
 * A write is checked, encoded and proposed; a follower passes it on to the leader. It is answered
 * when this node itself has applied the entry. A linearizable read waits for a read barrier that
 * began after it came, then runs in a store job; a serializable one runs at once. What only the
 * leader knows (a lease's remaining time, who has caught up) is asked of the leader: the whole
 * request goes there and the encoded answer comes back. Everything is bounded: what does not fit is
 * refused with TOO_MANY_REQUESTS. All functions are for the loop
 * thread, except where said. `done` is called exactly once per accepted call and never from inside
 * the function that accepted it, so the caller keeps call and request until then; there is no
 * cancel, an answer nobody waits for is thrown away.
 *
 * The service must never decide by time or by leadership what a log entry does: that is kv/core's,
 * from the entry and the store alone.
 */
#ifndef QUORATE_KV_SERVICE_H
#define QUORATE_KV_SERVICE_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"
#include "proto/msg/kv.h"
#include "proto/port_clock.h"
#include "proto/port_net.h"
#include "raft/port_store.h"

#define KV_TIMEOUT_DEFAULT_US INT64_C(7000000)
#define KV_NO_LEADER_AFTER_US INT64_C(1500000) /* without a leader for so long: NO_LEADER */

struct kv_auth_event; /* kv/core/auth.h */
struct kv_service;
struct raft_machine; /* raft/node.h */
struct raft_node;

/* One request on its way. Owned by the caller, who sets the fields up to `done`. */
struct kv_call {
    const struct kv_request *request; /* kept by the caller, with all its bytes, until done */
    struct base_mono deadline;        /* TIMEOUT after that; a write's outcome is then unknown */
    void *user;
    /* Who asks (bytes kept by the caller). When the store's auth revision is another one the answer
     * is AUTH_OLD_REVISION, without effect: decide anew and submit again. */
    struct kv_asker asker;
    /* error KV_OK: `response` is the encoded protobuf message (kv_wire_decode_response reads it),
     * header filled in; valid during the call only. Else `response` is empty. */
    void (*done)(struct kv_call *call, enum kv_error error, struct slice response);
    /* Set by the caller, loop thread, when nobody waits for the answer any more: a read that has
     * not begun is left out, and `done` comes with TIMEOUT, by and by. Of a write it changes
     * nothing. */
    bool is_given_up;
    /* the service's own */
    struct kv_call *next;
    uint64_t guard_term; /* not 0: proposed by this node in this term or not at all */
    int64_t remaining;   /* LEASE_TTL */
    enum kv_error error;
    bool is_postponed;
    size_t response_at;
    size_t response_len;
};

/* A swap that was applied on this node, or a record found by kv_service_load_records. */
struct kv_swapped {
    struct slice name;
    bool is_loaded; /* from the store, not from an entry just applied */
    bool is_won;    /* false: void, and the fields below are the record that stands (0, 0: none) */
    uint64_t epoch;
    uint64_t revision;
    struct slice blob;
    uint64_t expect_epoch; /* of the swap, also of a void one; 0 when loaded */
    uint64_t expect_revision;
    uint64_t index; /* of the entry and its term; 0 when loaded */
    uint64_t term;
    int64_t kv_revision; /* main revision that its puts got; 0 when void or loaded */
};

/* Waiting for a proof of leadership without a request behind it. Owned by the caller until done. */
struct kv_barrier {
    void *user;
    /* 0: a quorum round that began after kv_service_barrier confirmed that this node leads and
     * every entry committed before is applied as seen by a later store job. Else BASE_E_NOTLEADER,
     * BASE_E_NOQUORUM, BASE_E_TIMEOUT, ... */
    void (*done)(struct kv_barrier *barrier, int status);
    struct kv_barrier *next; /* the service's own */
};

struct kv_service_options {
    struct raft_node *node; /* or NULL and kv_service_set_node before the first call */
    struct store_port store;
    struct net_port net; /* for passing writes on to the leader; links are node ids */
    /* Time of leases; goes on while the machine sleeps. Without `now` the time of the last tick. */
    struct clock_port clock;
    uint64_t cluster_id;
    uint64_t member_id;         /* this node's id in Raft */
    uint64_t life;              /* random, new at each start, not 0 */
    uint64_t quota_bytes;       /* of the store; writes that add are refused above */
    uint32_t request_bytes_max; /* of one write as an entry; 0: KV_REQUEST_MAX, and never more */
    uint32_t election_max_ms;   /* of the Raft node, for the least TTL of a lease; 0: 1000 */
    /* The leader compacts: to what was the newest revision so long ago, or all but the newest so
     * many. 0: not. */
    int64_t compaction_period_us;
    int64_t compaction_revisions;
    /* Between two checkpoints of leases, and the least time left of one that is written down; 0:
     * KV_LEASE_CHECKPOINT_US. */
    int64_t lease_checkpoint_us;
    struct slice version; /* for Maintenance.Status, "3.4.23" */
    void *user;
    /* On every node, in log order, for every swap applied (won or void) and every record loaded.
     * Slices are valid during the call. May be NULL. */
    void (*swapped)(void *user, const struct kv_swapped *swapped);
    /* The store's restore id (kv/core/restore.h), 0 when it was never restored; told before the
     * records of each load. May be NULL. */
    void (*restore_known)(void *user, uint64_t restore_id);
    /* What the Raft node tells its machine, passed on (raft/node.h). Each may be NULL. */
    void (*role_changed)(void *user);
    void (*started)(void *user, int status);
    void (*halted)(void *user, int status);
    /* An applied entry changed the store to this revision: watches have something to read. May be
     * NULL. */
    void (*revised)(void *user, int64_t revision);
    /* What is read at revisions below this one is refused from now on. May be NULL. */
    void (*compacted)(void *user, int64_t revision);
    /* Every applied and not refused entry of the kinds AUTH_ENABLE to ROLE_REVOKE, in log order.
     * May be NULL. */
    void (*auth_changed)(void *user, const struct kv_auth_event *event);
    /* The store holds another state (an image): whatever was derived from it must be read again,
     * the arbiter's records too. The service has done so for its own part. May be NULL. */
    void (*restored)(void *user, int64_t revision);
};

/* Allocates all memory of the service (some 36 MiB of address space; pages are touched as they are
 * used). BASE_E_NOMEM. Close frees; the store must have no job of it left (closed, or crashed);
 * calls still open get STOPPED first, and the outcome of a write among them is unknown. */
MUST_CHECK int kv_service_open(const struct kv_service_options *options, struct kv_service **ret);
void kv_service_close(struct kv_service *service);
void kv_service_set_node(struct kv_service *service, struct raft_node *node);

/* Fills in what the Raft node shall drive. Valid as long as the service. */
void kv_service_machine(struct kv_service *service, struct raft_machine *ret);

/* Requests of clients, of every kind in proto/msg/kv.h. 0: accepted, `done` will follow. Else the
 * error for the client, and `done` is not called. A SWAP, and a write under KV_RESERVED_PREFIX, is
 * refused with PERMISSION_DENIED; LEASE_CHECKPOINT is the leader's own (MALFORMED). */
MUST_CHECK enum kv_error kv_service_submit(struct kv_service *service, struct kv_call *call);

/* The arbiter's swap; request kind KV_KIND_SWAP. Leader only, never passed on (NOT_LEADER). `done`
 * is told KV_OK with an empty response when it won, SWAP_VOID when it did not, LEADER_CHANGED or
 * TIMEOUT when the outcome is unknown; `swapped` was called before. */
MUST_CHECK enum kv_error kv_service_swap(struct kv_service *service, struct kv_call *call);

/* Asks for a proof of leadership. 0, BASE_E_NOTLEADER at once, BASE_E_BUSY. */
MUST_CHECK int kv_service_barrier(struct kv_service *service, struct kv_barrier *barrier);

/* Reads all records of the arbiter in one store job; calls options.swapped per record with
 * is_loaded, in order of names, then loaded(user, status). One at a time (BASE_E_BUSY). */
MUST_CHECK int kv_service_load_records(struct kv_service *service,
                                       void (*loaded)(void *user, int status));

/* A frame NET_FRAME_KV (its type byte first) from the quorum node `from`. Damaged ones are dropped.
 */
void kv_service_receive(struct kv_service *service, uint64_t from, struct slice payload);

/* Passes time: ends calls that are over their deadline. To be called at least every 100 ms while
 * kv_service_open_calls is not 0, and once a second otherwise (leases end at a tick, so on a leader
 * that keeps some rather every 100 ms too). A call ends at the first tick past
 * its deadline. */
void kv_service_tick(struct kv_service *service, struct base_mono now);
size_t kv_service_open_calls(const struct kv_service *service);

/* Newest revision that this node has applied. */
int64_t kv_service_revision(const struct kv_service *service);
/* What is older than this revision is compacted; 0: nothing is. */
int64_t kv_service_compact_revision(const struct kv_service *service);
/* The last entry that this node has applied; 0 before it is bound to a node. */
uint64_t kv_service_applied_index(const struct kv_service *service);
/* Header of a response made now: ids, term and newest revision. */
void kv_service_header(const struct kv_service *service, struct kv_header *ret);

/* Figures for /metrics. */
struct kv_service_stats {
    int64_t revision;
    int64_t compact_revision; /* as decided */
    int64_t compact_finished; /* rows up to here are gone on this node */
    uint64_t bytes_used;
    uint64_t quota_bytes;
    uint32_t open_calls;
    uint32_t leases; /* the leader's; 0 elsewhere */
    uint64_t leases_expired;
    uint64_t leases_renewed;
    bool has_no_space; /* the alarm is raised */
    bool is_corrupt;
};
void kv_service_stats(const struct kv_service *service, struct kv_service_stats *ret);

#endif
