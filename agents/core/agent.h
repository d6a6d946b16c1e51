/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's decisions, the same for every database: event in, bounded list of effects out.
 *
 * Everything is derived from facts that survive the agent: the guard's status, the database's view,
 * the durable state and the last order. From them follow a present state and a goal in force; a
 * total table (table.h) gives the action and the sentence that the operator reads. Pure: no clock,
 * no I/O, no memory of its own; agents/driver.c and nobody else calls it.
 *
 * Order of effects: they are to be carried out as listed. What must be durable before something
 * else is done (a higher epoch, a promise) is never in one list with it: the core waits for
 * AGT_EVENT_SAVED. The one thing that does not wait is fencing.
 */
#ifndef QUORATE_AGENTS_CORE_AGENT_H
#define QUORATE_AGENTS_CORE_AGENT_H

#include "agents/core/db_types.h"
#include "agents/core/disk.h"
#include "agents/core/failsafe.h"
#include "agents/core/galera_table.h"
#include "agents/core/lease.h"
#include "agents/core/mongodb.h"
#include "agents/core/table.h"
#include "agents/guard/core_status.h"

#define AGT_EFFECTS_MAX 24
#define AGT_LOGS_MAX 6

/* Signals as Linux numbers them; the core names no system header (the driver asserts them). */
enum agt_signal { AGT_SIGNAL_FAST = 2, AGT_SIGNAL_IMMEDIATE = 3, AGT_SIGNAL_TERM = 15 };

/* What to do when the database exits by itself under a lease (safety.md section 7). */
enum agt_on_crash { AGT_ON_CRASH_AUTO = 0, AGT_ON_CRASH_FAILOVER, AGT_ON_CRASH_RESTART };

/* Of a MongoDB member. */
struct agt_mongodb_config {
    bool is_watched;   /* mongod is run by somebody else: never started, stopped or killed here */
    bool is_arbiter;   /* its file says so */
    uint16_t priority; /* wished for; arbiter 0 */
    struct base_name set_name;
};

struct agt_config {
    enum msg_engine engine;
    struct base_name cluster;
    struct base_name member;
    struct base_text host; /* for other members and clients */
    uint16_t db_port;
    uint16_t http_port;
    uint64_t session; /* random per process, not 0 */
    bool is_nofailover;
    bool is_nosync;
    bool is_noloadbalance; /* health checks only */
    bool is_clonefrom;     /* others clone from here while it streams */
    uint8_t priority;
    struct base_name zone;          /* empty: none */
    struct base_name replicatefrom; /* upstream wished for while it streams; empty: the holder */
    enum agt_on_crash on_crash;     /* where the record says nothing */
    int64_t start_timeout_us;       /* primary_start_timeout, likewise; 0: 30 s */
    int64_t hang_timeout_us;        /* a primary that has answered and does so no more; 0: 5 s */
    uint32_t ttl_least_ms;          /* see msg_report */
    /* Seed of a cluster that does not exist yet. */
    bool has_seed;
    uint8_t seed_members; /* Galera, MongoDB: how many members the file names */
    bool is_donor_read;   /* Galera, health checks only: a donor may be read from */
    struct agt_mongodb_config mongodb;
    uint32_t seed_ttl_ms;
    uint32_t seed_heartbeat_ms;
    uint32_t seed_freeze_max_ms;
    enum msg_sync_mode seed_sync_mode;
    bool seed_sync_strict;
    uint32_t seed_failover_interval_ms; /* 0: the default; UINT32_MAX: none */
    uint8_t seed_sync_count;            /* how many standbys a commit waits for; 0: the default */
    bool seed_adopt;                    /* a database that was there before becomes the cluster's */
    bool is_adopted_running;            /* ... only one that runs, and is the primary */
};

enum agt_event_kind {
    AGT_EVENT_ORDER = 1, /* order */
    AGT_EVENT_GUARD,     /* guard */
    AGT_EVENT_VIEW,      /* view */
    AGT_EVENT_DONE,      /* done */
    AGT_EVENT_SAVED,     /* status: of the save under way */
    AGT_EVENT_TIMER,
    AGT_EVENT_CONNECTED,      /* a quorum node can be reached again: report now */
    AGT_EVENT_SHUTDOWN,       /* hand over what is held, stop the database, then agt_is_finished */
    AGT_EVENT_CONFIG,         /* revision: the engine has been handed that configuration document */
    AGT_EVENT_FAILSAFE_ASKED, /* ask: a holder wants its epoch extended; effects have the answer */
    AGT_EVENT_FAILSAFE_ANSWER, /* answer: to a round of ours */
};

