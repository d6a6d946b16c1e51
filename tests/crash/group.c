/* SPDX-License-Identifier: Apache-2.0 */
/* See group.h. */
#include "tests/crash/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/rand.h"
#include "kv/core/apply.h"
#include "proto/wire/kv.h"
#include "proto/wire/raft.h"
#include "raft/core/core.h"
#include "raft/env_lmdb.h"
#include "raft/log_store.h"
#include "raft/store_mem.h"
#include "raft/wal_store.h"
#include "tests/crash/draw.h"
#include "tests/crash/record.h"

#define HOSTS 3u
#define FRAMES_MAX 8192u
#define SPARE_ID 9u
#define ROUND_US 150u

struct frame {
    size_t from, to;
    int64_t at_ms;
    uint8_t *bytes;
    size_t len;
};

struct host {
    struct group *group;
    size_t number;
    struct raft_node *node;
    struct store_mem *log_mem, *state_mem; /* nodes 2 and 3 */
    struct wal_store *log_disk;            /* node 1 */
    struct env_lmdb *state_disk;
    struct store_port log, state;
    bool is_up, is_started, is_closing, was_leader;
    uint64_t life;
};

struct group {
    struct story *story;
    const struct group_options *options;
    struct base_rand rand;
    int64_t now_ms;
    struct host hosts[HOSTS];
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
    bool is_cut[HOSTS];
    int64_t heal_ms, restart_ms;
    struct promise now;
    uint64_t
        terms[GROUP_ENTRIES_MAX]; /* of the entries that node 1 has promised, up to now.index */
    uint64_t cookie;
    uint64_t last, last_term; /* of node 1's log */
};

static bool chance(struct group *g, uint32_t ppm)
{
    return base_rand_chance_ppm(&g->rand, ppm);
}

static uint64_t pick(struct group *g, uint64_t low, uint64_t high)
{
    return base_rand_between(&g->rand, low, high);
}

static void broken(struct group *g, const char *what)
{
    if (g->story->broken[0] == 0) {
        (void)snprintf(g->story->broken, GROUP_TEXT_MAX, "%s", what);
    }
}

/* --- promises --- */

static void tell(struct group *g)
{
    struct story *s = g->story;
    BASE_ASSERT(s->promise_count < GROUP_PROMISES_MAX);
    s->promises[s->promise_count] = g->now;
    record_mark(s->promise_count++);
}

static void promise_index(struct group *g, uint64_t index)
{
    const struct raft_core *core = raft_node_core(g->hosts[0].node);
    if (index <= g->now.index) {
        return;
    }
    BASE_ASSERT(index < GROUP_ENTRIES_MAX);
    for (uint64_t i = g->now.index + 1; i <= index; i++) {
        g->terms[i] = i + 1 >= raft_core_first_index(core) ? raft_core_log_term(core, i) : 0;
    }
    g->now.index = index;
    g->now.index_term = g->terms[index];
}

/* What node 1 may put into the place of promised entries takes the promise back: before any of it
 * is written. The lock is held. */
static void take_back(struct group *g)
{
    struct promise before = g->now;
    struct host *h = &g->hosts[0];
    if (!h->is_started) {
        return;
    }
    const struct raft_core *core = raft_node_core(h->node);
    uint64_t last = raft_core_last_index(core);
    bool is_cut = last < g->last || (g->last >= raft_core_first_index(core) &&
                                     raft_core_log_term(core, g->last) != g->last_term);
    g->story->truncations += is_cut;
    g->last = last;
    g->last_term = raft_core_log_term(core, last);
    while (g->now.index >= raft_core_first_index(core) &&
           (g->now.index > raft_core_last_index(core) ||
            raft_core_log_term(core, g->now.index) != g->terms[g->now.index])) {
        g->now.index--;
        g->now.index_term = g->terms[g->now.index];
    }
    if (g->now.index < g->now.applied && g->now.applied > raft_core_last_index(core)) {
        broken(g, "never-truncates-committed: node 1 takes back a committed entry");
    }
    if (memcmp(&before, &g->now, sizeof(before)) != 0) {
        g->story->taken_back++;
        tell(g);
    }
}

