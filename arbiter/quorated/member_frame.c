/* SPDX-License-Identifier: Apache-2.0 */
/* Frames about membership as bytes; see member_frame.h. */
#include "arbiter/quorated/member_frame.h"

#include <string.h>

#include "base/name.h"
#include "proto/port_net.h"
#include "raft/core/members.h"

static void put_text(struct buf *out, const char *text)
{
    struct slice bytes = slice_from_text(text);
    buf_put_u8(out, (uint8_t)bytes.len); /* BASE_TEXT_MAX is 255 */
    buf_put(out, bytes);
}

static int take_text(struct slice *s, struct base_text *ret)
{
    uint8_t len = 0;
    struct slice bytes = SLICE_EMPTY;
    int rc = slice_take_u8(s, &len);
    rc = rc != 0 ? rc : slice_take_bytes(s, len, &bytes);
    if (rc == 0 && memchr(bytes.data, '\0', bytes.len) != NULL) {
        rc = BASE_E_PROTO;
    }
    if (rc == 0) {
        *ret = base_text_from(bytes);
    }
    return rc;
}

static int take_name(struct slice *s, struct base_name *ret)
{
    struct base_text text;
    int rc = take_text(s, &text);
    return rc != 0 ? rc : base_name_from_text(text.text, ret) != 0 ? BASE_E_PROTO : 0;
}

static int put_here(const struct member_frame *frame, struct buf *out)
{
    buf_put_u64_be(out, frame->cluster_id);
    buf_put_u8(out, (uint8_t)((frame->is_committed ? 1 : 0) | (frame->has_log ? 2 : 0)));
    buf_put_u64_be(out, frame->configuration.index);
    buf_put_u8(out, frame->unheard_count);
    for (size_t i = 0; i < frame->unheard_count; i++) {
        buf_put_u64_be(out, frame->unheard[i]);
    }
    return raft_members_encode(&frame->configuration, out);
}

int member_frame_put(const struct member_frame *frame, struct buf *out)
{
    int rc = 0;
    buf_put_u8(out, NET_FRAME_MEMBER);
    buf_put_u8(out, (uint8_t)frame->kind);
    if (frame->kind == MEMBER_HERE) {
        rc = put_here(frame, out);
    } else {
        put_text(out, frame->name.text);
    }
    if (frame->kind == MEMBER_WHO) {
        put_text(out, frame->peer_url.text);
    }
    if (frame->kind == MEMBER_PUBLISH) {
        buf_put_u8(out, frame->client_url_count);
        for (size_t i = 0; i < frame->client_url_count; i++) {
            put_text(out, frame->client_urls[i].text);
        }
    }
    return rc != 0 ? rc : out->is_full ? BASE_E_TOOBIG : 0;
}

static int read_here(struct slice *s, struct member_frame *ret)
{
    uint8_t flags = 0;
    uint64_t index = 0;
    int rc = slice_take_u64_be(s, &ret->cluster_id);
    rc = rc != 0 ? rc : slice_take_u8(s, &flags);
    rc = rc != 0 ? rc : slice_take_u64_be(s, &index);
    rc = rc != 0 ? rc : slice_take_u8(s, &ret->unheard_count);
    if (rc == 0 && ret->unheard_count > RAFT_MEMBERS_MAX) {
        rc = BASE_E_PROTO;
    }
    for (size_t i = 0; rc == 0 && i < ret->unheard_count; i++) {
        rc = slice_take_u64_be(s, &ret->unheard[i]);
    }
    rc = rc != 0 ? rc : raft_members_decode(*s, &ret->configuration);
    ret->is_committed = (flags & 1) != 0;
    ret->has_log = (flags & 2) != 0;
    ret->configuration.index = index;
    *s = SLICE_EMPTY;
    return rc;
}

static int read_publish(struct slice *s, struct member_frame *ret)
{
    int rc = slice_take_u8(s, &ret->client_url_count);
    if (rc != 0 || ret->client_url_count > RAFT_CLIENT_URLS_MAX) {
        return BASE_E_PROTO;
    }
    for (size_t i = 0; i < ret->client_url_count && rc == 0; i++) {
        rc = take_text(s, &ret->client_urls[i]);
    }
    return rc;
}

int member_frame_read(struct slice payload, struct member_frame *ret)
{
    uint8_t type = 0;
    uint8_t kind = 0;
    *ret = (struct member_frame){0};
    int rc = slice_take_u8(&payload, &type);
    rc = rc != 0 ? rc : slice_take_u8(&payload, &kind);
    if (rc != 0 || type != NET_FRAME_MEMBER || kind < MEMBER_WHO || kind > MEMBER_PUBLISH) {
        return BASE_E_PROTO;
    }
    ret->kind = (enum member_frame_kind)kind;
    if (kind == MEMBER_HERE) {
        rc = read_here(&payload, ret);
    } else {
        rc = take_name(&payload, &ret->name);
    }
    if (rc == 0 && kind == MEMBER_WHO) {
        rc = take_text(&payload, &ret->peer_url);
    }
    if (rc == 0 && kind == MEMBER_PUBLISH) {
        rc = read_publish(&payload, ret);
    }
    return rc != 0 ? rc : payload.len == 0 ? 0 : BASE_E_PROTO;
}
