/* SPDX-License-Identifier: Apache-2.0 */
/* What the store went through, entry by entry, as the first node to apply one shows it; and what
 * follows for revisions (one more with each change, nothing applied twice), leases (never too
 * early, keys together with their lease, renewals that hold, an end in the end) and watches.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "kv/auth.h"
#include "kv/core/apply.h"
#include "kv/core/compact.h"
#include "kv/core/rows.h"
#include "proto/wire/kv.h"
#include "tests/sim/lockers.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

#define BLOCK_BYTES 65536u
#define ATTACHED_MAX 64u
#define DRIFT_PERCENT(w) ((w)->setup.drift_ppm / 10000 + 1) /* of a host's clock, and more */
#define END_SLACK_US (4 * SECOND)
#define LEADER_SLACK_US (10 * SECOND)

struct block {
    struct block *next;
    size_t used;
    uint8_t bytes[BLOCK_BYTES];
};

struct lease {
    bool is_living;
    bool has_ended;
    bool is_revoke_asked; /* by a client: it may end at any moment from then on */
    int64_t ttl_us;
    int64_t safe_until_us; /* an answer has promised that much */
    int64_t hope_until_us; /* it cannot last longer without a change of leader */
    int64_t ended_us;
};

struct attached {
    struct slice key;
    int64_t lease; /* 0: no more */
};

/* How leases stood when an image was made. */
struct saved {
    struct lease *leases;
    size_t leases_cap;
    struct attached attached[ATTACHED_MAX];
    size_t attached_count;
    int64_t revision, compact;
};

struct truth_kv {
    struct block *blocks;
    struct chk_changes changes;
    uint64_t index; /* of the last entry that was looked at */
    int64_t revision;
    uint64_t logout_index; /* the last entry that may have ended somebody's tokens */
    struct lease *leases;  /* by id */
    size_t leases_cap;
    struct attached attached[ATTACHED_MAX];
    size_t attached_count;
    bool *is_written; /* by value of the checked clients */
    size_t is_written_cap;
    struct saved saved;
    uint64_t *lease_hashes; /* by index: of the tables of leases behind that entry, 0 none */
    size_t lease_hashes_cap;
};

/* Of the change under way. */
struct step {
    struct world *w;
    struct store_txn *txn;
    const struct kv_command *command;
    int64_t main;
};

void truth_kv_open(struct world *w)
{
    w->truth->kv = must_alloc(1, sizeof(*w->truth->kv));
    w->truth->kv->revision = KV_FRESH_REVISION;
}

void truth_kv_close(struct world *w)
{
    struct truth_kv *kv = w->truth->kv;
    while (kv->blocks != NULL) {
        struct block *next = kv->blocks->next;
        free(kv->blocks);
        kv->blocks = next;
    }
    free(kv->changes.items);
    free(kv->leases);
    free(kv->is_written);
    free(kv->lease_hashes);
    free(kv->saved.leases);
    free(kv);
    w->truth->kv = NULL;
}

const struct chk_changes *truth_changes(const struct world *w)
{
    return &w->truth->kv->changes;
}

int64_t truth_revision(const struct world *w)
{
    return w->truth->kv->revision;
}

static struct slice keep(struct truth_kv *kv, struct slice bytes)
{
    BASE_ASSERT(bytes.len <= BLOCK_BYTES);
    if (kv->blocks == NULL || BLOCK_BYTES - kv->blocks->used < bytes.len) {
        struct block *block = must_alloc(1, sizeof(*block));
        block->next = kv->blocks;
        kv->blocks = block;
    }
    uint8_t *at = kv->blocks->bytes + kv->blocks->used;
    memcpy(at, bytes.data, bytes.len);
    kv->blocks->used += bytes.len;
    return slice_from(at, bytes.len);
}

static void *grow(void *old, size_t *cap, size_t count, size_t size)
{
    size_t had = *cap;
    uint8_t *array = must_grow(old, cap, count, size);
    memset(array + had * size, 0, (*cap - had) * size);
    return array;
}

