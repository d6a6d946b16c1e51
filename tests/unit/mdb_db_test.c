/* SPDX-License-Identifier: Apache-2.0 */
/* The MongoDB port against a scripted server: what is asked and in which order, what is believed,
 * what hangs, and how an order goes step by step. */
#include <bson/bson.h>

#include "agents/mongodb/codes.h"
#include "agents/mongodb/db.h"
#include "tests/unit/db_rig.h"

#define HELLO_PRIMARY \
    "{\"isWritablePrimary\": true, \"setName\": \"rs0\", \"setVersion\": 4, \"me\": " \
    "\"127.0.0.1:1\", \"primary\": \"127.0.0.1:1\", \"maxWireVersion\": 21, \"electionId\": " \
    "{\"$oid\": \"7fffffff0000000000000009\"}, \"topologyVersion\": {\"processId\": {\"$oid\": " \
    "\"0102030405060708090a0b0c\"}, \"counter\": {\"$numberLong\": \"6\"}}, \"ok\": 1}"
#define HELLO_SECONDARY \
    "{\"secondary\": true, \"setName\": \"rs0\", \"setVersion\": 4, \"me\": \"127.0.0.1:1\", " \
    "\"maxWireVersion\": 21, \"ok\": 1}"
#define HELLO_NONE \
    "{\"ismaster\": false, \"isreplicaset\": true, \"maxWireVersion\": 21, \"ok\": 1}"
#define STATUS(term) \
    "{\"set\": \"rs0\", \"myState\": 1, \"term\": " #term \
    ", \"members\": [{\"_id\": 0, \"name\": " \
    "\"127.0.0.1:1\", \"health\": 1, \"state\": 1, \"self\": true}], \"ok\": 1}"
#define CONFIG(version, more) \
    "{\"config\": {\"_id\": \"rs0\", \"version\": " #version ", \"term\": 9, \"members\": " \
    "[{\"_id\": 0, \"host\": \"127.0.0.1:1\"}" more "]}, \"ok\": 1}"
#define SECOND_MEMBER ", {\"_id\": 1, \"host\": \"127.0.0.1:2\", \"votes\": 0, \"priority\": 0}"

static struct {
    char command[4096]; /* as JSON */
    int64_t timeout_us;
    mdb_reply_fn *done;
    void *ctx;
    bool is_reset;
} sessions[MDB_SESSION_COUNT];

static struct mdb_settings settings;
static struct mdb_db *db;

/* --- the scripted server --- */

static void server_run(void *ctx, enum mdb_session session, const struct mdb_command *command,
                       mdb_reply_fn *done, void *done_ctx)
{
    bson_t doc;
    size_t len = 0;
    (void)ctx;
    assert_null(sessions[session].done);
    assert_true(bson_init_static(&doc, command->bson.data, command->bson.len));
    char *text = bson_as_relaxed_extended_json(&doc, &len);
    (void)snprintf(sessions[session].command, sizeof(sessions[session].command), "%s", text);
    bson_free(text);
    sessions[session].timeout_us = command->timeout_us;
    sessions[session].done = done;
    sessions[session].ctx = done_ctx;
    sessions[session].is_reset = false;
}

static bool server_is_busy(void *ctx, enum mdb_session session)
{
    (void)ctx;
    return sessions[session].done != NULL;
}

static void server_reset(void *ctx, enum mdb_session session)
{
    (void)ctx;
    sessions[session].is_reset = true;
}

static struct base_mono server_hung_since(void *ctx, enum mdb_session session)
{
    (void)ctx;
    (void)session;
    return BASE_MONO_NEVER;
}

static void reply(enum mdb_session session, const struct mdb_reply *answer)
{
    mdb_reply_fn *done = sessions[session].done;
    assert_non_null(done);
    sessions[session].done = NULL;
    sessions[session].command[0] = '\0';
    done(sessions[session].ctx, answer);
}

static void answer(enum mdb_session session, const char *json)
{
    bson_error_t error;
    bson_t *doc = bson_new_from_json((const uint8_t *)json, -1, &error);
    assert_non_null(doc);
    reply(session,
          &(struct mdb_reply){.text = "", .bson = slice_from(bson_get_data(doc), doc->len)});
    bson_destroy(doc);
}

static void refuse(enum mdb_session session, int status, int32_t code)
{
    reply(session, &(struct mdb_reply){.status = status, .code = code, .text = "as scripted"});
}

