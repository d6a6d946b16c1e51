/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed frame between agent and guard, both directions, 128 bytes, little-endian (pure).
 *
 *     0 u32 magic "QGRD"   4 u16 version   6 u16 type   8 u32 length (128)   12 u32 flags
 *    16 payload, at fixed offsets (frame.c)             124 u32 CRC-32C of the 124 bytes before
 *
 * Agent to guard: one frame a command; HELLO claims the right to command. Guard to agent: the whole
 * status, after every command and every change. A frame that does not decode closes the connection.
 */
#ifndef QUORATE_AGENTS_GUARD_FRAME_H
#define QUORATE_AGENTS_GUARD_FRAME_H

#include "agents/guard/core.h"

#define GUARD_FRAME_BYTES 128
#define GUARD_FRAME_VERSION 1

enum guard_frame_type {
    GUARD_FRAME_HELLO = 1,
    GUARD_FRAME_START,
    GUARD_FRAME_ARM,
    GUARD_FRAME_DISARM,
    GUARD_FRAME_SIGNAL,
    GUARD_FRAME_KILL,
    GUARD_FRAME_HAND_BACK,
    GUARD_FRAME_EPOCH_SEEN,
    GUARD_FRAME_FREEZE,
    GUARD_FRAME_UPGRADE, /* run the program file again, same pid, same child */
    GUARD_FRAME_END,     /* kill the tree, then exit */
    GUARD_FRAME_ADOPT,   /* watch a root that runs already: pid and start name it */
    GUARD_FRAME_RELEASE, /* leave an adopted root running, unarmed, and exit */
    GUARD_FRAME_TYPES,
};

struct guard_command {
    enum guard_frame_type type;
    uint64_t cookie; /* comes back in the answer */
    uint64_t epoch;
    struct base_mono deadline;
    int64_t freeze_max_us;
    int64_t margin_us; /* 0: leave as it is */
    int64_t soft_us;   /* ARM, HAND_BACK: see guard_event */
    int32_t signal_number;
    int32_t pid; /* ADOPT */
    uint64_t
        start; /* ADOPT: its start time in ticks since boot (proc(5), field 22); 0: not known */
};

struct guard_answer {
    struct guard_status status;
    bool may_command;  /* this connection is the one that commands */
    uint64_t cookie;   /* of the last command of this connection; 0 none yet */
    int32_t result;    /* of that command: 0 or BASE_E_* */
    uint32_t upgrades; /* how often this guard has run its program again */
};

void guard_command_encode(const struct guard_command *command, uint8_t *ret_frame);
/* BASE_E_PROTO: magic, version, type, length or checksum is wrong. */
MUST_CHECK int guard_command_decode(const uint8_t *frame, struct guard_command *ret);
void guard_answer_encode(const struct guard_answer *answer, uint8_t *ret_frame);
/* BASE_E_PROTO as above, or a tree state that does not exist. */
MUST_CHECK int guard_answer_decode(const uint8_t *frame, struct guard_answer *ret);

#endif
