/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as skip lists, and an undo list back to the last commit; see store_mem.h.
 *
 * The height of a node comes from a generator of the store's own, so equal histories give equal
 * structures. An undo record owns the value that was replaced, so that neither changing nor rolling
 * back copies values.
 */
#include "raft/store_mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/rand.h"
#include "raft/job_list.h"
#include "raft/store_mem_image.h"

#define LEVELS 16u

struct value {
    uint8_t *data;
    size_t len;
};

struct node {
    struct node *back; /* neighbour on the lowest level; NULL: first */
    struct value value;
    struct value key;
    unsigned levels;
    struct node *next[]; /* as many as levels */
};

struct table {
    struct node *first[LEVELS];
    struct node *last;
    size_t rows;
    size_t bytes;
};

/* How to take one change back. */
struct undo {
    enum store_table table;
    bool was_there;
    struct value old; /* when it was there */
    struct value key;
};

struct store_mem {
    struct store_txn txn; /* first: the operations are handed a pointer to it */
    struct table tables[STORE_TABLE_COUNT];
    struct base_rand rand;
    struct undo *undos;
    size_t undo_count;
    size_t undo_cap;
    struct job_list queue;
    struct job_list waiting; /* run, for the commit to come */
    struct job_list ready;   /* completions to be delivered; the first ready_ok of them succeeded */
    size_t ready_ok;
    size_t uncommitted;
    uint64_t fail_in; /* 0: never */
    int fail_error;
    int failed; /* error of the store, once it has failed */
    bool is_fatal_told;
    void (*fatal)(void *ctx, int status);
    void *fatal_ctx;
    struct store_mem_images *images;
};

/* --- skip list --- */

static struct slice value_slice(struct value value)
{
    return slice_from(value.data, value.len);
}

/* Copies bytes; false without memory. An empty value has no memory of its own. */
static bool value_make(struct slice bytes, struct value *ret)
{
    struct value value = {NULL, bytes.len};
    if (bytes.len > 0) {
        value.data = malloc(bytes.len);
        if (value.data == NULL) {
            return false;
        }
        memcpy(value.data, bytes.data, bytes.len);
    }
    *ret = value;
    return true;
}

/* The links that lead past `key`: ret_links[level] is the place of the pointer to the first node
 * with a key >= `key`. Returns the last node below it, or NULL. */
static struct node *seek(struct table *table, struct slice key, struct node **ret_links[LEVELS])
{
    struct node *before = NULL;
    for (unsigned level = LEVELS; level > 0; level--) {
        struct node **link = before == NULL ? &table->first[level - 1] : &before->next[level - 1];
        while (*link != NULL && slice_compare(value_slice((*link)->key), key) < 0) {
            before = *link;
            link = &before->next[level - 1];
        }
        ret_links[level - 1] = link;
    }
    return before;
}

static struct node *find(struct table *table, struct slice key)
{
    struct node **links[LEVELS];
    (void)seek(table, key, links);
    struct node *node = *links[0];
    return node != NULL && slice_equal(value_slice(node->key), key) ? node : NULL;
}

static unsigned pick_levels(struct store_mem *mem)
{
    uint64_t bits = base_rand_next(&mem->rand);
    unsigned levels = 1;
    while (levels < LEVELS && (bits & 3) == 0) {
        levels++;
        bits >>= 2;
    }
    return levels;
}

/* Adds a key that is not there; takes both values over. False without memory. */
static bool insert(struct store_mem *mem, struct table *table, struct value key, struct value value)
{
    struct node **links[LEVELS];
    unsigned levels = pick_levels(mem);
    struct node *node = malloc(sizeof(*node) + levels * sizeof(node->next[0]));
    if (node == NULL) {
        return false;
    }
    *node = (struct node){.value = value, .key = key, .levels = levels};
    node->back = seek(table, value_slice(key), links);
    for (unsigned level = 0; level < levels; level++) {
        node->next[level] = *links[level];
        *links[level] = node;
    }
    if (node->next[0] != NULL) {
        node->next[0]->back = node;
    } else {
        table->last = node;
    }
    table->rows++;
    table->bytes += key.len + value.len;
    return true;
}

