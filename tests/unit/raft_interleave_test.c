/* SPDX-License-Identifier: Apache-2.0 */
/* Three Raft cores, every interleaving of deadlines, deliveries, disks, crashes and a proposal up
 * to a depth: a small model checker over raft/core itself.
 *
 * Depth first, without recursion; a state that was visited with as many steps left is not entered
 * again. Clocks are the nodes' own and no part of a state's identity, so a state may stand for
 * several: what is found is real, and what is not found within the depth may be missed. Messages
 * may be lost (never delivered) and overtaken, not doubled. Held after every step: R1 one leader a
 * term, R2 one vote a term, R3 log matching, R4 leader completeness, R5 what is committed stays, R8
 * a leader commits by counting entries of its own term only. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "raft/core/core.h"

#define N 3
#define TERMS 6
#define LOG 6
#define OPS 4
#define MESSAGES 10
#define DEPTH_MAX 32
#define SEEN_BITS 22
#define SEEN_SIZE (1u << SEEN_BITS)

struct op {
    bool is_write;
    uint64_t a, b, id; /* term and vote, or from and to */
    uint64_t terms[LOG];
};

struct disk {
    uint64_t term, vote, last;
    uint64_t terms[LOG];
    uint32_t op_count;
    struct op ops[OPS];
};

struct packet {
    struct msg_raft m;
    uint64_t terms[LOG]; /* of its entries */
};

/* All that a step may change, but the cores. */
struct rest {
    struct disk disks[N];
    int64_t now_us[N];
    uint32_t packet_count;
    struct packet packets[MESSAGES];
    uint64_t leader_of[TERMS];  /* R1 */
    uint64_t vote_of[TERMS][N]; /* R2 */
    uint64_t committed[LOG];    /* term by index, 0: not committed */
    uint64_t committed_in[LOG]; /* term in which it was */
    uint32_t timeouts, crashes, proposals;
};

/* The parts of a core that differ from step to step: no configuration, and of the log's tables only
 * what can be in use here. */
#define HEAD offsetof(struct raft_core, configuration)
#define MID offsetof(struct raft_core, rand)
#define RUNS offsetof(struct raft_core, log.runs)
#define TAIL offsetof(struct raft_core, persisted)
struct small_core {
    uint8_t head[HEAD];
    uint8_t mid[RUNS - MID];
    struct raft_run runs[LOG + 1];
    uint32_t sizes[LOG + 1];
    uint8_t tail[sizeof(struct raft_core) - TAIL];
};

struct snap {
    struct small_core cores[N];
    struct rest rest;
    uint32_t next_action;
};

struct bounds {
    uint32_t depth, timeouts, crashes, proposals;
    bool is_disk_instant;
};

static struct raft_core cores[N];
static struct rest x;
static struct snap stack[DEPTH_MAX];
static uint64_t seen[SEEN_SIZE];
static uint64_t steps, states;
static const struct bounds *bounds;
static const char *broken;
static struct raft_configuration members;
static struct raft_effects fx;

static void break_rule(const char *text)
{
    broken = broken == NULL ? text : broken;
}

/* --- keeping and bringing back --- */

static void keep_core(const struct raft_core *core, struct small_core *ret)
{
    const uint8_t *bytes = (const uint8_t *)core;
    memcpy(ret->head, bytes, sizeof(ret->head));
    memcpy(ret->mid, bytes + MID, sizeof(ret->mid));
    memcpy(ret->runs, core->log.runs, sizeof(ret->runs));
    memcpy(ret->sizes, core->log.sizes, sizeof(ret->sizes));
    memcpy(ret->tail, bytes + TAIL, sizeof(ret->tail));
}

static void bring_core(const struct small_core *kept, struct raft_core *core)
{
    uint8_t *bytes = (uint8_t *)core;
    memcpy(bytes, kept->head, sizeof(kept->head));
    memcpy(bytes + MID, kept->mid, sizeof(kept->mid));
    memcpy(core->log.runs, kept->runs, sizeof(kept->runs));
    memcpy(core->log.sizes, kept->sizes, sizeof(kept->sizes));
    memcpy(bytes + TAIL, kept->tail, sizeof(kept->tail));
}

