/* SPDX-License-Identifier: Apache-2.0 */
/* Counter-based random numbers. */
#include "base/rand.h"

#include "base/assert.h"

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct base_rand base_rand_make(uint64_t seed, uint64_t stream)
{
    return (struct base_rand){.key = mix(mix(seed + 1) + stream * UINT64_C(0x9e3779b97f4a7c15))};
}

uint64_t base_rand_next(struct base_rand *r)
{
    r->counter++;
    return mix(r->key + r->counter * UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t base_rand_between(struct base_rand *r, uint64_t low, uint64_t high)
{
    BASE_ASSERT(low <= high);
    uint64_t span = high - low + 1; /* 0 means the whole range */
    uint64_t value = base_rand_next(r);
    return span == 0 ? value : low + value % span;
}

bool base_rand_chance_ppm(struct base_rand *r, uint32_t ppm)
{
    return base_rand_next(r) % 1000000 < ppm;
}
