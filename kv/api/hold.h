/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a stream that may not begin yet, in order, up to a bound. Loop thread only. */
#ifndef QUORATE_KV_API_HOLD_H
#define QUORATE_KV_API_HOLD_H

#include "base/slice.h"

#define HOLD_BYTES_MAX 65536u /* of one stream, with what keeping them costs */

struct hold_message {
    struct hold_message *next;
    size_t len;
    uint8_t bytes[];
};

/* All zero: nothing is held. */
struct hold {
    struct hold_message *first;
    size_t bytes;
    bool is_half_closed; /* the client says no more */
};

/* Copies the message. BASE_E_NOSPACE beyond the bound, BASE_E_NOMEM. */
MUST_CHECK int hold_add(struct hold *hold, struct slice message);
/* The oldest, the caller's from now on, to be freed; NULL: none is left. */
struct hold_message *hold_take(struct hold *hold);
void hold_clear(struct hold *hold);

#endif
