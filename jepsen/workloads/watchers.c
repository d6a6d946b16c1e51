/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers: one stream each, dropped now and then, taken up again where it ended.
 *
 * Pinned ones stay with their node and wait for it; the others go on to the next node, which may be
 * behind the one that told the last revision. A watch that is cancelled with a compact revision
 * begins there again, as clients of etcd do. Everything heard is kept for the judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jepsen/workloads/load.h"
#include "proto/wire/kv_tables.h"

#define ARENA_BYTES ((size_t)4 << 20)

struct listening {
    struct watcher *w;
    struct io_grpc_client *client;
    struct base_arena arena;
    int64_t drop_at_us; /* by its own will */
    int64_t ask_at_us;  /* for progress */
    bool is_lost;
};

static bool ask(struct listening *l, const struct kv_watch_request *request)
{
    uint8_t memory[256];
    struct io_why why = {""};
    struct buf out = buf_over(memory, sizeof(memory));
    return wire_pb_encode(&wire_kv_watch_request_table, request, &out) == 0 &&
           io_grpc_stream_send(l->client, buf_slice(&out), CALL_MS, &why) == 0;
}

static bool create(struct listening *l)
{
    static const uint8_t no_deletes = 1;
    struct watcher *w = l->w;
    struct kv_watch_request request = {.which = 1, .create = {.start_revision = w->next}};
    if (w->is_all) {
        request.create.key = SLICE_LIT("\0");
        request.create.range_end = SLICE_LIT("\0");
        request.create.is_prev_kv = true;
    } else {
        request.create.key = SLICE_LIT("g/");
        request.create.range_end = SLICE_LIT("g0");
        request.create.filters = slice_from(&no_deletes, 1);
    }
    w->sessions = load_room(w->sessions, w->sessions_count, &w->sessions_cap, sizeof(*w->sessions));
    w->sessions[w->sessions_count++] =
        (struct session){.start = w->next, .first = w->responses_count};
    return ask(l, &request);
}

static void keep_event(struct watcher *w, const struct kv_event *event)
{
    w->events = load_room(w->events, w->events_count, &w->events_cap, sizeof(*w->events));
    struct heard *heard = &w->events[w->events_count++];
    load_keep_pair(&event->kv, heard);
    heard->is_delete = event->type == 1;
    heard->value = heard->is_delete ? 0 : heard->value;
    heard->has_prev = event->has_prev_kv;
    if (event->has_prev_kv) {
        heard->prev_value = load_number(event->prev_kv.value);
        heard->prev_mod_revision = event->prev_kv.mod_revision;
    }
}

/* Where a client goes on that has heard this. */
static void move_on(struct watcher *w, const struct kv_watch_response *response)
{
    int64_t heard = 0;
    if (response->is_canceled) {
        w->cancels += response->compact_revision != 0;
        w->next = response->compact_revision != 0 ? response->compact_revision : w->next;
        return;
    }
    if (response->is_created) {
        heard = w->next == 0 ? response->header.revision : 0;
    } else if (response->events.count == 0) {
        heard = response->header.revision;
    } else {
        heard = response->events.items[response->events.count - 1].kv.mod_revision;
    }
    w->next = heard + 1 > w->next ? heard + 1 : w->next;
    if (!response->is_created) {
        pthread_mutex_lock(&w->load->lock);
        w->heard_to = heard > w->heard_to ? heard : w->heard_to;
        pthread_mutex_unlock(&w->load->lock);
    }
}

static void keep(struct listening *l, const struct kv_watch_response *response)
{
    struct watcher *w = l->w;
    w->responses =
        load_room(w->responses, w->responses_count, &w->responses_cap, sizeof(*w->responses));
    w->responses[w->responses_count++] =
        (struct response){.at_us = io_now().us,
                          .revision = response->header.revision,
                          .compact_revision = response->compact_revision,
                          .first = w->events_count,
                          .count = response->events.count,
                          .is_created = response->is_created,
                          .is_canceled = response->is_canceled};
    w->sessions[w->sessions_count - 1].count++;
    for (size_t i = 0; i < response->events.count; i++) {
        keep_event(w, &response->events.items[i]);
    }
    move_on(w, response);
    l->is_lost = l->is_lost || response->is_canceled;
}

static void listen_once(struct listening *l)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    struct kv_watch_response response;
    bool is_end = false;
    int rc = io_grpc_stream_next(l->client, 100, &answer, &is_end, &why);
    if (rc == BASE_E_TIMEOUT) {
        return;
    }
    if (rc != 0 || is_end) {
        if (rc == 0) {
            io_grpc_answer_free(&answer);
        }
        l->is_lost = true;
        return;
    }
    base_arena_reset(&l->arena);
    if (wire_pb_decode(&wire_kv_watch_response_table, slice_from(answer.data, answer.len),
                       &l->arena, &response) != 0) {
        load_give_up("watch", "malformed response");
    }
    keep(l, &response);
    io_grpc_answer_free(&answer);
}

static void listen_on(struct listening *l)
{
    const struct kv_watch_request progress = {.which = 3};
    l->drop_at_us = io_now().us + (int64_t)base_rand_between(&l->w->rand, 1000000, 15000000);
    l->ask_at_us = 0;
    l->is_lost = !create(l);
    while (!l->is_lost && !atomic_load(&l->w->load->is_over)) {
        listen_once(l);
        int64_t now = io_now().us;
        if (!l->is_lost && now > l->ask_at_us) {
            l->ask_at_us = now + (int64_t)base_rand_between(&l->w->rand, 200000, 1000000);
            l->is_lost = !ask(l, &progress);
        }
        l->is_lost = l->is_lost || now > l->drop_at_us;
    }
}

void *load_watcher(void *watcher)
{
    struct watcher *w = watcher;
    void *memory = malloc(ARENA_BYTES);
    struct listening l = {.w = w, .arena = base_arena_over(memory, ARENA_BYTES)};
    struct io_why why = {""};
    load_enter_host(w->load, (uint64_t)w->number);
    if (memory == NULL || io_grpc_client_new(&w->load->client, &l.client, &why) != 0) {
        load_give_up("watcher", why.text);
    }
    size_t endpoints = io_grpc_client_endpoints(l.client);
    size_t at = (size_t)w->number % endpoints;
    io_grpc_client_pin(l.client, at);
    while (!atomic_load(&w->load->is_over)) {
        if (io_grpc_stream_open(l.client, "/etcdserverpb.Watch/Watch", CALL_MS, &why) == 0) {
            listen_on(&l);
        }
        io_grpc_stream_close(l.client);
        at = w->is_pinned ? at : (at + 1) % endpoints;
        io_grpc_client_pin(l.client, at);
        load_nap_us((int64_t)base_rand_between(&w->rand, 5000, 100000));
    }
    (void)io_grpc_client_free(l.client);
    free(memory);
    return NULL;
}
