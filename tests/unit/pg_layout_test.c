/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle's pure parts: versions, Debian's layout, tablespaces, what of the WAL is part of a
 * history, postmaster.pid, the statements that make roles. */
#include <string.h>

#include "agents/postgresql/adopt.h"
#include "agents/postgresql/control.h"
#include "agents/postgresql/layout.h"
#include "agents/postgresql/roles.h"
#include "base/name.h"
#include "tests/support/cm.h"

#define MB (1u << 20)

static void test_versions(void **state)
{
    uint32_t major = 0;
    (void)state;
    assert_int_equal(pg_layout_version_parse("postgres (PostgreSQL) 15.4 (Debian 15.4-1)", &major),
                     0);
    assert_int_equal(major, 15);
    assert_int_equal(pg_layout_version_parse("postgres (PostgreSQL) 13.0", &major), 0);
    assert_int_equal(pg_layout_version_parse("postgres (PostgreSQL) 16beta1", &major), 0);
    assert_int_equal(pg_layout_version_parse("postgres (PostgreSQL) 12.9", &major),
                     BASE_E_UNSUPPORTED);
    assert_int_equal(pg_layout_version_parse("postgres (PostgreSQL) 17.0", &major),
                     BASE_E_UNSUPPORTED);
    assert_int_equal(pg_layout_version_parse("postgres (EnterpriseDB) 15", &major), BASE_E_INVALID);
    assert_int_equal(pg_layout_version_parse("", &major), BASE_E_INVALID);
}

static const char *layout_of(const struct pg_settings *s)
{
    static char text[4096];
    struct buf b = buf_over(text, sizeof(text));
    pg_layout_put(s, &b);
    assert_true(buf_terminate(&b));
    return text;
}

static void test_split_layout(void **state)
{
    static struct pg_settings s;
    char line[PG_LAYOUT_LINE_MAX];
    (void)state;
    assert_int_equal(pg_path_suffix("/data", "", &s.data_dir), 0);
    assert_int_equal(pg_path_suffix("/state", "", &s.state_dir), 0);
    assert_null(strstr(layout_of(&s), "hba_file"));
    assert_int_equal(pg_layout_include(&s, line, sizeof(line)), 0);
    assert_string_equal(line, "");
    assert_int_equal(pg_path_suffix("/etc/it's", "", &s.config_dir), 0);
    assert_non_null(strstr(layout_of(&s), "hba_file = '/data/pg_hba.conf'\n"));
    assert_non_null(strstr(layout_of(&s), "external_pid_file = '/state/postgresql.pid'\n"));
    assert_null(strstr(layout_of(&s), "stats_temp_directory"));
    s.version_major = 14;
    assert_non_null(strstr(layout_of(&s), "stats_temp_directory"));
    s.version_major = 16;
    assert_null(strstr(layout_of(&s), "promote_trigger_file"));
    assert_int_equal(pg_layout_include(&s, line, sizeof(line)), 0);
    assert_non_null(strstr(line, "include '/etc/it''s/postgresql.conf' "));
    assert_true(pg_layout_is_include(slice_from(line, strlen(line) - 1)));
    assert_false(pg_layout_is_include(SLICE_LIT("include 'quorate.conf' # written by quorate")));
    assert_false(pg_layout_is_include(SLICE_EMPTY));
}

static void test_tablespaces(void **state)
{
    static struct pg_settings s;
    struct pg_path path;
    (void)state;
    assert_int_equal(pg_path_suffix("/srv/a", "", &s.tablespaces.from[0]), 0);
    assert_int_equal(pg_path_suffix("/mnt/b", "", &s.tablespaces.to[0]), 0);
    s.tablespaces.count = 1;
    assert_int_equal(pg_layout_tablespace(&s, "/srv/a/x", &path), 0);
    assert_string_equal(path.text, "/mnt/b/x");
    assert_int_equal(pg_layout_tablespace(&s, "/srv/a", &path), 0);
    assert_string_equal(path.text, "/mnt/b");
    assert_int_equal(pg_layout_tablespace(&s, "/srv/ab", &path), 0);
    assert_string_equal(path.text, "/srv/ab"); /* a name that only begins alike */
}

