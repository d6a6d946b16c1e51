/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a frame on one directed link of the switch: decided here, without clock and
 * without I/O.
 *
 * Each link has random numbers of its own, keyed by the seed and its two ends, so that the same
 * frames meet the same fate whatever happens on other links. Frames leave in the order in which
 * they came unless one is chosen to be overtaken. Not thread-safe; never allocates. */
#ifndef QUORATE_JEPSEN_WIRE_LINK_H
#define QUORATE_JEPSEN_WIRE_LINK_H

#include "base/rand.h"

struct wire_rules {
    int64_t delay_us;  /* on the way */
    int64_t jitter_us; /* uniformly so much less or more */
    uint32_t loss_ppm;
    uint32_t burst_ppm;     /* a frame begins a burst in which all are lost ... */
    uint32_t burst_end_ppm; /* ... and each of them ends it with this probability */
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm; /* overtaken: later by twice the delay and a millisecond */
    uint32_t corrupt_ppm;
    uint32_t corrupt_port; /* only TCP with that port on either side; 0: any */
    int64_t rate;          /* bytes per second; 0: no limit */
    int64_t queue_bytes;   /* waiting for the rate; more are lost; 0: no limit */
    bool is_cut;
};

enum wire_count {
    WIRE_PASSED,
    WIRE_CUT,
    WIRE_LOST,
    WIRE_BURST,
    WIRE_QUEUE_FULL,
    WIRE_DUPLICATED,
    WIRE_REORDERED,
    WIRE_CORRUPTED, /* counted by the switch, when there was something to corrupt */
    WIRE_DELAYED,
    WIRE_COUNTS
};
extern const char *const wire_count_names[WIRE_COUNTS];

struct wire_link {
    struct base_rand rand;
    struct wire_rules rules;
    bool is_burst;
    int64_t free_at_us; /* when the rate lets the next frame begin */
    int64_t last_us;    /* when the latest frame in order leaves */
    uint64_t counts[WIRE_COUNTS];
};

struct wire_copy {
    int64_t at_us; /* when it leaves */
    bool is_corrupt;
    uint64_t dice; /* which bit, if corrupt */
};

struct wire_fate {
    size_t copies; /* 0: lost */
    struct wire_copy copy[2];
};

struct wire_link wire_link_make(uint64_t seed, unsigned from, unsigned to);
/* Decides over a frame of `len` bytes that came at `now_us`. */
void wire_link_pass(struct wire_link *link, size_t len, int64_t now_us, struct wire_fate *ret_fate);
/* Sets one rule by its name, as in "delay_us"; BASE_E_INVALID: no such rule, or a value it cannot
 * have. */
int wire_rules_set(struct wire_rules *rules, const char *name, int64_t value);

#endif
