/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: opening, writes on their way to the log, passing on to the leader, time.
 */
#include "kv/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/core/check.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

/* Second byte of a frame NET_FRAME_KV. */
enum frame_kind {
    FRAME_WRITE = 1,   /* a command, to be proposed by the leader */
    FRAME_REFUSED = 2, /* life, request id, reason: it was not proposed */
};
enum refusal { REFUSED_NOT_LEADER = 1, REFUSED_BUSY = 2, REFUSED_INVALID = 3 };

#define FRAME_HEAD 2u
#define MEMORY_BYTES \
    (ARENA_BYTES + DECODE_BYTES + KV_ROW_MAX + COMMAND_MAX + \
     READ_JOBS_MAX * (size_t)KV_RESPONSE_MAX)

/* --- lists and ends of calls --- */

void list_push(struct call_list *list, struct kv_call *call)
{
    call->next = NULL;
    if (list->tail == NULL) {
        list->head = call;
    } else {
        list->tail->next = call;
    }
    list->tail = call;
}

struct kv_call *list_pop(struct call_list *list)
{
    struct kv_call *call = list->head;
    if (call != NULL) {
        list->head = call->next;
        list->tail = list->head == NULL ? NULL : list->tail;
        call->next = NULL;
    }
    return call;
}

void call_end(struct kv_service *service, struct kv_call *call, enum kv_error error,
              struct slice response)
{
    BASE_ASSERT(service->open_calls > 0);
    service->open_calls--;
    call->done(call, error, error == KV_OK ? response : SLICE_EMPTY);
}

void list_fail(struct kv_service *service, struct call_list *list, enum kv_error error)
{
    struct call_list all = *list; /* what `done` submits stays out of it */
    *list = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        call_end(service, call, error, SLICE_EMPTY);
    }
}

void list_expire(struct kv_service *service, struct call_list *list)
{
    struct call_list kept = {0};
    struct call_list late = {0};
    for (struct kv_call *call = list_pop(list); call != NULL; call = list_pop(list)) {
        list_push(base_mono_before(call->deadline, service->now) ? &late : &kept, call);
    }
    *list = kept;
    list_fail(service, &late, KV_E_TIMEOUT);
}

/* --- slots of writes --- */

struct slot *slot_find(struct kv_service *service, uint64_t id)
{
    struct slot *slot = &service->slots[id % KV_CALLS_MAX];
    return slot->call != NULL && slot->id == id ? slot : NULL;
}

/* A free slot with a new id; NULL when all are taken. Ids are never used twice in a life. */
static struct slot *slot_take(struct kv_service *service)
{
    for (size_t i = 0; i < KV_CALLS_MAX; i++) {
        uint64_t id = ++service->last_number;
        struct slot *slot = &service->slots[id % KV_CALLS_MAX];
        if (slot->call == NULL) {
            slot->id = id;
            return slot;
        }
    }
    return NULL;
}

static struct kv_call *slot_release(struct slot *slot)
{
    struct kv_call *call = slot->call;
    slot->call = NULL;
    return call;
}

void slot_end(struct kv_service *service, struct slot *slot, enum kv_error error,
              struct slice response)
{
    call_end(service, slot_release(slot), error, response);
}

/* --- writes --- */

static struct raft_node_status status_of(const struct kv_service *service)
{
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    return status;
}

static enum kv_error propose(struct kv_service *service, struct slot *slot)
{
    struct slice data = slice_skip(buf_slice(&service->command), FRAME_HEAD);
    switch (raft_node_propose(service->options.node, data, slot->id, NULL, NULL)) {
    case 0:
        return KV_OK;
    case BASE_E_BUSY:
        return KV_E_TOO_MANY_REQUESTS;
    case BASE_E_TOOBIG:
        return KV_E_REQUEST_TOO_LARGE;
    case BASE_E_NOTLEADER:
        return KV_E_NOT_LEADER;
    default:
        return KV_E_STOPPED;
    }
}

/* Encodes the slot's request behind the two bytes of a frame. */
static enum kv_error encode(struct kv_service *service, const struct slot *slot)
{
    const struct kv_command command = {.origin_node = service->options.member_id,
                                       .origin_life = service->options.life,
                                       .request_id = slot->id,
                                       .request = *slot->call->request};
    buf_reset(&service->command);
    buf_put_u8(&service->command, NET_FRAME_KV);
    buf_put_u8(&service->command, FRAME_WRITE);
    if (kv_wire_encode_command(&command, &service->command) != 0) {
        return KV_E_REQUEST_TOO_LARGE;
    }
    return service->command.len - FRAME_HEAD > KV_REQUEST_MAX ? KV_E_REQUEST_TOO_LARGE : KV_OK;
}

