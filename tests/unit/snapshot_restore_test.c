/* SPDX-License-Identifier: Apache-2.0 */
/* Work on the data directory of a stopped node: restore from an image file, and going on alone. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "kv/core/restore.h"
#include "kv/core/rows.h"
#include "kv/offline/offline.h"
#include "raft/core/members.h"
#include "raft/log_store.h"
#include "raft/snapshot_format.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

#define APPLIED 100u
#define LAST 105u

static void member_set(struct raft_member *member, uint64_t id, const char *name)
{
    member->id = id;
    assert_int_equal(base_name_from_text(name, &member->name), 0);
    member->peer_url = base_text_from(slice_from_text("https://127.0.0.1:2380"));
}

static struct raft_configuration three(void)
{
    struct raft_configuration configuration = {.index = 7, .count = 3};
    member_set(&configuration.members[0], 11, "n1");
    member_set(&configuration.members[1], 12, "n2");
    member_set(&configuration.members[2], 13, "n3");
    return configuration;
}

static int fill_state(void *ctx, struct store_txn *txn)
{
    struct raft_configuration configuration = three();
    (void)ctx;
    int rc = log_store_check_ids(txn, 77, 12);
    rc = rc != 0 ? rc : log_store_save_applied(txn, APPLIED, 3);
    rc = rc != 0 ? rc : log_store_save_members(txn, &configuration);
    rc = rc != 0 ? rc : kv_meta_put(txn, SLICE_LIT(KV_META_REVISION), 50);
    rc = rc != 0 ? rc : store_put(txn, STORE_KV_CURRENT, SLICE_LIT("key"), SLICE_LIT("stamp"));
    return rc != 0 ? rc : store_put(txn, STORE_AUTH, SLICE_LIT("user"), SLICE_LIT("root"));
}

static int put_entry(struct store_txn *txn, uint64_t index, enum msg_raft_entry_type type,
                     struct slice body)
{
    static uint8_t value[LOG_STORE_HEADER + RAFT_MEMBERS_BYTES_MAX];
    struct msg_raft_entry entry = {.term = 3, .type = type, .body = body};
    log_store_encode(index, &entry, value);
    return log_store_put(txn, index, slice_from(value, LOG_STORE_HEADER + body.len));
}

static int fill_log(void *ctx, struct store_txn *txn)
{
    (void)ctx;
    int rc = log_store_check_ids(txn, 77, 12);
    rc = rc != 0 ? rc : log_store_save_state(txn, 4, 12);
    for (uint64_t index = 90; index <= LAST && rc == 0; index++) {
        rc = put_entry(txn, index, MSG_RAFT_ENTRY_DATA, SLICE_LIT("data"));
    }
    return rc;
}

static void make_node(const char *directory)
{
    struct kv_offline *offline = NULL;
    char text[KV_OFFLINE_TEXT];
    assert_int_equal(kv_offline_open(directory, true, &offline, text), 0);
    assert_int_equal(kv_offline_state(offline, fill_state, NULL), 0);
    assert_int_equal(kv_offline_log(offline, fill_log, NULL), 0);
    assert_null(kv_offline_close(offline));
}

/* What a directory holds. */
struct seen {
    uint64_t cluster, node;
    struct log_store_state state;
    struct raft_configuration members;
    uint64_t restore_id, revision, compact;
    uint64_t first, last;
    struct msg_raft_entry last_entry;
    struct raft_configuration last_members;
    bool has_user;
};

static int see_state(void *ctx, struct store_txn *txn)
{
    struct seen *seen = ctx;
    struct slice value;
    assert_int_equal(log_store_load_ids(txn, &seen->cluster, &seen->node), 0);
    assert_int_equal(log_store_load_state(txn, &seen->state), 0);
    assert_int_equal(log_store_load_members(txn, &seen->members), 0);
    assert_int_equal(kv_core_restore_id(txn, &seen->restore_id), 0);
    assert_int_equal(kv_meta_get(txn, SLICE_LIT(KV_META_REVISION), &seen->revision), 0);
    int rc = kv_meta_get(txn, SLICE_LIT(KV_META_COMPACT), &seen->compact);
    assert_true(rc == 0 || rc == BASE_E_NOTFOUND);
    seen->has_user = store_get(txn, STORE_AUTH, SLICE_LIT("user"), &value) == 0;
    return 0;
}

