/* SPDX-License-Identifier: Apache-2.0 */
/* Table-driven protobuf codec; see pb.h. Encoding section numbers: protobuf.dev, "Encoding".
 *
 * The encoder writes backwards, last field first: the length of a nested message is known when its
 * first byte has been written, so one pass suffices and no sizes are kept.
 */
#include "proto/wire/pb.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"

/* Both list structs look like this; a struct pointer is stored through memcpy only. */
struct list {
    void *items;
    size_t count;
};

static struct list list_load(const uint8_t *at)
{
    struct list list;
    memcpy(&list, at, sizeof(list));
    return list;
}

/* --- decoding --- */

static int take_varint(struct slice *s, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s->len && i < 10; i++) {
        value |= (uint64_t)(s->data[i] & 0x7f) << (7 * i);
        if ((s->data[i] & 0x80) == 0) {
            if (i == 9 && s->data[i] > 1) {
                return BASE_E_PROTO;
            }
            *s = slice_skip(*s, i + 1);
            *ret = value;
            return 0;
        }
    }
    return BASE_E_PROTO;
}

static int take_payload(struct slice *s, struct wire_pb_token *token)
{
    uint64_t len = 0;
    int rc = 0;
    switch (token->type) {
    case WIRE_PB_VARINT:
        return take_varint(s, &token->value);
    case WIRE_PB_FIXED64:
        return slice_take_bytes(s, 8, &token->bytes);
    case WIRE_PB_FIXED32:
        return slice_take_bytes(s, 4, &token->bytes);
    case WIRE_PB_LEN:
        rc = take_varint(s, &len);
        if (rc == 0 && len > s->len) {
            if (CANARY(DECODER_TRUSTS_LENGTH) && len < 65536) {
                token->bytes = slice_from(s->data, (size_t)len);
                *s = slice_skip(*s, s->len);
                return 0;
            }
            rc = BASE_E_PROTO;
        }
        return rc != 0 ? rc : slice_take_bytes(s, (size_t)len, &token->bytes);
    default: /* groups, and types that do not exist */
        return BASE_E_PROTO;
    }
}

int wire_pb_take(struct slice *s, struct wire_pb_token *ret)
{
    struct wire_pb_token token = {0};
    struct slice rest = *s;
    uint64_t key = 0;
    int rc = take_varint(&rest, &key);
    if (rc != 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        return BASE_E_PROTO;
    }
    token.number = (uint32_t)(key >> 3);
    token.type = (unsigned)(key & 7);
    rc = take_payload(&rest, &token);
    if (rc == 0) {
        *s = rest;
        *ret = token;
    }
    return rc;
}

struct decode_frame {
    const struct wire_pb_message *message;
    uint8_t *object;
    struct slice rest;
};

struct decoder {
    struct base_arena *arena;
    size_t depth;
    struct decode_frame frames[WIRE_PB_DEPTH_MAX];
};

static const struct wire_pb_field *field_find(const struct wire_pb_message *message,
                                              uint32_t number)
{
    for (size_t i = 0; i < message->count; i++) {
        if (message->fields[i].number == number) {
            return &message->fields[i];
        }
    }
    return NULL;
}

/* How often `number` occurs in bytes that are well formed as far as they are looked at. */
static size_t count_field(struct slice rest, uint32_t number)
{
    struct wire_pb_token token;
    size_t count = 0;
    while (rest.len > 0 && wire_pb_take(&rest, &token) == 0) {
        count += token.number == number;
    }
    return count;
}

static int push(struct decoder *decoder, const struct wire_pb_message *message, uint8_t *object,
                struct slice bytes)
{
    if (decoder->depth == WIRE_PB_DEPTH_MAX) {
        return BASE_E_PROTO;
    }
    decoder->frames[decoder->depth++] = (struct decode_frame){message, object, bytes};
    return 0;
}

