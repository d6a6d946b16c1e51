/* SPDX-License-Identifier: Apache-2.0 */
/* Links: framed, authenticated connections on port 2380, and the table of them that implements
 * net_port.
 *
 * Frame: u32 length, u32 crc32c of the payload, payload (both little-endian; length 1 to
 * NET_FRAME_MAX). The first frame each way is a hello: protocol versions, cluster token, claimed
 * identity, session. A version that does not fit, a wrong token, checksum, length or identity
 * closes the connection with one log line. Identity comes from the certificate; without TLS
 * (insecure, loopback only) the claim is believed.
 *
 * Each side dials: a node every other node, an agent every node. A node sends to a peer over the
 * link that it dialled and receives over the one that the peer dialled (both carry both ways until
 * the other is up). Link numbers: a node's id (below IO_LINK_FIRST_AGENT) for nodes, a fresh number
 * for each accepted connection of an agent, and of a node that is not in the table (it wants to
 * join, or was removed): its identity has role NODE, and says what it claims to be. Two live
 * connections with one agent name are both delivered: the arbiter decides by the session in the
 * reports. Loop thread only. Broken links are dialled again after 50 ms to 1 s.
 */
#ifndef QUORATE_PROTO_IO_LINK_H
#define QUORATE_PROTO_IO_LINK_H

#include "proto/io/stream.h"
#include "proto/port_net.h"

#define IO_LINK_NODES_MAX 9 /* nodes in a table, ourselves included */
#define IO_LINK_AGENTS_MAX 2048
#define IO_LINK_FIRST_AGENT \
    (UINT64_C(1) << 63) /* node ids are below, numbers of agent links from here on */

struct io_link_node {
    uint64_t node_id; /* 1 and up, below IO_LINK_FIRST_AGENT */
    /* Expected at the other end, with this id. Empty (a member that has not started yet): any name
     * will do. Agents, and nodes without an id of their own, look at the name alone: node_id is
     * then a number of the caller's choice, the real one is in the identity of `up` and `received`.
     */
    struct base_name name;
    struct io_address address;
};

struct io_link_events {
    /* One frame's payload (type byte first), valid during the call. */
    void (*received)(void *ctx, uint64_t link, const struct net_identity *from,
                     struct slice payload);
    void (*up)(void *ctx, uint64_t link, const struct net_identity *who);
    void (*down)(void *ctx, uint64_t link, const struct net_identity *who);
};

struct io_links_options {
    /* NODE with node_id (0: not known yet, a node that asks to join), or AGENT with cluster and
     * member. In what `up`, `down` and `received` are told a NODE's name stands in `member`. */
    struct net_identity self;
    struct base_name name; /* our node name (NODE) */
    struct base_text
        token;          /* name of this quorum; both ends must have the same. "" on an agent: any */
    struct io_tls *tls; /* NULL: insecure; only loopback addresses are then dialled and accepted */
    size_t queue_max;   /* bytes per link; 0: 8 MiB */
    uint32_t ping_ms;   /* idle links are pinged; 0: 500 */
    uint32_t dead_ms;   /* nothing heard for so long: closed; 0: 3000 */
    const struct io_link_events *events; /* static */
    void *ctx;
};

struct io_links;

MUST_CHECK int io_links_new(struct io_loop *loop, const struct io_links_options *options,
                            struct io_links **ret, struct io_why *why);
/* Nodes: listen for peers and agents. Errors as io_listen; insecure beyond loopback is DENIED. */
MUST_CHECK int io_links_listen(struct io_links *links, const struct io_address *address,
                               struct io_why *why);
uint16_t io_links_port(const struct io_links *links);
/* Dials a node from now on (again with a new address when known already); ourselves is ignored.
 * NOSPACE; DENIED when insecure and not loopback. */
MUST_CHECK int io_links_add(struct io_links *links, const struct io_link_node *node,
                            struct io_why *why);
/* Stops dialling, closes what is open with that node. */
void io_links_remove(struct io_links *links, uint64_t node_id);
bool io_links_is_up(const struct io_links *links, uint64_t link);
/* The port that glue is given. */
struct net_port io_links_port_of(struct io_links *links);
/* Closes all; no callback afterwards. NULL is fine. Returns NULL. */
struct io_links *io_links_free(struct io_links *links);

struct io_links_stats {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t dropped; /* sends refused: link down or queue full */
    uint64_t bad;     /* connections closed for a bad frame or hello */
    uint32_t links_up;
};
struct io_links_stats io_links_stats(const struct io_links *links);

#endif
