/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the state store: their bytes (any damage is found, any chunking is taken), and the port
 * that makes and installs them, in memory and over LMDB, with crashes in between. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/canary.h"
#include "base/rand.h"
#include "raft/log_store.h"
#include "raft/snapshot_format.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

/* --- bytes --- */

#define IMAGE_MAX ((size_t)8 << 20)

static uint8_t writer_memory[SNAPSHOT_BLOCK_MAX];
static uint8_t reader_memory[SNAPSHOT_BLOCK_MAX];

struct image {
    uint8_t *bytes;
    size_t len;
};

static struct image image_new(void)
{
    struct image image = {.bytes = malloc(IMAGE_MAX)};
    assert_non_null(image.bytes);
    return image;
}

static void image_add(struct image *image, struct slice bytes)
{
    assert_true(image->len + bytes.len <= IMAGE_MAX);
    if (bytes.len > 0) {
        memcpy(image->bytes + image->len, bytes.data, bytes.len);
    }
    image->len += bytes.len;
}

struct digest {
    uint64_t sum;
    uint64_t rows;
    uint64_t index;
};

static void digest_bytes(struct digest *digest, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        digest->sum = digest->sum * 31 + bytes.data[i];
    }
    digest->sum = digest->sum * 37 + bytes.len;
}

static int digest_head(void *ctx, const struct snapshot_head *head)
{
    struct digest *digest = ctx;
    digest->index = head->index;
    digest_bytes(digest, head->configuration);
    return 0;
}

static int digest_row(void *ctx, enum store_table table, struct slice key, struct slice value)
{
    struct digest *digest = ctx;
    digest->sum = digest->sum * 41 + (uint64_t)table;
    digest->rows++;
    digest_bytes(digest, key);
    digest_bytes(digest, value);
    return 0;
}

static int read_image(struct slice bytes, struct base_rand *rand, uint64_t chunk_max,
                      struct digest *ret)
{
    struct snapshot_visitor visitor = {.ctx = ret, .head = digest_head, .row = digest_row};
    struct snapshot_reader reader = snapshot_reader_over(reader_memory, visitor);
    *ret = (struct digest){0};
    while (bytes.len > 0) {
        size_t len = (size_t)base_rand_between(rand, 1, chunk_max);
        len = len > bytes.len ? bytes.len : len;
        int rc = snapshot_reader_take(&reader, slice_from(bytes.data, len));
        if (rc != 0) {
            assert_int_equal(snapshot_reader_take(&reader, SLICE_EMPTY), rc);
            return rc;
        }
        bytes = slice_skip(bytes, len);
    }
    return snapshot_reader_end(&reader);
}

static struct image small_image(uint32_t rows, size_t value_max, struct digest *ret)
{
    struct image image = image_new();
    struct snapshot_writer writer = snapshot_writer_over(writer_memory);
    struct snapshot_head head = {
        .cluster_id = 7, .index = 99, .term = 3, .configuration = SLICE_LIT("who belongs")};
    static uint8_t value[1 << 20];
    *ret = (struct digest){0};
    memset(value, 'v', sizeof(value));
    assert_int_equal(digest_head(ret, &head), 0);
    image_add(&image, snapshot_writer_head(&writer, &head));
    for (uint32_t i = 0; i < rows; i++) {
        enum store_table table = i < rows / 2 ? STORE_META : STORE_KV_REVS;
        uint8_t key[4];
        struct buf k = buf_over(key, sizeof(key));
        struct slice out = SLICE_EMPTY;
        struct slice v = slice_from(value, (i * 7919) % value_max);
        buf_put_u32_be(&k, i + 1);
        assert_int_equal(snapshot_writer_row(&writer, table, buf_slice(&k), v, &out), 0);
        assert_int_equal(digest_row(ret, table, buf_slice(&k), v), 0);
        image_add(&image, out);
    }
    image_add(&image, snapshot_writer_flush(&writer));
    image_add(&image, snapshot_writer_end(&writer));
    assert_int_equal(writer.bytes, image.len);
    assert_int_equal(image.len % SNAPSHOT_ALIGN, 0);
    return image;
}

