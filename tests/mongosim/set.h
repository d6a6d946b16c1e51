/* SPDX-License-Identifier: Apache-2.0 */
/* The model of one MongoDB replica set: up to seven mongods, the links between them, and what each
 * has on its disk.
 *
 * Pure: no memory of its own but what the caller hands in, no I/O, no clock, no global state;
 * random numbers come from a seed. Time is microseconds that the caller hands to mset_advance and
 * that never go back; commands are given at the moment of the last mset_advance. The same calls
 * give the same answers. One thread.
 *
 * Commands that may wait (writes, replSetStepDown, replSetReconfig ...) are handed in with
 * mset_command and answered by mset_take_reply, at once or later; what only reads (hello, status,
 * configuration) is answered by a function that fills a struct, after mset_reach has said whether
 * this node answers at all. Error codes are MongoDB's own. Files: set.c life and time, set_link.c
 * messages, set_elect.c elections, set_step.c stepping down and up, set_config.c configurations,
 * set_oplog.c entries, set_sync.c following, set_read.c what is read, set_truth.c what really is.
 * Kept: see README.md, which also says what is left out.
 */
#ifndef QUORATE_TESTS_MONGOSIM_SET_H
#define QUORATE_TESTS_MONGOSIM_SET_H

#include "base/rand.h"
#include "base/types.h"

#define MSET_NODES_MAX 7
#define MSET_HOST_MAX 95
#define MSET_MEMBERS_MAX 7
#define MSET_TEXT_MAX 159
#define MSET_NONE 0          /* no entry */
#define MSET_NEVER INT64_MAX /* no moment */

/* As replSetGetStatus says. */
enum mset_state {
    MSET_STARTUP = 0,
    MSET_PRIMARY = 1,
    MSET_SECONDARY = 2,
    MSET_RECOVERING = 3,
    MSET_STARTUP2 = 5, /* initial sync */
    MSET_UNKNOWN = 6,
    MSET_ARBITER = 7,
    MSET_DOWN = 8,
    MSET_ROLLBACK = 9,
    MSET_REMOVED = 10
};

/* MongoDB's error codes; 0: ok. */
enum mset_code {
    MSET_OK = 0,
    MSET_E_BAD_VALUE = 2,
    MSET_E_UNAUTHORIZED = 13,
    MSET_E_LOGIN = 18,
    MSET_E_ILLEGAL_OPERATION = 20,
    MSET_E_ALREADY_INITIALIZED = 23,
    MSET_E_MAX_TIME = 50,
    MSET_E_WRITE_CONCERN_FAILED = 64,
    MSET_E_NODE_NOT_FOUND = 74,
    MSET_E_NO_REPLICATION = 76,
    MSET_E_SHUTDOWN = 91,
    MSET_E_INVALID_CONFIG = 93,
    MSET_E_NOT_INITIALIZED = 94,
    MSET_E_NOT_SECONDARY = 95,
    MSET_E_OPERATION_FAILED = 96,
    MSET_E_UNSATISFIABLE_CONCERN = 100,
    MSET_E_CONFIG_INCOMPATIBLE = 103, /* ... or somebody else was first */
    MSET_E_NOT_ELECTABLE = 104,
    MSET_E_SET_NAME = 108,
    MSET_E_CONFIG_IN_PROGRESS = 109,
    MSET_E_HAS_DATA = 110,
    MSET_E_OPLOG_START_MISSING = 120,
    MSET_E_COMMAND_FAILED = 125,
    MSET_E_UNRECOVERABLE_ROLLBACK = 127,
    MSET_E_STEPPED_DOWN = 189,
    MSET_E_EXCEEDED_TIME = 262,
    MSET_E_CONFIG_NOT_COMMITTED = 308,
    MSET_E_NOT_PRIMARY = 10107,
    MSET_E_INTERRUPTED = 11600, /* at shutdown */
    MSET_E_STATE_CHANGE = 11602,
    MSET_E_OUT_OF_SPACE = 14031,
    MSET_E_CONNECTION = -1 /* no code of MongoDB: the connection ended without an answer */
};

/* A release, as flags: set_read.c has the table. */
struct mset_profile {
    uint16_t release; /* 42, 44, 50, 60, 70, 80 */
    uint16_t wire_version;
    bool has_hello; /* else isMaster alone */
    bool has_topology_version;
    bool has_config_term;  /* order of configurations is (term, version), reconfig is safe */
    bool has_newly_added;  /* a new voting data member counts for nothing until it is SECONDARY */
    bool has_concern_gate; /* 5.0's */
    bool is_majority_implicit;
    bool has_written; /* optimes.written */
};
/* NULL: not a release that is known. */
const struct mset_profile *mset_profile_of(unsigned release);

struct mset_optime {
    uint64_t term;
    uint64_t ts; /* seconds << 32 | ordinal */
};