/* Room for the next item of a list; the first occurrence makes room for all that are to come. */
static int list_next(struct decoder *decoder, const struct decode_frame *frame,
                     const struct wire_pb_field *field, uint8_t **ret)
{
    size_t size = field->message != NULL ? field->message->size : sizeof(struct slice);
    struct list list = list_load(frame->object + field->offset);
    if (list.count == 0) {
        size_t total = 1 + count_field(frame->rest, field->number);
        list.items = base_arena_take(decoder->arena, total, size);
        if (list.items == NULL) {
            return BASE_E_TOOBIG;
        }
    }
    *ret = (uint8_t *)list.items + list.count * size;
    list.count++;
    memcpy(frame->object + field->offset, &list, sizeof(list));
    return 0;
}

/* Adds values to a list of enumerations, in memory of its own: parts of it may come from anywhere.
 */
static int enums_add(struct decoder *decoder, uint8_t *at, struct slice more)
{
    struct slice old;
    memcpy(&old, at, sizeof(old));
    if (old.len == 0) {
        memcpy(at, &more, sizeof(more));
        return 0;
    }
    uint8_t *all = base_arena_take(decoder->arena, old.len + more.len, 1);
    if (all == NULL) {
        return BASE_E_TOOBIG;
    }
    memcpy(all, old.data, old.len);
    if (more.len > 0) {
        memcpy(all + old.len, more.data, more.len);
    }
    old = slice_from(all, old.len + more.len);
    memcpy(at, &old, sizeof(old));
    return 0;
}

static int enums_add_one(struct decoder *decoder, uint8_t *at, uint64_t value)
{
    static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 7}; /* 7: none that we know */
    size_t index = value < sizeof(values) - 1 ? (size_t)value : sizeof(values) - 1;
    return enums_add(decoder, at, slice_from(&values[index], 1));
}

static int store_bytes(struct decoder *decoder, struct decode_frame *frame,
                       const struct wire_pb_field *field, struct slice bytes)
{
    uint8_t *at = frame->object + field->offset;
    int rc = 0;
    switch (field->type) {
    case WIRE_PB_BYTES:
        memcpy(at, &bytes, sizeof(bytes));
        return 0;
    case WIRE_PB_ENUM_LIST:
        return enums_add(decoder, at, bytes);
    case WIRE_PB_MESSAGE:
        memset(at, 0, field->message->size);
        return push(decoder, field->message, at, bytes);
    case WIRE_PB_BYTES_LIST:
        rc = list_next(decoder, frame, field, &at);
        if (rc == 0) {
            memcpy(at, &bytes, sizeof(bytes));
        }
        return rc;
    case WIRE_PB_MESSAGE_LIST:
        rc = list_next(decoder, frame, field, &at);
        return rc != 0 ? rc : push(decoder, field->message, at, bytes);
    case WIRE_PB_INT64:
    case WIRE_PB_INT32:
    case WIRE_PB_UINT32:
    case WIRE_PB_BOOL:
        break;
    }
    return BASE_E_PROTO;
}

static int store_number(struct decoder *decoder, const struct decode_frame *frame,
                        const struct wire_pb_field *field, uint64_t value)
{
    uint8_t *at = frame->object + field->offset;
    uint32_t low = (uint32_t)value;
    bool flag = value != 0;
    switch (field->type) {
    case WIRE_PB_INT64:
        memcpy(at, &value, sizeof(value));
        return 0;
    case WIRE_PB_INT32:
    case WIRE_PB_UINT32:
        memcpy(at, &low, sizeof(low));
        return 0;
    case WIRE_PB_BOOL:
        memcpy(at, &flag, sizeof(flag));
        return 0;
    case WIRE_PB_ENUM_LIST:
        return enums_add_one(decoder, at, value);
    case WIRE_PB_BYTES:
    case WIRE_PB_MESSAGE:
    case WIRE_PB_BYTES_LIST:
    case WIRE_PB_MESSAGE_LIST:
        break;
    }
    return BASE_E_PROTO;
}

static void mark_present(const struct decode_frame *frame, const struct wire_pb_field *field)
{
    static const bool yes = true;
    if (field->presence == WIRE_PB_HAS) {
        memcpy(frame->object + field->has_offset, &yes, sizeof(yes));
    } else if (field->presence == WIRE_PB_ONEOF) {
        memcpy(frame->object + field->has_offset, &field->number, sizeof(field->number));
    }
}

