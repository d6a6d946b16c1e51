/* SPDX-License-Identifier: Apache-2.0 */
/* Galera's files, the server's answers, and the file that mariadbd is started with. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "agents/galera/adopt.h"
#include "agents/galera/conf.h"
#include "agents/galera/grastate.h"
#include "agents/galera/status.h"
#include "base/name.h"

#define UUID "8bcf4a34-aedb-14e5-bcc3-d3e36277729f"
#define NIL "00000000-0000-0000-0000-000000000000"

static void test_grastate(void **state)
{
    (void)state;
    static const char text[] = "# GALERA saved state\nversion: 2.1\nuuid:    " UUID
                               "\nseqno:   1234\nsafe_to_bootstrap: 1\n";
    struct gal_grastate read;
    assert_int_equal(gal_grastate_parse(slice_from_text(text), &read), 0);
    assert_int_equal(read.position.seqno, 1234);
    assert_int_equal(read.position.uuid[0], 0x8b);
    assert_int_equal(read.position.uuid[15], 0x9f);
    assert_true(read.is_safe_to_bootstrap);
    char memory[512];
    struct buf b = buf_over(memory, sizeof(memory));
    gal_grastate_put(&read, &b);
    assert_true(slice_equal(buf_slice(&b), slice_from_text(text)));
}

static void test_grastate_that_cannot_be_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "\n",
                                      "uuid: " UUID "\n",
                                      "seqno: 3\n",
                                      "uuid: " UUID "x\nseqno: 3\n",
                                      "uuid: 8bcf4a34-aedb-14e5-bcc3\nseqno: 3\n",
                                      "uuid: " UUID "\nseqno: -2\n",
                                      "uuid: " UUID "\nseqno: 99999999999999999999\n",
                                      "uuid: " UUID "\nseqno: 1 2\n"};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        struct gal_grastate read;
        assert_int_not_equal(gal_grastate_parse(slice_from_text(bad[i]), &read), 0);
    }
    struct gal_grastate crashed;
    assert_int_equal(
        gal_grastate_parse(SLICE_LIT("uuid: " UUID "\nseqno: -1\nsafe_to_bootstrap: 0"), &crashed),
        0);
    assert_int_equal(crashed.position.seqno, -1);
    assert_false(crashed.is_safe_to_bootstrap);
}

static void test_recovered_position(void **state)
{
    (void)state;
    struct msg_galera_position p = {{0}, -2};
    assert_true(gal_recovered_parse(
        SLICE_LIT("2026-01-02  3:04:05 0 [Note] WSREP: Recovered position: " UUID ":4518"), &p));
    assert_int_equal(p.seqno, 4518);
    assert_true(gal_recovered_parse(SLICE_LIT("WSREP: Recovered position: " UUID ":77,0-1-9"), &p));
    assert_int_equal(p.seqno, 77);
    assert_true(gal_recovered_parse(SLICE_LIT("Recovered position: " NIL ":-1"), &p));
    assert_int_equal(p.seqno, -1);
    assert_true(gal_uuid_is_nil(p.uuid));
    assert_false(gal_recovered_parse(SLICE_LIT("WSREP: Recovered position: "), &p));
    assert_false(gal_recovered_parse(SLICE_LIT("nothing of the kind"), &p));
    assert_false(gal_recovered_parse(SLICE_LIT("Recovered position: " UUID ":4x"), &p));
}

static bool is_damage(const char *const *lines)
{
    struct gal_damage damage = {{""}, false};
    for (; *lines != NULL; lines++) {
        gal_damage_note(&damage, slice_from_text(*lines));
    }
    return gal_is_damaged(&damage);
}

static void test_damage_is_not_a_full_disk(void **state)
{
    (void)state;
    assert_true(is_damage(
        (const char *const[]){"10:50:15 0 [Note] InnoDB: To recover: 140 pages",
                              "10:50:15 0 [ERROR] InnoDB: Unable to apply log to corrupted page 82",
                              "[ERROR] Aborting", NULL}));
    assert_false(is_damage((const char *const[]){"[Note] InnoDB: all is well", NULL}));
    assert_false(is_damage((const char *const[]){"[ERROR] unknown variable 'x=1'", NULL}));
    assert_false(is_damage((const char *const[]){
        "[ERROR] InnoDB: Cannot open './ibdata1'",
        "[ERROR] InnoDB: Operating system error number 13 in a file operation.", NULL}));
    assert_false(is_damage(
        (const char *const[]){"[ERROR] InnoDB: Unable to lock ./ibdata1 error: 11", NULL}));
    assert_false(is_damage((const char *const[]){
        "[ERROR] InnoDB: preallocating failed with error 28, No space left on device", NULL}));
}

static void test_gvwstate(void **state)
{
    (void)state;
    unsigned members = 0;
    assert_int_equal(gal_gvwstate_parse(SLICE_LIT("my_uuid: " UUID "\n#vwbeg\nview_id: 3 " UUID
                                                  " 3\nbootstrap: 0\nmember: " UUID
                                                  " 0\nmember: " UUID " 0\n#vwend\n"),
                                        &members),
                     0);
    assert_int_equal(members, 2);
    assert_int_not_equal(gal_gvwstate_parse(SLICE_LIT(""), &members), 0);
    assert_int_not_equal(gal_gvwstate_parse(SLICE_LIT("view_id: 3\nmember: x\n"), &members), 0);
}

static void take(struct gal_status *s, const char *name, const char *value)
{
    gal_status_take(s, slice_from_text(name), slice_from_text(value));
}

static void test_status_of_a_healthy_member(void **state)
{
    (void)state;
    struct gal_status s;
    const struct slice variables[] = {SLICE_LIT("0"),    SLICE_LIT("0"),
                                      SLICE_LIT("NONE"), SLICE_LIT("1"),
                                      SLICE_LIT("151"),  SLICE_LIT("10.11.6-MariaDB")};
    gal_status_reset(&s);
    take(&s, "wsrep_cluster_status", "Primary");
    take(&s, "wsrep_cluster_size", "3");
    take(&s, "wsrep_cluster_conf_id", "7");
    take(&s, "wsrep_cluster_state_uuid", UUID);
    take(&s, "wsrep_local_state", "4");
    take(&s, "wsrep_local_state_comment", "Synced");
    take(&s, "wsrep_ready", "ON");
    take(&s, "wsrep_connected", "ON");
    take(&s, "wsrep_evs_state", "OPERATIONAL");
    take(&s, "wsrep_last_committed", "99");
    take(&s, "wsrep_local_recv_queue", "2");
    take(&s, "wsrep_flow_control_active", "false");
    take(&s, "something_else", "1");
    assert_int_equal(gal_status_variables(&s, variables, 6), 0);
    assert_true(s.view.is_primary && s.view.is_ready && s.view.is_evs_operational);
    assert_false(s.view.is_read_only || s.view.is_rejecting || s.view.is_nil);
    assert_int_equal(s.view.local, DB_GALERA_LOCAL_SYNCED);
    assert_int_equal(s.view.size, 3);
    assert_int_equal(s.conf_id, 7);
    assert_int_equal(s.view.position.seqno, 99);
    assert_int_equal(s.version, 101106);
    assert_false(s.is_flow_active);
}

static void test_status_of_others(void **state)
{
    (void)state;
    struct gal_status s;
    struct slice variables[] = {SLICE_LIT("1"), SLICE_LIT("1"),   SLICE_LIT("ALL"),
                                SLICE_LIT("1"), SLICE_LIT("151"), SLICE_LIT("nonsense")};
    gal_status_reset(&s);
    take(&s, "wsrep_cluster_status", "non-Primary");
    take(&s, "wsrep_cluster_conf_id", "18446744073709551615");
    take(&s, "wsrep_local_state_comment", "Inconsistent");
    take(&s, "wsrep_evs_state", "GATHER");
    take(&s, "wsrep_last_committed", "18446744073709551615");
    assert_int_equal(gal_status_variables(&s, variables, 6), 0);
    assert_false(s.view.is_primary || s.view.is_evs_operational || s.view.is_nil);
    assert_true(s.view.is_inconsistent && s.view.is_read_only && s.view.is_rejecting);
    assert_int_equal(s.conf_id, 0);
    assert_int_equal(s.view.position.seqno, -1);
    assert_int_equal(s.version, 0);
    gal_status_reset(&s);
    take(&s, "wsrep_cluster_status", "Primary");
    take(&s, "wsrep_cluster_state_uuid", NIL);
    assert_int_equal(gal_status_variables(&s, variables, 6), 0);
    assert_true(s.view.is_nil);
    variables[3] = SLICE_LIT("0"); /* wsrep_on */
    assert_int_not_equal(gal_status_variables(&s, variables, 6), 0);
    assert_int_not_equal(gal_status_variables(&s, variables, 5), 0);
}

