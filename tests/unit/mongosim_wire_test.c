/* SPDX-License-Identifier: Apache-2.0 */
/* The edges of the test server: messages of the wire, logins, mongod.conf, documents. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "tests/mongosim/conf.h"
#include "tests/mongosim/hub.h"
#include "tests/support/cm.h"

/* --- messages --- */

static struct bytes message(uint32_t op, const void *body, size_t len)
{
    struct bytes b = {0};
    bytes_u32(&b, (uint32_t)(WIRE_HEADER + len));
    bytes_u32(&b, 7);
    bytes_u32(&b, 0);
    bytes_u32(&b, op);
    bytes_append(&b, body, len);
    return b;
}

/* OP_MSG {find: "c", $db: "shop"} and a sequence of two documents, with or without a checksum. */
static struct bytes a_message(bool has_checksum)
{
    struct bytes body = {0};
    bson_t *doc = BCON_NEW("find", "c", "$db", "shop"), *row = BCON_NEW("a", BCON_INT32(1));
    bytes_u32(&body, has_checksum ? WIRE_CHECKSUM : 0);
    bytes_append(&body, "\0", 1);
    bytes_append(&body, bson_get_data(doc), doc->len);
    bytes_append(&body, "\1", 1);
    bytes_u32(&body, (uint32_t)(4 + 5 + 2 * row->len));
    bytes_append(&body, "rows", 5);
    bytes_append(&body, bson_get_data(row), row->len);
    bytes_append(&body, bson_get_data(row), row->len);
    if (has_checksum) {
        bytes_u32(&body, 0);
    }
    struct bytes m = message(WIRE_OP_MSG, body.data, body.len);
    if (has_checksum) {
        struct bytes tail = {.data = m.data + m.len - 4, .cap = 4};
        bytes_u32(&tail, base_crc32c(0, slice_from(m.data, m.len - 4)));
    }
    bytes_free(&body);
    bson_destroy(doc);
    bson_destroy(row);
    return m;
}

static bool parses(const struct bytes *m)
{
    struct wire_request request;
    const char *why = NULL;
    bool is_fine = wire_parse(m->data, m->len, &request, &why);
    assert_true(is_fine == (why == NULL));
    if (is_fine) {
        wire_request_free(&request);
    }
    return is_fine;
}

static void test_sections_become_one_command(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct bytes m = a_message(round == 1);
        struct wire_request request;
        const char *why;
        bson_iter_t i, row;
        assert_int_equal(wire_length(m.data, m.len), m.len);
        assert_true(wire_parse(m.data, m.len, &request, &why));
        assert_string_equal(request.db, "shop");
        assert_int_equal(request.id, 7);
        assert_true(bson_iter_init(&i, &request.command));
        assert_true(bson_iter_find_descendant(&i, "rows.1.a", &row));
        assert_int_equal(bson_iter_int32(&row), 1);
        wire_request_free(&request);
        bytes_free(&m);
    }
}

static void test_what_is_cut_or_spoilt_is_refused(void **state)
{
    (void)state;
    struct bytes m = a_message(true);
    for (size_t len = WIRE_HEADER; len < m.len; len++) {
        struct bytes part = {.data = m.data, .len = len};
        assert_false(parses(&part));
    }
    for (size_t at = WIRE_HEADER; at < m.len; at++) {
        m.data[at] ^= 0x41;
        assert_false(parses(&m)); /* the checksum sees each */
        m.data[at] ^= 0x41;
    }
    assert_true(parses(&m));
    bytes_free(&m);
    m = a_message(false);
    srand(5);
    for (int n = 0; n < 20000; n++) { /* nothing may happen beyond a refusal */
        struct bytes copy = {0};
        bytes_append(&copy, m.data, m.len);
        for (int k = 0; k < 3; k++) {
            copy.data[WIRE_HEADER + (size_t)rand() % (m.len - WIRE_HEADER)] = (uint8_t)rand();
        }
        (void)parses(&copy);
        bytes_free(&copy);
    }
    bytes_free(&m);
}

static struct bytes a_query(const char *ns, const bson_t *query, int32_t count)
{
    struct bytes body = {0};
    bytes_u32(&body, 4);
    bytes_append(&body, ns, strlen(ns) + 1);
    bytes_u32(&body, 0);
    bytes_u32(&body, (uint32_t)count);
    bytes_append(&body, bson_get_data(query), query->len);
    struct bytes m = message(WIRE_OP_QUERY, body.data, body.len);
    bytes_free(&body);
    return m;
}

static void test_old_queries(void **state)
{
    (void)state;
    const char *why;
    struct wire_request request;
    bson_iter_t i, inner;
    bson_t *query =
        BCON_NEW("$query", "{", "ping", BCON_INT32(1), "}", "$readPreference", "{", "}");
    struct bytes m = a_query("admin.$cmd", query, -1);
    assert_true(wire_parse(m.data, m.len, &request, &why));
    assert_false(request.is_legacy_find);
    assert_true(bson_has_field(&request.command, "ping"));
    wire_request_free(&request);
    bytes_free(&m);
    m = a_query("local.oplog.rs", query, -1);
    assert_true(wire_parse(m.data, m.len, &request, &why));
    assert_true(request.is_legacy_find);
    assert_string_equal(request.db, "local");
    assert_true(bson_iter_init_find(&i, &request.command, "find"));
    assert_string_equal(bson_iter_utf8(&i, NULL), "oplog.rs");
    assert_true(bson_iter_init(&i, &request.command));
    assert_true(bson_iter_find_descendant(&i, "filter.ping", &inner));
    /* rows come out of the cursor's batch */
    bson_t *body =
        BCON_NEW("cursor", "{", "firstBatch", "[", "{", "x", BCON_INT32(1), "}", "{", "x",
                 BCON_INT32(2), "}", "]", "id", BCON_INT64(9), "}", "ok", BCON_DOUBLE(1));
    struct bytes out = {0};
    (void)wire_reply(&request, request.id, body, 0, &out);
    assert_int_equal(bytes_get_u32(out.data), out.len);
    assert_int_equal(bytes_get_u32(out.data + 12), WIRE_OP_REPLY);
    assert_int_equal(bytes_get_u64(out.data + 20), 9);
    assert_int_equal(bytes_get_u32(out.data + 32), 2);
    bytes_free(&out);
    wire_request_free(&request);
    bytes_free(&m);
    bson_destroy(body);
    bson_destroy(query);
}

