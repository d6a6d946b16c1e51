/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of transactions: edges from versions and from real time, and the name of the worst
 * cycle. Nodes: transactions; then one per key for "appended, and never read", which stands behind
 * the last version; then a time line with one point per return. */
#include "jepsen/check/append_inner.h"
#include "jepsen/check/graph.h"
#include "jepsen/check/sort.h"

#define CYCLE_MAX 256
#define NONE UINT32_MAX

struct build {
    struct append *a;
    struct chk_graph g;
    uint32_t *returns; /* transactions that are done, in order of return */
    uint32_t returns_count;
    bool *is_there;        /* has happened, as far as anybody knows */
    uint32_t *unread_of;   /* key: first element never read, plus 1 */
    uint32_t *unread_next; /* element: next one of its key, plus 1 */
};

static uint32_t node_of_key(const struct build *b, uint32_t key)
{
    return b->g.real + key;
}

static uint32_t node_of_return(const struct build *b, uint32_t at)
{
    return b->g.real + (uint32_t)b->a->log->names_count + at;
}

static bool returns_before(const void *list, size_t i, size_t j)
{
    const struct build *b = list;
    const struct chk_tx *txs = b->a->log->txs;
    return txs[b->returns[i]].return_us < txs[b->returns[j]].return_us;
}

static void returns_swap(void *list, size_t i, size_t j)
{
    uint32_t *returns = ((struct build *)list)->returns, kept = returns[i];
    returns[i] = returns[j];
    returns[j] = kept;
}

static void real_time(struct build *b)
{
    const struct chk_tx *txs = b->a->log->txs;
    for (uint32_t i = 0; i < b->returns_count; i++) {
        chk_graph_edge(&b->g, b->returns[i], node_of_return(b, i), CHK_RT, NONE);
        if (i > 0) {
            chk_graph_edge(&b->g, node_of_return(b, i - 1), node_of_return(b, i), CHK_RT, NONE);
        }
    }
    for (uint32_t tx = 0; tx < b->g.real; tx++) {
        uint32_t low = 0, high = b->returns_count; /* first that returned not before the call */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (txs[b->returns[middle]].return_us < txs[tx].call_us) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (b->is_there[tx] && low > 0) {
            chk_graph_edge(&b->g, node_of_return(b, low - 1), tx, CHK_RT, NONE);
        }
    }
}

static const struct element *version(const struct build *b, uint32_t key, uint32_t at)
{
    const struct version *v = &b->a->versions[key];
    return at < v->count ? append_element(b->a, key, version_value(b->a, v, at)) : NULL;
}

/* Whoever comes after the last version on a key: all that appended to it and were never read. One
 * that is itself among them is linked to each of the others, so that it does not follow itself. */
static void before_unread(struct build *b, uint32_t tx, uint32_t key, uint32_t kind)
{
    bool is_among = false;
    for (uint32_t i = b->unread_of[key]; i != 0; i = b->unread_next[i - 1]) {
        is_among = is_among || b->a->elements[i - 1].tx == tx;
    }
    if (!is_among) {
        chk_graph_edge(&b->g, tx, node_of_key(b, key), kind, key);
        return;
    }
    for (uint32_t i = b->unread_of[key]; i != 0; i = b->unread_next[i - 1]) {
        chk_graph_edge(&b->g, tx, b->a->elements[i - 1].tx, kind, key);
    }
}

static void versions(struct build *b, uint32_t key)
{
    const struct version *v = &b->a->versions[key];
    const struct element *last = NULL;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct element *e = version(b, key, i);
        if (e == NULL || !b->is_there[e->tx]) {
            continue;
        }
        if (last != NULL) {
            chk_graph_edge(&b->g, last->tx, e->tx, CHK_WW, key);
        }
        last = e;
    }
    if (b->unread_of[key] == 0) {
        return;
    }
    if (last != NULL) {
        before_unread(b, last->tx, key, CHK_WW);
    }
    for (uint32_t i = b->unread_of[key]; i != 0; i = b->unread_next[i - 1]) {
        chk_graph_edge(&b->g, node_of_key(b, key), b->a->elements[i - 1].tx, CHK_PASS, key);
    }
}

