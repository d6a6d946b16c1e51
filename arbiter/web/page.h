/* SPDX-License-Identifier: Apache-2.0 */
/* The status page as HTML, part by part; a function of what one node knows at one moment. Complete
 * without a script: the script only puts newer parts in the place of older ones (status.js).
 * Nothing in it needs a style attribute or an inline script, so that the content security policy
 * forbids both. Every fact that `kv -o json` has too stands in a data attribute as well. Loop
 * thread. */
#ifndef QUORATE_ARBITER_WEB_PAGE_H
#define QUORATE_ARBITER_WEB_PAGE_H

#include <jansson.h>

#include "arbiter/web/html.h"
#include "base/types.h"
#include "databases.pb-c.h"

#define WEB_NODES_MAX 16
#define WEB_URL_MAX 256

/* A member of the quorum as this node sees it. */
struct web_node {
    struct base_name name;
    char url[WEB_URL_MAX]; /* of its public API; "": not known */
    bool is_self, is_leader, is_learner;
    bool is_up;        /* its link to this node is; always of ourselves */
    int64_t behind;    /* entries that are not durable there; -1: only the leader knows */
    bool is_unstarted; /* added, has not joined yet */
};

/* The quorum as this node sees it. */
struct web_quorum {
    struct base_name name; /* of this node */
    int64_t now_us;        /* wall clock */
    int64_t since_us;      /* of what is said about the leader; 0: not known */
    uint64_t term, applied;
    bool is_leader;    /* this node */
    bool has_leader;   /* somebody */
    bool has_no_space; /* alarms of the store */
    bool is_corrupt;
    int64_t certificate_end_us; /* when this node's certificate ends; 0: no TLS */
    size_t nodes_count;
    struct web_node nodes[WEB_NODES_MAX];
};

/* A database cluster as this node sees it; all pointers are borrowed. */
struct web_cluster {
    const Quorate__V1__DatabaseCluster *message;
    size_t events_count;
    Quorate__V1__DatabaseEvent *const *events; /* the oldest first */
    bool is_history_read;                      /* false: entries are still to come */
    size_t entries_count;
    json_t *const *entries; /* of the history, the newest first */
    bool is_leader;         /* this node decides, and tells events */
    int64_t now_us;
};

/* What all clusters are at worst, for the headline. */
struct web_summary {
    size_t clusters, bad, watch;
    char worst[128]; /* "pg-main: no primary" */
};

enum web_level web_quorum_level(const struct web_quorum *quorum);
enum web_level web_cluster_level(const Quorate__V1__DatabaseCluster *cluster);
void web_summary_add(struct web_summary *summary, const Quorate__V1__DatabaseCluster *cluster);

/* The whole document around its parts: web_page_begin (with the headline), parts, web_page_end.
 * `shape` tells the script whether the page still has the parts that there are. */
void web_put_headline(struct web_out *out, const struct web_quorum *quorum,
                      const struct web_summary *summary); /* the title, as text */
void web_page_begin(struct web_out *out, const struct web_quorum *quorum,
                    const struct web_summary *summary, uint64_t shape);
void web_page_end(struct web_out *out, const struct web_quorum *quorum);
/* Parts: elements with an id, each replaced as a whole. */
void web_part_summary(struct web_out *out, const struct web_quorum *quorum,
                      const struct web_summary *summary);
void web_part_quorum(struct web_out *out, const struct web_quorum *quorum);
void web_part_cluster(struct web_out *out, const struct web_cluster *cluster); /* id c-NAME */
/* Its table of members, and how one of them is; for web_part_cluster. */
void web_put_members(struct web_out *out, const struct web_cluster *cluster);
enum web_level web_member_level(const Quorate__V1__DatabaseMember *member);
/* The word for its role, as the engine's people say it. */
const char *web_member_role(const Quorate__V1__DatabaseMember *member);
void web_part_story(struct web_out *out, const struct web_cluster *cluster); /* id s-NAME */

#endif
