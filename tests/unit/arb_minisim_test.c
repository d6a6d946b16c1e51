/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around the arbiter's core: three quorum nodes of which one leads at a time (and a
 * deposed one may not know it yet), four members with guard, database and replication, drifting
 * clocks, lost and late messages, crashes, power loss, partitions. Quick checks of: no two members
 * writable at once (A2), epochs grow (A3), the winner was a voter and the most advanced one (A6),
 * |S \ V| <= k - r at every instant (A7), whoever opens has every acknowledged commit (A4).
 */
#include "tests/support/cm.h"

#include "base/canary.h"
#include "base/name.h"
#include "tests/unit/arb_minisim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct minisim s;

void violate(const char *what, uint64_t a, uint64_t b)
{
    if (s.bad[0] == '\0') {
        (void)snprintf(s.bad, sizeof(s.bad), "%s (%llu, %llu) at %lld ms", what,
                       (unsigned long long)a, (unsigned long long)b, (long long)(s.t / 1000));
    }
}

uint64_t between(uint64_t low, uint64_t high)
{
    return base_rand_between(&s.rand, low, high);
}

bool chance(uint32_t ppm)
{
    return base_rand_chance_ppm(&s.rand, ppm);
}

struct base_mono clock_of(int64_t offset, int64_t rate_ppm)
{
    return (struct base_mono){offset + s.t + s.t / 1000000 * rate_ppm +
                              s.t % 1000000 * rate_ppm / 1000000};
}

struct base_mono member_now(const struct member *m)
{
    return clock_of(m->offset, m->rate_ppm);
}

/* ARB_TRACE=1 tells the story on stderr. */
static void trace_notes(unsigned n, const struct arb_effects *fx)
{
    if (getenv("ARB_TRACE") == NULL) {
        return;
    }
    for (uint8_t i = 0; i < fx->notes_count; i++) {
        uint8_t memory[512];
        struct buf b = buf_over(memory, sizeof(memory));
        arb_note_put(&fx->notes[i], &b);
        (void)fprintf(stderr, "%8lld node %u: %.*s\n", (long long)(s.t / 1000), n, (int)b.len,
                      (const char *)b.data);
    }
}

struct frame *frame_new(enum frame_kind kind, int64_t delay)
{
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        if (!s.frames[i].is_used) {
            s.frames[i].is_used = true;
            s.frames[i].kind = kind;
            s.frames[i].due = s.t + delay;
            return &s.frames[i];
        }
    }
    return NULL; /* lost */
}

int64_t delay(void)
{
    int64_t us = (int64_t)between(300, 6000);
    return chance(30000) ? us + (int64_t)between(10000, 900000) : us;
}

/* --- the quorum --- */

static void node_run(unsigned n, struct arb_event event);

static void swap_propose(unsigned n, const struct arb_effects *fx)
{
    if (n != s.leader || fx->term != s.term || s.has_pending) {
        return; /* goes into the log of a node that leads no more: never committed */
    }
    s.has_pending = true;
    s.pending = fx->record;
    s.pending_kind = fx->swap_kind;
    s.pending_decision = s.nodes[n].c.decision;
    s.pending_epoch = fx->expect_epoch;
    s.pending_revision = fx->expect_revision;
    s.pending_term = fx->term;
    s.pending_at = s.t + (int64_t)between(1000, 80000);
}

static void node_effects(unsigned n, const struct arb_effects *fx)
{
    struct node *node = &s.nodes[n];
    if (fx->has_swap) {
        swap_propose(n, fx);
    }
    if (fx->ticket != 0 && n == s.leader && node->term == s.term) {
        struct frame *f = frame_new(FRAME_CONFIRM, (int64_t)between(500, 60000));
        if (f != NULL) {
            f->node = n;
            f->term = node->term;
            f->ticket = fx->ticket;
        }
    }
    for (uint8_t i = 0; i < node->c.views_count; i++) {
        struct msg_order order;
        unsigned m = (unsigned)(node->c.views[i].member.text[2] - '1');
        if ((fx->orders >> i & 1) == 0) {
            continue;
        }
        arb_order_make(&node->c, i, clock_of(node->offset, node->rate_ppm), &order);
        struct frame *f = chance(20000) || s.members[m].cut_until[n] > s.t
                              ? NULL
                              : frame_new(FRAME_ORDER, delay());
        if (f != NULL) {
            f->node = n;
            f->member = m;
            f->order = order;
        }
    }
}