/* Brings a write on its way. NO_LEADER: nobody to bring it to at present; nothing has been sent. */
static enum kv_error dispatch(struct kv_service *service, struct kv_call *call)
{
    struct raft_node_status status = status_of(service);
    bool is_leader = status.role == RAFT_LEADER;
    if (!is_leader && (status.leader_id == 0 || status.leader_id == service->options.member_id)) {
        return KV_E_NO_LEADER;
    }
    struct slot *slot = slot_take(service);
    if (slot == NULL) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    slot->call = call;
    slot->is_forwarded = !is_leader;
    enum kv_error error = encode(service, slot);
    if (error == KV_OK && is_leader) {
        error = propose(service, slot);
    } else if (error == KV_OK) {
        const struct net_port *net = &service->options.net;
        if (!net->send(net->ctx, status.leader_id, buf_slice(&service->command))) {
            error = KV_E_NO_LEADER;
        }
    }
    if (error != KV_OK) {
        (void)slot_release(slot);
    }
    return error;
}

static bool is_leaderless_long(const struct kv_service *service)
{
    return base_mono_diff_us(service->now, service->leaderless_since) > KV_NO_LEADER_AFTER_US &&
           service->leaderless_since.us != BASE_MONO_NEVER.us;
}

/* Writes that found no leader are tried again, in order, until one finds none. */
static void parked_pump(struct kv_service *service)
{
    struct call_list parked = service->parked;
    service->parked = (struct call_list){0};
    for (struct kv_call *call = list_pop(&parked); call != NULL; call = list_pop(&parked)) {
        enum kv_error error = dispatch(service, call);
        if (error == KV_E_NO_LEADER || error == KV_E_NOT_LEADER) {
            list_push(&service->parked, call);
        } else if (error != KV_OK) {
            call_end(service, call, error, SLICE_EMPTY);
        }
    }
}

