/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in and out: insert, update, delete, find, count. Each document that is written is one
 * entry of the model; all but the last of a command are written with w:1.
 */
#include <stdio.h>

#include "tests/mongosim/command.h"

static void ns_of(const struct cmd *c, const char *collection, char ret[128])
{
    snprintf(ret, 128, "%s.%s", c->request->db, collection);
}

/* The n-th document of the list of a write command; false: there is none. */
static bool nth(const struct cmd *c, const char *list, unsigned n, bson_t *ret)
{
    bson_t array;
    bson_iter_t i;
    uint32_t len;
    const uint8_t *data;
    if (!cmd_document(c->body, list, &array) || !bson_iter_init(&i, &array)) {
        return false;
    }
    for (unsigned k = 0; bson_iter_next(&i); k++) {
        if (k == n && BSON_ITER_HOLDS_DOCUMENT(&i)) {
            bson_iter_document(&i, &len, &data);
            return bson_init_static(ret, data, len);
        }
    }
    return false;
}

static const char *list_of(const struct cmd *c)
{
    return c->spec->run == cmd_insert   ? "documents"
           : c->spec->run == cmd_update ? "updates"
                                        : "deletes";
}

static void concern_of(const struct cmd *c, struct mset_command *command)
{
    bson_t concern, next;
    if (c->spec->run != cmd_drop && nth(c, list_of(c), c->done + 1, &next)) {
        command->w = 1;
        return;
    }
    if (!cmd_document(c->body, "writeConcern", &concern)) {
        return;
    }
    const char *word = cmd_text(&concern, "w");
    int64_t w = cmd_int(&concern, "w", 0);
    command->w = word != NULL ? MSET_W_MAJORITY : (uint8_t)(w < 0 || w > 50 ? 7 : w);
    command->max_time_ms = (uint32_t)cmd_int(&concern, "wtimeout", 0);
}

static enum cmd_outcome write_one(struct cmd *c, const char *ns, bson_t *document, bool is_deleted)
{
    struct mset_command command = {.kind = MSET_WRITE};
    concern_of(c, &command);
    if (!mset_is_writable(c->hub->set, c->node->index)) {
        bson_destroy(document);
        return cmd_fail(c, 10107, "not primary");
    }
    command.value = data_put(c->hub, ns, document, is_deleted);
    return cmd_begin(c, &command);
}

/* --- one document of each kind: CMD_WAIT, or CMD_REPLY with a failure, or nothing to write --- */

static enum cmd_outcome insert_one(struct cmd *c, const char *ns, const bson_t *doc)
{
    bson_t *copy = bson_copy(doc);
    c->matched += 1;
    return write_one(c, ns, copy, false);
}

static bool first_match(const struct cmd *c, const char *ns, const bson_t *filter,
                        struct data_rows *rows, size_t *ret)
{
    data_rows(c->hub, c->node->index, ns, rows);
    for (*ret = 0; *ret < rows->count; *ret += 1) {
        if (data_matches(rows->rows[*ret], filter)) {
            return true;
        }
    }
    return false;
}

static void note_upserted(struct cmd *c, const bson_t *document)
{
    bson_iter_t i;
    bson_t item;
    char memory[16];
    const char *index;
    bson_uint32_to_string(bson_count_keys(&c->upserted), &index, memory, sizeof memory);
    BSON_APPEND_DOCUMENT_BEGIN(&c->upserted, index, &item);
    BSON_APPEND_INT32(&item, "index", (int32_t)c->done);
    if (bson_iter_init_find(&i, document, "_id")) {
        BSON_APPEND_VALUE(&item, "_id", bson_iter_value(&i));
    }
    bson_append_document_end(&c->upserted, &item);
    c->has_upserted = true;
}

