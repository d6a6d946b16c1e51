/* SPDX-License-Identifier: Apache-2.0 */
/* What agents of MariaDB Galera members and the arbiter say to each other beside agent.h, as plain
 * structs: parts of struct msg_report, msg_record and msg_order of a cluster whose engine is
 * Galera.
 *
 * Galera replicates, certifies and keeps its own quorum. The record names one writer (holder, epoch
 * and lease as for every engine) and serialises bootstraps: a generation is a history of the data,
 * and every bootstrap begins a new one by an entry of the log. Galera's own files cannot tell two
 * histories apart (same uuid, same seqno, different rows), so each member keeps the generation it
 * belongs to on disk, written and synced before mariadbd is started.
 */
#ifndef QUORATE_PROTO_MSG_GALERA_H
#define QUORATE_PROTO_MSG_GALERA_H

#include "base/types.h"

/* Which database a cluster runs: in every report and in the record. */
enum msg_engine { MSG_ENGINE_POSTGRESQL = 0, MSG_ENGINE_GALERA = 1, MSG_ENGINE_MONGODB = 2 };

#define MSG_GALERA_NODES_MAX 17 /* members of a view, with one arbitrator (garbd) */

/* Cluster state uuid and sequence number. */
struct msg_galera_position {
    uint8_t uuid[16]; /* all zero: none */
    int64_t seqno;    /* -1: not known */
};

struct msg_galera_node {
    struct base_name node; /* wsrep_node_name: the member's name, or the arbitrator's */
    uint8_t weight;        /* pc.weight */
};

/* A Primary view as its members saw it, in the generation of whoever tells it. */
struct msg_galera_view {
    uint64_t conf_id; /* wsrep_cluster_conf_id; 0: no view known */
    uint8_t count;
    struct msg_galera_node nodes[MSG_GALERA_NODES_MAX]; /* by name, none twice */
};

/* What a member is, by evidence. */
enum msg_galera_state {
    MSG_GALERA_UNKNOWN = 0,
    MSG_GALERA_DOWN = 1, /* no process; position read from its files, or recovered */
    MSG_GALERA_NEEDS_SST =
        2,                  /* no process; no usable data, a broken transfer, another generation */
    MSG_GALERA_WAITING = 3, /* process there, SQL closed for long: does not listen to SIGTERM */
    MSG_GALERA_JOINING = 4,
    MSG_GALERA_SYNCED = 5,
    MSG_GALERA_DONOR = 6,
    MSG_GALERA_STALLED = 7, /* views change, or writes do not come through */
    MSG_GALERA_NONPRIM = 8, /* process there, no Primary component */
    MSG_GALERA_INCONSISTENT = 9,
    MSG_GALERA_SUSPECT_NIL = 10, /* Primary without a state uuid: formed by nobody's grant */
    MSG_GALERA_STARTING = 11,    /* process there, not for long */
};

struct msg_galera_report {
    enum msg_galera_state state;
    struct msg_galera_position position; /* last committed, or what the files or recovery say */
    bool is_position_recovered; /* DOWN: position is proven (orderly stop, or --wsrep-recover) */
    uint64_t generation;        /* stamp on disk: the history that the data belong to; 0: none */
    uint64_t inhibited; /* starts and bootstraps below this generation are refused here, on disk */
    bool is_fenced; /* nobody can write or read here: no process, or not Primary and all rejected */
    bool is_primary; /* in a Primary component now */
    struct msg_galera_view
        view;     /* the last Primary view this member belonged to; from disk when down */
    bool is_left; /* DOWN: its last stop was in order while it was in `view`: the others' quorum
                     no longer counts it */
    bool is_safe_to_bootstrap; /* grastate.dat's flag: a tie-break, never enough */
    bool is_read_only;
    bool is_rejecting; /* wsrep_reject_queries is in force */
    bool is_desynced;
    bool is_flow_paused; /* flow control holds the cluster, for more than 2 s */
    bool is_causal;      /* a read with wsrep_sync_wait came through within 2 s */
    uint8_t size;        /* wsrep_cluster_size */
    uint8_t weight;      /* own pc.weight */
    uint32_t recv_queue;
    uint32_t stalled_ms;       /* 0: not stalled */
    uint64_t data_bytes;       /* of the data directory; 0 unknown */
    uint64_t grant_generation; /* last grant carried out here ... */
    int32_t grant_status;      /* ... with 0, or BASE_E_* */
    bool is_sst_failed;        /* the last transfer to this member has failed */
    bool is_unreadable;        /* DOWN: its server finds the data damaged, and tells no position */
    struct base_name donor;    /* JOINING: from whom; empty: not known */
    uint8_t seed_members;      /* how many members the file names: founding waits for them */
};

