/* SPDX-License-Identifier: Apache-2.0 */
/* The Galera port against a scripted server: what is asked and in which order, what hangs, and what
 * is done with a stopped directory. */
#include "agents/galera/db.h"
#include "tests/unit/db_rig.h"

#define UUID "8bcf4a34-aedb-14e5-bcc3-d3e36277729f"

static struct {
    char statement[1024];
    gal_reply_fn *done;
    void *ctx;
    bool is_cut;
} sessions[GAL_SESSION_COUNT];

static struct gal_settings settings;
static struct gal_db *db;

/* --- the scripted server --- */

static void server_run(void *ctx, enum gal_session session, const char *statement,
                       int64_t timeout_us, gal_reply_fn *done, void *done_ctx)
{
    (void)ctx;
    assert_null(sessions[session].done);
    assert_true(timeout_us > 0);
    (void)snprintf(sessions[session].statement, sizeof(sessions[session].statement), "%s",
                   statement);
    sessions[session].done = done;
    sessions[session].ctx = done_ctx;
    sessions[session].is_cut = false;
}

static bool server_is_busy(void *ctx, enum gal_session session)
{
    (void)ctx;
    return sessions[session].done != NULL;
}

static void server_cut(void *ctx, enum gal_session session)
{
    (void)ctx;
    sessions[session].is_cut = sessions[session].done != NULL;
}

static void reply(enum gal_session session, const struct gal_reply *answer)
{
    gal_reply_fn *done = sessions[session].done;
    assert_non_null(done);
    sessions[session].done = NULL;
    sessions[session].statement[0] = '\0';
    done(sessions[session].ctx, answer);
}

static void reply_status(enum gal_session session, int status, unsigned number)
{
    reply(session, &(struct gal_reply){.status = status, .number = number, .text = "as scripted"});
}

static void cuts_come_back(void)
{
    for (size_t i = 0; i < GAL_SESSION_COUNT; i++) {
        if (sessions[i].is_cut) {
            sessions[i].is_cut = false;
            reply_status((enum gal_session)i, BASE_E_CANCELED, 0);
        }
    }
}

/* --- the world --- */

static bool is_asked(enum gal_session session, const char *text)
{
    return sessions[session].done != NULL && strstr(sessions[session].statement, text) != NULL;
}

static void put_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static bool has_file(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    return access(path, F_OK) == 0;
}

static void settings_make(void)
{
    struct gal_settings *s = &settings;
    memset(s, 0, sizeof(*s));
    assert_int_equal(base_name_from_text("shop", &s->cluster), 0);
    assert_int_equal(base_name_from_text("g1", &s->member), 0);
    s->host = base_text_from(SLICE_LIT("127.0.0.1"));
    s->listen = s->host;
    s->weight = 1;
    s->has_canary = true;
    set_path(&s->data_dir, "data");
    set_path(&s->state_dir, "state");
    set_path(&s->conf, "state/mariadb.cnf");
    set_path(&s->socket, "m.sock");
    set_path(&s->pid_file, "m.pid");
    (void)snprintf(s->agent_password, sizeof(s->agent_password), "very-secret-1");
    (void)snprintf(s->check_password, sizeof(s->check_password), "very-secret-2");
    (void)snprintf(s->os_user, sizeof(s->os_user), "mysql");
    assert_int_equal(mkdir(s->data_dir.text, 0700), 0);
    assert_int_equal(mkdir(s->state_dir.text, 0700), 0);
}

static int begin(void **state)
{
    (void)state;
    memset(sessions, 0, sizeof(sessions));
    rig_begin(cuts_come_back);
    settings_make();
    const struct gal_db_options options = {
        .settings = &settings,
        .loop = w.loop,
        .sessions = {.run = server_run, .is_busy = server_is_busy, .cut = server_cut},
        .interval_us = SECOND / 100,
        .events = rig_events};
    assert_int_equal(gal_db_open(&options, &db), 0);
    w.port = gal_db_port(db);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db = gal_db_close(db);
    rig_end();
    return 0;
}

static void order(enum db_order_kind kind)
{
    rig_order(&(struct db_order){.kind = kind, .galera.position.seqno = -1});
}

