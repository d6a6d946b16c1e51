/* SPDX-License-Identifier: Apache-2.0 */
/* What the MongoDB shell knows of its member: read once at start from the configuration, then only
 * read, also by the threads that talk to mongod. Secrets (passwords) are never logged or printed;
 * the files that hold them have mode 0600.
 */
#ifndef QUORATE_AGENTS_MONGODB_SETTINGS_H
#define QUORATE_AGENTS_MONGODB_SETTINGS_H

#include "agents/shell/files.h"
#include "agents/shell/passwords.h"
#include "base/types.h"
#include "proto/msg/mongodb.h"

#define MDB_OPTIONS_MAX 64
#define MDB_OPTION_MAX 512

/* Logins of ours in the database: the one that is always open looks, and writes one document of
 * quorate.canary; the other one is opened for an order. */
#define MDB_USER_READ "ha_read"
#define MDB_USER_ACT "ha_act"
#define MDB_CANARY_DB "quorate"
#define MDB_CANARY_COLLECTION "canary"

enum mdb_login {
    MDB_LOGIN_SCRAM, /* the two users above, by password */
    MDB_LOGIN_X509,  /* the agent's certificate is its user, with both roles */
    MDB_LOGIN_NONE,  /* no access control; an arbiter, which stores no users: hello alone */
};

enum mdb_cluster_auth { MDB_AUTH_NONE, MDB_AUTH_KEYFILE, MDB_AUTH_X509 }; /* among members */

struct mdb_settings {
    struct base_name cluster;
    struct base_name member;
    struct base_name set_name;
    struct base_text host; /* as others reach it */
    struct msg_mongodb_host self;
    struct base_text connect_host; /* where the agent reaches its own mongod */
    uint16_t port;                 /* of mongod on this host */
    uint16_t advertise_port;       /* as others reach it */
    uint16_t members_count;        /* that the file names, arbiter included */
    uint16_t priority;
    bool is_arbiter;
    bool is_watched; /* run by somebody else: never started, stopped, or killed */
    bool has_canary;
    bool is_loopback; /* all members: hosts named localhost are no mistake */
    struct pg_path mongod;
    struct pg_path data_dir; /* empty with is_watched: not looked at */
    struct pg_path state_dir;
    struct pg_path run_dir;
    struct pg_path conf;     /* what mongod is started with; ours, mode 0600 */
    struct pg_path pid_file; /* of a watched mongod; empty: its port alone */
    struct base_text listen; /* beside 127.0.0.1 */
    enum mdb_cluster_auth cluster_auth;
    struct pg_path key_file;
    bool is_tls; /* among members, and of clients */
    struct pg_path tls_ca;
    struct pg_path tls_cert; /* of the server */
    struct pg_path tls_key;
    struct pg_path tls_pem; /* both in one file, as mongod wants it; ours, mode 0600 */
    enum mdb_login login;
    struct pg_path login_pem; /* x.509: the agent's own certificate and key; ours, mode 0600 */
    struct pg_path login_cert;
    struct pg_path login_key;
    char read_password[AGENT_PASSWORD_MAX];
    char act_password[AGENT_PASSWORD_MAX];
    uint64_t cache_bytes; /* of WiredTiger; 0: mongod's own default */
    uint32_t options_count;
    char options[MDB_OPTIONS_MAX][MDB_OPTION_MAX]; /* the user's own: section.name=value */
};

#endif
