/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guard's socket: fixed offsets, explicit byte order, checksum. */
#include "agents/guard/frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

#define FRAME_MAGIC 0x44524751u /* "QGRD" */
#define TYPE_STATUS 0x80u
#define AT_CRC (GUARD_FRAME_BYTES - 4)

enum {
    FLAG_ADOPTED = 1,
    FLAG_ARMED = 2,
    FLAG_CGROUP = 4,
    FLAG_REALTIME = 8,
    FLAG_LOCKED = 16,
    FLAG_TWIN = 32,
    FLAG_COMMANDS = 64
};

static void put_u32(uint8_t *frame, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        frame[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_u64(uint8_t *frame, size_t at, uint64_t value)
{
    put_u32(frame, at, (uint32_t)value);
    put_u32(frame, at + 4, (uint32_t)(value >> 32));
}

static uint32_t get_u32(const uint8_t *frame, size_t at)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        value |= (uint32_t)frame[at + i] << (8 * i);
    }
    return value;
}

static uint64_t get_u64(const uint8_t *frame, size_t at)
{
    return (uint64_t)get_u32(frame, at) | (uint64_t)get_u32(frame, at + 4) << 32;
}

static void frame_begin(uint8_t *frame, uint32_t type, uint32_t flags)
{
    memset(frame, 0, GUARD_FRAME_BYTES);
    put_u32(frame, 0, FRAME_MAGIC);
    put_u32(frame, 4, GUARD_FRAME_VERSION | type << 16);
    put_u32(frame, 8, GUARD_FRAME_BYTES);
    put_u32(frame, 12, flags);
}

static void frame_end(uint8_t *frame)
{
    put_u32(frame, AT_CRC, base_crc32c(0, slice_from(frame, AT_CRC)));
}

static int frame_check(const uint8_t *frame, uint32_t *ret_type)
{
    uint32_t kind = get_u32(frame, 4);
    if (get_u32(frame, 0) != FRAME_MAGIC || (kind & 0xffffu) != GUARD_FRAME_VERSION ||
        get_u32(frame, 8) != GUARD_FRAME_BYTES ||
        get_u32(frame, AT_CRC) != base_crc32c(0, slice_from(frame, AT_CRC))) {
        return BASE_E_PROTO;
    }
    *ret_type = kind >> 16;
    return 0;
}

void guard_command_encode(const struct guard_command *command, uint8_t *ret_frame)
{
    BASE_ASSERT(command->type > 0 && command->type < GUARD_FRAME_TYPES);
    frame_begin(ret_frame, (uint32_t)command->type, 0);
    put_u64(ret_frame, 16, command->cookie);
    put_u64(ret_frame, 24, command->epoch);
    put_u64(ret_frame, 32, (uint64_t)command->deadline.us);
    put_u64(ret_frame, 40, (uint64_t)command->freeze_max_us);
    put_u64(ret_frame, 48, (uint64_t)command->margin_us);
    put_u32(ret_frame, 56, (uint32_t)command->signal_number);
    put_u32(ret_frame, 60, (uint32_t)command->pid);
    put_u64(ret_frame, 64, command->start);
    put_u64(ret_frame, 72, (uint64_t)command->soft_us);
    frame_end(ret_frame);
}

int guard_command_decode(const uint8_t *frame, struct guard_command *ret)
{
    uint32_t type = 0;
    int rc = frame_check(frame, &type);
    if (rc != 0 || type == 0 || type >= GUARD_FRAME_TYPES) {
        return BASE_E_PROTO;
    }
    *ret = (struct guard_command){
        .type = (enum guard_frame_type)type,
        .cookie = get_u64(frame, 16),
        .epoch = get_u64(frame, 24),
        .deadline = {(int64_t)get_u64(frame, 32)},
        .freeze_max_us = (int64_t)get_u64(frame, 40),
        .margin_us = (int64_t)get_u64(frame, 48),
        .signal_number = (int32_t)get_u32(frame, 56),
        .pid = (int32_t)get_u32(frame, 60),
        .start = get_u64(frame, 64),
        .soft_us = (int64_t)get_u64(frame, 72),
    };
    return 0;
}

