/* SPDX-License-Identifier: Apache-2.0 */
/* MariaDB Galera as an engine of agents/shell: the database port in the loop, and the configuration
 * keys that only Galera has. Loop thread, or before the loop runs. */
#ifndef QUORATE_AGENTS_GALERA_ENGINE_H
#define QUORATE_AGENTS_GALERA_ENGINE_H

#include "agents/galera/db.h"
#include "agents/galera/mysql.h"
#include "agents/shell/runtime.h"

#define GAL_TTL_MS 6000
#define GAL_TTL_MIN_MS 5000 /* evs.suspect_timeout, and 3 s */
#define GAL_HEARTBEAT_MS 500

/* clang-format off */
#define GAL_KEYS(X) \
    X(SERVER, "galera.server", TEXT, "/usr/sbin/mariadbd", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "The server's program") \
    X(TOOLS_DIR, "galera.tools_dir", TEXT, "/usr/bin", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Directory of mariadb-install-db and mariadb-backup") \
    X(PROVIDER, "galera.provider", TEXT, "/usr/lib/galera/libgalera_smm.so", 0, 0, NULL, \
      IO_CONFIG_PLAIN, "Galera's library") \
    X(DATA_DIR, "galera.data_dir", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Data directory; made by mariadb-install-db or by a state transfer when it is empty") \
    X(DEFAULTS_FILE, "galera.defaults_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Own option file of the server, read in front of our settings") \
    X(PARAMETERS, "galera.parameters", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further settings of the server: name: value") \
    X(PROVIDER_OPTIONS, "galera.provider_options", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Further wsrep_provider_options, behind ours: gcache.size=1G;...") \
    X(LISTEN, "galera.listen", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "bind_address of the server; default: the advertised address") \
    X(PORT, "galera.port", INT, "3306", 1, 65535, NULL, IO_CONFIG_PLAIN, "Port of the server") \
    X(ADVERTISE_PORT, "galera.advertise_port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port at which others reach it, behind address translation; 0: galera.port") \
    X(SOCKET, "galera.socket", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Unix socket of the server; default: RUN_DIR/CLUSTER.MEMBER.mysql") \
    X(MEMBERS, "galera.members", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Group communication address of every member: name: host:4567, the same list on all") \
    X(IST_PORT, "galera.ist_port", INT, "0", 0, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port for incremental transfers to this member; 0: group communication's + 1") \
    X(SST_PORT, "galera.sst_port", INT, "4444", 1, 65535, NULL, IO_CONFIG_PLAIN, \
      "Port for state transfers to this member") \
    X(SST_METHOD, "galera.sst_method", TEXT, "mariabackup", 0, 0, "mariabackup|rsync", \
      IO_CONFIG_PLAIN, \
      "How a member without usable data gets them; the donor serves meanwhile with mariabackup, " \
      "not with rsync") \
    X(DONOR_READS, "galera.donor_reads", TEXT, "auto", 0, 0, "auto|yes|no", IO_CONFIG_PLAIN, \
      "/reader says yes while this member is a donor; auto: with mariabackup") \
    X(WEIGHT, "galera.weight", INT, "1", 1, 16, NULL, IO_CONFIG_PLAIN, \
      "pc.weight, unless the cluster's configuration says otherwise") \
    X(CANARY, "galera.canary", BOOL, "yes", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "The writer writes a row of quorate.heartbeat each second: shows a stall at once") \
    X(ACCOUNTS, "galera.accounts", TEXT, "password", 0, 0, "password|socket", IO_CONFIG_PLAIN, \
      "Who the agent is in the database: accounts with passwords, or the server's OS user, whom " \
      "unix_socket lets in without any") \
    X(PASSWORDS, "galera.password_file", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "File with lines check:PASSWORD, agent:PASSWORD, sst:PASSWORD, the same on all; mode 0600; " \
      "none with galera.accounts: socket") \
    X(GAL_TLS, "galera.tls", TEXT, "auto", 0, 0, "auto|on|off", IO_CONFIG_PLAIN, \
      "TLS between members and for transfers; auto: off when all are on loopback, else on") \
    X(GAL_TLS_CERT, "galera.tls_cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Certificate of the server (PEM), role member") \
    X(GAL_TLS_KEY, "galera.tls_key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)")
/* clang-format on */

#define GAL_KEY_ENUM(id, ...) GAL_KEY_##id,
enum gal_key { GAL_KEY_FIRST = AGENT_KEY_COUNT - 1, GAL_KEYS(GAL_KEY_ENUM) GAL_KEY_COUNT };

/* Reads the engine's keys; looks at nothing but the configuration. Sets what the common part has
 * other defaults for. INVALID, DENIED with why. */
MUST_CHECK int gal_engine_settings(const struct io_config *config, struct agent_settings *common,
                                   struct gal_settings *ret, struct io_why *why);
/* What must hold on this host; reads the passwords. To be called as the server's user. */
MUST_CHECK int gal_engine_check_host(const struct io_config *config,
                                     const struct agent_settings *common, struct gal_settings *s,
                                     struct io_why *why);
/* host.c: the passwords alone. */
MUST_CHECK int gal_engine_passwords(const struct io_config *config, struct gal_settings *s,
                                    struct io_why *why);

struct gal_engine {
    const struct gal_settings *settings;
    struct gal_mysql *mysql;
    struct gal_db *db;
};
struct agent_engine gal_engine_port(struct gal_engine *engine);

#endif