static void answer_status(const char *reject, const char *read_only)
{
    UNTIL(is_asked(GAL_SESSION_POLL, "SHOW GLOBAL STATUS"));
    reply(GAL_SESSION_POLL, &(struct gal_reply){.text = "",
                                                .rows = 6,
                                                .columns = 2,
                                                .values = {{"wsrep_cluster_status", "Primary"},
                                                           {"wsrep_cluster_size", "1"},
                                                           {"wsrep_cluster_conf_id", "4"},
                                                           {"wsrep_cluster_state_uuid", UUID},
                                                           {"wsrep_local_state", "4"},
                                                           {"wsrep_ready", "ON"}}});
    UNTIL(is_asked(GAL_SESSION_POLL, "@@GLOBAL.read_only"));
    reply(GAL_SESSION_POLL,
          &(struct gal_reply){.text = "",
                              .rows = 1,
                              .columns = 6,
                              .values = {{read_only, "0", reject, "1", "151", "10.11.6-MariaDB"}}});
}

static void begin_synced(void)
{
    guard_says(GUARD_TREE_RUNNING);
    answer_status("NONE", "1");
    UNTIL(w.view.is_answering);
}

/* --- running --- */

static void test_a_probe_becomes_a_view(void **state)
{
    (void)state;
    begin_synced();
    assert_true(w.view.galera.is_primary && w.view.galera.is_ready);
    assert_true(w.view.galera.is_read_only);
    assert_int_equal(w.view.galera.conf_id, 4);
    assert_int_equal(w.view.galera.view.conf_id, 0); /* with whom is not known yet */
    UNTIL(is_asked(GAL_SESSION_BACK, "wsrep_provider_options"));
    reply(GAL_SESSION_BACK,
          &(struct gal_reply){.rows = 1, .columns = 1, .values = {{"a = 1; pc.weight = 2;"}}});
    answer_status("NONE", "1");
    UNTIL(is_asked(GAL_SESSION_BACK, "wsrep_cluster_members"));
    reply(GAL_SESSION_BACK, &(struct gal_reply){.rows = 1, .columns = 1, .values = {{"g1"}}});
    UNTIL(w.view.galera.view.conf_id == 4);
    assert_int_equal(w.view.galera.view.nodes[0].weight, 2);
}

static void test_a_causal_read_counts_from_its_sending(void **state)
{
    (void)state;
    begin_synced();
    UNTIL(is_asked(GAL_SESSION_CAUSAL, "SELECT 1"));
    struct base_mono sent = io_now();
    answer_status("NONE", "1");
    unsigned views = w.views;
    UNTIL(w.views > views);
    assert_true(base_mono_before(w.view.galera.causal_at, (struct base_mono){0}));
    reply_status(GAL_SESSION_CAUSAL, 0, 0);
    UNTIL(!base_mono_before(w.view.galera.causal_at, (struct base_mono){0}));
    assert_true(!base_mono_before(sent, w.view.galera.causal_at));
}

static void test_a_cut_session_is_no_silence(void **state)
{
    (void)state;
    begin_synced();
    UNTIL(is_asked(GAL_SESSION_POLL, "SHOW GLOBAL STATUS"));
    reply_status(GAL_SESSION_POLL, BASE_E_CLOSED, 2013); /* whoever rejects all cuts it, too */
    assert_true(is_asked(GAL_SESSION_POLL, "SHOW GLOBAL STATUS"));
    reply_status(GAL_SESSION_POLL, BASE_E_TIMEOUT, 0);
    UNTIL(!w.view.is_answering);
}

static void test_a_fence_does_not_wait_for_read_only(void **state)
{
    (void)state;
    begin_synced();
    order(DB_ORDER_GALERA_FENCE);
    assert_true(is_asked(GAL_SESSION_ACT, "wsrep_reject_queries = ALL_KILL"));
    if (sessions[GAL_SESSION_BACK].done != NULL) {
        reply_status(GAL_SESSION_BACK, BASE_E_CLOSED, 2013);
    }
    reply_status(GAL_SESSION_ACT, 0, 0);
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, 0);
    assert_true(is_asked(GAL_SESSION_BACK, "read_only = 1")); /* and hangs behind a commit */
    order(DB_ORDER_GALERA_UNFENCE);
    assert_true(is_asked(GAL_SESSION_ACT, "read_only = 1"));
    reply_status(GAL_SESSION_ACT, 0, 0);
    assert_true(is_asked(GAL_SESSION_ACT, "wsrep_reject_queries = NONE"));
    reply_status(GAL_SESSION_ACT, 0, 0);
    UNTIL(w.dones == 2);
    assert_int_equal(w.done.status, 0);
}

