/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and hellos of links as bytes. What comes from outside may be anything: every field is
 * checked. */
#include "proto/io/link_frame.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/name.h"

#define KEEP_MAX \
    ((size_t)4096) /* a bigger buffer of a partial frame is given back when it is empty */

static uint32_t read_u32_le(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

void link_frame_header(struct slice payload, uint8_t ret[LINK_HEADER])
{
    struct buf b = buf_over(ret, LINK_HEADER);
    buf_put_u32_le(&b, (uint32_t)payload.len);
    buf_put_u32_le(&b, base_crc32c(0, payload));
}

static void put_short(struct buf *b, struct slice text)
{
    buf_put_u8(b, (uint8_t)text.len);
    buf_put(b, text);
}

void link_hello_put(const struct link_hello *hello, struct buf *b)
{
    buf_put_u8(b, LINK_FRAME_HELLO);
    buf_put_u32_be(b, hello->version);
    buf_put_u8(b, (uint8_t)hello->role);
    buf_put_u64_be(b, hello->node_id);
    put_short(b, base_name_slice(&hello->name));
    put_short(b, base_name_slice(&hello->cluster));
    put_short(b, base_name_slice(&hello->member));
    put_short(b, base_text_slice(&hello->token));
    buf_put_u32_be(b, hello->oldest);
}

static int take_short(struct slice *s, struct slice *ret)
{
    uint8_t len = 0;
    int status = slice_take_u8(s, &len);
    return status != 0 ? status : slice_take_bytes(s, len, ret);
}

static int take_name(struct slice *s, struct base_name *ret)
{
    struct slice text;
    int status = take_short(s, &text);
    if (status != 0 || text.len == 0) {
        return status;
    }
    return base_name_from(text, ret) == 0 ? 0 : BASE_E_PROTO;
}

/* Newer versions may append fields: what stands behind those that we know is not looked at. */
int link_hello_read(struct slice payload, struct link_hello *ret)
{
    struct link_hello hello = {.version = 0};
    struct slice token;
    uint8_t type = 0;
    uint8_t role = 0;
    if (slice_take_u8(&payload, &type) != 0 || type != LINK_FRAME_HELLO ||
        slice_take_u32_be(&payload, &hello.version) != 0 || slice_take_u8(&payload, &role) != 0 ||
        role > NET_ROLE_MEMBER || slice_take_u64_be(&payload, &hello.node_id) != 0 ||
        take_name(&payload, &hello.name) != 0 || take_name(&payload, &hello.cluster) != 0 ||
        take_name(&payload, &hello.member) != 0 || take_short(&payload, &token) != 0) {
        return BASE_E_PROTO;
    }
    hello.role = (enum net_role)role;
    hello.token = base_text_from(token);
    hello.oldest = hello.version;
    if (payload.len > 0 && slice_take_u32_be(&payload, &hello.oldest) != 0) {
        return BASE_E_PROTO;
    }
    if (hello.oldest == 0 || hello.oldest > hello.version) {
        return BASE_E_PROTO;
    }
    *ret = hello;
    return 0;
}

bool link_hello_fits(const struct link_hello *hello)
{
    return hello->version >= LINK_VERSION_OLDEST && hello->oldest <= LINK_VERSION;
}

/* Takes whole frames off the front of *bytes. */
static int take_frames(struct link_reader *reader, struct slice *bytes, link_frame_fn *frame,
                       void *ctx, struct io_why *why)
{
    while (bytes->len >= LINK_HEADER) {
        uint32_t len = read_u32_le(bytes->data);
        if (len == 0 || len > reader->frame_max) {
            io_why_set(why, "frame of %u bytes; allowed: 1 to %u", len, reader->frame_max);
            return BASE_E_PROTO;
        }
        if (bytes->len - LINK_HEADER < len) {
            return 0;
        }
        struct slice payload = slice_from(bytes->data + LINK_HEADER, len);
        if (base_crc32c(0, payload) != read_u32_le(bytes->data + 4)) {
            io_why_set(why, "checksum of a frame of %u bytes is wrong", len);
            return BASE_E_PROTO;
        }
        *bytes = slice_skip(*bytes, LINK_HEADER + (size_t)len);
        if (!frame(ctx, payload)) {
            *bytes = SLICE_EMPTY;
            return 0;
        }
    }
    return 0;
}

int link_reader_feed(struct link_reader *reader, struct slice bytes, link_frame_fn *frame,
                     void *ctx, struct io_why *why)
{
    struct io_bytes *partial = &reader->partial;
    if (partial->len == 0) {
        int status = take_frames(reader, &bytes, frame, ctx, why);
        return status != 0 ? status : io_bytes_append(partial, bytes);
    }
    int status = io_bytes_append(partial, bytes);
    if (status != 0) {
        return status;
    }
    struct slice all = slice_from(partial->data, partial->len);
    status = take_frames(reader, &all, frame, ctx, why);
    if (all.len > 0) {
        memmove(partial->data, all.data, all.len);
    }
    partial->len = all.len;
    if (partial->len == 0 && partial->cap > KEEP_MAX) {
        io_bytes_free(partial);
    }
    return status;
}

void link_reader_free(struct link_reader *reader)
{
    io_bytes_free(&reader->partial);
}
