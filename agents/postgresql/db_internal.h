/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the PostgreSQL shell share: the port's state under its lock, and one order's
 * run.
 *
 * Only the parts of the port include this: db, probe, order_* and what they are made of. Everything
 * in struct pg_db below `lock` is touched with the lock held; nobody blocks while holding it.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_DB_INTERNAL_H
#define QUORATE_AGENTS_POSTGRESQL_DB_INTERNAL_H

#include <pthread.h>

#include "agents/postgresql/conf.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/db.h"
#include "agents/postgresql/sql.h"
#include "agents/postgresql/watch.h"
#include "agents/shell/child.h"

#define PG_DB_DONE_MAX 4
#define PG_DB_SIGNALS_MAX 8

struct pg_db {
    uint32_t magic;
    struct pg_db_options options;
    const struct pg_settings *settings;
    pthread_t worker;
    pthread_t prober;
    int cancel_fd; /* eventfd: readable while the running order is to stop */
    int lock_fd;   /* state_dir/helper.lock, inherited by helper programs */

    pthread_mutex_t lock;
    pthread_cond_t order_changed;
    pthread_cond_t probe_changed;
    bool is_stopping;
    bool has_order; /* waiting or running */
    struct db_order order;
    uint64_t cancel_id; /* a CANCEL to be completed after the running order; 0 none */
    struct db_done done[PG_DB_DONE_MAX];
    unsigned done_count;
    uint64_t last_done_id;
    struct db_view view;
    bool has_view;
    bool wants_probe;
    bool is_answering; /* last view's */
    int signals[PG_DB_SIGNALS_MAX];
    unsigned signals_count;
    struct guard_status guard;
    struct base_text note;
    uint64_t
        work_done_bytes; /* of the clone or rewind under way, as its tool says; total 0: none */
    uint64_t work_total_bytes;
    bool is_sync_known; /* put in force by us, and in every walsender, under this root: */
    int32_t sync_root_pid;
    struct msg_names sync_names;
    uint8_t sync_count;
    uint32_t promote_timeline; /* asked for under promote_root_pid */
    int32_t promote_root_pid;
    int64_t interval_us;
    bool is_standby; /* last view's */
    bool is_receiving;
    bool is_idle_busy;     /* the worker does something that an order may interrupt */
    struct pg_watch watch; /* its parts say who may touch them */

    /* worker thread only, without the lock */
    int32_t waits_root_pid;   /* commits are known to wait for standbys under this root */
    int32_t gate_root_pid;    /* pg_hba.conf is open, this root is not known to have read it */
    bool is_conf_detached;    /* quorate.conf names no upstream, as last written by us */
    struct pg_conf following; /* as in quorate.conf; upstream empty: detached, primary or unknown */
    struct base_mono slot_at; /* not before then */
    struct base_mono archive_at;
};

/* One order being carried out, in the worker thread. */
struct pg_run {
    struct pg_db *db;
    const struct pg_settings *settings;
    const char *data_dir;
    struct db_order order;
    struct base_mono deadline;
    struct pg_sql *session;       /* the worker's own, to our server, as quorate_monitor */
    struct base_text text;        /* becomes db_done.text */
    struct base_text remote_slot; /* of pg_run_resolve_remote */
    const char *watched;          /* a helper's line with this text in it ... */
    bool is_watched_seen;         /* ... was seen */
};

