/* SPDX-License-Identifier: Apache-2.0 */
/* The status page: any cluster (message and history) shown over any HTTP/1.1 connection, with and
 * without TLS. Markup is our own, whatever hosts and databases are called: known elements, each
 * closed, every '&' an entity. Nobody sees the page or its data but who may look; the wrong Host on
 * a plain port does not, nor does a wrong password. */
#include <jansson.h>

#include "arbiter/web/render.h"
#include "arbiter/web/web.h"
#include "databases.pb-c.h"
#include "proto/io/loop.h"
#include "tests/fuzz/fake_stream.h"
#include "tests/fuzz/fuzz.h"

#define PASSWORD "me:secret"
#define CREDENTIALS "bWU6c2VjcmV0" /* the same in base64 */
#define DEPTH_MAX 32
#define NOW_US INT64_C(1800000000000000)

/* What there is to see. */
static struct {
    struct web_cluster cluster;
    json_t *entries[WEB_HISTORY_MAX];
    bool is_told; /* the page or its data were made for somebody */
} scene;
static struct io_loop *loop;
static struct web *web;
static bool is_tls;

/* --- markup --- */

static bool is_in(const char *const *list, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_from_text(list[i]), name)) {
            return true;
        }
    }
    return false;
}

static bool is_element(struct slice name)
{
    static const char *const known[] = {
        "a",      "b",       "body",   "caption", "circle",   "code", "dd",    "details", "div",
        "dl",     "dt",      "footer", "h1",      "h2",       "h3",   "head",  "header",  "html",
        "li",     "link",    "main",   "meta",    "noscript", "ol",   "p",     "path",    "rect",
        "script", "section", "small",  "span",    "summary",  "svg",  "table", "tbody",   "td",
        "th",     "thead",   "time",   "title",   "tr",       "ul",
    };
    return is_in(known, BASE_COUNT_OF(known), name);
}

static bool is_void(struct slice name)
{
    static const char *const known[] = {"link", "meta", "path", "circle", "rect"};
    return is_in(known, BASE_COUNT_OF(known), name);
}

/* From behind '<' to behind '>': quotes hold any '>'. */
static size_t tag_length(struct slice text)
{
    bool is_quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        is_quoted = text.data[i] == '"' ? !is_quoted : is_quoted;
        BASE_ASSERT(text.data[i] != '<' || is_quoted);
        if (text.data[i] == '>' && !is_quoted) {
            return i + 1;
        }
    }
    BASE_ASSERT(false);
    return 0;
}

static struct slice tag_name(struct slice tag)
{
    size_t len = 0;
    while (len < tag.len && ((tag.data[len] >= 'a' && tag.data[len] <= 'z') ||
                             (tag.data[len] >= '0' && tag.data[len] <= '9'))) {
        len++;
    }
    return slice_from(tag.data, len);
}

static void check_entity(struct slice text)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    bool is_known = false;
    for (size_t i = 0; i < BASE_COUNT_OF(known); i++) {
        is_known = is_known || slice_has_prefix(text, slice_from_text(known[i]));
    }
    BASE_ASSERT(is_known);
}

static void check_markup(struct slice text)
{
    struct slice open[DEPTH_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct slice rest = slice_skip(text, i);
        if (rest.data[0] == '&') {
            check_entity(rest);
        }
        if (rest.data[0] != '<' || (rest.len > 1 && rest.data[1] == '!')) {
            continue;
        }
        bool is_end = rest.len > 1 && rest.data[1] == '/';
        struct slice tag = slice_skip(rest, is_end ? 2 : 1);
        struct slice name = tag_name(tag);
        BASE_ASSERT(is_element(name));
        i += tag_length(tag);
        if (is_end) {
            BASE_ASSERT(depth > 0 && slice_equal(open[depth - 1], name));
            depth--;
        } else if (!is_void(name)) {
            BASE_ASSERT(depth < DEPTH_MAX);
            open[depth++] = name;
        }
    }
    BASE_ASSERT(depth == 0);
}

/* --- in place of what needs a driver and a store --- */

int web_history_new(const struct arb_driver *driver, struct kv_service *service,
                    struct web_history **ret)
{
    (void)driver;
    (void)service;
    *ret = NULL;
    return 0;
}

struct web_history *web_history_free(struct web_history *history)
{
    (void)history;
    return NULL;
}

void web_history_refresh(struct web_history *history)
{
    (void)history;
}

int web_render_fill(struct web_render *render, const struct arb_driver *driver,
                    const struct web_history *history)
{
    (void)driver;
    (void)history;
    scene.is_told = true;
    web_summary_add(&render->summary, scene.cluster.message);
    web_part_cluster(&render->parts[0].html, &scene.cluster);
    web_part_story(&render->parts[1].html, &scene.cluster);
    render->count = 2;
    for (size_t i = 0; i < render->count; i++) {
        const struct io_bytes *bytes = &render->parts[i].html.bytes;
        check_markup(slice_from(bytes->data, bytes->len));
    }
    return 0;
}

