/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in: certificate, quorum, and a place in the table; see link_internal.h. */
#include <string.h>

#include "base/name.h"
#include "proto/io/link_internal.h"

#define GUESTS_MAX 16 /* quorum nodes that are not in our table */

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
    if (!link_hello_fits(hello)) {
        io_why_set(why, "it speaks protocol versions %u to %u, we speak %d to %d; upgrade %s first",
                   hello->oldest, hello->version, LINK_VERSION_OLDEST, LINK_VERSION,
                   hello->version < LINK_VERSION_OLDEST ? "it" : "this program");
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
            link_known(link);
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
    struct peer *peer = link_peer_find(link->links, hello->node_id);
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
    link_known(link);
    return true;
}

bool link_hello_accept(struct link *link, const struct link_hello *hello, struct io_why *why)
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