/* --- for orders --- */
/* Sets the text and returns status. */
int pg_run_fail(struct pg_run *run, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line for people that stays. */
void pg_run_log(struct pg_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A note for people while the order runs. */
void pg_run_note(struct pg_run *run, const char *text);
/* Runs a helper program by name from bin_dir; argv[0] is replaced. On failure the text is set. */
MUST_CHECK int pg_run_helper(struct pg_run *run, const char **argv, struct slice input,
                             struct pg_child_result *result);
/* A command of the user's, by the shell, with a time limit of its own (0: the order's). It is told
 * member, cluster, directory and what else stands in `environment`. On failure the text is set. */
struct pg_run_command {
    const char *what; /* for people: "clone method barman" */
    const char *text;
    int64_t limit_us;
    const char *const *environment; /* at most PG_CHILD_ENVIRONMENT_MAX - 6 */
    const char *directory;          /* QUORATE_DATA_DIR, and where it runs if it is there */
};
MUST_CHECK int pg_run_command(struct pg_run *run, const struct pg_run_command *command);
/* On the worker's own session, opened when closed and once more when broken. */
MUST_CHECK int pg_run_query(struct pg_run *run, const char *text, struct pg_sql_rows *ret_rows);
/* Sleeps; CANCELED or TIMEOUT (deadline) instead of 0. */
MUST_CHECK int pg_run_sleep_us(struct pg_run *run, int64_t us);
/* The guard has the tree empty, no other server runs in the directory, and it is not marked. */
MUST_CHECK int pg_run_check_stopped(struct pg_run *run);
struct guard_status pg_run_guard(struct pg_run *run);
void pg_run_signal(struct pg_run *run, int signal_number);
#define PG_RUN_CONNINFO_MAX 2048
#define PG_RUN_SLOT_LIMIT_US (10 * BASE_US_PER_S)
#define PG_RUN_CHECK_LIMIT_US (10 * BASE_US_PER_S) /* of a look into a stopped directory */
/* What the order says about upstream, as configuration; nobody in the sync names. */
struct pg_conf pg_run_conf(const struct pg_run *run);
/* Connection string of the order's upstream into memory. */
MUST_CHECK int pg_run_upstream_conninfo(struct pg_run *run, const char *role, bool is_replication,
                                        char *memory, size_t cap);
/* Says why the upstream cannot be used; returns status. */
int pg_run_upstream_failed(struct pg_run *run, int status, const struct base_text *why);
/* Flushes a data directory that a helper has written. */
MUST_CHECK int pg_run_sync_data(struct pg_run *run, const char *dir);
#define PG_MAKING_SUFFIX ".quorate-making"
/* A directory in the making: beside its place, or in it under the mark state_dir/making. */
struct pg_place {
    struct pg_path path; /* where the tools write */
    bool is_in_place;
    struct pg_path making;
};
/* An empty place; what was in the old one is gone then. */
MUST_CHECK int pg_place_open(struct pg_run *run, struct pg_place *place);
/* Empties it once more, after an attempt that failed. */
MUST_CHECK int pg_place_clear(struct pg_run *run, const struct pg_place *place);
/* The finished directory takes its place, synced. */
MUST_CHECK int pg_place_commit(struct pg_run *run, const struct pg_place *place);
void pg_place_drop(const struct pg_place *place);
/* The oldest segment number of WAL that the order's upstream still has; 0 when it cannot be asked.
 */
uint64_t pg_run_oldest_segment(struct pg_run *run);
/* Fills the order's upstream from the configuration document when it is the remote primary. */
MUST_CHECK int pg_run_resolve_remote(struct pg_run *run);
/* Makes our slot on the upstream, within limit_us. What can be told of it comes back too. */
struct pg_upstream {
    uint64_t system_id;
    uint32_t timeline;
    bool has_slot;
};
MUST_CHECK int pg_run_make_slot(struct pg_run *run, int64_t limit_us, struct pg_upstream *ret);
/* A setting of a stopped directory as its files say it (`postgres -C`). */
MUST_CHECK int pg_run_setting(struct pg_run *run, const char *dir, const char *name, char *memory,
                              size_t cap);
/* Standby configuration into a stopped directory. */
MUST_CHECK int pg_run_configure_standby(struct pg_run *run, const char *dir,
                                        const struct pg_conf *conf);

/* One value as a session sees it that is opened for it: forked by a postmaster that has read the
 * files, or has not yet. */
MUST_CHECK int pg_run_new_session_value(struct pg_run *run, const char *text, char *memory,
                                        size_t cap);

/* The server has read its files again when this returns 0; the signal is repeated. */
MUST_CHECK int pg_run_reload(struct pg_run *run);
/* Orders of threads of ours, which take no signals: those are the loop's. */
MUST_CHECK int pg_db_start_thread(pthread_t *thread, void *(*run)(void *), struct pg_db *db);

/* Order functions: 0 or an error, text set. */
int pg_order_init(struct pg_run *run);
int pg_order_clone(struct pg_run *run);
int pg_order_rewind(struct pg_run *run);
int pg_order_prepare_standby(struct pg_run *run);
int pg_order_prepare_primary(struct pg_run *run);
int pg_order_follow(struct pg_run *run);
int pg_order_detach(struct pg_run *run);
int pg_order_promote(struct pg_run *run);
int pg_order_set_sync(struct pg_run *run);
int pg_order_barrier(struct pg_run *run);
int pg_order_checkpoint(struct pg_run *run);

/* --- tablespace.c --- */
/* Tablespaces of a directory that is about to be cloned. Large: not for the stack. */
struct pg_spaces {
    uint32_t count;
    struct pg_path from[PG_TABLESPACES_MAX];
    struct pg_path to[PG_TABLESPACES_MAX];
};
/* Asks the upstream, empties what is ours of an earlier copy, refuses what is not (DENIED). */
MUST_CHECK int pg_spaces_prepare(struct pg_run *run, struct pg_spaces *ret);
/* Empties them once more, after an attempt that failed. */
MUST_CHECK int pg_spaces_clear(struct pg_run *run, const struct pg_spaces *spaces);

/* --- archive.c --- */
/* True when files of the directory, or kept from an earlier one, wait for the archiver. */
bool pg_archive_is_waiting(const struct pg_settings *settings);
/* Before the stopped directory loses its WAL: what waits for the archiver and is part of the
 * upstream's history (text of its history file) is archived, or kept. Bounded; it never stands in
 * the way of a rejoin. */
void pg_archive_before_loss(struct pg_run *run, struct slice history);
/* %p, %f and %% of archive_command. TOOBIG. Pure. */
MUST_CHECK int pg_archive_expand(const char *command, const char *path, const char *name,
                                 struct buf *b);
/* After a rewind the marks are the source's. */
void pg_archive_forget(const char *data_dir);
/* Between orders, on a standby: archives what a server that was the primary left to be archived. */
void pg_archive_keep(struct pg_db *db, struct pg_sql *session);
/* Numbers passed over get their (empty) history files into the archive as well: a recovery to the
 * latest timeline looks for them one by one. */
void pg_archive_passed_over(const char *data_dir, uint32_t from, uint32_t to);

/* --- slot_keep.c --- */
/* Sets conf->has_slot as it is in the file for the same upstream; true when nothing would change.
 */
bool pg_slot_recognise(struct pg_run *run, struct pg_conf *conf);
/* quorate.conf has been written so. */
void pg_slot_following(struct pg_db *db, const struct pg_conf *conf);
/* Between orders. */
void pg_slot_keep(struct pg_db *db);

/* --- prober --- */
void *pg_probe_thread(void *db);

/* A marker that a directory is being made in place: state_dir/making. */
MUST_CHECK int pg_making_path(const struct pg_settings *settings, struct pg_path *ret);

/* Monotonic wait on a condition of db with its lock held, until `until` at the latest. */
void pg_db_wait(struct pg_db *db, pthread_cond_t *condition, struct base_mono until);

#endif
