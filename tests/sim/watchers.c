/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that watch; see watchers.h. Each sits where a client of the store sits, and shares its
 * link. */
#include "tests/sim/watchers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "proto/msg/kv.h"
#include "proto/wire/kv_tables.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/watch_conn.h"

#define CLIENTS 4
#define WATCHES 4
#define EVENTS_MAX 16384
#define ENDING_US (6 * SECOND) /* before the end of a run nobody is slow or leaves any more */
#define MARK_US (3 * SECOND)   /* before the end: what nodes know then must be heard */

struct watch {
    bool is_used;
    bool is_answered;
    int64_t answered_us;
    uint64_t asked; /* creates are answered in this order; 0: not yet on this stream */
    int64_t id;
    struct chk_watch judge;
};

struct client {
    struct world *world;
    unsigned index;
    struct base_rand rand;
    unsigned node;
    struct watch_conn *conn; /* NULL: not connected */
    bool is_leaving;
    uint64_t asked;
    struct watch watches[WATCHES];
};

struct watchers {
    struct client clients[CLIENTS];
    int64_t marks[NODES_MAX]; /* what each node knew some time before the end */
};

static bool is_ending(const struct world *w)
{
    return w->now_us >= w->setup.end_us - ENDING_US;
}

/* --- what is heard --- */

static void judge(struct client *c, const struct watch *watch, struct chk_result result)
{
    if (result.verdict == CHK_OK) {
        return;
    }
    world_fail(c->world, INVARIANT_WATCH,
               "rule %s: client %u at node %u, watch %" PRId64 " from %" PRId64
               ", owed from %" PRId64 " on (change %ld, event %ld)",
               result.text, c->index, c->node, watch->id, watch->judge.start, watch->judge.next,
               (long)result.op, (long)result.other);
}

static void feed(struct client *c, struct watch *watch, const struct kv_watch_response *response)
{
    static struct chk_watch_event events[EVENTS_MAX];
    struct world *w = c->world;
    BASE_ASSERT(response->events.count <= EVENTS_MAX);
    for (size_t i = 0; i < response->events.count; i++) {
        const struct kv_event *event = &response->events.items[i];
        events[i] = (struct chk_watch_event){.is_delete = event->type == 1,
                                             .key = event->kv.key,
                                             .value = event->kv.value,
                                             .create_revision = event->kv.create_revision,
                                             .mod_revision = event->kv.mod_revision,
                                             .version = event->kv.version,
                                             .has_prev = event->has_prev_kv,
                                             .prev_value = event->prev_kv.value,
                                             .prev_mod_revision = event->prev_kv.mod_revision};
    }
    struct chk_watch_response told = {.revision = response->header.revision,
                                      .is_created = response->is_created,
                                      .is_canceled = response->is_canceled,
                                      .is_fragment = response->is_fragment,
                                      .compact_revision = response->compact_revision,
                                      .events = events,
                                      .count = response->events.count};
    w->tally.watch_events += told.count;
    w->tally.watch_compacted += told.is_canceled && told.compact_revision != 0;
    trace(w, TRACE_WATCH, c->index,
          told.is_created    ? 1
          : told.is_canceled ? 2
                             : 3,
          (uint64_t)watch->id, (uint64_t)told.revision);
    judge(c, watch, chk_watch_feed(&watch->judge, truth_changes(w), &told));
    watch->is_used = watch->is_used && !told.is_canceled;
}

/* Creates are answered in the order of asking. */
static struct watch *oldest_unanswered(struct client *c)
{
    struct watch *oldest = NULL;
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &c->watches[i];
        bool is_waiting = watch->is_used && !watch->is_answered && watch->asked != 0;
        if (is_waiting && (oldest == NULL || watch->asked < oldest->asked)) {
            oldest = watch;
        }
    }
    return oldest;
}

static struct watch *watch_of(struct client *c, const struct kv_watch_response *response)
{
    struct watch *watch = response->is_created ? oldest_unanswered(c) : NULL;
    for (size_t i = 0; !response->is_created && i < WATCHES; i++) {
        if (c->watches[i].is_used && c->watches[i].is_answered &&
            c->watches[i].id == response->watch_id) {
            return &c->watches[i];
        }
    }
    if (watch != NULL) {
        watch->is_answered = true;
        watch->answered_us = c->world->now_us;
        watch->id = response->watch_id;
    }
    return watch;
}

