/* SPDX-License-Identifier: Apache-2.0 */
/* See roles.h. */
#include "agents/mongodb/roles.h"

#include "agents/mongodb/commands.h"

/* What stands behind each right; the commands of both roles must find theirs here. */
static const struct privilege {
    unsigned right;
    const char *resource;
    const char *actions;
    bool is_act; /* of the role that is taken for orders alone */
} privileges[] = {
    {MDB_RIGHT_STATUS, "{cluster: true}", "\"replSetGetStatus\", \"replSetGetConfig\"", false},
    {MDB_RIGHT_SERVER, "{cluster: true}",
     "\"serverStatus\", \"getDefaultRWConcern\", \"listDatabases\"", false},
    {MDB_RIGHT_OPLOG, "{db: \"local\", collection: \"oplog.rs\"}", "\"find\"", false},
    {MDB_RIGHT_CANARY, "{db: \"" MDB_CANARY_DB "\", collection: \"" MDB_CANARY_COLLECTION "\"}",
     "\"find\", \"insert\", \"update\"", false},
    {MDB_RIGHT_STATUS, "{cluster: true}", "\"replSetGetStatus\", \"replSetGetConfig\"", true},
    {MDB_RIGHT_CONFIGURE, "{cluster: true}", "\"replSetConfigure\"", true},
    {MDB_RIGHT_STATE, "{cluster: true}", "\"replSetStateChange\"", true},
    {MDB_RIGHT_CONCERN, "{cluster: true}", "\"getDefaultRWConcern\", \"setDefaultRWConcern\"",
     true},
    {MDB_RIGHT_SHUTDOWN, "{cluster: true}", "\"shutdown\"", true},
};

static void put_role(struct buf *b, const char *name, bool is_act)
{
    buf_put_text(b, "db.createRole({role: \"");
    buf_put_text(b, name);
    buf_put_text(b, "\", roles: [], privileges: [\n");
    for (size_t i = 0; i < BASE_COUNT_OF(privileges); i++) {
        if (privileges[i].is_act == is_act) {
            buf_put_text(b, "  {resource: ");
            buf_put_text(b, privileges[i].resource);
            buf_put_text(b, ", actions: [");
            buf_put_text(b, privileges[i].actions);
            buf_put_text(b, "]},\n");
        }
    }
    buf_put_text(b, "]})\n");
}

static void put_user(struct buf *b, const char *name, const char *role)
{
    buf_put_text(b, "db.createUser({user: \"");
    buf_put_text(b, name);
    buf_put_text(b, "\", pwd: passwordPrompt(), mechanisms: [\"SCRAM-SHA-256\"], roles: [\"");
    buf_put_text(b, role);
    buf_put_text(b, "\"]})\n");
}

void mdb_roles_put(const struct mdb_settings *s, const char *subject, struct buf *b)
{
    buf_put_text(b, "// In mongosh on the primary, as a user who may make users. On a set that has "
                    "no user at all:\n"
                    "// on the primary's own host (localhost), a user administrator of your own "
                    "first, then log in as that.\n"
                    "use admin\n");
    put_role(b, "quorateRead", false);
    put_role(b, "quorateAct", true);
    if (s->login == MDB_LOGIN_X509) {
        buf_put_text(b, "db.getSiblingDB(\"$external\").runCommand({createUser: \"");
        buf_put_text(b, subject[0] != '\0' ? subject : "SUBJECT of the agent's certificate");
        buf_put_text(b, "\",\n  roles: [{role: \"quorateRead\", db: \"admin\"}, {role: "
                        "\"quorateAct\", db: \"admin\"}]})\n");
        return;
    }
    buf_put_text(b, "// Passwords as in mongodb.password_file.\n");
    put_user(b, MDB_USER_READ, "quorateRead");
    put_user(b, MDB_USER_ACT, "quorateAct");
}
