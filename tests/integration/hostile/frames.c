/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 frames made by hand (RFC 9113, HPACK without tables). See frames.h. */
#include "tests/integration/hostile/frames.h"

#include <stdlib.h>
#include <string.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

const char frames_preface[25] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const char frames_put_path[] = "/etcdserverpb.KV/Put";
const char frames_range_path[] = "/etcdserverpb.KV/Range";
const char frames_watch_path[] = "/etcdserverpb.Watch/Watch";

static void put(struct frames *f, const void *bytes, size_t len)
{
    if (len > sizeof(f->bytes) - f->len) {
        abort();
    }
    memcpy(f->bytes + f->len, bytes, len);
    f->len += len;
}

static void head(struct frames *f, size_t len, int type, int flags, uint32_t stream)
{
    const uint8_t bytes[9] = {
        (uint8_t)(len >> 16),    (uint8_t)(len >> 8),    (uint8_t)len,
        (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
    };
    put(f, bytes, sizeof(bytes));
}

void frames_settings(struct frames *f, uint32_t window)
{
    const uint8_t setting[6] = {0,
                                4,
                                (uint8_t)(window >> 24),
                                (uint8_t)(window >> 16),
                                (uint8_t)(window >> 8),
                                (uint8_t)window};
    head(f, sizeof(setting), SETTINGS, 0, 0);
    put(f, setting, sizeof(setting));
}

void frames_begin(struct frames *f, uint32_t window)
{
    f->len = 0;
    put(f, frames_preface, sizeof(frames_preface) - 1);
    frames_settings(f, window);
}

void frames_ping(struct frames *f)
{
    head(f, 8, PING, 0, 0);
    put(f, "hostile!", 8);
}

void frames_reset(struct frames *f, uint32_t stream)
{
    head(f, 4, RST_STREAM, 0, stream);
    put(f, "\0\0\0\x08", 4);
}

/* A field that nobody keeps: both texts shorter than 127 bytes, not compressed. */
static void field(struct frames *f, const char *name, const char *value)
{
    const uint8_t name_len = (uint8_t)strlen(name);
    const uint8_t value_len = (uint8_t)strlen(value);
    put(f, "\0", 1);
    put(f, &name_len, 1);
    put(f, name, name_len);
    put(f, &value_len, 1);
    put(f, value, value_len);
}

static void fields(struct frames *f, const char *path)
{
    field(f, ":method", "POST");
    field(f, ":scheme", "https");
    field(f, ":path", path);
    field(f, ":authority", "hostile");
    field(f, "content-type", "application/grpc");
    field(f, "te", "trailers");
}

void frames_head(struct frames *f, uint32_t stream, const char *path, bool is_end)
{
    size_t at = f->len;
    head(f, 0, HEADERS, END_HEADERS | (is_end ? END_STREAM : 0), stream);
    fields(f, path);
    size_t len = f->len - at - 9;
    f->bytes[at + 1] = (uint8_t)(len >> 8);
    f->bytes[at + 2] = (uint8_t)len;
}

void frames_call(struct frames *f, uint32_t stream, const char *path, const char *message,
                 size_t len, bool is_end)
{
    const uint8_t prefix[5] = {0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    frames_head(f, stream, path, false);
    head(f, sizeof(prefix) + len, DATA, is_end ? END_STREAM : 0, stream);
    put(f, prefix, sizeof(prefix));
    put(f, message, len);
}

void frames_head_open(struct frames *f, uint32_t stream)
{
    size_t at = f->len;
    head(f, 0, HEADERS, 0, stream);
    fields(f, frames_put_path);
    f->bytes[at + 2] = (uint8_t)(f->len - at - 9);
}

void frames_continuation(struct frames *f, uint32_t stream)
{
    size_t at = f->len;
    head(f, 0, CONTINUATION, 0, stream);
    while (f->len - at < 16000) {
        field(f, "x-hostile", "a header among very many, none of which anybody wants to know of");
    }
    size_t len = f->len - at - 9;
    f->bytes[at + 1] = (uint8_t)(len >> 8);
    f->bytes[at + 2] = (uint8_t)len;
}

void frames_huge(struct frames *f, uint32_t stream)
{
    head(f, (1u << 24) - 1, DATA, 0, stream);
}
