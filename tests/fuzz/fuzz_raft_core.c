/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events for one Raft core: valid messages of peers, time, proposals, completions of
 * the disk in their order. Whatever peers say: no assertion fails, the invariants of the core hold,
 * term and commit never go back, one vote a term, nothing committed is replaced. */
#include "proto/wire/raft.h"
#include "raft/core/core.h"
#include "tests/fuzz/fuzz.h"

#define QUEUE 512u
#define INDEX_MAX 2048u

static struct desk {
    struct raft_core core;
    struct raft_effects fx;
    int64_t now_us;
    struct raft_effect saves[QUEUE], writes[QUEUE];
    size_t save_at, save_count, write_at, write_count;
    struct raft_effect install;
    bool is_installing;
    uint64_t term, commit, persisted, vote_term, vote;
    uint64_t committed[INDEX_MAX]; /* terms */
} d;

static void note_send(const struct msg_raft *m)
{
    bool is_vote = m->type == MSG_RAFT_VOTE || (m->type == MSG_RAFT_VOTE_REPLY && !m->is_rejected);
    uint64_t who = m->type == MSG_RAFT_VOTE ? m->from : m->to;
    if (is_vote) {
        BASE_ASSERT(m->term > d.vote_term || d.vote == 0 ||
                    (m->term == d.vote_term && who == d.vote)); /* R2 */
        d.vote_term = m->term;
        d.vote = who;
    }
}

static void note_effects(void)
{
    for (uint32_t i = 0; i < d.fx.count; i++) {
        const struct raft_effect *e = &d.fx.list[i];
        if (e->type == RAFT_EFFECT_SAVE_STATE && d.save_count < QUEUE) {
            d.saves[d.save_count++] = *e;
        } else if (e->type == RAFT_EFFECT_WRITE && d.write_count < QUEUE) {
            /* R13; what is committed elsewhere may still have to be written here */
            BASE_ASSERT(e->from > d.commit || e->from > d.persisted);
            d.writes[d.write_count++] = *e;
        } else if (e->type == RAFT_EFFECT_SEND) {
            note_send(&e->message);
        } else if (e->type == RAFT_EFFECT_INSTALL) {
            d.install = *e;
            d.is_installing = true;
        }
    }
}

static void check(void)
{
    const char *broken = raft_core_check(&d.core);
    BASE_ASSERT(broken == NULL);
    BASE_ASSERT(raft_core_term(&d.core) >= d.term &&
                raft_core_commit(&d.core) >= d.commit); /* R6 */
    uint64_t commit = raft_core_commit(&d.core);
    uint64_t first = raft_core_first_index(&d.core);
    for (uint64_t i = first; i <= commit && i < INDEX_MAX; i++) {
        uint64_t term = raft_core_log_term(&d.core, i);
        BASE_ASSERT(d.committed[i] == 0 || d.committed[i] == term); /* R3 */
        d.committed[i] = term;
    }
    d.term = raft_core_term(&d.core);
    d.commit = commit;
    d.persisted = raft_core_persisted(&d.core);
}

static void step(struct raft_event event)
{
    event.now.us = d.now_us;
    d.fx.count = 0;
    if (raft_core_step(&d.core, &event, &d.fx) == 0) {
        note_effects();
    }
    check();
}

/* Small numbers, near what the core has, now and then far away. */
static uint64_t near(struct slice *in, uint64_t value)
{
    uint8_t b = fuzz_u8(in);
    if (b >= 240) {
        return b == 255 ? (UINT64_C(1) << 62) - 1 : b - 240u;
    }
    uint64_t delta = b % 16u;
    return value + delta < 8 ? 0 : value + delta - 8;
}

/* Taken means: our log agrees with the leader's up to the last entry of the message (T 3.5). */
static void check_taken(const struct msg_raft *m)
{
    uint64_t term = 0;
    bool is_taken = false;
    for (uint32_t i = 0; i < d.fx.count; i++) {
        const struct msg_raft *reply = &d.fx.list[i].message;
        is_taken = is_taken || (d.fx.list[i].type == RAFT_EFFECT_SEND && !reply->is_rejected &&
                                reply->type == MSG_RAFT_APPEND_REPLY &&
                                reply->received >= m->index + m->entry_count);
    }
    if (m->type == MSG_RAFT_APPEND && is_taken && raft_log_term(&d.core.log, m->index, &term)) {
        BASE_ASSERT(term == m->log_term || m->index < raft_core_first_index(&d.core));
    }
}

