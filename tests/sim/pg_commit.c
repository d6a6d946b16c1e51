/* SPDX-License-Identifier: Apache-2.0 */
/* Commits: written, flushed, waited for, acknowledged; and the synchronous settings as each
 * walsender has read them. */
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/sql_load.h"
#include "tests/sim/truth.h"

static void flushed(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)bytes;
    uint32_t position = (uint32_t)number;
    if (pg->is_write_stuck) {
        world_at_with(pg->world, pg->world->now_us + 20 * MS, pg->process, flushed, pg, number,
                      SLICE_EMPTY);
        return;
    }
    if (position > pg->dir.flushed && position <= pg->dir.count) {
        pg->dir.flushed = position;
    }
    if (pg->is_sync_off) {
        pg_release(pg, 0, 0);
    }
    pg_send_all(pg);
}

void pg_flush_soon(struct pg *pg)
{
    int64_t us = draw(&pg->rand, 200, chance(&pg->rand, 20000) ? 60 * MS : 3 * MS);
    world_at_with(pg->world, pg->world->now_us + us, pg->process, flushed, pg, pg->dir.count,
                  SLICE_EMPTY);
}

void pg_insert(struct pg *pg, const struct pg_record *record, unsigned client, uint64_t request)
{
    if (pg->is_disk_full && record->kind == PG_COMMIT) {
        fault_count(pg->world, FAULT_DATABASE_DISK_FULL);
        sql_answer(pg->world, pg->member, client, request, SQL_UNKNOWN);
        pg_root_killed(pg); /* PANIC: no room for WAL */
        return;
    }
    uint32_t number = pg_record_make(pg->world, record);
    pg_append(&pg->dir, number);
    pg->dir.is_clean = false;
    if (record->kind == PG_COMMIT && pg->waits_count < PG_WAITS_MAX) {
        pg->waits[pg->waits_count++] = (struct pg_wait){pg->dir.count, number, client, request};
    }
    pg_flush_soon(pg);
}

static void acknowledge(struct pg *pg, const struct pg_wait *wait)
{
    truth_ack(pg->world, pg, wait->record, wait->position);
    sql_answer(pg->world, pg->member, wait->client, wait->request, SQL_ACKNOWLEDGED);
}

/* How far `count` of `names` have it on disk; with too few names connected nowhere. */
static uint32_t safe_position(const struct pg *pg, uint32_t names, unsigned count)
{
    uint32_t best = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        uint32_t candidate = pg->senders[i].flushed;
        unsigned at_least = 0;
        for (unsigned j = 0; j < MEMBERS_MAX; j++) {
            bool is_counted = (names >> j & 1) != 0 && pg->senders[j].is_connected;
            at_least += is_counted && pg->senders[j].flushed >= candidate;
        }
        bool is_candidate =
            (names >> i & 1) != 0 && pg->senders[i].is_connected && at_least >= count;
        best = is_candidate && candidate > best ? candidate : best;
    }
    return best;
}

/* Lets go of what is safe by these settings; count 0: by the local flush alone. */
void pg_release(struct pg *pg, uint32_t names, unsigned count)
{
    uint32_t until = count == 0 ? pg->dir.flushed : safe_position(pg, names, count);
    until = until < pg->dir.flushed ? until : pg->dir.flushed;
    unsigned kept = 0;
    for (unsigned i = 0; i < pg->waits_count; i++) {
        struct pg_wait wait = pg->waits[i];
        if (wait.position <= until) {
            acknowledge(pg, &wait);
        } else {
            pg->waits[kept++] = wait;
        }
    }
    pg->waits_count = kept;
}

/* The waits end without acknowledgement: the client is told so, or hears nothing. */
void pg_cancel_waits(struct pg *pg)
{
    for (unsigned i = 0; i < pg->waits_count; i++) {
        sql_answer(pg->world, pg->member, pg->waits[i].client, pg->waits[i].request, SQL_UNKNOWN);
    }
    pg->waits_count = 0;
}

/* --- settings --- */

static bool is_off(const struct pg *pg)
{
    return pg->dir.sync_names == 0 && pg->dir.sync_count == 0;
}

static void sender_reloaded(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)bytes;
    struct pg_sender *s = &pg->senders[number];
    s->names = pg->dir.sync_names;
    s->count = pg->dir.sync_count;
    s->replies = 0;
    pg_note(pg);
}

static void checkpointer_reloaded(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    pg->is_sync_off = is_off(pg);
    pg_note(pg);
    if (pg->is_sync_off) {
        pg_release(pg, 0, 0);
    }
}

/* SIGHUP: each process of the tree reads the file when it gets to it. */
void pg_reload_settings(struct pg *pg)
{
    struct world *w = pg->world;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        int64_t us = draw(&pg->rand, MS, chance(&pg->rand, 100000) ? 400 * MS : 20 * MS);
        world_at_with(w, w->now_us + us, pg->process, sender_reloaded, pg, i, SLICE_EMPTY);
    }
    /* In the middle of a checkpoint it reads its settings late. */
    int64_t us = draw(&pg->rand, MS, chance(&pg->rand, 100000) ? 800 * MS : 50 * MS);
    world_at(w, w->now_us + us, pg->process, checkpointer_reloaded, pg);
}
