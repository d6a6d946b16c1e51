/* SPDX-License-Identifier: Apache-2.0 */
/* What the Galera shell knows of its member: read once at start from the configuration, then only
 * read. Secrets (passwords) are never logged or printed; the files that hold them have mode 0600.
 */
#ifndef QUORATE_AGENTS_GALERA_SETTINGS_H
#define QUORATE_AGENTS_GALERA_SETTINGS_H

#include "agents/shell/files.h"
#include "agents/shell/passwords.h"
#include "base/types.h"

#define GAL_MEMBERS_MAX 16
#define GAL_PARAMETERS_MAX 64
#define GAL_LINE_MAX 512

/* Accounts of ours in the database. */
#define GAL_ACCOUNT_CHECK "quorate_check" /* looks, no grants */
#define GAL_ACCOUNT_AGENT "quorate_agent" /* acts */
#define GAL_ACCOUNT_SST "quorate_sst"     /* gives state transfers by mariabackup */

enum gal_sst { GAL_SST_RSYNC, GAL_SST_MARIABACKUP };

struct gal_peer {
    struct base_name member;
    char address[256]; /* host:port of group communication */
};

struct gal_settings {
    struct base_name cluster;
    struct base_name member;
    struct base_text host; /* as others reach it */
    struct pg_path server; /* mariadbd */
    struct pg_path tools_dir;
    struct pg_path data_dir;
    struct pg_path state_dir;
    struct pg_path run_dir;
    struct pg_path socket;
    struct pg_path pid_file;
    struct pg_path conf; /* what mariadbd is started with; ours, mode 0600 */
    struct pg_path provider;
    struct pg_path defaults_file; /* the user's own; empty: none */
    struct base_text listen;
    uint16_t port;
    uint16_t advertise_port;
    uint32_t peers_count;
    struct gal_peer peers[GAL_MEMBERS_MAX];
    char group_host[256]; /* own entry of the peers */
    uint16_t group_port;
    uint16_t ist_port;
    uint16_t sst_port;
    enum gal_sst sst;
    uint8_t weight;
    bool is_donor_read; /* /reader says yes while it serves as a donor */
    bool has_canary;
    bool may_adopt; /* data that were there before */
    bool is_tls;    /* between members and for transfers */
    struct pg_path tls_ca;
    struct pg_path tls_cert;
    struct pg_path tls_key;
    char provider_options[GAL_LINE_MAX]; /* the user's own, behind ours */
    uint32_t parameters_count;
    char parameters[GAL_PARAMETERS_MAX][GAL_LINE_MAX]; /* name = value */
    bool is_socket_login; /* no accounts of ours: the OS user's own, by unix_socket */
    char os_user[64];     /* of the configuration, then as it was found on the host */
    char check_password[AGENT_PASSWORD_MAX];
    char agent_password[AGENT_PASSWORD_MAX];
    char sst_password[AGENT_PASSWORD_MAX];
};

#endif
