/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring of a quorum node; see node.h. Things are made in the order of struct quorated and freed in
 * reverse.
 *
 * The loop thread owns all of it but the storage threads. A node whose directory is empty first
 * asks the others who it is (join.c); the rest is made when that is known. Raft's next deadline
 * changes with every call into it, so its timer is set anew by a prepare handle, once per round of
 * the loop, right before it sleeps. */
#include "arbiter/quorated/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "arbiter/api/databases.h"
#include "arbiter/driver.h"
#include "arbiter/quorated/clients.h"
#include "arbiter/quorated/join.h"
#include "arbiter/quorated/machine.h"
#include "arbiter/quorated/members.h"
#include "arbiter/quorated/pages.h"
#include "arbiter/quorated/stores.h"
#include "base/name.h"
#include "kv/api/api.h"
#include "kv/offline/offline.h"
#include "proto/io/daemon.h"
#include "raft/core/members.h"

#define SERVICE_TICK_US (50 * BASE_US_PER_MS)
#define FILES_MAX 65536 /* descriptors */

struct quorated {
    const struct quorated_settings *settings;
    int exit_status;
    bool is_stopping;
    bool is_reload_wanted; /* of the arbiter's records */
    uint64_t life;
    struct io_loop *loop;
    struct quorated_stores stores;
    struct quorated_ids ids; /* of this node, as stored, as learned, or as the settings have them */
    struct quorated_join *join;
    struct io_tls *tls;     /* both directions of the links */
    struct io_tls *api_tls; /* public port: certificate optional, HTTP/2 offered */
    struct io_links *links;
    struct kv_service *service;
    struct quorated_machine machine;
    struct quorated_members membership;
    struct raft_node *node;
    struct arb_driver *arbiter;
    struct arb_api *databases;
    struct api *api;
    struct quorated_clients clients;
    struct quorated_pages pages;
    struct io_server *server;
    struct io_server *metrics;
    struct raft_member members[RAFT_MEMBERS_MAX]; /* of a new quorum */
    struct io_timer raft_timer;
    struct io_timer service_timer;
    struct io_timer arbiter_timer;
    uv_prepare_t before_sleep;
};

/* Ends the loop; the first reason decides the exit status. */
static void stop(struct quorated *q, int exit_status)
{
    if (!q->is_stopping) {
        q->is_stopping = true;
        q->exit_status = exit_status;
        io_daemon_notify("STOPPING=1");
    }
    io_loop_stop(q->loop);
}

static int fail(const char *what, const struct io_why *why)
{
    (void)fprintf(stderr, "quorated: %s: %s\n", what, why->text);
    return -1;
}

/* --- storage --- */

static void store_failed(void *ctx)
{
    stop(ctx, 1);
}

/* quorum.force_new: this node alone goes on as a new quorum. */
static int force_new(const struct quorated_settings *s)
{
    struct io_why why = {""};
    char text[KV_OFFLINE_TEXT] = "";
    uint64_t random[2] = {0, 0};
    struct kv_forced forced;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        io_why_set(&why, "no random numbers");
        return fail("cannot start", &why);
    }
    random[0] |= 1;
    random[1] |= 1;
    if (kv_force_new(s->data_dir, random, &forced, text) != 0) {
        io_why_set(&why, "%s", text);
        return fail("quorum.force_new", &why);
    }
    IO_LOG_WARN("quorated", "forced_new", io_hex("cluster", forced.cluster_id),
                io_u64("applied", forced.applied), io_u64("tail", forced.tail),
                io_u64("members_lost", forced.members_lost),
                io_text("next", "take quorum.force_new out before the next start; 'kv db confirm' "
                                "for every database; 'kv member add' for new nodes"));
    return 0;
}

static int open_stores(struct quorated *q)
{
    struct io_why why = {""};
    if (q->settings->is_forced_new && force_new(q->settings) != 0) {
        return -1;
    }
    q->stores.failed = store_failed;
    q->stores.ctx = q;
    if (quorated_stores_open(&q->stores, q->loop, q->settings, &q->ids, &why) != 0) {
        return fail("cannot open the store", &why);
    }
    return 0;
}

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

static const struct io_link_events link_events = {
    .received = link_received, .up = link_changed, .down = link_changed};

