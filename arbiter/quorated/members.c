/* SPDX-License-Identifier: Apache-2.0 */
/* Links, publishing, guests and removal; see members.h. */
#include "arbiter/quorated/members.h"

#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/name.h"
#include "proto/io/config_quorum.h"
#include "proto/io/log.h"
#include "raft/core/members.h"

#define PUBLISH_US (500 * BASE_US_PER_MS)

/* --- links --- */

static void link_member(struct quorated_members *m, const struct raft_member *member)
{
    struct io_link_node node = {.node_id = member->id, .name = member->name};
    struct io_why why = {""};
    int rc = io_address_parse(slice_from_text(member->peer_url.text), IO_QUORUM_PEER_PORT,
                              &node.address, &why);
    rc = rc != 0 ? rc : io_links_add(m->links, &node, &why);
    if (rc != 0) {
        IO_LOG_WARN("members", "not_reached", io_hex("id", member->id),
                    io_text("url", member->peer_url.text), io_text("why", why.text),
                    io_text("next", "mend its address with 'kv member update'"));
    }
}

static bool is_linked(const struct quorated_members *m, uint64_t id)
{
    bool is_there = false;
    for (size_t i = 0; i < m->linked_count; i++) {
        is_there = is_there || m->linked[i] == id;
    }
    return is_there;
}

static void links_add(struct quorated_members *m, const struct raft_configuration *c)
{
    for (size_t i = 0; i < c->count; i++) {
        uint64_t id = c->members[i].id;
        if (id != m->self.id) {
            link_member(m, &c->members[i]);
            if (!is_linked(m, id) && m->linked_count < BASE_COUNT_OF(m->linked)) {
                m->linked[m->linked_count++] = id;
            }
        }
    }
}

/* Who goes is needed until his going is committed, as he may be the leader who brings it about, and
 * until another one leads: his answers to what we passed on to him are behind his word of that. */
static void links_drop(struct quorated_members *m, const struct raft_configuration *c,
                       uint64_t leader)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->linked_count; i++) {
        if (raft_members_find(c, m->linked[i]) != NULL || m->linked[i] == leader) {
            m->linked[kept++] = m->linked[i];
        } else {
            io_links_remove(m->links, m->linked[i]);
        }
    }
    m->linked_count = kept;
}

static bool is_committed(const struct quorated_members *m, const struct raft_configuration *c)
{
    struct raft_node_status status;
    raft_node_status(m->node, &status);
    return status.is_started && status.commit_index >= c->index;
}

static void end(struct quorated_members *m)
{
    char text[512];
    if (m->is_ended) {
        return;
    }
    m->is_ended = true;
    (void)snprintf(
        text, sizeof(text),
        "node %s (id %llx) was removed from the quorum and ends; to let it take part "
        "again, empty its data directory, run 'kv member add %s --peer-urls=URL' and start it with "
        "quorum.state: existing",
        m->self.name.text, (unsigned long long)m->self.id, m->self.name.text);
    m->removed(m->ctx, text);
}

static void note_membership(struct quorated_members *m, const struct raft_configuration *c)
{
    if (raft_members_find(c, m->self.id) != NULL) {
        m->was_member = true;
        m->member_at = c->index > m->member_at ? c->index : m->member_at;
    }
}

void quorated_members_learned(struct quorated_members *m, const struct raft_configuration *others)
{
    note_membership(m, others);
    links_add(m, others);
}

void quorated_members_changed(struct quorated_members *m)
{
    const struct raft_configuration *c = raft_node_configuration(m->node);
    struct raft_node_status status;
    raft_node_status(m->node, &status);
    if (!status.is_started || c->count == 0) {
        return;
    }
    IO_LOG_NOTICE("members", "configuration", io_u64("index", c->index),
                  io_u64("members", c->count), io_u64("voters", raft_members_voters(c)));
    note_membership(m, c);
    links_add(m, c);
}

/* --- publishing --- */

static bool is_as_said(const struct raft_member *a, const struct raft_member *b)
{
    bool is_same =
        base_name_equal(&a->name, &b->name) && a->client_url_count == b->client_url_count;
    for (size_t i = 0; is_same && i < a->client_url_count; i++) {
        is_same = strcmp(a->client_urls[i].text, b->client_urls[i].text) == 0;
    }
    return is_same;
}

/* Leader: what member `id` says of itself goes into the configuration. A change that comes at a bad
 * time is asked for again. */
static void write_down(struct quorated_members *m, uint64_t id, const struct raft_member *said)
{
    struct raft_configuration next = *raft_node_configuration(m->node);
    for (size_t i = 0; i < next.count; i++) {
        struct raft_member *member = &next.members[i];
        if (member->id == id && !is_as_said(member, said)) {
            member->name = said->name;
            member->client_url_count = said->client_url_count;
            memcpy(member->client_urls, said->client_urls, sizeof(member->client_urls));
            int rc = raft_node_change_members(m->node, &next, ++m->last_cookie);
            IO_LOG_INFO("members", "published", io_hex("id", id), io_name("name", &said->name),
                        io_err(rc));
        }
    }
}