static enum cmd_outcome update_one(struct cmd *c, const char *ns, const bson_t *spec,
                                   bool *ret_nothing)
{
    bson_t filter, update;
    struct data_rows rows;
    size_t at;
    if (!cmd_document(spec, "q", &filter) || !cmd_document(spec, "u", &update)) {
        return cmd_fail(c, 9, "an update needs q and u, both documents");
    }
    bool is_found = first_match(c, ns, &filter, &rows, &at);
    bson_t *document = NULL;
    *ret_nothing = !is_found && !cmd_bool(spec, "upsert", false);
    if (!*ret_nothing) {
        document =
            data_updated(is_found ? rows.rows[at] : NULL, &filter, &update, hub_wall_us(c->hub));
    }
    data_rows_free(&rows);
    if (*ret_nothing) {
        return CMD_REPLY;
    }
    if (document == NULL) {
        return cmd_fail(c, 9, "an operator of the update is not known");
    }
    c->matched += 1;
    c->modified += is_found;
    if (!is_found) {
        note_upserted(c, document);
    }
    return write_one(c, ns, document, false);
}

static enum cmd_outcome delete_one(struct cmd *c, const char *ns, const bson_t *spec,
                                   bool *ret_nothing)
{
    bson_t filter;
    struct data_rows rows;
    size_t at;
    bson_iter_t i;
    if (!cmd_document(spec, "q", &filter)) {
        return cmd_fail(c, 9, "a delete needs q, a document");
    }
    *ret_nothing = !first_match(c, ns, &filter, &rows, &at);
    bson_t *document = bson_new();
    if (!*ret_nothing && bson_iter_init_find(&i, rows.rows[at], "_id")) {
        BSON_APPEND_VALUE(document, "_id", bson_iter_value(&i));
    }
    data_rows_free(&rows);
    if (*ret_nothing) {
        bson_destroy(document);
        return CMD_REPLY;
    }
    c->matched += 1;
    return write_one(c, ns, document, true);
}

static enum cmd_outcome finish_write(struct cmd *c)
{
    BSON_APPEND_INT32(&c->reply, "n", (int32_t)c->matched);
    if (c->spec->run == cmd_update) {
        BSON_APPEND_INT32(&c->reply, "nModified", (int32_t)c->modified);
        if (c->has_upserted) {
            BSON_APPEND_ARRAY(&c->reply, "upserted", &c->upserted);
        }
    }
    return cmd_ok(c);
}

/* Goes on until something has to be waited for. */
static enum cmd_outcome write_on(struct cmd *c)
{
    const char *collection = cmd_text(c->body, c->name);
    char ns[128];
    bson_t item;
    if (collection == NULL || collection[0] == 0) {
        return cmd_fail(c, 14, "%s needs the name of a collection", c->name);
    }
    if (!mset_is_writable(c->hub->set, c->node->index)) {
        return cmd_fail(c, 10107, "not primary");
    }
    ns_of(c, collection, ns);
    for (; nth(c, list_of(c), c->done, &item); c->done++) {
        bool is_nothing = false;
        enum cmd_outcome outcome = c->spec->run == cmd_insert ? insert_one(c, ns, &item)
                                   : c->spec->run == cmd_update
                                       ? update_one(c, ns, &item, &is_nothing)
                                       : delete_one(c, ns, &item, &is_nothing);
        if (!is_nothing) {
            return outcome;
        }
    }
    return finish_write(c);
}

enum cmd_outcome cmd_insert(struct cmd *c)
{
    return write_on(c);
}

enum cmd_outcome cmd_update(struct cmd *c)
{
    return write_on(c);
}

enum cmd_outcome cmd_delete(struct cmd *c)
{
    return write_on(c);
}

enum cmd_outcome cmd_drop(struct cmd *c)
{
    const char *collection = cmd_text(c->body, c->name);
    struct mset_command command = {.kind = MSET_WRITE};
    char ns[128];
    if (collection == NULL || !mset_is_writable(c->hub->set, c->node->index)) {
        return collection == NULL ? cmd_fail(c, 14, "drop needs the name of a collection")
                                  : cmd_fail(c, 10107, "not primary");
    }
    ns_of(c, collection, ns);
    concern_of(c, &command);
    command.value = data_put(c->hub, ns, NULL, true);
    return cmd_begin(c, &command);
}

/* A write that is done here, and whose concern was not met, is an answer of ok with an error in it.
 */
