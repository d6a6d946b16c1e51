/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_watch_rig.h. */
#include "tests/unit/kv_watch_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "kv/core/compact.h"
#include "proto/wire/kv_tables.h"
#include "tests/support/cm.h"

#define CHANGES_MAX 65536u

const char *const rig_keys[RIG_KEYS] = {"a",   "a0", "b", "b1", "c",  "c/1", "c/2",
                                        "c/3", "c0", "d", "d5", "d6", "e",   "f",
                                        "f1",  "g",  "h", "i",  "j",  "k"};

uint32_t rig_sends_max;

static struct chk_change changes[CHANGES_MAX];

/* Bytes that live until the rig is closed. */
static struct slice keep(struct slice bytes)
{
    static uint8_t *blocks[CHANGES_MAX];
    static size_t count;
    if (bytes.data == NULL) { /* let go of all */
        while (count > 0) {
            free(blocks[--count]);
        }
        return SLICE_EMPTY;
    }
    assert_true(count < CHANGES_MAX);
    blocks[count] = malloc(bytes.len + 1);
    assert_non_null(blocks[count]);
    memcpy(blocks[count], bytes.data, bytes.len);
    return slice_from(blocks[count++], bytes.len);
}

static void header(void *ctx, struct kv_header *ret)
{
    (void)ctx;
    *ret = (struct kv_header){.cluster_id = 1, .member_id = 2, .raft_term = 3};
}

void rig_open(struct rig *rig, int64_t progress_us)
{
    *rig = (struct rig){.revision = 1, .compact = 0};
    test_store_open(&rig->store, TEST_STORE_MEM, 0);
    rig->changes = chk_changes_over(changes, CHANGES_MAX);
    const struct kv_watch_options options = {.store = test_store_port(&rig->store),
                                             .header = header,
                                             .progress_us = progress_us,
                                             .sends_max = rig_sends_max,
                                             .seed = 7};
    assert_int_equal(kv_watch_open(&options, &rig->hub), 0);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        rig->clients[i].rig = rig;
    }
    rig_settle(rig);
}

void rig_close(struct rig *rig)
{
    rig_settle(rig);
    kv_watch_close(rig->hub);
    test_store_close(&rig->store);
    (void)keep(SLICE_EMPTY);
}

void rig_settle(struct rig *rig)
{
    store_mem_step(rig->store.mem);
}

/* --- writes --- */

static void note(struct rig *rig, unsigned key, bool is_delete, struct slice value)
{
    rig->is_alive[key] = !is_delete;
    assert_int_equal(
        chk_changes_add(&rig->changes, rig->revision, is_delete, sl(rig_keys[key]), value), 0);
}

/* Straight into the open transaction, as an entry would. */
static void apply(struct rig *rig, const struct kv_request *request, bool is_silent)
{
    struct kv_outcome outcome;
    struct kv_command command = {.request = *request};
    assert_int_equal(
        kv_core_apply(store_mem_txn(rig->store.mem), test_scratch(), &command, 1, &outcome), 0);
    assert_int_equal(outcome.error, KV_OK);
    assert_int_equal(outcome.revision, rig->revision);
    if (!is_silent) {
        kv_watch_revised(rig->hub, rig->revision);
    }
}

void rig_put_bytes(struct rig *rig, unsigned key, struct slice value, bool is_silent)
{
    struct kv_request request = {.kind = KV_KIND_PUT,
                                 .put = {.key = sl(rig_keys[key]), .value = value}};
    rig->revision++;
    note(rig, key, false, keep(value));
    apply(rig, &request, is_silent);
}

void rig_put(struct rig *rig, unsigned key, const char *value, bool is_silent)
{
    rig_put_bytes(rig, key, sl(value), is_silent);
}

