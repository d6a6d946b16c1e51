/* SPDX-License-Identifier: Apache-2.0 */
/* The sequential model: a few keys, each absent or with a value; one operation is one atomic step.
 * Shared by the brute-force oracle and the search, which differ in how they walk, not in what a
 * step means.
 */
#ifndef QUORATE_JEPSEN_CHECK_MODEL_H
#define QUORATE_JEPSEN_CHECK_MODEL_H

#include "jepsen/check/history.h"

#define CHK_MODEL_KEYS 4

struct chk_state {
    int64_t value[CHK_MODEL_KEYS];
};

/* Key number of the history -> slot of the state; the caller keeps all keys of an operation within
 * one table. */
struct chk_slots {
    uint32_t keys[CHK_MODEL_KEYS];
    size_t count;
};

/* Slot of a key, CHK_MODEL_KEYS when it is not in the table. */
size_t chk_slot(const struct chk_slots *slots, uint32_t key);

/* Applies `op` to `state`; false (state undefined then) when its reply cannot have come from it. An
 * operation of unknown outcome is taken as happening: its comparison decides, its reads say
 * nothing. */
bool chk_step(const struct chk_slots *slots, const struct chk_op *op, struct chk_state *state);

#endif
