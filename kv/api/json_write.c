/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf bytes to JSON; see json.h. Fields are written as they come, so repeated fields must
 * stand together, which every encoder sees to. */
#include <stdio.h>
#include <string.h>

#include "kv/api/json_scan.h"
#include "proto/wire/pb.h"

struct frame {
    const ProtobufCMessageDescriptor *type;
    struct slice rest;
    uint32_t list; /* number of the repeated field that is open; 0: none */
    bool has_members;
};

static int put(struct io_bytes *out, const char *text)
{
    return io_bytes_append(out, slice_from_text(text));
}

/* --- text --- */

/* The escape of a character that may not stand for itself, or NULL. As Go writes it: also what
 * means something in HTML. */
static const char *escape_of(struct slice text, char memory[8])
{
    uint8_t c = text.data[0];
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (c < ' ' || c == '<' || c == '>' || c == '&') {
        (void)snprintf(memory, 8, "\\u%04x", c);
        return memory;
    }
    if (text.len >= 3 && c == 0xe2 && text.data[1] == 0x80 && (text.data[2] & 0xfe) == 0xa8) {
        (void)snprintf(memory, 8, "\\u202%d", text.data[2] & 0xf);
        return memory;
    }
    return json_utf8(text) == 0 ? "\\ufffd" : NULL;
}

int json_write_text(struct slice text, struct io_bytes *out)
{
    int rc = io_bytes_reserve(out, text.len + 2);
    if (rc == 0) {
        rc = put(out, "\"");
    }
    while (text.len > 0 && rc == 0) {
        char memory[8];
        const char *escape = escape_of(text, memory);
        size_t len = json_utf8(text);
        if (escape != NULL) {
            rc = put(out, escape);
        } else {
            rc = io_bytes_append(out, slice_from(text.data, len));
        }
        text = slice_skip(text, len > 0 ? len : 1);
    }
    return rc != 0 ? rc : put(out, "\"");
}

static int write_base64(struct slice bytes, struct io_bytes *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = io_bytes_reserve(out, (bytes.len + 2) / 3 * 4 + 2);
    if (rc != 0) {
        return rc;
    }
    uint8_t *at = out->data + out->len;
    *at++ = '"';
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        bits |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        bits |= left > 2 ? bytes.data[i + 2] : 0;
        *at++ = (uint8_t)alphabet[bits >> 18];
        *at++ = (uint8_t)alphabet[bits >> 12 & 63];
        *at++ = (uint8_t)(left > 1 ? alphabet[bits >> 6 & 63] : '=');
        *at++ = (uint8_t)(left > 2 ? alphabet[bits & 63] : '=');
    }
    *at++ = '"';
    out->len = (size_t)(at - out->data);
    return 0;
}

/* --- values --- */

static int write_number(const ProtobufCFieldDescriptor *field, uint64_t value, struct io_bytes *out)
{
    char text[32];
    const ProtobufCEnumValue *named = NULL;
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return put(out, value != 0 ? "true" : "false");
    case PROTOBUF_C_TYPE_INT64:
        (void)snprintf(text, sizeof(text), "\"%lld\"", (long long)value);
        return put(out, text);
    case PROTOBUF_C_TYPE_UINT64:
        (void)snprintf(text, sizeof(text), "\"%llu\"", (unsigned long long)value);
        return put(out, text);
    case PROTOBUF_C_TYPE_UINT32:
        (void)snprintf(text, sizeof(text), "%u", (unsigned)value);
        return put(out, text);
    case PROTOBUF_C_TYPE_ENUM:
        named = protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value);
        if (named != NULL) {
            (void)snprintf(text, sizeof(text), "\"%s\"", named->name);
            return put(out, text);
        }
        break;
    default:
        break;
    }
    (void)snprintf(text, sizeof(text), "%d", (int)value);
    return put(out, text);
}

static bool is_number(const ProtobufCFieldDescriptor *field)
{
    return field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING &&
           field->type != PROTOBUF_C_TYPE_BYTES;
}

/* Comma, name and bracket before a value. */
static int write_name(struct frame *frame, const ProtobufCFieldDescriptor *field,
                      struct io_bytes *out)
{
    bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (is_list && frame->list == field->id) {
        return put(out, ",");
    }
    int rc = frame->list != 0 ? put(out, "]") : 0;
    if (rc == 0 && frame->has_members) {
        rc = put(out, ",");
    }
    if (rc == 0) {
        rc = put(out, "\"");
    }
    if (rc == 0) {
        rc = put(out, field->name);
    }
    frame->has_members = true;
    frame->list = is_list ? field->id : 0;
    return rc != 0 ? rc : put(out, is_list ? "\":[" : "\":");
}

struct writer {
    struct io_bytes *out;
    size_t depth;
    struct frame frames[JSON_MESSAGES_MAX];
};

static int push(struct writer *w, const ProtobufCMessageDescriptor *type, struct slice message)
{
    if (w->depth == JSON_MESSAGES_MAX) {
        return BASE_E_PROTO;
    }
    w->frames[w->depth++] = (struct frame){.type = type, .rest = message};
    return put(w->out, "{");
}

static int write_field(struct writer *w, const ProtobufCFieldDescriptor *field,
                       const struct wire_pb_token *token)
{
    int rc = write_name(&w->frames[w->depth - 1], field, w->out);
    if (rc != 0) {
        return rc;
    }
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return push(w, field->descriptor, token->bytes);
    case PROTOBUF_C_TYPE_STRING:
        return json_write_text(token->bytes, w->out);
    case PROTOBUF_C_TYPE_BYTES:
        return write_base64(token->bytes, w->out);
    default:
        return write_number(field, token->value, w->out);
    }
}

static int step(struct writer *w)
{
    struct frame *frame = &w->frames[w->depth - 1];
    struct wire_pb_token token;
    if (frame->rest.len == 0) {
        w->depth--;
        return put(w->out, frame->list != 0 ? "]}" : "}");
    }
    int rc = wire_pb_take(&frame->rest, &token);
    if (rc != 0) {
        return rc;
    }
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(frame->type, token.number);
    if (field == NULL) {
        return 0;
    }
    if (is_number(field) != (token.type == WIRE_PB_VARINT)) {
        return BASE_E_PROTO;
    }
    return write_field(w, field, &token);
}

int json_write(const ProtobufCMessageDescriptor *type, struct slice message, struct io_bytes *out)
{
    struct writer w = {.out = out};
    int rc = push(&w, type, message);
    while (rc == 0 && w.depth > 0) {
        rc = step(&w);
    }
    return rc;
}
