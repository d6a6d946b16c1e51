/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in a run, counted. One line a count: its name, how much of it must have come
 * together in 1000 seeds (or `sim --check` fails; 0: no floor), and its name for people. All of it
 * goes into the JSON of `sim --json`. */
#ifndef QUORATE_TESTS_SIM_TALLY_H
#define QUORATE_TESTS_SIM_TALLY_H

#include "base/types.h"
#include "tests/sim/fault_kinds.h"

/*   name, floor in 1000 seeds, text */
#define TALLY_COUNTS(X) \
    X(simulated_us, 0, "simulated microseconds") \
    X(busy_us, 0, "simulated microseconds, idle stretches left out") \
    X(events, 0, "events") \
    X(frames, 0, "frames delivered") \
    X(elections, 1000, "leaders elected") \
    X(kv_ok, 500000, "key-value operations that succeeded") \
    X(kv_fail, 0, "key-value operations that failed") \
    X(kv_unknown, 0, "key-value operations of unknown outcome") \
    X(sql_acked, 200000, "commits acknowledged") \
    X(sql_fail, 0, "commits refused") \
    X(sql_unknown, 0, "commits of unknown outcome") \
    X(failovers, 1000, "failovers") \
    X(handovers, 0, "hand-overs of the databases") \
    X(reopened, 0, "returns of the former holder") \
    X(admin_orders, 500, "orders of administrators taken") \
    X(documents, 200, "documents of settings written") \
    X(pauses, 50, "pauses") \
    X(fencings, 20, "hosts to be fenced") \
    X(tasks_done, 50, "orders to members done") \
    X(confirmed_dead, 0, "holders confirmed dead") \
    X(failsafe_rounds, 20, "failsafe rounds that all have granted") \
    X(reinits, 20, "copies thrown away by order") \
    X(clones, 50, "databases copied by order") \
    X(forced, 0, "failovers that an operator forced") \
    X(hopeless, 0, "clusters in which every directory was spoiled or half made") \
    X(demotions, 5, "services handed over to another site") \
    X(adopted, 0, "servers taken over while they ran") \
    X(images, 500, "images installed") \
    X(changes, 1000, "changes of the quorum's members") \
    X(transfers, 100, "hand-overs of leadership") \
    X(chores, 20000, "leases kept, and compactions") \
    X(renewals, 50000, "renewals of leases answered") \
    X(expiries, 5000, "leases that ran out") \
    X(locks, 1000, "locks and elections won") \
    X(past_reads, 20000, "reads of the past held against the truth") \
    X(alarms, 500, "orders that the store is full, or is not any more") \
    X(full_puts, 200, "puts that a full store has refused") \
    X(permitted, 2000, "changes made by users who may") \
    X(logins, 200, "logins") \
    X(denied, 500, "requests of users who may not") \
    X(judged_elections, 1000, "elections judged by who voted") \
    X(judged_commits, 100000, "commits of leaders judged by who has them") \
    X(judged_rounds, 50000, "rounds of heartbeats judged by who answered") \
    X(judged_states, 500, "states compared between nodes") \
    X(judged_changes, 100000, "changes of the store followed") \
    X(judged_losses, 50, "commits lost by asynchronous failovers, held against the limit") \
    X(watches, 0, "watches") \
    X(watch_events, 1000000, "events told to watches") \
    X(watch_resumes, 20000, "watches resumed") \
    X(watch_compacted, 1000, "watches ended by compaction") \
    X(watch_half_open, 50, "connections of watches that the client gave up and the node still held")

/* Of Galera clusters; floors count in `sim --galera --check` alone. */
#define TALLY_GALERA(X) \
    X(galera_acked, 300000, "rows acknowledged by Galera") \
    X(galera_refused, 0, "rows refused") \
    X(galera_unknown, 0, "rows of unknown outcome") \
    X(galera_writers, 300, "changes of the writer") \
    X(galera_grants, 1000, "bootstraps granted") \
    X(galera_cold, 200, "of those, of servers that were stopped") \
    X(galera_ssts, 500, "whole state transfers") \
    X(galera_damages, 5, "members whose data a loss of power has damaged") \
    X(galera_ists, 500, "transfers of what was missing") \
    X(galera_writer_checks, 50000, "times that /writer said 200") \
    X(galera_reader_checks, 50000, "times that /reader said 200") \
    X(galera_orders, 500, "orders of administrators of Galera taken") \
    X(galera_confirmed, 5, "losses that an operator has accepted") \
    X(galera_rows_lost, 0, "acknowledged rows that Galera had lost, or an operator gave up")

/* Of MongoDB sets; floors count in `sim --mongodb --check` alone. */
#define TALLY_MONGODB(X) \
    X(mongodb_acked, 100000, "writes acknowledged with MongoDB's majority") \
    X(mongodb_one, 30000, "writes acknowledged by its primary alone") \
    X(mongodb_refused, 0, "writes refused") \
    X(mongodb_unknown, 0, "writes of unknown outcome") \
    X(mongodb_elections, 2000, "elections won in MongoDB sets") \
    X(mongodb_rollbacks, 100, "rollbacks") \
    X(mongodb_syncs, 1000, "initial syncs") \
    X(mongodb_orders, 5000, "orders to MongoDB sets in the log") \
    X(mongodb_done, 3000, "of those, done") \
    X(mongodb_failed, 0, "of those, failed") \
    X(mongodb_sent, 5000, "commands of agents to their mongods") \
    X(mongodb_alone, 20, "of those, without an order: by opt-in") \
    X(mongodb_kills, 20, "mongods killed by opt-in") \
    X(mongodb_kills_ordered, 0, "kills that the log ordered") \
    X(mongodb_forced, 20, "forced reconfigurations") \
    X(mongodb_asked, 300, "orders of administrators of MongoDB taken") \
    X(mongodb_primary_checks, 50000, "times that /primary said 200")

struct tally {
#define TALLY_FIELD(name, floor, text) uint64_t name;
    TALLY_COUNTS(TALLY_FIELD)
    TALLY_GALERA(TALLY_FIELD)
    TALLY_MONGODB(TALLY_FIELD)
#undef TALLY_FIELD
    uint64_t bit[FAULT_KIND_COUNT]; /* how often each fault had an effect */
};

#endif
