/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf bytes <-> plain structs, driven by tables, without allocation beyond an arena.
 *
 * A table names, per field, its number, its kind and where it lies in the struct; one table serves
 * both directions. Byte fields are borrowed from the message (zero copy), lists come from the
 * arena. Neither direction recurses. Used by proto/wire/kv.c for the public API and the log, where
 * values are large and calls are many; the tables are checked against generated protobuf-c code in
 * tests/unit/kv_wire_test.c.
 *
 * Decoding follows the protobuf encoding specification but for one thing: a second occurrence of a
 * single message field replaces the first instead of being merged into it. Unknown fields are
 * skipped.
 */
#ifndef QUORATE_PROTO_WIRE_PB_H
#define QUORATE_PROTO_WIRE_PB_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define WIRE_PB_DEPTH_MAX 24u /* messages inside each other */

enum wire_pb_type {
    WIRE_PB_INT64,        /* int64_t or uint64_t */
    WIRE_PB_INT32,        /* int32_t, enumerations */
    WIRE_PB_UINT32,       /* uint32_t */
    WIRE_PB_BOOL,         /* bool */
    WIRE_PB_BYTES,        /* struct slice: bytes and string alike */
    WIRE_PB_ENUM_LIST,    /* struct slice of small enumerations, one byte each: packed, or not */
    WIRE_PB_MESSAGE,      /* a struct in place */
    WIRE_PB_BYTES_LIST,   /* struct {struct slice *items; size_t count;} */
    WIRE_PB_MESSAGE_LIST, /* struct {struct X *items; size_t count;} */
};

enum wire_pb_presence {
    WIRE_PB_IMPLICIT, /* written unless zero or empty */
    WIRE_PB_HAS,      /* written when the bool at has_offset is set */
    WIRE_PB_ONEOF,    /* written when the uint32_t at has_offset is the field's number */
};

struct wire_pb_message;

struct wire_pb_field {
    uint32_t number;
    enum wire_pb_type type;
    enum wire_pb_presence presence;
    size_t offset;
    size_t has_offset;
    const struct wire_pb_message *message; /* MESSAGE, MESSAGE_LIST */
};

struct wire_pb_message {
    size_t size;                        /* of the struct */
    const struct wire_pb_field *fields; /* ascending numbers */
    size_t count;
};

/* One field as it stands on the wire. */
enum wire_pb_key { WIRE_PB_VARINT = 0, WIRE_PB_FIXED64 = 1, WIRE_PB_LEN = 2, WIRE_PB_FIXED32 = 5 };
struct wire_pb_token {
    uint32_t number;
    unsigned type;      /* enum wire_pb_key */
    uint64_t value;     /* VARINT */
    struct slice bytes; /* the others */
};
/* Takes the next field from the front of *s. BASE_E_PROTO. */
MUST_CHECK int wire_pb_take(struct slice *s, struct wire_pb_token *ret);

/* Zeroes *ret_object (message->size bytes) and fills it. BASE_E_PROTO: malformed or too deep;
 * BASE_E_TOOBIG: the arena is full. On failure the object is in no useful state. */
MUST_CHECK int wire_pb_decode(const struct wire_pb_message *message, struct slice bytes,
                              struct base_arena *arena, void *ret_object);

/* Appends the encoded message to `out`. BASE_E_TOOBIG when it does not fit or nests too deep;
 * out->len is unchanged then, and out->is_full set. */
MUST_CHECK int wire_pb_encode(const struct wire_pb_message *message, const void *object,
                              struct buf *out);

#endif
