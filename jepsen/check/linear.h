/* SPDX-License-Identifier: Apache-2.0 */
/* Linearizability by search, after Wing, Gong and Lowe: depth first over the orders that real time
 * allows, with a memo of the (set of operations done, state) pairs already seen.
 *
 * Linearizability is local (Herlihy and Wing 1990), so each key is searched alone; keys that share
 * an operation form one group of at most CHK_MODEL_KEYS. Revisions are not looked at: this is the
 * independent method beside the witness. Memory and steps are bounded by the caller; what does not
 * fit is CHK_UNKNOWN, never CHK_OK.
 */
#ifndef QUORATE_JEPSEN_CHECK_LINEAR_H
#define QUORATE_JEPSEN_CHECK_LINEAR_H

#include "jepsen/check/history.h"

struct chk_linear_limits {
    void *memory; /* aligned for any type; all that the search uses */
    size_t memory_bytes;
    uint64_t steps_max;
};

/* The worst verdict over all groups: VIOLATED before UNKNOWN before OK. `op` is the operation at
 * which the longest explanation got stuck. */
struct chk_result chk_linear(const struct chk_history *h, const struct chk_linear_limits *limits);

#endif