/* Takes a node out and frees it; its value goes to the caller. */
static struct value detach(struct table *table, struct node *node)
{
    struct node **links[LEVELS];
    struct value value = node->value;
    (void)seek(table, value_slice(node->key), links);
    for (unsigned level = 0; level < node->levels; level++) {
        *links[level] = node->next[level];
    }
    if (node->next[0] != NULL) {
        node->next[0]->back = node->back;
    } else {
        table->last = node->back;
    }
    table->rows--;
    table->bytes -= node->key.len + value.len;
    free(node->key.data);
    free(node);
    return value;
}

static void replace(struct table *table, struct node *node, struct value value)
{
    table->bytes += value.len - node->value.len;
    node->value = value;
}

/* --- undo --- */

static bool undo_reserve(struct store_mem *mem)
{
    if (mem->undo_count < mem->undo_cap) {
        return true;
    }
    size_t cap = mem->undo_cap == 0 ? 64 : mem->undo_cap * 2;
    struct undo *undos = realloc(mem->undos, cap * sizeof(*undos));
    if (undos == NULL) {
        return false;
    }
    mem->undos = undos;
    mem->undo_cap = cap;
    return true;
}

static void undo_one(struct store_mem *mem, struct undo *undo)
{
    struct table *table = &mem->tables[undo->table];
    struct node *node = find(table, value_slice(undo->key));
    if (node != NULL && undo->was_there) {
        free(node->value.data);
        replace(table, node, undo->old);
    } else if (node != NULL) {
        struct value gone = detach(table, node);
        free(gone.data);
    } else if (undo->was_there) {
        BASE_ASSERT(insert(mem, table, undo->key, undo->old));
        undo->key.data = NULL; /* the node has it now */
    }
    free(undo->key.data);
}

static void roll_back(struct store_mem *mem)
{
    while (mem->undo_count > 0) {
        undo_one(mem, &mem->undos[--mem->undo_count]);
    }
    mem->uncommitted = 0;
}

static void undo_forget(struct store_mem *mem)
{
    for (size_t i = 0; i < mem->undo_count; i++) {
        free(mem->undos[i].key.data);
        free(mem->undos[i].old.data);
    }
    mem->undo_count = 0;
}

/* --- operations of the transaction --- */

static struct store_mem *mem_of(struct store_txn *txn)
{
    return (struct store_mem *)txn;
}

static bool is_key(struct slice key)
{
    return key.len > 0 && key.len <= STORE_KEY_MAX;
}

/* Counts down to an injected failure. */
static int may_fail(struct store_mem *mem)
{
    if (mem->fail_in == 0 || --mem->fail_in > 0) {
        return 0;
    }
    return mem->fail_error;
}

static int mem_get(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice *ret)
{
    struct node *node = find(&mem_of(txn)->tables[table], key);
    if (node == NULL) {
        return BASE_E_NOTFOUND;
    }
    *ret = value_slice(node->value);
    return 0;
}

static int mem_put(struct store_txn *txn, enum store_table table_id, struct slice key,
                   struct slice bytes)
{
    struct store_mem *mem = mem_of(txn);
    struct table *table = &mem->tables[table_id];
    struct undo undo = {.table = table_id};
    struct value value;
    struct value own_key;
    int rc = is_key(key) ? may_fail(mem) : BASE_E_TOOBIG;
    if (rc != 0) {
        return rc;
    }
    if (!undo_reserve(mem) || !value_make(key, &undo.key)) {
        return BASE_E_NOMEM;
    }
    if (!value_make(bytes, &value)) {
        free(undo.key.data);
        return BASE_E_NOMEM;
    }
    struct node *node = find(table, key);
    if (node != NULL) {
        undo.was_there = true;
        undo.old = node->value;
        replace(table, node, value);
    } else if (!value_make(key, &own_key)) {
        free(undo.key.data);
        free(value.data);
        return BASE_E_NOMEM;
    } else if (!insert(mem, table, own_key, value)) {
        free(undo.key.data);
        free(value.data);
        free(own_key.data);
        return BASE_E_NOMEM;
    }
    mem->undos[mem->undo_count++] = undo;
    return 0;
}

