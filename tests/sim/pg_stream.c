/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming replication between modelled databases: a receiver on the standby, a sender per standby
 * upstream. Links are sessions; a gap or a silence ends one, and the receiver connects again.
 */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/adopted.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/sql_load.h"
#include "tests/sim/truth.h"

#define SILENCE_US (3 * SECOND)
#define WAL_MAX 64

enum stream_type { STREAM_CONNECT = 210, STREAM_ACCEPT, STREAM_REFUSE, STREAM_WAL, STREAM_ACK };

struct stream_frame {
    uint8_t type;
    uint64_t session;
    uint64_t system_id;
    uint32_t from;     /* CONNECT: position wanted; WAL: of its first record */
    uint32_t timeline; /* CONNECT: the standby's; ACCEPT: the upstream's */
    uint32_t flushed;  /* ACK */
    uint32_t count;    /* WAL: records; ACCEPT: forks */
    uint32_t until;    /* WAL: what the upstream has flushed */
    uint32_t highest;
    union {
        uint32_t records[WAL_MAX];
        struct pg_fork history[PG_HISTORY_MAX];
    };
};

static void send_frame(struct pg *pg, unsigned to, const struct stream_frame *f)
{
    size_t len = offsetof(struct stream_frame, records);
    if (f->type == STREAM_WAL) {
        len += f->count * sizeof(f->records[0]);
    } else if (f->type == STREAM_ACCEPT) {
        len += f->count * sizeof(f->history[0]);
    }
    (void)net_send(pg->world, ADDRESS_DB + pg->member, ADDRESS_DB + to, slice_from(f, len));
}

/* --- receiver --- */

void pg_receiver_stop(struct pg *pg)
{
    pg->has_receiver = pg->is_receiving = pg->is_receiver_ending = false;
    pg->session = 0;
}

static void connect_elsewhere(struct pg *pg);

static void connect_upstream(struct pg *pg)
{
    struct stream_frame f = {.type = STREAM_CONNECT, .system_id = pg->dir.system_id};
    if (pg->dir.upstream == PG_ELSEWHERE) {
        connect_elsewhere(pg);
        return;
    }
    pg->session = base_rand_next(&pg->rand);
    pg->heard_us = pg->world->now_us;
    pg->is_receiving = false;
    f.session = pg->session;
    f.from = pg->dir.flushed;
    f.timeline = pg_timeline(&pg->dir);
    send_frame(pg, (unsigned)pg->dir.upstream, &f);
}

/* A server that starts reads its own WAL to the end before it asks for more: until then there is
 * no receiver, which is what an agent may take its presence for. */
void pg_receiver_restart(struct pg *pg)
{
    bool is_at_end = pg->replayed >= pg->wal_end_at_start;
    pg_receiver_stop(pg);
    bool has_upstream = pg->dir.upstream >= 0 || pg->dir.upstream == PG_ELSEWHERE;
    if (pg->phase == PG_STANDBY && has_upstream && pg->is_root_alive && is_at_end) {
        pg->has_receiver = true;
        connect_upstream(pg);
    }
}

/* The upstream's history must contain what is here already; numbers are all that is looked at. */
static bool history_fits(const struct pg *pg, const struct stream_frame *f)
{
    uint32_t own = pg_timeline(&pg->dir);
    for (unsigned i = 0; i < f->count; i++) {
        if (f->history[i].timeline == own) {
            return i + 1 == f->count || f->history[i + 1].position >= pg->dir.count;
        }
    }
    return false;
}

/* Those who stream from here come again, and learn of a timeline that is new to them. */
static void take_history(struct pg *pg, const struct stream_frame *f)
{
    if (pg->dir.history_count != f->count) {
        pg_senders_end(pg);
    }
    memcpy(pg->dir.history, f->history, f->count * sizeof(f->history[0]));
    pg->dir.history_count = f->count;
    pg->dir.timeline_highest =
        f->highest > pg->dir.timeline_highest ? f->highest : pg->dir.timeline_highest;
    pg->is_receiving = pg->has_received = true;
}

static void accepted(struct pg *pg, const struct stream_frame *f)
{
    if (!history_fits(pg, f)) {
        pg->is_receiving = false;
        pg->session = 0; /* forked off before our end: the receiver dies and is tried again later */
        return;
    }
    take_history(pg, f);
    truth_streams(pg->world, pg, pg_of(pg->world, (unsigned)pg->dir.upstream));
}

static void acknowledge(struct pg *pg)
{
    struct stream_frame f = {
        .type = STREAM_ACK, .session = pg->session, .flushed = pg->dir.flushed};
    send_frame(pg, (unsigned)pg->dir.upstream, &f);
}

