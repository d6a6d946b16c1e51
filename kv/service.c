/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: opening, which way a request takes, writes on their way to the log, time.
 */
#include "kv/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/rand.h"
#include "kv/core/check.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

#define MEMORY_BYTES \
    (ARENA_BYTES + DECODE_BYTES + KV_ROW_MAX + COMMAND_MAX + \
     READ_JOBS_MAX * (size_t)KV_RESPONSE_MAX)

/* --- ends of calls --- */

#define ANSWER_MAX 512u /* of a header and some numbers */

void call_answer(struct kv_service *service, struct kv_call *call, struct kv_response *response)
{
    uint8_t bytes[ANSWER_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct kv_header *header = response_header(response);
    header->cluster_id = service->options.cluster_id;
    header->member_id = service->options.member_id;
    header->raft_term = status_of(service).term;
    int rc = kv_wire_encode_response(response, &out);
    BASE_ASSERT(rc == 0);
    call_end(service, call, KV_OK, buf_slice(&out));
}

/* --- slots of writes --- */

struct slot *slot_find(struct kv_service *service, uint64_t id)
{
    struct slot *slot = &service->slots[id % KV_CALLS_MAX];
    return slot->call != NULL && slot->id == id ? slot : NULL;
}

/* A free slot with a new id; NULL when all are taken. Ids are never used twice in a life. */
struct slot *slot_take(struct kv_service *service)
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

struct kv_call *slot_release(struct slot *slot)
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

struct raft_node_status status_of(const struct kv_service *service)
{
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    return status;
}

struct base_mono clock_of(const struct kv_service *service)
{
    const struct clock_port *clock = &service->options.clock;
    return clock->now != NULL ? clock->now(clock->ctx) : service->now;
}

static enum kv_error propose(struct kv_service *service, const struct slot *slot)
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

/* What a grant leaves open: an id that nobody else takes, and a TTL that is not below the time that
 * a change of leaders takes. */
static void complete_grant(struct kv_service *service, struct kv_command *command)
{
    struct kv_lease_grant *grant = &command->request.lease_grant;
    uint32_t election_ms = service->options.election_max_ms;
    int64_t least = ((election_ms == 0 ? 1000 : (int64_t)election_ms) * 3 / 2 + 999) / 1000;
    least = least < KV_LEASE_TTL_MIN ? KV_LEASE_TTL_MIN : least;
    grant->ttl = grant->ttl < least ? least : grant->ttl;
    if (grant->id == 0) {
        struct base_rand rand = base_rand_make(service->options.life, command->request_id);
        command->chosen_id = (base_rand_next(&rand) >> 1) | 1; /* below 2^63 and not 0 */
    }
}

/* Encodes the slot's request behind the two bytes of a frame. */
static enum kv_error encode(struct kv_service *service, const struct slot *slot)
{
    struct kv_command command = {.origin_node = service->options.member_id,
                                 .origin_life = service->options.life,
                                 .request_id = slot->id,
                                 .asker = slot->call->asker,
                                 .guard_term = slot->call->guard_term,
                                 .request = *slot->call->request};
    if (command.request.kind == KV_KIND_LEASE_GRANT) {
        complete_grant(service, &command);
    }
    if (CANARY(COMPARE_AT_PROPOSE) && command.request.kind == KV_KIND_TXN) {
        command.chosen_id = (uint64_t)service->revision;
    }
    buf_reset(&service->command);
    buf_put_u8(&service->command, NET_FRAME_KV);
    buf_put_u8(&service->command, FRAME_WRITE);
    if (kv_wire_encode_command(&command, &service->command) != 0) {
        return KV_E_REQUEST_TOO_LARGE;
    }
    uint32_t most = service->options.request_bytes_max;
    most = most == 0 || most > KV_REQUEST_MAX ? KV_REQUEST_MAX : most;
    return service->command.len - FRAME_HEAD > most ? KV_E_REQUEST_TOO_LARGE : KV_OK;
}

bool is_leader_kind(uint32_t kind)
{
    return kind == KV_KIND_LEASE_KEEP_ALIVE || kind == KV_KIND_LEASE_TTL ||
           (service_members_is_kind(kind) && kind != KV_KIND_MOVE_LEADER);
}

enum kv_error leader_submit(struct kv_service *service, struct kv_call *call)
{
    switch (call->request->kind) {
    case KV_KIND_LEASE_KEEP_ALIVE:
        kv_leases_keep_alive(service->leases, call);
        return KV_OK;
    case KV_KIND_LEASE_TTL:
        kv_leases_ttl(service->leases, call);
        return KV_OK;
    default:
        return service_members_submit(service, call);
    }
}

static enum kv_error slot_send(struct kv_service *service, const struct slot *slot, uint64_t leader)
{
    if (slot->is_ask) {
        return ask_forward(service, slot, leader);
    }
    enum kv_error error = encode(service, slot);
    if (error != KV_OK) {
        return error;
    }
    return slot->is_forwarded ? write_forward(service, leader) : propose(service, slot);
}

/* Brings a call on its way. NO_LEADER, NOT_LEADER: nobody to bring it to at present; nothing has
 * been sent. */
enum kv_error dispatch(struct kv_service *service, struct kv_call *call)
{
    struct raft_node_status status = status_of(service);
    bool is_leader = status.role == RAFT_LEADER;
    bool is_ask = is_leader_kind(call->request->kind);
    if (!is_leader && (status.leader_id == 0 || status.leader_id == service->options.member_id)) {
        return KV_E_NO_LEADER;
    }
    if (call->guard_term != 0 && (!is_leader || status.term != call->guard_term)) {
        return KV_E_NOT_LEADER;
    }
    if (is_leader && is_ask) {
        return leader_submit(service, call);
    }
    struct slot *slot = slot_take(service);
    if (slot == NULL) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    slot->call = call;
    slot->is_forwarded = !is_leader;
    slot->is_ask = is_ask;
    enum kv_error error = slot_send(service, slot, status.leader_id);
    if (error != KV_OK) {
        (void)slot_release(slot);
    }
    return error;
}

bool is_leaderless_long(const struct kv_service *service)
{
    return base_mono_diff_us(service->now, service->leaderless_since) > KV_NO_LEADER_AFTER_US &&
           service->leaderless_since.us != BASE_MONO_NEVER.us;
}

void call_park(struct kv_service *service, struct kv_call *call)
{
    if (is_asked(call)) {
        call_end(service, call, KV_E_NOT_LEADER, SLICE_EMPTY);
        return;
    }
    list_push(&service->parked, call);
}

/* Calls that found no leader are tried again, in order. */
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

enum kv_error kv_service_swap(struct kv_service *service, struct kv_call *call)
{
    BASE_ASSERT(service->magic == SERVICE_MAGIC && service->options.node != NULL);
    BASE_ASSERT(call->request->kind == KV_KIND_SWAP);
    struct raft_node_status status = status_of(service);
    enum kv_error error = kv_check_swap(&call->request->swap);
    call->guard_term = 0; /* the swap has a term of its own */
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

enum kv_error own_submit(struct own_call *own, uint64_t guard_term, struct base_mono deadline)
{
    struct kv_service *service = own->service;
    BASE_ASSERT(!own->is_busy);
    own->call.request = &own->request;
    own->call.deadline = deadline;
    own->call.asker = (struct kv_asker){.auth_revision = KV_ASKER_INTERNAL};
    own->call.guard_term = guard_term;
    if (service->is_halted || service->open_calls >= KV_CALLS_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    enum kv_error error = dispatch(service, &own->call);
    service->open_calls += error == KV_OK;
    own->is_busy = error == KV_OK;
    return error;
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

/* Whether doing it twice is as good as once. */
static bool is_repeatable(uint32_t kind)
{
    return kind == KV_KIND_LEASE_KEEP_ALIVE || kind == KV_KIND_LEASE_TTL;
}

/* Calls that were passed on to a leader that is no more: the outcome of a write is unknown. It is
 * never sent again, as the entry may stand in the log all the same. */
static void fail_forwarded(struct kv_service *service)
{
    for (size_t i = 0; i < KV_CALLS_MAX && service->open_calls > 0; i++) {
        struct slot *slot = &service->slots[i];
        if (slot->call == NULL || !slot->is_forwarded) {
            continue;
        }
        if (is_repeatable(slot->call->request->kind) || CANARY(RETRY_APPLIED_TWICE)) {
            list_push(&service->parked, slot_release(slot));
        } else {
            MARK(KV_FORWARDED_LOST);
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
    kv_leases_role_changed(service->leases);
    service_members_tick(service);
    parked_pump(service);
    reads_pump(service);
    if (service->options.role_changed != NULL) {
        service->options.role_changed(service->options.user);
    }
}

static void service_started(void *ctx, int status)
{
    struct kv_service *service = ctx;
    if (status == 0) {
        upkeep_derive(service, false);
    }
    if (service->options.started != NULL) {
        service->options.started(service->options.user, status);
    }
}

/* An image was installed: nothing that was derived from the store holds any more. */
static void service_restored(void *ctx, uint64_t index)
{
    struct kv_service *service = ctx;
    (void)index;
    kv_leases_restored(service->leases);
    upkeep_derive(service, true);
}

static void fail_all(struct kv_service *service, enum kv_error error, int status)
{
    list_fail(service, &service->parked, error);
    kv_leases_fail(service->leases, error);
    service_members_fail(service, error);
    upkeep_fail(service, error);
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
                                 .restored = service_restored,
                                 .changed = service_members_changed,
                                 .halted = service_halted};
}

/* --- time --- */

static void slots_expire(struct kv_service *service)
{
    for (size_t i = 0; i < KV_CALLS_MAX && service->open_calls > 0; i++) {
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
    service_members_tick(service);
    kv_leases_tick(service->leases);
    upkeep_tick(service);
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
    service->options = *options; /* leases look at it */
    service->memory = malloc(MEMORY_BYTES);
    if (service->memory == NULL || kv_leases_open(service, &service->leases) != 0) {
        free(service->memory);
        free(service);
        return BASE_E_NOMEM;
    }
    service->magic = SERVICE_MAGIC;
    service->leaderless_since = BASE_MONO_NEVER;
    service->last_number = KV_CALLS_MAX;
    service->revision = KV_FRESH_REVISION;
    service->is_size_stale = true;
    service->compact_revision = -1;
    carve(service);
    upkeep_open(service);
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
    upkeep_close(service);
    asked_close(service);
    BASE_ASSERT(service->open_calls == 0);
    service->magic = 0;
    kv_leases_close(service->leases);
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

int64_t kv_service_compact_revision(const struct kv_service *service)
{
    return service->compact_revision > 0 ? service->compact_revision : 0;
}

uint64_t kv_service_applied_index(const struct kv_service *service)
{
    return service->options.node == NULL ? 0 : status_of(service).applied_index;
}

void kv_service_header(const struct kv_service *service, struct kv_header *ret)
{
    *ret = (struct kv_header){.cluster_id = service->options.cluster_id,
                              .member_id = service->options.member_id,
                              .revision = service->revision,
                              .raft_term = status_of(service).term};
}

void kv_service_stats(const struct kv_service *service, struct kv_service_stats *ret)
{
    struct kv_leases_stats leases = kv_leases_stats(service->leases);
    *ret = (struct kv_service_stats){
        .revision = service->revision,
        .compact_revision = kv_service_compact_revision(service),
        .compact_finished = service->upkeep.compact.progress.finished,
        .bytes_used = service->bytes_used,
        .quota_bytes = service->options.quota_bytes,
        .open_calls = (uint32_t)service->open_calls,
        .leases = leases.count,
        .leases_expired = leases.expired,
        .leases_renewed = leases.renewed,
        .has_no_space = service->alarms.has_no_space,
        .is_corrupt = service->alarms.is_corrupt,
    };
}