static struct lease *lease_of(struct world *w, int64_t id)
{
    struct truth_kv *kv = w->truth->kv;
    kv->leases = grow(kv->leases, &kv->leases_cap, (size_t)id + 1, sizeof(*kv->leases));
    return &kv->leases[id];
}

/* --- one change --- */

/* Values of the checked clients are numbers, each written by one request. */
static void written_once(struct step *step, const struct kv_row *row)
{
    struct truth_kv *kv = step->w->truth->kv;
    uint64_t value = 0;
    if (row->is_tombstone || row->key.len == 0 || row->key.data[0] != 'k' ||
        slice_to_u64(row->value, &value) != 0) {
        return;
    }
    kv->is_written = grow(kv->is_written, &kv->is_written_cap, (size_t)value + 1, sizeof(bool));
    if (kv->is_written[value]) {
        world_fail(step->w, INVARIANT_APPLIED_ONCE,
                   "revision %" PRId64 " writes %" PRIu64 " for the second time", step->main,
                   value);
    }
    kv->is_written[value] = true;
}

static struct attached *attached_of(struct truth_kv *kv, struct slice key)
{
    for (size_t i = 0; i < kv->attached_count; i++) {
        if (slice_equal(kv->attached[i].key, key)) {
            return &kv->attached[i];
        }
    }
    return NULL;
}

static bool is_revoke_of(const struct kv_command *command, int64_t lease)
{
    return command->request.kind == KV_KIND_LEASE_REVOKE && command->request.lease_id.id == lease;
}

static void follow_attached(struct step *step, struct slice key, const struct kv_row *row)
{
    struct truth_kv *kv = step->w->truth->kv;
    struct attached *a = attached_of(kv, key);
    int64_t lease = row->is_tombstone ? 0 : (int64_t)row->lease;
    bool is_lock = key.data[0] == LOCKER_KEYS; /* which is given back by itself */
    if (a != NULL && a->lease != 0 && row->is_tombstone && !is_lock &&
        !is_revoke_of(step->command, a->lease)) {
        world_fail(step->w, INVARIANT_LEASE_KEYS,
                   "revision %" PRId64 " deletes a key of lease %" PRId64 ", which is not revoked",
                   step->main, a->lease);
    }
    if (lease != 0 && !lease_of(step->w, lease)->is_living) {
        world_fail(step->w, INVARIANT_LEASE_KEYS,
                   "revision %" PRId64 " gives a key to lease %" PRId64 ", which is not there",
                   step->main, lease);
    }
    if (a == NULL && lease != 0) {
        BASE_ASSERT(kv->attached_count < ATTACHED_MAX);
        a = &kv->attached[kv->attached_count++];
        a->key = key;
    }
    if (a != NULL && lease == 0) {
        *a = kv->attached[--kv->attached_count];
    } else if (a != NULL) {
        a->lease = lease;
    }
}

/* K2: a key that is not there begins anew, and each put is one version more. */
static void check_versions(const struct step *step, const struct kv_row *row)
{
    const struct chk_changes *changes = &step->w->truth->kv->changes;
    const struct chk_change *change = &changes->items[changes->count - 1];
    if (!row->is_tombstone && ((int64_t)row->create != change->create_revision ||
                               (int64_t)row->version != change->version)) {
        world_fail(step->w, INVARIANT_VERSIONS,
                   "revision %" PRId64 " writes version %" PRIu64 " of a key made at %" PRIu64
                   "; it is version %" PRId64 ", made at %" PRId64,
                   step->main, row->version, row->create, change->version, change->create_revision);
    }
}

