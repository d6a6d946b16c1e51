/* SPDX-License-Identifier: Apache-2.0 */
/* What the PostgreSQL shell was told by the agent's configuration file.
 *
 * Filled once by main before any thread starts, read-only from then on, so that workers share it
 * without a lock. Passwords are here and nowhere else in memory; they are never formatted into a
 * log line.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_SETTINGS_H
#define QUORATE_AGENTS_POSTGRESQL_SETTINGS_H

#include "agents/shell/files.h"
#include "agents/shell/passwords.h"
#include "base/types.h"

#define PG_PARAMETERS_MAX 64
#define PG_HBA_MAX 64
#define PG_LINE_MAX 256
#define PG_CLONE_METHODS_MAX 8
#define PG_TABLESPACES_MAX 16
#define PG_USERS_MAX 16
#define PG_INITDB_MAX 16
#define PG_COMMAND_MAX 1024

#define PG_ROLE_SUPERUSER "postgres"
#define PG_ROLE_REPLICATION "quorate_replication"
#define PG_ROLE_REWIND "quorate_rewind"
#define PG_ROLE_MONITOR "quorate_monitor"

struct pg_line {
    char text[PG_LINE_MAX];
};

struct pg_command {
    char text[PG_COMMAND_MAX];
};

/* What a new database is made with; unset: our defaults. */
struct pg_bootstrap {
    bool has_no_checksums;
    char encoding[32]; /* "": UTF8 */
    char locale[64];   /* "": C.UTF-8 */
    uint32_t initdb_count;
    struct pg_line initdb[PG_INITDB_MAX]; /* further options, "--name=value", checked */
    uint32_t users_count;
    struct pg_line users[PG_USERS_MAX];        /* names ... */
    struct pg_line user_options[PG_USERS_MAX]; /* ... and what stands behind CREATE ROLE, checked */
    struct pg_path password_file;              /* read once more for the users' passwords */
    struct pg_command post_init;               /* "": none */
    int64_t post_init_limit_us;
};

/* Ways to clone before the base backup, in order. */
struct pg_clone {
    uint32_t methods_count;
    struct pg_line names[PG_CLONE_METHODS_MAX];
    struct pg_command methods[PG_CLONE_METHODS_MAX];
    int64_t method_limit_us; /* of each; 0: none */
    uint32_t rate_kb;        /* of the base backup, a second; 0: as fast as it goes */
    bool is_spread;          /* its checkpoint does not hurry */
};

/* Directories of tablespaces that lie elsewhere here than on the source. */
struct pg_tablespaces {
    uint32_t count;
    struct pg_path from[PG_TABLESPACES_MAX];
    struct pg_path to[PG_TABLESPACES_MAX];
};

struct pg_config;

struct pg_settings {
    struct base_name cluster;
    struct base_name member;
    struct pg_path bin_dir;
    struct pg_path data_dir;
    struct pg_path socket_dir; /* of the database's Unix socket; at most 90 bytes */
    struct pg_path state_dir;  /* pgpass and what must survive a reboot */
    struct base_text listen;   /* as in listen_addresses */
    uint16_t port;
    char os_user[64]; /* whom peer authentication sees */
    bool is_tls;      /* replication and rewind go over TLS */
    bool is_tls_full; /* verify-full instead of verify-ca */
    struct pg_path tls_ca;
    struct pg_path tls_cert;
    struct pg_path tls_key;
    char password_superuser[AGENT_PASSWORD_MAX]; /* may be empty: peer only */
    char password_replication[AGENT_PASSWORD_MAX];
    char password_rewind[AGENT_PASSWORD_MAX];
    uint32_t segment_mb; /* --wal-segsize; 0: the default of 16 */
    uint32_t parameters_count;
    struct pg_line
        parameters[PG_PARAMETERS_MAX]; /* "name = 'value'" as in postgresql.conf, checked */
    uint32_t hba_count;
    struct pg_line hba[PG_HBA_MAX];
    struct pg_config *config; /* the cluster's document, see config.h; NULL: none is kept */
    /* life cycle */
    uint32_t version_major;    /* of the programs; 0: 15 */
    struct pg_path config_dir; /* where postgresql.conf lies outside of the directory; "": inside */
    uint16_t advertise_port;   /* at which others reach the server; 0: port */
    char remote_user[64];      /* at the primary of a standby cluster; "": our replication role */
    char password_remote[AGENT_PASSWORD_MAX];
    bool may_adopt;          /* a directory that was not made by us is taken over */
    bool is_adopted_running; /* ... only while its server runs */
    struct pg_bootstrap bootstrap;
    struct pg_clone clone;
    struct pg_tablespaces tablespaces;
};

/* True when `name` (any case) is set by us and so cannot be among the user's parameters. */
bool pg_settings_is_reserved(const char *name);
/* Adds one parameter, quoting the value. BASE_E_DENIED reserved, BASE_E_INVALID name,
 * BASE_E_TOOBIG. */
MUST_CHECK int pg_settings_add_parameter(struct pg_settings *settings, const char *name,
                                         const char *value);
MUST_CHECK int pg_settings_add_hba(struct pg_settings *settings, const char *line);
/* Reads "role:password" lines (superuser, replication, rewind). The file must be ours and closed to
 * others. One-line reason in `ret_why`. */
MUST_CHECK int pg_settings_read_passwords(struct pg_settings *settings, const char *path,
                                          struct base_text *ret_why);
/* Writes the pgpass file into state_dir; conninfo strings refer to it. */
MUST_CHECK int pg_settings_write_pgpass(const struct pg_settings *settings);
MUST_CHECK int pg_settings_pgpass_path(const struct pg_settings *settings, struct pg_path *ret);

#endif
