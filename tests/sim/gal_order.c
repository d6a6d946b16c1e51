/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port over a modelled Galera member: orders that take their time, and probes. */
#include <string.h>

#include "base/assert.h"
#include "base/name.h"
#include "tests/sim/gal.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_gal.h"

#define POLL_US (20 * MS)

typedef void step_fn(struct wsrep *g);

static const struct process *agent_of(const struct wsrep *g)
{
    return &g->world->members->list[g->member].agent_process;
}

static void uuid_put(uint32_t uuid, uint8_t *ret)
{
    memset(ret, 0, 16);
    memcpy(ret, &uuid, sizeof(uuid));
}

static uint32_t uuid_take(const uint8_t *bytes)
{
    uint32_t uuid;
    memcpy(&uuid, bytes, sizeof(uuid));
    return uuid;
}

/* --- orders --- */

struct pending {
    struct wsrep *gal;
    step_fn *step;
};

static void step_now(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    struct pending p;
    memcpy(&p, bytes.data, sizeof(p));
    if (g->order_number == number && g->order.id != 0) {
        p.step(g);
    }
}

static void later(struct wsrep *g, int64_t us, step_fn *step)
{
    struct pending p = {g, step};
    world_at_with(g->world, g->world->now_us + us, agent_of(g), step_now, g, g->order_number,
                  slice_from(&p, sizeof(p)));
}

static void complete(struct wsrep *g, int status, const char *text)
{
    struct db_done done = {.id = g->order.id, .kind = g->order.kind, .status = status};
    done.text = base_text_from(slice_from_text(text));
    trace(g->world, TRACE_ORDER_END, g->member, g->order.kind, g->order.id, (uint64_t)status);
    g->orders_done = g->order.id;
    g->order.id = 0;
    g->order_number++;
    g->done(g->agent, &done);
}

static bool is_stopped(const struct wsrep *g)
{
    return !g->process->is_up;
}

static bool answers(const struct wsrep *g)
{
    return wsrep_is_awake(g) && (g->phase == WSREP_OPEN || g->phase == WSREP_STOPPING);
}

static void do_init(struct wsrep *g)
{
    if (g->dir.exists || !is_stopped(g)) {
        complete(g, BASE_E_STATE, "there is a directory");
        return;
    }
    wsrep_directory_make(g);
    complete(g, 0, "made");
}

static void do_recover(struct wsrep *g)
{
    if (!g->dir.exists || !is_stopped(g)) {
        complete(g, BASE_E_STATE, "no directory at rest");
        return;
    }
    if (g->dir.is_damaged) {
        complete(g, BASE_E_CORRUPT, "InnoDB: data structure corruption");
        return;
    }
    g->is_recovered = true;
    complete(g, 0, "recovered");
}

static void do_prepare(struct wsrep *g)
{
    const struct db_galera_order *o = &g->order.galera;
    if (!is_stopped(g)) {
        complete(g, BASE_E_STATE, "it runs");
        return;
    }
    struct wsrep_start *p = &g->prepared;
    *p = (struct wsrep_start){.is_new_cluster = o->mode == DB_GALERA_BOOTSTRAP};
    p->uuid = uuid_take(o->position.uuid);
    p->seqno = o->position.seqno;
    p->has_position = p->uuid != WSREP_UUID_NIL && o->position.seqno >= 0;
    g->weight = o->weight != 0 ? o->weight : 1;
    g->dir.has_gvwstate = false;
    g->dir.is_safe = p->is_new_cluster;
    if (o->mode == DB_GALERA_SST) {
        g->dir.is_grastate_empty = true;
        p->has_position = false;
    }
    complete(g, 0, "prepared");
}

static void do_clear(struct wsrep *g)
{
    if (!is_stopped(g)) {
        complete(g, BASE_E_STATE, "it runs");
        return;
    }
    g->dir.is_grastate_empty = true;
    g->is_recovered = false;
    complete(g, 0, "grastate.dat is aside");
}

/* read_only behind a fence goes its own way, and may come into force behind a promotion. */
static void read_only_late(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)bytes;
    if ((uint64_t)g->started_us == number && answers(g)) {
        (void)wsrep_read_only_try(g, true);
    }
}

static void do_fence(struct wsrep *g)
{
    if (!answers(g)) {
        later(g, POLL_US, do_fence); /* until its limit */
        return;
    }
    wsrep_reject_set(g, WSREP_REJECT_ALL_KILL);
    if (chance(&g->rand, 200000)) {
        world_at_with(g->world, g->world->now_us + draw(&g->rand, MS, 300 * MS), NULL,
                      read_only_late, g, (uint64_t)g->started_us, SLICE_EMPTY);
    } else {
        (void)wsrep_read_only_try(g, true);
    }
    g->writable_epoch = 0;
    complete(g, 0, "all sessions are cut, all is rejected");
}

/* Read-only first, so that nobody writes between. */
static void unfence_poll(struct wsrep *g)
{
    if (!answers(g)) {
        complete(g, BASE_E_STATE, "no answer");
    } else if (wsrep_read_only_try(g, true)) {
        wsrep_reject_set(g, WSREP_REJECT_NONE);
        complete(g, 0, "queries are accepted");
    } else {
        later(g, POLL_US, unfence_poll);
    }
}

