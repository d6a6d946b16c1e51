/* SPDX-License-Identifier: Apache-2.0 */
/* A modelled PostgreSQL: one data directory and, while it runs, one process tree.
 *
 * WAL is a list of records; a position is how many there are, LSN = PG_LSN(position). As with the
 * real one: WAL goes to standbys when it is flushed here; a commit is acknowledged by a walsender
 * that judges with the settings *it* has read; a cancelled wait leaves the commit visible and
 * unacknowledged; timelines are compared by number alone; backends outlive a killed root for a
 * while; a frozen tree does nothing, but what it had sent arrives. Files: pg.c life of the tree,
 * pg_wal.c directory, pg_commit.c commits and settings, pg_stream.c replication, pg_order.c and
 * pg_view.c the agent's port.
 */
#ifndef QUORATE_TESTS_SIM_PG_H
#define QUORATE_TESTS_SIM_PG_H

#include "agents/port_db.h"
#include "tests/sim/world.h"

#define PG_LSN(position) (UINT64_C(1000) + 64 * (uint64_t)(position))
#define PG_POSITION(lsn) ((lsn) < 1000 ? 0 : ((lsn)-1000) / 64)
#define PG_HISTORY_MAX 256
#define PG_NOBODY (1u << 31) /* bit of a set: a name that no standby has */
#define PG_ELSEWHERE (-2)    /* as upstream: the primary of another site (elsewhere.h) */

enum pg_phase { PG_DOWN, PG_STARTING, PG_STANDBY, PG_PROMOTING, PG_PRIMARY, PG_STOPPING };

enum pg_kind { PG_COMMIT, PG_OPENING, PG_CHECKPOINT };

/* One WAL record, known to the whole world by its number. */
struct pg_record {
    enum pg_kind kind;
    uint32_t timeline;
    uint64_t epoch; /* that its writer was armed for */
    uint64_t value;
    int writer;
};

struct pg_fork {
    uint32_t timeline;
    uint32_t position; /* records before it belong to the parent */
};

struct pg_directory {
    bool exists, is_bad;
    bool is_standby; /* standby signal */
    bool is_clean;   /* shut down in order */
    uint32_t clean_position;
    uint64_t system_id;
    uint32_t *records;
    size_t records_cap;
    uint32_t count;   /* written */
    uint32_t flushed; /* on disk */
    struct pg_fork history[PG_HISTORY_MAX];
    unsigned history_count;
    uint32_t timeline_highest;
    uint32_t timeline_reserved; /* history files without content up to it: passed over */
    int upstream;               /* member, -1 none, PG_ELSEWHERE */
    uint32_t sync_names;
    unsigned sync_count;
    bool is_gated;
    uint32_t recycled;        /* WAL before it is gone */
    bool was_primary;         /* the control file's word */
    bool is_by_hand;          /* has run read-write by hand since it was made or copied */
    uint64_t config_revision; /* of the document in force in its files */
    uint32_t connections;     /* that they ask for */
};

/* A commit whose client waits. */
struct pg_wait {
    uint32_t position; /* acknowledged when this many records are safe */
    uint32_t record;
    unsigned client;
    uint64_t request;
};
#define PG_WAITS_MAX 64

struct pg_sender {
    bool is_connected;
    uint64_t session;
    uint32_t sent, flushed;
    int64_t heard_us;
    uint32_t names; /* settings that this walsender has read */
    unsigned count;
    unsigned replies; /* handled since it read them */
};

