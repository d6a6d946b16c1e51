/* SPDX-License-Identifier: Apache-2.0 */
/* Asking one agent; see ask.h. Of an answer only the status line counts: HEAD has no body, so the
 * next answer begins behind the empty line. */
#include "agents/proxy/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/log.h"

#define HEAD_MAX 4096

struct ask {
    struct ask_options options;
    struct io_address address;
    int64_t lag_bytes;
    uint64_t epoch;
    struct io_stream *stream;
    bool is_open; /* of the stream */
    bool is_busy;
    unsigned answered;
    struct base_mono asked_at;
    struct io_timer late;
    size_t len;
    char head[HEAD_MAX];
};

static void deaf(void *ctx, struct io_stream *stream, struct slice bytes)
{
    (void)ctx;
    (void)stream;
    (void)bytes;
}

static const struct io_stream_events dropped = {.data = deaf};

static void drop(struct ask *ask)
{
    if (ask->stream != NULL) {
        io_stream_set(ask->stream, &dropped, NULL);
        io_stream_abort(ask->stream, "not wanted any more");
        ask->stream = NULL;
    }
    ask->is_open = false;
}

/* Whatever is not answered yet has this answer. */
static void finish(struct ask *ask, enum proxy_answer answer)
{
    if (!ask->is_busy) {
        return;
    }
    ask->is_busy = false;
    io_timer_stop(&ask->late);
    for (; ask->answered < PROXY_QUESTIONS; ask->answered++) {
        ask->options.answered(ask->options.ctx, (enum proxy_question)ask->answered, answer,
                              ask->asked_at);
    }
}

static void is_late(void *ctx)
{
    struct ask *ask = ctx;
    drop(ask);
    finish(ask, PROXY_ANSWER_SILENT);
}

/* --- answers --- */

/* Length of the answer at the front, headers and empty line; 0: not whole. */
static size_t head_len(const struct ask *ask)
{
    for (size_t i = 3; i < ask->len; i++) {
        if (memcmp(ask->head + i - 3, "\r\n\r\n", 4) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static enum proxy_answer answer_of(const char *head, size_t len)
{
    bool is_http = len > 12 && memcmp(head, "HTTP/1.", 7) == 0;
    return is_http && memcmp(head + 8, " 200", 4) == 0 ? PROXY_ANSWER_YES : PROXY_ANSWER_NO;
}

static void take_answers(struct ask *ask)
{
    size_t len = head_len(ask);
    while (len > 0 && ask->is_busy) {
        enum proxy_answer answer = answer_of(ask->head, len);
        enum proxy_question question = (enum proxy_question)ask->answered;
        ask->len -= len;
        memmove(ask->head, ask->head + len, ask->len);
        ask->answered++;
        ask->is_busy = ask->answered < PROXY_QUESTIONS;
        if (!ask->is_busy) {
            io_timer_stop(&ask->late);
        }
        ask->options.answered(ask->options.ctx, question, answer, ask->asked_at);
        len = head_len(ask);
    }
}

static void came(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct ask *ask = ctx;
    (void)stream;
    if (bytes.len > sizeof(ask->head) - ask->len) {
        drop(ask);
        finish(ask, PROXY_ANSWER_NONE);
        return;
    }
    memcpy(ask->head + ask->len, bytes.data, bytes.len);
    ask->len += bytes.len;
    take_answers(ask);
}

/* --- questions --- */

static void send_questions(struct ask *ask)
{
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "HEAD /primary HTTP/1.1\r\nHost: %s\r\n\r\n"
                       "HEAD /replica?lag=%" PRId64 " HTTP/1.1\r\nHost: %s\r\n\r\n"
                       "HEAD /promoted?epoch=%" PRIu64 " HTTP/1.1\r\nHost: %s\r\n\r\n",
                       ask->address.host, ask->lag_bytes, ask->address.host, ask->epoch,
                       ask->address.host);
    ask->len = 0;
    ask->asked_at = io_now();
    if (io_stream_write(ask->stream, slice_from(text, (size_t)len)) != 0) {
        io_stream_abort(ask->stream, "it takes no more"); /* `closed` tells */
    }
}

static void opened(void *ctx, struct io_stream *stream)
{
    struct ask *ask = ctx;
    (void)stream;
    ask->is_open = true;
    if (ask->is_busy) {
        send_questions(ask);
    }
}

/* Refused, or lost: there is somebody on that host. */
static void closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct ask *ask = ctx;
    (void)stream;
    (void)status;
    (void)why;
    ask->stream = NULL;
    ask->is_open = false;
    finish(ask, PROXY_ANSWER_NONE);
}

static const struct io_stream_events events = {.opened = opened, .data = came, .closed = closed};

bool ask_is_busy(const struct ask *ask)
{
    return ask->is_busy;
}

void ask_now(struct ask *ask, uint64_t epoch, int64_t timeout_us)
{
    if (ask->is_busy || ask->address.host[0] == '\0' || ask->address.port == 0) {
        return;
    }
    ask->is_busy = true;
    ask->epoch = epoch;
    ask->answered = 0;
    ask->asked_at = io_now();
    io_timer_start_in_us(&ask->late, timeout_us);
    if (ask->is_open) {
        send_questions(ask);
        return;
    }
    const struct io_stream_options options = {.tls = ask->options.tls,
                                              .verify_host = ask->address.host,
                                              .write_queue_max = 4096,
                                              .events = &events,
                                              .ctx = ask};
    if (ask->stream == NULL &&
        io_stream_connect(ask->options.loop, &ask->address, &options, &ask->stream) != 0) {
        ask->stream = NULL; /* no memory: the timer tells */
    }
}

void ask_set(struct ask *ask, const char *host, uint16_t port, int64_t lag_bytes)
{
    ask->lag_bytes = lag_bytes;
    if (strcmp(ask->address.host, host) == 0 && ask->address.port == port) {
        return;
    }
    drop(ask);
    ask->is_busy = false;
    io_timer_stop(&ask->late);
    (void)snprintf(ask->address.host, sizeof(ask->address.host), "%s", host);
    ask->address.port = port;
}

int ask_open(const struct ask_options *options, struct ask **ret)
{
    struct ask *ask = calloc(1, sizeof(*ask));
    if (ask == NULL) {
        return BASE_E_NOMEM;
    }
    ask->options = *options;
    io_timer_init(&ask->late, options->loop, is_late, ask);
    *ret = ask;
    return 0;
}

struct ask *ask_close(struct ask *ask)
{
    if (ask != NULL) {
        drop(ask);
        io_timer_stop(&ask->late);
        free(ask);
    }
    return NULL;
}
