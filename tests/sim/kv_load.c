/* SPDX-License-Identifier: Apache-2.0 */
/* Key-value clients. Keys come in phases of four that share transactions, so that no group of keys
 * grows beyond what the search can hold; values are unique numbers.
 */
#include "tests/sim/kv_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/check/json.h"
#include "jepsen/check/kv_ops.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/witness.h"
#include "proto/wire/kv.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"

#define OPS_MAX 20000
#define PHASE_KEYS 4
#define PHASE_OPS 160
#define KEYS_MAX (OPS_MAX / PHASE_OPS * PHASE_KEYS + PHASE_KEYS)
#define TIMEOUT_US (1500 * MS)
#define MEMORY_BYTES ((size_t)48 << 20)

struct client {
    struct world *world;
    unsigned index;
    struct process process;
    struct host_clock clock;
    struct base_rand rand;
    unsigned node; /* where it sends to */
    bool is_waiting;
    uint64_t id; /* of the request under way */
    size_t op;   /* its place in the history */
    enum kv_kind kind;
};

struct kv_load {
    struct client clients[KV_CLIENTS_MAX];
    struct chk_history history;
    struct chk_op ops[OPS_MAX];
    struct chk_key keys[KEYS_MAX];
    size_t phase_first; /* of this history; older ones had other keys */
    int64_t next_value;
    int64_t last_ok_us;
    uint64_t next_id;
};

/* --- making a request --- */

static uint32_t draw_key(struct client *c)
{
    struct kv_load *load = c->world->kv_load;
    size_t phase = load->phase_first + load->history.count / PHASE_OPS;
    uint32_t number = (uint32_t)(phase * PHASE_KEYS) + (uint32_t)draw(&c->rand, 0, PHASE_KEYS - 1);
    char text[16];
    struct buf name = buf_over(text, sizeof(text));
    buf_put_text(&name, "k");
    buf_put_dec(&name, number);
    uint32_t key = 0;
    BASE_ASSERT(chk_history_key(&load->history, buf_slice(&name), &key) == 0);
    return key;
}

static struct chk_part draw_part(struct client *c, enum chk_kind kind)
{
    struct chk_part part = {.kind = kind, .key = draw_key(c)};
    if (kind == CHK_WRITE) {
        part.value = ++c->world->kv_load->next_value;
    } else if (kind == CHK_DELETE) {
        part.value = 1;
    }
    return part;
}

static void draw_op(struct client *c, struct chk_op *op)
{
    int64_t what = draw(&c->rand, 0, 99);
    op->parts_count = 1;
    op->is_applied = true;
    if (what < 40) {
        op->parts[0] = draw_part(c, CHK_READ);
    } else if (what < 70) {
        op->parts[0] = draw_part(c, CHK_WRITE);
    } else if (what < 76) {
        op->parts[0] = draw_part(c, CHK_DELETE);
    } else {
        op->parts[0] = draw_part(c, CHK_WRITE);
        op->has_compare = what < 92;
        op->compare_key = op->parts[0].key;
        /* one of the last values: it has a chance to be there */
        int64_t back = draw(&c->rand, 0, 6);
        op->compare_value = op->parts[0].value > back + 1 ? op->parts[0].value - 1 - back : 0;
        struct chk_part second = draw_part(c, what < 84 ? CHK_READ : CHK_WRITE);
        if (what >= 80 && second.key != op->parts[0].key) {
            op->parts[op->parts_count++] = second;
        }
    }
}

static enum kv_kind encode(const struct client *c, const struct chk_op *op, struct buf *out)
{
    struct chk_asking asking;
    chk_ask(&c->world->kv_load->history, op, false, &asking);
    BASE_ASSERT(kv_wire_encode_request(&asking.request, out) == 0);
    return (enum kv_kind)asking.request.kind;
}

/* --- one operation after the other --- */

static void next(void *ctx, uint64_t number, struct slice bytes);

static void again(struct client *c, bool is_elsewhere)
{
    c->is_waiting = false;
    if (is_elsewhere) {
        c->node = (unsigned)draw(&c->rand, 0, c->world->setup.slots - 1);
    }
    world_at(c->world, c->world->now_us + draw(&c->rand, 5 * MS, 600 * MS), &c->process, next, c);
}

static void finish(struct client *c, enum chk_status status, uint64_t revision)
{
    struct world *w = c->world;
    struct chk_op *op = &w->kv_load->ops[c->op];
    op->status = status;
    op->revision = revision;
    op->return_us = status == CHK_INFO ? CHK_NO_RETURN : w->now_us;
    w->tally.kv_ok += status == CHK_DONE;
    w->tally.kv_fail += status == CHK_FAILED;
    w->tally.kv_unknown += status == CHK_INFO;
    if (status == CHK_DONE) {
        w->kv_load->last_ok_us = w->now_us;
    }
    trace(w, TRACE_KV_END, c->index, c->op, status, revision);
    again(c, status != CHK_DONE || chance(&c->rand, 50000));
}

/* What is known when no answer says more: a read without answer has no effect. */
static enum chk_status without_answer(const struct chk_op *op)
{
    return chk_op_may_write(op) ? CHK_INFO : CHK_FAILED;
}

static void give_up(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    (void)bytes;
    if (c->is_waiting && c->id == number) {
        finish(c, without_answer(&c->world->kv_load->ops[c->op]), 0);
    }
}

