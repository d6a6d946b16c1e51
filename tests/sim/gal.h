/* SPDX-License-Identifier: Apache-2.0 */
/* A modelled MariaDB Galera member: one data directory and, while it runs, one mariadbd.
 *
 * Rows are numbered world-wide; a directory is a list of them. Its position (uuid, seqno) is kept
 * apart from them, as with the real one, so that two histories can have the same position and
 * different rows. Members see each other through their group (gal_group.c): what is replicated is
 * in the queue of every member of the component at one moment, and each applies it in its own time.
 * Modelled on purpose: the stall while a member is silent; eviction; the quorum of the last Primary
 * view with weights and orderly leaves; pc.bootstrap by anybody who says it; components formed anew
 * from gvwstate.dat without any look at positions; state transfers by position alone, and the empty
 * directory that a broken one leaves; writes that a crash or a power loss takes back; a member that
 * goes on believing in its view after a pause; read_only that queues behind a commit; a server that
 * waits for a component and does not listen to SIGTERM. Pure of the product: gal_order.c alone
 * knows the agent's port. Files: gal.c life of the process, gal_group.c views and quorum,
 * gal_data.c rows and transfers, gal_sql.c statements, gal_load.c clients.
 */
#ifndef QUORATE_TESTS_SIM_GAL_H
#define QUORATE_TESTS_SIM_GAL_H

#include "agents/core/db_types.h"
#include "tests/sim/sql_load.h"
#include "tests/sim/world.h"

#define WSREP_MEMBERS_MAX 4
#define WSREP_ARBITRATOR MEMBERS_MAX /* garbd: its bit in a view; it runs beside quorum node 1 */
#define WSREP_PLACES (MEMBERS_MAX + 1)
#define WSREP_UUID_NIL 0
#define WSREP_WAITS_MAX 32

/* A component that was Primary, or is not. Places are members by their number in the world. */
struct wsrep_view {
    uint64_t id; /* grows over the whole world; 0: none */
    uint64_t conf_id;
    bool is_primary;
    uint32_t members; /* bits */
    uint32_t left;    /* of those, who has left in order since */
    uint8_t weight[WSREP_PLACES];
    uint32_t
        lineage; /* which bootstrap it descends from; 0: formed from gvwstate.dat without one */
};

/* A row, known to the whole world by its number. */
struct wsrep_row {
    uint64_t value;
    unsigned writer;
    uint32_t lineage;
    int64_t seqno;
};

struct wsrep_directory {
    bool exists;
    bool is_grastate_empty;  /* a transfer has begun: nothing of it counts */
    bool is_sst_in_progress; /* and was not ended */
    uint32_t uuid;           /* of its history; WSREP_UUID_NIL */
    int64_t file_seqno;      /* grastate.dat: -1 while it runs and after a crash */
    bool is_safe;            /* safe_to_bootstrap */
    bool has_gvwstate;
    struct wsrep_view gvwstate;
    bool is_damaged; /* by a loss of power: InnoDB cannot read it; until the next transfer */
    int64_t seqno;   /* of the last row in the tables (what --wsrep-recover finds) */
    uint32_t *rows;
    size_t rows_cap;
    uint32_t count;
    uint32_t flushed; /* survive a loss of power */
    uint32_t written; /* survive a kill: in the kernel */
};

enum wsrep_phase {
    WSREP_DOWN,
    WSREP_LOADING, /* process there, not in the group yet */
    WSREP_WAITING, /* in the group, no component or no state yet: SQL closed */
    WSREP_OPEN,    /* SQL answers */
    WSREP_STOPPING,
};

/* As wsrep_local_state says. */
enum wsrep_state {
    WSREP_INIT = 0,
    WSREP_JOINER = 1,
    WSREP_DONOR = 2,
    WSREP_JOINED = 3,
    WSREP_SYNCED = 4
};

enum wsrep_reject { WSREP_REJECT_NONE, WSREP_REJECT_ALL, WSREP_REJECT_ALL_KILL };

/* How the next start goes: what the files and the command line say together. */
struct wsrep_start {
    bool is_new_cluster, is_by_hand;
    bool has_position; /* --wsrep_start_position */
    uint32_t uuid;
    int64_t seqno;
};

