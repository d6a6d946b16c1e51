/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, rights, errors, and what all handlers share (command.h). */
#include "tests/mongosim/command.h"

#include <stdarg.h>
#include <stdio.h>

static enum cmd_outcome nothing(struct cmd *c)
{
    return cmd_ok(c);
}

/* name, right, handler, what follows when the model has answered */
static const struct cmd_spec specs[] = {
    {"hello", RIGHT_NONE, cmd_hello, NULL},
    {"isMaster", RIGHT_NONE, cmd_hello, NULL},
    {"ping", RIGHT_NONE, nothing, NULL},
    {"buildInfo", RIGHT_NONE, cmd_build_info, NULL},
    {"saslStart", RIGHT_NONE, cmd_sasl_start, NULL},
    {"saslContinue", RIGHT_NONE, cmd_sasl_continue, NULL},
    {"authenticate", RIGHT_NONE, cmd_authenticate, NULL},
    {"logout", RIGHT_NONE, cmd_logout, NULL},
    {"getnonce", RIGHT_NONE, cmd_nonce, NULL},
    {"connectionStatus", RIGHT_NONE, cmd_connection_status, NULL},
    {"endSessions", RIGHT_NONE, nothing, NULL},
    {"killCursors", RIGHT_LOGIN, nothing, NULL},
    {"replSetGetStatus", RIGHT_MONITOR, cmd_status, NULL},
    {"replSetGetConfig", RIGHT_MONITOR, cmd_get_config, NULL},
    {"serverStatus", RIGHT_MONITOR, cmd_server_status, NULL},
    {"replSetInitiate", RIGHT_CONFIGURE, cmd_initiate, NULL},
    {"replSetReconfig", RIGHT_CONFIGURE, cmd_reconfig, NULL},
    {"replSetStepDown", RIGHT_STATE, cmd_step_down, NULL},
    {"replSetFreeze", RIGHT_STATE, cmd_freeze, NULL},
    {"replSetStepUp", RIGHT_STATE, cmd_step_up, NULL},
    {"replSetAbortPrimaryCatchUp", RIGHT_STATE, cmd_abort_catch_up, NULL},
    {"replSetMaintenance", RIGHT_STATE, cmd_maintenance, NULL},
    {"setDefaultRWConcern", RIGHT_CONCERN, cmd_set_concern, cmd_set_concern_done},
    {"getDefaultRWConcern", RIGHT_MONITOR, cmd_get_concern, NULL},
    {"shutdown", RIGHT_SHUTDOWN, cmd_shutdown, NULL},
    {"insert", RIGHT_WRITE, cmd_insert, cmd_written},
    {"update", RIGHT_WRITE, cmd_update, cmd_written},
    {"delete", RIGHT_WRITE, cmd_delete, cmd_written},
    {"drop", RIGHT_WRITE, cmd_drop, cmd_written},
    {"create", RIGHT_WRITE, nothing, NULL},
    {"createIndexes", RIGHT_WRITE, nothing, NULL},
    {"find", RIGHT_READ, cmd_find, NULL},
    {"getMore", RIGHT_READ, cmd_get_more, NULL},
    {"count", RIGHT_READ, cmd_count, NULL},
    {"aggregate", RIGHT_READ, cmd_aggregate, NULL},
    {"listDatabases", RIGHT_MONITOR, cmd_list_databases, NULL},
    {"listCollections", RIGHT_LOGIN, cmd_list_collections, NULL},
    {"dbStats", RIGHT_MONITOR, cmd_stats, NULL},
    {"collStats", RIGHT_MONITOR, cmd_stats, NULL},
    {"top", RIGHT_MONITOR, cmd_top, NULL},
    {"getParameter", RIGHT_MONITOR, cmd_get_parameter, NULL},
    {"hostInfo", RIGHT_MONITOR, cmd_host_info, NULL},
    {"getCmdLineOpts", RIGHT_MONITOR, cmd_options, NULL},
    {"getLog", RIGHT_MONITOR, cmd_log, NULL},
};

