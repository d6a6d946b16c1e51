/* SPDX-License-Identifier: Apache-2.0 */
/* What changes a set: replSetInitiate, replSetReconfig and the steps of a primary. The model
 * decides; here documents become its structs, and what is not a configuration is refused.
 */
#include <stdio.h>

#include "tests/mongosim/command.h"

static int from_member(const bson_t *doc, struct mset_member *ret, char *why, size_t cap)
{
    static const char *const known[] = {
        "_id",  "host",  "arbiterOnly",        "buildIndexes", "hidden",     "priority",
        "tags", "votes", "secondaryDelaySecs", "slaveDelay",   "newlyAdded", "horizons",
    };
    bson_iter_t i;
    const char *host = cmd_text(doc, "host");
    int64_t id = cmd_int(doc, "_id", -1);
    for (bool ok = bson_iter_init(&i, doc); ok && bson_iter_next(&i);) {
        size_t n = 0, count = sizeof known / sizeof known[0];
        while (n < count && strcmp(known[n], bson_iter_key(&i)) != 0) {
            n++;
        }
        if (n == count) {
            snprintf(why, cap, "Unexpected field %s in replica set member configuration",
                     bson_iter_key(&i));
            return 93;
        }
    }
    if (host == NULL || strlen(host) > MSET_HOST_MAX || strchr(host, ':') == NULL || id < 0 ||
        id > 255) {
        snprintf(why, cap, "a member needs _id (0 to 255) and host (name:port)");
        return 93;
    }
    double priority = cmd_bool(doc, "arbiterOnly", false) ? 0 : 1;
    if (bson_iter_init_find(&i, doc, "priority")) {
        priority = bson_iter_as_double(&i);
    }
    *ret = (struct mset_member){.id = (uint32_t)id};
    snprintf(ret->host.text, sizeof ret->host.text, "%s", host);
    ret->votes = (uint8_t)(cmd_int(doc, "votes", 1) != 0);
    ret->priority_x10 = (uint16_t)(priority * 10 + 0.999);
    ret->is_arbiter = cmd_bool(doc, "arbiterOnly", false);
    ret->is_hidden = cmd_bool(doc, "hidden", false);
    ret->is_newly_added = cmd_bool(doc, "newlyAdded", false);
    return 0;
}

static int from_members(const bson_t *list, struct mset_config *ret, char *why, size_t cap)
{
    bson_iter_t i;
    for (bool ok = bson_iter_init(&i, list); ok && bson_iter_next(&i);) {
        bson_t item;
        uint32_t len;
        const uint8_t *data;
        if (!BSON_ITER_HOLDS_DOCUMENT(&i) || ret->count == MSET_MEMBERS_MAX) {
            snprintf(why, cap, "members: documents, at most %d here", MSET_MEMBERS_MAX);
            return 93;
        }
        bson_iter_document(&i, &len, &data);
        bson_init_static(&item, data, len);
        int code = from_member(&item, &ret->members[ret->count], why, cap);
        if (code != 0) {
            return code;
        }
        ret->count += 1;
    }
    return 0;
}

static void from_settings(const bson_t *doc, struct mset_config *ret)
{
    bson_iter_t i;
    ret->heartbeat_ms = (uint32_t)cmd_int(doc, "heartbeatIntervalMillis", 2000);
    ret->election_timeout_ms = (uint32_t)cmd_int(doc, "electionTimeoutMillis", 10000);
    ret->heartbeat_timeout_ms = (uint32_t)cmd_int(doc, "heartbeatTimeoutSecs", 10) * 1000;
    ret->catch_up_ms = (int32_t)cmd_int(doc, "catchUpTimeoutMillis", -1);
    if (bson_iter_init_find(&i, doc, "replicaSetId") && BSON_ITER_HOLDS_OID(&i)) {
        memcpy(ret->set_id, bson_iter_oid(&i)->bytes, 12);
    }
}

static int from_config(const bson_t *doc, struct mset_config *ret, char *why, size_t cap)
{
    bson_t members, settings, empty = BSON_INITIALIZER;
    const char *name = cmd_text(doc, "_id");
    int64_t version = cmd_int(doc, "version", -1);
    *ret = (struct mset_config){0};
    if (name == NULL || version < 1 || version > INT32_MAX ||
        !cmd_document(doc, "members", &members)) {
        snprintf(why, cap, "a configuration needs _id, version and members");
        return 93;
    }
    snprintf(ret->set_name.text, sizeof ret->set_name.text, "%s", name);
    ret->version.version = (uint64_t)version;
    from_settings(cmd_document(doc, "settings", &settings) ? &settings : &empty, ret);
    return from_members(&members, ret, why, cap);
}

