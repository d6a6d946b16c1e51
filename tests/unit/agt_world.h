/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around one agent driver: the real guard core, a modelled database, disk and
 * network.
 *
 * Virtual time, single-threaded, deterministic for a seed. The world checks after every event what
 * must never be (world.broken names it): writable without an armed lease, a deadline beyond what a
 * report was granted, an epoch armed that is not on disk or was handed back, a vote that is not
 * final.
 */
#ifndef QUORATE_TESTS_UNIT_AGT_WORLD_H
#define QUORATE_TESTS_UNIT_AGT_WORLD_H

#include "agents/driver.h"
#include "agents/guard/core.h"
#include "base/rand.h"

#define WORLD_PENDING_MAX 128
#define WORLD_SENT_MAX 4096
#define WORLD_TTL_US INT64_C(2000000)
#define WORLD_MARGIN_US INT64_C(200000)
#define WORLD_SYSTEM_ID 77
#define WORLD_LOGS_MAX 64

enum world_kind {
    WORLD_GUARD_STATUS = 1,
    WORLD_GUARD_EVENT, /* number: enum guard_event_kind */
    WORLD_DB_DONE,
    WORLD_DB_READY, /* the root answers from now on */
    WORLD_DB_EXIT,  /* the root ends; number: 1 in order */
    WORLD_VIEW,
    WORLD_SAVED,
};

struct world_pending {
    struct base_mono at;
    enum world_kind kind;
    int number;
    uint64_t id;
    uint32_t starts;
};

/* The modelled database. */
struct world_db {
    bool has_directory;
    bool is_bad;
    uint64_t system_id;
    uint32_t timeline;
    uint64_t lsn;
    bool is_standby_configured;
    bool is_clean;
    bool was_primary;          /* the control file's word, once it is stopped */
    struct base_name upstream; /* in the file */
    bool is_running;
    bool is_ready;
    bool is_refused; /* what its receiver asks for is not there */
    bool is_reading; /* has come half way through its own log */
    bool is_hanging; /* does not answer */
    bool is_in_recovery;
    bool is_receiving;
    bool is_receiver_flapping; /* another process in each view */
    int32_t receiver_pid;
    uint8_t standbys_count;
    struct msg_standby standbys[MSG_MEMBERS_MAX];
    uint64_t config_revision; /* in force */
    bool is_restart_pending;
    bool is_write_failing;
    bool is_raise_held;      /* as the last start of a primary was prepared */
    bool is_remote;          /* the upstream in the file is the primary elsewhere */
    struct db_order running; /* order under way; id 0: none */
    uint64_t orders_done;
    bool is_gated;
};

struct world {
    struct base_mono now;
    struct agt_driver driver;
    bool has_agent;
    struct agt_driver_options options;
    struct guard_core guard;
    struct base_mono wake;
    struct world_db db;
    uint8_t disk[AGT_DISK_BYTES_MAX];
    size_t disk_len; /* 0: no file */
    uint8_t saving[AGT_DISK_BYTES_MAX];
    size_t saving_len;
    struct agt_disk durable; /* decoded from disk */
    struct world_pending pending[WORLD_PENDING_MAX];
    uint16_t pending_count;

    /* the other side */
    struct msg_report report; /* last one sent */
    uint64_t reports;
    struct base_mono sent[WORLD_SENT_MAX];
    struct base_mono deadline_allowed; /* by the grants that were really sent, for epoch_allowed */
    uint64_t epoch_allowed;
    struct msg_record record;
    uint64_t term;
    enum msg_goal last_goal;
    struct msg_attempt attempt;
    struct msg_attempt ended;
    bool has_sync;
    struct msg_names sync_names;
    uint8_t sync_count;
    bool is_upstream_open;
    uint32_t upstream_timeline;
    uint64_t upstream_lsn;
    struct msg_member peers[2]; /* b and d, as orders tell of them */
    struct base_name catch_up_from;
    uint64_t config_at_hand;       /* as the port was handed it */
    struct agt_failsafe_ask asked; /* last round of ours; round 0: none */
    struct base_mono asked_at;
    struct msg_names failsafe_missing; /* who has not granted it yet */

