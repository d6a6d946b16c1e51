/* SPDX-License-Identifier: Apache-2.0 */
/* Lease rules as far as clients can see them.
 *
 * "early" (L1): its keys were seen gone before the call of an acknowledged grant or renewal plus
 * its ttl, and nobody had asked to revoke it. "torn" (L3): some of its keys were there and some
 * not, or they went in different revisions. "renewed after its end" (L4): a renewal was
 * acknowledged that was called after the keys were seen gone. "immortal" (L5): keys were still
 * there longer than `bound_us` after the last renewal could have ended; judged only when a bound is
 * given, since the rule asks for a leader. L2 (a new leader never shortens) shows as early. L6 too.
 */
#ifndef QUORATE_JEPSEN_CHECK_LEASE_H
#define QUORATE_JEPSEN_CHECK_LEASE_H

#include "base/arena.h"
#include "jepsen/check/report.h"

/* Counts: leases, gone, early, torn, renewed_after_end, immortal, late_max_us (keys seen so long
 * after the ttl). UNKNOWN when no lease was granted. */
void chk_lease(const struct chk_log *log, int64_t bound_us, struct base_arena *arena,
               struct chk_report *report);

#endif
