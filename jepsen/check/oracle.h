/* SPDX-License-Identifier: Apache-2.0 */
/* Brute force: is there an order of a tiny history that real time and the replies allow? Tries them
 * all. The judge of the clever checkers, never used on histories of a run.
 */
#ifndef QUORATE_JEPSEN_CHECK_ORACLE_H
#define QUORATE_JEPSEN_CHECK_ORACLE_H

#include "jepsen/check/history.h"

#define CHK_ORACLE_OPS 9
#define CHK_ORACLE_KEYS 4

/* UNKNOWN when the history has more than CHK_ORACLE_OPS operations or CHK_ORACLE_KEYS keys. */
struct chk_result chk_oracle(const struct chk_history *h);

#endif
