/* SPDX-License-Identifier: Apache-2.0 */
/* The table itself. One row per (state, goal), in the order of both enumerations. */
#include "agents/core/table.h"

#include <stddef.h>

#include "base/assert.h"

#define FOREIGN_TEXT \
    "a database runs here that our guard did not start: stop it; none is started beside it"
#define FROZEN_TEXT \
    "the lease has run out: frozen, waits for a grant of the same epoch or for its end"
#define FROZEN_END_TEXT \
    "frozen while it was to hand over: ended as it stands, never thawed for that"
#define ADOPTED_TEXT \
    "taken over while it runs: serves as it did before we came, waits for the arbiter"
#define REST_TEXT "named, and without a right in this epoch: stops, to get the next one"
#define ROW(state, goal, action, sentence) \
    { \
        AGT_STATE_##state, AGT_GOAL_##goal, AGT_DO_##action, sentence \
    }

static const struct agt_row rows[AGT_STATE_COUNT * AGT_GOAL_COUNT] = {
    /* clang-format off */
    ROW(BLIND, NONE, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, INIT, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, HOLD, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, FOLLOW, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, VOTE, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, HAND_OVER, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, REST, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, REFUSED, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, SHUTDOWN, WAIT, "waits for the first word of guard and database"),
    ROW(BLIND, PAUSED, WAIT, "paused: waits for the first word of guard and database"),
    ROW(FOREIGN, NONE, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, INIT, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, HOLD, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, FOLLOW, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, VOTE, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, HAND_OVER, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, REST, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, REFUSED, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, SHUTDOWN, WAIT, FOREIGN_TEXT),
    ROW(FOREIGN, PAUSED, WAIT, FOREIGN_TEXT),
    ROW(ENDING, NONE, WAIT, "every process of the database is being ended"),
    ROW(ENDING, INIT, WAIT, "every process of the database is being ended"),
    ROW(ENDING, HOLD, WAIT, "every process of the database is being ended"),
    ROW(ENDING, FOLLOW, WAIT, "every process of the database is being ended"),
    ROW(ENDING, VOTE, WAIT, "every process of the database is being ended"),
    ROW(ENDING, HAND_OVER, WAIT, "every process of the database is being ended"),
    ROW(ENDING, REST, WAIT, "every process of the database is being ended"),
    ROW(ENDING, REFUSED, WAIT, "every process of the database is being ended"),
    ROW(ENDING, SHUTDOWN, WAIT, "every process of the database is being ended"),
    ROW(ENDING, PAUSED, WAIT, "every process of the database is being ended"),
    ROW(FROZEN, NONE, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, INIT, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, HOLD, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, FOLLOW, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, VOTE, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, HAND_OVER, KILL, FROZEN_END_TEXT),
    ROW(FROZEN, REST, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, REFUSED, CLIENTS_OUT, FROZEN_TEXT),
    ROW(FROZEN, SHUTDOWN, KILL, FROZEN_END_TEXT),
    ROW(FROZEN, PAUSED, WAIT, "paused while frozen: a grant thaws it"),
    ROW(DOWN, NONE, SETTLE, "the database of the holder is down: restarts in place, or hands back"),
    ROW(DOWN, INIT, SETTLE, "makes the database, and starts it when the record names it"),
    ROW(DOWN, HOLD, SETTLE, "the database of the holder is down: restarts in place, or hands back"),
    ROW(DOWN, FOLLOW, HAND_BACK, "hands back the epoch that is over"),
    ROW(DOWN, VOTE, HAND_BACK, "hands back the epoch that is over"),
    ROW(DOWN, HAND_OVER, HAND_BACK, "stopped for the hand-over: hands the epoch back"),
    ROW(DOWN, REST, HAND_BACK, "hands back the epoch that is over"),
    ROW(DOWN, REFUSED, HAND_BACK, "hands back the epoch that is over"),
    ROW(DOWN, SHUTDOWN, HAND_BACK, "stopped for the hand-over: hands the epoch back"),
    ROW(DOWN, PAUSED, WAIT, "paused: the database is down and stays down until the resume"),
    ROW(EMPTY, NONE, WAIT, "no data directory yet: waits for the arbiter"),
    ROW(EMPTY, INIT, INIT, "makes the database"),
    ROW(EMPTY, HOLD, RESIGN, "holds the role without data: hands it back"),
    ROW(EMPTY, FOLLOW, CLONE, "clones the holder"),
    ROW(EMPTY, VOTE, WAIT, "has no data to vote with"),
    ROW(EMPTY, HAND_OVER, RESIGN, "holds the role without data: hands it back"),
    ROW(EMPTY, REST, RESIGN, "no data directory, and its epoch is over: hands it back"),
    ROW(EMPTY, REFUSED, WAIT, "refused by the arbiter"),
    ROW(EMPTY, SHUTDOWN, WAIT, "stopped"),
    ROW(EMPTY, PAUSED, WAIT, "paused: no data directory"),
    ROW(BAD, NONE, WAIT, "the data directory is unusable: waits for a holder to clone"),
    ROW(BAD, INIT, INIT, "makes the database anew: the first attempt was cut short"),
    ROW(BAD, HOLD, RESIGN, "holds the role without usable data: hands it back"),
    ROW(BAD, FOLLOW, CLONE, "the data directory is unusable: clones the holder"),
    ROW(BAD, VOTE, WAIT, "has no usable data to vote with"),
    ROW(BAD, HAND_OVER, RESIGN, "holds the role without usable data: hands it back"),
    ROW(BAD, REST, RESIGN, "the data directory is unusable, and its epoch is over: hands it back"),
    ROW(BAD, REFUSED, WAIT, "refused by the arbiter"),
    ROW(BAD, SHUTDOWN, WAIT, "stopped"),
    ROW(BAD, PAUSED, WAIT, "paused: the data directory is unusable"),
    ROW(STOPPED, NONE, WAIT, "stopped: waits for the arbiter"),
    ROW(STOPPED, INIT, WAIT, "has made the database: waits until the record names it"),
    ROW(STOPPED, HOLD, START_HOLDER, "starts the database under the grant"),
    ROW(STOPPED, FOLLOW, REJOIN, "comes in as a standby of the holder"),
    ROW(STOPPED, VOTE, START_VOTER, "starts without a receiver, to vote with what is on disk"),
    ROW(STOPPED, HAND_OVER, RESIGN, "was asked to hand over before it served: hands back"),
    ROW(STOPPED, REST, RESIGN, "stopped: hands back the epoch that it got no right in"),
    ROW(STOPPED, REFUSED, WAIT, "refused by the arbiter"),
    ROW(STOPPED, SHUTDOWN, WAIT, "stopped"),
    ROW(STOPPED, PAUSED, WAIT, "paused: stopped, and stays so until the resume"),
    ROW(STARTING, NONE, WAIT, "waits for the database to answer"),
    ROW(STARTING, INIT, WATCH_START, "waits for the database to answer, for a bounded time"),
    ROW(STARTING, HOLD, WATCH_START, "waits for the database to answer, for a bounded time"),
    ROW(STARTING, FOLLOW, WAIT, "waits for the database to answer"),
    ROW(STARTING, VOTE, DETACH, "takes the receiver away, to vote"),
    ROW(STARTING, HAND_OVER, STOP, "stops the database"),
    ROW(STARTING, REST, STOP, REST_TEXT),
    ROW(STARTING, REFUSED, WAIT, "waits for the database to answer"),
    ROW(STARTING, SHUTDOWN, STOP, "stops the database"),
    ROW(STARTING, PAUSED, WAIT, "paused: the database does not answer"),
    ROW(STANDBY, NONE, WAIT, "goes on as it is: waits for the arbiter"),
    ROW(STANDBY, INIT, WAIT, "cannot make a database beside the one that runs"),
    ROW(STANDBY, HOLD, AWAIT_GRANT, "elected: waits for the first grant"),
    ROW(STANDBY, FOLLOW, FOLLOW, "follows the holder"),
    ROW(STANDBY, VOTE, DETACH, "takes the receiver away, to vote"),
    ROW(STANDBY, HAND_OVER, STOP, "was asked to hand over before it was armed: stops"),
    ROW(STANDBY, REST, STOP, REST_TEXT),
    ROW(STANDBY, REFUSED, WAIT, "refused by the arbiter"),
    ROW(STANDBY, SHUTDOWN, STOP, "stops the database"),
    ROW(STANDBY, PAUSED, WAIT, "paused: goes on as it is"),
    ROW(WINNER, NONE, WAIT, "in recovery under a lease: waits for the arbiter"),
    ROW(WINNER, INIT, PROMOTE, "elected and armed: promotes"),
    ROW(WINNER, HOLD, PROMOTE, "elected and armed: promotes"),
    ROW(WINNER, FOLLOW, WAIT, "in recovery under a lease: waits for the arbiter"),
    ROW(WINNER, VOTE, WAIT, "in recovery under a lease: waits for the arbiter"),
    ROW(WINNER, HAND_OVER, STOP, "stops the database, to hand back"),
    ROW(WINNER, REST, WAIT, "in recovery under a lease: waits for the arbiter"),
    ROW(WINNER, REFUSED, WAIT, "in recovery under a lease: waits for the arbiter"),
    ROW(WINNER, SHUTDOWN, STOP, "stops the database, to hand back"),
    ROW(WINNER, PAUSED, WAIT, "paused: in recovery under a lease"),
    ROW(PRIMARY, NONE, WAIT, "serves until its lease ends"),
    ROW(PRIMARY, INIT, OPEN, "serves as the holder"),
    ROW(PRIMARY, HOLD, OPEN, "serves as the holder"),
    ROW(PRIMARY, FOLLOW, WAIT, "serves until its lease ends"),
    ROW(PRIMARY, VOTE, WAIT, "serves until its lease ends"),
    ROW(PRIMARY, HAND_OVER, HAND_OVER, "hands over: checkpoint, then an orderly stop"),
    ROW(PRIMARY, REST, WAIT, "serves until its lease ends"),
    ROW(PRIMARY, REFUSED, WAIT, "serves until its lease ends"),
    ROW(PRIMARY, SHUTDOWN, HAND_OVER, "the agent is asked to stop: hands over first"),
    ROW(PRIMARY, PAUSED, STAY, "paused: serves on under a lease without end"),
    ROW(ADOPTED, NONE, WAIT, ADOPTED_TEXT),
    ROW(ADOPTED, INIT, WAIT, ADOPTED_TEXT),
    ROW(ADOPTED, HOLD, WAIT, "taken over while it runs: waits for its first grant"),
    ROW(ADOPTED, FOLLOW, WAIT, ADOPTED_TEXT),
    ROW(ADOPTED, VOTE, WAIT, ADOPTED_TEXT),
    ROW(ADOPTED, HAND_OVER, STOP, "was asked to hand over before it was armed: stops"),
    ROW(ADOPTED, REST, WAIT, ADOPTED_TEXT),
    ROW(ADOPTED, REFUSED, WAIT, "taken over while it runs, and refused: left as it is"),
    ROW(ADOPTED, SHUTDOWN, STOP, "stops the database"),
    ROW(ADOPTED, PAUSED, WAIT, "paused: serves as it did before we came"),
    ROW(ROGUE, NONE, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, INIT, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, HOLD, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, FOLLOW, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, VOTE, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, HAND_OVER, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, REST, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, REFUSED, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, SHUTDOWN, KILL, "read-write without a right: is ended"),
    ROW(ROGUE, PAUSED, WAIT, "paused: read-write without a right, ended after the resume"),
    /* clang-format on */
};