void web_render_document(const struct web_render *render, struct web_out *out)
{
    web_page_begin(out, &render->quorum, &render->summary, 0);
    for (size_t i = 0; i < render->count; i++) {
        const struct io_bytes *bytes = &render->parts[i].html.bytes;
        BASE_ASSERT(io_bytes_append(&out->bytes, slice_from(bytes->data, bytes->len)) == 0);
    }
    web_part_quorum(out, &render->quorum);
    web_page_end(out, &render->quorum);
    check_markup(slice_from(out->bytes.data, out->bytes.len));
}

void web_render_free(struct web_render *render)
{
    for (size_t i = 0; i < render->count; i++) {
        web_out_free(&render->parts[i].html);
    }
    render->count = 0;
}

char *web_render_json(const struct web_quorum *quorum, const struct arb_driver *driver,
                      const struct web_history *history)
{
    (void)quorum;
    (void)driver;
    (void)history;
    scene.is_told = true;
    return strdup("{}");
}

static void see_quorum(void *ctx, struct web_quorum *ret)
{
    (void)ctx;
    *ret = (struct web_quorum){.now_us = NOW_US, .nodes_count = 1};
    ret->nodes[0].is_self = true;
}

/* --- a connection --- */

static bool is_plain_host(struct slice host)
{
    bool is_number = true;
    for (size_t i = 0; i < host.len && host.data[i] != ':'; i++) {
        is_number = is_number && strchr("0123456789.", host.data[i]) != NULL;
    }
    return is_number || host.data[0] == '[' || slice_has_prefix(host, slice_from_text("localhost"));
}

static void request(void *ctx, struct io_http_exchange *exchange, const struct io_http_request *r)
{
    static const struct io_identity nobody;
    struct io_http_request shown = *r;
    struct slice credentials = io_http_header(exchange, "authorization");
    bool is_known = credentials.len > 0 && memmem(credentials.data, credentials.len, CREDENTIALS,
                                                  sizeof(CREDENTIALS) - 1) != NULL;
    bool may = is_tls ? is_known : is_plain_host(io_http_header(exchange, "host"));
    (void)ctx;
    shown.is_tls = is_tls;
    shown.identity = &nobody;
    scene.is_told = false;
    if (!web_request(web, exchange, &shown)) {
        io_http_reply(exchange, 404, "text/plain", SLICE_LIT("404\n"));
    }
    if (web_viewers(web) > 0) {
        io_loop_run_once(loop, io_now()); /* the first moment of a live page */
    }
    BASE_ASSERT(!scene.is_told || may);
}

static void gone(void *ctx, struct io_http_exchange *exchange)
{
    (void)ctx;
    web_gone(web, exchange);
}

static void speak(struct slice bytes)
{
    struct io_server server = {.loop = loop, .has_http = true};
    struct io_stream stream = {0};
    struct conn conn = {.server = &server, .stream = &stream};
    server.options.body_max = 4096;
    server.http = (struct io_http_handler){.request = request, .gone = gone};
    server.conns = &conn;
    server.conns_count = 1;
    conn.http1 = http1_new(&conn);
    BASE_ASSERT(conn.http1 != NULL);
    http1_data(conn.http1, bytes);
    (void)http1_free(conn.http1, true);
    io_timer_stop(&conn.timer);
    BASE_ASSERT(web_viewers(web) == 0);
}

/* --- once --- */

static void open_web(void)
{
    static char file[] = "/tmp/quorate-fuzz-web-XXXXXX";
    struct io_why why = {""};
    int fd = mkstemp(file);
    BASE_ASSERT(fd >= 0 && write(fd, PASSWORD "\n", sizeof(PASSWORD)) == (ssize_t)sizeof(PASSWORD));
    int rc = io_loop_new(&loop);
    const struct web_options options = {.loop = loop, .quorum = see_quorum, .password_file = file};
    rc = rc != 0 ? rc : web_new(&options, &web, &why);
    BASE_ASSERT(rc == 0);
    (void)close(fd);
    (void)unlink(file);
}

static void set_history(struct slice text)
{
    json_error_t error;
    json_t *list = json_loadb((const char *)text.data, text.len, 0, &error);
    size_t count = 0;
    for (; count < json_array_size(list) && count < WEB_HISTORY_MAX; count++) {
        scene.entries[count] = json_incref(json_array_get(list, count));
    }
    json_decref(list);
    scene.cluster.entries = scene.entries;
    scene.cluster.entries_count = count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    struct slice message = fuzz_bytes(&in, fuzz_u16(&in));
    struct slice history = fuzz_bytes(&in, fuzz_u16(&in));
    if (web == NULL) {
        open_web();
    }
    Quorate__V1__DatabaseCluster *cluster =
        quorate__v1__database_cluster__unpack(NULL, message.len, message.data);
    if (cluster == NULL) {
        return 0;
    }
    is_tls = how % 2 != 0;
    scene.cluster = (struct web_cluster){.message = cluster,
                                         .is_history_read = how % 4 < 2,
                                         .is_leader = (how & 4) != 0,
                                         .now_us = NOW_US};
    set_history(history);
    speak(in);
    for (size_t i = 0; i < scene.cluster.entries_count; i++) {
        json_decref(scene.entries[i]);
    }
    quorate__v1__database_cluster__free_unpacked(cluster, NULL);
    return 0;
}
