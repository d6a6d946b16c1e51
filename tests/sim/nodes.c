/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of the simulated quorum nodes. */
#include "tests/sim/nodes_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"
#include "tests/sim/chores.h"
#include "tests/sim/faults.h"
#include "tests/sim/lockers.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_lease.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/watch_conn.h"

#define TICK_US (50 * MS)
#define DECLARED_DRIFT_PPM 10000

/* --- waking --- */

static void wake(void *ctx, uint64_t number, struct slice bytes)
{
    struct node *n = ctx;
    (void)bytes;
    if (number != n->wake_number) {
        return;
    }
    n->wake_at_us = INT64_MAX;
    raft_node_tick(n->raft);
    kv_service_tick(n->service, clock_now(&n->clock));
    arb_driver_tick(n->driver);
    kv_watch_tick(n->hub, clock_now(&n->clock));
    kv_auth_tick(n->auth, clock_now(&n->clock));
    lockers_pump(n->world, n->index);
    node_rearm(n);
}

void node_rearm(struct node *n)
{
    if (n->raft == NULL) {
        return;
    }
    struct base_mono wanted = raft_node_deadline(n->raft);
    wanted = base_mono_min(wanted, arb_driver_deadline(n->driver));
    int64_t at_us = clock_true_us(&n->clock, wanted);
    int64_t tick_us = n->world->now_us + TICK_US;
    at_us = at_us < tick_us ? at_us : tick_us;
    if (at_us >= n->wake_at_us) {
        return;
    }
    n->wake_at_us = at_us;
    world_at_with(n->world, at_us, &n->process, wake, n, ++n->wake_number, SLICE_EMPTY);
}

static void after_disk(void *ctx)
{
    node_rearm(ctx);
}

/* --- the machine: what Raft drives, with an ear on it --- */

static int machine_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                         struct buf *result)
{
    struct node *n = ctx;
    truth_leads(n->world, n->index);
    truth_apply(n->world, n->index, entry);
    int rc = n->inner.apply(n->inner.ctx, txn, entry, result);
    if (rc == 0) {
        truth_kv_applied(n->world, n->index, txn, entry);
    }
    return rc;
}

static void machine_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                            struct slice result)
{
    struct node *n = ctx;
    n->inner.applied(n->inner.ctx, index, term, cookie, result);
}

static void machine_dropped(void *ctx, uint64_t cookie, int status)
{
    struct node *n = ctx;
    n->inner.dropped(n->inner.ctx, cookie, status);
}

static void machine_read_ready(void *ctx, uint64_t cookie, int status)
{
    struct node *n = ctx;
    n->inner.read_ready(n->inner.ctx, cookie, status);
}

static void machine_role_changed(void *ctx)
{
    struct node *n = ctx;
    struct raft_node_status status;
    raft_node_status(n->raft, &status);
    truth_role(n->world, n->index, &status);
    truth_lease_role(n->world, n->index, clock_now(&n->clock));
    if (n->inner.role_changed != NULL) {
        n->inner.role_changed(n->inner.ctx);
    }
}

static void machine_members_changed(void *ctx)
{
    struct node *n = ctx;
    truth_members(n->world, n->index);
    if (n->inner.members_changed != NULL) {
        n->inner.members_changed(n->inner.ctx);
    }
}

static void load_records(struct node *n);

static void machine_restored(void *ctx, uint64_t index)
{
    struct node *n = ctx;
    arb_driver_records_stale(n->driver);
    n->world->tally.images++;
    trace(n->world, TRACE_IMAGE, n->index, index, 0, 0);
    truth_restored(n->world, n->index, index);
    if (n->inner.restored != NULL) {
        n->inner.restored(n->inner.ctx, index);
    }
    load_records(n);
}

static void machine_changed(void *ctx, uint64_t cookie, int status)
{
    struct node *n = ctx;
    if (n->inner.changed != NULL) {
        n->inner.changed(n->inner.ctx, cookie, status);
    }
}

static void start_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct node *n = ctx;
    (void)bytes;
    if (!n->process.is_up) {
        node_start(n->world, (unsigned)number);
    }
}

