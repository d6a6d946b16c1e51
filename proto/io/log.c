/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines to stderr. Any thread; one mutex guards sites and sink. Never blocks: a line that
 * stderr does not take at once is dropped and counted. */
#include "proto/io/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/name.h"
#include "proto/io/loop.h"

#define SITE_WINDOW_US (10 * BASE_US_PER_S)
#define SITE_LINES_MAX 20
#define TEXT_MAX 600 /* bytes of one value; the rest is cut */

static const char *const level_names[] = {"error", "warn", "notice", "info", "debug"};

static struct {
    pthread_mutex_t mutex;
    _Atomic int level;
    struct base_name node;
    io_log_sink_fn *sink;
    void *sink_ctx;
    _Atomic uint64_t dropped;
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = IO_LEVEL_INFO};

struct io_field io_bytes(const char *key, struct slice value)
{
    return (struct io_field){.key = key, .type = IO_FIELD_TEXT, .text = value};
}

struct io_field io_text(const char *key, const char *value)
{
    return io_bytes(key, value != NULL ? slice_from_text(value) : SLICE_EMPTY);
}

struct io_field io_name(const char *key, const struct base_name *value)
{
    return io_text(key, value->text);
}

struct io_field io_btext(const char *key, const struct base_text *value)
{
    return io_text(key, value->text);
}

struct io_field io_err(int code)
{
    return io_text("err", base_error_name(code));
}

void io_log_set_level(enum io_log_level level)
{
    atomic_store(&log_state.level, (int)level);
}

int io_log_level_from(struct slice text, enum io_log_level *ret)
{
    for (size_t i = 0; i < BASE_COUNT_OF(level_names); i++) {
        if (slice_equal(text, slice_from_text(level_names[i]))) {
            *ret = (enum io_log_level)i;
            return 0;
        }
    }
    return BASE_E_INVALID;
}

bool io_log_is_on(enum io_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

void io_log_set_node(const char *name)
{
    log_state.node = (struct base_name){""};
    if (name[0] != '\0' && base_name_from_text(name, &log_state.node) != 0) {
        log_state.node = (struct base_name){""};
    }
}

void io_log_set_sink(io_log_sink_fn *sink, void *ctx)
{
    (void)pthread_mutex_lock(&log_state.mutex);
    log_state.sink = sink;
    log_state.sink_ctx = ctx;
    (void)pthread_mutex_unlock(&log_state.mutex);
}

uint64_t io_log_dropped(void)
{
    return atomic_load(&log_state.dropped);
}

static bool needs_quotes(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
            return true;
        }
    }
    return text.len == 0;
}

static void put_quoted(struct buf *line, struct slice text)
{
    buf_put_u8(line, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(line, '\\');
            buf_put_u8(line, c);
        } else if (c == '\n') {
            buf_put_text(line, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            buf_put_text(line, "\\x");
            buf_put_hex(line, c, 2);
        } else {
            buf_put_u8(line, c);
        }
    }
    buf_put_u8(line, '"');
}

static void put_text_value(struct buf *line, struct slice text)
{
    text.len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    if (needs_quotes(text)) {
        put_quoted(line, text);
    } else {
        buf_put(line, text);
    }
}

static void put_value(struct buf *line, const struct io_field *field)
{
    switch (field->type) {
    case IO_FIELD_U64:
        buf_put_dec(line, field->u64);
        return;
    case IO_FIELD_I64:
        buf_put_int(line, field->i64);
        return;
    case IO_FIELD_HEX:
        buf_put_hex(line, field->u64, 1);
        return;
    case IO_FIELD_BOOL:
        buf_put_text(line, field->is_true ? "true" : "false");
        return;
    case IO_FIELD_TEXT:
        put_text_value(line, field->text);
        return;
    case IO_FIELD_NONE:
        return;
    }
}

