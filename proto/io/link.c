/* SPDX-License-Identifier: Apache-2.0 */
/* The table of links: dialling, accepting, hellos, keepalive, sending. See link.h.
 *
 * A struct link is one connection; it dies with its stream's `closed`. A struct peer is one node
 * that we dial, with at most one outgoing and one incoming connection. Links of agents are found by
 * slot and generation in their number. After io_links_free a link's `links` is NULL and its
 * callbacks do nothing.
 */
#include "proto/io/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/name.h"
#include "base/rand.h"
#include "proto/io/link_frame.h"
#include "proto/io/log.h"

#define QUEUE_DEFAULT ((size_t)8 << 20)
#define PING_DEFAULT_MS 500
#define DEAD_DEFAULT_MS 3000
#define HELLO_US (5 * BASE_US_PER_S)
#define BACKOFF_FIRST_US (50 * BASE_US_PER_MS)
#define BACKOFF_LAST_US (1000 * BASE_US_PER_MS)
#define STRANGERS_MAX 64 /* accepted connections that have not said hello */
#define GUESTS_MAX 16    /* quorum nodes that are not in our table */
#define SLOT_BITS 16

struct peer;

struct link {
    struct io_links *links; /* NULL: the table is gone */
    struct io_stream *stream;
    struct peer *peer; /* the node at the other end; NULL: agent or stranger */
    bool is_dialled;
    bool is_up;      /* both hellos are good */
    bool has_sent;   /* since the last tick */
    bool is_refused; /* by us, and logged */
    bool is_guest;   /* a node that is not in the table */
    uint64_t number;
    struct net_identity identity;
    struct link_reader reader;
    struct io_timer timer; /* hello, then ticks */
    struct base_mono heard;
    struct link *next, *prev; /* links->all */
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

static void dial(struct peer *peer);

/* --- small helpers
 * -------------------------------------------------------------------------------------- */

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

static struct peer *find_peer(struct io_links *links, uint64_t node_id)
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

static bool send_frame(struct link *link, struct slice payload)
{
    uint8_t header[LINK_HEADER];
    link_frame_header(payload, header);
    const struct slice pieces[2] = {slice_from(header, sizeof(header)), payload};
    if (io_stream_writev(link->stream, pieces, 2) != 0) {
        return false;
    }
    link->has_sent = true;
    link->links->stats.frames_out++;
    link->links->stats.bytes_out += payload.len;
    return true;
}

static void send_hello(struct link *link)
{
    uint8_t memory[LINK_HELLO_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    const struct io_links_options *options = &link->links->options;
    const struct link_hello hello = {
        .version = LINK_VERSION,
        .role = options->self.role,
        .node_id = options->self.node_id,
        .name = options->name,
        .cluster = options->self.cluster,
        .member = options->self.member,
        .token = options->token,
    };
    link_hello_put(&hello, &b);
    (void)send_frame(link, buf_slice(&b)); /* a fresh queue has room; else the link times out */
}

/* Closes for something that the other side did wrong. */
static void refuse(struct link *link, const char *why)
{
    link->links->stats.bad++;
    link->is_refused = true;
    IO_LOG_WARN("link", "refused", io_text("peer", io_stream_peer(link->stream)),
                io_text("why", why), io_text("next", "connection closed"));
    io_stream_abort(link->stream, why);
}

/* --- up and down
 * ---------------------------------------------------------------------------------------- */

static void tick(void *ctx)
{
    struct link *link = ctx;
    const struct io_links_options *options = &link->links->options;
    struct base_mono now = io_now();
    if (base_mono_diff_us(now, link->heard) > options->dead_ms * BASE_US_PER_MS) {
        io_stream_abort(link->stream, "nothing heard any more");
        return;
    }
    if (!link->has_sent) {
        const uint8_t ping = LINK_FRAME_PING;
        (void)send_frame(link, slice_from(&ping, 1)); /* full queue: not idle then */
    }
    link->has_sent = false;
    io_timer_start(&link->timer, base_mono_add_us(now, options->ping_ms * BASE_US_PER_MS));
}

static void tell_up(struct io_links *links, uint64_t number, const struct net_identity *who)
{
    links->stats.links_up++;
    if (links->options.events->up != NULL) {
        links->options.events->up(links->options.ctx, number, who);
    }
}

static void tell_down(struct io_links *links, uint64_t number, const struct net_identity *who)
{
    links->stats.links_up--;
    if (links->options.events->down != NULL) {
        links->options.events->down(links->options.ctx, number, who);
    }
}

static void log_up(const struct link *link)
{
    IO_LOG_INFO("link", "up", io_text("peer", io_stream_peer(link->stream)),
                io_text("role", io_role_name(link->identity.role)),
                io_hex("id", link->identity.node_id), io_name("cluster", &link->identity.cluster),
                io_name("member", &link->identity.member), io_bool("dialled", link->is_dialled));
}

static void come_up(struct link *link)
{
    struct io_links *links = link->links;
    struct peer *peer = link->peer;
    link->is_up = true;
    link->reader.frame_max = NET_FRAME_MAX;
    link->heard = io_now();
    link->has_sent = true;
    io_timer_stop(&link->timer);
    io_timer_init(&link->timer, links->loop, tick, link);
    io_timer_start_in_us(&link->timer, links->options.ping_ms * BASE_US_PER_MS);
    log_up(link);
    if (peer == NULL) {
        tell_up(links, link->number, &link->identity);
        return;
    }
    peer->identity = link->identity;
    if (link->is_dialled) {
        peer->backoff_us = BACKOFF_FIRST_US;
        peer->why_crc = 0;
    }
    if (!peer->is_up) {
        peer->is_up = true;
        tell_up(links, peer->node.node_id, &peer->identity);
    }
}

static void retry_later(struct peer *peer)
{
    int64_t spread =
        (int64_t)base_rand_between(&peer->links->rand, 0, (uint64_t)peer->backoff_us / 4);
    io_timer_start_in_us(&peer->retry, peer->backoff_us + spread);
    peer->backoff_us *= 2;
    if (peer->backoff_us > BACKOFF_LAST_US) {
        peer->backoff_us = BACKOFF_LAST_US;
    }
}

static void peer_lost(struct peer *peer, const struct link *link)
{
    if (peer->out == link) {
        peer->out = NULL;
        retry_later(peer);
    }
    if (peer->in == link) {
        peer->in = NULL;
    }
    bool is_up = (peer->out != NULL && peer->out->is_up) || (peer->in != NULL && peer->in->is_up);
    if (peer->is_up && !is_up) {
        peer->is_up = false;
        tell_down(peer->links, peer->node.node_id, &peer->identity);
    }
}

/* Each new reason once, so that a node that is away for hours leaves one line. */
static void log_down(const struct link *link, const char *why)
{
    uint32_t crc = base_crc32c(0, slice_from_text(why));
    if (link->is_refused) {
        return;
    }
    if (link->is_up) {
        IO_LOG_NOTICE("link", "down", io_text("peer", io_stream_peer(link->stream)),
                      io_text("role", io_role_name(link->identity.role)),
                      io_hex("id", link->identity.node_id),
                      io_name("cluster", &link->identity.cluster),
                      io_name("member", &link->identity.member), io_text("why", why));
    } else if (!link->is_dialled) {
        IO_LOG_INFO("link", "refused", io_text("peer", io_stream_peer(link->stream)),
                    io_text("why", why));
    } else if (link->peer != NULL && link->peer->why_crc != crc) {
        link->peer->why_crc = crc;
        IO_LOG_WARN("link", "dial_failed", io_name("to", &link->peer->node.name),
                    io_hex("id", link->peer->node.node_id), io_text("why", why),
                    io_text("next", "retrying until it answers"));
    }
}

static void link_free(struct link *link)
{
    io_timer_stop(&link->timer);
    link_reader_free(&link->reader);
    free(link);
}

static void unlist(struct link *link)
{
    struct io_links *links = link->links;
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        links->all = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    }
}

static void link_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct link *link = ctx;
    struct io_links *links = link->links;
    (void)stream;
    (void)status;
    if (links == NULL) {
        link_free(link);
        return;
    }
    log_down(link, why);
    unlist(link);
    bool was_up = link->is_up;
    link->is_up = false;
    links->guests -= link->is_guest;
    if (link->peer != NULL) {
        peer_lost(link->peer, link);
    } else if (was_up) {
        links->agents[link->number & ((1u << SLOT_BITS) - 1)] = NULL;
        tell_down(links, link->number, &link->identity);
    } else {
        links->strangers--;
    }
    link_free(link);
}

