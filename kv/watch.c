/* SPDX-License-Identifier: Apache-2.0 */
/* The watch hub: what to read next, and for whom; see watch.h and watch_internal.h.
 *
 * Shared reads and reads for watchers that are behind take turns, so that neither holds up the
 * other; those that are behind take turns among themselves. */
#include "kv/watch.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/canary.h"
#include "kv/watch_internal.h"

/* --- lists and states --- */

void list_add(struct list *list, struct watcher *watcher)
{
    watcher->list_prev = list->tail;
    watcher->list_next = NULL;
    if (list->tail == NULL) {
        list->head = watcher;
    } else {
        list->tail->list_next = watcher;
    }
    list->tail = watcher;
    list->count++;
}

void list_remove(struct list *list, struct watcher *watcher)
{
    if (watcher->list_prev == NULL) {
        list->head = watcher->list_next;
    } else {
        watcher->list_prev->list_next = watcher->list_next;
    }
    if (watcher->list_next == NULL) {
        list->tail = watcher->list_prev;
    } else {
        watcher->list_next->list_prev = watcher->list_prev;
    }
    watcher->list_prev = NULL;
    watcher->list_next = NULL;
    list->count--;
}

static struct list *list_of(struct kv_watch_hub *hub, unsigned state)
{
    return state == WATCHER_WAITING ? &hub->waiting
                                    : (state == WATCHER_READING ? &hub->reading : NULL);
}

void watcher_move(struct watcher *watcher, enum watcher_state state)
{
    struct kv_watch_hub *hub = watcher->stream->hub;
    struct list *from = list_of(hub, watcher->state);
    struct list *to = list_of(hub, state);
    if (from != NULL) {
        list_remove(from, watcher);
    }
    if (to != NULL) {
        list_add(to, watcher);
    }
    uint32_t was_synced = watcher->state == WATCHER_SYNCED;
    uint32_t is_synced = state == WATCHER_SYNCED;
    hub->synced += is_synced - was_synced;
    watcher->group->synced += is_synced - was_synced;
    watcher->stream->unsynced += was_synced - is_synced;
    watcher->state = (uint8_t)state;
}

void watcher_behind(struct watcher *watcher, int64_t next)
{
    /* The next revision it is owed: one more would never be sent. */
    watcher->next = next + (CANARY(WATCH_SKIPS_REVISION) ? 1 : 0);
    watcher_move(watcher,
                 stream_takes(watcher->stream, watcher) ? WATCHER_WAITING : WATCHER_BLOCKED);
}

/* --- reads --- */

bool hub_is_synced_from(struct kv_watch_hub *hub, int64_t next)
{
    if (hub->read.is_busy) {
        return false; /* it would not be among those whom that read is for */
    }
    if (hub->synced == 0 && hub->shared_next <= hub->revision) {
        hub->shared_next = hub->revision + 1; /* nobody was owed what came meanwhile */
    }
    return next >= hub->shared_next;
}

static void add_synced_groups(struct kv_watch_hub *hub)
{
    if (hub->groups.count > READ_INTERVALS_MAX) {
        read_add_everything(&hub->read, hub->prev_kv > 0);
        return;
    }
    for (uint32_t i = 0; i < hub->groups.size; i++) {
        for (struct group *group = hub->groups.heads[i]; group != NULL; group = group->chain) {
            if (group->synced > 0) {
                read_add(&hub->read, group_keys(group), group->prev_kv > 0);
            }
        }
    }
}

static void start_shared(struct kv_watch_hub *hub)
{
    bool is_owed = hub->synced > 0 && hub->shared_next <= hub->revision;
    hub->was_shared = true;
    read_begin(&hub->read, true);
    if (hub->synced > 0) {
        add_synced_groups(hub);
    }
    /* After an image the newest revision is not known: what is owed is read in the same go. */
    is_owed = is_owed || (hub->is_look_wanted && hub->synced > 0);
    hub->is_look_wanted = false;
    hub->stats.reads++;
    read_submit(&hub->read, is_owed ? hub->shared_next : NO_READ);
}

