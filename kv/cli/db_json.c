/* SPDX-License-Identifier: Apache-2.0 */
/* A database cluster as JSON; see db_json.h. */
#include "kv/cli/db_json.h"

#include <inttypes.h>
#include <stdio.h>

json_t *db_json_texts(size_t count, char *const *texts)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, json_string(texts[i]));
    }
    return array;
}

static void add_json(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value);
}

static json_t *json_of_galera_member(const Quorate__V1__DatabaseGaleraMember *g)
{
    json_t *j = json_pack("{s:s, s:s, s:I, s:b, s:I, s:I, s:b, s:I}", "state", g->state, "uuid",
                          g->uuid, "seqno", (json_int_t)g->seqno, "position_recovered",
                          (int)g->is_position_recovered, "generation", (json_int_t)g->generation,
                          "inhibited", (json_int_t)g->inhibited, "is_primary", (int)g->is_primary,
                          "conf_id", (json_int_t)g->conf_id);
    add_json(j, "size", json_integer(g->size));
    add_json(j, "weight", json_integer(g->weight));
    add_json(j, "recv_queue", json_integer(g->recv_queue));
    add_json(j, "flow_paused", json_boolean(g->is_flow_paused));
    add_json(j, "stalled_ms", json_integer(g->stalled_ms));
    add_json(j, "donor", json_string(g->donor));
    add_json(j, "read_only", json_boolean(g->is_read_only));
    add_json(j, "rejecting", json_boolean(g->is_rejecting));
    add_json(j, "desynced", json_boolean(g->is_desynced));
    add_json(j, "causal", json_boolean(g->is_causal));
    add_json(j, "fenced", json_boolean(g->is_fenced));
    add_json(j, "safe_to_bootstrap", json_boolean(g->is_safe_to_bootstrap));
    add_json(j, "data_bytes", json_integer((json_int_t)g->data_bytes));
    return j;
}

static json_t *json_of_galera(const Quorate__V1__DatabaseGalera *g)
{
    json_t *view = json_object();
    json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:I}", "uuid", g->uuid, "generation",
                          (json_int_t)g->generation, "high_water", (json_int_t)g->high_water,
                          "conf_id", (json_int_t)g->conf_id, "inhibit", (json_int_t)g->inhibit);
    for (size_t i = 0; i < g->n_view; i++) {
        add_json(view, g->view[i]->name, json_integer(g->view[i]->weight));
    }
    add_json(j, "view", view);
    add_json(j, "grant",
             json_pack("{s:I, s:s, s:s, s:b, s:I}", "generation", (json_int_t)g->grant_generation,
                       "node", g->grant_node, "state", g->grant_state, "is_live",
                       (int)g->grant_is_live, "seqno", (json_int_t)g->grant_seqno));
    add_json(j, "sst_joiner", json_string(g->sst_joiner));
    add_json(j, "sst_donor", json_string(g->sst_donor));
    add_json(j, "restarting", json_string(g->restarting));
    add_json(j, "arbitrator", json_string(g->arbitrator));
    add_json(j, "fast_takeover", json_boolean(g->is_fast_takeover));
    add_json(j, "keep_reader", json_boolean(g->is_reader_kept));
    add_json(j, "recovery_wait_us", json_integer((json_int_t)g->recovery_wait_us));
    return j;
}

static json_t *json_of_member(const Quorate__V1__DatabaseMember *m)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I}",
        "name", m->name, "host", m->host, "port", (int)m->db_port, "http_port", (int)m->http_port,
        "role", m->role, "state", m->state, "timeline", (int)m->timeline, "lsn", (json_int_t)m->lsn,
        "lag_bytes", (json_int_t)m->lag_bytes, "since_wall_us", (json_int_t)m->since_wall_us,
        "note", m->note, "up", (int)m->is_up, "seen_ago_us", (json_int_t)m->seen_ago_us,
        "lease_left_us", (json_int_t)m->lease_left_us, "pause_worst_us",
        (json_int_t)m->pause_worst_us, "epoch_seen", (json_int_t)m->epoch_seen, "epoch_held",
        (json_int_t)m->epoch_held);
    add_json(j, "down_since_wall_us", json_integer(m->down_since_wall_us));
    add_json(j, "replay_lsn", json_integer((json_int_t)m->replay_lsn));
    add_json(j, "upstream", json_string(m->upstream));
    add_json(j, "tags",
             json_pack("{s:s, s:s, s:i, s:b, s:b, s:b, s:b}", "zone", m->zone, "replicatefrom",
                       m->replicatefrom, "priority", (int)m->priority, "nofailover",
                       (int)m->is_nofailover, "nosync", (int)m->is_nosync, "noloadbalance",
                       (int)m->is_noloadbalance, "clonefrom", (int)m->is_clonefrom));
    add_json(j, "drained", json_boolean(m->is_drained));
    add_json(j, "restart_pending", json_boolean(m->is_restart_pending));
    add_json(j, "pending_restart", json_string(m->pending_restart));
    add_json(j, "config_revision", json_integer((json_int_t)m->config_revision));
    add_json(j, "paused", json_boolean(m->is_paused));
    add_json(j, "adopted", json_boolean(m->is_adopted));
    add_json(j, "write_failing", json_boolean(m->is_write_failing));
    add_json(j, "failsafe", json_boolean(m->is_failsafe));
    add_json(j, "version", json_integer(m->db_version));
    add_json(j, "connections", json_integer(m->connections));
    add_json(j, "connections_max", json_integer(m->connections_max));
    add_json(j, "disk_free_bytes", json_integer((json_int_t)m->disk_free_bytes));
    add_json(j, "work_done_bytes", json_integer((json_int_t)m->work_done_bytes));
    add_json(j, "work_total_bytes", json_integer((json_int_t)m->work_total_bytes));
    add_json(j, "candidate", json_string(m->candidate));
    if (m->galera != NULL) {
        add_json(j, "galera", json_of_galera_member(m->galera));
    }
    if (m->mongodb != NULL) {
        add_json(j, "mongodb", db_json_of_mongodb_member(m->mongodb));
    }
    return j;
}

