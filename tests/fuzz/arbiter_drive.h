/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets that drive one arbiter have in common: its cluster, the record in force, a swap
 * under way, grants as they were really given. A target brings what its engine's reports and
 * records are, and its own rules as two callbacks. Everything that leaves is encoded, every note is
 * put into words, and for every engine holds: grants are for the epoch in force; a new epoch waits
 * for the last grant of the old one, unless it was handed back or somebody answers for it. */
#ifndef QUORATE_TESTS_FUZZ_ARBITER_DRIVE_H
#define QUORATE_TESTS_FUZZ_ARBITER_DRIVE_H

#include "arbiter/core/arb.h"
#include "base/name.h"
#include "proto/wire/agent.h"
#include "tests/fuzz/fuzz.h"

#define ARB_DRIVE_MEMBERS 5u

struct arb_drive {
    struct arb_cluster c;
    struct base_mono now;
    struct msg_record record; /* in force */
    bool has_swap;
    struct msg_record swap;
    uint64_t ticket, term;
    uint64_t numbers[ARB_DRIVE_MEMBERS];
    uint64_t granted_epoch;
    struct base_mono granted_until;
    uint64_t handed_back; /* highest epoch that its holder's process has handed back */
    bool is_excused;      /* an operator made a record anew */
    /* The target's rules: of an order to that member, before its grant counts as given; of a swap,
     * before it counts as under way. Both may be NULL. */
    void (*order)(const struct msg_order *order, const struct base_name *member);
    void (*swap_begins)(const struct arb_effects *fx);
    bool (*is_free)(const struct arb_effects *fx); /* of the last grant, for an engine's reason */
};

struct base_name arb_drive_name(unsigned member);
/* A small number near one that means something. */
uint64_t arb_drive_near(struct slice *in, uint64_t value);
void arb_drive_begin(struct arb_drive *d);
void arb_drive_run(struct arb_drive *d, struct arb_event event);
/* Through the codec, so that only valid ones arrive; false: it is none. */
bool arb_drive_report(struct arb_drive *d, unsigned member, const struct msg_report *report);
void arb_drive_elect(struct arb_drive *d);
void arb_drive_confirm(struct arb_drive *d);
void arb_drive_end_swap(struct arb_drive *d, bool is_won);
/* Time passes, and the arbiter looks at it. */
void arb_drive_wait(struct arb_drive *d, int64_t us);

#endif
