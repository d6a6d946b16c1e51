/* SPDX-License-Identifier: Apache-2.0 */
/* What many runs were, together: for people, for machines, and whether it was enough. */
#ifndef QUORATE_TESTS_SIM_SUMS_H
#define QUORATE_TESTS_SIM_SUMS_H

#include "base/mark.h"
#include "tests/sim/world.h"

#define MARK_FLOOR 10 /* how often each coverage mark must be hit over all seeds */

struct sums {
    struct tally tally;
    uint64_t seeds, failed, real_us;
    uint64_t marks[BASE_MARK_COUNT];
};

void sums_add(struct sums *s, const struct world *w);
/* Adds one part's sums to the other's. */
void sums_merge(struct sums *s, const struct sums *part);
void sums_print(const struct sums *s);
/* One JSON object. */
void sums_json(const struct sums *s, FILE *out);
/* 0, or 1 and says what there was too little of: a run in which too little happened proves nothing.
 * with_marks: every coverage mark, too. */
int sums_check(const struct sums *s, bool with_marks, const struct setup_wish *wish);

#endif
