/* SPDX-License-Identifier: Apache-2.0 */
/* See inspect.h. */
#include "tests/crash/inspect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "kv/core/apply.h"
#include "raft/core/core.h"
#include "raft/env_lmdb.h"
#include "raft/log_store.h"
#include "raft/wal_store.h"

#define WAIT_S 10

struct desk {
    const struct story *story;
    const struct promise *promise;
    char *text;
    struct wal_store *log;
    struct env_lmdb *state;
    struct raft_node *node;
    bool is_started;
    int status;
    bool is_done;
    /* what was found */
    uint32_t hash;
    struct log_store_state hard, applied;
    uint64_t index, first, last; /* last: before the first entry when there is none */
    uint64_t last_replayed;
    struct slice entries[GROUP_ENTRIES_MAX]; /* bodies of data entries, from `first` on */
    uint64_t terms[GROUP_ENTRIES_MAX];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct desk *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(d->text, GROUP_TEXT_MAX, format, list);
    va_end(list);
    return false;
}

/* --- jobs --- */

struct work {
    struct store_job job;
    struct desk *desk;
    int (*fn)(struct desk *d, struct store_txn *txn);
};

static int work_run(struct store_job *job, struct store_txn *txn)
{
    struct work *work = (struct work *)(void *)job;
    return work->fn(work->desk, txn);
}

static void work_done(struct store_job *job, int status)
{
    struct work *work = (struct work *)(void *)job;
    work->desk->status = status;
    work->desk->is_done = true;
}

static void wait_until(struct desk *d, const bool *is_done)
{
    time_t end = time(NULL) + WAIT_S;
    while (!*is_done && time(NULL) < end) {
        (void)wal_store_complete(d->log);
        (void)env_lmdb_complete(d->state);
        (void)usleep(20);
    }
}

static int run(struct desk *d, struct store_port port,
               int (*fn)(struct desk *d, struct store_txn *txn))
{
    struct work work = {.job = {.run = work_run, .done = work_done}, .desk = d, .fn = fn};
    d->is_done = false;
    d->status = BASE_E_TIMEOUT;
    port.submit(port.ctx, &work.job);
    wait_until(d, &d->is_done);
    return d->status;
}

static int read_state(struct desk *d, struct store_txn *txn)
{
    int rc = kv_core_hash(txn, &d->hash);
    return rc != 0 ? rc : log_store_load_state(txn, &d->applied);
}

static int see_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct desk *d = ctx;
    if (index >= GROUP_ENTRIES_MAX) {
        return BASE_E_RANGE;
    }
    d->first = d->first == 0 ? index : d->first;
    d->last = index;
    d->terms[index] = entry->term;
    d->entries[index] = SLICE_EMPTY;
    if (entry->type == MSG_RAFT_ENTRY_DATA && entry->body.len > 0) {
        uint8_t *copy = malloc(entry->body.len);
        BASE_ASSERT(copy != NULL);
        memcpy(copy, entry->body.data, entry->body.len);
        d->entries[index] = slice_from(copy, entry->body.len);
    }
    return 0;
}

static int read_log(struct desk *d, struct store_txn *txn)
{
    int rc = log_store_load_state(txn, &d->hard);
    return rc != 0 ? rc : log_store_walk(txn, see_entry, d);
}

static int replay_entry(struct desk *d, struct store_txn *txn)
{
    int rc = group_apply(txn, d->terms[d->index], d->entries[d->index]);
    d->last_replayed = d->index;
    return rc != 0 ? rc : kv_core_hash(txn, &d->hash);
}

/* --- opening --- */

static void notify(void *ctx)
{
    (void)ctx;
}

static bool open_stores(struct desk *d, const char *directory)
{
    char path[512];
    char text[WAL_STORE_ERROR_MAX] = "";
    (void)snprintf(path, sizeof(path), "%s/wal", directory);
    struct wal_store_options log = {
        .directory = path, .segment_bytes = GROUP_SEGMENT_BYTES, .notify = notify};
    struct env_lmdb_options state = {.directory = directory,
                                     .map_bytes = GROUP_MAP_BYTES,
                                     .commit_lazy_ms = 100,
                                     .notify = notify};
    int rc = wal_store_open(&log, &d->log, text);
    if (rc == 0) {
        rc = env_lmdb_open(&state, &d->state, text);
    }
    return rc == 0 || fail(d, "image-opens: %s: %s", base_error_text(rc), text);
}

static struct base_mono clock_now(void *ctx)
{
    (void)ctx;
    return (struct base_mono){BASE_US_PER_S};
}

static bool send_nothing(void *ctx, uint64_t link, struct slice payload)
{
    (void)ctx;
    (void)link;
    (void)payload;
    return false;
}

static int apply_nothing(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                         struct buf *result)
{
    (void)ctx;
    (void)txn;
    (void)entry;
    (void)result;
    return BASE_E_STATE; /* alone it commits nothing */
}

static void applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie, struct slice result)
{
    (void)ctx;
    (void)index;
    (void)term;
    (void)cookie;
    (void)result;
}

static void ended(void *ctx, uint64_t cookie, int status)
{
    (void)ctx;
    (void)cookie;
    (void)status;
}

