/* SPDX-License-Identifier: Apache-2.0 */
/* replSetGetStatus, replSetGetConfig, serverStatus: what the model tells, as documents. */
#include <stdio.h>

#include "tests/mongosim/command.h"

static const char *state_name(enum mset_state state)
{
    static const char *const names[] = {"STARTUP",    "PRIMARY", "SECONDARY",
                                        "RECOVERING", "?",       "STARTUP2",
                                        "UNKNOWN",    "ARBITER", "(not reachable/healthy)",
                                        "ROLLBACK",   "REMOVED"};
    return names[state];
}

static const char *index_of(uint32_t n, char memory[16])
{
    const char *index;
    bson_uint32_to_string(n, &index, memory, 16);
    return index;
}

/* A moment of the model as a date; the epoch when there was none. */
static int64_t date_of(const struct cmd *c, int64_t moment)
{
    return moment == MSET_NEVER ? 0 : c->hub->wall_us + moment - c->node->faults.back_us;
}

static void put_member(const struct cmd *c, bson_t *to, const struct mset_status *s, unsigned n)
{
    const struct mset_member_status *m = &s->members[n];
    int64_t back = c->node->faults.back_us;
    BSON_APPEND_INT32(to, "_id", (int32_t)m->member.id);
    BSON_APPEND_UTF8(to, "name", m->member.host.text);
    BSON_APPEND_DOUBLE(to, "health", m->is_self || m->is_healthy ? 1 : 0);
    BSON_APPEND_INT32(to, "state", (int32_t)m->state);
    BSON_APPEND_UTF8(to, "stateStr", state_name(m->state));
    BSON_APPEND_INT32(to, "uptime", (int32_t)(m->uptime_us / 1000000));
    if (!m->member.is_arbiter) {
        put_optime(to, "optime", &m->applied, true);
        put_date(to, "optimeDate", (int64_t)(m->applied.ts >> 32) * 1000000);
        put_date(to, "lastAppliedWallTime", m->applied_wall_us - back);
        put_date(to, "lastDurableWallTime", m->durable_wall_us - back);
    }
    if (!m->is_self) {
        put_date(to, "lastHeartbeat", date_of(c, m->heard_us));
        put_date(to, "lastHeartbeatRecv", date_of(c, m->heard_recv));
        BSON_APPEND_INT64(to, "pingMs", m->ping_ms);
        BSON_APPEND_UTF8(to, "lastHeartbeatMessage", m->text);
    }
    int source = m->sync_source;
    BSON_APPEND_UTF8(to, "syncSourceHost", source < 0 ? "" : s->members[source].member.host.text);
    BSON_APPEND_INT32(to, "syncSourceId", source < 0 ? -1 : (int)s->members[source].member.id);
    BSON_APPEND_UTF8(to, "infoMessage", m->is_self ? m->text : "");
    if (m->state == MSET_PRIMARY && m->elected_wall_us != 0) {
        BSON_APPEND_TIMESTAMP(to, "electionTime", (uint32_t)(m->elected_wall_us / 1000000), 1);
        put_date(to, "electionDate", m->elected_wall_us);
    }
    BSON_APPEND_INT32(to, "configVersion", (int32_t)m->version.version);
    if (c->hub->profile->has_config_term) {
        BSON_APPEND_INT32(to, "configTerm", m->version.term == 0 ? -1 : (int32_t)m->version.term);
    }
    if (m->is_self) {
        BSON_APPEND_BOOL(to, "self", true);
    }
}

static void put_optimes(const struct cmd *c, bson_t *to, const struct mset_status *s)
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(to, "optimes", &doc);
    put_optime(&doc, "lastCommittedOpTime", &s->committed, true);
    put_date(&doc, "lastCommittedWallTime", s->committed_wall_us - c->node->faults.back_us);
    put_optime(&doc, "readConcernMajorityOpTime", &s->committed, true);
    put_optime(&doc, "appliedOpTime", &s->applied, true);
    put_optime(&doc, "durableOpTime", &s->durable, true);
    if (c->hub->profile->has_written) {
        put_optime(&doc, "writtenOpTime", &s->applied, true);
    }
    for (int i = 0; i < 2; i++) {
        const struct mset_member_status *self = &s->members[0];
        for (unsigned n = 0; n < s->count; n++) {
            self = s->members[n].is_self ? &s->members[n] : self;
        }
        put_date(&doc, i == 0 ? "lastAppliedWallTime" : "lastDurableWallTime",
                 (i == 0 ? self->applied_wall_us : self->durable_wall_us) -
                     c->node->faults.back_us);
    }
    bson_append_document_end(to, &doc);
}

