/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's table: (present state, goal) -> action and the sentence that the operator reads.
 *
 * Total over both, one row each, in order; agt_table_is_well_formed and a unit test check it.
 * Actions are carried out by act_*.c. The table never decides about fencing: that is done on the
 * event itself, before.
 */
#ifndef QUORATE_AGENTS_CORE_TABLE_H
#define QUORATE_AGENTS_CORE_TABLE_H

#include <stdbool.h>

/*   name       text */
#define AGT_STATES(X) \
    X(BLIND, "finding out")     /* guard or view not known yet */ \
    X(FOREIGN, "not ours")      /* a database runs that our guard has not started */ \
    X(ENDING, "ending")         /* the tree is being killed, or its root has gone */ \
    X(FROZEN, "frozen")         /* at the deadline, or on the way there */ \
    X(DOWN, "down")             /* nothing runs, and an epoch is held */ \
    X(EMPTY, "empty")           /* nothing runs, no data directory */ \
    X(BAD, "unusable")          /* nothing runs, the directory needs a clone */ \
    X(STOPPED, "stopped")       /* nothing runs, nothing is held */ \
    X(STARTING, "starting")     /* runs, does not answer */ \
    X(STANDBY, "standby")       /* runs in recovery, nothing is held */ \
    X(WINNER, "winner")         /* runs in recovery, an epoch is held */ \
    X(PRIMARY, "primary")       /* read-write, an epoch is held */ \
    X(ADOPTED, "adopted")       /* read-write as before we came, no epoch was ever held */ \
    X(ROGUE, "without a right") /* read-write, nothing is held */

enum agt_state {
#define AGT_STATE_ENUM(name, text) AGT_STATE_##name,
    AGT_STATES(AGT_STATE_ENUM)
#undef AGT_STATE_ENUM
        AGT_STATE_COUNT
};

/* Goals in force: the order's, as far as it may be acted on, and those of our own. */
/*   name       text */
#define AGT_GOALS(X) \
    X(NONE, "none") /* no order, or not yet durable: keep things as they are */ \
    X(INIT, "init") \
    X(HOLD, "hold") \
    X(FOLLOW, "follow") \
    X(VOTE, "vote") /* also: a promise that is still kept */ \
    X(HAND_OVER, "hand over") \
    X(REST, "rest") /* an order of NONE: the epoch that names this member is over: its next one \
                       waits for a tree that is gone */ \
    X(REFUSED, "refused") \
    X(SHUTDOWN, "shut down") /* of the agent: hand over, stop */ \
    X(PAUSED, "pause")       /* before every other: nothing is done */

enum agt_goal {
#define AGT_GOAL_ENUM(name, text) AGT_GOAL_##name,
    AGT_GOALS(AGT_GOAL_ENUM)
#undef AGT_GOAL_ENUM
        AGT_GOAL_COUNT
};

enum agt_action {
    AGT_DO_WAIT,
    AGT_DO_INIT,         /* make the database */
    AGT_DO_START_HOLDER, /* start it under the grant */
    AGT_DO_AWAIT_GRANT,  /* elected: give it up where the guard refuses to be armed */
    AGT_DO_WATCH_START,  /* a holder that does not answer has primary_start_timeout */
    AGT_DO_PROMOTE,      /* armed: promote to the reserved timeline */
    AGT_DO_OPEN,         /* synchronous settings in force, then clients */
    AGT_DO_CLIENTS_OUT,  /* frozen: clients away */
    AGT_DO_SETTLE,       /* down with an epoch: restart in place, or hand back; never both */
    AGT_DO_HAND_BACK,
    AGT_DO_RESIGN,    /* cannot hold: hand back an epoch that was never armed */
    AGT_DO_HAND_OVER, /* CHECKPOINT, fast stop */
    AGT_DO_STOP,      /* fast stop, bounded */
    AGT_DO_KILL,
    AGT_DO_CLONE,
    AGT_DO_REJOIN,      /* stopped: plain start, rewind or clone */
    AGT_DO_FOLLOW,      /* running: point at the holder, or stop for a rejoin */
    AGT_DO_DETACH,      /* vote: receiver away */
    AGT_DO_STAY,        /* paused holder: serves on, nothing is changed */
    AGT_DO_START_VOTER, /* vote from a stopped directory: start it without a receiver */
    AGT_DO_COUNT
};

struct agt_row {
    enum agt_state state;
    enum agt_goal goal;
    enum agt_action action;
    const char *sentence; /* lower case, no full stop */
};

/* Never NULL. */
const struct agt_row *agt_table_row(enum agt_state state, enum agt_goal goal);
/* Every pair once, in order, with a sentence and a known action. */
bool agt_table_is_well_formed(void);
const char *agt_state_text(enum agt_state state);
const char *agt_goal_text(enum agt_goal goal);

#endif
