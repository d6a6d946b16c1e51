/* SPDX-License-Identifier: Apache-2.0 */
/* What agents of MongoDB members and the arbiter say to each other beside agent.h, as plain
 * structs: parts of struct msg_report, msg_record and msg_order of a cluster whose engine is
 * MongoDB.
 *
 * MongoDB elects its primary; nothing here is a right to be it. The record's holder stays empty and
 * no lease is granted. The epoch is the right to give orders: each order is an entry of the log
 * that raises the epoch, at most one is open, and an agent that has seen a higher epoch (on disk)
 * refuses it. A forced reconfiguration is such an order, with a person's token.
 */
#ifndef QUORATE_PROTO_MSG_MONGODB_H
#define QUORATE_PROTO_MSG_MONGODB_H

#include "base/types.h"
#include "proto/msg/names.h"

#define MSG_MONGODB_PEERS_MAX 16 /* members of a replica set that we lead; MongoDB allows 50 */
#define MSG_MONGODB_HOST_MAX 95  /* "host:port" as in the replica set's configuration */

struct msg_mongodb_host {
    char text[MSG_MONGODB_HOST_MAX + 1]; /* ends with a zero */
};

struct msg_mongodb_hosts {
    uint8_t count;
    struct msg_mongodb_host list[MSG_MONGODB_PEERS_MAX];
};

/* Position in the oplog; ordered by term, then ts. {0, 0}: none, or not known. */
struct msg_mongodb_optime {
    uint64_t term;
    uint64_t ts; /* BSON timestamp: seconds << 32 | ordinal */
};

/* Order of configurations: term, then version. A forced one has term 0 and a version that jumps. */
struct msg_mongodb_version {
    uint64_t term;
    uint64_t version;
};

/* What a member is, by evidence of its own agent (reference: member-level states). */
enum msg_mongodb_state {
    MSG_MONGODB_UNKNOWN = 0, /* not looked at yet */
    MSG_MONGODB_ABSENT = 1,  /* runs, or could; in no configuration (not initiated, or REMOVED) */
    MSG_MONGODB_DOWN = 2,    /* no process */
    MSG_MONGODB_STARTING = 3,
    MSG_MONGODB_SYNCING = 4, /* STARTUP2 */
    MSG_MONGODB_SECONDARY = 5,
    MSG_MONGODB_LAGGING = 6, /* SECONDARY, over 10 s behind */
    MSG_MONGODB_STALE = 7,   /* RECOVERING, too stale: never heals by itself */
    MSG_MONGODB_RECOVERING = 8,
    MSG_MONGODB_ROLLING_BACK = 9,
    MSG_MONGODB_DRAINING = 10, /* PRIMARY that does not take writes yet */
    MSG_MONGODB_PRIMARY = 11,  /* hello says writable */
    MSG_MONGODB_GRAY = 12,     /* ... and the canary write does not come through */
    MSG_MONGODB_ARBITER = 13,
    MSG_MONGODB_MAINTENANCE = 14,
    MSG_MONGODB_HUNG = 15, /* process and port there, hello late three times */
    MSG_MONGODB_HELD = 16, /* down, and kept so: barred, killed by the ladder, or by an operator */
    MSG_MONGODB_STATE_COUNT
};

/* A member of the configuration, as one member knows it. */
struct msg_mongodb_peer {
    uint32_t id; /* _id in the configuration */
    struct msg_mongodb_host host;
    uint8_t votes;         /* 0 or 1 */
    uint16_t priority_x10; /* MongoDB allows fractions: tenths, rounded up so that 0 means 0 */
    bool is_arbiter;
    bool is_hidden;
    bool is_newly_added; /* does not count yet (5.0 and later) */
    /* replSetGetStatus, this member's opinion */
    bool is_self;
    bool is_healthy;   /* health 1 */
    uint8_t state;     /* MongoDB's number: 0 STARTUP .. 10 REMOVED */
    uint32_t heard_ms; /* since its last heartbeat was received here; UINT32_MAX: never */
    uint32_t ping_ms;
    struct msg_mongodb_optime optime;
};