/* --- the world --- */

static bool is_asked(enum mdb_session session, const char *text)
{
    return sessions[session].done != NULL && strstr(sessions[session].command, text) != NULL;
}

static void settings_make(void)
{
    struct mdb_settings *s = &settings;
    memset(s, 0, sizeof(*s));
    assert_int_equal(base_name_from_text("shop", &s->cluster), 0);
    assert_int_equal(base_name_from_text("m1", &s->member), 0);
    assert_int_equal(base_name_from_text("rs0", &s->set_name), 0);
    s->host = base_text_from(SLICE_LIT("127.0.0.1"));
    (void)snprintf(s->self.text, sizeof(s->self.text), "127.0.0.1:1");
    s->has_canary = true;
    s->is_loopback = true;
    s->login = MDB_LOGIN_SCRAM;
    set_path(&s->data_dir, "data");
    set_path(&s->state_dir, "state");
    assert_int_equal(mkdir(s->data_dir.text, 0700), 0);
}

static int begin(void **state)
{
    (void)state;
    memset(sessions, 0, sizeof(sessions));
    rig_begin(NULL);
    settings_make();
    const struct mdb_db_options options = {.settings = &settings,
                                           .loop = w.loop,
                                           .sessions = {.run = server_run,
                                                        .is_busy = server_is_busy,
                                                        .reset = server_reset,
                                                        .hung_since = server_hung_since},
                                           .interval_us = SECOND / 100,
                                           .canary_us = SECOND / 20,
                                           .events = rig_events};
    assert_int_equal(mdb_db_open(&options, &db), 0);
    w.port = mdb_db_port(db);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db = mdb_db_close(db);
    rig_end();
    return 0;
}

/* A running member that has said hello, and its status and configuration. */
static void begin_with(const char *hello, const char *status, const char *config)
{
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, hello);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    answer(MDB_SESSION_WATCH, status);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetConfig"));
    answer(MDB_SESSION_WATCH, config);
    UNTIL(w.view.is_answering && w.view.mongodb.config.peers_count > 0);
}

static void begin_primary(void)
{
    begin_with(HELLO_PRIMARY, STATUS(9), CONFIG(4, ));
}

static void expect_done(int status, int32_t code)
{
    unsigned dones = w.dones;
    UNTIL(w.dones > dones);
    if (w.done.status != status) {
        print_error("%s\n", w.done.text.text);
    }
    assert_int_equal(w.done.status, status);
    assert_int_equal(w.done.code, code);
    assert_int_equal(w.done.id, w.ids);
}

/* --- hello --- */

static void test_hello_becomes_a_view(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(w.views > 0);
    assert_false(w.view.is_answering);
    assert_true(w.view.mongodb.hello.at.us == BASE_MONO_LONG_AGO.us);
    assert_true(w.view.mongodb.canary_since.us == BASE_MONO_NEVER.us);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    assert_false(is_asked(MDB_SESSION_HELLO, "maxAwaitTimeMS"));
    struct base_mono after = io_now();
    answer(MDB_SESSION_HELLO, HELLO_PRIMARY);
    UNTIL(w.view.is_answering);
    assert_true(w.view.mongodb.hello.is_writable && w.view.is_process);
    assert_int_equal(w.view.mongodb.hello.term, 9);
    assert_false(base_mono_before(after, w.view.mongodb.hello.at)); /* counts from its sending */
    UNTIL(is_asked(MDB_SESSION_HELLO, "maxAwaitTimeMS")); /* the next one waits for a change */
    assert_true(is_asked(MDB_SESSION_HELLO, "\"counter\" : 6"));
    answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
    UNTIL(w.view.mongodb.hello.is_secondary);
    assert_false(w.view.mongodb.hello.is_writable);
}

static void test_an_old_release_knows_is_master(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_STATE, 59);
    UNTIL(is_asked(MDB_SESSION_HELLO, "isMaster"));
    answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
    UNTIL(w.view.mongodb.hello.is_secondary);
}

