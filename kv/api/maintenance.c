/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Maintenance. Snapshot streams an image of the state store (raft/snapshot_format.h)
 * in blobs of 32 KiB, padded with zeros to whole blocks of 512 bytes, and the SHA-256 over all of
 * them as last blob: the form that `etcdctl snapshot save` accepts. One client at a time; the next
 * one is told to come again. There is one image at a time, and a node that lacks a part of the log
 * waits for it, so a client that takes nothing for STALLED_US is left behind. Defragment
 * answers at once: pages that are free are used again, there is nothing to move. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/methods.h"
#include "proto/wire/kv_tables.h"

#define BLOB_BYTES (32u * 1024u)
#define BLOCK_BYTES 512u
#define STALLED_US (20 * BASE_US_PER_S)

enum snapshot_state { SNAPSHOT_IDLE, SNAPSHOT_BEGINNING, SNAPSHOT_READING, SNAPSHOT_SENDING };

struct api_maintenance {
    struct api_maintenance_options options;
    struct rpc_registry *registry;
    /* the one Snapshot under way */
    enum snapshot_state state;
    uint64_t call_id; /* 0: the client is gone */
    struct snapshot_job job;
    uint64_t offset;    /* read so far */
    uint64_t remaining; /* to be sent, padding included */
    bool is_digest_sent;
    struct base_mono taken_at; /* the last blob by the client, or the beginning */
    EVP_MD_CTX *digest;
    uint8_t blob[BLOB_BYTES];
    size_t blob_len;
    uint8_t message[BLOB_BYTES + 256];
    uint64_t served;
};

static void snapshot_read(struct api_maintenance *m);
static void snapshot_send(struct api_maintenance *m);

/* --- Snapshot --- */

static void snapshot_end(struct api_maintenance *m)
{
    if (m->state > SNAPSHOT_BEGINNING) {
        m->options.snapshot.export_end(m->options.snapshot.ctx);
    }
    EVP_MD_CTX_free(m->digest);
    m->digest = NULL;
    m->state = SNAPSHOT_IDLE;
    m->call_id = 0;
}

static void snapshot_finish(struct api_maintenance *m, enum io_grpc_status status, const char *text)
{
    struct rpc_call *call = rpc_find(m->registry, m->call_id);
    snapshot_end(m);
    if (call != NULL) {
        rpc_finish_status(call, status, text);
    }
}

