/* SPDX-License-Identifier: Apache-2.0 */
/* libpq with deadlines: one session, asynchronous inside, blocking outside, cancellable by a
 * descriptor.
 *
 * A statement that is not answered in time leaves the session unusable: it is closed (never
 * PQcancel, which would hang on a frozen server) and opened again by the next caller. Only for
 * worker threads; a session belongs to one thread.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_SQL_H
#define QUORATE_AGENTS_POSTGRESQL_SQL_H

#include <libpq-fe.h>

#include "agents/postgresql/settings.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

#define PG_SQL_RESULTS_MAX 2

struct pg_sql {
    PGconn *connection; /* NULL: closed */
    int cancel_fd;      /* readable: stop; -1 none */
};

struct pg_sql_rows {
    PGresult *results[PG_SQL_RESULTS_MAX];
    unsigned count;
    char sqlstate[6]; /* of the error, "" when there is none */
};

/* Opens by a connection string. UNREACHABLE, TIMEOUT, CANCELED, DENIED (authentication), NOMEM; one
 * line in ret_why. A name in `conninfo` may block in the resolver beyond the deadline. */
MUST_CHECK int pg_sql_open(struct pg_sql *sql, const char *conninfo, struct base_mono deadline,
                           struct base_text *ret_why);
/* To our own server over its Unix socket, as `role`. */
MUST_CHECK int pg_sql_open_local(struct pg_sql *sql, const struct pg_settings *settings,
                                 const char *role, const char *application_name,
                                 struct base_mono deadline, struct base_text *ret_why);
/* The same to a database of that name, as the superuser. */
MUST_CHECK int pg_sql_open_database(struct pg_sql *sql, const struct pg_settings *settings,
                                    const char *database, struct base_mono deadline,
                                    struct base_text *ret_why);
void pg_sql_close(struct pg_sql *sql);
bool pg_sql_is_open(const struct pg_sql *sql);

/* Sends statements as one string. Any SQL error is STATE (sqlstate and text given), a broken
 * session CLOSED, TIMEOUT and CANCELED close it. On 0 the caller frees the rows. */
MUST_CHECK int pg_sql_run(struct pg_sql *sql, const char *text, struct base_mono deadline,
                          struct pg_sql_rows *ret_rows, struct base_text *ret_why);
void pg_sql_free(struct pg_sql_rows *rows);
/* The same when no row is of interest. */
MUST_CHECK int pg_sql_do(struct pg_sql *sql, const char *text, struct base_mono deadline,
                         struct base_text *ret_why);

/* The two halves of run, for a caller that does something in between. */
MUST_CHECK int pg_sql_send(struct pg_sql *sql, const char *text);
MUST_CHECK int pg_sql_finish(struct pg_sql *sql, struct base_mono deadline,
                             struct pg_sql_rows *ret_rows, struct base_text *ret_why);

/* Fields; NULL or malformed gives 0, false, "". */
const char *pg_sql_text(const PGresult *result, int row, int column);
uint64_t pg_sql_u64(const PGresult *result, int row, int column);
uint64_t pg_sql_lsn(const PGresult *result, int row, int column);
bool pg_sql_bool(const PGresult *result, int row, int column);

#endif