static void test_silence_is_counted_from_the_question(void **state)
{
    (void)state;
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_TIMEOUT, 0);
    UNTIL(w.view.mongodb.misses == 1);
    struct base_mono since = w.view.mongodb.silent_since;
    assert_true(base_mono_before(since, io_now()));
    assert_false(w.view.is_answering);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, "{\"half\": 1}"); /* no hello at all */
    UNTIL(w.view.mongodb.misses == 2);
    assert_true(w.view.mongodb.silent_since.us == since.us);
    assert_true(w.view.mongodb.hello.is_writable); /* as it was: its age tells */
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_PRIMARY);
    UNTIL(w.view.mongodb.misses == 0);
    assert_true(w.view.mongodb.silent_since.us == BASE_MONO_NEVER.us);
}

static void test_a_closed_port_is_no_silence(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_UNREACHABLE, 0);
    UNTIL(w.views > 1);
    assert_int_equal(w.view.mongodb.misses, 0);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_TLS, 0);
    UNTIL(strstr(w.view.note.text, "TLS") != NULL);
    assert_int_equal(w.view.mongodb.misses, 0);
}

static void test_another_process_ends_all_proof(void **state)
{
    (void)state;
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    guard_says(GUARD_TREE_GONE);
    UNTIL(!w.view.is_answering && !w.view.is_process);
    assert_true(w.view.mongodb.hello.at.us == BASE_MONO_LONG_AGO.us);
    assert_true(w.view.mongodb.config.at.us == BASE_MONO_LONG_AGO.us);
    guard_says(GUARD_TREE_RUNNING);
    answer(MDB_SESSION_HELLO, HELLO_PRIMARY); /* of the process before */
    unsigned views = w.views;
    UNTIL(w.views > views + 2);
    assert_false(w.view.is_answering);
}

/* --- status, configuration, login --- */

static void test_no_configuration_yet(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_NONE);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    refuse(MDB_SESSION_WATCH, BASE_E_STATE, 94);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetConfig"));
    refuse(MDB_SESSION_WATCH, BASE_E_STATE, 94);
    UNTIL(is_asked(MDB_SESSION_WATCH, "connectionStatus"));
    answer(MDB_SESSION_WATCH, "{\"authInfo\": {\"authenticatedUsers\": [{\"user\": \"x\"}]}}");
    UNTIL(is_asked(MDB_SESSION_WATCH, "listDatabases"));
    answer(MDB_SESSION_WATCH, "{\"databases\": [{\"name\": \"shop\"}]}");
    UNTIL(w.view.mongodb.has_databases);
    assert_true(w.view.mongodb.status.at.us == BASE_MONO_LONG_AGO.us);
    assert_false(w.view.mongodb.hello.is_in_set || w.view.mongodb.is_login_refused);
    assert_non_null(strstr(w.view.warning.text, "ha_read may not replSetGetStatus"));
}

static void test_a_removed_member(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_NONE);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    refuse(MDB_SESSION_WATCH, BASE_E_STATE, 93);
    UNTIL(w.view.mongodb.status.state == 10);
}

static void test_a_login_that_is_refused(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    refuse(MDB_SESSION_WATCH, BASE_E_DENIED, 18);
    UNTIL(w.view.mongodb.is_login_refused);
    assert_non_null(strstr(w.view.note.text, "--print-roles"));
    assert_true(w.view.is_answering); /* hello counts as ever */
    assert_int_equal(w.view.mongodb.code, 18);
    assert_null(sessions[MDB_SESSION_LOCAL].done); /* in a set: there is somebody who makes users */
}

static void test_nobody_has_made_users_yet(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_NONE);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    refuse(MDB_SESSION_WATCH, BASE_E_DENIED, 18);
    UNTIL(is_asked(MDB_SESSION_LOCAL, "replSetGetStatus"));
    refuse(MDB_SESSION_LOCAL, BASE_E_STATE, 94);
    unsigned views = w.views;
    UNTIL(w.views > views);
    assert_false(w.view.mongodb.is_login_refused);
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_INITIATE});
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    refuse(MDB_SESSION_ACT, BASE_E_DENIED, 18);
    UNTIL(is_asked(MDB_SESSION_LOCAL, "replSetInitiate"));
    assert_true(is_asked(MDB_SESSION_LOCAL, "\"host\" : \"127.0.0.1:1\""));
    answer(MDB_SESSION_LOCAL, "{\"ok\": 1}");
    expect_done(0, 0);
}