static void heard(struct client *c, const struct kv_watch_response *response)
{
    bool is_for_all = response->watch_id == -1 && !response->is_created && !response->is_canceled;
    struct watch *watch = is_for_all ? NULL : watch_of(c, response);
    if (!is_for_all && watch == NULL) {
        world_fail(c->world, INVARIANT_WATCH,
                   "client %u is told of watch %" PRId64 ", which it has not", c->index,
                   response->watch_id);
    }
    if (watch != NULL) {
        feed(c, watch, response);
    }
    for (size_t i = 0; is_for_all && i < WATCHES; i++) {
        if (c->watches[i].is_used && c->watches[i].judge.is_created) {
            feed(c, &c->watches[i], response);
        }
    }
}

/* --- what comes --- */

/* Now and then it leaves for nothing, or reads no more for a while. */
static void draw_mood(struct client *c)
{
    struct world *w = c->world;
    int64_t end_us = w->setup.end_us - ENDING_US;
    if (is_ending(w)) {
        return;
    }
    c->is_leaving = c->is_leaving || chance(&c->rand, 5000);
    if (chance(&c->rand, 60000)) {
        int64_t us = chance(&c->rand, 300000) ? draw(&c->rand, SECOND, 15 * SECOND)
                                              : draw(&c->rand, MS, 500 * MS);
        int64_t until_us = w->now_us + us;
        watch_conn_stall(c->conn, until_us < end_us ? until_us : end_us);
    }
}

static void message_heard(void *ctx, struct slice message)
{
    static _Alignas(16) uint8_t memory[8 << 20];
    struct client *c = ctx;
    struct kv_watch_response response;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    int rc = wire_pb_decode(&wire_kv_watch_response_table, message, &arena, &response);
    if (rc != 0) {
        world_fail(c->world, INVARIANT_WATCH, "a response to client %u is malformed", c->index);
    }
    heard(c, &response);
    draw_mood(c);
}

/* The connection is gone; what it had asked for is asked for anew elsewhere. */
static void conn_ended(void *ctx)
{
    struct client *c = ctx;
    c->conn = NULL;
    c->is_leaving = false;
    for (size_t i = 0; i < WATCHES; i++) {
        c->watches[i].is_answered = false;
        c->watches[i].asked = 0;
    }
}

/* --- what is asked for --- */

static void create(struct client *c, struct watch *watch, const struct kv_watch_create *create)
{
    struct kv_watch_request request = {.which = 1, .create = *create};
    *watch = (struct watch){.is_used = true, .asked = ++c->asked};
    watch->judge = (struct chk_watch){.key = create->key,
                                      .range_end = create->range_end,
                                      .start = create->start_revision,
                                      .is_prev_kv = create->is_prev_kv};
    for (size_t i = 0; i < create->filters.len; i++) {
        watch->judge.is_no_put = watch->judge.is_no_put || create->filters.data[i] == 0;
        watch->judge.is_no_delete = watch->judge.is_no_delete || create->filters.data[i] == 1;
    }
    c->world->tally.watches++;
    trace(c->world, TRACE_WATCH, c->index, 0, c->node, (uint64_t)create->start_revision);
    watch_conn_request(c->conn, &request);
}

static int64_t draw_start(struct client *c)
{
    int64_t newest = truth_revision(c->world), compact = truth_changes(c->world)->compact;
    int64_t what = draw(&c->rand, 0, 99), start = 0;
    if (what < 30) {
        return 0;
    }
    if (what < 60) {
        start = newest - draw(&c->rand, 0, 200);
    } else if (what < 80) {
        start = compact;
    } else if (what < 88) {
        start = compact + draw(&c->rand, -20, 2);
    } else {
        start = newest + draw(&c->rand, 1, 50);
    }
    return start < 1 ? 1 : start;
}

static void draw_create(struct client *c, struct watch *watch)
{
    static const uint8_t filters[] = {0, 1};
    static const char *const keys[] = {"k", "~", "/", "k1", "~c", "k3"};
    static const char *const ends[] = {"l", "~~", "0", "k2", "", ""};
    struct kv_watch_create wanted = {.start_revision = draw_start(c)};
    int64_t which = draw(&c->rand, 0, 9);
    if (which < 6) {
        wanted.key = slice_from_text(keys[which]);
        wanted.range_end = slice_from_text(ends[which]);
    } else {
        wanted.key = wanted.range_end = slice_from("", 1); /* all keys */
    }
    wanted.is_prev_kv = chance(&c->rand, 400000);
    wanted.is_fragment = chance(&c->rand, 300000);
    wanted.is_progress_notify = chance(&c->rand, 300000);
    if (chance(&c->rand, 200000)) {
        wanted.filters = slice_from(&filters[draw(&c->rand, 0, 1)], 1);
    }
    create(c, watch, &wanted);
}

