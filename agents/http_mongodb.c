/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks of a MongoDB member: its table of paths, the questions, and its JSON.
 *
 * MongoDB elects, so no lease is asked for: /primary is 200 where this member's own hello, asked
 * for less than 3 s ago and not before a pause of this host, says writable, in a term that nobody
 * is known to have left behind. Without the arbiter the answers are the same, and say so in the
 * header X-Quorate-Control.
 */
#include "agents/http.h"
#include "agents/http_json.h"

#include <string.h>

#define JSON "application/json"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

/* --- what is known --- */

void agt_http_mongodb_fill(const struct agt *agent, struct base_mono now,
                           struct agt_http_mongodb *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (agent->config.engine != MSG_ENGINE_MONGODB) {
        return;
    }
    const struct db_mongodb_view *v = &agent->view.mongodb;
    bool is_asked = agent->has_answered && v->hello.at.us != BASE_MONO_LONG_AGO.us;
    ret->is_mongodb = true;
    ret->is_primary = agt_mongodb_is_primary(agent, now);
    ret->is_secondary = agt_mongodb_is_secondary(agent, now, UINT32_MAX);
    ret->is_arbiter = agt_mongodb_is_arbiter(agent, now);
    ret->is_fresh = agt_mongodb_is_fresh(agent, now);
    ret->is_control_lost = agt_mongodb_is_control_lost(agent, now);
    ret->state = agt_mongodb_state_text(agent->mongodb.state);
    ret->evidence_age_us = is_asked ? base_mono_diff_us(now, v->hello.at) : -1;
    ret->certificate_end_us = v->certificate_end_us;
    ret->commands_failed = v->commands_failed;
    ret->code = v->code;
    ret->is_held = agent->disk.mongodb.is_held;
}

/* --- the questions --- */

static bool check_primary(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->mongodb.is_primary;
}

/* "10", "10s", "1500ms"; false: no time. */
static bool milliseconds(struct slice text, uint64_t *ret)
{
    uint64_t number = 0;
    size_t i = 0;
    while (i < text.len && i < 9 && text.data[i] >= '0' && text.data[i] <= '9') {
        number = number * 10 + (uint64_t)(text.data[i] - '0');
        i++;
    }
    struct slice unit = slice_skip(text, i);
    bool is_ms = slice_equal(unit, SLICE_LIT("ms"));
    *ret = is_ms ? number : number * 1000;
    return i > 0 && (is_ms || unit.len == 0 || slice_equal(unit, SLICE_LIT("s")));
}

/* A lag that is not known is no lag within a limit; text that is no time is no limit. */
static bool is_within_lag(const struct agt_http_snapshot *s, struct slice query)
{
    struct slice text = SLICE_EMPTY;
    uint64_t limit = 0;
    bool is_limited = (agt_http_query_get(query, SLICE_LIT("lag"), &text) ||
                       agt_http_query_get(query, SLICE_LIT("maxlag"), &text)) &&
                      milliseconds(text, &limit);
    uint32_t lag_ms = s->report->mongodb.lag_ms;
    return !is_limited || (lag_ms != UINT32_MAX && lag_ms <= limit);
}

static bool check_secondary(const struct agt_http_snapshot *s, struct slice query)
{
    return s->mongodb.is_secondary && is_within_lag(s, query) && !agt_http_is_noloadbalance(s);
}

static bool check_any(const struct agt_http_snapshot *s, struct slice query)
{
    return check_primary(s, query) || check_secondary(s, query);
}

static bool check_arbiter(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->mongodb.is_arbiter;
}

static bool check_health(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->mongodb.is_fresh;
}

/* --- the table --- */

/*  paths, question, body, content type, for people */
#define PATHS(X) \
    X(P("/primary", "/writable", "/"), check_primary, agt_http_put_mongodb, JSON, \
      "the primary: its own `hello`, less than 3 s old, says writable, in the highest term known") \
    X(P("/secondary", "/replica"), check_secondary, agt_http_put_mongodb, JSON, \
      "a secondary by its own `hello`; `lag=` (`10s`, `1500ms`): not further behind") \
    X(P("/any", "/read-only"), check_any, agt_http_put_mongodb, JSON, \
      "`/primary` or `/secondary`") \
    X(P("/arbiter"), check_arbiter, agt_http_put_mongodb, JSON, "an arbiter of the set") \
    X(P("/health"), check_health, agt_http_put_mongodb, JSON, \
      "the server has answered within 3 s, whatever its state") \
    X(P("/liveness"), agt_http_check_liveness, NULL, NULL, \
      "a report was made within two ttl; always in a pause") \
    X(P("/status", "/patroni"), agt_http_check_always, agt_http_put_mongodb, JSON, \
      "state of this member") \
    X(P("/cluster"), agt_http_check_always, agt_http_put_cluster, JSON, \
      "members as the last order told of them") \
    X(P("/config"), agt_http_check_always, agt_http_put_config, JSON, \
      "the configuration in force") \
    X(P("/metrics"), agt_http_check_always, agt_http_put_metrics, METRICS, "Prometheus text")

#define P(...) \
    { \
        __VA_ARGS__ \
    }
