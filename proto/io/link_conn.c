/* SPDX-License-Identifier: Apache-2.0 */
/* One connection between quorum nodes and agents: frames out and in, hellos, keepalive, what its
 * beginning and its end mean for the table; see link_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "proto/io/link_internal.h"
#include "proto/io/log.h"

#define HELLO_US (5 * BASE_US_PER_S)

/* --- sending --- */

bool link_send(struct link *link, struct slice payload)
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
        .oldest = LINK_VERSION_OLDEST,
        .role = options->self.role,
        .node_id = options->self.node_id,
        .name = options->name,
        .cluster = options->self.cluster,
        .member = options->self.member,
        .token = options->token,
    };
    link_hello_put(&hello, &b);
    (void)link_send(link, buf_slice(&b)); /* a fresh queue has room; else the link times out */
}

/* Where we dial, each new reason once. */
static bool is_said(struct link *link, const char *why)
{
    uint32_t crc = base_crc32c(0, slice_from_text(why));
    if (!link->is_dialled || link->peer == NULL) {
        return false;
    }
    bool is_same = link->peer->why_crc == crc;
    link->peer->why_crc = crc;
    return is_same;
}

/* Closes for something that the other side did wrong. */
static void refuse(struct link *link, const char *why)
{
    link->links->stats.bad++;
    link->is_refused = true;
    if (!is_said(link, why)) {
        IO_LOG_WARN("link", "refused", io_text("peer", io_stream_peer(link->stream)),
                    io_text("why", why), io_text("next", "connection closed"));
    }
    if (!link->is_closing) {
        io_stream_abort(link->stream, why);
    }
}

/* --- up and down --- */

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
        (void)link_send(link, slice_from(&ping, 1)); /* full queue: not idle then */
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

void link_tell_down(struct io_links *links, uint64_t number, const struct net_identity *who)
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

static void peer_lost(struct peer *peer, const struct link *link)
{
    if (peer->out == link) {
        peer->out = NULL;
        link_retry_later(peer);
    }
    if (peer->in == link) {
        peer->in = NULL;
    }
    bool is_up = (peer->out != NULL && peer->out->is_up) || (peer->in != NULL && peer->in->is_up);
    if (peer->is_up && !is_up) {
        peer->is_up = false;
        link_tell_down(peer->links, peer->node.node_id, &peer->identity);
    }
}

/* Each new reason once, so that a node that is away for hours leaves one line. */
static void log_down(struct link *link, const char *why)
{
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
    } else if (link->peer != NULL && !is_said(link, why)) {
        IO_LOG_WARN("link", "dial_failed", io_name("to", &link->peer->node.name),
                    io_hex("id", link->peer->node.node_id), io_text("why", why),
                    io_text("next", "retrying until it answers"));
    }
}

void link_free(struct link *link)
{
    io_timer_stop(&link->timer);
    link_reader_free(&link->reader);
    free(link);
}

void link_unlist(struct link *link)
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

void link_known(struct link *link)
{
    link->links->strangers -= link->is_stranger;
    link->is_stranger = false;
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
    link_unlist(link);
    bool was_up = link->is_up;
    link->is_up = false;
    links->guests -= link->is_guest;
    if (link->peer != NULL) {
        peer_lost(link->peer, link);
    } else if (was_up) {
        links->agents[link->number & ((1u << SLOT_BITS) - 1)] = NULL;
        link_tell_down(links, link->number, &link->identity);
    }
    link_known(link);
    link_free(link);
}

/* --- receiving --- */

static bool hello_came(struct link *link, struct slice payload)
{
    struct link_hello hello;
    struct io_why why = {""};
    if (link_hello_read(payload, &hello) != 0) {
        refuse(link, "no valid hello");
        return false;
    }
    if (!link_hello_accept(link, &hello, &why)) {
        if (!link->is_dialled && !link_hello_fits(&hello)) {
            send_hello(link); /* so that the other side can say why, too */
            io_stream_close(link->stream);
            link->is_closing = true;
        }
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
    if (link->links == NULL || link->is_closing) {
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

const struct io_stream_events link_stream_events = {link_opened, link_data, NULL, link_closed};

struct link *link_new(struct io_links *links)
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
