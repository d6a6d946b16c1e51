/* SPDX-License-Identifier: Apache-2.0 */
/* MariaDB: sessions with deadlines by libmariadb, and its words; see jepsen/sql/sql.h.
 *
 * A connection string is words KEY=VALUE: host port socket user passfile (its first line is the
 * password) database. Every session is SERIALIZABLE, so that a transaction's reads count.
 *
 * Known to be rolled back: a conflict (1213, 1205, 1020), a server that refuses before it executes
 * (1047 not in a primary component, 1290 and 1792 read only), a key that was there (1062). All
 * other errors are unknown outcomes: 1180 may tell of a write set that the others have.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <mariadb/mysql.h>

#include "jepsen/sql/sql.h"

#define NO_PREPARED_NODE 1047U
#define DUPLICATE_KEY 1062U
#define RECORD_CHANGED 1020U
#define LOCK_WAIT 1205U
#define DEADLOCK 1213U
#define OPTION_PREVENTS 1290U
#define READ_ONLY_TRANSACTION 1792U
#define CLIENT_ERRORS 2000U /* from here on the library's own */
#define CLIENT_ERRORS_END 3000U

struct sql_result {
    unsigned code; /* 0: no error */
    MYSQL_RES *rows;
};

struct places {
    char host[SQL_TEXT_MAX], socket[SQL_TEXT_MAX], user[64], password[256], database[64];
    unsigned port;
};

static void take(const char *text, const char *key, char *out, size_t size)
{
    char word[32];
    (void)snprintf(word, sizeof(word), "%s=", key);
    const char *at = strstr(text, word);
    while (at != NULL && at != text && at[-1] != ' ') {
        at = strstr(at + 1, word);
    }
    if (at != NULL) {
        at += strlen(word);
        (void)snprintf(out, size, "%.*s", (int)strcspn(at, " "), at);
    }
}

static void read_places(const char *text, struct places *p)
{
    char file[SQL_TEXT_MAX] = "";
    char port[16] = "3306";
    *p = (struct places){.database = "jepsen"};
    take(text, "host", p->host, sizeof(p->host));
    take(text, "socket", p->socket, sizeof(p->socket));
    take(text, "user", p->user, sizeof(p->user));
    take(text, "database", p->database, sizeof(p->database));
    take(text, "port", port, sizeof(port));
    take(text, "passfile", file, sizeof(file));
    p->port = (unsigned)strtoul(port, NULL, 10);
    FILE *f = file[0] == '\0' ? NULL : fopen(file, "re");
    if (f != NULL) {
        if (fgets(p->password, sizeof(p->password), f) != NULL) {
            p->password[strcspn(p->password, "\n")] = '\0';
        }
        (void)fclose(f);
    }
}

static bool open_session(MYSQL *m, const struct sql_session *s)
{
    struct places p;
    unsigned connect_s = 3;
    unsigned limit_s = (unsigned)((s->limit_us + 999999) / 1000000);
    read_places(s->conninfo, &p);
    (void)mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    (void)mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &limit_s);
    (void)mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &limit_s);
    return mysql_real_connect(m, p.host[0] == '\0' ? NULL : p.host, p.user, p.password, p.database,
                              p.port, p.socket[0] == '\0' ? NULL : p.socket,
                              CLIENT_MULTI_STATEMENTS) != NULL &&
           mysql_query(m, "SET SESSION group_concat_max_len = 1073741824") == 0 &&
           mysql_query(m, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE") == 0;
}

bool sql_connect(struct sql_session *s)
{
    if (s->connection != NULL) {
        return true;
    }
    MYSQL *m = mysql_init(NULL);
    if (m == NULL || !open_session(m, s)) {
        mysql_close(m);
        return false;
    }
    s->connection = m;
    return true;
}

void sql_close(struct sql_session *s)
{
    if (s->connection != NULL) {
        mysql_close(s->connection);
    }
    s->connection = NULL;
}

