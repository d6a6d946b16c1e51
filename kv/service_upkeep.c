/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: what goes on beside requests. Rows of compacted versions are removed, the
 * leader compacts of its own accord, checksums are made, a full store is told of; and what the
 * service keeps in memory is read from the store at a start and after an image.
 *
 * Removal runs in steps of a few rows, each a store job of its own, so that requests go in between:
 * some steps after each tick, one after the other while nothing else goes on, when somebody waits
 * for the end or when it falls far behind. A physical compaction is answered when the rows are
 * gone, however long that takes, as with etcd: what was decided stands anyway.
 */
#include "base/assert.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

#define COMPACT_ROWS 128u  /* a step */
#define COMPACT_CHAIN 8u   /* steps a tick */
#define COMPACT_FAR 100000 /* revisions to go, above which nothing is waited for */
#define HASH_ROWS 512u
#define OWN_TIMEOUT_US INT64_C(5000000)
#define KEEP_EVERY_US INT64_C(10000000) /* between looks at compaction_revisions */

/* --- what is kept in memory --- */

static int derive_run(struct store_job *job, struct store_txn *txn)
{
    struct derive_job *derive = (struct derive_job *)job; /* its first member */
    uint64_t bytes = 0;
    int rc = kv_core_revision(txn, &derive->revision);
    rc = rc != 0 ? rc : store_size(txn, &bytes, &derive->bytes_used);
    rc = rc != 0 ? rc : kv_alarms_get(txn, &derive->alarms);
    /* no rows: it tells how far removal has come, and does not write */
    return rc != 0 ? rc : kv_compact_progress_get(txn, &derive->compact);
}

static void derive_start(struct kv_service *service)
{
    struct derive_job *derive = &service->upkeep.derive;
    derive->is_busy = true;
    derive->is_wanted = false;
    service->options.store.submit(service->options.store.ctx, &derive->job);
}

static void compact_pump(struct kv_service *service);
static void physical_end(struct kv_service *service);

static void derive_done(struct store_job *job, int status)
{
    struct derive_job *derive = (struct derive_job *)job;
    struct kv_service *service = derive->service;
    const struct kv_service_options *options = &service->options;
    bool is_restored = derive->is_restored;
    derive->is_busy = false;
    if (status != 0 || service->is_halted) {
        return;
    }
    if (derive->is_wanted) { /* yet another state meanwhile */
        derive_start(service);
        return;
    }
    derive->is_restored = false;
    service->bytes_used = derive->bytes_used;
    service->alarms = derive->alarms;
    service->upkeep.compact.progress = derive->compact;
    if (derive->revision > service->revision) {
        service->revision = derive->revision;
    }
    if (derive->compact.scheduled > service->compact_revision) {
        service->compact_revision = derive->compact.scheduled;
        if (options->compacted != NULL) {
            options->compacted(options->user, service->compact_revision);
        }
    }
    if (is_restored && options->restored != NULL) {
        options->restored(options->user, service->revision);
    }
    physical_end(service); /* an image may have come without the rows */
    compact_pump(service);
}

void upkeep_derive(struct kv_service *service, bool is_restored)
{
    struct derive_job *derive = &service->upkeep.derive;
    derive->is_restored |= is_restored;
    if (derive->is_busy) {
        derive->is_wanted = true;
    } else {
        derive_start(service);
    }
}

/* --- removal --- */

static int compact_run(struct store_job *job, struct store_txn *txn)
{
    struct compact_job *compact = (struct compact_job *)job;
    return kv_compact_step(txn, COMPACT_ROWS, &compact->reached);
}

static bool is_compact_over(const struct kv_service *service)
{
    return service->upkeep.compact.progress.finished >= service->compact_revision;
}

static void physical_end(struct kv_service *service)
{
    struct compact_job *compact = &service->upkeep.compact;
    struct call_list all = compact->physical;
    compact->physical = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        struct kv_response response = {.kind = KV_KIND_COMPACT};
        if (call->request->compact.revision > compact->progress.finished) {
            list_push(&compact->physical, call);
            continue;
        }
        response.header_only = (struct kv_header_response){.has_header = true};
        response.header_only.header.revision = service->revision;
        call_answer(service, call, &response);
    }
}

