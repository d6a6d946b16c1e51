/* SPDX-License-Identifier: Apache-2.0 */
/* See mysql.h: one state machine a session: connect, query, store the result, call back. */
#include "agents/galera/mysql.h"

#include <errno.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define STATEMENT_MAX 1024
#define ASK_LIMIT_S 5

enum phase { PHASE_IDLE, PHASE_CONNECT, PHASE_QUERY, PHASE_STORE };

struct session {
    struct gal_mysql *owner;
    enum gal_session number;
    enum phase phase;
    MYSQL *mysql; /* NULL: closed */
    bool is_open;
    bool is_cut;   /* is to be called back with CANCELED */
    bool is_first; /* nothing was called yet */
    uv_poll_t *poll;
    struct io_timer deadline; /* of the statement */
    struct io_timer soon;     /* first step, and what the library itself wants to be woken for */
    char statement[STATEMENT_MAX];
    gal_reply_fn *done;
    void *done_ctx;
};

struct gal_mysql {
    struct io_loop *loop;
    const struct gal_settings *settings;
    struct session sessions[GAL_SESSION_COUNT];
};

static void advance(struct session *s, int events);

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Before mysql_close, which frees the descriptor. */
static void poll_drop(struct session *s)
{
    if (s->poll != NULL) {
        (void)uv_poll_stop(s->poll);
        uv_close((uv_handle_t *)s->poll, poll_closed);
        s->poll = NULL;
    }
}

/* A session that a statement still runs in is not told goodbye: the socket is shut. */
static void drop(struct session *s)
{
    poll_drop(s);
    io_timer_stop(&s->soon);
    if (s->mysql != NULL) {
        if (s->phase != PHASE_IDLE && mysql_get_socket(s->mysql) != MARIADB_INVALID_SOCKET) {
            (void)shutdown(mysql_get_socket(s->mysql), SHUT_RDWR);
        }
        mysql_close(s->mysql);
        s->mysql = NULL;
    }
    s->is_open = false;
    s->phase = PHASE_IDLE;
}

static void finish(struct session *s, const struct gal_reply *reply)
{
    gal_reply_fn *done = s->done;
    void *ctx = s->done_ctx;
    io_timer_stop(&s->deadline);
    io_timer_stop(&s->soon);
    s->done = NULL;
    if (done != NULL) {
        done(ctx, reply);
    }
}

static int status_of(unsigned number, bool is_connecting)
{
    switch (number) {
    case 1044: /* ER_DBACCESS_DENIED_ERROR */
    case 1045: /* ER_ACCESS_DENIED_ERROR */
    case 1698: /* ER_ACCESS_DENIED_NO_PASSWORD_ERROR */
        return is_connecting ? BASE_E_DENIED : BASE_E_STATE;
    default:
        /* 2000 to 2999 are the client's own. */
        return is_connecting || (number >= 2000 && number < 3000) ? BASE_E_CLOSED : BASE_E_STATE;
    }
}

static void rows_of(MYSQL_RES *result, struct gal_reply *reply)
{
    unsigned columns = mysql_num_fields(result);
    MYSQL_ROW row;
    reply->columns = columns > GAL_REPLY_COLUMNS ? GAL_REPLY_COLUMNS : columns;
    while (reply->rows < GAL_REPLY_ROWS && (row = mysql_fetch_row(result)) != NULL) {
        for (unsigned i = 0; i < reply->columns; i++) {
            reply->values[reply->rows][i] = row[i] == NULL ? "" : row[i];
        }
        reply->rows++;
    }
}

static void fail(struct session *s)
{
    char text[512];
    unsigned number = s->mysql == NULL ? 0 : mysql_errno(s->mysql);
    bool is_connecting = s->phase == PHASE_CONNECT;
    struct buf b = buf_over(text, sizeof(text) - 1);
    buf_put(&b, slice_from(s->mysql == NULL ? "" : mysql_error(s->mysql),
                           s->mysql == NULL ? 0 : strnlen(mysql_error(s->mysql), 500)));
    (void)buf_terminate(&b);
    struct gal_reply reply = {
        .status = status_of(number, is_connecting), .number = number, .text = text};
    if (reply.status == BASE_E_STATE) {
        s->phase = PHASE_IDLE;
    } else {
        drop(s);
    }
    finish(s, &reply);
}

static void finish_result(struct session *s, MYSQL_RES *result)
{
    struct gal_reply reply = {.text = ""};
    s->phase = PHASE_IDLE;
    if (result != NULL) {
        rows_of(result, &reply);
    }
    finish(s, &reply);
    if (result != NULL) {
        mysql_free_result(result); /* stored whole: nothing is read from the connection */
    }
}

