/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of watches; see watch.h. A cursor goes through the list of changes once; each event
 * must be the next change that the watcher asked for. */
#include "jepsen/check/watch.h"

/* --- the truth --- */

struct chk_changes chk_changes_over(struct chk_change *items, size_t cap)
{
    return (struct chk_changes){.items = items, .cap = cap, .compact = 0};
}

int chk_changes_add_after(struct chk_changes *changes, size_t before, int64_t revision,
                          bool is_delete, struct slice key, struct slice value)
{
    struct chk_change change = {.revision = revision,
                                .is_delete = is_delete,
                                .key = key,
                                .value = is_delete ? SLICE_EMPTY : value,
                                .before = before};
    if (changes->count > 0 && revision < changes->items[changes->count - 1].revision) {
        return BASE_E_INVALID;
    }
    if (changes->count == changes->cap) {
        return BASE_E_NOSPACE;
    }
    if (!is_delete) {
        const struct chk_change *last = before == CHK_NONE ? NULL : &changes->items[before];
        bool is_new = last == NULL || last->is_delete;
        change.create_revision = is_new ? revision : last->create_revision;
        change.version = is_new ? 1 : last->version + 1;
    }
    changes->items[changes->count++] = change;
    return 0;
}

int chk_changes_add(struct chk_changes *changes, int64_t revision, bool is_delete, struct slice key,
                    struct slice value)
{
    size_t before = CHK_NONE;
    for (size_t i = changes->count; i > 0 && before == CHK_NONE; i--) {
        if (slice_equal(changes->items[i - 1].key, key)) {
            before = i - 1;
        }
    }
    return chk_changes_add_after(changes, before, revision, is_delete, key, value);
}

/* --- one event --- */

static bool is_inside(const struct chk_watch *watch, struct slice key)
{
    if (watch->range_end.len == 0) {
        return slice_equal(key, watch->key);
    }
    bool is_endless = watch->range_end.len == 1 && watch->range_end.data[0] == 0;
    return slice_compare(key, watch->key) >= 0 &&
           (is_endless || slice_compare(key, watch->range_end) < 0);
}

static bool is_wanted(const struct chk_watch *watch, const struct chk_change *change)
{
    return change->revision >= watch->next && is_inside(watch, change->key) &&
           !(change->is_delete ? watch->is_no_delete : watch->is_no_put);
}

/* The next change that the watcher is owed, or CHK_NONE. */
static size_t next_owed(const struct chk_watch *watch, const struct chk_changes *changes)
{
    for (size_t i = watch->at; i < changes->count; i++) {
        if (is_wanted(watch, &changes->items[i])) {
            return i;
        }
    }
    return CHK_NONE;
}

static struct chk_result found(const char *rule, size_t change, size_t event)
{
    return (struct chk_result){.verdict = CHK_VIOLATED, .text = rule, .op = change, .other = event};
}

static const struct chk_result fine = {
    .verdict = CHK_OK, .text = "", .op = CHK_NONE, .other = CHK_NONE};

static bool is_same(const struct chk_change *change, const struct chk_watch_event *event)
{
    return change->revision == event->mod_revision && change->is_delete == event->is_delete &&
           slice_equal(change->key, event->key) && slice_equal(change->value, event->value) &&
           change->create_revision == event->create_revision && change->version == event->version;
}

/* Whether prev_kv is what stood before the event's revision. It may be absent when that is
 * compacted. */
static bool is_previous_right(const struct chk_watch *watch, const struct chk_changes *changes,
                              const struct chk_change *change, const struct chk_watch_event *event)
{
    size_t before = change->before;
    while (before != CHK_NONE && changes->items[before].revision == change->revision) {
        before = changes->items[before].before;
    }
    bool is_creation = !change->is_delete && change->create_revision == change->revision;
    bool is_there = before != CHK_NONE && !changes->items[before].is_delete && !is_creation;
    if (!watch->is_prev_kv || !is_there) {
        return !event->has_prev;
    }
    if (!event->has_prev) {
        return change->revision - 1 < changes->compact;
    }
    return event->prev_mod_revision == changes->items[before].revision &&
           slice_equal(event->prev_value, changes->items[before].value);
}

/* Which rule an event breaks that is not the one owed. */
static const char *misfit(const struct chk_watch *watch, const struct chk_changes *changes,
                          size_t owed, const struct chk_watch_event *event)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct chk_change *change = &changes->items[i];
        if (!is_same(change, event)) {
            continue;
        }
        if (!is_inside(watch, change->key) ||
            (change->is_delete ? watch->is_no_delete : watch->is_no_put)) {
            return "foreign";
        }
        if (i >= watch->at && change->revision >= watch->next) {
            return owed != CHK_NONE && changes->items[owed].revision == change->revision
                       ? "ordered"
                       : (watch->has_heard ? "reliable" : "resumable");
        }
        if (!watch->has_heard) {
            return "resumable";
        }
        return change->revision < watch->last ? "ordered" : "unique";
    }
    return "foreign";
}

