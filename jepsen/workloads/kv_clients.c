/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of linearizability.
 *
 * Puts, deletes, transactions with and without a comparison, reads; values are unique numbers.
 * PHASE_OPS operations share PHASE_KEYS keys, then come others, so that the search stays small.
 * Beside the history there are reads that may be stale and reads of the past: they are judged by
 * the list of all changes.
 */
#include <string.h>

#include "jepsen/check/kv_ops.h"
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

/* --- one after the other --- */

static const char *path_of(enum kv_kind kind)
{
    return kind == KV_KIND_TXN     ? PATH_TXN
           : kind == KV_KIND_RANGE ? PATH_RANGE
           : kind == KV_KIND_PUT   ? PATH_PUT
                                   : "/etcdserverpb.KV/DeleteRange";
}

static void do_op(struct caller *c)
{
    struct chk_history *h = &c->load->history;
    struct chk_op op = {.process = c->number, .status = CHK_INVOKED, .return_us = CHK_NO_RETURN};
    struct chk_asking a;
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
    chk_ask(h, &op, c->load->is_stale, &a);
    enum outcome outcome = load_call(c, &a.request, path_of((enum kv_kind)a.request.kind));
    if (outcome == OUTCOME_OK) {
        const struct kv_header *header = chk_answered(&c->response, &op);
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
    struct kv_request request = {
        .kind = KV_KIND_RANGE,
        .range = {.key = slice_from_text(load->history.keys[key].text), .is_serializable = true}};
    if (draw(c, 0, 1) == 0 && newest > 60) {
        request.range.revision = newest - (int64_t)draw(c, 0, 50);
    }
    if (load_call(c, &request, PATH_RANGE) != OUTCOME_OK) {
        return;
    }
    struct stale stale = {.key = key, .return_us = io_now().us};
    uint64_t revision = 0;
    chk_pair_seen(&c->response.range.kvs, &stale.value, &revision);
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
