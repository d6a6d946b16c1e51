/* SPDX-License-Identifier: Apache-2.0 */
/* See message.h. */
#include "agents/mongodb/message.h"

#include <string.h>

#define OP_REPLY 1
#define OP_MSG 2013
#define REPLY_HEAD 20 /* flags, cursor, position, number of documents */
#define FLAG_CHECKSUM 1u
#define CHECKSUM_BYTES 4
#define DOCUMENT_MIN 5

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

int mdb_message_len(const uint8_t head[static MDB_MESSAGE_HEAD], size_t *ret_len)
{
    uint32_t len = read_u32(head);
    uint32_t op = read_u32(head + 12);
    if (len <= MDB_MESSAGE_HEAD || len > MDB_MESSAGE_MAX || (op != OP_REPLY && op != OP_MSG)) {
        return BASE_E_PROTO;
    }
    *ret_len = len;
    return 0;
}

/* Its own length, and a zero at its end; iterators look at the rest. */
static bool take_document(struct slice *s)
{
    uint32_t len = s->len < DOCUMENT_MIN ? 0 : read_u32(s->data);
    if (len < DOCUMENT_MIN || len > s->len || s->data[len - 1] != 0) {
        return false;
    }
    *s = slice_skip(*s, len);
    return true;
}

static bool take_documents(struct slice s)
{
    while (s.len > 0) {
        if (!take_document(&s)) {
            return false;
        }
    }
    return true;
}

/* Kind 1: a sequence with a length and a name of its own. */
static bool take_sequence(struct slice *s)
{
    uint32_t len = s->len < 4 ? 0 : read_u32(s->data);
    if (len < 5 || len > s->len) {
        return false;
    }
    struct slice inside = {s->data + 4, len - 4};
    const uint8_t *end = memchr(inside.data, 0, inside.len);
    if (end == NULL || !take_documents(slice_skip(inside, (size_t)(end - inside.data) + 1))) {
        return false;
    }
    *s = slice_skip(*s, len);
    return true;
}

static bool is_op_msg(struct slice body)
{
    unsigned bodies = 0;
    if (body.len < 4) {
        return false;
    }
    uint32_t flags = read_u32(body.data);
    body = slice_skip(body, 4);
    if ((flags & FLAG_CHECKSUM) != 0) {
        if (body.len < CHECKSUM_BYTES) {
            return false;
        }
        body.len -= CHECKSUM_BYTES;
    }
    while (body.len > 0) {
        uint8_t kind = body.data[0];
        body = slice_skip(body, 1);
        bodies += kind == 0;
        if (kind > 1 || !(kind == 0 ? take_document(&body) : take_sequence(&body))) {
            return false;
        }
    }
    return bodies == 1;
}

static bool is_op_reply(struct slice body)
{
    if (body.len < REPLY_HEAD + DOCUMENT_MIN || read_u32(body.data + 16) != 1) {
        return false; /* a command has one answer */
    }
    body = slice_skip(body, REPLY_HEAD);
    return take_document(&body) && body.len == 0;
}

int mdb_message_check(struct slice message)
{
    size_t len = 0;
    if (message.len < MDB_MESSAGE_HEAD || mdb_message_len(message.data, &len) != 0 ||
        len != message.len) {
        return BASE_E_PROTO;
    }
    struct slice body = slice_skip(message, MDB_MESSAGE_HEAD);
    bool is_good = read_u32(message.data + 12) == OP_MSG ? is_op_msg(body) : is_op_reply(body);
    return is_good ? 0 : BASE_E_PROTO;
}
