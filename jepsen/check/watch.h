/* SPDX-License-Identifier: Apache-2.0 */
/* Did a watcher hear what it was promised?
 *
 * The truth is the list of all changes in order of revision; it may grow while watchers are judged,
 * as long as a change is added before a response that tells of it is fed. One struct chk_watch per
 * watcher (of one stream, from its created answer to its end; who resumes gets a new one, whose
 * start is what the client asked for). Feed its responses in the order in which they came; each
 * fed response is judged at once, and chk_watch_end asks for what should have come by then.
 *
 * Rules, by name in the result's text: "created" (nothing comes before that answer), "ordered",
 * "unique" (no event twice), "atomic" (a revision in one response, or in fragments without anything
 * in between), "reliable" (no gap), "resumable" (the first event is the first one from the start
 * revision on, none below it), "bookmarkable" (what header.revision says was sent, was sent),
 * "previous" (prev_kv is the state before), "foreign" (an event that never happened or that the
 * watcher did not ask for), "canceled" (with a compact revision only when the events it is owed are
 * compacted; silence afterwards). Pure; memory is the caller's, bytes are borrowed.
 */
#ifndef QUORATE_JEPSEN_CHECK_WATCH_H
#define QUORATE_JEPSEN_CHECK_WATCH_H

#include "jepsen/check/history.h"

#define CHK_NONE SIZE_MAX

struct chk_change {
    int64_t revision;
    bool is_delete;
    struct slice key;
    struct slice value;
    /* filled in by chk_changes_add */
    int64_t create_revision; /* 0 of a delete, as version */
    int64_t version;
    size_t before; /* the change of the same key before this one, or CHK_NONE */
};

struct chk_changes {
    struct chk_change *items;
    size_t count;
    size_t cap;
    int64_t compact; /* highest revision that anybody has asked to compact to; kept by the caller */
};
struct chk_changes chk_changes_over(struct chk_change *items, size_t cap);
/* Appends; revisions must not go back. BASE_E_NOSPACE, BASE_E_INVALID. */
MUST_CHECK int chk_changes_add(struct chk_changes *changes, int64_t revision, bool is_delete,
                               struct slice key, struct slice value);
/* The same for who knows the change of this key before it (CHK_NONE: there is none). */
MUST_CHECK int chk_changes_add_after(struct chk_changes *changes, size_t before, int64_t revision,
                                     bool is_delete, struct slice key, struct slice value);

struct chk_watch_event {
    bool is_delete;
    struct slice key;
    struct slice value;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
    bool has_prev;
    struct slice prev_value;
    int64_t prev_mod_revision;
};

struct chk_watch_response {
    int64_t revision; /* header.revision */
    bool is_created;
    bool is_canceled;
    bool is_fragment;
    int64_t compact_revision;
    const struct chk_watch_event *events;
    size_t count; /* 0 and neither created nor canceled: a notification of progress */
};

struct chk_watch {
    /* What was asked for; set by the caller. */
    struct slice key;
    struct slice range_end; /* empty: one key; "\0": all from key on */
    int64_t start;          /* 0: after the revision in the created answer */
    bool is_prev_kv;
    bool is_no_put;
    bool is_no_delete;
    /* the checker's own; zero at the beginning */
    bool is_created;
    bool is_canceled;
    bool is_in_fragment;
    bool has_heard;   /* an event */
    int64_t next;     /* the lowest revision that may still come */
    size_t at;        /* first change not yet judged */
    int64_t last;     /* revision of the last event */
    uint64_t events;  /* judged, for statistics */
    int64_t bookmark; /* highest progress told */
};

/* op: index of the change in question, other: of the event in the response (or SIZE_MAX). */
struct chk_result chk_watch_feed(struct chk_watch *watch, const struct chk_changes *changes,
                                 const struct chk_watch_response *response);
/* Everything up to `through` should have come by now (nothing is asked of a canceled one). */
struct chk_result chk_watch_end(const struct chk_watch *watch, const struct chk_changes *changes,
                                int64_t through);
/* From which revision on a client goes on that has heard this much; 0: it has heard nothing that
 * would tell. */
int64_t chk_watch_resume(const struct chk_watch *watch);

#endif
