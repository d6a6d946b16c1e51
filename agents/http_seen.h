/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent's process has seen since it started, kept for its HTTP answers alone.
 *
 * The stalls of its loop as a histogram, who held which epoch, the configuration document. Fixed
 * memory, no decisions: nothing that the core does depends on it. The shell (agents/shell/health.c)
 * feeds it. Pure.
 */
#ifndef QUORATE_AGENTS_HTTP_SEEN_H
#define QUORATE_AGENTS_HTTP_SEEN_H

#include "base/slice.h"
#include "proto/msg/agent.h"

#define AGT_HTTP_EPOCHS_MAX 64

/* Upper bounds of the stalls counted together, in microseconds; the last one has none. */
#define AGT_HTTP_PAUSES(X) \
    X(1000, "0.001") \
    X(2000, "0.002") \
    X(5000, "0.005") \
    X(10000, "0.01") \
    X(20000, "0.02") \
    X(50000, "0.05") \
    X(100000, "0.1") \
    X(200000, "0.2") \
    X(500000, "0.5") \
    X(1000000, "1") \
    X(2000000, "2") \
    X(5000000, "5") \
    X(INT64_MAX, "+Inf")
#define AGT_HTTP_PAUSE_ONE(...) +1
enum { AGT_HTTP_PAUSES_COUNT = 0 AGT_HTTP_PAUSES(AGT_HTTP_PAUSE_ONE) };

struct agt_http_epoch {
    uint64_t epoch;
    struct base_name holder;
    int64_t since_wall_us;
};

struct agt_http_seen {
    uint64_t pauses[AGT_HTTP_PAUSES_COUNT]; /* each bound apart */
    uint64_t pauses_count;
    int64_t pauses_sum_us;
    uint8_t epochs_count; /* ascending; the oldest fall out */
    struct agt_http_epoch epochs[AGT_HTTP_EPOCHS_MAX];
    int64_t root_started_wall_us; /* of the database's root process; 0: unknown */
    uint64_t config_revision;     /* 0: no document came */
    uint32_t config_len;
    char config[MSG_CONFIG_MAX];
};

void agt_http_seen_pause(struct agt_http_seen *seen, int64_t late_us);
void agt_http_seen_record(struct agt_http_seen *seen, const struct msg_record *record);
void agt_http_seen_config(struct agt_http_seen *seen, uint64_t revision, struct slice text);
/* NULL: not seen by this process. */
const struct agt_http_epoch *agt_http_seen_epoch(const struct agt_http_seen *seen, uint64_t epoch);

#endif