static void compact_pump(struct kv_service *service)
{
    struct compact_job *compact = &service->upkeep.compact;
    bool is_far = service->compact_revision - compact->progress.finished > COMPACT_FAR;
    bool is_waited_for = compact->physical.head != NULL || service->open_calls == 0;
    bool may_go = compact->chained < COMPACT_CHAIN || is_far || is_waited_for;
    if (service->is_halted || compact->is_busy || is_compact_over(service) || !may_go) {
        return;
    }
    compact->is_busy = true;
    compact->chained++;
    service->options.store.submit(service->options.store.ctx, &compact->job);
}

static void compact_done(struct store_job *job, int status)
{
    struct compact_job *compact = (struct compact_job *)job;
    struct kv_service *service = compact->service;
    compact->is_busy = false;
    if (status != 0 || service->is_halted) {
        return;
    }
    compact->progress = compact->reached;
    service->is_size_stale = true;
    physical_end(service);
    compact_pump(service);
}

void upkeep_compacted(struct kv_service *service, int64_t revision)
{
    const struct kv_service_options *options = &service->options;
    if (revision <= service->compact_revision) {
        return; /* read from the store already */
    }
    service->compact_revision = revision;
    if (options->compacted != NULL) {
        options->compacted(options->user, revision);
    }
    compact_pump(service);
}

void upkeep_wait_physical(struct kv_service *service, struct kv_call *call)
{
    list_push(&service->upkeep.compact.physical, call);
    physical_end(service);
    compact_pump(service);
}

/* --- compaction of the leader's own accord --- */

static void own_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct own_call *own = (struct own_call *)call; /* its first member */
    (void)error; /* what was not done is due again at the next look */
    (void)response;
    own->is_busy = false;
}

static void compact_to(struct kv_service *service, int64_t revision, uint64_t term)
{
    struct own_call *own = &service->upkeep.compaction;
    if (revision <= service->compact_revision || revision <= 0 || own->is_busy) {
        return;
    }
    own->request = (struct kv_request){.kind = KV_KIND_COMPACT, .compact.revision = revision};
    (void)own_submit(own, term, base_mono_add_us(service->now, OWN_TIMEOUT_US));
}

static void mark_push(struct upkeep *upkeep, struct base_mono at, int64_t revision)
{
    if (upkeep->mark_count == MARKS_MAX) {
        for (size_t i = 1; i < MARKS_MAX; i++) {
            upkeep->marks[i - 1] = upkeep->marks[i];
        }
        upkeep->mark_count--;
    }
    upkeep->marks[upkeep->mark_count].at = at;
    upkeep->marks[upkeep->mark_count].revision = revision;
    upkeep->mark_count++;
}

/* Ten looks a period; the revision of the oldest is compacted to when it is a period old. */
static void compact_by_time(struct kv_service *service, uint64_t term)
{
    struct upkeep *upkeep = &service->upkeep;
    int64_t period = service->options.compaction_period_us;
    size_t count = upkeep->mark_count;
    if (count > 0 && base_mono_diff_us(service->now, upkeep->marks[count - 1].at) < period / 10) {
        return;
    }
    mark_push(upkeep, service->now, service->revision);
    if (base_mono_diff_us(service->now, upkeep->marks[0].at) >= period) {
        compact_to(service, upkeep->marks[0].revision, term);
    }
}

static void compact_by_count(struct kv_service *service, uint64_t term)
{
    struct upkeep *upkeep = &service->upkeep;
    size_t count = upkeep->mark_count;
    if (count > 0 && base_mono_diff_us(service->now, upkeep->marks[count - 1].at) < KEEP_EVERY_US) {
        return;
    }
    mark_push(upkeep, service->now, service->revision);
    compact_to(service, service->revision - service->options.compaction_revisions, term);
}

static void compact_unasked(struct kv_service *service)
{
    struct raft_node_status status = status_of(service);
    if (status.role != RAFT_LEADER || !status.has_applied_own_term) {
        service->upkeep.mark_count = 0;
        return;
    }
    if (service->upkeep.mark_term != status.term) {
        service->upkeep.mark_term = status.term;
        service->upkeep.mark_count = 0;
    }
    if (service->options.compaction_period_us > 0) {
        compact_by_time(service, status.term);
    } else if (service->options.compaction_revisions > 0) {
        compact_by_count(service, status.term);
    }
}

/* --- checksums --- */

