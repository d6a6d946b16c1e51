/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a database and what a probe sees of it: the plain types of agents/port_db.h,
 * kept where the core may include them. The port says how orders and views are used.
 */
#ifndef QUORATE_AGENTS_CORE_DB_TYPES_H
#define QUORATE_AGENTS_CORE_DB_TYPES_H

#include "agents/core/galera_types.h"
#include "agents/core/mongodb_types.h"
#include "base/error.h"
#include "proto/msg/agent.h"

enum db_order_kind {
    DB_ORDER_NONE = 0,
    DB_ORDER_INIT,   /* initdb, roles, base configuration; directory must be empty */
    DB_ORDER_CLONE,  /* base backup from `upstream` into an emptied directory, standby configuration
                      */
    DB_ORDER_REWIND, /* checkpoint on upstream, mark directory, pg_rewind, standby configuration,
                        unmark */
    DB_ORDER_PREPARE_STANDBY, /* stopped: standby signal, upstream (or none: detached),
                                 unfulfillable sync names */
    DB_ORDER_PREPARE_PRIMARY, /* stopped, restart in place or after INIT: no standby signal, given
                                 sync settings */
    DB_ORDER_FOLLOW,          /* running standby: point the receiver at `upstream`, reload */
    DB_ORDER_DETACH,   /* take the receiver's connection setting out, durably (written and synced),
                          reload if running; completes when no receiver process is left */
    DB_ORDER_PROMOTE,  /* reserve `timeline` (history files for the numbers passed over), promote;
                          completes when out of recovery; fails with CONFLICT when the timeline came
                          out otherwise */
    DB_ORDER_SET_SYNC, /* running primary: put names/count in force; completes when a new session
                          shows it and every walsender has handled two replies since, or was
                          restarted */
    DB_ORDER_BARRIER, /* take the WAL position, wait until `sync_count` of `sync_names` have flushed
                         it */
    DB_ORDER_CHECKPOINT,
    DB_ORDER_CLIENTS_OUT, /* frozen or fenced: refuse new and cut standing client connections where
                             possible; ends with the next SET_SYNC or with the process */
    DB_ORDER_CONFIGURE,   /* put document `config_revision`, handed over by db_port.configure, into
                             force: files written and synced, a running server reloaded; what
                             needs a restart stays pending, and the view says so */
    DB_ORDER_CANCEL,      /* stop the running order; it completes with CANCELED */
    /* MariaDB Galera; besides them INIT (mariadb-install-db) and PROMOTE: a read with
       wsrep_sync_wait, queries accepted again, read_only off. */
    DB_ORDER_GALERA_RECOVER,   /* stopped: --wsrep-recover; the view has the position then */
    DB_ORDER_GALERA_PREPARE,   /* stopped: gvwstate.dat moved aside, settings of the next start */
    DB_ORDER_GALERA_CLEAR,     /* stopped: grastate.dat moved aside: only a transfer helps then */
    DB_ORDER_GALERA_FENCE,     /* ALL_KILL within 1 s; done then. read_only follows, however late */
    DB_ORDER_GALERA_UNFENCE,   /* queries accepted again; stays read_only */
    DB_ORDER_GALERA_DEMOTE,    /* read_only within its limit, then sessions cut */
    DB_ORDER_GALERA_BOOTSTRAP, /* running and not Primary: pc.bootstrap */
    DB_ORDER_GALERA_WEIGHT,    /* pc.weight of the running server */
    /* MongoDB: to the running server, but for WIPE. Done when the server has answered (a change of
       the configuration: when it was read back); what came of it the views tell. */
    DB_ORDER_MONGODB_WIPE,     /* stopped: the data moved aside, an empty directory in their place;
                                  one older copy is kept */
    DB_ORDER_MONGODB_INITIATE, /* replSetInitiate with itself alone, version 1 */
    DB_ORDER_MONGODB_RECONFIG, /* `change` on exactly the expected configuration, version + 1; of
                                  SURVIVORS with force: sent once, never again by the port */
    DB_ORDER_MONGODB_CONCERN,  /* setDefaultRWConcern */
    DB_ORDER_MONGODB_STEP_DOWN,
    DB_ORDER_MONGODB_STEP_UP,
    DB_ORDER_MONGODB_FREEZE,
    DB_ORDER_MONGODB_ABORT_CATCHUP,
    DB_ORDER_MONGODB_SHUTDOWN, /* the command; the guard tells when the process has ended */
};

