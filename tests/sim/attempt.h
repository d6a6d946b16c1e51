/* SPDX-License-Identifier: Apache-2.0 */
/* A run in a process of its own: whatever becomes of it, the next one begins clean. */
#ifndef QUORATE_TESTS_SIM_ATTEMPT_H
#define QUORATE_TESTS_SIM_ATTEMPT_H

#include "tests/sim/plan.h"

struct attempt {
    char invariant[64]; /* that failed; "": none; "crashed": the simulator itself did, or hung */
    char text[512];
    int64_t at_us; /* of the failure */
};

/* canary: "" none. */
void attempt(const struct plan *plan, const char *canary, struct attempt *ret);

#endif
