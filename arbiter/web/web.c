/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the status page, and those who keep it open; see web.h.
 *
 * Twice a second, while anybody looks, the page is made anew; the parts that differ from what was
 * sent last go to everybody. Who reads too slowly gets all parts when there is room again. */
#include "arbiter/web/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/web/assets.h"
#include "arbiter/web/render.h"
#include "proto/io/loop.h"

#define TICK_US (500 * BASE_US_PER_MS)
#define QUEUE_FULL (256u * 1024u) /* bytes that wait for one viewer */

struct viewer {
    struct io_http_exchange *exchange; /* NULL: free */
    bool needs_all;
};

struct web {
    struct web_options options;
    struct web_access access;
    struct web_history *history;
    struct io_timer timer;
    uint32_t viewers_count;
    struct viewer viewers[WEB_VIEWERS_MAX];
    uint64_t sent[WEB_PARTS_MAX]; /* marks of the parts as sent last */
    uint64_t sent_shape;
};

static void tick(void *ctx);

int web_new(const struct web_options *options, struct web **ret, struct io_why *why)
{
    struct web *web = calloc(1, sizeof(*web));
    int rc = web == NULL ? BASE_E_NOMEM : 0;
    if (rc == 0) {
        web->options = *options;
        web->access.is_public = options->is_public;
        io_timer_init(&web->timer, options->loop, tick, web);
        rc = web_history_new(options->driver, options->service, &web->history);
    }
    if (rc == 0 && options->password_file[0] != '\0') {
        rc = web_access_read(&web->access, options->password_file, why);
    } else if (rc != 0) {
        io_why_set(why, "not enough memory");
    }
    if (rc != 0) {
        (void)web_free(web);
        return rc;
    }
    *ret = web;
    return 0;
}

struct web *web_free(struct web *web)
{
    if (web != NULL) {
        io_timer_stop(&web->timer);
        web->history = web_history_free(web->history);
        free(web);
    }
    return NULL;
}

uint32_t web_viewers(const struct web *web)
{
    return web->viewers_count;
}

/* --- one moment --- */

static struct web_render *render_new(struct web *web)
{
    struct web_render *render = calloc(1, sizeof(*render));
    if (render == NULL) {
        return NULL;
    }
    web->options.quorum(web->options.ctx, &render->quorum);
    if (web_render_fill(render, web->options.driver, web->history) != 0) {
        web_render_free(render);
        free(render);
        return NULL;
    }
    return render;
}

static void render_delete(struct web_render *render)
{
    web_render_free(render);
    free(render);
}

static void put_headers(struct io_http_exchange *exchange)
{
    io_http_add_header(exchange, "Content-Security-Policy",
                       "default-src 'none'; style-src 'self'; script-src 'self'; "
                       "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                       "frame-ancestors 'none'");
    io_http_add_header(exchange, "X-Content-Type-Options", "nosniff");
    io_http_add_header(exchange, "X-Frame-Options", "DENY");
    io_http_add_header(exchange, "Referrer-Policy", "no-referrer");
    io_http_add_header(exchange, "Cache-Control", "no-store");
}

static void reply_out(struct io_http_exchange *exchange, const struct web_out *out,
                      const char *type)
{
    if (out->is_failed) {
        io_http_reply(exchange, 503, "text/plain; charset=utf-8", SLICE_LIT("out of memory\n"));
    } else {
        io_http_reply(exchange, 200, type, slice_from(out->bytes.data, out->bytes.len));
    }
}

static void reply_page(struct web *web, struct io_http_exchange *exchange)
{
    struct web_out out = {.is_failed = false};
    struct web_render *render = render_new(web);
    if (render == NULL) {
        out.is_failed = true;
    } else {
        web_render_document(render, &out);
        render_delete(render);
    }
    web_history_refresh(web->history); /* for whoever looks next */
    reply_out(exchange, &out, "text/html; charset=utf-8");
    web_out_free(&out);
}

static void reply_json(struct web *web, struct io_http_exchange *exchange)
{
    struct web_quorum quorum;
    web->options.quorum(web->options.ctx, &quorum);
    char *text = web_render_json(&quorum, web->options.driver, web->history);
    web_history_refresh(web->history);
    io_http_reply(exchange, text != NULL ? 200 : 503, "application/json",
                  slice_from_text(text != NULL ? text : "{}"));
    free(text);
}

static void reply_style(struct web *web, struct io_http_exchange *exchange)
{
    (void)web;
    io_http_reply(exchange, 200, "text/css; charset=utf-8", web_asset_style());
}

static void reply_script(struct web *web, struct io_http_exchange *exchange)
{
    (void)web;
    io_http_reply(exchange, 200, "text/javascript; charset=utf-8", web_asset_script());
}

/* --- live --- */

/* "event: NAME", each line of the text as "data: ", an empty line (WHATWG HTML, 9.2). */
static void put_event(struct web_out *out, const char *name, struct slice text)
{
    web_raw(out, "event: ");
    web_raw(out, name);
    web_raw(out, "\ndata: ");
    for (size_t at = 0; at < text.len;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - text.data) - at;
        if (!out->is_failed && io_bytes_append(&out->bytes, slice_from(text.data + at, len)) != 0) {
            out->is_failed = true;
        }
        at += len + 1;
        web_raw(out, end != NULL && at < text.len ? "\ndata: " : "");
    }
    web_raw(out, "\n\n");
}

static struct slice slice_of(const struct web_out *out)
{
    return slice_from(out->bytes.data, out->bytes.len);
}