static void next(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    struct kv_load *load = w->kv_load;
    (void)number;
    (void)bytes;
    uint32_t most = w->setup.kv_ops_max != 0 ? w->setup.kv_ops_max : OPS_MAX;
    if (load->history.count >= most || (w->setup.kv_off >> c->index & 1) != 0) {
        return;
    }
    struct chk_op op = {.process = c->index,
                        .status = CHK_INVOKED,
                        .call_us = w->now_us,
                        .return_us = CHK_NO_RETURN};
    uint8_t room[2048], body[1500];
    struct buf out = buf_over(room, sizeof(room)), request = buf_over(body, sizeof(body));
    draw_op(c, &op);
    c->kind = encode(c, &op, &request);
    c->op = load->history.count;
    c->id = ++load->next_id;
    c->is_waiting = true;
    BASE_ASSERT(chk_history_add(&load->history, &op) == 0);
    buf_put_u8(&out, FRAME_REQUEST);
    buf_put_u64_be(&out, c->id);
    buf_put_u8(&out, (uint8_t)c->kind);
    buf_put(&out, buf_slice(&request));
    trace(w, TRACE_KV_CALL, c->index, c->op, op.parts[0].key, c->node);
    if (!net_send(w, ADDRESS_KV_CLIENT + c->index, ADDRESS_NODE + c->node, buf_slice(&out))) {
        finish(c, CHK_FAILED, 0); /* connection refused */
        return;
    }
    world_at_with(w, w->now_us + TIMEOUT_US, &c->process, give_up, c, c->id, SLICE_EMPTY);
}

/* --- reading the answer --- */

static bool is_certain(enum kv_error error)
{
    return error != KV_E_TIMEOUT && error != KV_E_TIMEOUT_LEADER && error != KV_E_LEADER_CHANGED &&
           error != KV_E_STOPPED;
}

static void arrive(void *ctx, unsigned from, struct slice payload)
{
    struct client *c = ctx;
    uint8_t type = 0, error = 0;
    uint64_t id = 0;
    (void)from;
    if (slice_take_u8(&payload, &type) != 0 || type != FRAME_ANSWER ||
        slice_take_u64_be(&payload, &id) != 0 || slice_take_u8(&payload, &error) != 0 ||
        !c->is_waiting || id != c->id) {
        return;
    }
    struct chk_op *op = &c->world->kv_load->ops[c->op];
    if (error != KV_OK) {
        finish(c, is_certain((enum kv_error)error) ? CHK_FAILED : without_answer(op), 0);
        return;
    }
    static _Alignas(16) uint8_t memory[1 << 16];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response response;
    if (kv_wire_decode_response(c->kind, payload, &arena, &response) != 0) {
        world_fail(c->world, INVARIANT_NO_CRASH, "malformed response to client %u", c->index);
    }
    finish(c, CHK_DONE, (uint64_t)chk_answered(&response, op)->revision);
}

/* --- life --- */

void kv_load_open(struct world *w)
{
    struct kv_load *load = w->kv_load = must_alloc(1, sizeof(*load));
    load->history = chk_history_over(load->ops, OPS_MAX, load->keys, KEYS_MAX);
    for (unsigned i = 0; i < w->setup.kv_clients; i++) {
        struct client *c = &load->clients[i];
        c->world = w;
        c->index = i;
        c->rand = world_stream(w, STREAM_KV_CLIENT, i);
        c->clock.world = w;
        c->process.clock = &c->clock;
        c->node = i % w->setup.nodes;
        process_start(&c->process);
        net_listen(w, ADDRESS_KV_CLIENT + i, &c->process, arrive, c);
        again(c, false);
    }
}

void kv_load_close(struct world *w)
{
    free(w->kv_load);
    w->kv_load = NULL;
}

static void judge(struct world *w, const char *how, struct chk_result result)
{
    if (result.verdict == CHK_OK) {
        return;
    }
    world_fail(w, INVARIANT_LINEARIZABLE, "%s says %s: %s (operations %ld and %ld)", how,
               result.verdict == CHK_VIOLATED ? "violated" : "unknown", result.text,
               (long)result.op, (long)result.other);
}

void kv_load_check(struct world *w)
{
    static void *memory;
    memory = memory != NULL ? memory : must_alloc(1, MEMORY_BYTES);
    const struct chk_history *h = &w->kv_load->history;
    judge(w, "the revision witness", chk_witness(h, memory, MEMORY_BYTES));
    struct chk_linear_limits limits = {memory, MEMORY_BYTES, 20000000};
    judge(w, "the search", chk_linear(h, &limits));
}

void kv_load_restart(struct world *w)
{
    struct kv_load *load = w->kv_load;
    kv_load_check(w);
    load->phase_first += load->history.count / PHASE_OPS + 1;
    load->history = chk_history_over(load->ops, OPS_MAX, load->keys, KEYS_MAX);
    for (unsigned i = 0; i < w->setup.kv_clients; i++) {
        struct client *c = &load->clients[i];
        if (c->is_waiting) {
            w->tally.kv_unknown++;
            again(c, true);
        }
    }
}

int64_t kv_load_last_ok_us(const struct world *w)
{
    return w->kv_load->last_ok_us;
}

void kv_load_print(const struct world *w)
{
    static uint8_t room[2048];
    const struct chk_history *h = &w->kv_load->history;
    for (size_t i = 0; i < h->count; i++) {
        struct buf out = buf_over(room, sizeof(room));
        chk_json_write(&out, h, &h->ops[i]);
        (void)fwrite(out.data, 1, out.len, stdout);
    }
}
