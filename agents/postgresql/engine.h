/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL as an engine of agents/shell: the database port with its wake-ups in the loop, and the
 * configuration keys that only PostgreSQL has. Loop thread, or before the loop runs. */
#ifndef QUORATE_AGENTS_POSTGRESQL_ENGINE_H
#define QUORATE_AGENTS_POSTGRESQL_ENGINE_H

#include "agents/postgresql/db.h"
#include "agents/shell/runtime.h"

/* clang-format off */
#define PG_KEYS(X) \
    X(USER, "user", TEXT, "postgres", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "User that agent, guard and database run as when started as root") \
    X(GUARD, "guard.program", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Path of quorate-guard; default: beside this program") \
    X(CGROUP, "guard.cgroup", TEXT, "auto", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Delegated cgroup v2 directory for the freezer; auto looks for one, none uses signals") \
    X(BIN_DIR, "postgresql.bin_dir", TEXT, "/usr/lib/postgresql/15/bin", 0, 0, NULL, \
      IO_CONFIG_PLAIN, \
      "Directory of postgres, initdb, pg_basebackup, pg_rewind") \
    X(DATA_DIR, "postgresql.data_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Data directory; made by initdb or by a clone when it is empty") \
    X(LISTEN, "postgresql.listen", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "listen_addresses of the server; default: 127.0.0.1 and the advertised address") \
    X(PORT, "postgresql.port", INT, "5432", 1, 65535, NULL, IO_CONFIG_PLAIN, "Port of the server") \
    X(SOCKET_DIR, "postgresql.socket_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of the server's Unix socket; default: run_dir") \
    X(PASSWORDS, "postgresql.password_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "File with lines ROLE:PASSWORD for replication, rewind and superuser; mode 0600") \
    X(PARAMETERS, "postgresql.parameters", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further settings of the server: name: value") \
    X(HBA, "postgresql.hba", LIST, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Lines of pg_hba.conf for clients; behind our own ones") \
    X(WAL_SEGMENT, "postgresql.wal_segment_mb", INT, "4", 0, 1024, NULL, IO_CONFIG_PLAIN, \
      "Size of WAL segments at initdb, a power of two: a failover sends and copies up to one; " \
      "0: the server's default") \
    X(PG_TLS, "postgresql.tls", TEXT, "auto", 0, 0, "auto|off|verify-ca|verify-full", \
      IO_CONFIG_PLAIN, \
      "TLS between members; auto: off when everything is on loopback, else verify-ca") \
    X(PG_TLS_CERT, "postgresql.tls_cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Certificate of the database server (PEM), role member") \
    X(PG_TLS_KEY, "postgresql.tls_key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)")
/* clang-format on */

#define PG_KEY_ENUM(id, ...) PG_KEY_##id,
enum pg_key { PG_KEY_FIRST = AGENT_KEY_COUNT - 1, PG_KEYS(PG_KEY_ENUM) PG_KEY_COUNT };

/* Reads the engine's keys; looks at nothing but the configuration. */
MUST_CHECK int pg_engine_settings(const struct io_config *config,
                                  const struct agent_settings *common, struct pg_settings *ret,
                                  struct io_why *why);
/* What must hold on this host: programs of the right version, directories that are ours, passwords,
 * certificates. Makes directories, reads the passwords, writes pgpass. To be called as the
 * database's user. */
MUST_CHECK int pg_engine_check_host(const struct io_config *config,
                                    const struct agent_settings *common, struct pg_settings *s,
                                    struct io_why *why);

struct pg_engine {
    const struct pg_settings *settings;
    int64_t interval_us; /* of probes, at first */
    struct pg_db *db;
    struct io_wake *wake;
    void *runtime;
};
struct agent_engine pg_engine_port(struct pg_engine *engine);

#endif
