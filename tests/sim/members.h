/* SPDX-License-Identifier: Apache-2.0 */
/* Database hosts: agent (agents/driver.c, unchanged), guard (agents/guard/core.c, unchanged) and a
 * modelled PostgreSQL on one clock; and the worlds' list of WAL records.
 */
#ifndef QUORATE_TESTS_SIM_MEMBERS_H
#define QUORATE_TESTS_SIM_MEMBERS_H

#include "agents/guard/core.h"
#include "tests/sim/databases.h"
#include "tests/sim/gal.h"
#include "tests/sim/mongo.h"
#include "tests/sim/pg.h"
#include "tests/sim/watchdog.h"
#include "tests/sim/world.h"

struct member {
    struct world *world;
    unsigned index;
    struct base_name name;
    struct host_clock clock;
    struct base_rand rand;
    bool has_power;
    /* agent */
    struct process agent_process;
    struct agt_driver *agent;
    uint8_t saved[4096]; /* the agent's durable state */
    size_t saved_len;
    int64_t agent_wake_us;
    uint64_t agent_wake_number;
    bool is_probing, is_probe_wanted;
    /* guard */
    struct process guard_process;
    struct guard_core guard;
    int64_t guard_wake_us;
    uint64_t guard_wake_number;
    enum guard_tree tree_told; /* by the story */
    uint64_t ballot_told;      /* by the story: number of the attempt */
    uint64_t freeze_number;
    bool is_start_under_way; /* the guard forks in one turn: no kill comes before its child */
    bool is_twin_first; /* its host goes on, and the twin has ended the root: seen before the timer
                         */
    struct watchdog watchdog;
    bool is_unadopted; /* a database that runs, and no agent and no guard of ours yet */
    int32_t twin_exit; /* ... with that; 0: not so */
    /* database: the process tree and what it is, of one engine or the other */
    struct process tree;
    bool is_galera, is_mongodb;
    struct pg pg;
    struct wsrep gal;
    struct mongo mongo;
};

struct members {
    struct member list[MEMBERS_MAX];
    struct pg_record *records;
    size_t records_count, records_cap;
    int64_t next_value;
};

void members_open(struct world *w);
void members_close(struct world *w);
struct member *member_of(struct world *w, unsigned member);
int member_by_name(struct world *w, const struct base_name *name); /* -1 none */

/* Of either engine: the root starts; the tree is gone; who may acknowledge has changed. */
void tree_start(struct member *m);
void tree_gone(struct member *m, bool is_power_loss);
void tree_note(struct member *m);

/* --- guard.c --- */
void guard_boot(struct member *m);
/* It takes over the tree that runs. */
void guard_adopts(struct member *m);
void guard_command(struct member *m, const struct guard_event *event);
/* The modelled tree tells its guard. */
void guard_root_exited(struct member *m, int status);

/* --- agent.c --- */
void agent_start(struct member *m);
void agent_stop(struct member *m, unsigned why);
void agent_guard_status(struct member *m);
void agent_view(struct member *m);
void agent_arrive(struct member *m, unsigned from, struct slice payload);

/* Faults. */
void member_power_off(struct world *w, unsigned member, int64_t for_us);
/* The guard dies: its twin kills the tree at once, the agent starts another one. */
void member_crash_guard(struct world *w, unsigned member);
/* Power and agent are on again. */
void member_heal(struct member *m);
void member_crash_agent(struct world *w, unsigned member, int64_t for_us);
/* Of a database cluster: the member that is writable now, else the record's holder, else -1. */
int members_holder(struct world *w, unsigned cluster);
/* How many there are, of both engines. */
unsigned members_count(const struct world *w);

#endif
