/* SPDX-License-Identifier: Apache-2.0 */
/* The table of faults: everything that goes wrong on purpose, one line a kind. A line says when it
 * is drawn, how often it must really have bitten in 1000 seeds (or `sim --check` fails; 0: seldom
 * by nature), and the function that does it, for those that are on a seed's schedule. */
#ifndef QUORATE_TESTS_SIM_FAULT_KINDS_H
#define QUORATE_TESTS_SIM_FAULT_KINDS_H

/* Bad luck is met in the canary variant only (luck.h). */
#ifdef QUORATE_CANARIES
#define LUCK_FLOOR 50
#else
#define LUCK_FLOOR 0
#endif

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
    X(WRITE_FAIL, "write-fail", NODE, 50, strike_write_fail) \
    X(NODE_DISK_FULL, "node-disk-full", NODE, 50, strike_node_disk_full) \
    X(FLAPPING, "flapping", NODE, 50, strike_flapping) \
    X(CLOG, "clog", NODE, 50, strike_clog) \
    X(REPLAY, "replay", NODE, 50, strike_replay) \
    X(WALL_JUMP, "wall-jump", NODE, 50, strike_wall_jump) \
    X(LUCK_FAIL, "luck-fail", NODE, LUCK_FLOOR, strike_luck_fail) \
    X(LUCK_PAUSE, "luck-pause", NODE, LUCK_FLOOR, strike_luck_pause) \
    X(LUCK_CRASH, "luck-crash", NODE, LUCK_FLOOR, strike_luck_crash) \
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
    X(HIDDEN_HOLDER, "hidden-holder", DATABASE, 50, strike_hidden_holder) \
    X(LATE_GRANT, "late-grant", DATABASE, 50, strike_late_grant) \
    X(SLOW_VOTE, "slow-vote", DATABASE, 50, strike_slow_vote) \
    X(LATE_ANSWERS, "late-answers", DATABASE, 50, strike_late_answers) \
    X(SWAP_STALLS, "swap-stalls", DATABASE, 50, strike_swap_stalls) \
    X(VOTE_IN_VAIN, "vote-in-vain", DATABASE, 50, strike_vote_in_vain) \
    X(SHORT_LIVES, "short-lives", DATABASE, 50, strike_short_lives) \
    X(CRASH_WITH_GRANT, "crash-with-grant", DATABASE, 50, strike_crash_with_grant) \
    X(DIVERGENT_TAIL, "divergent-tail", DATABASE, 50, strike_divergent_tail) \
    X(TWO_HOSTS, "two-hosts", DATABASE, 50, strike_two_hosts) \
    X(OLD_LEADER, "old-leader", DATABASE, 20, strike_old_leader) \
    X(LAGGING_STANDBY, "lagging-standby", DATABASE, 20, strike_lagging_standby) \
    X(DEAF_PRIMARY, "deaf-primary", DATABASE, 20, strike_deaf_primary) \
    X(WAIT_CANCELLED, "wait-cancelled", DATABASE, 50, strike_wait_cancelled) \
    X(SLOW_STOP, "slow-stop", DATABASE, 10, strike_slow_stop) \
    X(PROMOTION_FAILS, "promotion-fails", DATABASE, 20, strike_promotion_fails) \
    X(CRASH_PROMOTING, "crash-while-promoting", DATABASE, 20, strike_crash_promoting) \
    X(PROMOTED_BY_HAND, "promoted-by-hand", DATABASE, 50, strike_promoted_by_hand) \
    X(STARTED_BY_HAND, "started-by-hand", DATABASE, 20, strike_started_by_hand) \
    X(WAL_RECYCLED, "wal-recycled", DATABASE, 20, strike_wal_recycled) \
    X(DATABASE_DISK_FULL, "database-disk-full", DATABASE, 20, strike_database_disk_full) \
    X(STANDSTILL, "host-standstill", STANDSTILL, 50, strike_standstill)

