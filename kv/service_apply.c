/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: committed entries, and what becomes of them.
 *
 * service_apply runs in the storage thread and writes a result that service_applied reads in the
 * loop thread of the same process; the result never goes anywhere else. On every node it tells the
 * revision and swaps, on the node that asked also the answer.
 */
#include "base/assert.h"
#include "kv/core/auth.h"
#include "kv/core/check.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

#define DIGITS_MAX 20u /* of an index */

enum result_part {
    PART_SWAP = 1,
    PART_LEASE = 2,
    PART_COMPACT = 4,
    PART_ALARMS = 8,
    PART_AUTH = 16
};

struct result {
    int64_t revision;
    bool is_changed;
    uint8_t parts;
    uint64_t request_id; /* 0: not asked for by this node in this life */
    uint32_t kind;       /* enum kv_kind */
    enum kv_error error;
    struct kv_swapped swapped;
    struct kv_lease_row lease;
    int64_t compact_revision;
    struct kv_alarms alarms;
    struct kv_auth_event auth;
    struct slice response; /* when request_id is not 0 */
};

static void result_encode_parts(const struct result *result, struct buf *out)
{
    if ((result->parts & PART_LEASE) != 0) {
        buf_put_u64_be(out, (uint64_t)result->lease.id);
        buf_put_u64_be(out, (uint64_t)result->lease.ttl);
    }
    if ((result->parts & PART_COMPACT) != 0) {
        buf_put_u64_be(out, (uint64_t)result->compact_revision);
    }
    if ((result->parts & PART_ALARMS) != 0) {
        buf_put_u8(out, result->alarms.has_no_space);
        buf_put_u8(out, result->alarms.is_corrupt);
    }
    if ((result->parts & PART_AUTH) != 0) {
        buf_put_u32_be(out, (uint32_t)result->auth.name.len);
        buf_put(out, result->auth.name);
        buf_put_u32_be(out, (uint32_t)result->auth.token.len);
        buf_put(out, result->auth.token);
    }
}

static void result_encode_head(const struct result *result, struct buf *out)
{
    buf_put_u64_be(out, (uint64_t)result->revision);
    buf_put_u8(out, result->is_changed);
    buf_put_u8(out, result->parts);
    buf_put_u64_be(out, result->request_id);
    buf_put_u32_be(out, result->kind);
    buf_put_u32_be(out, (uint32_t)result->error);
    result_encode_parts(result, out);
}

static void result_encode_swap(const struct kv_swapped *swapped, struct buf *out)
{
    buf_put_u64_be(out, swapped->epoch);
    buf_put_u64_be(out, swapped->revision);
    buf_put_u64_be(out, swapped->expect_epoch);
    buf_put_u64_be(out, swapped->expect_revision);
    buf_put_u32_be(out, (uint32_t)swapped->name.len);
    buf_put(out, swapped->name);
    buf_put(out, swapped->blob);
}

static int result_decode_swap(struct slice *rest, struct kv_swapped *ret)
{
    uint32_t name_len = 0;
    if (slice_take_u64_be(rest, &ret->epoch) != 0 || slice_take_u64_be(rest, &ret->revision) != 0 ||
        slice_take_u64_be(rest, &ret->expect_epoch) != 0 ||
        slice_take_u64_be(rest, &ret->expect_revision) != 0 ||
        slice_take_u32_be(rest, &name_len) != 0 ||
        slice_take_bytes(rest, name_len, &ret->name) != 0) {
        return BASE_E_PROTO;
    }
    ret->blob = *rest;
    return 0;
}

static int take_text(struct slice *rest, struct slice *ret)
{
    uint32_t len = 0;
    int rc = slice_take_u32_be(rest, &len);
    return rc != 0 ? rc : slice_take_bytes(rest, len, ret);
}

static int result_decode_parts(struct slice *rest, struct result *ret)
{
    uint64_t number = 0;
    uint8_t flags[2] = {0, 0};
    int rc = 0;
    if ((ret->parts & PART_LEASE) != 0) {
        rc = slice_take_u64_be(rest, &number);
        ret->lease.id = (int64_t)number;
        rc = rc != 0 ? rc : slice_take_u64_be(rest, &number);
        ret->lease.ttl = (int64_t)number;
    }
    if (rc == 0 && (ret->parts & PART_COMPACT) != 0) {
        rc = slice_take_u64_be(rest, &number);
        ret->compact_revision = (int64_t)number;
    }
    if (rc == 0 && (ret->parts & PART_ALARMS) != 0) {
        rc = slice_take_u8(rest, &flags[0]);
        rc = rc != 0 ? rc : slice_take_u8(rest, &flags[1]);
        ret->alarms = (struct kv_alarms){flags[0] != 0, flags[1] != 0};
    }
    if (rc == 0 && (ret->parts & PART_AUTH) != 0) {
        ret->auth.kind = ret->kind;
        rc = take_text(rest, &ret->auth.name);
        rc = rc != 0 ? rc : take_text(rest, &ret->auth.token);
    }
    return rc;
}

