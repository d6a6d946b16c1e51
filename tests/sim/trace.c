/* SPDX-License-Identifier: Apache-2.0 */
/* The story of a run: numbers while it runs (cheap, and hashed), text only when somebody reads it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/world.h"

struct kind {
    const char *name;
    const char *fields[4];
};

static const struct kind kinds[TRACE_KIND_COUNT] = {
#define TRACE_ROW(id, name, a, b, c, d) [TRACE_##id] = {name, {a, b, c, d}},
    TRACE_KINDS(TRACE_ROW)
#undef TRACE_ROW
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

void trace(struct world *w, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct trace_record *r = &w->ring[w->trace_count++ % TRACE_RING];
    *r = (struct trace_record){w->now_us, kind, {a, b, c, d}};
    uint64_t hash = mix(w->trace_hash, (uint64_t)r->at_us);
    hash = mix(hash, (uint64_t)kind);
    for (size_t i = 0; i < 4; i++) {
        hash = mix(hash, r->value[i]);
    }
    w->trace_hash = hash;
    if (w->is_tracing) {
        trace_print(w, r);
    }
}

void trace_print(const struct world *w, const struct trace_record *r)
{
    (void)w;
    const struct kind *kind = &kinds[r->kind];
    printf("%11.3f ms  %-10s", (double)r->at_us / 1000.0, kind->name);
    for (size_t i = 0; i < 4; i++) {
        if (kind->fields[i][0] == '-') {
            continue;
        }
        bool is_fault = i == 0 && (r->kind == TRACE_FAULT || r->kind == TRACE_HEAL);
        if (is_fault) {
            printf(" %s", trace_fault_name(r->value[i]));
        } else {
            printf(" %s=%" PRId64, kind->fields[i], (int64_t)r->value[i]);
        }
    }
    printf("\n");
}

void trace_print_last(const struct world *w, size_t count)
{
    uint64_t have = w->trace_count < TRACE_RING ? w->trace_count : TRACE_RING;
    uint64_t from = w->trace_count - (count < have ? count : have);
    for (uint64_t i = from; i < w->trace_count; i++) {
        trace_print(w, &w->ring[i % TRACE_RING]);
    }
}

void trace_legend(void)
{
    printf("one line per step: true time, what, and its numbers; addresses: quorum nodes from %d,\n"
           "agents from %d, "
           "database hosts from %d, key-value clients from %d, SQL clients from %d\n",
           ADDRESS_NODE, ADDRESS_AGENT, ADDRESS_DB, ADDRESS_KV_CLIENT, ADDRESS_SQL_CLIENT);
}

void trace_text(const struct world *w, unsigned address, const char *text)
{
    if (w->is_tracing) {
        printf("%11.3f ms  says       address=%u %s\n", (double)w->now_us / 1000.0, address, text);
    }
}
