/* SPDX-License-Identifier: Apache-2.0 */
/* From a batch of events to the watchers they are for. A response holds whole revisions; one that
 * is too large for a response goes alone, in fragments when the watcher asked for them. What a
 * stream does not take leaves the watcher behind at exactly the first revision not sent. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "kv/watch_internal.h"
#include "proto/wire/kv_tables.h"

#define PREFIX_BYTES 128u /* a response without events */
#define TAG_EVENTS 0x5au  /* field 11 of WatchResponse, a message */

/* Consecutive events of the batch for one watcher, linked by `pick`. */
struct part {
    uint32_t first;   /* the first that is for it */
    uint32_t end;     /* behind the last; NOTHING: there are no more */
    int64_t revision; /* of the last one */
    size_t events;
    size_t bytes;
};

/* --- encoding --- */

static bool is_for(const struct watcher *watcher, const struct record *record)
{
    return record->revision >= watcher->next &&
           !(record->is_delete ? watcher->is_no_delete : watcher->is_no_put);
}

static size_t event_len(const struct watcher *watcher, const struct record *record)
{
    return (size_t)record->body_len + (watcher->is_prev_kv ? record->prev_len : 0);
}

static size_t length_len(size_t len)
{
    size_t bytes = 1;
    while (len >= 0x80) {
        len >>= 7;
        bytes++;
    }
    return bytes;
}

static size_t wire_len(const struct watcher *watcher, const struct record *record)
{
    size_t len = event_len(watcher, record);
    return 1 + length_len(len) + len;
}

static void put_event(struct buf *out, const struct watcher *watcher, const struct record *record)
{
    const struct watch_read *read = &watcher->stream->hub->read;
    size_t len = event_len(watcher, record);
    buf_put_u8(out, TAG_EVENTS);
    for (size_t left = len; true; left >>= 7) {
        if (left < 0x80) {
            buf_put_u8(out, (uint8_t)left);
            break;
        }
        buf_put_u8(out, (uint8_t)(left | 0x80));
    }
    buf_put(out, slice_from(read->bytes + record->at + record->key_len, len));
}

/* The hub's memory for one message; false without memory. */
static bool message_ready(struct kv_watch_hub *hub, size_t bytes)
{
    if (bytes <= hub->message_cap) {
        return true;
    }
    size_t cap = bytes < 4096 ? 4096 : bytes + bytes / 4;
    uint8_t *fresh = malloc(cap);
    if (fresh == NULL) {
        return false;
    }
    free(hub->message);
    hub->message = fresh;
    hub->message_cap = cap;
    return true;
}

/* Encodes and sends the events of [from, end) that are for the watcher. */
static int send_message(struct watcher *watcher, uint32_t from, uint32_t end, size_t bytes,
                        int64_t revision, bool is_fragment)
{
    struct kv_watch_stream *stream = watcher->stream;
    struct kv_watch_hub *hub = stream->hub;
    struct kv_watch_response response = {
        .has_header = true, .watch_id = watcher->id, .is_fragment = is_fragment};
    if (!message_ready(hub, PREFIX_BYTES + bytes)) {
        stream_die(stream, KV_E_TOO_MANY_REQUESTS);
        return BASE_E_NOMEM;
    }
    struct buf out = buf_over(hub->message, hub->message_cap);
    hub_header(hub, revision, &response.header);
    int rc = wire_pb_encode(&wire_kv_watch_response_table, &response, &out);
    BASE_ASSERT(rc == 0);
    uint64_t events = 0;
    for (uint32_t i = from; i != end; i = hub->read.records[i].pick) {
        if (is_for(watcher, &hub->read.records[i])) {
            put_event(&out, watcher, &hub->read.records[i]);
            events++;
        }
    }
    BASE_ASSERT(!out.is_full);
    rc = stream_send(stream, buf_slice(&out));
    if (rc == 0) {
        watcher->has_heard = true;
        watcher->is_future = false;
        hub->stats.events += events;
    }
    return rc;
}

/* --- one watcher --- */