enum msg_galera_grant_state {
    MSG_GALERA_GRANT_NONE = 0,
    MSG_GALERA_GRANT_GIVEN = 1,
    MSG_GALERA_GRANT_DONE = 2,   /* Primary and Synced with the granted position */
    MSG_GALERA_GRANT_FAILED = 3, /* stops here; nobody else is tried without an operator */
};

/* The one bootstrap of a generation. */
struct msg_galera_grant {
    uint64_t generation;
    uint64_t after; /* the generation in force when it was given: data of that one up to `base` are
                       a prefix of the new one */
    struct base_name node;
    bool is_kept; /* nothing was bootstrapped: the component went on under a new number */
    bool is_live; /* pc.bootstrap on a running component; else a cold start */
    struct msg_galera_position base; /* it starts with that, no less */
    uint64_t conf_id;                /* of the last Primary view before it; 0: none */
    enum msg_galera_grant_state state;
};

/* pc.weight by member, as the configuration says; who is not named has 1. */
struct msg_galera_weights {
    uint8_t count;
    struct msg_galera_node nodes[MSG_GALERA_NODES_MAX];
};

struct msg_galera_record {
    uint8_t uuid[16];            /* of the cluster; zeros until the first grant is done */
    uint64_t generation;         /* of the history in force; 0: not founded */
    int64_t high_water;          /* seqno known committed; -1: not known */
    struct msg_galera_view view; /* last Primary view that was reported */
    struct msg_galera_grant grant;
    uint64_t inhibit; /* every member refuses starts and bootstraps below this generation */
    struct base_name sst_joiner; /* who may take a state transfer now; empty: nobody */
    struct base_name sst_donor;  /* who gives it to that one; empty: whoever can */
    struct base_name restarting; /* rolling restart: whose turn it is */
    struct base_name arbitrator; /* name of the supervised garbd; empty: none */
    struct msg_galera_weights weights;
    bool is_fast_takeover; /* a holder that a Primary view has evicted counts as unable to write */
    bool is_reader_kept;   /* who needs everything waits where giving it takes the last reader */
    int64_t recovery_wait_us; /* cold recovery with a position below high_water: -1 for ever */
};

/* What the arbiter wants of a member, beside the writer's goals of agent.h. */
enum msg_galera_goal {
    MSG_GALERA_GOAL_KEEP = 0,      /* nothing known: keep things as they are */
    MSG_GALERA_GOAL_JOIN = 1,      /* run and join with the own position; never bootstrap */
    MSG_GALERA_GOAL_BOOTSTRAP = 2, /* carry record.grant out, as its node */
    MSG_GALERA_GOAL_INHIBIT = 3,   /* store record.inhibit; start nothing; a WAITING process is
                                      killed; report the recovered position */
    MSG_GALERA_GOAL_FENCE = 4,     /* reject all, read-only; store record.inhibit */
    MSG_GALERA_GOAL_WAIT = 5,      /* stopped: not its turn yet (another transfer, another start) */
    MSG_GALERA_GOAL_REJOIN =
        6, /* other history: keep a copy of grastate.dat, remove it, join by SST */
    MSG_GALERA_GOAL_RESTART = 7, /* orderly stop, recovered position, start, join */
};

#endif