static void test_weights(void **state)
{
    (void)state;
    struct msg_galera_view view = {.conf_id = 3};
    struct base_name own;
    assert_int_equal(base_name_from_text("g1", &own), 0);
    gal_view_add(&view, SLICE_LIT("g1"));
    gal_view_add(&view, SLICE_LIT("G 2!"));
    gal_view_add(&view, SLICE_LIT("g3"));
    assert_string_equal(view.nodes[1].node.text, "unnamed-1");
    gal_view_weigh(&view, &own, 2, 4);
    assert_int_equal(view.nodes[0].weight, 2);
    assert_int_equal(view.nodes[1].weight, 1);
    assert_int_equal(view.nodes[2].weight, 1);
    gal_view_weigh(&view, &own, 1, 4); /* the others' are not even: not known */
    assert_int_equal(view.nodes[2].weight, 1);
    assert_int_equal(gal_options_weight(SLICE_LIT("a = 1; pc.weight = 3; pc.x = 2")), 3);
    assert_int_equal(gal_options_weight(SLICE_LIT("pc.weight_x = 3;")), 0);
    for (int i = 0; i < 40; i++) {
        gal_view_add(&view, SLICE_LIT("g9"));
    }
    assert_int_equal(view.count, MSG_GALERA_NODES_MAX);
}

