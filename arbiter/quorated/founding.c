/* SPDX-License-Identifier: Apache-2.0 */
/* Late or lost; see founding.h. */
#include "arbiter/quorated/founding.h"

#include "raft/core/members.h"

static uint32_t bit_of(const struct founding *f, uint64_t id)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->ids[i] == id) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

/* Exactly the founders: nobody was added, removed or replaced. */
static bool are_founders(const struct founding *f, const struct raft_configuration *c)
{
    bool is_same = c->count == f->count;
    for (size_t i = 0; i < f->count && is_same; i++) {
        is_same = raft_members_find(c, f->ids[i]) != NULL;
    }
    return is_same;
}

void founding_answer(struct founding *f, uint64_t from, const struct member_frame *frame)
{
    uint32_t unheard = 0;
    uint32_t who = bit_of(f, from);
    if (who == 0 || from == f->self) {
        return;
    }
    for (size_t i = 0; i < frame->unheard_count; i++) {
        unheard |= bit_of(f, frame->unheard[i]);
    }
    f->answered |= who;
    f->heard |= ~unheard;
    f->is_at_work = f->is_at_work || frame->has_log;
    f->is_refused = f->is_refused || !are_founders(f, &frame->configuration);
}

enum founding_verdict founding_verdict(const struct founding *f)
{
    uint32_t silent = bit_of(f, f->self);
    size_t answered = 0;
    for (size_t i = 0; i < f->count; i++) {
        uint32_t bit = UINT32_C(1) << i;
        bool has_answered = (f->answered & bit) != 0;
        silent |= has_answered ? 0 : bit;
        answered += has_answered;
    }
    if (!f->is_at_work) {
        return FOUNDING_NEW;
    }
    if (f->is_refused || (f->heard & bit_of(f, f->self)) != 0) {
        return FOUNDING_REFUSED;
    }
    bool is_late = answered > f->count / 2 && (f->heard & silent) == 0;
    return is_late ? FOUNDING_LATE : FOUNDING_WAIT;
}