static const struct {
    int code;
    const char *name;
} code_names[] = {
    {2, "BadValue"},
    {9, "FailedToParse"},
    {13, "Unauthorized"},
    {14, "TypeMismatch"},
    {17, "ProtocolError"},
    {18, "AuthenticationFailed"},
    {20, "IllegalOperation"},
    {23, "AlreadyInitialized"},
    {26, "NamespaceNotFound"},
    {43, "CursorNotFound"},
    {50, "MaxTimeMSExpired"},
    {59, "CommandNotFound"},
    {64, "WriteConcernFailed"},
    {74, "NodeNotFound"},
    {76, "NoReplicationEnabled"},
    {91, "ShutdownInProgress"},
    {93, "InvalidReplicaSetConfig"},
    {94, "NotYetInitialized"},
    {95, "NotSecondary"},
    {96, "OperationFailed"},
    {100, "UnsatisfiableWriteConcern"},
    {103, "NewReplicaSetConfigurationIncompatible"},
    {104, "NodeNotElectable"},
    {108, "InconsistentReplicaSetNames"},
    {109, "ConfigurationInProgress"},
    {120, "OplogStartMissing"},
    {125, "CommandFailed"},
    {127, "UnrecoverableRollbackError"},
    {189, "PrimarySteppedDown"},
    {262, "ExceededTimeLimit"},
    {308, "CurrentConfigNotCommittedYet"},
    {334, "MechanismUnavailable"},
    {10107, "NotWritablePrimary"},
    {11600, "InterruptedAtShutdown"},
    {11602, "InterruptedDueToReplStateChange"},
    {13435, "NotPrimaryNoSecondaryOk"},
    {13436, "NotPrimaryOrSecondary"},
    {14031, "OutOfDiskSpace"},
};

const char *cmd_code_name(int code)
{
    for (size_t i = 0; i < sizeof code_names / sizeof code_names[0]; i++) {
        if (code_names[i].code == code) {
            return code_names[i].name;
        }
    }
    return "UnknownError";
}

/* --- answers --- */

/* Errors that tell a client that the node's role is another one: it compares the version that comes
 * with them with what it knows. */
static bool is_of_state(int code)
{
    return code == 10107 || code == 13435 || code == 13436 || code == 189 || code == 11602 ||
           code == 11600 || code == 91;
}

enum cmd_outcome cmd_fail(struct cmd *c, int code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bson_reinit(&c->reply);
    BSON_APPEND_DOUBLE(&c->reply, "ok", 0);
    BSON_APPEND_UTF8(&c->reply, "errmsg", text);
    BSON_APPEND_INT32(&c->reply, "code", code);
    BSON_APPEND_UTF8(&c->reply, "codeName", cmd_code_name(code));
    if (is_of_state(code)) {
        cmd_topology(c, &c->reply);
    }
    return CMD_REPLY;
}

enum cmd_outcome cmd_ok(struct cmd *c)
{
    BSON_APPEND_DOUBLE(&c->reply, "ok", 1);
    return CMD_REPLY;
}

void put_optime(bson_t *to, const char *key, const struct mset_optime *optime, bool has_term)
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(to, key, &doc);
    BSON_APPEND_TIMESTAMP(&doc, "ts", (uint32_t)(optime->ts >> 32), (uint32_t)optime->ts);
    if (has_term) {
        BSON_APPEND_INT64(&doc, "t", optime->ts == 0 ? -1 : (int64_t)optime->term);
    }
    bson_append_document_end(to, &doc);
}

void put_date(bson_t *to, const char *key, int64_t wall_us)
{
    BSON_APPEND_DATE_TIME(to, key, wall_us / 1000);
}

void put_oid(bson_t *to, const char *key, const uint8_t id[12])
{
    bson_oid_t oid;
    bson_oid_init_from_data(&oid, id);
    BSON_APPEND_OID(to, key, &oid);
}

/* --- what was asked --- */

static bool is_number(const bson_iter_t *i)
{
    return BSON_ITER_HOLDS_INT32(i) || BSON_ITER_HOLDS_INT64(i) || BSON_ITER_HOLDS_DOUBLE(i);
}

int64_t cmd_int(const bson_t *doc, const char *key, int64_t otherwise)
{
    bson_iter_t i;
    return bson_iter_init_find(&i, doc, key) && is_number(&i) ? bson_iter_as_int64(&i) : otherwise;
}

bool cmd_bool(const bson_t *doc, const char *key, bool otherwise)
{
    bson_iter_t i;
    if (!bson_iter_init_find(&i, doc, key)) {
        return otherwise;
    }
    return is_number(&i) || BSON_ITER_HOLDS_BOOL(&i) ? bson_iter_as_bool(&i) : otherwise;
}

const char *cmd_text(const bson_t *doc, const char *key)
{
    bson_iter_t i;
    return bson_iter_init_find(&i, doc, key) && BSON_ITER_HOLDS_UTF8(&i) ? bson_iter_utf8(&i, NULL)
                                                                         : NULL;
}

bool cmd_document(const bson_t *doc, const char *key, bson_t *ret)
{
    bson_iter_t i;
    uint32_t len;
    const uint8_t *data;
    if (!bson_iter_init_find(&i, doc, key)) {
        return false;
    }
    if (BSON_ITER_HOLDS_DOCUMENT(&i)) {
        bson_iter_document(&i, &len, &data);
    } else if (BSON_ITER_HOLDS_ARRAY(&i)) {
        bson_iter_array(&i, &len, &data);
    } else {
        return false;
    }
    return bson_init_static(ret, data, len);
}

