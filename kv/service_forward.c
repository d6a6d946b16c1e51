/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: frames between nodes. Writes are passed on as commands, to be answered by
 * the entry; what only the leader can tell is asked as a whole and answered as a whole. A frame
 * that is lost is not sent again: the call ends with its deadline.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/core/check.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

enum refusal { REFUSED_NOT_LEADER = 1, REFUSED_BUSY = 2, REFUSED_INVALID = 3 };

static bool frame_send(const struct kv_service *service, uint64_t to, struct slice frame)
{
    const struct net_port *net = &service->options.net;
    return net->send(net->ctx, to, frame);
}

/* --- writes passed on --- */

enum kv_error write_forward(struct kv_service *service, uint64_t leader)
{
    return frame_send(service, leader, buf_slice(&service->command)) ? KV_OK : KV_E_NO_LEADER;
}

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
    (void)frame_send(service, to, buf_slice(&out));
}

/* What a node may have another propose: nothing that only a leader decides. */
static bool may_be_passed_on(const struct kv_command *command)
{
    return command->guard_term == 0 && command->request.kind != KV_KIND_LEASE_CHECKPOINT &&
           kv_check_request(&command->request) == KV_OK;
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
    if (!may_be_passed_on(&command) || body.len > KV_REQUEST_MAX) {
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
        call_park(service, slot_release(slot));
        return;
    }
    slot_end(service, slot, reason == REFUSED_BUSY ? KV_E_TOO_MANY_REQUESTS : KV_E_MALFORMED,
             SLICE_EMPTY);
}

/* --- asking the leader --- */

enum kv_error ask_forward(struct kv_service *service, const struct slot *slot, uint64_t leader)
{
    struct buf *out = &service->command;
    const struct kv_request *request = slot->call->request;
    int64_t left = base_mono_diff_us(slot->call->deadline, clock_of(service));
    buf_reset(out);
    buf_put_u8(out, NET_FRAME_KV);
    buf_put_u8(out, FRAME_ASK);
    buf_put_u64_be(out, service->options.life);
    buf_put_u64_be(out, slot->id);
    buf_put_u64_be(out, (uint64_t)(left > 0 ? left : 0));
    buf_put_u32_be(out, request->kind);
    buf_put_u64_be(out, slot->call->asker.auth_revision);
    buf_put_u32_be(out, (uint32_t)slot->call->asker.user.len);
    buf_put(out, slot->call->asker.user);
    if (kv_wire_encode_request(request, out) != 0 || out->len > KV_ASK_MAX) {
        return KV_E_REQUEST_TOO_LARGE;
    }
    return frame_send(service, leader, buf_slice(out)) ? KV_OK : KV_E_NO_LEADER;
}

/* One request of another node, alive until it is answered. */
struct asked {
    struct kv_call call; /* first: the service hands it back */
    struct kv_request request;
    struct kv_service *service;
    struct asked *previous;
    struct asked *next;
    uint64_t from;
    uint64_t life;
    uint64_t id;
    uint8_t user[KV_AUTH_NAME_MAX]; /* of the asker */
    struct base_arena arena;
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[]; /* the arena's, and the request's bytes */
};
#define ASKED_ARENA 1024u /* holds the lists of any request that is asked; they are short */

static void asked_free(struct asked *asked)
{
    struct kv_service *service = asked->service;
    if (asked->previous != NULL) {
        asked->previous->next = asked->next;
    } else {
        service->asked = asked->next;
    }
    if (asked->next != NULL) {
        asked->next->previous = asked->previous;
    }
    service->asked_count--;
    free(asked);
}

static void answer_send(struct kv_service *service, uint64_t to, uint64_t life, uint64_t id,
                        enum kv_error error, struct slice response)
{
    struct buf *out = &service->command;
    struct slice text = slice_from_text(kv_error_text(error)); /* numbers differ by version */
    buf_reset(out);
    buf_put_u8(out, NET_FRAME_KV);
    buf_put_u8(out, FRAME_ANSWER);
    buf_put_u64_be(out, life);
    buf_put_u64_be(out, id);
    buf_put_u32_be(out, (uint32_t)text.len);
    buf_put(out, text);
    buf_put(out, response);
    if (out->is_full) {
        answer_send(service, to, life, id, KV_E_RESPONSE_TOO_LARGE, SLICE_EMPTY);
        return;
    }
    (void)frame_send(service, to, buf_slice(out)); /* when it is lost the deadline ends the call */
}

static void asked_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct asked *asked = (struct asked *)(void *)call; /* its first member */
    answer_send(asked->service, asked->from, asked->life, asked->id, error, response);
    asked_free(asked);
}

bool is_asked(const struct kv_call *call)
{
    return call->done == asked_done;
}

static struct asked *asked_make(struct kv_service *service, struct slice body)
{
    struct asked *asked =
        service->asked_count < KV_ASKS_MAX ? malloc(sizeof(*asked) + ASKED_ARENA + body.len) : NULL;
    if (asked == NULL) {
        return NULL;
    }
    *asked = (struct asked){.service = service, .next = service->asked};
    asked->arena = base_arena_over(asked->memory, ASKED_ARENA);
    if (asked->next != NULL) {
        asked->next->previous = asked;
    }
    service->asked = asked;
    service->asked_count++;
    if (body.len > 0) {
        memcpy(asked->memory + ASKED_ARENA, body.data, body.len);
    }
    return asked;
}