static bool is_near(const struct watcher *watcher, int64_t from)
{
    return watcher->state == WATCHER_WAITING && watcher->next >= from &&
           watcher->next - from < CATCH_UP_WINDOW && stream_takes(watcher->stream, watcher);
}

/* Those who wait for the same key. */
static void select_same_key(struct kv_watch_hub *hub, struct group *group, int64_t from)
{
    uint32_t looks = 0;
    for (struct watcher *w = group->first; w != NULL && looks < READ_ROWS_MAX; w = w->group_next) {
        looks++;
        if (is_near(w, from)) {
            watcher_move(w, WATCHER_READING);
        }
    }
    read_add(&hub->read, group_keys(group), group->prev_kv > 0);
}

/* Those in turn who are owed about the same revisions. */
static void select_near(struct kv_watch_hub *hub, int64_t from)
{
    uint32_t looks = 0;
    for (struct watcher *w = hub->waiting.head, *next = NULL;
         w != NULL && looks < CATCH_UP_LOOKS && hub->reading.count < hub->catch_up_max; w = next) {
        next = w->list_next;
        looks++;
        if (is_near(w, from)) {
            watcher_move(w, WATCHER_READING);
            read_add(&hub->read, group_keys(w->group), w->is_prev_kv);
        }
    }
}

/* The first in turn that is behind and can be sent something; the others need no turn. */
static struct watcher *next_in_turn(struct kv_watch_hub *hub)
{
    struct watcher *head = hub->waiting.head;
    for (; head != NULL; head = hub->waiting.head) {
        if (hub_is_synced_from(hub, head->next)) {
            watcher_move(head, WATCHER_SYNCED);
        } else if (!stream_takes(head->stream, head)) {
            watcher_move(head, WATCHER_BLOCKED);
        } else {
            break;
        }
    }
    return head;
}

/* False: nobody needs it (any more). */
static bool start_catch_up(struct kv_watch_hub *hub)
{
    struct watcher *head = next_in_turn(hub);
    if (head == NULL) {
        return false;
    }
    int64_t from = head->next;
    hub->was_shared = false;
    read_begin(&hub->read, false);
    /* It stays first until all others near it were looked at, and goes in any case. */
    watcher_move(head, WATCHER_READING);
    if (hub->catch_up_max > 1 && head->group->end_len == 0 &&
        hub->revision - from > CATCH_UP_WINDOW) {
        select_same_key(hub, head->group, from);
    } else {
        read_add(&hub->read, group_keys(head->group), head->is_prev_kv);
        select_near(hub, from);
    }
    hub->stats.catch_up_reads++;
    read_submit(&hub->read, from);
    return true;
}

static void pump(struct kv_watch_hub *hub)
{
    if (hub->is_halted || hub->read.is_busy) {
        return;
    }
    if (!hub->is_known) {
        start_shared(hub);
        return;
    }
    (void)hub_is_synced_from(hub, 0); /* lets shared_next follow when nobody listens */
    bool is_shared_due =
        hub->is_look_wanted || (hub->synced > 0 && hub->shared_next <= hub->revision);
    if (is_shared_due && !(hub->was_shared && hub->waiting.head != NULL)) {
        start_shared(hub);
        return;
    }
    if (start_catch_up(hub)) {
        return;
    }
    if (hub->is_look_wanted || (hub->synced > 0 && hub->shared_next <= hub->revision)) {
        start_shared(hub);
    }
}

static void progress_due(struct kv_watch_hub *hub)
{
    struct kv_watch_stream *stream = hub->progress_wanted > 0 ? hub->streams : NULL;
    for (; stream != NULL; stream = stream->next) {
        stream_progress_due(stream);
    }
}

