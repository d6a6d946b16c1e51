/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: reads.
 *
 * Reads that come while a barrier is under way wait for the next one, as a barrier proves only what
 * was committed before it began; all that wait share it. What is ready runs in a store job, up to
 * its buffer; a read that finds the buffer full goes first in the next job. Two buffers, so that
 * one job can run while the other's answers are handed out.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "kv/core/auth.h"
#include "kv/core/restore.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

static int job_run(struct store_job *job, struct store_txn *txn);
static void job_done(struct store_job *job, int status);

void reads_open(struct kv_service *service, uint8_t *memory)
{
    for (size_t i = 0; i < READ_JOBS_MAX; i++) {
        struct read_job *job = &service->read_jobs[i];
        job->service = service;
        job->out = buf_over(memory + i * (size_t)KV_RESPONSE_MAX, KV_RESPONSE_MAX);
        job->job = (struct store_job){.run = job_run, .done = job_done, .is_read_only = true};
    }
}

/* --- barriers --- */

static void barriers_end(struct kv_barrier *list, int status)
{
    while (list != NULL) {
        struct kv_barrier *barrier = list;
        list = list->next;
        barrier->done(barrier, status);
    }
}

static struct round *round_free(struct kv_service *service)
{
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        if (service->rounds[i].cookie == 0) {
            return &service->rounds[i];
        }
    }
    return NULL;
}

/* Starts a round for everything that waits. The answer of raft_node_read, or BASE_E_BUSY. */
static int round_start(struct kv_service *service)
{
    struct round *round = round_free(service);
    if (round == NULL) {
        return BASE_E_BUSY;
    }
    uint64_t cookie = ++service->last_round;
    int rc = raft_node_read(service->options.node, cookie);
    if (rc == 0) {
        *round = (struct round){cookie, service->waiting, service->waiting_barriers};
        service->waiting = (struct call_list){0};
        service->waiting_barriers = NULL;
    }
    return rc;
}

static void waiting_pump(struct kv_service *service)
{
    if (service->waiting.head == NULL && service->waiting_barriers == NULL) {
        return;
    }
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    struct kv_barrier *barriers = NULL;
    if (status.role !=
        RAFT_LEADER) { /* calls wait for a leader, proofs that this node leads do not */
        barriers = service->waiting_barriers;
        service->waiting_barriers = NULL;
    }
    (void)round_start(service); /* when it cannot be, the next tick or change of role asks again */
    barriers_end(barriers, BASE_E_NOTLEADER);
}

static struct round *round_find(struct kv_service *service, uint64_t cookie)
{
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        if (service->rounds[i].cookie == cookie) {
            return &service->rounds[i];
        }
    }
    return NULL;
}

void service_read_ready(void *ctx, uint64_t cookie, int status)
{
    struct kv_service *service = ctx;
    struct round *found = round_find(service, cookie);
    if (found == NULL) {
        return; /* given up by reads_fail */
    }
    struct round round = *found;
    *found = (struct round){0};
    struct call_list *to = status == 0 ? &service->ready : &service->waiting;
    for (struct kv_call *call = list_pop(&round.calls); call != NULL;
         call = list_pop(&round.calls)) {
        list_push(to, call);
    }
    barriers_end(round.barriers, status);
    if (status == 0) {
        reads_pump(service);
    } /* else the next tick or change of role asks again */
}

