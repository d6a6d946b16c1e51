/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events into the arbiter of one Galera cluster: reports that agents may send, lawful
 * and absurd ones alike, elections, swaps that win or are void, requests of operators. Beyond the
 * core's own assertions: generations and grants only grow; one bootstrap at a time, told to its
 * node alone while it is given; another one only when the last is done, or its node has promised to
 * refuse it or is dead by an operator's word; a new epoch waits for the last grant of the lease. */
#include "tests/fuzz/arbiter_drive.h"

#define MEMBERS 4u

static struct {
    struct arb_drive d;
    uint64_t promised[MEMBERS]; /* highest generation below which it refuses */
    bool is_dead[MEMBERS];
} w;

/* --- what comes out --- */

static void check_order(const struct msg_order *order, const struct base_name *member)
{
    const struct msg_galera_grant *grant = &order->record.galera.grant;
    BASE_ASSERT(order->galera_goal != MSG_GALERA_GOAL_BOOTSTRAP ||
                (grant->state == MSG_GALERA_GRANT_GIVEN && base_name_equal(&grant->node, member)));
}

static bool has_given_up(const struct msg_galera_grant *grant, uint64_t generation)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct base_name name = arb_drive_name(i);
        if (base_name_equal(&grant->node, &name)) {
            return w.promised[i] >= generation || w.is_dead[i];
        }
    }
    return false;
}

static void check_bootstrap(const struct msg_galera_record *old,
                            const struct msg_galera_record *next)
{
    bool is_new = next->grant.generation != old->grant.generation;
    BASE_ASSERT(next->generation >= old->generation && next->inhibit >= old->inhibit);
    BASE_ASSERT(next->grant.generation >= old->grant.generation);
    BASE_ASSERT(!is_new || old->grant.state != MSG_GALERA_GRANT_GIVEN ||
                has_given_up(&old->grant, next->grant.generation));
    BASE_ASSERT(next->generation == old->generation || next->grant.state == MSG_GALERA_GRANT_DONE);
}

static void check_swap(const struct arb_effects *fx)
{
    if (fx->swap_kind != ARB_DECIDE_CONFIRMED) {
        check_bootstrap(&w.d.record.galera, &fx->record.galera);
    }
}

/* --- what goes in --- */

static void vary_view(struct slice *in, struct msg_galera_report *g)
{
    uint8_t set = fuzz_u8(in);
    g->view = w.d.record.galera.view;
    if (set >= 64) {
        g->view.conf_id = arb_drive_near(in, w.d.record.galera.view.conf_id + 1);
        g->view.count = 0;
        for (unsigned i = 0; i < MEMBERS; i++) {
            if ((set >> i & 1) != 0) {
                g->view.nodes[g->view.count++] =
                    (struct msg_galera_node){arb_drive_name(i), (uint8_t)(1 + set / 240)};
            }
        }
    }
}

static void vary_galera(struct slice *in, struct msg_galera_report *g, unsigned member)
{
    static const enum msg_galera_state often[] = {MSG_GALERA_SYNCED, MSG_GALERA_DOWN,
                                                  MSG_GALERA_NONPRIM, MSG_GALERA_NEEDS_SST};
    uint8_t how = fuzz_u8(in);
    uint8_t flags = fuzz_u8(in);
    g->state = how < 224 ? often[how % 4] : (enum msg_galera_state)(how % 12);
    g->is_primary = g->state == MSG_GALERA_SYNCED || how == 250;
    g->is_fenced = g->state == MSG_GALERA_DOWN || (flags & 1) != 0;
    g->is_left = (flags & 2) != 0;
    g->is_position_recovered = (flags & 4) == 0;
    g->is_rejecting = (flags & 8) != 0;
    g->is_sst_failed = (flags & 16) != 0;
    g->generation = arb_drive_near(in, flags >= 128 ? w.d.record.galera.grant.generation
                                                    : w.d.record.galera.generation);
    uint64_t said =
        arb_drive_near(in, (flags & 32) != 0 ? w.d.record.galera.inhibit : w.promised[member]);
    g->inhibited = said > w.promised[member] ? said : w.promised[member];
    w.promised[member] = g->inhibited;
    if (how % 16 != 15) {
        g->position.uuid[0] = how == 47 ? 2 : 1;
        g->position.seqno = 100 + fuzz_u8(in) / 64;
    } else {
        g->position.seqno = -1;
    }
    g->weight = 1;
    g->recv_queue = flags / 100;
    g->grant_generation = (flags & 64) != 0 ? w.d.record.galera.grant.generation : 0;
    g->grant_status = how == 33 ? BASE_E_STATE : 0;
    g->seed_members = 3;
    vary_view(in, g);
}