static void demote_poll(struct wsrep *g)
{
    if (!answers(g)) {
        complete(g, BASE_E_STATE, "no answer");
    } else if (wsrep_read_only_try(g, true)) {
        enum wsrep_reject before = g->reject;
        wsrep_reject_set(g, WSREP_REJECT_ALL_KILL);
        wsrep_reject_set(g, before);
        g->writable_epoch = 0;
        complete(g, 0, "read only");
    } else {
        later(g, POLL_US, demote_poll);
    }
}

static void promote_poll(struct wsrep *g)
{
    if (!answers(g) || !wsrep_is_primary(g)) {
        complete(g, BASE_E_STATE, "no answer from a component");
        return;
    }
    if (!wsrep_can_replicate(g) || wsrep_queue_len(g) > 0) {
        later(g, POLL_US, promote_poll);
        return;
    }
    g->writable_epoch = g->order.epoch;
    wsrep_reject_set(g, WSREP_REJECT_NONE);
    (void)wsrep_read_only_try(g, false);
    complete(g, 0, "it accepts writes");
}

static void do_bootstrap(struct wsrep *g)
{
    bool is_done = answers(g) && wsrep_pc_bootstrap(g, false);
    complete(g, is_done ? 0 : BASE_E_STATE, is_done ? "Primary" : "it is not, or is already");
}

/* It changes the weight in the view that all have, without a new one. */
static void do_weight(struct wsrep *g)
{
    bool is_done = answers(g) && wsrep_can_replicate(g) && g->order.galera.weight > 0;
    if (is_done) {
        wsrep_weigh(g, g->order.galera.weight);
    }
    complete(g, is_done ? 0 : BASE_E_STATE, is_done ? "weighed" : "not in a component");
}

static void too_late(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)bytes;
    if (g->order_number == number && g->order.id != 0) {
        complete(g, BASE_E_TIMEOUT, "took too long");
    }
}

static void cancelled(struct wsrep *g)
{
    complete(g, BASE_E_CANCELED, "canceled");
}

void wsrep_order(struct wsrep *g, const struct db_order *order)
{
    static const struct {
        step_fn *step;
        int64_t us; /* at most, mostly */
    } begin[] = {
        [DB_ORDER_INIT] = {do_init, 900 * MS},
        [DB_ORDER_GALERA_RECOVER] = {do_recover, 500 * MS},
        [DB_ORDER_GALERA_PREPARE] = {do_prepare, 10 * MS},
        [DB_ORDER_GALERA_CLEAR] = {do_clear, 10 * MS},
        [DB_ORDER_GALERA_FENCE] = {do_fence, 8 * MS},
        [DB_ORDER_GALERA_UNFENCE] = {unfence_poll, 8 * MS},
        [DB_ORDER_GALERA_DEMOTE] = {demote_poll, 8 * MS},
        [DB_ORDER_GALERA_BOOTSTRAP] = {do_bootstrap, 60 * MS},
        [DB_ORDER_GALERA_WEIGHT] = {do_weight, 8 * MS},
        [DB_ORDER_PROMOTE] = {promote_poll, 8 * MS},
    };
    trace(g->world, TRACE_GALERA_ORDER, g->member, order->kind, order->id,
          (uint64_t)order->galera.position.seqno);
    if (order->kind == DB_ORDER_CANCEL) {
        if (g->order.id == order->id) {
            g->order_number++;
            later(g, draw(&g->rand, 100, 5 * MS), cancelled);
        }
        return;
    }
    BASE_ASSERT(g->order.id == 0);
    truth_gal_ordered(g->world, g, order);
    g->order = *order;
    g->order_number++;
    world_at_with(g->world, g->world->now_us + order->timeout_us, agent_of(g), too_late, g,
                  g->order_number, SLICE_EMPTY);
    BASE_ASSERT((size_t)order->kind < BASE_COUNT_OF(begin) && begin[order->kind].step != NULL);
    later(g, draw(&g->rand, MS, begin[order->kind].us), begin[order->kind].step);
}

/* The agent is gone, and its order with it. */
void wsrep_order_forget(struct wsrep *g)
{
    if (!agent_of(g)->is_up) {
        g->order_number++;
        memset(&g->order, 0, sizeof(g->order));
    }
}

/* --- probes --- */

static void read_causally(struct wsrep *g, struct base_mono now)
{
    struct wsrep_causal *c = &g->causal;
    if (c->is_sent && (c->view_id != g->peer.view.id || !wsrep_is_primary(g))) {
        c->is_sent = false; /* it was caught by a view change, and fails */
    }
    if (!c->is_sent && answers(g) && wsrep_is_primary(g)) {
        *c = (struct wsrep_causal){.is_sent = true,
                                   .sent = now,
                                   .view_id = g->peer.view.id,
                                   .came_through = c->came_through};
    }
    if (c->is_sent && !c->is_ordered && wsrep_can_replicate(g)) {
        c->is_ordered = true;
        c->target = g->dir.seqno + (int64_t)wsrep_queue_len(g);
    }
    if (c->is_sent && c->is_ordered && g->dir.seqno >= c->target) {
        c->came_through = c->sent;
        c->is_sent = c->is_ordered = false;
    }
}

