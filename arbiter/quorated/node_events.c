/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a quorum node tell each other: frames of links to Raft, service, arbiter and
 * membership; what was applied and who leads to arbiter and clients. All in the loop thread. */
#include <stdio.h>

#include "arbiter/quorated/fence.h"
#include "arbiter/quorated/node_internal.h"

/* --- links --- */

static void link_received(void *ctx, uint64_t link, const struct net_identity *from,
                          struct slice payload)
{
    struct quorated *q = ctx;
    if (payload.len == 0) {
        return;
    }
    bool is_member = from->role == NET_ROLE_NODE && link < IO_LINK_FIRST_AGENT;
    if (from->role == NET_ROLE_AGENT && payload.data[0] == NET_FRAME_REPORT) {
        (void)arb_driver_receive(q->arbiter, link, from, payload);
    } else if (is_member && payload.data[0] == NET_FRAME_KV) {
        kv_service_receive(q->service, from->node_id, payload);
    } else if (is_member && payload.data[0] == NET_FRAME_RAFT) {
        int rc = raft_node_receive(q->node, from->node_id, payload);
        if (rc != 0) {
            IO_LOG_WARN("raft", "frame_refused", io_u64("from", from->node_id), io_err(rc));
        }
    } else if (from->role == NET_ROLE_NODE && payload.data[0] == NET_FRAME_MEMBER) {
        quorated_members_receive(&q->membership, link, from, payload);
    }
}

static void link_changed(void *ctx, uint64_t link, const struct net_identity *who)
{
    struct quorated *q = ctx;
    char text[IO_IDENTITY_TEXT_MAX];
    const struct io_identity identity = {.net = *who, .name = who->member};
    if (io_links_is_up(q->links, link)) {
        quorated_members_up(&q->membership, link, who);
    }
    IO_LOG_INFO("link", io_links_is_up(q->links, link) ? "link_up" : "link_down",
                io_text("who", io_identity_text(&identity, text, sizeof(text))),
                io_hex("link", link));
}

const struct io_link_events quorated_link_events = {
    .received = link_received, .up = link_changed, .down = link_changed};

/* --- the key-value service --- */

static void service_restore_known(void *user, uint64_t restore_id)
{
    const struct quorated *q = user;
    arb_driver_set_restore(q->arbiter, restore_id);
}

static void service_swapped(void *user, const struct kv_swapped *swapped)
{
    struct quorated *q = user;
    arb_driver_swapped(q->arbiter, swapped);
    (void)notify_swapped(q->notify, swapped);
}

static void service_role_changed(void *user)
{
    struct quorated *q = user;
    struct raft_node_status s;
    raft_node_status(q->node, &s);
    IO_LOG_NOTICE("raft", "role", io_u64("term", s.term), io_hex("leader", s.leader_id),
                  io_bool("leads", s.role == RAFT_LEADER));
    quorated_pages_role_changed(&q->pages);
    arb_driver_role_changed(q->arbiter);
    notify_role_changed(q->notify);
}

static void records_loaded(void *user, int status);

/* One reading after the other: what changed during one is read again. */
static void load_records(struct quorated *q)
{
    int rc = kv_service_load_records(q->service, records_loaded);
    q->is_reload_wanted = rc == BASE_E_BUSY;
    if (rc != 0 && rc != BASE_E_BUSY) {
        quorated_stop(q, 1);
    }
}

static void records_loaded(void *user, int status)
{
    struct quorated *q = user;
    if (status != 0) {
        IO_LOG_ERROR("arbiter", "records_unreadable", io_err(status));
        quorated_stop(q, 1);
    } else if (q->is_reload_wanted) {
        load_records(q);
    } else {
        arb_driver_records_told(q->arbiter);
        notify_loaded(q->notify);
    }
}

static void service_restored(void *user, int64_t revision)
{
    struct quorated *q = user;
    IO_LOG_NOTICE("store", "restored", io_i64("revision", revision));
    quorated_clients_restored(&q->clients);
}

static void service_revised(void *user, int64_t revision)
{
    struct quorated *q = user;
    quorated_clients_revised(&q->clients, revision);
}

static void service_auth_changed(void *user, const struct kv_auth_event *event)
{
    struct quorated *q = user;
    quorated_clients_auth_changed(&q->clients, event);
}

/* --- Raft --- */

/* Another state, another set of records; those known so far must not be decided by. */
static void raft_restored(void *ctx)
{
    struct quorated *q = ctx;
    arb_driver_records_stale(q->arbiter);
    load_records(q);
}

