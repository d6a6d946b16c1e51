/* SPDX-License-Identifier: Apache-2.0 */
/* Components and shortest cycles; see graph.h. */
#include "jepsen/check/graph.h"

#define NONE UINT32_MAX
#define STARTS_MAX 200u

int chk_graph_open(struct chk_graph *g, struct base_arena *arena, uint32_t nodes, uint32_t real,
                   uint32_t edges_cap)
{
    struct chk_edge *edges = base_arena_take(arena, (size_t)edges_cap + 1, sizeof(*edges));
    if (edges == NULL) {
        return BASE_E_NOSPACE;
    }
    *g = (struct chk_graph){.nodes = nodes, .real = real, .edges = edges, .edges_cap = edges_cap};
    return 0;
}

void chk_graph_edge(struct chk_graph *g, uint32_t from, uint32_t to, uint32_t kind, uint32_t key)
{
    if (from == to) {
        return;
    }
    if (g->edges_count == g->edges_cap) {
        g->is_full = true;
        return;
    }
    g->edges[g->edges_count++] = (struct chk_edge){from, to, kind, key};
}

/* Counting sort of the edges by where they come from. */
int chk_graph_close(struct chk_graph *g, struct base_arena *arena, uint64_t steps_max)
{
    struct chk_edge *sorted = base_arena_take(arena, (size_t)g->edges_count + 1, sizeof(*sorted));
    g->start = base_arena_take(arena, (size_t)g->nodes + 2, sizeof(*g->start));
    g->component = base_arena_take(arena, (size_t)g->nodes + 1, sizeof(*g->component));
    bool is_taken = sorted != NULL && g->start != NULL && g->component != NULL && !g->is_full;
    for (size_t i = 0; i < BASE_COUNT_OF(g->work); i++) {
        g->work[i] = base_arena_take(arena, (size_t)g->nodes + 1, sizeof(*g->work[i]));
        is_taken = is_taken && g->work[i] != NULL;
    }
    if (!is_taken) {
        return BASE_E_NOSPACE;
    }
    for (uint32_t i = 0; i < g->edges_count; i++) {
        g->start[g->edges[i].from + 2]++;
    }
    for (uint32_t i = 2; i < g->nodes + 2; i++) {
        g->start[i] += g->start[i - 1];
    }
    for (uint32_t i = 0; i < g->edges_count; i++) {
        sorted[g->start[g->edges[i].from + 1]++] = g->edges[i];
    }
    g->edges = sorted;
    g->steps_left = steps_max;
    return 0;
}

/* --- components --- */

struct tarjan {
    struct chk_graph *g;
    uint32_t mask;
    uint32_t *order; /* of the visit, from 1; 0 not visited */
    uint32_t *low;
    uint32_t *next;   /* edge to be looked at */
    uint32_t *parent; /* the way back to the root */
    uint32_t *stack;  /* of nodes without a component yet */
    uint32_t stack_len, visited, components, large;
};

static void enter(struct tarjan *t, uint32_t node, uint32_t parent)
{
    t->order[node] = t->low[node] = ++t->visited;
    t->g->component[node] = 0;
    t->next[node] = t->g->start[node];
    t->parent[node] = parent;
    t->stack[t->stack_len++] = node;
}

static void lower(struct tarjan *t, uint32_t node, uint32_t to)
{
    t->low[node] = to < t->low[node] ? to : t->low[node];
}

/* All edges of `node` are done: is it the root of a component? */
static void leave(struct tarjan *t, uint32_t node)
{
    if (t->low[node] == t->order[node]) {
        uint32_t member = NONE, real = 0;
        t->components++;
        while (member != node) {
            member = t->stack[--t->stack_len];
            t->g->component[member] = t->components;
            real += member < t->g->real;
        }
        t->large += real >= 2;
    }
    if (t->parent[node] != NONE) {
        lower(t, t->parent[node], t->low[node]);
    }
}

static void walk(struct tarjan *t, uint32_t root)
{
    enter(t, root, NONE);
    for (uint32_t node = root; node != NONE;) {
        if (t->next[node] == t->g->start[node + 1]) {
            leave(t, node);
            node = t->parent[node];
            continue;
        }
        const struct chk_edge *edge = &t->g->edges[t->next[node]++];
        if ((edge->kind & t->mask) == 0) {
            continue;
        }
        if (t->order[edge->to] == 0) {
            enter(t, edge->to, node);
            node = edge->to;
        } else if (t->g->component[edge->to] == 0) {
            lower(t, node, t->order[edge->to]);
        }
    }
}

