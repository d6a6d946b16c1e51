/* SPDX-License-Identifier: Apache-2.0 */
/* The table of links: dialling, accepting, finding, forgetting. See link.h and link_internal.h. */
#include "proto/io/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"
#include "proto/io/link_internal.h"

#define QUEUE_DEFAULT ((size_t)8 << 20)
#define PING_DEFAULT_MS 500
#define DEAD_DEFAULT_MS 3000
#define STRANGERS_MAX 64 /* accepted connections that have not said hello */

/* --- finding --- */

/* Row of a node, or IO_LINK_NODES_MAX. */
static size_t find_row(const struct io_links *links, uint64_t node_id)
{
    size_t row = 0;
    while (row < IO_LINK_NODES_MAX &&
           (!links->peers[row].is_used || links->peers[row].node.node_id != node_id)) {
        row++;
    }
    return row;
}

struct peer *link_peer_find(struct io_links *links, uint64_t node_id)
{
    size_t row = find_row(links, node_id);
    return row < IO_LINK_NODES_MAX ? &links->peers[row] : NULL;
}

/* The connection that carries what is sent to this number. */
static struct link *find_link(const struct io_links *links, uint64_t number)
{
    if (number >= IO_LINK_FIRST_AGENT) {
        size_t slot = number & ((1u << SLOT_BITS) - 1);
        struct link *link = slot < IO_LINK_AGENTS_MAX ? links->agents[slot] : NULL;
        return link != NULL && link->number == number && link->is_up ? link : NULL;
    }
    size_t row = find_row(links, number);
    const struct peer *peer = row < IO_LINK_NODES_MAX ? &links->peers[row] : NULL;
    if (peer != NULL && peer->out != NULL && peer->out->is_up) {
        return peer->out;
    }
    return peer != NULL && peer->in != NULL && peer->in->is_up ? peer->in : NULL;
}

/* --- accepting --- */

/* The stranger that has been silent for longest makes room: a peer that comes says its hello at
 * once, so whoever fills the table with silence does not keep it out. */
static void drop_oldest_stranger(struct io_links *links)
{
    struct link *oldest = NULL;
    for (struct link *link = links->all; link != NULL; link = link->next) {
        oldest = link->is_stranger ? link : oldest;
    }
    BASE_ASSERT(oldest != NULL);
    link_known(oldest);
    io_stream_abort(oldest->stream, "too many connections without a hello");
}

static void accepted(void *ctx, struct io_stream *stream)
{
    struct io_links *links = ctx;
    struct link *link = link_new(links);
    if (link == NULL) {
        static const struct io_stream_events nothing = {NULL, NULL, NULL, NULL};
        io_stream_set(stream, &nothing, NULL);
        io_stream_abort(stream, "out of memory");
        return;
    }
    if (links->strangers == STRANGERS_MAX) {
        drop_oldest_stranger(links);
    }
    link->is_stranger = true;
    links->strangers++;
    link->stream = stream;
    io_stream_set(stream, &link_stream_events, link);
}

/* --- dialling --- */

void link_retry_later(struct peer *peer)
{
    int64_t spread =
        (int64_t)base_rand_between(&peer->links->rand, 0, (uint64_t)peer->backoff_us / 4);
    io_timer_start_in_us(&peer->retry, peer->backoff_us + spread);
    peer->backoff_us *= 2;
    if (peer->backoff_us > BACKOFF_LAST_US) {
        peer->backoff_us = BACKOFF_LAST_US;
    }
}

static struct io_stream_options stream_options(const struct io_links *links, struct link *link)
{
    return (struct io_stream_options){
        .tls = links->options.tls,
        .write_queue_max = links->options.queue_max,
        .user_timeout_ms = links->options.dead_ms,
        .connect_timeout_ms = links->options.dead_ms,
        .events = &link_stream_events,
        .ctx = link,
    };
}

static void dial(struct peer *peer)
{
    struct io_links *links = peer->links;
    struct link *link = link_new(links);
    if (link == NULL) {
        link_retry_later(peer);
        return;
    }
    const struct io_stream_options options = stream_options(links, link);
    link->is_dialled = true;
    link->peer = peer;
    link->number = peer->node.node_id;
    if (io_stream_connect(links->loop, &peer->node.address, &options, &link->stream) != 0) {
        link_unlist(link);
        link_free(link);
        link_retry_later(peer);
        return;
    }
    peer->out = link;
}

static void retry_fired(void *ctx)
{
    dial(ctx);
}

/* --- the table --- */

int io_links_new(struct io_loop *loop, const struct io_links_options *options,
                 struct io_links **ret, struct io_why *why)
{
    BASE_ASSERT(options->self.role == NET_ROLE_NODE || options->self.role == NET_ROLE_AGENT);
    BASE_ASSERT(options->events != NULL && options->events->received != NULL);
    struct io_links *links = calloc(1, sizeof(*links));
    if (links == NULL) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    links->loop = loop;
    links->options = *options;
    links->options.queue_max = options->queue_max != 0 ? options->queue_max : QUEUE_DEFAULT;
    links->options.ping_ms = options->ping_ms != 0 ? options->ping_ms : PING_DEFAULT_MS;
    links->options.dead_ms = options->dead_ms != 0 ? options->dead_ms : DEAD_DEFAULT_MS;
    links->rand = base_rand_make((uint64_t)io_now().us, (uint64_t)(uintptr_t)links);
    *ret = links;
    return 0;
}

