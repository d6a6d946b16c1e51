/* SPDX-License-Identifier: Apache-2.0 */
/* The store job of the watch hub: reads a slice of history and leaves it encoded, so that the loop
 * thread has only to choose and to copy. Memory for it grows with what is read; when there is none,
 * or one revision is larger than KV_WATCH_REVISION_BYTES, the read ends before that revision. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/watch_internal.h"
#include "proto/wire/kv_tables.h"

#define FIRST_BYTES ((size_t)16 << 10)
#define FIRST_RECORDS 64u
/* Encoded event apart from its keys and values: five numbers twice, tags and lengths. */
#define EVENT_OVERHEAD 160u

_Static_assert(KV_WATCH_KEY_MAX * 2 <= READ_KEYS_BYTES, "one interval always fits");

/* --- storage thread --- */

/* A larger block with the same beginning; false without memory. */
static bool grow(void **block, size_t used, size_t *cap, size_t needed, size_t first, size_t unit)
{
    size_t larger = *cap == 0 ? first : *cap;
    while (larger < needed) {
        larger *= 2;
    }
    if (larger == *cap) {
        return true;
    }
    void *fresh = malloc(larger * unit);
    if (fresh == NULL) {
        return false;
    }
    if (used > 0) {
        memcpy(fresh, *block, used * unit);
    }
    free(*block);
    *block = fresh;
    *cap = larger;
    return true;
}

static bool has_room(struct watch_read *read, size_t bytes)
{
    void *block = read->bytes;
    void *records = read->records;
    read->is_short = false;
    if (read->len + bytes > KV_WATCH_REVISION_BYTES + READ_BYTES_MAX) {
        return false;
    }
    bool is_ok = grow(&block, read->len, &read->bytes_cap, read->len + bytes, FIRST_BYTES, 1) &&
                 grow(&records, read->count, &read->records_cap, read->count + 1, FIRST_RECORDS,
                      sizeof(*read->records));
    read->bytes = block;
    read->records = records;
    read->is_short = !is_ok;
    return is_ok;
}

/* An event that is nothing but its previous pair: these bytes follow those of the event. */
static void put_previous(struct buf *out, const struct kv_pair *pair)
{
    struct kv_event event = {.has_prev_kv = true, .prev_kv = *pair};
    int rc = wire_pb_encode(&wire_kv_event_table, &event, out);
    BASE_ASSERT(rc == 0);
}

static int keep_event(void *ctx, const struct kv_event *event)
{
    struct watch_read *read = ctx;
    size_t room = 2 * (EVENT_OVERHEAD + event->kv.key.len) + event->kv.key.len +
                  event->kv.value.len + event->prev_kv.key.len + event->prev_kv.value.len;
    if (!has_room(read, room)) {
        return 1;
    }
    struct buf out = buf_over(read->bytes + read->len, read->bytes_cap - read->len);
    struct kv_event plain = *event;
    plain.has_prev_kv = false;
    buf_put(&out, event->kv.key);
    size_t body = out.len;
    int rc = wire_pb_encode(&wire_kv_event_table, &plain, &out);
    BASE_ASSERT(rc == 0);
    size_t prev = out.len;
    if (event->has_prev_kv) {
        put_previous(&out, &event->prev_kv);
    }
    read->records[read->count++] = (struct record){.revision = event->kv.mod_revision,
                                                   .at = read->len,
                                                   .body_len = (uint32_t)(prev - body),
                                                   .prev_len = (uint32_t)(out.len - prev),
                                                   .key_len = (uint16_t)event->kv.key.len,
                                                   .is_delete = event->type != 0};
    read->len += out.len;
    return 0;
}

/* The events of a revision that did not fit as a whole are forgotten. */
static void drop_cut(struct watch_read *read)
{
    while (read->count > 0 && read->records[read->count - 1].revision >= read->result.next) {
        read->count--;
    }
}

static int read_run(struct store_job *job, struct store_txn *txn)
{
    struct watch_read *read = (struct watch_read *)job;
    int rc = kv_history_read(txn, &read->query, keep_event, read, &read->result);
    if (rc == 0 && read->result.is_cut) {
        drop_cut(read);
    }
    return rc;
}

