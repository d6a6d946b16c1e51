/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tests of one agent begin: a world, and "a" as a standby or a primary in it. Included by
 * the agt_*_test of PostgreSQL's agent. */
#ifndef QUORATE_TESTS_UNIT_AGT_SCENE_H
#define QUORATE_TESTS_UNIT_AGT_SCENE_H

#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "base/name.h"
#include "tests/unit/agt_world.h"

static struct world w;

static inline void fresh(void)
{
    world_init(&w);
}

/* Nothing that must never be has been, from the beginning. */
static inline void good(void)
{
    if (w.broken != NULL) {
        fail_msg("%s", w.broken);
    }
}

/* A standby of epoch 1 (holder b), running and receiving. */
static inline void standby(void)
{
    fresh();
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    assert_true(w.report.is_receiving);
}

/* The holder of epoch 2, promoted from a standby, open. */
static inline void primary(void)
{
    standby();
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_open);
}

/* b and d have received everything. */
static inline void stream_voters(void)
{
    w.db.standbys_count = 2;
    w.db.standbys[0] = (struct msg_standby){
        .member = world_name("b"), .flush_lsn = w.db.lsn, .is_streaming = true};
    w.db.standbys[1] = w.db.standbys[0];
    w.db.standbys[1].member = world_name("d");
}

#endif
