/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the key-value store: gets, puts, deletes, conditional writes and transactions, one at
 * a time each, all written down as a history that jepsen/check judges at the end of the run.
 */
#ifndef QUORATE_TESTS_SIM_KV_LOAD_H
#define QUORATE_TESTS_SIM_KV_LOAD_H

#include "tests/sim/world.h"

void kv_load_open(struct world *w);
void kv_load_close(struct world *w);
/* Linearizable? World fails when not, or when the checkers cannot tell. */
void kv_load_check(struct world *w);
/* The quorum begins anew from an older state: the history so far is judged, and a new one begins,
 * with other keys. */
void kv_load_restart(struct world *w);
/* True time of the last operation that succeeded. */
int64_t kv_load_last_ok_us(const struct world *w);
/* Writes the history as JSON lines to standard output. */
void kv_load_print(const struct world *w);

#endif