/* --- loop thread --- */

static void read_done(struct store_job *job, int status)
{
    struct watch_read *read = (struct watch_read *)job;
    hub_read_done(read->hub, status);
}

void read_open(struct kv_watch_hub *hub)
{
    struct watch_read *read = &hub->read;
    read->hub = hub;
    read->job = (struct store_job){.run = read_run, .done = read_done, .is_read_only = true};
    read->query = (struct kv_history_query){.intervals = read->intervals,
                                            .events_max = READ_EVENTS_MAX,
                                            .bytes_max = READ_BYTES_MAX,
                                            .rows_max = READ_ROWS_MAX};
}

void read_begin(struct watch_read *read, bool is_shared)
{
    BASE_ASSERT(!read->is_busy);
    read->is_shared = is_shared;
    read->is_exact = false;
    read->is_short = false;
    read->query.count = 0;
    read->count = 0;
    read->len = 0;
}

static bool is_everything(const struct watch_read *read)
{
    return read->query.count > READ_INTERVALS_MAX;
}

/* All keys, once the intervals are too many to be told apart. */
void read_add_everything(struct watch_read *read, bool is_prev_kv)
{
    for (size_t i = 0; i < read->query.count && !is_everything(read); i++) {
        is_prev_kv = is_prev_kv || read->intervals[i].is_prev_kv;
    }
    read->keys[0] = 0;
    struct slice zero = slice_from(read->keys, 1);
    read->intervals[0] = (struct kv_history_interval){{zero, zero}, is_prev_kv};
    read->query.count = READ_INTERVALS_MAX + 1;
}

void read_add(struct watch_read *read, struct kv_interval keys, bool is_prev_kv)
{
    size_t used = 0;
    if (is_everything(read)) {
        read->intervals[0].is_prev_kv = read->intervals[0].is_prev_kv || is_prev_kv;
        return;
    }
    for (size_t i = 0; i < read->query.count; i++) {
        struct kv_history_interval *known = &read->intervals[i];
        if (slice_equal(known->keys.key, keys.key) && slice_equal(known->keys.end, keys.end)) {
            known->is_prev_kv = known->is_prev_kv || is_prev_kv;
            return;
        }
        used += known->keys.key.len + known->keys.end.len;
    }
    if (read->query.count == READ_INTERVALS_MAX ||
        used + keys.key.len + keys.end.len > sizeof(read->keys)) {
        read_add_everything(read, is_prev_kv);
        return;
    }
    struct buf out = buf_over(read->keys + used, sizeof(read->keys) - used);
    buf_put(&out, keys.key);
    buf_put(&out, keys.end);
    read->intervals[read->query.count++] = (struct kv_history_interval){
        {slice_from(out.data, keys.key.len), slice_from(out.data + keys.key.len, keys.end.len)},
        is_prev_kv};
}

void read_submit(struct watch_read *read, int64_t from)
{
    struct kv_watch_hub *hub = read->hub;
    if (is_everything(read)) {
        read->query.count = 1;
    } else {
        read->is_exact = read->query.count == 1;
    }
    if (read->query.count == 0) { /* nobody: the numbers alone are wanted */
        read->keys[0] = 0;
        read->intervals[0] =
            (struct kv_history_interval){{slice_from(read->keys, 1), SLICE_EMPTY}, false};
        read->query.count = 1;
    }
    read->query.from = from;
    read->is_busy = true;
    hub->options.store.submit(hub->options.store.ctx, &read->job);
}

void read_trim(struct watch_read *read)
{
    if (read->bytes_cap > KEPT_BYTES) {
        free(read->bytes);
        read->bytes = NULL;
        read->bytes_cap = 0;
    }
    if (read->records_cap * sizeof(*read->records) > KEPT_BYTES) {
        free(read->records);
        read->records = NULL;
        read->records_cap = 0;
    }
    read->count = 0;
    read->len = 0;
}

void read_free(struct watch_read *read)
{
    free(read->bytes);
    free(read->records);
}

struct slice record_key(const struct watch_read *read, const struct record *record)
{
    return slice_from(read->bytes + record->at, record->key_len);
}