static int decode_one(struct decoder *decoder)
{
    struct decode_frame *frame = &decoder->frames[decoder->depth - 1];
    struct wire_pb_token token;
    int rc = wire_pb_take(&frame->rest, &token);
    if (rc != 0) {
        return rc;
    }
    const struct wire_pb_field *field = field_find(frame->message, token.number);
    if (field == NULL) {
        return 0;
    }
    if (token.type != WIRE_PB_VARINT && token.type != WIRE_PB_LEN) {
        return BASE_E_PROTO;
    }
    mark_present(frame, field);
    return token.type == WIRE_PB_VARINT ? store_number(decoder, frame, field, token.value)
                                        : store_bytes(decoder, frame, field, token.bytes);
}

int wire_pb_decode(const struct wire_pb_message *message, struct slice bytes,
                   struct base_arena *arena, void *ret_object)
{
    struct decoder decoder = {.arena = arena};
    memset(ret_object, 0, message->size);
    int rc = push(&decoder, message, ret_object, bytes);
    while (rc == 0 && decoder.depth > 0) {
        if (decoder.frames[decoder.depth - 1].rest.len == 0) {
            decoder.depth--;
        } else {
            rc = decode_one(&decoder);
        }
    }
    return rc;
}

/* --- encoding, backwards --- */

#define ITEM_UNSET SIZE_MAX

struct encode_frame {
    const struct wire_pb_message *message;
    const uint8_t *object;
    size_t fields_left;
    size_t items_left; /* of the field at hand; ITEM_UNSET: not begun */
    size_t end;        /* where the message's bytes end */
};

struct encoder {
    uint8_t *data;
    size_t floor; /* nothing is written below */
    size_t at;
    bool is_full;
    size_t depth;
    struct encode_frame frames[WIRE_PB_DEPTH_MAX];
};

static void prepend(struct encoder *encoder, const void *bytes, size_t len)
{
    if (encoder->is_full || len > encoder->at - encoder->floor) {
        encoder->is_full = true;
        return;
    }
    encoder->at -= len;
    if (len > 0) {
        memcpy(encoder->data + encoder->at, bytes, len);
    }
}

static void prepend_varint(struct encoder *encoder, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (uint8_t)((value & 0x7f) | 0x80);
        value >>= 7;
    } while (value != 0);
    bytes[len - 1] &= 0x7f;
    prepend(encoder, bytes, len);
}

static void prepend_key(struct encoder *encoder, uint32_t number, unsigned type)
{
    prepend_varint(encoder, (uint64_t)number << 3 | type);
}

static void prepend_bytes_field(struct encoder *encoder, uint32_t number, struct slice bytes)
{
    prepend(encoder, bytes.data, bytes.len);
    prepend_varint(encoder, bytes.len);
    prepend_key(encoder, number, WIRE_PB_LEN);
}

static bool is_present(const struct encode_frame *frame, const struct wire_pb_field *field)
{
    bool has = false;
    uint32_t which = 0;
    switch (field->presence) {
    case WIRE_PB_HAS:
        memcpy(&has, frame->object + field->has_offset, sizeof(has));
        return has;
    case WIRE_PB_ONEOF:
        memcpy(&which, frame->object + field->has_offset, sizeof(which));
        return which == field->number;
    case WIRE_PB_IMPLICIT:
        break;
    }
    return true;
}

static uint64_t load_number(const uint8_t *at, enum wire_pb_type type)
{
    uint64_t wide = 0;
    int32_t narrow = 0;
    uint32_t unsigned_narrow = 0;
    bool flag = false;
    if (type == WIRE_PB_INT64) {
        memcpy(&wide, at, sizeof(wide));
    } else if (type == WIRE_PB_UINT32) {
        memcpy(&unsigned_narrow, at, sizeof(unsigned_narrow));
        wide = unsigned_narrow;
    } else if (type == WIRE_PB_INT32) {
        memcpy(&narrow, at, sizeof(narrow));
        wide = (uint64_t)(int64_t)
            narrow; /* a negative one takes ten bytes, as the specification wants */
    } else {
        memcpy(&flag, at, sizeof(flag));
        wide = flag;
    }
    return wide;
}

