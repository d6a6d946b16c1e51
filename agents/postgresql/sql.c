/* SPDX-License-Identifier: Apache-2.0 */
/* libpq sessions with deadlines: see sql.h. Every wait is a poll on the session's socket and the
 * cancel descriptor; the clock is CLOCK_BOOTTIME. */
#include "agents/postgresql/sql.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/control.h"
#include "agents/shell/child.h"
#include "base/name.h"

static void why_text(struct base_text *ret, const char *text)
{
    size_t len = strcspn(text, "\n");
    *ret = base_text_from(slice_from(text, len));
}

static void discard_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

/* Waits until the socket can do `events`, with millisecond steps rounded up. */
static int wait_for(const struct pg_sql *sql, short events, struct base_mono deadline)
{
    for (;;) {
        int64_t left_us = base_mono_diff_us(deadline, pg_now());
        struct pollfd fds[2] = {{.fd = PQsocket(sql->connection), .events = events},
                                {.fd = sql->cancel_fd, .events = POLLIN}};
        int64_t left_ms = left_us <= 0 ? 0 : left_us / 1000 + 1;
        int got = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (got < 0 && errno != EINTR) {
            return BASE_E_IO;
        }
        if (got > 0 && fds[1].revents != 0) {
            return BASE_E_CANCELED;
        }
        if (got > 0 && fds[0].revents != 0) {
            return 0;
        }
        if (left_us <= 0) {
            return BASE_E_TIMEOUT;
        }
    }
}

static int open_code(const PGconn *connection)
{
    const char *text = PQerrorMessage(connection);
    bool is_denied = strstr(text, "authentication") != NULL ||
                     strstr(text, "pg_hba.conf") != NULL || strstr(text, "certificate") != NULL;
    return is_denied ? BASE_E_DENIED : BASE_E_UNREACHABLE;
}

static int open_poll(struct pg_sql *sql, struct base_mono deadline, struct base_text *ret_why)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || PQstatus(sql->connection) == CONNECTION_BAD) {
            why_text(ret_why, PQerrorMessage(sql->connection));
            return open_code(sql->connection);
        }
        int status = wait_for(sql, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (status != 0) {
            why_text(ret_why, status == BASE_E_TIMEOUT
                                  ? "no answer to the connection attempt in time"
                                  : "canceled");
            return status;
        }
        state = PQconnectPoll(sql->connection);
    }
    return PQsetnonblocking(sql->connection, 1) == 0 ? 0 : BASE_E_CLOSED;
}

int pg_sql_open(struct pg_sql *sql, const char *conninfo, struct base_mono deadline,
                struct base_text *ret_why)
{
    pg_sql_close(sql);
    sql->connection = PQconnectStart(conninfo);
    if (sql->connection == NULL) {
        why_text(ret_why, "out of memory");
        return BASE_E_NOMEM;
    }
    PQsetNoticeReceiver(sql->connection, discard_notice, NULL);
    int status = open_poll(sql, deadline, ret_why);
    if (status != 0) {
        pg_sql_close(sql);
    }
    return status;
}

int pg_sql_open_local(struct pg_sql *sql, const struct pg_settings *settings, const char *role,
                      const char *application_name, struct base_mono deadline,
                      struct base_text *ret_why)
{
    char text[PG_PATH_MAX + 256];
    if (strpbrk(settings->socket_dir.text, "'\\") != NULL) {
        why_text(ret_why, "the socket directory's name has a quote in it");
        return BASE_E_INVALID;
    }
    (void)snprintf(
        text, sizeof(text),
        "host='%s' port=%u user=%s dbname=postgres application_name=%s gssencmode=disable "
        "options='-c synchronous_commit=local -c statement_timeout=0 -c lock_timeout=0'",
        settings->socket_dir.text, settings->port, role, application_name);
    return pg_sql_open(sql, text, deadline, ret_why);
}

int pg_sql_open_database(struct pg_sql *sql, const struct pg_settings *settings,
                         const char *database, struct base_mono deadline, struct base_text *ret_why)
{
    char text[PG_PATH_MAX + 512];
    char quoted[160];
    struct buf b = buf_over(quoted, sizeof(quoted));
    for (const char *c = database; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\') {
            buf_put_u8(&b, '\\');
        }
        buf_put_u8(&b, (uint8_t)*c);
    }
    if (!buf_terminate(&b) || b.is_full || strpbrk(settings->socket_dir.text, "'\\") != NULL) {
        why_text(ret_why, "the name of database or socket directory cannot be used");
        return BASE_E_INVALID;
    }
    (void)snprintf(text, sizeof(text),
                   "host='%s' port=%u user=" PG_ROLE_SUPERUSER " dbname='%s' "
                   "application_name=quorate_agent gssencmode=disable "
                   "options='-c synchronous_commit=local -c statement_timeout=0'",
                   settings->socket_dir.text, settings->port, quoted);
    return pg_sql_open(sql, text, deadline, ret_why);
}

