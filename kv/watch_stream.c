/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of watchers: requests and their answers, what a client does not take, progress. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/watch_internal.h"
#include "proto/wire/kv_tables.h"

#define ANSWER_BYTES 512u
#define ID_NONE (-1)

void hub_header(const struct kv_watch_hub *hub, int64_t revision, struct kv_header *ret)
{
    hub->options.header(hub->options.ctx, ret);
    ret->revision = revision;
}

/* --- sending --- */

bool stream_takes(const struct kv_watch_stream *stream, const struct watcher *watcher)
{
    return !stream->is_blocked && !stream->is_dead && stream->answers_len == 0 &&
           (stream->fragmented == NULL || stream->fragmented == watcher);
}

void stream_die(struct kv_watch_stream *stream, enum kv_error error)
{
    if (stream->is_dead) {
        return;
    }
    stream->is_dead = true;
    stream->end_error = error;
    if (!stream->is_in_dead_list) {
        stream->is_in_dead_list = true;
        stream->dead_next = stream->hub->dead;
        stream->hub->dead = stream;
    }
}

int stream_send(struct kv_watch_stream *stream, struct slice message)
{
    if (stream->is_dead) {
        return BASE_E_CLOSED;
    }
    int rc = stream->sink.send(stream->sink.ctx, message);
    if (rc == 0) {
        stream->hub->stats.responses++;
    } else if (rc == BASE_E_BUSY) {
        stream->is_blocked = true;
    } else {
        stream_die(stream, KV_OK);
    }
    return rc;
}