static int see_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct seen *seen = ctx;
    seen->first = seen->first == 0 ? index : seen->first;
    seen->last = index;
    seen->last_entry = *entry;
    if (entry->type == MSG_RAFT_ENTRY_MEMBERS) {
        assert_int_equal(raft_members_decode(entry->body, &seen->last_members), 0);
    }
    return 0;
}

static int see_log(void *ctx, struct store_txn *txn)
{
    struct seen *seen = ctx;
    struct log_store_state state;
    uint64_t cluster = 0;
    uint64_t node = 0;
    assert_int_equal(log_store_load_ids(txn, &cluster, &node), 0);
    assert_true(cluster == seen->cluster && node == seen->node); /* both stores agree */
    assert_int_equal(log_store_load_state(txn, &state), 0);
    seen->state.term = state.term;
    seen->state.vote = state.vote;
    return log_store_walk(txn, see_entry, seen);
}

static struct seen look(const char *directory)
{
    struct seen seen = {0};
    struct kv_offline *offline = NULL;
    char text[KV_OFFLINE_TEXT];
    assert_int_equal(kv_offline_open(directory, false, &offline, text), 0);
    assert_int_equal(kv_offline_state(offline, see_state, &seen), 0);
    assert_int_equal(kv_offline_log(offline, see_log, &seen), 0);
    (void)kv_offline_close(offline);
    return seen;
}

static void remove_node(const char *directory)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, KV_LOG_DIRECTORY);
    test_remove_directory(path);
    test_remove_directory(directory);
}

static void going_on_alone(void **state)
{
    (void)state;
    static const uint64_t random[2] = {UINT64_C(0xdeadbeef12345678), 99};
    static const uint64_t again[2] = {UINT64_C(0xdeadbeef87654321), 100};
    struct kv_forced forced;
    char directory[64];
    char text[KV_OFFLINE_TEXT];
    test_make_directory(directory, sizeof(directory));
    make_node(directory);
    assert_int_equal(kv_force_new(directory, random, &forced, text), 0);
    assert_int_equal(forced.applied, APPLIED);
    assert_int_equal(forced.tail, LAST - APPLIED);
    assert_int_equal(forced.members_lost, 2);
    struct seen seen = look(directory);
    assert_true(seen.cluster == forced.cluster_id && seen.cluster != 77 && seen.node == 12);
    assert_int_equal(seen.restore_id, 99);
    assert_int_equal(seen.first, APPLIED + 1); /* new members begin with an image */
    assert_int_equal(seen.last, LAST + 1);
    assert_int_equal(seen.last_entry.type, MSG_RAFT_ENTRY_MEMBERS);
    assert_int_equal(seen.last_members.count, 1);
    assert_int_equal(seen.last_members.members[0].id, 12);
    assert_true(seen.last_entry.term == 4 + KV_RESTORE_TERMS);
    assert_true(seen.state.term == 4 + KV_RESTORE_TERMS);
    assert_int_equal(seen.state.vote, 0);
    assert_int_equal(kv_force_new(directory, again, &forced, text), 0); /* after a crash, say */
    assert_int_equal(forced.members_lost, 0);
    assert_int_equal(look(directory).last_members.count, 1);
    remove_node(directory);
}

