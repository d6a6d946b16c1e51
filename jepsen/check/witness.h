/* SPDX-License-Identifier: Apache-2.0 */
/* The revision witness: replies carry the store's revision, and revisions claim an order; is it one
 * that real time and all replies allow?
 *
 * Rules, by name in the result's text: a revision belongs to one write ("revision twice"); real
 * time agrees ("order against real time"); each read equals the newest write at or below its
 * revision ("stale or foreign read"); a transaction's comparison is judged on the state just before
 * it ("comparison wrong"). A write of unknown outcome takes the revision under which a reader saw
 * its value, once ("seen before its call", "unknown write twice"). Runs in O(n log n) over memory
 * of the caller.
 */
#ifndef QUORATE_JEPSEN_CHECK_WITNESS_H
#define QUORATE_JEPSEN_CHECK_WITNESS_H

#include "jepsen/check/history.h"

/* Memory that chk_witness needs for a history of `count` operations and `keys` keys. */
size_t chk_witness_bytes(size_t count, size_t keys);
/* UNKNOWN only when the memory is too small or a reply lacks its revision. */
struct chk_result chk_witness(const struct chk_history *h, void *memory, size_t memory_bytes);

#endif