static uint32_t answer_flags(const struct guard_answer *answer)
{
    const struct guard_status *st = &answer->status;
    uint32_t flags = 0;
    flags |= st->is_adopted ? FLAG_ADOPTED : 0u;
    flags |= st->is_armed ? FLAG_ARMED : 0u;
    flags |= st->is_cgroup ? FLAG_CGROUP : 0u;
    flags |= st->is_realtime ? FLAG_REALTIME : 0u;
    flags |= st->is_memory_locked ? FLAG_LOCKED : 0u;
    flags |= st->has_twin ? FLAG_TWIN : 0u;
    flags |= answer->may_command ? FLAG_COMMANDS : 0u;
    return flags;
}

void guard_answer_encode(const struct guard_answer *answer, uint8_t *ret_frame)
{
    const struct guard_status *st = &answer->status;
    frame_begin(ret_frame, TYPE_STATUS, answer_flags(answer));
    put_u64(ret_frame, 16, answer->cookie);
    put_u64(ret_frame, 24, st->epoch);
    put_u64(ret_frame, 32, (uint64_t)st->deadline.us);
    put_u64(ret_frame, 40, st->epoch_handed_back);
    put_u64(ret_frame, 48, st->instance);
    put_u64(ret_frame, 56, (uint64_t)st->changed.us);
    put_u64(ret_frame, 64, (uint64_t)st->freeze_us);
    put_u64(ret_frame, 72, (uint64_t)st->margin_us);
    put_u32(ret_frame, 80, (uint32_t)answer->result);
    put_u32(ret_frame, 84, (uint32_t)st->tree);
    put_u32(ret_frame, 88, (uint32_t)st->root_pid);
    put_u32(ret_frame, 92, (uint32_t)st->exit_status);
    put_u32(ret_frame, 96, st->starts);
    put_u32(ret_frame, 100, answer->upgrades);
    put_u32(ret_frame, 104, st->private_kb);
    put_u32(ret_frame, 108, (uint32_t)st->pause_worst_us);
    put_u32(ret_frame, 112, (uint32_t)(int32_t)(st->pause_left_us / BASE_US_PER_MS));
    put_u32(ret_frame, 116, (uint32_t)st->watchdog);
    put_u32(ret_frame, 120, (uint32_t)(st->soft_us / BASE_US_PER_MS));
    frame_end(ret_frame);
}

int guard_answer_decode(const uint8_t *frame, struct guard_answer *ret)
{
    uint32_t type = 0;
    int rc = frame_check(frame, &type);
    if (rc != 0 || type != TYPE_STATUS || get_u32(frame, 84) > GUARD_TREE_ROOT_EXITED ||
        get_u32(frame, 116) > GUARD_WATCHDOG_UNAVAILABLE) {
        return BASE_E_PROTO;
    }
    uint32_t flags = get_u32(frame, 12);
    *ret = (struct guard_answer){
        .cookie = get_u64(frame, 16),
        .result = (int32_t)get_u32(frame, 80),
        .upgrades = get_u32(frame, 100),
        .may_command = (flags & FLAG_COMMANDS) != 0,
        .status = {.epoch = get_u64(frame, 24),
                   .deadline = {(int64_t)get_u64(frame, 32)},
                   .epoch_handed_back = get_u64(frame, 40),
                   .instance = get_u64(frame, 48),
                   .changed = {(int64_t)get_u64(frame, 56)},
                   .freeze_us = (int64_t)get_u64(frame, 64),
                   .margin_us = (int64_t)get_u64(frame, 72),
                   .tree = (enum guard_tree)get_u32(frame, 84),
                   .root_pid = (int32_t)get_u32(frame, 88),
                   .exit_status = (int32_t)get_u32(frame, 92),
                   .starts = get_u32(frame, 96),
                   .private_kb = get_u32(frame, 104),
                   .pause_worst_us = get_u32(frame, 108),
                   .pause_left_us = (int32_t)get_u32(frame, 112) * BASE_US_PER_MS,
                   .watchdog = (enum guard_watchdog)get_u32(frame, 116),
                   .soft_us = (int64_t)get_u32(frame, 120) * BASE_US_PER_MS,
                   .is_adopted = (flags & FLAG_ADOPTED) != 0,
                   .is_armed = (flags & FLAG_ARMED) != 0,
                   .is_cgroup = (flags & FLAG_CGROUP) != 0,
                   .is_realtime = (flags & FLAG_REALTIME) != 0,
                   .is_memory_locked = (flags & FLAG_LOCKED) != 0,
                   .has_twin = (flags & FLAG_TWIN) != 0},
    };
    return 0;
}