static void die(void *ctx, uint64_t number, struct slice bytes)
{
    struct node *n = ctx;
    (void)bytes;
    node_crash(n->world, n->index, (unsigned)number);
    world_at_with(n->world, n->world->now_us + SECOND, NULL, start_again, n, n->index, SLICE_EMPTY);
}

static void die_of_vote(void *ctx, uint64_t number, struct slice bytes)
{
    struct node *n = ctx;
    (void)bytes;
    n->world->tally.bit[FAULT_VOTE_CRASH]++;
    node_crash(n->world, n->index, (unsigned)number);
    world_at_with(n->world, n->world->now_us + draw(&n->rand, MS, 60 * MS), NULL, start_again, n,
                  n->index, SLICE_EMPTY);
}

/* A store failed, whether a job waits or not: the process ends and is started again, as systemd
 * would. */
static void disk_failed(void *ctx, int status)
{
    struct node *n = ctx;
    (void)status;
    if (!n->is_dying) {
        n->is_dying = true;
        world_at_with(n->world, n->world->now_us, &n->process, die, n, 2, SLICE_EMPTY);
    }
}

static void machine_halted(void *ctx, int status)
{
    struct node *n = ctx;
    if (n->inner.halted != NULL) {
        n->inner.halted(n->inner.ctx, status);
    }
    disk_failed(n, status);
}

static void records_loaded(void *user, int status)
{
    struct node *n = user;
    if (status != 0) {
        machine_halted(user, status);
    } else if (n->is_reload_wanted) {
        load_records(n);
    } else {
        arb_driver_records_told(n->driver);
    }
}

/* One reading after the other: what changed during one is read again. */
static void load_records(struct node *n)
{
    int rc = kv_service_load_records(n->service, records_loaded);
    n->is_reload_wanted = rc == BASE_E_BUSY;
    if (rc != 0 && rc != BASE_E_BUSY) {
        world_fail(n->world, INVARIANT_NO_CRASH, "node %u cannot load its records", n->index);
    }
}

static void users_restored(struct node *n)
{
    n->tokens_since_us = n->world->now_us;
    kv_auth_restored(n->auth);
}

int64_t node_tokens_since(struct world *w, unsigned node)
{
    return nodes_get(w, node)->tokens_since_us;
}

static void service_restored(void *user, int64_t revision)
{
    struct node *n = user;
    (void)revision;
    kv_watch_restored(n->hub);
    users_restored(n);
}

static void machine_started(void *ctx, int status)
{
    struct node *n = ctx;
    if (status == BASE_E_IO || status == BASE_E_NOSPACE) {
        machine_halted(ctx, status); /* the disk failed while it was read */
        return;
    }
    if (status != 0) {
        world_fail(n->world, INVARIANT_STARTS, "node %u does not start: %s", n->index,
                   base_error_text(status));
    }
    struct raft_node_status now;
    raft_node_status(n->raft, &now);
    truth_started(n->world, n->index, now.applied_index);
    load_records(n);
    n->is_started = true;
    users_restored(n);
    if (n->inner.started != NULL) {
        n->inner.started(n->inner.ctx, status);
    }
}

/* --- frames --- */

static void report(struct node *n, unsigned from, struct slice payload)
{
    struct net_identity identity = {.role = NET_ROLE_AGENT};
    identity.member = member_of(n->world, from - ADDRESS_AGENT)->name;
    identity.cluster = *cluster_name(cluster_of(n->world, from - ADDRESS_AGENT));
    int rc = arb_driver_receive(n->driver, from, &identity, payload);
    if (rc != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "node %u refuses a report of %s: %s", n->index,
                   identity.member.text, base_error_text(rc));
    }
}