static void started(void *ctx, int status)
{
    struct desk *d = ctx;
    d->is_started = true;
    d->status = status;
}

static bool start_node(struct desk *d)
{
    struct raft_node_config config;
    struct raft_member members[3];
    group_config(&config, members, 1, 99);
    struct raft_node_ports ports = {.log = wal_store_port(d->log),
                                    .store = env_lmdb_port(d->state),
                                    .snapshot = env_lmdb_snapshot_port(d->state),
                                    .net = {.ctx = d, .send = send_nothing},
                                    .clock = {.ctx = d, .now = clock_now}};
    struct raft_machine machine = {.ctx = d,
                                   .apply = apply_nothing,
                                   .applied = applied,
                                   .dropped = ended,
                                   .changed = ended,
                                   .started = started};
    int rc = raft_node_create(&config, &ports, &machine, &d->node);
    BASE_ASSERT(rc == 0);
    d->status = BASE_E_TIMEOUT;
    raft_node_start(d->node);
    wait_until(d, &d->is_started);
    return d->status == 0 || fail(d, "node-starts: %s", base_error_text(d->status));
}

/* --- rules --- */

/* The state that the group had at an index: the one after the last data entry up to it. */
static uint32_t hash_at(const struct story *story, uint64_t index)
{
    while (index > 0 && !story->is_hashed[index]) {
        index--;
    }
    return story->hash[index];
}

static bool check_state(struct desk *d)
{
    uint64_t index = d->applied.applied_index;
    if (index > d->story->committed) {
        return fail(d, "state-is-committed: applied %" PRIu64 ", committed %" PRIu64, index,
                    d->story->committed);
    }
    return d->hash == hash_at(d->story, index) ||
           fail(d, "hash-chain: the state at %" PRIu64 " is %08x, was %08x", index, d->hash,
                hash_at(d->story, index));
}

static bool check_vote(struct desk *d)
{
    const struct promise *p = d->promise;
    /* as the node comes up: an entry of a term in its log is as good as the term itself */
    const struct raft_core *core = raft_node_core(d->node);
    uint64_t term = core->term;
    if (term < p->term || term < p->vote_term) {
        return fail(d, "term-never-back: term %" PRIu64 ", was %" PRIu64, term, p->term);
    }
    return term != p->vote_term || p->vote == 0 || core->vote == p->vote ||
           fail(d, "vote-never-back: vote of term %" PRIu64 " for %" PRIu64 ", was for %" PRIu64,
                term, core->vote, p->vote);
}

static bool check_log(struct desk *d)
{
    const struct promise *p = d->promise;
    const struct story *s = d->story;
    uint64_t state = d->applied.applied_index;
    if (d->first > state + 1) {
        return fail(d, "log-joins-state: log from %" PRIu64 ", state at %" PRIu64, d->first, state);
    }
    bool is_there =
        state >= p->index || (d->first > 0 && p->index >= d->first && p->index <= d->last &&
                              d->terms[p->index] == p->index_term);
    if (!is_there) {
        return fail(d,
                    "acknowledged-is-durable: entry %" PRIu64 " of term %" PRIu64
                    " is gone; log %" PRIu64 "..%" PRIu64 ", state at %" PRIu64,
                    p->index, p->index_term, d->first, d->last, state);
    }
    for (uint64_t i = d->first; d->first > 0 && i <= d->last; i++) {
        if (s->is_hashed[i] && s->term[i] == d->terms[i] &&
            base_crc32c(0, d->entries[i]) != s->crc[i]) {
            return fail(d, "log-matching: entry %" PRIu64 " is not the one that was written", i);
        }
    }
    return true;
}

/* What is committed and in the log leads to the states that the group had. */
static bool replay(struct desk *d)
{
    uint64_t from = d->applied.applied_index + 1;
    for (uint64_t i = from; i <= d->last && i <= d->promise->applied; i++) {
        d->index = i;
        if (d->entries[i].len == 0) {
            continue;
        }
        int rc = run(d, env_lmdb_port(d->state), replay_entry);
        if (rc != 0 || d->hash != hash_at(d->story, i)) {
            return fail(d, "replay: entry %" PRIu64 ": %s, state %08x, was %08x", i,
                        base_error_text(rc), d->hash, hash_at(d->story, i));
        }
    }
    return true;
}

bool inspect_image(const char *directory, const struct story *story, const struct promise *promise,
                   char *ret_text)
{
    static struct desk desk;
    struct desk *d = &desk;
    d->story = story;
    d->promise = promise;
    d->text = ret_text;
    if (!open_stores(d, directory)) {
        return false;
    }
    int rc = run(d, env_lmdb_port(d->state), read_state);
    if (rc != 0) {
        return fail(d, "state-is-readable: %s", base_error_text(rc));
    }
    if (!check_state(d) || !start_node(d)) {
        return false;
    }
    rc = run(d, env_lmdb_port(d->state), read_state);
    rc = rc != 0 ? rc : run(d, wal_store_port(d->log), read_log);
    if (rc != 0) {
        return fail(d, "stores-are-readable: %s", base_error_text(rc));
    }
    return check_state(d) && check_vote(d) && check_log(d) && replay(d);
}