static void put_election(bson_t *to, const struct mset_status *s)
{
    bson_t doc;
    if (s->state != MSET_PRIMARY || s->election_wall_us == 0) {
        return;
    }
    BSON_APPEND_DOCUMENT_BEGIN(to, "electionCandidateMetrics", &doc);
    BSON_APPEND_UTF8(&doc, "lastElectionReason", s->election_reason ? s->election_reason : "");
    put_date(&doc, "lastElectionDate", s->election_wall_us);
    BSON_APPEND_INT64(&doc, "electionTerm", (int64_t)s->term);
    BSON_APPEND_INT32(&doc, "numVotesNeeded", s->majority);
    BSON_APPEND_INT64(&doc, "electionTimeoutMillis", s->election_timeout_ms);
    if (s->writable_wall_us != 0) {
        put_date(&doc, "newTermStartDate", s->writable_wall_us);
    }
    bson_append_document_end(to, &doc);
}

static void put_sync(bson_t *to, const struct mset_status *s)
{
    bson_t doc;
    if (s->state != MSET_STARTUP2) {
        return;
    }
    BSON_APPEND_DOCUMENT_BEGIN(to, "initialSyncStatus", &doc);
    BSON_APPEND_INT32(&doc, "failedInitialSyncAttempts", 0);
    BSON_APPEND_INT64(&doc, "approxTotalDataSize", 1000000);
    BSON_APPEND_INT64(&doc, "approxTotalBytesCopied", (int64_t)s->sync_permille * 1000);
    bson_append_document_end(to, &doc);
}

static enum cmd_outcome refuse_status(struct cmd *c, int code)
{
    static const struct {
        int code;
        const char *text;
    } texts[] = {
        {76, "not running with --replSet"},
        {93, "Our replica set config is invalid or we are not a member of it"},
        {94, "no replset config has been received"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].code == code) {
            return cmd_fail(c, code, "%s", texts[i].text);
        }
    }
    return cmd_fail(c, code, "replSetGetStatus failed");
}