void hub_read_done(struct kv_watch_hub *hub, int status)
{
    hub_enter(hub);
    hub->read.is_busy = false;
    if (status != 0) { /* the node is about to stop */
        hub->is_halted = true;
        while (hub->reading.head != NULL) {
            watcher_move(hub->reading.head, WATCHER_WAITING);
        }
    } else {
        hub->is_known = true;
        if (hub->read.result.revision > hub->revision) {
            hub->revision = hub->read.result.revision;
        }
        if (!hub->read.is_shared) {
            send_catch_up(hub);
        } else if (hub->read.query.from != NO_READ) {
            send_shared(hub);
        }
        progress_due(hub);
    }
    read_trim(&hub->read);
    if (hub->message_cap > KEPT_BYTES * 2) {
        free(hub->message);
        hub->message = NULL;
        hub->message_cap = 0;
    }
    hub_leave(hub);
}

/* --- entry points --- */

void hub_enter(struct kv_watch_hub *hub)
{
    BASE_ASSERT(hub->magic == HUB_MAGIC);
    hub->depth++;
}

static void bury(struct kv_watch_hub *hub)
{
    while (hub->dead != NULL) {
        struct kv_watch_stream *stream = hub->dead;
        hub->dead = stream->dead_next;
        stream->is_in_dead_list = false;
        enum kv_error error = stream->end_error;
        stream->end_error = KV_OK;
        if (stream->is_closed) {
            stream_free(stream);
        } else if (error != KV_OK) {
            stream->sink.end(stream->sink.ctx, error); /* may close it: back to the list */
        }
    }
}

void hub_leave(struct kv_watch_hub *hub)
{
    if (hub->depth == 1) {
        bury(hub);
        pump(hub);
    }
    hub->depth--;
}

int kv_watch_open(const struct kv_watch_options *options, struct kv_watch_hub **ret)
{
    struct kv_watch_hub *hub = calloc(1, sizeof(*hub));
    if (hub == NULL) {
        return BASE_E_NOMEM;
    }
    hub->magic = HUB_MAGIC;
    hub->options = *options;
    if (hub->options.progress_us <= 0) {
        hub->options.progress_us = KV_WATCH_PROGRESS_US;
    }
    if (hub->options.sends_max == 0) {
        hub->options.sends_max = SENDS_DEFAULT;
    }
    hub->shared_next = 1;
    hub->catch_up_max = CATCH_UP_MAX;
    hub->rand = base_rand_make(options->seed, 1);
    hub->matches = malloc(MATCHES_MAX * sizeof(*hub->matches));
    hub->touched = malloc(MATCHES_MAX * sizeof(*hub->touched));
    if (hub->matches == NULL || hub->touched == NULL) {
        free(hub->matches);
        free(hub->touched);
        free(hub);
        return BASE_E_NOMEM;
    }
    read_open(hub);
    hub_enter(hub);
    hub_leave(hub);
    *ret = hub;
    return 0;
}

void kv_watch_close(struct kv_watch_hub *hub)
{
    if (hub == NULL) {
        return;
    }
    hub_enter(hub);
    while (hub->streams != NULL) {
        stream_free(hub->streams);
    }
    index_free(hub);
    read_free(&hub->read);
    free(hub->matches);
    free(hub->touched);
    free(hub->message);
    hub->magic = 0;
    free(hub);
}

void kv_watch_revised(struct kv_watch_hub *hub, int64_t revision)
{
    hub_enter(hub);
    if (revision > hub->revision) {
        hub->revision = revision;
    }
    hub_leave(hub);
}

void kv_watch_restored(struct kv_watch_hub *hub)
{
    hub_enter(hub);
    hub->is_look_wanted = true;
    hub_leave(hub);
}

void kv_watch_tick(struct kv_watch_hub *hub, struct base_mono now)
{
    hub_enter(hub);
    hub->now = now;
    for (struct kv_watch_stream *stream = hub->streams; stream != NULL; stream = stream->next) {
        if (stream->notifying > 0 && stream->progress_at.us <= now.us) {
            stream_tick(stream);
        }
    }
    hub_leave(hub);
}

struct kv_watch_stats kv_watch_stats(const struct kv_watch_hub *hub)
{
    struct kv_watch_stats stats = hub->stats;
    stats.streams = hub->streams_count;
    stats.watchers = hub->ids.count;
    stats.behind = hub->ids.count - hub->synced;
    return stats;
}
