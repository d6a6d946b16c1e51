/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events into one arbiter: reports that agents may send (each one goes through the
 * codec, so only valid ones arrive), elections, confirmations, swaps that win or are void, requests
 * of operators, documents, ends of fence commands, restores. Beyond assertions: A3 epochs grow, a
 * swap replaces exactly what is in force; grants are for the epoch in force, by a confirmed leader,
 * to one instance an epoch, and none for one that is fenced; A2 a new epoch waits for the last
 * grant of the old one, unless the holder has handed back or a trusted fence succeeded; none begins
 * in a pause. */
#include "tests/fuzz/arbiter_drive.h"

#define MEMBERS ARB_DRIVE_MEMBERS

static struct {
    struct arb_drive d;
    uint64_t restore_id, config_revision, fenced_epoch;
    uint64_t granted_instance; /* truth about grants */
} w;

/* --- what comes out --- */

static void check_grant(const struct msg_order *order, const struct base_name *member)
{
    (void)member;
    if (!order->is_granted) {
        return;
    }
    BASE_ASSERT(w.d.record.fencing_epoch != order->granted_epoch);
    BASE_ASSERT(w.d.granted_epoch != order->granted_epoch ||
                w.granted_instance == w.d.record.holder_instance || w.d.is_excused);
    w.granted_instance = w.d.record.holder_instance;
}

static void check_swap(const struct arb_effects *fx)
{
    const struct msg_record *next = &fx->record;
    BASE_ASSERT(next->epoch > w.d.record.epoch ||
                (next->epoch == w.d.record.epoch && next->revision == w.d.record.revision + 1));
    BASE_ASSERT(next->epoch == w.d.record.epoch || !w.d.record.is_paused ||
                fx->swap_kind == ARB_DECIDE_CONFIRMED);
}

/* A trusted fence has succeeded; or the same guard goes on in another role. */
static bool is_free(const struct arb_effects *fx)
{
    const struct msg_record *next = &fx->record;
    return (w.d.record.is_fence_trusted && w.fenced_epoch == w.d.record.epoch) ||
           (fx->swap_kind == ARB_DECIDE_CLUSTER_ROLE &&
            next->holder_instance == w.d.record.holder_instance &&
            base_name_equal(&next->holder, &w.d.record.holder));
}

/* --- what goes in --- */

static void vary_role(struct slice *in, struct msg_report *r, bool is_holder)
{
    uint8_t how = fuzz_u8(in);
    r->epoch_held = is_holder && how % 2 == 0 ? w.d.record.epoch : 0;
    r->lease_left_us = r->epoch_held != 0 && how % 16 != 0 ? BASE_US_PER_MS : 0;
    r->is_open = is_holder && how % 8 == 0;
    r->db_state = r->is_open ? MSG_DB_PRIMARY : (enum msg_db_state)(how % 11);
    r->is_receiving = !is_holder && how % 3 == 0;
    r->is_tree_gone = how % 5 == 0;
    if (how >= 224) {
        r->epoch_handed_back = arb_drive_near(in, w.d.record.epoch);
        r->is_handback_clean = how % 2 == 1;
        r->handback_lsn = 1000 + fuzz_u8(in);
        r->epoch_held = r->epoch_handed_back >= r->epoch_held ? 0 : r->epoch_held;
    }
}

static void vary_sync(struct slice *in, struct msg_report *r)
{
    uint8_t members = fuzz_u8(in);
    r->is_sync_known = members % 2 == 1;
    r->is_sync_barrier_passed = members % 4 == 3;
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct base_name name = arb_drive_name(i);
        if ((members >> 3 >> i & 1) != 0 && !base_name_equal(&name, &r->member)) {
            r->sync_names.names[r->sync_names.count++] = name;
            r->standbys[r->standbys_count++] = (struct msg_standby){
                .member = name, .flush_lsn = 1000, .is_streaming = true, .is_confirmed = true};
        }
    }
    r->sync_count = r->sync_names.count > 0 ? (uint8_t)(1 + members % r->sync_names.count) : 0;
}

