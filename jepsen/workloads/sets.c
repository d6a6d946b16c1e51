/* SPDX-License-Identifier: Apache-2.0 */
/* One set that only grows: each element is a key of its own, and everybody reads all of it now and
 * then. An element that was acknowledged must be in every read that begins afterwards.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "jepsen/workloads/load.h"

#define READ_EVERY_US 700000u
#define NUMBER_BYTES 21u

static const char *type_of(enum outcome outcome)
{
    return outcome == OUTCOME_OK ? "ok" : outcome == OUTCOME_REFUSED ? "fail" : "info";
}

static void add(struct caller *c)
{
    char key[KEY_BYTES], value[KEY_BYTES];
    int64_t element = atomic_fetch_add(&c->load->set_next, 1) + 1;
    (void)snprintf(key, sizeof(key), PREFIX_SET "%" PRId64, element);
    (void)snprintf(value, sizeof(value), "%" PRId64, element);
    const struct kv_request request = {
        .kind = KV_KIND_PUT, .put = {.key = slice_from_text(key), .value = slice_from_text(value)}};
    int64_t called = io_now().us;
    enum outcome outcome = load_call(c, &request, PATH_PUT);
    load_count(c->load, called, outcome, true);
    load_line(c->load, FILE_SET,
              "{\"process\":%" PRIu32 ",\"type\":\"%s\",\"call\":%" PRId64 ",\"return\":%" PRId64
              ",\"txn\":[[\"add\",%" PRId64 "]]}\n",
              c->number, type_of(outcome), called, io_now().us, element);
}

static void read_all(struct caller *c)
{
    const struct kv_request request = {.kind = KV_KIND_RANGE,
                                       .range = {.key = SLICE_LIT("s/"),
                                                 .range_end = SLICE_LIT("s0"),
                                                 .is_serializable = c->load->is_stale}};
    int64_t called = io_now().us;
    enum outcome outcome = load_call(c, &request, PATH_RANGE);
    load_count(c->load, called, outcome, false);
    if (outcome != OUTCOME_OK) {
        return; /* tells nothing */
    }
    int64_t returned = io_now().us;
    const struct kv_pairs *pairs = &c->response.range.kvs;
    size_t bytes = pairs->count * NUMBER_BYTES + 1;
    char *room = malloc(bytes);
    if (room == NULL) {
        load_give_up("memory", "none left");
    }
    struct buf list = buf_over(room, bytes);
    for (size_t i = 0; i < pairs->count; i++) {
        buf_put_text(&list, i == 0 ? "" : ",");
        buf_put(&list, pairs->items[i].value);
    }
    load_line(c->load, FILE_SET,
              "{\"process\":%" PRIu32 ",\"type\":\"ok\",\"call\":%" PRId64 ",\"return\":%" PRId64
              ",\"txn\":[[\"all\",[%.*s]]]}\n",
              c->number, called, returned, (int)list.len, room);
    free(room);
}

void *load_setter(void *caller)
{
    struct caller *c = caller;
    struct load *load = c->load;
    int64_t read_at = io_now().us;
    load_enter_host(load, c->number);
    while (!atomic_load(&load->is_stopping) && atomic_load(&load->set_next) < ELEMENTS_MAX) {
        add(c);
        if (io_now().us > read_at) {
            read_all(c);
            read_at = io_now().us + (int64_t)base_rand_between(&c->rand, 0, 2 * READ_EVERY_US);
        }
        load_nap_us((int64_t)base_rand_between(&c->rand, 0, 4 * (uint64_t)load->op_us));
    }
    return NULL;
}
