/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest part of a history that still cannot be explained: whole processes are left out, then
 * single operations, as long as the search goes on failing.
 *
 * An operation whose effect a remaining one saw stays, so that leaving out never makes a value come
 * from nowhere: what is left is the anomaly and not an artefact.
 */
#ifndef QUORATE_JEPSEN_CHECK_SHRINK_H
#define QUORATE_JEPSEN_CHECK_SHRINK_H

#include "jepsen/check/linear.h"

/* `stuck` is the operation that chk_linear named. Writes indices into h->ops in order of call,
 * gives their number; 0 when the group is larger than `cap` or does not fit the memory. `ret` has
 * room for `cap`. */
size_t chk_linear_shrink(const struct chk_history *h, size_t stuck,
                         const struct chk_linear_limits *limits, uint32_t *ret, size_t cap);

#endif
