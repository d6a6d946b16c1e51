/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on loopback: plain and TLS, large transfers with back-pressure, bad certificates, ports
 * in use. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/io_test_support.h"

#define BIG ((size_t)8 << 20)

static struct io_loop *loop;

struct end {
    struct io_stream *stream;
    bool is_open, is_closed, is_echo, is_drained;
    int status;
    char why[IO_WHY_MAX + 1];
    size_t received;
    uint8_t sum;
    struct io_identity identity;
};
static struct end client, server;

static void end_opened(void *ctx, struct io_stream *stream)
{
    struct end *end = ctx;
    end->is_open = true;
    end->identity = *io_stream_identity(stream);
}

static void end_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct end *end = ctx;
    for (size_t i = 0; i < bytes.len; i++) {
        end->sum = (uint8_t)(end->sum * 31 + bytes.data[i]);
    }
    end->received += bytes.len;
    if (end->is_echo) {
        assert_int_equal(io_stream_write(stream, bytes), 0);
    }
}

static void end_drained(void *ctx, struct io_stream *stream)
{
    (void)stream;
    ((struct end *)ctx)->is_drained = true;
}

static void end_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct end *end = ctx;
    (void)stream;
    end->is_closed = true;
    end->status = status;
    end->stream = NULL;
    memcpy(end->why, why, strlen(why) + 1);
}

static const struct io_stream_events events = {end_opened, end_data, end_drained, end_closed};

static void accepted(void *ctx, struct io_stream *stream)
{
    (void)ctx;
    server.stream = stream;
    io_stream_set(stream, &events, &server);
}

static struct io_listener *listen_on(struct io_tls *tls)
{
    struct io_listener *listener = NULL;
    struct io_why why = {""};
    const struct io_address address = test_loopback(0);
    const struct io_stream_options options = {.tls = tls};
    assert_int_equal(io_listen(loop, &address, &options, accepted, NULL, &listener, &why), 0);
    return listener;
}

static void dial(const char *host, uint16_t port, struct io_tls *tls, const char *verify_host)
{
    struct io_address address = {.port = port};
    memcpy(address.host, host, strlen(host) + 1);
    const struct io_stream_options options = {
        .tls = tls, .verify_host = verify_host, .events = &events, .ctx = &client};
    assert_int_equal(io_stream_connect(loop, &address, &options, &client.stream), 0);
}

static int setup(void **state)
{
    (void)state;
    client = server = (struct end){0};
    test_folder_make();
    return io_loop_new(&loop);
}

static int teardown(void **state)
{
    (void)state;
    loop = io_loop_free(loop);
    test_folder_remove();
    return 0;
}

static void plain_round_trip(void **state)
{
    (void)state;
    struct io_listener *listener = listen_on(NULL);
    server.is_echo = true;
    dial("localhost", io_listener_port(listener), NULL, NULL);
    run_until(loop, &client.is_open);
    assert_true(io_stream_is_loopback(client.stream));
    assert_int_equal(io_stream_write(client.stream, SLICE_LIT("hello")), 0);
    while (client.received < 5) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    io_stream_close(client.stream);
    run_until(loop, &client.is_closed);
    run_until(loop, &server.is_closed);
    assert_int_equal(client.status, 0);
    assert_int_equal(server.status, BASE_E_CLOSED);
    listener = io_listener_free(listener);
}

/* Sends BIG bytes as fast as the queue takes them; the receiver stops reading for a while. */
static void push_big(void)
{
    static uint8_t piece[100000];
    uint8_t sum = 0;
    size_t sent = 0;
    bool was_busy = false;
    for (size_t i = 0; i < sizeof(piece); i++) {
        piece[i] = (uint8_t)(i * 7);
    }
    run_until(loop, &client.is_open);
    run_until(loop, &server.is_open);
    io_stream_pause(server.stream);
    while (sent < BIG) {
        int status = io_stream_write(client.stream, slice_from(piece, sizeof(piece)));
        if (status == 0) {
            sent += sizeof(piece);
            for (size_t i = 0; i < sizeof(piece); i++) {
                sum = (uint8_t)(sum * 31 + piece[i]);
            }
            continue;
        }
        assert_int_equal(status, BASE_E_BUSY);
        was_busy = true;
        client.is_drained = false;
        run_for(loop, 1000);
        io_stream_resume(server.stream);
        run_until(loop, &client.is_drained);
    }
    io_stream_close(client.stream);
    run_until(loop, &server.is_closed);
    assert_true(was_busy);
    assert_int_equal(server.received, sent);
    assert_int_equal(server.sum, sum);
}

static void plain_big(void **state)
{
    (void)state;
    struct io_listener *listener = listen_on(NULL);
    dial("127.0.0.1", io_listener_port(listener), NULL, NULL);
    push_big();
    listener = io_listener_free(listener);
}

