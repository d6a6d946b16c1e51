/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that append to lists and read them: a key holds its list as text "1 2 3".
 *
 * One transaction is two requests: all its keys are read at once, then written at once, provided
 * that none has changed since; if one has, nothing was done. Of reads alone the first request is
 * all. PHASE_OPS transactions share PHASE_KEYS lists, then come others.
 */
#include <inttypes.h>
#include <string.h>

#include "jepsen/workloads/load.h"

#define STEPS_MAX 4u
#define LIST_BYTES 2048u

struct step {
    bool is_append;
    size_t key; /* index in the transaction's keys */
    int64_t element;
};

struct list {
    uint32_t number;
    char name[KEY_BYTES];
    char text[LIST_BYTES];
    size_t len;
    int64_t mod_revision; /* when it was read; 0 absent */
    bool is_changed;
};

struct transaction {
    struct step steps[STEPS_MAX];
    size_t steps_count;
    struct list lists[STEPS_MAX];
    size_t lists_count;
    bool has_appends;
    int64_t call_us;
};

static size_t list_of(struct transaction *t, uint32_t number)
{
    for (size_t i = 0; i < t->lists_count; i++) {
        if (t->lists[i].number == number) {
            return i;
        }
    }
    struct list *list = &t->lists[t->lists_count];
    list->number = number;
    (void)snprintf(list->name, sizeof(list->name), PREFIX_LIST "%" PRIu32, number);
    return t->lists_count++;
}

static void draw(struct caller *c, struct transaction *t)
{
    struct load *load = c->load;
    memset(t, 0, sizeof(*t));
    t->steps_count = base_rand_between(&c->rand, 1, STEPS_MAX);
    pthread_mutex_lock(&load->lock);
    uint32_t phase = (uint32_t)(load->lists_ops++ / PHASE_OPS);
    for (size_t i = 0; i < t->steps_count; i++) {
        struct step *step = &t->steps[i];
        uint32_t number =
            phase * PHASE_KEYS + (uint32_t)base_rand_between(&c->rand, 0, PHASE_KEYS - 1);
        step->key = list_of(t, number);
        step->is_append = base_rand_between(&c->rand, 0, 1) == 0;
        step->element = step->is_append ? ++load->next_element : 0;
        t->has_appends = t->has_appends || step->is_append;
    }
    pthread_mutex_unlock(&load->lock);
}

static enum outcome read_lists(struct caller *c, struct transaction *t)
{
    struct kv_op ops[STEPS_MAX];
    memset(ops, 0, sizeof(ops));
    for (size_t i = 0; i < t->lists_count; i++) {
        ops[i].kind = KV_OP_RANGE;
        ops[i].range.key = slice_from_text(t->lists[i].name);
    }
    const struct kv_request request = {.kind = KV_KIND_TXN,
                                       .txn = {.then_ops = {ops, t->lists_count}}};
    enum outcome outcome = load_call(c, &request, PATH_TXN);
    for (size_t i = 0; outcome == OUTCOME_OK && i < t->lists_count; i++) {
        const struct kv_pairs *pairs = &c->response.txn.responses.items[i].range.kvs;
        struct list *list = &t->lists[i];
        if (pairs->count > 0) {
            list->mod_revision = pairs->items[0].mod_revision;
            list->len = pairs->items[0].value.len;
            if (list->len >= LIST_BYTES) {
                load_give_up(list->name, "too long a list");
            }
            memcpy(list->text, pairs->items[0].value.data, list->len);
        }
    }
    return outcome;
}

/* "1 2 3" as "1,2,3" */
static void put_list(struct buf *out, const struct list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        buf_put_u8(out, list->text[i] == ' ' ? ',' : (uint8_t)list->text[i]);
    }
}