/* Planted bug: an end in the middle of a revision. */
static bool is_split(const struct part *part)
{
    return CANARY(WATCH_SPLITS_REVISION) && part->events > 0;
}

/* Whole revisions from record `at` on, as many as make up one response, at least one that holds
 * something for the watcher. */
static struct part next_part(const struct watcher *watcher, uint32_t at)
{
    const struct record *records = watcher->stream->hub->read.records;
    struct part part = {.first = NOTHING, .end = at};
    while (part.end != NOTHING) {
        struct part run = {.first = NOTHING, .end = part.end};
        int64_t revision = records[run.end].revision;
        for (; run.end != NOTHING && records[run.end].revision == revision && !is_split(&run);
             run.end = records[run.end].pick) {
            if (is_for(watcher, &records[run.end])) {
                run.first = run.first == NOTHING ? run.end : run.first;
                run.bytes += wire_len(watcher, &records[run.end]);
                run.events++;
            }
        }
        if (is_split(&part) ||
            (part.events > 0 && part.bytes + run.bytes > KV_WATCH_RESPONSE_BYTES)) {
            break;
        }
        part.first = part.first == NOTHING ? run.first : part.first;
        part.end = run.end;
        part.revision = revision;
        part.events += run.events;
        part.bytes += run.bytes;
    }
    return part;
}

/* The events up to one fragment's size, at least one. */
static struct part next_fragment(const struct watcher *watcher, uint32_t at, uint32_t end)
{
    const struct record *records = watcher->stream->hub->read.records;
    struct part part = {.first = at, .end = at};
    while (part.end != end) {
        const struct record *record = &records[part.end];
        if (is_for(watcher, record)) {
            size_t len = wire_len(watcher, record);
            if (part.events > 0 && part.bytes + len > KV_WATCH_FRAGMENT_BYTES) {
                break;
            }
            part.bytes += len;
            part.events++;
        }
        part.end = record->pick;
    }
    return part;
}

/* Where a sequence of fragments goes on that the stream did not take as a whole. */
static uint32_t skip_sent(const struct watcher *watcher, uint32_t at, size_t sent)
{
    const struct record *records = watcher->stream->hub->read.records;
    while (at != NOTHING && sent > 0) {
        sent -= is_for(watcher, &records[at]);
        at = records[at].pick;
    }
    return at;
}

static int send_fragments(struct watcher *watcher, const struct part *part, int64_t revision)
{
    struct kv_watch_stream *stream = watcher->stream;
    size_t sent = stream->fragmented == watcher ? stream->fragment_sent : 0;
    uint32_t at = skip_sent(watcher, part->first, sent);
    while (sent < part->events) {
        struct part fragment = next_fragment(watcher, at, part->end);
        bool is_last = sent + fragment.events >= part->events;
        int rc = send_message(watcher, at, fragment.end, fragment.bytes, revision, !is_last);
        if (rc != 0) {
            return rc;
        }
        sent += fragment.events;
        at = fragment.end;
        stream->fragmented = is_last ? stream->fragmented : watcher;
        stream->fragment_sent = (uint32_t)sent;
    }
    if (stream->fragmented == watcher) {
        stream_unfragment(stream);
    }
    return 0;
}

/* Sends what is for the watcher of the records linked from `at`; after it, everything up to
 * `through` is done. False: it has fallen behind. */
static bool send_events(struct watcher *watcher, uint32_t at, int64_t through)
{
    struct kv_watch_stream *stream = watcher->stream;
    while (at != NOTHING) {
        struct part part = next_part(watcher, at);
        at = part.end;
        if (part.events == 0) {
            break;
        }
        int64_t revision = at == NOTHING ? through : part.revision;
        int rc = BASE_E_BUSY;
        if (!stream_takes(stream, watcher)) {
            rc = BASE_E_BUSY;
        } else if (stream->fragmented == watcher ||
                   (watcher->is_fragment && part.bytes > KV_WATCH_FRAGMENT_BYTES)) {
            rc = send_fragments(watcher, &part, revision);
        } else {
            rc = send_message(watcher, part.first, part.end, part.bytes, revision, false);
        }
        if (rc != 0) {
            MARK(WATCH_FELL_BEHIND);
            stream_set_turn(stream, watcher);
            watcher_behind(watcher, stream->hub->read.records[part.first].revision);
            return false;
        }
        watcher->next = part.revision + 1;
    }
    if (watcher->next <= through) {
        watcher->next = through + 1;
        watcher->is_future = false;
    }
    return true;
}