static struct gal_settings settings;

static void set(char *to, const char *value)
{
    memcpy(to, value, strlen(value) + 1);
}

static void settings_make(void)
{
    memset(&settings, 0, sizeof(settings));
    assert_int_equal(base_name_from_text("shop", &settings.cluster), 0);
    assert_int_equal(base_name_from_text("g1", &settings.member), 0);
    settings.host = base_text_from(SLICE_LIT("10.0.0.1"));
    settings.listen = settings.host;
    settings.port = settings.advertise_port = 3306;
    settings.peers_count = 2;
    set(settings.peers[0].address, "10.0.0.1:4567");
    set(settings.peers[1].address, "10.0.0.2:4567");
    set(settings.group_host, "10.0.0.1");
    settings.group_port = 4567;
    settings.ist_port = 4568;
    settings.sst_port = 4444;
    settings.weight = 1;
    settings.sst = GAL_SST_MARIABACKUP;
    settings.has_canary = true;
    set(settings.sst_password, "pass-word-1");
    set(settings.agent_password, "pass-word-2");
    set(settings.check_password, "pass-word-3");
}

static char text[16384];

static const char *conf_of(const struct db_galera_order *start)
{
    struct buf b = buf_over(text, sizeof(text) - 1);
    gal_conf_put(&settings, start, &b);
    assert_true(buf_terminate(&b));
    return text;
}