/* Those that no schedule holds: they come with the seed's setup, or with a chore of the operator.
 * Whoever does one calls fault_bit, or fault_count where it would fill the story. */
/*   id, name, floor in 1000 seeds */
#define FAULT_KINDS_OTHER(X) \
    X(RESTORE, "quorum-restored", 50) \
    X(FRAME_LOST, "frame-lost", 50000) \
    X(FRAME_DOUBLED, "frame-doubled", 50000) \
    X(FRAME_LATE, "frame-late", 50000) \
    X(FRAME_OVERTAKEN, "frame-overtaken", 50000) \
    X(VOTE_CRASH, "vote-crash", 50) \
    X(PART_WRITTEN, "part-written", 50) \
    X(DISK_LOST, "disk-lost", 50) \
    X(DRIFT, "drift-beyond-bound", 10) \
    X(FENCED, "host-fenced", 10) \
    X(DATABASE_DISK_HANG, "database-disk-hang", 10)

/* Drawn where there is a Galera cluster; floors count in `sim --galera --check` alone. */
/*   id, name, floor in 1000 seeds, function */
#define FAULT_KINDS_GALERA(X) \
    X(GALERA_CRASH, "galera-crash", 50, strike_galera_crash) \
    X(GALERA_PAUSE, "galera-pause", 50, strike_galera_pause) \
    X(GALERA_HOST_PAUSE, "galera-host-pause", 50, strike_galera_host_pause) \
    X(GALERA_HOST_POWER, "galera-host-power", 50, strike_galera_host_power) \
    X(GALERA_AGENT_CRASH, "galera-agent-crash", 50, strike_galera_agent_crash) \
    X(GALERA_AGENT_PAUSE, "galera-agent-pause", 50, strike_galera_agent_pause) \
    X(GALERA_AGENT_CUT, "galera-agent-cut", 50, strike_galera_agent_cut) \
    X(GALERA_GUARD_CRASH, "galera-guard-crash", 50, strike_galera_guard_crash) \
    X(GALERA_LINK, "galera-link-cut", 50, strike_galera_link) \
    X(GALERA_LINK_ONE_WAY, "galera-link-one-way", 50, strike_galera_link_one_way) \
    X(GALERA_ISOLATE, "galera-isolate", 50, strike_galera_isolate) \
    X(GALERA_HOST_ISOLATE, "galera-host-isolate", 50, strike_galera_host_isolate) \
    X(GALERA_OUTAGE, "galera-outage", 50, strike_galera_outage) \
    X(GALERA_BLACKOUT, "galera-blackout", 50, strike_galera_blackout) \
    X(GALERA_LAGGING, "galera-lagging-outage", 20, strike_galera_lagging) \
    X(GALERA_APPLIER, "galera-applier-blocked", 50, strike_galera_applier) \
    X(GALERA_JOINER, "galera-joiner-killed", 5, strike_galera_joiner) \
    X(GALERA_ROLLING, "galera-rolling-crash", 50, strike_galera_rolling) \
    X(GALERA_STOPPED, "galera-stopped", 50, strike_galera_stopped) \
    X(GALERA_SWITCHOVER, "galera-switchover", 0, strike_galera_switchover) \
    X(GALERA_ALONE, "galera-alone", 20, strike_galera_alone) \
    X(GALERA_GRANT_CUT, "galera-grant-cut", 20, strike_galera_grant_cut) \
    X(GALERA_LEFT_BEHIND, "galera-left-behind", 20, strike_galera_left_behind) \
    X(GALERA_BY_HAND, "galera-bootstrap-by-hand", 0, strike_galera_by_hand)

/* With `--hosts`, where hosts have watchdogs; the rest of it is no schedule's. */
/*   id, name, floor in 1000 seeds, function */
#define FAULT_KINDS_HOSTS(X) X(GUARD_HANG, "guard-hang", 300, strike_guard_hang)

