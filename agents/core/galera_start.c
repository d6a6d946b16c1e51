/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a Galera member: joining with its own position, by a transfer, or as the one that was
 * granted a bootstrap.
 *
 * The generation that the data will belong to is on disk before the server is started in it, and a
 * start gets its own proven position along, never another one and never none (a component formed
 * from gvwstate.dat alone does not compare positions). A grant is begun once: what a former process
 * of ours may have done with it is not done again.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"

static const uint8_t no_uuid[16];

/* Views of another generation are numbered anew: the last one says nothing in this. */
static void begin_generation(struct agt *a, uint64_t generation)
{
    if (a->want.galera.generation != generation) {
        memset(&a->want.galera.view, 0, sizeof(a->want.galera.view));
        a->want.galera.is_left = false;
    }
    a->want.galera.generation = generation;
}

/* False until it is on disk. */
static bool is_stamped(struct agt *a, uint64_t generation, const uint8_t *uuid)
{
    begin_generation(a, generation);
    memcpy(a->want.galera.uuid, uuid, sizeof(a->want.galera.uuid));
    return a->disk.galera.generation == generation &&
           memcmp(a->disk.galera.uuid, uuid, sizeof(a->disk.galera.uuid)) == 0;
}

static void donor_add(const struct base_name *name, struct msg_names *ret)
{
    if (!base_name_is_empty(name) && ret->count < MSG_MEMBERS_MAX) {
        ret->names[ret->count++] = *name;
    }
}

/* The arbiter's choice first, then whoever else does not write: a donor is slow, and with rsync it
 * stands still. What the record says is of this start where it is this member's turn. */
static void donors_fill(const struct agt *a, struct msg_names *ret)
{
    const struct msg_galera_record *r = &a->order.record.galera;
    const struct base_name *self = &a->config.member;
    bool is_own = base_name_equal(&r->sst_joiner, self) || base_name_equal(&r->restarting, self);
    const struct base_name nobody = {{0}};
    const struct base_name *chosen = is_own ? &r->sst_donor : &nobody;
    bool is_writer = base_name_equal(chosen, &a->order.record.holder);
    donor_add(is_writer ? &nobody : chosen, ret);
    for (uint8_t i = 0; i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        bool is_other = !base_name_equal(&m->member, self) &&
                        !base_name_equal(&m->member, chosen) &&
                        !base_name_equal(&m->member, &a->order.record.holder);
        if (is_other && m->is_heard && m->galera_state == MSG_GALERA_SYNCED) {
            donor_add(&m->member, ret);
        }
    }
    donor_add(is_writer ? chosen : &nobody, ret);
}

static void prepare_and_start(struct agt_run *run, enum db_galera_mode mode)
{
    struct agt *a = run->a;
    struct db_order order = agt_order_make(a, DB_ORDER_GALERA_PREPARE);
    order.epoch = 0; /* the writer's epoch has nothing to do with it */
    order.galera.mode = mode;
    order.galera.position.seqno = -1;
    if (mode != DB_GALERA_SST && a->view.galera.is_position_recovered &&
        !CANARY(START_WITHOUT_POSITION)) {
        order.galera.position = a->view.galera.position;
    }
    order.galera.weight = a->order.galera_weight;
    donors_fill(a, &order.galera.donors);
    if (!agt_order_equal(&a->prepared, &order)) {
        agt_want_order(run, &order);
        return;
    }
    agt_start(run);
}

/* Told to restart, and its data turn out to be of a history before the one in force: they may have
 * more than that was begun with. Once started they would count as of it; the arbiter looks first.
 */
static bool is_restart_of_other(const struct agt *a)
{
    const struct msg_galera_record *r = &a->order.record.galera;
    const struct msg_galera_grant *g = &r->grant;
    uint64_t own = a->want.galera.generation;
    bool is_kept = g->state == MSG_GALERA_GRANT_DONE && g->is_kept && own >= g->after;
    return agt_galera_goal_of(a) == AGT_GALERA_GOAL_RESTART && own != r->generation && !is_kept &&
           !CANARY(GALERA_RESTART_JOINS_OTHER);
}

