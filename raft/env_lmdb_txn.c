/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the state store's transaction; see env_lmdb.h. */
#include "base/assert.h"
#include "raft/env_lmdb_internal.h"

static struct env_lmdb *env_of(struct store_txn *txn)
{
    return (struct env_lmdb *)txn;
}

static bool is_key(struct slice key)
{
    return key.len > 0 && key.len <= STORE_KEY_MAX;
}

/* LMDB takes pointers without const, and does not write through those of keys and values given to
 * it. */
static MDB_val val_of(struct slice bytes)
{
    union {
        const uint8_t *constant;
        void *plain;
    } pointer = {.constant = bytes.data};
    return (MDB_val){.mv_size = bytes.len, .mv_data = pointer.plain};
}

static struct slice slice_of(const MDB_val *val)
{
    return slice_from(val->mv_data, val->mv_size);
}

static int lmdb_get(struct store_txn *txn, enum store_table table, struct slice key,
                    struct slice *ret)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    MDB_val v = {0};
    if (!is_key(key)) {
        return BASE_E_NOTFOUND;
    }
    int rc = env_lmdb_failure(env, "read", mdb_get(env->open, env->tables[table], &k, &v));
    env_lmdb_map_looked(&env->map, ENV_LMDB_LOOK + v.mv_size);
    if (rc == 0) {
        *ret = slice_of(&v);
    }
    return rc;
}

/* LMDB keeps a copy of each page that a transaction changes in memory, and keeps that memory for
 * later ones. It does not tell how many they are; a change touches one leaf more, unless all leaves
 * of the table are counted already. */
static void note_change(struct env_lmdb *env, enum store_table table, size_t bytes)
{
    struct env_lmdb_touched *touched = &env->touched[table];
    bool is_appended = table == STORE_LOG || table == STORE_KV_REVS;
    env_lmdb_map_looked(&env->map, ENV_LMDB_LOOK + bytes);
    env->is_batch_written = true;
    env->batch_bytes += bytes;
    touched->bytes += bytes;
    MDB_stat stat;
    if (touched->leaves == 0 && !is_appended &&
        mdb_stat(env->open, env->tables[table], &stat) == 0) {
        touched->leaves = stat.ms_leaf_pages;
    }
    uint64_t most = (is_appended ? 1 : touched->leaves) + touched->bytes / 2048 + 1;
    uint64_t pages = bytes / 4096 + (touched->pages < most);
    touched->pages += pages;
    env->batch_pages += pages;
}

static int lmdb_put(struct store_txn *txn, enum store_table table, struct slice key,
                    struct slice value)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    int native = MDB_KEYEXIST;
    if (!is_key(key)) {
        return BASE_E_TOOBIG;
    }
    note_change(env, table, key.len + value.len);
    /* These two grow at the end, where an append fills pages to the brim instead of splitting them
     * in half. */
    if (table == STORE_LOG || table == STORE_KV_REVS) {
        native = mdb_put(env->open, env->tables[table], &k, &v, MDB_APPEND);
    }
    if (native == MDB_KEYEXIST) {
        k = val_of(key);
        v = val_of(value);
        native = mdb_put(env->open, env->tables[table], &k, &v, 0);
    }
    return env_lmdb_failure(env, "write", native);
}

static int lmdb_del(struct store_txn *txn, enum store_table table, struct slice key)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    if (!is_key(key)) {
        return BASE_E_NOTFOUND;
    }
    int rc = env_lmdb_failure(env, "delete", mdb_del(env->open, env->tables[table], &k, NULL));
    if (rc == 0) {
        note_change(env, table, key.len);
    }
    return rc;
}

struct walk {
    struct env_lmdb *env;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    store_visit_fn *visit;
    void *ctx;
};

/* Visits from where the cursor's first move (`native`) led, until the visitor stops or the rows
 * end. */
static int walk_run(struct walk *walk, int native, MDB_cursor_op step)
{
    while (native == 0) {
        env_lmdb_map_looked(&walk->env->map, walk->key.mv_size + walk->value.mv_size);
        int rc = walk->visit(walk->ctx, slice_of(&walk->key), slice_of(&walk->value));
        if (rc != 0) {
            return rc > 0 ? 0 : rc;
        }
        native = mdb_cursor_get(walk->cursor, &walk->key, &walk->value, step);
    }
    return native == MDB_NOTFOUND ? 0 : env_lmdb_failure(walk->env, "scan", native);
}

