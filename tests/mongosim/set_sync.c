/* SPDX-License-Identifier: Apache-2.0 */
/* Following: sources, pulls, rollbacks, initial sync. */
#include "tests/mongosim/set_inner.h"

#define ANSWER_US (2 * MSET_SECOND)
#define KEEP_ALIVE_US (1 * MSET_SECOND)
#define AGAIN_US (500 * MSET_MS)

static bool is_following(const struct mset_node *n)
{
    return n->state == MSET_SECONDARY || n->state == MSET_RECOVERING ||
           (n->state == MSET_PRIMARY && n->is_catching_up && n->source >= 0);
}

/* --- whom to follow --- */

static bool is_source(const struct mset *s, const struct mset_node *n, unsigned node)
{
    const struct mset_member *m = mset_member_of(s, n, node);
    const struct mset_peer *p = &n->peers[node];
    return m != NULL && mset_is_data(m) && node != mset_number(s, n) && p->is_up &&
           (p->state == MSET_PRIMARY || p->state == MSET_SECONDARY);
}

/* The primary when it is not behind, else who is farthest ahead; -1. */
static int choose_source(const struct mset *s, const struct mset_node *n)
{
    int best = -1;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        if (!is_source(s, n, i)) {
            continue;
        }
        int order = mset_entry_order(s, n->peers[i].applied, n->head);
        if (n->peers[i].state == MSET_PRIMARY && n->peers[i].term == n->term && order >= 0) {
            return (int)i;
        }
        if (order > 0 &&
            (best < 0 || mset_entry_order(s, n->peers[i].applied, n->peers[best].applied) > 0)) {
            best = (int)i;
        }
    }
    return best;
}

/* Two that follow each other would hear of nothing new for ever. */
static bool is_good(const struct mset *s, const struct mset_node *n)
{
    if (n->source < 0 || !is_source(s, n, (unsigned)n->source)) {
        return false;
    }
    int best = choose_source(s, n);
    return best < 0 || n->peers[n->source].state == MSET_PRIMARY ||
           mset_entry_order(s, n->peers[best].applied, n->peers[n->source].applied) <= 0;
}

static void ask(struct mset *s, struct mset_node *n)
{
    struct mset_message m;
    (void)mset_message_make(s, n, (unsigned)n->source, MSET_MSG_PULL, &m);
    for (unsigned i = 0; i < MSET_NODES_MAX; i++) {
        const struct mset_peer *p = &n->peers[i];
        m.progress[i] = (struct mset_progress){p->applied, p->durable, p->alive_us};
    }
    n->pull_us = s->now_us + KEEP_ALIVE_US;
    n->pulled_us = n->pulled_us == MSET_NEVER ? s->now_us + ANSWER_US : n->pulled_us;
    mset_message_send(s, &m);
}

/* --- initial sync --- */

static void sync_from(struct mset *s, struct mset_node *n)
{
    int best = -1;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        bool is_better = is_source(s, n, i) && n->peers[i].applied != MSET_NONE &&
                         (best < 0 || n->peers[i].state == MSET_PRIMARY ||
                          (n->peers[best].state != MSET_PRIMARY &&
                           mset_entry_order(s, n->peers[i].applied, n->peers[best].applied) > 0));
        best = is_better ? (int)i : best;
    }
    n->source = best;
    n->pull_us = best < 0 ? s->now_us + AGAIN_US : MSET_NEVER;
    n->sync_begun_us = s->now_us;
    int64_t us = s->options.sync_ms * MSET_MS;
    n->sync_end_us = best < 0 ? MSET_NEVER : s->now_us + mset_draw(s, us * 4 / 5, us * 6 / 5);
}

void mset_sync_begin(struct mset *s, struct mset_node *n)
{
    n->head = n->disk.head = n->committed = n->disk.committed = MSET_NONE;
    n->disk.is_sync_needed = true;
    s->truth.initial_syncs++;
    mset_state_set(s, n, MSET_STARTUP2);
    mset_tell(s, n, MSET_EV_SYNC_BEGUN, 0, 0);
    sync_from(s, n);
}