static void node_run(unsigned n, struct arb_event event)
{
    struct arb_effects fx;
    struct node *node = &s.nodes[n];
    event.now = clock_of(node->offset, node->rate_ppm);
    event.wall = (struct base_wall){s.t};
    arb_step(&node->c, &event, &fx);
    node->wake = fx.wake.us;
    trace_notes(n, &fx);
    node_effects(n, &fx);
}

/* A6: a failover by votes names a voter, and the most advanced of those that voted. */
static void check_decision(const struct arb_decision *d, const struct msg_record *old)
{
    const struct msg_position *best = NULL;
    if (s.pending_kind != ARB_DECIDE_FAILOVER) {
        return;
    }
    s.failovers++;
    if (!arb_names_has(&old->voters, &d->to)) {
        violate("A6: the winner was no voter", d->epoch, 0);
    }
    for (uint8_t i = 0; i < d->inputs_count; i++) {
        if (d->inputs[i].is_vote && d->inputs[i].is_voter &&
            (best == NULL || arb_position_compare(&d->inputs[i].position, best) > 0)) {
            best = &d->inputs[i].position;
        }
    }
    if (best == NULL || arb_position_compare(&d->floor, best) < 0) {
        violate("A6: the winner was not the most advanced voter", d->epoch, d->floor.lsn);
    }
    if (d->votes_counted < d->votes_needed) {
        violate("A6: too few votes", d->votes_counted, d->votes_needed);
    }
}

static void commit(void)
{
    bool is_won = s.record.epoch == s.pending_epoch && s.record.revision == s.pending_revision;
    s.has_pending = false;
    if (is_won) {
        if (s.pending.epoch < s.record.epoch) {
            violate("A3: the epoch went back", s.record.epoch, s.pending.epoch);
        }
        check_decision(&s.pending_decision, &s.record);
        s.returns += s.pending_kind == ARB_DECIDE_RETURN;
        s.handovers += s.pending_kind == ARB_DECIDE_HANDOVER;
        s.record = s.pending;
    }
    for (unsigned n = 0; n < NODES; n++) {
        struct frame *f =
            frame_new(FRAME_RECORD, n == s.leader ? 0 : (int64_t)between(1000, 50000));
        assert_non_null(f);
        if (f == NULL) {
            return;
        }
        /* the log is applied in order */
        f->due = f->due < s.nodes[n].record_due ? s.nodes[n].record_due : f->due;
        s.nodes[n].record_due = f->due;
        f->node = n;
        f->is_won = is_won;
        f->is_own = n == s.leader && s.pending_term == s.term;
        f->record = s.record;
    }
}

/* Another node wins; what the old one had in its log comes through or does not. */
static void elect(unsigned n)
{
    struct node *old = &s.nodes[s.leader];
    if (s.has_pending) {
        if (chance(500000)) {
            s.term++;
            s.leader = n;
            commit(); /* before the first entry of the new term */
        } else {
            s.has_pending = false;
            s.term++;
        }
    } else {
        s.term++;
    }
    if (old->thinks_leader) {
        struct frame *f = frame_new(FRAME_LOST, (int64_t)between(0, 700000));
        assert_non_null(f);
        if (f != NULL) {
            f->node = (unsigned)(old - s.nodes);
            f->term = old->term;
        }
    }
    s.leader = n;
    s.nodes[n].thinks_leader = true;
    s.nodes[n].term = s.term;
    s.is_ready = false;
    node_run(n, (struct arb_event){.kind = ARB_EVENT_LEADER,
                                   .term = s.term,
                                   .elected = clock_of(s.nodes[n].offset, s.nodes[n].rate_ppm)});
    s.ready_at = s.t + (int64_t)between(2000, 60000);
    s.ready_at =
        s.ready_at < s.nodes[n].record_due + STEP_US ? s.nodes[n].record_due + STEP_US : s.ready_at;
}

