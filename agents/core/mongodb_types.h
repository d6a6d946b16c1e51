/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a mongod and what a probe sees of it: the parts of struct db_order and struct
 * db_view (db_types.h) of an agent whose engine is MongoDB. Facts only; what they mean is
 * agents/core/mongodb_facts.c's to say.
 *
 * Each group of facts says when it was asked for, by this host's clock (base_mono): the moment
 * right before the request was sent, of a long poll that of the poll's begin (so that one may last
 * a second at most). What was asked for before an order was given, or before this host stood still,
 * proves nothing of what is after it.
 */
#ifndef QUORATE_AGENTS_CORE_MONGODB_TYPES_H
#define QUORATE_AGENTS_CORE_MONGODB_TYPES_H

#include "proto/msg/agent.h"

/* The one change that a DB_ORDER_MONGODB_RECONFIG makes. */
enum db_mongodb_change {
    DB_MONGODB_CHANGE_NONE = 0,
    DB_MONGODB_ADD,      /* `host` with votes, priority, is_arbiter; its _id is above all there are;
                            there already as it shall be: done */
    DB_MONGODB_MEMBER,   /* `host` gets votes and priority; nothing else of it changes */
    DB_MONGODB_REMOVE,   /* `host` leaves */
    DB_MONGODB_TIMEOUTS, /* settings.electionTimeoutMillis */
    DB_MONGODB_SURVIVORS, /* forced: `hosts` stay as they are, everybody else leaves; `host`, one of
                             them, gets `votes` and `priority_x10` where it has less, so that it can
                             lead */
};

/* The server is asked once more right before: BASE_E_CONFLICT, and nothing is done, where its term
 * is not expected_term (0: any), or its configuration not expected_config ({0, 0}: any; none, for
 * INITIATE). BASE_E_STATE: it is not what the order needs (a primary, a secondary, not initiated).
 * A connection that is dropped by an order which does that (a step-down, a shutdown, a
 * reconfiguration) is no failure. */
struct db_mongodb_order {
    uint64_t expected_term;
    struct msg_mongodb_version expected_config;
    enum db_mongodb_change change; /* RECONFIG */
    struct msg_mongodb_host host;  /* as in the configuration; INITIATE: own name in it */
    uint8_t votes;
    uint16_t priority_x10;
    bool is_arbiter;
    uint32_t election_timeout_ms; /* TIMEOUTS, INITIATE; 0: as it is */
    bool is_forced;               /* STEP_DOWN, SHUTDOWN */
    uint32_t seconds;             /* STEP_DOWN: not again before; FREEZE: 0 ends it */
    uint32_t catch_up_s;          /* STEP_DOWN, SHUTDOWN, polite: wait for a secondary */
    bool is_majority;             /* CONCERN: w:majority, else w:1 */
    uint8_t hosts_count;          /* SURVIVORS; one that the configuration lacks: NOTFOUND */
    struct msg_mongodb_host hosts[MSG_MONGODB_PEERS_MAX];
};

/* replSetGetStatus, of one member's opinion. */
struct db_mongodb_status {
    struct base_mono at; /* asked; LONG_AGO: none */
    uint8_t state;       /* myState: 0 STARTUP .. 10 REMOVED */
    uint64_t term;
    uint8_t majority; /* majorityVoteCount; 0: not told */
    struct msg_mongodb_optime applied, committed;
    struct msg_mongodb_host sync_source;
    uint16_t sync_permille; /* of an initial sync under way */
    bool is_too_stale;      /* RECOVERING, and says that no source has what it needs */
    bool is_maintenance;    /* RECOVERING by replSetMaintenance */
    /* Opinions of the members (state, is_healthy, heard_ms, ping_ms, optime; heard_ms is of the
     * moment `at`), by host; what the configuration says of them is db_mongodb_config's. */
    uint8_t peers_count;
    struct msg_mongodb_peer peers[MSG_MONGODB_PEERS_MAX];
};

/* replSetGetConfig; kept by the port as long as the version in hello or status is the same, so that
 * it is read again only when it changed, on a primary every few seconds for is_committed. It names
 * one member at least. */
struct db_mongodb_config {
    struct base_mono at; /* asked; LONG_AGO: none */
    struct msg_mongodb_version version;
    bool is_committed; /* a primary's commitmentStatus; false elsewhere */
    uint8_t set_id[12];
    uint32_t election_timeout_ms, heartbeat_ms;
    uint8_t peers_count;
    struct msg_mongodb_peer peers[MSG_MONGODB_PEERS_MAX]; /* by id */
};

/* hello (isMaster where there is none): needs no login. */
struct db_mongodb_hello {
    struct base_mono at; /* asked; LONG_AGO: none */
    bool is_writable, is_secondary, is_arbiter;
    bool is_in_set;         /* it knows a configuration, and itself in it */
    bool is_set_name_wrong; /* of another set than the file names */
    uint64_t term;          /* of the electionId; 0: none (not a primary) */
    uint64_t version;       /* setVersion; 0: none */
    struct msg_mongodb_host self, primary;
    uint8_t process_id[12]; /* of topologyVersion; zeros: not told */
    uint16_t wire_version;
    struct msg_mongodb_optime applied, committed; /* lastWrite: opTime, majorityOpTime ... */
    int64_t applied_ms, committed_ms;             /* ... their dates by the wall; 0: not told */
};

struct db_mongodb_view {
    bool is_login_refused; /* wrong credentials, or a right that is missing: only hello counts */
    bool is_login_used;    /* false: none is configured; hello alone is what there is */
    bool has_databases;    /* others than admin, config and local were seen in it */
    /* The process is there, its port takes connections, and hello was not answered in time, or not
     * in full: how often in a row, and since when (asked). An answered hello ends it. */
    uint32_t misses;
    struct base_mono silent_since;
    struct db_mongodb_hello hello;
    struct db_mongodb_status status;
    struct db_mongodb_config config;
    /* The canary's write (w:1, own database), every 2 s while hello says writable. */
    struct base_mono canary_at;    /* asked: the last one that came through; LONG_AGO: none */
    struct base_mono canary_since; /* asked: the first one since then that has not come through,
                                      late (2 s) or refused; NEVER: none. A refusal because it is no
                                      primary, or of the login, is none */
    uint32_t canary_misses;        /* in a row */
    /* every minute, where the login may */
    uint32_t oplog_s;    /* window; 0: not known */
    uint64_t data_bytes; /* its data directory's on the disk; 0: not known */
    uint16_t cache_dirty_permille;
    enum msg_mongodb_default_concern concern;
    struct base_mono concern_at; /* asked; read at once behind a CONCERN order */
    int64_t certificate_end_us;  /* of the member's own, wall clock; 0: no TLS, or not known */
    uint32_t rollback_files;     /* in its rollback directory, all databases */
    uint32_t commands_failed;    /* since the agent's start */
    int32_t code;                /* MongoDB's error code of the last failure; 0: none */
};

#endif
