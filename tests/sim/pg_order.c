/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port to its modelled database: orders and views. Orders are the work of the agent's
 * process: they die with it, half done.
 */
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"

static const struct process *agent_of(const struct pg *pg)
{
    return &pg->world->members->list[pg->member].agent_process;
}

static void complete(struct pg *pg, int status, const char *text)
{
    struct db_done done = {.id = pg->order.id, .kind = pg->order.kind, .status = status};
    done.text = base_text_from(slice_from_text(text));
    pg->orders_done = pg->order.id;
    pg->order_number++;
    pg->is_making = false;
    memset(&pg->order, 0, sizeof(pg->order));
    trace(pg->world, TRACE_ORDER_END, pg->member, done.kind, done.id, (uint64_t)(int64_t)status);
    pg->done(pg->agent, &done);
    agent_view(&pg->world->members->list[pg->member]);
}

/* Calls fn later, as part of the order under way; a later order or a cancel makes it void. */
struct step {
    uint64_t number;
    void (*fn)(struct pg *pg);
};

static void step(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    struct step s;
    (void)number;
    memcpy(&s, bytes.data, sizeof(s));
    if (s.number == pg->order_number && pg->order.id != 0) {
        s.fn(pg);
    }
}

static void later(struct pg *pg, int64_t us, void (*fn)(struct pg *pg))
{
    struct step s = {pg->order_number, fn};
    world_at_with(pg->world, pg->world->now_us + us, agent_of(pg), step, pg, 0,
                  slice_from(&s, sizeof(s)));
}

static uint32_t names_set(const struct world *w, const struct msg_names *names)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < names->count; i++) {
        int member = member_by_name((struct world *)(uintptr_t)w, &names->names[i]);
        set |= member >= 0 ? 1u << member : PG_NOBODY;
    }
    return set;
}

static bool is_running(const struct pg *pg)
{
    return pg->process->is_up;
}

bool pg_answers(const struct pg *pg)
{
    return is_running(pg) && pg->is_root_alive && pg->process->stopped == 0 && !pg->is_hung &&
           (pg->phase == PG_STANDBY || pg->phase == PG_PRIMARY || pg->phase == PG_PROMOTING);
}

/* The upstream as far as it can be reached; NULL when it cannot. A copy may be taken of a standby,
 * too. */
static struct pg *source_of(struct pg *pg)
{
    struct world *w = pg->world;
    int member = member_by_name(w, &pg->order.upstream_member);
    if (member < 0 || (unsigned)member == pg->member) {
        return NULL;
    }
    struct pg *source = pg_of(w, (unsigned)member);
    bool is_cut = net_is_cut(w, ADDRESS_DB + pg->member, ADDRESS_DB + (unsigned)member) ||
                  net_is_cut(w, ADDRESS_DB + (unsigned)member, ADDRESS_DB + pg->member);
    bool is_fit = source->phase == PG_PRIMARY ||
                  (pg->order.kind == DB_ORDER_CLONE && source->phase == PG_STANDBY);
    return !is_cut && pg_answers(source) && is_fit ? source : NULL;
}

static const struct pg_directory *source_dir(struct pg *pg)
{
    const struct pg *source = pg->order.is_remote ? NULL : source_of(pg);
    if (pg->order.is_remote) {
        return elsewhere_dir(pg->world, cluster_of(pg->world, pg->member));
    }
    return source == NULL ? NULL : &source->dir;
}

static int upstream_of(const struct pg *pg)
{
    return pg->order.is_remote ? PG_ELSEWHERE
                               : member_by_name(pg->world, &pg->order.upstream_member);
}

static void standby_settings(struct pg *pg, int upstream)
{
    pg->dir.is_standby = true;
    pg->dir.upstream = upstream;
    pg->dir.sync_names = PG_NOBODY;
    pg->dir.sync_count = 1;
    pg->dir.is_gated = false;
    pg->dir.timeline_reserved = 0; /* what reserves numbers goes before a start */
}

/* --- directory --- */