/* Sent, and the last answer taken: 0, or the error's number. */
static unsigned ask(MYSQL *m, const char *statement, MYSQL_RES **ret_rows)
{
    int more = mysql_real_query(m, statement, strlen(statement));
    while (more == 0) {
        mysql_free_result(*ret_rows);
        *ret_rows = mysql_store_result(m);
        if (*ret_rows == NULL && mysql_errno(m) != 0) {
            break;
        }
        more = mysql_next_result(m);
    }
    return mysql_errno(m);
}

struct sql_result *sql_run(struct sql_session *s, const char *statement)
{
    struct sql_result result = {0};
    s->is_warned = false;
    if (s->connection == NULL) {
        return NULL;
    }
    result.code = ask(s->connection, statement, &result.rows);
    struct sql_result *ret = malloc(sizeof(*ret));
    if (ret == NULL || (result.code >= CLIENT_ERRORS && result.code < CLIENT_ERRORS_END)) {
        mysql_free_result(result.rows);
        free(ret);
        sql_close(s);
        return NULL;
    }
    *ret = result;
    return ret;
}

void sql_free(struct sql_result *result)
{
    if (result != NULL) {
        mysql_free_result(result->rows);
        free(result);
    }
}

int sql_rows(const struct sql_result *result)
{
    return result == NULL || result->rows == NULL ? 0 : (int)mysql_num_rows(result->rows);
}

const char *sql_value(const struct sql_result *result, int row, int column)
{
    mysql_data_seek(result->rows, (unsigned long long)row);
    MYSQL_ROW values = mysql_fetch_row(result->rows);
    return values == NULL ? NULL : values[column];
}

enum sql_end sql_outcome(struct sql_session *s, const struct sql_result *result)
{
    s->is_conflict = false;
    if (result == NULL) {
        return SQL_INFO;
    }
    switch (result->code) {
    case 0:
        return SQL_OK;
    case DEADLOCK:
    case LOCK_WAIT:
    case RECORD_CHANGED:
        s->is_conflict = true;
        return SQL_FAIL;
    case NO_PREPARED_NODE:
    case OPTION_PREVENTS:
    case READ_ONLY_TRANSACTION:
        sql_close(s); /* another node may be the right one by now */
        return SQL_FAIL;
    case DUPLICATE_KEY:
        return SQL_FAIL;
    default:
        sql_close(s);
        return SQL_INFO;
    }
}

enum sql_end sql_do(struct sql_session *s, const char *statement)
{
    struct sql_result *result = sql_run(s, statement);
    enum sql_end end = sql_outcome(s, result);
    sql_free(result);
    return end;
}

const struct sql_words sql_words = {
    .begin = "START TRANSACTION",
    .local = "DO 0",
    .after_schema = NULL,
    .lists_schema = "CREATE TABLE jepsen_lists (k bigint PRIMARY KEY, v mediumtext NOT NULL)",
    .list_brackets = NULL,
    .all_balances = "SELECT GROUP_CONCAT(balance ORDER BY id) FROM jepsen_accounts",
    .all_values = "SELECT GROUP_CONCAT(v ORDER BY v) FROM jepsen_set",
};

void sql_word_append(char *out, size_t size, int64_t key, int64_t value)
{
    (void)snprintf(out, size,
                   "INSERT INTO jepsen_lists VALUES (%" PRId64 ", '%" PRId64 "') "
                   "ON DUPLICATE KEY UPDATE v = CONCAT(v, ',', VALUES(v))",
                   key, value);
}

void sql_word_write(char *out, size_t size, int64_t key, int64_t value)
{
    (void)snprintf(out, size,
                   "INSERT INTO jepsen_registers VALUES (%" PRId64 ", %" PRId64 ") "
                   "ON DUPLICATE KEY UPDATE v = VALUES(v)",
                   key, value);
}

/* Without a member of a primary component no table answers; a variable always does. */
void sql_look(struct sql_session *s, struct sql_sight *ret)
{
    struct sql_result *result = sql_run(s, "SELECT @@GLOBAL.read_only");
    ret->is_up = sql_outcome(s, result) == SQL_OK && sql_rows(result) == 1;
    const char *is_read_only = ret->is_up ? sql_value(result, 0, 0) : NULL;
    ret->is_writable = is_read_only != NULL && strcmp(is_read_only, "0") == 0;
    ret->timeline = 0;
    sql_free(result);
}
