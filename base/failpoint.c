/* SPDX-License-Identifier: Apache-2.0 */
/* One pointer; see failpoint.h. */
#include "base/failpoint.h"

#include "base/types.h"

#ifdef QUORATE_CANARIES

static base_failpoint_fn *the_hook;

void base_failpoint_set(base_failpoint_fn *hook)
{
    the_hook = hook;
}

int base_failpoint(const char *name)
{
    return the_hook == NULL ? 0 : the_hook(name);
}

#endif
