/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of linearizability.
 *
 * Puts, deletes, transactions with and without a comparison, reads; values are unique numbers.
 * PHASE_OPS operations share PHASE_KEYS keys, then come others, so that the search stays small.
 * Beside the history there are reads that may be stale and reads of the past: they are judged by
 * the list of all changes.
 */
#include <string.h>

#include "jepsen/workloads/load.h"

/* --- drawing; under the lock --- */

static uint64_t draw(struct caller *c, uint64_t low, uint64_t high)
{
    return base_rand_between(&c->rand, low, high);
}

static uint32_t draw_key(struct caller *c)
{
    struct chk_history *h = &c->load->history;
    size_t phase = h->count / PHASE_OPS;
    while (h->keys_count < (phase + 1) * PHASE_KEYS) {
        struct buf name = buf_over(h->keys[h->keys_count].text, CHK_KEY_MAX);
        buf_put_text(&name, PREFIX_KV);
        buf_put_dec(&name, h->keys_count);
        h->keys_count++;
    }
    return (uint32_t)(phase * PHASE_KEYS + draw(c, 0, PHASE_KEYS - 1));
}

static struct chk_part draw_part(struct caller *c, enum chk_kind kind)
{
    struct chk_part part = {.kind = kind, .key = draw_key(c)};
    if (kind == CHK_WRITE) {
        part.value = ++c->load->next_value;
    } else if (kind == CHK_DELETE) {
        part.value = 1;
    }
    return part;
}

static void draw_op(struct caller *c, struct chk_op *op)
{
    uint64_t what = draw(c, 0, 99);
    op->parts_count = 1;
    op->is_applied = true;
    if (what < 35) {
        op->parts[0] = draw_part(c, CHK_READ);
    } else if (what < 65) {
        op->parts[0] = draw_part(c, CHK_WRITE);
    } else if (what < 73) {
        op->parts[0] = draw_part(c, CHK_DELETE);
    } else {
        op->parts[0] = draw_part(c, CHK_WRITE);
        op->has_compare = what < 92;
        op->compare_key = op->parts[0].key;
        /* one of the last values: it has a chance to be there */
        int64_t back = (int64_t)draw(c, 0, 8);
        op->compare_value = op->parts[0].value > back + 1 ? op->parts[0].value - 1 - back : 0;
        struct chk_part second = draw_part(c, what < 84 ? CHK_READ : CHK_WRITE);
        if (what >= 80 && second.key != op->parts[0].key) {
            op->parts[op->parts_count++] = second;
        }
    }
}

/* --- encoding --- */

struct texts {
    char room[512];
    size_t used;
};

static struct slice number_text(struct texts *t, int64_t value)
{
    struct buf b = buf_over(t->room + t->used, sizeof(t->room) - t->used);
    buf_put_int(&b, value);
    t->used += b.len;
    return buf_slice(&b);
}

static struct slice key_text(const struct caller *c, uint32_t key)
{
    return slice_from_text(c->load->history.keys[key].text);
}

static void part_op(const struct caller *c, struct texts *t, const struct chk_part *part,
                    struct kv_op *op)
{
    memset(op, 0, sizeof(*op));
    if (part->kind == CHK_READ) {
        op->kind = KV_OP_RANGE;
        op->range.key = key_text(c, part->key);
        op->range.is_serializable = c->load->is_stale;
    } else if (part->kind == CHK_WRITE) {
        op->kind = KV_OP_PUT;
        op->put.key = key_text(c, part->key);
        op->put.value = number_text(t, part->value);
    } else {
        op->kind = KV_OP_DELETE;
        op->delete_range.key = key_text(c, part->key);
        op->delete_range.is_prev_kv = true;
    }
}

static void compare_of(const struct caller *c, struct texts *t, const struct chk_op *op,
                       struct kv_compare *ret)
{
    *ret = (struct kv_compare){.result = KV_EQUAL, .key = key_text(c, op->compare_key)};
    if (op->compare_value == 0) { /* absent: never created */
        ret->target = KV_TARGET_CREATE;
        ret->which = KV_COMPARE_CREATE;
    } else {
        ret->target = KV_TARGET_VALUE;
        ret->which = KV_COMPARE_VALUE;
        ret->value = number_text(t, op->compare_value);
    }
}

/* Everything that a request points to. */
struct asking {
    struct kv_request request;
    struct kv_op ops[CHK_PARTS_MAX], else_op;
    struct kv_compare compare;
    struct texts texts;
    const char *path;
};

static void ask_txn(const struct caller *c, const struct chk_op *op, struct asking *a)
{
    a->path = PATH_TXN;
    a->request.kind = KV_KIND_TXN;
    a->request.txn.then_ops = (struct kv_ops){a->ops, op->parts_count};
    if (op->has_compare) {
        const struct chk_part what_else = {.kind = CHK_READ, .key = op->compare_key};
        compare_of(c, &a->texts, op, &a->compare);
        part_op(c, &a->texts, &what_else, &a->else_op);
        a->request.txn.compares = (struct kv_compares){&a->compare, 1};
        a->request.txn.else_ops = (struct kv_ops){&a->else_op, 1};
    }
}

