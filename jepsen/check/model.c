/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the sequential model. */
#include "jepsen/check/model.h"

size_t chk_slot(const struct chk_slots *slots, uint32_t key)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->keys[i] == key) {
            return i;
        }
    }
    return CHK_MODEL_KEYS;
}

static bool step_part(const struct chk_op *op, const struct chk_part *part, int64_t *value)
{
    bool is_known = op->status == CHK_DONE;
    switch (part->kind) {
    case CHK_READ:
        return !is_known || part->value == *value;
    case CHK_DELETE:
        if (is_known &&
            (part->revision != 0 ? part->value != *value : (part->value != 0) != (*value != 0))) {
            return false;
        }
        *value = 0;
        return true;
    case CHK_WRITE:
        *value = part->value;
        return true;
    }
    return false;
}

bool chk_step(const struct chk_slots *slots, const struct chk_op *op, struct chk_state *state)
{
    if (op->has_compare) {
        size_t slot = chk_slot(slots, op->compare_key);
        bool holds = slot < CHK_MODEL_KEYS && state->value[slot] == op->compare_value;
        if (op->status == CHK_DONE && holds != op->is_applied) {
            return false;
        }
        bool is_seen = op->status == CHK_DONE && !op->is_applied && op->has_seen;
        if (is_seen && (slot == CHK_MODEL_KEYS || state->value[slot] != op->compare_seen)) {
            return false;
        }
        if (!holds) {
            return true;
        }
    }
    for (size_t i = 0; i < op->parts_count; i++) {
        size_t slot = chk_slot(slots, op->parts[i].key);
        if (slot == CHK_MODEL_KEYS || !step_part(op, &op->parts[i], &state->value[slot])) {
            return false;
        }
    }
    return true;
}
