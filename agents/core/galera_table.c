/* SPDX-License-Identifier: Apache-2.0 */
/* The table itself: one row per state, one column per goal, in the order of both enumerations. */
#include "agents/core/galera_table.h"

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

#define DO(name) AGT_GALERA_DO_##name

/* clang-format off */
#define ALL(action) { \
    DO(action), DO(action), DO(action), DO(action), DO(action), DO(action), DO(action), \
    DO(action), DO(action), DO(action), DO(action)}
#define ROW(keep, join, bootstrap, inhibit, fence, wait, rejoin, restart, refused, shut, paused) { \
    DO(keep), DO(join), DO(bootstrap), DO(inhibit), DO(fence), DO(wait), DO(rejoin), \
    DO(restart), DO(refused), DO(shut), DO(paused)}

static const uint8_t actions[AGT_GALERA_STATE_COUNT][AGT_GALERA_GOAL_COUNT] = {
    /* none, join, bootstrap, inhibit, fence, wait, rejoin, restart, refused, shutdown, paused */
    [AGT_GALERA_BLIND] = ALL(WAIT),
    [AGT_GALERA_FOREIGN] = ALL(WAIT),
    [AGT_GALERA_ENDING] = ALL(WAIT),
    [AGT_GALERA_NEEDS_SST] =
        ROW(REST, TRANSFER, BOOTSTRAP, REST, REST, REST, TRANSFER, TRANSFER, REST, REST, REST),
    [AGT_GALERA_UNPROVEN] =
        ROW(RECOVER, RECOVER, RECOVER, RECOVER, RECOVER, RECOVER, CLEAR, RECOVER, REST, REST, REST),
    [AGT_GALERA_DOWN] =
        ROW(REST, JOIN, BOOTSTRAP, REST, REST, REST, CLEAR, JOIN, REST, REST, REST),
    [AGT_GALERA_STARTING] =
        ROW(WAIT, WAIT, WATCH, WAIT, WAIT, WAIT, WAIT, WAIT, WAIT, STOP, WAIT),
    [AGT_GALERA_WAITING] =
        ROW(WAIT, WAIT, WATCH, KILL, KILL, KILL, KILL, WAIT, WAIT, KILL, WAIT),
    [AGT_GALERA_JOINING] = /* in a recovery its donor is gone, and it has no data of its own */
        ROW(WAIT, WAIT, WATCH, KILL, WAIT, KILL, WAIT, WAIT, WAIT, STOP, WAIT),
    [AGT_GALERA_SYNCED] =
        ROW(SERVE, SERVE, SERVE, SERVE, FENCE, SERVE, LEAVE, RESTART, SERVE, STOP, WAIT),
    [AGT_GALERA_DONOR] =
        ROW(SERVE, SERVE, SERVE, SERVE, FENCE, SERVE, SERVE, SERVE, SERVE, STOP, WAIT),
    [AGT_GALERA_STALLED] =
        ROW(WAIT, WAIT, WAIT, WAIT, FENCE, STOP, WAIT, WAIT, WAIT, STOP, WAIT),
    [AGT_GALERA_NONPRIM] =
        ROW(FENCE, FENCE, BOOTSTRAP_LIVE, FENCE, FENCE, STOP, STOP, FENCE, FENCE, STOP, WAIT),
    [AGT_GALERA_INCONSISTENT] =
        ROW(FENCE, FENCE, FENCE, FENCE, FENCE, FENCE, STOP, STOP, FENCE, STOP, WAIT),
    [AGT_GALERA_SUSPECT_NIL] =
        ROW(FENCE, FENCE, FENCE, FENCE, FENCE, FENCE, STOP, FENCE, FENCE, STOP, WAIT),
};
/* clang-format on */

enum agt_galera_action agt_galera_table_action(enum agt_galera_state state,
                                               enum agt_galera_goal goal)
{
    BASE_ASSERT(state < AGT_GALERA_STATE_COUNT);
    BASE_ASSERT(goal < AGT_GALERA_GOAL_COUNT);
    return (enum agt_galera_action)actions[state][goal];
}

static bool is_of_stopped(enum agt_galera_action action)
{
    return action == AGT_GALERA_DO_REST || action == AGT_GALERA_DO_RECOVER ||
           action == AGT_GALERA_DO_JOIN || action == AGT_GALERA_DO_TRANSFER ||
           action == AGT_GALERA_DO_BOOTSTRAP || action == AGT_GALERA_DO_CLEAR;
}

static bool is_stopped(enum agt_galera_state state)
{
    return state == AGT_GALERA_NEEDS_SST || state == AGT_GALERA_UNPROVEN ||
           state == AGT_GALERA_DOWN;
}

bool agt_galera_table_is_well_formed(void)
{
    for (size_t s = 0; s < AGT_GALERA_STATE_COUNT; s++) {
        for (size_t g = 0; g < AGT_GALERA_GOAL_COUNT; g++) {
            enum agt_galera_state state = (enum agt_galera_state)s;
            enum agt_galera_action action = (enum agt_galera_action)actions[s][g];
            if (action >= AGT_GALERA_DO_COUNT || is_of_stopped(action) != is_stopped(state)) {
                return false;
            }
            bool is_quiet = action == AGT_GALERA_DO_WAIT || action == AGT_GALERA_DO_REST;
            if (g == AGT_GALERA_GOAL_PAUSED && !is_quiet) {
                return false;
            }
        }
    }
    return true;
}

const char *agt_galera_state_text(enum agt_galera_state state)
{
#define STATE_TEXT(name, text) [AGT_GALERA_##name] = (text),
    static const char *const texts[AGT_GALERA_STATE_COUNT] = {AGT_GALERA_STATES(STATE_TEXT)};
#undef STATE_TEXT
    BASE_ASSERT(state < AGT_GALERA_STATE_COUNT);
    return texts[state];
}

const char *agt_galera_goal_text(enum agt_galera_goal goal)
{
#define GOAL_TEXT(name, text) [AGT_GALERA_GOAL_##name] = (text),
    static const char *const texts[AGT_GALERA_GOAL_COUNT] = {AGT_GALERA_GOALS(GOAL_TEXT)};
#undef GOAL_TEXT
    BASE_ASSERT(goal < AGT_GALERA_GOAL_COUNT);
    return texts[goal];
}

const char *agt_galera_action_text(enum agt_galera_action action)
{
#define ACTION_TEXT(name, text) [AGT_GALERA_DO_##name] = (text),
    static const char *const texts[AGT_GALERA_DO_COUNT] = {AGT_GALERA_ACTIONS(ACTION_TEXT)};
#undef ACTION_TEXT
    BASE_ASSERT(action < AGT_GALERA_DO_COUNT);
    return texts[action];
}
