/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events into one arbiter: reports that agents may send (each one goes through the
 * codec, so only valid ones arrive), elections, confirmations, swaps that win or are void, requests
 * of operators, documents, ends of fence commands, restores. Beyond assertions: A3 epochs grow, a
 * swap replaces exactly what is in force; grants are for the epoch in force, by a confirmed leader,
 * to one instance an epoch, and none for one that is fenced; A2 a new epoch waits for the last
 * grant of the old one, unless the holder has handed back or a trusted fence succeeded; none begins
 * in a pause. */
#include "arbiter/core/arb.h"
#include "base/name.h"
#include "proto/wire/agent.h"
#include "tests/fuzz/fuzz.h"

#define MEMBERS 5u

static struct {
    struct arb_cluster c;
    struct base_mono now;
    struct msg_record record; /* in force */
    bool has_swap;
    struct msg_record swap;
    uint64_t ticket, term, restore_id;
    uint64_t numbers[MEMBERS];
    /* truth about grants */
    uint64_t granted_epoch, granted_instance;
    struct base_mono granted_until;
    uint64_t handed_back; /* highest epoch that its holder's process has handed back */
    uint64_t config_revision, fenced_epoch;
    bool is_excused; /* an operator confirmed a record after a restore of the quorum */
} w;

static struct base_name member_name(unsigned member)
{
    struct base_name name;
    char text[2] = {(char)('a' + member), 0};
    int rc = base_name_from(slice_from_text(text), &name);
    BASE_ASSERT(rc == 0);
    return name;
}

/* --- what comes out --- */

static void check_grant(const struct msg_order *order)
{
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    int rc = wire_order_encode(order, &out);
    BASE_ASSERT(rc == 0);
    if (!order->is_granted) {
        return;
    }
    BASE_ASSERT(w.c.is_leader && w.c.is_ready && order->granted_epoch == w.record.epoch);
    BASE_ASSERT(w.granted_epoch <= order->granted_epoch);
    BASE_ASSERT(w.record.fencing_epoch != order->granted_epoch);
    BASE_ASSERT(w.granted_epoch != order->granted_epoch ||
                w.granted_instance == w.record.holder_instance || w.is_excused);
    if (w.granted_epoch != order->granted_epoch) {
        w.granted_until = (struct base_mono){0};
    }
    struct base_mono until = base_mono_add_us(w.now, order->ttl_us);
    w.granted_epoch = order->granted_epoch;
    w.granted_instance = w.record.holder_instance;
    w.granted_until = base_mono_before(w.granted_until, until) ? until : w.granted_until;
}

static void check_swap(const struct arb_effects *fx)
{
    const struct msg_record *next = &fx->record;
    BASE_ASSERT(w.c.is_leader && w.c.is_ready && !w.has_swap);
    BASE_ASSERT(fx->expect_epoch == w.record.epoch && fx->expect_revision == w.record.revision);
    BASE_ASSERT(next->epoch > w.record.epoch ||
                (next->epoch == w.record.epoch && next->revision == w.record.revision + 1));
    bool is_fenced = w.record.is_fence_trusted && w.fenced_epoch == w.record.epoch;
    bool is_same = fx->swap_kind == ARB_DECIDE_CLUSTER_ROLE &&
                   next->holder_instance == w.record.holder_instance &&
                   base_name_equal(&next->holder, &w.record.holder);
    bool is_free = fx->swap_kind == ARB_DECIDE_CONFIRMED || w.is_excused || is_fenced || is_same ||
                   w.handed_back >= w.granted_epoch;
    BASE_ASSERT(next->epoch == w.record.epoch || !w.record.is_paused ||
                fx->swap_kind == ARB_DECIDE_CONFIRMED);
    BASE_ASSERT(next->epoch == w.record.epoch || w.granted_epoch == 0 || is_free ||
                !base_mono_before(w.now, w.granted_until));
    w.is_excused = w.is_excused || fx->swap_kind == ARB_DECIDE_CONFIRMED;
    w.has_swap = true;
    w.swap = *next;
}

static void run(struct arb_event event)
{
    static struct arb_effects fx;
    event.now = w.now;
    event.wall = (struct base_wall){w.now.us};
    arb_step(&w.c, &event, &fx);
    arb_cluster_check(&w.c);
    if (fx.has_swap) {
        check_swap(&fx);
    }
    w.ticket = fx.ticket != 0 ? fx.ticket : w.ticket;
    BASE_ASSERT(fx.orders >> w.c.views_count == 0);
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        static struct msg_order order;
        if ((fx.orders >> i & 1) != 0) {
            arb_order_make(&w.c, i, w.now, &order);
            check_grant(&order);
        }
    }
    if (fx.has_refusal) {
        check_grant(&fx.refusal);
    }
}

/* --- what goes in --- */

/* A small number near one that means something. */
static uint64_t near(struct slice *in, uint64_t value)
{
    uint8_t byte = fuzz_u8(in);
    return byte < 192 ? value : value + byte % 4 - (value > 1 ? 1 : 0);
}