static void add_node(struct msg_galera_view *ret, const struct base_name *name, uint8_t weight)
{
    ret->nodes[ret->count++] = (struct msg_galera_node){*name, weight};
}

/* By name: the arbitrator's comes first. */
static void view_of_component(const struct wsrep *g, struct msg_galera_view *ret)
{
    static const struct base_name arbitrator = {"garb"};
    const struct wsrep_view *v = &g->peer.view;
    ret->conf_id = v->conf_id;
    if ((v->members >> WSREP_ARBITRATOR & 1) != 0) {
        add_node(ret, &arbitrator, v->weight[WSREP_ARBITRATOR]);
    }
    for (unsigned i = wsrep_first(g->world); i < wsrep_end(g->world); i++) {
        if ((v->members >> i & 1) != 0) {
            add_node(ret, &g->world->members->list[i].name, v->weight[i]);
        }
    }
}

static void view_running(struct wsrep *g, struct db_galera_view *v)
{
    const struct wsrep_view *view = &g->peer.view;
    bool has_state = g->state == WSREP_SYNCED || g->state == WSREP_DONOR;
    v->is_primary = wsrep_is_primary(g);
    v->is_ready = v->is_primary && has_state;
    v->is_connected = true;
    v->is_nil = v->is_primary && g->uuid == WSREP_UUID_NIL;
    v->is_evs_operational = g->peer.silent_us == 0 || g->world->now_us < g->peer.due_us - SECOND;
    v->is_read_only = g->is_read_only;
    v->is_writing = !g->is_read_only;
    v->is_rejecting = g->reject != WSREP_REJECT_NONE;
    v->is_desynced = g->is_desynced;
    v->is_flow_paused = v->is_primary && wsrep_is_flow_paused(g->world, g);
    v->local = (enum db_galera_local)g->state;
    uuid_put(g->uuid, v->uuid);
    v->size = (uint8_t)wsrep_view_size(view);
    v->weight = (uint8_t)g->weight;
    v->recv_queue = (uint32_t)wsrep_queue_len(g);
    bool is_stuck = v->is_writing && v->is_primary && g->peer.silent_us != 0;
    v->stuck_ms = is_stuck ? (uint32_t)((g->world->now_us - g->peer.silent_us) / MS) : 0;
    if (v->is_primary) {
        view_of_component(g, &v->view);
        v->conf_id = view->conf_id;
    }
    v->gcomm[0] = (uint8_t)(g->member + 1);
    memcpy(v->gcomm + 1, &g->process->life, sizeof(g->process->life));
    uuid_put(g->dir.uuid, v->position.uuid);
    v->position.seqno = g->dir.seqno;
    v->causal_at = g->causal.came_through;
}

static void view_stopped(const struct wsrep *g, struct db_galera_view *v)
{
    const struct wsrep_directory *d = &g->dir;
    bool is_readable = d->exists && !d->is_grastate_empty && !d->is_sst_in_progress;
    uuid_put(is_readable ? d->uuid : WSREP_UUID_NIL, v->saved.uuid);
    v->saved.seqno = is_readable ? d->file_seqno : -1;
    v->is_safe_to_bootstrap = d->is_safe;
    v->position = v->saved;
    v->is_position_recovered = is_readable && (g->is_recovered || d->file_seqno >= 0);
    if (is_readable && g->is_recovered) {
        v->position.seqno = d->seqno;
    }
}

void wsrep_look_at(struct wsrep *g, struct db_view *ret)
{
    struct base_mono now = clock_now(&g->world->members->list[g->member].clock);
    memset(ret, 0, sizeof(*ret));
    ret->orders_done = g->orders_done;
    ret->has_directory = g->dir.exists;
    ret->is_process = g->process->is_up;
    ret->is_answering = answers(g);
    ret->galera.asked_at = now;
    ret->galera.causal_at = BASE_MONO_LONG_AGO;
    ret->galera.is_sst_failed = g->is_sst_failed;
    ret->galera.is_transfer_broken = g->dir.exists && g->dir.is_sst_in_progress;
    if (!g->process->is_up) {
        view_stopped(g, &ret->galera);
    } else if (ret->is_answering) {
        read_causally(g, now);
        view_running(g, &ret->galera);
    }
    if (g->donor >= 0) {
        ret->galera.donor = g->world->members->list[g->donor].name;
    }
}

void wsrep_arrive(void *ctx, unsigned from, struct slice payload)
{
    struct wsrep *g = ctx;
    struct sql_frame f;
    if (payload.len == sizeof(f) && payload.data[0] == SQL_FRAME_WRITE) {
        memcpy(&f, payload.data, sizeof(f));
        wsrep_write(g, f.value, from, f.request);
    }
}
