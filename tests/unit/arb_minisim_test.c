/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around the arbiter's core: three quorum nodes of which one leads at a time (and a
 * deposed one may not know it yet), four members with guard, database and replication, drifting
 * clocks, lost and late messages, crashes, power loss, partitions. Quick checks of: no two members
 * writable at once (A2), epochs grow (A3), the winner was a voter and the most advanced one (A6),
 * |S \ V| <= k - r at every instant (A7), whoever opens has every acknowledged commit (A4).
 */
#include "tests/support/cm.h"

#include "arbiter/core/internal.h"
#include "base/canary.h"
#include "base/name.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 3
#define MEMBERS 4
#define STEP_US (5 * BASE_US_PER_MS)
#define TTL_MS 600
#define BEAT_US (100 * BASE_US_PER_MS)
#define FREEZE_MAX_US (1500 * BASE_US_PER_MS)
#define LOG_MAX 4096
#define FRAMES_MAX 1024
#define SYSTEM UINT64_C(77)

struct entry {
    uint64_t lineage;
    uint32_t id;
};

enum db { DB_STOPPED, DB_STANDBY, DB_PROMOTING, DB_PRIMARY, DB_FROZEN, DB_DOWN, DB_CLONING };

struct member {
    struct base_name name;
    bool is_up;
    int64_t off_until, offset, rate_ppm, cut_until[NODES], line_cut_until;
    uint64_t instance, session, number, epoch_seen, held, handed_back, order_term, order_number;
    int64_t sent[64], deadline, beat_at, frozen_at, busy_until, restart_at;
    enum db db;
    bool is_clean, is_open, is_receiving, has_order, wants_handback;
    uint64_t clean_lsn;
    struct msg_order order;
    struct msg_attempt promised;
    int64_t vote_at;
    struct entry log[LOG_MAX];
    uint32_t len, opened;
    /* sync: what is in force, and what is being put in force */
    bool is_sync_known, is_sync_changing, has_barrier, is_barrier_passed;
    struct arb_set sync, sync_next;
    int64_t sync_at;
    uint32_t barrier;
    bool is_urgent;
    int64_t streamed[MEMBERS];
};

enum frame_kind { FRAME_REPORT, FRAME_ORDER, FRAME_CONFIRM, FRAME_RECORD, FRAME_LOST };

struct frame {
    bool is_used;
    enum frame_kind kind;
    int64_t due;
    unsigned node, member;
    uint64_t term, ticket;
    bool is_own, is_won;
    struct msg_report report;
    struct msg_order order;
    struct msg_record record;
};

struct node {
    struct arb_cluster c;
    int64_t offset, rate_ppm, wake, record_due;
    bool thinks_leader;
    uint64_t term;
};

static struct sim {
    struct base_rand rand;
    int64_t t;
    struct node nodes[NODES];
    struct member members[MEMBERS];
    struct frame frames[FRAMES_MAX];
    unsigned leader;
    uint64_t term;
    int64_t ready_at;
    bool is_ready;
    struct msg_record record; /* committed */
    bool has_pending;
    struct msg_record pending;
    struct arb_decision pending_decision;
    enum arb_decision_kind pending_kind;
    uint64_t pending_epoch, pending_revision, pending_term;
    int64_t pending_at;
    struct entry acked[LOG_MAX];
    uint32_t acked_len, ids, failovers, acks, returns;
    uint64_t acked_epoch;
    char bad[160];
    bool has_seed_faults;
} s;

static void violate(const char *what, uint64_t a, uint64_t b)
{
    if (s.bad[0] == '\0') {
        (void)snprintf(s.bad, sizeof(s.bad), "%s (%llu, %llu) at %lld ms", what,
                       (unsigned long long)a, (unsigned long long)b, (long long)(s.t / 1000));
    }
}

static uint64_t between(uint64_t low, uint64_t high)
{
    return base_rand_between(&s.rand, low, high);
}

static bool chance(uint32_t ppm)
{
    return base_rand_chance_ppm(&s.rand, ppm);
}

static struct base_mono clock_of(int64_t offset, int64_t rate_ppm)
{
    return (struct base_mono){offset + s.t + s.t / 1000000 * rate_ppm +
                              s.t % 1000000 * rate_ppm / 1000000};
}

static struct base_mono member_now(const struct member *m)
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

static struct frame *frame_new(enum frame_kind kind, int64_t delay)
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

static int64_t delay(void)
{
    int64_t us = (int64_t)between(300, 6000);
    return chance(30000) ? us + (int64_t)between(10000, 900000) : us;
}