static void test_an_arbiter_says_hello_alone(void **state)
{
    (void)state;
    settings.login = MDB_LOGIN_NONE;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, "{\"arbiterOnly\": true, \"setName\": \"rs0\", \"me\": "
                              "\"127.0.0.1:1\", \"maxWireVersion\": 21}");
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    refuse(MDB_SESSION_WATCH, BASE_E_STATE, 13);
    UNTIL(w.view.mongodb.hello.is_arbiter && !w.view.mongodb.is_login_used);
    assert_false(w.view.mongodb.is_login_refused);
}

static void test_warnings(void **state)
{
    (void)state;
    begin_with(HELLO_PRIMARY, STATUS(9),
               "{\"config\": {\"version\": 4, \"term\": 9, \"writeConcernMajorityJournalDefault\": "
               "false, \"members\": [{\"_id\": 0, \"host\": \"localhost:1\"}]}}");
    UNTIL(is_asked(MDB_SESSION_WATCH, "getDefaultRWConcern"));
    refuse(MDB_SESSION_WATCH, BASE_E_STATE, 59); /* 4.2: w:1 */
    UNTIL(w.view.mongodb.concern == MSG_MONGODB_CONCERN_IMPLICIT_ONE);
    assert_non_null(strstr(w.view.warning.text, "w:1"));
    assert_non_null(strstr(w.view.warning.text, "writeConcernMajorityJournalDefault"));
    assert_null(strstr(w.view.warning.text, "localhost")); /* all of it is on loopback */
}

/* --- the canary --- */

static void test_canary(void **state)
{
    (void)state;
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_CANARY, "update"));
    answer(MDB_SESSION_CANARY, "{\"n\": 1, \"ok\": 1}");
    UNTIL(w.view.mongodb.canary_at.us != BASE_MONO_LONG_AGO.us);
    assert_true(w.view.mongodb.canary_since.us == BASE_MONO_NEVER.us);
    UNTIL(is_asked(MDB_SESSION_CANARY, "update"));
    answer(MDB_SESSION_CANARY,
           "{\"n\": 0, \"ok\": 1, \"writeErrors\": [{\"index\": 0, \"code\": 14031}]}");
    UNTIL(w.view.mongodb.canary_misses == 1); /* ok, and not written */
    struct base_mono since = w.view.mongodb.canary_since;
    UNTIL(is_asked(MDB_SESSION_CANARY, "update"));
    refuse(MDB_SESSION_CANARY, BASE_E_STATE, 10107); /* no primary: that says nothing of the disk */
    unsigned views = w.views;
    UNTIL(w.views > views);
    assert_int_equal(w.view.mongodb.canary_misses, 1);
    assert_true(w.view.mongodb.canary_since.us == since.us);
}

static void test_a_canary_that_hangs_shows_while_it_hangs(void **state)
{
    (void)state;
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_CANARY, "update"));
    while (w.view.mongodb.canary_misses == 0) { /* never answered */
        if (sessions[MDB_SESSION_HELLO].done != NULL) {
            answer(MDB_SESSION_HELLO, HELLO_PRIMARY);
        }
        io_loop_run_once(w.loop, base_mono_add_us(io_now(), 5000));
    }
    assert_true(w.view.mongodb.canary_since.us != BASE_MONO_NEVER.us);
    assert_true(w.view.is_answering); /* hello is none the worse for it */
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
    UNTIL(w.view.mongodb.hello.is_secondary);
    assert_true(w.view.mongodb.canary_since.us == BASE_MONO_NEVER.us);
}

/* --- orders --- */

static struct db_order add_order(void)
{
    struct db_order o = {.kind = DB_ORDER_MONGODB_RECONFIG};
    o.mongodb.change = DB_MONGODB_ADD;
    o.mongodb.expected_term = 9;
    o.mongodb.expected_config = (struct msg_mongodb_version){.term = 9, .version = 4};
    (void)snprintf(o.mongodb.host.text, sizeof(o.mongodb.host.text), "127.0.0.1:2");
    return o;
}

static void to_the_deed(void)
{
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    answer(MDB_SESSION_ACT, STATUS(9));
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(4, ));
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetReconfig"));
    assert_true(is_asked(MDB_SESSION_ACT, "\"version\" : 5"));
    assert_true(is_asked(MDB_SESSION_ACT, "maxTimeMS"));
}