void rig_delete(struct rig *rig, unsigned first, unsigned end, bool is_silent)
{
    struct kv_request request = {
        .kind = KV_KIND_DELETE,
        .delete_range = {.key = sl(rig_keys[first]),
                         .range_end = end < RIG_KEYS ? sl(rig_keys[end]) : slice_from("", 1)}};
    bool is_any = false;
    for (unsigned i = first; i < end; i++) {
        is_any = is_any || rig->is_alive[i];
    }
    rig->revision += is_any;
    for (unsigned i = first; i < end; i++) {
        if (rig->is_alive[i]) {
            note(rig, i, true, SLICE_EMPTY);
        }
    }
    apply(rig, &request, is_silent || !is_any);
}

void rig_txn(struct rig *rig, unsigned first, unsigned count, bool is_silent)
{
    struct kv_op ops[RIG_KEYS];
    char value[32];
    rig->revision++;
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(value, sizeof(value), "t%" PRIu64, ++rig->values);
        struct slice kept = keep(sl(value));
        ops[i] = (struct kv_op){.kind = KV_OP_PUT,
                                .put = {.key = sl(rig_keys[first + i]), .value = kept}};
        note(rig, first + i, false, kept);
    }
    struct kv_request request = {.kind = KV_KIND_TXN, .txn = {.then_ops = {ops, count}}};
    apply(rig, &request, is_silent);
}

void rig_compact(struct rig *rig, int64_t revision)
{
    struct kv_request request = {.kind = KV_KIND_COMPACT, .compact = {.revision = revision}};
    struct kv_compact_progress progress = {.scheduled = 0, .finished = -1};
    rig->compact = revision;
    rig->changes.compact = revision;
    apply(rig, &request, true);
    while (progress.finished < progress.scheduled) {
        assert_int_equal(kv_compact_step(store_mem_txn(rig->store.mem), 100, &progress), 0);
    }
}

/* --- what clients hear --- */

static void write_pair(struct buf *out, const struct kv_pair *pair)
{
    buf_put(out, pair->key);
    buf_put_text(out, "=");
    buf_put(out, pair->value.len > 16 ? slice_from(pair->value.data, 16) : pair->value);
    buf_put_text(out, "@");
    buf_put_int(out, pair->create_revision);
    buf_put_text(out, ",");
    buf_put_int(out, pair->mod_revision);
    buf_put_text(out, ",");
    buf_put_int(out, pair->version);
}

static void write_response(struct buf *out, const struct kv_watch_response *response)
{
    buf_put_text(out, "id ");
    buf_put_int(out, response->watch_id);
    buf_put_text(out, " rev ");
    buf_put_int(out, response->header.revision);
    buf_put_text(out, response->is_created ? " created" : "");
    buf_put_text(out, response->is_canceled ? " canceled" : "");
    buf_put_text(out, response->is_fragment ? " fragment" : "");
    if (response->compact_revision != 0) {
        buf_put_text(out, " compact ");
        buf_put_int(out, response->compact_revision);
    }
    if (response->cancel_reason.len > 0) {
        buf_put_text(out, " '");
        buf_put(out, response->cancel_reason);
        buf_put_text(out, "'");
    }
    for (size_t i = 0; i < response->events.count; i++) {
        const struct kv_event *event = &response->events.items[i];
        buf_put_text(out, event->type == 0 ? " PUT " : " DELETE ");
        write_pair(out, &event->kv);
        if (event->has_prev_kv) {
            buf_put_text(out, " was ");
            write_pair(out, &event->prev_kv);
        }
    }
    buf_put_text(out, "\n");
}

struct rig_watch *rig_find(struct rig_client *client, int64_t id)
{
    for (size_t i = 0; i < RIG_WATCHES; i++) {
        struct rig_watch *watch = &client->watches[i];
        if (watch->is_used && watch->is_answered && watch->id == id && !watch->judge.is_canceled) {
            return watch;
        }
    }
    return NULL;
}

/* Creates are answered in order: the oldest that waits. */
static struct rig_watch *oldest_unanswered(struct rig_client *client)
{
    for (size_t i = 0; i < RIG_WATCHES; i++) {
        if (client->watches[i].is_used && !client->watches[i].is_answered) {
            return &client->watches[i];
        }
    }
    return NULL;
}

