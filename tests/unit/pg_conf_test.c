/* SPDX-License-Identifier: Apache-2.0 */
/* What we write into a data directory, and helper programs: sync names there and back, slots,
 * connection strings, files, limits of children. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/conf.h"
#include "agents/shell/child.h"
#include "base/name.h"
#include "tests/support/cm.h"

static char dir[] = "/tmp/quorate-pg-unit-XXXXXX";
static struct pg_settings settings;

static struct msg_names names_of(const char *a, const char *b)
{
    struct msg_names names;
    memset(&names, 0, sizeof(names));
    assert_int_equal(base_name_from_text(a, &names.names[0]), 0);
    names.count = 1;
    if (b != NULL) {
        assert_int_equal(base_name_from_text(b, &names.names[1]), 0);
        names.count = 2;
    }
    return names;
}

static void check_sync(const struct msg_names *names, uint8_t count, const char *expected)
{
    char text[512];
    struct buf b = buf_over(text, sizeof(text));
    struct msg_names parsed;
    uint8_t parsed_count = 99;
    pg_sync_format(names, count, &b);
    assert_true(buf_terminate(&b));
    assert_string_equal(text, expected);
    assert_int_equal(pg_sync_parse(buf_slice(&b), &parsed, &parsed_count), 0);
    assert_int_equal(parsed_count, count);
    if (count > 0) {
        assert_memory_equal(&parsed, names, sizeof(parsed));
    }
}

static void test_sync_names(void **state)
{
    struct msg_names two = names_of("pg-1", "pg2");
    struct msg_names none;
    uint8_t count = 0;
    (void)state;
    memset(&none, 0, sizeof(none));
    check_sync(&two, 1, "ANY 1 (\"pg-1\", \"pg2\")");
    check_sync(&two, 3, "ANY 3 (\"pg-1\", \"pg2\")");
    check_sync(&none, 2, "ANY 2 (\"quorate_nobody\")");
    check_sync(&two, 0, "");
    static const char *const foreign[] = {"*",
                                          "a",
                                          "FIRST 1 (a)",
                                          "ANY 1 (a)",
                                          "ANY 0 (\"a\")",
                                          "ANY 1 (\"a\"",
                                          "ANY 1 (",
                                          "ANY 1 (\"A\")",
                                          "ANY 99 (\"a\")",
                                          "ANY 1 (\"a\",\"b\")"};
    for (size_t i = 0; i < BASE_COUNT_OF(foreign); i++) {
        assert_int_equal(pg_sync_parse(slice_from_text(foreign[i]), &none, &count),
                         BASE_E_UNSUPPORTED);
    }
}

static void test_slot_names(void **state)
{
    struct msg_names n = names_of("pg-1", "pg_1");
    struct base_name longest;
    (void)state;
    assert_string_equal(pg_slot_name(&n.names[1]).text, "quorate_pg_1");
    assert_string_not_equal(pg_slot_name(&n.names[0]).text, pg_slot_name(&n.names[1]).text);
    memset(&longest, 0, sizeof(longest));
    memset(longest.text, 'a', BASE_NAME_MAX);
    assert_true(strlen(pg_slot_name(&longest).text) <= 63);
    assert_int_equal(
        strspn(pg_slot_name(&n.names[0]).text, "abcdefghijklmnopqrstuvwxyz0123456789_"),
        strlen(pg_slot_name(&n.names[0]).text));
}

static void test_parameters(void **state)
{
    struct pg_settings s;
    (void)state;
    memset(&s, 0, sizeof(s));
    assert_int_equal(pg_settings_add_parameter(&s, "log_line_prefix", "it's %m\\"), 0);
    assert_string_equal(s.parameters[0].text, "log_line_prefix = 'it''s %m\\\\'");
    assert_int_equal(pg_settings_add_parameter(&s, "Synchronous_Standby_Names", "*"),
                     BASE_E_DENIED);
    assert_int_equal(pg_settings_add_parameter(&s, "quorate.upstream", "x"), BASE_E_DENIED);
    assert_int_equal(pg_settings_add_parameter(&s, "a b", "x"), BASE_E_INVALID);
    assert_int_equal(pg_settings_add_parameter(&s, "", "x"), BASE_E_INVALID);
    assert_int_equal(pg_settings_add_parameter(&s, "work_mem", "1\nport=1"), BASE_E_INVALID);
}

static void read_file(const char *name, char *memory, size_t cap)
{
    struct pg_path path;
    size_t len = 0;
    assert_int_equal(pg_path_join(dir, name, &path), 0);
    assert_int_equal(pg_file_read(path.text, memory, cap, &len), 0);
}

static void write_file(const char *name, const char *text)
{
    struct pg_path path;
    assert_int_equal(pg_path_join(dir, name, &path), 0);
    assert_int_equal(pg_file_write(path.text, slice_from_text(text), 0600), 0);
}

static void test_install(void **state)
{
    static char text[32768];
    (void)state;
    write_file("postgresql.conf",
               "include 'quorate.conf' # old\nmax_connections = 100\nwork_mem = '1MB'");
    write_file("postgresql.auto.conf", "# head\n primary_conninfo = 'host=evil'\nwork_mem = '2MB'\n"
                                       "synchronous_standby_names='x'\n");
    for (int i = 0; i < 2; i++) { /* twice is the same as once */
        assert_int_equal(pg_conf_install(&settings, dir, false), 0);
        read_file("postgresql.conf", text, sizeof(text));
        assert_string_equal(text, "max_connections = 100\nwork_mem = '1MB'\n"
                                  "include 'quorate.conf' # written by quorate, keep it last\n");
        read_file("postgresql.auto.conf", text, sizeof(text));
        assert_string_equal(text, "# head\nwork_mem = '2MB'\n");
    }
    bool is_changed = false;
    assert_int_equal(pg_conf_set_gate(&settings, dir, false, &is_changed), 0);
    assert_false(is_changed);
    assert_int_equal(pg_conf_set_gate(&settings, dir, true, &is_changed), 0);
    assert_true(is_changed);
    read_file("pg_hba.conf", text, sizeof(text));
    assert_non_null(strstr(text, "host all all all reject"));
}

