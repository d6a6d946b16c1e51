/* SPDX-License-Identifier: Apache-2.0 */
/* The scene of galera_scene.h. */
#include "tests/unit/galera_scene.h"

#include <stdlib.h>
#include <string.h>

struct gal_node_scene gal_nodes[GAL_MEMBERS + 1];
uint8_t gal_seed_members;

static const uint8_t cluster_uuid[16] = {0xaa, 1, 2, 3};

const char *gal_name(unsigned n)
{
    static const char *const names[] = {"", "gn1", "gn2", "gn3"};
    return names[n];
}

static struct msg_galera_report *of(unsigned n)
{
    return &gal_nodes[n].report.galera;
}

void gal_speak(unsigned n)
{
    struct msg_report r = report_of(gal_name(n));
    struct msg_report *kept = &gal_nodes[n].report;
    kept->cluster = r.cluster;
    kept->member = r.member;
    kept->instance = r.instance + gal_nodes[n].instance_more;
    kept->session = r.session + gal_nodes[n].instance_more;
    kept->number = r.number;
    kept->epoch_seen = r.epoch_seen;
    kept->order_term = r.order_term;
    kept->order_number = r.order_number;
    kept->engine = MSG_ENGINE_GALERA;
    kept->has_seed = true;
    kept->galera.seed_members = gal_seed_members;
    if (kept->priority == 0) {
        kept->priority = 1;
    }
    bool is_holder_now = is_holder(gal_name(n)) && w.c.record.holder_instance == kept->instance;
    bool is_writing = is_holder_now && of(n)->state == MSG_GALERA_SYNCED &&
                      w.c.record.state == MSG_RECORD_RUNNING &&
                      kept->epoch_handed_back < w.c.record.epoch;
    kept->epoch_held = is_holder_now ? w.c.record.epoch : 0;
    kept->is_open = is_writing;
    kept->db_state = is_writing                             ? MSG_DB_PRIMARY
                     : of(n)->state == MSG_GALERA_DOWN      ? MSG_DB_STOPPED
                     : of(n)->state == MSG_GALERA_NEEDS_SST ? MSG_DB_EMPTY
                                                            : MSG_DB_STANDBY;
    kept->lease_left_us = is_writing ? S : 0;
    send(*kept);
}

void gal_all(void)
{
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        if (!gal_nodes[n].is_silent) {
            gal_speak(n);
            confirm();
        }
    }
}

void gal_pass(int64_t us)
{
    for (int64_t at = 0; at < us; at += 500 * MS) {
        wait_us(500 * MS);
        gal_all();
    }
}

void gal_is_synced(unsigned n, uint64_t conf_id, unsigned members)
{
    struct msg_galera_report *g = of(n);
    struct msg_galera_view view = {.conf_id = conf_id};
    for (unsigned i = 1; i <= GAL_MEMBERS; i++) {
        if ((members >> i & 1) != 0) {
            view.nodes[view.count++] = (struct msg_galera_node){name_of(gal_name(i)), 1};
        }
    }
    g->state = MSG_GALERA_SYNCED;
    memcpy(g->position.uuid, cluster_uuid, sizeof(cluster_uuid));
    g->is_primary = g->is_causal = true;
    g->is_fenced = g->is_left = g->is_position_recovered = g->is_rejecting = false;
    g->view = view;
    g->size = view.count;
    g->weight = 1;
}

void gal_is_down(unsigned n, int64_t seqno)
{
    struct msg_galera_report *g = of(n);
    g->state = MSG_GALERA_DOWN;
    g->position.seqno = seqno;
    g->is_position_recovered = seqno >= 0;
    g->is_primary = false;
    g->is_fenced = true;
    gal_nodes[n].report.is_tree_gone = true;
    gal_hands_back(n);
}

void gal_is_nonprim(unsigned n)
{
    struct msg_galera_report *g = of(n);
    g->state = MSG_GALERA_NONPRIM;
    g->is_primary = false;
    g->is_fenced = true;
    gal_hands_back(n);
}

void gal_hands_back(unsigned n)
{
    struct msg_report *r = &gal_nodes[n].report;
    if (is_holder(gal_name(n))) {
        r->epoch_handed_back = w.c.record.epoch;
    }
}

enum msg_galera_goal gal_goal(unsigned n)
{
    assert_true(w.has_order[n]);
    return w.order[n].galera_goal;
}

static void inhibit(unsigned n)
{
    struct msg_galera_report *g = of(n);
    g->inhibited = w.order[n].record.galera.inhibit > g->inhibited
                       ? w.order[n].record.galera.inhibit
                       : g->inhibited;
    if (g->state == MSG_GALERA_DOWN && !g->is_position_recovered && !g->is_unreadable) {
        g->position.seqno = 100;
        g->is_position_recovered = true;
    }
}

/* Into the component of whoever is in it. */
static void join(unsigned n, bool is_sst)
{
    unsigned members = 1u << n;
    uint64_t conf_id = 0;
    int64_t seqno = 0;
    for (unsigned i = 1; i <= GAL_MEMBERS; i++) {
        if (i != n && of(i)->is_primary) {
            members |= 1u << i;
            conf_id = of(i)->view.conf_id > conf_id ? of(i)->view.conf_id : conf_id;
            seqno = of(i)->position.seqno > seqno ? of(i)->position.seqno : seqno;
        }
    }
    (void)is_sst;
    of(n)->generation = w.order[n].record.galera.generation;
    for (unsigned i = 1; i <= GAL_MEMBERS; i++) {
        if ((members >> i & 1) != 0) {
            gal_is_synced(i, conf_id + 1, members);
            of(i)->position.seqno = seqno + 1;
        }
    }
}

