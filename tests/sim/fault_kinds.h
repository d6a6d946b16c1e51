/* SPDX-License-Identifier: Apache-2.0 */
/* The table of faults: everything that goes wrong on purpose, one line a kind. A line says when it
 * is drawn, how often it must really have bitten in 1000 seeds (or `sim --check` fails; 0: seldom
 * by nature), and the function that does it, for those that are on a seed's schedule. */
#ifndef QUORATE_TESTS_SIM_FAULT_KINDS_H
#define QUORATE_TESTS_SIM_FAULT_KINDS_H

/* Groups: NODE is drawn in every seed, DATABASE where there are databases,
 * STANDSTILL where hosts may stand still. */
/*   id, name, group, floor in 1000 seeds, function */
#define FAULT_KINDS_DRAWN(X) \
    X(NODE_CRASH, "node-crash", NODE, 50, strike_node_crash) \
    X(NODE_PAUSE, "node-pause", NODE, 50, strike_node_pause) \
    X(NODE_ISOLATE, "node-isolate", NODE, 50, strike_node_isolate) \
    X(NODE_CUT, "node-cut", NODE, 50, strike_node_cut) \
    X(NODE_CUT_ONE_WAY, "node-cut-one-way", NODE, 50, strike_node_cut_one_way) \
    X(QUORUM_LOST, "quorum-lost", NODE, 50, strike_quorum_lost) \
    X(DISK_HANG, "disk-hang", NODE, 50, strike_disk_hang) \
    X(DISK_FAIL, "disk-fail", NODE, 50, strike_disk_fail) \
    X(RESET, "reset", NODE, 50, strike_reset) \
    X(SLOW_LINK, "slow-link", NODE, 50, strike_slow_link) \
    X(LEADER_FLIP, "leader-flip", NODE, 50, strike_leader_flip) \
    X(ROLLING, "rolling-crash", NODE, 50, strike_rolling) \
    X(DATABASE_CRASH, "database-crash", DATABASE, 50, strike_database_crash) \
    X(DATABASE_HANG, "database-hang", DATABASE, 50, strike_database_hang) \
    X(HOST_POWER, "host-power", DATABASE, 50, strike_host_power) \
    X(HOST_PAUSE, "host-pause", DATABASE, 50, strike_host_pause) \
    X(AGENT_CRASH, "agent-crash", DATABASE, 50, strike_agent_crash) \
    X(AGENT_PAUSE, "agent-pause", DATABASE, 50, strike_agent_pause) \
    X(AGENT_CUT, "agent-cut", DATABASE, 50, strike_agent_cut) \
    X(AGENT_CUT_ONE_WAY, "agent-cut-one-way", DATABASE, 50, strike_agent_cut_one_way) \
    X(HOST_ISOLATE, "host-isolate", DATABASE, 50, strike_host_isolate) \
    X(REPLICATION_CUT, "replication-cut", DATABASE, 50, strike_replication_cut) \
    X(SPLIT, "split", DATABASE, 50, strike_split) \
    X(SWITCHOVER, "switchover", DATABASE, 50, strike_switchover) \
    X(GUARD_CRASH, "guard-crash", DATABASE, 50, strike_guard_crash) \
    X(STANDSTILL, "host-standstill", STANDSTILL, 50, strike_standstill)

/* Those that no schedule holds: they come with the seed's setup, or with a chore of the operator.
 * Whoever does one calls fault_bit, or fault_count where it would fill the story. */
/*   id, name, floor in 1000 seeds */
#define FAULT_KINDS_OTHER(X) X(RESTORE, "quorum-restored", 50)

enum fault_kind {
#define FAULT_ENUM(id, name, group, floor, fn) FAULT_##id,
    FAULT_KINDS_DRAWN(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_DRAWN_COUNT,
    FAULT_BEFORE_OTHER = FAULT_DRAWN_COUNT - 1,
#define FAULT_ENUM(id, name, floor) FAULT_##id,
    FAULT_KINDS_OTHER(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KIND_COUNT
};

#endif