static void test_a_change_step_by_step(void **state)
{
    (void)state;
    struct db_order o = add_order();
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_HELLO, "maxAwaitTimeMS"));
    rig_order(&o);
    to_the_deed();
    answer(MDB_SESSION_ACT, "{\"ok\": 1}");
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    assert_int_equal(w.dones, 0); /* the reply alone is nothing */
    answer(MDB_SESSION_ACT, CONFIG(5, SECOND_MEMBER));
    expect_done(0, 0);
    while (!is_asked(MDB_SESSION_WATCH, "hello")) { /* the long poll is from before */
        if (sessions[MDB_SESSION_WATCH].done != NULL) {
            refuse(MDB_SESSION_WATCH, BASE_E_TIMEOUT, 0);
        }
        io_loop_run_once(w.loop, base_mono_add_us(io_now(), 5000));
    }
    assert_false(is_asked(MDB_SESSION_WATCH, "maxAwaitTimeMS"));
    struct base_mono asked = w.view.mongodb.hello.at;
    answer(MDB_SESSION_WATCH, HELLO_PRIMARY);
    UNTIL(base_mono_before(asked, w.view.mongodb.hello.at));
    asked = w.view.mongodb.hello.at;
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_PRIMARY); /* asked before: nothing new */
    unsigned views = w.views;
    UNTIL(w.views > views);
    assert_true(w.view.mongodb.hello.at.us == asked.us);
    assert_true(sessions[MDB_SESSION_ACT].is_reset); /* the login is open for orders alone */
}

static void test_a_change_whose_connection_is_cut(void **state)
{
    (void)state;
    struct db_order o = add_order();
    begin_primary();
    rig_order(&o);
    to_the_deed();
    refuse(MDB_SESSION_ACT, BASE_E_CLOSED, 0);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(4, )); /* not yet */
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(5, SECOND_MEMBER));
    expect_done(0, 0);
}

static void test_a_change_that_is_in_force_is_not_sent(void **state)
{
    (void)state;
    struct db_order o = add_order();
    begin_primary();
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    answer(MDB_SESSION_ACT, STATUS(9));
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(5, SECOND_MEMBER)); /* an agent that was started again */
    expect_done(0, 0);
}

static void test_the_world_has_moved_on(void **state)
{
    (void)state;
    struct db_order o = add_order();
    begin_primary();
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    answer(MDB_SESSION_ACT, STATUS(10));
    expect_done(BASE_E_CONFLICT, 0);
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    answer(MDB_SESSION_ACT, STATUS(9));
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(5, ));
    expect_done(BASE_E_CONFLICT, 0);
}

static void test_not_now_is_asked_again(void **state)
{
    (void)state;
    struct db_order o = add_order();
    begin_primary();
    rig_order(&o);
    to_the_deed();
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 308);
    to_the_deed(); /* from the start: it may be another configuration by now */
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 103);
    to_the_deed();
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 103); /* refused for what it is */
    expect_done(BASE_E_CONFLICT, 103);
    assert_non_null(strstr(w.done.text.text, "NewReplicaSetConfigurationIncompatible"));
}

static void test_force_is_sent_once(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_RECONFIG};
    o.mongodb.change = DB_MONGODB_SURVIVORS;
    o.mongodb.hosts_count = 1;
    o.mongodb.expected_config = (struct msg_mongodb_version){.term = 9, .version = 4};
    (void)snprintf(o.mongodb.hosts[0].text, sizeof(o.mongodb.hosts[0].text), "127.0.0.1:1");
    begin_with(HELLO_SECONDARY, STATUS(9), CONFIG(4, SECOND_MEMBER));
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetConfig"));
    answer(MDB_SESSION_ACT, CONFIG(4, SECOND_MEMBER));
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetReconfig"));
    assert_true(is_asked(MDB_SESSION_ACT, "\"force\" : true"));
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 308);
    expect_done(BASE_E_BUSY, 308);
}

static void test_a_step_down(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_STEP_DOWN};
    o.mongodb.seconds = 60;
    o.mongodb.catch_up_s = 10;
    begin_primary();
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetStepDown"));
    refuse(MDB_SESSION_ACT, BASE_E_CLOSED, 0); /* as is usual */
    expect_done(0, 0);
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetStepDown"));
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 262); /* nobody caught up */
    expect_done(BASE_E_TIMEOUT, 262);
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetStepDown"));
    refuse(MDB_SESSION_ACT, BASE_E_STATE, 10107);
    expect_done(BASE_E_STATE, 10107);
}

