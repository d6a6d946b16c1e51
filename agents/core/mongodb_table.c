/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member's table: one row a state, one column a goal. Its texts come from the lists. */
#include "agents/core/mongodb_table.h"

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/* clang-format off */
#define DO(action) AGT_MONGODB_DO_##action
#define ALL(action) { \
    DO(action), DO(action), DO(action), DO(action), DO(action), DO(action), DO(action), \
    DO(action), DO(action), DO(action), DO(action)}
#define RUNNING { \
    DO(SERVE), DO(SERVE), DO(SERVE), DO(SERVE), DO(STOP_BARRED), DO(RESTART), DO(EMPTY), \
    DO(KILL), DO(SERVE), DO(STOP), DO(WAIT)}

static const uint8_t actions[AGT_MONGODB_STATE_COUNT][AGT_MONGODB_GOAL_COUNT] = {
    /* none, run, hold, held, bar, restart, resync, kill, refused, shutdown, paused */
    [AGT_MONGODB_BLIND] = ALL(WAIT),
    [AGT_MONGODB_FOREIGN] = ALL(WAIT),
    [AGT_MONGODB_ENDING] = ALL(WAIT),
    [AGT_MONGODB_EMPTY] = {
        DO(REST), DO(START), DO(REST), DO(REST_HELD), DO(REST), DO(START), DO(START),
        DO(REST_HELD), DO(REST), DO(REST), DO(REST)},
    [AGT_MONGODB_DOWN] = {
        DO(REST), DO(START), DO(REST), DO(REST_HELD), DO(REST_BARRED), DO(START), DO(WIPE),
        DO(REST_HELD), DO(REST), DO(REST), DO(REST)},
    [AGT_MONGODB_STARTING] = RUNNING,
    [AGT_MONGODB_ABSENT] = RUNNING,
    [AGT_MONGODB_SYNCING] = RUNNING,
    [AGT_MONGODB_SECONDARY] = RUNNING,
    [AGT_MONGODB_LAGGING] = RUNNING,
    [AGT_MONGODB_STALE] = RUNNING,
    [AGT_MONGODB_RECOVERING] = RUNNING,
    [AGT_MONGODB_ROLLING_BACK] = RUNNING,
    [AGT_MONGODB_DRAINING] = RUNNING,
    [AGT_MONGODB_PRIMARY] = RUNNING,
    [AGT_MONGODB_GRAY] = RUNNING,
    [AGT_MONGODB_ARBITER] = RUNNING,
    [AGT_MONGODB_MAINTENANCE] = RUNNING,
    [AGT_MONGODB_HUNG] = RUNNING,
};
/* clang-format on */

enum agt_mongodb_action agt_mongodb_table_action(enum agt_mongodb_state state,
                                                 enum agt_mongodb_goal goal)
{
    BASE_ASSERT(state < AGT_MONGODB_STATE_COUNT);
    BASE_ASSERT(goal < AGT_MONGODB_GOAL_COUNT);
    return (enum agt_mongodb_action)actions[state][goal];
}

static bool is_of_stopped(enum agt_mongodb_action action)
{
    return action == AGT_MONGODB_DO_REST || action == AGT_MONGODB_DO_REST_HELD ||
           action == AGT_MONGODB_DO_REST_BARRED || action == AGT_MONGODB_DO_START ||
           action == AGT_MONGODB_DO_WIPE;
}

static bool is_well_formed(enum agt_mongodb_state state, enum agt_mongodb_goal goal)
{
    enum agt_mongodb_action action = (enum agt_mongodb_action)actions[state][goal];
    bool is_stopped = state == AGT_MONGODB_EMPTY || state == AGT_MONGODB_DOWN;
    bool is_kept = goal == AGT_MONGODB_GOAL_HELD || goal == AGT_MONGODB_GOAL_BAR ||
                   goal == AGT_MONGODB_GOAL_KILL;
    bool is_quiet = action == AGT_MONGODB_DO_WAIT || action == AGT_MONGODB_DO_REST;
    bool is_start = action == AGT_MONGODB_DO_START || action == AGT_MONGODB_DO_WIPE;
    if (action >= AGT_MONGODB_DO_COUNT || is_of_stopped(action) != is_stopped) {
        return false;
    }
    return !(is_kept && is_start) && !(goal == AGT_MONGODB_GOAL_PAUSED && !is_quiet) &&
           (action != AGT_MONGODB_DO_KILL || goal == AGT_MONGODB_GOAL_KILL) &&
           (action != AGT_MONGODB_DO_WIPE || goal == AGT_MONGODB_GOAL_RESYNC);
}

bool agt_mongodb_table_is_well_formed(void)
{
    for (size_t s = 0; s < AGT_MONGODB_STATE_COUNT; s++) {
        for (size_t g = 0; g < AGT_MONGODB_GOAL_COUNT; g++) {
            if (!is_well_formed((enum agt_mongodb_state)s, (enum agt_mongodb_goal)g)) {
                return false;
            }
        }
    }
    return true;
}

const char *agt_mongodb_state_text(enum agt_mongodb_state state)
{
#define STATE_TEXT(name, text) [AGT_MONGODB_##name] = (text),
    static const char *const texts[AGT_MONGODB_STATE_COUNT] = {AGT_MONGODB_STATES(STATE_TEXT)};
#undef STATE_TEXT
    BASE_ASSERT(state < AGT_MONGODB_STATE_COUNT);
    return texts[state];
}

const char *agt_mongodb_goal_text(enum agt_mongodb_goal goal)
{
#define GOAL_TEXT(name, text) [AGT_MONGODB_GOAL_##name] = (text),
    static const char *const texts[AGT_MONGODB_GOAL_COUNT] = {AGT_MONGODB_GOALS(GOAL_TEXT)};
#undef GOAL_TEXT
    BASE_ASSERT(goal < AGT_MONGODB_GOAL_COUNT);
    return texts[goal];
}

const char *agt_mongodb_action_text(enum agt_mongodb_action action)
{
#define ACTION_TEXT(name, text) [AGT_MONGODB_DO_##name] = (text),
    static const char *const texts[AGT_MONGODB_DO_COUNT] = {AGT_MONGODB_ACTIONS(ACTION_TEXT)};
#undef ACTION_TEXT
    BASE_ASSERT(action < AGT_MONGODB_DO_COUNT);
    return texts[action];
}
