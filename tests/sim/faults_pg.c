/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL itself, its disk and its operators do wrong. Some of these wait for their moment
 * and count when it has come. */
#include "tests/sim/adopted.h"
#include "tests/sim/faults_db.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"

static unsigned any_member(struct world *w, struct strike *s)
{
    return (unsigned)draw(&s->rand, 0, (int64_t)w->setup.members - 1);
}

/* -1: nobody holds that cluster. */
static int any_holder(struct world *w, struct strike *s)
{
    return members_holder(w, (unsigned)draw(&s->rand, 0, (int64_t)w->setup.clusters - 1));
}

/* Clients cancel their COMMIT: it is there, visible to all, and acknowledged to nobody. */
void strike_wait_cancelled(struct world *w, struct strike *s)
{
    int holder = any_holder(w, s);
    if (holder >= 0 && pg_of(w, (unsigned)holder)->waits_count > 0) {
        fault_bit(w, s->kind, (unsigned)holder, pg_of(w, (unsigned)holder)->waits_count, 0);
        pg_cancel_waits(pg_of(w, (unsigned)holder));
    }
}

void strike_slow_stop(struct world *w, struct strike *s)
{
    pg_of(w, any_member(w, s))->is_stop_slow = true;
}

/* The next promotion in a cluster, whoever wins. */
static const struct db_setup *any_cluster(struct world *w, struct strike *s)
{
    return &w->setup.databases[draw(&s->rand, 0, (int64_t)w->setup.clusters - 1)];
}

void strike_promotion_fails(struct world *w, struct strike *s)
{
    const struct db_setup *d = any_cluster(w, s);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        pg_of(w, i)->is_promotion_failing = true;
    }
}

void strike_crash_promoting(struct world *w, struct strike *s)
{
    const struct db_setup *d = any_cluster(w, s);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        pg_of(w, i)->is_promotion_deadly = true;
    }
}

/* Also of one that was chosen, or has voted and may be: that spoils the one directory that may have
 * everything, and such a cluster waits for an operator (rescue.h). Where no agent has come yet
 * nobody could end it, and whoever starts the server after it would do so again. */
void strike_promoted_by_hand(struct world *w, struct strike *s)
{
    unsigned first = any_member(w, s);
    for (unsigned i = 0; i < w->setup.members; i++) {
        struct pg *pg = pg_of(w, (first + i) % w->setup.members);
        bool is_standby = pg->phase == PG_STANDBY && pg->is_root_alive &&
                          pg->process->stopped == 0 &&
                          !adopted_is_waiting(member_of(w, pg->member)) &&
                          !adopted_is_unfounded(w, cluster_of(w, pg->member));
        if (is_standby) {
            fault_bit(w, s->kind, pg->member, 0, 0);
            pg_promote_by_hand(pg);
            return;
        }
    }
}

/* The operator ends what was started by hand. */
static void by_hand_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)bytes;
    if (pg->process->is_up && pg->process->life == number) {
        pg_gone(pg, false);
    }
}

static void start_by_hand(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct member *m = member_of(w, (unsigned)number);
    struct pg_directory *d = &m->pg.dir;
    (void)bytes;
    bool is_usable = d->exists && !d->is_bad && d->history_count > 0;
    if (!m->has_power || m->tree.is_up || !is_usable || adopted_is_waiting(m) ||
        m->clock.standing_since != 0) {
        return;
    }
    fault_bit(w, FAULT_STARTED_BY_HAND, m->index, 0, 0);
    truth_by_hand(w, m->index);
    d->is_by_hand = true;
    d->is_standby = false;
    d->sync_names = PG_NOBODY; /* as every directory at rest has it, but a holder's own */
    d->sync_count = 1;
    process_start(&m->tree);
    pg_start(&m->pg);
    world_at_with(w, w->now_us + 8 * SECOND, NULL, by_hand_ends, &m->pg, m->tree.life, SLICE_EMPTY);
}

/* The agent is stopped, the database ends, and an operator starts it again as a primary. */
void strike_started_by_hand(struct world *w, struct strike *s)
{
    struct member *m = member_of(w, any_member(w, s));
    int holder = members_holder(w, cluster_of(w, m->index));
    if (holder == (int)m->index || !m->tree.is_up || m->tree.stopped != 0 || !m->pg.is_root_alive ||
        !m->agent_process.is_up) {
        return;
    }
    member_crash_agent(w, m->index, draw(&s->rand, 4 * SECOND, 10 * SECOND));
    pg_root_killed(&m->pg);
    world_at_with(w, w->now_us + draw(&s->rand, SECOND, 3500 * MS), NULL, start_by_hand, w,
                  m->index, SLICE_EMPTY);
}

/* Old WAL goes while a standby is away. */
static void recycle(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    int holder = members_holder(w, (unsigned)number);
    (void)bytes;
    if (holder >= 0) {
        struct pg_directory *d = &pg_of(w, (unsigned)holder)->dir;
        d->recycled = d->flushed > 3 ? d->flushed - 3 : 0;
    }
}

void strike_wal_recycled(struct world *w, struct strike *s)
{
    unsigned member = any_member(w, s), cluster = cluster_of(w, member);
    const struct db_setup *d = &w->setup.databases[cluster];
    int64_t for_us = draw(&s->rand, 3 * SECOND, 8 * SECOND);
    if (members_holder(w, cluster) == (int)member) {
        return;
    }
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (i != member) {
            fault_cut_both(w, ADDRESS_DB + member, ADDRESS_DB + i, for_us, false);
        }
    }
    world_at_with(w, w->now_us + for_us - 10 * MS, NULL, recycle, w, cluster, SLICE_EMPTY);
}

static void room_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    pg->is_disk_full = false;
}

void strike_database_disk_full(struct world *w, struct strike *s)
{
    int holder = any_holder(w, s);
    if (holder >= 0) {
        struct pg *pg = pg_of(w, (unsigned)holder);
        pg->is_disk_full = true;
        world_at(w, w->now_us + draw(&s->rand, SECOND, 8 * SECOND), NULL, room_again, pg);
    }
}

void faults_pg_heal(struct pg *pg)
{
    pg->is_write_stuck = false;
    pg->is_disk_full = pg->is_stop_slow = pg->is_promotion_failing = pg->is_promotion_deadly =
        false;
}
