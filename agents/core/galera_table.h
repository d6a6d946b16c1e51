/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's table for MariaDB Galera: (present state, goal) -> action, and what an operator
 * reads.
 *
 * Total over both; agt_galera_table_is_well_formed and a unit test check it. The table is about the
 * member's life: start, join, bootstrap, fence. The writer's right (epoch, lease) stands beside it
 * in galera_role.c and comes first. Pure.
 */
#ifndef QUORATE_AGENTS_CORE_GALERA_TABLE_H
#define QUORATE_AGENTS_CORE_GALERA_TABLE_H

#include <stdbool.h>

/*   name, text */
#define AGT_GALERA_STATES(X) \
    X(BLIND, "finding out")                /* guard or view not known yet */ \
    X(FOREIGN, "not ours")                 /* a server runs that our guard has not started */ \
    X(ENDING, "ending")                    /* the tree is being killed, or its root has gone */ \
    X(NEEDS_SST, "needs a state transfer") /* down: no data, or none that counts */ \
    X(UNPROVEN, "position not known")      /* down after a crash: grastate.dat says -1 */ \
    X(DOWN, "down")                        /* position proven */ \
    X(STARTING, "starting") \
    X(WAITING, "waiting for a component") /* SQL closed for 10 s: does not listen to SIGTERM */ \
    X(JOINING, "joining") \
    X(SYNCED, "synced") \
    X(DONOR, "donor") \
    X(STALLED, "stalled") /* does not answer, views change, or writes hang */ \
    X(NONPRIM, "non-Primary") \
    X(INCONSISTENT, "inconsistent")      /* voted out */ \
    X(SUSPECT_NIL, "of unknown history") /* Primary without our uuid: formed by nobody's grant */

enum agt_galera_state {
#define AGT_GALERA_STATE_ENUM(name, text) AGT_GALERA_##name,
    AGT_GALERA_STATES(AGT_GALERA_STATE_ENUM)
#undef AGT_GALERA_STATE_ENUM
        AGT_GALERA_STATE_COUNT
};

/* Goals in force: the order's, as far as it may be acted on, and our own. */
/*   name, text */
#define AGT_GALERA_GOALS(X) \
    X(NONE, "none") /* nothing known, or not yet durable: keep things as they are */ \
    X(JOIN, "join") \
    X(BOOTSTRAP, "bootstrap") \
    X(INHIBIT, "inhibit") \
    X(FENCE, "fence") \
    X(WAIT, "wait") \
    X(REJOIN, "rejoin by state transfer") \
    X(RESTART, "restart") \
    X(REFUSED, "refused") \
    X(SHUTDOWN, "shut down") /* of the agent */ \
    X(PAUSED, "pause")       /* before every other: nothing is done */

enum agt_galera_goal {
#define AGT_GALERA_GOAL_ENUM(name, text) AGT_GALERA_GOAL_##name,
    AGT_GALERA_GOALS(AGT_GALERA_GOAL_ENUM)
#undef AGT_GALERA_GOAL_ENUM
        AGT_GALERA_GOAL_COUNT
};

/*   name, what an operator reads: lower case, no full stop */
#define AGT_GALERA_ACTIONS(X) \
    X(WAIT, "goes on as it is") \
    X(REST, "stays down: waits for the arbiter") \
    X(RECOVER, "asks the server for the position of the last commit (--wsrep-recover)") \
    X(JOIN, "starts with its own position and joins") \
    X(TRANSFER, "starts without data of its own and joins by a state transfer") \
    X(BOOTSTRAP, "carries the bootstrap out that was granted to it") \
    X(BOOTSTRAP_LIVE, "forms a Primary component, as granted") \
    X(WATCH, "carries the granted bootstrap out: waits for the server") \
    X(SERVE, "serves") \
    X(FENCE, "rejects all queries, read-only") \
    X(CLEAR, "moves grastate.dat aside: only a state transfer helps") \
    X(LEAVE, "leaves the component, to come back by a state transfer") \
    X(RESTART, "is restarted, as an operator has ordered") \
    X(STOP, "stops the server") \
    X(KILL, "ends the server, which has no component to join")

enum agt_galera_action {
#define AGT_GALERA_ACTION_ENUM(name, text) AGT_GALERA_DO_##name,
    AGT_GALERA_ACTIONS(AGT_GALERA_ACTION_ENUM)
#undef AGT_GALERA_ACTION_ENUM
        AGT_GALERA_DO_COUNT
};

enum agt_galera_action agt_galera_table_action(enum agt_galera_state state,
                                               enum agt_galera_goal goal);
/* Every pair has an action, and no pair one that its state forbids: nothing is started beside a
 * process, nothing is said to a server that does not run. */
bool agt_galera_table_is_well_formed(void);
const char *agt_galera_state_text(enum agt_galera_state state);
const char *agt_galera_goal_text(enum agt_galera_goal goal);
const char *agt_galera_action_text(enum agt_galera_action action);

#endif