/* What it had watched goes on where it was. */
static void resume(struct client *c, struct watch *watch)
{
    static const uint8_t filters[] = {0, 1};
    const struct chk_watch *old = &watch->judge;
    int64_t from = chk_watch_resume(old);
    struct kv_watch_create wanted = {.key = old->key,
                                     .range_end = old->range_end,
                                     .start_revision = from > 0 ? from : old->start,
                                     .is_prev_kv = old->is_prev_kv};
    if (old->is_no_put || old->is_no_delete) {
        wanted.filters = slice_from(&filters[old->is_no_delete ? 1 : 0], 1);
    }
    c->world->tally.watch_resumes += from > 0;
    create(c, watch, &wanted);
}

/* --- connections --- */

static void leave(struct client *c)
{
    watch_conn_leave(c->conn);
    conn_ended(c);
}

void watchers_forget(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &w->watchers->clients[i];
        BASE_ASSERT(c->conn == NULL);
        for (size_t at = 0; at < WATCHES; at++) {
            c->watches[at].is_used = false;
        }
    }
}

static void connect(struct client *c)
{
    struct world *w = c->world;
    const struct watch_client client = {.ctx = c, .heard = message_heard, .ended = conn_ended};
    c->node = (unsigned)draw(&c->rand, 0, w->setup.slots - 1);
    c->conn = watch_conn_open(w, ADDRESS_KV_CLIENT + c->index, c->node, &client, &c->rand);
    for (size_t i = 0; i < WATCHES && c->conn != NULL; i++) {
        if (c->watches[i].is_used) {
            resume(c, &c->watches[i]);
        }
    }
}

static void ask(struct client *c)
{
    struct watch *watch = &c->watches[draw(&c->rand, 0, WATCHES - 1)];
    int64_t what = draw(&c->rand, 0, 99);
    struct kv_watch_request request = {.which = 3};
    if (what < 10) {
        watch_conn_request(c->conn, &request);
    } else if (what < 20 && watch->is_used && watch->is_answered) {
        request = (struct kv_watch_request){.which = 2, .cancel = {.watch_id = watch->id}};
        watch_conn_request(c->conn, &request);
    } else if (what < 70 && !watch->is_used) {
        draw_create(c, watch);
    } else if (what < 78 && !is_ending(c->world)) {
        leave(c);
    }
}

static void client_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct client *c = ctx;
    struct world *w = c->world;
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&c->rand, 100 * MS, 1500 * MS), NULL, client_tick, c);
    if (c->conn == NULL) {
        connect(c);
    } else if (c->is_leaving) {
        leave(c);
    } else {
        ask(c);
    }
}

/* --- life --- */

static void mark(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    for (unsigned i = 0; i < w->setup.slots; i++) {
        w->watchers->marks[i] = node_hub(w, i) != NULL ? node_revision(w, i) : 0;
    }
}

void watchers_open(struct world *w)
{
    struct watchers *all = w->watchers = must_alloc(1, sizeof(*all));
    watch_conns_open(w);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &all->clients[i];
        c->world = w;
        c->index = i;
        c->rand = world_stream(w, STREAM_WATCH, i);
        world_at(w, w->now_us + draw(&c->rand, SECOND, 5 * SECOND), NULL, client_tick, c);
    }
    world_at(w, w->setup.end_us - MARK_US, NULL, mark, w);
}

void watchers_close(struct world *w)
{
    watch_conns_close(w);
    free(w->watchers);
    w->watchers = NULL;
}

void watchers_check(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &w->watchers->clients[i];
        int64_t through = w->watchers->marks[c->node];
        for (size_t at = 0; c->conn != NULL && through > 0 && at < WATCHES; at++) {
            const struct watch *watch = &c->watches[at];
            bool had_time = watch->answered_us <= w->now_us - MARK_US;
            if (watch->is_used && watch->judge.is_created && had_time) {
                judge(c, watch, chk_watch_end(&watch->judge, truth_changes(w), through));
            }
        }
    }
}
