/* SPDX-License-Identifier: Apache-2.0 */
/* The bank checker: transfers move money, every reading of all balances must show the same total,
 * and no account below zero. */
#ifndef QUORATE_JEPSEN_CHECK_BANK_H
#define QUORATE_JEPSEN_CHECK_BANK_H

#include "jepsen/check/report.h"

/* `total` below 0: the sum of the "open" step, else of the first reading. Counts: readings,
 * wrong_total, negative, accounts_differ. `allow` names what is only counted. UNKNOWN when nothing
 * was read or moved. */
void chk_bank(const struct chk_log *log, int64_t total, const char *allow,
              struct chk_report *report);

#endif
