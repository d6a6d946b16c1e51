/* SPDX-License-Identifier: Apache-2.0 */
/* A database cluster on the status page: what people should know, facts, who receives from whom;
 * members are in page_members.c. See page.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arbiter/web/page.h"
#include "proto/msg/agent.h"

/* --- facts --- */

static void fact_begin(struct web_out *out, const char *name)
{
    web_raw(out, "<div><dt>");
    web_raw(out, name);
    web_raw(out, "</dt><dd>");
}

static void fact_end(struct web_out *out)
{
    web_raw(out, "</dd></div>\n");
}

static void fact(struct web_out *out, const char *name, const char *value)
{
    fact_begin(out, name);
    web_text(out, value[0] == '\0' ? "-" : value);
    fact_end(out);
}

static const Quorate__V1__DatabaseMember *holder_of(const Quorate__V1__DatabaseCluster *c)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (c->primary[0] != '\0' && strcmp(c->members[i]->name, c->primary) == 0) {
            return c->members[i];
        }
    }
    return NULL;
}

static void put_lease(struct web_out *out, const Quorate__V1__DatabaseCluster *c)
{
    const Quorate__V1__DatabaseMember *m = holder_of(c);
    fact_begin(out, "Lease");
    if (c->is_unarmed) {
        web_raw(out, "without an end, since a pause");
    } else if (m == NULL || !m->is_up || m->lease_left_us <= 0) {
        web_raw(out, m != NULL && m->is_failsafe ? "from the members (failsafe)" : "not running");
    } else {
        web_textf(out, "%.1f s left of %.1f s", (double)m->lease_left_us / 1e6,
                  (double)c->ttl_ms / 1e3);
    }
    fact_end(out);
}

/* The group of Galera's nodes that may write, and a recovery that is under way. */
static void put_component(struct web_out *out, const Quorate__V1__DatabaseGalera *g)
{
    fact_begin(out, "Group");
    web_textf(out, "%zu member%s", g->n_view, g->n_view == 1 ? "" : "s");
    for (size_t i = 0; i < g->n_view; i++) {
        web_textf(out, "%s%s", i == 0 ? ": " : ", ", g->view[i]->name);
    }
    fact_end(out);
    fact_begin(out, "Committed");
    if (g->high_water >= 0) {
        web_textf(out, "at least %" PRId64 ", generation %" PRIu64, g->high_water, g->generation);
    } else {
        web_raw(out, "-");
    }
    fact_end(out);
    if (strcmp(g->grant_state, "given") == 0) {
        fact_begin(out, "Bootstrap");
        web_textf(out, "granted to %s", g->grant_node);
        fact_end(out);
    }
}

/* What the replica set is, and what it was ordered to do. */
static void put_set(struct web_out *out, const Quorate__V1__DatabaseMongodb *m)
{
    fact(out, "Replica set", m->set_name);
    fact(out, "Set state", m->set_state);
    fact_begin(out, "Term");
    web_textf(out, "%" PRIu64 ", configuration %" PRIu64 ".%" PRIu64, m->term, m->config_term,
              m->config_version);
    fact_end(out);
    if (m->order_epoch != 0) {
        fact_begin(out, "Order");
        web_textf(out, "%" PRIu64 ": %s%s%s at %s, %s", m->order_epoch, m->order_kind,
                  m->order_phase[0] == '\0' ? "" : ", ", m->order_phase, m->order_member,
                  m->order_state);
        fact_end(out);
    }
}

static void put_facts(struct web_out *out, const struct web_cluster *cluster)
{
    const Quorate__V1__DatabaseCluster *c = cluster->message;
    char age[WEB_CELL_MAX];
    web_raw(out, "<dl class=\"facts\">\n");
    fact_begin(out, c->galera != NULL ? "Writer" : "Primary");
    if (c->primary[0] == '\0') {
        web_raw(out, "nobody");
    } else {
        web_textf(out, "%s, since %s", c->primary, web_age(c->since_wall_us, cluster->now_us, age));
    }
    fact_end(out);
    if (c->mongodb == NULL) {
        put_lease(out, c);
    }
    if (c->galera != NULL) {
        put_component(out, c->galera);
    } else if (c->mongodb != NULL) {
        put_set(out, c->mongodb);
    } else {
        fact(out, "Synchronous", c->sync);
    }
    fact_begin(out, "Epoch");
    web_textf(out, "%" PRIu64, c->epoch);
    if (c->timeline != 0 && c->galera == NULL) {
        web_textf(out, ", timeline %u", c->timeline);
    }
    fact_end(out);
    fact(out, "Engine", c->engine);
    if (c->loss[0] != '\0') {
        fact(out, "What a failover may cost", c->loss);
    }
    web_raw(out, "</dl>\n");
}

