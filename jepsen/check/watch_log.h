/* SPDX-License-Identifier: Apache-2.0 */
/* Watches from a file: changes of the store, and what each watch was told, line by line in the
 * order in which it happened; README.md documents the lines. Each response is judged as it is read.
 */
#ifndef QUORATE_JEPSEN_CHECK_WATCH_LOG_H
#define QUORATE_JEPSEN_CHECK_WATCH_LOG_H

#include "base/arena.h"
#include "jepsen/check/report.h"
#include "jepsen/check/watch.h"

/* Reads and judges all lines; the text must stay as long as the call lasts. Counts: changes,
 * watches, responses, events, and each broken rule. UNKNOWN when there was no event. BASE_E_PROTO
 * (and the like) for a bad line: *ret_line from 1, *ret_why static; the report says nothing then.
 * BASE_E_NOSPACE: too little memory. */
MUST_CHECK int chk_watch_log(struct slice text, struct base_arena *arena, struct chk_report *report,
                             size_t *ret_line, const char **ret_why);

#endif
