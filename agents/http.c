/* SPDX-License-Identifier: Apache-2.0 */
/* The table of paths: who asks what, what answers, and with which code when the answer is no; and
 * the table of control calls, none of which is done here. agents/http.md explains both and lists
 * what differs from Patroni's REST API. */
#include "agents/http.h"

#define JSON "application/json"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TEXT "text/plain"

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
        .config = &agent->config,
        .is_open = agt_is_open(agent, now),
        .has_right = agt_has_right(agent, now),
        .is_answering = agent->has_answered && agent->view.is_process && agent->view.is_answering,
        .is_gated = agent->is_gated,
        .lease_least_us = agent->lease_least_us,
        .order_age_us = agent->has_order ? base_mono_diff_us(now, agent->order_at) : -1,
        .report_age_us = agent->has_reported ? base_mono_diff_us(now, agent->reported_at) : -1,
    };
    agt_http_galera_fill(agent, now, &ret_snapshot->galera);
    agt_http_mongodb_fill(agent, now, &ret_snapshot->mongodb);
}

/* --- the table of paths ------------------------------------------------------------------------
 */

/*  paths, question, body, content type, code for no, for people */
#define PATHS(X) \
    X(P("/primary", "/master", "/read-write", "/"), primary, patroni, JSON, 503, \
      "the primary, under a lease that holds, open for writes") \
    X(P("/standby-leader", "/standby_leader"), standby_leader, patroni, JSON, 503, \
      "the holder of a standby cluster") \
    X(P("/leader"), leader, patroni, JSON, 503, "either of the two") \
    X(P("/replica"), replica, patroni, JSON, 503, \
      "a running standby; `lag=`, `mode=`, `replication_state=`, `tag_KEY=`") \
    X(P("/read-only"), read_only, patroni, JSON, 503, "`/leader` or `/replica`") \
    X(P("/sync", "/synchronous"), sync, patroni, JSON, 503, \
      "a `/replica` in the set that commits wait for") \
    X(P("/read-only-sync", "/read-only-synchronous"), read_only_sync, patroni, JSON, 503, \
      "`/leader` or `/sync`") \
    X(P("/quorum"), quorum, patroni, JSON, 503, "a `/sync` where any of the set suffice") \
    X(P("/read-only-quorum"), read_only_quorum, patroni, JSON, 503, "`/leader` or `/quorum`") \
    X(P("/async", "/asynchronous"), async, patroni, JSON, 503, "a `/replica` outside of the set") \
    X(P("/promoted"), promoted, nothing, NULL, 503, \
      "a primary on the line of its epoch, under its lease, open or about to be: commits may " \
      "wait there; `epoch=`") \
    X(P("/health"), health, patroni, JSON, 503, "the database answers, whatever its role") \
    X(P("/liveness"), liveness, nothing, NULL, 503, \
      "a report was made within one ttl (holder) or two; always in a pause") \
    X(P("/readiness"), readiness, nothing, NULL, 503, \
      "`/leader`, or a streaming standby within `lag=` (default: maximum lag), `mode=`") \
    X(P("/patroni"), always, patroni, JSON, 503, "state of this member") \
    X(P("/cluster"), always, cluster, JSON, 503, "members as the last order told of them") \
    X(P("/history"), always, history, JSON, 503, "timelines that were left, as far as known here") \
    X(P("/config"), always, config, JSON, 503, "the configuration in force") \
    X(P("/failsafe"), failsafe, failsafe, JSON, 502, \
      "who would be asked without a quorum; 502: mode off") \
    X(P("/metrics"), always, metrics, METRICS, 503, "Prometheus text")

#define agt_http_put_nothing NULL /* the word of the table */

#define P(...) \
    { \
        __VA_ARGS__ \
    }