static void read_edges(struct build *b, uint32_t tx, uint32_t at)
{
    const struct chk_tx_step *read = &b->a->log->steps[b->a->log->txs[tx].first + at];
    uint32_t outer = append_outer(b->a, tx, at);
    if (outer == NONE || (read->count > 0 && !append_is_prefix(b->a, read))) {
        return; /* judged already */
    }
    const struct element *seen = outer > 0 ? version(b, read->name, outer - 1) : NULL;
    const struct element *missed = version(b, read->name, outer);
    if (seen != NULL && b->is_there[seen->tx]) {
        chk_graph_edge(&b->g, seen->tx, tx, CHK_WR, read->name);
    }
    if (missed != NULL && b->is_there[missed->tx]) {
        chk_graph_edge(&b->g, tx, missed->tx, CHK_RW, read->name);
    } else if (outer == b->a->versions[read->name].count && b->unread_of[read->name] != 0) {
        before_unread(b, tx, read->name, CHK_RW);
    }
}

static void edges(struct build *b)
{
    const struct chk_log *log = b->a->log;
    for (uint32_t key = 0; key < log->names_count; key++) {
        versions(b, key);
    }
    for (uint32_t tx = 0; tx < log->txs_count; tx++) {
        for (uint32_t i = 0; log->txs[tx].status == CHK_DONE && i < log->txs[tx].count; i++) {
            const struct chk_tx_step *step = &log->steps[log->txs[tx].first + i];
            if (step->kind == CHK_LIST && step->is_known) {
                read_edges(b, tx, i);
            }
        }
    }
    real_time(b);
}

static void collect(struct build *b)
{
    const struct chk_log *log = b->a->log;
    for (uint32_t tx = 0; tx < log->txs_count; tx++) {
        if (log->txs[tx].status == CHK_DONE) {
            b->is_there[tx] = true;
            b->returns[b->returns_count++] = tx;
        }
    }
    chk_heap_sort(b, b->returns_count, returns_before, returns_swap);
    for (uint32_t i = 0; i < b->a->elements_count; i++) {
        const struct element *e = &b->a->elements[i];
        if (e->order != 0) {
            b->is_there[e->tx] = b->is_there[e->tx] || chk_tx_may_have(&log->txs[e->tx]);
        }
    }
    for (uint32_t i = 0; i < b->a->elements_count; i++) {
        const struct element *e = &b->a->elements[i];
        if (e->order == 0 && b->is_there[e->tx]) {
            b->unread_next[i] = b->unread_of[e->key];
            b->unread_of[e->key] = i + 1;
        }
    }
}

/* --- naming and telling --- */

static const struct class
{
    const char *name;
    uint32_t mask;
    uint32_t once;
} classes[] = {
    {"G0", CHK_WW, 0},
    {"G1c", CHK_WW | CHK_WR, 0},
    {"G-single", CHK_WW | CHK_WR | CHK_RW, CHK_RW},
    {"G0-realtime", CHK_WW | CHK_RT, 0},
    {"G1c-realtime", CHK_WW | CHK_WR | CHK_RT, 0},
    {"G-single-realtime", CHK_WW | CHK_WR | CHK_RW | CHK_RT, CHK_RW},
    {"G2", CHK_WW | CHK_WR | CHK_RW, 0},
    {"G2-realtime", CHK_WW | CHK_WR | CHK_RW | CHK_RT, 0},
};

static void tell_edge(struct build *b, const struct chk_edge *edge)
{
    static const char *const words[] = {
        [CHK_WW] = "  was overwritten (ww) on key ",
        [CHK_WR] = "  was read (wr) on key ",
        [CHK_RW] = "  did not see (rw) on key ",
        [CHK_RT] = "  returned before the call (rt) of",
    };
    if (chk_report_line(b->a->report, words[edge->kind]) && edge->key != NONE) {
        struct buf *out = &b->a->report->text;
        buf_put_text(out, b->a->log->names[edge->key].text);
        buf_put_text(out, edge->kind == CHK_RW ? " what was appended by" : " by");
    }
}