static void report(struct slice *in)
{
    static struct msg_report r;
    unsigned member = fuzz_u8(in) % MEMBERS;
    uint8_t what = fuzz_u8(in);
    memset(&r, 0, sizeof(r));
    r.cluster = w.d.c.name;
    r.member = arb_drive_name(member);
    bool is_holder = base_name_equal(&r.member, &w.d.record.holder);
    r.instance = arb_drive_near(in, 100 + member);
    r.session = 1000 + member;
    r.number = ++w.d.numbers[member];
    r.order_term = w.d.term;
    r.order_number = r.number - 1;
    r.epoch_seen = w.d.record.epoch + (what == 200);
    r.engine = what == 201 ? MSG_ENGINE_POSTGRESQL : MSG_ENGINE_GALERA;
    r.epoch_held = is_holder && what % 2 == 0 ? w.d.record.epoch : 0;
    r.is_open = is_holder && what % 4 == 0;
    r.db_state = r.is_open ? MSG_DB_PRIMARY : MSG_DB_STANDBY;
    r.is_tree_gone = what % 5 == 0;
    r.epoch_handed_back = is_holder && what >= 224 ? w.d.record.epoch : 0;
    r.has_seed = true;
    r.priority = (uint8_t)(what % 3);
    r.task_id = what % 32 == 3 && w.d.record.tasks_count > 0 ? w.d.record.tasks[0].id : 0;
    vary_galera(in, &r.galera, member);
    (void)arb_drive_report(&w.d, member, &r);
}

static void request(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    uint8_t more = fuzz_u8(in);
    unsigned member = more / 4 % MEMBERS;
    struct base_name name = arb_drive_name(member);
    struct arb_request request = {.kind = (enum arb_request_kind)(what % (ARB_REQUEST_REMOVE + 1)),
                                  .is_forced = (what & 64) != 0,
                                  .task = {.kind = (enum msg_task_kind)(more % 4), .member = name}};
    if ((what & 128) == 0) {
        request.candidate = name;
    } else if (arb_names_add(&request.overridden, &name) != 0) {
        return;
    }
    w.is_dead[member] = w.is_dead[member] || request.kind == ARB_REQUEST_CONFIRM_DEAD;
    arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

static void document(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct msg_record s = {.config_revision = w.d.record.config_revision + 1,
                           .ttl_ms = 4900 + what * 10u,
                           .heartbeat_ms = 500,
                           .sync_count = 1,
                           .engine = what == 7 ? MSG_ENGINE_POSTGRESQL : MSG_ENGINE_GALERA};
    s.galera.is_fast_takeover = false; /* the lease is judged here by its time */
    s.galera.recovery_wait_us = what % 2 == 0 ? -1 : what * BASE_US_PER_S;
    s.galera.is_reader_kept = what % 3 == 0;
    arb_drive_run(&w.d, (struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &s});
}

static void one(struct slice *in)
{
    uint8_t op = fuzz_u8(in);
    switch (op % 16) {
    case 0:
        arb_drive_elect(&w.d);
        break;
    case 1:
    case 2:
        arb_drive_confirm(&w.d);
        break;
    case 3:
    case 4:
    case 5:
        arb_drive_end_swap(&w.d, op < 240);
        break;
    case 6:
        arb_drive_wait(&w.d, fuzz_u16(in) * BASE_US_PER_MS);
        break;
    case 7:
        if (op >= 192) {
            request(in);
        } else if (op == 119) {
            document(in);
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
    w.d.order = check_order;
    w.d.swap_begins = check_swap;
    while (in.len > 0) {
        one(&in);
    }
    return 0;
}
