/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the key-value service, shared by service.c (calls, writes), service_calls.c (how
 * calls end), service_forward.c (frames between nodes), service_apply.c (entries), service_read.c
 * (reads), service_upkeep.c (compaction, checksums, quota), service_members.c and lease.c. Nobody
 * else includes it.
 *
 * A call is in exactly one place at a time: parked (waits for a leader), a slot (a write under way,
 * or a request that the leader was asked), waiting (a read without a round), a round (a read
 * barrier under way), ready (a read that may run), a read job, a list of lease.c, service_members.c
 * or service_upkeep.c.
 */
#ifndef QUORATE_KV_SERVICE_INTERNAL_H
#define QUORATE_KV_SERVICE_INTERNAL_H

#include "base/arena.h"
#include "kv/call_list.h"
#include "kv/core/alarm.h"
#include "kv/core/apply.h"
#include "kv/core/compact.h"
#include "kv/lease.h"
#include "kv/service.h"
#include "kv/service_members.h"
#include "raft/node.h"

#define SERVICE_MAGIC UINT32_C(0x6b767376)
#define ROUNDS_MAX 4u    /* read barriers under way at once */
#define READ_JOBS_MAX 2u /* one runs while the other's answers are handed out */
#define ARENA_BYTES ((size_t)16 << 20)
#define DECODE_BYTES ((size_t)1 << 20)
#define FRAME_HEAD 2u /* NET_FRAME_KV and the kind of frame */
#define COMMAND_MAX (KV_REQUEST_MAX + 65536u)
#define FORWARDED_COOKIE \
    UINT64_C(1) /* of another node's write; ids of our own are above KV_CALLS_MAX */

/* Second byte of a frame NET_FRAME_KV. */
enum frame_kind {
    FRAME_WRITE = 1,   /* a command, to be proposed by the leader */
    FRAME_REFUSED = 2, /* life, request id, reason: it was not proposed */
    FRAME_ASK = 3, /* life, request id, time left (us), kind, request: only the leader can tell */
    FRAME_ANSWER = 4, /* life, request id, length and text of the error, response */
};

/* A write that was proposed here or passed on, or a request that the leader was asked. */
struct slot {
    struct kv_call *call; /* NULL: free */
    uint64_t id;
    bool is_forwarded;
    bool is_ask;
};

struct round {
    uint64_t cookie; /* 0: free */
    struct call_list calls;
    struct kv_barrier *barriers;
};

struct read_job {
    struct store_job job;
    struct kv_service *service;
    bool is_busy;
    bool is_load; /* of the arbiter's records */
    struct call_list calls;
    struct raft_node_status status;    /* as the job was submitted */
    struct raft_configuration members; /* when a call asks for it */
    struct service_member_list list;   /* the storage thread's */
    bool is_learner;
    struct buf out;
    /* filled in by the storage thread */
    int64_t revision;
    uint64_t bytes_used;
    int64_t rows; /* looked at */
};

/* The one job that derives what the service keeps in memory from the store, at a start and after an
 * image. */
struct derive_job {
    struct store_job job;
    struct kv_service *service;
    bool is_busy;
    bool is_wanted;
    bool is_restored; /* tell the owner when it is done */
    int64_t revision;
    uint64_t bytes_used;
    struct kv_compact_progress compact;
    struct kv_alarms alarms;
};

/* Removal of compacted rows, a few at a time. */
struct compact_job {
    struct store_job job;
    struct kv_service *service;
    bool is_busy;
    uint32_t chained;                   /* steps since the last tick */
    struct kv_compact_progress reached; /* the job's, while is_busy */
    struct kv_compact_progress progress;
    struct call_list physical; /* compactions that wait for their rows to be gone */
};

/* A checksum under way, a few rows at a time. */
struct hash_job {
    struct store_job job;
    struct kv_service *service;
    struct call_list calls; /* the first one is under way when is_busy */
    bool is_busy;
    bool is_begun;
    enum kv_error error;
    int64_t revision;
    struct kv_hash_walk walk;
};

/* A request of the node's own, proposed by the leader alone. */
struct own_call {
    struct kv_call call;
    struct kv_request request;
    struct kv_service *service;
    bool is_busy;
};

#define MARKS_MAX 11u
struct upkeep {
    struct derive_job derive;
    struct compact_job compact;
    struct hash_job hash;
    struct own_call compaction; /* of the leader's own accord */
    struct own_call alarm;
    struct {
        struct base_mono at;
        int64_t revision;
    } marks[MARKS_MAX]; /* of the periodic compaction, oldest first */
    size_t mark_count;
    uint64_t mark_term;
};

struct asked; /* service_forward.c: a request that another node asks of this one */

