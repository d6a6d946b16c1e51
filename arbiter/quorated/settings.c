/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of quorated; see settings.h. */
#include "arbiter/quorated/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "proto/io/config_quorum.h"
#include "proto/io/node_id.h"
#include "raft/core/types.h"

#define COMPACTION_REVISIONS 10000u /* kept by revision when no number is given */
#define COMPACTION_HOURS_MAX 87600u

/* clang-format off */
#define QUORATED_KEYS(X) \
    X(NAME, "name", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Name of this node, one of quorum.nodes") \
    X(DATA_DIR, "data_dir", TEXT, "/var/lib/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of the store; made when it is not there") \
    X(NODES, "quorum.nodes", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Peer addresses, name=host:port: of all of a new quorum (1, 3 or 5), or of some to join") \
    X(STATE, "quorum.state", TEXT, "new", 0, 0, "new|existing", IO_CONFIG_PLAIN, \
      "existing: an empty node joins a quorum that is at work, after 'kv member add'") \
    X(FORCE_NEW, "quorum.force_new", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Once, after a majority is lost: go on alone with what this node has") \
    X(SNAPSHOT_COUNT, "quorum.snapshot_count", INT, "5000", 10, 10000000, NULL, IO_CONFIG_PLAIN, \
      "Log entries kept for nodes that are behind; one further behind gets an image") \
    X(TOKEN, "quorum.token", TEXT, "quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name of this quorum; nodes and agents of another one are refused") \
    X(CLIENTS, "quorum.clients", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Public URL of each node as clients reach it, for 'member list': name=URL") \
    X(FENCE_DIR, "quorum.fence_dir", TEXT, "/etc/quorate/fence", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Programs that a cluster's fence.command may name: run as NAME off, then NAME status") \
    X(NOTIFY_DIR, "notify.dir", TEXT, "/etc/quorate/notify", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of the program that is told of events") \
    X(NOTIFY_COMMAND, "notify.command", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Its name: run for each event, which stands in its environment; the same on all nodes") \
    X(NOTIFY_URL, "notify.url", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Webhook that each event is posted to as JSON, https://HOST/PATH; the same on all nodes") \
    X(NOTIFY_TOKEN, "notify.token_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "File (mode 0600) with the webhook's secret, sent as a bearer token") \
    X(NOTIFY_CA, "notify.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Authority of the webhook's certificate (PEM); default: those that Debian trusts") \
    X(CLIENT_LISTEN, "client.listen", TEXT, "127.0.0.1:2379", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where the public API listens") \
    X(CLIENT_ADVERTISE, "client.advertise", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "URL of the public API that others are told; default: from client.listen") \
    X(PEER_LISTEN, "peer.listen", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where peers and agents connect; default: this node's address in quorum.nodes") \
    X(PEER_ADVERTISE, "peer.advertise", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "As etcd's --initial-advertise-peer-urls; must be this node's address in quorum.nodes") \
    X(METRICS_LISTEN, "metrics.listen", TEXT, "127.0.0.1:2381", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where /metrics, health and status pages are served; beyond loopback with TLS; off: none") \
    X(STATUS_PUBLIC, "status_public", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Whether anybody may read metrics and the status page; else admins, viewers and passwords") \
    X(STATUS_PASSWORDS, "status_password_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "File (mode 0600) of lines name:password that may read metrics and the status page") \
    X(TLS_CA, "tls.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "Authority of all certificates (PEM)") \
    X(TLS_CERT, "tls.cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "This node's certificate (PEM), role node") \
    X(TLS_KEY, "tls.key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, "Its key (PEM)") \
    X(TLS_REVOKED, "tls.revoked", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "List of revoked certificates, as 'kv cert revoke' writes it; read again when it changes") \
    X(CLIENT_AUTH, "tls.client_auth", BOOL, "yes", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Clients and peers must show a certificate of tls.ca; anything but yes is refused") \
    X(INSECURE, "insecure", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Run without TLS; accepted on loopback addresses only") \
    X(HEARTBEAT, "raft.heartbeat", DURATION, "50ms", 5000, 5000000, NULL, IO_CONFIG_PLAIN, \
      "How often a leader is heard") \
    X(ELECTION, "raft.election", DURATION, "250ms", 20000, 50000000, NULL, IO_CONFIG_PLAIN, \
      "Shortest silence before an election; the longest is twice that") \
    X(MAP_SIZE, "store.map_size", SIZE, "1GiB", 1048576, INT64_C(1099511627776), NULL, \
      IO_CONFIG_PLAIN, \
      "Address space of the store; the file grows up to it") \
    X(QUOTA, "store.quota", SIZE, "512MiB", 524288, INT64_C(1099511627776), NULL, IO_CONFIG_PLAIN, \
      "Writes that add data are refused above this size") \
    X(COMPACTION_MODE, "store.compaction_mode", TEXT, "periodic", 0, 0, "periodic|revision|off", \
      IO_CONFIG_PLAIN, \
      "Whether history is compacted by its age or by the number of revisions") \
    X(COMPACTION_KEEP, "store.compaction_retention", TEXT, "1h", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "What is kept of history: a duration (a bare number: hours), or revisions; 0: all") \
    X(REQUEST_MAX, "client.request_max", SIZE, "1536KiB", 1024, 1572864, NULL, IO_CONFIG_PLAIN, \
      "Largest write that is accepted") \
    X(LOG_LEVEL, "log.level", TEXT, "info", 0, 0, "error|warn|notice|info|debug", \
      IO_CONFIG_RELOADABLE, \
      "Least important lines that are still written")
/* clang-format on */

enum quorated_key { QUORATED_KEYS(IO_CONFIG_ENUM) KEY_COUNT };
static const struct io_config_key quorated_keys[] = {QUORATED_KEYS(IO_CONFIG_ROW)};

static const struct io_config_alias quorated_aliases[] = {
    {"name", "name", NULL}, /* for ETCD_NAME */
    {"data-dir", "data_dir", NULL},
    {"listen-client-urls", "client.listen", NULL},
    {"advertise-client-urls", "client.advertise", NULL},
    {"listen-peer-urls", "peer.listen", NULL},
    {"initial-cluster", "quorum.nodes", NULL},
    {"initial-cluster-token", "quorum.token", NULL},
    {"initial-cluster-state", "quorum.state", NULL},
    {"force-new-cluster", "quorum.force_new", NULL},
    {"snapshot-count", "quorum.snapshot_count", NULL},
    {"auto-compaction-mode", "store.compaction_mode", NULL},
    {"auto-compaction-retention", "store.compaction_retention", NULL},
    {"max-request-bytes", "client.request_max", NULL},
    {"initial-advertise-peer-urls", "peer.advertise", NULL},
    {"listen-metrics-urls", "metrics.listen", NULL},
    {"cert-file", "tls.cert", NULL},
    {"key-file", "tls.key", NULL},
    {"trusted-ca-file", "tls.ca", NULL},
    {"client-cert-auth", "tls.client_auth", NULL},
    {"peer-cert-file", "tls.cert", NULL}, /* one certificate serves both ports */
    {"peer-key-file", "tls.key", NULL},
    {"peer-trusted-ca-file", "tls.ca", NULL},
    {"peer-client-cert-auth", "tls.client_auth", NULL},
    {"heartbeat-interval", "raft.heartbeat", "ms"},
    {"election-timeout", "raft.election", "ms"},
    {"quota-backend-bytes", "store.quota", NULL},
    {"log-level", "log.level", NULL},
};

static const struct io_config_spec quorated_spec = {
    .program = "quorated",
    .summary = "Quorum node of Quorate: a consensus store and the arbiter of database clusters",
    .default_file = "/etc/quorate/quorated.yml",
    .keys = quorated_keys,
    .keys_count = KEY_COUNT,
    .aliases = quorated_aliases,
    .aliases_count = BASE_COUNT_OF(quorated_aliases),
};

static int compare_nodes(const void *a, const void *b)
{
    const struct io_link_node *left = a;
    const struct io_link_node *right = b;
    return base_name_compare(&left->name, &right->name);
}

static int read_nodes(const struct io_config *config, struct quorated_settings *s,
                      struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, KEY_NODES, &count);
    s->is_joining = strcmp(io_config_text(config, KEY_STATE), "existing") == 0;
    if (count == 0 || count > RAFT_MEMBERS_MAX ||
        (!s->is_joining && count != 1 && count != 3 && count != 5)) {
        io_config_why(config, KEY_NODES, why, "%zu nodes; allowed: %s", count,
                      s->is_joining ? "1 to 7" : "1, 3 or 5");
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        int rc =
            io_config_quorum_node(config, KEY_NODES, s->token.text, list[i], &s->nodes[i], why);
        if (rc != 0) {
            return rc;
        }
    }
    s->nodes_count = count;
    qsort(s->nodes, count, sizeof(s->nodes[0]), compare_nodes);
    const char *names[IO_LINK_NODES_MAX];
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && base_name_equal(&s->nodes[i].name, &s->nodes[i - 1].name)) {
            io_config_why(config, KEY_NODES, why, "node '%s' stands twice", s->nodes[i].name.text);
            return BASE_E_INVALID;
        }
        names[i] = s->nodes[i].name.text;
    }
    s->cluster_id = io_quorum_id(s->token.text, names, count);
    return 0;
}

