/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: who wants to hear of which keys from which revision on, and how it gets there.
 *
 * One hub per quorum node, many streams (one per client stream), many watchers per stream. Events
 * are read from the rows of the state store, by store jobs, never kept: a watcher is its interval
 * and the next revision it is owed. All watchers that are owed nothing older than the newest
 * revision share one read; one that is behind, or whose stream does not take more, is served from
 * history in turn, and cancelled with the compact revision when that history is gone. So a slow
 * client costs its watchers' few bytes and nobody's time.
 *
 * Promises (per watcher): every event of its interval from start_revision on, in order, once, those
 * of one revision together; no event below start_revision; header.revision of events and of
 * progress never runs ahead of events still owed (that of created and cancelled answers is the
 * store's, as etcd's). Loop thread only, but for the jobs' own work. Deterministic: the same calls
 * in the same order send the same bytes.
 */
#ifndef QUORATE_KV_WATCH_H
#define QUORATE_KV_WATCH_H

#include "base/types.h"
#include "proto/msg/kv.h"
#include "raft/port_store.h"

#define KV_WATCHERS_MAX 65536u     /* per node */
#define KV_WATCH_STREAMS_MAX 8192u /* per node */
#define KV_WATCH_KEY_MAX 1024u     /* bytes of key and of range_end of a watch */
/* A response of several revisions ends when it is as large as this; fragments likewise. */
#define KV_WATCH_RESPONSE_BYTES (1u << 20)
#define KV_WATCH_FRAGMENT_BYTES (KV_REQUEST_MAX + (512u << 10))
/* The events of one revision for one watcher; above, the watcher is cancelled. Less than what may
 * wait for one connection (proto/io/limits.h). */
#define KV_WATCH_REVISION_BYTES (24u << 20)
/* Answers to creates, cancels and progress requests that a client did not take; above, its stream
 * ends. */
#define KV_WATCH_ANSWERS_BYTES (256u << 10)
#define KV_WATCH_PROGRESS_US INT64_C(600000000)

struct kv_watch_hub;
struct kv_watch_stream;

struct kv_watch_options {
    struct store_port store;
    void *ctx;
    /* Ids and term of a response made now; its revision is not used. */
    void (*header)(void *ctx, struct kv_header *ret);
    int64_t progress_us; /* 0: KV_WATCH_PROGRESS_US */
    uint32_t sends_max;  /* events for watchers in one turn, or one revision; 0: 32768 */
    uint64_t seed;       /* random: against keys chosen to fall on one heap; and for jitter */
};

/* Where the responses of one stream go. Neither may call the hub, but that `end` closes the stream.
 */
struct kv_watch_sink {
    void *ctx;
    /* An encoded WatchResponse, valid during the call. 0; BASE_E_BUSY: not now, kv_watch_writable
     * follows; anything else negative: the stream is gone. */
    int (*send)(void *ctx, struct slice message);
    /* The hub gives up on the stream (memory, a client that takes no answers): nothing is sent any
     * more. At most once, and never after kv_watch_stream_close. */
    void (*end)(void *ctx, enum kv_error error);
};

MUST_CHECK int kv_watch_open(const struct kv_watch_options *options, struct kv_watch_hub **ret);
/* Closes streams that are still open, telling nobody. The store must hold no job of it. NULL is
 * fine. */
void kv_watch_close(struct kv_watch_hub *hub);

/* The state store is at this revision now: call from kv_service_options.revised. */
void kv_watch_revised(struct kv_watch_hub *hub, int64_t revision);
/* An image was installed: the store's revision may have leapt. What is owed is still owed: it is
 * read from the new state's history, or the watcher is cancelled. */
void kv_watch_restored(struct kv_watch_hub *hub);
/* Time passes: notifications of progress. At least every 100 ms. */
void kv_watch_tick(struct kv_watch_hub *hub, struct base_mono now);

/* BASE_E_BUSY: too many streams, or the store's revision is not known yet. BASE_E_NOMEM. */
MUST_CHECK int kv_watch_stream_open(struct kv_watch_hub *hub, const struct kv_watch_sink *sink,
                                    struct kv_watch_stream **ret);
/* No send afterwards. */
void kv_watch_stream_close(struct kv_watch_stream *stream);
/* create, cancel or progress; the answers come through the sink, also refusals (created and
 * canceled, id -1). `denied`: KV_OK, or the walker's refusal of a create. */
void kv_watch_stream_request(struct kv_watch_stream *stream, const struct kv_watch_request *request,
                             enum kv_error denied);
/* The sink takes messages again. */
void kv_watch_writable(struct kv_watch_stream *stream);

struct kv_watch_stats {
    uint32_t streams;
    uint32_t watchers;
    uint32_t behind; /* watchers that are owed older revisions */
    uint64_t events; /* sent */
    uint64_t responses;
    uint64_t canceled_compacted;
    uint64_t reads;          /* of all watchers that are at the newest revision, together */
    uint64_t catch_up_reads; /* of some that were behind */
};
struct kv_watch_stats kv_watch_stats(const struct kv_watch_hub *hub);

#endif
