/* SPDX-License-Identifier: Apache-2.0 */
/* Opening both stores of a node that does not run, and forcing a quorum of one; see offline.h. */
#include "kv/offline/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "kv/core/restore.h"
#include "kv/offline/internal.h"
#include "raft/core/members.h"
#include "raft/log_store.h"
#include "raft/wal_log.h"
#include "raft/wal_store.h"

struct kv_offline {
    struct wal_log *log;
    struct env_lmdb *state;
    int log_fd;
    int lock_fd;
    sem_t told;
    char text[KV_OFFLINE_TEXT];
};

int kv_offline_fail(char *ret_text, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_text, KV_OFFLINE_TEXT, format, arguments);
    va_end(arguments);
    return code;
}

static int code_of_errno(int native)
{
    switch (native) {
    case ENOENT:
    case ENOTDIR:
        return BASE_E_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return BASE_E_DENIED;
    case EWOULDBLOCK:
        return BASE_E_BUSY;
    case ENOSPC:
        return BASE_E_NOSPACE;
    default:
        return BASE_E_IO;
    }
}

int kv_offline_errno(char *ret_text, const char *what, const char *path)
{
    int native = errno;
    const char *why = native == EWOULDBLOCK ? "a node is running on it; stop it first"
                      : native == EACCES
                          ? "permission denied; run this as the user that the node runs as"
                          : strerror(native);
    return kv_offline_fail(ret_text, code_of_errno(native), "%s %s: %s", what, path, why);
}

/* --- opening --- */

static int open_log(struct kv_offline *o, const char *directory, bool make, char *ret_text)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, KV_LOG_DIRECTORY);
    if (make && mkdir(path, 0700) != 0 && errno != EEXIST) {
        return kv_offline_errno(ret_text, "cannot make", path);
    }
    o->log_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (o->log_fd < 0) {
        return kv_offline_errno(ret_text, "no data directory of a node: its log", path);
    }
    o->lock_fd = openat(o->log_fd, "wal.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (o->lock_fd < 0 || flock(o->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return kv_offline_errno(ret_text, "cannot lock", path);
    }
    struct wal_log_options options = {.io = wal_io_system(&o->log_fd),
                                      .segment_bytes = WAL_SEGMENT_BYTES_DEFAULT};
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    options.fresh_id = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    char text[WAL_LOG_TEXT_MAX] = "";
    int rc = wal_log_open(&options, &o->log, text);
    return rc == 0 ? 0
                   : kv_offline_fail(ret_text, rc, "%s: %s", path,
                                     text[0] != 0 ? text : base_error_text(rc));
}

static void notify(void *ctx)
{
    struct kv_offline *o = ctx;
    (void)sem_post(&o->told);
}

static void fatal(void *ctx, int status, const char *text)
{
    struct kv_offline *o = ctx;
    (void)status;
    (void)snprintf(o->text, sizeof(o->text), "%s", text);
}

static int open_state(struct kv_offline *o, const char *directory, bool make, char *ret_text)
{
    char path[4096];
    struct stat info;
    /* the node's own limit is not known here; this is address space only */
    struct env_lmdb_options options = {.directory = directory,
                                       .map_bytes = UINT64_C(64) << 30,
                                       .ctx = o,
                                       .notify = notify,
                                       .fatal = fatal};
    (void)snprintf(path, sizeof(path), "%s/store.mdb", directory);
    if (!make && stat(path, &info) != 0) {
        return kv_offline_errno(ret_text, "no data directory of a node: its state", path);
    }
    return env_lmdb_open(&options, &o->state, ret_text);
}

int kv_offline_open(const char *directory, bool make, struct kv_offline **ret, char *ret_text)
{
    struct kv_offline *o = calloc(1, sizeof(*o));
    ret_text[0] = 0;
    if (o == NULL || sem_init(&o->told, 0, 0) != 0) {
        free(o);
        return kv_offline_fail(ret_text, BASE_E_NOMEM, "out of memory");
    }
    o->log_fd = -1;
    o->lock_fd = -1;
    int rc = open_log(o, directory, make, ret_text);
    rc = rc != 0 ? rc : open_state(o, directory, make, ret_text);
    if (rc != 0) {
        (void)kv_offline_close(o);
        return rc;
    }
    *ret = o;
    return 0;
}