static void bootstrap(unsigned n)
{
    const struct msg_galera_grant *grant = &w.order[n].record.galera.grant;
    uint64_t conf_id = of(n)->view.conf_id;
    assert_true(grant->generation > of(n)->generation && grant->generation >= of(n)->inhibited);
    of(n)->generation = of(n)->grant_generation = grant->generation;
    of(n)->grant_status = 0;
    gal_is_synced(n, grant->is_live ? conf_id + 1 : 1, 1u << n);
    of(n)->position.seqno = grant->base.seqno < 0 ? 1 : grant->base.seqno + 1;
}

void gal_obey(unsigned n)
{
    if (gal_nodes[n].is_silent || !w.has_order[n]) {
        return;
    }
    bool is_out = !of(n)->is_primary;
    switch (gal_goal(n)) {
    case MSG_GALERA_GOAL_INHIBIT:
        inhibit(n);
        break;
    case MSG_GALERA_GOAL_WAIT:
        if (of(n)->state == MSG_GALERA_NONPRIM) {
            gal_is_down(n, of(n)->position.seqno);
            inhibit(n);
        }
        break;
    case MSG_GALERA_GOAL_BOOTSTRAP:
        if (is_out) {
            bootstrap(n);
        }
        break;
    case MSG_GALERA_GOAL_JOIN:
    case MSG_GALERA_GOAL_REJOIN:
        if (is_out) {
            join(n, gal_goal(n) == MSG_GALERA_GOAL_REJOIN);
        }
        of(n)->generation = w.order[n].record.galera.generation;
        break;
    case MSG_GALERA_GOAL_KEEP:
    case MSG_GALERA_GOAL_FENCE:
    case MSG_GALERA_GOAL_RESTART:
        break;
    }
}

void gal_obey_all(void)
{
    gal_all();
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        gal_obey(n);
    }
    wait_us(500 * MS);
    gal_all();
}

static void begin(void)
{
    struct base_name name = name_of("main");
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    memset(&w, 0, sizeof(w));
    memset(gal_nodes, 0, sizeof(gal_nodes));
    gal_seed_members = GAL_MEMBERS;
    w.now.us = 1000 * S;
    arb_cluster_init(&w.c, &name);
}

int gal_setup_blank(void **state)
{
    (void)state;
    begin();
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        of(n)->state = MSG_GALERA_NEEDS_SST;
        of(n)->position.seqno = -1;
        of(n)->is_fenced = true;
    }
    lead(5);
    return 0;
}

int gal_setup(void **state)
{
    (void)state;
    begin();
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        gal_is_synced(n, 7, 14u);
        of(n)->generation = 1;
        of(n)->position.seqno = 100;
        of(n)->is_read_only = n != 1;
    }
    struct msg_record record = {.cluster = w.c.name,
                                .epoch = 1,
                                .revision = 4,
                                .state = MSG_RECORD_RUNNING,
                                .holder = name_of("gn1"),
                                .holder_instance = 101,
                                .timeline = 1,
                                .timeline_highest = 1,
                                .is_opened = true,
                                .ttl_ms = 6000,
                                .heartbeat_ms = 500,
                                .freeze_max_ms = 3000,
                                .sync_mode = MSG_SYNC_ASYNC,
                                .sync_count = 1,
                                .engine = MSG_ENGINE_GALERA};
    memcpy(record.galera.uuid, cluster_uuid, sizeof(cluster_uuid));
    record.galera.generation = 1;
    record.galera.high_water = 90;
    record.galera.view = of(1)->view;
    record.galera.recovery_wait_us = -1;
    record.galera.grant = (struct msg_galera_grant){
        .generation = 1, .node = name_of("gn1"), .state = MSG_GALERA_GRANT_DONE};
    load(record);
    lead(5);
    gal_all();
    gal_all();
    return 0;
}

void gal_ask(enum arb_request_kind kind, const char *member, bool is_forced)
{
    struct arb_request r = {.kind = kind, .is_forced = is_forced};
    if (member != NULL) {
        r.candidate = name_of(member);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

void gal_order_task(enum msg_task_kind kind, const char *member)
{
    struct arb_request r = {.kind = ARB_REQUEST_TASK,
                            .candidate = name_of(member),
                            .task = {.kind = kind, .member = name_of(member)}};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

bool gal_is_waiting_for(enum arb_note_kind kind)
{
    return w.c.is_waiting && w.c.waiting.kind == kind;
}

const struct msg_galera_record *gal_record(void)
{
    return &w.c.record.galera;
}

bool gal_is_granted_to(const char *member)
{
    struct base_name name = name_of(member);
    return gal_record()->grant.state == MSG_GALERA_GRANT_GIVEN &&
           base_name_equal(&gal_record()->grant.node, &name);
}

/* gn1 and gn2, bootstrapped at 50; what gn3 has is of before. */
void gal_two_go_on_in_generation_2(void)
{
    struct msg_record next = w.c.record;
    next.revision++;
    next.galera.generation = next.galera.grant.generation = 2;
    next.galera.grant.after = 1;
    next.galera.grant.base.seqno = 50;
    load(next);
    for (unsigned n = 1; n <= 2; n++) {
        gal_is_synced(n, 9, 6u);
        gal_nodes[n].report.galera.generation = 2;
    }
}

void gal_two_are_synced(void)
{
    gal_is_synced(1, 8, 6u);
    gal_is_synced(2, 8, 6u);
}

/* gn3 has left for good before. */
void gal_be_two(void)
{
    gal_nodes[3].is_silent = true;
    gal_two_are_synced();
    gal_pass(2 * S);
    assert_int_equal(gal_record()->view.count, 2);
}
