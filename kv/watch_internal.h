/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the watch hub, shared by watch.c (what to read next), watch_stream.c (requests and
 * answers), watch_index.c (who wants a key), watch_read.c (the store job) and watch_send.c (events
 * to watchers). Nobody else includes it.
 *
 * One read is under way at a time. SYNCED watchers have heard of everything below `shared_next` and
 * are served by the shared read that begins there; all others know their own next revision. So
 * nothing depends on when a read ran: whoever joins or falls behind while one is under way is not
 * among those it serves, and its own number decides.
 */
#ifndef QUORATE_KV_WATCH_INTERNAL_H
#define QUORATE_KV_WATCH_INTERNAL_H

#include "base/rand.h"
#include "kv/core/history.h"
#include "kv/watch.h"

#define HUB_MAGIC UINT32_C(0x6b767768)
#define READ_INTERVALS_MAX 16u
#define READ_KEYS_BYTES 4096u
#define READ_EVENTS_MAX 1000u
#define READ_ROWS_MAX 4000u
#define READ_BYTES_MAX (1u << 20)
#define CATCH_UP_MAX 128u       /* watchers of different keys served by one read */
#define CATCH_UP_LOOKS 512u     /* watchers looked at in search of them */
#define CATCH_UP_WINDOW 1000    /* revisions between the first and the last of them */
#define MATCHES_MAX 65536u      /* of events and groups at once */
#define SENDS_DEFAULT 32768u    /* some ten milliseconds */
#define KEPT_BYTES (1u << 20)   /* memory that stays for the next read */
#define NOTHING UINT32_MAX      /* no match */
#define NO_READ (INT64_MAX - 1) /* a revision to read from that never comes */

enum watcher_state {
    WATCHER_SYNCED,  /* in no list; nothing below its `next` is for it */
    WATCHER_WAITING, /* hub->waiting: owed from `next` on */
    WATCHER_READING, /* hub->reading: served by the catch-up read under way */
    WATCHER_BLOCKED, /* in no list; owed from `next` on when its stream takes messages again */
};

struct group;

struct watcher {
    struct kv_watch_stream *stream;
    struct group *group;
    int64_t id;
    int64_t next;
    struct watcher *group_prev, *group_next;
    struct watcher *stream_prev, *stream_next;
    struct watcher *list_prev, *list_next; /* waiting or reading */
    struct watcher *chain;                 /* of hub->ids */
    uint8_t state;                         /* enum watcher_state */
    bool is_prev_kv : 1;
    bool is_no_put : 1;
    bool is_no_delete : 1;
    bool is_fragment : 1;
    bool is_progress_notify : 1;
    bool has_heard : 1;  /* events since the last notification of progress */
    bool is_future : 1;  /* asked for a start that was not sent to all yet: no progress below it */
    bool is_refused : 1; /* a negative start: cancelled like a compacted one */
};

/* All watchers of one interval. */
struct group {
    struct group *chain; /* of hub->groups */
    struct watcher *first;
    uint32_t hash;
    uint32_t synced;      /* watchers */
    uint32_t prev_kv;     /* watchers that want previous pairs */
    uint32_t match_first; /* matches of the batch being sent; NOTHING: none */
    uint32_t match_last;
    uint16_t key_len;
    uint16_t end_len;
    uint8_t bytes[]; /* key, then end */
};

/* One group of more than one key in the tree: a treap in order of (key, end), where each node knows
 * the highest end below it. */
struct range {
    struct range *left, *right;
    struct range *highest; /* in this subtree, itself included */
    struct group *group;
};

struct list {
    struct watcher *head, *tail;
    uint32_t count;
};

/* Chained hash table of groups or of watchers. */
struct table {
    void **heads;
    uint32_t size; /* a power of two */
    uint32_t count;
};

struct kv_watch_stream {
    struct kv_watch_hub *hub;
    struct kv_watch_sink sink;
    struct kv_watch_stream *prev, *next;
    struct kv_watch_stream *dead_next;
    struct watcher *first;
    uint64_t number;
    int64_t next_id;
    uint32_t watchers;
    uint32_t unsynced;  /* of them */
    uint32_t notifying; /* of them: is_progress_notify */
    bool is_blocked;    /* the sink said busy */
    bool is_dead;       /* nothing is sent any more */
    bool is_in_dead_list;
    bool is_closed;          /* by its owner, while the hub was at work */
    int64_t progress_wanted; /* 0, or the revision up to which all must have been sent first */
    enum kv_error end_error; /* KV_OK: the sink knows already */
    struct base_mono progress_at;
    struct watcher *turn; /* the first that got nothing when the sink became busy, or NULL */
    /* A revision that is on its way to a watcher in fragments: nothing comes in between. */
    struct watcher *fragmented;
    uint32_t fragment_sent; /* events of it */
    /* Answers that wait: each a length of 4 bytes and a message. */
    uint8_t *answers;
    size_t answers_len, answers_cap;
};

/* One event as the read left it: the key, then the encoded event without its tag and length, then
 * its previous pair. */
struct record {
    int64_t revision;
    size_t at;
    uint32_t body_len;
    uint32_t prev_len;
    uint32_t pick; /* the next one for the watchers that are being served, or NOTHING */
    uint16_t key_len;
    bool is_delete;
};

struct watch_read {
    struct store_job job;
    struct kv_watch_hub *hub;
    bool is_busy;
    bool is_shared;
    bool is_short; /* of memory */
    bool is_exact; /* of one interval: every event is for everybody it was read for */
    struct kv_history_query query;
    struct kv_history_interval intervals[READ_INTERVALS_MAX];
    uint8_t keys[READ_KEYS_BYTES];
    /* filled in by the storage thread */
    struct kv_history_result result;
    struct record *records;
    size_t count, records_cap;
    uint8_t *bytes;
    size_t len, bytes_cap;
};

