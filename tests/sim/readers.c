/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of the past, and a full store; see readers.h. */
#include "tests/sim/readers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "kv/core/alarm.h"
#include "proto/wire/kv.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"

#define READERS 2
#define KEYS 12               /* of the chores: "~a" to "~l" */
#define MEMBER 7              /* whose store is said to be full */
#define FULL_US (5 * SECOND)  /* at most, at a time */
#define KNOWN_US (1 * SECOND) /* an alarm is known to a node so long after it was applied there */

struct reader {
    struct world *world;
    unsigned index;
    struct base_rand rand;
    struct kv_call call;
    struct kv_request request;
    bool is_waiting;
    unsigned node;
    int64_t newest;  /* when it asked */
    int64_t compact; /* likewise */
};

struct readers {
    struct reader readers[READERS];
    struct reader filler;  /* says that the store is full, tries, and says that it is not */
    int64_t full_until_us; /* the alarm shall be on until then */
    int64_t known_since_us[NODES_MAX]; /* the alarm is in this node's state; 0: no */
    uint64_t known_life[NODES_MAX];
};

/* --- how it was --- */

/* The last change of the key up to the revision; NULL: none, or it was deleted. */
static const struct chk_change *living(const struct chk_changes *changes, struct slice key,
                                       int64_t revision)
{
    for (size_t i = changes->count; i > 0; i--) {
        const struct chk_change *change = &changes->items[i - 1];
        if (change->revision <= revision && slice_equal(change->key, key)) {
            return change->is_delete ? NULL : change;
        }
    }
    return NULL;
}

static bool is_same(const struct kv_pair *pair, const struct chk_change *change)
{
    return slice_equal(pair->key, change->key) && slice_equal(pair->value, change->value) &&
           pair->mod_revision == change->revision &&
           pair->create_revision == change->create_revision && pair->version == change->version;
}

static void judge_pairs(const struct reader *r, const struct kv_pairs *pairs, int64_t revision)
{
    size_t at = 0;
    for (char c = 'a'; c < 'a' + KEYS; c++) {
        char key[2] = {'~', c};
        const struct chk_change *change =
            living(truth_changes(r->world), slice_from(key, 2), revision);
        if (change == NULL) {
            continue;
        }
        if (at >= pairs->count || !is_same(&pairs->items[at], change)) {
            world_fail(r->world, INVARIANT_PAST,
                       "node %u, asked for revision %" PRId64 ", tells another ~%c than it was",
                       r->node, revision, c);
        }
        at++;
    }
    if (at != pairs->count) {
        world_fail(r->world, INVARIANT_PAST,
                   "node %u, asked for revision %" PRId64 ", tells %zu keys too many", r->node,
                   revision, pairs->count - at);
    }
}

static void judge_answer(const struct reader *r, struct slice response)
{
    static _Alignas(16) uint8_t memory[1 << 16];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response decoded;
    int64_t asked = r->request.range.revision;
    BASE_ASSERT(kv_wire_decode_response(KV_KIND_RANGE, response, &arena, &decoded) == 0);
    if (asked > 0 && asked < r->compact && !r->request.range.is_serializable) {
        world_fail(r->world, INVARIANT_PAST,
                   "node %u answers for revision %" PRId64 ", and %" PRId64 " was compacted before",
                   r->node, asked, r->compact);
    }
    int64_t at = asked > 0 ? asked : decoded.range.header.revision;
    judge_pairs(r, &decoded.range.kvs, at);
    r->world->tally.past_reads++;
}

static void read_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct reader *r = call->user;
    int64_t asked = r->request.range.revision;
    bool is_linear = !r->request.range.is_serializable;
    r->is_waiting = false;
    if (error == KV_OK) {
        judge_answer(r, response);
    } else if (error == KV_E_COMPACTED && asked >= truth_changes(r->world)->compact) {
        world_fail(r->world, INVARIANT_PAST,
                   "node %u says that revision %" PRId64 " is compacted, and %" PRId64 " is the "
                   "first that is not",
                   r->node, asked, truth_changes(r->world)->compact);
    } else if (error == KV_E_FUTURE_REVISION && is_linear && asked <= r->newest) {
        world_fail(r->world, INVARIANT_PAST,
                   "node %u says that revision %" PRId64 " is yet to come, and it was there when "
                   "it was asked for",
                   r->node, asked);
    }
}

static void judge_refusal(const struct reader *r, enum kv_error error)
{
    if (error == KV_E_NO_SPACE && r->request.kind != KV_KIND_PUT) {
        world_fail(r->world, INVARIANT_FULL, "node %u refuses what makes room: kind %u", r->node,
                   (unsigned)r->request.kind);
    }
}

/* False: not there, or it takes no call just now. */
static bool ask(struct reader *r, void (*done)(struct kv_call *, enum kv_error, struct slice))
{
    struct world *w = r->world;
    r->node = (unsigned)draw(&r->rand, 0, w->setup.slots - 1);
    if (node_hub(w, r->node) == NULL || node_process(w, r->node)->stopped != 0) {
        return false;
    }
    r->call = (struct kv_call){.request = &r->request, .user = r, .done = done};
    r->is_waiting = true;
    enum kv_error error = node_ask(w, r->node, &r->call);
    r->is_waiting = error == KV_OK;
    judge_refusal(r, error);
    return error == KV_OK;
}

