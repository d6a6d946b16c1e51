/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator should be warned of, as one line: settings that lose data or let others in,
 * rights that are missing, rights that are too many. Nothing here decides anything. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/codes.h"
#include "agents/mongodb/db_internal.h"
#include "base/name.h"

#define MDB_CUTS_TOLD 3 /* one alone is of a server that goes down */
#define READ_RIGHTS (MDB_RIGHT_STATUS | MDB_RIGHT_SERVER | MDB_RIGHT_OPLOG | MDB_RIGHT_CANARY)

static const struct right_name {
    unsigned right;
    const char *name;
} right_names[] = {
    {MDB_RIGHT_STATUS, "replSetGetStatus"},
    {MDB_RIGHT_SERVER, "serverStatus"},
    {MDB_RIGHT_OPLOG, "find on local.oplog.rs"},
    {MDB_RIGHT_CANARY, "update on " MDB_CANARY_DB "." MDB_CANARY_COLLECTION},
};

struct line {
    char text[BASE_TEXT_MAX + 1];
    size_t len;
};

/* What does not fit whole stays away: the first ones matter most. */
static void add(struct line *l, const char *text)
{
    const char *between = l->len > 0 ? "; " : "";
    if (l->len + strlen(between) + strlen(text) < sizeof(l->text)) {
        int len = snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s", between, text);
        l->len += (size_t)len;
    }
}

static void add_missing(const struct mdb_db *db, struct line *l)
{
    char text[BASE_TEXT_MAX + 1];
    unsigned wanted =
        db->settings->has_canary ? READ_RIGHTS : READ_RIGHTS & ~(unsigned)MDB_RIGHT_CANARY;
    unsigned missing = wanted & ~db->advice.rights.has;
    for (size_t i = 0; i < BASE_COUNT_OF(right_names); i++) {
        if ((missing & right_names[i].right) != 0) {
            (void)snprintf(text, sizeof(text), "%s may not %s (--print-roles)", MDB_USER_READ,
                           right_names[i].name);
            add(l, text);
        }
    }
}

static void add_server(const struct mdb_db *db, struct line *l)
{
    enum msg_mongodb_default_concern concern = db->seen.concern;
    if (concern == MSG_MONGODB_CONCERN_IMPLICIT_ONE || concern == MSG_MONGODB_CONCERN_SET_ONE) {
        add(l, "default write concern is w:1: acknowledged writes are lost by a failover");
    }
    if (db->advice.config.is_majority_memory) {
        add(l, "writeConcernMajorityJournalDefault is false: majority writes are lost by a power "
               "failure");
    }
    if (db->advice.config.has_localhost && !db->settings->is_loopback) {
        add(l, "a member is named localhost: others cannot reach it");
    }
}

static const char *const session_names[MDB_SESSION_COUNT] = {"hello", "status", "a canary write",
                                                             "an order", "an order"};

static const char *hung_session(const struct mdb_db *db)
{
    for (size_t i = 0; i < MDB_SESSION_COUNT; i++) {
        if (db->sql.hung_since(db->sql.ctx, (enum mdb_session)i).us != BASE_MONO_NEVER.us) {
            return session_names[i];
        }
    }
    return NULL;
}

static void note_hung(struct mdb_db *db, const char *what)
{
    char text[BASE_TEXT_MAX + 1];
    (void)snprintf(text, sizeof(text),
                   "mongod has not answered %s for over 10 s: look at its disk and its log", what);
    db->note = base_text_from(slice_from_text(text));
}

static bool note_refused(struct mdb_db *db)
{
    char text[BASE_TEXT_MAX + 1];
    size_t i = 0;
    while (i < MDB_SESSION_COUNT && db->advice.refused[i] == 0) {
        i++;
    }
    if (i == MDB_SESSION_COUNT) {
        return false;
    }
    const struct mdb_code *code = mdb_code_find(db->advice.refused[i]);
    (void)snprintf(text, sizeof(text), "mongod refuses %s: %s (%" PRId32 "): %s", session_names[i],
                   code->name, code->code, code->next);
    db->note = base_text_from(slice_from_text(text));
    return true;
}

void mdb_advice_refused(struct mdb_db *db, enum mdb_session session, int32_t code)
{
    db->advice.refused[session] = mdb_code_find(code) == NULL ? 0 : code;
}

/* The server's own word for it is in the log; this says what to do. */
static void make_note(struct mdb_db *db)
{
    const char *hung = hung_session(db);
    if (hung != NULL) {
        note_hung(db, hung);
    } else if (db->advice.is_tls_refused) {
        db->note =
            base_text_from(SLICE_LIT("TLS with mongod fails: is its certificate of tls.ca, and "
                                     "for the name that the agent connects to?"));
    } else if (db->advice.cuts >= MDB_CUTS_TOLD) {
        db->note = base_text_from(SLICE_LIT("mongod cuts the connection before it answers: does it "
                                            "want TLS? (mongodb.tls: on)"));
    } else if (db->seen.is_login_refused) {
        db->note = base_text_from(SLICE_LIT("mongod refuses the agent's login: make the users that "
                                            "'quorate-agent-mongodb --print-roles' prints"));
    } else if (db->seen.hello.is_set_name_wrong) {
        db->note = base_text_from(
            SLICE_LIT("mongod is in a set of another name than mongodb.replica_set says"));
    } else if (!note_refused(db)) {
        memset(&db->note, 0, sizeof(db->note));
    }
}

void mdb_advice_make(struct mdb_db *db)
{
    struct line l = {.len = 0};
    make_note(db);
    if (!db->settings->is_tls && !db->settings->is_loopback) {
        add(&l, "members talk without TLS");
    }
    if (db->advice.has_rights && db->advice.rights.is_logged_in) {
        if (db->advice.rights.is_too_much) {
            add(&l, "the agent's login may do far more than it needs (root or the like)");
        }
        add_missing(db, &l);
    }
    add_server(db, &l);
    db->warning = base_text_from(slice_from(l.text, l.len));
}