static void keep(struct snap *ret)
{
    for (size_t i = 0; i < N; i++) {
        keep_core(&cores[i], &ret->cores[i]);
    }
    ret->rest = x;
    ret->next_action = 0;
}

static void bring(const struct snap *snap)
{
    for (size_t i = 0; i < N; i++) {
        bring_core(&snap->cores[i], &cores[i]);
    }
    x = snap->rest;
}

/* --- identity of a state --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6) + (hash >> 2);
    return hash * UINT64_C(0x100000001b3);
}

static uint64_t hash_core(uint64_t h, const struct raft_core *c)
{
    const uint64_t fields[] = {
        c->role,        c->term,           c->vote,          c->leader,        c->saving_term,
        c->saving_vote, c->saved_term,     c->saved_vote,    c->vote_reply_to, c->persisted,
        c->commit,      c->unwritten_from, c->own_vote,      c->leader_match,  c->leader_acked,
        c->term_start,  c->write_count,    c->log.last_index};
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        h = mix(h, fields[i]);
    }
    for (uint64_t i = 1; i <= c->log.last_index; i++) {
        h = mix(h, raft_core_log_term(c, i));
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct raft_peer *p = &c->peers[i];
        h = mix(mix(mix(h, p->vote), p->state), p->is_probe_sent);
        h = mix(mix(mix(h, p->match), p->next), p->inflight_count);
    }
    return h;
}

static uint64_t hash_packet(const struct packet *p)
{
    const uint64_t fields[] = {
        p->m.type,          p->m.from,        p->m.to,         p->m.term,     p->m.index,
        p->m.proposed_term, p->m.log_term,    p->m.commit,     p->m.received, p->m.hint_index,
        p->m.hint_term,     p->m.entry_count, p->m.is_rejected};
    uint64_t h = 7;
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        h = mix(h, fields[i]);
    }
    for (uint32_t i = 0; i < p->m.entry_count; i++) {
        h = mix(h, p->terms[i]);
    }
    return h;
}

static uint64_t hash_state(void)
{
    uint64_t h = mix(mix(mix(1, x.timeouts), x.crashes), x.proposals);
    uint64_t flying = 0; /* in any order */
    for (size_t i = 0; i < N; i++) {
        const struct disk *d = &x.disks[i];
        h = hash_core(h, &cores[i]);
        h = mix(mix(mix(mix(h, d->term), d->vote), d->last), d->op_count);
        for (uint64_t j = 1; j <= d->last; j++) {
            h = mix(h, d->terms[j]);
        }
        for (uint32_t j = 0; j < d->op_count; j++) {
            h = mix(mix(mix(h, d->ops[j].is_write), d->ops[j].a), d->ops[j].b);
        }
    }
    for (uint32_t i = 0; i < x.packet_count; i++) {
        flying += hash_packet(&x.packets[i]);
    }
    for (size_t t = 0; t < TERMS; t++) {
        h = mix(h, x.leader_of[t]);
        for (size_t i = 0; i < N; i++) {
            h = mix(h, x.vote_of[t][i]);
        }
    }
    for (size_t i = 0; i < LOG; i++) {
        h = mix(mix(h, x.committed[i]), x.committed_in[i]);
    }
    return mix(h, flying);
}

/* True: new, or seen before with fewer steps left. The low byte holds those. */
static bool is_news(uint64_t hash, uint32_t left)
{
    hash &= ~UINT64_C(0xff);
    for (size_t at = (hash >> 20) % SEEN_SIZE;; at = (at + 1) % SEEN_SIZE) {
        if (seen[at] == 0) {
            seen[at] = hash | (left + 1);
            states++;
            assert_true(states < SEEN_SIZE / 2);
            return true;
        }
        if ((seen[at] & ~UINT64_C(0xff)) == hash) {
            bool is_deeper = (seen[at] & 0xff) < left + 1;
            seen[at] = is_deeper ? hash | (left + 1) : seen[at];
            return is_deeper;
        }
    }
}

/* --- one step of a core --- */

static void note_vote(uint64_t term, size_t voter, uint64_t candidate)
{
    if (x.vote_of[term][voter] != 0 && x.vote_of[term][voter] != candidate) {
        break_rule("R2: two votes in one term");
    }
    x.vote_of[term][voter] = candidate;
}