static void reader_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct reader *r = ctx;
    struct world *w = r->world;
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&r->rand, 200 * MS, 1500 * MS), NULL, reader_tick, r);
    if (r->is_waiting) {
        return;
    }
    r->newest = truth_revision(w);
    r->compact = truth_changes(w)->compact;
    int64_t what = draw(&r->rand, 0, 99);
    int64_t revision = what < 20   ? 0
                       : what < 50 ? r->compact + draw(&r->rand, -20, 3)
                                   : r->newest - draw(&r->rand, 0, 200);
    r->request = (struct kv_request){.kind = KV_KIND_RANGE};
    r->request.range = (struct kv_range){.key = SLICE_LIT("~a"),
                                         .range_end = SLICE_LIT("~z"),
                                         .revision = revision < 0 ? 0 : revision,
                                         .is_serializable = chance(&r->rand, 300000)};
    (void)ask(r, read_done);
}

/* --- a full store --- */

/* Since when each node has the alarm in its state, in this life. */
static void look_at_alarms(struct world *w)
{
    struct readers *all = w->readers;
    for (unsigned node = 0; node < w->setup.slots; node++) {
        struct kv_alarms alarms = {false, false};
        const struct process *process = node_process(w, node);
        bool is_there = node_hub(w, node) != NULL && process->stopped == 0;
        bool is_on = is_there && kv_alarms_get(disk_txn(node_state(w, node)), &alarms) == 0 &&
                     alarms.has_no_space;
        if (!is_on) {
            all->known_since_us[node] = 0;
        } else if (all->known_since_us[node] == 0 || all->known_life[node] != process->life) {
            all->known_since_us[node] = w->now_us;
            all->known_life[node] = process->life;
        }
    }
}

static void filler_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct reader *r = call->user;
    (void)response;
    r->is_waiting = false;
    judge_refusal(r, error);
    if (error == KV_OK && r->request.kind == KV_KIND_ALARM) {
        r->world->tally.alarms++;
    }
}

static void try_put(struct reader *r)
{
    struct readers *all = r->world->readers;
    r->request = (struct kv_request){.kind = KV_KIND_PUT};
    r->request.put = (struct kv_put){.key = SLICE_LIT("!full"), .value = SLICE_LIT("x")};
    bool is_taken = ask(r, filler_done);
    int64_t since = all->known_since_us[r->node];
    if (is_taken && since != 0 && r->world->now_us - since > KNOWN_US) {
        world_fail(r->world, INVARIANT_FULL,
                   "node %u takes a put, and knows for %.3f s that there is no room", r->node,
                   (double)(r->world->now_us - since) / 1e6);
    }
    r->world->tally.full_puts += !is_taken && since != 0;
}

/* Deleting, reading and compacting go on. */
static void try_else(struct reader *r)
{
    int64_t what = draw(&r->rand, 0, 2);
    r->request = (struct kv_request){.kind = KV_KIND_DELETE};
    r->request.delete_range.key = SLICE_LIT("!full");
    if (what == 1) {
        r->request = (struct kv_request){.kind = KV_KIND_RANGE};
        r->request.range.key = SLICE_LIT("!full");
    } else if (what == 2) {
        r->request = (struct kv_request){.kind = KV_KIND_COMPACT};
        r->request.compact.revision = truth_revision(r->world) - 150;
    }
    (void)ask(r, filler_done);
}

static void set_alarm(struct reader *r, bool is_on)
{
    r->request = (struct kv_request){.kind = KV_KIND_ALARM};
    r->request.alarm = (struct kv_alarm){.action = is_on ? KV_ALARM_ACTIVATE : KV_ALARM_DEACTIVATE,
                                         .member_id = MEMBER,
                                         .alarm = KV_ALARM_NOSPACE};
    (void)ask(r, filler_done);
}

/* As the leader has it; what became of an order may be unknown. */
static bool is_full(struct world *w)
{
    int leader = nodes_leader(w);
    return leader >= 0 && w->readers->known_since_us[leader] != 0;
}

static void filler_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct reader *r = ctx;
    struct world *w = r->world;
    struct readers *all = w->readers;
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&r->rand, 100 * MS, 300 * MS), NULL, filler_tick, r);
    look_at_alarms(w);
    bool is_wanted = w->now_us < all->full_until_us;
    if (!is_wanted && w->now_us + FULL_US < w->setup.faults_end_us && chance(&r->rand, 12000)) {
        all->full_until_us = w->now_us + FULL_US;
    }
    if (r->is_waiting) {
        return;
    }
    if (is_full(w) != is_wanted) {
        set_alarm(r, is_wanted);
    } else if (is_wanted && chance(&r->rand, 600000)) {
        try_put(r);
    } else if (is_wanted) {
        try_else(r);
    }
}

/* --- life --- */

static void begin(struct reader *r, struct world *w, unsigned index, event_fn *tick)
{
    r->world = w;
    r->index = index;
    r->rand = world_stream(w, STREAM_READER, index);
    world_at(w, w->now_us + 3 * SECOND, NULL, tick, r);
}

void readers_open(struct world *w)
{
    struct readers *all = w->readers = must_alloc(1, sizeof(*all));
    if (w->setup.is_restoring) {
        return; /* the past is another one behind a restore */
    }
    for (unsigned i = 0; i < READERS; i++) {
        begin(&all->readers[i], w, i, reader_tick);
    }
    if (w->setup.has_alarms) {
        begin(&all->filler, w, READERS, filler_tick);
    }
}

void readers_close(struct world *w)
{
    free(w->readers);
    w->readers = NULL;
}
