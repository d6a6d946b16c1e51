/* SPDX-License-Identifier: Apache-2.0 */
/* Which path answers what. The rows follow the table of Patroni's REST API; differences, each with
 * its reason:
 *
 * - /primary (/, /master, /leader, /read-write) is 503 while the database is down, starting or
 * frozen, also when the lease still runs: a client that is sent there could not write. It turns 200
 * when writes can be acknowledged, not when the role is won.
 * - HEAD and OPTIONS answer with the status that GET has, on every path; Patroni's /liveness does
 * not.
 * - With ANY k all members of the recorded set count as /sync and as /quorum.
 * - /replica with lag, and /readiness: a standby whose receiver does not stream is 503: its lag is
 * not known. The primary's position is not passed around on each heartbeat; lag is what has been
 * received, or was the floor of the last failover, and is not replayed.
 * - An unknown path is 404, so that a misspelt check is seen as such.
 */
#include "agents/http.h"

#include <string.h>

#include "base/lease_math.h"
#include "base/name.h"

#define JSON "application/json"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

void agt_http_snapshot_make(const struct agt *agent, struct base_mono now,
                            struct msg_report *report, struct agt_http_snapshot *ret_snapshot)
{
    agt_report_peek(agent, now, report);
    *ret_snapshot = (struct agt_http_snapshot){
        .now = now,
        .report = report,
        .order = agent->has_order ? &agent->order : NULL,
        .disk = &agent->disk,
        .guard = agent->has_guard ? &agent->guard : NULL,
        .is_open = agt_is_open(agent, now),
        .is_answering = agent->has_answered && agent->view.is_process && agent->view.is_answering,
        .is_noloadbalance = agent->config.is_noloadbalance,
        .order_age_us = agent->has_order ? base_mono_diff_us(now, agent->order_at) : -1,
        .report_age_us = agent->has_reported ? base_mono_diff_us(now, agent->reported_at) : -1,
    };
}

/* --- what the paths ask for --------------------------------------------------------------------
 */

bool agt_http_is_running(const struct agt_http_snapshot *s)
{
    enum msg_db_state state = s->report->db_state;
    return s->is_answering &&
           (state == MSG_DB_STANDBY || state == MSG_DB_PROMOTING || state == MSG_DB_PRIMARY);
}

bool agt_http_is_standby(const struct agt_http_snapshot *s)
{
    return s->is_answering && s->report->db_state == MSG_DB_STANDBY;
}

bool agt_http_is_voter(const struct agt_http_snapshot *s)
{
    if (s->order == NULL || !agt_http_is_standby(s) || !s->report->is_receiving) {
        return false;
    }
    const struct msg_names *voters = &s->order->record.voters;
    for (uint8_t i = 0; i < voters->count; i++) {
        if (base_name_equal(&voters->names[i], &s->report->member)) {
            return s->order->record.votes_needed_r > 0;
        }
    }
    return false;
}

uint64_t agt_http_lag(const struct agt_http_snapshot *s, bool is_write)
{
    uint64_t furthest = s->report->position.lsn;
    if (s->order != NULL && s->order->record.floor.lsn > furthest) {
        furthest = s->order->record.floor.lsn;
    }
    uint64_t at = is_write ? s->report->position.lsn : s->report->replay_lsn;
    return furthest > at ? furthest - at : 0;
}

