/* SPDX-License-Identifier: Apache-2.0 */
/* The quorum as one node sees it: its configuration, who leads, whose links are up; see pages.h. */
#include <stdio.h>
#include <string.h>

#include "arbiter/quorated/pages.h"
#include "proto/io/link.h"
#include "proto/io/loop.h"
#include "proto/io/tls.h"

static void fill_node(const struct quorated_pages *pages, const struct raft_member *member,
                      const struct raft_node_status *status, struct web_node *ret)
{
    struct raft_member_status other;
    *ret = (struct web_node){.name = member->name,
                             .is_self = member->id == pages->node_id,
                             .is_leader = member->id == status->leader_id,
                             .is_learner = member->is_learner,
                             .behind = -1,
                             .is_unstarted = member->name.text[0] == '\0'};
    ret->is_up = ret->is_self || io_links_is_up(pages->links, member->id);
    if (member->client_url_count > 0) {
        (void)snprintf(ret->url, sizeof(ret->url), "%s", member->client_urls[0].text);
    }
    if (raft_node_member_status(pages->node, member->id, &other)) {
        uint64_t last = status->last_index;
        ret->behind = last > other.match_index ? (int64_t)(last - other.match_index) : 0;
    }
}

void quorated_pages_quorum(const struct quorated_pages *pages, struct web_quorum *ret)
{
    struct raft_node_status status;
    struct kv_service_stats stats;
    const struct raft_configuration *all = raft_node_configuration(pages->node);
    raft_node_status(pages->node, &status);
    kv_service_stats(pages->service, &stats);
    memset(ret, 0, sizeof(*ret));
    ret->name = pages->name;
    ret->now_us = io_wall_now().us;
    ret->since_us = pages->leader_since_us;
    ret->term = status.term;
    ret->applied = status.applied_index;
    ret->is_leader = status.role == RAFT_LEADER;
    ret->has_leader = status.leader_id != 0;
    ret->has_no_space = stats.has_no_space;
    ret->is_corrupt = stats.is_corrupt;
    ret->certificate_end_us = pages->tls == NULL ? 0 : io_tls_own_end_us(pages->tls);
    for (size_t i = 0; i < all->count && i < WEB_NODES_MAX; i++) {
        fill_node(pages, &all->members[i], &status, &ret->nodes[ret->nodes_count++]);
    }
}
