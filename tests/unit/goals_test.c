/* SPDX-License-Identifier: Apache-2.0 */
/* What the arbiter wants against what the agents' table does, both ways.
 *
 * The arbiter has no table of goals: they follow from the record and the attempt, not from what the
 * member reports of its database. So the arbiter is put through every kind of moment and of member,
 * the goals are taken from its orders, and each is held against the agents' rows of all states. */
#include "tests/unit/arb_scene.h"

#include <string.h>

#include "agents/core/table.h"

enum moment { CALM, HANDED_BACK, ATTEMPT, AHEAD, UNCONFIRMED, PAUSED, FENCING, MOMENTS };
enum member { HOLDER, OTHER_GUARD, VOTER, OUTSIDER, FOREIGNER, KINDS };

static const enum msg_record_state record_states[] = {MSG_RECORD_BOOTSTRAP, MSG_RECORD_RUNNING,
                                                      MSG_RECORD_SWITCHOVER};

static const enum agt_goal agent_goal[] = {
    [MSG_GOAL_NONE] = AGT_GOAL_NONE,       [MSG_GOAL_INIT] = AGT_GOAL_INIT,
    [MSG_GOAL_HOLD] = AGT_GOAL_HOLD,       [MSG_GOAL_FOLLOW] = AGT_GOAL_FOLLOW,
    [MSG_GOAL_VOTE] = AGT_GOAL_VOTE,       [MSG_GOAL_HAND_OVER] = AGT_GOAL_HAND_OVER,
    [MSG_GOAL_REFUSED] = AGT_GOAL_REFUSED,
};

#define BIT(action) (1u << AGT_DO_##action)
#define ALWAYS (BIT(WAIT) | BIT(KILL) | BIT(CLIENTS_OUT))

/* What a goal may ever make an agent do, whatever its state. */
static const unsigned allowed[AGT_GOAL_COUNT] = {
    [AGT_GOAL_NONE] = ALWAYS | BIT(SETTLE),
    [AGT_GOAL_INIT] = ALWAYS | BIT(SETTLE) | BIT(INIT) | BIT(START_HOLDER) | BIT(WATCH_START) |
                      BIT(PROMOTE) | BIT(OPEN),
    [AGT_GOAL_HOLD] = ALWAYS | BIT(SETTLE) | BIT(RESIGN) | BIT(AWAIT_GRANT) | BIT(START_HOLDER) |
                      BIT(WATCH_START) | BIT(PROMOTE) | BIT(OPEN),
    [AGT_GOAL_FOLLOW] = ALWAYS | BIT(HAND_BACK) | BIT(CLONE) | BIT(REJOIN) | BIT(FOLLOW),
    [AGT_GOAL_VOTE] = ALWAYS | BIT(HAND_BACK) | BIT(DETACH) | BIT(START_VOTER),
    [AGT_GOAL_HAND_OVER] = ALWAYS | BIT(HAND_BACK) | BIT(RESIGN) | BIT(STOP) | BIT(HAND_OVER),
    [AGT_GOAL_REST] = ALWAYS | BIT(HAND_BACK) | BIT(RESIGN) | BIT(STOP),
    [AGT_GOAL_REFUSED] = ALWAYS | BIT(HAND_BACK),
    [AGT_GOAL_SHUTDOWN] = ALWAYS | BIT(HAND_BACK) | BIT(STOP) | BIT(HAND_OVER),
    [AGT_GOAL_PAUSED] = BIT(WAIT) | BIT(STAY),
};

static void set_scene(enum msg_record_state state, enum moment moment)
{
    assert_int_equal(setup(NULL), 0);
    struct msg_record r = w.c.record;
    r.state = state;
    r.revision++;
    if (state == MSG_RECORD_BOOTSTRAP) {
        r.system_id = 0;
        r.is_opened = false;
        r.voters = names(NULL, NULL);
        r.votes_needed_r = 0;
        r.epoch = r.timeline = r.timeline_highest = 1;
        r.floor = (struct msg_position){0};
        r.floor_epoch = 1;
    }
    r.target = state == MSG_RECORD_SWITCHOVER ? name_of("pg2") : r.target;
    load(r);
    w.holds_swap = true;
    send(report_of("pg2"));
    send(report_of("pg3"));
    if (moment == HANDED_BACK || moment == ATTEMPT) {
        send(handback_of("pg1"));
    } else if (moment == AHEAD) {
        struct msg_report ahead = report_of("pg3");
        ahead.epoch_seen = w.c.record.epoch + 5;
        send(ahead);
    } else if (moment == PAUSED || moment == FENCING) {
        r = w.c.record;
        r.is_paused = r.is_unarmed = moment == PAUSED;
        r.fencing_epoch = moment == FENCING ? r.epoch : 0;
        r.revision++;
        load(r);
    } else if (moment == UNCONFIRMED) {
        run((struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = 99});
    }
}