static void any_chunking_reads_the_same(void **state)
{
    (void)state;
    static const uint64_t chunks[] = {1, 7, 512, 4096, 300000, IMAGE_MAX};
    struct base_rand rand = base_rand_make(5, 0);
    struct digest wanted;
    struct digest got;
    struct image image = small_image(300, 9000, &wanted);
    for (size_t i = 0; i < BASE_COUNT_OF(chunks); i++) {
        assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, chunks[i], &got), 0);
        assert_true(got.sum == wanted.sum && got.rows == 300 && got.index == 99);
    }
    free(image.bytes);
    image = small_image(6, SNAPSHOT_ROW_MAX > 1000000 ? 1000000 : 1, &wanted);
    assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, 5000, &got), 0);
    assert_true(got.sum == wanted.sum);
    free(image.bytes);
    image = small_image(0, 1, &wanted);
    assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, 5000, &got), 0);
    assert_int_equal(got.rows, 0);
    free(image.bytes);
}

static void damage_of_any_byte_is_found(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(6, 0);
    struct digest digest;
    struct image image = small_image(20, 60, &digest);
    for (size_t i = 0; i < image.len; i++) {
        uint8_t flip = (uint8_t)(1u << base_rand_between(&rand, 0, 7));
        image.bytes[i] ^= flip;
        assert_int_not_equal(read_image(slice_from(image.bytes, image.len), &rand, 4096, &digest),
                             0);
        image.bytes[i] ^= flip;
        assert_int_equal(read_image(slice_from(image.bytes, i), &rand, 4096, &digest),
                         BASE_E_CORRUPT);
    }
    image_add(&image, SLICE_LIT("\0"));
    assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, 4096, &digest),
                     BASE_E_CORRUPT);
    free(image.bytes);
}

static void rows_out_of_order_are_refused(void **state)
{
    (void)state;
    static const char *const keys[][2] = {{"b", "a"}, {"b", "b"}, {"ba", "b"}};
    struct base_rand rand = base_rand_make(7, 0);
    for (size_t i = 0; i < BASE_COUNT_OF(keys) + 1; i++) {
        struct image image = image_new();
        struct snapshot_writer writer = snapshot_writer_over(writer_memory);
        struct snapshot_head head = {.index = 1};
        struct slice out;
        struct digest digest;
        bool is_table = i == BASE_COUNT_OF(keys);
        const char *first = is_table ? "a" : keys[i][0];
        const char *second = is_table ? "b" : keys[i][1];
        image_add(&image, snapshot_writer_head(&writer, &head));
        assert_int_equal(snapshot_writer_row(&writer, STORE_AUTH, sl(first), SLICE_EMPTY, &out), 0);
        assert_int_equal(snapshot_writer_row(&writer, is_table ? STORE_META : STORE_AUTH,
                                             sl(second), SLICE_EMPTY, &out),
                         0);
        image_add(&image, snapshot_writer_flush(&writer));
        image_add(&image, snapshot_writer_end(&writer));
        assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, 99, &digest),
                         BASE_E_CORRUPT);
        free(image.bytes);
    }
}

static void rows_at_the_limit(void **state)
{
    (void)state;
    static uint8_t value[SNAPSHOT_ROW_MAX];
    static uint8_t key[STORE_KEY_MAX + 1];
    struct snapshot_writer writer = snapshot_writer_over(writer_memory);
    struct snapshot_head head = {.index = 1};
    struct slice out = SLICE_EMPTY;
    struct slice longest = slice_from(value, SNAPSHOT_ROW_MAX - STORE_KEY_MAX - 7);
    (void)snapshot_writer_head(&writer, &head);
    memset(key, 'k', sizeof(key));
    assert_int_equal(
        snapshot_writer_row(&writer, STORE_AUTH, slice_from(key, STORE_KEY_MAX), longest, &out), 0);
    assert_true(out.len > longest.len);
    longest.len++;
    assert_int_equal(
        snapshot_writer_row(&writer, STORE_AUTH, slice_from(key, STORE_KEY_MAX), longest, &out),
        BASE_E_TOOBIG);
    assert_int_equal(snapshot_writer_row(&writer, STORE_AUTH, slice_from(key, STORE_KEY_MAX + 1),
                                         SLICE_EMPTY, &out),
                     BASE_E_TOOBIG);
}

