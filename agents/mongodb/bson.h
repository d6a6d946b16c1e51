/* SPDX-License-Identifier: Apache-2.0 */
/* Small readers over libbson: a number of any numeric type, a text that fits, a part of a document.
 * What is not there or is of another type gives the default. Inline, no allocation; any thread. */
#ifndef QUORATE_AGENTS_MONGODB_BSON_H
#define QUORATE_AGENTS_MONGODB_BSON_H

#include <bson/bson.h>
#include <string.h>

#include "base/slice.h"
#include "proto/msg/mongodb.h"

/* Not checked as a whole: libbson does that by recursion, however deep somebody nests; iterators
 * check each element as they come to it. False: not a document. */
static inline bool mdb_bson_open(struct slice bytes, bson_t *ret)
{
    return bytes.data != NULL && bytes.len >= 5 && bson_init_static(ret, bytes.data, bytes.len);
}

static inline bool mdb_bson_find(const bson_t *doc, const char *name, bson_iter_t *ret)
{
    return bson_iter_init_find(ret, doc, name);
}

/* A document or array inside; lives as long as `doc`. */
static inline bool mdb_bson_part(const bson_t *doc, const char *name, bson_t *ret)
{
    bson_iter_t it;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (!mdb_bson_find(doc, name, &it)) {
        return false;
    }
    if (BSON_ITER_HOLDS_DOCUMENT(&it)) {
        bson_iter_document(&it, &len, &data);
    } else if (BSON_ITER_HOLDS_ARRAY(&it)) {
        bson_iter_array(&it, &len, &data);
    }
    return data != NULL && bson_init_static(ret, data, len);
}

static inline bool mdb_iter_part(const bson_iter_t *it, bson_t *ret)
{
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (BSON_ITER_HOLDS_DOCUMENT(it)) {
        bson_iter_document(it, &len, &data);
    }
    return data != NULL && bson_init_static(ret, data, len);
}

/* A number that is in range; a fraction is cut off. */
static inline int64_t mdb_iter_number(const bson_iter_t *it, int64_t fallback)
{
    if (BSON_ITER_HOLDS_DOUBLE(it)) {
        double value = bson_iter_double(it);
        return value >= -9e15 && value <= 9e15 ? (int64_t)value : fallback;
    }
    return BSON_ITER_HOLDS_INT32(it) || BSON_ITER_HOLDS_INT64(it) ? bson_iter_as_int64(it)
                                                                  : fallback;
}

static inline int64_t mdb_bson_number(const bson_t *doc, const char *name, int64_t fallback)
{
    bson_iter_t it;
    return mdb_bson_find(doc, name, &it) ? mdb_iter_number(&it, fallback) : fallback;
}

static inline bool mdb_bson_bool(const bson_t *doc, const char *name, bool fallback)
{
    bson_iter_t it;
    return mdb_bson_find(doc, name, &it) && BSON_ITER_HOLDS_BOOL(&it) ? bson_iter_bool(&it)
                                                                      : fallback;
}

/* Milliseconds since 1970; 0: not told. */
static inline int64_t mdb_bson_date(const bson_t *doc, const char *name)
{
    bson_iter_t it;
    return mdb_bson_find(doc, name, &it) && BSON_ITER_HOLDS_DATE_TIME(&it)
               ? bson_iter_date_time(&it)
               : 0;
}

/* As it stands in the document; empty: not told. May hold zeros. */
static inline struct slice mdb_bson_text(const bson_t *doc, const char *name)
{
    bson_iter_t it;
    uint32_t len = 0;
    if (!mdb_bson_find(doc, name, &it) || !BSON_ITER_HOLDS_UTF8(&it)) {
        return SLICE_EMPTY;
    }
    const char *text = bson_iter_utf8(&it, &len);
    return slice_from(text, len);
}

/* One that does not fit, or holds what no host name does, is none. */
static inline struct msg_mongodb_host mdb_bson_host(const bson_t *doc, const char *name)
{
    struct msg_mongodb_host host = {""};
    struct slice text = mdb_bson_text(doc, name);
    if (text.len > MSG_MONGODB_HOST_MAX) {
        return host;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '"') {
            return host;
        }
    }
    memcpy(host.text, text.data == NULL ? (const uint8_t *)"" : text.data, text.len);
    return host;
}

/* ObjectId; false: not told. */
static inline bool mdb_bson_oid(const bson_t *doc, const char *name, uint8_t ret[static 12])
{
    bson_iter_t it;
    if (!mdb_bson_find(doc, name, &it) || !BSON_ITER_HOLDS_OID(&it)) {
        return false;
    }
    memcpy(ret, bson_iter_oid(&it)->bytes, 12);
    return true;
}

static inline uint64_t mdb_bson_timestamp(const bson_t *doc, const char *name)
{
    bson_iter_t it;
    uint32_t seconds = 0;
    uint32_t ordinal = 0;
    if (!mdb_bson_find(doc, name, &it) || !BSON_ITER_HOLDS_TIMESTAMP(&it)) {
        return 0;
    }
    bson_iter_timestamp(&it, &seconds, &ordinal);
    return (uint64_t)seconds << 32 | ordinal;
}

/* {ts, t}; a bare timestamp (old releases' first protocol) has no term. */
static inline struct msg_mongodb_optime mdb_bson_optime(const bson_t *doc, const char *name)
{
    struct msg_mongodb_optime optime = {0, 0};
    bson_t part;
    if (!mdb_bson_part(doc, name, &part)) {
        return optime;
    }
    int64_t term = mdb_bson_number(&part, "t", 0);
    optime.ts = mdb_bson_timestamp(&part, "ts");
    optime.term = term < 0 || optime.ts == 0 ? 0 : (uint64_t)term;
    return optime;
}

#endif