static enum kv_error write_accept(struct kv_service *service, struct kv_call *call)
{
    struct raft_node_status status = status_of(service);
    if (service->bytes_used > service->options.quota_bytes && service->options.quota_bytes > 0 &&
        kv_request_has_put(call->request)) {
        return KV_E_NO_SPACE;
    }
    if (status.commit_index > status.applied_index + APPLY_BEHIND_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    enum kv_error error = service->parked.head != NULL ? KV_E_NO_LEADER : dispatch(service, call);
    if (error == KV_E_NO_LEADER || error == KV_E_NOT_LEADER) {
        list_push(&service->parked, call);
        error = KV_OK;
    }
    return error;
}

static bool is_write(const struct kv_request *request)
{
    return request->kind != KV_KIND_STATUS && request->kind != KV_KIND_MEMBER_LIST &&
           !kv_request_is_read(request);
}

/* Whether a read is answered from what this node has applied, without asking the leader. */
static bool is_local_read(const struct kv_request *request)
{
    if (request->kind == KV_KIND_MEMBER_LIST) {
        return !request->member_list.is_linearizable;
    }
    return request->kind == KV_KIND_STATUS || kv_request_is_serializable(request);
}

enum kv_error kv_service_submit(struct kv_service *service, struct kv_call *call)
{
    BASE_ASSERT(service->magic == SERVICE_MAGIC && service->options.node != NULL);
    const struct kv_request *request = call->request;
    enum kv_error error =
        request->kind == KV_KIND_SWAP ? KV_E_PERMISSION_DENIED : kv_check_request(request);
    if (error != KV_OK) {
        return error;
    }
    if (service->is_halted) {
        return KV_E_STOPPED;
    }
    if (service->open_calls >= KV_CALLS_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    bool is_read = !is_write(request);
    bool is_local = is_read && is_local_read(request);
    if (!is_local && is_leaderless_long(service)) {
        return KV_E_NO_LEADER;
    }
    if (!is_read) {
        error = write_accept(service, call);
    }
    service->open_calls += error == KV_OK;
    if (is_read) {
        reads_accept(service, call, is_local);
    }
    return error;
}

enum kv_error kv_service_swap(struct kv_service *service, struct kv_call *call)
{
    BASE_ASSERT(service->magic == SERVICE_MAGIC && service->options.node != NULL);
    BASE_ASSERT(call->request->kind == KV_KIND_SWAP);
    struct raft_node_status status = status_of(service);
    enum kv_error error = kv_check_swap(&call->request->swap);
    if (error == KV_OK && service->is_halted) {
        error = KV_E_STOPPED;
    }
    if (error == KV_OK && (status.role != RAFT_LEADER || status.term != call->request->swap.term)) {
        error = KV_E_NOT_LEADER;
    }
    if (error == KV_OK) {
        error = dispatch(service, call);
    }
    service->open_calls += error == KV_OK;
    return error == KV_E_NO_LEADER ? KV_E_NOT_LEADER : error;
}

/* --- writes passed on --- */

static void refuse(struct kv_service *service, uint64_t to, const struct kv_command *command,
                   enum refusal reason)
{
    uint8_t bytes[FRAME_HEAD + 17];
    struct buf out = buf_over(bytes, sizeof(bytes));
    buf_put_u8(&out, NET_FRAME_KV);
    buf_put_u8(&out, FRAME_REFUSED);
    buf_put_u64_be(&out, command->origin_life);
    buf_put_u64_be(&out, command->request_id);
    buf_put_u8(&out, (uint8_t)reason);
    /* when it is lost the asking node's own deadline ends the call */
    (void)service->options.net.send(service->options.net.ctx, to, buf_slice(&out));
}

static void receive_write(struct kv_service *service, uint64_t from, struct slice body)
{
    uint8_t memory[4096];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_command command;
    int rc = kv_wire_decode_command(body, &arena, &command);
    if (rc == BASE_E_TOOBIG) { /* a large transaction; the command buffer is free between calls */
        arena = base_arena_over(service->command.data, service->command.cap);
        rc = kv_wire_decode_command(body, &arena, &command);
    }
    if (rc != 0 || command.origin_node != from) {
        return;
    }
    if (kv_check_request(&command.request) != KV_OK || body.len > KV_REQUEST_MAX) {
        refuse(service, from, &command, REFUSED_INVALID);
        return;
    }
    rc = raft_node_propose(service->options.node, body, FORWARDED_COOKIE, NULL, NULL);
    if (rc != 0) {
        refuse(service, from, &command, rc == BASE_E_BUSY ? REFUSED_BUSY : REFUSED_NOT_LEADER);
    }
}

static void receive_refusal(struct kv_service *service, struct slice body)
{
    uint64_t life = 0;
    uint64_t id = 0;
    uint8_t reason = 0;
    if (slice_take_u64_be(&body, &life) != 0 || slice_take_u64_be(&body, &id) != 0 ||
        slice_take_u8(&body, &reason) != 0 || life != service->options.life) {
        return;
    }
    struct slot *slot = slot_find(service, id);
    if (slot == NULL || !slot->is_forwarded) {
        return;
    }
    if (reason == REFUSED_NOT_LEADER) { /* it was never proposed, so it may be tried again */
        list_push(&service->parked, slot_release(slot));
        return;
    }
    slot_end(service, slot, reason == REFUSED_BUSY ? KV_E_TOO_MANY_REQUESTS : KV_E_MALFORMED,
             SLICE_EMPTY);
}

void kv_service_receive(struct kv_service *service, uint64_t from, struct slice payload)
{
    uint8_t type = 0;
    uint8_t kind = 0;
    if (service->is_halted || slice_take_u8(&payload, &type) != 0 || type != NET_FRAME_KV ||
        slice_take_u8(&payload, &kind) != 0) {
        return;
    }
    if (kind == FRAME_WRITE) {
        receive_write(service, from, payload);
    } else if (kind == FRAME_REFUSED) {
        receive_refusal(service, payload);
    }
}

/* --- what the Raft node tells --- */

static void service_dropped(void *ctx, uint64_t cookie, int status)
{
    struct kv_service *service = ctx;
    struct slot *slot = cookie == FORWARDED_COOKIE ? NULL : slot_find(service, cookie);
    if (slot != NULL) {
        slot_end(service, slot, status == BASE_E_CANCELED ? KV_E_LEADER_CHANGED : KV_E_STOPPED,
                 SLICE_EMPTY);
    }
}

/* Writes that were passed on to a leader that is no more: their outcome is unknown. */
static void fail_forwarded(struct kv_service *service)
{
    for (size_t i = 0; i < KV_CALLS_MAX; i++) {
        struct slot *slot = &service->slots[i];
        if (slot->call != NULL && slot->is_forwarded) {
            slot_end(service, slot, KV_E_TIMEOUT_LEADER, SLICE_EMPTY);
        }
    }
}

static void service_role_changed(void *ctx)
{
    struct kv_service *service = ctx;
    struct raft_node_status status = status_of(service);
    bool is_other = status.term != service->term_seen || status.leader_id != service->leader_seen;
    bool had_leader = service->leader_seen != 0;
    service->term_seen = status.term;
    service->leader_seen = status.leader_id;
    if (is_other && had_leader) {
        fail_forwarded(service);
    }
    parked_pump(service);
    reads_pump(service);
    if (service->options.role_changed != NULL) {
        service->options.role_changed(service->options.user);
    }
}

static void service_started(void *ctx, int status)
{
    struct kv_service *service = ctx;
    if (service->options.started != NULL) {
        service->options.started(service->options.user, status);
    }
}

static void fail_all(struct kv_service *service, enum kv_error error, int status)
{
    list_fail(service, &service->parked, error);
    for (size_t i = 0; i < KV_CALLS_MAX; i++) {
        if (service->slots[i].call != NULL) {
            slot_end(service, &service->slots[i], error, SLICE_EMPTY);
        }
    }
    reads_fail(service, error, status);
}

static void service_halted(void *ctx, int status)
{
    struct kv_service *service = ctx;
    service->is_halted = true;
    fail_all(service, KV_E_STOPPED, status);
    if (service->options.halted != NULL) {
        service->options.halted(service->options.user, status);
    }
}

void kv_service_machine(struct kv_service *service, struct raft_machine *ret)
{
    *ret = (struct raft_machine){.ctx = service,
                                 .apply = service_apply,
                                 .applied = service_applied,
                                 .dropped = service_dropped,
                                 .read_ready = service_read_ready,
                                 .role_changed = service_role_changed,
                                 .started = service_started,
                                 .halted = service_halted};
}

/* --- time --- */

static void slots_expire(struct kv_service *service)
{
    for (size_t i = 0; i < KV_CALLS_MAX; i++) {
        struct slot *slot = &service->slots[i];
        if (slot->call != NULL && base_mono_before(slot->call->deadline, service->now)) {
            slot_end(service, slot, KV_E_TIMEOUT, SLICE_EMPTY);
        }
    }
}

static void watch_leader(struct kv_service *service)
{
    struct raft_node_status status = status_of(service);
    if (status.leader_id != 0 || status.role == RAFT_LEADER) {
        service->leaderless_since = BASE_MONO_NEVER;
    } else if (service->leaderless_since.us == BASE_MONO_NEVER.us) {
        service->leaderless_since = service->now;
    }
}

void kv_service_tick(struct kv_service *service, struct base_mono now)
{
    BASE_ASSERT(service->magic == SERVICE_MAGIC && service->options.node != NULL);
    service->now = now;
    watch_leader(service);
    slots_expire(service);
    list_expire(service, &service->parked);
    if (is_leaderless_long(service)) {
        /* nothing of these was ever sent: clients may ask another node at once */
        list_fail(service, &service->parked, KV_E_NO_LEADER);
    }
    parked_pump(service);
    reads_tick(service);
    if (is_leaderless_long(service)) {
        list_fail(service, &service->waiting, KV_E_NO_LEADER);
    }
}

/* --- opening, closing, figures --- */

static void carve(struct kv_service *service)
{
    uint8_t *at = service->memory;
    service->scratch.arena = base_arena_over(at, ARENA_BYTES);
    at += ARENA_BYTES;
    service->decode = base_arena_over(at, DECODE_BYTES);
    at += DECODE_BYTES;
    reads_open(service, at);
    at += READ_JOBS_MAX * (size_t)KV_RESPONSE_MAX;
    service->command = buf_over(at, COMMAND_MAX);
    at += COMMAND_MAX;
    service->scratch.row = buf_over(at, KV_ROW_MAX);
}

_Static_assert(COMMAND_MAX % BASE_ARENA_ALIGN == 0, "what lies behind stays aligned");

int kv_service_open(const struct kv_service_options *options, struct kv_service **ret)
{
    struct kv_service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        return BASE_E_NOMEM;
    }
    service->memory = malloc(MEMORY_BYTES);
    if (service->memory == NULL) {
        free(service);
        return BASE_E_NOMEM;
    }
    service->magic = SERVICE_MAGIC;
    service->options = *options;
    service->leaderless_since = BASE_MONO_NEVER;
    service->last_number = KV_CALLS_MAX;
    service->revision = KV_FRESH_REVISION;
    service->is_size_stale = true;
    carve(service);
    *ret = service;
    return 0;
}

void kv_service_close(struct kv_service *service)
{
    if (service == NULL) {
        return;
    }
    service->is_halted = true;
    fail_all(service, KV_E_STOPPED, BASE_E_CLOSED);
    reads_close(service);
    BASE_ASSERT(service->open_calls == 0);
    service->magic = 0;
    free(service->memory);
    free(service);
}

void kv_service_set_node(struct kv_service *service, struct raft_node *node)
{
    service->options.node = node;
}

size_t kv_service_open_calls(const struct kv_service *service)
{
    return service->open_calls;
}

int64_t kv_service_revision(const struct kv_service *service)
{
    return service->revision;
}

uint64_t kv_service_bytes_used(const struct kv_service *service)
{
    return service->bytes_used;
}