/* --- SCRAM: what is refused; that right passwords pass is shown by real clients --- */

static void test_scram(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct scram scram;
        char answer[SCRAM_TEXT_MAX + 1], final[SCRAM_TEXT_MAX + 1];
        assert_false(scram_first(&scram, SCRAM_SHA_256, "y,,n=user,r=abc", answer, sizeof answer));
        assert_true(scram_first(&scram, kind == 0 ? SCRAM_SHA_1 : SCRAM_SHA_256, "n,,n=user,r=abc",
                                answer, sizeof answer));
        assert_string_equal(scram.user, "user");
        assert_int_equal(strncmp(answer, "r=abc", 5), 0);
        snprintf(final, sizeof final, "c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", scram.nonce);
        assert_false(scram_final(&scram, "pencil", final, answer, sizeof answer));
    }
}

/* --- mongod.conf --- */

static bool reads(const char *text, struct conf *ret)
{
    char path[] = "/tmp/mongosim-conf-XXXXXX", why[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    *ret = (struct conf){0};
    bool is_fine = conf_read(ret, path, why);
    unlink(path);
    return is_fine;
}

static void test_configuration(void **state)
{
    (void)state;
    struct conf conf;
    assert_true(
        reads("# c\nnet:\n  port: 27018\n  bindIp: \"127.0.0.1,::1\"\nsetParameter:\n  a: 1\n"
              "replication:\n  replSetName: rs0\n",
              &conf));
    assert_string_equal(conf_get(&conf, "net.port"), "27018");
    assert_string_equal(conf_get(&conf, "net.bindIp"), "127.0.0.1,::1");
    assert_string_equal(conf_get(&conf, "replication.replSetName"), "rs0");
    assert_null(conf_get(&conf, "storage.dbPath"));
    assert_false(reads("net:\n  prot: 1\n", &conf));
    assert_false(reads("net: [1\n", &conf));
    assert_string_equal(conf_option_key("replSet"), "replication.replSetName");
    assert_null(conf_option_key("nonsense"));
}

/* --- documents --- */

static bool matches(const char *document, const char *filter)
{
    bson_t *a = bson_new_from_json((const uint8_t *)document, -1, NULL);
    bson_t *b = bson_new_from_json((const uint8_t *)filter, -1, NULL);
    assert_true(a != NULL && b != NULL);
    bool is_match = data_matches(a, b);
    bson_destroy(a);
    bson_destroy(b);
    return is_match;
}

static void updated(const char *before, const char *filter, const char *update, const char *after)
{
    bson_t *a = before != NULL ? bson_new_from_json((const uint8_t *)before, -1, NULL) : NULL;
    bson_t *f = bson_new_from_json((const uint8_t *)filter, -1, NULL);
    bson_t *u = bson_new_from_json((const uint8_t *)update, -1, NULL);
    bson_t *got = data_updated(a, f, u, 0);
    char *text = got != NULL ? bson_as_relaxed_extended_json(got, NULL) : NULL;
    assert_true((text == NULL) == (after == NULL));
    if (after != NULL) {
        assert_string_equal(text, after);
    }
    bson_free(text);
    bson_destroy(got);
    bson_destroy(a);
    bson_destroy(f);
    bson_destroy(u);
}

static void test_documents(void **state)
{
    (void)state;
    assert_true(matches("{\"a\": 1, \"b\": {\"c\": \"x\"}}", "{\"a\": 1.0, \"b.c\": \"x\"}"));
    assert_true(matches("{\"a\": 5}", "{\"a\": {\"$gt\": 4, \"$lte\": 5}}"));
    assert_false(matches("{\"a\": 5}", "{\"a\": {\"$gt\": 5}}"));
    assert_true(matches("{}", "{\"a\": {\"$exists\": false}}"));
    assert_false(matches("{\"a\": 1}", "{\"b\": 1}"));
    updated("{\"_id\": 1, \"n\": 1}", "{\"_id\": 1}",
            "{\"$inc\": {\"n\": 2}, \"$set\": {\"m\": 3}}",
            "{ \"_id\" : 1, \"n\" : 3, \"m\" : 3 }");
    updated(NULL, "{\"_id\": 4}", "{\"$setOnInsert\": {\"m\": 3}}", "{ \"_id\" : 4, \"m\" : 3 }");
    updated("{\"_id\": 1, \"n\": 1}", "{\"_id\": 1}", "{\"k\": 2}", "{ \"_id\" : 1, \"k\" : 2 }");
    updated("{\"_id\": 1}", "{}", "{\"$bit\": {\"k\": 2}}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_become_one_command),
        cmocka_unit_test(test_what_is_cut_or_spoilt_is_refused),
        cmocka_unit_test(test_old_queries),
        cmocka_unit_test(test_scram),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