/* --- the quorum
 * ---------------------------------------------------------------------------------------- */

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
        s.record = s.pending;
    }
    for (unsigned n = 0; n < NODES; n++) {
        struct frame *f =
            frame_new(FRAME_RECORD, n == s.leader ? 0 : (int64_t)between(1000, 50000));
        assert_non_null(f);
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
        f->node = (unsigned)(old - s.nodes);
        f->term = old->term;
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

/* --- members: guard and database
 * --------------------------------------------------------------------- */

static bool lease_is_ahead(const struct member *m)
{
    return m->held != 0 && m->held > m->handed_back && member_now(m).us < m->deadline;
}

/* Would accept and acknowledge writes at this instant. */
static bool is_writable(const struct member *m)
{
    return m->is_up && m->db == DB_PRIMARY && m->is_open;
}

static void check_open(const struct member *m)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (&s.members[i] != m && is_writable(&s.members[i])) {
            violate("A2: two members are writable", m->held, s.members[i].held);
        }
    }
    if (m->len < s.acked_len || memcmp(m->log, s.acked, s.acked_len * sizeof(struct entry)) != 0) {
        violate("A4: opens without an acknowledged commit", m->held, s.acked_len);
    }
}

static uint64_t lineage_of(const struct member *m)
{
    return m->len == 0 ? 0 : m->log[m->len - 1].lineage;
}

static void append(struct member *m)
{
    if (m->len < LOG_MAX) {
        m->log[m->len++] = (struct entry){m->held, ++s.ids};
    }
}

static void hand_back(struct member *m)
{
    m->handed_back = m->held;
    m->is_clean = m->db == DB_STOPPED && m->clean_lsn == m->len && m->clean_lsn != 0;
    m->held = 0;
    m->is_open = false;
    m->db = DB_STOPPED;
    m->wants_handback = false;
    m->is_urgent = true;
}

static void forget_root(struct member *m)
{
    m->is_open = m->is_sync_known = m->is_sync_changing = m->has_barrier = false;
    m->is_barrier_passed = false;
    m->is_receiving = false;
}

static void kill_tree(struct member *m)
{
    forget_root(m);
    m->db = DB_STOPPED;
    m->clean_lsn = 0;
    hand_back(m);
}

static bool is_my_epoch(const struct member *m)
{
    const struct msg_record *r = &m->order.record;
    return m->has_order && base_name_equal(&r->holder, &m->name) &&
           r->holder_instance == m->instance && r->epoch == m->epoch_seen &&
           r->epoch > m->handed_back;
}

static void order_take(struct member *m, const struct msg_order *o)
{
    const struct msg_record *r = &o->record;
    if (!m->is_up || o->session != m->session || r->epoch < m->epoch_seen) {
        return;
    }
    if (r->epoch > m->epoch_seen) {
        m->epoch_seen = r->epoch;
        m->promised = (struct msg_attempt){0, 0};
        if (m->held != 0) {
            kill_tree(m);
        }
    }
    if (o->is_granted && o->granted_epoch == r->epoch && base_name_equal(&r->holder, &m->name) &&
        r->holder_instance == m->instance && r->epoch > m->handed_back &&
        m->number - o->number < 64) {
        int64_t d = m->sent[o->number % 64] + o->ttl_us - lease_margin_us(o->ttl_us);
        bool is_first = m->held != r->epoch;
        m->held = r->epoch;
        m->deadline = is_first || d > m->deadline ? d : m->deadline;
    }
    bool is_stale = m->has_order && (o->term < m->order_term ||
                                     (o->term == m->order_term && o->number < m->order_number));
    if (is_stale) {
        return;
    }
    m->order = *o;
    m->has_order = true;
    m->order_term = o->term;
    m->order_number = o->number;
    if (o->ended.term > m->promised.term ||
        (o->ended.term == m->promised.term && o->ended.number >= m->promised.number)) {
        m->promised = (struct msg_attempt){0, 0};
    }
    bool is_later = o->attempt.term > m->promised.term ||
                    (o->attempt.term == m->promised.term && o->attempt.number > m->promised.number);
    if (o->goal == MSG_GOAL_VOTE && is_later && m->held == 0) {
        m->promised = o->attempt;
        m->is_receiving = false;
        m->vote_at = s.t + (int64_t)between(5000, 40000);
    }
}

static struct member *holder_seen(const struct member *m)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (base_name_equal(&s.members[i].name, &m->order.record.holder)) {
            return &s.members[i];
        }
    }
    return NULL;
}

static bool streams(const struct member *p, unsigned i)
{
    return s.t - p->streamed[i] < 100000;
}