static void what_is_in_an_image(void **state)
{
    (void)state;
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        assert_int_equal(snapshot_has_row((enum store_table)i, SLICE_LIT("any")), i != STORE_LOG);
    }
    assert_false(snapshot_has_row(STORE_META, SLICE_LIT("raft.ids")));
    assert_true(snapshot_has_row(STORE_META, SLICE_LIT("raft.members")));
    assert_true(snapshot_has_row(STORE_META, SLICE_LIT("quorum.restore")));
    assert_true(snapshot_has_row(STORE_META, SLICE_LIT("kv.revision")));
}

/* --- the port --- */

struct fill {
    uint64_t cluster;
    uint64_t node;
    uint64_t index;
    uint32_t rows;
    char value;
};

static int fill_run(void *ctx, struct store_txn *txn)
{
    const struct fill *fill = ctx;
    static uint8_t value[700];
    struct raft_configuration configuration = {.index = fill->index, .count = 1};
    configuration.members[0].id = 11;
    memset(value, fill->value, sizeof(value));
    int rc = log_store_check_ids(txn, fill->cluster, fill->node);
    if (rc == 0) {
        rc = log_store_save_applied(txn, fill->index, 2);
    }
    if (rc == 0) {
        rc = log_store_save_members(txn, &configuration);
    }
    for (uint32_t i = 0; i < fill->rows && rc == 0; i++) {
        uint8_t key[4];
        struct buf k = buf_over(key, sizeof(key));
        buf_put_u32_be(&k, i);
        for (size_t t = STORE_KV_CURRENT; t < STORE_TABLE_COUNT && rc == 0; t++) {
            rc = store_put(txn, (enum store_table)t, buf_slice(&k),
                           slice_from(value, (i * 31 + t) % sizeof(value)));
        }
    }
    return rc;
}

struct state_digest {
    struct digest digest;
    enum store_table table;
    uint64_t node;
};

static int state_row(void *ctx, struct slice key, struct slice value)
{
    struct state_digest *state = ctx;
    bool is_own = state->table == STORE_META && slice_equal(key, SLICE_LIT("raft.ids"));
    return is_own ? 0 : digest_row(&state->digest, state->table, key, value);
}

static int digest_run(void *ctx, struct store_txn *txn)
{
    struct state_digest *state = ctx;
    uint64_t cluster = 0;
    int rc = log_store_load_ids(txn, &cluster, &state->node);
    for (size_t t = 0; t < STORE_TABLE_COUNT && rc == 0; t++) {
        state->table = (enum store_table)t;
        rc = store_scan(txn, state->table, SLICE_EMPTY, state_row, state);
    }
    return rc;
}

static struct state_digest digest_of(struct test_store *store)
{
    struct state_digest digest = {0};
    assert_int_equal(test_store_run(store, digest_run, &digest, true), 0);
    return digest;
}

static void fill_store(struct test_store *store, struct fill fill)
{
    assert_int_equal(test_store_run(store, fill_run, &fill, false), 0);
}

static struct snapshot_port port_of(struct test_store *store)
{
    return store->kind == TEST_STORE_MEM ? store_mem_snapshot_port(store->mem)
                                         : env_lmdb_snapshot_port(store->env);
}

struct call {
    struct snapshot_job job;
    int status; /* 1: not ended */
};

static void call_done(struct snapshot_job *job, int status)
{
    ((struct call *)(void *)job)->status = status;
}

