/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of the lease, both sides of it, in one place.
 *
 * Contract: (ttl - margin) / (1 - d) + freeze <= ttl * (1 + drift) / (1 + d), where d bounds how
 * much any clock may run fast or slow, drift is what the leader adds, margin what the holder takes
 * off, and freeze the time from the holder's deadline until its whole process tree is seen stopped.
 * Used by arbiter/core (the leader's wait), agents/core (the holder's deadline) and the guard (how
 * long a freeze may take).
 */
#ifndef QUORATE_BASE_LEASE_MATH_H
#define QUORATE_BASE_LEASE_MATH_H

#include "base/canary.h"
#include "base/types.h"

#define LEASE_CLOCK_ERROR_PERCENT 1 /* d */
#define LEASE_DRIFT_PERCENT 1       /* what the leader adds to the ttl */
#define LEASE_MARGIN_PERCENT 10     /* what the holder takes off the ttl */

#define LEASE_TTL_MIN_MS 600
#define LEASE_TTL_MAX_MS 60000
#define LEASE_TTL_DEFAULT_MS 2000
#define LEASE_HEARTBEAT_DEFAULT_MS 250
#define LEASE_HEARTBEATS_PER_TTL_MIN 4
#define LEASE_FREEZE_MAX_DEFAULT_MS 3000

/* How long the leader holds a lease to be running after its last grant or its election, on its
 * clock. */
static inline int64_t lease_wait_us(int64_t ttl_us)
{
    if (CANARY(NO_MARGIN)) {
        return ttl_us;
    }
    return ttl_us + ttl_us / 100 * LEASE_DRIFT_PERCENT + LEASE_DRIFT_PERCENT;
}

/* What the holder takes off: its deadline is the send time of the report + ttl - margin, on its
 * clock. */
static inline int64_t lease_margin_us(int64_t ttl_us)
{
    return CANARY(NO_MARGIN) ? 0 : ttl_us / 100 * LEASE_MARGIN_PERCENT;
}

static inline struct base_mono lease_deadline(struct base_mono sent, int64_t ttl_us)
{
    return base_mono_add_us(sent, ttl_us - lease_margin_us(ttl_us));
}

/* A tree that is not seen stopped this long after the deadline is killed. */
static inline int64_t lease_freeze_limit_us(int64_t ttl_us)
{
    return lease_margin_us(ttl_us) / 4;
}

/* What the contract leaves for the freeze, for a ttl of 100 units: 100 - 90 / 0.99, in percent of
 * the ttl. */
#define LEASE_FREEZE_ROOM(ttl) \
    ((ttl) * (100 + LEASE_DRIFT_PERCENT) / (100 + LEASE_CLOCK_ERROR_PERCENT) - \
     ((ttl) * (100 - LEASE_MARGIN_PERCENT)) / (100 - LEASE_CLOCK_ERROR_PERCENT))

_Static_assert(LEASE_DRIFT_PERCENT >= LEASE_CLOCK_ERROR_PERCENT,
               "the leader must add the clock error");
_Static_assert(LEASE_FREEZE_ROOM(1000000) >= 1000000 / 100 * LEASE_MARGIN_PERCENT * 3 / 4,
               "guard and twin need three quarters of the margin for freezing and killing");
_Static_assert(LEASE_HEARTBEAT_DEFAULT_MS *LEASE_HEARTBEATS_PER_TTL_MIN <= LEASE_TTL_DEFAULT_MS,
               "a lease must outlive some lost heartbeats");

#endif
