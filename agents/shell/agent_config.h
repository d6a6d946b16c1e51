/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration keys that every agent has, and what was read from them in checked form.
 *
 * An engine's table begins with AGENT_KEYS, so that the numbers AGENT_KEY_* hold in every program,
 * and goes on with its own. Called once at start; texts live as long as the configuration.
 */
#ifndef QUORATE_AGENTS_SHELL_AGENT_CONFIG_H
#define QUORATE_AGENTS_SHELL_AGENT_CONFIG_H

#include "agents/core/agent.h"
#include "proto/io/config.h"
#include "proto/io/link.h"
#include "proto/io/log.h"

/* clang-format off */
#define AGENT_KEYS(X) \
    X(CLUSTER, "cluster.name", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Name of the database cluster that this member belongs to") \
    X(TTL, "cluster.ttl", DURATION, "2s", 600000, 60000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how long a lease lasts; a lost host costs about this much") \
    X(HEARTBEAT, "cluster.heartbeat", DURATION, "250ms", 50000, 5000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how often members report; at most a quarter of the ttl") \
    X(FREEZE_MAX, "cluster.freeze_max", DURATION, "3s", 0, 60000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how long a frozen primary waits for its lease before it is killed") \
    X(SYNC, "cluster.sync", TEXT, "on", 0, 0, "on|first|off|yes|no|true|false", IO_CONFIG_PLAIN, \
      "Seed: synchronous replication, so that a failover loses nothing; first: by the standbys of " \
      "highest priority") \
    X(SYNC_COUNT, "cluster.sync_count", INT, "1", 1, 15, NULL, IO_CONFIG_PLAIN, \
      "Seed: how many standbys a commit waits for") \
    X(STRICT, "cluster.strict", BOOL, "off", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Seed: commits wait when no standby is left, instead of going on alone") \
    X(PROFILE, "cluster.profile", TEXT, "default", 0, 0, "default|fast", IO_CONFIG_PLAIN, \
      "Seed: fast means ttl 600ms and heartbeat 100ms; needs the cgroup freezer") \
    X(ADOPT, "cluster.adopt", TEXT, "no", 0, 0, "no|yes", IO_CONFIG_PLAIN, \
      "First start: the database that lies in the data directory, stopped, becomes the cluster's") \
    X(MEMBER, "member", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, "Name of this member") \
    X(ADVERTISE, "advertise", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Host name or address where other members and clients reach this database") \
    X(NODES, "quorum.nodes", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Every quorum node's peer address: name=host:port") \
    X(TOKEN, "quorum.token", TEXT, "quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name of the quorum, as in its nodes' configuration") \
    X(TLS_CA, "tls.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "Authority of all certificates (PEM)") \
    X(TLS_CERT, "tls.cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "This agent's certificate (PEM), role agent") \
    X(TLS_KEY, "tls.key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, "Its key (PEM)") \
    X(INSECURE, "insecure", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Talk to the quorum without TLS; on loopback addresses only") \
    X(HTTP_LISTEN, "http.listen", TEXT, "0.0.0.0:8008", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where health checks and metrics are answered") \
    X(STATE_DIR, "state_dir", TEXT, "/var/lib/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of what must survive a reboot") \
    X(RUN_DIR, "run_dir", TEXT, "/run/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of sockets") \
    X(NOFAILOVER, "tags.nofailover", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "This member never becomes primary by itself") \
    X(NOSYNC, "tags.nosync", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "This member never counts for synchronous replication") \
    X(PRIORITY, "tags.priority", INT, "50", 0, 100, NULL, IO_CONFIG_PLAIN, \
      "Among equals the member with the higher number is chosen") \
    X(ZONE, "tags.zone", NAME, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where this member stands; among equals one in the primary's zone is chosen") \
    X(NOLOADBALANCE, "tags.noloadbalance", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Health checks for reading say no") \
    X(REPLICATEFROM, "tags.replicatefrom", NAME, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Member to receive from while it streams, instead of the primary") \
    X(CLONEFROM, "tags.clonefrom", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Others are cloned from this member while it streams") \
    X(HANG_TIMEOUT, "hang_timeout", DURATION, "5s", 1000000, 3600000000, NULL, IO_CONFIG_PLAIN, \
      "How long a primary may fail to answer, before a standby that is fit takes over; half of it " \
      "when writing fails") \
    X(START_TIMEOUT, "primary_start_timeout", DURATION, "30s", 1000000, 86400000000, NULL, \
      IO_CONFIG_PLAIN, \
      "How long a primary may take to come back after a crash, unless the cluster's own setting " \
      "says otherwise") \
    X(ON_CRASH, "on_crash", TEXT, "auto", 0, 0, "auto|failover|restart", IO_CONFIG_PLAIN, \
      "After a crash of the database: hand over when standbys suffice, always, or never") \
    X(LOG_LEVEL, "log.level", TEXT, "info", 0, 0, "error|warn|notice|info|debug", IO_CONFIG_PLAIN, \
      "Least important lines that are still written")
/* clang-format on */

#define AGENT_KEY_ENUM(id, ...) AGENT_KEY_##id,
enum agent_key { AGENT_KEYS(AGENT_KEY_ENUM) AGENT_KEY_COUNT };

struct agent_settings {
    struct agt_config core; /* session and db_port are the caller's to fill in */
    struct base_text token;
    struct io_link_node nodes[IO_LINK_NODES_MAX];
    size_t nodes_count;
    struct io_address http_listen;
    bool is_insecure;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *state_dir;
    const char *run_dir;
    enum io_log_level log_level;
};

/* Reads and checks the common keys. INVALID, DENIED with why. */
MUST_CHECK int agent_settings_read(const struct io_config *config, struct agent_settings *ret,
                                   struct io_why *why);

#endif
