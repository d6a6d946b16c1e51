/* SPDX-License-Identifier: Apache-2.0 */
/* The status page: who is routed where, who waits and why. GET / (text), /status (JSON), /metrics,
 * /health (200 while the process runs), /ready (200 while the primary of every cluster can be
 * reached by what is known). Loopback only, read-only. */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/proxy/proxy_internal.h"
#include "base/metric.h"
#include "base/name.h"
#include "proto/io/bytes.h"

#define LINE_MAX_BYTES 512

static const char *port_name(size_t port)
{
    return port == PROXY_PRIMARY ? "primary" : "replicas";
}

uint32_t proxy_connections(const struct proxy_cluster *cluster, enum proxy_port port)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        sum += cluster->core.members[i].connections[port];
    }
    return sum;
}

/* What a connection that came now would get; the turns among replicas stay as they are. */
static struct proxy_choice choice_now(const struct proxy_cluster *c, enum proxy_port port)
{
    struct proxy_core copy = c->core;
    struct proxy_choice choice;
    proxy_choose(&copy, port, 0, io_now(), &choice);
    return choice;
}

static const char *answer_name(enum proxy_answer answer)
{
    static const char *const names[] = {"unknown", "yes", "no", "silent"};
    return names[answer];
}

static double seconds_ago(struct base_mono then)
{
    return then.us <= 0 ? -1 : (double)base_mono_diff_us(io_now(), then) / 1e6;
}

/* --- JSON --- */

static json_t *json_of_member(const struct proxy_cluster *c, uint8_t i)
{
    const struct proxy_member *m = &c->core.members[i];
    return json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:s, s:b, s:b, s:i, s:i}", "member",
                     m->seen.name.text, "host", m->seen.host.text, "port", (int)m->seen.db_port,
                     "is_holder", i == proxy_holder(&c->core), "says_primary",
                     answer_name(m->words[PROXY_ASKS_PRIMARY].answer), "says_replica",
                     answer_name(m->words[PROXY_ASKS_REPLICA].answer), "zone", m->seen.zone.text,
                     "is_dead", (int)m->is_dead, "is_drained", (int)proxy_is_drained(&c->core, i),
                     "connections_primary", (int)m->connections[PROXY_PRIMARY],
                     "connections_replicas", (int)m->connections[PROXY_REPLICAS]);
}

static json_t *json_of_port(const struct proxy_cluster *c, enum proxy_port port)
{
    struct proxy_choice choice = choice_now(c, port);
    const struct proxy_counters *n = &c->counters[port];
    bool is_held = choice.member == PROXY_NOBODY;
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I}", "goes_to",
                     is_held ? "" : c->core.members[choice.member].seen.name.text, "reason",
                     proxy_reason_name(choice.reason), "why",
                     is_held ? proxy_reason_text(choice.reason) : "", "connections",
                     (int)proxy_connections(c, port), "waiting", (int)c->held_count[port],
                     "accepted", (json_int_t)n->accepted, "refused", (json_int_t)n->refused, "cut",
                     (json_int_t)n->cut, "connect_failures", (json_int_t)n->failed);
}

static json_t *json_of_cluster(const struct proxy_cluster *c)
{
    const struct proxy_record *r = &c->core.record;
    json_t *members = json_array();
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        if (c->core.members[i].is_used) {
            (void)json_array_append_new(members, json_of_member(c, i));
        }
    }
    return json_pack("{s:s, s:b, s:I, s:s, s:b, s:b, s:f, s:f, s:o, s:o, s:o}", "cluster",
                     c->name.text, "has_record", (int)c->core.has_record, "epoch",
                     (json_int_t)r->epoch, "holder", r->holder.text, "is_opened", (int)r->is_opened,
                     "is_fresh", (int)proxy_is_fresh(&c->core, io_now()), "proof_age",
                     seconds_ago(c->core.proof_at), "longest_wait",
                     (double)c->longest_hold_us / 1e6, "primary", json_of_port(c, PROXY_PRIMARY),
                     "replicas", json_of_port(c, PROXY_REPLICAS), "members", members);
}

static json_t *json_of_quorum(const struct proxy *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < quorum_sessions(p->quorum); i++) {
        struct quorum_session_status s;
        char text[IO_ADDRESS_TEXT_MAX];
        quorum_session(p->quorum, i, &s);
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:s}", "node",
                                                    io_address_text(s.address, text, sizeof(text)),
                                                    "is_up", (int)s.is_up, "answer_age",
                                                    seconds_ago(s.answered), "why", s.why));
    }
    return list;
}