static void tell_cycle(struct build *b, const char *name, const uint32_t *cycle, size_t count)
{
    struct chk_report *report = b->a->report;
    bool is_first = chk_report_find(report, CHK_VIOLATED, name);
    if (chk_report_line(report, name)) {
        buf_put_text(&report->text, ": a cycle of transactions:");
    }
    for (size_t i = 0; i < count; i++) {
        const struct chk_edge *edge = &b->g.edges[cycle[i]];
        if (edge->from >= b->g.real) {
            continue; /* was told with the edge that led there */
        }
        if (chk_report_line(report, "  ")) {
            chk_report_tx(report, b->a->log, edge->from);
        }
        tell_edge(b, edge);
        if (is_first) {
            chk_report_hit(report, edge->from,
                           edge->kind == CHK_RW   ? "did not see the next"
                           : edge->kind == CHK_RT ? "before the next in time"
                                                  : "seen by the next");
        }
    }
    (void)chk_report_line(report, "  the first one again");
}

static void judge_cycles(struct build *b)
{
    const uint32_t all = CHK_WW | CHK_WR | CHK_RW | CHK_RT;
    uint32_t cycle[CYCLE_MAX];
    uint32_t components = chk_graph_components(&b->g, all);
    chk_report_count(b->a->report, "cycles", components);
    for (size_t i = 0; components > 0 && i < BASE_COUNT_OF(classes); i++) {
        const struct class *c = &classes[i];
        if (chk_graph_components(&b->g, c->mask) == 0) {
            continue;
        }
        size_t count = chk_graph_cycle(&b->g, c->mask, c->once, cycle, CYCLE_MAX);
        bool is_unsure = count == 0 && (b->g.steps_left == 0 || c->once == 0);
        bool is_allowed = chk_is_allowed(b->a->options->allow, c->name);
        if (count > 0 && !is_allowed) {
            tell_cycle(b, c->name, cycle, count);
            return;
        }
        if (is_unsure && c->once == 0 && !is_allowed) { /* there is one, longer than is told */
            (void)chk_report_find(b->a->report, CHK_VIOLATED, c->name);
            return;
        }
        if (is_unsure && !is_allowed) {
            (void)chk_report_find(b->a->report, CHK_UNKNOWN, "a limit of the search was met");
        }
    }
}

void append_cycles(struct append *a, struct base_arena *arena)
{
    const struct chk_log *log = a->log;
    uint32_t real = (uint32_t)log->txs_count, keys = (uint32_t)log->names_count;
    size_t edges_cap = log->steps_count * 6 + (size_t)real * 4 + (size_t)keys * 2 + 64;
    struct build b = {.a = a};
    b.returns = base_arena_take(arena, (size_t)real + 1, sizeof(*b.returns));
    b.is_there = base_arena_take(arena, (size_t)real + 1, sizeof(*b.is_there));
    b.unread_of = base_arena_take(arena, (size_t)keys + 1, sizeof(*b.unread_of));
    b.unread_next = base_arena_take(arena, (size_t)a->elements_count + 1, sizeof(*b.unread_next));
    bool is_taken = b.returns != NULL && b.is_there != NULL && b.unread_of != NULL &&
                    b.unread_next != NULL &&
                    chk_graph_open(&b.g, arena, real + keys + real, real, (uint32_t)edges_cap) == 0;
    if (is_taken) {
        collect(&b);
        edges(&b);
    }
    if (!is_taken || chk_graph_close(&b.g, arena, a->options->steps_max) != 0) {
        (void)chk_report_find(a->report, CHK_UNKNOWN, "memory too small");
        return;
    }
    judge_cycles(&b);
}
