/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the points, and one pointer to who carries out what shall happen there. */
#include "base/failpoint.h"

#include "base/assert.h"

static const char *const names[] = {
#define X(id, name, where) [BASE_FAILPOINT_##id] = (name),
    BASE_FAILPOINTS(X)
#undef X
};

const char *base_failpoint_name(enum base_failpoint point)
{
    BASE_ASSERT(point < BASE_FAILPOINT_COUNT);
    return names[point];
}

bool base_failpoint_find(struct slice name, enum base_failpoint *ret)
{
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        if (slice_equal(name, slice_from_text(names[i]))) {
            *ret = (enum base_failpoint)i;
            return true;
        }
    }
    return false;
}

#ifdef QUORATE_CANARIES

static base_failpoint_fn *the_hook;

void base_failpoint_set(base_failpoint_fn *hook)
{
    the_hook = hook;
}

int base_failpoint(enum base_failpoint point)
{
    return the_hook == NULL ? 0 : the_hook(point);
}

#endif
