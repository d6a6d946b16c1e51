/* SPDX-License-Identifier: Apache-2.0 */
/* What agents and the arbiter say to each other, as plain structs.
 *
 * An agent sends a report to every quorum node once per heartbeat, and at once when something that
 * matters has happened (process exit, handback, vote ready, opened). Only the Raft leader answers,
 * with one order per report. An order carries the whole record, so that a lost one does no harm.
 * Grants follow section 2 of the safety rules: the agent's deadline is its own send time of the
 * report named in the grant, plus ttl, less margin.
 */
#ifndef QUORATE_PROTO_MSG_AGENT_H
#define QUORATE_PROTO_MSG_AGENT_H

#include "base/slice.h"
#include "base/types.h"
#include "proto/msg/galera.h"
#include "proto/msg/mongodb.h"
#include "proto/msg/names.h"

#define MSG_TIMELINES_MAX 64 /* openings remembered in a record */
#define MSG_TASKS_MAX 8      /* operators' orders to members under way in a cluster */

/* Which history a data directory holds and how far: compared by lineage first, LSN second. */
struct msg_position {
    uint64_t lineage; /* epoch in which the directory's last timeline was opened; 0 unknown */
    uint32_t timeline;
    uint64_t
        lsn; /* last byte + 1 that is on disk (received and flushed, or written by a primary) */
};

/* An attempt at a failover: higher (term, number) is later. {0, 0} means none. */
struct msg_attempt {
    uint64_t term;
    uint64_t number;
};

enum msg_record_state {
    MSG_RECORD_NONE = 0,
    MSG_RECORD_BOOTSTRAP = 1, /* the holder makes the database (initdb) */
    MSG_RECORD_RUNNING = 2,
    MSG_RECORD_SWITCHOVER = 3, /* the holder is asked to hand over to `target` */
};

/* ON: any `sync_count` of all standbys that may; FIRST: the `sync_count` best ones, by priority. */
enum msg_sync_mode { MSG_SYNC_ON = 0, MSG_SYNC_ASYNC = 1, MSG_SYNC_FIRST = 2 };

/* What follows a crash of the database (section 7); OWN: what the member's own file says. */
enum msg_on_crash {
    MSG_ON_CRASH_OWN = 0,
    MSG_ON_CRASH_AUTO = 1,
    MSG_ON_CRASH_FAILOVER = 2,
    MSG_ON_CRASH_RESTART = 3,
};

/* External fence command (section 3): run by the Raft leader's node. */
enum msg_fence_mode { MSG_FENCE_OFF = 0, MSG_FENCE_TRY = 1, MSG_FENCE_REQUIRE = 2 };

enum msg_task_kind {
    MSG_TASK_NONE = 0,
    MSG_TASK_RESTART = 1, /* the database, in its present role and epoch */
    MSG_TASK_RELOAD = 2,  /* settings read again */
    MSG_TASK_REINIT = 3,  /* a standby: its directory thrown away and cloned */
};

/* In at_wall_us: due by every clock. A leader whose wall clock is ahead must not put off what was
 * asked for at once until the next leader's has come so far. */
#define MSG_TASK_AT_ONCE INT64_C(1)

/* An operator's order to one member. It stands in the record until the member has reported its end
 * (report.task_id), or until it is cancelled. */
struct msg_task {
    uint64_t id; /* revision of the record that took it in: unique in the cluster */
    enum msg_task_kind kind;
    struct base_name member;
    bool is_pending_only; /* RESTART: nothing is done unless a restart is pending */
    int64_t at_wall_us;   /* when it is due, by the leader's wall clock; 0: begun. In a request 0:
                             at once */
};