/* Does the steps on the lists as they were read; `ret_text` is what a reader would be told. */
static void carry_out(struct transaction *t, struct buf *ret_text, bool has_reads)
{
    bool is_first = true;
    for (size_t i = 0; i < t->steps_count; i++) {
        const struct step *step = &t->steps[i];
        struct list *list = &t->lists[step->key];
        if (!step->is_append && !has_reads) {
            continue;
        }
        buf_put_text(ret_text, is_first ? "[\"" : ",[\"");
        buf_put_text(ret_text, step->is_append ? "append" : "r");
        buf_put_text(ret_text, "\",");
        buf_put_dec(ret_text, list->number);
        buf_put_text(ret_text, step->is_append ? "," : ",[");
        if (step->is_append) {
            struct buf text = buf_over(list->text, LIST_BYTES);
            text.len = list->len;
            buf_put_text(&text, list->len == 0 ? "" : " ");
            buf_put_int(&text, step->element);
            list->len = text.len;
            list->is_changed = true;
            buf_put_int(ret_text, step->element);
        } else {
            put_list(ret_text, list);
        }
        buf_put_text(ret_text, step->is_append ? "]" : "]]");
        is_first = false;
    }
}

static enum outcome write_lists(struct caller *c, const struct transaction *t)
{
    struct kv_op ops[STEPS_MAX];
    struct kv_compare compares[STEPS_MAX];
    size_t count = 0;
    memset(ops, 0, sizeof(ops));
    for (size_t i = 0; i < t->lists_count; i++) {
        const struct list *list = &t->lists[i];
        compares[i] = (struct kv_compare){.result = KV_EQUAL,
                                          .target = KV_TARGET_MOD,
                                          .which = KV_COMPARE_MOD,
                                          .key = slice_from_text(list->name),
                                          .number = list->mod_revision};
        if (list->is_changed) {
            ops[count].kind = KV_OP_PUT;
            ops[count].put.key = slice_from_text(list->name);
            ops[count++].put.value = slice_from(list->text, list->len);
        }
    }
    const struct kv_request request = {
        .kind = KV_KIND_TXN,
        .txn = {.compares = {compares, t->lists_count}, .then_ops = {ops, count}}};
    return load_call(c, &request, PATH_TXN);
}

static void do_transaction(struct caller *c)
{
    static _Thread_local struct transaction t;
    static _Thread_local char room[STEPS_MAX * LIST_BYTES * 2];
    struct buf text = buf_over(room, sizeof(room));
    const char *type = "ok";
    draw(c, &t);
    t.call_us = io_now().us;
    enum outcome outcome = read_lists(c, &t);
    if (outcome != OUTCOME_OK || !t.has_appends) {
        load_count(c->load, t.call_us, outcome == OUTCOME_OK ? outcome : OUTCOME_REFUSED, false);
        if (outcome != OUTCOME_OK) {
            return; /* nothing was asked to be done, nothing was told */
        }
    } else {
        struct transaction done = t;
        struct buf scratch = buf_over(room, sizeof(room));
        carry_out(&done, &scratch, true);
        outcome = write_lists(c, &done);
        load_count(c->load, t.call_us, outcome, true);
        type = outcome == OUTCOME_UNKNOWN                              ? "info"
               : outcome == OUTCOME_OK && c->response.txn.is_succeeded ? "ok"
                                                                       : "fail";
    }
    carry_out(&t, &text, type[0] == 'o');
    load_line(c->load, FILE_APPEND,
              "{\"process\":%" PRIu32 ",\"type\":\"%s\",\"call\":%" PRId64 ",\"return\":%" PRId64
              ",\"txn\":[%.*s]}\n",
              c->number, type, t.call_us, io_now().us, (int)text.len, room);
}

void *load_lister(void *caller)
{
    struct caller *c = caller;
    struct load *load = c->load;
    load_enter_host(load, c->number);
    while (!atomic_load(&load->is_stopping) &&
           load->lists_ops < (int64_t)(LISTS_MAX / PHASE_KEYS - 1) * (int64_t)PHASE_OPS) {
        do_transaction(c);
        load_nap_us((int64_t)base_rand_between(&c->rand, 0, 4 * (uint64_t)load->op_us));
    }
    return NULL;
}