struct pg {
    struct world *world;
    unsigned member;
    struct base_rand rand;
    struct pg_directory dir;
    struct process *process; /* the tree; guard.c owns it */
    bool is_root_alive;
    enum pg_phase phase;
    uint64_t
        epoch; /* that the guard was armed for when this tree became a primary; 0: it has not */
    bool is_writable; /* could acknowledge a commit now */
    bool is_client_barred;
    int64_t stop_at_us; /* STOPPING: not before then */
    uint32_t replayed;
    uint32_t wal_end_at_start;
    /* receiver */
    bool has_receiver, is_receiving, has_received;
    bool is_receiver_ending; /* takes no more, but is seen */
    uint64_t session;
    int64_t heard_us;
    /* senders and commits */
    struct pg_sender senders[MEMBERS_MAX];
    bool is_sync_off; /* the shared flag that the checkpointer keeps */
    struct pg_wait waits[PG_WAITS_MAX];
    unsigned waits_count;
    bool is_hung;     /* accepts, answers nothing */
    bool is_gate_due; /* restarted in place: what its first client sees is looked at */
    /* the document that was handed over last; what the running server was started with */
    uint64_t handed_revision;
    uint32_t handed_connections, run_connections;
    bool is_write_stuck; /* its disk hangs: nothing is flushed */
    /* faults that wait for their moment */
    bool is_disk_full, is_stop_slow, is_promotion_failing, is_promotion_deadly;
    /* the agent's order under way */
    struct db_order order;
    uint64_t order_number;
    uint32_t barrier_position;
    uint32_t promote_timeline;
    uint64_t promote_order;
    bool is_promoted_right;
    uint64_t orders_done;
    bool is_making;
    struct db_view calm; /* before the order under way began to change the directory */
    void *agent;
    void (*done)(void *agent, const struct db_done *done);
};

/* --- pg.c --- */
void pg_init(struct world *w, struct pg *pg, unsigned member, struct process *tree);
void pg_free(struct pg *pg);
/* Root process starts on the directory. */
void pg_start(struct pg *pg);
/* The whole tree is gone, or the power; what was not written or not flushed is lost. */
void pg_gone(struct pg *pg, bool is_power_loss);
void pg_root_killed(struct pg *pg);
void pg_signal(struct pg *pg, int signal_number);
void pg_set_phase(struct pg *pg, enum pg_phase phase);
/* Something changed that decides who may acknowledge. */
void pg_note(struct pg *pg);
bool pg_is_serving(const struct pg *pg);
struct pg *pg_of(struct world *w, unsigned member);

/* --- pg_wal.c --- */
void pg_append(struct pg_directory *d, uint32_t record);
void pg_truncate(struct pg_directory *d, uint32_t count);
uint32_t pg_timeline(const struct pg_directory *d);
unsigned pg_forks(const struct pg_directory *d);
void pg_copy(struct pg_directory *to, const struct pg_directory *from, uint32_t count);
/* Where the two histories part: records before it are the same by number of timeline. */
uint32_t pg_common(const struct pg_directory *a, const struct pg_directory *b);
/* How many records are really the same; only the invariants may ask. */
uint32_t pg_same(const struct pg_directory *a, const struct pg_directory *b);
uint32_t pg_record_make(struct world *w, const struct pg_record *record);
const struct pg_record *pg_record_of(const struct world *w, uint32_t record);

/* --- pg_commit.c --- */
void pg_insert(struct pg *pg, const struct pg_record *record, unsigned client, uint64_t request);
void pg_flush_soon(struct pg *pg);
void pg_release(struct pg *pg, uint32_t names, unsigned count);
void pg_reload_settings(struct pg *pg);
void pg_cancel_waits(struct pg *pg);

/* --- pg_stream.c --- */
void pg_receiver_restart(struct pg *pg);
void pg_receiver_stop(struct pg *pg);
void pg_stream_tick(struct pg *pg);
void pg_send_all(struct pg *pg);
void pg_senders_end(struct pg *pg);
void pg_arrive(void *ctx, unsigned from, struct slice payload);

/* --- pg_order.c --- */
void pg_order(struct pg *pg, const struct db_order *order);
void pg_order_poll(struct pg *pg);
void pg_order_forget(struct pg *pg);
bool pg_answers(const struct pg *pg); /* a session would be served */
void pg_promote_by_hand(struct pg *pg);
/* The cluster's configuration document. */
void pg_configure(struct pg *pg, uint64_t revision, struct slice text);

/* --- pg_view.c --- */
void pg_view(const struct pg *pg, struct db_view *ret);

#endif