static void hear_promise(struct group *g, const struct msg_raft *m)
{
    struct promise before = g->now;
    bool is_vote = m->type == MSG_RAFT_VOTE || (m->type == MSG_RAFT_VOTE_REPLY && !m->is_rejected);
    bool is_taken = m->type == MSG_RAFT_APPEND_REPLY && !m->is_rejected;
    if ((is_vote || is_taken) && m->term > raft_node_core(g->hosts[0].node)->saved_term) {
        broken(g, "term-never-back: node 1 promises something in a term that is not durable");
    }
    if (is_vote || is_taken) {
        g->now.term = m->term > g->now.term ? m->term : g->now.term;
    }
    if (is_vote) {
        g->now.vote_term = m->term;
        g->now.vote = m->type == MSG_RAFT_VOTE ? 1 : m->to;
    }
    if (is_taken) {
        promise_index(g, m->index);
    }
    if (memcmp(&before, &g->now, sizeof(before)) != 0) {
        tell(g);
    }
}

/* --- ports --- */

static struct base_mono clock_now(void *ctx)
{
    const struct host *h = ctx;
    return (struct base_mono){(h->group->now_ms + 1000) * BASE_US_PER_MS};
}

static struct base_wall clock_wall(void *ctx)
{
    const struct host *h = ctx;
    return (struct base_wall){h->group->now_ms * BASE_US_PER_MS};
}

static bool send_frame(void *ctx, uint64_t link, struct slice payload)
{
    static uint8_t memory[1u << 20];
    struct host *h = ctx;
    struct group *g = h->group;
    struct wire_arena arena;
    struct msg_raft m;
    if (h->number == 0) {
        wire_arena_init(&arena, memory, sizeof(memory));
        if (wire_raft_decode(slice_skip(payload, 1), &arena, &m) != 0) {
            broken(g, "node 1 sends what cannot be read");
            return false;
        }
        hear_promise(g, &m);
    }
    size_t to = (size_t)link - 1;
    if (to >= HOSTS || g->frame_count == FRAMES_MAX || g->is_cut[h->number] || g->is_cut[to]) {
        return false;
    }
    struct frame *f = &g->frames[g->frame_count++];
    *f = (struct frame){.from = h->number, .to = to, .at_ms = g->now_ms + 1, .len = payload.len};
    f->bytes = malloc(payload.len + 1);
    BASE_ASSERT(f->bytes != NULL);
    memcpy(f->bytes, payload.data, payload.len);
    return true;
}

static void submit_log(void *ctx, struct store_job *job)
{
    struct host *h = ctx;
    if (!h->is_closing) {
        h->log.submit(h->log.ctx, job);
    }
}

static void submit_state(void *ctx, struct store_job *job)
{
    struct host *h = ctx;
    if (!h->is_closing) {
        h->state.submit(h->state.ctx, job);
    }
}

/* --- the machine --- */

static uint8_t *lend(size_t bytes)
{
    uint8_t *memory = malloc(bytes);
    BASE_ASSERT(memory != NULL);
    return memory;
}

int group_apply(struct store_txn *txn, uint64_t term, struct slice data)
{
    struct kv_scratch scratch = {.arena = base_arena_over(lend(1u << 20), 1u << 20),
                                 .row = buf_over(lend(KV_ROW_MAX), KV_ROW_MAX)};
    struct base_arena arena = base_arena_over(lend(1u << 16), 1u << 16);
    struct kv_command command;
    struct kv_outcome outcome;
    int rc = kv_wire_decode_command(data, &arena, &command);
    rc = rc != 0 ? rc : kv_core_apply(txn, &scratch, &command, term, &outcome);
    free(scratch.arena.memory);
    free(scratch.row.data);
    free(arena.memory);
    return rc;
}

/* Storage thread on node 1; the others run in the loop. */
static int machine_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                         struct buf *result)
{
    struct host *h = ctx;
    struct story *s = h->group->story;
    uint32_t hash = 0;
    (void)result;
    int rc = group_apply(txn, entry->term, entry->data);
    if (rc != 0 || h->number == 0) {
        return rc;
    }
    BASE_ASSERT(entry->index < GROUP_ENTRIES_MAX);
    rc = kv_core_hash(txn, &hash);
    uint64_t i = entry->index;
    uint32_t crc = base_crc32c(0, entry->data);
    if (s->is_hashed[i] && (s->hash[i] != hash || s->term[i] != entry->term || s->crc[i] != crc)) {
        broken(h->group, "equal-states: two nodes differ at one index");
    }
    s->is_hashed[i] = true;
    s->hash[i] = hash;
    s->term[i] = entry->term;
    s->crc[i] = crc;
    return rc;
}

