/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the simulated quorum nodes, and what people ask of whoever leads. */
#include "tests/sim/nodes_internal.h"

#include "base/name.h"
#include "tests/sim/databases.h"

struct node *nodes_get(struct world *w, unsigned node)
{
    return &w->nodes->list[node];
}

uint64_t node_id(struct world *w, unsigned node)
{
    return nodes_get(w, node)->id;
}

unsigned node_of(struct world *w, uint64_t id)
{
    unsigned node = 0;
    while (node < NODES_MAX && (id == 0 || nodes_get(w, node)->id != id)) {
        node++;
    }
    return node;
}

const char *node_url(unsigned node)
{
    static const char *const urls[NODES_MAX] = {"http://n1:1", "http://n2:1", "http://n3:1",
                                                "http://n4:1", "http://n5:1", "http://n6:1",
                                                "http://n7:1"};
    return urls[node];
}

struct kv_watch_hub *node_hub(struct world *w, unsigned node)
{
    struct node *n = nodes_get(w, node);
    return n->is_started ? n->hub : NULL;
}

int64_t node_revision(struct world *w, unsigned node)
{
    return kv_service_revision(nodes_get(w, node)->service);
}

struct kv_auth *node_auth(struct world *w, unsigned node)
{
    struct node *n = nodes_get(w, node);
    return n->is_started ? n->auth : NULL;
}

struct process *node_process(struct world *w, unsigned node)
{
    return &nodes_get(w, node)->process;
}

struct disk *node_log(struct world *w, unsigned node)
{
    return nodes_get(w, node)->log;
}

struct disk *node_state(struct world *w, unsigned node)
{
    return nodes_get(w, node)->state;
}

struct raft_node *node_raft(struct world *w, unsigned node)
{
    struct node *n = nodes_get(w, node);
    return n->is_started ? n->raft : NULL;
}

void nodes_set_cluster(struct world *w, uint64_t cluster)
{
    w->nodes->cluster_id = cluster;
}

int nodes_request(struct world *w, unsigned cluster, const struct arb_request *request)
{
    int leader = nodes_leader(w);
    struct base_text text;
    if (leader < 0 || node_process(w, (unsigned)leader)->stopped != 0) {
        return BASE_E_NOTLEADER;
    }
    struct node *n = nodes_get(w, (unsigned)leader);
    int rc = arb_driver_request(n->driver, cluster_name(cluster), request, &text);
    trace_text(w, ADDRESS_NODE + n->index, text.text);
    node_rearm(n);
    return rc;
}

int nodes_configure(struct world *w, unsigned cluster, struct slice text)
{
    int leader = nodes_leader(w);
    struct arb_settings_why why = {""};
    struct slice old = SLICE_EMPTY;
    uint64_t revision = 0;
    if (leader < 0 || node_process(w, (unsigned)leader)->stopped != 0) {
        return BASE_E_NOTLEADER;
    }
    struct node *n = nodes_get(w, (unsigned)leader);
    bool has_old = arb_driver_document(n->driver, cluster_name(cluster), &revision, &old);
    int rc = arb_driver_configure(n->driver, cluster_name(cluster), has_old ? revision : 0, text,
                                  &revision, &why);
    trace_text(w, ADDRESS_NODE + n->index, why.text);
    node_rearm(n);
    return rc;
}

bool nodes_is_configured(struct world *w, unsigned cluster)
{
    int leader = nodes_leader(w);
    uint64_t revision = 0;
    struct slice text = SLICE_EMPTY;
    return leader >= 0 && arb_driver_document(nodes_get(w, (unsigned)leader)->driver,
                                              cluster_name(cluster), &revision, &text);
}

bool nodes_wall(struct world *w, int64_t *ret_us)
{
    int leader = nodes_leader(w);
    if (leader < 0) {
        return false;
    }
    struct clock_port port = clock_port_of(&nodes_get(w, (unsigned)leader)->clock);
    *ret_us = port.wall(port.ctx).us;
    return true;
}

bool nodes_has_heard(struct world *w, unsigned cluster, const struct base_name *member)
{
    int leader = nodes_leader(w);
    const struct node *n = leader < 0 ? NULL : nodes_get(w, (unsigned)leader);
    const struct arb_cluster *c =
        n == NULL ? NULL : arb_driver_find(n->driver, cluster_name(cluster));
    for (uint8_t i = 0; c != NULL && i < c->views_count; i++) {
        if (c->views[i].has_report && base_name_equal(&c->views[i].member, member)) {
            return true;
        }
    }
    return false;
}

bool nodes_waits(struct world *w, unsigned cluster, struct arb_note *ret)
{
    int leader = nodes_leader(w);
    const struct node *n = leader < 0 ? NULL : nodes_get(w, (unsigned)leader);
    const struct arb_cluster *c =
        n == NULL ? NULL : arb_driver_find(n->driver, cluster_name(cluster));
    if (c == NULL || !c->is_leader || !c->is_waiting) {
        return false;
    }
    *ret = c->waiting;
    return true;
}

int nodes_switchover(struct world *w, unsigned cluster)
{
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER};
    return nodes_request(w, cluster, &request);
}

int nodes_leader(struct world *w)
{
    int best = -1;
    uint64_t best_term = 0;
    for (unsigned i = 0; i < w->setup.slots; i++) {
        struct raft_node_status status;
        if (node_raft(w, i) == NULL) {
            continue;
        }
        raft_node_status(node_raft(w, i), &status);
        if (status.role == RAFT_LEADER && status.term >= best_term) {
            best = (int)i;
            best_term = status.term;
        }
    }
    return best;
}
