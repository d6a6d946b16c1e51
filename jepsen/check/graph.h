/* SPDX-License-Identifier: Apache-2.0 */
/* Directed graphs of dependencies, and cycles in them by the kinds of their edges.
 *
 * The first `real` nodes are transactions; those behind them only pass on (points of a time line,
 * "whatever was never read of this key"), so that n transactions need O(n) edges. A cycle counts
 * when it holds at least two real nodes. Strongly connected components after Tarjan (1972), with a
 * stack of its own. Memory comes from an arena of the caller.
 */
#ifndef QUORATE_JEPSEN_CHECK_GRAPH_H
#define QUORATE_JEPSEN_CHECK_GRAPH_H

#include "base/arena.h"

/* Kinds of edges, as bits of a mask. */
enum {
    CHK_WW = 1,   /* the next version */
    CHK_WR = 2,   /* read what was written */
    CHK_RW = 4,   /* did not see what was written next */
    CHK_RT = 8,   /* returned before the call */
    CHK_PASS = 16 /* out of a node that only passes on; part of every mask */
};

struct chk_edge {
    uint32_t from;
    uint32_t to;
    uint32_t kind;
    uint32_t key; /* name number, for the text */
};

struct chk_graph {
    uint32_t nodes;
    uint32_t real;
    struct chk_edge *edges; /* after chk_graph_close sorted by `from` */
    uint32_t edges_count;
    uint32_t edges_cap;
    bool is_full;    /* an edge did not fit */
    uint32_t *start; /* edges of node i: start[i] to start[i + 1] */
    uint32_t *component;
    uint32_t *work[5]; /* per node */
    uint64_t steps_left;
};

/* BASE_E_NOSPACE. Takes memory for `edges_cap` edges, more for the rest in chk_graph_close. */
MUST_CHECK int chk_graph_open(struct chk_graph *g, struct base_arena *arena, uint32_t nodes,
                              uint32_t real, uint32_t edges_cap);
/* Edges of a real node to itself are left out. */
void chk_graph_edge(struct chk_graph *g, uint32_t from, uint32_t to, uint32_t kind, uint32_t key);
/* No more edges. BASE_E_NOSPACE, also when an edge did not fit. */
MUST_CHECK int chk_graph_close(struct chk_graph *g, struct base_arena *arena, uint64_t steps_max);

/* Components over the edges of `mask`; the number of those with two real nodes or more. */
uint32_t chk_graph_components(struct chk_graph *g, uint32_t mask);
/* After chk_graph_components: a short cycle of edges of `mask` inside one component; `once` is 0 or
 * the kind of edges of which there shall be exactly one. Writes edge numbers in order, gives their
 * count; 0 when there is none (or steps_left is 0: then nobody knows). */
size_t chk_graph_cycle(struct chk_graph *g, uint32_t mask, uint32_t once, uint32_t *ret,
                       size_t cap);

#endif