static void message(struct slice *in)
{
    static const enum msg_raft_type types[] = {
        MSG_RAFT_PREVOTE,        MSG_RAFT_PREVOTE_REPLY,   MSG_RAFT_VOTE,
        MSG_RAFT_VOTE_REPLY,     MSG_RAFT_APPEND,          MSG_RAFT_APPEND_REPLY,
        MSG_RAFT_HEARTBEAT,      MSG_RAFT_HEARTBEAT_REPLY, MSG_RAFT_COMMIT,
        MSG_RAFT_READ,           MSG_RAFT_READ_REPLY,      MSG_RAFT_SNAPSHOT,
        MSG_RAFT_SNAPSHOT_REPLY, MSG_RAFT_TIMEOUT_NOW};
    static uint8_t memory[2][1u << 18];
    static uint8_t bytes[1u << 16];
    struct msg_raft_entry entries[8];
    struct wire_arena arena[2];
    uint8_t flags = fuzz_u8(in);
    uint64_t last = raft_core_last_index(&d.core);
    struct msg_raft m = {.type = types[fuzz_u8(in) % BASE_COUNT_OF(types)],
                         .cluster = 9,
                         .from = flags % 4u + 2u,
                         .to = 1,
                         .is_rejected = (flags & 4) != 0,
                         .is_transfer = (flags & 8) != 0,
                         .is_last = (flags & 16) != 0};
    m.term = near(in, raft_core_term(&d.core));
    m.index = near(in, last);
    m.log_term = near(in, raft_core_term(&d.core));
    m.commit = near(in, last);
    m.round = near(in, 8);
    m.received = near(in, last);
    m.proposed_term = near(in, m.term + 1);
    m.hint_index = near(in, last);
    m.hint_term = near(in, m.term);
    m.entry_count = m.type == MSG_RAFT_APPEND ? fuzz_u8(in) % 8u : 0;
    m.entries = entries;
    uint64_t term = m.log_term;
    for (uint32_t i = 0; i < m.entry_count; i++) {
        uint8_t b = fuzz_u8(in);
        term += b % 3u;
        entries[i] = (struct msg_raft_entry){.term = term, .type = MSG_RAFT_ENTRY_DATA};
        entries[i].body = SLICE_LIT("body");
    }
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct msg_raft decoded;
    wire_arena_init(&arena[0], memory[0], sizeof(memory[0]));
    wire_arena_init(&arena[1], memory[1], sizeof(memory[1]));
    if (wire_raft_encode(&m, &arena[0], &out) == 0 &&
        wire_raft_decode(buf_slice(&out), &arena[1], &decoded) == 0) {
        step((struct raft_event){.type = RAFT_EVENT_MESSAGE, .message = &decoded});
        check_taken(&decoded);
    }
}

static void disk(bool is_save)
{
    if (is_save && d.save_at < d.save_count) {
        const struct raft_effect *e = &d.saves[d.save_at++];
        step((struct raft_event){.type = RAFT_EVENT_STATE_SAVED, .term = e->term, .vote = e->vote});
    } else if (!is_save && d.write_at < d.write_count) {
        step((struct raft_event){.type = RAFT_EVENT_PERSISTED, .id = d.writes[d.write_at++].id});
    }
}

static void one_event(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    switch (what % 10) {
    case 0:
        d.now_us = raft_core_deadline(&d.core).us > d.now_us + 10000000
                       ? d.now_us + 1000
                       : raft_core_deadline(&d.core).us;
        step((struct raft_event){.type = RAFT_EVENT_TICK});
        break;
    case 1:
        step((struct raft_event){.type = RAFT_EVENT_PROPOSE, .bytes = 10});
        break;
    case 2:
        disk(true);
        break;
    case 3:
        disk(false);
        break;
    case 4:
        step((struct raft_event){.type = RAFT_EVENT_READ});
        break;
    case 5:
        step((struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = what / 10 % 4u + 1u});
        break;
    case 6:
        d.now_us += what * 1000;
        step((struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = what / 10 % 4u + 1u});
        break;
    default:
        message(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct raft_configuration members;
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    memset(&d, 0, sizeof(d));
    members.count = how % 2u == 0 ? 3 : 5;
    for (uint32_t i = 0; i < members.count; i++) {
        members.members[i].id = i + 1;
    }
    struct raft_core_config config = {.cluster_id = 9,
                                      .id = 1,
                                      .configuration = &members,
                                      .heartbeat_us = 50000,
                                      .election_min_us = 250000,
                                      .election_max_us = 500000,
                                      .seed = how};
    struct raft_core_restored restored = {.term = 0};
    d.now_us = 1000000;
    int rc = raft_core_init(&d.core, &config);
    rc = rc != 0 ? rc : raft_core_start(&d.core, &restored, (struct base_mono){d.now_us});
    BASE_ASSERT(rc == 0);
    for (int i = 0; i < 400 && in.len > 0; i++) {
        one_event(&in);
    }
    return 0;
}
