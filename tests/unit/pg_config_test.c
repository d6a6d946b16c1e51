/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's document in a member's files: whose value counts, bounds of the parameters that
 * standbys must have at least as high, pg_hba.conf and pg_ident.conf managed or left alone, and
 * what survives a restart of the agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/postgresql/conf.h"
#include "agents/postgresql/config.h"
#include "base/canary.h"
#include "base/name.h"
#include "tests/support/cm.h"

static char dir[] = "/tmp/quorate-pg-config-XXXXXX";
static struct pg_settings settings;
static char text[65536];

static void put_in_force(const char *document, uint64_t revision)
{
    struct arb_settings_why why;
    uint64_t old = revision;
    if (pg_config_read(settings.config, slice_from_text(document), &why) != 0) {
        fail_msg("%s", why.text);
    }
    pg_config_swap(settings.config, &old);
}

static const char *file(const char *name)
{
    struct pg_path path;
    size_t len = 0;
    assert_int_equal(pg_path_join(dir, name, &path), 0);
    assert_int_equal(pg_file_read(path.text, text, sizeof(text), &len), 0);
    return text;
}

static void write_file(const char *name, const char *content)
{
    struct pg_path path;
    assert_int_equal(pg_path_join(dir, name, &path), 0);
    assert_int_equal(pg_file_write(path.text, slice_from_text(content), 0600), 0);
}

/* The last line that sets `name`, as the server takes it. */
static const char *value_of(const char *name)
{
    static char value[256];
    char key[80];
    (void)snprintf(key, sizeof(key), "\n%s = ", name);
    const char *found = NULL;
    for (const char *at = strstr(text, key); at != NULL; at = strstr(at + 1, key)) {
        found = at + strlen(key);
    }
    (void)snprintf(value, sizeof(value), "%.*s", found == NULL ? 0 : (int)strcspn(found, "\n"),
                   found == NULL ? "" : found);
    return value;
}

static void write_conf(void)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    (void)file("quorate.conf");
}

static struct pg_control control_of(int64_t connections)
{
    struct pg_control control;
    memset(&control, 0, sizeof(control));
    control.ordered[0] = connections;
    control.ordered[1] = 64;
    control.ordered[3] = 16;
    control.ordered[4] = 8;
    return control;
}

static void test_whose_value_counts(void **state)
{
    (void)state;
    put_in_force("{\"postgresql\": {\"parameters\": {\"work_mem\": \"9MB\", \"wal_keep_size\":"
                 "\"1GB\", \"max_connections\": 200, \"log_line_prefix\": \"it's %m\"},"
                 "\"max_slot_wal_keep_size\": \"7GB\"}}",
                 1);
    write_conf();
    assert_string_equal(value_of("work_mem"), "'5MB'");        /* the member's own */
    assert_string_equal(value_of("wal_keep_size"), "'1GB'");   /* of all members */
    assert_string_equal(value_of("max_connections"), "'200'"); /* of all members */
    assert_string_equal(value_of("log_line_prefix"), "'it''s %m'");
    assert_string_equal(value_of("max_slot_wal_keep_size"), "'7GB'");
    assert_string_equal(value_of("fsync"), "on");
    assert_string_equal(value_of("restart_after_crash"), "off");
    assert_true(pg_config_wanted(&settings, 0) == 200);
    assert_true(pg_config_wanted(&settings, 3) == 16);
    assert_true(pg_config_wanted(&settings, 4) == 0);
    assert_true(pg_config_overrides(&settings, SLICE_LIT("MAX_CONNECTIONS")));
    assert_false(pg_config_overrides(&settings, SLICE_LIT("work_mem")));
    assert_false(pg_config_overrides(&settings, SLICE_LIT("max_wal_senders")));
}

static void test_a_standby_has_at_least_what_the_primary_has(void **state)
{
    struct pg_control control = control_of(300);
    (void)state;
    put_in_force("{\"postgresql\": {\"parameters\": {\"max_connections\": 200}}}", 2);
    pg_config_bound(settings.config, &control, false, false);
    write_conf();
    assert_string_equal(value_of("max_connections"), "300");
    assert_string_equal(value_of("max_worker_processes"), "8"); /* nobody else says one */
    assert_string_equal(value_of("max_wal_senders"), "16");
    control = control_of(100);
    pg_config_bound(settings.config, &control, false, false);
    write_conf();
    assert_string_equal(value_of("max_connections"), "'200'"); /* raised here first */
}