static void received_flushed(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)bytes;
    uint32_t position = (uint32_t)number;
    if (position > pg->dir.flushed && position <= pg->dir.count) {
        pg->dir.flushed = position;
    }
    pg->replayed = pg->replayed > pg->dir.flushed ? pg->replayed : pg->dir.flushed;
    if (pg->has_receiver && pg->session != 0 && pg->dir.upstream >= 0) {
        acknowledge(pg);
    }
}

static void received_wal(struct pg *pg, const struct stream_frame *f)
{
    pg->heard_us = pg->world->now_us;
    if (f->from > pg->dir.count) {
        connect_upstream(pg); /* a gap: frames were lost with their connection */
        return;
    }
    for (uint32_t i = pg->dir.count - f->from; i < f->count; i++) {
        pg_append(&pg->dir, f->records[i]);
    }
    int64_t us = draw(&pg->rand, 200, chance(&pg->rand, 20000) ? 80 * MS : 4 * MS);
    world_at_with(pg->world, pg->world->now_us + us, pg->process, received_flushed, pg,
                  pg->dir.count, SLICE_EMPTY);
}

/* --- from elsewhere: nothing is on that link but delay --- */

static const struct pg_directory *site_of(const struct pg *pg)
{
    return elsewhere_dir(pg->world, cluster_of(pg->world, pg->member));
}

static void connect_elsewhere(struct pg *pg)
{
    const struct pg_directory *site = site_of(pg);
    struct stream_frame f = {.type = STREAM_ACCEPT};
    pg->heard_us = pg->world->now_us;
    pg->is_receiving = false;
    pg->session = 0;
    if (site == NULL || site->system_id != pg->dir.system_id) {
        return;
    }
    f.count = site->history_count;
    f.highest = site->timeline_highest;
    memcpy(f.history, site->history, f.count * sizeof(f.history[0]));
    bool is_ahead = pg_timeline(&pg->dir) == pg_timeline(site) && pg->dir.flushed > site->flushed;
    if (!is_ahead && history_fits(pg, &f)) {
        pg->session = 1;
        take_history(pg, &f);
        truth_streams_elsewhere(pg->world, pg, site);
    }
}

static void tick_elsewhere(struct pg *pg)
{
    const struct pg_directory *site = site_of(pg);
    int64_t now = pg->world->now_us;
    bool is_stale = site == NULL || site->history_count != pg->dir.history_count;
    if (!pg->is_receiving || is_stale) {
        if (now - pg->heard_us > 300 * MS) {
            connect_elsewhere(pg);
        }
        return;
    }
    pg->heard_us = now;
    for (unsigned i = 0; i < WAL_MAX && pg->dir.count < site->flushed; i++) {
        pg_append(&pg->dir, site->records[pg->dir.count]);
    }
    int64_t us = draw(&pg->rand, 200, 20 * MS);
    world_at_with(pg->world, now + us, pg->process, received_flushed, pg, pg->dir.count,
                  SLICE_EMPTY);
}

/* --- sender --- */

static void send_wal(struct pg *pg, unsigned to, bool is_keepalive)
{
    struct pg_sender *s = &pg->senders[to];
    while (s->is_connected && (s->sent < pg->dir.flushed || is_keepalive)) {
        struct stream_frame f = {
            .type = STREAM_WAL, .session = s->session, .from = s->sent, .until = pg->dir.flushed};
        f.count = pg->dir.flushed > s->sent ? pg->dir.flushed - s->sent : 0;
        f.count = f.count < WAL_MAX ? f.count : WAL_MAX;
        for (uint32_t i = 0; i < f.count; i++) {
            f.records[i] = pg->dir.records[s->sent + i];
        }
        s->sent += f.count;
        send_frame(pg, to, &f);
        is_keepalive = false;
    }
}

void pg_send_all(struct pg *pg)
{
    for (unsigned i = 0; i < pg->world->setup.members; i++) {
        send_wal(pg, i, false);
    }
}

/* After a promotion those who stream from here have to come again, and learn of the new timeline.
 */
void pg_senders_end(struct pg *pg)
{
    for (unsigned i = 0; i < pg->world->setup.members; i++) {
        struct stream_frame f = {.type = STREAM_REFUSE, .session = pg->senders[i].session};
        if (pg->senders[i].is_connected) {
            send_frame(pg, i, &f);
            pg->senders[i].is_connected = false;
        }
    }
}

/* "requested starting point is not in this server's history": that walsender ends at once. */
static bool is_in_history(const struct pg_directory *d, const struct stream_frame *f)
{
    for (unsigned i = 0; i < d->history_count; i++) {
        if (d->history[i].timeline == f->timeline) {
            return i + 1 == d->history_count || d->history[i + 1].position >= f->from;
        }
    }
    return false;
}

