/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers of what PostgreSQL's programs and files say: control file, history files, LSNs, record
 * ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/control.h"
#include "tests/support/cm.h"

static const char output[] = "pg_control version number:            1300\n"
                             "Catalog version number:               202209061\n"
                             "Database system identifier:           7710209051103738192\n"
                             "Database cluster state:               shut down\n"
                             "Latest checkpoint location:           16/B374D848\n"
                             "Latest checkpoint's REDO location:    16/B374D848\n"
                             "Latest checkpoint's TimeLineID:       5\n"
                             "Latest checkpoint's PrevTimeLineID:   5\n"
                             "Minimum recovery ending location:     0/0\n"
                             "Min recovery ending loc's timeline:   0\n"
                             "wal_log_hints setting:                on\n"
                             "Bytes per WAL segment:                16777216\n"
                             "Data page checksum version:           0\n";

static void test_control(void **state)
{
    struct pg_control c;
    (void)state;
    assert_int_equal(pg_control_parse(slice_from_text(output), &c), 0);
    assert_true(c.system_id == UINT64_C(7710209051103738192));
    assert_int_equal(c.state, PG_STATE_SHUT_DOWN);
    assert_true(c.checkpoint_lsn == UINT64_C(0x16B374D848));
    assert_int_equal(c.timeline, 5);
    assert_int_equal(c.segment_bytes, 16777216);
    assert_true(c.may_rewind);
}

/* Every prefix of the output is either refused or says the same; none is read beyond its end. */
static void test_control_cut(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(output) - 1; len++) {
        struct pg_control c;
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, output, len);
        int status = pg_control_parse(slice_from(copy, len), &c);
        assert_true(status == BASE_E_CORRUPT || (status == 0 && c.timeline == 5));
        free(copy);
    }
}

static void check_state(const char *text, enum pg_state expected)
{
    char changed[sizeof(output) + 64];
    struct pg_control c;
    const char *at = strstr(output, "shut down");
    (void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - output), output, text,
                   at + strlen("shut down"));
    assert_int_equal(pg_control_parse(slice_from_text(changed), &c), 0);
    assert_int_equal(c.state, expected);
}

static void test_states(void **state)
{
    (void)state;
    check_state("in production", PG_STATE_IN_PRODUCTION);
    check_state("shut down in recovery", PG_STATE_SHUT_DOWN_IN_RECOVERY);
    check_state("in archive recovery", PG_STATE_IN_RECOVERY);
    check_state("in crash recovery", PG_STATE_IN_RECOVERY);
    check_state("shutting down", PG_STATE_IN_RECOVERY);
    check_state("on holiday", PG_STATE_UNKNOWN);
}

static void test_lsn(void **state)
{
    uint64_t lsn = 7;
    (void)state;
    assert_int_equal(pg_lsn_parse(SLICE_LIT("0/3000148"), &lsn), 0);
    assert_true(lsn == 0x3000148);
    assert_int_equal(pg_lsn_parse(SLICE_LIT("FFFFFFFF/FFFFFFFF"), &lsn), 0);
    assert_true(lsn == UINT64_MAX);
    static const char *const bad[] = {"",    "/",           "0/",    "/1",  "1",
                                      "0/x", "123456789/0", "0/0/0", "-1/0"};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_int_equal(pg_lsn_parse(slice_from_text(bad[i]), &lsn), BASE_E_INVALID);
        assert_true(lsn == UINT64_MAX);
    }
    assert_string_equal(pg_lsn_format(UINT64_C(0x16B374D848)).text, "16/B374D848");
}

static void test_record_end(void **state)
{
    const uint32_t segment = 16777216;
    (void)state;
    assert_true(pg_record_end(0x3000028, 114, segment) == 0x3000028 + 120);
    /* Just fits into its page, then runs over into the next one and its header. */
    assert_true(pg_record_end(0x3002000 - 120, 114, segment) == 0x3002000);
    assert_true(pg_record_end(0x3002000 - 112, 114, segment) == 0x3002000 + 24 + 8);
    /* ... and over the end of a segment, whose first page has the long header. */
    assert_true(pg_record_end(0x4000000 - 24, 114, segment) == 0x4000000 + 40 + 96);
}

static void test_history(void **state)
{
    static const char text[] = "1\t0/5000000\tno recovery target specified\n"
                               "\n# a comment\n"
                               "4\t0/7000148\tno recovery target specified\n";
    struct slice history = slice_from_text(text);
    uint64_t lsn = 0;
    (void)state;
    assert_int_equal(pg_history_fork(history, &lsn), 0);
    assert_true(lsn == 0x7000148);
    assert_int_equal(pg_history_switch_of(history, 1, &lsn), 0);
    assert_true(lsn == 0x5000000);
    assert_int_equal(pg_history_switch_of(history, 2, &lsn), BASE_E_NOTFOUND);
    assert_int_equal(pg_history_fork(SLICE_EMPTY, &lsn), BASE_E_NOTFOUND);
}

static void touch(const char *dir, const char *name, const char *text)
{
    struct pg_path path;
    assert_int_equal(pg_path_join(dir, name, &path), 0);
    assert_int_equal(pg_file_write(path.text, slice_from_text(text), 0600), 0);
}

static void test_wal_list(void **state)
{
    char dir[] = "/tmp/quorate-pg-unit-XXXXXX";
    struct pg_path wal;
    struct pg_wal_seen seen;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pg_path_join(dir, "pg_wal", &wal), 0);
    assert_int_equal(mkdir(wal.text, 0700), 0);
    touch(dir, "pg_wal/000000010000000000000003", "x");
    touch(dir, "pg_wal/000000030000000000000004", "x");
    touch(dir, "pg_wal/000000090000000000000004.partial", "x");
    touch(dir, "pg_wal/00000003.history", "1\t0/4000000\tx\n");
    touch(dir, "pg_wal/00000002.history", "");
    touch(dir, "pg_wal/00000004.history", "");
    touch(dir, "pg_wal/0000000G.history", "");
    assert_int_equal(pg_wal_list(dir, &seen), 0);
    assert_int_equal(seen.history_highest, 4);
    assert_int_equal(seen.history_highest_real, 3);
    assert_int_equal(seen.segment_timeline_highest, 3);
    assert_int_equal(pg_history_clear_reserved(dir), 0);
    assert_int_equal(pg_wal_list(dir, &seen), 0);
    assert_int_equal(seen.history_highest, 3);
    struct pg_path passed_over;
    assert_int_equal(pg_history_path(dir, 2, &passed_over), 0);
    assert_true(pg_file_exists(passed_over.text));
    assert_int_equal(pg_dir_remove(dir, false), 0);
    assert_false(pg_file_exists(dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),    cmocka_unit_test(test_control_cut),
        cmocka_unit_test(test_states),     cmocka_unit_test(test_lsn),
        cmocka_unit_test(test_record_end), cmocka_unit_test(test_history),
        cmocka_unit_test(test_wal_list),
    };
    return cmocka_run_group_tests_name("pg_control", tests, NULL, NULL);
}