/* Pointers are borrowed for the step. `now` is the moment at which the event was handed in. */
struct agt_event {
    enum agt_event_kind kind;
    struct base_mono now;
    const struct msg_order *order;
    const struct guard_status *guard;
    const struct db_view *view;
    const struct db_done *done;
    const struct agt_failsafe_ask *ask;
    const struct agt_failsafe_answer *answer;
    uint64_t revision;
    int status;
};

enum agt_effect_kind {
    AGT_FX_GUARD_START = 1,
    AGT_FX_GUARD_ARM, /* epoch, deadline, freeze_max_us; soft_us above 0: of an engine that fences
                         itself */
    AGT_FX_GUARD_DISARM,
    AGT_FX_GUARD_SIGNAL, /* number */
    AGT_FX_GUARD_KILL,
    AGT_FX_GUARD_HAND_BACK, /* epoch */
    AGT_FX_GUARD_RELEASE,   /* epoch: handed back while the tree runs, fenced by the engine */
    AGT_FX_DB_ORDER,        /* agt_effects.db_order */
    AGT_FX_DB_CANCEL,       /* agt_effects.db_cancel */
    AGT_FX_SAVE,            /* agt.saving, answered by AGT_EVENT_SAVED */
    AGT_FX_REPORT,          /* read the clock, agt_report_make with it, send to every quorum node */
    AGT_FX_LOG,             /* number: index into agt_effects.logs */
    AGT_FX_FAILSAFE_ASK, /* read the clock, agt_failsafe_make with it, send to every failsafe peer
                          */
};

struct agt_effect {
    enum agt_effect_kind kind;
    int number;
    uint64_t epoch;
    struct base_mono deadline;
    int64_t freeze_max_us;
    int64_t soft_us;
};

struct agt_effects {
    uint8_t count;
    uint8_t logs_count;
    struct agt_effect list[AGT_EFFECTS_MAX];
    struct base_text logs[AGT_LOGS_MAX];
    struct db_order db_order;
    struct db_order db_cancel;
    struct agt_failsafe_answer failsafe_answer; /* of a step that was asked */
    struct base_mono wake; /* a timer event is wanted then at the latest; replaces the one before */
};

/* The database order under way; id 0: none. */
struct agt_task {
    uint64_t id;
    struct db_order order;
    bool is_canceled;
    uint32_t starts; /* guard's count of roots when it was issued */
};

/* What the last failure of an order was; a kind that failed waits before it is tried again. */
struct agt_failure {
    enum db_order_kind kind;
    int status;
    uint32_t times;
    struct base_mono retry_at;
};

/* How a stop that we asked for goes on: fast, then immediate, then kill. */
struct agt_stop {
    bool is_asked;
    bool is_immediate;
    bool is_killed;
    struct base_mono since;
};

/* What a Galera member's agent remembers beside the rest; nothing of it is needed after a restart
 * of the agent. */
struct agt_galera {
    struct base_mono tick_at;     /* of the last step; LONG_AGO: none yet */
    struct base_mono paused_at;   /* the last gap between two steps that was too long ended then:
                                     what was read before it proves nothing */
    struct base_mono stop_wanted; /* since then a stop is wanted; NEVER: it is not */
    struct base_mono fence_since; /* the writer's right is over since; NEVER: it is not */
    bool is_fenced;               /* FENCE has been done for this root, and nothing undone since */
    struct base_mono fenced_at;
    bool is_fence_failed;
    uint64_t demoted_epoch; /* DEMOTE has been done for it */
    bool is_demote_failed;
    uint64_t promoted_epoch; /* PROMOTE has been done for it */
    struct base_mono promoted_at;
    unsigned damages; /* in a row: RECOVER found the data damaged */
    struct base_mono damaged_at;
    uint64_t live_grant; /* pc.bootstrap was asked for by this process, for that generation */
    uint64_t live_done;
    uint32_t writable_views;       /* in a row: read_only is off without a right */
    bool has_view;                 /* who is in the component was read, of this root */
    uint64_t conf_id;              /* of the last view that answered ... */
    uint8_t gcomm[16];             /* ... and its place in the group */
    struct base_mono root_seen_at; /* when this root was seen first: SQL is closed since */
    bool is_out_seen; /* the last view of the running server was in no Primary component */
    uint64_t
        settled_order; /* the last WEIGHT, UNFENCE, DEMOTE that ended; views begun since count */
    bool is_unheard;   /* no word of the arbiter for a while */
    enum agt_galera_state state;
    enum agt_galera_goal goal;
};

struct agt {
    uint32_t magic;
    struct agt_config config;
    struct agt_lease lease;

