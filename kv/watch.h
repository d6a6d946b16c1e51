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
 * of one revision together; no event below start_revision; header.revision and progress never run
 * ahead of events still owed. Loop thread only, but for the jobs' own work.
 */
#ifndef QUORATE_KV_WATCH_H
#define QUORATE_KV_WATCH_H

#include "kv/service.h"

#define KV_WATCHERS_MAX 65536u     /* per node */
#define KV_WATCH_STREAMS_MAX 8192u /* per node */

struct kv_watch_hub;
struct kv_watch_stream;

struct kv_watch_options {
    struct kv_service *service; /* for header and revision */
    struct store_port store;
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t progress_us; /* 0: 10 min; notifications of progress on request of the watcher */
};

/* Where the responses of one stream go. */
struct kv_watch_sink {
    void *ctx;
    /* An encoded WatchResponse. BASE_E_BUSY: not now, kv_watch_writable follows; anything else
     * negative: the stream is gone. */
    int (*send)(void *ctx, struct slice message);
};

MUST_CHECK int kv_watch_open(const struct kv_watch_options *options, struct kv_watch_hub **ret);
/* Streams must be closed; the store must hold no job of it. */
void kv_watch_close(struct kv_watch_hub *hub);

/* The state store is at this revision now: call from kv_service_options.revised. */
void kv_watch_revised(struct kv_watch_hub *hub, int64_t revision);
/* An image was installed: what was read before is void, what is owed is not. */
void kv_watch_restored(struct kv_watch_hub *hub);
/* Time passes: progress notifications, catching up. At least every 100 ms. */
void kv_watch_tick(struct kv_watch_hub *hub, struct base_mono now);

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
    uint64_t events;
};
struct kv_watch_stats kv_watch_stats(const struct kv_watch_hub *hub);

#endif