static void send(size_t from, const struct msg_raft *m)
{
    if (m->type == MSG_RAFT_VOTE_REPLY && !m->is_rejected) {
        note_vote(m->term, from, m->to);
    } else if (m->type == MSG_RAFT_VOTE) {
        note_vote(m->term, from, from + 1);
    }
    if (x.packet_count == MESSAGES || m->index + m->entry_count >= LOG) {
        return; /* lost */
    }
    struct packet *p = &x.packets[x.packet_count++];
    *p = (struct packet){.m = *m};
    for (uint32_t i = 0; i < m->entry_count; i++) {
        p->terms[i] = raft_core_log_term(&cores[from], m->index + 1 + i);
    }
}

static void commit(size_t i, uint64_t upto)
{
    const struct raft_core *c = &cores[i];
    if (c->role == RAFT_LEADER && raft_core_log_term(c, upto) != c->term) {
        break_rule("R8: an entry of another term is committed by counting");
    }
    for (uint64_t j = 1; j <= upto; j++) {
        uint64_t term = raft_core_log_term(c, j);
        if (x.committed[j] != 0 && x.committed[j] != term) {
            break_rule("R5: two entries are committed at one index");
        }
        x.committed_in[j] = x.committed[j] != 0 ? x.committed_in[j] : c->term;
        x.committed[j] = term;
    }
}

static struct op *op_add(size_t i)
{
    struct disk *d = &x.disks[i];
    assert_true(d->op_count < OPS);
    struct op *op = &d->ops[d->op_count++];
    *op = (struct op){0};
    return op;
}

static void take_effect(size_t i, const struct raft_effect *e)
{
    if (e->type == RAFT_EFFECT_SAVE_STATE) {
        struct op *op = op_add(i);
        op->a = e->term;
        op->b = e->vote;
    } else if (e->type == RAFT_EFFECT_WRITE) {
        struct op *op = op_add(i);
        op->is_write = true;
        op->id = e->id;
        op->a = e->from;
        op->b = e->to;
        for (uint64_t j = e->from; j <= e->to; j++) {
            op->terms[j] = raft_core_log_term(&cores[i], j);
        }
    } else if (e->type == RAFT_EFFECT_SEND) {
        send(i, &e->message);
    } else if (e->type == RAFT_EFFECT_COMMIT) {
        commit(i, e->index);
    } else if (e->type == RAFT_EFFECT_HALT) {
        break_rule("a node halts");
    } /* bodies, reads and roles: nothing to keep here */
}

static bool step(size_t i, struct raft_event event)
{
    event.now.us = x.now_us[i];
    int rc = raft_core_step(&cores[i], &event, &fx);
    if (raft_core_check(&cores[i]) != NULL) {
        break_rule(raft_core_check(&cores[i]));
    }
    for (uint32_t n = 0; n < fx.count; n++) {
        take_effect(i, &fx.list[n]);
    }
    return rc == 0;
}

/* --- what may happen --- */

static void start(size_t i)
{
    const struct disk *d = &x.disks[i];
    struct raft_core_config config = {.cluster_id = 9,
                                      .id = i + 1,
                                      .configuration = &members,
                                      .heartbeat_us = 50 * BASE_US_PER_MS,
                                      .election_min_us = 250 * BASE_US_PER_MS,
                                      .election_max_us = 500 * BASE_US_PER_MS,
                                      .seed = i + 1};
    struct raft_core_restored restored = {.term = d->term, .vote = d->vote};
    assert_int_equal(raft_core_init(&cores[i], &config), 0);
    for (uint64_t j = 1; j <= d->last; j++) {
        assert_int_equal(raft_log_append(&cores[i].log, d->terms[j], 10, 0), 0);
    }
    assert_int_equal(raft_core_start(&cores[i], &restored, (struct base_mono){x.now_us[i]}), 0);
}

static bool do_timeout(size_t i)
{
    if (cores[i].role == RAFT_LEADER || x.timeouts == bounds->timeouts ||
        cores[i].term + 2 >= TERMS) {
        return false;
    }
    x.timeouts++;
    int64_t due_us = raft_core_deadline(&cores[i]).us;
    x.now_us[i] = due_us > x.now_us[i] ? due_us : x.now_us[i];
    return step(i, (struct raft_event){.type = RAFT_EVENT_TICK});
}

