/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched beside orders and heartbeats: the configuration in force and what of it waits for
 * a restart, whether clients could connect and write, certificates, slots. Part of struct pg_db.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_WATCH_H
#define QUORATE_AGENTS_POSTGRESQL_WATCH_H

#include <pthread.h>
#include <time.h>

#include "agents/core/db_types.h"

/* Slots that are ours by their names, and since when nobody needed one of them. */
#define PG_WATCH_SLOTS_MAX 32
struct pg_watch_slot {
    char name[64]; /* "": free */
    struct base_mono needed_at;
};

/* Size and time of change of the files of TLS. */
#define PG_WATCH_FILES 3
struct pg_watch_file {
    struct timespec changed;
    int64_t size;
};

struct pg_watch {
    /* under the port's lock */
    uint64_t config_revision; /* of the document in force; 0 none */
    bool is_restart_pending;
    struct base_text pending; /* "max_connections 100 -> 200, ..." */
    struct base_text refused; /* why the last document did not come into force */
    struct base_text warning; /* standing words for people */
    struct base_text slot_warning;
    struct base_mono troubled_from; /* when what has not worked since was tried; us 0: it works */
    struct base_text trouble;
    int32_t answered_root; /* has answered a heartbeat */
    bool is_primary;       /* last view's */
    bool is_wal_waiting;   /* WAL lies unwritten and nothing moves: somebody waits */
    /* worker thread only */
    int32_t settled_root; /* under which pending restarts and warnings were looked up */
    struct base_mono due_at;
    struct base_mono slots_at;
    struct pg_watch_file files[PG_WATCH_FILES];
    bool has_files;
    bool is_file_news; /* seen changed, not yet seen at rest */
    struct pg_watch_slot slots[PG_WATCH_SLOTS_MAX];
    /* thread that tries as a client does */
    pthread_t trier;
    bool has_trier;
    int stop_fd; /* readable: the port is being closed */
};

struct pg_db;
struct pg_run;
struct pg_sql;

/* --- order_config.c --- */
int pg_order_configure(struct pg_run *run);
/* Before a start in that role, `dir` being complete: takes in the document last offered, and sets
 * the bounds of the ordered parameters. Whatever fails, the old ones stay. */
void pg_config_prepare(struct pg_run *run, const char *dir, bool is_primary);
/* db_port.configure. Loop thread. */
void pg_config_offer(struct pg_db *db, uint64_t revision, struct slice text);
/* The document that the next start takes: the one offered last, else the one in force. For what
 * must be known before there is a directory to check it with. NULL: none. Until the next call. */
const struct arb_settings_pg *pg_config_expected(struct pg_run *run);

/* --- pending.c --- */
/* Looks up what waits for a restart, over a session of the superuser. */
void pg_pending_look(struct pg_run *run, struct pg_sql *superuser);

/* --- watch.c --- */
/* Between orders. */
void pg_watch_keep(struct pg_db *db);
/* Copies what is known into a view, lock held. */
void pg_watch_fill(const struct pg_db *db, struct db_view *view);

/* --- slot_logical.c --- */
/* Before a standby starts from `dir`: permanent logical slots as they are upstream. */
void pg_slot_logical_prepare(struct pg_run *run, const char *dir);
/* On the primary: made where they never were. On a standby: moved along with those upstream. */
void pg_slot_logical_round(struct pg_run *run, struct pg_sql *superuser, struct pg_sql *upstream);

/* --- slot_mirror.c --- */
void pg_slot_mirror(struct pg_run *run, struct pg_sql *superuser, bool is_primary);

/* --- probe_write.c --- */
MUST_CHECK int pg_trier_open(struct pg_db *db);
void pg_trier_close(struct pg_db *db);
/* Free bytes where the database and its WAL lie, the smaller of both; 0: not known. */
uint64_t pg_disk_free(const char *data_dir);

#endif
