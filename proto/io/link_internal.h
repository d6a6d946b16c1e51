/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the table of links, shared by link.c (the table, dialling, accepting), link_hello.c
 * (who is let in) and link_conn.c (one connection: frames, keepalive, its end). Nobody else
 * includes it. Loop thread.
 *
 * A struct link is one connection; it dies with its stream's `closed`. A struct peer is one node
 * that we dial, with at most one outgoing and one incoming connection. Links of agents are found by
 * slot and generation in their number. After io_links_free a link's `links` is NULL and its
 * callbacks do nothing.
 */
#ifndef QUORATE_PROTO_IO_LINK_INTERNAL_H
#define QUORATE_PROTO_IO_LINK_INTERNAL_H

#include "base/rand.h"
#include "proto/io/link.h"
#include "proto/io/link_frame.h"

#define BACKOFF_FIRST_US (50 * BASE_US_PER_MS)
#define BACKOFF_LAST_US (1000 * BASE_US_PER_MS)
#define SLOT_BITS 16

struct peer;

struct link {
    struct io_links *links; /* NULL: the table is gone */
    struct io_stream *stream;
    struct peer *peer; /* the node at the other end; NULL: agent or stranger */
    bool is_dialled;
    bool is_up;       /* both hellos are good */
    bool has_sent;    /* since the last tick */
    bool is_refused;  /* by us, and logged */
    bool is_closing;  /* refused, with our hello on its way */
    bool is_guest;    /* a node that is not in the table */
    bool is_stranger; /* accepted, counted in links->strangers: no hello yet */
    uint64_t number;
    struct net_identity identity;
    struct link_reader reader;
    struct io_timer timer; /* hello, then ticks */
    struct base_mono heard;
    struct link *next, *prev; /* links->all, the newest first */
};

struct peer {
    struct io_links *links;
    struct io_link_node node;
    bool is_used;
    bool is_up; /* told by `up` */
    struct link *out, *in;
    struct net_identity identity;
    struct io_timer retry;
    int64_t backoff_us;
    uint32_t why_crc; /* of the last failure logged */
};

struct io_links {
    struct io_loop *loop;
    struct io_links_options options;
    struct io_listener *listener;
    struct peer peers[IO_LINK_NODES_MAX];
    struct link *agents[IO_LINK_AGENTS_MAX];
    struct link *all;
    uint64_t generation;
    unsigned strangers;
    unsigned guests;
    struct base_rand rand; /* spreads retries */
    struct io_links_stats stats;
};

/* link.c: NULL when no such node is in the table. */
struct peer *link_peer_find(struct io_links *links, uint64_t node_id);
/* Dials again after the peer's backoff, which doubles. */
void link_retry_later(struct peer *peer);

/* link_hello.c: whether whoever said this hello is let in; takes his place in the table then. Else
 * `why` is for the log and for him. */
MUST_CHECK bool link_hello_accept(struct link *link, const struct link_hello *hello,
                                  struct io_why *why);

/* link_conn.c. */
extern const struct io_stream_events link_stream_events; /* ctx: struct link */
/* In the table's list; NULL: out of memory. */
struct link *link_new(struct io_links *links);
void link_free(struct link *link);
void link_unlist(struct link *link);
/* Counts as a stranger no more: it is let in, or gone. */
void link_known(struct link *link);
/* False: the queue is full, nothing was sent. */
bool link_send(struct link *link, struct slice payload);
void link_tell_down(struct io_links *links, uint64_t number, const struct net_identity *who);

#endif
