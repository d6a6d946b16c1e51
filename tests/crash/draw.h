/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the crash images' workload: mostly puts of many sizes, and a few of every kind that
 * changes another table of the state. */
#ifndef QUORATE_TESTS_CRASH_DRAW_H
#define QUORATE_TESTS_CRASH_DRAW_H

#include "base/rand.h"
#include "proto/msg/kv.h"

#define DRAW_MEMORY 8192u

/* id: of a lease, should it be one. applied: an index, near the revision. The slices of the request
 * lie in `memory`, DRAW_MEMORY bytes. */
struct kv_request draw_request(struct base_rand *rand, uint64_t id, uint64_t applied,
                               uint8_t *memory);

#endif
