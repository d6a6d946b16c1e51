/* SPDX-License-Identifier: Apache-2.0 */
/* Log, hard state and applied index in the store's tables. */
#include "raft/log_store.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "raft/core/members.h"

#define KEY_IDS SLICE_LIT("raft.ids")
#define KEY_STATE SLICE_LIT("raft.state")
#define KEY_APPLIED SLICE_LIT("raft.applied")
#define KEY_IMAGE SLICE_LIT("raft.image")
#define KEY_RESET SLICE_LIT("raft.reset")
#define KEY_MEMBERS SLICE_LIT("raft.members")

static struct slice key_of(uint64_t index, uint8_t memory[8])
{
    struct buf b = buf_over(memory, 8);
    buf_put_u64_be(&b, index);
    return buf_slice(&b);
}

static uint32_t checksum_of(uint64_t index, const struct msg_raft_entry *entry)
{
    uint8_t memory[17];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u64_be(&b, index);
    buf_put_u64_be(&b, entry->term);
    buf_put_u8(&b, (uint8_t)entry->type);
    return base_crc32c(base_crc32c(0, buf_slice(&b)), entry->body);
}

void log_store_encode(uint64_t index, const struct msg_raft_entry *entry, uint8_t *memory)
{
    struct buf b = buf_over(memory, LOG_STORE_HEADER + entry->body.len);
    buf_put_u64_be(&b, entry->term);
    buf_put_u32_be(&b, checksum_of(index, entry));
    buf_put_u8(&b, (uint8_t)entry->type);
    buf_put(&b, entry->body);
    BASE_ASSERT(!b.is_full);
}

int log_store_decode(uint64_t index, struct slice value, struct msg_raft_entry *ret)
{
    struct msg_raft_entry entry = {0};
    uint32_t checksum = 0;
    uint8_t type = 0;
    if (slice_take_u64_be(&value, &entry.term) != 0 || slice_take_u32_be(&value, &checksum) != 0 ||
        slice_take_u8(&value, &type) != 0) {
        return BASE_E_CORRUPT;
    }
    entry.type = (enum msg_raft_entry_type)type;
    entry.body = value;
    if (checksum != checksum_of(index, &entry) || entry.term == 0) {
        return BASE_E_CORRUPT;
    }
    *ret = entry;
    return 0;
}

int log_store_put(struct store_txn *txn, uint64_t index, struct slice value)
{
    uint8_t memory[8];
    return store_put(txn, STORE_LOG, key_of(index, memory), value);
}

int log_store_remove(struct store_txn *txn, uint64_t from, uint64_t to)
{
    for (uint64_t index = from; index <= to; index++) {
        uint8_t memory[8];
        int rc = store_del(txn, STORE_LOG, key_of(index, memory));
        if (rc != 0) {
            return rc == BASE_E_NOTFOUND ? BASE_E_CORRUPT : rc;
        }
    }
    return 0;
}

int log_store_get(struct store_txn *txn, uint64_t index, struct msg_raft_entry *ret)
{
    uint8_t memory[8];
    struct slice value = SLICE_EMPTY;
    int rc = store_get(txn, STORE_LOG, key_of(index, memory), &value);
    return rc != 0 ? rc : log_store_decode(index, value, ret);
}

/* Two numbers and a checksum. */
static int put_pair(struct store_txn *txn, struct slice key, uint64_t first, uint64_t second)
{
    uint8_t memory[20];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u64_be(&b, first);
    buf_put_u64_be(&b, second);
    buf_put_u32_be(&b, base_crc32c(0, buf_slice(&b)));
    return store_put(txn, STORE_META, key, buf_slice(&b));
}

