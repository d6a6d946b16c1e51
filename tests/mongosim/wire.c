/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of MongoDB's wire protocol to structs and back (wire.h). Everything that comes in is
 * untrusted: each length is checked against what is there before it is used.
 */
#include "tests/mongosim/wire.h"

#include <stdio.h>

#include "base/crc32c.h"

struct reader {
    const uint8_t *at, *end;
    const char *why; /* NULL while all is well */
};

static const uint8_t *take(struct reader *r, size_t len)
{
    if (r->why != NULL || (size_t)(r->end - r->at) < len) {
        r->why = r->why != NULL ? r->why : "message ends too early";
        return NULL;
    }
    r->at += len;
    return r->at - len;
}

static uint32_t take_u32(struct reader *r)
{
    const uint8_t *p = take(r, 4);
    return p != NULL ? bytes_get_u32(p) : 0;
}

static uint64_t take_u64(struct reader *r)
{
    const uint8_t *p = take(r, 8);
    return p != NULL ? bytes_get_u64(p) : 0;
}

static const char *take_name(struct reader *r)
{
    size_t left = (size_t)(r->end - r->at);
    const uint8_t *zero = r->why == NULL && left > 0 ? memchr(r->at, 0, left) : NULL;
    if (zero == NULL || zero - r->at > WIRE_NAME_MAX) {
        r->why = r->why != NULL ? r->why : "a name without end, or too long a one";
        return "";
    }
    const char *name = (const char *)r->at;
    r->at = zero + 1;
    return name;
}

/* A document inside the message: valid, with field names, UTF-8. */
static bool take_document(struct reader *r, bson_t *ret)
{
    uint32_t len = r->end - r->at >= 5 ? bytes_get_u32(r->at) : 0;
    if (r->why == NULL && (len < 5 || len > WIRE_DOCUMENT_MAX)) {
        r->why = "a document whose length is impossible";
    }
    const uint8_t *data = take(r, len);
    if (data == NULL) {
        return false;
    }
    size_t where;
    if (!bson_init_static(ret, data, len) || !bson_validate(ret, BSON_VALIDATE_UTF8, &where)) {
        r->why = "a document that is not valid BSON";
        return false;
    }
    return true;
}

static void split_name(struct wire_request *request, const char *name, char *ret_collection)
{
    const char *dot = strchr(name, '.');
    size_t len = dot != NULL ? (size_t)(dot - name) : strlen(name);
    memcpy(request->db, name, len);
    request->db[len] = 0;
    snprintf(ret_collection, WIRE_NAME_MAX + 1, "%s", dot != NULL ? dot + 1 : "");
}

/* --- OP_MSG --- */

static void take_sequence(struct reader *r, bson_t *command)
{
    const uint8_t *start = r->at;
    uint32_t size = take_u32(r);
    if (r->why != NULL || size < 5 || size > (size_t)(r->end - start)) {
        r->why = "a section whose length is impossible";
        return;
    }
    struct reader inner = {.at = r->at, .end = start + size};
    const char *id = take_name(&inner);
    bson_t array;
    bson_append_array_begin(command, id, -1, &array);
    for (uint32_t i = 0; inner.why == NULL && inner.at < inner.end; i++) {
        bson_t item;
        char key[16];
        const char *index;
        bson_uint32_to_string(i, &index, key, sizeof key);
        if (take_document(&inner, &item)) {
            bson_append_document(&array, index, -1, &item);
        }
    }
    bson_append_array_end(command, &array);
    r->why = inner.why;
    r->at = start + size;
}

static void take_db(struct wire_request *request, struct reader *r)
{
    bson_iter_t i;
    if (!bson_iter_init_find(&i, &request->command, "$db") || !BSON_ITER_HOLDS_UTF8(&i) ||
        strlen(bson_iter_utf8(&i, NULL)) > WIRE_NAME_MAX) {
        r->why = "OP_MSG without $db";
        return;
    }
    snprintf(request->db, sizeof request->db, "%s", bson_iter_utf8(&i, NULL));
}