static void ask(const struct caller *c, const struct chk_op *op, struct asking *a)
{
    memset(a, 0, sizeof(*a));
    for (size_t i = 0; i < op->parts_count; i++) {
        part_op(c, &a->texts, &op->parts[i], &a->ops[i]);
    }
    if (op->has_compare || op->parts_count > 1) {
        ask_txn(c, op, a);
    } else if (a->ops[0].kind == KV_OP_RANGE) {
        a->path = PATH_RANGE;
        a->request.kind = KV_KIND_RANGE;
        a->request.range = a->ops[0].range;
    } else if (a->ops[0].kind == KV_OP_PUT) {
        a->path = PATH_PUT;
        a->request.kind = KV_KIND_PUT;
        a->request.put = a->ops[0].put;
    } else {
        a->path = "/etcdserverpb.KV/DeleteRange";
        a->request.kind = KV_KIND_DELETE;
        a->request.delete_range = a->ops[0].delete_range;
    }
}

/* --- reading the answer --- */

static void seen_pairs(const struct kv_pairs *pairs, int64_t *ret_value, uint64_t *ret_revision)
{
    uint64_t value = 0;
    *ret_value = 0;
    *ret_revision = 0;
    if (pairs->count > 0 && slice_to_u64(pairs->items[0].value, &value) == 0) {
        *ret_value = (int64_t)value;
        *ret_revision = (uint64_t)pairs->items[0].mod_revision;
    }
}

static const struct kv_header *seen_txn(const struct kv_txn_response *txn, struct chk_op *op)
{
    op->is_applied = txn->is_succeeded;
    if (!op->is_applied && op->has_compare && txn->responses.count == 1) {
        op->has_seen = true;
        seen_pairs(&txn->responses.items[0].range.kvs, &op->compare_seen, &op->seen_revision);
    }
    for (size_t i = 0; op->is_applied && i < txn->responses.count && i < op->parts_count; i++) {
        if (op->parts[i].kind == CHK_READ) {
            seen_pairs(&txn->responses.items[i].range.kvs, &op->parts[i].value,
                       &op->parts[i].revision);
        }
    }
    return &txn->header;
}

static const struct kv_header *seen(const struct kv_response *response, struct chk_op *op)
{
    if (response->kind == KV_KIND_RANGE) {
        seen_pairs(&response->range.kvs, &op->parts[0].value, &op->parts[0].revision);
        return &response->range.header;
    }
    if (response->kind == KV_KIND_PUT) {
        return &response->put.header;
    }
    if (response->kind == KV_KIND_DELETE) {
        seen_pairs(&response->delete_range.prev_kvs, &op->parts[0].value, &op->parts[0].revision);
        return &response->delete_range.header;
    }
    return seen_txn(&response->txn, op);
}

static void do_op(struct caller *c)
{
    struct chk_history *h = &c->load->history;
    struct chk_op op = {.process = c->number, .status = CHK_INVOKED, .return_us = CHK_NO_RETURN};
    struct asking a;
    pthread_mutex_lock(&c->load->lock);
    size_t at = h->count;
    if (at + 1 >= OPS_MAX) {
        load_give_up("history", "too long, load less");
    }
    draw_op(c, &op);
    op.call_us = io_now().us;
    int rc = chk_history_add(h, &op);
    pthread_mutex_unlock(&c->load->lock);
    if (rc != 0) {
        load_give_up("history", "full");
    }
    ask(c, &op, &a);
    enum outcome outcome = load_call(c, &a.request, a.path);
    if (outcome == OUTCOME_OK) {
        const struct kv_header *header = seen(&c->response, &op);
        op.status = CHK_DONE;
        op.return_us = io_now().us;
        op.revision = (uint64_t)header->revision;
        load_note(c->load, header);
    } else if (outcome == OUTCOME_REFUSED || !chk_op_may_write(&op)) {
        op.status = CHK_FAILED;
        op.return_us = io_now().us;
    } else {
        op.status = CHK_INFO;
    }
    load_count(c->load, op.call_us, outcome, chk_op_may_write(&op));
    if (c->load->has_wrong_times && op.return_us != CHK_NO_RETURN) { /* a clock that runs ahead */
        int64_t wrong = (int64_t)draw(c, 0, 200000);
        op.call_us += wrong;
        op.return_us += wrong;
    }
    h->ops[at] = op; /* the place is this thread's alone */
}

/* A read that may be stale, or of the past. */
static void read_stale(struct caller *c)
{
    struct load *load = c->load;
    int64_t newest = atomic_load(&load->newest);
    pthread_mutex_lock(&load->lock);
    uint32_t key = draw_key(c);
    pthread_mutex_unlock(&load->lock);
    struct kv_request request = {.kind = KV_KIND_RANGE,
                                 .range = {.key = key_text(c, key), .is_serializable = true}};
    if (draw(c, 0, 1) == 0 && newest > 60) {
        request.range.revision = newest - (int64_t)draw(c, 0, 50);
    }
    if (load_call(c, &request, PATH_RANGE) != OUTCOME_OK) {
        return;
    }
    struct stale stale = {.key = key, .return_us = io_now().us};
    uint64_t revision = 0;
    seen_pairs(&c->response.range.kvs, &stale.value, &revision);
    stale.mod_revision = (int64_t)revision;
    stale.revision =
        request.range.revision != 0 ? request.range.revision : c->response.range.header.revision;
    pthread_mutex_lock(&load->lock);
    if (load->stales_count < STALES_MAX) {
        load->stales[load->stales_count++] = stale;
    }
    pthread_mutex_unlock(&load->lock);
}

void *load_kv_client(void *caller)
{
    struct caller *c = caller;
    struct load *load = c->load;
    load_enter_host(load, c->number);
    while (!atomic_load(&load->is_stopping)) {
        if (draw(c, 0, 9) == 0) {
            read_stale(c);
        } else {
            do_op(c);
        }
        if (load->op_us > 0) {
            load_nap_us((int64_t)draw(c, 0, 2 * (uint64_t)load->op_us));
        }
    }
    return NULL;
}