static void test_conf_joins_with_the_position(void **state)
{
    (void)state;
    settings_make();
    struct db_galera_order start = {.mode = DB_GALERA_JOIN, .position.seqno = 41};
    assert_int_equal(gal_uuid_parse(SLICE_LIT(UUID), start.position.uuid), 0);
    const char *conf = conf_of(&start);
    assert_non_null(strstr(conf, "\nread_only = ON\n"));
    assert_non_null(strstr(conf, "wsrep_start_position = \"" UUID ":41\""));
    assert_non_null(strstr(conf, "\"gcomm://10.0.0.1:4567,10.0.0.2:4567\""));
    assert_non_null(strstr(conf, "pc.recovery=false"));
    assert_null(strstr(conf, "socket.ssl"));
    assert_null(strstr(conf, "wsrep_sst_donor"));
    start.donors.count = 2;
    assert_int_equal(base_name_from_text("g3", &start.donors.names[0]), 0);
    assert_int_equal(base_name_from_text("g2", &start.donors.names[1]), 0);
    assert_non_null(strstr(conf_of(&start), "wsrep_sst_donor = \"g3,g2,\"\n"));
    start.mode = DB_GALERA_BOOTSTRAP;
    assert_non_null(strstr(conf_of(&start), "\"gcomm://\""));
}

static void test_conf_with_tls(void **state)
{
    (void)state;
    settings_make();
    settings.is_tls = true;
    set(settings.tls_ca.text, "/tls/ca.crt");
    const struct db_galera_order start = {.mode = DB_GALERA_SST, .position.seqno = -1};
    const char *conf = conf_of(&start);
    assert_non_null(strstr(conf, "socket.ssl_ca=/tls/ca.crt"));
    assert_non_null(
        strstr(conf, "[sst]\nencrypt = 3\nssl-mode = VERIFY_IDENTITY\ntca = /tls/ca.crt"));
    assert_non_null(strstr(conf, "wsrep_start_position = \"" NIL ":-1\""));
}

static void test_settings_of_ours_are_refused(void **state)
{
    (void)state;
    settings_make();
    static const char *const ours[] = {"read_only",
                                       "read-only",
                                       "READ_ONLY",
                                       "loose_wsrep_on",
                                       "wsrep-provider-options",
                                       "loose-wsrep_dirty_reads"};
    for (size_t i = 0; i < BASE_COUNT_OF(ours); i++) {
        assert_int_equal(gal_conf_add_parameter(&settings, ours[i], "0"), BASE_E_DENIED);
    }
    assert_int_equal(gal_conf_add_parameter(&settings, "innodb_buffer_pool_size", "1G"), 0);
    assert_int_equal(gal_conf_add_parameter(&settings, "a\nb", "1"), BASE_E_INVALID);
    assert_int_equal(gal_conf_add_parameter(&settings, "a", "1\n[sst]"), BASE_E_INVALID);
    assert_non_null(strstr(conf_of(NULL), "innodb_buffer_pool_size = 1G\n"));
    assert_null(strstr(text, "wsrep_provider"));
}

static void test_accounts(void **state)
{
    (void)state;
    settings_make();
    struct buf b = buf_over(text, sizeof(text) - 1);
    gal_accounts_put(&settings, false, &b);
    assert_true(buf_terminate(&b));
    assert_null(strstr(text, "pass-word"));
    assert_non_null(strstr(text, "'quorate_check'@'localhost'"));
    assert_null(strstr(text, "TO 'quorate_check'")); /* no grants at all */
    buf_reset(&b);
    gal_accounts_put(&settings, true, &b);
    assert_true(buf_terminate(&b));
    assert_non_null(strstr(text, "IDENTIFIED BY 'pass-word-2'"));
}

