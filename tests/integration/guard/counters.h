/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory between the tests of the guard and the trees they run: who counts, runs. */
#ifndef QUORATE_TESTS_INTEGRATION_GUARD_COUNTERS_H
#define QUORATE_TESTS_INTEGRATION_GUARD_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS_MAX 64
#define COUNTER_STORM 0
#define COUNTER_USR1 1
#define COUNTERS_FIRST 2

struct counters {
    _Atomic uint32_t claimed; /* starts at COUNTERS_FIRST */
    _Atomic uint64_t slots[COUNTERS_MAX];
};

#endif
