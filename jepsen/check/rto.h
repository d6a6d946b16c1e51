/* SPDX-License-Identifier: Apache-2.0 */
/* How long clients went without an acknowledgement: per fault, per class of faults, and over the
 * run.
 *
 * The recovery time of a fault is the longest stretch between two acknowledgements that touches the
 * time from its beginning to the next fault's (or the end of the run): from the last
 * acknowledgement before to the first after, whatever was still under way when the fault began.
 * Write unavailability is the sum of all stretches longer than `gap_us`. Where the arbiter's marks
 * are given, each stretch is broken down into the times between them.
 */
#ifndef QUORATE_JEPSEN_CHECK_RTO_H
#define QUORATE_JEPSEN_CHECK_RTO_H

#include "base/arena.h"
#include "jepsen/check/report.h"

/* `acks`: moments of acknowledgement, in any order; sorted in place. Faults and marks are those of
 * `log`. Counts: acks, faults, unavailable_us, longest_us, not_recovered. report->json gets
 * "classes": {KIND: {"n","min_us","median_us","p90_us","max_us","steps":{MARK: median_us}}}.
 * UNKNOWN when nothing was acknowledged, VIOLATED when a fault came and no acknowledgement after
 * it ("not recovered"), or, with a bound above 0, a recovery took longer ("too slow"). */
void chk_rto(const struct chk_log *log, int64_t *acks, size_t acks_count, int64_t gap_us,
             int64_t bound_us, struct base_arena *arena, struct chk_report *report);

/* The moments at which writes were acknowledged; gives their number, at most `cap`. */
size_t chk_rto_acks(const struct chk_history *h, const struct chk_log *log, int64_t *ret,
                    size_t cap);

#endif