static void raft_started(void *ctx, int status)
{
    struct quorated *q = ctx;
    if (status != 0) {
        (void)fprintf(
            stderr,
            "quorated: the log in %s cannot be used: %s. A copy of it would not know what this "
            "node has promised since: on another node run 'kv member remove' and 'kv member add' "
            "for it, then start it with an empty data directory and quorum.state: existing\n",
            q->settings->data_dir, base_error_text(status));
        quorated_stop(q, 1);
        return;
    }
    load_records(q);
    quorated_clients_restored(&q->clients);
    quorated_members_changed(&q->membership);
    IO_LOG_NOTICE("quorated", "started", io_name("name", &q->settings->name),
                  io_hex("id", q->ids.node_id), io_hex("cluster", q->ids.cluster_id),
                  io_u64("members", raft_node_configuration(q->node)->count));
    io_daemon_notify("READY=1");
}

static void raft_halted(void *ctx, int status)
{
    struct quorated *q = ctx;
    IO_LOG_ERROR("raft", "halted", io_err(status));
    quorated_stop(q, 1);
}

static void raft_members_changed(void *ctx)
{
    struct quorated *q = ctx;
    quorated_members_changed(&q->membership);
}

static void member_removed(void *ctx, const char *text)
{
    struct quorated *q = ctx;
    (void)fprintf(stderr, "quorated: %s\n", text);
    IO_LOG_NOTICE("members", "removed", io_text("why", text));
    quorated_stop(q, 1);
}

/* --- the arbiter --- */

/* A sentence of each kind has a budget of its own, so that no burst of another kind takes it, wide
 * enough for a decision about every cluster at once. */
static void log_note(const struct base_name *cluster, const struct arb_note *note,
                     struct slice text)
{
    static struct io_log_site sites[ARB_NOTE_COUNT];
    const struct io_field fields[] = {
        {.key = ""}, io_name("cluster", cluster), io_bytes("text", text)};
    sites[note->kind].lines_max = 4 * ARB_CLUSTERS_MAX;
    if (io_log_is_on(IO_LEVEL_NOTICE)) {
        io_log_write(&sites[note->kind], IO_LEVEL_NOTICE, "arbiter", arb_note_name(note->kind),
                     fields, BASE_COUNT_OF(fields));
    }
}

static void arbiter_noted(void *user, const struct base_name *cluster, const struct arb_note *note)
{
    struct quorated *q = user;
    uint8_t memory[IO_LOG_LINE_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    q->pages.notes[note->kind]++;
    arb_note_put(note, &text);
    log_note(cluster, note, buf_slice(&text));
    notify_noted(q->notify, cluster, note);
}

static void arbiter_fence(void *user, const struct arb_fence_job *job)
{
    struct quorated *q = user;
    IO_LOG_NOTICE("arbiter", "fence", io_name("cluster", &job->cluster),
                  io_name("member", &job->member), io_u64("epoch", job->epoch),
                  io_text("command", job->command));
    quorated_fence(q->fences, job);
}

static void fence_ended(void *user, const struct arb_fence_job *job, bool is_off, const char *text)
{
    struct quorated *q = user;
    IO_LOG_NOTICE("arbiter", is_off ? "fenced" : "fence-failed", io_name("cluster", &job->cluster),
                  io_name("member", &job->member), io_u64("epoch", job->epoch),
                  io_text("text", text));
    arb_driver_fenced(q->arbiter, &job->cluster, job->epoch, is_off);
}

int quorated_open_fences(struct quorated *q)
{
    const struct quorated_fences_options options = {
        .loop = q->loop, .dir = q->settings->fence_dir, .user = q, .ended = fence_ended};
    return quorated_fences_new(&options, &q->fences);
}

/* --- who is told --- */

void quorated_hear_service(struct quorated *q, struct kv_service_options *options)
{
    options->user = q;
    options->swapped = service_swapped;
    options->restore_known = service_restore_known;
    options->role_changed = service_role_changed;
    options->restored = service_restored;
    options->revised = service_revised;
    options->auth_changed = service_auth_changed;
}

void quorated_hear_raft(struct quorated *q)
{
    q->machine.ctx = q;
    q->machine.started = raft_started;
    q->machine.halted = raft_halted;
    q->machine.members_changed = raft_members_changed;
    q->machine.restored = raft_restored;
    q->membership.ctx = q;
    q->membership.removed = member_removed;
}

void quorated_hear_arbiter(struct quorated *q, struct arb_driver_options *options)
{
    options->user = q;
    options->noted = arbiter_noted;
    options->fence = arbiter_fence;
}
