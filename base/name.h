/* SPDX-License-Identifier: Apache-2.0 */
/* Making and comparing bounded names and texts. Pure. */
#ifndef QUORATE_BASE_NAME_H
#define QUORATE_BASE_NAME_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

/* Checks the rule of struct base_name and copies. BASE_E_INVALID when it is broken; *ret untouched
 * then. */
MUST_CHECK int base_name_from(struct slice text, struct base_name *ret);
/* The same from a literal or a NUL-terminated text of ours. */
MUST_CHECK int base_name_from_text(const char *text, struct base_name *ret);
bool base_name_is_empty(const struct base_name *name);
bool base_name_equal(const struct base_name *a, const struct base_name *b);
/* memcmp order: <0, 0, >0. */
int base_name_compare(const struct base_name *a, const struct base_name *b);
struct slice base_name_slice(const struct base_name *name);

/* Copies at most BASE_TEXT_MAX bytes; a longer text is cut. Bytes below space become '?'. */
struct base_text base_text_from(struct slice text);
struct slice base_text_slice(const struct base_text *text);

#endif