static json_t *json_of_settings(const Quorate__V1__DatabaseSettings *s)
{
    return json_pack("{s:i, s:i, s:i, s:s, s:i, s:b, s:I, s:s, s:i, s:i, s:b, s:s, s:b, s:b}",
                     "ttl_ms", (int)s->ttl_ms, "heartbeat_ms", (int)s->heartbeat_ms,
                     "freeze_max_ms", (int)s->freeze_max_ms, "sync", s->sync, "sync_count",
                     (int)s->sync_count, "strict", (int)s->is_strict, "maximum_lag_on_failover",
                     (json_int_t)s->maximum_lag_on_failover, "on_crash", s->on_crash,
                     "primary_start_timeout_ms", (int)s->primary_start_timeout_ms,
                     "failover_interval_ms", (int)s->failover_interval_ms, "failsafe",
                     (int)s->is_failsafe, "fence", s->fence, "fence_trusted",
                     (int)s->is_fence_trusted, "standby_cluster", (int)s->is_standby_cluster);
}

static json_t *json_of_tasks(const Quorate__V1__DatabaseCluster *c)
{
    json_t *tasks = json_array();
    for (size_t i = 0; i < c->n_tasks; i++) {
        const Quorate__V1__DatabaseTask *t = c->tasks[i];
        (void)json_array_append_new(
            tasks, json_pack("{s:I, s:s, s:s, s:b, s:I}", "id", (json_int_t)t->id, "kind", t->kind,
                             "member", t->member, "pending_only", (int)t->is_pending_only,
                             "at_wall_us", (json_int_t)t->at_wall_us));
    }
    return tasks;
}

json_t *db_json_cluster(const Quorate__V1__DatabaseCluster *c)
{
    json_t *members = json_array();
    for (size_t i = 0; i < c->n_members; i++) {
        (void)json_array_append_new(members, json_of_member(c->members[i]));
    }
    char system_id[24];
    (void)snprintf(system_id, sizeof(system_id), "%" PRIu64, c->system_id);
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:I, s:s, s:o, s:i, s:o, s:i, s:i, "
        "s:i, s:s, s:b, s:o}",
        "name", c->name, "engine", c->engine, "state", c->state, "primary", c->primary, "epoch",
        (json_int_t)c->epoch, "revision", (json_int_t)c->revision, "system_id", system_id,
        "timeline", (int)c->timeline, "since_wall_us", (json_int_t)c->since_wall_us, "sync",
        c->sync, "voters", db_json_texts(c->n_voters, c->voters), "r", (int)c->votes_needed_r,
        "sync_names", db_json_texts(c->n_sync_names, c->sync_names), "sync_count",
        (int)c->sync_count, "ttl_ms", (int)c->ttl_ms, "heartbeat_ms", (int)c->heartbeat_ms,
        "waiting_for", c->waiting_for, "unconfirmed", (int)c->is_unconfirmed, "members", members);
    add_json(j, "paused", json_boolean(c->is_paused));
    add_json(j, "drained", db_json_texts(c->n_drained, c->drained));
    add_json(j, "switchover_at_wall_us", json_integer(c->switchover_at_wall_us));
    add_json(j, "switchover_to", json_string(c->switchover_to));
    add_json(j, "switchover_target", json_string(c->switchover_target));
    add_json(j, "tasks", json_of_tasks(c));
    add_json(j, "config_revision", json_integer((json_int_t)c->config_revision));
    add_json(j, "config_newest", json_integer((json_int_t)c->config_newest));
    add_json(j, "loss", json_string(c->loss));
    add_json(j, "seed_differences", db_json_texts(c->n_seed_differences, c->seed_differences));
    add_json(j, "unarmed", json_boolean(c->is_unarmed));
    add_json(j, "fencing_epoch", json_integer((json_int_t)c->fencing_epoch));
    add_json(j, "standby_cluster", json_boolean(c->is_standby_cluster));
    if (c->settings != NULL) {
        add_json(j, "settings", json_of_settings(c->settings));
    }
    if (c->galera != NULL) {
        add_json(j, "galera", json_of_galera(c->galera));
    }
    if (c->mongodb != NULL) {
        add_json(j, "mongodb", db_json_of_mongodb(c->mongodb));
    }
    return j;
}