/* Keeps an answer until the stream takes messages again. */
static void keep_answer(struct kv_watch_stream *stream, struct slice message)
{
    size_t needed = stream->answers_len + 4 + message.len;
    if (needed > KV_WATCH_ANSWERS_BYTES) {
        stream_die(stream, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    if (needed > stream->answers_cap) {
        size_t cap = needed < 1024 ? 1024 : needed * 2;
        uint8_t *fresh = malloc(cap);
        if (fresh == NULL) {
            stream_die(stream, KV_E_TOO_MANY_REQUESTS);
            return;
        }
        if (stream->answers_len > 0) {
            memcpy(fresh, stream->answers, stream->answers_len);
        }
        free(stream->answers);
        stream->answers = fresh;
        stream->answers_cap = cap;
    }
    struct buf out = buf_over(stream->answers, stream->answers_cap);
    out.len = stream->answers_len;
    buf_put_u32_be(&out, (uint32_t)message.len);
    buf_put(&out, message);
    stream->answers_len = out.len;
}

void stream_answer(struct kv_watch_stream *stream, const struct kv_watch_response *response)
{
    uint8_t memory[ANSWER_BYTES];
    struct buf out = buf_over(memory, sizeof(memory));
    if (stream->is_dead) {
        return;
    }
    int rc = wire_pb_encode(&wire_kv_watch_response_table, response, &out);
    BASE_ASSERT(rc == 0);
    bool is_free = !stream->is_blocked && stream->answers_len == 0 && stream->fragmented == NULL;
    if (!is_free || stream_send(stream, buf_slice(&out)) == BASE_E_BUSY) {
        keep_answer(stream, buf_slice(&out));
    }
}

/* Sends the answers that wait. */
static void flush_answers(struct kv_watch_stream *stream)
{
    struct slice rest = slice_from(stream->answers, stream->answers_len);
    while (rest.len > 0) {
        uint32_t len = 0;
        struct slice message = SLICE_EMPTY;
        struct slice after = rest;
        int rc = slice_take_u32_be(&after, &len);
        BASE_ASSERT(rc == 0);
        rc = slice_take_bytes(&after, len, &message);
        BASE_ASSERT(rc == 0);
        if (stream_send(stream, message) != 0) {
            break;
        }
        rest = after;
    }
    if (rest.len == 0) {
        free(stream->answers);
        stream->answers = NULL;
        stream->answers_cap = 0;
    } else if (rest.data != stream->answers) {
        memmove(stream->answers, rest.data, rest.len);
    }
    stream->answers_len = rest.len;
}

void stream_set_turn(struct kv_watch_stream *stream, struct watcher *watcher)
{
    if (stream->turn == NULL) {
        stream->turn = watcher;
    }
}

/* Those from `first` to before `end` that were blocked wait for a read. */
static void unblock(struct kv_watch_stream *stream, struct watcher *first,
                    const struct watcher *end)
{
    for (struct watcher *w = first; w != end; w = w->stream_next) {
        if (w->state == WATCHER_BLOCKED && stream_takes(stream, w)) {
            watcher_move(w, WATCHER_WAITING);
        }
    }
}

/* The stream takes messages: first a revision under way in fragments, then answers, then the rest.
 */
static void stream_resume(struct kv_watch_stream *stream)
{
    if (stream->fragmented == NULL) {
        flush_answers(stream);
    }
    struct watcher *turn = stream->turn;
    stream->turn = NULL;
    if (turn != NULL) {
        unblock(stream, turn, NULL);
    }
    unblock(stream, stream->first, turn);
    stream_progress_due(stream);
}

void stream_unfragment(struct kv_watch_stream *stream)
{
    stream->fragmented = NULL;
    stream->fragment_sent = 0;
    if (!stream->is_blocked && !stream->is_dead) {
        stream_resume(stream);
    }
}

void kv_watch_writable(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    hub_enter(hub);
    if (!stream->is_dead && stream->is_blocked) {
        stream->is_blocked = false;
        stream_resume(stream);
    }
    hub_leave(hub);
}

/* --- progress --- */

void stream_set_progress(struct kv_watch_stream *stream, int64_t wanted)
{
    stream->hub->progress_wanted +=
        (uint32_t)(wanted != 0) - (uint32_t)(stream->progress_wanted != 0);
    stream->progress_wanted = wanted;
}

/* Whether the watcher has been sent everything up to the newest revision sent to all, and may hear
 * of it. */
static bool may_hear_progress(struct watcher *watcher)
{
    const struct kv_watch_hub *hub = watcher->stream->hub;
    if (watcher->is_future && hub->shared_next > watcher->next) {
        watcher->is_future = false;
    }
    /* one that came from history may be ahead of what was sent to all */
    return watcher->state == WATCHER_SYNCED && !watcher->is_future &&
           watcher->next <= hub->shared_next;
}

void stream_progress_due(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    struct kv_watch_response response = {.has_header = true, .watch_id = ID_NONE};
    uint8_t memory[ANSWER_BYTES];
    struct buf out = buf_over(memory, sizeof(memory));
    if (stream->progress_wanted == 0 || stream->unsynced > 0 || !stream_takes(stream, NULL) ||
        (stream->watchers > 0 && hub->shared_next <= stream->progress_wanted)) {
        return;
    }
    for (struct watcher *w = stream->first; w != NULL; w = w->stream_next) {
        if (!may_hear_progress(w)) {
            return;
        }
    }
    hub_header(hub, stream->watchers > 0 ? hub->shared_next - 1 : hub->revision, &response.header);
    int rc = wire_pb_encode(&wire_kv_watch_response_table, &response, &out);
    BASE_ASSERT(rc == 0);
    if (stream_send(stream, buf_slice(&out)) == 0) {
        stream_set_progress(stream, 0);
    }
}

static void set_progress_timer(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    int64_t interval = hub->options.progress_us;
    int64_t jitter = (int64_t)base_rand_between(&hub->rand, 0, (uint64_t)interval / 10);
    stream->progress_at = (struct base_mono){hub->now.us + interval + jitter};
}

void stream_tick(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    set_progress_timer(stream);
    for (struct watcher *w = stream->first; w != NULL; w = w->stream_next) {
        if (!w->is_progress_notify) {
            continue;
        }
        bool is_due = !w->has_heard && may_hear_progress(w) && stream_takes(stream, w);
        w->has_heard = false;
        if (is_due) {
            struct kv_watch_response response = {.has_header = true, .watch_id = w->id};
            uint8_t memory[ANSWER_BYTES];
            struct buf out = buf_over(memory, sizeof(memory));
            hub_header(hub, hub->shared_next - 1, &response.header);
            int rc = wire_pb_encode(&wire_kv_watch_response_table, &response, &out);
            BASE_ASSERT(rc == 0);
            (void)stream_send(stream, buf_slice(&out));
        }
    }
}

/* --- watchers --- */

void watcher_free(struct watcher *watcher)
{
    struct kv_watch_stream *stream = watcher->stream;
    struct kv_watch_hub *hub = stream->hub;
    struct group *group = watcher->group;
    watcher_move(watcher, WATCHER_BLOCKED);
    index_id_remove(hub, watcher);
    *(watcher->group_prev == NULL ? &group->first : &watcher->group_prev->group_next) =
        watcher->group_next;
    if (watcher->group_next != NULL) {
        watcher->group_next->group_prev = watcher->group_prev;
    }
    *(watcher->stream_prev == NULL ? &stream->first : &watcher->stream_prev->stream_next) =
        watcher->stream_next;
    if (watcher->stream_next != NULL) {
        watcher->stream_next->stream_prev = watcher->stream_prev;
    }
    if (stream->turn == watcher) {
        stream->turn = watcher->stream_next;
    }
    group->prev_kv -= watcher->is_prev_kv;
    hub->prev_kv -= watcher->is_prev_kv;
    stream->notifying -= watcher->is_progress_notify;
    stream->watchers--;
    stream->unsynced--; /* as BLOCKED */
    index_leave(hub, group);
    if (stream->fragmented == watcher) {
        stream_unfragment(stream);
    }
    free(watcher);
}

void watcher_cancel(struct watcher *watcher, int64_t compact, struct slice reason)
{
    struct kv_watch_stream *stream = watcher->stream;
    struct kv_watch_response response = {.has_header = true,
                                         .watch_id = watcher->id,
                                         .is_canceled = true,
                                         .compact_revision = compact,
                                         .cancel_reason = reason};
    stream->hub->stats.canceled_compacted += compact != 0;
    hub_header(stream->hub, compact != 0 ? 0 : stream->hub->revision, &response.header);
    bool was_fragmented = stream->fragmented == watcher;
    if (was_fragmented) { /* what was begun is void */
        stream->fragmented = NULL;
        stream->fragment_sent = 0;
    }
    stream_answer(stream, &response);
    watcher_free(watcher);
    if (was_fragmented && !stream->is_blocked && !stream->is_dead) {
        stream_resume(stream);
    }
}

/* --- requests --- */

static void refuse(struct kv_watch_stream *stream, struct slice reason)
{
    struct kv_watch_response response = {.has_header = true,
                                         .watch_id = ID_NONE,
                                         .is_created = true,
                                         .is_canceled = true,
                                         .cancel_reason = reason};
    hub_header(stream->hub, stream->hub->revision, &response.header);
    stream_answer(stream, &response);
}

/* The texts in which etcd wraps the walker's refusals. */
static const char *code_name(int code)
{
    static const char *const names[] = {
        [3] = "InvalidArgument",   [5] = "NotFound",           [7] = "PermissionDenied",
        [8] = "ResourceExhausted", [9] = "FailedPrecondition", [14] = "Unavailable",
        [16] = "Unauthenticated",
    };
    bool is_known = code >= 0 && (size_t)code < BASE_COUNT_OF(names) && names[code] != NULL;
    return is_known ? names[code] : "Unknown";
}

static void refuse_denied(struct kv_watch_stream *stream, enum kv_error denied)
{
    uint8_t memory[256];
    struct buf reason = buf_over(memory, sizeof(memory));
    buf_put_text(&reason, "rpc error: code = ");
    buf_put_text(&reason, code_name(kv_error_grpc(denied)));
    buf_put_text(&reason, " desc = ");
    buf_put_text(&reason, kv_error_text(denied));
    refuse(stream, buf_slice(&reason));
}

/* Empty key means the first one there can be; a range_end of one zero byte has no end. */
static struct kv_interval keys_of(const struct kv_watch_create *create)
{
    static const uint8_t zero = 0;
    struct kv_interval keys = {create->key, create->range_end};
    if (keys.key.len == 0) {
        keys.key = slice_from(&zero, 1);
    }
    return keys;
}

static bool is_empty(struct kv_interval keys)
{
    bool is_endless = keys.end.len == 1 && keys.end.data[0] == 0;
    return keys.end.len > 0 && !is_endless && slice_compare(keys.key, keys.end) >= 0;
}

static bool has_filter(const struct kv_watch_create *create, uint8_t filter)
{
    for (size_t i = 0; i < create->filters.len; i++) {
        if (create->filters.data[i] == filter) {
            return true;
        }
    }
    return false;
}

static struct watcher *watcher_make(struct kv_watch_stream *stream,
                                    const struct kv_watch_create *create, int64_t id)
{
    struct kv_watch_hub *hub = stream->hub;
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    struct group *group = watcher == NULL ? NULL : index_join(hub, keys_of(create));
    if (group == NULL) {
        free(watcher);
        return NULL;
    }
    watcher->stream = stream;
    watcher->group = group;
    watcher->id = id;
    watcher->state = WATCHER_BLOCKED;
    watcher->is_prev_kv = create->is_prev_kv;
    watcher->is_no_put = has_filter(create, 0);
    watcher->is_no_delete = has_filter(create, 1);
    watcher->is_fragment = create->is_fragment;
    watcher->is_progress_notify = create->is_progress_notify;
    if (!index_id_add(hub, watcher)) {
        index_leave(hub, group);
        free(watcher);
        return NULL;
    }
    watcher->group_next = group->first;
    watcher->stream_next = stream->first;
    if (group->first != NULL) {
        group->first->group_prev = watcher;
    }
    if (stream->first != NULL) {
        stream->first->stream_prev = watcher;
    }
    group->first = watcher;
    stream->first = watcher;
    group->prev_kv += watcher->is_prev_kv;
    hub->prev_kv += watcher->is_prev_kv;
    stream->watchers++;
    stream->unsynced++;
    if (watcher->is_progress_notify && stream->notifying++ == 0) {
        set_progress_timer(stream);
    }
    return watcher;
}

static void watcher_start(struct watcher *watcher, int64_t start)
{
    struct kv_watch_stream *stream = watcher->stream;
    struct kv_watch_hub *hub = stream->hub;
    watcher->next = start > 0 ? start : (start == 0 ? hub->revision + 1 : 1);
    watcher->is_refused = start < 0;
    watcher->is_future = start > hub->revision || (start > 0 && start >= hub->shared_next);
    if (!watcher->is_refused && hub_is_synced_from(hub, watcher->next)) {
        watcher_move(watcher, WATCHER_SYNCED);
    } else if (stream_takes(stream, watcher)) {
        watcher_move(watcher, WATCHER_WAITING);
    }
}

/* The id asked for, or the next free one; false when it is taken. */
static bool choose_id(struct kv_watch_stream *stream, int64_t wanted, int64_t *ret)
{
    if (wanted != 0) {
        *ret = wanted;
        return index_id_find(stream->hub, stream, wanted) == NULL;
    }
    while (index_id_find(stream->hub, stream, stream->next_id) != NULL) {
        stream->next_id++;
    }
    *ret = stream->next_id++;
    return true;
}

static void create_watcher(struct kv_watch_stream *stream, const struct kv_watch_create *create,
                           enum kv_error denied)
{
    struct kv_watch_hub *hub = stream->hub;
    int64_t id = 0;
    if (denied != KV_OK) {
        refuse_denied(stream, denied);
    } else if (create->key.len > KV_WATCH_KEY_MAX || create->range_end.len > KV_WATCH_KEY_MAX) {
        refuse(stream, SLICE_LIT("quorate: key or range_end is too long to be watched"));
    } else if (is_empty(keys_of(create))) {
        refuse(stream, SLICE_LIT("mvcc: watcher range is empty"));
    } else if (hub->ids.count >= KV_WATCHERS_MAX) {
        refuse(stream, SLICE_LIT("etcdserver: too many requests"));
    } else if (!choose_id(stream, create->watch_id, &id)) {
        refuse(stream, SLICE_LIT("mvcc: duplicate watch ID provided on the WatchStream"));
    } else {
        struct watcher *watcher = watcher_make(stream, create, id);
        struct kv_watch_response response = {
            .has_header = true, .watch_id = id, .is_created = true};
        if (watcher == NULL) {
            stream_die(stream, KV_E_TOO_MANY_REQUESTS);
            return;
        }
        hub_header(hub, hub->revision, &response.header);
        stream_answer(stream, &response);
        watcher_start(watcher, create->start_revision);
    }
}

static void cancel_watcher(struct kv_watch_stream *stream, int64_t id)
{
    struct watcher *watcher = index_id_find(stream->hub, stream, id);
    if (watcher != NULL) {
        watcher_cancel(watcher, 0, SLICE_EMPTY);
        stream_progress_due(stream);
    }
}

void kv_watch_stream_request(struct kv_watch_stream *stream, const struct kv_watch_request *request,
                             enum kv_error denied)
{
    struct kv_watch_hub *hub = stream->hub;
    hub_enter(hub);
    if (stream->is_dead) {
        /* nobody hears the answer */
    } else if (request->which == 1) {
        create_watcher(stream, &request->create, denied);
    } else if (request->which == 2) {
        cancel_watcher(stream, request->cancel.watch_id);
    } else if (request->which == 3) {
        stream_set_progress(stream, hub->revision);
        stream_progress_due(stream);
    }
    hub_leave(hub);
}

/* --- streams --- */

int kv_watch_stream_open(struct kv_watch_hub *hub, const struct kv_watch_sink *sink,
                         struct kv_watch_stream **ret)
{
    if (!hub->is_known || hub->is_halted || hub->streams_count >= KV_WATCH_STREAMS_MAX) {
        return BASE_E_BUSY;
    }
    struct kv_watch_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return BASE_E_NOMEM;
    }
    stream->hub = hub;
    stream->sink = *sink;
    stream->number = ++hub->last_stream;
    stream->next = hub->streams;
    if (hub->streams != NULL) {
        hub->streams->prev = stream;
    }
    hub->streams = stream;
    hub->streams_count++;
    *ret = stream;
    return 0;
}

void stream_free(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    stream->is_dead = true;
    stream->fragmented = NULL;
    while (stream->first != NULL) {
        watcher_free(stream->first);
    }
    stream_set_progress(stream, 0);
    *(stream->prev == NULL ? &hub->streams : &stream->prev->next) = stream->next;
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    hub->streams_count--;
    free(stream->answers);
    free(stream);
}

void kv_watch_stream_close(struct kv_watch_stream *stream)
{
    struct kv_watch_hub *hub = stream->hub;
    hub_enter(hub);
    stream->is_dead = true;
    stream->is_closed = true;
    stream->end_error = KV_OK;
    if (!stream->is_in_dead_list) {
        stream->is_in_dead_list = true;
        stream->dead_next = hub->dead;
        hub->dead = stream;
    }
    hub_leave(hub);
}