static void init_done(struct pg *pg)
{
    struct pg_record record = {.kind = PG_OPENING, .timeline = 1, .writer = (int)pg->member};
    pg->dir.exists = true;
    pg->dir.is_bad = false;
    pg->dir.system_id = base_rand_next(&pg->rand) | 1;
    pg->dir.history[0] = (struct pg_fork){1, 0};
    pg->dir.history_count = 1;
    pg->dir.timeline_highest = 1;
    pg->dir.count = pg->dir.flushed = 0;
    pg_append(&pg->dir, pg_record_make(pg->world, &record));
    pg->dir.flushed = 1;
    pg->dir.is_clean = pg->dir.was_primary = true;
    pg->dir.clean_position = 1;
    standby_settings(pg, -1);
    pg->dir.is_standby = false;
    complete(pg, 0, "made");
}

/* As the real port: until the order has ended, a probe tells what was there before it. */
static void make_begin(struct pg *pg)
{
    pg->calm.orders_done = 0;
    pg_view(pg, &pg->calm);
    pg->is_making = true;
}

static void do_init(struct pg *pg)
{
    if (pg->dir.exists || is_running(pg)) {
        complete(pg, BASE_E_EXISTS, "the directory is not empty");
        return;
    }
    later(pg, draw(&pg->rand, 200 * MS, 900 * MS), init_done);
}

static void clone_done(struct pg *pg)
{
    const struct pg_directory *from = source_dir(pg);
    if (from == NULL || is_running(pg)) {
        complete(pg, BASE_E_UNREACHABLE, "the source went away");
        return;
    }
    if (pg->order.is_source_standby && source_of(pg)->phase == PG_PRIMARY) {
        complete(pg, BASE_E_DENIED, "the source is open for writes"); /* is_bad stays */
        return;
    }
    pg_copy(&pg->dir, from, from->flushed);
    pg->dir.was_primary = pg->order.is_remote || source_of(pg)->phase == PG_PRIMARY;
    pg->dir.is_bad = false;
    standby_settings(pg, upstream_of(pg));
    complete(pg, 0, "cloned");
}

static void do_clone(struct pg *pg)
{
    if (source_dir(pg) == NULL || is_running(pg)) {
        later(pg, 300 * MS, clone_done);
        return;
    }
    make_begin(pg);
    pg->dir.exists = pg->dir.is_bad = true;
    pg->dir.is_clean = false;
    pg->dir.count = pg->dir.flushed = 0;
    pg->dir.history_count = 0;
    pg->dir.timeline_highest = 0;
    later(pg, draw(&pg->rand, 200 * MS, 2500 * MS), clone_done);
}

/* pg_rewind: back to where the histories part by number, then the source's WAL from there. On one
 * timeline number it sees nothing to do: the core never asks for that among members, and the real
 * port refuses what it finds elsewhere. */
static void rewind_to(struct pg_directory *d, const struct pg_directory *from)
{
    pg_truncate(d, pg_common(d, from));
    while (d->count < from->flushed) {
        pg_append(d, from->records[d->count]);
    }
    d->flushed = d->count;
    memcpy(d->history, from->history, sizeof(d->history));
    d->history_count = from->history_count;
    if (from->timeline_highest > d->timeline_highest) {
        d->timeline_highest = from->timeline_highest;
    }
}

static void rewind_done(struct pg *pg)
{
    const struct pg_directory *from = source_dir(pg);
    struct pg_directory *d = &pg->dir;
    if (from == NULL || is_running(pg)) {
        complete(pg, BASE_E_UNREACHABLE, "the source went away");
        return;
    }
    if (pg->order.is_remote && pg_timeline(d) >= pg_timeline(from)) {
        complete(pg, BASE_E_UNSUPPORTED, "cannot be rewound: clone it"); /* is_bad stays */
        return;
    }
    if (pg_timeline(d) != pg_timeline(from)) {
        rewind_to(d, from);
    }
    d->is_clean = d->is_bad = d->was_primary = d->is_by_hand = false;
    standby_settings(pg, upstream_of(pg));
    complete(pg, 0, "rewound");
}

static void do_rewind(struct pg *pg)
{
    if (source_dir(pg) == NULL || is_running(pg) || !pg->dir.exists) {
        complete(pg, BASE_E_UNREACHABLE, "no source to rewind from");
        return;
    }
    make_begin(pg);
    pg->dir.is_bad = true;
    later(pg, draw(&pg->rand, 100 * MS, 1200 * MS), rewind_done);
}