static int result_decode(struct slice rest, struct result *ret)
{
    uint64_t revision = 0;
    uint8_t is_changed = 0;
    uint32_t error = 0;
    if (slice_take_u64_be(&rest, &revision) != 0 || slice_take_u8(&rest, &is_changed) != 0 ||
        slice_take_u8(&rest, &ret->parts) != 0 || slice_take_u64_be(&rest, &ret->request_id) != 0 ||
        slice_take_u32_be(&rest, &ret->kind) != 0 || slice_take_u32_be(&rest, &error) != 0 ||
        result_decode_parts(&rest, ret) != 0) {
        return BASE_E_PROTO;
    }
    ret->revision = (int64_t)revision;
    ret->is_changed = is_changed != 0;
    ret->error = (enum kv_error)error;
    ret->response = rest;
    return (ret->parts & PART_SWAP) != 0 ? result_decode_swap(&rest, &ret->swapped) : 0;
}

/* --- storage thread --- */

struct kv_header *response_header(struct kv_response *response)
{
    switch (response->kind) {
#define HEADER_OF(name, number, m, s, member, rs) \
    case KV_KIND_##name: \
        return &response->member.header;
        KV_KINDS(HEADER_OF)
#undef HEADER_OF
    default:
        return NULL;
    }
}

/* Encodes the answer for the node that asked. One that does not fit is replaced by its error: what
 * the request did stands all the same. */
static void answer(const struct kv_service *service, struct kv_outcome *outcome, uint64_t term,
                   struct result *result, struct buf *out)
{
    struct kv_header *header = response_header(&outcome->response);
    header->cluster_id = service->options.cluster_id;
    header->member_id = service->options.member_id;
    header->raft_term = term;
    size_t start = out->len;
    result_encode_head(result, out);
    if (outcome->is_cut || kv_wire_encode_response(&outcome->response, out) != 0) {
        out->len = start;
        out->is_full = false;
        result->error = KV_E_RESPONSE_TOO_LARGE;
        result_encode_head(result, out);
    }
}

static void describe_swap(const struct kv_swap *swap, const struct kv_outcome *outcome,
                          struct kv_swapped *ret)
{
    *ret = (struct kv_swapped){.name = swap->name,
                               .epoch = outcome->record.epoch,
                               .revision = outcome->record.revision,
                               .blob = outcome->record.blob,
                               .expect_epoch = swap->expect_epoch,
                               .expect_revision = swap->expect_revision};
}

static void describe_auth(const struct kv_request *request, struct kv_auth_event *ret)
{
    switch (request->kind) {
    case KV_KIND_AUTHENTICATE:
        ret->name = request->authenticate.name;
        ret->token = request->authenticate.token;
        break;
    case KV_KIND_USER_ADD:
        ret->name = request->user_add.name;
        break;
    case KV_KIND_USER_PASSWORD:
        ret->name = request->user_password.name;
        break;
    case KV_KIND_USER_GRANT:
    case KV_KIND_USER_REVOKE:
        ret->name = request->user_role.user;
        break;
    case KV_KIND_ROLE_GRANT:
        ret->name = request->role_grant.name;
        break;
    case KV_KIND_ROLE_REVOKE:
        ret->name = request->role_revoke.role;
        break;
    case KV_KIND_USER_DELETE:
    case KV_KIND_ROLE_ADD:
    case KV_KIND_ROLE_DELETE:
        ret->name = request->name.name;
        break;
    default:
        break;
    }
}

/* What the loop threads of all nodes are told of an entry. */
static int describe(struct store_txn *txn, const struct kv_request *request,
                    const struct kv_outcome *outcome, struct result *result)
{
    if (request->kind == KV_KIND_SWAP) {
        result->parts = PART_SWAP;
        describe_swap(&request->swap, outcome, &result->swapped);
        return 0;
    }
    if (outcome->error != KV_OK) {
        return 0;
    }
    if (request->kind == KV_KIND_LEASE_GRANT || request->kind == KV_KIND_LEASE_REVOKE) {
        result->parts = PART_LEASE;
        result->lease = outcome->lease;
    } else if (request->kind == KV_KIND_COMPACT) {
        result->parts = PART_COMPACT;
        result->compact_revision = outcome->compact_revision;
    } else if (outcome->is_alarm_changed) {
        result->parts = PART_ALARMS;
        return kv_alarms_get(txn, &result->alarms);
    } else if (kv_kind_changes_auth(request->kind)) {
        result->parts = PART_AUTH;
        describe_auth(request, &result->auth);
    }
    return 0;
}

/* A token is told with the index of its entry behind it, so that a node which has not applied that
 * entry can wait until it has. */