static void connected(struct pg *pg, unsigned from, const struct stream_frame *f)
{
    struct stream_frame reply = {.type = STREAM_REFUSE, .session = f->session};
    bool is_armed = pg->world->members->list[pg->member].guard.status.is_armed;
    bool is_by_hand =
        pg->phase == PG_PRIMARY && pg->epoch == 0 && !is_armed && !adopted_is_unled(pg->world, pg);
    is_by_hand = is_by_hand || (pg->phase == PG_PRIMARY && pg->dir.is_by_hand &&
                                truth_is_standby_cluster(pg->world, pg->member));
    /* README: left out */
    bool may = (pg->phase == PG_PRIMARY || pg->phase == PG_STANDBY) && !is_by_hand;
    if (!may || !pg->is_root_alive || f->system_id != pg->dir.system_id) {
        send_frame(pg, from, &reply);
        return;
    }
    bool is_ahead = f->timeline == pg_timeline(&pg->dir) && f->from > pg->dir.flushed;
    bool is_recycled = f->from < pg->dir.recycled;
    if (is_recycled) {
        fault_count(pg->world, FAULT_WAL_RECYCLED);
    }
    if (is_ahead || is_recycled || !is_in_history(&pg->dir, f)) {
        send_frame(pg, from, &reply);
        return;
    }
    reply.type = STREAM_ACCEPT;
    reply.timeline = pg_timeline(&pg->dir);
    reply.highest = pg->dir.timeline_highest;
    reply.count = pg->dir.history_count;
    memcpy(reply.history, pg->dir.history, reply.count * sizeof(reply.history[0]));
    pg->senders[from] = (struct pg_sender){.is_connected = true,
                                           .session = f->session,
                                           .sent = f->from,
                                           .heard_us = pg->world->now_us,
                                           .names = pg->dir.sync_names,
                                           .count = pg->dir.sync_count};
    send_frame(pg, from, &reply);
    pg_note(pg);
    send_wal(pg, from, true);
}

static void acknowledged(struct pg *pg, unsigned from, const struct stream_frame *f)
{
    struct pg_sender *s = &pg->senders[from];
    s->heard_us = pg->world->now_us;
    s->flushed = f->flushed > s->flushed ? f->flushed : s->flushed;
    s->replies++;
    bool is_named = (s->names >> from & 1) != 0;
    if (pg_is_serving(pg) && is_named && s->count > 0) {
        pg_release(pg, s->names, s->count);
    }
}

/* --- both --- */

static void stream_arrive(struct pg *pg, unsigned from, const struct stream_frame *f)
{
    bool is_mine = pg->has_receiver && f->session == pg->session && (int)from == pg->dir.upstream;
    bool is_sender = pg->senders[from].is_connected && pg->senders[from].session == f->session;
    switch (f->type) {
    case STREAM_CONNECT:
        connected(pg, from, f);
        break;
    case STREAM_ACCEPT:
        if (is_mine) {
            accepted(pg, f);
        }
        break;
    case STREAM_REFUSE:
        if (is_mine) {
            pg->is_receiving = false;
            pg->session = 0;
        }
        break;
    case STREAM_WAL:
        if (is_mine && pg->is_receiving) {
            received_wal(pg, f);
        }
        break;
    case STREAM_ACK:
        if (is_sender) {
            acknowledged(pg, from, f);
        }
        break;
    default:
        break;
    }
}

void pg_arrive(void *ctx, unsigned from, struct slice payload)
{
    struct pg *pg = ctx;
    struct stream_frame f;
    if (payload.data[0] == SQL_FRAME_WRITE) {
        sql_arrive(pg, from, payload);
        return;
    }
    BASE_ASSERT(payload.len <= sizeof(f));
    memcpy(&f, payload.data, payload.len);
    if (pg->phase != PG_DOWN && pg->phase != PG_STARTING) {
        stream_arrive(pg, from - ADDRESS_DB, &f);
    }
}

/* Ten times a second while the tree runs: keepalives, silences, receivers that want to connect
 * again. */
void pg_stream_tick(struct pg *pg)
{
    int64_t now = pg->world->now_us;
    for (unsigned i = 0; i < pg->world->setup.members; i++) {
        struct pg_sender *s = &pg->senders[i];
        if (s->is_connected && now - s->heard_us > SILENCE_US) {
            s->is_connected = false;
            pg_note(pg);
        } else if (s->is_connected) {
            send_wal(pg, i, true);
        }
    }
    if (!pg->has_receiver) {
        return;
    }
    if (!pg->is_root_alive) {
        return;
    }
    if (pg->dir.upstream == PG_ELSEWHERE) {
        tick_elsewhere(pg);
        return;
    }
    bool is_silent = now - pg->heard_us > SILENCE_US;
    bool is_waiting = !pg->is_receiving && now - pg->heard_us > 400 * MS;
    if (pg->session == 0 ? now - pg->heard_us > 500 * MS : (is_silent || is_waiting)) {
        connect_upstream(pg);
    }
}
