/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster as `kv setup` is told of it, and the files of each host made from that.
 *
 * setup.c reads the plan (a file, flags, or answers at a terminal) by the table of keys below;
 * setup_files.c makes texts and certificates; cmd_setup.c puts them into one archive for each host
 * and says what to do. One thread, blocking. */
#ifndef QUORATE_KV_CLI_SETUP_H
#define QUORATE_KV_CLI_SETUP_H

#include "base/types.h"
#include "proto/io/config.h"

#define SETUP_HOSTS_MAX 23
#define SETUP_NODES_MAX 7

/* clang-format off */
#define SETUP_KEYS(X) \
    X(CLUSTER, "cluster", NAME, "pg-main", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name of the database cluster") \
    X(ENGINE, "engine", TEXT, "postgresql", 0, 0, "postgresql|galera|mongodb", IO_CONFIG_PLAIN, \
      "What the databases are: PostgreSQL, MariaDB Galera, or a MongoDB replica set") \
    X(HOSTS, "hosts", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Hosts with a quorum node and a database, name: address") \
    X(QUORUM_ONLY, "quorum_only", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Hosts with a quorum node alone, name: address") \
    X(MEMBERS_ONLY, "members_only", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Hosts with a database alone, name: address") \
    X(ARBITERS, "arbiters", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Host with a quorum node and a replica set's arbiter, name: address (MongoDB)") \
    X(CLIENTS, "clients", LIST, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Networks that applications come from, as 10.0.0.0/24 (PostgreSQL)") \
    X(SYNC, "sync", TEXT, "on", 0, 0, "on|first|off", IO_CONFIG_PLAIN, \
      "Synchronous replication: a failover loses nothing (PostgreSQL)") \
    X(PROFILE, "profile", TEXT, "default", 0, 0, "default|fast", IO_CONFIG_PLAIN, \
      "fast: a lease of 600ms instead of 2s; needs the cgroup freezer") \
    X(DATA_DIR, "data_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Data directory; default: /var/lib/postgresql/15/CLUSTER, /var/lib/mysql-CLUSTER, " \
      "/var/lib/mongodb-CLUSTER") \
    X(BIN_DIR, "bin_dir", TEXT, "/usr/lib/postgresql/15/bin", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of PostgreSQL's programs") \
    X(PORT, "port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port of the databases; 0: 5432, 3306 or 27017") \
    X(CLIENT_PORT, "client_port", INT, "2379", 1, 65535, NULL, IO_CONFIG_PLAIN, \
      "Public port of the quorum nodes") \
    X(PEER_PORT, "peer_port", INT, "2380", 1, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port of the quorum nodes for each other and for agents") \
    X(HTTP_PORT, "http_port", INT, "8008", 1, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port of the agents' health checks") \
    X(ADMIN, "admin", NAME, "admin", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Whom the administrator's certificate names") \
    X(USER, "user", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "User of the databases on their hosts; default: postgres, mysql or mongodb") \
    X(NODE_USER, "node_user", TEXT, "quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "User of the quorum nodes on their hosts") \
    X(ETC, "etc", TEXT, "/etc/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where configurations lie on the hosts") \
    X(STATE, "state", TEXT, "/var/lib/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where nodes and agents keep their state") \
    X(RUN, "run", TEXT, "/run/quorate", 0, 0, NULL, IO_CONFIG_PLAIN, "Where sockets lie")
/* clang-format on */

#define SETUP_KEY_ENUM(id, ...) SETUP_KEY_##id,
enum setup_key { SETUP_KEYS(SETUP_KEY_ENUM) SETUP_KEY_COUNT };

struct setup_plan;
struct setup_host;

/* What depends on the engine. */
struct setup_engine {
    const char *name;
    const char *agent;   /* program, and unit before '@' */
    const char *service; /* Debian's own, to be switched off */
    const char *user;
    int port;
    const char *data_root; /* its directory but for the cluster's name; NULL: PostgreSQL's layout */
    bool has_key;          /* members share a key file, and their certificates name 127.0.0.1 */
    const char *roles[4];  /* lines of the password file; NULL-terminated */
    void (*print)(const struct setup_plan *plan, const struct setup_host *host,
                  FILE *out); /* its section of the agent's file */
};
extern const struct setup_engine setup_engines[];
extern const size_t setup_engines_count;

struct setup_host {
    struct base_name name;
    char address[256];
    bool has_node;
    bool has_member;
    bool is_arbiter; /* a member without data, and without users */
};

struct setup_plan {
    const struct io_config *config;
    const struct setup_engine *engine;
    const char *user;
    int port;
    char passwords[256]; /* paths on the hosts */
    char key_file[256];
    size_t hosts_count;
    struct setup_host hosts[SETUP_HOSTS_MAX];
    size_t nodes_count;
    size_t members_count;
    size_t arbiters_count; /* of these */
    char data_dir[512];
};

extern const struct io_config_spec setup_spec;

/* Checks the configuration as a whole. INVALID with why. */
MUST_CHECK int setup_plan_read(const struct io_config *config, struct setup_plan *ret,
                               struct io_why *why);
/* A line of advice on the number of nodes; NULL: none. */
const char *setup_plan_advice(const struct setup_plan *plan);
/* Asks a person for what a plan needs. The answers are flags "--key=value", malloc'ed, at most
 * `cap`; EOF ends it: CANCELED. */
MUST_CHECK int setup_ask(FILE *in, FILE *out, char **ret_flags, size_t cap, size_t *ret_count);

/* --- files --- */
void setup_print_node(const struct setup_plan *plan, const struct setup_host *host, FILE *out);
void setup_print_agent(const struct setup_plan *plan, const struct setup_host *host, FILE *out);
/* Drop-ins of the units: what they must wait for. */
void setup_print_node_unit(const struct setup_plan *plan, FILE *out);
void setup_print_agent_unit(const struct setup_plan *plan, FILE *out);
/* The administrator's kv.yml, with certificates in `dir`. */
void setup_print_kv(const struct setup_plan *plan, const char *dir, FILE *out);
/* Name of a secret's file in the directory of a plan, from its path on the hosts: as there. */
const char *setup_file_name(const char *path);
/* What is to be typed, on which host, in order. */
void setup_print_steps(const struct setup_plan *plan, const char *out_dir, FILE *out);
/* Puts the archive of one host together; `out_dir` holds tls/ and the secrets. IO, NOTFOUND, TOOBIG
 * with why. */
MUST_CHECK int setup_write_archive(const struct setup_plan *plan, const struct setup_host *host,
                                   const char *out_dir, FILE *out, struct io_why *why);

#endif
