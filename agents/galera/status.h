/* SPDX-License-Identifier: Apache-2.0 */
/* What the server's answers to a probe mean: rows in, facts out. Pure; nothing is believed beyond
 * its form. Variables: https://galeracluster.com/library/documentation/galera-status-variables.html
 */
#ifndef QUORATE_AGENTS_GALERA_STATUS_H
#define QUORATE_AGENTS_GALERA_STATUS_H

#include "agents/core/galera_types.h"
#include "base/slice.h"

/* The statements, in their order; one row per variable, then one row, then one row per member. */
#define GAL_STATUS_SQL \
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status','wsrep_cluster_size'," \
    "'wsrep_cluster_conf_id','wsrep_cluster_state_uuid','wsrep_local_state'," \
    "'wsrep_local_state_comment','wsrep_ready','wsrep_connected','wsrep_evs_state'," \
    "'wsrep_last_committed','wsrep_cluster_weight','wsrep_local_recv_queue'," \
    "'wsrep_flow_control_active','wsrep_gcomm_uuid','Threads_connected')"
#define GAL_VARIABLES_SQL \
    "SELECT @@GLOBAL.read_only, @@GLOBAL.wsrep_desync, @@GLOBAL.wsrep_reject_queries, " \
    "@@GLOBAL.wsrep_on, @@GLOBAL.max_connections, @@GLOBAL.version"
#define GAL_MEMBERS_SQL "SELECT node_name FROM mysql.wsrep_cluster_members ORDER BY node_name"
#define GAL_OPTIONS_SQL "SELECT @@GLOBAL.wsrep_provider_options"

struct gal_status {
    struct db_galera_view view; /* view.view and causal_at are the prober's */
    uint64_t conf_id;
    uint32_t weight_total;
    bool is_flow_active;
    uint32_t connections;
    uint32_t connections_max;
    uint32_t version; /* 101119 */
};

void gal_status_reset(struct gal_status *s);
/* One row of GAL_STATUS_SQL; unknown names are passed over. */
void gal_status_take(struct gal_status *s, struct slice name, struct slice value);
/* The row of GAL_VARIABLES_SQL. INVALID: another form. */
MUST_CHECK int gal_status_variables(struct gal_status *s, const struct slice *values,
                                    unsigned count);
/* The own weight out of the provider's options; 0: not there. */
uint8_t gal_options_weight(struct slice options);
/* Adds a member to a view; what is no name of ours is called by its number. */
void gal_view_add(struct msg_galera_view *view, struct slice name);
/* Weights, as far as the sum tells them: own ones are known. */
void gal_view_weigh(struct msg_galera_view *view, const struct base_name *own, uint8_t own_weight,
                    uint32_t total);

#endif