int kv_service_barrier(struct kv_service *service, struct kv_barrier *barrier)
{
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    if (service->is_halted || status.role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    barrier->next = service->waiting_barriers;
    service->waiting_barriers = barrier;
    if (round_free(service) != NULL) {
        int rc = round_start(service);
        if (rc != 0) {
            service->waiting_barriers = barrier->next;
            return rc;
        }
    }
    return 0;
}

/* --- memory --- */

#define TRIM_ABOVE ((size_t)128 << 10)
#define TRIM_PAGE 4096u /* or more: what is left over stays */

/* Gives pages back of memory that a large answer has used and that holds nothing any more. */
static void memory_trim(struct slice used)
{
    if (used.len <= TRIM_ABOVE) {
        return;
    }
    uintptr_t begin = (uintptr_t)used.data + TRIM_ABOVE;
    uintptr_t from = (begin + TRIM_PAGE - 1) / TRIM_PAGE * TRIM_PAGE;
    uintptr_t to = ((uintptr_t)used.data + used.len) / TRIM_PAGE * TRIM_PAGE;
    if (from < to) {
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* if not: it stays, no harm */
    }
}

/* --- store jobs --- */

static void fill_header(const struct read_job *job, struct kv_header *header)
{
    header->cluster_id = job->service->options.cluster_id;
    header->member_id = job->service->options.member_id;
    header->raft_term = job->status.term;
}

#define ERROR_TEXT_MAX 64u

static size_t error_text(const struct kv_alarm_member *alarm, char *text)
{
    const char *name = alarm->alarm == KV_ALARM_NOSPACE ? "NOSPACE" : "CORRUPT";
    int len = snprintf(text, ERROR_TEXT_MAX, "memberID:%llu alarm:%s ",
                       (unsigned long long)alarm->member_id, name);
    return len < 0 ? 0 : (size_t)len;
}

/* No leader, and the alarms, each in words. */
static int status_errors(const struct read_job *job, struct store_txn *txn,
                         struct kv_status_response *response)
{
    static const struct kv_request get = {.kind = KV_KIND_ALARM};
    struct kv_scratch *scratch = &job->service->scratch;
    struct kv_outcome alarms;
    base_arena_reset(&scratch->arena);
    int rc = kv_core_read(txn, scratch, &get, &alarms);
    if (rc != 0) {
        return rc;
    }
    size_t count = alarms.response.alarm.alarms.count;
    struct slice *texts = base_arena_take(&scratch->arena, count + 1, sizeof(*texts));
    char *bytes = base_arena_take(&scratch->arena, count + 1, ERROR_TEXT_MAX);
    if (texts == NULL || bytes == NULL) {
        return 0;
    }
    response->errors.items = texts;
    if (job->status.leader_id == 0) {
        texts[response->errors.count++] = slice_from_text("etcdserver: no leader");
    }
    for (size_t i = 0; i < count; i++) {
        char *text = bytes + i * ERROR_TEXT_MAX;
        size_t len = error_text(&alarms.response.alarm.alarms.items[i], text);
        texts[response->errors.count++] = slice_from((const uint8_t *)text, len);
    }
    return 0;
}

static int status_read(const struct read_job *job, struct store_txn *txn,
                       struct kv_outcome *outcome)
{
    struct kv_status_response *response = &outcome->response.status;
    uint64_t bytes = 0;
    uint64_t bytes_used = 0;
    int rc = store_size(txn, &bytes, &bytes_used);
    *response = (struct kv_status_response){.has_header = true,
                                            .header.revision = job->revision,
                                            .version = job->service->options.version,
                                            .db_size = (int64_t)bytes,
                                            .leader = job->status.leader_id,
                                            .raft_index = job->status.commit_index,
                                            .raft_term = job->status.term,
                                            .raft_applied_index = job->status.applied_index,
                                            .db_size_in_use = (int64_t)bytes_used};
    response->is_learner = job->is_learner;
    fill_header(job, &response->header);
    return rc != 0 ? rc : status_errors(job, txn, response);
}

/* The store says whether there is such a lease, the leader's memory what is left of it; one that
 * was granted since has all of it. */
static void fill_remaining(const struct kv_call *call, struct kv_outcome *outcome)
{
    if (call->remaining == KV_LEASE_NOT_KEPT) {
        outcome->error = KV_E_LEADER_CHANGED;
    } else if (outcome->response.lease_ttl.ttl >= 0 && call->remaining >= 0) {
        outcome->response.lease_ttl.ttl = call->remaining;
    }
}

static int call_read(struct read_job *job, struct store_txn *txn, const struct kv_call *call,
                     struct kv_outcome *outcome)
{
    struct kv_service *service = job->service;
    outcome->error = KV_OK;
    outcome->is_cut = false;
    outcome->response.kind = call->request->kind;
    int rc = kv_auth_admit(txn, &service->scratch, &call->asker, call->request, &outcome->error);
    if (rc != 0 || outcome->error != KV_OK) {
        return rc;
    }
    switch (call->request->kind) {
    case KV_KIND_STATUS:
        return status_read(job, txn, outcome);
    case KV_KIND_MEMBER_LIST:
        outcome->response.member_list.has_header = true;
        outcome->response.member_list.members = service_members_of(&job->members, &job->list);
        break;
    case KV_KIND_DEFRAGMENT: /* pages are reused as they get free, there is nothing to gain */
        break;               /* no header, as with etcd */
    case KV_KIND_HASH:
        outcome->response.hash.has_header = true;
        outcome->response.hash.header.revision = job->revision;
        rc = kv_core_hash(txn, &outcome->response.hash.hash);
        break;
    default:
        base_arena_reset(&service->scratch.arena);
        rc = kv_core_read(txn, &service->scratch, call->request, outcome);
        break;
    }
    if (rc == 0 && outcome->error == KV_OK) {
        fill_header(job, response_header(&outcome->response));
    }
    if (rc == 0 && outcome->error == KV_OK && call->request->kind == KV_KIND_LEASE_TTL) {
        fill_remaining(call, outcome);
    }
    return rc;
}

/* Rows that one job looks at, the last call's aside: writes of others wait for the job. */
#define JOB_ROWS_MAX 20000

/* Storage thread: answers one call into the buffer; is_postponed when the buffer is full of others.
 */
static int job_answer(struct read_job *job, struct store_txn *txn, struct kv_call *call)
{
    struct kv_outcome outcome = {0};
    int rc = call_read(job, txn, call, &outcome);
    call->error = outcome.error;
    call->response_at = job->out.len;
    if (rc == 0 && outcome.error == KV_OK &&
        (outcome.is_cut || kv_wire_encode_response(&outcome.response, &job->out) != 0)) {
        job->out.is_full = false;
        call->is_postponed = !outcome.is_cut && job->out.len > 0;
        call->error = KV_E_RESPONSE_TOO_LARGE;
    }
    call->response_len = job->out.len - call->response_at;
    if (call->request->kind == KV_KIND_RANGE && outcome.error == KV_OK) {
        job->rows += outcome.response.range.count; /* each is walked over to be counted */
    }
    return rc;
}

static int load_record(void *ctx, struct slice name, const struct kv_record *record)
{
    struct buf *out = ctx;
    buf_put_u32_be(out, (uint32_t)name.len);
    buf_put(out, name);
    buf_put_u64_be(out, record->epoch);
    buf_put_u64_be(out, record->revision);
    buf_put_u32_be(out, (uint32_t)record->blob.len);
    buf_put(out, record->blob);
    return out->is_full; /* stop; told when it is done */
}

static int put_restore_id(struct store_txn *txn, struct buf *out)
{
    uint64_t id = 0;
    int rc = kv_core_restore_id(txn, &id);
    buf_put_u64_be(out, id);
    return rc;
}

static int job_run(struct store_job *store_job, struct store_txn *txn)
{
    struct read_job *job = (struct read_job *)store_job; /* its first member */
    uint64_t bytes = 0;
    bool is_postponed = false;
    buf_reset(&job->out);
    job->rows = 0;
    int rc = kv_core_revision(txn, &job->revision);
    if (rc == 0) {
        rc = store_size(txn, &bytes, &job->bytes_used);
    }
    if (rc == 0 && job->is_load) {
        rc = put_restore_id(txn, &job->out);
    }
    if (rc == 0 && job->is_load) {
        rc = kv_core_records(txn, load_record, &job->out);
    }
    for (struct kv_call *call = job->calls.head; call != NULL && rc == 0; call = call->next) {
        call->is_postponed = is_postponed;
        if (!is_postponed) {
            rc = job_answer(job, txn, call);
            is_postponed = call->is_postponed || job->rows > JOB_ROWS_MAX;
        }
    }
    const struct base_arena *arena = &job->service->scratch.arena;
    memory_trim(slice_from(arena->memory, arena->used));
    return rc;
}

/* Hands the loaded records out, one by one. */
static int load_tell(const struct read_job *job)
{
    const struct kv_service_options *options = &job->service->options;
    struct slice rest = buf_slice(&job->out);
    uint64_t restore_id = 0;
    if (job->out.is_full || slice_take_u64_be(&rest, &restore_id) != 0) {
        return BASE_E_TOOBIG;
    }
    if (options->restore_known != NULL) {
        options->restore_known(options->user, restore_id);
    }
    while (rest.len > 0) {
        struct kv_swapped record = {.is_loaded = true, .is_won = true};
        uint32_t len = 0;
        int rc = slice_take_u32_be(&rest, &len);
        rc = rc != 0 ? rc : slice_take_bytes(&rest, len, &record.name);
        rc = rc != 0 ? rc : slice_take_u64_be(&rest, &record.epoch);
        rc = rc != 0 ? rc : slice_take_u64_be(&rest, &record.revision);
        rc = rc != 0 ? rc : slice_take_u32_be(&rest, &len);
        rc = rc != 0 ? rc : slice_take_bytes(&rest, len, &record.blob);
        BASE_ASSERT(rc == 0);
        if (options->swapped != NULL) {
            options->swapped(options->user, &record);
        }
    }
    return 0;
}

static void load_end(struct read_job *job, int status)
{
    struct kv_service *service = job->service;
    void (*loaded)(void *user, int status) = service->loaded;
    status = status == 0 ? load_tell(job) : status;
    service->loaded = NULL;
    loaded(service->options.user, status);
}

static void job_done(struct store_job *store_job, int status)
{
    struct read_job *job = (struct read_job *)store_job;
    struct kv_service *service = job->service;
    struct call_list calls = job->calls;
    struct call_list postponed = {0};
    job->calls = (struct call_list){0};
    if (status == 0) {
        service->bytes_used = job->bytes_used;
        if (job->revision > service->revision) {
            service->revision = job->revision; /* after a start, before the first entry */
        }
    }
    if (job->is_load) {
        load_end(job, status);
    }
    for (struct kv_call *call = list_pop(&calls); call != NULL; call = list_pop(&calls)) {
        if (status == 0 && call->is_postponed) {
            list_push(&postponed, call);
        } else {
            call_end(service, call, status == 0 ? call->error : KV_E_STOPPED,
                     slice_from(job->out.data + call->response_at, call->response_len));
        }
    }
    job->is_busy = false;
    memory_trim(slice_from(job->out.data, job->out.len));
    if (postponed.tail != NULL) { /* they are the oldest */
        postponed.tail->next = service->ready.head;
        service->ready.head = postponed.head;
        service->ready.tail = service->ready.tail == NULL ? postponed.tail : service->ready.tail;
    }
    reads_pump(service);
}

static struct read_job *job_free(struct kv_service *service)
{
    for (size_t i = 0; i < READ_JOBS_MAX; i++) {
        if (!service->read_jobs[i].is_busy) {
            return &service->read_jobs[i];
        }
    }
    return NULL;
}

/* What the calls need that is not in the store. */
static void job_prepare(struct read_job *job)
{
    const struct kv_service *service = job->service;
    for (struct kv_call *call = job->calls.head; call != NULL; call = call->next) {
        const struct kv_request *request = call->request;
        if (request->kind == KV_KIND_MEMBER_LIST) {
            job->members = *raft_node_configuration(service->options.node);
        } else if (request->kind == KV_KIND_STATUS) {
            job->is_learner = service_is_learner(service);
        } else if (request->kind == KV_KIND_LEASE_TTL) {
            call->remaining = kv_leases_remaining(service->leases, request->lease_ttl.id);
        }
    }
}

/* Ends what nobody waits for any more, so that the clients that are left do not wait for it. */
static void ready_drop_given_up(struct kv_service *service)
{
    struct call_list all = service->ready;
    struct call_list given_up = {0};
    service->ready = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        list_push(call->is_given_up ? &given_up : &service->ready, call);
    }
    list_fail(service, &given_up, KV_E_TIMEOUT);
}