static void put_time(struct buf *line)
{
    char text[32];
    struct base_wall now = io_wall_now();
    time_t seconds = (time_t)(now.us / BASE_US_PER_S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(text, sizeof(text), "%FT%T", &parts) == 0) {
        text[0] = '\0';
    }
    buf_put_text(line, "ts=");
    buf_put_text(line, text);
    buf_put_u8(line, '.');
    uint64_t millis = (uint64_t)(now.us / BASE_US_PER_MS % 1000);
    buf_put_u8(line, (uint8_t)('0' + millis / 100));
    buf_put_u8(line, (uint8_t)('0' + millis / 10 % 10));
    buf_put_u8(line, (uint8_t)('0' + millis % 10));
    buf_put_u8(line, 'Z');
}

static void put_pair(struct buf *line, const char *key, const char *value)
{
    struct io_field field = io_text(key, value);
    buf_put_u8(line, ' ');
    buf_put_text(line, key);
    buf_put_u8(line, '=');
    put_value(line, &field);
}

/* Counts a line against its site's budget. True when it may be written; *ret_suppressed is what to
 * tell, *ret_is_last that nothing more is written in this window. */
static bool take_budget(struct io_log_site *site, uint32_t *ret_suppressed, bool *ret_is_last)
{
    int64_t now_us = io_now().us;
    uint32_t lines_max = site->lines_max == 0 ? SITE_LINES_MAX : site->lines_max;
    if (site->window_us == 0 || now_us - site->window_us >= SITE_WINDOW_US) {
        site->window_us = now_us;
        site->written = 0;
    }
    if (site->written >= lines_max) {
        site->suppressed++;
        return false;
    }
    site->written++;
    *ret_suppressed = site->suppressed;
    *ret_is_last = site->written == lines_max;
    site->suppressed = 0;
    return true;
}

/* One write that does not wait; lines are shorter than PIPE_BUF, so that a pipe takes all or
 * nothing. */
static void write_stderr(struct slice line)
{
    ssize_t sent = send(STDERR_FILENO, line.data, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) { /* not a socket */
        struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0) {
            sent = write(STDERR_FILENO, line.data, line.len);
        }
    }
    if (sent != (ssize_t)line.len) {
        atomic_fetch_add(&log_state.dropped, 1);
    }
}

static void emit(struct buf *line)
{
    if (log_state.sink != NULL) {
        log_state.sink(log_state.sink_ctx, buf_slice(line));
        return;
    }
    line->data[line->len] = '\n'; /* the buffer has one byte more than its capacity */
    write_stderr(slice_from(line->data, line->len + 1));
}

void io_log_write(struct io_log_site *site, enum io_log_level level, const char *mod,
                  const char *ev, const struct io_field *fields, size_t count)
{
    uint8_t memory[IO_LOG_LINE_MAX + 1];
    struct buf line = buf_over(memory, IO_LOG_LINE_MAX);
    uint32_t suppressed = 0;
    bool is_last = false;
    (void)pthread_mutex_lock(&log_state.mutex);
    if (site == NULL || take_budget(site, &suppressed, &is_last)) {
        put_time(&line);
        put_pair(&line, "lvl", level_names[level]);
        put_pair(&line, "mod", mod);
        put_pair(&line, "ev", ev);
        if (!base_name_is_empty(&log_state.node)) {
            put_pair(&line, "node", log_state.node.text);
        }
        for (size_t i = 0; i < count; i++) {
            if (fields[i].type != IO_FIELD_NONE) {
                buf_put_u8(&line, ' ');
                buf_put_text(&line, fields[i].key);
                buf_put_u8(&line, '=');
                put_value(&line, &fields[i]);
            }
        }
        if (suppressed > 0) {
            buf_put_text(&line, " suppressed=");
            buf_put_dec(&line, suppressed);
        }
        if (is_last) {
            buf_put_text(&line, " last_for=10s");
        }
        emit(&line);
    }
    (void)pthread_mutex_unlock(&log_state.mutex);
}
