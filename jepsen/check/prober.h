/* SPDX-License-Identifier: Apache-2.0 */
/* Probers inside each database host: were two hosts writable at one time, and did two acknowledge?
 *
 * The accepted writes of one host under one epoch, none farther than `gap_us` from the next, are a
 * run; the host was writable from the return of its first to the call of its last. Where runs of
 * two hosts overlap, both were writable for at least so long (dual_writable_us); a write that lies
 * inside another host's run is a dual one whatever its length. The same over acknowledged commits
 * alone gives dual_acknowledged. Apart from that: "old epoch" (a write was accepted that was called
 * after another host's of a higher epoch had returned), which a host shows that slept as a whole.
 * A host without probes for longer than `silence_us`, and no fault on it then, leaves no verdict.
 */
#ifndef QUORATE_JEPSEN_CHECK_PROBER_H
#define QUORATE_JEPSEN_CHECK_PROBER_H

#include "base/arena.h"
#include "jepsen/check/report.h"

struct chk_prober_options {
    int64_t gap_us;
    int64_t silence_us;
};

/* Counts: probes, accepted, hosts, dual_writable_us, dual_writable (writes), dual_acknowledged
 * (commits), old_epoch, silent. hits are numbers of probes. */
void chk_prober(const struct chk_log *log, const struct chk_prober_options *options,
                struct base_arena *arena, struct chk_report *report);

#endif
