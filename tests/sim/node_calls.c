/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a simulated quorum node: of clients over the network, and of the simulator's own
 * people, who stand beside it. */
#include "tests/sim/nodes_internal.h"

#include <string.h>

#include "base/assert.h"
#include "proto/wire/kv.h"
#include "tests/sim/net.h"

static void answer(struct node *n, unsigned client, uint64_t id, enum kv_error error,
                   struct slice response)
{
    static uint8_t room[1 << 16];
    struct buf out = buf_over(room, sizeof(room));
    if (!n->process.is_up) {
        return;
    }
    buf_put_u8(&out, FRAME_ANSWER);
    buf_put_u64_be(&out, id);
    buf_put_u8(&out, (uint8_t)error);
    buf_put(&out, response);
    BASE_ASSERT(!out.is_full);
    (void)net_send(n->world, ADDRESS_NODE + n->index, client, buf_slice(&out));
}

static void call_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct api_call *api = (struct api_call *)(void *)call;
    api->is_used = false;
    answer(api->node, api->client, api->id, error, response);
}

static struct api_call *call_take(struct node *n)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (!n->calls[i].is_used) {
            return &n->calls[i];
        }
    }
    return NULL;
}

void node_request(struct node *n, unsigned client, struct slice frame)
{
    uint64_t id = 0;
    uint8_t kind = 0;
    struct api_call *api = call_take(n);
    if (slice_take_u64_be(&frame, &id) != 0 || slice_take_u8(&frame, &kind) != 0 ||
        frame.len > sizeof(api->bytes)) {
        return;
    }
    if (api == NULL) {
        answer(n, client, id, KV_E_TOO_MANY_REQUESTS, SLICE_EMPTY);
        return;
    }
    memcpy(api->bytes, frame.data, frame.len);
    struct base_arena arena = base_arena_over(api->arena, sizeof(api->arena));
    api->call = (struct kv_call){
        .request = &api->request, .asker = {.auth_revision = KV_ASKER_INTERNAL}, .done = call_done};
    api->call.deadline = base_mono_add_us(clock_now(&n->clock), 1500 * MS);
    api->node = n;
    api->client = client;
    api->id = id;
    struct slice bytes = slice_from(api->bytes, frame.len);
    if (kv_wire_decode_request((enum kv_kind)kind, bytes, &arena, &api->request) != 0) {
        answer(n, client, id, KV_E_MALFORMED, SLICE_EMPTY);
        return;
    }
    api->is_used = true;
    enum kv_error error = kv_service_submit(n->service, &api->call);
    if (error != KV_OK) {
        api->is_used = false;
        answer(n, client, id, error, SLICE_EMPTY);
    }
}

enum kv_error node_ask(struct world *w, unsigned node, struct kv_call *call)
{
    call->asker = (struct kv_asker){.auth_revision = KV_ASKER_INTERNAL};
    return node_ask_as(w, node, call);
}

enum kv_error node_ask_as(struct world *w, unsigned node, struct kv_call *call)
{
    struct node *n = nodes_get(w, node);
    call->deadline = base_mono_add_us(clock_now(&n->clock), 3 * SECOND);
    enum kv_error error = kv_service_submit(n->service, call);
    node_rearm(n);
    return error;
}
