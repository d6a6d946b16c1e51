/* SPDX-License-Identifier: Apache-2.0 */
/* Image files: checking one, and making the data directory of a new quorum's member out of it. */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/name.h"
#include "kv/core/restore.h"
#include "kv/core/rows.h"
#include "kv/offline/internal.h"
#include "proto/io/node_id.h"
#include "raft/core/members.h"
#include "raft/log_store.h"
#include "raft/snapshot_format.h"

#define PATH_BYTES 4096

/* --- the file --- */

/* An image file in memory, as a private mapping. */
struct file {
    uint8_t *bytes;
    size_t len; /* of the image */
    size_t mapped;
};

/* What a file that is no image of ours is, where that can be told; NULL: it cannot. */
static const char *known_stranger(int fd)
{
    const uint32_t bbolt = UINT32_C(0xED0CDAED); /* in its first page, behind 16 bytes */
    uint32_t word = 0;
    if (pread(fd, &word, sizeof(word), 16) == (ssize_t)sizeof(word) && le32toh(word) == bbolt) {
        return "a snapshot of etcd (bbolt), which only etcd's tools restore; to move its keys "
               "here, run \"etcdctl make-mirror\" from the running etcd to this quorum";
    }
    return NULL;
}

static int file_open(const char *path, struct file *ret, char *ret_text)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0) {
        int rc = kv_offline_errno(ret_text, "cannot read the image", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    const char *stranger =
        S_ISREG(info.st_mode) ? known_stranger(fd) : "not a file; name the file itself";
    if (stranger != NULL) {
        (void)close(fd);
        return kv_offline_fail(ret_text, BASE_E_UNSUPPORTED, "%s is %s", path, stranger);
    }
    size_t size = (size_t)info.st_size;
    bool is_fit = size >= SNAPSHOT_ALIGN &&
                  (size % SNAPSHOT_ALIGN == 0 || size % SNAPSHOT_ALIGN == SNAPSHOT_DIGEST);
    void *bytes = is_fit ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    (void)close(fd);
    if (!is_fit) {
        return kv_offline_fail(ret_text, BASE_E_CORRUPT,
                               "%s is no whole image: %zu bytes, which none has; it may be cut "
                               "off, take another copy",
                               path, size);
    }
    if (bytes == MAP_FAILED) {
        return kv_offline_errno(ret_text, "cannot read the image", path);
    }
    *ret = (struct file){.bytes = bytes, .len = size - size % SNAPSHOT_ALIGN, .mapped = size};
    return 0;
}

static void file_close(struct file *file)
{
    if (file->bytes != NULL) {
        (void)munmap(file->bytes, file->mapped);
    }
}

static int digest_of(const struct file *file, uint8_t ret[SNAPSHOT_DIGEST])
{
    unsigned len = 0;
    bool is_good = EVP_Digest(file->bytes, file->len, ret, &len, EVP_sha256(), NULL) == 1;
    return is_good && len == SNAPSHOT_DIGEST ? 0 : BASE_E_NOMEM;
}

struct check {
    struct kv_image_info info;
};

static int check_head(void *ctx, const struct snapshot_head *head)
{
    struct check *check = ctx;
    check->info.cluster_id = head->cluster_id;
    check->info.index = head->index;
    check->info.term = head->term;
    return 0;
}

static int check_row(void *ctx, enum store_table table, struct slice key, struct slice value)
{
    struct check *check = ctx;
    struct slice number = value;
    check->info.rows++;
    check->info.keys += table == STORE_KV_CURRENT;
    if (table == STORE_META && slice_equal(key, SLICE_LIT(KV_META_REVISION))) {
        return slice_take_u64_be(&number, &check->info.revision) == 0 ? 0 : BASE_E_CORRUPT;
    }
    if (table == STORE_META && slice_equal(key, SLICE_LIT("raft.members"))) {
        struct slice rest = value;
        uint64_t index = 0;
        struct slice bytes = SLICE_EMPTY;
        if (value.len < 12 || slice_take_u64_be(&rest, &index) != 0 ||
            slice_take_bytes(&rest, value.len - 12, &bytes) != 0 ||
            raft_members_decode(bytes, &check->info.configuration) != 0) {
            return BASE_E_CORRUPT;
        }
        check->info.configuration.index = index;
    }
    return 0;
}

static int check_file(const char *path, const struct file *file, struct kv_image_info *ret,
                      char *ret_text)
{
    uint8_t *memory = malloc(SNAPSHOT_BLOCK_MAX);
    struct check check = {.info = {.revision = (uint64_t)KV_FRESH_REVISION,
                                   .bytes = file->mapped,
                                   .has_digest = file->mapped != file->len}};
    struct snapshot_visitor visitor = {.ctx = &check, .head = check_head, .row = check_row};
    int rc = memory == NULL ? BASE_E_NOMEM : digest_of(file, check.info.digest);
    if (rc == 0 && check.info.has_digest &&
        memcmp(check.info.digest, file->bytes + file->len, SNAPSHOT_DIGEST) != 0) {
        free(memory);
        return kv_offline_fail(ret_text, BASE_E_CORRUPT,
                               "%s is damaged: its SHA-256 does not match; take another copy",
                               path);
    }
    if (rc == 0) {
        struct snapshot_reader reader = snapshot_reader_over(memory, visitor);
        rc = snapshot_reader_take(&reader, slice_from(file->bytes, file->len));
        rc = rc != 0 ? rc : snapshot_reader_end(&reader);
    }
    free(memory);
    if (rc != 0) {
        return kv_offline_fail(ret_text, rc, "%s: %s", path,
                               rc == BASE_E_UNSUPPORTED
                                   ? "an image of a newer version; use its tools"
                                   : "not a whole image of this program; take another copy");
    }
    *ret = check.info;
    return 0;
}

int kv_image_check(const char *path, struct kv_image_info *ret, char *ret_text)
{
    struct file file = {0};
    int rc = file_open(path, &file, ret_text);
    rc = rc != 0 ? rc : check_file(path, &file, ret, ret_text);
    file_close(&file);
    return rc;
}

/* --- restore --- */

struct restore {
    const struct kv_restore_options *options;
    struct kv_restored *ret;
    struct raft_configuration configuration;
};

static int compare_members(const void *a, const void *b)
{
    const struct raft_member *left = a;
    const struct raft_member *right = b;
    return base_name_compare(&left->name, &right->name);
}

/* Ids of the quorum, its members, and the restore. They depend on the image and the options only,
 * so that every member's directory is made with the same ones; and a later image, or the same image
 * in a quorum that was restored before, never has records that were confirmed under the new id. */
static int make_ids(struct restore *restore, char *ret_text)
{
    const struct kv_restore_options *options = restore->options;
    struct kv_restored *ret = restore->ret;
    const char *names[RAFT_MEMBERS_MAX];
    restore->configuration = options->configuration;
    qsort(restore->configuration.members, restore->configuration.count,
          sizeof(restore->configuration.members[0]), compare_members);
    for (uint32_t i = 0; i < restore->configuration.count; i++) {
        struct raft_member *member = &restore->configuration.members[i];
        names[i] = member->name.text;
        member->id = io_node_id(options->token, member->name.text);
        ret->node_id = strcmp(member->name.text, options->name) == 0 ? member->id : ret->node_id;
    }
    restore->configuration.index = ret->image.index;
    if (ret->node_id == 0) {
        return kv_offline_fail(ret_text, BASE_E_INVALID, "'%s' is not among the members given",
                               options->name);
    }
    if (!raft_members_are_sound(&restore->configuration)) {
        return kv_offline_fail(ret_text, BASE_E_INVALID,
                               "the members given make no quorum: 1 to %d, names all different",
                               RAFT_MEMBERS_MAX);
    }
    uint64_t quorum = io_quorum_id(options->token, names, restore->configuration.count);
    struct slice digest = slice_from(ret->image.digest, 16);
    uint64_t first = 0;
    uint64_t second = 0;
    BASE_ASSERT(slice_take_u64_be(&digest, &first) == 0);
    BASE_ASSERT(slice_take_u64_be(&digest, &second) == 0);
    ret->restore_id = (first ^ quorum ^ options->bump) | 1;
    ret->cluster_id = ((second ^ quorum) >> 1) | 1;
    return 0;
}

struct wait {
    struct snapshot_job job;
    bool is_done;
    int status;
};

static void wait_done(struct snapshot_job *job, int status)
{
    struct wait *wait = (struct wait *)(void *)job;
    wait->is_done = true;
    wait->status = status;
}

static int wait_for(struct kv_offline *offline, struct wait *wait, int rc)
{
    while (rc == 0 && !wait->is_done) {
        kv_offline_wait(offline);
    }
    return rc != 0 ? rc : wait->status;
}

/* Through the same door as an image from another node. */
static int install(struct kv_offline *offline, const struct file *file,
                   const struct kv_restore_options *options)
{
    struct snapshot_port port = env_lmdb_snapshot_port(kv_offline_env(offline));
    struct wait wait = {.job = {.done = wait_done}};
    int rc = wait_for(offline, &wait, port.import_begin(port.ctx, &wait.job));
    for (size_t at = 0; rc == 0 && at < file->len;) {
        size_t len = file->len - at > SNAPSHOT_CHUNK_MAX ? SNAPSHOT_CHUNK_MAX : file->len - at;
        wait = (struct wait){.job = {.done = wait_done}};
        rc = wait_for(offline, &wait,
                      port.import_write(port.ctx, &wait.job, slice_from(file->bytes + at, len)));
        at += len;
        if (options->progress != NULL) {
            options->progress(at, file->len);
        }
    }
    wait = (struct wait){.job = {.done = wait_done}};
    return rc != 0 ? rc : wait_for(offline, &wait, port.import_install(port.ctx, &wait.job));
}

static int write_state(void *ctx, struct store_txn *txn)
{
    const struct restore *restore = ctx;
    struct kv_restored *ret = restore->ret;
    int rc = log_store_check_ids(txn, ret->cluster_id, ret->node_id);
    if (rc == 0) {
        rc = log_store_save_members(txn, &restore->configuration);
    }
    if (rc == 0) {
        rc = kv_core_restore_id_set(txn, ret->restore_id);
    }
    if (rc == 0) {
        rc = kv_meta_put(txn, SLICE_LIT(KV_META_REVISION), ret->revision);
    }
    if (rc == 0 && restore->options->mark_compacted) {
        rc = kv_meta_put(txn, SLICE_LIT(KV_META_COMPACT), ret->revision);
    }
    return rc;
}

static int write_log(void *ctx, struct store_txn *txn)
{
    const struct restore *restore = ctx;
    const struct kv_restored *ret = restore->ret;
    int rc = log_store_check_ids(txn, ret->cluster_id, ret->node_id);
    if (rc == 0) { /* so that a state ahead of the log is no sign of a lost log */
        rc = log_store_save_image(txn, ret->image.index, ret->image.term);
    }
    return rc != 0 ? rc : log_store_save_state(txn, ret->image.term + KV_RESTORE_TERMS, 0);
}

static int fill(struct restore *restore, const struct file *file, const char *directory,
                char *ret_text)
{
    struct kv_offline *offline = NULL;
    int rc = kv_offline_open(directory, true, &offline, ret_text);
    if (rc != 0) {
        return rc;
    }
    rc = install(offline, file, restore->options);
    rc = rc != 0 ? rc : kv_offline_state(offline, write_state, restore);
    rc = rc != 0 ? rc : kv_offline_log(offline, write_log, restore);
    if (rc != 0) {
        (void)kv_offline_fail(ret_text, rc, "%s cannot be filled: %s", directory,
                              base_error_text(rc));
    }
    (void)kv_offline_close(offline);
    return rc;
}

/* Removes what this program puts into a data directory, and then the directory. */
static void remove_directory(const char *path)
{
    char inner[PATH_BYTES];
    DIR *files = opendir(path);
    const struct dirent *file = files == NULL ? NULL : readdir(files);
    for (; file != NULL; file = readdir(files)) {
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0) {
            continue;
        }
        int len = snprintf(inner, sizeof(inner), "%s/%s", path, file->d_name);
        if (len > 0 && (size_t)len < sizeof(inner) && unlink(inner) != 0 &&
            strcmp(file->d_name, KV_LOG_DIRECTORY) == 0) {
            remove_directory(inner);
        }
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    (void)rmdir(path);
}

/* The parent's entry for the directory is durable too. */
static int sync_parent(const char *path)
{
    char parent[PATH_BYTES];
    (void)snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = 0;
    }
    int fd = open(slash == NULL ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? -1 : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static int make_directory(struct restore *restore, const struct file *file, char *ret_text)
{
    const char *directory = restore->options->directory;
    char part[PATH_BYTES];
    int len = snprintf(part, sizeof(part) - 16, "%s", directory);
    while (len > 1 && part[len - 1] == '/') {
        part[--len] = 0;
    }
    if (len <= 0 || (size_t)len >= sizeof(part) - 16) {
        return kv_offline_fail(ret_text, BASE_E_INVALID, "the directory has no name, or too long");
    }
    if (rmdir(directory) != 0 && errno != ENOENT) {
        return errno == ENOTEMPTY || errno == EEXIST
                   ? kv_offline_fail(ret_text, BASE_E_EXISTS,
                                     "%s is not empty; a restore begins with a new directory",
                                     directory)
                   : kv_offline_errno(ret_text, "cannot use", directory);
    }
    memcpy(part + len, ".part", sizeof(".part"));
    remove_directory(part); /* of one that was interrupted */
    if (mkdir(part, 0700) != 0) {
        return kv_offline_errno(ret_text, "cannot make", part);
    }
    int rc = fill(restore, file, part, ret_text);
    if (rc == 0 && (rename(part, directory) != 0 || sync_parent(part) != 0)) {
        rc = kv_offline_errno(ret_text, "cannot make", directory);
    }
    if (rc != 0) {
        remove_directory(part);
    }
    return rc;
}

int kv_restore(const struct kv_restore_options *options, struct kv_restored *ret, char *ret_text)
{
    struct kv_restored restored = {0};
    struct restore restore = {.options = options, .ret = &restored};
    struct file file = {0};
    int rc = file_open(options->file, &file, ret_text);
    rc = rc != 0 ? rc : check_file(options->file, &file, &restored.image, ret_text);
    rc = rc != 0 ? rc : make_ids(&restore, ret_text);
    restored.revision = restored.image.revision + options->bump;
    if (rc == 0 && (restored.revision > INT64_MAX / 2 || options->bump > INT64_MAX / 2)) {
        rc = kv_offline_fail(ret_text, BASE_E_INVALID, "the revision would be too large");
    }
    rc = rc != 0 ? rc : make_directory(&restore, &file, ret_text);
    file_close(&file);
    if (rc == 0) {
        *ret = restored;
    }
    return rc;
}