struct kv_offline *kv_offline_close(struct kv_offline *o)
{
    if (o == NULL) {
        return NULL;
    }
    o->state = env_lmdb_close(o->state);
    o->log = wal_log_free(o->log);
    if (o->lock_fd >= 0) {
        (void)close(o->lock_fd);
    }
    if (o->log_fd >= 0) {
        (void)close(o->log_fd);
    }
    (void)sem_destroy(&o->told);
    free(o);
    return NULL;
}

int kv_offline_log(struct kv_offline *o, kv_offline_fn *fn, void *ctx)
{
    int rc = fn(ctx, wal_log_txn(o->log));
    bool has_changed = wal_log_batch_bytes(o->log) > 0;
    wal_log_job_end(o->log);
    rc = rc != 0 ? rc : wal_log_commit(o->log);
    return rc != 0 || !has_changed ? rc : wal_log_seal(o->log);
}

struct env_lmdb *kv_offline_env(struct kv_offline *o)
{
    return o->state;
}

void kv_offline_wait(struct kv_offline *o)
{
    (void)sem_wait(&o->told);
    (void)env_lmdb_complete(o->state);
}

struct state_job {
    struct store_job job;
    kv_offline_fn *fn;
    void *ctx;
    bool is_done;
    int status;
};

static int state_run(struct store_job *job, struct store_txn *txn)
{
    struct state_job *self = (struct state_job *)(void *)job;
    return self->fn(self->ctx, txn);
}

static void state_done(struct store_job *job, int status)
{
    struct state_job *self = (struct state_job *)(void *)job;
    self->is_done = true;
    self->status = status;
}

int kv_offline_state(struct kv_offline *o, kv_offline_fn *fn, void *ctx)
{
    struct state_job job = {
        .job = {.run = state_run, .done = state_done, .wants_durable = true}, .fn = fn, .ctx = ctx};
    struct store_port port = env_lmdb_port(o->state);
    port.submit(port.ctx, &job.job);
    while (!job.is_done) {
        kv_offline_wait(o);
    }
    return job.status;
}

/* --- going on alone --- */

struct force {
    const uint64_t *random;
    struct kv_forced *ret;
    struct raft_configuration configuration; /* the newest that the node knows */
    struct log_store_state state;            /* of both stores together */
    uint64_t last;                           /* index of the log */
};

static int force_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct force *force = ctx;
    force->last = index;
    if (entry->type == MSG_RAFT_ENTRY_MEMBERS && index > force->configuration.index) {
        int rc = raft_members_decode(entry->body, &force->configuration);
        force->configuration.index = index;
        return rc == 0 ? 0 : BASE_E_CORRUPT;
    }
    return 0;
}

static int force_read_state(void *ctx, struct store_txn *txn)
{
    struct force *force = ctx;
    int rc = log_store_load_state(txn, &force->state);
    return rc != 0 ? rc : log_store_load_members(txn, &force->configuration);
}

static int force_read_log(void *ctx, struct store_txn *txn)
{
    struct force *force = ctx;
    struct log_store_state state;
    uint64_t cluster = 0;
    int rc = log_store_load_ids(txn, &cluster, &force->ret->node_id);
    if (rc == 0) {
        rc = log_store_load_state(txn, &state);
    }
    if (rc != 0) {
        return rc;
    }
    force->state.term = state.term;
    force->last = force->state.applied_index;
    rc = log_store_walk(txn, force_entry, force);
    if (rc == 0 && force->last < force->state.applied_index) {
        force->last = force->state.applied_index; /* an image was installed; the log goes */
    }
    return rc;
}