/* --- hello
 * ---------------------------------------------------------------------------------------------- */

/* Does the certificate say the same as the hello? */
static bool is_proven(const struct link *link, const struct link_hello *hello, struct io_why *why)
{
    char text[IO_IDENTITY_TEXT_MAX];
    if (link->links->options.tls == NULL) {
        return true; /* insecure: loopback only, checked when the connection came */
    }
    const struct io_identity *proven = io_stream_identity(link->stream);
    bool is_same = proven->net.role == hello->role;
    if (hello->role == NET_ROLE_NODE) {
        is_same = is_same && base_name_equal(&proven->name, &hello->name);
    } else {
        is_same = is_same && base_name_equal(&proven->net.cluster, &hello->cluster) &&
                  base_name_equal(&proven->net.member, &hello->member);
    }
    if (!is_same) {
        bool is_agent = hello->role == NET_ROLE_AGENT;
        io_why_set(why, "it says it is %s %s%s%s, but its certificate is for %s; give it its own",
                   io_role_name(hello->role), is_agent ? hello->cluster.text : hello->name.text,
                   is_agent ? "/" : "", hello->member.text,
                   io_identity_text(proven, text, sizeof(text)));
    }
    return is_same;
}

/* Checks that do not depend on who it is. */
static bool is_of_ours(const struct link *link, const struct link_hello *hello, struct io_why *why)
{
    const struct base_text *token = &link->links->options.token;
    if (hello->version != LINK_VERSION) {
        io_why_set(why, "it speaks protocol version %u, we speak %d; upgrade the older one",
                   hello->version, LINK_VERSION);
        return false;
    }
    bool is_any = (hello->role == NET_ROLE_AGENT && hello->token.text[0] == '\0') ||
                  (link->links->options.self.role == NET_ROLE_AGENT && token->text[0] == '\0');
    if (!is_any && strcmp(token->text, hello->token.text) != 0) {
        io_why_set(why, "it belongs to quorum '%s', we to '%s'", hello->token.text, token->text);
        return false;
    }
    return is_proven(link, hello, why);
}