static enum kv_error asked_submit(struct kv_service *service, struct asked *asked, uint32_t kind,
                                  size_t len)
{
    struct slice bytes = slice_from(asked->memory + ASKED_ARENA, len);
    if (!is_leader_kind(kind) ||
        kv_wire_decode_request((enum kv_kind)kind, bytes, &asked->arena, &asked->request) != 0) {
        return KV_E_MALFORMED;
    }
    if (service->open_calls >= KV_CALLS_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    enum kv_error error = kv_check_request(&asked->request);
    if (error == KV_OK && status_of(service).role != RAFT_LEADER) {
        error = KV_E_NOT_LEADER;
    }
    service->open_calls += error == KV_OK;
    if (error == KV_OK) {
        error = leader_submit(service, &asked->call);
        service->open_calls -= error != KV_OK;
    }
    return error;
}

/* Who asks the other node: what hangs on leases is looked at here, where the answer is made. */
static int take_asker(struct slice *body, struct kv_asker *ret)
{
    uint32_t len = 0;
    if (slice_take_u64_be(body, &ret->auth_revision) != 0 || slice_take_u32_be(body, &len) != 0 ||
        len > KV_AUTH_NAME_MAX) {
        return BASE_E_PROTO;
    }
    return slice_take_bytes(body, len, &ret->user);
}

static void receive_ask(struct kv_service *service, uint64_t from, struct slice body)
{
    uint64_t life = 0;
    uint64_t id = 0;
    uint64_t left = 0;
    uint32_t kind = 0;
    struct kv_asker asker;
    if (slice_take_u64_be(&body, &life) != 0 || slice_take_u64_be(&body, &id) != 0 ||
        slice_take_u64_be(&body, &left) != 0 || slice_take_u32_be(&body, &kind) != 0 ||
        take_asker(&body, &asker) != 0 || body.len > KV_ASK_MAX) {
        return;
    }
    struct asked *asked = asked_make(service, body);
    if (asked == NULL) {
        answer_send(service, from, life, id, KV_E_TOO_MANY_REQUESTS, SLICE_EMPTY);
        return;
    }
    int64_t most = KV_TIMEOUT_DEFAULT_US;
    int64_t left_us = left < (uint64_t)most ? (int64_t)left : most;
    asked->from = from;
    asked->life = life;
    asked->id = id;
    if (asker.user.len > 0) {
        memcpy(asked->user, asker.user.data, asker.user.len);
    }
    asker.user = slice_from(asked->user, asker.user.len);
    asked->call = (struct kv_call){.request = &asked->request,
                                   .deadline = base_mono_add_us(clock_of(service), left_us),
                                   .asker = asker,
                                   .done = asked_done};
    enum kv_error error = asked_submit(service, asked, kind, body.len);
    if (error != KV_OK) {
        asked_done(&asked->call, error, SLICE_EMPTY);
    }
}

static enum kv_error error_of(struct slice text)
{
    for (unsigned i = 0; i < KV_E_COUNT; i++) {
        if (slice_equal(text, slice_from_text(kv_error_text((enum kv_error)i)))) {
            return (enum kv_error)i;
        }
    }
    return KV_E_STOPPED; /* of a later version; the client asks another node */
}

static void receive_answer(struct kv_service *service, struct slice body)
{
    uint64_t life = 0;
    uint64_t id = 0;
    uint32_t len = 0;
    struct slice text;
    if (slice_take_u64_be(&body, &life) != 0 || slice_take_u64_be(&body, &id) != 0 ||
        slice_take_u32_be(&body, &len) != 0 || slice_take_bytes(&body, len, &text) != 0 ||
        life != service->options.life) {
        return;
    }
    struct slot *slot = slot_find(service, id);
    if (slot == NULL || !slot->is_ask) {
        return;
    }
    enum kv_error error = error_of(text);
    if (error == KV_E_NOT_LEADER) { /* nothing was done there */
        call_park(service, slot_release(slot));
        return;
    }
    slot_end(service, slot, error, body);
}

void asked_close(struct kv_service *service)
{
    BASE_ASSERT(service->asked == NULL && service->asked_count == 0);
}

void kv_service_receive(struct kv_service *service, uint64_t from, struct slice payload)
{
    uint8_t type = 0;
    uint8_t kind = 0;
    if (service->is_halted || slice_take_u8(&payload, &type) != 0 || type != NET_FRAME_KV ||
        slice_take_u8(&payload, &kind) != 0) {
        return;
    }
    switch (kind) {
    case FRAME_WRITE:
        receive_write(service, from, payload);
        break;
    case FRAME_REFUSED:
        receive_refusal(service, payload);
        break;
    case FRAME_ASK:
        receive_ask(service, from, payload);
        break;
    case FRAME_ANSWER:
        receive_answer(service, payload);
        break;
    default:
        break; /* of a later version */
    }
}
