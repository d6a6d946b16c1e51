/* SPDX-License-Identifier: Apache-2.0 */
/* Selection of planted bugs. The one piece of state in base, written once at start. */
#include "base/canary.h"

#include <string.h>

static const char *const canary_names[BASE_CANARY_COUNT] = {[BASE_CANARY_NONE] = "none",
#define CANARY_NAME(id, name, text) [BASE_CANARY_##id] = name,
                                                            BASE_CANARIES(CANARY_NAME)
#undef CANARY_NAME
};

static enum base_canary canary_selected = BASE_CANARY_NONE;

bool base_canary_select(const char *name)
{
    if (name == NULL || name[0] == '\0') {
        canary_selected = BASE_CANARY_NONE;
        return true;
    }
#ifdef QUORATE_CANARIES
    for (int id = 1; id < BASE_CANARY_COUNT; id++) {
        if (strcmp(name, canary_names[id]) == 0) {
            canary_selected = (enum base_canary)id;
            return true;
        }
    }
#endif
    return false;
}

bool base_canary_is(enum base_canary id)
{
    return canary_selected == id;
}

const char *base_canary_name(enum base_canary id)
{
    return canary_names[id];
}