static void arrive(void *ctx, unsigned from, struct slice payload)
{
    struct node *n = ctx;
    uint8_t type = payload.len > 0 ? payload.data[0] : 0;
    if (!n->is_started && type != NET_FRAME_RAFT) {
        return;
    }
    if (type == NET_FRAME_RAFT) {
        int rc = raft_node_receive(n->raft, node_id(n->world, from - ADDRESS_NODE), payload);
        const struct setup *s = &n->world->setup; /* members and quorums that are no more */
        bool is_strange = rc == BASE_E_DENIED && (s->is_changing || s->is_restoring);
        if (rc == BASE_E_PROTO || (rc == BASE_E_DENIED && !is_strange)) {
            world_fail(n->world, INVARIANT_NO_CRASH, "node %u refuses a frame of node %u: %s",
                       n->index, from, base_error_text(rc));
        }
    } else if (type == NET_FRAME_KV) {
        kv_service_receive(n->service, node_id(n->world, from - ADDRESS_NODE), payload);
    } else if (type == NET_FRAME_REPORT) {
        truth_lease_heard(n->world, n->index, from - ADDRESS_AGENT, payload);
        truth_mongo_heard(n->world, from - ADDRESS_AGENT);
        report(n, from, payload);
    } else if (type == FRAME_REQUEST) {
        node_request(n, from, slice_skip(payload, 1));
    }
    node_rearm(n);
}

/* Orders to agents: links are addresses. */
static bool order_send(void *ctx, uint64_t link, struct slice payload)
{
    struct node *n = ctx;
    truth_order(n->world, n->index, clock_now(&n->clock), payload);
    return net_send(n->world, ADDRESS_NODE + n->index, (unsigned)link, payload);
}

static bool port_send(void *ctx, uint64_t link, struct slice payload)
{
    struct node *n = ctx;
    truth_leads(n->world, n->index);
    truth_lease_round(n->world, n->index);
    if (truth_raft_frame(n->world, n->index, payload) && n->world->setup.is_vote_crash &&
        chance(&n->rand, 200000)) {
        /* Power is lost just after a vote has left: what was promised must be on disk. */
        world_at_with(n->world, n->world->now_us + draw(&n->rand, 0, 300), &n->process, die_of_vote,
                      n, 3, SLICE_EMPTY);
    }
    chores_overhear(n->world, n->index, payload);
    unsigned to = node_of(n->world, link);
    return to < NODES_MAX &&
           net_send(n->world, ADDRESS_NODE + n->index, ADDRESS_NODE + to, payload);
}

/* --- life --- */

static void restore_known(void *user, uint64_t restore_id)
{
    const struct node *n = user;
    arb_driver_set_restore(n->driver, restore_id);
}

static void swapped(void *user, const struct kv_swapped *what)
{
    struct node *n = user;
    truth_swapped(n->world, n->index, what);
    arb_driver_swapped(n->driver, what);
}

static void service_role_changed(void *user)
{
    struct node *n = user;
    arb_driver_role_changed(n->driver);
}

static void noted(void *user, const struct base_name *cluster, const struct arb_note *note)
{
    const struct node *n = user;
    char text[256];
    struct buf out = buf_over(text, sizeof(text) - 1);
    if (note->kind == ARB_NOTE_FAILOVER || note->kind == ARB_NOTE_FAILOVER_LOSS ||
        note->kind == ARB_NOTE_FORCED || note->kind == ARB_NOTE_RETURN) {
        truth_lease_decided(n->world, n->index, cluster, note->a, clock_now(&n->clock));
    }
    arb_note_put(note, &out);
    if (n->world->is_tracing && buf_terminate(&out)) {
        trace_text(n->world, ADDRESS_NODE + n->index, text);
    }
}

static void service_revised(void *user, int64_t revision)
{
    struct node *n = user;
    kv_watch_revised(n->hub, revision);
}

static void watch_header(void *ctx, struct kv_header *ret)
{
    const struct node *n = ctx;
    kv_service_header(n->service, ret);
}

static void service_auth_changed(void *user, const struct kv_auth_event *event)
{
    struct node *n = user;
    kv_auth_changed(n->auth, event);
}

static void open_hub(struct node *n)
{
    struct kv_watch_options options = {
        .store = disk_port(n->state),
        .ctx = n,
        .header = watch_header,
        .progress_us = 2 * SECOND,
        .seed = n->world->seed,
    };
    if (kv_watch_open(&options, &n->hub) != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "the watches of node %u do not open", n->index);
    }
}