static void test_conf(void **state)
{
    static char text[32768];
    struct pg_conf conf;
    (void)state;
    memset(&conf, 0, sizeof(conf));
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    read_file("quorate.conf", text, sizeof(text));
    assert_non_null(strstr(text, "primary_conninfo = ''\n"));
    assert_non_null(strstr(text, "synchronous_standby_names = 'ANY 1 (\"quorate_nobody\")'\n"));
    assert_null(strstr(text, "secret"));
    assert_int_equal(base_name_from_text("pg2", &conf.upstream), 0);
    conf.upstream_host = base_text_from(SLICE_LIT("ho'st"));
    conf.upstream_port = 5433;
    conf.has_slot = true;
    conf.has_sync = true;
    assert_int_equal(pg_conf_write(&settings, dir, &conf), 0);
    read_file("quorate.conf", text, sizeof(text));
    assert_non_null(strstr(text, "primary_conninfo = 'host=''ho\\\\''st'' port=''5433''"));
    assert_non_null(strstr(text, "primary_slot_name = 'quorate_pg1'\n"));
    assert_non_null(strstr(text, "synchronous_standby_names = ''\n"));
    assert_null(strstr(text, "secret"));
}

static int try_passwords(const char *text, unsigned mode)
{
    struct pg_settings s;
    struct pg_path path;
    struct base_text why;
    memset(&s, 0, sizeof(s));
    assert_int_equal(pg_path_join(dir, "passwords", &path), 0);
    assert_int_equal(pg_file_write(path.text, slice_from_text(text), mode), 0);
    int status = pg_settings_read_passwords(&s, path.text, &why);
    if (status == 0) {
        assert_string_equal(s.password_rewind, "abcd:efgh");
    }
    return status;
}

static void test_passwords(void **state)
{
    (void)state;
    assert_int_equal(try_passwords("replication:12345678\n#x\nrewind:abcd:efgh\n", 0600), 0);
    assert_int_equal(
        try_passwords("superuser:12345678\nreplication:12345678\nrewind:abcd:efgh", 0600), 0);
    assert_int_equal(try_passwords("replication:12345678\nrewind:abcd:efgh\n", 0640),
                     BASE_E_DENIED);
    assert_int_equal(try_passwords("replication:12345678\n", 0600), BASE_E_INVALID);
    assert_int_equal(try_passwords("replication:short\nrewind:abcd:efgh\n", 0600), BASE_E_INVALID);
    assert_int_equal(try_passwords("somebody:12345678\n", 0600), BASE_E_INVALID);
}

/* --- helper programs --- */

static int run_shell(const char *script, int64_t limit_us, int cancel_fd,
                     struct pg_child_result *result)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct pg_child child = {.argv = argv,
                             .input = SLICE_LIT("in\n"),
                             .deadline = base_mono_add_us(pg_now(), limit_us),
                             .cancel_fd = cancel_fd,
                             .lock_fd = -1};
    return pg_child_run(&child, result);
}