/* Drawn where there is a MongoDB set; floors count in `sim --mongodb --check` alone. */
/*   id, name, floor in 1000 seeds, function */
#define FAULT_KINDS_MONGODB(X) \
    X(MONGODB_CRASH, "mongodb-crash", 50, strike_mongodb_crash) \
    X(MONGODB_PAUSE, "mongodb-pause", 50, strike_mongodb_pause) \
    X(MONGODB_HOST_PAUSE, "mongodb-host-pause", 50, strike_mongodb_host_pause) \
    X(MONGODB_HOST_POWER, "mongodb-host-power", 50, strike_mongodb_host_power) \
    X(MONGODB_AGENT_CRASH, "mongodb-agent-crash", 50, strike_mongodb_agent_crash) \
    X(MONGODB_AGENT_PAUSE, "mongodb-agent-pause", 50, strike_mongodb_agent_pause) \
    X(MONGODB_AGENT_CUT, "mongodb-agent-cut", 50, strike_mongodb_agent_cut) \
    X(MONGODB_GUARD_CRASH, "mongodb-guard-crash", 50, strike_mongodb_guard_crash) \
    X(MONGODB_LINK, "mongodb-link-cut", 50, strike_mongodb_link) \
    X(MONGODB_LINK_ONE_WAY, "mongodb-link-one-way", 50, strike_mongodb_link_one_way) \
    X(MONGODB_ISOLATE, "mongodb-isolate", 50, strike_mongodb_isolate) \
    X(MONGODB_HOST_ISOLATE, "mongodb-host-isolate", 50, strike_mongodb_host_isolate) \
    X(MONGODB_DISK_STUCK, "mongodb-disk-stuck", 50, strike_mongodb_disk_stuck) \
    X(MONGODB_DISK_FULL, "mongodb-disk-full", 50, strike_mongodb_disk_full) \
    X(MONGODB_HELLO_HUNG, "mongodb-hello-hung", 50, strike_mongodb_hello_hung) \
    X(MONGODB_LOGIN, "mongodb-login-refused", 50, strike_mongodb_login) \
    X(MONGODB_APPLIER, "mongodb-applier-blocked", 50, strike_mongodb_applier) \
    X(MONGODB_OUTAGE, "mongodb-outage", 50, strike_mongodb_outage) \
    X(MONGODB_LONG_OFF, "mongodb-long-off", 20, strike_mongodb_long_off) \
    X(MONGODB_BY_HAND, "mongodb-by-hand", 50, strike_mongodb_by_hand) \
    X(MONGODB_SWITCHOVER, "mongodb-switchover", 0, strike_mongodb_switchover) \
    X(MONGODB_RESTORED, "mongodb-restored", 0, strike_mongodb_restored)

enum fault_kind {
#define FAULT_ENUM(id, name, group, floor, fn) FAULT_##id,
    FAULT_KINDS_DRAWN(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_DRAWN_COUNT,
    FAULT_BEFORE_OTHER = FAULT_DRAWN_COUNT - 1,
#define FAULT_ENUM(id, name, floor) FAULT_##id,
    FAULT_KINDS_OTHER(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_GALERA_FIRST,
    FAULT_BEFORE_GALERA = FAULT_GALERA_FIRST - 1,
#define FAULT_ENUM(id, name, floor, fn) FAULT_##id,
    FAULT_KINDS_GALERA(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_GALERA_TAIL_LOST, /* rows that a crash took back; no schedule has it */
    FAULT_HOSTS_FIRST,
    FAULT_BEFORE_HOSTS = FAULT_HOSTS_FIRST - 1,
#define FAULT_ENUM(id, name, floor, fn) FAULT_##id,
    FAULT_KINDS_HOSTS(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_WATCHDOG_RESET, /* it was not fed, and has reset its host; no schedule has it */
    FAULT_MONGODB_FIRST,
    FAULT_BEFORE_MONGODB = FAULT_MONGODB_FIRST - 1,
#define FAULT_ENUM(id, name, floor, fn) FAULT_##id,
    FAULT_KINDS_MONGODB(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KIND_COUNT
};

#endif
