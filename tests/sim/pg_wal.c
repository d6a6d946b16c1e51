/* SPDX-License-Identifier: Apache-2.0 */
/* The modelled data directory: records, timelines, copies. */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/members.h"

void pg_append(struct pg_directory *d, uint32_t record)
{
    d->records = must_grow(d->records, &d->records_cap, (size_t)d->count + 1, sizeof(*d->records));
    d->records[d->count++] = record;
}

void pg_truncate(struct pg_directory *d, uint32_t count)
{
    d->count = count < d->count ? count : d->count;
    d->flushed = count < d->flushed ? count : d->flushed;
}

uint32_t pg_timeline(const struct pg_directory *d)
{
    return pg_forks(d) > 0 ? d->history[pg_forks(d) - 1].timeline : 0;
}

/* Forks that the WAL has reached; the others are known by their history files only. */
unsigned pg_forks(const struct pg_directory *d)
{
    unsigned count = d->history_count;
    while (count > 1 && d->history[count - 1].position > d->count) {
        count--;
    }
    return count;
}

void pg_copy(struct pg_directory *to, const struct pg_directory *from, uint32_t count)
{
    to->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        pg_append(to, from->records[i]);
    }
    to->flushed = count;
    memcpy(to->history, from->history, sizeof(to->history));
    to->history_count = from->history_count;
    to->history_count = pg_forks(to);
    to->timeline_highest = from->timeline_highest;
    to->system_id = from->system_id;
    to->exists = to->was_primary = true; /* a copy of a running primary says so */
    to->is_clean = to->is_by_hand = false;
}

uint32_t pg_common(const struct pg_directory *a, const struct pg_directory *b)
{
    unsigned i = 0;
    uint32_t until = a->count < b->count ? a->count : b->count;
    /* pg_rewind looks at where a timeline begins, too; a stream does not. */
    while (i < pg_forks(a) && i < pg_forks(b) && a->history[i].timeline == b->history[i].timeline &&
           a->history[i].position == b->history[i].position) {
        i++;
    }
    if (i < pg_forks(a) && a->history[i].position < until) {
        until = a->history[i].position;
    }
    if (i < pg_forks(b) && b->history[i].position < until) {
        until = b->history[i].position;
    }
    return until;
}

uint32_t pg_same(const struct pg_directory *a, const struct pg_directory *b)
{
    uint32_t i = 0;
    while (i < a->count && i < b->count && a->records[i] == b->records[i]) {
        i++;
    }
    return i;
}

uint32_t pg_record_make(struct world *w, const struct pg_record *record)
{
    struct members *m = w->members;
    m->records = must_grow(m->records, &m->records_cap, m->records_count + 1, sizeof(*m->records));
    m->records[m->records_count] = *record;
    return (uint32_t)m->records_count++;
}

const struct pg_record *pg_record_of(const struct world *w, uint32_t record)
{
    BASE_ASSERT(record < w->members->records_count);
    return &w->members->records[record];
}
