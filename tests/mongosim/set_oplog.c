/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: a tree, and each node's path in it; journals; what is committed. */
#include "tests/mongosim/set_inner.h"

#define FIRST_DEPTH 1

struct mset_entry *mset_entry_of(struct mset *s, uint32_t entry)
{
    return &s->entries[entry];
}

struct mset_optime mset_optime_of(const struct mset *s, uint32_t entry)
{
    const struct mset_entry *e = &s->entries[entry];
    return (struct mset_optime){e->term, e->ts};
}

int mset_optime_order(const struct mset_optime *a, const struct mset_optime *b)
{
    if (a->term != b->term) {
        return a->term < b->term ? -1 : 1;
    }
    return a->ts < b->ts ? -1 : a->ts > b->ts;
}

int mset_entry_order(const struct mset *s, uint32_t a, uint32_t b)
{
    struct mset_optime x = mset_optime_of(s, a), y = mset_optime_of(s, b);
    return mset_optime_order(&x, &y);
}

uint32_t mset_ancestor(const struct mset *s, uint32_t entry, uint32_t depth)
{
    while (s->entries[entry].depth > depth) {
        entry = s->entries[entry].parent;
    }
    return entry;
}

bool mset_is_under(const struct mset *s, uint32_t head, uint32_t entry)
{
    return mset_ancestor(s, head, s->entries[entry].depth) == entry;
}

uint32_t mset_common(const struct mset *s, uint32_t a, uint32_t b)
{
    uint32_t depth =
        s->entries[a].depth < s->entries[b].depth ? s->entries[a].depth : s->entries[b].depth;
    a = mset_ancestor(s, a, depth);
    b = mset_ancestor(s, b, depth);
    while (a != b) {
        a = s->entries[a].parent;
        b = s->entries[b].parent;
    }
    return a;
}

/* Old entries leave the window; the directory remembers from where on it has them. */
static void cut_window(struct mset *s, struct mset_node *n)
{
    uint32_t depth = s->entries[n->head].depth, keep = s->options.window_entries;
    if (depth >= keep && depth - keep + 1 > n->disk.first_depth) {
        n->disk.first_depth = depth - keep + 1;
    }
}

void mset_head_set(struct mset *s, struct mset_node *n, uint32_t head)
{
    n->head = head;
    if (n->disk.first_depth == 0) {
        n->disk.first_depth = FIRST_DEPTH;
    }
    cut_window(s, n);
    if (n->journal_us == MSET_NEVER && n->head != n->disk.head) {
        n->journal_us = s->now_us + mset_draw(s, 2 * MSET_MS, 30 * MSET_MS);
    }
}

static uint64_t next_ts(const struct mset *s, uint32_t parent)
{
    uint64_t now = (uint64_t)(mset_wall(s) / MSET_SECOND) << 32 | 1;
    uint64_t last = s->entries[parent].ts;
    return now > last ? now : last + 1;
}

uint32_t mset_append(struct mset *s, struct mset_node *n, uint64_t value, uint8_t concern)
{
    if (s->entries_count == s->entries_max) {
        return MSET_NONE;
    }
    uint32_t entry = s->entries_count++;
    s->entries[entry] = (struct mset_entry){.term = n->term,
                                            .ts = next_ts(s, n->head),
                                            .value = value,
                                            .wall_us = mset_wall(s),
                                            .parent = n->head,
                                            .depth = s->entries[n->head].depth + 1,
                                            .concern = concern};
    if (concern != 0) {
        n->concern = concern;
    }
    mset_head_set(s, n, entry);
    mset_feed(s, n);
    return entry;
}

void mset_journal_timer(struct mset *s, struct mset_node *n)
{
    if (n->journal_us > s->now_us || n->is_stuck) {
        return;
    }
    n->journal_us = MSET_NEVER;
    n->disk.head = n->head;
    n->disk.concern = n->concern;
    n->disk.committed = n->committed;
    if (n->state == MSET_PRIMARY) {
        mset_commit_look(s, n);
    } else if (n->source >= 0) {
        n->pull_us = s->now_us; /* tells how far it is */
    }
}

/* --- what is committed --- */

/* Data-bearing voters that have it on disk, as this primary knows. */
unsigned mset_have(const struct mset *s, const struct mset_node *n, uint32_t entry)
{
    unsigned have = 0;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        if (m == NULL || !mset_is_data(m)) {
            continue;
        }
        uint32_t durable = i == mset_number(s, n) ? n->disk.head : n->peers[i].durable;
        have += mset_is_under(s, durable, entry) && durable != MSET_NONE ? mset_votes(m) : 0;
    }
    return have;
}

static void mark_committed(struct mset *s, uint32_t entry)
{
    while (entry != MSET_NONE && !s->entries[entry].is_committed) {
        s->entries[entry].is_committed = true;
        entry = s->entries[entry].parent;
    }
}

static void commit(struct mset *s, struct mset_node *n, uint32_t entry)
{
    n->committed = entry;
    mark_committed(s, entry);
    mset_feed(s, n);
}

/* The newest entry of its own term that a write majority has. */
void mset_commit_look(struct mset *s, struct mset_node *n)
{
    struct mset_majorities of;
    if (n->state != MSET_PRIMARY || n->first_of_term == MSET_NONE || n->committed == n->head) {
        return;
    }
    mset_majorities(&n->disk.config, &of);
    uint32_t best = MSET_NONE;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        uint32_t durable = i == mset_number(s, n) ? n->disk.head : n->peers[i].durable;
        if (durable == MSET_NONE || !mset_is_under(s, n->head, durable)) {
            continue;
        }
        bool is_own = s->entries[durable].term == n->term;
        if (is_own && mset_have(s, n, durable) >= of.write &&
            (best == MSET_NONE || s->entries[durable].depth > s->entries[best].depth)) {
            best = durable;
        }
    }
    if (best != MSET_NONE && s->entries[best].depth > s->entries[n->committed].depth) {
        commit(s, n, best);
    }
}

/* A follower learns it, as far as it has got itself. */
void mset_commit_learn(struct mset *s, struct mset_node *n, uint32_t entry)
{
    if (n->state == MSET_PRIMARY || entry == MSET_NONE || n->head == MSET_NONE) {
        return;
    }
    uint32_t common = mset_common(s, n->head, entry);
    if (common != MSET_NONE && s->entries[common].depth > s->entries[n->committed].depth &&
        mset_is_under(s, common, n->committed)) {
        n->committed = common;
    }
}

void mset_mark_acked(struct mset *s, uint32_t entry)
{
    if (!s->entries[entry].is_acked) {
        s->entries[entry].is_acked = true;
        s->truth.majority_acked++;
    }
}