    /* levers */
    int promote_status;
    int clone_status;
    int rewind_status;
    int follow_status;
    int barrier_status;
    int configure_status;
    int save_status;
    bool promote_refused;    /* by a hook of the host: nothing was done */
    uint32_t promote_offset; /* comes out that much higher, unnoticed */
    bool is_detach_held;
    bool is_disarm_held; /* on its way to the guard, until world_disarm */
    bool is_barrier_held;
    bool is_stop_slow;
    bool are_views_silent;
    bool is_pause_lost;   /* of a pause the guard alone knows: the state file went away */
    bool is_guard_silent; /* takes nothing and says nothing */
    bool is_arm_refused;  /* it answers, and that is all */
    int64_t save_us;
    int64_t kill_us;

    /* seen */
    uint32_t starts;
    uint32_t orders[DB_ORDER_CANCEL + 1]; /* issued, by kind */
    uint32_t signals[32];
    uint32_t kills;
    uint32_t arms;
    uint64_t armed_highest;
    struct base_mono armed_deadline;
    const char *broken; /* NULL: nothing */
    uint32_t logs;
    bool is_loud; /* tells its story */
};

/* A world with member "a" of cluster "c"; members b and d are others. Agent not started. */
void world_init(struct world *w);
/* A new agent process over the same guard, database and disk. */
void world_agent_start(struct world *w);
/* Lets time pass; events and timers run as they fall due. */
void world_run_ms(struct world *w, int64_t ms);
/* The same without anybody running: a stall of the agent, the guard goes on. */
void world_stall_ms(struct world *w, int64_t ms);

/* What must never be is looked for, as after every event. */
void world_check(struct world *w);

/* agt_world_orders.c: what a leader and other members say. */
struct base_name world_name(const char *text);
/* Record of `epoch` held by `holder`; instance of our guard when it is "a". V = {b, d}, r = 1. */
void world_record(struct world *w, uint64_t epoch, const char *holder);
/* Answers the last report. */
void world_order(struct world *w, enum msg_goal goal, bool is_granted);
/* Answers report `number` as it would have been made by the present record. */
void world_order_for(struct world *w, uint64_t number, enum msg_goal goal, bool is_granted);
/* Orders on every report, granted or not, for so long. */
void world_hold_ms(struct world *w, enum msg_goal goal, bool is_granted, int64_t ms);
/* Two members besides "a" grant or refuse the last round of ours. */
void world_failsafe_answer(struct world *w, const char *member, bool is_granted);
/* Holder `holder` asks "a" to extend `epoch`; what "a" says. */
bool world_failsafe_ask(struct world *w, const char *holder, uint64_t epoch);
/* The same, and the holder tells that position; 0: its server did not answer. */
bool world_failsafe_ask_at(struct world *w, const char *holder, uint64_t epoch, uint64_t lsn);
/* The leader sends the document of `revision`, which the record names from now on. */
void world_config(struct world *w, uint64_t revision);
/* An operator's task for "a" stands in the record from now on, due. */
void world_task(struct world *w, enum msg_task_kind kind, uint64_t id);
/* The root dies by itself. */
void world_crash(struct world *w);
/* The guard carries a DISARM out that was held. */
void world_disarm(struct world *w);
/* Makes a directory that was opened by `epoch` on `timeline`, and the disk state that knows it. */
void world_directory(struct world *w, uint64_t epoch, uint32_t timeline, uint64_t lsn);
/* A server that somebody else started runs on `timeline`, and the guard has adopted it. Before the
 * agent starts. */
void world_adopt(struct world *w, uint32_t timeline, bool is_standby);
bool world_is_writable(const struct world *w);
const struct agt *world_agent(const struct world *w);

#endif