static int note_change(void *ctx, struct slice key, struct slice value)
{
    struct step *step = ctx;
    struct truth_kv *kv = step->w->truth->kv;
    struct kv_rev rev;
    struct kv_row row;
    BASE_ASSERT(kv_rev_decode(key, &rev) == 0 && kv_row_decode(value, &row) == 0);
    if ((int64_t)rev.main != kv->revision + 1) {
        world_fail(step->w, INVARIANT_REVISIONS, "revision %" PRIu64 " follows %" PRId64, rev.main,
                   kv->revision);
    }
    step->main = (int64_t)rev.main;
    kv->changes.items = must_grow(kv->changes.items, &kv->changes.cap, kv->changes.count + 1,
                                  sizeof(*kv->changes.items));
    struct slice kept = keep(kv, row.key);
    written_once(step, &row);
    follow_attached(step, kept, &row);
    BASE_ASSERT(chk_changes_add(&kv->changes, step->main, row.is_tombstone, kept,
                                keep(kv, row.value)) == 0);
    step->w->tally.judged_changes++;
    check_versions(step, &row);
    truth_permitted(step->w, step->txn, step->command, row.key);
    return 0;
}

static void note_changes(struct step *step, struct store_txn *txn)
{
    struct truth_kv *kv = step->w->truth->kv;
    struct kv_bytes from;
    int64_t compact = -1;
    int64_t revision = 0;
    kv_rev_encode((struct kv_rev){.main = (uint64_t)kv->revision + 1}, &from);
    BASE_ASSERT(store_scan(txn, STORE_KV_REVS, kv_bytes_slice(&from), note_change, step) == 0);
    BASE_ASSERT(kv_core_revision(txn, &revision) == 0 && kv_compact_get(txn, &compact) == 0);
    if (step->main != 0) {
        kv->revision = step->main;
    }
    if (revision != kv->revision) {
        world_fail(step->w, INVARIANT_REVISIONS,
                   "the store is at revision %" PRId64 ", and its newest change at %" PRId64,
                   revision, kv->revision);
    }
    kv->changes.compact = compact > 0 ? compact : 0;
}

/* --- leases, as the log has them --- */

static void lease_ended(struct step *step, int64_t id, struct lease *lease)
{
    struct world *w = step->w;
    struct truth_kv *kv = w->truth->kv;
    lease->is_living = false;
    lease->has_ended = true;
    lease->ended_us = w->now_us;
    w->tally.expiries += !lease->is_revoke_asked;
    trace(w, TRACE_LEASE, (uint64_t)id, lease->is_revoke_asked ? 3 : 2, 0, 0);
    if (!lease->is_revoke_asked && w->now_us < lease->safe_until_us) {
        world_fail(w, INVARIANT_LEASE_EARLY,
                   "lease %" PRId64 " ends %" PRId64 " us before the time that was promised", id,
                   lease->safe_until_us - w->now_us);
    }
    for (size_t i = 0; i < kv->attached_count; i++) {
        if (kv->attached[i].lease == id) {
            world_fail(w, INVARIANT_LEASE_KEYS,
                       "lease %" PRId64 " is gone and one of its keys is not", id);
        }
    }
}

static void follow_lease(struct step *step, struct store_txn *txn)
{
    const struct kv_request *request = &step->command->request;
    struct kv_lease_row row;
    int64_t id = 0;
    if (request->kind == KV_KIND_LEASE_GRANT) {
        id = request->lease_grant.id;
    } else if (request->kind == KV_KIND_LEASE_REVOKE) {
        id = request->lease_id.id;
    }
    if (id <= 0) {
        return;
    }
    struct lease *lease = lease_of(step->w, id);
    bool is_there = kv_lease_get(txn, id, &row) == 0;
    if (is_there && !lease->is_living) {
        lease->is_living = true;
        lease->ttl_us = row.ttl * SECOND;
        lease->hope_until_us = step->w->now_us + lease->ttl_us;
        trace(step->w, TRACE_LEASE, (uint64_t)id, 1, (uint64_t)(row.ttl * SECOND), 0);
    } else if (!is_there && lease->is_living) {
        lease_ended(step, id, lease);
    }
}

static int add_row(void *ctx, struct slice key, struct slice value)
{
    uint32_t *crc = ctx;
    *crc = base_crc32c(base_crc32c(*crc, key), value);
    return 0;
}

