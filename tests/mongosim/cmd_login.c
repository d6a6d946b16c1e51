/* SPDX-License-Identifier: Apache-2.0 */
/* Logins: SCRAM in two or three steps, also begun within hello; certificates; who one is. */
#include <stdio.h>

#include "tests/mongosim/command.h"

static enum cmd_outcome refuse(struct cmd *c)
{
    conn_session(c->conn)->is_scram_open = false;
    return cmd_fail(c, 18, "Authentication failed.");
}

/* A node that holds no users (an arbiter, an empty one) knows nobody. */
static bool knows_users(const struct cmd *c)
{
    enum mset_state state = mset_state_of(c->hub->set, c->node->index);
    return state != MSET_ARBITER && state != MSET_STARTUP && state != MSET_STARTUP2 &&
           !mset_is_login_refused(c->hub->set, c->node->index) && !c->node->faults.is_no_login;
}

static void logged_in(struct cmd *c, const struct hub_user *user, const char *database)
{
    struct session *session = conn_session(c->conn);
    session->rights = user->rights;
    snprintf(session->user, sizeof session->user, "%s", user->name);
    snprintf(session->database, sizeof session->database, "%.63s", database);
}

static bool payload_of(const bson_t *body, char *ret, size_t cap)
{
    bson_iter_t i;
    bson_subtype_t subtype;
    uint32_t len;
    const uint8_t *data;
    if (!bson_iter_init_find(&i, body, "payload") || !BSON_ITER_HOLDS_BINARY(&i)) {
        return false;
    }
    bson_iter_binary(&i, &subtype, &len, &data);
    if (len >= cap || (len > 0 && memchr(data, 0, len) != NULL)) {
        return false;
    }
    memcpy(ret, data, len);
    ret[len] = 0;
    return true;
}