static int number_token(struct kv_service *service, uint64_t index, struct kv_request *request,
                        struct kv_outcome *outcome)
{
    struct slice *token = &request->authenticate.token;
    size_t cap = token->len + 1 + DIGITS_MAX;
    uint8_t *memory = base_arena_take(&service->decode, cap, 1);
    if (memory == NULL) {
        return BASE_E_NOMEM;
    }
    struct buf out = buf_over(memory, cap);
    buf_put(&out, *token);
    buf_put_u8(&out, '.');
    buf_put_dec(&out, index);
    *token = outcome->response.authenticate.token = buf_slice(&out);
    return 0;
}

int service_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                  struct buf *out)
{
    struct kv_service *service = ctx;
    struct kv_command command;
    struct kv_outcome outcome;
    base_arena_reset(&service->decode);
    base_arena_reset(&service->scratch.arena);
    /* Whoever proposed it has checked it, so one that cannot be read is damage, or from a version
     * that this one must not guess at: either way going on would make this node differ from the
     * others. */
    int rc = kv_wire_decode_command(entry->data, &service->decode, &command);
    if (rc != 0) {
        return BASE_E_CORRUPT;
    }
    rc = kv_core_apply(txn, &service->scratch, &command, entry->term, &outcome);
    if (rc != 0) {
        return rc;
    }
    if (command.request.kind == KV_KIND_AUTHENTICATE && outcome.error == KV_OK) {
        rc = number_token(service, entry->index, &command.request, &outcome);
        if (rc != 0) {
            return rc;
        }
    }
    bool is_mine = command.origin_node == service->options.member_id &&
                   command.origin_life == service->options.life;
    struct result result = {.revision = outcome.revision,
                            .is_changed = outcome.is_changed,
                            .request_id = is_mine ? command.request_id : 0,
                            .kind = command.request.kind,
                            .error = outcome.error};
    rc = describe(txn, &command.request, &outcome, &result);
    if (rc != 0) {
        return rc;
    }
    if (is_mine && outcome.response.kind != KV_KIND_NONE) {
        answer(service, &outcome, entry->term, &result, out);
    } else {
        result_encode_head(&result, out);
    }
    if ((result.parts & PART_SWAP) != 0) {
        result_encode_swap(&result.swapped, out);
    }
    BASE_ASSERT(!out->is_full); /* raft_node_config.result_bytes_max holds any swap */
    return 0;
}

/* --- loop thread --- */

static void tell_swap(const struct kv_service *service, struct result *result, uint64_t index,
                      uint64_t term)
{
    const struct kv_service_options *options = &service->options;
    if (options->swapped == NULL) {
        return;
    }
    result->swapped.is_won = result->error == KV_OK;
    result->swapped.index = index;
    result->swapped.term = term;
    result->swapped.kv_revision = result->is_changed ? result->revision : 0;
    options->swapped(options->user, &result->swapped);
}

static void tell_parts(struct kv_service *service, struct result *result, uint64_t index,
                       uint64_t term)
{
    const struct kv_service_options *options = &service->options;
    switch (result->parts) {
    case PART_SWAP:
        tell_swap(service, result, index, term);
        break;
    case PART_LEASE:
        if (result->kind == KV_KIND_LEASE_GRANT) {
            kv_leases_granted(service->leases, result->lease.id, result->lease.ttl);
        } else {
            kv_leases_revoked(service->leases, result->lease.id);
        }
        break;
    case PART_COMPACT:
        upkeep_compacted(service, result->compact_revision);
        break;
    case PART_ALARMS:
        service->alarms = result->alarms;
        break;
    case PART_AUTH:
        result->auth.index = index;
        if (options->auth_changed != NULL) {
            options->auth_changed(options->user, &result->auth);
        }
        break;
    default:
        break;
    }
}

void service_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie, struct slice bytes)
{
    struct kv_service *service = ctx;
    const struct kv_service_options *options = &service->options;
    struct result result = {0};
    (void)cookie; /* the result says whose it is, also for writes that went by way of the leader */
    int rc = result_decode(bytes, &result);
    BASE_ASSERT(rc == 0);
    service->revision = result.revision;
    service->is_size_stale = true;
    tell_parts(service, &result, index, term);
    if (result.is_changed && options->revised != NULL) {
        options->revised(options->user, result.revision);
    }
    struct slot *slot = result.request_id == 0 ? NULL : slot_find(service, result.request_id);
    if (slot == NULL) {
        return;
    }
    const struct kv_request *request = slot->call->request;
    if (request->kind == KV_KIND_COMPACT && result.error == KV_OK && request->compact.is_physical) {
        upkeep_wait_physical(service, slot_release(slot));
        return;
    }
    bool is_swap = (result.parts & PART_SWAP) != 0;
    slot_end(service, slot, result.error, is_swap ? SLICE_EMPTY : result.response);
}
