/* SPDX-License-Identifier: Apache-2.0 */
/* The fault scheduler. Each seed draws which faults it uses and how often (swarm testing), then
 * strikes at random moments, with a preference for whoever leads or holds. Every fault has a
 * counter of how often it really bit.
 */
#ifndef QUORATE_TESTS_SIM_FAULTS_H
#define QUORATE_TESTS_SIM_FAULTS_H

#include "tests/sim/world.h"

/* Quorum first, then database hosts: the latter are drawn only when there are any. */
#define FAULT_KINDS(X) \
    X(NODE_CRASH, "node-crash") \
    X(NODE_PAUSE, "node-pause") \
    X(NODE_ISOLATE, "node-isolate") \
    X(NODE_CUT, "node-cut") \
    X(NODE_CUT_ONE_WAY, "node-cut-one-way") \
    X(QUORUM_LOST, "quorum-lost") \
    X(DISK_HANG, "disk-hang") \
    X(DISK_FAIL, "disk-fail") \
    X(RESET, "reset") \
    X(SLOW_LINK, "slow-link") \
    X(LEADER_FLIP, "leader-flip") \
    X(DATABASE_CRASH, "database-crash") \
    X(DATABASE_HANG, "database-hang") \
    X(HOST_POWER, "host-power") \
    X(HOST_PAUSE, "host-pause") \
    X(AGENT_CRASH, "agent-crash") \
    X(AGENT_PAUSE, "agent-pause") \
    X(AGENT_CUT, "agent-cut") \
    X(AGENT_CUT_ONE_WAY, "agent-cut-one-way") \
    X(HOST_ISOLATE, "host-isolate") \
    X(REPLICATION_CUT, "replication-cut") \
    X(SPLIT, "split") \
    X(SWITCHOVER, "switchover") \
    X(GUARD_CRASH, "guard-crash") \
    X(STANDSTILL, "host-standstill") \
    X(ROLLING, "rolling-crash") \
    X(RESTORE, "quorum-restored")

enum fault_kind {
#define FAULT_ENUM(id, name) FAULT_##id,
    FAULT_KINDS(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KIND_COUNT
};
#define FAULT_FIRST_DATABASE FAULT_DATABASE_CRASH
#define FAULT_DRAWN_COUNT FAULT_RESTORE /* that one has seeds of its own */

struct faults {
    struct base_rand rand;
    unsigned weight[FAULT_KIND_COUNT];
    unsigned weight_sum;
    uint64_t bit[FAULT_KIND_COUNT];
    int64_t gap_max_us;
};

void faults_open(struct world *w);
void faults_close(struct world *w);
const char *fault_name(enum fault_kind kind);

#endif