static void test_a_primary_waits_for_its_standbys(void **state)
{
    struct pg_control control = control_of(100);
    (void)state;
    put_in_force("{\"postgresql\": {\"parameters\": {\"max_connections\": 200,"
                 "\"max_worker_processes\": 4}}}",
                 3);
    pg_config_bound(settings.config, &control, true, true);
    write_conf();
    assert_string_equal(value_of("max_connections"), "100");
    assert_string_equal(value_of("max_worker_processes"), "'4'"); /* lowered here first */
    pg_config_bound(settings.config, &control, true, false);
    write_conf();
    assert_string_equal(value_of("max_connections"), "'200'");
}

/* Its primary would count it as the member of its own cluster that has the same name. */
static void test_a_standby_of_another_cluster_has_another_name(void **state)
{
    struct pg_conf conf;
    (void)state;
    memset(&conf, 0, sizeof(conf));
    assert_int_equal(base_name_from_text("remote", &conf.upstream), 0);
    conf.upstream_host = base_text_from(SLICE_LIT("10.9.0.2"));
    conf.upstream_port = 5433;
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    assert_non_null(strstr(file("quorate.conf"), "application_name=''pg1''"));
    conf.is_remote = true;
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    assert_non_null(strstr(file("quorate.conf"), "application_name=''remote/test/pg1''"));
    assert_null(strstr(text, "application_name=''pg1''"));
    assert_null(strstr(text, "target_session_attrs"));
    conf.upstream_host = base_text_from(SLICE_LIT("10.9.0.2,10.9.0.3")); /* whoever is primary */
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    assert_non_null(strstr(file("quorate.conf"), "host=''10.9.0.2,10.9.0.3''"));
    assert_non_null(strstr(text, "target_session_attrs=''read-write''"));
}

/* Other settings change; what stands there of the role does not. */
static void test_rewrite_keeps_the_role(void **state)
{
    struct pg_conf conf;
    (void)state;
    memset(&conf, 0, sizeof(conf));
    assert_int_equal(base_name_from_text("pg2", &conf.upstream), 0);
    conf.upstream_host = base_text_from(SLICE_LIT("10.0.0.2"));
    conf.upstream_port = 5433;
    conf.has_slot = true;
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    put_in_force("{\"postgresql\": {\"parameters\": {\"temp_buffers\": \"3MB\"}}}", 4);
    assert_int_equal(pg_conf_rewrite(&settings, dir, dir), 0);
    (void)file("quorate.conf");
    assert_string_equal(value_of("temp_buffers"), "'3MB'");
    assert_string_equal(value_of("primary_slot_name"), "'quorate_pg1'");
    assert_string_equal(value_of("synchronous_standby_names"), "'ANY 1 (\"quorate_nobody\")'");
    assert_non_null(strstr(value_of("primary_conninfo"), "10.0.0.2"));
    assert_true(pg_conf_is(&settings, dir, &conf));
    conf.has_slot = false;
    assert_false(pg_conf_is(&settings, dir, &conf));
}

static void test_hba_of_the_document(void **state)
{
    bool is_changed = false;
    (void)state;
    put_in_force("{\"postgresql\": {\"pg_hba\": [\"host app app 10.0.0.0/8 md5\"],"
                 "\"pg_ident\": [\"people joe joe\"]}}",
                 5);
    assert_int_equal(pg_conf_set_gate(&settings, dir, false, &is_changed), 0);
    const char *hba = file("pg_hba.conf");
    const char *ours = strstr(hba, "local all postgres,quorate_monitor peer map=quorate\n");
    const char *reject = strstr(hba, "host all quorate_replication,quorate_rewind");
    const char *users = strstr(hba, "host app app 10.0.0.0/8 md5\nhost own own samehost trust\n");
    assert_true(ours != NULL && reject != NULL && users != NULL && ours < reject && reject < users);
    assert_false(pg_conf_is_gated(dir));
    assert_int_equal(pg_conf_set_gate(&settings, dir, true, &is_changed), 0);
    assert_true(is_changed && pg_conf_is_gated(dir));
    assert_null(strstr(file("pg_hba.conf"), "10.0.0.0/8"));
    assert_int_equal(pg_conf_set_ident(&settings, dir, &is_changed), 0);
    assert_non_null(strstr(file("pg_ident.conf"), "quorate postgres postgres\n"));
    assert_non_null(strstr(file("pg_ident.conf"), "people joe joe\n"));
    assert_int_equal(pg_conf_set_ident(&settings, dir, &is_changed), 0);
    assert_false(is_changed);
}