/* Each code of the table, at an order: its own status, its name, and what to do. */
static void test_plain_text_where_tls_is_wanted(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    for (unsigned i = 0; i < 3; i++) {
        UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
        refuse(MDB_SESSION_HELLO, BASE_E_CLOSED, 0);
    }
    UNTIL(strstr(w.view.note.text, "does it want TLS? (mongodb.tls: on)") != NULL);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
    UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
    answer(MDB_SESSION_WATCH, STATUS(9));
    UNTIL(w.view.note.text[0] == '\0');
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_CLOSED, 0); /* one that spoke to us before goes down */
    unsigned views = w.views;
    UNTIL(w.views > views + 1);
    assert_string_equal(w.view.note.text, "");
}

static void test_each_refused_order_says_what_to_do(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_FREEZE};
    o.mongodb.seconds = 30;
    begin_primary();
    for (size_t i = 0; i < mdb_codes_count(); i++) {
        const struct mdb_code *code = mdb_code_at(i);
        if (code->status == BASE_E_BUSY || code->code == 103) {
            continue; /* "not now": asked again */
        }
        rig_order(&o);
        UNTIL(is_asked(MDB_SESSION_ACT, "replSetFreeze"));
        refuse(MDB_SESSION_ACT, BASE_E_STATE, code->code);
        expect_done(code->status, code->code);
        assert_non_null(strstr(w.done.text.text, code->name));
        assert_non_null(strstr(w.done.text.text, code->next));
    }
}

/* ... and at the status: told as long as it is so. */
static void test_each_refused_status_says_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < mdb_codes_count(); i++) {
        const struct mdb_code *code = mdb_code_at(i);
        if (code->code == 94 || code->status == BASE_E_DENIED) {
            continue; /* told by its state, and as a login */
        }
        guard_says(GUARD_TREE_RUNNING);
        UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
        answer(MDB_SESSION_HELLO, HELLO_SECONDARY);
        UNTIL(is_asked(MDB_SESSION_WATCH, "replSetGetStatus"));
        refuse(MDB_SESSION_WATCH, BASE_E_STATE, code->code);
        UNTIL(strstr(w.view.note.text, code->next) != NULL);
        assert_non_null(strstr(w.view.note.text, code->name));
        assert_true(w.view.is_answering);
        guard_says(GUARD_TREE_GONE);
        UNTIL(!w.view.is_answering && w.view.note.text[0] == '\0');
        for (size_t k = 0; k < MDB_SESSION_COUNT; k++) {
            if (sessions[k].done != NULL) {
                refuse((enum mdb_session)k, BASE_E_CANCELED, 0);
            }
        }
    }
}

static void test_an_order_that_hangs_ends_in_time(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_STEP_DOWN, .timeout_us = SECOND / 20};
    begin_primary();
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetStepDown"));
    expect_done(BASE_E_TIMEOUT, 0);
    o.kind = DB_ORDER_MONGODB_FREEZE; /* the thread still hangs: the next one waits for it */
    o.mongodb.seconds = 30;
    o.timeout_us = 9 * SECOND;
    rig_order(&o);
    unsigned dones = w.dones;
    refuse(MDB_SESSION_ACT, BASE_E_CANCELED, 0); /* the late answer is not the next order's */
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetFreeze"));
    assert_int_equal(w.dones, dones);
    answer(MDB_SESSION_ACT, "{\"ok\": 1}");
    expect_done(0, 0);
}

static void test_cancel(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_STEP_DOWN};
    begin_primary();
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetStepDown"));
    struct db_order cancel = {.kind = DB_ORDER_CANCEL};
    w.port.order(w.port.ctx, &cancel);
    expect_done(BASE_E_CANCELED, 0);
}