static void parse_msg(const uint8_t *message, struct reader *r, struct wire_request *ret)
{
    bson_t sections = BSON_INITIALIZER;
    bool has_body = false;
    ret->flags = take_u32(r);
    if ((ret->flags & 0xffffu & ~(WIRE_CHECKSUM | WIRE_MORE_TO_COME)) != 0) {
        r->why = "OP_MSG with flags that are required and unknown";
    }
    if ((ret->flags & WIRE_CHECKSUM) != 0 && r->why == NULL && r->end - r->at > 4) {
        r->end -= 4;
        if (base_crc32c(0, slice_from(message, (size_t)(r->end - message))) !=
            bytes_get_u32(r->end)) {
            r->why = "OP_MSG with a wrong checksum";
        }
    }
    while (r->why == NULL && r->at < r->end) {
        bson_t body;
        uint8_t kind = *take(r, 1);
        if (kind == 0 && !has_body && take_document(r, &body)) {
            has_body = true;
            bson_concat(&ret->command, &body);
        } else if (kind == 1) {
            take_sequence(r, &sections);
        } else if (r->why == NULL) {
            r->why = "OP_MSG with a section of unknown kind, or two bodies";
        }
    }
    if (r->why == NULL && !has_body) {
        r->why = "OP_MSG without a body";
    }
    bson_concat(&ret->command, &sections);
    bson_destroy(&sections);
    if (r->why == NULL) {
        take_db(ret, r);
    }
}

/* --- the old ones --- */

static void set_find(struct wire_request *ret, const char *collection, const bson_t *query,
                     int32_t skip, int32_t count)
{
    bson_iter_t i;
    bson_t filter;
    ret->is_legacy_find = true;
    BSON_APPEND_UTF8(&ret->command, "find", collection);
    if (bson_iter_init_find(&i, query, "$query") || bson_iter_init_find(&i, query, "query")) {
        bson_value_t value = *bson_iter_value(&i);
        BSON_APPEND_VALUE(&ret->command, "filter", &value);
        if (bson_iter_init_find(&i, query, "$orderby") && BSON_ITER_HOLDS_DOCUMENT(&i)) {
            value = *bson_iter_value(&i);
            BSON_APPEND_VALUE(&ret->command, "sort", &value);
        }
    } else {
        bson_init_static(&filter, bson_get_data(query), query->len);
        BSON_APPEND_DOCUMENT(&ret->command, "filter", &filter);
    }
    BSON_APPEND_INT32(&ret->command, "skip", skip);
    if (count < 0 || count == 1) {
        BSON_APPEND_INT32(&ret->command, "limit", -count > 0 ? -count : 1);
        BSON_APPEND_BOOL(&ret->command, "singleBatch", true);
    } else if (count > 0) {
        BSON_APPEND_INT32(&ret->command, "batchSize", count);
    }
}

static void parse_query(struct reader *r, struct wire_request *ret)
{
    char collection[WIRE_NAME_MAX + 1];
    bson_t query, inner;
    bson_iter_t i;
    (void)take_u32(r);
    split_name(ret, take_name(r), collection);
    int32_t skip = (int32_t)take_u32(r), count = (int32_t)take_u32(r);
    if (!take_document(r, &query)) {
        return;
    }
    if (strcmp(collection, "$cmd") != 0) {
        set_find(ret, collection, &query, skip, count);
    } else if (bson_iter_init_find(&i, &query, "$query") && BSON_ITER_HOLDS_DOCUMENT(&i)) {
        uint32_t len;
        const uint8_t *data;
        bson_iter_document(&i, &len, &data);
        bson_init_static(&inner, data, len);
        bson_concat(&ret->command, &inner);
    } else {
        bson_concat(&ret->command, &query);
    }
    if (r->at < r->end) {
        bson_t fields; /* which ones are wanted: all are sent */
        (void)take_document(r, &fields);
    }
}

static void parse_get_more(struct reader *r, struct wire_request *ret)
{
    char collection[WIRE_NAME_MAX + 1];
    (void)take_u32(r);
    split_name(ret, take_name(r), collection);
    int32_t count = (int32_t)take_u32(r);
    ret->is_legacy_find = true;
    BSON_APPEND_INT64(&ret->command, "getMore", (int64_t)take_u64(r));
    BSON_APPEND_UTF8(&ret->command, "collection", collection);
    if (count > 0) {
        BSON_APPEND_INT32(&ret->command, "batchSize", count);
    }
}