/* Left timeline 1 in the middle of segment 5 (of 1 MB), timeline 3 at the end of segment 8. */
static void test_history_holds(void **state)
{
    static const char text[] = "1\t0/580000\tno recovery target specified\n\n"
                               "3\t0/900000\tno recovery target specified\n";
    struct slice history = slice_from_text(text);
    (void)state;
    assert_true(pg_history_holds_file(history, "000000010000000000000004", MB));
    assert_false(pg_history_holds_file(history, "000000010000000000000005", MB)); /* left within */
    assert_true(pg_history_holds_file(history, "000000030000000000000008", MB));
    assert_false(pg_history_holds_file(history, "000000030000000000000009", MB));
    assert_false(pg_history_holds_file(history, "000000020000000000000001", MB)); /* passed over */
    assert_false(pg_history_holds_file(history, "000000040000000000000001", MB)); /* its own */
    assert_true(pg_history_holds_file(history, "00000003.history", MB));
    assert_true(pg_history_holds_file(history, "000000010000000000000003.00000028.backup", MB));
    assert_false(pg_history_holds_file(history, "000000010000000000000005.partial", MB));
    assert_false(pg_history_holds_file(history, "RECOVERYXLOG", MB));
    assert_false(pg_history_holds_file(history, "", MB));
    assert_false(pg_history_holds_file(SLICE_EMPTY, "000000010000000000000001", MB));
}

static void test_postmaster_pid(void **state)
{
    struct pg_adoptee a;
    (void)state;
    assert_int_equal(pg_adopt_parse("4711\n/data\n1700000000\n5433\n/run/pg\nlocalhost\n"
                                    "  5001 77\nready   \n",
                                    &a),
                     0);
    assert_int_equal(a.pid, 4711);
    assert_int_equal(a.port, 5433);
    assert_string_equal(a.socket_dir.text, "/run/pg");
    assert_true(a.is_ready);
    assert_int_equal(pg_adopt_parse("4711\n/data\n1700000000\n5433\n\n\n", &a), 0);
    assert_false(a.is_ready);
    assert_int_equal(pg_adopt_parse("4711\n/data\n", &a), BASE_E_CORRUPT);
    assert_int_equal(pg_adopt_parse("-4711\n/data\n17\n5433\n/run\n", &a), BASE_E_CORRUPT);
    assert_int_equal(pg_adopt_parse("0\n/data\n17\n5433\n/run\n", &a), BASE_E_CORRUPT);
    assert_int_equal(pg_adopt_parse("", &a), BASE_E_CORRUPT);
}

/* One statement a line, whatever a password holds. */
static void test_roles(void **state)
{
    static struct pg_settings s;
    static char text[PG_ROLES_BYTES_MAX];
    struct buf b = buf_over(text, sizeof(text));
    (void)state;
    memcpy(s.password_replication, "it's$$", 7);
    memcpy(s.password_rewind, "rewind-it", 10);
    memcpy(s.bootstrap.users[0].text, "app", 4);
    memcpy(s.bootstrap.user_options[0].text, "createdb", 9);
    s.bootstrap.users_count = 1;
    pg_roles_put(&s, true, "other:x\napp:se'cret\n", &b);
    assert_true(buf_terminate(&b) && !b.is_full);
    assert_non_null(strstr(text, "ALTER ROLE \"quorate_replication\" REPLICATION LOGIN PASSWORD "
                                 "'it''s$$'\n"));
    assert_non_null(strstr(text, "ALTER ROLE \"app\" LOGIN createdb PASSWORD 'se''cret'\n"));
    assert_non_null(strstr(text, "GRANT pg_checkpoint TO"));
    b = buf_over(text, sizeof(text));
    s.version_major = 14;
    pg_roles_put(&s, false, "", &b);
    assert_true(buf_terminate(&b));
    assert_null(strstr(text, "\"app\""));
    assert_null(strstr(text, "pg_checkpoint"));
    assert_true(pg_roles_is_option("CreateDB"));
    assert_false(pg_roles_is_option("password"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),       cmocka_unit_test(test_split_layout),
        cmocka_unit_test(test_tablespaces),    cmocka_unit_test(test_history_holds),
        cmocka_unit_test(test_postmaster_pid), cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