static void put_step(struct cmd *c, bson_t *to, bool is_done, const char *payload)
{
    BSON_APPEND_INT32(to, "conversationId", conn_session(c->conn)->conversation);
    BSON_APPEND_BOOL(to, "done", is_done);
    BSON_APPEND_BINARY(to, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
}

/* saslStart's document; false: refused. */
static bool start(struct cmd *c, const bson_t *body, bson_t *to)
{
    struct session *session = conn_session(c->conn);
    const char *mechanism = cmd_text(body, "mechanism");
    char message[SCRAM_TEXT_MAX + 1], answer[SCRAM_TEXT_MAX + 1];
    bool is_256 = mechanism != NULL && strcmp(mechanism, "SCRAM-SHA-256") == 0;
    if (mechanism == NULL || (!is_256 && strcmp(mechanism, "SCRAM-SHA-1") != 0) ||
        !payload_of(body, message, sizeof message) ||
        !scram_first(&session->scram, is_256 ? SCRAM_SHA_256 : SCRAM_SHA_1, message, answer,
                     sizeof answer)) {
        return false;
    }
    session->conversation += 1;
    session->is_scram_open = true;
    put_step(c, to, false, answer);
    return true;
}

enum cmd_outcome cmd_sasl_start(struct cmd *c)
{
    if (!start(c, c->body, &c->reply)) {
        return refuse(c);
    }
    return cmd_ok(c);
}

enum cmd_outcome cmd_sasl_continue(struct cmd *c)
{
    struct session *session = conn_session(c->conn);
    char message[SCRAM_TEXT_MAX + 1], answer[SCRAM_TEXT_MAX + 1] = "";
    if (!session->is_scram_open || !payload_of(c->body, message, sizeof message) ||
        cmd_int(c->body, "conversationId", -1) != session->conversation) {
        return refuse(c);
    }
    if (session->scram.step == 2 && message[0] == 0) { /* the empty exchange of older clients */
        session->is_scram_open = false;
        put_step(c, &c->reply, true, "");
        return cmd_ok(c);
    }
    const struct hub_user *user = hub_user(c->hub, session->scram.user);
    if (user == NULL || user->password[0] == 0 || !knows_users(c) ||
        !scram_final(&session->scram, user->password, message, answer, sizeof answer)) {
        return refuse(c);
    }
    logged_in(c, user, c->request->db);
    put_step(c, &c->reply, false, answer);
    return cmd_ok(c);
}

/* MONGODB-X509: the user is the certificate's subject. */
static bool by_certificate(struct cmd *c, const bson_t *body, bson_t *to)
{
    struct session *session = conn_session(c->conn);
    const char *mechanism = cmd_text(body, "mechanism"), *name = cmd_text(body, "user");
    const struct hub_user *user = hub_user(c->hub, session->subject);
    if (mechanism == NULL || strcmp(mechanism, "MONGODB-X509") != 0 || session->subject[0] == 0 ||
        (name != NULL && strcmp(name, session->subject) != 0) || user == NULL || !knows_users(c)) {
        return false;
    }
    logged_in(c, user, "$external");
    BSON_APPEND_UTF8(to, "dbname", "$external");
    BSON_APPEND_UTF8(to, "user", user->name);
    return true;
}

enum cmd_outcome cmd_authenticate(struct cmd *c)
{
    return by_certificate(c, c->body, &c->reply) ? cmd_ok(c) : refuse(c);
}

void cmd_speculative(struct cmd *c, bson_t *to)
{
    bson_t body, part = BSON_INITIALIZER;
    if (!cmd_document(c->body, "speculativeAuthenticate", &body)) {
        return;
    }
    /* What fails here is left out: the client then logs in in the ordinary way. */
    bool is_fine = cmd_text(&body, "user") != NULL || cmd_int(&body, "authenticate", 0) != 0
                       ? by_certificate(c, &body, &part)
                       : start(c, &body, &part);
    if (is_fine) {
        BSON_APPEND_DOCUMENT(to, "speculativeAuthenticate", &part);
    }
    bson_destroy(&part);
}

void cmd_mechanisms(struct cmd *c, bson_t *to)
{
    const char *asked = cmd_text(c->body, "saslSupportedMechs");
    const char *dot = asked != NULL ? strchr(asked, '.') : NULL;
    const struct hub_user *user = dot != NULL ? hub_user(c->hub, dot + 1) : NULL;
    if (user == NULL || user->password[0] == 0) {
        return;
    }
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(to, "saslSupportedMechs", &list);
    BSON_APPEND_UTF8(&list, "0", "SCRAM-SHA-1");
    BSON_APPEND_UTF8(&list, "1", "SCRAM-SHA-256");
    bson_append_array_end(to, &list);
}

enum cmd_outcome cmd_nonce(struct cmd *c)
{
    BSON_APPEND_UTF8(&c->reply, "nonce", "2375531c32080ae8");
    return cmd_ok(c);
}

enum cmd_outcome cmd_logout(struct cmd *c)
{
    struct session *session = conn_session(c->conn);
    session->rights = 0;
    session->user[0] = 0;
    return cmd_ok(c);
}

/* --- who one is --- */

static const struct {
    unsigned right;
    const char *database, *collection; /* NULL: the cluster */
    const char *actions;
} privileges[] = {
    {RIGHT_MONITOR, NULL, NULL,
     "replSetGetStatus replSetGetConfig serverStatus getParameter getDefaultRWConcern "
     "listDatabases hostInfo top getCmdLineOpts getLog connPoolStats"},
    {RIGHT_CONFIGURE, NULL, NULL, "replSetConfigure"},
    {RIGHT_STATE, NULL, NULL, "replSetStateChange"},
    {RIGHT_SHUTDOWN, NULL, NULL, "shutdown"},
    {RIGHT_CONCERN, NULL, NULL, "setDefaultRWConcern"},
    {RIGHT_READ, "", "", "find listCollections collStats dbStats"},
    {RIGHT_WRITE, "", "", "insert update remove createCollection"},
    {RIGHT_OPLOG, "local", "oplog.rs", "find"},
    {RIGHT_CANARY, "quorate", "", "find insert update remove createCollection"},
    {RIGHT_ROOT, NULL, NULL, "anyAction"},
};

static void put_actions(bson_t *to, const char *words)
{
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(to, "actions", &list);
    for (uint32_t n = 0; *words != 0; n++) {
        char key[16];
        const char *index;
        size_t len = strcspn(words, " ");
        bson_uint32_to_string(n, &index, key, sizeof key);
        bson_append_utf8(&list, index, -1, words, (int)len);
        words += len + (words[len] == ' ');
    }
    bson_append_array_end(to, &list);
}

static void put_privileges(const struct session *session, bson_t *to)
{
    bson_t list, item, resource;
    uint32_t n = 0;
    BSON_APPEND_ARRAY_BEGIN(to, "authenticatedUserPrivileges", &list);
    for (size_t i = 0; i < sizeof privileges / sizeof privileges[0]; i++) {
        if ((session->rights & privileges[i].right) == 0) {
            continue;
        }
        char key[16];
        const char *index;
        bson_uint32_to_string(n++, &index, key, sizeof key);
        BSON_APPEND_DOCUMENT_BEGIN(&list, index, &item);
        BSON_APPEND_DOCUMENT_BEGIN(&item, "resource", &resource);
        if (privileges[i].database == NULL) {
            BSON_APPEND_BOOL(&resource, "cluster", true);
        } else {
            BSON_APPEND_UTF8(&resource, "db", privileges[i].database);
            BSON_APPEND_UTF8(&resource, "collection", privileges[i].collection);
        }
        bson_append_document_end(&item, &resource);
        put_actions(&item, privileges[i].actions);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(to, &list);
}

enum cmd_outcome cmd_connection_status(struct cmd *c)
{
    const struct session *session = conn_session(c->conn);
    bson_t info, list, item;
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "authInfo", &info);
    for (int round = 0; round < 2; round++) {
        BSON_APPEND_ARRAY_BEGIN(&info, round == 0 ? "authenticatedUsers" : "authenticatedUserRoles",
                                &list);
        if (session->user[0] != 0) {
            BSON_APPEND_DOCUMENT_BEGIN(&list, "0", &item);
            bool is_root = (session->rights & RIGHT_ROOT) != 0;
            BSON_APPEND_UTF8(&item, round == 0 ? "user" : "role",
                             round == 0 ? session->user
                             : is_root  ? "root"
                                        : "quorate");
            BSON_APPEND_UTF8(&item, "db", round == 0 ? session->database : "admin");
            bson_append_document_end(&list, &item);
        }
        bson_append_array_end(&info, &list);
    }
    if (cmd_bool(c->body, "showPrivileges", false)) {
        put_privileges(session, &info);
    }
    bson_append_document_end(&c->reply, &info);
    return cmd_ok(c);
}
