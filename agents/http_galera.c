/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks of a Galera member: its table of paths, the questions, and its JSON.
 *
 * /writer is 200 for the one named writer, /reader for members that have proven a moment ago that
 * they take part. Both need evidence that is at most 2 s old at the moment of the answer, and none
 * from before a pause of this host.
 */
#include "agents/http.h"
#include "agents/http_json.h"

#include <string.h>

#define JSON "application/json"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

/* --- what is known --- */

void agt_http_galera_fill(const struct agt *agent, struct base_mono now,
                          struct agt_http_galera *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (agent->config.engine != MSG_ENGINE_GALERA) {
        return;
    }
    const struct db_galera_view *g = &agent->view.galera;
    bool is_asked = agent->has_answered && g->asked_at.us != BASE_MONO_LONG_AGO.us;
    bool is_causal = agent->has_answered && g->causal_at.us != BASE_MONO_LONG_AGO.us;
    ret->is_galera = true;
    ret->is_writer = agt_galera_is_writer(agent, now);
    ret->is_reader = agt_galera_is_reader(agent, now, agent->config.is_donor_read);
    ret->is_reader_plain = agt_galera_is_reader(agent, now, false);
    ret->is_reader_donor = agt_galera_is_reader(agent, now, true);
    ret->is_fresh = agt_galera_is_fresh(agent, now);
    ret->state = agt_galera_state_text(agent->galera.state);
    ret->evidence_age_us = is_asked ? base_mono_diff_us(now, g->asked_at) : -1;
    ret->causal_age_us = is_causal ? base_mono_diff_us(now, g->causal_at) : -1;
}

/* --- the questions --- */

static bool check_writer(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->galera.is_writer;
}

static bool check_reader(const struct agt_http_snapshot *s, struct slice query)
{
    struct slice donor;
    bool is_reader = s->galera.is_reader;
    if (agt_http_query_get(query, SLICE_LIT("donor"), &donor)) {
        is_reader = slice_equal(donor, SLICE_LIT("yes")) ? s->galera.is_reader_donor
                                                         : s->galera.is_reader_plain;
    }
    return is_reader && !agt_http_is_noloadbalance(s);
}

static bool check_any(const struct agt_http_snapshot *s, struct slice query)
{
    return check_writer(s, query) || check_reader(s, query);
}

static bool check_donor(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->galera.is_reader_donor && s->report->galera.state == MSG_GALERA_DONOR;
}

static bool check_health(const struct agt_http_snapshot *s, struct slice query)
{
    (void)query;
    return s->galera.is_fresh;
}

/* --- the table --- */

/*  paths, question, body, content type, for people */
#define PATHS(X) \
    X(P("/writer", "/primary", "/"), check_writer, agt_http_put_galera, JSON, \
      "the named writer, under a lease that holds, synced and open for writes") \
    X(P("/reader", "/synced", "/replica"), check_reader, agt_http_put_galera, JSON, \
      "synced, and a read with `wsrep_sync_wait` has come through within 2 s; `donor=yes` also a " \
      "donor, `donor=no` never") \
    X(P("/any"), check_any, agt_http_put_galera, JSON, "`/writer` or `/reader`") \
    X(P("/donor"), check_donor, agt_http_put_galera, JSON, \
      "serving as a donor of a state transfer, and fit to be read from") \
    X(P("/health"), check_health, agt_http_put_galera, JSON, \
      "the server has answered within 2 s, whatever its state") \
    X(P("/liveness"), agt_http_check_liveness, NULL, NULL, \
      "a report was made within one ttl (writer) or two; always in a pause") \
    X(P("/status", "/patroni"), agt_http_check_always, agt_http_put_galera, JSON, \
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

const struct agt_http_path *agt_http_galera_paths(size_t *ret_count)
{
    static const struct agt_http_path paths[] = {PATHS(PATH_ROW)};
    *ret_count = BASE_COUNT_OF(paths);
    return paths;
}

/* --- the body --- */

static void put_uuid(struct agt_json *j, const char *key, const uint8_t *uuid)
{
    agt_json_key(j, key);
    buf_put_u8(j->b, '"');
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            buf_put_u8(j->b, '-');
        }
        buf_put_hex(j->b, uuid[i], 2);
    }
    buf_put_u8(j->b, '"');
}

