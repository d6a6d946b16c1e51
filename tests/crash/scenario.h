/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep does to a quorum node, always the same: requests of every kind that is replicated,
 * an image, and two moments of rest in which the lazy state store commits. After each step the
 * state is known in full, since a first run without any fault has written it down. */
#ifndef QUORATE_TESTS_CRASH_SCENARIO_H
#define QUORATE_TESTS_CRASH_SCENARIO_H

#include "tests/crash/daemon.h"

#define SCENARIO_STEPS 44u

struct shim_page;

/* One step. True: it was acknowledged. `page`: of the shim, for rests; NULL: nothing is counted. */
bool scenario_step(struct daemon *d, size_t step, const struct shim_page *page);
/* base64 of `text`. */
void scenario_base64(const char *text, char *ret, size_t cap);
/* The body of a put. */
void scenario_put(const char *key, const char *value, char *ret, size_t cap);

#endif