/* One event for one group. */
struct match {
    uint32_t record;
    uint32_t next;
};

struct kv_watch_hub {
    uint32_t magic;
    struct kv_watch_options options;
    struct base_mono now;
    bool is_known;  /* the store's revision */
    bool is_halted; /* the store has failed */
    bool is_look_wanted;
    bool was_shared;  /* the last read */
    unsigned depth;   /* entry points on the stack */
    int64_t revision; /* newest known of the store */
    int64_t shared_next;
    uint32_t synced;  /* watchers */
    uint32_t prev_kv; /* watchers that want previous pairs */
    uint32_t catch_up_max;
    struct base_rand rand;
    struct list waiting;
    struct list reading;
    struct kv_watch_stream *streams;
    struct kv_watch_stream *dead;
    uint64_t last_stream;
    uint32_t progress_wanted; /* streams */
    uint32_t streams_count;
    struct table groups;
    struct table ids;
    struct range *ranges;
    struct watch_read read;
    struct match *matches; /* MATCHES_MAX */
    size_t matches_count;
    uint64_t sends;         /* the matches, times the watchers of their groups */
    struct group **touched; /* as many as matches */
    size_t touched_count;
    uint8_t *message;
    size_t message_cap;
    struct kv_watch_stats stats;
};

/* watch.c */
void hub_enter(struct kv_watch_hub *hub);
/* Ends dead streams, frees closed ones, and starts the next read. */
void hub_leave(struct kv_watch_hub *hub);
void list_add(struct list *list, struct watcher *watcher);
void list_remove(struct list *list, struct watcher *watcher);
/* Moves a watcher between states, lists and counts. */
void watcher_move(struct watcher *watcher, enum watcher_state state);
/* The watcher is owed everything from `next` on. */
void watcher_behind(struct watcher *watcher, int64_t next);
void hub_read_done(struct kv_watch_hub *hub, int status);
/* Whether a watcher that is owed everything from `next` on needs no catching up now. */
bool hub_is_synced_from(struct kv_watch_hub *hub, int64_t next);

/* watch_index.c. NULL without memory. */
struct group *index_join(struct kv_watch_hub *hub, struct kv_interval keys);
/* Frees the group when nobody is left in it. */
void index_leave(struct kv_watch_hub *hub, struct group *group);
struct kv_interval group_keys(const struct group *group);
/* Calls `found` for each group that has the key; nonzero ends the search. */
typedef int index_found_fn(struct kv_watch_hub *hub, struct group *group, void *ctx);
int index_each(struct kv_watch_hub *hub, struct slice key, index_found_fn *found, void *ctx);
struct watcher *index_id_find(const struct kv_watch_hub *hub, const struct kv_watch_stream *stream,
                              int64_t id);
bool index_id_add(struct kv_watch_hub *hub, struct watcher *watcher);
void index_id_remove(struct kv_watch_hub *hub, struct watcher *watcher);
void index_free(struct kv_watch_hub *hub);
uint64_t index_hash(uint64_t seed, struct slice bytes);

/* watch_read.c */
void read_open(struct kv_watch_hub *hub);
/* Begins a read at `from` for what the intervals added before cover. */
void read_begin(struct watch_read *read, bool is_shared);
void read_add(struct watch_read *read, struct kv_interval keys, bool is_prev_kv);
void read_add_everything(struct watch_read *read, bool is_prev_kv);
void read_submit(struct watch_read *read, int64_t from);
/* Lets go of memory beyond KEPT_BYTES. */
void read_trim(struct watch_read *read);
void read_free(struct watch_read *read);
struct slice record_key(const struct watch_read *read, const struct record *record);

/* watch_send.c */
/* The batch read for all synced watchers; moves shared_next. */
void send_shared(struct kv_watch_hub *hub);
/* The batch read for the watchers in hub->reading; none is left there. */
void send_catch_up(struct kv_watch_hub *hub);

/* watch_stream.c */
/* Sends an encoded message; BASE_E_BUSY marks the stream blocked, anything else negative dead. */
int stream_send(struct kv_watch_stream *stream, struct slice message);
/* The sink was busy for this one: it comes first when messages are taken again. */
void stream_set_turn(struct kv_watch_stream *stream, struct watcher *watcher);
/* Whether events of this watcher may go out now. */
bool stream_takes(const struct kv_watch_stream *stream, const struct watcher *watcher);
/* An answer: sent, or kept until it can be. */
void stream_answer(struct kv_watch_stream *stream, const struct kv_watch_response *response);
void stream_die(struct kv_watch_stream *stream, enum kv_error error);
/* After a read: progress that was asked for and is due now. */
void stream_progress_due(struct kv_watch_stream *stream);
void stream_set_progress(struct kv_watch_stream *stream, int64_t wanted);
void stream_tick(struct kv_watch_stream *stream);
/* Fragments of one revision are all sent: the others may go on. */
void stream_unfragment(struct kv_watch_stream *stream);
void stream_free(struct kv_watch_stream *stream);
void watcher_free(struct watcher *watcher);
/* Tells the client why, and frees. compact 0: `reason` alone. */
void watcher_cancel(struct watcher *watcher, int64_t compact, struct slice reason);
void hub_header(const struct kv_watch_hub *hub, int64_t revision, struct kv_header *ret);

#endif