static struct call call_make(void)
{
    return (struct call){.job = {.done = call_done}, .status = 1};
}

static int call_wait(struct test_store *store, struct call *call, int rc)
{
    if (rc != 0) {
        return rc;
    }
    assert_int_equal(call->status, 1); /* never from inside the call */
    while (call->status == 1) {
        test_store_wait(store);
    }
    return call->status;
}

static struct image export_image(struct test_store *store, struct snapshot_info *ret)
{
    struct snapshot_port port = port_of(store);
    struct image image = image_new();
    struct call call = call_make();
    assert_int_equal(call_wait(store, &call, port.export_begin(port.ctx, &call.job)), 0);
    *ret = call.job.info;
    do {
        call = call_make();
        assert_int_equal(call_wait(store, &call, port.export_read(port.ctx, &call.job, image.len)),
                         0);
        image_add(&image, call.job.data);
    } while (call.job.data.len > 0);
    assert_int_equal(image.len, ret->bytes);
    port.export_end(port.ctx);
    return image;
}

static int import_image(struct test_store *store, struct slice bytes, struct snapshot_info *ret)
{
    struct snapshot_port port = port_of(store);
    struct call call = call_make();
    assert_int_equal(call_wait(store, &call, port.import_begin(port.ctx, &call.job)), 0);
    while (bytes.len > 0) {
        size_t len = bytes.len > 100000 ? 100000 : bytes.len;
        call = call_make();
        assert_int_equal(
            call_wait(store, &call,
                      port.import_write(port.ctx, &call.job, slice_from(bytes.data, len))),
            0);
        bytes = slice_skip(bytes, len);
    }
    call = call_make();
    int rc = call_wait(store, &call, port.import_install(port.ctx, &call.job));
    if (rc == 0 && ret != NULL) {
        *ret = call.job.info;
    }
    return rc;
}

static void image_moves_the_state(enum test_store_kind kind)
{
    struct test_store from;
    struct test_store to;
    struct snapshot_info info;
    struct snapshot_info installed;
    test_store_open(&from, kind, 0);
    test_store_open(&to, kind, 0);
    fill_store(&from,
               (struct fill){.cluster = 7, .node = 1, .index = 100, .rows = 500, .value = 'a'});
    fill_store(&to, (struct fill){.cluster = 7, .node = 2, .index = 90, .rows = 900, .value = 'b'});
    struct state_digest wanted = digest_of(&from);
    struct image image = export_image(&from, &info);
    assert_int_equal(info.index, 100);
    assert_int_equal(info.term, 2);
    assert_int_equal(info.cluster_id, 7);
    assert_int_equal(info.configuration.count, 1);
    fill_store(&from,
               (struct fill){.cluster = 7, .node = 1, .index = 101, .rows = 3, .value = 'c'});
    assert_int_equal(import_image(&to, slice_from(image.bytes, image.len), &installed), 0);
    assert_int_equal(installed.index, 100);
    assert_int_equal(installed.configuration.members[0].id, 11);
    struct state_digest got = digest_of(&to);
    assert_true(got.digest.sum == wanted.digest.sum && got.digest.rows == wanted.digest.rows);
    assert_int_equal(got.node, 2); /* its own ids stay */
    fill_store(&to, (struct fill){.cluster = 7, .node = 2, .index = 102, .rows = 1, .value = 'd'});
    if (kind == TEST_STORE_LMDB) {
        char directory[128];
        memcpy(directory, to.directory, sizeof(directory));
        struct state_digest before = digest_of(&to);
        to.env = env_lmdb_close(to.env);
        assert_int_equal(test_store_open_at(&to, directory, 0), 0);
        memcpy(to.directory, directory, sizeof(directory));
        assert_true(digest_of(&to).digest.sum == before.digest.sum);
    }
    free(image.bytes);
    test_store_close(&from);
    test_store_close(&to);
}

static void image_moves_the_state_in_memory(void **state)
{
    (void)state;
    image_moves_the_state(TEST_STORE_MEM);
}