static void put_age(struct agt_json *j, const char *key, int64_t us)
{
    if (us >= 0) {
        agt_json_put_number(j, key, (uint64_t)(us / BASE_US_PER_MS));
    }
}

static void put_seqno(struct agt_json *j, int64_t seqno)
{
    agt_json_key(j, "seqno");
    buf_put_int(j->b, seqno);
}

static void put_view(struct agt_json *j, const struct msg_galera_view *view)
{
    agt_json_open(j, "view", '{');
    agt_json_put_number(j, "conf_id", view->conf_id);
    agt_json_open(j, "members", '[');
    for (uint8_t i = 0; i < view->count && i < MSG_GALERA_NODES_MAX; i++) {
        agt_json_open(j, NULL, '{');
        agt_json_put_text(j, "name", view->nodes[i].node.text);
        agt_json_put_number(j, "weight", view->nodes[i].weight);
        agt_json_close(j, '}');
    }
    agt_json_close(j, ']');
    agt_json_close(j, '}');
}

static void put_right(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    agt_json_put_number(j, "epoch_seen", r->epoch_seen);
    agt_json_put_number(j, "epoch_held", r->epoch_held);
    agt_json_put_bool(j, "open", s->is_open);
    agt_json_put_number(j, "lease_left_ms",
                        r->lease_left_us > 0 ? (uint64_t)(r->lease_left_us / BASE_US_PER_MS) : 0);
    if (s->order != NULL && s->order->record.epoch > 0) {
        agt_json_put_text(j, "holder", s->order->record.holder.text);
    }
    agt_json_put_bool(j, "pause", agt_http_is_paused(s));
    agt_json_put_bool(j, "drained", agt_http_is_drained(s));
}

void agt_http_put_galera(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    const struct msg_report *r = s->report;
    const struct msg_galera_report *g = &r->galera;
    agt_json_open(&j, NULL, '{');
    agt_json_put_text(&j, "cluster", r->cluster.text);
    agt_json_put_text(&j, "member", r->member.text);
    agt_json_put_text(&j, "role", s->galera.is_writer ? "writer" : "member");
    agt_json_put_text(&j, "state", s->galera.state);
    agt_json_put_bool(&j, "primary_component", g->is_primary);
    put_right(&j, s);
    put_age(&j, "evidence_age_ms", s->galera.evidence_age_us);
    put_age(&j, "causal_age_ms", s->galera.causal_age_us);
    agt_json_put_number(&j, "generation", g->generation);
    put_uuid(&j, "uuid", g->position.uuid);
    put_seqno(&j, g->position.seqno);
    put_view(&j, &g->view);
    agt_json_put_number(&j, "cluster_size", g->size);
    agt_json_put_number(&j, "weight", g->weight);
    agt_json_put_bool(&j, "read_only", g->is_read_only);
    agt_json_put_bool(&j, "rejecting", g->is_rejecting);
    agt_json_put_bool(&j, "fenced", g->is_fenced);
    agt_json_put_bool(&j, "desynced", g->is_desynced);
    agt_json_put_bool(&j, "flow_paused", g->is_flow_paused);
    agt_json_put_number(&j, "recv_queue", g->recv_queue);
    agt_json_put_number(&j, "stalled_ms", g->stalled_ms);
    agt_json_put_number(&j, "data_bytes", g->data_bytes);
    agt_json_put_number(&j, "server_version", r->db_version);
    agt_json_put_number(&j, "connections", r->connections);
    agt_json_put_text(&j, "version", QUORATE_VERSION);
    agt_json_put_text(&j, "note", r->note.text);
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}