static void test_accounts_without_passwords(void **state)
{
    (void)state;
    settings_make();
    settings.is_socket_login = true;
    set(settings.os_user, "mysql");
    struct buf b = buf_over(text, sizeof(text) - 1);
    gal_accounts_put(&settings, true, &b);
    assert_true(buf_terminate(&b));
    assert_non_null(
        strstr(text, "USER IF NOT EXISTS 'mysql'@'localhost' IDENTIFIED VIA unix_socket"));
    assert_non_null(strstr(text, "BINLOG MONITOR ON *.* TO 'mysql'@'localhost'"));
    assert_null(strstr(text, "IDENTIFIED BY"));
    assert_null(strstr(text, "REPLACE USER")); /* it may be more than ours */
    assert_null(strstr(text, "quorate_"));
    const struct db_galera_order start = {.mode = DB_GALERA_JOIN, .position.seqno = -1};
    assert_non_null(strstr(conf_of(&start), "wsrep_sst_auth = \"mysql:\"\n"));
}

/* --- a node that runs --- */

static const char *running[6]; /* what it answers */
static int login;

static void answer(const struct gal_settings *s, enum gal_session session, const char *statement,
                   gal_reply_fn *done, void *ctx)
{
    struct gal_reply reply = {.status = login, .text = "", .rows = 1, .columns = 1};
    (void)s;
    if (session == GAL_SESSION_POLL && strstr(statement, "wsrep_node_name") != NULL) {
        reply.columns = 6;
        memcpy(reply.values[0], running, sizeof(running));
    }
    done(ctx, &reply);
}

static int adopt_with(size_t column, const char *value, const char *words)
{
    struct base_text why = {{0}};
    static const char *const good[] = {"1",     "g1",   "shop",
                                       "/tmp/", "3306", "base_port = 4567; socket.ssl = NO; "};
    settings_make();
    settings.is_tls = false;
    set(settings.data_dir.text, "/tmp");
    memcpy(running, good, sizeof(good));
    running[column] = value;
    int rc = gal_adopt_check(&settings, answer, &why);
    assert_non_null(strstr(why.text, words));
    return rc;
}

static void test_a_running_node_must_be_the_member(void **state)
{
    (void)state;
    login = 0;
    assert_int_equal(adopt_with(1, "g1", ""), 0);
    assert_int_equal(adopt_with(0, "0", "no Galera node"), BASE_E_STATE);
    assert_int_equal(adopt_with(1, "db-1", "set 'member'"), BASE_E_STATE);
    assert_int_equal(adopt_with(2, "my_wsrep_cluster", "cluster.name"), BASE_E_STATE);
    assert_int_equal(adopt_with(3, "/", "galera.socket"), BASE_E_STATE);
    assert_int_equal(adopt_with(4, "3307", "galera.port"), BASE_E_STATE);
    assert_int_equal(adopt_with(5, "socket.ssl = YES; ", "galera.tls: on"), BASE_E_STATE);
    login = BASE_E_DENIED;
    assert_int_equal(adopt_with(1, "g1", "--print-sql"), BASE_E_DENIED);
    login = BASE_E_CLOSED;
    assert_int_equal(adopt_with(1, "g1", "does not answer"), BASE_E_CLOSED);
    login = 0;
}

static void test_a_directory_without_a_server_has_nobody(void **state)
{
    (void)state;
    int32_t pid = 0;
    settings_make();
    set(settings.data_dir.text, "/nonexistent");
    assert_int_equal(gal_adopt_find(&settings, &pid), BASE_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grastate),
        cmocka_unit_test(test_grastate_that_cannot_be_read),
        cmocka_unit_test(test_recovered_position),
        cmocka_unit_test(test_damage_is_not_a_full_disk),
        cmocka_unit_test(test_gvwstate),
        cmocka_unit_test(test_status_of_a_healthy_member),
        cmocka_unit_test(test_status_of_others),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_conf_joins_with_the_position),
        cmocka_unit_test(test_conf_with_tls),
        cmocka_unit_test(test_settings_of_ours_are_refused),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_accounts_without_passwords),
        cmocka_unit_test(test_a_running_node_must_be_the_member),
        cmocka_unit_test(test_a_directory_without_a_server_has_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
