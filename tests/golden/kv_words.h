/* SPDX-License-Identifier: Apache-2.0 */
/* Key-value requests out of words, and answers into words; for drive_kv.c. */
#ifndef QUORATE_TESTS_GOLDEN_KV_WORDS_H
#define QUORATE_TESTS_GOLDEN_KV_WORDS_H

#include "kv/core/apply.h"
#include "tests/golden/golden.h"

/* Words of the line, borrowed; "to=*" is all keys from the first one on. */
struct kv_request kv_words_put(const struct golden_line *line);
struct kv_request kv_words_get(const struct golden_line *line);
struct kv_request kv_words_delete(const struct golden_line *line);
/* "txn if KEY.TARGET OP VALUE ... then OP... else OP...", with put K V, get K, del K as
 * operations; lists live until the next call. */
struct kv_request kv_words_txn(const struct golden_line *line);
struct slice kv_words_end(const struct golden_line *line);

/* "key = value (create 2, mod 3, version 1)". */
void kv_words_say_pair(const char *before, const struct kv_pair *pair);
void kv_words_say_outcome(const struct kv_outcome *outcome);

#endif
