/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration keys that every agent has, and what was read from them in checked form.
 *
 * An engine's table begins with AGENT_KEYS, so that the numbers AGENT_KEY_* hold in every program,
 * and goes on with its own. Called once at start; texts live as long as the configuration.
 */
#ifndef QUORATE_AGENTS_SHELL_AGENT_CONFIG_H
#define QUORATE_AGENTS_SHELL_AGENT_CONFIG_H

#include "agents/core/agent.h"
#include "agents/hooks/hooks.h"
#include "agents/vip/vip.h"
#include "proto/io/config.h"
#include "proto/io/link.h"
#include "proto/io/log.h"

/* clang-format off */
#define AGENT_KEYS(X, USER_DEFAULT) \
    X(CLUSTER, "cluster.name", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Name of the database cluster that this member belongs to") \
    X(TTL, "cluster.ttl", DURATION, "2s", 600000, 60000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how long a lease lasts; a lost host costs about this much. Not set: Galera 6s, " \
      "MongoDB 5s (orders alone)") \
    X(HEARTBEAT, "cluster.heartbeat", DURATION, "250ms", 50000, 5000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how often members report; at most a quarter of the ttl. Not set: Galera 500ms, " \
      "MongoDB 1s") \
    X(FREEZE_MAX, "cluster.freeze_max", DURATION, "3s", 0, 60000000, NULL, IO_CONFIG_PLAIN, \
      "Seed: how long a frozen primary waits for its lease before it is killed (PostgreSQL)") \
    X(SYNC, "cluster.sync", TEXT, "on", 0, 0, "on|first|off|yes|no|true|false", IO_CONFIG_PLAIN, \
      "Seed: synchronous replication, so that a failover loses nothing; first: by the standbys " \
      "of highest priority (PostgreSQL)") \
    X(SYNC_COUNT, "cluster.sync_count", INT, "1", 1, 15, NULL, IO_CONFIG_PLAIN, \
      "Seed: how many standbys a commit waits for (PostgreSQL)") \
    X(STRICT, "cluster.strict", BOOL, "off", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Seed: commits wait when no standby is left, instead of going on alone (PostgreSQL)") \
    X(FAILOVER_INTERVAL, "cluster.failover_interval", DURATION, "60s", 0, 86400000000, NULL, \
      IO_CONFIG_PLAIN, \
      "Seed: least time between two automatic failovers while the primary can go on; 0: none") \
    X(PROFILE, "cluster.profile", TEXT, "default", 0, 0, "default|fast", IO_CONFIG_PLAIN, \
      "Seed: fast means ttl 600ms and heartbeat 100ms; needs the cgroup freezer (PostgreSQL)") \
    X(ADOPT, "cluster.adopt", TEXT, "no", 0, 0, "no|yes|running", IO_CONFIG_PLAIN, \
      "First start: the database that lies in the data directory, stopped, becomes the " \
      "cluster's; running: on every member, one that runs is taken over as it runs") \
    X(MEMBER, "member", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, "Name of this member") \
    X(ADVERTISE, "advertise", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Host name or address where other members and clients reach this database") \
    X(NODES, "quorum.nodes", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Every quorum node's peer address: name=host:port") \
    X(TOKEN, "quorum.token", TEXT, "quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name of the quorum, as in its nodes' configuration") \
    X(QUORUM_API, "quorum.api", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Public address of each quorum node, name=https://host:2379: control calls are sent on") \
    X(TLS_CA, "tls.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "Authority of all certificates (PEM)") \
    X(TLS_CERT, "tls.cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "This agent's certificate (PEM), role agent") \
    X(TLS_KEY, "tls.key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, "Its key (PEM)") \
    X(TLS_REVOKED, "tls.revoked", TEXT, NULL, 0, 0, NULL, IO_CONFIG_RELOADABLE, \
      "List of revoked certificates, as 'kv cert revoke' writes it; read again when it changes") \
    X(INSECURE, "insecure", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Talk to the quorum without TLS; on loopback addresses only") \
    X(HTTP_LISTEN, "http.listen", TEXT, "0.0.0.0:8008", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where health checks and metrics are answered") \
    X(HTTP_ADVERTISE_PORT, "http.advertise_port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port at which others reach it, behind address translation; 0: that of http.listen") \
    X(HTTP_TLS, "http.tls", TEXT, "auto", 0, 0, "auto|on|off", IO_CONFIG_PLAIN, \
      "TLS on that port: auto takes plain HTTP and, where there is a certificate, TLS") \
    X(HOOK_ON_START, "hooks.on_start", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Command to be run when the database has started and answers") \
    X(HOOK_ON_RESTART, "hooks.on_restart", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Likewise, in the role that it had before") \
    X(HOOK_ON_STOP, "hooks.on_stop", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "... when every process of the database has ended") \
    X(HOOK_ON_RELOAD, "hooks.on_reload", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "... when settings have been put into force") \
    X(HOOK_ON_ROLE_CHANGE, "hooks.on_role_change", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "... when this member has another role") \
    X(HOOK_ON_PRIMARY_CHANGE, "hooks.on_primary_change", TEXT, NULL, 0, 0, NULL, \
      IO_CONFIG_PLAIN, \
      "... on every member, when another one is open for writes") \
    X(HOOK_PRE_PROMOTE, "hooks.pre_promote", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "... in front of a promotion, which its failure stops") \
    X(HOOK_BEFORE_STOP, "hooks.before_stop", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "... when a primary hands over, in front of its stop") \
    X(HOOKS_TIMEOUT, "hooks.timeout", DURATION, "10s", 100000, 600000000, NULL, IO_CONFIG_PLAIN, \
      "After that time a hook is killed with all that it has started") \
    X(VIP_ADDRESS, "vip.address", LIST, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Addresses that the primary has besides its own: 10.0.0.5/24, fd00::5/64") \
    X(VIP_INTERFACE, "vip.interface", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Network interface that they are put on") \
    X(STATE_DIR, "state_dir", TEXT, "/var/lib/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of what must survive a reboot") \
    X(RUN_DIR, "run_dir", TEXT, "/run/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of sockets") \
    X(WATCHDOG_MODE, "watchdog.mode", TEXT, "off", 0, 0, "off|try|require", IO_CONFIG_PLAIN, \
      "A watchdog resets the host when the guard no longer can; require: no primary without it") \
    X(WATCHDOG_DEVICE, "watchdog.device", TEXT, "/dev/watchdog", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Its device, used by nobody else; read when the guard is started") \
    X(WATCHDOG_TIMEOUT, "watchdog.timeout", DURATION, "1s", 1000000, 60000000, NULL, \
      IO_CONFIG_PLAIN, "After that time without the guard it fires; at most half of the ttl") \
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
      "How long a primary may fail to answer, before a standby that is fit takes over; half of " \
      "it when writing fails") \
    X(START_TIMEOUT, "primary_start_timeout", DURATION, "30s", 1000000, 86400000000, NULL, \
      IO_CONFIG_PLAIN, \
      "How long a primary may take to come back after a crash, unless the cluster's own setting " \
      "says otherwise") \
    X(ON_CRASH, "on_crash", TEXT, "auto", 0, 0, "auto|failover|restart", IO_CONFIG_PLAIN, \
      "After a crash of the database: hand over when standbys suffice, always, or never") \
    X(LOG_LEVEL, "log.level", TEXT, "info", 0, 0, "error|warn|notice|info|debug", IO_CONFIG_PLAIN, \
      "Least important lines that are still written") \
    X(USER, "user", TEXT, USER_DEFAULT, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "User that agent, guard and database run as when started as root") \
    X(GUARD, "guard.program", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Path of quorate-guard; default: beside this program") \
    X(CGROUP, "guard.cgroup", TEXT, "auto", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Delegated cgroup v2 directory for the freezer; auto looks for one, none uses signals")