/* A7, on the database that is really there against the committed record. */
static void check_sets(const struct member *m)
{
    struct arb_set record = {s.record.voters, s.record.votes_needed_r};
    if (m->held != s.record.epoch || !m->is_sync_known) {
        return;
    }
    if (!arb_sync_is_safe(&record, &m->sync) ||
        (m->is_sync_changing && !arb_sync_is_safe(&record, &m->sync_next))) {
        violate("A7: |S - V| > k - r", m->sync.count, record.count);
    }
}

static bool is_covered(const struct member *m, const struct arb_set *set, uint32_t upto)
{
    unsigned have = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        have += arb_names_has(&set->names, &s.members[i].name) && s.members[i].len >= upto &&
                streams(m, i);
    }
    return have >= set->count;
}

static void acknowledge(struct member *m)
{
    if (!is_writable(m) || (!m->is_sync_known && !m->is_sync_changing)) {
        return;
    }
    /* While settings change some walsenders count by the old ones, some by the new ones. */
    uint32_t upto = s.acked_len;
    for (uint32_t n = m->len; n > s.acked_len; n--) {
        if (is_covered(m, &m->sync, n) ||
            (m->is_sync_changing && is_covered(m, &m->sync_next, n))) {
            upto = n;
            break;
        }
    }
    if (upto == s.acked_len) {
        return;
    }
    if (m->held < s.acked_epoch) {
        violate("order: acknowledges in an older epoch", m->held, s.acked_epoch);
    }
    if (memcmp(m->log, s.acked, s.acked_len * sizeof(struct entry)) != 0) {
        violate("A4: acknowledges beside acknowledged commits", m->held, s.acked_len);
    }
    memcpy(s.acked, m->log, upto * sizeof(struct entry));
    s.acked_len = upto;
    s.acked_epoch = m->held;
    s.acks++;
}

static void sync_step(struct member *m)
{
    const struct msg_order *o = &m->order;
    struct arb_set want = {o->has_sync ? o->sync_names : o->record.voters,
                           o->has_sync ? o->sync_count : o->record.votes_needed_r};
    if (m->is_sync_changing) {
        if (s.t >= m->sync_at) {
            m->sync = m->sync_next;
            m->is_sync_changing = false;
            m->is_sync_known = true;
            m->has_barrier = m->is_barrier_passed = false;
            m->is_urgent = true;
        }
    } else if (!m->is_sync_known || !arb_set_equal(&m->sync, &want)) {
        m->sync = m->is_sync_known ? m->sync : want;
        m->sync_next = want;
        m->is_sync_changing = true;
        m->sync_at = s.t + (int64_t)between(5000, 60000);
    } else if (!m->has_barrier) {
        m->has_barrier = true;
        m->barrier = m->len;
    } else if (!m->is_barrier_passed && is_covered(m, &m->sync, m->barrier)) {
        m->is_barrier_passed = true;
        m->is_urgent = true;
    }
}

static void primary_step(struct member *m)
{
    if (is_my_epoch(m)) {
        sync_step(m);
        if (!m->is_open && m->is_sync_known && lease_is_ahead(m)) {
            check_open(m);
            m->is_open = true;
            m->is_urgent = true;
        }
    }
    if (m->is_open && chance(400000)) {
        append(m);
    }
    acknowledge(m);
    check_sets(m);
    if (m->has_order && m->order.goal == MSG_GOAL_HAND_OVER && is_my_epoch(m)) {
        forget_root(m);
        append(m); /* the shutdown checkpoint */
        m->db = DB_STOPPED;
        m->clean_lsn = m->len;
        for (unsigned i = 0; i < MEMBERS; i++) { /* walsenders send all before they end */
            struct member *o = &s.members[i];
            if (o->is_receiving && streams(m, i) && o->len <= m->len && chance(800000)) {
                memcpy(o->log, m->log, m->len * sizeof(struct entry));
                o->len = m->len;
            }
        }
        hand_back(m);
    }
}

static bool is_prefix(const struct member *m, const struct member *of)
{
    return m->len <= of->len && memcmp(m->log, of->log, m->len * sizeof(struct entry)) == 0;
}

static void follow_step(struct member *m, unsigned self)
{
    struct member *p = holder_seen(m);
    bool is_reachable = p != NULL && p != m && p->is_up && p->held == m->epoch_seen &&
                        p->db == DB_PRIMARY && p->opened != 0 && lineage_of(p) == p->held &&
                        m->line_cut_until <= s.t && p->line_cut_until <= s.t;
    if (m->promised.term != 0 || !is_reachable || m->order.goal == MSG_GOAL_VOTE) {
        m->is_receiving = false;
        return;
    }
    if (!is_prefix(m, p)) {
        m->db = DB_CLONING;
        m->busy_until = s.t + 150000;
        m->is_receiving = false;
        return;
    }
    m->is_receiving = true;
    p->streamed[self] = s.t;
    if (chance(700000) && m->len < p->len) {
        uint32_t upto = (uint32_t)between(m->len + 1, p->len);
        memcpy(m->log + m->len, p->log + m->len, (upto - m->len) * sizeof(struct entry));
        m->len = upto;
    }
}

