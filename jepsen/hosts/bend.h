/* SPDX-License-Identifier: Apache-2.0 */
/* The page by which one host's clocks and disk are bent: shared between jepsen-bend, which writes
 * it, and bend.c, which is preloaded into every process of the host and obeys it.
 *
 * Readers take a consistent copy: `version` is odd while the writer is at work. A clock continues
 * from where it was when its rate changes: bent = base_bent + (real - base_real) * (1 + ppm /
 * 1,000,000). Counters say how often a reader or a writer of the host really got something bent. */
#ifndef QUORATE_JEPSEN_HOSTS_BEND_H
#define QUORATE_JEPSEN_HOSTS_BEND_H

#include <stdatomic.h>
#include <stdint.h>

#define BEND_MAGIC UINT32_C(0x51424e44)
/* Pages are found by the inode number of the host's time namespace. */
#define BEND_DIRECTORY "/dev/shm/quorate-bend"
#define BEND_PPM_STOPPED INT32_C(-1000000)

enum bend_clock { BEND_MONOTONIC, BEND_BOOTTIME, BEND_CLOCKS };

enum bend_count {
    BEND_WALL_READS,
    BEND_CLOCK_READS,
    BEND_SYNCS_SLOW,
    BEND_SYNCS_FAILED,
    BEND_SYNCS_LIED,
    BEND_WRITES_FAILED,
    BEND_COUNTS
};

struct bend_rules {
    int64_t wall_offset_us;
    int64_t base_real_ns[BEND_CLOCKS];
    int64_t base_bent_ns[BEND_CLOCKS];
    int32_t rate_ppm;      /* faster or slower than real; BEND_PPM_STOPPED: frozen */
    int32_t clocks_bent;   /* 0 until the first change of a clock */
    int32_t sync_delay_us; /* before each flush */
    int32_t sync_error;    /* errno of each flush, 0: none */
    int32_t sync_lies;     /* a flush says yes and does nothing */
    int32_t write_error;   /* errno of each write */
    uint64_t device;       /* only files there */
};

struct bend_page {
    uint32_t magic;
    atomic_uint version;
    struct bend_rules rules;
    atomic_ullong counts[BEND_COUNTS];
};

#endif