void agt_galera_join(struct agt_run *run, bool has_position)
{
    struct agt *a = run->a;
    const struct msg_galera_record *r = &a->order.record.galera;
    /* Data that nobody has a record of: a transfer would throw them away. */
    bool is_foreign = !has_position && a->view.has_directory && a->want.galera.generation == 0 &&
                      !a->view.galera.is_transfer_broken &&
                      agt_galera_goal_of(a) != AGT_GALERA_GOAL_REJOIN;
    if (is_foreign) {
        a->note =
            base_text_from(SLICE_LIT("the data directory holds data of another history: empty "
                                     "it, and a state transfer fills it"));
        a->failure.kind = DB_ORDER_GALERA_PREPARE;
        return;
    }
    if (has_position && is_restart_of_other(a)) {
        return;
    }
    if (r->generation == 0 || !is_stamped(a, r->generation, r->uuid)) {
        return;
    }
    prepare_and_start(run, has_position ? DB_GALERA_JOIN : DB_GALERA_SST);
}

static void grant_end(struct agt_run *run, uint64_t generation, int status)
{
    struct agt *a = run->a;
    a->want.galera.grant_begun = a->want.galera.grant_done = generation;
    a->want.galera.grant_status = status;
    agt_fx_log(run, status == 0 ? "the granted bootstrap is done" : "the granted bootstrap failed",
               status == 0 ? NULL : base_error_text(status));
}

static bool is_founding(const struct msg_galera_grant *g)
{
    return memcmp(g->base.uuid, no_uuid, sizeof(no_uuid)) == 0;
}

/* What was to go on where it runs is not started for that: the others of its component may be
 * Primary again, which a server that runs finds out, and one that is told to make a component does
 * not. */
static bool is_for_what_ran(const struct agt *a, const struct msg_galera_grant *g)
{
    return g->is_live && a->guard.tree != GUARD_TREE_RUNNING && !CANARY(GALERA_LIVE_GRANT_STARTED);
}

/* It starts with the position of the grant, or more; founding: with what there is. */
static bool has_base(const struct agt *a, const struct msg_galera_grant *g)
{
    const struct msg_galera_position *p = &a->view.galera.position;
    if (is_founding(g)) {
        return true;
    }
    bool is_running = a->guard.tree == GUARD_TREE_RUNNING;
    return (is_running || a->view.galera.is_position_recovered) &&
           memcmp(p->uuid, g->base.uuid, sizeof(p->uuid)) == 0 && p->seqno >= g->base.seqno;
}

static void begin(struct agt_run *run, const struct msg_galera_grant *g)
{
    struct agt *a = run->a;
    if (!has_base(a, g) || is_for_what_ran(a, g)) {
        grant_end(run, g->generation, BASE_E_STATE);
        return;
    }
    struct agt_galera_disk *d = &a->want.galera;
    d->grant_begun = g->generation;
    d->grant_instance = a->guard.instance;
    d->grant_starts = a->guard.starts;
    begin_generation(a, g->generation);
    memcpy(d->uuid, g->base.uuid, sizeof(d->uuid));
    a->galera.live_grant = a->guard.tree == GUARD_TREE_RUNNING ? g->generation : 0;
    agt_fx_log(run, "begins the granted bootstrap", NULL);
}

static bool is_same_guard(const struct agt *a)
{
    return a->guard.instance == a->disk.galera.grant_instance;
}

static void bootstrap_stopped(struct agt_run *run, const struct msg_galera_grant *g)
{
    struct agt *a = run->a;
    if (!is_same_guard(a) || a->guard.starts != a->disk.galera.grant_starts ||
        is_for_what_ran(a, g)) {
        /* With another guard nobody knows what was done; with this one it has ended. */
        grant_end(run, g->generation, is_same_guard(a) ? BASE_E_STATE : BASE_E_CANCELED);
        return;
    }
    prepare_and_start(run, DB_GALERA_BOOTSTRAP);
}