/* Sends a job off with all calls that are ready, and with the load when one is wanted. */
static void job_start(struct kv_service *service, struct read_job *job)
{
    job->is_busy = true;
    job->is_load = service->is_load_wanted;
    service->is_load_wanted = false;
    if (!job->is_load) {
        job->calls = service->ready;
        service->ready = (struct call_list){0};
    }
    service->is_size_stale = false;
    raft_node_status(service->options.node, &job->status);
    job_prepare(job);
    service->options.store.submit(service->options.store.ctx, &job->job);
}

void reads_pump(struct kv_service *service)
{
    if (service->is_halted) {
        return;
    }
    waiting_pump(service);
    struct read_job *job = job_free(service);
    if (job != NULL && service->ready.head != NULL) {
        ready_drop_given_up(service);
        job = job_free(service); /* `done` may have used it */
    }
    while (job != NULL && (service->is_load_wanted || service->ready.head != NULL)) {
        job_start(service, job);
        job = job_free(service);
    }
}

/* --- entry points --- */

void reads_accept(struct kv_service *service, struct kv_call *call, bool is_local)
{
    list_push(is_local ? &service->ready : &service->waiting, call);
    reads_pump(service);
}

int kv_service_load_records(struct kv_service *service, void (*loaded)(void *user, int status))
{
    if (service->loaded != NULL || service->is_halted) {
        return BASE_E_BUSY;
    }
    service->loaded = loaded;
    service->is_load_wanted = true;
    reads_pump(service);
    return 0;
}