static bool is_node(const struct quorated_settings *s, const char *name)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (strcmp(s->nodes[i].name.text, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Each entry of quorum.clients is "NODE=URL", the node one of ours. */
static int check_clients(const struct io_config *config, const struct quorated_settings *s,
                         struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, KEY_CLIENTS, &count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(list[i], '=');
        char name[BASE_NAME_MAX + 1] = "";
        struct io_address address = {.port = 0};
        struct io_why inner = {""};
        if (equals != NULL) {
            (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - list[i]), list[i]);
        }
        if (equals == NULL || !is_node(s, name)) {
            io_config_why(config, KEY_CLIENTS, why, "'%s' is not one of quorum.nodes", name);
            return BASE_E_INVALID;
        }
        if (io_address_parse(slice_from_text(equals + 1), 0, &address, &inner) != 0) {
            io_config_why(config, KEY_CLIENTS, why, "%s", inner.text);
            return BASE_E_INVALID;
        }
        if (address.scheme == IO_SCHEME_NONE) {
            io_config_why(config, KEY_CLIENTS, why, "'%s' is not a URL; say http%s://%s",
                          equals + 1, s->is_insecure ? "" : "s", equals + 1);
            return BASE_E_INVALID;
        }
    }
    return 0;
}

/* The address that etcd's users repeat must be the one in quorum.nodes: only that one is used. */
static int check_advertised(const struct io_config *config, const struct quorated_settings *s,
                            struct io_why *why)
{
    struct io_address said = {.port = 0};
    struct io_why inner = {""};
    char text[IO_ADDRESS_TEXT_MAX];
    const char *wanted = io_config_text(config, KEY_PEER_ADVERTISE);
    if (wanted[0] == '\0') {
        return 0;
    }
    if (io_address_parse(slice_from_text(wanted), IO_QUORUM_PEER_PORT, &said, &inner) != 0) {
        io_config_why(config, KEY_PEER_ADVERTISE, why, "%s", inner.text);
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < s->nodes_count; i++) {
        const struct io_address *own = &s->nodes[i].address;
        if (s->nodes[i].node_id == s->node_id &&
            (strcmp(own->host, said.host) != 0 || own->port != said.port)) {
            io_config_why(config, KEY_PEER_ADVERTISE, why,
                          "'%s', but quorum.nodes has %s for this node; make them equal", wanted,
                          io_address_text(own, text, sizeof(text)));
            return BASE_E_INVALID;
        }
    }
    return 0;
}