/* A read has come, or the image is there. */
static void snapshot_done(struct snapshot_job *job, int status)
{
    struct api_maintenance *m = job->user;
    bool is_begin = m->state == SNAPSHOT_BEGINNING;
    if (status != 0) {
        snapshot_finish(m, IO_GRPC_INTERNAL, base_error_text(status));
        return;
    }
    m->state = SNAPSHOT_READING;
    if (m->call_id == 0) {
        snapshot_end(m);
        return;
    }
    if (is_begin) {
        m->taken_at = io_now();
        m->remaining = (job->info.bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
        snapshot_read(m);
        return;
    }
    size_t len = job->data.len < BLOB_BYTES ? job->data.len : BLOB_BYTES;
    memcpy(m->blob, job->data.data, len);
    m->offset += len;
    m->blob_len = len;
    snapshot_send(m);
}

static void snapshot_read(struct api_maintenance *m)
{
    m->state = SNAPSHOT_READING;
    if (m->offset < m->job.info.bytes) {
        int rc = m->options.snapshot.export_read(m->options.snapshot.ctx, &m->job, m->offset);
        if (rc != 0) {
            snapshot_finish(m, IO_GRPC_INTERNAL, base_error_text(rc));
        }
        return;
    }
    m->blob_len = (size_t)m->remaining;
    if (m->blob_len > 0) { /* the padding */
        BASE_ASSERT(m->blob_len < BLOCK_BYTES);
        memset(m->blob, 0, m->blob_len);
    } else {
        unsigned len = 0;
        m->is_digest_sent = EVP_DigestFinal_ex(m->digest, m->blob, &len) == 1;
        m->blob_len = len;
    }
    snapshot_send(m);
}

/* Sends the blob; when the client does not take it now, `writable` brings us here again. */
static void snapshot_send(struct api_maintenance *m)
{
    struct rpc_call *call = rpc_find(m->registry, m->call_id);
    struct buf out = buf_over(m->message, sizeof(m->message));
    m->state = SNAPSHOT_SENDING;
    if (call == NULL) {
        snapshot_end(m);
        return;
    }
    const struct kv_snapshot_response response = {
        .has_header = true,
        .header = {.cluster_id = m->options.cluster_id, .member_id = m->options.member_id},
        .remaining_bytes = m->is_digest_sent ? 0 : m->remaining - m->blob_len,
        .blob = {m->blob, m->blob_len},
    };
    int rc = wire_pb_encode(&wire_kv_snapshot_response_table, &response, &out);
    BASE_ASSERT(rc == 0);
    rc = rpc_send(call, buf_slice(&out));
    if (rc == BASE_E_BUSY) {
        return;
    }
    m->taken_at = io_now();
    if (rc != 0 || m->is_digest_sent) {
        m->served += rc == 0;
        snapshot_finish(m, rc == 0 ? IO_GRPC_OK : IO_GRPC_UNAVAILABLE, NULL);
        return;
    }
    if (EVP_DigestUpdate(m->digest, m->blob, m->blob_len) != 1) {
        snapshot_finish(m, IO_GRPC_INTERNAL, "no digest");
        return;
    }
    m->remaining -= m->blob_len;
    snapshot_read(m);
}

static bool snapshot_open_digest(struct api_maintenance *m)
{
    m->digest = EVP_MD_CTX_new();
    return m->digest != NULL && EVP_DigestInit_ex(m->digest, EVP_sha256(), NULL) == 1;
}

static void snapshot_message(void *ctx, struct rpc_call *call, struct slice message)
{
    struct api_maintenance *m = ctx;
    (void)message; /* SnapshotRequest has no fields */
    enum kv_error error = rpc_allow(call, NULL);
    if (error == KV_OK && m->options.snapshot.export_begin == NULL) {
        error = KV_E_UNIMPLEMENTED;
    }
    if (error == KV_OK && (m->state != SNAPSHOT_IDLE || !snapshot_open_digest(m))) {
        error = KV_E_TOO_MANY_REQUESTS;
    }
    if (error != KV_OK) {
        rpc_finish(call, error);
        return;
    }
    m->state = SNAPSHOT_BEGINNING;
    m->call_id = call->id;
    m->offset = 0;
    m->is_digest_sent = false;
    m->job = (struct snapshot_job){.user = m, .done = snapshot_done};
    int rc = m->options.snapshot.export_begin(m->options.snapshot.ctx, &m->job);
    if (rc != 0) { /* one image at a time, also those for other nodes */
        snapshot_finish(m, (enum io_grpc_status)kv_error_grpc(KV_E_TOO_MANY_REQUESTS),
                        kv_error_text(KV_E_TOO_MANY_REQUESTS));
    }
}

static void snapshot_writable(void *ctx, struct rpc_call *call)
{
    struct api_maintenance *m = ctx;
    if (m->call_id == call->id && m->state == SNAPSHOT_SENDING) {
        snapshot_send(m);
    }
}

static void snapshot_canceled(void *ctx, struct rpc_call *call)
{
    struct api_maintenance *m = ctx;
    if (m->call_id != call->id) {
        return;
    }
    m->call_id = 0;
    if (m->state == SNAPSHOT_SENDING) {
        snapshot_end(m); /* else the job under way ends it */
    }
}

void api_maintenance_tick(struct api_maintenance *m, struct base_mono now)
{
    if (m->state == SNAPSHOT_SENDING && base_mono_diff_us(now, m->taken_at) > STALLED_US) {
        snapshot_finish(m, IO_GRPC_UNAVAILABLE,
                        "the client took nothing of the image for 20 seconds; others wait for it");
    }
}

static void defragment(void *ctx, struct rpc_call *call, struct slice message)
{
    (void)ctx;
    (void)message;
    rpc_reply(call, SLICE_EMPTY); /* etcd's answer has no header either */
}

/* --- the table --- */

static const struct rpc_method methods[] = {
    {.path = "/etcdserverpb.Maintenance/Alarm",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_ALARM,
     .gateway = "/v3/maintenance/alarm"},
    {.path = "/etcdserverpb.Maintenance/Status",
     .access = RPC_READ,
     .is_for_learner = true,
     .kv_kind = KV_KIND_STATUS,
     .gateway = "/v3/maintenance/status"},
    {.path = "/etcdserverpb.Maintenance/Defragment",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_DEFRAGMENT, /* for the walker */
     .unary = defragment,
     .gateway = "/v3/maintenance/defragment"},
    {.path = "/etcdserverpb.Maintenance/Hash",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_HASH,
     .gateway = "/v3/maintenance/hash"},
    {.path = "/etcdserverpb.Maintenance/HashKV",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_HASH_KV,
     .gateway = "/v3/maintenance/hashkv"},
    {.path = "/etcdserverpb.Maintenance/MoveLeader",
     .access = RPC_ADMIN,
     .kv_kind = KV_KIND_MOVE_LEADER,
     .gateway = "/v3/maintenance/transfer-leadership"},
    {.path = "/etcdserverpb.Maintenance/Snapshot",
     .kind = RPC_STREAM,
     .access = RPC_ADMIN,
     .is_for_learner = true,
     .gateway = "/v3/maintenance/snapshot",
     .message = snapshot_message,
     .writable = snapshot_writable,
     .canceled = snapshot_canceled},
};

int api_maintenance_new(struct rpc_registry *registry,
                        const struct api_maintenance_options *options, struct api_maintenance **ret)
{
    struct api_maintenance *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return BASE_E_NOMEM;
    }
    m->options = *options;
    m->registry = registry;
    int rc = rpc_register(registry, methods, BASE_COUNT_OF(methods), m);
    if (rc != 0) {
        free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

uint64_t api_maintenance_snapshots(const struct api_maintenance *maintenance)
{
    return maintenance->served;
}

struct api_maintenance *api_maintenance_free(struct api_maintenance *maintenance)
{
    if (maintenance != NULL) {
        EVP_MD_CTX_free(maintenance->digest);
    }
    free(maintenance);
    return NULL;
}