/* One per database cluster, in the log. Changed only by compare-and-swap on (epoch, revision). */
struct msg_record {
    struct base_name cluster;
    uint64_t epoch;     /* 0: no record yet */
    uint64_t revision;  /* +1 with each change */
    uint64_t system_id; /* PostgreSQL's system identifier; 0 until the holder has reported it */
    enum msg_record_state state;
    struct base_name holder;
    uint64_t holder_instance;  /* random id of the holder's guard process */
    struct msg_position floor; /* position with which the holder was chosen */
    uint64_t floor_epoch; /* in which the floor was set: lineages from it to epoch contain it */
    uint32_t
        timeline; /* reserved for this epoch's opening; a winner on another number does not open */
    uint32_t timeline_highest; /* highest ever used or reserved */
    int64_t since_wall_us;     /* of the epoch; for people only */
    struct msg_names voters;   /* V */
    uint8_t votes_needed_r;    /* r: commits are on at least r of V; 0: asynchronous or not yet
                                  confirmed */
    bool is_opened;          /* the holder has opened for writes in this epoch (informative, and for
                                is_first) */
    struct base_name target; /* SWITCHOVER: who shall follow; empty: best one */
    /* Settings of the cluster, copied from its configuration so that agents need nothing else. */
    uint32_t ttl_ms;
    uint32_t ttl_longest_ms; /* leases of this epoch may still run that long; 0: ttl_ms */
    uint32_t heartbeat_ms;
    uint32_t freeze_max_ms;
    enum msg_sync_mode sync_mode;
    uint8_t sync_count; /* t, default 1 */
    bool is_sync_strict;
    uint64_t maximum_lag_bytes; /* asynchronous failover */
    enum msg_on_crash on_crash;
    uint32_t start_timeout_ms;     /* primary_start_timeout; 0: the member's own */
    uint32_t failover_interval_ms; /* least time between two automatic failovers; 0: none */
    bool is_failsafe;              /* section 9 */
    enum msg_fence_mode fence_mode;
    bool is_fence_trusted;   /* a fence that succeeded stands in for the end of the lease */
    bool is_standby_cluster; /* the holder follows a primary elsewhere and never opens */
    uint64_t role_epoch;     /* when that changed last; 0: never. What a directory holds from before
                                is of another history */
    uint64_t config_revision; /* of the configuration document that these come from; 0: the seed */
    /* What operators asked for. */
    bool is_paused;  /* section 10 */
    bool is_unarmed; /* since a pause: the holder's guard may be disarmed, its lease has no end
                        until it has reported it armed again */
    uint64_t fencing_epoch;   /* an external fence of this epoch has begun: it is granted no more */
    struct msg_names drained; /* neither candidates nor counted for synchronous replication */
    int64_t switchover_at_wall_us; /* scheduled switchover; 0: none */
    struct base_name switchover_to;
    uint8_t tasks_count;
    struct msg_task tasks[MSG_TASKS_MAX];
    /* Who must grant in a failsafe round, as the holder has confirmed it; candidates come from it
     * (section 9). */
    struct msg_names failsafe_members;
    enum msg_engine engine;
    struct msg_galera_record galera;   /* of the Galera engine; zeros else */
    struct msg_mongodb_record mongodb; /* of the MongoDB engine; zeros else */
    /* Restore id of the store under which this record was made or last confirmed; 0: of a store
     * that was never restored. Another one than the store's: unconfirmed. */
    uint64_t restore_id;
};

/* What the database process is doing, as the agent knows it. */
enum msg_db_state {
    MSG_DB_UNKNOWN = 0,
    MSG_DB_EMPTY = 1,    /* no data directory yet */
    MSG_DB_CREATING = 2, /* initdb, clone or rewind under way */
    MSG_DB_STOPPED = 3,
    MSG_DB_STARTING = 4, /* process there, not yet answering (recovery) */
    MSG_DB_STANDBY = 5,
    MSG_DB_PROMOTING = 6,
    MSG_DB_PRIMARY = 7, /* out of recovery; acknowledges when is_open */
    MSG_DB_STOPPING = 8,
    MSG_DB_FROZEN = 9,
    MSG_DB_FAILED = 10, /* cannot be used; `note` says why */
};

/* A standby as its primary sees it (pg_stat_replication). */
struct msg_standby {
    struct base_name member;
    uint64_t flush_lsn;
    bool is_streaming;
    bool is_confirmed; /* has flushed past the point where this holder opened: its catch-up is
                          proven */
};