static int open_tls(struct quorated *q)
{
    struct io_why why = {""};
    if (q->settings->is_insecure) {
        return 0;
    }
    struct io_tls_options options = {.cert_file = q->settings->cert_file,
                                     .key_file = q->settings->key_file,
                                     .ca_file = q->settings->ca_file,
                                     .verify = IO_TLS_VERIFY_REQUIRED};
    if (io_tls_new(&options, &q->tls, &why) != 0) {
        return fail("TLS", &why);
    }
    const struct io_identity own = io_tls_own_identity(q->tls);
    if (own.net.role != NET_ROLE_NODE ||
        memcmp(&own.name, &q->settings->name, sizeof(own.name)) != 0) {
        char text[IO_IDENTITY_TEXT_MAX];
        io_why_set(&why,
                   "certificate %s is for %s, not for node %s; issue it with 'kv cert issue "
                   "--role node --name %s'",
                   q->settings->cert_file, io_identity_text(&own, text, sizeof(text)),
                   q->settings->name.text, q->settings->name.text);
        return fail("TLS", &why);
    }
    options.verify = IO_TLS_VERIFY_OPTIONAL;
    options.has_http2 = true;
    if (io_tls_new(&options, &q->api_tls, &why) != 0) {
        return fail("TLS", &why);
    }
    io_tls_watch(q->tls, q->loop);
    io_tls_watch(q->api_tls, q->loop);
    return 0;
}

static int open_links(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    const struct io_links_options options = {
        .self = {.role = NET_ROLE_NODE, .node_id = q->ids.node_id},
        .name = s->name,
        .token = s->token,
        .tls = q->tls,
        .events = &link_events,
        .ctx = q,
    };
    if (io_links_new(q->loop, &options, &q->links, &why) != 0) {
        return fail("links", &why);
    }
    return 0;
}

/* Peers may speak from here on: everything they reach must be there. */
static int start_links(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    if (io_links_listen(q->links, &s->peer_listen, &why) != 0) {
        return fail("cannot listen for peers and agents", &why);
    }
    return 0;
}

/* --- Raft, key-value service, arbiter --- */

static void service_restore_known(void *user, uint64_t restore_id)
{
    const struct quorated *q = user;
    arb_driver_set_restore(q->arbiter, restore_id);
}

static void service_swapped(void *user, const struct kv_swapped *swapped)
{
    const struct quorated *q = user;
    arb_driver_swapped(q->arbiter, swapped);
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
}

static void records_loaded(void *user, int status);

/* One reading after the other: what changed during one is read again. */
static void load_records(struct quorated *q)
{
    int rc = kv_service_load_records(q->service, records_loaded);
    q->is_reload_wanted = rc == BASE_E_BUSY;
    if (rc != 0 && rc != BASE_E_BUSY) {
        stop(q, 1);
    }
}

static void records_loaded(void *user, int status)
{
    struct quorated *q = user;
    if (status != 0) {
        IO_LOG_ERROR("arbiter", "records_unreadable", io_err(status));
        stop(q, 1);
    } else if (q->is_reload_wanted) {
        load_records(q);
    }
}