static int check_loopback(const struct io_links *links, const struct io_address *address,
                          struct io_why *why)
{
    char text[IO_ADDRESS_TEXT_MAX];
    if (links->options.tls == NULL && !io_address_is_loopback(address)) {
        io_why_set(why, "%s is not a loopback address: it needs TLS (certificates of kv cert)",
                   io_address_text(address, text, sizeof(text)));
        return BASE_E_DENIED;
    }
    return 0;
}

int io_links_listen(struct io_links *links, const struct io_address *address, struct io_why *why)
{
    int status = check_loopback(links, address, why);
    if (status != 0) {
        return status;
    }
    const struct io_stream_options options = stream_options(links, NULL);
    return io_listen(links->loop, address, &options, accepted, links, &links->listener, why);
}

uint16_t io_links_port(const struct io_links *links)
{
    return links->listener != NULL ? io_listener_port(links->listener) : 0;
}

static struct peer *free_peer(struct io_links *links)
{
    for (size_t i = 0; i < IO_LINK_NODES_MAX; i++) {
        if (!links->peers[i].is_used) {
            return &links->peers[i];
        }
    }
    return NULL;
}

static bool is_same_node(const struct io_link_node *a, const struct io_link_node *b)
{
    return a->node_id == b->node_id && base_name_equal(&a->name, &b->name) &&
           strcmp(a->address.host, b->address.host) == 0 && a->address.port == b->address.port;
}

/* What a node opened before it stood in the table is a guest's link, whose frames are no member's:
 * it has to come again. */
static void drop_guests(struct io_links *links, uint64_t node_id)
{
    struct link *next = NULL;
    for (struct link *link = links->all; link != NULL; link = next) {
        next = link->next;
        if (link->is_guest && link->identity.node_id == node_id) {
            io_stream_abort(link->stream, "it is a member now and connects again");
        }
    }
}

int io_links_add(struct io_links *links, const struct io_link_node *node, struct io_why *why)
{
    BASE_ASSERT(node->node_id > 0 && node->node_id < IO_LINK_FIRST_AGENT);
    if (links->options.self.role == NET_ROLE_NODE && node->node_id == links->options.self.node_id) {
        return 0;
    }
    int status = check_loopback(links, &node->address, why);
    struct peer *peer = link_peer_find(links, node->node_id);
    if (status != 0) {
        return status;
    }
    if (peer != NULL && is_same_node(&peer->node, node)) {
        return 0;
    }
    if (peer != NULL) {
        io_links_remove(links, node->node_id);
    }
    peer = free_peer(links);
    if (peer == NULL) {
        io_why_set(why, "more than %d quorum nodes", IO_LINK_NODES_MAX);
        return BASE_E_NOSPACE;
    }
    *peer = (struct peer){.links = links, .node = *node, .is_used = true};
    peer->backoff_us = BACKOFF_FIRST_US;
    io_timer_init(&peer->retry, links->loop, retry_fired, peer);
    drop_guests(links, node->node_id);
    dial(peer);
    return 0;
}

/* Cuts a connection off from the table; its stream closes by and by. */
static void detach(struct link *link, const char *why)
{
    link_unlist(link);
    io_timer_stop(&link->timer);
    link->links = NULL;
    link->is_up = false;
    link->peer = NULL;
    io_stream_abort(link->stream, why);
}

void io_links_remove(struct io_links *links, uint64_t node_id)
{
    struct peer *peer = link_peer_find(links, node_id);
    if (peer == NULL) {
        return;
    }
    io_timer_stop(&peer->retry);
    if (peer->out != NULL) {
        detach(peer->out, "node removed");
    }
    if (peer->in != NULL) {
        detach(peer->in, "node removed");
    }
    peer->is_used = false;
    if (peer->is_up) {
        struct net_identity who = peer->identity;
        link_tell_down(links, node_id, &who);
    }
}

bool io_links_is_up(const struct io_links *links, uint64_t link)
{
    return find_link(links, link) != NULL;
}

static bool port_send(void *ctx, uint64_t number, struct slice payload)
{
    struct io_links *links = ctx;
    BASE_ASSERT(payload.len > 0 && payload.len <= NET_FRAME_MAX &&
                payload.data[0] < LINK_FRAME_HELLO);
    struct link *link = find_link(links, number);
    if (link == NULL || !link_send(link, payload)) {
        links->stats.dropped++;
        return false;
    }
    return true;
}

struct net_port io_links_port_of(struct io_links *links)
{
    return (struct net_port){.ctx = links, .send = port_send};
}

struct io_links *io_links_free(struct io_links *links)
{
    if (links == NULL) {
        return NULL;
    }
    links->listener = io_listener_free(links->listener);
    for (size_t i = 0; i < IO_LINK_NODES_MAX; i++) {
        if (links->peers[i].is_used) {
            io_timer_stop(&links->peers[i].retry);
        }
    }
    while (links->all != NULL) {
        detach(links->all, "table closed");
    }
    free(links);
    return NULL;
}

struct io_links_stats io_links_stats(const struct io_links *links)
{
    return links->stats;
}