static int replace_ids(struct store_txn *txn, const struct kv_forced *forced)
{
    int rc = store_del(txn, STORE_META, SLICE_LIT("raft.ids"));
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    return rc != 0 ? rc : log_store_check_ids(txn, forced->cluster_id, forced->node_id);
}

static int force_write_state(void *ctx, struct store_txn *txn)
{
    const struct force *force = ctx;
    int rc = replace_ids(txn, force->ret);
    return rc != 0 ? rc : kv_core_restore_id_set(txn, force->random[1]);
}

/* The new configuration is an entry like any other: in force as soon as it stands in the log. */
static int force_write_log(void *ctx, struct store_txn *txn)
{
    const struct force *force = ctx;
    static uint8_t body[RAFT_MEMBERS_BYTES_MAX];
    static uint8_t value[LOG_STORE_HEADER + RAFT_MEMBERS_BYTES_MAX];
    struct raft_configuration alone = {.count = 1, .members = {force->ret->self}};
    struct buf bytes = buf_over(body, sizeof(body));
    struct msg_raft_entry entry = {.term = force->state.term + KV_RESTORE_TERMS,
                                   .type = MSG_RAFT_ENTRY_MEMBERS};
    int rc = raft_members_encode(&alone, &bytes);
    if (rc == 0) {
        rc = replace_ids(txn, force->ret);
    }
    if (rc == 0) {
        rc = log_store_trim(txn, force->state.applied_index);
    }
    if (rc == 0) {
        entry.body = buf_slice(&bytes);
        log_store_encode(force->last + 1, &entry, value);
        rc = log_store_put(txn, force->last + 1,
                           slice_from(value, LOG_STORE_HEADER + entry.body.len));
    }
    return rc != 0 ? rc : log_store_save_state(txn, force->state.term + KV_RESTORE_TERMS, 0);
}

static int force_judge(struct force *force, char *ret_text)
{
    struct kv_forced *forced = force->ret;
    const struct raft_member *self = raft_members_find(&force->configuration, forced->node_id);
    if (force->state.applied_index == 0) {
        return kv_offline_fail(ret_text, BASE_E_STATE,
                               "this node has applied nothing yet; there is nothing to go on with");
    }
    if (self == NULL) {
        return kv_offline_fail(ret_text, BASE_E_STATE,
                               "this node is not a member of the quorum any more; take the "
                               "directory of one that is");
    }
    forced->self = *self;
    forced->self.is_learner = false;
    forced->members_lost = force->configuration.count - 1;
    forced->applied = force->state.applied_index;
    forced->tail = force->last - force->state.applied_index;
    forced->cluster_id = force->random[0] >> 1 == 0 ? 1 : force->random[0] >> 1;
    return 0;
}

int kv_force_new(const char *directory, const uint64_t random[2], struct kv_forced *ret,
                 char *ret_text)
{
    struct kv_offline *o = NULL;
    struct kv_forced forced = {0};
    struct force force = {.random = random, .ret = &forced};
    BASE_ASSERT(random[1] != 0);
    int rc = kv_offline_open(directory, false, &o, ret_text);
    if (rc != 0) {
        return rc;
    }
    rc = kv_offline_state(o, force_read_state, &force);
    rc = rc != 0 ? rc : kv_offline_log(o, force_read_log, &force);
    if (rc != 0) {
        (void)kv_offline_fail(ret_text, rc, "the stores in %s cannot be read: %s", directory,
                              base_error_text(rc));
    } else {
        rc = force_judge(&force, ret_text);
    }
    if (rc == 0) {
        rc = kv_offline_state(o, force_write_state, &force);
        rc = rc != 0 ? rc : kv_offline_log(o, force_write_log, &force);
        if (rc != 0) {
            (void)kv_offline_fail(ret_text, rc, "%s cannot be written: %s", directory,
                                  o->text[0] != 0 ? o->text : base_error_text(rc));
        }
    }
    (void)kv_offline_close(o);
    if (rc == 0) {
        *ret = forced;
    }
    return rc;
}
