/* SPDX-License-Identifier: Apache-2.0 */
/* A modelled MongoDB replica set under simulated hosts: the pure model of tests/mongosim/set.h gets
 * the world's time, links, kills and pauses, and one agent's port for each of its mongods.
 *
 * Nodes of the model are members of the MongoDB cluster in their order. Files: mongo.c life and
 * time, mongo_order.c orders, mongo_view.c probes and the canary's writes, mongo_load.c clients,
 * mongo_operator.c administrators; faults_mongo.c and truth_mongo.c as their names say.
 */
#ifndef QUORATE_TESTS_SIM_MONGO_H
#define QUORATE_TESTS_SIM_MONGO_H

#include "agents/core/db_types.h"
#include "tests/mongosim/set.h"
#include "tests/sim/world.h"

#define MONGO_ENTRIES_MAX 60000

/* One mongod and its agent's port. */
struct mongo {
    struct world *world;
    unsigned member;
    struct base_rand rand;
    struct process *process; /* guard.c owns it */
    void *agent;
    void (*done)(void *agent, const struct db_done *done);
    /* the order under way */
    struct db_order order;
    uint64_t order_number;
    uint64_t orders_done;
    uint64_t order_tag; /* of its command; 0: none is under way */
    /* what the port remembers between two looks */
    struct db_mongodb_view view;
    int64_t status_us, config_us; /* asked last */
    uint64_t canary_tag;          /* 0: none is under way */
    int64_t canary_due_us, canary_asked_us;
    struct base_mono canary_asked;
    bool is_wiped; /* the directory was moved aside by its agent, and nobody has started it since */
};

enum mongo_outcome { MONGO_ACKED, MONGO_REFUSED, MONGO_UNKNOWN };

/* A command's answer for whoever gave it. */
typedef void mongo_reply_fn(void *ctx, const struct mset_reply *reply);

struct mongo_call {
    uint64_t tag;
    mongo_reply_fn *fn;
    void *ctx;
};

#define MONGO_CALLS_MAX 64

struct mongo_world {
    struct mset *set;
    void *entries;
    uint64_t tags, turn_number;
    int64_t turn_us; /* the model wants its turn then */
    struct mongo_call calls[MONGO_CALLS_MAX];
    bool is_turning;
    uint64_t next_value;
};

/* --- mongo.c --- */
bool mongo_exists(const struct world *w);
unsigned mongo_first(const struct world *w);
unsigned mongo_end(const struct world *w);
struct mongo *mongo_of(struct world *w, unsigned member);
unsigned mongo_node(const struct world *w, unsigned member); /* its number in the model */
bool mongo_is_arbiter(const struct world *w, unsigned member);
void mongo_host(unsigned member, struct mset_host *ret);
void mongo_open(struct world *w);
void mongo_close(struct world *w);
void mongo_init(struct world *w, struct mongo *g, unsigned member, struct process *process);
void mongo_start(struct mongo *g);
void mongo_gone(struct mongo *g);
void mongo_signal(struct mongo *g, int signal_number);
/* Links and pauses may have changed, or something was asked: the model is brought to now. */
void mongo_turn(struct world *w);
/* Gives a command; fn is told of its answer, unless it is forgotten. Returns its tag; 0: refused.
 */
uint64_t mongo_ask(struct world *w, unsigned member, struct mset_command *command,
                   mongo_reply_fn *fn, void *ctx);
void mongo_forget(struct world *w, uint64_t tag);

/* --- mongo_order.c --- */
void mongo_order(struct mongo *g, const struct db_order *order);
void mongo_order_forget(struct mongo *g);

/* --- mongo_view.c --- */
void mongo_view_clear(struct mongo *g); /* another process, or another agent */
void mongo_look_at(struct mongo *g, struct db_view *ret);
void mongo_optime(const struct mset_optime *from, struct msg_mongodb_optime *ret);

#endif