static struct chk_watch_response to_judge(const struct kv_watch_response *response,
                                          struct chk_watch_event *events)
{
    for (size_t i = 0; i < response->events.count; i++) {
        const struct kv_event *event = &response->events.items[i];
        events[i] = (struct chk_watch_event){
            .is_delete = event->type == 1,
            .key = event->kv.key,
            .value = event->kv.value,
            .create_revision = event->kv.create_revision,
            .mod_revision = event->kv.mod_revision,
            .version = event->kv.version,
            .has_prev = event->has_prev_kv,
            .prev_value = event->prev_kv.value,
            .prev_mod_revision = event->prev_kv.mod_revision,
        };
    }
    return (struct chk_watch_response){.revision = response->header.revision,
                                       .is_created = response->is_created,
                                       .is_canceled = response->is_canceled,
                                       .is_fragment = response->is_fragment,
                                       .compact_revision = response->compact_revision,
                                       .events = events,
                                       .count = response->events.count};
}

/* A failure, unless a planted bug is expected to break rules. */
static void found(struct rig *rig, const struct chk_result *result, const char *what, int64_t next)
{
    if (rig->may_break) {
        rig->broken = rig->broken == NULL ? result->text : rig->broken;
        return;
    }
    print_error("rule '%s' is broken, next %" PRId64 ": %s\n", result->text, next, what);
    fail();
}

static void judge(struct rig_client *client, struct rig_watch *watch,
                  const struct kv_watch_response *response)
{
    static struct chk_watch_event events[RIG_EVENTS_MAX];
    assert_true(response->events.count <= RIG_EVENTS_MAX);
    struct chk_watch_response told = to_judge(response, events);
    struct chk_result result = chk_watch_feed(&watch->judge, &client->rig->changes, &told);
    if (result.verdict != CHK_OK) {
        found(client->rig, &result, client->last, watch->judge.next);
    }
}

/* Progress for all watchers of the stream. */
static void judge_all(struct rig_client *client, const struct kv_watch_response *response)
{
    client->progress++;
    client->progress_revision = response->header.revision;
    for (size_t i = 0; i < RIG_WATCHES; i++) {
        struct rig_watch *watch = &client->watches[i];
        if (watch->is_used && watch->judge.is_created && !watch->judge.is_canceled) {
            judge(client, watch, response);
        }
    }
}

static void heard(struct rig_client *client, const struct kv_watch_response *response)
{
    struct rig_watch *watch = NULL;
    for (size_t i = 0; i < RIG_WATCHES; i++) { /* nothing comes between fragments */
        if (client->watches[i].is_used && client->watches[i].judge.is_in_fragment &&
            !client->watches[i].judge.is_canceled) {
            assert_int_equal(client->watches[i].id, response->watch_id);
        }
    }
    if (response->is_created) {
        watch = oldest_unanswered(client);
        if (watch != NULL) {
            watch->is_answered = true;
            watch->id = response->watch_id;
        }
    } else if (response->watch_id == -1 && response->events.count == 0 && !response->is_canceled) {
        judge_all(client, response);
        return;
    } else {
        watch = rig_find(client, response->watch_id);
    }
    if (watch == NULL) {
        fail_msg("nobody was to hear this: %s", client->last);
        return;
    }
    client->fragments += response->is_fragment;
    client->compacted += response->is_canceled && response->compact_revision != 0;
    if (!response->is_created && !response->is_canceled && response->events.count == 0) {
        client->progress++;
        client->progress_revision = response->header.revision;
    }
    judge(client, watch, response);
}

