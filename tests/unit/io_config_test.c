/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the configuration reader: sources, types, places of errors. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/io/config.h"
#include "proto/io/table.h"

/* clang-format off */
#define TEST_KEYS(X) \
    X(NAME, "name", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, "Name") \
    X(TIMEOUT, "net.timeout", DURATION, "2s", 10000, 10000000, NULL, IO_CONFIG_PLAIN, "Timeout") \
    X(SIZE, "net.size", SIZE, "64kB", 1000, 1000000, NULL, IO_CONFIG_PLAIN, "Size") \
    X(NODES, "net.nodes", MAP, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Nodes") \
    X(LIST, "net.list", LIST, "a,b", 0, 0, NULL, IO_CONFIG_PLAIN, "List") \
    X(ON, "on", BOOL, "no", 0, 0, NULL, IO_CONFIG_PLAIN, "Switch") \
    X(MODE, "mode", TEXT, "auto", 0, 0, "on|off|auto", IO_CONFIG_PLAIN, "Mode") \
    X(SECRET, "secret", TEXT, NULL, 0, 0, NULL, IO_CONFIG_SECRET, "Secret")
/* clang-format on */
enum test_key { TEST_KEYS(IO_CONFIG_ENUM) KEY_COUNT };
static const struct io_config_key keys[] = {TEST_KEYS(IO_CONFIG_ROW)};
static const struct io_config_alias aliases[] = {{"wait", "net.timeout", "ms"}};
static const struct io_config_absent absent[] = {{"jump", "there is nothing to jump over"}};
static const struct io_config_spec spec = {.program = "test",
                                           .absent = absent,
                                           .absent_count = 1,
                                           .summary = "Test",
                                           .keys = keys,
                                           .keys_count = KEY_COUNT,
                                           .aliases = aliases,
                                           .aliases_count = 1};

static char path[] = "/tmp/quorate-config-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int read_with(const char *text, char *flag, struct io_config **ret, struct io_why *why)
{
    char program[] = "test";
    char config[] = "--config";
    char *argv[] = {program, config, path, flag, NULL};
    write_file(text);
    return io_config_read(&spec, flag == NULL ? 3 : 4, argv, ret, why);
}

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_values_of_every_type(void **state)
{
    (void)state;
    struct io_config *config = NULL;
    size_t count = 0;
    assert_int_equal(read_with("# a comment\nname: pg-1\nnet:\n  timeout: 1s500ms\n  size: 10kB\n"
                               "  nodes: {q1: 'a:1', q2: b:2}\n  list: [x, 'y z']\non: true\n",
                               NULL, &config, NULL),
                     0);
    assert_string_equal(io_config_text(config, KEY_NAME), "pg-1");
    assert_int_equal(io_config_int(config, KEY_TIMEOUT), 1500000);
    assert_int_equal(io_config_int(config, KEY_SIZE), 10000);
    assert_string_equal(io_config_map_get(config, KEY_NODES, "q1"), "a:1");
    assert_null(io_config_map_get(config, KEY_NODES, "q"));
    const char *const *list = io_config_list(config, KEY_LIST, &count);
    assert_int_equal(count, 2);
    assert_string_equal(list[1], "y z");
    assert_true(io_config_bool(config, KEY_ON));
    assert_string_equal(io_config_text(config, KEY_MODE), "auto");
    assert_false(io_config_is_set(config, KEY_MODE));
    (void)io_config_free(config);
}

static void test_flags_win_over_environment_over_file(void **state)
{
    (void)state;
    struct io_config *config = NULL;
    char flag[] = "--wait=700";
    assert_int_equal(setenv("QUORATE_MODE", "off", 1), 0);
    assert_int_equal(setenv("ETCD_WAIT", "900", 1), 0);
    assert_int_equal(read_with("name: a\nmode: on\nnet: {timeout: 1s}\n", flag, &config, NULL), 0);
    assert_string_equal(io_config_text(config, KEY_MODE), "off");
    assert_string_equal(io_config_origin(config, KEY_MODE), "environment QUORATE_MODE");
    assert_int_equal(io_config_int(config, KEY_TIMEOUT), 700000);
    (void)io_config_free(config);
    assert_int_equal(unsetenv("QUORATE_MODE"), 0);
    assert_int_equal(unsetenv("ETCD_WAIT"), 0);
}

struct bad {
    const char *text;
    const char *word; /* must stand in the message */
};

static void test_errors_name_place_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct bad bads[] = {
        {"name: a\nnet:\n  timeot: 1s\n",
         ":3:3: unknown key 'net.timeot'; did you mean 'net.timeout'?"},
        {"name: a\nnet:\n  timeout: 1x\n", "value '1x' is not a duration"},
        {"name: a\nnet:\n  timeout: 11s\n", "allowed: 10ms to 10s"},
        {"name: a\nname: b\n", "stands twice"},
        {"name: &x a\n", "anchors"},
        {"name: !!str a\n", "tags"},
        {"name: A\n", "is not a name"},
        {"name: a\nmode: maybe\n", "allowed: on|off|auto"},
        {"name: a\non: perhaps\n", "is not yes or no"},
        {"name: [a]\n", "takes one value"},
        {"name: a\nnet: {list: {a: b}}\n", "takes one value, not a mapping"},
        {"name: a\nmode: \"x\n", "not YAML"},
        {"- a\n", "keys were expected"},
        {"on: yes\n", "key 'name' is not set"},
        {"", "key 'name' is not set"},
        {"name: a\n---\nname: b\n", "second document"},
        {"name: a\nnet:\n  size: 10\n", "out of range"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bads); i++) {
        struct io_config *config = NULL;
        struct io_why why = {""};
        assert_int_equal(read_with(bads[i].text, NULL, &config, &why), BASE_E_INVALID);
        assert_null(config);
        if (strstr(why.text, bads[i].word) == NULL) {
            fail_msg("'%s' does not hold '%s'", why.text, bads[i].word);
        }
    }
}