    /* durable state: known to be on disk, on its way, wanted */
    struct agt_disk disk;
    struct agt_disk saving;
    struct agt_disk want;
    bool is_saving;
    struct base_mono save_retry_at;

    /* facts */
    bool has_guard;
    struct guard_status guard;
    bool has_view;
    struct db_view view;
    struct base_mono answered_at; /* last view that answered, of this root */
    bool has_answered;
    bool was_in_recovery;     /* as that one said */
    bool is_gone_seen;        /* a view since the tree has gone */
    uint64_t directory_order; /* a view that began before the end of this order tells of another
                                 directory */
    struct base_mono gone_at; /* when it went; valid while GONE */
    uint64_t gone_number;     /* the last report before; 0: of this process all are behind it */
    uint32_t rogue_views;     /* in a row: read-write without a right */
    uint32_t foreign_views;   /* in a row: a process that is not the guard's */
    uint32_t silent_views;    /* in a row: without an answer */
    uint32_t wrong_views;     /* in a row: holder on a timeline that is not its epoch's */
    bool has_order;
    struct msg_order order;
    struct base_mono order_at; /* when the last order was taken in */
    uint64_t order_term;       /* of the newest order taken in ... */
    uint64_t order_number;     /* ... and the report that it answered */
    uint64_t granted_term;     /* of the newest leader that has granted this process something */
    bool has_grant;            /* a grant that waits for its epoch to be on disk */
    uint64_t grant_epoch;
    struct base_mono grant_deadline;

    /* of the present root process, forgotten when it changes */
    struct base_mono root_since;
    bool has_receiver_run;
    uint64_t stopped_end_lsn; /* end of WAL as seen before this root was started; 0 unknown */
    bool is_detached;
    bool was_taken_out;        /* its receiver; nobody was told to follow again since */
    uint64_t detach_id;        /* order that took the receiver away */
    uint32_t detach_views;     /* views since */
    struct base_name followed; /* the receiver is set to this one ... */
    struct base_text followed_host;
    uint16_t followed_port;
    struct base_mono unfollowed_since;
    struct base_mono received_at; /* last time it was seen streaming on, or was set */
    int32_t receiver_pid;         /* of the one that streamed in the last such view */
    bool is_remote_followed;      /* ... to the primary elsewhere, in a standby cluster */
    uint64_t promoted_epoch;
    bool is_sync_in_force; /* sync_names, sync_count, in every walsender */
    struct msg_names sync_names;
    uint8_t sync_count;
    bool is_barrier_passed; /* of the settings in force */
    bool is_gated;          /* crash restart: closed until the barrier has passed */
    bool is_open_ready;
    bool are_clients_out;

    /* of a stopped directory */
    struct db_order prepared; /* last PREPARE done since it stopped; kind NONE: unknown */
    uint64_t rewound_epoch;
    uint64_t refused_epoch; /* its holder did not stream to this directory */
    bool is_made;           /* by this process, and its system identifier is not known yet */
    bool is_first_start;    /* under way, of what was made here */
    bool is_start_asked;
    struct base_mono start_asked_at;
    bool is_promotion_wrong; /* came out on another timeline: never opens */

    /* holder */
    uint64_t ran_epoch;      /* a root was seen running under this epoch */
    uint64_t exit_epoch;     /* ... and went away under it, unasked */
    bool is_handback_wanted; /* decided for the epoch held; from then on it is armed no more */
    uint64_t handback_asked; /* highest epoch whose handback was asked for */
    struct base_mono handback_asked_at;
    bool is_arm_asked; /* and no word of the guard has come since */
    struct base_mono arm_asked_at;
    uint64_t arm_epoch; /* asked of the guard since arm_since, with arm_deadline, and not taken */
    struct base_mono arm_since;
    struct base_mono arm_deadline;
    uint32_t arm_words; /* ... and so many words of the guard have come since */
    struct base_mono exit_at;
    struct base_mono crashes[3];
    bool is_retired; /* crashed too often: stays down until the agent is restarted, or told to */
    uint8_t streaming_voters;
    uint64_t checkpoint_epoch; /* hand-over: CHECKPOINT has been done for this epoch */
    struct agt_stop stop;
    bool is_clean_hoped; /* it went after a fast stop of ours: the control file will tell */
    uint64_t handback_epoch;
    bool is_handback_clean;
    uint64_t handback_lsn;
    uint64_t opened_lsn;
    uint64_t opened_epoch;

    struct agt_task task;
    uint64_t ids; /* last order id given out */
    struct agt_failure failure;

