/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of MongoDB replica sets, as the arbiter on the node that leads sees them: what it shows
 * (kv db show), as numbers. */
#include <string.h>

#include "arbiter/core/note.h"
#include "arbiter/quorated/metrics.h"
#include "arbiter/quorated/metrics_table.h"
#include "base/metric.h"

static uint64_t order_since(const Quorate__V1__DatabaseCluster *c)
{
    bool is_open = strcmp(c->mongodb->order_state, "open") == 0;
    return is_open && c->since_wall_us > 0 ? (uint64_t)(c->since_wall_us / BASE_US_PER_S) : 0;
}

static uint64_t value_of(const Quorate__V1__DatabaseCluster *c, size_t row)
{
    const Quorate__V1__DatabaseMongodb *g = c->mongodb;
    const uint64_t values[] = {
#define VALUE(type, name, value, help) (uint64_t)(value),
        QUORATED_MONGODB_FIGURES(VALUE)
#undef VALUE
    };
    return values[row];
}

#define FIGURE_ROW(type, name, value, help) {#type, #name, "", help},
static const struct base_metric_row rows[] = {QUORATED_MONGODB_FIGURES(FIGURE_ROW)};
#undef FIGURE_ROW
#define STATE_ROW(id, type, name, help) {#type, #name, "", help},
static const struct base_metric_row state_rows[] = {QUORATED_MONGODB_STATES(STATE_ROW)};
#undef STATE_ROW
enum state_row {
#define STATE_ENUM(id, type, name, help) STATE_##id,
    QUORATED_MONGODB_STATES(STATE_ENUM)
#undef STATE_ENUM
};

static uint64_t count_members(const Quorate__V1__DatabaseCluster *c, const char *state)
{
    uint64_t count = 0;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMongodbMember *m = c->members[i]->mongodb;
        count += m != NULL && strcmp(m->state, state) == 0;
    }
    return count;
}

static void put_state(struct buf *b, enum state_row row, const Quorate__V1__DatabaseCluster *c,
                      const char *state, uint64_t value)
{
    const struct base_metric_label labels[] = {
        {"cluster", c->name}, {"state", state}, {NULL, NULL}};
    base_metric_name(b, state_rows[row].name, "", labels);
    base_metric_u64(b, value);
}

/* Every state has its line, so that one that is left ends as 0. */
static void put_set_states(struct buf *b, const Quorate__V1__DatabaseCluster *c)
{
    for (int i = 0; i < MSG_MONGODB_SET_STATE_COUNT; i++) {
        const char *word = arb_mongodb_set_word((enum msg_mongodb_set_state)i);
        put_state(b, STATE_SET, c, word, strcmp(c->mongodb->set_state, word) == 0);
    }
}

static void put_member_states(struct buf *b, const Quorate__V1__DatabaseCluster *c)
{
    for (int i = 0; i < MSG_MONGODB_STATE_COUNT; i++) {
        const char *word = arb_mongodb_state_word((enum msg_mongodb_state)i);
        put_state(b, STATE_MEMBERS, c, word, count_members(c, word));
    }
}

static void put_states(struct buf *b, const struct arb_show *shows, size_t count)
{
    static void (*const puts[])(struct buf * b, const Quorate__V1__DatabaseCluster *c) = {
        [STATE_SET] = put_set_states, [STATE_MEMBERS] = put_member_states};
    for (size_t row = 0; row < BASE_COUNT_OF(state_rows); row++) {
        base_metric_head(b, state_rows[row].type, state_rows[row].name, state_rows[row].help);
        for (size_t i = 0; i < count; i++) {
            if (shows[i].cluster.mongodb != NULL) {
                puts[row](b, &shows[i].cluster);
            }
        }
    }
}

void quorated_metrics_put_mongodb(const struct arb_show *shows, size_t count, struct buf *b)
{
    for (size_t row = 0; row < BASE_COUNT_OF(rows); row++) {
        base_metric_head(b, rows[row].type, rows[row].name, rows[row].help);
        for (size_t i = 0; i < count; i++) {
            const Quorate__V1__DatabaseCluster *c = &shows[i].cluster;
            const struct base_metric_label labels[] = {{"cluster", c->name}, {NULL, NULL}};
            if (c->mongodb != NULL) {
                base_metric_name(b, rows[row].name, "", labels);
                base_metric_u64(b, value_of(c, row));
            }
        }
    }
    put_states(b, shows, count);
}