struct mset_version {
    uint64_t term; /* 0 after a forced change, and before 4.4 */
    uint64_t version;
};

struct mset_host {
    char text[MSET_HOST_MAX + 1];
};

struct mset_member {
    uint32_t id; /* _id */
    struct mset_host host;
    uint8_t votes;
    uint16_t priority_x10;
    bool is_arbiter, is_hidden, is_newly_added;
};

struct mset_config {
    struct mset_host set_name;
    uint8_t set_id[12];
    struct mset_version version; /* {0, 0}: there is none */
    uint8_t count;
    struct mset_member members[MSET_MEMBERS_MAX];
    uint32_t heartbeat_ms, election_timeout_ms, heartbeat_timeout_ms;
    int32_t catch_up_ms; /* -1: no limit */
};

struct mset;

/* --- life --- */

struct mset_options {
    uint64_t seed;
    unsigned release;
    unsigned nodes;          /* 1 .. MSET_NODES_MAX */
    int64_t wall_us;         /* Unix time at the start, for dates and oplog timestamps */
    struct mset_host name;   /* of the set, as all command lines say */
    uint32_t window_entries; /* how many entries an oplog keeps; 0: 4096 */
    uint32_t sync_ms;        /* an initial sync takes about so long; 0: 2000 */
};

struct mset_entry; /* of an oplog; opaque, so that its size is mset_entry_size's */
size_t mset_size(void);
size_t mset_entry_size(void);
/* `memory` of mset_size() bytes and `entries` of mset_entry_size() * entries_max, both aligned as
 * by malloc, live as long as the set. When all entries are used writes fail for want of space. All
 * nodes are off and empty. */
struct mset *mset_init(void *memory, void *entries, size_t entries_max,
                       const struct mset_options *options);
/* Its name in configurations: "host:port". All nodes need one before they start. */
void mset_name(struct mset *s, unsigned node, const char *host);
int mset_by_host(const struct mset *s, const char *host); /* -1: nobody */
/* Carries out all that is due until then. */
void mset_advance(struct mset *s, int64_t now_us);
int64_t mset_now(const struct mset *s);
/* When something is due next; MSET_NEVER. */
int64_t mset_next(const struct mset *s);

/* The process starts, with what its directory has. */
void mset_start(struct mset *s, unsigned node);
/* It is gone: killed, or without power. What was not on disk is lost. */
void mset_crash(struct mset *s, unsigned node);
/* SIGSTOP and SIGCONT. */
void mset_pause(struct mset *s, unsigned node, bool is_paused);
bool mset_is_up(const struct mset *s, unsigned node);
bool mset_is_paused(const struct mset *s, unsigned node);
/* Ended by itself (shutdown, or a fatal error): true once, with the exit status. */
bool mset_take_exit(struct mset *s, unsigned node, int *ret_status);
/* SIGTERM: an orderly shutdown without asking others (a primary tries to hand over first). */
void mset_terminate(struct mset *s, unsigned node);

/* --- faults --- */

/* What is sent from one to the other from now on; sent before it arrives. */
struct mset_link {
    bool is_cut;
    uint32_t delay_us; /* mean; 0: 300 */
    uint32_t drop_ppm;
};
void mset_link_set(struct mset *s, unsigned from, unsigned to, const struct mset_link *link);
/* The disk does nothing: writes, stepDown and shutdown hang; heartbeats and hello go on. */
void mset_disk_stuck(struct mset *s, unsigned node, bool is_stuck);
void mset_disk_full(struct mset *s, unsigned node, bool is_full);
/* Connections are accepted and nothing is answered to clients; heartbeats go on. */
void mset_hello_hung(struct mset *s, unsigned node, bool is_hung);
void mset_login_refused(struct mset *s, unsigned node, bool is_refused);
/* This node was started with another set name than the configuration's. */
void mset_set_name_wrong(struct mset *s, unsigned node, bool is_wrong);
/* Applies nothing (a secondary falls behind), but hears all. */
void mset_applier_blocked(struct mset *s, unsigned node, bool is_blocked);
/* The directory is emptied; the process must be gone. */
void mset_wipe(struct mset *s, unsigned node);
/* The directory becomes what it was at the last mset_image of this node (or empty): its vote is
 * forgotten. The process must be gone. */
void mset_image(struct mset *s, unsigned node);
void mset_restore(struct mset *s, unsigned node);
/* No fault is in force any more (links, disks, hello, login, applier, pauses); crashed ones stay
 * so. */
void mset_heal(struct mset *s);

/* --- what clients and agents ask --- */

enum mset_reach {
    MSET_ANSWERS,
    MSET_REFUSES, /* nobody listens */
    MSET_HANGS    /* accepted, and no answer */
};
enum mset_reach mset_reach(const struct mset *s, unsigned node);
bool mset_is_login_refused(const struct mset *s, unsigned node);