static void test_hba_left_alone(void **state)
{
    bool is_changed = false;
    (void)state;
    put_in_force("{\"postgresql\": {\"pg_hba\": \"keep\"}}", 6);
    write_file("pg_hba.conf", "# mine\nhost x x 1.2.3.0/24 md5\n");
    for (int i = 0; i < 3; i++) { /* also behind a closed gate, and again */
        assert_int_equal(pg_conf_set_gate(&settings, dir, i == 1, &is_changed), 0);
        const char *hba = file("pg_hba.conf");
        const char *users = strstr(hba, "# mine\nhost x x 1.2.3.0/24 md5\n");
        const char *gate = strstr(hba, "host all all all reject\n");
        assert_non_null(users);
        assert_null(strstr(users + 1, "# mine"));
        assert_true(strstr(hba, "local all postgres,quorate_monitor") < users);
        assert_true((gate != NULL && gate < users) == (i == 1));
    }
}

static void test_altered_values_are_taken_out(void **state)
{
    (void)state;
    put_in_force("{\"postgresql\": {\"parameters\": {\"max_connections\": 200}}}", 7);
    write_file("postgresql.conf", "a = 1\n");
    write_file("postgresql.auto.conf", "max_connections = '5'\nwork_mem = '1MB'\n"
                                       "max_wal_senders = '20'\nprimary_conninfo = 'x'\n");
    assert_int_equal(pg_conf_install(&settings, dir, false), 0);
    assert_string_equal(file("postgresql.auto.conf"), "work_mem = '1MB'\nmax_wal_senders = '20'\n");
}

static void test_survives_a_restart(void **state)
{
    static const char document[] = "{\"postgresql\": {\"parameters\": {\"work_mem\": \"4MB\"}}}";
    (void)state;
    assert_int_equal(pg_config_save(&settings, 42, slice_from_text(document)), 0);
    pg_config_close(&settings);
    assert_int_equal(pg_config_open(&settings), 0);
    assert_true(settings.config->revision == 42);
    assert_string_equal(pg_config_value(&settings, "Work_Mem"), "4MB");
    write_file("cluster-config", "17\n{\"postgresql\": 5}"); /* damaged: as if there were none */
    pg_config_close(&settings);
    assert_int_equal(pg_config_open(&settings), 0);
    assert_true(settings.config->revision == 0);
    assert_null(pg_config_value(&settings, "work_mem"));
}

static int make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(base_name_from_text("test", &settings.cluster), 0);
    assert_int_equal(base_name_from_text("pg1", &settings.member), 0);
    (void)snprintf(settings.state_dir.text, sizeof(settings.state_dir.text), "%s", dir);
    (void)snprintf(settings.data_dir.text, sizeof(settings.data_dir.text), "%s", dir);
    (void)snprintf(settings.os_user, sizeof(settings.os_user), "postgres");
    settings.listen = base_text_from(SLICE_LIT("127.0.0.1"));
    settings.port = 5432;
    assert_int_equal(pg_settings_add_parameter(&settings, "work_mem", "5MB"), 0);
    assert_int_equal(pg_settings_add_parameter(&settings, "max_connections", "50"), 0);
    assert_int_equal(pg_settings_add_parameter(&settings, "wal_keep_size", "64MB"), 0);
    assert_int_equal(pg_settings_add_hba(&settings, "host own own samehost trust"), 0);
    return pg_config_open(&settings);
}

static int clean(void **state)
{
    (void)state;
    pg_config_close(&settings);
    return pg_dir_remove(dir, false);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_value_counts),
        cmocka_unit_test(test_a_standby_has_at_least_what_the_primary_has),
        cmocka_unit_test(test_a_primary_waits_for_its_standbys),
        cmocka_unit_test(test_a_standby_of_another_cluster_has_another_name),
        cmocka_unit_test(test_rewrite_keeps_the_role),
        cmocka_unit_test(test_hba_of_the_document),
        cmocka_unit_test(test_hba_left_alone),
        cmocka_unit_test(test_altered_values_are_taken_out),
        cmocka_unit_test(test_survives_a_restart),
    };
    return cmocka_run_group_tests_name("pg_config", tests, make, clean);
}
