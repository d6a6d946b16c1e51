/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the MongoDB port share: db.c (life, views, the directory), hello.c and canary
 * in it, watch.c (status and what is asked seldom), orders.c (what is done), advice.c (warnings).
 * Loop thread only. */
#ifndef QUORATE_AGENTS_MONGODB_DB_INTERNAL_H
#define QUORATE_AGENTS_MONGODB_DB_INTERNAL_H

#include "agents/mongodb/codes.h"
#include "agents/mongodb/commands.h"
#include "agents/mongodb/db.h"
#include "agents/mongodb/dir.h"
#include "agents/mongodb/read.h"

#define MDB_AWAIT_MS 1000
#define MDB_HELLO_US BASE_US_PER_S                /* where the server does not answer by itself */
#define MDB_HELLO_AGAIN_US (200 * BASE_US_PER_MS) /* after a failure */
#define MDB_HELLO_PAUSE_US (20 * BASE_US_PER_MS)  /* at least, between two */
#define MDB_CANARY_US (2 * BASE_US_PER_S)

/* What is asked over the session WATCH, one after the other; in order of importance. */
enum mdb_item {
    MDB_ITEM_HELLO, /* right behind an order: the long poll was asked before it */
    MDB_ITEM_STATUS,
    MDB_ITEM_CONFIG,
    MDB_ITEM_CONCERN,
    MDB_ITEM_RIGHTS,
    MDB_ITEM_DATABASES,
    MDB_ITEM_SERVER,
    MDB_ITEM_OPLOG_FIRST,
    MDB_ITEM_OPLOG_LAST,
    MDB_ITEM_COUNT
};

struct mdb_hello_state {
    bool is_running;
    bool is_legacy;  /* isMaster is what this server knows */
    bool was_waited; /* the one under way may wait for a change */
    uint64_t root;   /* that the one under way was sent to */
    struct base_mono asked_at;
    struct mdb_topology topology;
    struct mdb_topology seen; /* of the view's hello */
    struct io_timer timer;
};

struct mdb_canary {
    bool is_out;
    uint64_t root;
    struct base_mono sent_at;
    struct base_mono next_at;
    uint64_t number;
};

struct mdb_watch {
    bool is_running;
    uint64_t root;
    enum mdb_item item;
    bool is_local; /* the one under way goes without login */
    struct base_mono asked_at;
    struct base_mono due[MDB_ITEM_COUNT];
    uint64_t oplog_first;
};

/* The order under way, as steps: what is there, the deed, what came of it. */
enum mdb_step { MDB_STEP_STATUS, MDB_STEP_CONFIG, MDB_STEP_ACT, MDB_STEP_READ };

struct mdb_order_state {
    bool is_there;
    bool is_sent;  /* something was, and is not answered */
    bool is_job;   /* in the worker */
    bool is_local; /* without login, from this host: nobody has made users yet */
    enum mdb_step step;
    struct db_order order;
    struct base_mono until;
    struct base_mono act_again_until; /* a change that is to wait for the one before */
    int act_status;                   /* of the deed, when its connection was dropped */
    int32_t act_code;
    char act_text[BASE_TEXT_MAX + 1];
    struct io_timer timer; /* again, or too late */
    bool was_incompatible;
    bool is_again; /* the timer is for another try */
};

struct mdb_work { /* one wipe, or one look, in the worker */
    struct io_work work;
    struct mdb_db *db;
    bool is_look;
    struct mdb_look look;
    int status;
    struct base_text text;
};

struct mdb_advice {
    struct mdb_config_advice config;
    struct mdb_rights rights;
    bool has_rights;
    bool is_tls_refused;
    unsigned
        cuts; /* connections in plain text, one after the other, that it cut without an answer */
    int32_t
        refused[MDB_SESSION_COUNT]; /* code of the last answer; 0: none that people should know */
};

struct mdb_db {
    uint32_t magic;
    struct mdb_db_options options;
    const struct mdb_settings *settings;
    struct mdb_session_port sql;
    struct io_workers *workers;
    struct io_timer tick;
    struct io_timer notify; /* completions and views go out from here, never inside of a call */
    bool is_view_due;
    struct db_done done[4];
    unsigned done_count;
    int64_t interval_us;
    struct guard_status guard;
    bool has_guard;
    uint64_t root; /* counts the servers that we have seen: answers of another one are void */
    /* seen */
    bool is_answering;
    bool is_port_open; /* as of the last hello */
    struct mdb_look look;
    bool has_look;
    struct base_mono look_at;
    struct db_mongodb_view seen;
    struct mdb_server server;
    struct mdb_hello_state hello;
    struct mdb_canary canary;
    struct mdb_watch watch;
    struct mdb_order_state order;
    uint64_t last_done_id;
    struct mdb_advice advice;
    struct base_text warning;
    struct base_text note;
    uint64_t config_revision;
    struct mdb_work job;
    struct mdb_work looker;
    bool is_looking;
    struct buf command; /* over the memory below */
    uint8_t memory[MDB_COMMAND_BYTES];
};

/* db.c */
bool mdb_is_running(const struct mdb_db *db);
void mdb_view_soon(struct mdb_db *db);
void mdb_look_start(struct mdb_db *db);
void mdb_job_start(struct mdb_db *db);
/* Makes the command and sends it over an idle session; a command that cannot be made is 'refused'
 * here: its BASE_E_*, and nothing is called back. */
MUST_CHECK int mdb_send(struct mdb_db *db, enum mdb_session session, enum mdb_ask ask,
                        const struct mdb_ask_args *args, mdb_reply_fn *done);
/* 0, or BASE_E_* of an answer: the server's own code counts where there is one. */
int mdb_status_of(const struct mdb_reply *reply);
void mdb_failed(struct mdb_db *db, const struct mdb_reply *reply);

/* hello.c */
void mdb_hello_init(struct mdb_db *db);
void mdb_hello_start(struct mdb_db *db);
void mdb_hello_forget(struct mdb_db *db);
/* An answer to a hello that was asked at `asked_at`, over whichever session. PROTO: it is none. */
MUST_CHECK int mdb_hello_take(struct mdb_db *db, struct slice bson, struct base_mono asked_at,
                              struct mdb_topology *ret_topology);
void mdb_canary_start(struct mdb_db *db);

/* watch.c */
void mdb_watch_start(struct mdb_db *db);
void mdb_watch_due(struct mdb_db *db, enum mdb_item item);
void mdb_watch_forget(struct mdb_db *db);

/* orders.c */
void mdb_order_init(struct mdb_db *db);
void mdb_order_take(struct mdb_db *db, const struct db_order *order);
void mdb_order_job_done(struct mdb_db *db);

/* advice.c */
void mdb_advice_make(struct mdb_db *db);
/* What the last answer of a session was refused with; 0: it was not. */
void mdb_advice_refused(struct mdb_db *db, enum mdb_session session, int32_t code);

#endif
