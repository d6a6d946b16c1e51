/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the key-value service, shared by service.c (calls, writes, time), service_apply.c
 * (entries) and service_read.c (reads). Nobody else includes it.
 *
 * A call is in exactly one place at a time: parked (a write that waits for a leader), a slot (a
 * write under way), waiting (a read without a round), a round (a read barrier under way), ready (a
 * read that may run), or a read job.
 */
#ifndef QUORATE_KV_SERVICE_INTERNAL_H
#define QUORATE_KV_SERVICE_INTERNAL_H

#include "base/arena.h"
#include "kv/core/apply.h"
#include "kv/service.h"
#include "kv/service_members.h"
#include "raft/node.h"

#define SERVICE_MAGIC UINT32_C(0x6b767376)
#define ROUNDS_MAX 4u    /* read barriers under way at once */
#define READ_JOBS_MAX 2u /* one runs while the other's answers are handed out */
#define APPLY_BEHIND_MAX \
    UINT64_C(5000) /* committed and not applied entries above which writes are refused */
#define ARENA_BYTES ((size_t)16 << 20)
#define DECODE_BYTES ((size_t)1 << 20)
#define COMMAND_MAX (KV_REQUEST_MAX + 65536u)
#define FORWARDED_COOKIE \
    UINT64_C(1) /* of another node's write; ids of our own are above KV_CALLS_MAX */

struct call_list {
    struct kv_call *head;
    struct kv_call *tail;
};

/* A write that was proposed here or passed on. */
struct slot {
    struct kv_call *call; /* NULL: free */
    uint64_t id;
    bool is_forwarded;
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
    struct raft_node_status status; /* as the job was submitted */
    struct buf out;
    /* filled in by the storage thread */
    int64_t revision;
    uint64_t bytes_used;
};

struct kv_service {
    uint32_t magic;
    struct kv_service_options options;
    bool is_halted;
    size_t open_calls;
    int64_t revision;
    uint64_t bytes_used;
    bool is_size_stale;
    struct base_mono now;
    struct base_mono leaderless_since; /* BASE_MONO_NEVER: there is a leader */
    uint64_t leader_seen;              /* with term_seen: to notice a change */
    uint64_t term_seen;

    /* writes */
    uint64_t last_number;
    struct call_list parked;
    struct slot slots[KV_CALLS_MAX];
    struct buf command; /* encoding of the next proposal */

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

    void *memory;
};

void list_push(struct call_list *list, struct kv_call *call);
struct kv_call *list_pop(struct call_list *list);
/* Takes calls that are over their deadline out of a list and ends them. */
void list_expire(struct kv_service *service, struct call_list *list);
void list_fail(struct kv_service *service, struct call_list *list, enum kv_error error);

/* The end of a call: the only place that calls done. */
void call_end(struct kv_service *service, struct kv_call *call, enum kv_error error,
              struct slice response);

/* service.c */
struct slot *slot_find(struct kv_service *service, uint64_t id);
void slot_end(struct kv_service *service, struct slot *slot, enum kv_error error,
              struct slice response);

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
