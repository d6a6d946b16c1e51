/* SPDX-License-Identifier: Apache-2.0 */
/* connectionStatus with privileges: may this login do what it is for, and no more? See read.h. */
#include <string.h>

#include "agents/mongodb/bson.h"
#include "agents/mongodb/read.h"
#include "agents/mongodb/settings.h"

static const struct action {
    const char *name;
    unsigned right;
    const char *db; /* NULL: on the cluster */
    const char *collection;
} actions[] = {
    {"replSetGetStatus", MDB_RIGHT_STATUS, NULL, NULL},
    {"serverStatus", MDB_RIGHT_SERVER, NULL, NULL},
    {"find", MDB_RIGHT_OPLOG, "local", "oplog.rs"},
    {"update", MDB_RIGHT_CANARY, MDB_CANARY_DB, MDB_CANARY_COLLECTION},
    {"replSetConfigure", MDB_RIGHT_CONFIGURE, NULL, NULL},
    {"replSetStateChange", MDB_RIGHT_STATE, NULL, NULL},
    {"shutdown", MDB_RIGHT_SHUTDOWN, NULL, NULL},
    {"setDefaultRWConcern", MDB_RIGHT_CONCERN, NULL, NULL},
};

static bool is_text(struct slice text, const char *what)
{
    return slice_equal(text, slice_from_text(what));
}

/* An empty database or collection of a privilege means every one. */
static bool covers(const bson_t *resource, const struct action *action)
{
    if (action->db == NULL) {
        return mdb_bson_bool(resource, "cluster", false);
    }
    struct slice db = mdb_bson_text(resource, "db");
    struct slice collection = mdb_bson_text(resource, "collection");
    bson_iter_t it;
    return mdb_bson_find(resource, "db", &it) && (db.len == 0 || is_text(db, action->db)) &&
           (collection.len == 0 || is_text(collection, action->collection));
}

static void take_action(const bson_t *resource, struct slice name, struct mdb_rights *rights)
{
    rights->is_too_much = rights->is_too_much || is_text(name, "anyAction");
    for (size_t i = 0; i < BASE_COUNT_OF(actions); i++) {
        if (is_text(name, actions[i].name) && covers(resource, &actions[i])) {
            rights->has |= actions[i].right;
        }
    }
}

static void take_privilege(const bson_t *privilege, struct mdb_rights *rights)
{
    bson_t resource;
    bson_t list;
    bson_iter_t it;
    if (!mdb_bson_part(privilege, "resource", &resource) ||
        !mdb_bson_part(privilege, "actions", &list) || !bson_iter_init(&it, &list)) {
        return;
    }
    while (bson_iter_next(&it)) {
        uint32_t len = 0;
        if (BSON_ITER_HOLDS_UTF8(&it)) {
            const char *name = bson_iter_utf8(&it, &len);
            take_action(&resource, slice_from(name, len), rights);
        }
    }
}

static void take_role(const bson_t *role, struct mdb_rights *rights)
{
    static const char *const mighty[] = {"root",
                                         "__system",
                                         "dbOwner",
                                         "userAdminAnyDatabase",
                                         "dbAdminAnyDatabase",
                                         "readWriteAnyDatabase"};
    struct slice name = mdb_bson_text(role, "role");
    for (size_t i = 0; i < BASE_COUNT_OF(mighty); i++) {
        rights->is_too_much = rights->is_too_much || is_text(name, mighty[i]);
    }
}

static void each(const bson_t *info, const char *name,
                 void (*take)(const bson_t *part, struct mdb_rights *rights),
                 struct mdb_rights *rights)
{
    bson_t list;
    bson_t part;
    bson_iter_t it;
    if (!mdb_bson_part(info, name, &list) || !bson_iter_init(&it, &list)) {
        return;
    }
    while (bson_iter_next(&it)) {
        if (mdb_iter_part(&it, &part)) {
            take(&part, rights);
        }
    }
}

static void take_user(const bson_t *user, struct mdb_rights *rights)
{
    rights->is_logged_in = true;
    rights->is_too_much = rights->is_too_much || is_text(mdb_bson_text(user, "user"), "__system");
}

int mdb_read_rights(struct slice bson, struct mdb_rights *ret)
{
    bson_t doc;
    bson_t info;
    struct mdb_rights rights = {0};
    if (!mdb_bson_open(bson, &doc) || !mdb_bson_part(&doc, "authInfo", &info)) {
        return BASE_E_PROTO;
    }
    each(&info, "authenticatedUsers", take_user, &rights);
    each(&info, "authenticatedUserRoles", take_role, &rights);
    each(&info, "authenticatedUserPrivileges", take_privilege, &rights);
    *ret = rights;
    return 0;
}
