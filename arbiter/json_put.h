/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a JSON object, one after the other: each puts a comma before itself unless it is the
 * first of its object. What does not fit leaves `out` marked as full. */
#ifndef QUORATE_ARBITER_JSON_PUT_H
#define QUORATE_ARBITER_JSON_PUT_H

#include "base/slice.h"
#include "base/types.h"

/* A quoted, escaped JSON string. */
void arb_json_text(struct buf *out, struct slice text);

/* The key alone; its value is the caller's to put. */
void arb_put_key(struct buf *out, const char *key);
void arb_put_text(struct buf *out, const char *key, struct slice text);
void arb_put_word(struct buf *out, const char *key, const char *word);
void arb_put_name(struct buf *out, const char *key, const struct base_name *name);
void arb_put_number(struct buf *out, const char *key, uint64_t value);
void arb_put_signed(struct buf *out, const char *key, int64_t value);
void arb_put_bool(struct buf *out, const char *key, bool value);

#endif