/* --- all that are at the newest revision --- */

static int add_match(struct kv_watch_hub *hub, struct group *group, void *ctx)
{
    const uint32_t *record = ctx;
    if (group->synced == 0) {
        return 0;
    }
    if (hub->matches_count == MATCHES_MAX) {
        return 1;
    }
    uint32_t at = (uint32_t)hub->matches_count++;
    hub->sends += group->synced;
    hub->matches[at] = (struct match){.record = *record, .next = NOTHING};
    if (group->match_first == NOTHING) {
        group->match_first = at;
        hub->touched[hub->touched_count++] = group;
    } else {
        hub->matches[group->match_last].next = at;
    }
    group->match_last = at;
    return 0;
}

/* Takes back the matches of records from `first` on. */
static void drop_matches(struct kv_watch_hub *hub, uint32_t first)
{
    for (size_t i = 0; i < hub->touched_count; i++) {
        struct group *group = hub->touched[i];
        uint32_t *link = &group->match_first;
        while (*link != NOTHING && hub->matches[*link].record < first) {
            group->match_last = *link;
            link = &hub->matches[*link].next;
        }
        *link = NOTHING;
    }
}

/* Matches whole revisions from record `at` on while there is room and not too much to send at once.
 * Returns where it ended; `at` itself when not even one revision fits. */
static uint32_t match_some(struct kv_watch_hub *hub, uint32_t at)
{
    const struct watch_read *read = &hub->read;
    uint32_t start = at; /* of the revision under way */
    hub->matches_count = 0;
    hub->touched_count = 0;
    hub->sends = 0;
    for (uint32_t i = at; i < read->count; i++) {
        if (read->records[i].revision != read->records[start].revision) {
            start = i;
            if (hub->sends >= hub->options.sends_max) {
                return start;
            }
        }
        if (index_each(hub, record_key(read, &read->records[i]), add_match, &i) != 0) {
            drop_matches(hub, start);
            return start;
        }
    }
    return (uint32_t)read->count;
}

/* Links the records that a group's matches name. */
static uint32_t pick_matches(struct kv_watch_hub *hub, const struct group *group)
{
    struct record *records = hub->read.records;
    for (uint32_t i = group->match_first; i != NOTHING; i = hub->matches[i].next) {
        uint32_t next = hub->matches[i].next;
        records[hub->matches[i].record].pick =
            next == NOTHING ? NOTHING : hub->matches[next].record;
    }
    return group->match_first == NOTHING ? NOTHING : hub->matches[group->match_first].record;
}

static void send_touched(struct kv_watch_hub *hub, int64_t through)
{
    for (size_t i = 0; i < hub->touched_count; i++) {
        struct group *group = hub->touched[i];
        uint32_t first = pick_matches(hub, group);
        for (struct watcher *w = group->first; w != NULL && first != NOTHING; w = w->group_next) {
            if (w->state == WATCHER_SYNCED) {
                (void)send_events(w, first, through);
            }
        }
        group->match_first = NOTHING;
    }
}

/* What cannot be sent together is served one by one: everybody owed something is behind. */
static void shared_give_up(struct kv_watch_hub *hub, int64_t compact)
{
    for (struct kv_watch_stream *stream = hub->streams; stream != NULL; stream = stream->next) {
        for (struct watcher *w = stream->first, *next = NULL; w != NULL; w = next) {
            next = w->stream_next;
            int64_t owed = w->next > hub->shared_next ? w->next : hub->shared_next;
            if (w->state != WATCHER_SYNCED || owed > hub->read.result.revision) {
                continue;
            }
            if (owed < compact) {
                watcher_cancel(w, compact, SLICE_EMPTY);
            } else {
                watcher_behind(w, owed);
            }
        }
    }
    if (hub->shared_next <= hub->read.result.revision) {
        hub->shared_next = hub->read.result.revision + 1;
    }
}

