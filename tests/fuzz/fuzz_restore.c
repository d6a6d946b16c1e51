/* SPDX-License-Identifier: Apache-2.0 */
/* `kv snapshot status` and `kv snapshot restore` of any file: raw bytes, and images that are sound
 * as files (checksums, order) with any rows in them. What restores makes a directory that opens and
 * whose state can be read; what does not leaves no directory. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "kv/core/apply.h"
#include "kv/offline/offline.h"
#include "raft/core/members.h"
#include "raft/snapshot_format.h"
#include "tests/fuzz/fuzz.h"

static char top[64], image[96], directory[96];
static uint8_t memory[SNAPSHOT_BLOCK_MAX];

static void put(int file, struct slice bytes)
{
    BASE_ASSERT(bytes.len == 0 || write(file, bytes.data, bytes.len) == (ssize_t)bytes.len);
}

/* Rows in ascending order: the input gives how far the next key is ahead, and the value. */
static void make_image(int file, struct slice in)
{
    struct snapshot_writer writer = snapshot_writer_over(memory);
    struct snapshot_head head = {
        .cluster_id = 1, .index = 1 + fuzz_u8(&in), .term = 1 + fuzz_u8(&in) % 4u};
    put(file, snapshot_writer_head(&writer, &head));
    static const enum store_table tables[] = {STORE_META,          STORE_KV_CURRENT, STORE_KV_REVS,
                                              STORE_KV_INDEX,      STORE_KV_LEASES,  STORE_ARBITER,
                                              STORE_KV_LEASE_KEYS, STORE_AUTH};
    size_t table = 0;
    uint32_t number = 0;
    while (in.len > 0) {
        uint8_t step = fuzz_u8(&in);
        uint8_t key[STORE_KEY_MAX];
        struct buf k = buf_over(key, sizeof(key));
        struct slice out = SLICE_EMPTY;
        if (step >= 192) {
            table += step % 4u;
            number = 0;
        }
        if (table >= BASE_COUNT_OF(tables)) {
            break;
        }
        if (tables[table] == STORE_META) {
            struct slice name = number == 0 ? SLICE_LIT("kv.revision") : SLICE_LIT("raft.members");
            buf_put(&k, name);
            table += number > 0;
        } else {
            buf_put_u32_be(&k, number);
            buf_put(&k, fuzz_bytes(&in, step % 24u));
        }
        number += 1 + step % 2u;
        struct slice value = fuzz_bytes(&in, fuzz_u8(&in) % 96u);
        int rc = snapshot_writer_row(&writer, tables[table < BASE_COUNT_OF(tables) ? table : 0],
                                     buf_slice(&k), value, &out);
        BASE_ASSERT(rc == 0);
        put(file, out);
    }
    put(file, snapshot_writer_flush(&writer));
    put(file, snapshot_writer_end(&writer));
}

/* What a restore makes: files, and one directory of files. */
static void remove_all(const char *path)
{
    DIR *entries = opendir(path);
    for (const struct dirent *e = entries == NULL ? NULL : readdir(entries); e != NULL;
         e = readdir(entries)) {
        char inner[512];
        (void)snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && unlink(inner) != 0) {
            remove_all(inner);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
    (void)rmdir(path);
}

static void leave(void)
{
    remove_all(top);
}

static void make_top(void)
{
    (void)snprintf(top, sizeof(top), "/dev/shm/quorate-fuzz-restore-%d", (int)getpid());
    (void)snprintf(image, sizeof(image), "%s/image", top);
    (void)snprintf(directory, sizeof(directory), "%s/data", top);
    BASE_ASSERT(mkdir(top, 0700) == 0);
    (void)atexit(leave);
}

static int see_state(void *ctx, struct store_txn *txn)
{
    uint32_t hash = 0;
    (void)ctx;
    (void)!kv_core_hash(txn, &hash); /* rows of a made image may be anything; it must say so */
    return 0;
}

static void restore(void)
{
    struct kv_restored done;
    char text[KV_OFFLINE_TEXT] = "";
    struct kv_restore_options options = {.file = image,
                                         .directory = directory,
                                         .token = "quorate",
                                         .name = "n1",
                                         .bump = KV_RESTORE_BUMP};
    options.configuration.count = 1;
    int rc = base_name_from(slice_from_text("n1"), &options.configuration.members[0].name);
    BASE_ASSERT(rc == 0);
    rc = kv_restore(&options, &done, text);
    BASE_ASSERT((rc == 0) == (access(directory, F_OK) == 0));
    BASE_ASSERT(rc == 0 || text[0] != 0);
    if (rc != 0) {
        return;
    }
    struct kv_offline *offline = NULL;
    rc = kv_offline_open(directory, false, &offline, text);
    BASE_ASSERT(rc == 0);
    rc = kv_offline_state(offline, see_state, NULL);
    BASE_ASSERT(rc == 0);
    (void)kv_offline_close(offline);
    remove_all(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    struct kv_image_info info;
    char text[KV_OFFLINE_TEXT] = "";
    if (top[0] == 0) {
        make_top();
    }
    uint8_t how = fuzz_u8(&in);
    int file = open(image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BASE_ASSERT(file >= 0);
    if (how < 32) {
        put(file, in);
    } else {
        make_image(file, in);
    }
    (void)close(file);
    int rc = kv_image_check(image, &info, text);
    BASE_ASSERT(rc == 0 || text[0] != 0);
    if (rc == 0) {
        restore();
    }
    return 0;
}