static void publish(struct quorated_members *m, const struct raft_node_status *status)
{
    uint8_t memory[MEMBER_FRAME_MAX];
    struct buf out = buf_over(memory, sizeof(memory));
    if (FAILPOINT(MEMBERS_PUBLISH) != 0) {
        return;
    }
    if (status->role == RAFT_LEADER) {
        write_down(m, m->self.id, &m->self);
        return;
    }
    struct member_frame frame = {
        .kind = MEMBER_PUBLISH, .name = m->self.name, .client_url_count = m->self.client_url_count};
    memcpy(frame.client_urls, m->self.client_urls, sizeof(frame.client_urls));
    if (member_frame_put(&frame, &out) == 0) {
        const struct net_port net = io_links_port_of(m->links);
        (void)net.send(net.ctx, status->leader_id, buf_slice(&out)); /* asked again if lost */
    }
}

void quorated_members_tick(struct quorated_members *m)
{
    struct raft_node_status status;
    raft_node_status(m->node, &status);
    if (!status.is_started || status.is_halted) {
        return;
    }
    const struct raft_configuration *c = raft_node_configuration(m->node);
    const struct raft_member *own = raft_members_find(c, m->self.id);
    if (c->count > 0 && is_committed(m, c)) {
        links_drop(m, c, status.leader_id);
    }
    /* An image may be older than our own joining: that is no removal. */
    if (own == NULL && m->was_member && c->index > m->member_at && status.role != RAFT_LEADER &&
        is_committed(m, c)) {
        end(m);
        return;
    }
    if (own != NULL && status.leader_id != 0 && !is_as_said(own, &m->self) &&
        !base_mono_before(io_now(), m->publish_at)) {
        m->publish_at = base_mono_add_us(io_now(), PUBLISH_US);
        publish(m, &status);
    }
}

/* --- what is said between nodes --- */

static bool has_heard(const struct quorated_members *m, uint64_t id)
{
    for (size_t i = 0; i < m->heard_count; i++) {
        if (m->heard[i] == id) {
            return true;
        }
    }
    return id == m->self.id;
}

static void hear(struct quorated_members *m, uint64_t id)
{
    if (m->heard_count == BASE_COUNT_OF(m->heard)) {
        m->is_first_life = false; /* so many came that it cannot be told any more */
    } else if (!has_heard(m, id)) {
        m->heard[m->heard_count++] = id;
    }
}

static void tell_unheard(const struct quorated_members *m, struct member_frame *frame)
{
    const struct raft_configuration *c = &frame->configuration;
    for (size_t i = 0; i < c->count && m->is_first_life; i++) {
        if (!has_heard(m, c->members[i].id)) {
            frame->unheard[frame->unheard_count++] = c->members[i].id;
        }
    }
}

static void send_here(const struct quorated_members *m, uint64_t link)
{
    uint8_t memory[MEMBER_FRAME_MAX];
    struct buf out = buf_over(memory, sizeof(memory));
    struct raft_node_status status;
    raft_node_status(m->node, &status);
    if (!status.is_started) {
        return;
    }
    struct member_frame frame = {.kind = MEMBER_HERE, .cluster_id = m->cluster_id};
    frame.configuration = *raft_node_configuration(m->node);
    frame.is_committed = status.commit_index >= frame.configuration.index;
    frame.has_log = status.commit_index > 0;
    tell_unheard(m, &frame);
    if (frame.configuration.count > 0 && member_frame_put(&frame, &out) == 0) {
        const struct net_port net = io_links_port_of(m->links);
        (void)net.send(net.ctx, link, buf_slice(&out)); /* it asks again */
    }
}

void quorated_members_up(struct quorated_members *m, uint64_t link, const struct net_identity *who)
{
    if (who->role == NET_ROLE_NODE && link >= IO_LINK_FIRST_AGENT) {
        send_here(m, link);
    } else if (who->role == NET_ROLE_NODE) {
        hear(m, link); /* a member's link has its id */
    }
}

static void here_came(struct quorated_members *m, const struct member_frame *frame)
{
    const struct raft_configuration *c = raft_node_configuration(m->node);
    if (frame->cluster_id == m->cluster_id && frame->is_committed &&
        frame->configuration.index >= c->index && frame->configuration.index > m->member_at &&
        raft_members_find(&frame->configuration, m->self.id) == NULL) {
        end(m);
    }
}

static void publish_came(struct quorated_members *m, const struct net_identity *from,
                         const struct member_frame *frame)
{
    struct raft_member said = {.name = frame->name, .client_url_count = frame->client_url_count};
    struct raft_node_status status;
    raft_node_status(m->node, &status);
    if (status.role != RAFT_LEADER || !base_name_equal(&from->member, &frame->name)) {
        return; /* a name is what the certificate says */
    }
    memcpy(said.client_urls, frame->client_urls, sizeof(said.client_urls));
    write_down(m, from->node_id, &said);
}

void quorated_members_receive(struct quorated_members *m, uint64_t link,
                              const struct net_identity *from, struct slice payload)
{
    struct member_frame frame;
    int rc = member_frame_read(payload, &frame);
    if (rc != 0) {
        IO_LOG_WARN("members", "frame_refused", io_hex("from", from->node_id), io_err(rc));
    } else if (frame.kind == MEMBER_WHO) {
        send_here(m, link);
    } else if (frame.kind == MEMBER_HERE) {
        here_came(m, &frame);
    } else if (link < IO_LINK_FIRST_AGENT) {
        publish_came(m, from, &frame);
    }
}
