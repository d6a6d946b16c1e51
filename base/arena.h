/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator over memory of its caller: take many, free all at once. Pure.
 *
 * Used for the lists of one request or one response. What does not fit gives NULL, and the caller
 * answers "too large"; nothing is ever moved, so pointers stay good until the reset.
 */
#ifndef QUORATE_BASE_ARENA_H
#define QUORATE_BASE_ARENA_H

#include <string.h>

#include "base/slice.h"

struct base_arena {
    uint8_t *memory; /* aligned for any type */
    size_t cap;
    size_t used;
};

#define BASE_ARENA_ALIGN 16u

static inline struct base_arena base_arena_over(void *memory, size_t cap)
{
    return (struct base_arena){.memory = memory, .cap = cap, .used = 0};
}

static inline void base_arena_reset(struct base_arena *arena)
{
    arena->used = 0;
}

/* `count` zeroed objects of `size` bytes; NULL when they do not fit or nothing was asked for. */
static inline void *base_arena_take(struct base_arena *arena, size_t count, size_t size)
{
    size_t left = arena->cap - arena->used;
    if (count == 0 || size == 0 || count > left / size) {
        return NULL;
    }
    void *taken = arena->memory + arena->used;
    size_t bytes = count * size;
    size_t rounded = (bytes + BASE_ARENA_ALIGN - 1) / BASE_ARENA_ALIGN * BASE_ARENA_ALIGN;
    arena->used = rounded > left ? arena->cap : arena->used + rounded;
    memset(taken, 0, bytes);
    return taken;
}

/* Copy of bytes in the arena. BASE_E_TOOBIG when they do not fit. */
MUST_CHECK static inline int base_arena_copy(struct base_arena *arena, struct slice bytes,
                                             struct slice *ret)
{
    uint8_t *copy = NULL;
    if (bytes.len > 0) {
        copy = base_arena_take(arena, bytes.len, 1);
        if (copy == NULL) {
            return BASE_E_TOOBIG;
        }
        memcpy(copy, bytes.data, bytes.len);
    }
    *ret = slice_from(copy, bytes.len);
    return 0;
}

#endif
