/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: frames as they come over its socket, and any sequence of an agent's commands between
 * what the shell sees of the tree. A frame that decodes is written again as it was; a database
 * never runs behind its deadline; what was handed back is never armed again. */
#include "agents/guard/frame.h"
#include "base/crc32c.h"
#include "tests/fuzz/fuzz.h"

/* --- frames --- */

static void frames(struct slice in, bool is_sealed)
{
    uint8_t frame[GUARD_FRAME_BYTES] = {0};
    uint8_t again[GUARD_FRAME_BYTES];
    struct guard_command command;
    struct guard_answer answer;
    struct slice taken = fuzz_bytes(&in, sizeof(frame));
    if (taken.len > 0) {
        memcpy(frame, taken.data, taken.len);
    }
    if (is_sealed) { /* so that the fields are reached */
        uint32_t crc = base_crc32c(0, slice_from(frame, GUARD_FRAME_BYTES - 4));
        for (unsigned i = 0; i < 4; i++) {
            frame[GUARD_FRAME_BYTES - 4 + i] = (uint8_t)(crc >> 8 * i);
        }
    }
    if (guard_command_decode(frame, &command) == 0) {
        struct guard_command back;
        guard_command_encode(&command, again);
        int rc = guard_command_decode(again, &back);
        BASE_ASSERT(rc == 0 && back.type == command.type && back.epoch == command.epoch &&
                    back.cookie == command.cookie && back.deadline.us == command.deadline.us);
    }
    if (guard_answer_decode(frame, &answer) == 0) {
        struct guard_answer back;
        guard_answer_encode(&answer, again);
        int rc = guard_answer_decode(again, &back);
        BASE_ASSERT(rc == 0 && back.status.tree == answer.status.tree &&
                    back.status.epoch == answer.status.epoch && back.result == answer.result);
    }
}

/* --- a guard --- */

struct world {
    struct guard_core core;
    struct base_mono now;
    int32_t next_pid;
    bool is_starting, is_freezing, is_killing, has_root, has_exited;
};

static void take(struct world *w, struct guard_event event)
{
    struct guard_effects fx = {0};
    event.now = w->now;
    (void)guard_core_step(&w->core, &event, &fx);
    BASE_ASSERT(guard_core_check(&w->core) && fx.count <= GUARD_EFFECTS_MAX);
    for (unsigned i = 0; i < fx.count; i++) {
        switch (fx.list[i].kind) {
        case GUARD_FX_START:
            BASE_ASSERT(!w->has_root && !w->is_starting);
            w->is_starting = true;
            break;
        case GUARD_FX_FREEZE:
            w->is_freezing = true;
            break;
        case GUARD_FX_THAW:
            BASE_ASSERT(!w->is_killing);
            w->is_freezing = false;
            break;
        case GUARD_FX_KILL:
            w->is_killing = true;
            break;
        case GUARD_FX_EXIT:
            BASE_ASSERT(!w->has_root);
            w->has_exited = true;
            break;
        case GUARD_FX_SIGNAL:
        case GUARD_FX_STATUS:
        default:
            break;
        }
    }
    const struct guard_status *s = &w->core.status;
    bool is_late = s->is_armed && !base_mono_before(w->now, s->deadline);
    BASE_ASSERT(!(is_late && s->tree == GUARD_TREE_RUNNING));
    BASE_ASSERT(!s->is_armed || s->epoch > s->epoch_handed_back);
}

static void command(struct world *w, struct slice *in)
{
    static const enum guard_event_kind kinds[] = {
        GUARD_EV_START, GUARD_EV_ARM,       GUARD_EV_DISARM,     GUARD_EV_SIGNAL,
        GUARD_EV_KILL,  GUARD_EV_HAND_BACK, GUARD_EV_EPOCH_SEEN, GUARD_EV_FREEZE};
    struct guard_event event = {.kind = kinds[fuzz_u8(in) % 8],
                                .epoch = fuzz_u8(in) % 8u,
                                .freeze_max_us = (int64_t)fuzz_u16(in) * 100 - 1000,
                                .margin_us = (int64_t)fuzz_u16(in) * 100 - 1000,
                                .number = (int32_t)fuzz_u16(in) - 100};
    event.deadline = base_mono_add_us(w->now, (int64_t)fuzz_u16(in) * 1000 - 1000);
    uint8_t luck = fuzz_u8(in);
    take(w, event);
    if (w->is_starting) { /* in the same turn, as the shell does it */
        w->is_starting = false;
        w->has_root = luck % 4 != 0;
        take(w, (struct guard_event){.kind = w->has_root ? GUARD_EV_STARTED : GUARD_EV_START_FAILED,
                                     .number = w->has_root ? ++w->next_pid : 256});
    }
}

/* What the shell may see now. */
static void sight(struct world *w, uint8_t what)
{
    if (w->is_killing) {
        w->is_killing = w->is_freezing = w->has_root = false;
        take(w, (struct guard_event){.kind = GUARD_EV_TREE_EMPTY});
    } else if (w->is_freezing && what % 2 == 0) {
        w->is_freezing = false;
        take(w, (struct guard_event){.kind = GUARD_EV_TREE_STOPPED});
    } else if (w->has_root && what % 8 == 1) {
        take(w, (struct guard_event){.kind = GUARD_EV_ROOT_EXIT, .number = 9});
    }
}

static void script(struct slice in)
{
    struct world w = {.now = {BASE_US_PER_S}, .next_pid = 100};
    guard_core_init(&w.core, 7, (int64_t)fuzz_u8(&in) * 1000, w.now);
    while (in.len > 0 && !w.has_exited) {
        uint8_t op = fuzz_u8(&in);
        w.now.us += op / 8 * 1000;
        switch (op % 8) {
        case 0:
        case 1:
        case 2:
            command(&w, &in);
            break;
        case 3:
            w.now.us += (int64_t)fuzz_u16(&in) * 1000;
            take(&w, (struct guard_event){.kind = GUARD_EV_TIME});
            break;
        case 4:
            if (op >= 248) {
                take(&w, (struct guard_event){.kind = op % 16 == 4 ? GUARD_EV_TWIN_LOST
                                                                   : GUARD_EV_TERMINATE});
            }
            break;
        default:
            sight(&w, op / 8);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    if (how < 64) {
        frames(in, how % 2 == 1);
    } else {
        script(in);
    }
    return 0;
}
