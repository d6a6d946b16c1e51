/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP pages of a quorum node. */
#include "arbiter/quorated/pages.h"

#include <stdlib.h>

#include "arbiter/quorated/metrics.h"
#include "base/slice.h"
#include "proto/io/loop.h"

bool quorated_pages_is_ready(const struct quorated_pages *pages)
{
    struct raft_node_status s;
    if (pages->node == NULL) {
        return false;
    }
    raft_node_status(pages->node, &s);
    return s.is_started && !s.is_halted && s.leader_id != 0;
}

void quorated_pages_role_changed(struct quorated_pages *pages)
{
    struct raft_node_status s;
    raft_node_status(pages->node, &s);
    if (s.leader_id != pages->leader_now || pages->leader_since_us == 0) {
        pages->leader_now = s.leader_id;
        pages->leader_since_us = io_wall_now().us;
    }
    if (s.leader_id != 0 && s.leader_id != pages->last_leader) {
        pages->leader_changes += pages->has_seen_leader ? 1 : 0;
        pages->has_seen_leader = true;
        pages->last_leader = s.leader_id;
    }
}

static bool is_path(struct slice path, const char *text)
{
    return slice_equal(path, slice_from_text(text));
}

static bool is_alive(const struct quorated_pages *pages)
{
    struct raft_node_status s;
    if (pages->node == NULL) {
        return false;
    }
    raft_node_status(pages->node, &s);
    return s.is_started && !s.is_halted;
}

static void reply_health(const struct quorated_pages *pages, struct io_http_exchange *exchange,
                         const struct io_http_request *request)
{
    struct slice text;
    bool is_local = io_http_query_get(request->query, "serializable", &text) &&
                    slice_equal(text, SLICE_LIT("true"));
    if (is_local ? is_alive(pages) : quorated_pages_is_ready(pages)) {
        io_http_reply(exchange, 200, "application/json", SLICE_LIT("{\"health\":\"true\"}"));
    } else if (is_local) {
        io_http_reply(exchange, 503, "application/json",
                      SLICE_LIT("{\"health\":\"false\",\"reason\":\"not started\"}"));
    } else {
        io_http_reply(exchange, 503, "application/json",
                      SLICE_LIT("{\"health\":\"false\",\"reason\":\"no leader\"}"));
    }
}

static void reply_ok(struct io_http_exchange *exchange, bool is_ok)
{
    io_http_reply(exchange, is_ok ? 200 : 503, "text/plain; charset=utf-8",
                  is_ok ? SLICE_LIT("ok\n") : SLICE_LIT("not ok\n"));
}

static void reply_metrics(const struct quorated_pages *pages, struct io_http_exchange *exchange)
{
    uint8_t *memory = malloc(METRICS_MAX_BYTES);
    struct buf b = buf_over(memory, memory == NULL ? 0 : METRICS_MAX_BYTES);
    quorated_metrics_put(pages, &b);
    if (b.is_full) {
        io_http_reply(exchange, 500, "text/plain; charset=utf-8",
                      SLICE_LIT("the metrics do not fit\n"));
    } else {
        io_http_reply(exchange, 200, "text/plain; version=0.0.4", buf_slice(&b));
    }
    free(memory);
}

static void reply_version(const struct quorated_pages *pages, struct io_http_exchange *exchange)
{
    (void)pages;
    io_http_reply(exchange, 200, "application/json",
                  SLICE_LIT("{\"etcdserver\":\"3.4.23\",\"etcdcluster\":\"3.4.0\","
                            "\"quorate\":\"" QUORATE_VERSION "\"}"));
}

static void answer_page(const struct quorated_pages *pages, struct io_http_exchange *exchange,
                        const struct io_http_request *request)
{
    if (is_path(request->path, "/health")) {
        reply_health(pages, exchange, request);
    } else if (is_path(request->path, "/readyz")) {
        reply_ok(exchange, quorated_pages_is_ready(pages));
    } else if (is_path(request->path, "/livez")) {
        reply_ok(exchange, true);
    } else if (is_path(request->path, "/version")) {
        reply_version(pages, exchange);
    } else if (pages->web == NULL || web_admits(pages->web, exchange, request)) {
        reply_metrics(pages, exchange);
    }
}

static void answer(void *ctx, struct io_http_exchange *exchange,
                   const struct io_http_request *request)
{
    static const char *const paths[] = {"/health", "/readyz", "/livez", "/version", "/metrics"};
    const struct quorated_pages *pages = ctx;
    bool is_get = is_path(request->method, "GET") || is_path(request->method, "HEAD");
    if (pages->web != NULL && web_request(pages->web, exchange, request)) {
        return;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        if (is_path(request->path, paths[i]) && is_get) {
            answer_page(pages, exchange, request);
            return;
        }
        if (is_path(request->path, paths[i])) {
            io_http_add_header(exchange, "Allow", "GET");
            io_http_reply(exchange, 405, "text/plain; charset=utf-8",
                          SLICE_LIT("Method Not Allowed\n"));
            return;
        }
    }
    io_http_reply(exchange, 404, "text/plain; charset=utf-8", SLICE_LIT("404 page not found\n"));
}

static void gone(void *ctx, struct io_http_exchange *exchange)
{
    const struct quorated_pages *pages = ctx;
    web_gone(pages->web, exchange);
}

struct io_http_handler quorated_pages_handler(struct quorated_pages *pages)
{
    return (struct io_http_handler){.ctx = pages, .request = answer, .gone = gone};
}