#define PATH_ROW(paths, question, body, type, help) {paths, question, body, type, 503, help},

const struct agt_http_path *agt_http_mongodb_paths(size_t *ret_count)
{
    static const struct agt_http_path paths[] = {PATHS(PATH_ROW)};
    *ret_count = BASE_COUNT_OF(paths);
    return paths;
}

/* --- the body --- */

static void put_ms(struct agt_json *j, const char *key, uint32_t ms)
{
    if (ms != UINT32_MAX) {
        agt_json_put_number(j, key, ms);
    }
}

static void put_optime(struct agt_json *j, const char *key, struct msg_mongodb_optime o)
{
    agt_json_open(j, key, '{');
    agt_json_put_number(j, "term", o.term);
    agt_json_put_number(j, "seconds", o.ts >> 32);
    agt_json_put_number(j, "ordinal", o.ts & UINT32_MAX);
    agt_json_close(j, '}');
}

static void put_peers(struct agt_json *j, const struct msg_mongodb_report *m)
{
    agt_json_open(j, "members", '[');
    for (uint8_t i = 0; i < m->peers_count && i < MSG_MONGODB_PEERS_MAX; i++) {
        const struct msg_mongodb_peer *p = &m->peers[i];
        agt_json_open(j, NULL, '{');
        agt_json_put_text(j, "host", p->host.text);
        agt_json_put_number(j, "votes", p->votes);
        agt_json_put_number(j, "priority_tenths", p->priority_x10);
        agt_json_put_bool(j, "arbiter", p->is_arbiter);
        agt_json_put_bool(j, "healthy", p->is_healthy || p->is_self);
        agt_json_put_number(j, "state", p->state);
        put_ms(j, "heard_ms", p->heard_ms);
        agt_json_close(j, '}');
    }
    agt_json_close(j, ']');
}

static void put_set(struct agt_json *j, const struct msg_mongodb_report *m)
{
    agt_json_put_text(j, "set", m->set_name.text);
    agt_json_put_text(j, "self", m->self.text);
    agt_json_put_text(j, "primary", m->primary.text);
    agt_json_put_number(j, "term", m->term);
    agt_json_put_number(j, "config_term", m->config.term);
    agt_json_put_number(j, "config_version", m->config.version);
    agt_json_put_number(j, "majority", m->majority);
    agt_json_put_number(j, "live_voters", m->live_voters);
    put_peers(j, m);
}

static void put_work(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct msg_mongodb_report *m = &s->report->mongodb;
    agt_json_open(j, "order", '{');
    agt_json_put_number(j, "epoch", m->order_epoch);
    agt_json_put_number(j, "phase", m->order_phase);
    agt_json_put_bool(j, "done", m->is_order_done);
    agt_json_put_text(j, "status", base_error_text(m->order_status));
    agt_json_close(j, '}');
    agt_json_put_bool(j, "frozen", m->is_frozen);
    agt_json_put_bool(j, "held", s->mongodb.is_held);
    agt_json_put_number(j, "barred_epoch", m->barred_epoch);
    agt_json_put_number(j, "epoch_seen", s->report->epoch_seen);
    agt_json_put_bool(j, "pause", agt_http_is_paused(s));
    agt_json_put_bool(j, "drained", agt_http_is_drained(s));
    agt_json_put_bool(j, "control_lost", s->mongodb.is_control_lost);
}

void agt_http_put_mongodb(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    const struct msg_report *r = s->report;
    const struct msg_mongodb_report *m = &r->mongodb;
    const char *role = s->mongodb.is_primary     ? "primary"
                       : s->mongodb.is_secondary ? "secondary"
                       : s->mongodb.is_arbiter   ? "arbiter"
                                                 : "member";
    agt_json_open(&j, NULL, '{');
    agt_json_put_text(&j, "cluster", r->cluster.text);
    agt_json_put_text(&j, "member", r->member.text);
    agt_json_put_text(&j, "role", role);
    agt_json_put_text(&j, "state", s->mongodb.state);
    agt_json_put_bool(&j, "watched", m->is_adopted);
    if (s->mongodb.evidence_age_us >= 0) {
        agt_json_put_number(&j, "evidence_age_ms",
                            (uint64_t)(s->mongodb.evidence_age_us / BASE_US_PER_MS));
    }
    put_set(&j, m);
    put_optime(&j, "applied", m->applied);
    put_optime(&j, "committed", m->committed);
    put_ms(&j, "lag_ms", m->lag_ms);
    agt_json_put_number(&j, "commit_age_ms", m->commit_age_ms);
    agt_json_put_number(&j, "canary_ms", m->canary_ms);
    agt_json_put_number(&j, "oplog_s", m->oplog_s);
    agt_json_put_number(&j, "sync_permille", m->sync_permille);
    agt_json_put_number(&j, "rollbacks", m->rollbacks);
    agt_json_put_bool(&j, "login_refused", m->is_login_refused);
    put_work(&j, s);
    agt_json_put_number(&j, "server_version", r->db_version);
    agt_json_put_number(&j, "connections", r->connections);
    agt_json_put_text(&j, "version", QUORATE_VERSION);
    agt_json_put_text(&j, "note", r->note.text);
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}