static void prepare_done(struct pg *pg)
{
    if (is_running(pg) || !pg->dir.exists) {
        complete(pg, BASE_E_STATE, "a database runs here, or there is none");
        return;
    }
    standby_settings(pg, upstream_of(pg));
    if (pg->order.kind == DB_ORDER_PREPARE_PRIMARY) {
        pg->dir.is_standby = false;
        pg->dir.sync_names = names_set(pg->world, &pg->order.sync_names);
        pg->dir.sync_count = pg->order.sync_count;
        pg->dir.is_gated = pg->order.is_gated;
    }
    complete(pg, 0, "prepared");
}

/* --- running --- */

/* What a standby wants is no longer there: only the upstream's oldest file shows it. */
static bool is_recycled_upstream(struct pg *pg)
{
    const struct pg *source = source_of(pg);
    return source != NULL && pg->dir.flushed < source->dir.recycled;
}

static void follow_done(struct pg *pg)
{
    if (!pg_answers(pg) || pg->phase != PG_STANDBY) {
        complete(pg, BASE_E_STATE, "not a running standby");
        return;
    }
    pg->dir.upstream = upstream_of(pg);
    pg_receiver_restart(pg);
    if (is_recycled_upstream(pg)) {
        complete(pg, BASE_E_COMPACTED, "the WAL that is needed next is gone upstream");
        return;
    }
    complete(pg, 0, "follows");
}

/* A receiver that is told to end flushes what it has written before it goes. */
static void detach_done(struct pg *pg)
{
    if (pg->dir.flushed < pg->dir.count && pg->phase == PG_STANDBY) {
        later(pg, 5 * MS, detach_done);
        return;
    }
    pg_receiver_stop(pg);
    complete(pg, 0, "detached");
}

static void do_detach(struct pg *pg)
{
    pg->dir.upstream = -1;
    int64_t us = draw(&pg->rand, MS, chance(&pg->rand, 100000) ? 500 * MS : 60 * MS);
    if (pg->process->stopped != 0) {
        later(pg, 20 * MS, do_detach); /* a frozen receiver does not go away */
    } else {
        /* A write may be under way until it is seen gone. */
        pg->is_receiver_ending = pg->has_receiver;
        pg->has_receiver = false;
        later(pg, us, detach_done);
    }
}

/* On the timeline that it chose itself, or was told. */
static void promote_now(struct pg *pg, uint32_t timeline, uint64_t epoch)
{
    struct pg_directory *d = &pg->dir;
    pg_senders_end(pg);
    pg_truncate(d, d->flushed);
    d->history_count = pg_forks(d);
    BASE_ASSERT(d->history_count < PG_HISTORY_MAX);
    d->history[d->history_count++] = (struct pg_fork){timeline, d->count};
    d->timeline_highest = timeline;
    d->is_standby = false;
    pg->epoch = epoch;
    struct pg_record record = {PG_OPENING, timeline, pg->epoch, 0, (int)pg->member};
    pg_insert(pg, &record, 0, 0);
    pg_set_phase(pg, PG_PRIMARY);
}

/* An operator who knows better: pg_ctl promote. He may meet the winner, which has its lease: the
 * server then takes the number that the order reserved in pg_wal, as it does without him. */
void pg_promote_by_hand(struct pg *pg)
{
    const struct guard_status *guard = &pg->world->members->list[pg->member].guard.status;
    const struct pg_directory *d = &pg->dir;
    bool is_reserved = d->timeline_reserved > d->timeline_highest;
    uint32_t last = is_reserved ? d->timeline_reserved : d->timeline_highest;
    pg->dir.is_by_hand = true;
    truth_by_hand(pg->world, pg->member);
    pg_receiver_stop(pg);
    promote_now(pg, last + 1, guard->is_armed ? guard->epoch : 0);
}

/* The server goes on by itself once it was asked, also without the agent that asked. */
static void promote_done(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    struct pg_directory *d = &pg->dir;
    (void)bytes;
    if (pg->phase != PG_PROMOTING || !pg->is_root_alive) {
        return;
    }
    bool is_right = pg->promote_timeline > d->timeline_highest;
    uint32_t timeline = is_right ? pg->promote_timeline : d->timeline_highest + 1;
    promote_now(pg, timeline, pg->world->members->list[pg->member].guard.status.epoch);
    truth_promoted(pg->world, pg);
    pg->promote_order = number;
    pg->is_promoted_right = is_right;
}

