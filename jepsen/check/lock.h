/* SPDX-License-Identifier: Apache-2.0 */
/* Locks with tokens, judged where it counts: at the resource that the lock guards.
 *
 * Rules: "token twice" (two acquisitions were told the same token), "token goes back" (who acquires
 * later in real time has a higher token), "old token accepted" (the resource took a write with a
 * lower token after one with a higher token had returned), "token never given" (accepted, and no
 * acquisition could have been told it), and, only where no tokens guard, "held twice" (two holders
 * at one time: a lease alone cannot rule that out, so a lock without tokens must be able to fail
 * here).
 */
#ifndef QUORATE_JEPSEN_CHECK_LOCK_H
#define QUORATE_JEPSEN_CHECK_LOCK_H

#include "base/arena.h"
#include "jepsen/check/report.h"

/* `no_tokens`: judge by time of holding alone. Counts: acquired, accepted, refused, overlaps
 * (holders that found another one there, told in any case), and the rules with _ for spaces.
 * UNKNOWN when nothing was acquired, or (with tokens) nothing accepted. */
void chk_lock(const struct chk_log *log, bool no_tokens, struct base_arena *arena,
              struct chk_report *report);

#endif