enum msg_mongodb_default_concern {
    MSG_MONGODB_CONCERN_UNKNOWN = 0,
    MSG_MONGODB_CONCERN_IMPLICIT_ONE = 1, /* w:1, by the formula of the manual or an old release */
    MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY = 2,
    MSG_MONGODB_CONCERN_SET_ONE = 3, /* setDefaultRWConcern: w:1, or j:false */
    MSG_MONGODB_CONCERN_SET_MAJORITY = 4,
    MSG_MONGODB_CONCERN_SET_OTHER = 5,
};

struct msg_mongodb_report {
    enum msg_mongodb_state state;
    bool is_arbiter;        /* this agent's mongod is to be an arbiter (its file), or is one */
    bool is_adopted;        /* watched, not started by us: never killed, never started */
    bool has_data;          /* its directory holds a database or a configuration; false: empty */
    bool is_login_refused;  /* wrong credentials: only hello is known */
    bool is_set_name_wrong; /* it is in another replica set than the file names */
    /* hello */
    uint32_t hello_age_ms; /* of the evidence, when this report was made; UINT32_MAX: none */
    bool is_writable, is_secondary;
    uint64_t term;                   /* of its electionId, or of its status */
    struct msg_mongodb_host self;    /* its name in the configuration; empty: in none */
    struct msg_mongodb_host primary; /* whom it takes for it */
    uint8_t process_id[12]; /* of topologyVersion: another one after each start; 0: unknown */
    uint16_t wire_version;  /* maxWireVersion; 0: not known */
    /* configuration and status; zeros where it cannot log in */
    uint8_t set_id[12]; /* settings.replicaSetId; zeros: not known */
    struct msg_mongodb_version config;
    bool is_config_known;     /* `peers` are of `config` */
    bool is_config_committed; /* primary only: replSetGetConfig commitmentStatus */
    uint32_t status_age_ms;   /* of peers' state; UINT32_MAX: none */
    uint8_t majority;         /* majorityVoteCount */
    uint8_t live_voters;      /* healthy and heard within two intervals, itself included */
    uint32_t election_timeout_ms, heartbeat_ms;
    struct msg_mongodb_optime applied, committed; /* committed: lastCommittedOpTime */
    uint32_t lag_ms;                              /* behind the primary; UINT32_MAX: not known */
    uint32_t commit_age_ms; /* last applied minus majority point, by their dates; primary */
    uint32_t canary_ms;     /* primary: for how long no canary write has come through; 0: they do */
    uint32_t oplog_s;       /* window; 0: not known */
    uint64_t data_bytes;    /* of its data directory, on the disk; 0: not known */
    uint16_t sync_permille; /* SYNCING */
    uint16_t cache_dirty_permille;
    uint32_t rollbacks; /* seen by this agent; durable */
    enum msg_mongodb_default_concern concern;
    uint8_t peers_count;
    struct msg_mongodb_peer peers[MSG_MONGODB_PEERS_MAX]; /* by id */
    /* orders */
    uint64_t order_epoch;  /* last order of the record that this member had a part in ... */
    uint8_t order_phase;   /* ... its phase ... */
    bool is_order_done;    /* ... has ended here ... */
    int32_t order_status;  /* ... with 0 or BASE_E_*; `note` of the report says the rest */
    int32_t order_code;    /* MongoDB's error code; 0: none */
    bool is_frozen;        /* replSetFreeze of ours is in force (as far as we know) */
    uint64_t barred_epoch; /* on disk: mongod stays down until it is wiped; 0: not barred */
    /* seed */
    struct base_name set_name; /* replica set name in its file */
    uint8_t seed_members;      /* how many members, arbiter included, the file names */
    uint16_t priority;         /* wished for in its file; default 1, arbiter 0 */
};

/* What the whole set is: derived by the leader from reports, never stored. */
enum msg_mongodb_set_state {
    MSG_MONGODB_SET_UNKNOWN = 0, /* we lack data: never evidence of anything */
    MSG_MONGODB_SET_UNINITIATED = 1,
    MSG_MONGODB_SET_INITIATING = 2,
    MSG_MONGODB_SET_HEALTHY = 3,
    MSG_MONGODB_SET_DEGRADED = 4, /* a voter is down, one more may be lost */
    MSG_MONGODB_SET_THIN = 5,     /* exactly a majority lives */
    MSG_MONGODB_SET_COMMIT_STALLED = 6,
    MSG_MONGODB_SET_PSA_DEGRADED = 7, /* votes taken away: majority is one copy */
    MSG_MONGODB_SET_NO_PRIMARY = 8,
    MSG_MONGODB_SET_NO_QUORUM = 9,
    MSG_MONGODB_SET_DUAL_CLAIM = 10,
    MSG_MONGODB_SET_DRIFT = 11,
    MSG_MONGODB_SET_HOLD = 12,
    MSG_MONGODB_SET_STATE_COUNT
};

