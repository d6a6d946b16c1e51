/* SPDX-License-Identifier: Apache-2.0 */
/* What SQL clients and probers share: a session with a deadline on every call that tells unknown
 * outcomes from known ones, and the file that a history is written to. The session is the engine's:
 * session.c (PostgreSQL, libpq) or jepsen/galera/session.c (MariaDB, libmariadb), with its words.
 *
 * An outcome is known when the server told it: a commit without a warning is OK, an error that
 * surely rolled the transaction back is FAIL. Everything else that came after the commit was sent
 * is INFO: no answer, a session that the server ended, a success with a warning (PostgreSQL: a
 * cancelled wait for a standby).
 */
#ifndef QUORATE_JEPSEN_SQL_SQL_H
#define QUORATE_JEPSEN_SQL_SQL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SQL_TEXT_MAX 2048

enum sql_end { SQL_OK, SQL_FAIL, SQL_INFO };

struct sql_session {
    const char *conninfo; /* borrowed for the session's life */
    void *connection;     /* the engine's; NULL: none */
    int64_t limit_us;     /* of each call */
    bool is_warned;       /* a warning came since the last call */
    bool is_conflict;     /* the last error: another transaction was in the way */
};

struct sql_result; /* an answer, rows or an error: the engine's */

/* Microseconds of CLOCK_MONOTONIC. Any thread. */
int64_t sql_now_us(void);
void sql_pause_us(int64_t us);

/* Makes a connection when there is none; false when that did not succeed in time. */
bool sql_connect(struct sql_session *session);
void sql_close(struct sql_session *session);
/* One statement, or several with semicolons: the last one's answer. NULL when no answer came within
 * the limit or the connection is lost: it is closed then. The result is the caller's (sql_free),
 * also when it is an error. */
struct sql_result *sql_run(struct sql_session *session, const char *statement);
void sql_free(struct sql_result *result);
/* Rows of an answer (0 of an error), and a value of it: NULL for SQL's NULL. */
int sql_rows(const struct sql_result *result);
const char *sql_value(const struct sql_result *result, int row, int column);
/* The same for a statement that only has to succeed: the outcome as above. What is not OK leaves no
 * transaction open: the connection is closed unless the error was an ordinary one. */
enum sql_end sql_do(struct sql_session *session, const char *statement);
/* The outcome that a result tells, NULL being INFO. Sets is_conflict. */
enum sql_end sql_outcome(struct sql_session *session, const struct sql_result *result);

/* What the engines' SQL says differently. */
struct sql_words {
    const char *begin;         /* a serializable transaction */
    const char *local;         /* this session's commits wait for nobody else, where that exists */
    const char *after_schema;  /* once, behind the tables; NULL nothing */
    const char *lists_schema;  /* jepsen_lists (k, v): v a list of numbers */
    const char *list_brackets; /* what stands around a list that is read; NULL nothing */
    const char *all_balances;  /* one value: balances with commas between them */
    const char *all_values;    /* one value: all of jepsen_set with commas between them */
};
extern const struct sql_words sql_words;
/* Statements with numbers in them: a value put at the end of a list, a register written. */
void sql_word_append(char *out, size_t size, int64_t key, int64_t value);
void sql_word_write(char *out, size_t size, int64_t key, int64_t value);

/* What a prober sees of its own server. */
struct sql_sight {
    bool is_up;
    bool is_writable; /* worth a try */
    int64_t timeline; /* grows with each promotion; 0: not known */
};
void sql_look(struct sql_session *session, struct sql_sight *ret);

/* One file, one line a record, any thread. */
struct sql_history {
    FILE *file;
    const char *field; /* of the operations: txn, or parts for registers */
    pthread_mutex_t lock;
};

/* 0, or -1 with errno. IS_LIVE: each line is in the file at once. */
int sql_history_open(struct sql_history *history, const char *path, bool is_live);
/* Writes one transaction. OPS is a JSON array without its brackets. */
void sql_history_txn(struct sql_history *history, int64_t process, enum sql_end end,
                     int64_t call_us, const char *ops);
const char *sql_end_name(enum sql_end end);

#endif
