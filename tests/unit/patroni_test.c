/* SPDX-License-Identifier: Apache-2.0 */
/* Patroni's keys as kv import-patroni knows them: a file with every documented key against the
 * table, both ways, and what is taken from it. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "kv/cli/patroni.h"

#define FIXTURE "tests/integration/host/every-key.yml"

static struct flat_file file;

static int setup(void **state)
{
    (void)state;
    struct io_why why = {""};
    int rc = flat_read(FIXTURE, "", &file, &why);
    if (rc != 0) {
        print_error("%s\n", why.text);
    }
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    flat_free(&file);
    return 0;
}

static void test_every_key_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < file.count; i++) {
        if (patroni_row_of(file.leaves[i].path) == NULL) {
            fail_msg("%s:%zu: no row for %s", FIXTURE, file.leaves[i].line, file.leaves[i].path);
        }
    }
    assert_null(patroni_row_of("wurst"));
    assert_null(patroni_row_of("postgresql.wurst"));
}

/* A row that nothing reaches is shadowed by one above it, or of a key that is not in the file. */
static void test_every_row_is_reached(void **state)
{
    (void)state;
    size_t count = 0;
    const struct patroni_row *rows = patroni_rows(&count);
    for (size_t r = 0; r < count; r++) {
        bool is_reached = false;
        for (size_t i = 0; i < file.count && !is_reached; i++) {
            is_reached = patroni_row_of(file.leaves[i].path) == &rows[r];
        }
        if (!is_reached) {
            fail_msg("no key of the file reaches the row %s", rows[r].pattern);
        }
        assert_true(rows[r].fate == PATRONI_TAKEN || rows[r].take == NULL);
        assert_true(rows[r].fate != PATRONI_TAKEN || rows[r].take != NULL);
        assert_true(rows[r].fate == PATRONI_NONE || rows[r].ours != NULL);
    }
}

static const char *at(const json_t *object, const char *section, const char *key)
{
    const json_t *found = section == NULL ? object : json_object_get(object, section);
    const char *text = json_string_value(json_object_get(found, key));
    return text == NULL ? "" : text;
}

static struct patroni_import taken(void)
{
    struct patroni_import import = {
        .file = &file, .agent = json_object(), .document = json_object(), .secrets = json_object()};
    for (size_t i = 0; i < file.count; i++) {
        const struct patroni_row *row = patroni_row_of(file.leaves[i].path);
        if (row->take != NULL) {
            assert_true(row->take(&import, row, &file.leaves[i]));
        }
    }
    return import;
}

static void dropped(struct patroni_import *import)
{
    json_decref(import->agent);
    json_decref(import->document);
    json_decref(import->secrets);
}

static void test_what_is_taken(void **state)
{
    (void)state;
    struct patroni_import import = taken();
    assert_string_equal(at(import.agent, "cluster", "name"), "batman");
    assert_string_equal(at(import.agent, NULL, "member"), "node_a-example");
    assert_string_equal(at(import.agent, NULL, "advertise"), "10.0.0.1");
    const json_t *pg = json_object_get(import.agent, "postgresql");
    assert_string_equal(at(pg, NULL, "listen"), "10.0.0.1,127.0.0.1");
    assert_int_equal(json_integer_value(json_object_get(pg, "port")), 5432);
    assert_int_equal(json_integer_value(json_object_get(pg, "advertise_port")), 6432);
    assert_int_equal(json_array_size(json_object_get(pg, "hba")), 2);
    assert_string_equal(at(pg, "parameters", "pg_stat_statements.max"), "5000");
    assert_null(json_object_get(json_object_get(pg, "parameters"), "ssl"));
    assert_string_equal(at(import.agent, "watchdog", "mode"), "try");
    assert_string_equal(at(import.agent, "log", "level"), "warn");
    assert_string_equal(at(import.secrets, NULL, "rewind"), "rewind-secret-3");
    dropped(&import);
}

static void test_what_the_document_says(void **state)
{
    (void)state;
    struct patroni_import import = taken();
    const json_t *pg = json_object_get(import.document, "postgresql");
    assert_string_equal(at(import.document, NULL, "sync"), "on");
    assert_string_equal(at(import.document, NULL, "primary_start_timeout"), "120s");
    assert_string_equal(at(pg, "parameters", "max_connections"), "120");
    assert_null(json_object_get(json_object_get(pg, "parameters"), "fsync"));
    const json_t *slots = json_object_get(pg, "slots");
    assert_string_equal(at(slots, "permanent_logical", "plugin"), "pgoutput");
    assert_int_equal(json_object_size(json_object_get(slots, "permanent_physical")), 1);
    assert_true(json_is_true(json_object_get(import.document, "failsafe")));
    dropped(&import);
}

static void test_what_cannot_be_taken_is_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"postgresql.authentication.superuser.username", "admin"},
        {"postgresql.authentication.replication.password", "short"},
        {"postgresql.listen", "10.0.0.1:port"},
        {"bootstrap.dcs.synchronous_mode", "perhaps"},
        {"bootstrap.dcs.slots.quorate_a.type", "physical"},
        {"watchdog.mode", "sometimes"},
        {"postgresql.parameters.unix_socket_directories", "."},
        {"postgresql.parameters.quorate.x", "1"},
        {"bootstrap.dcs.maximum_lag_on_failover", "much"},
        {"log.level", "LOUD"},
    };
    struct patroni_import import = {
        .file = &file, .agent = json_object(), .document = json_object(), .secrets = json_object()};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct flat_leaf leaf = {.value = (char *)(uintptr_t)rows[i][1]};
        (void)snprintf(leaf.path, sizeof(leaf.path), "%s", rows[i][0]);
        const struct patroni_row *row = patroni_row_of(leaf.path);
        assert_non_null(row);
        if (row->take == NULL || row->take(&import, row, &leaf)) {
            fail_msg("%s: %s was taken", leaf.path, leaf.value);
        }
    }
    dropped(&import);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_has_a_row),
        cmocka_unit_test(test_every_row_is_reached),
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_the_document_says),
        cmocka_unit_test(test_what_cannot_be_taken_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