enum msg_mongodb_order_kind {
    MSG_MONGODB_ORDER_NONE = 0,
    MSG_MONGODB_ORDER_INITIATE = 1,   /* `member` runs replSetInitiate with itself alone */
    MSG_MONGODB_ORDER_ADD = 2,        /* primary: `subject` with votes 0, priority 0 (an arbiter
                                         with its vote at once) */
    MSG_MONGODB_ORDER_VOTE = 3,       /* primary: `subject` votes 1, priority 0 */
    MSG_MONGODB_ORDER_PRIORITY = 4,   /* primary: `subject` gets `priority` */
    MSG_MONGODB_ORDER_UNVOTE = 5,     /* primary: `subject` votes 0, priority 0 (PSA degrade, and
                                         before a removal) */
    MSG_MONGODB_ORDER_REMOVE = 6,     /* primary: `subject` leaves the configuration */
    MSG_MONGODB_ORDER_SWITCHOVER = 7, /* phases below; target, or the best one */
    MSG_MONGODB_ORDER_STEP_DOWN = 8,  /* member: of a drained or gray primary, no target */
    MSG_MONGODB_ORDER_KILL = 9,       /* member: the ladder's last step; only with the opt-in and
                                         with the others confirmed healthy and caught up */
    MSG_MONGODB_ORDER_RESYNC = 10,    /* member: stop, move the data aside, start empty */
    MSG_MONGODB_ORDER_RESTART = 11,   /* member: orderly stop and start */
    MSG_MONGODB_ORDER_CONCERN = 12,   /* primary: setDefaultRWConcern w:majority (or what is in
                                         force implicitly), before a change of layout */
    MSG_MONGODB_ORDER_ABORT_CATCHUP = 13,
    MSG_MONGODB_ORDER_FORCE = 14,    /* member: the one forced reconfiguration of `token` */
    MSG_MONGODB_ORDER_TIMEOUTS = 15, /* primary: settings.electionTimeoutMillis */
    MSG_MONGODB_ORDER_COUNT
};

/* Phases of a SWITCHOVER; other orders have phase 0 alone. Each change is an entry. */
enum msg_mongodb_phase {
    MSG_MONGODB_PHASE_ONLY = 0,
    MSG_MONGODB_PHASE_FREEZE = 1,    /* everybody but `member` and `subject`: replSetFreeze 30 */
    MSG_MONGODB_PHASE_STEP_DOWN = 2, /* `member`: polite, 60 s, catch-up 10 s */
    MSG_MONGODB_PHASE_STEP_UP = 3,   /* `subject`: replSetStepUp; done when it is writable */
    MSG_MONGODB_PHASE_UNFREEZE = 4,  /* the frozen ones: replSetFreeze 0; also after a failure */
};

enum msg_mongodb_order_state {
    MSG_MONGODB_ORDER_IDLE = 0,
    MSG_MONGODB_ORDER_OPEN = 1,
    MSG_MONGODB_ORDER_DONE = 2,   /* confirmed by reading, not by the reply */
    MSG_MONGODB_ORDER_FAILED = 3, /* refused, void, or out of time; `status` and `code` say why */
};

/* The open, or the last, order. Its id is the record's epoch in which it was given. An agent
 * refuses it (BASE_E_CONFLICT) when its mongod's term or configuration is not the expected one. */
struct msg_mongodb_order {
    uint64_t epoch;
    enum msg_mongodb_order_kind kind;
    enum msg_mongodb_order_state state;
    uint8_t phase;
    struct base_name member;  /* who carries it out */
    struct base_name subject; /* whom it concerns; empty: `member`, or a host that no agent has */
    struct msg_mongodb_host subject_host; /* ... as in the configuration */
    uint16_t priority_x10;
    uint8_t votes;
    bool is_arbiter;                            /* ADD, REMOVE */
    uint64_t expected_term;                     /* of the set; 0: any (INITIATE, FORCE) */
    struct msg_mongodb_version expected_config; /* {0,0}: none (INITIATE) */
    uint32_t limit_ms; /* an agent that hears of it later than that after it was given lets
                          it be: the order says how much is left */
    uint32_t election_timeout_ms; /* TIMEOUTS, INITIATE; 0: as it is */
    int32_t status, code;         /* of the end */
};