static void machine_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                            struct slice result)
{
    struct host *h = ctx;
    (void)result;
    if (h->number != 0) {
        return;
    }
    h->group->story->acked += cookie != 0;
    h->group->now.applied = index;
    h->group->now.term = term > h->group->now.term ? term : h->group->now.term;
    promise_index(h->group, index);
    tell(h->group);
}

static void machine_dropped(void *ctx, uint64_t cookie, int status)
{
    (void)ctx;
    (void)cookie;
    (void)status;
}

static void machine_changed(void *ctx, uint64_t cookie, int status)
{
    struct host *h = ctx;
    (void)cookie;
    h->group->story->changes += status == 0;
}

static void machine_restored(void *ctx, uint64_t index)
{
    struct host *h = ctx;
    (void)index;
    h->group->story->images += h->number == 0 && h->is_started;
}

static void note_stop(struct host *h, int status)
{
    struct story *s = h->group->story;
    if (h->number == 0 && s->halted == 0) {
        s->halted = status;
    }
}

static void machine_started(void *ctx, int status)
{
    struct host *h = ctx;
    h->is_started = status == 0;
    if (status != 0) {
        note_stop(h, status);
    }
}

static void machine_halted(void *ctx, int status)
{
    note_stop(ctx, status);
}

static void disk_fatal(void *ctx, int status, const char *text)
{
    struct host *h = ctx;
    if (h->group->story->fatal[0] == 0) {
        (void)snprintf(h->group->story->fatal, GROUP_TEXT_MAX, "%s", text);
    }
    note_stop(h, status);
}

/* Completions are looked for every millisecond. */
static void notify(void *ctx)
{
    (void)ctx;
}

/* --- starting and stopping --- */

void group_config(struct raft_node_config *config, struct raft_member members[3], uint64_t id,
                  uint64_t seed)
{
    memset(members, 0, 3 * sizeof(*members));
    for (size_t i = 0; i < HOSTS; i++) {
        members[i].id = i + 1;
    }
    *config = (struct raft_node_config){.cluster_id = GROUP_CLUSTER,
                                        .id = id,
                                        .members = members,
                                        .member_count = HOSTS,
                                        .log_keep_entries = 2,
                                        .snapshot_chunk_bytes = 8192,
                                        .snapshot_bytes_per_s = UINT64_C(1) << 30,
                                        .seed = seed,
                                        .entry_bytes_max = 16384,
                                        .memory_bytes_max = 256 << 10,
                                        .memory_bytes_usual = 32 << 10,
                                        .result_bytes_max = 256,
                                        .proposals_max = 256,
                                        .reads_max = 64};
}

static int open_disks(struct host *h)
{
    struct story *s = h->group->story;
    char path[512];
    char text[WAL_STORE_ERROR_MAX] = "";
    (void)snprintf(path, sizeof(path), "%s/wal", h->group->options->directory);
    struct wal_store_options log = {.directory = path,
                                    .segment_bytes = GROUP_SEGMENT_BYTES,
                                    .ctx = h,
                                    .notify = notify,
                                    .fatal = disk_fatal};
    struct env_lmdb_options state = {.directory = h->group->options->directory,
                                     .map_bytes = GROUP_MAP_BYTES,
                                     .commit_lazy_ms = 3,
                                     .image_bytes_per_s = UINT64_C(1) << 30,
                                     .ctx = h,
                                     .notify = notify,
                                     .fatal = disk_fatal};
    int rc = wal_store_open(&log, &h->log_disk, text);
    rc = rc != 0 ? rc : env_lmdb_open(&state, &h->state_disk, text);
    if (rc != 0) {
        note_stop(h, rc);
        (void)snprintf(s->fatal, GROUP_TEXT_MAX, "%s", text);
        return rc;
    }
    h->log = wal_store_port(h->log_disk);
    h->state = env_lmdb_port(h->state_disk);
    return 0;
}