struct kv_service {
    uint32_t magic;
    struct kv_service_options options;
    bool is_halted;
    size_t open_calls;
    int64_t revision;
    uint64_t bytes_used;
    bool is_size_stale;
    int64_t compact_revision; /* as decided; -1: none */
    struct kv_alarms alarms;
    struct base_mono now;
    struct base_mono leaderless_since; /* BASE_MONO_NEVER: there is a leader */
    uint64_t leader_seen;              /* with term_seen: to notice a change */
    uint64_t term_seen;

    /* writes */
    uint64_t last_number;
    struct call_list parked;
    struct slot slots[KV_CALLS_MAX];
    struct buf command; /* encoding of the next proposal or frame; free between calls */
    struct asked *asked;
    size_t asked_count;

    /* reads */
    uint64_t last_round;
    struct call_list waiting;
    struct kv_barrier *waiting_barriers;
    struct round rounds[ROUNDS_MAX];
    struct call_list ready;
    struct read_job read_jobs[READ_JOBS_MAX];
    void (*loaded)(void *user, int status); /* of a load wanted or under way */
    bool is_load_wanted;

    /* The storage thread's own. */
    struct kv_scratch scratch;
    struct base_arena decode;

    struct service_members members;
    struct upkeep upkeep;
    struct kv_leases *leases;

    void *memory;
};

/* service_calls.c */
/* Takes calls that are over their deadline out of a list and ends them. */
void list_expire(struct kv_service *service, struct call_list *list);
void list_fail(struct kv_service *service, struct call_list *list, enum kv_error error);

/* The end of a call: the only place that calls done. */
void call_end(struct kv_service *service, struct kv_call *call, enum kv_error error,
              struct slice response);

/* service.c: ends a call with a response that is encoded here; its header gets ids and term. */
void call_answer(struct kv_service *service, struct kv_call *call, struct kv_response *response);

/* service.c */
struct raft_node_status status_of(const struct kv_service *service);
struct base_mono clock_of(const struct kv_service *service);
struct slot *slot_find(struct kv_service *service, uint64_t id);
struct slot *slot_take(struct kv_service *service);
struct kv_call *slot_release(struct slot *slot);
void slot_end(struct kv_service *service, struct slot *slot, enum kv_error error,
              struct slice response);
/* A call that found no leader, or one that is none any more: tried again at the next change of
 * leadership or tick. For another node's ask the answer is NOT_LEADER, and that node tries again.
 */
void call_park(struct kv_service *service, struct kv_call *call);
/* A write of the node's own; guard_term not 0: proposed here or not at all. KV_OK: `done` follows.
 */
enum kv_error own_submit(struct own_call *own, uint64_t guard_term, struct base_mono deadline);
/* A request that another node asks of the leader. */
enum kv_error leader_submit(struct kv_service *service, struct kv_call *call);
bool is_leader_kind(uint32_t kind);
bool service_is_learner(const struct kv_service *service);
bool is_leaderless_long(const struct kv_service *service);
/* Brings a call on its way. NO_LEADER, NOT_LEADER: nobody to bring it to at present; nothing has
 * been sent. */
MUST_CHECK enum kv_error dispatch(struct kv_service *service, struct kv_call *call);

/* service_forward.c */
MUST_CHECK enum kv_error write_forward(struct kv_service *service, uint64_t leader);
MUST_CHECK enum kv_error ask_forward(struct kv_service *service, const struct slot *slot,
                                     uint64_t leader);
bool is_asked(const struct kv_call *call);
void asked_close(struct kv_service *service);

/* service_upkeep.c */
void upkeep_open(struct kv_service *service);
void upkeep_derive(struct kv_service *service, bool is_restored);
void upkeep_tick(struct kv_service *service);
void upkeep_compacted(struct kv_service *service, int64_t revision);
/* Holds a call until rows are gone, or ends it. */
void upkeep_wait_physical(struct kv_service *service, struct kv_call *call);
void upkeep_hash(struct kv_service *service, struct kv_call *call);
void upkeep_raise_no_space(struct kv_service *service);
void upkeep_fail(struct kv_service *service, enum kv_error error);
void upkeep_close(struct kv_service *service);

/* The header of a response, NULL for one that has none. service_apply.c */
struct kv_header *response_header(struct kv_response *response);

/* service_apply.c: machine functions */
int service_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                  struct buf *result);
void service_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                     struct slice result);

/* service_read.c */
void reads_open(struct kv_service *service, uint8_t *memory);
void reads_accept(struct kv_service *service, struct kv_call *call, bool is_local);
void reads_pump(struct kv_service *service);
void reads_tick(struct kv_service *service);
void reads_fail(struct kv_service *service, enum kv_error error, int status);
/* Ends what the store has dropped, or was never asked for. */
void reads_close(struct kv_service *service);
void service_read_ready(void *ctx, uint64_t cookie, int status);

#endif
