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
    return (uint8_t)(record->names.count - record->count + 1);
}

static struct arb_sync_step step_of(enum arb_sync_kind kind, const struct arb_set *set)
{
    return (struct arb_sync_step){kind, *set};
}

struct arb_sync_step arb_sync_plan(const struct arb_sync_state *state, const struct arb_set *target)
{
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