static void polled(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;
    int ready = 0;
    ready |= (events & UV_READABLE) != 0 ? MYSQL_WAIT_READ : 0;
    ready |= (events & UV_WRITABLE) != 0 ? MYSQL_WAIT_WRITE : 0;
    advance(s, status < 0 ? MYSQL_WAIT_READ | MYSQL_WAIT_EXCEPT : ready);
}

/* The descriptor is another one after a reconnect: the handle is made anew for each wait that has
 * none. */
static bool wait_for(struct session *s, int wanted)
{
    int events = 0;
    events |= (wanted & MYSQL_WAIT_READ) != 0 ? UV_READABLE : 0;
    events |= (wanted & MYSQL_WAIT_WRITE) != 0 ? UV_WRITABLE : 0;
    if ((wanted & MYSQL_WAIT_TIMEOUT) != 0) {
        io_timer_start_in_us(&s->soon,
                             (int64_t)mysql_get_timeout_value_ms(s->mysql) * BASE_US_PER_MS);
    }
    if (events == 0) {
        return true;
    }
    if (s->poll == NULL) {
        s->poll = calloc(1, sizeof(*s->poll));
        if (s->poll == NULL ||
            uv_poll_init(io_loop_uv(s->owner->loop), s->poll, mysql_get_socket(s->mysql)) != 0) {
            free(s->poll);
            s->poll = NULL;
            return false;
        }
        s->poll->data = s;
    }
    return uv_poll_start(s->poll, events, polled) == 0;
}

/* Who a session is. */
static void account_of(const struct gal_settings *c, enum gal_session number, const char **ret_name,
                       const char **ret_password)
{
    bool is_check = number == GAL_SESSION_POLL || number == GAL_SESSION_CAUSAL;
    bool is_setup = number == GAL_SESSION_SETUP;
    bool is_os_user = is_setup || c->is_socket_login;
    *ret_name = is_os_user ? c->os_user : is_check ? GAL_ACCOUNT_CHECK : GAL_ACCOUNT_AGENT;
    *ret_password = is_os_user ? "" : is_check ? c->check_password : c->agent_password;
}

/* What a phase ends with leads into the next; `events` of 0 begins the phase. Returns what to wait
 * for, 0: the call has ended. */
static int phase_step(struct session *s, int events, int *ret_failed, MYSQL_RES **ret_result)
{
    const struct gal_settings *c = s->owner->settings;
    MYSQL *connected = NULL;
    int waits = 0;
    *ret_failed = 0;
    switch (s->phase) {
    case PHASE_CONNECT: {
        const char *name = "";
        const char *password = "";
        account_of(c, s->number, &name, &password);
        waits = events != 0 ? mysql_real_connect_cont(&connected, s->mysql, events)
                            : mysql_real_connect_start(&connected, s->mysql, NULL, name, password,
                                                       NULL, 0, c->socket.text, 0);
        *ret_failed = waits == 0 && connected == NULL;
        return waits;
    }
    case PHASE_QUERY:
        waits = events != 0 ? mysql_real_query_cont(ret_failed, s->mysql, events)
                            : mysql_real_query_start(ret_failed, s->mysql, s->statement,
                                                     (unsigned long)strlen(s->statement));
        return waits;
    case PHASE_STORE:
        waits = events != 0 ? mysql_store_result_cont(ret_result, s->mysql, events)
                            : mysql_store_result_start(ret_result, s->mysql);
        *ret_failed = waits == 0 && *ret_result == NULL && mysql_errno(s->mysql) != 0;
        return waits;
    case PHASE_IDLE:
        break;
    }
    return 0;
}

static void advance(struct session *s, int events)
{
    io_timer_stop(&s->soon);
    if (s->poll != NULL) {
        (void)uv_poll_stop(s->poll);
    }
    while (s->phase != PHASE_IDLE) {
        MYSQL_RES *result = NULL;
        int failed = 0;
        int waits = phase_step(s, events, &failed, &result);
        if (waits != 0) {
            if (!wait_for(s, waits)) {
                fail(s);
            }
            return;
        }
        events = 0;
        if (failed != 0) {
            fail(s);
            return;
        }
        if (s->phase == PHASE_STORE) {
            finish_result(s, result);
            return;
        }
        s->is_open = true;
        s->phase = s->phase == PHASE_CONNECT ? PHASE_QUERY : PHASE_STORE;
    }
}

static void woken(void *ctx)
{
    struct session *s = ctx;
    if (s->is_cut) {
        const struct gal_reply reply = {.status = BASE_E_CANCELED, .text = "canceled"};
        s->is_cut = false;
        finish(s, &reply);
        return;
    }
    bool is_first = s->is_first;
    s->is_first = false;
    advance(s, is_first ? 0 : MYSQL_WAIT_TIMEOUT);
}

static void late(void *ctx)
{
    struct session *s = ctx;
    const struct gal_reply reply = {.status = BASE_E_TIMEOUT, .text = "not done in time"};
    drop(s);
    finish(s, &reply);
}

