/* SPDX-License-Identifier: Apache-2.0 */
/* What really is: for checks, audits and tests. */
#include "tests/mongosim/set_inner.h"

void mset_truth(const struct mset *s, struct mset_truth *ret)
{
    *ret = s->truth;
}

int mset_primary(const struct mset *s, uint64_t *ret_term)
{
    int best = -1;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_node *n = &s->nodes[i];
        if (n->is_up && n->is_writable &&
            (best < 0 || n->elected_term > s->nodes[best].elected_term)) {
            best = (int)i;
        }
    }
    *ret_term = best < 0 ? 0 : s->nodes[best].elected_term;
    return best;
}

enum mset_state mset_state_of(const struct mset *s, unsigned node)
{
    return s->nodes[node].state;
}

uint64_t mset_term_of(const struct mset *s, unsigned node)
{
    return s->nodes[node].term;
}

bool mset_is_writable(const struct mset *s, unsigned node)
{
    return s->nodes[node].is_up && s->nodes[node].is_writable;
}

bool mset_is_stale(const struct mset *s, unsigned node)
{
    return s->nodes[node].is_up && s->nodes[node].is_stale;
}

bool mset_is_sick(const struct mset *s, unsigned node)
{
    const struct mset_node *n = &s->nodes[node];
    return n->is_stuck || n->is_full || n->is_hello_hung;
}

int64_t mset_frozen_until(const struct mset *s, unsigned node)
{
    return s->nodes[node].not_before_us;
}

bool mset_is_committed(const struct mset *s, uint32_t entry)
{
    return s->entries[entry].is_committed;
}

bool mset_has(const struct mset *s, unsigned node, uint32_t entry)
{
    return entry != MSET_NONE && mset_is_under(s, s->nodes[node].head, entry);
}

bool mset_has_directory(const struct mset *s, unsigned node)
{
    const struct mset_node *n = &s->nodes[node];
    return mset_is_configured(n) || n->disk.head != MSET_NONE;
}

/* Oldest first, by going down to each depth again: for small audits; steps are O(n) each only when
 * the path is walked from its head, so it is walked in slices. */
#define SLICE 256

void mset_data(const struct mset *s, unsigned node,
               bool (*fn)(void *ctx, uint32_t entry, uint64_t value), void *ctx)
{
    uint32_t slice[SLICE], head = s->nodes[node].head, depth = 0;
    uint32_t end = s->entries[head].depth;
    while (depth < end) {
        uint32_t top = depth + SLICE < end ? depth + SLICE : end;
        uint32_t e = mset_ancestor(s, head, top);
        for (uint32_t i = top; i > depth; i--) {
            slice[i - depth - 1] = e;
            e = s->entries[e].parent;
        }
        for (uint32_t i = depth; i < top; i++) {
            if (!fn(ctx, slice[i - depth], s->entries[slice[i - depth]].value)) {
                return;
            }
        }
        depth = top;
    }
}

uint64_t mset_judge(struct mset *s, unsigned node)
{
    uint64_t have = 0;
    for (uint32_t e = s->nodes[node].head; e != MSET_NONE; e = s->entries[e].parent) {
        have += s->entries[e].is_acked;
    }
    s->truth.majority_lost = s->truth.majority_acked - have;
    return s->truth.majority_lost;
}
