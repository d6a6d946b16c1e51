/* SPDX-License-Identifier: Apache-2.0 */
/* Events from rows; see history.h. One key alone is read through the index, anything else by
 * walking all changes of the revisions. */
#include "kv/core/history.h"

#include "base/assert.h"
#include "kv/core/compact.h"

enum { TYPE_PUT = 0, TYPE_DELETE = 1 };

struct reading {
    struct store_txn *txn;
    const struct kv_history_query *query;
    kv_history_fn *visit;
    void *ctx;
    struct kv_history_result result;
    uint64_t main; /* revision being read */
    uint64_t events;
    uint64_t bytes;
    uint64_t rows;
    /* by index */
    struct kv_bytes escaped; /* with its end mark */
};

static int read_number(struct store_txn *txn, struct slice name, int64_t fallback, int64_t *ret)
{
    struct slice row;
    uint64_t number = (uint64_t)fallback;
    int rc = store_get(txn, STORE_META, name, &row);
    if (rc == 0 &&
        (slice_take_u64_be(&row, &number) != 0 || row.len != 0 || number >= (uint64_t)INT64_MAX)) {
        return BASE_E_CORRUPT;
    }
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    *ret = (int64_t)number;
    return 0;
}

/* Whether the next row begins a revision that is not to be begun any more. */
static bool is_enough(struct reading *reading, uint64_t main)
{
    if (main == reading->main) {
        return false;
    }
    if (reading->events >= reading->query->events_max ||
        reading->bytes >= reading->query->bytes_max || reading->rows >= reading->query->rows_max) {
        reading->result.next = (int64_t)main;
        return true;
    }
    reading->main = main;
    return false;
}

/* --- the state before --- */

struct before {
    struct slice escaped; /* with its end mark */
    struct kv_rev rev;
    bool is_found;
};

static int before_row(void *ctx, struct slice key, struct slice value)
{
    struct before *before = ctx;
    struct slice escaped;
    struct kv_rev rev;
    int rc = kv_index_decode(key, &escaped, &rev);
    if (rc != 0) {
        return rc;
    }
    bool is_living = value.len == 1 && value.data[0] == 0;
    before->is_found = is_living && slice_equal(escaped, before->escaped);
    before->rev = rev;
    return 1;
}

/* The pair as it stood at the revision before the event's. */
static int add_previous(struct reading *reading, struct kv_event *event)
{
    struct kv_bytes at;
    struct kv_rev start = {(uint64_t)event->kv.mod_revision, 0};
    kv_index_encode(event->kv.key, start, &at);
    struct before before = {.escaped = slice_from(at.data, at.len - KV_REV_BYTES)};
    struct kv_view view = {.txn = reading->txn};
    int rc =
        store_scan_back(reading->txn, STORE_KV_INDEX, kv_bytes_slice(&at), before_row, &before);
    if (rc < 0 || !before.is_found) {
        return rc < 0 ? rc : 0;
    }
    rc = kv_view_load(&view, before.rev, &event->prev_kv);
    event->has_prev_kv = rc == 0;
    return rc;
}

/* --- one change --- */

static bool is_wanted(const struct kv_history_query *query, struct slice key, bool *ret_prev_kv)
{
    bool is_found = false;
    for (size_t i = 0; i < query->count; i++) {
        if ((!is_found || query->intervals[i].is_prev_kv) &&
            kv_interval_has(query->intervals[i].keys, key)) {
            is_found = true;
            if (query->intervals[i].is_prev_kv) {
                *ret_prev_kv = true;
                return true;
            }
        }
    }
    return is_found;
}

static bool has_previous(const struct reading *reading, const struct kv_event *event)
{
    bool is_creation =
        event->type == TYPE_PUT && event->kv.create_revision == event->kv.mod_revision;
    return !is_creation && event->kv.mod_revision - 1 >= reading->result.compact;
}