static void tls_big_with_identities(void **state)
{
    (void)state;
    char text[IO_IDENTITY_TEXT_MAX];
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "a1", "quorate://agent/pg-main/pg1", 5);
    struct io_tls *server_tls = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *client_tls = test_tls("ca", "a1", IO_TLS_VERIFY_REQUIRED);
    assert_int_equal(io_tls_own_identity(client_tls).net.role, NET_ROLE_AGENT);
    struct io_listener *listener = listen_on(server_tls);
    dial("127.0.0.1", io_listener_port(listener), client_tls, "127.0.0.1");
    push_big();
    assert_string_equal(io_identity_text(&server.identity, text, sizeof(text)),
                        "agent pg-main/pg1");
    assert_string_equal(server.identity.common_name.text, "a1");
    assert_string_equal(io_identity_text(&client.identity, text, sizeof(text)), "node n1");
    listener = io_listener_free(listener);
    server_tls = io_tls_free(server_tls);
    client_tls = io_tls_free(client_tls);
}

/* The first byte decides: one port takes both, and who comes in plain is nobody. */
static void plain_and_tls_on_one_port(void **state)
{
    (void)state;
    struct io_why why = {""};
    struct io_listener *listener = NULL;
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "a1", "quorate://agent/pg-main/pg1", 5);
    struct io_tls *server_tls = test_tls("ca", "n1", IO_TLS_VERIFY_OPTIONAL);
    struct io_tls *client_tls = test_tls("ca", "a1", IO_TLS_VERIFY_REQUIRED);
    const struct io_address address = test_loopback(0);
    const struct io_stream_options options = {.tls = server_tls, .is_plain_too = true};
    assert_int_equal(io_listen(loop, &address, &options, accepted, NULL, &listener, &why), 0);
    for (int i = 0; i < 4; i++) {
        bool is_tls = i % 2 != 0;
        client = server = (struct end){.is_echo = false};
        server.is_echo = true;
        dial("127.0.0.1", io_listener_port(listener), is_tls ? client_tls : NULL, NULL);
        run_until(loop, &client.is_open);
        assert_int_equal(io_stream_write(client.stream, SLICE_LIT("GET")), 0);
        while (client.received < 3) {
            io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
            assert_false(client.is_closed);
        }
        assert_int_equal(io_stream_is_tls(server.stream), is_tls);
        assert_int_equal(server.identity.net.role, is_tls ? NET_ROLE_AGENT : NET_ROLE_NONE);
        assert_int_equal(server.identity.has_certificate, is_tls);
        io_stream_close(client.stream);
        run_until(loop, &client.is_closed);
        run_until(loop, &server.is_closed);
    }
    listener = io_listener_free(listener);
    server_tls = io_tls_free(server_tls);
    client_tls = io_tls_free(client_tls);
}

/* Connects with the given certificates; both ends must end with a text that holds the word given.
 */
static void expect_refused(const char *ca, const char *name, const char *client_word,
                           const char *server_word)
{
    client = server = (struct end){0};
    struct io_tls *server_tls = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *client_tls = test_tls(ca, name, IO_TLS_VERIFY_REQUIRED);
    struct io_listener *listener = listen_on(server_tls);
    dial("127.0.0.1", io_listener_port(listener), client_tls, NULL);
    run_until(loop, &client.is_closed);
    run_until(loop, &server.is_closed);
    if (strstr(client.why, client_word) == NULL || strstr(server.why, server_word) == NULL) {
        fail_msg("client: %s; server: %s", client.why, server.why);
    }
    listener = io_listener_free(listener);
    server_tls = io_tls_free(server_tls);
    client_tls = io_tls_free(client_tls);
}

static void bad_certificates(void **state)
{
    (void)state;
    struct io_tls *tls = NULL;
    struct io_why why = {""};
    test_ca_make("ca");
    test_ca_make("foreign");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("foreign", "f1", "quorate://node/n2", 5);
    test_cert_make("ca", "old", "quorate://node/n3", -5);
    /* the client trusts its own authority only: it refuses the server */
    expect_refused("foreign", "f1", "foreign authority", "foreign authority");
    /* an expired certificate is found when it is loaded */
    const struct io_tls_options expired = {.cert_file = test_path("old.pem"),
                                           .key_file = test_path("old.key"),
                                           .ca_file = test_path("ca.pem")};
    assert_int_equal(io_tls_new(&expired, &tls, &why), BASE_E_TLS);
    assert_non_null(strstr(why.text, "has expired"));
    const struct io_tls_options mixed = {.cert_file = test_path("n1.pem"),
                                         .key_file = test_path("f1.key"),
                                         .ca_file = test_path("ca.pem")};
    assert_int_equal(io_tls_new(&mixed, &tls, &why), BASE_E_TLS);
    assert_non_null(strstr(why.text, "does not belong to"));
    const struct io_tls_options missing = {.cert_file = test_path("none.pem"),
                                           .key_file = test_path("f1.key"),
                                           .ca_file = test_path("ca.pem")};
    assert_int_equal(io_tls_new(&missing, &tls, &why), BASE_E_IO);
    assert_non_null(strstr(why.text, "No such file"));
}