static void report(struct slice *in)
{
    static struct msg_report r;
    unsigned member = fuzz_u8(in) % MEMBERS;
    uint8_t what = fuzz_u8(in);
    memset(&r, 0, sizeof(r));
    r.cluster = w.d.c.name;
    r.member = arb_drive_name(member);
    r.instance = arb_drive_near(in, 100 + member);
    r.session = 1000 + member + (what >= 240 ? fuzz_u8(in) : 0u);
    r.number = what % 16 == 15 ? fuzz_u8(in) : ++w.d.numbers[member];
    r.order_term = w.d.term;
    r.order_number = r.number > 0 ? r.number - 1 : 0;
    r.epoch_seen = arb_drive_near(in, w.d.record.epoch);
    bool is_empty = what % 8 == 6;
    r.system_id = is_empty ? 0 : what % 8 == 7 ? fuzz_u8(in) : 77;
    r.position = (struct msg_position){arb_drive_near(in, w.d.record.floor.lineage),
                                       (uint32_t)arb_drive_near(in, w.d.record.timeline),
                                       1000 + fuzz_u8(in)};
    r.timeline_highest = r.position.timeline;
    vary_role(in, &r, base_name_equal(&r.member, &w.d.record.holder));
    if (what % 4 == 1) {
        r.promised = w.d.c.attempt;
        r.is_vote_valid = true;
    }
    if (is_empty) {
        r.db_state = MSG_DB_EMPTY;
        r.position = (struct msg_position){0};
        r.is_open = r.is_receiving = false;
        r.is_tree_gone = true;
    } else if (what % 4 == 2) {
        vary_sync(in, &r);
    }
    r.has_seed = what % 2 == 0;
    r.seed_ttl_ms = 600 + what * 8u;
    r.seed_heartbeat_ms = 100;
    r.seed_sync_mode = (what & 32) != 0 ? MSG_SYNC_ASYNC : MSG_SYNC_ON;
    r.seed_sync_strict = (what & 64) != 0;
    r.is_nofailover = what == 99;
    r.is_paused = what == 67;
    r.is_write_failing = what == 35;
    r.task_id = what % 32 == 3 && w.d.record.tasks_count > 0 ? w.d.record.tasks[0].id : 0;
    if (what == 98) {
        r.failsafe_members = w.d.record.voters;
    }
    (void)arb_drive_report(&w.d, member, &r);
}

static void request(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct arb_request request = {.kind = (enum arb_request_kind)(what % 3),
                                  .is_forced = (what & 8) != 0};
    if ((what & 16) != 0) {
        request.candidate = arb_drive_name(what / 32 % MEMBERS);
    }
    arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

/* Every kind, with a time or a task. */
static void request_more(struct slice *in)
{
    uint8_t what = fuzz_u8(in), more = fuzz_u8(in);
    struct base_name member = arb_drive_name(more / 4 % MEMBERS);
    int64_t at_wall_us = more % 8 == 7 ? w.d.now.us + more * BASE_US_PER_MS : 0;
    struct arb_request request = {.kind = (enum arb_request_kind)(what % (ARB_REQUEST_REMOVE + 1)),
                                  .is_forced = (what & 64) != 0,
                                  .at_wall_us = at_wall_us,
                                  .task = {.kind = (enum msg_task_kind)(more % 4),
                                           .member = member,
                                           .is_pending_only = more >= 224,
                                           .at_wall_us = at_wall_us}};
    if ((what & 128) == 0) {
        request.candidate = member;
    }
    arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

/* A document that may be lawful or not. */
static void document(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct msg_record s = {.config_revision = ++w.config_revision,
                           .ttl_ms = 500 + what * 20u,
                           .heartbeat_ms = 150,
                           .freeze_max_ms = 3000,
                           .sync_mode = (enum msg_sync_mode)(what % 3),
                           .sync_count = 1 + what % 2,
                           .is_sync_strict = what % 5 == 0,
                           .maximum_lag_bytes = what,
                           .failover_interval_ms = what * 1000u,
                           .fence_mode = (enum msg_fence_mode)(what / 4 % 3),
                           .is_fence_trusted = what % 7 == 0,
                           .is_standby_cluster = what >= 240};
    arb_drive_run(
        &w.d, (struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = what == 1 ? NULL : &s});
}

static void other(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct base_name name = arb_drive_name(what / 4 % MEMBERS);
    if (what % 4 == 0) {
        w.fenced_epoch = what >= 128 ? w.d.record.epoch : w.fenced_epoch;
        arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_FENCED,
                                               .fenced_epoch = arb_drive_near(in, w.d.record.epoch),
                                               .is_fenced = what >= 128});
    } else if (what % 4 == 1) {
        arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_FORGET, .member = &name});
    } else {
        document(in);
    }
}

/* The image that the quorum goes on from may be of any age; epochs of before may be out there. */
static void restore(void)
{
    w.d.is_excused = true;
    arb_drive_run(&w.d,
                  (struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = ++w.restore_id});
}

static void one(struct slice *in)
{
    uint8_t op = fuzz_u8(in);
    switch (op % 16) {
    case 0:
        arb_drive_elect(&w.d);
        break;
    case 1:
        if (op >= 128 && w.d.c.is_leader) { /* its swap may still be applied, as anybody's */
            arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_LOST});
        }
        break;
    case 2:
        arb_drive_confirm(&w.d);
        break;
    case 3:
        arb_drive_end_swap(&w.d, op < 224);
        break;
    case 4:
        arb_drive_wait(&w.d, 0);
        break;
    case 5:
        arb_drive_wait(&w.d, fuzz_u16(in) * BASE_US_PER_MS / 4);
        break;
    case 6:
        if (op >= 160) {
            request(in);
        } else if (op == 102) {
            other(in);
        } else if (op == 118) {
            request_more(in);
        }
        break;
    case 7:
        if (op == 247) {
            restore();
        }
        break;
    default:
        w.d.now.us += op * BASE_US_PER_MS;
        report(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    memset(&w, 0, sizeof(w));
    arb_drive_begin(&w.d);
    w.d.order = check_grant;
    w.d.swap_begins = check_swap;
    w.d.is_free = is_free;
    while (in.len > 0) {
        one(&in);
    }
    return 0;
}