static void test_a_fence_that_fails_says_so(void **state)
{
    (void)state;
    begin_synced();
    order(DB_ORDER_GALERA_FENCE);
    reply_status(GAL_SESSION_ACT, BASE_E_TIMEOUT, 0);
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, BASE_E_TIMEOUT);
    assert_false(is_asked(GAL_SESSION_BACK, "read_only = 1"));
}

static void test_promotion_step_by_step(void **state)
{
    (void)state;
    static const char *const steps[] = {"wsrep_sync_wait = 1", "SELECT 1", "wsrep_sync_wait = 0",
                                        "wsrep_reject_queries = NONE", "read_only = 0"};
    begin_synced();
    order(DB_ORDER_PROMOTE);
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        assert_true(is_asked(GAL_SESSION_ACT, steps[i]));
        assert_int_equal(w.dones, 0);
        reply_status(GAL_SESSION_ACT, 0, 0);
    }
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, 0);
    /* The writer's own write, from then on. */
    answer_status("NONE", "0");
    UNTIL(is_asked(GAL_SESSION_CANARY, "REPLACE INTO quorate.heartbeat"));
}

static void test_no_promotion_without_a_causal_read(void **state)
{
    (void)state;
    begin_synced();
    order(DB_ORDER_PROMOTE);
    reply_status(GAL_SESSION_ACT, 0, 0);
    reply_status(GAL_SESSION_ACT, BASE_E_STATE, 1205);
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, BASE_E_STATE);
    assert_null(sessions[GAL_SESSION_ACT].done); /* nothing was opened */
}

static void test_cancel_cuts(void **state)
{
    (void)state;
    begin_synced();
    order(DB_ORDER_GALERA_DEMOTE);
    assert_true(is_asked(GAL_SESSION_ACT, "read_only = 1")); /* first of all */
    struct db_order stop = {.id = w.ids, .kind = DB_ORDER_CANCEL};
    w.port.order(w.port.ctx, &stop);
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, BASE_E_CANCELED);
    order(DB_ORDER_GALERA_FENCE);
    assert_true(is_asked(GAL_SESSION_ACT, "ALL_KILL"));
    reply_status(GAL_SESSION_ACT, 0, 0);
    UNTIL(w.dones == 2);
    assert_int_equal(w.done.status, 0);
}

static void test_accounts_are_made_and_not_told(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_RUNNING);
    UNTIL(is_asked(GAL_SESSION_POLL, "SHOW GLOBAL STATUS"));
    reply_status(GAL_SESSION_POLL, BASE_E_DENIED, 1045);
    assert_true(is_asked(GAL_SESSION_SETUP, "'quorate_check'@'localhost'"));
    assert_true(is_asked(GAL_SESSION_SETUP, "very-secret-2"));
    reply_status(GAL_SESSION_SETUP, 0, 0);
    assert_true(is_asked(GAL_SESSION_SETUP, "very-secret-1"));
    reply_status(GAL_SESSION_SETUP, BASE_E_STATE, 1227);
    assert_non_null(strstr(w.log, "1227"));
    assert_null(strstr(w.log, "very-secret"));
    UNTIL(strstr(w.view.note.text, "--print-sql") != NULL);
}

/* --- stopped --- */

static void test_an_empty_directory(void **state)
{
    (void)state;
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.views > 0);
    assert_false(w.view.has_directory);
    assert_false(w.view.is_process);
    assert_false(w.view.galera.is_position_recovered);
    assert_int_equal(w.view.galera.position.seqno, -1);
}

static void data_make(const char *grastate)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/data/mysql", w.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put_file("data/ibdata1", "pages");
    put_file("data/grastate.dat", grastate);
    put_file("data/gvwstate.dat", "my_uuid: " UUID "\n");
}

static void test_an_orderly_stop_proves_the_position(void **state)
{
    (void)state;
    data_make("uuid: " UUID "\nseqno: 12\nsafe_to_bootstrap: 1\n");
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.views > 0);
    assert_true(w.view.has_directory);
    assert_true(w.view.galera.is_position_recovered);
    assert_true(w.view.galera.is_safe_to_bootstrap);
    assert_int_equal(w.view.galera.position.seqno, 12);
}