/* clang-format off */
/* All of MongoDB's, for a switch of another engine. */
#define DB_CASES_OF_MONGODB \
    case DB_ORDER_MONGODB_WIPE: \
    case DB_ORDER_MONGODB_INITIATE: \
    case DB_ORDER_MONGODB_RECONFIG: \
    case DB_ORDER_MONGODB_CONCERN: \
    case DB_ORDER_MONGODB_STEP_DOWN: \
    case DB_ORDER_MONGODB_STEP_UP: \
    case DB_ORDER_MONGODB_FREEZE: \
    case DB_ORDER_MONGODB_ABORT_CATCHUP: \
    case DB_ORDER_MONGODB_SHUTDOWN
/* clang-format on */

struct db_order {
    uint64_t id; /* the caller's, unique within the process */
    enum db_order_kind kind;
    struct base_name upstream_member;
    struct base_text upstream_host;
    uint16_t upstream_port;
    bool is_remote; /* CLONE, PREPARE_STANDBY, FOLLOW: upstream is the primary elsewhere that the
                       configuration document names (standby_cluster), not a member */
    bool is_upstream_only;  /* CLONE: a base backup of the upstream, no method of the user's: this
                               member may have acknowledged what a backup lacks */
    bool is_source_standby; /* CLONE: the upstream is no holder, or that of a standby cluster: where
                               it is open for writes, somebody has opened it by hand, and nothing
                               is copied from it */
    uint32_t timeline;      /* PROMOTE */
    uint64_t epoch;         /* for files that remember it */
    struct msg_names sync_names;
    uint8_t
        sync_count; /* above 0 with fewer names than that: nothing is acknowledged, never "off" */
    bool is_gated;  /* PREPARE_PRIMARY after a crash: no clients but standbys and our own sessions
                       until the next  BARRIER has completed, which lifts it */
    bool is_raise_held; /* PREPARE_PRIMARY: parameters that standbys must have at least as high
                           (max_connections ...) stay at what they were, though more is asked for:
                           the standbys do not have it yet */
    uint64_t config_revision; /* CONFIGURE; 0 or the one in force: files written again, reload */
    struct db_galera_order galera;
    struct db_mongodb_order mongodb;
    int64_t timeout_us;
};

struct db_done {
    uint64_t id;
    enum db_order_kind kind;
    int status;            /* 0 or BASE_E_* */
    int32_t code;          /* the server's own error number; 0: none */
    struct base_text text; /* one line: what failed, on what; or what was done */
};

/* What the last probe saw; facts only. */
struct db_view {
    uint64_t
        orders_done;    /* id of the last order that had completed when this probe began; 0 none */
    bool has_directory; /* a data directory with a control file */
    bool is_directory_bad; /* half rewound, half cloned or damaged: only a clone helps */
    uint64_t system_id;
    bool is_process;   /* a root process is there */
    bool is_answering; /* a query was answered within the probe's time limit */
    bool is_in_recovery;
    bool is_shut_down_clean; /* control file says so; shutdown_lsn is the end of its checkpoint
                                record */
    uint64_t shutdown_lsn;
    bool was_primary; /* stopped, and the control file says that it ran read-write last; also a
                         fresh copy of a running primary says so */
    uint32_t timeline;
    uint64_t lsn; /* flushed by the receiver / current on a primary / end of WAL when stopped */
    uint64_t replay_lsn;
    uint32_t timeline_highest;
    uint64_t fork_lsn; /* where `timeline` left its parent; 0 for timeline 1 */
    bool is_receiving;
    int32_t receiver_pid; /* of the one that receives; 0: not known */
    bool has_receiver;    /* a WAL receiver process exists */
    bool
        is_wal_end_reached; /* standby: replay has read all WAL on disk since the start (the startup
                               process waits for more, or a receiver has run): `lsn` is the end */
    struct base_name receiving_from;
    bool is_sync_known;
    struct msg_names sync_names;
    uint8_t sync_count;
    uint8_t standbys_count;
    struct msg_standby standbys[MSG_MEMBERS_MAX]; /* is_confirmed is the core's to fill */
    uint64_t config_revision; /* of the document in force in the files; 0: none */
    bool is_restart_pending;  /* some of it comes into force with a restart only */
    bool is_write_failing;    /* primary: writing does not work, or not within its limit */
    uint32_t write_stuck_ms;  /* for how long a new connection, or a write, has not come through; 0:
                                 they do */
    uint32_t version;         /* 150004; 0 unknown */
    uint32_t connections;     /* of clients */
    uint32_t connections_max;
    uint64_t disk_free_bytes; /* of the data directory's file system; 0 unknown */
    uint64_t work_done_bytes; /* of the clone or rewind under way; total 0: none, or not known */
    uint64_t work_total_bytes;
    struct base_text note;
    struct base_text pending_restart; /* "max_connections 100 -> 200, ..."; empty: none */
    struct base_text warning;         /* stands until it is mended: for people, no decision */
    struct db_galera_view galera;
    struct db_mongodb_view mongodb;
};

#endif
