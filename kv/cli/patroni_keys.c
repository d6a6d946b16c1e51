/* SPDX-License-Identifier: Apache-2.0 */
/* The table: one row for each key of Patroni's documentation (its settings in YAML and its dynamic
 * configuration), the first one that fits counts. What `bootstrap.dcs` holds is what Patroni keeps
 * in its store; --dynamic brings the present state of it under the same paths. */
#include <string.h>

#include "base/types.h"
#include "kv/cli/patroni.h"

#define DCS "bootstrap.dcs."
#define TAKE(pattern, ours, taker, text) \
    { \
        pattern, PATRONI_TAKEN, ours, text, patroni_take_##taker \
    }
#define NAMED(pattern, ours, text) \
    { \
        pattern, PATRONI_RENAMED, ours, text, NULL \
    }
#define NONE(pattern, text) \
    { \
        pattern, PATRONI_NONE, NULL, text, NULL \
    }
/* Both where a member says it and where all of them are told. */
#define PARAMETER_NONE(name, text) \
    NONE("postgresql.parameters." name, text), NONE(DCS "postgresql.parameters." name, text)
#define PARAMETER_NAMED(name, ours, text) \
    NAMED("postgresql.parameters." name, ours, text), \
        NAMED(DCS "postgresql.parameters." name, ours, text)
#define STORE(section, key) NONE(section "." key, STORE_TEXT)
/* How a role comes to the server. */
#define CLIENT_TLS(role) \
    NAMED("postgresql.authentication." role ".sslmode", "postgresql.tls", MEMBER_TLS), \
        NAMED("postgresql.authentication." role ".sslkey", "postgresql.tls_key", MEMBER_TLS), \
        NONE("postgresql.authentication." role ".sslpassword", \
             "keys are files without a password"), \
        NAMED("postgresql.authentication." role ".sslcert", "postgresql.tls_cert", MEMBER_TLS), \
        NAMED("postgresql.authentication." role ".sslrootcert", "tls.ca", MEMBER_TLS), \
        NONE("postgresql.authentication." role ".sslcrl", MEMBER_TLS), \
        NONE("postgresql.authentication." role ".sslcrldir", MEMBER_TLS), \
        NONE("postgresql.authentication." role ".gssencmode", "always disabled between members"), \
        NONE("postgresql.authentication." role ".channel_binding", MEMBER_TLS)

#define STORE_TEXT "the quorum is Quorate's own: quorum.nodes"
#define MEMBER_TLS "members talk by certificates of role member (kv cert issue, kv setup)"
#define CALLBACK \
    "hooks are told what happened by their environment, not by arguments (agents/hooks)"
#define LOGGING "lines go to standard error, and so to the journal"
#define HTTP_TLS "the port speaks TLS with the agent's certificate besides plain HTTP"
#define BY_ITSELF "done by itself"
#define FILES "its place is told by the agent's file"