/* A commit that waits for the group, or for its turn to be applied here. */
struct wsrep_wait {
    uint64_t value;
    uint32_t row;    /* 0: not replicated yet */
    unsigned client; /* an address; 0: its session was cut */
    uint64_t request;
};

/* What the group knows of a place on it: a member's server, or the arbitrator. */
struct wsrep_peer {
    struct wsrep_view view; /* what it believes */
    struct wsrep_view last; /* the last Primary view that it belonged to */
    uint32_t missing;       /* members of its view that it does not hear */
    uint32_t apart;         /* other components that are Primary, too: they never merge */
    int64_t silent_us;      /* since when nothing can be agreed on; 0: all is well */
    int64_t due_us;         /* when it is ready for another view; 0: it needs none */
};

struct wsrep {
    struct world *world;
    unsigned member;
    struct base_rand rand;
    struct process *process; /* guard.c owns it */
    struct wsrep_directory dir;
    struct wsrep_start prepared; /* the next start */
    struct wsrep_start start;    /* the one that was; later: what it brought into its component */
    enum wsrep_phase phase;
    enum wsrep_state state;
    uint32_t uuid; /* of the component's history, as this server says */
    struct wsrep_peer peer;
    uint32_t data_lineage;  /* of the component whose state it has last had; the invariants' own */
    uint64_t joined_number; /* a transfer under way */
    int donor;              /* from whom; -1 none */
    /* queue of what was replicated and is not applied here */
    uint32_t *queue;
    size_t queue_cap;
    size_t queue_from, queue_to;
    bool is_applier_blocked;
    bool is_applying; /* an event is on its way */
    /* SQL */
    bool is_read_only, is_read_only_wanted;
    enum wsrep_reject reject;
    bool is_desynced;
    uint64_t
        writable_epoch; /* of the guard when read_only was taken off by the agent; 0: by nobody */
    struct wsrep_wait waits[WSREP_WAITS_MAX];
    unsigned waits_count;
    int64_t stop_at_us;
    unsigned weight;
    int64_t started_us;
    bool is_sst_failed;
    bool is_restored; /* started with a gvwstate.dat: it brings a view, and perhaps no position */
    /* the port (gal_order.c): the agent's order under way, and reads with wsrep_sync_wait */
    struct db_order order;
    uint64_t order_number;
    uint64_t orders_done;
    int64_t order_since_us;
    bool is_recovered; /* --wsrep-recover has been run since the last end */
    struct wsrep_causal {
        bool is_sent, is_ordered;
        struct base_mono sent; /* by the host's clock */
        uint64_t view_id;
        int64_t target;
        struct base_mono came_through; /* the newest that did */
    } causal;
    void *agent;
    void (*done)(void *agent, const struct db_done *done);
};

#define WSREP_LINEAGES_MAX 256

struct galera {
    struct wsrep_row *rows; /* from 1 on */
    size_t rows_count, rows_cap;
    uint64_t views; /* ids given out */
    uint32_t uuids;
    uint32_t lineages; /* bootstraps so far */
    bool is_by_hand[WSREP_LINEAGES_MAX];
    struct wsrep_peer arbitrator;
    bool is_looking;  /* not twice at once */
    bool is_given_up; /* a host is off for long: the operator goes on without it */
    int64_t next_value;
};

/* --- gal.c: life of the process --- */
void wsrep_open(struct world *w);
void wsrep_close(struct world *w);
void wsrep_init(struct world *w, struct wsrep *g, unsigned member, struct process *process);
void wsrep_free(struct wsrep *g);
struct wsrep *wsrep_of(struct world *w, unsigned member);
bool wsrep_exists(const struct world *w);
/* Members of the Galera cluster: from, to (not included). */
unsigned wsrep_first(const struct world *w);
unsigned wsrep_end(const struct world *w);
/* mariadbd starts as g->start says. */
void wsrep_start(struct wsrep *g);
/* It is gone: killed, or its host without power. */
void wsrep_gone(struct wsrep *g, bool is_power_loss);
void wsrep_signal(struct wsrep *g, int signal_number);
/* It ends by itself, with this status. */
void wsrep_exit(struct wsrep *g, int status);
/* The process answers: it runs, and nothing has stopped it. */
bool wsrep_is_awake(const struct wsrep *g);
/* Somebody looks after its state. */
void wsrep_set_phase(struct wsrep *g, enum wsrep_phase phase);

