/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of the agent protocol over protobuf-c with memory from the stack: what its messages share,
 * and the configuration document. agent_record.c, agent_report.c and agent_order.c have the others.
 *
 * Used by agents/driver.c and arbiter/driver.c. What comes from outside is checked field by field
 * while it is copied into plain structs; the first wrong field makes the whole message
 * BASE_E_PROTO. Never trusts a length, a count or an enumeration, and never calls malloc: a message
 * that needs more than its arena is refused.
 */
#include "proto/wire/agent.h"

#include "base/assert.h"
#include "proto/wire/agent_internal.h"

/* --- names, texts, sets --- */

bool wire_get_text(const char *text, struct base_text *ret)
{
    struct slice s = slice_from_text(text);
    if (s.len > BASE_TEXT_MAX) {
        return false;
    }
    *ret = base_text_from(s);
    return true;
}

bool wire_get_names(size_t count, char *const *texts, struct msg_names *ret)
{
    if (count > MSG_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!wire_get_name(texts[i], false, &ret->names[i])) {
            return false;
        }
        if (i > 0 && base_name_compare(&ret->names[i - 1], &ret->names[i]) >= 0) {
            return false;
        }
    }
    ret->count = (uint8_t)count;
    return true;
}

void wire_put_names(const struct msg_names *names, char *pointers[MSG_MEMBERS_MAX])
{
    BASE_ASSERT(names->count <= MSG_MEMBERS_MAX);
    for (size_t i = 0; i < names->count; i++) {
        pointers[i] = wire_put_text(names->names[i].text);
    }
}

int wire_pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > WIRE_AGENT_BYTES_MAX || size > out->cap - out->len) {
        return BASE_E_TOOBIG;
    }
    out->len += protobuf_c_message_pack(message, out->data + out->len);
    return 0;
}

ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, struct slice bytes,
                              struct wire_room *arena)
{
    wire_arena_init(&arena->bump, arena->memory, sizeof(arena->memory));
    if (bytes.len > WIRE_AGENT_BYTES_MAX) {
        return NULL;
    }
    return protobuf_c_message_unpack(type, wire_arena_allocator(&arena->bump), bytes.len,
                                     bytes.data);
}

/* --- parts --- */

Quorate__Agent__Position wire_put_position(const struct msg_position *in)
{
    Quorate__Agent__Position out = QUORATE__AGENT__POSITION__INIT;
    out.lineage = in->lineage;
    out.timeline = in->timeline;
    out.lsn = in->lsn;
    return out;
}

void wire_get_position(const Quorate__Agent__Position *in, struct msg_position *ret)
{
    if (in != NULL) {
        *ret = (struct msg_position){in->lineage, in->timeline, in->lsn};
    }
}

Quorate__Agent__Attempt wire_put_attempt(const struct msg_attempt *in)
{
    Quorate__Agent__Attempt out = QUORATE__AGENT__ATTEMPT__INIT;
    out.term = in->term;
    out.number = in->number;
    return out;
}

void wire_get_attempt(const Quorate__Agent__Attempt *in, struct msg_attempt *ret)
{
    if (in != NULL) {
        *ret = (struct msg_attempt){in->term, in->number};
    }
}

/* --- configuration document --- */

int wire_config_encode(const struct msg_config *config, struct buf *out)
{
    Quorate__Agent__Config message;
    quorate__agent__config__init(&message);
    if (config->text.len > MSG_CONFIG_MAX) {
        return BASE_E_INVALID;
    }
    message.cluster = wire_put_text(config->cluster.text);
    message.term = config->term;
    message.revision = config->revision;
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = config->text.data};
    message.text = (ProtobufCBinaryData){.len = config->text.len, .data = cast.out};
    return wire_pack(&message.base, out);
}

int wire_config_decode(struct slice bytes, uint8_t text[static MSG_CONFIG_MAX],
                       struct msg_config *ret)
{
    struct wire_room arena;
    struct msg_config config = {.text = SLICE_EMPTY};
    const ProtobufCMessage *message =
        wire_unpack(&quorate__agent__config__descriptor, bytes, &arena);
    const Quorate__Agent__Config *in = (const Quorate__Agent__Config *)(const void *)message;
    if (in == NULL || in->text.len > MSG_CONFIG_MAX || in->revision == 0 ||
        !wire_get_name(in->cluster, false, &config.cluster)) {
        return BASE_E_PROTO;
    }
    struct buf copy = buf_over(text, MSG_CONFIG_MAX);
    buf_put(&copy, slice_from(in->text.data, in->text.len));
    config.term = in->term;
    config.revision = in->revision;
    config.text = buf_slice(&copy);
    *ret = config;
    return 0;
}
