/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a JSON line, for the readers of histories: texts without escapes, integers, arrays.
 *
 * The scanner works over a slice of the caller, allocates nothing and keeps the first complaint as
 * a static text in `why`. All functions return 0 or BASE_E_PROTO.
 */
#ifndef QUORATE_JEPSEN_CHECK_SCAN_H
#define QUORATE_JEPSEN_CHECK_SCAN_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

#define CHK_TIME_MAX (INT64_C(1) << 55) /* a thousand years */

struct chk_scan {
    struct slice left;
    const char *why;
};

/* Notes the complaint, gives BASE_E_PROTO. */
MUST_CHECK int chk_scan_bad(struct chk_scan *s, const char *why);
/* Takes the character when it is the next one behind spaces. */
bool chk_scan_char(struct chk_scan *s, char c);
/* The same, and a complaint when it is not. */
MUST_CHECK int chk_scan_need(struct chk_scan *s, char c);
/* An array: take(ctx) for each element, which gives 0 or an error that ends it. */
MUST_CHECK int chk_scan_array(struct chk_scan *s, int (*take)(void *ctx), void *ctx);
/* A text; *ret is borrowed from the line. */
MUST_CHECK int chk_scan_text(struct chk_scan *s, struct slice *ret);
MUST_CHECK int chk_scan_integer(struct chk_scan *s, int64_t *ret);
/* A moment or duration in microseconds: an integer far from overflow. */
MUST_CHECK int chk_scan_time(struct chk_scan *s, int64_t *ret);
/* A text that is one of `names`; *ret is its number. */
MUST_CHECK int chk_scan_word(struct chk_scan *s, const char *const *names, size_t count,
                             size_t *ret);
/* Takes the bare word (null, true, false) when it is the next one. */
bool chk_scan_bare(struct chk_scan *s, const char *word);
/* Passes over one text, number, null, true or false. */
MUST_CHECK int chk_scan_skip(struct chk_scan *s);
/* Nothing but spaces may be left. */
MUST_CHECK int chk_scan_end(struct chk_scan *s);

/* Takes the first line (without its newline) off *text; false when nothing is left. */
bool chk_scan_line(struct slice *text, struct slice *ret_line);

#endif