static void reply_json(struct io_http_exchange *exchange, const struct proxy *p)
{
    json_t *clusters = json_array();
    struct conns_stats stats;
    conns_stats(p->conns, &stats);
    for (size_t i = 0; i < p->clusters_count; i++) {
        (void)json_array_append_new(clusters, json_of_cluster(p->clusters[i]));
    }
    json_t *all = json_pack(
        "{s:s, s:i, s:I, s:I, s:o, s:o}", "version", QUORATE_VERSION, "connections",
        (int)stats.count, "copied_bytes", (json_int_t)stats.copied_bytes, "spliced_bytes",
        (json_int_t)stats.spliced_bytes, "quorum", json_of_quorum(p), "clusters", clusters);
    char *text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    io_http_reply(exchange, text != NULL ? 200 : 500, "application/json",
                  slice_from_text(text != NULL ? text : ""));
    free(text);
    json_decref(all);
}

/* --- text --- */

__attribute__((format(printf, 2, 3))) static void put(struct io_bytes *out, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (len > 0) {
        size_t cut = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
        if (io_bytes_append(out, slice_from(line, cut)) != 0) {
            io_bytes_free(out); /* no memory: the page begins anew behind it */
        }
    }
}

static void put_port(struct io_bytes *out, const struct proxy_cluster *c, enum proxy_port port)
{
    struct proxy_choice choice = choice_now(c, port);
    if (choice.member != PROXY_NOBODY) {
        put(out, "  %-8s  goes to %s", port_name(port),
            c->core.members[choice.member].seen.name.text);
    } else {
        put(out, "  %-8s  waits: %s", port_name(port), proxy_reason_text(choice.reason));
    }
    put(out, "; %u connections, %u wait\n", proxy_connections(c, port), c->held_count[port]);
}

static void put_page(struct io_bytes *out, const struct proxy *p)
{
    for (size_t i = 0; i < p->clusters_count; i++) {
        const struct proxy_cluster *c = p->clusters[i];
        const struct proxy_record *r = &c->core.record;
        put(out, "%s  epoch %" PRIu64 "  primary %s%s\n", c->name.text, r->epoch, r->holder.text,
            !c->core.has_record || r->is_opened ? "" : " (not open yet)");
        put_port(out, c, PROXY_PRIMARY);
        put_port(out, c, PROXY_REPLICAS);
        for (uint8_t k = 0; k < PROXY_MEMBERS_MAX; k++) {
            const struct proxy_member *m = &c->core.members[k];
            if (m->is_used) {
                put(out, "  member %-12s %s:%u  primary: %s  replica: %s  connections %u+%u%s\n",
                    m->seen.name.text, m->seen.host.text, m->seen.db_port,
                    answer_name(m->words[PROXY_ASKS_PRIMARY].answer),
                    answer_name(m->words[PROXY_ASKS_REPLICA].answer), m->connections[PROXY_PRIMARY],
                    m->connections[PROXY_REPLICAS], m->is_dead ? "  (host silent)" : "");
            }
        }
    }
    for (size_t i = 0; i < quorum_sessions(p->quorum); i++) {
        struct quorum_session_status s;
        char text[IO_ADDRESS_TEXT_MAX];
        quorum_session(p->quorum, i, &s);
        put(out, "quorum %s  %s%s\n", io_address_text(s.address, text, sizeof(text)),
            s.is_up ? "up" : "down: ", s.is_up ? "" : s.why);
    }
}

/* --- metrics --- */

#define PREFIX "quorate_proxy_"
#define ROW_MAX_BYTES 1024 /* head, or a name with its labels and value */

/* Appends what was written into a small memory. */
static void put_buf(struct io_bytes *out, const struct buf *b)
{
    if (io_bytes_append(out, buf_slice(b)) != 0) {
        io_bytes_free(out);
    }
}

static void put_head(struct io_bytes *out, const char *type, const char *name, const char *help)
{
    uint8_t memory[ROW_MAX_BYTES];
    struct buf b = buf_over(memory, sizeof(memory));
    base_metric_head(&b, type, name, help);
    put_buf(out, &b);
}

/* c NULL: without labels. */
static void put_value(struct io_bytes *out, const char *name, const struct proxy_cluster *c,
                      size_t port, uint64_t value)
{
    uint8_t memory[ROW_MAX_BYTES];
    struct buf b = buf_over(memory, sizeof(memory));
    const struct base_metric_label labels[] = {
        {c == NULL ? NULL : "cluster", c == NULL ? NULL : c->name.text},
        {"port", port_name(port)},
        {NULL, NULL}};
    base_metric_name(&b, name, "", labels);
    base_metric_u64(&b, value);
    put_buf(out, &b);
}

#define COUNTER_ROW(field, metric, help) \
    {PREFIX metric, help, offsetof(struct proxy_counters, field)},
static const struct {
    const char *name, *help;
    size_t offset;
} counters[] = {PROXY_COUNTERS(COUNTER_ROW)};

