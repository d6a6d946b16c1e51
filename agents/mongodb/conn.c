/* SPDX-License-Identifier: Apache-2.0 */
/* Connections on libmongoc; see conn.h. Nothing else in the project includes its headers.
 *
 * Single-mode clients with directConnection: one handshake and then our commands, no threads of the
 * library's own. A client whose connection failed in any way is thrown away, since libmongoc would
 * wait five seconds before it tried again. Every limit that has a generous default is set.
 */
#include "agents/mongodb/conn.h"

#include <errno.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/mongodb/stream.h"
#include "base/assert.h"
#include "proto/io/loop.h"

#define APPNAME "quorate-agent"
#define CONNECT_MS 1000
#define AUTH_FAILED 18 /* AuthenticationFailed */

struct conn {
    const struct mdb_settings *settings;
    enum mdb_session session;
    mongoc_client_t *client; /* NULL: made by the next run */
    struct mdb_stream_options stream;
    bson_t reply;
    bool has_reply;
    char text[256];
};

/* How long one read may take; longer than the limit that goes with any command of the session. */
static const int32_t socket_ms[MDB_SESSION_COUNT] = {
    [MDB_SESSION_HELLO] = 2000, [MDB_SESSION_WATCH] = 3000,  [MDB_SESSION_CANARY] = 3000,
    [MDB_SESSION_ACT] = 20000,  [MDB_SESSION_LOCAL] = 20000,
};

static bool has_login(const struct conn *c)
{
    return c->session != MDB_SESSION_HELLO && c->session != MDB_SESSION_LOCAL &&
           c->settings->login != MDB_LOGIN_NONE;
}

/* --- a client --- */

static bool put_login(const struct conn *c, mongoc_uri_t *uri)
{
    const struct mdb_settings *s = c->settings;
    if (s->login == MDB_LOGIN_X509) {
        return mongoc_uri_set_auth_mechanism(uri, "MONGODB-X509") &&
               mongoc_uri_set_auth_source(uri, "$external");
    }
    bool is_act = c->session == MDB_SESSION_ACT;
    /* Without a mechanism the best one that the server has for the user is taken: SCRAM-SHA-256. */
    return mongoc_uri_set_username(uri, is_act ? MDB_USER_ACT : MDB_USER_READ) &&
           mongoc_uri_set_password(uri, is_act ? s->act_password : s->read_password) &&
           mongoc_uri_set_auth_source(uri, "admin");
}

static mongoc_uri_t *make_uri(const struct conn *c)
{
    const struct mdb_settings *s = c->settings;
    const char *host = c->session == MDB_SESSION_LOCAL ? "127.0.0.1" : s->connect_host.text;
    mongoc_uri_t *uri = mongoc_uri_new_for_host_port(host, s->port);
    if (uri == NULL) {
        return NULL;
    }
    bool is_good =
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_DIRECTCONNECTION, true) &&
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true) &&
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false) &&
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, CONNECT_MS) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, socket_ms[c->session]);
    if (is_good && s->is_tls) {
        is_good =
            mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true) &&
            mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLSDISABLEOCSPENDPOINTCHECK, true) &&
            mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, s->tls_ca.text) &&
            (s->login_pem.text[0] == '\0' ||
             mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE,
                                           s->login_pem.text));
    }
    is_good = is_good && (!has_login(c) || put_login(c, uri));
    if (!is_good) {
        mongoc_uri_destroy(uri);
        return NULL;
    }
    return uri;
}

static mongoc_client_t *make_client(const struct conn *c)
{
    mongoc_uri_t *uri = make_uri(c);
    mongoc_client_t *client = uri == NULL ? NULL : mongoc_client_new_from_uri(uri);
    if (uri != NULL) {
        mongoc_uri_destroy(uri);
    }
    if (client != NULL) {
        (void)mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
        (void)mongoc_client_set_appname(client, APPNAME);
    }
    return client;
}

static void drop_client(struct conn *c)
{
    if (c->client != NULL) {
        mongoc_client_destroy(c->client);
        c->client = NULL;
    }
}

static void drop_reply(struct conn *c)
{
    if (c->has_reply) {
        bson_destroy(&c->reply);
        c->has_reply = false;
    }
}

/* --- what went wrong --- */

/* A failed read has no code of its own for "too late". */
static int stream_status(const struct conn *c, int64_t took_us)
{
    return took_us >= socket_ms[c->session] * BASE_US_PER_MS ? BASE_E_TIMEOUT : BASE_E_CLOSED;
}

/* Connecting and the first hello: one error for all that may go wrong, told apart by its text. A
 * port that takes connections and says nothing must not look like one where nobody listens. */