static int take_self_out(void *ctx, struct store_txn *txn)
{
    struct raft_configuration configuration = three();
    static uint8_t body[RAFT_MEMBERS_BYTES_MAX];
    struct buf bytes = buf_over(body, sizeof(body));
    (void)ctx;
    configuration.members[1] = configuration.members[2];
    configuration.count = 2;
    assert_int_equal(raft_members_encode(&configuration, &bytes), 0);
    return put_entry(txn, LAST + 1, MSG_RAFT_ENTRY_MEMBERS, buf_slice(&bytes));
}

static void going_on_alone_is_refused(void **state)
{
    (void)state;
    static const uint64_t random[2] = {5, 6};
    struct kv_forced forced;
    struct kv_offline *offline = NULL;
    struct kv_offline *second = NULL;
    char directory[64];
    char text[KV_OFFLINE_TEXT];
    test_make_directory(directory, sizeof(directory));
    assert_int_equal(kv_force_new(directory, random, &forced, text), BASE_E_NOTFOUND);
    make_node(directory);
    assert_int_equal(kv_offline_open(directory, false, &offline, text), 0);
    assert_int_equal(kv_force_new(directory, random, &forced, text), BASE_E_BUSY);
    assert_non_null(strstr(text, "running"));
    assert_int_equal(kv_offline_open(directory, false, &second, text), BASE_E_BUSY);
    assert_int_equal(kv_offline_log(offline, take_self_out, NULL), 0);
    (void)kv_offline_close(offline);
    assert_int_equal(kv_force_new(directory, random, &forced, text), BASE_E_STATE);
    assert_non_null(strstr(text, "not a member"));
    assert_int_equal(look(directory).restore_id, 0); /* nothing was changed */
    remove_node(directory);
}

/* --- restore --- */

static void image_bytes(FILE *out, EVP_MD_CTX *sum, struct slice bytes)
{
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, out), bytes.len);
    assert_int_equal(EVP_DigestUpdate(sum, bytes.data, bytes.len), 1);
}

struct rows {
    struct snapshot_writer *writer;
    enum store_table table;
};

static int copy_row(void *ctx, struct slice key, struct slice value)
{
    const struct rows *rows = ctx;
    struct slice bytes = SLICE_EMPTY;
    if (snapshot_has_row(rows->table, key)) {
        assert_int_equal(snapshot_writer_row(rows->writer, rows->table, key, value, &bytes), 0);
    }
    assert_int_equal(bytes.len, 0); /* a small image: one block */
    return 0;
}

/* The image of a node as `kv snapshot save` leaves it. */
static void make_image(const char *file)
{
    static uint8_t memory[SNAPSHOT_BLOCK_MAX];
    struct store_mem *mem = store_mem_create();
    struct store_txn *txn = store_mem_txn(mem);
    struct snapshot_writer writer = snapshot_writer_over(memory);
    struct snapshot_head head = {.cluster_id = 77, .index = APPLIED, .term = 3};
    uint8_t digest[SNAPSHOT_DIGEST];
    FILE *out = fopen(file, "w");
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    assert_true(out != NULL && sum != NULL);
    assert_int_equal(EVP_DigestInit_ex(sum, EVP_sha256(), NULL), 1);
    assert_int_equal(fill_state(NULL, txn), 0);
    image_bytes(out, sum, snapshot_writer_head(&writer, &head));
    for (size_t t = 0; t < STORE_TABLE_COUNT; t++) {
        struct rows rows = {.writer = &writer, .table = (enum store_table)t};
        assert_int_equal(store_scan(txn, rows.table, SLICE_EMPTY, copy_row, &rows), 0);
    }
    image_bytes(out, sum, snapshot_writer_flush(&writer));
    image_bytes(out, sum, snapshot_writer_end(&writer));
    assert_int_equal(EVP_DigestFinal_ex(sum, digest, NULL), 1);
    assert_int_equal(fwrite(digest, 1, sizeof(digest), out), sizeof(digest));
    assert_int_equal(fclose(out), 0);
    EVP_MD_CTX_free(sum);
    (void)store_mem_destroy(mem);
}