#define PATH_ROW(paths, question, body, type, no, help) \
    {paths, agt_http_check_##question, agt_http_put_##body, type, no, help},
static const struct agt_http_path paths[] = {PATHS(PATH_ROW)};

static const struct agt_http_path *table_of(const struct agt_http_snapshot *s, size_t *ret_count)
{
    *ret_count = BASE_COUNT_OF(paths);
    if (s->mongodb.is_mongodb) {
        return agt_http_mongodb_paths(ret_count);
    }
    return s->galera.is_galera ? agt_http_galera_paths(ret_count) : paths;
}

/* NULL: no such path. */
static const struct agt_http_path *path_find(const struct agt_http_snapshot *s, struct slice path)
{
    size_t count = 0;
    const struct agt_http_path *table = table_of(s, &count);
    for (size_t i = 0; i < count * AGT_HTTP_PATH_NAMES_MAX; i++) {
        const struct agt_http_path *row = &table[i / AGT_HTTP_PATH_NAMES_MAX];
        const char *name = row->names[i % AGT_HTTP_PATH_NAMES_MAX];
        if (name != NULL && slice_equal(path, slice_from_text(name))) {
            return row;
        }
    }
    return NULL;
}

/* --- what is refused ---------------------------------------------------------------------------
 */

/* Control calls as Patroni's users know them, and what does the same. The arbiter alone changes
 * anything, and it must know who asks: an agent that passed a call on would lend its own name. */
#define CONTROLS(X) \
    X("POST", "/switchover", "kv db switchover %", "switchover") \
    X("DELETE", "/switchover", "kv db cancel % --planned", "cancel") \
    X("POST", "/failover", "kv db failover % --to MEMBER", "failover") \
    X("POST", "/restart", "kv db restart % @", "task") \
    X("DELETE", "/restart", "kv db cancel % @", "cancel") \
    X("POST", "/reload", "kv db reload % @", "task") \
    X("POST", "/reinitialize", "kv db reinit % @", "task") \
    X("PATCH", "/config", "kv db config set % KEY=VALUE", "configure") \
    X("PUT", "/config", "kv db config edit %", "configure")

#define CONTROL_ROW(method, path, command, call) {method, path, command, call},
static const struct {
    const char *method;
    const char *path;
    const char *command; /* %: cluster, @: member */
    const char *call;    /* of the quorum's own HTTP API; arbiter/api/patroni.c has it, too */
} controls[] = {CONTROLS(CONTROL_ROW)};

static void put_command(const struct agt_http_snapshot *s, const char *command, struct buf *body)
{
    for (const char *c = command; *c != '\0'; c++) {
        if (*c == '%') {
            buf_put_text(body, s->report->cluster.text);
        } else if (*c == '@') {
            buf_put_text(body, s->report->member.text);
        } else {
            buf_put_u8(body, (uint8_t)*c);
        }
    }
}

/* The call as it is, at the leader's own port (arbiter/api/patroni.h): who asks shows itself there.
 */
static bool location_fill(const struct agt_http_snapshot *s, const char *path,
                          struct agt_http_answer *answer)
{
    struct buf b = buf_over(answer->location, sizeof(answer->location));
    buf_put_text(&b, s->leader_api);
    buf_put_text(&b, "/quorate/v1/patroni/");
    buf_put_text(&b, s->report->cluster.text);
    buf_put_u8(&b, '/');
    buf_put_text(&b, s->report->member.text);
    buf_put_text(&b, path);
    return buf_terminate(&b);
}

static struct agt_http_answer refuse(const struct agt_http_snapshot *s, size_t i,
                                     const struct agt_http_request *request, struct buf *body)
{
    if (!request->is_admin) {
        buf_put_text(body, request->is_identified ? "this certificate is not an admin's"
                                                  : "orders need TLS and an admin's certificate");
        buf_put_text(body, "; on the host of one: ");
        put_command(s, controls[i].command, body);
        buf_put_u8(body, '\n');
        return (struct agt_http_answer){.status = 403, .content_type = TEXT};
    }
    struct agt_http_answer answer = {.status = 501, .content_type = TEXT};
    if (s->leader_api != NULL && location_fill(s, controls[i].path, &answer)) {
        buf_put_text(body, "the arbiter takes this call at the place in Location\n");
        answer.status = 307;
        return answer;
    }
    buf_put_text(body, "orders are the arbiter's, which must know who gives them: ");
    put_command(s, controls[i].command, body);
    buf_put_text(body, ", or with this certificate POST /quorate/v1/databases/");
    buf_put_text(body, controls[i].call);
    buf_put_text(body, " on a quorum node (port 2379)\n");
    return answer;
}

static struct agt_http_answer answer_unsafe(const struct agt_http_snapshot *s,
                                            const struct agt_http_request *request,
                                            struct slice path, struct buf *body)
{
    bool is_known = false;
    for (size_t i = 0; i < BASE_COUNT_OF(controls); i++) {
        bool is_path = slice_equal(path, slice_from_text(controls[i].path));
        if (is_path && slice_equal(request->method, slice_from_text(controls[i].method))) {
            return refuse(s, i, request, body);
        }
        is_known = is_known || is_path;
    }
    if (!is_known && path_find(s, path) == NULL) {
        buf_put_text(body, "no such path\n");
        return (struct agt_http_answer){.status = 404, .content_type = TEXT};
    }
    buf_put_text(body, "only GET, HEAD and OPTIONS; what changes something goes through kv db\n");
    return (struct agt_http_answer){
        .status = 405, .content_type = TEXT, .allow = "GET, HEAD, OPTIONS"};
}

/* --- answering ---------------------------------------------------------------------------------
 */

static struct agt_http_answer answer_path(const struct agt_http_snapshot *s,
                                          const struct agt_http_path *path,
                                          const struct agt_http_request *request, struct buf *body)
{
    struct agt_http_answer answer = {.status = 200, .content_type = path->content_type};
    answer.control = s->mongodb.is_control_lost ? "lost" : NULL;
    if (!path->check(s, request->query)) {
        answer.status = path->status_no;
    }
    if (slice_equal(request->method, SLICE_LIT("OPTIONS"))) {
        answer.content_type = NULL;
        answer.allow = "GET, HEAD, OPTIONS";
        return answer;
    }
    if (path->body != NULL) {
        path->body(s, body);
    }
    if (body->is_full) {
        buf_reset(body);
        return (struct agt_http_answer){.status = 500, .control = answer.control};
    }
    return answer;
}

struct agt_http_answer agt_http_answer(const struct agt_http_snapshot *snapshot,
                                       const struct agt_http_request *request, struct buf *body)
{
    struct slice path = request->path;
    if (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }
    if (!slice_equal(request->method, SLICE_LIT("GET")) &&
        !slice_equal(request->method, SLICE_LIT("HEAD")) &&
        !slice_equal(request->method, SLICE_LIT("OPTIONS"))) {
        return answer_unsafe(snapshot, request, path, body);
    }
    const struct agt_http_path *row = path_find(snapshot, path);
    if (row != NULL) {
        return answer_path(snapshot, row, request, body);
    }
    buf_put_text(body, "no such path\n");
    return (struct agt_http_answer){.status = 404, .content_type = TEXT};
}

static void put_paths(const struct agt_http_path *table, size_t count, struct buf *b)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; n < AGT_HTTP_PATH_NAMES_MAX && table[i].names[n] != NULL; n++) {
            buf_put_text(b, n == 0 ? "| `" : " `");
            buf_put_text(b, table[i].names[n]);
            buf_put_u8(b, '`');
        }
        buf_put_text(b, " | ");
        buf_put_text(b, table[i].help);
        buf_put_text(b, " |\n");
    }
}

void agt_http_put_galera_table(struct buf *b)
{
    size_t count = 0;
    const struct agt_http_path *table = agt_http_galera_paths(&count);
    put_paths(table, count, b);
}

void agt_http_put_mongodb_table(struct buf *b)
{
    size_t count = 0;
    const struct agt_http_path *table = agt_http_mongodb_paths(&count);
    put_paths(table, count, b);
}

void agt_http_put_table(struct buf *b)
{
    put_paths(paths, BASE_COUNT_OF(paths), b);
    for (size_t i = 0; i < BASE_COUNT_OF(controls); i++) {
        buf_put_text(b, "| `");
        buf_put_text(b, controls[i].method);
        buf_put_u8(b, ' ');
        buf_put_text(b, controls[i].path);
        buf_put_text(b, "` | 307 to the quorum; `");
        for (const char *c = controls[i].command; *c != '\0'; c++) {
            if (*c == '%' || *c == '@') {
                buf_put_text(b, *c == '%' ? "CLUSTER" : "MEMBER");
            } else {
                buf_put_u8(b, (uint8_t)*c);
            }
        }
        buf_put_text(b, "` |\n");
    }
}