/* --- what people should know --- */

static void note(struct web_out *out, const char *text)
{
    web_raw(out, "<p class=\"note\">");
    web_text(out, text);
    web_raw(out, "</p>\n");
}

static void put_names(struct web_out *out, const char *what, size_t count, char *const *names)
{
    if (count == 0) {
        return;
    }
    web_raw(out, "<p class=\"note\">");
    web_raw(out, what);
    for (size_t i = 0; i < count; i++) {
        web_raw(out, i == 0 ? ": " : ", ");
        web_text(out, names[i]);
    }
    web_raw(out, "</p>\n");
}

static void put_tasks(struct web_out *out, const Quorate__V1__DatabaseCluster *c)
{
    for (size_t i = 0; i < c->n_tasks; i++) {
        const Quorate__V1__DatabaseTask *task = c->tasks[i];
        web_raw(out, "<p class=\"note\">Ordered: ");
        web_textf(out, "%s of %s", task->kind, task->member);
        if (task->at_wall_us > MSG_TASK_AT_ONCE) {
            web_raw(out, " at ");
            web_time(out, task->at_wall_us);
        }
        web_raw(out, "</p>\n");
    }
}

static void put_notes(struct web_out *out, const Quorate__V1__DatabaseCluster *c)
{
    if (c->waiting_for[0] != '\0') {
        note(out, c->waiting_for);
    }
    if (c->is_paused) {
        note(out, "Paused: nothing is promoted, fenced or restarted until kv db resume.");
    }
    if (c->is_unconfirmed) {
        note(out, "Unconfirmed: nothing is granted until kv db confirm.");
    }
    if (c->switchover_target[0] != '\0') {
        web_raw(out, "<p class=\"note\">Switchover to ");
        web_text(out, c->switchover_target);
        web_raw(out, " is under way.</p>\n");
    }
    if (c->switchover_at_wall_us != 0) {
        web_raw(out, "<p class=\"note\">Switchover planned at ");
        web_time(out, c->switchover_at_wall_us);
        web_raw(out, "</p>\n");
    }
    put_names(out, "Drained", c->n_drained, c->drained);
    put_tasks(out, c);
    if (c->config_newest != c->config_revision) {
        web_raw(out, "<p class=\"note\">Configuration ");
        web_textf(out, "%" PRIu64 " is on its way, %" PRIu64 " is in force", c->config_newest,
                  c->config_revision);
        web_raw(out, "</p>\n");
    }
}

/* --- who receives from whom --- */

/* The member's upstream if that is a member, else the primary; NULL: nobody. */
static const char *parent_of(const Quorate__V1__DatabaseCluster *c,
                             const Quorate__V1__DatabaseMember *m)
{
    if (strcmp(m->name, c->primary) == 0) {
        return NULL;
    }
    for (size_t i = 0; i < c->n_members; i++) {
        if (m->upstream[0] != '\0' && strcmp(c->members[i]->name, m->upstream) == 0) {
            return c->members[i]->name;
        }
    }
    bool is_fed = m->upstream[0] != '\0' || (m->galera != NULL && m->galera->is_primary) ||
                  strcmp(m->role, "secondary") == 0;
    return m->is_up && is_fed && c->primary[0] != '\0' ? c->primary : NULL;
}

static size_t index_of(const Quorate__V1__DatabaseCluster *c, const char *name)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (strcmp(c->members[i]->name, name) == 0) {
            return i;
        }
    }
    return c->n_members;
}

