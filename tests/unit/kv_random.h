/* SPDX-License-Identifier: Apache-2.0 */
/* Random requests over a small set of keys, for the differential and the codec tests. */
#ifndef QUORATE_TESTS_UNIT_KV_RANDOM_H
#define QUORATE_TESTS_UNIT_KV_RANDOM_H

#include "base/arena.h"
#include "base/rand.h"
#include "proto/msg/kv.h"

#define RANDOM_KEYS 14u
extern const struct slice random_keys[RANDOM_KEYS]; /* in order; some are hard to sort */

struct random_source {
    struct base_rand rand;
    struct base_arena *arena; /* for lists; must be large enough */
    int64_t revision;         /* about the current one; older and newer ones are asked for */
    bool has_leases;          /* and compactions */
};

#define RANDOM_LEASES 5u /* ids from 1 on */

/* RANGE, PUT, DELETE, TXN; with has_leases also LEASE_GRANT, LEASE_REVOKE, COMPACT. Some of them
 * are refused by the checks. */
struct kv_request random_request(struct random_source *source);
uint64_t random_below(struct random_source *source, uint64_t bound);
struct slice random_value(struct random_source *source);

#endif