/* A member of the quorum knows its peers' ids, and may know names only later; an agent, and a node
 * that has no id yet, goes by names, since the id of a node that was replaced is another one. */
static bool is_expected(const struct peer *peer, const struct link_hello *hello, struct io_why *why)
{
    const struct io_links_options *options = &peer->links->options;
    bool has_ids = options->self.role == NET_ROLE_NODE && options->self.node_id != 0;
    bool is_named =
        base_name_is_empty(&peer->node.name) || base_name_equal(&peer->node.name, &hello->name);
    if (!is_named || (has_ids && peer->node.node_id != hello->node_id)) {
        io_why_set(why, "it is node '%s' (id %llx), expected '%s' (id %llx); check the member list",
                   hello->name.text, (unsigned long long)hello->node_id, peer->node.name.text,
                   (unsigned long long)peer->node.node_id);
        return false;
    }
    return true;
}

static bool take_slot(struct link *link, struct io_why *why)
{
    struct io_links *links = link->links;
    for (size_t slot = 0; slot < IO_LINK_AGENTS_MAX; slot++) {
        if (links->agents[slot] == NULL) {
            links->agents[slot] = link;
            links->generation++;
            link->number = IO_LINK_FIRST_AGENT | links->generation << SLOT_BITS | slot;
            links->strangers--;
            return true;
        }
    }
    io_why_set(why, "more than %d agents", IO_LINK_AGENTS_MAX);
    return false;
}