struct msg_report {
    /* identity */
    struct base_name cluster;
    struct base_name member;
    uint64_t instance; /* of the guard; 0: no guard yet */
    uint64_t session;  /* random per agent process */
    uint64_t number;   /* 1, 2, 3 ... within the session */
    /* The last order taken in: its term, and the report of this session that it answered (0: none
     * yet). An order of a lower term, or of the same term that answers an older report, is dropped.
     * The echo tells the leader that no older wish for S and k comes into force after this report.
     */
    uint64_t order_term;
    uint64_t order_number;
    struct base_text host; /* address and ports for other members and for clients */
    uint16_t db_port;
    uint16_t http_port;
    /* right to write */
    uint64_t epoch_seen; /* highest ever, from disk */
    uint64_t epoch_held; /* the guard is or was armed for it and it was not handed back; 0 none */
    uint64_t epoch_handed_back; /* highest handed back by this instance after the tree was seen
                                   gone; 0 none */
    bool is_handback_clean;     /* the database was shut down in order; handback_lsn is its shutdown
                                   checkpoint's end */
    uint64_t handback_lsn;
    int64_t lease_left_us; /* for people; and 0 as long as the guard is not armed for epoch_held */
    bool is_tree_gone; /* the guard sees no process of the database, of this or an older instance */
    /* database */
    enum msg_db_state db_state;
    uint64_t system_id; /* 0 when there is no data directory */
    struct msg_position position;
    uint32_t timeline_highest; /* highest history file held, or number known to be reserved */
    uint64_t replay_lsn;
    bool is_open;          /* primary that accepts and may acknowledge writes under its grant */
    bool is_receiving;     /* WAL receiver is streaming */
    bool is_rejoin_needed; /* its history is not a prefix of the record's; rewind or clone is under
                              way or due */
    uint64_t opened_lsn;   /* holder: where it opened in epoch_held; 0 not yet */
    /* vote: the promise of section 4.2 is durable and the receiver is gone */
    struct msg_attempt promised;
    bool is_vote_valid; /* position is final for `promised` */
    bool is_end_unread; /* a standby that was started has not read all its own log yet: there may be
                           more on its disk than `position` says */
    /* holder's synchronous replication, as really in force in every walsender */
    bool is_sync_known;
    struct msg_names sync_names; /* S */
    uint8_t sync_count;          /* k */
    bool is_sync_barrier_passed; /* for exactly this S, k: t of T have on disk what was written
                                    before it was in force */
    uint8_t standbys_count;
    struct msg_standby standbys[MSG_MEMBERS_MAX];
    /* tags and comfort */
    bool is_nofailover;
    bool is_nosync;
    uint8_t priority;
    bool is_noloadbalance;
    bool is_clonefrom;
    struct base_name zone;
    struct base_name replicatefrom; /* upstream wished for instead of the holder */
    struct base_name upstream;      /* receiving from; empty: nobody */
    int64_t pause_worst_us;         /* longest stall seen by this agent */
    uint64_t config_revision;       /* of the configuration document in force here; 0: none */
    bool is_restart_pending;        /* some of it needs a restart of the database */
    bool is_paused;                 /* has taken the pause in: its guard is disarmed */
    bool is_adopted;                /* the guard watches a database that it did not start */
    bool is_write_failing;          /* the write probe fails: disk full or hung */
    bool is_watchdog_fed;
    uint32_t ttl_least_ms; /* the watchdog that it must have finds no room in a shorter lease; 0:
                              any will do */
    bool is_failsafe;      /* the right was last extended by a failsafe round */
    uint32_t db_version;   /* 150004; 0 unknown */
    uint32_t connections;  /* of clients; and how many may be */
    uint32_t connections_max;
    uint64_t disk_free_bytes; /* of the data directory's file system; 0 unknown */
    uint64_t task_id;         /* last task of the record that has ended here ... */
    int32_t task_status;      /* ... with 0 or BASE_E_* */
    uint64_t work_done_bytes; /* of a clone or rewind under way; total 0: none, or not known */
    uint64_t work_total_bytes;
    struct msg_names failsafe_members;     /* holder: whom it would ask */
    struct msg_position failsafe_position; /* member: the holder's, as its last failsafe round told
                                              it in the epoch on disk; zeros: none */
    struct base_text pending_restart;      /* "max_connections 100 -> 200, ..."; empty: none */
    struct base_text note;                 /* one line for people: last error or present work */
    /* seed for a cluster that does not exist yet; from the agent's file */
    bool has_seed;
    uint32_t seed_ttl_ms;
    uint32_t seed_heartbeat_ms;
    uint32_t seed_freeze_max_ms;
    enum msg_sync_mode seed_sync_mode;
    bool seed_sync_strict;
    uint8_t seed_sync_count;            /* 0: the default */
    uint32_t seed_failover_interval_ms; /* 0: the default; UINT32_MAX: none */
    bool seed_adopt; /* its database was there before: the cluster's, if there is none yet */
    enum msg_engine engine;
    struct msg_galera_report galera;   /* of the Galera engine; zeros else */
    struct msg_mongodb_report mongodb; /* of the MongoDB engine; zeros else */
};

