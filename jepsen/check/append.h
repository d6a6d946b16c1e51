/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of list appends: do the lists that were read fit one serial order that real time
 * allows?
 *
 * Lists only grow, so the longest one read of a key tells the order of its versions and all others
 * must be prefixes of it. From that follow the edges between transactions: ww the next version, wr
 * read it, rw did not see the next one, and "returned before the call" along a time line. A cycle
 * is named by its edges after Adya (1999): G0 (ww alone), G1c (with wr), G-single (one rw), G2
 * (several), each with "-realtime" when real time is needed for it. Told apart from cycles: lost
 * (acknowledged, and missing in a later read), G1a (a failed transaction's value was read), G1b (a
 * value in the middle of another's transaction), torn (values of one transaction do not stand
 * together), duplicate, foreign, internal (a transaction
 * disagrees with itself), incompatible (two lists of which neither continues the other).
 *
 * Transactions of unknown outcome count as happened when somebody read a value of theirs.
 */
#ifndef QUORATE_JEPSEN_CHECK_APPEND_H
#define QUORATE_JEPSEN_CHECK_APPEND_H

#include "base/arena.h"
#include "jepsen/check/report.h"

struct chk_append_options {
    const char *allow;  /* names that are counted only, with commas between them; NULL none */
    uint64_t steps_max; /* of the search for cycles */
};

/* Counts: lost, incompatible, duplicate, foreign, G1a, G1b, internal, torn, cycles, appends, reads,
 * unread. UNKNOWN: too little memory or steps, nothing read, or a value appended twice by the
 * workload. */
void chk_append(const struct chk_log *log, const struct chk_append_options *options,
                struct base_arena *arena, struct chk_report *report);

/* Is `name` one of the names with commas between them? */
bool chk_is_allowed(const char *allow, const char *name);

#endif