int64_t wire_length(const uint8_t *data, size_t len)
{
    if (len < WIRE_HEADER) {
        return 0;
    }
    uint32_t length = bytes_get_u32(data);
    return length < WIRE_HEADER + 4 || length > WIRE_MESSAGE_MAX ? -1 : (int64_t)length;
}

bool wire_parse(const uint8_t *data, size_t len, struct wire_request *ret, const char **ret_why)
{
    struct reader r = {.at = data + WIRE_HEADER, .end = data + len};
    *ret = (struct wire_request){.id = (int32_t)bytes_get_u32(data + 4)};
    bson_init(&ret->command);
    switch (bytes_get_u32(data + 12)) {
    case WIRE_OP_MSG:
        ret->op = WIRE_OP_MSG;
        parse_msg(data, &r, ret);
        break;
    case WIRE_OP_QUERY:
        ret->op = WIRE_OP_QUERY;
        parse_query(&r, ret);
        break;
    case WIRE_OP_GET_MORE:
        ret->op = WIRE_OP_GET_MORE;
        parse_get_more(&r, ret);
        break;
    case WIRE_OP_KILL_CURSORS:
        ret->op = WIRE_OP_KILL_CURSORS;
        r.at = r.end;
        break;
    default:
        r.why = "an operation that is not spoken here (compressed ones are never offered)";
        break;
    }
    if (r.why == NULL && r.at != r.end) {
        r.why = "bytes after the end of the message";
    }
    if (r.why != NULL) {
        wire_request_free(ret);
        *ret_why = r.why;
        return false;
    }
    return true;
}

void wire_request_free(struct wire_request *request)
{
    bson_destroy(&request->command);
    *request = (struct wire_request){0};
}

/* --- answers --- */

static void append_rows(const bson_t *body, struct bytes *out, uint32_t *ret_count,
                        int64_t *ret_cursor)
{
    bson_iter_t i, cursor, rows, row;
    if (!bson_iter_init_find(&i, body, "cursor") || !bson_iter_recurse(&i, &cursor)) {
        bytes_append(out, bson_get_data(body), body->len);
        *ret_count = 1;
        return;
    }
    while (bson_iter_next(&cursor)) {
        if (strcmp(bson_iter_key(&cursor), "id") == 0) {
            *ret_cursor = bson_iter_as_int64(&cursor);
        } else if (strstr(bson_iter_key(&cursor), "Batch") != NULL) {
            rows = cursor;
            for (bool ok = bson_iter_recurse(&rows, &row); ok && bson_iter_next(&row);) {
                uint32_t len;
                const uint8_t *data;
                bson_iter_document(&row, &len, &data);
                bytes_append(out, data, len);
                *ret_count += 1;
            }
        }
    }
}

static bool is_ok(const bson_t *body)
{
    bson_iter_t i;
    return bson_iter_init_find(&i, body, "ok") && bson_iter_as_double(&i) > 0.5;
}

int32_t wire_reply(const struct wire_request *request, int32_t response_to, const bson_t *body,
                   uint32_t flags, struct bytes *out)
{
    static int32_t last_id;
    size_t start = out->len;
    last_id += 1;
    bytes_u32(out, 0);
    bytes_u32(out, (uint32_t)last_id);
    bytes_u32(out, (uint32_t)response_to);
    if (request->op == WIRE_OP_MSG) {
        bytes_u32(out, WIRE_OP_MSG);
        bytes_u32(out, flags);
        bytes_append(out, "", 1);
        bytes_append(out, bson_get_data(body), body->len);
    } else {
        uint32_t count = 0;
        int64_t cursor = 0;
        struct bytes rows = {0};
        if (request->is_legacy_find && is_ok(body)) {
            append_rows(body, &rows, &count, &cursor);
        } else {
            bytes_append(&rows, bson_get_data(body), body->len);
            count = 1;
        }
        bytes_u32(out, WIRE_OP_REPLY);
        /* 8: awaitCapable; 2: the query failed */
        bytes_u32(out, request->is_legacy_find && !is_ok(body) ? 10 : 8);
        bytes_u64(out, (uint64_t)cursor);
        bytes_u32(out, 0);
        bytes_u32(out, count);
        bytes_append(out, rows.data, rows.len);
        bytes_free(&rows);
    }
    struct bytes head = {.data = out->data + start, .cap = 4};
    bytes_u32(&head, (uint32_t)(out->len - start));
    return last_id;
}