static int visit_change(struct reading *reading, struct kv_rev rev, struct slice bytes)
{
    struct kv_row row;
    bool is_prev_kv = false;
    int rc = kv_row_decode(bytes, &row);
    if (rc != 0 || !is_wanted(reading->query, row.key, &is_prev_kv)) {
        return rc;
    }
    struct kv_event event = {.type = row.is_tombstone ? TYPE_DELETE : TYPE_PUT,
                             .has_kv = true,
                             .kv = {.key = row.key, .mod_revision = (int64_t)rev.main}};
    if (!row.is_tombstone) {
        event.kv.create_revision = (int64_t)row.create;
        event.kv.version = (int64_t)row.version;
        event.kv.value = row.value;
        event.kv.lease = (int64_t)row.lease;
    }
    if (is_prev_kv && has_previous(reading, &event)) {
        rc = add_previous(reading, &event);
        if (rc != 0) {
            return rc;
        }
    }
    reading->events++;
    reading->bytes += event.kv.key.len + event.kv.value.len + event.prev_kv.value.len;
    rc = reading->visit(reading->ctx, &event);
    if (rc == 1) {
        reading->result.is_cut = true;
        reading->result.next = (int64_t)rev.main;
    }
    return rc;
}

static int take_rev(struct slice key, struct kv_rev *ret)
{
    return slice_take_u64_be(&key, &ret->main) != 0 || slice_take_u32_be(&key, &ret->sub) != 0 ||
                   key.len != 0
               ? BASE_E_CORRUPT
               : 0;
}

static int change_row(void *ctx, struct slice key, struct slice value)
{
    struct reading *reading = ctx;
    struct kv_rev rev = {0};
    int rc = take_rev(key, &rev);
    if (rc != 0 || is_enough(reading, rev.main)) {
        return rc != 0 ? rc : 1;
    }
    reading->rows++;
    return visit_change(reading, rev, value);
}

static int index_row(void *ctx, struct slice key, struct slice value)
{
    struct reading *reading = ctx;
    struct slice escaped;
    struct slice bytes;
    struct kv_bytes at;
    struct kv_rev rev;
    (void)value;
    int rc = kv_index_decode(key, &escaped, &rev);
    if (rc != 0 || !slice_equal(escaped, kv_bytes_slice(&reading->escaped)) ||
        is_enough(reading, rev.main)) {
        return rc != 0 ? rc : 1;
    }
    reading->rows++;
    kv_rev_encode(rev, &at);
    rc = store_get(reading->txn, STORE_KV_REVS, kv_bytes_slice(&at), &bytes);
    if (rc == BASE_E_NOTFOUND) {
        rc = BASE_E_CORRUPT; /* an index pointed to it */
    }
    return rc != 0 ? rc : visit_change(reading, rev, bytes);
}

static int read_by_key(struct reading *reading, struct slice key)
{
    struct kv_bytes at;
    if (!kv_key_fits(key)) {
        return 0; /* no such key can be there */
    }
    kv_index_encode(key, (struct kv_rev){(uint64_t)reading->query->from, 0}, &at);
    reading->escaped = at;
    reading->escaped.len = at.len - KV_REV_BYTES;
    return store_scan(reading->txn, STORE_KV_INDEX, kv_bytes_slice(&at), index_row, reading);
}

static int read_all(struct reading *reading)
{
    struct kv_bytes at;
    kv_rev_encode((struct kv_rev){(uint64_t)reading->query->from, 0}, &at);
    return store_scan(reading->txn, STORE_KV_REVS, kv_bytes_slice(&at), change_row, reading);
}

int kv_history_read(struct store_txn *txn, const struct kv_history_query *query,
                    kv_history_fn *visit, void *ctx, struct kv_history_result *ret)
{
    struct reading reading = {.txn = txn, .query = query, .visit = visit, .ctx = ctx};
    struct kv_history_result *result = &reading.result;
    BASE_ASSERT(query->count > 0 && query->from > 0);
    int rc = read_number(txn, SLICE_LIT(KV_META_REVISION), KV_FRESH_REVISION, &result->revision);
    if (rc == 0) {
        rc = read_number(txn, SLICE_LIT(KV_META_COMPACT), -1, &result->compact);
    }
    if (rc != 0) {
        return rc;
    }
    result->is_compacted = query->from < result->compact;
    result->next = query->from > result->revision ? query->from : result->revision + 1;
    if (!result->is_compacted && query->from <= result->revision) {
        const struct kv_interval *first = &query->intervals[0].keys;
        rc = query->count == 1 && first->end.len == 0 ? read_by_key(&reading, first->key)
                                                      : read_all(&reading);
    }
    if (rc < 0) {
        return rc;
    }
    *ret = reading.result;
    return 0;
}