static enum cmd_outcome concern_failed(struct cmd *c, const struct mset_reply *reply)
{
    bson_t error;
    c->done += 1;
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "writeConcernError", &error);
    BSON_APPEND_INT32(&error, "code", reply->code);
    BSON_APPEND_UTF8(&error, "codeName", cmd_code_name(reply->code));
    BSON_APPEND_UTF8(&error, "errmsg", reply->text);
    bson_append_document_end(&c->reply, &error);
    return finish_write(c);
}

enum cmd_outcome cmd_written(struct cmd *c, const struct mset_reply *reply)
{
    if (reply->code == MSET_E_WRITE_CONCERN_FAILED || reply->code == MSET_E_UNSATISFIABLE_CONCERN) {
        return concern_failed(c, reply);
    }
    if (reply->code != 0) {
        return cmd_fail(c, reply->code, "%s", reply->text);
    }
    if (c->spec->run == cmd_drop) {
        return cmd_ok(c);
    }
    c->done += 1;
    return write_on(c);
}

/* --- reading --- */

static bool may_read(struct cmd *c)
{
    bson_t preference;
    const char *mode = cmd_document(c->body, "$readPreference", &preference)
                           ? cmd_text(&preference, "mode")
                           : NULL;
    enum mset_state state = mset_state_of(c->hub->set, c->node->index);
    if (state != MSET_PRIMARY && state != MSET_SECONDARY && strcmp(c->request->db, "local") != 0) {
        (void)cmd_fail(c, 13436, "node is not in primary or recovering state");
        return false;
    }
    if (state != MSET_PRIMARY && strcmp(c->request->db, "local") != 0 && mode == NULL &&
        !c->request->is_legacy_find) {
        (void)cmd_fail(c, 13435, "not primary and secondaryOk=false");
        return false;
    }
    return true;
}

/* The two ends of the oplog are all that is kept of it as documents. */
static void put_oplog(struct cmd *c, bson_t *batch)
{
    struct mset_oplog oplog;
    bson_t doc, note, sort;
    bool is_newest = cmd_document(c->body, "sort", &sort) && cmd_int(&sort, "$natural", 1) < 0;
    int64_t limit = cmd_int(c->body, "limit", 0);
    mset_oplog(c->hub->set, c->node->index, &oplog);
    for (int n = 0; n < 2 && (uint32_t)n < oplog.count && (limit == 0 || n < limit); n++) {
        bool is_last = is_newest == (n == 0);
        const struct mset_optime *optime = is_last ? &oplog.last : &oplog.first;
        BSON_APPEND_DOCUMENT_BEGIN(batch, n == 0 ? "0" : "1", &doc);
        BSON_APPEND_TIMESTAMP(&doc, "ts", (uint32_t)(optime->ts >> 32), (uint32_t)optime->ts);
        BSON_APPEND_INT64(&doc, "t", (int64_t)optime->term);
        BSON_APPEND_INT64(&doc, "v", 2);
        BSON_APPEND_UTF8(&doc, "op", "n");
        BSON_APPEND_UTF8(&doc, "ns", "");
        put_date(&doc, "wall", is_last ? oplog.last_wall_us : oplog.first_wall_us);
        BSON_APPEND_DOCUMENT_BEGIN(&doc, "o", &note);
        BSON_APPEND_UTF8(&note, "msg", "periodic noop");
        bson_append_document_end(&doc, &note);
        bson_append_document_end(batch, &doc);
    }
}