/* clang-format on */

#define AGENT_KEY_ENUM(id, ...) AGENT_KEY_##id,
enum agent_key { AGENT_KEYS(AGENT_KEY_ENUM, NULL) AGENT_KEY_COUNT };

enum agent_http_tls { AGENT_HTTP_AUTO, AGENT_HTTP_TLS, AGENT_HTTP_PLAIN };

struct agent_settings {
    struct agt_config core; /* session is the caller's to fill in, db_port the engine's */
    const char *data_dir;   /* of the database; the engine's to fill in */
    char os_user[64];       /* that all run as; known when the host has been looked at */
    struct base_text token;
    struct io_link_node nodes[IO_LINK_NODES_MAX];
    size_t nodes_count;
    const struct io_config *config; /* quorum.api is looked up in it */
    struct io_address http_listen;
    enum agent_http_tls http_tls;
    struct hooks_settings hooks;
    struct vip_settings vip;
    bool is_insecure;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *revoked_file; /* "": none */
    const char *state_dir;
    const char *run_dir;
    const char *watchdog_mode;
    const char *watchdog_device;
    int64_t watchdog_timeout_us;
    enum io_log_level log_level;
};

/* For the keys of an engine; all: BASE_E_* with why, which names the key and where it was set. */

/* INVALID, with `text` as the reason. */
MUST_CHECK int agent_key_fail(const struct io_config *config, size_t key, struct io_why *why,
                              const char *text);
/* An absolute path without a '/' at its end; `text`: instead of the key's own, NULL: that. */
MUST_CHECK int agent_key_path(const struct io_config *config, size_t key, const char *text,
                              char *ret, size_t size, struct io_why *why);
/* Settings of the database server from a MAP: each is given to `add`, which says DENIED (it is
 * ours), TOOBIG or INVALID. */
MUST_CHECK int agent_key_parameters(const struct io_config *config, size_t key,
                                    int (*add)(void *settings, const char *name, const char *value),
                                    void *settings, struct io_why *why);
/* Database members from a MAP, name: host:port; at most `max` (and AGENT_MEMBERS_MAX). INVALID,
 * also where `self` is not among them. */
#define AGENT_MEMBERS_MAX 16
struct agent_member {
    struct base_name name;
    struct io_address address;
};
struct agent_members {
    size_t count;
    size_t self; /* number of our own one */
    struct agent_member list[AGENT_MEMBERS_MAX];
};
MUST_CHECK int agent_key_members(const struct io_config *config, size_t key, uint16_t default_port,
                                 const struct base_name *self, struct agent_members *ret,
                                 struct io_why *why);
/* Seeds of an engine whose replication is its own, where the file says none. */
void agent_seed_engine(const struct io_config *config, struct agt_config *core,
                       enum msg_engine engine, uint32_t ttl_ms, uint32_t heartbeat_ms);

/* Reads and checks the common keys. INVALID, DENIED with why. */
MUST_CHECK int agent_settings_read(const struct io_config *config, struct agent_settings *ret,
                                   struct io_why *why);

#endif
