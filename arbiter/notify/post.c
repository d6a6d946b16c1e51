/* SPDX-License-Identifier: Apache-2.0 */
/* One POST; see post.h. */
#include "arbiter/notify/post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/bytes.h"

#define HTTPS_PORT 443
#define HTTP_PORT 80
#define WHY_MAX 160

struct post {
    struct post_options options; /* done NULL: nobody waits */
    struct io_stream *stream;
    struct io_timer late;
    struct io_bytes request;
    char answer[64]; /* its beginning */
    size_t answer_len;
    bool is_over;
    bool is_good;
    char why[WHY_MAX];
};

int post_target_parse(const char *url, struct post_target *ret, struct io_why *why)
{
    const char *scheme_end = strstr(url, "://");
    const char *slash = scheme_end == NULL ? NULL : strchr(scheme_end + 3, '/');
    size_t len = slash == NULL ? strlen(url) : (size_t)(slash - url);
    bool is_plain = strncmp(url, "http://", 7) == 0;
    if (scheme_end == NULL || (!is_plain && strncmp(url, "https://", 8) != 0)) {
        io_why_set(why, "'%.200s' is not a URL: https://HOST/PATH", url);
        return BASE_E_INVALID;
    }
    const char *path = slash == NULL ? "/" : slash;
    for (const char *c = path; *c != '\0'; c++) {
        if (*c <= ' ' || *c == 0x7f || c - path >= POST_PATH_MAX - 1) {
            io_why_set(why, "the path of '%.200s' has a blank in it, or is too long", url);
            return BASE_E_INVALID;
        }
    }
    (void)snprintf(ret->path, sizeof(ret->path), "%s", path);
    int rc = io_address_parse(slice_from(url, len), is_plain ? HTTP_PORT : HTTPS_PORT,
                              &ret->address, why);
    if (rc == 0 && (ret->address.host[0] == '\0' || strcmp(ret->address.host, "*") == 0)) {
        io_why_set(why, "'%.200s' names no host", url);
        rc = BASE_E_INVALID;
    }
    if (rc == 0 && is_plain && !io_address_is_loopback(&ret->address)) {
        io_why_set(why, "'%.200s' is not on loopback: only https:// may leave this host", url);
        rc = BASE_E_DENIED;
    }
    return rc;
}

/* The end is told from the loop: the stream's last call, or the timer. */
static void end(struct post *post)
{
    void (*done)(void *ctx, bool is_good, const char *why) = post->options.done;
    io_timer_stop(&post->late);
    io_bytes_free(&post->request);
    if (done != NULL) {
        done(post->options.ctx, post->is_good, post->why);
    }
    free(post);
}

static void closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct post *post = ctx;
    (void)stream;
    (void)status;
    if (!post->is_over) {
        (void)snprintf(post->why, sizeof(post->why), "%s", why);
    }
    end(post);
}

static void opened(void *ctx, struct io_stream *stream)
{
    struct post *post = ctx;
    if (io_stream_write(stream, slice_from(post->request.data, post->request.len)) != 0) {
        io_stream_abort(stream, "the request does not fit");
    }
}

/* "HTTP/1.1 204 ..." is all that is looked at. */
static void came(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct post *post = ctx;
    size_t room = sizeof(post->answer) - 1 - post->answer_len;
    size_t len = bytes.len < room ? bytes.len : room;
    if (post->is_over) {
        return;
    }
    memcpy(post->answer + post->answer_len, bytes.data, len);
    post->answer_len += len;
    if (post->answer_len < sizeof("HTTP/1.1 200") - 1) {
        return;
    }
    post->is_over = true;
    post->is_good = strncmp(post->answer, "HTTP/1.", 7) == 0 && post->answer[8] == ' ' &&
                    post->answer[9] == '2';
    (void)snprintf(post->why, sizeof(post->why), "the webhook answered %.12s", post->answer);
    io_stream_abort(stream, "answered");
}

static void is_late(void *ctx)
{
    struct post *post = ctx;
    post->is_over = true;
    (void)snprintf(post->why, sizeof(post->why), "the webhook did not answer in time");
    io_stream_abort(post->stream, "too late");
}

static const struct io_stream_events events = {.opened = opened, .data = came, .closed = closed};

static int put_request(struct post *post)
{
    const struct post_target *t = post->options.target;
    char head[POST_PATH_MAX + POST_TOKEN_MAX + IO_ADDRESS_TEXT_MAX + 512];
    char host[IO_ADDRESS_TEXT_MAX];
    bool has_token = t->token[0] != '\0';
    (void)snprintf(head, sizeof(head),
                   "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\nIdempotency-Key: %s\r\nUser-Agent: quorate\r\n"
                   "%s%s%sConnection: close\r\n\r\n",
                   t->path, io_address_text(&t->address, host, sizeof(host)),
                   post->options.body.len, post->options.id,
                   has_token ? "Authorization: Bearer " : "", t->token, has_token ? "\r\n" : "");
    int rc = io_bytes_append(&post->request, slice_from_text(head));
    return rc != 0 ? rc : io_bytes_append(&post->request, post->options.body);
}

int post_start(const struct post_options *options, struct post **ret)
{
    struct post *post = calloc(1, sizeof(*post));
    if (post == NULL) {
        return BASE_E_NOMEM;
    }
    post->options = *options;
    io_timer_init(&post->late, options->loop, is_late, post);
    const struct io_stream_options stream = {.tls = options->target->tls,
                                             .verify_host = options->target->address.host,
                                             .events = &events,
                                             .ctx = post};
    int rc = put_request(post);
    rc = rc != 0
             ? rc
             : io_stream_connect(options->loop, &options->target->address, &stream, &post->stream);
    if (rc != 0) {
        io_bytes_free(&post->request);
        free(post);
        return rc;
    }
    io_timer_start_in_us(&post->late, options->timeout_us);
    *ret = post;
    return 0;
}

struct post *post_cancel(struct post *post)
{
    if (post != NULL) {
        post->options.done = NULL;
        io_timer_stop(&post->late);
        io_stream_abort(post->stream, "given up");
    }
    return NULL;
}
