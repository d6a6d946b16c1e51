/* SPDX-License-Identifier: Apache-2.0 */
/* Planner of changes to the synchronous set. */
#include "arbiter/core/syncset.h"

#include "base/assert.h"
#include "base/canary.h"

bool arb_set_equal(const struct arb_set *a, const struct arb_set *b)
{
    return a->count == b->count && arb_names_equal(&a->names, &b->names);
}

bool arb_sync_is_safe(const struct arb_set *record, const struct arb_set *database)
{
    return arb_names_beyond(&database->names, &record->names) + record->count <= database->count;
}

uint8_t arb_votes_needed(const struct arb_set *record)
{
    if (record->count == 0) {
        return 0;
    }
    if (record->names.count <= record->count) {
        return 1;
    }
    return (uint8_t)(record->names.count - record->count + (CANARY(TOO_FEW_VOTES) ? 0 : 1));
}

static struct arb_sync_step step_of(enum arb_sync_kind kind, const struct arb_set *set)
{
    return (struct arb_sync_step){kind, *set};
}

#ifdef QUORATE_CANARIES
/* One step taken in the other order, for one kind of change at a time. Only planted bugs come here;
 * false: the right order. */
static bool plan_wrongly(const struct arb_sync_state *state, const struct arb_set *target,
                         struct arb_sync_step *ret)
{
    bool is_reached = state->is_database_known && arb_set_equal(&state->database, target);
    bool is_adding = arb_names_beyond(&target->names, &state->record.names) > 0;
    bool is_removing = arb_names_beyond(&state->record.names, &target->names) > 0;
    bool is_raising = target->count > state->record.count;
    bool is_lowering = target->count < state->record.count;
    bool is_database_first = (CANARY(SYNC_ADD_DATABASE_FIRST) && is_adding) ||
                             (CANARY(SYNC_LOWER_DATABASE_FIRST) && is_lowering) ||
                             CANARY(SYNC_SET_NO_WIDENING);
    bool is_record_first = (CANARY(SYNC_REMOVE_RECORD_FIRST) && is_removing) ||
                           (CANARY(SYNC_RAISE_RECORD_FIRST) && is_raising);
    bool is_unwaited = (CANARY(SYNC_REMOVE_NO_BARRIER) && is_removing) ||
                       (CANARY(SYNC_RAISE_NO_BARRIER) && is_raising);
    if (!is_reached && is_database_first) {
        *ret = step_of(ARB_SYNC_DATABASE, target);
    } else if (!is_reached && is_record_first) {
        *ret = step_of(ARB_SYNC_NARROW, target);
    } else if (is_reached && is_unwaited && !arb_set_equal(&state->record, target)) {
        *ret = step_of(ARB_SYNC_NARROW, target);
    } else {
        return false;
    }
    return true;
}
#endif

struct arb_sync_step arb_sync_plan(const struct arb_sync_state *state, const struct arb_set *target)
{
#ifdef QUORATE_CANARIES
    struct arb_sync_step wrong;
    if (plan_wrongly(state, target, &wrong)) {
        return wrong;
    }
#endif
    struct arb_set wide = state->record;
    bool is_reached = state->is_database_known && arb_set_equal(&state->database, target);
    if (is_reached) {
        if (arb_set_equal(&state->record, target)) {
            return step_of(ARB_SYNC_DONE, target);
        }
        bool is_passed = state->is_barrier_passed || target->count == 0; /* none have to have it */
        if (!is_passed && !CANARY(SYNC_SET_NO_BARRIER)) {
            return step_of(ARB_SYNC_WAIT, target);
        }
        return step_of(ARB_SYNC_NARROW, target);
    }
    wide.count = wide.count < target->count ? wide.count : target->count;
    if (arb_names_unite(&wide.names, &target->names) != 0) {
        return step_of(ARB_SYNC_STUCK, &state->record);
    }
    if (!arb_set_equal(&state->record, &wide)) {
        return step_of(ARB_SYNC_WIDEN, &wide);
    }
    BASE_ASSERT(arb_sync_is_safe(&wide, target));
    return step_of(ARB_SYNC_DATABASE, target);
}