static bool do_disk(size_t i)
{
    struct disk *d = &x.disks[i];
    if (d->op_count == 0) {
        return false;
    }
    struct op op = d->ops[0];
    memmove(d->ops, d->ops + 1, --d->op_count * sizeof(op));
    if (!op.is_write) {
        d->term = op.a;
        d->vote = op.b;
        return step(
            i, (struct raft_event){.type = RAFT_EVENT_STATE_SAVED, .term = op.a, .vote = op.b});
    }
    for (uint64_t j = op.a; j <= op.b; j++) {
        d->terms[j] = op.terms[j];
    }
    d->last = op.b;
    return step(i, (struct raft_event){.type = RAFT_EVENT_PERSISTED, .id = op.id});
}

static bool do_crash(size_t i)
{
    if (x.crashes == bounds->crashes) {
        return false;
    }
    x.crashes++;
    x.disks[i].op_count = 0;
    start(i);
    return true;
}

static bool do_propose(size_t i)
{
    if (cores[i].role != RAFT_LEADER || x.proposals == bounds->proposals ||
        cores[i].log.last_index + 2 >= LOG) {
        return false;
    }
    x.proposals++;
    return step(i, (struct raft_event){.type = RAFT_EVENT_PROPOSE, .bytes = 10});
}

static bool do_deliver(uint32_t at)
{
    struct msg_raft_entry entries[LOG];
    struct packet p = x.packets[at];
    x.packets[at] = x.packets[--x.packet_count];
    for (uint32_t i = 0; i < p.m.entry_count; i++) {
        entries[i] = (struct msg_raft_entry){.term = p.terms[i], .type = MSG_RAFT_ENTRY_DATA};
    }
    p.m.entries = entries;
    return step(p.m.to - 1, (struct raft_event){.type = RAFT_EVENT_MESSAGE, .message = &p.m});
}

enum { ACTION_DELIVER = 4 * N };

/* False: it cannot happen now. */
static bool act(uint32_t action)
{
    size_t i = action % N;
    bool is_done = action >= ACTION_DELIVER ? do_deliver(action - ACTION_DELIVER)
                   : action / N == 0        ? do_timeout(i)
                   : action / N == 1        ? do_disk(i)
                   : action / N == 2        ? do_crash(i)
                                            : do_propose(i);
    for (i = 0; i < N && bounds->is_disk_instant; i++) {
        while (do_disk(i)) {
        }
    }
    return is_done;
}

/* --- what must hold --- */

static void check_logs(const struct raft_core *a, const struct raft_core *b)
{
    uint64_t last = a->log.last_index < b->log.last_index ? a->log.last_index : b->log.last_index;
    bool is_equal = false;
    for (uint64_t i = last; i > 0; i--) {
        bool is_same = raft_core_log_term(a, i) == raft_core_log_term(b, i);
        if (is_equal && !is_same) {
            break_rule("R3: logs that agree at an index differ before it");
        }
        is_equal = is_equal || is_same;
    }
}

static void check_leader(size_t i)
{
    const struct raft_core *c = &cores[i];
    if (c->role != RAFT_LEADER) {
        return;
    }
    if (x.leader_of[c->term] != 0 && x.leader_of[c->term] != i + 1) {
        break_rule("R1: two leaders in one term");
    }
    x.leader_of[c->term] = i + 1;
    for (uint64_t j = 1; j < LOG; j++) {
        if (x.committed[j] != 0 && x.committed_in[j] < c->term &&
            (j > c->log.last_index || raft_core_log_term(c, j) != x.committed[j])) {
            break_rule("R4: a leader lacks a committed entry");
        }
    }
}

static void check(void)
{
    for (size_t i = 0; i < N; i++) {
        check_leader(i);
        for (size_t j = 0; j < i; j++) {
            check_logs(&cores[i], &cores[j]);
        }
    }
}

/* --- the search --- */