static bool prepare(struct session *s)
{
    unsigned seconds = 60; /* our own deadline comes before */
    s->mysql = mysql_init(NULL);
    if (s->mysql == NULL) {
        return false;
    }
    (void)mysql_options(s->mysql, MYSQL_OPT_NONBLOCK, 0); /* before all else */
    (void)mysql_options(s->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    (void)mysql_options(s->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (s->number == GAL_SESSION_CAUSAL) {
        (void)mysql_options(s->mysql, MYSQL_INIT_COMMAND, "SET SESSION wsrep_sync_wait=1");
    }
    s->phase = PHASE_CONNECT;
    return true;
}

static void port_run(void *ctx, enum gal_session session, const char *statement, int64_t timeout_us,
                     gal_reply_fn *done, void *done_ctx)
{
    struct gal_mysql *mysql = ctx;
    struct session *s = &mysql->sessions[session];
    BASE_ASSERT(s->done == NULL);
    size_t len = strnlen(statement, STATEMENT_MAX);
    BASE_ASSERT(len < STATEMENT_MAX);
    memcpy(s->statement, statement, len + 1);
    s->done = done;
    s->done_ctx = done_ctx;
    s->is_cut = false;
    s->is_first = true;
    if (s->is_open) {
        s->phase = PHASE_QUERY;
    } else if (!prepare(s)) {
        s->is_cut = true;
    }
    io_timer_start_in_us(&s->deadline, timeout_us);
    io_timer_start_in_us(&s->soon, 0);
}

static bool port_is_busy(void *ctx, enum gal_session session)
{
    const struct gal_mysql *mysql = ctx;
    return mysql->sessions[session].done != NULL;
}

static void port_cut(void *ctx, enum gal_session session)
{
    struct gal_mysql *mysql = ctx;
    struct session *s = &mysql->sessions[session];
    drop(s);
    if (s->done != NULL) {
        s->is_cut = true;
        io_timer_start_in_us(&s->soon, 0);
    }
}

int gal_mysql_new(struct io_loop *loop, const struct gal_settings *settings, struct gal_mysql **ret)
{
    struct gal_mysql *mysql = calloc(1, sizeof(*mysql));
    if (mysql == NULL || mysql_library_init(0, NULL, NULL) != 0) {
        free(mysql);
        return BASE_E_NOMEM;
    }
    mysql->loop = loop;
    mysql->settings = settings;
    for (size_t i = 0; i < GAL_SESSION_COUNT; i++) {
        struct session *s = &mysql->sessions[i];
        s->owner = mysql;
        s->number = (enum gal_session)i;
        io_timer_init(&s->deadline, loop, late, s);
        io_timer_init(&s->soon, loop, woken, s);
    }
    *ret = mysql;
    return 0;
}

struct gal_session_port gal_mysql_port(struct gal_mysql *mysql)
{
    return (struct gal_session_port){
        .ctx = mysql, .run = port_run, .is_busy = port_is_busy, .cut = port_cut};
}

struct gal_mysql *gal_mysql_free(struct gal_mysql *mysql)
{
    if (mysql == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < GAL_SESSION_COUNT; i++) {
        struct session *s = &mysql->sessions[i];
        drop(s);
        io_timer_stop(&s->deadline);
        s->done = NULL;
    }
    free(mysql);
    mysql_library_end();
    return NULL;
}

void gal_mysql_ask(const struct gal_settings *settings, enum gal_session session,
                   const char *statement, gal_reply_fn *done, void *ctx)
{
    static struct gal_reply reply; /* before any loop: one thread */
    unsigned seconds = ASK_LIMIT_S;
    const char *name = "";
    const char *password = "";
    char text[512] = "";
    MYSQL *mysql = mysql_init(NULL);
    account_of(settings, session, &name, &password);
    bool is_connected = false;
    MYSQL_RES *result = NULL;
    reply = (struct gal_reply){.status = BASE_E_NOMEM, .text = text};
    if (mysql != NULL) {
        (void)mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
        (void)mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
        is_connected = mysql_real_connect(mysql, NULL, name, password, NULL, 0,
                                          settings->socket.text, 0) != NULL;
        result =
            is_connected && mysql_query(mysql, statement) == 0 ? mysql_store_result(mysql) : NULL;
        reply.number = mysql_errno(mysql);
        reply.status = reply.number == 0 ? 0 : status_of(reply.number, !is_connected);
        (void)snprintf(text, sizeof(text), "%s", mysql_error(mysql));
    }
    if (result != NULL) {
        rows_of(result, &reply);
    }
    done(ctx, &reply);
    if (result != NULL) {
        mysql_free_result(result);
    }
    if (mysql != NULL) {
        mysql_close(mysql);
    }
}
