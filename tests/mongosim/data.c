/* SPDX-License-Identifier: Apache-2.0 */
/* Documents (hub.h). The hub keeps every write as the document that it left; which writes a node
 * has is the model's to say, so that a lagging, rolled back or emptied node shows what it really
 * would.
 */
#include <stdio.h>

#include "tests/mongosim/command.h"

uint64_t data_put(struct hub *hub, const char *ns, bson_t *document, bool is_deleted)
{
    if (hub->writes_count == hub->writes_cap) {
        hub->writes_cap = hub->writes_cap * 2 + 256;
        hub->writes = realloc(hub->writes, hub->writes_cap * sizeof *hub->writes);
        if (hub->writes == NULL) {
            abort();
        }
    }
    struct hub_write *write = &hub->writes[hub->writes_count++];
    snprintf(write->ns, sizeof write->ns, "%s", ns);
    write->document = document;
    write->is_deleted = is_deleted;
    return hub->writes_count;
}

/* --- what a node has --- */

struct view {
    const struct hub *hub;
    const char *ns;
    struct data_rows *rows;
    size_t *slots; /* by hash of _id: place in rows plus one */
    size_t slots_cap;
};

static uint32_t id_hash(const bson_t *document)
{
    bson_iter_t i;
    uint32_t hash = 2166136261u;
    if (bson_iter_init_find(&i, document, "_id")) {
        const bson_value_t *value = bson_iter_value(&i);
        bson_t key = BSON_INITIALIZER;
        BSON_APPEND_VALUE(&key, "", value);
        const uint8_t *data = bson_get_data(&key);
        for (uint32_t n = 0; n < key.len; n++) {
            hash = (hash ^ data[n]) * 16777619u;
        }
        bson_destroy(&key);
    }
    return hash;
}

static bool same_value(const bson_value_t *a, const bson_value_t *b)
{
    bson_t left = BSON_INITIALIZER, right = BSON_INITIALIZER;
    BSON_APPEND_VALUE(&left, "", a);
    BSON_APPEND_VALUE(&right, "", b);
    bool is_same = bson_equal(&left, &right);
    bson_destroy(&left);
    bson_destroy(&right);
    return is_same;
}

static bool same_id(const bson_t *a, const bson_t *b)
{
    bson_iter_t i, j;
    if (!bson_iter_init_find(&i, a, "_id") || !bson_iter_init_find(&j, b, "_id")) {
        return false;
    }
    return same_value(bson_iter_value(&i), bson_iter_value(&j));
}

static void place(struct view *view, const bson_t *document, size_t row)
{
    size_t at = id_hash(document) & (view->slots_cap - 1);
    while (view->slots[at] != 0) {
        at = (at + 1) & (view->slots_cap - 1);
    }
    view->slots[at] = row + 1;
}

static void grow(struct view *view)
{
    struct data_rows *rows = view->rows;
    rows->cap = rows->cap * 2 + 64;
    rows->rows = realloc(rows->rows, rows->cap * sizeof *rows->rows);
    free(view->slots);
    for (view->slots_cap = 256; view->slots_cap < rows->cap * 2;) {
        view->slots_cap *= 2;
    }
    view->slots = calloc(view->slots_cap, sizeof *view->slots);
    if (rows->rows == NULL || view->slots == NULL) {
        abort();
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->rows[i] != NULL) {
            place(view, rows->rows[i], i);
        }
    }
}

/* A document that is deleted leaves its place empty; its slot stays, so that others are found. */
static bool see(void *ctx, uint32_t entry, uint64_t value)
{
    struct view *view = ctx;
    (void)entry;
    if (value == 0 || value > view->hub->writes_count) {
        return true;
    }
    const struct hub_write *write = &view->hub->writes[value - 1];
    struct data_rows *rows = view->rows;
    if (strcmp(write->ns, view->ns) != 0) {
        return true;
    }
    if (write->document == NULL) {
        rows->count = 0;
        memset(view->slots, 0, view->slots_cap * sizeof *view->slots);
        return true;
    }
    size_t at = id_hash(write->document) & (view->slots_cap - 1);
    while (view->slots[at] != 0) {
        size_t row = view->slots[at] - 1;
        if (rows->rows[row] != NULL && same_id(rows->rows[row], write->document)) {
            rows->rows[row] = write->is_deleted ? NULL : write->document;
            return true;
        }
        at = (at + 1) & (view->slots_cap - 1);
    }
    if (!write->is_deleted) {
        if (rows->count == rows->cap) {
            grow(view);
        }
        rows->rows[rows->count] = write->document;
        place(view, write->document, rows->count);
        rows->count += 1;
    }
    return true;
}