static void holder_step(struct member *m)
{
    if (m->db == DB_FROZEN) {
        if (lease_is_ahead(m) && m->held == m->epoch_seen) {
            if (m->is_clean) {
                m->is_clean = false;
            }
            m->db = DB_PRIMARY;
            if (m->is_open) {
                check_open(m);
            }
        } else if (s.t - m->frozen_at > FREEZE_MAX_US) {
            kill_tree(m);
        }
        return;
    }
    if (m->db == DB_PRIMARY && !lease_is_ahead(m)) {
        m->db = DB_FROZEN;
        m->frozen_at = s.t;
        return;
    }
    if (m->db == DB_PRIMARY) {
        primary_step(m);
    } else if (m->db == DB_PROMOTING && s.t >= m->busy_until && lease_is_ahead(m)) {
        if (lineage_of(m) != m->held) {
            append(m);
            m->opened = m->len;
        }
        m->db = DB_PRIMARY;
        m->is_urgent = true;
    } else if ((m->db == DB_STANDBY || m->db == DB_STOPPED) && lease_is_ahead(m) &&
               is_my_epoch(m)) {
        m->db = DB_PROMOTING;
        m->is_receiving = false;
        m->busy_until = s.t + (int64_t)between(10000, 80000);
    } else if (m->db == DB_DOWN && s.t >= m->restart_at) {
        if (lease_is_ahead(m) && m->held == m->epoch_seen) {
            m->db = DB_PROMOTING; /* in place, same lineage */
            m->busy_until = s.t + 20000;
        } else {
            kill_tree(m);
        }
    }
}

static void member_step(struct member *m, unsigned self)
{
    if (!m->is_up) {
        if (s.t >= m->off_until) { /* a new guard, which sees no process of the old one */
            m->is_up = true;
            m->instance = between(1, UINT32_MAX);
            m->session = between(1, UINT32_MAX);
            m->number = m->held = m->handed_back = m->order_term = m->order_number = 0;
            m->has_order = false;
            m->db = DB_STOPPED;
            m->is_clean = false;
            forget_root(m);
        }
        return;
    }
    if (m->held != 0) {
        holder_step(m);
        return;
    }
    if (m->db == DB_CLONING && s.t >= m->busy_until) {
        const struct member *p = holder_seen(m);
        m->db = DB_STANDBY;
        if (p != NULL && p != m && p->is_up && p->held == m->epoch_seen &&
            lineage_of(p) == p->held) {
            memcpy(m->log, p->log, sizeof(m->log));
            m->len = p->len;
        }
    }
    bool is_holder_name = m->has_order && base_name_equal(&m->order.record.holder, &m->name);
    if (m->db == DB_STOPPED && m->has_order && !is_holder_name &&
        (m->order.goal == MSG_GOAL_FOLLOW || m->order.goal == MSG_GOAL_VOTE)) {
        m->db = DB_STANDBY;
    }
    if (m->db == DB_STANDBY && m->has_order && !is_holder_name) {
        follow_step(m, self);
    }
}

static enum msg_db_state db_state_of(const struct member *m)
{
    static const enum msg_db_state states[] = {MSG_DB_STOPPED, MSG_DB_STANDBY, MSG_DB_PROMOTING,
                                               MSG_DB_PRIMARY, MSG_DB_FROZEN,  MSG_DB_STOPPED,
                                               MSG_DB_CREATING};
    return states[m->db];
}