static void put_rows(struct cmd *c, const char *ns, bson_t *batch)
{
    struct data_rows rows;
    bson_t filter, sort, empty = BSON_INITIALIZER;
    int64_t skip = cmd_int(c->body, "skip", 0), limit = cmd_int(c->body, "limit", 0);
    bool has_filter = cmd_document(c->body, "filter", &filter);
    bool is_backwards = false;
    bson_iter_t i;
    uint32_t n = 0;
    if (cmd_document(c->body, "sort", &sort) && bson_iter_init(&i, &sort) && bson_iter_next(&i)) {
        is_backwards = bson_iter_as_int64(&i) < 0;
    }
    data_rows(c->hub, c->node->index, ns, &rows);
    for (size_t k = 0; k < rows.count; k++) {
        const bson_t *row = rows.rows[is_backwards ? rows.count - 1 - k : k];
        if (!data_matches(row, has_filter ? &filter : &empty) || skip-- > 0) {
            continue;
        }
        char memory[16];
        const char *index;
        bson_uint32_to_string(n++, &index, memory, sizeof memory);
        BSON_APPEND_DOCUMENT(batch, index, row);
        if (n == limit) {
            break;
        }
    }
    data_rows_free(&rows);
}

/* All that a client asks for comes in the first batch: no cursor stays open. */
enum cmd_outcome cmd_find(struct cmd *c)
{
    const char *collection = cmd_text(c->body, c->name);
    char ns[128];
    bson_t cursor, batch;
    if (collection == NULL) {
        return cmd_fail(c, 14, "find needs the name of a collection");
    }
    if (!may_read(c)) {
        return CMD_REPLY;
    }
    ns_of(c, collection, ns);
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "cursor", &cursor);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
    if (strcmp(ns, "local.oplog.rs") == 0) {
        put_oplog(c, &batch);
    } else {
        put_rows(c, ns, &batch);
    }
    bson_append_array_end(&cursor, &batch);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", ns);
    bson_append_document_end(&c->reply, &cursor);
    return cmd_ok(c);
}

enum cmd_outcome cmd_get_more(struct cmd *c)
{
    return cmd_fail(c, 43, "cursor id %lld not found", (long long)cmd_int(c->body, c->name, 0));
}

static int64_t count_rows(struct cmd *c, const bson_t *filter)
{
    struct data_rows rows;
    char ns[128];
    int64_t count = 0;
    ns_of(c, cmd_text(c->body, c->name), ns);
    data_rows(c->hub, c->node->index, ns, &rows);
    for (size_t k = 0; k < rows.count; k++) {
        count += data_matches(rows.rows[k], filter);
    }
    data_rows_free(&rows);
    return count;
}

enum cmd_outcome cmd_count(struct cmd *c)
{
    bson_t query, empty = BSON_INITIALIZER;
    if (cmd_text(c->body, c->name) == NULL || !may_read(c)) {
        return cmd_text(c->body, c->name) == NULL ? cmd_fail(c, 14, "count needs a collection")
                                                  : CMD_REPLY;
    }
    bool has_query = cmd_document(c->body, "query", &query);
    BSON_APPEND_INT32(&c->reply, "n", (int32_t)count_rows(c, has_query ? &query : &empty));
    return cmd_ok(c);
}

/* Just what drivers send to count: [{$match}, {$group: {_id, n: {$sum: 1}}}]. */
enum cmd_outcome cmd_aggregate(struct cmd *c)
{
    bson_t pipeline, stage, match, empty = BSON_INITIALIZER, cursor, batch, row;
    if (cmd_text(c->body, c->name) == NULL || !cmd_document(c->body, "pipeline", &pipeline) ||
        !cmd_document(&pipeline, "1", &stage) || !bson_has_field(&stage, "$group")) {
        return cmd_fail(c, 40324, "aggregate: only a count ($match, $group) is known here");
    }
    if (!may_read(c)) {
        return CMD_REPLY;
    }
    bool has_match = cmd_document(&pipeline, "0", &stage) && cmd_document(&stage, "$match", &match);
    int64_t count = count_rows(c, has_match ? &match : &empty);
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "cursor", &cursor);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
    if (count > 0) {
        BSON_APPEND_DOCUMENT_BEGIN(&batch, "0", &row);
        BSON_APPEND_INT32(&row, "_id", 1);
        BSON_APPEND_INT32(&row, "n", (int32_t)count);
        bson_append_document_end(&batch, &row);
    }
    bson_append_array_end(&cursor, &batch);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", c->request->db);
    bson_append_document_end(&c->reply, &cursor);
    return cmd_ok(c);
}