static int selection_status(const char *text, int64_t took_us)
{
    if (strstr(text, "TLS") != NULL) {
        return BASE_E_TLS;
    }
    if (strstr(text, "timeout") != NULL || took_us >= CONNECT_MS * BASE_US_PER_MS) {
        return BASE_E_TIMEOUT;
    }
    bool is_closed = strstr(text, "refused") != NULL || strstr(text, "resolve") != NULL ||
                     strstr(text, "Failed to connect") != NULL;
    return is_closed ? BASE_E_UNREACHABLE : BASE_E_CLOSED;
}

static int status_of(const struct conn *c, const bson_error_t *error, int64_t took_us)
{
    switch ((int)error->domain) {
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_WRITE_CONCERN:
        return error->code == AUTH_FAILED ? BASE_E_DENIED : BASE_E_STATE;
    case MONGOC_ERROR_CLIENT:
        return error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? BASE_E_DENIED : BASE_E_CLOSED;
    case MONGOC_ERROR_SCRAM:
    case MONGOC_ERROR_SASL:
        return BASE_E_DENIED;
    case MONGOC_ERROR_SERVER_SELECTION:
        return selection_status(error->message, took_us);
    case MONGOC_ERROR_STREAM:
        return strstr(error->message, "TLS") != NULL ? BASE_E_TLS : stream_status(c, took_us);
    case MONGOC_ERROR_PROTOCOL:
    case MONGOC_ERROR_BSON:
        return BASE_E_PROTO;
    default:
        return BASE_E_CLOSED;
    }
}

/* Codes with which the library thinks the server is another one now: it would look at it anew, and
 * wait for that. */
static bool is_state_change(int32_t code)
{
    static const int32_t codes[] = {91, 189, 10107, 11600, 11602, 13435, 13436};
    for (size_t i = 0; i < BASE_COUNT_OF(codes); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static void failed(struct conn *c, const bson_error_t *error, int64_t took_us,
                   struct mdb_reply *ret)
{
    (void)snprintf(c->text, sizeof(c->text), "%.240s", error->message);
    ret->status = c->stream.is_spoilt ? BASE_E_PROTO : status_of(c, error, took_us);
    ret->text = c->text;
    if (error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_WRITE_CONCERN) {
        ret->code = (int32_t)error->code;
    } else if (ret->status == BASE_E_DENIED) {
        ret->code = AUTH_FAILED; /* the library has a number of its own for it */
    }
    if (ret->status != BASE_E_STATE || is_state_change(ret->code)) {
        drop_client(c);
    }
}

/* --- the port --- */

static int conn_open(void *ctx, enum mdb_session session, void **ret)
{
    const struct mdb_settings *const *settings = ctx;
    struct conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return BASE_E_NOMEM;
    }
    c->settings = *settings;
    c->session = session;
    *ret = c;
    return 0;
}

static void conn_run(void *ctx, void *conn, const char *db, struct slice command,
                     struct mdb_reply *ret)
{
    struct conn *c = conn;
    bson_t bson;
    bson_error_t error = {0};
    (void)ctx;
    *ret = (struct mdb_reply){.text = ""};
    drop_reply(c);
    if (!bson_init_static(&bson, command.data, command.len)) {
        ret->status = BASE_E_INVALID;
        return;
    }
    if (c->client == NULL) {
        c->client = make_client(c);
        c->stream = (struct mdb_stream_options){.client = c->client, .timeout_ms = CONNECT_MS};
        if (c->client != NULL) {
            mdb_stream_watch(&c->stream);
        }
    }
    if (c->client == NULL) {
        ret->status = BASE_E_INVALID;
        ret->text = "libmongoc does not take these settings";
        return;
    }
    struct base_mono began = io_now();
    bool is_good = mongoc_client_command_simple(c->client, db, &bson, NULL, &c->reply, &error);
    c->has_reply = true;
    ret->bson = slice_from(bson_get_data(&c->reply), c->reply.len);
    if (!is_good) {
        failed(c, &error, base_mono_diff_us(io_now(), began), ret);
    }
}

static void conn_close(void *ctx, void *conn)
{
    struct conn *c = conn;
    (void)ctx;
    drop_client(c);
    drop_reply(c);
    free(c);
}

struct mdb_conn_port mdb_mongoc_port(const struct mdb_settings *settings)
{
    static const struct mdb_settings *of_process;
    BASE_ASSERT(of_process == NULL);
    of_process = settings;
    (void)setenv("MONGOC_DISABLE_SHM", "1", 1); /* its counters, 4 MB in /dev/shm, unread by us */
    mongoc_log_set_handler(NULL, NULL);         /* every failure comes back as an error */
    mongoc_init();
    return (struct mdb_conn_port){
        .ctx = &of_process, .open = conn_open, .run = conn_run, .close = conn_close};
}

void mdb_mongoc_cleanup(void)
{
    mongoc_cleanup();
}