static uint64_t auth_applied(void *ctx)
{
    const struct node *n = ctx;
    return kv_service_applied_index(n->service);
}

static void open_auth(struct node *n)
{
    struct kv_auth_options options = {
        .store = disk_port(n->state), .ctx = n, .applied = auth_applied};
    if (kv_auth_open(&options, &n->auth) != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "the users of node %u do not open", n->index);
    }
    /* Else the first login would be as old as the clock. */
    kv_auth_tick(n->auth, clock_now(&n->clock));
}

static void open_driver(struct node *n)
{
    struct arb_driver_options options = {
        .service = n->service,
        .net = {n, order_send},
        .clock = clock_port_of(&n->clock),
        .clusters_max = DB_CLUSTERS_MAX,
        .user = n,
        .noted = noted,
        .fence = node_fence,
    };
    if (arb_driver_open(&options, &n->driver) != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "the arbiter of node %u does not open", n->index);
    }
    arb_driver_records_stale(n->driver); /* they are read as soon as Raft has started */
}

static void open_service(struct node *n)
{
    struct kv_service_options options = {
        .store = disk_port(n->state),
        .net = {n, port_send},
        .clock = clock_port_of(&n->clock),
        .cluster_id = n->world->nodes->cluster_id,
        .member_id = n->id,
        .life = n->process.life + 1,
        .quota_bytes = UINT64_C(1) << 30,
        .lease_checkpoint_us = n->world->setup.checkpoint_ms * MS,
        .version = SLICE_LIT("3.4.23"),
        .user = n,
        .swapped = swapped,
        .restore_known = restore_known,
        .role_changed = service_role_changed,
        .restored = service_restored,
        .revised = service_revised,
        .auth_changed = service_auth_changed,
    };
    if (kv_service_open(&options, &n->service) != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "the service of node %u does not open", n->index);
    }
    kv_service_machine(n->service, &n->inner);
}

static void open_raft(struct node *n)
{
    const struct setup *s = &n->world->setup;
    struct raft_node_config config = {
        .cluster_id = n->world->nodes->cluster_id,
        .id = n->id,
        .members = n->world->nodes->members,
        .member_count = n->is_founder ? s->nodes : 0,
        .log_keep_entries = s->log_keep,
        .snapshot_chunk_bytes = s->chunk_bytes,
        .proposals_max = s->proposals_max,
        .memory_bytes_max = (size_t)s->memory_kib << 10,
        .entry_bytes_max = (size_t)s->memory_kib << 7,
        .heartbeat_ms = s->quorum_heartbeat_ms,
        .election_min_ms = s->election_min_ms + (s->is_mixed ? 40 * n->index : 0),
        .election_max_ms = s->election_max_ms + (s->is_mixed ? 60 * n->index : 0),
        .seed = base_rand_next(&n->rand),
    };
    struct raft_node_ports ports = {.log = disk_port(n->log),
                                    .store = disk_port(n->state),
                                    .snapshot = disk_snapshot_port(n->state),
                                    .net = {n, port_send},
                                    .clock = clock_port_of(&n->clock)};
    struct raft_machine machine = {
        .ctx = n,
        .apply = machine_apply,
        .applied = machine_applied,
        .dropped = machine_dropped,
        .read_ready = machine_read_ready,
        .role_changed = machine_role_changed,
        .started = machine_started,
        .members_changed = machine_members_changed,
        .restored = machine_restored,
        .changed = machine_changed,
        .halted = machine_halted,
    };
    if (raft_node_create(&config, &ports, &machine, &n->raft) != 0) {
        world_fail(n->world, INVARIANT_NO_CRASH, "node %u cannot be made", n->index);
    }
}