void data_rows(const struct hub *hub, unsigned node, const char *ns, struct data_rows *ret)
{
    struct view view = {.hub = hub, .ns = ns, .rows = ret};
    *ret = (struct data_rows){0};
    grow(&view);
    mset_data(hub->set, node, see, &view);
    size_t kept = 0;
    for (size_t i = 0; i < ret->count; i++) {
        if (ret->rows[i] != NULL) {
            ret->rows[kept++] = ret->rows[i];
        }
    }
    ret->count = kept;
    free(view.slots);
}

void data_rows_free(struct data_rows *rows)
{
    free(rows->rows);
    *rows = (struct data_rows){0};
}

struct names {
    const struct hub *hub;
    char (*ret)[128];
    size_t count, cap;
};

static bool name(void *ctx, uint32_t entry, uint64_t value)
{
    struct names *names = ctx;
    (void)entry;
    if (value == 0 || value > names->hub->writes_count || names->count == names->cap) {
        return true;
    }
    const char *ns = names->hub->writes[value - 1].ns;
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->ret[i], ns) == 0) {
            return true;
        }
    }
    snprintf(names->ret[names->count++], 128, "%s", ns);
    return true;
}

size_t data_collections(const struct hub *hub, unsigned node, char ret[][128], size_t cap)
{
    struct names names = {.hub = hub, .ret = ret, .cap = cap};
    mset_data(hub->set, node, name, &names);
    return names.count;
}

/* --- filters --- */

/* < 0, 0, > 0; *ret_comparable is false between types that have no order here. */
static int compare(const bson_iter_t *a, const bson_iter_t *b, bool *ret_comparable)
{
    uint32_t at = 0, ai = 0, bt = 0, bi = 0;
    *ret_comparable = true;
    if (BSON_ITER_HOLDS_NUMBER(a) && BSON_ITER_HOLDS_NUMBER(b)) {
        double left = bson_iter_as_double(a), right = bson_iter_as_double(b);
        return left < right ? -1 : left > right;
    }
    if (BSON_ITER_HOLDS_UTF8(a) && BSON_ITER_HOLDS_UTF8(b)) {
        return strcmp(bson_iter_utf8(a, NULL), bson_iter_utf8(b, NULL));
    }
    if (BSON_ITER_HOLDS_TIMESTAMP(a) && BSON_ITER_HOLDS_TIMESTAMP(b)) {
        bson_iter_timestamp(a, &at, &ai);
        bson_iter_timestamp(b, &bt, &bi);
        return at != bt ? (at < bt ? -1 : 1) : ai < bi ? -1 : ai > bi;
    }
    if (BSON_ITER_HOLDS_DATE_TIME(a) && BSON_ITER_HOLDS_DATE_TIME(b)) {
        int64_t left = bson_iter_date_time(a), right = bson_iter_date_time(b);
        return left < right ? -1 : left > right;
    }
    *ret_comparable = same_value(bson_iter_value((bson_iter_t *)(uintptr_t)a),
                                 bson_iter_value((bson_iter_t *)(uintptr_t)b));
    return 0;
}

static bool holds(const char *operator, bool is_there, const bson_iter_t *field,
                  const bson_iter_t *wanted)
{
    bool is_comparable = false;
    if (strcmp(operator, "$exists") == 0) {
        return is_there == bson_iter_as_bool(wanted);
    }
    int order = is_there ? compare(field, wanted, &is_comparable) : 0;
    if (strcmp(operator, "$ne") == 0) {
        return !(is_comparable && order == 0);
    }
    return is_comparable && ((strcmp(operator, "$eq") == 0 && order == 0) ||
                             (strcmp(operator, "$gt") == 0 && order > 0) ||
                             (strcmp(operator, "$gte") == 0 && order >= 0) ||
                             (strcmp(operator, "$lt") == 0 && order < 0) ||
                             (strcmp(operator, "$lte") == 0 && order <= 0));
}