static int hash_run(struct store_job *job, struct store_txn *txn)
{
    struct hash_job *hash = (struct hash_job *)job;
    int rc = kv_core_revision(txn, &hash->revision);
    if (rc == 0 && !hash->is_begun) {
        rc = kv_hash_begin(txn, hash->calls.head->request->hash_kv.revision, &hash->error,
                           &hash->walk);
        hash->is_begun = true;
    }
    return rc != 0 || hash->error != KV_OK ? rc : kv_hash_step(txn, HASH_ROWS, &hash->walk);
}

static void hash_start(struct kv_service *service)
{
    struct hash_job *hash = &service->upkeep.hash;
    if (service->is_halted || hash->is_busy || hash->calls.head == NULL) {
        return;
    }
    hash->is_busy = true;
    service->options.store.submit(service->options.store.ctx, &hash->job);
}

static void hash_end(struct hash_job *hash)
{
    struct kv_service *service = hash->service;
    struct kv_call *call = list_pop(&hash->calls);
    struct kv_response response = {.kind = KV_KIND_HASH_KV};
    response.hash_kv = (struct kv_hash_kv_response){
        .has_header = true, .hash = hash->walk.crc, .compact_revision = hash->walk.compact};
    response.hash_kv.header.revision = hash->revision;
    enum kv_error error = hash->error;
    hash->is_begun = false;
    hash->error = KV_OK;
    if (error == KV_OK) {
        call_answer(service, call, &response);
    } else {
        call_end(service, call, error, SLICE_EMPTY);
    }
}

static void hash_done(struct store_job *job, int status)
{
    struct hash_job *hash = (struct hash_job *)job;
    struct kv_service *service = hash->service;
    hash->is_busy = false;
    if (status != 0 || service->is_halted) {
        list_fail(service, &hash->calls, KV_E_STOPPED);
        return;
    }
    if (hash->walk.is_void && hash->error == KV_OK) {
        hash->is_begun = false; /* another compaction: begin anew, until the deadline */
        if (base_mono_before(hash->calls.head->deadline, service->now)) {
            hash->error = KV_E_TIMEOUT;
        }
    }
    if (hash->error != KV_OK || (hash->is_begun && hash->walk.is_done)) {
        hash_end(hash);
    }
    hash_start(service);
}

void upkeep_hash(struct kv_service *service, struct kv_call *call)
{
    list_push(&service->upkeep.hash.calls, call);
    hash_start(service);
}

/* --- a full store --- */

void upkeep_raise_no_space(struct kv_service *service)
{
    struct own_call *own = &service->upkeep.alarm;
    if (own->is_busy || service->alarms.has_no_space) {
        return;
    }
    own->request = (struct kv_request){.kind = KV_KIND_ALARM};
    own->request.alarm = (struct kv_alarm){.action = KV_ALARM_ACTIVATE,
                                           .member_id = service->options.member_id,
                                           .alarm = KV_ALARM_NOSPACE};
    (void)own_submit(own, 0, base_mono_add_us(service->now, OWN_TIMEOUT_US));
}

/* --- opening, time, end --- */

static void own_open(struct own_call *own, struct kv_service *service)
{
    own->service = service;
    own->call.done = own_done;
}

void upkeep_open(struct kv_service *service)
{
    struct upkeep *upkeep = &service->upkeep;
    upkeep->derive.service = service;
    upkeep->derive.job =
        (struct store_job){.run = derive_run, .done = derive_done, .is_read_only = true};
    upkeep->compact.service = service;
    upkeep->compact.job = (struct store_job){.run = compact_run, .done = compact_done};
    upkeep->compact.progress = (struct kv_compact_progress){-1, -1};
    upkeep->hash.service = service;
    upkeep->hash.job = (struct store_job){.run = hash_run, .done = hash_done, .is_read_only = true};
    own_open(&upkeep->compaction, service);
    own_open(&upkeep->alarm, service);
}

void upkeep_tick(struct kv_service *service)
{
    if (service->is_halted) {
        return;
    }
    service->upkeep.compact.chained = 0;
    compact_pump(service);
    compact_unasked(service);
}

void upkeep_fail(struct kv_service *service, enum kv_error error)
{
    struct hash_job *hash = &service->upkeep.hash;
    list_fail(service, &service->upkeep.compact.physical, error);
    if (!hash->is_busy) {
        list_fail(service, &hash->calls, error);
    }
}

/* What the store has dropped, or was never asked for. */
void upkeep_close(struct kv_service *service)
{
    list_fail(service, &service->upkeep.hash.calls, KV_E_STOPPED);
}