static bool is_source_there(const struct mset *s, const struct mset_node *n)
{
    unsigned self = mset_number(s, n), from = (unsigned)n->source;
    const struct mset_node *o = &s->nodes[from];
    return mset_runs(o) && mset_is_linked(s, self, from) && mset_is_linked(s, from, self) &&
           (o->state == MSET_PRIMARY || o->state == MSET_SECONDARY);
}

static void sync_timer(struct mset *s, struct mset_node *n)
{
    if (n->source < 0 && n->pull_us <= s->now_us) {
        sync_from(s, n);
    }
    if (n->sync_end_us > s->now_us) {
        return;
    }
    if (n->is_stuck || n->is_full) {
        n->sync_end_us = s->now_us + MSET_SECOND;
        return;
    }
    if (n->source < 0 || !is_source_there(s, n)) {
        sync_from(s, n);
        return;
    }
    const struct mset_node *o = &s->nodes[n->source];
    n->head = n->disk.head = o->disk.head;
    n->committed = n->disk.committed = mset_common(s, o->disk.head, o->committed);
    n->concern = n->disk.concern = o->concern;
    n->disk.first_depth = s->entries[n->head].depth;
    n->disk.is_sync_needed = false;
    n->sync_end_us = MSET_NEVER;
    n->pull_us = s->now_us;
    mset_tell(s, n, MSET_EV_SYNC_DONE, 0, 0);
    mset_state_set(s, n, MSET_SECONDARY);
    mset_election_reset(s, n);
}

/* --- timers --- */

int64_t mset_pull_due(const struct mset *s, const struct mset_node *n)
{
    (void)s;
    if (n->state == MSET_STARTUP2) {
        int64_t due = n->source < 0 ? n->pull_us : MSET_NEVER;
        return n->sync_end_us < due ? n->sync_end_us : due;
    }
    if (!is_following(n)) {
        return MSET_NEVER;
    }
    return n->pull_us < n->pulled_us ? n->pull_us : n->pulled_us;
}

void mset_pull_timer(struct mset *s, struct mset_node *n)
{
    if (n->state == MSET_STARTUP2) {
        sync_timer(s, n);
        return;
    }
    if (!is_following(n)) {
        return;
    }
    if (n->pulled_us <= s->now_us) {
        n->source = -1;
        n->pulled_us = MSET_NEVER;
        n->pull_us = s->now_us + AGAIN_US;
        mset_catch_up_look(s, n);
        return;
    }
    if (n->pull_us > s->now_us) {
        return;
    }
    if (n->state != MSET_PRIMARY && !is_good(s, n)) {
        n->source = choose_source(s, n);
    }
    if (n->source < 0) {
        n->pull_us = s->now_us + AGAIN_US;
    } else {
        ask(s, n);
    }
}

/* --- the other side --- */

static void answer(struct mset *s, struct mset_node *n, unsigned to)
{
    struct mset_message m;
    (void)mset_message_make(s, n, to, MSET_MSG_PULL_ANSWER, &m);
    n->peers[to].is_waiting = false;
    if (n->state != MSET_PRIMARY && n->state != MSET_SECONDARY) {
        m.applied = MSET_NONE;
    }
    mset_message_send(s, &m);
}

void mset_feed(struct mset *s, struct mset_node *n)
{
    for (unsigned i = 0; i < s->options.nodes; i++) {
        if (n->peers[i].is_waiting) {
            answer(s, n, i);
        }
    }
}

static void learn(struct mset *s, struct mset_node *n, unsigned who, const struct mset_progress *p)
{
    struct mset_peer *to = &n->peers[who];
    if (who != mset_number(s, n) && p->alive_us > to->alive_us) {
        to->alive_us = p->alive_us;
        to->applied = p->applied;
        to->durable = p->durable;
    }
}

void mset_on_pull(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    struct mset_peer *p = &n->peers[m->from];
    struct mset_progress own = {m->applied, m->durable, s->now_us};
    mset_term_seen(s, n, m->term);
    for (unsigned i = 0; i < MSET_NODES_MAX; i++) {
        if (i != m->from) {
            learn(s, n, i, &m->progress[i]);
        }
    }
    p->alive_us = s->now_us - 1;
    learn(s, n, m->from, &own);
    if (n->state == MSET_PRIMARY) {
        mset_commit_look(s, n);
    } else if (n->source >= 0 && n->source != (int)m->from && is_following(n)) {
        n->pull_us = s->now_us; /* those upstream shall know, too */
    }
    bool is_news = mset_entry_order(s, n->head, m->applied) != 0 || p->is_waiting;
    if (is_news) {
        answer(s, n, m->from);
    } else {
        p->is_waiting = true;
    }
}

