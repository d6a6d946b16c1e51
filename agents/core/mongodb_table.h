/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's table for MongoDB: (present state, goal) -> action, and what an operator reads.
 *
 * Total over both; agt_mongodb_table_is_well_formed and a unit test check it. The table is about
 * the process: started, stopped, wiped, kept down. What is said to a running mongod (orders of the
 * arbiter, mongodb_orders.c; a primary that is cut off or gray, mongodb_ladder.c) stands beside it.
 * Pure.
 */
#ifndef QUORATE_AGENTS_CORE_MONGODB_TABLE_H
#define QUORATE_AGENTS_CORE_MONGODB_TABLE_H

#include <stdbool.h>

/*   name, text */
#define AGT_MONGODB_STATES(X) \
    X(BLIND, "finding out")           /* guard or view not known yet, or the host stood still */ \
    X(FOREIGN, "not ours")            /* a server runs that our guard has not started */ \
    X(ENDING, "ending")               /* the tree is being killed, or its root has gone */ \
    X(EMPTY, "down, without data")    /* nothing runs, the directory is empty */ \
    X(DOWN, "down")                   /* nothing runs */ \
    X(STARTING, "starting")           /* runs, has not answered yet */ \
    X(ABSENT, "in no configuration")  /* not initiated, removed, or of another set */ \
    X(SYNCING, "in its initial sync") /* STARTUP2 */ \
    X(SECONDARY, "secondary") \
    X(LAGGING, "secondary, behind")   /* over 10 s */ \
    X(STALE, "too stale to catch up") /* never heals by itself */ \
    X(RECOVERING, "recovering") \
    X(ROLLING_BACK, "rolling back") /* writes of its own are taken back, into files */ \
    X(DRAINING, "primary, not writable yet") \
    X(PRIMARY, "primary") \
    X(GRAY, "primary that does not write") /* its canary writes do not come through */ \
    X(ARBITER, "arbiter") \
    X(MAINTENANCE, "in maintenance") \
    X(HUNG, "does not answer")

enum agt_mongodb_state {
#define AGT_MONGODB_STATE_ENUM(name, text) AGT_MONGODB_##name,
    AGT_MONGODB_STATES(AGT_MONGODB_STATE_ENUM)
#undef AGT_MONGODB_STATE_ENUM
        AGT_MONGODB_STATE_COUNT
};

/* Goals in force, the first that holds from the bottom up. */
/*   name, text */
#define AGT_MONGODB_GOALS(X) \
    X(NONE, "none") /* nothing known, or not yet durable: keep things as they are */ \
    X(RUN, "run") \
    X(HOLD, "hold")       /* keep as it is, carry nothing out */ \
    X(HELD, "stay down")  /* after a kill, until it is told otherwise */ \
    X(BAR, "barred")      /* left out by force: down until it is wiped */ \
    X(RESTART, "restart") /* an order: the root of before it is to end */ \
    X(RESYNC, "resync")   /* an order: its data are to be moved aside */ \
    X(KILL, "kill")       /* an order: the ladder's last step */ \
    X(REFUSED, "refused") \
    X(SHUTDOWN, "shut down") /* of the agent */ \
    X(PAUSED, "pause")       /* before every other: nothing is done */

enum agt_mongodb_goal {
#define AGT_MONGODB_GOAL_ENUM(name, text) AGT_MONGODB_GOAL_##name,
    AGT_MONGODB_GOALS(AGT_MONGODB_GOAL_ENUM)
#undef AGT_MONGODB_GOAL_ENUM
        AGT_MONGODB_GOAL_COUNT
};

/*   name, what an operator reads: lower case, no full stop */
#define AGT_MONGODB_ACTIONS(X) \
    X(WAIT, "goes on as it is") \
    X(REST, "stays down: waits for the arbiter, kv db why tells for what") \
    X(REST_HELD, "stays down after a kill: look at its disk, then 'kv db restart' or 'kv db " \
                 "reinit' this member") \
    X(REST_BARRED, "was left out of the set by force: stays down until its data directory is " \
                   "emptied, by hand or by 'kv db reinit' of this member") \
    X(START, "starts mongod") \
    X(SERVE, "runs") \
    X(STOP, "stops mongod in order") \
    X(STOP_BARRED, "was left out of the set by force: stops mongod") \
    X(RESTART, "stops mongod to start it anew, as ordered") \
    X(EMPTY, "stops mongod to sync anew, as ordered") \
    X(WIPE, "moves its data aside to sync anew, as ordered") \
    X(KILL, "ends mongod, as ordered")

enum agt_mongodb_action {
#define AGT_MONGODB_ACTION_ENUM(name, text) AGT_MONGODB_DO_##name,
    AGT_MONGODB_ACTIONS(AGT_MONGODB_ACTION_ENUM)
#undef AGT_MONGODB_ACTION_ENUM
        AGT_MONGODB_DO_COUNT
};

enum agt_mongodb_action agt_mongodb_table_action(enum agt_mongodb_state state,
                                                 enum agt_mongodb_goal goal);
/* Every pair has an action, and no pair one that its state forbids: nothing is started or wiped
 * beside a process, what is held down or barred is not started, only a KILL kills, a pause does
 * nothing. */
bool agt_mongodb_table_is_well_formed(void);
const char *agt_mongodb_state_text(enum agt_mongodb_state state);
const char *agt_mongodb_goal_text(enum agt_mongodb_goal goal);
const char *agt_mongodb_action_text(enum agt_mongodb_action action);

#endif
