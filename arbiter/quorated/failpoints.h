/* SPDX-License-Identifier: Apache-2.0 */
/* QUORATE_FAILPOINTS="NAME=ACTION;NAME=ACTION" in the `canary` build: what happens at the named
 * points of base/failpoint.h. Actions: sleep(MS), exit (at once, as kill -9 would), error (the
 * operation fails with an I/O error), each with an optional count of passes before it: exit@3. */
#ifndef QUORATE_ARBITER_QUORATED_FAILPOINTS_H
#define QUORATE_ARBITER_QUORATED_FAILPOINTS_H

#include "base/types.h"

/* Reads the variable; false, with a line on stderr, when it cannot be understood. In other builds
 * it does nothing and is refused when the variable is set. Before any thread is started. */
bool quorated_failpoints_set(void);

#endif
