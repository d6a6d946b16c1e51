/* SPDX-License-Identifier: Apache-2.0 */
/* A member of the small world: guard, agent, database and replication, as the contract wants them.
 */
#include "tests/unit/arb_minisim.h"

#include "base/name.h"

#include <string.h>

/* --- members: guard and database --- */

static bool lease_is_ahead(const struct member *m)
{
    return m->held != 0 && m->held > m->handed_back &&
           (m->is_paused || member_now(m).us < m->deadline);
}

/* Would accept and acknowledge writes at this instant. */
bool is_writable(const struct member *m)
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

uint64_t lineage_of(const struct member *m)
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
    m->is_paused = false;
    m->is_clean = m->db == DB_STOPPED && m->clean_lsn == m->len && m->clean_lsn != 0;
    m->held = 0;
    m->is_open = false;
    m->db = DB_STOPPED;
    m->wants_handback = false;
    m->is_urgent = true;
}

void forget_root(struct member *m)
{
    m->is_open = m->is_sync_known = m->is_sync_changing = m->has_barrier = false;
    m->is_barrier_passed = false;
    m->is_receiving = false;
}

void kill_tree(struct member *m)
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

void order_take(struct member *m, const struct msg_order *o)
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
    bool is_stale =
        m->has_order &&
        (o->term < m->order_term || (o->term == m->order_term && o->number < m->order_number) ||
         (o->term == m->order_term && r->epoch == m->order.record.epoch &&
          r->revision < m->order.record.revision));
    if (o->is_granted && o->granted_epoch == r->epoch && base_name_equal(&r->holder, &m->name) &&
        r->holder_instance == m->instance && r->epoch > m->handed_back &&
        m->number - o->number < 64) {
        int64_t d = m->sent[o->number % 64] + o->ttl_us - lease_margin_us(o->ttl_us);
        bool is_first = m->held != r->epoch;
        m->held = r->epoch;
        m->deadline = is_first || d > m->deadline ? d : m->deadline;
        m->is_paused = m->is_paused && (r->is_paused || is_stale);
    }
    if (is_stale) {
        return;
    }
    m->order = *o;
    m->has_order = true;
    m->order_term = o->term;
    m->order_number = o->number;
    m->is_paused = m->is_paused || (r->is_paused && m->held == r->epoch);
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

bool streams(const struct member *p, unsigned i)
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
    } else if (m->is_paused) {
        return; /* nobody acts */
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

void member_step(struct member *m, unsigned self)
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
            m->is_paused = false;
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
    r.lease_left_us = m->held != 0 ? BASE_US_PER_MS : 0;
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
    r.is_paused = m->is_paused;
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

void member_report(struct member *m, unsigned self)
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