/* A node of this quorum's certificates and token that is no member: it wants to join, or was
 * removed and does not know. It gets a link like an agent's; what is said there is the owner's. */
static bool take_guest(struct link *link, const struct link_hello *hello, struct io_why *why)
{
    struct io_links *links = link->links;
    if (hello->node_id != 0 && hello->node_id == links->options.self.node_id) {
        io_why_set(why, "node '%s' claims our own id %llx", hello->name.text,
                   (unsigned long long)hello->node_id);
        return false;
    }
    if (links->guests >= GUESTS_MAX) {
        io_why_set(why, "more than %d nodes that are not in our member list", GUESTS_MAX);
        return false;
    }
    if (!take_slot(link, why)) {
        return false;
    }
    link->is_guest = true;
    links->guests++;
    return true;
}

/* A node has connected to us. A new connection replaces an old one: its process has started anew.
 */
static bool take_peer(struct link *link, const struct link_hello *hello, struct io_why *why)
{
    struct peer *peer = find_peer(link->links, hello->node_id);
    if (link->links->options.self.role != NET_ROLE_NODE) {
        io_why_set(why, "an agent takes no connections of nodes");
        return false;
    }
    if (peer == NULL) {
        return take_guest(link, hello, why);
    }
    if (!is_expected(peer, hello, why)) {
        return false;
    }
    if (peer->in != NULL) {
        io_stream_abort(peer->in->stream, "replaced by a newer connection");
    }
    if (peer->out == NULL) { /* it is back: do not wait for the next try */
        peer->backoff_us = BACKOFF_FIRST_US;
        io_timer_start(&peer->retry, io_now());
    }
    peer->in = link;
    link->peer = peer;
    link->number = peer->node.node_id;
    link->links->strangers--;
    return true;
}

static bool accept_hello(struct link *link, const struct link_hello *hello, struct io_why *why)
{
    if (!is_of_ours(link, hello, why)) {
        return false;
    }
    link->identity = (struct net_identity){.role = hello->role, .node_id = hello->node_id};
    link->identity.cluster = hello->cluster;
    link->identity.member = hello->role == NET_ROLE_NODE ? hello->name : hello->member;
    if (link->is_dialled) {
        if (hello->role != NET_ROLE_NODE) {
            io_why_set(why, "a quorum node is expected there, not %s", io_role_name(hello->role));
            return false;
        }
        return is_expected(link->peer, hello, why);
    }
    if (hello->role == NET_ROLE_NODE) {
        return take_peer(link, hello, why);
    }
    if (hello->role != NET_ROLE_AGENT || base_name_is_empty(&hello->cluster) ||
        base_name_is_empty(&hello->member)) {
        io_why_set(why, "role %s has no business on this port", io_role_name(hello->role));
        return false;
    }
    return take_slot(link, why);
}

/* --- receiving
 * ------------------------------------------------------------------------------------------ */

static bool hello_came(struct link *link, struct slice payload)
{
    struct link_hello hello;
    struct io_why why = {""};
    if (link_hello_read(payload, &hello) != 0) {
        refuse(link, "no valid hello");
        return false;
    }
    if (!accept_hello(link, &hello, &why)) {
        refuse(link, why.text);
        return false;
    }
    if (!link->is_dialled) {
        send_hello(link);
    }
    come_up(link);
    return true;
}

