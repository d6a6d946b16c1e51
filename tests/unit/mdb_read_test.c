/* SPDX-License-Identifier: Apache-2.0 */
/* What a mongod answers becomes facts, and what is asked of it becomes commands: the pure parts of
 * the MongoDB shell. Documents are written as JSON here. */
#include "tests/support/cm.h"

#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/change.h"
#include "agents/mongodb/codes.h"
#include "agents/mongodb/commands.h"
#include "agents/mongodb/conf.h"
#include "agents/mongodb/message.h"
#include "agents/mongodb/roles.h"
#include "agents/mongodb/session.h"
#include "base/name.h"

static bson_t *document;
static uint8_t memory[MDB_COMMAND_BYTES];
static char json[65536];

static struct slice bson_of(const char *text)
{
    bson_error_t error;
    if (document != NULL) {
        bson_destroy(document);
    }
    document = bson_new_from_json((const uint8_t *)text, -1, &error);
    if (document == NULL) {
        print_error("%s\n", error.message);
    }
    assert_non_null(document);
    return slice_from(bson_get_data(document), document->len);
}

/* A command as JSON, so that a test may look for a part of it. */
static const char *json_of(struct slice bytes)
{
    bson_t doc;
    size_t len = 0;
    assert_true(bson_init_static(&doc, bytes.data, bytes.len));
    char *text = bson_as_relaxed_extended_json(&doc, &len);
    assert_non_null(text);
    (void)snprintf(json, sizeof(json), "%s", text);
    bson_free(text);
    return json;
}

static int end(void **state)
{
    (void)state;
    bson_destroy(document);
    document = NULL;
    return 0;
}