/* Steps up to one that has no parent; at most as many as there are members, whatever they say. */
static size_t depth_of(const Quorate__V1__DatabaseCluster *c, size_t i)
{
    size_t depth = 0;
    const char *parent = parent_of(c, c->members[i]);
    while (parent != NULL && depth < c->n_members) {
        size_t up = index_of(c, parent);
        depth++;
        parent = up < c->n_members ? parent_of(c, c->members[up]) : NULL;
    }
    return depth;
}

static void put_chip(struct web_out *out, const Quorate__V1__DatabaseCluster *c,
                     const Quorate__V1__DatabaseMember *m)
{
    char lag[WEB_CELL_MAX];
    enum web_level level = web_member_level(m);
    bool is_holder = strcmp(m->name, c->primary) == 0;
    web_raw(out, "<li class=\"chip ");
    web_raw(out, web_level_name(level));
    web_raw(out, is_holder ? " holder\">" : "\">");
    web_mark(out, level);
    web_raw(out, "<b>");
    web_text(out, m->name);
    web_raw(out, "</b> ");
    web_text(out, strcmp(m->role, "-") == 0 ? m->state : web_member_role(m));
    if (!is_holder && m->lag_bytes >= 0 && m->galera == NULL) {
        web_textf(out, ", %s behind", web_bytes((uint64_t)m->lag_bytes, lag));
    }
    web_raw(out, "</li>\n");
}

/* A row for each step away from the primary; cascades are rare and seldom deeper than two. */
static void put_topology(struct web_out *out, const Quorate__V1__DatabaseCluster *c)
{
    static const char *const labels[] = {"On its own", "Receives from the primary",
                                         "Receives from a standby", "Receives from a standby"};
    bool is_galera = c->galera != NULL;
    web_raw(out, "<div class=\"flow\" role=\"group\" aria-label=\"Topology\">\n");
    for (size_t depth = 0; depth < 4; depth++) {
        bool is_begun = false;
        for (size_t i = 0; i < c->n_members; i++) {
            size_t own = depth_of(c, i);
            if (own == depth || (depth == 3 && own > 3)) {
                if (!is_begun) {
                    web_raw(out, "<ul");
                    web_attribute(out, "aria-label",
                                  is_galera && depth == 1 ? "In the writer's group"
                                                          : labels[depth]);
                    web_raw(out, ">\n");
                }
                is_begun = true;
                put_chip(out, c, c->members[i]);
            }
        }
        web_raw(out, is_begun ? "</ul>\n" : "");
    }
    web_raw(out, "</div>\n");
}

/* An id of this cluster's, "c-pg-main"; names have no character that would need more. */
static void put_id(struct web_out *out, const char *attribute, const char *prefix,
                   const Quorate__V1__DatabaseCluster *c)
{
    char id[WEB_CELL_MAX + 8];
    (void)snprintf(id, sizeof(id), "%s-%.63s", prefix, c->name);
    web_attribute(out, attribute, id);
}

void web_part_cluster(struct web_out *out, const struct web_cluster *cluster)
{
    const Quorate__V1__DatabaseCluster *c = cluster->message;
    enum web_level level = web_cluster_level(c);
    web_raw(out, "<section");
    put_id(out, "id", "c", c);
    put_id(out, "aria-labelledby", "h", c);
    web_raw(out, " class=\"card ");
    web_raw(out, web_level_name(level));
    web_raw(out, "\"");
    web_attribute(out, "data-cluster", c->name);
    web_attribute(out, "data-state", c->state);
    web_attribute(out, "data-primary", c->primary);
    web_number(out, "data-epoch", (int64_t)c->epoch);
    web_attribute(out, "data-sync", c->sync);
    web_raw(out, ">\n<h2");
    put_id(out, "id", "h", c);
    web_raw(out, ">");
    web_mark(out, level);
    web_text(out, c->name);
    web_raw(out, " <span class=\"word\">");
    web_text(out, c->state);
    web_raw(out, c->is_paused ? ", paused</span></h2>\n" : "</span></h2>\n");
    put_notes(out, c);
    put_topology(out, c);
    put_facts(out, cluster);
    web_put_members(out, cluster);
    web_raw(out, "</section>\n");
}