static void image_moves_the_state_of_lmdb(void **state)
{
    (void)state;
    image_moves_the_state(TEST_STORE_LMDB);
}

static void what_is_refused(enum test_store_kind kind)
{
    struct test_store store;
    struct test_store other;
    struct snapshot_info info;
    test_store_open(&store, kind, 0);
    test_store_open(&other, kind, 0);
    fill_store(&store,
               (struct fill){.cluster = 7, .node = 1, .index = 10, .rows = 50, .value = 'a'});
    fill_store(&other,
               (struct fill){.cluster = 8, .node = 1, .index = 10, .rows = 5, .value = 'a'});
    struct state_digest before = digest_of(&store);
    struct snapshot_port port = port_of(&store);
    struct call call = call_make();
    struct call second = call_make();
    assert_int_equal(call_wait(&store, &call, port.export_begin(port.ctx, &call.job)), 0);
    assert_int_equal(port.export_begin(port.ctx, &second.job), BASE_E_BUSY);
    port.export_end(port.ctx);
    struct image foreign = export_image(&other, &info);
    assert_int_equal(import_image(&store, slice_from(foreign.bytes, foreign.len), NULL),
                     BASE_E_CONFLICT);
    struct image own = export_image(&store, &info);
    own.bytes[own.len / 2] ^= 1;
    assert_int_equal(import_image(&store, slice_from(own.bytes, own.len), NULL), BASE_E_CORRUPT);
    own.bytes[own.len / 2] ^= 1;
    assert_int_equal(import_image(&store, slice_from(own.bytes, own.len - 512), NULL),
                     BASE_E_CORRUPT);
    call = call_make();
    assert_int_equal(call_wait(&store, &call, port.import_install(port.ctx, &call.job)),
                     BASE_E_STATE);
    assert_true(digest_of(&store).digest.sum == before.digest.sum);
    assert_int_equal(store.fatal_calls, 0);
    assert_int_equal(import_image(&store, slice_from(own.bytes, own.len), NULL), 0);
    free(own.bytes);
    free(foreign.bytes);
    test_store_close(&store);
    test_store_close(&other);
}

static void what_is_refused_in_memory(void **state)
{
    (void)state;
    what_is_refused(TEST_STORE_MEM);
}

static void what_is_refused_by_lmdb(void **state)
{
    (void)state;
    what_is_refused(TEST_STORE_LMDB);
}

/* A crash at each step of an installation leaves the old state or the new one. */
static void crash_of_an_installation_in_memory(void **state)
{
    (void)state;
    struct test_store from;
    struct snapshot_info info;
    test_store_open(&from, TEST_STORE_MEM, 0);
    fill_store(&from,
               (struct fill){.cluster = 7, .node = 1, .index = 10, .rows = 20, .value = 'n'});
    uint64_t new_sum = digest_of(&from).digest.sum;
    struct image image = export_image(&from, &info);
    for (int steps = 0; steps <= 4; steps++) {
        struct test_store store;
        test_store_open(&store, TEST_STORE_MEM, 0);
        fill_store(&store,
                   (struct fill){.cluster = 7, .node = 2, .index = 5, .rows = 9, .value = 'o'});
        uint64_t old_sum = digest_of(&store).digest.sum;
        struct snapshot_port port = port_of(&store);
        struct call calls[3] = {call_make(), call_make(), call_make()};
        assert_int_equal(port.import_begin(port.ctx, &calls[0].job), 0);
        assert_int_equal(
            port.import_write(port.ctx, &calls[1].job, slice_from(image.bytes, image.len)), 0);
        assert_int_equal(port.import_install(port.ctx, &calls[2].job), 0);
        for (int i = 0; i < steps; i++) {
            assert_true(store_mem_snapshot_step(store.mem));
        }
        store_mem_crash(store.mem);
        assert_int_equal(store_mem_snapshot_pending(store.mem), 0);
        assert_true(digest_of(&store).digest.sum == (steps == 4 ? new_sum : old_sum));
        assert_int_equal(calls[2].status, 1);
        test_store_close(&store);
    }
    free(image.bytes);
    test_store_close(&from);
}