static void test_children(void **state)
{
    struct pg_child_result r;
    struct base_text why;
    uint64_t one = 1;
    (void)state;
    assert_int_equal(run_shell("read x; echo got $x", 5 * BASE_US_PER_S, -1, &r), 0);
    assert_string_equal(r.head, "got in\n");
    assert_int_equal(run_shell("echo one; echo 'x: error: two' >&2; echo three; exit 3",
                               5 * BASE_US_PER_S, -1, &r),
                     BASE_E_STATE);
    pg_child_reason(&r, &why);
    assert_string_equal(why.text, "x: error: two");
    assert_int_equal(run_shell("exit 4", 5 * BASE_US_PER_S, -1, &r), BASE_E_STATE);
    pg_child_reason(&r, &why);
    assert_string_equal(why.text, "exit code 4");
    assert_int_equal(run_shell("sleep 60 & sleep 60", 50 * BASE_US_PER_MS, -1, &r), BASE_E_TIMEOUT);
    int cancel_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(write(cancel_fd, &one, sizeof(one)), sizeof(one));
    assert_int_equal(run_shell("sleep 60", 5 * BASE_US_PER_S, cancel_fd, &r), BASE_E_CANCELED);
    close(cancel_fd);
    /* Much output is kept bounded, and a child that closes its output is still waited for. */
    assert_int_equal(run_shell("i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done",
                               20 * BASE_US_PER_S, -1, &r),
                     0);
    assert_int_equal(r.head_len, PG_CHILD_HEAD_MAX - 1);
    assert_int_equal(run_shell("exec >&- 2>&-; sleep 0.1; exit 5", 5 * BASE_US_PER_S, -1, &r),
                     BASE_E_STATE);
    const char *argv[] = {"/nonexistent/program", NULL};
    struct pg_child child = {.argv = argv,
                             .deadline = base_mono_add_us(pg_now(), BASE_US_PER_S),
                             .cancel_fd = -1,
                             .lock_fd = -1};
    assert_int_equal(pg_child_run(&child, &r), BASE_E_STATE);
}

static void test_directories(void **state)
{
    struct pg_path a;
    struct pg_path b;
    (void)state;
    assert_int_equal(pg_path_join(dir, "tree", &a), 0);
    assert_int_equal(mkdir(a.text, 0700), 0);
    assert_true(pg_dir_is_empty(a.text));
    assert_int_equal(pg_path_join(dir, "tree/sub", &b), 0);
    assert_int_equal(mkdir(b.text, 0700), 0);
    write_file("tree/sub/file", "x");
    write_file("tree/other", "x");
    assert_int_equal(pg_path_join(dir, "tree/link", &b), 0);
    assert_int_equal(symlink(dir, b.text), 0);
    assert_false(pg_dir_is_empty(a.text));
    assert_int_equal(pg_dir_remove_prefixed(a.text, "su"), 0);
    assert_int_equal(pg_path_join(dir, "tree/other", &b), 0);
    assert_true(pg_file_exists(b.text));
    assert_int_equal(pg_dir_remove(a.text, true), 0);
    assert_true(pg_dir_is_empty(a.text) && pg_file_exists(a.text));
    assert_int_equal(pg_dir_remove(a.text, false), 0);
    assert_false(pg_file_exists(a.text));
    assert_true(pg_file_exists(dir)); /* the link was not followed */
}

static int make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(base_name_from_text("test", &settings.cluster), 0);
    assert_int_equal(base_name_from_text("pg1", &settings.member), 0);
    (void)snprintf(settings.state_dir.text, sizeof(settings.state_dir.text), "%s", dir);
    (void)snprintf(settings.socket_dir.text, sizeof(settings.socket_dir.text), "%s", dir);
    (void)snprintf(settings.password_replication, sizeof(settings.password_replication),
                   "secret-one");
    (void)snprintf(settings.os_user, sizeof(settings.os_user), "postgres");
    settings.listen = base_text_from(SLICE_LIT("127.0.0.1"));
    settings.port = 5432;
    return 0;
}

static int clean(void **state)
{
    (void)state;
    return pg_dir_remove(dir, false);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the agent does: a child may go before it has read */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_names), cmocka_unit_test(test_slot_names),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_install),
        cmocka_unit_test(test_conf),       cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_children),   cmocka_unit_test(test_directories),
    };
    return cmocka_run_group_tests_name("pg_conf", tests, make, clean);
}
