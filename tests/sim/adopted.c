/* SPDX-License-Identifier: Apache-2.0 */
/* See adopted.h. The first member of such a cluster has the database. */
#include "tests/sim/adopted.h"

#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

#define RECORDS 12       /* that were written before the world began */
#define KEEPER_US SECOND /* the service manager's pause before a restart */
#define COMES_US (30 * SECOND)

static enum adopting adopting(const struct member *m)
{
    return m->is_galera ? ADOPTING_NOT : (enum adopting)database_of(m->world, m->index)->adopting;
}

static struct member *first_of(const struct member *m)
{
    return member_of(m->world, database_of(m->world, m->index)->first);
}

/* --- what was there --- */

static void directory_make(struct member *m)
{
    struct pg_directory *d = &m->pg.dir;
    struct pg_record record = {.kind = PG_OPENING, .timeline = 1, .writer = (int)m->index};
    d->exists = d->was_primary = true;
    d->system_id = base_rand_next(&m->pg.rand) | 1;
    d->history[0] = (struct pg_fork){1, 0};
    d->history_count = 1;
    d->timeline_highest = 1;
    for (unsigned i = 0; i < RECORDS; i++) {
        record.kind = i == 0 ? PG_OPENING : PG_CHECKPOINT;
        pg_append(d, pg_record_make(m->world, &record));
    }
    d->flushed = d->clean_position = d->count;
    d->is_clean = true;
}

static void directory_copy(struct member *m)
{
    struct pg_directory *d = &m->pg.dir;
    const struct member *first = first_of(m);
    pg_copy(d, &first->pg.dir, first->pg.dir.flushed);
    d->is_standby = true;
    d->upstream = (int)first->index;
}

/* --- hosts that nobody has taken over --- */

static void comes(void *ctx, uint64_t number, struct slice bytes)
{
    (void)number;
    (void)bytes;
    (void)adopted_comes(ctx);
}

/* A guard or a host went down before anybody was given the database: as it was before us. */
static void goes_back(struct member *m)
{
    agent_stop(m, 3);
    process_stop(&m->guard_process);
    watchdog_off(m);
    m->is_unadopted = true;
    world_at(m->world, m->world->now_us + draw(&m->rand, 2 * SECOND, 8 * SECOND), NULL, comes, m);
}

/* The service manager. */
static void keeper(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    bool is_free = m->has_power && !m->tree.is_up && m->clock.standing_since == 0;
    (void)number;
    (void)bytes;
    if (is_free && !m->is_unadopted &&
        adopted_is_unfounded(m->world, cluster_of(m->world, m->index))) {
        goes_back(m);
    }
    if (is_free && m->is_unadopted) {
        tree_start(m);
    }
    world_at(m->world, m->world->now_us + KEEPER_US, NULL, keeper, m);
}

bool adopted_is_waiting(const struct member *m)
{
    return m->is_unadopted;
}

bool adopted_comes(struct member *m)
{
    if (!m->is_unadopted || !m->has_power) {
        return m->is_unadopted;
    }
    m->is_unadopted = false;
    guard_boot(m);
    if (m->tree.is_up && m->pg.is_root_alive) {
        m->world->tally.adopted++;
        guard_adopts(m);
    } else if (m->tree.is_up) {
        tree_gone(m, false); /* orphans of a root that has ended: the guard's start kills them */
    }
    agent_start(m);
    return true;
}

void adopted_open(struct world *w)
{
    for (unsigned i = 0; w->setup.has_databases && i < w->setup.members; i++) {
        struct member *m = member_of(w, i);
        enum adopting how = adopting(m);
        if (how == ADOPTING_NOT) {
            continue;
        }
        if (first_of(m) == m) {
            directory_make(m);
        } else if (how == ADOPTING_RUNNING) {
            directory_copy(m);
        }
        if (how == ADOPTING_RUNNING) {
            m->is_unadopted = true;
            tree_start(m);
            world_at(w, w->now_us + KEEPER_US, NULL, keeper, m);
            world_at(w, w->now_us + draw(&m->rand, 100 * MS, COMES_US), NULL, comes, m);
        }
    }
}

void adopted_config(const struct member *m, struct agt_config *config)
{
    enum adopting how = adopting(m);
    config->is_adopted_running = how == ADOPTING_RUNNING;
    config->seed_adopt = how == ADOPTING_RUNNING || (how == ADOPTING_STOPPED && first_of(m) == m);
}

/* --- what is right meanwhile --- */

bool adopted_is_unfounded(struct world *w, unsigned cluster)
{
    return w->setup.databases[cluster].adopting == ADOPTING_RUNNING &&
           w->truth->db[cluster].record.epoch == 0;
}

bool adopted_is_unled(struct world *w, const struct pg *pg)
{
    const struct member *m = member_of(w, pg->member);
    const struct guard_status *s = &m->guard.status;
    const struct truth_db *t = truth_db_of(w, pg->member);
    bool is_free = !m->guard_process.is_up || (s->epoch == 0 && s->epoch_handed_back == 0);
    if (adopting(m) != ADOPTING_RUNNING || pg->epoch != 0 || pg->dir.is_by_hand || !is_free) {
        return false;
    }
    for (size_t i = 0; i < t->epochs_count; i++) {
        if (t->epochs[i].holder != (int)m->index) {
            return false;
        }
    }
    return t->ack_epoch == 0;
}

void adopted_armed(struct member *m)
{
    const struct guard_status *s = &m->guard.status;
    if (!m->is_galera && s->is_adopted && s->is_armed && m->pg.epoch == 0 &&
        m->pg.phase == PG_PRIMARY) {
        m->pg.epoch = s->epoch;
    }
}
