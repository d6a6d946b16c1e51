/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL as an engine of agents/shell: the database port with its wake-ups in the loop, and the
 * configuration keys that only PostgreSQL has. Loop thread, or before the loop runs. */
#ifndef QUORATE_AGENTS_POSTGRESQL_ENGINE_H
#define QUORATE_AGENTS_POSTGRESQL_ENGINE_H

#include "agents/postgresql/db.h"
#include "agents/shell/runtime.h"

/* clang-format off */
#define PG_KEYS(X) \
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
    X(CONFIG_DIR, "postgresql.config_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of postgresql.conf and pg_hba.conf when they lie outside of the data directory " \
      "(Debian: /etc/postgresql/15/main); its files are read and never written") \
    X(ADVERTISE_PORT, "postgresql.advertise_port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port at which others reach this server, behind address translation; 0: postgresql.port") \
    X(TABLESPACES, "postgresql.tablespaces", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Where tablespaces of a clone's source lie here: directory there: directory here") \
    X(CLONE_METHODS, "postgresql.clone", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Commands that fill QUORATE_DATA_DIR from a backup, tried in their order before a base " \
      "backup: name: command") \
    X(CLONE_TIMEOUT, "postgresql.clone_timeout", DURATION, "0", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "How long each of them may take; 0: a day in all") \
    X(CLONE_RATE, "postgresql.clone_rate", SIZE, "0", 0, 1073741824, NULL, IO_CONFIG_PLAIN, \
      "Bytes a second of a base backup, 32kB to 1GiB; 0: as fast as it goes") \
    X(CLONE_CHECKPOINT, "postgresql.clone_checkpoint", TEXT, "fast", 0, 0, "fast|spread", \
      IO_CONFIG_PLAIN, "Checkpoint of the source before a base backup: at once, or spread out") \
    X(REMOTE_USER, "postgresql.remote_user", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Role for replication at the primary that a standby cluster follows, its password in the " \
      "line remote: of the password file; default: our own") \
    X(BOOT_ENCODING, "bootstrap.encoding", TEXT, "UTF8", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Encoding of a new database") \
    X(BOOT_LOCALE, "bootstrap.locale", TEXT, "C.UTF-8", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Locale of a new database") \
    X(BOOT_CHECKSUMS, "bootstrap.checksums", BOOL, "on", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Checksums of data pages in a new database") \
    X(BOOT_INITDB, "bootstrap.initdb", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further options of initdb: lc-collate, icu-locale and the like: value") \
    X(BOOT_USERS, "bootstrap.users", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Roles of a new database: name: options of CREATE ROLE, passwords in the password file") \
    X(BOOT_POST_INIT, "bootstrap.post_init", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Command run once on a new database before anybody else can connect; the connection is in " \
      "QUORATE_DSN and PGHOST") \
    X(BOOT_POST_INIT_TIMEOUT, "bootstrap.post_init_timeout", DURATION, "2m", 1000000, 240000000, \
      NULL, IO_CONFIG_PLAIN, "How long that command may take") \
    X(PG_TLS, "postgresql.tls", TEXT, "auto", 0, 0, "auto|off|verify-ca|verify-full", \
      IO_CONFIG_PLAIN, \
      "TLS between members; auto: off when everything is on loopback, else verify-full") \
    X(PG_TLS_CERT, "postgresql.tls_cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Certificate of the database server (PEM), role member") \
    X(PG_TLS_KEY, "postgresql.tls_key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)")
/* clang-format on */

#define PG_KEY_ENUM(id, ...) PG_KEY_##id,
enum pg_key { PG_KEY_FIRST = AGENT_KEY_COUNT - 1, PG_KEYS(PG_KEY_ENUM) PG_KEY_COUNT };

/* Reads the engine's keys; looks at nothing but the configuration. Sets what the common part cannot
 * know. INVALID with why. */
MUST_CHECK int pg_engine_settings(const struct io_config *config, struct agent_settings *common,
                                  struct pg_settings *ret, struct io_why *why);
/* The part of them that is about the life cycle; data_dir is set. */
MUST_CHECK int pg_engine_life(const struct io_config *config, struct pg_settings *s,
                              struct io_why *why);
/* What must hold on this host: programs of the right version, directories that are ours, passwords,
 * certificates. Makes directories, reads the passwords, writes pgpass. To be called as the
 * database's user. */
MUST_CHECK int pg_engine_check_host(const struct io_config *config,
                                    const struct agent_settings *common, struct pg_settings *s,
                                    struct io_why *why);

struct pg_engine {
    const struct pg_settings *settings;
    struct pg_db *db;
    struct io_wake *wake;
};
struct agent_engine pg_engine_port(struct pg_engine *engine);

#endif