void node_start(struct world *w, unsigned node)
{
    struct node *n = nodes_get(w, node);
    if (n->id == 0) {
        return;
    }
    process_start(&n->process);
    n->is_started = n->is_dying = n->is_reload_wanted = false;
    n->wake_at_us = INT64_MAX;
    memset(n->calls, 0, sizeof(n->calls));
    open_service(n);
    open_hub(n);
    open_auth(n);
    lockers_node_up(w, node, n->service, n->hub, &n->clock);
    open_driver(n);
    open_raft(n);
    kv_service_set_node(n->service, n->raft);
    arb_driver_set_node(n->driver, n->raft);
    trace(w, TRACE_NODE_UP, node, n->process.life, 0, 0);
    raft_node_start(n->raft);
    node_rearm(n);
}

static void drop(struct node *n)
{
    disk_crash(n->log);
    disk_crash(n->state);
    watch_conns_node_down(n->world, n->index);
    lockers_node_falls(n->world, n->index);
    kv_auth_close(n->auth);
    n->auth = NULL;
    kv_service_close(n->service);
    n->service = NULL;
    lockers_node_down(n->world, n->index);
    kv_watch_close(n->hub);
    n->hub = NULL;
    n->driver = arb_driver_close(n->driver);
    n->raft = raft_node_destroy(n->raft);
    n->is_started = false;
}

void node_crash(struct world *w, unsigned node, unsigned why)
{
    struct node *n = nodes_get(w, node);
    if (!n->process.is_up) {
        return;
    }
    trace(w, TRACE_NODE_DOWN, node, why, 0, 0);
    process_stop(&n->process);
    drop(n);
}

/* One of those that the quorum begins with. */
static void found(struct world *w, unsigned node)
{
    struct raft_member *member = &w->nodes->members[node];
    char name[2] = {(char)('a' + node), 0};
    nodes_get(w, node)->is_founder = true;
    nodes_get(w, node)->id = member->id = node + 1;
    member->peer_url = base_text_from(slice_from_text(node_url(node)));
    BASE_ASSERT(base_name_from_text(name, &member->name) == 0);
}

void node_replace(struct world *w, unsigned node, uint64_t id)
{
    struct node *n = nodes_get(w, node);
    BASE_ASSERT(!n->process.is_up);
    w->tally.bit[FAULT_DISK_LOST] += n->id != 0;
    disk_wipe(n->log);
    disk_wipe(n->state);
    truth_wiped(w, node, n->id);
    n->id = id;
    n->is_founder = false;
}

/* How much faster than true time its clock runs; counted when it is more than the contract allows.
 */
static int64_t draw_drift(struct node *n)
{
    int64_t ppm = draw(&n->rand, -(int64_t)n->world->setup.drift_ppm, n->world->setup.drift_ppm);
    n->world->tally.bit[FAULT_DRIFT] += ppm > DECLARED_DRIFT_PPM || ppm < -DECLARED_DRIFT_PPM;
    return ppm;
}

void nodes_open(struct world *w)
{
    w->nodes = must_alloc(1, sizeof(*w->nodes));
    w->nodes->cluster_id = SIM_CLUSTER_ID;
    for (unsigned i = 0; i < w->setup.slots; i++) {
        struct node *n = nodes_get(w, i);
        n->world = w;
        n->index = i;
        n->rand = world_stream(w, STREAM_NODE, i);
        n->clock =
            (struct host_clock){w, draw(&n->rand, 0, 1000000 * SECOND), draw_drift(n), 0, 0, 0};
        n->process.clock = &n->clock;
        n->log = disk_open(w, i, &n->process, after_disk, disk_failed, n, false);
        n->state = disk_open(w, i, &n->process, after_disk, disk_failed, n, true);
        net_listen(w, ADDRESS_NODE + i, &n->process, arrive, n);
        if (i < w->setup.nodes) {
            found(w, i);
        }
    }
    for (unsigned i = 0; i < w->setup.nodes; i++) {
        node_start(w, i);
    }
}

void nodes_close(struct world *w)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        struct node *n = nodes_get(w, i);
        if (n->process.is_up) {
            process_stop(&n->process);
            drop(n);
        }
    }
    for (unsigned i = 0; i < w->setup.slots;
         i++) { /* what is written at a drop is held against all */
        disk_close(nodes_get(w, i)->log);
        disk_close(nodes_get(w, i)->state);
    }
    free(w->nodes);
    w->nodes = NULL;
}
