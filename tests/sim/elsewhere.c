/* SPDX-License-Identifier: Apache-2.0 */
/* See elsewhere.h. */
#include "tests/sim/elsewhere.h"

#include <stdlib.h>

#include "tests/sim/members.h"

#define FORKS_MAX (PG_HISTORY_MAX - 100) /* the others are left to those who follow */
#define NUMBERS_LEFT 8 /* to who had the cluster before, as a promotion of ours leaves them */

struct site {
    struct world *world;
    struct base_rand rand;
    struct pg_directory dir;
    bool is_there;
};

struct elsewhere {
    struct site sites[DB_CLUSTERS_MAX];
};

static void write_record(struct site *s, enum pg_kind kind)
{
    struct pg_record record = {
        .kind = kind, .timeline = s->dir.timeline_highest, .value = s->dir.count, .writer = -1};
    pg_append(&s->dir, pg_record_make(s->world, &record));
    s->dir.flushed = s->dir.count;
}

static void promote(struct site *s)
{
    struct pg_directory *d = &s->dir;
    d->history[d->history_count++] = (struct pg_fork){++d->timeline_highest, d->count};
    write_record(s, PG_OPENING);
}

static void tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct site *s = ctx;
    (void)number;
    (void)bytes;
    if (s->is_there && chance(&s->rand, 15000) && s->dir.history_count < FORKS_MAX) {
        promote(s);
    } else if (s->is_there) {
        write_record(s, PG_COMMIT);
    }
    world_at(s->world, s->world->now_us + draw(&s->rand, 40 * MS, 500 * MS), NULL, tick, s);
}

bool elsewhere_take(struct world *w, unsigned cluster)
{
    struct site *s = &w->elsewhere->sites[cluster];
    int holder = members_holder(w, cluster);
    const struct pg *pg = holder < 0 ? NULL : pg_of(w, (unsigned)holder);
    if (pg == NULL || !pg->is_writable || pg->dir.history_count >= FORKS_MAX) {
        return false;
    }
    pg_copy(&s->dir, &pg->dir, pg->dir.flushed);
    s->dir.timeline_highest += NUMBERS_LEFT;
    promote(s);
    s->is_there = true;
    trace(w, TRACE_MARK, 63, cluster, s->dir.count, s->dir.timeline_highest);
    return true;
}

const struct pg_directory *elsewhere_dir(const struct world *w, unsigned cluster)
{
    const struct site *s = &w->elsewhere->sites[cluster];
    return s->is_there ? &s->dir : NULL;
}

void elsewhere_open(struct world *w)
{
    w->elsewhere = must_alloc(1, sizeof(*w->elsewhere));
    for (unsigned i = 0; w->setup.has_admins && i < w->setup.clusters; i++) {
        struct site *s = &w->elsewhere->sites[i];
        s->world = w;
        s->rand = world_stream(w, STREAM_ADMIN, 80 + i);
        world_at(w, w->now_us + SECOND, NULL, tick, s);
    }
}

void elsewhere_close(struct world *w)
{
    for (unsigned i = 0; i < DB_CLUSTERS_MAX; i++) {
        free(w->elsewhere->sites[i].dir.records);
    }
    free(w->elsewhere);
    w->elsewhere = NULL;
}