/* --- gal_group.c --- */
void wsrep_group_open(struct world *w);
/* Joins: with what it has, as the start says. */
void wsrep_join(struct wsrep *g);
/* Leaves: in order, or because it is gone. */
void wsrep_leave(struct wsrep *g, bool is_orderly);
/* SET GLOBAL wsrep_provider_options='pc.bootstrap=YES': whoever says it. False: refused. */
bool wsrep_pc_bootstrap(struct wsrep *g, bool is_by_hand);
/* Something of the group may have changed. */
void wsrep_group_look(struct world *w);
struct wsrep_peer *wsrep_peer_of(struct world *w, unsigned place);
/* Places that this one hears now, over others if need be, itself included; 0: it hears nothing. */
uint32_t wsrep_reach(struct world *w, unsigned place);
/* pc.weight of this one is another from now on, as all of its component know. */
void wsrep_weigh(struct wsrep *g, unsigned weight);
unsigned wsrep_weight(const struct wsrep_view *v, uint32_t set);
/* All members of its view are heard, and it is Primary. */
bool wsrep_can_replicate(const struct wsrep *g);
bool wsrep_is_primary(const struct wsrep *g);
unsigned wsrep_view_size(const struct wsrep_view *v);
/* That bootstrap was an operator's. */
bool wsrep_is_by_hand(const struct world *w, uint32_t lineage);
uint32_t wsrep_lineage_new(struct world *w, bool is_by_hand);

/* --- gal_data.c --- */
/* What it has when it starts: the rest of a crash is lost. */
void wsrep_crash_data(struct wsrep *g, bool is_power_loss);
void wsrep_queue_push(struct wsrep *g, uint32_t row);
size_t wsrep_queue_len(const struct wsrep *g);
void wsrep_queue_clear(struct wsrep *g);
void wsrep_apply_soon(struct wsrep *g);
void wsrep_apply_all(struct wsrep *g);
/* It has a component to join and needs its state. */
void wsrep_transfer(struct wsrep *g);
/* A transfer that it gives or takes is over, because somebody is gone. */
void wsrep_transfer_ends(struct wsrep *g);
uint32_t wsrep_row_make(struct world *w, const struct wsrep_row *row);
const struct wsrep_row *wsrep_row_of(const struct world *w, uint32_t row);
bool wsrep_has_row(const struct wsrep *g, uint32_t row);
void wsrep_directory_make(struct wsrep *g); /* mariadb-install-db */

/* --- gal_sql.c --- */
enum wsrep_answer { WSREP_OK, WSREP_REFUSED, WSREP_HANGS };
/* SELECT on a table: how many rows are visible. */
enum wsrep_answer wsrep_select(const struct wsrep *g, uint32_t *ret_count);
void wsrep_write(struct wsrep *g, uint64_t value, unsigned client, uint64_t request);
/* A view has changed or a row was applied: waits go on, or fail. */
void wsrep_waits_look(struct wsrep *g);
/* The session behind a wait is told. */
void wsrep_answer(const struct wsrep *g, const struct wsrep_wait *wait, enum sql_outcome outcome);
void wsrep_waits_fail(struct wsrep *g, bool is_known);
void wsrep_reject_set(struct wsrep *g, enum wsrep_reject reject);
/* False: it has to wait for a commit. */
bool wsrep_read_only_try(struct wsrep *g, bool is_read_only);
/* Turned away by nobody and part of a component with a state. */
bool wsrep_is_ready(const struct wsrep *g);
/* A client that is no administrator could write and be told so now. */
bool wsrep_is_writable(const struct wsrep *g);
/* Flow control holds the component. */
bool wsrep_is_flow_paused(const struct world *w, const struct wsrep *g);

/* --- gal_order.c --- */
void wsrep_order(struct wsrep *g, const struct db_order *order);
void wsrep_order_forget(struct wsrep *g);
void wsrep_look_at(struct wsrep *g, struct db_view *ret); /* a probe */
void wsrep_arrive(void *ctx, unsigned from, struct slice payload);

#endif