static void encode_scalar(struct encoder *encoder, const struct encode_frame *frame,
                          const struct wire_pb_field *field)
{
    const uint8_t *at = frame->object + field->offset;
    if (field->type == WIRE_PB_BYTES || field->type == WIRE_PB_ENUM_LIST) {
        struct slice bytes;
        memcpy(&bytes, at, sizeof(bytes));
        if (bytes.len > 0 || field->presence != WIRE_PB_IMPLICIT) {
            prepend_bytes_field(encoder, field->number, bytes);
        }
        return;
    }
    uint64_t value = load_number(at, field->type);
    if (value != 0 || field->presence != WIRE_PB_IMPLICIT) {
        prepend_varint(encoder, value);
        prepend_key(encoder, field->number, WIRE_PB_VARINT);
    }
}

static void encode_begin(struct encoder *encoder, const struct wire_pb_message *message,
                         const uint8_t *object)
{
    if (encoder->depth == WIRE_PB_DEPTH_MAX) {
        encoder->is_full = true;
        return;
    }
    encoder->frames[encoder->depth++] =
        (struct encode_frame){message, object, message->count, ITEM_UNSET, encoder->at};
}

/* Goes on with a field that has items of its own; false when it has no more. */
static bool encode_item(struct encoder *encoder, struct encode_frame *frame,
                        const struct wire_pb_field *field)
{
    const uint8_t *at = frame->object + field->offset;
    struct list list = {.count = 1};
    bool is_list = field->type != WIRE_PB_MESSAGE;
    if (is_list) {
        list = list_load(at);
    }
    if (frame->items_left == ITEM_UNSET) {
        frame->items_left = list.count;
    }
    if (frame->items_left == 0) {
        return false;
    }
    frame->items_left--;
    if (field->type == WIRE_PB_BYTES_LIST) {
        struct slice bytes;
        memcpy(&bytes, (const uint8_t *)list.items + frame->items_left * sizeof(bytes),
               sizeof(bytes));
        prepend_bytes_field(encoder, field->number, bytes);
        return true;
    }
    const uint8_t *item =
        is_list ? (const uint8_t *)list.items + frame->items_left * field->message->size : at;
    encode_begin(encoder, field->message, item);
    return true;
}

static void encode_end(struct encoder *encoder)
{
    size_t len = encoder->frames[encoder->depth - 1].end - encoder->at;
    encoder->depth--;
    if (encoder->depth > 0) {
        const struct encode_frame *parent = &encoder->frames[encoder->depth - 1];
        prepend_varint(encoder, len);
        prepend_key(encoder, parent->message->fields[parent->fields_left - 1].number, WIRE_PB_LEN);
    }
}

static void encode_step(struct encoder *encoder)
{
    struct encode_frame *frame = &encoder->frames[encoder->depth - 1];
    if (frame->fields_left == 0) {
        encode_end(encoder);
        return;
    }
    const struct wire_pb_field *field = &frame->message->fields[frame->fields_left - 1];
    if (is_present(frame, field)) {
        if (field->type == WIRE_PB_MESSAGE || field->type == WIRE_PB_BYTES_LIST ||
            field->type == WIRE_PB_MESSAGE_LIST) {
            if (encode_item(encoder, frame, field)) {
                return;
            }
        } else {
            encode_scalar(encoder, frame, field);
        }
    }
    frame->items_left = ITEM_UNSET;
    frame->fields_left--;
}

int wire_pb_encode(const struct wire_pb_message *message, const void *object, struct buf *out)
{
    struct encoder encoder = {.data = out->data, .floor = out->len, .at = out->cap};
    if (out->is_full) {
        return BASE_E_TOOBIG;
    }
    encode_begin(&encoder, message, object);
    while (encoder.depth > 0 && !encoder.is_full) {
        encode_step(&encoder);
    }
    if (encoder.is_full) {
        out->is_full = true;
        return BASE_E_TOOBIG;
    }
    size_t len = out->cap - encoder.at;
    if (len > 0) {
        memmove(out->data + out->len, out->data + encoder.at, len);
        out->len += len;
    }
    return 0;
}
