/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: committed entries, and what becomes of them.
 *
 * service_apply runs in the storage thread and writes a result that service_applied reads in the
 * loop thread of the same process; the result never goes anywhere else. On every node it tells the
 * revision and swaps, on the node that asked also the answer.
 */
#include "base/assert.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"

struct result {
    int64_t revision;
    bool is_changed;
    bool is_swap;
    uint64_t request_id; /* 0: not asked for by this node in this life */
    enum kv_error error;
    struct kv_swapped swapped; /* when is_swap */
    struct slice response;     /* when request_id is not 0 */
};

static void result_encode_head(const struct result *result, struct buf *out)
{
    buf_put_u64_be(out, (uint64_t)result->revision);
    buf_put_u8(out, result->is_changed);
    buf_put_u8(out, result->is_swap);
    buf_put_u64_be(out, result->request_id);
    buf_put_u32_be(out, (uint32_t)result->error);
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

static int result_decode(struct slice rest, struct result *ret)
{
    uint64_t revision = 0;
    uint8_t is_changed = 0;
    uint8_t is_swap = 0;
    uint32_t error = 0;
    if (slice_take_u64_be(&rest, &revision) != 0 || slice_take_u8(&rest, &is_changed) != 0 ||
        slice_take_u8(&rest, &is_swap) != 0 || slice_take_u64_be(&rest, &ret->request_id) != 0 ||
        slice_take_u32_be(&rest, &error) != 0) {
        return BASE_E_PROTO;
    }
    ret->revision = (int64_t)revision;
    ret->is_changed = is_changed != 0;
    ret->is_swap = is_swap != 0;
    ret->error = (enum kv_error)error;
    ret->response = rest;
    return ret->is_swap ? result_decode_swap(&rest, &ret->swapped) : 0;
}

/* --- storage thread --- */

static struct kv_header *header_of(struct kv_response *response)
{
    switch (response->kind) {
    case KV_KIND_PUT:
        return &response->put.header;
    case KV_KIND_DELETE:
        return &response->delete_range.header;
    default:
        return &response->txn.header;
    }
}

/* Encodes the answer for the node that asked. One that does not fit is replaced by its error: what
 * the request did stands all the same. */
static void answer(const struct kv_service *service, struct kv_outcome *outcome, uint64_t term,
                   struct result *result, struct buf *out)
{
    struct kv_header *header = header_of(&outcome->response);
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
    bool is_mine = command.origin_node == service->options.member_id &&
                   command.origin_life == service->options.life;
    struct result result = {.revision = outcome.revision,
                            .is_changed = outcome.is_changed,
                            .is_swap = command.request.kind == KV_KIND_SWAP,
                            .request_id = is_mine ? command.request_id : 0,
                            .error = outcome.error};
    if (is_mine && outcome.response.kind != KV_KIND_NONE) {
        answer(service, &outcome, entry->term, &result, out);
    } else {
        result_encode_head(&result, out);
    }
    if (result.is_swap) {
        describe_swap(&command.request.swap, &outcome, &result.swapped);
        result_encode_swap(&result.swapped, out);
    }
    BASE_ASSERT(!out->is_full); /* raft_node_config.result_bytes_max holds any swap */
    return 0;
}

/* --- loop thread --- */

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
    if (result.is_swap && options->swapped != NULL) {
        result.swapped.is_won = result.error == KV_OK;
        result.swapped.index = index;
        result.swapped.term = term;
        result.swapped.kv_revision = result.is_changed ? result.revision : 0;
        options->swapped(options->user, &result.swapped);
    }
    if (result.is_changed && options->revised != NULL) {
        options->revised(options->user, result.revision);
    }
    struct slot *slot = result.request_id == 0 ? NULL : slot_find(service, result.request_id);
    if (slot != NULL) {
        slot_end(service, slot, result.error, result.is_swap ? SLICE_EMPTY : result.response);
    }
}