static bool query_next(struct slice *query, struct slice *ret_name, struct slice *ret_value)
{
    if (query->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(query->data, '&', query->len);
    struct slice pair = {query->data, end == NULL ? query->len : (size_t)(end - query->data)};
    *query = slice_skip(*query, pair.len + 1);
    const uint8_t *equal = pair.len == 0 ? NULL : memchr(pair.data, '=', pair.len);
    size_t name_len = equal == NULL ? pair.len : (size_t)(equal - pair.data);
    *ret_name = (struct slice){pair.data, name_len};
    *ret_value = slice_skip(pair, name_len + 1);
    return true;
}

static bool query_get(struct slice query, struct slice name, struct slice *ret)
{
    struct slice key;
    struct slice value;
    while (query_next(&query, &key, &value)) {
        if (slice_equal(key, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* "16MB", "100 kB", "1048576". False when it cannot be parsed: then there is no limit, as in
 * Patroni. */
static bool bytes_parse(struct slice text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},   {"B", 0},   {"kB", 10}, {"KB", 10}, {"k", 10}, {"MB", 20},
                 {"M", 20}, {"GB", 30}, {"G", 30},  {"TB", 40}, {"T", 40}};
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    uint64_t value = 0;
    if (digits == 0 || slice_to_u64((struct slice){text.data, digits}, &value) != 0) {
        return false;
    }
    struct slice unit = slice_skip(text, digits);
    while (unit.len > 0 && (unit.data[0] == '+' || unit.data[0] == ' ')) {
        unit = slice_skip(unit, 1);
    }
    if (slice_has_prefix(unit, SLICE_LIT("%20"))) {
        unit = slice_skip(unit, 3);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(units); i++) {
        if (slice_equal(unit, slice_from_text(units[i].unit))) {
            *ret = value > (UINT64_MAX >> units[i].shift) ? UINT64_MAX : value << units[i].shift;
            return true;
        }
    }
    return false;
}

static bool is_within_lag(const struct agt_http_snapshot *s, struct slice query, uint64_t otherwise)
{
    struct slice text;
    struct slice mode = SLICE_EMPTY;
    uint64_t limit = otherwise;
    bool has_limit = query_get(query, SLICE_LIT("lag"), &text) && bytes_parse(text, &limit);
    if (!has_limit && otherwise == UINT64_MAX) {
        return true;
    }
    (void)query_get(query, SLICE_LIT("mode"), &mode);
    bool is_write = slice_equal(mode, SLICE_LIT("write"));
    return s->report->is_receiving && agt_http_lag(s, is_write) <= limit;
}

static struct slice bool_text(bool is_true)
{
    return is_true ? SLICE_LIT("true") : SLICE_LIT("false");
}

static bool is_same_ignoring_case(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.data[i] >= 'A' && a.data[i] <= 'Z' ? (uint8_t)(a.data[i] + 32) : a.data[i];
        if (x != b.data[i]) {
            return false;
        }
    }
    return true;
}

static bool tag_fits(const struct agt_http_snapshot *s, struct slice key, struct slice value)
{
    if (slice_equal(key, SLICE_LIT("nofailover"))) {
        return is_same_ignoring_case(value, bool_text(s->report->is_nofailover));
    }
    if (slice_equal(key, SLICE_LIT("nosync"))) {
        return is_same_ignoring_case(value, bool_text(s->report->is_nosync));
    }
    if (slice_equal(key, SLICE_LIT("noloadbalance"))) {
        return is_same_ignoring_case(value, bool_text(s->is_noloadbalance));
    }
    uint64_t priority = 0;
    return slice_equal(key, SLICE_LIT("failover_priority")) &&
           slice_to_u64(value, &priority) == 0 && priority == s->report->priority;
}

/* replication_state=, tag_KEY=VALUE: a missing tag or another value refuses. */
static bool are_filters_met(const struct agt_http_snapshot *s, struct slice query)
{
    struct slice key;
    struct slice value;
    while (query_next(&query, &key, &value)) {
        if (slice_equal(key, SLICE_LIT("replication_state")) &&
            !(slice_equal(value, SLICE_LIT("streaming")) && s->report->is_receiving)) {
            return false;
        }
        if (slice_has_prefix(key, SLICE_LIT("tag_")) && !tag_fits(s, slice_skip(key, 4), value)) {
            return false;
        }
    }
    return true;
}

typedef bool http_check_fn(const struct agt_http_snapshot *s, struct slice query);

static bool check_primary(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->is_open;
}

static bool check_never(const struct agt_http_snapshot *s, struct slice query)
{
    (void)s;
    (void)query;
    return false; /* no standby clusters */
}

static bool check_replica(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_is_standby(s) && !s->is_noloadbalance && are_filters_met(s, query) &&
           is_within_lag(s, query, UINT64_MAX);
}

static bool check_read_only(const struct agt_http_snapshot *s, struct slice query)
{
    return s->is_open || check_replica(s, query);
}

static bool check_sync(const struct agt_http_snapshot *s, struct slice query)
{
    return agt_http_is_voter(s) && check_replica(s, query);
}

static bool check_read_only_sync(const struct agt_http_snapshot *s, struct slice query)
{
    return s->is_open || check_sync(s, query);
}

static bool check_async(const struct agt_http_snapshot *s, struct slice query)
{
    return check_replica(s, query) && !agt_http_is_voter(s);
}

static bool check_health(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return agt_http_is_running(s);
}

static bool check_liveness(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    uint32_t ms = s->order == NULL ? LEASE_TTL_DEFAULT_MS : s->order->record.ttl_ms;
    int64_t ttl_us = (int64_t)ms * BASE_US_PER_MS;
    int64_t limit = s->report->epoch_held != 0 ? ttl_us : 2 * ttl_us;
    return s->report_age_us >= 0 && s->report_age_us <= limit;
}

static bool check_readiness(const struct agt_http_snapshot *s, struct slice query)
{
    uint64_t limit = s->order == NULL ? 0 : s->order->record.maximum_lag_bytes;
    if (limit == 0) {
        limit = UINT64_C(1) << 20;
    }
    return s->is_open || (agt_http_is_standby(s) && is_within_lag(s, query, limit));
}

static bool check_always(const struct agt_http_snapshot *s, struct slice query)
{
    (void)s;
    (void)query;
    return true;
}

/* --- the table of paths ------------------------------------------------------------------------
 */

typedef void http_body_fn(const struct agt_http_snapshot *s, struct buf *b);

static const struct {
    const char *path;
    http_check_fn *check;
    http_body_fn *body;
    const char *content_type;
} paths[] = {
    {"/", check_primary, agt_http_put_patroni, JSON},
    {"/primary", check_primary, agt_http_put_patroni, JSON},
    {"/master", check_primary, agt_http_put_patroni, JSON},
    {"/leader", check_primary, agt_http_put_patroni, JSON},
    {"/read-write", check_primary, agt_http_put_patroni, JSON},
    {"/standby-leader", check_never, agt_http_put_patroni, JSON},
    {"/standby_leader", check_never, agt_http_put_patroni, JSON},
    {"/replica", check_replica, agt_http_put_patroni, JSON},
    {"/read-only", check_read_only, agt_http_put_patroni, JSON},
    {"/sync", check_sync, agt_http_put_patroni, JSON},
    {"/synchronous", check_sync, agt_http_put_patroni, JSON},
    {"/quorum", check_sync, agt_http_put_patroni, JSON},
    {"/read-only-sync", check_read_only_sync, agt_http_put_patroni, JSON},
    {"/read-only-synchronous", check_read_only_sync, agt_http_put_patroni, JSON},
    {"/read-only-quorum", check_read_only_sync, agt_http_put_patroni, JSON},
    {"/async", check_async, agt_http_put_patroni, JSON},
    {"/asynchronous", check_async, agt_http_put_patroni, JSON},
    {"/health", check_health, agt_http_put_patroni, JSON},
    {"/liveness", check_liveness, NULL, NULL},
    {"/readiness", check_readiness, NULL, NULL},
    {"/patroni", check_always, agt_http_put_patroni, JSON},
    {"/cluster", check_always, agt_http_put_cluster, JSON},
    {"/history", check_always, agt_http_put_history, JSON},
    {"/config", check_always, agt_http_put_config, JSON},
    {"/metrics", check_always, agt_http_put_metrics, METRICS},
};

static struct agt_http_answer answer_path(const struct agt_http_snapshot *s, size_t i,
                                          const struct agt_http_request *request, struct buf *body)
{
    struct agt_http_answer answer = {paths[i].check(s, request->query) ? 200 : 503, NULL};
    if (paths[i].body != NULL && !slice_equal(request->method, SLICE_LIT("OPTIONS"))) {
        paths[i].body(s, body);
        answer.content_type = paths[i].content_type;
    }
    if (body->is_full) {
        buf_reset(body);
        return (struct agt_http_answer){500, NULL};
    }
    return answer;
}

struct agt_http_answer agt_http_answer(const struct agt_http_snapshot *snapshot,
                                       const struct agt_http_request *request, struct buf *body)
{
    struct slice path = request->path;
    if (!slice_equal(request->method, SLICE_LIT("GET")) &&
        !slice_equal(request->method, SLICE_LIT("HEAD")) &&
        !slice_equal(request->method, SLICE_LIT("OPTIONS"))) {
        buf_put_text(body,
                     "only GET, HEAD and OPTIONS; what changes something goes through kv db\n");
        return (struct agt_http_answer){405, "text/plain"};
    }
    if (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        if (slice_equal(path, slice_from_text(paths[i].path))) {
            return answer_path(snapshot, i, request, body);
        }
    }
    buf_put_text(body, "no such path\n");
    return (struct agt_http_answer){404, "text/plain"};
}