static void tell_way(uint32_t depth)
{
    static const char *const names[] = {"deadline of", "disk of", "crash of", "proposal at"};
    for (uint32_t d = 0; d <= depth; d++) {
        uint32_t action = stack[d].next_action - 1;
        if (action >= ACTION_DELIVER) {
            const struct msg_raft *m = &stack[d].rest.packets[action - ACTION_DELIVER].m;
            print_message("%2u: message %d of term %llu from %llu to %llu\n", d, (int)m->type,
                          (unsigned long long)m->term, (unsigned long long)m->from,
                          (unsigned long long)m->to);
        } else {
            print_message("%2u: %s %u\n", d, names[action / N], action % N + 1);
        }
    }
}

static void search(void)
{
    uint32_t depth = 0;
    keep(&stack[0]);
    for (;;) {
        struct snap *top = &stack[depth];
        if (top->next_action >= ACTION_DELIVER + top->rest.packet_count) {
            if (depth-- == 0) {
                return;
            }
            continue;
        }
        bring(top);
        if (!act(top->next_action++)) {
            continue;
        }
        steps++;
        check();
        if (broken != NULL) {
            tell_way(depth);
            return;
        }
        if (depth + 1 < bounds->depth && is_news(hash_state(), bounds->depth - depth - 1)) {
            keep(&stack[++depth]);
        }
    }
}

static void set_up(const struct bounds *new_bounds)
{
    memset(&x, 0, sizeof(x));
    memset(seen, 0, sizeof(seen));
    members = (struct raft_configuration){.count = N};
    broken = NULL;
    bounds = new_bounds;
    steps = states = 0;
    for (size_t i = 0; i < N; i++) {
        members.members[i].id = i + 1;
    }
    for (size_t i = 0; i < N; i++) {
        x.now_us[i] = BASE_US_PER_S;
        start(i);
    }
}

static void run_and_tell(const char *what)
{
    search();
    print_message("%s: %llu steps, %llu states, depth %u\n", what, (unsigned long long)steps,
                  (unsigned long long)states, bounds->depth);
    if (broken != NULL) {
        fail_msg("%s", broken);
    }
    assert_true(states > 1000);
}

static void settle(void)
{
    for (size_t i = 0; i < N; i++) {
        while (do_disk(i)) {
        }
    }
    while (x.packet_count > 0) {
        (void)do_deliver(0);
        for (size_t i = 0; i < N; i++) {
            while (do_disk(i)) {
            }
        }
    }
}

static void test_first_elections_with_slow_disks(void **state)
{
    static const struct bounds b = {.depth = 11, .timeouts = 2, .crashes = 1};
    (void)state;
    set_up(&b);
    run_and_tell("elections, slow disks");
}

static void test_first_elections_and_entries(void **state)
{
    static const struct bounds b = {
        .depth = 11, .timeouts = 2, .crashes = 0, .proposals = 1, .is_disk_instant = true};
    (void)state;
    set_up(&b);
    run_and_tell("elections and entries");
}

/* Node 1 leads; the others get and lose entries, stand, and crash. */
static void test_a_leader_is_replaced(void **state)
{
    static const struct bounds b = {
        .depth = 12, .timeouts = 3, .crashes = 1, .proposals = 1, .is_disk_instant = true};
    (void)state;
    set_up(&b);
    (void)do_timeout(0);
    settle();
    assert_int_equal(cores[0].role, RAFT_LEADER);
    run_and_tell("a leader is replaced");
}

/* Logs that have parted: 1 and 3 hold entries of terms that lost; nothing of them is committed. */
static void test_logs_that_have_parted(void **state)
{
    static const struct bounds b = {
        .depth = 11, .timeouts = 2, .crashes = 0, .is_disk_instant = true};
    static const struct disk parted[N] = {{.term = 3, .last = 2, .terms = {0, 1, 2}},
                                          {.term = 3, .last = 1, .terms = {0, 1}},
                                          {.term = 3, .last = 3, .terms = {0, 1, 1, 3}}};
    (void)state;
    set_up(&b);
    for (size_t i = 0; i < N; i++) {
        x.disks[i] = parted[i];
        start(i);
    }
    run_and_tell("logs that have parted");
}

static int choose_canary(void **state)
{
    (void)state;
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_elections_with_slow_disks),
        cmocka_unit_test(test_first_elections_and_entries),
        cmocka_unit_test(test_a_leader_is_replaced),
        cmocka_unit_test(test_logs_that_have_parted),
    };
    return cmocka_run_group_tests(tests, choose_canary, NULL);
}
