/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of an agent in Prometheus text, from one table (http_metrics_table.h). Names that Patroni
 * has keep its names and meanings; the others begin with quorate_. */
#include "agents/http.h"
#include "agents/http_metrics_table.h"
#include "base/metric.h"
#include "base/name.h"

/* Patroni's stable numbers; a frozen server counts as stopping. */
static uint64_t state_number(enum msg_db_state state)
{
    switch (state) {
    case MSG_DB_CREATING:
        return 4;
    case MSG_DB_STANDBY:
    case MSG_DB_PROMOTING:
    case MSG_DB_PRIMARY:
        return 5;
    case MSG_DB_STARTING:
        return 6;
    case MSG_DB_FAILED:
        return 8;
    case MSG_DB_STOPPING:
    case MSG_DB_FROZEN:
        return 11;
    case MSG_DB_UNKNOWN:
    case MSG_DB_EMPTY:
    case MSG_DB_STOPPED:
        break;
    }
    return 12;
}

static uint64_t not_below_zero(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t seen_wall_s(const struct agt_http_snapshot *s)
{
    bool is_seen = s->order_age_us >= 0 && s->wall.us != 0;
    return is_seen ? not_below_zero(s->wall.us - s->order_age_us) / BASE_US_PER_S : 0;
}

static bool is_unlocked(const struct agt_http_snapshot *s)
{
    return s->order == NULL || s->order->record.epoch == 0;
}

static uint64_t confirmed_standbys(const struct msg_report *r)
{
    uint64_t count = 0;
    for (uint8_t i = 0; i < r->standbys_count; i++) {
        count += r->standbys[i].is_confirmed;
    }
    return count;
}

static void put_name(const struct msg_report *r, struct buf *b, const char *name,
                     const char *suffix, const char *le)
{
    const struct base_metric_label labels[] = {{"scope", r->cluster.text},
                                               {"name", r->member.text},
                                               {le == NULL ? NULL : "le", le},
                                               {NULL, NULL}};
    base_metric_name(b, name, suffix, labels);
}

/* Those that are written in another way. */
enum { OTHER_INFO, OTHER_PAUSES };
static const struct base_metric_row others[] = {
#define OTHER_ROW(type, name, labels, help) {type, name, labels, help},
    AGT_HTTP_OTHER_METRICS(OTHER_ROW)
#undef OTHER_ROW
};

static void put_other_head(struct buf *b, size_t i)
{
    base_metric_head(b, others[i].type, others[i].name, others[i].help);
}

static void put_pauses(const struct agt_http_snapshot *s, struct buf *b)
{
#define TEXT(us, text) text,
    static const char *const bounds[] = {AGT_HTTP_PAUSES(TEXT)};
#undef TEXT
    const char *name = others[OTHER_PAUSES].name;
    uint64_t below = 0;
    put_other_head(b, OTHER_PAUSES);
    for (size_t i = 0; i < BASE_COUNT_OF(bounds); i++) {
        below += s->seen->pauses[i];
        put_name(s->report, b, name, "_bucket", bounds[i]);
        base_metric_u64(b, below);
    }
    put_name(s->report, b, name, "_sum", NULL);
    base_metric_seconds(b, not_below_zero(s->seen->pauses_sum_us));
    put_name(s->report, b, name, "_count", NULL);
    base_metric_u64(b, s->seen->pauses_count);
}

struct metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t value;
};
#define METRIC_ROW(name, type, help, value) {name, type, help, (uint64_t)(value)},

static void put_rows(const struct msg_report *r, const struct metric *rows, size_t count,
                     struct buf *b)
{
    for (size_t i = 0; i < count; i++) {
        base_metric_head(b, rows[i].type, rows[i].name, rows[i].help);
        put_name(r, b, rows[i].name, "", NULL);
        base_metric_u64(b, rows[i].value);
    }
}

static void put_galera(const struct agt_http_snapshot *s, struct buf *b)
{
    const struct msg_galera_report *g = &s->report->galera;
    const struct metric rows[] = {AGT_HTTP_GALERA_METRICS(METRIC_ROW)};
    put_rows(s->report, rows, BASE_COUNT_OF(rows), b);
}

static uint64_t known_ms(uint32_t ms)
{
    return ms == UINT32_MAX ? 0 : ms;
}

static void put_mongodb(const struct agt_http_snapshot *s, struct buf *b)
{
    const struct msg_mongodb_report *m = &s->report->mongodb;
    const struct metric rows[] = {AGT_HTTP_MONGODB_METRICS(METRIC_ROW)};
    put_rows(s->report, rows, BASE_COUNT_OF(rows), b);
}

void agt_http_put_metrics(const struct agt_http_snapshot *s, struct buf *b)
{
    const struct msg_report *r = s->report;
    const struct metric rows[] = {AGT_HTTP_METRICS(METRIC_ROW)};
    const struct base_metric_label info[] = {{"scope", r->cluster.text},
                                             {"name", r->member.text},
                                             {"version", QUORATE_VERSION},
                                             {NULL, NULL}};
    put_other_head(b, OTHER_INFO);
    base_metric_name(b, others[OTHER_INFO].name, "", info);
    base_metric_u64(b, 1);
    put_rows(r, rows, BASE_COUNT_OF(rows), b);
    if (s->galera.is_galera) {
        put_galera(s, b);
    }
    if (s->mongodb.is_mongodb) {
        put_mongodb(s, b);
    }
    if (s->seen != NULL) {
        put_pauses(s, b);
    }
}