static const struct patroni_row rows[] = {
    /* --- global --- */
    TAKE("name", "member", name, NULL),
    TAKE("scope", "cluster.name", name, NULL),
    NONE("namespace", "clusters of one quorum are told apart by their names alone"),
    /* --- log --- */
    TAKE("log.level", "log.level", level, NULL),
    NONE("log.traceback_level", LOGGING),
    NONE("log.type", LOGGING),
    NONE("log.format", LOGGING),
    NONE("log.dateformat", LOGGING),
    NONE("log.static_fields.*", LOGGING),
    NONE("log.max_queue_size", LOGGING),
    NONE("log.dir", LOGGING),
    NONE("log.mode", LOGGING),
    NONE("log.file_num", LOGGING),
    NONE("log.file_size", LOGGING),
    NONE("log.deduplicate_heartbeat_logs", "nothing is written for heartbeats"),
    NONE("log.loggers.*", LOGGING),
    /* --- dynamic configuration --- */
    NAMED(DCS "loop_wait", "heartbeat",
          "ours is how often members report, 250ms; left at its default"),
    NAMED(DCS "ttl", "ttl", "a lost host costs about this much with us, 2s; left at its default"),
    NAMED(DCS "retry_timeout", "failsafe",
          "a primary serves until its lease ends, and beyond with failsafe"),
    TAKE(DCS "maximum_lag_on_failover", "maximum_lag_on_failover", doc_number, NULL),
    NONE(DCS "maximum_lag_on_syncnode",
         "a standby leaves the set when it is silent for two leases, not for its lag"),
    NONE(DCS "max_timelines_history", "the history of epochs is kept: kv db history"),
    NONE(DCS "check_timeline", BY_ITSELF ": positions are compared by the epoch of their line"),
    TAKE(DCS "primary_start_timeout", "primary_start_timeout", doc_start_timeout, NULL),
    TAKE(DCS "master_start_timeout", "primary_start_timeout", doc_start_timeout, NULL),
    NONE(DCS "primary_stop_timeout", "a stop is bounded by the lease"),
    NONE(DCS "master_stop_timeout", "a stop is bounded by the lease"),
    TAKE(DCS "synchronous_mode", "sync", doc_sync, NULL),
    TAKE(DCS "synchronous_mode_strict", "strict", doc_bool, "only together with sync: on"),
    TAKE(DCS "synchronous_node_count", "sync_count", doc_number, NULL),
    TAKE(DCS "failsafe_mode", "failsafe", doc_bool, NULL),
    NAMED(DCS "pause", "kv db pause", "an order, no setting"),
    TAKE(DCS "member_slots_ttl", "postgresql.member_slots_ttl", doc_text, NULL),
    TAKE(DCS "postgresql.use_slots", "postgresql.use_slots", doc_bool, NULL),
    NONE(DCS "postgresql.use_pg_rewind", BY_ITSELF ", with a clone where it cannot be"),
    NONE(DCS "postgresql.remove_data_directory_on_rewind_failure", BY_ITSELF),
    NONE(DCS "postgresql.remove_data_directory_on_diverged_timelines", BY_ITSELF),
    TAKE(DCS "postgresql.pg_hba", "postgresql.pg_hba", doc_line, NULL),
    TAKE(DCS "postgresql.pg_ident", "postgresql.pg_ident", doc_line, NULL),
    TAKE(DCS "postgresql.recovery_conf.restore_command", "postgresql.parameters.restore_command",
         doc_parameter, NULL),
    NONE(DCS "postgresql.recovery_conf.*", "the role's settings are Quorate's"),
    TAKE(DCS "standby_cluster.host", "standby_cluster.host", doc_text,
         "one host; several: one address in front of them"),
    TAKE(DCS "standby_cluster.port", "standby_cluster.port", doc_number, NULL),
    TAKE(DCS "standby_cluster.primary_slot_name", "standby_cluster.primary_slot_name", doc_text,
         NULL),
    NAMED(DCS "standby_cluster.create_replica_methods", "postgresql.clone", "of the agent's file"),
    TAKE(DCS "standby_cluster.restore_command", "standby_cluster.restore_command", doc_text, NULL),
    NONE(DCS "standby_cluster.archive_cleanup_command", "set it as a parameter of the server"),
    NONE(DCS "standby_cluster.recovery_min_apply_delay",
         "a standby that lags on purpose cannot take over"),
    TAKE(DCS "slots.*.*", "postgresql.slots", doc_slot,
         "physical, or logical with database and plugin; names that begin with quorate_ are ours"),
    NONE(DCS "ignore_slots.**", "slots that are not Quorate's are never touched"),
    /* --- bootstrap --- */
    NAMED("bootstrap.method", "postgresql.clone", "a database is made by initdb, or adopted"),
    NAMED("bootstrap.initdb", "bootstrap.checksums",
          "for a new database only; checksums are on by default"),
    NAMED("bootstrap.initdb.*", "bootstrap.initdb", "for a new database only; that is there"),
    NONE("bootstrap.pg_hba", "for a new database only; that is there"),
    NAMED("bootstrap.users.**", "bootstrap.users", "for a new database only; that is there"),
    NAMED("bootstrap.post_bootstrap", "bootstrap.post_init",
          "for a new database only; that is there"),
    NAMED("bootstrap.post_init", "bootstrap.post_init", "for a new database only; that is there"),
    NAMED("bootstrap.*.command", "postgresql.clone", "a database is made by initdb, or adopted"),
    NONE("bootstrap.*.no_params", "for a new database only; that is there"),
    NONE("bootstrap.*.keep_existing_recovery_conf", "for a new database only; that is there"),
    NONE("bootstrap.*.recovery_conf.*", "for a new database only; that is there"),
    /* --- Citus --- */
    NONE("citus.group", "Citus is not managed"),
    NONE("citus.database", "Citus is not managed"),
    /* --- stores --- */
    STORE("consul", "host"),
    STORE("consul", "url"),
    STORE("consul", "port"),
    STORE("consul", "scheme"),
    STORE("consul", "token"),
    STORE("consul", "verify"),
    STORE("consul", "cacert"),
    STORE("consul", "cert"),
    STORE("consul", "key"),
    STORE("consul", "dc"),
    STORE("consul", "consistency"),
    STORE("consul", "checks"),
    STORE("consul", "register_service"),
    STORE("consul", "service_tags"),
    STORE("consul", "service_check_interval"),
    STORE("consul", "service_check_tls_server_name"),
    STORE("etcd", "host"),
    STORE("etcd", "hosts"),
    STORE("etcd", "use_proxies"),
    STORE("etcd", "url"),
    STORE("etcd", "proxy"),
    STORE("etcd", "srv"),
    STORE("etcd", "srv_suffix"),
    STORE("etcd", "protocol"),
    STORE("etcd", "username"),
    STORE("etcd", "password"),
    STORE("etcd", "cacert"),
    STORE("etcd", "cert"),
    STORE("etcd", "key"),
    STORE("etcd3", "host"),
    STORE("etcd3", "hosts"),
    STORE("etcd3", "use_proxies"),
    STORE("etcd3", "url"),
    STORE("etcd3", "proxy"),
    STORE("etcd3", "srv"),
    STORE("etcd3", "srv_suffix"),
    STORE("etcd3", "protocol"),
    STORE("etcd3", "username"),
    STORE("etcd3", "password"),
    STORE("etcd3", "cacert"),
    STORE("etcd3", "cert"),
    STORE("etcd3", "key"),
    STORE("zookeeper", "hosts"),
    STORE("zookeeper", "use_ssl"),
    STORE("zookeeper", "cacert"),
    STORE("zookeeper", "cert"),
    STORE("zookeeper", "key"),
    STORE("zookeeper", "key_password"),
    STORE("zookeeper", "verify"),
    STORE("zookeeper", "set_acls.*"),
    STORE("zookeeper", "auth_data.*"),
    STORE("exhibitor", "hosts"),
    STORE("exhibitor", "poll_interval"),
    STORE("exhibitor", "port"),
    STORE("kubernetes", "bypass_api_service"),
    STORE("kubernetes", "namespace"),
    STORE("kubernetes", "labels.*"),
    STORE("kubernetes", "scope_label"),
    STORE("kubernetes", "role_label"),
    STORE("kubernetes", "leader_label_value"),
    STORE("kubernetes", "follower_label_value"),
    STORE("kubernetes", "standby_leader_label_value"),
    STORE("kubernetes", "tmp_role_label"),
    STORE("kubernetes", "use_endpoints"),
    STORE("kubernetes", "pod_ip"),
    STORE("kubernetes", "ports.**"),
    STORE("kubernetes", "cacert"),
    STORE("kubernetes", "retriable_http_codes"),
    STORE("raft", "self_addr"),
    STORE("raft", "bind_addr"),
    STORE("raft", "partner_addrs"),
    STORE("raft", "data_dir"),
    STORE("raft", "password"),
    /* --- PostgreSQL --- */
    TAKE("postgresql.authentication.superuser.username", "postgres", superuser,
         "the superuser must be called postgres: rename it, or make that one"),
    TAKE("postgresql.authentication.superuser.password", "superuser", secret, NULL),
    CLIENT_TLS("superuser"),
    NAMED("postgresql.authentication.replication.username", "quorate_replication",
          "a role of our own; the other one may go after the take-over"),
    TAKE("postgresql.authentication.replication.password", "replication", secret,
         "8 to 127 visible characters"),
    CLIENT_TLS("replication"),
    NAMED("postgresql.authentication.rewind.username", "quorate_rewind",
          "a role of our own; the other one may go after the take-over"),
    TAKE("postgresql.authentication.rewind.password", "rewind", secret,
         "8 to 127 visible characters"),
    CLIENT_TLS("rewind"),
    NAMED("postgresql.callbacks.on_reload", "hooks.on_reload", CALLBACK),
    NAMED("postgresql.callbacks.on_restart", "hooks.on_restart", CALLBACK),
    NAMED("postgresql.callbacks.on_role_change", "hooks.on_role_change", CALLBACK),
    NAMED("postgresql.callbacks.on_start", "hooks.on_start", CALLBACK),
    NAMED("postgresql.callbacks.on_stop", "hooks.on_stop", CALLBACK),
    TAKE("postgresql.connect_address", "advertise", connect, "HOST:PORT"),
    NAMED("postgresql.proxy_address", "quorate-proxy", "or kv db haproxy; nothing refers to it"),
    NAMED("postgresql.create_replica_methods", "postgresql.clone",
          "name: command; the base backup comes last by itself"),
    NAMED("postgresql.create_replica_method", "postgresql.clone",
          "name: command; the base backup comes last by itself"),
    NAMED("postgresql.replica_method.*", "postgresql.clone", NULL),
    TAKE("postgresql.listen", "postgresql.listen", listen, "ADDRESS,...:PORT"),
    NONE("postgresql.use_unix_socket", BY_ITSELF),
    NONE("postgresql.use_unix_socket_repl", "members talk over TLS"),
    TAKE("postgresql.data_dir", "postgresql.data_dir", text, NULL),
    TAKE("postgresql.config_dir", "postgresql.config_dir", text, NULL),
    TAKE("postgresql.bin_dir", "postgresql.bin_dir", text, NULL),
    NONE("postgresql.bin_name.*", "programs have their own names in bin_dir"),
    NONE("postgresql.database", "our sessions use the database postgres"),
    NONE("postgresql.pgpass", "made by itself in state_dir"),
    TAKE("postgresql.recovery_conf.restore_command", "postgresql.parameters.restore_command",
         parameter, NULL),
    NONE("postgresql.recovery_conf.*", "the role's settings are Quorate's"),
    NAMED("postgresql.custom_conf", "postgresql.config_dir",
          "the file must be called postgresql.conf"),
    TAKE("postgresql.pg_hba", "postgresql.hba", list, NULL),
    TAKE("postgresql.pg_ident", "postgresql.pg_ident", doc_line, "of the document, for all"),
    NONE("postgresql.pg_ctl_timeout", "primary_start_timeout bounds a start"),
    NONE("postgresql.use_pg_rewind", BY_ITSELF ", with a clone where it cannot be"),
    NONE("postgresql.remove_data_directory_on_rewind_failure", BY_ITSELF),
    NONE("postgresql.remove_data_directory_on_diverged_timelines", BY_ITSELF),
    TAKE("postgresql.use_slots", "postgresql.use_slots", doc_bool, NULL),
    NAMED("postgresql.pre_promote", "hooks.pre_promote", CALLBACK),
    NAMED("postgresql.before_stop", "hooks.before_stop", CALLBACK),
    NAMED("postgresql.basebackup", "postgresql.clone_rate", "and clone_checkpoint"),
    NAMED("postgresql.basebackup.*", "postgresql.clone_rate", "and clone_checkpoint"),
    TAKE("postgresql.parameters.unix_socket_directories", "postgresql.socket_dir", socket,
         "an absolute path"),
    TAKE(DCS "postgresql.parameters.unix_socket_directories", "postgresql.socket_dir", socket,
         "an absolute path"),
    PARAMETER_NONE("cluster_name", "it names cluster and member"),
    PARAMETER_NAMED("config_file", "postgresql.config_dir", FILES),
    PARAMETER_NAMED("data_directory", "postgresql.data_dir", FILES),
    PARAMETER_NONE("external_pid_file", FILES),
    PARAMETER_NONE("fsync", "always on: failover relies on it"),
    PARAMETER_NONE("full_page_writes", "always on: failover relies on it"),
    PARAMETER_NONE("hba_file", FILES),
    PARAMETER_NONE("hot_standby", "always on: failover relies on it"),
    PARAMETER_NONE("ident_file", FILES),
    PARAMETER_NAMED("listen_addresses", "postgresql.listen", NULL),
    PARAMETER_NAMED("port", "postgresql.port", NULL),
    PARAMETER_NAMED("max_slot_wal_keep_size", "postgresql.max_slot_wal_keep_size",
                    "of the document"),
    PARAMETER_NONE("primary_conninfo", "it follows the role"),
    PARAMETER_NONE("primary_slot_name", "it follows the role"),
    PARAMETER_NONE("promote_trigger_file", "it follows the role"),
    PARAMETER_NONE("recovery_end_command", "it follows the role"),
    PARAMETER_NONE("recovery_min_apply_delay", "a standby that lags on purpose cannot take over"),
    PARAMETER_NONE("recovery_target", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_action", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_inclusive", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_lsn", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_name", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_time", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_timeline", "it would stop a promotion short"),
    PARAMETER_NONE("recovery_target_xid", "it would stop a promotion short"),
    PARAMETER_NONE("restart_after_crash", "the guard must see every crash"),
    PARAMETER_NAMED("ssl", "postgresql.tls", MEMBER_TLS),
    PARAMETER_NAMED("ssl_ca_file", "tls.ca", MEMBER_TLS),
    PARAMETER_NAMED("ssl_cert_file", "postgresql.tls_cert", MEMBER_TLS),
    PARAMETER_NAMED("ssl_key_file", "postgresql.tls_key", MEMBER_TLS),
    PARAMETER_NAMED("synchronous_standby_names", "sync", "of the document"),
    PARAMETER_NONE("wal_log_hints", "always on: failover relies on it"),
    PARAMETER_NONE("wal_receiver_create_temp_slot", "it follows the role"),
    TAKE("postgresql.parameters.*", "postgresql.parameters", parameter,
         "a name of letters, digits and _, a value of one line"),
    TAKE(DCS "postgresql.parameters.*", "postgresql.parameters", doc_parameter,
         "a name of letters, digits and _, a value of one line"),
    NAMED("postgresql.*.*", "postgresql.clone",
          "a method of one's own to make replicas becomes name: command"),
    /* --- REST API --- */
    NAMED("restapi.connect_address", "advertise",
          "its port is http.listen's, or http.advertise_port"),
    TAKE("restapi.listen", "http.listen", http, "ADDRESS:PORT"),
    NAMED("restapi.authentication.username", "kv cert issue",
          "who may change something is told by certificates"),
    NAMED("restapi.authentication.password", "kv cert issue",
          "who may change something is told by certificates"),
    NAMED("restapi.certfile", "tls.cert", HTTP_TLS),
    NAMED("restapi.keyfile", "tls.key", HTTP_TLS),
    NONE("restapi.keyfile_password", "keys are files without a password"),
    NAMED("restapi.cafile", "tls.ca", HTTP_TLS),
    NONE("restapi.ciphers", "those of OpenSSL's default level"),
    NAMED("restapi.verify_client", "http.tls", "what changes something needs a certificate always"),
    NONE("restapi.allowlist", "what changes something needs a certificate always"),
    NONE("restapi.allowlist_include_members", "what changes something needs a certificate always"),
    NONE("restapi.http_extra_headers.*", "no such setting"),
    NONE("restapi.https_extra_headers.*", "no such setting"),
    NONE("restapi.request_queue_size", "no such setting"),
    NONE("restapi.server_tokens", "no version is told in headers"),
    /* --- patronictl --- */
    NAMED("ctl.authentication.username", "kv cert issue", "role admin"),
    NAMED("ctl.authentication.password", "kv cert issue", "role admin"),
    NONE("ctl.insecure", "certificates are always checked"),
    NAMED("ctl.cacert", "QUORATE_CACERT", NULL),
    NAMED("ctl.certfile", "QUORATE_CERT", NULL),
    NAMED("ctl.keyfile", "QUORATE_KEY", NULL),
    NONE("ctl.keyfile_password", "keys are files without a password"),
    /* --- watchdog --- */
    TAKE("watchdog.mode", "watchdog.mode", watchdog, "off, automatic or required"),
    TAKE("watchdog.device", "watchdog.device", text, NULL),
    NAMED("watchdog.safety_margin", "watchdog.timeout",
          "fed while the lease lies that far ahead; at most half of the ttl"),
    /* --- tags --- */
    TAKE("tags.nofailover", "tags.nofailover", text, NULL),
    TAKE("tags.clonefrom", "tags.clonefrom", text, NULL),
    TAKE("tags.noloadbalance", "tags.noloadbalance", text, NULL),
    TAKE("tags.replicatefrom", "tags.replicatefrom", name, NULL),
    TAKE("tags.nosync", "tags.nosync", text, NULL),
    TAKE("tags.failover_priority", "tags.priority", priority, "a number"),
    NONE("tags.sync_priority", "tags.priority counts for both"),
    NONE("tags.nostream", "every member streams"),
    NONE("tags.*", "tags of one's own do nothing"),
};

/* Does `path` fit? Words are parted by dots; a name below "parameters" may hold some itself. */
static bool fits(const char *pattern, const char *path)
{
    while (*pattern != '\0') {
        if (strcmp(pattern, "**") == 0 || (strcmp(pattern, "*") == 0 && *path != '\0')) {
            return *path != '\0';
        }
        if (*pattern == '*') {
            size_t len = strcspn(path, ".");
            if (len == 0) {
                return false;
            }
            pattern++;
            path += len;
            continue;
        }
        if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

const struct patroni_row *patroni_row_of(const char *path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        if (fits(rows[i].pattern, path)) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct patroni_row *patroni_rows(size_t *ret_count)
{
    *ret_count = BASE_COUNT_OF(rows);
    return rows;
}

const char *patroni_fate_text(enum patroni_fate fate)
{
    static const char *const texts[] = {[PATRONI_TAKEN] = "taken",
                                        [PATRONI_RENAMED] = "another name",
                                        [PATRONI_NONE] = "no counterpart"};
    return texts[fate];
}