/* Finds ourselves among the nodes, and fills in what follows from that. */
static int find_self(const struct io_config *config, struct quorated_settings *s,
                     struct io_why *why)
{
    char text[IO_ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < s->nodes_count; i++) {
        (void)snprintf(s->node_urls[i], sizeof(s->node_urls[i]), "%s://%s",
                       s->is_insecure ? "http" : "https",
                       io_address_text(&s->nodes[i].address, text, sizeof(text)));
        if (base_name_equal(&s->nodes[i].name, &s->name)) {
            s->node_id = s->nodes[i].node_id;
            s->peer_listen = s->nodes[i].address;
        }
        s->client_urls[i] = io_config_map_get(config, KEY_CLIENTS, s->nodes[i].name.text);
        if (s->nodes[i].node_id == s->node_id && io_config_is_set(config, KEY_CLIENT_ADVERTISE)) {
            s->client_urls[i] = io_config_text(config, KEY_CLIENT_ADVERTISE);
        }
    }
    if (s->node_id == 0) {
        io_config_why(config, KEY_NAME, why, "'%s' is not one of quorum.nodes", s->name.text);
        return BASE_E_INVALID;
    }
    return 0;
}

static int read_address(const struct io_config *config, size_t key, uint16_t port,
                        struct io_address *ret, struct io_why *why)
{
    struct io_why inner = {""};
    const char *text = io_config_text(config, key);
    int rc = io_address_parse(slice_from_text(text), port, ret, &inner);
    if (rc != 0) {
        io_config_why(config, key, why, "%s%s", inner.text,
                      strchr(text, ',') == NULL ? "" : "; one address only");
    }
    return rc;
}

