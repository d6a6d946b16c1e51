/* SPDX-License-Identifier: Apache-2.0 */
/* Two answers in JSON, compared but for what must differ between two clusters: ids of cluster and
 * members, terms, Raft indexes, sizes, hashes, tokens, URLs. */
#ifndef QUORATE_TESTS_DIFFERENTIAL_COMPARE_H
#define QUORATE_TESTS_DIFFERENTIAL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

/* The answer as text with what differs by nature masked, keys sorted, one line per message;
 * bytes that are not JSON stay as they are. `mask`: further member names, comma separated, or NULL.
 * malloc'ed. */
char *compare_normalize(const char *body, size_t len, const char *mask);

/* What clients decide by, and nothing else: code, succeeded, keys, values, versions, revisions,
 * counts, in their order. malloc'ed. */
char *compare_essence(const char *body, size_t len);

#endif
