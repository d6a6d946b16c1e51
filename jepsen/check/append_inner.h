/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by append.c and append_cycles.c: what is known of every appended value and of every key.
 */
#ifndef QUORATE_JEPSEN_CHECK_APPEND_INNER_H
#define QUORATE_JEPSEN_CHECK_APPEND_INNER_H

#include "jepsen/check/append.h"

struct element {
    uint32_t key;
    uint32_t tx;
    int64_t value;
    uint32_t order;  /* place in the longest list, from 1; 0 in none */
    uint32_t before; /* element of the same transaction and key before it, plus 1; 0 none */
    bool is_last;    /* of its transaction on this key */
};

/* The longest list read of a key. */
struct version {
    uint32_t step; /* number of the reading step, plus 1; 0 nobody read */
    uint32_t count;
    uint32_t reader;
    uint64_t reads;
    int64_t last_call_us; /* of all reads */
};

struct append {
    const struct chk_log *log;
    const struct chk_append_options *options;
    struct chk_report *report;
    struct element *elements;
    uint32_t elements_count;
    uint32_t *index; /* of elements plus 1, open addressing */
    size_t index_cap;
    struct version *versions; /* by name */
    uint64_t reads;
};

static inline int64_t version_value(const struct append *a, const struct version *v, uint32_t at)
{
    return a->log->values[a->log->steps[v->step - 1].first + at];
}

void append_cycles(struct append *a, struct base_arena *arena);
/* The element of a value, or NULL. */
const struct element *append_element(const struct append *a, uint32_t key, int64_t value);
/* How much of a read list is from before the transaction itself; UINT32_MAX when the read disagrees
 * with its own transaction. */
uint32_t append_outer(const struct append *a, uint32_t tx, uint32_t at);
bool append_is_prefix(const struct append *a, const struct chk_tx_step *read);

#endif