/* --- rights --- */

/* Nobody can log in at a node that has no users: then whoever comes from the host itself may
 * initiate the set, and ask for its status. */
static bool has_users(const struct cmd *c)
{
    switch (mset_state_of(c->hub->set, c->node->index)) {
    case MSET_PRIMARY:
    case MSET_SECONDARY:
    case MSET_RECOVERING:
    case MSET_ROLLBACK:
    case MSET_REMOVED:
        return c->hub->users_count > 0;
    case MSET_STARTUP:
    case MSET_STARTUP2:
    case MSET_UNKNOWN:
    case MSET_ARBITER:
    case MSET_DOWN:
        return false;
    }
    return false;
}

bool cmd_is_allowed(const struct cmd *c, unsigned right)
{
    unsigned mine = conn_session(c->conn)->rights;
    if (!c->node->is_auth || right == RIGHT_NONE || (mine & right) == right) {
        return true;
    }
    const char *collection = cmd_text(c->body, c->name);
    if (right == RIGHT_READ && (mine & RIGHT_OPLOG) != 0 && strcmp(c->request->db, "local") == 0) {
        return collection == NULL || strcmp(collection, "oplog.rs") == 0;
    }
    if ((right == RIGHT_READ || right == RIGHT_WRITE) && (mine & RIGHT_CANARY) != 0) {
        return strcmp(c->request->db, "quorate") == 0;
    }
    bool is_status = strcmp(c->name, "replSetGetStatus") == 0;
    return (right == RIGHT_CONFIGURE || is_status) && !has_users(c) &&
           mset_state_of(c->hub->set, c->node->index) == MSET_STARTUP;
}

static const struct cmd_spec *spec_of(const char *name)
{
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        if (strcasecmp(specs[i].name, name) == 0) {
            return &specs[i];
        }
    }
    return NULL;
}

static void log_command(const struct cmd *c)
{
    bool is_secret = strncmp(c->name, "sasl", 4) == 0 || c->spec->run == cmd_hello;
    if (c->hub->log == NULL || is_secret) {
        return;
    }
    char *text = bson_as_relaxed_extended_json(c->body, NULL);
    fprintf(c->hub->log, "%lld %s %s %s\n", (long long)mset_now(c->hub->set) / 1000, c->node->host,
            c->name, text != NULL ? text : "");
    (void)fflush(c->hub->log);
    bson_free(text);
}

/* A fault asks for another answer than the model's. */
static bool is_spoilt(struct cmd *c, bool is_answered)
{
    struct hub_faults *faults = &c->node->faults;
    bool is_it = faults->codes > 0 && (faults->code != 0) != is_answered &&
                 strcasecmp(faults->code_of, c->spec->name) == 0;
    faults->codes -= is_it;
    return is_it;
}

enum cmd_outcome cmd_run(struct cmd *c)
{
    if (c->spec == NULL) {
        c->spec = spec_of(c->name);
        if (c->spec == NULL ||
            (strcmp(c->spec->name, "hello") == 0 && !c->hub->profile->has_hello)) {
            c->spec = NULL;
            return cmd_fail(c, 59, "no such command: '%s'", c->name);
        }
        log_command(c);
        if (is_spoilt(c, false)) {
            return cmd_fail(c, c->node->faults.code, "so it was asked for");
        }
    }
    if (c->spec->right != RIGHT_NONE && conn_session(c->conn)->rights == 0 &&
        !cmd_is_allowed(c, c->spec->right)) {
        return cmd_fail(c, 13, "command %s requires authentication", c->name);
    }
    if (!cmd_is_allowed(c, c->spec->right)) {
        return cmd_fail(c, 13, "not authorized on %s to execute command %s", c->request->db,
                        c->name);
    }
    return c->spec->run(c);
}

enum cmd_outcome cmd_begin(struct cmd *c, struct mset_command *command)
{
    command->tag = ++c->hub->last_tag;
    c->tag = command->tag;
    if (!mset_command(c->hub->set, c->node->index, command)) {
        c->tag = 0;
        return cmd_fail(c, 202, "too many commands wait at this node");
    }
    return CMD_WAIT;
}

enum cmd_outcome cmd_finished(struct cmd *c, const struct mset_reply *reply)
{
    if (reply->code == MSET_E_CONNECTION || is_spoilt(c, true)) {
        return CMD_CLOSE;
    }
    if (c->spec->finish != NULL) {
        return c->spec->finish(c, reply);
    }
    return reply->code == 0 ? cmd_ok(c) : cmd_fail(c, reply->code, "%s", reply->text);
}
