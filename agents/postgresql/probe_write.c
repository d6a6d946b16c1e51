/* SPDX-License-Identifier: Apache-2.0 */
/* Tries what clients do: a connection of its own each time, and a write when there is reason to
 * doubt that writing works.
 *
 * The heartbeat asks over a session that stands; a postmaster that is stopped, or a disk that has
 * gone, leaves that one working. So a thread of its own connects afresh once a second, and on a
 * primary it commits a little message when WAL lies unwritten and nothing moves, when an attempt
 * has failed, or when the disk is nearly full. An idle database is not written to: where nobody
 * waits there is nothing to find. The commit waits for no standby. What an attempt finds is told
 * while it is still waiting: the heartbeat compares the time. Tells facts; whether the role is
 * handed on is the core's. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <errno.h>
#include <poll.h>

#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define STACK_BYTES (256u * 1024u)
#define APART_US (1 * BASE_US_PER_S)
#define ATTEMPT_US (10 * BASE_US_PER_S) /* then it is given up, and begun anew */
#define SCARCE_BYTES (UINT64_C(64) << 20)

static uint64_t free_of(const char *path)
{
    struct statvfs st;
    return statvfs(path, &st) != 0 ? 0 : (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
}

uint64_t pg_disk_free(const char *data_dir)
{
    struct pg_path wal;
    uint64_t data = free_of(data_dir);
    uint64_t log = pg_path_join(data_dir, "pg_wal", &wal) != 0 ? 0 : free_of(wal.text);
    /* No WAL directory to be seen: not known there, and the other figure counts. */
    return log == 0 && !pg_file_exists(wal.text) ? data : log < data ? log : data;
}

/* A server that refuses is a server that answers: connections used up, closed by the gate. */
static bool is_answer(const struct base_text *why)
{
    return strstr(why->text, "FATAL") != NULL;
}

struct attempt {
    bool is_due;
    bool is_write;
};

/* Lock held. Sets the moment from which this attempt counts as trouble, unless there was one. */
static struct attempt begin(struct pg_db *db, int32_t *root)
{
    struct pg_watch *w = &db->watch;
    struct attempt a = {false, false};
    a.is_due = db->guard.tree == GUARD_TREE_RUNNING && w->answered_root == db->guard.root_pid &&
               db->guard.root_pid != 0;
    if (!a.is_due || *root != db->guard.root_pid) {
        w->troubled_from = (struct base_mono){0};
        memset(&w->trouble, 0, sizeof(w->trouble));
        *root = a.is_due ? db->guard.root_pid : 0;
    }
    if (a.is_due) {
        a.is_write = w->is_primary && (w->is_wal_waiting || w->troubled_from.us != 0 ||
                                       db->view.disk_free_bytes < SCARCE_BYTES);
        if (w->troubled_from.us == 0) {
            w->troubled_from = pg_now();
        }
    }
    return a;
}

static int write_little(struct pg_sql *sql, struct base_mono deadline, struct base_text *why)
{
    struct pg_sql_rows rows;
    int status = pg_sql_run(sql, "SELECT pg_logical_emit_message(true, 'quorate', '')", deadline,
                            &rows, why);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    return status;
}

static int try_once(struct pg_db *db, bool is_write, struct base_text *why)
{
    struct pg_sql sql = {.cancel_fd = db->watch.stop_fd};
    struct base_mono deadline = base_mono_add_us(pg_now(), ATTEMPT_US);
    int status =
        pg_sql_open_local(&sql, db->settings, PG_ROLE_MONITOR, "quorate_try", deadline, why);
    if (status != 0 && is_answer(why)) {
        return 0;
    }
    if (status == 0) {
        status = is_write ? write_little(&sql, deadline, why)
                          : pg_sql_do(&sql, "SELECT 1", deadline, why);
    }
    pg_sql_close(&sql);
    return status;
}

/* Lock held. */
static void end(struct pg_db *db, int32_t root, int status, const struct base_text *why)
{
    struct pg_watch *w = &db->watch;
    if (root != db->guard.root_pid || db->guard.tree != GUARD_TREE_RUNNING || status == 0) {
        w->troubled_from = (struct base_mono){0};
        memset(&w->trouble, 0, sizeof(w->trouble));
    } else {
        w->trouble = *why;
    }
}

static bool wait_turn(struct pg_db *db)
{
    struct pollfd fd = {.fd = db->watch.stop_fd, .events = POLLIN};
    return poll(&fd, 1, (int)(APART_US / 1000)) <= 0;
}

static void *trier_thread(void *ctx)
{
    struct pg_db *db = ctx;
    int32_t root = 0;
    while (wait_turn(db)) {
        struct base_text why = {{0}};
        pthread_mutex_lock(&db->lock);
        struct attempt a = begin(db, &root);
        pthread_mutex_unlock(&db->lock);
        if (!a.is_due) {
            continue;
        }
        int status = try_once(db, a.is_write, &why);
        pthread_mutex_lock(&db->lock);
        end(db, root, status, &why);
        pthread_mutex_unlock(&db->lock);
    }
    return NULL;
}

int pg_trier_open(struct pg_db *db)
{
    pthread_attr_t attributes;
    db->watch.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (db->watch.stop_fd < 0) {
        return pg_errno_code(errno);
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    db->watch.has_trier = pthread_create(&db->watch.trier, &attributes, trier_thread, db) == 0;
    pthread_attr_destroy(&attributes);
    return db->watch.has_trier ? 0 : BASE_E_NOMEM;
}

void pg_trier_close(struct pg_db *db)
{
    uint64_t one = 1;
    if (db->watch.has_trier) {
        (void)!write(db->watch.stop_fd, &one, sizeof(one));
        pthread_join(db->watch.trier, NULL);
    }
    if (db->watch.stop_fd >= 0) {
        close(db->watch.stop_fd);
    }
}
