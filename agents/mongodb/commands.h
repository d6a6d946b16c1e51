/* SPDX-License-Identifier: Apache-2.0 */
/* Every command that we send to a mongod, one table: its name, the right that it needs, the limit
 * that goes with it to the server (maxTimeMS) and the one after which we no longer wait.
 *
 * The table makes the commands; roles.c has what stands behind each right.
 * Manual: https://www.mongodb.com/docs/manual/reference/command/
 */
#ifndef QUORATE_AGENTS_MONGODB_COMMANDS_H
#define QUORATE_AGENTS_MONGODB_COMMANDS_H

#include "agents/core/mongodb_types.h"
#include "agents/mongodb/read.h"
#include "agents/mongodb/settings.h"
#include "base/slice.h"

/* clang-format off */
/*   id             command                   database  right        max_ms wait_ms */
#define MDB_ASKS(X) \
    X(HELLO,         "hello",                  "admin",  0,                   0,  2000) \
    X(IS_MASTER,     "isMaster",               "admin",  0,                   0,  2000) \
    X(STATUS,        "replSetGetStatus",       "admin",  MDB_RIGHT_STATUS, 1500,  2000) \
    X(CONFIG,        "replSetGetConfig",       "admin",  MDB_RIGHT_STATUS, 1500,  2000) \
    X(SERVER,        "serverStatus",           "admin",  MDB_RIGHT_SERVER, 2000,  2500) \
    X(OPLOG_FIRST,   "find",                   "local",  MDB_RIGHT_OPLOG,  2000,  2500) \
    X(OPLOG_LAST,    "find",                   "local",  MDB_RIGHT_OPLOG,  2000,  2500) \
    X(CONCERN,       "getDefaultRWConcern",    "admin",  0,                1500,  2000) \
    X(DATABASES,     "listDatabases",          "admin",  0,                1500,  2000) \
    X(RIGHTS,        "connectionStatus",       "admin",  0,                1500,  2000) \
    X(CANARY,        "update",                 MDB_CANARY_DB, MDB_RIGHT_CANARY, 2000, 2500) \
    X(INITIATE,      "replSetInitiate",        "admin",  MDB_RIGHT_CONFIGURE, 15000, 18000) \
    X(RECONFIG,      "replSetReconfig",        "admin",  MDB_RIGHT_CONFIGURE, 10000, 12000) \
    X(SET_CONCERN,   "setDefaultRWConcern",    "admin",  MDB_RIGHT_CONCERN, 10000, 12000) \
    X(STEP_DOWN,     "replSetStepDown",        "admin",  MDB_RIGHT_STATE,       0, 15000) \
    X(STEP_UP,       "replSetStepUp",          "admin",  MDB_RIGHT_STATE,   10000, 12000) \
    X(FREEZE,        "replSetFreeze",          "admin",  MDB_RIGHT_STATE,    3000,  4000) \
    X(ABORT_CATCHUP, "replSetAbortPrimaryCatchUp", "admin", MDB_RIGHT_STATE, 3000,  4000) \
    X(SHUTDOWN,      "shutdown",               "admin",  MDB_RIGHT_SHUTDOWN,    0, 18000)
/* clang-format on */

enum mdb_ask {
#define MDB_ASK_ENUM(id, ...) MDB_ASK_##id,
    MDB_ASKS(MDB_ASK_ENUM)
#undef MDB_ASK_ENUM
        MDB_ASK_COUNT
};

struct mdb_ask_row {
    const char *name;
    const char *db;
    unsigned right; /* enum mdb_right; 0: any login, or none */
    uint32_t max_ms;
    uint32_t wait_ms;
};
const struct mdb_ask_row *mdb_ask_row(enum mdb_ask ask);

/* What some of them need. Borrowed during the call. */
struct mdb_ask_args {
    const struct mdb_topology *topology; /* HELLO: answered when it is another one; NULL: at once */
    uint32_t await_ms;                   /* ... or after that */
    bool is_primary;                     /* CONFIG: with commitmentStatus, which primaries have */
    uint64_t number;                     /* CANARY */
    const struct db_mongodb_order *order;
    const struct base_name *set_name; /* INITIATE */
    struct slice config;              /* RECONFIG: answer of replSetGetConfig */
};

/* The command as BSON. TOOBIG: it does not fit. RECONFIG: as mdb_change_put says. */
MUST_CHECK int mdb_ask_put(enum mdb_ask ask, const struct mdb_ask_args *args, struct buf *b);

#endif