/* What stands in front of an address must not promise anything else than what will be spoken. */
static int check_scheme(const struct io_config *config, size_t key, enum io_scheme scheme,
                        struct io_why *why)
{
    bool is_insecure = io_config_bool(config, KEY_INSECURE);
    if (scheme == IO_SCHEME_NONE || (scheme == IO_SCHEME_HTTP) == is_insecure) {
        return 0;
    }
    io_config_why(config, key, why,
                  is_insecure ? "https:// was asked for, but 'insecure: yes' turns TLS off"
                              : "http:// was asked for, but TLS is on; say https://, or for a try "
                                "on loopback 'insecure: yes'");
    return BASE_E_INVALID;
}

/* The metrics port is plain on loopback, and has TLS beyond it. */
static int check_metrics(const struct io_config *config, struct quorated_settings *s,
                         struct io_why *why)
{
    bool is_loopback = io_address_is_loopback(&s->metrics_listen);
    enum io_scheme scheme = s->metrics_listen.scheme;
    s->is_metrics_tls = !is_loopback || scheme == IO_SCHEME_HTTPS;
    if (s->is_metrics_tls && (s->is_insecure || scheme == IO_SCHEME_HTTP)) {
        io_config_why(config, KEY_METRICS_LISTEN, why,
                      "beyond loopback the metrics port has TLS only; set tls.ca, tls.cert and "
                      "tls.key, and say https:// or nothing in front of the address");
        return BASE_E_INVALID;
    }
    return 0;
}

static int read_addresses(const struct io_config *config, struct quorated_settings *s,
                          struct io_why *why)
{
    int rc = read_address(config, KEY_CLIENT_LISTEN, QUORATED_CLIENT_PORT, &s->client_listen, why);
    rc = rc != 0 ? rc : check_scheme(config, KEY_CLIENT_LISTEN, s->client_listen.scheme, why);
    if (rc == 0 && io_config_text(config, KEY_PEER_LISTEN)[0] != '\0') {
        rc = read_address(config, KEY_PEER_LISTEN, IO_QUORUM_PEER_PORT, &s->peer_listen, why);
        rc = rc != 0 ? rc : check_scheme(config, KEY_PEER_LISTEN, s->peer_listen.scheme, why);
    }
    s->has_metrics = strcmp(io_config_text(config, KEY_METRICS_LISTEN), "off") != 0;
    if (rc == 0 && s->has_metrics) {
        rc = read_address(config, KEY_METRICS_LISTEN, QUORATED_METRICS_PORT, &s->metrics_listen,
                          why);
    }
    return rc != 0 || !s->has_metrics ? rc : check_metrics(config, s, why);
}

static int check_security(const struct io_config *config, const struct quorated_settings *s,
                          struct io_why *why)
{
    if (!io_config_bool(config, KEY_CLIENT_AUTH)) {
        io_config_why(config, KEY_CLIENT_AUTH, why,
                      "certificates of clients and peers are always asked for; leave it out");
        return BASE_E_DENIED;
    }
    if (s->is_insecure) {
        bool is_local =
            io_address_is_loopback(&s->client_listen) && io_address_is_loopback(&s->peer_listen);
        for (size_t i = 0; i < s->nodes_count; i++) {
            is_local = is_local && io_address_is_loopback(&s->nodes[i].address);
        }
        if (!is_local) {
            io_config_why(config, KEY_INSECURE, why,
                          "without TLS only loopback addresses may be used; make certificates with "
                          "'kv cert' and set tls.ca, tls.cert and tls.key");
            return BASE_E_DENIED;
        }
        return 0;
    }
    static const size_t keys[] = {KEY_TLS_CA, KEY_TLS_CERT, KEY_TLS_KEY};
    for (size_t i = 0; i < BASE_COUNT_OF(keys); i++) {
        int rc = io_config_tls_named(config, keys[i], why);
        if (rc != 0) {
            return rc;
        }
        if (access(io_config_text(config, keys[i]), R_OK) != 0) {
            io_config_why(config, keys[i], why, "cannot read '%s': %s",
                          io_config_text(config, keys[i]), strerror(errno));
            return BASE_E_INVALID;
        }
    }
    return 0;
}

/* etcd's --auto-compaction-retention: by age "1h30m", or hours as a bare number; by revisions a
 * number. */
