/* SPDX-License-Identifier: Apache-2.0 */
/* How the parts of a quorum node are made, each from the settings and from what was made before:
 * TLS, links, key-value service, Raft node, arbiter, servers. */
#include <stdio.h>
#include <string.h>

#include "arbiter/quorated/node_internal.h"
#include "base/name.h"
#include "raft/core/members.h"

/* --- links --- */

int quorated_open_tls(struct quorated *q)
{
    struct io_why why = {""};
    if (q->settings->is_insecure) {
        return 0;
    }
    struct io_tls_options options = {.cert_file = q->settings->cert_file,
                                     .key_file = q->settings->key_file,
                                     .ca_file = q->settings->ca_file,
                                     .revoked_file = q->settings->revoked_file,
                                     .verify = IO_TLS_VERIFY_REQUIRED};
    if (io_tls_new(&options, &q->tls, &why) != 0) {
        return quorated_fail("TLS", &why);
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
        return quorated_fail("TLS", &why);
    }
    options.verify = IO_TLS_VERIFY_OPTIONAL;
    options.has_http2 = true;
    if (io_tls_new(&options, &q->api_tls, &why) != 0) {
        return quorated_fail("TLS", &why);
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
        .events = &quorated_link_events,
        .ctx = q,
    };
    if (io_links_new(q->loop, &options, &q->links, &why) != 0) {
        return quorated_fail("links", &why);
    }
    return 0;
}

/* Peers may speak from here on: everything they reach must be there. */
static int start_links(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    if (io_links_listen(q->links, &s->peer_listen, &why) != 0) {
        return quorated_fail("cannot listen for peers and agents", &why);
    }
    return 0;
}

/* --- key-value service, Raft, arbiter --- */

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
}

static int open_service(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    struct kv_service_options options = {
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
    };
    quorated_hear_service(q, &options);
    return kv_service_open(&options, &q->service);
}

static int open_raft(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    kv_service_machine(q->service, &q->machine.inner);
    quorated_hear_raft(q);
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

static int open_arbiter(struct quorated *q)
{
    struct arb_driver_options options = {
        .node = q->node,
        .service = q->service,
        .net = io_links_port_of(q->links),
        .clock = io_clock_port(),
    };
    quorated_hear_arbiter(q, &options);
    int rc = quorated_open_fences(q);
    rc = rc != 0 ? rc : arb_driver_open(&options, &q->arbiter);
    if (rc == 0) {
        arb_driver_records_stale(q->arbiter); /* they are read as soon as Raft has started */
    }
    return rc;
}

/* Who is told of events. */
static int open_notify(struct quorated *q)
{
    struct io_why why = {""};
    const struct notify_options options = {.loop = q->loop,
                                           .service = q->service,
                                           .node = q->node,
                                           .driver = q->arbiter,
                                           .name = q->settings->name,
                                           .life = q->life,
                                           .settings = q->settings->notify};
    q->pages.notify = &q->notify;
    return notify_new(&options, &q->notify, &why) == 0 ? 0 : quorated_fail("notify", &why);
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

static struct base_name holder_of(void *ctx, const struct base_name *cluster)
{
    const struct quorated *q = ctx;
    const struct arb_cluster *found = arb_driver_find(q->arbiter, cluster);
    return found != NULL ? found->record.holder : (struct base_name){{0}};
}

static uint64_t document_of(void *ctx, const struct base_name *cluster, struct slice *ret_text)
{
    const struct quorated *q = ctx;
    uint64_t revision = 0;
    bool is_there = arb_driver_document(q->arbiter, cluster, &revision, ret_text);
    return is_there ? revision : 0;
}

static void quorum_of(void *ctx, struct web_quorum *ret)
{
    const struct quorated *q = ctx;
    quorated_pages_quorum(&q->pages, ret);
}

/* What the pages are made from, but for the API. */
static int open_pages(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    q->pages.node = q->node;
    q->pages.service = q->service;
    q->pages.links = q->links;
    q->pages.name = s->name;
    q->pages.node_id = q->ids.node_id;
    q->pages.clients = &q->clients;
    q->pages.stores = &q->stores;
    q->pages.arbiter = q->arbiter;
    q->pages.tls = q->tls;
    q->pages.server = &q->server;
    q->pages.is_learner = is_learner;
    q->pages.ctx = q;
    q->pages.started_us = (uint64_t)io_wall_now().us;
    const struct web_options web = {.loop = q->loop,
                                    .driver = q->arbiter,
                                    .service = q->service,
                                    .ctx = q,
                                    .quorum = quorum_of,
                                    .is_public = s->is_status_public,
                                    .password_file = s->status_password_file};
    return web_new(&web, &q->web, &why) == 0 ? 0 : quorated_fail("status page", &why);
}

static bool may_begin(void *ctx, const struct rpc_call *call)
{
    struct quorated *q = ctx;
    return quorated_audit_may(&q->audit, call, io_now());
}

static void call_ended(void *ctx, const struct rpc_call *call, struct slice message,
                       enum io_grpc_status status)
{
    (void)ctx;
    quorated_audit_ended(call, message, status);
}

static int open_api(struct quorated *q)
{
    const struct quorated_settings *s = q->settings;
    const struct api_options api = {
        .service = q->service,
        .is_insecure = s->is_insecure,
        .cluster_id = q->ids.cluster_id,
        .member_id = q->ids.node_id,
        .ctx = q,
        .is_healthy = is_healthy,
        .is_learner = is_learner,
        .may_begin = may_begin,
        .ended = call_ended,
        .snapshot = quorated_stores_snapshot(&q->stores),
        .pages = quorated_pages_handler(&q->pages),
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
    const struct arb_api_options databases = {
        .driver = q->arbiter, .service = q->service, .registry = api_registry(q->api)};
    return arb_api_new(&databases, &q->databases) == 0 ? 0 : -1;
}

/* Beyond loopback with TLS, as the public port. */
static int open_metrics(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    const struct io_http_handler pages = quorated_pages_handler(&q->pages);
    const struct io_server_options options = {
        .address = s->metrics_listen, .tls = s->is_metrics_tls ? q->api_tls : NULL, .http = &pages};
    if (s->has_metrics && io_server_new(q->loop, &options, &q->metrics, &why) != 0) {
        return quorated_fail("cannot serve metrics", &why);
    }
    return 0;
}

static int open_servers(struct quorated *q)
{
    struct io_why why = {""};
    if (open_pages(q) != 0 || open_api(q) != 0) {
        return -1;
    }
    q->pages.api = q->api;
    q->pages.web = q->web;
    const struct io_grpc_handler grpc = api_grpc(q->api);
    q->patroni = (struct arb_patroni){
        .ctx = q, .holder = holder_of, .document = document_of, .next = api_http(q->api)};
    const struct io_http_handler http = arb_patroni_handler(&q->patroni);
    const struct io_server_options options = {
        .address = q->settings->client_listen, .tls = q->api_tls, .http = &http, .grpc = &grpc};
    if (io_server_new(q->loop, &options, &q->server, &why) != 0) {
        return quorated_fail("cannot serve the public API", &why);
    }
    return open_metrics(q);
}

int quorated_open_parts(struct quorated *q)
{
    struct io_why why = {""};
    if (open_links(q) != 0) {
        return -1;
    }
    fill_members(q);
    if (open_service(q) != 0 || open_raft(q) != 0 || open_arbiter(q) != 0) {
        io_why_set(&why, "not enough memory, or settings that do not fit the store");
        return quorated_fail("cannot start", &why);
    }
    return open_notify(q) != 0 || open_servers(q) != 0 || start_links(q) != 0 ? -1 : 0;
}
