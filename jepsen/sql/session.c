/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL: sessions with deadlines by libpq, and its words; see sql.h. */
#include "jepsen/sql/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

/* A result is a PGresult, and nothing else knows. */
static PGresult *from_result(struct sql_result *result)
{
    return (PGresult *)(void *)result;
}
static const PGresult *from_const(const struct sql_result *result)
{
    return (const PGresult *)(const void *)result;
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

struct sql_result *sql_run(struct sql_session *s, const char *statement)
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
    return (struct sql_result *)(void *)last;
}

void sql_free(struct sql_result *result)
{
    PQclear(from_result(result));
}

int sql_rows(const struct sql_result *result)
{
    return PQntuples(from_const(result));
}

const char *sql_value(const struct sql_result *result, int row, int column)
{
    const PGresult *r = from_const(result);
    return PQgetisnull(r, row, column) != 0 ? NULL : PQgetvalue(r, row, column);
}

enum sql_end sql_outcome(struct sql_session *s, const struct sql_result *told)
{
    const PGresult *result = from_const(told);
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
    struct sql_result *result = sql_run(s, statement);
    enum sql_end end = sql_outcome(s, result);
    /* COMMIT of a transaction that had failed says ROLLBACK, and nothing was done. */
    if (end == SQL_OK && strcmp(statement, "COMMIT") == 0 &&
        strcmp(PQcmdStatus(from_result(result)), "COMMIT") != 0) {
        end = SQL_FAIL;
    }
    sql_free(result);
    if (end == SQL_INFO) {
        sql_close(s);
    }
    return end;
}

const struct sql_words sql_words = {
    .begin = "BEGIN ISOLATION LEVEL SERIALIZABLE",
    .local = "SET synchronous_commit = local",
    .after_schema = "GRANT ALL ON ALL TABLES IN SCHEMA public TO app",
    .lists_schema = "CREATE TABLE jepsen_lists (k bigint PRIMARY KEY, v bigint[] NOT NULL)",
    .list_brackets = "{}",
    .all_balances = "SELECT string_agg(balance::text, ',' ORDER BY id) FROM jepsen_accounts",
    .all_values = "SELECT string_agg(v::text, ',' ORDER BY v) FROM jepsen_set",
};

void sql_word_append(char *out, size_t size, int64_t key, int64_t value)
{
    (void)snprintf(out, size,
                   "INSERT INTO jepsen_lists VALUES (%" PRId64 ", ARRAY[%" PRId64 "]) "
                   "ON CONFLICT (k) DO UPDATE SET v = jepsen_lists.v || EXCLUDED.v",
                   key, value);
}

void sql_word_write(char *out, size_t size, int64_t key, int64_t value)
{
    (void)snprintf(out, size,
                   "INSERT INTO jepsen_registers VALUES (%" PRId64 ", %" PRId64 ") "
                   "ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v",
                   key, value);
}

void sql_look(struct sql_session *s, struct sql_sight *ret)
{
    struct sql_result *result =
        sql_run(s, "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN '0' ELSE "
                   "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END");
    ret->is_up = sql_outcome(s, result) == SQL_OK && sql_rows(result) == 1;
    const char *is_standby = ret->is_up ? sql_value(result, 0, 0) : NULL;
    const char *timeline = ret->is_up ? sql_value(result, 0, 1) : NULL;
    ret->is_writable = is_standby != NULL && is_standby[0] == 'f';
    ret->timeline = ret->is_writable && timeline != NULL ? strtoll(timeline, NULL, 16) : 0;
    sql_free(result);
}