enum cmd_outcome cmd_status(struct cmd *c)
{
    struct mset_status s;
    bson_t list, item;
    bson_t *to = &c->reply;
    char memory[16];
    mset_status(c->hub->set, c->node->index, &s);
    if (s.code != 0) {
        return refuse_status(c, s.code);
    }
    if (c->node->faults.is_back) {
        s.term = c->node->past.election_term;
    }
    BSON_APPEND_UTF8(to, "set", s.set_name.text);
    put_date(to, "date", hub_wall_us(c->hub) - c->node->faults.back_us);
    BSON_APPEND_INT32(to, "myState", (int32_t)s.state);
    BSON_APPEND_INT64(to, "term", (int64_t)s.term);
    BSON_APPEND_UTF8(to, "syncSourceHost",
                     s.sync_source < 0 ? "" : s.members[s.sync_source].member.host.text);
    BSON_APPEND_INT32(to, "syncSourceId",
                      s.sync_source < 0 ? -1 : (int)s.members[s.sync_source].member.id);
    BSON_APPEND_INT64(to, "heartbeatIntervalMillis", s.heartbeat_ms);
    BSON_APPEND_INT32(to, "majorityVoteCount", s.majority);
    BSON_APPEND_INT32(to, "writeMajorityCount", s.write_majority);
    BSON_APPEND_INT32(to, "votingMembersCount", s.voters);
    BSON_APPEND_INT32(to, "writableVotingMembersCount", s.writable_voters);
    put_optimes(c, to, &s);
    BSON_APPEND_TIMESTAMP(to, "lastStableRecoveryTimestamp", (uint32_t)(s.durable.ts >> 32),
                          (uint32_t)s.durable.ts);
    put_election(to, &s);
    put_sync(to, &s);
    BSON_APPEND_ARRAY_BEGIN(to, "members", &list);
    for (unsigned i = 0; i < s.count; i++) {
        BSON_APPEND_DOCUMENT_BEGIN(&list, index_of(i, memory), &item);
        put_member(c, &item, &s, i);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(to, &list);
    return cmd_ok(c);
}

/* --- configuration --- */

static void put_config_member(const struct cmd *c, bson_t *to, const struct mset_member *m)
{
    bson_t tags = BSON_INITIALIZER;
    BSON_APPEND_INT32(to, "_id", (int32_t)m->id);
    BSON_APPEND_UTF8(to, "host", m->host.text);
    BSON_APPEND_BOOL(to, "arbiterOnly", m->is_arbiter);
    if (m->is_newly_added && c->hub->profile->has_newly_added) {
        BSON_APPEND_BOOL(to, "newlyAdded", true);
    }
    BSON_APPEND_BOOL(to, "buildIndexes", true);
    BSON_APPEND_BOOL(to, "hidden", m->is_hidden);
    BSON_APPEND_DOUBLE(to, "priority", m->priority_x10 / 10.0);
    BSON_APPEND_DOCUMENT(to, "tags", &tags);
    if (c->hub->profile->release >= 50) {
        BSON_APPEND_INT64(to, "secondaryDelaySecs", 0);
    } else {
        BSON_APPEND_INT64(to, "slaveDelay", 0);
    }
    BSON_APPEND_INT32(to, "votes", m->votes);
}

static void put_settings(bson_t *to, const struct mset_config *config)
{
    bson_t doc, empty = BSON_INITIALIZER, concern = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT_BEGIN(to, "settings", &doc);
    BSON_APPEND_BOOL(&doc, "chainingAllowed", true);
    BSON_APPEND_INT32(&doc, "heartbeatIntervalMillis", (int32_t)config->heartbeat_ms);
    BSON_APPEND_INT32(&doc, "heartbeatTimeoutSecs", (int32_t)(config->heartbeat_timeout_ms / 1000));
    BSON_APPEND_INT32(&doc, "electionTimeoutMillis", (int32_t)config->election_timeout_ms);
    BSON_APPEND_INT32(&doc, "catchUpTimeoutMillis", config->catch_up_ms);
    BSON_APPEND_INT32(&doc, "catchUpTakeoverDelayMillis", 30000);
    BSON_APPEND_DOCUMENT(&doc, "getLastErrorModes", &empty);
    BSON_APPEND_INT32(&concern, "w", 1);
    BSON_APPEND_INT32(&concern, "wtimeout", 0);
    BSON_APPEND_DOCUMENT(&doc, "getLastErrorDefaults", &concern);
    put_oid(&doc, "replicaSetId", config->set_id);
    bson_append_document_end(to, &doc);
    bson_destroy(&concern);
}

enum cmd_outcome cmd_get_config(struct cmd *c)
{
    struct mset_config config;
    bool is_committed = false, is_asked = cmd_bool(c->body, "commitmentStatus", false);
    bson_t doc, list, item;
    char memory[16];
    int code =
        mset_config_get(c->hub->set, c->node->index, &config, is_asked ? &is_committed : NULL);
    if (code != 0) {
        return code == 94 ? cmd_fail(c, code, "no replset config has been received")
                          : cmd_fail(c, code, "commitmentStatus is only supported on primary.");
    }
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "config", &doc);
    BSON_APPEND_UTF8(&doc, "_id", config.set_name.text);
    BSON_APPEND_INT32(&doc, "version", (int32_t)config.version.version);
    if (c->hub->profile->has_config_term) {
        BSON_APPEND_INT32(&doc, "term",
                          config.version.term == 0 ? -1 : (int32_t)config.version.term);
    }
    BSON_APPEND_ARRAY_BEGIN(&doc, "members", &list);
    for (unsigned i = 0; i < config.count; i++) {
        BSON_APPEND_DOCUMENT_BEGIN(&list, index_of(i, memory), &item);
        put_config_member(c, &item, &config.members[i]);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(&doc, &list);
    BSON_APPEND_INT64(&doc, "protocolVersion", 1);
    BSON_APPEND_BOOL(&doc, "writeConcernMajorityJournalDefault", true);
    put_settings(&doc, &config);
    bson_append_document_end(&c->reply, &doc);
    if (is_asked) {
        BSON_APPEND_BOOL(&c->reply, "commitmentStatus", is_committed);
    }
    return cmd_ok(c);
}
