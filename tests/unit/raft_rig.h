/* SPDX-License-Identifier: Apache-2.0 */
/* A raft core on the bench: node 1 of a group, events by hand, effects to look at. Included by the
 * core's tests only. */
#ifndef QUORATE_TESTS_UNIT_RAFT_RIG_H
#define QUORATE_TESTS_UNIT_RAFT_RIG_H

#include <string.h>

#include "tests/support/cm.h"

#include "raft/core/core.h"

#define MS BASE_US_PER_MS

struct rig {
    struct raft_core core;
    struct raft_effects fx;
    int64_t now_us;
    struct msg_raft_entry entries[MSG_RAFT_ENTRIES_MAX];
};

static struct rig rig; /* large; each test sets it up anew */

static struct raft_configuration rig_members;

static inline struct raft_core_config config_of(size_t members)
{
    struct raft_core_config config = {.cluster_id = 9,
                                      .id = 1,
                                      .configuration = &rig_members,
                                      .heartbeat_us = 50 * MS,
                                      .election_min_us = 250 * MS,
                                      .election_max_us = 500 * MS,
                                      .seed = 42};
    memset(&rig_members, 0, sizeof(rig_members));
    rig_members.count = (uint32_t)members;
    for (size_t i = 0; i < members; i++) {
        rig_members.members[i].id = i + 1;
    }
    return config;
}

/* Node 1 of `members`, with a stored log that has these terms from index 1 on. */
static inline void set_up(size_t members, uint64_t term, const uint64_t *terms, size_t count)
{
    struct raft_core_config config = config_of(members);
    struct raft_core_restored restored = {.term = term};
    memset(&rig, 0, sizeof(rig));
    rig.now_us = 1000 * MS;
    assert_int_equal(raft_core_init(&rig.core, &config), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(raft_log_append(&rig.core.log, terms[i], 10, 0), 0);
    }
    assert_int_equal(raft_core_start(&rig.core, &restored, (struct base_mono){rig.now_us}), 0);
}

static inline int step(struct raft_event event)
{
    event.now.us = rig.now_us;
    int rc = raft_core_step(&rig.core, &event, &rig.fx);
    const char *broken = raft_core_check(&rig.core);
    assert_true(broken == NULL);
    return rc;
}

static inline void do_step(struct raft_event event)
{
    assert_int_equal(step(event), 0);
}

static inline void tick_at(int64_t us)
{
    rig.now_us = us;
    do_step((struct raft_event){.type = RAFT_EVENT_TICK});
}

static inline void tick_due(void)
{
    tick_at(raft_core_deadline(&rig.core).us);
}

static inline struct msg_raft msg(enum msg_raft_type type, uint64_t from, uint64_t term)
{
    return (struct msg_raft){.type = type, .cluster = 9, .from = from, .to = 1, .term = term};
}

static inline void hear(struct msg_raft m)
{
    do_step((struct raft_event){.type = RAFT_EVENT_MESSAGE, .message = &m});
}

static inline void hear_append(uint64_t from, uint64_t term, uint64_t index, uint64_t log_term,
                               uint32_t count, uint64_t entry_term)
{
    struct msg_raft m = msg(MSG_RAFT_APPEND, from, term);
    m.index = index;
    m.log_term = log_term;
    m.entry_count = count;
    m.entries = rig.entries;
    for (uint32_t i = 0; i < count; i++) {
        rig.entries[i] = (struct msg_raft_entry){.term = entry_term, .type = MSG_RAFT_ENTRY_DATA};
    }
    hear(m);
}

static inline void hear_taken(uint64_t from, uint64_t index)
{
    struct msg_raft m = msg(MSG_RAFT_APPEND_REPLY, from, rig.core.term);
    m.index = index;
    m.received = index;
    hear(m);
}

static inline void hear_beat_reply(uint64_t from, uint64_t round)
{
    struct msg_raft m = msg(MSG_RAFT_HEARTBEAT_REPLY, from, rig.core.term);
    m.round = round;
    hear(m);
}

static inline void saved(void)
{
    do_step((struct raft_event){.type = RAFT_EVENT_STATE_SAVED,
                                .term = rig.core.saving_term,
                                .vote = rig.core.saving_vote});
}

static inline void persisted(void)
{
    do_step((struct raft_event){.type = RAFT_EVENT_PERSISTED, .id = rig.core.writes[0].id});
}

/* How many effects of a type; SENDs of a message type to a member (0: any). */
static inline size_t effects_of(enum raft_effect_type type)
{
    size_t n = 0;
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        n += rig.fx.list[i].type == type;
    }
    return n;
}

static const struct msg_raft nothing; /* what sent() gives when nothing was sent */

/* The first such message, or an empty one. */
static inline const struct msg_raft *sent(enum msg_raft_type type, uint64_t to)
{
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        const struct msg_raft *m = &rig.fx.list[i].message;
        if (rig.fx.list[i].type == RAFT_EFFECT_SEND && m->type == type &&
            (to == 0 || m->to == to)) {
            return m;
        }
    }
    return &nothing;
}

static inline bool is_sent(enum msg_raft_type type, uint64_t to)
{
    return sent(type, to) != &nothing;
}

static inline size_t count_sent(enum msg_raft_type type, uint64_t to)
{
    size_t n = 0;
    for (uint32_t i = 0; i < rig.fx.count; i++) {
        const struct msg_raft *m = &rig.fx.list[i].message;
        n += rig.fx.list[i].type == RAFT_EFFECT_SEND && m->type == type && (to == 0 || m->to == to);
    }
    return n;
}

/* Through pre-vote and vote with the help of node 2. */
static inline void elect(void)
{
    tick_due();
    assert_int_equal(rig.core.role, RAFT_PRE_CANDIDATE);
    struct msg_raft m = msg(MSG_RAFT_PREVOTE_REPLY, 2, rig.core.term);
    m.proposed_term = rig.core.term + 1;
    hear(m);
    if (rig.core.peer_count >= 4) {
        m.from = 3;
        hear(m);
    }
    assert_int_equal(rig.core.role, RAFT_CANDIDATE);
    saved();
    hear(msg(MSG_RAFT_VOTE_REPLY, 2, rig.core.term));
    if (rig.core.peer_count >= 4) {
        hear(msg(MSG_RAFT_VOTE_REPLY, 3, rig.core.term));
    }
    assert_int_equal(rig.core.role, RAFT_LEADER);
}

/* Leader of term 1 of three, everything written and acknowledged by all. */
static inline void lead_calmly(void)
{
    set_up(3, 0, NULL, 0);
    elect();
    persisted();
    hear_taken(2, 1);
    hear_taken(3, 1);
    assert_int_equal(rig.core.commit, 1);
}

static inline int propose(size_t bytes)
{
    return step((struct raft_event){.type = RAFT_EVENT_PROPOSE, .bytes = bytes});
}

#endif
