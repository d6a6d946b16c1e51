/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events into the arbiter of one Galera cluster: reports that agents may send, lawful
 * and absurd ones alike, elections, swaps that win or are void, requests of operators. Beyond the
 * core's own assertions: generations and grants only grow; one bootstrap at a time, told to its
 * node alone while it is given; another one only when the last is done, or its node has promised to
 * refuse it or is dead by an operator's word; a new epoch waits for the last grant of the lease. */
#include "arbiter/core/arb.h"
#include "base/name.h"
#include "proto/wire/agent.h"
#include "tests/fuzz/fuzz.h"

#define MEMBERS 4u

static struct {
    struct arb_cluster c;
    struct base_mono now;
    struct msg_record record; /* in force */
    bool has_swap;
    struct msg_record swap;
    enum arb_decision_kind swap_kind;
    uint64_t ticket, term;
    uint64_t numbers[MEMBERS];
    uint64_t promised[MEMBERS]; /* highest generation below which it refuses */
    bool is_dead[MEMBERS];
    uint64_t granted_epoch;
    struct base_mono granted_until;
    uint64_t handed_back;
    bool is_excused; /* an operator made a record anew */
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

static void check_order(const struct msg_order *order, const struct base_name *member)
{
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    int rc = wire_order_encode(order, &out);
    BASE_ASSERT(rc == 0);
    const struct msg_galera_grant *grant = &order->record.galera.grant;
    BASE_ASSERT(order->galera_goal != MSG_GALERA_GOAL_BOOTSTRAP ||
                (grant->state == MSG_GALERA_GRANT_GIVEN && base_name_equal(&grant->node, member)));
    if (order->is_granted) {
        BASE_ASSERT(order->granted_epoch == w.record.epoch);
        struct base_mono until = base_mono_add_us(w.now, order->ttl_us);
        w.granted_until =
            w.granted_epoch == order->granted_epoch ? base_mono_max(w.granted_until, until) : until;
        w.granted_epoch = order->granted_epoch;
    }
}

static bool has_given_up(const struct msg_galera_grant *grant, uint64_t generation)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct base_name name = member_name(i);
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
    const struct msg_record *next = &fx->record;
    BASE_ASSERT(w.c.is_leader && w.c.is_ready && !w.has_swap);
    bool is_anew = fx->swap_kind == ARB_DECIDE_CONFIRMED;
    bool is_free = is_anew || w.is_excused || w.handed_back >= w.granted_epoch;
    BASE_ASSERT(next->epoch == w.record.epoch || w.granted_epoch == 0 || is_free ||
                !base_mono_before(w.now, w.granted_until));
    if (!is_anew) {
        check_bootstrap(&w.record.galera, &next->galera);
    }
    w.is_excused = w.is_excused || is_anew;
    w.has_swap = true;
    w.swap = *next;
    w.swap_kind = fx->swap_kind;
}

static void run(struct arb_event event)
{
    static struct arb_effects fx;
    event.now = w.now;
    event.wall = (struct base_wall){w.now.us};
    arb_step(&w.c, &event, &fx);
    arb_cluster_check(&w.c);
    for (uint8_t i = 0; i < fx.notes_count; i++) {
        static uint8_t text[1024];
        struct buf out = buf_over(text, sizeof(text));
        arb_note_put(&fx.notes[i], &out);
    }
    if (fx.has_swap) {
        check_swap(&fx);
    }
    w.ticket = fx.ticket != 0 ? fx.ticket : w.ticket;
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        static struct msg_order order;
        if ((fx.orders >> i & 1) != 0) {
            arb_order_make(&w.c, i, w.now, &order);
            check_order(&order, &w.c.views[i].member);
        }
    }
}

/* --- what goes in --- */

/* A small number near one that means something. */
static uint64_t near(struct slice *in, uint64_t value)
{
    uint8_t byte = fuzz_u8(in);
    return byte < 192 ? value : value + byte % 4 - (value > 1 ? 1 : 0);
}