void pg_sql_close(struct pg_sql *sql)
{
    if (sql->connection != NULL) {
        PQfinish(sql->connection);
        sql->connection = NULL;
    }
}

bool pg_sql_is_open(const struct pg_sql *sql)
{
    return sql->connection != NULL && PQstatus(sql->connection) == CONNECTION_OK;
}

void pg_sql_free(struct pg_sql_rows *rows)
{
    for (unsigned i = 0; i < rows->count; i++) {
        PQclear(rows->results[i]);
    }
    rows->count = 0;
}

int pg_sql_send(struct pg_sql *sql, const char *text)
{
    if (!pg_sql_is_open(sql) || PQsendQuery(sql->connection, text) == 0) {
        pg_sql_close(sql);
        return BASE_E_CLOSED;
    }
    return 0;
}

/* Keeps a result with rows; notes the first error. */
static int take_result(struct pg_sql_rows *rows, PGresult *result, struct base_text *ret_why)
{
    ExecStatusType kind = PQresultStatus(result);
    if (kind == PGRES_TUPLES_OK && rows->count < PG_SQL_RESULTS_MAX) {
        rows->results[rows->count++] = result;
        return 0;
    }
    int status = 0;
    if (kind != PGRES_TUPLES_OK && kind != PGRES_COMMAND_OK) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        why_text(ret_why, PQresultErrorMessage(result));
        (void)snprintf(rows->sqlstate, sizeof(rows->sqlstate), "%s",
                       sqlstate == NULL ? "" : sqlstate);
        status = BASE_E_STATE;
    }
    PQclear(result);
    return status;
}

static int broken(struct pg_sql *sql, struct pg_sql_rows *rows, int status,
                  struct base_text *ret_why)
{
    if (status == BASE_E_CLOSED) {
        why_text(ret_why, PQerrorMessage(sql->connection));
    } else {
        why_text(ret_why, status == BASE_E_TIMEOUT ? "no answer in time" : "canceled");
    }
    pg_sql_free(rows);
    pg_sql_close(sql);
    return status;
}

/* One step of reading: 1 when all results are in, 0 when the socket must be waited for. */
static int read_results(struct pg_sql *sql, struct pg_sql_rows *rows, int *error,
                        struct base_text *ret_why)
{
    (void)PQflush(sql->connection);
    if (PQconsumeInput(sql->connection) == 0) {
        return BASE_E_CLOSED;
    }
    while (PQisBusy(sql->connection) == 0) {
        PGresult *result = PQgetResult(sql->connection);
        if (result == NULL) {
            return 1;
        }
        int status = take_result(rows, result, ret_why);
        *error = *error != 0 ? *error : status;
    }
    return 0;
}

int pg_sql_finish(struct pg_sql *sql, struct base_mono deadline, struct pg_sql_rows *ret_rows,
                  struct base_text *ret_why)
{
    struct pg_sql_rows rows;
    int error = 0;
    memset(&rows, 0, sizeof(rows));
    for (;;) {
        int status = read_results(sql, &rows, &error, ret_why);
        if (status == 1) {
            break;
        }
        if (status == 0) {
            status = wait_for(sql, POLLIN, deadline);
        }
        if (status != 0) {
            return broken(sql, &rows, status, ret_why);
        }
    }
    if (PQstatus(sql->connection) != CONNECTION_OK) {
        return broken(sql, &rows, BASE_E_CLOSED, ret_why);
    }
    if (error != 0) {
        pg_sql_free(&rows);
    }
    *ret_rows = rows;
    return error;
}

int pg_sql_run(struct pg_sql *sql, const char *text, struct base_mono deadline,
               struct pg_sql_rows *ret_rows, struct base_text *ret_why)
{
    memset(ret_rows, 0, sizeof(*ret_rows));
    int status = pg_sql_send(sql, text);
    if (status != 0) {
        why_text(ret_why, "the session is closed");
        return status;
    }
    return pg_sql_finish(sql, deadline, ret_rows, ret_why);
}

int pg_sql_do(struct pg_sql *sql, const char *text, struct base_mono deadline,
              struct base_text *ret_why)
{
    struct pg_sql_rows rows;
    int status = pg_sql_run(sql, text, deadline, &rows, ret_why);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    return status;
}

const char *pg_sql_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? "" : PQgetvalue(result, row, column);
}

uint64_t pg_sql_u64(const PGresult *result, int row, int column)
{
    uint64_t value = 0;
    return slice_to_u64(slice_from_text(pg_sql_text(result, row, column)), &value) == 0 ? value : 0;
}

uint64_t pg_sql_lsn(const PGresult *result, int row, int column)
{
    uint64_t value = 0;
    return pg_lsn_parse(slice_from_text(pg_sql_text(result, row, column)), &value) == 0 ? value : 0;
}

bool pg_sql_bool(const PGresult *result, int row, int column)
{
    return pg_sql_text(result, row, column)[0] == 't';
}
