/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a quorum node: one table of keys, and what was read from it in checked form.
 *
 * File, flags and environment are read by proto/io/config.h. Names that etcd's users know (--name,
 * --data-dir,
 * --listen-client-urls, --initial-cluster ...) are aliases of the same keys. Called once at start.
 */
#ifndef QUORATE_ARBITER_QUORATED_SETTINGS_H
#define QUORATE_ARBITER_QUORATED_SETTINGS_H

#include "arbiter/notify/deliver.h"
#include "proto/io/config.h"
#include "proto/io/link.h"
#include "proto/io/log.h"

#define QUORATED_CLIENT_PORT 2379
#define QUORATED_METRICS_PORT 2381

struct quorated_settings {
    struct base_name name;
    struct base_text token;
    const char *data_dir;
    /* Of a quorum that starts for the first time; a store, or the quorum that a node joins, knows
     * better. */
    uint64_t node_id;     /* from token and name; below 2^63 */
    uint64_t cluster_id;  /* from token and the names of all nodes */
    bool is_joining;      /* quorum.state: existing */
    bool is_forced_new;   /* go on alone with what the store holds */
    uint64_t log_entries; /* kept for nodes that are behind */
    /* Automatic compaction: one of them, or none. */
    int64_t compaction_period_us;
    int64_t compaction_revisions;
    uint32_t request_bytes_max;
    const char *fence_dir;          /* programs that a cluster's document may name */
    struct deliver_settings notify; /* where events are told */
    struct io_address client_listen;
    struct io_address peer_listen;
    struct io_address metrics_listen;
    bool has_metrics;
    bool is_metrics_tls;                        /* beyond loopback */
    bool is_status_public;                      /* status page and metrics for everybody */
    const char *status_password_file;           /* "": none */
    const char *client_urls[IO_LINK_NODES_MAX]; /* what clients are told; NULL: not known */
    size_t nodes_count;                         /* ourselves included, in order of names */
    struct io_link_node nodes[IO_LINK_NODES_MAX];
    char node_urls[IO_LINK_NODES_MAX][IO_ADDRESS_TEXT_MAX + 8]; /* peer URLs */
    bool is_insecure;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *revoked_file; /* "": none */
    uint32_t heartbeat_ms;
    uint32_t election_min_ms;
    uint32_t election_max_ms;
    uint64_t map_bytes;
    uint64_t quota_bytes;
    enum io_log_level log_level;
};

/* Reads and checks everything; prints errors, help and the like itself. -1: go on with *ret and
 * *ret_config (texts of *ret live as long as the config); else the exit status. */
int quorated_settings_read(int argc, char *const *argv, struct quorated_settings *ret,
                           struct io_config **ret_config);

#endif