static struct chk_result judge_event(struct chk_watch *watch, const struct chk_changes *changes,
                                     const struct chk_watch_event *event, size_t index)
{
    size_t owed = next_owed(watch, changes);
    if (owed == CHK_NONE || !is_same(&changes->items[owed], event)) {
        return found(misfit(watch, changes, owed, event), owed, index);
    }
    if (!is_previous_right(watch, changes, &changes->items[owed], event)) {
        return found("previous", owed, index);
    }
    watch->at = owed + 1;
    watch->has_heard = true;
    watch->last = event->mod_revision;
    watch->events++;
    return fine;
}

/* --- one response --- */

static struct chk_result judge_events(struct chk_watch *watch, const struct chk_changes *changes,
                                      const struct chk_watch_response *response)
{
    /* Twice within one response reads as out of order unless it is the very same event. */
    for (size_t i = 0; i < response->count; i++) {
        struct chk_result result = judge_event(watch, changes, &response->events[i], i);
        if (result.verdict != CHK_OK) {
            return result;
        }
    }
    size_t owed = next_owed(watch, changes);
    bool is_open = owed != CHK_NONE && changes->items[owed].revision == watch->last;
    if (is_open && !response->is_fragment) {
        return found("atomic", owed, CHK_NONE);
    }
    watch->is_in_fragment = response->is_fragment;
    if (!response->is_fragment && watch->last >= watch->next) {
        watch->next = watch->last + 1;
    }
    if (response->revision < watch->last) {
        return found("bookmarkable", CHK_NONE, CHK_NONE);
    }
    return fine;
}

/* Nothing at or below `revision` may be owed any more. */
static struct chk_result judge_bookmark(struct chk_watch *watch, const struct chk_changes *changes,
                                        int64_t revision)
{
    size_t owed = next_owed(watch, changes);
    if (owed != CHK_NONE && changes->items[owed].revision <= revision) {
        return found("bookmarkable", owed, CHK_NONE);
    }
    if (revision > watch->bookmark) {
        watch->bookmark = revision;
    }
    if (revision >= watch->next) {
        watch->next = revision + 1;
    }
    return fine;
}

static struct chk_result judge_cancel(struct chk_watch *watch,
                                      const struct chk_watch_response *response)
{
    watch->is_canceled = true;
    watch->is_in_fragment = false;
    if (watch->start >= 0 && response->compact_revision != 0 &&
        response->compact_revision <= watch->next) {
        return found("canceled", CHK_NONE, CHK_NONE);
    }
    return fine;
}

static struct chk_result judge_created(struct chk_watch *watch,
                                       const struct chk_watch_response *response)
{
    if (watch->is_created || response->count > 0) {
        return found("created", CHK_NONE, CHK_NONE);
    }
    watch->is_created = true;
    watch->is_canceled = response->is_canceled;
    watch->next = watch->start != 0 ? watch->start : response->revision + 1;
    if (watch->start == 0) {
        watch->bookmark = response->revision;
    }
    return fine;
}

struct chk_result chk_watch_feed(struct chk_watch *watch, const struct chk_changes *changes,
                                 const struct chk_watch_response *response)
{
    if (response->is_created) {
        return judge_created(watch, response);
    }
    if (!watch->is_created) {
        return found("created", CHK_NONE, CHK_NONE);
    }
    if (watch->is_canceled) {
        return found("canceled", CHK_NONE, CHK_NONE);
    }
    if (response->is_canceled) {
        return judge_cancel(watch, response);
    }
    if (response->count == 0) {
        if (watch->is_in_fragment) {
            return found("atomic", CHK_NONE, CHK_NONE);
        }
        /* One below the start would be a start moved back for who resumes from it. */
        if (watch->start > 0 && !watch->has_heard && response->revision < watch->start) {
            return found("resumable", CHK_NONE, CHK_NONE);
        }
        return judge_bookmark(watch, changes, response->revision);
    }
    struct chk_result result = judge_events(watch, changes, response);
    if (result.verdict == CHK_OK && !response->is_fragment) {
        result = judge_bookmark(watch, changes, response->revision);
    }
    return result;
}

struct chk_result chk_watch_end(const struct chk_watch *watch, const struct chk_changes *changes,
                                int64_t through)
{
    if (!watch->is_created || watch->is_canceled) {
        return fine;
    }
    size_t owed = next_owed(watch, changes);
    if (watch->is_in_fragment || (owed != CHK_NONE && changes->items[owed].revision <= through)) {
        return found("reliable", owed, CHK_NONE);
    }
    return fine;
}

int64_t chk_watch_resume(const struct chk_watch *watch)
{
    if (watch->is_in_fragment) {
        return watch->last; /* its first fragments were not handed on */
    }
    int64_t heard = watch->bookmark > watch->last ? watch->bookmark : watch->last;
    return heard == 0 ? watch->start : heard + 1;
}