/* --- LMDB: writes meanwhile, leftovers, kill -9 --- */

static void image_while_others_write(void **state)
{
    (void)state;
    struct test_store from;
    struct test_store to;
    test_store_open(&from, TEST_STORE_LMDB, 0);
    test_store_open(&to, TEST_STORE_LMDB, 0);
    fill_store(&from,
               (struct fill){.cluster = 7, .node = 1, .index = 1, .rows = 3000, .value = 'a'});
    struct snapshot_port port = port_of(&from);
    struct call call = call_make();
    struct image image = image_new();
    uint64_t sums[64] = {0};
    uint64_t index = 1;
    sums[1] = digest_of(&from).digest.sum;
    assert_int_equal(port.export_begin(port.ctx, &call.job), 0);
    for (index = 2; index < 64 && (call.status == 1 || index < 10); index++) {
        struct fill fill = {.cluster = 7, .node = 1, .index = index, .rows = 40};
        fill.value = (char)('a' + index % 26);
        fill_store(&from, fill);
        sums[index] = digest_of(&from).digest.sum;
    }
    while (call.status == 1) {
        test_store_wait(&from);
    }
    assert_int_equal(call.status, 0);
    uint64_t at = call.job.info.index;
    do {
        call = call_make();
        assert_int_equal(call_wait(&from, &call, port.export_read(port.ctx, &call.job, image.len)),
                         0);
        image_add(&image, call.job.data);
    } while (call.job.data.len > 0);
    port.export_end(port.ctx);
    fill_store(&to, (struct fill){.cluster = 7, .node = 2, .index = 1, .rows = 1, .value = 'b'});
    assert_int_equal(import_image(&to, slice_from(image.bytes, image.len), NULL), 0);
    assert_in_range(at, 1, index);
    assert_true(digest_of(&to).digest.sum == sums[at]); /* one moment, not a mixture */
    free(image.bytes);
    test_store_close(&from);
    test_store_close(&to);
}

/* A client saves an image of a follower just when the leader sends it one: what is read must not be
 * the environment that is being closed. */
static void image_made_while_one_is_installed(void **state)
{
    (void)state;
    struct test_store from;
    struct test_store to;
    struct snapshot_info info;
    struct call made = call_make();
    struct call installed = call_make();
    struct digest digest;
    struct base_rand rand = base_rand_make(6, 0);
    test_store_open(&from, TEST_STORE_LMDB, 0);
    test_store_open(&to, TEST_STORE_LMDB, 0);
    fill_store(&from,
               (struct fill){.cluster = 7, .node = 1, .index = 9, .rows = 2000, .value = 'a'});
    fill_store(&to, (struct fill){.cluster = 7, .node = 2, .index = 3, .rows = 2000, .value = 'b'});
    struct image image = export_image(&from, &info);
    struct snapshot_port port = port_of(&to);
    struct call call = call_make();
    assert_int_equal(call_wait(&to, &call, port.import_begin(port.ctx, &call.job)), 0);
    for (size_t at = 0; at < image.len;) {
        size_t len = image.len - at > 100000 ? 100000 : image.len - at;
        struct slice piece = slice_from(image.bytes + at, len);
        call = call_make();
        assert_int_equal(call_wait(&to, &call, port.import_write(port.ctx, &call.job, piece)), 0);
        at += len;
    }
    assert_int_equal(port.export_begin(port.ctx, &made.job), 0);
    assert_int_equal(port.import_install(port.ctx, &installed.job), 0);
    while (made.status == 1 || installed.status == 1) {
        test_store_wait(&to);
    }
    assert_int_equal(installed.status, 0);
    assert_int_equal(made.status, 0);
    assert_true(made.job.info.index == 3 || made.job.info.index == 9);
    image.len = 0;
    do {
        call = call_make();
        assert_int_equal(call_wait(&to, &call, port.export_read(port.ctx, &call.job, image.len)),
                         0);
        image_add(&image, call.job.data);
    } while (call.job.data.len > 0);
    port.export_end(port.ctx);
    assert_int_equal(read_image(slice_from(image.bytes, image.len), &rand, 70000, &digest), 0);
    assert_int_equal(digest.index, made.job.info.index);
    free(image.bytes);
    test_store_close(&from);
    test_store_close(&to);
}