static void promote_poll(struct pg *pg)
{
    if (!is_running(pg) || !pg->is_root_alive) {
        complete(pg, BASE_E_IO, "the database went away");
    } else if (pg->phase != PG_PRIMARY || !pg_answers(pg) ||
               pg->promote_order != pg->order_number) {
        later(pg, 10 * MS, promote_poll);
    } else {
        bool is_right = pg->is_promoted_right;
        complete(pg, is_right ? 0 : BASE_E_CONFLICT,
                 is_right ? "promoted" : "came out on another timeline");
    }
}

static void promote_fails(struct pg *pg)
{
    complete(pg, BASE_E_TIMEOUT, "the promotion does not end");
}

static void promotion_kills(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (pg->is_root_alive) {
        pg_root_killed(pg);
    }
}

static void do_promote(struct pg *pg)
{
    if (pg_answers(pg) && pg->phase == PG_PRIMARY) {
        bool is_right = pg_timeline(&pg->dir) == pg->order.timeline;
        complete(pg, is_right ? 0 : BASE_E_CONFLICT, "somebody else has promoted it");
        return;
    }
    if (!pg_answers(pg) || pg->phase != PG_STANDBY) {
        complete(pg, BASE_E_STATE, "not a running standby");
        return;
    }
    pg->dir.timeline_reserved = pg->order.timeline - 1;
    if (pg->is_promotion_failing || chance(&pg->rand, 10000)) {
        pg->is_promotion_failing = false;
        fault_bit(pg->world, FAULT_PROMOTION_FAILS, pg->member, 0, 0);
        later(pg, draw(&pg->rand, 100 * MS, 3 * SECOND), promote_fails);
        return;
    }
    pg_receiver_stop(pg);
    pg_set_phase(pg, PG_PROMOTING);
    pg->promote_timeline = pg->order.timeline;
    int64_t us = draw(&pg->rand, 20 * MS, chance(&pg->rand, 100000) ? 4 * SECOND : 300 * MS);
    world_at_with(pg->world, pg->world->now_us + us, pg->process, promote_done, pg,
                  pg->order_number, SLICE_EMPTY);
    later(pg, us, promote_poll);
    if (pg->is_promotion_deadly) {
        pg->is_promotion_deadly = false;
        fault_bit(pg->world, FAULT_CRASH_PROMOTING, pg->member, 0, us);
        world_at(pg->world, pg->world->now_us + draw(&pg->rand, 0, us), pg->process,
                 promotion_kills, pg);
    }
}

/* Every process of the tree has read the new settings, and has shown it. */
static bool is_sync_in_force(const struct pg *pg)
{
    bool is_off = pg->dir.sync_names == 0 && pg->dir.sync_count == 0;
    if (pg->is_sync_off != is_off && !CANARY(SYNC_WITHOUT_CHECKPOINT)) {
        return false;
    }
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct pg_sender *s = &pg->senders[i];
        if (s->is_connected &&
            (s->names != pg->dir.sync_names || s->count != pg->dir.sync_count || s->replies < 2)) {
            return false;
        }
    }
    return true;
}

static void sync_poll(struct pg *pg)
{
    if (!pg_answers(pg) || pg->phase != PG_PRIMARY) {
        complete(pg, BASE_E_STATE, "not a running primary");
    } else if (is_sync_in_force(pg)) {
        pg->is_client_barred = false;
        trace(pg->world, TRACE_DB_SYNC, pg->member, pg->dir.sync_names, pg->dir.sync_count,
              pg->dir.count);
        complete(pg, 0, "in force");
    } else {
        later(pg, 10 * MS, sync_poll);
    }
}

static void do_set_sync(struct pg *pg)
{
    if (!pg_answers(pg) || pg->phase != PG_PRIMARY) {
        complete(pg, BASE_E_STATE, "not a running primary");
        return;
    }
    pg->dir.sync_names = names_set(pg->world, &pg->order.sync_names);
    pg->dir.sync_count = pg->order.sync_count;
    pg_reload_settings(pg);
    later(pg, 10 * MS, sync_poll);
}

