/* SPDX-License-Identifier: Apache-2.0 */
/* See wal_rows.h. */
#include "raft/wal_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define CAP_MIN 256u

void wal_rows_free(struct wal_rows *rows)
{
    for (size_t i = 0; i < rows->meta_count; i++) {
        free(rows->metas[i].bytes);
    }
    free(rows->metas);
    free(rows->places);
    *rows = (struct wal_rows){0};
}

/* --- STORE_META --- */

struct slice wal_meta_key(const struct wal_meta *meta)
{
    return slice_from(meta->bytes, meta->key_len);
}

struct slice wal_meta_value(const struct wal_meta *meta)
{
    return slice_from(meta->bytes + meta->key_len, meta->value_len);
}

size_t wal_meta_seek(const struct wal_rows *rows, struct slice key, bool *ret_found)
{
    size_t at = 0;
    while (at < rows->meta_count && slice_compare(wal_meta_key(&rows->metas[at]), key) < 0) {
        at++;
    }
    *ret_found = at < rows->meta_count && slice_equal(wal_meta_key(&rows->metas[at]), key);
    return at;
}

static bool meta_reserve(struct wal_rows *rows)
{
    if (rows->meta_count < rows->meta_cap) {
        return true;
    }
    size_t cap = rows->meta_cap == 0 ? 16 : rows->meta_cap * 2;
    struct wal_meta *metas = realloc(rows->metas, cap * sizeof(*metas));
    if (metas == NULL) {
        return false;
    }
    rows->metas = metas;
    rows->meta_cap = cap;
    return true;
}

int wal_meta_put(struct wal_rows *rows, struct slice key, struct slice value)
{
    bool is_found = false;
    size_t at = wal_meta_seek(rows, key, &is_found);
    uint8_t *bytes = malloc(key.len + value.len);
    if (bytes == NULL || (!is_found && !meta_reserve(rows))) {
        free(bytes);
        return BASE_E_NOMEM;
    }
    struct buf out = buf_over(bytes, key.len + value.len);
    buf_put(&out, key);
    buf_put(&out, value);
    struct wal_meta *meta = &rows->metas[at];
    if (is_found) {
        free(meta->bytes);
    } else {
        memmove(meta + 1, meta, (rows->meta_count - at) * sizeof(*meta));
        rows->meta_count++;
    }
    *meta = (struct wal_meta){.bytes = bytes, .key_len = key.len, .value_len = value.len};
    return 0;
}

int wal_meta_del(struct wal_rows *rows, struct slice key)
{
    bool is_found = false;
    size_t at = wal_meta_seek(rows, key, &is_found);
    if (!is_found) {
        return BASE_E_NOTFOUND;
    }
    struct wal_meta *meta = &rows->metas[at];
    free(meta->bytes);
    rows->meta_count--;
    memmove(meta, meta + 1, (rows->meta_count - at) * sizeof(*meta));
    return 0;
}

/* --- STORE_LOG --- */

static struct wal_place *slot(const struct wal_rows *rows, uint64_t index)
{
    return &rows->places[index & (rows->cap - 1)];
}

static bool is_spanned(const struct wal_rows *rows, uint64_t index)
{
    return rows->count > 0 && index >= rows->first && index - rows->first < rows->count;
}

const struct wal_place *wal_rows_find(const struct wal_rows *rows, uint64_t index)
{
    if (!is_spanned(rows, index)) {
        return NULL;
    }
    const struct wal_place *place = slot(rows, index);
    return place->segment == 0 ? NULL : place;
}

/* Moves the places into a ring of another size. */
static bool resize(struct wal_rows *rows, size_t cap)
{
    struct wal_place *places = calloc(cap, sizeof(*places));
    if (places == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < rows->count; i++) {
        places[(rows->first + i) & (cap - 1)] = *slot(rows, rows->first + i);
    }
    free(rows->places);
    rows->places = places;
    rows->cap = cap;
    return true;
}

/* Widens the span so that it holds `index`. */
static int span(struct wal_rows *rows, uint64_t index)
{
    uint64_t first = rows->count == 0 || index < rows->first ? index : rows->first;
    uint64_t end = rows->count == 0 || index >= rows->first + rows->count
                       ? index + 1
                       : rows->first + rows->count;
    size_t cap = rows->cap < CAP_MIN ? CAP_MIN : rows->cap;
    if (index == 0 || index == UINT64_MAX || end - first > WAL_SPAN_MAX) {
        return BASE_E_INVALID;
    }
    while (cap < end - first) {
        cap *= 2;
    }
    if (cap != rows->cap && !resize(rows, cap)) {
        return BASE_E_NOMEM;
    }
    rows->first = first;
    rows->count = end - first;
    return 0;
}

int wal_rows_put(struct wal_rows *rows, uint64_t index, struct wal_place place,
                 struct wal_place *ret_before)
{
    int rc = is_spanned(rows, index) ? 0 : span(rows, index);
    if (rc != 0) {
        return rc;
    }
    struct wal_place *at = slot(rows, index);
    *ret_before = *at;
    *at = place;
    rows->lost += (place.segment == WAL_LOST) - (uint64_t)(ret_before->segment == WAL_LOST);
    rows->bytes += place.len - (uint64_t)ret_before->len;
    return 0;
}

/* The first and the last place of the span hold a row; memory that was needed once goes back. */
static void trim(struct wal_rows *rows)
{
    while (rows->count > 0 && slot(rows, rows->first)->segment == 0) {
        rows->first++;
        rows->count--;
    }
    while (rows->count > 0 && slot(rows, rows->first + rows->count - 1)->segment == 0) {
        rows->count--;
    }
    if (rows->cap > 4096 && rows->count < rows->cap / 8) {
        (void)resize(rows, rows->cap / 4); /* without memory it stays as it is */
    }
}

struct wal_place wal_rows_del(struct wal_rows *rows, uint64_t index)
{
    struct wal_place before = {0};
    if (!is_spanned(rows, index)) {
        return before;
    }
    struct wal_place *at = slot(rows, index);
    before = *at;
    *at = (struct wal_place){0};
    rows->lost -= before.segment == WAL_LOST;
    rows->bytes -= before.len;
    trim(rows);
    return before;
}
