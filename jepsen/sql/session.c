/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with deadlines, and histories; see sql.h. */
#include "jepsen/sql/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <time.h>

int64_t sql_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sql_pause_us(int64_t us)
{
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000L};
    (void)nanosleep(&t, NULL);
}

static void note_warning(void *ctx, const PGresult *result)
{
    struct sql_session *s = ctx;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    s->is_warned |= state == NULL || strncmp(state, "01", 2) == 0;
}

bool sql_connect(struct sql_session *s)
{
    if (s->connection != NULL) {
        return true;
    }
    s->connection = PQconnectdb(s->conninfo);
    if (PQstatus(s->connection) != CONNECTION_OK || PQsetnonblocking(s->connection, 1) != 0) {
        sql_close(s);
        return false;
    }
    (void)PQsetNoticeReceiver(s->connection, note_warning, s);
    return true;
}

void sql_close(struct sql_session *s)
{
    PQfinish(s->connection);
    s->connection = NULL;
}

/* Waits for the socket; false at the deadline or on an error. */
static bool wait_socket(PGconn *connection, short events, int64_t deadline_us)
{
    struct pollfd p = {.fd = PQsocket(connection), .events = events};
    for (;;) {
        int64_t left = deadline_us - sql_now_us();
        if (left <= 0 || p.fd < 0) {
            return false;
        }
        int rc = poll(&p, 1, (int)(left / 1000) + 1);
        if (rc > 0) {
            return true;
        }
        if (rc < 0 && errno != EINTR) {
            return false;
        }
    }
}

static bool flush_all(PGconn *connection, int64_t deadline_us)
{
    int rc = 0;
    while ((rc = PQflush(connection)) == 1) {
        if (!wait_socket(connection, POLLIN | POLLOUT, deadline_us) ||
            PQconsumeInput(connection) == 0) {
            return false;
        }
    }
    return rc == 0;
}

static PGresult *next_result(PGconn *connection, int64_t deadline_us, bool *ret_is_late)
{
    *ret_is_late = false;
    while (PQisBusy(connection) != 0) {
        if (!wait_socket(connection, POLLIN, deadline_us)) {
            *ret_is_late = true;
            return NULL;
        }
        if (PQconsumeInput(connection) == 0) {
            break; /* PQgetResult tells what the server had said before */
        }
    }
    return PQgetResult(connection);
}

PGresult *sql_run(struct sql_session *s, const char *statement)
{
    int64_t deadline_us = sql_now_us() + s->limit_us;
    bool is_late = false;
    s->is_warned = false;
    if (s->connection == NULL || PQsendQuery(s->connection, statement) == 0 ||
        !flush_all(s->connection, deadline_us)) {
        sql_close(s);
        return NULL;
    }
    PGresult *last = NULL;
    for (;;) {
        PGresult *result = next_result(s->connection, deadline_us, &is_late);
        if (result == NULL) {
            break;
        }
        PQclear(last);
        last = result;
    }
    if (is_late) { /* an answer that was not ended is none */
        PQclear(last);
        last = NULL;
    }
    if (is_late || PQstatus(s->connection) != CONNECTION_OK) {
        sql_close(s);
    }
    return last;
}

enum sql_end sql_outcome(struct sql_session *s, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    s->is_conflict = false;
    if (result == NULL) {
        return SQL_INFO;
    }
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        return s->is_warned ? SQL_INFO : SQL_OK;
    }
    if (severity == NULL || strcmp(severity, "ERROR") != 0) {
        return SQL_INFO;
    }
    s->is_conflict = state != NULL && strncmp(state, "40", 2) == 0;
    return SQL_FAIL;
}

enum sql_end sql_do(struct sql_session *s, const char *statement)
{
    PGresult *result = sql_run(s, statement);
    enum sql_end end = sql_outcome(s, result);
    /* COMMIT of a transaction that had failed says ROLLBACK, and nothing was done. */
    if (end == SQL_OK && strcmp(statement, "COMMIT") == 0 &&
        strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        end = SQL_FAIL;
    }
    PQclear(result);
    if (end == SQL_INFO) {
        sql_close(s);
    }
    return end;
}

const char *sql_end_name(enum sql_end end)
{
    static const char *const names[] = {"ok", "fail", "info"};
    return names[end];
}

int sql_history_open(struct sql_history *h, const char *path)
{
    h->file = fopen(path, "ae");
    return h->file == NULL ? -1 : pthread_mutex_init(&h->lock, NULL);
}

void sql_history_txn(struct sql_history *h, int64_t process, enum sql_end end, int64_t call_us,
                     const char *ops)
{
    int64_t return_us = sql_now_us();
    (void)pthread_mutex_lock(&h->lock);
    (void)fprintf(h->file,
                  "{\"process\":%" PRId64 ",\"type\":\"%s\",\"call\":%" PRId64
                  ",\"return\":%" PRId64 ",\"txn\":[%s]}\n",
                  process, sql_end_name(end), call_us, return_us, ops);
    (void)pthread_mutex_unlock(&h->lock);
}