bool data_matches(const bson_t *document, const bson_t *filter)
{
    bson_iter_t want, inner, root, field;
    for (bool ok = bson_iter_init(&want, filter); ok && bson_iter_next(&want);) {
        bool is_there = bson_iter_init(&root, document) &&
                        bson_iter_find_descendant(&root, bson_iter_key(&want), &field);
        bool has_operators = BSON_ITER_HOLDS_DOCUMENT(&want) && bson_iter_recurse(&want, &inner) &&
                             bson_iter_next(&inner) && bson_iter_key(&inner)[0] == '$';
        if (!has_operators) {
            if (!holds("$eq", is_there, &field, &want)) {
                return false;
            }
            continue;
        }
        do {
            if (!holds(bson_iter_key(&inner), is_there, &field, &inner)) {
                return false;
            }
        } while (bson_iter_next(&inner));
    }
    return true;
}

/* --- updates --- */

static void set_field(bson_t *document, const char *key, const bson_value_t *value)
{
    bson_t copy = BSON_INITIALIZER;
    bson_iter_t i;
    bool is_done = false;
    for (bool ok = bson_iter_init(&i, document); ok && bson_iter_next(&i);) {
        if (strcmp(bson_iter_key(&i), key) != 0) {
            BSON_APPEND_VALUE(&copy, bson_iter_key(&i), bson_iter_value(&i));
        } else if (value != NULL) {
            BSON_APPEND_VALUE(&copy, key, value);
            is_done = true;
        }
    }
    if (!is_done && value != NULL) {
        BSON_APPEND_VALUE(&copy, key, value);
    }
    bson_reinit(document);
    bson_concat(document, &copy);
    bson_destroy(&copy);
}

static bool apply(bson_t *document, const char *operator, bson_iter_t * field, bool is_new,
                  int64_t wall_us)
{
    bson_iter_t before;
    bson_value_t value = {0};
    const char *key = bson_iter_key(field);
    if (strcmp(operator, "$set") == 0 || (strcmp(operator, "$setOnInsert") == 0 && is_new)) {
        set_field(document, key, bson_iter_value(field));
    } else if (strcmp(operator, "$unset") == 0) {
        set_field(document, key, NULL);
    } else if (strcmp(operator, "$inc") == 0) {
        value.value_type = BSON_TYPE_INT64;
        value.value.v_int64 = bson_iter_as_int64(field);
        if (bson_iter_init_find(&before, document, key)) {
            value.value.v_int64 += bson_iter_as_int64(&before);
        }
        set_field(document, key, &value);
    } else if (strcmp(operator, "$currentDate") == 0) {
        value.value_type = BSON_TYPE_DATE_TIME;
        value.value.v_datetime = wall_us / 1000;
        set_field(document, key, &value);
    } else {
        return strcmp(operator, "$setOnInsert") == 0;
    }
    return true;
}

static void add_id(bson_t *document, const bson_t *from)
{
    bson_iter_t i;
    bson_t copy = BSON_INITIALIZER;
    bson_oid_t oid;
    if (bson_has_field(document, "_id")) {
        return;
    }
    if (bson_iter_init_find(&i, from, "_id")) {
        BSON_APPEND_VALUE(&copy, "_id", bson_iter_value(&i));
    } else {
        bson_oid_init(&oid, NULL);
        BSON_APPEND_OID(&copy, "_id", &oid);
    }
    bson_concat(&copy, document);
    bson_reinit(document);
    bson_concat(document, &copy);
    bson_destroy(&copy);
}

bson_t *data_updated(const bson_t *before, const bson_t *filter, const bson_t *update,
                     int64_t wall_us)
{
    bson_iter_t i, field;
    bson_t *document = bson_new();
    bool has_operators =
        bson_iter_init(&i, update) && bson_iter_next(&i) && bson_iter_key(&i)[0] == '$';
    if (!has_operators) {
        bson_concat(document, update);
        add_id(document, before != NULL ? before : filter);
        return document;
    }
    if (before != NULL) {
        bson_concat(document, before);
    }
    add_id(document, filter);
    do {
        if (!BSON_ITER_HOLDS_DOCUMENT(&i) || !bson_iter_recurse(&i, &field)) {
            bson_destroy(document);
            return NULL;
        }
        while (bson_iter_next(&field)) {
            if (!apply(document, bson_iter_key(&i), &field, before == NULL, wall_us)) {
                bson_destroy(document);
                return NULL;
            }
        }
    } while (bson_iter_next(&i));
    return document;
}