uint32_t chk_graph_components(struct chk_graph *g, uint32_t mask)
{
    struct tarjan t = {.g = g,
                       .mask = mask | CHK_PASS,
                       .order = g->work[0],
                       .low = g->work[1],
                       .next = g->work[2],
                       .parent = g->work[3],
                       .stack = g->work[4]};
    memset(t.order, 0, g->nodes * sizeof(*t.order));
    for (uint32_t root = 0; root < g->nodes; root++) {
        if (t.order[root] == 0) {
            walk(&t, root);
        }
    }
    return t.large;
}

/* --- cycles --- */

/* Breadth first from `from` to `to` inside the component of `to`; path of edges in front of
 * `ret[used]`. Marks of a search are its number, so that nothing is cleared. */
struct search {
    struct chk_graph *g;
    uint32_t mask;
    uint32_t *mark, *queue, *by; /* by: edge through which a node was reached */
    uint32_t number;
};

static bool reach(struct search *s, uint32_t from, uint32_t to)
{
    uint32_t head = 0, tail = 0;
    s->number++;
    s->queue[tail++] = from;
    if (from != to) {
        s->mark[from] = s->number;
    }
    while (head < tail && s->g->steps_left > 0) {
        uint32_t node = s->queue[head++];
        for (uint32_t i = s->g->start[node]; i < s->g->start[node + 1]; i++) {
            const struct chk_edge *edge = &s->g->edges[i];
            bool is_new =
                s->mark[edge->to] != s->number && s->g->component[edge->to] == s->g->component[to];
            s->g->steps_left -= s->g->steps_left > 0;
            if ((edge->kind & s->mask) == 0 || !is_new) {
                continue;
            }
            s->mark[edge->to] = s->number;
            s->by[edge->to] = i;
            if (edge->to == to) {
                return true;
            }
            s->queue[tail++] = edge->to;
        }
    }
    return false;
}

/* The edges from `from` to `to` as found, in order; 0 when there is no room. */
static size_t path(const struct search *s, uint32_t from, uint32_t to, uint32_t *ret, size_t cap)
{
    size_t count = 0;
    uint32_t node = to;
    do {
        if (count == cap) {
            return 0;
        }
        ret[count++] = s->by[node];
        node = s->g->edges[s->by[node]].from;
    } while (node != from);
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t swap = ret[i];
        ret[i] = ret[count - 1 - i];
        ret[count - 1 - i] = swap;
    }
    return count;
}

/* Through one edge of kind `once`, and back without any other of it. */
static size_t cycle_once(struct search *s, uint32_t once, uint32_t *ret, size_t cap)
{
    s->mask &= ~once;
    for (uint32_t i = 0; i < s->g->edges_count && s->g->steps_left > 0; i++) {
        const struct chk_edge *edge = &s->g->edges[i];
        bool is_inside =
            edge->kind == once && s->g->component[edge->from] == s->g->component[edge->to];
        if (is_inside && reach(s, edge->to, edge->from)) {
            ret[0] = i;
            size_t rest = path(s, edge->to, edge->from, ret + 1, cap - 1);
            return rest > 0 ? rest + 1 : 0;
        }
    }
    return 0;
}

/* Is there a second transaction in the component of this one? Only then can it be on a cycle. */
static bool is_crowded(const struct search *s, uint32_t node, uint32_t *first_of)
{
    uint32_t component = s->g->component[node];
    if (first_of[component] == 0) {
        first_of[component] = node + 1;
        return false;
    }
    return true;
}

static size_t cycle_any(struct search *s, uint32_t *ret, size_t cap)
{
    uint32_t *first_of = s->g->work[3], starts = 0;
    size_t best = 0;
    memset(first_of, 0, (s->g->nodes + 1) * sizeof(*first_of));
    for (uint32_t node = 0; node < s->g->real && starts < STARTS_MAX && s->g->steps_left > 0;
         node++) {
        if (!is_crowded(s, node, first_of)) {
            continue;
        }
        starts++;
        uint32_t found[256];
        size_t count =
            reach(s, node, node) ? path(s, node, node, found, cap < 256 ? cap : (size_t)256) : 0;
        if (count > 0 && (best == 0 || count < best)) {
            best = count;
            memcpy(ret, found, count * sizeof(*found));
        }
    }
    return best;
}

size_t chk_graph_cycle(struct chk_graph *g, uint32_t mask, uint32_t once, uint32_t *ret, size_t cap)
{
    struct search s = {
        .g = g, .mask = mask | CHK_PASS, .mark = g->work[0], .queue = g->work[1], .by = g->work[2]};
    memset(s.mark, 0, g->nodes * sizeof(*s.mark));
    return once != 0 ? cycle_once(&s, once, ret, cap) : cycle_any(&s, ret, cap);
}
