/* SPDX-License-Identifier: Apache-2.0 */
/* The quorum begins anew from an older image; see restore.h. */
#include "tests/sim/restore.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/core/apply.h"
#include "kv/core/restore.h"
#include "kv/core/rows.h"
#include "raft/log_store.h"
#include "tests/sim/chores.h"
#include "tests/sim/faults.h"
#include "tests/sim/faults_db.h"
#include "tests/sim/kv_load.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/watchers.h"

#define BUMP INT64_C(1000000) /* of the revision */
#define TERM_BUMP 1000u       /* of the term: agents know orders and promises by terms */
#define IMAGE_BYTES ((size_t)8 << 20)

struct restore {
    struct base_rand rand;
    struct buf image; /* rows: table u8, key and value with their lengths u32 */
    uint8_t *memory;
    bool is_taken;
    struct log_store_state state;
    struct raft_configuration members;
    int64_t revision;
    unsigned tries; /* of the operator */
};

/* --- the image --- */

struct taking {
    struct restore *restore;
    enum store_table table;
};

static int take_row(void *ctx, struct slice key, struct slice value)
{
    const struct taking *taking = ctx;
    struct buf *image = &taking->restore->image;
    bool is_own = taking->table == STORE_META && key.len > 5 && memcmp(key.data, "raft.", 5) == 0;
    if (!is_own) {
        buf_put_u8(image, (uint8_t)taking->table);
        buf_put_u32_be(image, (uint32_t)key.len);
        buf_put(image, key);
        buf_put_u32_be(image, (uint32_t)value.len);
        buf_put(image, value);
    }
    return 0;
}

static void take_image(struct restore *r, struct store_txn *txn)
{
    static const enum store_table tables[] = {
        STORE_META,      STORE_KV_CURRENT, STORE_KV_REVS, STORE_KV_INDEX,
        STORE_KV_LEASES, STORE_ARBITER,    STORE_AUTH,    STORE_KV_LEASE_KEYS,
    };
    r->memory = must_alloc(1, IMAGE_BYTES);
    r->image = buf_over(r->memory, IMAGE_BYTES);
    for (size_t i = 0; i < BASE_COUNT_OF(tables); i++) {
        struct taking taking = {r, tables[i]};
        BASE_ASSERT(store_scan(txn, tables[i], SLICE_EMPTY, take_row, &taking) == 0);
    }
    BASE_ASSERT(!r->image.is_full);
    BASE_ASSERT(log_store_load_state(txn, &r->state) == 0);
    BASE_ASSERT(log_store_load_members(txn, &r->members) == 0);
    BASE_ASSERT(kv_core_revision(txn, &r->revision) == 0);
    r->is_taken = true;
}

/* Of a node that has applied everything that any node has, once there is a record in it. */
static void take(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct restore *r = w->restore;
    (void)number;
    (void)bytes;
    int leader = nodes_leader(w);
    struct msg_record record;
    if (leader >= 0 && truth_record(w, &record) &&
        truth_is_newest(w, disk_txn(node_state(w, (unsigned)leader)), record.epoch)) {
        take_image(r, disk_txn(node_state(w, (unsigned)leader)));
        truth_saved(w);
        trace(w, TRACE_MARK, 40, r->state.applied_index, (uint64_t)r->revision, record.epoch);
        return;
    }
    world_at(w, w->now_us + 300 * MS, NULL, take, w);
}

/* --- a node from it --- */

static struct slice take_bytes(struct slice *from)
{
    uint32_t len = 0;
    struct slice bytes = SLICE_EMPTY;
    BASE_ASSERT(slice_take_u32_be(from, &len) == 0 && slice_take_bytes(from, len, &bytes) == 0);
    return bytes;
}

static void fill_state(const struct restore *r, struct store_txn *txn, uint64_t cluster,
                       uint64_t node, uint64_t id)
{
    struct raft_configuration members = r->members;
    struct slice rest = buf_slice(&r->image);
    while (rest.len > 0) {
        uint8_t table = 0;
        BASE_ASSERT(slice_take_u8(&rest, &table) == 0);
        struct slice key = take_bytes(&rest), value = take_bytes(&rest);
        BASE_ASSERT(store_put(txn, (enum store_table)table, key, value) == 0);
    }
    members.index = r->state.applied_index;
    BASE_ASSERT(log_store_check_ids(txn, cluster, node) == 0);
    BASE_ASSERT(log_store_save_applied(txn, r->state.applied_index, r->state.applied_term) == 0);
    BASE_ASSERT(log_store_save_members(txn, &members) == 0);
    BASE_ASSERT(kv_core_restore_id_set(txn, id) == 0);
    BASE_ASSERT(kv_meta_put(txn, SLICE_LIT(KV_META_REVISION), (uint64_t)(r->revision + BUMP)) == 0);
}