/* The parts that have changed, or all of them. */
static void put_parts(const struct web *web, const struct web_render *render, bool is_all,
                      struct web_out *out)
{
    struct web_out text = {.is_failed = false};
    char shape[WEB_CELL_MAX];
    (void)snprintf(shape, sizeof(shape), "%016llx", (unsigned long long)render->shape);
    put_event(out, "shape", slice_from_text(shape));
    for (size_t i = 0; i < render->count; i++) {
        if (is_all || web->sent_shape != render->shape || web->sent[i] != render->parts[i].mark) {
            put_event(out, "part", slice_of(&render->parts[i].html));
        }
    }
    web_put_headline(&text, &render->quorum, &render->summary);
    web_raw(&text, " - Quorate");
    put_event(out, "title", slice_of(&text));
    web_out_free(&text);
    time_t seconds = (time_t)(render->quorum.now_us / BASE_US_PER_S);
    struct tm parts;
    char clock[WEB_CELL_MAX] = "";
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%SZ", &parts);
    }
    put_event(out, "time", slice_from_text(clock));
}

static void send_to(struct viewer *viewer, const struct web_out *all, const struct web_out *changed)
{
    const struct web_out *out = viewer->needs_all ? all : changed;
    bool is_full = io_http_queued(viewer->exchange) > QUEUE_FULL || out->is_failed;
    viewer->needs_all = is_full || io_http_reply_chunk(viewer->exchange, slice_of(out)) != 0;
}

static bool is_all_wanted(const struct web *web)
{
    for (size_t i = 0; i < WEB_VIEWERS_MAX; i++) {
        if (web->viewers[i].exchange != NULL && web->viewers[i].needs_all) {
            return true;
        }
    }
    return false;
}

static void send_moment(struct web *web, const struct web_render *render)
{
    struct web_out all = {.is_failed = false};
    struct web_out changed = {.is_failed = false};
    put_parts(web, render, false, &changed);
    if (is_all_wanted(web)) {
        put_parts(web, render, true, &all);
    }
    for (size_t i = 0; i < WEB_VIEWERS_MAX; i++) {
        if (web->viewers[i].exchange != NULL) {
            send_to(&web->viewers[i], &all, &changed);
        }
    }
    for (size_t i = 0; i < render->count; i++) {
        web->sent[i] = render->parts[i].mark;
    }
    web->sent_shape = render->shape;
    web_out_free(&all);
    web_out_free(&changed);
}

/* Whose password is gone must not go on looking: everybody asks anew. */
static void end_all(struct web *web)
{
    for (size_t i = 0; i < WEB_VIEWERS_MAX; i++) {
        struct io_http_exchange *exchange = web->viewers[i].exchange;
        if (exchange != NULL) {
            web->viewers[i].exchange = NULL;
            web->viewers_count--;
            io_http_reply_end(exchange);
        }
    }
}

static void refresh_access(struct web *web)
{
    if (web_access_refresh(&web->access, web->options.password_file, io_now())) {
        end_all(web);
    }
}

static void tick(void *ctx)
{
    struct web *web = ctx;
    refresh_access(web);
    struct web_render *render = web->viewers_count > 0 ? render_new(web) : NULL;
    if (render != NULL) {
        send_moment(web, render);
        render_delete(render);
        web_history_refresh(web->history);
    }
    if (web->viewers_count > 0) {
        io_timer_start_in_us(&web->timer, TICK_US);
    }
}

static void reply_live(struct web *web, struct io_http_exchange *exchange)
{
    for (size_t i = 0; i < WEB_VIEWERS_MAX; i++) {
        if (web->viewers[i].exchange == NULL) {
            io_http_reply_begin(exchange, 200, "text/event-stream; charset=utf-8");
            web->viewers[i] = (struct viewer){.exchange = exchange, .needs_all = true};
            web->viewers_count++;
            io_timer_start_in_us(&web->timer, web->viewers_count == 1 ? 0 : TICK_US);
            return;
        }
    }
    io_http_reply(exchange, 503, "text/plain; charset=utf-8",
                  SLICE_LIT("too many live pages are open; this one loads without them\n"));
}

void web_gone(struct web *web, const struct io_http_exchange *exchange)
{
    for (size_t i = 0; web != NULL && i < WEB_VIEWERS_MAX; i++) {
        if (web->viewers[i].exchange == exchange) {
            web->viewers[i].exchange = NULL;
            web->viewers_count--;
        }
    }
}

/* --- paths --- */

static const struct {
    const char *path;
    bool is_open; /* tells nothing: whoever got through TLS may have it */
    void (*reply)(struct web *web, struct io_http_exchange *exchange);
} paths[] = {
    {"/", false, reply_page},
    {"/status.json", false, reply_json},
    {"/status/live", false, reply_live},
    {"/status.css", true, reply_style},
    {"/status.js", true, reply_script},
};

bool web_admits(struct web *web, struct io_http_exchange *exchange,
                const struct io_http_request *request)
{
    refresh_access(web);
    enum web_verdict verdict = web_access_look(&web->access, exchange, request, io_now());
    if (verdict != WEB_MAY) {
        web_access_refuse(exchange, verdict);
    }
    return verdict == WEB_MAY;
}

bool web_request(struct web *web, struct io_http_exchange *exchange,
                 const struct io_http_request *request)
{
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        if (!slice_equal(request->path, slice_from_text(paths[i].path))) {
            continue;
        }
        bool is_get = slice_equal(request->method, SLICE_LIT("GET")) ||
                      slice_equal(request->method, SLICE_LIT("HEAD"));
        if (!is_get) {
            io_http_add_header(exchange, "Allow", "GET");
            io_http_reply(exchange, 405, "text/plain; charset=utf-8",
                          SLICE_LIT("Method Not Allowed\n"));
        } else if (paths[i].is_open || web_admits(web, exchange, request)) {
            put_headers(exchange);
            paths[i].reply(web, exchange);
        }
        return true;
    }
    return false;
}