static struct base_name name_of(const char *text)
{
    struct base_name name;
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static struct msg_mongodb_host host_of(const char *text)
{
    struct msg_mongodb_host host = {""};
    (void)snprintf(host.text, sizeof(host.text), "%s", text);
    return host;
}

/* --- hello --- */

static void read_hello(const char *text, struct db_mongodb_hello *ret,
                       struct mdb_topology *topology)
{
    struct base_name set = name_of("rs0");
    assert_int_equal(mdb_read_hello(bson_of(text), &set, ret, topology), 0);
}

static void test_hello_of_a_primary(void **state)
{
    (void)state;
    struct db_mongodb_hello h = {.at = {7}};
    struct mdb_topology t;
    read_hello("{\"isWritablePrimary\": true, \"setName\": \"rs0\", \"setVersion\": 5, "
               "\"me\": \"a:27017\", \"primary\": \"a:27017\", \"maxWireVersion\": 21, "
               "\"electionId\": {\"$oid\": \"7fffffff0000000000000102\"}, "
               "\"topologyVersion\": {\"processId\": {\"$oid\": \"0102030405060708090a0b0c\"}, "
               "\"counter\": {\"$numberLong\": \"6\"}}, "
               "\"lastWrite\": {\"opTime\": {\"ts\": {\"$timestamp\": {\"t\": 10, \"i\": 3}}, "
               "\"t\": {\"$numberLong\": \"258\"}}, \"lastWriteDate\": {\"$date\": "
               "{\"$numberLong\": \"5000\"}}, \"majorityOpTime\": {\"ts\": {\"$timestamp\": "
               "{\"t\": 9, \"i\": 1}}, \"t\": 2}, \"majorityWriteDate\": {\"$date\": "
               "{\"$numberLong\": \"4000\"}}}, \"ok\": 1}",
               &h, &t);
    assert_true(h.is_writable && h.is_in_set && !h.is_secondary && !h.is_set_name_wrong);
    assert_int_equal(h.term, 258);
    assert_int_equal(h.version, 5);
    assert_int_equal(h.wire_version, 21);
    assert_string_equal(h.self.text, "a:27017");
    assert_true(t.is_known && t.counter == 6 && t.process_id[11] == 0x0c);
    assert_int_equal(h.process_id[0], 1);
    assert_int_equal(h.applied.term, 258);
    assert_true(h.applied.ts == ((UINT64_C(10) << 32) | 3));
    assert_int_equal(h.committed.term, 2);
    assert_int_equal(h.applied_ms - h.committed_ms, 1000);
    assert_int_equal(h.at.us, 7);
}

static void test_hello_of_others(void **state)
{
    (void)state;
    struct db_mongodb_hello h = {.at = {7}};
    struct mdb_topology t;
    /* alone, never initiated: it may take writes, but is no primary of a set */
    read_hello("{\"ismaster\": true, \"maxWireVersion\": 8, \"isreplicaset\": true}", &h, &t);
    assert_false(h.is_writable || h.is_in_set || t.is_known);
    read_hello("{\"ismaster\": false, \"secondary\": true, \"setName\": \"rs1\", \"me\": \"b:1\", "
               "\"maxWireVersion\": 8}",
               &h, &t);
    assert_true(h.is_secondary && h.is_in_set && h.is_set_name_wrong);
    /* the term counts on a primary alone */
    read_hello(
        "{\"ismaster\": false, \"arbiterOnly\": true, \"setName\": \"rs0\", \"me\": \"b:1\", "
        "\"electionId\": {\"$oid\": \"7fffffff0000000000000102\"}, \"maxWireVersion\": 8}",
        &h, &t);
    assert_true(h.is_arbiter && h.term == 0);
}

static void test_hello_that_lies(void **state)
{
    (void)state;
    struct db_mongodb_hello h = {.at = {7}, .term = 99};
    struct mdb_topology t;
    struct base_name set = name_of("rs0");
    assert_int_equal(mdb_read_hello(bson_of("{\"ok\": 1}"), &set, &h, &t), BASE_E_PROTO);
    assert_int_equal(mdb_read_hello(SLICE_EMPTY, &set, &h, &t), BASE_E_PROTO);
    struct slice whole = bson_of("{\"maxWireVersion\": 8, \"setName\": \"rs0\"}");
    for (size_t len = 0; len < whole.len; len++) { /* half a document */
        assert_int_equal(mdb_read_hello(slice_from(whole.data, len), &set, &h, &t), BASE_E_PROTO);
    }
    assert_int_equal(h.term, 99);
    /* wrong types are as if nothing was said */
    read_hello("{\"isWritablePrimary\": \"yes\", \"setName\": 5, \"setVersion\": -3, \"me\": "
               "\"with space\", \"maxWireVersion\": 1e300, \"electionId\": 4, "
               "\"topologyVersion\": {\"processId\": 5}, \"lastWrite\": []}",
               &h, &t);
    assert_false(h.is_writable || h.is_in_set || t.is_known);
    assert_int_equal(h.version, 0);
    assert_int_equal(h.wire_version, 0);
}

/* --- status --- */

static void test_status(void **state)
{
    (void)state;
    struct db_mongodb_status st = {.at = {3}};
    assert_int_equal(
        mdb_read_status(
            bson_of(
                "{\"set\": \"rs0\", \"date\": {\"$date\": {\"$numberLong\": \"100000\"}}, "
                "\"myState\": 3, \"term\": 7, \"majorityVoteCount\": 2, \"optimes\": {"
                "\"lastCommittedOpTime\": {\"ts\": {\"$timestamp\": {\"t\": "
                "4, \"i\": 1}}, \"t\": 7}, "
                "\"appliedOpTime\": {\"ts\": {\"$timestamp\": {\"t\": 5, \"i\": 1}}, \"t\": 7}}, "
                "\"members\": [{\"_id\": 0, \"name\": \"a:1\", \"health\": 1.0, \"state\": 3, "
                "\"self\": true, \"infoMessage\": \"too stale to catch "
                "up\"}, {\"_id\": 1, \"name\": "
                "\"b:1\", \"health\": 0, \"state\": 8, \"lastHeartbeatRecv\": {\"$date\": "
                "{\"$numberLong\": \"96500\"}}, \"pingMs\": 12}, {\"_id\": 2, \"name\": \"c:1\", "
                "\"health\": 1, \"lastHeartbeatRecv\": {\"$date\": {\"$numberLong\": \"0\"}}}]}"),
            &st),
        0);
    assert_int_equal(st.at.us, 3);
    assert_int_equal(st.term, 7);
    assert_int_equal(st.peers_count, 3);
    assert_true(st.is_too_stale && !st.is_maintenance);
    assert_true(st.peers[0].is_self && st.peers[0].is_healthy && st.peers[0].heard_ms == 0);
    assert_int_equal(st.peers[1].heard_ms, 3500);
    assert_false(st.peers[1].is_healthy);
    assert_true(st.peers[2].heard_ms == UINT32_MAX); /* never */
    assert_int_equal(st.peers[2].state, 6);
    assert_true(st.committed.term == 7 && st.committed.ts == ((UINT64_C(4) << 32) | 1));
}

static void test_status_of_a_sync(void **state)
{
    (void)state;
    struct db_mongodb_status st = {.at = {3}};
    assert_int_equal(
        mdb_read_status(bson_of("{\"members\": [], \"myState\": 5, "
                                "\"initialSyncStatus\": {\"approxTotalDataSize\": 1000, "
                                "\"approxTotalBytesCopied\": 250}}"),
                        &st),
        0);
    assert_int_equal(st.sync_permille, 250);
    assert_int_equal(mdb_read_status(bson_of("{\"members\": [], \"myState\": 3, "
                                             "\"maintenanceMode\": 1, \"initialSyncStatus\": "
                                             "{\"databases\": {\"databasesCloned\": 1, "
                                             "\"databasesToClone\": 1}}}"),
                                     &st),
                     0);
    assert_int_equal(st.sync_permille, 500);
    assert_true(st.is_maintenance);
    assert_int_equal(mdb_read_status(bson_of("{\"ok\": 1}"), &st), BASE_E_PROTO);
}

static void test_a_set_that_is_too_large_is_refused(void **state)
{
    (void)state;
    char text[4096];
    struct db_mongodb_config config = {.at = {3}};
    size_t len =
        (size_t)snprintf(text, sizeof(text), "{\"config\": {\"version\": 1, \"members\": [");
    for (unsigned i = 0; i <= MSG_MONGODB_PEERS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%s{\"_id\": %u, \"host\": \"h%u:1\"}", i > 0 ? "," : "", i, i);
    }
    (void)snprintf(text + len, sizeof(text) - len, "]}}");
    assert_int_equal(mdb_read_config(bson_of(text), &config), BASE_E_PROTO);
}

/* --- configurations and their changes --- */

#define CONFIG \
    "{\"config\": {\"_id\": \"rs0\", \"version\": 4, \"term\": 9, \"protocolVersion\": 1, " \
    "\"members\": [{\"_id\": 3, \"host\": \"c:1\", \"priority\": 0.01, \"votes\": 0, " \
    "\"hidden\": true, \"tags\": {\"dc\": \"x\"}}, {\"_id\": 1, \"host\": \"a:1\"}, " \
    "{\"_id\": 2, \"host\": \"b:1\", \"priority\": 2, \"arbiterOnly\": false, " \
    "\"newlyAdded\": true}], \"settings\": {\"heartbeatIntervalMillis\": 1000, " \
    "\"electionTimeoutMillis\": 5000, \"replicaSetId\": {\"$oid\": " \
    "\"0102030405060708090a0b0c\"}}}, \"commitmentStatus\": true, \"ok\": 1}"

static void test_config(void **state)
{
    (void)state;
    struct db_mongodb_config c = {.at = {3}};
    assert_int_equal(mdb_read_config(bson_of(CONFIG), &c), 0);
    assert_int_equal(c.peers_count, 3);
    assert_int_equal(c.version.version, 4);
    assert_int_equal(c.version.term, 9);
    assert_true(c.is_committed);
    assert_string_equal(c.peers[0].host.text, "a:1"); /* by id */
    assert_int_equal(c.peers[0].votes, 1);
    assert_int_equal(c.peers[0].priority_x10, 10);
    assert_int_equal(c.peers[1].priority_x10, 20);
    assert_true(c.peers[1].is_newly_added);
    assert_int_equal(c.peers[2].priority_x10, 1); /* rounded up: it may be elected */
    assert_true(c.peers[2].is_hidden && c.peers[2].votes == 0);
    assert_int_equal(c.election_timeout_ms, 5000);
    assert_int_equal(c.heartbeat_ms, 1000);
    assert_int_equal(c.set_id[11], 12);
    assert_int_equal(
        mdb_read_config(bson_of("{\"config\": {\"version\": 0, \"members\": []}}"), &c),
        BASE_E_PROTO);
}

static struct db_mongodb_order change_of(enum db_mongodb_change change, const char *host)
{
    return (struct db_mongodb_order){
        .change = change, .host = host_of(host), .expected_config = {.term = 9, .version = 4}};
}

static int put(const struct db_mongodb_order *order, struct db_mongodb_config *after)
{
    struct buf b = buf_over(memory, sizeof(memory));
    int rc = mdb_change_put(bson_of(CONFIG), order, 10000, &b);
    if (rc == 0) {
        bson_t command;
        bson_iter_t it;
        bson_t reply;
        const uint8_t *data = NULL;
        uint32_t len = 0;
        (void)json_of(buf_slice(&b));
        assert_true(bson_init_static(&command, b.data, b.len));
        assert_true(bson_iter_init_find(&it, &command, "replSetReconfig"));
        bson_iter_document(&it, &len, &data);
        bson_t config;
        assert_true(bson_init_static(&config, data, len));
        bson_init(&reply);
        assert_true(bson_append_document(&reply, "config", -1, &config));
        *after = (struct db_mongodb_config){.at = {0}};
        assert_int_equal(mdb_read_config(slice_from(bson_get_data(&reply), reply.len), after), 0);
        bson_destroy(&reply);
        assert_int_equal(after->version.version, 5);
        assert_true(mdb_change_is_done(after, order));
        assert_non_null(strstr(json, "\"protocolVersion\" : 1"));
        assert_null(strstr(json, "newlyAdded"));
        assert_non_null(strstr(json, "maxTimeMS"));
    }
    return rc;
}

static void test_add(void **state)
{
    (void)state;
    struct db_mongodb_config after;
    struct db_mongodb_order order = change_of(DB_MONGODB_ADD, "d:1");
    assert_int_equal(put(&order, &after), 0);
    assert_int_equal(after.peers_count, 4);
    assert_int_equal(after.peers[3].id, 4); /* above all there are */
    assert_true(after.peers[3].votes == 0 && after.peers[3].priority_x10 == 0);
    order.is_arbiter = true;
    order.votes = 1;
    assert_int_equal(put(&order, &after), 0);
    assert_true(after.peers[3].is_arbiter && after.peers[3].votes == 1);
    order = change_of(DB_MONGODB_ADD, "a:1");
    assert_int_equal(put(&order, &after), BASE_E_EXISTS);
}

static void test_member(void **state)
{
    (void)state;
    struct db_mongodb_config after;
    struct db_mongodb_order order = change_of(DB_MONGODB_MEMBER, "c:1");
    order.votes = 1;
    order.priority_x10 = 15;
    assert_int_equal(put(&order, &after), 0);
    assert_true(after.peers[2].votes == 1 && after.peers[2].priority_x10 == 15);
    assert_true(after.peers[2].is_hidden);
    assert_non_null(strstr(json, "\"dc\" : \"x\"")); /* what we do not know stays */
    assert_int_equal(after.peers[0].priority_x10, 10);
    order.host = host_of("nobody:1");
    assert_int_equal(put(&order, &after), BASE_E_NOTFOUND);
    order = change_of(DB_MONGODB_MEMBER, "c:1");
    order.expected_config.version = 3;
    assert_int_equal(put(&order, &after), BASE_E_CONFLICT);
    order.expected_config = (struct msg_mongodb_version){.term = 8, .version = 4};
    assert_int_equal(put(&order, &after), BASE_E_CONFLICT);
}

static void test_remove_and_timeouts(void **state)
{
    (void)state;
    struct db_mongodb_config after;
    struct db_mongodb_order order = change_of(DB_MONGODB_REMOVE, "b:1");
    assert_int_equal(put(&order, &after), 0);
    assert_int_equal(after.peers_count, 2);
    assert_null(strstr(json, "force"));
    order = change_of(DB_MONGODB_TIMEOUTS, "");
    order.election_timeout_ms = 7000;
    assert_int_equal(put(&order, &after), 0);
    assert_int_equal(after.election_timeout_ms, 7000);
    assert_int_equal(after.heartbeat_ms, 1000);
    assert_int_equal(after.set_id[11], 12);
}

static void test_survivors(void **state)
{
    (void)state;
    struct db_mongodb_config after;
    struct db_mongodb_order order = change_of(DB_MONGODB_SURVIVORS, "");
    assert_int_equal(put(&order, &after), BASE_E_INVALID);
    order.hosts[order.hosts_count++] = host_of("c:1");
    assert_int_equal(put(&order, &after), 0);
    assert_int_equal(after.peers_count, 1);
    assert_non_null(strstr(json, "\"force\" : true"));
    assert_true(after.peers[0].votes == 0 && after.peers[0].priority_x10 == 1); /* as it was */
    order.host = host_of("c:1"); /* the one that carries it out: somebody must be electable */
    order.votes = 1;
    order.priority_x10 = 10;
    assert_int_equal(put(&order, &after), 0);
    assert_true(after.peers[0].votes == 1 && after.peers[0].priority_x10 == 10);
    order.hosts[order.hosts_count++] = host_of("b:1");
    order.host = host_of("b:1");
    assert_int_equal(put(&order, &after), 0);
    assert_int_equal(after.peers[0].priority_x10, 20); /* never lowered */
    order.hosts[order.hosts_count++] = host_of("nobody:1");
    assert_int_equal(put(&order, &after), BASE_E_NOTFOUND);
}

/* --- counters, rights --- */

static void test_server(void **state)
{
    (void)state;
    struct mdb_server server;
    uint64_t ts = 0;
    assert_int_equal(
        mdb_read_server(bson_of("{\"version\": \"7.0.12\", \"connections\": {\"current\": 5, "
                                "\"available\": 95}, \"wiredTiger\": {\"cache\": {\"maximum bytes "
                                "configured\": 1000, \"tracked dirty bytes in the cache\": 21}}}"),
                        &server),
        0);
    assert_int_equal(server.dirty_permille, 21);
    assert_int_equal(server.version, 70012);
    assert_true(server.connections == 5 && server.connections_max == 100);
    assert_int_equal(
        mdb_read_oplog(
            bson_of("{\"cursor\": {\"firstBatch\": [{\"ts\": {\"$timestamp\": {\"t\": 9, "
                    "\"i\": 2}}}], \"id\": 0}}"),
            &ts),
        0);
    assert_true(ts == ((UINT64_C(9) << 32) | 2));
    assert_int_equal(mdb_read_oplog(bson_of("{\"cursor\": {\"firstBatch\": []}}"), &ts), 0);
    assert_true(ts == 0);
    assert_int_equal(mdb_read_oplog(bson_of("{\"ok\": 1}"), &ts), BASE_E_PROTO);
    int32_t code = 0;
    assert_int_equal(mdb_read_write(bson_of("{\"n\": 1, \"ok\": 1}"), &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(
        mdb_read_write(bson_of("{\"ok\": 1, \"writeErrors\": [{\"index\": 0, \"code\": 14031}]}"),
                       &code),
        0);
    assert_int_equal(code, 14031);
}

static void test_concern(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum msg_mongodb_default_concern concern;
    } rows[] = {
        {"{\"ok\": 1}", MSG_MONGODB_CONCERN_IMPLICIT_ONE},
        {"{\"defaultWriteConcern\": {\"w\": \"majority\"}, \"defaultWriteConcernSource\": "
         "\"implicit\"}",
         MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY},
        {"{\"defaultWriteConcern\": {\"w\": 1}, \"defaultWriteConcernSource\": \"implicit\"}",
         MSG_MONGODB_CONCERN_IMPLICIT_ONE},
        {"{\"defaultWriteConcern\": {\"w\": 1}, \"defaultWriteConcernSource\": \"global\"}",
         MSG_MONGODB_CONCERN_SET_ONE},
        {"{\"defaultWriteConcern\": {\"w\": \"majority\", \"wtimeout\": 0}}",
         MSG_MONGODB_CONCERN_SET_MAJORITY},
        {"{\"defaultWriteConcern\": {\"w\": \"majority\", \"j\": false}}",
         MSG_MONGODB_CONCERN_SET_ONE},
        {"{\"defaultWriteConcern\": {\"w\": 3}}", MSG_MONGODB_CONCERN_SET_OTHER},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        enum msg_mongodb_default_concern concern = MSG_MONGODB_CONCERN_UNKNOWN;
        assert_int_equal(mdb_read_concern(bson_of(rows[i].text), &concern), 0);
        assert_int_equal(concern, rows[i].concern);
    }
}

static void test_rights(void **state)
{
    (void)state;
    struct mdb_rights rights;
    assert_int_equal(
        mdb_read_rights(
            bson_of("{\"authInfo\": {\"authenticatedUsers\": [{\"user\": \"ha_read\", \"db\": "
                    "\"admin\"}], \"authenticatedUserRoles\": [{\"role\": \"quorateRead\"}], "
                    "\"authenticatedUserPrivileges\": [{\"resource\": {\"cluster\": true}, "
                    "\"actions\": [\"replSetGetStatus\", \"find\"]}, {\"resource\": {\"db\": "
                    "\"local\", \"collection\": \"oplog.rs\"}, \"actions\": [\"find\"]}, "
                    "{\"resource\": {\"db\": \"other\", \"collection\": \"canary\"}, "
                    "\"actions\": [\"update\"]}]}}"),
            &rights),
        0);
    assert_true(rights.is_logged_in && !rights.is_too_much);
    assert_int_equal(rights.has, MDB_RIGHT_STATUS | MDB_RIGHT_OPLOG);
    assert_int_equal(
        mdb_read_rights(bson_of("{\"authInfo\": {\"authenticatedUserRoles\": [{\"role\": "
                                "\"root\"}]}}"),
                        &rights),
        0);
    assert_true(rights.is_too_much);
    assert_int_equal(mdb_read_rights(bson_of("{\"ok\": 1}"), &rights), BASE_E_PROTO);
}

static void test_databases(void **state)
{
    (void)state;
    bool has_others = true;
    assert_int_equal(
        mdb_read_databases(bson_of("{\"databases\": [{\"name\": \"admin\"}, {\"name\": "
                                   "\"local\"}]}"),
                           &has_others),
        0);
    assert_false(has_others);
    assert_int_equal(
        mdb_read_databases(bson_of("{\"databases\": [{\"name\": \"shop\"}]}"), &has_others), 0);
    assert_true(has_others);
}

/* --- commands --- */

static const char *ask(enum mdb_ask ask, const struct mdb_ask_args *args)
{
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(mdb_ask_put(ask, args, &b), 0);
    return json_of(buf_slice(&b));
}

static void test_commands(void **state)
{
    (void)state;
    struct mdb_topology topology = {.is_known = true, .counter = 6};
    struct base_name set = name_of("rs0");
    struct db_mongodb_order order = {.host = host_of("a:1"), .seconds = 60, .catch_up_s = 10};
    struct mdb_ask_args args = {.topology = &topology,
                                .await_ms = 1000,
                                .order = &order,
                                .set_name = &set,
                                .config = bson_of(CONFIG),
                                .number = 5};
    assert_non_null(strstr(ask(MDB_ASK_HELLO, &args), "\"maxAwaitTimeMS\" : 1000"));
    topology.is_known = false;
    assert_null(strstr(ask(MDB_ASK_HELLO, &args), "maxAwaitTimeMS"));
    assert_null(strstr(ask(MDB_ASK_CONFIG, &args), "commitmentStatus"));
    args.is_primary = true;
    assert_non_null(strstr(ask(MDB_ASK_CONFIG, &args), "\"commitmentStatus\" : true"));
    assert_non_null(strstr(ask(MDB_ASK_STEP_DOWN, &args), "\"secondaryCatchUpPeriodSecs\" : 10"));
    assert_non_null(strstr(json, "\"replSetStepDown\" : 60"));
    order.is_forced = true;
    assert_non_null(strstr(ask(MDB_ASK_STEP_DOWN, &args), "\"secondaryCatchUpPeriodSecs\" : 0"));
    order.is_forced = false;
    order.seconds = 4; /* MongoDB refuses a period that is not longer than the wait */
    assert_non_null(strstr(ask(MDB_ASK_STEP_DOWN, &args), "\"replSetStepDown\" : 11"));
    assert_non_null(strstr(ask(MDB_ASK_FREEZE, &args), "\"replSetFreeze\" : 4"));
    assert_non_null(strstr(ask(MDB_ASK_INITIATE, &args), "\"_id\" : \"rs0\""));
    assert_non_null(strstr(json, "\"host\" : \"a:1\""));
    assert_non_null(strstr(ask(MDB_ASK_CANARY, &args), "\"writeConcern\" : { \"w\" : 1 }"));
    assert_non_null(strstr(ask(MDB_ASK_SET_CONCERN, &args), "{ \"w\" : 1, \"wtimeout\" : 0 }"));
    order.is_majority = true;
    assert_non_null(strstr(ask(MDB_ASK_SET_CONCERN, &args), "{ \"w\" : \"majority\""));
    for (size_t i = 0; i < MDB_ASK_COUNT; i++) {
        const struct mdb_ask_row *row = mdb_ask_row((enum mdb_ask)i);
        char first[96];
        (void)snprintf(first, sizeof(first), "{ \"%s\" : ", row->name);
        if (i != MDB_ASK_RECONFIG) {
            assert_memory_equal(ask((enum mdb_ask)i, &args), first, strlen(first));
        }
        assert_true(row->wait_ms > row->max_ms); /* ours must be the longer one */
    }
}

static void test_codes(void **state)
{
    (void)state;
    static const int32_t sheet[] = {13,  18,  23,  74,  76,  91,  93,  94,  95,    100,   103,
                                    104, 108, 109, 120, 127, 189, 262, 308, 10107, 11600, 11602};
    for (size_t i = 0; i < BASE_COUNT_OF(sheet); i++) {
        assert_non_null(mdb_code_find(sheet[i]));
    }
    for (size_t i = 0; i < mdb_codes_count(); i++) {
        const struct mdb_code *row = mdb_code_at(i);
        assert_true(row->status < 0 && row->name[0] != '\0' && row->next[0] != '\0');
        assert_true(i == 0 || mdb_code_at(i - 1)->code < row->code);
    }
    assert_int_equal(mdb_code_status(103), BASE_E_CONFLICT);
    assert_int_equal(mdb_code_status(308), BASE_E_BUSY);
    assert_int_equal(mdb_code_status(0), 0);
    assert_int_equal(mdb_code_status(424242), BASE_E_STATE);
    assert_string_equal(mdb_code_name(424242), "error");
}

/* --- messages --- */

/* A message of that operation around `body`; a length other than its own is written with `off`. */
static struct slice message_of(uint8_t op_low, uint8_t op_high, struct slice body, int off)
{
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u32_le(&b, (uint32_t)((int)body.len + MDB_MESSAGE_HEAD + off));
    buf_put_u32_le(&b, 1);
    buf_put_u32_le(&b, 1);
    buf_put_u8(&b, op_low);
    buf_put_u8(&b, op_high);
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 0);
    buf_put(&b, body);
    return buf_slice(&b);
}

static struct slice op_msg(struct slice body, int off)
{
    return message_of(2013 & 0xff, 2013 >> 8, body, off);
}

static void test_messages(void **state)
{
    (void)state;
    static const uint8_t plain[] = {0, 0, 0, 0, 0, 5, 0, 0, 0, 0};
    static const uint8_t summed[] = {1, 0, 0, 0, 0, 5, 0, 0, 0, 0, 9, 9, 9, 9};
    static const uint8_t with_rows[] = {0,  0, 0, 0, 0,   5, 0, 0, 0, 0, 1,
                                        11, 0, 0, 0, 'a', 0, 5, 0, 0, 0, 0};
    static const uint8_t reply[25] = {[16] = 1, [20] = 5};
    assert_int_equal(mdb_message_check(op_msg(slice_from(plain, sizeof(plain)), 0)), 0);
    assert_int_equal(mdb_message_check(op_msg(slice_from(summed, sizeof(summed)), 0)), 0);
    assert_int_equal(mdb_message_check(op_msg(slice_from(with_rows, sizeof(with_rows)), 0)), 0);
    assert_int_equal(mdb_message_check(message_of(1, 0, slice_from(reply, sizeof(reply)), 0)), 0);
    assert_int_equal(mdb_message_check(message_of(4, 0, slice_from(reply, sizeof(reply)), 0)),
                     BASE_E_PROTO);
    assert_int_equal(mdb_message_check(op_msg(slice_from(plain, sizeof(plain)), 1)), BASE_E_PROTO);
    for (size_t len = 0; len < sizeof(with_rows); len++) { /* cut short: sound at no other place */
        bool is_whole = len == sizeof(plain);
        assert_int_equal(mdb_message_check(op_msg(slice_from(with_rows, len), 0)),
                         is_whole ? 0 : BASE_E_PROTO);
    }
    for (size_t at = 4; at < sizeof(plain); at++) { /* each byte that says how long something is */
        uint8_t spoilt[sizeof(plain)];
        memcpy(spoilt, plain, sizeof(plain));
        spoilt[at] = 0x7f;
        assert_int_equal(mdb_message_check(op_msg(slice_from(spoilt, sizeof(spoilt)), 0)),
                         BASE_E_PROTO);
    }
}

/* --- mongod.conf --- */

static void test_conf(void **state)
{
    (void)state;
    static struct mdb_settings s;
    memset(&s, 0, sizeof(s));
    s.port = 27018;
    s.set_name = name_of("rs0");
    s.listen = base_text_from(SLICE_LIT("10.0.0.1"));
    s.is_tls = true;
    s.cluster_auth = MDB_AUTH_KEYFILE;
    s.cache_bytes = UINT64_C(256) << 20;
    (void)snprintf(s.data_dir.text, sizeof(s.data_dir.text), "/var/lib/db");
    (void)snprintf(s.key_file.text, sizeof(s.key_file.text), "/etc/key");
    assert_int_equal(mdb_conf_add_option(&s, "storage.dbPath", "/x"), BASE_E_DENIED);
    assert_int_equal(mdb_conf_add_option(&s, "net.tls.mode", "disabled"), BASE_E_DENIED);
    assert_int_equal(mdb_conf_add_option(&s, "a..b", "1"), BASE_E_INVALID);
    assert_int_equal(mdb_conf_add_option(&s, "a.b", "1\n2"), BASE_E_INVALID);
    assert_int_equal(mdb_conf_add_option(&s, "net.maxIncomingConnections", "100"), 0);
    assert_int_equal(mdb_conf_add_option(&s, "operationProfiling.mode", "slowOp"), 0);
    struct buf b = buf_over(memory, sizeof(memory));
    mdb_conf_put(&s, &b);
    assert_true(buf_terminate(&b));
    const char *text = strchr((const char *)memory, '\n') + 1;
    assert_string_equal(text, "net:\n"
                              "  bindIp: \"127.0.0.1,10.0.0.1\"\n"
                              "  maxIncomingConnections: 100\n"
                              "  port: 27018\n"
                              "  tls:\n"
                              "    CAFile: \"\"\n"
                              "    allowConnectionsWithoutCertificates: true\n"
                              "    certificateKeyFile: \"\"\n"
                              "    mode: \"requireTLS\"\n"
                              "operationProfiling:\n"
                              "  mode: \"slowOp\"\n"
                              "replication:\n"
                              "  replSetName: \"rs0\"\n"
                              "security:\n"
                              "  authorization: \"enabled\"\n"
                              "  clusterAuthMode: \"keyFile\"\n"
                              "  keyFile: \"/etc/key\"\n"
                              "storage:\n"
                              "  dbPath: \"/var/lib/db\"\n"
                              "  wiredTiger:\n"
                              "    engineConfig:\n"
                              "      cacheSizeGB: 0.25\n");
}

/* Each right that a command needs is in a role, and no password is anywhere. */
static void test_roles(void **state)
{
    (void)state;
    static struct mdb_settings s;
    struct buf b = buf_over(memory, sizeof(memory));
    (void)snprintf(s.act_password, sizeof(s.act_password), "very-secret");
    mdb_roles_put(&s, "", &b);
    assert_true(buf_terminate(&b));
    const char *text = (const char *)memory;
    static const char *const actions[] = {
        "replSetGetStatus", "replSetConfigure",    "replSetStateChange", "serverStatus",
        "shutdown",         "setDefaultRWConcern", "oplog.rs",           "canary"};
    for (size_t i = 0; i < BASE_COUNT_OF(actions); i++) {
        assert_non_null(strstr(text, actions[i]));
    }
    assert_null(strstr(text, "very-secret"));
    assert_null(strstr(text, "root"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_of_a_primary),
        cmocka_unit_test(test_hello_of_others),
        cmocka_unit_test(test_hello_that_lies),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_status_of_a_sync),
        cmocka_unit_test(test_a_set_that_is_too_large_is_refused),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_remove_and_timeouts),
        cmocka_unit_test(test_survivors),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_concern),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_conf),
        cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
