/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations by hand for the core on the bench: "12" are the voters 1 and 2. Included by
 * raft_change_test and raft_image_test only. */
#ifndef QUORATE_TESTS_UNIT_RAFT_MEMBERS_RIG_H
#define QUORATE_TESTS_UNIT_RAFT_MEMBERS_RIG_H

#include "raft/core/members.h"
#include "tests/unit/raft_rig.h"

static struct raft_configuration made; /* large */

static inline struct raft_configuration *members_of(const char *voters, const char *learners)
{
    memset(&made, 0, sizeof(made));
    for (const char *c = voters; *c != 0; c++) {
        made.members[made.count++].id = (uint64_t)(*c - '0');
    }
    for (const char *c = learners; *c != 0; c++) {
        made.members[made.count].is_learner = true;
        made.members[made.count++].id = (uint64_t)(*c - '0');
    }
    return &made;
}

static inline int change(const char *voters, const char *learners)
{
    return step((struct raft_event){.type = RAFT_EVENT_CHANGE_MEMBERS,
                                    .configuration = members_of(voters, learners),
                                    .bytes = 50});
}

/* An append with one MEMBERS entry behind (index, log_term). */
static inline void hear_members(uint64_t from, uint64_t term, uint64_t index, uint64_t log_term,
                                uint64_t entry_term, const struct raft_configuration *members)
{
    static uint8_t memory[RAFT_MEMBERS_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(raft_members_encode(members, &b), 0);
    struct msg_raft_entry entry = {
        .term = entry_term, .type = MSG_RAFT_ENTRY_MEMBERS, .body = buf_slice(&b)};
    struct msg_raft m = msg(MSG_RAFT_APPEND, from, term);
    m.index = index;
    m.log_term = log_term;
    m.entry_count = 1;
    m.entries = &entry;
    hear(m);
}

#endif
