/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of coverage marks; see mark.h. */
#include "base/mark.h"

#include <stdatomic.h>

static const char *const names[BASE_MARK_COUNT] = {
#define MARK_NAME(id, name, text) [BASE_MARK_##id] = name,
    BASE_MARKS(MARK_NAME)
#undef MARK_NAME
};

static atomic_uint_fast64_t counts[BASE_MARK_COUNT];

void base_mark_hit(enum base_mark mark)
{
    (void)atomic_fetch_add_explicit(&counts[mark], 1, memory_order_relaxed);
}

uint64_t base_mark_count(enum base_mark mark)
{
    return atomic_load_explicit(&counts[mark], memory_order_relaxed);
}

const char *base_mark_name(enum base_mark mark)
{
    return names[mark];
}
