/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed draws once, before anything runs: sizes, features, limits, how wild the world is. One
 * line a field; scripts name them (`set nodes 3`), so that a later version of the drawing runs an
 * old script all the same. A field that a script does not name is 0. */
#ifndef QUORATE_TESTS_SIM_SETUP_H
#define QUORATE_TESTS_SIM_SETUP_H

#include <stdio.h>

#include "base/types.h"
#include "tests/sim/fault_kinds.h"

/*   type, name, what it is */
#define SETUP_FIELDS(X) \
    X(unsigned, nodes, "quorum nodes at the beginning") \
    X(unsigned, slots, "places for nodes, spare ones included") \
    X(bool, is_changing, "members come and go, logs are short, images are sent") \
    X(unsigned, clusters, "of databases") \
    X(unsigned, members, "database hosts of all clusters") \
    X(unsigned, kv_clients, "clients of the store") \
    X(unsigned, sql_clients, "clients of the databases") \
    X(bool, is_standstill, \
      "hosts and their clocks may stand still: outside of the lease's bounds") \
    X(uint32_t, drift_ppm, "of a clock, at most; above 10000 it breaks the declared bound") \
    X(bool, is_mixed, "nodes differ in their election times and limits") \
    X(uint32_t, chunk_bytes, "of an image in one message; 0: as usual") \
    X(uint32_t, memory_kib, "of entries that a node holds, at most; 0: as usual") \
    X(uint32_t, proposals_max, "not yet applied; 0: as usual") \
    X(uint32_t, quorum_heartbeat_ms, "between a leader's heartbeats; 0: as usual") \
    X(bool, is_vote_crash, "nodes like to lose power when they have voted") \
    X(uint32_t, election_min_ms, "") \
    X(uint32_t, election_max_ms, "") \
    X(bool, is_calm, "no fault at all: nothing may fail over") \
    X(bool, has_alarms, "the store is said to be full now and then") \
    X(uint32_t, checkpoint_ms, \
      "between two checkpoints of leases; 0: as usual, longer than a run") \
    X(bool, has_locks, "clients that want locks, with leases of their own") \
    X(bool, has_people, "users with roles, authentication on and off") \
    X(bool, has_admins, "settings change, pauses, drains, orders to members, fences") \
    X(uint32_t, log_keep, "entries of the log kept behind what is applied durably; 0: many") \
    X(int64_t, faults_end_us, "when all faults are over") \
    X(int64_t, end_us, "when the run ends") \
    X(bool, is_ordered, "links keep order, as TCP does; else frames pass each other") \
    X(uint32_t, loss_ppm, "frames lost") \
    X(uint32_t, double_ppm, "frames doubled") \
    X(uint32_t, late_ppm, "frames late by up to a second") \
    X(int64_t, delay_min_us, "on a link") \
    X(int64_t, delay_max_us, "on a link") \
    X(int64_t, sync_min_us, "of a disk") \
    X(int64_t, sync_max_us, "of a disk") \
    X(bool, has_databases, "agents, guards and databases exist") \
    X(bool, is_restoring, "the quorum is lost and begins anew from an older image") \
    X(uint32_t, kv_off, "clients of the store that do nothing, as bits") \
    X(uint32_t, kv_ops_max, "operations of the store in all; 0: no limit") \
    X(uint32_t, sql_off, "clients of the databases that do nothing, as bits") \
    X(bool, is_cut_down, "by shrinking: little may happen and the end may come early") \
    X(unsigned, galera_members, "database hosts of a Galera cluster, behind those of PostgreSQL") \
    X(unsigned, galera_flush, "its innodb_flush_log_at_trx_commit") \
    X(bool, has_arbitrator, "a garbd runs beside the first quorum node") \
    X(bool, has_hands, "operators bootstrap by hand, and accept losses") \
    X(bool, has_galera_admins, "pauses, drains, orders to members of the Galera cluster") \
    X(bool, is_fast_takeover, "a writer that Galera has evicted is not waited for") \
    X(unsigned, mongodb_members, "hosts of a MongoDB set, and no other database") \
    X(bool, has_mongodb_arbiter, "the last of them has no data") \
    X(unsigned, mongodb_release, "42 .. 80") \
    X(uint32_t, mongodb_window, "entries that an oplog keeps") \
    X(unsigned, mongodb_policy, "its document of settings, as bits: mongo_operator.c") \
    X(bool, has_mongodb_admins, "pauses, drains, orders to members of the MongoDB set") \
    X(bool, has_mongodb_force, "a majority is lost for good, and somebody says so") \
    X(bool, has_mongodb_ladder, "a primary's disk hangs for long, other hosts are well") \
    X(bool, has_mongodb_token, "a majority is lost, and a spent token of force is used again") \
    X(bool, has_mongodb_parted, \
      "no member hears another, one stays primary, people want something") \
    X(bool, is_mongodb_restored, "directories go back to older images: votes are forgotten") \
    X(uint32_t, watchdog_ms, "a watchdog of that timeout guards each database host")

#define MONGODB_LADDER_END_US (80 * SECOND) /* by then the ladder has been climbed */
#define MONGODB_LOST_US (60 * SECOND)       /* by then the majority is lost */
#define MONGODB_STORY_US (200 * SECOND)     /* a story of its own is told by then */

/* Of one database cluster; scripts name it `set db1.ttl_ms 2000`. */
#define DB_SETUP_FIELDS(X) \
    X(unsigned, first, "its members are the places from here on") \
    X(unsigned, members, "how many") \
    X(uint32_t, ttl_ms, "the holder's lease") \
    X(uint32_t, heartbeat_ms, "between two reports of an agent") \
    X(uint32_t, freeze_max_ms, "how long the guard freezes at most") \
    X(uint32_t, sync_count, "how many standbys a commit waits for") \
    X(bool, is_async, "commits wait for no standby") \
    X(uint32_t, lag_bytes, "what an asynchronous failover may lose at most; 0: as founded") \
    X(bool, is_strict, "commits never go on without a standby") \
    X(unsigned, adopting, "its database was there before: 1 stopped, 2 running")

#define DB_CLUSTERS_MAX 3

#define SETUP_FIELD(type, name, text) type name;
struct db_setup {
    DB_SETUP_FIELDS(SETUP_FIELD)
};

struct setup {
    SETUP_FIELDS(SETUP_FIELD)
    struct db_setup databases[DB_CLUSTERS_MAX];
};
#undef SETUP_FIELD

/* What the command line asks for. */
struct setup_wish {
    bool is_calm, is_kv_only, is_restoring, has_admins, is_galera, is_mongodb, has_hosts;
    bool is_mongodb_token, is_mongodb_parted; /* with is_mongodb: this story */
    bool is_often[FAULT_KIND_COUNT]; /* a kind that is to be most of what goes wrong, where the
                                        seed can have it */
};

void setup_draw(uint64_t seed, const struct setup_wish *wish, struct setup *ret);
/* False when there is no such field. */
bool setup_set(struct setup *s, const char *name, int64_t value);
/* One `set NAME VALUE` a line, zeros left out, each with what it is. */
void setup_write(const struct setup *s, FILE *out);

#endif