static void test_broken_transfers(void **state)
{
    (void)state;
    data_make("");
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.views > 0);
    assert_true(w.view.galera.is_transfer_broken);
    assert_false(w.view.galera.is_position_recovered);
    put_file("data/grastate.dat", "uuid: " UUID "\nseqno: 12\nsafe_to_bootstrap: 1\n");
    put_file("data/sst_in_progress", "");
    unsigned views = w.views;
    UNTIL(w.views > views + 1);
    assert_true(w.view.galera.is_transfer_broken);
    assert_false(w.view.galera.is_position_recovered); /* whatever the flag says */
}

static void test_join_needs_a_position(void **state)
{
    (void)state;
    data_make("uuid: " UUID "\nseqno: -1\nsafe_to_bootstrap: 0\n");
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.views > 0);
    struct db_order o = {.id = ++w.ids, .kind = DB_ORDER_GALERA_PREPARE, .timeout_us = SECOND};
    o.galera.mode = DB_GALERA_JOIN;
    o.galera.position.seqno = -1;
    w.port.order(w.port.ctx, &o);
    UNTIL(w.dones == 1);
    assert_int_equal(w.done.status, BASE_E_STATE);
    assert_true(has_file("data/gvwstate.dat"));
    o.id = ++w.ids;
    o.galera.position.seqno = 40;
    o.galera.position.uuid[0] = 0x8b;
    w.port.order(w.port.ctx, &o);
    UNTIL(w.dones == 2);
    assert_int_equal(w.done.status, 0);
    assert_false(has_file("data/gvwstate.dat")); /* no component is formed from it */
    assert_true(has_file("data/gvwstate.dat.quorate"));
    assert_true(has_file("data/grastate.dat"));
    struct stat st;
    assert_int_equal(stat(settings.conf.text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_bootstrap_sets_the_flag_and_a_transfer_clears(void **state)
{
    (void)state;
    char text[256] = "";
    size_t len = 0;
    struct pg_path path;
    data_make("uuid: " UUID "\nseqno: 12\nsafe_to_bootstrap: 0\n");
    guard_says(GUARD_TREE_GONE);
    UNTIL(w.views > 0);
    struct db_order o = {.id = ++w.ids, .kind = DB_ORDER_GALERA_PREPARE, .timeout_us = SECOND};
    o.galera.mode = DB_GALERA_BOOTSTRAP;
    o.galera.position.seqno = 12;
    w.port.order(w.port.ctx, &o);
    UNTIL(w.dones == 1);
    set_path(&path, "data/grastate.dat");
    assert_int_equal(pg_file_read(path.text, text, sizeof(text), &len), 0);
    assert_non_null(strstr(text, "safe_to_bootstrap: 1"));
    assert_non_null(strstr(text, "seqno:   12"));
    order(DB_ORDER_GALERA_CLEAR);
    UNTIL(w.dones == 2);
    assert_int_equal(w.done.status, 0);
    assert_false(has_file("data/grastate.dat"));
    assert_true(has_file("data/grastate.dat.quorate")); /* a copy is kept */
    unsigned views = w.views;
    UNTIL(w.views > views && !w.view.galera.is_position_recovered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_probe_becomes_a_view, begin, end),
        cmocka_unit_test_setup_teardown(test_a_causal_read_counts_from_its_sending, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cut_session_is_no_silence, begin, end),
        cmocka_unit_test_setup_teardown(test_a_fence_does_not_wait_for_read_only, begin, end),
        cmocka_unit_test_setup_teardown(test_a_fence_that_fails_says_so, begin, end),
        cmocka_unit_test_setup_teardown(test_promotion_step_by_step, begin, end),
        cmocka_unit_test_setup_teardown(test_no_promotion_without_a_causal_read, begin, end),
        cmocka_unit_test_setup_teardown(test_cancel_cuts, begin, end),
        cmocka_unit_test_setup_teardown(test_accounts_are_made_and_not_told, begin, end),
        cmocka_unit_test_setup_teardown(test_an_empty_directory, begin, end),
        cmocka_unit_test_setup_teardown(test_an_orderly_stop_proves_the_position, begin, end),
        cmocka_unit_test_setup_teardown(test_broken_transfers, begin, end),
        cmocka_unit_test_setup_teardown(test_join_needs_a_position, begin, end),
        cmocka_unit_test_setup_teardown(test_bootstrap_sets_the_flag_and_a_transfer_clears, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