static uint64_t lease_hash(struct store_txn *txn)
{
    uint32_t crc = 0;
    BASE_ASSERT(store_scan(txn, STORE_KV_LEASES, SLICE_EMPTY, add_row, &crc) == 0);
    BASE_ASSERT(store_scan(txn, STORE_KV_LEASE_KEYS, SLICE_EMPTY, add_row, &crc) == 0);
    return crc | UINT64_C(1) << 32;
}

void truth_kv_applied(struct world *w, unsigned node, struct store_txn *txn,
                      const struct raft_applied *entry)
{
    static _Alignas(16) uint8_t memory[1 << 18];
    struct truth_kv *kv = w->truth->kv;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_command command;
    uint64_t hash = lease_hash(txn);
    kv->lease_hashes = grow(kv->lease_hashes, &kv->lease_hashes_cap, (size_t)entry->index + 1,
                            sizeof(*kv->lease_hashes));
    if (entry->index <= kv->index) {
        if (kv->lease_hashes[entry->index] != hash) {
            world_fail(w, INVARIANT_IMAGE,
                       "node %u has other leases behind entry %" PRIu64 " than a node before it",
                       node, entry->index);
        }
        return;
    }
    kv->index = entry->index;
    kv->lease_hashes[entry->index] = hash;
    BASE_ASSERT(kv_wire_decode_command(entry->data, &arena, &command) == 0);
    struct step step = {.w = w, .txn = txn, .command = &command};
    note_changes(&step, txn);
    follow_lease(&step, txn);
    uint32_t kind = command.request.kind;
    if (kind == KV_KIND_USER_DELETE || kind == KV_KIND_USER_PASSWORD ||
        kind == KV_KIND_AUTH_DISABLE) {
        kv->logout_index = entry->index;
    }
}

void truth_kv_image(struct world *w, unsigned node, struct store_txn *txn, uint64_t index)
{
    const struct truth_kv *kv = w->truth->kv;
    size_t at = index < kv->lease_hashes_cap ? (size_t)index : kv->lease_hashes_cap;
    while (at > 0 && (at >= kv->lease_hashes_cap || kv->lease_hashes[at] == 0)) {
        at--; /* empty entries change nothing */
    }
    if (at > 0 && kv->lease_hashes[at] != lease_hash(txn)) {
        world_fail(w, INVARIANT_IMAGE,
                   "the image at %" PRIu64 " of node %u has other leases than there were", index,
                   node);
    }
}

/* --- an older state --- */

void truth_saved(struct world *w)
{
    struct truth_kv *kv = w->truth->kv;
    struct saved *s = &kv->saved;
    s->leases = must_alloc(kv->leases_cap + 1, sizeof(*s->leases));
    s->leases_cap = kv->leases_cap;
    for (size_t i = 0; i < kv->leases_cap; i++) {
        s->leases[i] = kv->leases[i];
    }
    memcpy(s->attached, kv->attached, sizeof(s->attached));
    s->attached_count = kv->attached_count;
    s->revision = kv->revision;
    s->compact = kv->changes.compact;
}

/* Leases of then are there again with their full time, and nothing that was promised about any
 * holds. */
static void leases_back(struct world *w)
{
    struct truth_kv *kv = w->truth->kv;
    const struct saved *s = &kv->saved;
    for (size_t i = 0; i < kv->leases_cap; i++) {
        bool was_asked = kv->leases[i].is_revoke_asked;
        bool was_living = i < s->leases_cap && s->leases[i].is_living;
        struct lease lease = {.is_living = was_living, .is_revoke_asked = was_asked};
        lease.ttl_us = was_living ? s->leases[i].ttl_us : 0;
        lease.hope_until_us = w->now_us + lease.ttl_us;
        kv->leases[i] = lease;
    }
    memcpy(kv->attached, s->attached, sizeof(kv->attached));
    kv->attached_count = s->attached_count;
}