static int read_compaction(const struct io_config *config, struct quorated_settings *s,
                           struct io_why *why)
{
    const char *mode = io_config_text(config, KEY_COMPACTION_MODE);
    const char *keep = io_config_text(config, KEY_COMPACTION_KEEP);
    uint64_t number = 0;
    bool is_number = slice_to_u64(slice_from_text(keep), &number) == 0;
    if (strcmp(mode, "off") == 0 || (is_number && number == 0)) {
        return 0;
    }
    if (strcmp(mode, "revision") == 0) {
        /* The default of the other mode says nothing here. */
        if (!io_config_is_set(config, KEY_COMPACTION_KEEP)) {
            number = COMPACTION_REVISIONS;
        } else if (!is_number || number > INT64_MAX / 2) {
            io_config_why(config, KEY_COMPACTION_KEEP, why, "'%s' is not a number of revisions",
                          keep);
            return BASE_E_INVALID;
        }
        s->compaction_revisions = (int64_t)number;
        return 0;
    }
    int64_t us = (int64_t)(number < COMPACTION_HOURS_MAX ? number : COMPACTION_HOURS_MAX) * 3600 *
                 BASE_US_PER_S;
    if (!is_number && io_parse_duration(slice_from_text(keep), &us) != 0) {
        io_config_why(config, KEY_COMPACTION_KEEP, why, "'%s' is not a duration", keep);
        return BASE_E_INVALID;
    }
    s->compaction_period_us = us;
    return 0;
}

static int read_all(const struct io_config *config, struct quorated_settings *s, struct io_why *why)
{
    s->name = io_config_name(config, KEY_NAME);
    s->token = base_text_from(slice_from_text(io_config_text(config, KEY_TOKEN)));
    s->data_dir = io_config_text(config, KEY_DATA_DIR);
    s->is_insecure = io_config_bool(config, KEY_INSECURE);
    s->ca_file = io_config_text(config, KEY_TLS_CA);
    s->cert_file = io_config_text(config, KEY_TLS_CERT);
    s->key_file = io_config_text(config, KEY_TLS_KEY);
    s->revoked_file = io_config_text(config, KEY_TLS_REVOKED);
    s->heartbeat_ms = (uint32_t)(io_config_int(config, KEY_HEARTBEAT) / 1000);
    s->election_min_ms = (uint32_t)(io_config_int(config, KEY_ELECTION) / 1000);
    s->election_max_ms = 2 * s->election_min_ms;
    s->map_bytes = (uint64_t)io_config_int(config, KEY_MAP_SIZE);
    s->quota_bytes = (uint64_t)io_config_int(config, KEY_QUOTA);
    s->is_forced_new = io_config_bool(config, KEY_FORCE_NEW);
    s->log_entries = (uint64_t)io_config_int(config, KEY_SNAPSHOT_COUNT);
    s->fence_dir = io_config_text(config, KEY_FENCE_DIR);
    s->notify = (struct deliver_settings){.dir = io_config_text(config, KEY_NOTIFY_DIR),
                                          .command = io_config_text(config, KEY_NOTIFY_COMMAND),
                                          .url = io_config_text(config, KEY_NOTIFY_URL),
                                          .token_file = io_config_text(config, KEY_NOTIFY_TOKEN),
                                          .ca_file = io_config_text(config, KEY_NOTIFY_CA)};
    s->is_status_public = io_config_bool(config, KEY_STATUS_PUBLIC);
    s->status_password_file = io_config_text(config, KEY_STATUS_PASSWORDS);
    s->request_bytes_max = (uint32_t)io_config_int(config, KEY_REQUEST_MAX);
    if (s->election_min_ms < 3 * s->heartbeat_ms) {
        io_config_why(config, KEY_ELECTION, why, "must be at least three times raft.heartbeat");
        return BASE_E_INVALID;
    }
    if (s->quota_bytes > s->map_bytes / 10 * 9) {
        io_config_why(config, KEY_QUOTA, why, "must leave a tenth of store.map_size free");
        return BASE_E_INVALID;
    }
    int rc =
        io_log_level_from(slice_from_text(io_config_text(config, KEY_LOG_LEVEL)), &s->log_level);
    rc = rc != 0 ? rc : read_nodes(config, s, why);
    rc = rc != 0 ? rc : find_self(config, s, why);
    rc = rc != 0 ? rc : check_clients(config, s, why);
    rc = rc != 0 ? rc : check_advertised(config, s, why);
    rc = rc != 0 ? rc : read_compaction(config, s, why);
    rc = rc != 0 ? rc : read_addresses(config, s, why);
    return rc != 0 ? rc : check_security(config, s, why);
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct quorated_settings settings = {0};
    return read_all(config, &settings, why);
}

int quorated_settings_read(int argc, char *const *argv, struct quorated_settings *ret,
                           struct io_config **ret_config)
{
    struct io_why why = {""};
    *ret = (struct quorated_settings){0};
    int rc = io_config_main(&quorated_spec, argc, argv, check, ret_config);
    if (rc >= 0) {
        return rc;
    }
    if (read_all(*ret_config, ret, &why) != 0) {
        (void)fprintf(stderr, "quorated: %s\n", why.text);
        return 2;
    }
    return -1;
}