static void test_a_default_concern_is_read_at_once(void **state)
{
    (void)state;
    struct db_order o = {.kind = DB_ORDER_MONGODB_CONCERN};
    o.mongodb.is_majority = true;
    begin_primary();
    UNTIL(is_asked(MDB_SESSION_WATCH, "getDefaultRWConcern"));
    answer(MDB_SESSION_WATCH, "{\"ok\": 1}");
    rig_order(&o);
    UNTIL(is_asked(MDB_SESSION_ACT, "setDefaultRWConcern"));
    answer(MDB_SESSION_ACT, "{\"ok\": 1}");
    expect_done(0, 0);
    while (!is_asked(MDB_SESSION_WATCH, "getDefaultRWConcern")) {
        if (sessions[MDB_SESSION_WATCH].done != NULL) {
            refuse(MDB_SESSION_WATCH, BASE_E_TIMEOUT, 0);
        }
        io_loop_run_once(w.loop, base_mono_add_us(io_now(), 5000));
    }
    answer(MDB_SESSION_WATCH,
           "{\"defaultWriteConcern\": {\"w\": \"majority\"}, \"defaultWriteConcernSource\": "
           "\"global\"}");
    UNTIL(w.view.mongodb.concern == MSG_MONGODB_CONCERN_SET_MAJORITY);
}

static void test_never_initiated_twice(void **state)
{
    (void)state;
    begin_primary();
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_INITIATE});
    UNTIL(is_asked(MDB_SESSION_ACT, "replSetGetStatus"));
    answer(MDB_SESSION_ACT, STATUS(9));
    expect_done(BASE_E_STATE, 0);
}

/* --- the directory --- */

static void put_file(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static bool has_file(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    return access(path, F_OK) == 0;
}

static void test_a_wipe_keeps_one_copy(void **state)
{
    (void)state;
    char path[256];
    put_file("data/storage.bson");
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.view.has_directory);
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_WIPE});
    expect_done(0, 0);
    assert_true(has_file("data") && !has_file("data/storage.bson"));
    assert_true(has_file("data.quorate-old/storage.bson"));
    UNTIL(!w.view.has_directory);
    put_file("data/storage.bson");
    put_file("data/second");
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_WIPE});
    expect_done(0, 0);
    assert_true(has_file("data.quorate-old/second"));
    (void)snprintf(path, sizeof(path), "%s/data/rollback", w.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put_file("data/rollback/removed.1.bson");
    UNTIL(w.view.mongodb.rollback_files == 1);
}

static void test_no_wipe_under_a_mongod(void **state)
{
    (void)state;
    begin_primary();
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_WIPE});
    expect_done(BASE_E_STATE, 0);
    guard_says(GUARD_TREE_GONE);
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_FREEZE});
    expect_done(BASE_E_STATE, 0);
}

static void test_a_watched_mongod(void **state)
{
    (void)state;
    settings.is_watched = true;
    guard_says(GUARD_TREE_GONE); /* never started by us */
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    answer(MDB_SESSION_HELLO, HELLO_PRIMARY);
    UNTIL(w.view.is_process && w.view.is_answering);
    UNTIL(is_asked(MDB_SESSION_HELLO, "hello"));
    refuse(MDB_SESSION_HELLO, BASE_E_UNREACHABLE, 0);
    UNTIL(!w.view.is_process);
    put_file("data/storage.bson");
    rig_order(&(struct db_order){.kind = DB_ORDER_MONGODB_WIPE});
    expect_done(BASE_E_STATE, 0);
    assert_true(has_file("data/storage.bson"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_hello_becomes_a_view),
        T(test_an_old_release_knows_is_master),
        T(test_silence_is_counted_from_the_question),
        T(test_a_closed_port_is_no_silence),
        T(test_another_process_ends_all_proof),
        T(test_no_configuration_yet),
        T(test_a_removed_member),
        T(test_a_login_that_is_refused),
        T(test_nobody_has_made_users_yet),
        T(test_an_arbiter_says_hello_alone),
        T(test_warnings),
        T(test_canary),
        T(test_a_canary_that_hangs_shows_while_it_hangs),
        T(test_a_change_step_by_step),
        T(test_a_change_whose_connection_is_cut),
        T(test_a_change_that_is_in_force_is_not_sent),
        T(test_the_world_has_moved_on),
        T(test_not_now_is_asked_again),
        T(test_force_is_sent_once),
        T(test_a_step_down),
        T(test_plain_text_where_tls_is_wanted),
        T(test_each_refused_order_says_what_to_do),
        T(test_each_refused_status_says_what_to_do),
        T(test_an_order_that_hangs_ends_in_time),
        T(test_cancel),
        T(test_a_default_concern_is_read_at_once),
        T(test_never_initiated_twice),
        T(test_a_wipe_keeps_one_copy),
        T(test_no_wipe_under_a_mongod),
        T(test_a_watched_mongod),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