void truth_kv_begin_anew(struct world *w, uint64_t index, int64_t revision)
{
    struct truth_kv *kv = w->truth->kv;
    leases_back(w);
    for (size_t i = (size_t)index + 1; i < kv->lease_hashes_cap; i++) {
        kv->lease_hashes[i] = 0;
    }
    while (kv->changes.count > 0 &&
           kv->changes.items[kv->changes.count - 1].revision > kv->saved.revision) {
        kv->changes.count--;
    }
    kv->changes.compact = kv->saved.compact;
    kv->index = index;
    kv->logout_index = 0;
    kv->revision = revision;
}

/* --- leases, as clients were told --- */

void truth_lease_asked(struct world *w, int64_t id, bool is_revoke)
{
    struct lease *lease = lease_of(w, id);
    lease->is_revoke_asked = lease->is_revoke_asked || is_revoke;
}

int64_t truth_lease_told(struct world *w, int64_t id, int64_t sent_us, int64_t ttl)
{
    struct lease *lease = lease_of(w, id);
    int64_t ttl_us = ttl * SECOND;
    int64_t safe_until_us = sent_us + ttl_us - ttl_us * DRIFT_PERCENT(w) / 100;
    if (ttl <= 0) {
        if (lease->is_living) {
            world_fail(w, INVARIANT_LEASE_RENEWAL,
                       "a renewal of lease %" PRId64 " is told that it is gone, and it is not", id);
        }
        return 0;
    }
    w->tally.renewals++;
    if (safe_until_us > w->now_us) {
        trace(w, TRACE_PROMISE, (uint64_t)id, (uint64_t)(safe_until_us - w->now_us), 0, 0);
    }
    bool is_late = lease->has_ended && sent_us > lease->ended_us;
    bool is_broken = lease->has_ended && !lease->is_revoke_asked && lease->ended_us < safe_until_us;
    if (is_late || is_broken) {
        world_fail(w, INVARIANT_LEASE_RENEWAL,
                   "a renewal of lease %" PRId64 " asked for at %.3f s is told %" PRId64
                   " s, and the lease ended at %.3f s",
                   id, (double)sent_us / 1e6, ttl, (double)lease->ended_us / 1e6);
    }
    if (safe_until_us > lease->safe_until_us) {
        lease->safe_until_us = safe_until_us;
    }
    if (w->now_us + ttl_us > lease->hope_until_us) {
        lease->hope_until_us = w->now_us + ttl_us;
    }
    return lease->safe_until_us;
}

void truth_token_refused(struct world *w, unsigned node, uint64_t index, int64_t sent_us)
{
    /* Tokens live in memory: a start or an image ends them, also one that came before the answer.
     */
    bool is_old = w->now_us - sent_us > KV_AUTH_TOKEN_US / 2;
    if (node_tokens_since(w, node) < sent_us && w->truth->kv->logout_index < index && !is_old) {
        world_fail(w, INVARIANT_TOKEN, "node %u refuses the token of entry %" PRIu64, node, index);
    }
}

uint64_t truth_term(const struct world *w)
{
    return w->truth->elected;
}

void truth_lease_renewer(struct world *w, int64_t id, uint64_t term, uint64_t term_sent)
{
    if (term < term_sent) {
        world_fail(w, INVARIANT_LEASE_RENEWER,
                   "lease %" PRId64 " is renewed by a leader of term %" PRIu64 ", and term %" PRIu64
                   " had a leader when that was asked for",
                   id, term, term_sent);
    }
}

void truth_leases_end(struct world *w)
{
    const struct truth_kv *kv = w->truth->kv;
    for (size_t id = 0; id < kv->leases_cap; id++) {
        const struct lease *lease = &kv->leases[id];
        int64_t until_us = w->setup.faults_end_us + LEADER_SLACK_US + lease->ttl_us;
        until_us = lease->hope_until_us > until_us ? lease->hope_until_us : until_us;
        if (lease->is_living && until_us + END_SLACK_US < w->now_us) {
            world_fail(w, INVARIANT_LEASE_END, "lease %zu should have ended %" PRId64 " ms ago", id,
                       (w->now_us - until_us) / MS);
        }
    }
}