/* What the arbiter wants of a member. The agent's table says how to get there from where it is. */
enum msg_goal {
    MSG_GOAL_NONE = 0,   /* nothing known yet: keep things as they are */
    MSG_GOAL_INIT = 1,   /* holder of a BOOTSTRAP record: initdb, start, report system id */
    MSG_GOAL_HOLD = 2,   /* holder: be the primary of record.epoch under the grant */
    MSG_GOAL_FOLLOW = 3, /* be a standby of the holder; clone or rewind when needed */
    MSG_GOAL_VOTE = 4,   /* promise `attempt`: take the receiver away, then report the position */
    MSG_GOAL_HAND_OVER =
        5, /* holder: CHECKPOINT, stop in order, hand back with the shutdown position */
    MSG_GOAL_REFUSED =
        6, /* must not take part; `reason` says why (other system id, doubled name ...) */
};

/* A member as the others need it to connect. */
struct msg_member {
    struct base_name member;
    struct base_text host;
    uint16_t db_port;
    uint16_t http_port;
    enum msg_db_state db_state;
    bool is_open;
    bool is_clonefrom;
    /* As it reported last; for health checks, upstreams and people. */
    bool is_heard; /* ... within two ttl */
    uint32_t timeline;
    uint64_t lsn; /* on disk */
    uint64_t replay_lsn;
    bool is_receiving;
    struct base_name upstream; /* receiving from; empty: nobody */
    bool is_nofailover;
    bool is_nosync;
    bool is_noloadbalance;
    uint8_t priority;
    bool is_restart_pending;
    uint64_t config_revision;
    enum msg_galera_state galera_state;
    enum msg_mongodb_state mongodb_state;
};

/* A cluster's configuration document: sent by the leader to a member whose report names another
 * revision than the record. The engine reads it; arbiter/settings.h what concerns the record. */
#define MSG_CONFIG_MAX 24576u
struct msg_config {
    struct base_name cluster;
    uint64_t term;     /* of the leader that sends it */
    uint64_t revision; /* of the record's config_revision */
    struct slice text; /* JSON; borrowed */
};

struct msg_order {
    uint64_t session; /* of the report that this answers */
    uint64_t number;
    uint64_t term; /* of the leader */
    struct msg_record record;
    enum msg_goal goal;
    struct base_text reason; /* REFUSED, or why a wait goes on */
    /* grant: only when record.epoch is held by the addressee's instance and all of section 2 holds
     */
    bool is_granted;
    uint64_t granted_epoch;
    int64_t ttl_us;
    /* VOTE */
    struct msg_attempt attempt;
    struct base_name catch_up_from; /* fetch what this member has before the vote; it has promised,
                                       too. Empty: nobody */
    /* The holder's sync settings wanted: S and k. */
    bool has_sync;
    struct msg_names sync_names;
    uint8_t sync_count;
    /* Attempts up to this one have ended: a promise of one of them is over. */
    struct msg_attempt ended;
    enum msg_galera_goal galera_goal;
    uint8_t galera_weight; /* pc.weight that the addressee shall have; 0: as it is */
    struct msg_mongodb_wish mongodb;
    uint8_t members_count;
    struct msg_member members[MSG_MEMBERS_MAX];
};

#endif
