/* SPDX-License-Identifier: Apache-2.0 */
/* Asking who we are; see join.h. */
#include "arbiter/quorated/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/quorated/founding.h"
#include "base/failpoint.h"
#include "base/name.h"
#include "proto/io/config_quorum.h"
#include "proto/io/log.h"
#include "raft/core/members.h"

#define ASK_US (500 * BASE_US_PER_MS)
#define LOOK_US (300 * BASE_US_PER_MS) /* new quorum: so long others may say that it is not */
#define LATE_LOOKS 10   /* and so often it is looked who else answers, when it is not */
#define REMIND_EVERY 20 /* questions without a use */

struct quorated_join {
    struct quorated_join_options options;
    struct io_links *links;
    struct io_timer timer;
    uint64_t asked;
    struct founding founding; /* of a new quorum */
    bool is_over;             /* the end is due: from the timer, never from inside the links */
    struct quorated_joined joined;
};

static const char *own_url(const struct quorated_settings *s)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (base_name_equal(&s->nodes[i].name, &s->name)) {
            return s->node_urls[i];
        }
    }
    return "";
}

static void over(struct quorated_join *j, int status, uint64_t cluster_id, uint64_t node_id)
{
    if (!j->is_over) {
        j->is_over = true;
        j->joined.status = status;
        j->joined.cluster_id = cluster_id;
        j->joined.node_id = node_id;
        io_timer_start_in_us(&j->timer, 0);
    }
}

/* --- answers --- */

static bool is_same_place(const char *a, const char *b)
{
    struct io_address left;
    struct io_address right;
    return io_address_parse(slice_from_text(a), IO_QUORUM_PEER_PORT, &left, NULL) == 0 &&
           io_address_parse(slice_from_text(b), IO_QUORUM_PEER_PORT, &right, NULL) == 0 &&
           left.port == right.port && strcmp(left.host, right.host) == 0;
}

static void find_self(struct quorated_join *j, const struct member_frame *frame)
{
    const struct quorated_settings *s = j->options.settings;
    const char *url = own_url(s);
    if (raft_members_find(&frame->configuration, j->options.node_id) != NULL) {
        j->joined.others = frame->configuration;
        over(j, 0, frame->cluster_id, j->options.node_id);
        return;
    }
    for (size_t i = 0; i < frame->configuration.count && j->options.node_id == 0; i++) {
        const struct raft_member *member = &frame->configuration.members[i];
        if (!is_same_place(member->peer_url.text, url)) {
            continue;
        }
        if (base_name_is_empty(&member->name)) {
            j->joined.others = frame->configuration;
            over(j, 0, frame->cluster_id, member->id);
            return;
        }
        (void)snprintf(
            j->joined.text, sizeof(j->joined.text),
            "the member at %s (id %llx) has started before, as %s, and its directory %s is "
            "empty now; a node whose disk is gone comes back under a new id: 'kv member "
            "remove %llx', then 'kv member add %s --peer-urls=%s', then start it again",
            url, (unsigned long long)member->id, member->name.text, s->data_dir,
            (unsigned long long)member->id, s->name.text, url);
        over(j, BASE_E_CONFLICT, 0, 0);
        return;
    }
}

/* The quorum was thought to be new, and this node may have been part of it. */
static void refuse(struct quorated_join *j)
{
    const struct quorated_settings *s = j->options.settings;
    (void)snprintf(
        j->joined.text, sizeof(j->joined.text),
        "this quorum is at work already, and %s is empty: starting with an empty disk "
        "could undo what this node has promised; %s, then 'kv member add %s --peer-urls=%s', and "
        "start it with quorum.state: existing",
        s->data_dir,
        j->founding.is_refused ? "if it was a member, run 'kv member remove' for it"
                               : "run 'kv member remove' for it",
        s->name.text, own_url(s));
    over(j, BASE_E_CONFLICT, 0, 0);
}