static int mem_del(struct store_txn *txn, enum store_table table_id, struct slice key)
{
    struct store_mem *mem = mem_of(txn);
    struct table *table = &mem->tables[table_id];
    struct undo undo = {.table = table_id, .was_there = true};
    struct node *node = find(table, key);
    if (node == NULL) {
        return BASE_E_NOTFOUND;
    }
    int rc = may_fail(mem);
    if (rc != 0) {
        return rc;
    }
    if (!undo_reserve(mem) || !value_make(key, &undo.key)) {
        return BASE_E_NOMEM;
    }
    undo.old = detach(table, node);
    mem->undos[mem->undo_count++] = undo;
    return 0;
}

static int mem_scan(struct store_txn *txn, enum store_table table_id, struct slice from,
                    store_visit_fn *visit, void *ctx)
{
    struct table *table = &mem_of(txn)->tables[table_id];
    struct node **links[LEVELS];
    (void)seek(table, from, links);
    int rc = 0;
    for (struct node *node = *links[0]; node != NULL && rc == 0; node = node->next[0]) {
        rc = visit(ctx, value_slice(node->key), value_slice(node->value));
    }
    return rc > 0 ? 0 : rc;
}

static int mem_scan_back(struct store_txn *txn, enum store_table table_id, struct slice before,
                         store_visit_fn *visit, void *ctx)
{
    struct table *table = &mem_of(txn)->tables[table_id];
    struct node **links[LEVELS];
    struct node *node = before.len == 0 ? table->last : seek(table, before, links);
    int rc = 0;
    for (; node != NULL && rc == 0; node = node->back) {
        rc = visit(ctx, value_slice(node->key), value_slice(node->value));
    }
    return rc > 0 ? 0 : rc;
}

static int mem_del_range(struct store_txn *txn, enum store_table table_id, struct slice from,
                         struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    struct table *table = &mem_of(txn)->tables[table_id];
    uint64_t rows = 0;
    int rc = 0;
    while (rc == 0 && (rows_max == 0 || rows < rows_max)) {
        struct node **links[LEVELS];
        (void)seek(table, from, links);
        const struct node *node = *links[0];
        if (node == NULL ||
            (before.len > 0 && slice_compare(value_slice(node->key), before) >= 0)) {
            break;
        }
        rc = mem_del(txn, table_id, value_slice(node->key));
        rows += rc == 0;
    }
    if (rc == 0 && ret_rows != NULL) {
        *ret_rows = rows;
    }
    return rc;
}

static int mem_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        bytes += mem_of(txn)->tables[i].bytes;
    }
    *ret_bytes = bytes;
    *ret_bytes_used = bytes;
    return 0;
}

static const struct store_txn_ops mem_ops = {
    .get = mem_get,
    .put = mem_put,
    .del = mem_del,
    .scan = mem_scan,
    .scan_back = mem_scan_back,
    .del_range = mem_del_range,
    .size = mem_size,
};

/* --- jobs --- */

static void list_move(struct job_list *to, struct job_list *from)
{
    for (struct store_job *job = job_list_pop(from); job != NULL; job = job_list_pop(from)) {
        job_list_push(to, job);
    }
}

static void mem_submit(void *ctx, struct store_job *job)
{
    struct store_mem *mem = ctx;
    job_list_push(&mem->queue, job);
}

/* The store is broken: nothing of the open batch is kept, and every job that is not done fails. */
static void fail(struct store_mem *mem, int error)
{
    mem->failed = error;
    roll_back(mem);
    list_move(&mem->ready, &mem->waiting);
}

static void complete_ok(struct store_mem *mem, struct store_job *job)
{
    job_list_push(&mem->ready, job);
    mem->ready_ok++;
}

bool store_mem_run_one(struct store_mem *mem)
{
    struct store_job *job = job_list_pop(&mem->queue);
    if (job == NULL) {
        return false;
    }
    if (mem->failed == 0) {
        int rc = job->run(job, &mem->txn);
        if (rc < 0) {
            fail(mem, rc);
        }
    }
    if (mem->failed != 0) {
        job_list_push(&mem->ready, job);
        return true;
    }
    mem->uncommitted += !job->is_read_only;
    if (job->wants_durable) {
        job_list_push(&mem->waiting, job);
    } else {
        complete_ok(mem, job);
    }
    return true;
}