/* Another state, another set of records. */
static void service_restored(void *user, int64_t revision)
{
    struct quorated *q = user;
    IO_LOG_NOTICE("store", "restored", io_i64("revision", revision));
    quorated_clients_restored(&q->clients);
    load_records(q);
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

static void raft_started(void *ctx, int status)
{
    struct quorated *q = ctx;
    if (status != 0) {
        (void)fprintf(
            stderr,
            "quorated: the log in %s cannot be used: %s; restore it from a backup of this "
            "node made while it was stopped, or let a new node take its place\n",
            q->settings->data_dir, base_error_text(status));
        stop(q, 1);
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
    stop(q, 1);
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
    stop(q, 1);
}

/* How a node of the settings shall stand in the configuration. */
static struct raft_member member_of_settings(const struct quorated_settings *s, size_t i)
{
    struct raft_member m = {.id = s->nodes[i].node_id, .name = s->nodes[i].name};
    char text[IO_ADDRESS_TEXT_MAX];
    char url[IO_ADDRESS_TEXT_MAX + 8];
    const char *client = s->client_urls[i];
    if (client == NULL && base_name_equal(&s->nodes[i].name, &s->name)) {
        (void)snprintf(url, sizeof(url), "%s://%s", s->is_insecure ? "http" : "https",
                       io_address_text(&s->client_listen, text, sizeof(text)));
        client = url;
    }
    m.peer_url = base_text_from(slice_from_text(s->node_urls[i]));
    if (client != NULL) {
        m.client_urls[0] = base_text_from(slice_from_text(client));
        m.client_url_count = 1;
    }
    return m;
}

/* This node stands in a quorum that starts with exactly the nodes of the settings. */
static bool is_founder(const struct quorated *q)
{
    return !q->settings->is_joining && q->ids.node_id == q->settings->node_id;
}

static void fill_members(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    for (size_t i = 0; i < s->nodes_count; i++) {
        q->members[i] = member_of_settings(s, i);
        if (base_name_equal(&s->nodes[i].name, &s->name)) {
            q->membership.self = q->members[i];
        }
    }
    q->membership.self.id = q->ids.node_id;
    q->membership.cluster_id = q->ids.cluster_id;
    q->membership.links = q->links;
    q->membership.removed = member_removed;
    q->membership.ctx = q;
}

static int open_service(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    const struct kv_service_options options = {
        .store = quorated_stores_state(&q->stores),
        .net = io_links_port_of(q->links),
        .clock = io_clock_port(),
        .cluster_id = q->ids.cluster_id,
        .member_id = q->ids.node_id,
        .life = q->life,
        .quota_bytes = s->quota_bytes,
        .request_bytes_max = s->request_bytes_max,
        .election_max_ms = s->election_max_ms,
        .compaction_period_us = s->compaction_period_us,
        .compaction_revisions = s->compaction_revisions,
        .version = SLICE_LIT("3.4.23"),
        .user = q,
        .swapped = service_swapped,
        .restore_known = service_restore_known,
        .role_changed = service_role_changed,
        .restored = service_restored,
        .revised = service_revised,
        .auth_changed = service_auth_changed,
    };
    return kv_service_open(&options, &q->service);
}

static int open_raft(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    kv_service_machine(q->service, &q->machine.inner);
    q->machine.ctx = q;
    q->machine.started = raft_started;
    q->machine.halted = raft_halted;
    q->machine.members_changed = raft_members_changed;
    const struct raft_machine machine = quorated_machine_port(&q->machine);
    const struct raft_node_config config = {
        .cluster_id = q->ids.cluster_id,
        .id = q->ids.node_id,
        .members = q->members,
        .member_count = is_founder(q) ? s->nodes_count : 0,
        .log_keep_entries = s->log_entries,
        .heartbeat_ms = s->heartbeat_ms,
        .election_min_ms = s->election_min_ms,
        .election_max_ms = s->election_max_ms,
        .seed = q->life,
    };
    const struct raft_node_ports ports = {
        .log = quorated_stores_log(&q->stores),
        .store = quorated_stores_state(&q->stores),
        .snapshot = quorated_stores_snapshot(&q->stores),
        .net = io_links_port_of(q->links),
        .clock = io_clock_port(),
    };
    int rc = raft_node_create(&config, &ports, &machine, &q->node);
    if (rc == 0) {
        kv_service_set_node(q->service, q->node);
        q->membership.node = q->node;
    }
    return rc;
}

/* --- servers --- */

static bool is_healthy(void *ctx)
{
    const struct quorated *q = ctx;
    return quorated_pages_is_ready(&q->pages);
}

static bool is_learner(void *ctx)
{
    const struct quorated *q = ctx;
    const struct raft_member *own =
        raft_members_find(raft_node_configuration(q->node), q->ids.node_id);
    return own != NULL && own->is_learner;
}

static int open_servers(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    q->pages.node = q->node;
    q->pages.service = q->service;
    q->pages.links = q->links;
    q->pages.name = s->name;
    q->pages.clients = &q->clients;
    q->pages.stores = &q->stores;
    q->pages.server = &q->server;
    q->pages.is_learner = is_learner;
    q->pages.ctx = q;
    q->pages.started_us = (uint64_t)io_wall_now().us;
    const struct io_http_handler pages = quorated_pages_handler(&q->pages);
    const struct api_options api = {
        .service = q->service,
        .is_insecure = s->is_insecure,
        .cluster_id = q->ids.cluster_id,
        .member_id = q->ids.node_id,
        .ctx = q,
        .is_healthy = is_healthy,
        .is_learner = is_learner,
        .snapshot = quorated_stores_snapshot(&q->stores),
        .next = arb_api_handler(q->databases),
        .pages = pages,
    };
    if (api_open(&api, &q->api) != 0) {
        return -1;
    }
    const struct quorated_clients_options clients = {.service = q->service,
                                                     .registry = api_registry(q->api),
                                                     .store = quorated_stores_state(&q->stores),
                                                     .loop = q->loop,
                                                     .seed = q->life};
    if (quorated_clients_open(&q->clients, &clients) != 0) {
        return -1;
    }
    q->pages.api = q->api;
    const struct io_grpc_handler grpc = api_grpc(q->api);
    const struct io_http_handler http = api_http(q->api);
    struct io_server_options options = {
        .address = s->client_listen, .tls = q->api_tls, .http = &http, .grpc = &grpc};
    if (io_server_new(q->loop, &options, &q->server, &why) != 0) {
        return fail("cannot serve the public API", &why);
    }
    arb_api_set_server(q->databases, q->server);
    if (!s->has_metrics) {
        return 0;
    }
    options = (struct io_server_options){.address = s->metrics_listen, .http = &pages};
    if (io_server_new(q->loop, &options, &q->metrics, &why) != 0) {
        return fail("cannot serve metrics", &why);
    }
    return 0;
}

/* --- time --- */

static void raft_time(void *ctx)
{
    const struct quorated *q = ctx;
    raft_node_tick(q->node);
}

static void service_time(void *ctx)
{
    struct quorated *q = ctx;
    kv_service_tick(q->service, io_now());
    api_tick(q->api, io_now());
    quorated_clients_tick(&q->clients, io_now());
    quorated_members_tick(&q->membership);
    io_timer_start_in_us(&q->service_timer, SERVICE_TICK_US);
}

static void arbiter_time(void *ctx)
{
    const struct quorated *q = ctx;
    arb_driver_tick(q->arbiter);
}

static void before_sleep(uv_prepare_t *handle)
{
    struct quorated *q = handle->data;
    io_timer_start(&q->raft_timer, raft_node_deadline(q->node));
    io_timer_start(&q->arbiter_timer, arb_driver_deadline(q->arbiter));
}

static void start_time(struct quorated *q)
{
    io_timer_init(&q->raft_timer, q->loop, raft_time, q);
    io_timer_init(&q->service_timer, q->loop, service_time, q);
    io_timer_init(&q->arbiter_timer, q->loop, arbiter_time, q);
    service_time(q);
    (void)uv_prepare_init(io_loop_uv(q->loop), &q->before_sleep);
    q->before_sleep.data = q;
    (void)uv_prepare_start(&q->before_sleep, before_sleep);
}

/* --- life --- */

static void on_signal(void *ctx, int signal_number)
{
    struct quorated *q = ctx;
    IO_LOG_NOTICE("quorated", "stopping", io_i64("signal", signal_number));
    stop(q, 0);
}

static void arbiter_noted(void *user, const struct base_name *cluster, const struct arb_note *note)
{
    uint8_t memory[IO_LOG_LINE_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    (void)user;
    arb_note_put(note, &text);
    IO_LOG_NOTICE("arbiter", arb_note_name(note->kind), io_name("cluster", cluster),
                  io_bytes("text", buf_slice(&text)));
}

static int open_arbiter(struct quorated *q)
{
    const struct arb_driver_options options = {
        .node = q->node,
        .service = q->service,
        .net = io_links_port_of(q->links),
        .clock = io_clock_port(),
        .user = q,
        .noted = arbiter_noted,
    };
    int rc = arb_driver_open(&options, &q->arbiter);
    const struct arb_api_options api = {
        .driver = q->arbiter, .service = q->service, .is_insecure = q->settings->is_insecure};
    return rc != 0 ? rc : arb_api_new(&api, &q->databases);
}

/* Everything that needs to know who this node is. */
static int open_rest(struct quorated *q)
{
    struct io_why why = {""};
    if (open_links(q) != 0) {
        return -1;
    }
    fill_members(q);
    if (open_service(q) != 0 || open_raft(q) != 0 || open_arbiter(q) != 0) {
        io_why_set(&why, "not enough memory, or settings that do not fit the store");
        return fail("cannot start", &why);
    }
    if (open_servers(q) != 0 || start_links(q) != 0) {
        return -1;
    }
    start_time(q);
    io_daemon_watchdog(q->loop);
    raft_node_start(q->node);
    return 0;
}

static void joined(void *ctx, const struct quorated_joined *joined)
{
    struct quorated *q = ctx;
    const struct raft_configuration others = joined->others;
    if (joined->status != 0) {
        (void)fprintf(stderr, "quorated: cannot start: %s\n", joined->text);
        stop(q, 1);
        return;
    }
    q->ids = (struct quorated_ids){.cluster_id = joined->cluster_id, .node_id = joined->node_id};
    q->join = quorated_join_free(q->join);
    if (open_rest(q) != 0) {
        stop(q, 1);
        return;
    }
    quorated_members_learned(&q->membership, &others);
}

/* With an empty directory: who are we? Or after a start that ended before the state of the others
 * was here: who are they? */
static int ask_who(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    if (!s->is_joining && s->nodes_count == 1) {
        q->ids = (struct quorated_ids){.cluster_id = s->cluster_id, .node_id = s->node_id};
        return open_rest(q);
    }
    const struct quorated_join_options options = {.settings = s,
                                                  .tls = q->tls,
                                                  .node_id = q->ids.are_known ? q->ids.node_id : 0,
                                                  .ctx = q,
                                                  .done = joined};
    return quorated_join_start(q->loop, &options, &q->join, &why) == 0 ? 0 : fail("links", &why);
}

/* A thousand agents and as many clients need as many descriptors. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE,
                        &limit); /* what cannot be had is refused when it is needed */
    }
}

static int open_all(struct quorated *q)
{
    struct io_why why = {""};
    raise_limits();
    if (getrandom(&q->life, sizeof(q->life), 0) != (ssize_t)sizeof(q->life) ||
        io_loop_new(&q->loop) != 0) {
        io_why_set(&why, "no random numbers or no event loop");
        return fail("cannot start", &why);
    }
    q->life |= 1;
    if (io_signal_watch(q->loop, SIGTERM, on_signal, q) != 0 ||
        io_signal_watch(q->loop, SIGINT, on_signal, q) != 0) {
        io_why_set(&why, "signals cannot be watched");
        return fail("cannot start", &why);
    }
    if (open_tls(q) != 0 || open_stores(q) != 0) {
        return -1;
    }
    bool is_at_home = q->ids.are_known && (q->ids.has_members || !q->settings->is_joining);
    return is_at_home ? open_rest(q) : ask_who(q);
}

static void stop_time(struct quorated *q)
{
    if (q->before_sleep.data != NULL) {
        (void)uv_prepare_stop(&q->before_sleep);
        io_timer_stop(&q->raft_timer);
        io_timer_stop(&q->service_timer);
        io_timer_stop(&q->arbiter_timer);
        uv_close((uv_handle_t *)&q->before_sleep, NULL);
    }
}

static void close_all(struct quorated *q)
{
    stop_time(q);
    q->server = io_server_free(q->server);
    q->metrics = io_server_free(q->metrics);
    q->join = quorated_join_free(q->join);
    quorated_stores_close(&q->stores);
    q->databases = arb_api_free(q->databases);
    q->arbiter = arb_driver_close(q->arbiter);
    if (q->service != NULL) {
        kv_service_close(q->service);
    }
    quorated_clients_close(&q->clients);
    q->api = api_close(q->api);
    q->node = raft_node_destroy(q->node);
    q->links = io_links_free(q->links);
    quorated_stores_free_wakes(&q->stores);
    q->api_tls = io_tls_free(q->api_tls);
    q->tls = io_tls_free(q->tls);
    q->loop = io_loop_free(q->loop);
}

int quorated_run(const struct quorated_settings *settings)
{
    struct quorated *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return 1;
    }
    q->settings = settings;
    q->exit_status = 1;
    if (open_all(q) == 0) {
        io_loop_run(q->loop);
    }
    int exit_status = q->exit_status;
    close_all(q);
    free(q);
    return exit_status;
}