static void barrier_poll(struct pg *pg)
{
    uint32_t names = names_set(pg->world, &pg->order.sync_names);
    unsigned have = 0;
    if (!pg_answers(pg) || pg->phase != PG_PRIMARY) {
        complete(pg, BASE_E_STATE, "not a running primary");
        return;
    }
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        have += (names >> i & 1) != 0 && pg->senders[i].is_connected &&
                pg->senders[i].flushed >= pg->barrier_position;
    }
    if (have >= pg->order.sync_count) {
        pg->dir.is_gated = false;
        complete(pg, 0, "passed");
    } else {
        later(pg, 10 * MS, barrier_poll);
    }
}

static void do_barrier(struct pg *pg)
{
    pg->barrier_position = pg->dir.count;
    barrier_poll(pg);
}

static void checkpoint_done(struct pg *pg)
{
    if (!pg_answers(pg)) {
        complete(pg, BASE_E_STATE, "no answer");
        return;
    }
    complete(pg, 0, "checkpoint done");
}

/* Of the whole document the model reads one parameter, which wants a restart. */
void pg_configure(struct pg *pg, uint64_t revision, struct slice text)
{
    static const char name[] = "\"max_connections\":";
    uint32_t value = 100;
    for (size_t i = 0; i + sizeof(name) <= text.len; i++) {
        if (memcmp(text.data + i, name, sizeof(name) - 1) == 0) {
            value = 0;
            for (i += sizeof(name) - 1; text.data[i] >= '0' && text.data[i] <= '9'; i++) {
                value = 10 * value + (uint32_t)(text.data[i] - '0');
            }
        }
    }
    pg->handed_revision = revision;
    pg->handed_connections = value;
}

static void configure_done(struct pg *pg)
{
    if (pg->order.config_revision == pg->handed_revision) {
        pg->dir.config_revision = pg->handed_revision;
        pg->dir.connections = pg->handed_connections;
    }
    complete(pg, 0, "in the files");
}

static void clients_out_done(struct pg *pg)
{
    pg->is_client_barred = true;
    complete(pg, 0, "clients are out");
}

static void too_late(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)bytes;
    if (pg->order_number == number && pg->order.id != 0) {
        complete(pg, BASE_E_TIMEOUT, "took too long");
    }
}

static void cancelled(struct pg *pg)
{
    complete(pg, BASE_E_CANCELED, "canceled");
}

void pg_order(struct pg *pg, const struct db_order *order)
{
    trace(pg->world, TRACE_ORDER, pg->member, order->kind, order->id, order->timeline);
    if (order->kind == DB_ORDER_CANCEL) {
        if (pg->order.id == order->id) {
            pg->order_number++;
            later(pg, draw(&pg->rand, 100, 5 * MS), cancelled);
        }
        return;
    }
    BASE_ASSERT(pg->order.id == 0);
    truth_ordered(pg->world, &pg->world->members->list[pg->member], order);
    pg->order = *order;
    pg->order_number++;
    world_at_with(pg->world, pg->world->now_us + order->timeout_us, agent_of(pg), too_late, pg,
                  pg->order_number, SLICE_EMPTY);
    static void (*const begin[])(struct pg *) = {
        [DB_ORDER_INIT] = do_init,
        [DB_ORDER_CLONE] = do_clone,
        [DB_ORDER_REWIND] = do_rewind,
        [DB_ORDER_PREPARE_STANDBY] = prepare_done,
        [DB_ORDER_PREPARE_PRIMARY] = prepare_done,
        [DB_ORDER_FOLLOW] = follow_done,
        [DB_ORDER_DETACH] = do_detach,
        [DB_ORDER_PROMOTE] = do_promote,
        [DB_ORDER_SET_SYNC] = do_set_sync,
        [DB_ORDER_BARRIER] = do_barrier,
        [DB_ORDER_CHECKPOINT] = checkpoint_done,
        [DB_ORDER_CLIENTS_OUT] = clients_out_done,
        [DB_ORDER_CONFIGURE] = configure_done,
    };
    BASE_ASSERT((size_t)order->kind < BASE_COUNT_OF(begin) && begin[order->kind] != NULL);
    later(pg, draw(&pg->rand, MS, 25 * MS), begin[order->kind]);
}

/* The agent is gone, and its order with it. */
void pg_order_forget(struct pg *pg)
{
    if (!agent_of(pg)->is_up) {
        pg->is_making = false;
        pg->order_number++;
        memset(&pg->order, 0, sizeof(pg->order));
    }
}