/* --- what comes --- */

static void stale(struct mset *s, struct mset_node *n)
{
    if (!n->is_stale) {
        n->is_stale = true;
        mset_tell(s, n, MSET_EV_STALE, 0, 0);
        mset_state_set(s, n, MSET_RECOVERING);
    }
    n->source = -1;
    n->pull_us = s->now_us + 5 * MSET_SECOND;
}

static void roll_back(struct mset *s, struct mset_node *n, uint32_t common)
{
    uint64_t entries = 0, committed = 0;
    if (common == MSET_NONE || s->entries[common].depth < n->disk.first_depth ||
        !mset_is_under(s, common, n->committed)) {
        n->disk.is_ruined = true;
        mset_exit(s, n, MSET_STATUS_RUINED);
        return;
    }
    for (uint32_t e = n->head; e != common; e = s->entries[e].parent) {
        entries++;
        committed += s->entries[e].is_committed;
    }
    n->disk.rollbacks++;
    n->disk.rolled_back += entries;
    s->truth.rollbacks++;
    s->truth.committed_rolled_back += committed;
    n->head = n->disk.head = common;
    n->journal_us = MSET_NEVER;
    n->ready_us = s->now_us + mset_draw(s, 200 * MSET_MS, 800 * MSET_MS);
    mset_tell(s, n, MSET_EV_ROLLBACK, entries, committed);
    mset_state_set(s, n, MSET_ROLLBACK);
}

static void apply(struct mset *s, struct mset_node *n, uint32_t to)
{
    uint32_t depth = s->entries[n->head].depth + MSET_BATCH;
    uint32_t head = mset_ancestor(s, to, depth);
    for (uint32_t e = head; e != n->head; e = s->entries[e].parent) {
        if (s->entries[e].concern != 0) {
            n->concern = s->entries[e].concern;
            break;
        }
    }
    if (n->is_stale) {
        n->is_stale = false;
        mset_state_set(s, n, n->maintenance > 0 ? MSET_RECOVERING : MSET_SECONDARY);
        mset_election_reset(s, n);
    }
    mset_head_set(s, n, head);
    mset_feed(s, n);
}

static void hear_of_primary(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    if (n->state == MSET_PRIMARY || m->term < n->term) {
        return;
    }
    bool is_known = m->primary >= 0 && m->primary != (int)mset_number(s, n);
    if (m->state == MSET_PRIMARY || is_known) {
        mset_election_reset(s, n);
    }
}

void mset_on_pull_answer(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    if ((int)m->from != n->source || !is_following(n)) {
        return;
    }
    mset_term_seen(s, n, m->term);
    if (n->source != (int)m->from) {
        return; /* it has just stepped down */
    }
    struct mset_peer *p = &n->peers[m->from];
    p->alive_us = s->now_us;
    p->applied = m->applied;
    p->durable = m->durable;
    n->pulled_us = MSET_NEVER;
    hear_of_primary(s, n, m);
    int order = mset_entry_order(s, m->applied, n->head);
    bool is_held = n->is_applier_blocked || n->is_stuck || n->is_full;
    if (m->applied == MSET_NONE || order < 0 || is_held) {
        n->source = is_held ? n->source : -1;
        n->pull_us = s->now_us + AGAIN_US;
        mset_catch_up_look(s, n);
        return;
    }
    n->pull_us = s->now_us;
    if (order > 0 && s->entries[n->head].depth < m->first_depth) {
        stale(s, n);
        return;
    }
    if (order > 0 && mset_is_under(s, m->applied, n->head)) {
        apply(s, n, m->applied);
    } else if (order > 0 && n->state != MSET_PRIMARY) {
        roll_back(s, n, mset_common(s, m->applied, n->head));
        return;
    }
    mset_commit_learn(s, n, m->committed);
    mset_catch_up_look(s, n);
}