void store_mem_commit(struct store_mem *mem)
{
    int rc = mem->uncommitted > 0 && mem->failed == 0 ? may_fail(mem) : 0;
    if (rc != 0 && !CANARY(CONTINUE_AFTER_FAILED_SYNC)) {
        fail(mem, rc);
        return;
    }
    if (rc == 0) {
        undo_forget(mem); /* else a crash still takes it back */
        mem->uncommitted = 0;
    }
    for (struct store_job *job = job_list_pop(&mem->waiting); job != NULL;
         job = job_list_pop(&mem->waiting)) {
        complete_ok(mem, job);
    }
}

size_t store_mem_complete(struct store_mem *mem)
{
    size_t count = mem->ready.count; /* what completions make ready is for the next call */
    for (size_t i = 0; i < count; i++) {
        struct store_job *job = job_list_pop(&mem->ready);
        if (job == NULL) {
            return i; /* a completion crashed the store */
        }
        bool is_ok = mem->ready_ok > 0;
        mem->ready_ok -= is_ok;
        job->done(job, is_ok ? 0 : mem->failed);
    }
    count += store_mem_images_complete(mem->images);
    if (mem->failed != 0 && !mem->is_fatal_told && mem->fatal != NULL) {
        mem->is_fatal_told = true;
        mem->fatal(mem->fatal_ctx, mem->failed);
    }
    return count;
}

void store_mem_step(struct store_mem *mem)
{
    do {
        while (store_mem_run_one(mem)) {
        }
        store_mem_commit(mem);
        while (store_mem_snapshot_step(mem)) {
        }
    } while (store_mem_complete(mem) > 0 || mem->queue.count > 0);
}

void store_mem_crash(struct store_mem *mem)
{
    roll_back(mem);
    mem->queue = (struct job_list){0};
    mem->waiting = (struct job_list){0};
    mem->ready = (struct job_list){0};
    mem->ready_ok = 0;
    mem->fail_in = 0;
    mem->failed = 0;
    mem->is_fatal_told = false;
    store_mem_images_crash(mem->images);
}

struct store_mem_images *store_mem_images_of(struct store_mem *mem)
{
    return mem->images;
}

int store_mem_failed(const struct store_mem *mem)
{
    return mem->failed;
}

void store_mem_break(struct store_mem *mem, int error)
{
    fail(mem, error);
}

void store_mem_fail_at(struct store_mem *mem, uint64_t n, int error)
{
    mem->fail_in = n;
    mem->fail_error = error;
}

void store_mem_on_fatal(struct store_mem *mem, void (*fatal)(void *ctx, int status), void *ctx)
{
    mem->fatal = fatal;
    mem->fatal_ctx = ctx;
}

size_t store_mem_queued(const struct store_mem *mem)
{
    return mem->queue.count;
}

size_t store_mem_uncommitted(const struct store_mem *mem)
{
    return mem->uncommitted;
}

size_t store_mem_ready(const struct store_mem *mem)
{
    return mem->ready.count;
}

struct store_txn *store_mem_txn(struct store_mem *mem)
{
    return &mem->txn;
}

struct store_port store_mem_port(struct store_mem *mem)
{
    return (struct store_port){.ctx = mem, .submit = mem_submit};
}

struct store_mem *store_mem_create(void)
{
    struct store_mem *mem = calloc(1, sizeof(*mem));
    if (mem != NULL) {
        mem->txn.ops = &mem_ops;
        mem->rand = base_rand_make(1, 0);
        mem->images = store_mem_images_create(mem);
        if (mem->images == NULL) {
            return store_mem_destroy(mem);
        }
    }
    return mem;
}

struct store_mem *store_mem_destroy(struct store_mem *mem)
{
    if (mem == NULL) {
        return NULL;
    }
    mem->images = store_mem_images_destroy(mem->images);
    undo_forget(mem);
    free(mem->undos);
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        for (struct node *node = mem->tables[i].first[0]; node != NULL;) {
            struct node *next = node->next[0];
            free(node->key.data);
            free(node->value.data);
            free(node);
            node = next;
        }
    }
    free(mem);
    return NULL;
}
