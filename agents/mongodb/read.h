/* SPDX-License-Identifier: Apache-2.0 */
/* What mongod's answers mean: BSON in, facts out. Pure but for libbson's iterators, which allocate
 * nothing; any thread.
 *
 * Nothing is believed beyond its form: what is missing, of another type, or too long counts as not
 * told; more members than we lead are PROTO. The moments (`at`) are the asker's to fill in.
 * Field names: https://www.mongodb.com/docs/manual/reference/command/hello/ ... replSetGetStatus/
 * ... replSetGetConfig/ ... serverStatus/ ... getDefaultRWConcern/ ... connectionStatus/
 */
#ifndef QUORATE_AGENTS_MONGODB_READ_H
#define QUORATE_AGENTS_MONGODB_READ_H

#include "agents/core/mongodb_types.h"
#include "base/slice.h"

/* topologyVersion, sent back with the next hello: that one is answered when something changed. */
struct mdb_topology {
    bool is_known;
    uint8_t process_id[12];
    int64_t counter;
};

/* All: 0, or PROTO (not a document, or one that cannot be this answer); *ret untouched then. */
MUST_CHECK int mdb_read_hello(struct slice bson, const struct base_name *set_name,
                              struct db_mongodb_hello *ret, struct mdb_topology *ret_topology);
MUST_CHECK int mdb_read_status(struct slice bson, struct db_mongodb_status *ret);
MUST_CHECK int mdb_read_config(struct slice bson, struct db_mongodb_config *ret);
/* ... and what an operator should know of it. */
struct mdb_config_advice {
    bool has_localhost;      /* a member named localhost or 127.x */
    bool is_majority_memory; /* writeConcernMajorityJournalDefault: false */
};
MUST_CHECK int mdb_read_config_advice(struct slice bson, struct mdb_config_advice *ret);

/* serverStatus. */
struct mdb_server {
    uint16_t dirty_permille; /* of WiredTiger's cache */
    uint32_t version;        /* 70005; 0: not told */
    uint32_t connections;
    uint32_t connections_max;
};
MUST_CHECK int mdb_read_server(struct slice bson, struct mdb_server *ret);
/* A write command's answer is ok also when the write was refused: its error code; 0: written. */
MUST_CHECK int mdb_read_write(struct slice bson, int32_t *ret_code);
/* find on local.oplog.rs, limit 1: the timestamp of the entry; 0: there is none. */
MUST_CHECK int mdb_read_oplog(struct slice bson, uint64_t *ret_ts);
/* listDatabases: is there one that mongod has not made by itself? */
MUST_CHECK int mdb_read_databases(struct slice bson, bool *ret_has_others);
/* getDefaultRWConcern. */
MUST_CHECK int mdb_read_concern(struct slice bson, enum msg_mongodb_default_concern *ret);

/* connectionStatus with privileges: bits of what is missing and of what is too much. */
enum mdb_right {
    MDB_RIGHT_STATUS = 1,     /* replSetGetStatus, replSetGetConfig on the cluster */
    MDB_RIGHT_SERVER = 2,     /* serverStatus */
    MDB_RIGHT_OPLOG = 4,      /* find on local.oplog.rs */
    MDB_RIGHT_CANARY = 8,     /* update, insert on quorate.canary */
    MDB_RIGHT_CONFIGURE = 16, /* replSetConfigure */
    MDB_RIGHT_STATE = 32,     /* replSetStateChange */
    MDB_RIGHT_SHUTDOWN = 64,
    MDB_RIGHT_CONCERN = 128, /* setDefaultRWConcern */
};
struct mdb_rights {
    unsigned has;      /* enum mdb_right */
    bool is_too_much;  /* root, __system, or any action on anything */
    bool is_logged_in; /* as anybody */
};
MUST_CHECK int mdb_read_rights(struct slice bson, struct mdb_rights *ret);

#endif