enum mset_command_kind {
    MSET_INITIATE = 1,
    MSET_RECONFIG,
    MSET_STEP_DOWN,
    MSET_FREEZE, /* seconds 0: unfreeze */
    MSET_STEP_UP,
    MSET_ABORT_CATCH_UP,
    MSET_MAINTENANCE,
    MSET_SET_CONCERN, /* setDefaultRWConcern */
    MSET_WRITE,       /* insert or update of one document: one entry */
    MSET_SHUTDOWN
};

struct mset_command {
    enum mset_command_kind kind;
    uint64_t tag; /* the caller's; comes back with the reply */
    bool is_forced;
    bool is_on;       /* MAINTENANCE */
    uint32_t seconds; /* STEP_DOWN, FREEZE */
    uint32_t
        catch_up_seconds; /* STEP_DOWN; SHUTDOWN: timeoutSecs. 10 and 15 by MongoDB's default */
    uint32_t max_time_ms; /* 0: no limit. WRITE: wtimeout */
    struct mset_config config; /* INITIATE, RECONFIG: its version counts, its term does not */
    uint64_t value;            /* WRITE: what the entry carries; 0 is no-op's */
    uint8_t
        w; /* WRITE: 0 by the default in force; 1 .. 7; MSET_W_MAJORITY. SET_CONCERN: the same */
};
#define MSET_W_MAJORITY 255

struct mset_reply {
    uint64_t tag;
    unsigned node;
    enum mset_command_kind kind;
    int code; /* enum mset_code */
    char text[MSET_TEXT_MAX + 1];
    struct mset_optime optime; /* WRITE */
    uint32_t entry;            /* WRITE: its number, also when only its concern has failed */
};

/* Given to this node now. BASE_E_FULL as false: too many wait (64). */
bool mset_command(struct mset *s, unsigned node, const struct mset_command *command);
/* The client's connection is gone: no reply comes; what was begun goes on. */
void mset_forget(struct mset *s, uint64_t tag);
/* The next answer that has become ready; false: none. */
bool mset_take_reply(struct mset *s, struct mset_reply *ret);

struct mset_hello {
    bool is_initiated; /* false: no configuration yet: isreplicaset and info */
    bool is_removed;
    bool is_writable, is_secondary, is_arbiter, is_hidden, is_passive;
    struct mset_host set_name, me, primary; /* primary empty: none known */
    struct mset_config config;              /* its hosts */
    uint64_t election_term;                 /* primary's electionId; 0: none */
    uint8_t process_id[12];
    uint64_t counter; /* topologyVersion: grows with every change of this answer */
    struct mset_optime last, majority;
    int64_t last_wall_us, majority_wall_us;
    int64_t wall_us;
    uint16_t wire_version;
};
void mset_hello(struct mset *s, unsigned node, struct mset_hello *ret);

struct mset_member_status {
    struct mset_member member;
    bool is_self, is_healthy;
    enum mset_state state;
    int64_t heard_us;   /* moment at which a heartbeat of it was answered last; MSET_NEVER */
    int64_t heard_recv; /* ... and one of its own came in */
    uint32_t ping_ms;
    int64_t uptime_us;
    struct mset_optime applied, durable;
    int64_t applied_wall_us, durable_wall_us;
    struct mset_version version;
    int sync_source;         /* -1, or a member's place */
    int64_t elected_wall_us; /* of a primary; 0 */
    const char *text;        /* infoMessage or lastHeartbeatMessage; "" */
};
struct mset_status {
    int code; /* 0, 76, 94 or 93 */
    struct mset_host set_name;
    enum mset_state state;
    uint64_t term;
    uint32_t heartbeat_ms, election_timeout_ms;
    uint8_t majority, write_majority, voters, writable_voters;
    int sync_source;
    struct mset_optime committed, applied, durable;
    int64_t committed_wall_us;
    uint16_t sync_permille; /* STARTUP2 */
    uint8_t count;
    struct mset_member_status members[MSET_MEMBERS_MAX];
    /* electionCandidateMetrics of a primary: why it stood */
    const char *election_reason;
    int64_t election_wall_us, writable_wall_us; /* 0: not yet */
};
void mset_status(struct mset *s, unsigned node, struct mset_status *ret);

/* replSetGetConfig; returns 0, 94. ret_committed (may be NULL): commitmentStatus; a node that is no
 * primary answers MSET_E_NOT_PRIMARY when it is asked for. */
int mset_config_get(struct mset *s, unsigned node, struct mset_config *ret, bool *ret_committed);

