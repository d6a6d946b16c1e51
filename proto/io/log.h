/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: one line of key=value to stderr, for people, journald and grep.
 *
 *     IO_LOG_NOTICE("raft", "leader_elected", io_u64("term", term), io_name("leader", &name));
 *     ts=2026-01-02T03:04:05.678Z lvl=notice mod=raft ev=leader_elected node=n1 term=7 leader=n2
 *
 * Any thread. A line is written by one call, cut at IO_LOG_LINE_MAX, and dropped (and counted)
 * rather than waited for when stderr does not take it: logging never blocks the loop. Each call
 * site has a budget of 20 lines in 10 s, or its own; the line that spends it says so
 * (last_for=10s), and what was left out after it is told by the site's next line (suppressed=N). A
 * place that tells of many kinds of events has a site for each. Secrets are never handed in.
 */
#ifndef QUORATE_PROTO_IO_LOG_H
#define QUORATE_PROTO_IO_LOG_H

#include "base/slice.h"
#include "base/types.h"

#define IO_LOG_LINE_MAX 2048

enum io_log_level { IO_LEVEL_ERROR, IO_LEVEL_WARN, IO_LEVEL_NOTICE, IO_LEVEL_INFO, IO_LEVEL_DEBUG };

enum io_field_type {
    IO_FIELD_NONE,
    IO_FIELD_U64,
    IO_FIELD_I64,
    IO_FIELD_HEX,
    IO_FIELD_BOOL,
    IO_FIELD_TEXT,
};

struct io_field {
    const char *key; /* literal, [a-z0-9_] */
    enum io_field_type type;
    union {
        uint64_t u64;
        int64_t i64;
        bool is_true;
        struct slice text; /* borrowed during the call; quoted when it needs to be */
    };
};

static inline struct io_field io_u64(const char *key, uint64_t value)
{
    return (struct io_field){.key = key, .type = IO_FIELD_U64, .u64 = value};
}
static inline struct io_field io_i64(const char *key, int64_t value)
{
    return (struct io_field){.key = key, .type = IO_FIELD_I64, .i64 = value};
}
static inline struct io_field io_hex(const char *key, uint64_t value)
{
    return (struct io_field){.key = key, .type = IO_FIELD_HEX, .u64 = value};
}
static inline struct io_field io_bool(const char *key, bool value)
{
    return (struct io_field){.key = key, .type = IO_FIELD_BOOL, .is_true = value};
}
/* NULL is written as "". */
struct io_field io_text(const char *key, const char *value);
struct io_field io_bytes(const char *key, struct slice value);
struct io_field io_name(const char *key, const struct base_name *value);
struct io_field io_btext(const char *key, const struct base_text *value);
/* err=NAME, from a BASE_E_* code. */
struct io_field io_err(int code);

/* One per call site; made by the macros. */
struct io_log_site {
    uint32_t lines_max; /* in 10 s; 0: 20 */
    int64_t window_us;
    uint32_t written;
    uint32_t suppressed;
};

/* Lines above this level are not written; default INFO. */
void io_log_set_level(enum io_log_level level);
/* "error", "warn", "notice", "info", "debug". BASE_E_INVALID. */
MUST_CHECK int io_log_level_from(struct slice text, enum io_log_level *ret);
bool io_log_is_on(enum io_log_level level);
/* node=NAME on every line from now on; "" for none. Copied. Before threads start. */
void io_log_set_node(const char *name);
/* Replaces stderr, for tests: takes each line without its newline. NULL: stderr again. */
typedef void io_log_sink_fn(void *ctx, struct slice line);
void io_log_set_sink(io_log_sink_fn *sink, void *ctx);
/* Lines lost because stderr did not take them. */
uint64_t io_log_dropped(void);
/* Used by the macros; fields[0] is a NONE placeholder. site NULL: no rate limit. */
void io_log_write(struct io_log_site *site, enum io_log_level level, const char *mod,
                  const char *ev, const struct io_field *fields, size_t count);

#define IO_LOG(level, mod, ev, ...) \
    do { \
        if (io_log_is_on(level)) { \
            static struct io_log_site io_log_site_; \
            const struct io_field io_log_fields_[] = {{.key = ""}, ##__VA_ARGS__}; \
            io_log_write(&io_log_site_, (level), (mod), (ev), io_log_fields_, \
                         BASE_COUNT_OF(io_log_fields_)); \
        } \
    } while (0)
#define IO_LOG_ERROR(mod, ev, ...) IO_LOG(IO_LEVEL_ERROR, mod, ev, ##__VA_ARGS__)
#define IO_LOG_WARN(mod, ev, ...) IO_LOG(IO_LEVEL_WARN, mod, ev, ##__VA_ARGS__)
#define IO_LOG_NOTICE(mod, ev, ...) IO_LOG(IO_LEVEL_NOTICE, mod, ev, ##__VA_ARGS__)
#define IO_LOG_INFO(mod, ev, ...) IO_LOG(IO_LEVEL_INFO, mod, ev, ##__VA_ARGS__)
#define IO_LOG_DEBUG(mod, ev, ...) IO_LOG(IO_LEVEL_DEBUG, mod, ev, ##__VA_ARGS__)

#endif