static int lmdb_scan(struct store_txn *txn, enum store_table table, struct slice from,
                     store_visit_fn *visit, void *ctx)
{
    struct env_lmdb *env = env_of(txn);
    struct walk walk = {.env = env, .key = val_of(from), .visit = visit, .ctx = ctx};
    int native = mdb_cursor_open(env->open, env->tables[table], &walk.cursor);
    if (native != 0) {
        return env_lmdb_failure(env, "scan", native);
    }
    native = mdb_cursor_get(walk.cursor, &walk.key, &walk.value,
                            from.len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    int rc = walk_run(&walk, native, MDB_NEXT);
    mdb_cursor_close(walk.cursor);
    return rc;
}

static int lmdb_scan_back(struct store_txn *txn, enum store_table table, struct slice before,
                          store_visit_fn *visit, void *ctx)
{
    struct env_lmdb *env = env_of(txn);
    struct walk walk = {.env = env, .key = val_of(before), .visit = visit, .ctx = ctx};
    int native = mdb_cursor_open(env->open, env->tables[table], &walk.cursor);
    if (native != 0) {
        return env_lmdb_failure(env, "scan", native);
    }
    MDB_cursor_op first = MDB_LAST;
    if (before.len > 0 && mdb_cursor_get(walk.cursor, &walk.key, &walk.value, MDB_SET_RANGE) == 0) {
        first = MDB_PREV; /* stands on the first key that is not below */
    }
    native = mdb_cursor_get(walk.cursor, &walk.key, &walk.value, first);
    int rc = walk_run(&walk, native, MDB_PREV);
    mdb_cursor_close(walk.cursor);
    return rc;
}

/* Deletes at the cursor until a key is not below `before`. */
static int del_run(struct env_lmdb *env, enum store_table table, MDB_cursor *cursor, MDB_val *key,
                   struct slice before, uint64_t rows_max, uint64_t *rows)
{
    MDB_val value;
    int native = mdb_cursor_get(cursor, key, &value, key->mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    while (native == 0 && (rows_max == 0 || *rows < rows_max)) {
        if (before.len > 0 && slice_compare(slice_from(key->mv_data, key->mv_size), before) >= 0) {
            return 0;
        }
        native = mdb_cursor_del(cursor, 0);
        if (native == 0) {
            ++*rows;
            note_change(env, table, key->mv_size);
            native = mdb_cursor_get(cursor, key, &value, MDB_NEXT);
        }
    }
    return native == 0 || native == MDB_NOTFOUND ? 0 : env_lmdb_failure(env, "delete", native);
}

static int lmdb_del_range(struct store_txn *txn, enum store_table table, struct slice from,
                          struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val key = val_of(from);
    MDB_cursor *cursor = NULL;
    uint64_t rows = 0;
    int native = mdb_cursor_open(env->open, env->tables[table], &cursor);
    if (native != 0) {
        return env_lmdb_failure(env, "delete", native);
    }
    int rc = del_run(env, table, cursor, &key, before, rows_max, &rows);
    mdb_cursor_close(cursor);
    if (rc == 0 && ret_rows != NULL) {
        *ret_rows = rows;
    }
    return rc;
}

static int lmdb_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    struct env_lmdb *env = env_of(txn);
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t pages = 2; /* the meta pages */
    int native = mdb_env_info(env->env, &info);
    for (size_t i = 0; i < STORE_TABLE_COUNT && native == 0; i++) {
        native = mdb_stat(env->open, env->tables[i], &stat);
        if (native == 0) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        }
    }
    if (native != 0) {
        return env_lmdb_failure(env, "size", native);
    }
    *ret_bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    *ret_bytes_used = pages * stat.ms_psize;
    return 0;
}

const struct store_txn_ops env_lmdb_ops = {
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .scan = lmdb_scan,
    .scan_back = lmdb_scan_back,
    .del_range = lmdb_del_range,
    .size = lmdb_size,
};
