/* SPDX-License-Identifier: Apache-2.0 */
/* The subscription: records and members of some clusters, from every quorum node at once.
 *
 * One connection to each node of the quorum. Over each: a watch of every cluster's record and
 * members, so that a change comes by push from whichever node is first; and a linearizable read of
 * every record at an interval, whose answer proves that what is known still stood after the read
 * was sent. A node that does not answer is dialled again; the others go on meanwhile. Loop thread
 * only; no callback runs inside a call.
 */
#ifndef QUORATE_AGENTS_PROXY_QUORUM_H
#define QUORATE_AGENTS_PROXY_QUORUM_H

#include "agents/proxy/settings.h"
#include "proto/io/loop.h"
#include "proto/io/tls.h"

struct quorum;

struct quorum_events {
    /* A record was pushed (is_proof false), or read at `asked_at`. */
    void (*record)(void *ctx, size_t cluster, struct slice json, bool is_proof,
                   struct base_mono asked_at);
    /* A read that was sent at `asked_at` found none. */
    void (*no_record)(void *ctx, size_t cluster, struct base_mono asked_at);
    /* A member as of store revision `revision`; json is empty when it is gone. */
    void (*member)(void *ctx, size_t cluster, struct slice name, struct slice json,
                   int64_t revision);
    /* All members were just told, from a read at `revision`: whoever was told with a lower one is
     * gone. */
    void (*members_listed)(void *ctx, size_t cluster, const struct msg_names *names,
                           int64_t revision);
};

struct quorum_options {
    struct io_loop *loop;
    const struct proxy_settings *settings; /* copied: endpoints and names of clusters */
    struct io_tls *tls;                    /* NULL: no endpoint needs it */
    const struct quorum_events *events;    /* static */
    void *ctx;
};

/* NOMEM. Begins at once. */
MUST_CHECK int quorum_open(const struct quorum_options *options, struct quorum **ret);
/* How often each record is read; at most a quarter of the shortest lease. */
void quorum_set_interval(struct quorum *quorum, int64_t interval_us);
/* NULL is fine. Returns NULL. */
struct quorum *quorum_close(struct quorum *quorum);

struct quorum_session_status {
    const struct io_address *address;
    bool is_up;
    struct base_mono answered; /* its last answer; LONG_AGO: none */
    const char *why;           /* not up: the last reason */
};
size_t quorum_sessions(const struct quorum *quorum);
void quorum_session(const struct quorum *quorum, size_t i, struct quorum_session_status *ret);

#endif
