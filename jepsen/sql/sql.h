/* SPDX-License-Identifier: Apache-2.0 */
/* What SQL clients and probers share: a libpq session with a deadline on every call that tells
 * unknown outcomes from known ones, and the file that a history is written to.
 *
 * An outcome is known when the server told it: a commit without a warning is OK, an ERROR is FAIL
 * (the transaction is rolled back). Everything else that came after the commit was sent is INFO: no
 * answer, a FATAL (the server ends sessions that wait for a standby, after the local commit), or a
 * success with a warning (a cancelled wait).
 */
#ifndef QUORATE_JEPSEN_SQL_SQL_H
#define QUORATE_JEPSEN_SQL_SQL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <libpq-fe.h>

#define SQL_TEXT_MAX 2048

enum sql_end { SQL_OK, SQL_FAIL, SQL_INFO };

struct sql_session {
    const char *conninfo; /* borrowed for the session's life */
    PGconn *connection;   /* NULL: none */
    int64_t limit_us;     /* of each call */
    bool is_warned;       /* a warning came since the last call */
    bool is_conflict;     /* the last ERROR was of class 40: another transaction was in the way */
};

/* Microseconds of CLOCK_MONOTONIC. Any thread. */
int64_t sql_now_us(void);
void sql_pause_us(int64_t us);

/* Makes a connection when there is none; false when that did not succeed within connect_timeout. */
bool sql_connect(struct sql_session *session);
void sql_close(struct sql_session *session);
/* One statement. NULL when no answer came within the limit or the connection is lost: it is closed
 * then. The result is the caller's (PQclear), also when it is an error. */
PGresult *sql_run(struct sql_session *session, const char *statement);
/* The same for a statement that only has to succeed: the outcome as above. What is not OK leaves no
 * transaction open: the connection is closed unless the error was an ordinary one. */
enum sql_end sql_do(struct sql_session *session, const char *statement);
/* The outcome that a result tells, NULL being INFO. Sets is_conflict. */
enum sql_end sql_outcome(struct sql_session *session, const PGresult *result);

/* One file, one line a record, any thread. */
struct sql_history {
    FILE *file;
    pthread_mutex_t lock;
};

/* 0, or -1 with errno. */
int sql_history_open(struct sql_history *history, const char *path);
/* Writes one transaction. OPS is a JSON array without its brackets. */
void sql_history_txn(struct sql_history *history, int64_t process, enum sql_end end,
                     int64_t call_us, const char *ops);
const char *sql_end_name(enum sql_end end);

#endif