static int client_send(void *ctx, struct slice message)
{
    static _Alignas(16) uint8_t memory[4 << 20];
    struct rig_client *client = ctx;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_watch_response response;
    assert_false(client->is_ended);
    assert_non_null(client->stream);
    if (client->credits == 0) {
        client->is_busy = true;
        return BASE_E_BUSY;
    }
    client->credits -= client->credits != RIG_CREDITS_ALL;
    client->responses++;
    client->rig->sum = base_crc32c(client->rig->sum, message);
    assert_int_equal(wire_pb_decode(&wire_kv_watch_response_table, message, &arena, &response), 0);
    assert_true(response.has_header);
    assert_int_equal(response.header.cluster_id, 1);
    assert_int_equal(response.header.raft_term, 3);
    struct buf text = buf_over(client->last, sizeof(client->last) - 1);
    write_response(&text, &response);
    client->last[text.len] = '\0';
    if (client->rig->is_logging) {
        buf_put(&client->rig->log, buf_slice(&text));
    }
    heard(client, &response);
    return 0;
}

static void client_end(void *ctx, enum kv_error error)
{
    struct rig_client *client = ctx;
    assert_false(client->is_ended);
    client->is_ended = true;
    client->end_error = error;
}

/* --- what clients do --- */

void rig_connect(struct rig *rig, unsigned index, uint32_t credits)
{
    struct rig_client *client = &rig->clients[index];
    const struct kv_watch_sink sink = {.ctx = client, .send = client_send, .end = client_end};
    *client = (struct rig_client){.rig = rig, .credits = credits};
    assert_int_equal(kv_watch_stream_open(rig->hub, &sink, &client->stream), 0);
}

void rig_disconnect(struct rig *rig, unsigned index)
{
    struct rig_client *client = &rig->clients[index];
    if (client->stream != NULL) {
        kv_watch_stream_close(client->stream);
        client->stream = NULL;
    }
}

void rig_credit(struct rig *rig, unsigned index, uint32_t credits)
{
    struct rig_client *client = &rig->clients[index];
    client->credits = credits;
    if (client->is_busy && client->stream != NULL && credits > 0) {
        client->is_busy = false;
        kv_watch_writable(client->stream);
    }
}

struct rig_watch *rig_watch(struct rig *rig, unsigned index, const struct kv_watch_create *create)
{
    struct rig_client *client = &rig->clients[index];
    struct kv_watch_request request = {.which = 1, .create = *create};
    for (size_t i = 0; i < RIG_WATCHES; i++) {
        struct rig_watch *watch = &client->watches[i];
        if (watch->is_used) {
            continue;
        }
        *watch = (struct rig_watch){.is_used = true};
        watch->judge = (struct chk_watch){.key = create->key,
                                          .range_end = create->range_end,
                                          .start = create->start_revision,
                                          .is_prev_kv = create->is_prev_kv};
        for (size_t f = 0; f < create->filters.len; f++) {
            watch->judge.is_no_put = watch->judge.is_no_put || create->filters.data[f] == 0;
            watch->judge.is_no_delete = watch->judge.is_no_delete || create->filters.data[f] == 1;
        }
        kv_watch_stream_request(client->stream, &request, KV_OK);
        return watch;
    }
    return NULL;
}

void rig_cancel(struct rig *rig, unsigned index, int64_t id)
{
    struct kv_watch_request request = {.which = 2, .cancel = {.watch_id = id}};
    kv_watch_stream_request(rig->clients[index].stream, &request, KV_OK);
}

void rig_progress(struct rig *rig, unsigned index)
{
    struct kv_watch_request request = {.which = 3};
    kv_watch_stream_request(rig->clients[index].stream, &request, KV_OK);
}

void rig_check_end(struct rig *rig)
{
    for (unsigned c = 0; c < RIG_CLIENTS; c++) {
        struct rig_client *client = &rig->clients[c];
        for (size_t i = 0; i < RIG_WATCHES && client->stream != NULL; i++) {
            struct rig_watch *watch = &client->watches[i];
            if (!watch->is_used) {
                continue;
            }
            assert_true(watch->is_answered);
            struct chk_result result = chk_watch_end(&watch->judge, &rig->changes, rig->revision);
            if (result.verdict != CHK_OK) {
                found(rig, &result, "at the end", watch->judge.next);
            }
        }
    }
}