static bool frame_came(void *ctx, struct slice payload)
{
    struct link *link = ctx;
    struct io_links *links = link->links;
    if (!link->is_up) {
        return hello_came(link, payload);
    }
    link->heard = io_now();
    if (payload.data[0] == LINK_FRAME_PING) {
        return true;
    }
    if (payload.data[0] == LINK_FRAME_HELLO) {
        refuse(link, "a second hello");
        return false;
    }
    links->stats.frames_in++;
    links->stats.bytes_in += payload.len;
    links->options.events->received(links->options.ctx, link->number, &link->identity, payload);
    return link->links != NULL && link->is_up;
}

static void link_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct link *link = ctx;
    struct io_why why = {""};
    (void)stream;
    if (link->links == NULL) {
        return;
    }
    link->heard = io_now();
    if (link_reader_feed(&link->reader, bytes, frame_came, link, &why) != 0 &&
        link->links != NULL) {
        refuse(link, why.text[0] != '\0' ? why.text : "out of memory");
    }
}

static void hello_late(void *ctx)
{
    struct link *link = ctx;
    io_stream_abort(link->stream, "no hello in time");
}

static void link_opened(void *ctx, struct io_stream *stream)
{
    struct link *link = ctx;
    if (link->links == NULL) {
        return;
    }
    if (link->links->options.tls == NULL && !io_stream_is_loopback(stream)) {
        refuse(link, "insecure links are for loopback only; set up TLS");
        return;
    }
    io_timer_init(&link->timer, link->links->loop, hello_late, link);
    io_timer_start_in_us(&link->timer, HELLO_US);
    if (link->is_dialled) {
        send_hello(link);
    }
}

static const struct io_stream_events stream_events = {link_opened, link_data, NULL, link_closed};

static struct link *link_new(struct io_links *links)
{
    struct link *link = calloc(1, sizeof(*link));
    if (link != NULL) {
        link->links = links;
        link->reader.frame_max = LINK_HELLO_MAX;
        link->next = links->all;
        if (links->all != NULL) {
            links->all->prev = link;
        }
        links->all = link;
    }
    return link;
}

static void accepted(void *ctx, struct io_stream *stream)
{
    struct io_links *links = ctx;
    struct link *link = links->strangers < STRANGERS_MAX ? link_new(links) : NULL;
    if (link == NULL) {
        static const struct io_stream_events nothing = {NULL, NULL, NULL, NULL};
        io_stream_set(stream, &nothing, NULL);
        io_stream_abort(stream, "too many connections");
        return;
    }
    links->strangers++;
    link->stream = stream;
    io_stream_set(stream, &stream_events, link);
}

/* --- dialling
 * ------------------------------------------------------------------------------------------- */

static struct io_stream_options stream_options(const struct io_links *links, struct link *link)
{
    return (struct io_stream_options){
        .tls = links->options.tls,
        .write_queue_max = links->options.queue_max,
        .user_timeout_ms = links->options.dead_ms,
        .connect_timeout_ms = links->options.dead_ms,
        .events = &stream_events,
        .ctx = link,
    };
}

static void dial(struct peer *peer)
{
    struct io_links *links = peer->links;
    struct link *link = link_new(links);
    if (link == NULL) {
        retry_later(peer);
        return;
    }
    const struct io_stream_options options = stream_options(links, link);
    link->is_dialled = true;
    link->peer = peer;
    link->number = peer->node.node_id;
    if (io_stream_connect(links->loop, &peer->node.address, &options, &link->stream) != 0) {
        unlist(link);
        link_free(link);
        retry_later(peer);
        return;
    }
    peer->out = link;
}

static void retry_fired(void *ctx)
{
    dial(ctx);
}

/* --- the table
 * ------------------------------------------------------------------------------------------ */

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
    struct peer *peer = find_peer(links, node->node_id);
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
    unlist(link);
    io_timer_stop(&link->timer);
    link->links = NULL;
    link->is_up = false;
    link->peer = NULL;
    io_stream_abort(link->stream, why);
}

void io_links_remove(struct io_links *links, uint64_t node_id)
{
    struct peer *peer = find_peer(links, node_id);
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
        tell_down(links, node_id, &who);
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
    if (link == NULL || !send_frame(link, payload)) {
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