/* Looks again as long as others may answer who have not yet. */
static void look(struct quorated_join *j)
{
    const struct quorated_settings *s = j->options.settings;
    enum founding_verdict verdict = founding_verdict(&j->founding);
    if (verdict == FOUNDING_REFUSED || (verdict == FOUNDING_WAIT && j->asked >= LATE_LOOKS)) {
        refuse(j);
    } else if (verdict != FOUNDING_WAIT) {
        if (verdict == FOUNDING_LATE) {
            IO_LOG_NOTICE("join", "late", io_name("name", &s->name),
                          io_text("why", "the others have begun without it"));
        }
        over(j, 0, s->cluster_id, s->node_id);
    }
}

static void received(void *ctx, uint64_t link, const struct net_identity *from,
                     struct slice payload)
{
    struct quorated_join *j = ctx;
    struct member_frame frame;
    (void)link;
    if (from->role != NET_ROLE_NODE || member_frame_read(payload, &frame) != 0 ||
        frame.kind != MEMBER_HERE || j->is_over) {
        return;
    }
    if (!j->options.settings->is_joining) {
        founding_answer(&j->founding, from->node_id, &frame);
    } else if (frame.is_committed) {
        find_self(j, &frame);
    }
}

/* --- questions --- */

static void ask(struct quorated_join *j)
{
    const struct quorated_settings *s = j->options.settings;
    uint8_t memory[MEMBER_FRAME_MAX];
    struct buf out = buf_over(memory, sizeof(memory));
    struct member_frame frame = {.kind = MEMBER_WHO, .name = s->name};
    frame.peer_url = base_text_from(slice_from_text(own_url(s)));
    if (FAILPOINT(JOIN_ASK) != 0 || member_frame_put(&frame, &out) != 0) {
        return;
    }
    const struct net_port net = io_links_port_of(j->links);
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].node_id != s->node_id) {
            (void)net.send(net.ctx, s->nodes[i].node_id, buf_slice(&out)); /* asked again */
        }
    }
    if (j->asked++ % REMIND_EVERY == REMIND_EVERY / 4) {
        IO_LOG_NOTICE(
            "join", "waiting", io_name("name", &s->name), io_text("url", own_url(s)),
            io_text("next", "no member of this URL yet: 'kv member add NAME --peer-urls=URL'"));
    }
}

static void fired(void *ctx)
{
    struct quorated_join *j = ctx;
    const struct quorated_settings *s = j->options.settings;
    if (!j->is_over && !s->is_joining) {
        look(j);
    }
    if (j->is_over) {
        j->options.done(j->options.ctx, &j->joined);
        return;
    }
    ask(j);
    io_timer_start_in_us(&j->timer, s->is_joining ? ASK_US : LOOK_US);
}

static const struct io_link_events events = {.received = received};

int quorated_join_start(struct io_loop *loop, const struct quorated_join_options *options,
                        struct quorated_join **ret, struct io_why *why)
{
    const struct quorated_settings *s = options->settings;
    struct quorated_join *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    j->options = *options;
    io_timer_init(&j->timer, loop, fired, j);
    *ret = j;
    const struct io_links_options links = {.self = {.role = NET_ROLE_NODE},
                                           .name = s->name,
                                           .token = s->token,
                                           .tls = options->tls,
                                           .events = &events,
                                           .ctx = j};
    int rc = io_links_new(loop, &links, &j->links, why);
    j->founding.self = s->node_id;
    for (size_t i = 0; i < s->nodes_count && i < RAFT_MEMBERS_MAX; i++) {
        j->founding.ids[j->founding.count++] = s->nodes[i].node_id;
    }
    for (size_t i = 0; rc == 0 && i < s->nodes_count; i++) {
        if (s->nodes[i].node_id != s->node_id) {
            rc = io_links_add(j->links, &s->nodes[i], why);
        }
    }
    io_timer_start_in_us(&j->timer, s->is_joining ? ASK_US / 5 : LOOK_US);
    return rc;
}

struct quorated_join *quorated_join_free(struct quorated_join *join)
{
    if (join != NULL) {
        io_timer_stop(&join->timer);
        join->links = io_links_free(join->links);
        free(join);
    }
    return NULL;
}