void send_shared(struct kv_watch_hub *hub)
{
    const struct watch_read *read = &hub->read;
    const struct kv_history_result *result = &read->result;
    if (result->is_compacted || (result->is_cut && result->next == hub->shared_next)) {
        shared_give_up(hub, result->is_compacted ? result->compact : 0);
        return;
    }
    for (uint32_t at = 0; at < read->count;) {
        uint32_t end = match_some(hub, at);
        bool is_all = end == read->count;
        send_touched(hub, is_all ? result->next - 1 : read->records[end].revision - 1);
        if (end == at) {
            hub->shared_next = read->records[at].revision;
            shared_give_up(hub, 0);
            return;
        }
        at = end;
        if (!is_all && hub->sends >= hub->options.sends_max) {
            hub->shared_next = read->records[at].revision; /* the rest is read again */
            return;
        }
    }
    hub->shared_next = result->next;
}

/* --- those that are behind --- */

static uint32_t pick_group(struct kv_watch_hub *hub, const struct group *group)
{
    struct watch_read *read = &hub->read;
    struct kv_interval keys = group_keys(group);
    uint32_t first = NOTHING;
    for (uint32_t i = (uint32_t)read->count; i > 0; i--) {
        struct record *record = &read->records[i - 1];
        if (read->is_exact || kv_interval_has(keys, record_key(read, record))) {
            record->pick = first;
            first = i - 1;
        }
    }
    return first;
}

/* Not even one revision could be read for it alone. */
static void catch_up_impossible(struct watcher *watcher)
{
    struct kv_watch_hub *hub = watcher->stream->hub;
    if (hub->catch_up_max > 1) {
        watcher_behind(watcher, watcher->next);
    } else if (hub->read.is_short) {
        watcher_move(watcher, WATCHER_BLOCKED);
        stream_die(watcher->stream, KV_E_TOO_MANY_REQUESTS);
    } else {
        watcher_cancel(watcher, 0,
                       SLICE_LIT("quorate: a revision is too large to be watched, ask for fewer "
                                 "keys or without prev_kv"));
    }
}

static void catch_up_one(struct watcher *watcher, uint32_t first)
{
    struct kv_watch_hub *hub = watcher->stream->hub;
    const struct kv_history_result *result = &hub->read.result;
    if (send_events(watcher, first, result->next - 1)) {
        watcher_move(watcher,
                     hub_is_synced_from(hub, watcher->next) ? WATCHER_SYNCED : WATCHER_WAITING);
    }
}

void send_catch_up(struct kv_watch_hub *hub)
{
    const struct kv_history_result *result = &hub->read.result;
    bool is_stuck = result->is_cut && result->next <= hub->read.query.from;
    const struct group *group = NULL;
    uint32_t first = NOTHING;
    while (hub->reading.head != NULL) {
        struct watcher *watcher = hub->reading.head;
        if (watcher->is_refused) {
            watcher_cancel(watcher, result->compact > 1 ? result->compact : 1, SLICE_EMPTY);
        } else if (watcher->next < result->compact) {
            MARK(WATCH_COMPACTED);
            watcher_cancel(watcher, result->compact, SLICE_EMPTY);
        } else if (result->is_compacted) {
            MARK(WATCH_COMPACTED_MEANWHILE);
            watcher_move(watcher, WATCHER_WAITING);
        } else if (is_stuck) {
            catch_up_impossible(watcher);
        } else {
            first = watcher->group == group ? first : pick_group(hub, watcher->group);
            group = watcher->group;
            catch_up_one(watcher, first);
        }
    }
    hub->catch_up_max = is_stuck ? 1 : CATCH_UP_MAX;
}
