/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a client that watches: one stream of a node's hub, over a link that is slow, is
 * cut, or breaks.
 *
 * As TCP: what is sent arrives in order or not at all. The node's side takes so much that is on the
 * way, and says BUSY then. A cut keeps everything where it is; each side finds out by itself, after
 * a time of its own, and the client is elsewhere while the node still holds its half (half-open).
 */
#ifndef QUORATE_TESTS_SIM_WATCH_CONN_H
#define QUORATE_TESTS_SIM_WATCH_CONN_H

#include "proto/msg/kv.h"
#include "tests/sim/world.h"

struct watch_conn;

struct watch_client {
    void *ctx;
    void (*heard)(void *ctx, struct slice message);
    void (*ended)(void *ctx); /* the connection is of no use any more, and is forgotten */
};

/* `address` is the client's on the network. NULL: nobody answers there, or the link is cut. */
struct watch_conn *watch_conn_open(struct world *w, unsigned address, unsigned node,
                                   const struct watch_client *client, struct base_rand *r);
void watch_conn_request(struct watch_conn *c, const struct kv_watch_request *request);
/* The client reads nothing until then. */
void watch_conn_stall(struct watch_conn *c, int64_t until_us);
/* The client closes it, and forgets it; the node hears of that when the link lets it. */
void watch_conn_leave(struct watch_conn *c);
/* The node is gone, with its hub. */
void watch_conns_node_down(struct world *w, unsigned node);
void watch_conns_open(struct world *w);
void watch_conns_close(struct world *w);

#endif
