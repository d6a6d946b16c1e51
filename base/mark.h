/* SPDX-License-Identifier: Apache-2.0 */
/* Coverage marks: MARK(ID) at a rare branch counts that it was taken. A simulated run that never
 * came there proves nothing about it, so `make sim-check` fails when a mark was hit too seldom.
 * Counted in the `canary` variant only; nothing at all in every other build. Any thread.
 *
 * The table is all there is: a mark that is not in it does not compile, and `make lint` finds rows
 * that no code passes. */
#ifndef QUORATE_BASE_MARK_H
#define QUORATE_BASE_MARK_H

#include "base/types.h"

/* clang-format off */
/*   id, name, the branch */
#define BASE_MARKS(X) \
    X(RAFT_TRUNCATE, "raft-truncate", "a follower cuts entries off that differ from the leader's")
/* clang-format on */

enum base_mark {
#define BASE_MARK_ENUM(id, name, text) BASE_MARK_##id,
    BASE_MARKS(BASE_MARK_ENUM)
#undef BASE_MARK_ENUM
        BASE_MARK_COUNT
};

void base_mark_hit(enum base_mark mark);
/* How often since the start of the process; 0 in every other build. */
uint64_t base_mark_count(enum base_mark mark);
const char *base_mark_name(enum base_mark mark);

#ifdef QUORATE_CANARIES
#define MARK(id) base_mark_hit(BASE_MARK_##id)
#else
#define MARK(id) ((void)0)
#endif

#endif