/* A certificate that runs out after it was loaded: the other side says so. */
static void certificate_expires_later(void **state)
{
    (void)state;
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "old", "quorate://node/n3", 5);
    struct io_tls *server_tls = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *client_tls = test_tls("ca", "old", IO_TLS_VERIFY_REQUIRED);
    struct io_why why = {""};
    assert_int_equal(io_tls_reload(client_tls, &why), 0);
    test_cert_make("ca", "old", "quorate://node/n3", -5);
    assert_int_equal(io_tls_reload(client_tls, &why), BASE_E_TLS); /* the good one stays in force */
    struct io_listener *listener = listen_on(server_tls);
    dial("127.0.0.1", io_listener_port(listener), client_tls, NULL);
    run_until(loop, &server.is_open);
    test_cert_make("ca", "old", "quorate://agent/c/m", 5);
    assert_int_equal(io_tls_reload(client_tls, &why), 1);
    assert_int_equal(io_tls_own_identity(client_tls).net.role, NET_ROLE_AGENT);
    listener = io_listener_free(listener);
    server_tls = io_tls_free(server_tls);
    client_tls = io_tls_free(client_tls);
}

static void not_tls(void **state)
{
    (void)state;
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    struct io_tls *tls = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_listener *listener = listen_on(tls);
    dial("127.0.0.1", io_listener_port(listener), NULL, NULL);
    run_until(loop, &client.is_open);
    assert_int_equal(io_stream_write(client.stream, SLICE_LIT("GET / HTTP/1.1\r\n\r\n")), 0);
    run_until(loop, &server.is_closed);
    assert_non_null(strstr(server.why, "does not speak TLS"));
    run_until(loop, &client.is_closed);
    listener = io_listener_free(listener);
    tls = io_tls_free(tls);
}

static void failures_have_reasons(void **state)
{
    (void)state;
    struct io_listener *listener = listen_on(NULL);
    struct io_listener *second = NULL;
    struct io_why why = {""};
    uint16_t port = io_listener_port(listener);
    const struct io_address same = test_loopback(port);
    const struct io_stream_options options = {.tls = NULL};
    assert_int_equal(io_listen(loop, &same, &options, accepted, NULL, &second, &why),
                     BASE_E_EXISTS);
    assert_non_null(strstr(why.text, "in use by another program"));
    const struct io_address foreign = {.host = "192.0.2.1", .port = 1};
    assert_int_equal(io_listen(loop, &foreign, &options, accepted, NULL, &second, &why),
                     BASE_E_INVALID);
    assert_non_null(strstr(why.text, "not an address of this machine"));
    listener = io_listener_free(listener);
    run_for(loop, 1000);
    dial("127.0.0.1", port, NULL, NULL);
    run_until(loop, &client.is_closed);
    assert_int_equal(client.status, BASE_E_UNREACHABLE);
    assert_non_null(strstr(client.why, "refused"));
    client.is_closed = false;
    dial("no-such-host.invalid", port, NULL, NULL);
    run_until(loop, &client.is_closed);
    assert_non_null(strstr(client.why, "cannot resolve no-such-host.invalid"));
    client.is_closed = false;
    dial("localhost", port, NULL, NULL); /* given up while it is being resolved */
    io_stream_abort(client.stream, "changed my mind");
    run_until(loop, &client.is_closed);
    assert_int_equal(client.status, 0);
}

static void identities_from_uris(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "http://x",
                                      "quorate://",
                                      "quorate://node",
                                      "quorate://node/",
                                      "quorate://node/A",
                                      "quorate://node/a/b",
                                      "quorate://agent/a",
                                      "quorate://agent/a/",
                                      "quorate://agent//b",
                                      "quorate://agent/a/b/",
                                      "quorate://agent/a/b/c",
                                      "quorate://king/a",
                                      "quorate://node/a/"};
    struct io_identity identity = {0};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_int_equal(io_identity_from_uri(slice_from_text(bad[i]), &identity), BASE_E_INVALID);
    }
    assert_int_equal(io_identity_from_uri(SLICE_LIT("quorate://viewer/bob"), &identity), 0);
    assert_int_equal(identity.net.role, NET_ROLE_VIEWER);
    assert_string_equal(identity.name.text, "bob");
    assert_int_equal(io_identity_from_uri(SLICE_LIT("quorate://member/c/m"), &identity), 0);
    assert_string_equal(identity.net.cluster.text, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_big, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_big_with_identities, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_and_tls_on_one_port, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_certificates, setup, teardown),
        cmocka_unit_test_setup_teardown(certificate_expires_later, setup, teardown),
        cmocka_unit_test_setup_teardown(not_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_have_reasons, setup, teardown),
        cmocka_unit_test(identities_from_uris),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
