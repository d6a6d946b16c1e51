/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of quorate-proxy: its keys, and what was read from them in checked form.
 * Read at start and at reload; texts live as long as the configuration. */
#ifndef QUORATE_AGENTS_PROXY_SETTINGS_H
#define QUORATE_AGENTS_PROXY_SETTINGS_H

#include "agents/proxy/core/core.h"
#include "proto/io/config.h"
#include "proto/io/log.h"

#define PROXY_CLUSTERS_MAX 16
#define PROXY_ENDPOINTS_MAX 9
#define PROXY_CONFIG_FILE "/etc/quorate/proxy.yml"

/* clang-format off */
#define PROXY_KEYS(X) \
    X(CLUSTER, "cluster", NAME, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Database cluster to serve on primary.listen and replicas.listen") \
    X(PRIMARY, "primary.listen", TEXT, "127.0.0.1:5000", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where connections to the primary are taken; off: nowhere") \
    X(REPLICAS, "replicas.listen", TEXT, "127.0.0.1:5001", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where connections to replicas are taken; off: nowhere") \
    X(CLUSTERS, "clusters", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further clusters: NAME: PRIMARY-ADDRESS REPLICAS-ADDRESS, either may be off") \
    X(LAG, "replicas.lag", SIZE, "16MiB", 0, 1099511627776, NULL, IO_CONFIG_RELOADABLE, \
      "A replica further behind takes no new connections") \
    X(FALLBACK, "replicas.fallback", TEXT, "primary", 0, 0, "primary|none", IO_CONFIG_RELOADABLE, \
      "Who takes the connections of replicas.listen when no replica is fit") \
    X(ZONE, "zone", NAME, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "Replicas with this tag zone are preferred") \
    X(ENDPOINTS, "quorum.endpoints", LIST, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Client addresses of all quorum nodes: https://host:2379") \
    X(TLS_CA, "tls.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Authority of all certificates (PEM)") \
    X(TLS_CERT, "tls.cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "This proxy's certificate (PEM), role viewer") \
    X(TLS_KEY, "tls.key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)") \
    X(TLS_REVOKED, "tls.revoked", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "List of revoked certificates, as 'kv cert revoke' writes it; read again when it changes") \
    X(INSECURE, "insecure", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Talk to the quorum without TLS; on loopback addresses only") \
    X(AGENTS_ASK, "agents.ask", BOOL, "on", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Ask the agents' health checks as well; replicas are served only with it") \
    X(AGENTS_INTERVAL, "agents.interval", DURATION, "500ms", 20000, 10000000, NULL, \
      IO_CONFIG_RELOADABLE, "How often each agent is asked") \
    X(AGENTS_TLS, "agents.tls", BOOL, "off", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "The agents' HTTP port speaks TLS") \
    X(HOLD_TIME, "hold.time", DURATION, "10s", 0, 600000000, NULL, IO_CONFIG_RELOADABLE, \
      "How long a new connection waits for a primary before it is refused") \
    X(HOLD_SWITCHOVER, "hold.switchover", DURATION, "5s", 0, 600000000, NULL, \
      IO_CONFIG_RELOADABLE, \
      "How long it waits for a switchover to end before it goes to the old primary") \
    X(HOLD_UNTIL, "hold.until", TEXT, "promoted", 0, 0, "promoted|open", IO_CONFIG_RELOADABLE, \
      "After a failover: log in as soon as the new primary is promoted, or when it has opened") \
    X(HOLD_MAX, "hold.connections", INT, "10000", 0, 1000000, NULL, IO_CONFIG_RELOADABLE, \
      "How many may wait at a time") \
    X(MAX, "connections.max", INT, "10000", 1, 1000000, NULL, IO_CONFIG_RELOADABLE, \
      "How many client connections there may be in all") \
    X(CONNECT_TIMEOUT, "connect.timeout", DURATION, "1s", 10000, 60000000, NULL, \
      IO_CONFIG_RELOADABLE, "After which a database that does not answer is tried again") \
    X(KEEPALIVE, "keepalive", DURATION, "10s", 1000000, 3600000000, NULL, IO_CONFIG_RELOADABLE, \
      "Silence after which TCP asks whether the other end is there") \
    X(LANGUAGE, "protocol", TEXT, "postgresql", 0, 0, "postgresql|mysql|none", \
      IO_CONFIG_RELOADABLE, "Form of the message with which a connection is refused") \
    X(SEND_PROXY, "send_proxy", BOOL, "off", 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "Begin connections to databases with a PROXY protocol header, version 2") \
    X(HTTP, "http.listen", TEXT, "127.0.0.1:5002", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Status page and metrics, on a loopback address; off: nowhere") \
    X(STOP_WAIT, "stop.wait", DURATION, "0", 0, 3600000000, NULL, IO_CONFIG_RELOADABLE, \
      "At SIGTERM: how long connections that stand may go on") \
    X(LOG_LEVEL, "log.level", TEXT, "info", 0, 0, "error|warn|notice|info|debug", \
      IO_CONFIG_RELOADABLE, "Least important lines that are still written")
/* clang-format on */

#define PROXY_KEY_ENUM(id, ...) PROXY_KEY_##id,
enum proxy_key { PROXY_KEYS(PROXY_KEY_ENUM) PROXY_KEY_COUNT };

struct proxy_listen {
    bool is_on;
    struct io_address address;
};

struct proxy_cluster_settings {
    struct base_name name;
    struct proxy_listen listen[PROXY_PORTS];
};

struct proxy_settings {
    size_t clusters_count;
    struct proxy_cluster_settings clusters[PROXY_CLUSTERS_MAX];
    size_t endpoints_count;
    struct io_address endpoints[PROXY_ENDPOINTS_MAX]; /* scheme HTTPS or HTTP */
    const char *ca_file, *cert_file, *key_file;       /* "" when not used */
    const char *revoked_file;                         /* "": none */
    struct proxy_options core;
    int64_t lag_bytes;
    int64_t agents_interval_us;
    bool is_agents_tls;
    int64_t hold_us;
    uint32_t held_max;
    uint32_t connections_max;
    int64_t connect_timeout_us;
    int64_t keepalive_us;
    enum proxy_language language;
    bool sends_header;
    struct proxy_listen http;
    int64_t stop_wait_us;
    enum io_log_level log_level;
};

extern const struct io_config_spec proxy_config_spec;
/* INVALID, DENIED with why. */
MUST_CHECK int proxy_settings_read(const struct io_config *config, struct proxy_settings *ret,
                                   struct io_why *why);

#endif