const struct agt_row *agt_table_row(enum agt_state state, enum agt_goal goal)
{
    BASE_ASSERT(state < AGT_STATE_COUNT);
    BASE_ASSERT(goal < AGT_GOAL_COUNT);
    const struct agt_row *row = &rows[(size_t)state * AGT_GOAL_COUNT + (size_t)goal];
    BASE_ASSERT(row->state == state);
    BASE_ASSERT(row->goal == goal);
    return row;
}

bool agt_table_is_well_formed(void)
{
    for (size_t i = 0; i < AGT_STATE_COUNT * AGT_GOAL_COUNT; i++) {
        const struct agt_row *row = &rows[i];
        if ((size_t)row->state != i / AGT_GOAL_COUNT || (size_t)row->goal != i % AGT_GOAL_COUNT) {
            return false;
        }
        if (row->action >= AGT_DO_COUNT || row->sentence == NULL || row->sentence[0] == '\0') {
            return false;
        }
    }
    return true;
}

const char *agt_state_text(enum agt_state state)
{
#define AGT_STATE_TEXT(name, text) [AGT_STATE_##name] = (text),
    static const char *const texts[AGT_STATE_COUNT] = {AGT_STATES(AGT_STATE_TEXT)};
#undef AGT_STATE_TEXT
    BASE_ASSERT(state < AGT_STATE_COUNT);
    return texts[state];
}

const char *agt_goal_text(enum agt_goal goal)
{
#define AGT_GOAL_TEXT(name, text) [AGT_GOAL_##name] = (text),
    static const char *const texts[AGT_GOAL_COUNT] = {AGT_GOALS(AGT_GOAL_TEXT)};
#undef AGT_GOAL_TEXT
    BASE_ASSERT(goal < AGT_GOAL_COUNT);
    return texts[goal];
}