static void fill_log(const struct restore *r, struct store_txn *txn, uint64_t cluster,
                     uint64_t node)
{
    BASE_ASSERT(log_store_check_ids(txn, cluster, node) == 0);
    BASE_ASSERT(log_store_save_image(txn, r->state.applied_index, r->state.applied_term) == 0);
    BASE_ASSERT(log_store_save_state(txn, r->state.applied_term + TERM_BUMP, 0) == 0);
}

/* --- the operator --- */

/* He knows how many members he has, which the quorum does not: one that neither the record names
 * nor the new leader has heard cannot make it refuse, and may have seen a higher epoch. So he waits
 * until each was heard once (docs/quorum.md); that they still are is for the leader to judge. */
static bool all_were_heard(struct world *w)
{
    for (unsigned i = 0; i < w->setup.members; i++) {
        if (!nodes_has_heard(w, 0, &member_of(w, i)->name)) {
            return false;
        }
    }
    return true;
}

/* First without a name; when the reports do not show who was last, each member in turn. */
static void confirm(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct restore *r = w->restore;
    (void)number;
    (void)bytes;
    if (!truth_is_unconfirmed(w)) {
        return;
    }
    struct arb_request request = {.kind = ARB_REQUEST_CONFIRM};
    unsigned turn = r->tries++ % (w->setup.members + 1);
    if (turn > 0) {
        request.candidate = member_of(w, turn - 1)->name;
    }
    if (all_were_heard(w) && nodes_request(w, 0, &request) == 0) {
        truth_confirming(w);
    }
    world_at(w, w->now_us + 700 * MS, NULL, confirm, w);
}

/* --- the day --- */

static void begin_anew(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct restore *r = w->restore;
    uint64_t id = base_rand_next(&r->rand) | 1, cluster = base_rand_next(&r->rand) | 1;
    (void)number;
    (void)bytes;
    if (!r->is_taken) {
        return;
    }
    fault_bit(w, FAULT_RESTORE, 0, 0, 0);
    for (unsigned node = 0; node < w->setup.slots; node++) {
        node_crash(w, node, 5);
    }
    kv_load_restart(w);
    watchers_forget(w);
    chores_restart(w);
    nodes_set_cluster(w, cluster);
    for (unsigned node = 0; node < w->setup.slots; node++) {
        for (unsigned other = 0; other < ADDRESSES; other++) {
            net_reset(w, ADDRESS_NODE + node, other);
        }
        disk_wipe(node_log(w, node));
        disk_wipe(node_state(w, node));
        fill_state(r, disk_txn(node_state(w, node)), cluster, node_id(w, node), id);
        fill_log(r, disk_txn(node_log(w, node)), cluster, node_id(w, node));
        disk_settle(node_state(w, node));
        disk_settle(node_log(w, node));
    }
    truth_begin_anew(w, r->state.applied_index, r->revision + BUMP);
    for (unsigned node = 0; node < w->setup.slots; node++) {
        process_thaw(w, node_process(w, node), STOPPED_BY_FAULT);
        node_start(w, node);
    }
    world_at(w, w->now_us + draw(&r->rand, SECOND, 12 * SECOND), NULL, confirm, w);
}

void restore_open(struct world *w)
{
    struct restore *r = w->restore = must_alloc(1, sizeof(*r));
    r->rand = world_stream(w, STREAM_RESTORE, 0);
    if (w->setup.is_restoring) {
        int64_t end_us = w->setup.faults_end_us;
        int64_t at_us = draw(&r->rand, end_us / 2 + SECOND, end_us - SECOND);
        int64_t image_us = chance(&r->rand, 500000) ? at_us - draw(&r->rand, SECOND, 8 * SECOND)
                                                    : draw(&r->rand, 8 * SECOND, end_us / 2);
        world_at(w, image_us, NULL, take, w);
        world_at(w, at_us, NULL, begin_anew, w);
    }
}

void restore_close(struct world *w)
{
    free(w->restore->memory);
    free(w->restore);
    w->restore = NULL;
}