    /* configuration, operators' tasks, pause */
    uint64_t config_at_hand; /* document that the engine has been handed; 0 none */
    uint64_t config_refused; /* document that it could not bring into force */
    uint64_t reload_task;    /* task that the order `reload_order` is for */
    uint64_t reload_order;
    struct base_mono disarm_asked_at;
    bool is_disarm_asked;          /* and may not have been carried out yet ... */
    struct base_mono disarm_after; /* ... unless it is armed beyond what was asked for before */
    struct base_mono arm_latest;   /* latest deadline that the guard was asked for */

    /* detection */
    uint32_t write_views; /* in a row: writing fails */
    struct base_mono write_failing_since;
    struct base_mono
        barred_until; /* hook or guard of this host refused it: not to be asked again at once */

    /* upstream of a standby */
    struct base_name upstream;      /* who it shall be; empty: the holder */
    bool is_cascade_refused;        /* a ring was seen, and this member is the one to leave it */
    struct base_mono cascade_since; /* the wished upstream is fit since; NEVER: it is not */

    struct agt_failsafe failsafe;
    struct agt_galera galera;
    struct agt_mongodb mongodb;

    bool is_shutdown;

    /* reporting */
    bool is_report_urgent;
    bool has_reported;
    struct base_mono reported_at;
    struct base_mono heartbeat_at;
    uint32_t digest;
    struct base_mono wake;
    int64_t pause_worst_us;
    int64_t lease_least_us; /* least that was left when a grant came, since the start; INT64_MAX:
                               none yet */
    enum agt_state state;
    enum agt_goal goal;
    struct base_text note;
};

/* `disk` is what the shell has loaded (all zero for a new member). */
void agt_init(struct agt *agent, const struct agt_config *config, const struct agt_disk *disk,
              struct base_mono now);
/* One step; *ret_effects is overwritten. */
void agt_step(struct agt *agent, const struct agt_event *event, struct agt_effects *ret_effects);

/* The report of this moment, with the next number. `t_send` must have been read before, and the
 * report must be sent after: the deadline counts from it. */
void agt_report_make(struct agt *agent, struct base_mono t_send, struct msg_report *ret);
/* The same without a number: what the agent knows at `now`; for HTTP. */
void agt_report_peek(const struct agt *agent, struct base_mono now, struct msg_report *ret);

/* The round that AGT_FX_FAILSAFE_ASK began. `t_send` must have been read before, and it must be
 * sent after: the deadline counts from it. */
void agt_failsafe_make(struct agt *agent, struct base_mono t_send, struct agt_failsafe_ask *ret);

/* Armed by the guard's own word, for the epoch in force, deadline ahead of now, tree running. */
bool agt_has_right(const struct agt *agent, struct base_mono now);
/* Has that right, or holds the epoch of a pause (its lease has no end), and the database accepts
 * writes. The only ground for a 200 on /primary. */
bool agt_is_open(const struct agt *agent, struct base_mono now);
/* Galera: the named writer, under its right, synced and open for writes, evidence fresh. The only
 * ground for a 200 on /writer. */
bool agt_galera_is_writer(const struct agt *agent, struct base_mono now);
/* Galera: synced (or, with is_donor_fine, a donor), and a read with wsrep_sync_wait has come
 * through within 2 s and since the last pause of this agent. The only ground for a 200 on /reader.
 */
bool agt_galera_is_reader(const struct agt *agent, struct base_mono now, bool is_donor_fine);
/* Galera: what was seen of the server is at most 2 s old, and this agent has not stood still since.
 */
bool agt_galera_is_fresh(const struct agt *agent, struct base_mono now);
/* There is an order, of the epoch that is on disk: its record is the present one as far as known.
 */
bool agt_order_is_in_force(const struct agt *agent);
/* A pause is in force here (safety.md section 10): nothing is started, stopped or changed. */
bool agt_is_paused(const struct agt *agent);
/* A server that was there before us runs on as it was, and nothing of ours was ever decided for it:
 * the agent's own end must not touch it. */
bool agt_is_left_running(const struct agt *agent);
/* Taken out of service by an operator: no candidate, not counted, no reads wanted. */
bool agt_is_drained(const struct agt *agent);
/* Holder of a standby cluster: follows a primary elsewhere, never open. */
bool agt_is_standby_leader(const struct agt *agent);
/* After AGT_EVENT_SHUTDOWN: nothing runs, nothing is held any more, and that is known to the
 * arbiter (or it did not hear of it for one ttl). */
bool agt_is_finished(const struct agt *agent, struct base_mono now);
/* True when the invariants hold; asserted after each step in slow builds. */
bool agt_check(const struct agt *agent);

#endif
