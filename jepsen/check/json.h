/* SPDX-License-Identifier: Apache-2.0 */
/* Histories as JSON lines; README.md beside this file documents the format. The reader works over
 * slices, allocates nothing, and refuses what it does not understand with the number of the line: a
 * history that is half read is worse than none.
 */
#ifndef QUORATE_JEPSEN_CHECK_JSON_H
#define QUORATE_JEPSEN_CHECK_JSON_H

#include "jepsen/check/history.h"

/* One line with its newline; is_full of `out` tells when it did not fit. */
void chk_json_write(struct buf *out, const struct chk_history *h, const struct chk_op *op);
/* Reads one line (without newline) into the history; a completion closes the invocation of the same
 * process. BASE_E_PROTO malformed, BASE_E_NOSPACE history full, BASE_E_STATE an invocation within
 * an invocation. */
MUST_CHECK int chk_json_read_line(struct chk_history *h, struct slice line, const char **ret_why);
/* Reads all lines; on failure *ret_line is the number of the bad line, from 1, and *ret_why a
 * static text. */
MUST_CHECK int chk_json_read(struct chk_history *h, struct slice text, size_t *ret_line,
                             const char **ret_why);

#endif
