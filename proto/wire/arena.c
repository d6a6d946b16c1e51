/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocator over memory of the caller. */
#include "proto/wire/arena.h"

#include <stdalign.h>
#include <string.h>

static void *arena_alloc(void *ctx, size_t size)
{
    return wire_arena_take(ctx, size);
}

static void arena_free(void *ctx, void *pointer)
{
    (void)ctx;
    (void)pointer;
}

void wire_arena_init(struct wire_arena *arena, void *memory, size_t size)
{
    *arena = (struct wire_arena){.memory = memory, .size = size};
    arena->allocator = (ProtobufCAllocator){
        .alloc = arena_alloc,
        .free = arena_free,
        .allocator_data = arena,
    };
}

void wire_arena_reset(struct wire_arena *arena)
{
    arena->used = 0;
    arena->is_full = false;
}

void *wire_arena_take(struct wire_arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    uintptr_t at = (uintptr_t)(arena->memory + arena->used);
    size_t pad = (align - at % align) % align;
    if (pad > arena->size - arena->used || size > arena->size - arena->used - pad) {
        arena->is_full = true;
        return NULL;
    }
    uint8_t *taken = arena->memory + arena->used + pad;
    arena->used += pad + size;
    memset(taken, 0, size);
    return taken;
}

ProtobufCAllocator *wire_arena_allocator(struct wire_arena *arena)
{
    return &arena->allocator;
}