/* --- faults --- */

static unsigned holder_index(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (base_name_equal(&s.members[i].name, &s.record.holder)) {
            return i;
        }
    }
    return 0;
}

static void crash(struct member *m)
{
    unsigned voters = 0;
    if (!m->is_up || m->db != DB_PRIMARY) {
        return;
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        voters += streams(m, i) && arb_names_has(&m->order.record.voters, &s.members[i].name);
    }
    struct arb_set v = {m->order.record.voters, m->order.record.votes_needed_r};
    if (arb_votes_needed(&v) != 0 && voters >= arb_votes_needed(&v)) {
        kill_tree(m);
        return;
    }
    forget_root(m);
    m->db = DB_DOWN;
    m->restart_at = s.t + (int64_t)between(20000, 150000);
}

static void power_off(struct member *m)
{
    forget_root(m);
    m->is_up = false;
    m->off_until = s.t + (int64_t)between(100000, 2500000);
    m->db = DB_STOPPED;
}

static void ask(enum arb_request_kind kind)
{
    struct arb_request r = {.kind = kind};
    if (s.is_ready) {
        node_run(s.leader, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    }
}

/* Every node is told of a document, as from the store. */
static void settings_change(void)
{
    static const uint32_t ttls[] = {TTL_MS, 2 * TTL_MS, 4 * TTL_MS};
    struct msg_record settings = {.config_revision = ++s.settings,
                                  .ttl_ms = ttls[between(0, 2)],
                                  .heartbeat_ms = 100,
                                  .freeze_max_ms = 1500,
                                  .sync_mode = chance(300000) ? MSG_SYNC_FIRST : MSG_SYNC_ON,
                                  .sync_count = (uint8_t)between(1, 2),
                                  .is_sync_strict = chance(200000),
                                  .failover_interval_ms = chance(300000) ? 5000 : 0};
    for (unsigned n = 0; n < NODES; n++) {
        node_run(n, (struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &settings});
    }
}

static void fault(void)
{
    struct member *m = &s.members[chance(600000) ? holder_index() : between(0, MEMBERS - 1)];
    int64_t until = s.t + (int64_t)between(100000, 2500000);
    if (s.record.is_paused && chance(600000)) {
        ask(ARB_REQUEST_RESUME);
    }
    switch (between(0, 12)) {
    case 0:
        crash(m);
        return;
    case 1:
        power_off(m);
        return;
    case 2:
    case 3:
        for (unsigned n = 0; n < NODES; n++) {
            m->cut_until[n] = until;
        }
        return;
    case 4:
        m->cut_until[between(0, NODES - 1)] = until;
        return;
    case 5:
        m->line_cut_until = until;
        return;
    case 6:
    case 7:
        elect((unsigned)between(0, NODES - 1));
        return;
    case 8: /* the leader changes while the holder cannot be heard by the new one */
        m->cut_until[(s.leader + 1) % NODES] = until;
        elect((s.leader + 1) % NODES);
        return;
    case 9:
        settings_change();
        return;
    case 10:
        s.pauses += !s.record.is_paused;
        ask(ARB_REQUEST_PAUSE);
        return;
    case 11:
        ask(ARB_REQUEST_CANCEL);
        return;
    default:
        ask(ARB_REQUEST_SWITCHOVER);
        return;
    }
}

/* --- the run --- */

static void deliver(struct frame *f)
{
    struct node *node = &s.nodes[f->node];
    f->is_used = false;
    switch (f->kind) {
    case FRAME_REPORT: {
        struct msg_report report = f->report;
        node_run(f->node, (struct arb_event){
                              .kind = ARB_EVENT_REPORT, .report = &report, .link = f->member});
        return;
    }
    case FRAME_ORDER: {
        struct msg_order order = f->order;
        order_take(&s.members[f->member], &order);
        return;
    }
    case FRAME_CONFIRM:
        if (node->thinks_leader && node->term == f->term) {
            node_run(f->node, (struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = f->ticket});
        }
        return;
    case FRAME_RECORD: {
        struct msg_record record = f->record;
        bool is_newer =
            record.epoch > node->c.record.epoch || record.revision > node->c.record.revision;
        bool is_own = f->is_own;
        if (is_newer) {
            node_run(f->node, (struct arb_event){.kind = ARB_EVENT_RECORD,
                                                 .record = &record,
                                                 .is_own = is_own && f->is_won});
        } else if (is_own) {
            node_run(f->node, (struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
        }
        return;
    }
    case FRAME_LOST:
        if (node->thinks_leader && node->term == f->term) {
            node->thinks_leader = false;
            node_run(f->node, (struct arb_event){.kind = ARB_EVENT_LOST});
        }
        return;
    }
}

static void advance(void)
{
    s.t += STEP_US;
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        if (s.frames[i].is_used && s.frames[i].due <= s.t) {
            deliver(&s.frames[i]);
        }
    }
    if (s.has_pending && s.t >= s.pending_at) {
        commit();
    }
    if (!s.is_ready && s.t >= s.ready_at) {
        s.is_ready = true;
        node_run(s.leader, (struct arb_event){.kind = ARB_EVENT_READY});
    }
    for (unsigned n = 0; n < NODES; n++) {
        if (clock_of(s.nodes[n].offset, s.nodes[n].rate_ppm).us >= s.nodes[n].wake) {
            node_run(n, (struct arb_event){.kind = ARB_EVENT_TICK});
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        member_step(&s.members[i], i);
        member_report(&s.members[i], i);
    }
}

static void member_init(unsigned i)
{
    struct member *m = &s.members[i];
    m->name = (struct base_name){{'p', 'g', (char)('1' + (int)i)}};
    m->is_up = true;
    m->offset = (int64_t)between(1, 1000000000);
    m->rate_ppm = (int64_t)between(0, 18000) - 9000;
    m->instance = i + 1;
    m->session = i + 1;
    m->db = DB_STANDBY;
    m->epoch_seen = 1;
    m->log[0] = (struct entry){1, 0};
    m->len = 1;
    for (unsigned n = 0; n < MEMBERS; n++) {
        m->streamed[n] = -1000000;
    }
    m->promised = (struct msg_attempt){0, 0};
}

static void world_init(uint64_t seed)
{
    memset(&s, 0, sizeof(s));
    s.rand = base_rand_make(seed, 3);
    s.acked[0] = (struct entry){1, 0};
    s.acked_len = 1;
    s.record = (struct msg_record){.cluster = {"main"},
                                   .epoch = 1,
                                   .revision = 1,
                                   .system_id = SYSTEM,
                                   .state = MSG_RECORD_RUNNING,
                                   .holder = {"pg1"},
                                   .holder_instance = 1,
                                   .floor_epoch = 1,
                                   .timeline = 1,
                                   .timeline_highest = 1,
                                   .ttl_ms = TTL_MS,
                                   .heartbeat_ms = 100,
                                   .freeze_max_ms = 1500,
                                   .sync_count = (uint8_t)between(1, 2)};
    for (unsigned i = 0; i < MEMBERS; i++) {
        member_init(i);
    }
    s.members[0].opened = 1;
    for (unsigned n = 0; n < NODES; n++) {
        s.nodes[n].offset = (int64_t)between(1, 1000000000);
        s.nodes[n].rate_ppm = (int64_t)between(0, 18000) - 9000;
        arb_cluster_init(&s.nodes[n].c, &s.record.cluster);
        node_run(n, (struct arb_event){.kind = ARB_EVENT_RECORD, .record = &s.record});
    }
    elect(0);
}

/* With ARB_TRACE: how things stand at the end. */
static void trace_end(void)
{
    const struct node *n = &s.nodes[s.leader];
    struct base_mono now = clock_of(n->offset, n->rate_ppm);
    if (getenv("ARB_TRACE") == NULL) {
        return;
    }
    (void)fprintf(stderr, "epoch %d holder %s opened %d V %d r %d floor %d:%d, return: %s\n",
                  (int)s.record.epoch, s.record.holder.text, s.record.is_opened,
                  s.record.voters.count, s.record.votes_needed_r, (int)s.record.floor.lineage,
                  (int)s.record.floor.lsn, arb_refusal_name(arb_return_check(&n->c, now)));
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *m = &s.members[i];
        (void)fprintf(stderr, "%s up %d db %u held %d back %d at %d:%u promised %d.%d goal %u\n",
                      m->name.text, m->is_up, m->db, (int)m->held, (int)m->handed_back,
                      (int)lineage_of(m), m->len, (int)m->promised.term, (int)m->promised.number,
                      m->order.goal);
    }
}

/* Some seconds of faults, then peace: the cluster must be writable again at the end. */
static void run_seed(uint64_t seed, bool with_peace)
{
    world_init(seed);
    int64_t next_fault = 1500000;
    while (s.t < 14 * BASE_US_PER_S && s.bad[0] == '\0') {
        advance();
        if (s.t >= next_fault) {
            fault();
            next_fault = s.t + (int64_t)between(50000, 900000);
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        memset(s.members[i].cut_until, 0, sizeof(s.members[i].cut_until));
        s.members[i].line_cut_until = 0;
    }
    for (int64_t end = s.t + 8 * BASE_US_PER_S; with_peace && s.t < end && s.bad[0] == '\0';) {
        advance();
        if (s.record.is_paused && chance(10000)) {
            ask(ARB_REQUEST_RESUME);
        }
    }
    if (s.bad[0] != '\0' || !is_writable(&s.members[holder_index()])) {
        trace_end();
    }
    if (with_peace && s.bad[0] == '\0' && !is_writable(&s.members[holder_index()])) {
        violate("liveness: no writable holder after peace", s.record.epoch, 0);
    }
}

static void test_seeds_hold_the_invariants(void **state)
{
    (void)state;
    uint32_t failovers = 0;
    uint32_t acks = 0;
    uint32_t returns = 0;
    uint32_t handovers = 0;
    uint32_t pauses = 0;
    const char *text = getenv("ARB_SEEDS");
    uint64_t seeds = text == NULL ? 60 : strtoull(text, NULL, 10);
    const char *only = getenv("ARB_SEED");
    for (uint64_t seed = only == NULL ? 1 : strtoull(only, NULL, 10); seed <= seeds; seed++) {
        run_seed(seed, true);
        if (s.bad[0] != '\0') {
            print_error("seed %llu: %s\n", (unsigned long long)seed, s.bad);
            fail();
        }
        failovers += s.failovers;
        acks += s.acks;
        returns += s.returns;
        handovers += s.handovers;
        pauses += s.pauses;
    }
    print_message("%u failovers, %u handovers, %u returns, %u pauses, %u acknowledgements\n",
                  failovers, handovers, returns, pauses, acks);
    assert_true(failovers > 20 && handovers > 5 && returns > 0 && pauses > 20 && acks > 1000);
}

#ifdef QUORATE_CANARIES
static void test_canaries_break_an_invariant(void **state)
{
    static const char *const bugs[] = {"promote-without-waiting",
                                       "new-leader-does-not-wait",
                                       "grant-while-cas",
                                       "candidate-by-name",
                                       "no-floor",
                                       "sync-set-no-barrier",
                                       "resume-forgets-pause",
                                       "resume-without-echo",
                                       "ttl-lowered-at-once"};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(bugs); i++) {
        bool is_caught = false;
        for (uint64_t seed = 1; seed <= 1500 && !is_caught; seed++) {
            assert_true(base_canary_select(bugs[i]));
            run_seed(seed, false);
            is_caught = s.bad[0] != '\0';
            if (is_caught) {
                print_message("%s: seed %llu: %s\n", bugs[i], (unsigned long long)seed, s.bad);
            }
        }
        assert_true(base_canary_select(NULL));
        if (!is_caught) {
            print_error("%s was not caught\n", bugs[i]);
            fail();
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds_hold_the_invariants),
#ifdef QUORATE_CANARIES
        cmocka_unit_test(test_canaries_break_an_invariant),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
