/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the database clusters, as the arbiter on the node that leads sees them; other nodes
 * have none, so that sums over all nodes are right. */
#include <stdlib.h>
#include <string.h>

#include "arbiter/api/present.h"
#include "arbiter/quorated/metrics.h"
#include "arbiter/quorated/metrics_table.h"
#include "base/metric.h"

static bool has_primary(const Quorate__V1__DatabaseCluster *c)
{
    return strcmp(c->state, "healthy") == 0 || strcmp(c->state, "degraded") == 0 ||
           strcmp(c->state, "switchover") == 0;
}

static uint64_t seconds(int64_t wall_us)
{
    return wall_us > 0 ? (uint64_t)(wall_us / BASE_US_PER_S) : 0;
}

static uint64_t not_below_zero(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t members_up(const Quorate__V1__DatabaseCluster *c)
{
    uint64_t count = 0;
    for (size_t i = 0; i < c->n_members; i++) {
        count += c->members[i]->is_up != 0;
    }
    return count;
}

static bool is_sync_lost(const Quorate__V1__DatabaseCluster *c)
{
    bool is_wanted = c->settings != NULL && strcmp(c->settings->sync, "off") != 0;
    return is_wanted && c->galera == NULL && c->epoch != 0 && c->votes_needed_r == 0 &&
           !c->is_standby_cluster;
}

static bool is_primary(const Quorate__V1__DatabaseCluster *c, const Quorate__V1__DatabaseMember *m)
{
    return c->primary[0] != '\0' && strcmp(c->primary, m->name) == 0;
}

static bool is_flow_paused(const Quorate__V1__DatabaseMember *m)
{
    return m->galera != NULL && m->galera->is_flow_paused;
}

static uint64_t queue_of(const Quorate__V1__DatabaseMember *m)
{
    return m->galera == NULL ? 0 : m->galera->recv_queue;
}

/* The value of a row. */
static uint64_t database_value(const Quorate__V1__DatabaseCluster *c, size_t row)
{
    const uint64_t values[] = {
#define VALUE(type, name, value, help) (uint64_t)(value),
        QUORATED_DATABASE_FIGURES(VALUE)
#undef VALUE
    };
    return values[row];
}

static uint64_t member_value(const Quorate__V1__DatabaseCluster *c,
                             const Quorate__V1__DatabaseMember *m, size_t row)
{
    const uint64_t values[] = {
#define VALUE(type, name, value, help) (uint64_t)(value),
        QUORATED_MEMBER_FIGURES(VALUE)
#undef VALUE
    };
    return values[row];
}

#define FIGURE_ROW(type, name, value, help) {#type, #name, "", help},
static const struct base_metric_row database_rows[] = {QUORATED_DATABASE_FIGURES(FIGURE_ROW)};
static const struct base_metric_row member_rows[] = {QUORATED_MEMBER_FIGURES(FIGURE_ROW)};
#undef FIGURE_ROW

static void put_database(struct buf *b, const struct base_metric_row *row,
                         const Quorate__V1__DatabaseCluster *c, uint64_t value)
{
    const struct base_metric_label labels[] = {{"cluster", c->name}, {NULL, NULL}};
    base_metric_name(b, row->name, "", labels);
    base_metric_u64(b, value);
}

static void put_member(struct buf *b, const struct base_metric_row *row,
                       const Quorate__V1__DatabaseCluster *c, const Quorate__V1__DatabaseMember *m,
                       uint64_t value)
{
    const struct base_metric_label labels[] = {
        {"cluster", c->name}, {"member", m->name}, {NULL, NULL}};
    base_metric_name(b, row->name, "", labels);
    base_metric_u64(b, value);
}

/* All clusters of one name stand together, as the format asks for. */
static void put_all(struct buf *b, const struct arb_show *shows, size_t count)
{
    for (size_t row = 0; row < BASE_COUNT_OF(database_rows); row++) {
        const struct base_metric_row *r = &database_rows[row];
        base_metric_head(b, r->type, r->name, r->help);
        for (size_t i = 0; i < count; i++) {
            put_database(b, r, &shows[i].cluster, database_value(&shows[i].cluster, row));
        }
    }
    for (size_t row = 0; row < BASE_COUNT_OF(member_rows); row++) {
        const struct base_metric_row *r = &member_rows[row];
        base_metric_head(b, r->type, r->name, r->help);
        for (size_t i = 0; i < count; i++) {
            const Quorate__V1__DatabaseCluster *c = &shows[i].cluster;
            for (size_t k = 0; k < c->n_members; k++) {
                put_member(b, r, c, c->members[k], member_value(c, c->members[k], row));
            }
        }
    }
}

void quorated_metrics_put_databases(const struct arb_driver *driver, struct buf *b)
{
    const struct arb_cluster *cluster = NULL;
    struct arb_show *shows = NULL;
    size_t count = 0;
    if (!arb_driver_is_leader(driver)) {
        return;
    }
    while (count < ARB_CLUSTERS_MAX && arb_driver_cluster(driver, count) != NULL) {
        count++;
    }
    shows = calloc(count + 1, sizeof(*shows));
    size_t shown = 0;
    for (size_t i = 0; shows != NULL && i < count; i++) {
        cluster = arb_driver_cluster(driver, i);
        if (arb_present_is_shown(driver, cluster)) {
            arb_present_show(driver, cluster, &shows[shown++]);
        }
    }
    put_all(b, shows, shown);
    quorated_metrics_put_mongodb(shows, shown, b);
    free(shows);
}