static void test_damaged_files_never_crash(void **state)
{
    (void)state;
    static const char good[] =
        "name: a\nnet: {timeout: 1s, nodes: {a: b}, list: [x, y]}\nmode: on\n# end\n";
    char text[sizeof(good)];
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        struct io_config *config = NULL;
        memcpy(text, good, sizeof(good));
        for (int n = 0; n < 1 + round % 3; n++) {
            seed = seed * 1103515245u + 12345u;
            text[(seed >> 8) % (sizeof(good) - 1)] = (char)(1 + (seed >> 16) % 126);
        }
        if (read_with(text, NULL, &config, NULL) == 0) {
            (void)io_config_free(config);
        }
    }
}

static void test_what_is_printed_can_be_read(void **state)
{
    (void)state;
    struct io_config *config = NULL;
    struct io_config *again = NULL;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(read_with("name: a\nsecret: hidden-word\nnet:\n  nodes: {q1: 'h:1'}\n", NULL,
                               &config, NULL),
                     0);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    io_config_print(config, out);
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(text, "hidden-word"));
    assert_int_equal(read_with(text, NULL, &again, NULL), 0);
    assert_false(io_config_differs(config, again, KEY_NODES));
    (void)io_config_free(again);
    (void)io_config_free(config);
    free(text);
}

static void expect_refused(const char *text, char *flag, const char *wanted)
{
    struct io_config *config = NULL;
    struct io_why why = {""};
    assert_int_equal(read_with(text, flag, &config, &why), BASE_E_INVALID);
    if (strstr(why.text, wanted) == NULL) {
        fail_msg("'%s' is not in: %s", wanted, why.text);
    }
}

static void test_broken_yaml_is_not_an_unknown_key(void **state)
{
    (void)state;
    expect_refused("name: a\nnet: [\n", NULL, "not YAML");
    expect_refused("name: a\nfoo: [\n", NULL, "not YAML");
    expect_refused("name: a\nfoo: [x]\n", NULL, ":2:1: unknown key 'foo'");
    expect_refused("name: a\nnet: [x]\n", NULL, "'net' is a section: keys below it");
    expect_refused("name: a\nnet: 5\n", NULL, "found a value");
}

static void test_flags_are_refused_with_a_hint(void **state)
{
    (void)state;
    char misspelt[] = "--mod=on";
    char unknown[] = "--frobnicate";
    char jump[] = "--jump=2";
    expect_refused("name: a\n", misspelt, "unknown flag --mod; did you mean --mode?");
    expect_refused("name: a\n", unknown, "unknown flag --frobnicate; --help lists all");
    expect_refused("name: a\n", jump, "--jump: not supported: there is nothing to jump over");
    assert_int_equal(setenv("ETCD_JUMP", "1", 1), 0);
    expect_refused("name: a\n", NULL, "environment ETCD_JUMP: not supported");
    assert_int_equal(unsetenv("ETCD_JUMP"), 0);
}

static void test_the_sample_can_be_read(void **state)
{
    (void)state;
    struct io_config *config = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    io_config_sample(&spec, out);
    assert_int_equal(fclose(out), 0);
    char flag[] = "--name=a";
    assert_int_equal(read_with(text, flag, &config, NULL), 0);
    assert_false(io_config_is_set(config, KEY_TIMEOUT));
    (void)io_config_free(config);
    free(text);
}

static void test_table_aligns_and_counts_characters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    struct io_table *table = io_table_new("NAME|>N|NOTE");
    assert_non_null(table);
    assert_int_equal(IO_TABLE_ADD(table, "\xc3\xa9t\xc3\xa9", "1", "x\ny"), 0);
    assert_int_equal(IO_TABLE_ADD(table, "longer", NULL), 0);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    io_table_print(table, out, true);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "NAME    N  NOTE\n\xc3\xa9t\xc3\xa9     1  x?y\nlonger  -  \n");
    (void)io_table_free(table);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_every_type),
        cmocka_unit_test(test_flags_win_over_environment_over_file),
        cmocka_unit_test(test_errors_name_place_and_what_is_allowed),
        cmocka_unit_test(test_damaged_files_never_crash),
        cmocka_unit_test(test_what_is_printed_can_be_read),
        cmocka_unit_test(test_broken_yaml_is_not_an_unknown_key),
        cmocka_unit_test(test_flags_are_refused_with_a_hint),
        cmocka_unit_test(test_the_sample_can_be_read),
        cmocka_unit_test(test_table_aligns_and_counts_characters),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