/* Guided forced reconfiguration: one at most for each token. */
struct msg_mongodb_force {
    uint64_t token; /* of random bits of the node that was asked; told to the operator alone; 0:
                       none is out */
    uint64_t given_epoch; /* in which it was given; void when the epoch is another one */
    struct msg_mongodb_version config;  /* of the survivors */
    struct msg_names survivors;         /* who stays */
    struct msg_names lost;              /* who is left out: barred from then on */
    struct msg_mongodb_hosts strangers; /* ... and hosts without an agent, by a person's word */
    struct base_name freshest;          /* carries it out */
    uint64_t done_epoch;                /* last FORCE order that was given; 0: never */
};

enum msg_mongodb_cut_off { /* a primary that is cut off from the majority */
                           MSG_MONGODB_CUT_OFF_REPORT = 0,
                           MSG_MONGODB_CUT_OFF_STEPDOWN = 1,
                           MSG_MONGODB_CUT_OFF_KILL = 2,
};
enum msg_mongodb_gray { /* a primary whose canary writes do not come through */
                        MSG_MONGODB_GRAY_REPORT = 0,
                        MSG_MONGODB_GRAY_STEPDOWN = 1, /* polite, then forced */
                        MSG_MONGODB_GRAY_KILL = 2,     /* ... then the guard */
};

struct msg_mongodb_policy {
    enum msg_mongodb_cut_off cut_off;
    enum msg_mongodb_gray gray;
    bool is_degrade_auto;  /* two data members and an arbiter: UNVOTE a member dead for 120 s, and
                              give it back in two steps */
    bool is_resync_auto;   /* stale members, one at a time */
    bool is_steered;       /* the placement policy moves the primary; false: only when asked */
    struct base_name zone; /* where the primary shall be; empty: priorities alone */
    uint32_t election_timeout_ms; /* 0: as it is */
};

/* Where a member is in the replica set's configuration, so that it can be named when it is silent.
 */
struct msg_mongodb_place {
    struct base_name member;
    struct msg_mongodb_host host;
};

struct msg_mongodb_record {
    struct base_name set_name;
    uint8_t set_id[12];       /* zeros until INITIATE is done, or the set is adopted */
    bool is_initiated;        /* never initiated again */
    struct base_name primary; /* as observed: writable, highest term; never a grant */
    uint64_t primary_term;
    struct msg_mongodb_version config; /* highest one seen */
    struct msg_mongodb_order order;
    struct msg_mongodb_force force;
    struct msg_mongodb_policy policy;
    struct msg_names degraded; /* votes taken away by us: given back in two steps */
    struct msg_names barred;   /* left out by force: mongod stays down until it is wiped */
    struct msg_mongodb_hosts barred_hosts; /* ... that had no agent: who comes from there with data
                                              is barred, too */
    uint64_t barred_epoch;
    int64_t
        moved_wall_us; /* last steering move; for the limit of one in ten minutes and for people */
    struct msg_names leaving; /* an operator removes them: UNVOTE, then REMOVE */
    uint8_t places_count;
    struct msg_mongodb_place places[MSG_MEMBERS_MAX]; /* by member */
};

/* What the arbiter wants of a member beside the record's order. */
enum msg_mongodb_goal {
    MSG_MONGODB_GOAL_KEEP = 0, /* nothing known: keep things as they are */
    MSG_MONGODB_GOAL_RUN = 1,  /* mongod runs; started when it is down */
    MSG_MONGODB_GOAL_BAR = 2, /* store record.barred_epoch, stop mongod, keep it down until wiped */
    MSG_MONGODB_GOAL_HOLD = 3, /* keep as it is and carry nothing out (pause, refused) */
};

/* In msg_order: an answer to one report. */
struct msg_mongodb_wish {
    enum msg_mongodb_goal goal;
    uint32_t order_left_ms; /* of the record's open order, when this was sent; 0: none, or over */
    bool is_majority_elsewhere; /* cut_off and gray: the other voters are healthy, connected and
                                   caught up, by reports younger than 5 s */
};

#endif