static void start(struct host *h)
{
    struct raft_node_config config;
    struct raft_member members[HOSTS];
    if (h->number == 0 && open_disks(h) != 0) {
        return;
    }
    group_config(&config, members, h->number + 1,
                 h->group->options->seed * 1000 + h->number * 100 + h->life++);
    struct raft_node_ports ports = {.log = {.ctx = h, .submit = submit_log},
                                    .store = {.ctx = h, .submit = submit_state},
                                    .snapshot = h->number == 0
                                                    ? env_lmdb_snapshot_port(h->state_disk)
                                                    : store_mem_snapshot_port(h->state_mem),
                                    .net = {.ctx = h, .send = send_frame},
                                    .clock = {.ctx = h, .now = clock_now, .wall = clock_wall}};
    struct raft_machine machine = {.ctx = h,
                                   .apply = machine_apply,
                                   .applied = machine_applied,
                                   .dropped = machine_dropped,
                                   .changed = machine_changed,
                                   .started = machine_started,
                                   .restored = machine_restored,
                                   .halted = machine_halted};
    int rc = raft_node_create(&config, &ports, &machine, &h->node);
    BASE_ASSERT(rc == 0);
    h->is_up = true;
    raft_node_start(h->node);
}

/* An orderly end: what was submitted is done, its completions go nowhere any more. */
static void stop(struct host *h)
{
    h->is_closing = true;
    h->is_up = h->is_started = false;
    h->state_disk = env_lmdb_close(h->state_disk);
    h->log_disk = wal_store_close(h->log_disk);
    h->node = raft_node_destroy(h->node);
    h->is_closing = false;
}

static void open_mem(struct host *h)
{
    h->log_mem = store_mem_create();
    h->state_mem = store_mem_create();
    BASE_ASSERT(h->log_mem != NULL && h->state_mem != NULL);
    h->log = store_mem_port(h->log_mem);
    h->state = store_mem_port(h->state_mem);
}

/* --- one millisecond --- */

static void run_mem(struct host *h)
{
    for (int i = 0; i < 8; i++) {
        (void)store_mem_snapshot_step(h->state_mem);
    }
    store_mem_step(h->log_mem);
    store_mem_step(h->state_mem);
}

static void run_host(struct host *h)
{
    if (!h->is_up) {
        return;
    }
    if (h->number != 0) {
        run_mem(h);
    } else {
        record_lock();
        (void)wal_store_complete(h->log_disk);
        (void)env_lmdb_complete(h->state_disk);
        take_back(h->group);
    }
    if (raft_node_deadline(h->node).us <= clock_now(h).us) {
        raft_node_tick(h->node);
    }
    if (h->number == 0) {
        take_back(h->group);
        record_unlock();
    }
    bool is_leader = h->is_started && raft_core_role(raft_node_core(h->node)) == RAFT_LEADER;
    h->group->story->leads += h->number == 0 && is_leader && !h->was_leader;
    h->was_leader = is_leader;
}

static void hand_in(struct group *g, const struct frame *f)
{
    struct host *h = &g->hosts[f->to];
    if (!h->is_up || g->is_cut[f->from] || g->is_cut[f->to]) {
        return;
    }
    if (f->to == 0) {
        record_lock();
    }
    if (raft_node_receive(h->node, f->from + 1, slice_from(f->bytes, f->len)) == BASE_E_PROTO) {
        broken(g, "a node refuses another one's frame");
    }
    if (f->to == 0) {
        take_back(g);
        record_unlock();
    }
}

static void deliver(struct group *g)
{
    size_t count = g->frame_count;
    for (size_t i = 0; i < count && g->frames[i].at_ms <= g->now_ms; i++) {
        hand_in(g, &g->frames[i]);
        free(g->frames[i].bytes);
        g->frames[i].bytes = NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->frame_count; i++) {
        if (g->frames[i].bytes != NULL) {
            g->frames[kept++] = g->frames[i];
        }
    }
    g->frame_count = kept;
}

static void propose(struct group *g, struct host *h)
{
    uint8_t memory[DRAW_MEMORY];
    uint8_t bytes[DRAW_MEMORY + 512];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct kv_command command = {.origin_node = h->number + 1,
                                 .origin_life = 1,
                                 .request_id = ++g->cookie,
                                 .request =
                                     draw_request(&g->rand, g->cookie, g->now.applied, memory)};
    int rc = kv_wire_encode_command(&command, &out);
    BASE_ASSERT(rc == 0);
    rc = raft_node_propose(h->node, buf_slice(&out), g->cookie, NULL, NULL);
    BASE_ASSERT(rc == 0 || rc == BASE_E_BUSY || rc == BASE_E_NOTLEADER || rc == BASE_E_STATE);
}

/* A learner that is not there comes and goes. */
static void change_members(struct group *g, struct host *h)
{
    struct raft_configuration next = *raft_node_configuration(h->node);
    uint32_t at = 0;
    while (at < next.count && next.members[at].id != SPARE_ID) {
        at++;
    }
    if (at < next.count) {
        next.count--;
        memset(&next.members[at], 0, sizeof(next.members[at]));
    } else {
        next.members[next.count++] = (struct raft_member){.id = SPARE_ID, .is_learner = true};
    }
    (void)!raft_node_change_members(h->node, &next, ++g->cookie);
}

