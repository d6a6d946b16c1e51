/* SPDX-License-Identifier: Apache-2.0 */
/* The set checker: elements are added, now and then everything is read. Each element ends as stable
 * (in every read from some moment on), lost (known once, and missing in the last reads), never read
 * (no read began late enough to tell) or, besides being stable, stale (missing in a read that began
 * after it was known, for so long).
 *
 * Apart from that reads must contain one another ("fork": two reads, each with an element that the
 * other lacks). An element is known when its addition was acknowledged, or when a read that
 * contained it returned. Linear in the size of the history.
 */
#ifndef QUORATE_JEPSEN_CHECK_SET_H
#define QUORATE_JEPSEN_CHECK_SET_H

#include "base/arena.h"
#include "jepsen/check/report.h"

/* Counts: stable, lost, never_read, stale, fork, vanished (seen, never acknowledged, gone again),
 * foreign, duplicate, stale_max_us, lost_max_us (longest times after which they were missed).
 * `allow` names what is only counted. UNKNOWN when nothing was stable. */
void chk_set(const struct chk_log *log, const char *allow, struct base_arena *arena,
             struct chk_report *report);

#endif