static void bootstrap_running(struct agt_run *run, const struct msg_galera_grant *g)
{
    struct agt *a = run->a;
    if (agt_galera_is_granted_root(a) || a->galera.live_done == g->generation) {
        return; /* started with it, or has said it: the next view tells */
    }
    if (a->galera.live_grant != g->generation) {
        grant_end(run, g->generation, BASE_E_CANCELED); /* begun by a process before this one */
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_GALERA_BOOTSTRAP);
    order.epoch = g->generation;
    agt_want_order(run, &order);
}

/* The server that runs is the one that was started to carry the grant out. */
bool agt_galera_is_granted_root(const struct agt *a)
{
    return a->disk.galera.grant_begun != 0 && is_same_guard(a) &&
           a->guard.tree == GUARD_TREE_RUNNING && a->guard.starts != a->disk.galera.grant_starts;
}

/* It has promised to refuse what it is granted: another recovery was begun while it was given up
 * for dead. Nothing of it runs, and nothing will: who waits for it is told. */
static bool is_renounced(const struct agt *a)
{
    const struct msg_galera_grant *g = &a->order.record.galera.grant;
    const struct agt_galera_disk *d = &a->want.galera;
    return agt_galera_goal_of(a) == AGT_GALERA_GOAL_INHIBIT &&
           a->order.galera_goal == MSG_GALERA_GOAL_BOOTSTRAP &&
           g->state == MSG_GALERA_GRANT_GIVEN && base_name_equal(&g->node, &a->config.member) &&
           g->generation < a->disk.galera.inhibit && g->generation > d->grant_done &&
           g->generation >= d->grant_begun && a->guard.tree == GUARD_TREE_GONE &&
           !CANARY(GALERA_RENOUNCED_UNSAID);
}

void agt_galera_grant_watch(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    struct agt_galera_disk *d = &a->want.galera;
    uint64_t begun = a->disk.galera.grant_begun;
    bool is_open = begun != 0 && d->grant_begun == begun && d->grant_done != begun;
    bool is_ours = agt_galera_is_granted_root(a) || (begun != 0 && a->galera.live_done == begun);
    bool is_there = state == AGT_GALERA_SYNCED || state == AGT_GALERA_DONOR;
    const struct msg_galera_grant *g = agt_galera_grant(a);
    bool is_asked = agt_galera_goal_of(a) == AGT_GALERA_GOAL_BOOTSTRAP && g != NULL &&
                    !is_founding(g) && has_base(a, g) &&
                    memcmp(a->view.galera.uuid, g->base.uuid, sizeof(g->base.uuid)) == 0;
    if (is_asked && is_there && d->grant_begun != g->generation) {
        /* Primary by itself, with that history: what was granted is there. */
        d->generation = g->generation;
        memcpy(d->uuid, a->view.galera.uuid, sizeof(d->uuid));
        grant_end(run, g->generation, 0);
        return;
    }
    if (is_renounced(a)) {
        grant_end(run, a->order.record.galera.grant.generation, BASE_E_CANCELED);
    } else if (g != NULL && agt_galera_is_damaged(a, state)) {
        grant_end(run, g->generation, BASE_E_CORRUPT);
    } else if (is_open && is_ours && is_there) {
        memcpy(d->uuid, a->view.galera.uuid, sizeof(d->uuid));
        grant_end(run, begun, 0);
    }
}

void agt_galera_bootstrap(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    const struct msg_galera_grant *g = agt_galera_grant(a);
    bool is_stopped = a->guard.tree == GUARD_TREE_GONE;
    if (g == NULL) {
        return;
    }
    if (is_stopped && !a->view.has_directory && is_founding(g)) {
        struct db_order order = agt_order_make(a, DB_ORDER_INIT);
        agt_want_order(run, &order);
        return;
    }
    if (is_stopped && state == AGT_GALERA_NEEDS_SST && !is_founding(g)) {
        grant_end(run, g->generation, BASE_E_STATE);
        return;
    }
    if (a->want.galera.grant_begun != g->generation) {
        begin(run, g);
        return;
    }
    if (a->disk.galera.grant_begun != g->generation) {
        return; /* on disk first */
    }
    if (is_stopped) {
        bootstrap_stopped(run, g);
    } else {
        bootstrap_running(run, g);
    }
}