static void vary_view(struct slice *in, struct msg_galera_report *g)
{
    uint8_t set = fuzz_u8(in);
    g->view = w.record.galera.view;
    if (set >= 64) {
        g->view.conf_id = near(in, w.record.galera.view.conf_id + 1);
        g->view.count = 0;
        for (unsigned i = 0; i < MEMBERS; i++) {
            if ((set >> i & 1) != 0) {
                g->view.nodes[g->view.count++] =
                    (struct msg_galera_node){member_name(i), (uint8_t)(1 + set / 240)};
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
    g->generation =
        near(in, flags >= 128 ? w.record.galera.grant.generation : w.record.galera.generation);
    uint64_t said = near(in, (flags & 32) != 0 ? w.record.galera.inhibit : w.promised[member]);
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
    g->grant_generation = (flags & 64) != 0 ? w.record.galera.grant.generation : 0;
    g->grant_status = how == 33 ? BASE_E_STATE : 0;
    g->seed_members = 3;
    vary_view(in, g);
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
    bool is_holder = base_name_equal(&r.member, &w.record.holder);
    r.instance = near(in, 100 + member);
    r.session = 1000 + member;
    r.number = ++w.numbers[member];
    r.order_term = w.term;
    r.order_number = r.number - 1;
    r.epoch_seen = w.record.epoch + (what == 200);
    r.engine = what == 201 ? MSG_ENGINE_POSTGRESQL : MSG_ENGINE_GALERA;
    r.epoch_held = is_holder && what % 2 == 0 ? w.record.epoch : 0;
    r.is_open = is_holder && what % 4 == 0;
    r.db_state = r.is_open ? MSG_DB_PRIMARY : MSG_DB_STANDBY;
    r.is_tree_gone = what % 5 == 0;
    r.epoch_handed_back = is_holder && what >= 224 ? w.record.epoch : 0;
    r.has_seed = true;
    r.priority = (uint8_t)(what % 3);
    r.task_id = what % 32 == 3 && w.record.tasks_count > 0 ? w.record.tasks[0].id : 0;
    vary_galera(in, &r.galera, member);
    if (wire_report_encode(&r, &out) != 0 || wire_report_decode(buf_slice(&out), &taken) != 0) {
        return;
    }
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
    w.record = w.swap;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &w.record, .is_own = true});
}

static void request(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    uint8_t more = fuzz_u8(in);
    unsigned member = more / 4 % MEMBERS;
    struct base_name name = member_name(member);
    struct arb_request request = {.kind = (enum arb_request_kind)(what % (ARB_REQUEST_REMOVE + 1)),
                                  .is_forced = (what & 64) != 0,
                                  .task = {.kind = (enum msg_task_kind)(more % 4), .member = name}};
    if ((what & 128) == 0) {
        request.candidate = name;
    } else if (arb_names_add(&request.overridden, &name) != 0) {
        return;
    }
    w.is_dead[member] = w.is_dead[member] || request.kind == ARB_REQUEST_CONFIRM_DEAD;
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

static void document(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct msg_record s = {.config_revision = w.record.config_revision + 1,
                           .ttl_ms = 4900 + what * 10u,
                           .heartbeat_ms = 500,
                           .sync_count = 1,
                           .engine = what == 7 ? MSG_ENGINE_POSTGRESQL : MSG_ENGINE_GALERA};
    s.galera.is_fast_takeover = false; /* the lease is judged here by its time */
    s.galera.recovery_wait_us = what % 2 == 0 ? -1 : what * BASE_US_PER_S;
    run((struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &s});
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
    case 2:
        if (w.c.is_leader && w.ticket != 0) {
            run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = w.ticket});
        }
        break;
    case 3:
    case 4:
    case 5:
        end_swap(op < 240);
        break;
    case 6:
        w.now.us += fuzz_u16(in) * BASE_US_PER_MS;
        run((struct arb_event){.kind = ARB_EVENT_TICK});
        break;
    case 7:
        if (op >= 192) {
            request(in);
        } else if (op == 119) {
            document(in);
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