static void leftovers_go_at_the_start(void **state)
{
    (void)state;
    static const char *const names[] = {"image-in.tmp", "image-out.tmp", "store.new"};
    char directory[64];
    char path[128];
    struct test_store store;
    test_make_directory(directory, sizeof(directory));
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_int_equal(write(file, "half", 4), 4);
        assert_int_equal(close(file), 0);
    }
    assert_int_equal(test_store_open_at(&store, directory, 0), 0);
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    test_store_close(&store);
    test_remove_directory(directory);
}

/* Child: installs one of two images after the other until it is killed. */
_Noreturn static void install_for_ever(const char *directory, const struct image images[2])
{
    struct test_store store;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || test_store_open_at(&store, directory, 0) != 0) {
        _exit(3);
    }
    for (size_t i = 0;; i++) {
        const struct image *image = &images[i % 2];
        if (import_image(&store, slice_from(image->bytes, image->len), NULL) != 0) {
            _exit(4);
        }
    }
}

static void killed_installations_leave_old_or_new(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(3, 0);
    struct image images[2];
    uint64_t sums[2];
    struct snapshot_info info;
    char directory[64];
    for (size_t i = 0; i < 2; i++) {
        struct test_store store;
        test_store_open(&store, TEST_STORE_LMDB, 0);
        struct fill fill = {.cluster = 7, .node = 1, .index = 5 + i, .rows = 60, .value = 'x'};
        fill.value = (char)(fill.value + (char)i);
        fill_store(&store, fill);
        sums[i] = digest_of(&store).digest.sum;
        images[i] = export_image(&store, &info);
        test_store_close(&store);
    }
    test_make_directory(directory, sizeof(directory));
    for (int round = 0; round < 12; round++) {
        struct test_store store;
        int status = 0;
        if (round == 0) {
            assert_int_equal(test_store_open_at(&store, directory, 0), 0);
            fill_store(&store, (struct fill){.cluster = 7, .node = 2, .index = 5, .value = 'z'});
            assert_int_equal(import_image(&store, slice_from(images[0].bytes, images[0].len), NULL),
                             0);
            test_store_close(&store);
        }
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            install_for_ever(directory, images);
        }
        (void)usleep((useconds_t)base_rand_between(&rand, 1000, 40000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(test_store_open_at(&store, directory, 0), 0);
        struct state_digest got = digest_of(&store);
        assert_true(got.digest.sum == sums[0] || got.digest.sum == sums[1]);
        assert_int_equal(got.node, 2);
        test_store_close(&store);
    }
    test_remove_directory(directory);
    free(images[0].bytes);
    free(images[1].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunking_reads_the_same),
        cmocka_unit_test(damage_of_any_byte_is_found),
        cmocka_unit_test(rows_out_of_order_are_refused),
        cmocka_unit_test(rows_at_the_limit),
        cmocka_unit_test(what_is_in_an_image),
        cmocka_unit_test(image_moves_the_state_in_memory),
        cmocka_unit_test(image_moves_the_state_of_lmdb),
        cmocka_unit_test(what_is_refused_in_memory),
        cmocka_unit_test(what_is_refused_by_lmdb),
        cmocka_unit_test(crash_of_an_installation_in_memory),
        cmocka_unit_test(image_while_others_write),
        cmocka_unit_test(image_made_while_one_is_installed),
        cmocka_unit_test(leftovers_go_at_the_start),
        cmocka_unit_test(killed_installations_leave_old_or_new),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