/* The goal that this member is given; -1: it is not answered by an order of its own. */
static int goal_for(enum member kind)
{
    static const char *const names_of_kinds[KINDS] = {"pg1", "pg1", "pg2", "pg5", "pg6"};
    const char *name = names_of_kinds[kind];
    struct msg_report r = report_of(name);
    if (kind == OTHER_GUARD) {
        r.instance = 4711;
        r.session = 4712;
    } else if (kind == FOREIGNER) {
        r.system_id = 13;
    }
    send(r);
    if (!w.has_order[id_of(name)]) {
        confirm(); /* the holder is answered when the quorum has confirmed its leader */
    }
    return w.has_order[id_of(name)] ? (int)w.order[id_of(name)].goal : -1;
}

/* Which goals a member of this kind may ever be given. */
static bool may_be_given(enum member kind, int goal)
{
    switch (kind) {
    case HOLDER:
        return goal != MSG_GOAL_FOLLOW && goal != MSG_GOAL_VOTE && goal != MSG_GOAL_REFUSED;
    case OTHER_GUARD: /* the record names another process: it has no right */
        return goal == MSG_GOAL_NONE || goal == MSG_GOAL_REFUSED;
    case VOTER:
        return goal == MSG_GOAL_NONE || goal == MSG_GOAL_FOLLOW || goal == MSG_GOAL_VOTE;
    case OUTSIDER:
        return goal == MSG_GOAL_NONE || goal == MSG_GOAL_FOLLOW;
    case FOREIGNER: /* while the record has no system identifier it is not known as one */
        return goal == MSG_GOAL_REFUSED || goal == MSG_GOAL_NONE;
    case KINDS:
        break;
    }
    return false;
}

static void test_every_goal_of_the_arbiter_fits_the_agents_rows(void **state)
{
    unsigned given = 0, done = 0;
    (void)state;
    for (size_t s = 0; s < BASE_COUNT_OF(record_states); s++) {
        for (int moment = 0; moment < MOMENTS; moment++) {
            for (int kind = 0; kind < KINDS; kind++) {
                set_scene(record_states[s], (enum moment)moment);
                int goal = goal_for((enum member)kind);
                if (goal >= 0) {
                    if (!may_be_given((enum member)kind, goal)) {
                        fail_msg("record state %zu, moment %d, member kind %d: goal %d", s, moment,
                                 kind, goal);
                    }
                    given |= 1u << goal;
                }
            }
        }
    }
    assert_int_equal(given, (1u << BASE_COUNT_OF(agent_goal)) - 1); /* no goal is dead */
    for (int goal = 0; goal < AGT_GOAL_COUNT; goal++) {
        for (int st = 0; st < AGT_STATE_COUNT; st++) {
            const struct agt_row *row = agt_table_row((enum agt_state)st, (enum agt_goal)goal);
            assert_true((allowed[goal] >> row->action & 1) != 0);
            done |= 1u << row->action;
        }
    }
    assert_int_equal(done, (1u << AGT_DO_COUNT) - 1); /* no action is dead */
}

/* Each goal of the agents is one of the arbiter's, or the agent's own. */
static void test_every_goal_of_the_agents_has_its_origin(void **state)
{
    (void)state;
    for (int goal = 0; goal < AGT_GOAL_COUNT; goal++) {
        unsigned origins =
            goal == AGT_GOAL_SHUTDOWN || goal == AGT_GOAL_PAUSED || goal == AGT_GOAL_REST;
        for (size_t i = 0; i < BASE_COUNT_OF(agent_goal); i++) {
            origins += agent_goal[i] == (enum agt_goal)goal;
        }
        assert_int_equal(origins, 1);
    }
}

/* What must be the same for every goal: fencing goes before goals. */
static void test_states_that_no_goal_changes(void **state)
{
    (void)state;
    for (int goal = 0; goal < AGT_GOAL_COUNT; goal++) {
        enum agt_goal g = (enum agt_goal)goal;
        assert_int_equal(agt_table_row(AGT_STATE_BLIND, g)->action, AGT_DO_WAIT);
        assert_int_equal(agt_table_row(AGT_STATE_FOREIGN, g)->action, AGT_DO_WAIT);
        assert_int_equal(agt_table_row(AGT_STATE_ENDING, g)->action, AGT_DO_WAIT);
        assert_int_equal(agt_table_row(AGT_STATE_ROGUE, g)->action,
                         g == AGT_GOAL_PAUSED ? AGT_DO_WAIT : AGT_DO_KILL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_goal_of_the_arbiter_fits_the_agents_rows),
        cmocka_unit_test(test_every_goal_of_the_agents_has_its_origin),
        cmocka_unit_test(test_states_that_no_goal_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
