/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent's probe sees of the modelled database. */
#include <string.h>

#include "tests/sim/members.h"

static void view_names(const struct pg *pg, uint32_t set, struct msg_names *ret)
{
    for (unsigned i = 0; i < pg->world->setup.members; i++) {
        if ((set >> i & 1) != 0) {
            ret->names[ret->count++] = pg->world->members->list[i].name;
        }
    }
}

static void view_primary(const struct pg *pg, struct db_view *v)
{
    uint32_t real = pg->dir.sync_names & ~PG_NOBODY;
    v->is_sync_known = true;
    view_names(pg, real, &v->sync_names);
    v->sync_count = (uint8_t)pg->dir.sync_count;
    v->lsn = PG_LSN(pg->dir.count);
    v->replay_lsn = v->lsn;
    for (unsigned i = 0; i < pg->world->setup.members; i++) {
        const struct pg_sender *s = &pg->senders[i];
        if (s->is_connected) {
            struct msg_standby *standby = &v->standbys[v->standbys_count++];
            standby->member = pg->world->members->list[i].name;
            standby->flush_lsn = s->flushed > 0 ? PG_LSN(s->flushed) : 0;
            standby->is_streaming = true;
        }
    }
}

static void view_standby(const struct pg *pg, struct db_view *v)
{
    v->is_in_recovery = true;
    v->lsn = PG_LSN(pg->has_received ? pg->dir.flushed : pg->replayed);
    v->replay_lsn = PG_LSN(pg->replayed);
    v->is_wal_end_reached = pg->replayed >= pg->wal_end_at_start;
    v->has_receiver = pg->has_receiver || pg->is_receiver_ending;
    v->is_receiving = pg->is_receiving && pg->has_receiver;
    if (v->is_receiving && pg->dir.upstream >= 0) {
        v->receiving_from = pg->world->members->list[pg->dir.upstream].name;
    }
}

void pg_view(const struct pg *pg, struct db_view *ret)
{
    const struct pg_directory *d = &pg->dir;
    unsigned forks = pg_forks(d);
    if (pg->is_making && !pg->process->is_up) {
        *ret = pg->calm;
        ret->orders_done = pg->orders_done;
        return;
    }
    memset(ret, 0, sizeof(*ret));
    ret->orders_done = pg->orders_done;
    ret->has_directory = d->exists && d->history_count > 0;
    ret->is_directory_bad = d->is_bad;
    ret->system_id = ret->has_directory ? d->system_id : 0;
    ret->is_process = pg->process->is_up && pg->is_root_alive;
    ret->timeline = pg_timeline(d);
    ret->timeline_highest = d->timeline_highest;
    ret->fork_lsn = forks > 1 ? PG_LSN(d->history[forks - 1].position) : 0;
    ret->is_answering = pg_answers(pg);
    ret->config_revision = d->config_revision;
    ret->is_restart_pending = pg->process->is_up && pg->run_connections != d->connections;
    bool is_full = pg->is_disk_full && pg->world->setup.has_admins;
    ret->is_write_failing = (is_full || pg->is_write_stuck) && pg->phase == PG_PRIMARY;
    if (!pg->process->is_up) {
        ret->lsn = ret->replay_lsn = PG_LSN(d->count);
        ret->is_shut_down_clean = d->is_clean;
        ret->was_primary = d->was_primary;
        ret->shutdown_lsn = d->is_clean ? PG_LSN(d->clean_position) : 0;
    } else if (!ret->is_answering) {
        /* a root that is gone leaves the control file as it was: in production */
        ret->was_primary = !ret->is_process && d->was_primary;
    } else if (pg->phase == PG_PRIMARY) {
        view_primary(pg, ret);
    } else {
        view_standby(pg, ret);
    }
}