static void ask(struct group *g)
{
    for (size_t i = 0; i < HOSTS; i++) {
        struct host *h = &g->hosts[i];
        if (!h->is_started || raft_core_role(raft_node_core(h->node)) != RAFT_LEADER) {
            continue;
        }
        if (i == 0) {
            record_lock();
        }
        for (uint64_t n = pick(g, 0, 3); n > 0; n--) {
            propose(g, h);
        }
        if (chance(g, 8000)) {
            change_members(g, h);
        }
        if (i != 0 && chance(g, 10000)) {
            (void)!raft_node_transfer(h->node, 1, ++g->cookie);
        }
        if (i == 0) {
            take_back(g);
            record_unlock();
        }
    }
}

static void do_faults(struct group *g)
{
    if (g->now_ms >= g->heal_ms) {
        memset(g->is_cut, 0, sizeof(g->is_cut));
        if (chance(g, 4000)) {
            g->is_cut[pick(g, 0, 3) == 0 ? 1 : 0] = true;
            g->heal_ms = g->now_ms + (int64_t)pick(g, 100, pick(g, 0, 1) == 0 ? 250 : 900);
        }
    }
    if (g->now_ms >= g->restart_ms) {
        if (g->restart_ms > 0) {
            stop(&g->hosts[0]);
            g->story->restarts++;
            start(&g->hosts[0]);
        }
        g->restart_ms = g->now_ms + (int64_t)pick(g, 400, 2500);
    }
}

static void step(struct group *g)
{
    g->now_ms++;
    do_faults(g);
    deliver(g);
    for (size_t i = 0; i < HOSTS && g->story->halted == 0; i++) {
        run_host(&g->hosts[i]);
    }
    if (g->story->halted == 0 && chance(g, 250000)) {
        ask(g);
    }
    (void)usleep(ROUND_US); /* the disks of node 1 have threads of their own */
}

/* Nodes 2 and 3 go on alone until both have applied whatever node 1 can have known. */
static void settle(struct group *g)
{
    int64_t end_ms = g->now_ms + 3000;
    memset(g->is_cut, 0, sizeof(g->is_cut));
    g->is_cut[0] = true;
    while (g->now_ms < end_ms) {
        g->now_ms++;
        deliver(g);
        run_host(&g->hosts[1]);
        run_host(&g->hosts[2]);
    }
    for (size_t i = 1; i < HOSTS; i++) {
        struct raft_node_status status;
        raft_node_status(g->hosts[i].node, &status);
        uint64_t committed = g->story->committed;
        g->story->committed = status.commit_index > committed ? status.commit_index : committed;
    }
}

void group_run(const struct group_options *options, struct story *ret)
{
    struct group *g = calloc(1, sizeof(*g));
    BASE_ASSERT(g != NULL);
    g->story = ret;
    g->options = options;
    g->rand = base_rand_make(options->seed, 1);
    for (size_t i = 0; i < HOSTS; i++) {
        g->hosts[i].group = g;
        g->hosts[i].number = i;
        if (i > 0) {
            open_mem(&g->hosts[i]);
        }
        start(&g->hosts[i]);
    }
    ret->is_hashed[0] = true;
    int rc = kv_core_hash(store_mem_txn(g->hosts[1].state_mem), &ret->hash[0]);
    BASE_ASSERT(rc == 0);
    while (g->now_ms < options->ms && ret->halted == 0 && ret->broken[0] == 0) {
        step(g);
    }
    stop(&g->hosts[0]);
    ret->writes = record_writes();
    ret->syncs = record_syncs();
    record_stop();
    settle(g);
    for (size_t i = 1; i < HOSTS; i++) {
        store_mem_crash(g->hosts[i].log_mem);
        store_mem_crash(g->hosts[i].state_mem);
        g->hosts[i].node = raft_node_destroy(g->hosts[i].node);
        g->hosts[i].log_mem = store_mem_destroy(g->hosts[i].log_mem);
        g->hosts[i].state_mem = store_mem_destroy(g->hosts[i].state_mem);
    }
    for (size_t i = 0; i < g->frame_count; i++) {
        free(g->frames[i].bytes);
    }
    free(g);
}