static int get_pair(struct store_txn *txn, struct slice key, uint64_t *ret_first,
                    uint64_t *ret_second)
{
    struct slice value = SLICE_EMPTY;
    int rc = store_get(txn, STORE_META, key, &value);
    if (rc == BASE_E_NOTFOUND) {
        *ret_first = 0;
        *ret_second = 0;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    struct slice numbers = value;
    uint64_t first = 0;
    uint64_t second = 0;
    uint32_t checksum = 0;
    if (value.len != 20 || slice_take_u64_be(&value, &first) != 0 ||
        slice_take_u64_be(&value, &second) != 0 || slice_take_u32_be(&value, &checksum) != 0 ||
        checksum != base_crc32c(0, slice_from(numbers.data, 16))) {
        return BASE_E_CORRUPT;
    }
    *ret_first = first;
    *ret_second = second;
    return 0;
}

int log_store_save_state(struct store_txn *txn, uint64_t term, uint64_t vote)
{
    return put_pair(txn, KEY_STATE, term, vote);
}

int log_store_save_applied(struct store_txn *txn, uint64_t index, uint64_t term)
{
    return put_pair(txn, KEY_APPLIED, index, term);
}

int log_store_load_state(struct store_txn *txn, struct log_store_state *ret)
{
    struct log_store_state state = {0};
    int rc = get_pair(txn, KEY_STATE, &state.term, &state.vote);
    if (rc == 0) {
        rc = get_pair(txn, KEY_APPLIED, &state.applied_index, &state.applied_term);
    }
    if (rc == 0) {
        *ret = state;
    }
    return rc;
}

int log_store_save_members(struct store_txn *txn, const struct raft_configuration *configuration)
{
    uint8_t memory[12 + RAFT_MEMBERS_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u64_be(&b, configuration->index);
    int rc = raft_members_encode(configuration, &b);
    buf_put_u32_be(&b, base_crc32c(0, buf_slice(&b)));
    return rc != 0 ? rc : store_put(txn, STORE_META, KEY_MEMBERS, buf_slice(&b));
}

int log_store_load_members(struct store_txn *txn, struct raft_configuration *ret)
{
    struct slice value = SLICE_EMPTY;
    int rc = store_get(txn, STORE_META, KEY_MEMBERS, &value);
    if (rc != 0) {
        return rc;
    }
    struct slice rest = value;
    struct slice bytes = SLICE_EMPTY;
    uint64_t index = 0;
    uint32_t checksum = 0;
    if (value.len < 12 || slice_take_u64_be(&rest, &index) != 0 ||
        slice_take_bytes(&rest, value.len - 12, &bytes) != 0 ||
        slice_take_u32_be(&rest, &checksum) != 0 ||
        checksum != base_crc32c(0, slice_from(value.data, value.len - 4))) {
        return BASE_E_CORRUPT;
    }
    rc = raft_members_decode(bytes, ret);
    ret->index = index;
    return rc == BASE_E_PROTO ? BASE_E_CORRUPT : rc;
}

int log_store_save_image(struct store_txn *txn, uint64_t index, uint64_t term)
{
    return put_pair(txn, KEY_IMAGE, index, term);
}

int log_store_load_image(struct store_txn *txn, uint64_t *ret_index, uint64_t *ret_term)
{
    return get_pair(txn, KEY_IMAGE, ret_index, ret_term);
}

int log_store_reset(struct store_txn *txn, uint64_t index, uint64_t term)
{
    int rc = put_pair(txn, KEY_RESET, index, term);
    return rc != 0 ? rc : store_del_range(txn, STORE_LOG, SLICE_EMPTY, SLICE_EMPTY, 0, NULL);
}

int log_store_load_reset(struct store_txn *txn, uint64_t *ret_index, uint64_t *ret_term)
{
    return get_pair(txn, KEY_RESET, ret_index, ret_term);
}

int log_store_trim(struct store_txn *txn, uint64_t index)
{
    uint8_t memory[8];
    return store_del_range(txn, STORE_LOG, SLICE_EMPTY, key_of(index + 1, memory), 0, NULL);
}

int log_store_has_ids(struct store_txn *txn, bool *ret)
{
    struct slice stored = SLICE_EMPTY;
    int rc = store_get(txn, STORE_META, KEY_IDS, &stored);
    *ret = rc == 0;
    return rc == BASE_E_NOTFOUND ? 0 : rc;
}

int log_store_load_ids(struct store_txn *txn, uint64_t *ret_cluster, uint64_t *ret_node)
{
    struct slice stored = SLICE_EMPTY;
    uint32_t format = 0;
    uint32_t checksum = 0;
    int rc = store_get(txn, STORE_META, KEY_IDS, &stored);
    if (rc != 0) {
        return rc;
    }
    struct slice rest = stored;
    if (slice_take_u32_be(&rest, &format) != 0) {
        return BASE_E_CORRUPT;
    }
    if (format != LOG_STORE_FORMAT) {
        return BASE_E_UNSUPPORTED;
    }
    if (slice_take_u64_be(&rest, ret_cluster) != 0 || slice_take_u64_be(&rest, ret_node) != 0 ||
        slice_take_u32_be(&rest, &checksum) != 0 || rest.len != 0 ||
        checksum != base_crc32c(0, slice_from(stored.data, stored.len - 4))) {
        return BASE_E_CORRUPT;
    }
    return 0;
}

int log_store_check_ids(struct store_txn *txn, uint64_t cluster, uint64_t node)
{
    uint64_t stored_cluster = 0;
    uint64_t stored_node = 0;
    int rc = log_store_load_ids(txn, &stored_cluster, &stored_node);
    if (rc == 0) {
        return stored_cluster == cluster && stored_node == node ? 0 : BASE_E_CONFLICT;
    }
    if (rc != BASE_E_NOTFOUND) {
        return rc;
    }
    uint8_t memory[24];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u32_be(&b, LOG_STORE_FORMAT);
    buf_put_u64_be(&b, cluster);
    buf_put_u64_be(&b, node);
    buf_put_u32_be(&b, base_crc32c(0, buf_slice(&b)));
    return store_put(txn, STORE_META, KEY_IDS, buf_slice(&b));
}

struct walk {
    log_store_entry_fn *visit;
    void *ctx;
    uint64_t next; /* 0: any */
};

static int walk_row(void *ctx, struct slice key, struct slice value)
{
    struct walk *walk = ctx;
    uint64_t index = 0;
    struct msg_raft_entry entry;
    if (key.len != 8 || slice_take_u64_be(&key, &index) != 0 || index == 0 ||
        (walk->next != 0 && index != walk->next)) {
        return BASE_E_CORRUPT;
    }
    int rc = log_store_decode(index, value, &entry);
    walk->next = index + 1;
    return rc != 0 ? rc : walk->visit(walk->ctx, index, &entry);
}

int log_store_walk(struct store_txn *txn, log_store_entry_fn *visit, void *ctx)
{
    struct walk walk = {.visit = visit, .ctx = ctx};
    return store_scan(txn, STORE_LOG, SLICE_EMPTY, walk_row, &walk);
}

int log_store_load_info(struct store_txn *txn, struct snapshot_info *ret)
{
    struct snapshot_info info = {0};
    struct log_store_state state = {0};
    uint64_t node = 0;
    int rc = log_store_load_ids(txn, &info.cluster_id, &node);
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    if (rc == 0) {
        rc = log_store_load_state(txn, &state);
    }
    if (rc == 0) {
        rc = log_store_load_members(txn, &info.configuration);
        rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    }
    info.index = state.applied_index;
    info.term = state.applied_term;
    if (rc == 0) {
        *ret = info;
    }
    return rc;
}
