/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers as a value: a counter-based generator keyed by (seed, stream).
 *
 * Two streams of one seed are independent, so that taking the faults of one link out of a
 * simulation moves nothing else. Not for secrets: those come from OpenSSL. The mixing function is
 * the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
 */
#ifndef QUORATE_BASE_RAND_H
#define QUORATE_BASE_RAND_H

#include "base/types.h"

struct base_rand {
    uint64_t key;
    uint64_t counter;
};

struct base_rand base_rand_make(uint64_t seed, uint64_t stream);
uint64_t base_rand_next(struct base_rand *r);
/* Uniform in [low, high], both included; low <= high. */
uint64_t base_rand_between(struct base_rand *r, uint64_t low, uint64_t high);
/* True with the probability of `ppm` in a million. */
bool base_rand_chance_ppm(struct base_rand *r, uint32_t ppm);

#endif