void reads_tick(struct kv_service *service)
{
    list_expire(service, &service->waiting);
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        list_expire(service, &service->rounds[i].calls);
    }
    list_expire(service, &service->ready);
    reads_pump(service);
    struct read_job *job = job_free(service);
    if (service->is_size_stale && job != NULL && !service->is_halted) {
        job_start(service, job); /* an empty one, for the size that the quota is about */
    }
}

void reads_fail(struct kv_service *service, enum kv_error error, int status)
{
    struct kv_barrier *barriers = service->waiting_barriers;
    service->waiting_barriers = NULL;
    barriers_end(barriers, status);
    list_fail(service, &service->waiting, error);
    list_fail(service, &service->ready, error);
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        struct round round = service->rounds[i];
        service->rounds[i] = (struct round){0};
        list_fail(service, &round.calls, error);
        barriers_end(round.barriers, status);
    }
    if (service->is_load_wanted) {
        service->is_load_wanted = false;
        void (*loaded)(void *user, int load_status) = service->loaded;
        service->loaded = NULL;
        loaded(service->options.user, status);
    }
}

void reads_close(struct kv_service *service)
{
    for (size_t i = 0; i < READ_JOBS_MAX; i++) {
        struct read_job *job = &service->read_jobs[i];
        list_fail(service, &job->calls, KV_E_STOPPED);
        if (job->is_load && job->is_busy) {
            load_end(job, BASE_E_CLOSED);
        }
    }
}
