/* SPDX-License-Identifier: Apache-2.0 */
/* A script of events into the arbiter of one MongoDB replica set: reports that agents may send,
 * lawful and absurd ones alike, elections, swaps that win or are void, requests of operators.
 * Beyond the core's own assertions: nothing is ever granted; an order is open in the epoch that it
 * raised, one at a time; a set that was initiated is not initiated again; a kill needs the opt-in,
 * and a forced reconfiguration the token that is out. */
#include "tests/fuzz/arbiter_drive.h"

#define MEMBERS 4u

static struct arb_drive d;

/* --- what comes out --- */

static void check_order(const struct msg_order *order, const struct base_name *member)
{
    (void)member;
    BASE_ASSERT(!order->is_granted && order->goal != MSG_GOAL_HOLD);
    BASE_ASSERT(order->mongodb.order_left_ms == 0 ||
                order->record.mongodb.order.state == MSG_MONGODB_ORDER_OPEN);
}

static void check_swap(const struct arb_effects *fx)
{
    const struct msg_mongodb_record *old = &d.record.mongodb;
    const struct msg_mongodb_record *next = &fx->record.mongodb;
    const struct msg_mongodb_order *o = &next->order;
    if (fx->swap_kind == ARB_DECIDE_CONFIRMED || fx->swap_kind == ARB_DECIDE_BOOTSTRAP) {
        return;
    }
    bool is_new = o->state == MSG_MONGODB_ORDER_OPEN && o->epoch != old->order.epoch;
    BASE_ASSERT((fx->record.epoch != d.record.epoch) == is_new);
    BASE_ASSERT(!is_new || old->order.state != MSG_MONGODB_ORDER_OPEN);
    BASE_ASSERT(!is_new || o->epoch == fx->record.epoch);
    BASE_ASSERT(!is_new || o->kind != MSG_MONGODB_ORDER_INITIATE || !old->is_initiated);
    BASE_ASSERT(!is_new || o->kind != MSG_MONGODB_ORDER_KILL ||
                next->policy.gray == MSG_MONGODB_GRAY_KILL);
    BASE_ASSERT(!is_new || o->kind != MSG_MONGODB_ORDER_FORCE ||
                (old->force.token != 0 && old->force.given_epoch == d.record.epoch &&
                 next->force.token == 0));
}

/* --- what goes in --- */

static struct msg_mongodb_host host_of(unsigned member)
{
    struct msg_mongodb_host host = {{'h', (char)('0' + member), ':', '1', 0}};
    return host;
}

static void vary_peers(struct slice *in, struct msg_mongodb_report *g, unsigned member)
{
    uint8_t set = fuzz_u8(in);
    uint8_t votes = fuzz_u8(in);
    uint8_t healthy = fuzz_u8(in);
    for (unsigned i = 0; i < MEMBERS; i++) {
        if ((set >> i & 1) == 0) {
            continue;
        }
        g->peers[g->peers_count++] =
            (struct msg_mongodb_peer){.id = i,
                                      .host = host_of(i),
                                      .votes = (votes >> i & 1) == 0,
                                      .priority_x10 = (votes >> (i + 4) & 1) == 0 ? 10 : 0,
                                      .is_arbiter = i == 3 && votes == 119,
                                      .is_self = i == member,
                                      .is_healthy = (healthy >> i & 1) == 0,
                                      .state = (uint8_t)(i == 0 ? 1 : 2),
                                      .heard_ms = healthy * 1000u};
    }
    g->is_config_known = g->peers_count > 0;
}

