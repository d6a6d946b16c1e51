/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB as an engine of agents/shell: the database port in the loop, and the configuration keys
 * that only MongoDB has. Loop thread, or before the loop runs. */
#ifndef QUORATE_AGENTS_MONGODB_ENGINE_H
#define QUORATE_AGENTS_MONGODB_ENGINE_H

#include "agents/mongodb/db.h"
#include "agents/mongodb/threads.h"
#include "agents/shell/runtime.h"

#define MDB_TTL_MS 5000 /* of the right to give orders, not of being primary */
#define MDB_HEARTBEAT_MS 1000

/* clang-format off */
#define MDB_KEYS(X) \
    X(MONGOD, "mongodb.mongod", TEXT, "/usr/bin/mongod", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "The server's program") \
    X(ROLE, "mongodb.role", TEXT, "data", 0, 0, "data|arbiter", IO_CONFIG_PLAIN, \
      "arbiter: votes and holds no data; with a small cache, for a quorum node") \
    X(ADOPT_WATCH, "mongodb.adopt", TEXT, "no", 0, 0, "no|watch", IO_CONFIG_PLAIN, \
      "watch: mongod is run by somebody else; it is watched, never started, stopped or killed") \
    X(PID_FILE, "mongodb.pid_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "With adopt: watch, mongod's own file of its process number") \
    X(SET_NAME, "mongodb.replica_set", NAME, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name of the replica set; default: cluster.name") \
    X(MEMBERS, "mongodb.members", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Every member as others reach it: name: host:27017, the same list on all, arbiter included") \
    X(PRIORITY, "mongodb.priority", INT, "1", 0, 1000, NULL, IO_CONFIG_PLAIN, \
      "Priority in elections that this member is to have; an arbiter has none") \
    X(DATA_DIR, "mongodb.data_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of the data; made by mongod, filled by its initial sync") \
    X(LISTEN, "mongodb.listen", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where mongod listens beside 127.0.0.1; default: the advertised address") \
    X(PORT, "mongodb.port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port of mongod, behind address translation; 0: as in mongodb.members") \
    X(CONNECT, "mongodb.connect", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Host name under which the agent reaches its own mongod; default: 127.0.0.1, with TLS the " \
      "one of mongodb.members, for which the certificate is") \
    X(CACHE, "mongodb.cache", SIZE, "0", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "WiredTiger's cache; 0: mongod's own default, for an arbiter 256MiB") \
    X(OPTIONS, "mongodb.options", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further options of mongod's configuration file: section.name: value") \
    X(CANARY, "mongodb.canary", BOOL, "yes", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "A primary writes a document of " MDB_CANARY_DB "." MDB_CANARY_COLLECTION \
      " every 2 s: shows a disk that hangs") \
    X(LOGIN, "mongodb.login", TEXT, "scram", 0, 0, "scram|x509|none", IO_CONFIG_PLAIN, \
      "How the agent logs in: users " MDB_USER_READ " and " MDB_USER_ACT ", its certificate, or " \
      "not at all (no access control; an arbiter)") \
    X(PASSWORDS, "mongodb.password_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "File with lines " MDB_USER_READ ":PASSWORD and " MDB_USER_ACT ":PASSWORD; mode 0600") \
    X(CLUSTER_AUTH, "mongodb.cluster_auth", TEXT, "keyfile", 0, 0, "keyfile|x509|none", \
      IO_CONFIG_PLAIN, "How members trust each other; none: no access control at all") \
    X(KEY_FILE, "mongodb.key_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Key of the members, the same on all; mode 0600; never the agent's own login") \
    X(MDB_TLS, "mongodb.tls", TEXT, "auto", 0, 0, "auto|on|off", IO_CONFIG_PLAIN, \
      "TLS between members and for clients; auto: off when all are on loopback, else on") \
    X(MDB_TLS_CERT, "mongodb.tls_cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Certificate of mongod (PEM), role member") \
    X(MDB_TLS_KEY, "mongodb.tls_key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)")
/* clang-format on */

#define MDB_KEY_ENUM(id, ...) MDB_KEY_##id,
enum mdb_key { MDB_KEY_FIRST = AGENT_KEY_COUNT - 1, MDB_KEYS(MDB_KEY_ENUM) MDB_KEY_COUNT };

/* Reads the engine's keys; looks at nothing but the configuration. Sets what the common part has
 * other defaults for. INVALID, DENIED with why. */
MUST_CHECK int mdb_engine_settings(const struct io_config *config, struct agent_settings *common,
                                   struct mdb_settings *ret, struct io_why *why);
/* What must hold on this host; reads the passwords, writes mongod.conf. To be called as the
 * server's user. */
MUST_CHECK int mdb_engine_check_host(const struct io_config *config,
                                     const struct agent_settings *common, struct mdb_settings *s,
                                     struct io_why *why);

struct mdb_engine {
    const struct mdb_settings *settings;
    struct mdb_threads *threads;
    struct mdb_db *db;
};
struct agent_engine mdb_engine_port(struct mdb_engine *engine);

#endif