struct mset_server_status {
    int64_t uptime_us;
    uint16_t cache_dirty_permille; /* grows while nothing is majority-committed */
    uint32_t connections;
    uint64_t rollbacks;   /* since its directory is there; each has left files */
    uint64_t rolled_back; /* entries */
    uint32_t frozen_s;    /* left of a freeze */
    bool is_in_catch_up, is_draining;
    uint8_t concern;          /* as set: 0 not set, 1 .. 7, MSET_W_MAJORITY */
    uint8_t concern_in_force; /* 1 or more, or MSET_W_MAJORITY */
};
void mset_server_status(struct mset *s, unsigned node, struct mset_server_status *ret);

struct mset_oplog {
    uint32_t count;
    struct mset_optime first, last;
    int64_t first_wall_us, last_wall_us;
};
void mset_oplog(struct mset *s, unsigned node, struct mset_oplog *ret);

/* Entries that a node's data hold, oldest first: calls fn until it returns false. */
void mset_data(const struct mset *s, unsigned node,
               bool (*fn)(void *ctx, uint32_t entry, uint64_t value), void *ctx);
bool mset_has(const struct mset *s, unsigned node, uint32_t entry);
/* The directory holds a configuration or data. */
bool mset_has_directory(const struct mset *s, unsigned node);

/* --- formulas of the manual, for one configuration --- */
struct mset_majorities {
    uint8_t voters, writable_voters; /* writable: those with data */
    uint8_t vote, write;
    uint8_t implicit; /* default write concern: 1 or MSET_W_MAJORITY (5.0 and later) */
};
void mset_majorities(const struct mset_config *config, struct mset_majorities *ret);
int mset_version_order(const struct mset_version *a,
                       const struct mset_version *b); /* < 0, 0, > 0 */
int mset_optime_order(const struct mset_optime *a, const struct mset_optime *b);

/* --- ground truth --- */

#define MSET_TERMS_MAX 4096
struct mset_truth {
    uint64_t terms_won;
    uint64_t elections, dry_runs, step_downs, takeovers, hand_offs;
    uint64_t rollbacks, initial_syncs, reconfigs, forced, initiations;
    uint64_t majority_acked; /* writes that were acknowledged with the majority */
    uint64_t majority_lost;  /* of those, how many no member of the newest configuration could
                                bring back: filled by mset_judge */
    uint64_t twice_won;      /* terms with two winners */
    uint64_t committed_rolled_back; /* an entry that had been majority-committed was rolled back */
    bool is_vote_forgotten; /* a directory was restored or wiped since the last clean slate */
    bool is_forced;
};
void mset_truth(const struct mset *s, struct mset_truth *ret);
/* Who takes writes by its own belief, with the highest term; -1. */
int mset_primary(const struct mset *s, uint64_t *ret_term);
/* Role and belief of one node. */
enum mset_state mset_state_of(const struct mset *s, unsigned node);
uint64_t mset_term_of(const struct mset *s, unsigned node);
bool mset_is_writable(const struct mset *s, unsigned node);
/* Its newest entry is older than the oldest that anybody else keeps. */
bool mset_is_stale(const struct mset *s, unsigned node);
/* Its disk does nothing, or is full, or its clients hear nothing. */
bool mset_is_sick(const struct mset *s, unsigned node);
int64_t mset_frozen_until(const struct mset *s, unsigned node);
/* An entry was acknowledged with the majority, or seen below a commit point. */
bool mset_is_committed(const struct mset *s, uint32_t entry);
/* How many acknowledged majority writes this node's data lack; the primary's, for an audit. */
uint64_t mset_judge(struct mset *s, unsigned node);

/* What happened, told once to whoever listens: for traces and rollback files. */
enum mset_event_kind {
    MSET_EV_ELECTED = 1,  /* a: term, b: why (enum mset_reason) */
    MSET_EV_WRITABLE,     /* a: term */
    MSET_EV_STEPPED_DOWN, /* a: term, b: why */
    MSET_EV_CONFIG,       /* a: term, b: version */
    MSET_EV_ROLLBACK,     /* a: entries, b: of them committed */
    MSET_EV_SYNC_BEGUN,
    MSET_EV_SYNC_DONE,
    MSET_EV_STALE,
    MSET_EV_EXIT, /* a: status */
    MSET_EV_STATE /* a: state */
};
enum mset_reason {
    MSET_WHY_TIMEOUT = 1,
    MSET_WHY_PRIORITY,
    MSET_WHY_STEP_UP,
    MSET_WHY_HAND_OFF,
    MSET_WHY_SINGLE,
    MSET_WHY_HIGHER_TERM,
    MSET_WHY_NO_MAJORITY,
    MSET_WHY_ASKED,
    MSET_WHY_FORCED_CONFIG
};
typedef void mset_listener(void *ctx, unsigned node, enum mset_event_kind kind, uint64_t a,
                           uint64_t b);
void mset_listen(struct mset *s, mset_listener *fn, void *ctx);

#endif