static void vary_mongodb(struct slice *in, struct msg_mongodb_report *g, unsigned member)
{
    static const enum msg_mongodb_state often[] = {MSG_MONGODB_SECONDARY, MSG_MONGODB_PRIMARY,
                                                   MSG_MONGODB_ABSENT, MSG_MONGODB_DOWN};
    uint8_t how = fuzz_u8(in);
    uint8_t flags = fuzz_u8(in);
    const struct msg_mongodb_order *o = &d.record.mongodb.order;
    g->state = how < 192 ? often[how % 4] : (enum msg_mongodb_state)(how % MSG_MONGODB_STATE_COUNT);
    g->is_writable = g->state == MSG_MONGODB_PRIMARY || g->state == MSG_MONGODB_GRAY;
    g->has_data = (flags & 1) != 0 || g->is_writable;
    g->is_adopted = how == 191;
    g->is_arbiter = member == 3 && how % 8 == 7;
    g->hello_age_ms = g->status_age_ms = (flags & 2) != 0 && how > 128 ? how * 100u : 100;
    g->term = arb_drive_near(in, d.record.mongodb.primary_term + 1);
    g->config = d.record.mongodb.config;
    g->config.version = arb_drive_near(in, g->config.version + 1);
    g->is_config_committed = (flags & 4) == 0;
    g->self = g->state == MSG_MONGODB_ABSENT ? g->self : host_of(member);
    g->primary = host_of(flags / 64);
    g->live_voters = (uint8_t)(flags / 32);
    g->majority = 2;
    g->canary_ms = how * 200u;
    g->lag_ms = flags * 50u;
    g->wire_version = 17;
    g->concern = (enum msg_mongodb_default_concern)(flags % 6);
    g->applied = g->committed = (struct msg_mongodb_optime){1, how};
    g->seed_members = 3;
    g->priority = how % 3;
    g->oplog_s = how * 200u;
    g->order_epoch = (flags & 8) != 0 ? o->epoch : 0;
    g->order_phase = o->phase;
    g->is_order_done = (flags & 16) != 0;
    g->order_status = how % 5 == 0 ? BASE_E_CONFLICT : 0;
    g->barred_epoch = how == 77 ? d.record.mongodb.barred_epoch : 0;
    if (g->state != MSG_MONGODB_ABSENT) {
        vary_peers(in, g, member);
    }
}

static void report(struct slice *in)
{
    static struct msg_report r;
    unsigned member = fuzz_u8(in) % MEMBERS;
    uint8_t what = fuzz_u8(in);
    memset(&r, 0, sizeof(r));
    r.cluster = d.c.name;
    r.member = arb_drive_name(member);
    r.instance = 100 + member;
    r.session = 1000 + member;
    r.number = ++d.numbers[member];
    r.order_term = d.term;
    r.order_number = r.number - 1;
    r.epoch_seen = d.record.epoch + (what == 200);
    r.engine = what == 201 ? MSG_ENGINE_GALERA : MSG_ENGINE_MONGODB;
    r.db_state = MSG_DB_STANDBY;
    r.db_port = 1;
    r.has_seed = true;
    r.task_id = what % 32 == 3 && d.record.tasks_count > 0 ? d.record.tasks[0].id : 0;
    vary_mongodb(in, &r.mongodb, member);
    (void)arb_drive_report(&d, member, &r);
}

static void request(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    uint8_t more = fuzz_u8(in);
    struct base_name name = arb_drive_name(more / 4 % MEMBERS);
    struct arb_request request = {
        .kind = (enum arb_request_kind)(what % (ARB_REQUEST_FORCE_RECONFIGURE + 1)),
        .is_forced = (what & 64) != 0,
        .task = {.kind = (enum msg_task_kind)(more % 4), .member = name},
        .token = (more & 64) != 0 ? d.record.mongodb.force.token : more / 128,
        .random = what};
    if ((what & 128) == 0) {
        request.candidate = name;
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct base_name destroyed = arb_drive_name(i);
        if ((more >> i & 1) != 0 && arb_names_add(&request.destroyed, &destroyed) != 0) {
            return;
        }
    }
    arb_drive_run(&d, (struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

static void document(struct slice *in)
{
    uint8_t what = fuzz_u8(in);
    struct msg_record s = {.config_revision = d.record.config_revision + 1,
                           .ttl_ms = 4900 + what * 10u,
                           .heartbeat_ms = 1000,
                           .sync_count = 1,
                           .engine = what == 7 ? MSG_ENGINE_POSTGRESQL : MSG_ENGINE_MONGODB};
    s.mongodb.policy = (struct msg_mongodb_policy){.gray = (enum msg_mongodb_gray)(what % 3),
                                                   .is_degrade_auto = what % 2 == 0,
                                                   .is_resync_auto = what % 5 == 0};
    arb_drive_run(&d, (struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &s});
}

static void one(struct slice *in)
{
    uint8_t op = fuzz_u8(in);
    switch (op % 16) {
    case 0:
        arb_drive_elect(&d);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        arb_drive_end_swap(&d, op < 240);
        break;
    case 5:
        arb_drive_wait(&d, fuzz_u16(in) * BASE_US_PER_MS);
        break;
    case 6:
        request(in);
        break;
    case 7:
        document(in);
        break;
    default:
        d.now.us += op * BASE_US_PER_MS;
        report(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    memset(&d, 0, sizeof(d));
    arb_drive_begin(&d);
    d.order = check_order;
    d.swap_begins = check_swap;
    while (in.len > 0) {
        one(&in);
    }
    return 0;
}