static void restored_members_agree(void **state)
{
    (void)state;
    char place[64];
    char file[128];
    char directories[2][128];
    char text[KV_OFFLINE_TEXT] = "";
    struct kv_restored restored[2];
    struct kv_restore_options options = {.file = file,
                                         .token = "again",
                                         .configuration = three(),
                                         .bump = 1000,
                                         .mark_compacted = true};
    test_make_directory(place, sizeof(place));
    (void)snprintf(file, sizeof(file), "%s/image", place);
    make_image(file);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(directories[i], sizeof(directories[i]), "%s/d%zu", place, i);
        options.directory = directories[i];
        options.name = i == 0 ? "n1" : "n3";
        assert_int_equal(kv_restore(&options, &restored[i], text), 0);
    }
    assert_true(restored[0].cluster_id == restored[1].cluster_id);
    assert_true(restored[0].restore_id == restored[1].restore_id && restored[0].restore_id != 0);
    assert_true(restored[0].node_id != restored[1].node_id && restored[0].cluster_id != 77);
    for (size_t i = 0; i < 2; i++) {
        struct seen seen = look(directories[i]);
        assert_true(seen.cluster == restored[i].cluster_id && seen.node == restored[i].node_id);
        assert_int_equal(seen.revision, 1050);
        assert_int_equal(seen.compact, 1050);
        assert_true(seen.restore_id == restored[i].restore_id);
        assert_int_equal(seen.state.applied_index, APPLIED);
        assert_true(seen.state.term == 3 + KV_RESTORE_TERMS); /* above the old quorum's */
        assert_int_equal(seen.last, 0);                       /* the log is empty */
        assert_int_equal(seen.members.count, 3);
        assert_non_null(raft_members_find(&seen.members, seen.node));
        assert_true(seen.has_user);
        assert_int_equal(kv_restore(&options, &restored[i], text), BASE_E_EXISTS);
        remove_node(directories[i]);
    }
    assert_int_equal(unlink(file), 0);
    test_remove_directory(place);
}

static void damaged_images_are_refused(void **state)
{
    (void)state;
    char place[64];
    char file[128];
    char directory[128];
    char text[KV_OFFLINE_TEXT] = "";
    struct stat info;
    struct kv_image_info image;
    struct kv_restored restored;
    struct kv_restore_options options = {
        .file = file, .directory = directory, .token = "t", .name = "n1", .configuration = three()};
    test_make_directory(place, sizeof(place));
    (void)snprintf(file, sizeof(file), "%s/image", place);
    (void)snprintf(directory, sizeof(directory), "%s/d", place);
    make_image(file);
    assert_int_equal(kv_image_check(file, &image, text), 0);
    assert_true(image.has_digest && image.revision == 50 && image.index == APPLIED);
    assert_int_equal(image.keys, 1);
    assert_int_equal(image.configuration.count, 3);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_size % 512, 32);
    for (off_t at = 0; at < info.st_size; at += 37) {
        uint8_t byte = 0;
        int fd = open(file, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 16;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(kv_restore(&options, &restored, text), BASE_E_CORRUPT);
        assert_non_null(strstr(text, file));
        byte ^= 16;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(close(fd), 0);
    }
    assert_int_not_equal(stat(directory, &info), 0); /* nothing was made */
    assert_int_equal(truncate(file, 700), 0);
    assert_int_equal(kv_image_check(file, &image, text), BASE_E_CORRUPT);
    options.name = "n9";
    make_image(file);
    assert_int_equal(kv_restore(&options, &restored, text), BASE_E_INVALID);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(kv_image_check(file, &image, text), BASE_E_NOTFOUND);
    test_remove_directory(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_on_alone),
        cmocka_unit_test(going_on_alone_is_refused),
        cmocka_unit_test(restored_members_agree),
        cmocka_unit_test(damaged_images_are_refused),
    };
    return cmocka_run_group_tests_name("snapshot_restore", tests, NULL, NULL);
}