static enum cmd_outcome configure(struct cmd *c, enum mset_command_kind kind)
{
    struct mset_command command = {.kind = kind};
    bson_t doc;
    char why[200] = "";
    if (!cmd_document(c->body, c->name, &doc)) {
        return cmd_fail(c, 14, "%s needs a configuration document", c->name);
    }
    int code = from_config(&doc, &command.config, why, sizeof why);
    if (code != 0) {
        return cmd_fail(c, code, "%s", why);
    }
    command.is_forced = cmd_bool(c->body, "force", false);
    command.max_time_ms = (uint32_t)cmd_int(c->body, "maxTimeMS", 0);
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_initiate(struct cmd *c)
{
    return configure(c, MSET_INITIATE);
}

enum cmd_outcome cmd_reconfig(struct cmd *c)
{
    return configure(c, MSET_RECONFIG);
}

enum cmd_outcome cmd_step_down(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_STEP_DOWN};
    int64_t seconds = cmd_int(c->body, c->name, 60);
    bool is_forced = cmd_bool(c->body, "force", false);
    int64_t catch_up = cmd_int(c->body, "secondaryCatchUpPeriodSecs", is_forced ? 0 : 10);
    if (seconds <= 0 || catch_up < 0 || catch_up > seconds) {
        return cmd_fail(c, 2, "stepdown period must be longer than secondaryCatchUpPeriodSecs");
    }
    command.seconds = (uint32_t)seconds;
    command.catch_up_seconds = (uint32_t)catch_up;
    command.is_forced = is_forced;
    command.max_time_ms = (uint32_t)cmd_int(c->body, "maxTimeMS", 0);
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_freeze(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_FREEZE};
    int64_t seconds = cmd_int(c->body, c->name, -1);
    if (seconds < 0) {
        return cmd_fail(c, 2, "replSetFreeze needs seconds");
    }
    command.seconds = (uint32_t)seconds;
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_step_up(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_STEP_UP};
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_abort_catch_up(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_ABORT_CATCH_UP};
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_maintenance(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_MAINTENANCE};
    command.is_on = cmd_bool(c->body, c->name, false);
    return cmd_begin(c, &command);
}

enum cmd_outcome cmd_shutdown(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_SHUTDOWN};
    command.is_forced = cmd_bool(c->body, "force", false);
    command.catch_up_seconds = (uint32_t)cmd_int(c->body, "timeoutSecs", 15);
    return cmd_begin(c, &command);
}

/* --- the cluster-wide default write concern --- */

enum cmd_outcome cmd_set_concern(struct cmd *c)
{
    struct mset_command command = {.kind = MSET_SET_CONCERN};
    bson_t concern;
    const char *word;
    if (c->hub->profile->release < 44) {
        return cmd_fail(c, 59, "no such command: '%s'", c->name);
    }
    if (!cmd_document(c->body, "defaultWriteConcern", &concern)) {
        return cmd_fail(c, 2, "setDefaultRWConcern needs defaultWriteConcern here");
    }
    word = cmd_text(&concern, "w");
    int64_t w = cmd_int(&concern, "w", 0);
    if ((word == NULL && (w < 1 || w > 7)) || (word != NULL && strcmp(word, "majority") != 0)) {
        return cmd_fail(c, 2, "defaultWriteConcern: w is a number from 1 or majority");
    }
    command.w = word != NULL ? MSET_W_MAJORITY : (uint8_t)w;
    command.max_time_ms = (uint32_t)cmd_int(c->body, "maxTimeMS", 0);
    return cmd_begin(c, &command);
}

static void put_concern(bson_t *to, const char *key, uint8_t w)
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(to, key, &doc);
    if (w == MSET_W_MAJORITY) {
        BSON_APPEND_UTF8(&doc, "w", "majority");
    } else {
        BSON_APPEND_INT32(&doc, "w", w);
    }
    BSON_APPEND_INT32(&doc, "wtimeout", 0);
    bson_append_document_end(to, &doc);
}

enum cmd_outcome cmd_get_concern(struct cmd *c)
{
    struct mset_server_status s;
    bson_t read;
    if (c->hub->profile->release < 44) {
        return cmd_fail(c, 59, "no such command: '%s'", c->name);
    }
    mset_server_status(c->hub->set, c->node->index, &s);
    if (s.concern != 0) {
        put_concern(&c->reply, "defaultWriteConcern", s.concern);
    } else if (c->hub->profile->release >= 50) {
        put_concern(&c->reply, "defaultWriteConcern", s.concern_in_force);
    }
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "defaultReadConcern", &read);
    BSON_APPEND_UTF8(&read, "level", "local");
    bson_append_document_end(&c->reply, &read);
    if (c->hub->profile->release >= 50) {
        BSON_APPEND_UTF8(&c->reply, "defaultWriteConcernSource",
                         s.concern != 0 ? "global" : "implicit");
        BSON_APPEND_UTF8(&c->reply, "defaultReadConcernSource", "implicit");
    }
    put_date(&c->reply, "localUpdateWallClockTime", hub_wall_us(c->hub));
    return cmd_ok(c);
}

enum cmd_outcome cmd_set_concern_done(struct cmd *c, const struct mset_reply *reply)
{
    if (reply->code != 0) {
        return cmd_fail(c, reply->code, "%s", reply->text);
    }
    return cmd_get_concern(c);
}