static void vary_role(struct slice *in, struct msg_report *r, bool is_holder)
{
    uint8_t how = fuzz_u8(in);
    r->epoch_held = is_holder && how % 2 == 0 ? w.record.epoch : 0;
    r->lease_left_us = r->epoch_held != 0 && how % 16 != 0 ? BASE_US_PER_MS : 0;
    r->is_open = is_holder && how % 8 == 0;
    r->db_state = r->is_open ? MSG_DB_PRIMARY : (enum msg_db_state)(how % 11);
    r->is_receiving = !is_holder && how % 3 == 0;
    r->is_tree_gone = how % 5 == 0;
    if (how >= 224) {
        r->epoch_handed_back = near(in, w.record.epoch);
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
        struct base_name name = member_name(i);
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
    static struct msg_report r, taken;
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    unsigned member = fuzz_u8(in) % MEMBERS;
    uint8_t what = fuzz_u8(in);
    memset(&r, 0, sizeof(r));
    r.cluster = w.c.name;
    r.member = member_name(member);
    r.instance = near(in, 100 + member);
    r.session = 1000 + member + (what >= 240 ? fuzz_u8(in) : 0u);
    r.number = what % 16 == 15 ? fuzz_u8(in) : ++w.numbers[member];
    r.order_term = w.term;
    r.order_number = r.number > 0 ? r.number - 1 : 0;
    r.epoch_seen = near(in, w.record.epoch);
    bool is_empty = what % 8 == 6;
    r.system_id = is_empty ? 0 : what % 8 == 7 ? fuzz_u8(in) : 77;
    r.position = (struct msg_position){near(in, w.record.floor.lineage),
                                       (uint32_t)near(in, w.record.timeline), 1000 + fuzz_u8(in)};
    r.timeline_highest = r.position.timeline;
    vary_role(in, &r, base_name_equal(&r.member, &w.record.holder));
    if (what % 4 == 1) {
        r.promised = w.c.attempt;
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
    r.task_id = what % 32 == 3 && w.record.tasks_count > 0 ? w.record.tasks[0].id : 0;
    if (what == 98) {
        r.failsafe_members = w.record.voters;
    }
    if (wire_report_encode(&r, &out) != 0 || wire_report_decode(buf_slice(&out), &taken) != 0 ||
        taken.session == 0) {
        return;
    }
    bool is_holder = base_name_equal(&taken.member, &w.record.holder);
    if (is_holder && taken.epoch_handed_back > w.handed_back) {
        w.handed_back = taken.epoch_handed_back;
    }
    run((struct arb_event){.kind = ARB_EVENT_REPORT, .report = &taken, .link = member + 1u});
}

static void end_swap(bool is_won)
{
    if (!w.has_swap) {
        return;
    }
    w.has_swap = false;
    if (!is_won) {
        run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
        return;
    }
    BASE_ASSERT(w.swap.epoch >= w.record.epoch);
    w.record = w.swap;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &w.record, .is_own = true});
}

static void request(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct arb_request request = {.kind = (enum arb_request_kind)(what % 3),
                                  .is_forced = (what & 8) != 0};
    if ((what & 16) != 0) {
        request.candidate = member_name(what / 32 % MEMBERS);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

/* Every kind, with a time or a task. */
static void request_more(struct slice *in)
{
    uint8_t what = fuzz_u8(in), more = fuzz_u8(in);
    struct base_name member = member_name(more / 4 % MEMBERS);
    int64_t at_wall_us = more % 8 == 7 ? w.now.us + more * BASE_US_PER_MS : 0;
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
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
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
    run((struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = what == 1 ? NULL : &s});
}

static void other(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct base_name name = member_name(what / 4 % MEMBERS);
    if (what % 4 == 0) {
        w.fenced_epoch = what >= 128 ? w.record.epoch : w.fenced_epoch;
        run((struct arb_event){.kind = ARB_EVENT_FENCED,
                               .fenced_epoch = near(in, w.record.epoch),
                               .is_fenced = what >= 128});
    } else if (what % 4 == 1) {
        run((struct arb_event){.kind = ARB_EVENT_FORGET, .member = &name});
    } else {
        document(in);
    }
}

/* The image that the quorum goes on from may be of any age; epochs of before may be out there. */
static void restore(void)
{
    w.is_excused = true;
    run((struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = ++w.restore_id});
}

static void one(struct slice *in)
{
    uint8_t op = fuzz_u8(in);
    switch (op % 16) {
    case 0:
        w.term++;
        w.has_swap = false;
        run((struct arb_event){.kind = ARB_EVENT_LEADER, .term = w.term, .elected = w.now});
        run((struct arb_event){.kind = ARB_EVENT_READY, .term = w.term});
        break;
    case 1:
        if (op >= 128 && w.c.is_leader) { /* its swap may still be applied, as anybody's */
            run((struct arb_event){.kind = ARB_EVENT_LOST});
        }
        break;
    case 2:
        if (w.c.is_leader && w.ticket != 0) {
            run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = w.ticket});
        }
        break;
    case 3:
        end_swap(op < 224);
        break;
    case 4:
        run((struct arb_event){.kind = ARB_EVENT_TICK});
        break;
    case 5:
        w.now.us += fuzz_u16(in) * BASE_US_PER_MS / 4;
        run((struct arb_event){.kind = ARB_EVENT_TICK});
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
        w.now.us += op * BASE_US_PER_MS;
        report(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    struct base_name name = member_name(25);
    memset(&w, 0, sizeof(w));
    w.now.us = 10 * BASE_US_PER_S;
    arb_cluster_init(&w.c, &name);
    while (in.len > 0) {
        one(&in);
    }
    return 0;
}
