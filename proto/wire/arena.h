/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator for protobuf-c: decoded messages live in one piece of memory of the caller and
 * are given up as a whole. Every codec in proto/wire unpacks through it; a message that does not
 * fit fails to decode. Not for several threads at once. */
#ifndef QUORATE_PROTO_WIRE_ARENA_H
#define QUORATE_PROTO_WIRE_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/slice.h"

struct wire_arena {
    uint8_t *memory;
    size_t size;
    size_t used;
    bool is_full; /* something did not fit since the last reset */
    ProtobufCAllocator allocator;
};

/* Takes `memory` of `size` bytes as working space; any alignment. The arena must not be moved or
 * copied afterwards. */
void wire_arena_init(struct wire_arena *arena, void *memory, size_t size);
/* Gives everything up; what was handed out is void. */
void wire_arena_reset(struct wire_arena *arena);
/* Zero-filled bytes, aligned for any type; NULL when there is no room (is_full is set). */
void *wire_arena_take(struct wire_arena *arena, size_t size);
/* The allocator to hand to protobuf_c's unpack. Its free does nothing. */
ProtobufCAllocator *wire_arena_allocator(struct wire_arena *arena);

#endif