static void put_counters(struct io_bytes *out, const struct proxy *p)
{
    for (size_t i = 0; i < BASE_COUNT_OF(counters); i++) {
        put_head(out, "counter", counters[i].name, counters[i].help);
        for (size_t k = 0; k < 2 * p->clusters_count; k++) {
            const struct proxy_cluster *c = p->clusters[k / 2];
            const uint8_t *base = (const uint8_t *)&c->counters[k % 2];
            uint64_t value = 0;
            memcpy(&value, base + counters[i].offset, sizeof(value));
            put_value(out, counters[i].name, c, k % 2, value);
        }
    }
}

static uint64_t gauge_value(const struct proxy_cluster *c, enum proxy_port port, size_t row)
{
    const uint64_t values[] = {
#define GAUGE_VALUE(metric, value, help) (uint64_t)(value),
        PROXY_GAUGES(GAUGE_VALUE)
#undef GAUGE_VALUE
    };
    return values[row];
}

static void put_gauges(struct io_bytes *out, const struct proxy *p)
{
    static const char *const rows[][2] = {
#define GAUGE_ROW(metric, value, help) {PREFIX metric, help},
        PROXY_GAUGES(GAUGE_ROW)
#undef GAUGE_ROW
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        put_head(out, "gauge", rows[i][0], rows[i][1]);
        for (size_t k = 0; k < 2 * p->clusters_count; k++) {
            const struct proxy_cluster *c = p->clusters[k / 2];
            put_value(out, rows[i][0], c, k % 2, gauge_value(c, (enum proxy_port)(k % 2), i));
        }
    }
}

static uint64_t certificate_end(const struct proxy *p)
{
    int64_t end_us = p->tls == NULL ? 0 : io_tls_own_end_us(p->tls);
    return end_us <= 0 ? 0 : (uint64_t)(end_us / BASE_US_PER_S);
}

static void put_process(struct io_bytes *out, const struct proxy *p)
{
    struct conns_stats stats;
    conns_stats(p->conns, &stats);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
#define FIGURE_ROW(metric, type, value, help) {PREFIX metric, type, help, value},
        PROXY_FIGURES(FIGURE_ROW)
#undef FIGURE_ROW
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        put_head(out, rows[i].type, rows[i].name, rows[i].help);
        put_value(out, rows[i].name, NULL, 0, rows[i].value);
    }
}

/* --- requests --- */

static bool is_ready(const struct proxy *p)
{
    for (size_t i = 0; i < p->clusters_count; i++) {
        if (choice_now(p->clusters[i], PROXY_PRIMARY).member == PROXY_NOBODY) {
            return false;
        }
    }
    return !p->is_stopping;
}

static void reply_text(struct io_http_exchange *exchange, const struct proxy *p, bool is_metrics)
{
    struct io_bytes out = {0};
    if (is_metrics) {
        put_counters(&out, p);
        put_gauges(&out, p);
        put_process(&out, p);
    } else {
        put_page(&out, p);
    }
    io_http_reply(exchange, 200,
                  is_metrics ? "text/plain; version=0.0.4; charset=utf-8"
                             : "text/plain; charset=utf-8",
                  slice_from(out.data, out.len));
    io_bytes_free(&out);
}

static void request(void *ctx, struct io_http_exchange *exchange,
                    const struct io_http_request *request)
{
    const struct proxy *p = ctx;
    const struct slice path = request->path;
    if (!slice_equal(request->method, SLICE_LIT("GET")) &&
        !slice_equal(request->method, SLICE_LIT("HEAD"))) {
        io_http_reply(exchange, 405, "text/plain", SLICE_LIT("GET and HEAD only\n"));
    } else if (slice_equal(path, SLICE_LIT("/"))) {
        reply_text(exchange, p, false);
    } else if (slice_equal(path, SLICE_LIT("/metrics"))) {
        reply_text(exchange, p, true);
    } else if (slice_equal(path, SLICE_LIT("/status"))) {
        reply_json(exchange, p);
    } else if (slice_equal(path, SLICE_LIT("/health"))) {
        io_http_reply(exchange, 200, "text/plain", SLICE_LIT("ok\n"));
    } else if (slice_equal(path, SLICE_LIT("/ready"))) {
        bool is_good = is_ready(p);
        io_http_reply(exchange, is_good ? 200 : 503, "text/plain",
                      is_good ? SLICE_LIT("ok\n") : SLICE_LIT("waiting; / tells why\n"));
    } else {
        io_http_reply(exchange, 404, "text/plain",
                      SLICE_LIT("no such path; /, /status, /metrics, /health, /ready\n"));
    }
}

const struct io_http_handler proxy_status_handler = {.request = request};