static struct msg_report report_make(struct member *m)
{
    struct msg_report r = {.cluster = s.record.cluster, .member = m->name};
    r.instance = m->instance;
    r.session = m->session;
    r.number = ++m->number;
    m->sent[r.number % 64] = member_now(m).us;
    r.order_term = m->order_term;
    r.order_number = m->order_number;
    r.epoch_seen = m->epoch_seen;
    r.epoch_held = m->held;
    r.epoch_handed_back = m->handed_back;
    r.is_handback_clean = m->is_clean;
    r.handback_lsn = m->is_clean ? m->clean_lsn : 0;
    r.is_tree_gone = m->db == DB_STOPPED;
    r.db_state = db_state_of(m);
    r.system_id = SYSTEM;
    r.position = (struct msg_position){lineage_of(m), (uint32_t)lineage_of(m), m->len};
    r.timeline_highest = (uint32_t)lineage_of(m);
    r.is_open = is_writable(m);
    r.is_receiving = m->is_receiving;
    r.promised = m->promised;
    r.is_vote_valid = m->promised.term != 0 && m->held == 0 && m->db == DB_STANDBY &&
                      !m->is_receiving && s.t >= m->vote_at;
    if (m->db == DB_PRIMARY) {
        r.opened_lsn = m->opened;
        r.is_sync_known = m->is_sync_known && !m->is_sync_changing;
        r.sync_names = m->sync.names;
        r.sync_count = m->sync.count;
        r.is_sync_barrier_passed = m->is_barrier_passed;
        for (unsigned i = 0; i < MEMBERS; i++) {
            if (streams(m, i) && &s.members[i] != m) {
                r.standbys[r.standbys_count++] = (struct msg_standby){
                    s.members[i].name, s.members[i].len, true, s.members[i].len >= m->opened};
            }
        }
    }
    return r;
}

static void member_report(struct member *m, unsigned self)
{
    bool is_vote_new = m->promised.term != 0 && s.t >= m->vote_at && s.t - m->vote_at < STEP_US;
    if (!m->is_up || (s.t < m->beat_at && !m->is_urgent && !is_vote_new)) {
        return;
    }
    m->beat_at = s.t + BEAT_US;
    m->is_urgent = false;
    struct msg_report r = report_make(m);
    for (unsigned n = 0; n < NODES; n++) {
        int copies = chance(50000) ? 2 : 1;
        for (int i = 0; i < copies && m->cut_until[n] <= s.t && !chance(20000); i++) {
            struct frame *f = frame_new(FRAME_REPORT, delay());
            if (f != NULL) {
                f->node = n;
                f->member = self;
                f->report = r;
            }
        }
    }
}

/* --- faults
 * --------------------------------------------------------------------------------------------- */

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

static void fault(void)
{
    struct member *m = &s.members[chance(600000) ? holder_index() : between(0, MEMBERS - 1)];
    int64_t until = s.t + (int64_t)between(100000, 2500000);
    struct arb_request ask = {.kind = ARB_REQUEST_SWITCHOVER};
    switch (between(0, 9)) {
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
    default:
        if (s.is_ready) {
            node_run(s.leader, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &ask});
        }
        return;
    }
}

/* --- the run
 * ---------------------------------------------------------------------------------------------- */

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

static void debug_state(void)
{
    const struct arb_cluster *c = &s.nodes[s.leader].c;
    if (getenv("ARB_TRACE") == NULL) {
        return;
    }
    (void)fprintf(
        stderr,
        "leader %u return %s epoch %d rev %d holder %s V %d r %d opened %d floor %d:%d fe %d\n",
        s.leader,
        arb_refusal_name(
            arb_return_check(c, clock_of(s.nodes[s.leader].offset, s.nodes[s.leader].rate_ppm))),
        (int)s.record.epoch, (int)s.record.revision, s.record.holder.text, s.record.voters.count,
        s.record.votes_needed_r, s.record.is_opened, (int)s.record.floor.lineage,
        (int)s.record.floor.lsn, (int)s.record.floor_epoch);
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *m = &s.members[i];
        (void)fprintf(
            stderr,
            "%s up %d db %u held %d back %d len %u lineage %d opened %u recv %d promised %d.%d known %d changing %d S %d k %d next %d %d goal %u seen %d open %d\n",
            m->name.text, m->is_up, m->db, (int)m->held, (int)m->handed_back, m->len,
            (int)lineage_of(m), m->opened, m->is_receiving, (int)m->promised.term,
            (int)m->promised.number, m->is_sync_known, m->is_sync_changing, m->sync.names.count,
            m->sync.count, m->sync_next.names.count, m->sync_next.count, m->order.goal,
            (int)m->epoch_seen, m->is_open);
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
    }
    if (s.bad[0] != '\0' || !is_writable(&s.members[holder_index()])) {
        debug_state();
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
    }
    print_message("%u failovers, %u returns, %u acknowledgements\n", failovers, returns, acks);
    assert_true(failovers > 20 && acks > 1000 && returns > 0);
}

#ifdef QUORATE_CANARIES
static void test_canaries_break_an_invariant(void **state)
{
    static const char *const bugs[] = {"promote-without-waiting",
                                       "new-leader-does-not-wait",
                                       "grant-while-cas",
                                       "candidate-by-name",
                                       "no-floor",
                                       "sync-set-no-barrier"};
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
